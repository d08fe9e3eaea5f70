use proptest::prelude::*;

use super::*;
use crate::{
    kernel::{
        Per, Quantity, UnitPrice,
        tax::ShippingTax::{self, MainGood, OwnClass, Split},
    },
    pricing::model::{LineTotals, RoundingRule, ShippingTotals},
};

mod shipping;

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn line(line_no: i32, quantity: i64, unit: &str, code: &str, rate: &str) -> LineInput {
    LineInput {
        line_no,
        unit_price: UnitPrice::parse(unit, currency(code)).unwrap(),
        per: Per::ONE,
        quantity: Quantity::new(quantity).unwrap(),
        tax_rate: decimal(rate),
        shipped: true,
        because: vec![],
    }
}

fn shipping(price: &str, code: &str, rate: &str) -> ShippingInput {
    let price = Money::parse(price, currency(code)).unwrap();
    ShippingInput {
        code: "dhl".into(),
        name: "DHL".into(),
        price,
        tax_rate: decimal(rate),
        tax: OwnClass,
        delivery: None,
        carries: vec![],
        because: vec![],
    }
}

fn input(code: &str, included: bool, point: RoundingPoint, lines: Vec<LineInput>) -> Input {
    Input {
        currency: currency(code),
        prices_include_tax: included,
        rounding: RoundingRule { point, strategy: Rounding::HalfUp },
        lines,
        shipping: None,
        further: vec![],
        adjustments: vec![],
    }
}

fn off(target: AdjustmentTarget, value: AdjustmentValue) -> Adjustment {
    Adjustment { target, value, source: "promotion:summer".into(), label: "Summer".into() }
}

fn amount(text: &str, code: &str) -> AdjustmentValue {
    AdjustmentValue::Amount(Money::parse(text, currency(code)).unwrap())
}

fn percent(text: &str) -> AdjustmentValue {
    AdjustmentValue::Percentage(decimal(text))
}

/// Net, tax and total in minor units.
fn sums(totals: &Totals) -> (i64, i64, i64) {
    (totals.net.minor(), totals.tax.minor(), totals.total.minor())
}

fn line_taxes(totals: &Totals) -> Vec<i64> {
    totals.lines.iter().map(|line| line.tax.minor()).collect()
}

#[test]
fn a_tax_inclusive_cart_with_shipping() {
    // 2 × 9.99 = 19.98; 19.98 / 1.19 = 16.789… → 16.79, tax 3.19
    // shipping 4.90; 4.90 / 1.07 = 4.579… → 4.58, tax 0.32
    let mut cart = input("EUR", true, RoundingPoint::PerLine, vec![line(1, 2, "9.99", "EUR", "0.19")]);
    cart.shipping = Some(shipping("4.90", "EUR", "0.07"));
    let totals = price(&cart).unwrap();
    assert_eq!(sums(&totals), (2137, 351, 2488));
    assert_eq!((totals.subtotal.minor(), totals.shipping_total.minor()), (1998, 490));
    let rows: Vec<_> =
        totals.taxes.iter().map(|row| (row.rate.to_string(), row.net.minor(), row.tax.minor())).collect();
    assert_eq!(rows, [("0.07".to_owned(), 458, 32), ("0.19".to_owned(), 1679, 319)]);
}

#[test]
fn rounding_per_order_differs_from_rounding_per_line() {
    // 0.99 / 1.19 = 0.8319… → 0.83, tax 0.16, three times: 0.48
    // 2.97 / 1.19 = 2.4957… → 2.50, tax 0.47 = 0.16 + 0.16 + 0.15
    let lines: Vec<_> = (1..=3).map(|line_no| line(line_no, 1, "0.99", "EUR", "0.19")).collect();
    let per_line = price(&input("EUR", true, RoundingPoint::PerLine, lines.clone())).unwrap();
    assert_eq!((sums(&per_line), line_taxes(&per_line)), ((249, 48, 297), vec![16, 16, 16]));
    let per_order = price(&input("EUR", true, RoundingPoint::PerOrder, lines)).unwrap();
    assert_eq!((sums(&per_order), line_taxes(&per_order)), ((250, 47, 297), vec![16, 16, 15]));
}

