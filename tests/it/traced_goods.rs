//! Goods that are tracked by lot or serial number: it is asked for where they come and where they leave, and known of whom has them.

use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    inbound::{receive, text},
    support::{Answer, App, Shop, on_both, on_both_idle},
};

/// Says what is asked for of a SKU.
async fn track(app: &App, sku: &str, tracking: &str) {
    let found = app.ops("GET", &format!("/variants?sku={sku}"), None).await.expect(200);
    let path = format!("/variants/{}", text(&found["items"][0]["id"]));
    let changed = app.ops("PATCH", &path, Some(&json!({"tracking": tracking}))).await.expect(200);
    assert_eq!(changed["tracking"], tracking);
}

async fn lots(app: &App, sku: &str) -> Vec<(String, i64)> {
    let held = app.ops("GET", &format!("/lots?sku={sku}"), None).await.expect(200);
    let one = |lot: &Value| (text(&lot["number"]), lot["quantity"].as_i64().unwrap());
    let mut all: Vec<_> = held["items"].as_array().unwrap().iter().map(one).collect();
    all.sort();
    all
}

fn lot(number: &str, pieces: i64) -> (String, i64) {
    (number.to_owned(), pieces)
}

async fn lot_id(app: &App, sku: &str, number: &str) -> String {
    let held = app.ops("GET", &format!("/lots?sku={sku}"), None).await.expect(200);
    let found = held["items"].as_array().unwrap().iter().find(|lot| lot["number"] == number);
    text(&found.unwrap_or_else(|| panic!("{held}"))["id"])
}

async fn recall(app: &App, id: &str) {
    app.ops("PATCH", &format!("/lots/{id}"), Some(&json!({"state": "recalled"}))).await.expect(200);
}

async fn receivers(app: &App, id: &str) -> Vec<(Value, i64)> {
    let found = app.ops("GET", &format!("/lots/{id}/receivers"), None).await.expect(200);
    let one = |one: &Value| (one["order_id"].clone(), one["quantity"].as_i64().unwrap());
    found["items"].as_array().unwrap().iter().map(one).collect()
}

async fn work_of(app: &App, order: &Value) -> String {
    let found = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
    text(&found["fulfilment_orders"][0]["id"])
}

async fn available(app: &App, sku: &str) -> (i64, i64) {
    let levels = app.ops("GET", &format!("/stock/levels?sku={sku}&location=berlin"), None).await.expect(200);
    let of = |field: &str| levels["items"][0][field].as_i64().unwrap_or_default();
    (of("on_hand"), of("available"))
}

async fn announce(app: &App, line: Value) -> String {
    let body = json!({"location": "berlin", "expected_at": app.now().plus_seconds(3600), "lines": [line]});
    text(&app.ops("POST", "/inbound-shipments", Some(&body)).await.expect(201)["id"])
}

