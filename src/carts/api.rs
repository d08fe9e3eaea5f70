//! Routes of carts: for storefronts, and the same for staff who order for somebody on the phone.

use actix_web::{delete, get, patch, post};

pub use super::dto::{
    CartPatch, CartRequest, CouponRequest, LinePatch, LineRequest, MergeRequest, PaymentOption, PaymentOptions,
    ShippingChoice, ShippingOptions,
};
use super::{
    access, coupons, gifts,
    lines::{self, WantedLine},
    merge,
    model::{Cart, CartView, Problem},
    pricing::Context,
    service::{self, Change, NewCart},
    sourcing,
    stored::StoredChange,
    vat_ids,
};
use crate::{
    credit::{self, ON_ACCOUNT},
    db::{Json, Tx},
    error::{Code, Error, Result},
    http::{
        Body, Call, IfMatch, Mount, NoBody, RefPath, Reply, State, idempotency::Fingerprint, idempotency::Key,
        run_command_after,
    },
    kernel::{
        Actor, Device, Id, Money, PricePer, Quantity, Scope,
        ids::{CartId, CartLineId, ChannelId},
        text::Text,
    },
    payments,
    pricing::vat,
};

fn wanted(actor: &Actor, sent: &[LineRequest]) -> Result<Vec<WantedLine>> {
    if sent.len() > lines::MAX_LINES {
        return Err(Error::problem(Code::TooManyLines, "a cart holds at most 1000 lines").at("/lines"));
    }
    let wanted = |(place, line): (usize, &LineRequest)| wanted_line(actor, line, format!("/lines/{place}"));
    sent.iter().enumerate().map(wanted).collect()
}

