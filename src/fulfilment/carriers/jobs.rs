//! Jobs that ask carriers, outside any transaction, and write the answer down together with the job's end.

use std::sync::{Arc, OnceLock};

use super::{
    labels::{self, BUY, TRACK, Task, VOID},
    model::{Bought, LabelState},
    port::{self, Heard, Trouble},
    service::{self, Kept},
    silent, store, webhook,
};
use crate::{
    db::{Lane, Tx},
    error::{Error, Result},
    fulfilment::parcels::{self, LabelDocument},
    http::{State, network::Network},
    jobs::{Job, Runner, Verdict},
    stock::Locations,
};

/// Registers what is done beside requests.
pub(in crate::fulfilment) fn register(state: &State, runner: &mut Runner) {
    let network: Arc<OnceLock<Network>> = Arc::default();
    for kind in [BUY, VOID, TRACK] {
        let (state, network) = (state.clone(), network.clone());
        runner.handle(kind, move |job| {
            let (state, network) = (state.clone(), network.clone());
            async move {
                let network = match network.get() {
                    Some(network) => network.clone(),
                    None => {
                        let made = Network::new(&state)?;
                        network.get_or_init(|| made).clone()
                    }
                };
                perform(&state, &network, job).await
            }
        });
    }
    webhook::register(state, runner);
    silent::register(state, runner);
}

/// All that asking for a label needs.
struct Loaded {
    label: super::Label,
    document: LabelDocument,
    account: Kept,
}

fn load(tx: &mut Tx, task: Task, locations: &Locations) -> Result<Option<Loaded>> {
    let Some(label) = store::label(tx, task.label)? else { return Ok(None) };
    let (account, document) =
        (service::get(tx, label.account_id)?, parcels::label_of(tx, label.package_id, locations)?);
    Ok(Some(Loaded { label, document, account }))
}

/// What a carrier has given.
enum Given {
    Label(Bought),
    Way(Vec<Heard>),
    Nothing,
}

async fn perform(state: &State, network: &Network, job: Job) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let locations = state.db.snapshot::<Locations>().await?;
    let loaded = state.db.read(move |tx| load(tx, task, &locations)).await?;
    let Some(Loaded { label, document, account }) = loaded else { return Ok(Verdict::Done) };
    let wanted = match job.kind.as_str() {
        BUY => LabelState::Requested,
        TRACK => LabelState::Bought,
        _ => LabelState::Voiding,
    };
    if label.state != wanted {
        return Ok(Verdict::Done);
    }
    let carrier = port::of(state, network, &account)?;
    let (reference, now) = (label.id.to_string(), state.clock.now());
    let answer = match (job.kind.as_str(), &label.tracking_number) {
        (BUY, _) => carrier.label(&reference, &document, label.details.service.as_deref()).await.map(Given::Label),
        (TRACK, Some(number)) => carrier.track(number).await.map(Given::Way),
        (TRACK, None) => Ok(Given::Way(Vec::new())),
        _ => carrier.cancel(&reference).await.map(|()| Given::Nothing),
    };
    let answer = match answer {
        Err(error @ Trouble::NoAnswer(_)) => return Err(Error::internal(error)),
        Err(Trouble::Refused(why)) => Err(why),
        Ok(given) => Ok(given),
    };
    let days = state.settings.carriers.ask_after_days;
    let ask_at = (days > 0).then(|| now.plus_seconds(86_400 * days));
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        match &answer {
            Ok(Given::Label(given)) => labels::bought(tx, (now, ask_at), task.label, given).map(|_| ()),
            Ok(Given::Nothing) => labels::voided(tx, now, task.label).map(|_| ()),
            Ok(Given::Way(scans)) => silent::heard(tx, now, &job, task.label, scans),
            // Who does not know a parcel is asked again in some days.
            Err(_) if job.kind == TRACK => Ok(()),
            Err(why) => labels::refused(tx, now, task.label, &job.kind, why).map(|_| ()),
        }
    });
    written.await?;
    Ok(Verdict::Settled)
}
