//! A sourcing profile asks for how long goods still keep: in the plan, under the guard of the sale, and until they have left.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    inbound::text,
    support::{Answer, App, Shop, eventually, on_both, on_both_idle},
};

/// A location beside the shop's own, with goods.
async fn bremen(app: &App, pieces: i64) -> String {
    let place =
        json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
    let made = app.ops("POST", "/locations", Some(&place)).await.expect(201);
    if pieces > 0 {
        let line = json!({"sku": "MILK", "location": "bremen", "change": pieces, "reason": "test"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
    }
    text(&made["id"])
}

/// Says that pieces are of a lot that keeps so many days.
async fn lot(app: &App, location: &str, number: &str, days: i64, pieces: i64) {
    let ends = app.now().plus_seconds(86_400 * days);
    let line = json!({"sku": "MILK", "location": location, "lot": number, "expires_at": ends, "quantity": pieces});
    let answer = app.ops("POST", "/lots", Some(&json!({"lines": [line]}))).await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
}

/// What lies of which lots, sorted.
async fn lies(app: &App) -> Vec<(String, i64)> {
    let lots = app.ops("GET", "/lots?sku=MILK", None).await.expect(200);
    let lot = |one: &Value| (text(&one["number"]), one["quantity"].as_i64().unwrap());
    let mut lies: Vec<_> = lots["items"].as_array().unwrap().iter().map(lot).collect();
    lies.sort();
    lies
}

fn fresh(days: i64) -> Value {
    let strategy = json!({"name": "fresh", "filters": {"shelf_life_days": days}});
    json!({"strategies": [strategy], "fallback": {"then": "refuse"}})
}

async fn tried(shop: &Shop, pieces: i64, document: &Value) -> Value {
    let lines = json!([{"sku": "MILK", "quantity": pieces}]);
    let asked = json!({"channel_id": shop.channel, "country": "DE", "lines": lines, "document": document});
    shop.app.ops("POST", "/sourcing/simulate", Some(&asked)).await.expect(200)
}

/// Puts rules into force.
async fn activate(shop: &Shop, document: &Value) {
    let app = &shop.app;
    let new = json!({"code": "fresh", "document": document});
    let made = app.ops("POST", "/sourcing/profiles", Some(&new)).await.expect(201);
    let path = format!("/sourcing/profiles/{}/activate", text(&made["id"]));
    app.ops("POST", &path, None).await.expect(200);
    let version = &made["version"];
    eventually("the profile is in force", || async {
        let lines = json!([{"sku": "MILK", "quantity": 1}]);
        let asked = json!({"channel_id": shop.channel, "country": "DE", "lines": lines});
        let seen = app.ops("POST", "/sourcing/simulate", Some(&asked)).await.expect(200);
        &seen["sourcing"][0]["profile"]["version"] == version
    })
    .await;
}

/// Which location gives how many, and why each does or does not, with what it had.
fn told(simulated: &Value) -> (Vec<(String, i64)>, Vec<(String, String, i64)>) {
    let share = |one: &Value| (text(&one["location"]), one["quantity"].as_i64().unwrap());
    let why = |one: &Value| (text(&one["location"]), text(&one["why"]), one["available"].as_i64().unwrap());
    let looked_at = simulated["sourcing"][0]["looked_at"].as_array();
    (
        simulated["shares"].as_array().unwrap().iter().map(share).collect(),
        looked_at.map(|all| all.iter().map(why).collect()).unwrap_or_default(),
    )
}

fn why(location: &str, why: &str, available: i64) -> (String, String, i64) {
    (location.to_owned(), why.to_owned(), available)
}

async fn work(app: &App, order: &Value) -> Value {
    app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200)
}

async fn ship(app: &App, work: &Value) -> Answer {
    let path = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
    app.ops("POST", &path, Some(&json!({}))).await
}

#[test]
fn a_strategy_counts_what_keeps_long_enough_and_drops_where_nothing_does() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MILK", "1.90", 10)]).await;
        bremen(&app, 6).await;
        lot(&app, "berlin", "NEAR", 5, 10).await;
        lot(&app, "bremen", "FAR", 100, 4).await;
        lot(&app, "bremen", "NEAR", 5, 2).await;
        // Without the rule Berlin ships, for it is asked first.
        let any = json!({"strategies": [{"name": "any"}]});
        assert_eq!(told(&tried(&shop, 3, &any).await).0, [("berlin".to_owned(), 3)]);
        let (shares, looked_at) = told(&tried(&shop, 3, &fresh(30)).await);
        assert_eq!(shares, [("bremen".to_owned(), 3)]);
        assert_eq!(looked_at, [why("bremen", "best_score", 4), why("berlin", "shelf_life", 0)]);
        let refused = tried(&shop, 5, &fresh(30)).await;
        assert_eq!((&refused["planned"], &refused["refusal"]["code"]), (&json!(false), &json!("out_of_stock")));
        assert_eq!(tried(&shop, 5, &fresh(3)).await["planned"], true);
        // A day counts from the end of the one on which it ships: what keeps for five days from now does not keep so long then.
        assert_eq!(told(&tried(&shop, 5, &fresh(5)).await).0, []);
        // Where some of it keeps, that alone is counted.
        shop.stock_up("MILK", 1).await;
        let (shares, looked_at) = told(&tried(&shop, 3, &fresh(30)).await);
        assert_eq!(shares, [("bremen".to_owned(), 3)]);
        assert_eq!(looked_at, [why("bremen", "best_score", 4), why("berlin", "shelf_life", 1)]);
        // The next strategy may take the rest.
        let mut both = fresh(30);
        both["strategies"].as_array_mut().unwrap().push(json!({"name": "any"}));
        let found = tried(&shop, 8, &both).await;
        assert_eq!(told(&found).0, [("berlin".to_owned(), 8)]);
        assert_eq!(found["sourcing"][0]["profile"]["strategy"], "any");
        let wrong = json!({"code": "wrong", "document": fresh(0)});
        let problem = app.ops("POST", "/sourcing/profiles", Some(&wrong)).await.problem(422, "invalid_value");
        assert_eq!(problem["pointer"], "/document/strategies/0/filters/shelf_life_days");
    });
}

