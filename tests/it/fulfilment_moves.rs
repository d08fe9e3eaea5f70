//! Pieces that another fulfilment order ships instead: moved, split off, merged, planned anew, declined; and all of that at once.

use futures::future::join_all;
use kontor::{
    db::sql,
    http::auth::Audience,
    kernel::{Scope, ids::LocationId},
};
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, eventually, on_both};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// Another location, asked after the shop's own.
pub async fn place(app: &App, code: &str, more: Value, goods: &[(&str, i64)]) -> String {
    let mut place = json!({"code": code, "name": code, "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
    place.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let place = app.ops("POST", "/locations", Some(&place)).await.expect(201);
    for (sku, change) in goods {
        let line = json!({"sku": sku, "location": code, "change": change, "reason": "test"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
    }
    text(&place["id"]).to_owned()
}

/// What belongs to orders of a SKU at a location, and what lies there.
pub async fn level(app: &App, sku: &'static str, code: &'static str) -> (i64, i64) {
    let query = "SELECT s.allocated, s.on_hand FROM stock_levels AS s JOIN variants AS v ON v.id = s.variant_id \
                 JOIN locations AS l ON l.id = s.location_id WHERE v.sku = ? AND l.code = ?";
    use diesel::sql_types::BigInt;
    app.read(move |tx| sql(query).bind(sku).bind(code).first::<(BigInt, BigInt), (i64, i64)>(tx))
        .await
        .unwrap_or_default()
}

/// An order, by its id.
pub struct Of<'a> {
    pub app: &'a App,
    pub order: String,
}

impl<'a> Of<'a> {
    pub async fn new(shop: &'a Shop, lines: &[(&str, i64)]) -> Self {
        let order = shop.order(lines).await;
        Self { app: &shop.app, order: text(&order["id"]).to_owned() }
    }

    pub async fn document(&self) -> Value {
        self.app.ops("GET", &format!("/orders/{}", self.order), None).await.expect(200)
    }

    /// Its fulfilment orders, those with nothing to do among them.
    pub async fn all(&self) -> Vec<Value> {
        let found = self.app.ops("GET", &format!("/orders/{}/fulfilment", self.order), None).await.expect(200);
        found["fulfilment_orders"].as_array().unwrap().clone()
    }

    /// The one that has something to do.
    pub async fn open(&self) -> Value {
        let all = self.all().await;
        let done = ["shipped", "delivered", "cancelled"];
        let mut open = all.iter().filter(|one| !done.contains(&text(&one["state"])));
        let only = open.next().unwrap_or_else(|| panic!("nothing is open: {all:?}")).clone();
        assert!(open.next().is_none(), "{all:?}");
        only
    }

    pub async fn post(&self, one: &Value, path: &str, body: Value) -> Answer {
        self.app.ops("POST", &format!("/fulfilment-orders/{}/{path}", text(&one["id"])), Some(&body)).await
    }

    /// The types of its events, in order.
    pub async fn events(&self) -> Vec<String> {
        let path = format!("/orders/{}/timeline?limit=200", self.order);
        let found = self.app.ops("GET", &path, None).await.expect(200);
        found["items"].as_array().unwrap().iter().map(|event| text(&event["type"]).to_owned()).collect()
    }

    /// Ships whatever is left, wherever.
    pub async fn ship_all(&self) {
        for one in self.all().await {
            if !["shipped", "delivered", "cancelled"].contains(&text(&one["state"])) {
                self.post(&one, "ship", json!({})).await.expect(201);
            }
        }
    }
}

/// Line, quantity, picked, shipped, cancelled, moved.
pub fn counts(one: &Value) -> Vec<(i64, i64, i64, i64, i64, i64)> {
    let count = |line: &Value, name: &str| line[name].as_i64().unwrap();
    let line = |line: &Value| {
        let of = |name| count(line, name);
        (of("line_no"), of("quantity"), of("picked"), of("shipped"), of("cancelled"), of("moved"))
    };
    one["lines"].as_array().unwrap().iter().map(line).collect()
}

pub fn pieces(quantity: i64) -> Value {
    json!([{"line_no": 1, "quantity": quantity}])
}

#[test]
fn what_is_not_picked_moves_to_another_location_with_its_stock() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 10)]).await;
        let far = place(&app, "bremen", json!({}), &[("TEE", 5)]).await;
        let placed = Of::new(&shop, &[("TEE", 4)]).await;
        let here = placed.open().await;
        placed.post(&here, "pick", json!({"lines": pieces(1)})).await.expect(200);
        // Refused: it is there already; there is no such place; what is picked stays; nothing is moved to what is closed.
        let there = |location: &str| json!({ "location": location });
        let same = placed.post(&here, "move", there("berlin")).await.problem(422, "invalid_value");
        assert_eq!(same["pointer"], "/location");
        placed.post(&here, "move", there("nowhere")).await.problem(404, "not_found");
        let too_many = placed.post(&here, "move", json!({"location": "bremen", "lines": pieces(4)})).await;
        assert_eq!(too_many.problem(409, "quantity_exceeded")["left"], 3);
        place(&app, "closed", json!({"active": false}), &[]).await;
        placed.post(&here, "move", there("closed")).await.problem(422, "location_inactive");
        let moved = placed.post(&here, "move", json!({"location": "bremen", "reason": "flood"})).await.expect(200);
        assert_eq!((text(&moved["state"]), counts(&moved)), ("picked", vec![(1, 4, 1, 0, 3, 3)]));
        let new = &moved["moved_to"][0];
        assert_eq!((&new["location_id"], text(&new["state"])), (&json!(far), "open"));
        assert_eq!((counts(new), &new["taken_from"]), (vec![(1, 3, 0, 0, 0, 0)], &json!([here["id"]])));
        assert_eq!((level(&app, "TEE", "berlin").await, level(&app, "TEE", "bremen").await), ((1, 10), (3, 5)));
        let order = placed.document().await;
        assert_eq!((&order["lines"][0]["allocated"], &order["lines"][0]["cancelled"]), (&json!(4), &json!(0)));
        // One location need not ship it any more, another has to; nobody need know more.
        eventually("the log tells of it", || async {
            let told = placed.events().await;
            let of = |kind: &str| told.iter().filter(|told| *told == kind).count();
            of("fulfilment_order.opened.v1") == 2
                && of("fulfilment_order.cancelled.v1") == 1
                && of("fulfilment_order.moved.v1") == 1
        })
        .await;
        // What is not there is not moved: two are left in Bremen, and three are wanted.
        let other = Of::new(&shop, &[("TEE", 3)]).await;
        let refused = other.post(&other.open().await, "move", there("bremen")).await.problem(409, "out_of_stock");
        assert_eq!(refused["available"], 2);
        placed.ship_all().await;
        other.ship_all().await;
        let order = placed.document().await;
        assert_eq!((text(&order["fulfilment_state"]), &order["lines"][0]["shipped"]), ("shipped", &json!(4)));
        assert_eq!((level(&app, "TEE", "berlin").await, level(&app, "TEE", "bremen").await), ((0, 6), (0, 2)));
        eventually("all of it is paid", || async { placed.document().await["payment_state"] == "captured" }).await;
    });
}

