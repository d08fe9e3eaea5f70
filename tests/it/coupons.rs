//! Coupons, and limits of promotions: what is reserved, consumed, given back, and never taken twice.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    promotions::{again, eur, percent, promote},
    support::{App, Cart, Shop, eventually, on_both, on_both_idle},
};

/// A coupon of a promotion.
async fn coupon(app: &App, promotion: &str, code: &str, more: Value) {
    let mut new = json!({ "code": code });
    new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.ops("POST", &format!("/promotions/{promotion}/coupons"), Some(&new)).await.expect(201);
}

async fn use_coupon(shop: &Shop, cart: &Cart, code: &str) -> crate::support::Answer {
    let path = format!("/carts/{}/coupons", cart.id);
    shop.store("POST", &path, Some(&cart.token), Some(&json!({ "code": code }))).await
}

async fn freeze(shop: &Shop, cart: &Cart) -> Value {
    shop.store("POST", &format!("/carts/{}/checkout", cart.id), Some(&cart.token), None).await.expect(200)
}

fn total(cart: &Value) -> &str {
    cart["total"]["amount"].as_str().unwrap()
}

/// Uses, pieces, amount in cents, carts that hold some.
async fn taken(app: &App, promotion: &str) -> [i64; 4] {
    let seen = app.ops("GET", &format!("/promotions/{promotion}"), None).await.expect(200);
    ["uses", "units", "amount_minor", "reserved"].map(|name| seen["taken"][name].as_i64().unwrap())
}

#[test]
fn a_coupon_is_typed_in_any_way_and_tells_why_it_does_not_count() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let rule = json!({"conditions": {"coupon": true, "min_value": eur("20.00")}, "gift": percent("10", "order")});
        let id = promote(&app, "welcome", rule).await;
        coupon(&app, &id, "Welcome-10", json!({})).await;
        let cart = shop.cart(&[("MUG", 1)]).await;
        for (code, problem) in [("welcome-11", "coupon_unknown"), ("wöchentlich", "coupon_unknown")] {
            let refused = use_coupon(&shop, &cart, code).await.problem(422, problem);
            assert_eq!(refused["pointer"], "/code");
        }
        let seen = use_coupon(&shop, &cart, " welcome 10").await.expect(200);
        assert_eq!((total(&seen), &seen["coupons"]), ("14.90", &json!(["WELCOME10"])));
        let told = seen["problems"].as_array().unwrap().iter().find(|one| one["code"] == "coupon_not_applied").unwrap();
        assert_eq!((&told["pointer"], &told["blocking"]), (&json!("/coupons/0"), &json!(false)));
        assert!(told["detail"].as_str().unwrap().contains("10.00 EUR are missing"), "{told}");
        assert_eq!(seen["totals"]["passed_over"][0]["reason"]["code"], "min_value");
        // It counts as soon as the cart is large enough, and stays on the order.
        let line = json!({"sku": "MUG", "quantity": 1});
        let path = format!("/carts/{}", cart.id);
        let seen = shop.store("POST", &format!("{path}/lines"), Some(&cart.token), Some(&line)).await.expect(200);
        assert_eq!(total(&seen), "22.90");
        assert_eq!(seen["totals"]["promotions"][0]["coupon"], "WELCOME10");
        let off =
            shop.store("DELETE", &format!("{path}/coupons/welcome-10"), Some(&cart.token), None).await.expect(200);
        assert_eq!((total(&off), &off["coupons"]), ("24.90", &json!([])));
        let whole = json!({"coupons": ["WELCOME_10", "welcome.10"]});
        let seen = shop.store("PATCH", &path, Some(&cart.token), Some(&whole)).await.expect(200);
        assert_eq!(seen["coupons"], json!(["WELCOME10"]));
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        assert_eq!((&order["promotions"][0]["coupon"], total(&order)), (&json!("WELCOME10"), "22.90"));
        // Blocked, it is refused, and a cart that has it is told.
        let cart = shop.cart(&[("MUG", 3)]).await;
        use_coupon(&shop, &cart, "welcome10").await.expect(200);
        let blocked = app.ops("PATCH", "/coupons/welcome-10", Some(&json!({"blocked": true}))).await.expect(200);
        assert_eq!(blocked["blocked"], true);
        let seen = again(&shop, &cart).await;
        assert_eq!(total(&seen), "34.90");
        assert!(seen["problems"].to_string().contains("is blocked"), "{seen}");
        let other = shop.cart(&[("MUG", 3)]).await;
        let refused = use_coupon(&shop, &other, "welcome10").await.problem(422, "coupon_refused");
        assert_eq!(refused["reason"], "coupon_blocked");
        app.ops("POST", &format!("/promotions/{id}/coupons"), Some(&json!({"code": "WELCOME 10"})))
            .await
            .problem(409, "duplicate");
        app.ops("GET", "/coupons/nonesuch", None).await.problem(404, "not_found");
    });
}

