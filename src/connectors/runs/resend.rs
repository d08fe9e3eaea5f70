//! The job that sends one order's documents again. It stands under the ordering key of the order's dispatches: those that were written
//! before it have ended when it runs, and those that are written after it wait until it is through. So it sends what has been sent before,
//! and nothing that is on its way by itself.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{
    model::{ItemState, Kept, ResyncMode, RunItem, Told},
    store,
    work::{self, Facts},
};
use crate::{
    connectors::{
        breakers,
        delivery::{self, WayOut},
        dispatcher, links,
        mapping::Mapping,
        mappings,
        model::{self as connectors, ConnectorState},
        network::Network,
        ports::{Ending, Found, Link, Outcome, Sought},
        registry, store as kept,
    },
    db::{Lane, Tx},
    error::{Code, Error, Result},
    events::{self, Event},
    http::State,
    jobs::{self, Job, NewJob, Runner, Verdict},
    kernel::{
        Instant,
        ids::{ConnectorRunId, JobId},
    },
};

/// The kind of the jobs.
const KIND: &str = "connector.resend";
/// How often in a row sending may fail.
const MOST_TRIES: i64 = 6;
/// How many events of an order are looked at.
const MOST_EVENTS: i64 = 10_000;
/// How long a look for one order may last: less than its lease together with a push.
const LOOK: std::time::Duration = std::time::Duration::from_secs(10);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Payload {
    run: ConnectorRunId,
    order: String,
}

/// The job that sends an order of a run.
pub(super) fn job(
    id: JobId,
    now: Instant,
    connector: &connectors::Kept,
    (run, order): (ConnectorRunId, &str),
) -> Result<NewJob> {
    let payload = Payload { run, order: order.to_owned() };
    let job = NewJob::now(KIND, now, serde_json::to_value(payload)?);
    let job = NewJob { id, max_attempts: 100, ..job };
    Ok(job.in_order(dispatcher::ordering_key(connector.id, order)).in_lane(dispatcher::lane(connector.id)))
}

pub(super) fn register(state: &State, runner: &mut Runner, network: &WayOut) {
    let (shared, way_out) = (state.clone(), network.clone());
    runner.handle(KIND, move |job| {
        let (state, way_out) = (shared.clone(), way_out.clone());
        async move { send(&state, &way_out.of(&state)?, job).await }
    });
    runner.on_burial(KIND, buried);
}

/// An order whose job died: it could not be sent. The job makes way for what follows it.
fn buried(tx: &mut Tx, now: Instant, job: &Job, error: &str) -> Result<()> {
    let Ok(Payload { run, order }) = serde_json::from_value(job.payload.clone()) else { return Ok(()) };
    jobs::cancel(tx, job.id)?;
    let Some(mut run) = store::locked(tx, run)? else { return Ok(()) };
    let Some(item) = store::find_item(tx, run.id, &order)?.filter(|item| item.job == Some(job.id)) else {
        return Ok(());
    };
    let told = Told { why: Some(error.to_owned()), ..item.told.clone() };
    ended(tx, now, &mut run, &item, (ItemState::Failed, item.sent_to), &told)
}

/// An order about to be sent, with all that this needs.
struct Loaded {
    run: Kept,
    item: RunItem,
    connector: connectors::Kept,
    mapping: Option<Mapping>,
    facts: Facts,
    /// The order's events that the connector was given, those left out that are on their way by themselves.
    events: Vec<Event>,
    /// Whether the far end answered the last time.
    well: bool,
}

fn load(tx: &mut Tx, job: &Job, Payload { run, order }: &Payload) -> Result<Option<Loaded>> {
    let Some(run) = store::find(tx, *run)?.filter(|run| run.ended_at.is_none()) else { return Ok(None) };
    let mine = |item: &RunItem| item.state == ItemState::Sending && item.job == Some(job.id);
    let Some(item) = store::find_item(tx, run.id, order)?.filter(mine) else { return Ok(None) };
    let Some(connector) = kept::find(tx, run.connector)? else { return Ok(None) };
    let Some(facts) = work::facts(tx, &connector, &[order.as_str()])?.pop() else { return Ok(None) };
    let open = kept::open_of(tx, connector.id, &[order.as_str()])?;
    let open: HashSet<i64> = open.into_iter().map(|(_, position, _)| position).collect();
    let mut events = events::stream(tx, order, 0, MOST_EVENTS)?;
    events.retain(|event| event.position <= connector.position && !open.contains(&event.position));
    let mapping = mappings::current(tx, &connector)?;
    let well = breakers::find(tx, connector.id)?.is_clean();
    Ok(Some(Loaded { run, item, connector, mapping, facts, events, well }))
}

