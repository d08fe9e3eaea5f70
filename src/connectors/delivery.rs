//! The job that brings one dispatch to its connector's system.

use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use serde_json::Value;

use super::{
    dispatcher,
    model::{ConnectorState, Dispatch, DispatchState, Kept, Trace},
    network::Network,
    ports::{Delivery, Ending, Outcome},
    registry, replay, service, store,
};
use crate::{
    db::{Lane, Tx},
    error::{Code, Error, Result},
    events::{self, Event},
    http::State,
    jobs::{self, Job, Runner, Verdict, retry_delay, try_of_round},
    kernel::{Instant, ids::DispatchId},
};

/// The kind of the jobs.
pub const KIND: &str = "connector.dispatch";

/// How long a dispatch of a paused connector sleeps; letting the connector go on wakes it.
const PAUSED_SECONDS: i64 = 600;
/// How long the log of what is done with is kept.
const KEPT_SECONDS: i64 = 30 * 86_400;

/// Registers what connectors do beside requests.
pub fn register(state: &State, runner: &mut Runner) {
    let network: Arc<OnceLock<Network>> = Arc::default();
    let shared = state.clone();
    runner.handle(KIND, move |job| {
        let (state, network) = (shared.clone(), network.clone());
        async move {
            let network = match network.get() {
                Some(network) => network.clone(),
                None => {
                    let made = Network::new(&state)?;
                    network.get_or_init(|| made).clone()
                }
            };
            deliver(&state, &network, job).await
        }
    });
    runner.on_burial(KIND, service::buried);
    let shared = state.clone();
    runner.handle(replay::KIND, move |job| {
        let state = shared.clone();
        async move { replay::bite(&state, job).await }
    });
    let shared = state.clone();
    runner.every("dispatches.retention", 3600, move |now| {
        let db = shared.db.clone();
        async move {
            let before = now.plus_seconds(-KEPT_SECONDS);
            while db.write_in(Lane::Bulk, move |tx| store::purge(tx, before, 1000)).await? == 1000 {}
            Ok(())
        }
    });
}

#[derive(Deserialize)]
pub(super) struct Payload {
    pub dispatch: DispatchId,
}

/// A dispatch with all that its delivery needs.
struct Loaded {
    dispatch: Dispatch,
    connector: Kept,
    event: Option<Event>,
}

fn load(tx: &mut Tx, id: DispatchId) -> Result<Option<Loaded>> {
    let Some(dispatch) = store::dispatch(tx, id)? else { return Ok(None) };
    let Some(connector) = store::find(tx, dispatch.connector_id)? else { return Ok(None) };
    let event = events::by_positions(tx, &[dispatch.position])?.into_iter().next();
    Ok(Some(Loaded { dispatch, connector, event }))
}

async fn deliver(state: &State, network: &Network, job: Job) -> Result<Verdict> {
    let payload: Payload = serde_json::from_value(job.payload.clone())?;
    let loaded = state.db.read(move |tx| load(tx, payload.dispatch)).await?;
    // Without its connector, or with another job in charge, there is nothing to do.
    let Some(Loaded { dispatch, connector, event }) = loaded.filter(|loaded| loaded.dispatch.job_id == job.id) else {
        return Ok(Verdict::Done);
    };
    let open = matches!(dispatch.state, DispatchState::Pending | DispatchState::Dead);
    if !open {
        return Ok(Verdict::Done);
    }
    if connector.state == ConnectorState::Paused {
        let now = state.clock.now();
        let sleep = move |tx: &mut Tx| {
            // Under the connector's lock: whoever lets it go on meanwhile either is seen here or wakes this job.
            let paused = store::is_paused_locked(tx, connector.id)?;
            job.postpone(tx, now, now.plus_seconds(if paused { PAUSED_SECONDS } else { 0 }))
        };
        state.db.write_in(Lane::Bulk, sleep).await?;
        return Ok(Verdict::Settled);
    }
    // What it was meant to get once and is not any more: it may lead to somebody else by now.
    if let Some(event) = &event
        && !dispatcher::filter(state, &connector, std::slice::from_ref(event)).await?.wants(event)
    {
        let now = state.clock.now();
        state.db.write_in(Lane::Bulk, move |tx| leave_out(tx, now, &job, &dispatch)).await?;
        return Ok(Verdict::Settled);
    }
    let Some(event) = event else {
        let now = state.clock.now();
        state.db.write_in(Lane::Bulk, move |tx| lose(tx, now, &job, &connector)).await?;
        return Ok(Verdict::Settled);
    };
    let outcome = push(state, network, &connector, &event).await;
    let dice = i64::from(rand::random_range(0..1000u32));
    let now = state.clock.now();
    // A replay begins with short delays again, whatever number of tries the connector allows.
    let wait = retry_delay(try_of_round(&job, connector.setup.max_attempts), dice);
    let written = move |tx: &mut Tx| settle(tx, now, &job, &dispatch, &outcome, wait);
    state.db.write_in(Lane::Bulk, written).await?;
    Ok(Verdict::Settled)
}

/// Ends the job of a dispatch that its connector is not to get any more.
fn leave_out(tx: &mut Tx, now: Instant, job: &Job, dispatch: &Dispatch) -> Result<()> {
    job.finish(tx)?;
    let reason = Some("the connector does not get such events any more".to_owned());
    let trace = Trace { reason, ..dispatch.trace.clone() };
    match store::decide(tx, now, dispatch, DispatchState::Skipped, dispatch.job_id, &trace)? {
        true => Ok(()),
        false => Err(decided_meanwhile()),
    }
}

