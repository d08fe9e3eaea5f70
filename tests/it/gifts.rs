//! Promotions that give goods: a line comes and goes with what earns it, and never promises what is not there.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    promotions::{again, eur, plan, promote},
    support::{App, Cart, Shop, on_both},
};

/// A mug for whoever buys for 30.00.
fn mug_from_thirty() -> Value {
    json!({"conditions": {"min_value": eur("30.00")}, "gift": {"type": "goods", "sku": "MUG", "quantity": 1}})
}

/// SKU and pieces of the lines that promotions give.
fn gifts(cart: &Value) -> Vec<(&str, i64)> {
    let lines = cart["lines"].as_array().unwrap().iter().filter(|line| line.get("gift_of").is_some());
    lines.map(|line| (line["sku"].as_str().unwrap(), line["quantity"].as_i64().unwrap())).collect()
}

/// The number of the gift's line.
fn gift_no(cart: &Value) -> i64 {
    let lines = cart["lines"].as_array().unwrap();
    lines.iter().find(|line| line.get("gift_of").is_some()).unwrap()["line_no"].as_i64().unwrap()
}

fn total(cart: &Value) -> &str {
    cart["total"]["amount"].as_str().unwrap()
}

/// A request about a cart by its shopper.
async fn ask(shop: &Shop, cart: &Cart, method: &str, path: &str, body: Option<Value>) -> crate::support::Answer {
    shop.store(method, &format!("/carts/{}{path}", cart.id), Some(&cart.token), body.as_ref()).await
}

/// Why a promotion does not apply, as staff are told.
async fn reason(app: &App, cart: &Cart) -> Value {
    let seen = app.ops("GET", &format!("/carts/{}", cart.id), None).await.expect(200);
    seen["totals"]["passed_over"][0]["reason"]["code"].clone()
}

#[test]
fn a_gift_comes_with_what_earns_it_and_goes_with_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 50), ("MUG", "10.00", 5)]).await;
        let id = promote(&app, "mug", mug_from_thirty()).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        assert_eq!(gifts(&cart.body), []);
        let tee = json!({"sku": "TEE", "quantity": 1});
        let seen = ask(&shop, &cart, "POST", "/lines", Some(tee.clone())).await.expect(200);
        // It costs what it costs, and all of that is taken off.
        assert_eq!((gifts(&seen), total(&seen)), (vec![("MUG", 1)], "44.90"));
        assert_eq!(seen["lines"][1]["gift_of"], json!(id));
        let (line, number) = (&seen["totals"]["lines"][1], gift_no(&seen));
        assert_eq!(
            (&line["subtotal"], &line["discount"], &line["gross"]),
            (&eur("10.00"), &eur("10.00"), &eur("0.00"))
        );
        assert_eq!(seen["totals"]["promotions"][0]["units"], 1);
        // It keeps its number while it is given, and is none of the buyer's own lines.
        let gift = format!("/lines/{}", seen["lines"][1]["id"].as_str().unwrap());
        let mug = json!({"sku": "MUG", "quantity": 1});
        let seen = ask(&shop, &cart, "POST", "/lines", Some(mug)).await.expect(200);
        assert_eq!((seen["lines"].as_array().unwrap().len(), gift_no(&seen), total(&seen)), (3, number, "54.90"));
        let refused =
            ask(&shop, &cart, "PATCH", &gift, Some(json!({"quantity": 2}))).await.problem(422, "invalid_value");
        assert_eq!(refused["pointer"], "/quantity");
        // Less is bought: it goes, and the buyer is told.
        let seen = ask(&shop, &cart, "PATCH", "", Some(json!({"lines": [tee]}))).await.expect(200);
        assert_eq!((gifts(&seen), &seen["changes"][0]["code"]), (vec![], &json!("promotion_gone")));
        // Two tees again, and the buyer does without.
        let lines = json!({"lines": [{"sku": "TEE", "quantity": 2}]});
        let seen = ask(&shop, &cart, "PATCH", "", Some(lines)).await.expect(200);
        assert_eq!(gifts(&seen), [("MUG", 1)]);
        assert!(gift_no(&seen) > number);
        let gift = format!("/lines/{}", seen["lines"][1]["id"].as_str().unwrap());
        let seen = ask(&shop, &cart, "DELETE", &gift, None).await.expect(200);
        assert_eq!((gifts(&seen), &seen["declined_gifts"]), (vec![], &json!([id])));
        assert_eq!(gifts(&again(&shop, &cart).await), []);
        assert_eq!(reason(&app, &cart).await, "gift_declined");
        // Nothing else in the cart: nothing at all.
        let seen = ask(&shop, &cart, "PATCH", "", Some(json!({"lines": []}))).await.expect(200);
        assert!(seen["lines"] == json!([]) && seen["problems"].to_string().contains("cart_empty"), "{seen}");
    });
}

