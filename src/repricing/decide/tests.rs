use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::kernel::{Id, ids::VariantId};

fn eur() -> Currency {
    "EUR".parse().unwrap()
}

fn price(amount: &str) -> UnitPrice {
    UnitPrice::parse(amount, eur()).unwrap()
}

fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

fn now() -> When {
    When { now: at("2026-11-27T12:00:00Z"), zone: chrono_tz::Europe::Berlin }
}

fn variant(attributes: serde_json::Value) -> Variant {
    let new = json!({"sku": "MILK", "name": "Milk", "tax_class": "reduced", "attributes": attributes});
    let new: crate::catalog::NewVariant = serde_json::from_value(new).unwrap();
    let id: VariantId = Id::new();
    new.build(id, at("2026-10-01T00:00:00Z")).unwrap()
}

fn terms(signal: serde_json::Value, tiers: serde_json::Value, guard_rails: serde_json::Value) -> Terms {
    let terms: Terms = serde_json::from_value(json!({
        "price_list": "sale", "reference_list": "base", "currency": "EUR", "compounding": false, "include": [],
        "exclude": [], "signal": signal, "tiers": tiers, "guard_rails": guard_rails, "mode": "propose",
        "every_minutes": 60
    }))
    .unwrap();
    terms.check().unwrap();
    terms
}

fn facts(variant: &Variant) -> Facts<'_> {
    Facts {
        variant,
        reference: Some(price("20.00")),
        current: None,
        by_quantity: false,
        cost: Some(price("8.00")),
        sold: 14,
        available: 100,
        received: Some(at("2026-09-01T00:00:00Z")),
    }
}

fn told(terms: &Terms, facts: Facts<'_>) -> (String, Vec<String>) {
    let codes = |steps: &[Step]| steps.iter().map(|step| step.code.clone()).collect();
    match decide(terms, facts, now()) {
        Ok(proposed) => (proposed.to.to_string(), codes(&proposed.explanation.because)),
        Err(step) => (step.code.clone(), Vec::new()),
    }
}

#[test]
fn the_cover_of_the_stock_decides() {
    let variant = variant(json!({}));
    let cover = terms(
        json!({"type": "stock_cover", "days": 28}),
        json!([{"below": 14, "change": "5"}, {"from": 90, "below": 200, "change": "-10"}, {"from": 200, "change": "-20"}]),
        json!({}),
    );
    let with = |sold, available| told(&cover, Facts { sold, available, ..facts(&variant) }).0;
    // 14 in 28 days are one every two days.
    assert_eq!([with(14, 100), with(14, 99), with(14, 44)], ["16.00 EUR", "18.00 EUR", "no_tier"]);
    assert_eq!([with(14, 45), with(14, 7), with(14, 6)], ["18.00 EUR", "no_tier", "21.00 EUR"]);
    // What is not sold at all lasts without end; what is neither there nor sold tells nothing.
    assert_eq!([with(0, 1), with(0, 0), with(3, 0)], ["16.00 EUR", "nothing_there", "21.00 EUR"]);
    let new = Facts { received: Some(at("2026-10-30T12:00:01Z")), ..facts(&variant) };
    assert_eq!(told(&cover, new).0, "too_new");
    assert_eq!(told(&cover, Facts { received: Some(at("2026-10-30T12:00:00Z")), ..new }).0, "16.00 EUR");
    assert_eq!(told(&cover, Facts { received: None, ..new }).0, "never_received");
}

#[test]
fn what_has_been_sold_of_what_was_there_decides() {
    let variant = variant(json!({}));
    let through = terms(
        json!({"type": "sell_through", "days": 28}),
        json!([{"below": 20, "change": "-30"}, {"from": 80, "change": "10"}]),
        json!({}),
    );
    let with = |sold, available| told(&through, Facts { sold, available, ..facts(&variant) }).0;
    assert_eq!([with(19, 81), with(20, 80), with(80, 20)], ["14.00 EUR", "no_tier", "22.00 EUR"]);
    assert_eq!([with(5, 0), with(0, 5), with(0, 0)], ["22.00 EUR", "14.00 EUR", "nothing_there"]);
}

#[test]
fn age_counts_from_when_the_first_pieces_came() {
    let mut variant = variant(json!({}));
    let age = terms(json!({"type": "age"}), json!([{"from": 58, "change": "-50"}]), json!({}));
    let came = |received: &str| Facts { received: Some(at(received)), ..facts(&variant) };
    assert_eq!(told(&age, came("2026-09-30T12:00:00Z")).0, "10.00 EUR");
    assert_eq!(told(&age, came("2026-09-30T12:00:01Z")).0, "no_tier");
    assert_eq!(told(&age, Facts { received: None, ..came("2026-09-30T12:00:00Z") }).0, "never_received");
    // What is not counted is as old as its variant: 57 days.
    variant.stock_policy = StockPolicy::Untracked;
    assert_eq!(told(&age, Facts { received: None, ..facts(&variant) }).0, "no_tier");
    variant.created_at = at("2026-09-30T00:00:00Z");
    assert_eq!(told(&age, Facts { received: None, ..facts(&variant) }).0, "10.00 EUR");
}

