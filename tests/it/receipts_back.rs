//! What was received wrongly is taken back: from the stock, its lots, the purchase order, the dock, a transfer.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    crossdock::{hub, list, order, plan},
    inbound::{PALLET, announce, receive, text, to_come},
    support::{Answer, App, Shop, on_both, on_both_idle},
};

async fn correct(app: &App, id: &str, body: Value) -> Answer {
    app.ops("POST", &format!("/inbound-shipments/{id}/correct"), Some(&body)).await
}

fn pieces(line_no: i64, quantity: i64) -> Value {
    json!({"lines": [{"line_no": line_no, "quantity": quantity}], "reason": "counted twice"})
}

async fn level(app: &App, sku: &str) -> (i64, i64) {
    let levels = app.ops("GET", &format!("/stock/levels?sku={sku}&location=berlin"), None).await.expect(200);
    let of = |field: &str| levels["items"][0][field].as_i64().unwrap_or_default();
    (of("on_hand"), of("available"))
}

/// How many of each lot lie at Berlin.
async fn lots(app: &App, sku: &str) -> Vec<(String, i64)> {
    let held = app.ops("GET", &format!("/lots?sku={sku}&location=berlin"), None).await.expect(200);
    let one = |lot: &Value| (text(&lot["number"]), lot["quantity"].as_i64().unwrap());
    let mut all: Vec<_> = held["items"].as_array().unwrap().iter().map(one).collect();
    all.sort();
    all
}

#[test]
fn what_was_received_wrongly_is_expected_again() {
    on_both(|app| async move {
        let _shop = Shop::open(&app, &[("TEE", "19.90", 2), ("MUG", "9.90", 0)]).await;
        let order = json!({"number": "PO-1", "supplier": "Mill", "location": "berlin", "expected_at": app.now().plus_seconds(90_000),
            "lines": [{"sku": "TEE", "quantity": 10}]});
        let order = app.ops("POST", "/purchase-orders", Some(&order)).await.expect(201);
        let purchase = format!("/purchase-orders/{}", text(&order["id"]));
        app.ops("POST", &format!("{purchase}/order"), None).await.expect(200);
        let new = json!({"purchase_order_id": order["id"], "expected_at": app.now().plus_seconds(3600),
            "lines": [{"sku": "TEE", "quantity": 10, "lot": "A1"}]});
        let id = text(&app.ops("POST", "/inbound-shipments", Some(&new)).await.expect(201)["id"]);
        correct(&app, &id, pieces(1, 1)).await.problem(409, "state_conflict");
        let over = json!({"lines": [{"line_no": 1, "quantity": 12}], "accept_over": true});
        receive(&app, &id, over).await.expect(200);
        assert_eq!((level(&app, "TEE").await.0, lots(&app, "TEE").await), (14, vec![("A1".to_owned(), 12)]));
        let refused = correct(&app, &id, pieces(1, 13)).await.problem(409, "quantity_exceeded");
        assert_eq!((&refused["left"], &refused["pointer"]), (&json!(12), &json!("/lines/0")));
        correct(&app, &id, pieces(2, 1)).await.problem(422, "line_unknown");
        correct(&app, &id, json!({"reason": "x"})).await.problem(422, "missing_field");
        let wrong_lot = json!({"lines": [{"line_no": 1, "quantity": 1, "lot": "B"}], "reason": "x"});
        correct(&app, &id, wrong_lot).await.problem(404, "not_found");
        // Of twelve two were too many, and three have not come.
        let back = correct(&app, &id, pieces(1, 5)).await.expect(200);
        let line = &back["lines"][0];
        assert_eq!(
            (
                text(&back["state"]),
                &line["received"],
                &line["surplus"],
                &back["corrections"][0]["lines"][0]["quantity"]
            ),
            ("receiving".to_owned(), &json!(7), &json!(0), &json!(5))
        );
        assert_eq!((level(&app, "TEE").await.0, lots(&app, "TEE").await), (9, vec![("A1".to_owned(), 7)]));
        assert_eq!(to_come(&app, "TEE").await, 3);
        let read = app.ops("GET", &purchase, None).await.expect(200);
        assert_eq!(
            (text(&read["state"]), &read["lines"][0]["received"], &read["lines"][0]["announced"]),
            ("partially_received".to_owned(), &json!(7), &json!(10))
        );
        let movements = app.ops("GET", "/stock/movements?sku=TEE", None).await.expect(200);
        let last = &movements["items"][0];
        assert_eq!(
            (&last["kind"], &last["on_hand"], &last["reference"], &last["reason"]),
            (&json!("correction"), &json!(-5), &json!(id), &json!("counted twice"))
        );
        // Nothing of it has come: then it is not known to have arrived either.
        let back = correct(&app, &id, pieces(1, 7)).await.expect(200);
        assert_eq!((text(&back["state"]), back["received_at"].is_null()), ("announced".to_owned(), true));
        let read = app.ops("GET", &purchase, None).await.expect(200);
        assert_eq!((text(&read["state"]), &read["lines"][0]["received"]), ("ordered".to_owned(), &json!(0)));
        receive(&app, &id, json!({})).await.expect(200);
        assert_eq!((level(&app, "TEE").await.0, lots(&app, "TEE").await), (12, vec![("A1".to_owned(), 10)]));
        // Of what is closed nothing is expected.
        correct(&app, &id, pieces(1, 4)).await.expect(200);
        let why = json!({"reason": "no more"});
        app.ops("POST", &format!("/inbound-shipments/{id}/close"), Some(&why)).await.expect(200);
        let back = correct(&app, &id, pieces(1, 2)).await.expect(200);
        assert_eq!((text(&back["state"]), &back["lines"][0]["short"]), ("closed".to_owned(), &json!(6)));
        let read = app.ops("GET", &purchase, None).await.expect(200);
        assert_eq!((&read["lines"][0]["received"], &read["lines"][0]["announced"]), (&json!(4), &json!(4)));
        assert_eq!(to_come(&app, "TEE").await, 6);
    });
}