#[test]
fn backorders_move_where_nothing_lies() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 1)]).await;
        place(&app, "bremen", json!({}), &[]).await;
        let placed = Of::new(&shop, &[("TEE", 1)]).await;
        let one = placed.open().await;
        placed.post(&one, "move", json!({"location": "bremen"})).await.problem(409, "out_of_stock");
        let variants = app.ops("GET", "/variants?sku=TEE", None).await.expect(200);
        let path = format!("/variants/{}", text(&variants["items"][0]["id"]));
        app.ops("PATCH", &path, Some(&json!({"backorder_policy": "allow"}))).await.expect(200);
        let moved = placed.post(&one, "move", json!({"location": "bremen"})).await.expect(200);
        assert_eq!((text(&moved["state"]), &moved["actions"][0]["allowed"]), ("cancelled", &json!(false)));
        assert_eq!((level(&app, "TEE", "berlin").await, level(&app, "TEE", "bremen").await), ((0, 1), (1, 0)));
    });
}

#[test]
fn what_is_split_off_keeps_what_was_done_to_it_and_merges_again() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 10), ("MUG", "9.90", 10)]).await;
        place(&app, "bremen", json!({}), &[("TEE", 5)]).await;
        let placed = Of::new(&shop, &[("TEE", 4), ("MUG", 1)]).await;
        let one = placed.open().await;
        placed.post(&one, "pack", json!({"lines": pieces(2)})).await.expect(200);
        placed.post(&one, "hold", json!({"kind": "fraud", "reason": "looks odd"})).await.expect(200);
        let all = json!({"lines": [{"line_no": 1, "quantity": 4}, {"line_no": 2, "quantity": 1}]});
        placed.post(&one, "split", all).await.problem(409, "quantity_exceeded");
        placed.post(&one, "split", json!({"lines": []})).await.problem(422, "invalid_value");
        placed
            .post(&one, "split", json!({"lines": [{"line_no": 9, "quantity": 1}]}))
            .await
            .problem(422, "line_unknown");
        // Three of four: the two that nobody has touched, and one that is packed.
        let split = placed.post(&one, "split", json!({"lines": pieces(3)})).await.expect(200);
        assert_eq!(counts(&split), [(1, 4, 1, 0, 3, 3), (2, 1, 0, 0, 0, 0)]);
        let part = split["moved_to"][0].clone();
        assert_eq!((counts(&part), &part["lines"][0]["packed"]), (vec![(1, 3, 1, 0, 0, 0)], &json!(1)));
        // What holds it goes along.
        assert_eq!((text(&part["holds"][0]["kind"]), text(&part["state"])), ("fraud", "picking"));
        assert_eq!(level(&app, "TEE", "berlin").await, (4, 10));
        placed.post(&part, "ship", json!({})).await.problem(409, "state_conflict");
        // Of one order and one location.
        let elsewhere = placed.post(&part, "move", json!({"location": "bremen", "lines": pieces(1)})).await.expect(200);
        let elsewhere = &elsewhere["moved_to"][0];
        placed.post(&one, "merge", json!({"with": [elsewhere["id"]]})).await.problem(409, "state_conflict");
        let stranger = Of::new(&shop, &[("MUG", 1)]).await;
        let foreign = json!({"with": [stranger.open().await["id"]]});
        placed.post(&one, "merge", foreign).await.problem(404, "not_found");
        placed.post(&one, "merge", json!({"with": [one["id"]]})).await.problem(422, "invalid_value");
        let joint = placed.post(&one, "merge", json!({"with": [part["id"]]})).await.expect(201);
        assert_eq!(counts(&joint), [(1, 3, 2, 0, 0, 0), (2, 1, 0, 0, 0, 0)]);
        assert_eq!(joint["holds"].as_array().unwrap().len(), 1);
        assert_eq!(joint["taken_from"].as_array().unwrap().len(), 2);
        placed.post(&one, "merge", json!({"with": [part["id"]]})).await.problem(409, "state_conflict");
        for held in [&joint, elsewhere] {
            placed.post(held, "release", json!({"kind": "fraud"})).await.expect(200);
        }
        placed.ship_all().await;
        stranger.ship_all().await;
        assert_eq!(text(&placed.document().await["fulfilment_state"]), "shipped");
        assert_eq!((level(&app, "TEE", "berlin").await, level(&app, "TEE", "bremen").await), ((0, 7), (0, 4)));
    });
}

