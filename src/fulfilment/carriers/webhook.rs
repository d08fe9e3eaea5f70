//! What carriers tell of parcels of their own accord: verified, written down as a job, and noted as scans.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    easypost::{self, Told},
    model::Adapter,
    port::Heard,
    service, store,
};
use crate::{
    db::{Lane, Tx},
    error::{Code, Error, Result},
    fulfilment::{Fresh, Scan, scans, shipments_by_number},
    http::State,
    jobs::{Job, NewJob, Runner, Verdict},
    kernel::{
        Actor, Instant,
        ids::{CarrierAccountId, JobId},
    },
};

/// The kind of the jobs.
const KIND: &str = "carriers.tracked";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Task {
    account: CarrierAccountId,
    tracking_number: String,
    scans: Vec<Heard>,
}

/// Checks a webhook of an account, and gives the job that it becomes; `None` for what is not about a parcel.
///
/// # Errors
/// `not_found`, `webhook_signature_invalid`, `body_malformed`.
pub(super) fn job(
    state: &State,
    now: Instant,
    kept: &service::Kept,
    (signature, body): (&str, &[u8]),
) -> Result<Option<NewJob>> {
    let account = kept.account.id;
    let secrets = match kept.account.adapter {
        Adapter::Easypost => service::unseal(&state.secret, kept)?,
        Adapter::Manual | Adapter::TableRate => None,
    };
    let secret = secrets.and_then(|secrets| secrets.webhook_secret);
    let secret = secret.ok_or_else(|| Error::not_found("carrier that notifies"))?;
    if !easypost::is_signed(&secret, signature, body) {
        return Err(Error::problem(Code::WebhookSignatureInvalid, "X-Hmac-Signature does not fit the body"));
    }
    let Some(Told { id, tracking_number, scans }) = easypost::told(body)? else { return Ok(None) };
    let task = Task { account, tracking_number, scans };
    // The job's id follows from the message's, so that a message that comes twice waits once.
    let hash = Sha256::new().chain_update(account.bytes()).chain_update(&id).finalize();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    let job = NewJob::now(KIND, now, serde_json::to_value(&task)?);
    Ok(Some(NewJob { id: JobId::from_bytes(bytes), ..job }.in_order(format!("tracked:{}", task.tracking_number))))
}

/// Registers what is done beside requests.
pub(super) fn register(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(KIND, move |job| {
        let state = state.clone();
        async move { perform(&state, job).await }
    });
}

async fn perform(state: &State, job: Job) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let now = state.clock.now();
    state
        .db
        .write_in(Lane::Bulk, move |tx| {
            let found = shipments_by_number(tx, &task.tracking_number)?;
            if found.is_empty() && store::has_number(tx, task.account, &task.tracking_number)? {
                return Ok(Verdict::Retry {
                    error: "its package has not been shipped yet".into(),
                    after_seconds: None,
                });
            }
            job.finish(tx)?;
            for (place, shipment) in found.into_iter().enumerate() {
                note(tx, now, &job, place, shipment, &task.scans)?;
            }
            Ok(Verdict::Settled)
        })
        .await
}

/// Notes all that was heard of a shipment.
pub(super) fn note(
    tx: &mut Tx,
    now: Instant,
    job: &Job,
    place: usize,
    shipment: crate::kernel::ids::ShipmentId,
    heard: &[Heard],
) -> Result<()> {
    // What is said of a time to come has not happened: it is told again when it has.
    for (turn, one) in heard.iter().enumerate().filter(|(_, one)| one.at <= now) {
        // Ids for the events of each scan, the same whenever the job is run.
        let mut bytes = [0; 16];
        let hash = Sha256::new()
            .chain_update(job.id.bytes())
            .chain_update(place.to_be_bytes())
            .chain_update(turn.to_be_bytes())
            .finalize();
        bytes.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        let fresh = Fresh::of(JobId::from_bytes(bytes));
        let scan = Scan { at: one.at, text: one.text.clone(), place: one.place.clone(), mark: one.mark };
        match scans::scan(tx, now, &Actor::System("carriers"), &fresh, shipment, &scan) {
            // Numbers are used again after years: what was before the order is of another parcel. And what was taken back is no parcel.
            Err(Error::Problem(problem)) if matches!(problem.code, Code::HistoryBeforeOrder | Code::StateConflict) => {}
            other => {
                other?;
            }
        }
    }
    Ok(())
}
