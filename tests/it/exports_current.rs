//! `view=current`: the newest document of what an event tells of, in every mode and format.

use std::collections::HashMap;

use kontor::{abandonment, http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    exports::{call, poll},
    support::{App, Shop, eventually, on_both},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// An order that was shipped in part, delivered, in part sent back, invoiced elsewhere; and an abandoned cart that was
/// ordered after all.
async fn a_full_life(app: &App) -> (Value, Value) {
    let shop = Shop::open(app, &[("TEE", "10.00", 20), ("MUG", "5.00", 20)]).await;
    let cart = shop.cart(&[("MUG", 2)]).await;
    app.clock.advance_seconds(3600);
    abandonment::detect(&app.state, app.now()).await.unwrap();
    let late = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
    abandonment::recover(&app.state, app.now()).await.unwrap();
    let order = shop.order(&[("TEE", 2), ("MUG", 1)]).await;
    let path = format!("/orders/{}", text(&order["id"]));
    let found = app.ops("GET", &format!("{path}/fulfilment"), None).await.expect(200);
    let fulfilment = format!("/fulfilment-orders/{}", text(&found["fulfilment_orders"][0]["id"]));
    app.ops("POST", &format!("{fulfilment}/pick"), Some(&json!({}))).await.expect(200);
    let part = json!({"lines": [{"line_no": 1, "quantity": 2}], "carrier": "DHL", "tracking_number": "0034"});
    let parcel = app.ops("POST", &format!("{fulfilment}/ship"), Some(&part)).await.expect(201);
    app.ops("POST", &format!("/shipments/{}/deliver", text(&parcel["id"])), Some(&json!({}))).await.expect(200);
    let captured = || async { app.ops("GET", &path, None).await.expect(200)["payment_state"] == "partially_captured" };
    eventually("captured", captured).await;
    let back = json!({"order": order["id"], "lines": [{"line_no": 1, "quantity": 1}], "refund": true, "restock": true, "location": "berlin"});
    app.ops("POST", "/returns", Some(&back)).await.expect(201);
    let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::WritebackWrite]));
    let invoice = json!({"system": "sap", "number": "R-1", "amount": {"amount": "20.00", "currency": "EUR"}});
    let route = format!("/v1/integration{path}/invoices");
    app.send("POST", &route, &[("Authorization", &token)], Some(&invoice)).await.expect(201);
    let refunded = || async { app.ops("GET", "/returns", None).await.expect(200)["items"][0]["state"] == "refunded" };
    eventually("refunded", refunded).await;
    app.state.db.write(kontor::events::number).await.unwrap();
    (app.ops("GET", &path, None).await.expect(200), late)
}

/// The items of a page by their events' ids, as JSON has them.
fn by_id(items: impl Iterator<Item = (String, Value)>) -> HashMap<String, Value> {
    items.collect()
}

fn of_page(page: &Value) -> HashMap<String, Value> {
    by_id(page["items"].as_array().unwrap().iter().map(|item| (text(&item["id"]).to_owned(), item["data"].clone())))
}

