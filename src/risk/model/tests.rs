use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::kernel::ids::Id;

fn rule(value: serde_json::Value) -> Rule {
    serde_json::from_value(value).unwrap()
}

fn profile(rules: Vec<Rule>, hold_at: i64, decline_at: Option<i64>) -> ProfileDocument {
    ProfileDocument { active: true, rules, hold_at, decline_at, keep_days: 180 }
}

fn facts(cents: i64) -> Facts {
    serde_json::from_value(json!({"total": Money::from_minor(cents, "EUR".parse().unwrap())})).unwrap()
}

fn rules() -> Vec<Rule> {
    vec![
        rule(json!({"name": "often", "kind": "velocity", "of": "email", "minutes": 60, "more_than": 2, "weight": 10})),
        rule(json!({"name": "cards", "kind": "velocity", "of": "card", "minutes": 9, "more_than": 0, "weight": 11})),
        rule(
            json!({"name": "first", "kind": "first_order", "amount": {"amount": "100.00", "currency": "EUR"}, "weight": 12}),
        ),
        rule(json!({"name": "dear", "kind": "value", "amount": {"amount": "500.00", "currency": "EUR"}, "weight": 13})),
        rule(json!({"name": "abroad", "kind": "country_mismatch", "weight": 14})),
        rule(json!({"name": "throwaway", "kind": "disposable_domain", "domains": ["bin.example"], "weight": 15})),
        rule(json!({"name": "codes", "kind": "codes_tried", "more_than": 3, "weight": 16})),
        rule(json!({"name": "lost", "kind": "known_losses", "weight": 17})),
    ]
}

#[test]
fn each_rule_sees_what_it_looks_for() {
    let profile = profile(rules(), 1_000, None);
    profile.check("").unwrap();
    let mut facts = facts(50_000);
    let of = |facts: &Facts| assess(&profile, facts).fired();
    assert_eq!(of(&facts), ["dear"]);
    facts.total = Money::from_minor(49_999, "EUR".parse().unwrap());
    assert!(of(&facts).is_empty());
    facts.tries = vec![
        Tries { of: Mark::Email, minutes: 60, tries: 3 },
        Tries { of: Mark::Email, minutes: 9, tries: 99 },
        Tries { of: Mark::Card, minutes: 9, tries: 0 },
    ];
    assert_eq!(of(&facts), ["often"]);
    facts.first_order = Some(true);
    facts.shipping_country = Some("DE".parse().unwrap());
    assert_eq!(of(&facts), ["often", "first"]);
    facts.ip_country = Some("AT".parse().unwrap());
    facts.disposable = Some(true);
    facts.codes_tried = Some(4);
    (facts.known, facts.losses) = (vec![Mark::Address], vec![Mark::Address]);
    let all = assess(&profile, &facts);
    assert_eq!(all.fired(), ["often", "first", "abroad", "throwaway", "codes", "lost"]);
    assert_eq!(all.score, 10 + 12 + 14 + 15 + 16 + 17);
    // Another currency is not compared.
    facts.total = Money::from_minor(9_999_999, "SEK".parse().unwrap());
    assert!(!of(&facts).contains(&"first".to_owned()) && !of(&facts).contains(&"dear".to_owned()));
}

#[test]
fn what_a_rule_does_not_need_is_refused_and_what_it_needs_is_asked_for() {
    for (wrong, pointer) in [
        (json!({"name": "a", "kind": "value", "weight": 1}), "/rules/0/amount"),
        (json!({"name": "a", "kind": "velocity", "of": "email", "minutes": 60, "weight": 1}), "/rules/0/more_than"),
        (
            json!({"name": "a", "kind": "velocity", "of": "domain", "minutes": 60, "more_than": 1, "weight": 1}),
            "/rules/0/of",
        ),
        (json!({"name": "a", "kind": "country_mismatch", "of": "email", "weight": 1}), "/rules/0/of"),
        (json!({"name": "a", "kind": "codes_tried", "more_than": 1, "weight": 0}), "/rules/0/weight"),
        (json!({"name": "a", "kind": "disposable_domain", "domains": ["x@y.z"], "weight": 1}), "/rules/0/domains/0"),
    ] {
        let error = profile(vec![rule(wrong.clone())], 1, None).check("").unwrap_err();
        let crate::error::Error::Problem(problem) = error else { panic!("{wrong}") };
        assert_eq!(problem.pointer.as_deref(), Some(pointer), "{wrong}");
    }
    assert!(profile(vec![], 5, Some(4)).check("").is_err() && profile(vec![], 0, None).check("").is_err());
    let twice = rules().into_iter().chain(rules()).collect();
    assert!(profile(twice, 1, None).check("").is_err());
}

