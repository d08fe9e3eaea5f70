//! Which work an order makes: a fulfilment order for each location that has a share of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    holds,
    model::{Counts, ForDelivery, FulfilmentLine, FulfilmentOrder, FulfilmentState},
};
use crate::{
    error::Result,
    kernel::{
        Instant,
        ids::{FulfilmentOrderId, LocationId},
    },
    orders::OrderDocument,
    stock::{Share, Spot},
};

/// The work with an order: one fulfilment order per delivery and location that has a share of it, and one more where some of that is
/// `held` there by its sourcing profile. Services, which are neither shipped nor
/// counted, are left out. `keep` says for how many days strategies ask the pieces of lines and deliveries to keep. `due_at` tells when a location should have shipped. `fresh` are ids for them; as many as there are
/// locations suffice. Nothing is written.
///
/// # Errors
/// `line_unknown` for a share of a line that the order does not have.
pub fn work_of(
    now: Instant,
    order: &OrderDocument,
    (shares, held, keep): (&[Share], &BTreeSet<Spot>, &BTreeMap<(i32, i32), i64>),
    due_at: impl Fn(LocationId) -> Instant,
    fresh: &[FulfilmentOrderId],
) -> Result<Vec<FulfilmentOrder>> {
    // What is held keeps nothing waiting that can be worked on.
    let mut by_location: BTreeMap<(i32, LocationId, bool), BTreeMap<i32, FulfilmentLine>> = BTreeMap::new();
    for share in shares.iter().filter(|share| share.quantity > 0) {
        let ordered = order.line(share.line_no)?;
        if !ordered.requires_shipping && !share.tracked {
            continue;
        }
        let is_held = held.contains(&share.spot());
        let lines = by_location.entry((share.delivery, share.location, is_held)).or_default();
        let line = lines.entry(share.line_no).or_insert_with(|| FulfilmentLine {
            line_no: share.line_no,
            variant_id: share.variant,
            sku: ordered.sku.clone(),
            counts: Counts::default(),
            tracked: false,
        });
        line.counts.quantity += share.quantity;
        line.tracked |= share.tracked;
    }
    let mut fresh = fresh.iter().copied();
    let opened = by_location.into_iter().map(|((number, location_id, is_held), lines)| FulfilmentOrder {
        id: fresh.next().unwrap_or_default(),
        order_id: order.id,
        order_number: order.number.clone(),
        channel_id: order.channel_id,
        location_id,
        state: FulfilmentState::Open,
        state_since: now,
        version: 1,
        due_at: due_at(location_id),
        due_by_hand: false,
        priority: 0,
        holds: if is_held { vec![holds::unsourced(now)] } else { Vec::new() },
        order_holds: Vec::new(),
        accept_by: None,
        collect_by: None,
        cancel_request: None,
        declined: false,
        missed: Vec::new(),
        delivery: for_delivery(order, number),
        promised_until: None,
        told_until: None,
        turn_at: None,
        supplier_ships_at: None,
        shelf_life_days: order.min_shelf_life_days.max(kept_for(lines.keys().map(|line| (*line, number)), keep)),
        taken_from: Vec::new(),
        lines: lines.into_values().collect(),
        created_at: now,
        updated_at: now,
    });
    Ok(opened.collect())
}

/// For how many days pieces of lines and deliveries have to keep: for as many as the strictest of the strategies that placed them asks.
pub(super) fn kept_for(of: impl Iterator<Item = (i32, i32)>, keep: &BTreeMap<(i32, i32), i64>) -> Option<i64> {
    of.filter_map(|one| keep.get(&one).copied()).max()
}

/// A delivery of an order that has several, by its place.
fn for_delivery(order: &OrderDocument, number: i32) -> Option<ForDelivery> {
    let deliveries = Some(&order.deliveries).filter(|all| all.len() > 1)?;
    let delivery = deliveries.get(usize::try_from(number).ok()?)?;
    let (key, method) = (delivery.key.clone()?, delivery.method.clone());
    Some(ForDelivery { number, key, method, pickup: delivery.pickup.is_some() })
}