#[test]
fn an_order_is_sold_allocated_and_sent_by_the_stricter_of_channel_and_profile() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MILK", "1.90", 16)]).await;
        let place = bremen(&app, 6).await;
        lot(&app, "berlin", "NEAR", 10, 6).await;
        lot(&app, "berlin", "FAR", 40, 5).await;
        lot(&app, "berlin", "LAST", 100, 5).await;
        lot(&app, "bremen", "NEAR", 10, 6).await;
        activate(&shop, &fresh(30)).await;
        let cart = shop.cart(&[("MILK", 11)]).await;
        shop.complete(&cart, "approve").await.problem(409, "out_of_stock");
        let order = shop.order(&[("MILK", 3)]).await;
        let found = work(&app, &order).await;
        assert_eq!(found["sourcing"][0]["profile"]["shelf_life_days"], 30);
        let own = &found["fulfilment_orders"][0];
        assert_eq!(own["shelf_life_days"], 30);
        assert_ne!(own["location_id"], json!(place));
        // Nor is it moved to where nothing keeps so long.
        let path = format!("/fulfilment-orders/{}/move", text(&own["id"]));
        let to = json!({"location": place, "reason": "test"});
        app.ops("POST", &path, Some(&to)).await.problem(409, "out_of_stock");
        // Of what keeps long enough that leaves first which ends first.
        ship(&app, &found).await.expect(201);
        let far = |pieces: i64| ("FAR".to_owned(), pieces);
        let left = |pieces: i64| [far(pieces), ("LAST".to_owned(), 5), ("NEAR".to_owned(), 6), ("NEAR".to_owned(), 6)];
        assert_eq!(lies(&app).await, left(2));
        // Days go by: what kept long enough when it was sold does not any more.
        let last = shop.order(&[("MILK", 7)]).await;
        let found = work(&app, &last).await;
        let path = format!("/fulfilment-orders/{}", text(&found["fulfilment_orders"][0]["id"]));
        let boxed = json!({"lines": [{"line_no": 1, "quantity": 1, "lots": ["FAR"]}]});
        let boxed = app.ops("POST", &format!("{path}/packages"), Some(&boxed)).await.expect(201);
        app.clock.advance_seconds(15 * 86_400);
        let refused = app.ops("POST", &format!("{path}/ship"), Some(&json!({}))).await;
        refused.problem(409, "state_conflict");
        app.ops("POST", &format!("/packages/{}/unpack", text(&boxed["id"])), None).await.expect(200);
        let refused = app.ops("POST", &format!("{path}/ship"), Some(&json!({}))).await;
        assert_eq!(refused.problem(409, "stock_negative")["available"], 5);
        let some = json!({"lines": [{"line_no": 1, "quantity": 5}]});
        app.ops("POST", &format!("{path}/ship"), Some(&some)).await.expect(201);
        assert_eq!(lies(&app).await, [far(2), ("NEAR".to_owned(), 6), ("NEAR".to_owned(), 6)]);
        // The channel asks for more than the profile.
        shop.stock_up("MILK", 6).await;
        lot(&app, "berlin", "NEW", 50, 2).await;
        // Two of these are owed to the order before.
        lot(&app, "berlin", "NEWER", 90, 4).await;
        shop.set(json!({"min_shelf_life": {"days": 60}})).await;
        eventually("it is known", || async {
            let lines = json!([{"sku": "MILK", "quantity": 3}]);
            let asked = json!({"channel_id": shop.channel, "country": "DE", "lines": lines});
            app.ops("POST", "/sourcing/simulate", Some(&asked)).await.expect(200)["planned"] == false
        })
        .await;
        let order = shop.order(&[("MILK", 2)]).await;
        assert_eq!(work(&app, &order).await["fulfilment_orders"][0]["shelf_life_days"], 60);
    });
}

