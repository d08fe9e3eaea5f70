//! Routes of carts: for storefronts, and the same for staff who order for somebody on the phone.

use actix_web::{delete, get, patch, post};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{
    access,
    model::{Cart, CartView, Device, ForeignOrder, Problem, Source},
    pricing::{self, Context},
    service::{self, Change, NewCart, WantedLine},
};
use crate::{
    channels::Directory,
    customers::Address,
    db::Lane,
    error::{Code, Error, Result},
    http::{Body, Call, RefPath, Reply, State, idempotency::Fingerprint, idempotency::Key, run_command},
    kernel::{
        Actor, Currency, Id, Instant, Quantity, Scope, UnitPrice,
        ids::{CartId, CartLineId, ChannelId},
        text::{Email, Sku, Text},
    },
    pricing::{Rules, ShippingOption, shipping_options},
    stock::Locations,
};

/// A line that is asked for.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"sku": "TEE-BLACK-M", "quantity": 2}))]
pub struct LineRequest {
    /// What.
    #[schema(value_type = String)]
    pub sku: Sku,
    /// How many.
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000)]
    pub quantity: Quantity,
    /// A price that was agreed instead of the list's; needs the scope `prices:override`.
    pub unit_price: Option<UnitPrice>,
    /// Free data of the storefront, at most 2048 bytes. Lines with other data stay apart.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
}

/// A cart about to be made: empty, or with everything at once.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "lines": [{"sku": "TEE-BLACK-M", "quantity": 2}], "email": "ada@example.org", "device": "mobile",
    "shipping_address": {"name": "Ada Lovelace", "street1": "Invalidenstr. 117", "postcode": "10115", "city": "Berlin", "country": "DE"},
    "shipping_method": "standard"
}))]
pub struct CartRequest {
    /// The channel; only for staff, a storefront's key names it.
    #[schema(value_type = Option<String>)]
    pub channel_id: Option<ChannelId>,
    /// One of the channel's currencies; its first when absent.
    pub currency: Option<Currency>,
    /// What is in it, at most 1,000 lines.
    #[serde(default)]
    pub lines: Vec<LineRequest>,
    /// Who orders.
    pub email: Option<Email>,
    /// Whether they agree to messages about their cart.
    #[serde(default)]
    pub marketing_consent: bool,
    /// Who pays.
    pub billing_address: Option<Address>,
    /// Where it goes.
    pub shipping_address: Option<Address>,
    /// The code of one of the cart's shipping-options.
    #[schema(value_type = Option<String>)]
    pub shipping_method: Option<Text<50>>,
    /// One of the channel's locales.
    #[schema(value_type = Option<String>)]
    pub locale: Option<Text<35>>,
    /// Where the visitor came from.
    pub source: Option<Source>,
    /// What the storefront runs on; `desktop` when absent.
    pub device: Option<Device>,
    /// Free data of the storefront, at most 8192 bytes.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// When it was ordered, in the past; needs the scope `history:write`.
    pub occurred_at: Option<Instant>,
    /// What a foreign system calls the order: only one order ever gets the same name (`duplicate`). It is found by the
    /// name then, alone or as `system:value`. Needs the scope `history:write`.
    pub reference: Option<ForeignOrder>,
}

/// Tells a field that is `null` (clear it) from one that is absent (leave it).
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// A change of a cart: what is absent stays, `null` clears.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ada@example.org", "shipping_method": "standard"}))]
pub struct CartPatch {
    /// The lines, whole: what is not named goes. Lines that stay keep their ids.
    pub lines: Option<Vec<LineRequest>>,
    /// Who orders.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Email>)]
    pub email: Option<Option<Email>>,
    /// Whether they agree to messages about their cart.
    pub marketing_consent: Option<bool>,
    /// Who pays.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Address>)]
    pub billing_address: Option<Option<Address>>,
    /// Where it goes.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Address>)]
    pub shipping_address: Option<Option<Address>>,
    /// The code of one of the cart's shipping-options.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub shipping_method: Option<Option<Text<50>>>,
    /// One of the channel's locales.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub locale: Option<Option<Text<35>>>,
    /// Where the visitor came from.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Source>)]
    pub source: Option<Option<Source>>,
    /// What the storefront runs on.
    pub device: Option<Device>,
    /// Free data of the storefront, at most 8192 bytes, whole.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// The new quantity of a line; 0 removes it.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"quantity": 3}))]
pub struct LinePatch {
    /// How many.
    #[schema(value_type = i64, minimum = 0, maximum = 1_000_000_000)]
    pub quantity: Quantity,
}

/// Which cart goes into this one.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from": "cart_01h455vb4pex5vsknk084sn02q"}))]
pub struct MergeRequest {
    /// The cart that ends.
    #[schema(value_type = String)]
    pub from: CartId,
    /// Its token, when it is a guest's.
    #[schema(value_type = Option<String>)]
    pub from_token: Option<Text<100>>,
}

/// The shipping methods of a cart.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ShippingOptions {
    /// Each with its price, or the reason why it is not available.
    pub items: Vec<ShippingOption>,
}

