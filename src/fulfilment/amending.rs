//! What a change of a placed order needs to know of the work with it, and how it gives a delivery another way.

use std::collections::BTreeMap;

use super::{
    facts,
    ids::Fresh,
    model::Command,
    pickups::{self, Knowing},
    promises, store,
};
use crate::{
    customers::Address,
    db::Tx,
    error::Result,
    kernel::{Actor, Instant, ids::OrderId},
    orders::OrderDocument,
    pricing::Rules,
    stock::{Locations, sourcing::Facts},
};

/// How far an order's work has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Begun {
    /// How many pieces of each line nobody has picked; a line that no location works on is absent.
    pub unpicked: BTreeMap<i32, i64>,
    /// The same of each line's deliveries, by their places among the order's.
    pub by_delivery: BTreeMap<(i32, usize), i64>,
    /// Whether anything is picked, packed or has left.
    pub anything: bool,
}

/// How far the work with an order has come: one statement.
///
/// # Errors
/// What the database says.
pub fn begun(tx: &mut Tx, order: OrderId) -> Result<Begun> {
    let mut begun = Begun::default();
    for work in store::of_order(tx, order)? {
        for line in &work.lines {
            let left = line.counts.left_for(Command::Move);
            *begun.unpicked.entry(line.line_no).or_default() += left;
            *begun.by_delivery.entry((line.line_no, work.number())).or_default() += left;
            begun.anything |= line.counts.picked > 0 || line.counts.shipped > 0;
        }
    }
    Ok(begun)
}

/// What an order that was placed tells of itself, delivery by delivery, when it is decided where more goods come from.
///
/// # Errors
/// What the database says.
pub fn facts_of(tx: &mut Tx, now: Instant, order: &OrderDocument, locations: &Locations) -> Result<Facts> {
    let mut all = Vec::with_capacity(order.deliveries.len());
    for delivery in &order.deliveries {
        all.push(facts::of(tx, now, (order, delivery.key.as_deref()), locations)?);
    }
    let mut all = all.into_iter();
    match all.next() {
        Some(first) => Ok(Facts { further: all.collect(), ..first }),
        None => facts::of(tx, now, (order, None), locations),
    }
}

/// Another way for a delivery of an order.
#[derive(Debug, Clone)]
pub struct OtherWay {
    /// The place of the delivery among the order's, from 0.
    pub delivery: usize,
    /// By this method; by the one that it has when absent.
    pub method: Option<String>,
    /// Where to; where it goes when absent.
    pub address: Option<Address>,
    /// Why.
    pub reason: String,
}

/// The same as whoever redirects a delivery says it.
fn redirect(order: &OrderDocument, what: &OtherWay) -> pickups::Redirect {
    let delivery = order.deliveries.get(what.delivery);
    let method = what.method.clone().or_else(|| delivery.and_then(|one| one.method.clone()));
    pickups::Redirect {
        delivery: delivery.and_then(|one| one.key.clone()).filter(|_| order.deliveries.len() > 1),
        method: method.unwrap_or_default(),
        address: what.address.clone(),
        keep_price: true,
        reason: what.reason.clone(),
    }
}

/// Gives a delivery of which nothing is picked another address or method, and has what it ships planned anew. What it costs is the caller's.
///
/// # Errors
/// As a redirect: `shipping_method_unavailable`; `state_conflict` when something of it is picked or has left, or it would go to another
/// country.
pub fn change_way(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    fresh: &Fresh,
    (order, what): (&OrderDocument, &OtherWay),
    (locations, rules): (&Locations, &Rules),
) -> Result<OrderDocument> {
    let redirect = redirect(order, what);
    pickups::redirect(tx, (now, actor), fresh, (order.id, &redirect), Knowing { locations, rules })
}

/// That a delivery can be given another way: nothing is written.
///
/// # Errors
/// As [`change_way`].
pub fn may_change_way(
    tx: &mut Tx,
    now: Instant,
    (order, what): (&OrderDocument, &OtherWay),
    (locations, rules): (&Locations, &Rules),
) -> Result<()> {
    pickups::may_redirect(tx, now, (order, &redirect(order, what)), Knowing { locations, rules })
}

/// Has an order's promise looked at again that has more goods to wait for.
///
/// # Errors
/// What the database says.
pub fn wait_for_more(tx: &mut Tx, now: Instant, order: OrderId, waits: bool) -> Result<()> {
    if waits { promises::await_goods(tx, now, order) } else { promises::look_again(tx, now, order) }
}
