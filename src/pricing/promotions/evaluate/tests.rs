//! Promotions on carts, each worked out by hand.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{
        conditions::{Left, Redeemed},
        model::{Promotion, PromotionState, Rule},
    },
    *,
};
use crate::{
    kernel::{
        Device, Id, Instant, Per, PricePer, Quantity, Rounding, UnitPrice,
        ids::{CompanyId, PromotionId},
    },
    pricing::model::{Buyer, Step},
};

mod gifts;

fn at() -> Instant {
    "2026-11-27T00:00:00Z".parse().unwrap()
}

fn promotion(number: u8, priority: i32, rule: Value) -> Compiled {
    let rule: Rule = serde_json::from_value(rule).unwrap();
    rule.check().unwrap();
    Compiled::new(Promotion {
        id: Id::from_bytes([number; 16]),
        code: format!("p{number}"),
        name: format!("Promotion {number}"),
        state: PromotionState::Active,
        channel: None,
        priority,
        valid_from: None,
        valid_until: None,
        rule,
        version: 1,
        created_at: at(),
        updated_at: at(),
    })
}

fn percent(percent: &str, on: &str) -> Value {
    json!({"type": "percentage", "percent": percent, "on": on})
}

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

/// A cart's lines as they are written down: SKU, category, price of a piece, pieces.
struct Cart {
    lines: Vec<(&'static str, BTreeMap<String, Value>, &'static str, i64)>,
    buyer: Buyer,
    coupons: Vec<Redeemed>,
    left: HashMap<PromotionId, Left>,
    payment_method: Option<&'static str>,
    at: Instant,
}

impl Cart {
    fn of(lines: &[(&'static str, &str, &'static str, i64)]) -> Self {
        let line = |(sku, category, price, quantity): &(&'static str, &str, &'static str, i64)| {
            (*sku, BTreeMap::from([("category".to_owned(), json!(category))]), *price, *quantity)
        };
        let (coupons, left) = (Vec::new(), HashMap::new());
        let lines = lines.iter().map(line).collect();
        Self { lines, buyer: Buyer::default(), coupons, left, payment_method: None, at: at() }
    }

    fn basket(&self) -> Basket<'_> {
        let currency = "EUR".parse().unwrap();
        let mut lines = Vec::new();
        for (line_no, (sku, attributes, price, quantity)) in (1..).zip(&self.lines) {
            // "10.00 per 3" is a price for three.
            let (amount, per) = price.split_once(" per ").unwrap_or((price, "1"));
            let price = UnitPrice::parse(amount, currency).unwrap();
            let price = PricePer { price, per: Per::new(per.parse().unwrap()).unwrap() };
            lines.push(Line {
                line_no,
                sku,
                attributes,
                price,
                quantity: *quantity,
                subtotal: price.amount(Quantity::new(*quantity).unwrap(), Rounding::HalfUp).unwrap(),
                cost: None,
                reduced: *sku == "REDUCED",
                agreed: *sku == "AGREED",
            });
        }
        Basket {
            channel: Id::from_bytes([100; 16]),
            currency,
            rounding: Rounding::HalfUp,
            at: self.at,
            country: "DE".parse().unwrap(),
            device: Device::Mobile,
            buyer: &self.buyer,
            origin: None,
            payment_method: self.payment_method,
            coupons: &self.coupons,
            left: &self.left,
            lines,
            gifts: HashMap::new(),
            with_drafts: false,
        }
    }

    /// What is taken off each line in cents, and why what does not apply does not.
    fn with(&self, promotions: &[Compiled]) -> (Vec<i64>, Vec<(String, String)>) {
        let basket = self.basket();
        let mut ready = promotions.to_vec();
        ready.sort_by_key(|one| -one.promotion.priority);
        let mut evaluation = Evaluation::new(&ready, &basket, Detail::All);
        evaluation.goods();
        let mut off = vec![0; basket.lines.len()];
        for share in evaluation.applied.iter().flat_map(|applied| &applied.lines) {
            off[usize::try_from(share.line_no).unwrap() - 1] += share.amount.minor();
        }
        let sums: Vec<i64> = evaluation.standing.iter().zip(&basket.lines).map(|(s, l)| l.subtotal - s.left).collect();
        assert_eq!(off, sums);
        let reasons = evaluation.passed_over.iter().map(|passed| (passed.code.clone(), passed.reason.code.clone()));
        (off, reasons.collect())
    }

    fn off(&self, rule: Value) -> Vec<i64> {
        self.with(&[promotion(1, 0, rule)]).0
    }

    fn reason(&self, rule: Value) -> String {
        let (off, reasons) = self.with(&[promotion(1, 0, rule)]);
        assert!(off.iter().all(|off| *off == 0), "{off:?}");
        reasons[0].1.clone()
    }
}