/// A payment method, or the reason why it is not available.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PaymentOption {
    /// Its code, for `payment.method`.
    pub code: String,
    /// Whether it can be used now.
    pub available: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The payment methods of a cart.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PaymentOptions {
    /// Each with whether it can be used.
    pub items: Vec<PaymentOption>,
}

fn wanted(actor: &Actor, lines: &[LineRequest]) -> Result<Vec<WantedLine>> {
    if lines.len() > service::MAX_LINES {
        return Err(Error::problem(Code::TooManyLines, "a cart holds at most 1000 lines").at("/lines"));
    }
    let wanted = |line: &LineRequest| {
        if line.unit_price.is_some() && !actor.holds(Scope::PriceOverride) {
            let detail = format!("an agreed price needs the scope `{}`", Scope::PriceOverride);
            return Err(Error::problem(Code::ScopeMissing, detail).at("/lines/unit_price"));
        }
        let agreed_price = line.unit_price;
        if agreed_price.is_some_and(|price| price.scaled() < 0) {
            return Err(Error::invalid("/unit_price", "expected a price of 0 or more"));
        }
        Ok(WantedLine {
            id: Id::new(),
            sku: line.sku.clone(),
            quantity: line.quantity,
            agreed_price,
            metadata: line.metadata.clone(),
        })
    };
    lines.iter().map(wanted).collect()
}

/// The channel a request is for: the storefront's, or the one that staff name.
fn channel_of(call: &Call, named: Option<ChannelId>) -> Result<ChannelId> {
    match (&call.actor, named) {
        (Actor::Shopper(shopper), None) => Ok(shopper.channel),
        (Actor::Shopper(_), Some(_)) => {
            Err(Error::problem(Code::UnknownField, "the Channel-Key names the channel").at("/channel_id"))
        }
        (actor, Some(channel)) if actor.sees_channel(channel) => Ok(channel),
        (_, Some(_)) => Err(Error::not_found("channel").at("/channel_id")),
        (_, None) => Err(Error::problem(Code::MissingField, "name the channel").at("/channel_id")),
    }
}

async fn context(call: &Call, channel: ChannelId) -> Result<Context> {
    let channel = call.snapshot::<Directory>().await?.get(channel)?.clone();
    Ok(Context { channel, rules: call.snapshot::<Rules>().await?, now: call.now })
}

/// The context of an existing cart: a storefront's channel, or for staff the cart's own.
async fn context_of(call: &Call, id: CartId) -> Result<Context> {
    if let Actor::Shopper(shopper) = &call.actor {
        return context(call, shopper.channel).await;
    }
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    let cart = call.read(move |tx| service::find(tx, &actor, &secret, id)).await?;
    context(call, cart.channel).await
}

fn staff_or_shopper(call: &Call) -> Result<()> {
    match call.actor {
        Actor::Shopper(_) => Ok(()),
        _ => call.allow(Scope::OrdersWrite).map(|_| ()),
    }
}

fn view(cart: &Cart, changes: Vec<Problem>) -> Result<Reply> {
    Ok(Reply::ok(&CartView::new(cart, changes))?.version(cart.version))
}

async fn create(call: Call, body: Body<CartRequest>) -> Result<Reply> {
    staff_or_shopper(&call)?;
    let request = body.value;
    if let Some(at) = request.occurred_at {
        call.allow(Scope::HistoryWrite)?;
        if at > call.now {
            return Err(Error::problem(Code::HistoryInFuture, "occurred_at lies in the future").at("/occurred_at"));
        }
    }
    if request.reference.is_some() {
        call.allow(Scope::HistoryWrite)?;
    }
    let channel = channel_of(&call, request.channel_id)?;
    let key = call.idempotency_key(&body.fingerprint)?;
    let (reply, _, _) = create_as(&call.state, call.actor.clone(), channel, request, key).await?;
    Ok(reply)
}

