//! Promises that end while goods are still to leave: a new one is asked for before, once; refused, the order is held.

use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn read(app: &App, order: &str) -> Value {
    app.ops("GET", &format!("/orders/{order}"), None).await.expect(200)
}

async fn ship(app: &App, order: &str) -> crate::support::Answer {
    let work = app.ops("GET", &format!("/orders/{order}/fulfilment"), None).await.expect(200);
    let path = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
    app.ops("POST", &path, Some(&json!({}))).await
}

#[test]
fn a_promise_is_given_anew_before_it_ends_and_the_old_one_is_let_go() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 500)]).await;
        let cart = shop.cart(&[("MUG", 2)]).await;
        let order = text(&shop.complete(&cart, "expires:36000").await.expect(201)["order"]["id"]);
        let seen = read(&app, &order).await;
        let old = text(&seen["payments"][0]["id"]);
        assert!(seen["payments"][0]["expires_at"].is_string(), "{seen}");
        app.clock.advance_seconds(17_000);
        assert_eq!(app.count("SELECT count(*) FROM payment_renewals").await, 0);
        app.clock.advance_seconds(1_500);
        let renewed = "SELECT count(*) FROM payment_renewals WHERE state = 'renewed'";
        eventually("the promise is given anew", async || app.count(renewed).await == 1).await;
        let voided = "SELECT count(*) FROM payments WHERE state = 'voided'";
        eventually("the old one is let go", async || app.count(voided).await == 1).await;
        let seen = read(&app, &order).await;
        let states: Vec<(bool, &Value)> =
            seen["payments"].as_array().unwrap().iter().map(|one| (one["id"] == json!(old), &one["state"])).collect();
        assert!(
            states.contains(&(true, &json!("voided"))) && states.contains(&(false, &json!("authorised"))),
            "{seen}"
        );
        // Behind the end of the first one goods leave, and are paid by the second.
        app.clock.advance_seconds(18_500);
        ship(&app, &order).await.expect(201);
        eventually("it is paid", async || read(&app, &order).await["payment_state"] == "captured").await;
    });
}

#[test]
fn a_promise_that_is_not_given_anew_holds_the_order() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 500)]).await;
        let cart = shop.cart(&[("MUG", 2)]).await;
        let order = text(&shop.complete(&cart, "expires_once:36000").await.expect(201)["order"]["id"]);
        app.clock.advance_seconds(18_500);
        let refused = "SELECT count(*) FROM payment_renewals WHERE state = 'refused'";
        eventually("the promise is refused", async || app.count(refused).await == 1).await;
        let list = app.ops("GET", "/worklists/failed_payments", None).await.expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
        // So long as the promise holds, goods may leave and be paid by it.
        assert!(read(&app, &order).await["holds"].is_null());
        app.clock.advance_seconds(10_000);
        let other = shop.cart(&[("MUG", 1)]).await;
        let other = text(&shop.complete(&other, "expires_once:10000").await.expect(201)["order"]["id"]);
        app.clock.advance_seconds(6_000);
        eventually("that is refused too", async || app.count(refused).await == 2).await;
        ship(&app, &other).await.expect(201);
        eventually("it is paid", async || read(&app, &other).await["payment_state"] == "captured").await;
        assert!(read(&app, &order).await["holds"].is_null());
        app.clock.advance_seconds(4_000);
        eventually("it is held", async || read(&app, &order).await["holds"][0]["kind"] == "payment").await;
        assert!(read(&app, &other).await["holds"].is_null());
        ship(&app, &order).await.problem(409, "state_conflict");
        // Money that comes another way ends it.
        let paid = json!({"reference": "BANK-1"});
        app.ops("POST", &format!("/orders/{order}/payments"), Some(&paid)).await.expect(200);
        assert!(read(&app, &order).await["holds"].is_null());
        ship(&app, &order).await.expect(201);
        eventually("it is shipped", async || read(&app, &order).await["fulfilment_state"] == "shipped").await;
    });
}

#[test]
fn goods_that_leave_after_the_end_are_paid_by_a_new_promise() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 500)]).await;
        let cart = shop.cart(&[("MUG", 2)]).await;
        let order = text(&shop.complete(&cart, "expires:10").await.expect(201)["order"]["id"]);
        app.clock.advance_seconds(3_600);
        // Whether the sweeper comes first or the parcel: nothing is captured of what has ended.
        let sent = ship(&app, &order).await;
        assert!(matches!(sent.status, 201 | 409), "{}", sent.text);
        eventually("there is a new promise", async || {
            app.count("SELECT count(*) FROM payment_renewals WHERE state = 'renewed'").await >= 1
        })
        .await;
        eventually("it is paid", async || read(&app, &order).await["payment_state"] == "captured").await;
        let captured = read(&app, &order).await;
        let sum: i64 = captured["payments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["captured"]["amount"].as_str().unwrap().replace('.', "").parse::<i64>().unwrap())
            .sum();
        assert_eq!(sum, 5490);
    });
}

#[test]
fn what_is_refused_for_now_is_asked_for_again_before_it_ends() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 500)]).await;
        let cart = shop.cart(&[("MUG", 2)]).await;
        let order = text(&shop.complete(&cart, "expires_later:36000").await.expect(201)["order"]["id"]);
        app.clock.advance_seconds(18_500);
        let for_now = "SELECT count(*) FROM payment_renewals WHERE state = 'dropped' AND tries = 1";
        eventually("it is refused for now", async || app.count(for_now).await == 1).await;
        // Nobody has to look yet.
        let list = app.ops("GET", "/worklists/failed_payments", None).await.expect(200);
        assert_eq!(list["items"], json!([]));
        assert_eq!(app.count("SELECT count(*) FROM events WHERE type = 'payment.renewal_refused.v1'").await, 0);
        app.clock.advance_seconds(9_000);
        let renewed = "SELECT count(*) FROM payment_renewals WHERE state = 'renewed' AND tries = 2";
        eventually("it is promised", async || app.count(renewed).await == 1).await;
        app.clock.advance_seconds(9_000);
        ship(&app, &order).await.expect(201);
        eventually("it is paid", async || read(&app, &order).await["payment_state"] == "captured").await;
        assert!(read(&app, &order).await["holds"].is_null());
    });
}