#[test]
fn what_can_not_come_from_here_is_planned_anew() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 6), ("MUG", "9.90", 6)]).await;
        let bremen = place(&app, "bremen", json!({}), &[("TEE", 1), ("MUG", 9)]).await;
        place(&app, "kiel", json!({"priority": 300}), &[("TEE", 2)]).await;
        let placed = Of::new(&shop, &[("TEE", 5), ("MUG", 1)]).await;
        let one = placed.open().await;
        placed.post(&one, "pick", json!({"lines": pieces(1)})).await.expect(200);
        // From where it is all of it is to be had: nothing changes.
        let same = placed.post(&one, "replan", json!({})).await.expect(200);
        assert_eq!((&same["moved_to"], &same["version"]), (&json!([]), &json!(2)));
        placed.post(&one, "replan", json!({"exclude_locations": ["moon"]})).await.problem(404, "not_found");
        let body = json!({"exclude_locations": ["berlin"], "reason": "the shelf is empty"});
        let planned = placed.post(&one, "replan", body).await.expect(200);
        // Of four tees three are elsewhere; one is nowhere, and does not hold up the one that is picked.
        assert_eq!(planned["unplaced"], json!([{"line_no": 1, "sku": "TEE", "quantity": 1}]));
        assert_eq!(
            (counts(&planned), planned["holds"].is_null()),
            (vec![(1, 5, 1, 0, 4, 4), (2, 1, 0, 0, 1, 1)], true)
        );
        let to = planned["moved_to"].as_array().unwrap();
        assert_eq!(to.len(), 3, "{planned}");
        let held = to.iter().find(|one| !one["holds"].is_null()).unwrap().clone();
        assert_eq!((text(&held["holds"][0]["kind"]), counts(&held)), ("stock", vec![(1, 1, 0, 0, 0, 0)]));
        assert_eq!(level(&app, "TEE", "berlin").await, (2, 6));
        assert_eq!((level(&app, "TEE", "bremen").await, level(&app, "TEE", "kiel").await), ((1, 1), (2, 2)));
        assert_eq!(level(&app, "MUG", "bremen").await, (1, 9));
        // Why it goes there is kept.
        let there = to.iter().find(|one| one["location_id"] == json!(bremen)).unwrap();
        let path = format!("/fulfilment-orders/{}", text(&there["id"]));
        let read = app.ops("GET", &path, None).await.expect(200);
        assert!(read["sourcing"].to_string().contains("kiel"), "{read}");
        // It is in the list of what is held; when it is to be had again, it is planned once more.
        let listed = app.ops("GET", "/fulfilment-orders?held=true", None).await.expect(200);
        assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["id"]), (1, &held["id"]));
        placed.post(&held, "pick", json!({})).await.problem(409, "state_conflict");
        let again = placed.post(&held, "replan", json!({"exclude_locations": ["berlin"]})).await.expect(200);
        assert_eq!((&again["moved_to"], again["unplaced"].as_array().unwrap().len()), (&json!([]), 1));
        let line = json!({"sku": "TEE", "location": "kiel", "change": 1, "reason": "found"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
        let again = placed.post(&held, "replan", json!({"exclude_locations": ["berlin"]})).await.expect(200);
        assert_eq!((text(&again["state"]), again["holds"].is_null()), ("cancelled", true));
        assert_eq!((level(&app, "TEE", "kiel").await, level(&app, "TEE", "berlin").await), ((3, 3), (1, 6)));
        placed.ship_all().await;
        let order = placed.document().await;
        assert_eq!((text(&order["fulfilment_state"]), &order["lines"][0]["shipped"]), ("shipped", &json!(5)));
    });
}

