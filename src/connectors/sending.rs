//! How a connector sends: how much at once, when again, and when to leave the far end in peace. Pure.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::Instant,
};

/// How a connector sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"max_parallel": 4, "retry": {"first_seconds": 10, "longest_seconds": 3600},
    "breaker": {"failures": 5, "first_seconds": 60, "longest_seconds": 1800}}))]
pub struct Sending {
    /// How many events of different streams are under way at once, in all processes together: 1 to 64.
    #[schema(minimum = 1, maximum = 64, default = 16)]
    pub max_parallel: i64,
    /// When an event that did not arrive is tried again.
    pub retry: Backoff,
    /// When the far end is left in peace.
    pub breaker: BreakerRule,
}

/// Waits that double.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    /// The first wait in seconds: 1 to 3,600.
    #[schema(minimum = 1, maximum = 3600, default = 5)]
    pub first_seconds: i64,
    /// The longest in seconds: not below the first, up to a day.
    #[schema(minimum = 1, maximum = 86400, default = 21600)]
    pub longest_seconds: i64,
}

/// When the far end is left in peace: after so many failures in a row (of any events), in which it did not answer, or that it
/// could not, nothing is sent for a while; then one event at a time, until one has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerRule {
    /// So many: 1 to 1,000.
    #[schema(minimum = 1, maximum = 1000, default = 20)]
    pub failures: i64,
    /// The first pause in seconds; it doubles with each probe that fails: 1 to 3,600.
    #[schema(minimum = 1, maximum = 3600, default = 15)]
    pub first_seconds: i64,
    /// The longest pause in seconds.
    #[schema(minimum = 1, maximum = 86400, default = 600)]
    pub longest_seconds: i64,
}

impl Default for Sending {
    fn default() -> Self {
        Self { max_parallel: 16, retry: Backoff::default(), breaker: BreakerRule::default() }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first_seconds: 5, longest_seconds: 6 * 3600 }
    }
}

impl Default for BreakerRule {
    fn default() -> Self {
        Self { failures: 20, first_seconds: 15, longest_seconds: 600 }
    }
}

/// A wait that has doubled so often, within its bounds.
const fn doubled(first: i64, longest: i64, times: i64) -> i64 {
    let times = if times < 0 {
        0
    } else if times > 20 {
        20
    } else {
        times
    };
    let wait = first << times;
    if wait > longest { longest } else { wait }
}

impl Sending {
    /// What holds for every connector.
    ///
    /// # Errors
    /// Names the field below `/sending`.
    pub fn check(&self) -> Result<()> {
        let within = |field: &str, value: i64, least: i64, most: i64| match (least..=most).contains(&value) {
            true => Ok(()),
            false => Err(Error::invalid(format!("/sending/{field}"), format!("expected {least} to {most}"))),
        };
        within("max_parallel", self.max_parallel, 1, 64)?;
        within("retry/first_seconds", self.retry.first_seconds, 1, 3600)?;
        within("retry/longest_seconds", self.retry.longest_seconds, self.retry.first_seconds, 86_400)?;
        within("breaker/failures", self.breaker.failures, 1, 1000)?;
        within("breaker/first_seconds", self.breaker.first_seconds, 1, 3600)?;
        within("breaker/longest_seconds", self.breaker.longest_seconds, self.breaker.first_seconds, 86_400)
    }
}

impl Backoff {
    /// Seconds until the next try after so many, ± a fifth so that failures which came together do not come back together.
    /// `dice` is a number from 0 to 999.
    #[must_use]
    pub const fn after(&self, tries: i64, dice: i64) -> i64 {
        let base = doubled(self.first_seconds, self.longest_seconds, tries - 1);
        let wait = base - base / 5 + base * 2 * dice / 5 / 1000;
        if wait < 1 { 1 } else { wait }
    }
}

crate::words! {
    /// Whether a connector's far end is spoken to.
    pub enum BreakerState {
        /// It is.
        Closed = "closed",
        /// It is left in peace.
        Open = "open",
        /// One event at a time finds out whether it answers again.
        HalfOpen = "half_open",
    }
}

