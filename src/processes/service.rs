//! Reading processes, and deciding about their steps.

use std::collections::HashMap;

use super::{
    model::{Decision, Process, Step, StepKind, StepState, StuckStep, Verb},
    steps, store,
};
use crate::{
    connectors,
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{self, Cancellation, Command, Fresh, FulfilmentOrder, Replan, corrections, desk, tracking},
    jobs::{self, Discards, OnDecision, QueuedJob, Replays, Standing},
    kernel::{
        Actor, Instant, Scope,
        ids::{FulfilmentOrderId, JobId, OrderId, ProcessDecisionId, ShipmentId},
    },
    orders,
    stock::Locations,
};

/// The jobs of an order: those that move its money, those that plan its work anew, look at its promise and buy its labels, and those that
/// tell other systems of it.
fn jobs_of(tx: &mut Tx, now: Instant, order: OrderId, work: &[FulfilmentOrder]) -> Result<Vec<QueuedJob>> {
    let mut keys = connectors::ordering_keys(tx, &order.to_string())?;
    keys.push(order.to_string());
    let work: Vec<FulfilmentOrderId> = work.iter().map(|one| one.id).collect();
    keys.extend(fulfilment::job_keys(tx, order, &work)?);
    jobs::of_keys(tx, now, &keys)
}

/// How far an order has come.
///
/// # Errors
/// `not_found`.
pub(super) fn process(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    (id, locations): (OrderId, &Locations),
) -> Result<Process> {
    let order = orders::document(tx, id)?.ok_or_else(|| Error::not_found("order"))?;
    let (mut fulfilments, mut shipments) = fulfilment::of_order(tx, id)?;
    fulfilments.retain(|one| actor.sees_location(one.location_id));
    shipments.retain(|one| actor.sees_location(one.location_id));
    let jobs = jobs_of(tx, now, id, &fulfilments)?;
    let (lacking, claims) = (fulfilment::comes(tx, now, locations, &fulfilments)?, tracking::open_of(tx, id)?);
    let known = steps::Known {
        fulfilments: &fulfilments,
        lacking: &lacking,
        shipments: &shipments,
        claims: &claims,
        jobs: &jobs,
    };
    let all = steps::all(now, &order, &known);
    let (state, decisions) = (steps::state_of(&all), store::of_order(tx, id)?);
    Ok(Process { order_id: id, number: order.number, state, steps: all, decisions })
}

/// How far the slices are asked for what is stuck with them.
const CAP: i64 = 1000;

/// Steps that are stuck, of orders that the actor may see, the oldest first, after a place: of the oldest thousand of each sort.
///
/// # Errors
/// What the database says.
pub(super) fn stuck(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    (step, locations): (Option<StepKind>, &Locations),
    after: Option<(Instant, String)>,
    limit: i64,
) -> Result<Vec<StuckStep>> {
    let mut found: Vec<StuckStep> = Vec::new();
    let work = fulfilment::stuck(tx, actor, now, CAP)?;
    let lacking = fulfilment::comes(tx, now, locations, &work)?;
    for one in work {
        let lacks = lacking.get(&one.id).copied();
        let own = steps::of_work(now, &one, lacks).into_iter().filter(|step| step.state == StepState::Stuck);
        found.extend(own.map(|step| of(one.order_id, one.order_number.clone(), step)));
    }
    let claims = tracking::open(tx, actor, CAP)?;
    found.extend(claims.iter().map(|one| of(one.order_id, one.order_number.clone(), steps::of_claim(one))));
    found.extend(dead(tx, now, actor)?);
    found.retain(|one| step.is_none_or(|step| one.step.step == step));
    found.sort_by_key(key);
    let mut found: Vec<StuckStep> =
        found.into_iter().filter(|one| after.as_ref().is_none_or(|after| key(one) > *after)).collect();
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// What a stuck step is listed by.
pub(super) fn key(one: &StuckStep) -> (Instant, String) {
    let subject = one.step.subject.as_deref().unwrap_or_default();
    (one.step.since, format!("{}:{}:{subject}", one.order_id, one.step.step))
}

fn of(order_id: OrderId, number: String, step: Step) -> StuckStep {
    StuckStep { order_id, number, step, link: format!("/v1/ops/processes/{order_id}") }
}

/// The steps of orders whose jobs are dead.
fn dead(tx: &mut Tx, now: Instant, actor: &Actor) -> Result<Vec<StuckStep>> {
    let jobs: Vec<QueuedJob> = jobs::standing(tx, now, Standing::Dead, CAP)?;
    let keys: Vec<&str> = jobs.iter().filter_map(|job| job.ordering_key.as_deref()).collect();
    let known = fulfilment::orders_of_keys(tx, &keys)?;
    // Other jobs of an order have its id as the last part of their ordering key.
    let order_of = |job: &QueuedJob| {
        let key = job.ordering_key.as_ref()?;
        known.get(key).copied().or_else(|| key.rsplit(':').next()?.parse::<OrderId>().ok())
    };
    let mut ids: Vec<OrderId> = jobs.iter().filter_map(order_of).collect();
    ids.sort_unstable();
    ids.dedup();
    let heads: HashMap<OrderId, orders::OrderHead> = orders::heads(tx, &ids)?;
    let step = |job: &QueuedJob| {
        let head = heads.get(&order_of(job)?).filter(|head| actor.sees_channel(head.channel_id))?;
        Some(of(head.id, head.number.clone(), steps::of_job(job)?))
    };
    Ok(jobs.iter().filter_map(step).collect())
}

/// What is decided about a step.
#[derive(Debug, Clone)]
pub(super) struct Deciding {
    pub step: StepKind,
    pub subject: Option<String>,
    pub verb: Verb,
    pub reason: Option<String>,
}

/// What a decision needs beside the database.
pub(super) struct Means<'a> {
    pub locations: &'a Locations,
    pub replays: Replays,
    pub discards: Discards,
    pub fresh: &'a Fresh,
    /// Ids for what follows from it.
    pub then: &'a Fresh,
    pub id: ProcessDecisionId,
}

