//! Goods that orders had and that are gone, goods that are still to come, and suppliers who ship later: what is due and promised follows.

use futures::future::join_all;
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

async fn place(app: &App, code: &str, more: Value, goods: &[(&str, i64)]) -> String {
    let mut place = json!({"code": code, "name": code, "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
    place.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let place = app.ops("POST", "/locations", Some(&place)).await.expect(201);
    for (sku, change) in goods {
        adjust(app, sku, code, *change).await;
    }
    text(&place["id"])
}

async fn adjust(app: &App, sku: &str, location: &str, change: i64) {
    let line = json!({"sku": sku, "location": location, "change": change, "reason": "counted"});
    app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
}

async fn backorders(app: &App, sku: &str) {
    let found = app.ops("GET", &format!("/variants?sku={sku}"), None).await.expect(200);
    let path = format!("/variants/{}", text(&found["items"][0]["id"]));
    app.ops("PATCH", &path, Some(&json!({"backorder_policy": "allow"}))).await.expect(200);
}

/// Parcels take a day or two.
async fn days(app: &App) {
    let methods = app.ops("GET", "/shipping-methods", None).await.expect(200);
    let path = format!("/shipping-methods/{}", text(&methods["items"][0]["id"]));
    app.ops("PATCH", &path, Some(&json!({"delivery_days": {"min": 1, "max": 2}}))).await.expect(200);
}

async fn work(app: &App, order: &Value) -> Vec<Value> {
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    let found = app.ops("GET", &path, None).await.expect(200);
    found["fulfilment_orders"].as_array().unwrap().iter().filter(|one| one["state"] != "cancelled").cloned().collect()
}

async fn current(app: &App, order: &Value) -> Value {
    let seen = app.ops("GET", &format!("/orders/{}", text(&order["id"])), None).await.expect(200);
    seen["deliveries"][0]["current_promise"].clone()
}

fn holds(work: &Value) -> Vec<String> {
    let holds = work["holds"].as_array().cloned().unwrap_or_default();
    holds.iter().map(|hold| text(&hold["kind"])).collect()
}

async fn settled(app: &App) {
    const KINDS: [&str; 4] = ["stock.short", "stock.expected_changed", "promises.review", "fulfilment.replan_short"];
    eventually("everything was looked at", || async {
        let jobs = app.ops("GET", "/jobs", None).await.expect(200);
        !jobs["items"].as_array().unwrap().iter().any(|job| KINDS.contains(&text(&job["kind"]).as_str()))
    })
    .await;
}

async fn overdue(app: &App) -> i64 {
    let lists = app.ops("GET", "/worklists", None).await.expect(200);
    let lists = lists["items"].as_array().unwrap_or_else(|| panic!("{lists}")).clone();
    lists.iter().find(|list| list["list"] == "unshipped_past_due").unwrap()["count"].as_i64().unwrap()
}

/// Announces tees for a day of March. Today is Monday the 2nd.
async fn announce(app: &App, day: u32, pieces: i64) -> String {
    let body = json!({"location": "berlin", "expected_at": format!("2026-03-{day:02}T09:00:00Z"),
        "lines": [{"sku": "TEE", "quantity": pieces}]});
    text(&app.ops("POST", "/inbound-shipments", Some(&body)).await.expect(201)["id"])
}

async fn comes(app: &App, inbound: &str, day: u32) {
    let body = json!({"expected_at": format!("2026-03-{day:02}T09:00:00Z")});
    app.ops("POST", &format!("/inbound-shipments/{inbound}/reschedule"), Some(&body)).await.expect(200);
}

/// The end of a day of March in Berlin.
fn end_of(day: u32) -> String {
    format!("2026-03-{day:02}T23:00:00Z")
}

#[test]
fn what_is_still_to_come_is_due_when_it_comes() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0), ("MUG", "9.90", 5)]).await;
        backorders(&app, "TEE").await;
        days(&app).await;
        let inbound = announce(&app, 12, 9).await;
        let order = shop.order(&[("TEE", 2), ("MUG", 1)]).await;
        let other = shop.order(&[("TEE", 1)]).await;
        let there = shop.order(&[("MUG", 1)]).await;
        settled(&app).await;
        assert_eq!(work(&app, &order).await[0]["due_at"], json!(end_of(12)));
        assert_eq!(work(&app, &there).await[0]["due_at"], json!(end_of(2)));
        // The next morning what could leave is overdue, and what can not is not.
        app.clock.advance_seconds(86_400);
        assert_eq!(overdue(&app).await, 1);
        let stuck = app.ops("GET", "/processes", None).await.expect(200);
        let stuck = stuck["items"].as_array().unwrap();
        assert!(stuck.iter().all(|step| step["order_id"] == there["id"]), "{stuck:?}");
        // Somebody says when one of them is due: that stays, whenever goods come.
        let by_hand = json!({"due_at": "2026-03-20T12:00:00Z"});
        let own = text(&work(&app, &other).await[0]["id"]);
        app.ops("POST", &format!("/fulfilment-orders/{own}/reschedule"), Some(&by_hand)).await.expect(200);
        comes(&app, &inbound, 17).await;
        eventually("it is due later", || async { work(&app, &order).await[0]["due_at"] == json!(end_of(17)) }).await;
        settled(&app).await;
        let kept = work(&app, &other).await;
        assert_eq!((&kept[0]["due_at"], &kept[0]["due_by_hand"]), (&json!("2026-03-20T12:00:00Z"), &json!(true)));
        // They come sooner: it is due on the day on which they are here.
        app.ops("POST", &format!("/inbound-shipments/{inbound}/receive"), Some(&json!({}))).await.expect(200);
        eventually("it is due today", || async { work(&app, &order).await[0]["due_at"] == json!(end_of(3)) }).await;
        settled(&app).await;
    });
}

