//! The job that brings one dispatch to its connector's system.

use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use serde_json::Value;

use super::{
    attempts, breakers, dispatcher, links,
    mapping::Mapping,
    mappings,
    model::{ConnectorState, Dispatch, DispatchState, Kept, Trace},
    network::Network,
    ports::{Adapter, Delivery, Ending, Link, Outcome, Target},
    pull, registry, replay, runs,
    sending::{Sending, Step},
    service, store,
    wire::Stop,
};
use crate::{
    db::{Lane, Tx},
    error::{Code, Error, Result},
    events::{self, Event},
    http::State,
    jobs::{self, Job, Runner, Steering, Verdict, try_of_round},
    kernel::{
        Instant,
        ids::{ConnectorId, DispatchId},
    },
};

/// The kind of the jobs.
pub const KIND: &str = "connector.dispatch";

/// How long a dispatch of a paused connector sleeps; letting the connector go on wakes it.
pub(super) const PAUSED_SECONDS: i64 = 600;
/// How long the log of what is done with is kept.
const KEPT_SECONDS: i64 = 30 * 86_400;

/// Registers what connectors do beside requests.
pub fn register(state: &State, runner: &mut Runner) {
    let way_out = WayOut::default();
    let (shared, network) = (state.clone(), way_out.clone());
    runner.handle(KIND, move |job| {
        let (state, network) = (shared.clone(), network.clone());
        async move { deliver(&state, &network.of(&state)?, job).await }
    });
    runner.on_burial(KIND, service::buried);
    let shared = state.clone();
    runner.handle(replay::KIND, move |job| {
        let state = shared.clone();
        async move { replay::bite(&state, job).await }
    });
    pull::register(state, runner);
    runs::register(state, runner, &way_out);
    let shared = state.clone();
    runner.every("dispatches.retention", 3600, move |now| {
        let db = shared.db.clone();
        async move {
            let before = now.plus_seconds(-KEPT_SECONDS);
            while db.write_in(Lane::Bulk, move |tx| store::purge(tx, before, 1000)).await? == 1000 {}
            while db.write_in(Lane::Bulk, move |tx| attempts::purge(tx, before, 1000)).await? == 1000 {}
            Ok(())
        }
    });
}

/// The way out that all deliveries of a process share, made by the first.
#[derive(Clone, Default)]
pub(super) struct WayOut(Arc<OnceLock<Network>>);

impl WayOut {
    pub(super) fn of(&self, state: &State) -> Result<Network> {
        if let Some(network) = self.0.get() {
            return Ok(network.clone());
        }
        let made = Network::new(state)?;
        Ok(self.0.get_or_init(|| made).clone())
    }
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
    /// What of the event is personal.
    personal: Vec<String>,
    /// What the far end calls what the event is about.
    links: Vec<Link>,
    /// The connector's own mapping.
    mapping: Option<Mapping>,
    /// Whether the far end answered the last time.
    well: bool,
}

fn load(tx: &mut Tx, id: DispatchId) -> Result<Option<Loaded>> {
    let Some(dispatch) = store::dispatch(tx, id)? else { return Ok(None) };
    let Some(connector) = store::find(tx, dispatch.connector_id)? else { return Ok(None) };
    let (event, personal) = events::with_personal_texts(tx, dispatch.position)?.unzip();
    let links = match &event {
        Some(event) if has_links(&connector) => links::of(tx, connector.id, &links::objects(event))?,
        _ => Vec::new(),
    };
    let mapping = mappings::current(tx, &connector)?;
    let well = breakers::find(tx, connector.id)?.is_clean();
    let personal = personal.unwrap_or_default();
    Ok(Some(Loaded { dispatch, connector, event, personal, links, mapping, well }))
}

/// Whether anything is known of what a connector's far end calls what.
fn has_links(connector: &Kept) -> bool {
    registry::find(&connector.adapter).is_ok_and(|adapter| adapter.keeps_links)
}

async fn deliver(state: &State, network: &Network, job: Job) -> Result<Verdict> {
    let payload: Payload = serde_json::from_value(job.payload.clone())?;
    let loaded = state.db.read(move |tx| load(tx, payload.dispatch)).await?;
    // Without its connector, or with another job in charge, there is nothing to do.
    let Some(loaded) = loaded.filter(|loaded| loaded.dispatch.job_id == job.id) else { return Ok(Verdict::Done) };
    let Loaded { dispatch, connector, event, personal, links, mapping, well } = loaded;
    let open = matches!(dispatch.state, DispatchState::Pending | DispatchState::Dead);
    if !open {
        return Ok(Verdict::Done);
    }
    if connector.state == ConnectorState::Paused {
        return sleep(state, connector.id, job).await;
    }
    // What it was meant to get once and is not any more: it may lead to somebody else by now.
    if let Some(event) = &event
        && !(connector.setup.direction.sends()
            && dispatcher::filter(state, &connector, std::slice::from_ref(event)).await?.wants(event))
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
    let mut outcome = push(state, network, &connector, mapping.as_ref(), (&event, &links)).await;
    mask(&mut outcome, &personal);
    let dice = i64::from(rand::random_range(0..1000u32));
    let now = state.clock.now();
    let sending = connector.setup.sending;
    // A replay begins with short delays again, whatever number of tries the connector allows.
    let wait = sending.retry.after(try_of_round(&job, connector.setup.max_attempts), dice);
    let ended = Ended { job, dispatch, outcome, wait, sending, well };
    let written = move |tx: &mut Tx| settle(tx, now, &ended);
    state.db.write_in(Lane::Bulk, written).await?;
    Ok(Verdict::Settled)
}