fn tees_and_mugs() -> Cart {
    Cart::of(&[("TEE", "tees", "19.99", 2), ("MUG", "mugs", "12.50", 3), ("CAP", "caps", "10.00", 1)])
}

#[test]
fn per_cent_and_amounts_are_taken_off_lines_pieces_and_the_goods_together() {
    let cart = tees_and_mugs();
    // 15 % of 39.98 is 5.997, of 37.50 5.625, of 10.00 1.50; together 15 % of 87.48 is 13.122.
    assert_eq!(cart.off(json!({"gift": percent("15", "lines")})), [600, 563, 150]);
    assert_eq!(cart.off(json!({"gift": percent("15", "order")})).iter().sum::<i64>(), 1312);
    // 20.00 over 39.98, 37.50 and 10.00: 9.1403…, 8.5733…, 2.2862…; the two cents left go to the largest remainders.
    let order = json!({"gift": {"type": "amount", "amount": eur("20.00"), "on": "order"}});
    assert_eq!(cart.off(order), [914, 857, 229]);
    let line = json!({"gift": {"type": "amount", "amount": eur("11.00"), "on": "lines"}});
    assert_eq!(cart.off(line), [1100, 1100, 1000]);
    assert_eq!(cart.off(json!({"gift": {"type": "amount_each", "amount": eur("5.00")}})), [1000, 1500, 500]);
    // A price fixed at 12.00 makes nothing dearer.
    assert_eq!(cart.off(json!({"gift": {"type": "fixed_price", "price": eur("12.00")}})), [1598, 150, 0]);
    let all = json!({"gift": {"type": "amount", "amount": eur("500.00"), "on": "order"}});
    assert_eq!(cart.off(all), [3998, 3750, 1000]);
}

#[test]
fn goods_are_chosen_by_sku_attribute_and_price_and_what_is_agreed_is_never_reduced() {
    let cart = Cart::of(&[
        ("TEE", "tees", "20.00", 1),
        ("MUG", "mugs", "10.00", 1),
        ("REDUCED", "mugs", "8.00", 1),
        ("AGREED", "mugs", "9.00", 1),
    ]);
    let off = |goods: Value| cart.off(json!({"conditions": {"goods": goods}, "gift": percent("50", "lines")}));
    assert_eq!(off(json!({})), [1000, 500, 400, 0]);
    assert_eq!(off(json!({"include": [{"skus": ["TEE", "AGREED"]}]})), [1000, 0, 0, 0]);
    let mugs = json!([{"attributes": {"category": ["mugs", "cups"]}}]);
    assert_eq!(off(json!({"include": mugs})), [0, 500, 400, 0]);
    assert_eq!(off(json!({"include": mugs, "full_price_only": true})), [0, 500, 0, 0]);
    assert_eq!(off(json!({"exclude": mugs})), [1000, 0, 0, 0]);
    assert_eq!(off(json!({"min_unit_price": eur("9.50"), "max_unit_price": eur("10.00")})), [0, 500, 0, 0]);
    assert_eq!(off(json!({"include": [{"skus": ["MUG"], "attributes": {"category": ["tees"]}}]})), [0, 0, 0, 0]);
}