#[test]
fn days_to_the_best_before_date_are_those_of_the_zone() {
    let tiers = json!([{"below": 1, "change": "-50"}, {"from": 1, "below": 3, "change": "-25"}]);
    let expiry = terms(json!({"type": "expiry"}), tiers.clone(), json!({}));
    let dated = |date: &str| {
        let variant = variant(json!({ "best_before": date }));
        told(&expiry, facts(&variant)).0
    };
    assert_eq!(
        [dated("2026-11-27"), dated("2026-11-28"), dated("2026-11-29")],
        ["10.00 EUR", "15.00 EUR", "15.00 EUR"]
    );
    assert_eq!([dated("2026-11-30"), dated("2026-11-26"), dated("soon")], ["no_tier", "past_date", "no_date"]);
    // Half past eleven in the evening, UTC, is the next day in Berlin.
    let late = When { now: at("2026-11-27T23:30:00Z"), ..now() };
    let variant_27 = variant(json!({"best_before": "2026-11-27"}));
    assert_eq!(decide(&expiry, facts(&variant_27), late).unwrap_err().code, "past_date");
    // Another attribute, where the rule names one.
    let named = terms(json!({"type": "expiry", "attribute": "mhd"}), tiers, json!({}));
    let variant = variant(json!({"mhd": "2026-11-28", "best_before": "2026-11-27"}));
    assert_eq!(told(&named, facts(&variant)).0, "15.00 EUR");
}

#[test]
fn guard_rails_bend_the_price_and_say_so() {
    let variant = variant(json!({}));
    let half = |rails| terms(json!({"type": "age"}), json!([{"change": "-50"}]), rails);
    let eur = |amount: &str| json!({"amount": amount, "currency": "EUR"});
    let of =
        |rails, current: Option<&str>| told(&half(rails), Facts { current: current.map(price), ..facts(&variant) });
    assert_eq!(of(json!({}), None), ("10.00 EUR".to_owned(), vec!["age".to_owned(), "tier".to_owned()]));
    let bent = |rails, current| {
        let (price, codes) = of(rails, current);
        (price, codes.get(2..).unwrap_or_default().join(","))
    };
    let is = |price: &str, codes: &str| (price.to_owned(), codes.to_owned());
    assert_eq!(bent(json!({"floor_margin": "50"}), None), is("12.00 EUR", "floor_margin"));
    assert_eq!(bent(json!({"floor": eur("11.50")}), None), is("11.50 EUR", "floor"));
    assert_eq!(bent(json!({"ceiling": eur("9.00")}), None), is("9.00 EUR", "ceiling"));
    assert_eq!(bent(json!({"largest_step": "15"}), None), is("17.00 EUR", "largest_step"));
    assert_eq!(bent(json!({"largest_step": "15"}), Some("15.00")), is("12.75 EUR", "largest_step"));
    assert_eq!(bent(json!({"ending": eur("0.99")}), None), is("9.99 EUR", "ending"));
    // Rounding down would fall below the floor: the next ending above it, and none where that is too far.
    let floor_and_ending = json!({"floor_margin": "25", "ending": eur("0.49")});
    assert_eq!(bent(floor_and_ending, None), is("10.49 EUR", "ending"));
    let no_ending = json!({"floor": eur("10.00"), "ceiling": eur("10.40"), "ending": eur("0.99")});
    assert_eq!(bent(no_ending, None), is("10.00 EUR", "ending_left_out"));
    // What can not be is not proposed, nor what is so already.
    assert_eq!(of(json!({"floor": eur("15.00"), "largest_step": "10"}), Some("10.00")).0, "guard_rails");
    assert_eq!(of(json!({}), Some("10.00")).0, "unchanged");
    assert_eq!(told(&half(json!({"floor_margin": "0"})), Facts { cost: None, ..facts(&variant) }).0, "cost_unknown");
    assert_eq!(told(&half(json!({})), Facts { by_quantity: true, ..facts(&variant) }).0, "quantity_prices");
    assert_eq!(told(&half(json!({})), Facts { reference: None, ..facts(&variant) }).0, "no_reference");
}

#[test]
fn a_figure_is_shown_within_its_tier() {
    let shown = |a, b, c| Figure::Of(quotient(a, b, c)).text().unwrap();
    assert_eq!([shown(99, 28, 14), shown(8999, 1, 100), shown(2, 100, 3)], ["198", "89.9", "66.6"]);
}

