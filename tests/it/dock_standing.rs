//! What stands at a dock for one order is not picked, sent or counted off for another.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    crossdock::{done, hub, list, of, order},
    inbound::{announce, receive, text},
    support::{Answer, App, on_both_idle},
};

async fn act(app: &App, work: &str, what: &str, pieces: i64) -> Answer {
    let lines = json!({"lines": [{"line_no": 1, "quantity": pieces}]});
    app.ops("POST", &format!("/fulfilment-orders/{work}/{what}"), Some(&lines)).await
}

async fn first(app: &App, work: &str) {
    let path = format!("/fulfilment-orders/{work}/reschedule");
    app.ops("POST", &path, Some(&json!({"priority": 10}))).await.expect(200);
}

/// Brings over what stands at the dock.
async fn load(app: &App, dock: &str) {
    let tasks = list(app, dock, "tasks").await;
    for kind in ["sort", "load"] {
        for task in of(&tasks, kind) {
            done(app, task, "TEE").await.expect(200);
        }
    }
}

async fn waits_for(app: &App, work: &str) -> Value {
    let owner = app.ops("GET", &format!("/fulfilment-orders/{work}"), None).await.expect(200);
    let path = format!("/orders/{}/status", text(&owner["order_id"]));
    app.ops("GET", &path, None).await.expect(200)["waiting"][0]["for"].clone()
}

#[test]
fn what_stands_at_the_dock_for_one_is_not_taken_for_another() {
    on_both_idle(|app| async move {
        // Nobody captures or gives back money here.
        app.leaves_work();
        let (shop, dock) = hub(&app, json!({"planned": false})).await;
        // Who has waited longer is not who is served first.
        let older = order(&shop, &[("TEE", 2)]).await;
        let urgent = order(&shop, &[("TEE", 2)]).await;
        first(&app, &urgent).await;
        let id = announce(&app, &[("TEE", 2, None)]).await;
        let received = receive(&app, &id, json!({})).await.expect(200);
        assert_eq!(received["matches"][0]["fulfilment_order_id"], json!(urgent));
        for what in ["pick", "pack", "ship"] {
            let refused = act(&app, &older, what, 1).await.problem(409, "stock_negative");
            assert_eq!((&refused["available"], &refused["at_dock"]), (&json!(0), &json!(2)), "{what}");
        }
        assert_eq!(waits_for(&app, &older).await, "goods");
        // What lies on the shelf is there for it, and no more.
        shop.stock_up("TEE", 1).await;
        act(&app, &older, "pick", 2).await.problem(409, "stock_negative");
        act(&app, &older, "pick", 1).await.expect(200);
        act(&app, &older, "pick", 1).await.problem(409, "stock_negative");
        act(&app, &older, "ship", 1).await.expect(201);
        load(&app, &dock).await;
        act(&app, &urgent, "ship", 2).await.expect(201);
        assert_eq!(app.count("SELECT CAST(sum(on_hand) AS bigint) FROM stock_levels").await, 0);
    });
}

#[test]
fn a_wave_lists_neither_what_is_loaded_nor_what_stands_at_the_dock() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let (shop, dock) = hub(&app, json!({"planned": false})).await;
        let older = order(&shop, &[("TEE", 2)]).await;
        let urgent = order(&shop, &[("TEE", 3)]).await;
        first(&app, &urgent).await;
        let id = announce(&app, &[("TEE", 3, None)]).await;
        receive(&app, &id, json!({})).await.expect(200);
        // Nobody is sent to an empty shelf: what lies there stands at the dock for the other.
        let new = json!({"location": "berlin"});
        app.ops("POST", "/waves", Some(&new)).await.problem(409, "state_conflict");
        shop.stock_up("TEE", 1).await;
        let wave = app.ops("POST", "/waves", Some(&new)).await.expect(201);
        let lines = wave["pick_list"]["lines"].as_array().unwrap();
        assert_eq!((lines.len(), &lines[0]["quantity"]), (1, &json!(1)), "{wave}");
        assert_eq!(lines[0]["puts"][0]["fulfilment_order_id"], json!(older));
        let path = format!("/waves/{}", text(&wave["id"]));
        let scan = json!({"scanned": "TEE", "quantity": 1});
        let short = json!({"scanned": "TEE", "quantity": 2, "reason": "shelf is empty", "adjust_level": true,
            "replan": false});
        app.ops("POST", &format!("{path}/short"), Some(&short)).await.problem(409, "quantity_exceeded");
        app.ops("POST", &format!("{path}/pick"), Some(&scan)).await.expect(200);
        app.ops("POST", &format!("{path}/pick"), Some(&scan)).await.problem(409, "state_conflict");
        load(&app, &dock).await;
        act(&app, &urgent, "ship", 3).await.expect(201);
    });
}

#[test]
fn of_a_receipt_and_picks_at_once_the_goods_go_to_whom_they_came_for() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let (shop, dock) = hub(&app, json!({"planned": false})).await;
        for _ in 0..4 {
            let older = order(&shop, &[("TEE", 2)]).await;
            let urgent = order(&shop, &[("TEE", 2)]).await;
            first(&app, &urgent).await;
            let id = announce(&app, &[("TEE", 2, None)]).await;
            let (received, picked) = futures::join!(receive(&app, &id, json!({})), act(&app, &older, "pick", 2));
            let received = received.expect(200);
            // Who picks what is not booked in yet is let; who picks what has come for another is not.
            assert!(matches!(picked.status, 200 | 409), "{}", picked.text);
            assert_eq!(received["matches"][0]["fulfilment_order_id"], json!(urgent));
            act(&app, &older, "ship", 2).await.problem(409, "stock_negative");
            load(&app, &dock).await;
            act(&app, &urgent, "ship", 2).await.expect(201);
            let owner = app.ops("GET", &format!("/fulfilment-orders/{older}"), None).await.expect(200);
            let cancel = format!("/orders/{}/cancel", text(&owner["order_id"]));
            app.ops("POST", &cancel, Some(&json!({"reason": "test"}))).await.expect(200);
        }
    });
}

#[test]
fn the_last_piece_on_the_shelf_is_picked_once_and_the_dock_is_left_alone() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let (shop, dock) = hub(&app, json!({"planned": false})).await;
        let older =
            [order(&shop, &[("TEE", 1)]).await, order(&shop, &[("TEE", 1)]).await, order(&shop, &[("TEE", 1)]).await];
        let urgent = order(&shop, &[("TEE", 3)]).await;
        first(&app, &urgent).await;
        let id = announce(&app, &[("TEE", 3, None)]).await;
        receive(&app, &id, json!({})).await.expect(200);
        shop.stock_up("TEE", 1).await;
        let picked = join_all(older.iter().map(|work| act(&app, work, "pick", 1))).await;
        let statuses: Vec<u16> = picked.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status, 200 | 409)), "{statuses:?}");
        let shipped = join_all(older.iter().map(|work| act(&app, work, "ship", 1))).await;
        let sent = shipped.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(sent, 1, "{:?}", shipped.iter().map(|answer| answer.status).collect::<Vec<_>>());
        load(&app, &dock).await;
        act(&app, &urgent, "ship", 3).await.expect(201);
    });
}