#[test]
fn a_gift_is_ordered_reserved_and_cancelled_like_any_line() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 50), ("MUG", "10.00", 3)]).await;
        promote(&app, "mug", mug_from_thirty()).await;
        let cart = shop.cart(&[("TEE", 2)]).await;
        // What the checkout holds is the cart's own: begun again, it is still there.
        for _ in 0..2 {
            let frozen = ask(&shop, &cart, "POST", "/checkout", None).await.expect(200);
            assert_eq!((gifts(&frozen), shop.available("MUG").await), (vec![("MUG", 1)], 2));
        }
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        assert_eq!((&order["total"], &order["lines"][1]["sku"]), (&eur("44.90"), &json!("MUG")));
        assert_eq!((&order["lines"][1]["gross"], &order["lines"][1]["quantity"]), (&eur("0.00"), &json!(1)));
        assert_eq!(shop.available("MUG").await, 2);
        let cancel = format!("/orders/{}/cancel", order["id"].as_str().unwrap());
        app.ops("POST", &cancel, Some(&json!({"reason": "second thoughts"}))).await.expect(200);
        assert_eq!(shop.available("MUG").await, 3);
        // Of two carts that become one each had a gift: one is left, for that is what one cart earns.
        let (one, other) = (shop.cart(&[("TEE", 2)]).await, shop.cart(&[("TEE", 3)]).await);
        let merge = json!({"from": other.id, "from_token": other.token});
        let seen = ask(&shop, &one, "POST", "/merge", Some(merge)).await.expect(200);
        assert_eq!((gifts(&seen), &seen["lines"][0]["quantity"]), (vec![("MUG", 1)], &json!(5)));
    });
}

#[test]
fn a_gift_that_can_not_be_had_is_passed_over_and_the_buyer_is_told() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 50), ("MUG", "10.00", 1)]).await;
        let id = promote(&app, "mug", mug_from_thirty()).await;
        // The last mug is bought in the same cart.
        let both = shop.cart(&[("TEE", 2), ("MUG", 1)]).await;
        assert_eq!((gifts(&both.body), reason(&app, &both).await), (vec![], json!("gift_out_of_stock")));
        // Two carts were shown the last mug; one of them gets it.
        let (late, early) = (shop.cart(&[("TEE", 2)]).await, shop.cart(&[("TEE", 2)]).await);
        assert_eq!((gifts(&late.body), gifts(&early.body)), (vec![("MUG", 1)], vec![("MUG", 1)]));
        shop.complete(&early, "approve").await.expect(201);
        // Neither silently, nor with the total that was expected: that is the same.
        let body = json!({"payment": {"method": "manual"}, "expected_total": eur("44.90")});
        let refused =
            ask(&shop, &late, "POST", "/complete", Some(body.clone())).await.problem(409, "promotion_exhausted");
        assert_eq!(refused["promotion"], "mug");
        let seen = ask(&shop, &late, "POST", "/checkout", None).await.expect(200);
        assert_eq!((gifts(&seen), &seen["changes"][0]["code"]), (vec![], &json!("promotion_gone")));
        let placed = ask(&shop, &late, "POST", "/complete", Some(body)).await.expect(201);
        assert_eq!(placed["order"]["lines"].as_array().unwrap().len(), 1);
        // There are mugs again, and then they are not sold any more.
        shop.stock_up("MUG", 5).await;
        let cart = shop.cart(&[("TEE", 2)]).await;
        assert_eq!(gifts(&cart.body), [("MUG", 1)]);
        let checks = app.ops("GET", &format!("/promotions/{id}/checks"), None).await.expect(200);
        assert_eq!(checks["warnings"], json!([]), "{checks}");
    });
}

