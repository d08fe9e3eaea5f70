//! What waits, asked of the slices; claiming and letting go.

use super::{
    model::{Claim, WorkItem, WorkList, WorkListSummary},
    store,
};
use crate::{
    carts, connectors,
    db::{Lane, Tx},
    error::{Code, Error, Result},
    exports, fulfilment,
    http::State,
    jobs::{self, Runner},
    kernel::{
        Actor, Instant, Waiting,
        ids::{CartId, OrderId},
    },
    orders, payments, returns,
};

/// How far lists are counted.
const CAP: i64 = 1000;
/// How far an item is looked for that is to be claimed.
const DEEP: i64 = 10_000;
/// A job that should have run so many seconds ago is stuck.
const STUCK_SECONDS: i64 = 600;
/// An order may be unpaid for so long before somebody has to look.
const UNPAID_DAYS: i64 = 7;
/// Claims that nobody touches are kept for so long.
const CLAIM_DAYS: i64 = 90;

/// Registers the tidying up.
pub fn work(state: &State, runner: &mut Runner) {
    let db = state.db.clone();
    runner.every("worklists.tidy", 3600, move |now| {
        let db = db.clone();
        async move {
            let before = now.plus_seconds(-CLAIM_DAYS * 86_400);
            db.write_quietly(Lane::Bulk, move |tx| store::tidy(tx, now, before)).await.map(|_| ())
        }
    });
}

/// The name under which an actor claims.
pub(super) fn name(actor: &Actor) -> String {
    match actor {
        Actor::Staff(principal) | Actor::Client(principal) => principal.subject.clone(),
        Actor::System(_) | Actor::Shopper(_) => actor.label(),
    }
}