#[test]
fn what_comes_at_another_day_changes_no_turn() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        backorders(&app, "TEE").await;
        days(&app).await;
        let inbound = announce(&app, 4, 5).await;
        let first = shop.order(&[("TEE", 3)]).await;
        let second = shop.order(&[("TEE", 2)]).await;
        settled(&app).await;
        comes(&app, &inbound, 11).await;
        settled(&app).await;
        for order in [&first, &second] {
            assert_eq!(work(&app, order).await[0]["due_at"], json!(end_of(11)));
        }
        // Only three come: they are for who came first.
        let body = json!({"lines": [{"line_no": 1, "quantity": 3}]});
        app.ops("POST", &format!("/inbound-shipments/{inbound}/receive"), Some(&body)).await.expect(200);
        let close = json!({"reason": "short"});
        app.ops("POST", &format!("/inbound-shipments/{inbound}/close"), Some(&close)).await.expect(200);
        settled(&app).await;
        assert_eq!(current(&app, &second).await["reason"], "unknown");
        assert_eq!(work(&app, &first).await[0]["due_at"], json!(end_of(2)));
        assert_eq!(work(&app, &second).await[0]["due_at"], json!(end_of(11)), "nobody knows any more");
    });
}

#[test]
fn goods_that_are_gone_are_shipped_from_another_shelf() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 3), ("MUG", "9.90", 5)]).await;
        let first = shop.order(&[("TEE", 1)]).await;
        let second = shop.order(&[("TEE", 2), ("MUG", 1)]).await;
        place(&app, "bremen", json!({}), &[("TEE", 1)]).await;
        // One tee is gone: the youngest claim to it goes elsewhere, and nothing else does.
        adjust(&app, "TEE", "berlin", -1).await;
        eventually("it was planned anew", || async { work(&app, &second).await.len() == 2 }).await;
        settled(&app).await;
        let parts = work(&app, &second).await;
        let moved = parts.iter().find(|one| one["taken_from"].is_array()).unwrap();
        assert_eq!((moved["lines"].as_array().unwrap().len(), &moved["lines"][0]["quantity"]), (1, &json!(1)));
        assert_eq!(work(&app, &first).await.len(), 1);
        assert!(parts.iter().all(|one| holds(one).is_empty()));
        let levels = app.ops("GET", "/stock/levels?sku=TEE", None).await.expect(200);
        let allocated: Vec<i64> =
            levels["items"].as_array().unwrap().iter().map(|level| level["allocated"].as_i64().unwrap()).collect();
        assert_eq!(allocated.iter().sum::<i64>(), 3, "{levels}");
        // Told again, it changes nothing.
        adjust(&app, "MUG", "berlin", -1).await;
        settled(&app).await;
        assert_eq!(work(&app, &second).await.len(), 2);
    });
}

