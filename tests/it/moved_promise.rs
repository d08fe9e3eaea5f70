//! Promises of goods that are still to come: made from the day on which they are expected, and moved when that changes.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    inbound::{receive, text},
    support::{App, Cart, Shop, eventually, on_both},
};

pub fn promise(ships_by: &str, earliest: &str, latest: &str) -> Value {
    json!({"ships_by": ships_by, "earliest": earliest, "latest": latest})
}

/// A shop whose parcels take a day or two, whose tees may be sold before they are there.
pub async fn open(app: &App) -> Shop {
    let shop = Shop::open(app, &[("TEE", "19.90", 0), ("MUG", "9.90", 5)]).await;
    let methods = app.ops("GET", "/shipping-methods", None).await.expect(200);
    let path = format!("/shipping-methods/{}", text(&methods["items"][0]["id"]));
    app.ops("PATCH", &path, Some(&json!({"delivery_days": {"min": 1, "max": 2}}))).await.expect(200);
    let found = app.ops("GET", "/variants?sku=TEE", None).await.expect(200);
    let path = format!("/variants/{}", text(&found["items"][0]["id"]));
    app.ops("PATCH", &path, Some(&json!({"backorder_policy": "allow"}))).await.expect(200);
    shop
}

/// Announces tees for a day of March. Today is Monday the 2nd.
pub async fn announce(app: &App, day: u32, pieces: i64) -> String {
    let body = json!({"location": "berlin", "expected_at": format!("2026-03-{day:02}T09:00:00Z"),
        "lines": [{"sku": "TEE", "quantity": pieces}]});
    text(&app.ops("POST", "/inbound-shipments", Some(&body)).await.expect(201)["id"])
}

pub async fn reschedule(app: &App, id: &str, day: u32) -> crate::support::Answer {
    let body = json!({"expected_at": format!("2026-03-{day:02}T09:00:00Z")});
    app.ops("POST", &format!("/inbound-shipments/{id}/reschedule"), Some(&body)).await
}

pub async fn read(app: &App, order: &Value) -> Value {
    app.ops("GET", &format!("/orders/{}", text(&order["id"])), None).await.expect(200)
}

/// What is told of an order now.
pub fn current(order: &Value) -> Value {
    order["deliveries"][0]["current_promise"]["promise"].clone()
}

/// The promise events of an order: reason, before, now.
pub async fn told(app: &App, order: &Value) -> Vec<(String, Value, Value)> {
    let version = read(app, order).await["version"].as_i64().unwrap();
    let of_order = || {
        let stream = text(&order["id"]);
        app.read(move |tx| kontor::events::stream(tx, &stream, 0, 200))
    };
    // An event is to be seen once it has its place in the log.
    eventually("all of it is told", || async {
        of_order().await.iter().any(|event| event.aggregate == "order" && event.aggregate_version >= version)
    })
    .await;
    let events = of_order().await;
    let changed = events.into_iter().filter(|event| event.kind == "order.promise_changed.v1");
    changed
        .map(|event| (text(&event.data["reason"]), event.data["before"].clone(), event.data["now"].clone()))
        .collect()
}

/// Waits until nothing of this is left to do.
pub async fn settled(app: &App) {
    eventually("everything was looked at", || async {
        let jobs = app.ops("GET", "/jobs", None).await.expect(200);
        let jobs = jobs["items"].as_array().unwrap();
        !jobs.iter().any(|job| {
            matches!(text(&job["kind"]).as_str(), "stock.expected_changed" | "stock.arrived" | "promises.review")
        })
    })
    .await;
}

async fn offered(shop: &Shop, cart: &Cart) -> Option<Value> {
    let path = format!("/carts/{}/shipping-options", cart.id);
    let options = shop.store("GET", &path, Some(&cart.token), None).await.expect(200);
    options["items"][0].get("delivery").cloned()
}

