//! Commands on connectors and dispatches.

use std::collections::HashSet;

use serde_json::json;

// What is asked for as it stands in the tables.
pub(super) use super::store::list;
use super::{
    breakers, dispatcher,
    mapping::Mapping,
    mappings,
    model::{
        Connector, ConnectorPatch, ConnectorState, Dispatch, DispatchCommand, DispatchState, Kept, NewConnector, Setup,
        Trace,
    },
    ports::CUSTOMERS,
    pull, registry,
    replay::{self, Stretch},
    runs,
    sending::BreakerState,
    store,
};
use crate::{
    channels::Directory,
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    events::{self, Behind, Event, Head, Stream},
    exports,
    http::{metrics::FarEnd, seal::Secret},
    jobs::{self, Job, NewJob, Steering},
    kernel::{
        Actor, Instant, Scope, Waiting,
        ids::{ConnectorId, DispatchId, JobId},
        text::Text,
    },
};

/// Checks what a connector is told, of which `touched` is new: by its adapter, and by what the actor may see. What is as it
/// was is not looked at again: a newer version beside this one may have known more.
fn check(
    actor: &Actor,
    adapter: &str,
    setup: &Setup,
    touched: Touched,
    directory: &Directory,
    allow_private: bool,
) -> Result<()> {
    if actor.locations().is_some() {
        let detail = "a connector is told of all locations, and the credential is limited to some";
        return Err(Error::problem(Code::ScopeMissing, detail));
    }
    let adapter = registry::find(adapter)?;
    setup.check()?;
    setup.reconcile.check(adapter.order_search.is_some())?;
    if touched.types {
        check_types(&setup.types)?;
    }
    for (place, channel) in setup.channels.iter().flatten().enumerate() {
        if !directory.knows(*channel) || !actor.sees_channel(*channel) {
            return Err(Error::not_found("channel").at(format!("/channels/{place}")));
        }
    }
    if !setup.is_visible_to(actor) {
        let detail = "you are limited to channels: name those whose events the connector gets";
        return Err(Error::invalid("/channels", detail));
    }
    if touched.reach && tells_of_customers(setup) && !actor.holds(Scope::CustomersRead) {
        let detail = "this connector gets events of customers, for which you need the scope `customers:read` too: use a \
                      credential that has it, or name `types` without those of customers, or the `channels` whose events \
                      it gets (customers belong to none)";
        let refused = Error::problem(Code::ScopeMissing, detail).at("/types");
        return Err(refused.with("scope", Scope::CustomersRead.as_str()));
    }
    match touched.settings {
        true => (adapter.check)(&setup.settings, setup.allow_private || allow_private),
        false => Ok(()),
    }
}

/// Which part of what a connector is told is new.
#[derive(Clone, Copy)]
struct Touched {
    /// The types of events that it gets.
    types: bool,
    /// What its adapter needs to know.
    settings: bool,
    /// What it gets, or where that goes.
    reach: bool,
}

impl Touched {
    const ALL: Self = Self { types: true, settings: true, reach: true };

    fn by(patch: &ConnectorPatch) -> Self {
        let (types, settings) = (patch.types.is_some(), patch.settings.is_some() || patch.allow_private.is_some());
        Self { types, settings, reach: types || settings || patch.channels.is_some() || patch.secrets.is_some() }
    }
}

/// Refuses what no event's type begins with.
fn check_types(types: &[Text<100>]) -> Result<()> {
    let is_none = |wanted: &Text<100>| !exports::TYPES.iter().any(|kind| kind.starts_with(&**wanted));
    let Some(place) = types.iter().position(is_none) else { return Ok(()) };
    let mut begins: Vec<&str> = exports::TYPES.iter().filter_map(|kind| kind.split_inclusive('.').next()).collect();
    begins.dedup();
    let detail = format!("no event has a type that begins so; types begin with {}", begins.join(", "));
    Err(Error::invalid(format!("/types/{place}"), detail).with("types", exports::TYPES.to_vec()))
}

/// Whether what happens to customers is among what it gets. Customers belong to no channel.
fn tells_of_customers(setup: &Setup) -> bool {
    let overlaps = |wanted: &str, own: &&str| wanted.starts_with(*own) || own.starts_with(wanted);
    let told = |wanted: &Text<100>| CUSTOMERS.iter().any(|own| overlaps(wanted, own));
    setup.channels.is_none() && (setup.types.is_empty() || setup.types.iter().any(told))
}