#[test]
fn goods_that_come_tell_their_lot() {
    on_both(|app| async move {
        let _shop = Shop::open(&app, &[("MILK", "1.90", 0), ("MUG", "9.90", 0)]).await;
        track(&app, "MILK", "lot").await;
        let id = announce(&app, json!({"sku": "MILK", "quantity": 12})).await;
        let refused = receive(&app, &id, json!({})).await.problem(422, "lot_required");
        assert_eq!((&refused["pointer"], &refused["line_no"]), (&json!("/lines"), &json!(1)));
        let some = json!([{"lot": "A", "quantity": 3}]);
        let part = json!({"lines": [{"line_no": 1, "quantity": 5, "lots": some}]});
        let refused = receive(&app, &id, part).await.problem(422, "lot_required");
        assert_eq!((&refused["pointer"], &refused["left"]), (&json!("/lines/0/lot"), &json!(2)));
        let many = json!({"lines": [{"line_no": 1, "quantity": 2, "lots": some}]});
        receive(&app, &id, many).await.problem(422, "invalid_value");
        let both = json!({"lines": [{"line_no": 1, "quantity": 3, "lot": "B", "lots": some}]});
        receive(&app, &id, both).await.problem(422, "invalid_value");
        // One line comes in two lots, one of them by its date.
        let two = json!({"lines": [{"line_no": 1, "quantity": 5, "lots":
            [{"lot": "A", "quantity": 3, "best_before": "2099-01-31"}, {"lot": "B", "quantity": 2}]}]});
        receive(&app, &id, two).await.expect(200);
        receive(&app, &id, json!({"lines": [{"line_no": 1, "quantity": 4, "best_before": "2099-02-28"}]}))
            .await
            .expect(200);
        assert_eq!(lots(&app, "MILK").await, [lot("2099-02-28", 4), lot("A", 3), lot("B", 2)]);
        // What is announced with a lot needs no more.
        let named = announce(&app, json!({"sku": "MILK", "quantity": 2, "lot": "C"})).await;
        receive(&app, &named, json!({})).await.expect(200);
        let adjust = async |line: Value| app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await;
        let found = json!({"sku": "MILK", "location": "berlin", "change": 2, "reason": "found"});
        let refused = adjust(found.clone()).await.problem(422, "lot_required");
        assert_eq!(refused["pointer"], "/lines/0/lot");
        let with = |change: i64, number: &str| json!({"sku": "MILK", "location": "berlin", "change": change, "reason": "x", "lot": number});
        let levels = adjust(with(2, "C")).await.expect(200);
        assert_eq!(levels["items"][0]["on_hand"], 13);
        assert_eq!(lots(&app, "MILK").await, [lot("2099-02-28", 4), lot("A", 3), lot("B", 2), lot("C", 4)]);
        // What goes may say of which lot it goes, or not.
        adjust(with(-3, "A")).await.expect(200);
        let refused = adjust(with(-3, "B")).await.problem(409, "stock_negative");
        assert_eq!(refused["pointer"], "/lines/0/lot");
        adjust(json!({"sku": "MILK", "location": "berlin", "change": -1, "reason": "x"})).await.expect(200);
        assert_eq!(lots(&app, "MILK").await, [lot("2099-02-28", 3), lot("B", 2), lot("C", 4)]);
        recall(&app, &lot_id(&app, "MILK", "B").await).await;
        let levels = adjust(with(1, "B")).await.expect(200);
        assert_eq!((&levels["items"][0]["withheld"], available(&app, "MILK").await), (&json!(3), (10, 7)));
        // Of other goods nothing is asked.
        adjust(json!({"sku": "MUG", "location": "berlin", "change": 2, "reason": "x"})).await.expect(200);
    });
}

#[test]
fn goods_that_leave_tell_their_lots_and_serials() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("PUMP", "99.00", 6), ("MUG", "9.90", 5)]).await;
        let named = json!({"lines": [{"sku": "PUMP", "location": "berlin", "lot": "A", "quantity": 4},
            {"sku": "PUMP", "location": "berlin", "lot": "B", "quantity": 2}]});
        app.ops("POST", "/lots", Some(&named)).await.expect(200);
        track(&app, "PUMP", "lot_and_serial").await;
        let order = shop.order(&[("PUMP", 3), ("MUG", 1)]).await;
        let work = work_of(&app, &order).await;
        let ship = async |body: Value| app.ops("POST", &format!("/fulfilment-orders/{work}/ship"), Some(&body)).await;
        let pack =
            async |body: Value| app.ops("POST", &format!("/fulfilment-orders/{work}/packages"), Some(&body)).await;
        ship(json!({})).await.problem(422, "lot_required");
        let said = json!({"lots": [{"line_no": 1, "lot": "A", "quantity": 3}]});
        let refused = ship(said).await.problem(422, "serials_required");
        assert_eq!((&refused["pointer"], &refused["line_no"]), (&json!("/packages"), &json!(1)));
        pack(json!({})).await.problem(422, "lot_required");
        let line = |lots: Value, serials: Value| json!({"lines": [{"line_no": 1, "quantity": 3, "lots": lots, "serials": serials}]});
        let refused = pack(line(json!(["A"]), json!(["1", "2"]))).await.problem(422, "serials_required");
        assert_eq!(refused["pointer"], "/lines/0/serials");
        let several = pack(line(json!(["A", "B"]), json!(["1", "2", "3"]))).await.problem(422, "lot_required");
        assert_eq!(several["pointer"], "/lines/0/lots");
        let many = json!([{"lot": "A", "quantity": 2}, {"lot": "B", "quantity": 2}]);
        pack(line(many, json!(["1", "2", "3"]))).await.problem(422, "invalid_value");
        let right = json!([{"lot": "A", "quantity": 1}, {"lot": "B", "quantity": 2}]);
        let package = pack(line(right.clone(), json!(["1", "2", "3"]))).await.expect(201);
        assert_eq!(package["lines"][0]["lots"], right);
        // What nobody asks of leaves as ever.
        ship(json!({})).await.expect(201);
        let (a, held) = (lot_id(&app, "PUMP", "A").await, lots(&app, "PUMP").await);
        assert_eq!(held, [lot("A", 3)]);
        assert_eq!(receivers(&app, &a).await, [(order["id"].clone(), 1)]);
    });
}

