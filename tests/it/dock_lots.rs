//! What a dock can take and may pass on: its room for a day, lots that may not be sold or do not keep, and the packages that leave with
//! what crossed it.

use futures::future::join_all;
use kontor::db::{Doc, Tx, bump, sql};
use serde_json::{Value, json};

use crate::{
    crossdock::{done, hub, list, of, order, plan, row, told},
    inbound::{BOX, PALLET, receive, text},
    support::{App, on_both_idle},
};

/// What a dock of an older version said of its room the location says now: the smaller number of the two.
#[test]
fn the_location_says_what_its_dock_said() {
    on_both_idle(|app| async move {
        let (_shop, dock) = hub(&app, json!({"lead_minutes": 30})).await;
        let told = match app.is_postgres() {
            true => include_str!("../../migrations/postgres/2026-11-27-003101_dock_room/up.sql"),
            false => include_str!("../../migrations/sqlite/2026-11-27-003101_dock_room/up.sql"),
        };
        for (own, said, expected) in [
            (Value::Null, Value::Null, Value::Null),
            (Value::Null, json!(7), json!(7)),
            (json!(5), json!(7), json!(5)),
            (json!(9), json!(7), json!(7)),
            (Value::Null, json!(1_000_000_000), json!(10_000_000)),
        ] {
            app.ops("PATCH", &format!("/locations/{dock}"), Some(&json!({"dock_units_per_day": own})))
                .await
                .expect(200);
            let doc = json!({"planned": true, "opportunistic": false, "lead_minutes": 20, "daily_capacity": said});
            let change = move |tx: &mut Tx| {
                sql("UPDATE dock_hubs SET doc = ?").bind(Doc(doc.clone())).execute(tx)?;
                sql(told).execute(tx)?;
                bump::<kontor::stock::Locations>(tx)
            };
            app.state.db.write(change).await.unwrap();
            let read = app.ops("GET", &format!("/locations/{dock}"), None).await.expect(200);
            assert_eq!((&read["dock_units_per_day"], &read["code"]), (&expected, &json!("berlin")), "{own} {said}");
            // The older document is read, without what it says no more.
            let view = app.ops("GET", &format!("/docks/{dock}"), None).await.expect(200);
            let rules = json!({"planned": true, "opportunistic": false, "lead_minutes": 20, "min_shelf_life_days": 0});
            assert_eq!(view["rules"], rules);
        }
    });
}

/// Announces lines for an hour from now.
async fn announce(app: &App, lines: Value) -> String {
    let body = json!({"location": "berlin", "expected_at": app.now().plus_seconds(3600), "lines": lines});
    text(&app.ops("POST", "/inbound-shipments", Some(&body)).await.expect(201)["id"])
}

/// The day so many days from now, as documents write it.
fn in_days(app: &App, days: i64) -> String {
    app.now().plus_seconds(86_400 * days).to_string()[..10].to_owned()
}

async fn load_all(app: &App, dock: &str) {
    for kind in ["sort", "load"] {
        for task in of(&list(app, dock, "tasks").await, kind) {
            let scan = if task["sscc"].is_string() { &task["sscc"] } else { &task["sku"] };
            done(app, task, &text(scan)).await.expect(200);
        }
    }
}

async fn packages(app: &App, work: &str) -> Vec<Value> {
    let found = app.ops("GET", &format!("/fulfilment-orders/{work}/packages"), None).await.expect(200);
    found["items"].as_array().unwrap().clone()
}

async fn ship(app: &App, work: &str) -> Value {
    app.ops("POST", &format!("/fulfilment-orders/{work}/ship"), Some(&json!({}))).await.expect(201)
}

/// The lots of an article by their numbers: id, state, pieces.
async fn lot(app: &App, sku: &str, number: &str) -> Value {
    let found = app.ops("GET", &format!("/lots?sku={sku}"), None).await.expect(200);
    let found = found["items"].as_array().unwrap().iter().find(|one| one["number"] == number).cloned();
    found.unwrap_or(Value::Null)
}

async fn name_lot(app: &App, lot: &str, quantity: i64, days: i64) {
    let expires_at = app.now().plus_seconds(86_400 * days);
    let line = json!({"sku": "TEE", "location": "berlin", "lot": lot, "quantity": quantity, "expires_at": expires_at});
    app.ops("POST", "/lots", Some(&json!({"lines": [line]}))).await.expect(200);
}

