//! What is to come has changed: whoever waits for it is looked at again, each order in a transaction of its own.

use serde::{Deserialize, Serialize};

use super::{
    service::{self, Knowing},
    store,
};
use crate::{
    channels::Directory,
    db::{Lane, Tx},
    error::Result,
    fulfilment::{Fresh, crossdock},
    http::State,
    jobs::{self, Job, NewJob, Runner, Verdict},
    kernel::{
        Id, Instant,
        ids::{JobId, OrderId, VariantId},
    },
    pricing::Rules,
    stock::{
        LevelKey, Locations,
        outlook::{self, ARRIVED, ArrivedGoods, CHANGED, ChangedLevels},
    },
};

/// The kind of the job that looks at one order again.
pub const REVIEW: &str = "promises.review";
/// So many orders are looked for at once.
const MOST: i64 = 500;
/// So often those are looked at again who are held for what a picker has not found: by the books nothing is missing there, so that nobody
/// tells them when it is found, or lies elsewhere.
const MISSED_SECONDS: i64 = 120;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Task {
    order: OrderId,
    /// Whether goods have come somewhere that it may wait for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    arrived: bool,
    /// What has come, where that is known: where all of it is gone by now, nothing is planned anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant: Option<VariantId>,
}

/// Has an order looked at again, after those of its looks that were asked for before.
pub(super) fn review_later(tx: &mut Tx, now: Instant, orders: &[OrderId]) -> Result<()> {
    review_all(tx, now, (orders, false))
}

/// By which the looks at an order come one after another.
fn key(order: &OrderId) -> String {
    format!("promise:{order}")
}

fn review_all(tx: &mut Tx, now: Instant, (orders, arrived): (&[OrderId], bool)) -> Result<()> {
    let job = |order: &OrderId| {
        let task = serde_json::to_value(Task { order: *order, arrived, variant: None })?;
        Ok(NewJob::now(REVIEW, now, task).in_order(key(order)))
    };
    jobs::enqueue(tx, now, orders.iter().map(job).collect::<Result<_>>()?)
}

/// Lets those look again who wait at levels of which somebody else waits no more.
pub(super) fn look_again_at(tx: &mut Tx, now: Instant, mut levels: Vec<LevelKey>) -> Result<()> {
    levels.sort_unstable();
    levels.dedup();
    let task = serde_json::to_value(ChangedLevels { levels, come: false, after: None })?;
    jobs::enqueue(tx, now, vec![NewJob::now(CHANGED, now, task)])
}

/// Has an order looked at again that was just given goods which have come: there may be more of them that it waits for.
pub(super) fn review_again(tx: &mut Tx, now: Instant, order: OrderId) -> Result<()> {
    review_all(tx, now, (&[order], true))
}

/// Has orders looked at again for which goods have come, one after another: who is in front gets them first.
fn offer(tx: &mut Tx, now: Instant, variant: VariantId, orders: &[(i64, Instant, OrderId)]) -> Result<()> {
    let job = |(.., order): &(i64, Instant, OrderId)| {
        let task = serde_json::to_value(Task { order: *order, arrived: true, variant: Some(variant) })?;
        Ok(NewJob::now(REVIEW, now, task).in_order(format!("goods:{variant}")))
    };
    jobs::enqueue(tx, now, orders.iter().map(job).collect::<Result<_>>()?)
}

/// Registers what is done beside requests.
pub fn register(state: &State, runner: &mut Runner) {
    let (found, arrived, looked) = (state.clone(), state.clone(), state.clone());
    runner.handle(ARRIVED, move |job| {
        let state = arrived.clone();
        async move { find_for(&state, job).await }
    });
    runner.handle(CHANGED, move |job| {
        let state = found.clone();
        async move { find(&state, job).await }
    });
    runner.handle(REVIEW, move |job| {
        let state = looked.clone();
        async move { look(&state, job).await }
    });
    let state = state.clone();
    runner.every("promises.missed", MISSED_SECONDS, move |now| {
        let state = state.clone();
        async move { look_for_missed(&state, now).await }
    });
}