/// What a turn of the job came to.
enum Turn {
    /// The order needs nothing more.
    Ended(ItemState, Told, Option<Found>),
    /// An event was pushed; it was the last one or not.
    Pushed { position: i64, last: bool, outcome: Outcome },
    /// It could not be looked for.
    NotAnswered(Outcome),
}

/// One turn: an event of the order, or what makes an end of it.
async fn send(state: &State, network: &Network, job: Job) -> Result<Verdict> {
    let payload: Payload = serde_json::from_value(job.payload.clone())?;
    let of = job.clone();
    let Some(loaded) = state.db.read(move |tx| load(tx, &of, &payload)).await? else { return Ok(Verdict::Done) };
    if loaded.connector.state == ConnectorState::Paused {
        return delivery::sleep(state, loaded.connector.id, job).await;
    }
    let turn = turn(state, network, &job, &loaded).await?;
    let now = state.clock.now();
    let dice = i64::from(rand::random_range(0..1000u32));
    let written = state.db.write_in(Lane::Bulk, move |tx| match &turn {
        Turn::Ended(to, told, found) => {
            job.finish(tx)?;
            let mut run = lock(tx, loaded.run.id)?;
            if let Some(found) = found {
                note_found(tx, now, &loaded, found)?;
            }
            ended(tx, now, &mut run, &loaded.item, (*to, loaded.item.sent_to), told)
        }
        Turn::Pushed { position, last, outcome } => {
            let told = Told { begun: true, ..loaded.item.told.clone() };
            settle(tx, now, (&job, &loaded, told), (*position, *last, dice), outcome)
        }
        Turn::NotAnswered(outcome) => {
            let told = loaded.item.told.clone();
            settle(tx, now, (&job, &loaded, told), (loaded.item.sent_to, false, dice), outcome)
        }
    });
    written.await?;
    Ok(Verdict::Settled)
}

/// Does what is next for an order, and tells what came of it.
async fn turn(state: &State, network: &Network, job: &Job, loaded: &Loaded) -> Result<Turn> {
    let Loaded { run, item, connector, mapping, facts, events, .. } = loaded;
    let mode = run.details.mode.unwrap_or(ResyncMode::Verify);
    let begun = item.told.begun;
    if let Some(ended) = none_needed(facts, mode, begun, &item.told) {
        return Ok(ended);
    }
    let filter = dispatcher::filter(state, connector, events).await?;
    let wanted: Vec<Event> = events.iter().filter(|event| filter.wants(event)).cloned().collect();
    let search = registry::find(&connector.adapter)?.order_search;
    let needed =
        search.map_or_else(|| wanted.iter().map(|event| event.position).collect(), |search| search.needed(&wanted));
    // Where nobody can look what is there, nothing older comes behind what has arrived since the run began, and tells of all of it.
    if search.is_none() && !begun && wanted.iter().any(|event| event.position > run.until) {
        let why = "a later event of it has arrived since the run began: nothing older is sent behind that";
        let told = Told { why: Some(why.to_owned()), tries: None, begun: false, ..item.told.clone() };
        return Ok(Turn::Ended(ItemState::OnItsWay, told, None));
    }
    let mut rest = wanted.iter().filter(|event| event.position > item.sent_to && needed.contains(&event.position));
    let Some(next) = rest.next() else {
        let (state, why) = match item.sent_to {
            0 => (
                ItemState::OnItsWay,
                Some("what tells of it is on its way by itself, or the connector does not get it any more"),
            ),
            _ => (ItemState::Sent, None),
        };
        let told = Told { why: why.map(str::to_owned), tries: None, begun: false, ..item.told.clone() };
        return Ok(Turn::Ended(state, told, None));
    };
    if !begun {
        if mode == ResyncMode::Missing && search.is_some() {
            let sought = [Sought { id: item.order_id.clone(), links: facts.links.clone() }];
            let found = work::ask(state, network, (connector, mapping.as_ref()), &sought, LOOK).await;
            match found {
                Err(stop) => return Ok(Turn::NotAnswered(not_found(stop))),
                Ok(found) => {
                    // What was on its way when it was looked for has arrived meanwhile.
                    if let Some(found) = found.into_iter().next() {
                        let decision = work::decide(facts, Some(&found), mode);
                        if decision.state != ItemState::Sending {
                            return Ok(Turn::Ended(decision.state, decision.told, Some(found)));
                        }
                    }
                }
            }
        }
        // From here on something of it may be there: it is not taken for what somebody else has brought.
        begin(state, job, loaded).await?;
    }
    let position = next.position;
    let outcome = push(state, network, loaded, position).await?;
    Ok(Turn::Pushed { position, last: rest.next().is_none(), outcome })
}

