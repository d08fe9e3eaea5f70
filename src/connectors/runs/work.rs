//! The job of a run: it finds the orders of the stretch, looks for them at the far end by the batch, and has those sent that are to be
//! sent. Each step is one transaction; a worker that is killed leaves the last one, from where the next goes on.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    model::{self, Details, ItemState, Kept, ResyncMode, RunItem, RunKind, RunState, Told},
    nightly, resend, store,
};
use crate::{
    connectors::{
        breakers,
        delivery::{self, LONGEST_PUSH, Line, WayOut},
        dispatcher, links,
        mapping::Mapping,
        mappings,
        model::{self as connectors, ConnectorState},
        network::Network,
        ports::{AT_ONCE, Ending, Found, Link, Outcome, Sought},
        sending::Breaker,
        store as kept,
        wire::Stop,
    },
    db::{Lane, Tx},
    error::{Code, Error, Result},
    events,
    http::State,
    jobs::{self, Job, NewJob, Runner, Verdict},
    kernel::{
        Instant,
        ids::{ConnectorId, ConnectorRunId, JobId, OrderId},
    },
    orders,
};

/// The kind of the jobs.
pub(super) const KIND: &str = "connector.run";

/// How many events are looked through in one step.
const BITE: i64 = 500;
/// How often in a row a far end may fail to answer before a run is given up.
const MOST_TRIES: i64 = 8;
/// How long a far end may be left in peace before a run is given up.
const PATIENCE_SECONDS: i64 = 1800;
/// How often a run looks after what is being sent, where nobody wakes it.
const LOOK_SECONDS: i64 = 60;
/// How many orders are given up in one step.
const GIVEN_UP_AT_ONCE: i64 = 200;
/// How long what is over is kept.
const KEPT_SECONDS: i64 = 400 * 86_400;

/// What a job works on.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Payload {
    run: ConnectorRunId,
}

/// The key of a run's job, by which it is woken.
pub(super) fn key(connector: ConnectorId, run: ConnectorRunId) -> String {
    dispatcher::ordering_key(connector, &format!("run:{run}"))
}

/// The job of a run.
pub(super) fn job(id: JobId, now: Instant, run: &Kept) -> Result<NewJob> {
    let job = NewJob::now(KIND, now, serde_json::to_value(Payload { run: run.id })?);
    // Beside the connector's own lane: it has to end what waits there.
    let lane = format!("{}:runs", dispatcher::lane(run.connector));
    Ok(NewJob { id, ..job }.in_order(key(run.connector, run.id)).in_lane(lane))
}

/// Registers what runs do beside requests.
pub(in crate::connectors) fn register(state: &State, runner: &mut Runner, network: &WayOut) {
    let (shared, way_out) = (state.clone(), network.clone());
    runner.handle(KIND, move |job| {
        let (state, way_out) = (shared.clone(), way_out.clone());
        async move { step(&state, &way_out.of(&state)?, job).await }
    });
    runner.on_burial(KIND, buried);
    resend::register(state, runner, network);
    let shared = state.clone();
    runner.every("connectors.reconcile", 900, move |_| {
        let state = shared.clone();
        async move { nightly::begin_due(&state).await }
    });
    let db = state.db.clone();
    runner.every("connectors.runs.retention", 86_400, move |now| {
        let db = db.clone();
        async move {
            let before = now.plus_seconds(-KEPT_SECONDS);
            while db.write_in(Lane::Bulk, move |tx| store::purge(tx, before, 10)).await? == 10 {}
            Ok(())
        }
    });
}

/// A run whose job died: it is given up.
fn buried(tx: &mut Tx, now: Instant, job: &Job, error: &str) -> Result<()> {
    let Ok(Payload { run }) = serde_json::from_value(job.payload.clone()) else { return Ok(()) };
    let Some(mut run) = store::locked(tx, run)?.filter(|run| run.ended_at.is_none()) else { return Ok(()) };
    (run.state, run.ended_at, run.details.error) = (RunState::Failed, Some(now), Some(error.to_owned()));
    store::save(tx, &run)
}

/// What a step needs.
struct At {
    run: Kept,
    connector: connectors::Kept,
    mapping: Option<Mapping>,
    breaker: Breaker,
}

