//! What stands at a dock for orders is neither written off nor counted away, and a handling unit that was let go keeps its number.

use serde_json::{Value, json};

use crate::{
    crossdock::{done, hub, list, of, order, plan},
    inbound::{PALLET, announce, receive, text},
    support::{Answer, App, on_both_idle},
};

async fn adjust(app: &App, line: Value) -> Answer {
    let mut whole = json!({"sku": "TEE", "location": "berlin", "reason": "broken"});
    whole.as_object_mut().unwrap().extend(line.as_object().unwrap().clone());
    app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [whole]}))).await
}

async fn on_hand(app: &App) -> i64 {
    app.count("SELECT CAST(sum(on_hand) AS bigint) FROM stock_levels").await
}

#[test]
fn what_stands_at_a_dock_is_neither_written_off_nor_counted_away() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let (shop, dock) = hub(&app, json!({"planned": false})).await;
        let urgent = order(&shop, &[("TEE", 3)]).await;
        let id = announce(&app, &[("TEE", 5, None)]).await;
        receive(&app, &id, json!({})).await.expect(200);
        let refused = adjust(&app, json!({"change": -3})).await.problem(409, "stock_negative");
        let told = (&refused["available"], &refused["at_dock"], &refused["pointer"]);
        assert_eq!(told, (&json!(2), &json!(3), &json!("/lines/0")));
        adjust(&app, json!({"set_to": 2})).await.problem(409, "stock_negative");
        let count = async |counted: i64| {
            let new = json!({"location": "berlin", "skus": ["TEE"], "tolerance": {"pieces": 9}});
            let id = text(&app.ops("POST", "/stock-counts", Some(&new)).await.expect(201)["id"]);
            let lines = json!({"lines": [{"sku": "TEE", "counted": counted}]});
            app.ops("POST", &format!("/stock-counts/{id}/results"), Some(&lines)).await.expect(200);
            app.ops("POST", &format!("/stock-counts/{id}/approve"), None).await
        };
        let refused = count(1).await.problem(409, "stock_negative");
        assert_eq!((&refused["available"], &refused["at_dock"]), (&json!(2), &json!(3)));
        assert_eq!(on_hand(&app).await, 5);
        // What is free goes.
        adjust(&app, json!({"change": -1})).await.expect(200);
        count(3).await.expect(200);
        assert_eq!(on_hand(&app).await, 3);
        adjust(&app, json!({"change": -1})).await.problem(409, "stock_negative");
        adjust(&app, json!({"change": 1})).await.expect(200);
        for kind in ["sort", "load"] {
            for task in of(&list(&app, &dock, "tasks").await, kind) {
                done(&app, task, "TEE").await.expect(200);
            }
        }
        app.ops("POST", &format!("/fulfilment-orders/{urgent}/ship"), Some(&json!({}))).await.expect(201);
        adjust(&app, json!({"change": -1})).await.expect(200);
        assert_eq!(on_hand(&app).await, 0);
    });
}

#[test]
fn a_unit_that_was_let_go_is_put_away_by_its_number() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let (shop, dock) = hub(&app, json!({"planned": true})).await;
        let own = order(&shop, &[("TEE", 4)]).await;
        let id = announce(&app, &[("TEE", 4, Some(PALLET))]).await;
        plan(&app, &dock).await;
        receive(&app, &id, json!({})).await.expect(200);
        let owner = app.ops("GET", &format!("/fulfilment-orders/{own}"), None).await.expect(200);
        let cancel = format!("/orders/{}/cancel", text(&owner["order_id"]));
        app.ops("POST", &cancel, Some(&json!({"reason": "test"}))).await.expect(200);
        plan(&app, &dock).await;
        let tasks = list(&app, &dock, "tasks").await;
        let away: Vec<_> = of(&tasks, "put_away").into_iter().filter(|task| task["state"] == "open").collect();
        assert_eq!((away.len(), &away[0]["sscc"], &away[0]["quantity"]), (1, &json!(PALLET), &json!(4)), "{tasks:?}");
        done(&app, away[0], &format!("00{PALLET}")).await.expect(200);
    });
}