#[test]
fn what_is_to_come_is_promised_from_the_day_on_which_it_comes() {
    on_both(|app| async move {
        let shop = open(&app).await;
        let cart = shop.cart(&[("TEE", 3), ("MUG", 1)]).await;
        assert_eq!(offered(&shop, &cart).await, None, "nobody knows when they come");
        // Wednesday the 4th, and Monday the 9th.
        announce(&app, 4, 2).await;
        assert_eq!(offered(&shop, &cart).await, None, "not so many are to come");
        announce(&app, 9, 4).await;
        assert_eq!(offered(&shop, &cart).await, Some(promise("2026-03-09", "2026-03-10", "2026-03-11")));
        let few = shop.cart(&[("TEE", 2)]).await;
        assert_eq!(offered(&shop, &few).await, Some(promise("2026-03-04", "2026-03-05", "2026-03-06")));
        // Who is frozen holds it, and is told the same.
        let freeze = format!("/carts/{}/checkout", few.id);
        shop.store("POST", &freeze, Some(&few.token), Some(&json!({}))).await.expect(200);
        assert_eq!(offered(&shop, &few).await, Some(promise("2026-03-04", "2026-03-05", "2026-03-06")));
        let order = shop.complete(&few, "approve").await.expect(201)["order"].clone();
        assert_eq!(order["deliveries"][0]["promise"], promise("2026-03-04", "2026-03-05", "2026-03-06"));
        // The first two are somebody's now.
        let last = shop.order(&[("TEE", 4)]).await;
        assert_eq!(last["deliveries"][0]["promise"], promise("2026-03-09", "2026-03-10", "2026-03-11"));
        let more = shop.order(&[("TEE", 1)]).await;
        assert!(more["deliveries"][0].get("promise").is_none(), "{more}");
        settled(&app).await;
        for order in [&order, &last, &more] {
            assert_eq!(told(&app, order).await, [], "nothing has changed");
            assert!(read(&app, order).await["deliveries"][0].get("current_promise").is_none());
        }
    });
}

#[test]
fn what_may_be_sold_beyond_the_stock_is_promised_from_when_it_is_to_be_had() {
    on_both(|app| async move {
        let shop = open(&app).await;
        shop.add("CUP", "5.00", 1).await;
        let limit = json!({"lines": [{"sku": "CUP", "location": "berlin", "kind": "preorder", "limit": 10,
            "available_from": "2026-03-16T08:00:00Z"}]});
        app.ops("PUT", "/stock/backorders", Some(&limit)).await.expect(200);
        let there = shop.cart(&[("CUP", 1)]).await;
        assert_eq!(offered(&shop, &there).await, Some(promise("2026-03-02", "2026-03-03", "2026-03-04")));
        let cart = shop.cart(&[("CUP", 2)]).await;
        assert_eq!(offered(&shop, &cart).await, Some(promise("2026-03-16", "2026-03-17", "2026-03-18")));
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        assert_eq!(order["deliveries"][0]["promise"], promise("2026-03-16", "2026-03-17", "2026-03-18"));
        let later = json!({"lines": [{"sku": "CUP", "location": "berlin", "kind": "preorder", "limit": 10,
            "available_from": "2026-03-18T08:00:00Z"}]});
        app.ops("PUT", "/stock/backorders", Some(&later)).await.expect(200);
        eventually("it was moved", || async {
            current(&read(&app, &order).await) == promise("2026-03-18", "2026-03-19", "2026-03-20")
        })
        .await;
    });
}