/// Ends all that a connector was still to get of events which are not there any more: the log was cut while it was paused. What
/// others have in hand of it is refused when they come back.
fn lose(tx: &mut Tx, now: Instant, job: &Job, connector: &Kept) -> Result<()> {
    job.finish(tx)?;
    let dropped = events::state(tx)?.dropped;
    let jobs = store::lose_undelivered(tx, now, connector.id, dropped)?;
    tracing::error!(connector = connector.name, dropped, "a connector is paused: events it was to get are gone");
    jobs::cancel_many(tx, &jobs)
}

/// Somebody has replayed or skipped it.
fn decided_meanwhile() -> Error {
    Error::problem(Code::LeaseLost, "the dispatch was decided upon meanwhile")
}

/// A push that could not even be begun.
fn failed(error: impl ToString) -> Outcome {
    Outcome {
        ending: Ending::Failed { after_seconds: None },
        status: None,
        duration_ms: 0,
        sent_sha256: String::new(),
        response: None,
        error: Some(error.to_string()),
    }
}

/// Brings an event to a connector's system.
pub(super) async fn push(state: &State, network: &Network, connector: &Kept, event: &Event) -> Outcome {
    let adapter = match registry::find(&connector.adapter) {
        Ok(adapter) => adapter,
        Err(error) => return failed(error),
    };
    let secrets = match unseal(state, connector) {
        Ok(secrets) => secrets,
        Err(error) => return failed(error),
    };
    let delivery = Delivery {
        event,
        source: &state.public_url(),
        settings: &connector.setup.settings,
        secrets: &secrets,
        network,
        allow_private: connector.setup.allow_private || state.settings.webhooks.allow_private,
        now: state.clock.now(),
    };
    match adapter.push(delivery) {
        Some(pushing) => masked(pushing.await, &secrets),
        None => failed(format!("the adapter `{}` takes no `{}`: skip it", adapter.name, event.kind)),
    }
}

/// Secrets shorter than this are not looked for: they would be found in harmless words.
const SHORTEST_SECRET: usize = 6;

/// An outcome without the secrets that the far end has repeated: what is kept of an answer is read by many.
fn masked(mut outcome: Outcome, secrets: &Value) -> Outcome {
    let mut known = Vec::new();
    texts(secrets, &mut known);
    // The longest first, so that none leaves a part of another behind.
    known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for text in outcome.response.iter_mut().chain(outcome.error.iter_mut()) {
        for secret in known.iter().filter(|secret| secret.len() >= SHORTEST_SECRET) {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), "********");
            }
        }
    }
    outcome
}

/// Every text in a document, and what stands behind its beginning: of `Bearer x` and `whsec_x` the `x` is the secret.
fn texts(document: &Value, found: &mut Vec<String>) {
    match document {
        Value::String(text) => {
            found.extend(text.split_once([' ', '_']).map(|(_, secret)| secret.to_owned()));
            found.push(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, found)),
        _ => {}
    }
}

/// A connector's secrets, opened.
pub(super) fn unseal(state: &State, connector: &Kept) -> Result<Value> {
    match &connector.sealed {
        None => Ok(Value::Null),
        Some(sealed) => Ok(serde_json::from_str(&state.secret.unseal(sealed)?)?),
    }
}

/// Ends the job and writes down how, in one transaction. A late result is refused by the job.
fn settle(tx: &mut Tx, now: Instant, job: &Job, dispatch: &Dispatch, outcome: &Outcome, wait: i64) -> Result<()> {
    let error = outcome.error.as_deref().unwrap_or("it failed without a reason");
    let state = match outcome.ending {
        Ending::Delivered => {
            job.finish(tx)?;
            DispatchState::Delivered
        }
        Ending::Gone => {
            store::pause(tx, now, dispatch.connector_id, error)?;
            job.postpone(tx, now, now.plus_seconds(PAUSED_SECONDS))?;
            DispatchState::Pending
        }
        Ending::Failed { .. } if job.attempt >= job.max_attempts => {
            job.bury(tx, now, error)?;
            DispatchState::Dead
        }
        Ending::Failed { after_seconds } => {
            // The far end's wish counts, within reason.
            let wait = after_seconds.map_or(wait, |asked| asked.clamp(1, 6 * 3600).max(wait / 2));
            job.retry(tx, now, now.plus_seconds(wait), error)?;
            DispatchState::Pending
        }
    };
    if !store::settle(tx, now, dispatch, state, outcome)? {
        return Err(decided_meanwhile());
    }
    if outcome.ending == Ending::Delivered {
        store::forget_answers(tx, dispatch.connector_id, dispatch.id)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_that_repeats_secrets_is_kept_without_them() {
        let secrets = json!({"signing_secret": "whsec_c2VjcmV0", "authorization": "Bearer t0ps3cret", "previous": ["whsec_b2xk", 7]});
        let said = |text: &str| masked(Outcome { response: Some(text.into()), ..failed(text) }, &secrets);
        let kept = said("got Authorization: Bearer t0ps3cret, t0ps3cret and c2VjcmV0 (whsec_b2xk)");
        let wanted = "got Authorization: ********, ******** and ******** (********)";
        assert_eq!((kept.response.as_deref(), kept.error.as_deref()), (Some(wanted), Some(wanted)));
        assert_eq!(said("nothing of the kind").response.as_deref(), Some("nothing of the kind"));
    }
}