/// Makes a cart for an actor who has been authenticated: the whole of it, without HTTP. Gives its id and token.
///
/// # Errors
/// What is wrong with the request.
pub async fn create_for(
    state: &State,
    actor: Actor,
    channel: ChannelId,
    request: CartRequest,
    key: Option<Key>,
) -> Result<(CartId, String)> {
    let (_, id, token) = create_as(state, actor, channel, request, key).await?;
    Ok((id, token))
}

async fn create_as(
    state: &State,
    actor: Actor,
    channel: ChannelId,
    request: CartRequest,
    key: Option<Key>,
) -> Result<(Reply, CartId, String)> {
    let channel = state.db.snapshot::<Directory>().await?.get(channel)?.clone();
    let context = Context { channel, rules: state.db.snapshot::<Rules>().await?, now: state.clock.now() };
    let by_shopper = matches!(actor, Actor::Shopper(_));
    let change = Change {
        lines: Some(wanted(&actor, &request.lines)?),
        email: Some(request.email),
        marketing_consent: Some(request.marketing_consent),
        billing_address: Some(request.billing_address),
        shipping_address: Some(request.shipping_address),
        shipping_method: Some(request.shipping_method),
        locale: Some(request.locale),
        source: Some(request.source),
        device: Some(request.device.unwrap_or(if by_shopper { Device::Desktop } else { Device::CallCentre })),
        metadata: request.metadata,
        occurred_at: request.occurred_at,
        reference: request.reference,
    };
    let new = NewCart { id: Id::new(), customer: Id::new(), currency: request.currency, change };
    let (id, token) = (new.id, access::cart_token(&state.secret, new.id));
    let shown = token.clone();
    let reply = run_command(state, key, Lane::Interactive, move |tx| {
        let (cart, changes) = service::create(tx, &context, &actor, &new)?;
        let mut view = CartView::new(&cart, changes);
        view.token = cart.customer.is_none().then(|| shown.clone());
        Ok(Reply::created(&view)?.version(cart.version).location(format!("/v1/store/carts/{}", cart.id)).secret())
    })
    .await?;
    Ok((reply, id, token))
}

async fn read(call: Call, id: CartId) -> Result<Reply> {
    staff_or_shopper(&call)?;
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    let cart = call.read(move |tx| service::find(tx, &actor, &secret, id)).await?;
    view(&cart, Vec::new())
}

/// Runs a change on a cart.
async fn change(
    call: Call,
    id: CartId,
    fingerprint: Fingerprint,
    change: impl Fn(&mut Cart) -> Result<Change> + Send + 'static,
) -> Result<Reply> {
    staff_or_shopper(&call)?;
    let context = context_of(&call, id).await?;
    let (actor, secret, expected) = (call.actor.clone(), call.state.secret.clone(), call.if_match()?);
    call.command(&fingerprint, move |tx| {
        let (cart, changes) = service::update(tx, &context, (&actor, &secret), id, expected, &change)?;
        view(&cart, changes)
    })
    .await
}

async fn patch_cart(call: Call, id: CartId, body: Body<CartPatch>) -> Result<Reply> {
    let lines = body.lines.as_ref().map(|lines| wanted(&call.actor, lines)).transpose()?;
    let CartPatch {
        email,
        marketing_consent,
        billing_address,
        shipping_address,
        shipping_method,
        locale,
        source,
        device,
        metadata,
        ..
    } = body.value;
    let wanted = Change {
        lines,
        email,
        marketing_consent,
        billing_address,
        shipping_address,
        shipping_method,
        locale,
        source,
        device,
        metadata,
        occurred_at: None,
        reference: None,
    };
    change(call, id, body.fingerprint, move |_| Ok(wanted.clone())).await
}

async fn add_line(call: Call, id: CartId, body: Body<LineRequest>) -> Result<Reply> {
    let mut lines = wanted(&call.actor, std::slice::from_ref(&body.value))?;
    let Some(line) = lines.pop() else { return Err(Error::internal("no line")) };
    change(call, id, body.fingerprint, move |cart| {
        let mut lines = service::as_wanted(cart)?;
        service::add(&mut lines, &line)?;
        Ok(Change { lines: Some(lines), ..Change::default() })
    })
    .await
}

async fn change_line(
    call: Call,
    id: CartId,
    line: CartLineId,
    quantity: Quantity,
    fingerprint: Fingerprint,
) -> Result<Reply> {
    change(call, id, fingerprint, move |cart| {
        let index = cart.line_index(line)?;
        let mut lines = service::as_wanted(cart)?;
        if quantity.is_zero() {
            lines.remove(index);
        } else if let Some(line) = lines.get_mut(index) {
            line.quantity = quantity;
        }
        Ok(Change { lines: Some(lines), ..Change::default() })
    })
    .await
}