fn load(tx: &mut Tx, id: ConnectorRunId) -> Result<Option<At>> {
    let Some(run) = store::find(tx, id)?.filter(|run| run.ended_at.is_none()) else { return Ok(None) };
    let Some(connector) = kept::find(tx, run.connector)? else { return Ok(None) };
    let mapping = mappings::current(tx, &connector)?;
    let breaker = breakers::find(tx, connector.id)?;
    Ok(Some(At { run, connector, mapping, breaker }))
}

/// One step.
async fn step(state: &State, network: &Network, job: Job) -> Result<Verdict> {
    let Payload { run } = serde_json::from_value(job.payload.clone())?;
    let Some(at) = state.db.read(move |tx| load(tx, run)).await? else { return Ok(Verdict::Done) };
    if at.run.details.given_up {
        return give_up(state, job, at).await;
    }
    if at.connector.state == ConnectorState::Paused {
        return delivery::sleep(state, at.connector.id, job).await;
    }
    if at.run.position < at.run.until {
        return collect(state, job, at).await;
    }
    if let Some(retry_at) = at.breaker.retry_at.filter(|retry_at| *retry_at > state.clock.now()) {
        return leave_in_peace(state, job, at, retry_at).await;
    }
    if at.run.sending > 0 {
        return tend(state, job, at).await;
    }
    let of = at.run.id;
    let limit = i64::try_from(AT_ONCE).unwrap_or(i64::MAX);
    let batch = state.db.read(move |tx| store::items(tx, of, Some(ItemState::Waiting), None, limit)).await?;
    match batch.is_empty() {
        false => look_for(state, network, job, at, batch).await,
        true => list_or_end(state, network, job, at).await,
    }
}

/// Moves a run on in one transaction with its job: `work` says when the next step is, or that there is none.
async fn moved(
    state: &State,
    job: Job,
    seen: &Kept,
    work: impl Fn(&mut Tx, Instant, &mut Kept) -> Result<Option<Instant>> + Send + 'static,
) -> Result<Verdict> {
    let (now, id, position) = (state.clock.now(), seen.id, seen.position);
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        // The job first, as everywhere; a step that was taken over is refused here.
        job.postpone(tx, now, now)?;
        let run = store::locked(tx, id)?.filter(|run| run.ended_at.is_none() && run.position == position);
        let mut run = run.ok_or_else(|| Error::problem(Code::LeaseLost, "the run has moved on meanwhile"))?;
        let next = work(tx, now, &mut run)?;
        store::save(tx, &run)?;
        match next {
            None => jobs::cancel(tx, job.id).map(|_| ()),
            Some(next) if next > now => jobs::delay(tx, now, job.id, next),
            Some(_) => Ok(()),
        }
    });
    written.await?;
    Ok(Verdict::Settled)
}

/// Looks through a bite of the log for orders that the connector is told of.
async fn collect(state: &State, job: Job, at: At) -> Result<Verdict> {
    let (after, until) = (at.run.position, at.run.until);
    let (mut found, seen) = state.db.read(move |tx| events::read_after(tx, after, &[], BITE)).await?;
    found.retain(|event| event.position <= until);
    let filter = dispatcher::filter(state, &at.connector, &found).await?;
    let mut known = BTreeSet::new();
    let mut orders = Vec::new();
    for event in found.iter().filter(|event| filter.wants(event)) {
        if event.stream.parse::<OrderId>().is_ok() && known.insert(event.stream.clone()) {
            orders.push(((event.stream.clone(), event.channel_id), ItemState::Waiting, Told::default()));
        }
    }
    // Where the log has nothing more, it was cut.
    let reached = if seen > after { seen.min(until) } else { until };
    let connector = at.connector.id;
    moved(state, job, &at.run, move |tx, now, run| {
        store::add(tx, now, (run.id, connector), &orders)?;
        run.position = reached;
        Ok(Some(now))
    })
    .await
}

/// Waits while the far end is left in peace; in the end it is given up.
async fn leave_in_peace(state: &State, job: Job, at: At, retry_at: Instant) -> Result<Verdict> {
    let (since, reason) = (at.breaker.opened_at, at.breaker.reason.clone().unwrap_or_default());
    moved(state, job, &at.run, move |_, now, run| {
        run.details.error = Some(format!("the far end is left in peace: {reason}"));
        if since.is_some_and(|since| now.seconds_since(since) >= PATIENCE_SECONDS) {
            run.details.given_up = true;
            return Ok(Some(now));
        }
        Ok(Some(retry_at))
    })
    .await
}

