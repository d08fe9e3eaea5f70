//! Promotions that ask how a cart is paid: nobody is charged a discount that their payment method does not earn, and nobody more than
//! they were shown.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    promotions::{eur, promote},
    support::{Answer, App, Cart, Shop, eventually, on_both, shop::address},
};

fn total(value: &Value) -> &str {
    value["total"]["amount"].as_str().unwrap_or_else(|| panic!("no total: {value}"))
}

fn off(amount: &str) -> Value {
    json!({"type": "amount", "amount": eur(amount), "on": "order"})
}

/// A mug for 10.00 and shipping for 4.90; who pays by `manual` gets 2.00 off, once.
async fn shop_for(app: &App, stock: i64) -> (Shop, String) {
    let shop = Shop::open(app, &[("MUG", "10.00", stock)]).await;
    let rule = json!({"conditions": {"payment_methods": ["manual"]}, "gift": off("2.00"), "limits": {"uses": 1}});
    let id = promote(app, "by-transfer", rule).await;
    (shop, id)
}

async fn choose(shop: &Shop, cart: &Cart, method: Value) -> Value {
    let body = json!({ "payment_method": method });
    shop.store("PATCH", &format!("/carts/{}", cart.id), Some(&cart.token), Some(&body)).await.expect(200)
}

async fn freeze(shop: &Shop, cart: &Cart) -> Value {
    shop.store("POST", &format!("/carts/{}/checkout", cart.id), Some(&cart.token), None).await.expect(200)
}

async fn pay(shop: &Shop, cart: &Cart, body: Value) -> Answer {
    shop.store("POST", &format!("/carts/{}/complete", cart.id), Some(&cart.token), Some(&body)).await
}

fn by(method: &str) -> Value {
    json!({"payment": {"method": method}})
}

/// Orders that have it or are being paid, and how many of these are being paid.
async fn taken(app: &App, promotion: &str) -> [i64; 2] {
    let seen = app.ops("GET", &format!("/promotions/{promotion}"), None).await.expect(200);
    ["uses", "reserved"].map(|name| seen["taken"][name].as_i64().unwrap())
}

#[test]
fn a_payment_method_is_chosen_shown_changed_and_cleared() {
    on_both(|app| async move {
        let (shop, id) = shop_for(&app, 50).await;
        let cart = shop.cart(&[("MUG", 1)]).await;
        assert_eq!((total(&cart.body), &cart.body["payment_method"]), ("14.90", &Value::Null));
        let staff = app.ops("GET", &format!("/carts/{}", cart.id), None).await.expect(200);
        let passed = &staff["totals"]["passed_over"][0];
        assert_eq!((&passed["promotion_id"], &passed["reason"]["code"]), (&json!(id), &json!("payment_method")));
        let seen = choose(&shop, &cart, json!("manual")).await;
        assert_eq!((total(&seen), &seen["payment_method"]), ("12.90", &json!("manual")));
        assert_eq!(seen["totals"]["promotions"][0]["payment_methods"], json!(["manual"]));
        let seen = choose(&shop, &cart, json!("sandbox")).await;
        assert_eq!((total(&seen), &seen["changes"][0]["code"]), ("14.90", &json!("promotion_gone")));
        choose(&shop, &cart, json!("manual")).await;
        let seen = choose(&shop, &cart, Value::Null).await;
        assert_eq!((total(&seen), &seen["payment_method"]), ("14.90", &Value::Null));
        let path = format!("/carts/{}", cart.id);
        let odd = shop.store("PATCH", &path, Some(&cart.token), Some(&json!({"payment_method": "pigeon"}))).await;
        assert_eq!(odd.problem(422, "payment_method_unavailable")["pointer"], "/payment_method");
        // At once, in one call; and taken over by the cart that it is merged into.
        let whole = json!({"lines": [{"sku": "MUG", "quantity": 1}], "payment_method": "manual"});
        let made = shop.store("POST", "/carts", None, Some(&whole)).await.expect(201);
        assert_eq!((total(&made), &made["payment_method"]), ("8.00", &json!("manual")));
        let from = json!({"from": made["id"], "from_token": made["token"]});
        let merged = shop.store("POST", &format!("{path}/merge"), Some(&cart.token), Some(&from)).await.expect(200);
        assert_eq!((total(&merged), &merged["payment_method"]), ("22.90", &json!("manual")));
        // Paid as it was chosen, the order has it.
        let order = pay(&shop, &cart, by("manual")).await.expect(201)["order"].clone();
        assert_eq!((total(&order), &order["payment_method"]), ("22.90", &json!("manual")));
        assert_eq!(taken(&app, &id).await, [1, 0]);
        let asked = json!({"channel_id": shop.channel, "lines": [{"sku": "MUG"}], "payment_method": "manual"});
        let seen = app.ops("POST", "/pricing/simulate", Some(&asked)).await.expect(200);
        assert_eq!(seen["totals"]["passed_over"][0]["reason"]["code"], "used_up");
    });
}

