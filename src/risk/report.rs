//! What rules and decisions were worth, from what became of checkouts. Pure.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::{
    forms::{RiskDecisions, RiskRuleReport},
    model::{Decision, RiskOutcome},
};

/// Checkouts counted so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    rules: BTreeMap<String, [i64; 3]>,
    decisions: BTreeMap<Decision, [i64; 4]>,
    bad: i64,
}

impl Tally {
    /// With the rules of a profile, so that those are told too that have never fired.
    pub(super) fn of_rules(names: impl Iterator<Item = String>) -> Self {
        Self { rules: names.map(|name| (name, [0; 3])).collect(), ..Self::default() }
    }

    /// Counts so many of which the rules are not looked at.
    pub(super) fn add_many(&mut self, decision: Decision, outcome: Option<RiskOutcome>, many: i64) {
        let place = place_of(outcome);
        if let Some(count) = self.decisions.entry(decision).or_default().get_mut(place) {
            *count += many;
        }
    }

    /// Counts one.
    pub(super) fn add(&mut self, decision: Decision, fired: Vec<String>, outcome: Option<RiskOutcome>) {
        let place = match outcome {
            Some(outcome) if outcome.is_bad() => 0,
            Some(_) => 1,
            None => 2,
        };
        for rule in fired {
            count(self.rules.entry(rule).or_default(), place);
        }
        self.add_many(decision, outcome, 1);
        self.bad += i64::from(outcome.is_some_and(RiskOutcome::is_bad));
    }

    /// What each rule was worth, by name.
    pub(super) fn rules(&self) -> Vec<RiskRuleReport> {
        let row = |(rule, [bad, good, unknown]): (&String, &[i64; 3])| RiskRuleReport {
            rule: rule.clone(),
            fired: bad + good + unknown,
            bad: *bad,
            good: *good,
            unknown: *unknown,
            precision: share(*bad, bad + good),
            recall: share(*bad, self.bad),
        };
        self.rules.iter().map(row).collect()
    }

    /// What was decided.
    pub(super) fn decisions(&self) -> Vec<RiskDecisions> {
        let row = |decision: &Decision| {
            let [legitimate, fraud, loss, unknown] = self.decisions.get(decision).copied().unwrap_or_default();
            let checkouts = legitimate + fraud + loss + unknown;
            RiskDecisions { decision: *decision, checkouts, legitimate, fraud, loss, unknown }
        };
        Decision::ALL.iter().map(row).collect()
    }
}

/// The place of an outcome among those of a decision.
const fn place_of(outcome: Option<RiskOutcome>) -> usize {
    match outcome {
        Some(RiskOutcome::Legitimate) => 0,
        Some(RiskOutcome::Fraud) => 1,
        Some(RiskOutcome::Loss) => 2,
        None => 3,
    }
}

fn count<const N: usize>(counts: &mut [i64; N], place: usize) {
    if let Some(count) = counts.get_mut(place) {
        *count += 1;
    }
}

/// A share of a whole with four decimals; nothing of nothing.
fn share(part: i64, whole: i64) -> Option<String> {
    let share = Decimal::from(part).checked_div(Decimal::from(whole))?;
    Some(format!("{:.4}", share.round_dp(4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_is_of_what_has_fired_and_recall_of_what_was_bad() {
        let mut tally = Tally::of_rules(["never".to_owned()].into_iter());
        let add = |tally: &mut Tally, fired: &[&str], outcome| {
            tally.add(Decision::Hold, fired.iter().map(|name| (*name).to_owned()).collect(), outcome);
        };
        add(&mut tally, &["a"], Some(RiskOutcome::Fraud));
        add(&mut tally, &["a", "b"], Some(RiskOutcome::Loss));
        add(&mut tally, &["a"], Some(RiskOutcome::Legitimate));
        add(&mut tally, &["a"], None);
        add(&mut tally, &[], Some(RiskOutcome::Loss));
        let rules = tally.rules();
        let of = |name: &str| rules.iter().find(|row| row.rule == name).unwrap();
        assert_eq!((of("a").fired, of("a").bad, of("a").good, of("a").unknown), (4, 2, 1, 1));
        assert_eq!((of("a").precision.as_deref(), of("a").recall.as_deref()), (Some("0.6667"), Some("0.6667")));
        assert_eq!((of("b").precision.as_deref(), of("b").recall.as_deref()), (Some("1.0000"), Some("0.3333")));
        assert_eq!((of("never").precision.as_deref(), of("never").recall.as_deref()), (None, Some("0.0000")));
        let held = tally.decisions().into_iter().find(|row| row.decision == Decision::Hold).unwrap();
        assert_eq!((held.checkouts, held.legitimate, held.fraud, held.loss, held.unknown), (5, 1, 1, 2, 1));
    }
}
