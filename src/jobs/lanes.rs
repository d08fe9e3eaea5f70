//! What is said of a lane beside its jobs: how many of them run at once, and until when none is begun. Part of the store, the
//! only file that touches `job_lanes`.

use diesel::sql_types::{BigInt, Nullable};

use super::queue::Due;
use crate::{
    db::{InstantSql, Tx, dialect, sql},
    error::Result,
    kernel::Instant,
};

/// What is said of a lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Steering {
    /// How many of its jobs run at once, in all processes together; `None`: as many as there are workers for.
    pub places: Option<i64>,
    /// Until when none of its jobs is begun. They stay where they are in the queue, and no try of theirs is counted.
    pub closed_until: Option<Instant>,
}

/// Says how a lane is gone about from now on.
///
/// # Errors
/// What the database says.
pub fn steer(tx: &mut Tx, lane: &str, to: Steering) -> Result<()> {
    let upsert = "INSERT INTO job_lanes (lane, places, closed_until) VALUES (?, ?, ?) \
                  ON CONFLICT (lane) DO UPDATE SET places = excluded.places, closed_until = excluded.closed_until";
    sql(upsert).bind(lane).bind(to.places).bind(to.closed_until).execute(tx).map(|_| ())
}

/// Begins none of a lane's jobs before an instant, nor earlier than was said before.
///
/// # Errors
/// What the database says.
pub fn close_lane(tx: &mut Tx, lane: &str, until: Instant) -> Result<()> {
    let upsert = "INSERT INTO job_lanes (lane, closed_until) VALUES (?, ?) ON CONFLICT (lane) DO UPDATE \
                  SET closed_until = excluded.closed_until \
                  WHERE job_lanes.closed_until IS NULL OR job_lanes.closed_until < excluded.closed_until";
    sql(upsert).bind(lane).bind(until).execute(tx).map(|_| ())
}

/// Forgets what was said of a lane.
///
/// # Errors
/// What the database says.
pub fn forget_lane(tx: &mut Tx, lane: &str) -> Result<()> {
    sql("DELETE FROM job_lanes WHERE lane = ?").bind(lane).execute(tx).map(|_| ())
}

/// What a look at lanes leaves out: those that are closed. Its one place is for the time.
pub(super) const OPEN: &str =
    "NOT EXISTS (SELECT 1 FROM job_lanes WHERE job_lanes.lane = lanes.lane AND closed_until > ?)";

/// How many more of a lane's jobs may be begun, of `limit` that there are workers for here. Whoever asks for a lane of which
/// something is said is the only one to take from it until the end of their transaction.
pub(super) fn room(tx: &mut Tx, of: &Due, now: Instant, limit: i64) -> Result<i64> {
    if of.lane.is_empty() {
        return Ok(limit);
    }
    let query = format!("SELECT places, closed_until FROM job_lanes WHERE lane = ?{}", dialect::for_update(tx));
    let said = sql(query).bind(of.lane.as_str());
    let said = said.first::<(Nullable<BigInt>, Nullable<InstantSql>), (Option<i64>, Option<Instant>)>(tx)?;
    let Some((places, closed_until)) = said else { return Ok(limit) };
    if closed_until.is_some_and(|until| until > now) {
        return Ok(0);
    }
    let Some(places) = places else { return Ok(limit) };
    let query = sql("SELECT count(*) FROM jobs WHERE state = 'leased' AND lane = ? AND lease_until > ?");
    let running = query.bind(of.lane.as_str()).bind(now).first::<BigInt, i64>(tx)?.unwrap_or_default();
    Ok(limit.min(places - running).max(0))
}