#[test]
fn a_method_that_the_channel_offers_no_more_earns_nothing() {
    on_both(|app| async move {
        let (shop, id) = shop_for(&app, 50).await;
        let cart = shop.cart(&[("MUG", 1)]).await;
        choose(&shop, &cart, json!("manual")).await;
        let promised = shop.cart(&[("MUG", 1)]).await;
        choose(&shop, &promised, json!("manual")).await;
        assert_eq!(total(&freeze(&shop, &promised).await), "12.90");
        let path = format!("/channels/{}", shop.channel);
        let channel = app.ops("GET", &path, None).await.expect(200);
        let mut settings = json!({"payment_methods": ["sandbox"]});
        for field in ["currencies", "locales", "countries", "time_zone", "prices_include_tax", "rounding"] {
            settings[field] = channel[field].clone();
        }
        app.ops("PATCH", &path, Some(&json!({ "settings": settings }))).await.expect(200);
        let patch = json!({"metadata": {"n": 1}});
        let seen =
            shop.store("PATCH", &format!("/carts/{}", cart.id), Some(&cart.token), Some(&patch)).await.expect(200);
        let problem = &seen["problems"][0];
        assert_eq!(
            (total(&seen), &problem["code"], &problem["blocking"]),
            ("14.90", &json!("payment_method_unavailable"), &json!(false))
        );
        assert_eq!(total(&pay(&shop, &cart, by("sandbox")).await.expect(201)["order"]), "14.90");
        // What was promised for it is not had by another.
        pay(&shop, &promised, by("manual")).await.problem(422, "payment_method_unavailable");
        pay(&shop, &promised, by("sandbox")).await.problem(409, "total_changed");
        assert_eq!(taken(&app, &id).await, [1, 1]);
        let told = json!({"payment": {"method": "sandbox"}, "expected_total": eur("14.90")});
        assert_eq!(total(&pay(&shop, &promised, told).await.expect(201)["order"]), "14.90");
        assert_eq!(taken(&app, &id).await, [0, 0]);
    });
}

#[test]
fn whoever_pays_otherwise_than_they_chose_is_told_the_total_first() {
    on_both(|app| async move {
        let (shop, id) = shop_for(&app, 50).await;
        // Less than the discount that the method does not earn: before the checkout was begun, and after.
        for frozen in [false, true] {
            let cart = shop.cart(&[("MUG", 1)]).await;
            choose(&shop, &cart, json!("manual")).await;
            if frozen {
                assert_eq!(total(&freeze(&shop, &cart).await), "12.90");
            }
            let refused = pay(&shop, &cart, by("sandbox")).await.problem(409, "total_changed");
            assert_eq!((&refused["total"], &refused["pointer"]), (&eur("14.90"), &json!("/payment/method")));
            // Nothing has changed: what it holds it holds, and its own method pays what was shown.
            assert_eq!(taken(&app, &id).await, [i64::from(frozen), i64::from(frozen)]);
            let lie = json!({"payment": {"method": "sandbox"}, "expected_total": eur("12.90")});
            pay(&shop, &cart, lie).await.problem(409, "total_changed");
            let told = json!({"payment": {"method": "sandbox"}, "expected_total": eur("14.90")});
            let order = pay(&shop, &cart, told).await.expect(201)["order"].clone();
            assert_eq!((total(&order), &order["promotions"]), ("14.90", &Value::Null));
            assert_eq!(taken(&app, &id).await, [0, 0]);
        }
        // A discount that the method earns and that was not shown.
        for frozen in [false, true] {
            let cart = shop.cart(&[("MUG", 1)]).await;
            if frozen {
                freeze(&shop, &cart).await;
            }
            let refused = pay(&shop, &cart, by("manual")).await.problem(409, "total_changed");
            assert_eq!(refused["total"], eur("12.90"));
            let same = json!({"payment": {"method": "manual"}, "expected_total": eur("14.90")});
            pay(&shop, &cart, same).await.problem(409, "total_changed");
            // By the other it costs what was shown, without a word.
            if frozen {
                assert_eq!(total(&pay(&shop, &cart, by("sandbox")).await.expect(201)["order"]), "14.90");
            } else {
                let told = json!({"payment": {"method": "manual"}, "expected_total": eur("12.90")});
                let order = pay(&shop, &cart, told).await.expect(201)["order"].clone();
                assert_eq!(total(&order), "12.90");
                assert_eq!(taken(&app, &id).await, [1, 0]);
                app.ops(
                    "POST",
                    &format!("/orders/{}/cancel", order["id"].as_str().unwrap()),
                    Some(&json!({"reason": "x"})),
                )
                .await
                .expect(200);
                assert_eq!(taken(&app, &id).await, [0, 0]);
            }
        }
    });
}

