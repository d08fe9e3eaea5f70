//! Taking what is personal out of orders: the sums, the goods and the states stay, nobody is found by them any more.

use std::collections::HashSet;

use super::{
    document::{LineDetails, OrderDetails, OrderDocument},
    holds, service, store,
};
use crate::{
    carts::rename_in,
    db::Tx,
    error::{Error, Result},
    events::{self, EventSchema, Payload},
    kernel::{
        Actor, Instant,
        ids::{CartId, CustomerId, EventId, OrderId},
        text::neutral_key,
    },
    payments,
    pricing::tax,
};

const ERASED: &str = "order.erased.v1";

/// Whose orders are meant.
#[derive(Debug, Clone)]
pub enum Person {
    /// A customer's.
    Customer(CustomerId),
    /// Those of guests with this e-mail address, folded.
    Guest(String),
}

/// An order of somebody who is to be forgotten.
#[derive(Debug, Clone)]
pub struct Owned {
    /// The order.
    pub id: OrderId,
    /// Its number.
    pub number: String,
    /// The cart it was.
    pub cart_id: Option<CartId>,
    /// Whether it still moves, or money of it does: then it needs to be known whose it is.
    pub is_open: bool,
    /// Whether nothing in it tells any more whose it is.
    pub is_bare: bool,
}

/// What the events of this part carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    vec![EventSchema::of::<OrderDocument>(ERASED)]
}

/// Somebody's orders, oldest first: two statements, and two more where some may have been erased before.
///
/// # Errors
/// What the database says.
pub fn of_person(tx: &mut Tx, person: &Person) -> Result<Vec<Owned>> {
    let mut owned = store::of_person(tx, person)?;
    let ids: Vec<OrderId> = owned.iter().map(|order| order.id).collect();
    if ids.is_empty() {
        return Ok(owned);
    }
    let payments = payments::of_orders(tx, &ids)?;
    let moving = payments.iter().filter(|payment| payment.is_moving()).filter_map(|payment| payment.order_id);
    let moving: HashSet<OrderId> = moving.collect();
    owned.iter_mut().for_each(|order| order.is_open |= moving.contains(&order.id));
    let maybe: Vec<OrderId> = owned.iter().filter(|order| order.is_bare).map(|order| order.id).collect();
    let told = telling(tx, &maybe)?;
    owned.iter_mut().for_each(|order| order.is_bare &= !told.contains(&order.id));
    Ok(owned)
}

/// Those of the orders in which something is personal.
fn telling(tx: &mut Tx, ids: &[OrderId]) -> Result<HashSet<OrderId>> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let (rows, lines) = (store::rows(tx, ids)?, store::lines_of(tx, ids)?);
    let rows = rows.into_iter().filter_map(|mut row| {
        let details = &mut row.doc.0;
        let delivered = details.deliveries.iter().any(|delivery| delivery.address.is_some());
        let named = details.email.is_some() || details.billing_address.is_some() || details.vat_id.is_some();
        let called = forget_keys(details);
        let tells =
            named || delivered || called || !details.metadata.is_empty() || tax::forget_numbers(&mut details.totals);
        tells.then_some(row.id)
    });
    let noted = lines.into_iter().filter_map(|line| bare(line.doc.0).map(|_| line.order_id));
    Ok(rows.chain(noted).collect())
}

/// Calls the deliveries by their places: their keys may tell who has chosen them. Whether any was called otherwise.
fn forget_keys(details: &mut OrderDetails) -> bool {
    let mut names: Vec<(String, String)> = Vec::new();
    for (number, delivery) in (0..).zip(&mut details.deliveries) {
        let Some(key) = &mut delivery.key else { continue };
        let name = neutral_key(number);
        names.push((std::mem::replace(key, name.clone()), name));
    }
    rename_in(&mut details.totals, &names);
    names.iter().any(|(was, name)| was != name)
}

/// A line's details without what is personal; `None` when nothing is.
fn bare(mut details: LineDetails) -> Option<LineDetails> {
    let told = tax::forget_number(&mut details.explanation) || !details.metadata.is_empty();
    details.metadata.clear();
    told.then_some(details)
}

/// Erases an order's personal data and tells of it. False when there is none any more. The events of before are the
/// caller's to erase.
///
/// # Errors
/// `not_found`; `state_conflict` when it is open.
pub fn erase(tx: &mut Tx, (now, actor): (Instant, &Actor), id: OrderId, event: EventId) -> Result<bool> {
    let mut order = service::lock(tx, id)?;
    if order.state == super::OrderState::Placed || payments::of_order(tx, id)?.iter().any(payments::Payment::is_moving)
    {
        return Err(Error::conflict(format!("the order {} is open", order.number)));
    }
    let row = store::row(tx, id)?.ok_or_else(|| Error::not_found("order"))?;
    let lines = store::lines(tx, id)?;
    let bare: Vec<(i64, LineDetails)> =
        lines.into_iter().filter_map(|line| Some((line.line_no, bare(line.doc.0)?))).collect();
    let mut details = row.doc.0;
    let explained = tax::forget_numbers(&mut details.totals);
    let called = forget_keys(&mut details);
    let deliveries = called || order.deliveries.iter().any(|delivery| delivery.address.is_some());
    let named = order.email.is_some() || order.billing_address.is_some() || order.vat_id.is_some();
    let own = named || deliveries || explained || !order.metadata.is_empty();
    if !own && bare.is_empty() && row.name_folded.is_empty() {
        return Ok(false);
    }
    (details.email, details.billing_address, details.vat_id) = (None, None, None);
    details.deliveries.iter_mut().for_each(|delivery| delivery.address = None);
    details.metadata.clear();
    (order.email, order.billing_address, order.vat_id) = (None, None, None);
    order.deliveries.clone_from(&details.deliveries);
    order.metadata.clear();
    // Why it is held is told in words that may name anybody.
    holds::forget_words(&mut order.holds);
    if !order.holds.is_empty() {
        store::save_holds(tx, id, &order.holds)?;
    }
    order.explanation.clone_from(&details.totals.explanation);
    order.shipping.clone_from(&details.totals.shipping);
    for line in &mut order.lines {
        line.metadata.clear();
        tax::forget_number(&mut line.explanation);
    }
    store::erase(tx, id, &details)?;
    store::erase_lines(tx, id, &bare)?;
    service::save(tx, now, &mut order, &[], 1)?;
    let told = service::event(&order, (1, 1), event, ERASED, now, Payload::of(&order)?);
    events::append(tx, actor, now, vec![told])?;
    Ok(true)
}
