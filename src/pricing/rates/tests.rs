use proptest::prelude::*;

use super::*;

fn eur() -> Currency {
    "EUR".parse().unwrap()
}

fn country(code: &str) -> Country {
    code.parse().unwrap()
}

/// The start of a day of March 2026.
fn day(day: u32) -> Instant {
    format!("2026-03-{day:02}T00:00:00Z").parse().unwrap()
}

fn id<K>(number: u8) -> Id<K> {
    Id::from_bytes([number; 16])
}

fn quantity(count: i64) -> Quantity {
    Quantity::new(count).unwrap()
}

fn list(number: u8, code: &str) -> PriceList {
    PriceList {
        id: id(number),
        code: code.into(),
        name: code.into(),
        currency: eur(),
        channel: None,
        audience: Audience::All,
        kind: ListKind::Base,
        announced_at: None,
        priority: 0,
        valid_from: None,
        valid_until: None,
        terms: None,
        version: 1,
    }
}

fn row(list: u8, min_quantity: i64, price: &str) -> PriceRow {
    PriceRow {
        list: id(list),
        min_quantity: quantity(min_quantity),
        price: UnitPrice::parse(price, eur()).unwrap().into(),
        valid_from: None,
        valid_until: None,
    }
}

fn asking(at: Instant) -> Asking<'static> {
    Asking { channel: id(100), currency: eur(), buyer: Buyer::ANYBODY, at }
}

fn choose(lists: &[PriceList], rows: &[PriceRow], count: i64) -> Result<ChosenPrice, Vec<Step>> {
    choose_price(lists, rows, asking(day(10)), quantity(count))
}

fn texts(steps: &[Step]) -> Vec<&str> {
    steps.iter().map(|step| step.text.as_str()).collect()
}

#[test]
fn the_channels_own_list_goes_first_then_priority_then_code() {
    let own = PriceList { channel: Some(id(100)), ..list(1, "own") };
    let high = PriceList { priority: 9, ..list(2, "high") };
    let lists = [list(4, "b"), list(3, "a"), high, own];
    let rows = [row(1, 1, "1"), row(2, 1, "2"), row(3, 1, "3"), row(4, 1, "4")];
    for (without, winner) in [(0, "own"), (1, "high"), (2, "a"), (3, "b")] {
        let chosen = choose(&lists[..4 - without], &rows, 1).unwrap();
        assert_eq!(chosen.list_code, winner);
        assert_eq!(chosen.because.len(), 4 - without);
    }
    let chosen = choose(&lists, &rows, 1).unwrap();
    let said = texts(&chosen.because);
    assert_eq!(
        said,
        ["list own, from 1: 1.00 EUR", "list b: own goes first", "list a: own goes first", "list high: own goes first"]
    );
}

#[test]
fn the_highest_tier_that_is_reached_wins_then_the_later_start() {
    let later = PriceRow { valid_from: Some(day(5)), ..row(1, 10, "7.50") };
    let rows = [row(1, 1, "9"), later, row(1, 10, "8"), row(1, 100, "6")];
    for (count, price) in [(1, "9"), (9, "9"), (10, "7.50"), (99, "7.50"), (100, "6"), (5000, "6")] {
        let chosen = choose(&[list(1, "retail")], &rows, count).unwrap();
        assert_eq!(chosen.price, UnitPrice::parse(price, eur()).unwrap().into(), "{count}");
    }
}

#[test]
fn validity_is_half_open() {
    let sale = PriceList { priority: 1, valid_from: Some(day(10)), valid_until: Some(day(12)), ..list(1, "sale") };
    let (lists, rows) = ([sale, list(2, "retail")], [row(1, 1, "5"), row(2, 1, "9")]);
    for (at, winner, other) in [
        (day(9), "retail", "list sale: not valid yet"),
        (day(10), "sale", "list retail: sale goes first"),
        (day(11), "sale", "list retail: sale goes first"),
        (day(12), "retail", "list sale: no longer valid"),
    ] {
        let chosen = choose_price(&lists, &rows, asking(at), Quantity::ONE).unwrap();
        assert_eq!((chosen.list_code.as_str(), texts(&chosen.because)[1]), (winner, other));
    }
}

