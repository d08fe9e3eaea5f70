//! Lots: what expires first leaves first, what is blocked, recalled or expired is not sold, and who was sent what.

use futures::future::join_all;
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    stock::{levels, location, sums_agree},
    support::{Answer, App, Shop, eventually, on_both, on_both_idle},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// Says that pieces in Berlin are of a lot, which keeps for so many days.
async fn name(app: &App, sku: &str, lot: &str, quantity: i64, days: Option<i64>) -> Answer {
    let expires_at = days.map(|days| app.now().plus_seconds(86_400 * days));
    let line = json!({"sku": sku, "location": "berlin", "lot": lot, "quantity": quantity, "expires_at": expires_at});
    app.ops("POST", "/lots", Some(&json!({"reference": "GR-1", "lines": [line]}))).await
}

/// Number, state, pieces; in the order in which they leave.
async fn lots(app: &App, sku: &str) -> Vec<(String, String, i64)> {
    let found = app.ops("GET", &format!("/lots?sku={sku}"), None).await.expect(200);
    let lot = |item: &Value| {
        (text(&item["number"]).to_owned(), text(&item["state"]).to_owned(), item["quantity"].as_i64().unwrap())
    };
    found["items"].as_array().unwrap().iter().map(lot).collect()
}

fn lot(number: &str, state: &str, pieces: i64) -> (String, String, i64) {
    (number.to_owned(), state.to_owned(), pieces)
}

async fn id_of(app: &App, sku: &str, number: &str) -> String {
    let found = app.ops("GET", &format!("/lots?sku={sku}"), None).await.expect(200);
    let mut items = found["items"].as_array().unwrap().iter();
    text(&items.find(|item| item["number"] == number).unwrap()["id"]).to_owned()
}

async fn put(app: &App, id: &str, state: &str) -> Answer {
    app.ops("PATCH", &format!("/lots/{id}"), Some(&json!({"state": state, "reason": "notice 114"}))).await
}

async fn ship(app: &App, order: &Value, quantity: i64) -> Answer {
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    let work = app.ops("GET", &path, None).await.expect(200);
    let path = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
    let lines = json!({"lines": [{"line_no": 1, "quantity": quantity}]});
    app.ops("POST", &path, Some(&lines)).await
}

#[test]
fn what_expires_first_leaves_first_and_a_recall_finds_who_was_sent_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MILK", "1.90", 12)]).await;
        for (number, pieces, days) in [("L-LATE", 4, Some(30)), ("L-SOON", 3, Some(10)), ("L-EVER", 2, None)] {
            name(&app, "MILK", number, pieces, days).await.expect(200);
        }
        let (first, second) = (shop.order(&[("MILK", 5)]).await, shop.order(&[("MILK", 2)]).await);
        ship(&app, &first, 5).await.expect(201);
        let here = [lot("L-LATE", "available", 2), lot("L-EVER", "available", 2)];
        assert_eq!(lots(&app, "MILK").await, here);
        // Seven lie there, two of them for an order; three are in no lot.
        assert_eq!(levels(&app, "MILK").await[0].1, [7, 2, 0, 0, 5]);
        let late = id_of(&app, "MILK", "L-LATE").await;
        let recalled = put(&app, &late, "recalled").await.expect(200);
        assert_eq!((&recalled["state"], &recalled["reason"]), (&json!("recalled"), &json!("notice 114")));
        assert_eq!(levels(&app, "MILK").await[0].1, [7, 2, 0, 0, 3]);
        let page = app.ops("GET", &format!("/lots/{late}/receivers"), None).await.expect(200);
        let told = &page["items"][0];
        assert_eq!(
            (&told["order_id"], &told["quantity"], &told["location"]),
            (&first["id"], &json!(2), &json!("berlin"))
        );
        assert_eq!(page["items"].as_array().unwrap().len(), 1);
        // What is recalled is neither sold nor sent.
        let cart = shop.cart(&[("MILK", 4)]).await;
        assert_eq!(shop.complete(&cart, "approve").await.problem(409, "out_of_stock")["available"], 3);
        let third = shop.order(&[("MILK", 3)]).await;
        ship(&app, &second, 2).await.expect(201);
        assert_eq!(lots(&app, "MILK").await, [lot("L-LATE", "recalled", 2)]);
        ship(&app, &third, 3).await.expect(201);
        assert_eq!(levels(&app, "MILK").await[0].1, [2, 0, 0, 0, 0]);
        put(&app, &late, "available").await.problem(409, "state_conflict");
        sums_agree(&app).await;
    });
}