#[test]
fn what_is_priced_by_the_hundred_is_reduced_by_the_piece() {
    // Screws at 12.50 per 100 are 0.125 a piece, pins at 0.15 a piece are dearer; 400 and 2 of them are 50.00 and 0.30.
    let cart = Cart::of(&[("SCREW", "parts", "12.50 per 100", 400), ("PIN", "parts", "0.15", 2)]);
    // Fixed at 0.10 a piece: 400 × 0.025 and 2 × 0.05.
    assert_eq!(cart.off(json!({"gift": {"type": "fixed_price", "price": eur("0.10")}})), [1000, 10]);
    assert_eq!(cart.off(json!({"gift": {"type": "amount_each", "amount": eur("0.02")}})), [800, 4]);
    // Of every two the cheaper is free: the two pins and 199 of 400 screws go before; a hundred screws are no dear piece.
    let rule = json!({"gift": {"type": "buy_get", "buy": 1, "get": 1, "percent": "100"}});
    assert_eq!(cart.off(rule), [2500, 15]);
    let once = json!({"gift": {"type": "buy_get", "buy": 1, "get": 1, "percent": "100", "times": 1}});
    assert_eq!(cart.off(once), [0, 15]);
    // Ranges of prices are those of a piece.
    let goods = |goods: Value| cart.off(json!({"conditions": {"goods": goods}, "gift": percent("10", "lines")}));
    assert_eq!(goods(json!({"max_unit_price": eur("0.13")})), [500, 0]);
    assert_eq!(goods(json!({"min_unit_price": eur("0.13")})), [0, 3]);
    // A hundred of 400 pieces, where no more may be reduced: a quarter of what they cost.
    let limited = json!({"gift": percent("50", "lines"), "limits": {"units": 100}});
    assert_eq!(cart.off(limited), [625, 0]);
    // 10.00 per 3: two are 6.67, and a piece of the two free is half of it.
    let thirds = Cart::of(&[("NUT", "parts", "10.00 per 3", 2)]);
    let rule = json!({"gift": {"type": "buy_get", "buy": 1, "get": 1, "percent": "100"}});
    assert_eq!(thirds.off(rule), [334]);
    let bundle = json!({"gift": {"type": "bundle", "price": eur("5.00"), "items": [{"goods": {"skus": ["NUT"]}, "quantity": 2}]}});
    assert_eq!(thirds.off(bundle), [167]);
}

#[test]
fn tiers_give_more_the_more_is_bought() {
    let tiers = json!([
        {"from": eur("50.00"), "off": {"amount": eur("5.00")}}, {"from": eur("80.00"), "off": {"percent": "10"}}
    ]);
    let rule = json!({"gift": {"type": "spend_tiers", "tiers": tiers}});
    assert_eq!(tees_and_mugs().off(rule.clone()).iter().sum::<i64>(), 875);
    assert_eq!(Cart::of(&[("MUG", "mugs", "12.50", 4)]).off(rule.clone()), [500]);
    assert_eq!(Cart::of(&[("MUG", "mugs", "12.49", 4)]).reason(rule), "tier");
    let tiers = json!([{"from": 3, "off": {"percent": "5"}}, {"from": 6, "off": {"percent": "20"}}]);
    let rule = json!({"gift": {"type": "quantity_tiers", "tiers": tiers}});
    assert_eq!(tees_and_mugs().off(rule.clone()).iter().sum::<i64>(), 1750);
    assert_eq!(Cart::of(&[("MUG", "mugs", "10.00", 5)]).off(rule.clone()), [250]);
    assert_eq!(Cart::of(&[("MUG", "mugs", "10.00", 2)]).reason(rule), "tier");
}

#[test]
fn of_every_three_the_cheapest_is_free() {
    let rule = json!({"gift": {"type": "buy_get", "buy": 2, "get": 1, "percent": "100"}});
    // Dearest first: 19.99 19.99 12.50 | 12.50 12.50 10.00. One of 12.50 and the one of 10.00 are free.
    assert_eq!(tees_and_mugs().off(rule.clone()), [0, 1250, 1000]);
    assert_eq!(Cart::of(&[("MUG", "mugs", "10.00", 8)]).off(rule.clone()), [2000]);
    assert_eq!(Cart::of(&[("MUG", "mugs", "10.00", 2)]).reason(rule), "too_few");
    let once = json!({"gift": {"type": "buy_get", "buy": 1, "get": 1, "percent": "50", "times": 1}});
    // One set only: of the first two pieces, both tees, the second at half the price.
    assert_eq!(tees_and_mugs().off(once), [1000, 0, 0]);
    // A thousand million pieces are no loop.
    let many = json!({"gift": {"type": "buy_get", "buy": 3, "get": 1, "percent": "100"}});
    assert_eq!(Cart::of(&[("PIN", "pins", "0.01", 1_000_000_000)]).off(many), [250_000_000]);
}