#[test]
fn the_current_view_gives_the_newest_of_everything_that_has_one_in_every_mode_and_format() {
    on_both(|app| async move {
        let (order, late) = a_full_life(&app).await;
        let id = text(&order["id"]);
        let newest = poll(&app, "all?view=current&limit=200").await;
        let then = of_page(&poll(&app, "all?limit=200").await);
        assert_eq!(newest["has_more"], false);
        let fulfilment = app.ops("GET", &format!("/orders/{id}/fulfilment"), None).await.expect(200);
        let returned = app.ops("GET", "/returns", None).await.expect(200)["items"][0].clone();
        let levels = app.ops("GET", "/stock/levels", None).await.expect(200);
        let mut kinds: Vec<&str> = Vec::new();
        for item in newest["items"].as_array().unwrap() {
            let (kind, data) = (text(&item["type"]), &item["data"]);
            let was = &then[text(&item["id"])];
            kinds.push(kind);
            match kind.split('.').next().unwrap() {
                "order" | "payment" if item["aggregate_id"] == id => assert_eq!(data, &order, "{kind}"),
                "order" | "payment" => assert_eq!(data["id"], late["id"]),
                "fulfilment_order" if data["order_id"] == id => {
                    let of_it = fulfilment["fulfilment_orders"][0].as_object().unwrap().iter();
                    // What only the event tells stays: where it goes.
                    let mut with =
                        of_it.map(|(name, value)| (name.as_str(), value)).chain([("ship_to", &was["ship_to"])]);
                    assert!(with.all(|(name, value)| data[name] == *value), "{kind}: {data}");
                    assert_eq!(kind == "fulfilment_order.opened.v1", was["ship_to"].is_object());
                }
                "fulfilment_order" => assert_eq!(data["order_id"], late["id"]),
                "shipment" => {
                    assert_eq!((&data["state"], &data["order_state"]), (&json!("delivered"), &order["state"]));
                    assert_eq!(data["payment_state"], order["payment_state"]);
                }
                "return" => {
                    assert_eq!((&data["state"], &was["state"]), (&json!("refunded"), &json!("refund_pending")));
                    assert_eq!(data["version"], returned["version"]);
                }
                "stock" => {
                    let level = levels["items"].as_array().unwrap().iter().find(|level| level["sku"] == data["sku"]);
                    assert_eq!(Some(data), level);
                    // All that was counted, and then what a parcel and a return have left of it.
                    let all = kind == "stock.adjusted.v1";
                    assert_eq!((was["on_hand"] == 20, was["available"] == 20), (all, all), "{was}");
                }
                "cart" => {
                    assert_eq!(data["order_id"], late["id"]);
                    assert_eq!(data["lines"], was["lines"]);
                }
                _ => assert_eq!(data, was, "{kind}"),
            }
        }
        for kind in [
            "order.placed.v1",
            "payment.refunded.v1",
            "fulfilment_order.opened.v1",
            "fulfilment_order.picked.v1",
            "shipment.shipped.v1",
            "return.received.v1",
            "invoice.recorded.v1",
            "stock.adjusted.v1",
            "stock.changed.v1",
            "cart.abandoned.v1",
            "cart.recovered.v1",
        ] {
            assert!(kinds.contains(&kind), "{kind} is not among {kinds:?}");
        }
        every_mode_says_the_same(&app, &of_page(&newest)).await;
        // A narrow feed gives the same, and an erased or unknown thing its own.
        for feed in ["orders", "fulfilments", "stock", "carts"] {
            for (id, data) in of_page(&poll(&app, &format!("{feed}?view=current&limit=200")).await) {
                assert_eq!(data, of_page(&newest)[&id], "{feed}");
            }
        }
    });
}

async fn every_mode_says_the_same(app: &App, newest: &HashMap<String, Value>) {
    let leased = poll(app, "all?consumer=erp&view=current&limit=200&lease_seconds=5").await;
    assert_eq!(&of_page(&leased), newest);
    // Handed out again, and as a table.
    app.clock.advance_seconds(6);
    let csv = call(app, "GET", "/feeds/all?consumer=erp&view=current&limit=200&lease_seconds=5&format=csv", None).await;
    assert!(csv.header("kontor-lease").is_some() && csv.header("kontor-next-cursor").is_none());
    assert_eq!(&of_csv(&csv.text), newest);
    let csv = call(app, "GET", "/feeds/all?view=current&limit=200&format=csv", None).await;
    assert_eq!(&of_csv(&csv.text), newest);
    let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::FeedsRead]));
    let headers = [("Authorization", token.as_str()), ("Accept", "application/x-ndjson")];
    let lines = app.send("GET", "/v1/integration/feeds/all?view=current&limit=200", &headers, None).await;
    assert!(lines.header("content-type").unwrap().starts_with("application/x-ndjson"));
    assert!(lines.header("kontor-next-cursor").is_some());
    let items = lines.text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert_eq!(&by_id(items.map(|item| (text(&item["id"]).to_owned(), item["data"].clone()))), newest);
}

fn of_csv(csv: &str) -> HashMap<String, Value> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows = reader.records().map(|row| row.unwrap()).collect::<Vec<_>>();
    by_id(rows.iter().map(|row| (row[1].to_owned(), serde_json::from_str(&row[9]).unwrap())))
}
