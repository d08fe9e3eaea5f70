//! People are sent to what lies there, and to the lots that leave first; and what they take is what the books say has left.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    inbound::text,
    support::{Answer, App, Shop, on_both, on_both_idle, shop::address},
};

const GTIN: &str = "04006381333931";

/// A shop with tea of a GTIN.
async fn tea(app: &App, stock: i64) -> Shop {
    let shop = Shop::open(app, &[("TEE", "19.90", stock), ("MUG", "9.90", 5)]).await;
    let found = app.ops("GET", "/variants?sku=TEE", None).await.expect(200);
    let body = json!({"gtin": "4006381333931", "backorder_policy": "allow"});
    app.ops("PATCH", &format!("/variants/{}", text(&found["items"][0]["id"])), Some(&body)).await.expect(200);
    shop
}

/// Says that pieces which lie in Berlin are of a lot that keeps so many days.
async fn lot(app: &App, number: &str, days: i64, pieces: i64) {
    let ends = app.now().plus_seconds(86_400 * days);
    let line = json!({"sku": "TEE", "location": "berlin", "lot": number, "expires_at": ends, "quantity": pieces});
    app.ops("POST", "/lots", Some(&json!({"lines": [line]}))).await.expect(200);
}

/// How many lie there of each lot, by number.
async fn lies(app: &App) -> Vec<(String, i64)> {
    let lots = app.ops("GET", "/lots?sku=TEE", None).await.expect(200);
    let one = |one: &Value| (text(&one["number"]), one["quantity"].as_i64().unwrap());
    let mut lies: Vec<(String, i64)> = lots["items"].as_array().unwrap().iter().map(one).collect();
    lies.sort();
    lies
}

fn some(number: &str, pieces: i64) -> (String, i64) {
    (number.to_owned(), pieces)
}

async fn put_lot(app: &App, number: &str, state: &str) {
    let found = app.ops("GET", "/lots?sku=TEE", None).await.expect(200);
    let found = found["items"].as_array().unwrap().iter().find(|one| one["number"] == number).unwrap().clone();
    let body = json!({"state": state, "reason": "notice 7"});
    app.ops("PATCH", &format!("/lots/{}", text(&found["id"])), Some(&body)).await.expect(200);
}

/// Orders, and gives the fulfilment order.
async fn order(shop: &Shop, lines: &[(&str, i64)]) -> String {
    let order = shop.order(lines).await;
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    let found = shop.app.ops("GET", &path, None).await.expect(200);
    text(&found["fulfilment_orders"][0]["id"])
}

async fn wave(app: &App, mut body: Value) -> Answer {
    body["location"] = json!("berlin");
    app.ops("POST", "/waves", Some(&body)).await
}

async fn pick(app: &App, wave: &Value, scanned: &str, quantity: i64) -> Answer {
    let body = json!({"scanned": scanned, "quantity": quantity});
    app.ops("POST", &format!("/waves/{}/pick", text(&wave["id"])), Some(&body)).await
}

async fn ship(app: &App, work: &str) -> Answer {
    app.ops("POST", &format!("/fulfilment-orders/{work}/ship"), Some(&json!({}))).await
}

/// Number and pieces of the lots of a stop, or of what was put somewhere.
fn named(of: &Value) -> Vec<(String, i64)> {
    let one = |one: &Value| (text(&one["lot"]), one["quantity"].as_i64().unwrap());
    of["lots"].as_array().map(|all| all.iter().map(one).collect()).unwrap_or_default()
}

/// The fulfilment orders of a wave.
fn orders(wave: &Value) -> Vec<String> {
    wave["orders"].as_array().unwrap().iter().map(|one| text(&one["fulfilment_order_id"])).collect()
}

