//! Commands on deliveries of orders that are picked up, or were to be.

use std::collections::HashMap;

use serde::Serialize;

use super::jobs;
use crate::{
    carts::{Delivery, PickUp},
    customers::Address,
    db::{Json, Tx},
    error::{Code, Error, Result},
    events::EventSchema,
    fulfilment::{
        dropship, facts,
        ids::Fresh,
        model::{Command, FulfilmentOrder, Pieces, Shipment},
        moves,
        service::{NewShipment, Part, announce, place, plan, save_states, ship_parts, start},
        shipped_lots::ShippedLot,
        store,
        told::{self, work_payload},
    },
    kernel::{
        Actor, Instant, Money,
        ids::{ChannelId, FulfilmentOrderId, OrderId},
    },
    orders::{self, OrderDocument},
    pricing::{
        Rules,
        rates::{ShippingMethod, shipping_rate},
    },
    stock::{self, Locations, sourcing::Sources},
};

/// The type of the event that a delivery of an order goes another way.
const REDIRECTED: &str = "order.delivery_changed.v1";

/// What `order.delivery_changed.v1` says: the order as it is now, and how the delivery would have gone.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OrderDeliveryChanged)]
struct Redirected<'a> {
    #[serde(flatten)]
    order: &'a OrderDocument,
    /// The key of the delivery that is meant; absent where the order has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<&'a str>,
    /// The method by which it would have gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    method_before: Option<&'a str>,
    /// The code of the location where it would have been picked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pickup_before: Option<&'a str>,
    /// Why.
    reason: &'a str,
}

/// What the events of this part carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    vec![EventSchema::of::<Redirected<'_>>(REDIRECTED)]
}

/// Another way for a delivery of an order.
#[derive(Debug, Clone)]
pub(in crate::fulfilment) struct Redirect {
    /// The key of the delivery; needed where the order has several.
    pub delivery: Option<String>,
    /// The code of a shipping method of the order's channel. It says where the delivery is picked up, if it is.
    pub method: String,
    /// Where to, unless it is picked up; the one that it has when absent.
    pub address: Option<Address>,
    /// Whether the customer pays what they have paid though the method costs more.
    pub keep_price: bool,
    /// Why.
    pub reason: String,
}

/// What is known where a delivery is given another way.
#[derive(Clone, Copy)]
pub(in crate::fulfilment) struct Knowing<'a> {
    pub locations: &'a Locations,
    pub rules: &'a Rules,
}

/// Gives a delivery of which nothing is picked another method, address or pick-up place, and has what it ships planned anew: each
/// fulfilment order by a job. The customer pays what they have paid.
///
/// # Errors
/// `not_found`; `missing_field`; `invalid_value`; `shipping_method_unavailable`; `state_conflict` when something of it is picked or has
/// left, a supplier has acknowledged it, when it would cost more, go to another country, nothing would be changed, or the place where it
/// would be picked up has declined it; `out_of_stock` with what is `missing` there, `not_capable` where it can not be handled there.
pub(in crate::fulfilment) fn redirect(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    fresh: &Fresh,
    (id, what): (OrderId, &Redirect),
    knowing: Knowing<'_>,
) -> Result<OrderDocument> {
    let mut order = orders::lock(tx, id)?;
    let Ready { number, method, before, mut works } = ready(tx, now, (&mut order, what), knowing)?;
    orders::redirected(tx, &order, number)?;
    for work in &mut works {
        if let Some(own) = &mut work.delivery {
            (own.method, own.pickup) = (Some(method.code.clone()), method.pickup.is_some());
            store::save_plan(tx, work)?;
        }
    }
    jobs::plan_anew(tx, now, &works, &what.reason)?;
    for work in &mut works {
        work.advance(work.state, now);
    }
    save_states(tx, now, &works)?;
    orders::save(tx, now, &mut order, &[], place(works.len() + 1))?;
    let method_before = before.method.as_deref();
    let pickup_before = before.pickup.as_ref().map(|place| place.location.as_str());
    let payload = order.payload_of(Some(number), |order| {
        let delivery = order.deliveries.get(number).and_then(|delivery| delivery.key.as_deref());
        Json::of(&Redirected { order, delivery, method_before, pickup_before, reason: &what.reason })
    })?;
    let mut happened = vec![(REDIRECTED, payload)];
    // Who ships it is told where to, also where the goods stay there.
    for work in &works {
        happened.push((told::REDIRECTED, work_payload(&order, work, Vec::new())?));
    }
    announce(tx, (now, now), actor, &order, &mut fresh.draw(), happened)?;
    Ok(order)
}

