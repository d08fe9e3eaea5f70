//! What promotions cost: carts of one and of five hundred lines against two hundred live promotions, of which most are in question and
//! do not apply, as in a sale week. `cargo bench --bench promotions` prints the figures; nothing is asserted about time.

#![allow(clippy::expect_used, reason = "a benchmark that can not be set up has nothing to measure")]

use std::collections::{BTreeMap, HashMap};

use divan::{Bencher, black_box};
use kontor::{
    kernel::{Device, Id, Instant, Quantity, RoundingPoint, RoundingRule, TaxPolicy, UnitPrice, ids::VariantId},
    pricing::{
        Consider, LineRequest, QuoteRequest, Rules,
        model::Buyer,
        promotions::{Compiled, Detail, Promotion, PromotionState},
        quote,
        rates::{Audience, ListKind, PriceList, PriceRow, TaxRate},
        tax::Sale,
    },
};
use serde_json::{Value, json};

fn main() {
    divan::main();
}

fn at() -> Instant {
    "2026-11-27T12:00:00Z".parse().expect("an instant")
}

/// The rule of one of so many promotions: by SKU, by category, by value, by coupon, by group.
fn rule(number: usize) -> Value {
    let percent = json!({"type": "percentage", "percent": "10", "on": "lines"});
    match number % 5 {
        0 => {
            json!({"conditions": {"goods": {"include": [{"skus": [format!("SKU-{number}"), "SKU-X"]}]}}, "gift": percent})
        }
        1 => {
            json!({"conditions": {"goods": {"include": [{"attributes": {"category": [format!("c{number}")]}}]}}, "gift": percent})
        }
        2 => json!({"conditions": {"min_value": {"amount": "999999.00", "currency": "EUR"}}, "gift": percent}),
        3 => json!({"conditions": {"coupon": true}, "gift": percent}),
        _ => json!({"conditions": {"customer_groups": ["trade"]}, "gift": percent}),
    }
}

fn rules(promotions: usize) -> Rules {
    let promotion = |number: usize| Promotion {
        id: Id::new(),
        code: format!("p{number}"),
        name: format!("Promotion {number}"),
        state: PromotionState::Active,
        channel: None,
        priority: 0,
        valid_from: None,
        valid_until: None,
        rule: serde_json::from_value(rule(number)).expect("a rule"),
        version: 1,
        created_at: at(),
        updated_at: at(),
    };
    let list = PriceList {
        id: Id::from_bytes([1; 16]),
        code: "base".into(),
        name: "Base".into(),
        currency: "EUR".parse().expect("a currency"),
        channel: None,
        audience: Audience::All,
        kind: ListKind::Base,
        announced_at: None,
        priority: 0,
        valid_from: None,
        valid_until: None,
        version: 1,
        terms: None,
    };
    let tax = TaxRate {
        id: Id::new(),
        country: "DE".parse().expect("a country"),
        tax_class: "standard".into(),
        rate: "0.19".parse().expect("a rate"),
        valid_from: None,
        valid_until: None,
    };
    Rules {
        price_lists: vec![list].into(),
        tax_rates: vec![tax].into(),
        promotions: Compiled::in_order((0..promotions).map(promotion).collect()).into(),
        ..Rules::default()
    }
}

/// A cart's articles, their attributes and prices.
struct Cart {
    goods: Vec<(VariantId, String, BTreeMap<String, Value>)>,
    prices: HashMap<VariantId, Vec<PriceRow>>,
}

impl Cart {
    fn of(lines: usize) -> Self {
        let currency = "EUR".parse().expect("a currency");
        let article = |number: usize| {
            let category = json!(format!("c{}", number % 40));
            (Id::new(), format!("SKU-{number}"), BTreeMap::from([("category".to_owned(), category)]))
        };
        let goods: Vec<_> = (0..lines).map(article).collect();
        let row = |(variant, ..): &(VariantId, String, BTreeMap<String, Value>)| {
            let price = UnitPrice::parse("19.99", currency).expect("a price");
            let list = Id::from_bytes([1; 16]);
            (
                *variant,
                vec![PriceRow {
                    list,
                    min_quantity: Quantity::ONE,
                    price: price.into(),
                    valid_from: None,
                    valid_until: None,
                }],
            )
        };
        Self { prices: goods.iter().map(row).collect(), goods }
    }

    fn lines(&self) -> Vec<LineRequest<'_>> {
        let mut lines = Vec::with_capacity(self.goods.len());
        for (line_no, (variant, sku, attributes)) in (1..).zip(&self.goods) {
            lines.push(LineRequest {
                line_no,
                variant_id: *variant,
                sku,
                attributes,
                tax_class: "standard",
                quantity: Quantity::ONE,
                shipped: true,
                price_override: None,
                parts: Vec::new(),
            });
        }
        lines
    }
}

#[divan::bench(args = [(1, 0), (1, 200), (500, 0), (500, 200), (1000, 200)])]
fn price(bencher: Bencher<'_, '_>, (lines, promotions): (usize, usize)) {
    let (rules, cart, left) = (rules(promotions), Cart::of(lines), HashMap::new());
    let home: kontor::kernel::Country = "DE".parse().expect("a country");
    let sale = Sale { seller: home, destination: home, vat_id: None, exempt: false, policy: TaxPolicy::default() };
    let request = QuoteRequest {
        channel: Id::from_bytes([9; 16]),
        currency: "EUR".parse().expect("a currency"),
        prices_include_tax: true,
        rounding: RoundingRule { point: RoundingPoint::PerLine, strategy: kontor::kernel::Rounding::HalfUp },
        country: "DE".parse().expect("a country"),
        sale: &sale,
        at: at(),
        buyer: Buyer::ANYBODY,
        device: Device::Mobile,
        origin: None,
        payment_method: None,
        coupons: &[],
        left: &left,
        detail: Detail::InQuestion,
        consider: Consider::Active,
        lines: cart.lines(),
        gifts: Vec::new(),
        shipping: None,
        further: Vec::new(),
    };
    bencher.bench(|| quote(&rules, &cart.prices, black_box(&request)));
}
