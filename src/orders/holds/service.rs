//! Placing holds on orders and ending them. Each command locks the order first, as everything does that is done with it.

use std::collections::HashMap;

use serde::Serialize;

use super::model::{Block, NewOrderHold, OrderHold, OrderHoldKind};
use crate::{
    db::{Doc, Json, Tx},
    error::{Error, Result},
    events::{self, EventSchema},
    jobs::{self, NewJob},
    kernel::{
        Actor, Instant,
        ids::{EventId, JobId, OrderId},
    },
    orders::{Command, OrderDocument, service, store},
};

/// The type of the event that an order is held.
const HELD: &str = "order.held.v1";
/// The type of the event that holds of an order have ended.
const RELEASED: &str = "order.released.v1";
/// The kind of the job that takes what was kept from being taken.
pub const SETTLE: &str = "orders.settle";
/// Who owns the hold of an order that costs more since it was amended: it ends as soon as all that is due is paid or promised.
pub const AMENDED: &str = "amendment";
/// Who holds an order whose company owed more than it may.
pub const CREDIT: &str = "credit";
/// Who holds an order of which a promise has ended that was not given anew.
pub const PROMISE: &str = "promise";

/// The payload of both: the order as it is then, and the holds that it is about.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct OrderHoldChange<'a> {
    #[serde(flatten)]
    order: &'a OrderDocument,
    /// The holds that were placed, or that have ended.
    changed: &'a [OrderHold],
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

/// What the events of this part carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    vec![EventSchema::of::<OrderHoldChange<'_>>(HELD), EventSchema::of::<OrderHoldChange<'_>>(RELEASED)]
}

/// Places a hold.
///
/// # Errors
/// `not_found`, `line_unknown`, `invalid_value`; `state_conflict` where it is held for that already, or nothing of what it blocks could be
/// done anyway.
pub fn hold(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    event: EventId,
    id: OrderId,
    new: &NewOrderHold,
) -> Result<OrderDocument> {
    let mut order = service::lock(tx, id)?;
    let placed = new.placed(&order, actor.label(), now)?;
    // One whose time is over makes room for the new one.
    let same = |block: &Block| (block.kind, block.line_no) == (placed.block.kind, placed.block.line_no);
    order.holds.retain(|hold| hold.block.holds_at(now) || !same(&hold.block));
    order.holds.push(placed.clone());
    write(tx, now, actor, event, &mut order, (HELD, &[placed], Some(&new.reason)))?;
    Ok(order)
}

/// Ends holds: those of a kind, or all; those of a line, or of all of the order and of any line. What was kept from being taken is taken soon.
///
/// # Errors
/// `not_found`; `state_conflict` when there is none.
pub fn release(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    event: EventId,
    id: OrderId,
    which: (Option<OrderHoldKind>, Option<i32>, Option<&str>),
) -> Result<OrderDocument> {
    let (order, ended) = released(tx, now, actor, event, id, which)?;
    settle_later(tx, now, event, (id, &ended))?;
    Ok(order)
}

/// Ends all that an order is held for, but for what waits for a return: that is nobody's by the hundred.
///
/// # Errors
/// `not_found`; `state_conflict` when there is nothing else.
pub fn release_goods(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    event: EventId,
    id: OrderId,
    why: &str,
) -> Result<OrderDocument> {
    let mut order = service::lock(tx, id)?;
    let meant = |hold: &OrderHold| hold.block.kind != OrderHoldKind::Exchange;
    if end(tx, now, actor, event, &mut order, (meant, Some(why)))?.is_empty() {
        return Err(Error::conflict("the order is held for nothing that ends so"));
    }
    Ok(order)
}

/// Ends what keeps an order's money from being taken; the caller takes it.
///
/// # Errors
/// `not_found`; `state_conflict` when there is none.
pub fn release_exchange(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    event: EventId,
    id: OrderId,
    why: &str,
) -> Result<OrderDocument> {
    let which = (Some(OrderHoldKind::Exchange), None, Some(why));
    released(tx, now, actor, event, id, which).map(|(order, _)| order)
}

/// Has the money of an order taken that was kept from it until now.
fn settle_later(tx: &mut Tx, now: Instant, event: EventId, (id, ended): (OrderId, &[OrderHold])) -> Result<()> {
    if !ended.iter().any(|hold| hold.block.blocks.contains(&Command::Settle)) {
        return Ok(());
    }
    let mut job = *event.bytes();
    // Another id than the event's own.
    job.iter_mut().rev().take(1).for_each(|last| *last ^= 0x3c);
    let new = NewJob { id: JobId::from_bytes(job), ..NewJob::now(SETTLE, now, serde_json::json!({"order": id})) };
    jobs::enqueue(tx, now, vec![new.in_order(format!("settle:{id}"))])
}

fn released(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    event: EventId,
    id: OrderId,
    (kind, line_no, why): (Option<OrderHoldKind>, Option<i32>, Option<&str>),
) -> Result<(OrderDocument, Vec<OrderHold>)> {
    let mut order = service::lock(tx, id)?;
    let meant = |hold: &OrderHold| {
        kind.is_none_or(|kind| hold.block.kind == kind)
            && line_no.is_none_or(|line_no| hold.block.line_no == Some(line_no))
    };
    let ended = end(tx, now, actor, event, &mut order, (meant, why))?;
    if ended.is_empty() {
        return Err(Error::conflict("the order is not held for that"));
    }
    Ok((order, ended))
}

/// Writes down that holds have ended whose time is over. Nothing happens where somebody else has.
pub(super) fn end_over(tx: &mut Tx, now: Instant, event: EventId, id: OrderId) -> Result<()> {
    let mut order = service::lock(tx, id)?;
    let over = |hold: &OrderHold| !hold.block.holds_at(now);
    let ended = end(tx, now, &Actor::System("orders"), event, &mut order, (over, Some("its time is over")))?;
    settle_later(tx, now, event, (id, &ended))
}

