//! Goods that come somewhere else than where somebody waits for them: who waits gets them, in turn; and orders that are sold beyond the
//! stock wait instead of taking what is left to others.

use futures::future::join_all;
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    channel_safety::second,
    inbound::{receive, text},
    moved_promise::{announce, current, open, promise, read, settled, told},
    support::{App, Shop, eventually, on_both},
};

async fn bremen(app: &App) {
    let place =
        json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
    app.ops("POST", "/locations", Some(&place)).await.expect(201);
}

async fn comes(app: &App, pieces: i64) {
    let line = json!({"sku": "TEE", "location": "bremen", "change": pieces, "reason": "found"});
    app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
}

/// Where an order's open pieces come from: location and pieces.
async fn places(app: &App, order: &Value) -> Vec<(String, i64)> {
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    let found = app.ops("GET", &path, None).await.expect(200);
    let locations = app.ops("GET", "/locations", None).await.expect(200);
    let code = |id: &Value| {
        let mut all = locations["items"].as_array().unwrap().iter();
        text(&all.find(|one| &one["id"] == id).unwrap()["code"])
    };
    let open = found["fulfilment_orders"].as_array().unwrap().iter().filter(|one| one["state"] != "cancelled");
    let place = |one: &Value| {
        let pieces = one["lines"].as_array().unwrap().iter();
        let pieces = pieces.map(|line| line["quantity"].as_i64().unwrap() - line["cancelled"].as_i64().unwrap());
        (code(&one["location_id"]), pieces.sum())
    };
    let mut all: Vec<_> = open.map(place).filter(|(_, pieces)| *pieces > 0).collect();
    all.sort();
    all
}

fn at(place: &str, pieces: i64) -> (String, i64) {
    (place.to_owned(), pieces)
}

async fn reschedule(app: &App, order: &Value, due: &str) {
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    let found = app.ops("GET", &path, None).await.expect(200);
    let path = format!("/fulfilment-orders/{}/reschedule", text(&found["fulfilment_orders"][0]["id"]));
    app.ops("POST", &path, Some(&json!({"due_at": due}))).await.expect(200);
}

async fn reasons(app: &App, order: &Value) -> Vec<String> {
    told(app, order).await.into_iter().map(|(reason, ..)| reason).collect()
}

#[test]
fn goods_that_come_elsewhere_go_to_who_waits_and_is_due_first() {
    on_both(|app| async move {
        let shop = open(&app).await;
        bremen(&app).await;
        // Nobody knows when their goods come.
        let (later, sooner) = (shop.order(&[("TEE", 2)]).await, shop.order(&[("TEE", 3)]).await);
        reschedule(&app, &later, "2026-03-20T22:00:00Z").await;
        reschedule(&app, &sooner, "2026-03-05T22:00:00Z").await;
        settled(&app).await;
        assert_eq!(
            (places(&app, &later).await, places(&app, &sooner).await),
            (vec![at("berlin", 2)], vec![at("berlin", 3)])
        );
        comes(&app, 4).await;
        let today = promise("2026-03-02", "2026-03-03", "2026-03-04");
        eventually("it is known", || async { current(&read(&app, &sooner).await) == today }).await;
        settled(&app).await;
        assert_eq!(places(&app, &sooner).await, [at("bremen", 3)]);
        assert_eq!(places(&app, &later).await, [at("berlin", 2)], "one is left, and it asks for two");
        assert_eq!(told(&app, &sooner).await, [("known".to_owned(), Value::Null, today.clone())]);
        assert_eq!(told(&app, &later).await, []);
        // A delivery to there serves the next; what else comes changes nothing.
        let body = json!({"location": "bremen", "expected_at": "2026-03-03T09:00:00Z", "lines": [{"sku": "TEE", "quantity": 1}]});
        let inbound = text(&app.ops("POST", "/inbound-shipments", Some(&body)).await.expect(201)["id"]);
        receive(&app, &inbound, json!({})).await.expect(200);
        eventually("it is known too", || async { current(&read(&app, &later).await) == today }).await;
        comes(&app, 10).await;
        settled(&app).await;
        assert_eq!(
            (places(&app, &later).await, places(&app, &sooner).await),
            (vec![at("bremen", 2)], vec![at("bremen", 3)])
        );
        assert_eq!(
            (reasons(&app, &later).await, reasons(&app, &sooner).await),
            (vec!["known".to_owned()], vec!["known".to_owned()])
        );
    });
}