async fn put_lot(app: &App, lot: &Value, state: &str) {
    let body = json!({"state": state, "reason": "notice 7"});
    app.ops("PATCH", &format!("/lots/{}", text(&lot["id"])), Some(&body)).await.expect(200);
}

/// To whom pieces of a lot were sent: order, pieces.
async fn receivers(app: &App, lot: &Value) -> Vec<(String, i64)> {
    let found = app.ops("GET", &format!("/lots/{}/receivers", text(&lot["id"])), None).await.expect(200);
    let one = |one: &Value| (text(&one["order_id"]), one["quantity"].as_i64().unwrap());
    found["items"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn a_unit_that_passes_leaves_as_a_package_with_its_sscc_and_its_lot() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let (shop, dock) = hub(&app, json!({})).await;
        app.ops("PATCH", &format!("/locations/{dock}"), Some(&json!({"gs1_prefix": "4006381"}))).await.expect(200);
        let whole = order(&shop, &[("TEE", 4), ("MUG", 6)]).await;
        let few = order(&shop, &[("TEE", 3)]).await;
        // What ends first lies on the shelf, for nobody: by the books alone it would leave.
        let far = in_days(&app, 90);
        announce(
            &app,
            json!([
            {"sku": "TEE", "quantity": 4, "sscc": PALLET, "lot": "L-PAL", "best_before": far},
            {"sku": "MUG", "quantity": 6, "sscc": PALLET},
            {"sku": "TEE", "quantity": 5, "lot": "L-LOOSE", "best_before": far}]),
        )
        .await;
        plan(&app, &dock).await;
        let shipment = text(&list(&app, &dock, "matches").await[0]["inbound_shipment_id"]);
        receive(&app, &shipment, json!({})).await.expect(200);
        shop.stock_up("TEE", 6).await;
        name_lot(&app, "L-SOON", 6, 5).await;
        // However often it is scanned at once, it is one package.
        let tasks = list(&app, &dock, "tasks").await;
        let pallet = of(&tasks, "load").into_iter().find(|task| task["sscc"] == PALLET).unwrap();
        let scans = join_all((0..4).map(|_| done(&app, pallet, PALLET))).await;
        assert_eq!(scans.iter().filter(|answer| answer.status == 200).count(), 1);
        load_all(&app, &dock).await;
        let found = app.ops("GET", &format!("/packages?sscc={PALLET}"), None).await.expect(200);
        let package = &found["items"][0];
        assert_eq!((&package["fulfilment_order_id"], &package["state"]), (&json!(whole), &json!("packed")));
        let inside: Vec<_> =
            package["lines"].as_array().unwrap().iter().map(|line| (&line["sku"], &line["lots"])).collect();
        assert_eq!(inside, [(&json!("TEE"), &json!([{"lot": "L-PAL", "quantity": 4}])), (&json!("MUG"), &Value::Null)]);
        assert_eq!(package["weight_grams"], 1000);
        // Nothing is left to be put into another.
        let more = app.ops("POST", &format!("/fulfilment-orders/{whole}/packages"), Some(&json!({}))).await;
        more.problem(409, "quantity_exceeded");
        let label = app.ops("GET", &format!("/packages/{}/label", text(&package["id"])), None).await.expect(200);
        assert_eq!(label["gs1_128"], format!("00{PALLET}"));
        let scan = json!({"code": PALLET, "location": "berlin"});
        let scanned = app.ops("POST", "/scan", Some(&scan)).await.expect(200);
        assert_eq!(
            (&scanned["package"]["id"], &scanned["inbound_shipment"]["units"][0]["state"]),
            (&package["id"], &json!("passed_on"))
        );
        // Pieces that were sorted have a package of the location's own, with their lot.
        let own = packages(&app, &few).await;
        assert_eq!((own.len(), &own[0]["lines"][0]["lots"]), (1, &json!([{"lot": "L-LOOSE", "quantity": 3}])));
        assert!(text(&own[0]["sscc"]).starts_with("04006381"), "{own:?}");
        let pallet = lot(&app, "TEE", "L-PAL").await;
        let left = ship(&app, &whole).await;
        assert_eq!(left["packages"][0]["sscc"], PALLET);
        assert_eq!(ship(&app, &few).await["packages"][0]["id"], own[0]["id"]);
        // They have left of the lots that they are of, and a recall finds who has them.
        let loose = lot(&app, "TEE", "L-LOOSE").await;
        assert_eq!((lot(&app, "TEE", "L-PAL").await, &loose["quantity"]), (Value::Null, &json!(2)));
        assert_eq!(receivers(&app, &pallet).await, [(text(&left["order_id"]), 4)]);
        assert_eq!(lot(&app, "TEE", "L-SOON").await["quantity"], 6);
        put_lot(&app, &loose, "recalled").await;
        let few = app.ops("GET", &format!("/fulfilment-orders/{few}"), None).await.expect(200);
        assert_eq!(receivers(&app, &loose).await, [(text(&few["order_id"]), 3)]);
        assert!(packages(&app, &whole).await.iter().all(|one| one["state"] == "shipped"));
    });
}

