//! Reading the queue page by page. Part of the store.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde::Serialize;

use crate::{
    db::{Col, InstantSql, Sql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{Id, Instant, ids},
};

crate::words! {
    /// Where a job of the queue stands.
    pub enum Standing {
        /// It is due; or waits behind an earlier one of its key.
        Ready = "ready",
        /// It is planned for later.
        Later = "later",
        /// It has failed, or was replayed after that, and waits for another try.
        Retrying = "retrying",
        /// A worker has it in hand.
        Leased = "leased",
        /// It has failed for good.
        Dead = "dead",
    }
}

/// A job of the queue, as it stands now.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct QueuedJob {
    /// Its id.
    pub id: ids::JobId,
    /// What it does.
    pub kind: String,
    /// Where it stands. More words may come.
    pub state: Standing,
    /// Jobs of one key run one after another, in the order of this list.
    pub ordering_key: Option<String>,
    /// With whom it shares the workers: the id of a connector, or nobody in particular.
    pub lane: String,
    /// When it is due: not before this.
    pub run_at: Instant,
    /// Until when the worker that has it in hand may take; then it is taken over.
    pub lease_until: Option<Instant>,
    /// Which try this is, from 1; 0 before the first.
    pub attempt: i64,
    /// How often it is tried before it is dead.
    pub max_attempts: i64,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Since when it has been in the queue.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    #[serde(skip)]
    pub(super) seq: i64,
}

#[rustfmt::skip]
type Columns = (BigInt, UidSql, Text, Text, Nullable<Text>, Text, InstantSql, Nullable<InstantSql>, BigInt, BigInt, Nullable<Text>, InstantSql, InstantSql);
#[rustfmt::skip]
type Row = (i64, Id<ids::Job>, String, Standing, Option<String>, String, Instant, Option<Instant>, i64, i64, Option<String>, Instant, Instant);

#[rustfmt::skip]
fn queued(row: Row) -> QueuedJob {
    let (seq, id, kind, state, ordering_key, lane, run_at, lease_until, attempt, max_attempts, last_error, created_at, updated_at) = row;
    QueuedJob { id, kind, state, ordering_key, lane, run_at, lease_until, attempt, max_attempts, last_error, created_at, updated_at, seq }
}

/// Where a job stands that is neither dead nor in hand is reckoned, not looked up by an index: so the rows are read in the
/// order of their key, which is the order of the list, and nothing is sorted however long the queue is. The dead and those in
/// hand are few beside the queue, and have indexes of their own that the word for them leads to.
fn text_of(state: Option<Standing>) -> String {
    // A sum has no index: so the places lead nobody past the index of the leases, which is in another order.
    let (few, place) = match state {
        Some(Standing::Dead) => (" WHERE state = 'dead'", "seq"),
        Some(Standing::Leased) => (" WHERE state = 'leased'", "seq + 0"),
        _ => ("", "seq"),
    };
    format!(
        "SELECT seq, id, kind, stands, ordering_key, lane, run_at, lease_until, attempt, max_attempts, last_error, \
           created_at, updated_at \
         FROM (SELECT jobs.*, CASE WHEN state <> 'ready' THEN state WHEN last_error IS NOT NULL THEN 'retrying' \
           WHEN run_at > ? THEN 'later' ELSE 'ready' END AS stands FROM jobs{few}) AS queue \
         WHERE {place} > ? AND (? = '' OR stands = ?) AND (? = '' OR kind = ?) ORDER BY {place} LIMIT ?"
    )
}

fn page_of(now: Instant, (state, kind): (Option<Standing>, &str), after: i64, limit: i64) -> Sql {
    let text = text_of(state);
    let state = state.map_or("", Standing::as_str);
    sql(text).bind(now).bind(after).bind(state).bind(state).bind(kind).bind(kind).bind(limit)
}

/// The jobs of the queue, the oldest first, after a place; of one standing and of one kind where these are named.
pub(super) fn page(
    tx: &mut Tx,
    now: Instant,
    (state, kind): (Option<Standing>, Option<&str>),
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<QueuedJob>> {
    let page = page_of(now, (state, kind.unwrap_or_default()), after.unwrap_or_default(), limit);
    Ok(page.load::<Columns, Row>(tx)?.into_iter().map(queued).collect())
}

/// The oldest jobs that stand somewhere.
///
/// # Errors
/// What the database says.
pub fn standing(tx: &mut Tx, now: Instant, state: Standing, limit: i64) -> Result<Vec<QueuedJob>> {
    page(tx, now, (Some(state), None), None, limit)
}

/// The jobs of ordering keys, the oldest first.
///
/// # Errors
/// What the database says.
pub fn of_keys(tx: &mut Tx, now: Instant, keys: &[String]) -> Result<Vec<QueuedJob>> {
    let list = dialect::list(tx, &[("wanted", Col::Text)]);
    let query = format!(
        "SELECT seq, id, kind, CASE WHEN state <> 'ready' THEN state WHEN last_error IS NOT NULL THEN 'retrying' \
           WHEN run_at > ? THEN 'later' ELSE 'ready' END, ordering_key, lane, run_at, lease_until, attempt, \
           max_attempts, last_error, created_at, updated_at \
         FROM jobs WHERE ordering_key IN (SELECT wanted FROM {list}) ORDER BY seq LIMIT 500"
    );
    let keys = dialect::rows(keys.iter().map(|key| serde_json::json!([key])).collect());
    Ok(sql(query).bind(now).bind(keys).load::<Columns, Row>(tx)?.into_iter().map(queued).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Db, Options};

    #[tokio::test]
    async fn a_page_of_the_queue_reads_no_more_than_it_must() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(Options::new(folder.path().join("plans.db").display().to_string())).unwrap();
        for state in Standing::ALL {
            let read = db.read(move |tx| {
                let now = Instant::from_micros(0);
                // The statement as it is, with a look at how it is gone about.
                let explain = sql(format!("EXPLAIN QUERY PLAN {}", text_of(Some(*state))));
                let word = state.as_str();
                let explain = explain.bind(now).bind(0).bind(word).bind(word).bind("").bind("").bind(50);
                explain.load::<(BigInt, BigInt, BigInt, Text), (i64, i64, i64, String)>(tx)
            });
            let steps: Vec<String> = read.await.unwrap().into_iter().map(|(.., step)| step).collect();
            let wanted: &[&str] = match state {
                Standing::Dead => &["SEARCH jobs USING INDEX jobs_dead (seq>?)"],
                Standing::Leased => &["SCAN jobs USING INDEX jobs_leased", "USE TEMP B-TREE FOR ORDER BY"],
                _ => &["SEARCH jobs USING INTEGER PRIMARY KEY (rowid>?)"],
            };
            assert_eq!(steps, wanted, "{state}");
        }
    }
}