#[test]
fn the_list_names_the_lots_and_what_is_taken_of_them_leaves() {
    on_both(|app| async move {
        let shop = tea(&app, 12).await;
        for (number, days, pieces) in [("SOON", 10, 3), ("LATE", 90, 5), ("NEXT", 20, 2)] {
            lot(&app, number, days, pieces).await;
        }
        let plain = order(&shop, &[("TEE", 4)]).await;
        shop.set(json!({"min_shelf_life": {"days": 60}})).await;
        let strict = order(&shop, &[("TEE", 2)]).await;
        let made = wave(&app, json!({})).await.expect(201);
        let stop = &made["pick_list"]["lines"][0];
        assert_eq!(named(stop), [some("SOON", 3), some("NEXT", 1), some("LATE", 2)]);
        let of = |work: &str| {
            stop["puts"].as_array().unwrap().iter().find(|put| put["fulfilment_order_id"] == work).unwrap()
        };
        assert_eq!(named(of(&plain)), [some("SOON", 3), some("NEXT", 1)]);
        assert_eq!(named(of(&strict)), [some("LATE", 2)]);
        // A lot that keeps too short goes to the other one only; one that may not be sold to nobody.
        let code = |lot: &str| format!("(01){GTIN}(10){lot}");
        pick(&app, &made, &code("NEXT"), 5).await.problem(409, "quantity_exceeded");
        let put = pick(&app, &made, &code("NEXT"), 2).await.expect(200);
        assert_eq!(
            (&put["puts"][0]["fulfilment_order_id"], named(&put["puts"][0])),
            (&json!(plain), vec![some("NEXT", 2)])
        );
        put_lot(&app, "SOON", "blocked").await;
        let refused = pick(&app, &made, &code("SOON"), 1).await.problem(409, "state_conflict");
        assert!(refused["lot_id"].is_string() && refused["pointer"] == "/scanned", "{refused}");
        pick(&app, &made, &format!("01{GTIN}17260101"), 1).await.problem(409, "state_conflict");
        pick(&app, &made, "(01)04006381333932", 1).await.problem(404, "not_found");
        // What was taken lies there by the books only: the rest is of what else there is.
        let read = app.ops("GET", &format!("/waves/{}", text(&made["id"])), None).await.expect(200);
        assert_eq!(named(&read["pick_list"]["lines"][0]), [some("LATE", 4)]);
        put_lot(&app, "SOON", "available").await;
        // With a separator, for the one; by its SKU, as the list says, for the other.
        let raw = format!("01{GTIN}10LATE\u{1d}3702");
        let two = json!({"scanned": raw, "fulfilment_order_id": strict});
        let path = format!("/waves/{}/pick", text(&made["id"]));
        let put = app.ops("POST", &path, Some(&two)).await.expect(200);
        assert_eq!(named(&put["puts"][0]), [some("LATE", 2)]);
        assert_eq!(pick(&app, &made, "TEE", 2).await.expect(200)["wave"]["state"], "done");
        assert_eq!(shop.count("picked_lots").await, 3);
        // Of two of the one that ends first one is left: they left of what they were taken of, whoever ships first.
        ship(&app, &strict).await.expect(201);
        ship(&app, &plain).await.expect(201);
        assert_eq!(lies(&app).await, [some("LATE", 3), some("SOON", 1)]);
        assert_eq!(shop.count("picked_lots").await, 0);
    });
}

#[test]
fn what_was_picked_of_a_recalled_lot_goes_back_to_its_shelf() {
    on_both(|app| async move {
        let shop = tea(&app, 6).await;
        lot(&app, "A", 10, 3).await;
        let work = order(&shop, &[("TEE", 3)]).await;
        let made = wave(&app, json!({})).await.expect(201);
        // Several scan at once: three pieces are taken, each of the lot.
        let code = format!("01{GTIN}10A");
        let scans = join_all((0..5).map(|_| pick(&app, &made, &code, 1))).await;
        assert_eq!(scans.iter().filter(|answer| answer.status == 200).count(), 3, "{scans:?}");
        assert_eq!(app.count("SELECT CAST(sum(pieces) AS BIGINT) FROM picked_lots").await, 3);
        put_lot(&app, "A", "recalled").await;
        ship(&app, &work).await.problem(409, "state_conflict");
        let back = json!({"reason": "recalled"});
        app.ops("POST", &format!("/fulfilment-orders/{work}/unpick"), Some(&back)).await.expect(200);
        assert_eq!(shop.count("picked_lots").await, 0);
        // The next walk takes what is in no lot.
        let again = wave(&app, json!({})).await.expect(201);
        assert_eq!(named(&again["pick_list"]["lines"][0]), []);
        pick(&app, &again, "TEE", 3).await.expect(200);
        ship(&app, &work).await.expect(201);
        assert_eq!(lies(&app).await, [some("A", 3)]);
    });
}

