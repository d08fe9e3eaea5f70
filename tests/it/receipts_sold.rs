//! A receipt that was booked wrongly is taken back though its goods were sold since: whose goods vanish is planned anew or waits, and what was
//! picked, shipped or is held by a cart stays.

use futures::future::{join, join_all};
use serde_json::{Value, json};

use crate::{
    inbound::{announce, receive, text},
    support::{Answer, App, Shop, eventually, on_both, on_both_idle},
};

async fn correct(app: &App, id: &str, quantity: i64) -> Answer {
    let body = json!({"lines": [{"line_no": 1, "quantity": quantity}], "reason": "counted twice"});
    app.ops("POST", &format!("/inbound-shipments/{id}/correct"), Some(&body)).await
}

async fn level(app: &App, sku: &str, location: &str) -> (i64, i64) {
    let levels = app.ops("GET", &format!("/stock/levels?sku={sku}&location={location}"), None).await.expect(200);
    let of = |field: &str| levels["items"][0][field].as_i64().unwrap_or_default();
    (of("on_hand"), of("allocated"))
}

async fn work(app: &App, order: &Value) -> Vec<Value> {
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    let found = app.ops("GET", &path, None).await.expect(200);
    found["fulfilment_orders"].as_array().unwrap().iter().filter(|one| one["state"] != "cancelled").cloned().collect()
}

/// How many open pieces are held for goods, and how many are not.
async fn held(app: &App, order: &Value) -> (i64, i64) {
    let (mut held, mut free) = (0, 0);
    for one in work(app, order).await {
        let of = |field: &str| one["lines"][0][field].as_i64().unwrap();
        let open = of("quantity") - of("shipped") - of("cancelled");
        if one["holds"].is_array() { held += open } else { free += open }
    }
    (held, free)
}

async fn act(app: &App, work: &Value, what: &str) -> Answer {
    app.ops("POST", &format!("/fulfilment-orders/{}/{what}", text(&work["id"])), Some(&json!({}))).await
}

/// Goods may be sold before they are there, and parcels take a day or two.
async fn backorders(app: &App) {
    let found = app.ops("GET", "/variants?sku=TEE", None).await.expect(200);
    let path = format!("/variants/{}", text(&found["items"][0]["id"]));
    app.ops("PATCH", &path, Some(&json!({"backorder_policy": "allow"}))).await.expect(200);
    let methods = app.ops("GET", "/shipping-methods", None).await.expect(200);
    let path = format!("/shipping-methods/{}", text(&methods["items"][0]["id"]));
    app.ops("PATCH", &path, Some(&json!({"delivery_days": {"min": 1, "max": 2}}))).await.expect(200);
}

#[test]
fn whose_goods_have_not_come_after_all_waits_for_them_again() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        let id = announce(&app, &[("TEE", 6, None)]).await;
        receive(&app, &id, json!({})).await.expect(200);
        let (first, second) = (shop.order(&[("TEE", 1)]).await, shop.order(&[("TEE", 4)]).await);
        let back = correct(&app, &id, 4).await.expect(200);
        assert_eq!(
            (&back["lines"][0]["received"], &back["corrections"][0]["lines"][0]["quantity"]),
            (&json!(2), &json!(4))
        );
        assert_eq!(level(&app, "TEE", "berlin").await, (2, 5));
        // The youngest claim goes without, as far as it must.
        eventually("three of them wait", || async { held(&app, &second).await == (3, 1) }).await;
        assert_eq!(held(&app, &first).await, (0, 1));
        let moved =
            app.ops("GET", &format!("/stock/movements?reference={id}&kinds=correction"), None).await.expect(200);
        assert_eq!(
            (&moved["items"][0]["on_hand"], &moved["items"][0]["reason"]),
            (&json!(-4), &json!("counted twice"))
        );
        // They come: nothing holds the rest any more, and all of it leaves.
        app.clock.advance_seconds(60);
        receive(&app, &id, json!({})).await.expect(200);
        eventually("nothing waits", || async { held(&app, &second).await == (0, 4) }).await;
        for one in work(&app, &second).await.iter().chain(&work(&app, &first).await) {
            act(&app, one, "ship").await.expect(201);
        }
        assert_eq!(level(&app, "TEE", "berlin").await, (1, 0));
    });
}

#[test]
fn whose_goods_have_not_come_after_all_is_shipped_from_elsewhere() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        let id = announce(&app, &[("TEE", 3, None)]).await;
        receive(&app, &id, json!({})).await.expect(200);
        let order = shop.order(&[("TEE", 3)]).await;
        let place =
            json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
        let bremen = app.ops("POST", "/locations", Some(&place)).await.expect(201);
        let line = json!({"sku": "TEE", "location": "bremen", "change": 3, "reason": "counted"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
        correct(&app, &id, 3).await.expect(200);
        eventually("it is shipped from Bremen", || async {
            let works = work(&app, &order).await;
            works.len() == 1 && works[0]["location_id"] == bremen["id"]
        })
        .await;
        assert_eq!((level(&app, "TEE", "berlin").await, level(&app, "TEE", "bremen").await), ((0, 0), (3, 3)));
        act(&app, &work(&app, &order).await[0], "ship").await.expect(201);
    });
}

