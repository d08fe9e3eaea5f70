//! Waves: work that is picked in one walk, by several people at once, and what is not found.

use futures::future::join_all;
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, eventually, on_both};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// A shop with shelves, and the fulfilment orders of these orders.
async fn shelves(app: &App, orders: &[&[(&str, i64)]]) -> (Shop, Vec<Value>) {
    let shop = Shop::open(app, &[("TEE", "19.90", 50), ("MUG", "9.90", 50), ("HAT", "29.90", 50)]).await;
    let bin = |sku: &str, zone: &str, bin: &str| json!({"sku": sku, "location": "berlin", "zone": zone, "bin": bin});
    let bins = json!({"bins": [bin("TEE", "B", "B-01"), bin("MUG", "A", "A-07")]});
    assert_eq!(app.ops("POST", "/stock/bins", Some(&bins)).await.expect(200)["rows"], 2);
    let mut work = Vec::new();
    for lines in orders {
        let order = shop.order(lines).await;
        let path = format!("/orders/{}/fulfilment", text(&order["id"]));
        work.push(app.ops("GET", &path, None).await.expect(200)["fulfilment_orders"][0].clone());
    }
    (shop, work)
}

async fn wave(app: &App, body: Value) -> Answer {
    app.ops("POST", "/waves", Some(&body)).await
}

async fn on(app: &App, wave: &Value, what: &str, body: Value) -> Answer {
    app.ops("POST", &format!("/waves/{}/{what}", text(&wave["id"])), Some(&body)).await
}

/// The walk: bin, SKU, pieces.
fn walk(wave: &Value) -> Vec<(&str, &str, i64)> {
    let stops = wave["pick_list"]["lines"].as_array().unwrap().iter();
    stops.map(|stop| (text(&stop["bin"]), text(&stop["sku"]), stop["quantity"].as_i64().unwrap())).collect()
}

#[test]
fn a_wave_is_walked_by_bin_and_sorted_into_places() {
    on_both(|app| async move {
        let (shop, work) = shelves(&app, &[&[("TEE", 2), ("HAT", 1)], &[("TEE", 1), ("MUG", 3)], &[("MUG", 1)]]).await;
        let made = wave(&app, json!({"location": "berlin", "name": "Morning"})).await.expect(201);
        assert_eq!(walk(&made), [("A-07", "MUG", 4), ("B-01", "TEE", 3), ("", "HAT", 1)]);
        assert_eq!((text(&made["state"]), &made["pick_list"]["pieces"]), ("open", &json!(8)));
        wave(&app, json!({"location": "berlin"})).await.problem(409, "state_conflict");
        // Mugs for the second and the third order, into their places.
        let picked = on(&app, &made, "pick", json!({"scanned": "MUG"})).await.expect(200);
        let puts: Vec<_> =
            picked["puts"].as_array().unwrap().iter().map(|put| (&put["put"], &put["quantity"])).collect();
        assert_eq!(puts, [(&json!(2), &json!(3)), (&json!(3), &json!(1))]);
        assert_eq!(text(&picked["wave"]["state"]), "picking");
        on(&app, &made, "cancel", json!({})).await.problem(409, "state_conflict");
        on(&app, &made, "pick", json!({"scanned": "MUG"})).await.problem(404, "not_found");
        let many = on(&app, &made, "pick", json!({"scanned": "TEE", "quantity": 4})).await;
        assert_eq!(many.problem(409, "quantity_exceeded")["left"], 3);
        // What is cancelled is in no list any more; and what was picked beside the wave.
        let first = &work[0];
        let cancel = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "one less"});
        app.ops("POST", &format!("/orders/{}/cancel", text(&first["order_id"])), Some(&cancel)).await.expect(200);
        let pick = json!({"lines": [{"line_no": 2, "quantity": 1}]});
        app.ops("POST", &format!("/fulfilment-orders/{}/pick", text(&first["id"])), Some(&pick)).await.expect(200);
        let path = format!("/waves/{}", text(&made["id"]));
        assert_eq!(walk(&app.ops("GET", &path, None).await.expect(200)), [("B-01", "TEE", 2)]);
        let of = json!({"scanned": "TEE", "fulfilment_order_id": work[1]["id"]});
        let picked = on(&app, &made, "pick", of).await.expect(200);
        assert_eq!(picked["puts"][0]["order_number"], work[1]["order_number"]);
        let last = on(&app, &made, "pick", json!({"scanned": "TEE", "quantity": 1})).await.expect(200);
        assert_eq!(text(&last["wave"]["state"]), "done");
        on(&app, &made, "pick", json!({"scanned": "TEE"})).await.problem(409, "state_conflict");
        let states = async {
            let mut states = Vec::new();
            for one in &work {
                let path = format!("/fulfilment-orders/{}", text(&one["id"]));
                states.push(text(&app.ops("GET", &path, None).await.expect(200)["state"]).to_owned());
            }
            states
        };
        assert_eq!(states.await, ["picked", "picked", "picked"]);
        assert_eq!(shop.count("wave_shorts").await, 0);
        let listed = app.ops("GET", "/waves?location=berlin&state=done", None).await.expect(200);
        assert_eq!(listed["items"][0]["id"], made["id"]);
    });
}