#[test]
fn nobody_gets_another_gift_than_they_were_shown_without_a_word() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 50), ("MUG", "10.00", 5), ("CAP", "10.00", 5)]).await;
        let id = promote(&app, "present", mug_from_thirty()).await;
        let (cart, other) = (shop.cart(&[("TEE", 2)]).await, shop.cart(&[("TEE", 2)]).await);
        assert_eq!((gifts(&cart.body), gifts(&other.body)), (vec![("MUG", 1)], vec![("MUG", 1)]));
        let cap = json!({"gift": {"type": "goods", "sku": "CAP", "quantity": 1}, "despite_warnings": true});
        app.ops("PATCH", &format!("/promotions/{id}"), Some(&cap)).await.expect(200);
        // As much is to be paid as before, and as many pieces come.
        let body = json!({"payment": {"method": "manual"}, "expected_total": eur("44.90")});
        for cart in [&cart, &other] {
            let pay = |body: Value| ask(&shop, cart, "POST", "/complete", Some(body));
            let refused = pay(body.clone()).await.problem(409, "promotion_exhausted");
            assert_eq!(refused["promotion"], "present");
        }
        // Who has seen the cap gets the cap.
        let seen = ask(&shop, &cart, "POST", "/checkout", None).await.expect(200);
        assert_eq!(gifts(&seen), [("CAP", 1)]);
        let placed = ask(&shop, &cart, "POST", "/complete", Some(body)).await.expect(201);
        assert_eq!(placed["order"]["lines"][1]["sku"], "CAP");
    });
}

#[test]
fn gifts_by_the_piece_are_simulated_and_limited() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 50), ("CAP", "5.00", 7)]).await;
        let rule = json!({
            "conditions": {"goods": {"include": [{"skus": ["TEE"]}]}}, "limits": {"units": 6},
            "gift": {"type": "goods", "sku": "CAP", "quantity": 2, "every": 3, "times": 2},
        });
        let id = plan(&app, "caps", rule).await;
        let simulate = async |tees: i64| {
            let asked = json!({"channel_id": shop.channel, "include_drafts": true, "lines": [{"sku": "TEE", "quantity": tees}]});
            let seen = app.ops("POST", "/pricing/simulate", Some(&asked)).await.expect(200);
            let lines = seen["totals"]["lines"].as_array().unwrap();
            lines.get(1).map_or(0, |line| line["quantity"].as_i64().unwrap())
        };
        assert_eq!([simulate(2).await, simulate(3).await, simulate(8).await, simulate(30).await], [0, 2, 4, 4]);
        // What it costs is told before it is activated.
        let costs = json!({"code": "costs", "name": "Costs", "currency": "EUR", "kind": "cost"});
        let costs = app.ops("POST", "/price-lists", Some(&costs)).await.expect(201);
        let rows = json!({"rows": [{"sku": "CAP", "unit_price": eur("2.00")}]});
        app.ops("PUT", &format!("/price-lists/{}/prices", costs["id"].as_str().unwrap()), Some(&rows))
            .await
            .expect(200);
        let seen = app.ops("GET", &format!("/promotions/{id}/checks"), None).await.expect(200);
        let example = json!({"sku": "CAP", "price": eur("5.00"), "lowest": eur("0.00"), "cost": eur("2.00")});
        assert_eq!(
            (&seen["warnings"][0]["code"], &seen["warnings"][0]["examples"][0]),
            (&json!("below_cost"), &example)
        );
        let activate = json!({"despite_warnings": true});
        app.ops("POST", &format!("/promotions/{id}/activate"), Some(&activate)).await.expect(200);
        let first = shop.order(&[("TEE", 6)]).await;
        assert_eq!(first["lines"][1]["quantity"], 4);
        // Two pieces are left of six: one gift of two.
        let second = shop.order(&[("TEE", 6)]).await;
        assert_eq!(second["lines"][1]["quantity"], 2);
        let third = shop.cart(&[("TEE", 6)]).await;
        assert_eq!((gifts(&third.body), reason(&app, &third).await), (vec![], json!("units_used_up")));
    });
}

