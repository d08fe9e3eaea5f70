//! Zones are reckoned with: cut-offs go by the clock of the location, days in filters by that of the channel.

use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{App, Shop, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

/// An order of the past, made by staff; gives its number.
async fn ordered(app: &App, channel: &str, at: &str) -> String {
    let cart = json!({
        "channel_id": channel, "lines": [{"sku": "TEE", "quantity": 1}], "email": "ada@example.org",
        "shipping_method": "standard", "shipping_address": crate::support::shop::address(), "occurred_at": at,
    });
    let cart = app.ops("POST", "/carts", Some(&cart)).await.expect(201);
    let path = format!("/carts/{}/complete", text(&cart["id"]));
    let done = app.ops("POST", &path, Some(&json!({"payment": {"method": "manual"}}))).await.expect(201);
    text(&done["order"]["number"])
}

/// When an order of the past should have left.
async fn due(app: &App, channel: &str, at: &str) -> String {
    let number = ordered(app, channel, at).await;
    let fulfilment = app.ops("GET", &format!("/orders/{number}/fulfilment"), None).await.expect(200);
    text(&fulfilment["fulfilment_orders"][0]["due_at"])
}

async fn change_location(app: &App, change: Value) -> Value {
    let locations = app.ops("GET", "/locations", None).await.expect(200);
    let path = format!("/locations/{}", text(&locations["items"][0]["id"]));
    app.ops("PATCH", &path, Some(&change)).await.expect(200)
}

#[test]
fn an_order_is_due_by_the_clock_of_the_location_that_ships_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 100)]).await;
        let due = async |at: &str| due(&app, &shop.channel, at).await;
        let location = app.ops("GET", "/locations", None).await.expect(200)["items"][0].clone();
        assert_eq!((&location["cut_off"], &location["handling_days"]), (&json!("14:00"), &json!(0)));
        // Berlin, on the two Fridays before the clocks are changed.
        for (at, expected) in [
            ("2025-03-28T12:59:59Z", "2025-03-28T23:00:00Z"),
            ("2025-03-28T13:00:00Z", "2025-03-31T22:00:00Z"),
            ("2025-03-31T11:59:59Z", "2025-03-31T22:00:00Z"),
            ("2025-10-24T11:59:59Z", "2025-10-24T22:00:00Z"),
            ("2025-10-24T12:00:00Z", "2025-10-27T23:00:00Z"),
        ] {
            assert_eq!(due(at).await, expected, "{at}");
        }
        let changed = change_location(&app, json!({"time_zone": "America/New_York", "cut_off": "16:30"})).await;
        assert_eq!((&changed["cut_off"], &changed["version"]), (&json!("16:30"), &json!(2)));
        // A Friday before the change there, then a Monday after it.
        assert_eq!(due("2025-03-07T21:29:59Z").await, "2025-03-08T05:00:00Z");
        assert_eq!(due("2025-03-07T21:30:00Z").await, "2025-03-11T04:00:00Z");
        assert_eq!(due("2025-03-10T20:29:59Z").await, "2025-03-11T04:00:00Z");
        let changed = change_location(&app, json!({"time_zone": "Asia/Tokyo", "handling_days": 2})).await;
        assert_eq!((&changed["cut_off"], &changed["handling_days"]), (&json!("16:30"), &json!(2)));
        assert_eq!(due("2025-03-07T07:29:59Z").await, "2025-03-11T15:00:00Z");
    });
}

#[test]
fn a_channel_may_promise_hours_and_a_wrong_cut_off_is_refused() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 100)]).await;
        let path = format!("/channels/{}", shop.channel);
        let channel = app.ops("GET", &path, None).await.expect(200);
        assert!(channel.get("due_hours").is_none(), "{channel}");
        let settings = json!({
            "currencies": ["EUR"], "locales": ["de-DE"], "countries": ["DE"], "time_zone": "Europe/Berlin",
            "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"},
            "payment_methods": ["manual"], "due_hours": 48
        });
        app.ops("PATCH", &path, Some(&json!({"settings": settings}))).await.expect(200);
        assert_eq!(due(&app, &shop.channel, "2025-03-28T13:00:00Z").await, "2025-03-30T13:00:00Z");
        let new = json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin"});
        for (field, wrong) in [
            ("cut_off", json!("2 pm")),
            ("cut_off", json!("24:00")),
            ("handling_days", json!(-1)),
            ("handling_days", json!(91)),
        ] {
            let mut new = new.clone();
            new[field] = wrong;
            let problem = app.ops("POST", "/locations", Some(&new)).await.problem(422, "invalid_value");
            assert_eq!(problem["pointer"], format!("/{field}"));
        }
    });
}