/// What a new connector gets from outside the transaction.
pub(super) struct Fresh {
    pub id: ConnectorId,
    /// Its secrets, sealed.
    pub sealed: String,
}

/// Makes a connector, which gets what happens from now on.
pub(super) fn create(
    tx: &mut Tx,
    actor: &Actor,
    now: Instant,
    fresh: &Fresh,
    new: &NewConnector,
    directory: &Directory,
    allow_private: bool,
) -> Result<Connector> {
    let setup = Setup {
        settings: new.settings.clone(),
        types: new.types.clone(),
        channels: new.channels.clone(),
        include_test: new.include_test,
        allow_private: new.allow_private,
        max_attempts: new.max_attempts,
        sending: new.sending,
        direction: new.direction,
        reconcile: new.reconcile,
        mapping_version: None,
    };
    check(actor, &new.adapter, &setup, Touched::ALL, directory, allow_private)?;
    let made = Kept {
        id: fresh.id,
        name: new.name.to_string(),
        adapter: new.adapter.to_string(),
        state: ConnectorState::Active,
        pause_reason: None,
        setup,
        sealed: Some(fresh.sealed.clone()),
        position: events::state(tx)?.last,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    on_duplicate(store::insert(tx, &made), || taken(&made.name))?;
    steer(tx, &made)?;
    view(tx, now, made)
}

/// Tells the queue how much of a connector's is done at once.
fn steer(tx: &mut Tx, kept: &Kept) -> Result<()> {
    let breaker = breakers::find(tx, kept.id)?;
    let (places, closed_until) = match breaker.retry_at {
        Some(at) => (1, Some(at)),
        None => (kept.setup.sending.max_parallel, None),
    };
    jobs::steer(tx, &dispatcher::lane(kept.id), Steering { places: Some(places), closed_until })
}

fn taken(name: &str) -> Error {
    Error::problem(Code::Duplicate, format!("there is a connector named `{name}` already")).at("/name")
}

/// A connector that the actor may see.
pub(super) fn visible(tx: &mut Tx, actor: &Actor, id: ConnectorId) -> Result<Kept> {
    let found = store::find(tx, id)?.filter(|kept| kept.setup.is_visible_to(actor));
    found.ok_or_else(|| Error::not_found("connector"))
}

/// A connector with its backlog.
pub(super) fn view(tx: &mut Tx, now: Instant, kept: Kept) -> Result<Connector> {
    let views = views(tx, now, vec![kept])?;
    views.into_iter().next().ok_or_else(|| Error::internal("a connector without a view"))
}

/// Connectors with their backlogs.
pub(super) fn views(tx: &mut Tx, now: Instant, kept: Vec<Kept>) -> Result<Vec<Connector>> {
    let last = events::state(tx)?.last;
    let mut backlogs = store::backlogs(tx, &kept, last, now)?;
    let mut breakers = breakers::all(tx)?;
    let mut pulls = pull::views(tx)?;
    // What has not been looked at for them waits too. Mostly there is none such.
    for of in kept.iter().filter(|kept| kept.position < last) {
        let (since, backlog) = (events::recorded_after(tx, of.position)?, backlogs.get_mut(&of.id));
        if let (Some(since), Some(backlog)) = (since, backlog) {
            backlog.lag_seconds = backlog.lag_seconds.max(now.seconds_since(since));
        }
    }
    let view = |kept: Kept| {
        let known = (backlogs.remove(&kept.id).unwrap_or_default(), breakers.remove(&kept.id).unwrap_or_default());
        let renewable = registry::find(&kept.adapter).is_ok_and(|adapter| adapter.renew_secrets.is_some());
        let pulled = pulls.remove(&kept.id);
        Connector { pull: pulled, ..Connector::new(kept, known, renewable, now) }
    };
    Ok(kept.into_iter().map(view).collect())
}

/// What is told of every connector in the figures of the process: five statements, and one more for each that is behind the log.
///
/// # Errors
/// What the database says.
pub fn figures(tx: &mut Tx, now: Instant) -> Result<Vec<FarEnd>> {
    let all = store::list(tx, None, MANY)?;
    let figures = |one: Connector| FarEnd {
        connector: one.id.to_string(),
        adapter: one.adapter,
        lag_seconds: one.backlog.lag_seconds,
        backlog: one.backlog.pending + one.backlog.behind,
        dead: one.backlog.dead,
        breaker: match one.breaker_state {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        },
        paused: one.state == ConnectorState::Paused,
    };
    Ok(views(tx, now, all)?.into_iter().map(figures).collect())
}

/// The version that a change begins with: the current one, when it is the expected one.
fn seen(kept: &Kept, expected: Option<i64>) -> Result<i64> {
    let version = kept.version;
    if expected.is_none_or(|expected| expected == version) {
        return Ok(version);
    }
    Err(Error::stale("connector", version))
}

/// It has changed since it was read: the transaction is run again, and looks again.
fn overtaken() -> Error {
    Error::overtaken("the connector")
}

/// Changes a connector. Letting it go on wakes what waits for it.
pub(super) fn update(
    tx: &mut Tx,
    actor: &Actor,
    now: Instant,
    id: ConnectorId,
    expected: Option<i64>,
    (patch, sealed): (&ConnectorPatch, Option<&str>),
    directory: &Directory,
    allow_private: bool,
) -> Result<Connector> {
    let mut kept = visible(tx, actor, id)?;
    let version = seen(&kept, expected)?;
    patch.apply(&mut kept);
    if let Some(sealed) = sealed {
        kept.sealed = Some(sealed.to_owned());
    }
    check(actor, &kept.adapter, &kept.setup, Touched::by(patch), directory, allow_private)?;
    if !on_duplicate(store::update(tx, now, &kept, version), || taken(&kept.name))? {
        return Err(overtaken());
    }
    // Whoever lets it go on, or leads it elsewhere, wants to see at once whether it works.
    if patch.state == Some(ConnectorState::Active) || patch.settings.is_some() || sealed.is_some() {
        breakers::clear(tx, now, id)?;
    }
    steer(tx, &kept)?;
    if kept.state == ConnectorState::Active {
        jobs::hasten_keys(tx, now, &dispatcher::key_prefix(id))?;
    }
    (kept.version, kept.updated_at) = (version + 1, now);
    view(tx, now, kept)
}

/// Writes another version of a connector's mapping, by which it writes from now on.
pub(super) fn change_mapping(
    tx: &mut Tx,
    actor: &Actor,
    now: Instant,
    of: (ConnectorId, Option<i64>),
    mapping: &Mapping,
) -> Result<()> {
    mapping.check()?;
    let kept = visible(tx, actor, of.0)?;
    let version = seen(&kept, of.1)?;
    mapping.over(&(registry::find(&kept.adapter)?.mapping)()).check()?;
    let written = mappings::add(tx, actor, now, kept.id, mapping)?;
    write_by(tx, now, kept, version, Some(written))
}

/// Has a connector write by a version of its mapping that there is, or by its adapter's.
pub(super) fn use_mapping(
    tx: &mut Tx,
    actor: &Actor,
    now: Instant,
    of: (ConnectorId, Option<i64>),
    wanted: Option<i64>,
) -> Result<()> {
    let kept = visible(tx, actor, of.0)?;
    let version = seen(&kept, of.1)?;
    if let Some(number) = wanted
        && mappings::find(tx, kept.id, number)?.is_none()
    {
        return Err(Error::not_found("version of this mapping").at("/version"));
    }
    write_by(tx, now, kept, version, wanted)
}

fn write_by(tx: &mut Tx, now: Instant, mut kept: Kept, version: i64, wanted: Option<i64>) -> Result<()> {
    kept.setup.mapping_version = wanted;
    if store::update(tx, now, &kept, version)? { Ok(()) } else { Err(overtaken()) }
}

/// Replaces a connector's sealed secrets.
pub(super) fn reseal(tx: &mut Tx, now: Instant, mut kept: Kept, sealed: String) -> Result<Connector> {
    let version = kept.version;
    kept.sealed = Some(sealed);
    if !store::update(tx, now, &kept, version)? {
        return Err(Error::problem(Code::VersionStale, "the connector has changed meanwhile"));
    }
    (kept.version, kept.updated_at) = (version + 1, now);
    view(tx, now, kept)
}

/// Seals the secrets of all connectors again that are sealed under a former secret. Gives how many, and the names of those
/// that no secret opens: they stay as they are.
///
/// # Errors
/// `version_stale` when one was changed meanwhile: then nothing has happened.
pub fn seal_again(tx: &mut Tx, now: Instant, secret: &Secret) -> Result<(usize, Vec<String>)> {
    let (mut count, mut lost) = (0, Vec::new());
    for kept in store::list(tx, None, i64::MAX)? {
        match kept.sealed.as_deref().map(|sealed| secret.reseal(sealed)) {
            Some(Ok(Some(sealed))) => {
                reseal(tx, now, kept, sealed)?;
                count += 1;
            }
            Some(Err(_)) => lost.push(kept.name),
            Some(Ok(None)) | None => {}
        }
    }
    Ok((count, lost))
}

/// Removes a connector, what waits for it, and its log.
pub(super) fn delete(tx: &mut Tx, actor: &Actor, id: ConnectorId, expected: Option<i64>) -> Result<()> {
    let kept = visible(tx, actor, id)?;
    let version = seen(&kept, expected)?;
    jobs::cancel_keys(tx, &dispatcher::key_prefix(id))?;
    jobs::forget_lane(tx, &dispatcher::lane(id))?;
    if store::delete(tx, id, version)? { Ok(()) } else { Err(overtaken()) }
}

/// What of these the actor may see, by the positions of their events: from a time when a connector got more than now, it may
/// bring what the actor has no business with.
fn seen_of<T>(tx: &mut Tx, actor: &Actor, found: Vec<T>, position: impl Fn(&T) -> i64) -> Result<Vec<T>> {
    if actor.channels().is_none() {
        return Ok(found);
    }
    let positions: Vec<i64> = found.iter().map(&position).collect();
    let theirs = |event: &Event| event.channel_id.is_some_and(|channel| actor.sees_channel(channel));
    let events = events::by_positions(tx, &positions)?;
    let seen: HashSet<i64> = events.iter().filter(|event| theirs(event)).map(|event| event.position).collect();
    Ok(found.into_iter().filter(|item| seen.contains(&position(item))).collect())
}

/// The dispatches of a connector that the actor may see, newest first, before a position: as many as asked for, as long as
/// there are so many.
pub(super) fn dispatches(
    tx: &mut Tx,
    actor: &Actor,
    connector: ConnectorId,
    state: Option<DispatchState>,
    mut before: Option<i64>,
    limit: i64,
) -> Result<Vec<Dispatch>> {
    visible(tx, actor, connector)?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut seen = Vec::new();
    loop {
        let found = store::dispatches(tx, connector, state, before, limit)?;
        let all = found.len() < wanted;
        before = found.last().map(|dispatch| dispatch.position);
        seen.extend(seen_of(tx, actor, found, |dispatch| dispatch.position)?);
        if all || seen.len() >= wanted {
            seen.truncate(wanted);
            return Ok(seen);
        }
    }
}

/// Dead dispatches that the actor may see, as what waits for a person, the oldest first: as many as asked for, as long as
/// there are so many.
///
/// # Errors
/// What the database says.
pub fn waiting_dead(tx: &mut Tx, actor: &Actor, limit: i64) -> Result<Vec<Waiting>> {
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut deep = limit;
    loop {
        let mut found = store::waiting_dead(tx, deep)?;
        let all = i64::try_from(found.len()).unwrap_or(i64::MAX) < deep;
        found.retain(|dead| dead.setup.is_visible_to(actor));
        let seen = seen_of(tx, actor, found, |dead| dead.position)?;
        if all || seen.len() >= wanted {
            return Ok(seen.into_iter().take(wanted).map(|dead| dead.waiting).collect());
        }
        deep = deep.saturating_mul(4);
    }
}

/// A dispatch of a connector that the actor may see.
pub(super) fn dispatch(tx: &mut Tx, actor: &Actor, connector: ConnectorId, id: DispatchId) -> Result<(Kept, Dispatch)> {
    let kept = visible(tx, actor, connector)?;
    let found = store::dispatch(tx, id)?.filter(|dispatch| dispatch.connector_id == connector);
    let seen = seen_of(tx, actor, found.into_iter().collect(), |dispatch| dispatch.position)?.pop();
    Ok((kept, seen.ok_or_else(|| Error::not_found("dispatch"))?))
}

fn decided() -> Error {
    Error::conflict("the dispatch has moved on meanwhile: read it again")
}

/// Sends a dispatch again. A dead one goes on in its place, before the later events of its stream; one that had
/// arrived or was skipped goes behind them.
pub(super) fn replay_dispatch(
    tx: &mut Tx,
    actor: &Actor,
    now: Instant,
    (connector, id): (ConnectorId, DispatchId),
    fresh: JobId,
) -> Result<Dispatch> {
    let (kept, seen) = dispatch(tx, actor, connector, id)?;
    let state = seen.state.apply(DispatchCommand::Replay)?;
    // The job before the dispatch, as everywhere: whoever delivers locks in this order. As long as it is in the queue, dead or
    // not, the dispatch has its place there.
    let queued = jobs::replay_many(tx, now, &[seen.job_id])?;
    let job = if queued.is_empty() { fresh } else { seen.job_id };
    let trace = Trace { decided_by: Some(actor.label()), reason: None, ..seen.trace.clone() };
    if !store::decide(tx, now, &seen, state, job, &trace)? {
        return Err(decided());
    }
    if queued.is_empty() {
        let new = NewJob::now(super::delivery::KIND, now, json!({"dispatch": id}));
        let new = NewJob { id: job, max_attempts: kept.setup.max_attempts, ..new };
        let new = new.in_order(dispatcher::ordering_key(connector, &seen.stream)).in_lane(dispatcher::lane(connector));
        jobs::enqueue(tx, now, vec![new])?;
    }
    Ok(Dispatch { state, job_id: job, trace, updated_at: now, ..seen })
}

/// Decides that a dispatch need not arrive; the later events of its stream go on.
pub(super) fn skip_dispatch(
    tx: &mut Tx,
    actor: &Actor,
    now: Instant,
    (connector, id): (ConnectorId, DispatchId),
    reason: &str,
) -> Result<Dispatch> {
    let (_, seen) = dispatch(tx, actor, connector, id)?;
    let state = seen.state.apply(DispatchCommand::Skip)?;
    jobs::cancel(tx, seen.job_id)?;
    let trace = Trace { reason: Some(reason.to_owned()), decided_by: Some(actor.label()), ..seen.trace.clone() };
    if !store::decide(tx, now, &seen, state, seen.job_id, &trace)? {
        return Err(decided());
    }
    Ok(Dispatch { state, trace, updated_at: now, ..seen })
}

/// How far each connector is behind that gets the events of a stream.
///
/// # Errors
/// What the database says.
pub fn behind(tx: &mut Tx, stream: &Stream) -> Result<Vec<Behind>> {
    let waiting = store::waiting_of(tx, &stream.name)?;
    let wants = |setup: &Setup, kind: &str| {
        let of_type = setup.types.is_empty() || setup.types.iter().any(|prefix| kind.starts_with(&**prefix));
        let of_channel = setup.channels.as_ref().is_none_or(|channels| channels.contains(&stream.channel));
        of_type && of_channel && (setup.include_test || !stream.test)
    };
    let lag = |kept: Kept| {
        let on_its_way = |position| waiting.contains(&(kept.id, position));
        let missing =
            |head: &Head| on_its_way(head.position) || head.position > kept.position && wants(&kept.setup, &head.kind);
        let hears = stream.heads.iter().any(|head| missing(head) || wants(&kept.setup, &head.kind));
        hears.then(|| stream.behind(kept.name.clone(), missing))
    };
    Ok(store::list(tx, None, MANY)?.into_iter().filter_map(lag).collect())
}

/// Under which keys the jobs stand that tell the connectors of a stream.
///
/// # Errors
/// What the database says.
pub fn ordering_keys(tx: &mut Tx, stream: &str) -> Result<Vec<String>> {
    let all = store::list(tx, None, MANY)?;
    Ok(all.into_iter().map(|kept| dispatcher::ordering_key(kept.id, stream)).collect())
}

/// More connectors than a shop has.
const MANY: i64 = 200;

/// What giving up the dead job of a dispatch means: it need not arrive any more, and the later events of its stream go on.
///
/// # Errors
/// `state_conflict` when the dispatch has moved on meanwhile.
pub fn discarded(tx: &mut Tx, now: Instant, actor: &Actor, job: &Job) -> Result<()> {
    let reason = Some("its job was given up".to_owned());
    decided_with_job(tx, now, actor, job, (DispatchState::Skipped, reason))
}

/// What replaying the dead job of a dispatch means: it is on its way again, in its old place.
///
/// # Errors
/// `state_conflict` when the dispatch has moved on meanwhile.
pub fn replayed(tx: &mut Tx, now: Instant, actor: &Actor, job: &Job) -> Result<()> {
    decided_with_job(tx, now, actor, job, (DispatchState::Pending, None))
}

/// What it means that the job of a dispatch died without saying how the dispatch ended: it is dead, and seen as such.
pub(super) fn buried(tx: &mut Tx, now: Instant, job: &Job, error: &str) -> Result<()> {
    let Some(seen) = in_charge_of(tx, job)?.filter(|seen| seen.state == DispatchState::Pending) else { return Ok(()) };
    let trace = Trace { error: Some(error.to_owned()), ..seen.trace.clone() };
    if store::decide(tx, now, &seen, DispatchState::Dead, seen.job_id, &trace)? { Ok(()) } else { Err(decided()) }
}

/// The dispatch that a job delivers; none when another is in charge of it by now.
fn in_charge_of(tx: &mut Tx, job: &Job) -> Result<Option<Dispatch>> {
    let Ok(payload) = serde_json::from_value::<super::delivery::Payload>(job.payload.clone()) else { return Ok(None) };
    Ok(store::dispatch(tx, payload.dispatch)?.filter(|seen| seen.job_id == job.id))
}

/// Moves the dispatch that a job delivers; a job that is not in charge of one any more moves none.
fn decided_with_job(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    job: &Job,
    (state, reason): (DispatchState, Option<String>),
) -> Result<()> {
    let Some(seen) = in_charge_of(tx, job)? else { return Ok(()) };
    let trace = Trace { reason, decided_by: Some(actor.label()), ..seen.trace.clone() };
    if store::decide(tx, now, &seen, state, seen.job_id, &trace)? { Ok(()) } else { Err(decided()) }
}

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(untagged, expecting = "expected a position or a time")]
pub enum Mark {
    /// A position, from 1 on.
    Position(i64),
    /// A time: the first event recorded then or later.
    #[schema(value_type = String, format = DateTime)]
    Time(Instant),
}