#[test]
fn what_may_not_be_sold_does_not_cross() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let (shop, dock) = hub(&app, json!({})).await;
        let work = order(&shop, &[("TEE", 4)]).await;
        // A part of the lot is here already, and it is recalled.
        shop.stock_up("TEE", 1).await;
        name_lot(&app, "BAD", 1, 60).await;
        put_lot(&app, &lot(&app, "TEE", "BAD").await, "recalled").await;
        let bad = announce(&app, json!([
            {"sku": "TEE", "quantity": 4, "sscc": PALLET, "lot": "BAD"}, {"sku": "MUG", "quantity": 1, "sscc": PALLET}])).await;
        assert!(plan(&app, &dock).await.is_empty());
        let received = receive(&app, &bad, json!({"units": [PALLET]})).await.expect(200);
        assert_eq!((&received["matches"], received["put_away"].as_array().unwrap().len()), (&json!([]), 2));
        // One of which that is said only when it is planned, and one of which it is said when it is here.
        let later = announce(&app, json!([{"sku": "TEE", "quantity": 3, "sscc": BOX, "lot": "LATER"}])).await;
        assert_eq!(told(&plan(&app, &dock).await), [row("direct", "planned", 3)]);
        let early = announce(&app, json!([{"sku": "TEE", "quantity": 1, "lot": "LATER"}])).await;
        receive(&app, &early, json!({})).await.expect(200);
        put_lot(&app, &lot(&app, "TEE", "LATER").await, "blocked").await;
        let received = receive(&app, &later, json!({})).await.expect(200);
        assert_eq!(received["matches"], json!([]), "{received}");
        let matches = list(&app, &dock, "matches?state=cancelled").await;
        assert!(matches.iter().any(|one| one["reason"] == "lot_withheld" && one["quantity"] == 3), "{matches:?}");
        // What stands at the dock when it is said is not loaded, and the next plan has it put away.
        let good = announce(&app, json!([{"sku": "TEE", "quantity": 4, "lot": "GOOD"}])).await;
        let received = receive(&app, &good, json!({})).await.expect(200);
        let there: i64 =
            received["matches"].as_array().unwrap().iter().map(|one| one["quantity"].as_i64().unwrap()).sum();
        assert!(there > 0, "{received}");
        let sorts = list(&app, &dock, "tasks").await;
        for task in of(&sorts, "sort") {
            done(&app, task, "TEE").await.expect(200);
        }
        put_lot(&app, &lot(&app, "TEE", "GOOD").await, "blocked").await;
        let loads: Vec<Value> = of(&list(&app, &dock, "tasks").await, "load").into_iter().cloned().collect();
        let load = loads.iter().find(|task| task["inbound_shipment_id"] == json!(good)).unwrap();
        let refused = done(&app, load, "TEE").await.problem(409, "state_conflict");
        assert_eq!(refused["lot_id"], lot(&app, "TEE", "GOOD").await["id"]);
        plan(&app, &dock).await;
        assert!(of(&list(&app, &dock, "tasks").await, "load").is_empty());
        let read = app.ops("GET", &format!("/fulfilment-orders/{work}"), None).await.expect(200);
        assert_eq!(read["state"], "open");
    });
}

