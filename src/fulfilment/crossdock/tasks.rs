//! What people do at a dock, ended by scanning what they have in their hands.

use super::{
    model::{DockMatch, DockTask, MatchCommand, MatchState, TaskKind, TaskState},
    service::{Doing, line_of, summed},
    store, told,
};
use crate::{
    catalog,
    db::Tx,
    error::{Error, Result},
    fulfilment::{Fresh, holds, inbound, model::Pieces, service as fulfilment},
    kernel::{
        Actor, Quantity,
        gs1::{self, Fields},
        ids::{DockMatchId, DockTaskId},
    },
};

/// A task that the actor may see.
fn find(tx: &mut Tx, actor: &Actor, id: DockTaskId) -> Result<DockTask> {
    let found = store::task(tx, id)?.filter(|task| actor.sees_location(task.location_id));
    found.ok_or_else(|| Error::not_found("dock task"))
}

/// Whether what was scanned is what the task is about.
fn check_scan(tx: &mut Tx, task: &DockTask, code: &str, fields: Option<&Fields>) -> Result<()> {
    let wrong = |wanted: String| Error::invalid("/scan", format!("this is not what the task is about: scan {wanted}"));
    if let Some(sscc) = &task.sscc {
        let is_it = fields.and_then(|fields| fields.sscc.as_ref()) == Some(sscc);
        // A rest of a unit is known by what it is, too.
        if is_it || (task.variant_id.is_none() && code == sscc) {
            return Ok(());
        }
        if task.variant_id.is_none() {
            return Err(wrong(format!("the handling unit {sscc}")));
        }
    }
    let Some(variant) = task.variant_id else { return Ok(()) };
    if task.sku.as_deref() == Some(code) {
        return Ok(());
    }
    let sku = task.sku.clone().unwrap_or_default();
    let gtin = fields.and_then(|fields| fields.gtin.as_deref());
    let gtin = gtin.ok_or_else(|| wrong(sku.clone()))?.parse().map_err(|_| wrong(sku.clone()))?;
    match catalog::by_gtin(tx, &gtin)?.iter().any(|found| found.id == variant) {
        true => Ok(()),
        false => Err(wrong(sku)),
    }
}

/// Notes that a task is done. Loading packs the goods for their order.
///
/// # Errors
/// `not_found`; `invalid_value` when something else was scanned; `state_conflict` when it has ended, or something has to be done
/// before; what packing says.
pub(super) fn done(tx: &mut Tx, doing: Doing<'_>, fresh: &[Fresh], id: DockTaskId, code: &str) -> Result<DockTask> {
    let mut task = find(tx, doing.actor, id)?;
    let ended = |state: TaskState| Error::conflict(format!("the task is {state}"));
    if task.state != TaskState::Open {
        return Err(ended(task.state));
    }
    let year = chrono::Datelike::year(&doing.now.utc());
    check_scan(tx, &task, code, gs1::read(code, year).ok().as_ref())?;
    // The order is locked before anything else.
    if task.kind == TaskKind::Load {
        load(tx, doing, fresh, &task)?;
    }
    let by = doing.actor.label();
    if !store::end_tasks(tx, doing.now, &[id], (TaskState::Done, Some(&by)))? {
        return Err(ended(TaskState::Done));
    }
    (task.state, task.ended_at, task.ended_by) = (TaskState::Done, Some(doing.now), Some(by));
    Ok(task)
}

/// Packs what is loaded, and ends its matches.
fn load(tx: &mut Tx, doing: Doing<'_>, fresh: &[Fresh], task: &DockTask) -> Result<()> {
    let mut matches = loaded(tx, task)?;
    let missing = || Error::internal("a task of loading without an order");
    let order = task.fulfilment_order_id.ok_or_else(missing)?;
    let pieces = summed(matches.iter().map(|one| (one.line_no, one.quantity)));
    let piece =
        |(line_no, quantity)| Ok(Pieces { line_no, quantity: Quantity::new(quantity).map_err(Error::internal)? });
    let pieces: Vec<Pieces> = pieces.into_iter().map(piece).collect::<Result<_>>()?;
    let (packing, telling, releasing) = match fresh {
        [packing, telling, releasing, ..] => (packing, telling, releasing),
        _ => return Err(Error::internal("loading needs ids")),
    };
    holds::goods_came(tx, doing.now, doing.actor, releasing, order)?;
    fulfilment::pack(tx, doing.now, doing.actor, packing, order, Some(&pieces))?;
    if let Some(own) = task.match_id
        && store::has_open(tx, own, TaskKind::Sort)?
    {
        return Err(Error::conflict("it has to be sorted first"));
    }
    let ids: Vec<DockMatchId> = matches.iter().map(|one| one.id).collect();
    if !store::end(tx, doing.now, &ids, (MatchState::Received, MatchState::Done), None)? {
        return Err(Error::conflict("the goods have gone elsewhere"));
    }
    store::unmatch_demands(tx, &summed(matches.iter().map(|one| (line_of(one), one.quantity))))?;
    if let Some(sscc) = task.sscc.clone().filter(|_| task.match_id.is_none()) {
        inbound::units_passed_on(tx, doing.now, task.inbound_shipment_id, &[sscc])?;
    }
    for one in &mut matches {
        one.state = one.state.apply(MatchCommand::Load)?;
        one.ended_at = Some(doing.now);
    }
    told::tell(tx, doing.now, doing.actor, &mut telling.draw(), &matches)
}

/// The matches that a task of loading is about: its own, or all of its handling unit.
fn loaded(tx: &mut Tx, task: &DockTask) -> Result<Vec<DockMatch>> {
    let mut matches = match task.match_id {
        Some(id) => store::by_ids(tx, &[id])?,
        None => store::open_of(tx, task.inbound_shipment_id)?,
    };
    matches.retain(|one| one.state == MatchState::Received && one.sscc == task.sscc);
    match matches.is_empty() {
        true => Err(Error::conflict("the goods have gone elsewhere")),
        false => Ok(matches),
    }
}
