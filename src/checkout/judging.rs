//! Judging a checkout: what is told to the rules of risk, and what is done about what they say.

use std::{net::IpAddr, sync::Arc};

use serde::Deserialize;

use super::{look::Ready, model::CompleteRequest, service::Checkout};
use crate::{
    carts::{self, Cart},
    db::Tx,
    error::{Code, Error, Result},
    http::idempotency::{self, Key},
    kernel::{Actor, Country, Money, text::Text},
    orders::{self, Command, OrderDocument, OrderState, holds},
    risk::{self, Decision, Facts, Found, KnownBy, Recorded},
};

/// What a storefront knows of whoever orders, for the rules of risk. What a browser tells can be made up: send what your server knows.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"device": "8d3f1c0a", "ip_country": "DE"}))]
pub struct RiskHints {
    /// What the storefront knows the device by.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub device: Option<Text<200>>,
    /// The address that the shopper's connection comes from: for staff and machine clients, who complete a cart for somebody. On the store
    /// surface it is that of the connection itself, behind trusted proxies (`http.trusted_proxies`), and refused here.
    #[schema(value_type = Option<String>, example = "203.0.113.9")]
    pub client_address: Option<IpAddr>,
    /// The country that this address is in, as a content network tells it.
    pub ip_country: Option<Country>,
}

/// That nobody at a storefront says where they come from: it is seen.
pub(super) fn check(actor: &Actor, request: &CompleteRequest) -> Result<()> {
    let told = request.risk.as_ref().is_some_and(|hints| hints.client_address.is_some());
    if told && matches!(actor, Actor::Shopper(_)) {
        let detail = "at a storefront the address is that of the connection: name your server in http.trusted_proxies";
        return Err(Error::invalid("/risk/client_address", detail));
    }
    Ok(())
}

/// What the rules of the channel say of a cart that is to be paid; nothing where it has none, nor of what was ordered elsewhere before. One
/// statement, and those that look for an earlier order where a rule asks for that.
pub(super) fn look(tx: &mut Tx, checkout: &Checkout, request: &CompleteRequest, cart: &Cart) -> Result<Option<Found>> {
    let Some(profile) = checkout.risk.as_ref().filter(|_| cart.details.occurred_at.is_none()) else { return Ok(None) };
    let (details, hints) = (&cart.details, request.risk.as_ref());
    let first_order = match profile.document.asks_for_first_orders() {
        true => Some(!carts::has_ordered(tx, cart.customer, details.email.as_ref())?),
        false => None,
    };
    let goes_to = carts::first_address(details);
    let facts = Facts {
        total: Money::from_minor(cart.total(), cart.currency),
        first_order,
        shipping_country: goes_to.map(|address| address.country),
        billing_country: details.billing_address.as_ref().map(|address| address.country),
        ip_country: hints.and_then(|hints| hints.ip_country),
        disposable: None,
        codes_tried: None,
        known: Vec::new(),
        tries: Vec::new(),
        losses: Vec::new(),
        listed: Vec::new(),
    };
    let client = hints.and_then(|hints| hints.client_address).or(checkout.client);
    let who = KnownBy::nothing(checkout.secret.clone())
        .email(details.email.as_ref())
        .customer(cart.customer)
        .client(client)
        .device(hints.and_then(|hints| hints.device.as_deref()))
        .card(checkout.card.clone())
        .address(goes_to);
    risk::look(tx, (checkout.context.now, cart.id), profile, &who, facts).map(Some)
}

/// Whether what was found is that the checkout is refused.
pub(super) fn refuses(ready: &Ready) -> bool {
    ready.judged.as_ref().is_some_and(|found| found.assessment.decision == Decision::Decline)
}

/// Writes down that a checkout is refused. The cart stays as it is; it is locked, so that nothing is noted of somebody who has just been
/// erased.
pub(super) fn note_refused(tx: &mut Tx, checkout: &Checkout, key: Option<&Key>, ready: &Ready) -> Result<()> {
    let cart = carts::claim(tx, &checkout.actor, &checkout.secret, checkout.tickets.cart)?;
    if cart.version != ready.prepared.cart.version {
        return Err(Error::overtaken("the cart"));
    }
    note(tx, checkout, ready)?;
    match key {
        // It may be let through another time.
        Some(key) => idempotency::release(tx, key.id),
        None => Ok(()),
    }
}

/// Writes down what was found.
pub(super) fn note(tx: &mut Tx, checkout: &Checkout, ready: &Ready) -> Result<()> {
    let Some(found) = &ready.judged else { return Ok(()) };
    let cart = &ready.prepared.cart;
    risk::record(tx, checkout.context.now, (checkout.tickets.assessment, cart.channel, cart.id), found)
}

/// What a shopper is told: not why.
pub(super) fn refused() -> Error {
    Error::problem(Code::CheckoutDeclined, "this order can not be taken online")
}

/// Does with a placed order what was decided: notes what was found of it, and holds it. The order as it is then.
pub(super) fn settle(
    tx: &mut Tx,
    checkout: &Checkout,
    order: &Arc<OrderDocument>,
    recorded: Option<&Recorded>,
) -> Result<Arc<OrderDocument>> {
    let Some(recorded) = recorded else { return Ok(order.clone()) };
    risk::placed(tx, recorded.assessment, order.id)?;
    // Of an order with which nothing is left to do there is nothing to hold.
    let Some(reason) = recorded.hold.clone().filter(|_| order.state == OrderState::Placed) else {
        return Ok(order.clone());
    };
    let new = holds::NewOrderHold {
        kind: holds::OrderHoldKind::Risk,
        line_no: None,
        blocks: Some(vec![Command::Ship]),
        reason,
        owner: None,
        expires_at: None,
    };
    let (now, event) = (checkout.context.now, checkout.tickets.hold);
    holds::hold(tx, now, &Actor::System("risk"), event, order.id, &new).map(Arc::new)
}

/// What was found of an order that an actor sees.
pub(super) fn of_order(tx: &mut Tx, actor: &Actor, reference: &str) -> Result<risk::RiskAssessment> {
    let id = orders::find(tx, actor, reference)?;
    risk::of_order(tx, id)
}
