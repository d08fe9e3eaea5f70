//! Booking goods in, out and over: the one way into the ledger for whatever is neither an order's purchase nor a count by hand.

use super::{
    lots,
    model::{Level, LevelChange, LevelKey, MovementKind, NewMovement, Occasion, Selling, sum_changes},
    outlook,
    service::{names, tell},
    shortage, store,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    kernel::{
        Actor, Instant,
        ids::{EventId, LocationId, VariantId},
    },
};

/// What one line of a booking does to a level. Each is a movement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which variant.
    pub variant: VariantId,
    /// Where.
    pub location: LocationId,
    /// Why the level moves.
    pub kind: MovementKind,
    /// Added to what lies there.
    pub on_hand: i64,
    /// Added to what belongs to orders.
    pub allocated: i64,
    /// So many must be available before: for what may not be taken from those who have it already. What the same booking
    /// gives back to the level counts; what may be sold beyond what is there counts for a promise, and not for goods.
    pub guard: Option<i64>,
    /// For whom they must be: what is kept back from them does not count.
    pub selling: Selling,
    /// Why, in words.
    pub reason: Option<String>,
}

impl Entry {
    /// Pieces that come to lie somewhere, or (negative) leave.
    #[must_use]
    pub const fn goods((variant, location): LevelKey, kind: MovementKind, on_hand: i64) -> Self {
        Self { variant, location, kind, on_hand, allocated: 0, guard: None, selling: Selling::NOBODY, reason: None }
    }

    /// Pieces that belong to an order from now on, or (negative) no more.
    #[must_use]
    pub const fn promise((variant, location): LevelKey, kind: MovementKind, allocated: i64) -> Self {
        Self { variant, location, kind, on_hand: 0, allocated, guard: None, selling: Selling::NOBODY, reason: None }
    }

    /// The same, if so many are available.
    #[must_use]
    pub fn if_available(self, pieces: i64) -> Self {
        Self { guard: Some(pieces), ..self }
    }

    /// The same, for whom it is sold.
    #[must_use]
    pub fn sold(self, selling: Selling) -> Self {
        Self { selling, ..self }
    }

    const fn key(&self) -> LevelKey {
        (self.variant, self.location)
    }
}

/// Books entries, all or none, with a number of statements that does not depend on theirs, and tells of the levels of which
/// goods came or went. It moves the levels, so it is the last a command does; `reference` says which document it is booked by, `fresh` are ids for
/// events: as many as there are entries suffice. The levels afterwards, in key order.
///
/// # Errors
/// `stock_negative` where less lies than leaves; `out_of_stock` where a guard does not hold; both with `variant_id`,
/// `location_id` and how many there are.
pub fn book(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    entries: &[Entry],
    (reference, occurred_at): (Option<&str>, Instant),
    fresh: &[EventId],
) -> Result<Vec<Level>> {
    let change = |entry: &Entry| LevelChange {
        on_hand: entry.on_hand,
        allocated: entry.allocated,
        guard: entry.guard,
        selling: entry.selling,
        // Goods have to lie there. A promise needs no more than a sale does.
        shelf_only: entry.guard.is_some() && entry.on_hand != 0,
        ..LevelChange::of(entry.key())
    };
    let changes = sum_changes(entries.iter().map(change));
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let occasion = Occasion { actor, reference, occurred_at };
    let movement = |entry: &Entry| NewMovement {
        key: entry.key(),
        kind: entry.kind,
        on_hand: entry.on_hand,
        allocated: entry.allocated,
        reason: entry.reason.clone(),
        pieces: None,
        reference: None,
    };
    store::append(tx, now, occasion, &entries.iter().map(movement).collect::<Vec<_>>())?;
    // Lots are locked before levels.
    let comes =
        |entry: &&Entry| entry.on_hand > 0 && matches!(entry.kind, MovementKind::TransferIn | MovementKind::Correction);
    let coming = match (entries.iter().find(comes), reference) {
        (Some(entry), Some(reference)) => Some((entry.kind, lots::under_way(tx, reference)?)),
        _ => None,
    };
    let keys: Vec<LevelKey> = changes.iter().map(LevelChange::key).collect();
    store::make_levels(tx, now, &keys)?;
    let names = names(tx, &changes)?;
    let mut moved = store::move_levels(tx, now, &changes)?;
    if moved.len() != changes.len() {
        return Err(refusal(tx, &changes)?);
    }
    // Lots are told of what left with the kind of the first entry: of one document all that leaves has the same.
    let left = entries.iter().find(|entry| entry.on_hand < 0).map_or(MovementKind::Adjustment, |entry| entry.kind);
    lots::settle(tx, now, (left, occasion), &changes, &mut moved)?;
    if let Some((kind, under_way)) = coming {
        lots::arrive(tx, now, (kind, occasion), (&changes, &under_way), &mut moved)?;
    }
    shortage::watch(tx, now, &changes, &moved)?;
    // Of a kind there is one event per level, as of every command: what happened last to it names it.
    for kind in MovementKind::ALL {
        let goods = |change: &&LevelChange| {
            let last = entries.iter().rev().find(|entry| entry.key() == change.key() && entry.on_hand != 0);
            change.on_hand != 0 && last.is_some_and(|entry| entry.kind == *kind)
        };
        let of_kind: Vec<LevelChange> = changes.iter().filter(goods).copied().collect();
        let place = |change: &LevelChange| changes.iter().position(|one| one.key() == change.key());
        let ids: Vec<EventId> = of_kind.iter().filter_map(|change| fresh.get(place(change)?).copied()).collect();
        if !of_kind.is_empty() {
            tell(tx, now, ((*kind).into(), occasion), &names, (&of_kind, &moved), &ids)?;
        }
    }
    outlook::arrived(tx, now, &changes)?;
    Ok(moved)
}

/// Why levels did not move.
fn refusal(tx: &mut Tx, changes: &[LevelChange]) -> Result<Error> {
    let keys: Vec<LevelKey> = changes.iter().map(LevelChange::key).collect();
    let levels = store::lock_levels(tx, &keys)?;
    let found = changes.iter().find_map(|change| {
        let level = levels.iter().find(|level| level.key() == change.key())?;
        let short = level.on_hand + change.on_hand < 0;
        let refused = short || change.guard.is_some_and(|needed| level.available() < needed);
        refused.then_some((level, short))
    });
    // What is kept back from a channel is there for others, and what has ended still lies there: then it is that.
    let kept = || {
        let of = changes.iter().find(|change| change.guard.is_some())?;
        levels.iter().find(|level| level.key() == of.key()).map(|level| (level, false))
    };
    let Some((level, short)) = found.or_else(kept) else {
        return Ok(Error::internal("a stock level holds less than its orders say"));
    };
    let error = match short {
        true => Error::problem(Code::StockNegative, format!("only {} lie at the location", level.on_hand))
            .with("on_hand", level.on_hand),
        false => Error::problem(Code::OutOfStock, format!("only {} are available at the location", level.available()))
            .with("available", level.available()),
    };
    Ok(error.with("variant_id", level.variant.to_string()).with("location_id", level.location.to_string()))
}
