//! Work on orders that cost more than one person cancels alone: a second one approves it before it begins.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    model::{Bulk, BulkCommand},
    service,
};
use crate::{
    countersign::{self, Asking, Ceilinged, CountersignRequest, CountersignSubject},
    db::Tx,
    error::Result,
    http::State,
    jobs::{Job, Runner, Verdict},
    kernel::{
        Actor, Currency, Instant, Money,
        ids::{BulkJobId, ChannelId, CountersignRequestId, EventId, JobId},
    },
};

/// What is begun once it is approved.
#[derive(Debug, Serialize, Deserialize)]
struct What {
    bulk: BulkJobId,
}

/// Whether a second person has to approve it: where what the orders of any channel cost is above what one cancels alone.
///
/// # Errors
/// What the database says.
pub(super) fn needed(
    tx: &mut Tx,
    actor: &Actor,
    command: BulkCommand,
    sums: &BTreeMap<(ChannelId, Currency), i64>,
) -> Result<bool> {
    if command != BulkCommand::Cancel {
        return Ok(false);
    }
    for ((channel, currency), sum) in sums {
        let sum = Money::from_minor(*sum, *currency);
        if countersign::above(tx, actor, Ceilinged::Bulk, *channel, sum)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Asks for a second person.
///
/// # Errors
/// What the database says.
pub(super) fn ask(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    ids: (CountersignRequestId, EventId),
    (one, amounts): (&Bulk, Vec<Money>),
) -> Result<()> {
    let channel = match one.kept.channels.as_slice() {
        [channel] => Some(*channel),
        _ => None,
    };
    let asking = Asking {
        ids,
        kind: Ceilinged::Bulk,
        channel,
        subject: CountersignSubject { bulk_id: Some(one.id), ..CountersignSubject::default() },
        amounts,
        reason: one.kept.arguments.reason.clone(),
        authors: Vec::new(),
        job: None,
        what: json!(What { bulk: one.id }),
    };
    countersign::ask(tx, now, actor, &asking).map(drop)
}

/// Registers the job that begins what was approved.
pub(super) fn register(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(Ceilinged::Bulk.job(), move |job| begin(state.clone(), job));
}

async fn begin(state: State, job: Job) -> Result<Verdict> {
    let Some(request) = countersign::of_job(&state, &job).await? else { return Ok(Verdict::Done) };
    let (what, next): (What, JobId) = (serde_json::from_value(request.what.clone())?, JobId::new());
    let work = move |tx: &mut Tx, now: Instant, _: &CountersignRequest| service::begin(tx, now, (what.bulk, next));
    countersign::run(&state, job, request, work).await
}
