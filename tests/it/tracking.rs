//! Parcels on their way: whatever order the scans come in, they end at the same place; what does not arrive leads somewhere.

use kontor::{db::sql, kernel::Instant};
use serde_json::{Value, json};

use crate::support::{App, Shop, on_both};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// A shipped order: the order and its shipment.
async fn shipped(app: &App, shop: &Shop) -> (Value, Value) {
    let order = shop.order(&[("TEE", 1)]).await;
    let found = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
    let path = format!("/fulfilment-orders/{}/ship", text(&found["fulfilment_orders"][0]["id"]));
    let body = json!({"carrier": "DHL", "tracking_number": text(&order["number"])});
    (order, app.ops("POST", &path, Some(&body)).await.expect(201))
}

async fn scan(app: &App, shipment: &Value, at: Instant, mark: &str) -> Value {
    let body = json!({"text": format!("said: {mark}"), "at": at, "mark": mark});
    let path = format!("/shipments/{}/scans", text(&shipment["id"]));
    app.ops("POST", &path, Some(&body)).await.expect(200)
}

/// The types of an order's events, those too that have no number yet: the timeline tells of them a moment later.
async fn kinds(app: &App, order: &Value) -> Vec<String> {
    let stream = text(&order["id"]).to_owned();
    let query = "SELECT type FROM events WHERE stream = ? ORDER BY seq";
    app.read(move |tx| sql(query).bind(stream.clone()).load::<diesel::sql_types::Text, String>(tx)).await
}

async fn waiting(app: &App) -> Vec<Value> {
    let found = app.ops("GET", "/worklists/undelivered_parcels", None).await.expect(200);
    found["items"].as_array().unwrap().clone()
}

/// Some of the orders that so many things can come in.
fn orders_of(count: usize) -> Vec<Vec<usize>> {
    let forward: Vec<usize> = (0..count).collect();
    let mut orders = vec![forward.clone(), forward.iter().rev().copied().collect()];
    for step in [2, 3] {
        orders.push((0..step).flat_map(|first| (first..count).step_by(step)).collect());
        orders.push((0..step).rev().flat_map(|first| (first..count).step_by(step).collect::<Vec<_>>()).collect());
    }
    orders
}

#[test]
fn scans_in_any_order_and_doubled_end_at_the_same_place() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        let ways: &[(&[&str], &str)] = &[
            (&["in_transit", "out_for_delivery", "failed_attempt", "out_for_delivery", "delivered"], "delivered"),
            (&["in_transit", "failed_attempt", "returned_to_sender", "in_transit"], "returned_to_sender"),
            (&["in_transit", "lost", "in_transit"], "in_transit"),
        ];
        for (way, end) in ways {
            let mut ends = Vec::new();
            for order in orders_of(way.len()) {
                let (placed, shipment) = shipped(&app, &shop).await;
                assert_eq!(text(&shipment["tracking"]), "announced");
                app.clock.advance_seconds(600);
                let left: Instant = text(&shipment["shipped_at"]).parse().unwrap();
                for place in order.iter().chain(order.first()) {
                    let at = left.plus_seconds(60 * i64::try_from(*place).unwrap());
                    scan(&app, &shipment, at, way[*place]).await;
                }
                let path = format!("/shipments/{}", text(&shipment["id"]));
                let found = app.ops("GET", &path, None).await.expect(200);
                assert_eq!(text(&found["tracking"]), *end, "{way:?} {order:?}");
                let state = if *end == "delivered" { "delivered" } else { "shipped" };
                assert_eq!(text(&found["state"]), state);
                let claim = app.ops("GET", &format!("{path}/claim"), None).await;
                let claim = (claim.status == 200).then(|| claim.expect(200)).filter(|claim| claim["state"] == "open");
                assert_eq!(claim.is_some(), *end == "returned_to_sender", "{way:?} {order:?}");
                let seen: Vec<String> =
                    found["scans"].as_array().unwrap().iter().map(|scan| text(&scan["text"]).to_owned()).collect();
                ends.push(seen);
                let delivered =
                    kinds(&app, &placed).await.iter().filter(|kind| *kind == "shipment.delivered.v1").count();
                assert_eq!(delivered, usize::from(*end == "delivered"));
                let told = app.ops("GET", &format!("/orders/{}/status", text(&placed["id"])), None).await;
                assert!(told.status == 404 || told.expect(200)["parcels"][0]["tracking"] == *end);
            }
            assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{ends:?}");
        }
    });
}