#[test]
fn a_code_for_one_order_is_used_once_and_comes_back_when_that_is_cancelled() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let id = promote(&app, "sorry", json!({"conditions": {"coupon": true}, "gift": percent("50", "order")})).await;
        coupon(&app, &id, "SORRY", json!({"max_uses": 1})).await;
        let uses = async || app.ops("GET", "/coupons/sorry", None).await.expect(200)["uses"].as_i64().unwrap();
        let (first, second) = (shop.cart(&[("MUG", 1)]).await, shop.cart(&[("MUG", 1)]).await);
        for cart in [&first, &second] {
            assert_eq!(total(&use_coupon(&shop, cart, "sorry").await.expect(200)), "9.90");
        }
        // Whoever begins the checkout has it; the other is told when they pay, and not on the invoice.
        assert_eq!(total(&freeze(&shop, &first).await), "9.90");
        assert_eq!(uses().await, 1);
        shop.complete(&second, "approve").await.problem(409, "promotion_exhausted");
        let seen = freeze(&shop, &second).await;
        assert_eq!(total(&seen), "14.90");
        assert!(seen["changes"].to_string().contains("promotion_gone"), "{seen}");
        // A decline gives it back, so does a change; beginning again takes it again.
        shop.complete(&first, "decline").await.expect(200);
        assert_eq!(uses().await, 0);
        assert_eq!(total(&freeze(&shop, &first).await), "9.90");
        assert_eq!(total(&freeze(&shop, &first).await), "9.90");
        assert_eq!(uses().await, 1);
        again(&shop, &first).await;
        assert_eq!(uses().await, 0);
        let order = shop.complete(&first, "approve").await.expect(201)["order"].clone();
        assert_eq!((total(&order), uses().await), ("9.90", 1));
        let third = shop.cart(&[("MUG", 1)]).await;
        let refused = use_coupon(&shop, &third, "sorry").await.problem(422, "coupon_refused");
        assert_eq!(refused["reason"], "coupon_used_up");
        // The cancelled order gives it back, once.
        let path = format!("/orders/{}/cancel", order["id"].as_str().unwrap());
        app.ops("POST", &path, Some(&json!({"reason": "changed their mind"}))).await.expect(200);
        assert_eq!(uses().await, 0);
        assert_eq!(total(&use_coupon(&shop, &third, "sorry").await.expect(200)), "9.90");
        shop.complete(&third, "approve").await.expect(201);
        assert_eq!(uses().await, 1);
    });
}

#[test]
fn what_expires_is_there_for_others() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let rule = json!({"gift": percent("50", "order"), "limits": {"uses": 1, "budget": eur("5.00")}});
        let id = promote(&app, "one", rule).await;
        let (first, second) = (shop.cart(&[("MUG", 1)]).await, shop.cart(&[("MUG", 1)]).await);
        freeze(&shop, &first).await;
        assert_eq!(taken(&app, &id).await, [1, 1, 500, 1]);
        assert_eq!(total(&freeze(&shop, &second).await), "14.90");
        app.clock.advance_seconds(3600);
        // Nobody has swept yet, or somebody has: the next one has it.
        assert_eq!(total(&freeze(&shop, &second).await), "9.90");
        assert_eq!(taken(&app, &id).await, [1, 1, 500, 1]);
        shop.complete(&first, "approve").await.problem(409, "promotion_exhausted");
        shop.complete(&second, "approve").await.expect(201);
        assert_eq!(taken(&app, &id).await, [1, 1, 500, 0]);
        // A limit is not set below what is taken, and can be raised.
        let lower = json!({"limits": {"uses": 1, "budget": eur("4.00")}});
        let path = format!("/promotions/{id}");
        let refused = app.ops("PATCH", &path, Some(&lower)).await.problem(422, "limit_below_use");
        assert_eq!(refused["pointer"], "/limits");
        let raised = json!({"limits": {"uses": 2, "budget": eur("10.00")}});
        app.ops("PATCH", &path, Some(&raised)).await.expect(200);
        assert_eq!(total(&freeze(&shop, &first).await), "9.90");
    });
}

