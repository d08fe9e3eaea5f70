//! Work lists and their items. Pure.

use serde::Serialize;

use crate::kernel::{Instant, Waiting};

crate::words! {
    /// A queue that waits for a person.
    pub enum WorkList {
        /// Money was promised or taken and there is no order for it.
        PaidWithoutOrder = "paid_without_order",
        /// A payment, capture, void or refund failed.
        FailedPayments = "failed_payments",
        /// Money is to be paid out by hand.
        RefundsToPay = "refunds_to_pay",
        /// A job has failed for good.
        DeadJobs = "dead_jobs",
        /// A job should have been worked on long ago.
        StuckJobs = "stuck_jobs",
        /// An event did not arrive at another system.
        DeadDispatches = "dead_dispatches",
        /// Orders differ between here and the far end of a connector.
        ReconciliationDifferences = "reconciliation_differences",
        /// A consumer of a feed has set an event aside.
        ParkedFeedItems = "parked_feed_items",
        /// Goods should have left by now.
        UnshippedPastDue = "unshipped_past_due",
        /// A parcel is lost, or comes back.
        UndeliveredParcels = "undelivered_parcels",
        /// A parcel could not be handed over: its carrier tries again, or gives up.
        FailedAttempts = "failed_attempts",
        /// What is ready to be picked up was not collected in time.
        Uncollected = "uncollected",
        /// Money is disputed, and that can be answered; it waits since it has to be answered by.
        OpenDisputes = "open_disputes",
        /// More was paid for an order than was owed, and is kept.
        OverpaidOrders = "overpaid_orders",
        /// An order has not been paid for long.
        UnpaidOrders = "unpaid_orders",
        /// A return has to be decided on, looked at or settled.
        ReturnsWaiting = "returns_waiting",
        /// The money of a withdrawal has to go back soon, or should have.
        WithdrawalsDue = "withdrawals_due",
        /// Customers claim that something is lost, damaged, wrong or missing.
        OpenClaims = "open_claims",
    }
}

/// Who looks after an item.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Claim {
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// Until when it is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snoozed_until: Option<Instant>,
    /// What they noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// An item of a work list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WorkItem {
    /// What names it in its list.
    pub id: String,
    /// Since when it has been waiting.
    pub since: Instant,
    /// What it is about.
    pub subject: String,
    /// Where to look, or what to do: a path of the API.
    pub link: String,
    /// Who looks after it.
    #[serde(flatten)]
    pub claim: Claim,
}

impl WorkItem {
    /// What waits, with who looks after it.
    pub(super) fn new(waiting: Waiting, claim: Option<Claim>) -> Self {
        let Waiting { id, since, subject, link } = waiting;
        Self { id, since, subject, link, claim: claim.unwrap_or_default() }
    }

    /// Whether it is not to be shown now.
    pub(super) fn sleeps(&self, now: Instant) -> bool {
        self.claim.snoozed_until.is_some_and(|until| until > now)
    }
}

/// A work list in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WorkListSummary {
    /// Which list.
    pub list: WorkList,
    /// How many items wait, counted up to 1,000; those that sleep left out.
    pub count: i64,
    /// Whether there may be more than were counted.
    pub more: bool,
    /// How many of them nobody looks after.
    pub unclaimed: i64,
    /// How many sleep.
    pub snoozed: i64,
    /// Since when the oldest has been waiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Instant>,
    /// Its items.
    pub link: String,
}

impl WorkListSummary {
    /// Counts items; `more` tells that not all were looked at.
    pub(super) fn of(list: WorkList, items: &[WorkItem], more: bool, now: Instant) -> Self {
        let awake = || items.iter().filter(|item| !item.sleeps(now));
        let count = |items: usize| i64::try_from(items).unwrap_or(i64::MAX);
        Self {
            list,
            count: count(awake().count()),
            more,
            unclaimed: count(awake().filter(|item| item.claim.assignee.is_none()).count()),
            snoozed: count(items.iter().filter(|item| item.sleeps(now)).count()),
            oldest: awake().map(|item| item.since).min(),
            link: format!("/v1/ops/worklists/{list}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sleeps_is_not_counted() {
        let (now, later) = (Instant::from_micros(10), Instant::from_micros(20));
        let item = |id: &str, since: i64, claim: Option<Claim>| {
            let since = Instant::from_micros(since);
            WorkItem::new(Waiting { id: id.into(), since, subject: "x".into(), link: "/".into() }, claim)
        };
        let snoozed = Claim { assignee: Some("ada".into()), snoozed_until: Some(later), note: None };
        let items = [item("a", 1, Some(snoozed.clone())), item("b", 2, None), item("c", 3, None)];
        let summary = WorkListSummary::of(WorkList::DeadJobs, &items, false, now);
        assert_eq!((summary.count, summary.snoozed, summary.unclaimed), (2, 1, 2));
        assert_eq!(summary.oldest, Some(Instant::from_micros(2)));
        assert_eq!(WorkListSummary::of(WorkList::DeadJobs, &items, false, later).count, 3);
    }
}
