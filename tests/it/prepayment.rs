//! Payments by hand: partial, too little by a tolerance, too much and kept; reminders once per step; cancelled when nobody pays, and never
//! when somebody does at that moment.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both};

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn shop(app: &App, terms: Value) -> Shop {
    let shop = Shop::open(app, &[("MUG", "25.00", 500)]).await;
    shop.set(json!({"prepayment": terms})).await;
    shop
}

/// An order of two mugs for 54.90 by prepayment.
async fn order(shop: &Shop) -> String {
    let cart = shop.cart(&[("MUG", 2)]).await;
    let pay = json!({"payment": {"method": "manual"}});
    let path = format!("/carts/{}/complete", cart.id);
    text(&shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201)["order"]["id"])
}

async fn receive(app: &App, order: &str, amount: &str, reference: &str) -> crate::support::Answer {
    let body = json!({"amount": eur(amount), "reference": reference});
    app.ops("POST", &format!("/orders/{order}/payments"), Some(&body)).await
}

async fn payments(app: &App, order: &str) -> Value {
    app.ops("GET", &format!("/orders/{order}/payments"), None).await.expect(200)
}

#[test]
fn a_part_is_told_what_remains_and_a_little_less_is_as_good_as_all() {
    on_both(|app| async move {
        let shop = shop(&app, json!({"tolerance": [eur("0.50")], "overpaid": "keep"})).await;
        let own = order(&shop).await;
        let seen = receive(&app, &own, "20.00", "B1").await.expect(200);
        assert_eq!(seen["payment_state"], "partially_captured");
        assert_eq!(payments(&app, &own).await["owed"], eur("34.90"));
        let seen = receive(&app, &own, "34.41", "B2").await.expect(200);
        assert_eq!(seen["payment_state"], "captured", "{seen}");
        let told = payments(&app, &own).await;
        assert_eq!((&told["owed"], &told["unapplied"]), (&eur("0.00"), &eur("0.00")));
        let off: Vec<&Value> = told["payments"].as_array().unwrap().iter().map(|one| &one["written_off"]).collect();
        assert!(off.contains(&&eur("0.49")), "{told}");
        // The rest comes after all: it pays the order, and only what is beyond it is too much.
        let late = join_all(["L1", "L2"].map(|reference| receive(&app, &own, "0.40", reference))).await;
        assert!(late.iter().all(|answer| answer.status == 200), "{}", late[0].text);
        let told = payments(&app, &own).await;
        assert_eq!((&told["owed"], &told["unapplied"]), (&eur("0.00"), &eur("0.31")));
        assert!(told["payments"].as_array().unwrap().iter().all(|one| one["written_off"].is_null()), "{told}");
        assert_eq!(app.ops("GET", &format!("/orders/{own}"), None).await.expect(200)["payment_state"], "captured");
        // A cent more is missing: it stays open.
        let own = order(&shop).await;
        let seen = receive(&app, &own, "54.39", "B3").await.expect(200);
        assert_eq!(seen["payment_state"], "partially_captured");
        // Given back later, no more than was taken.
        receive(&app, &own, "0.51", "B4").await.expect(200);
        app.ops("POST", &format!("/orders/{own}/cancel"), Some(&json!({"reason": "x"}))).await.expect(200);
    });
}

#[test]
fn what_is_still_to_be_paid_out_makes_what_is_owed_no_less() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 500)]).await;
        let own = order(&shop).await;
        receive(&app, &own, "20.00", "B1").await.expect(200);
        let goodwill = json!({"amount": eur("5.00"), "reason": "late"});
        app.ops("POST", &format!("/orders/{own}/refunds"), Some(&goodwill)).await.expect(202);
        assert_eq!(payments(&app, &own).await["owed"], eur("34.90"));
        let rest = json!({"reference": "B2"});
        app.ops("POST", &format!("/orders/{own}/payments"), Some(&rest)).await.expect(200);
        let told = payments(&app, &own).await;
        let captured =
            |one: &Value| one["captured"]["amount"].as_str().unwrap().replace('.', "").parse::<i64>().unwrap();
        assert_eq!(told["payments"].as_array().unwrap().iter().map(captured).sum::<i64>(), 5490, "{told}");
        let operations =
            told["payments"].as_array().unwrap().iter().flat_map(|one| one["operations"].as_array().unwrap());
        let out: Vec<String> = operations.filter(|one| one["kind"] == "refund").map(|one| text(&one["id"])).collect();
        for (place, one) in out.iter().enumerate() {
            let paid = json!({"reference": format!("OUT-{place}")});
            app.ops("POST", &format!("/payment-operations/{one}/confirm"), Some(&paid)).await.expect(200);
        }
        let told = payments(&app, &own).await;
        assert_eq!((out.len(), &told["owed"]), (1, &eur("0.00")), "{told}");
    });
}

