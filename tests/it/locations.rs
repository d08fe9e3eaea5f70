//! What a location is: kind, address, position, calendar, capacity, whom it serves; and what of it is refused.

use serde_json::{Value, json};

use crate::support::{App, Shop, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

fn bremen() -> Value {
    json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin", "priority": 200})
}

fn with(mut base: Value, change: &Value) -> Value {
    for (name, value) in change.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}

fn described(channel: &str) -> Value {
    json!({
        "kind": "hub",
        "address": {"name": "Acme dock", "street1": "Am Hafen 1", "postcode": "28195", "city": "Bremen", "country": "DE"},
        "position": {"latitude": "53.0793", "longitude": "8.801694"},
        "calendar": {"working_days": ["saturday", "monday"], "holidays": ["2026-12-26", "2026-01-05"],
            "cut_offs": [{"day": "saturday", "cut_off": "10:00"}]},
        "orders_per_day": 500, "dock_units_per_day": 9000, "channels": [channel], "countries": ["DE", "AT"],
        "gs1_prefix": "4012345"
    })
}

#[test]
fn a_location_says_what_it_is_and_each_of_it_can_be_changed_and_cleared() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        // One that says nothing is a warehouse that works from Monday to Friday and serves all.
        let plain = app.ops("GET", "/locations", None).await.expect(200)["items"][0].clone();
        assert_eq!(
            (&plain["kind"], &plain["channels"], &plain["countries"]),
            (&json!("warehouse"), &json!([]), &json!([]))
        );
        let week = json!(["monday", "tuesday", "wednesday", "thursday", "friday"]);
        assert_eq!(plain["calendar"], json!({"working_days": week, "holidays": [], "cut_offs": []}));
        assert!(plain.get("position").is_none() && plain.get("gs1_prefix").is_none(), "{plain}");

        let wanted = described(&shop.channel);
        let made = app.ops("POST", "/locations", Some(&with(bremen(), &wanted))).await.expect(201);
        let path = format!("/locations/{}", text(&made["id"]));
        let read = app.ops("GET", &path, None).await.expect(200);
        assert_eq!(read, made);
        for (name, value) in wanted.as_object().unwrap() {
            if name != "calendar" {
                assert_eq!(&made[name], value, "{name}");
            }
        }
        let calendar = json!({"working_days": ["monday", "saturday"], "holidays": ["2026-01-05", "2026-12-26"],
            "cut_offs": [{"day": "saturday", "cut_off": "10:00"}]});
        assert_eq!(made["calendar"], calendar);
        // What is not named stays, what is null goes.
        let renamed = app.ops("PATCH", &path, Some(&json!({"name": "Bremen dock"}))).await.expect(200);
        assert_eq!((&renamed["position"], &renamed["calendar"]), (&made["position"], &made["calendar"]));
        let cleared = json!({"address": null, "position": null, "orders_per_day": null, "dock_units_per_day": null,
            "gs1_prefix": null, "channels": [], "countries": [], "kind": "store", "calendar": {}});
        let cleared = app.ops("PATCH", &path, Some(&cleared)).await.expect(200);
        for name in ["address", "position", "orders_per_day", "dock_units_per_day", "gs1_prefix"] {
            assert!(cleared.get(name).is_none(), "{name}: {cleared}");
        }
        assert_eq!((&cleared["kind"], &cleared["channels"]), (&json!("store"), &json!([])));
        assert_eq!(cleared["calendar"]["working_days"], week);
    });
}

