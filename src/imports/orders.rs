//! Orders that were made elsewhere, at a marketplace or by EDI: taken once by the name that they have there, at the prices that they have there,
//! and only where these add up.

use actix_web::post;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    carts::{
        self, Cart, Context,
        api::{CartRequest, LineRequest},
        quoted,
    },
    checkout::{self, CompleteRequest, PaymentChoice},
    customers::{self, Address},
    db::Tx,
    error::{Code, Error, Result},
    http::{Body, Call, Mount, Reply},
    kernel::{
        Actor, Device, Money, Per, Scope,
        ids::{CartId, ChannelId, CustomerId},
        text::{Email, Text},
    },
    orders::{self, OrderDocument},
    payments::MANUAL,
};

/// An order that was made elsewhere.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "channel_id": "chan_01h455vb4pex5vsknk084sn02q", "reference": {"system": "marketplace", "value": "302-1234567"},
    "email": "ada@example.org", "shipping_method": "standard", "total": {"amount": "39.80", "currency": "EUR"},
    "tolerance": {"amount": "10.00", "currency": "EUR"},
    "lines": [{"sku": "TEE-BLACK-M", "quantity": 2, "unit_price": {"amount": "19.90", "currency": "EUR"}}],
    "shipping_address": {"name": "Ada Lovelace", "street1": "Invalidenstr. 117", "postcode": "10115", "city": "Berlin", "country": "DE"},
}))]
pub struct ForeignOrderRequest {
    /// The channel that stands for the marketplace.
    #[schema(value_type = String)]
    pub channel_id: ChannelId,
    /// What the order is called there: only one order ever gets the same name.
    pub reference: carts::ForeignOrder,
    /// The customer, where they are known here. Needs the scope `customers:read`.
    #[schema(value_type = Option<String>)]
    pub customer_id: Option<CustomerId>,
    /// What is ordered, each line with the `unit_price` that it has there.
    #[schema(max_items = 1000)]
    pub lines: Vec<LineRequest>,
    /// What it costs there, shipping and tax included.
    pub total: Money,
    /// By how much what it costs here may differ from that; not at all where absent.
    pub tolerance: Option<Money>,
    /// Who orders.
    pub email: Email,
    /// Where it goes.
    pub shipping_address: Option<Address>,
    /// Who pays.
    pub billing_address: Option<Address>,
    /// The code of a shipping method of the channel.
    #[schema(value_type = Option<String>)]
    pub shipping_method: Option<Text<50>>,
    /// The company's own number of the order.
    #[schema(value_type = Option<String>)]
    pub purchase_order: Option<Text<50>>,
}

/// The order of a foreign name.
async fn known(call: &Call, request: &ForeignOrderRequest) -> Result<Option<OrderDocument>> {
    let (actor, reference) = (call.actor.clone(), request.reference.clone());
    call.read(move |tx| {
        let known = orders::known_ref(tx, &reference.system, orders::FOREIGN_ORDER, &reference.value)?;
        let Some((id, _)) = known else { return Ok(None) };
        let order = orders::document(tx, id)?.filter(|order| actor.sees_channel(order.channel_id));
        // Of a channel that is not the caller's it is not there, and no other gets its name.
        order.map(Some).ok_or_else(orders::known_already)
    })
    .await
}

fn cart_request(request: &ForeignOrderRequest) -> CartRequest {
    CartRequest {
        channel_id: Some(request.channel_id),
        customer_id: request.customer_id,
        currency: Some(request.total.currency()),
        lines: request.lines.clone(),
        email: Some(request.email.clone()),
        marketing_consent: false,
        billing_address: request.billing_address.clone(),
        vat_id: None,
        shipping_address: request.shipping_address.clone(),
        shipping_method: request.shipping_method.clone(),
        payment_method: None,
        purchase_order: request.purchase_order.clone(),
        coupons: Vec::new(),
        locale: None,
        source: None,
        device: Some(Device::Desktop),
        metadata: None,
        occurred_at: None,
        reference: Some(request.reference.clone()),
    }
}

/// That the sums agree, as far as they have to: what it is to cost here.
fn agreed(request: &ForeignOrderRequest, here: Money) -> Result<Money> {
    let tolerance = request.tolerance.unwrap_or(Money::zero(here.currency()));
    if tolerance.currency() != here.currency() || tolerance.minor() < 0 {
        let detail = format!("expected an amount of 0 or more in {}", here.currency());
        return Err(Error::invalid("/tolerance", detail));
    }
    match (here.minor() - request.total.minor()).abs() <= tolerance.minor() {
        true => Ok(here),
        false => {
            let detail = format!("here it costs {here}, there {}", request.total);
            let error = Error::problem(Code::TotalChanged, detail).at("/total");
            Err(error.with("total", serde_json::to_value(here)?))
        }
    }
}