#[test]
fn what_comes_back_is_of_the_lot_in_which_it_left() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("MILK", "1.90", 8)]).await;
        let named = json!({"lines": [{"sku": "MILK", "location": "berlin", "lot": "BAD", "quantity": 5}]});
        app.ops("POST", "/lots", Some(&named)).await.expect(200);
        let order = shop.order(&[("MILK", 4)]).await;
        let work = work_of(&app, &order).await;
        app.ops("POST", &format!("/fulfilment-orders/{work}/ship"), Some(&json!({}))).await.expect(201);
        recall(&app, &lot_id(&app, "MILK", "BAD").await).await;
        assert_eq!(available(&app, "MILK").await, (4, 3));
        let (path, id) = ("/returns", text(&order["id"]));
        let back = |pieces: i64| json!({"order": id, "lines": [{"line_no": 1, "quantity": pieces}], "restock": true});
        app.ops("POST", path, Some(&back(3))).await.expect(201);
        // It lies there, recalled, and nobody buys it.
        assert_eq!((available(&app, "MILK").await, lots(&app, "MILK").await), ((7, 3), vec![lot("BAD", 4)]));
        app.ops("POST", path, Some(&back(1))).await.expect(201);
        assert_eq!((available(&app, "MILK").await, lots(&app, "MILK").await), ((8, 3), vec![lot("BAD", 5)]));
    });
}

#[test]
fn another_warehouse_tells_what_was_in_its_parcels() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("PUMP", "99.00", 9), ("MUG", "9.90", 5)]).await;
        let order = shop.order(&[("PUMP", 4), ("MUG", 2)]).await;
        let named = json!({"lines": [{"sku": "PUMP", "location": "berlin", "lot": "A", "quantity": 1}]});
        app.ops("POST", "/lots", Some(&named)).await.expect(200);
        recall(&app, &lot_id(&app, "PUMP", "A").await).await;
        track(&app, "PUMP", "lot_and_serial").await;
        let report = async |document: &str, packages: Value| -> Answer {
            let body = json!({"system": "wms", "document": document, "carrier": "DHL", "packages": packages});
            let token = format!("Bearer {}", app.token(Audience::Client, "wms", &[Scope::WritebackWrite]));
            let path = format!("/v1/integration/orders/{}/shipments", text(&order["id"]));
            app.send("POST", &path, &[("Authorization", &token)], Some(&body)).await
        };
        let sscc = "106141412345678908";
        let pumps =
            |lots: Value, serials: Value| json!({"sku": "PUMP", "quantity": 3, "lots": lots, "serials": serials});
        let wrong = json!([{"sscc": "106141412345678909", "lines": [pumps(json!([]), json!([]))]}]);
        let refused = report("LS-1", wrong).await.problem(422, "invalid_value");
        assert_eq!(refused["pointer"], "/packages/0/sscc");
        let twice = json!([{"lines": [pumps(json!([]), json!(["1", "1"]))]}]);
        report("LS-1", twice).await.problem(422, "invalid_value");
        let unknown = json!([{"lines": [{"sku": "CUP", "quantity": 1}]}]);
        let refused = report("LS-1", unknown).await.problem(422, "line_unknown");
        assert_eq!(refused["pointer"], "/packages/0/lines/0/sku");
        // What has left has left: of a lot that was recalled, and of one that nobody here has heard of.
        let lots_told = json!([{"lot": "A", "quantity": 1}, {"lot": "NEW", "quantity": 2}]);
        let packages = json!([{"sscc": sscc, "weight_grams": 900, "lines":
            [pumps(lots_told, json!(["1", "2", "3"])), {"line_no": 2, "quantity": 1}]}]);
        let made = report("LS-1", packages.clone()).await.expect(201);
        let shipment = &made["shipments"][0];
        assert_eq!((&shipment["packages"][0]["sscc"], shipment["lines"].as_array().unwrap().len()), (&json!(sscc), 2));
        report("LS-1", packages.clone()).await.expect(200);
        let other = json!([{"sscc": sscc, "lines": [pumps(json!(["A"]), json!([]))]}]);
        let refused = report("LS-1", other).await.problem(409, "duplicate");
        assert_eq!(refused["pointer"], "/packages");
        let serial = app.ops("GET", "/serials?serial=2&sku=PUMP", None).await.expect(200);
        assert_eq!(serial["items"][0]["package"]["sscc"], sscc);
        let again = json!([{"sscc": sscc, "lines": [{"sku": "PUMP", "quantity": 1}]}]);
        let refused = report("LS-2", again).await.problem(409, "duplicate");
        assert_eq!(refused["pointer"], "/packages/0/sscc");
        let again = json!([{"lines": [{"sku": "PUMP", "quantity": 1, "serials": ["3"]}]}]);
        report("LS-2", again).await.problem(409, "duplicate");
        let too_many = json!([{"lines": [{"sku": "PUMP", "quantity": 2}]}]);
        report("LS-2", too_many).await.problem(409, "quantity_exceeded");
        // What is said of no lot leaves as it should.
        let rest = json!([{"lines": [{"sku": "PUMP", "quantity": 1}, {"sku": "MUG", "quantity": 1}]}]);
        report("LS-2", rest).await.expect(201);
        let lots = app.ops("GET", "/stock/movements?sku=PUMP", None).await.expect(200);
        assert_eq!(lots["items"][0]["kind"], "shipment");
        let found = app
            .ops(
                "POST",
                "/lots",
                Some(&json!({"lines": [
            {"sku": "PUMP", "location": "berlin", "lot": "A", "quantity": 1},
            {"sku": "PUMP", "location": "berlin", "lot": "NEW", "quantity": 1}]})),
            )
            .await
            .expect(200);
        let id = |place: usize| text(&found["items"][place]["id"]);
        assert_eq!(receivers(&app, &id(0)).await, [(order["id"].clone(), 1)]);
        assert_eq!(receivers(&app, &id(1)).await, [(order["id"].clone(), 2)]);
    });
}

