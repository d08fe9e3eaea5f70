//! Runs an import: chunks of rows, each one transaction in the bulk lane; a report at the end.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::rows::{self, Format, Row};
use crate::{
    db::{Lane, Tx, merge::Merged},
    error::{Error, Result},
    http::{Call, RawBody, Reply, idempotency::Begun},
    kernel::{Actor, Instant, patch::Change},
};

/// How many rows one transaction takes: enough to make its COMMIT cheap, few enough to let a checkout through soon.
const CHUNK: usize = 500;
/// How many row errors a report names; all are counted.
const MOST_ERRORS: usize = 1_000;

/// How rows of a kind are applied.
pub trait Import: Send + Sync + 'static {
    /// A row of the file.
    type Row: Row;
    /// What a row takes where its record is new, made once, so that a transaction that runs again gives the same.
    type Fresh: Default + Send + Sync + 'static;
    /// A record, kept by its key in a rehearsal.
    type Record: Send + Sync + 'static;

    /// Applies a chunk in its transaction. With `rehearsed` it writes nothing: it holds what earlier chunks would have left.
    /// `by` is the actor, and the id of the request for what is recorded.
    ///
    /// # Errors
    /// What the database says. What is wrong with a row, or is not the actor's, is that row's outcome.
    fn apply(
        tx: &mut Tx,
        now: Instant,
        by: (&Actor, Option<&str>),
        rows: &[(Self::Fresh, Self::Row)],
        rehearsed: Option<&BTreeMap<String, Self::Record>>,
    ) -> Result<Merged<Self::Record>>;
}

/// What is wrong with a row.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RowError {
    /// The row's number: the line of NDJSON, in CSV counted from 1 after the header.
    pub row: u64,
    /// The stable code.
    pub code: String,
    /// JSON pointer to the field.
    pub pointer: Option<String>,
    /// What is wrong.
    pub detail: String,
}

/// What an import has done.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
pub struct Report {
    /// How many rows there were. It is the sum of the four counts that follow.
    pub received: u64,
    /// How many made a record.
    pub created: u64,
    /// How many changed one.
    pub updated: u64,
    /// How many changed nothing.
    pub unchanged: u64,
    /// How many were not applied.
    pub failed: u64,
    /// What was wrong with those, the first 1,000.
    pub errors: Vec<RowError>,
}

impl Report {
    fn count(&mut self, row: u64, outcome: Result<Change>) -> Result<()> {
        self.received += 1;
        match outcome {
            Ok(Change::Created) => self.created += 1,
            Ok(Change::Updated) => self.updated += 1,
            Ok(Change::Unchanged) => self.unchanged += 1,
            Err(Error::Problem(problem)) => {
                self.failed += 1;
                if self.errors.len() < MOST_ERRORS {
                    let (code, pointer, detail) = (problem.code.as_str().to_owned(), problem.pointer, problem.detail);
                    self.errors.push(RowError { row, code, pointer, detail });
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// What an import's query may hold.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// Whether to tell what would happen, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Runs an import. Its answer is kept under the `Idempotency-Key`; an import that broke off can be sent again with it.
///
/// # Errors
/// What is wrong with the file as a whole, or what the database says; the chunks before that have been applied.
pub async fn run<I: Import>(call: &Call, body: RawBody, dry_run: bool) -> Result<Reply> {
    let format = Format::of(&body.media_type)?;
    // A rehearsal changes nothing, so its answer is not kept: the import itself may follow under the same key.
    let key = call.idempotency_key(&body.fingerprint)?.filter(|_| !dry_run);
    let secret = call.state.secret.clone();
    if let Some(key) = key.clone() {
        let secret = secret.clone();
        if let Some(reply) = call.read(move |tx| key.answered(tx, &secret)).await? {
            return Ok(reply);
        }
    }
    let reply = Reply::ok(&apply_all::<I>(call, format, &body.bytes, dry_run).await?)?;
    let Some(key) = key else { return Ok(reply) };
    let kept = call.state.db.write_in(Lane::Bulk, move |tx| {
        // A duplicate that ran beside this one has found the rows applied or applied them: the first answer stands.
        if let Begun::Replay(first) = key.begin(tx, &secret)? {
            return Ok(*first);
        }
        key.finish(tx, &secret, &reply)?;
        Ok(reply.clone())
    });
    kept.await
}

async fn apply_all<I: Import>(call: &Call, format: Format, bytes: &[u8], dry_run: bool) -> Result<Report> {
    let (mut report, mut rehearsed) = (Report::default(), dry_run.then(BTreeMap::new));
    let mut rows = rows::read::<I::Row>(format, bytes)?.peekable();
    while rows.peek().is_some() {
        let (mut numbers, mut chunk) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
        for (number, row) in rows.by_ref().take(CHUNK) {
            match row {
                Ok(row) => {
                    numbers.push(number);
                    chunk.push((I::Fresh::default(), row));
                }
                Err(error) => report.count(number, Err(error))?,
            }
        }
        let (outcomes, left) = match rehearsed.take() {
            Some(earlier) => rehearse::<I>(call, chunk, earlier).await.map(|(outcomes, all)| (outcomes, Some(all)))?,
            None => (write::<I>(call, chunk).await?, None),
        };
        rehearsed = left;
        for (number, outcome) in numbers.into_iter().zip(outcomes) {
            report.count(number, outcome)?;
        }
        // Rows that were refused while they were read were counted before those that the chunk refused.
        report.errors.sort_by_key(|error| error.row);
    }
    Ok(report)
}

async fn write<I: Import>(call: &Call, chunk: Vec<(I::Fresh, I::Row)>) -> Result<Vec<Result<Change>>> {
    if chunk.is_empty() {
        return Ok(Vec::new());
    }
    let (now, actor, reference, chunk) = (call.now, call.actor.clone(), call.request_id(), Arc::new(chunk));
    let work = move |tx: &mut Tx| {
        let by = (&actor, reference.as_deref());
        I::apply(tx, now, by, &chunk, None).map(|applied| applied.0)
    };
    call.state.db.write_in(Lane::Bulk, work).await
}

async fn rehearse<I: Import>(
    call: &Call,
    chunk: Vec<(I::Fresh, I::Row)>,
    mut earlier: BTreeMap<String, I::Record>,
) -> Result<Merged<I::Record>> {
    let (now, actor) = (call.now, call.actor.clone());
    call.read(move |tx| {
        let (outcomes, left) = I::apply(tx, now, (&actor, None), &chunk, Some(&earlier))?;
        earlier.extend(left);
        Ok((outcomes, earlier))
    })
    .await
}