#[test]
fn a_frozen_cart_that_is_paid_otherwise_keeps_its_stock() {
    on_both(|app| async move {
        let (shop, id) = shop_for(&app, 2).await;
        // The last pieces are its own, whichever way it is paid: at once, or by asking a provider.
        for (chosen, paid, costs) in [("sandbox", "manual", "12.90"), ("manual", "sandbox", "14.90")] {
            let cart = shop.cart(&[("MUG", 1)]).await;
            choose(&shop, &cart, json!(chosen)).await;
            freeze(&shop, &cart).await;
            let left = if chosen == "sandbox" { 1 } else { 0 };
            assert_eq!(shop.available("MUG").await, left);
            let told = json!({"payment": {"method": paid}, "expected_total": eur(costs)});
            let order = pay(&shop, &cart, told).await.expect(201)["order"].clone();
            assert_eq!((total(&order), shop.available("MUG").await), (costs, left));
            if chosen == "sandbox" {
                assert_eq!(taken(&app, &id).await, [1, 0]);
                let more = json!({"limits": {"uses": 2}});
                app.ops("PATCH", &format!("/promotions/{id}"), Some(&more)).await.expect(200);
            }
        }
        assert_eq!(taken(&app, &id).await, [1, 0]);
    });
}

#[test]
fn a_decline_gives_back_what_the_method_earned() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let rule = json!({"conditions": {"payment_methods": ["sandbox"]}, "gift": off("2.00"), "limits": {"uses": 1}});
        let id = promote(&app, "by-card", rule).await;
        let cart = shop.cart(&[("MUG", 1)]).await;
        freeze(&shop, &cart).await;
        let body = json!({"payment": {"method": "sandbox", "instrument": "decline"}, "expected_total": eur("12.90")});
        assert_eq!(pay(&shop, &cart, body).await.expect(200)["result"], "payment_failed");
        assert_eq!(taken(&app, &id).await, [0, 0]);
        // The cart shows what it was about to be paid by; by another it is another total, and that is told.
        let seen = shop.store("GET", &format!("/carts/{}", cart.id), Some(&cart.token), None).await.expect(200);
        assert_eq!((total(&seen), &seen["payment_method"]), ("12.90", &json!("sandbox")));
        pay(&shop, &cart, by("manual")).await.problem(409, "total_changed");
        assert_eq!(total(&choose(&shop, &cart, json!("manual")).await), "14.90");
        assert_eq!(total(&pay(&shop, &cart, by("manual")).await.expect(201)["order"]), "14.90");
        assert_eq!(taken(&app, &id).await, [0, 0]);
    });
}

#[test]
fn a_redirect_keeps_what_its_method_earned_and_gives_it_back() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let rule = json!({"conditions": {"payment_methods": ["sandbox"]}, "gift": off("2.00"), "limits": {"uses": 1}});
        let id = promote(&app, "by-card", rule).await;
        for (what, uses, left) in [("decline", 0, "open"), ("approve", 1, "completed")] {
            let cart = shop.cart(&[("MUG", 1)]).await;
            assert_eq!(total(&choose(&shop, &cart, json!("sandbox")).await), "12.90");
            let waits = shop.complete(&cart, "redirect").await.expect(202);
            assert_eq!(taken(&app, &id).await, [1, 1]);
            // Nobody changes how it is paid meanwhile, and asking for another way gives the one that is going on.
            let path = format!("/carts/{}", cart.id);
            let change = json!({"payment_method": "manual"});
            shop.store("PATCH", &path, Some(&cart.token), Some(&change)).await.problem(409, "cart_not_open");
            let same = pay(&shop, &cart, by("manual")).await.expect(202);
            assert_eq!(same["action"]["url"], waits["action"]["url"]);
            // Somebody else who would get it is told that it is taken.
            let other = shop.cart(&[("MUG", 1)]).await;
            assert_eq!(total(&choose(&shop, &other, json!("sandbox")).await), "14.90");
            let key = waits["action"]["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            app.ops("POST", &format!("/sandbox/payments/{key}/{what}"), None).await.expect(202);
            eventually("it is decided", async || {
                let seen = shop.store("GET", &path, Some(&cart.token), None).await.expect(200);
                seen["state"] == left
            })
            .await;
            assert_eq!(taken(&app, &id).await, [uses, 0]);
        }
    });
}