/// What is known of a far end: how often in a row it has failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Breaker {
    /// Failures in a row.
    pub failures: i64,
    /// How often in a row it was given up.
    #[serde(skip)]
    pub opens: i64,
    /// Since when it is left in peace.
    pub opened_at: Option<Instant>,
    /// When it is spoken to again.
    pub retry_at: Option<Instant>,
    /// What went wrong last.
    pub reason: Option<String>,
}

/// What follows from a failure of the far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing but that it is counted.
    Counted,
    /// Nothing is sent until then, and one at a time after.
    Opened {
        /// Until when.
        until: Instant,
    },
}

impl Breaker {
    /// Whether the far end is spoken to.
    #[must_use]
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.retry_at {
            None => BreakerState::Closed,
            Some(at) if at > now => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// Counts a failure of the far end. Those that were under way when it was given up prolong nothing.
    #[must_use]
    pub fn failed(mut self, rule: &BreakerRule, now: Instant, reason: &str) -> (Self, Step) {
        let state = self.state(now);
        self.failures = self.failures.saturating_add(1);
        self.reason = Some(reason.chars().take(500).collect());
        if state == BreakerState::Open || self.failures < rule.failures && state == BreakerState::Closed {
            return (self, Step::Counted);
        }
        let until = now.plus_seconds(doubled(rule.first_seconds, rule.longest_seconds, self.opens));
        self.opens = self.opens.saturating_add(1);
        self.opened_at = Some(self.opened_at.unwrap_or(now));
        self.retry_at = Some(until);
        (self, Step::Opened { until })
    }

    /// Whether an answer of the far end changes anything.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.failures == 0 && self.retry_at.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_with_jitter_up_to_the_longest() {
        let retry = Backoff::default();
        assert_eq!((retry.after(1, 0), retry.after(1, 500), retry.after(1, 999)), (4, 5, 5));
        assert_eq!(retry.after(5, 500), 80);
        assert_eq!(retry.after(400, 500), 6 * 3600);
        assert!((1..60).all(|tries| retry.after(tries, 0) <= retry.after(tries, 999)));
        let short = Backoff { first_seconds: 1, longest_seconds: 1 };
        assert!((0..999).all(|dice| short.after(7, dice) == 1));
    }

    #[test]
    fn a_far_end_that_fails_is_left_in_peace_for_longer_each_time_and_probed_between() {
        let rule = BreakerRule { failures: 3, first_seconds: 10, longest_seconds: 25 };
        let begin: Instant = "2026-03-02T09:00:00Z".parse().unwrap();
        let mut breaker = Breaker::default();
        for _ in 0..2 {
            let (next, step) = breaker.failed(&rule, begin, "500");
            assert_eq!((next.state(begin), step), (BreakerState::Closed, Step::Counted));
            breaker = next;
        }
        let mut now = begin;
        for pause in [10, 20, 25, 25] {
            let (next, step) = breaker.failed(&rule, now, "500");
            assert_eq!(step, Step::Opened { until: now.plus_seconds(pause) });
            assert_eq!(next.state(now), BreakerState::Open);
            // One that was under way prolongs nothing.
            let (next, step) = next.failed(&rule, now.plus_seconds(1), "500");
            assert_eq!(step, Step::Counted);
            now = now.plus_seconds(pause);
            assert_eq!(next.state(now), BreakerState::HalfOpen);
            breaker = next;
        }
        assert_eq!(breaker.opened_at, Some(begin));
        assert!(!breaker.is_clean() && Breaker::default().is_clean());
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let pointer = |sending: Sending| match sending.check() {
            Err(Error::Problem(problem)) => problem.pointer.unwrap_or_default(),
            _ => String::new(),
        };
        assert_eq!(pointer(Sending::default()), "");
        assert_eq!(pointer(Sending { max_parallel: 0, ..Sending::default() }), "/sending/max_parallel");
        let retry = Backoff { first_seconds: 60, longest_seconds: 59 };
        assert_eq!(pointer(Sending { retry, ..Sending::default() }), "/sending/retry/longest_seconds");
        let breaker = BreakerRule { failures: 0, ..BreakerRule::default() };
        assert_eq!(pointer(Sending { breaker, ..Sending::default() }), "/sending/breaker/failures");
    }
}
