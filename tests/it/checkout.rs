//! From cart to order: what it costs, once only, never more than there is, whatever the provider does.

use std::collections::HashSet;

use futures::future::join_all;
use serde_json::{Value, json};

use kontor::http::auth::Audience;

use crate::support::{Shop, app::settings, eventually, on_both, shop::address};
use kontor::{
    carts, checkout,
    db::{Db, Options},
    http::{State, idempotency::Fingerprint, idempotency::Key},
    kernel::{Actor, actor::Shopper, ids::ChannelId},
};

#[test]
fn a_guest_orders_in_two_requests() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10), ("MUG", "12.50", 10)]).await;
        let cart = shop.cart(&[("TEE", 2), ("MUG", 1)]).await;
        // 2 x 19.90 + 12.50 + 4.90, tax included.
        assert_eq!(cart.body["total"], json!({"amount": "57.20", "currency": "EUR"}));
        assert_eq!(cart.body["problems"], json!([]));
        let answer = shop.complete(&cart, "approve").await.expect(201);
        assert_eq!(answer["result"], "order");
        let order = &answer["order"];
        assert_eq!(order["total"]["amount"], "57.20");
        // 39.80/1.19 = 33.45, 12.50/1.19 = 10.50, 4.90/1.19 = 4.12.
        assert_eq!((&order["net"]["amount"], &order["tax"]["amount"]), (&json!("48.07"), &json!("9.13")));
        assert_eq!((order["state"].as_str(), order["payment_state"].as_str()), (Some("placed"), Some("authorised")));
        assert_eq!(order["fulfilment_state"], "unfulfilled");
        assert_eq!(order["lines"][0]["allocated"], 2);
        assert_eq!(shop.available("TEE").await, 8);
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        let seen = shop.store("GET", &path, Some(&cart.token), None).await.expect(200);
        assert_eq!(seen["number"], order["number"]);
        shop.store("GET", &path, Some("wrong"), None).await.problem(404, "not_found");
        shop.store("GET", &path, None, None).await.problem(404, "not_found");
        let number = order["number"].as_str().unwrap().to_owned();
        eventually("three events have their positions", || {
            let (app, path) = (app.clone(), format!("/orders/{number}/timeline"));
            async move { app.ops("GET", &path, None).await.expect(200)["items"].as_array().unwrap().len() == 3 }
        })
        .await;
    });
}

#[test]
fn one_cart_is_one_order_however_often_it_is_completed_at_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        let all = (0..12).map(|n| {
            let (shop, cart) = (shop.clone(), cart.clone());
            async move {
                let body = json!({"payment": {"method": "sandbox", "instrument": if n % 2 == 0 { "approve" } else { "late:1" }}});
                let key = format!("key-{}", n % 6);
                let headers = [("Channel-Key", shop.key.as_str()), ("Cart-Token", &cart.token), ("Idempotency-Key", &key)];
                let path = format!("/v1/store/carts/{}/complete", cart.id);
                shop.app.send("POST", &path, &headers, Some(&body)).await
            }
        });
        let answers = join_all(all).await;
        let orders: HashSet<String> = answers
            .iter()
            .filter(|answer| answer.status == 201)
            .map(|answer| answer.body["order"]["id"].as_str().unwrap().to_owned())
            .collect();
        // A key that was sent with another body is refused; everybody else gets the one order.
        let refused = answers.iter().filter(|answer| answer.status != 201);
        for answer in refused {
            let code = answer.body["code"].as_str();
            assert!(matches!(code, Some("idempotency_key_reused" | "idempotency_in_progress")), "{}", answer.text);
        }
        assert_eq!(orders.len(), 1, "{answers:?}");
        assert_eq!((shop.count("orders").await, shop.available("TEE").await), (1, 9));
        let again = shop.complete(&cart, "approve").await.expect(201);
        assert!(orders.contains(again["order"]["id"].as_str().unwrap()));
    });
}

#[test]
fn never_more_is_sold_than_there_is() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("LAST", "9.00", 7), ("PAIR", "5.00", 30)]).await;
        let buyers = (0..24).map(|n| {
            let shop = shop.clone();
            async move {
                // Half of them name the two in the other order, which must not make them wait for each other.
                let lines = if n % 2 == 0 { [("LAST", 1), ("PAIR", 1)] } else { [("PAIR", 1), ("LAST", 1)] };
                let cart = shop.cart(&lines).await;
                let instrument = if n % 5 == 4 { "decline" } else { "approve" };
                shop.complete(&cart, instrument).await
            }
        });
        let answers = join_all(buyers).await;
        let sold = answers.iter().filter(|answer| answer.status == 201).count() as i64;
        assert!(sold <= 7, "{sold} of 7 sold");
        for answer in answers.iter().filter(|answer| answer.status >= 400) {
            assert!(
                matches!(answer.body["code"].as_str(), Some("out_of_stock" | "cart_incomplete")),
                "{}",
                answer.text
            );
        }
        // Those who were declined gave theirs back: the rest can be sold until exactly nothing is left.
        let mut more = 0;
        while shop.available("LAST").await > 0 {
            shop.order(&[("LAST", 1)]).await;
            more += 1;
        }
        assert_eq!(sold + more, 7);
        assert_eq!(shop.count("orders").await, 7);
        let cart = shop.cart(&[("LAST", 1)]).await;
        assert_eq!(cart.body["problems"][0]["code"], "out_of_stock");
        shop.complete(&cart, "approve").await.problem(409, "out_of_stock");
    });
}

