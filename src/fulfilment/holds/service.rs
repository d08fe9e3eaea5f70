//! Placing holds and ending them.

use super::{
    model::{Hold, HoldKind, NewHold},
    store,
};
use crate::{
    db::Tx,
    error::{Error, Result},
    fulfilment::{
        ids::{Draw, Fresh},
        model::{Command, FulfilmentOrder},
        moves::{self, Replan},
        service::{announce, save_states, start},
        told::{HELD, RELEASED, change},
    },
    jobs,
    kernel::{Actor, Instant, ids::FulfilmentOrderId},
    orders::{self, OrderDocument},
    stock::Locations,
};

/// Places a hold: nothing is picked, packed and shipped of the fulfilment order until it ends.
///
/// # Errors
/// `not_found`; `state_conflict` when nothing is left to do, or when it is held for that already.
pub(in crate::fulfilment) fn hold(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: FulfilmentOrderId,
    new: &NewHold,
) -> Result<FulfilmentOrder> {
    let (mut order, mut fulfilment) = start(tx, actor, id)?;
    let mut draw = fresh.draw();
    fulfilment.state.takes(Command::Hold)?;
    let over = ended(&fulfilment, |hold| !hold.holds_at(now) && hold.kind == new.kind);
    // One whose time is over makes room for the new one.
    if !over.is_empty() {
        end(tx, now, &mut fulfilment, &over, "its time is over")?;
    }
    let placed = new.placed(actor.label(), now);
    store::insert(tx, &[(draw.next(), id, &placed)])?;
    fulfilment.holds.push(placed);
    fulfilment.advance(fulfilment.state, now);
    save_states(tx, now, [&fulfilment])?;
    orders::save(tx, now, &mut order, &[], 1)?;
    let happened = vec![(HELD, change(&fulfilment, Vec::new(), Some(&new.reason), &[])?)];
    announce(tx, (now, now), actor, &order, &mut draw, happened)?;
    Ok(fulfilment)
}

/// The hold of what no rule of a sourcing profile has found goods for.
pub(in crate::fulfilment) fn unsourced(now: Instant) -> Hold {
    let reason = "no rule of the sourcing profile finds goods for it: release it to have it planned anew".to_owned();
    let new = NewHold { kind: HoldKind::Sourcing, reason, owner: None, expires_at: None };
    new.placed(Actor::System("sourcing").label(), now)
}

/// Ends a hold of a kind, or all of them; what a sourcing profile has held is planned anew then, and ships from where its goods are to be
/// had now. `fresh` are ids for both.
///
/// # Errors
/// `not_found`; `state_conflict` when it is not held for that.
pub(in crate::fulfilment) fn release_and_plan(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &[Fresh; 2],
    id: FulfilmentOrderId,
    (kind, reason, locations): (Option<HoldKind>, Option<&str>, &Locations),
) -> Result<FulfilmentOrder> {
    let [first, second] = fresh;
    let (mut order, mut fulfilment) = start(tx, actor, id)?;
    let kinds = ended(&fulfilment, |hold| kind.is_none_or(|kind| hold.kind == kind));
    if kinds.is_empty() {
        let what = kind.map_or("the fulfilment order is not held".to_owned(), |kind| format!("it is not held: {kind}"));
        return Err(Error::conflict(what));
    }
    let both = (&mut order, &mut fulfilment);
    release(tx, now, actor, first, both, (&kinds, reason))?;
    planned_anew(tx, now, actor, second, (fulfilment, &kinds), locations)
}

/// Plans anew what a sourcing profile has held, where that was among what has ended.
fn planned_anew(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    (released, ended): (FulfilmentOrder, &[HoldKind]),
    locations: &Locations,
) -> Result<FulfilmentOrder> {
    if !ended.contains(&HoldKind::Sourcing) || released.cancel_request.is_some() {
        return Ok(released);
    }
    let what = Replan { reason: Some("its hold was released".to_owned()), decided: true, ..Replan::default() };
    Ok(moves::replan(tx, now, actor, fresh, released.id, (&what, locations))?.fulfilment_order)
}

/// Ends holds of a locked fulfilment order, and tells so.
fn release(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    (order, fulfilment): (&mut OrderDocument, &mut FulfilmentOrder),
    (kinds, reason): (&[HoldKind], Option<&str>),
) -> Result<()> {
    end(tx, now, fulfilment, kinds, &actor.label())?;
    tell(tx, now, actor, &mut fresh.draw(), (order, fulfilment), reason)
}