#[test]
fn each_currency_rounds_at_its_own_digit() {
    // 3 × 333 = 999 yen; 10 % = 99.9 → 100
    let yen = price(&input("JPY", false, RoundingPoint::PerLine, vec![line(1, 3, "333", "JPY", "0.1")])).unwrap();
    assert_eq!(sums(&yen), (999, 100, 1099));
    // 7 × 0.0125678 dinar = 0.0879746 → 0.088; 5 % = 0.0044 → 0.004
    let dinar = line(1, 7, "0.0125678", "KWD", "0.05");
    let dinar = price(&input("KWD", false, RoundingPoint::PerLine, vec![dinar])).unwrap();
    assert_eq!(sums(&dinar), (88, 4, 92));
    let step = &dinar.lines[0].explanation[0];
    assert_eq!(step.text, "7 × 0.0125678 KWD = 0.0879746, rounded to 0.088 KWD");
}

#[test]
fn half_a_cent_goes_where_the_rule_says() {
    // 0.50 × 5 % = 0.025
    let mut cart = input("EUR", false, RoundingPoint::PerLine, vec![line(1, 1, "0.50", "EUR", "0.05")]);
    assert_eq!(sums(&price(&cart).unwrap()), (50, 3, 53));
    cart.rounding.strategy = Rounding::HalfEven;
    assert_eq!(sums(&price(&cart).unwrap()), (50, 2, 52));
}

#[test]
fn a_price_for_many_pieces_is_rounded_at_the_line_alone() {
    // 10.00 per 3: one piece is 3.33…, ten are 33.33…; 12.50 per 100: 250 are 31.25, seven 0.875.
    let per = |line_no, quantity, unit: &str, per| LineInput {
        per: Per::new(per).unwrap(),
        ..line(line_no, quantity, unit, "EUR", "0.19")
    };
    let lines = vec![
        per(1, 1, "10.00", 3),
        per(2, 3, "10.00", 3),
        per(3, 10, "10.00", 3),
        per(4, 250, "12.50", 100),
        per(5, 7, "12.50", 100),
    ];
    let totals = price(&input("EUR", true, RoundingPoint::PerLine, lines)).unwrap();
    assert_eq!(totals.lines.iter().map(|line| line.subtotal.minor()).collect::<Vec<_>>(), [333, 1000, 3333, 3125, 88]);
    let rounded =
        |line: &LineTotals| line.explanation.iter().find(|step| step.code == "rounding").map(|step| step.text.clone());
    assert_eq!(rounded(&totals.lines[1]), None);
    assert_eq!(rounded(&totals.lines[4]).unwrap(), "7 × 12.50 EUR per 100 = 0.875, rounded to 0.88 EUR");
    // What one piece costs is said without `per`, and what was kept before there was it is read as such.
    let json = serde_json::to_value(&totals).unwrap();
    assert_eq!((&json["lines"][3]["per"], &json["lines"][3]["unit_price"]["amount"]), (&100.into(), &"12.50".into()));
    let one = price(&input("EUR", true, RoundingPoint::PerLine, vec![line(1, 2, "9.99", "EUR", "0.19")])).unwrap();
    let json = serde_json::to_value(&one).unwrap();
    assert!(json["lines"][0].get("per").is_none());
    assert_eq!(serde_json::from_value::<Totals>(json).unwrap().lines[0].per, Per::ONE);
}

