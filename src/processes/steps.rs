//! The steps of an order's process, as its order, its fulfilment orders, its shipments and its jobs tell them. Pure.

use std::collections::HashMap;

use super::model::{ProcessState, Step, StepKind, StepState, Verb};
use crate::{
    connectors,
    error::{Error, Result},
    fulfilment::{
        self, Command, FulfilmentOrder, FulfilmentState, HoldKind, Shipment, ShipmentState, carriers,
        tracking::{ClaimKind, ShipmentClaim, Tracking},
    },
    jobs::{QueuedJob, Standing},
    kernel::{Action, Instant, ids::FulfilmentOrderId},
    orders::{OrderDocument, OrderState},
};

impl Step {
    fn new(step: StepKind, subject: Option<String>, state: StepState, since: Instant) -> Self {
        Self {
            step,
            subject,
            state,
            waits_for: None,
            since,
            due_at: None,
            attempts: None,
            next_try: None,
            error: None,
            actions: Vec::new(),
        }
    }

    fn waiting_for(self, what: impl Into<String>) -> Self {
        Self { waits_for: Some(what.into()), ..self }
    }

    fn can(mut self, verb: Verb) -> Self {
        self.actions.push(Action::of(verb.as_str(), Ok::<(), Error>(())));
        self
    }

    /// That somebody may decide this about it.
    ///
    /// # Errors
    /// `state_conflict`.
    pub(super) fn allows(&self, verb: Verb) -> Result<()> {
        match self.actions.iter().any(|action| action.command == verb.as_str()) {
            true => Ok(()),
            false => Err(Error::conflict(format!("the step `{}` is {}: it takes no `{verb}`", self.step, self.state))),
        }
    }
}

/// The fulfilment orders that lack goods, with when these come: none where nobody knows.
pub(super) type Lacking = HashMap<FulfilmentOrderId, Option<Instant>>;

/// What is known of an order beside its document.
pub(super) struct Known<'a> {
    pub fulfilments: &'a [FulfilmentOrder],
    pub lacking: &'a Lacking,
    pub shipments: &'a [Shipment],
    /// Those of its parcels that did not arrive, which somebody has to see to.
    pub claims: &'a [ShipmentClaim],
    pub jobs: &'a [QueuedJob],
}

/// All steps of an order.
pub(super) fn all(now: Instant, order: &OrderDocument, known: &Known<'_>) -> Vec<Step> {
    let placed = Step::new(StepKind::Place, None, StepState::Done, order.placed_at);
    let left = order.lines.iter().any(|line| line.quantities.open() > 0) && order.state == OrderState::Placed;
    let mut steps = vec![if left { placed.can(Verb::Compensate) } else { placed }];
    for one in known.fulfilments {
        steps.extend(of_work(now, one, known.lacking.get(&one.id).copied()));
        let own = known.shipments.iter().filter(|shipment| shipment.fulfilment_order_id == one.id);
        let claim = |shipment: &Shipment| known.claims.iter().find(|claim| claim.shipment_id == shipment.id);
        steps.extend(own.filter_map(|shipment| of_shipment(shipment, claim(shipment))));
    }
    steps.extend(known.jobs.iter().filter_map(of_job));
    if !steps.iter().any(|step| step.step == StepKind::Capture) {
        steps.push(of_money(order));
    }
    steps
}

/// Where a process stands by its steps.
pub(super) fn state_of(steps: &[Step]) -> ProcessState {
    let any = |state: StepState| steps.iter().any(|step| step.state == state);
    match () {
        () if any(StepState::Stuck) => ProcessState::Stuck,
        () if any(StepState::Waiting) || any(StepState::Running) => ProcessState::Running,
        () => ProcessState::Done,
    }
}

/// What it waits for that lacks goods.
fn goods(comes: Option<Instant>) -> String {
    match comes {
        Some(at) => format!("goods: they come on {}", at.utc().format("%Y-%m-%d")),
        None => "goods: nobody knows when they come".to_owned(),
    }
}

