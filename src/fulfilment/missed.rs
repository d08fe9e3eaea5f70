//! What a picker has not found where the books say that it lies: of that article nothing is planned there again for its order, until goods
//! come there or somebody says how many lie there.
//!
//! It is kept with the fulfilment order that was to be picked, as a location's "no" is, and asked for where an order is planned anew.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    crossdock::Demand,
    holds::HoldKind,
    model::{Command, FulfilmentOrder, Missed, Step},
};
use crate::{
    db::Tx,
    error::Result,
    kernel::{
        Instant,
        ids::{FulfilmentOrderId, LocationId},
    },
    stock::{self, LevelKey},
};

/// Notes that pieces of a fulfilment order were not found at its location; whether that was not known before.
pub(super) fn note(work: &mut FulfilmentOrder, steps: &[(i32, Step)], at: Instant) -> bool {
    let lines = work.lines.iter().filter(|line| steps.iter().any(|(line_no, _)| *line_no == line.line_no));
    let articles: BTreeSet<_> = lines.map(|line| line.variant_id).collect();
    let before = work.missed.clone();
    for variant_id in articles {
        match work.missed.iter_mut().find(|one| one.variant_id == variant_id) {
            Some(one) => one.at = one.at.max(at),
            None => work.missed.push(Missed { variant_id, at }),
        }
    }
    work.missed != before
}

/// Of what was missed by both: of each article when it was last.
pub(super) fn united(own: &[Missed], others: &[Missed]) -> Vec<Missed> {
    let mut all = own.to_vec();
    for one in others {
        match all.iter_mut().find(|known| known.variant_id == one.variant_id) {
            Some(known) => known.at = known.at.max(one.at),
            None => all.push(one.clone()),
        }
    }
    all
}

/// The levels at which articles of fulfilment orders were not found, and which nobody has looked at since. Two statements, none where
/// nothing was missed.
///
/// # Errors
/// What the database says.
pub(super) fn standing(tx: &mut Tx, works: &[FulfilmentOrder]) -> Result<Vec<LevelKey>> {
    let mut missed: HashMap<LevelKey, Instant> = HashMap::new();
    for work in works {
        for one in &work.missed {
            let last = missed.entry((one.variant_id, work.location_id)).or_insert(one.at);
            *last = one.at.max(*last);
        }
    }
    let mut levels: Vec<LevelKey> = missed.keys().copied().collect();
    levels.sort_unstable();
    let seen = stock::last_seen(tx, &levels)?;
    levels.retain(|key| seen.get(key).is_none_or(|seen| missed.get(key).is_some_and(|missed| seen <= missed)));
    Ok(levels)
}

/// Lets those wait who are held for what was not found: by the books it lies there, and it does not. `lacking` is who waits by the books.
/// What is not tracked waits until staff release it: nothing ever tells that it is there again.
///
/// # Errors
/// What the database says.
pub(super) fn add_to(
    tx: &mut Tx,
    works: &[FulfilmentOrder],
    lacking: &mut HashMap<LocationId, Vec<Demand>>,
) -> Result<()> {
    let held = |work: &&FulfilmentOrder| work.holds.iter().any(|hold| hold.kind == HoldKind::Stock);
    let held: Vec<FulfilmentOrder> =
        works.iter().filter(held).filter(|work| !work.missed.is_empty()).cloned().collect();
    let levels: HashSet<LevelKey> = standing(tx, &held)?.into_iter().collect();
    for work in &held {
        for line in &work.lines {
            let quantity = line.counts.left_for(Command::Move);
            if quantity <= 0 || !levels.contains(&(line.variant_id, work.location_id)) {
                continue;
            }
            let own: (FulfilmentOrderId, i32) = (work.id, line.line_no);
            let there = lacking.entry(work.location_id).or_default();
            there.retain(|one| (one.fulfilment_order, one.line_no) != own);
            there.push(Demand {
                fulfilment_order: work.id,
                line_no: line.line_no,
                variant: line.variant_id,
                quantity,
                priority: work.priority,
                due_at: work.turn_at.unwrap_or(work.due_at),
                created_at: work.created_at,
                keeps_days: 0,
            });
        }
    }
    Ok(())
}