/// That a credential with a ceiling gives no more away than that: what the cart would cost here is looked at without the prices from there.
async fn within_ceiling(call: &Call, cart: Cart) -> Result<()> {
    if call.actor.within_ceiling(i64::MAX) {
        return Ok(());
    }
    let context = Context::of(&call.state, cart.channel, call.now).await?;
    let (total, mut listed) = (cart.total(), cart);
    for line in &mut listed.details.lines {
        (line.agreed_price, line.agreed_per) = (None, Per::ONE);
    }
    let read = move |tx: &mut Tx| {
        carts::reprice(tx, &context, &mut listed, false)?;
        // What has no price here, of that nobody knows what is given away.
        Ok(listed.details.totals.is_some().then(|| listed.total()))
    };
    let listed = call.read(read).await?;
    match listed.is_some_and(|listed| call.actor.within_ceiling(listed.saturating_sub(total))) {
        true => Ok(()),
        false => {
            let detail = "more is given away below the prices here than this credential may";
            Err(Error::problem(Code::CeilingExceeded, detail).at("/lines"))
        }
    }
}

/// Orders a cart that was made for it.
async fn order(call: &Call, request: &ForeignOrderRequest, cart: CartId) -> Result<Option<OrderDocument>> {
    let here = call.read(move |tx| carts::load(tx, cart)).await?;
    let total = agreed(request, Money::from_minor(here.total(), here.currency))?;
    within_ceiling(call, here).await?;
    let method = Text::new(MANUAL).map_err(|error| Error::internal(format!("{error:?}")))?;
    let payment = Some(PaymentChoice { method, instrument: None, return_url: None });
    let wanted = CompleteRequest { expected_total: Some(total), expected_due: None, payment, risk: None };
    checkout::complete_for(&call.state, (Actor::System("imports"), None), request.channel_id, cart, wanted, None)
        .await?;
    call.read(move |tx| orders::of_cart(tx, cart)).await
}

fn shown(order: &OrderDocument, new: bool) -> Result<Reply> {
    let reply = if new { Reply::created(order)? } else { Reply::ok(order)? };
    Ok(reply.version(order.version))
}

/// Take an order over that was made elsewhere
///
/// At a marketplace, or by EDI. The prices of its lines are taken as they are; what it costs here with shipping and tax has to be its `total`, but for
/// `tolerance`, else it is refused (`total_changed`). Naming a `customer_id` needs `customers:read`. A credential with a ceiling gives no more
/// away below the prices that the order would have here (`ceiling_exceeded`). However often and however concurrently it is sent, there is one order of its
/// `reference`: whoever comes later is answered 200 with it. Its money comes by `manual`: report it as it comes in.
#[utoipa::path(tag = "import", request_body = ForeignOrderRequest, security(("token" = ["orders:import"])), responses(
    (status = 201, description = "The order.", body = OrderDocument), (status = 200, description = "Known already", body = OrderDocument)))]
#[post("/orders")]
async fn take_order_over(call: Call, body: Body<ForeignOrderRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersImport)?;
    if !actor.sees_channel(body.channel_id) {
        return Err(Error::not_found("channel").at("/channel_id"));
    }
    // What is looked at is only whether it can be heeded: the reference is the key.
    call.idempotency_key(&body.fingerprint)?;
    let request = body.value;
    if let Some(line) = request.lines.iter().position(|line| line.unit_price.is_none()) {
        let detail = "say what it costs there";
        return Err(Error::problem(Code::MissingField, detail).at(format!("/lines/{line}/unit_price")));
    }
    if let Some(order) = known(&call, &request).await? {
        return shown(&order, false);
    }
    if let Some(customer) = request.customer_id {
        let naming = actor.clone();
        let named = call.read(move |tx| customers::named(tx, &naming, customer)).await;
        named.map_err(|error| error.at("/customer_id"))?;
    }
    let imports = Actor::System("imports");
    let made = carts::api::create_for(&call.state, imports, request.channel_id, cart_request(&request), None).await?;
    let (cart, now) = (made.0, call.now);
    let failed = match order(&call, &request, cart).await {
        Ok(Some(order)) => return shown(&order, true),
        Ok(None) => Error::internal("an order that nobody is asked about is not there yet"),
        Err(error) => error,
    };
    // Nothing comes of this cart.
    call.state.db.write(move |tx| quoted::end(tx, now, cart)).await?;
    match known(&call, &request).await? {
        Some(order) if failed.code() == Code::Duplicate => shown(&order, false),
        _ => Err(failed),
    }
}

/// The route of the integration surface.
pub fn integration(config: &mut Mount<'_>) {
    config.service(take_order_over);
}
