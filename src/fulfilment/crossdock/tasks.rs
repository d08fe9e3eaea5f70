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
    fulfilment::{
        Fresh, holds,
        inbound::{self, InboundLine},
        model::Pieces,
        parcels::{self, NewLine, PackedLot},
        picking::{self, TakenOf},
        service as fulfilment,
    },
    kernel::{
        Actor, Quantity,
        gs1::{self, Fields},
        ids::{DockMatchId, DockTaskId, VariantId},
    },
    stock::lots,
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

/// Packs what is loaded, and ends its matches. A handling unit that passes unopened leaves as a package with its SSCC; so do pieces of
/// which the lot is known, so that they leave of it.
fn load(tx: &mut Tx, doing: Doing<'_>, fresh: &[Fresh], task: &DockTask) -> Result<()> {
    let mut matches = loaded(tx, task)?;
    let missing = || Error::internal("a task of loading without an order");
    let order = task.fulfilment_order_id.ok_or_else(missing)?;
    let pieces = summed(matches.iter().map(|one| (one.line_no, one.quantity)));
    let piece =
        |(line_no, quantity)| Ok(Pieces { line_no, quantity: Quantity::new(quantity).map_err(Error::internal)? });
    let pieces: Vec<Pieces> = pieces.into_iter().map(piece).collect::<Result<_>>()?;
    let [packing, telling, releasing, boxing, ..] = fresh else {
        return Err(Error::internal("loading needs ids"));
    };
    holds::goods_came(tx, doing.now, doing.actor, releasing, order)?;
    let work = fulfilment::pack_standing(tx, doing.now, doing.actor, packing, order, &pieces)?;
    let lines = in_lots(tx, doing, task, &matches)?;
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
    let unit = task.sscc.clone().filter(|_| task.match_id.is_none());
    if let Some(sscc) = &unit {
        inbound::units_passed_on(tx, doing.now, task.inbound_shipment_id, std::slice::from_ref(sscc))?;
    }
    let taken = |line: &NewLine| {
        let own = work.lines.iter().find(|known| known.line_no == line.line_no)?;
        let (work, location, lot) = (work.id, work.location_id, line.lots.first()?.lot.clone());
        Some(TakenOf { work, line_no: line.line_no, variant: own.variant_id, location, lot, pieces: line.quantity })
    };
    picking::note(tx, &lines.iter().filter_map(taken).collect::<Vec<_>>())?;
    if unit.is_some() || lines.iter().any(|line| !line.lots.is_empty()) {
        parcels::of_dock(tx, (boxing.first(), doing.now), &work, (unit, lines), doing.locations)?;
    }
    for one in &mut matches {
        one.state = one.state.apply(MatchCommand::Load)?;
        one.ended_at = Some(doing.now);
    }
    told::tell(tx, doing.now, doing.actor, &mut telling.draw(), &matches)
}

/// What is loaded, line by line and lot by lot.
///
/// # Errors
/// `state_conflict` where it is of a lot that may not be sold.
fn in_lots(tx: &mut Tx, doing: Doing<'_>, task: &DockTask, matches: &[DockMatch]) -> Result<Vec<NewLine>> {
    let shipment = inbound::get(tx, doing.actor, task.inbound_shipment_id)?;
    let number = |one: &DockMatch| {
        let line = shipment.lines.iter().find(|line| line.line_no == one.inbound_line);
        one.lot.clone().or_else(|| line.and_then(InboundLine::lot_number))
    };
    let of: Vec<(VariantId, Option<String>)> = matches.iter().map(|one| (one.variant_id, number(one))).collect();
    let numbers = of.iter().filter_map(|(variant, lot)| Some((*variant, lot.as_deref()?)));
    for lot in lots::known(tx, &numbers.collect())? {
        if let Some(why) = lot.refused(doing.now, None) {
            let error = Error::conflict(format!("{why}: put it away"));
            return Err(error.with("lot_id", lot.id.to_string()));
        }
    }
    let parts = matches.iter().zip(of).map(|(one, (_, lot))| ((one.line_no, lot), one.quantity));
    let line = |((line_no, lot), quantity): ((i32, Option<String>), i64)| NewLine {
        line_no,
        quantity,
        serials: Vec::new(),
        lots: lot.map(|lot| PackedLot { lot, quantity: Some(quantity) }).into_iter().collect(),
    };
    Ok(summed(parts).into_iter().map(line).collect())
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