#[test]
fn a_customer_has_a_promotion_as_often_as_they_may() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        promote(&app, "twice", json!({"gift": percent("10", "order"), "limits": {"uses_per_customer": 2}})).await;
        promote(&app, "first", json!({"conditions": {"first_order": true}, "gift": {"type": "amount", "amount": eur("2.00"), "on": "order"}})).await;
        let order = async |email: &str| {
            let cart = shop.cart(&[("MUG", 1)]).await;
            let who = json!({ "email": email });
            shop.store("PATCH", &format!("/carts/{}", cart.id), Some(&cart.token), Some(&who)).await.expect(200);
            let placed = shop.complete(&cart, "approve").await.expect(201);
            total(&placed["order"]).to_owned()
        };
        // 10 % off the 8.00 that the first order leaves, then 10 % of 10.00, then nothing.
        let mut totals = Vec::new();
        for email in ["bob@example.org", "Bob@example.org", "bob@example.org", "eve@example.org"] {
            totals.push(order(email).await);
        }
        assert_eq!(totals, ["12.10", "13.90", "14.90", "12.10"]);
        // Two carts of one person at once: the first order is one.
        let two = [shop.cart(&[("MUG", 1)]).await, shop.cart(&[("MUG", 1)]).await];
        for cart in &two {
            let who = json!({"email": "zoe@example.org"});
            let path = format!("/carts/{}", cart.id);
            let seen = shop.store("PATCH", &path, Some(&cart.token), Some(&who)).await.expect(200);
            assert_eq!(total(&seen), "12.10");
        }
        let placed = join_all(two.iter().map(|cart| shop.complete(cart, "approve"))).await;
        let mut ends: Vec<u16> = placed.iter().map(|answer| answer.status).collect();
        ends.sort_unstable();
        assert_eq!(ends, [201, 409]);
    });
}

#[test]
fn however_many_want_the_last_pieces_no_more_are_reduced_than_there_are() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TV", "100.00", 500), ("MUG", "10.00", 500)]).await;
        let rule = json!({
            "conditions": {"coupon": true, "goods": {"include": [{"skus": ["TV"]}]}}, "gift": percent("40", "lines"),
            "limits": {"units": 25, "budget": eur("1000.00"), "uses": 40},
        });
        let id = promote(&app, "storm", rule).await;
        coupon(&app, &id, "STORM", json!({"max_uses": 30})).await;
        let buyer = async |number: i64| {
            let cart = shop.cart(&[("TV", 1 + number % 3), ("MUG", 1)]).await;
            if number % 2 == 0 {
                use_coupon(&shop, &cart, "storm").await;
            }
            for _ in 0..20 {
                let ended = shop.complete(&cart, "approve").await;
                match ended.status {
                    201 => return ended.body["order"].clone(),
                    409 if ended.body["code"] == "promotion_exhausted" => {
                        again(&shop, &cart).await;
                    }
                    503 => {}
                    _ => panic!("{}", ended.text),
                }
            }
            panic!("never ordered");
        };
        let mut orders = Vec::new();
        for round in 0..3 {
            orders.extend(join_all((0..16).map(|number| buyer(round * 16 + number))).await);
        }
        let sum = |name: &str| -> i64 {
            let of = |order: &Value| order["promotions"][0][name].as_i64().unwrap_or_default();
            orders.iter().map(of).sum()
        };
        let off: i64 = orders
            .iter()
            .filter_map(|order| order["promotions"][0]["amount"]["amount"].as_str())
            .map(|amount| amount.replace('.', "").parse::<i64>().unwrap())
            .sum();
        // 24 buyers with the coupon want 48 pieces: 25 are reduced by 40.00 each, and not one more.
        assert_eq!((sum("units"), off), (25, 100_000));
        let [uses, units, amount, reserved] = taken(&app, &id).await;
        let with = orders.iter().filter(|order| order["promotions"].is_array()).count();
        assert_eq!((uses, units, amount, reserved), (i64::try_from(with).unwrap(), 25, 100_000, 0));
        let coupon = app.ops("GET", "/coupons/storm", None).await.expect(200);
        assert_eq!(coupon["uses"], json!(with));
        for order in &orders {
            let lines: i64 = order["lines"].as_array().unwrap().iter().map(|line| cents(&line["gross"])).sum();
            assert_eq!(lines + cents(&order["shipping"]["gross"]), cents(&order["total"]));
        }
    });
}

