//! Commands on transfers. Each locks the transfer first and moves the stock levels last.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    api::NewTransfer,
    model::{
        NotArrived, Transfer, TransferCommand, TransferCorrection, TransferLine, TransferPieces, TransferState,
        TransferStep,
    },
    store,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    events::{self, EventSchema, NewEvent, Payload},
    kernel::{
        Actor, Instant,
        ids::{EventId, LocationId, TransferId},
    },
    stock::{
        Entry, LevelKey, Locations, MovementKind, adjust, book, lots,
        outlook::{self, Expected},
        places, store as levels,
    },
};

// What is asked for as it stands in the tables.
pub(super) use super::store::page;

const SHIPPED: &str = "transfer.shipped.v1";
const RECEIVED: &str = "transfer.received.v1";
const CORRECTED: &str = "transfer.corrected.v1";
const CLOSED: &str = "transfer.closed.v1";
const CANCELLED: &str = "transfer.cancelled.v1";

/// An end of a transfer: who is limited to locations hears of it when one of them is theirs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TransferEnd)]
struct End {
    location_id: LocationId,
}

/// A transfer, and what moved now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TransferEvent)]
struct Told<'a> {
    #[serde(flatten)]
    transfer: &'a Transfer,
    /// Where from and where to.
    ends: [End; 2],
}

/// What the events of this part carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    [SHIPPED, RECEIVED, CORRECTED, CLOSED, CANCELLED].into_iter().map(EventSchema::of::<Told<'_>>).collect()
}

/// Writes a transfer: a draft.
///
/// # Errors
/// `not_found` for a location, `scope_missing`, `sku_unknown`, `invalid_value`.
pub(super) fn create(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    locations: &Locations,
    id: TransferId,
    new: &NewTransfer,
) -> Result<Transfer> {
    let end = |reference: &str, pointer: &'static str| {
        let found = locations.by_ref(reference).filter(|location| actor.sees_location(location.id));
        found.map(|location| location.id).ok_or_else(|| Error::not_found("location").at(pointer))
    };
    let (from, to) = (end(&new.from, "/from")?, end(&new.to, "/to")?);
    places::keeps(actor, from)?;
    if from == to {
        return Err(Error::invalid("/to", "expected another location"));
    }
    let skus = new.lines.iter().map(|line| &*line.sku);
    let variants = adjust::stocked(tx, skus, |place| format!("/lines/{place}/sku"))?;
    let line = |(place, line): (usize, &super::api::NewTransferLine)| {
        let unknown = || {
            let error = Error::problem(Code::SkuUnknown, format!("there is no variant `{}`", &*line.sku));
            error.at(format!("/lines/{place}/sku"))
        };
        Ok(TransferLine {
            line_no: i32::try_from(place + 1).map_err(Error::internal)?,
            variant_id: variants.get(&*line.sku).copied().ok_or_else(unknown)?,
            sku: line.sku.to_string(),
            quantity: line.quantity.get(),
            shipped: 0,
            received: 0,
            damaged: 0,
            lost: 0,
            surplus: 0,
        })
    };
    let transfer = Transfer {
        id,
        from_location_id: from,
        to_location_id: to,
        state: TransferState::Draft,
        expected_at: new.expected_at,
        shipped_at: None,
        note: new.note.as_ref().map(ToString::to_string),
        reason: None,
        lines: new.lines.iter().enumerate().map(line).collect::<Result<_>>()?,
        corrections: Vec::new(),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    store::insert(tx, &transfer)?;
    Ok(transfer)
}

fn sees(actor: &Actor, transfer: &Transfer) -> bool {
    actor.sees_location(transfer.from_location_id) || actor.sees_location(transfer.to_location_id)
}

/// A transfer that the actor may see: one of its ends is theirs.
///
/// # Errors
/// `not_found`.
pub(super) fn find(tx: &mut Tx, actor: &Actor, id: TransferId) -> Result<Transfer> {
    store::get(tx, id)?.filter(|one| sees(actor, one)).ok_or_else(|| Error::not_found("transfer"))
}

/// The same, locked until the end of the transaction, for who keeps the stock at the end that the command is about.
fn lock(tx: &mut Tx, actor: &Actor, id: TransferId, end: fn(&Transfer) -> LocationId) -> Result<Transfer> {
    let seen = find(tx, actor, id)?;
    let location = end(&seen);
    if !actor.sees_location(location) {
        let detail = "this is done at the other end, and the credential is limited to others";
        return Err(Error::problem(Code::ScopeMissing, detail));
    }
    places::keeps(actor, location)?;
    store::lock(tx, id)?.ok_or_else(|| Error::not_found("transfer"))
}