#[test]
fn for_every_tee_a_mug_is_cheaper() {
    let rule = json!({
        "conditions": {"goods": {"include": [{"skus": ["TEE"]}]}},
        "gift": {"type": "buy_get", "buy": 1, "get": 1, "percent": "40", "of": {"attributes": {"category": ["mugs"]}}},
    });
    // Two tees, so two mugs at 40 % off: 0.4 × 25.00.
    assert_eq!(tees_and_mugs().off(rule), [0, 1000, 0]);
    // Anything else: the two tees and the cap, so three mugs.
    let any = json!({"gift": {"type": "buy_get", "buy": 1, "get": 1, "percent": "40", "of": {"skus": ["MUG"]}}});
    assert_eq!(tees_and_mugs().off(any), [0, 1500, 0]);
    // What must not fall below a cost that nobody knows is left alone.
    let careful = json!({
        "gift": {"type": "buy_get", "buy": 1, "get": 1, "percent": "40", "of": {"skus": ["MUG"]}},
        "stacking": {"not_below_cost": true},
    });
    assert_eq!(tees_and_mugs().reason(careful), "goods");
}

#[test]
fn what_belongs_together_costs_less_together() {
    let item = |sku: &str, quantity: i64| json!({"goods": {"skus": [sku]}, "quantity": quantity});
    let rule = json!({"gift": {"type": "bundle", "items": [item("TEE", 1), item("MUG", 1)], "price": eur("25.00")}});
    // Two bundles cost 64.98 apart and 50.00 together: 14.98 over 39.98 and 37.50 as they are left.
    let off = tees_and_mugs().off(rule);
    assert_eq!(off, [773, 725, 0]);
    // Who fits little is served first, with what nobody else needs: each cap or mug with a mug or tee.
    let either = |a: &str, b: &str| json!({"goods": {"skus": [a, b]}, "quantity": 1});
    let crossed = json!({"gift": {"type": "bundle", "items": [either("CAP", "MUG"), either("MUG", "TEE")], "price": eur("15.00")}});
    assert_eq!(
        Cart::of(&[("MUG", "mugs", "12.50", 1), ("CAP", "caps", "10.00", 1)]).off(crossed.clone()).iter().sum::<i64>(),
        750
    );
    let two = Cart::of(&[("MUG", "mugs", "12.50", 2), ("CAP", "caps", "10.00", 1), ("TEE", "tees", "19.99", 1)]);
    assert_eq!(two.off(crossed).iter().sum::<i64>(), 2 * 1250 + 1000 + 1999 - 3000);
    let both = json!({"gift": {"type": "bundle", "items": [item("TEE", 2), item("MUG", 4)], "price": eur("25.00")}});
    assert_eq!(tees_and_mugs().reason(both), "bundle");
    // Where two items take from the same goods, there are as many bundles as pieces suffice for.
    let same = json!({"gift": {"type": "bundle", "items": [item("MUG", 1), item("MUG", 1)], "price": eur("20.00")}});
    assert_eq!(tees_and_mugs().off(same), [0, 500, 0]);
}

#[test]
fn promotions_go_one_after_the_other_and_some_go_alone() {
    let cart = Cart::of(&[("MUG", "mugs", "100.00", 1), ("TEE", "tees", "100.00", 1)]);
    let mugs = json!({"goods": {"include": [{"skus": ["MUG"]}]}});
    let ten = |number, priority| promotion(number, priority, json!({"gift": percent("10", "lines")}));
    // 10 % of 100, then 10 % of 90.
    assert_eq!(cart.with(&[ten(1, 5), ten(2, 1)]).0, [1900, 1900]);
    let alone = json!({"conditions": mugs, "gift": percent("20", "lines"), "stacking": {"combinable": false}});
    // First: it closes the mug, and the other one reduces the tee only.
    assert_eq!(cart.with(&[promotion(3, 9, alone.clone()), ten(1, 5)]).0, [2000, 1000]);
    // Last: the mug is reduced already.
    let (off, reasons) = cart.with(&[promotion(3, 1, alone), ten(1, 5)]);
    assert_eq!((off, reasons), (vec![1000, 1000], vec![("p3".into(), "not_combinable".into())]));
}

#[test]
fn of_a_group_the_best_applies() {
    let cart = Cart::of(&[("MUG", "mugs", "30.00", 1)]);
    let of = |number, priority, gift: Value| {
        promotion(number, priority, json!({"gift": gift, "stacking": {"group": "november"}}))
    };
    let five = json!({"type": "amount", "amount": eur("5.00"), "on": "order"});
    let promotions = [of(1, 9, percent("10", "lines")), of(2, 5, five), of(3, 1, percent("12", "lines"))];
    let (off, reasons) = cart.with(&promotions);
    assert_eq!(off, [500]);
    assert_eq!(reasons, [("p1".into(), "group".into()), ("p3".into(), "group".into())]);
    // Where the best takes its turn is that of the first of the group; others follow it.
    let other = promotion(4, 7, json!({"gift": percent("10", "lines")}));
    assert_eq!(cart.with(&[promotions.as_slice(), &[other]].concat()).0, [750]);
}