#[test]
fn goods_that_are_gone_and_lie_nowhere_are_waited_for() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 3), ("MUG", "9.90", 5)]).await;
        days(&app).await;
        let order = shop.order(&[("TEE", 3), ("MUG", 1)]).await;
        adjust(&app, "TEE", "berlin", -2).await;
        eventually("it is held", || async { work(&app, &order).await.iter().any(|one| holds(one) == ["stock"]) }).await;
        settled(&app).await;
        let parts = work(&app, &order).await;
        assert_eq!(parts.len(), 2, "what is there can be shipped: {parts:?}");
        let held = parts.iter().find(|one| holds(one) == ["stock"]).unwrap();
        assert_eq!(held["lines"][0]["quantity"], 2);
        assert_eq!(current(&app, &order).await["reason"], "unknown");
        // What is announced is promised, and due when it comes.
        let inbound = announce(&app, 10, 5).await;
        eventually("it is promised", || async { current(&app, &order).await["promise"]["ships_by"] == "2026-03-10" })
            .await;
        settled(&app).await;
        let due = |parts: Vec<Value>, is_held: bool| {
            parts.iter().find(|one| holds(one).is_empty() != is_held).unwrap()["due_at"].clone()
        };
        assert_eq!(due(work(&app, &order).await, true), json!(end_of(10)));
        assert_eq!(due(work(&app, &order).await, false), json!(end_of(2)));
        // They are here: nothing holds it any more.
        app.ops("POST", &format!("/inbound-shipments/{inbound}/receive"), Some(&json!({}))).await.expect(200);
        eventually("it is free", || async { work(&app, &order).await.iter().all(|one| holds(one).is_empty()) }).await;
        settled(&app).await;
        for one in work(&app, &order).await {
            app.ops("POST", &format!("/fulfilment-orders/{}/ship", text(&one["id"])), Some(&json!({})))
                .await
                .expect(201);
        }
    });
}

#[test]
fn what_is_found_again_is_free_again() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 2)]).await;
        let order = shop.order(&[("TEE", 2)]).await;
        adjust(&app, "TEE", "berlin", -2).await;
        eventually("it is held", || async { holds(&work(&app, &order).await[0]) == ["stock"] }).await;
        settled(&app).await;
        assert_eq!(work(&app, &order).await.len(), 1, "all of it waits where it is");
        adjust(&app, "TEE", "berlin", 1).await;
        settled(&app).await;
        assert_eq!(holds(&work(&app, &order).await[0]), ["stock"], "that is not all of it");
        adjust(&app, "TEE", "berlin", 1).await;
        eventually("it is free", || async { holds(&work(&app, &order).await[0]).is_empty() }).await;
        settled(&app).await;
    });
}

#[test]
fn a_lot_that_is_blocked_is_gone_and_one_that_is_freed_is_there_again() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 2)]).await;
        let lot = json!({"lines": [{"sku": "TEE", "location": "berlin", "lot": "L1", "quantity": 2}]});
        let lots = app.ops("POST", "/lots", Some(&lot)).await;
        assert!(matches!(lots.status, 200 | 201), "{}", lots.text);
        let order = shop.order(&[("TEE", 2)]).await;
        let found = app.ops("GET", "/lots?sku=TEE", None).await.expect(200);
        let path = format!("/lots/{}", text(&found["items"][0]["id"]));
        let put = |state: &str| json!({"state": state, "reason": "a complaint"});
        app.ops("PATCH", &path, Some(&put("blocked"))).await.expect(200);
        eventually("it is held", || async { holds(&work(&app, &order).await[0]) == ["stock"] }).await;
        settled(&app).await;
        app.ops("PATCH", &path, Some(&put("available"))).await.expect(200);
        eventually("it is free", || async { holds(&work(&app, &order).await[0]).is_empty() }).await;
        settled(&app).await;
    });
}