#[test]
fn a_declined_payment_leaves_the_cart_open() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 3)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        let failed = shop.complete(&cart, "decline").await.expect(200);
        assert_eq!(
            (failed["result"].as_str(), failed["decline"]["retryable"].as_bool()),
            (Some("payment_failed"), Some(true))
        );
        assert_eq!(shop.available("TEE").await, 3);
        let body = json!({"lines": [{"sku": "TEE", "quantity": 2}]});
        shop.store("PATCH", &format!("/carts/{}", cart.id), Some(&cart.token), Some(&body)).await.expect(200);
        assert_eq!(shop.complete(&cart, "approve").await.expect(201)["order"]["lines"][0]["quantity"], 2);
        assert_eq!(shop.available("TEE").await, 1);
    });
}

#[test]
fn a_redirect_ends_in_an_order_when_the_customer_comes_through() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 3)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        let waiting = shop.complete(&cart, "redirect").await.expect(202);
        assert_eq!(
            (waiting["result"].as_str(), waiting["action"]["type"].as_str()),
            (Some("action_required"), Some("redirect"))
        );
        assert_eq!(shop.available("TEE").await, 2);
        // Asking again shows the same action, and the cart can not be changed meanwhile.
        assert_eq!(shop.complete(&cart, "redirect").await.expect(202)["action"], waiting["action"]);
        let body = json!({"lines": []});
        shop.store("PATCH", &format!("/carts/{}", cart.id), Some(&cart.token), Some(&body))
            .await
            .problem(409, "cart_not_open");
        let key = payment_key(&shop).await;
        let decided = app.ops("POST", &format!("/sandbox/payments/{key}/approve"), None).await;
        assert!(decided.status < 300, "{}", decided.text);
        eventually("the order is there", || async { shop.count("orders").await == 1 }).await;
        let order = shop.complete(&cart, "approve").await.expect(201);
        assert_eq!(order["order"]["payment_state"], "authorised");
    });
}

#[test]
fn an_answer_that_never_came_is_looked_up() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 3)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        let pending = shop.complete(&cart, "error").await.expect(202);
        assert_eq!(pending["result"], "pending");
        assert_eq!(shop.count("orders").await, 0);
        // The process that asked is taken for dead when its lease has run out.
        app.clock.advance_seconds(60);
        eventually("the sweep found the promise", || async { shop.count("orders").await == 1 }).await;
        assert_eq!(shop.complete(&cart, "approve").await.expect(201)["result"], "order");
    });
}

#[test]
fn a_checkout_keeps_price_and_stock_until_it_thaws() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 1)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        let path = format!("/carts/{}", cart.id);
        let frozen = shop.store("POST", &format!("{path}/checkout"), Some(&cart.token), None).await.expect(200);
        assert_eq!(frozen["state"], "frozen");
        assert_eq!(shop.available("TEE").await, 0);
        shop.set_price("TEE", "25.00").await;
        let other = shop.cart(&[("TEE", 1)]).await;
        shop.complete(&other, "approve").await.problem(409, "out_of_stock");
        let order = shop.complete(&cart, "approve").await.expect(201);
        assert_eq!(order["order"]["total"]["amount"], "24.80");
    });
}

#[test]
fn an_expired_reservation_withholds_nothing() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 1)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        shop.store("POST", &format!("/carts/{}/checkout", cart.id), Some(&cart.token), None).await.expect(200);
        app.clock.advance_seconds(16 * 60);
        // Whether the schedule has come by or not: the buyer gets it.
        assert_eq!(shop.order(&[("TEE", 1)]).await["total"]["amount"], "24.80");
        shop.complete(&cart, "approve").await.problem(409, "out_of_stock");
    });
}