#[test]
fn a_list_whose_tier_is_not_reached_is_passed_over_and_no_price_is_explained() {
    let own = PriceList { channel: Some(id(100)), ..list(1, "own") };
    let foreign = PriceList { channel: Some(id(101)), ..list(2, "foreign") };
    let yen = PriceList { currency: "JPY".parse().unwrap(), ..list(3, "yen") };
    let lists = [own, foreign, yen, list(4, "retail")];
    let rows = [row(1, 10, "5"), row(2, 1, "1"), row(4, 1, "9")];
    let chosen = choose(&lists, &rows, 3).unwrap();
    assert_eq!(texts(&chosen.because), ["list retail, from 1: 9.00 EUR", "list own: no price valid for 3"]);
    assert_eq!(
        texts(&choose(&lists, &rows[..2], 3).unwrap_err()),
        [
            "list own: no price valid for 3",
            "list foreign: another channel",
            "list yen: another currency",
            "list retail: no price valid for 3"
        ]
    );
    assert_eq!(texts(&choose(&[], &rows, 3).unwrap_err()), ["there is no price list"]);
}

#[test]
fn the_ladder_shows_what_will_be_charged() {
    // The own list starts at 10, so the general one fills in below and its tier at 50 never counts.
    let own = PriceList { channel: Some(id(100)), ..list(1, "own") };
    let rows = [row(2, 1, "9"), row(2, 5, "8"), row(2, 50, "1"), row(1, 10, "7"), row(1, 100, "6")];
    let ladder = tiers(&[list(2, "retail"), own], &rows, asking(day(10)));
    let shown: Vec<_> = ladder.iter().map(|tier| (tier.min_quantity.get(), tier.unit_price.to_string())).collect();
    let expected = [(1, "9.00 EUR"), (5, "8.00 EUR"), (10, "7.00 EUR"), (100, "6.00 EUR")];
    assert_eq!(shown, expected.map(|(from, price)| (from, price.to_owned())));
}

prop_compose! {
    fn any_lists()(lists in prop::collection::vec((any::<bool>(), 0..3i32, 0..2u32), 0..5)) -> Vec<PriceList> {
        lists.into_iter().enumerate().map(|(place, (own, priority, from))| PriceList {
            channel: own.then(|| id(100)),
            priority,
            valid_from: Some(day(10 + from)),
            ..list(place as u8, &format!("l{place}"))
        }).collect()
    }
}

prop_compose! {
    fn any_rows()(rows in prop::collection::vec((0..5u8, 0..20i64, 1..900i64, 1..4i64, 9..12u32), 0..20)) -> Vec<PriceRow> {
        rows.into_iter().map(|(list, from, price, per, valid)| PriceRow {
            price: PricePer::from_scaled(price, eur(), Per::new(per).unwrap()),
            valid_from: Some(day(valid)),
            ..row(list, from, "1")
        }).collect()
    }
}

proptest! {
    #[test]
    fn tiers_agree_with_the_choice_at_every_quantity(lists in any_lists(), rows in any_rows(), count in 0..25i64) {
        let ladder = tiers(&lists, &rows, asking(day(10)));
        prop_assert!(ladder.is_sorted_by(|one, next| one.min_quantity < next.min_quantity));
        let rung = ladder.iter().rev().find(|tier| tier.min_quantity <= quantity(count));
        let chosen = choose(&lists, &rows, count).ok();
        prop_assert_eq!(
            rung.map(|tier| (tier.min_quantity, PricePer { price: tier.unit_price, per: tier.per })),
            chosen.map(|chosen| (chosen.min_quantity, chosen.price))
        );
    }

    #[test]
    fn the_choice_does_not_depend_on_the_order_of_the_rows(lists in any_lists(), rows in any_rows(), count in 0..25i64) {
        let mut turned: (Vec<_>, Vec<_>) = (lists.clone(), rows.clone());
        turned.0.reverse();
        turned.1.reverse();
        let pick = |chosen: Result<ChosenPrice, _>| chosen.ok().map(|it| (it.price, it.list_code, it.min_quantity));
        prop_assert_eq!(pick(choose(&lists, &rows, count)), pick(choose(&turned.0, &turned.1, count)));
    }
}

#[test]
fn a_tax_rate_changes_at_its_hour() {
    let rate = |number, class: &str, text: &str, from, until| TaxRate {
        id: id(number),
        country: country("DE"),
        tax_class: class.into(),
        rate: text.parse().unwrap(),
        valid_from: from,
        valid_until: until,
    };
    let rates = [
        rate(1, "standard", "0.19", None, None),
        rate(2, "standard", "0.165", Some(day(10)), Some(day(20))),
        rate(3, "reduced", "0.07", None, None),
    ];
    let at = |at| tax_rate(&rates, country("DE"), "standard", at).map(|(rate, step)| (rate.to_string(), step.text));
    assert_eq!(at(day(9)), Some(("0.19".into(), "DE standard: 19 %".into())));
    assert_eq!(at(day(10)), Some(("0.165".into(), "DE standard: 16.5 %".into())));
    assert_eq!(at(day(20)), Some(("0.19".into(), "DE standard: 19 %".into())));
    assert_eq!(tax_rate(&rates, country("FR"), "standard", day(9)), None);
    assert_eq!(tax_rate(&rates, country("DE"), "luxury", day(9)), None);
}