/// Ends all holds but that for goods, which ends when the goods are found; what a sourcing profile has held is planned anew then.
/// `fresh` are ids for both.
///
/// # Errors
/// `not_found`; `state_conflict` when there is none.
pub fn release_others(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    [first, second]: [&Fresh; 2],
    id: FulfilmentOrderId,
    (reason, locations): (&str, &Locations),
) -> Result<FulfilmentOrder> {
    let (mut order, mut fulfilment) = start(tx, actor, id)?;
    let kinds = ended(&fulfilment, |hold| hold.kind != HoldKind::Stock);
    if kinds.is_empty() {
        return Err(Error::conflict("the fulfilment order is not held"));
    }
    release(tx, now, actor, first, (&mut order, &mut fulfilment), (&kinds, Some(reason)))?;
    planned_anew(tx, now, actor, second, (fulfilment, &kinds), locations)
}

/// Ends the hold for goods, where there is one: they are here.
///
/// # Errors
/// `not_found`.
pub(in crate::fulfilment) fn goods_came(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: FulfilmentOrderId,
) -> Result<()> {
    let (mut order, mut fulfilment) = start(tx, actor, id)?;
    let kinds = ended(&fulfilment, |hold| hold.kind == HoldKind::Stock);
    if kinds.is_empty() {
        return Ok(());
    }
    end(tx, now, &mut fulfilment, &kinds, &actor.label())?;
    tell(tx, now, actor, &mut fresh.draw(), (&mut order, &mut fulfilment), Some("goods were brought to it"))
}

/// Ends the hold for goods of a locked fulfilment order: what had gone missing is here again.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn found(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    draw: &mut Draw<'_>,
    (order, fulfilment): (&mut OrderDocument, &mut FulfilmentOrder),
) -> Result<()> {
    end(tx, now, fulfilment, &[HoldKind::Stock], &actor.label())?;
    tell(tx, now, actor, draw, (order, fulfilment), Some("its goods are here again"))
}

/// The kinds of those of its holds that are to end.
fn ended(fulfilment: &FulfilmentOrder, which: impl Fn(&Hold) -> bool) -> Vec<HoldKind> {
    fulfilment.holds.iter().filter(|hold| which(hold)).map(|hold| hold.kind).collect()
}

/// Ends live holds of a locked fulfilment order. The caller counts its version up and tells of it.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn end(
    tx: &mut Tx,
    now: Instant,
    fulfilment: &mut FulfilmentOrder,
    kinds: &[HoldKind],
    by: &str,
) -> Result<()> {
    if store::release(tx, now, fulfilment.id, kinds, by)? != kinds.len() {
        return Err(Error::internal("a hold has ended while its order was locked"));
    }
    fulfilment.holds.retain(|hold| !kinds.contains(&hold.kind));
    Ok(())
}

fn tell(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    draw: &mut Draw<'_>,
    (order, fulfilment): (&mut OrderDocument, &mut FulfilmentOrder),
    reason: Option<&str>,
) -> Result<()> {
    fulfilment.advance(fulfilment.state, now);
    save_states(tx, now, [&*fulfilment])?;
    orders::save(tx, now, order, &[], 1)?;
    let happened = vec![(RELEASED, change(fulfilment, Vec::new(), reason, &[])?)];
    announce(tx, (now, now), actor, order, draw, happened)?;
    // What was reported while it was held can be booked now.
    jobs::hasten_keys(tx, now, &orders::after(order.id)).map(|_| ())
}

/// Fulfilment orders with holds whose time is over: up to so many.
pub(in crate::fulfilment) fn over(tx: &mut Tx, now: Instant, limit: i64) -> Result<Vec<FulfilmentOrderId>> {
    store::over(tx, now, limit)
}

/// Writes down that holds of a fulfilment order have ended whose time is over. Nothing happens where somebody else has.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn expire(tx: &mut Tx, now: Instant, fresh: &Fresh, id: FulfilmentOrderId) -> Result<()> {
    let actor = Actor::System("fulfilment");
    let (mut order, mut fulfilment) = start(tx, &actor, id)?;
    let kinds = ended(&fulfilment, |hold| !hold.holds_at(now));
    if kinds.is_empty() {
        return Ok(());
    }
    end(tx, now, &mut fulfilment, &kinds, &actor.label())?;
    tell(tx, now, &actor, &mut fresh.draw(), (&mut order, &mut fulfilment), Some("its time is over"))
}