#[test]
fn what_may_not_be_sold_is_not_sent_even_where_it_was_sold_before() {
    // Where jobs are worked on, it is held for goods a moment later.
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("MILK", "1.90", 4)]).await;
        name(&app, "MILK", "A", 4, Some(10)).await.expect(200);
        let order = shop.order(&[("MILK", 2)]).await;
        let id = id_of(&app, "MILK", "A").await;
        put(&app, &id, "blocked").await.expect(200);
        assert_eq!(levels(&app, "MILK").await[0].1, [4, 2, 0, 0, -2]);
        assert_eq!(ship(&app, &order, 2).await.problem(409, "stock_negative")["available"], 0);
        assert_eq!(lots(&app, "MILK").await, [lot("A", "blocked", 4)]);
        put(&app, &id, "available").await.expect(200);
        ship(&app, &order, 2).await.expect(201);
        // What is written off is taken first from what may not be sold, once what is in no lot is gone.
        put(&app, &id, "blocked").await.expect(200);
        let off = json!({"lines": [{"sku": "MILK", "location": "berlin", "change": -1, "reason": "broken"}]});
        app.ops("POST", "/stock/adjustments", Some(&off)).await.expect(200);
        assert_eq!(levels(&app, "MILK").await[0].1, [1, 0, 0, 0, 0]);
        sums_agree(&app).await;
    });
}

#[test]
fn a_lot_that_has_kept_as_long_as_it_keeps_is_not_sold_any_more() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MILK", "1.90", 5)]).await;
        name(&app, "MILK", "A", 3, Some(1)).await.expect(200);
        app.clock.advance_seconds(86_401);
        eventually("the lot is expired", || async { lots(&app, "MILK").await == [lot("A", "expired", 3)] }).await;
        assert_eq!((levels(&app, "MILK").await[0].1, shop.available("MILK").await), ([5, 0, 0, 0, 2], 5));
        let id = id_of(&app, "MILK", "A").await;
        put(&app, &id, "available").await.problem(409, "state_conflict");
        put(&app, &id, "recalled").await.expect(200);
        // One that had expired when it came is never sold.
        name(&app, "MILK", "B", 1, Some(-1)).await.expect(200);
        assert_eq!(levels(&app, "MILK").await[0].1, [5, 0, 0, 0, 1]);
    });
}

#[test]
fn lots_hold_no_more_than_lies_there_and_are_not_for_everybody() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MILK", "1.90", 5)]).await;
        let refused = async |quantity: i64, status: u16, code: &str| {
            name(&app, "MILK", "A", quantity, None).await.problem(status, code)
        };
        assert_eq!(refused(6, 409, "stock_negative").await["pointer"], "/lines/0/quantity");
        refused(-1, 409, "stock_negative").await;
        refused(0, 422, "invalid_value").await;
        name(&app, "MILK", "A", 5, Some(9)).await.expect(200);
        refused(1, 409, "stock_negative").await;
        let other = name(&app, "MILK", "A", -1, Some(8)).await.problem(422, "invalid_value");
        assert_eq!(other["pointer"], "/lines/0/expires_at");
        name(&app, "MILK", "A", -2, None).await.expect(200);
        name(&app, "MILK", "B", 2, None).await.expect(200);
        assert_eq!(lots(&app, "MILK").await, [lot("A", "available", 3), lot("B", "available", 2)]);
        let id = id_of(&app, "MILK", "A").await;
        let (path, block) = (format!("/v1/ops/lots/{id}"), json!({"state": "blocked"}));
        let staff = format!("Bearer {}", app.staff());
        let headers = [("Authorization", staff.as_str()), ("If-Match", "\"v7\"")];
        app.send("PATCH", &path, &headers, Some(&block)).await.problem(412, "version_stale");
        assert_eq!(app.ops("GET", "/lots?sku=CUP", None).await.expect(200)["items"], json!([]));
        app.ops("GET", "/lots?sku=MILK&location=moon", None).await.problem(404, "not_found");
        let other = location(&app, "other", 300).await;
        let mut claims = app.claims(Audience::Staff, "eve", &format!("{} {}", Scope::StockRead, Scope::StockWrite));
        claims.locations = Some(vec![other]);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let headers = [("Authorization", token.as_str())];
        let seen = app.send("GET", "/v1/ops/lots?sku=MILK", &headers, None).await.expect(200);
        assert_eq!(seen["items"], json!([]));
        app.send("GET", &path, &headers, None).await.problem(404, "not_found");
        app.send("PATCH", &path, &headers, Some(&block)).await.problem(403, "scope_missing");
        let line = json!({"sku": "MILK", "location": "berlin", "lot": "A", "quantity": 1});
        let named = app.send("POST", "/v1/ops/lots", &headers, Some(&json!({"lines": [line]}))).await;
        named.problem(404, "not_found");
        drop(shop);
    });
}