/// Whether an order need not be sent, or can not be.
fn none_needed(facts: &Facts, mode: ResyncMode, begun: bool, told: &Told) -> Option<Turn> {
    let ends = |state: ItemState, why: &str| {
        let told = Told { why: Some(why.to_owned()), tries: None, begun: false, ..told.clone() };
        Some(Turn::Ended(state, told, None))
    };
    match () {
        () if facts.ours.erased => {
            ends(ItemState::Failed, "it was erased meanwhile: nobody knows any more whose it was")
        }
        // One that is there still is cancelled there.
        () if facts.ours.cancelled && mode == ResyncMode::Missing && !begun && told.reference.is_none() => {
            ends(ItemState::NotNeeded, "it was cancelled meanwhile")
        }
        () => None,
    }
}

/// What a search that failed comes to.
fn not_found(stop: crate::connectors::wire::Stop) -> Outcome {
    Outcome { error: Some(stop.error), ..Outcome::ended(stop.ending) }
}

/// Notes that an order is being sent, before anything of it is.
async fn begin(state: &State, job: &Job, loaded: &Loaded) -> Result<()> {
    let (now, run, mut item) = (state.clock.now(), loaded.run.id, loaded.item.clone());
    item.job = Some(job.id);
    let told = Told { begun: true, ..item.told.clone() };
    let noted = state.db.write_in(Lane::Bulk, move |tx| {
        store::move_item(tx, now, run, &item, (ItemState::Sending, item.sent_to, item.job), &told)
    });
    if noted.await? { Ok(()) } else { Err(moved_on()) }
}

/// Brings one event to the far end.
async fn push(state: &State, network: &Network, loaded: &Loaded, position: i64) -> Result<Outcome> {
    let connector = loaded.connector.id;
    let read = state.db.read(move |tx| {
        let Some((event, personal)) = events::with_personal_texts(tx, position)? else { return Ok(None) };
        let links = links::of(tx, connector, &links::objects(&event))?;
        Ok(Some((event, personal, links)))
    });
    let Some((event, personal, links)) = read.await? else {
        return Ok(Outcome::failed("the event was dropped from the log before it was sent"));
    };
    let links: &[Link] = &links;
    let mut outcome = delivery::push(state, network, &loaded.connector, loaded.mapping.as_ref(), (&event, links)).await;
    delivery::mask(&mut outcome, &personal);
    Ok(outcome)
}

fn moved_on() -> Error {
    Error::problem(Code::LeaseLost, "the order has moved on meanwhile")
}

fn lock(tx: &mut Tx, id: ConnectorRunId) -> Result<Kept> {
    store::locked(tx, id)?.ok_or_else(moved_on)
}

/// Links what was found to be there.
fn note_found(tx: &mut Tx, now: Instant, loaded: &Loaded, found: &Found) -> Result<()> {
    let decision = work::decide(&loaded.facts, Some(found), ResyncMode::Missing);
    for link in &decision.forget {
        links::forget_of(tx, loaded.connector.id, link)?;
    }
    links::note(tx, now, loaded.connector.id, &decision.note)
}