fn shipping_to(countries: &[&str], price: i64) -> ShippingRate {
    ShippingRate {
        countries: countries.iter().map(|code| country(code)).collect(),
        currency: eur(),
        min_weight_grams: 0,
        max_weight_grams: Some(31_500),
        min_value: None,
        max_value: None,
        price: Money::from_minor(price, eur()),
    }
}

fn method(rates: Vec<ShippingRate>) -> ShippingMethod {
    ShippingMethod {
        id: id(1),
        code: "dhl".into(),
        name: "DHL".into(),
        channel: id(100),
        active: true,
        tax_class: "standard".into(),
        rates,
        delivery_days: Some((2, 4)),
        transit: Vec::new(),
        pickup: None,
    }
}

#[test]
fn the_cheapest_shipping_rate_that_fits_wins() {
    let free = ShippingRate { min_value: Some(5000), ..shipping_to(&["DE"], 0) };
    let dhl = method(vec![shipping_to(&["DE"], 490), free, shipping_to(&[], 990)]);
    let price = |code, value| shipping_rate(&dhl, country(code), eur(), 1200, value).unwrap().0.minor();
    assert_eq!((price("DE", 4999), price("DE", 5000), price("FR", 5000)), (490, 0, 990));
    let step = shipping_rate(&dhl, country("DE"), eur(), 1200, 0).unwrap().1;
    assert_eq!((step.code.as_str(), step.text.as_str()), ("shipping_rate", "dhl to DE, 1200 g: 4.90 EUR"));
}

#[test]
fn why_a_shipping_method_is_unavailable() {
    let heavy = ShippingRate {
        min_weight_grams: 100,
        min_value: Some(100),
        max_value: Some(900),
        ..shipping_to(&["DE", "AT"], 490)
    };
    let dhl = method(vec![heavy]);
    let why = |method: &ShippingMethod, code: &str, currency: &str, weight, value| {
        let step = shipping_rate(method, country(code), currency.parse().unwrap(), weight, value).unwrap_err();
        step.code
    };
    assert_eq!(why(&ShippingMethod { active: false, ..dhl.clone() }, "DE", "EUR", 500, 500), "inactive");
    assert_eq!(why(&method(vec![]), "DE", "EUR", 500, 500), "country_not_served");
    assert_eq!(why(&dhl, "FR", "EUR", 500, 500), "country_not_served");
    assert_eq!(why(&dhl, "AT", "CHF", 500, 500), "currency");
    assert_eq!(why(&dhl, "DE", "EUR", 99, 500), "too_light");
    assert_eq!(why(&dhl, "DE", "EUR", 31_501, 500), "too_heavy");
    assert_eq!(why(&dhl, "DE", "EUR", 500, 99), "value_out_of_range");
    assert_eq!(why(&dhl, "DE", "EUR", 500, 901), "value_out_of_range");
    assert!(shipping_rate(&dhl, country("DE"), eur(), 31_500, 900).is_ok());
}

#[test]
fn a_customers_list_goes_before_their_companys_that_before_their_groups_and_that_before_everybodys() {
    let theirs = PriceList { audience: Audience::Customer(id(7)), kind: ListKind::Contract, ..list(1, "theirs") };
    let trade = PriceList { audience: Audience::Group("trade".into()), ..list(2, "trade") };
    let own = PriceList { channel: Some(id(100)), priority: 9, ..list(3, "own") };
    let acme = PriceList { audience: Audience::Company(id(9)), priority: -5, ..list(5, "acme") };
    let lists = [own, trade, acme, theirs, list(4, "retail")];
    let rows = [row(1, 1, "1"), row(2, 1, "2"), row(3, 1, "3"), row(4, 1, "4"), row(5, 1, "5")];
    let won_as = |customer: Option<u8>, company: Option<u8>, group: Option<&str>| {
        let (customer, company) = (customer.map(id), company.map(id));
        let buyer = Buyer { customer, company, group: group.map(str::to_owned), ..Buyer::default() };
        let asking = Asking { buyer: &buyer, ..asking(day(10)) };
        choose_price(&lists, &rows, asking, Quantity::ONE).unwrap().list_code
    };
    let won = |customer, group| won_as(customer, None, group);
    assert_eq!(won_as(Some(7), Some(9), Some("trade")), "theirs");
    assert_eq!(won_as(Some(8), Some(9), Some("trade")), "acme");
    assert_eq!(won_as(Some(8), Some(6), Some("trade")), "trade");
    assert_eq!(won_as(None, Some(6), None), "own");
    assert_eq!(won(Some(7), Some("trade")), "theirs");
    assert_eq!(won(Some(8), Some("trade")), "trade");
    assert_eq!(won(Some(8), Some("press")), "own");
    assert_eq!(won(None, None), "own");
    // What is for others is never shown, nor named where there is a price.
    let ladder = tiers(&lists, &rows, asking(day(10)));
    assert_eq!(ladder.iter().map(|tier| tier.unit_price.scaled()).collect::<Vec<_>>(), [3_000_000]);
    assert_eq!(
        texts(&choose(&lists, &rows, 1).unwrap().because),
        ["list own, from 1: 3.00 EUR", "list retail: own goes first"]
    );
}