#[test]
fn goods_cross_for_whom_they_keep_long_enough() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let (shop, dock) = hub(&app, json!({"min_shelf_life_days": 10})).await;
        let plain = order(&shop, &[("TEE", 2)]).await;
        shop.set(json!({"min_shelf_life": {"days": 40}})).await;
        let asks = order(&shop, &[("TEE", 2)]).await;
        app.ops("POST", &format!("/fulfilment-orders/{asks}/reschedule"), Some(&json!({"priority": 10})))
            .await
            .expect(200);
        // Too old for the dock; good enough for the one, and for both.
        let lines = |days: i64| json!([{"sku": "TEE", "quantity": 4, "lot": format!("D{days}"), "best_before": in_days(&app, days)}]);
        announce(&app, lines(5)).await;
        assert!(plan(&app, &dock).await.is_empty());
        announce(&app, lines(30)).await;
        let served = |matches: &[Value]| -> Vec<(String, i64)> {
            matches.iter().map(|one| (text(&one["fulfilment_order_id"]), one["quantity"].as_i64().unwrap())).collect()
        };
        assert_eq!(served(&plan(&app, &dock).await), [(plain.clone(), 2)]);
        let long = announce(&app, lines(60)).await;
        assert_eq!(served(&plan(&app, &dock).await), [(asks.clone(), 2)]);
        // It comes so late that it does not keep long enough any more.
        let when = json!({"expected_at": app.now().plus_seconds(30 * 86_400)});
        app.ops("POST", &format!("/inbound-shipments/{long}/reschedule"), Some(&when)).await.expect(200);
        let open: Vec<Value> = list(&app, &dock, "matches?state=planned").await;
        assert_eq!(served(&open), [(plain, 2)]);
    });
}

#[test]
fn a_dock_takes_no_more_on_a_day_than_its_location_says() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let (shop, dock) = hub(&app, json!({})).await;
        let place = format!("/locations/{dock}");
        app.ops("PATCH", &format!("/docks/{dock}"), Some(&json!({"daily_capacity": 5})))
            .await
            .problem(422, "invalid_value");
        app.ops("PATCH", &place, Some(&json!({"dock_units_per_day": 5}))).await.expect(200);
        for _ in 0..3 {
            order(&shop, &[("TEE", 3)]).await;
        }
        let first = announce(&app, json!([{"sku": "TEE", "quantity": 20}])).await;
        let pieces = |matches: &[Value]| matches.iter().map(|one| one["quantity"].as_i64().unwrap()).sum::<i64>();
        // Whoever plans and receives at once: five in all.
        let path = format!("/docks/{dock}/plan");
        let plans = join_all((0..3).map(|_| app.ops("POST", &path, None))).await;
        assert_eq!(plans.into_iter().map(|one| pieces(one.expect(200)["matches"].as_array().unwrap())).sum::<i64>(), 5);
        receive(&app, &first, json!({"lines": [{"line_no": 1, "quantity": 8}]})).await.expect(200);
        load_all(&app, &dock).await;
        assert_eq!(pieces(&list(&app, &dock, "matches?state=done").await), 5);
        // They have crossed, and count for the day all the same.
        assert!(plan(&app, &dock).await.is_empty());
        let more = announce(&app, json!([{"sku": "TEE", "quantity": 4}])).await;
        assert_eq!(receive(&app, &more, json!({})).await.expect(200)["matches"], json!([]));
        app.clock.advance_seconds(86_400);
        order(&shop, &[("TEE", 12)]).await;
        assert_eq!(pieces(&plan(&app, &dock).await), 5);
    });
}

/// Lot, state and pieces of matches, summed up.
fn of_lots(matches: &[Value]) -> Vec<(String, String, i64)> {
    let mut sums = std::collections::BTreeMap::new();
    for one in matches {
        let lot = one["lot"].as_str().unwrap_or("none").to_owned();
        *sums.entry((lot, text(&one["state"]))).or_insert(0) += one["quantity"].as_i64().unwrap();
    }
    sums.into_iter().map(|((lot, state), pieces)| (lot, state, pieces)).collect()
}

fn some(lot: &str, state: &str, pieces: i64) -> (String, String, i64) {
    (lot.to_owned(), state.to_owned(), pieces)
}

async fn matches(app: &App, dock: &str, state: &str) -> Vec<(String, String, i64)> {
    of_lots(&list(app, dock, &format!("matches?state={state}")).await)
}

