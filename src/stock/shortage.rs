//! Levels that owe more than they have because goods went missing or may not be sold: whoever has a claim to these hears of it by a job.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    model::{Level, LevelChange, LevelKey},
    outlook::{self, CHANGED, ChangedLevels},
};
use crate::{
    db::Tx,
    error::Result,
    jobs::{self, NewJob},
    kernel::{Instant, ids::FulfilmentOrderId},
};

/// The kind of the job by which is told that a level owes more than it has, for goods of it went missing or may not be sold. Its payload is
/// [`ShortLevel`].
pub const SHORT: &str = "stock.short";

/// For so long it is waited for what has left of a level of which another system says that less lies there.
const GRACE_SECONDS: i64 = 900;

/// A level that owes more than it has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShortLevel {
    /// Which.
    pub level: LevelKey,
    /// Behind which of those who have a claim to it the next are looked at, where they are many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FulfilmentOrderId>,
}

impl ShortLevel {
    /// The job that tells of it: of one level one after another.
    ///
    /// # Errors
    /// When it can not be written as JSON, which would be a defect.
    pub fn job(&self, now: Instant) -> Result<NewJob> {
        let (variant, location) = self.level;
        let job = NewJob::now(SHORT, now, serde_json::to_value(self)?);
        Ok(job.in_order(format!("short:{variant}:{location}")))
    }

    /// The same where another system has said how many lie there: it may have taken off what has left already, of which is heard only
    /// after that. So it is looked [`GRACE_SECONDS`] later, by what lies there then; nothing that is told at once waits for it.
    fn job_of_said(&self, now: Instant) -> Result<NewJob> {
        let (variant, location) = self.level;
        let job = NewJob { run_at: now.plus_seconds(GRACE_SECONDS), ..self.job(now)? };
        Ok(job.in_order(format!("short-said:{variant}:{location}")))
    }
}

/// How many pieces a level owes that it does not have; none or less where it has what it owes.
const fn owes(level: &Level) -> i64 {
    level.allocated + level.withheld - level.on_hand
}

/// Looks at levels that were moved otherwise than by a sale. One of which goods went missing that it owes is told of; where goods came to one
/// that owed them, those look again who wait for them. One statement, none where every level has what it owes.
///
/// # Errors
/// What the database says.
pub(super) fn watch(tx: &mut Tx, now: Instant, changes: &[LevelChange], moved: &[Level]) -> Result<()> {
    watch_said(tx, now, (changes, &[]), moved)
}

/// The same where of some levels another system has said how many lie there: of these it is told a while later.
///
/// # Errors
/// What the database says.
pub(super) fn watch_said(
    tx: &mut Tx,
    now: Instant,
    (changes, said): (&[LevelChange], &[LevelKey]),
    moved: &[Level],
) -> Result<()> {
    let after: HashMap<LevelKey, &Level> = moved.iter().map(|level| (level.key(), level)).collect();
    let (mut short, mut relieved) = (Vec::new(), Vec::new());
    for change in changes.iter().filter(|change| change.on_hand != 0) {
        let Some(level) = after.get(&change.key()) else { continue };
        let owes = owes(level);
        let owed = owes + change.on_hand - change.allocated;
        // What leaves with what was owed for it makes nothing worse.
        if change.on_hand < 0 && owes > owed.max(0) {
            short.push(change.key());
        } else if change.on_hand > 0 && owed > owes.max(0) {
            relieved.push(change.key());
        }
    }
    tell(tx, now, (short, said), relieved)
}

/// Looks at levels of which another number may not be sold than before. What can be sold of them may be for those who wait elsewhere.
///
/// # Errors
/// What the database says.
pub(super) fn watch_withheld(tx: &mut Tx, now: Instant, changed: &[Level]) -> Result<()> {
    let short = changed.iter().filter(|level| owes(level) > 0).map(Level::key).collect();
    // Whether it was more or less before is not known here: who waits for goods and finds none goes on waiting.
    let relieved = changed.iter().filter(|level| level.allocated > 0).map(Level::key).collect();
    tell(tx, now, (short, &[]), relieved)?;
    let free = changed.iter().filter(|level| level.available() > 0).map(|level| level.variant);
    outlook::arrived_of(tx, now, free.collect())
}

fn tell(tx: &mut Tx, now: Instant, (short, said): (Vec<LevelKey>, &[LevelKey]), relieved: Vec<LevelKey>) -> Result<()> {
    let told = short.into_iter().map(|level| {
        let task = ShortLevel { level, after: None };
        if said.contains(&level) { task.job_of_said(now) } else { task.job(now) }
    });
    let mut told: Vec<NewJob> = told.collect::<Result<_>>()?;
    if !relieved.is_empty() {
        let task = serde_json::to_value(ChangedLevels { levels: relieved, come: true, after: None })?;
        told.push(NewJob::now(CHANGED, now, task));
    }
    if told.is_empty() { Ok(()) } else { jobs::enqueue(tx, now, told) }
}