#[test]
fn nothing_is_reduced_below_a_floor_however_many_apply() {
    let cart = Cart::of(&[("MUG", "mugs", "100.00", 1)]);
    let floored = promotion(1, 9, json!({"gift": percent("30", "lines"), "stacking": {"floor": "60"}}));
    let more = promotion(2, 1, json!({"gift": percent("50", "lines")}));
    assert_eq!(cart.with(&[floored.clone(), more.clone()]).0, [4000]);
    // A third of 3.58 is 1.19333…: 1.20 is left.
    let third = json!({"gift": percent("99", "lines"), "stacking": {"floor": "33.3333"}});
    assert_eq!(Cart::of(&[("MUG", "mugs", "3.58", 1)]).off(third), [238]);
    // The one with the floor comes last, and finds less than it wants to leave.
    let late = promotion(1, 0, floored.promotion.rule.clone().into_value());
    let (off, reasons) = cart.with(&[more, late]);
    assert_eq!((off, reasons), (vec![5000], vec![("p1".into(), "nothing".into())]));
}

impl Rule {
    fn into_value(self) -> Value {
        serde_json::to_value(self).unwrap()
    }
}

#[test]
fn the_first_condition_that_does_not_hold_is_told() {
    let cart = tees_and_mugs();
    let reason = |conditions: Value| cart.reason(json!({"conditions": conditions, "gift": percent("10", "lines")}));
    assert_eq!(reason(json!({"coupon": true})), "coupon_missing");
    assert_eq!(reason(json!({"devices": ["desktop", "app"]})), "device");
    assert_eq!(reason(json!({"countries": ["AT"]})), "country");
    assert_eq!(reason(json!({"customer_groups": ["trade"]})), "customer_group");
    assert_eq!(reason(json!({"segments": ["lapsed"]})), "segment");
    assert_eq!(reason(json!({"companies": [CompanyId::from_bytes([1; 16])]})), "company");
    assert_eq!(reason(json!({"payment_methods": ["manual"]})), "payment_method");
    assert_eq!(reason(json!({"payment_methods": ["manual"], "min_quantity": 7})), "min_quantity");
    assert_eq!(reason(json!({"first_order": true})), "first_order");
    assert_eq!(reason(json!({"min_value": eur("87.49")})), "min_value");
    assert_eq!(reason(json!({"max_value": eur("87.47")})), "max_value");
    assert_eq!(reason(json!({"min_quantity": 7})), "min_quantity");
    assert_eq!(reason(json!({"origins": [{"affiliate": "ada"}]})), "origin");
    assert_eq!(reason(json!({"goods": {"include": [{"skus": ["PEN"]}]}})), "goods");
    assert_eq!(reason(json!({"min_value": {"amount": "1", "currency": "JPY"}})), "other_currency");
    let applies = json!({
        "devices": ["mobile"], "countries": ["DE"], "min_value": eur("87.48"), "max_value": eur("87.48"), "min_quantity": 6,
    });
    assert_eq!(cart.off(json!({"conditions": applies, "gift": percent("10", "lines")})), [400, 375, 100]);
}

#[test]
fn a_segment_a_company_and_a_payment_method_are_each_one_of_several() {
    let [ours, theirs] = [1, 2].map(|one| CompanyId::from_bytes([one; 16]));
    let mut cart = tees_and_mugs();
    let rule = |conditions: Value| json!({"conditions": conditions, "gift": percent("10", "lines")});
    let all = json!({"segments": ["a", "b"], "companies": [ours], "payment_methods": ["sandbox", "manual"]});
    (cart.buyer.segments, cart.buyer.company) = (vec!["b".to_owned(), "c".to_owned()], Some(ours));
    cart.payment_method = Some("manual");
    assert_eq!(cart.off(rule(all.clone())), [400, 375, 100]);
    cart.payment_method = Some("card");
    assert_eq!(cart.reason(rule(all.clone())), "payment_method");
    cart.buyer.company = Some(theirs);
    assert_eq!(cart.reason(rule(all.clone())), "company");
    cart.buyer.segments = vec!["c".to_owned()];
    assert_eq!(cart.reason(rule(all)), "segment");
}

