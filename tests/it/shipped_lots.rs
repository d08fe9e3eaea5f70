//! Of which lots a shipment is, as whoever ships it says.

use serde_json::{Value, json};

use crate::{
    inbound::text,
    support::{App, Shop, on_both},
};

/// Says that pieces which lie in Berlin are of a lot that keeps so many days.
async fn lot(app: &App, number: &str, days: i64, pieces: i64) {
    let ends = app.now().plus_seconds(86_400 * days);
    let line = json!({"sku": "TEE", "location": "berlin", "lot": number, "expires_at": ends, "quantity": pieces});
    let answer = app.ops("POST", "/lots", Some(&json!({"lines": [line]}))).await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
}

/// How many lie there of each lot, by number.
async fn lies(app: &App) -> Vec<(String, i64)> {
    let lots = app.ops("GET", "/lots?sku=TEE", None).await.expect(200);
    let one = |one: &Value| (text(&one["number"]), one["quantity"].as_i64().unwrap());
    let mut lies: Vec<(String, i64)> = lots["items"].as_array().unwrap().iter().map(one).collect();
    lies.sort();
    lies
}

#[test]
fn what_is_said_to_be_of_a_lot_is_of_it_and_of_no_other() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        lot(&app, "FIRST", 10, 4).await;
        lot(&app, "LAST", 100, 3).await;
        let order = shop.order(&[("TEE", 4)]).await;
        let found = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
        let path = format!("/fulfilment-orders/{}/ship", text(&found["fulfilment_orders"][0]["id"]));
        let ship = |line: i64, lot: &str, quantity: i64| json!({"lots": [{"line_no": line, "lot": lot, "quantity": quantity}]});
        for (body, code, pointer) in [
            (ship(1, "NONE", 1), "not_found", "/lots/0/lot"),
            (ship(2, "LAST", 1), "line_unknown", "/lots/0/line_no"),
            (ship(1, "LAST", 5), "quantity_exceeded", "/lots/0/quantity"),
            (ship(1, "LAST", 4), "stock_negative", "/lots/0/quantity"),
        ] {
            let answer = app.ops("POST", &path, Some(&body)).await;
            let problem: Value = serde_json::from_str(&answer.text).unwrap();
            assert_eq!((&problem["code"], &problem["pointer"]), (&json!(code), &json!(pointer)), "{}", answer.text);
        }
        assert_eq!(lies(&app).await, [("FIRST".to_owned(), 4), ("LAST".to_owned(), 3)]);
        // Three of the last, and the fourth as it should be.
        app.ops("POST", &path, Some(&ship(1, "LAST", 3))).await.expect(201);
        let left: Vec<(String, i64)> = lies(&app).await.into_iter().filter(|(_, pieces)| *pieces > 0).collect();
        assert_eq!(left, [("FIRST".to_owned(), 3)]);
    });
}