/// A line that was sent at a place in the body.
fn wanted_line(actor: &Actor, line: &LineRequest, pointer: String) -> Result<WantedLine> {
    if let Some(price) = line.unit_price {
        let at = format!("{pointer}/unit_price");
        if !actor.holds(Scope::PriceOverride) {
            let detail = format!("an agreed price needs the scope `{}`", Scope::PriceOverride);
            return Err(Error::problem(Code::ScopeMissing, detail).at(at));
        }
        if price.scaled() < 0 {
            return Err(Error::invalid(at, "expected a price of 0 or more"));
        }
    } else if !line.per.is_one() {
        return Err(Error::invalid(format!("{pointer}/per"), "only beside a `unit_price`: it is for so many pieces"));
    }
    Ok(WantedLine {
        id: Id::new(),
        sku: line.sku.clone(),
        quantity: line.quantity,
        agreed: line.unit_price.map(|price| PricePer { price, per: line.per }),
        metadata: line.metadata.clone(),
        pointer,
    })
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

/// A shopper is the customer whose token they send, and names nobody else.
fn refuse_naming(call: &Call, named: bool) -> Result<()> {
    match call.actor {
        Actor::Shopper(_) if named => {
            Err(Error::problem(Code::UnknownField, "the customer's token names the customer").at("/customer_id"))
        }
        _ => Ok(()),
    }
}

async fn context(call: &Call, channel: ChannelId) -> Result<Context> {
    Context::of(&call.state, channel, call.now).await
}

/// The context of an existing cart: a storefront's channel, or for staff the cart's own.
pub(super) async fn context_of(call: &Call, id: CartId) -> Result<Context> {
    if let Actor::Shopper(shopper) = &call.actor {
        return context(call, shopper.channel).await;
    }
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    let cart = call.read(move |tx| service::look_at(tx, &actor, &secret, id)).await?;
    context(call, cart.channel).await
}

pub(super) fn staff_or_shopper(call: &Call) -> Result<()> {
    match call.actor {
        Actor::Shopper(_) => Ok(()),
        _ => call.allow(Scope::OrdersWrite).map(|_| ()),
    }
}

/// A cart as whoever asks may see it.
pub(super) fn shown(actor: &Actor, cart: Cart, changes: Vec<Problem>) -> CartView {
    match actor {
        Actor::Shopper(_) => CartView::new(cart, changes),
        _ => CartView::for_staff(cart, changes),
    }
}

fn view(actor: &Actor, cart: Cart, changes: Vec<Problem>) -> Result<Reply> {
    let version = cart.version;
    Ok(Reply::ok(&shown(actor, cart, changes))?.version(version))
}

/// Where a cart is read by whoever asks.
fn location(actor: &Actor, cart: CartId) -> String {
    let surface = if matches!(actor, Actor::Shopper(_)) { "store" } else { "ops" };
    format!("/v1/{surface}/carts/{cart}")
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
    if !request.coupons.is_empty() {
        tries_coupons(&call)?;
    }
    let channel = channel_of(&call, request.channel_id)?;
    refuse_naming(&call, request.customer_id.is_some())?;
    let key = call.idempotency_key(&body.fingerprint)?;
    if let Some(number) = &request.vat_id {
        let (key, secret) = (key.clone(), call.state.secret.clone());
        // A request that comes again is told what it was told: nobody is asked once more.
        if let Some(reply) = call.read(move |tx| vat_ids::answered(tx, key.as_ref(), &secret)).await? {
            return Ok(reply);
        }
        vat_ids::may_ask(&call, number)?;
    }
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
    let context = Context::of(state, channel, state.clock.now()).await?;
    let by_shopper = matches!(actor, Actor::Shopper(_));
    let change = Change {
        lines: Some(wanted(&actor, &request.lines)?),
        email: Some(request.email),
        marketing_consent: Some(request.marketing_consent),
        billing_address: Some(request.billing_address),
        vat_id: Some(match request.vat_id {
            Some(number) => Some(vat::check(state, number).await?),
            None => None,
        }),
        shipping_address: Some(request.shipping_address),
        shipping_method: Some(request.shipping_method),
        deliveries: None,
        payment_method: Some(request.payment_method),
        purchase_order: Some(request.purchase_order),
        coupons: Some(coupons::wanted(&request.coupons)?),
        stored: Vec::new(),
        locale: Some(request.locale),
        source: Some(request.source),
        device: Some(request.device.unwrap_or(if by_shopper { Device::Desktop } else { Device::CallCentre })),
        metadata: request.metadata,
        customer: request.customer_id.map(Some),
        occurred_at: request.occurred_at,
        reference: request.reference,
    };
    let (id, customer, currency) = (Id::new(), Id::new(), request.currency);
    let new = NewCart {
        id,
        customer,
        currency,
        change,
        quote: None,
        unattended: false,
        free_shipping: false,
        awaits_return: false,
    };
    let (id, token) = (new.id, access::cart_token(&state.secret, new.id));
    let (told, customer, pricing, drafter) = (token.clone(), new.customer, context.clone(), actor.clone());
    let draft = move |tx: &mut Tx| {
        let (cart, changes) = service::draft(tx, &pricing, &drafter, &new)?;
        // Written as text here already, beside other writes.
        let (doc, reply) = (Json::of(&cart.details)?, created(&drafter, &cart, &changes, &told)?);
        Ok(((cart, changes, told.clone(), doc), reply))
    };
    let create = move |tx: &mut Tx, (cart, changes, token, doc): &(Cart, Vec<Problem>, String, Json)| {
        let named = service::create(tx, &context, &actor, customer, (cart, doc))?;
        named.map(|named| created(&actor, &named, changes, token)).transpose()
    };
    Ok((run_command_after(state, key, draft, create).await?, id, token))
}

/// The answer that tells of a new cart, with the token that opens it where nobody is signed in.
fn created(actor: &Actor, cart: &Cart, changes: &[Problem], token: &str) -> Result<Reply> {
    let mut view = shown(actor, cart.clone(), changes.to_vec());
    view.token = cart.customer.is_none().then(|| token.to_owned());
    Ok(Reply::created(&view)?.version(cart.version).location(location(actor, cart.id)).secret())
}

async fn read(call: Call, id: CartId) -> Result<Reply> {
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    let cart = call.read(move |tx| service::look_at(tx, &actor, &secret, id)).await?;
    view(&call.actor, cart, Vec::new())
}

/// Runs a change on a cart.
pub(super) async fn change(
    call: Call,
    id: CartId,
    fingerprint: Fingerprint,
    change: impl Fn(&mut Cart) -> Result<Change> + Send + 'static,
) -> Result<Reply> {
    staff_or_shopper(&call)?;
    let context = context_of(&call, id).await?;
    let (actor, secret, expected, fresh) = (call.actor.clone(), call.state.secret.clone(), call.if_match()?, Id::new());
    let channel = context.channel.id;
    let changed = call.command(&fingerprint, move |tx| {
        let (cart, changes) = service::update(tx, &context, (&actor, &secret, fresh), id, expected, &change)?;
        view(&actor, cart, changes)
    });
    match changed.await {
        Err(error) => Err(coupons::note_refused(&call.state, (channel, id), error).await),
        done => done,
    }
}

async fn patch_cart(call: Call, id: CartId, body: Body<CartPatch>) -> Result<Reply> {
    refuse_naming(&call, body.customer_id.is_some())?;
    let lines = body.lines.as_ref().map(|lines| wanted(&call.actor, lines)).transpose()?;
    let coupons = body.coupons.as_ref().map(|codes| coupons::wanted(codes)).transpose()?;
    if coupons.as_ref().is_some_and(|codes| !codes.is_empty()) {
        tries_coupons(&call)?;
    }
    if body.store_credit == Some(true) && !matches!(call.actor, Actor::Shopper(_)) {
        // It is the customer's money, of all channels.
        call.allow_everywhere(Scope::PaymentsWrite)?;
    }
    let stored = body.store_credit.map(StoredChange::Credit).into_iter().collect();
    let vat_id = match body.vat_id.clone() {
        None => None,
        Some(None) => Some(None),
        Some(Some(number)) => {
            staff_or_shopper(&call)?;
            if let Some(reply) = vat_ids::answered_before_asking(&call, id, &body.fingerprint).await? {
                return Ok(reply);
            }
            vat_ids::may_ask(&call, &number)?;
            Some(Some(vat::check(&call.state, number).await?))
        }
    };
    let CartPatch {
        customer_id,
        email,
        marketing_consent,
        billing_address,
        shipping_address,
        shipping_method,
        payment_method,
        purchase_order,
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
        vat_id,
        shipping_address,
        shipping_method,
        deliveries: None,
        payment_method,
        purchase_order,
        coupons,
        stored,
        locale,
        source,
        device,
        metadata: metadata.map(Option::unwrap_or_default),
        customer: customer_id,
        occurred_at: None,
        reference: None,
    };
    change(call, id, body.fingerprint, move |_| Ok(wanted.clone())).await
}

/// Codes can not be guessed by trying: what a storefront's visitor sends is counted by their address.
pub(super) fn tries_coupons(call: &Call) -> Result<()> {
    match call.actor {
        Actor::Shopper(_) => call.state.limits.check_coupon(call.request()),
        _ => Ok(()),
    }
}

async fn add_coupon(call: Call, id: CartId, body: Body<CouponRequest>) -> Result<Reply> {
    tries_coupons(&call)?;
    let new = coupons::named(&body.code, "/code".to_owned())?;
    change(call, id, body.fingerprint, move |cart| {
        let mut wanted = coupons::as_wanted(cart);
        if !wanted.iter().any(|known| known.code == new.code) {
            wanted.push(new.clone());
        }
        Ok(Change { coupons: Some(wanted), ..Change::default() })
    })
    .await
}

async fn remove_coupon(call: Call, id: CartId, code: String) -> Result<Reply> {
    let gone = coupons::named(&code, String::new()).map_err(|_| Error::not_found("coupon"))?;
    change(call, id, Fingerprint::none(), move |cart| {
        let mut wanted = coupons::as_wanted(cart);
        wanted.retain(|known| known.code != gone.code);
        Ok(Change { coupons: Some(wanted), ..Change::default() })
    })
    .await
}

async fn add_line(call: Call, id: CartId, body: Body<LineRequest>) -> Result<Reply> {
    let line = wanted_line(&call.actor, &body.value, String::new())?;
    change(call, id, body.fingerprint, move |cart| {
        let mut wanted = lines::as_wanted(cart);
        lines::add(&mut wanted, &line)?;
        Ok(Change { lines: Some(wanted), ..Change::default() })
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
    let agrees_prices = call.actor.holds(Scope::PriceOverride);
    change(call, id, fingerprint, move |cart| {
        let place = cart.line_index(line)?;
        if gifts::declined(cart, place, quantity)? {
            return Ok(Change::default());
        }
        let mut wanted = lines::as_wanted(cart);
        lines::set_quantity(&mut wanted, place, quantity, agrees_prices)?;
        Ok(Change { lines: Some(wanted), ..Change::default() })
    })
    .await
}

async fn freeze(call: Call, id: CartId) -> Result<Reply> {
    staff_or_shopper(&call)?;
    let context = context_of(&call, id).await?;
    let (actor, secret, expected, fresh) = (call.actor.clone(), call.state.secret.clone(), call.if_match()?, Id::new());
    call.command(&Fingerprint::none(), move |tx| {
        let (cart, changes) = service::freeze(tx, &context, (&actor, &secret, fresh), id, expected)?;
        view(&actor, cart, changes)
    })
    .await
}

async fn merge_into(call: Call, into: CartId, body: Body<MergeRequest>) -> Result<Reply> {
    staff_or_shopper(&call)?;
    let context = context_of(&call, into).await?;
    let (actor, secret, expected) = (call.actor.clone(), call.state.secret.clone(), call.if_match()?);
    let (request, fresh) = (body.value.clone(), Id::new());
    call.command(&body.fingerprint, move |tx| {
        let (both, token) = ((into, request.from), request.from_token.as_deref());
        let (cart, changes) = merge::merge(tx, &context, (&actor, &secret, fresh), both, token, expected)?;
        view(&actor, cart, changes)
    })
    .await
}

async fn options(call: &Call, id: CartId) -> Result<ShippingOptions> {
    let context = context_of(call, id).await?;
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    call.read(move |tx| {
        let mut cart = service::look_at(tx, &actor, &secret, id)?;
        sourcing::offered(tx, &context, &mut cart)
    })
    .await
}

async fn payment_options(call: &Call, id: CartId) -> Result<PaymentOptions> {
    let context = context_of(call, id).await?;
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    let offers = context.channel.offers_payment(ON_ACCOUNT).is_ok();
    let found = call.read(move |tx| {
        let cart = service::look_at(tx, &actor, &secret, id)?;
        let due = Money::from_minor(cart.due(), cart.currency);
        let approved = cart.details.approved.as_ref().is_some_and(|approved| approved.credit_up_to.is_some());
        let on_account = if offers && !approved { credit::refusal(tx, cart.customer, due)? } else { None };
        Ok((cart, on_account))
    });
    let (cart, on_account) = found.await?;
    let (providers, total) = (payments::providers(&call.state), Money::from_minor(cart.due(), cart.currency));
    let reason = |code: &str| match providers.get(code) {
        Some(_) if code == ON_ACCOUNT && on_account.is_some() => on_account.clone(),
        None => Some("there is no such payment provider any more".to_owned()),
        Some(_) if cart.details.lines.is_empty() => Some("the cart is empty".to_owned()),
        Some(provider) => provider.refusal(total),
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
    #[utoipa::path(tag = "cart", params(("id" = inline(CartId), Path)), responses((status = 200, body = CartView)))]
    #[get("/carts/{id}")]
    async fn read_cart(call: Call, path: RefPath<CartId>) -> Result<Reply> {
        read(call, path.0).await
    }

    /// Change a cart
    ///
    /// Lines, addresses, e-mail, shipping choice at once. The answer is the cart, priced, with its problems.
    ///
    /// A guest's cart that is written to with a customer's token beside its `Cart-Token` (here, line by line, by beginning the
    /// checkout or by completing it) becomes the customer's: from then on their token opens it, and the `Cart-Token` alone does
    /// no more.
    #[utoipa::path(tag = "cart", params(("id" = inline(CartId), Path), IfMatch), request_body = CartPatch,
        responses((status = 200, body = CartView)))]
    #[patch("/carts/{id}")]
    async fn update_cart(call: Call, path: RefPath<CartId>, body: Body<CartPatch>) -> Result<Reply> {
        patch_cart(call, path.0, body).await
    }

    /// Add a line
    ///
    /// Summed with a line of the same SKU and metadata.
    #[utoipa::path(tag = "cart", params(("id" = inline(CartId), Path), IfMatch), request_body = LineRequest,
        responses((status = 200, body = CartView)))]
    #[post("/carts/{id}/lines")]
    async fn add_cart_line(call: Call, path: RefPath<CartId>, body: Body<LineRequest>) -> Result<Reply> {
        add_line(call, path.0, body).await
    }

    /// Change a line's quantity
    #[utoipa::path(tag = "cart", params(("id" = inline(CartId), Path),
        ("line_id" = inline(CartLineId), Path), IfMatch), request_body = LinePatch,
        responses((status = 200, body = CartView)))]
    #[patch("/carts/{id}/lines/{line_id}")]
    async fn update_cart_line(call: Call, path: RefPath<(CartId, CartLineId)>, body: Body<LinePatch>) -> Result<Reply> {
        change_line(call, path.0.0, path.0.1, body.value.quantity, body.fingerprint).await
    }

    /// Remove a line
    #[utoipa::path(tag = "cart", params(("id" = inline(CartId), Path),
        ("line_id" = inline(CartLineId), Path), IfMatch), responses((status = 200, body = CartView)))]
    #[delete("/carts/{id}/lines/{line_id}")]
    async fn remove_cart_line(call: Call, path: RefPath<(CartId, CartLineId)>) -> Result<Reply> {
        change_line(call, path.0.0, path.0.1, Quantity::ZERO, Fingerprint::none()).await
    }

    /// Use a coupon
    ///
    /// One that can not be used is refused. One whose conditions the cart does not fulfil stays on it and counts as soon as it does:
    /// `problems` tell what is missing.
    #[utoipa::path(tag = "cart", params(("id" = inline(CartId), Path), IfMatch), request_body = CouponRequest,
        responses((status = 200, body = CartView)))]
    #[post("/carts/{id}/coupons")]
    async fn use_coupon(call: Call, path: RefPath<CartId>, body: Body<CouponRequest>) -> Result<Reply> {
        add_coupon(call, path.0, body).await
    }

    /// Take a coupon off
    #[utoipa::path(tag = "cart", params(("id" = inline(CartId), Path), ("code" = String, Path), IfMatch),
        responses((status = 200, body = CartView)))]
    #[delete("/carts/{id}/coupons/{code}")]
    async fn take_coupon_off(call: Call, path: RefPath<(CartId, String)>) -> Result<Reply> {
        remove_coupon(call, path.0.0, path.0.1).await
    }

    /// See the shipping options
    #[utoipa::path(tag = "check out", params(("id" = inline(CartId), Path)),
        responses((status = 200, body = ShippingOptions)))]
    #[get("/carts/{id}/shipping-options")]
    async fn list_shipping_options(call: Call, path: RefPath<CartId>) -> Result<Reply> {
        Reply::ok(&options(&call, path.0).await?)
    }

    /// See the payment options
    #[utoipa::path(tag = "check out", params(("id" = inline(CartId), Path)),
        responses((status = 200, body = PaymentOptions)))]
    #[get("/carts/{id}/payment-options")]
    async fn list_payment_options(call: Call, path: RefPath<CartId>) -> Result<Reply> {
        Reply::ok(&payment_options(&call, path.0).await?)
    }

    /// Merge another cart into this one
    ///
    /// As after signing in: equal lines are summed, nothing is lost, the other cart ends.
    #[utoipa::path(tag = "cart", params(("id" = inline(CartId), Path), IfMatch), request_body = MergeRequest,
        responses((status = 200, body = CartView)))]
    #[post("/carts/{id}/merge")]
    async fn merge_carts(call: Call, path: RefPath<CartId>, body: Body<MergeRequest>) -> Result<Reply> {
        merge_into(call, path.0, body).await
    }

    /// Begin the checkout
    ///
    /// Freezes prices, shipping and tax and reserves stock for some minutes (`frozen_until`). Any change of the cart
    /// thaws it. Optional: completing a cart that was not frozen does both at once.
    #[utoipa::path(tag = "check out", params(("id" = inline(CartId), Path), IfMatch),
        responses((status = 200, body = CartView)))]
    #[post("/carts/{id}/checkout")]
    async fn begin_checkout(call: Call, path: RefPath<CartId>, _: NoBody) -> Result<Reply> {
        freeze(call, path.0).await
    }

    /// Mounts them.
    pub fn mount(config: &mut Mount<'_>) {
        config.service(create_cart).service(read_cart).service(update_cart);
        config.service(add_cart_line).service(update_cart_line).service(remove_cart_line);
        config.service(use_coupon).service(take_coupon_off);
        config.service(list_shipping_options).service(list_payment_options);
        config.service(merge_carts).service(begin_checkout);
    }
}

