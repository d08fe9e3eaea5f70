//! The tries of dispatches that did not succeed. Part of the store, the only file that touches `dispatch_attempts` but for what
//! goes with its connector.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{model::Dispatch, ports::Outcome};
use crate::{
    db::{Col, Doc, DocSql, InstantSql, Tx, dialect, sql},
    error::Result,
    kernel::{Instant, ids::DispatchId},
};

/// How much of what was sent is kept of a failure.
const KEPT: usize = 16_384;

/// A try that did not succeed. What is personal, and the connector's secrets, stand as asterisks in it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Attempt {
    /// Which one, from 1.
    pub attempt: i64,
    /// When it ended.
    pub at: Instant,
    /// The far end's status, when it answered.
    pub status: Option<i64>,
    #[serde(flatten)]
    details: Details,
    /// What was sent last, as far as it is worth keeping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<String>,
    /// The beginning of the far end's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
}

/// What else is kept of a try.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
struct Details {
    /// How long it took.
    duration_ms: i64,
    /// The SHA-256 of what was sent last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent_sha256: Option<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Writes down a try that did not succeed.
pub(super) fn note(tx: &mut Tx, now: Instant, of: &Dispatch, outcome: &Outcome) -> Result<()> {
    let details = Details {
        duration_ms: outcome.duration_ms,
        sent_sha256: Some(outcome.sent_sha256.clone()).filter(|hash| !hash.is_empty()),
        error: outcome.error.clone(),
    };
    let sent = outcome.sent.as_ref().map(|sent| sent.chars().take(KEPT).collect::<String>());
    // The number of a try is that of the dispatch, which counts on when it is replayed from the start.
    let insert = "INSERT INTO dispatch_attempts (dispatch_id, attempt, connector_id, stream, at, status, doc, sent, response) \
                  VALUES (?, (SELECT coalesce(max(attempt), 0) + 1 FROM dispatch_attempts WHERE dispatch_id = ?), \
                    ?, ?, ?, ?, ?, ?, ?)";
    let insert = sql(insert).bind(of.id).bind(of.id).bind(of.connector_id).bind(of.stream.as_str()).bind(now);
    let insert = insert.bind(outcome.status).bind(Doc(serde_json::to_value(&details)?)).bind(sent);
    insert.bind(outcome.response.clone()).execute(tx).map(|_| ())
}

/// The tries of a dispatch that did not succeed, the last first; of many the last fifty.
pub(super) fn of(tx: &mut Tx, dispatch: DispatchId) -> Result<Vec<Attempt>> {
    type Columns = (BigInt, InstantSql, Nullable<BigInt>, DocSql, Nullable<Text>, Nullable<Text>);
    type Row = (i64, Instant, Option<i64>, Doc<Details>, Option<String>, Option<String>);
    let query = "SELECT attempt, at, status, doc, sent, response FROM dispatch_attempts WHERE dispatch_id = ? \
                 ORDER BY attempt DESC LIMIT 50";
    let rows = sql(query).bind(dispatch).load::<Columns, Row>(tx)?;
    let attempt = |(attempt, at, status, Doc(details), sent, response): Row| Attempt {
        attempt,
        at,
        status,
        details,
        sent,
        response,
    };
    Ok(rows.into_iter().map(attempt).collect())
}

/// Drops what was sent and answered in tries of streams: it may tell of somebody who is to be forgotten.
pub(super) fn forget_of(tx: &mut Tx, streams: &[String]) -> Result<()> {
    let list = dialect::list(tx, &[("wanted", Col::Text)]);
    let wanted = dialect::rows(streams.iter().map(|stream| json!([stream])).collect());
    let update = format!(
        "UPDATE dispatch_attempts SET sent = NULL, response = NULL WHERE stream IN (SELECT wanted FROM {list})"
    );
    sql(update).bind(wanted).execute(tx).map(|_| ())
}

/// Drops tries from before an instant, a bite at a time.
pub(super) fn purge(tx: &mut Tx, before: Instant, limit: i64) -> Result<usize> {
    sql("DELETE FROM dispatch_attempts WHERE (dispatch_id, attempt) IN (SELECT dispatch_id, attempt FROM dispatch_attempts \
         WHERE at < ? ORDER BY at LIMIT ?)")
    .bind(before)
    .bind(limit)
    .execute(tx)
}