#[test]
fn what_is_wrong_with_a_location_is_said_by_name() {
    on_both(|app| async move {
        Shop::open(&app, &[]).await;
        let many: Vec<String> = (0..1001).map(|day| format!("{}-01-{:02}", 2000 + day / 28, day % 28 + 1)).collect();
        let day = |day: &str, time: &str| json!({"day": day, "cut_off": time});
        let doubled = json!([day("monday", "10:00"), day("monday", "11:00")]);
        for (pointer, change) in [
            ("/position/latitude", json!({"position": {"latitude": "90.000001", "longitude": "0"}})),
            ("/position/longitude", json!({"position": {"latitude": "0", "longitude": "-180.5"}})),
            ("/position/latitude", json!({"position": {"latitude": 52, "longitude": "0"}})),
            ("/calendar/working_days", json!({"calendar": {"working_days": []}})),
            ("/calendar/working_days/1", json!({"calendar": {"working_days": ["monday", "monday"]}})),
            ("/calendar/working_days/0", json!({"calendar": {"working_days": ["mon"]}})),
            ("/calendar/holidays/1", json!({"calendar": {"holidays": ["2026-01-01", "2026-01-01"]}})),
            ("/calendar/holidays/0", json!({"calendar": {"holidays": ["2026-02-30"]}})),
            ("/calendar/holidays/0", json!({"calendar": {"holidays": ["1066-10-14"]}})),
            ("/calendar/holidays", json!({"calendar": {"holidays": many}})),
            ("/calendar/cut_offs/1", json!({"calendar": {"cut_offs": doubled}})),
            ("/calendar/cut_offs/0/day", json!({"calendar": {"cut_offs": [day("sunday", "10:00")]}})),
            ("/orders_per_day", json!({"orders_per_day": -1})),
            ("/dock_units_per_day", json!({"dock_units_per_day": 10_000_001})),
            ("/countries/1", json!({"countries": ["DE", "DE"]})),
            ("/gs1_prefix", json!({"gs1_prefix": "40123"})),
            ("/gs1_prefix", json!({"gs1_prefix": "40123AB"})),
            ("/kind", json!({"kind": "shed"})),
        ] {
            let made = app.ops("POST", "/locations", Some(&with(bremen(), &change))).await;
            assert_eq!(made.problem(422, "invalid_value")["pointer"], pointer, "{change}");
        }
        let nowhere = json!({"channels": ["chan_01h455vb4pex5vsknk084sn02q"]});
        let made = app.ops("POST", "/locations", Some(&with(bremen(), &nowhere))).await;
        assert_eq!(made.problem(404, "not_found")["pointer"], "/channels/0");
        let made = app.ops("POST", "/locations", Some(&bremen())).await.expect(201);
        let path = format!("/locations/{}", text(&made["id"]));
        app.ops("PATCH", &path, Some(&nowhere)).await.problem(404, "not_found");
        let wrong = json!({"calendar": {"working_days": []}});
        app.ops("PATCH", &path, Some(&wrong)).await.problem(422, "invalid_value");
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["version"], 1);
    });
}

/// When an order of the past, made by staff, should have left.
async fn due(app: &App, channel: &str, at: &str) -> String {
    let cart = json!({
        "channel_id": channel, "lines": [{"sku": "TEE", "quantity": 1}], "email": "ada@example.org",
        "shipping_method": "standard", "shipping_address": crate::support::shop::address(), "occurred_at": at,
    });
    let cart = app.ops("POST", "/carts", Some(&cart)).await.expect(201);
    let path = format!("/carts/{}/complete", text(&cart["id"]));
    let done = app.ops("POST", &path, Some(&json!({"payment": {"method": "manual"}}))).await.expect(201);
    let path = format!("/orders/{}/fulfilment", text(&done["order"]["number"]));
    text(&app.ops("GET", &path, None).await.expect(200)["fulfilment_orders"][0]["due_at"])
}

#[test]
fn orders_are_due_by_the_calendar_of_their_location() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 100)]).await;
        let berlin = text(&app.ops("GET", "/locations", None).await.expect(200)["items"][0]["id"]);
        let calendar = json!({"working_days": ["monday", "tuesday", "wednesday", "thursday", "saturday"],
            "holidays": ["2025-01-06"], "cut_offs": [{"day": "saturday", "cut_off": "10:00"}]});
        let path = format!("/locations/{berlin}");
        app.ops("PATCH", &path, Some(&json!({"calendar": calendar}))).await.expect(200);
        // A Thursday before and after the cut-off, then Saturday before and after its own; Monday is a holiday.
        for (at, expected) in [
            ("2025-01-02T12:59:00Z", "2025-01-02T23:00:00Z"),
            ("2025-01-02T13:00:00Z", "2025-01-04T23:00:00Z"),
            ("2025-01-04T08:59:00Z", "2025-01-04T23:00:00Z"),
            ("2025-01-04T09:00:00Z", "2025-01-07T23:00:00Z"),
        ] {
            assert_eq!(due(&app, &shop.channel, at).await, expected, "{at}");
        }
    });
}