/// Has those looked at again who are held for what a picker has not found.
async fn look_for_missed(state: &State, now: Instant) -> Result<()> {
    let mut after = None;
    loop {
        let (mut found, queued) = state
            .db
            .read(move |tx| {
                let found = store::held_for_missed(tx, after, MOST)?;
                let keys: Vec<String> = found.iter().map(key).collect();
                Ok((found, jobs::queued_among(tx, &keys)?))
            })
            .await?;
        after = found.last().copied();
        let more = i64::try_from(found.len()) == Ok(MOST);
        // Who is to be looked at anyway is not looked at twice, however slow that goes.
        found.retain(|order| !queued.contains(&key(order)));
        if !found.is_empty() {
            state.db.write_in(Lane::Bulk, move |tx| review_all(tx, now, (&found, true))).await?;
        }
        if !more {
            return Ok(());
        }
    }
}

/// Finds the orders that wait at levels to which something else is to come.
async fn find(state: &State, job: Job) -> Result<Verdict> {
    let task: ChangedLevels = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let now = state.clock.now();
    state
        .db
        .write_in(Lane::Bulk, move |tx| {
            job.finish(tx)?;
            let waiting = store::waiting_at(tx, &task.levels, task.after, MOST)?;
            let last = waiting.last().copied().filter(|_| i64::try_from(waiting.len()) == Ok(MOST));
            if last.is_some() {
                let rest = serde_json::to_value(ChangedLevels { after: last, ..task.clone() })?;
                let id: JobId = Id::new();
                jobs::enqueue(tx, now, vec![NewJob { id, ..NewJob::now(CHANGED, now, rest) }])?;
            }
            let served =
                if task.come && task.after.is_some() { served(tx, now, &task.levels, waiting)? } else { waiting };
            review_later(tx, now, &served)
        })
        .await?;
    Ok(Verdict::Settled)
}

/// Those of orders that lack nothing any more at levels to which goods have come. Of one piece that comes back for which ten thousand
/// wait, one is looked at, and not ten thousand that wait on.
fn served(tx: &mut Tx, now: Instant, levels: &[LevelKey], waiting: Vec<OrderId>) -> Result<Vec<OrderId>> {
    let mut lacking = Vec::new();
    for (variant, location) in levels {
        lacking
            .extend(crossdock::lacking(tx, now, *location, &[*variant])?.into_iter().map(|one| one.fulfilment_order));
    }
    let lacking = store::orders_of(tx, &lacking)?;
    Ok(waiting.into_iter().filter(|order| !lacking.contains(order)).collect())
}

/// Finds the orders that wait for goods of which some have come, in the order in which they are served.
async fn find_for(state: &State, job: Job) -> Result<Verdict> {
    let task: ArrivedGoods = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let now = state.clock.now();
    state
        .db
        .write_in(Lane::Bulk, move |tx| {
            job.finish(tx)?;
            let waiting = store::waiting_for(tx, task.variant, task.after, MOST)?;
            offer(tx, now, task.variant, &waiting)?;
            match waiting.last().filter(|_| i64::try_from(waiting.len()) == Ok(MOST)) {
                Some(last) if outlook::lies_free(tx, task.variant)? => {
                    let rest = serde_json::to_value(ArrivedGoods { after: Some(*last), ..task })?;
                    // Once those in front have looked: what they take is not for the next.
                    let job = NewJob::now(ARRIVED, now, rest).in_order(format!("goods:{}", task.variant));
                    jobs::enqueue(tx, now, vec![job])
                }
                // Nothing is left for who stands behind these.
                _ => Ok(()),
            }
        })
        .await?;
    Ok(Verdict::Settled)
}

async fn look(state: &State, job: Job) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let locations = state.db.snapshot::<Locations>().await?;
    let (directory, rules) = (state.db.snapshot::<Directory>().await?, state.db.snapshot::<Rules>().await?);
    let now = state.clock.now();
    state
        .db
        .write_in(Lane::Bulk, move |tx| {
            job.finish(tx)?;
            let knowing = Knowing { now, locations: &locations, directory: &directory, rules: &rules };
            let lies = match task.variant {
                Some(variant) => outlook::lies_free(tx, variant)?,
                None => true,
            };
            service::review(tx, knowing, &mut Fresh::of(job.id).draw(), (task.order, task.arrived && lies))
        })
        .await?;
    Ok(Verdict::Settled)
}
