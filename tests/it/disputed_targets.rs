//! What was to go onto store credit or a gift card while a bank had the money goes there once the dispute is won, once, and nowhere else.

use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both, shop::address};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

const CREDIT: &str = "SELECT CAST(coalesce(sum(balance), 0) AS BIGINT) FROM stored_values";
const BY_PROVIDER: &str = "SELECT CAST(coalesce(sum(refunded), 0) AS BIGINT) FROM sandbox_payments";

async fn moved(app: &App) {
    let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
    eventually("the money has moved", async || app.count(pending).await == 0).await;
}

/// A customer's order of two mugs for 54.90 that has left and is paid, all of it disputed: the order, the dispute.
async fn disputed(app: &App) -> (String, String) {
    let shop = Shop::open(app, &[("MUG", "25.00", 50)]).await;
    let customer = app.ops("POST", "/customers", Some(&json!({"name": "Joan", "email": "joan@example.org"}))).await;
    let cart = json!({"channel_id": shop.channel, "customer_id": customer.expect(201)["id"], "email": "joan@example.org",
        "lines": [{"sku": "MUG", "quantity": 2}], "shipping_method": "standard", "shipping_address": address()});
    let cart = app.ops("POST", "/carts", Some(&cart)).await.expect(201);
    let pay = json!({"payment": {"method": "sandbox"}});
    let made = app.ops("POST", &format!("/carts/{}/complete", text(&cart["id"])), Some(&pay)).await.expect(201);
    let (order, payment) = (text(&made["order"]["id"]), text(&made["order"]["payments"][0]["id"]));
    let work = app.ops("GET", &format!("/orders/{order}/fulfilment"), None).await.expect(200);
    let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
    app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
    moved(app).await;
    let what = json!({"reference": "dp_1", "reason": "fraudulent"});
    let dispute = app.ops("POST", &format!("/payments/{payment}/disputes"), Some(&what)).await.expect(201);
    (order, text(&dispute["id"]))
}

async fn close(app: &App, dispute: &str, outcome: &str) {
    app.ops("POST", &format!("/disputes/{dispute}/close"), Some(&json!({ "outcome": outcome }))).await.expect(200);
    moved(app).await;
}

/// One mug comes back, as store credit.
async fn one_back(app: &App, order: &str) -> Value {
    let back = json!({"order": order, "lines": [{"line_no": 1, "quantity": 1}], "refund": true,
        "refund_to": {"to": "store_credit"}});
    app.ops("POST", "/returns", Some(&back)).await.expect(201)
}

#[test]
fn what_waits_for_a_bank_goes_to_where_it_was_to_go_once() {
    on_both(|app| async move {
        let (order, dispute) = disputed(&app).await;
        let back = one_back(&app, &order).await;
        assert_eq!((&back["state"], app.count(CREDIT).await), (&json!("refund_pending"), 0));
        // Not while it is disputed, whoever asks again.
        app.ops("POST", &format!("/orders/{order}/settle"), None).await.expect(202);
        moved(&app).await;
        assert_eq!((app.count(CREDIT).await, app.count(BY_PROVIDER).await), (0, 0));
        close(&app, &dispute, "won").await;
        assert_eq!((app.count(CREDIT).await, app.count(BY_PROVIDER).await), (2_500, 0));
        app.ops("POST", &format!("/orders/{order}/settle"), None).await.expect(202);
        moved(&app).await;
        assert_eq!((app.count(CREDIT).await, app.count(BY_PROVIDER).await), (2_500, 0));
        let known = app.ops("GET", &format!("/returns/{}", text(&back["id"])), None).await.expect(200);
        assert_eq!((&known["state"], &known["store_credit"]), (&json!("refunded"), &eur("25.00")));
        // The next goes as ever.
        one_back(&app, &order).await;
        assert_eq!((app.count(CREDIT).await, app.count(BY_PROVIDER).await), (5_000, 0));
    });
}

#[test]
fn what_is_lost_the_bank_has_given_back_and_nothing_waits() {
    on_both(|app| async move {
        let (order, dispute) = disputed(&app).await;
        one_back(&app, &order).await;
        close(&app, &dispute, "lost").await;
        assert_eq!((app.count(CREDIT).await, app.count(BY_PROVIDER).await), (0, 0));
        assert_eq!(app.count("SELECT count(*) FROM awaited_refunds WHERE given < amount").await, 0);
        app.ops("POST", &format!("/orders/{order}/settle"), None).await.expect(202);
        moved(&app).await;
        assert_eq!((app.count(CREDIT).await, app.count(BY_PROVIDER).await), (0, 0));
    });
}
