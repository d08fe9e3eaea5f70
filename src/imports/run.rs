//! Runs an import: chunks of rows, each one transaction in the bulk lane; a report at the end.
//!
//! An import with an `Idempotency-Key` notes in each chunk's transaction how far it has come. Broken off, and sent again with
//! the key, it goes on there: a row is applied once, whatever has changed since, and the report is that of the whole file.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    rows::{self, Format, Numbered, Row},
    store::{self, Name},
};
use crate::{
    db::{Json, Lane, Tx, merge::Merged},
    error::{Code, Error, Result},
    http::{
        Call, RawBody, Reply,
        idempotency::{Begun, Key},
    },
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
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
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

/// Runs an import. Its answer is kept under the `Idempotency-Key`; an import that broke off is sent again with it, and goes on
/// behind the rows that were applied.
///
/// # Errors
/// What is wrong with the file as a whole, or what the database says; the chunks before that have been applied.
pub async fn run<I: Import>(call: &Call, body: RawBody, dry_run: bool) -> Result<Reply> {
    let format = Format::of(&body.media_type)?;
    // A rehearsal changes nothing, so its answer is not kept: the import itself may follow under the same key.
    let key = call.idempotency_key(&body.fingerprint)?.filter(|_| !dry_run);
    let rows = rows::read::<I::Row>(format, &body.bytes)?;
    match key {
        Some(key) => keyed::<I>(call, rows, &key).await,
        None if dry_run => Reply::ok(&rehearse_all::<I>(call, rows).await?),
        None => Reply::ok(&write_all::<I>(call, rows).await?),
    }
}

/// Some rows of the file.
struct Chunk<I: Import> {
    /// How many they are, those that could not be read among them.
    rows: u64,
    /// Those that could not be read.
    refused: Vec<(u64, Error)>,
    /// The numbers of the others.
    numbers: Vec<u64>,
    /// The others.
    read: Vec<(I::Fresh, I::Row)>,
}

impl<I: Import> Chunk<I> {
    /// The next rows; `None` at the end of the file.
    fn next(rows: &mut dyn Iterator<Item = Numbered<I::Row>>) -> Option<Self> {
        let mut chunk =
            Self { rows: 0, refused: Vec::new(), numbers: Vec::with_capacity(CHUNK), read: Vec::with_capacity(CHUNK) };
        for (number, row) in rows.take(CHUNK) {
            chunk.rows += 1;
            match row {
                Ok(row) => {
                    chunk.numbers.push(number);
                    chunk.read.push((I::Fresh::default(), row));
                }
                Err(error) => chunk.refused.push((number, error)),
            }
        }
        (chunk.rows > 0).then_some(chunk)
    }

    /// Counts the rows that could not be read.
    fn count_refused(&mut self, report: &mut Report) -> Result<()> {
        self.refused.drain(..).try_for_each(|(number, error)| report.count(number, Err(error)))
    }
}

/// Counts what became of rows.
fn count(report: &mut Report, numbers: &[u64], outcomes: Vec<Result<Change>>) -> Result<()> {
    for (number, outcome) in numbers.iter().zip(outcomes) {
        report.count(*number, outcome)?;
    }
    // Rows that were refused while they were read were counted before those that the chunk refused.
    report.errors.sort_by_key(|error| error.row);
    Ok(())
}

async fn write_all<I: Import>(
    call: &Call,
    mut rows: Box<dyn Iterator<Item = Numbered<I::Row>> + '_>,
) -> Result<Report> {
    let mut report = Report::default();
    while let Some(chunk) = Chunk::<I>::next(&mut *rows) {
        report = write(call, chunk, report, None).await?;
    }
    Ok(report)
}

async fn rehearse_all<I: Import>(
    call: &Call,
    mut rows: Box<dyn Iterator<Item = Numbered<I::Row>> + '_>,
) -> Result<Report> {
    let (mut report, mut earlier) = (Report::default(), BTreeMap::new());
    while let Some(mut chunk) = Chunk::<I>::next(&mut *rows) {
        chunk.count_refused(&mut report)?;
        let (outcomes, left) = rehearse::<I>(call, chunk.read, earlier).await?;
        earlier = left;
        count(&mut report, &chunk.numbers, outcomes)?;
    }
    Ok(report)
}

/// Where an import stands that has a key.
struct Standing {
    /// How many rows are applied, or refused.
    rows: u64,
    /// What became of them.
    report: Report,
}

/// Runs an import that has a key, from where it stands.
async fn keyed<I: Import>(
    call: &Call,
    mut rows: Box<dyn Iterator<Item = Numbered<I::Row>> + '_>,
    key: &Key,
) -> Result<Reply> {
    let mut standing = match standing(call, key).await? {
        Stand::Answered(reply) => return Ok(*reply),
        Stand::At(standing) => standing,
    };
    let mut passed = skip(&mut *rows, standing.rows);
    while let Some(chunk) = Chunk::<I>::next(&mut *rows) {
        let (from, to) = (standing.rows, standing.rows + chunk.rows);
        passed += chunk.rows;
        match write(call, chunk, standing.report, Some((key, from, to))).await {
            Ok(report) => standing = Standing { rows: to, report },
            // The same file is on its way twice: each chunk is applied by one of the two, and the other goes on behind it.
            Err(error) if error.code() == Code::IdempotencyInProgress => {
                standing = match self::standing(call, key).await? {
                    Stand::Answered(reply) => return Ok(*reply),
                    Stand::At(standing) => standing,
                };
                let ahead = standing.rows.checked_sub(passed).ok_or(error)?;
                passed += skip(&mut *rows, ahead);
            }
            Err(error) => return Err(error),
        }
    }
    finish(call, key, &standing.report).await
}

/// Passes over rows; how many there were.
fn skip<T>(rows: &mut dyn Iterator<Item = T>, count: u64) -> u64 {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    rows.take(count).fold(0, |passed, _| passed + 1)
}

/// Where an import is.
enum Stand {
    /// At its end.
    Answered(Box<Reply>),
    /// On its way, or not begun.
    At(Standing),
}

async fn standing(call: &Call, key: &Key) -> Result<Stand> {
    let (key, secret) = (key.clone(), call.state.secret.clone());
    call.read(move |tx| {
        if let Some(reply) = key.answered(tx, &secret)? {
            return Ok(Stand::Answered(Box::new(reply)));
        }
        let Some(kept) = store::read::<Report, Vec<RowError>>(tx, key.id)? else {
            return Ok(Stand::At(Standing { rows: 0, report: Report::default() }));
        };
        key.check_body(&kept.body_hash)?;
        let rows = u64::try_from(kept.rows).map_err(Error::internal)?;
        Ok(Stand::At(Standing { rows, report: Report { errors: kept.errors, ..kept.report } }))
    })
    .await
}

/// Keeps the answer under the key, and forgets how far the import had come.
async fn finish(call: &Call, key: &Key, report: &Report) -> Result<Reply> {
    let (key, secret, reply) = (key.clone(), call.state.secret.clone(), Reply::ok(report)?);
    let kept = call.state.db.write_in(Lane::Bulk, move |tx| {
        // A duplicate that ran beside this one has come to the end first: its answer stands.
        if let Begun::Replay(first) = key.begin(tx, &secret)? {
            return Ok(*first);
        }
        key.finish(tx, &secret, &reply)?;
        store::end(tx, key.id)?;
        Ok(reply.clone())
    });
    kept.await
}

/// Applies a chunk, and notes with it how far an import with a key has come. Gives the report with the chunk in it.
///
/// # Errors
/// `idempotency_in_progress` when another request with the key has gone on: nothing of the chunk is applied then.
async fn write<I: Import>(
    call: &Call,
    mut chunk: Chunk<I>,
    mut report: Report,
    place: Option<(&Key, u64, u64)>,
) -> Result<Report> {
    let before = report.errors.len();
    chunk.count_refused(&mut report)?;
    if chunk.read.is_empty() && place.is_none() {
        return Ok(report);
    }
    let (now, actor, reference, chunk) = (call.now, call.actor.clone(), call.request_id(), Arc::new(chunk));
    let (place, secret) = (place.map(|(key, from, to)| (key.clone(), from, to)), call.state.secret.clone());
    let work = move |tx: &mut Tx| {
        let mut report = report.clone();
        let (outcomes, _) = I::apply(tx, now, (&actor, reference.as_deref()), &chunk.read, None)?;
        count(&mut report, &chunk.numbers, outcomes)?;
        if let Some((key, from, to)) = &place {
            note(tx, now, key, (*from, *to), &report, report.errors.len() > before)?;
            // Another request with the key may have come to the end meanwhile, and taken its note with it.
            if *from == 0 && key.answered(tx, &secret)?.is_some() {
                return Err(beside());
            }
        }
        Ok(report)
    };
    call.state.db.write_in(Lane::Bulk, work).await
}

fn note(
    tx: &mut Tx,
    now: Instant,
    key: &Key,
    (from, to): (u64, u64),
    report: &Report,
    more_errors: bool,
) -> Result<()> {
    let span = (i64::try_from(from).map_err(Error::internal)?, i64::try_from(to).map_err(Error::internal)?);
    let errors = if more_errors { Some(Json::of(&report.errors)?) } else { None };
    // Without its errors, which may be a thousand, it is short enough to be written with every chunk.
    let Report { received, created, updated, unchanged, failed, .. } = *report;
    let counts = Json::of(&Report { received, created, updated, unchanged, failed, errors: Vec::new() })?;
    let name = Name { id: key.id, body_hash: key.body_hash() };
    match store::advance(tx, now, name, span, counts, errors)? {
        true => Ok(()),
        false => Err(beside()),
    }
}

/// Another request with the key has gone on.
fn beside() -> Error {
    Error::problem(Code::IdempotencyInProgress, "the same file is being imported").retry_after(1)
}

/// Drops how far imports had come that were begun before an instant.
///
/// # Errors
/// What the database says.
pub fn purge(tx: &mut Tx, before: Instant, limit: i64) -> Result<usize> {
    store::purge(tx, before, limit)
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
