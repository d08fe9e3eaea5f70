//! Writing, claiming, finishing. The only file that touches `jobs` and `schedules`.

use std::collections::HashSet;

use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use serde::Serialize;
use serde_json::{Value, json};

use super::lanes::{self, OPEN};
use crate::{
    db::{Col, Doc, DocSql, InstantSql, Tx, UidSql, dialect, insert_many, sql},
    error::{Code, Error, Result},
    kernel::{Id, Instant, Waiting, ids},
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
    /// With whom it shares the workers: a slow lane leaves room for the others. Empty: those that have workers of their
    /// own.
    pub lane: String,
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
        let (ordering_key, lane) = (None, String::new());
        Self { id: Id::new(), kind, ordering_key, lane, run_at: now, max_attempts: TRIES, payload }
    }

    /// The same behind the earlier jobs of a key.
    #[must_use]
    pub fn in_order(mut self, key: impl Into<String>) -> Self {
        self.ordering_key = Some(key.into());
        self
    }

    /// The same in a lane.
    #[must_use]
    pub fn in_lane(mut self, lane: impl Into<String>) -> Self {
        self.lane = lane.into();
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
    ("lane", Col::Text),
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
    let rows = jobs.into_iter().map(|job| {
        vec![
            job.id.into(),
            job.kind.into(),
            job.ordering_key.into(),
            job.lane.into(),
            "ready".into(),
            job.run_at.into(),
            0.into(),
            job.max_attempts.into(),
            Doc(job.payload).into(),
            now.into(),
            now.into(),
        ]
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

/// The kinds of jobs that a program knows. Others are left to a program that does, as long as old and new ones run side by
/// side; what nobody has taken for a day nobody will, and it is taken to be buried where people see it.
#[derive(Debug, Clone)]
pub(super) struct Kinds(pub(super) Vec<&'static str>);

const ORPHANED_SECONDS: i64 = 86_400;

impl Kinds {
    /// Whether a job is one for this program, or for nobody. The text is the same for all of a runner's statements.
    fn condition(&self) -> String {
        match self.0.len() {
            0 => "run_at <= ?".to_owned(),
            count => format!("(kind IN ({}) OR run_at <= ?)", vec!["?"; count].join(", ")),
        }
    }

    fn bind(&self, mut query: crate::db::Sql, now: Instant) -> crate::db::Sql {
        for kind in &self.0 {
            query = query.bind(*kind);
        }
        query.bind(now.plus_seconds(-ORPHANED_SECONDS))
    }
}

/// Takes up to `limit` jobs of a lane, each under a lease: those that are due, or those whose lease has run out.
///
/// # Errors
/// What the database says.
pub(super) fn claim(
    tx: &mut Tx,
    kinds: &Kinds,
    now: Instant,
    lease_seconds: i64,
    from: &Due,
    limit: i64,
) -> Result<Vec<Job>> {
    let limit = lanes::room(tx, from, now, limit)?;
    if limit == 0 {
        return Ok(Vec::new());
    }
    let (skip, known) = (dialect::skip_locked(tx), kinds.condition());
    let (condition, order) = match from.stalled {
        false => ("state = 'ready' AND lane = ? AND run_at <= ?", "run_at, seq"),
        true => ("state = 'leased' AND lane = ? AND lease_until <= ?", "lease_until, seq"),
    };
    // Materialised: inside the IN, PostgreSQL may run the sub-select more than once, and lock more rows than `limit`.
    let query = format!(
        "WITH taken AS MATERIALIZED ( \
           SELECT seq FROM jobs AS due WHERE {condition} AND {known} AND {FIRST_OF_ITS_KEY} \
           ORDER BY {order} LIMIT ?{skip}) \
         UPDATE jobs SET state = 'leased', attempt = attempt + 1, lease_until = ?, updated_at = ? \
         WHERE seq IN (SELECT seq FROM taken) RETURNING {SELECTED}"
    );
    let until = now.plus_seconds(lease_seconds);
    let query = kinds.bind(sql(query).bind(from.lane.as_str()).bind(now), now);
    let claimed = query.bind(limit).bind(until).bind(now).load::<Columns, Row>(tx)?;
    let mut jobs: Vec<Job> = claimed.into_iter().map(job).collect();
    jobs.sort_by_key(|job| (job.run_at, job.id));
    Ok(jobs)
}

/// Whether nothing that was written earlier under the same ordering key is still in the queue.
const FIRST_OF_ITS_KEY: &str = "(ordering_key IS NULL OR NOT EXISTS (SELECT 1 FROM jobs AS earlier \
     WHERE earlier.ordering_key = due.ordering_key AND earlier.seq < due.seq))";

/// When the next job of a lane is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    pub lane: String,
    /// It is in the hands of a worker, whose lease ends then.
    pub stalled: bool,
    pub at: Instant,
}

/// When the next job of each lane is due for a program that knows these kinds, those that wait behind an earlier one of
/// their key left out; and when the next lease ends. The longest due come first.
///
/// # Errors
/// What the database says.
pub(super) fn due(tx: &mut Tx, kinds: &Kinds, now: Instant) -> Result<Vec<Due>> {
    let query = kinds.bind(sql(due_where(&kinds.condition(), OPEN)), now).bind(now);
    let query = kinds.bind(query, now).bind(now);
    due_of(tx, query)
}

fn due_where(known: &str, open: &str) -> String {
    // From lane to lane on the index: a long queue in one of them costs nothing here.
    format!(
        "WITH RECURSIVE lanes (lane) AS ( \
           SELECT (SELECT lane FROM jobs WHERE state = 'ready' ORDER BY lane LIMIT 1) UNION ALL \
           SELECT (SELECT next.lane FROM jobs AS next WHERE state = 'ready' AND next.lane > lanes.lane \
             ORDER BY next.lane LIMIT 1) FROM lanes WHERE lanes.lane IS NOT NULL) \
         SELECT lane, false, (SELECT run_at FROM jobs AS due WHERE state = 'ready' AND due.lane = lanes.lane \
           AND {known} AND {FIRST_OF_ITS_KEY} ORDER BY run_at, seq LIMIT 1) FROM lanes WHERE lane IS NOT NULL AND {open} \
         UNION ALL SELECT lane, true, min(lease_until) FROM jobs AS lanes WHERE state = 'leased' AND {known} AND {open} \
         GROUP BY lane"
    )
}

fn due_of(tx: &mut Tx, query: crate::db::Sql) -> Result<Vec<Due>> {
    let rows = query.load::<(Text, Bool, Nullable<InstantSql>), (String, bool, Option<Instant>)>(tx)?;
    let due = rows.into_iter().filter_map(|(lane, stalled, at)| Some(Due { lane, stalled, at: at? }));
    let mut due: Vec<Due> = due.collect();
    due.sort_by_key(|due| due.at);
    Ok(due)
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
    let doubled = 5i64 << attempt.clamp(1, 14).saturating_sub(1);
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
    Ok(due_of(tx, sql(due_where("1 = 1", "1 = 1")))?.first().map_or(0, |due| now.seconds_since(due.at).max(0)))
}

/// How many tries a job gets, unless it says otherwise, and how many a replay gives.
pub(super) const TRIES: i64 = 12;

/// Which try of its present round a job is at, when its first round had `first_round` tries. A replay begins a new round
/// and never counts attempts from the start again: a stalled worker of the old round would else pass for the new one's.
#[must_use]
pub const fn try_of_round(job: &Job, first_round: i64) -> i64 {
    if job.max_attempts <= first_round { job.attempt } else { TRIES - (job.max_attempts - job.attempt) }
}

/// Gives a dead letter new tries, from now on. Gives what it is: whoever knows its kind writes down in the same transaction
/// what that means.
///
/// # Errors
/// Not found, or not dead.
pub fn replay(tx: &mut Tx, now: Instant, id: Id<ids::Job>) -> Result<Job> {
    let update = format!(
        "UPDATE jobs SET state = 'ready', max_attempts = attempt + ?, run_at = ?, updated_at = ? \
         WHERE id = ? AND state = 'dead' RETURNING {SELECTED}"
    );
    was_dead(tx, sql(update).bind(TRIES).bind(now).bind(now).bind(id), id)
}

/// Gives a dead letter up. Gives what it was: whoever knows its kind writes down in the same transaction what that means.
///
/// # Errors
/// Not found, or not dead.
pub fn discard(tx: &mut Tx, id: Id<ids::Job>) -> Result<Job> {
    let delete = format!("DELETE FROM jobs WHERE id = ? AND state = 'dead' RETURNING {SELECTED}");
    was_dead(tx, sql(delete).bind(id), id)
}

fn was_dead(tx: &mut Tx, statement: crate::db::Sql, id: Id<ids::Job>) -> Result<Job> {
    match statement.first::<Columns, Row>(tx)? {
        Some(row) => Ok(job(row)),
        None => Err(not_dead(tx, id)?),
    }
}

fn not_dead(tx: &mut Tx, id: Id<ids::Job>) -> Result<Error> {
    Ok(match sql("SELECT state FROM jobs WHERE id = ?").bind(id).first::<Text, String>(tx)? {
        Some(state) => Error::problem(Code::JobNotDead, format!("the job is {state}")),
        None => Error::not_found("job"),
    })
}

/// Gives those of these jobs that are dead new tries, from now on. Returns which are in the queue, those among them that were
/// not dead any more: two statements, however many there are.
///
/// # Errors
/// What the database says.
pub fn replay_many(tx: &mut Tx, now: Instant, ids: &[ids::JobId]) -> Result<Vec<ids::JobId>> {
    let list = dialect::list(tx, &[("job", Col::Uid)]);
    let update = format!(
        "UPDATE jobs SET state = 'ready', max_attempts = attempt + ?, run_at = ?, updated_at = ? \
         WHERE state = 'dead' AND id IN (SELECT job FROM {list})"
    );
    let wanted = || dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect());
    sql(update).bind(TRIES).bind(now).bind(now).bind(wanted()).execute(tx)?;
    let query = format!("SELECT id FROM jobs WHERE id IN (SELECT job FROM {list})");
    sql(query).bind(wanted()).load::<UidSql, ids::JobId>(tx)
}

/// Whether there is a job of this ordering key that waits or is in hand.
///
/// # Errors
/// What the database says.
pub fn is_queued(tx: &mut Tx, key: &str) -> Result<bool> {
    let query = sql("SELECT id FROM jobs WHERE ordering_key = ? AND state IN ('ready', 'leased') LIMIT 1");
    Ok(query.bind(key).first::<UidSql, ids::JobId>(tx)?.is_some())
}

/// Of ordering keys those with a job that is to run or runs. One statement.
///
/// # Errors
/// What the database says.
pub fn queued_among(tx: &mut Tx, keys: &[String]) -> Result<HashSet<String>> {
    let list = dialect::list(tx, &[("wanted", Col::Text)]);
    let query = format!(
        "SELECT DISTINCT ordering_key FROM jobs WHERE ordering_key IN (SELECT wanted FROM {list}) AND state IN ('ready', 'leased')"
    );
    let wanted = dialect::rows(keys.iter().map(|key| json!([key])).collect());
    Ok(sql(query).bind(wanted).load::<Text, String>(tx)?.into_iter().collect())
}

/// Takes the dead jobs of an ordering key out of the queue: somebody begins anew what they were to do. How many there were.
///
/// # Errors
/// What the database says.
pub fn forget_dead(tx: &mut Tx, key: &str) -> Result<usize> {
    sql("DELETE FROM jobs WHERE ordering_key = ? AND state = 'dead'").bind(key).execute(tx)
}

/// Takes a job out of the queue, whatever its state: the result of a worker that has it in hand is refused then.
///
/// # Errors
/// What the database says.
pub fn cancel(tx: &mut Tx, id: ids::JobId) -> Result<usize> {
    sql("DELETE FROM jobs WHERE id = ?").bind(id).execute(tx)
}

/// Has a job that waits be due at another time.
///
/// # Errors
/// What the database says.
pub fn delay(tx: &mut Tx, now: Instant, id: ids::JobId, until: Instant) -> Result<()> {
    let update = "UPDATE jobs SET run_at = ?, updated_at = ? WHERE id = ? AND state = 'ready'";
    sql(update).bind(until).bind(now).bind(id).execute(tx).map(|_| ())
}

/// Takes jobs out of the queue, as [`cancel`] does, all with one statement.
///
/// # Errors
/// What the database says.
pub fn cancel_many(tx: &mut Tx, ids: &[ids::JobId]) -> Result<()> {
    let list = dialect::list(tx, &[("job", Col::Uid)]);
    let wanted = dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect());
    sql(format!("DELETE FROM jobs WHERE id IN (SELECT job FROM {list})")).bind(wanted).execute(tx)?;
    Ok(())
}

/// Takes all jobs out of the queue whose ordering key begins with `prefix`, which ends in an ASCII character.
///
/// # Errors
/// What the database says.
pub fn cancel_keys(tx: &mut Tx, prefix: &str) -> Result<usize> {
    let end = after_prefix(prefix);
    sql("DELETE FROM jobs WHERE ordering_key >= ? AND ordering_key < ?").bind(prefix).bind(end).execute(tx)
}

/// Makes all waiting jobs due whose ordering key begins with `prefix`, which ends in an ASCII character.
///
/// # Errors
/// What the database says.
pub fn hasten_keys(tx: &mut Tx, now: Instant, prefix: &str) -> Result<usize> {
    let update = "UPDATE jobs SET run_at = ?, updated_at = ? \
                  WHERE ordering_key >= ? AND ordering_key < ? AND state = 'ready' AND run_at > ?";
    sql(update).bind(now).bind(now).bind(prefix).bind(after_prefix(prefix)).bind(now).execute(tx)
}

/// The first text after all those that begin with `prefix`.
fn after_prefix(prefix: &str) -> String {
    let mut bytes = prefix.as_bytes().to_vec();
    if let Some(last) = bytes.last_mut() {
        *last = last.saturating_add(1);
    }
    String::from_utf8(bytes).unwrap_or_else(|_| prefix.to_owned())
}

/// The schedules whose next turn is still to come.
///
/// # Errors
/// What the database says.
pub(super) fn turns_to_come(tx: &mut Tx, now: Instant) -> Result<Vec<String>> {
    sql("SELECT name FROM schedules WHERE next_at > ?").bind(now).load::<Text, String>(tx)
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

/// Dead letters as what waits for a person, the oldest first.
///
/// # Errors
/// What the database says.
pub fn waiting_dead(tx: &mut Tx, limit: i64) -> Result<Vec<Waiting>> {
    let query =
        "SELECT id, updated_at, kind, last_error FROM jobs WHERE state = 'dead' ORDER BY updated_at, id LIMIT ?";
    waiting(tx, sql(query).bind(limit), "/v1/ops/jobs/dead")
}

/// Jobs that should have been worked on before an instant and have not been, as what waits for a person. Those that
/// wait behind an earlier one of their key are left out: it is that one which has to be looked at.
///
/// # Errors
/// What the database says.
pub fn waiting_stuck(tx: &mut Tx, before: Instant, limit: i64) -> Result<Vec<Waiting>> {
    let query = format!(
        "SELECT id, run_at, kind, last_error FROM jobs AS due \
         WHERE (state = 'ready' AND run_at < ? OR state = 'leased' AND lease_until < ?) AND {FIRST_OF_ITS_KEY} \
           AND NOT EXISTS (SELECT 1 FROM job_lanes WHERE job_lanes.lane = due.lane AND closed_until > ?) \
         ORDER BY run_at, id LIMIT ?"
    );
    waiting(tx, sql(query).bind(before).bind(before).bind(before).bind(limit), "/health/ready")
}

fn waiting(tx: &mut Tx, query: crate::db::Sql, link: &str) -> Result<Vec<Waiting>> {
    type Found = (Id<ids::Job>, Instant, String, Option<String>);
    let rows = query.load::<(UidSql, InstantSql, Text, Nullable<Text>), Found>(tx)?;
    let waiting = |(id, since, kind, error): Found| {
        let error = error.map(|error| format!(": {}", error.chars().take(200).collect::<String>()));
        let subject = format!("{kind}{}", error.unwrap_or_default());
        Waiting { id: id.to_string(), since, subject, link: link.to_owned() }
    };
    Ok(rows.into_iter().map(waiting).collect())
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
