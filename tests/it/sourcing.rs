//! A location that was chosen carries the trace that led to it: from the reservation to the fulfilment order.

use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

/// A second location, asked after the shop's own.
async fn bremen(app: &App, goods: &[(&str, i64)]) -> String {
    let place =
        json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
    let place = app.ops("POST", "/locations", Some(&place)).await.expect(201);
    for (sku, change) in goods {
        let line = json!({"sku": sku, "location": "bremen", "change": change, "reason": "test"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
    }
    text(&place["id"])
}

/// Orders by invoice, where nothing is reserved before the order is placed.
async fn by_invoice(shop: &Shop, lines: &[(&str, i64)]) -> Value {
    let cart = shop.cart(lines).await;
    let (pay, path) = (json!({"payment": {"method": "manual"}}), format!("/carts/{}/complete", cart.id));
    shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201)["order"].clone()
}

async fn fulfilment(app: &App, order: &Value) -> Value {
    app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200)
}

/// Line, location, available, given, why: in order.
fn told(fulfilment: &Value) -> Vec<(i64, String, i64, i64, String)> {
    let line = |trace: &Value| {
        let no = trace["line_no"].as_i64().unwrap();
        let one = move |one: &Value| {
            let count = |name: &str| one[name].as_i64().unwrap();
            (no, text(&one["location"]), count("available"), count("given"), text(&one["why"]))
        };
        trace["looked_at"].as_array().unwrap().iter().map(one).collect::<Vec<_>>()
    };
    fulfilment["sourcing"].as_array().into_iter().flatten().flat_map(line).collect()
}

fn row(line: i64, location: &str, available: i64, given: i64, why: &str) -> (i64, String, i64, i64, String) {
    (line, location.to_owned(), available, given, why.to_owned())
}

#[test]
fn why_a_location_ships_an_order_is_told_with_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10), ("MUG", "9.90", 1)]).await;
        let far = bremen(&app, &[("TEE", 20), ("MUG", 2)]).await;
        // The first location that is asked has everything: there is nothing to tell.
        assert_eq!(told(&fulfilment(&app, &shop.order(&[("TEE", 1)]).await).await), []);
        // It lacks a mug; reserved for the payment and then consumed, or allocated at once, the trace is the same.
        let whole = |tees: i64| {
            [
                row(1, "berlin", tees, 0, "lacks_others"),
                row(1, "bremen", 20, 1, "whole_order"),
                row(2, "berlin", 1, 0, "lacks_line"),
                row(2, "bremen", 2, 2, "whole_order"),
            ]
        };
        let paid = shop.order(&[("TEE", 1), ("MUG", 2)]).await;
        let found = fulfilment(&app, &paid).await;
        assert_eq!(told(&found), whole(9));
        assert_eq!(found["sourcing"][0]["looked_at"][1]["location_id"], far);
        let line = json!({"sku": "MUG", "location": "bremen", "change": 2, "reason": "test"});
        let tee = json!({"sku": "TEE", "location": "bremen", "change": 1, "reason": "test"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line, tee]}))).await.expect(200);
        let billed = by_invoice(&shop, &[("TEE", 1), ("MUG", 2)]).await;
        let found = fulfilment(&app, &billed).await;
        assert_eq!(told(&found), whole(9));
        let path = format!("/fulfilment-orders/{}", text(&found["fulfilment_orders"][0]["id"]));
        let read = app.ops("GET", &path, None).await.expect(200);
        assert_eq!(told(&read), whole(9));
        // What systems are told of the work does not hold what lies elsewhere.
        let path = format!("/orders/{}/timeline", text(&billed["id"]));
        let timeline = || async { app.ops("GET", &path, None).await.expect(200) };
        // Events get their places after they were committed.
        eventually("the timeline has the work", || async {
            let timeline = timeline().await;
            let mut items = timeline["items"].as_array().unwrap().iter();
            items.any(|event| event["type"] == "fulfilment_order.opened.v1" && event["data"]["id"].is_string())
        })
        .await;
        assert!(!timeline().await.to_string().contains("looked_at"));
    });
}

#[test]
fn what_is_divided_or_still_to_come_tells_what_there_was() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 2), ("MUG", "9.90", 5)]).await;
        let far = bremen(&app, &[("TEE", 3)]).await;
        let parts = [row(1, "berlin", 2, 2, "part"), row(1, "bremen", 3, 2, "part")];
        let divided = shop.order(&[("TEE", 4)]).await;
        let found = fulfilment(&app, &divided).await;
        assert_eq!(told(&found), parts);
        assert_eq!(found["fulfilment_orders"].as_array().unwrap().len(), 2);
        // Who is limited to one of them sees what concerns that one.
        let mut claims = app.claims(Audience::Staff, "eve", Scope::FulfilmentRead.as_str());
        claims.locations = Some(vec![far.parse().unwrap()]);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let path = format!("/v1/ops/orders/{}/fulfilment", text(&divided["id"]));
        let seen = app.send("GET", &path, &[("Authorization", &token)], None).await.expect(200);
        assert_eq!(told(&seen), parts[1..]);
        let path = format!("/v1/ops/fulfilment-orders/{}", text(&seen["fulfilment_orders"][0]["id"]));
        assert_eq!(told(&app.send("GET", &path, &[("Authorization", &token)], None).await.expect(200)), parts[1..]);
        // A backorder is told of even where it says where the line goes only.
        let variants = app.ops("GET", "/variants?sku=MUG", None).await.expect(200);
        let path = format!("/variants/{}", text(&variants["items"][0]["id"]));
        app.ops("PATCH", &path, Some(&json!({"backorder_policy": "allow"}))).await.expect(200);
        let late = by_invoice(&shop, &[("MUG", 7)]).await;
        assert_eq!(
            told(&fulfilment(&app, &late).await),
            [row(1, "berlin", 5, 7, "backordered"), row(1, "bremen", 0, 0, "not_needed")]
        );
    });
}