/// Puts the job of a paused connector back, to be woken when it is let go on.
pub(super) async fn sleep(state: &State, connector: ConnectorId, job: Job) -> Result<Verdict> {
    let now = state.clock.now();
    let sleep = move |tx: &mut Tx| {
        // Under the connector's lock: whoever lets it go on meanwhile either is seen here or wakes this job.
        let paused = store::is_paused_locked(tx, connector)?;
        job.postpone(tx, now, now.plus_seconds(if paused { PAUSED_SECONDS } else { 0 }))
    };
    state.db.write_in(Lane::Bulk, sleep).await?;
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

/// What is needed to speak to a connector's system.
pub(super) struct Line {
    pub adapter: &'static Adapter,
    secrets: Value,
    source: String,
    mapping: Mapping,
    allow_private: bool,
}

impl Line {
    /// The way to a connector's system, with the mapping that it has of its own.
    pub(super) fn to(state: &State, connector: &Kept, own: Option<&Mapping>) -> Result<Self> {
        let adapter = registry::find(&connector.adapter)?;
        let built_in = (adapter.mapping)();
        Ok(Self {
            adapter,
            secrets: unseal(state, connector)?,
            source: state.public_url(),
            mapping: own.map_or_else(|| built_in.clone(), |own| own.over(&built_in)),
            allow_private: connector.setup.allow_private || state.settings.webhooks.allow_private,
        })
    }

    pub(super) fn target<'a>(&'a self, connector: &'a Kept, network: &'a Network, now: Instant) -> Target<'a> {
        Target {
            name: &connector.name,
            source: &self.source,
            settings: &connector.setup.settings,
            secrets: &self.secrets,
            mapping: &self.mapping,
            network,
            allow_private: self.allow_private,
            now,
        }
    }

    /// An outcome without the secrets that the far end has repeated.
    pub(super) fn masked(&self, outcome: Outcome) -> Outcome {
        masked(outcome, &self.secrets)
    }

    /// The same of what was stopped.
    pub(super) fn masked_stop(&self, stop: Stop) -> Stop {
        let error = self.masked(Outcome::failed(&stop.error)).error.unwrap_or_default();
        Stop { error, ..stop }
    }
}

/// Brings an event to a connector's system.
pub(super) async fn push(
    state: &State,
    network: &Network,
    connector: &Kept,
    mapping: Option<&Mapping>,
    (event, links): (&Event, &[Link]),
) -> Outcome {
    let line = match Line::to(state, connector, mapping) {
        Ok(line) => line,
        Err(error) => return Outcome::failed(error),
    };
    let to = line.target(connector, network, state.clock.now());
    match line.adapter.push(Delivery { event, links, to }) {
        Some(pushing) => match tokio::time::timeout(LONGEST_PUSH, pushing).await {
            Ok(outcome) => line.masked(outcome),
            Err(_) => Outcome {
                ending: Ending::Failed { after_seconds: None, outage: true },
                ..Outcome::failed("the far end took longer than a push may last")
            },
        },
        None => Outcome::failed(format!("the adapter `{}` takes no `{}`: skip it", line.adapter.name, event.kind)),
    }
}

/// How long a push may last: less than its lease, or another worker would begin it beside this one.
pub(super) const LONGEST_PUSH: std::time::Duration = std::time::Duration::from_secs(45);

