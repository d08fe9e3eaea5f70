//! The only file that touches `import_progress`: how far imports have come that are not at their end.

use diesel::sql_types::{BigInt, Text};

use crate::{
    db::{Doc, DocSql, Json, Tx, sql},
    error::Result,
    kernel::{Id, Instant, ids},
};

/// What names an import: its key and the hash of its file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'a> {
    pub id: Id<ids::IdempotencyKey>,
    pub body_hash: &'a str,
}

/// How far an import has come, with the hash of the file that it was begun with.
pub(super) struct Kept<R, E> {
    pub body_hash: String,
    pub rows: i64,
    pub report: R,
    pub errors: E,
}

/// How far an import has come; `None` where it has not begun, or is at its end.
pub(super) fn read<R, E>(tx: &mut Tx, id: Id<ids::IdempotencyKey>) -> Result<Option<Kept<R, E>>>
where
    R: serde::de::DeserializeOwned + std::fmt::Debug + 'static,
    E: serde::de::DeserializeOwned + std::fmt::Debug + 'static,
{
    type Columns = (Text, BigInt, DocSql, DocSql);
    let query = sql("SELECT body_hash, rows_done, report, errors FROM import_progress WHERE id = ?").bind(id);
    let found = query.first::<Columns, (String, i64, Doc<R>, Doc<E>)>(tx)?;
    Ok(found.map(|(body_hash, rows, Doc(report), Doc(errors))| Kept { body_hash, rows, report, errors }))
}

/// Notes that an import has come from one row to another. The errors are written where there are more of them. False when it
/// is not where it was: another request with its key has gone on.
pub(super) fn advance(
    tx: &mut Tx,
    now: Instant,
    name: Name<'_>,
    (from, to): (i64, i64),
    report: Json,
    errors: Option<Json>,
) -> Result<bool> {
    if from == 0 {
        let begun = sql("INSERT INTO import_progress (id, body_hash, rows_done, report, errors, created_at) \
             VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING");
        let errors = errors.map_or_else(|| Json::of(&[(); 0]), Ok)?;
        let begun = begun.bind(name.id).bind(name.body_hash).bind(to).bind(report).bind(errors).bind(now);
        return Ok(begun.execute(tx)? == 1);
    }
    let set = if errors.is_some() { ", errors = ?" } else { "" };
    let gone = sql(format!(
        "UPDATE import_progress SET rows_done = ?, report = ?{set} WHERE id = ? AND rows_done = ? AND body_hash = ?"
    ));
    let gone = gone.bind(to).bind(report);
    let gone = if let Some(errors) = errors { gone.bind(errors) } else { gone };
    Ok(gone.bind(name.id).bind(from).bind(name.body_hash).execute(tx)? == 1)
}

/// Forgets how far an import had come: it is at its end, and its key has its answer.
pub(super) fn end(tx: &mut Tx, id: Id<ids::IdempotencyKey>) -> Result<()> {
    sql("DELETE FROM import_progress WHERE id = ?").bind(id).execute(tx)?;
    Ok(())
}

/// Drops imports that were begun before an instant and never brought to their end.
pub(super) fn purge(tx: &mut Tx, before: Instant, limit: i64) -> Result<usize> {
    sql("DELETE FROM import_progress WHERE id IN (SELECT id FROM import_progress WHERE created_at < ? ORDER BY created_at LIMIT ?)")
        .bind(before)
        .bind(limit)
        .execute(tx)
}