/// A lot is blocked and freed while others buy, ship and name: what is withheld is what the lots say at the end, and no more was sold
/// than may be.
#[test]
fn a_lot_is_blocked_while_it_is_sold_sent_and_named() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MILK", "1.90", 30)]).await;
        name(&app, "MILK", "A", 10, Some(10)).await.expect(200);
        let id = id_of(&app, "MILK", "A").await;
        let orders = join_all((0..5).map(|_| shop.order(&[("MILK", 2)]))).await;
        let sent = join_all(orders.iter().map(|order| ship(&app, order, 2)));
        let named = join_all((0..5).map(|_| name(&app, "MILK", "A", 1, None)));
        let blocked = async {
            for state in ["blocked", "available", "blocked"] {
                put(&app, &id, state).await.expect(200);
            }
        };
        let carts = join_all((0..5).map(|_| shop.cart(&[("MILK", 3)]))).await;
        let bought = join_all(carts.iter().map(|cart| shop.complete(cart, "approve")));
        let (sent, named, (), bought) = tokio::join!(sent, named, blocked, bought);
        for answer in sent.into_iter().chain(named) {
            assert!(matches!(answer.status, 200 | 201 | 409), "{}", answer.text);
        }
        assert!(bought.iter().all(|answer| matches!(answer.status, 201 | 409 | 422)));
        let held: i64 = lots(&app, "MILK").await.iter().map(|(_, _, pieces)| pieces).sum();
        let level = levels(&app, "MILK").await[0].1;
        let page = app.ops("GET", "/stock/levels?sku=MILK", None).await.expect(200);
        assert_eq!(page["items"][0]["withheld"].as_i64().unwrap(), held);
        assert_eq!(level[4], level[0] - level[1] - held);
        sums_agree(&app).await;
    });
}

async fn transfer(app: &App, sku: &str, quantity: i64) -> Answer {
    let body = json!({"from": "berlin", "to": "bremen", "lines": [{"sku": sku, "quantity": quantity}]});
    let made = app.ops("POST", "/transfers", Some(&body)).await.expect(201);
    app.ops("POST", &format!("/transfers/{}/ship", text(&made["id"])), Some(&json!({}))).await
}

async fn arrive(app: &App, transfer: &Value, quantity: i64) {
    let path = format!("/transfers/{}/receive", text(&transfer["id"]));
    let lines = json!({"lines": [{"line_no": 1, "quantity": quantity}]});
    app.ops("POST", &path, Some(&lines)).await.expect(200);
}

#[test]
fn what_is_recalled_is_not_moved_to_where_it_would_be_sold() {
    on_both(|app| async move {
        let _shop = Shop::open(&app, &[("MILK", "1.90", 20)]).await;
        location(&app, "bremen", 300).await;
        name(&app, "MILK", "BAD", 10, Some(5)).await.expect(200);
        name(&app, "MILK", "GOOD", 10, Some(9)).await.expect(200);
        let (bad, good) = (id_of(&app, "MILK", "BAD").await, id_of(&app, "MILK", "GOOD").await);
        put(&app, &bad, "recalled").await.expect(200);
        let sent = transfer(&app, "MILK", 6).await.expect(200);
        assert_eq!(lots(&app, "MILK").await, [lot("GOOD", "available", 4), lot("BAD", "recalled", 10)]);
        arrive(&app, &sent, 2).await;
        let levels_are =
            |berlin: [i64; 5], bremen: [i64; 5]| [("berlin".to_owned(), berlin), ("bremen".to_owned(), bremen)];
        assert_eq!(levels(&app, "MILK").await, levels_are([14, 0, 0, 0, 4], [2, 0, 0, 0, 2]));
        // What is still under way is of the lot when it comes.
        put(&app, &good, "blocked").await.expect(200);
        arrive(&app, &sent, 4).await;
        assert_eq!(levels(&app, "MILK").await, levels_are([14, 0, 0, 0, 0], [6, 0, 0, 0, 0]));
        transfer(&app, "MILK", 1).await.problem(409, "out_of_stock");
        put(&app, &good, "available").await.expect(200);
        assert_eq!(levels(&app, "MILK").await, levels_are([14, 0, 0, 0, 4], [6, 0, 0, 0, 6]));
        sums_agree(&app).await;
    });
}

