//! Snapshots of stock from another system: as of an instant, knowing our orders up to a position of the feed; nothing twice.

use futures::future::join_all;
use kontor::{events, http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    stock::{levels, sums_agree},
    support::{Answer, App, Shop, on_both},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

async fn send(app: &App, body: &Value) -> Answer {
    let token = format!("Bearer {}", app.token(Audience::Client, "wms", &[Scope::StockWrite]));
    app.send("POST", "/v1/integration/stock-snapshots", &[("Authorization", &token)], Some(body)).await
}

/// The end of the feed of orders, as a system that has read all of it knows it.
async fn read_all(app: &App) -> i64 {
    app.state.db.write(events::number).await.unwrap();
    let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::FeedsRead]));
    let headers = [("Authorization", token.as_str())];
    let page = app.send("GET", "/v1/integration/feeds/orders?limit=200", &headers, None).await.expect(200);
    page["items"].as_array().unwrap().iter().map(|item| item["position"].as_i64().unwrap()).max().unwrap_or(0)
}

async fn ship(app: &App, order: &Value, quantity: i64) {
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    let work = app.ops("GET", &path, None).await.expect(200);
    let path = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
    let lines = json!({"lines": [{"line_no": 1, "quantity": quantity}]});
    app.ops("POST", &path, Some(&lines)).await.expect(201);
}

fn snapshot(app: &App, basis: &str, through: Option<i64>, sku: &str, quantity: i64) -> Value {
    let row = json!({"sku": sku, "location": "berlin", "quantity": quantity});
    json!({"source": "wms", "basis": basis, "as_of": app.now(), "orders_through": through, "rows": [row]})
}

/// Outcome, change, what was laid over it.
fn became(answer: &Value) -> (String, i64, i64) {
    let row = &answer["rows"][0];
    (text(&row["outcome"]).to_owned(), row["change"].as_i64().unwrap(), row["since"].as_i64().unwrap())
}

fn row(outcome: &str, change: i64, since: i64) -> (String, i64, i64) {
    (outcome.to_owned(), change, since)
}

/// `on_hand`, `allocated` and `available` in Berlin.
async fn berlin(app: &App, sku: &str) -> [i64; 3] {
    let [on_hand, allocated, _, _, available] = levels(app, sku).await[0].1;
    [on_hand, allocated, available]
}

#[test]
fn what_can_be_sold_is_told_without_the_orders_that_were_known_and_those_beyond_are_taken_off_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let early = shop.order(&[("TEE", 2)]).await;
        let also = shop.order(&[("TEE", 1)]).await;
        app.clock.advance_seconds(60);
        ship(&app, &also, 1).await;
        app.clock.advance_seconds(60);
        // The system has read so far, and counts: 25 lie there, 2 are set aside for the order it knows, 23 can be sold.
        let through = read_all(&app).await;
        // One order comes between what it has read and the instant of its count: the clock alone would not tell.
        let between = shop.order(&[("TEE", 3)]).await;
        let said = snapshot(&app, "available", Some(through), "TEE", 23);
        app.clock.advance_seconds(60);
        // And more happens before the snapshot arrives: an order, a shipment of one it knew and of one it did not, goods that come.
        let late = shop.order(&[("TEE", 4)]).await;
        ship(&app, &early, 2).await;
        ship(&app, &between, 1).await;
        shop.stock_up("TEE", 10).await;
        assert_eq!(berlin(&app, "TEE").await, [26, 6, 20]);
        let answer = send(&app, &said).await.expect(200);
        // 23 and 10 that came, without 3 and 4 that it did not know of.
        assert_eq!(became(&answer), row("changed", 6, 3));
        assert_eq!(berlin(&app, "TEE").await, [32, 6, 26]);
        // The same again changes nothing, and neither does an older one.
        assert_eq!(became(&send(&app, &said).await.expect(200)).0, "superseded");
        // The next one knows all of them: what was taken off is not taken off again.
        app.clock.advance_seconds(60);
        let through = read_all(&app).await;
        let said = snapshot(&app, "available", Some(through), "TEE", 26);
        assert_eq!(became(&send(&app, &said).await.expect(200)), row("unchanged", 0, 0));
        ship(&app, &late, 4).await;
        assert_eq!(berlin(&app, "TEE").await, [28, 2, 26]);
        sums_agree(&app).await;
    });
}

#[test]
fn what_an_order_gives_back_beyond_the_position_can_be_sold_again() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        let known = shop.order(&[("TEE", 3)]).await;
        let through = read_all(&app).await;
        let said = snapshot(&app, "available", Some(through), "TEE", 7);
        app.clock.advance_seconds(5);
        let unknown = shop.order(&[("TEE", 2)]).await;
        for order in [&known, &unknown] {
            app.clock.advance_seconds(5);
            let path = format!("/orders/{}/cancel", text(&order["id"]));
            app.ops("POST", &path, Some(&json!({"reason": "x"}))).await.expect(200);
        }
        // 7, and the 3 of the order that the sender still held goods for; the other came and went.
        assert_eq!(became(&send(&app, &said).await.expect(200)), row("unchanged", 0, 3));
        assert_eq!(berlin(&app, "TEE").await, [10, 0, 10]);
        sums_agree(&app).await;
    });
}

