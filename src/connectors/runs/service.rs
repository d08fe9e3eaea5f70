//! Beginning a run, reading it, saying that its differences need nobody any more.

use serde::Deserialize;

use super::{
    model::{Details, ItemState, Kept, ResyncMode, Run, RunItem, RunKind, RunState},
    store, work,
};
use crate::{
    connectors::{model, pull, registry, replay, service as connectors, store as kept},
    db::Tx,
    error::{Code, Error, Result},
    events, jobs,
    kernel::{
        Actor, Instant, Waiting,
        ids::{ConnectorId, ConnectorRunId, JobId},
    },
};

/// What is asked for: the orders of which something happened between two instants.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from": "2026-03-01T22:00:00Z"}))]
pub struct Stretch {
    /// From then on.
    pub from: Instant,
    /// Before this; absent: until now.
    pub to: Option<Instant>,
}

/// What a run gets from outside the transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fresh {
    pub run: ConnectorRunId,
    pub job: JobId,
}

/// Begins a resync.
pub(super) fn resync(
    tx: &mut Tx,
    actor: &Actor,
    now: Instant,
    id: ConnectorId,
    (stretch, mode): (Stretch, ResyncMode),
    fresh: Fresh,
) -> Result<Run> {
    let connector = connectors::visible(tx, actor, id)?;
    if !connector.setup.direction.sends() {
        return Err(Error::conflict("nothing is brought to this connector's far end: its `direction` is `in`"));
    }
    if mode != ResyncMode::Force {
        is_searchable(&connector)?;
    }
    let details = Details { mode: Some(mode), ..details(actor, stretch) };
    let begun = begin(tx, now, &connector, (RunKind::Resync, details, None), fresh)?;
    if mode != ResyncMode::Verify {
        pull::look_again(tx, id, stretch.from)?;
    }
    Ok(begun.view(Default::default()))
}

/// Begins a reconciliation.
pub(super) fn reconcile(
    tx: &mut Tx,
    actor: &Actor,
    now: Instant,
    id: ConnectorId,
    stretch: Stretch,
    fresh: Fresh,
) -> Result<Run> {
    let connector = connectors::visible(tx, actor, id)?;
    is_searchable(&connector)?;
    let begun = begin(tx, now, &connector, (RunKind::Reconciliation, details(actor, stretch), None), fresh)?;
    Ok(begun.view(Default::default()))
}

fn details(actor: &Actor, stretch: Stretch) -> Details {
    Details { from: Some(stretch.from), to: stretch.to, begun_by: actor.label(), ..Details::default() }
}

/// Whether a connector's far end can be searched.
fn is_searchable(connector: &model::Kept) -> Result<()> {
    match registry::find(&connector.adapter)?.order_search {
        Some(_) => Ok(()),
        None => {
            let detail = format!("the far end of an adapter `{}` can not be asked what it has", connector.adapter);
            Err(Error::problem(Code::FarEndNotSearchable, detail).at("/mode"))
        }
    }
}

/// Begins a run over what a connector has been given of a stretch of the log: what lies beyond is on its way anyway.
pub(super) fn begin(
    tx: &mut Tx,
    now: Instant,
    connector: &model::Kept,
    (kind, details, night): (RunKind, Details, Option<String>),
    fresh: Fresh,
) -> Result<Kept> {
    let id = connector.id;
    // Whoever sends a stretch of the log again holds this lock too: of both, one is refused.
    let given = kept::position_locked(tx, id)?.ok_or_else(|| Error::not_found("connector"))?;
    if kind == RunKind::Resync && jobs::is_queued(tx, &replay::key(id))? {
        return Err(Error::conflict("a stretch is being sent again already: ask again once it is on its way"));
    }
    let (from, until) = positions(tx, &details, given)?;
    let run = Kept {
        id: fresh.run,
        connector: id,
        kind,
        state: RunState::Running,
        position: from - 1,
        until,
        sending: 0,
        night,
        differences: 0,
        closed_at: None,
        details,
        created_at: now,
        ended_at: None,
    };
    if !store::insert(tx, &run)? {
        return Err(running(tx, id)?);
    }
    jobs::enqueue(tx, now, vec![work::job(fresh.job, now, &run)?])?;
    Ok(run)
}

/// The first and the last position of a stretch, as far as the connector has been given the log.
fn positions(tx: &mut Tx, details: &Details, given: i64) -> Result<(i64, i64)> {
    let log = events::state(tx)?;
    let from_at = details.from.unwrap_or(Instant::from_micros(0));
    let from = events::position_at(tx, from_at)?;
    let until = match details.to {
        None => log.last,
        Some(at) => events::position_at(tx, at)? - 1,
    };
    let until = until.min(given);
    let oldest = events::recorded_after(tx, log.dropped)?;
    if log.dropped > 0 && oldest.is_none_or(|oldest| oldest > from_at) {
        let detail = format!(
            "events up to position {} have been dropped, and some of this stretch may be among them",
            log.dropped
        );
        return Err(Error::problem(Code::CursorExpired, detail).at("/from"));
    }
    if from > until {
        return Err(Error::invalid("/to", "the connector has been given no event between `from` and `to`"));
    }
    Ok((from, until))
}

