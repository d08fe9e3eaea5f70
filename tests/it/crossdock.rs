//! Goods that cross a dock: planned before they come, found when they are there, brought over by people with scans.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    inbound::{BOX, PALLET, announce, receive, text},
    support::{App, Shop, on_both, on_both_idle},
};

/// A shop whose goods may be sold before they are there, with a dock; the dock's id.
pub async fn hub(app: &App, rules: Value) -> (Shop, String) {
    let shop = Shop::open(app, &[("TEE", "19.90", 0), ("MUG", "9.90", 0)]).await;
    for sku in ["TEE", "MUG"] {
        let found = app.ops("GET", &format!("/variants?sku={sku}"), None).await.expect(200);
        let path = format!("/variants/{}", text(&found["items"][0]["id"]));
        app.ops("PATCH", &path, Some(&json!({"backorder_policy": "allow"}))).await.expect(200);
    }
    let locations = app.ops("GET", "/locations", None).await.expect(200);
    let dock = text(&locations["items"][0]["id"]);
    app.ops("PATCH", &format!("/docks/{dock}"), Some(&rules)).await.expect(200);
    (shop, dock)
}

/// Orders, and gives the fulfilment order.
pub async fn order(shop: &Shop, lines: &[(&str, i64)]) -> String {
    let order = shop.order(lines).await;
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    let found = shop.app.ops("GET", &path, None).await.expect(200);
    text(&found["fulfilment_orders"][0]["id"])
}

pub async fn plan(app: &App, dock: &str) -> Vec<Value> {
    let planned = app.ops("POST", &format!("/docks/{dock}/plan"), None).await.expect(200);
    planned["matches"].as_array().unwrap().clone()
}

pub async fn list(app: &App, dock: &str, what: &str) -> Vec<Value> {
    let mut items =
        app.ops("GET", &format!("/docks/{dock}/{what}"), None).await.expect(200)["items"].as_array().unwrap().clone();
    items.reverse();
    items
}

/// Way, state, pieces.
pub fn told(matches: &[Value]) -> Vec<(String, String, i64)> {
    let one = |one: &Value| (text(&one["way"]), text(&one["state"]), one["quantity"].as_i64().unwrap());
    matches.iter().map(one).collect()
}

pub fn row(way: &str, state: &str, pieces: i64) -> (String, String, i64) {
    (way.to_owned(), state.to_owned(), pieces)
}

pub async fn done(app: &App, task: &Value, scan: &str) -> crate::support::Answer {
    app.ops("POST", &format!("/dock-tasks/{}/done", text(&task["id"])), Some(&json!({"scan": scan}))).await
}

pub fn of<'a>(tasks: &'a [Value], kind: &str) -> Vec<&'a Value> {
    tasks.iter().filter(|task| task["kind"] == kind).collect()
}