#[test]
fn a_lost_parcel_waits_for_a_person_until_it_turns_up_or_is_settled() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let (order, shipment) = shipped(&app, &shop).await;
        let path = format!("/shipments/{}/claim", text(&shipment["id"]));
        app.ops("GET", &path, None).await.problem(404, "not_found");
        let later = || {
            app.clock.advance_seconds(60);
            app.now()
        };
        scan(&app, &shipment, later(), "lost").await;
        let items = waiting(&app).await;
        assert_eq!((items.len(), text(&items[0]["link"])), (1, format!("/v1/ops{path}").as_str()));
        scan(&app, &shipment, later(), "in_transit").await;
        assert_eq!(waiting(&app).await.len(), 0);
        assert_eq!(text(&app.ops("GET", &path, None).await.expect(200)["state"]), "withdrawn");
        let settle = json!({"resolution": "refunded", "note": "case 4711"});
        app.ops("POST", &format!("{path}/settle"), Some(&settle)).await.problem(409, "state_conflict");
        scan(&app, &shipment, later(), "lost").await;
        let settled = app.ops("POST", &format!("{path}/settle"), Some(&settle)).await.expect(200);
        assert_eq!((text(&settled["state"]), text(&settled["resolution"])), ("settled", "refunded"));
        assert_eq!(waiting(&app).await.len(), 0);
        // What somebody has seen to stays so; that it has arrived after all is seen in the shipment.
        scan(&app, &shipment, later(), "delivered").await;
        let claim = app.ops("GET", &path, None).await.expect(200);
        assert_eq!((text(&claim["state"]), &claim["actions"][0]["allowed"]), ("settled", &json!(false)));
        let kinds = kinds(&app, &order).await;
        for kind in ["shipment.lost.v1", "shipment.in_transit.v1", "shipment.delivered.v1"] {
            assert!(kinds.iter().any(|known| known == kind), "{kind} in {kinds:?}");
        }
        let listed = app.ops("GET", "/shipment-claims?state=settled", None).await.expect(200);
        assert_eq!(listed["items"][0]["shipment_id"], shipment["id"]);
    });
}

#[test]
fn told_by_hand_or_by_the_carrier_it_arrives_once_and_at_the_earliest_time() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let (order, shipment) = shipped(&app, &shop).await;
        let path = format!("/shipments/{}", text(&shipment["id"]));
        app.clock.advance_seconds(60);
        let (deliver, nothing) = (format!("{path}/deliver"), json!({}));
        let delivering = app.ops("POST", &deliver, Some(&nothing));
        let (by_hand, by_carrier) = futures::join!(delivering, scan(&app, &shipment, app.now(), "delivered"));
        assert!(matches!(by_hand.status, 200 | 409), "{}", by_hand.text);
        assert_eq!(text(&by_carrier["tracking"]), "delivered");
        let delivered = kinds(&app, &order).await.iter().filter(|kind| *kind == "shipment.delivered.v1").count();
        assert_eq!(delivered, 1);
        // A later word of an earlier time, and a late one of something before.
        let known: Instant = text(&by_carrier["delivered_at"]).parse().unwrap();
        let left: Instant = text(&by_carrier["shipped_at"]).parse().unwrap();
        assert!(known >= left);
        let told = scan(&app, &shipment, left, "delivered").await;
        assert_eq!(text(&told["delivered_at"]).parse::<Instant>().unwrap(), left);
        assert_eq!(text(&scan(&app, &shipment, left, "lost").await["tracking"]), "delivered");
        assert_eq!(waiting(&app).await.len(), 0);
        let body = json!({"text": "x", "mark": "eaten"});
        app.ops("POST", &format!("{path}/scans"), Some(&body)).await.problem(422, "invalid_value");
    });
}