#[test]
fn what_is_shipped_and_what_comes_while_goods_are_counted_away_ends_well() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 12)]).await;
        place(&app, "bremen", json!({}), &[("TEE", 3)]).await;
        let orders = join_all((0..6).map(|_| shop.order(&[("TEE", 2)]))).await;
        let mut ids = Vec::new();
        for order in &orders {
            ids.push(text(&work(&app, order).await[0]["id"]));
        }
        let nothing = json!({});
        let paths: Vec<String> = ids.iter().take(2).map(|id| format!("/fulfilment-orders/{id}/ship")).collect();
        let (shipped, ..) = futures::join!(
            join_all(paths.iter().map(|path| app.ops("POST", path, Some(&nothing)))),
            join_all((0..8).map(|_| adjust(&app, "TEE", "berlin", -1))),
            join_all((0..2).map(|_| adjust(&app, "TEE", "bremen", 1))),
        );
        settled(&app).await;
        let shipped = shipped.iter().filter(|answer| answer.status == 201).count();
        let (mut free, mut held) = (0, 0);
        for order in &orders {
            for one in work(&app, order).await.iter().filter(|one| one["state"] == "open") {
                let pieces =
                    one["lines"][0]["quantity"].as_i64().unwrap() - one["lines"][0]["cancelled"].as_i64().unwrap();
                if holds(one).is_empty() { free += pieces } else { held += pieces }
            }
        }
        // Twelve and five lay there, eight are gone; each piece is somebody's or waited for.
        let left = 12 - 2 * i64::try_from(shipped).unwrap();
        assert_eq!(free + held, left, "{free} free, {held} held, {shipped} shipped");
        assert!(free <= 17 - 8 - 2 * i64::try_from(shipped).unwrap(), "{free} free");
        // What has come is found: nothing waits for what is there.
        adjust(&app, "TEE", "berlin", 8).await;
        settled(&app).await;
        for order in &orders {
            for one in work(&app, order).await {
                assert!(holds(&one).is_empty(), "{one}");
            }
        }
    });
}

#[test]
fn a_supplier_who_ships_later_moves_what_is_due_and_promised() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0), ("MUG", "9.90", 5)]).await;
        days(&app).await;
        place(&app, "acme", json!({"kind": "supplier"}), &[("TEE", 10)]).await;
        let order = shop.order(&[("TEE", 2)]).await;
        let id = text(&work(&app, &order).await[0]["id"]);
        let path = format!("/supplier-orders/{id}/acknowledge");
        let said = |at: &str| json!({"ships_at": at});
        let answer = app.ops("POST", &path, Some(&said("2026-03-05T15:00:00Z"))).await.expect(200);
        assert_eq!(answer["due_at"], "2026-03-05T15:00:00Z");
        let moved = current(&app, &order).await;
        assert_eq!((&moved["reason"], &moved["promise"]["ships_by"]), (&json!("later"), &json!("2026-03-05")));
        // Sooner again, and never sooner than it was due.
        app.ops("POST", &path, Some(&said("2026-03-04T15:00:00Z"))).await.expect(200);
        assert_eq!(current(&app, &order).await["promise"]["ships_by"], "2026-03-04");
        let answer = app.ops("POST", &path, Some(&said("2026-03-02T10:00:00Z"))).await.expect(200);
        assert_eq!(answer["due_at"], json!(end_of(2)));
        assert_eq!(current(&app, &order).await["promise"]["ships_by"], "2026-03-02");
        // What somebody has rescheduled stays; what is promised is as the supplier says.
        let by_hand = json!({"due_at": "2026-03-03T12:00:00Z"});
        app.ops("POST", &format!("/fulfilment-orders/{id}/reschedule"), Some(&by_hand)).await.expect(200);
        let answer = app.ops("POST", &path, Some(&said("2026-03-09T15:00:00Z"))).await.expect(200);
        assert_eq!(answer["due_at"], "2026-03-03T12:00:00Z");
        assert_eq!(current(&app, &order).await["promise"]["ships_by"], "2026-03-09");
    });
}

/// What the system of a place says lies there.
async fn says(app: &App, location: &str, pieces: i64) {
    let token = format!("Bearer {}", app.token(Audience::Client, "erp", Scope::ALL));
    let rows = json!([{"sku": "TEE", "location": location, "on_hand": pieces}]);
    app.send("POST", "/v1/integration/stock-levels", &[("Authorization", &token)], Some(&rows)).await.expect(200);
}