#[test]
fn a_promotion_applies_from_its_beginning_until_before_its_end() {
    let mut ready = promotion(1, 0, json!({"conditions": {"first_hours": 2}, "gift": percent("10", "lines")}));
    ready.promotion.valid_from = Some(at());
    ready.promotion.valid_until = Some(at().plus_seconds(86_400));
    let applies = |ready: &Compiled, seconds: i64| {
        let mut cart = Cart::of(&[("MUG", "mugs", "10.00", 1)]);
        cart.at = at().plus_seconds(seconds);
        let (off, reasons) = cart.with(std::slice::from_ref(ready));
        if off == [100] { "applies".to_owned() } else { reasons[0].1.clone() }
    };
    let told = [-1, 0, 7199, 7200].map(|seconds| applies(&ready, seconds));
    assert_eq!(told, ["not_yet_valid", "applies", "applies", "no_longer_valid"]);
    ready.promotion.rule.conditions.first_hours = None;
    assert_eq!([86_399, 86_400].map(|seconds| applies(&ready, seconds)), ["applies", "no_longer_valid"]);
    ready.promotion.state = PromotionState::Paused;
    assert_eq!(applies(&ready, 1), "not_active");
}

#[test]
fn what_is_limited_gives_what_is_left() {
    let rule = json!({"gift": percent("40", "lines"), "limits": {"units": 500}});
    let left = |left: Left| {
        let mut cart = Cart::of(&[("MUG", "mugs", "10.00", 3), ("TEE", "tees", "20.00", 2)]);
        cart.left.insert(Id::from_bytes([1; 16]), left);
        cart.with(&[promotion(1, 0, rule.clone())])
    };
    assert_eq!(left(Left::ENDLESS).0, [1200, 1600]);
    // Four pieces are left: the mugs, and one tee.
    assert_eq!(left(Left { units: 4, ..Left::ENDLESS }).0, [1200, 800]);
    let reason = |with: Left| left(with).1[0].1.clone();
    assert_eq!(reason(Left { units: 0, ..Left::ENDLESS }), "units_used_up");
    assert_eq!(reason(Left { uses: 0, ..Left::ENDLESS }), "used_up");
    assert_eq!(reason(Left { of_customer: 0, ..Left::ENDLESS }), "used_by_customer");
    assert_eq!(reason(Left { budget: 2799, ..Left::ENDLESS }), "budget_used_up");
    assert_eq!(left(Left { budget: 2800, ..Left::ENDLESS }).0, [1200, 1600]);
}

#[test]
fn a_coupon_that_is_refused_does_not_count() {
    let rule = json!({"conditions": {"coupon": true}, "gift": percent("10", "order")});
    let mut cart = Cart::of(&[("MUG", "mugs", "10.00", 1)]);
    let redeemed =
        |code: &str, refused: Option<Step>| Redeemed { code: code.into(), promotion: Id::from_bytes([1; 16]), refused };
    cart.coupons = vec![redeemed("OLD", Some(Step::new("coupon_expired", "it has expired")))];
    assert_eq!(cart.reason(rule.clone()), "coupon_expired");
    cart.coupons.push(redeemed("NEW", None));
    assert_eq!(cart.off(rule), [100]);
}

#[test]
fn rules_that_can_not_be_meant_are_refused() {
    let pointer = |rule: Value| {
        let rule: Rule = serde_json::from_value(rule).unwrap();
        match rule.check().unwrap_err() {
            crate::error::Error::Problem(problem) => problem.pointer.unwrap_or_default(),
            error => panic!("{error}"),
        }
    };
    let yen = json!({"amount": "5", "currency": "JPY"});
    let mixed = json!({"conditions": {"min_value": eur("10.00")}, "gift": {"type": "amount_each", "amount": yen}});
    assert_eq!(pointer(mixed), "/gift/amount/currency");
    assert_eq!(pointer(json!({"gift": {"type": "amount_each", "amount": eur("0")}})), "/gift/amount/amount");
    let tiers = json!([{"from": 3, "off": {"percent": "5"}}, {"from": 3, "off": {"percent": "9"}}]);
    assert_eq!(pointer(json!({"gift": {"type": "quantity_tiers", "tiers": tiers}})), "/gift/tiers/1/from");
    assert_eq!(pointer(json!({"gift": {"type": "quantity_tiers", "tiers": []}})), "/gift/tiers");
    assert_eq!(pointer(json!({"gift": percent("10", "shipping"), "limits": {"units": 5}})), "/limits/units");
    assert_eq!(pointer(json!({"gift": percent("10", "lines"), "limits": {"uses": 0}})), "/limits/uses");
    let nothing = json!({"conditions": {"goods": {"include": [{}]}}, "gift": percent("10", "lines")});
    assert_eq!(pointer(nothing), "/conditions/goods/include/0");
    for text in ["0", "100.1", "-5", "5.12345", "abc", ".5", ""] {
        assert!(serde_json::from_value::<Rule>(json!({"gift": percent(text, "lines")})).is_err(), "{text}");
    }
}

