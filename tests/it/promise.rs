//! By when goods arrive: told with the shipping options, kept on the order, and compared with what happened.

use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{App, Cart, Shop, eventually, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

fn promise(ships_by: &str, earliest: &str, latest: &str) -> Value {
    json!({"ships_by": ships_by, "earliest": earliest, "latest": latest})
}

/// The shop's shipping method takes a day or two, to Austria three to five.
async fn with_days(app: &App) -> String {
    let methods = app.ops("GET", "/shipping-methods", None).await.expect(200);
    let path = format!("/shipping-methods/{}", text(&methods["items"][0]["id"]));
    let days =
        json!({"delivery_days": {"min": 1, "max": 2}, "transit_days": [{"countries": ["AT"], "min": 3, "max": 5}]});
    let changed = app.ops("PATCH", &path, Some(&days)).await.expect(200);
    assert_eq!(changed["transit_days"], days["transit_days"]);
    path
}

/// A second location, and what lies there.
async fn bremen(app: &App, goods: &[(&str, i64)]) {
    let place = json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin", "priority": 200,
        "handling_days": 2});
    app.ops("POST", "/locations", Some(&place)).await.expect(201);
    for (sku, change) in goods {
        let line = json!({"sku": sku, "location": "bremen", "change": change, "reason": "test"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
    }
}

/// A guest's cart, made now.
async fn cart(shop: &Shop, lines: &[(&str, i64)], country: &str) -> Cart {
    let lines: Vec<Value> = lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
    let mut address = crate::support::shop::address();
    address["country"] = json!(country);
    let cart =
        json!({"lines": lines, "email": "ada@example.org", "shipping_method": "standard", "shipping_address": address});
    let body = shop.store("POST", "/carts", None, Some(&cart)).await.expect(201);
    Cart { id: text(&body["id"]), token: text(&body["token"]), body }
}

/// What is promised for the shop's method.
async fn offered(shop: &Shop, cart: &Cart) -> Option<Value> {
    let path = format!("/carts/{}/shipping-options", cart.id);
    let options = shop.store("GET", &path, Some(&cart.token), None).await.expect(200);
    let found = options["items"].as_array().unwrap().iter().find(|one| one["code"] == "standard").unwrap().clone();
    found.get("delivery").cloned()
}

async fn ordered(shop: &Shop, cart: &Cart) -> Value {
    let (path, pay) = (format!("/carts/{}/complete", cart.id), json!({"payment": {"method": "manual"}}));
    shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201)["order"].clone()
}

/// An order of a Tuesday of the past, made by staff.
async fn of_the_past(shop: &Shop) -> Value {
    let cart = json!({
        "channel_id": shop.channel, "lines": [{"sku": "TEE", "quantity": 1}], "email": "ada@example.org",
        "shipping_method": "standard", "shipping_address": crate::support::shop::address(),
        "occurred_at": "2026-01-13T12:00:00Z",
    });
    let cart = shop.app.ops("POST", "/carts", Some(&cart)).await.expect(201);
    let path = format!("/carts/{}/complete", text(&cart["id"]));
    let pay = json!({"payment": {"method": "manual"}});
    shop.app.ops("POST", &path, Some(&pay)).await.expect(201)["order"].clone()
}

