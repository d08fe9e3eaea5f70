//! Store credit and corrections above what one person gives in a day alone: a second one approves them, and they are given then, once.

use serde::{Deserialize, Serialize};

use super::{
    model::{Adjustment, Credit},
    service,
};
use crate::{
    countersign::{self, Ceilinged, CountersignRequest, CountersignSubject, Wanted},
    db::Tx,
    error::Result,
    http::State,
    jobs::{Job, Runner, Verdict},
    kernel::{
        Instant,
        ids::{CustomerId, StoredValueEntryId, StoredValueId},
    },
};

/// What is done once it is approved.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// A customer is given credit.
    Credit { customer: CustomerId, body: Credit },
    /// A value is corrected.
    Adjust { value: StoredValueId, body: Adjustment },
}

/// What is asked for where giving needs a second person.
pub(super) fn wanted(what: What) -> Wanted<What> {
    let (subject, reason) = match &what {
        What::Credit { customer, body } => (
            CountersignSubject { customer_id: Some(*customer), ..CountersignSubject::default() },
            body.reason.to_string(),
        ),
        What::Adjust { value, body } => (
            CountersignSubject { stored_value_id: Some(*value), ..CountersignSubject::default() },
            body.reason.to_string(),
        ),
    };
    Wanted { channel: None, subject, reason: Some(reason), authors: Vec::new(), job: None, what }
}

/// Registers the job that gives what was approved.
pub(super) fn register(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(Ceilinged::StoredValue.job(), move |job| give(state.clone(), job));
}

async fn give(state: State, job: Job) -> Result<Verdict> {
    let Some(request) = countersign::of_job(&state, &job).await? else { return Ok(Verdict::Done) };
    let (fresh, entry) = (StoredValueId::from_bytes(*job.id.bytes()), StoredValueEntryId::from_bytes(*job.id.bytes()));
    let what: What = request.wanted()?;
    let work = move |tx: &mut Tx, now: Instant, request: &CountersignRequest| {
        let actor = request.by.countersigned();
        match &what {
            What::Credit { customer, body } => service::credit(tx, (now, &actor), (fresh, entry), *customer, body),
            What::Adjust { value, body } => service::adjust(tx, (now, &actor), entry, *value, body),
        }
        .map(drop)
    };
    countersign::run(&state, job, request, work).await
}
