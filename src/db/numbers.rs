//! Numbers that people read (order numbers): unique, rising, with gaps. Each process takes blocks of them.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use diesel::sql_types::BigInt;

use super::{Db, Tx, sql};
use crate::error::{Error, Result};

/// How many numbers a process takes at once.
const BLOCK: i64 = 100;

/// The blocks in hand: name → (next, first that is not ours).
#[derive(Default)]
pub(super) struct Numbers(Mutex<HashMap<&'static str, (i64, i64)>>);

impl Numbers {
    fn take(&self, name: &'static str) -> Option<i64> {
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, end) = blocks.get_mut(name)?;
        (*next < *end).then(|| {
            *next += 1;
            *next - 1
        })
    }
}

/// The next number of a range, taken inside a transaction: for the rare things that are made on the way to another. The
/// range waits for the transaction's end, so what is made often takes its number from [`Db::next_number`].
///
/// # Errors
/// What the database says.
pub fn number_in(tx: &mut Tx, name: &str) -> Result<i64> {
    let next = sql("INSERT INTO number_ranges (name, next) VALUES (?, ?) \
         ON CONFLICT (name) DO UPDATE SET next = number_ranges.next + 1 RETURNING next");
    let next = next.bind(name).bind(1002).first::<BigInt, i64>(tx)?;
    next.map(|next| next - 1).ok_or_else(|| Error::internal("a number range gave nothing"))
}

impl Db {
    /// The next number of a range. The first of a range is 1001.
    ///
    /// # Errors
    /// What the database says when a new block is needed.
    pub async fn next_number(&self, name: &'static str) -> Result<i64> {
        if let Some(number) = self.inner.numbers.take(name) {
            return Ok(number);
        }
        let end = self
            .write(move |tx| {
                let next = sql("INSERT INTO number_ranges (name, next) VALUES (?, ?) \
                     ON CONFLICT (name) DO UPDATE SET next = number_ranges.next + ? RETURNING next");
                let next = next.bind(name).bind(1001 + BLOCK).bind(BLOCK).first::<BigInt, i64>(tx)?;
                next.ok_or_else(|| Error::internal("a number range gave nothing"))
            })
            .await?;
        let mut blocks = self.inner.numbers.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Another task may have taken a block meanwhile: the older one is dropped, which leaves a gap and no double.
        blocks.insert(name, (end - BLOCK + 1, end));
        Ok(end - BLOCK)
    }
}
