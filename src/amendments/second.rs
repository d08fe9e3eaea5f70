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
    error::{Code, Error, Result},
    fulfilment::{self, requests::Asked},
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
    /// What is asked for by a link once it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ask: Option<Asked>,
}

/// Asks for a second person where what the order's amendments have given away without one, and this, are together above what one gives away
/// alone. The amendment stays open as long as somebody can decide. The order is locked. `None` where nobody has to be asked.
///
/// # Errors
/// `version_stale` where the amendment has changed meanwhile.
pub(super) fn ask(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    (ids, again): ((CountersignRequestId, EventId), EventId),
    (order, one, (given, back)): (&OrderDocument, &Amendment, (i64, i64)),
    wish: Option<&Asked>,
) -> Result<Option<CountersignRequest>> {
    if given == 0 && back <= 0 {
        return Ok(None);
    }
    let alone = store::of_orders(tx, &[order.id])?.into_iter();
    let alone = alone.filter(|one| one.state == AmendmentState::Confirmed && one.kept.approved_by.is_none());
    let so_far = alone.fold(given, |sum, one| sum.saturating_add(one.kept.given));
    let money = |minor| Money::from_minor(minor, order.currency);
    let gives = given > 0 && countersign::above(tx, actor, Ceilinged::Override, order.channel_id, money(so_far))?;
    // What goes back passes the gate of cancellations, and is written down there where nobody has to be asked.
    if !gives && alone_back(tx, (now, actor), (order, back))? {
        return Ok(None);
    }
    // Who confirms it again, as it is, is told what it waits for already.
    for request in countersign::waiting_of(tx, now, order.id)? {
        let Ok(what) = serde_json::from_value::<What>(request.what.clone()) else { continue };
        if (what.amendment, what.version, what.order_version) != (one.id, one.version, order.version) {
            continue;
        }
        if what.ask.as_ref() == wish {
            return Ok(Some(request));
        }
        // Of one amendment one request waits: that with the last wish.
        countersign::withdraw_of(tx, (now, actor), again, (order.id, one.id, "it was confirmed with another wish"))?;
    }
    if !store::extend(tx, one, countersign::until(now))? {
        return Err(Error::stale("amendment", one.version));
    }
    let subject = CountersignSubject {
        order_id: Some(order.id),
        order_version: Some(order.version),
        amendment_id: Some(one.id),
        ..CountersignSubject::default()
    };
    let (amendment, order_version, version) = (one.id, order.version, one.version + 1);
    // Whoever agreed a price does not approve it, whoever confirms it.
    let authors: BTreeSet<String> = one.kept.edits.iter().map(|edit| edit.by.clone()).collect();
    let asking = Asking {
        ids,
        authors: authors.into_iter().collect(),
        job: None,
        kind: Ceilinged::Override,
        channel: Some(order.channel_id),
        subject,
        amounts: vec![money(given.max(back))],
        reason: one.told_reason(),
        what: json!(What { order: order.id, amendment, order_version, version, ask: wish.cloned() }),
    };
    countersign::ask(tx, now, actor, &asking).map(Some)
}

/// Whether one person gives so much of an order back alone.
fn alone_back(tx: &mut Tx, by: (Instant, &Actor), (order, back): (&OrderDocument, i64)) -> Result<bool> {
    match fulfilment::gives_back(tx, by, order, back) {
        Ok(()) => Ok(true),
        Err(error) if error.code() == Code::SecondPersonNeeded => Ok(false),
        Err(error) => Err(error),
    }
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
    let secret = state.secret.clone();
    let work = move |tx: &mut Tx, _: Instant, request: &CountersignRequest| {
        let by = request.decided_by.clone().unwrap_or_default();
        let second = Second::Approved { version: what.version, by };
        let (actor, of) = (request.by.countersigned(), (what.order, what.amendment));
        // Its link is told nobody here: who wants it has another one made.
        let ask = what.ask.as_ref().map(|asked| (asked, &*secret));
        let how = How { expected: what.order_version, second: &second, ask };
        match service::confirm(tx, &context, &actor, &ids, of, &how)? {
            Made::Done(..) => Ok(()),
            Made::Waits(_) => Err(Error::internal("what was approved is asked for again")),
        }
    };
    countersign::run(&state, job, request, work).await
}
