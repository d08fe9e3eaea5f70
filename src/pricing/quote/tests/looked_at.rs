//! Which costs, lists and tiers a quote looks at, and which it tells of.

use super::*;

#[test]
fn a_bundle_has_cost_what_its_components_have_unless_a_list_says_it() {
    // 50 % off 20.00, and not below the cost. Bought for 3.00 each, two of it, and for 4.50.
    let retail = rules().price_lists[0].as_ref().clone();
    let costs = PriceList { id: id(2), code: "costs".into(), kind: ListKind::Cost, ..retail.clone() };
    let rule = serde_json::json!({"gift": {"type": "percentage", "percent": "50", "on": "lines"}, "stacking": {"not_below_cost": true}});
    let promotion =
        promotions::Promotion { rule: serde_json::from_value(rule).unwrap(), ..off("1", "order").promotion };
    let (price_lists, promotions) = (vec![retail, costs].into(), vec![Compiled::new(promotion)].into());
    let rules = Rules { price_lists, promotions, ..rules() };
    let row = |list: u8, price: &str| PriceRow {
        list: id(list),
        min_quantity: Quantity::ONE,
        price: UnitPrice::parse(price, eur()).unwrap().into(),
        valid_from: None,
        valid_until: None,
    };
    let mut prices = HashMap::from([
        (id(9), vec![row(1, "20.00")]),
        (id(1), vec![row(1, "11.90"), row(2, "3.00")]),
        (id(2), vec![row(1, "10.70"), row(2, "4.50")]),
    ]);
    let part =
        |variant: u8, tax_class: &'static str, quantity| PartRequest { variant_id: id(variant), tax_class, quantity };
    let parts = vec![part(1, "standard", 2), part(2, "standard", 1)];
    let total = |prices: &HashMap<VariantId, Vec<PriceRow>>, parts: &Vec<PartRequest<'static>>| {
        let line = LineRequest { parts: parts.clone(), ..line(1, 9, "standard", 3) };
        quote(&rules, prices, &request(vec![line])).totals.unwrap().total
    };
    // Three of it: 10.50 each is more than half of 20.00.
    assert_eq!(total(&prices, &parts), euros("31.50"));
    // A component at another rate is compared as the bundle is taxed: 4.50 with 7 % is 5.0046… with 19 %.
    let mixed = vec![part(1, "standard", 2), part(2, "reduced", 1)];
    assert_eq!(total(&prices, &mixed), euros("33.01"));
    // What is known of some only is not known of all: it is not reduced. Nor is what is no bundle and has no cost.
    let unknown = vec![part(1, "standard", 2), part(7, "standard", 1)];
    assert_eq!((total(&prices, &unknown), total(&prices, &Vec::new())), (euros("60.00"), euros("60.00")));
    // What a list says of the bundle itself goes first.
    prices.get_mut(&id(9)).unwrap().push(row(2, "12.00"));
    assert_eq!((total(&prices, &parts), total(&prices, &unknown)), (euros("36.00"), euros("36.00")));
}

#[test]
fn what_other_channels_have_is_not_looked_at() {
    let mut foreign = rules().price_lists[0].as_ref().clone();
    (foreign.id, foreign.code, foreign.channel) = (id(2), "foreign".into(), Some(id(101)));
    let retail = rules().price_lists[0].as_ref().clone();
    let elsewhere = |code: &str| {
        let other =
            promotions::Promotion { code: code.into(), channel: Some(id(101)), ..off("1.00", "order").promotion };
        Compiled::new(other)
    };
    let promotions = vec![off("2.00", "order"), elsewhere("elsewhere")];
    let rules = Rules { price_lists: vec![foreign, retail].into(), promotions: promotions.into(), ..rules() };
    let here = QuoteRequest {
        detail: Detail::InQuestion,
        ..request(vec![line(1, 1, "standard", 1), line(2, 9, "standard", 1)])
    };
    let told = quote(&rules, &prices(), &here);
    let totals = told.totals.unwrap();
    assert_eq!((totals.discount, totals.passed_over.len()), (euros("2.00"), 0));
    let missing: Vec<&str> = told.problems[0].because.iter().map(|step| step.text.as_str()).collect();
    assert_eq!(missing, ["list retail: no price valid for 1"]);
    // Whoever asks for all is told of the promotions of all channels, with why they do not apply.
    let all = quote(&rules, &prices(), &QuoteRequest { detail: Detail::All, ..here });
    let passed = all.totals.unwrap().passed_over;
    assert_eq!((passed[0].code.as_str(), passed[0].reason.code.as_str()), ("elsewhere", "other_channel"));
}

#[test]
fn tiers_that_were_passed_over_are_told_to_who_asks_for_all() {
    let here = QuoteRequest {
        detail: Detail::InQuestion,
        ..request(vec![line(1, 1, "standard", 4), line(2, 1, "standard", 10)])
    };
    let told = |request: &QuoteRequest<'_>| {
        let totals = quote(&rules(), &prices(), request).totals.unwrap();
        let steps = totals.lines.iter().map(|line| {
            let passed = line.explanation.iter().filter(|step| step.code == "passed_over");
            passed.map(|step| step.text.clone()).collect::<Vec<_>>()
        });
        steps.collect::<Vec<_>>()
    };
    assert_eq!(told(&here), [Vec::<String>::new(), Vec::new()]);
    assert_eq!(
        told(&QuoteRequest { detail: Detail::All, ..here }),
        [
            ["list retail, from 10: 10.00 EUR: it needs 6 more"],
            ["list retail, from 1: 11.90 EUR: that from 10 goes first"]
        ]
    );
}