fn cents(money: &Value) -> i64 {
    money["amount"].as_str().unwrap().replace('.', "").parse().unwrap()
}

#[test]
fn money_that_was_promised_for_a_promotion_that_ended_is_given_up() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let rule = json!({"gift": percent("50", "order"), "limits": {"uses": 1}});
        let id = promote(&app, "one", rule).await;
        let (first, second) = (shop.cart(&[("MUG", 1)]).await, shop.cart(&[("MUG", 1)]).await);
        let asked = shop.complete(&first, "redirect").await.expect(202);
        // The reservation ends while the customer is away (longer than anybody is given), and somebody else has it.
        let gone = "UPDATE promotion_uses SET expires_at = created_at";
        app.state.db.write(move |tx| kontor::db::sql(gone).execute(tx)).await.unwrap();
        assert_eq!(total(&freeze(&shop, &second).await), "9.90");
        shop.complete(&second, "approve").await.expect(201);
        let key = asked["action"]["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        app.ops("POST", &format!("/sandbox/payments/{key}/approve"), None).await.expect(202);
        eventually("the cart is its shopper's again", async || {
            let seen = shop.store("GET", &format!("/carts/{}", first.id), Some(&first.token), None).await.expect(200);
            seen["state"] == "open"
        })
        .await;
        assert_eq!(taken(&app, &id).await, [1, 1, 0, 0]);
        assert_eq!(shop.count("orders").await, 1);
        assert_eq!(total(&freeze(&shop, &first).await), "14.90");
    });
}

#[test]
fn codes_are_generated_by_the_thousand_and_each_is_used_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let id =
            promote(&app, "mailing", json!({"conditions": {"coupon": true}, "gift": percent("10", "order")})).await;
        let new = json!({"size": 12_345, "prefix": "bf"});
        let batch = app.ops("POST", &format!("/promotions/{id}/coupon-batches"), Some(&new)).await.expect(202);
        let path = format!("/coupon-batches/{}", batch["id"].as_str().unwrap());
        eventually("all codes are made", async || app.ops("GET", &path, None).await.expect(200)["made"] == 12_345)
            .await;
        let page = app.ops("GET", &format!("{path}/coupons?limit=200"), None).await.expect(200);
        let codes: Vec<&str> =
            page["items"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
        assert_eq!(codes.len(), 200);
        assert!(
            codes.iter().all(|code| code.len() == 14
                && code.starts_with("BF")
                && !code[2..].contains(['0', 'O', '1', 'I', 'L']))
        );
        let cart = shop.cart(&[("MUG", 1)]).await;
        let typed = format!("{}-{}", codes[0][..6].to_lowercase(), &codes[0][6..]);
        assert_eq!(total(&use_coupon(&shop, &cart, &typed).await.expect(200)), "13.90");
        shop.complete(&cart, "approve").await.expect(201);
        let other = shop.cart(&[("MUG", 1)]).await;
        use_coupon(&shop, &other, codes[0]).await.problem(422, "coupon_refused");
        let listed = app.ops("GET", &format!("/promotions/{id}/coupon-batches"), None).await.expect(200);
        assert_eq!(listed["items"][0]["size"], 12_345);
    });
}

#[test]
fn a_customers_own_code_is_nobody_elses() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let id =
            promote(&app, "birthday", json!({"conditions": {"coupon": true}, "gift": percent("10", "order")})).await;
        let ada = app.ops("POST", "/customers", Some(&json!({"name": "Ada"}))).await.expect(201);
        coupon(&app, &id, "ADA", json!({"customer_id": ada["id"]})).await;
        let later = json!({"valid_until": app.now().plus_seconds(60)});
        coupon(&app, &id, "SOON", later).await;
        let cart = shop.cart(&[("MUG", 1)]).await;
        use_coupon(&shop, &cart, "ada").await.problem(422, "coupon_unknown");
        assert_eq!(total(&use_coupon(&shop, &cart, "soon").await.expect(200)), "13.90");
        app.clock.advance_seconds(60);
        assert_eq!(total(&again(&shop, &cart).await), "14.90");
        let new = json!({"channel_id": shop.channel, "customer_id": ada["id"], "coupons": ["ada"], "lines": [{"sku": "MUG", "quantity": 1}]});
        let theirs = app.ops("POST", "/carts", Some(&new)).await.expect(201);
        assert_eq!(total(&theirs), "9.00");
    });
}
