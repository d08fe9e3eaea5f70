use super::{
    super::{model::RoundingPoint, promotions, rates::ShippingRate},
    *,
};
use crate::kernel::{Id, Rounding};

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
        promotions: Vec::new(),
        version: None,
        price_lists: vec![list],
        tax_rates: vec![tax(1, "standard", "0.19"), tax(2, "reduced", "0.07")],
        shipping_methods: vec![
            method(1, "standard", standard),
            method(2, "express", vec![rate(&["DE"], None, "3.90")]),
        ],
    }
}

fn prices() -> HashMap<VariantId, Vec<PriceRow>> {
    let row = |min_quantity, price: &str| PriceRow {
        list: id(1),
        min_quantity: Quantity::new(min_quantity).unwrap(),
        price: UnitPrice::parse(price, eur()).unwrap(),
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
        unit_price_override: None,
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
        coupons: &[],
        left: &UNUSED,
        detail: Detail::All,
        consider: Consider::Active,
        lines,
        shipping: None,
    }
}

fn shipping(code: &str) -> Option<ShippingRequest> {
    Some(ShippingRequest { code: code.into(), weight_grams: 1000 })
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
    let reduced = Rules { promotions: vec![off("20.00", "order")], version: Some(9), ..rules() };
    let totals = quote(&reduced, &prices(), &request).totals.unwrap();
    assert_eq!((totals.shipping_total, totals.discount), (euros("4.90"), euros("20.00")));
    assert_eq!((totals.promotions[0].amount, totals.promotions[0].version), (euros("20.00"), 3));
    assert_eq!(totals.rules_version, Some(9));
    // And is reduced after that, by what is on it.
    let shipped = Rules { promotions: vec![off("20.00", "order"), off("3.00", "shipping")], ..rules() };
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
    let mut rules = rules();
    let free = |number, class: &str| TaxRate {
        id: id(number),
        country: country("AT"),
        tax_class: class.into(),
        rate: Decimal::ZERO,
        valid_from: None,
        valid_until: None,
    };
    rules.tax_rates.extend([free(3, "standard"), free(4, "stanard")]);
    assert_eq!(super::quote(&rules, &prices(), &request).problems, []);
}

#[test]
fn a_price_set_by_hand_goes_first_but_not_in_another_currency() {
    let mut request = request(vec![line(1, 9, "standard", 1), line(2, 9, "standard", 1)]);
    request.lines[0].unit_price_override = UnitPrice::of(euros("5.00"));
    request.lines[1].unit_price_override = Some(UnitPrice::parse("5", "USD".parse().unwrap()).unwrap());
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
    request.lines[0].unit_price_override = Some(UnitPrice::from_scaled(Money::MAX_INPUT, eur()));
    request.lines[0].quantity = Quantity::new(Quantity::MAX).unwrap();
    let quote = ask(&request);
    assert_eq!((quote.problems[0].line_no, quote.problems[0].code), (Some(1), Code::AmountOverflow));
    assert!(quote.totals.unwrap().lines.is_empty());
}

#[test]
fn options_name_price_or_reason_the_available_and_cheapest_first() {
    let mut rules = rules();
    rules.shipping_methods.push(ShippingMethod { active: false, ..method(3, "retired", Vec::new()) });
    let codes = |country: Country| {
        let options = shipping_options(&rules, id(100), country, eur(), 500, euros("10.00"));
        let of = |it: ShippingOption| (it.code, it.price.map(Money::minor), it.reason.map(|step| step.code));
        options.into_iter().map(of).collect::<Vec<_>>()
    };
    let (express, standard) = ("express".to_owned(), "standard".to_owned());
    assert_eq!(codes(country("DE")), [(express.clone(), Some(390), None), (standard.clone(), Some(490), None)]);
    let refused = (express, None, Some("country_not_served".to_owned()));
    assert_eq!(codes(country("AT")), [(standard, Some(990), None), refused]);
    assert!(shipping_options(&rules, id(7), country("DE"), eur(), 500, euros("10.00")).is_empty());
}