#[test]
fn a_promise_is_moved_with_the_goods_that_it_waits_for() {
    on_both(|app| async move {
        let shop = open(&app).await;
        let inbound = announce(&app, 4, 5).await;
        let order = shop.order(&[("TEE", 3)]).await;
        let original = promise("2026-03-04", "2026-03-05", "2026-03-06");
        assert_eq!(order["deliveries"][0]["promise"], original);
        reschedule(&app, &inbound, 11).await.expect(200);
        let later = promise("2026-03-11", "2026-03-12", "2026-03-13");
        eventually("it was moved", || async { current(&read(&app, &order).await) == later }).await;
        let seen = read(&app, &order).await;
        assert_eq!(seen["deliveries"][0]["promise"], original, "what was promised stays to be seen");
        assert_eq!(seen["deliveries"][0]["current_promise"]["reason"], "later");
        // The same day again, and more of them, change nothing.
        reschedule(&app, &inbound, 11).await.expect(200);
        announce(&app, 11, 7).await;
        settled(&app).await;
        assert_eq!(told(&app, &order).await, [("later".to_owned(), original.clone(), later.clone())]);
        reschedule(&app, &inbound, 10).await.expect(200);
        let earlier = promise("2026-03-10", "2026-03-11", "2026-03-12");
        eventually("it was moved back", || async { current(&read(&app, &order).await) == earlier }).await;
        // Two of three come, and the rest does not: it waits for the others.
        receive(&app, &inbound, json!({"lines": [{"line_no": 1, "quantity": 2}]})).await.expect(200);
        let close = json!({"reason": "short"});
        app.ops("POST", &format!("/inbound-shipments/{inbound}/close"), Some(&close)).await.expect(200);
        eventually("it was moved again", || async { current(&read(&app, &order).await) == later }).await;
        settled(&app).await;
        let reasons: Vec<String> = told(&app, &order).await.into_iter().map(|(reason, ..)| reason).collect();
        assert_eq!(reasons, ["later", "earlier", "later"]);
    });
}

#[test]
fn goods_that_do_not_come_leave_nothing_promised_and_goods_that_come_settle_it() {
    on_both(|app| async move {
        let shop = open(&app).await;
        let inbound = announce(&app, 4, 5).await;
        let order = shop.order(&[("TEE", 3)]).await;
        let cancel = json!({"reason": "the mill has burnt down"});
        app.ops("POST", &format!("/inbound-shipments/{inbound}/cancel"), Some(&cancel)).await.expect(200);
        eventually("nobody knows", || async {
            let seen = read(&app, &order).await;
            let moved = &seen["deliveries"][0]["current_promise"];
            moved["reason"] == "unknown" && moved.get("promise").is_none()
        })
        .await;
        let other = announce(&app, 12, 3).await;
        let known = promise("2026-03-12", "2026-03-13", "2026-03-16");
        eventually("it is known again", || async { current(&read(&app, &order).await) == known }).await;
        // They come sooner than was said: today.
        receive(&app, &other, json!({})).await.expect(200);
        let soon = promise("2026-03-02", "2026-03-03", "2026-03-04");
        eventually("they are here", || async { current(&read(&app, &order).await) == soon }).await;
        let reasons: Vec<String> = told(&app, &order).await.into_iter().map(|(reason, ..)| reason).collect();
        assert_eq!(reasons, ["unknown", "known", "earlier"]);
        // From now on it waits for nothing: what else comes is of no concern to it.
        let more = announce(&app, 20, 3).await;
        reschedule(&app, &more, 25).await.expect(200);
        settled(&app).await;
        assert_eq!(told(&app, &order).await.len(), 3);
    });
}

#[test]
fn what_comes_too_late_is_shipped_from_where_it_lies() {
    on_both(|app| async move {
        let shop = open(&app).await;
        let place = json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin", "priority": 200,
            "handling_days": 2});
        app.ops("POST", "/locations", Some(&place)).await.expect(201);
        let inbound = announce(&app, 3, 3).await;
        let order = shop.order(&[("TEE", 3), ("MUG", 1)]).await;
        let original = promise("2026-03-03", "2026-03-04", "2026-03-05");
        assert_eq!(order["deliveries"][0]["promise"], original);
        let line = json!({"sku": "TEE", "location": "bremen", "change": 3, "reason": "found"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
        // Bremen would ship it on the 4th: that is later than was promised, and sooner than it comes now.
        reschedule(&app, &inbound, 4).await.expect(200);
        let fourth = promise("2026-03-04", "2026-03-05", "2026-03-06");
        eventually("it was moved", || async { current(&read(&app, &order).await) == fourth }).await;
        let path = format!("/orders/{}/fulfilment", text(&order["id"]));
        let found = app.ops("GET", &path, None).await.expect(200);
        assert_eq!(found["fulfilment_orders"].as_array().unwrap().len(), 1, "no day is gained by moving it");
        reschedule(&app, &inbound, 20).await.expect(200);
        eventually("it was planned anew", || async {
            let found = app.ops("GET", &path, None).await.expect(200);
            found["fulfilment_orders"].as_array().unwrap().len() == 2
        })
        .await;
        settled(&app).await;
        assert_eq!(current(&read(&app, &order).await), fourth);
        assert_eq!(told(&app, &order).await, [("later".to_owned(), original, fourth)]);
    });
}

