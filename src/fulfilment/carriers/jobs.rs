//! Jobs that ask carriers, outside any transaction, and write the answer down together with the job's end.

use std::sync::{Arc, OnceLock};

use super::{
    easypost::{self, Client, Trouble},
    labels::{self, BUY, Task, VOID},
    model::LabelState,
    service::{self, Kept},
    store, webhook,
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
    for kind in [BUY, VOID] {
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

async fn perform(state: &State, network: &Network, job: Job) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let locations = state.db.snapshot::<Locations>().await?;
    let loaded = state.db.read(move |tx| load(tx, task, &locations)).await?;
    let Some(Loaded { label, document, account }) = loaded else { return Ok(Verdict::Done) };
    let wanted = if job.kind == BUY { LabelState::Requested } else { LabelState::Voiding };
    if label.state != wanted {
        return Ok(Verdict::Done);
    }
    let allow_private = state.settings.webhooks.allow_private;
    let base = easypost::base(account.account.settings.base_url.as_deref(), allow_private)?;
    let secrets =
        service::unseal(&state.secret, &account)?.ok_or_else(|| Error::internal("an account without secrets"))?;
    let client = Client { network, base: &base, api_key: &secrets.api_key, allow_private };
    let (reference, now) = (label.id.to_string(), state.clock.now());
    let answer = match wanted {
        LabelState::Requested => client.buy(&reference, &document, label.details.service.as_deref()).await.map(Some),
        _ => client.void(&reference).await.map(|()| None),
    };
    let answer = match answer {
        Err(error @ Trouble::NoAnswer(_)) => return Err(Error::internal(error)),
        Err(Trouble::Refused(why)) => Err(why),
        Ok(given) => Ok(given),
    };
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        match &answer {
            Ok(Some(given)) => labels::bought(tx, now, task.label, given)?,
            Ok(None) => labels::voided(tx, now, task.label)?,
            Err(why) => labels::refused(tx, now, task.label, &job.kind, why)?,
        };
        Ok(())
    });
    written.await?;
    Ok(Verdict::Settled)
}