#[test]
fn the_last_ten_gifts_are_given_ten_times_however_many_order_at_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 500), ("MUG", "10.00", 10)]).await;
        promote(&app, "mug", mug_from_thirty()).await;
        let mut carts = Vec::new();
        for _ in 0..24 {
            carts.push(shop.cart(&[("TEE", 2)]).await);
        }
        assert!(carts.iter().all(|cart| gifts(&cart.body) == [("MUG", 1)]));
        let buyers = carts.into_iter().enumerate().map(|(number, cart)| {
            let shop = shop.clone();
            tokio::spawn(async move {
                // Every third begins a checkout first, which is a reservation of its own.
                if number % 3 == 0 {
                    ask(&shop, &cart, "POST", "/checkout", None).await.expect(200);
                }
                let method = if number % 2 == 0 { "manual" } else { "sandbox" };
                let pay = json!({"payment": {"method": method}});
                let mut placed = ask(&shop, &cart, "POST", "/complete", Some(pay.clone())).await;
                if placed.status != 201 {
                    placed.problem(409, "promotion_exhausted");
                    let seen = ask(&shop, &cart, "POST", "/checkout", None).await.expect(200);
                    assert_eq!(gifts(&seen), []);
                    placed = ask(&shop, &cart, "POST", "/complete", Some(pay)).await;
                }
                placed.expect(201)["order"]["lines"].as_array().unwrap().len()
            })
        });
        let lines: Vec<usize> = join_all(buyers).await.into_iter().map(|ended| ended.unwrap()).collect();
        assert_eq!(lines.iter().filter(|lines| **lines == 2).count(), 10, "{lines:?}");
        assert_eq!((shop.available("MUG").await, shop.available("TEE").await), (0, 500 - 48));
    });
}

#[test]
fn what_makes_no_sense_of_a_gift_is_refused_where_it_stands() {
    on_both(|app| async move {
        Shop::open(&app, &[]).await;
        let goods = |more: Value| {
            let mut gift = json!({"type": "goods", "sku": "MUG", "quantity": 1});
            gift.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            gift
        };
        for (rule, pointer) in [
            (json!({"gift": goods(json!({"quantity": 0}))}), "/gift/quantity"),
            (json!({"gift": goods(json!({"times": 2}))}), "/gift/times"),
            (json!({"gift": goods(json!({})), "stacking": {"floor": "10"}}), "/stacking/floor"),
            (json!({"gift": goods(json!({})), "stacking": {"not_below_cost": true}}), "/stacking/not_below_cost"),
        ] {
            let mut new = json!({"code": "x", "name": "x"});
            new.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
            let refused = app.ops("POST", "/promotions", Some(&new)).await.problem(422, "invalid_value");
            assert_eq!(refused["pointer"], pointer);
        }
        // What is not sold is told before it is activated.
        let id = plan(&app, "mug", mug_from_thirty()).await;
        let refused = app.ops("POST", &format!("/promotions/{id}/activate"), Some(&json!({}))).await;
        let refused = refused.problem(409, "promotion_warnings");
        assert!(refused["warnings"].to_string().contains("gift_not_sold"), "{refused}");
    });
}