/// A delivery that can go another way.
struct Ready<'a> {
    number: usize,
    method: &'a ShippingMethod,
    /// As it would have gone.
    before: Delivery,
    /// The work with it.
    works: Vec<FulfilmentOrder>,
}

/// That a delivery of an order can go another way, and the order's document with that way: nothing is written.
fn ready<'a>(
    tx: &mut Tx,
    now: Instant,
    (order, what): (&mut OrderDocument, &Redirect),
    knowing: Knowing<'a>,
) -> Result<Ready<'a>> {
    order.state.apply(orders::Command::Ship)?;
    let number = number(order, what.delivery.as_deref())?;
    let missing = || Error::not_found("delivery of the order").at("/delivery");
    let before = order.deliveries.get(number).cloned().ok_or_else(missing)?;
    let mut works = store::of_order(tx, order.id)?;
    works.retain(|work| work.number() == number && work.counts().any(|counts| counts.quantity > counts.cancelled));
    untouched(tx, &works)?;
    let method = method(order.channel_id, what, knowing.rules)?;
    let after = changed(now, &before, (method, what), knowing)?;
    affordable(tx, now, (&*order, &before), (method, what), (&after, knowing))?;
    let slot = order.deliveries.get_mut(number).ok_or_else(missing)?;
    *slot = after;
    lie_there(tx, now, (&*order, what.delivery.as_deref()), &works, knowing.locations)?;
    Ok(Ready { number, method, before, works })
}

/// That a delivery of an order can go another way: nothing is written.
///
/// # Errors
/// As [`redirect`].
pub(in crate::fulfilment) fn may_redirect(
    tx: &mut Tx,
    now: Instant,
    (order, what): (&OrderDocument, &Redirect),
    knowing: Knowing<'_>,
) -> Result<()> {
    ready(tx, now, (&mut order.clone(), what), knowing).map(|_| ())
}

/// The place of a delivery among the order's.
fn number(order: &OrderDocument, key: Option<&str>) -> Result<usize> {
    match key {
        None if order.deliveries.len() > 1 => {
            Err(Error::problem(Code::MissingField, "the order has several deliveries: name one").at("/delivery"))
        }
        None => Ok(0),
        Some(key) => {
            let place = order.deliveries.iter().position(|one| one.key.as_deref() == Some(key));
            place.ok_or_else(|| Error::not_found("delivery of the order").at("/delivery"))
        }
    }
}

/// That nothing of a delivery is picked or has left, no supplier has said that they ship it, and nobody has asked to cancel it.
fn untouched(tx: &mut Tx, works: &[FulfilmentOrder]) -> Result<()> {
    if works.is_empty() {
        return Err(Error::conflict("nothing of the delivery is to be shipped"));
    }
    if works.iter().flat_map(FulfilmentOrder::counts).any(|counts| counts.picked > 0) {
        return Err(Error::conflict("something of the delivery is picked or has left: take that back first"));
    }
    let ids: Vec<FulfilmentOrderId> = works.iter().map(|work| work.id).collect();
    if let Some(id) = dropship::acknowledged(tx, &ids)?.first() {
        let detail = "a supplier has said that they ship some of it: have them refuse it first";
        return Err(Error::conflict(detail).with("fulfilment_order", id.to_string()));
    }
    match works.iter().any(|work| work.cancel_request.is_some()) {
        true => Err(Error::conflict("somebody has asked to cancel it: answer that first")),
        false => Ok(()),
    }
}