prop_compose! {
    fn any_gift()(
        kind in 0..8, number in 1i64..100, cents in 1i64..5_000, buy in 1i64..4, get in 1i64..3,
    ) -> Value {
        let amount = json!({"amount": format!("{}.{:02}", cents / 100, cents % 100), "currency": "EUR"});
        let share = number.to_string();
        match kind {
            0 => percent(&share, "lines"),
            1 => percent(&share, "order"),
            2 => json!({"type": "amount", "amount": amount, "on": "order"}),
            3 => json!({"type": "amount", "amount": amount, "on": "lines"}),
            4 => json!({"type": "amount_each", "amount": amount}),
            5 => json!({"type": "fixed_price", "price": amount}),
            6 => json!({"type": "buy_get", "buy": buy, "get": get, "percent": share}),
            _ => json!({"type": "bundle", "price": amount, "items": [
                {"goods": {"skus": ["A"]}, "quantity": buy}, {"goods": {"skus": ["B"]}, "quantity": get}]}),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever applies in whatever order: no line falls below nothing or below its floor, what is noted is what is taken off,
    /// limits are kept, and the same cart gives the same.
    #[test]
    fn no_promotions_take_more_than_there_is(
        gifts in prop::collection::vec((any_gift(), any::<bool>(), prop::option::of(1u8..100), prop::option::of(1i64..20)), 0..6),
        pieces in prop::collection::vec(1i64..9, 3),
    ) {
        let cart = Cart::of(&[("A", "x", "19.99", pieces[0]), ("B", "x", "0.03", pieces[1]), ("C", "y", "104.50 per 7", pieces[2])]);
        let mut promotions = Vec::new();
        for (number, (gift, combinable, floor, units)) in (1u8..).zip(&gifts) {
            let rule = json!({
                "gift": gift, "stacking": {"combinable": combinable, "floor": floor.map(|floor| floor.to_string())},
                "limits": {"units": units},
            });
            promotions.push(promotion(number, i32::from(number) % 3, rule));
        }
        promotions.sort_by_key(|one| -one.promotion.priority);
        let basket = cart.basket();
        let mut evaluation = Evaluation::new(&promotions, &basket, Detail::All);
        evaluation.goods();
        for (standing, line) in evaluation.standing.iter().zip(&basket.lines) {
            prop_assert!(standing.left >= 0 && standing.left <= line.subtotal);
            prop_assert!(standing.left >= standing.floor.min(line.subtotal) || !standing.touched);
        }
        prop_assert_eq!(evaluation.applied.len() + evaluation.passed_over.len(), promotions.len());
        for applied in &evaluation.applied {
            let sum: i64 = applied.lines.iter().map(|share| share.amount.minor()).sum();
            prop_assert_eq!(applied.amount.minor(), sum);
            prop_assert!(sum > 0);
            let limit = promotions.iter().find(|one| one.promotion.id == applied.promotion_id).unwrap();
            prop_assert!(limit.promotion.rule.limits.units.is_none_or(|units| applied.units <= units));
        }
        let taken: i64 = evaluation.applied.iter().map(|applied| applied.amount.minor()).sum();
        let adjusted: i64 = evaluation.adjustments.iter().map(|adjustment| match adjustment.value {
            AdjustmentValue::Amount(amount) => amount.minor(),
            AdjustmentValue::Percentage(_) => 0,
        }).sum();
        let subtotal: i64 = basket.lines.iter().map(|line| line.subtotal).sum();
        prop_assert_eq!((taken, subtotal - taken), (adjusted, evaluation.goods_value()));
        let mut again = Evaluation::new(&promotions, &basket, Detail::All);
        again.goods();
        prop_assert_eq!(&again.applied, &evaluation.applied);
    }
}
