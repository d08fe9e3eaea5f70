//! What a recurring order is. Pure.

use chrono::{DateTime, Months};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    customers::Address,
    error::{Error, Result},
    kernel::{
        Currency, Instant, Quantity,
        ids::{CartId, ChannelId, CustomerId, OrderId, RecurringId},
        text::{Email, Text},
    },
};

crate::words! {
    /// Where a recurring order stands.
    pub enum RecurringState {
        /// It is ordered at its next date.
        Active = "active",
        /// Nothing is ordered until it goes on.
        Paused = "paused",
        /// It has ended.
        Cancelled = "cancelled",
    }
}

crate::words! {
    /// What happens to a recurring order.
    pub enum RecurringCommand {
        /// It stops for a while.
        Pause = "pause",
        /// It goes on.
        Resume = "resume",
        /// One date is left out.
        Skip = "skip",
        /// It ends.
        Cancel = "cancel",
    }
}

impl RecurringState {
    /// The transition table.
    ///
    /// | | pause | resume | skip | cancel |
    /// |---|---|---|---|---|
    /// | active | paused | – | active | cancelled |
    /// | paused | – | active | – | cancelled |
    /// | cancelled | – | – | – | – |
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn apply(self, command: RecurringCommand) -> Result<Self> {
        use RecurringCommand as C;
        match (self, command) {
            (Self::Active, C::Pause) => Ok(Self::Paused),
            (Self::Active, C::Skip) | (Self::Paused, C::Resume) => Ok(Self::Active),
            (Self::Active | Self::Paused, C::Cancel) => Ok(Self::Cancelled),
            _ => Err(Error::conflict(format!("a recurring order that is {self} takes no {command}"))),
        }
    }
}

/// The transition table as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> active\n");
    for from in RecurringState::ALL {
        for command in RecurringCommand::ALL {
            if let Ok(to) = from.apply(*command) {
                text.push_str(&format!("    {from} --> {to}: {command}\n"));
            }
        }
    }
    text
}

crate::words! {
    /// What of the calendar an interval counts.
    pub enum CalendarUnit {
        /// Days.
        Day = "day",
        /// Weeks.
        Week = "week",
        /// Months: the 31st is the last of shorter ones.
        Month = "month",
    }
}

/// How often something is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RecurringEvery, example = json!({"count": 1, "unit": "month"}))]
pub struct Every {
    /// Each so many of them, 1 to 366.
    pub count: i64,
    /// Of what.
    pub unit: CalendarUnit,
}

impl Every {
    pub(super) fn check(self) -> Result<()> {
        match (1..=366).contains(&self.count) {
            true => Ok(()),
            false => Err(Error::invalid("/every/count", "expected a number from 1 to 366")),
        }
    }

    /// The first date behind `after` of those that begin with `first`: dates are reckoned from the first one, so that a month's end stays one.
    #[must_use]
    pub fn next(self, first: Instant, after: Instant) -> Instant {
        let step = |times: i64| match self.unit {
            CalendarUnit::Day => first.plus_seconds(86_400 * self.count * times),
            CalendarUnit::Week => first.plus_seconds(7 * 86_400 * self.count * times),
            CalendarUnit::Month => {
                let months = u32::try_from(self.count.saturating_mul(times)).unwrap_or(u32::MAX);
                let begun = DateTime::from_timestamp_micros(first.micros());
                let then = begun.and_then(|begun| begun.checked_add_months(Months::new(months)));
                then.map_or(first.plus_seconds(30 * 86_400 * self.count * times), Instant::from_utc)
            }
        };
        // A month has at most 31 days: nothing before that many is passed over.
        let days = match self.unit {
            CalendarUnit::Day => 1,
            CalendarUnit::Week => 7,
            CalendarUnit::Month => 31,
        };
        let least = (after.seconds_since(first) / (days * 86_400 * self.count.max(1)) - 1).max(0);
        let mut times = least;
        while step(times) <= after {
            times += 1;
        }
        step(times)
    }
}

/// A line of a recurring order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecurringLine {
    /// What.
    pub sku: String,
    /// How many.
    #[schema(value_type = i64)]
    pub quantity: Quantity,
}

/// What is kept of a recurring order beside its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Details {
    pub every: Every,
    pub first_at: Instant,
    pub currency: Currency,
    pub lines: Vec<RecurringLine>,
    pub payment_method: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_address: Option<Address>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_address: Option<Address>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase_order: Option<String>,
}

/// What a customer orders again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecurringOrder {
    /// Its id.
    pub id: RecurringId,
    /// Where it is bought.
    pub channel_id: ChannelId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// Where it stands.
    pub state: RecurringState,
    /// When it is ordered next, while it is active.
    pub next_at: Instant,
    /// How often.
    pub every: Every,
    /// The first date: the others are reckoned from it.
    pub first_at: Instant,
    /// What is ordered, at the prices of the day.
    pub lines: Vec<RecurringLine>,
    /// How it is paid.
    pub payment_method: String,
    /// What is kept for the orders.
    #[serde(skip)]
    pub(super) to: Details,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

crate::words! {
    /// What came of a date.
    pub enum RunState {
        /// It is being ordered.
        Placing = "placing",
        /// There is an order.
        Ordered = "ordered",
        /// It could not be ordered.
        Failed = "failed",
        /// Its customer has left it out.
        Skipped = "skipped",
    }
}

/// A date of a recurring order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecurringRun {
    /// The recurring order.
    pub recurring_id: RecurringId,
    /// The date.
    pub due_at: Instant,
    /// What came of it.
    pub state: RunState,
    /// The order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The cart that it is ordered from.
    #[serde(skip)]
    pub cart_id: CartId,
}

/// A recurring order about to be made of a cart.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"cart_id": "cart_01h455vb4pex5vsknk084sn02q", "every": {"count": 1, "unit": "month"},
    "first_at": "2030-01-31T09:00:00Z", "payment_method": "on_account"}))]
pub struct NewRecurringOrder {
    /// A cart of mine; it stays as it is.
    #[schema(value_type = String)]
    pub cart_id: CartId,
    /// How often.
    pub every: Every,
    /// The first date.
    pub first_at: Instant,
    /// How the orders are paid: `on_account` or `manual`, for nobody is there to act.
    #[schema(value_type = String)]
    pub payment_method: Text<50>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_reckoned_from_the_first() {
        let at = |text: &str| text.parse::<Instant>().unwrap();
        let monthly = Every { count: 1, unit: CalendarUnit::Month };
        let first = at("2026-01-31T09:00:00Z");
        assert_eq!(monthly.next(first, first), at("2026-02-28T09:00:00Z"));
        assert_eq!(monthly.next(first, at("2026-02-28T09:00:00Z")), at("2026-03-31T09:00:00Z"));
        assert_eq!(monthly.next(first, at("2031-02-28T09:00:00Z")), at("2031-03-31T09:00:00Z"));
        let weekly = Every { count: 2, unit: CalendarUnit::Week };
        assert_eq!(weekly.next(first, at("2026-03-01T00:00:00Z")), at("2026-03-14T09:00:00Z"));
        assert_eq!(weekly.next(first, at("2025-01-01T00:00:00Z")), first);
    }
}