#[test]
fn a_change_after_the_checkout_thaws_and_says_so() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        let path = format!("/carts/{}", cart.id);
        shop.store("POST", &format!("{path}/checkout"), Some(&cart.token), None).await.expect(200);
        shop.set_price("TEE", "25.00").await;
        let body = json!({"lines": [{"sku": "TEE", "quantity": 2}]});
        let thawed = shop.store("PATCH", &path, Some(&cart.token), Some(&body)).await.expect(200);
        let codes: Vec<&str> =
            thawed["changes"].as_array().unwrap().iter().map(|c| c["code"].as_str().unwrap()).collect();
        assert_eq!(codes, ["price_changed", "thawed"]);
        assert_eq!((thawed["state"].as_str(), shop.available("TEE").await), (Some("open"), 5));
    });
}

#[test]
fn the_expected_total_is_held_to() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        shop.set_price("TEE", "29.90").await;
        let body = json!({"expected_total": cart.body["total"], "payment": {"method": "sandbox"}});
        let path = format!("/carts/{}/complete", cart.id);
        let refused = shop.store("POST", &path, Some(&cart.token), Some(&body)).await.problem(409, "total_changed");
        assert_eq!(refused["total"]["amount"], "34.80");
        let body = json!({"expected_total": refused["total"], "payment": {"method": "sandbox"}});
        shop.store("POST", &path, Some(&cart.token), Some(&body)).await.expect(201);
    });
}

#[test]
fn an_incomplete_cart_says_what_is_missing() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let body = shop.store("POST", "/carts", None, Some(&json!({}))).await.expect(201);
        let (id, token) = (body["id"].as_str().unwrap(), body["token"].as_str().unwrap());
        let line = json!({"sku": "TEE", "quantity": 1});
        let cart = shop.store("POST", &format!("/carts/{id}/lines"), Some(token), Some(&line)).await.expect(200);
        let codes = |cart: &Value| -> Vec<String> {
            cart["problems"].as_array().unwrap().iter().map(|p| p["code"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(codes(&cart), ["email_missing", "address_missing", "shipping_method_missing"]);
        let pay = json!({"payment": {"method": "manual"}});
        let path = format!("/carts/{id}/complete");
        shop.store("POST", &path, Some(token), Some(&pay)).await.problem(422, "cart_incomplete");
        let rest = json!({"email": "ada@example.org", "shipping_address": address(), "shipping_method": "standard"});
        let cart = shop.store("PATCH", &format!("/carts/{id}"), Some(token), Some(&rest)).await.expect(200);
        assert!(codes(&cart).is_empty());
        let order = shop.store("POST", &path, Some(token), Some(&pay)).await.expect(201);
        assert_eq!(order["order"]["payment_method"], "manual");
        let nonsense = json!({"payment": {"method": "bitcoin"}});
        shop.store("POST", &path, Some(token), Some(&nonsense)).await.problem(422, "payment_method_unavailable");
    });
}

#[test]
fn foreign_carts_are_not_there() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let (mine, other) = (shop.cart(&[("TEE", 1)]).await, shop.cart(&[("TEE", 1)]).await);
        let path = format!("/carts/{}", mine.id);
        for token in [None, Some("nonsense"), Some(other.token.as_str())] {
            shop.store("GET", &path, token, None).await.problem(404, "not_found");
            shop.store("PATCH", &path, token, Some(&json!({"lines": []}))).await.problem(404, "not_found");
            shop.store("POST", &format!("{path}/checkout"), token, None).await.problem(404, "not_found");
            let pay = json!({"payment": {"method": "sandbox"}});
            shop.store("POST", &format!("{path}/complete"), token, Some(&pay)).await.problem(404, "not_found");
            let merge = json!({"from": mine.id, "from_token": "nonsense"});
            let into = format!("/carts/{}/merge", other.id);
            shop.store("POST", &into, Some(&other.token), Some(&merge)).await.problem(404, "not_found");
        }
        // Nor does signing in open a guest's cart to whoever knows its id.
        let signed_in = format!("Bearer {}", app.token(Audience::Customer, "mallory", &[]));
        let headers = [("Channel-Key", shop.key.as_str()), ("Authorization", signed_in.as_str())];
        let own = app.send("POST", "/v1/store/carts", &headers, Some(&json!({}))).await.expect(201);
        let merge = json!({"from": own["id"]});
        let answer = app.send("POST", &format!("/v1/store{path}/merge"), &headers, Some(&merge)).await;
        answer.problem(404, "not_found");
        assert_eq!(shop.store("GET", &path, Some(&mine.token), None).await.expect(200)["version"], 1);
    });
}