#[test]
fn what_is_not_found_leaves_the_list_and_the_level_where_asked() {
    on_both(|app| async move {
        let (shop, work) = shelves(&app, &[&[("TEE", 2)], &[("TEE", 3)]]).await;
        let gtin = json!({"gtin": "4006381333931"});
        let found = app.ops("GET", "/variants?sku=TEE", None).await.expect(200);
        let path = format!("/variants/{}", text(&found["items"][0]["id"]));
        app.ops("PATCH", &path, Some(&gtin)).await.expect(200);
        let made = wave(&app, json!({"location": "berlin", "zone": "B"})).await.expect(201);
        let picked = on(&app, &made, "pick", json!({"scanned": "04006381333931", "quantity": 3})).await.expect(200);
        assert_eq!(picked["puts"].as_array().unwrap().len(), 2);
        let short =
            json!({"scanned": "TEE", "quantity": 1, "reason": "damaged", "adjust_level": true, "replan": false});
        // Who may not book stock may not set the level down.
        let token = app.token(Audience::Staff, "picker", &[Scope::FulfilmentWrite]);
        let bearer = format!("Bearer {token}");
        let path = format!("/v1/ops/waves/{}/short", text(&made["id"]));
        app.send("POST", &path, &[("Authorization", &bearer)], Some(&short)).await.problem(403, "scope_missing");
        let before = shop.available("TEE").await;
        let noted = on(&app, &made, "short", short).await.expect(200);
        assert_eq!((text(&noted["wave"]["state"]), walk(&noted["wave"])), ("picking", vec![("B-01", "TEE", 1)]));
        assert_eq!(noted["puts"][0]["fulfilment_order_id"], work[1]["id"]);
        assert_eq!(shop.available("TEE").await, before - 1);
        let moved = app.ops("GET", "/stock/movements?sku=TEE&limit=1", None).await.expect(200);
        assert_eq!((text(&moved["items"][0]["kind"]), &moved["items"][0]["on_hand"]), ("count", &json!(-1)));
        let noted = on(&app, &made, "short", json!({"scanned": "TEE", "reason": "shelf empty", "replan": false}))
            .await
            .expect(200);
        assert_eq!(text(&noted["wave"]["state"]), "done");
        assert_eq!(noted["wave"]["shorts"][0]["pieces"], 2);
        assert_eq!(shop.available("TEE").await, before - 1);
        // The pieces stay open, and the next wave looks for them again.
        let next = wave(&app, json!({"location": "berlin", "fulfilment_orders": [work[1]["id"]]})).await.expect(201);
        assert_eq!(walk(&next), [("B-01", "TEE", 2)]);
        assert_eq!(text(&on(&app, &next, "cancel", json!({})).await.expect(200)["state"]), "cancelled");
    });
}