#[test]
fn packages_say_of_which_lots_they_are_and_nothing_else_leaves() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("MILK", "1.90", 6)]).await;
        let named = json!({"lines": [{"sku": "MILK", "location": "berlin", "lot": "A", "quantity": 1},
            {"sku": "MILK", "location": "berlin", "lot": "B", "quantity": 2}, {"sku": "MILK", "location": "berlin", "lot": "C", "quantity": 3}]});
        app.ops("POST", "/lots", Some(&named)).await.expect(200);
        track(&app, "MILK", "lot").await;
        let (first, second) = (shop.order(&[("MILK", 1)]).await, shop.order(&[("MILK", 2)]).await);
        let pack = async |work: &str, pieces: i64, lots: Value| {
            let body = json!({"lines": [{"line_no": 1, "quantity": pieces, "lots": lots}]});
            app.ops("POST", &format!("/fulfilment-orders/{work}/packages"), Some(&body)).await
        };
        let ship = async |work: &str, body: Value| {
            app.ops("POST", &format!("/fulfilment-orders/{work}/ship"), Some(&body)).await
        };
        let (one, other) = (work_of(&app, &first).await, work_of(&app, &second).await);
        let refused = pack(&one, 1, json!(["NEVER-SEEN"])).await.problem(422, "invalid_value");
        assert_eq!(refused["pointer"], "/lines/0/lots/0");
        recall(&app, &lot_id(&app, "MILK", "C").await).await;
        pack(&one, 1, json!(["C"])).await.problem(409, "state_conflict");
        pack(&one, 1, json!(["A"])).await.expect(201);
        // The one piece of the lot is in two packages: it leaves with the first.
        let twice = json!([{"lot": "A", "quantity": 1}, {"lot": "B", "quantity": 1}]);
        let package = text(&pack(&other, 2, twice).await.expect(201)["id"]);
        let otherwise = json!({"lots": [{"line_no": 1, "lot": "B", "quantity": 1}]});
        ship(&one, otherwise).await.problem(422, "invalid_value");
        ship(&one, json!({})).await.expect(201);
        let refused = ship(&other, json!({})).await;
        assert!((400..500).contains(&refused.status), "{}", refused.text);
        app.ops("POST", &format!("/packages/{package}/unpack"), None).await.expect(200);
        pack(&other, 2, json!(["B"])).await.expect(201);
        ship(&other, json!({})).await.expect(201);
        assert_eq!(receivers(&app, &lot_id(&app, "MILK", "C").await).await, []);
        assert_eq!(lots(&app, "MILK").await, [lot("C", 3)]);
    });
}