/// The routes of the ops surface.
pub mod ops_routes {
    use super::*;

    /// Make a cart for a customer
    ///
    /// As on the phone. `customer_id` makes it that customer's, who then has the order among theirs; without it, it is a
    /// guest's. `unit_price` per line needs `prices:override`, `occurred_at` needs `history:write`.
    #[utoipa::path(tag = "answer a customer", request_body(content = CartRequest, example = json!({
            "channel_id": "chan_01h455vb4pex5vsknk084sn02q", "email": "ada@example.org",
            "lines": [{"sku": "TEE-BLACK-M", "quantity": 2}], "shipping_method": "standard",
            "shipping_address": {"name": "Ada Lovelace", "street1": "Invalidenstr. 117", "postcode": "10115", "city": "Berlin",
                "country": "DE", "phone": "+49 30 1234567"},
        })), security(("token" = ["orders:write"])),
        responses((status = 201, body = CartView)))]
    #[post("/carts")]
    async fn create_cart(call: Call, body: Body<CartRequest>) -> Result<Reply> {
        create(call, body).await
    }

    /// Read a cart
    ///
    /// As it stands; work lists link here.
    #[utoipa::path(tag = "answer a customer", params(("id" = inline(CartId), Path)),
        security(("token" = ["orders:read"])),
        responses((status = 200, body = CartView)))]
    #[get("/carts/{id}")]
    async fn read_cart(call: Call, path: RefPath<CartId>) -> Result<Reply> {
        call.allow(Scope::OrdersRead)?;
        read(call, path.0).await
    }

    /// Change a cart
    #[utoipa::path(tag = "answer a customer", params(("id" = inline(CartId), Path), IfMatch), request_body = CartPatch,
        security(("token" = ["orders:write"])), responses((status = 200, body = CartView)))]
    #[patch("/carts/{id}")]
    async fn update_cart(call: Call, path: RefPath<CartId>, body: Body<CartPatch>) -> Result<Reply> {
        patch_cart(call, path.0, body).await
    }

    /// Mounts them.
    pub fn mount(config: &mut Mount<'_>) {
        config.service(create_cart).service(read_cart).service(update_cart);
    }
}
