//! Refunds above what one person gives back alone: a second one approves them, and they are made then, once.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    api::UnappliedRequest,
    refunds::{self, RefundOf, RefundView, Refunded},
    store,
    targets::{GiveTo, RefundTo},
    unapplied,
};
use crate::{
    countersign::{self, Asking, Ceilinged, CountersignRequest, CountersignSubject, Wanted},
    db::Tx,
    error::{Error, Result},
    fulfilment::{Fresh, second::no_new_card},
    http::State,
    jobs::{Job, Runner, Verdict},
    kernel::{
        Actor, Instant, Money,
        ids::{CountersignRequestId, EventId, OrderId},
    },
    orders::{self, OrderDocument},
    payments::Target,
};

/// How a refund is let through that is above what one person gives back alone.
#[derive(Debug, Clone)]
pub(super) enum Second {
    /// A second person is asked, by these ids.
    Ask((CountersignRequestId, EventId)),
    /// One has approved it.
    Approved {
        /// What they have approved: the refund has the same id, so that there is one.
        request: CountersignRequestId,
        /// On which version of the order.
        version: i64,
        /// Who.
        by: String,
    },
}

impl Second {
    /// That it was approved for the order as it is.
    ///
    /// # Errors
    /// `version_stale`.
    pub fn is_for(&self, order: &OrderDocument) -> Result<()> {
        match self {
            Self::Approved { version, .. } if *version != order.version => Err(Error::stale("order", order.version)),
            _ => Ok(()),
        }
    }
}

/// What is done once it is approved.
#[derive(Debug, Serialize, Deserialize)]
struct What {
    order: OrderId,
    version: i64,
    refund: RefundOf,
    to: RefundTo,
}

/// Asks for a second person where what was given back of the order without one, and this, are together above what one gives back alone. The
/// order is locked, so that of two at once the second sees the first. `None` where nobody has to be asked.
///
/// # Errors
/// `invalid_value` for a new gift card: its code would be told nobody.
pub(super) fn ask(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    ids: (CountersignRequestId, EventId),
    order: &OrderDocument,
    (what, to, parts): (&RefundOf, &GiveTo, &RefundView),
) -> Result<Option<CountersignRequest>> {
    let alone = store::refunds(tx, order.id)?.into_iter().filter(|one| one.approved_by.is_none());
    let so_far = alone.fold(0_i64, |sum, one| sum.saturating_add(one.amount.minor()));
    let together = Money::from_minor(so_far.saturating_add(parts.amount.minor()), order.currency);
    if !countersign::above(tx, actor, Ceilinged::Refund, order.channel_id, together)? {
        return Ok(None);
    }
    let to = to.wanted();
    if to.to == Target::GiftCard && to.gift_card_id.is_none() {
        let detail =
            "a second person has to approve it, and nobody would be told the code of a new card: name a gift card";
        return Err(Error::invalid("/gift_card_id", detail));
    }
    let subject = CountersignSubject {
        order_id: Some(order.id),
        order_version: Some(order.version),
        ..CountersignSubject::default()
    };
    let asking = Asking {
        ids,
        kind: Ceilinged::Refund,
        channel: Some(order.channel_id),
        subject,
        amounts: vec![parts.amount],
        reason: Some(what.reason.clone()),
        authors: Vec::new(),
        job: None,
        what: json!(What { order: order.id, version: order.version, refund: what.clone(), to }),
    };
    countersign::ask(tx, now, actor, &asking).map(Some)
}

/// What of what was paid too much is given back once it is approved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    order: OrderId,
    version: i64,
    body: UnappliedRequest,
}

/// What is asked for where that needs a second person.
pub(super) fn wanted(tx: &mut Tx, id: OrderId, (body, to): (&UnappliedRequest, &GiveTo)) -> Result<Wanted<Kept>> {
    no_new_card(to, "")?;
    let order = orders::lock(tx, id)?;
    Ok(Wanted {
        channel: Some(order.channel_id),
        subject: CountersignSubject {
            order_id: Some(id),
            order_version: Some(order.version),
            ..CountersignSubject::default()
        },
        reason: Some(body.reason.to_string()),
        authors: Vec::new(),
        job: None,
        what: Kept { order: id, version: order.version, body: body.clone() },
    })
}

async fn give_back(state: State, job: Job) -> Result<Verdict> {
    let Some(request) = countersign::of_job(&state, &job).await? else { return Ok(Verdict::Done) };
    let (fresh, Kept { order, version, body }) = (Fresh::of(job.id), request.wanted()?);
    let to = body.to()?;
    let work = move |tx: &mut Tx, now: Instant, request: &CountersignRequest| {
        let actor = request.by.countersigned();
        request.is_for("order", version, orders::lock(tx, order)?.version)?;
        unapplied::give_back(tx, now, &actor, &fresh, order, (body.amount, &to, &body.reason)).map(drop)
    };
    countersign::run(&state, job, request, work).await
}

/// Registers the jobs that make what was approved.
pub(super) fn register(state: &State, runner: &mut Runner) {
    let own = state.clone();
    runner.handle(Ceilinged::Overpayment.job(), move |job| give_back(own.clone(), job));
    let state = state.clone();
    runner.handle(Ceilinged::Refund.job(), move |job| make(state.clone(), job));
}

async fn make(state: State, job: Job) -> Result<Verdict> {
    let Some(request) = countersign::of_job(&state, &job).await? else { return Ok(Verdict::Done) };
    let fresh = Fresh::of(job.id);
    let what: What = serde_json::from_value(request.what.clone())?;
    let to = GiveTo::of(Some(what.to), "")?;
    let work = move |tx: &mut Tx, now: Instant, request: &CountersignRequest| {
        let second = Second::Approved {
            request: request.id,
            version: what.version,
            by: request.decided_by.clone().unwrap_or_default(),
        };
        let actor = request.by.countersigned();
        match refunds::refund(tx, (now, &actor), &fresh, what.order, (&what.refund, &to), &second)? {
            Refunded::Done(..) => Ok(()),
            Refunded::Waits(_) => Err(Error::internal("what was approved is asked for again")),
        }
    };
    countersign::run(&state, job, request, work).await
}