#[test]
fn of_those_who_pay_one_cart_by_different_methods_at_once_all_get_its_one_order() {
    on_both(|app| async move {
        let (shop, id) = shop_for(&app, 50).await;
        let cart = shop.cart(&[("MUG", 1)]).await;
        choose(&shop, &cart, json!("manual")).await;
        freeze(&shop, &cart).await;
        let body = |n: usize| match n % 2 {
            0 => json!({"payment": {"method": "manual"}, "expected_total": eur("12.90")}),
            _ => json!({"payment": {"method": "sandbox"}, "expected_total": eur("14.90")}),
        };
        let answers = join_all((0..8).map(|n| pay(&shop, &cart, body(n)))).await;
        let mut orders: Vec<(String, String, String)> = Vec::new();
        for answer in answers {
            let order = answer.expect(201)["order"].clone();
            let text = |name: &str| order[name].as_str().unwrap().to_owned();
            orders.push((text("id"), text("payment_method"), total(&order).to_owned()));
        }
        orders.dedup();
        assert_eq!(orders.len(), 1, "{orders:?}");
        // What was charged is what its method costs, and the promotion is taken just as far.
        let (_, method, charged) = &orders[0];
        let (costs, uses) = if method == "manual" { ("12.90", 1) } else { ("14.90", 0) };
        assert_eq!((charged.as_str(), taken(&app, &id).await), (costs, [uses, 0]));
    });
}

#[test]
fn the_last_use_is_not_earned_twice_by_those_who_switch_at_once() {
    on_both(|app| async move {
        let (shop, id) = shop_for(&app, 50).await;
        let carts = join_all((0..6).map(|_| shop.cart(&[("MUG", 1)]))).await;
        let told = json!({"payment": {"method": "manual"}, "expected_total": eur("12.90")});
        let answers = join_all(carts.iter().map(|cart| pay(&shop, cart, told.clone()))).await;
        let placed = answers.iter().filter(|answer| answer.status == 201).count();
        let codes: Vec<&str> = answers.iter().filter_map(|answer| answer.body["code"].as_str()).collect();
        assert_eq!((placed, codes.len()), (1, 5), "{codes:?}");
        assert!(codes.iter().all(|code| ["total_changed", "promotion_exhausted"].contains(code)), "{codes:?}");
        assert_eq!(taken(&app, &id).await, [1, 0]);
    });
}

#[test]
fn a_method_that_no_promotion_asks_for_changes_nothing() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        // One that was promised and is over counts as it was promised; one of another channel, or that is over, asks nothing.
        let rule = json!({"conditions": {"payment_methods": ["manual"]}, "gift": off("2.00")});
        let id = promote(&app, "ending", rule).await;
        let cart = shop.cart(&[("MUG", 1)]).await;
        choose(&shop, &cart, json!("manual")).await;
        freeze(&shop, &cart).await;
        app.ops("POST", &format!("/promotions/{id}/end"), None).await.expect(200);
        pay(&shop, &cart, by("sandbox")).await.problem(409, "total_changed");
        assert_eq!(total(&pay(&shop, &cart, by("manual")).await.expect(201)["order"]), "12.90");
        // With none going on, what was frozen is kept whatever pays, though prices have moved.
        let cart = shop.cart(&[("MUG", 1)]).await;
        choose(&shop, &cart, json!("manual")).await;
        freeze(&shop, &cart).await;
        shop.set_price("MUG", "30.00").await;
        let order = pay(&shop, &cart, by("sandbox")).await.expect(201)["order"].clone();
        assert_eq!((total(&order), &order["payment_method"]), ("14.90", &json!("sandbox")));
        // A history was sold as it was sold.
        promote(&app, "later", json!({"conditions": {"payment_methods": ["manual"]}, "gift": off("5.00")})).await;
        let past = json!({"channel_id": shop.channel, "lines": [{"sku": "MUG", "quantity": 1}], "email": "ada@example.org",
            "shipping_address": address(), "shipping_method": "standard", "occurred_at": "2025-01-02T00:00:00Z"});
        let cart = app.ops("POST", "/carts", Some(&past)).await.expect(201);
        let path = format!("/carts/{}/complete", cart["id"].as_str().unwrap());
        let order = app.ops("POST", &path, Some(&by("manual"))).await.expect(201)["order"].clone();
        assert_eq!(order["total"], cart["total"]);
    });
}