fn save(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    (id, kind): (EventId, &'static str),
    transfer: &mut Transfer,
    steps: &[TransferStep],
) -> Result<()> {
    transfer.after(steps);
    (transfer.version, transfer.updated_at) = (transfer.version + 1, now);
    if !store::move_lines(tx, transfer.id, steps)? || !store::save(tx, transfer)? {
        return Err(Error::internal("a transfer has changed while it was locked"));
    }
    foresee(tx, transfer)?;
    let ends = [transfer.from_location_id, transfer.to_location_id].map(|location_id| End { location_id });
    let event = NewEvent {
        id,
        stream: format!("transfer:{}", transfer.id),
        aggregate: "transfer",
        aggregate_id: transfer.id.to_string(),
        aggregate_version: transfer.version,
        channel: None,
        kind,
        occurred_at: now,
        payload: Payload::of(&Told { transfer, ends })?,
        subject: None,
    };
    events::append(tx, actor, now, vec![event])
}

/// Says what is under way, instead of what was said of it before.
fn foresee(tx: &mut Tx, transfer: &Transfer) -> Result<()> {
    let expected = transfer.lines.iter().map(|line| Expected {
        key: (line.variant_id, transfer.to_location_id),
        expected_at: outlook::day_or_late(transfer.expected_at, transfer.created_at),
        quantity: line.under_way(),
    });
    outlook::expect(tx, transfer.updated_at, &transfer.id.to_string(), &expected.collect::<Vec<_>>())
}

fn entries(
    transfer: &Transfer,
    steps: &[TransferStep],
    entry: impl Fn(&TransferLine, &TransferStep) -> Option<Entry>,
) -> Vec<Entry> {
    let of = |step: &TransferStep| {
        let line = transfer.lines.iter().find(|line| line.line_no == step.line_no)?;
        entry(line, step)
    };
    steps.iter().filter_map(of).collect()
}

/// Locks the levels of both ends in the order of their keys: at the one it is noted what is under way, the other the goods leave. Of two
/// transfers that go opposite ways each would else hold what the other waits for.
fn lock_ends(tx: &mut Tx, transfer: &Transfer, steps: &[TransferStep]) -> Result<()> {
    let moved = transfer.lines.iter().filter(|line| steps.iter().any(|step| step.line_no == line.line_no));
    let ends = [transfer.from_location_id, transfer.to_location_id];
    let mut keys: Vec<LevelKey> = moved.flat_map(|line| ends.map(|end| (line.variant_id, end))).collect();
    keys.sort_unstable();
    keys.dedup();
    levels::lock_levels(tx, &keys).map(|_| ())
}

/// Sends goods off: they leave the location's stock, as far as they are nobody's and may be sold. Those of lots arrive in them.
///
/// # Errors
/// `not_found`, `scope_missing`, `state_conflict`, `line_unknown`, `quantity_exceeded`; `out_of_stock` where less is available.
pub(super) fn ship(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    fresh: &[EventId],
    id: TransferId,
    pieces: &[TransferPieces],
) -> Result<Transfer> {
    let mut transfer = lock(tx, actor, id, |one| one.from_location_id)?;
    let steps = transfer.plan_ship(pieces)?;
    transfer.state = transfer.state.apply(TransferCommand::Ship, false)?;
    transfer.shipped_at = Some(now);
    lock_ends(tx, &transfer, &steps)?;
    let (event, rest) = split(fresh);
    save(tx, (now, actor), (event, SHIPPED), &mut transfer, &steps)?;
    let goods = entries(&transfer, &steps, |line, step| {
        let key = (line.variant_id, transfer.from_location_id);
        Some(Entry::goods(key, MovementKind::TransferOut, -step.shipped).if_available(step.shipped))
    });
    book(tx, now, actor, &goods, (Some(&id.to_string()), now), rest)?;
    Ok(transfer)
}

fn split(fresh: &[EventId]) -> (EventId, &[EventId]) {
    match fresh {
        [first, rest @ ..] => (*first, rest),
        [] => (EventId::new(), &[]),
    }
}

/// Takes in what has arrived. What is damaged is counted and lies nowhere.
///
/// # Errors
/// `not_found`, `scope_missing`, `state_conflict`, `line_unknown`, `quantity_exceeded`.
pub(super) fn receive(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    fresh: &[EventId],
    id: TransferId,
    (pieces, accept_over): (&[TransferPieces], bool),
) -> Result<Transfer> {
    let mut transfer = lock(tx, actor, id, |one| one.to_location_id)?;
    let steps = transfer.plan_receive(pieces, accept_over)?;
    let (event, rest) = split(fresh);
    let whole = {
        let mut after = transfer.clone();
        after.after(&steps);
        after.is_whole()
    };
    transfer.state = transfer.state.apply(TransferCommand::Receive, whole)?;
    // The lots that come before the levels, where it is noted what is under way.
    lots::under_way(tx, &id.to_string())?;
    save(tx, (now, actor), (event, RECEIVED), &mut transfer, &steps)?;
    let goods = entries(&transfer, &steps, |line, step| {
        let come = step.received + step.surplus;
        let key = (line.variant_id, transfer.to_location_id);
        (come > 0).then(|| Entry::goods(key, MovementKind::TransferIn, come))
    });
    if !goods.is_empty() {
        book(tx, now, actor, &goods, (Some(&id.to_string()), now), rest)?;
    }
    Ok(transfer)
}

/// Takes back that goods have arrived: they leave the stock and their lots, and are under way again; of a closed transfer they are
/// given up.
///
/// # Errors
/// `not_found`, `scope_missing`, `state_conflict`, `line_unknown`, `quantity_exceeded`; `out_of_stock` and `stock_negative` where they
/// belong to somebody by now, or have left.
pub(super) fn correct(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    fresh: &[EventId],
    id: TransferId,
    (pieces, reason): (&[TransferPieces], &str),
) -> Result<Transfer> {
    let mut transfer = lock(tx, actor, id, |one| one.to_location_id)?;
    let steps = transfer.plan_correct(pieces)?;
    let key = |line: &TransferLine| (line.variant_id, transfer.to_location_id);
    let mut came: BTreeMap<LevelKey, i64> = BTreeMap::new();
    for line in &transfer.lines {
        *came.entry(key(line)).or_default() += line.received + line.surplus;
    }
    let (whole, any) = {
        let mut after = transfer.clone();
        after.after(&steps);
        (after.is_whole(), after.lines.iter().any(|line| line.received + line.surplus + line.damaged > 0))
    };
    transfer.state = transfer.state.corrected(whole, any)?;
    let taken = |step: &TransferStep| -(step.received + step.surplus);
    let line =
        |step: &TransferStep| NotArrived { line_no: step.line_no, quantity: taken(step), damaged: -step.damaged };
    let (by, lines) = (actor.label(), steps.iter().map(line).collect());
    transfer.corrections.push(TransferCorrection { at: now, by, reason: reason.to_owned(), lines });
    let (event, rest) = split(fresh);
    // The lots that go before the levels, where it is noted what is under way.
    lots::lock_moved(tx, &id.to_string())?;
    save(tx, (now, actor), (event, CORRECTED), &mut transfer, &steps)?;
    let goods = entries(&transfer, &steps, |line, step| {
        let entry = Entry::goods((line.variant_id, transfer.to_location_id), MovementKind::Correction, -taken(step));
        let entry = Entry { reason: Some(reason.to_owned()), ..entry };
        (taken(step) > 0).then(|| entry.if_available(taken(step)))
    });
    if !goods.is_empty() {
        let back = |entry: &Entry| lots::Back {
            key: (entry.variant, entry.location),
            said: None,
            first: None,
            quantity: -entry.on_hand,
            pointer: "/lines".to_owned(),
        };
        let reference = id.to_string();
        let backs: Vec<lots::Back> = goods.iter().map(back).collect();
        let (of_lots, of_levels) = rest.split_at(rest.len() / 2);
        lots::take_back(tx, now, actor, &reference, (&backs, &came), of_lots)?;
        book(tx, now, actor, &goods, (Some(&reference), now), of_levels)?;
    }
    Ok(transfer)
}

/// Gives up what has not arrived, or calls off what has not left.
///
/// # Errors
/// `not_found`, `scope_missing`, `state_conflict`.
pub(super) fn end(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    event: EventId,
    id: TransferId,
    (command, reason): (TransferCommand, &str),
) -> Result<Transfer> {
    let (kind, at): (_, fn(&Transfer) -> LocationId) = match command {
        TransferCommand::Cancel => (CANCELLED, |one| one.from_location_id),
        _ => (CLOSED, |one| one.to_location_id),
    };
    let mut transfer = lock(tx, actor, id, at)?;
    transfer.state = transfer.state.apply(command, false)?;
    transfer.reason = Some(reason.to_owned());
    let steps = transfer.plan_close();
    save(tx, (now, actor), (event, kind), &mut transfer, &steps)?;
    Ok(transfer)
}
