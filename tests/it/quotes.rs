//! Quotes: asked for from a cart, offered in rounds, accepted once however often that is sent; the order has the prices that were offered.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    credit::{Trade, eur},
    support::{Answer, App, eventually, on_both, shop::address},
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn open(app: &App) -> Trade {
    let trade = Trade::open(app, &[("DESK", "95.10", 20), ("PEN", "1.00", 100)]).await;
    trade.limit("5000.00", "decline").await;
    trade
}

async fn asked(trade: &Trade) -> String {
    let body = json!({"lines": [{"sku": "DESK", "quantity": 2}, {"sku": "PEN", "quantity": 10}], "email": "ada@example.org",
        "shipping_address": address(), "shipping_method": "standard"});
    let cart = text(&trade.as_("ada", "POST", "/carts", Some(&body)).await.expect(201)["id"]);
    let said = json!({"message": "for the new office"});
    let quote = trade.as_("ada", "POST", &format!("/carts/{cart}/quote-requests"), Some(&said)).await.expect(201);
    assert_eq!((&quote["state"], &quote["lines"][0]["list_price"]), (&json!("requested"), &eur("95.10")));
    text(&quote["id"])
}

async fn offer(app: &App, quote: &str, prices: &[(i32, &str)]) -> Answer {
    let line = |(line_no, price): &(i32, &str)| json!({"line_no": line_no, "unit_price": eur(price)});
    let lines: Vec<Value> = prices.iter().map(line).collect();
    let until = app.now().plus_seconds(7 * 86_400);
    let body = json!({"lines": lines, "valid_until": until, "terms": "kerbside", "message": "as discussed"});
    app.ops("POST", &format!("/quotes/{quote}/offer"), Some(&body)).await
}

async fn say(trade: &Trade, quote: &str, what: &str) -> Answer {
    trade.as_("ada", "POST", &format!("/me/quotes/{quote}/{what}"), Some(&json!({"message": "hm"}))).await
}

async fn accept(trade: &Trade, quote: &str) -> Answer {
    let pay = json!({"payment": {"method": "on_account"}});
    trade.as_("ada", "POST", &format!("/me/quotes/{quote}/accept"), Some(&pay)).await
}

#[test]
fn a_quote_goes_to_and_fro_and_becomes_one_order_at_its_prices() {
    on_both(|app| async move {
        let trade = open(&app).await;
        let quote = asked(&trade).await;
        accept(&trade, &quote).await.problem(409, "state_conflict");
        offer(&app, &quote, &[(1, "90.00")]).await.problem(422, "invalid_value");
        offer(&app, &quote, &[(9, "90.00")]).await.problem(422, "line_unknown");
        let offered = offer(&app, &quote, &[(1, "90.00"), (2, "0.90")]).await.expect(200);
        assert_eq!((&offered["state"], &offered["lines"][1]["price"]), (&json!("offered"), &eur("0.90")));
        say(&trade, &quote, "withdraw").await.problem(409, "state_conflict");
        assert_eq!(say(&trade, &quote, "counter").await.expect(200)["state"], "requested");
        offer(&app, &quote, &[(1, "80.00")]).await.expect(200);
        // However many accept at once, there is one order, and all get it.
        let answers = join_all((0..6).map(|_| accept(&trade, &quote))).await;
        let orders: Vec<Value> = answers.into_iter().map(|answer| answer.expect(201)["order"].clone()).collect();
        assert!(orders.iter().all(|order| order["id"] == orders[0]["id"]));
        assert_eq!(orders[0]["total"], eur("173.90"));
        assert_eq!(orders[0]["lines"][0]["unit_price"], eur("80.00"));
        let steps = orders[0]["lines"][0]["explanation"].as_array().unwrap();
        assert!(steps.iter().any(|step| step["code"] == "quote"), "{steps:?}");
        assert_eq!(app.count("SELECT count(*) FROM orders").await, 1);
        let seen = trade.as_("ada", "GET", &format!("/me/quotes/{quote}"), None).await.expect(200);
        assert_eq!((&seen["state"], &seen["order_id"]), (&json!("ordered"), &orders[0]["id"]));
        let commands: Vec<String> =
            seen["rounds"].as_array().unwrap().iter().map(|one| text(&one["command"])).collect();
        assert_eq!(commands, ["request", "offer", "counter", "offer", "accept", "order"]);
        assert_eq!(trade.used().await, "173.90");
        trade.as_("bob", "GET", &format!("/me/quotes/{quote}"), None).await.problem(404, "not_found");
    });
}

