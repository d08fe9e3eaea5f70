//! Goods that stand at a dock for somebody are nobody else's: whoever picks, ships or counts off leaves them there.
//!
//! What stands there is told by the matches that were received, what lies there by the levels. Both are read under the locks of the
//! levels: goods that come for somebody are booked under these too, so that of a receipt and a pick one sees the other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{service::summed, store};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{
        model::{Counts, FulfilmentLine, FulfilmentOrder, Step},
        store as fulfilment_store,
    },
    kernel::ids::{FulfilmentOrderId, LocationId, VariantId},
    stock::{self, Level, LevelKey},
};

/// What is done with pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fulfilment) enum Taking {
    /// They are taken from the shelf; what was taken before lies there no more.
    Pick,
    /// They leave the location.
    Leave,
}

/// Pieces that are taken of a level, for a fulfilment order where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fulfilment) struct Taken {
    /// For whom.
    pub work: Option<FulfilmentOrderId>,
    /// The order's line.
    pub line_no: Option<i32>,
    /// Of what, where.
    pub key: LevelKey,
    /// How many.
    pub pieces: i64,
}

/// What steps take of a fulfilment order's levels, as far as these are counted.
pub(in crate::fulfilment) fn taken(
    work: &FulfilmentOrder,
    steps: &[(i32, Step)],
    pieces: fn(&Step) -> i64,
) -> Vec<Taken> {
    let of = |(line_no, step): &(i32, Step)| {
        let line = work.lines.iter().find(|line| line.line_no == *line_no && line.tracked)?;
        let key = (line.variant_id, work.location_id);
        let taken = Taken { work: Some(work.id), line_no: Some(*line_no), key, pieces: pieces(step) };
        (taken.pieces > 0).then_some(taken)
    };
    steps.iter().filter_map(of).collect()
}

/// Goods at a dock: where, for whom, how many.
pub(super) type Standing = (LevelKey, FulfilmentOrderId, i32, i64);

/// Refuses to take what stands at a dock for others. The levels stay locked: nothing but they is to be moved behind it. One statement
/// where no goods cross the dock; else three, and one more where others' goods stand there.
///
/// # Errors
/// `stock_negative`, with how many are `available` and how many stand `at_dock`.
pub(in crate::fulfilment) fn leave_standing(tx: &mut Tx, taken: &[Taken], how: Taking) -> Result<()> {
    let places: BTreeSet<LocationId> = taken.iter().map(|one| one.key.1).collect();
    let docks = if places.is_empty() { Vec::new() } else { store::hubs_among(tx, places)? };
    let taken: Vec<&Taken> = taken.iter().filter(|one| docks.contains(&one.key.1)).collect();
    let keys: Vec<LevelKey> = taken.iter().map(|one| one.key).collect::<BTreeSet<_>>().into_iter().collect();
    if keys.is_empty() {
        return Ok(());
    }
    // Read behind the locks, by statements of their own: what was written by whom they waited for is seen.
    let levels = stock::lock_levels(tx, &keys)?;
    let standing = store::standing(tx, &keys)?;
    if standing.is_empty() {
        return Ok(());
    }
    let picked = match how {
        Taking::Pick => fulfilment_store::picked_at(tx, &keys)?,
        Taking::Leave => HashMap::new(),
    };
    for (key, level) in &levels {
        let own: Vec<&&Taken> = taken.iter().filter(|one| one.key == *key).collect();
        let here = standing.iter().filter(|(at, ..)| at == key);
        check(level, &own, &here.collect::<Vec<_>>(), (how, picked.get(key).copied().unwrap_or_default()))?;
    }
    Ok(())
}

/// Refuses what is taken of a level beyond what is not there for others.
fn check(level: &Level, taken: &[&&Taken], standing: &[&Standing], (how, picked): (Taking, i64)) -> Result<()> {
    let wanted = summed(taken.iter().map(|one| (one.work, one.pieces)));
    let sum_for = |work: Option<FulfilmentOrderId>| {
        standing.iter().filter(|(_, of, ..)| Some(*of) == work).map(|(.., pieces)| pieces).sum::<i64>()
    };
    let all: i64 = standing.iter().map(|(.., pieces)| pieces).sum();
    let others = all - wanted.iter().map(|(work, _)| sum_for(*work)).sum::<i64>();
    // Who takes no more than stands there for them takes that.
    if others == 0 || wanted.iter().all(|(work, pieces)| *pieces <= sum_for(*work)) {
        return Ok(());
    }
    let pieces: i64 = wanted.iter().map(|(_, pieces)| pieces).sum();
    let free = match how {
        // What is picked now is among what was picked.
        Taking::Pick => level.on_hand - level.withheld - others - (picked - pieces),
        Taking::Leave => level.on_hand - others,
    };
    if pieces <= free {
        return Ok(());
    }
    let free = free.max(0);
    let detail = format!("only {free} of these lie there for it: {others} stand at the dock for other orders");
    let error = Error::problem(Code::StockNegative, detail).with("available", free).with("at_dock", others);
    let error = error.with("variant_id", level.variant.to_string()).with("location_id", level.location.to_string());
    Err(match taken.first().and_then(|one| one.line_no) {
        Some(line_no) => error.with("line_no", line_no),
        None => error,
    })
}

