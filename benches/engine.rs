//! What the pure parts of a checkout cost: pricing carts of one, ten and a thousand lines, and what goes into and out of the
//! database with every one of them. `cargo bench` prints the figures; nothing is asserted about time.

#![allow(clippy::expect_used, reason = "a benchmark that can not be set up has nothing to measure")]

use divan::{Bencher, black_box};
use kontor::{
    kernel::{Id, Money, ids},
    pricing::{
        engine,
        model::{Adjustment, AdjustmentTarget, AdjustmentValue, Input},
    },
};

fn main() {
    divan::main();
}

/// A cart of so many lines with shipping and a discount over all of them, as its JSON form gives it.
fn cart(lines: i32) -> Input {
    let line = |line_no: i32| {
        serde_json::json!({
            "line_no": line_no, "quantity": 1 + line_no % 5, "tax_rate": "0.19", "because": [],
            "unit_price": {"amount": format!("{}.99", 1 + line_no % 90), "currency": "EUR"},
        })
    };
    let lines: Vec<_> = (1..=lines).map(line).collect();
    let form = serde_json::json!({
        "currency": "EUR", "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"},
        "lines": lines, "adjustments": [],
        "shipping": {"code": "dhl", "name": "DHL", "tax_rate": "0.19", "because": [],
                     "price": {"amount": "4.90", "currency": "EUR"}},
    });
    let mut input: Input = serde_json::from_value(form).expect("a cart");
    let value = AdjustmentValue::Percentage("0.1".parse().expect("a tenth"));
    let (source, label) = ("promotion:summer".to_owned(), "Summer".to_owned());
    input.adjustments.push(Adjustment { target: AdjustmentTarget::Order, value, source, label });
    input
}

#[divan::bench(args = [1, 10, 1000])]
fn price(bencher: Bencher<'_, '_>, lines: i32) {
    let cart = cart(lines);
    bencher.bench(|| engine::price(black_box(&cart)).expect("a price"));
}

#[divan::bench(args = [1, 10, 1000])]
fn totals_as_json(bencher: Bencher<'_, '_>, lines: i32) {
    let totals = engine::price(&cart(lines)).expect("a price");
    bencher.bench(|| serde_json::to_string(black_box(&totals)).expect("JSON"));
}

#[divan::bench]
fn money_from_json() -> Money {
    serde_json::from_str(black_box(r#"{"amount":"1234.56","currency":"EUR"}"#)).expect("money")
}

#[divan::bench]
fn new_id_as_text() -> String {
    Id::<ids::Order>::new().to_string()
}
