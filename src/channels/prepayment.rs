//! What becomes of orders whose money is to come by hand.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::{Instant, Money},
};

crate::words! {
    /// What is done with money that came in and was not owed.
    pub enum Overpaid {
        /// It goes back the way it came: it waits in the work list of refunds to pay out.
        GiveBack = "give_back",
        /// It is kept for the customer until somebody says where it goes.
        Keep = "keep",
    }
}

impl Overpaid {
    const fn give_back() -> Self {
        Self::GiveBack
    }
}

/// The terms of payments by hand: when somebody is reminded, when an order is cancelled that nobody has paid, and what becomes of amounts
/// that are not the right ones. They hold for orders placed from then on; of those that wait, the steps that are still to come are those
/// of now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"remind_after_days": [5, 10], "cancel_after_days": 14, "overpaid": "keep",
    "tolerance": [{"amount": "0.50", "currency": "EUR"}]}))]
pub struct Prepayment {
    /// So many days after the order `payment.reminder_due.v1` tells that its money has not come: one step for each, rising.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 5)]
    pub remind_after_days: Vec<i64>,
    /// So many days after it an order is cancelled of which nothing has left and whose money has not come; left out, it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 365)]
    pub cancel_after_days: Option<i64>,
    /// Up to so much less than is owed is as good as all of it: one amount for each currency.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    pub tolerance: Vec<Money>,
    /// What is done with money that was not owed.
    #[serde(default = "Overpaid::give_back")]
    #[schema(default = "give_back")]
    pub overpaid: Overpaid,
}

/// A step of the terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TermStep {
    /// It is told that the money has not come, for the so manieth time.
    Remind(i64),
    /// The order is cancelled.
    Cancel,
}

impl Prepayment {
    /// The step behind so many reminders, and when it is due of an order placed at an instant.
    #[must_use]
    pub fn step(&self, placed_at: Instant, reminded: i64) -> Option<(TermStep, Instant)> {
        let at = |days: i64| placed_at.plus_seconds(days.saturating_mul(86_400));
        let next = usize::try_from(reminded).ok().and_then(|told| self.remind_after_days.get(told));
        match (next, self.cancel_after_days) {
            (Some(days), Some(last)) if *days >= last => Some((TermStep::Cancel, at(last))),
            (Some(days), _) => Some((TermStep::Remind(reminded + 1), at(*days))),
            (None, last) => last.map(|days| (TermStep::Cancel, at(days))),
        }
    }

    /// When that is.
    #[must_use]
    pub fn next_at(&self, placed_at: Instant, reminded: i64) -> Option<Instant> {
        self.step(placed_at, reminded).map(|(_, at)| at)
    }

    /// Up to how much may be missing, in minor units of a currency.
    #[must_use]
    pub fn tolerated(&self, currency: crate::kernel::Currency) -> i64 {
        self.tolerance.iter().find(|one| one.currency() == currency).map_or(0, |one| one.minor())
    }

    /// What the schema can not say.
    ///
    /// # Errors
    /// `invalid_value`, with the pointer to the field in a body that has them under `settings`.
    pub fn check(&self) -> Result<()> {
        let wrong = |field: &str, detail: &str| Err(Error::invalid(format!("/settings/prepayment/{field}"), detail));
        let within = |days: &i64| (1..=365).contains(days);
        let rises = self.remind_after_days.windows(2).all(|pair| pair.first() < pair.last());
        if self.remind_after_days.len() > 5 || !rises || !self.remind_after_days.iter().all(within) {
            return wrong("remind_after_days", "expected up to 5 rising numbers of days from 1 to 365");
        }
        if !self.cancel_after_days.iter().all(within) {
            return wrong("cancel_after_days", "expected a number from 1 to 365");
        }
        let doubled = |(place, one): (usize, &Money)| {
            self.tolerance.iter().take(place).any(|before| before.currency() == one.currency())
        };
        let few = self.tolerance.len() <= 20 && self.tolerance.iter().all(|one| one.minor() > 0);
        if !few || self.tolerance.iter().enumerate().any(doubled) {
            return wrong("tolerance", "expected amounts above zero, each currency once");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(remind: &[i64], cancel: Option<i64>) -> Prepayment {
        let tolerance = Vec::new();
        Prepayment {
            remind_after_days: remind.to_vec(),
            cancel_after_days: cancel,
            tolerance,
            overpaid: Overpaid::Keep,
        }
    }

    #[test]
    fn one_step_follows_the_other_and_the_end_comes_once() {
        let (placed, day) = (Instant::from_micros(0), 86_400);
        let of = |terms: &Prepayment, told| terms.step(placed, told);
        let both = terms(&[3, 7], Some(10));
        assert_eq!(of(&both, 0), Some((TermStep::Remind(1), placed.plus_seconds(3 * day))));
        assert_eq!(of(&both, 1), Some((TermStep::Remind(2), placed.plus_seconds(7 * day))));
        assert_eq!(of(&both, 2), Some((TermStep::Cancel, placed.plus_seconds(10 * day))));
        assert_eq!(of(&terms(&[], None), 0), None);
        // Nobody is reminded of what is cancelled.
        assert_eq!(of(&terms(&[20], Some(10)), 0), Some((TermStep::Cancel, placed.plus_seconds(10 * day))));
        assert!(both.check().is_ok() && terms(&[7, 7], None).check().is_err() && terms(&[0], None).check().is_err());
    }
}