#[test]
fn a_shipping_option_tells_by_when_goods_arrive_and_the_order_keeps_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10), ("MUG", "9.90", 0)]).await;
        bremen(&app, &[("MUG", 5)]).await;
        let plain = cart(&shop, &[("TEE", 1)], "DE").await;
        assert_eq!(offered(&shop, &plain).await, None, "nobody knows how long the method takes");
        let method = with_days(&app).await;
        assert_eq!(offered(&shop, &plain).await, Some(promise("2026-03-02", "2026-03-03", "2026-03-04")));
        let order = ordered(&shop, &plain).await;
        assert_eq!(order["deliveries"][0]["promise"], promise("2026-03-02", "2026-03-03", "2026-03-04"));
        let read = app.ops("GET", &format!("/orders/{}", text(&order["id"])), None).await.expect(200);
        assert_eq!(read["deliveries"][0]["promise"], order["deliveries"][0]["promise"]);
        // To Austria, over a week-end.
        let far = cart(&shop, &[("TEE", 1)], "AT").await;
        assert_eq!(offered(&shop, &far).await, Some(promise("2026-03-02", "2026-03-05", "2026-03-09")));
        // The slowest location counts.
        let both = cart(&shop, &[("TEE", 1), ("MUG", 1)], "DE").await;
        assert_eq!(offered(&shop, &both).await, Some(promise("2026-03-04", "2026-03-05", "2026-03-06")));
        let order = ordered(&shop, &both).await;
        assert_eq!(order["deliveries"][0]["promise"], promise("2026-03-04", "2026-03-05", "2026-03-06"));
        // The calendar of the location counts.
        let locations = app.ops("GET", "/locations", None).await.expect(200);
        let berlin = locations["items"].as_array().unwrap().iter().find(|one| one["code"] == "berlin").unwrap();
        let holidays = json!({"calendar": {"holidays": ["2026-03-02", "2026-03-03"]}});
        app.ops("PATCH", &format!("/locations/{}", text(&berlin["id"])), Some(&holidays)).await.expect(200);
        eventually("the holidays are known", || async {
            offered(&shop, &far).await == Some(promise("2026-03-04", "2026-03-09", "2026-03-11"))
        })
        .await;
        // Past the cut-off of the only working day before a week-end.
        let days = json!({"calendar": {"working_days": ["monday"]}});
        app.ops("PATCH", &format!("/locations/{}", text(&berlin["id"])), Some(&days)).await.expect(200);
        app.clock.advance_seconds(4 * 3600);
        eventually("the week is short", || async {
            offered(&shop, &far).await == Some(promise("2026-03-09", "2026-03-12", "2026-03-16"))
        })
        .await;
        // A channel that promises hours has them counted.
        shop.set(json!({"due_hours": 24})).await;
        eventually("the hours are known", || async {
            offered(&shop, &far).await == Some(promise("2026-03-03", "2026-03-06", "2026-03-10"))
        })
        .await;
        let none =
            app.ops("PATCH", &method, Some(&json!({"delivery_days": null, "transit_days": []}))).await.expect(200);
        assert!(none.get("transit_days").is_none(), "{none}");
        eventually("the method says nothing of its days", || async { offered(&shop, &far).await.is_none() }).await;
    });
}

#[test]
fn nothing_is_promised_of_goods_that_are_nowhere_or_still_to_come() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 2), ("MUG", "9.90", 2)]).await;
        with_days(&app).await;
        let there = cart(&shop, &[("TEE", 2)], "DE").await;
        assert_eq!(offered(&shop, &there).await, Some(promise("2026-03-02", "2026-03-03", "2026-03-04")));
        let short = cart(&shop, &[("TEE", 3)], "DE").await;
        assert_eq!(offered(&shop, &short).await, None);
        let variants = app.ops("GET", "/variants?sku=MUG", None).await.expect(200);
        let path = format!("/variants/{}", text(&variants["items"][0]["id"]));
        app.ops("PATCH", &path, Some(&json!({"backorder_policy": "allow"}))).await.expect(200);
        let enough = cart(&shop, &[("MUG", 2)], "DE").await;
        assert_eq!(offered(&shop, &enough).await, Some(promise("2026-03-02", "2026-03-03", "2026-03-04")));
        let waits = cart(&shop, &[("MUG", 3)], "DE").await;
        assert_eq!(offered(&shop, &waits).await, None);
        let order = ordered(&shop, &waits).await;
        assert!(order["deliveries"][0].get("promise").is_none(), "{order}");
        // The same where the provider is asked between reserving and placing.
        let card = shop.cart(&[("MUG", 1)]).await;
        let order = shop.complete(&card, "approve").await.expect(201)["order"].clone();
        assert!(order["deliveries"][0].get("promise").is_none(), "{order}");
        let card = shop.cart(&[("TEE", 2)]).await;
        // What a cart holds already is there for it.
        let freeze = format!("/carts/{}/checkout", card.id);
        shop.store("POST", &freeze, Some(&card.token), Some(&json!({}))).await.expect(200);
        let options = format!("/carts/{}/shipping-options", card.id);
        let options = shop.store("GET", &options, Some(&card.token), None).await.expect(200);
        assert!(options["items"][0]["delivery"]["latest"].is_string(), "{options}");
        let order = shop.complete(&card, "approve").await.expect(201)["order"].clone();
        assert!(order["deliveries"][0]["promise"]["latest"].is_string(), "{order}");
    });
}

/// Ships all of an order by a carrier, at an instant; gives the parcel's id.
async fn shipped(app: &App, order: &Value, carrier: &str, at: &str) -> String {
    let found = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
    let path = format!("/fulfilment-orders/{}", text(&found["fulfilment_orders"][0]["id"]));
    let ship = json!({"carrier": carrier, "occurred_at": at});
    let answer = app.ops("POST", &format!("{path}/ship"), Some(&ship)).await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
    let found = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
    text(&found["shipments"][0]["id"])
}