#[test]
fn costs_are_no_prices() {
    let costs = PriceList { kind: ListKind::Cost, priority: 99, ..list(1, "costs") };
    let own = PriceList { channel: Some(id(100)), ..costs.clone() };
    let lists = [costs, PriceList { id: id(3), ..own }, list(2, "retail")];
    let rows = [row(1, 1, "1"), row(2, 1, "4"), row(3, 1, "2"), row(3, 10, "1.5")];
    assert_eq!(choose(&lists, &rows, 20).unwrap().list_code, "retail");
    assert_eq!(cost(&lists, &rows, asking(day(10))).unwrap().price.scaled(), 2_000_000);
    assert_eq!(cost(&lists[2..], &rows, asking(day(10))), None);
}

#[test]
fn the_nearest_tiers_that_were_passed_over_are_told_with_why_and_the_others_counted() {
    let rows: Vec<PriceRow> = (0..9).map(|n| row(1, 1 + 10 * n, &(90 - n).to_string())).collect();
    let told = |lists: &[PriceList], rows: &[PriceRow], count: i64| {
        let steps = passed_over_tiers(lists, rows, asking(day(10)), quantity(count));
        assert!(steps.iter().all(|step| step.code == "passed_over"));
        steps.into_iter().map(|step| step.text).collect::<Vec<_>>()
    };
    let retail = [list(1, "retail")];
    // 1, 11, 21, 31 | 41 | 51, 61, 71, 81: three on each side, and two more.
    assert_eq!(
        told(&retail, &rows, 45),
        [
            "list retail, from 51: 85.00 EUR: it needs 6 more",
            "list retail, from 61: 84.00 EUR: it needs 16 more",
            "list retail, from 71: 83.00 EUR: it needs 26 more",
            "list retail, from 31: 87.00 EUR: that from 41 goes first",
            "list retail, from 21: 88.00 EUR: that from 41 goes first",
            "list retail, from 11: 89.00 EUR: that from 41 goes first",
            "list retail: 2 more tiers, further from 45",
        ]
    );
    // Of several from as many the one that counts is not passed over; what is not valid then is nothing.
    let later = PriceRow { valid_from: Some(day(5)), ..row(1, 1, "8") };
    let over = PriceRow { valid_until: Some(day(5)), ..row(1, 5, "7") };
    assert_eq!(
        told(&retail, &[row(1, 1, "9"), later, over], 7),
        ["list retail, from 1: 9.00 EUR: a later or a lower one from as many goes first"]
    );
    // A list that goes first, and needs more; behind the one that wins others' tiers were never in question.
    let lists = [
        list(1, "retail"),
        PriceList { priority: 5, ..list(2, "large") },
        PriceList { priority: -5, ..list(3, "last") },
    ];
    let rows = [row(1, 1, "9"), row(2, 100, "5"), row(3, 50, "1")];
    assert_eq!(told(&lists, &rows, 7), ["list large, from 100: 5.00 EUR: it needs 93 more"]);
    // Where none has a price for so few, all that apply are told.
    assert_eq!(
        told(&lists, &rows[1..], 7),
        ["list large, from 100: 5.00 EUR: it needs 93 more", "list last, from 50: 1.00 EUR: it needs 43 more"]
    );
    // However many lists there are, a dozen is enough.
    let many: Vec<PriceList> = (0..50).map(|n| list(n, &format!("l{n:02}"))).collect();
    let rows: Vec<PriceRow> = (0..50).map(|n| row(n, 100, "5")).collect();
    assert_eq!(told(&many, &rows, 1).len(), 12);
}
