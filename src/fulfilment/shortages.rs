//! Goods that orders had and that are gone: counted away, damaged, blocked, expired. Whoever has the youngest claim to them is planned anew
//! with what lies elsewhere; what lies nowhere waits, held for `stock`, and its promise is moved to when goods come.
//!
//! Everything is decided under the lock of the order, by what lies there then: what was shipped or has come meanwhile is not planned anew,
//! and looking twice changes nothing.

use serde::{Deserialize, Serialize};

use super::{
    crossdock, dropship,
    ids::{Draw, Fresh},
    model::{Command, FulfilmentOrder, Pieces},
    moves::{OnShelf, Replan, replan_locked},
    promises, replans,
    service::start,
};
use crate::{
    channels::Directory,
    db::{Lane, Tx},
    error::{Code, Error, Result},
    http::State,
    jobs::{self, Job, NewJob, Runner, Verdict},
    kernel::{
        Actor, Instant, Quantity,
        ids::{FulfilmentOrderId, VariantId},
    },
    orders::{OrderDocument, OrderState},
    stock::{Locations, SHORT, ShortLevel},
};

/// The kind of the job that plans anew what one fulfilment order lacks.
pub const REPLAN: &str = "fulfilment.replan_short";
/// Who plans anew.
pub(super) const ACTOR: Actor = Actor::System("shortages");
/// So many fulfilment orders are found at once.
const MOST: usize = 500;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Task {
    work: FulfilmentOrderId,
    variant: VariantId,
}

impl Task {
    fn job(self, now: Instant) -> Result<NewJob> {
        Ok(replans::in_turn(self.work, NewJob::now(REPLAN, now, serde_json::to_value(self)?)))
    }
}

/// Registers what is done beside requests.
pub(super) fn register(state: &State, runner: &mut Runner) {
    let (found, planned) = (state.clone(), state.clone());
    runner.handle(SHORT, move |job| {
        let state = found.clone();
        async move { find(&state, job).await }
    });
    runner.handle(REPLAN, move |job| {
        let state = planned.clone();
        async move { perform(&state, job).await }
    });
}

/// Finds whose goods are gone.
async fn find(state: &State, job: Job) -> Result<Verdict> {
    let task: ShortLevel = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let now = state.clock.now();
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        let (variant, location) = task.level;
        let lacking = crossdock::lacking(tx, now, location, &[variant])?;
        let mut works: Vec<FulfilmentOrderId> = lacking.iter().map(|one| one.fulfilment_order).collect();
        works.retain(|work| task.after.is_none_or(|after| *work > after));
        works.sort_unstable();
        works.dedup();
        let more = works.len() > MOST;
        works.truncate(MOST);
        let told = works.iter().map(|work| Task { work: *work, variant }.job(now));
        let mut told = told.collect::<Result<Vec<_>>>()?;
        if more {
            told.push(ShortLevel { after: works.last().copied(), ..task.clone() }.job(now)?);
        }
        if told.is_empty() { Ok(()) } else { jobs::enqueue(tx, now, told) }
    });
    written.await?;
    Ok(Verdict::Settled)
}

async fn perform(state: &State, job: Job) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let (locations, directory) = (state.db.snapshot::<Locations>().await?, state.db.snapshot::<Directory>().await?);
    let now = state.clock.now();
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        let (mut order, mut work) = start(tx, &ACTOR, task.work)?;
        if order.state != OrderState::Placed || !work.state.is_open() {
            return Ok(());
        }
        let again = || replans::in_turn(task.work, NewJob::now(REPLAN, now, job.payload.clone()));
        if replans::is_asked(tx, now, &work, again)? {
            return Ok(());
        }
        let later = directory.get(order.channel_id)?.settings.due_hours.is_none();
        let fresh = Fresh::of(job.id);
        plan(tx, now, &mut fresh.draw(), (&mut order, &mut work), (task.variant, later, &locations))
    });
    match written.await {
        Err(Error::Problem(problem)) if problem.code == Code::NotFound => Ok(Verdict::Done),
        Err(error) => Err(error),
        Ok(()) => Ok(Verdict::Settled),
    }
}

/// Plans anew what a fulfilment order lacks of a variant, of an order that is locked.
fn plan(
    tx: &mut Tx,
    now: Instant,
    draw: &mut Draw<'_>,
    (order, work): (&mut OrderDocument, &mut FulfilmentOrder),
    (variant, later, locations): (VariantId, bool, &Locations),
) -> Result<()> {
    let lacking = crossdock::lacking(tx, now, work.location_id, &[variant])?;
    let own = lacking.iter().filter(|one| one.fulfilment_order == work.id).filter_map(|one| {
        let line = work.lines.iter().find(|line| line.line_no == one.line_no)?;
        Some((one.line_no, one.quantity.min(line.counts.left_for(Command::Move)))).filter(|(_, pieces)| *pieces > 0)
    });
    let pieces =
        own.map(|(line_no, pieces)| Ok(Pieces { line_no, quantity: Quantity::new(pieces).map_err(Error::internal)? }));
    let pieces = pieces.collect::<Result<Vec<_>>>()?;
    // What its supplier has said that they ship they ship: a level set lower may have what they took for it off already.
    if pieces.is_empty() || !dropship::acknowledged(tx, &[work.id])?.is_empty() {
        return Ok(());
    }
    // What was sold before it was there waits for goods anyway, and is not held for it.
    let waits = promises::waits(tx, order.id)?;
    promises::await_goods(tx, now, order.id)?;
    let what = Replan {
        pieces: Some(pieces),
        exclude: vec![work.location_id],
        reason: Some("its goods are not there any more".to_owned()),
        on_shelf: Some(OnShelf { before: None, partly: !waits }),
        later,
        ..Replan::default()
    };
    replan_locked(tx, now, (&ACTOR, Command::Move), draw, (order, work), (&what, locations)).map(|_| ())
}