#[test]
fn a_shop_accepts_or_declines_and_is_not_waited_for_for_ever() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 10)]).await;
        let more = json!({"kind": "store", "priority": 1, "accept_minutes": 60});
        place(&app, "mitte", more, &[("TEE", 3)]).await;
        let placed = Of::new(&shop, &[("TEE", 1)]).await;
        let one = placed.open().await;
        assert_eq!(text(&one["accept_by"]), "2026-03-02T10:00:00Z");
        for command in ["pick", "pack", "ship"] {
            placed.post(&one, command, json!({})).await.problem(409, "state_conflict");
        }
        let listed = app.ops("GET", "/fulfilment-orders?to_accept=true", None).await.expect(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        let accepted = placed.post(&one, "accept", json!({})).await.expect(200);
        assert!(accepted["accept_by"].is_null());
        placed.post(&one, "accept", json!({})).await.problem(409, "state_conflict");
        placed.post(&one, "decline", json!({"reason": "no"})).await.problem(409, "state_conflict");
        placed.post(&one, "ship", json!({})).await.expect(201);
        // Declined: the warehouse ships it.
        let placed = Of::new(&shop, &[("TEE", 1)]).await;
        let declined = placed.post(&placed.open().await, "decline", json!({"reason": "too busy"})).await.expect(200);
        assert_eq!((text(&declined["state"]), level(&app, "TEE", "berlin").await), ("cancelled", (1, 10)));
        assert!(declined["moved_to"][0]["accept_by"].is_null());
        placed.ship_all().await;
        // Nobody answers; when the hour is over somebody else ships it. What is nowhere else to be had is held.
        let slow = Of::new(&shop, &[("TEE", 1)]).await;
        let first = slow.open().await;
        app.clock.advance_seconds(3700);
        eventually("it is somebody else's", || async { slow.open().await["id"] != first["id"] }).await;
        assert_eq!((level(&app, "TEE", "mitte").await, level(&app, "TEE", "berlin").await), ((0, 2), (1, 9)));
        slow.post(&first, "accept", json!({})).await.problem(409, "state_conflict");
        slow.ship_all().await;
    });
}