/// Up to so many items that wait in a list and that the actor may see, the oldest first; fewer only where there are no more.
fn waiting(tx: &mut Tx, actor: &Actor, now: Instant, list: WorkList, limit: i64) -> Result<Vec<Waiting>> {
    // What belongs to no channel and no location is for those who are limited to none.
    let unlimited = !actor.is_limited();
    let mut found = match list {
        WorkList::PaidWithoutOrder => of_channels(tx, actor, limit, payments::without_order)?,
        WorkList::FailedPayments => of_channels(tx, actor, limit, payments::failures)?,
        WorkList::RefundsToPay => of_channels(tx, actor, limit, payments::to_pay_out)?,
        WorkList::OpenDisputes => of_channels(tx, actor, limit, payments::disputes::waiting)?,
        WorkList::OverpaidOrders => of_channels(tx, actor, limit, payments::overpaid)?,
        WorkList::DeadJobs if unlimited => jobs::waiting_dead(tx, limit)?,
        WorkList::StuckJobs if unlimited => jobs::waiting_stuck(tx, now.plus_seconds(-STUCK_SECONDS), limit)?,
        WorkList::ParkedFeedItems if unlimited => exports::waiting_parked(tx, limit)?,
        WorkList::DeadJobs | WorkList::StuckJobs | WorkList::ParkedFeedItems => Vec::new(),
        WorkList::DeadDispatches => connectors::waiting_dead(tx, actor, limit)?,
        WorkList::ReconciliationDifferences => connectors::runs::waiting(tx, actor, limit)?,
        WorkList::UnshippedPastDue => fulfilment::waiting_past_due(tx, actor, now, limit)?,
        WorkList::UndeliveredParcels => fulfilment::tracking::waiting(tx, actor, limit)?,
        WorkList::FailedAttempts => fulfilment::waiting_attempts(tx, actor, limit)?,
        WorkList::Uncollected => fulfilment::waiting_uncollected(tx, actor, now, limit)?,
        WorkList::ReturnsWaiting => returns::waiting(tx, actor, limit)?,
        WorkList::WithdrawalsDue => returns::withdrawals::waiting(tx, actor, now, limit)?,
        WorkList::OpenClaims => returns::claims::waiting(tx, actor, limit)?,
        WorkList::UnpaidOrders => orders::waiting_unpaid(tx, actor, now.plus_seconds(-UNPAID_DAYS * 86_400), limit)?,
    };
    found.sort_by(|a, b| (a.since, &a.id).cmp(&(b.since, &b.id)));
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// Leaves out what was paid for carts of channels that the actor does not see, and reads on as long as others may come.
fn of_channels(
    tx: &mut Tx,
    actor: &Actor,
    limit: i64,
    read: impl Fn(&mut Tx, i64) -> Result<Vec<(CartId, Waiting)>>,
) -> Result<Vec<Waiting>> {
    let mut deep = limit;
    loop {
        let found = read(tx, deep)?;
        let all = length(&found) < deep;
        if actor.channels().is_none() || found.is_empty() {
            return Ok(found.into_iter().map(|(_, waiting)| waiting).collect());
        }
        let carts: Vec<CartId> = found.iter().map(|(cart, _)| *cart).collect();
        let mut channels = carts::channels(tx, &carts)?;
        // Payments of orders that came of no cart are kept under one that their order names.
        let none = carts.iter().filter(|cart| !channels.contains_key(cart));
        let none: Vec<OrderId> = none.map(|cart| OrderId::from_bytes(*cart.bytes())).collect();
        channels.extend(
            orders::heads(tx, &none)?.into_iter().map(|(id, head)| (CartId::from_bytes(*id.bytes()), head.channel_id)),
        );
        let seen = found.into_iter().filter(|(cart, _)| channels.get(cart).is_some_and(|id| actor.sees_channel(*id)));
        let seen: Vec<Waiting> = seen.map(|(_, waiting)| waiting).collect();
        if all || length(&seen) >= limit {
            return Ok(seen);
        }
        deep = deep.saturating_mul(DEEPER);
    }
}

/// Where too little of what was read is shown, so many times as much is read.
const DEEPER: i64 = 4;

fn length<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

/// Joins what waits with who looks after it: one statement for any number of lists.
fn with_claims(tx: &mut Tx, found: Vec<(WorkList, Waiting)>) -> Result<Vec<(WorkList, WorkItem)>> {
    let keys: Vec<(WorkList, String)> = found.iter().map(|(list, waiting)| (*list, waiting.id.clone())).collect();
    let mut claims = store::claims(tx, &keys)?;
    let item = |(list, waiting): (WorkList, Waiting)| {
        let claim = claims.remove(&(list, waiting.id.clone()));
        (list, WorkItem::new(waiting, claim))
    };
    Ok(found.into_iter().map(item).collect())
}

/// All lists in short.
pub(super) fn summaries(tx: &mut Tx, actor: &Actor, now: Instant) -> Result<Vec<WorkListSummary>> {
    let mut found = Vec::new();
    for list in WorkList::ALL {
        found.extend(waiting(tx, actor, now, *list, CAP)?.into_iter().map(|waiting| (*list, waiting)));
    }
    let items = with_claims(tx, found)?;
    let summary = |list: &WorkList| {
        let own: Vec<WorkItem> = items.iter().filter(|(of, _)| of == list).map(|(_, item)| item.clone()).collect();
        let more = own.len() >= usize::try_from(CAP).unwrap_or(usize::MAX);
        WorkListSummary::of(*list, &own, more, now)
    };
    Ok(WorkList::ALL.iter().map(summary).collect())
}

/// Up to so many items of a list, the oldest first, after a place; those that sleep only when asked for.
pub(super) fn items(
    tx: &mut Tx,
    actor: &Actor,
    now: Instant,
    (list, snoozed): (WorkList, bool),
    after: Option<(Instant, String)>,
    limit: i64,
) -> Result<Vec<WorkItem>> {
    let later = |item: &WorkItem| after.as_ref().is_none_or(|(at, id)| (item.since, &item.id) > (*at, id));
    let mut deep = limit.max(CAP);
    loop {
        let found = waiting(tx, actor, now, list, deep)?;
        let all = length(&found) < deep;
        let items = with_claims(tx, found.into_iter().map(|waiting| (list, waiting)).collect())?;
        let items = items.into_iter().map(|(_, item)| item);
        let shown = items.filter(|item| later(item) && (snoozed || !item.sleeps(now)));
        let shown: Vec<WorkItem> = shown.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect();
        if all || length(&shown) >= limit {
            return Ok(shown);
        }
        deep = deep.saturating_mul(DEEPER);
    }
}

/// An item of a list.
fn item(tx: &mut Tx, actor: &Actor, now: Instant, list: WorkList, id: &str) -> Result<WorkItem> {
    let found = waiting(tx, actor, now, list, DEEP)?.into_iter().find(|waiting| waiting.id == id);
    let found = found.ok_or_else(|| Error::not_found("work item"))?;
    let mut items = with_claims(tx, vec![(list, found)])?;
    items.pop().map(|(_, item)| item).ok_or_else(|| Error::internal("a work item was lost"))
}

/// Claims an item.
///
/// # Errors
/// `not_found` when nothing of that id waits; `state_conflict` when somebody else looks after it.
pub(super) fn claim(
    tx: &mut Tx,
    actor: &Actor,
    now: Instant,
    (list, id): (WorkList, &str),
    wanted: &Claim,
    force: bool,
) -> Result<WorkItem> {
    item(tx, actor, now, list, id)?;
    if !store::claim(tx, now, (list, id), wanted, &name(actor), force)? {
        return Err(held(tx, list, id)?);
    }
    item(tx, actor, now, list, id)
}

/// Lets go of an item. What nobody looks after is let go already.
///
/// # Errors
/// `not_found` when nothing of that id waits; `state_conflict` when somebody else looks after it.
pub(super) fn release(
    tx: &mut Tx,
    actor: &Actor,
    now: Instant,
    (list, id): (WorkList, &str),
    force: bool,
) -> Result<WorkItem> {
    let seen = item(tx, actor, now, list, id)?;
    if !store::release(tx, (list, id), &name(actor), force)? && seen.claim != Claim::default() {
        return Err(held(tx, list, id)?);
    }
    item(tx, actor, now, list, id)
}

fn held(tx: &mut Tx, list: WorkList, id: &str) -> Result<Error> {
    let claims = store::claims(tx, &[(list, id.to_owned())])?;
    let holder = claims.into_values().next().and_then(|claim| claim.assignee).unwrap_or_default();
    let error = Error::problem(Code::StateConflict, format!("{holder} looks after it; send `force` to take it over"));
    Ok(error.with("assignee", holder))
}
