//! The feed of stock: what is told of levels, and what is not; and how a copy of them begins with a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use kontor::{events, http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    exports::{call, poll},
    support::{App, Shop, on_both},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

async fn all_of(app: &App, feed: &str) -> Vec<Value> {
    app.state.db.write(events::number).await.unwrap();
    let page = poll(app, &format!("{feed}?limit=200")).await;
    assert_eq!(page["has_more"], false);
    page["items"].as_array().unwrap().clone()
}

async fn fulfilment_of(app: &App, order: &Value) -> String {
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    let found = app.ops("GET", &path, None).await.expect(200);
    format!("/fulfilment-orders/{}", text(&found["fulfilment_orders"][0]["id"]))
}

#[test]
fn what_lies_on_hand_is_told_whatever_moves_it_and_what_orders_set_aside_is_not() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9), ("MUG", "5.00", 9)]).await;
        // What happened since the last look: what, by how much, and how much there is.
        let mut seen = 0;
        let mut since = async || {
            let events = all_of(&app, "stock").await;
            let said = |event: &Value| {
                let data = &event["data"];
                let kind = data["kind"].as_str().unwrap_or("adjusted").to_owned();
                (
                    kind,
                    text(&data["sku"]).to_owned(),
                    data["change"].as_i64().unwrap(),
                    data["on_hand"].as_i64().unwrap(),
                )
            };
            let new: BTreeSet<_> = events[seen..].iter().map(said).collect();
            assert_eq!(new.len(), events.len() - seen);
            seen = events.len();
            new.into_iter().collect::<Vec<_>>()
        };
        let told =
            |kind: &str, sku: &str, change: i64, on_hand: i64| (kind.to_owned(), sku.to_owned(), change, on_hand);
        assert_eq!(since().await, [told("adjusted", "MUG", 9, 9), told("adjusted", "TEE", 9, 9)]);
        // Ordering, and cancelling what was ordered, moves nothing that lies there.
        let order = shop.order(&[("TEE", 3), ("MUG", 1)]).await;
        let id = text(&order["id"]);
        let cancelled = text(&shop.order(&[("TEE", 1)]).await["id"]).to_owned();
        let cancel = json!({"reason": "x"});
        app.ops("POST", &format!("/orders/{cancelled}/cancel"), Some(&cancel)).await.expect(200);
        assert_eq!(since().await, []);
        let ship = format!("{}/ship", fulfilment_of(&app, &order).await);
        let two = json!({"lines": [{"line_no": 1, "quantity": 2}]});
        app.ops("POST", &ship, Some(&two)).await.expect(201);
        assert_eq!(since().await, [told("shipment", "TEE", -2, 7)]);
        // The rest, as another system tells of it.
        let token = format!("Bearer {}", app.token(Audience::Client, "wms", &[Scope::WritebackWrite]));
        let path = format!("/v1/integration/orders/{id}/shipments");
        let rest = json!({"system": "wms", "document": "LS-1"});
        app.send("POST", &path, &[("Authorization", &token)], Some(&rest)).await.expect(201);
        assert_eq!(since().await, [told("shipment", "MUG", -1, 8), told("shipment", "TEE", -1, 6)]);
        let back = |restock: bool| json!({"order": id, "lines": [{"line_no": 1, "quantity": 1}], "restock": restock});
        app.ops("POST", "/returns", Some(&back(true))).await.expect(201);
        app.ops("POST", "/returns", Some(&back(false))).await.expect(201);
        assert_eq!(since().await, [told("return", "TEE", 1, 7)]);
        let line = json!({"sku": "MUG", "quantity": 2, "unit_price": {"amount": "5.00", "currency": "EUR"}});
        let found = json!({"channel_id": shop.channel, "currency": "EUR", "lines": [line], "restock": true});
        app.ops("POST", "/returns", Some(&found)).await.expect(201);
        assert_eq!(since().await, [told("return", "MUG", 2, 10)]);
        // Of lines for the same level the last counts; what was so before is not told again.
        let keep = |pieces: i64| json!({"sku": "TEE", "location": "berlin", "safety": pieces});
        let mug = json!({"sku": "MUG", "location": "berlin", "safety": 0});
        for expected in [vec![told("safety", "TEE", 0, 7)], vec![]] {
            let safety = json!({"lines": [keep(1), mug, keep(2)]});
            app.ops("PATCH", "/stock/levels", Some(&safety)).await.expect(200);
            assert_eq!(since().await, expected);
        }
        mirrors(&app).await;
    });
}

/// Who takes the events one by one has what lies on hand and what is kept back; each level's come one after another.
async fn mirrors(app: &App) {
    let (mut copy, mut versions) = (BTreeMap::new(), BTreeMap::new());
    for event in all_of(app, "stock").await {
        let (name, data) = (text(&event["aggregate_id"]).to_owned(), event["data"].clone());
        assert_eq!(event["stream"], format!("stock:{name}"));
        let version = event["aggregate_version"].as_i64().unwrap();
        assert!(versions.insert(name.clone(), version) < Some(version), "{event}");
        copy.insert(name, (data["on_hand"].clone(), data["safety"].clone()));
    }
    let levels = app.ops("GET", "/stock/levels", None).await.expect(200);
    let level = |level: &Value| {
        let name = format!("{}@{}", text(&level["sku"]), text(&level["location"]));
        (name, (level["on_hand"].clone(), level["safety"].clone()))
    };
    assert_eq!(copy, levels["items"].as_array().unwrap().iter().map(level).collect());
}

#[test]
fn the_rows_of_a_snapshot_name_the_streams_of_their_events() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9), ("MUG", "5.00", 9)]).await;
        let order = shop.order(&[("TEE", 2)]).await;
        let ship = format!("{}/ship", fulfilment_of(&app, &order).await);
        app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
        let back = json!({"order": order["id"], "lines": [{"line_no": 1, "quantity": 1}], "restock": true});
        app.ops("POST", "/returns", Some(&back)).await.expect(201);
        let line = json!({"sku": "MUG", "quantity": 2, "unit_price": {"amount": "5.00", "currency": "EUR"}});
        let found = json!({"channel_id": shop.channel, "currency": "EUR", "lines": [line]});
        app.ops("POST", "/returns", Some(&found)).await.expect(201);
        let named = |item: &Value| (text(&item["stream"]).to_owned(), text(&item["aggregate_id"]).to_owned());
        let events: BTreeSet<_> = all_of(&app, "all").await.iter().map(named).collect();
        let copied = call(&app, "GET", "/snapshots/all?limit=200", None).await.expect(200);
        assert_eq!(copied["next_cursor"], Value::Null);
        let mut kinds = BTreeSet::new();
        for row in copied["items"].as_array().unwrap() {
            kinds.insert(text(&row["kind"]));
            assert!(events.contains(&named(row)), "no event is in the stream of {row}: {events:?}");
        }
        assert_eq!(kinds, BTreeSet::from(["fulfilment_order", "order", "return", "shipment", "stock_level"]));
    });
}