#[test]
fn of_accepting_declining_and_the_end_of_the_time_one_comes_first() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 20)]).await;
        let more = json!({"kind": "store", "priority": 1, "accept_minutes": 60});
        place(&app, "mitte", more, &[("TEE", 20)]).await;
        for round in 0..3 {
            let placed = Of::new(&shop, &[("TEE", 1)]).await;
            let one = placed.open().await;
            // The job comes by while people answer.
            if round > 0 {
                app.clock.advance_seconds(3601);
            }
            let answers = join_all((0..6).map(|n| match n % 2 {
                0 => placed.post(&one, "accept", json!({})),
                _ => placed.post(&one, "decline", json!({"reason": "race"})),
            }))
            .await;
            let won = answers.iter().filter(|answer| answer.status == 200).count();
            assert!(won == 1 || round > 0 && won == 0, "{answers:?}");
            assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 409)), "{answers:?}");
            let accepted = answers.iter().step_by(2).any(|answer| answer.status == 200);
            let open = placed.open().await;
            assert_eq!(open["id"] == one["id"], accepted);
            assert!(open["accept_by"].is_null(), "{open}");
            placed.ship_all().await;
        }
        assert_eq!(level(&app, "TEE", "mitte").await.0 + level(&app, "TEE", "berlin").await.0, 0);
    });
}

#[test]
fn of_moving_shipping_and_cancelling_exactly_one_wins_each_piece() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 20)]).await;
        place(&app, "bremen", json!({}), &[("TEE", 20)]).await;
        place(&app, "kiel", json!({}), &[("TEE", 20)]).await;
        let placed = Of::new(&shop, &[("TEE", 12)]).await;
        let one = placed.open().await;
        let cancel = json!({"lines": pieces(1), "reason": "race"});
        let (order, path) = (&placed, format!("/orders/{}/cancel", placed.order));
        let bodies = [
            ("ship", json!({"lines": pieces(1)})),
            ("move", json!({"location": "bremen", "lines": pieces(2)})),
            ("move", json!({"location": "kiel", "lines": pieces(1)})),
            ("split", json!({"lines": pieces(1)})),
            ("pick", json!({"lines": pieces(1)})),
            ("replan", json!({"lines": pieces(1), "exclude_locations": ["berlin"]})),
        ];
        let at_once = bodies.iter().cycle().take(24).map(|(command, body)| order.post(&one, command, body.clone()));
        let cancelled = (0..4).map(|_| app.ops("POST", &path, Some(&cancel)));
        let (answers, gone) = futures::join!(join_all(at_once), join_all(cancelled));
        for refused in answers.iter().chain(&gone).filter(|answer| answer.status >= 300) {
            assert!(matches!(refused.status, 409 | 422), "{}", refused.text);
        }
        let shipped = answers.iter().step_by(6).filter(|answer| answer.status == 201).count() as i64;
        let cancelled = gone.iter().filter(|answer| answer.status == 200).count() as i64;
        let line = placed.document().await["lines"][0].clone();
        assert_eq!((&line["shipped"], &line["cancelled"]), (&json!(shipped), &json!(cancelled)));
        assert_eq!(line["allocated"], json!(12 - shipped - cancelled));
        let (mut open, mut moved) = (0, 0);
        for (_, quantity, _, shipped, cancelled, gone) in placed.all().await.iter().flat_map(counts) {
            open += quantity - shipped - cancelled;
            moved += gone;
        }
        assert_eq!(open, 12 - shipped - cancelled);
        assert!(moved > 0);
        placed.ship_all().await;
        let line = placed.document().await["lines"][0].clone();
        assert_eq!(line["shipped"], json!(12 - cancelled));
    });
}