async fn freeze(call: Call, id: CartId) -> Result<Reply> {
    staff_or_shopper(&call)?;
    let (context, locations) = (context_of(&call, id).await?, call.snapshot::<Locations>().await?);
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    call.command(&Fingerprint::none(), move |tx| {
        let (cart, changes) = service::freeze(tx, &context, (&actor, &secret), id, &locations)?;
        view(&cart, changes)
    })
    .await
}

async fn options(call: &Call, id: CartId) -> Result<(Cart, Vec<ShippingOption>)> {
    staff_or_shopper(call)?;
    let context = context_of(call, id).await?;
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    call.read(move |tx| {
        let mut cart = service::find(tx, &actor, &secret, id)?;
        cart.details.shipping_method = None;
        let priced = pricing::reprice(tx, &context, &mut cart, false)?;
        let totals = cart.details.totals.as_ref();
        let value = totals.map_or(0, |totals| totals.subtotal.minor() - totals.discount.minor());
        let value = crate::kernel::Money::from_minor(value, cart.currency);
        let address = cart.details.shipping_address.as_ref();
        let country = address.map_or_else(|| context.channel.default_country(), |address| Ok(address.country))?;
        let weight = pricing::weight(&cart, &priced.variants);
        let options = shipping_options(&context.rules, cart.channel, country, cart.currency, weight, value);
        Ok((cart, options))
    })
    .await
}

async fn payment_options(call: &Call, id: CartId) -> Result<PaymentOptions> {
    staff_or_shopper(call)?;
    let context = context_of(call, id).await?;
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    let cart = call.read(move |tx| service::find(tx, &actor, &secret, id)).await?;
    let reason = |code: &str| match code {
        _ if cart.details.lines.is_empty() => Some("the cart is empty".to_owned()),
        "sandbox" if cart.total() == 0 => Some("there is nothing to pay: use `manual`".to_owned()),
        _ => None,
    };
    let option = |code: &Text<50>| {
        let reason = reason(code);
        PaymentOption { code: code.to_string(), available: reason.is_none(), reason }
    };
    Ok(PaymentOptions { items: context.channel.settings.payment_methods.iter().map(option).collect() })
}

/// The routes of the store surface.
pub mod store_routes {
    use super::*;

    /// Make a cart
    ///
    /// Empty, or with everything at once. A guest's answer holds the `token` that opens the cart: keep it.
    #[utoipa::path(tag = "cart", request_body = CartRequest, responses((status = 201, body = CartView)))]
    #[post("/carts")]
    async fn create_cart(call: Call, body: Body<CartRequest>) -> Result<Reply> {
        create(call, body).await
    }

    /// Read a cart
    #[utoipa::path(tag = "cart", params(("id" = String, Path)), responses((status = 200, body = CartView)))]
    #[get("/carts/{id}")]
    async fn read_cart(call: Call, path: RefPath<CartId>) -> Result<Reply> {
        read(call, path.0).await
    }

    /// Change a cart
    ///
    /// Lines, addresses, e-mail, shipping choice at once. The answer is the cart, priced, with its problems.
    #[utoipa::path(tag = "cart", params(("id" = String, Path)), request_body = CartPatch, responses((status = 200, body = CartView)))]
    #[patch("/carts/{id}")]
    async fn update_cart(call: Call, path: RefPath<CartId>, body: Body<CartPatch>) -> Result<Reply> {
        patch_cart(call, path.0, body).await
    }

    /// Add a line
    ///
    /// Summed with a line of the same SKU and metadata.
    #[utoipa::path(tag = "cart", params(("id" = String, Path)), request_body = LineRequest, responses((status = 200, body = CartView)))]
    #[post("/carts/{id}/lines")]
    async fn add_cart_line(call: Call, path: RefPath<CartId>, body: Body<LineRequest>) -> Result<Reply> {
        add_line(call, path.0, body).await
    }