#[test]
fn a_pallet_passes_unopened_and_a_box_is_sorted() {
    on_both_idle(|app| async move {
        // Nobody captures or gives back money here.
        app.leaves_work();
        let (shop, dock) = hub(&app, json!({"lead_minutes": 30})).await;
        let whole = order(&shop, &[("TEE", 4), ("MUG", 6)]).await;
        let few = order(&shop, &[("TEE", 3)]).await;
        let id = announce(&app, &[("TEE", 4, Some(PALLET)), ("MUG", 6, Some(PALLET)), ("TEE", 5, Some(BOX))]).await;
        assert_eq!(
            told(&plan(&app, &dock).await),
            [row("direct", "planned", 4), row("direct", "planned", 6), row("indirect", "planned", 3)]
        );
        // A second plan finds nothing new.
        assert!(plan(&app, &dock).await.is_empty());
        let view = app.ops("GET", &format!("/docks/{dock}"), None).await.expect(200);
        let arrival = &view["arrivals"][0];
        assert_eq!(
            (&arrival["pieces"], &arrival["crossing"], arrival["outbound"].as_array().unwrap().len()),
            (&json!(15), &json!(13), 2)
        );
        app.ops("POST", &format!("/inbound-shipments/{id}/arrive"), None).await.expect(200);
        assert_eq!(of(&list(&app, &dock, "tasks").await, "unload").len(), 2);
        let received = receive(&app, &id, json!({})).await.expect(200);
        assert_eq!(
            received["put_away"],
            json!([{"line_no": 3, "variant_id": received["put_away"][0]["variant_id"], "sku": "TEE", "sscc": BOX, "quantity": 2}])
        );
        let tasks = list(&app, &dock, "tasks").await;
        assert_eq!(["unload", "sort", "load", "put_away"].map(|kind| of(&tasks, kind).len()), [0, 1, 2, 1]);
        let pallet = of(&tasks, "load").into_iter().find(|task| task["sscc"] == PALLET).unwrap();
        let piece = of(&tasks, "load").into_iter().find(|task| task["sku"] == "TEE").unwrap();
        app.clock.advance_seconds(600);
        done(&app, pallet, BOX).await.problem(422, "invalid_value");
        done(&app, piece, "TEE").await.problem(409, "state_conflict");
        // However often the pallet is scanned at once, it is loaded once.
        let code = format!("(00){PALLET}");
        let scans = join_all((0..4).map(|_| done(&app, pallet, &code))).await;
        assert_eq!(scans.iter().filter(|answer| answer.status == 200).count(), 1);
        assert!(scans.iter().all(|answer| matches!(answer.status, 200 | 409)));
        let packed = app.ops("GET", &format!("/fulfilment-orders/{whole}"), None).await.expect(200);
        assert_eq!(packed["state"], "packed");
        done(&app, of(&tasks, "sort")[0], "MUG").await.problem(422, "invalid_value");
        done(&app, of(&tasks, "sort")[0], "TEE").await.expect(200);
        done(&app, piece, "TEE").await.expect(200);
        done(&app, of(&tasks, "put_away")[0], "TEE").await.expect(200);
        assert!(list(&app, &dock, "tasks").await.is_empty());
        for one in [&whole, &few] {
            app.ops("POST", &format!("/fulfilment-orders/{one}/ship"), Some(&json!({}))).await.expect(201);
        }
        let read = app.ops("GET", &format!("/inbound-shipments/{id}"), None).await.expect(200);
        let states: Vec<_> = read["units"].as_array().unwrap().iter().map(|unit| text(&unit["state"])).collect();
        assert_eq!(states, ["passed_on", "received"]);
        let until = app.now().plus_seconds(1);
        let report = app.ops("GET", &format!("/docks/{dock}/report?until={until}"), None).await.expect(200);
        let figure = |name: &str| report[name].as_i64().unwrap();
        assert_eq!((figure("received"), figure("crossed"), figure("direct"), figure("indirect")), (15, 13, 10, 3));
        assert_eq!((figure("touches_saved"), figure("dwell_seconds"), figure("crossed_per_mille")), (23, 600, 866));
    });
}

#[test]
fn what_comes_is_offered_to_who_waits_and_the_rest_is_put_away() {
    on_both_idle(|app| async move {
        // Nobody captures or gives back money here.
        app.leaves_work();
        let (shop, dock) = hub(&app, json!({"planned": false})).await;
        let id = announce(&app, &[("TEE", 5, None), ("MUG", 2, None)]).await;
        assert!(plan(&app, &dock).await.is_empty());
        let first = order(&shop, &[("TEE", 2)]).await;
        let received = receive(&app, &id, json!({"lines": [{"line_no": 1, "quantity": 3}]})).await.expect(200);
        assert_eq!(told(received["matches"].as_array().unwrap()), [row("opportunistic", "received", 2)]);
        assert_eq!(
            (&received["matches"][0]["fulfilment_order_id"], &received["put_away"][0]["quantity"]),
            (&json!(first), &json!(1))
        );
        // The one that was put away is for the next; one more is missing.
        let second = order(&shop, &[("TEE", 2)]).await;
        let received = receive(&app, &id, json!({"lines": [{"line_no": 1, "quantity": 2}]})).await.expect(200);
        assert_eq!(told(received["matches"].as_array().unwrap()), [row("opportunistic", "received", 1)]);
        assert_eq!(received["matches"][0]["fulfilment_order_id"], json!(second));
        // What is cancelled goes to the shelf, and is nobody's any more.
        let owner = app.ops("GET", &format!("/fulfilment-orders/{first}"), None).await.expect(200);
        let cancel = format!("/orders/{}/cancel", text(&owner["order_id"]));
        app.ops("POST", &cancel, Some(&json!({"reason": "changed their mind"}))).await.expect(200);
        plan(&app, &dock).await;
        let matches = list(&app, &dock, "matches").await;
        assert_eq!(told(&matches), [row("opportunistic", "cancelled", 2), row("opportunistic", "received", 1)]);
        assert_eq!(matches[0]["reason"], "demand_gone");
        let tasks = list(&app, &dock, "tasks").await;
        assert_eq!(["sort", "load", "put_away"].map(|kind| of(&tasks, kind).len()), [1, 1, 3]);
    });
}