#[test]
fn a_backorder_whose_goods_have_not_come_after_all_is_promised_for_when_they_do() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        backorders(&app).await;
        let body = json!({"location": "berlin", "expected_at": "2026-03-12T09:00:00Z", "lines": [{"sku": "TEE", "quantity": 5}]});
        let id = text(&app.ops("POST", "/inbound-shipments", Some(&body)).await.expect(201)["id"]);
        let order = shop.order(&[("TEE", 2)]).await;
        let due = async || work(&app, &order).await[0]["due_at"].clone();
        let promised = async || {
            let seen = app.ops("GET", &format!("/orders/{}", text(&order["id"])), None).await.expect(200);
            let delivery = &seen["deliveries"][0];
            let now = if delivery["current_promise"].is_object() { &delivery["current_promise"] } else { delivery };
            now["promise"]["ships_by"].clone()
        };
        eventually("it is due when they come", || async { due().await == "2026-03-12T23:00:00Z" }).await;
        receive(&app, &id, json!({})).await.expect(200);
        eventually("it is due today", || async { due().await == "2026-03-02T23:00:00Z" }).await;
        eventually("it is promised for today", || async { promised().await == "2026-03-02" }).await;
        correct(&app, &id, 5).await.expect(200);
        eventually("it is promised for later again", || async { promised().await == "2026-03-12" }).await;
        assert_eq!(due().await, "2026-03-12T23:00:00Z");
        let told = app.count("SELECT count(*) FROM events WHERE type = 'order.promise_changed.v1'").await;
        assert_eq!(told, 2);
        receive(&app, &id, json!({})).await.expect(200);
        eventually("it is due today", || async { due().await == "2026-03-02T23:00:00Z" }).await;
        eventually("nothing holds it", || async { held(&app, &order).await == (0, 2) }).await;
        act(&app, &work(&app, &order).await[0], "ship").await.expect(201);
    });
}

#[test]
fn what_somebody_has_in_hand_is_not_taken_back() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        let id = announce(&app, &[("TEE", 9, None)]).await;
        receive(&app, &id, json!({})).await.expect(200);
        let (picked, untouched) = (shop.order(&[("TEE", 2)]).await, shop.order(&[("TEE", 3)]).await);
        let picked = work(&app, &picked).await.remove(0);
        act(&app, &picked, "pick").await.expect(200);
        let refused = correct(&app, &id, 8).await.problem(409, "state_conflict");
        assert_eq!(
            (&refused["left"], &refused["picked"], &refused["pointer"]),
            (&json!(7), &json!(2), &json!("/lines/0"))
        );
        // A cart that is being paid for keeps what it holds.
        let cart = shop.cart(&[("TEE", 2)]).await;
        shop.complete(&cart, "redirect").await.expect(202);
        let refused = correct(&app, &id, 3).await.problem(409, "out_of_stock");
        assert_eq!((&refused["available"], &refused["reserved"]), (&json!(2), &json!(2)));
        correct(&app, &id, 2).await.expect(200);
        act(&app, &picked, "ship").await.expect(201);
        correct(&app, &id, 6).await.problem(409, "stock_negative");
        assert_eq!(held(&app, &untouched).await, (0, 3));
        assert_eq!(level(&app, "TEE", "berlin").await, (5, 3));
    });
}

#[test]
fn of_taking_back_and_shipping_the_same_pieces_one_is_done() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 0), ("MUG", "9.90", 0)]).await;
        let (mut came, mut left) = (0, 0);
        for round in 0..6 {
            let id = announce(&app, &[("TEE", 3, None)]).await;
            receive(&app, &id, json!({})).await.expect(200);
            came += 3;
            let order = shop.order(&[("TEE", 3)]).await;
            let own = work(&app, &order).await.remove(0);
            let picks = round % 2 == 0;
            let (back, taken) = join(
                join_all((0..3).map(|_| correct(&app, &id, 3))),
                act(&app, &own, if picks { "pick" } else { "ship" }),
            )
            .await;
            let back = back.iter().filter(|answer| answer.status == 200).count();
            assert!(back <= 1, "they are taken back once");
            if picks {
                // Who picks what is not booked in is let; it does not leave before it is.
                assert!(back == 1 || taken.status == 200);
                assert_eq!(act(&app, &own, "ship").await.status, if back == 1 { 409 } else { 201 });
            } else {
                assert_eq!(taken.status, if back == 1 { 409 } else { 201 }, "{}", taken.text);
            }
            if back == 1 {
                receive(&app, &id, json!({})).await.expect(200);
                act(&app, &own, "ship").await.expect(201);
            }
            left += 3;
            assert_eq!(level(&app, "TEE", "berlin").await, (came - left, 0));
        }
    });
}