#[test]
fn changes_at_once_end_at_what_is_true() {
    on_both(|app| async move {
        let shop = open(&app).await;
        let inbound = announce(&app, 4, 10).await;
        let orders = join_all((0..4).map(|_| shop.order(&[("TEE", 2)]))).await;
        let gone = text(&orders[3]["id"]);
        let (cancel, path) = (json!({"reason": "test"}), format!("/orders/{gone}/cancel"));
        let one = json!({"lines": [{"line_no": 1, "quantity": 1}]});
        let (changes, received, cancelled) = futures::join!(
            join_all([9, 10, 11, 12].map(|day| reschedule(&app, &inbound, day))),
            receive(&app, &inbound, one),
            app.ops("POST", &path, Some(&cancel)),
        );
        assert!(changes.iter().all(|answer| matches!(answer.status, 200 | 409)));
        received.expect(200);
        assert!(matches!(cancelled.status, 200 | 201), "{}", cancelled.text);
        settled(&app).await;
        let shipment = app.ops("GET", &format!("/inbound-shipments/{inbound}"), None).await.expect(200);
        let day = text(&shipment["expected_at"])[..10].to_owned();
        for order in &orders[..3] {
            let seen = read(&app, order).await;
            let moved = current(&seen);
            let promised = if moved.is_null() { &seen["deliveries"][0]["promise"] } else { &moved };
            assert_eq!(promised["ships_by"], day, "{seen}");
            let told = told(&app, order).await;
            assert!(told.windows(2).all(|pair| pair[0].2 == pair[1].1), "each goes on from the one before: {told:?}");
            assert!(told.iter().all(|(_, before, now)| before != now), "{told:?}");
        }
    });
}

#[test]
fn what_is_ordered_while_it_is_rescheduled_is_told_what_is_true() {
    on_both(|app| async move {
        let shop = open(&app).await;
        let inbound = announce(&app, 4, 20).await;
        let carts = join_all((0..6).map(|_| shop.cart(&[("TEE", 2)]))).await;
        let (placed, changes) = futures::join!(
            join_all(carts.iter().map(|cart| shop.complete(cart, "approve"))),
            join_all([9, 10, 11, 12].map(|day| reschedule(&app, &inbound, day))),
        );
        assert!(changes.iter().all(|answer| answer.status == 200));
        settled(&app).await;
        let shipment = app.ops("GET", &format!("/inbound-shipments/{inbound}"), None).await.expect(200);
        let day = text(&shipment["expected_at"])[..10].to_owned();
        for order in placed {
            let seen = read(&app, &order.expect(201)["order"]).await;
            let moved = current(&seen);
            let promised = if moved.is_null() { &seen["deliveries"][0]["promise"] } else { &moved };
            assert_eq!(promised["ships_by"], day, "{seen}");
        }
    });
}