fn method<'a>(channel: ChannelId, what: &Redirect, rules: &'a Rules) -> Result<&'a ShippingMethod> {
    let found = rules.shipping_method(channel, &what.method).filter(|method| method.active);
    let refused = || Error::problem(Code::ShippingMethodUnavailable, "the channel has no such shipping method");
    found.ok_or_else(|| refused().at("/method"))
}

/// The delivery as it goes from now on.
fn changed(
    now: Instant,
    before: &Delivery,
    (method, what): (&ShippingMethod, &Redirect),
    knowing: Knowing<'_>,
) -> Result<Delivery> {
    let place = method.pickup.map(|place| knowing.locations.get(place)).transpose()?;
    if place.is_some() && what.address.is_some() {
        return Err(Error::invalid("/address", "it is picked up: the method says where"));
    }
    if place.is_some_and(|place| !place.active) {
        return Err(Error::problem(Code::LocationInactive, "nobody picks anything up there").at("/method"));
    }
    let own = before.address.as_ref().filter(|_| before.pickup.is_none());
    let address = match place {
        Some(place) => place.site.address.clone(),
        None => {
            let wanted = what.address.as_ref().or(own).cloned();
            let missing = || Error::problem(Code::MissingField, "it is shipped: say where to").at("/address");
            Some(wanted.ok_or_else(missing)?)
        }
    };
    let pickup = place.map(|place| PickUp {
        location_id: place.id,
        location: place.code.clone(),
        name: place.name.clone(),
        country: place.country,
        address: None,
    });
    let after =
        Delivery { address, method: Some(method.code.clone()), pickup, redirected_at: Some(now), ..before.clone() };
    let same = |one: &Delivery| (one.method.clone(), one.address.clone(), one.pickup.as_ref().map(|at| at.location_id));
    if same(&after) == same(before) {
        return Err(Error::conflict("it goes that way already").at("/method"));
    }
    if before.country().is_some_and(|country| after.country() != Some(country)) {
        let detail = "another country is taxed otherwise: cancel it, and have it ordered anew";
        return Err(Error::conflict(detail).at("/address"));
    }
    Ok(after)
}

/// That the method takes the goods, and for no more than was paid, unless the customer pays what they have paid all the same.
fn affordable(
    tx: &mut Tx,
    now: Instant,
    (order, before): (&OrderDocument, &Delivery),
    (method, what): (&ShippingMethod, &Redirect),
    (after, knowing): (&Delivery, Knowing<'_>),
) -> Result<()> {
    let facts = facts::of(tx, now, (order, before.key.as_deref()), knowing.locations)?;
    let value = facts.value.map_or(0, Money::minor);
    let country = after.country().unwrap_or(facts.country);
    let price = shipping_rate(method, country, order.currency, facts.weight_grams, value);
    let (price, _) = price.map_err(|step| {
        Error::problem(Code::ShippingMethodUnavailable, step.text.clone()).at("/method").with("reason", step.code)
    })?;
    let whole = order.shipping.as_ref().map(|shipping| shipping.subtotal);
    let paid = before.shipping.map(|shipping| shipping.subtotal).or(whole).unwrap_or(Money::zero(order.currency));
    if price.minor() > paid.minor() && !what.keep_price {
        let detail = "it costs more than was paid: set `keep_price` where the customer is to pay no more, or take another method";
        let error = Error::conflict(detail).at("/method");
        return Err(error.with("price", price.to_string()).with("paid", paid.to_string()));
    }
    Ok(())
}

/// What lacks where it is to be picked up.
#[derive(Debug, Serialize)]
struct Lacking<'a> {
    line_no: i32,
    sku: &'a str,
    available: i64,
    missing: i64,
}

