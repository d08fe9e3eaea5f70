//! Orders of several deliveries that a process of an older version has placed, or erased, beside newer ones: they are found by their further
//! addresses afterwards, or are not any more.

use super::{contact_store, service};
use crate::{
    db::{Lane, Tx},
    error::Result,
    http::State,
    jobs::Runner,
    kernel::ids::OrderId,
};

/// So often they are looked for.
const EVERY_SECONDS: i64 = 3_600;
/// So many are written in one transaction.
const BITE: i64 = 100;

/// Registers the schedule.
pub fn work(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.every("orders.note-contacts", EVERY_SECONDS, move |_| {
        let state = state.clone();
        async move { note_contacts(&state).await }
    });
}

/// Notes the addresses of orders that are not found by them, and forgets those of orders that were erased. Breaking off loses nothing: the next
/// turn finds the rest.
///
/// # Errors
/// What the database says.
pub async fn note_contacts(state: &State) -> Result<()> {
    loop {
        let erased = state.db.read(|tx| contact_store::erased_with_contacts(tx, BITE)).await?;
        if erased.is_empty() {
            break;
        }
        state.db.write_in(Lane::Bulk, move |tx| contact_store::forget_contacts(tx, &erased)).await?;
    }
    let mut after = None;
    loop {
        let found = state.db.read(move |tx| contact_store::without_contacts(tx, after, BITE)).await?;
        let Some(last) = found.last().copied() else { return Ok(()) };
        state.db.write_in(Lane::Bulk, move |tx| note(tx, &found)).await?;
        after = Some(last);
    }
}

/// With each locked: what is erased meanwhile is not written again.
fn note(tx: &mut Tx, found: &[OrderId]) -> Result<()> {
    for id in found {
        let order = service::lock(tx, *id)?;
        if !contact_store::has_contacts(tx, *id)? {
            contact_store::insert_contacts(tx, (*id, order.placed_at), &service::contacts(&order.deliveries))?;
        }
    }
    Ok(())
}