/// Looks after what is being sent: what waits behind a dead letter is told so.
async fn tend(state: &State, job: Job, at: At) -> Result<Verdict> {
    let (run, connector) = (at.run.id, at.connector.id);
    let stuck = state.db.read(move |tx| {
        let sending = store::items(tx, run, Some(ItemState::Sending), None, i64::MAX)?;
        let streams: Vec<&str> = sending.iter().map(|item| item.order_id.as_str()).collect();
        let open = kept::open_of(tx, connector, &streams)?;
        let is_stuck = |item: &RunItem| open.iter().any(|(stream, _, dead)| *dead && *stream == item.order_id);
        Ok(sending.into_iter().filter(is_stuck).collect::<Vec<_>>())
    });
    let stuck = stuck.await?;
    moved(state, job, &at.run, move |tx, now, run| {
        for item in &stuck {
            if fail(tx, now, run, item, DEAD_LETTER)? {
                run.sending -= 1;
            }
        }
        Ok(Some(if run.sending == 0 { now } else { now.plus_seconds(LOOK_SECONDS) }))
    })
    .await
}

/// Why an order is not sent whose stream has a dead letter.
const DEAD_LETTER: &str = "an event of it is a dead letter: replay or skip that first (`GET …/dispatches?state=dead`)";
/// Why an order is not sent of whom nobody knows any more whose it was.
const ERASED: &str = "it was erased: nobody knows any more whose it was. Enter there by hand what the books need";

/// Notes that an order could not be done. False when somebody else has moved it on.
fn fail(tx: &mut Tx, now: Instant, run: &Kept, item: &RunItem, why: &str) -> Result<bool> {
    let told = Told { why: Some(why.to_owned()), ..item.told.clone() };
    let moved = store::move_item(tx, now, run.id, item, (ItemState::Failed, item.sent_to, None), &told)?;
    if let Some(job) = item.job.filter(|_| moved) {
        jobs::cancel(tx, job)?;
    }
    Ok(moved)
}

/// Gives up what is left of a run, a part of it at once.
async fn give_up(state: &State, job: Job, at: At) -> Result<Verdict> {
    let of = at.run.id;
    let rest = state.db.read(move |tx| {
        let mut rest = store::items(tx, of, Some(ItemState::Sending), None, GIVEN_UP_AT_ONCE)?;
        rest.extend(store::items(tx, of, Some(ItemState::Waiting), None, GIVEN_UP_AT_ONCE)?);
        Ok(rest)
    });
    let rest = rest.await?;
    moved(state, job, &at.run, move |tx, now, run| {
        let why = run.details.error.clone().unwrap_or_default();
        for item in &rest {
            if fail(tx, now, run, item, &why)? && item.state == ItemState::Sending {
                run.sending -= 1;
            }
        }
        if rest.is_empty() {
            return end(tx, now, run, RunState::Failed);
        }
        Ok(Some(now))
    })
    .await
}

/// Ends a run.
fn end(tx: &mut Tx, now: Instant, run: &mut Kept, state: RunState) -> Result<Option<Instant>> {
    let counts = store::counts(tx, &[run.id])?.remove(&run.id).unwrap_or_default();
    let differences = ItemState::ALL.iter().filter(|state| state.is_difference());
    run.differences = differences.filter_map(|state| counts.get(state.as_str())).sum();
    (run.state, run.ended_at) = (state, Some(now));
    if run.kind == RunKind::Reconciliation && state == RunState::Done {
        supersede(tx, now, run)?;
    }
    Ok(None)
}

/// Closes earlier reconciliations over what this one has looked at again.
fn supersede(tx: &mut Tx, now: Instant, by: &Kept) -> Result<()> {
    let covers = |old: &Details| {
        let to = |details: &Details, at: Instant| details.to.unwrap_or(at);
        by.details.from <= old.from
            && to(&by.details, by.created_at) >= to(old, Instant::from_micros(0))
            && old.to.is_some()
    };
    for old in store::waiting(tx, i64::MAX)? {
        if old.connector == by.connector && old.id != by.id && covers(&old.details) {
            let details =
                Details { reason: Some(format!("{} has looked at the same again", by.id)), ..old.details.clone() };
            store::save(tx, &Kept { closed_at: Some(now), details, ..old })?;
        }
    }
    Ok(())
}