/// What went wrong elsewhere, each worked out by hand.
#[test]
fn sums_that_went_wrong_elsewhere() {
    // A stored total of 34.116425 that was charged as 34.12: here it never is anything else than whole cents.
    let fine = input("EUR", true, RoundingPoint::PerLine, vec![line(1, 25, "1.364657", "EUR", "0.19")]);
    let totals = price(&fine).unwrap();
    assert_eq!((totals.total.minor(), sums(&totals)), (3412, (2867, 545, 3412)));
    // A total of -0.000000000000016: three times 0.10 less 0.30 is nothing.
    let mut nothing = input("EUR", true, RoundingPoint::PerLine, vec![line(1, 3, "0.1", "EUR", "0.19")]);
    nothing.adjustments = vec![off(AdjustmentTarget::Order, amount("0.30", "EUR"))];
    assert_eq!(sums(&price(&nothing).unwrap()), (0, 0, 0));
    // Discounts on prices with tax that were a cent off: 15 % of 19.99 is 2.9985, so 3.00 off and 16.99 left; 16.99 / 1.19 is
    // 14.277…, so 14.28 and 2.71 of tax.
    let mut off_by_a_cent = input("EUR", true, RoundingPoint::PerLine, vec![line(1, 1, "19.99", "EUR", "0.19")]);
    off_by_a_cent.adjustments = vec![off(AdjustmentTarget::Line { line_no: 1 }, percent("15"))];
    assert_eq!(sums(&price(&off_by_a_cent).unwrap()), (1428, 271, 1699));
    // Everything free, and shipping is still to pay.
    let mut free = input("EUR", true, RoundingPoint::PerOrder, vec![line(1, 7, "3.33", "EUR", "0.07")]);
    free.shipping = Some(shipping("4.90", "EUR", "0.19"));
    free.adjustments = vec![off(AdjustmentTarget::Order, percent("100"))];
    assert_eq!(sums(&price(&free).unwrap()), (412, 78, 490));
    // One of three comes back: 10.00 for three are 3.33, 3.34 and 3.33, and never 9.99.
    let thirds: Vec<i64> = (0..3).map(|piece| share(1000, piece, piece + 1, 3)).collect();
    assert_eq!(thirds, [333, 334, 333]);
}

/// Half-up and half-even, per line and per order, in currencies of no, two and three digits.
#[test]
fn both_ways_of_rounding_in_currencies_of_no_two_and_three_digits() {
    let told = |code: &str, unit: &str, strategy, point| {
        let lines = vec![line(1, 1, unit, code, "0.1"), line(2, 1, unit, code, "0.1"), line(3, 1, unit, code, "0.1")];
        let rounding = RoundingRule { point, strategy };
        let totals = price(&Input { rounding, ..input(code, false, point, lines) }).unwrap();
        (totals.tax.minor(), totals.total.minor())
    };
    use crate::kernel::Rounding::{HalfEven, HalfUp};
    use RoundingPoint::{PerLine, PerOrder};
    // 10 % of 25 yen are 2.5: up to 3 each, or to the even 2; of 75 yen 7.5, which is 8 both ways.
    assert_eq!(told("JPY", "25", HalfUp, PerLine), (9, 84));
    assert_eq!(told("JPY", "25", HalfEven, PerLine), (6, 81));
    assert_eq!(told("JPY", "25", HalfUp, PerOrder), (8, 83));
    assert_eq!(told("JPY", "25", HalfEven, PerOrder), (8, 83));
    // 10 % of 0.25 are 0.025: 0.03 or 0.02; of 0.75 0.075, which is 0.08 both ways.
    assert_eq!(told("EUR", "0.25", HalfUp, PerLine), (9, 84));
    assert_eq!(told("EUR", "0.25", HalfEven, PerLine), (6, 81));
    assert_eq!(told("EUR", "0.25", HalfEven, PerOrder), (8, 83));
    // And of 0.005 dinars 0.0005: 0.001 or nothing; of 0.015 0.0015, which is 0.002 both ways.
    assert_eq!(told("KWD", "0.005", HalfUp, PerLine), (3, 18));
    assert_eq!(told("KWD", "0.005", HalfEven, PerLine), (0, 15));
    assert_eq!(told("KWD", "0.005", HalfEven, PerOrder), (2, 17));
    assert_eq!(told("KWD", "0.005", HalfUp, PerOrder), (2, 17));
}