/// Pieces of a level that have not come after all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GoesBack {
    /// Of what, where.
    pub key: LevelKey,
    /// How many.
    pub all: i64,
    /// How many of those stood at the dock for orders and have been let go.
    pub freed: i64,
    /// Where that stands in the request, as a JSON pointer.
    pub pointer: String,
}

/// Refuses to take goods back that were picked for orders, stand at the dock for them, or are held by carts. What orders have and nobody has
/// touched goes: who has waited least is short of it. The levels stay locked: nothing but they is to be moved behind it. Three statements.
///
/// # Errors
/// `state_conflict` with how many are `picked` and stand `at_dock`; `out_of_stock` with how many carts hold (`reserved`).
pub(super) fn leave_taken(tx: &mut Tx, going: &[GoesBack]) -> Result<()> {
    let keys: Vec<LevelKey> = going.iter().map(|one| one.key).collect();
    // Read behind the locks, by statements of their own: what was written by whom they waited for is seen.
    let levels = stock::lock_levels(tx, &keys)?;
    let standing = store::standing(tx, &keys)?;
    let picked = fulfilment_store::picked_at(tx, &keys)?;
    for one in going {
        let Some(level) = levels.get(&one.key) else { continue };
        let at_dock = standing.iter().filter(|(at, ..)| *at == one.key).map(|(.., pieces)| pieces).sum();
        let picked = picked.get(&one.key).copied().unwrap_or_default();
        check_back(level, one, (picked, at_dock)).map_err(|error| error.at(&*one.pointer))?;
    }
    Ok(())
}

fn check_back(level: &Level, back: &GoesBack, (picked, at_dock): (i64, i64)) -> Result<()> {
    // That less lies there than has not come, the booking says.
    if back.all > level.on_hand {
        return Ok(());
    }
    let wanted = back.all - back.freed;
    let left = (level.on_hand - back.freed - at_dock - picked).max(0);
    if wanted > left {
        let detail =
            format!("only {left} of these are neither picked nor at the dock for orders: put those back first");
        let error = Error::conflict(detail).with("left", left).with("picked", picked).with("at_dock", at_dock);
        return Err(error.with("variant_id", level.variant.to_string()));
    }
    // Of those who have a claim to goods, carts have waited least: they would have to do without, and nobody would tell them.
    let unsold = level.on_hand - level.allocated - level.withheld;
    let (held, free) = (unsold.clamp(0, level.reserved.max(0)), (unsold - level.reserved).max(0));
    if held > 0 && back.all > free {
        let detail = format!("carts hold {held} of these: take them back when they have been bought or let go");
        let error = Error::problem(Code::OutOfStock, detail).with("available", free).with("reserved", held);
        return Err(error.with("variant_id", level.variant.to_string()));
    }
    Ok(())
}

/// How many pieces of the lines of fulfilment orders stand at their docks for them: they are loaded, not picked. One statement.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn standing_for<'a>(
    tx: &mut Tx,
    works: impl Iterator<Item = &'a FulfilmentOrder>,
) -> Result<HashMap<(FulfilmentOrderId, i32), i64>> {
    let open = |line: &FulfilmentLine| line.tracked && Counts::open(&line.counts) > 0;
    let keys = works
        .flat_map(|work| work.lines.iter().filter(|line| open(line)).map(|line| (line.variant_id, work.location_id)));
    let keys: Vec<LevelKey> = keys.collect::<BTreeSet<_>>().into_iter().collect();
    let standing = if keys.is_empty() { Vec::new() } else { store::standing(tx, &keys)? };
    Ok(summed(standing.into_iter().map(|(_, work, line_no, pieces)| ((work, line_no), pieces))).into_iter().collect())
}

/// How many pieces of levels stand at their docks for orders; those of which none do are absent. One statement.
///
/// # Errors
/// What the database says.
pub fn standing_at_docks(tx: &mut Tx, keys: &[LevelKey]) -> Result<HashMap<LevelKey, i64>> {
    let standing = if keys.is_empty() { Vec::new() } else { store::standing(tx, keys)? };
    Ok(summed(standing.into_iter().map(|(key, .., pieces)| (key, pieces))).into_iter().collect())
}

