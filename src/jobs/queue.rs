//! Writing, claiming, finishing. The only file that touches `jobs` and `schedules`.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    db::{Col, Doc, DocSql, InstantSql, Tx, UidSql, dialect, insert_many, sql},
    error::{Code, Error, Result},
    kernel::{Id, Instant, ids},
};

/// A job about to be written.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its id; made outside the transaction.
    pub id: ids::JobId,
    /// What to do: the name under which it was registered.
    pub kind: &'static str,
    /// Jobs of one key run one after another.
    pub ordering_key: Option<String>,
    /// Not before this.
    pub run_at: Instant,
    /// How often it is tried before it is dead.
    pub max_attempts: i64,
    /// What it needs to know.
    pub payload: Value,
}

impl NewJob {
    /// A job to run at once, tried twelve times (over about a day and a half).
    #[must_use]
    pub fn now(kind: &'static str, now: Instant, payload: Value) -> Self {
        Self { id: Id::new(), kind, ordering_key: None, run_at: now, max_attempts: 12, payload }
    }

    /// The same behind the earlier jobs of a key.
    #[must_use]
    pub fn in_order(mut self, key: impl Into<String>) -> Self {
        self.ordering_key = Some(key.into());
        self
    }
}

/// A job of the queue.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Job {
    /// Its id.
    pub id: ids::JobId,
    /// What it does.
    pub kind: String,
    /// Jobs of one key run one after another.
    pub ordering_key: Option<String>,
    /// `ready`, `leased` or `dead`.
    pub state: String,
    /// Not before this.
    pub run_at: Instant,
    /// Which try this is, from 1; 0 before the first.
    pub attempt: i64,
    /// How often it is tried before it is dead.
    pub max_attempts: i64,
    /// What it needs to know.
    #[schema(value_type = Object)]
    pub payload: Value,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Since when it has been in the queue.
    pub created_at: Instant,
}

const COLUMNS: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("kind", Col::Text),
    ("ordering_key", Col::Text),
    ("state", Col::Text),
    ("run_at", Col::At),
    ("attempt", Col::Int),
    ("max_attempts", Col::Int),
    ("payload", Col::Doc),
    ("created_at", Col::At),
    ("updated_at", Col::At),
];

/// Writes jobs, all with one statement.
///
/// # Errors
/// What the database says.
pub fn enqueue(tx: &mut Tx, now: Instant, jobs: Vec<NewJob>) -> Result<()> {
    let now = now.sortable();
    let rows = jobs.into_iter().map(|job| {
        let run_at = job.run_at.sortable();
        json!([job.id.hex(), job.kind, job.ordering_key, "ready", run_at, 0, job.max_attempts, job.payload, now, now])
    });
    insert_many(tx, "jobs", COLUMNS, rows.collect()).map(|_| ())
}

type Columns = (UidSql, Text, Nullable<Text>, Text, InstantSql, BigInt, BigInt, DocSql, Nullable<Text>, InstantSql);
#[rustfmt::skip]
type Row = (Id<ids::Job>, String, Option<String>, String, Instant, i64, i64, Doc<Value>, Option<String>, Instant);
const SELECTED: &str = "id, kind, ordering_key, state, run_at, attempt, max_attempts, payload, last_error, created_at";

fn job(row: Row) -> Job {
    let (id, kind, ordering_key, state, run_at, attempt, max_attempts, Doc(payload), last_error, created_at) = row;
    Job { id, kind, ordering_key, state, run_at, attempt, max_attempts, payload, last_error, created_at }
}