#[test]
fn what_belongs_to_somebody_or_has_left_is_not_taken_back() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        let id = announce(&app, &[("TEE", 6, Some(PALLET))]).await;
        receive(&app, &id, json!({})).await.expect(200);
        let order = shop.order(&[("TEE", 4)]).await;
        let found = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
        let work = text(&found["fulfilment_orders"][0]["id"]);
        app.ops("POST", &format!("/fulfilment-orders/{work}/pick"), Some(&json!({}))).await.expect(200);
        let refused = correct(&app, &id, pieces(1, 3)).await.problem(409, "state_conflict");
        assert_eq!((&refused["left"], &refused["picked"]), (&json!(2), &json!(4)));
        let unit = json!({"units": [PALLET], "reason": "another pallet"});
        correct(&app, &id, unit.clone()).await.problem(409, "state_conflict");
        app.ops("POST", &format!("/fulfilment-orders/{work}/ship"), Some(&json!({}))).await.expect(201);
        correct(&app, &id, unit).await.problem(409, "stock_negative");
        let back = correct(&app, &id, pieces(1, 2)).await.expect(200);
        assert_eq!((&back["units"][0]["state"], level(&app, "TEE").await), (&json!("expected"), (0, 0)));
        // The rest of the unit comes with it again.
        receive(&app, &id, json!({"units": [PALLET]})).await.expect(200);
        assert_eq!(level(&app, "TEE").await, (2, 2));
    });
}

#[test]
fn a_receipt_is_taken_back_once_whatever_else_happens() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 0), ("MUG", "9.90", 0)]).await;
        let id = announce(&app, &[("TEE", 10, None), ("MUG", 5, None)]).await;
        receive(&app, &id, json!({})).await.expect(200);
        let all = join_all((0..6).map(|_| correct(&app, &id, pieces(1, 4)))).await;
        assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 2);
        assert!(all.iter().all(|answer| matches!(answer.status, 200 | 409)), "{all:?}");
        assert_eq!(level(&app, "TEE").await, (2, 2));
        // Orders that pick and ship, against what takes the goods away: either the order has them, or they have not come.
        let order = shop.order(&[("MUG", 3)]).await;
        let found = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
        let work = text(&found["fulfilment_orders"][0]["id"]);
        let ship = async |what: &str| {
            app.ops("POST", &format!("/fulfilment-orders/{work}/{what}"), Some(&json!({}))).await.status
        };
        let back = join_all((0..4).map(|_| correct(&app, &id, pieces(2, 2))));
        let (back, picked) = futures::future::join(back, ship("pick")).await;
        // Whoever picks first keeps the order's three; else four of the five have not come, and what was picked waits for them.
        let won = back.iter().filter(|answer| answer.status == 200).count();
        assert!((1..=2).contains(&won) && picked == 200, "{won} {picked}");
        if won == 2 {
            assert_eq!(ship("ship").await, 409);
            receive(&app, &id, json!({"lines": [{"line_no": 2, "quantity": 2}]})).await.expect(200);
        }
        let back = join_all((0..4).map(|_| correct(&app, &id, pieces(2, 1))));
        let (back, shipped) = futures::future::join(back, ship("ship")).await;
        assert_eq!((back.iter().filter(|answer| answer.status == 200).count(), shipped), (0, 201));
        assert_eq!(level(&app, "MUG").await, (0, 0));
    });
}