/// Decides about a step of an order, and notes it. The slice whose step it is does what follows.
///
/// # Errors
/// `not_found` when the order has no such step; `state_conflict` when the step does not take that; and whatever the slice says.
pub(super) fn decide(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    order: OrderId,
    what: &Deciding,
    means: &Means<'_>,
) -> Result<Process> {
    let before = process(tx, now, actor, (order, means.locations))?;
    let is_it = |step: &&Step| step.step == what.step && step.subject == what.subject;
    let step = before.steps.iter().find(is_it).ok_or_else(|| Error::not_found("step of the order"))?;
    step.allows(what.verb)?;
    perform(tx, now, actor, order, what, means)?;
    let Deciding { step, subject, verb, reason } = what.clone();
    let decision = Decision { step, subject, decision: verb, reason, by: actor.label(), at: now };
    store::insert(tx, means.id, order, &decision)?;
    process(tx, now, actor, (order, means.locations))
}

fn perform(tx: &mut Tx, now: Instant, actor: &Actor, order: OrderId, what: &Deciding, means: &Means<'_>) -> Result<()> {
    let reason = what.reason.clone().unwrap_or_else(|| what.verb.to_string());
    let fresh = means.fresh;
    match (what.step, what.verb) {
        (StepKind::Place, Verb::Compensate) => {
            let cancellation = Cancellation { reason, ..Cancellation::default() };
            fulfilment::cancel(tx, now, actor, fresh, order, &cancellation).map(|_| ())
        }
        (StepKind::Source, Verb::Retry | Verb::Skip) if subject::<JobId>(what).is_ok() => {
            on_job(tx, now, actor, (order, what), means)
        }
        (StepKind::Source, Verb::Retry) => {
            let replan = Replan { reason: what.reason.clone(), ..Replan::default() };
            fulfilment::replan(tx, now, actor, fresh, work(what)?, (&replan, means.locations)).map(|_| ())
        }
        (StepKind::Hold, Verb::Skip) => {
            let both = [fresh, means.then];
            fulfilment::release_holds(tx, now, actor, both, work(what)?, (&reason, means.locations)).map(|_| ())
        }
        (StepKind::Accept, Verb::Skip) => desk::accept(tx, now, actor, fresh, work(what)?).map(|_| ()),
        (StepKind::Pick | StepKind::Pack, Verb::Compensate) => {
            let command = if what.step == StepKind::Pick { Command::Unpick } else { Command::Unpack };
            corrections::take_back(tx, now, actor, fresh, work(what)?, (command, None, &reason)).map(|_| ())
        }
        (StepKind::Deliver, Verb::Compensate) => corrections::undo(tx, now, actor, fresh, parcel(what)?, &reason),
        (
            StepKind::Capture
            | StepKind::Void
            | StepKind::Refund
            | StepKind::Notify
            | StepKind::Label
            | StepKind::Promise,
            Verb::Retry | Verb::Skip,
        ) => on_job(tx, now, actor, (order, what), means),
        (step, verb) => Err(Error::conflict(format!("the step `{step}` takes no `{verb}`"))),
    }
}

fn subject<T: std::str::FromStr>(what: &Deciding) -> Result<T> {
    let found = what.subject.as_deref().and_then(|subject| subject.parse().ok());
    found.ok_or_else(|| Error::not_found("step of the order").at("/subject"))
}

fn work(what: &Deciding) -> Result<FulfilmentOrderId> {
    subject(what)
}

fn parcel(what: &Deciding) -> Result<ShipmentId> {
    subject(what)
}

/// That somebody may decide about jobs: they belong to no location and no channel, whichever way one comes to them.
fn allow_job(actor: &Actor) -> Result<()> {
    match (actor.holds(Scope::ConnectorsWrite), actor.is_limited()) {
        (false, _) => {
            Err(Error::problem(Code::ScopeMissing, "a step that is a job needs the scope `connectors:write`"))
        }
        (true, true) => Err(Error::not_found("step of the order").at("/subject")),
        (true, false) => Ok(()),
    }
}

/// Tries a job of an order again, or gives it up.
fn on_job(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    (order, what): (OrderId, &Deciding),
    means: &Means<'_>,
) -> Result<()> {
    allow_job(actor)?;
    let id: JobId = subject(what)?;
    let (work, _) = fulfilment::of_order(tx, order)?;
    let found = jobs_of(tx, now, order, &work)?.into_iter().find(|job| job.id == id);
    let job = found.ok_or_else(|| Error::not_found("step of the order").at("/subject"))?;
    let meant = |on: Option<OnDecision>, tx: &mut Tx, job: &jobs::Job| match on {
        Some(on) => on(tx, now, actor, job),
        None => Ok(()),
    };
    match (what.verb, job.state) {
        (Verb::Retry, Standing::Dead) => {
            let job = jobs::replay(tx, now, id)?;
            meant(means.replays.meaning(&job.kind), tx, &job)
        }
        // It is tried anyway: now instead of later.
        (Verb::Retry, _) => {
            let key = job.ordering_key.unwrap_or_default();
            jobs::hasten_keys(tx, now, &key).map(|_| ())
        }
        _ => {
            let job = jobs::discard(tx, id)?;
            meant(means.discards.meaning(&job.kind), tx, &job)
        }
    }
}