    /// Change a line's quantity
    #[utoipa::path(tag = "cart", params(("id" = String, Path), ("line_id" = String, Path)), request_body = LinePatch,
        responses((status = 200, body = CartView)))]
    #[patch("/carts/{id}/lines/{line_id}")]
    async fn update_cart_line(call: Call, path: RefPath<(CartId, CartLineId)>, body: Body<LinePatch>) -> Result<Reply> {
        change_line(call, path.0.0, path.0.1, body.value.quantity, body.fingerprint).await
    }

    /// Remove a line
    #[utoipa::path(tag = "cart", params(("id" = String, Path), ("line_id" = String, Path)), responses((status = 200, body = CartView)))]
    #[delete("/carts/{id}/lines/{line_id}")]
    async fn remove_cart_line(call: Call, path: RefPath<(CartId, CartLineId)>) -> Result<Reply> {
        change_line(call, path.0.0, path.0.1, Quantity::ZERO, Fingerprint::none()).await
    }

    /// See the shipping options
    #[utoipa::path(tag = "check out", params(("id" = String, Path)), responses((status = 200, body = ShippingOptions)))]
    #[get("/carts/{id}/shipping-options")]
    async fn list_shipping_options(call: Call, path: RefPath<CartId>) -> Result<Reply> {
        let (_, items) = options(&call, path.0).await?;
        Reply::ok(&ShippingOptions { items })
    }

    /// See the payment options
    #[utoipa::path(tag = "check out", params(("id" = String, Path)), responses((status = 200, body = PaymentOptions)))]
    #[get("/carts/{id}/payment-options")]
    async fn list_payment_options(call: Call, path: RefPath<CartId>) -> Result<Reply> {
        Reply::ok(&payment_options(&call, path.0).await?)
    }

    /// Merge another cart into this one
    ///
    /// As after signing in: equal lines are summed, nothing is lost, the other cart ends.
    #[utoipa::path(tag = "cart", params(("id" = String, Path)), request_body = MergeRequest, responses((status = 200, body = CartView)))]
    #[post("/carts/{id}/merge")]
    async fn merge_carts(call: Call, path: RefPath<CartId>, body: Body<MergeRequest>) -> Result<Reply> {
        let context = context_of(&call, path.0).await?;
        let (actor, secret, request, into) =
            (call.actor.clone(), call.state.secret.clone(), body.value.clone(), path.0);
        let fresh = Id::new();
        call.command(&body.fingerprint, move |tx| {
            let token = request.from_token.as_deref();
            let (cart, changes) = service::merge(tx, &context, (&actor, &secret), (into, request.from), token, fresh)?;
            view(&cart, changes)
        })
        .await
    }

    /// Begin the checkout
    ///
    /// Freezes prices, shipping and tax and reserves stock for some minutes (`frozen_until`). Any change of the cart
    /// thaws it. Optional: completing a cart that was not frozen does both at once.
    #[utoipa::path(tag = "check out", params(("id" = String, Path)), responses((status = 200, body = CartView)))]
    #[post("/carts/{id}/checkout")]
    async fn begin_checkout(call: Call, path: RefPath<CartId>) -> Result<Reply> {
        freeze(call, path.0).await
    }

    /// Mounts them.
    pub fn mount(config: &mut ServiceConfig<'_>) {
        config.service(create_cart).service(read_cart).service(update_cart);
        config.service(add_cart_line).service(update_cart_line).service(remove_cart_line);
        config.service(list_shipping_options).service(list_payment_options);
        config.service(merge_carts).service(begin_checkout);
    }
}

/// The routes of the ops surface.
pub mod ops_routes {
    use super::*;

    /// Make a cart for a customer
    ///
    /// As on the phone. `unit_price` per line needs `prices:override`, `occurred_at` needs `history:write`.
    #[utoipa::path(tag = "answer a customer", request_body = CartRequest, security(("token" = ["orders:write"])),
        responses((status = 201, body = CartView)))]
    #[post("/carts")]
    async fn create_cart(call: Call, body: Body<CartRequest>) -> Result<Reply> {
        create(call, body).await
    }

    /// Read a cart
    #[utoipa::path(tag = "answer a customer", params(("id" = String, Path)), security(("token" = ["orders:write"])),
        responses((status = 200, body = CartView)))]
    #[get("/carts/{id}")]
    async fn read_cart(call: Call, path: RefPath<CartId>) -> Result<Reply> {
        read(call, path.0).await
    }

    /// Change a cart
    #[utoipa::path(tag = "answer a customer", params(("id" = String, Path)), request_body = CartPatch,
        security(("token" = ["orders:write"])), responses((status = 200, body = CartView)))]
    #[patch("/carts/{id}")]
    async fn update_cart(call: Call, path: RefPath<CartId>, body: Body<CartPatch>) -> Result<Reply> {
        patch_cart(call, path.0, body).await
    }

    /// Mounts them.
    pub fn mount(config: &mut ServiceConfig<'_>) {
        config.service(create_cart).service(read_cart).service(update_cart);
    }
}