#[test]
fn what_arrives_is_compared_with_what_was_promised_and_with_what_was_told_last() {
    on_both(|app| async move {
        let shop = open(&app).await;
        let inbound = announce(&app, 4, 5).await;
        let order = shop.order(&[("TEE", 3)]).await;
        reschedule(&app, &inbound, 11).await.expect(200);
        let later = promise("2026-03-11", "2026-03-12", "2026-03-13");
        eventually("it was moved", || async { current(&read(&app, &order).await) == later }).await;
        // Wednesday the 11th, half an hour after they were to come.
        app.clock.advance_seconds(9 * 86_400 + 1_800);
        receive(&app, &inbound, json!({})).await.expect(200);
        settled(&app).await;
        assert_eq!(current(&read(&app, &order).await), later, "they are here as was said");
        let found = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
        let path = format!("/fulfilment-orders/{}/ship", text(&found["fulfilment_orders"][0]["id"]));
        app.ops("POST", &path, Some(&json!({}))).await.expect(201);
        app.clock.advance_seconds(86_400);
        let found = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
        let parcel = format!("/shipments/{}/deliver", text(&found["shipments"][0]["id"]));
        let answer = app.ops("POST", &parcel, Some(&json!({}))).await;
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
        let report = app.ops("GET", "/reports/on-time?from=2026-03-01&to=2026-03-31", None).await.expect(200);
        let one = &report["items"][0];
        let figure = |name: &str| one[name].as_i64().unwrap_or_else(|| panic!("{name}: {one}"));
        assert_eq!((figure("delivered"), figure("delivered_on_time"), figure("overdue")), (1, 0, 0));
        assert_eq!((figure("told_delivered"), figure("told_on_time"), figure("told_overdue")), (1, 1, 0));
        assert_eq!((figure("delivered_per_mille"), figure("told_per_mille")), (0, 1000));
    });
}

#[test]
fn what_is_split_off_after_its_promise_was_moved_is_measured_by_what_was_told() {
    on_both(|app| async move {
        let shop = open(&app).await;
        let inbound = announce(&app, 4, 9).await;
        let cart = shop.cart(&[("TEE", 4)]).await;
        let granny = json!({"name": "Anne Byron", "street1": "Marktstr. 1", "postcode": "28195", "city": "Bremen", "country": "DE"});
        let both = json!({"deliveries": [{"key": "home"}, {"key": "granny", "address": granny, "method": "standard",
            "lines": [{"line_no": 1, "quantity": 1}]}]});
        let path = format!("/carts/{}/deliveries", cart.id);
        shop.store("PUT", &path, Some(&cart.token), Some(&both)).await.expect(200);
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        reschedule(&app, &inbound, 11).await.expect(200);
        let later = promise("2026-03-11", "2026-03-12", "2026-03-13");
        eventually("both were moved", || async {
            let seen = read(&app, &order).await;
            (0..2_usize).all(|at| seen["deliveries"][at]["current_promise"]["promise"] == later)
        })
        .await;
        let path = format!("/orders/{}/fulfilment", text(&order["id"]));
        let found = app.ops("GET", &path, None).await.expect(200);
        let works = found["fulfilment_orders"].as_array().unwrap();
        let home = works.iter().find(|one| one["delivery"]["key"] == "home").unwrap();
        let part = json!({"lines": [{"line_no": 1, "quantity": 1}]});
        let split = format!("/fulfilment-orders/{}/split", text(&home["id"]));
        app.ops("POST", &split, Some(&part)).await.expect(200);
        app.clock.advance_seconds(9 * 86_400 + 1_800);
        receive(&app, &inbound, json!({})).await.expect(200);
        settled(&app).await;
        let found = app.ops("GET", &path, None).await.expect(200);
        for one in found["fulfilment_orders"].as_array().unwrap() {
            let ship = format!("/fulfilment-orders/{}/ship", text(&one["id"]));
            let shipped = app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
            let deliver = format!("/shipments/{}/deliver", text(&shipped["id"]));
            app.ops("POST", &deliver, Some(&json!({}))).await.expect(200);
        }
        app.clock.advance_seconds(60);
        let report = app.ops("GET", "/reports/on-time?from=2026-03-01&to=2026-03-31", None).await.expect(200);
        let one = &report["items"][0];
        let figures =
            ["delivered", "delivered_on_time", "told_delivered", "told_on_time"].map(|name| one[name].as_i64());
        assert_eq!(figures, [Some(3), Some(0), Some(3), Some(3)], "{report}");
    });
}
