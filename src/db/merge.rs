//! Merging many rows into records that have a key and a version: what every bulk import does, in two statements.
//!
//! The records are read and locked, the rows are laid onto them in memory in their order, and what has changed is written
//! in one guarded upsert. A record that is made under our hands between the two is seen by the guard and merged again.

use std::collections::{BTreeMap, BTreeSet};

use super::Tx;
use crate::{
    error::{Code, Error, Result},
    kernel::{Instant, patch::Change},
};

/// Records of one kind, and the rows that are merged into them.
pub trait Merge {
    /// A row, with whatever it takes where its record is new.
    type Row;
    /// A record.
    type Record: Clone + PartialEq;

    /// The key of the record that a row means.
    fn key_of(row: &Self::Row) -> &str;

    /// A record's key.
    fn key(record: &Self::Record) -> &str;

    /// A record's version: 1 when it is new.
    fn version(record: &Self::Record) -> i64;

    /// What the record is after a row. It keeps the version.
    ///
    /// # Errors
    /// What is wrong with the row.
    fn lay(row: &Self::Row, before: Option<&Self::Record>, now: Instant) -> Result<Self::Record>;

    /// The record with a version and the time of its change.
    fn stamp(record: Self::Record, version: i64, now: Instant) -> Self::Record;

    /// Reads the records with these keys, each of which is there once; `locked` until the end of the transaction, in the
    /// order of the keys.
    ///
    /// # Errors
    /// What the database says.
    fn read(tx: &mut Tx, keys: &BTreeSet<&str>, locked: bool) -> Result<Vec<Self::Record>>;

    /// Writes the records that are new or follow the version that is there; gives the keys of those it could write.
    ///
    /// # Errors
    /// What the database says.
    fn write<'r>(tx: &mut Tx, records: impl Iterator<Item = &'r Self::Record>) -> Result<Vec<String>>
    where
        Self::Record: 'r;
}

/// What became of each row, in their order, and the records that have changed, by their keys.
pub type Merged<R> = (Vec<Result<Change>>, BTreeMap<String, R>);

/// How often records that were made under our hands are merged again.
const ROUNDS: usize = 8;

/// Merges rows in their order: of two rows of one record the later is laid onto what the earlier left, and the record is
/// written once. A row that can not be merged stops no others.
///
/// With `rehearsed` nothing is written: it holds what earlier rows would have left.
///
/// # Errors
/// What the database says.
pub fn merge<M: Merge>(
    tx: &mut Tx,
    now: Instant,
    rows: &[M::Row],
    rehearsed: Option<&BTreeMap<String, M::Record>>,
) -> Result<Merged<M::Record>> {
    let (mut outcomes, mut left) = (BTreeMap::new(), BTreeMap::new());
    let mut open: Vec<(usize, &M::Row)> = rows.iter().enumerate().collect();
    for _ in 0..ROUNDS {
        let keys: BTreeSet<&str> = open.iter().map(|(_, row)| M::key_of(row)).collect();
        let found = M::read(tx, &keys, rehearsed.is_none())?;
        let mut known: BTreeMap<String, M::Record> =
            found.into_iter().map(|record| (M::key(&record).to_owned(), record)).collect();
        let earlier = rehearsed.into_iter().flatten().filter(|(key, _)| keys.contains(key.as_str()));
        known.extend(earlier.map(|(key, record)| (key.clone(), record.clone())));
        let (fates, mut changed) = lay_all::<M>(now, &open, &known);
        if rehearsed.is_none() && !changed.is_empty() {
            let written: BTreeSet<String> = M::write(tx, changed.values())?.into_iter().collect();
            // What is not written was made by somebody else since we read: it is there to be read now.
            open.retain(|(_, row)| changed.contains_key(M::key_of(row)) && !written.contains(M::key_of(row)));
            changed.retain(|key, _| written.contains(key));
        } else {
            open.clear();
        }
        outcomes.extend(fates);
        left.extend(changed);
        if open.is_empty() {
            return Ok((outcomes.into_values().collect(), left));
        }
    }
    Err(Error::problem(Code::Overloaded, "the same records are being made elsewhere").retry_after(1))
}

type Fates<R> = (Vec<(usize, Result<Change>)>, BTreeMap<String, R>);

/// The pure part: what the rows make of what is known.
fn lay_all<M: Merge>(now: Instant, rows: &[(usize, &M::Row)], known: &BTreeMap<String, M::Record>) -> Fates<M::Record> {
    let mut changed: BTreeMap<String, M::Record> = BTreeMap::new();
    let mut fates = Vec::with_capacity(rows.len());
    for (place, row) in rows {
        let key = M::key_of(row);
        let before = changed.get(key).or_else(|| known.get(key));
        let laid = M::lay(row, before, now).map(|after| match before {
            None => (Change::Created, after),
            Some(before) if *before == after => (Change::Unchanged, after),
            Some(_) => (Change::Updated, after),
        });
        let fate = laid.map(|(change, after)| {
            if change != Change::Unchanged {
                let version = known.get(key).map_or(1, |stored| M::version(stored) + 1);
                changed.insert(key.to_owned(), M::stamp(after, version, now));
            }
            change
        });
        fates.push((*place, fate));
    }
    (fates, changed)
}
