use super::{
    super::{model::RoundingPoint, promotions, rates::ShippingRate},
    *,
};
use crate::kernel::{Id, Rounding, UnitPrice, tax::InclusivePrices, text::Text};

mod looked_at;

fn eur() -> Currency {
    "EUR".parse().unwrap()
}

fn country(code: &str) -> Country {
    code.parse().unwrap()
}

fn at() -> Instant {
    "2026-03-02T09:00:00Z".parse().unwrap()
}

fn id<K>(number: u8) -> Id<K> {
    Id::from_bytes([number; 16])
}

fn euros(amount: &str) -> Money {
    Money::parse(amount, eur()).unwrap()
}

fn rate(countries: &[&str], min_value: Option<i64>, price: &str) -> ShippingRate {
    ShippingRate {
        countries: countries.iter().map(|code| country(code)).collect(),
        currency: eur(),
        min_weight_grams: 0,
        max_weight_grams: Some(30_000),
        min_value,
        max_value: None,
        price: euros(price),
    }
}

fn method(number: u8, code: &str, rates: Vec<ShippingRate>) -> ShippingMethod {
    ShippingMethod {
        id: id(number),
        code: code.into(),
        name: code.into(),
        channel: id(100),
        active: true,
        tax_class: "standard".into(),
        rates,
        delivery_days: Some((2, 3)),
        transit: Vec::new(),
        pickup: None,
    }
}

fn rules() -> Rules {
    let list = PriceList {
        id: id(1),
        code: "retail".into(),
        name: "Retail".into(),
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
    };
    let tax = |number, class: &str, rate: &str| TaxRate {
        id: id(number),
        country: country("DE"),
        tax_class: class.into(),
        rate: rate.parse().unwrap(),
        valid_from: None,
        valid_until: None,
    };
    let standard = vec![rate(&["DE"], None, "4.90"), rate(&["DE"], Some(5000), "0"), rate(&["AT"], None, "9.90")];
    Rules {
        price_lists: vec![list].into(),
        tax_rates: vec![tax(1, "standard", "0.19"), tax(2, "reduced", "0.07")].into(),
        shipping_methods: vec![
            method(1, "standard", standard),
            method(2, "express", vec![rate(&["DE"], None, "3.90")]),
        ]
        .into(),
        ..Rules::default()
    }
}

/// What is filed, to be changed and filed anew.
fn unfiled<T: super::super::filed::Filing + Clone>(filed: &Filed<T>) -> Vec<T> {
    filed.iter().map(|one| one.as_ref().clone()).collect()
}

impl Rules {
    /// With more tax rates.
    fn taxed(self, more: impl IntoIterator<Item = TaxRate>) -> Self {
        let rates: Vec<TaxRate> = unfiled(&self.tax_rates).into_iter().chain(more).collect();
        Self { tax_rates: rates.into(), ..self }
    }

    /// With the first shipping method changed.
    fn shipped(self, change: impl FnOnce(&mut ShippingMethod)) -> Self {
        let mut methods = unfiled(&self.shipping_methods);
        change(&mut methods[0]);
        Self { shipping_methods: methods.into(), ..self }
    }
}

fn prices() -> HashMap<VariantId, Vec<PriceRow>> {
    let row = |min_quantity, price: &str| PriceRow {
        list: id(1),
        min_quantity: Quantity::new(min_quantity).unwrap(),
        price: UnitPrice::parse(price, eur()).unwrap().into(),
        valid_from: None,
        valid_until: None,
    };
    HashMap::from([(id(1), vec![row(1, "11.90"), row(10, "10")]), (id(2), vec![row(1, "10.70")])])
}

static HOME: std::sync::LazyLock<Sale> = std::sync::LazyLock::new(|| sale("DE"));

fn sale(destination: &str) -> Sale {
    let policy = crate::kernel::TaxPolicy::default();
    Sale { seller: country("DE"), destination: country(destination), vat_id: None, exempt: false, policy }
}