#[test]
fn what_is_too_much_is_kept_until_somebody_says_where_it_goes() {
    on_both(|app| async move {
        let shop = shop(&app, json!({"overpaid": "keep"})).await;
        let own = order(&shop).await;
        receive(&app, &own, "60.00", "B1").await.expect(200);
        let told = payments(&app, &own).await;
        assert_eq!((&told["owed"], &told["unapplied"]), (&eur("0.00"), &eur("5.10")));
        let list = app.ops("GET", "/worklists/overpaid_orders", None).await.expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        let path = format!("/orders/{own}/overpayment/refund");
        let some = json!({"amount": eur("2.00"), "to": "gift_card", "reason": "paid too much"});
        let seen = app.ops("POST", &path, Some(&some)).await.expect(202);
        assert!(seen["gift_card"]["code"].is_string());
        let over = json!({"amount": eur("3.11"), "reason": "paid too much"});
        app.ops("POST", &path, Some(&over)).await.problem(409, "refund_exceeded");
        let rest = json!({"reason": "paid too much"});
        let both = join_all((0..4).map(|_| app.ops("POST", &path, Some(&rest)))).await;
        assert_eq!(both.iter().filter(|one| one.status == 202).count(), 1);
        let list = app.ops("GET", "/worklists/overpaid_orders", None).await.expect(200);
        assert!(list["items"].as_array().unwrap().is_empty());
        let to_pay = app.ops("GET", "/worklists/refunds_to_pay", None).await.expect(200);
        assert!(to_pay["items"][0]["subject"].as_str().unwrap().contains("3.10 EUR"), "{to_pay}");
        let id = text(&to_pay["items"][0]["id"]);
        app.ops("POST", &format!("/payment-operations/{id}/confirm"), Some(&json!({}))).await.expect(200);
    });
}

#[test]
fn each_step_is_told_once_and_an_order_that_nobody_pays_is_cancelled() {
    on_both(|app| async move {
        let shop = shop(&app, json!({"remind_after_days": [3, 7], "cancel_after_days": 10, "overpaid": "keep"})).await;
        let (own, other) = (order(&shop).await, order(&shop).await);
        receive(&app, &other, "54.90", "B1").await.expect(200);
        let before = shop.available("MUG").await;
        let told = "SELECT count(*) FROM events WHERE type = 'payment.reminder_due.v1'";
        for step in 1..3 {
            app.clock.advance_seconds(4 * 86_400);
            eventually("it is told", async || app.count(told).await == step).await;
        }
        app.clock.advance_seconds(3 * 86_400);
        let cancelled = "SELECT count(*) FROM orders WHERE state = 'cancelled'";
        eventually("it is cancelled", async || app.count(cancelled).await == 1).await;
        let seen = app.ops("GET", &format!("/orders/{own}"), None).await.expect(200);
        assert_eq!(seen["state"], "cancelled");
        assert_eq!(shop.available("MUG").await, before + 2);
        assert_eq!(app.count(told).await, 2);
        // Money that comes after all is kept, and somebody is told.
        receive(&app, &own, "54.90", "B2").await.expect(200);
        let list = app.ops("GET", "/worklists/overpaid_orders", None).await.expect(200);
        assert_eq!(list["items"][0]["id"], own);
    });
}

#[test]
fn a_payment_at_the_moment_of_the_cancellation_comes_before_it_or_is_kept() {
    on_both(|app| async move {
        let shop = shop(&app, json!({"cancel_after_days": 1, "overpaid": "keep"})).await;
        let mut orders = Vec::new();
        for _ in 0..6 {
            orders.push(order(&shop).await);
        }
        app.clock.advance_seconds(86_400 + 60);
        join_all(orders.iter().enumerate().map(|(turn, own)| {
            let (app, own) = (app.clone(), own.clone());
            async move { receive(&app, &own, "54.90", &format!("R{turn}")).await.expect(200) }
        }))
        .await;
        let left = "SELECT count(*) FROM payments WHERE due_at IS NOT NULL";
        eventually("all are looked at", async || app.count(left).await == 0).await;
        for own in &orders {
            let seen = app.ops("GET", &format!("/orders/{own}"), None).await.expect(200);
            let kept = payments(&app, own).await["unapplied"].clone();
            match seen["state"].as_str().unwrap() {
                "cancelled" => assert_eq!(kept, eur("54.90")),
                _ => assert_eq!((kept, &seen["payment_state"]), (eur("0.00"), &json!("captured"))),
            }
        }
    });
}