/// Ends what a locked order is held for because of its payment, once all that is due has come in. Call it behind the events of what has
/// brought the money.
///
/// # Errors
/// What the database says.
pub fn when_paid(tx: &mut Tx, now: Instant, event: EventId, order: &mut OrderDocument) -> Result<()> {
    let money = order.money();
    let (is_paid, is_covered) = (money.captured >= money.due, is_covered(order, now));
    if !is_paid && !is_covered {
        return Ok(());
    }
    let for_payment = |hold: &OrderHold| {
        hold.block.kind == OrderHoldKind::Payment && (is_paid || is_covered && ends_when_covered(hold))
    };
    end(tx, now, &Actor::System("orders"), event, order, (for_payment, Some("it is paid"))).map(|_| ())
}

/// Ends what a locked order is held for because its company owed more than it may, once it does not any more: whoever calls knows that. What people
/// hold it for stays.
///
/// # Errors
/// What the database says.
pub fn when_within_credit(tx: &mut Tx, now: Instant, event: EventId, order: &mut OrderDocument) -> Result<()> {
    let for_credit =
        |hold: &OrderHold| hold.block.kind == OrderHoldKind::Credit && hold.owner.as_deref() == Some(CREDIT);
    let why = Some("its company owes no more than it may");
    let ended = end(tx, now, &Actor::System("credit"), event, order, (for_credit, why))?;
    settle_later(tx, now, event, (order.id, &ended))
}

/// Ends what a locked order is held for because it was amended, or because a promise has ended, once providers have promised all that is owed:
/// whoever calls knows that. What people hold it for stays. Call it behind the events of what has brought the promise.
///
/// # Errors
/// What the database says.
pub fn when_promised(tx: &mut Tx, now: Instant, event: EventId, order: &mut OrderDocument) -> Result<()> {
    let for_payment = |hold: &OrderHold| hold.block.kind == OrderHoldKind::Payment && ends_when_covered(hold);
    end(tx, now, &Actor::System("orders"), event, order, (for_payment, Some("its money is promised"))).map(|_| ())
}

/// Ends what a locked order is held for because more was to be paid since it was amended, once something was taken off it and that is not
/// short any more. What somebody else holds it for stays. Call it behind the events of what has taken it off.
///
/// # Errors
/// What the database says.
pub fn when_less_is_due(tx: &mut Tx, now: Instant, event: EventId, order: &mut OrderDocument) -> Result<()> {
    if !is_covered(order, now) {
        return Ok(());
    }
    let own = |hold: &OrderHold| hold.block.kind == OrderHoldKind::Payment && ends_when_covered(hold);
    end(tx, now, &Actor::System("orders"), event, order, (own, Some("no more is to be paid"))).map(|_| ())
}

/// Whether a hold is Kontor's own, for money that was missing: it ends once that is promised.
fn ends_when_covered(hold: &OrderHold) -> bool {
    hold.owner.as_deref().is_some_and(|owner| [AMENDED, PROMISE].contains(&owner))
}

/// Whether all that is due is paid or promised. What providers have promised is as good for an order that was to be paid by them; what
/// somebody said they would transfer is not.
fn is_covered(order: &OrderDocument, now: Instant) -> bool {
    let money = order.money();
    let promised: i64 = order.payments.iter().map(|payment| payment.promised(now)).sum();
    money.captured - money.refunded + promised >= money.due
}

/// Ends those holds of a locked order that are meant, and gives them.
fn end(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    event: EventId,
    order: &mut OrderDocument,
    (meant, why): (impl Fn(&OrderHold) -> bool, Option<&str>),
) -> Result<Vec<OrderHold>> {
    let ended: Vec<OrderHold> = order.holds.extract_if(.., |hold| meant(hold)).collect();
    if ended.is_empty() {
        return Ok(ended);
    }
    write(tx, now, actor, event, order, (RELEASED, &ended, why))?;
    // What was reported while it was held can be booked now.
    jobs::hasten_keys(tx, now, &service::after(order.id))?;
    Ok(ended)
}

fn write(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    event: EventId,
    order: &mut OrderDocument,
    (kind, changed, why): (&'static str, &[OrderHold], Option<&str>),
) -> Result<()> {
    store::save_holds(tx, order.id, &order.holds)?;
    service::save(tx, now, order, &[], 1)?;
    let payload = order.payload(|order| Json::of(&OrderHoldChange { order, changed, why }))?;
    let told = service::event(order, (1, 1), event, kind, now, payload);
    events::append(tx, actor, now, vec![told])
}

/// What is not done with orders for now, for those who work on them: why is not for all of them to know. One statement. Those that are not
/// held are absent.
///
/// # Errors
/// What the database says.
pub fn of(tx: &mut Tx, orders: &[OrderId]) -> Result<HashMap<OrderId, Vec<Block>>> {
    let found = store::holds_of(tx, orders)?;
    // What only keeps money from being taken is nothing to those who work on goods.
    let of_goods = |block: &Block| block.blocks.iter().any(|command| *command != Command::Settle);
    let blocks =
        |holds: Vec<OrderHold>| -> Vec<Block> { holds.into_iter().map(|hold| hold.block).filter(of_goods).collect() };
    let all = found.into_iter().map(|(id, Doc(holds))| (id, blocks(holds)));
    Ok(all.filter(|(_, blocks)| !blocks.is_empty()).collect())
}

/// Up to so many orders of which a hold is over.
pub(super) fn over(tx: &mut Tx, now: Instant, limit: i64) -> Result<Vec<OrderId>> {
    store::holds_over(tx, now, limit)
}