#[test]
fn a_pallet_of_which_a_part_is_cancelled_is_opened() {
    on_both_idle(|app| async move {
        // Nobody captures or gives back money here.
        app.leaves_work();
        let (shop, dock) = hub(&app, json!({})).await;
        let whole = order(&shop, &[("TEE", 4), ("MUG", 6)]).await;
        announce(&app, &[("TEE", 4, Some(PALLET)), ("MUG", 6, Some(PALLET))]).await;
        assert_eq!(told(&plan(&app, &dock).await), [row("direct", "planned", 4), row("direct", "planned", 6)]);
        let owner = app.ops("GET", &format!("/fulfilment-orders/{whole}"), None).await.expect(200);
        let cancel = format!("/orders/{}/cancel", text(&owner["order_id"]));
        let some = json!({"reason": "changed their mind", "lines": [{"line_no": 2, "quantity": 1}]});
        app.ops("POST", &cancel, Some(&some)).await.expect(200);
        assert_eq!(told(&plan(&app, &dock).await), [row("indirect", "planned", 4), row("indirect", "planned", 5)]);
        let states = list(&app, &dock, "matches?state=cancelled").await;
        assert_eq!(states.len(), 2);
    });
}

#[test]
fn what_comes_late_or_short_is_planned_anew() {
    on_both_idle(|app| async move {
        // Nobody captures or gives back money here.
        app.leaves_work();
        let (shop, dock) = hub(&app, json!({})).await;
        let due = order(&shop, &[("TEE", 4)]).await;
        let due = app.ops("GET", &format!("/fulfilment-orders/{due}"), None).await.expect(200);
        let soon = announce(&app, &[("TEE", 4, None)]).await;
        let later = announce(&app, &[("TEE", 3, None)]).await;
        assert_eq!(told(&plan(&app, &dock).await), [row("indirect", "planned", 4)]);
        // The first one is late by a month now: what the other one has is in time, and the rest late.
        let when = json!({"expected_at": app.now().plus_seconds(30 * 86_400)});
        let moved = app.ops("POST", &format!("/inbound-shipments/{soon}/reschedule"), Some(&when)).await.expect(200);
        assert_eq!(moved["lines"][0]["matched"], 1);
        let matches = list(&app, &dock, "matches").await;
        let told = |matches: &[Value]| {
            let one =
                |one: &Value| (text(&one["state"]), one["quantity"].as_i64().unwrap(), one["late"].as_bool().unwrap());
            let mut all: Vec<_> = matches.iter().map(one).collect();
            all.sort();
            all
        };
        let row = |state: &str, pieces, late| (state.to_owned(), pieces, late);
        assert_eq!(told(&matches), [row("cancelled", 4, false), row("planned", 1, true), row("planned", 3, false)]);
        assert_eq!(matches.iter().find(|one| one["state"] == "cancelled").unwrap()["reason"], "late");
        // Of the other one only two come.
        receive(&app, &later, json!({"lines": [{"line_no": 1, "quantity": 2}]})).await.expect(200);
        let why = json!({"reason": "one was broken"});
        app.ops("POST", &format!("/inbound-shipments/{later}/close"), Some(&why)).await.expect(200);
        let expected = [
            row("cancelled", 1, false),
            row("cancelled", 4, false),
            row("planned", 1, true),
            row("planned", 1, true),
            row("received", 2, false),
        ];
        assert_eq!(told(&list(&app, &dock, "matches").await), expected);
        // It does not come at all: nothing is planned, and nothing held.
        app.ops("POST", &format!("/inbound-shipments/{soon}/cancel"), Some(&why)).await.expect(200);
        let left = list(&app, &dock, "matches?state=planned").await;
        assert!(left.is_empty(), "{left:?}");
        let path = format!("/orders/{}/cancel", text(&due["order_id"]));
        app.ops("POST", &path, Some(&json!({"reason": "too late"}))).await.expect(200);
        let events = app.count("SELECT count(*) FROM events WHERE type LIKE 'dock_match.cancelled%'").await;
        assert_eq!(events, 4);
    });
}