#[test]
fn discounts_apply_in_order_and_stop_at_zero() {
    // line 1: 10.00 − 10 % = 9.00; line 2: 3.00 − 5.00 = 0
    // order: 1.00 off 9.00 and 0 → 8.00 and 0; shipping 4.90 − 100 % = 0
    let lines = vec![line(1, 1, "10", "EUR", "0.25"), line(2, 1, "3", "EUR", "0.25")];
    let mut cart = input("EUR", true, RoundingPoint::PerLine, lines);
    cart.shipping = Some(shipping("4.90", "EUR", "0.25"));
    cart.adjustments = vec![
        off(AdjustmentTarget::Line { line_no: 1 }, percent("10")),
        off(AdjustmentTarget::Line { line_no: 2 }, amount("5.00", "EUR")),
        off(AdjustmentTarget::Order, amount("1.00", "EUR")),
        off(AdjustmentTarget::Shipping, percent("250")),
        off(AdjustmentTarget::Line { line_no: 2 }, percent("10")),
    ];
    let totals = price(&cart).unwrap();
    let discounts: Vec<_> = totals.lines.iter().map(|line| line.discount.minor()).collect();
    assert_eq!(discounts, [200, 300]);
    assert_eq!((totals.subtotal.minor(), totals.discount.minor(), totals.shipping_total.minor()), (1300, 500, 0));
    assert_eq!(sums(&totals), (640, 160, 800));
    assert_eq!(totals.shipping.unwrap().discount.minor(), 490);
    let codes: Vec<_> = totals.lines[1].explanation.iter().map(|step| step.code.as_str()).collect();
    assert_eq!(codes, ["adjustment", "passed_over"]);
    assert_eq!(totals.lines[0].explanation[0].text, "Summer (promotion:summer): 1.00 EUR off");
}

#[test]
fn an_order_discount_is_spread_by_largest_remainder() {
    // 1.00 over 10.00, 10.00, 10.00: 33⅓ each → 34, 33, 33
    let lines: Vec<_> = (1..=3).map(|line_no| line(line_no, 1, "10", "EUR", "0")).collect();
    let mut cart = input("EUR", true, RoundingPoint::PerOrder, lines);
    cart.adjustments = vec![off(AdjustmentTarget::Order, amount("1.00", "EUR"))];
    let totals = price(&cart).unwrap();
    assert_eq!(totals.lines.iter().map(|line| line.discount.minor()).collect::<Vec<_>>(), [34, 33, 33]);
    assert_eq!(sums(&totals), (2900, 0, 2900));
}

#[test]
fn what_can_not_be_priced_is_refused() {
    let cart = |lines| input("EUR", true, RoundingPoint::PerLine, lines);
    let one = || cart(vec![line(1, 1, "10", "EUR", "0.19")]);
    let wrong = PriceError::CurrencyMismatch { expected: currency("EUR"), found: currency("JPY") };
    assert_eq!(price(&cart(vec![line(1, 1, "10", "JPY", "0.19")])), Err(wrong.clone()));
    assert_eq!(price(&Input { shipping: Some(shipping("5", "JPY", "0")), ..one() }), Err(wrong.clone()));
    let with = |target, value| price(&Input { adjustments: vec![off(target, value)], ..one() });
    assert_eq!(with(AdjustmentTarget::Order, amount("1", "JPY")), Err(wrong));
    assert_eq!(with(AdjustmentTarget::Line { line_no: 7 }, percent("1")), Err(PriceError::UnknownLine(7)));
    for value in [amount("-1", "EUR"), percent("-0.0001")] {
        assert_eq!(with(AdjustmentTarget::Order, value), Err(PriceError::Overflow));
        assert_eq!(with(AdjustmentTarget::Shipping, value), Err(PriceError::Overflow));
    }
    for bad in [
        line(1, 1, "-0.01", "EUR", "0"),
        line(1, 1, "1", "EUR", "-0.19"),
        line(1, 1_000_000_000, "100000000", "EUR", "0.19"),
    ] {
        assert_eq!(price(&cart(vec![bad])), Err(PriceError::Overflow));
    }
    // Each fits, but not their sum, nor the tax on top.
    let large = |line_no| line(line_no, 10_000, "999999999.99", "EUR", "0.19");
    assert!(price(&cart(vec![large(1)])).is_ok());
    assert_eq!(price(&cart(vec![large(1), large(2)])), Err(PriceError::Overflow));
    assert_eq!(price(&input("EUR", false, RoundingPoint::PerOrder, vec![large(1)])), Err(PriceError::Overflow));
}