/// Takes up to `limit` jobs that are due, each under a lease. A job whose lease has run out is due again.
///
/// # Errors
/// What the database says.
pub(super) fn claim(tx: &mut Tx, now: Instant, lease_seconds: i64, limit: i64) -> Result<Vec<Job>> {
    let skip = dialect::skip_locked(tx);
    let query = format!(
        "UPDATE jobs SET state = 'leased', attempt = attempt + 1, lease_until = ?, updated_at = ? WHERE seq IN ( \
           SELECT seq FROM jobs AS due WHERE (state = 'ready' AND run_at <= ? OR state = 'leased' AND lease_until <= ?) \
           AND (ordering_key IS NULL OR NOT EXISTS (SELECT 1 FROM jobs AS earlier \
             WHERE earlier.ordering_key = due.ordering_key AND earlier.seq < due.seq)) \
           ORDER BY run_at, seq LIMIT ?{skip}) RETURNING {SELECTED}"
    );
    let until = now.plus_seconds(lease_seconds);
    let claimed = sql(query).bind(until).bind(now).bind(now).bind(now).bind(limit).load::<Columns, Row>(tx)?;
    Ok(claimed.into_iter().map(job).collect())
}

/// When the next job is due; `None` when the queue is empty.
///
/// # Errors
/// What the database says.
pub(super) fn next_due(tx: &mut Tx) -> Result<Option<Instant>> {
    let query = "SELECT min(at) FROM (SELECT min(run_at) AS at FROM jobs WHERE state = 'ready' \
                 UNION ALL SELECT min(lease_until) FROM jobs WHERE state = 'leased') AS due";
    Ok(sql(query).first::<Nullable<InstantSql>, Option<Instant>>(tx)?.flatten())
}

impl Job {
    /// Ends the job as part of the transaction that writes its result.
    ///
    /// # Errors
    /// [`Code::LeaseLost`] when another worker has taken it over meanwhile: roll back, the other's result counts.
    pub fn finish(&self, tx: &mut Tx) -> Result<()> {
        self.guarded(sql("DELETE FROM jobs WHERE id = ? AND attempt = ? AND state = 'leased'"), tx)
    }

    /// Puts the job back to be tried again at `run_at`.
    ///
    /// # Errors
    /// As [`Job::finish`].
    pub fn retry(&self, tx: &mut Tx, now: Instant, run_at: Instant, error: &str) -> Result<()> {
        let update = "UPDATE jobs SET state = 'ready', lease_until = NULL, run_at = ?, last_error = ?, updated_at = ? \
                      WHERE id = ? AND attempt = ? AND state = 'leased'";
        self.guarded(sql(update).bind(run_at).bind(error).bind(now), tx)
    }

    /// Puts the job back without counting the try: it could not even be begun.
    ///
    /// # Errors
    /// As [`Job::finish`].
    pub fn postpone(&self, tx: &mut Tx, now: Instant, run_at: Instant) -> Result<()> {
        let update = "UPDATE jobs SET state = 'ready', lease_until = NULL, run_at = ?, attempt = attempt - 1, \
                      updated_at = ? WHERE id = ? AND attempt = ? AND state = 'leased'";
        self.guarded(sql(update).bind(run_at).bind(now), tx)
    }

    /// Makes the job a dead letter.
    ///
    /// # Errors
    /// As [`Job::finish`].
    pub fn bury(&self, tx: &mut Tx, now: Instant, error: &str) -> Result<()> {
        let update = "UPDATE jobs SET state = 'dead', lease_until = NULL, last_error = ?, updated_at = ? \
                      WHERE id = ? AND attempt = ? AND state = 'leased'";
        self.guarded(sql(update).bind(error).bind(now), tx)
    }

    fn guarded(&self, statement: crate::db::Sql, tx: &mut Tx) -> Result<()> {
        match statement.bind(self.id).bind(self.attempt).execute(tx)? {
            1 => Ok(()),
            _ => Err(Error::problem(Code::LeaseLost, "another worker has taken this job over")),
        }
    }
}

/// Seconds until try number `attempt + 1`: 5 s, doubled each time up to six hours, ± a fifth so that failures which
/// came together do not come back together. `dice` is a number from 0 to 999.
#[must_use]
pub fn retry_delay(attempt: i64, dice: i64) -> i64 {
    let doubled = 5i64 << attempt.clamp(1, 13).saturating_sub(1);
    let base = doubled.min(6 * 3600);
    base - base / 5 + base * 2 * dice / 5 / 1000
}

