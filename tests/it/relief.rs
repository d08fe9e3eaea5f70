//! Locations that are switched off or have more to do today than they can take: what is not picked is shipped from elsewhere.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

async fn place(app: &App, code: &str, more: Value, goods: &[(&str, i64)]) -> String {
    let mut place = json!({"code": code, "name": code, "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
    place.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let place = app.ops("POST", "/locations", Some(&place)).await.expect(201);
    for (sku, change) in goods {
        let line = json!({"sku": sku, "location": code, "change": change, "reason": "counted"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
    }
    text(&place["id"])
}

async fn berlin(app: &App) -> String {
    let found = app.ops("GET", "/locations", None).await.expect(200);
    text(&found["items"].as_array().unwrap().iter().find(|one| one["code"] == "berlin").unwrap()["id"])
}

async fn change(app: &App, location: &str, body: Value) {
    app.ops("PATCH", &format!("/locations/{location}"), Some(&body)).await.expect(200);
}

async fn work(app: &App, order: &Value) -> Vec<Value> {
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    let found = app.ops("GET", &path, None).await.expect(200);
    found["fulfilment_orders"].as_array().unwrap().iter().filter(|one| one["state"] != "cancelled").cloned().collect()
}

/// How many of these fulfilment orders are at a location.
async fn at(app: &App, orders: &[Value], location: &str) -> usize {
    let mut count = 0;
    for order in orders {
        count += work(app, order).await.iter().filter(|one| one["location_id"] == location).count();
    }
    count
}

async fn reviewed(app: &App) {
    eventually("everything was looked at", || async {
        let jobs = app.ops("GET", "/jobs", None).await.expect(200);
        !jobs["items"].as_array().unwrap().iter().any(|job| job["kind"] == "promises.review")
    })
    .await;
}

#[test]
fn what_a_location_can_not_do_today_is_done_elsewhere() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let berlin = berlin(&app).await;
        let bremen = place(&app, "bremen", json!({"orders_per_day": 1}), &[("TEE", 9)]).await;
        let hamburg = place(&app, "hamburg", json!({"priority": 300}), &[("TEE", 9)]).await;
        let mut orders = Vec::new();
        for _ in 0..5 {
            orders.push(shop.order(&[("TEE", 1)]).await);
        }
        assert_eq!(at(&app, &orders, &berlin).await, 5);
        // The first is urgent, the second is picked.
        let first = text(&work(&app, &orders[0]).await[0]["id"]);
        let urgent = json!({"priority": 5});
        app.ops("POST", &format!("/fulfilment-orders/{first}/reschedule"), Some(&urgent)).await.expect(200);
        let second = text(&work(&app, &orders[1]).await[0]["id"]);
        app.ops("POST", &format!("/fulfilment-orders/{second}/pick"), Some(&json!({}))).await.expect(200);
        change(&app, &berlin, json!({"orders_per_day": 2})).await;
        app.clock.advance_seconds(61);
        eventually("three are done elsewhere", || async { at(&app, &orders, &berlin).await == 2 }).await;
        reviewed(&app).await;
        assert_eq!(at(&app, &orders[..2], &berlin).await, 2, "what is urgent and what is picked stays");
        assert_eq!(
            (at(&app, &orders, &bremen).await, at(&app, &orders, &hamburg).await),
            (1, 2),
            "nobody is given too much"
        );
        // The next turn moves nothing.
        app.clock.advance_seconds(61);
        let last = shop.order(&[("TEE", 1)]).await;
        app.clock.advance_seconds(61);
        eventually("the next is done elsewhere too", || async {
            work(&app, &last).await.iter().all(|one| one["location_id"] != berlin.as_str())
        })
        .await;
        reviewed(&app).await;
        assert_eq!(at(&app, &orders, &berlin).await, 2);
    });
}

#[test]
fn what_a_location_had_to_do_that_is_switched_off_is_done_elsewhere() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20), ("MUG", "9.90", 5)]).await;
        let berlin = berlin(&app).await;
        let bremen = place(&app, "bremen", json!({}), &[("TEE", 2)]).await;
        let mut orders = Vec::new();
        for _ in 0..3 {
            orders.push(shop.order(&[("TEE", 1)]).await);
        }
        let mug = shop.order(&[("MUG", 1)]).await;
        let picked = text(&work(&app, &orders[0]).await[0]["id"]);
        app.ops("POST", &format!("/fulfilment-orders/{picked}/pick"), Some(&json!({}))).await.expect(200);
        change(&app, &berlin, json!({"active": false})).await;
        // While some are shipped.
        let nothing = json!({});
        let path = format!("/fulfilment-orders/{}/ship", text(&work(&app, &orders[1]).await[0]["id"]));
        app.clock.advance_seconds(61);
        let shipped = app.ops("POST", &path, Some(&nothing)).await.status == 201;
        let moved = if shipped { 1 } else { 2 };
        eventually("it is done elsewhere", || async { at(&app, &orders, &bremen).await == moved }).await;
        assert_eq!(work(&app, &orders[0]).await[0]["location_id"], berlin.as_str(), "what is picked stays");
        // What lies nowhere else waits.
        eventually("it is held", || async { work(&app, &mug).await[0]["holds"][0]["kind"] == "stock" }).await;
        reviewed(&app).await;
        let version = work(&app, &mug).await[0]["version"].clone();
        app.clock.advance_seconds(61);
        reviewed(&app).await;
        assert_eq!(work(&app, &mug).await[0]["version"], version, "and is left alone");
        let sourcing = app.ops("GET", &format!("/orders/{}/sourcing", text(&orders[2]["id"])), None).await;
        assert!(sourcing.status == 200 || sourcing.status == 404, "{}", sourcing.text);
    });
}

#[test]
fn what_is_picked_while_it_is_moved_is_either() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let berlin = berlin(&app).await;
        let bremen = place(&app, "bremen", json!({}), &[("TEE", 20)]).await;
        let orders = join_all((0..8).map(|_| shop.order(&[("TEE", 1)]))).await;
        let mut paths = Vec::new();
        for order in &orders {
            paths.push(format!("/fulfilment-orders/{}/pick", text(&work(&app, order).await[0]["id"])));
        }
        change(&app, &berlin, json!({"orders_per_day": 0})).await;
        app.clock.advance_seconds(61);
        let nothing = json!({});
        let picked = join_all(paths.iter().map(|path| app.ops("POST", path, Some(&nothing)))).await;
        let picked = picked.iter().filter(|answer| answer.status == 200).count();
        eventually("the rest is done elsewhere", || async { at(&app, &orders, &bremen).await == 8 - picked }).await;
        reviewed(&app).await;
        assert_eq!(at(&app, &orders, &berlin).await, picked);
    });
}