#[test]
fn nothing_costs_nothing_and_free_shipping_off_is_passed_over() {
    let mut cart = input("EUR", true, RoundingPoint::PerOrder, vec![]);
    cart.adjustments =
        vec![off(AdjustmentTarget::Order, percent("10")), off(AdjustmentTarget::Shipping, percent("100"))];
    let totals = price(&cart).unwrap();
    assert_eq!(sums(&totals), (0, 0, 0));
    assert!(totals.taxes.is_empty() && totals.shipping.is_none());
    assert_eq!(totals.explanation.iter().filter(|step| step.code == "passed_over").count(), 2);
}

#[test]
fn rates_that_are_equal_share_a_row() {
    let lines = vec![line(1, 1, "1", "EUR", "0.190"), line(2, 1, "1", "EUR", "0.19"), line(3, 1, "1", "EUR", "0")];
    let totals = price(&input("EUR", false, RoundingPoint::PerOrder, lines)).unwrap();
    assert_eq!(totals.taxes.iter().map(|row| row.rate.to_string()).collect::<Vec<_>>(), ["0", "0.19"]);
}

#[test]
fn json_is_snake_case_with_rates_as_text() {
    let adjustment = off(AdjustmentTarget::Line { line_no: 3 }, percent("12.5"));
    let json = serde_json::to_value(&adjustment).unwrap();
    assert_eq!(json["target"], serde_json::json!({"type": "line", "line_no": 3}));
    assert_eq!(json["value"], serde_json::json!({"percentage": "12.5"}));
    let rule = RoundingRule { point: RoundingPoint::PerOrder, strategy: Rounding::HalfEven };
    assert_eq!(serde_json::to_value(rule).unwrap(), serde_json::json!({"point": "per_order", "strategy": "half_even"}));
    let totals = price(&input("EUR", true, RoundingPoint::PerLine, vec![line(1, 1, "1", "EUR", "0.19")])).unwrap();
    assert_eq!(serde_json::to_value(&totals).unwrap()["lines"][0]["tax_rate"], "0.19");
}

#[test]
fn spreading_by_hand() {
    // 100 over 1 : 1 : 1 is 33⅓ each; the unit that is left goes to the first.
    assert_eq!(spread(100, &[1, 1, 1]), [34, 33, 33]);
    assert_eq!(spread(-100, &[1, 1, 1]), [-34, -33, -33]);
    // 10 over 1 : 2 : 4 is 1.43, 2.86, 5.71: the two units go to .86 and .71
    assert_eq!(spread(10, &[1, 2, 4]), [1, 3, 6]);
    assert_eq!(spread(5, &[0, 3, 0]), [0, 5, 0]);
    assert_eq!(spread(5, &[0, 0]), [3, 2]);
    assert_eq!(spread(5, &[-3, 1]), [0, 5]);
    assert_eq!(spread(5, &[]), Vec::<i64>::new());
    assert_eq!(spread(i64::MIN, &[i64::MAX, i64::MAX]), [i64::MIN / 2, i64::MIN / 2]);
}