#[test]
fn a_price_for_a_hundred_goes_through_with_its_pieces() {
    let row = PriceRow {
        list: id(1),
        min_quantity: Quantity::ONE,
        price: PricePer::from_scaled(12_500_000, eur(), crate::kernel::Per::new(1000).unwrap()),
        valid_from: None,
        valid_until: None,
    };
    let prices = HashMap::from([(id(1), vec![row])]);
    let quote = quote(&rules(), &prices, &request(vec![line(1, 1, "standard", 250)]));
    let totals = quote.totals.unwrap();
    // 0.0125 a piece: 250 are 3.125.
    assert_eq!((totals.lines[0].price().to_string(), totals.total.minor()), ("12.50 EUR per 1000".to_owned(), 313));
    let mut steps = totals.lines[0].explanation.clone();
    assert_eq!(steps[0].text, "list retail, from 1: 12.50 EUR per 1000");
    Step::keep_public(&mut steps, Some(totals.lines[0].price()));
    assert_eq!(steps[0].text, "12.50 EUR per 1000 by the price list");
}

static PLAIN: BTreeMap<String, serde_json::Value> = BTreeMap::new();
static UNUSED: std::sync::LazyLock<HashMap<PromotionId, Left>> = std::sync::LazyLock::new(HashMap::new);

fn line(line_no: i32, variant: u8, tax_class: &str, quantity: i64) -> LineRequest<'_> {
    LineRequest {
        line_no,
        variant_id: id(variant),
        sku: "SKU",
        attributes: &PLAIN,
        tax_class,
        quantity: Quantity::new(quantity).unwrap(),
        shipped: true,
        price_override: None,
        parts: Vec::new(),
    }
}