/// Why no other run is begun.
fn running(tx: &mut Tx, connector: ConnectorId) -> Result<Error> {
    let at_work = store::running(tx, connector)?.map(|(run, _)| run.to_string());
    let error = Error::problem(Code::ResyncRunning, "a run over this connector's far end is at work already");
    Ok(error.with("run", at_work.unwrap_or_default()))
}

/// Refuses where a resync of a connector is at work.
pub(in crate::connectors) fn is_resync_running(tx: &mut Tx, connector: ConnectorId) -> Result<()> {
    match store::running(tx, connector)? {
        Some((_, RunKind::Resync)) => Err(running(tx, connector)?),
        _ => Ok(()),
    }
}

/// A run of a connector that the actor may see.
pub(super) fn visible(
    tx: &mut Tx,
    actor: &Actor,
    (connector, kind, id): (ConnectorId, RunKind, ConnectorRunId),
) -> Result<Kept> {
    connectors::visible(tx, actor, connector)?;
    let found = store::find(tx, id)?.filter(|run| run.connector == connector && run.kind == kind);
    found.ok_or_else(|| Error::not_found(kind.as_str()))
}

/// Runs with how many of their orders are in which state.
pub(super) fn views(tx: &mut Tx, runs: Vec<Kept>) -> Result<Vec<Run>> {
    let ids: Vec<ConnectorRunId> = runs.iter().map(|run| run.id).collect();
    let mut counts = store::counts(tx, &ids)?;
    Ok(runs
        .into_iter()
        .map(|run| (counts.remove(&run.id).unwrap_or_default(), run))
        .map(|(of, run)| run.view(of))
        .collect())
}

/// The same of one.
pub(super) fn view(tx: &mut Tx, run: Kept) -> Result<Run> {
    views(tx, vec![run])?.pop().ok_or_else(|| Error::internal("a run without a view"))
}

/// The runs of a connector, the newest first, before one.
pub(super) fn page(
    tx: &mut Tx,
    actor: &Actor,
    of: (ConnectorId, RunKind),
    before: Option<ConnectorRunId>,
    limit: i64,
) -> Result<Vec<Run>> {
    connectors::visible(tx, actor, of.0)?;
    let runs = store::page(tx, of, before, limit)?;
    views(tx, runs)
}

/// The orders of a run that the actor may see, in the order of their ids, after one.
pub(super) fn items(
    tx: &mut Tx,
    actor: &Actor,
    of: (ConnectorId, RunKind, ConnectorRunId),
    state: Option<ItemState>,
    (after, limit): (Option<String>, i64),
) -> Result<Vec<RunItem>> {
    visible(tx, actor, of)?;
    // A run of a time when the connector got more than now may bring what the actor has no business with.
    let seen = |item: &RunItem| match item.channel {
        Some(channel) => actor.sees_channel(channel),
        None => actor.channels().is_none(),
    };
    let read = |tx: &mut Tx, after: Option<String>, limit| store::items(tx, of.2, state, after.as_deref(), limit);
    crate::http::paging::fill(tx, limit, after, |item: &RunItem| item.order_id.clone(), seen, read)
}

/// Says that the differences of a reconciliation need nobody any more.
pub(super) fn close(
    tx: &mut Tx,
    actor: &Actor,
    now: Instant,
    of: (ConnectorId, RunKind, ConnectorRunId),
    reason: &str,
) -> Result<Run> {
    visible(tx, actor, of)?;
    let mut run = store::locked(tx, of.2)?.ok_or_else(|| Error::not_found(of.1.as_str()))?;
    if run.ended_at.is_none() {
        return Err(Error::conflict("it is still at work"));
    }
    if run.closed_at.is_some() {
        return Err(Error::conflict("it is closed already"));
    }
    run.closed_at = Some(now);
    run.details.closed_by = Some(actor.label());
    run.details.reason = Some(reason.to_owned());
    store::save(tx, &run)?;
    view(tx, run)
}

/// Reconciliations with differences that nobody has closed, of connectors that the actor may see, as what waits for a person, the
/// oldest first.
///
/// # Errors
/// What the database says.
pub fn waiting(tx: &mut Tx, actor: &Actor, limit: i64) -> Result<Vec<Waiting>> {
    let mut found = Vec::new();
    for run in store::waiting(tx, i64::MAX)? {
        let Some(connector) = kept::find(tx, run.connector)?.filter(|one| one.setup.is_visible_to(actor)) else {
            continue;
        };
        found.push(Waiting {
            id: run.id.to_string(),
            since: run.ended_at.unwrap_or(run.created_at),
            subject: format!("{} orders differ between here and {}", run.differences, connector.name),
            link: format!("/v1/ops/connectors/{}/reconciliations/{}/items", run.connector, run.id),
        });
        if i64::try_from(found.len()).is_ok_and(|count| count >= limit) {
            break;
        }
    }
    Ok(found)
}
