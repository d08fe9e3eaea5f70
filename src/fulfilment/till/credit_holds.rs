//! Orders that are held because their company owed more than it may: they go on by themselves once it does not any more.

use serde::Deserialize;

use crate::{
    credit,
    db::{Lane, Tx},
    error::Result,
    http::State,
    jobs::{Job, Runner, Verdict},
    kernel::{
        Currency, Instant,
        ids::{CompanyId, EventId, OrderId},
    },
    orders::{self, holds::OrderHoldKind},
};

/// So many orders are looked at in one turn.
const MOST: i64 = 200;

/// Whose orders are looked at.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Task {
    company: CompanyId,
    currency: Currency,
}

/// Registers the job that a company's credit enqueues.
pub(in crate::fulfilment) fn register(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(credit::GO_ON, move |job| {
        let state = state.clone();
        async move { perform(&state, &job).await }
    });
}

async fn perform(state: &State, job: &Job) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let mut after = None;
    loop {
        let (last, held) = state.db.read(move |tx| held(tx, task, after)).await?;
        for id in held {
            let (now, event) = (state.clock.now(), EventId::new());
            state.db.write_in(Lane::Bulk, move |tx| go_on(tx, now, event, (task, id))).await?;
        }
        if last.is_none() {
            return Ok(Verdict::Done);
        }
        after = last;
    }
}

/// Orders of the next turn that are held for credit, and the last one that was looked at where more may follow.
fn held(tx: &mut Tx, task: Task, after: Option<OrderId>) -> Result<(Option<OrderId>, Vec<OrderId>)> {
    let owing = credit::owing(tx, (task.company, task.currency), after, MOST)?;
    let is_full = i64::try_from(owing.len()).is_ok_and(|found| found == MOST);
    let last = owing.last().copied().filter(|_| is_full);
    let blocks = orders::holds::of(tx, &owing)?;
    let for_credit =
        |id: &OrderId| blocks.get(id).is_some_and(|all| all.iter().any(|block| block.kind == OrderHoldKind::Credit));
    Ok((last, owing.into_iter().filter(for_credit).collect()))
}

/// Lets an order go on, where its company owes no more than it may at this moment: of what is ordered at once above that, the one is held.
fn go_on(tx: &mut Tx, now: Instant, event: EventId, (task, id): (Task, OrderId)) -> Result<()> {
    let mut order = orders::lock(tx, id)?;
    match credit::is_within(tx, task.company, task.currency)? {
        true => orders::holds::when_within_credit(tx, now, event, &mut order),
        false => Ok(()),
    }
}
