//! How far parts of Kontor have read the log. The only file that touches `log_readers`.

use diesel::sql_types::BigInt;

use crate::{
    db::{Tx, sql},
    error::Result,
};

/// Up to where a part has read the log; 0 before it has begun.
///
/// # Errors
/// What the database says.
pub fn read_up_to(tx: &mut Tx, name: &str) -> Result<i64> {
    let query = sql("SELECT position FROM log_readers WHERE name = ?").bind(name);
    Ok(query.first::<BigInt, i64>(tx)?.unwrap_or_default())
}

/// Moves a part's place in the log, for exactly one of those who saw it at `from`. What follows from the events between
/// is written in the same transaction, and so is written once.
///
/// # Errors
/// What the database says.
pub fn advance(tx: &mut Tx, name: &str, from: i64, to: i64) -> Result<bool> {
    sql("INSERT INTO log_readers (name, position) VALUES (?, 0) ON CONFLICT (name) DO NOTHING")
        .bind(name)
        .execute(tx)?;
    let update = sql("UPDATE log_readers SET position = ? WHERE name = ? AND position = ?");
    Ok(update.bind(to).bind(name).bind(from).execute(tx)? == 1)
}