#[test]
fn nobody_is_sent_to_an_empty_shelf() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = tea(&app, 2).await;
        let first = order(&shop, &[("TEE", 2)]).await;
        let waits = order(&shop, &[("TEE", 2)]).await;
        let part = order(&shop, &[("TEE", 1), ("MUG", 1)]).await;
        wave(&app, json!({"fulfilment_orders": [waits]})).await.problem(409, "state_conflict");
        let made = wave(&app, json!({})).await.expect(201);
        let mut taken = orders(&made);
        taken.sort();
        let mut there = vec![first.clone(), part.clone()];
        there.sort();
        assert_eq!(taken, there);
        let walk: Vec<_> = made["pick_list"]["lines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|stop| (text(&stop["sku"]), stop["quantity"].clone()))
            .collect();
        assert_eq!(walk, [("MUG".to_owned(), json!(1)), ("TEE".to_owned(), json!(2))]);
        pick(&app, &made, "TEE", 3).await.problem(409, "quantity_exceeded");
        // Whoever scans it is told the same.
        let scan = async |code: &str| {
            let body = json!({"code": code, "location": "berlin"});
            app.ops("POST", "/scan", Some(&body)).await.expect(200)["actions"].as_array().unwrap().clone()
        };
        assert_eq!(scan("TEE").await[0]["link"], format!("/v1/ops/fulfilment-orders/{first}/pick"));
        pick(&app, &made, "TEE", 2).await.expect(200);
        let actions = scan("TEE").await;
        let told: Vec<_> =
            actions.iter().map(|one| (text(&one["command"]), one["allowed"].as_bool().unwrap())).collect();
        assert_eq!(told, [("pick".to_owned(), false), ("pack".to_owned(), true)]);
        assert!(actions[0]["reason"].is_string());
        pick(&app, &made, "MUG", 1).await.expect(200);
        // It has come: now it is walked for.
        shop.stock_up("TEE", 3).await;
        let made = wave(&app, json!({})).await.expect(201);
        assert_eq!(made["pick_list"]["pieces"], 3);
    });
}

#[test]
fn what_does_not_keep_for_an_order_is_not_there_for_it() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = tea(&app, 3).await;
        lot(&app, "SOON", 10, 3).await;
        shop.set(json!({"min_shelf_life": {"days": 60}})).await;
        let strict = order(&shop, &[("TEE", 2)]).await;
        wave(&app, json!({})).await.problem(409, "state_conflict");
        // Of what has come one is of a lot that keeps, and nobody knows of the other.
        shop.stock_up("TEE", 2).await;
        lot(&app, "LATE", 90, 1).await;
        let made = wave(&app, json!({})).await.expect(201);
        assert_eq!(orders(&made), std::slice::from_ref(&strict));
        let stop = &made["pick_list"]["lines"][0];
        assert_eq!((&stop["quantity"], named(stop)), (&json!(2), vec![some("LATE", 1)]));
        pick(&app, &made, &format!("01{GTIN}10SOON"), 1).await.problem(409, "state_conflict");
        pick(&app, &made, "TEE", 2).await.expect(200);
        ship(&app, &strict).await.expect(201);
        assert_eq!(lies(&app).await, [some("SOON", 3)]);
    });
}

#[test]
fn a_wave_is_for_what_is_due_urgent_or_sent_in_one_way() {
    on_both(|app| async move {
        let shop = tea(&app, 20).await;
        let method = json!({"channel_id": shop.channel, "code": "express", "name": "Express", "tax_class": "standard",
            "rates": [{"countries": ["DE"], "price": {"amount": "9.90", "currency": "EUR"}}]});
        app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
        let (plain, urgent, soon) =
            (order(&shop, &[("TEE", 1)]).await, order(&shop, &[("TEE", 1)]).await, order(&shop, &[("TEE", 1)]).await);
        let body = json!({"lines": [{"sku": "TEE", "quantity": 1}], "email": "ada@example.org",
            "shipping_method": "express", "shipping_address": address()});
        let cart = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
        let pay = json!({"payment": {"method": "sandbox", "instrument": "approve"}});
        let path = format!("/carts/{}/complete", text(&cart["id"]));
        let done = shop.store("POST", &path, Some(&text(&cart["token"])), Some(&pay)).await.expect(201);
        let path = format!("/orders/{}/fulfilment", text(&done["order"]["id"]));
        let express = text(&app.ops("GET", &path, None).await.expect(200)["fulfilment_orders"][0]["id"]);
        let change = async |work: &str, body: Value| {
            app.ops("POST", &format!("/fulfilment-orders/{work}/reschedule"), Some(&body)).await.expect(200);
        };
        change(&urgent, json!({"priority": 10})).await;
        change(&soon, json!({"due_at": app.now().plus_seconds(600)})).await;
        let only = async |body: Value| {
            let made = wave(&app, body).await.expect(201);
            app.ops("POST", &format!("/waves/{}/cancel", text(&made["id"])), None).await.expect(200);
            orders(&made)
        };
        assert_eq!(only(json!({"due_before": app.now().plus_seconds(1200)})).await, std::slice::from_ref(&soon));
        assert_eq!(only(json!({"min_priority": 5})).await, std::slice::from_ref(&urgent));
        assert_eq!(only(json!({"shipping_method": "express"})).await, std::slice::from_ref(&express));
        wave(&app, json!({"shipping_method": "express", "min_priority": 5})).await.problem(409, "state_conflict");
        let mut all = only(json!({})).await;
        // Due first is in front.
        assert_eq!(all[0], soon);
        all.sort();
        let mut four = vec![plain, urgent, soon, express];
        four.sort();
        assert_eq!(all, four);
    });
}