#[test]
fn the_number_of_statements_does_not_grow_with_the_lines() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        let skus: Vec<String> = (0..40).map(|n| format!("SKU-{n}")).collect();
        for sku in &skus {
            shop.add(sku, "1.00", 1000).await;
        }
        // By a sourcing profile, which lies in memory as the locations do.
        let profile =
            json!({"code": "p", "document": {"strategies": [{"name": "all", "limits": {"together": "set"}}]}});
        let profile = app.ops("POST", "/sourcing/profiles", Some(&profile)).await.expect(201);
        let activate = format!("/sourcing/profiles/{}/activate", profile["id"].as_str().unwrap());
        app.ops("POST", &activate, None).await.expect(200);
        // A process of its own, without a server and background work: only the checkout's statements are counted.
        let own = Db::open_unmigrated(Options { connections: 2, ..Options::new(app.database_url.clone()) }).unwrap();
        let state = State::new(own, app.clock.clone(), settings()).await.unwrap();
        let channel: ChannelId = shop.channel.parse().unwrap();
        let guest = |token: Option<String>| Actor::Shopper(Shopper { channel, identity: None, cart_token: token });
        // The first rounds are not counted: they read reference data, take a block of numbers and prepare statements, those
        // for many rows too.
        let mut counts = Vec::new();
        for size in [2, 40, 2, 40] {
            let lines: Vec<Value> = skus.iter().take(size).map(|sku| json!({"sku": sku, "quantity": 1})).collect();
            let cart = json!({
                "lines": lines, "email": "ada@example.org", "shipping_method": "standard", "shipping_address": address(),
            });
            let key = |what: &str| Some(Key::new("test", what, &size.to_string(), Fingerprint::none(), app.now()));
            let before = state.db.stats();
            let request = serde_json::from_value(cart).unwrap();
            let key_of = |what: &str| key(&format!("{what}{}", counts.len()));
            let (cart, token) =
                carts::api::create_for(&state, guest(None), channel, request, key_of("cart")).await.unwrap();
            let between = state.db.stats();
            let request = serde_json::from_value(json!({"payment": {"method": "sandbox"}})).unwrap();
            let actor = guest(Some(token));
            let reply =
                checkout::complete_for(&state, (actor, None), channel, cart, request, key_of("order")).await.unwrap();
            assert_eq!(reply.status(), 201);
            let after = state.db.stats();
            let prepared = (between.prepared - before.prepared, after.prepared - between.prepared);
            counts.push((between.statements - before.statements, after.statements - between.statements, prepared));
        }
        println!("statements of making a cart, of completing it, and prepares: {counts:?}");
        let pinned = (5, 21, (0, 0));
        assert_eq!(counts[2..], [pinned, pinned]);
    });
}

#[test]
fn what_is_not_shipped_is_captured_at_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        let voucher = json!({
            "sku": "VOUCHER", "name": "A voucher", "tax_class": "standard", "requires_shipping": false, "stock_policy": "untracked"
        });
        app.ops("POST", "/variants", Some(&voucher)).await.expect(201);
        shop.set_price("VOUCHER", "50.00").await;
        let body = json!({"lines": [{"sku": "VOUCHER", "quantity": 1}], "email": "ada@example.org"});
        let cart = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
        assert_eq!(cart["problems"], json!([]));
        let pay = json!({"payment": {"method": "sandbox"}});
        let path = format!("/carts/{}/complete", cart["id"].as_str().unwrap());
        let order = shop.store("POST", &path, cart["token"].as_str(), Some(&pay)).await.expect(201);
        assert_eq!(order["order"]["fulfilment_state"], "not_required");
        let number = order["order"]["number"].as_str().unwrap().to_owned();
        eventually("the money was taken", || {
            let (app, path) = (app.clone(), format!("/orders/{number}"));
            async move { app.ops("GET", &path, None).await.expect(200)["state"] == "completed" }
        })
        .await;
    });
}

/// The key by which the sandbox knows the one open payment.
async fn payment_key(shop: &Shop) -> String {
    let found = shop
        .app
        .read(|tx| kontor::db::sql("SELECT our_key FROM payments").first::<diesel::sql_types::Text, String>(tx));
    found.await.unwrap()
}

#[test]
fn a_cart_with_a_foreign_name_is_one_order_for_everybody_who_completes_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        for round in 0..4 {
            let cart = json!({
                "channel_id": shop.channel, "lines": [{"sku": "TEE", "quantity": 1}], "email": "ada@example.org",
                "shipping_address": address(), "shipping_method": "standard",
                "reference": {"system": "old", "value": format!("J-{round}")},
            });
            let cart = app.ops("POST", "/carts", Some(&cart)).await.expect(201);
            let path = format!("/carts/{}/complete", cart["id"].as_str().unwrap());
            let pay = json!({"payment": {"method": "manual"}});
            let answers = join_all((0..6).map(|_| app.ops("POST", &path, Some(&pay)))).await;
            let ids: Vec<Value> = answers.into_iter().map(|answer| answer.expect(201)["order"]["id"].clone()).collect();
            assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        }
    });
}
