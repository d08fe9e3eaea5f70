//! What became of judged orders, as it shows by itself: disputes that are won or lost, orders that are cancelled while they are held for risk.

use serde_json::{Value, json};

use crate::{
    fulfilment_moves::Of,
    support::{App, Shop, eventually, on_both},
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn judged(app: &App, hold_at: i64) -> Shop {
    let shop = Shop::open(app, &[("TEE", "10.00", 200)]).await;
    let rule = json!({"name": "any", "kind": "value", "weight": 10, "amount": {"amount": "1.00", "currency": "EUR"}});
    let rules = json!({"rules": [rule], "hold_at": hold_at});
    app.ops("PUT", &format!("/risk/profiles/{}", shop.channel), Some(&rules)).await.expect(200);
    shop
}

async fn risk(app: &App, order: &str) -> (Value, Value) {
    let found = app.ops("GET", &format!("/orders/{order}/risk"), None).await.expect(200);
    (found["outcome"].clone(), found["judged_by"].clone())
}

/// An order that has left, is paid, and is disputed: it, and its dispute.
async fn disputed(shop: &Shop, reference: &str) -> (String, String) {
    let (app, order) = (&shop.app, Of::new(shop, &[("TEE", 1)]).await);
    order.ship_all().await;
    eventually("it is captured", || async { order.document().await["payment_state"] == "captured" }).await;
    let payment = text(&order.document().await["payments"][0]["id"]);
    let body = json!({"reference": reference, "reason": "fraudulent"});
    let made = app.ops("POST", &format!("/payments/{payment}/disputes"), Some(&body)).await.expect(201);
    (order.order.clone(), text(&made["id"]))
}

async fn close(app: &App, dispute: &str, how: &str) {
    app.ops("POST", &format!("/disputes/{dispute}/close"), Some(&json!({"outcome": how}))).await.expect(200);
}

#[test]
fn disputes_say_what_became_of_their_orders_once() {
    on_both(|app| async move {
        let shop = judged(&app, 1_000).await;
        let (lost, dispute) = disputed(&shop, "dp_1").await;
        assert_eq!(risk(&app, &lost).await.0, Value::Null);
        close(&app, &dispute, "lost").await;
        assert_eq!(risk(&app, &lost).await, (json!("loss"), json!("system:disputes")));
        let marks = "SELECT count(*) FROM risk_marks WHERE lost_at IS NOT NULL";
        let marked = app.count(marks).await;
        assert!(marked > 0);
        let (won, dispute) = disputed(&shop, "dp_2").await;
        close(&app, &dispute, "won").await;
        assert_eq!(risk(&app, &won).await, (json!("legitimate"), json!("system:disputes")));
        // What somebody has said to be bad stays theirs; that all was well does not.
        let say = async |order: &str, outcome: &str| {
            let body = json!({ "outcome": outcome });
            app.ops("POST", &format!("/orders/{order}/risk/outcome"), Some(&body)).await.expect(200);
        };
        let (third, dispute) = disputed(&shop, "dp_3").await;
        say(&third, "fraud").await;
        close(&app, &dispute, "won").await;
        let (outcome, by) = risk(&app, &third).await;
        assert!(outcome == "fraud" && by != "system:disputes", "{by}");
        let (fourth, dispute) = disputed(&shop, "dp_4").await;
        say(&fourth, "legitimate").await;
        close(&app, &dispute, "lost").await;
        assert_eq!(risk(&app, &fourth).await.0, "loss");
        let report = app.ops("GET", "/risk/report", None).await.expect(200);
        assert!(report.to_string().contains("any"), "{report}");
    });
}

#[test]
fn who_cancels_what_is_held_for_risk_says_that_it_is_a_fraud() {
    on_both(|app| async move {
        let shop = judged(&app, 5).await;
        let (held, released, part) = (
            Of::new(&shop, &[("TEE", 2)]).await,
            Of::new(&shop, &[("TEE", 1)]).await,
            Of::new(&shop, &[("TEE", 2)]).await,
        );
        let cancel = json!({"reason": "a stolen card"});
        app.ops("POST", &format!("/orders/{}/cancel", held.order), Some(&cancel)).await.expect(200);
        assert_eq!(risk(&app, &held.order).await, (json!("fraud"), json!("system:cancelled")));
        // Some of it is not all of it.
        let some = json!({"reason": "less", "lines": [{"line_no": 1, "quantity": 1}]});
        app.ops("POST", &format!("/orders/{}/cancel", part.order), Some(&some)).await.expect(200);
        assert_eq!(risk(&app, &part.order).await.0, Value::Null);
        // Released first: nothing was wrong, and a cancellation says no more than that.
        let well = json!({"kind": "risk", "reason": "known"});
        app.ops("POST", &format!("/orders/{}/release", released.order), Some(&well)).await.expect(200);
        app.ops("POST", &format!("/orders/{}/cancel", released.order), Some(&cancel)).await.expect(200);
        assert_eq!(risk(&app, &released.order).await.0, "legitimate");
    });
}