#[test]
fn the_last_piece_elsewhere_is_moved_to_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 20)]).await;
        place(&app, "bremen", json!({}), &[("TEE", 1)]).await;
        let orders = [Of::new(&shop, &[("TEE", 1)]).await, Of::new(&shop, &[("TEE", 1)]).await];
        let ones = [orders[0].open().await, orders[1].open().await];
        let to = || json!({"location": "bremen"});
        let all = (0..4).map(|n| orders[n % 2].post(&ones[n % 2], "move", to()));
        let answers = join_all(all).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
        assert_eq!((level(&app, "TEE", "berlin").await, level(&app, "TEE", "bremen").await), ((1, 20), (1, 1)));
    });
}

#[test]
fn who_is_limited_to_a_location_moves_nothing_into_others() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 20)]).await;
        let far = place(&app, "bremen", json!({}), &[("TEE", 9)]).await;
        let placed = Of::new(&shop, &[("TEE", 1)]).await;
        let one = placed.open().await;
        let limited = |location: &str| {
            let scopes = format!("{} {}", Scope::FulfilmentWrite.as_str(), Scope::FulfilmentRead.as_str());
            let mut claims = app.claims(Audience::Staff, "eve", &scopes);
            claims.locations = Some(vec![location.parse::<LocationId>().unwrap()]);
            format!("Bearer {}", app.state.verifier.issue(claims).unwrap())
        };
        let path = |command: &str| format!("/v1/ops/fulfilment-orders/{}/{command}", text(&one["id"]));
        let here = limited(text(&one["location_id"]));
        let auth = |token: &str| vec![("Authorization".to_owned(), token.to_owned())];
        let send = |command: &'static str, token: String, body: Value| {
            let (path, headers) = (path(command), auth(&token));
            let app = &app;
            async move {
                let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
                app.send("POST", &path, &headers, Some(&body)).await
            }
        };
        let to = json!({"location": "bremen"});
        send("move", here.clone(), to.clone()).await.problem(404, "not_found");
        send("move", limited(&far), to).await.problem(404, "not_found");
        for (command, body) in [
            ("hold", json!({"kind": "other", "reason": "x"})),
            ("release", json!({})),
            ("split", json!({"lines": pieces(1)})),
            ("replan", json!({})),
            ("reschedule", json!({"priority": 1})),
            ("answer-cancel", json!({"accept": true})),
            ("accept", json!({})),
            ("decline", json!({"reason": "x"})),
            ("unpick", json!({"reason": "x"})),
        ] {
            send(command, limited(&far), body).await.problem(404, "not_found");
        }
        // Where it is planned to is not theirs to see.
        let planned = send("replan", here, json!({"exclude_locations": [one["location_id"]]})).await.expect(200);
        assert_eq!((text(&planned["state"]), &planned["moved_to"]), ("cancelled", &json!([])));
    });
}

#[test]
fn what_somebody_wants_cancelled_keeps_no_other_work_waiting_for_its_shop() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 10)]).await;
        place(&app, "mitte", json!({"kind": "store", "priority": 1, "accept_minutes": 60}), &[("TEE", 3)]).await;
        let (asked, other) = (Of::new(&shop, &[("TEE", 1)]).await, Of::new(&shop, &[("TEE", 1)]).await);
        let (first, second) = (asked.open().await, other.open().await);
        asked.post(&first, "request-cancel", json!({"reason": "twice"})).await.expect(200);
        app.clock.advance_seconds(3700);
        eventually("the other is somebody else's", || async { other.open().await["id"] != second["id"] }).await;
        let waits = asked.open().await;
        assert_eq!((&waits["id"], waits["accept_by"].is_null()), (&first["id"], false));
        // When it is answered, it goes on.
        asked.post(&first, "answer-cancel", json!({"accept": false, "reason": "no"})).await.expect(200);
        app.clock.advance_seconds(60);
        eventually("it is somebody else's", || async { asked.open().await["id"] != first["id"] }).await;
        assert_eq!((level(&app, "TEE", "mitte").await, level(&app, "TEE", "berlin").await), ((0, 3), (2, 10)));
    });
}

