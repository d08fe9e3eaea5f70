//! Promotions that give goods, each worked out by hand.

use super::{
    super::super::{conditions::Giveable, goods},
    *,
};

/// How many pieces are given of ample stock; else why none are.
fn earned_of(cart: &Cart, rule: &Value, available: i64) -> Result<i64, String> {
    goods::earned(&promotion(1, 0, rule.clone()), &cart.basket(), available).map_err(|reason| reason.told().code)
}

#[test]
fn goods_are_given_once_or_for_every_so_many_pieces_and_only_whole() {
    let cart = tees_and_mugs();
    let goods = |more: Value| {
        let mut gift = json!({"type": "goods", "sku": "PIN", "quantity": 2});
        gift.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        gift
    };
    let once = json!({"gift": goods(json!({}))});
    assert_eq!(earned_of(&cart, &once, 100), Ok(2));
    // Six pieces are in the cart.
    assert_eq!(earned_of(&cart, &json!({"gift": goods(json!({"every": 2}))}), 100), Ok(6));
    assert_eq!(earned_of(&cart, &json!({"gift": goods(json!({"every": 2, "times": 2}))}), 100), Ok(4));
    assert_eq!(earned_of(&cart, &json!({"gift": goods(json!({"every": 2}))}), 5), Ok(4));
    assert_eq!(earned_of(&cart, &json!({"gift": goods(json!({"every": 7}))}), 100), Err("too_few".into()));
    assert_eq!(earned_of(&cart, &once, 1), Err("gift_out_of_stock".into()));
    assert_eq!(earned_of(&cart, &once, -3), Err("gift_out_of_stock".into()));
    let mugs = json!({"include": [{"skus": ["MUG"]}]});
    let for_mugs = json!({"conditions": {"goods": mugs}, "gift": goods(json!({"every": 3}))});
    assert_eq!(earned_of(&cart, &for_mugs, 100), Ok(2));
    let dear = json!({"conditions": {"min_value": eur("87.49")}, "gift": goods(json!({}))});
    assert_eq!(earned_of(&cart, &dear, 100), Err("min_value".into()));
    assert_eq!(
        earned_of(&cart, &json!({"gift": goods(json!({})), "limits": {"units": 1}}), 100),
        Err("units_used_up".into())
    );
}

/// A pin that may be given, of so many that there are, for so much.
fn pin(line_no: i32, available: i64, price: &str) -> Giveable {
    let price = UnitPrice::parse(price, "EUR".parse().unwrap()).unwrap().into();
    Giveable { line_no, variant: Id::from_bytes([9; 16]), available, prices: vec![(Quantity::ONE, Ok(price))] }
}

#[test]
fn what_a_promotion_does_not_give_after_all_is_left_for_others() {
    let cart = tees_and_mugs();
    let gift = |quantity: i64| json!({"type": "goods", "sku": "PIN", "quantity": quantity});
    let grouped = |number: u8, priority: i32, gift: Value| {
        promotion(number, priority, json!({"gift": gift, "stacking": {"group": "one"}}))
    };
    let given = |all: &[Compiled], available: i64| {
        let mut basket = cart.basket();
        for (line_no, ready) in (9..).zip(all) {
            basket.gifts.insert(ready.promotion.id, Ok(pin(line_no, available, "5.00")));
        }
        let mut evaluation = Evaluation::new(all, &basket, Detail::All);
        evaluation.goods();
        let told: Vec<(i32, i64)> = evaluation.gifts.iter().map(|(_, line)| (line.line_no, line.pieces)).collect();
        let adjusted = evaluation.applied.iter().map(|one| one.amount.minor()).collect::<Vec<_>>();
        (told, adjusted)
    };
    // The first gives two pins, its group's other one takes off more: the third gives the two that there are.
    let rival = promotion(2, 4, json!({"gift": percent("20", "order"), "stacking": {"group": "one"}}));
    let third = promotion(3, 3, json!({"gift": gift(2)}));
    assert_eq!(given(&[grouped(1, 5, gift(2)), rival, third.clone()], 2), (vec![(11, 2)], vec![1750, 1000]));
    // Where it does give them, none are left; of three one is, and of four all that the third gives.
    let alone = [grouped(1, 5, gift(2)), third];
    assert_eq!(given(&alone, 2), (vec![(9, 2)], vec![1000]));
    assert_eq!(given(&alone, 3), (vec![(9, 2)], vec![1000]));
    assert_eq!(given(&alone, 4), (vec![(9, 2), (10, 2)], vec![1000, 1000]));
    // Two of one group never take from each other.
    assert_eq!(given(&[grouped(1, 5, gift(2)), grouped(2, 4, gift(3))], 3), (vec![(10, 3)], vec![1500]));
}

#[test]
fn a_gift_takes_nothing_off_the_lines_and_counts_by_its_price() {
    let gift = json!({"type": "goods", "sku": "PIN", "quantity": 1});
    let rule = |more: Value| {
        let mut rule = json!({ "gift": gift });
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rule
    };
    let applied = |more: Value, others: &[Compiled]| {
        let cart = tees_and_mugs();
        let mut basket = cart.basket();
        let own = promotion(1, 5, rule(more));
        basket.gifts.insert(own.promotion.id, Ok(pin(9, 100, "5.00")));
        let mut all = vec![own];
        all.extend_from_slice(others);
        let mut evaluation = Evaluation::new(&all, &basket, Detail::All);
        evaluation.goods();
        let told = evaluation.applied.iter().map(|one| (one.code.clone(), one.amount.minor(), one.units));
        (told.collect::<Vec<_>>(), evaluation.goods_value())
    };
    assert_eq!(applied(json!({}), &[]), (vec![("p1".to_owned(), 500, 1)], 8748));
    // What its price is beyond its budget is not given.
    assert_eq!(applied(json!({"limits": {"budget": eur("4.99")}}), &[]), (vec![], 8748));
    // Of a group the dearer goes: 10 % of 87.48 are more than 5.00, 5 % are less.
    let other = |share: &str| promotion(2, 0, json!({"gift": percent(share, "order"), "stacking": {"group": "one"}}));
    let grouped = json!({"stacking": {"group": "one"}});
    assert_eq!(applied(grouped.clone(), &[other("10")]), (vec![("p2".to_owned(), 875, 6)], 7873));
    assert_eq!(applied(grouped, &[other("5")]), (vec![("p1".to_owned(), 500, 1)], 8748));
    // Nobody has asked for gifts: it is passed over.
    assert_eq!(tees_and_mugs().reason(rule(json!({}))), "gift_not_offered");
}