/// The steps of what a location ships. `lacks` is when the goods come that it lacks, where it lacks any.
pub(super) fn of_work(now: Instant, one: &FulfilmentOrder, lacks: Option<Option<Instant>>) -> Vec<Step> {
    let new = |step, state, since| Step::new(step, Some(one.id.to_string()), state, since);
    if one.state == FulfilmentState::Cancelled {
        return vec![new(StepKind::Ship, StepState::Cancelled, one.state_since)];
    }
    let mut steps = Vec::with_capacity(6);
    // What is finished waits for nothing.
    let open = one.state.is_open();
    let live = || one.holds.iter().filter(|hold| open && hold.holds_at(now));
    let overdue = one.due_at < now;
    let lacks = lacks.filter(|_| open);
    let comes = lacks.flatten();
    steps.push(match (live().find(|hold| hold.kind == HoldKind::Stock), lacks) {
        (Some(hold), _) => {
            let step = new(StepKind::Source, StepState::Stuck, hold.placed_at);
            let come = comes.map(|at| format!("; they come on {}", at.utc().format("%Y-%m-%d"))).unwrap_or_default();
            let step = step.waiting_for(format!("goods: {}{come}", hold.reason)).can(Verb::Retry);
            Step { due_at: comes, ..step }
        }
        (None, Some(comes)) => {
            let state = if overdue { StepState::Stuck } else { StepState::Waiting };
            let step = new(StepKind::Source, state, one.created_at).waiting_for(goods(comes)).can(Verb::Retry);
            Step { due_at: comes, ..step }
        }
        (None, None) => new(StepKind::Source, StepState::Done, one.created_at),
    });
    let others: Vec<_> = live().filter(|hold| hold.kind != HoldKind::Stock).collect();
    if let Some(since) = others.iter().map(|hold| hold.placed_at).min() {
        let why: Vec<String> = others.iter().map(|hold| format!("{}: {}", hold.kind, hold.reason)).collect();
        let step = new(StepKind::Hold, StepState::Stuck, since).waiting_for(why.join("; ")).can(Verb::Skip);
        steps.push(Step { next_try: others.iter().filter_map(|hold| hold.expires_at).max(), ..step });
    }
    if let Some(by) = one.accept_by.filter(|_| open) {
        let state = if by < now { StepState::Stuck } else { StepState::Waiting };
        let step = new(StepKind::Accept, state, one.created_at).waiting_for("its location to accept it");
        steps.push(Step { due_at: Some(by), ..step.can(Verb::Skip) });
    }
    if let Some(request) = one.cancel_request.as_ref().filter(|_| open) {
        let step = new(StepKind::AnswerCancel, StepState::Stuck, request.at);
        steps.push(step.waiting_for(format!("its location to answer: {}", request.reason)));
    }
    for (kind, command, back) in [
        (StepKind::Pick, Command::Pick, Some(Command::Unpick)),
        (StepKind::Pack, Command::Pack, Some(Command::Unpack)),
        (StepKind::Ship, Command::Ship, None),
    ] {
        let left = one.counts().any(|counts| counts.left_for(command) > 0);
        let short = lacks.filter(|_| kind == StepKind::Pick);
        let step = match (left, overdue) {
            (false, _) => new(kind, StepState::Done, one.state_since),
            (true, true) if short.is_some() => new(kind, StepState::Stuck, one.due_at).waiting_for(goods(comes)),
            (true, false) if short.is_some() => {
                new(kind, StepState::Waiting, one.state_since).waiting_for(goods(comes))
            }
            (true, true) => new(kind, StepState::Stuck, one.due_at).waiting_for("its location: it is overdue"),
            (true, false) => new(kind, StepState::Waiting, one.state_since).waiting_for("its location"),
        };
        let done_some =
            |back: Command| one.state.takes(back).is_ok() && one.counts().any(|counts| counts.left_for(back) > 0);
        let step = if back.is_some_and(done_some) { step.can(Verb::Compensate) } else { step };
        steps.push(Step { due_at: left.then_some(one.due_at), ..step });
    }
    steps
}

