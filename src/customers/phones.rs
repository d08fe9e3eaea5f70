//! Customers whom a process of an older version has written: they are found by their phone number afterwards.

use super::store;
use crate::{db::Lane, error::Result, http::State, jobs::Runner};

/// So often they are looked for.
const EVERY_SECONDS: i64 = 3_600;
/// So many are written in one transaction.
const BITE: i64 = 100;

/// Registers the schedule.
pub fn work(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.every("customers.note-phones", EVERY_SECONDS, move |_| {
        let state = state.clone();
        async move { note_phones(&state).await }
    });
}

/// Notes by which phone number customers are found. Breaking off loses nothing: the next turn finds the rest.
///
/// # Errors
/// What the database says.
pub async fn note_phones(state: &State) -> Result<()> {
    let mut after = None;
    loop {
        let found = state.db.read(move |tx| store::without_phone_digits(tx, after, BITE)).await?;
        let Some(last) = found.last().map(|customer| customer.id) else { return Ok(()) };
        let write = move |tx: &mut crate::db::Tx| found.iter().try_for_each(|customer| store::note_phone(tx, customer));
        state.db.write_in(Lane::Bulk, write).await?;
        after = Some(last);
    }
}