/// How many pieces of levels stand at their docks for whom: by the level and the fulfilment order. One statement.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn standing_at(
    tx: &mut Tx,
    keys: &[LevelKey],
) -> Result<BTreeMap<(VariantId, LocationId, FulfilmentOrderId), i64>> {
    let standing = if keys.is_empty() { Vec::new() } else { store::standing(tx, keys)? };
    Ok(summed(standing.into_iter().map(|((variant, location), work, _, pieces)| ((variant, location, work), pieces)))
        .into_iter()
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Id, Instant};

    fn work(number: u8) -> FulfilmentOrderId {
        Id::from_bytes([number; 16])
    }

    fn level(on_hand: i64, withheld: i64) -> Level {
        Level {
            variant: Id::from_bytes([1; 16]),
            location: Id::from_bytes([2; 16]),
            on_hand,
            allocated: 0,
            reserved: 0,
            safety: 0,
            withheld,
            beyond: 0,
            version: 1,
            updated_at: Instant::from_micros(0),
        }
    }

    /// Whether pieces may be taken for a fulfilment order, of a level at whose dock others' stand.
    fn may(level: Level, (of, pieces): (u8, i64), standing: &[(u8, i64)], how: (Taking, i64)) -> bool {
        let taken = Taken { work: Some(work(of)), line_no: Some(1), key: level.key(), pieces };
        let standing: Vec<Standing> =
            standing.iter().map(|(of, pieces)| (level.key(), work(*of), 1, *pieces)).collect();
        check(&level, &[&&taken], &standing.iter().collect::<Vec<_>>(), how).is_ok()
    }

    #[test]
    fn what_has_not_come_goes_unless_somebody_has_it_in_hand() {
        let back =
            |all: i64, freed: i64| GoesBack { key: level(0, 0).key(), all, freed, pointer: "/lines/0".to_owned() };
        let code = |level: Level, back: GoesBack, taken: (i64, i64)| {
            check_back(&level, &back, taken).err().map(|error| error.code().as_str())
        };
        let sold = |on_hand: i64, allocated: i64, reserved: i64| Level { allocated, reserved, ..level(on_hand, 0) };
        // What orders have and nobody has picked goes, all of it; what is picked or stands for others stays.
        assert_eq!(code(sold(5, 5, 0), back(5, 0), (0, 0)), None);
        assert_eq!(code(sold(5, 5, 0), back(3, 0), (2, 0)), None);
        assert_eq!(code(sold(5, 5, 0), back(4, 0), (2, 0)), Some("state_conflict"));
        assert_eq!(code(sold(5, 5, 0), back(3, 0), (1, 2)), Some("state_conflict"));
        // What was let go at the dock goes whatever was picked before it came.
        assert_eq!(code(sold(5, 5, 0), back(3, 3), (9, 0)), None);
        // A cart that holds what is there keeps it; one that waits for goods anyway keeps nobody from it.
        assert_eq!(code(sold(5, 2, 2), back(1, 0), (0, 0)), None);
        assert_eq!(code(sold(5, 2, 2), back(2, 0), (0, 0)), Some("out_of_stock"));
        assert_eq!(code(sold(5, 5, 2), back(5, 0), (0, 0)), None);
        // That it has left is said by the booking.
        assert_eq!(code(sold(2, 2, 0), back(3, 0), (2, 0)), None);
    }

    #[test]
    fn what_stands_for_others_is_left_and_what_is_on_the_shelf_is_not() {
        let pick = |before: i64, pieces: i64| (Taking::Pick, before + pieces);
        // Five lie there, three of them at the dock for the second.
        assert!(may(level(5, 0), (1, 2), &[(2, 3)], pick(0, 2)));
        assert!(!may(level(5, 0), (1, 3), &[(2, 3)], pick(0, 3)));
        // What was picked before, and what may not be sold, is not there any more.
        assert!(!may(level(5, 0), (1, 2), &[(2, 3)], pick(1, 2)));
        assert!(!may(level(5, 1), (1, 2), &[(2, 3)], pick(0, 2)));
        // The second takes its own, whatever was picked.
        assert!(may(level(5, 0), (2, 3), &[(2, 3), (3, 1)], pick(9, 3)));
        assert!(!may(level(4, 0), (2, 4), &[(2, 3), (3, 1)], pick(0, 4)));
        // Where nothing stands for others nobody asks how much lies there.
        assert!(may(level(0, 0), (1, 2), &[(1, 1)], pick(0, 2)));
        assert!(may(level(5, 2), (1, 2), &[(2, 3)], (Taking::Leave, 0)));
        assert!(!may(level(4, 0), (1, 2), &[(2, 3)], (Taking::Leave, 0)));
    }
}