#[test]
fn of_accepting_withdrawing_and_declining_at_once_one_wins() {
    on_both(|app| async move {
        let trade = open(&app).await;
        for _ in 0..3 {
            let quote = asked(&trade).await;
            offer(&app, &quote, &[(1, "90.00"), (2, "0.90")]).await.expect(200);
            let path = format!("/quotes/{quote}/withdraw");
            let back = json!({});
            let (accepted, withdrawn, declined) = futures::join!(
                accept(&trade, &quote),
                app.ops("POST", &path, Some(&back)),
                say(&trade, &quote, "decline")
            );
            let done = [accepted.status == 201, withdrawn.status == 200, declined.status == 200];
            assert_eq!(done.iter().filter(|done| **done).count(), 1, "{done:?}");
            let seen = app.ops("GET", &format!("/quotes/{quote}"), None).await.expect(200);
            let expected = ["ordered", "withdrawn", "declined"];
            let place = done.iter().position(|done| *done).unwrap();
            assert_eq!(seen["state"], expected[place]);
        }
    });
}

#[test]
fn an_offer_ends_with_its_time_and_a_payment_that_failed_is_tried_again() {
    on_both(|app| async move {
        let trade = open(&app).await;
        let late = asked(&trade).await;
        offer(&app, &late, &[(1, "90.00"), (2, "0.90")]).await.expect(200);
        let quote = asked(&trade).await;
        offer(&app, &quote, &[(1, "90.00"), (2, "0.90")]).await.expect(200);
        let pay = json!({"payment": {"method": "sandbox", "instrument": "decline"}});
        let path = format!("/me/quotes/{quote}/accept");
        let failed = trade.as_("ada", "POST", &path, Some(&pay)).await.expect(200);
        assert_eq!(failed["result"], "payment_failed");
        // Its cart is there, and what is in it nobody changes.
        let cart = text(&failed["cart_id"]);
        let lines = json!({"lines": [{"sku": "DESK", "quantity": 9}]});
        trade.as_("ada", "PATCH", &format!("/carts/{cart}"), Some(&lines)).await.problem(409, "state_conflict");
        say(&trade, &quote, "decline").await.problem(409, "state_conflict");
        accept(&trade, &quote).await.expect(201);
        // Nobody is asked to come back to a cart that is a quote's.
        let waits =
            "SELECT count(*) FROM carts JOIN quotes ON quotes.cart_id = carts.id WHERE carts.abandon_at IS NOT NULL";
        assert_eq!(app.count(waits).await, 0);
        // The other, accepted and not paid, ends too.
        trade.as_("ada", "POST", &format!("/me/quotes/{late}/accept"), Some(&pay)).await.expect(200);
        app.clock.advance_seconds(8 * 86_400);
        eventually("its time is over", || async {
            app.ops("GET", &format!("/quotes/{late}"), None).await.body["state"] == "expired"
        })
        .await;
        accept(&trade, &late).await.problem(409, "state_conflict");
        assert_eq!(app.count("SELECT count(*) FROM orders").await, 1);
        assert_eq!(trade.shop.available("DESK").await, 18);
    });
}

#[test]
fn a_quote_whose_payment_is_decided_later_knows_its_order_then() {
    on_both(|app| async move {
        let trade = open(&app).await;
        let quote = asked(&trade).await;
        offer(&app, &quote, &[(1, "90.00"), (2, "0.90")]).await.expect(200);
        let pay = json!({"payment": {"method": "sandbox", "instrument": "redirect", "return_url": "https://shop.example/back"}});
        let path = format!("/me/quotes/{quote}/accept");
        trade.as_("ada", "POST", &path, Some(&pay)).await.expect(202);
        let waiting = app.ops("GET", &format!("/quotes/{quote}"), None).await.expect(200);
        assert_eq!(waiting["state"], "accepted");
        let cart = text(&waiting["cart_id"]);
        let key = app
            .read(move |tx| {
                let cart = cart.parse().map_err(kontor::error::Error::internal)?;
                Ok(kontor::payments::of_cart(tx, cart)?.remove(0).our_key)
            })
            .await;
        app.ops("POST", &format!("/sandbox/payments/{key}/approve"), None).await.expect(202);
        eventually("it is ordered", || async {
            app.clock.advance_seconds(10);
            app.ops("GET", &format!("/quotes/{quote}"), None).await.body["state"] == "ordered"
        })
        .await;
        assert_eq!(app.count("SELECT count(*) FROM orders").await, 1);
    });
}