#[test]
fn one_demand_is_matched_once_however_many_plan_and_receive() {
    on_both(|app| async move {
        let (shop, dock) = hub(&app, json!({})).await;
        let mut wanted = 0;
        for pieces in [3, 1, 2] {
            order(&shop, &[("TEE", pieces)]).await;
            wanted += pieces;
        }
        let mut shipments = Vec::new();
        for pieces in [2, 5, 4] {
            shipments.push(announce(&app, &[("TEE", pieces, None)]).await);
        }
        let (plan, all) = (format!("/docks/{dock}/plan"), json!({}));
        let planning = join_all((0..4).map(|_| app.ops("POST", &plan, None)));
        let receiving = join_all(shipments.iter().map(|id| receive(&app, id, all.clone())));
        let (planned, received) = tokio::join!(planning, receiving);
        assert!(planned.iter().chain(&received).all(|answer| answer.status == 200));
        let matches = list(&app, &dock, "matches").await;
        let open = matches.iter().filter(|one| one["state"] == "received");
        assert_eq!(open.map(|one| one["quantity"].as_i64().unwrap()).sum::<i64>(), wanted, "{matches:?}");
        assert!(matches.iter().all(|one| one["state"] == "received" || one["state"] == "cancelled"));
        assert_eq!(app.count("SELECT CAST(sum(docked) AS bigint) FROM inbound_lines").await, wanted);
        assert_eq!(app.count("SELECT CAST(sum(matched) AS bigint) FROM inbound_lines").await, 0);
        assert_eq!(app.count("SELECT CAST(sum(matched) AS bigint) FROM dock_demands").await, wanted);
    });
}

/// What is urgent is served before what waits longer; what is held for something else gets nothing, and what is held for goods gets
/// them. What lies there and may not be sold is nothing.
#[test]
fn goods_go_to_what_is_urgent_and_can_leave() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let (shop, dock) = hub(&app, json!({})).await;
        let held = order(&shop, &[("TEE", 2)]).await;
        let waits = order(&shop, &[("TEE", 2)]).await;
        let urgent = order(&shop, &[("TEE", 2)]).await;
        let hold = async |id: &str, kind: &str| {
            let why = json!({"kind": kind, "reason": "wait"});
            app.ops("POST", &format!("/fulfilment-orders/{id}/hold"), Some(&why)).await.expect(200);
        };
        hold(&held, "address").await;
        hold(&urgent, "stock").await;
        app.ops("POST", &format!("/fulfilment-orders/{urgent}/reschedule"), Some(&json!({"priority": 10})))
            .await
            .expect(200);
        shop.stock_up("TEE", 6).await;
        let lot = json!({"lines": [{"sku": "TEE", "location": "berlin", "lot": "A", "quantity": 6}]});
        app.ops("POST", "/lots", Some(&lot)).await.expect(200);
        let lot = app.ops("GET", "/lots?sku=TEE", None).await.expect(200);
        let lot = text(&lot["items"][0]["id"]);
        app.ops("PATCH", &format!("/lots/{lot}"), Some(&json!({"state": "blocked", "reason": "damp"})))
            .await
            .expect(200);
        let id = announce(&app, &[("TEE", 3, None)]).await;
        let planned = plan(&app, &dock).await;
        let served: Vec<_> =
            planned.iter().map(|one| (text(&one["fulfilment_order_id"]), one["quantity"].as_i64().unwrap())).collect();
        assert_eq!(served, [(urgent.clone(), 2), (waits.clone(), 1)]);
        let scan = json!({"code": "TEE", "location": "berlin"});
        let scanned = app.ops("POST", "/scan", Some(&scan)).await.expect(200);
        let picks: Vec<_> =
            scanned["actions"].as_array().unwrap().iter().filter(|one| one["command"] == "pick").collect();
        // What lies there may not be sold: whoever waits for it is named, and nothing is picked.
        assert_eq!(picks.len(), 1);
        assert_eq!(
            (&picks[0]["link"], &picks[0]["allowed"]),
            (&json!(format!("/v1/ops/fulfilment-orders/{waits}/pick")), &json!(false))
        );
        app.ops("POST", "/waves", Some(&json!({"location": "berlin"}))).await.problem(409, "state_conflict");
        receive(&app, &id, json!({})).await.expect(200);
        let tasks = list(&app, &dock, "tasks").await;
        for kind in ["sort", "load"] {
            for task in of(&tasks, kind) {
                done(&app, task, "TEE").await.expect(200);
            }
        }
        let read = app.ops("GET", &format!("/fulfilment-orders/{urgent}"), None).await.expect(200);
        assert_eq!((&read["state"], &read["holds"]), (&json!("packed"), &Value::Null));
        let read = app.ops("GET", &format!("/fulfilment-orders/{held}"), None).await.expect(200);
        assert_eq!(read["holds"][0]["kind"], "address");
    });
}