#[test]
fn however_many_buy_at_once_no_more_is_sold_than_keeps_long_enough() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MILK", "1.90", 10)]).await;
        lot(&app, "berlin", "NEAR", 5, 6).await;
        lot(&app, "berlin", "FAR", 100, 4).await;
        activate(&shop, &fresh(30)).await;
        let carts = join_all((0..8).map(|_| shop.cart(&[("MILK", 1)]))).await;
        let bought = join_all(carts.iter().map(|cart| shop.complete(cart, "approve"))).await;
        let statuses: Vec<u16> = bought.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 4, "{statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status, 201 | 409)), "{statuses:?}");
    });
}

#[test]
fn what_has_ended_is_not_sold_though_nobody_has_noted_it_yet() {
    on_both_idle(|app| async move {
        // Nothing is done beside requests: no sweep puts the lot into `expired`.
        app.leaves_work();
        let shop = Shop::open(&app, &[("MILK", "1.90", 5)]).await;
        let place = bremen(&app, 0).await;
        lot(&app, "berlin", "A", 1, 3).await;
        let offered = async || {
            let found = shop.store("POST", "/offers", None, Some(&json!({"skus": ["MILK"]}))).await.expect(200);
            found["items"][0]["availability"]["available"].as_i64().unwrap()
        };
        assert_eq!(offered().await, 5);
        let early = shop.cart(&[("MILK", 3)]).await;
        app.clock.advance_seconds(86_400);
        assert_eq!(offered().await, 2);
        let state = app.ops("GET", "/lots?sku=MILK", None).await.expect(200);
        assert_eq!(state["items"][0]["state"], "available", "nobody has looked");
        shop.complete(&early, "approve").await.problem(409, "out_of_stock");
        // Nor does it go to where it would be sold.
        let body = json!({"from": "berlin", "to": place, "lines": [{"sku": "MILK", "quantity": 3}]});
        let made = app.ops("POST", "/transfers", Some(&body)).await.expect(201);
        let path = format!("/transfers/{}/ship", text(&made["id"]));
        app.ops("POST", &path, Some(&json!({}))).await.problem(409, "out_of_stock");
        let carts = join_all((0..4).map(|_| shop.cart(&[("MILK", 1)]))).await;
        let bought = join_all(carts.iter().map(|cart| shop.complete(cart, "approve"))).await;
        let statuses: Vec<u16> = bought.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 2, "{statuses:?}");
    });
}