#[test]
fn domains_below_a_disposable_one_are_too() {
    let profile = profile(rules(), 1, None);
    for domain in ["mailinator.com", "x.mailinator.com", "bin.example", "a.b.bin.example"] {
        assert!(is_disposable(&profile, domain), "{domain}");
    }
    for domain in ["example.org", "notmailinator.com", "mailinator.com.example.org", ""] {
        assert!(!is_disposable(&profile, domain), "{domain}");
    }
}

prop_compose! {
    fn some_facts()(
        cents in 0i64..200_000, first in proptest::option::of(any::<bool>()), tries in 0i64..6, cards in 0i64..3,
        abroad in any::<bool>(), disposable in proptest::option::of(any::<bool>()), codes in proptest::option::of(0i64..8),
        lost in any::<bool>(), allowed in any::<bool>(), blocked in any::<bool>(),
    ) -> Facts {
        let mut facts = facts(cents);
        facts.first_order = first;
        facts.tries = vec![Tries { of: Mark::Email, minutes: 60, tries }, Tries { of: Mark::Card, minutes: 9, tries: cards }];
        facts.shipping_country = Some("DE".parse().unwrap());
        facts.billing_country = Some(if abroad { "AT" } else { "DE" }.parse().unwrap());
        (facts.disposable, facts.codes_tried, facts.known) = (disposable, codes, vec![Mark::Address]);
        facts.losses = if lost { vec![Mark::Address] } else { vec![] };
        let listed = |list| Listed { list, kind: Mark::Email, entry: Id::from_bytes([7; 16]) };
        facts.listed.extend(allowed.then(|| listed(Listing::Allow)));
        facts.listed.extend(blocked.then(|| listed(Listing::Block)));
        facts
    }
}

/// How severe a decision is.
fn severity(decision: Decision) -> usize {
    Decision::ALL.iter().position(|one| *one == decision).unwrap()
}

proptest! {
    #[test]
    fn the_trace_sums_to_the_score(facts in some_facts(), hold_at in 1i64..120) {
        let found = assess(&profile(rules(), hold_at, Some(hold_at + 20)), &facts);
        prop_assert_eq!(found.trace.iter().map(|step| step.points).sum::<i64>(), found.score);
        prop_assert_eq!(found.trace.len(), rules().len());
        prop_assert_eq!(&assess(&profile(rules(), hold_at, Some(hold_at + 20)), &facts), &found);
    }

    #[test]
    fn lists_win_and_allowing_wins_over_blocking(facts in some_facts(), hold_at in 1i64..120) {
        let found = assess(&profile(rules(), hold_at, Some(hold_at)), &facts);
        let on = |list| facts.listed.iter().any(|listed| listed.list == list);
        if on(Listing::Allow) {
            prop_assert_eq!(found.decision, Decision::Accept);
        } else if on(Listing::Block) {
            prop_assert_eq!(found.decision, Decision::Decline);
        } else {
            prop_assert_eq!(found.decision == Decision::Accept, found.score < hold_at);
        }
    }

    #[test]
    fn more_weight_never_makes_it_milder(facts in some_facts(), place in 0usize..8, more in 1i64..500, hold_at in 1i64..120) {
        let light = profile(rules(), hold_at, Some(hold_at + 30));
        let mut heavy = light.clone();
        heavy.rules[place].weight += more;
        let (before, after) = (assess(&light, &facts), assess(&heavy, &facts));
        prop_assert!(after.score >= before.score);
        prop_assert!(severity(after.decision) >= severity(before.decision));
    }

    #[test]
    fn a_rule_that_is_switched_off_gives_nothing(facts in some_facts(), place in 0usize..8) {
        let all = profile(rules(), 50, None);
        let mut fewer = all.clone();
        fewer.rules[place].active = false;
        let (with, without) = (assess(&all, &facts), assess(&fewer, &facts));
        prop_assert_eq!(with.score - with.trace[place].points, without.score);
    }
}