#[test]
fn sharing_by_hand() {
    // 1.00 for 3 pieces: the first n cost 33, 67 (66⅔) and 100
    assert_eq!([share(100, 0, 1, 3), share(100, 1, 2, 3), share(100, 2, 3, 3)], [33, 34, 33]);
    assert_eq!((share(100, 0, 3, 3), share(100, 1, 3, 3), share(-100, 1, 2, 3)), (100, 67, -34));
    assert_eq!((share(100, 0, 1, 0), share(100, 2, 2, 3), share(100, -1, 9, 3)), (0, 0, 100));
    assert_eq!(share(i64::MIN, 0, i64::MAX, i64::MAX), i64::MIN);
    // 2 × 1.00 with 0.31 tax: 1.00 each, the tax 15.5 → 16, then 15
    assert_eq!(share_taxed(200, 31, 0, 1, 2), TaxedShare { net: 84, tax: 16, gross: 100 });
    assert_eq!(share_taxed(200, 31, 1, 2, 2), TaxedShare { net: 85, tax: 15, gross: 100 });
    // 2 with tax 1 over 4 pieces: the tax never falls where there is no gross
    assert!((0..4).all(|piece| share_taxed(2, 1, piece, piece + 1, 4).net >= 0));
}

/// The exact tax is within half a minor unit: |gross − net × (1 + rate)| ≤ ½, or (1 + rate) / 2 where the net is rounded.
fn tax_is_near(net: i64, gross: i64, rate: Decimal, included: bool) -> bool {
    let one = 10i128.pow(rate.scale());
    let factor = one + rate.mantissa();
    let distance = (i128::from(gross) * one - i128::from(net) * factor).abs();
    2 * distance <= if included { factor } else { one }
}

fn any_rate() -> impl Strategy<Value = Decimal> {
    prop::sample::select(vec!["0", "0.05", "0.055", "0.07", "0.081", "0.1", "0.19", "0.19000", "0.25", "1.5"])
        .prop_map(decimal)
}

fn any_adjustment(lines: usize, currency: Currency) -> impl Strategy<Value = Adjustment> {
    let line = (0..lines.max(1)).prop_map(move |place| match lines {
        0 => AdjustmentTarget::Order,
        _ => AdjustmentTarget::Line { line_no: place as i32 },
    });
    let target = prop_oneof![line, Just(AdjustmentTarget::Shipping), Just(AdjustmentTarget::Order)];
    let value = prop_oneof![
        (0..20_000i64).prop_map(move |minor| AdjustmentValue::Amount(Money::from_minor(minor, currency))),
        (0..120_000i64).prop_map(|thousandths| AdjustmentValue::Percentage(Decimal::new(thousandths, 3))),
    ];
    (target, value).prop_map(|(target, value)| off(target, value))
}

fn any_per() -> impl Strategy<Value = Per> {
    prop_oneof![Just(1), 1..13i64, 1..=Per::MAX].prop_map(|pieces| Per::new(pieces).unwrap())
}

prop_compose! {
    fn any_cart()(
        currency in prop::sample::select(vec!["EUR", "JPY", "KWD"]).prop_map(currency),
        lines in prop::collection::vec((0..50_000_000i64, prop_oneof![Just(0), 1..9i64, 1..100_000i64], any_per(), any_rate(), prop::bool::weighted(0.8)), 0..9),
        shipping in prop::option::of((0..5_000i64, any_rate(), prop::sample::select(ShippingTax::ALL))),
        included in any::<bool>(),
        per_line in any::<bool>(),
        even in any::<bool>()
    )(
        adjustments in prop::collection::vec(any_adjustment(lines.len(), currency), 0..5),
        lines in Just(lines), shipping in Just(shipping), currency in Just(currency),
        (included, per_line, even) in Just((included, per_line, even))
    ) -> Input {
        let lines = lines.into_iter().enumerate().map(|(place, (scaled, quantity, per, tax_rate, shipped))| LineInput {
            line_no: place as i32,
            unit_price: UnitPrice::from_scaled(scaled, currency),
            per,
            quantity: Quantity::new(quantity).unwrap(),
            tax_rate,
            shipped,
            because: vec![Step::new("tax_rate", "test")],
        });
        Input {
            currency,
            prices_include_tax: included,
            rounding: RoundingRule {
                point: if per_line { RoundingPoint::PerLine } else { RoundingPoint::PerOrder },
                strategy: if even { Rounding::HalfEven } else { Rounding::HalfUp },
            },
            lines: lines.collect(),
            shipping: shipping.map(|(minor, tax_rate, tax)| ShippingInput {
                code: "dhl".into(), name: "DHL".into(), price: Money::from_minor(minor, currency), tax_rate, tax, delivery: None, carries: vec![], because: vec![],
            }),
            further: vec![],
            adjustments,
        }
    }
}