async fn delivered(app: &App, parcel: &str, at: &str) {
    let answer = app.ops("POST", &format!("/shipments/{parcel}/deliver"), Some(&json!({"occurred_at": at}))).await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
}

fn figures(one: &Value) -> Vec<i64> {
    let names = ["shipped", "shipped_on_time", "delivered", "delivered_on_time", "overdue", "shipped_per_mille"];
    names.iter().map(|name| one[*name].as_i64().unwrap_or_else(|| panic!("{name}: {one}"))).collect()
}

#[test]
fn what_arrived_when_it_was_promised_is_counted_by_location_and_carrier() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        let undated = of_the_past(&shop).await;
        with_days(&app).await;
        // Promised until the end of Thursday, due until the end of Tuesday: 23:00 UTC.
        for (carrier, ships, arrives) in [
            ("dhl", "2026-01-13T22:00:00Z", Some("2026-01-15T22:59:00Z")),
            ("dhl", "2026-01-13T23:30:00Z", Some("2026-01-15T23:30:00Z")),
            ("dhl", "2026-01-13T12:00:00Z", None),
            ("ups", "2026-01-14T12:00:00Z", Some("2026-01-15T12:00:00Z")),
        ] {
            let order = of_the_past(&shop).await;
            let parcel = shipped(&app, &order, carrier, ships).await;
            if let Some(at) = arrives {
                delivered(&app, &parcel, at).await;
            }
        }
        let parcel = shipped(&app, &undated, "ups", "2026-01-13T13:00:00Z").await;
        delivered(&app, &parcel, "2026-01-19T13:00:00Z").await;
        let report = app.ops("GET", "/reports/on-time?from=2026-01-01&to=2026-01-31", None).await.expect(200);
        let items = report["items"].as_array().unwrap();
        assert_eq!(items.len(), 2, "{report}");
        assert_eq!((&items[0]["location"], &items[0]["carrier"]), (&json!("berlin"), &json!("dhl")));
        assert_eq!(figures(&items[0]), [3, 2, 2, 1, 1, 666]);
        assert_eq!(items[0]["delivered_per_mille"], 333);
        // What was promised nothing counts among what left, not among what arrived.
        assert_eq!((&items[1]["carrier"], figures(&items[1])), (&json!("ups"), vec![2, 1, 1, 1, 0, 500]));
        let some = "/reports/on-time?from=2026-01-13T23:00:00Z&to=2026-01-14T00:00:00Z";
        let report = app.ops("GET", some, None).await.expect(200);
        assert_eq!(figures(&report["items"][0])[0], 1);
        // Within what somebody may see.
        let mut claims = app.claims(Audience::Staff, "eve", Scope::FulfilmentRead.as_str());
        claims.channels = Some(vec!["chan_01h455vb4pex5vsknk084sn02q".parse().unwrap()]);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let headers = [("Authorization", token.as_str())];
        let span = "from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z";
        let seen = app.send("GET", &format!("/v1/ops/reports/on-time?{span}"), &headers, None).await.expect(200);
        assert_eq!(seen["items"], json!([]));
        let foreign = format!("/v1/ops/reports/on-time?{span}&channel={}", shop.channel);
        app.send("GET", &foreign, &headers, None).await.problem(404, "not_found");
        let own = app.ops("GET", &format!("/reports/on-time?{span}&channel={}", shop.channel), None).await.expect(200);
        assert_eq!(own["items"].as_array().unwrap().len(), 2);
    });
}

#[test]
fn wrong_days_of_the_way_are_refused_by_name() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        let days = |countries: Value, min: i64, max: i64| json!({"countries": countries, "min": min, "max": max});
        for (pointer, transit) in [
            ("/transit_days/0/countries", json!([days(json!([]), 1, 2)])),
            ("/transit_days/1/countries/0", json!([days(json!(["DE"]), 1, 2), days(json!(["DE"]), 1, 2)])),
            ("/transit_days/0/min", json!([days(json!(["DE"]), -1, 2)])),
            ("/transit_days/0/max", json!([days(json!(["DE"]), 3, 2)])),
            ("/transit_days/0/max", json!([days(json!(["DE"]), 3, 366)])),
        ] {
            let method = json!({"channel_id": shop.channel, "code": "air", "name": "Air", "tax_class": "standard",
                "rates": [{"price": {"amount": "4.90", "currency": "EUR"}}], "transit_days": transit});
            let problem = app.ops("POST", "/shipping-methods", Some(&method)).await.problem(422, "invalid_value");
            assert_eq!(problem["pointer"], pointer, "{transit}");
        }
    });
}