#[test]
fn what_crosses_the_dock_is_let_go_until_it_is_loaded() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        let found = app.ops("GET", "/variants?sku=TEE", None).await.expect(200);
        let path = format!("/variants/{}", text(&found["items"][0]["id"]));
        app.ops("PATCH", &path, Some(&json!({"backorder_policy": "allow"}))).await.expect(200);
        let locations = app.ops("GET", "/locations", None).await.expect(200);
        let dock = text(&locations["items"][0]["id"]);
        app.ops("PATCH", &format!("/docks/{dock}"), Some(&json!({"lead_minutes": 30}))).await.expect(200);
        shop.order(&[("TEE", 3)]).await;
        shop.order(&[("TEE", 2)]).await;
        let id = announce(&app, &[("TEE", 8, None)]).await;
        app.ops("POST", &format!("/inbound-shipments/{id}/arrive"), None).await.expect(200);
        receive(&app, &id, json!({})).await.expect(200);
        let tasks = async |kind: &str| -> Vec<Value> {
            let found = app.ops("GET", &format!("/docks/{dock}/tasks"), None).await.expect(200);
            found["items"].as_array().unwrap().iter().filter(|task| task["kind"] == kind).cloned().collect()
        };
        assert_eq!((tasks("load").await.len(), tasks("put_away").await[0]["quantity"].as_i64()), (2, Some(3)));
        // What lies beside goes first.
        let back = correct(&app, &id, pieces(1, 1)).await.expect(200);
        assert_eq!(
            (&back["lines"][0]["docked"], tasks("put_away").await[0]["quantity"].as_i64()),
            (&json!(5), Some(2))
        );
        assert_eq!(tasks("unload").await.len(), 1);
        let back = correct(&app, &id, pieces(1, 3)).await.expect(200);
        let docked = back["lines"][0]["docked"].as_i64().unwrap();
        assert!(docked < 5 && tasks("load").await.len() == 1, "{back}");
        // What is loaded is in its order's parcel.
        let task = tasks("sort").await.remove(0);
        let scan = json!({"scan": "TEE"});
        for task in [task, tasks("load").await.remove(0)] {
            app.ops("POST", &format!("/dock-tasks/{}/done", text(&task["id"])), Some(&scan)).await.expect(200);
        }
        let refused = correct(&app, &id, pieces(1, 4)).await.problem(409, "state_conflict");
        assert_eq!(refused["loaded"].as_i64(), Some(docked));
        let (on_hand, _) = level(&app, "TEE").await;
        assert_eq!(on_hand, 4);
    });
}

#[test]
fn what_a_transfer_was_taken_to_bring_is_under_way_again() {
    on_both(|app| async move {
        let _shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        let place =
            json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
        app.ops("POST", "/locations", Some(&place)).await.expect(201);
        let set = json!({"lines": [{"sku": "TEE", "location": "bremen", "set_to": 8, "reason": "counted"}]});
        app.ops("POST", "/stock/adjustments", Some(&set)).await.expect(200);
        let named = json!({"lines": [{"sku": "TEE", "location": "bremen", "lot": "A1", "quantity": 8}]});
        app.ops("POST", "/lots", Some(&named)).await.expect(200);
        let new = json!({"from": "bremen", "to": "berlin", "lines": [{"sku": "TEE", "quantity": 8}]});
        let id = text(&app.ops("POST", "/transfers", Some(&new)).await.expect(201)["id"]);
        let post =
            async |what: &str, body: Value| app.ops("POST", &format!("/transfers/{id}/{what}"), Some(&body)).await;
        post("ship", json!({})).await.expect(200);
        post("correct", pieces(1, 1)).await.problem(409, "state_conflict");
        post("receive", json!({"lines": [{"line_no": 1, "quantity": 7, "damaged": 1}]})).await.expect(200);
        assert_eq!(lots(&app, "TEE").await, [("A1".to_owned(), 7)]);
        let all = join_all((0..5).map(|_| post("correct", pieces(1, 3)))).await;
        assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 2);
        assert_eq!((level(&app, "TEE").await.0, lots(&app, "TEE").await), (1, vec![("A1".to_owned(), 1)]));
        let wrong = json!({"lines": [{"line_no": 1, "quantity": 1, "damaged": 1}], "reason": "another lorry"});
        let back = post("correct", wrong).await.expect(200);
        assert_eq!(
            (text(&back["state"]), &back["lines"][0]["received"], back["corrections"].as_array().unwrap().len()),
            ("in_transit".to_owned(), &json!(0), 3)
        );
        assert_eq!(to_come(&app, "TEE").await, 8);
        post("receive", json!({})).await.expect(200);
        assert_eq!(lots(&app, "TEE").await, [("A1".to_owned(), 8)]);
    });
}

#[test]
fn a_unit_that_has_not_come_leaves_the_work_with_others_as_it_was() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let (shop, dock) = hub(&app, json!({"planned": true})).await;
        order(&shop, &[("TEE", 4)]).await;
        let other = "106141412345678922";
        let id = announce(&app, &[("TEE", 4, Some(PALLET)), ("TEE", 6, Some(other))]).await;
        plan(&app, &dock).await;
        receive(&app, &id, json!({})).await.expect(200);
        let unit = json!({"units": [PALLET], "reason": "another pallet"});
        correct(&app, &id, unit).await.expect(200);
        let tasks = list(&app, &dock, "tasks").await;
        let put_away: Vec<_> = tasks
            .iter()
            .filter(|task| task["kind"] == "put_away" && task["state"] == "open")
            .map(|task| (&task["sscc"], &task["quantity"]))
            .collect();
        assert_eq!(put_away, [(&json!(other), &json!(6))], "{tasks:?}");
    });
}
