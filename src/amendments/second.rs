//! Amendments that give more away than one person may alone: a second one approves them, and they are confirmed then, once.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    confirm::{How, Ids},
    model::{Amendment, AmendmentState},
    service::{self, Made},
    store,
};
use crate::{
    carts::Context,
    countersign::{self, Asking, Ceilinged, CountersignRequest, CountersignSubject},
    db::Tx,
    error::{Error, Result},
    http::State,
    jobs::{Job, Runner, Verdict},
    kernel::{
        Actor, Instant, Money,
        ids::{AmendmentId, CountersignRequestId, EventId, OrderId},
    },
    orders::OrderDocument,
};

/// How an amendment is let through that gives more away than one person may alone.
#[derive(Debug, Clone)]
pub(super) enum Second {
    /// A second person is asked, by these ids.
    Ask((CountersignRequestId, EventId)),
    /// One has approved it.
    Approved {
        /// At which version of the amendment.
        version: i64,
        /// Who.
        by: String,
    },
}

impl Second {
    /// That it was approved as the amendment is.
    ///
    /// # Errors
    /// `version_stale`.
    pub fn is_for(&self, one: &Amendment) -> Result<()> {
        match self {
            Self::Approved { version, .. } if *version != one.version => Err(Error::stale("amendment", one.version)),
            _ => Ok(()),
        }
    }

    /// Who has approved it.
    pub fn by(&self) -> Option<String> {
        match self {
            Self::Ask(_) => None,
            Self::Approved { by, .. } => Some(by.clone()),
        }
    }
}

/// What is done once it is approved.
#[derive(Debug, Serialize, Deserialize)]
struct What {
    order: OrderId,
    amendment: AmendmentId,
    order_version: i64,
    version: i64,
}

/// Asks for a second person where what the order's amendments have given away without one, and this, are together above what one gives away
/// alone. The amendment stays open as long as somebody can decide. The order is locked. `None` where nobody has to be asked.
///
/// # Errors
/// `version_stale` where the amendment has changed meanwhile.
pub(super) fn ask(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    ids: (CountersignRequestId, EventId),
    (order, one, given): (&OrderDocument, &Amendment, i64),
) -> Result<Option<CountersignRequest>> {
    if given == 0 {
        return Ok(None);
    }
    let alone = store::of_orders(tx, &[order.id])?.into_iter();
    let alone = alone.filter(|one| one.state == AmendmentState::Confirmed && one.kept.approved_by.is_none());
    let so_far = alone.fold(given, |sum, one| sum.saturating_add(one.kept.given));
    let money = |minor| Money::from_minor(minor, order.currency);
    if !countersign::above(tx, actor, Ceilinged::Override, order.channel_id, money(so_far))? {
        return Ok(None);
    }
    // Who confirms it again, as it is, is told what it waits for already.
    let waits = countersign::waiting_of(tx, now, order.id)?.into_iter().find(|request| {
        let what = serde_json::from_value::<What>(request.what.clone());
        what.is_ok_and(|what| {
            (what.amendment, what.version, what.order_version) == (one.id, one.version, order.version)
        })
    });
    if waits.is_some() {
        return Ok(waits);
    }
    if !store::extend(tx, one, countersign::until(now))? {
        return Err(Error::stale("amendment", one.version));
    }
    let subject = CountersignSubject {
        order_id: Some(order.id),
        order_version: Some(order.version),
        amendment_id: Some(one.id),
        bulk_id: None,
    };
    let (amendment, order_version, version) = (one.id, order.version, one.version + 1);
    // Whoever agreed a price does not approve it, whoever confirms it.
    let authors: BTreeSet<String> = one.kept.edits.iter().map(|edit| edit.by.clone()).collect();
    let asking = Asking {
        ids,
        authors: authors.into_iter().collect(),
        kind: Ceilinged::Override,
        channel: Some(order.channel_id),
        subject,
        amounts: vec![money(given)],
        reason: one.told_reason(),
        what: json!(What { order: order.id, amendment, order_version, version }),
    };
    countersign::ask(tx, now, actor, &asking).map(Some)
}

/// Registers the job that confirms what was approved.
pub fn work(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(Ceilinged::Override.job(), move |job| make(state.clone(), job));
}

async fn make(state: State, job: Job) -> Result<Verdict> {
    let Some(request) = countersign::of_job(&state, &job).await? else { return Ok(Verdict::Done) };
    let what: What = serde_json::from_value(request.what.clone())?;
    let channel = request.channel_id.ok_or_else(|| Error::internal("an amendment of no channel was approved"))?;
    let context = Context::of(&state, channel, state.clock.now()).await?;
    let ids = Ids::new();
    let work = move |tx: &mut Tx, _: Instant, request: &CountersignRequest| {
        let by = request.decided_by.clone().unwrap_or_default();
        let second = Second::Approved { version: what.version, by };
        let (actor, of) = (request.by.actor(), (what.order, what.amendment));
        let how = How { expected: what.order_version, second: &second, ask: None };
        match service::confirm(tx, &context, &actor, &ids, of, &how)? {
            Made::Done(..) => Ok(()),
            Made::Waits(_) => Err(Error::internal("what was approved is asked for again")),
        }
    };
    countersign::run(&state, job, request, work).await
}