/// Sends a stretch of the log again, from `from` to before or at `to`, and no further than the connector has been given the
/// log: what lies beyond is sent anyway, and sent twice it would come before what is to come before it. Returns its positions.
pub(super) fn replay_stretch(
    tx: &mut Tx,
    actor: &Actor,
    now: Instant,
    id: ConnectorId,
    (from, to): (Mark, Option<Mark>),
    job: JobId,
) -> Result<(i64, i64)> {
    visible(tx, actor, id)?;
    // No further until the job is there: from then on what follows waits for it.
    let given = store::position_locked(tx, id)?.ok_or_else(|| Error::not_found("connector"))?;
    if jobs::is_queued(tx, &replay::key(id))? {
        return Err(Error::conflict("a stretch is being sent again already: ask again once it is on its way"));
    }
    runs::is_resync_running(tx, id)?;
    let log = events::state(tx)?;
    let from = match from {
        Mark::Position(position) => position,
        Mark::Time(at) => events::position_at(tx, at)?,
    };
    let to = match to {
        None => log.last,
        Some(Mark::Position(position)) => position.min(log.last),
        Some(Mark::Time(at)) => events::position_at(tx, at)? - 1,
    };
    if given < from && from <= log.last {
        let detail =
            format!("the connector has been given the log up to position {given}: what follows is sent anyway");
        return Err(Error::invalid("/from", detail).with("position", given));
    }
    let to = to.min(given);
    if from < 1 {
        return Err(Error::invalid("/from", "expected a position from 1 on, or a time"));
    }
    if from <= log.dropped {
        let detail = format!("events up to position {} have been dropped", log.dropped);
        return Err(Error::problem(Code::CursorExpired, detail).at("/from"));
    }
    if from > to {
        return Err(Error::invalid("/to", "there is no event between `from` and `to`"));
    }
    jobs::enqueue(tx, now, vec![replay::job(job, now, &Stretch { connector: id, from, to })?])?;
    Ok((from, to))
}