/// What is to be known of an order before it is looked for.
pub(super) struct Facts {
    pub ours: model::Ours,
    /// What the far end was known to call it.
    pub links: Vec<Link>,
}

/// The facts of orders, as far as a connector was told of them.
pub(super) fn facts(tx: &mut Tx, connector: &connectors::Kept, orders: &[&str]) -> Result<Vec<Facts>> {
    let open = kept::open_of(tx, connector.id, orders)?;
    let mut facts = Vec::new();
    for order in orders {
        let last = events::last_whole(tx, order, "order.")?;
        let heads = events::heads(tx, order)?;
        let mut ours = last.map(|event| model::Ours::of(&event.data)).unwrap_or_default();
        ours.erased = heads.iter().any(|head| head.kind.starts_with("order.erased"));
        ours.dead = open.iter().any(|(stream, _, dead)| stream == order && *dead);
        ours.on_its_way = open.iter().any(|(stream, ..)| stream == order)
            || heads.iter().any(|head| head.position > connector.position);
        let links = links::of(tx, connector.id, &[(*order).to_owned()])?;
        facts.push(Facts { ours, links });
    }
    Ok(facts)
}

/// Asks the far end for orders.
pub(super) async fn ask(
    state: &State,
    network: &Network,
    (connector, mapping): (&connectors::Kept, Option<&Mapping>),
    orders: &[Sought],
    patience: std::time::Duration,
) -> Result<Vec<Found>, Stop> {
    let line = Line::to(state, connector, mapping)?;
    let Some(search) = line.adapter.order_search else { return Ok(Vec::new()) };
    let to = line.target(connector, network, state.clock.now());
    match tokio::time::timeout(patience, search.find(to, orders)).await {
        Ok(found) => found.map_err(|stop| line.masked_stop(stop)),
        Err(_) => Err(Stop::outage("the far end took longer than a search may last")),
    }
}

/// What is to be done with an order.
pub(super) struct Decision {
    pub state: ItemState,
    pub told: Told,
    /// What is learnt of what it is called.
    pub note: Vec<Link>,
    /// What it is not called any more.
    pub forget: Vec<Link>,
}

/// What a search for an order comes to, for a resync that looks.
pub(super) fn decide(facts: &Facts, found: Option<&Found>, mode: ResyncMode) -> Decision {
    let ours = &facts.ours;
    let number = ours.number.clone();
    let told = |why: Option<&str>| Told { number: number.clone(), why: why.map(str::to_owned), ..Told::default() };
    let plain = |state: ItemState, told: Told| Decision { state, told, note: Vec::new(), forget: Vec::new() };
    if mode == ResyncMode::Force {
        return match (ours.erased, ours.dead) {
            (true, _) => plain(ItemState::Failed, told(Some(ERASED))),
            (_, true) => plain(ItemState::Failed, told(Some(DEAD_LETTER))),
            _ => plain(ItemState::Sending, told(None)),
        };
    }
    if let Some(found) = found {
        return linked(facts, found, mode, told(None));
    }
    let (state, why) = match mode {
        _ if ours.cancelled => (ItemState::NotNeeded, Some("it is cancelled")),
        ResyncMode::Verify if ours.dead => (ItemState::Missing, Some(DEAD_LETTER)),
        ResyncMode::Verify if ours.on_its_way => (ItemState::OnItsWay, None),
        ResyncMode::Verify => (ItemState::Missing, None),
        _ if ours.erased => (ItemState::Failed, Some(ERASED)),
        _ if ours.dead => (ItemState::Failed, Some(DEAD_LETTER)),
        _ => (ItemState::Sending, None),
    };
    let gone = |link: &&Link| mode != ResyncMode::Verify && link.object == "order";
    Decision { forget: facts.links.iter().filter(gone).cloned().collect(), ..plain(state, told(why)) }
}

