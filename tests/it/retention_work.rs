//! What has ended in a warehouse is dropped after as many days as the settings say, and what is still going on never.

use kontor::{db::sql, kernel::Id, process};
use serde_json::{Value, json};

use crate::support::{App, Shop, on_both_set};

const DAY: i64 = 86_400;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn turns(app: &App) {
    process::runner(&app.state).run_all_turns().await.unwrap();
}

/// A fulfilment order of a new order.
async fn work(app: &App, shop: &Shop) -> String {
    let order = shop.order(&[("TEE", 1)]).await;
    let found = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
    text(&found["fulfilment_orders"][0]["id"])
}

async fn marks(app: &App) -> i64 {
    app.count("SELECT count(*) FROM tracking_marks").await
}

#[test]
fn what_ended_in_a_warehouse_is_dropped_after_a_while() {
    on_both_set(
        |settings| settings.retention.warehouse_days = 30,
        |app| async move {
            let shop = Shop::open(&app, &[("TEE", "20.00", 20)]).await;
            work(&app, &shop).await;
            let wave = app.ops("POST", "/waves", Some(&json!({"location": "berlin"}))).await.expect(201);
            let wave = format!("/waves/{}", text(&wave["id"]));
            app.ops("POST", &format!("{wave}/cancel"), Some(&json!({}))).await.expect(200);
            // A parcel that arrives, and one that nobody hears of any more.
            let mut parcels = Vec::new();
            for _ in 0..2 {
                let path = format!("/fulfilment-orders/{}/ship", work(&app, &shop).await);
                parcels.push(text(&app.ops("POST", &path, Some(&json!({}))).await.expect(201)["id"]));
            }
            let scan = |parcel: &str, mark: &'static str| {
                let (app, path, at) = (app.clone(), format!("/shipments/{parcel}/scans"), app.now());
                let body = json!({"text": mark, "at": at, "mark": mark});
                async move { app.ops("POST", &path, Some(&body)).await.expect(200) }
            };
            for parcel in &parcels {
                scan(parcel, "in_transit").await;
            }
            app.clock.advance_seconds(60);
            scan(&parcels[0], "delivered").await;
            assert_eq!(marks(&app).await, 3);
            // A task at a dock and a match that came to nothing, as they lie in their tables; and such that go on.
            let (now, location) =
                (app.now(), text(&app.ops("GET", "/locations", None).await.expect(200)["items"][0]["id"]));
            let place: kontor::kernel::ids::LocationId = location.parse().unwrap();
            let docks = move |tx: &mut kontor::db::Tx| {
                for (task, held, ended) in [("done", "cancelled", Some(now)), ("open", "planned", None)] {
                    let any = Id::<kontor::kernel::ids::Order>::new;
                    sql("INSERT INTO dock_tasks (id, location_id, inbound_shipment_id, kind, state, created_at, ended_at) \
                         VALUES (?, ?, ?, 'unload', ?, ?, ?)")
                    .bind(any()).bind(place).bind(any()).bind(task).bind(now).bind(ended)
                    .execute(tx)?;
                    if held == "cancelled" {
                        sql("INSERT INTO dock_matches (id, location_id, inbound_shipment_id, inbound_line, fulfilment_order_id, \
                               line_no, variant_id, sku, way, state, quantity, late, ready_at, due_at, created_at, ended_at) \
                             VALUES (?, ?, ?, 1, ?, 1, ?, 'TEE', 'direct', ?, 1, ?, ?, ?, ?, ?)")
                        .bind(any()).bind(place).bind(any()).bind(any()).bind(any()).bind(held).bind(false)
                        .bind(now).bind(now).bind(now).bind(ended)
                        .execute(tx)?;
                    }
                }
                Ok::<(), kontor::error::Error>(())
            };
            app.state.db.write(docks).await.unwrap();
            app.clock.advance_seconds(29 * DAY);
            turns(&app).await;
            let kept = app.ops("GET", &wave, None).await.expect(200);
            assert_eq!((&kept["state"], marks(&app).await), (&json!("cancelled"), 3));
            app.clock.advance_seconds(2 * DAY);
            // One that ends later stays.
            let open = app.ops("POST", "/waves", Some(&json!({"location": "berlin"}))).await.expect(201);
            let open = format!("/waves/{}", text(&open["id"]));
            turns(&app).await;
            app.ops("GET", &wave, None).await.problem(404, "not_found");
            app.ops("GET", &open, None).await.expect(200);
            let left = app.count("SELECT count(*) FROM wave_orders").await;
            assert_eq!((left, marks(&app).await), (1, 1));
            assert_eq!(app.count("SELECT count(*) FROM dock_tasks").await, 1);
            assert_eq!(app.count("SELECT count(*) FROM dock_matches").await, 0);
            // What has arrived stays so whatever is heard later; the other is where it is heard of next.
            scan(&parcels[0], "in_transit").await;
            scan(&parcels[1], "out_for_delivery").await;
            let found = |parcel: &str| {
                let (app, path) = (app.clone(), format!("/shipments/{parcel}"));
                async move { app.ops("GET", &path, None).await.expect(200)["tracking"].clone() }
            };
            assert_eq!(found(&parcels[0]).await, "delivered");
            assert_eq!(found(&parcels[1]).await, "out_for_delivery");
            app.ops("POST", &format!("{open}/cancel"), Some(&json!({}))).await.expect(200);
            app.state.db.write(|tx| sql("DELETE FROM dock_tasks").execute(tx).map(|_| ())).await.unwrap();
        },
    );
}
