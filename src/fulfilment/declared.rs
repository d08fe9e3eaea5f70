//! Revenue that a process of an older version has booked beside newer ones: it is told afterwards where and how it is taxed, so that the
//! sums of tax have it.

use crate::{
    db::{Lane, Tx},
    error::Result,
    http::State,
    jobs::Runner,
    kernel::ids::OrderId,
    orders,
    payments::ledger,
};

/// So often it is looked for.
const EVERY_SECONDS: i64 = 300;
/// So many orders are looked at in one transaction.
const BITE: i64 = 100;

/// Registers the schedule.
pub(super) fn register(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.every("fulfilment.declare-sales", EVERY_SECONDS, move |_| {
        let state = state.clone();
        async move { declare_all(&state).await }
    });
}

/// Declares what is not. Breaking off loses nothing: the next turn finds the rest.
async fn declare_all(state: &State) -> Result<()> {
    let mut after = None;
    loop {
        let found = state.db.read(move |tx| ledger::undeclared(tx, after, BITE)).await?;
        let Some(last) = found.last().copied() else { return Ok(()) };
        state.db.write_in(Lane::Bulk, move |tx| declare(tx, &found)).await?;
        after = Some(last);
    }
}

/// As the migration has declared what was booked before there were sums of tax: at the order's rate, where it has a single one.
fn declare(tx: &mut Tx, found: &[OrderId]) -> Result<()> {
    for id in found {
        let Some(order) = orders::document(tx, *id)? else { continue };
        let rate = match order.taxes.as_slice() {
            [one] => Some(one.rate),
            _ => None,
        };
        ledger::declare(tx, *id, order.channel_id, (order.destination(), order.tax_treatment, rate))?;
    }
    Ok(())
}