/// What it comes to that an order is there.
fn linked(facts: &Facts, found: &Found, mode: ResyncMode, told: Told) -> Decision {
    let own: Vec<&Link> = facts.links.iter().filter(|link| link.object == "order").collect();
    let is_same = |a: &Link, b: &Link| (&a.kind, &a.value, a.doubtful) == (&b.kind, &b.value, b.doubtful);
    let note: Vec<Link> = found.links.iter().filter(|new| !own.iter().any(|old| is_same(old, new))).cloned().collect();
    let stands = |old: &&&Link| found.links.iter().any(|new| (&new.kind, &new.value) == (&old.kind, &old.value));
    let forget: Vec<Link> = own.iter().filter(|old| !stands(old)).map(|old| (*old).clone()).collect();
    let differs = !note.is_empty() || !forget.is_empty();
    let why = match () {
        () if found.links.len() > 1 => Some("several there could be it: say which with `PUT …/links`"),
        () if found.cancelled && !facts.ours.cancelled => Some("it is cancelled there"),
        () if facts.ours.cancelled && !found.cancelled => Some("it is cancelled here, and not there"),
        () if differs && mode == ResyncMode::Verify => {
            Some("it is linked to something else here: `missing` links it again")
        }
        () => None,
    };
    let told = Told { reference: Some(found.reference().to_owned()), why: why.map(str::to_owned), ..told };
    let looks = mode == ResyncMode::Verify;
    match differs && !looks {
        // That it is cancelled was lost there: it is told again.
        _ if facts.ours.cancelled && !found.cancelled && !looks && !facts.ours.dead => {
            Decision { state: ItemState::Sending, told, note, forget }
        }
        true => Decision { state: ItemState::Relinked, told, note, forget },
        false => Decision { state: ItemState::Present, told, note: Vec::new(), forget: Vec::new() },
    }
}

/// Looks for a batch of orders, and writes down what came of it.
async fn look_for(state: &State, network: &Network, job: Job, at: At, batch: Vec<RunItem>) -> Result<Verdict> {
    let connector = at.connector.clone();
    let ids: Vec<String> = batch.iter().map(|item| item.order_id.clone()).collect();
    let known = state.db.read(move |tx| {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        facts(tx, &connector, &ids)
    });
    let known = known.await?;
    let mode = at.run.details.mode;
    let found = match mode {
        Some(ResyncMode::Force) => Ok(Vec::new()),
        _ => {
            let sought = batch.iter().zip(&known);
            let sought = sought.map(|(item, facts)| Sought { id: item.order_id.clone(), links: facts.links.clone() });
            let sought: Vec<Sought> = sought.collect();
            ask(state, network, (&at.connector, at.mapping.as_ref()), &sought, LONGEST_PUSH).await
        }
    };
    let found = match found {
        Ok(found) => found,
        Err(stop) => return not_answered(state, job, at, stop).await,
    };
    let decided = batch.into_iter().zip(known).map(|(item, facts)| {
        let found = found.iter().find(|found| found.order == item.order_id);
        let decision = match mode {
            Some(mode) => decide(&facts, found, mode),
            None => {
                let (state, told) = model::compare(&facts.ours, found);
                Decision { state, told, note: Vec::new(), forget: Vec::new() }
            }
        };
        (item, decision, JobId::new())
    });
    let decided: Vec<(RunItem, Decision, JobId)> = decided.collect();
    let (connector, well) = (at.connector, at.breaker.is_clean());
    let asked = mode != Some(ResyncMode::Force);
    moved(state, job, &at.run, move |tx, now, run| {
        let mut sent = Vec::new();
        for (item, decision, job) in &decided {
            let is_sent = decision.state == ItemState::Sending;
            let to = (decision.state, 0, is_sent.then_some(*job));
            if !store::move_item(tx, now, run.id, item, to, &decision.told)? {
                return Err(Error::problem(Code::LeaseLost, "the order has been looked for meanwhile"));
            }
            for link in &decision.forget {
                links::forget_of(tx, connector.id, link)?;
            }
            links::note(tx, now, connector.id, &decision.note)?;
            if is_sent {
                sent.push(resend::job(*job, now, &connector, (run.id, &item.order_id))?);
            }
        }
        run.sending += i64::try_from(sent.len()).unwrap_or_default();
        if !sent.is_empty() {
            jobs::enqueue(tx, now, sent)?;
        }
        (run.details.tries, run.details.error) = (0, None);
        if asked {
            let answered = Outcome { status: Some(200), ..Outcome::ended(Ending::Delivered) };
            delivery::look_after(tx, now, (connector.id, &connector.setup.sending, well), &answered)?;
        }
        Ok(Some(if run.sending == 0 { now } else { now.plus_seconds(LOOK_SECONDS) }))
    })
    .await
}