/// The dead letters, oldest first, after a job.
///
/// # Errors
/// What the database says.
pub fn dead(tx: &mut Tx, after: Option<Id<ids::Job>>, limit: i64) -> Result<Vec<Job>> {
    let query = format!(
        "SELECT {SELECTED} FROM jobs WHERE state = 'dead' AND seq > coalesce((SELECT seq FROM jobs WHERE id = ?), 0) \
         ORDER BY seq LIMIT ?"
    );
    Ok(sql(query).bind(after).bind(limit).load::<Columns, Row>(tx)?.into_iter().map(job).collect())
}

/// How many jobs wait or are worked on, and how many are dead.
///
/// # Errors
/// What the database says.
pub fn counts(tx: &mut Tx) -> Result<(i64, i64)> {
    let query =
        "SELECT (SELECT count(*) FROM jobs WHERE state <> 'dead'), (SELECT count(*) FROM jobs WHERE state = 'dead')";
    Ok(sql(query).first::<(BigInt, BigInt), (i64, i64)>(tx)?.unwrap_or_default())
}

/// For how many seconds the oldest due job has been waiting; 0 when none is due.
///
/// # Errors
/// What the database says.
pub fn lag_seconds(tx: &mut Tx, now: Instant) -> Result<i64> {
    Ok(next_due(tx)?.map_or(0, |due| now.seconds_since(due).max(0)))
}

/// Gives a dead letter new tries, from now on.
///
/// # Errors
/// Not found, or not dead.
pub fn replay(tx: &mut Tx, now: Instant, id: Id<ids::Job>) -> Result<()> {
    let update =
        "UPDATE jobs SET state = 'ready', attempt = 0, run_at = ?, updated_at = ? WHERE id = ? AND state = 'dead'";
    changed_dead(tx, sql(update).bind(now).bind(now).bind(id), id)
}

/// Gives a dead letter up.
///
/// # Errors
/// Not found, or not dead.
pub fn discard(tx: &mut Tx, id: Id<ids::Job>) -> Result<()> {
    changed_dead(tx, sql("DELETE FROM jobs WHERE id = ? AND state = 'dead'").bind(id), id)
}

fn changed_dead(tx: &mut Tx, statement: crate::db::Sql, id: Id<ids::Job>) -> Result<()> {
    if statement.execute(tx)? == 1 {
        return Ok(());
    }
    match sql("SELECT state FROM jobs WHERE id = ?").bind(id).first::<Text, String>(tx)? {
        Some(state) => Err(Error::problem(Code::JobNotDead, format!("the job is {state}"))),
        None => Err(Error::not_found("job")),
    }
}

/// Whether a schedule's turn has come.
///
/// # Errors
/// What the database says.
pub(super) fn turn_is_due(tx: &mut Tx, name: &str, now: Instant) -> Result<bool> {
    let next = sql("SELECT next_at FROM schedules WHERE name = ?").bind(name).first::<InstantSql, Instant>(tx)?;
    Ok(next.is_none_or(|next| next <= now))
}

/// Takes the turn of a schedule when it is due. True for exactly one caller per turn.
///
/// # Errors
/// What the database says.
pub(super) fn take_turn(tx: &mut Tx, name: &str, now: Instant, every_seconds: i64) -> Result<bool> {
    let next = now.plus_seconds(every_seconds);
    let taken = sql("INSERT INTO schedules (name, next_at) VALUES (?, ?) \
         ON CONFLICT (name) DO UPDATE SET next_at = excluded.next_at WHERE schedules.next_at <= ?");
    Ok(taken.bind(name).bind(next).bind(now).execute(tx)? == 1)
}

#[cfg(test)]
mod tests {
    use super::retry_delay;

    #[test]
    fn delays_double_with_jitter_and_end_at_six_hours() {
        assert_eq!((retry_delay(1, 0), retry_delay(1, 500), retry_delay(1, 999)), (4, 5, 5));
        assert_eq!(retry_delay(5, 500), 80);
        assert_eq!(retry_delay(40, 500), 6 * 3600);
        assert!((1..60).all(|attempt| retry_delay(attempt, 0) <= retry_delay(attempt, 999)));
    }
}