#[test]
fn what_waits_in_time_leaves_sooner_where_goods_have_arrived_by_a_transfer() {
    on_both(|app| async move {
        let shop = open(&app).await;
        bremen(&app).await;
        let place = json!({"code": "hamburg", "name": "Hamburg", "country": "DE", "time_zone": "Europe/Berlin",
            "priority": 300, "countries": ["AT"]});
        app.ops("POST", "/locations", Some(&place)).await.expect(201);
        announce(&app, 9, 5).await;
        let order = shop.order(&[("TEE", 3), ("MUG", 1)]).await;
        let original = promise("2026-03-09", "2026-03-10", "2026-03-11");
        assert_eq!(order["deliveries"][0]["promise"], original);
        // Hamburg ships to Austria alone: nothing of it is for whoever waits.
        let line = json!({"sku": "TEE", "location": "hamburg", "change": 4, "reason": "found"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
        settled(&app).await;
        assert_eq!((places(&app, &order).await, reasons(&app, &order).await), (vec![at("berlin", 4)], vec![]));
        let body = json!({"from": "hamburg", "to": "bremen", "lines": [{"sku": "TEE", "quantity": 3}]});
        let made = app.ops("POST", "/transfers", Some(&body)).await.expect(201);
        let path = format!("/transfers/{}", text(&made["id"]));
        app.ops("POST", &format!("{path}/ship"), Some(&json!({}))).await.expect(200);
        app.ops("POST", &format!("{path}/receive"), Some(&json!({}))).await.expect(200);
        let today = promise("2026-03-02", "2026-03-03", "2026-03-04");
        eventually("it leaves today", || async { current(&read(&app, &order).await) == today }).await;
        settled(&app).await;
        assert_eq!(places(&app, &order).await, [at("berlin", 1), at("bremen", 3)]);
        assert_eq!(told(&app, &order).await, [("earlier".to_owned(), original, today)]);
    });
}

#[test]
fn who_stood_behind_an_order_that_is_served_elsewhere_moves_up() {
    on_both(|app| async move {
        let shop = open(&app).await;
        bremen(&app).await;
        announce(&app, 9, 3).await;
        announce(&app, 16, 3).await;
        let first = shop.order(&[("TEE", 3)]).await;
        let second = shop.order(&[("TEE", 3)]).await;
        assert_eq!(second["deliveries"][0]["promise"], promise("2026-03-16", "2026-03-17", "2026-03-18"));
        settled(&app).await;
        reschedule(&app, &first, "2026-03-04T22:00:00Z").await;
        comes(&app, 3).await;
        let ninth = promise("2026-03-09", "2026-03-10", "2026-03-11");
        eventually("it moves up", || async { current(&read(&app, &second).await) == ninth }).await;
        settled(&app).await;
        assert_eq!(
            (places(&app, &first).await, places(&app, &second).await),
            (vec![at("bremen", 3)], vec![at("berlin", 3)])
        );
        assert_eq!(
            (reasons(&app, &first).await, reasons(&app, &second).await),
            (vec!["earlier".to_owned()], vec!["earlier".to_owned()])
        );
    });
}

#[test]
fn goods_that_come_in_many_places_at_once_are_given_once() {
    on_both(|app| async move {
        let shop = open(&app).await;
        bremen(&app).await;
        let orders = join_all((0..4).map(|_| shop.order(&[("TEE", 2)]))).await;
        let more = async {
            let cart = shop.cart(&[("TEE", 2)]).await;
            shop.complete(&cart, "approve").await.expect(201)["order"].clone()
        };
        let (_, last) = futures::join!(join_all((0..6).map(|_| comes(&app, 1))), more);
        settled(&app).await;
        let levels = app.ops("GET", "/stock/levels?sku=TEE", None).await.expect(200);
        let bremen = levels["items"].as_array().unwrap().iter().find(|level| level["location"] == "bremen").unwrap();
        assert_eq!((&bremen["on_hand"], &bremen["allocated"]), (&json!(6), &json!(6)), "{levels}");
        let mut served = 0;
        for order in orders.iter().chain([&last]) {
            let places = places(&app, order).await;
            assert!(places == [at("bremen", 2)] || places == [at("berlin", 2)], "{places:?}");
            let is_served = places == [at("bremen", 2)];
            served += i32::from(is_served);
        }
        assert_eq!(served, 3);
    });
}

#[test]
fn an_order_beyond_the_stock_waits_for_what_its_channel_leaves_to_others() {
    on_both(|app| async move {
        let shop = open(&app).await;
        let market = second(&shop).await;
        let methods = app.ops("GET", "/shipping-methods", None).await.expect(200);
        for method in methods["items"].as_array().unwrap() {
            let path = format!("/shipping-methods/{}", text(&method["id"]));
            app.ops("PATCH", &path, Some(&json!({"delivery_days": {"min": 1, "max": 2}}))).await.expect(200);
        }
        shop.stock_up("TEE", 10).await;
        let line = json!([{"sku": "TEE", "channel_id": market.channel, "location": "berlin", "pieces": 6}]);
        app.ops("PUT", "/stock/channel-safety", Some(&json!({ "lines": line }))).await.expect(200);
        let inbound = announce(&app, 9, 5).await;
        let offered = async |shop: &Shop, pieces: i64| {
            let cart = shop.cart(&[("TEE", pieces)]).await;
            let path = format!("/carts/{}/shipping-options", cart.id);
            let options = shop.store("GET", &path, Some(&cart.token), None).await.expect(200);
            options["items"][0]["delivery"]["ships_by"].clone()
        };
        eventually("the market ships", || async { offered(&market, 4).await == "2026-03-02" }).await;
        assert_eq!(offered(&market, 8).await, "2026-03-09");
        let order = market.order(&[("TEE", 8)]).await;
        let original = promise("2026-03-09", "2026-03-10", "2026-03-11");
        assert_eq!(order["deliveries"][0]["promise"], original);
        settled(&app).await;
        assert_eq!(reasons(&app, &order).await, Vec::<String>::new(), "four wait, and six are left to others");
        // Those are there for the other channel, though less is available by the counters.
        let other = shop.order(&[("TEE", 6)]).await;
        settled(&app).await;
        let today = promise("2026-03-02", "2026-03-03", "2026-03-04");
        let seen = read(&app, &other).await;
        let moved = current(&seen);
        assert_eq!(if moved.is_null() { &seen["deliveries"][0]["promise"] } else { &moved }, &today, "{seen}");
        assert_eq!(reasons(&app, &order).await, Vec::<String>::new());
        // What comes is for who waits.
        receive(&app, &inbound, json!({})).await.expect(200);
        eventually("it is here", || async { current(&read(&app, &order).await) == today }).await;
    });
}

#[test]
fn what_a_warehouse_reports_and_what_is_freed_is_for_who_waits_elsewhere() {
    on_both(|app| async move {
        let shop = open(&app).await;
        bremen(&app).await;
        let (sooner, later) = (shop.order(&[("TEE", 2)]).await, shop.order(&[("TEE", 3)]).await);
        reschedule(&app, &sooner, "2026-03-05T22:00:00Z").await;
        reschedule(&app, &later, "2026-03-20T22:00:00Z").await;
        settled(&app).await;
        let row = json!({"sku": "TEE", "location": "bremen", "quantity": 3});
        let snapshot = json!({"source": "wms", "basis": "physical", "as_of": app.now(), "rows": [row]});
        let token = format!("Bearer {}", app.token(Audience::Client, "wms", &[Scope::StockWrite]));
        let headers = [("Authorization", token.as_str())];
        app.send("POST", "/v1/integration/stock-snapshots", &headers, Some(&snapshot)).await.expect(200);
        eventually("they come from there", || async { places(&app, &sooner).await == [at("bremen", 2)] }).await;
        settled(&app).await;
        assert_eq!(places(&app, &later).await, [at("berlin", 3)]);
        // More come, of a lot that is looked at.
        let line = |quantity: i64| json!({"sku": "TEE", "location": "bremen", "lot": "L", "quantity": quantity});
        app.ops("POST", "/lots", Some(&json!({"lines": [line(1)]}))).await.expect(200);
        let lots = app.ops("GET", "/lots?sku=TEE", None).await.expect(200);
        let path = format!("/lots/{}", text(&lots["items"][0]["id"]));
        app.ops("PATCH", &path, Some(&json!({"state": "blocked"}))).await.expect(200);
        let come = json!({"sku": "TEE", "location": "bremen", "change": 3, "reason": "found", "lot": "L"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [come]}))).await.expect(200);
        settled(&app).await;
        assert_eq!(places(&app, &later).await, [at("berlin", 3)]);
        app.ops("PATCH", &path, Some(&json!({"state": "available"}))).await.expect(200);
        eventually("these too", || async { places(&app, &later).await == [at("bremen", 3)] }).await;
    });
}