#[test]
fn what_a_supplier_has_acknowledged_stays_whatever_their_list_says() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0), ("MUG", "9.90", 5)]).await;
        days(&app).await;
        let acme = place(&app, "acme", json!({"kind": "supplier"}), &[("TEE", 10)]).await;
        let (said, silent) = (shop.order(&[("TEE", 2)]).await, shop.order(&[("TEE", 1)]).await);
        let bremen = place(&app, "bremen", json!({}), &[("TEE", 9)]).await;
        let id = text(&work(&app, &said).await[0]["id"]);
        let path = format!("/supplier-orders/{id}/acknowledge");
        app.ops("POST", &path, Some(&json!({"reference": "SO-1"}))).await.expect(200);
        // Their list is without what they took for us. They may have sent it too, which we hear a little later.
        says(&app, "acme", 0).await;
        app.clock.advance_seconds(600);
        assert_eq!(work(&app, &silent).await[0]["location_id"], acme.as_str());
        app.clock.advance_seconds(301);
        eventually("the other comes from elsewhere", || async {
            work(&app, &silent).await.iter().all(|one| one["location_id"] == bremen.as_str())
        })
        .await;
        settled(&app).await;
        let kept = work(&app, &said).await;
        assert_eq!((kept.len(), &kept[0]["id"], holds(&kept[0])), (1, &json!(id), Vec::<String>::new()));
        // Nobody sends it another way before they refuse.
        let path = format!("/orders/{}/redirect", text(&said["id"]));
        let mut to = crate::support::shop::address();
        to["postcode"] = json!("28195");
        let to = json!({"method": "standard", "address": to, "reason": "moved"});
        let refused = app.ops("POST", &path, Some(&to)).await.problem(409, "state_conflict");
        assert_eq!(refused["fulfilment_order"], json!(id));
        let why = json!({"reason": "gone after all"});
        app.ops("POST", &format!("/supplier-orders/{id}/refuse"), Some(&why)).await.expect(200);
        assert!(work(&app, &said).await.iter().all(|one| one["location_id"] == bremen.as_str()));
        app.ops("POST", &path, Some(&to)).await.expect(200);
        settled(&app).await;
    });
}

#[test]
fn what_has_left_before_a_list_is_told_after_it_moves_nothing() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 3)]).await;
        place(&app, "bremen", json!({}), &[("TEE", 9)]).await;
        let (first, second) = (shop.order(&[("TEE", 2)]).await, shop.order(&[("TEE", 1)]).await);
        says(&app, "berlin", 1).await;
        let path = format!("/fulfilment-orders/{}/ship", text(&work(&app, &first).await[0]["id"]));
        // It is taken off a second time, until the next list.
        adjust(&app, "TEE", "berlin", 2).await;
        app.ops("POST", &path, Some(&json!({}))).await.expect(201);
        app.clock.advance_seconds(901);
        settled(&app).await;
        let kept = work(&app, &second).await;
        assert_eq!((kept.len(), holds(&kept[0])), (1, Vec::<String>::new()), "{kept:?}");
        assert!(kept[0].get("taken_from").is_none(), "{kept:?}");
    });
}

#[test]
fn a_later_day_of_a_supplier_is_not_taken_back_by_what_else_the_order_waits_for() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0), ("MUG", "9.90", 0)]).await;
        days(&app).await;
        let beyond = json!({"lines": [{"sku": "TEE", "location": "berlin", "limit": 5, "kind": "backorder"}]});
        app.ops("PUT", "/stock/backorders", Some(&beyond)).await.expect(200);
        let inbound = announce(&app, 4, 5).await;
        place(&app, "acme", json!({"kind": "supplier"}), &[("MUG", 5)]).await;
        let order = shop.order(&[("TEE", 1), ("MUG", 1)]).await;
        settled(&app).await;
        let of = |parts: &[Value], sku: &str| parts.iter().find(|one| one["lines"][0]["sku"] == sku).unwrap().clone();
        let parts = work(&app, &order).await;
        assert_eq!(parts.len(), 2, "{parts:?}");
        let path = format!("/supplier-orders/{}/acknowledge", text(&of(&parts, "MUG")["id"]));
        app.ops("POST", &path, Some(&json!({"ships_at": "2026-03-11T15:00:00Z"}))).await.expect(200);
        assert_eq!(current(&app, &order).await["promise"]["ships_by"], "2026-03-11");
        // The tees come a day later, still before the mug leaves.
        comes(&app, &inbound, 5).await;
        eventually("it is due later", || async { of(&work(&app, &order).await, "TEE")["due_at"] == json!(end_of(5)) })
            .await;
        settled(&app).await;
        assert_eq!(of(&work(&app, &order).await, "MUG")["due_at"], "2026-03-11T15:00:00Z");
        assert_eq!(current(&app, &order).await["promise"]["ships_by"], "2026-03-11");
        // They come after it.
        comes(&app, &inbound, 17).await;
        eventually("the promise is moved", || async {
            current(&app, &order).await["promise"]["ships_by"] == "2026-03-17"
        })
        .await;
        settled(&app).await;
        assert_eq!(of(&work(&app, &order).await, "MUG")["due_at"], "2026-03-11T15:00:00Z");
    });
}