#[test]
fn what_lies_there_is_counted_without_what_left_and_came_later() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let (before, after) = (shop.order(&[("TEE", 2)]).await, shop.order(&[("TEE", 5)]).await);
        ship(&app, &before, 2).await;
        app.clock.advance_seconds(60);
        let said = snapshot(&app, "physical", None, "TEE", 17);
        app.clock.advance_seconds(60);
        ship(&app, &after, 3).await;
        shop.stock_up("TEE", 4).await;
        // 17 were counted, 3 left and 4 came since; 2 that had left before are in the count.
        assert_eq!(became(&send(&app, &said).await.expect(200)), row("changed", -1, 1));
        assert_eq!(berlin(&app, "TEE").await, [18, 2, 16]);
        // Of two systems the later instant counts, whoever sends first.
        let mut other = said.clone();
        other["source"] = json!("erp");
        assert_eq!(became(&send(&app, &other).await.expect(200)).0, "superseded");
        // What a snapshot booked is no goods that came: the next one does not count it.
        app.clock.advance_seconds(60);
        let next = snapshot(&app, "physical", None, "TEE", 18);
        assert_eq!(became(&send(&app, &next).await.expect(200)), row("unchanged", 0, 0));
        // More has left since than it says there was: it can not be right.
        let wrong = snapshot(&app, "physical", None, "TEE", 1);
        app.clock.advance_seconds(60);
        ship(&app, &after, 2).await;
        let mut wrong = wrong;
        wrong["as_of"] = json!(app.now().plus_seconds(-30));
        assert_eq!(became(&send(&app, &wrong).await.expect(200)).0, "negative");
        assert_eq!(berlin(&app, "TEE").await, [16, 0, 16]);
        sums_agree(&app).await;
    });
}

#[test]
fn what_a_snapshot_can_not_say_is_refused_and_a_row_alone_by_itself() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let good = snapshot(&app, "available", Some(0), "TEE", 5);
        let with = |path: &str, value: Value| {
            let mut body = good.clone();
            body[path] = value;
            body
        };
        let refused = async |body: Value, status: u16, code: &str, pointer: &str| {
            assert_eq!(send(&app, &body).await.problem(status, code)["pointer"], pointer);
        };
        refused(with("orders_through", Value::Null), 422, "missing_field", "/orders_through").await;
        refused(with("orders_through", json!(1_000_000)), 422, "invalid_value", "/orders_through").await;
        refused(with("as_of", json!(app.now().plus_seconds(1))), 422, "history_in_future", "/as_of").await;
        refused(with("as_of", json!(app.now().plus_seconds(-32 * 86_400))), 422, "invalid_value", "/as_of").await;
        refused(with("rows", json!([])), 422, "invalid_value", "/rows").await;
        let line = |sku: &str, location: &str| json!({"sku": sku, "location": location, "quantity": 5});
        let twice = json!([line("TEE", "berlin"), line("TEE", "berlin")]);
        refused(with("rows", twice), 422, "invalid_value", "/rows/1").await;
        let nowhere = json!([line("TEE", "berlin"), line("TEE", "moon")]);
        refused(with("rows", nowhere), 404, "not_found", "/rows/1/location").await;
        let some = send(&app, &with("rows", json!([line("CUP", "berlin"), line("TEE", "berlin")]))).await.expect(200);
        let outcomes: Vec<_> = some["rows"].as_array().unwrap().iter().map(|row| text(&row["outcome"])).collect();
        assert_eq!((outcomes, &some["taken"]), (vec!["sku_unknown", "unchanged"], &json!(1)));
        assert_eq!(shop.available("TEE").await, 5);
    });
}

/// Orders are placed while snapshots are taken: whatever comes first, what can be sold is what the sender had without what it did not
/// know.
#[test]
fn orders_beside_snapshots_are_taken_off_exactly_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 100)]).await;
        let through = read_all(&app).await;
        app.clock.advance_seconds(1);
        let orders = join_all((0..12).map(|_| async {
            shop.order(&[("TEE", 2)]).await;
        }));
        let snapshots = join_all((0..4).map(|place| {
            let mut said = snapshot(&app, "available", Some(through), "TEE", 50);
            said["source"] = json!(format!("wms-{place}"));
            let app = app.clone();
            async move { became(&send(&app, &said).await.expect(200)).0 }
        }));
        let (_, outcomes) = tokio::join!(orders, snapshots);
        let taken = outcomes.iter().filter(|outcome| *outcome != "superseded").count();
        assert_eq!(taken, 1, "{outcomes:?}");
        assert_eq!(berlin(&app, "TEE").await, [50, 24, 26]);
        sums_agree(&app).await;
    });
}