#[test]
fn a_lot_that_arrives_while_it_is_recalled_is_not_sold_there() {
    on_both(|app| async move {
        let _shop = Shop::open(&app, &[("MILK", "1.90", 8)]).await;
        location(&app, "bremen", 300).await;
        name(&app, "MILK", "A", 8, Some(9)).await.expect(200);
        let id = id_of(&app, "MILK", "A").await;
        let sent = transfer(&app, "MILK", 5).await.expect(200);
        let (_, recalled) = tokio::join!(arrive(&app, &sent, 5), put(&app, &id, "recalled"));
        recalled.expect(200);
        let page = app.ops("GET", "/stock/levels?sku=MILK", None).await.expect(200);
        let withheld: Vec<_> = page["items"].as_array().unwrap().iter().map(|one| one["withheld"].as_i64()).collect();
        assert_eq!(withheld.iter().flatten().sum::<i64>(), 8, "{page}");
        sums_agree(&app).await;
    });
}

#[test]
fn what_has_not_left_after_all_lies_in_its_lot_again() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MILK", "1.90", 6)]).await;
        name(&app, "MILK", "A", 4, Some(9)).await.expect(200);
        let order = shop.order(&[("MILK", 5)]).await;
        let sent = ship(&app, &order, 5).await.expect(201);
        assert_eq!(lots(&app, "MILK").await, []);
        let id = text(&sent["id"]);
        let page = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
        assert_eq!(page["fulfilment_orders"][0]["state"], "shipped");
        let why = json!({"kind": "not_shipped", "reason": "the lorry came back"});
        app.ops("POST", &format!("/shipments/{id}/correct"), Some(&why)).await.expect(200);
        assert_eq!(lots(&app, "MILK").await, [lot("A", "available", 4)]);
        let lot_id = id_of(&app, "MILK", "A").await;
        put(&app, &lot_id, "recalled").await.expect(200);
        assert_eq!(levels(&app, "MILK").await[0].1, [6, 5, 0, 0, -3]);
        ship(&app, &order, 5).await.problem(409, "stock_negative");
        sums_agree(&app).await;
    });
}

#[test]
fn what_was_packed_of_a_lot_leaves_of_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MILK", "1.90", 8)]).await;
        name(&app, "MILK", "SOON", 4, Some(5)).await.expect(200);
        name(&app, "MILK", "LATE", 4, Some(9)).await.expect(200);
        let order = shop.order(&[("MILK", 3)]).await;
        let path = format!("/orders/{}/fulfilment", text(&order["id"]));
        let work = app.ops("GET", &path, None).await.expect(200);
        let path = format!("/fulfilment-orders/{}", text(&work["fulfilment_orders"][0]["id"]));
        let packed = json!({"lines": [{"line_no": 1, "quantity": 2, "lots": ["LATE"]}]});
        app.ops("POST", &format!("{path}/packages"), Some(&packed)).await.expect(201);
        let late = id_of(&app, "MILK", "LATE").await;
        put(&app, &late, "blocked").await.expect(200);
        // There is enough of the other, but that is not what is in the box.
        let refused = app.ops("POST", &format!("{path}/ship"), Some(&json!({}))).await.problem(409, "state_conflict");
        assert_eq!(refused["lot_id"], late);
        put(&app, &late, "available").await.expect(200);
        app.ops("POST", &format!("{path}/ship"), Some(&json!({}))).await.expect(201);
        assert_eq!(lots(&app, "MILK").await, [lot("SOON", "available", 3), lot("LATE", "available", 2)]);
        sums_agree(&app).await;
    });
}

#[test]
fn what_is_received_of_a_lot_is_of_it_and_not_sold_where_it_may_not_be() {
    on_both(|app| async move {
        let _shop = Shop::open(&app, &[("MILK", "1.90", 1)]).await;
        name(&app, "MILK", "BAD", 1, None).await.expect(200);
        let bad = id_of(&app, "MILK", "BAD").await;
        put(&app, &bad, "recalled").await.expect(200);
        let line = |lot: Value, best_before: Value| json!({"sku": "MILK", "quantity": 3, "lot": lot, "best_before": best_before});
        let lines = [
            line(json!("BAD"), json!("2099-12-31")),
            line(json!("NEW"), json!("2099-12-31")),
            line(Value::Null, json!("2000-01-01")),
            line(Value::Null, Value::Null),
        ];
        let body = json!({"location": "berlin", "expected_at": app.now().plus_seconds(3600), "lines": lines});
        let made = app.ops("POST", "/inbound-shipments", Some(&body)).await.expect(201);
        let path = format!("/inbound-shipments/{}/receive", text(&made["id"]));
        app.ops("POST", &path, Some(&json!({}))).await.expect(200);
        let mut found = lots(&app, "MILK").await;
        found.sort();
        assert_eq!(found, [lot("2000-01-01", "expired", 3), lot("BAD", "recalled", 4), lot("NEW", "available", 3)]);
        // Of thirteen, three are of a good lot and three of none.
        assert_eq!(levels(&app, "MILK").await[0].1, [13, 0, 0, 0, 6]);
        sums_agree(&app).await;
    });
}