/// A second channel beside the shop's, in another zone.
async fn channel_in(app: &App, zone: &str) -> String {
    let known = app.ops("GET", "/channels", None).await.expect(200)["items"][0].clone();
    let channel = json!({
        "code": "second", "name": "Second", "legal_entity_id": known["legal_entity_id"],
        "settings": {
            "currencies": ["EUR"], "locales": ["de-DE"], "countries": ["DE"], "time_zone": zone,
            "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"},
            "payment_methods": ["manual"]
        }
    });
    let channel = text(&app.ops("POST", "/channels", Some(&channel)).await.expect(201)["id"]);
    let free = json!({"channel_id": channel, "code": "standard", "name": "Parcel", "tax_class": "standard",
        "rates": [{"price": {"amount": "0", "currency": "EUR"}}]});
    app.ops("POST", "/shipping-methods", Some(&free)).await.expect(201);
    channel
}

async fn numbers(app: &App, query: &str) -> Vec<String> {
    let page = app.ops("GET", &format!("/orders?{query}"), None).await.expect(200);
    page["items"].as_array().unwrap().iter().map(|order| text(&order["number"])).collect()
}

#[test]
fn days_in_the_search_of_orders_are_those_of_the_channel() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 100)]).await;
        let ours = shop.channel.as_str();
        // The first and the last second of the day that has 23 hours in Berlin, and those around it.
        let mut made = Vec::new();
        for at in ["2025-03-29T22:59:59Z", "2025-03-29T23:00:00Z", "2025-03-30T21:59:59Z", "2025-03-30T22:00:00Z"] {
            made.push(ordered(&app, ours, at).await);
        }
        let made: Vec<&str> = made.iter().map(String::as_str).collect();
        let [before, first, last, after] = made[..] else { panic!("{made:?}") };
        // While there is one zone, no channel has to be named.
        for channel in [String::new(), format!("&channel_id={ours}")] {
            let asked = async |query: &str| numbers(&app, &format!("{query}{channel}")).await;
            assert_eq!(asked("placed_from=2025-03-30&placed_to=2025-03-30").await, [last, first]);
            assert_eq!(asked("placed_from=2025-03-30").await, [after, last, first]);
            assert_eq!(asked("placed_to=2025-03-29").await, [before]);
            // An instant stays one, and its end is not in it.
            assert_eq!(asked("placed_from=2025-03-30T00:00:00Z&placed_to=2025-03-30T22:00:00Z").await, [last]);
        }
        let counted = app.ops("GET", "/orders?placed_from=2025-03-30&placed_to=2025-03-30&count=capped", None).await;
        assert_eq!(counted.expect(200)["count"], 2);
        let theirs = channel_in(&app, "America/New_York").await;
        let there = ordered(&app, &theirs, "2025-03-30T03:59:59Z").await;
        assert_eq!(numbers(&app, &format!("placed_to=2025-03-29&channel_id={theirs}")).await, [there.as_str()]);
        assert!(numbers(&app, &format!("placed_from=2025-03-30&channel_id={theirs}")).await.is_empty());
        // Now a day alone says too little, unless one sees one channel only.
        let refused = app.ops("GET", "/orders?placed_to=2025-03-29", None).await.problem(400, "invalid_query");
        assert_eq!(refused["pointer"], "placed_to");
        assert_eq!(numbers(&app, "placed_to=2025-03-29T22:59:59.5Z").await, [before]);
        let mut claims = app.claims(Audience::Staff, "eve", Scope::OrdersRead.as_str());
        claims.channels = Some(vec![theirs.parse().unwrap()]);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let path = "/v1/ops/orders?placed_from=2025-03-29&placed_to=2025-03-29";
        let seen = app.send("GET", path, &[("Authorization", &token)], None).await.expect(200);
        assert_eq!(seen["items"][0]["number"], there);
        for wrong in ["29.03.2025", "2025-3-29", "2025-02-29", "2025-03-29T10:00:00"] {
            let answer = app.ops("GET", &format!("/orders?placed_from={wrong}"), None).await;
            assert_eq!(answer.problem(400, "invalid_query")["pointer"], "placed_from", "{wrong}");
        }
    });
}

#[test]
fn days_in_the_figures_of_carts_are_those_of_the_channel() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 100)]).await;
        // It is Monday the second of March, ten o'clock in Berlin.
        let cart = shop.cart(&[("TEE", 1)]).await;
        shop.store("GET", &format!("/carts/{}", cart.id), Some(&cart.token), None).await.expect(200);
        let carts = async |query: &str| {
            let figures = app.ops("GET", &format!("/abandonment?{query}"), None).await.expect(200);
            figures["total"]["carts"].as_i64().unwrap_or_else(|| panic!("{figures}"))
        };
        assert_eq!(carts("from=2026-03-02&to=2026-03-02").await, 1);
        assert_eq!(carts("from=2026-03-01&to=2026-03-01").await, 0);
        assert_eq!(carts("from=2026-03-02T09:00:01Z&to=2026-03-02").await, 0);
        let far = channel_in(&app, "Pacific/Honolulu").await;
        let ask = async |query: &str| app.ops("GET", &format!("/abandonment?{query}"), None).await;
        assert_eq!(ask("from=2026-03-01").await.problem(400, "invalid_query")["pointer"], "from");
        ask(&format!("from=2026-03-01&to=2026-03-01&channel={far}")).await.expect(200);
        assert_eq!(carts(&format!("from=2026-03-02&to=2026-03-02&channel={}", shop.channel)).await, 1);
    });
}