fn request(lines: Vec<LineRequest<'_>>) -> QuoteRequest<'_> {
    QuoteRequest {
        channel: id(100),
        currency: eur(),
        prices_include_tax: true,
        rounding: RoundingRule { point: RoundingPoint::PerLine, strategy: Rounding::HalfUp },
        country: country("DE"),
        sale: &HOME,
        at: at(),
        buyer: Buyer::ANYBODY,
        device: Device::Desktop,
        origin: None,
        payment_method: None,
        coupons: &[],
        left: &UNUSED,
        detail: Detail::All,
        consider: Consider::Active,
        lines,
        gifts: Vec::new(),
        shipping: None,
        further: Vec::new(),
    }
}

fn shipping(code: &str) -> Option<ShippingRequest> {
    Some(ShippingRequest::whole(code.into(), 1000))
}

fn off(amount: &str, on: &str) -> Compiled {
    let rule = serde_json::json!({"gift": {"type": "amount", "amount": euros(amount), "on": on}});
    Compiled::new(promotions::Promotion {
        id: id(50),
        code: "x".into(),
        name: "X".into(),
        state: promotions::PromotionState::Active,
        channel: None,
        priority: 0,
        valid_from: None,
        valid_until: None,
        rule: serde_json::from_value(rule).unwrap(),
        version: 3,
        created_at: at(),
        updated_at: at(),
    })
}

fn ask(request: &QuoteRequest<'_>) -> Quote {
    quote(&rules(), &prices(), request)
}

#[test]
fn tier_tax_and_shipping_are_found_and_explained() {
    let mut request = request(vec![line(1, 1, "standard", 2), line(2, 2, "reduced", 1)]);
    request.shipping = shipping("standard");
    let quote = ask(&request);
    assert_eq!(quote.problems, []);
    let totals = quote.totals.unwrap();
    assert_eq!((totals.total, quote.goods_value), (euros("39.40"), euros("34.50")));
    assert_eq!(totals.lines[0].net, euros("20.00"));
    assert_eq!(totals.lines[1].tax, euros("0.70"));
    assert!(totals.lines[0].explanation.iter().any(|step| step.code == "price_list"));
    assert!(totals.shipping.unwrap().explanation.iter().any(|step| step.code == "shipping_rate"));
}

#[test]
fn shipping_goes_by_the_value_after_discount() {
    let mut request = request(vec![line(1, 1, "standard", 5)]);
    request.shipping = shipping("standard");
    assert_eq!(ask(&request).totals.unwrap().shipping_total, euros("0.00"));
    let reduced = Rules { promotions: vec![off("20.00", "order")].into(), version: Some(9), ..rules() };
    let totals = quote(&reduced, &prices(), &request).totals.unwrap();
    assert_eq!((totals.shipping_total, totals.discount), (euros("4.90"), euros("20.00")));
    assert_eq!((totals.promotions[0].amount, totals.promotions[0].version), (euros("20.00"), 3));
    assert_eq!(totals.rules_version, Some(9));
    // And is reduced after that, by what is on it.
    let shipped = Rules { promotions: vec![off("20.00", "order"), off("3.00", "shipping")].into(), ..rules() };
    let totals = quote(&shipped, &prices(), &request).totals.unwrap();
    assert_eq!((totals.shipping_total, totals.discount), (euros("1.90"), euros("20.00")));
    assert_eq!((totals.shipping.unwrap().discount, totals.total), (euros("3.00"), euros("41.40")));
    // Without tax in the prices the value is the net.
    request.prices_include_tax = false;
    assert_eq!(ask(&request).goods_value, euros("59.50"));
}

#[test]
fn what_has_no_price_is_a_problem_and_the_rest_is_priced() {
    let request = request(vec![line(1, 1, "standard", 1), line(2, 9, "standard", 1), line(3, 1, "standard", 0)]);
    let quote = ask(&request);
    let missing: Vec<_> = quote.problems.iter().map(|problem| (problem.line_no, problem.code)).collect();
    assert_eq!(missing, [(Some(2), Code::PriceMissing), (Some(3), Code::PriceMissing)]);
    assert_eq!(quote.problems[0].because[0].code, "passed_over");
    assert_eq!(quote.totals.unwrap().total, euros("11.90"));
}

#[test]
fn what_has_no_tax_rate_is_a_problem_and_a_rate_of_nothing_is_none() {
    let mut request = request(vec![line(1, 1, "standard", 1), line(2, 1, "stanard", 1)]);
    request.shipping = shipping("standard");
    let missing = |quote: &Quote| quote.problems.iter().map(|it| (it.line_no, it.code)).collect::<Vec<_>>();
    let quote = ask(&request);
    assert_eq!(missing(&quote), [(Some(2), Code::TaxRateMissing)]);
    assert!(quote.totals.unwrap().lines[1].explanation.iter().any(|step| step.code == "no_tax_rate"));
    let austria = sale("AT");
    (request.country, request.sale) = (country("AT"), &austria);
    let quote = ask(&request);
    let all = [Some(1), Some(2), None].map(|line_no| (line_no, Code::TaxRateMissing));
    assert_eq!((missing(&quote), quote.totals.unwrap().tax), (all.to_vec(), euros("0.00")));
    let rules = rules();
    let free = |number, class: &str| TaxRate {
        id: id(number),
        country: country("AT"),
        tax_class: class.into(),
        rate: Decimal::ZERO,
        valid_from: None,
        valid_until: None,
    };
    let rules = rules.taxed([free(3, "standard"), free(4, "stanard")]);
    assert_eq!(super::quote(&rules, &prices(), &request).problems, []);
}

#[test]
fn a_price_set_by_hand_goes_first_but_not_in_another_currency() {
    let mut request = request(vec![line(1, 9, "standard", 1), line(2, 9, "standard", 1)]);
    request.lines[0].price_override = UnitPrice::of(euros("5.00")).map(PricePer::from);
    request.lines[1].price_override = Some(UnitPrice::parse("5", "USD".parse().unwrap()).unwrap().into());
    let quote = ask(&request);
    assert_eq!(quote.totals.unwrap().total, euros("5.00"));
    assert_eq!((quote.problems[0].line_no, quote.problems[0].code), (Some(2), Code::CurrencyNotSold));
}

#[test]
fn what_does_not_fit_is_told_and_never_panics() {
    let mut request = request(vec![line(1, 1, "standard", 1)]);
    request.shipping = shipping("pigeon");
    let quote = ask(&request);
    assert_eq!(quote.problems[0].code, Code::ShippingMethodUnavailable);
    assert_eq!(quote.totals.unwrap().total, euros("11.90"));
    request.shipping = shipping("express");
    let austria = sale("AT");
    (request.country, request.sale) = (country("AT"), &austria);
    let problems = ask(&request).problems;
    let refused = problems.iter().find(|problem| problem.code == Code::ShippingMethodUnavailable).unwrap();
    assert_eq!(refused.because[0].code, "country_not_served");
    (request.shipping, request.country, request.sale) = (None, country("DE"), &HOME);
    request.lines[0].price_override = Some(UnitPrice::from_scaled(Money::MAX_INPUT, eur()).into());
    request.lines[0].quantity = Quantity::new(Quantity::MAX).unwrap();
    let quote = ask(&request);
    assert_eq!((quote.problems[0].line_no, quote.problems[0].code), (Some(1), Code::AmountOverflow));
    assert!(quote.totals.unwrap().lines.is_empty());
}

/// What is offered for 500 g that are worth 10.00.
fn options_of(rules: &Rules, sale: &Sale, (channel, country): (u8, Country)) -> Vec<ShippingOption> {
    let taxed = Taxed::new(rules, sale, at(), (true, Rounding::HalfUp));
    shipping_options(&taxed, (id(channel), country), (500, &[]), euros("10.00"), Rounding::HalfUp)
}

#[test]
fn options_name_price_or_reason_the_available_and_cheapest_first() {
    let rules = rules();
    let retired = ShippingMethod { active: false, ..method(3, "retired", Vec::new()) };
    let methods: Vec<ShippingMethod> = unfiled(&rules.shipping_methods).into_iter().chain([retired]).collect();
    let rules = Rules { shipping_methods: methods.into(), ..rules };
    let codes = |country: Country| {
        let options = options_of(&rules, &HOME, (100, country));
        let of = |it: ShippingOption| (it.code, it.price.map(Money::minor), it.reason.map(|step| step.code));
        options.into_iter().map(of).collect::<Vec<_>>()
    };
    let (express, standard) = ("express".to_owned(), "standard".to_owned());
    assert_eq!(codes(country("DE")), [(express.clone(), Some(390), None), (standard.clone(), Some(490), None)]);
    let refused = (express, None, Some("country_not_served".to_owned()));
    assert_eq!(codes(country("AT")), [(standard, Some(990), None), refused]);
    assert!(options_of(&rules, &HOME, (7, country("DE"))).is_empty());
}

/// A channel of Germany that takes its own tax out of prices and puts the one that is due in, or leaves them.
fn recomputing(destination: &str, inclusive_prices: InclusivePrices) -> Sale {
    let policy = crate::kernel::TaxPolicy { inclusive_prices, ..Default::default() };
    Sale { policy, ..sale(destination) }
}

/// 20 % in France, 10 % in Austria.
fn abroad() -> Rules {
    let rate = |number, code: &str, rate: &str| TaxRate {
        id: id(number),
        country: country(code),
        tax_class: "standard".into(),
        rate: rate.parse().unwrap(),
        valid_from: None,
        valid_until: None,
    };
    rules().taxed([rate(11, "FR", "0.20"), rate(12, "AT", "0.10")])
}

fn charged(rules: &Rules, sale: &Sale, price: &str, quantity: i64) -> (String, Money) {
    let mut prices = prices();
    prices.get_mut(&id(1)).unwrap()[0].price = UnitPrice::parse(price, eur()).unwrap().into();
    let mut request = request(vec![line(1, 1, "standard", quantity)]);
    (request.country, request.sale) = (sale.destination, sale);
    let totals = quote(rules, &prices, &request).totals.unwrap();
    (totals.lines[0].unit_price.decimal().normalize().to_string(), totals.total)
}

#[test]
fn recomputed_prices_are_whole_cents_unless_they_have_more_digits_at_home() {
    let (rules, french) = (abroad(), recomputing("FR", InclusivePrices::Recomputed));
    // 19.90 / 1.19 × 1.20 is 20.067…: 20.07, and three of them 60.21.
    assert_eq!(charged(&rules, &french, "19.90", 3), ("20.07".to_owned(), euros("60.21")));
    assert_eq!(charged(&rules, &french, "11.90", 1), ("12".to_owned(), euros("12.00")));
    // 0.0119 is 0.0100 and tax: a cent would be no price of it.
    assert_eq!(charged(&rules, &french, "0.0119", 1), ("0.012".to_owned(), euros("0.01")));
    assert_eq!(
        charged(&rules, &recomputing("FR", InclusivePrices::Fixed), "19.90", 3),
        ("19.9".to_owned(), euros("59.70"))
    );
}

#[test]
fn a_recomputed_price_is_rounded_as_its_channel_rounds() {
    let (rules, finnish) = (abroad(), recomputing("FI", InclusivePrices::Recomputed));
    let home = rules.tax_rates[0].as_ref().clone();
    let rules = rules.taxed([TaxRate { country: country("FI"), rate: Decimal::new(255, 3), ..home }]);
    let charged = |price: &str, strategy| {
        let taxed = Taxed::new(&rules, &finnish, at(), (true, strategy));
        let (rate, _) = taxed.rate("standard").unwrap();
        let price = UnitPrice::parse(price, eur()).unwrap().into();
        taxed.unit_price("standard", price, rate).unwrap().price.decimal().normalize().to_string()
    };
    // 3.57 is 3.00 and 19 %; with 25.5 % it is 3.765.
    assert_eq!(
        (charged("3.57", Rounding::HalfUp), charged("3.57", Rounding::HalfEven)),
        ("3.77".to_owned(), "3.76".to_owned())
    );
    // 1.19 is 1.00 and tax: 1.255, whose even neighbour is above it.
    assert_eq!(
        (charged("1.19", Rounding::HalfUp), charged("1.19", Rounding::HalfEven)),
        ("1.26".to_owned(), "1.26".to_owned())
    );
}

#[test]
fn half_a_cent_is_half_a_cent_though_the_amount_without_tax_has_no_end() {
    let (rules, french) = (abroad(), recomputing("FR", InclusivePrices::Recomputed));
    let mut rates = unfiled(&rules.tax_rates);
    for rate in &mut rates {
        rate.rate = if rate.country == country("FR") { Decimal::new(5, 2) } else { Decimal::new(20, 2) };
    }
    let rules = Rules { tax_rates: rates.into(), ..rules };
    // 0.04 / 1.20 × 1.05 is 0.035: 0.04 by halves up, whatever becomes of 0.0333….
    assert_eq!(charged(&rules, &french, "0.04", 1).0, "0.04");
    let taxed = Taxed::new(&rules, &french, at(), (true, Rounding::HalfEven));
    let price = UnitPrice::parse("0.12", eur()).unwrap().into();
    // 0.12 / 1.20 × 1.05 is 0.105.
    assert_eq!(
        taxed.unit_price("standard", price, Decimal::new(5, 2)).unwrap().price.decimal().normalize().to_string(),
        "0.1"
    );
}

#[test]
fn a_price_that_becomes_too_large_is_a_problem_and_not_charged_as_it_was() {
    let mut prices = prices();
    prices.get_mut(&id(1)).unwrap()[0].price = UnitPrice::parse("1000000000", eur()).unwrap().into();
    let french = recomputing("FR", InclusivePrices::Recomputed);
    let mut request = request(vec![line(1, 1, "standard", 1)]);
    (request.country, request.sale) = (country("FR"), &french);
    let quote = quote(&abroad(), &prices, &request);
    let found: Vec<_> = quote.problems.iter().map(|problem| (problem.line_no, problem.code)).collect();
    assert_eq!((found, quote.totals.unwrap().lines.len()), (vec![(Some(1), Code::AmountOverflow)], 0));
}

#[test]
fn options_cost_what_is_charged() {
    let rules = abroad().shipped(|method| method.rates.push(rate(&["FR"], None, "11.90")));
    for (inclusive_prices, price) in [(InclusivePrices::Recomputed, "12.00"), (InclusivePrices::Fixed, "11.90")] {
        let french = recomputing("FR", inclusive_prices);
        let offered = options_of(&rules, &french, (100, country("FR")));
        let mut request = request(vec![line(1, 1, "standard", 1)]);
        (request.country, request.sale, request.shipping) = (country("FR"), &french, shipping("standard"));
        let charged = quote(&rules, &prices(), &request).totals.unwrap().shipping.unwrap().subtotal;
        assert_eq!((offered[0].price, charged), (Some(euros(price)), euros(price)));
    }
}

#[test]
fn costs_are_compared_with_prices_of_the_same_tax() {
    // Bought for 9.52 with the tax at home, which is 8.00 without. 50 % off 11.90, and not below the cost.
    let rules = abroad();
    let retail = rules.price_lists[0].as_ref().clone();
    let costs = PriceList { id: id(2), code: "costs".into(), kind: ListKind::Cost, ..retail.clone() };
    let rule = serde_json::json!({"gift": {"type": "percentage", "percent": "50", "on": "lines"}, "stacking": {"not_below_cost": true}});
    let promotion =
        promotions::Promotion { rule: serde_json::from_value(rule).unwrap(), ..off("1", "order").promotion };
    let (price_lists, promotions) = (vec![retail, costs].into(), vec![Compiled::new(promotion)].into());
    let rules = Rules { price_lists, promotions, ..rules };
    let mut prices = prices();
    let cost =
        PriceRow { list: id(2), price: UnitPrice::parse("9.52", eur()).unwrap().into(), ..prices[&id(1)][0].clone() };
    prices.get_mut(&id(1)).unwrap().push(cost);
    let total = |sale: &Sale| {
        let mut request = request(vec![line(1, 1, "standard", 1)]);
        (request.country, request.sale) = (sale.destination, sale);
        quote(&rules, &prices, &request).totals.unwrap().total
    };
    let (fixed, recomputed) = (InclusivePrices::Fixed, InclusivePrices::Recomputed);
    assert_eq!(total(&recomputing("DE", fixed)), euros("9.52"));
    // 8.00 with 20 % is 9.60 and with 10 % is 8.80, whether the price moves or not; untaxed it is 8.00.
    for policy in [fixed, recomputed] {
        assert_eq!(total(&recomputing("FR", policy)), euros("9.60"));
        assert_eq!(total(&recomputing("AT", policy)), euros("8.80"));
        assert_eq!(total(&Sale { exempt: true, ..recomputing("DE", policy) }), euros("8.00"));
    }
}

#[test]
fn payments_are_told_apart_where_a_promotion_is_for_one_and_not_for_the_other() {
    let by = |number: u8, methods: &[&str]| {
        let mut ready = off("1.00", "order").promotion;
        ready.rule.conditions.payment_methods = methods.iter().map(|method| Text::new(method).unwrap()).collect();
        Compiled::new(promotions::Promotion { id: id(number), ..ready })
    };
    let apart = |promotions: Vec<Compiled>, one: Option<&str>, other: &str| {
        Rules { promotions: promotions.into(), ..rules() }.tell_payments_apart(
            (id(100), at()),
            None,
            (one, Some(other)),
        )
    };
    assert!(!apart(vec![off("1.00", "order")], Some("a"), "b"));
    assert!(apart(vec![off("1.00", "order"), by(1, &["a"])], Some("a"), "b"));
    assert!(apart(vec![by(1, &["a"])], None, "a"));
    assert!(!apart(vec![by(1, &["a"])], None, "b"));
    assert!(!apart(vec![by(1, &["a", "b"])], Some("a"), "b"));
    // One of another channel, not begun, or over, makes no difference.
    let elsewhere = |change: fn(&mut promotions::Promotion)| {
        let mut ready = by(1, &["a"]).promotion;
        change(&mut ready);
        apart(vec![Compiled::new(ready)], Some("a"), "b")
    };
    assert!(!elsewhere(|one| one.channel = Some(id(7))));
    assert!(!elsewhere(|one| one.valid_from = Some(at().plus_seconds(1))));
    assert!(!elsewhere(|one| one.valid_until = Some(at())));
    assert!(!elsewhere(|one| one.state = promotions::PromotionState::Paused));
    assert!(elsewhere(|one| one.channel = Some(id(100))));
    // What reduces a cart was promised for its method, whatever has become of it.
    let mut totals = ask(&request(vec![line(1, 1, "standard", 1)])).totals.unwrap();
    let reduced = quote(
        &Rules { promotions: vec![by(1, &["a"])].into(), ..rules() },
        &prices(),
        &QuoteRequest { payment_method: Some("a"), ..request(vec![line(1, 1, "standard", 1)]) },
    );
    let told =
        |totals: &Totals, one, other| rules().tell_payments_apart((id(100), at()), Some(totals), (one, Some(other)));
    assert!(!told(&totals, Some("a"), "b"));
    totals.promotions = reduced.totals.unwrap().promotions;
    assert_eq!(totals.promotions.len(), 1);
    assert!(told(&totals, Some("a"), "b") && told(&totals, None, "b") && !told(&totals, None, "a"));
}

/// Two pieces at 19 % for 20.00 without tax, and one at 7 % for 10.00, to Austria, where these are 20 % and 10 %. Shipping there
/// costs 9.90 with the tax at home.
#[test]
fn shipping_that_bears_the_tax_of_the_goods_is_recomputed_with_it() {
    use crate::kernel::tax::{InclusivePrices, ShippingTax};
    let austrian = |number, class: &str, rate: &str| TaxRate {
        id: id(number),
        country: country("AT"),
        tax_class: class.into(),
        rate: rate.parse().unwrap(),
        valid_from: None,
        valid_until: None,
    };
    let rules = rules().taxed([austrian(3, "standard", "0.20"), austrian(4, "reduced", "0.10")]);
    // Its own class has no rate anywhere, and none is needed.
    let rules = rules.shipped(|method| method.tax_class = "parcels".into());
    let ask = |shipping_tax, exempt| {
        let mut abroad = Sale { exempt, ..sale("AT") };
        (abroad.policy.shipping, abroad.policy.inclusive_prices) = (shipping_tax, InclusivePrices::Recomputed);
        let lines = vec![line(1, 1, "standard", 2), line(2, 2, "reduced", 1)];
        let request =
            QuoteRequest { sale: &abroad, country: country("AT"), shipping: shipping("standard"), ..request(lines) };
        let quote = quote(&rules, &prices(), &request);
        let shipping = quote.totals.unwrap().shipping.unwrap();
        (quote.problems.len(), shipping.gross, shipping.tax, shipping.parts.len())
    };
    // 9.90 / 1.19 × 1.20 = 9.983…, of which 9.98 / 1.2 = 8.316… is the net.
    assert_eq!(ask(ShippingTax::MainGood, false), (0, euros("9.98"), euros("1.66"), 0));
    // 9.90 × (24.00 + 11.00) / (23.80 + 10.70) = 10.043…: 6.88 at 20 %, 3.16 at 10 %.
    assert_eq!(ask(ShippingTax::Split, false), (0, euros("10.04"), euros("1.44"), 2));
    // Who pays no tax pays 9.90 / 1.19 = 8.319…, or 9.90 × 30.00 / 34.50 = 8.608….
    assert_eq!(ask(ShippingTax::MainGood, true), (0, euros("8.32"), euros("0.00"), 0));
    assert_eq!(ask(ShippingTax::Split, true), (0, euros("8.61"), euros("0.00"), 0));
    // By its own class it can not be sold.
    assert_eq!(ask(ShippingTax::OwnClass, false).0, 1);
}