#[test]
fn what_a_shop_has_declined_does_not_come_back_to_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 0)]).await;
        place(&app, "mitte", json!({"kind": "store", "priority": 1, "accept_minutes": 60}), &[("TEE", 3)]).await;
        let placed = Of::new(&shop, &[("TEE", 2)]).await;
        let one = placed.open().await;
        let declined = placed.post(&one, "decline", json!({"reason": "too busy"})).await.expect(200);
        assert_eq!((text(&declined["holds"][0]["kind"]), &declined["declined"]), ("stock", &json!(true)));
        // There are three by the books of the shop, and it has said no.
        let again = placed.post(&one, "replan", json!({})).await.expect(200);
        assert_eq!((text(&again["holds"][0]["kind"]), &again["moved_to"]), ("stock", &json!([])));
        placed.post(&one, "pick", json!({})).await.problem(409, "state_conflict");
        // A part of it does not forget that.
        let part = placed.post(&one, "split", json!({"lines": pieces(1)})).await.expect(200)["moved_to"][0].clone();
        let again = placed.post(&part, "replan", json!({})).await.expect(200);
        assert_eq!((&again["declined"], &again["moved_to"]), (&json!(true), &json!([])));
        shop.stock_up("TEE", 2).await;
        for one in [one, part] {
            let planned = placed.post(&one, "replan", json!({})).await.expect(200);
            assert_eq!(text(&planned["state"]), "cancelled");
            assert!(planned["moved_to"][0]["declined"].is_null(), "{planned}");
        }
        assert_eq!((level(&app, "TEE", "mitte").await, level(&app, "TEE", "berlin").await), ((0, 3), (2, 2)));
        placed.ship_all().await;
    });
}

#[test]
fn what_may_be_sold_beyond_the_shelf_may_be_moved_there_too() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 10)]).await;
        place(&app, "bremen", json!({}), &[("TEE", 1)]).await;
        let limit = json!({"sku": "TEE", "location": "bremen", "kind": "backorder", "limit": 4});
        app.ops("PUT", "/stock/backorders", Some(&json!({"lines": [limit]}))).await.expect(200);
        let (first, second) = (Of::new(&shop, &[("TEE", 3)]).await, Of::new(&shop, &[("TEE", 3)]).await);
        let body = json!({"exclude_locations": ["berlin"]});
        let planned = first.post(&first.open().await, "replan", body).await.expect(200);
        assert_eq!((text(&planned["state"]), planned["unplaced"].as_array().map_or(0, Vec::len)), ("cancelled", 0));
        let too_many = second.post(&second.open().await, "move", json!({"location": "bremen"})).await;
        too_many.problem(409, "out_of_stock");
        let two = json!({"location": "bremen", "lines": pieces(2)});
        second.post(&second.open().await, "move", two).await.expect(200);
        assert_eq!((level(&app, "TEE", "bremen").await, level(&app, "TEE", "berlin").await), ((5, 1), (1, 10)));
    });
}

#[test]
fn what_comes_back_of_a_line_that_left_from_several_places_goes_back_to_each() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 2)]).await;
        place(&app, "bremen", json!({}), &[("TEE", 3)]).await;
        let placed = Of::new(&shop, &[("TEE", 5)]).await;
        placed.ship_all().await;
        let lies = || async { (level(&app, "TEE", "berlin").await.1, level(&app, "TEE", "bremen").await.1) };
        assert_eq!(lies().await, (0, 0));
        let back = |quantity: i64| {
            let lines = json!([{"line_no": 1, "quantity": quantity}]);
            let body = json!({"order": placed.order, "lines": lines, "restock": true});
            let app = &app;
            async move { app.ops("POST", "/returns", Some(&body)).await.expect(201) }
        };
        // However many returns it comes in.
        for quantity in [1, 3, 1] {
            back(quantity).await;
        }
        assert_eq!(lies().await, (2, 3));
    });
}
