//! Counts of what lies on the shelves: blind, again where they are far off, approved once.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    inbound::text,
    support::{App, Shop, on_both},
};

async fn count(app: &App, skus: &[&str]) -> String {
    let body = json!({"location": "berlin", "name": "Shelf A", "skus": skus, "tolerance": {"pieces": 1}});
    text(&app.ops("POST", "/stock-counts", Some(&body)).await.expect(201)["id"])
}

async fn results(app: &App, id: &str, lines: Value) -> crate::support::Answer {
    app.ops("POST", &format!("/stock-counts/{id}/results"), Some(&json!({ "lines": lines }))).await
}

async fn on_hand(app: &App, sku: &str) -> i64 {
    let levels = app.ops("GET", &format!("/stock/levels?sku={sku}"), None).await.expect(200);
    levels["items"][0]["on_hand"].as_i64().unwrap()
}

/// Sells pieces, and sends them off.
async fn ship(shop: &Shop, sku: &str, quantity: i64) {
    let order = shop.order(&[(sku, quantity)]).await;
    let work = shop.app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
    let path = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
    shop.app.ops("POST", &path, Some(&json!({}))).await.expect(201);
}

#[test]
fn what_was_said_otherwise_meanwhile_is_counted_again() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10), ("MUG", "9.90", 5)]).await;
        let [first, second] = [count(&app, &["TEE", "MUG"]).await, count(&app, &["TEE"]).await];
        for id in [&first, &second] {
            let lines = json!([{"sku": "TEE", "counted": 9}]);
            results(&app, id, lines).await.expect(200);
        }
        results(&app, &first, json!([{"sku": "MUG", "counted": 5}])).await.expect(200);
        ship(&shop, "TEE", 1).await;
        // Both found that the same piece is missing: it is booked once, whichever is approved first.
        let approve = async |id: &str| app.ops("POST", &format!("/stock-counts/{id}/approve"), None).await.expect(200);
        let (one, other) = tokio::join!(approve(&first), approve(&second));
        let mut states = [text(&one["state"]), text(&other["state"])];
        states.sort();
        assert_eq!((states, on_hand(&app, "TEE").await), (["approved".to_owned(), "counting".to_owned()], 8));
        let again = if one["state"] == "counting" { &first } else { &second };
        let read = app.ops("GET", &format!("/stock-counts/{again}"), None).await.expect(200);
        let recounts = |read: &Value| {
            let lines = read["lines"].as_array().unwrap().iter().filter(|line| line["recount"] == true);
            lines.map(|line| text(&line["sku"])).collect::<Vec<_>>()
        };
        assert_eq!(recounts(&read), ["TEE"]);
        results(&app, again, json!([{"sku": "TEE", "counted": 7}])).await.expect(200);
        // Somebody sets the level before that is approved.
        let set = json!({"lines": [{"sku": "TEE", "location": "berlin", "set_to": 7, "reason": "seen"}]});
        app.ops("POST", "/stock/adjustments", Some(&set)).await.expect(200);
        assert_eq!((approve(again).await["state"].clone(), on_hand(&app, "TEE").await), (json!("counting"), 7));
        results(&app, again, json!([{"sku": "TEE", "counted": 6}])).await.expect(200);
        assert_eq!((approve(again).await["state"].clone(), on_hand(&app, "TEE").await), (json!("approved"), 6));
    });
}

#[test]
fn what_moves_while_people_count_is_no_difference() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20), ("MUG", "9.90", 5)]).await;
        let id = count(&app, &["TEE", "MUG"]).await;
        let path = format!("/stock-counts/{id}");
        app.ops("POST", &format!("{path}/approve"), None).await.problem(409, "state_conflict");
        // Three are missing: too many to believe it at once, and nobody is told what was expected.
        let first =
            results(&app, &id, json!([{"sku": "TEE", "counted": 17}, {"sku": "MUG", "counted": 6}])).await.expect(200);
        assert_eq!((&first["state"], &first["lines"][1]["recount"]), (&json!("counting"), &json!(true)));
        assert_eq!((&first["lines"][1]["counted"], &first["lines"][0]["on_hand"]), (&Value::Null, &Value::Null));
        app.ops("POST", &format!("{path}/approve"), None).await.problem(409, "state_conflict");
        ship(&shop, "TEE", 2).await;
        let second = results(&app, &id, json!([{"sku": "TEE", "counted": 15}])).await.expect(200);
        assert_eq!((&second["state"], &second["lines"][1]["on_hand"]), (&json!("counted"), &json!(18)));
        // Four more are sold before it is approved: still three are missing.
        ship(&shop, "TEE", 4).await;
        let approve = format!("{path}/approve");
        let all = join_all((0..4).map(|_| app.ops("POST", &approve, None))).await;
        assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 1);
        assert!(all.iter().all(|answer| answer.status == 200 || answer.body["code"] == "state_conflict"));
        assert_eq!((on_hand(&app, "TEE").await, on_hand(&app, "MUG").await), (11, 6));
        let movements = app.ops("GET", "/stock/movements?sku=TEE", None).await.expect(200);
        let newest = &movements["items"][0];
        assert_eq!(
            (&newest["kind"], &newest["on_hand"], &newest["reference"]),
            (&json!("count"), &json!(-3), &json!(id))
        );
        results(&app, &id, json!([{"sku": "TEE", "counted": 1}])).await.problem(409, "state_conflict");
    });
}

#[test]
fn what_can_not_be_is_refused() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5), ("MUG", "9.90", 5)]).await;
        let id = count(&app, &["TEE"]).await;
        results(&app, &id, json!([{"sku": "MUG", "counted": 5}])).await.problem(422, "sku_unknown");
        let twice = json!([{"sku": "TEE", "counted": 5}, {"sku": "TEE", "counted": 4}]);
        results(&app, &id, twice).await.problem(409, "duplicate");
        let unknown = json!({"location": "berlin", "skus": ["NONE"]});
        app.ops("POST", "/stock-counts", Some(&unknown)).await.problem(422, "sku_unknown");
        for _ in 0..2 {
            results(&app, &id, json!([{"sku": "TEE", "counted": 1}])).await.expect(200);
        }
        // All but two are gone by now, and four were missing.
        ship(&shop, "TEE", 3).await;
        let refused =
            app.ops("POST", &format!("/stock-counts/{id}/approve"), None).await.problem(409, "stock_negative");
        assert_eq!(refused["on_hand"], 2);
        assert_eq!(on_hand(&app, "TEE").await, 2);
        results(&app, &id, json!([{"sku": "TEE", "counted": 2}])).await.expect(200);
        app.ops("POST", &format!("/stock-counts/{id}/approve"), None).await.expect(200);
        assert_eq!(on_hand(&app, "TEE").await, 2);
        let other = count(&app, &["MUG"]).await;
        app.ops("POST", &format!("/stock-counts/{other}/cancel"), None).await.expect(200);
        results(&app, &other, json!([{"sku": "MUG", "counted": 5}])).await.problem(409, "state_conflict");
        let listed = app.ops("GET", "/stock-counts?state=cancelled", None).await.expect(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    });
}