#[test]
fn a_scan_tells_of_the_lot_and_of_the_piece() {
    on_both(|app| async move {
        let shop = tea(&app, 6).await;
        lot(&app, "L-7", 30, 4).await;
        let work = order(&shop, &[("TEE", 3)]).await;
        let scan = async |code: String| {
            let body = json!({"code": code, "location": "berlin"});
            app.ops("POST", "/scan", Some(&body)).await.expect(200)
        };
        let allowed = |answer: &Value| -> Vec<(String, bool)> {
            let actions = answer["actions"].as_array().unwrap().iter();
            actions.map(|one| (text(&one["command"]), one["allowed"].as_bool().unwrap())).collect()
        };
        let article = scan(format!("01{GTIN}10L-7")).await;
        assert_eq!((&article["lots"][0]["state"], &article["lots"][0]["here"]), (&json!("available"), &json!(4)));
        assert_eq!(allowed(&article), [("pick".to_owned(), true)]);
        // One that nobody knows is no reason to stop.
        let unknown = scan(format!("01{GTIN}10L-9")).await;
        assert_eq!((&unknown["lots"], allowed(&unknown)[0].1), (&Value::Null, true));
        // Past its date, by whichever.
        for date in ["17260228", "15260101"] {
            let old = scan(format!("01{GTIN}{date}")).await;
            assert_eq!(
                (allowed(&old), old["actions"][0]["reason"].is_string()),
                (vec![("pick".to_owned(), false)], true)
            );
        }
        put_lot(&app, "L-7", "blocked").await;
        let blocked = scan(format!("01{GTIN}10L-7")).await;
        assert_eq!(
            (&blocked["lots"][0]["state"], allowed(&blocked)),
            (&json!("blocked"), vec![("pick".to_owned(), false)])
        );
        put_lot(&app, "L-7", "available").await;
        // A piece that is in a package is not taken again.
        let lines = json!({"lines": [{"line_no": 1, "quantity": 1, "serials": ["S-1"]}]});
        let package = app.ops("POST", &format!("/fulfilment-orders/{work}/packages"), Some(&lines)).await.expect(201);
        let piece = scan(format!("01{GTIN}21S-1")).await;
        assert_eq!(
            (&piece["serials"][0]["package"]["id"], &piece["serials"][0]["held"]),
            (&package["id"], &json!(true))
        );
        assert_eq!(allowed(&piece), [("pick".to_owned(), false)]);
        assert_eq!(allowed(&scan(format!("01{GTIN}21S-2")).await), [("pick".to_owned(), true)]);
    });
}

#[test]
fn what_was_picked_of_a_lot_is_not_asked_for_it_again() {
    on_both(|app| async move {
        let shop = tea(&app, 6).await;
        lot(&app, "A", 10, 3).await;
        let found = app.ops("GET", "/variants?sku=TEE", None).await.expect(200);
        let path = format!("/variants/{}", text(&found["items"][0]["id"]));
        app.ops("PATCH", &path, Some(&json!({"tracking": "lot"}))).await.expect(200);
        let (known, loose) = (order(&shop, &[("TEE", 3)]).await, order(&shop, &[("TEE", 2)]).await);
        let made = wave(&app, json!({})).await.expect(201);
        pick(&app, &made, &format!("01{GTIN}10A"), 3).await.expect(200);
        pick(&app, &made, "TEE", 2).await.expect(200);
        // Some of the pieces were scanned with their lot, those of the other order lay in none.
        let (mut left, mut asked) = (0, 0);
        for work in [&known, &loose] {
            match ship(&app, work).await {
                shipped if shipped.status == 201 => left += 1,
                refused => {
                    refused.problem(422, "lot_required");
                    asked += 1;
                }
            }
        }
        assert_eq!((left, asked, lies(&app).await), (1, 1, vec![]));
    });
}
