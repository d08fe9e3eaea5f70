//! Repairing levels that are not the sums of their movements and live reservations. Never by itself: somebody says so, and each
//! repair is a movement that tells what was found.

use serde::Serialize;

use super::{
    check::compared,
    list::{self, Counters},
    lots,
    model::{LevelChange, LevelKey, MovementKind, NewMovement, Occasion},
    outlook,
    service::{names, tell},
    shortage, store,
};
use crate::{
    db::Tx,
    error::{Error, Result},
    kernel::{
        Actor, Instant,
        ids::{EventId, LocationId, VariantId},
    },
};

/// What is taken for right where level and ledger differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The movements: the level is set to what they add up to, and a movement of nothing says so.
    Ledger,
    /// The level: a movement makes up the difference.
    Level,
}

/// What a level says and what its movements and live reservations add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Of which variant.
    pub variant_id: VariantId,
    /// Where.
    pub location_id: LocationId,
    /// On hand: the level, the sum.
    pub on_hand: (i64, i64),
    /// Allocated: the level, the sum.
    pub allocated: (i64, i64),
    /// Reserved: the level, the sum.
    pub reserved: (i64, i64),
}

impl Difference {
    fn between((variant_id, location_id): LevelKey, level: Counters, sums: Counters) -> Option<Self> {
        let found = Self {
            variant_id,
            location_id,
            on_hand: (level.0, sums.0),
            allocated: (level.1, sums.1),
            reserved: (level.2, sums.2),
        };
        (level != sums).then_some(found)
    }

    const fn key(&self) -> LevelKey {
        (self.variant_id, self.location_id)
    }

    /// What was found, in words.
    fn said(&self) -> String {
        let part = |name: &str, (level, sum): (i64, i64)| {
            (level != sum).then(|| format!("{name} {level}, by its movements {sum}"))
        };
        let reserved =
            |(level, sum): (i64, i64)| (level != sum).then(|| format!("reserved {level}, by its reservations {sum}"));
        let parts = [part("on hand", self.on_hand), part("allocated", self.allocated), reserved(self.reserved)];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    /// What is done to the level, and what the movement says.
    fn repair(&self, trust: Trust) -> (LevelChange, NewMovement) {
        let off = |(level, sum): (i64, i64)| sum - level;
        let (on_hand, allocated, reserved) = (off(self.on_hand), off(self.allocated), off(self.reserved));
        let (level, moved) = match trust {
            Trust::Ledger => ((on_hand, allocated), (0, 0)),
            Trust::Level => ((0, 0), (-on_hand, -allocated)),
        };
        let change = LevelChange { on_hand: level.0, allocated: level.1, reserved, ..LevelChange::of(self.key()) };
        let (on_hand, allocated) = moved;
        let reason = Some(self.said());
        (
            change,
            NewMovement {
                key: self.key(),
                kind: MovementKind::Repair,
                on_hand,
                allocated,
                reason,
                pieces: None,
                reference: None,
            },
        )
    }
}

/// The differences among the levels of up to `limit` variants after `after`, in one snapshot when the transaction is one. The second
/// value is where to go on; `None` at the end.
///
/// # Errors
/// What the database says.
pub fn differences(tx: &mut Tx, after: Option<VariantId>, limit: i64) -> Result<(Vec<Difference>, Option<VariantId>)> {
    let (compared, last) = compared(tx, after, limit)?;
    let found = compared
        .into_iter()
        .filter_map(|(key, (level, sums))| Difference::between(key, level.unwrap_or_default(), sums))
        .collect();
    Ok((found, last))
}

/// Repairs levels that differ still, once they are locked: what is sold meanwhile waits, and what was in hand when the difference was
/// seen has been counted by then. Gives what was repaired; `fresh` are ids for events, as many as there are keys suffice.
///
/// # Errors
/// An internal error where the movements add up to less than nothing, and are to be taken for right.
pub fn repair(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    wanted: &[LevelKey],
    trust: Trust,
    fresh: &[EventId],
) -> Result<Vec<Difference>> {
    let mut keys = wanted.to_vec();
    keys.sort_unstable();
    keys.dedup();
    store::make_levels(tx, now, &keys)?;
    let levels = store::lock_levels(tx, &keys)?;
    let sums = list::sums_of(tx, &keys)?;
    let found: Vec<Difference> = levels
        .iter()
        .filter_map(|level| {
            let (_, sums) = sums.iter().find(|(key, _)| *key == level.key())?;
            Difference::between(level.key(), (level.on_hand, level.allocated, level.reserved), *sums)
        })
        .collect();
    if found.is_empty() {
        return Ok(found);
    }
    let (changes, movements): (Vec<_>, Vec<_>) = found.iter().map(|one| one.repair(trust)).unzip();
    let occasion = Occasion { actor, reference: None, occurred_at: now };
    store::append(tx, now, occasion, &movements)?;
    let names = names(tx, &changes)?;
    let mut moved = store::move_levels(tx, now, &changes)?;
    if moved.len() != changes.len() {
        return Err(Error::internal("the movements of a level add up to less than nothing: keep the levels instead"));
    }
    lots::settle(tx, now, (MovementKind::Repair, occasion), &changes, &mut moved)?;
    shortage::watch(tx, now, &changes, &moved)?;
    tell(tx, now, (MovementKind::Repair.into(), occasion), &names, (&changes, &moved), fresh)?;
    outlook::arrived(tx, now, &changes)?;
    Ok(found)
}