#[test]
fn what_comes_in_another_lot_than_was_announced_crosses_as_what_it_is() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let (shop, dock) = hub(&app, json!({})).await;
        for _ in 0..2 {
            order(&shop, &[("TEE", 3)]).await;
        }
        let inbound = announce(&app, json!([{"sku": "TEE", "quantity": 8, "lot": "A"}])).await;
        assert_eq!(of_lots(&plan(&app, &dock).await), [some("A", "planned", 6)]);
        // Two of another lot come, and six more are still to come: nothing that was planned has to go.
        let named = |pieces: i64, lot: &str| json!({"lines": [{"line_no": 1, "quantity": pieces, "lot": lot}]});
        let received = receive(&app, &inbound, named(2, "B")).await.expect(200);
        assert_eq!(
            (&received["matches"], matches(&app, &dock, "planned").await),
            (&json!([]), vec![some("A", "planned", 6)])
        );
        // Of the rest one is of the announced lot. They are given to who waits as what they are, as far as what came before does not do.
        let two = json!({"lines": [{"line_no": 1, "quantity": 6, "lots": [{"lot": "A", "quantity": 1}, {"lot": "B", "quantity": 5}]}]});
        receive(&app, &inbound, two).await.expect(200);
        assert_eq!(matches(&app, &dock, "received").await, [some("A", "received", 1), some("B", "received", 3)]);
        let gone = list(&app, &dock, "matches?state=cancelled").await;
        assert!(gone.iter().all(|one| one["reason"] == "other_lot" && one["lot"] == "A"), "{gone:?}");
        assert_eq!(of_lots(&gone), [some("A", "cancelled", 6)]);
        // It is recalled: what is of it is not loaded, whatever was announced.
        put_lot(&app, &lot(&app, "TEE", "B").await, "recalled").await;
        for task in of(&list(&app, &dock, "tasks").await, "sort") {
            done(&app, task, "TEE").await.expect(200);
        }
        let here = list(&app, &dock, "matches?state=received").await;
        for task in of(&list(&app, &dock, "tasks").await, "load") {
            let own = here.iter().find(|one| one["id"] == task["match_id"]).unwrap();
            let scanned = done(&app, task, "TEE").await;
            match own["lot"].as_str() {
                Some("A") => drop(scanned.expect(200)),
                _ => {
                    let refused = scanned.problem(409, "state_conflict");
                    assert_eq!(refused["lot_id"], lot(&app, "TEE", "B").await["id"]);
                }
            }
        }
        plan(&app, &dock).await;
        assert_eq!(matches(&app, &dock, "received").await, []);
        // What is known to be recalled when it comes, is put away at once.
        let inbound = announce(&app, json!([{"sku": "TEE", "quantity": 4, "lot": "C"}])).await;
        assert_eq!(of_lots(&plan(&app, &dock).await), [some("C", "planned", 4)]);
        let received = receive(&app, &inbound, named(4, "B")).await.expect(200);
        assert_eq!((&received["matches"], &received["put_away"][0]["quantity"]), (&json!([]), &json!(4)), "{received}");
        assert_eq!(matches(&app, &dock, "planned").await, []);
    });
}

#[test]
fn what_was_announced_without_a_lot_crosses_in_the_one_in_which_it_comes() {
    on_both_idle(|app| async move {
        app.leaves_work();
        // Nothing is offered to anybody that was not planned.
        let (shop, dock) = hub(&app, json!({"opportunistic": false})).await;
        let found = app.ops("GET", "/variants?sku=MUG", None).await.expect(200);
        let path = format!("/variants/{}", text(&found["items"][0]["id"]));
        app.ops("PATCH", &path, Some(&json!({"tracking": "lot"}))).await.expect(200);
        let work = order(&shop, &[("MUG", 2)]).await;
        let inbound = announce(&app, json!([{"sku": "MUG", "quantity": 5, "sscc": BOX}])).await;
        assert_eq!(of_lots(&plan(&app, &dock).await), [some("none", "planned", 2)]);
        order(&shop, &[("MUG", 3)]).await;
        let lines = json!([{"line_no": 1, "quantity": 5, "lot": "M1"}]);
        let received = receive(&app, &inbound, json!({ "lines": lines })).await.expect(200);
        assert_eq!(of_lots(received["matches"].as_array().unwrap()), [some("M1", "received", 2)]);
        load_all(&app, &dock).await;
        assert_eq!(packages(&app, &work).await[0]["lines"][0]["lots"], json!([{"lot": "M1", "quantity": 2}]));
        ship(&app, &work).await;
        assert_eq!(lot(&app, "MUG", "M1").await["quantity"], 3);
    });
}