#[test]
fn two_pickers_take_each_piece_once_and_two_waves_each_order() {
    on_both(|app| async move {
        let (_shop, work) = shelves(&app, &[&[("TEE", 4)], &[("TEE", 4)], &[("TEE", 4)]]).await;
        let made = join_all((0..4).map(|_| wave(&app, json!({"location": "berlin", "limit": 2})))).await;
        let won: Vec<Value> =
            made.into_iter().filter(|answer| answer.status == 201).map(|one| one.expect(201)).collect();
        let mut orders: Vec<&str> = won
            .iter()
            .flat_map(|wave| wave["orders"].as_array().unwrap())
            .map(|order| text(&order["fulfilment_order_id"]))
            .collect();
        orders.sort_unstable();
        assert!(orders.windows(2).all(|pair| pair[0] != pair[1]), "{orders:?}");
        for one in &won {
            on(&app, one, "cancel", json!({})).await.expect(200);
        }
        let all = wave(&app, json!({"location": "berlin"})).await.expect(201);
        assert_eq!(walk(&all), [("B-01", "TEE", 12)]);
        // Pickers, somebody beside the wave, and a customer who changes their mind.
        let cancel = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "race"});
        let picks = (0..16).map(|n| {
            let (app, all, work, cancel) = (&app, &all, &work, &cancel);
            async move {
                match n % 4 {
                    0 => {
                        let path = format!("/orders/{}/cancel", text(&work[n % 3]["order_id"]));
                        app.ops("POST", &path, Some(cancel)).await
                    }
                    _ => on(app, all, "pick", json!({"scanned": "TEE", "quantity": 1})).await,
                }
            }
        });
        let answers = join_all(picks).await;
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 404 | 409)), "{answers:?}");
        let won = |cancelling: bool| {
            let of = answers.iter().enumerate().filter(|(n, _)| (n % 4 == 0) == cancelling);
            of.filter(|(_, answer)| answer.status == 200).count()
        };
        let (mut picked, mut cancelled) = (0, 0);
        for one in &work {
            let path = format!("/fulfilment-orders/{}", text(&one["id"]));
            let line = app.ops("GET", &path, None).await.expect(200)["lines"][0].clone();
            picked += line["picked"].as_i64().unwrap();
            cancelled += line["cancelled"].as_i64().unwrap();
        }
        assert_eq!(usize::try_from(cancelled).unwrap(), won(true));
        // What is cancelled is taken from what nobody has picked, as long as there is any.
        assert_eq!(usize::try_from(picked).unwrap(), won(false).min(12 - won(true)));
    });
}

#[test]
fn what_is_not_found_is_planned_anew_when_it_is_known_how_many_are_left() {
    on_both(|app| async move {
        let (_shop, work) = shelves(&app, &[&[("TEE", 3)]]).await;
        let path = |what: &str| format!("/fulfilment-orders/{}/{what}", text(&work[0]["id"]));
        let made = wave(&app, json!({"location": "berlin"})).await.expect(201);
        let ask = json!({"reason": "ordered twice"});
        app.ops("POST", &path("request-cancel"), Some(&ask)).await.expect(200);
        let short = json!({"scanned": "TEE", "reason": "shelf empty", "adjust_level": false, "replan": true});
        on(&app, &made, "short", short).await.expect(200);
        // One of the three turns up, and then it is said that it is not cancelled.
        let one = json!({"lines": [{"line_no": 1, "quantity": 1}]});
        app.ops("POST", &path("pick"), Some(&one)).await.expect(200);
        let no = json!({"accept": false, "reason": "on its way"});
        app.ops("POST", &path("answer-cancel"), Some(&no)).await.expect(200);
        let all = format!("/orders/{}/fulfilment", text(&work[0]["order_id"]));
        eventually("the others wait for goods", || async {
            app.clock.advance_seconds(60);
            let found = app.ops("GET", &all, None).await.expect(200);
            let held =
                found["fulfilment_orders"].as_array().unwrap().iter().find(|one| !one["holds"].is_null()).cloned();
            held.is_some_and(|held| {
                (text(&held["holds"][0]["kind"]), &held["lines"][0]["quantity"]) == ("stock", &json!(2))
            })
        })
        .await;
    });
}