fn rails() -> impl Strategy<Value = serde_json::Value> {
    let money = |most: i64| {
        (0..most).prop_map(|minor| json!({"amount": format!("{}.{:02}", minor / 100, minor % 100), "currency": "EUR"}))
    };
    let parts = (
        prop::option::of(-50i64..300),
        prop::option::of(money(20_000)),
        prop::option::of(money(20_000)),
        prop::option::of(1i64..=100),
        prop::option::of(money(100)),
    );
    parts.prop_map(|(margin, floor, ceiling, step, ending)| {
        json!({"floor_margin": margin.map(|it| it.to_string()), "floor": floor, "ceiling": ceiling,
            "largest_step": step.map(|it| it.to_string()), "ending": ending})
    })
}

proptest! {
    /// Whatever the signal says, what is proposed keeps within every guard rail, and ends as it should where any price can.
    #[test]
    fn what_is_proposed_keeps_within_the_guard_rails(
        rails in rails(), change in -99i64..400, reference in 1i64..5_000_000, current in prop::option::of(1i64..5_000_000),
        cost in prop::option::of(1i64..5_000_000), sold in 0i64..1000, available in 0i64..1000,
    ) {
        let variant = variant(json!({}));
        let rails: GuardRails = serde_json::from_value(rails).unwrap();
        let terms = Terms {
            guard_rails: rails.clone(),
            ..terms(json!({"type": "stock_cover", "days": 7}), json!([{"change": change.to_string()}]), json!({}))
        };
        // Prices have up to four digits more than the currency.
        let unit = |scaled: i64| UnitPrice::from_scaled(scaled, eur());
        let facts = Facts {
            reference: Some(unit(reference)), current: current.map(unit), cost: cost.map(unit), sold, available, ..facts(&variant)
        };
        let decided = decide(&terms, facts, now());
        if let Ok(proposed) = &decided {
            let (to, now) = (proposed.to.decimal(), facts.current.unwrap_or(unit(reference)).decimal());
            prop_assert!(to > Decimal::ZERO && to.normalize().scale() <= 2);
            prop_assert!(proposed.to != facts.current.unwrap_or(unit(reference)));
            let within = |to: Decimal| {
                let floor = rails.floor.is_none_or(|floor| to >= floor.decimal());
                let ceiling = rails.ceiling.is_none_or(|ceiling| to <= ceiling.decimal());
                let margin = rails.floor_margin.is_none_or(|margin| to >= margin.of(facts.cost.unwrap().decimal()).unwrap());
                let step = rails.largest_step.is_none_or(|step| (to - now).abs() * Decimal::ONE_HUNDRED <= step.value() * now);
                to > Decimal::ZERO && floor && ceiling && margin && step
            };
            prop_assert!(within(to), "{proposed:?}");
            if let Some(ending) = rails.ending {
                let ends = to - to.floor() == ending.decimal();
                let left_out = proposed.explanation.because.iter().any(|step| step.code == "ending_left_out");
                prop_assert_ne!(ends, left_out);
                // Nothing with the ending was left out that would have done.
                let near = |whole: i64| to.floor() + Decimal::from(whole) + ending.decimal();
                prop_assert!(ends || !(-1..=1).any(|whole| within(near(whole))), "{proposed:?}");
            }
            // What a guard rail has not bent is what the tier says.
            if proposed.explanation.because.len() == 2 {
                prop_assert_eq!(to, whole(proposed.explanation.wanted.decimal(), eur()));
            }
        }
        // The same facts give the same price.
        prop_assert_eq!(decided, decide(&terms, facts, now()));
    }
}

/// The example of docs/dynamic-pricing.md.
#[test]
fn the_example_of_the_page_comes_out_as_it_says() {
    let variant = variant(json!({}));
    let tiers = json!([{"from": 90, "below": 180, "change": "-10"}, {"from": 180, "change": "-25"}]);
    let rails = json!({"largest_step": "15", "floor_margin": "20", "ending": {"amount": "0.99", "currency": "EUR"}});
    let mut slow = terms(json!({"type": "stock_cover", "days": 28}), tiers, rails);
    slow.reference_list = "demo-base".to_owned();
    let at_the_price = |current: Option<&str>| {
        let current = current.map(price);
        let (reference, cost) = (Some(price("9.95")), Some(price("6.00")));
        decide(&slow, Facts { reference, cost, current, sold: 40, available: 300, ..facts(&variant) }, now())
    };
    let first = at_the_price(None).unwrap();
    let told: Vec<&str> = first.explanation.because.iter().map(|step| step.text.as_str()).collect();
    let page = include_str!("../../../docs/dynamic-pricing.md");
    assert!(told.len() == 4 && told.iter().all(|text| page.contains(text)), "{told:#?}");
    assert_eq!((first.to, first.explanation.wanted), (price("8.99"), price("7.4625")));
    assert_eq!(at_the_price(Some("8.99")).unwrap().to, price("7.99"));
    assert_eq!(at_the_price(Some("7.99")).unwrap_err().code, "unchanged");
}