/// The far end has not answered: another try later, or none.
async fn not_answered(state: &State, job: Job, at: At, stop: Stop) -> Result<Verdict> {
    let (connector, well) = (at.connector, at.breaker.is_clean());
    let dice = i64::from(rand::random_range(0..1000u32));
    moved(state, job, &at.run, move |tx, now, run| {
        let outcome = Outcome { error: Some(stop.error.clone()), ..Outcome::ended(stop.ending.clone()) };
        run.details.error = Some(stop.error.chars().take(1000).collect());
        let wait = match stop.ending {
            Ending::Throttled { after_seconds } => {
                let until = now.plus_seconds(after_seconds.clamp(1, 6 * 3600));
                jobs::close_lane(tx, &dispatcher::lane(connector.id), until)?;
                return Ok(Some(until));
            }
            Ending::Refused => {
                run.details.given_up = true;
                0
            }
            _ => {
                run.details.tries += 1;
                run.details.given_up = run.details.tries >= MOST_TRIES;
                connector.setup.sending.retry.after(run.details.tries, dice)
            }
        };
        delivery::look_after(tx, now, (connector.id, &connector.setup.sending, well), &outcome)?;
        Ok(Some(if run.details.given_up { now } else { now.plus_seconds(wait) }))
    })
    .await
}

/// After the last order: a reconciliation asks what else the far end has, then the run ends.
async fn list_or_end(state: &State, network: &Network, job: Job, at: At) -> Result<Verdict> {
    if at.run.kind == RunKind::Resync || at.run.details.all_listed {
        return moved(state, job, &at.run, |tx, now, run| end(tx, now, run, RunState::Done)).await;
    }
    let made = (at.run.details.from.unwrap_or(at.run.created_at), at.run.details.to.unwrap_or(at.run.created_at));
    let listed = list(state, network, &at, made).await;
    let listed = match listed {
        Ok(listed) => listed,
        Err(stop) => return not_answered(state, job, at, stop).await,
    };
    let keys: Vec<OrderId> = listed.orders.iter().filter_map(|found| found.order.parse().ok()).collect();
    let known = state.db.read(move |tx| orders::heads(tx, &keys)).await?;
    let unknown = |found: &&Found| found.order.parse::<OrderId>().is_ok_and(|id| !known.contains_key(&id));
    let item = |found: &Found| {
        let told = Told {
            reference: Some(found.reference().to_owned()),
            total_there: found.total,
            state_there: Some(found.state.clone()),
            mend: Some(model::Mend::LookThere),
            ..Told::default()
        };
        ((found.order.clone(), None), ItemState::UnknownThere, told)
    };
    // A key may stand at several there: one item tells of it.
    let mut named = std::collections::HashSet::new();
    let once = |found: &&Found| named.insert(found.order.clone());
    let unknown: Vec<_> = listed.orders.iter().filter(unknown).filter(once).map(item).collect();
    let (cursor, connector) = (listed.cursor, at.connector.id);
    moved(state, job, &at.run, move |tx, now, run| {
        store::add(tx, now, (run.id, connector), &unknown)?;
        run.details.all_listed = cursor.is_none();
        run.details.listed = cursor.clone().unwrap_or(json!(null));
        (run.details.tries, run.details.error) = (0, None);
        Ok(Some(now))
    })
    .await
}

async fn list(
    state: &State,
    network: &Network,
    at: &At,
    made: (Instant, Instant),
) -> Result<crate::connectors::ports::Listed, Stop> {
    let line = Line::to(state, &at.connector, at.mapping.as_ref())?;
    let Some(search) = line.adapter.order_search else { return Ok(Default::default()) };
    let to = line.target(&at.connector, network, state.clock.now());
    let cursor: &Value = &at.run.details.listed;
    match tokio::time::timeout(LONGEST_PUSH, search.list(to, made, cursor)).await {
        Ok(listed) => listed.map_err(|stop| line.masked_stop(stop)),
        Err(_) => Err(Stop::outage("the far end took longer than a search may last")),
    }
}