/// That all of a delivery lies where it is to be picked up, if it is: nobody brings anything there by itself, and nobody is sent to wait
/// for it. What it has allocated there is its own.
fn lie_there(
    tx: &mut Tx,
    now: Instant,
    (order, key): (&OrderDocument, Option<&str>),
    works: &[FulfilmentOrder],
    locations: &Locations,
) -> Result<()> {
    let facts = facts::of(tx, now, (order, key), locations)?;
    let Some(place) = facts.only.map(|id| locations.get(id)).transpose()? else { return Ok(()) };
    let numbers = works.iter().flat_map(|work| &work.lines).map(|line| line.line_no);
    let said_no = moves::declined_by(tx, order.id, (number_of(works), numbers.collect()))?;
    if said_no.contains(&place.id) {
        let detail = format!("`{}` has said that it does not ship this: choose another method", place.code);
        return Err(Error::conflict(detail).at("/method"));
    }
    let (mut needs, mut skus, mut own) = (Vec::new(), HashMap::new(), Vec::new());
    for work in works {
        let steps = plan(work, Command::Move, None, now)?;
        let here = moves::needs(tx, work, &steps)?;
        if work.location_id == place.id {
            own.extend(here.iter().filter(|need| need.tracked).map(|need| (need.variant, need.quantity)));
        }
        skus.extend(work.lines.iter().map(|line| (line.line_no, line.sku.as_str())));
        needs.extend(here);
    }
    if let Some(need) = needs.iter().find(|need| !need.requires.are_had_by(&place.site.capabilities)) {
        return Err(stock::not_capable(need, &need.requires.missing_at(&place.site.capabilities)).at("/method"));
    }
    let mut there = stock::look(tx, now, &needs, Sources::of(locations, &facts))?.on_the_shelf();
    for (variant, pieces) in own {
        *there.entry((variant, place.id)).or_default() += pieces;
    }
    let mut lacking = Vec::new();
    for need in needs.iter().filter(|need| need.tracked) {
        let left = there.entry((need.variant, place.id)).or_default();
        let available = (*left).clamp(0, need.quantity);
        *left -= need.quantity;
        if available < need.quantity {
            let sku = skus.get(&need.line_no).copied().unwrap_or_default();
            lacking.push(Lacking { line_no: need.line_no, sku, available, missing: need.quantity - available });
        }
    }
    let Some(first) = lacking.first() else { return Ok(()) };
    let Lacking { sku, available, .. } = *first;
    let detail = format!(
        "{available} of `{sku}` are at `{}`: transfer what is missing first, or choose another method",
        place.code
    );
    let error = Error::problem(Code::OutOfStock, detail).at("/method").with("location", place.code.clone());
    Err(error.with("missing", serde_json::to_value(&lacking)?))
}

/// The number of the delivery that fulfilment orders are of.
fn number_of(works: &[FulfilmentOrder]) -> usize {
    works.first().map_or(0, FulfilmentOrder::number)
}

/// What is handed over to a customer.
#[derive(Debug, Clone)]
pub(super) struct Handing {
    /// Which pieces; all that is left when absent.
    pub pieces: Option<Vec<Pieces>>,
    /// Of which lots pieces are that are in no package.
    pub lots: Vec<ShippedLot>,
    /// When, if that was not now.
    pub occurred_at: Option<Instant>,
}

/// Hands pieces of a fulfilment order over to their customer, who picks them up: they have left and arrived at once.
///
/// # Errors
/// `not_found`; `state_conflict` for what is shipped, and as [`crate::fulfilment::ship`].
pub(super) fn collect(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    (fresh, arrival): (&Fresh, &Fresh),
    (id, what): (FulfilmentOrderId, &Handing),
) -> Result<Shipment> {
    let (mut order, mut fulfilment) = start(tx, actor, id)?;
    let delivery = order.delivery(fulfilment.delivery_key());
    if delivery.is_none_or(|delivery| delivery.pickup.is_none()) {
        return Err(Error::conflict("it is shipped, and not picked up"));
    }
    fulfilment.state.takes(Command::Ship)?;
    let (pieces, lots) = (what.pieces.clone(), what.lots.clone());
    let parcel = NewShipment { pieces, lots, occurred_at: what.occurred_at, ..NewShipment::default() };
    let part = Part { fulfilment: &mut fulfilment, parcel, fresh, arrival };
    let at = what.occurred_at.unwrap_or(now);
    let shipments = ship_parts(tx, now, actor, &mut order, vec![part], Some(at))?;
    shipments.into_iter().next().ok_or_else(|| Error::internal("nothing was handed over"))
}