/// Every amount of a line or of shipping: subtotal, discount, net, tax, gross, and the rate.
fn rows(totals: &Totals) -> Vec<([i64; 5], Decimal)> {
    let line = |l: &LineTotals| ([l.subtotal, l.discount, l.net, l.tax, l.gross].map(Money::minor), l.tax_rate);
    let shipping = |s: &ShippingTotals| ([s.subtotal, s.discount, s.net, s.tax, s.gross].map(Money::minor), s.tax_rate);
    totals.lines.iter().map(line).chain(totals.shipping.iter().map(shipping)).collect()
}

/// What bears which rate: the lines, and shipping in its parts, as net, tax and gross.
fn bearing(totals: &Totals) -> Vec<([i64; 3], Decimal)> {
    let whole = rows(totals).into_iter().map(|([_, _, net, tax, gross], rate)| ([net, tax, gross], rate));
    let part = |part: &TaxTotal| ([part.net, part.tax, part.gross].map(Money::minor), part.rate);
    match totals.shipping.as_ref().map(|shipping| &shipping.parts) {
        Some(parts) if !parts.is_empty() => whole.take(totals.lines.len()).chain(parts.iter().map(part)).collect(),
        _ => whole.collect(),
    }
}

proptest! {
    #[test]
    fn the_sums_agree_to_the_minor_unit(cart in any_cart()) {
        let totals = price(&cart).unwrap();
        let rows = rows(&totals);
        for ([subtotal, discount, net, tax, gross], _) in &rows {
            prop_assert!([subtotal, discount, net, tax, gross].into_iter().all(|minor| *minor >= 0));
            prop_assert_eq!(net + tax, *gross);
            prop_assert!(discount <= subtotal);
            prop_assert_eq!(subtotal - discount, if cart.prices_include_tax { *gross } else { *net });
        }
        let column = |place: usize| rows.iter().map(|(row, _)| row[place]).sum::<i64>();
        prop_assert_eq!((column(2), column(3), column(4)), sums(&totals));
        let on_lines = |place: usize| rows[..totals.lines.len()].iter().map(|(row, _)| row[place]).sum::<i64>();
        prop_assert_eq!((on_lines(0), on_lines(1)), (totals.subtotal.minor(), totals.discount.minor()));
        prop_assert!(totals.discount.minor() <= totals.subtotal.minor());
        let shipping = totals.shipping.as_ref();
        let added = if cart.prices_include_tax {
            totals.subtotal.minor() - totals.discount.minor() + totals.shipping_total.minor()
        } else {
            let shipping = shipping.map_or(0, |it| it.net.minor());
            totals.subtotal.minor() - totals.discount.minor() + shipping + totals.tax.minor()
        };
        prop_assert_eq!(added, totals.total.minor());
        prop_assert_eq!(totals.shipping_total.minor(), shipping.map_or(0, |it| it.gross.minor()));
    }

    #[test]
    fn the_tax_is_right_where_it_is_rounded(cart in any_cart()) {
        let totals = price(&cart).unwrap();
        prop_assert!(totals.taxes.is_sorted_by(|one, next| one.rate < next.rate));
        for row in &totals.taxes {
            let of: Vec<_> = bearing(&totals).into_iter().filter(|(_, rate)| *rate == row.rate).map(|(row, _)| row).collect();
            let sum = |place: usize| of.iter().map(|row| row[place]).sum::<i64>();
            let shown = (row.net.minor(), row.tax.minor(), row.gross.minor());
            prop_assert_eq!((sum(0), sum(1), sum(2)), shown);
            match cart.rounding.point {
                RoundingPoint::PerLine => for [net, _, gross] in of {
                    prop_assert!(tax_is_near(net, gross, row.rate, cart.prices_include_tax));
                }
                RoundingPoint::PerOrder => {
                    prop_assert!(tax_is_near(shown.0, shown.2, row.rate, cart.prices_include_tax));
                }
            }
        }
        let all = totals.taxes.iter().map(|row| row.gross.minor()).sum::<i64>();
        prop_assert_eq!(all, totals.total.minor());
    }

    #[test]
    fn totals_are_the_same_again_and_survive_their_json(cart in any_cart()) {
        let totals = price(&cart).unwrap();
        prop_assert_eq!(&price(&cart).unwrap(), &totals);
        let json = serde_json::to_string(&totals).unwrap();
        prop_assert_eq!(serde_json::from_str::<Totals>(&json).unwrap(), totals);
        let json = serde_json::to_string(&cart).unwrap();
        prop_assert_eq!(serde_json::from_str::<Input>(&json).unwrap(), cart);
    }

    #[test]
    fn no_input_panics(
        scaled: i64, quantity in 0..=Quantity::MAX, per in 1..=Per::MAX, mantissa: i64, scale in 0..=18u32, minor: i64, included: bool,
        tax in prop::sample::select(ShippingTax::ALL),
    ) {
        let eur = currency("EUR");
        let mut cart = input("EUR", included, RoundingPoint::PerOrder, vec![]);
        cart.lines = (0..3).map(|line_no| LineInput {
            line_no,
            unit_price: UnitPrice::from_scaled(scaled, eur),
            per: Per::new(per).unwrap(),
            quantity: Quantity::new(quantity).unwrap(),
            tax_rate: Decimal::new(mantissa, scale),
            shipped: true,
            because: vec![],
        }).collect();
        cart.shipping = Some(ShippingInput {
            code: "dhl".into(), name: "DHL".into(), price: Money::from_minor(minor, eur), tax_rate: Decimal::ZERO, tax, delivery: None, carries: vec![], because: vec![],
        });
        cart.adjustments = vec![off(AdjustmentTarget::Order, AdjustmentValue::Percentage(Decimal::new(mantissa, scale)))];
        let _ = price(&cart);
    }

    #[test]
    fn a_spread_sums_exactly_and_is_fair(
        total: i64, weights in prop::collection::vec(prop_oneof![Just(0i64), 0..100i64, any::<i64>()], 1..20),
    ) {
        let parts = spread(total, &weights);
        prop_assert_eq!(parts.iter().map(|part| i128::from(*part)).sum::<i128>(), i128::from(total));
        let whole: i128 = weights.iter().map(|weight| i128::from(*weight.max(&0))).sum();
        if whole > 0 {
            for (part, weight) in parts.iter().zip(&weights) {
                let exact = i128::from(total).abs() * i128::from(*weight.max(&0));
                let distance = (i128::from(*part).abs() - exact / whole).abs();
                prop_assert!(distance <= i128::from(exact % whole != 0));
            }
        }
    }

    #[test]
    fn shares_of_any_partition_sum_exactly(
        gross in 0..1_000_000i64, tax_part in 0..=1000i64, of in 1..60i64, mut cuts in prop::collection::vec(0..60i64, 0..9),
    ) {
        let tax = gross * tax_part / 1000;
        cuts.extend([0, of]);
        cuts.iter_mut().for_each(|cut| *cut = (*cut).min(of));
        cuts.sort_unstable();
        let mut plain = 0;
        let mut sum = TaxedShare::default();
        for range in cuts.windows(2) {
            plain += share(gross, range[0], range[1], of);
            let part = share_taxed(gross, tax, range[0], range[1], of);
            prop_assert!(part.net >= 0 && part.tax >= 0 && part.gross >= 0);
            prop_assert_eq!(part.net + part.tax, part.gross);
            sum = TaxedShare { net: sum.net + part.net, tax: sum.tax + part.tax, gross: sum.gross + part.gross };
        }
        prop_assert_eq!(plain, gross);
        prop_assert_eq!(sum, TaxedShare { net: gross - tax, tax, gross });
    }
}