/// Writes down that an order of a run needs nothing more, and wakes the run after the last of those that were being sent.
fn ended(
    tx: &mut Tx,
    now: Instant,
    run: &mut Kept,
    item: &RunItem,
    (state, sent_to): (ItemState, i64),
    told: &Told,
) -> Result<()> {
    if !store::move_item(tx, now, run.id, item, (state, sent_to, None), told)? {
        return Err(moved_on());
    }
    run.sending -= 1;
    store::save(tx, run)?;
    if run.sending == 0 {
        jobs::hasten_keys(tx, now, &work::key(run.connector, run.id))?;
    }
    Ok(())
}

/// Writes down how a push ended.
fn settle(
    tx: &mut Tx,
    now: Instant,
    (job, loaded, begun): (&Job, &Loaded, Told),
    (position, last, dice): (i64, bool, i64),
    outcome: &Outcome,
) -> Result<()> {
    let connector = &loaded.connector;
    let why =
        || outcome.error.as_deref().unwrap_or("it failed without a reason").chars().take(1000).collect::<String>();
    match outcome.ending {
        Ending::Delivered if last => {
            job.finish(tx)?;
            let told = Told { why: None, tries: None, begun: false, reference: reference(outcome, &begun), ..begun };
            let mut run = lock(tx, loaded.run.id)?;
            ended(tx, now, &mut run, &loaded.item, (ItemState::Sent, position), &told)?;
        }
        Ending::Delivered => {
            job.postpone(tx, now, now)?;
            let told = Told { why: None, tries: None, reference: reference(outcome, &begun), ..begun };
            go_on(tx, now, loaded, position, &told)?;
        }
        Ending::Gone => {
            kept::pause(tx, now, connector.id, &why())?;
            job.postpone(tx, now, now.plus_seconds(delivery::PAUSED_SECONDS))?;
        }
        Ending::Throttled { after_seconds } => {
            let until = now.plus_seconds(after_seconds.clamp(1, 6 * 3600));
            jobs::close_lane(tx, &dispatcher::lane(connector.id), until)?;
            job.postpone(tx, now, until)?;
        }
        Ending::Refused => fail(tx, now, (job, loaded), Told { why: Some(why()), tries: None, ..begun })?,
        Ending::Failed { .. } if begun.tries.unwrap_or_default() + 1 >= MOST_TRIES => {
            fail(tx, now, (job, loaded), Told { why: Some(why()), ..begun })?;
        }
        Ending::Failed { after_seconds, .. } => {
            let tries = begun.tries.unwrap_or_default() + 1;
            let wait = connector.setup.sending.retry.after(tries, dice);
            let wait = after_seconds.map_or(wait, |asked| asked.clamp(1, 6 * 3600).max(wait / 2));
            job.postpone(tx, now, now.plus_seconds(wait))?;
            go_on(tx, now, loaded, loaded.item.sent_to, &Told { why: Some(why()), tries: Some(tries), ..begun })?;
        }
    }
    links::note(tx, now, connector.id, &outcome.links)?;
    delivery::look_after(tx, now, (connector.id, &connector.setup.sending, loaded.well), outcome)
}

/// What the far end calls an order, as far as a push has learnt it.
fn reference(outcome: &Outcome, before: &Told) -> Option<String> {
    let link = outcome.links.iter().rfind(|link| link.object == "order");
    link.map(|link| link.number.clone().unwrap_or_else(|| link.value.clone())).or_else(|| before.reference.clone())
}

/// Notes how far an order has been sent.
fn go_on(tx: &mut Tx, now: Instant, loaded: &Loaded, sent_to: i64, told: &Told) -> Result<()> {
    let item = &loaded.item;
    match store::move_item(tx, now, loaded.run.id, item, (ItemState::Sending, sent_to, item.job), told)? {
        true => Ok(()),
        false => Err(moved_on()),
    }
}

/// Notes that an order could not be sent; what follows in its stream goes on.
fn fail(tx: &mut Tx, now: Instant, (job, loaded): (&Job, &Loaded), told: Told) -> Result<()> {
    job.finish(tx)?;
    let mut run = lock(tx, loaded.run.id)?;
    ended(tx, now, &mut run, &loaded.item, (ItemState::Failed, loaded.item.sent_to), &told)
}