/// The company's people in a second channel of the same shop.
async fn elsewhere(app: &App, trade: &Trade) -> Trade {
    let entity = app.ops("GET", "/legal-entities", None).await.expect(200)["items"][0]["id"].clone();
    let channel = json!({"code": "at", "name": "Acme AT", "legal_entity_id": entity, "settings": {
        "currencies": ["EUR"], "locales": ["de-AT"], "countries": ["DE", "AT"], "time_zone": "Europe/Vienna",
        "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"},
        "payment_methods": ["manual", "sandbox", "on_account"]}});
    let channel = app.ops("POST", "/channels", Some(&channel)).await.expect(201);
    let method = json!({"channel_id": channel["id"], "code": "standard", "name": "Parcel", "tax_class": "standard",
        "rates": [{"countries": ["DE", "AT"], "price": eur("4.90")}]});
    app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
    let (id, key) = (text(&channel["id"]), text(&channel["publishable_keys"][0]));
    Trade { shop: crate::support::Shop { channel: id, key, ..trade.shop.clone() }, ..trade.clone() }
}

#[test]
fn a_quote_is_told_and_accepted_in_its_own_channel_only() {
    on_both(|app| async move {
        let trade = open(&app).await;
        let other = elsewhere(&app, &trade).await;
        let quote = asked(&trade).await;
        offer(&app, &quote, &[(1, "90.00"), (2, "0.90")]).await.expect(200);
        accept(&other, &quote).await.problem(404, "not_found");
        say(&other, &quote, "decline").await.problem(404, "not_found");
        other.as_("ada", "GET", &format!("/me/quotes/{quote}"), None).await.problem(404, "not_found");
        let list = other.as_("ada", "GET", "/me/quotes", None).await.expect(200);
        assert_eq!(list["items"], json!([]));
        let list = trade.as_("ada", "GET", "/me/quotes", None).await.expect(200);
        assert_eq!(list["items"][0]["id"], json!(quote));
        let order = accept(&trade, &quote).await.expect(201)["order"].clone();
        assert_eq!(order["channel_id"], trade.shop.channel);
    });
}

#[test]
fn so_many_rounds_end_the_haggling_and_not_the_quote() {
    on_both(|app| async move {
        let trade = open(&app).await;
        let quote = asked(&trade).await;
        for _ in 1..50 {
            offer(&app, &quote, &[(1, "90.00"), (2, "0.90")]).await.expect(200);
        }
        offer(&app, &quote, &[(1, "80.00")]).await.problem(409, "state_conflict");
        say(&trade, &quote, "counter").await.problem(409, "state_conflict");
        accept(&trade, &quote).await.expect(201);
        let seen = app.ops("GET", &format!("/quotes/{quote}"), None).await.expect(200);
        assert_eq!(seen["state"], "ordered");
    });
}

/// Rules of risk look at the connection of whoever accepts, as at a checkout.
#[test]
fn whoever_accepts_is_judged_by_where_they_come_from() {
    on_both(|app| async move {
        let trade = open(&app).await;
        let rule = json!({"name": "network", "kind": "velocity", "weight": 10, "of": "network", "minutes": 30, "more_than": 0});
        let rules = json!({"rules": [rule], "hold_at": 1000});
        app.ops("PUT", &format!("/risk/profiles/{}", trade.shop.channel), Some(&rules)).await.expect(200);
        let quote = asked(&trade).await;
        offer(&app, &quote, &[(1, "90.00"), (2, "0.90")]).await.expect(200);
        let made_up = json!({"payment": {"method": "on_account"}, "risk": {"client_address": "203.0.113.9"}});
        let path = format!("/me/quotes/{quote}/accept");
        let told = trade.as_("ada", "POST", &path, Some(&made_up)).await.problem(422, "invalid_value");
        assert_eq!(told["pointer"], "/risk/client_address");
        accept(&trade, &quote).await.expect(201);
        let found = app.ops("GET", "/risk/assessments?limit=1", None).await.expect(200)["items"][0].clone();
        assert!(found["facts"]["known"].to_string().contains("network"), "{found}");
    });
}