/// A text as it may stand in what was sent or answered: as it is, as JSON writes it, and as JSON writes it in ASCII.
fn forms(text: &str) -> [String; 3] {
    let escaped = serde_json::Value::from(text).to_string();
    let escaped = escaped.get(1..escaped.len() - 1).unwrap_or_default().to_owned();
    let mut ascii = String::new();
    for c in escaped.chars() {
        match c.is_ascii() {
            true => ascii.push(c),
            false => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| ascii.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    [text.to_owned(), escaped, ascii]
}

/// The shortest personal text that is looked for: shorter ones would be found in harmless words.
const SHORTEST_PERSONAL: usize = 3;

/// Takes what is personal out of what is kept of a push: whoever mends a connector need not know whom it was about.
pub(super) fn mask(outcome: &mut Outcome, personal: &[String]) {
    let mut known: Vec<String> = personal.iter().flat_map(|text| forms(text)).collect();
    known.retain(|text| text.chars().count() >= SHORTEST_PERSONAL);
    known.sort_by_key(|text| std::cmp::Reverse(text.len()));
    let kept = [&mut outcome.sent, &mut outcome.response, &mut outcome.error];
    for text in kept.into_iter().flatten() {
        for personal in &known {
            if text.contains(personal.as_str()) {
                *text = text.replace(personal.as_str(), "****");
            }
        }
    }
}

/// Secrets shorter than this are not looked for: they would be found in harmless words.
const SHORTEST_SECRET: usize = 6;

/// An outcome without the secrets that the far end has repeated: what is kept of an answer is read by many.
fn masked(mut outcome: Outcome, secrets: &Value) -> Outcome {
    let mut known = Vec::new();
    texts(secrets, &mut known);
    known = known.iter().flat_map(|secret| forms(secret)).collect();
    // The longest first, so that none leaves a part of another behind.
    known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for text in outcome.response.iter_mut().chain(outcome.error.iter_mut()).chain(outcome.sent.iter_mut()) {
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

/// A try that came to an end.
struct Ended {
    job: Job,
    dispatch: Dispatch,
    outcome: Outcome,
    /// Seconds until the next one, by the connector's own schedule.
    wait: i64,
    sending: Sending,
    /// Whether the far end had answered before it.
    well: bool,
}

/// Ends the job and writes down how, in one transaction. A late result is refused by the job.
fn settle(tx: &mut Tx, now: Instant, ended: &Ended) -> Result<()> {
    let Ended { job, dispatch, outcome, wait, .. } = ended;
    let (wait, error) = (*wait, outcome.error.as_deref().unwrap_or("it failed without a reason"));
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
        Ending::Throttled { after_seconds } => {
            // It is all of the connector's events that wait; this one keeps its tries.
            let until = now.plus_seconds(after_seconds.clamp(1, 6 * 3600));
            jobs::close_lane(tx, &dispatcher::lane(dispatch.connector_id), until)?;
            job.postpone(tx, now, until)?;
            DispatchState::Pending
        }
        Ending::Refused => {
            job.bury(tx, now, error)?;
            DispatchState::Dead
        }
        Ending::Failed { .. } if job.attempt >= job.max_attempts => {
            job.bury(tx, now, error)?;
            DispatchState::Dead
        }
        Ending::Failed { after_seconds, .. } => {
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
    } else if !matches!(outcome.ending, Ending::Throttled { .. }) {
        attempts::note(tx, now, dispatch, outcome)?;
    }
    links::note(tx, now, dispatch.connector_id, &outcome.links)?;
    look_after(tx, now, (dispatch.connector_id, &ended.sending, ended.well), outcome)
}

/// Counts failures of the far end as a whole, leaves it in peace when they are too many, and speaks to it as ever once it has
/// answered. `well` is whether it had answered before.
pub(super) fn look_after(
    tx: &mut Tx,
    now: Instant,
    (connector, sending, well): (ConnectorId, &Sending, bool),
    outcome: &Outcome,
) -> Result<()> {
    let lane = dispatcher::lane(connector);
    match outcome.ending {
        Ending::Failed { outage: true, .. } => {
            let reason = outcome.error.as_deref().unwrap_or_default();
            let (breaker, step) = breakers::locked(tx, now, connector)?.failed(&sending.breaker, now, reason);
            breakers::save(tx, now, connector, &breaker)?;
            match step {
                Step::Counted => Ok(()),
                // One at a time, once it is over: whether one arrives is to be found out by few.
                Step::Opened { until } => {
                    jobs::steer(tx, &lane, Steering { places: Some(1), closed_until: Some(until) })
                }
            }
        }
        Ending::Throttled { .. } | Ending::Gone => Ok(()),
        // Where nothing had to be told nobody knows whether the far end would have answered.
        _ if well || outcome.status.is_none() => Ok(()),
        _ => {
            // Whatever failed alone keeps its time; what nobody was to be told is told now.
            let was_open = breakers::locked(tx, now, connector)?.retry_at.is_some();
            if breakers::clear(tx, now, connector)? && was_open {
                jobs::steer(tx, &lane, Steering { places: Some(sending.max_parallel), closed_until: None })?;
                jobs::hasten_keys(tx, now, &dispatcher::key_prefix(connector))?;
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_that_repeats_secrets_is_kept_without_them() {
        let secrets = json!({"signing_secret": "whsec_c2VjcmV0", "authorization": "Bearer t0ps3cret", "previous": ["whsec_b2xk", 7]});
        let said = |text: &str| masked(Outcome { response: Some(text.into()), ..Outcome::failed(text) }, &secrets);
        let kept = said("got Authorization: Bearer t0ps3cret, t0ps3cret and c2VjcmV0 (whsec_b2xk)");
        let wanted = "got Authorization: ********, ******** and ******** (********)";
        assert_eq!((kept.response.as_deref(), kept.error.as_deref()), (Some(wanted), Some(wanted)));
        assert_eq!(said("nothing of the kind").response.as_deref(), Some("nothing of the kind"));
    }
}