/// The step of a parcel that did not arrive, which somebody has to see to.
pub(super) fn of_claim(claim: &ShipmentClaim) -> Step {
    let step = Step::new(StepKind::Deliver, Some(claim.shipment_id.to_string()), StepState::Stuck, claim.since);
    let why = match claim.kind {
        ClaimKind::Lost => "somebody to settle its claim: it is lost",
        ClaimKind::ReturnedToSender => "somebody to settle its claim: it comes back",
    };
    step.waiting_for(why).can(Verb::Compensate)
}

/// The step of a parcel; none of one that has not left after all.
fn of_shipment(one: &Shipment, claim: Option<&ShipmentClaim>) -> Option<Step> {
    let subject = Some(one.id.to_string());
    let step = match one.state {
        ShipmentState::Corrected => return None,
        ShipmentState::Delivered => {
            Step::new(StepKind::Deliver, subject, StepState::Done, one.delivered_at.unwrap_or(one.shipped_at))
        }
        ShipmentState::Shipped => {
            if let Some(claim) = claim {
                return Some(of_claim(claim));
            }
            let step = Step::new(StepKind::Deliver, subject, StepState::Waiting, one.shipped_at);
            step.waiting_for(match one.tracking {
                Tracking::FailedAttempt => "its carrier: the last attempt failed",
                _ => "its carrier",
            })
        }
    };
    Some(step.can(Verb::Compensate))
}

/// What a job of an order is a step of, by its kind.
fn kind_of(job: &str) -> Option<StepKind> {
    match job {
        fulfilment::CAPTURE => Some(StepKind::Capture),
        fulfilment::VOID => Some(StepKind::Void),
        fulfilment::REFUND => Some(StepKind::Refund),
        connectors::DISPATCH => Some(StepKind::Notify),
        fulfilment::REPLAN_SHORT | fulfilment::picking::REPLAN | fulfilment::pickups::REPLAN => Some(StepKind::Source),
        fulfilment::promises::REVIEW => Some(StepKind::Promise),
        carriers::BUY | carriers::VOID => Some(StepKind::Label),
        _ => None,
    }
}

/// The step that a job is at.
pub(super) fn of_job(job: &QueuedJob) -> Option<Step> {
    let new = |state| Step::new(kind_of(&job.kind)?, Some(job.id.to_string()), state, job.updated_at).into();
    let step: Option<Step> = match job.state {
        Standing::Leased => new(StepState::Running),
        Standing::Dead => new(StepState::Stuck),
        Standing::Ready | Standing::Later | Standing::Retrying => new(StepState::Waiting),
    };
    let step = step?;
    // What looks at an order again is a step only where it fails: that it is looked at keeps nothing waiting.
    let fails = matches!(job.state, Standing::Dead | Standing::Retrying);
    if !fails && matches!(step.step, StepKind::Source | StepKind::Promise) {
        return None;
    }
    let step = match job.state {
        Standing::Dead => step.waiting_for("somebody to decide").can(Verb::Retry).can(Verb::Skip),
        Standing::Retrying => step.waiting_for("its next try").can(Verb::Retry),
        _ => step,
    };
    let next_try = matches!(job.state, Standing::Later | Standing::Retrying).then_some(job.run_at);
    Some(Step { attempts: Some(job.attempt), next_try, error: job.last_error.clone(), ..step })
}

/// The step of money that no job is at.
fn of_money(order: &OrderDocument) -> Step {
    let money = order.money();
    let new = |state| Step::new(StepKind::Capture, None, state, order.placed_at);
    match () {
        () if order.state == OrderState::Cancelled => new(StepState::Cancelled),
        () if money.captured >= money.due => new(StepState::Done),
        () if order.lines.iter().any(|line| line.requires_shipping && line.quantities.open() > 0) => {
            new(StepState::Waiting).waiting_for("what is to leave")
        }
        () => new(StepState::Waiting).waiting_for("its money"),
    }
}
