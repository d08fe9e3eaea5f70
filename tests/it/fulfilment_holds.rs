//! What keeps a fulfilment order from being shipped, asks for that, or changes when it is due.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    fulfilment_moves::{Of, counts, level, pieces},
    support::{Shop, eventually, on_both},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn allowed(one: &Value, command: &str) -> bool {
    let actions = one["actions"].as_array().unwrap();
    actions.iter().find(|action| action["command"] == command).unwrap()["allowed"] == true
}

#[test]
fn what_is_held_stays_where_it_is_until_every_hold_has_ended() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 2)]).await;
        let one = placed.open().await;
        let past = json!({"kind": "customer", "reason": "x", "expires_at": "2026-03-02T08:00:00Z"});
        placed.post(&one, "hold", past).await.problem(422, "invalid_value");
        let hold = json!({"kind": "address", "reason": "no street", "owner": "eve"});
        let held = placed.post(&one, "hold", hold.clone()).await.expect(200);
        assert_eq!((text(&held["holds"][0]["owner"]), allowed(&held, "ship")), ("eve", false));
        placed.post(&one, "hold", hold).await.problem(409, "state_conflict");
        let soon = json!({"kind": "customer", "reason": "wait", "expires_at": "2026-03-02T09:10:00Z"});
        let held = placed.post(&one, "hold", soon.clone()).await.expect(200);
        assert_eq!(held["holds"].as_array().unwrap().len(), 2);
        for command in ["pick", "pack", "ship"] {
            let told = placed.post(&one, command, json!({})).await.problem(409, "state_conflict");
            assert_eq!(told["holds"], json!(["address", "customer"]));
        }
        placed.post(&one, "release", json!({"kind": "fraud"})).await.problem(409, "state_conflict");
        let released = placed.post(&one, "release", json!({"kind": "address", "reason": "asked"})).await.expect(200);
        assert_eq!(text(&released["holds"][0]["kind"]), "customer");
        placed.post(&one, "pick", json!({})).await.problem(409, "state_conflict");
        // It is over at once, whether or not anybody has written that down; and that is written down.
        app.clock.advance_seconds(601);
        placed.post(&one, "pick", json!({"lines": pieces(1)})).await.expect(200);
        eventually("it is written down", || async { placed.open().await["holds"].is_null() }).await;
        let held = placed.post(&one, "hold", json!({"kind": "customer", "reason": "again"})).await.expect(200);
        assert_eq!(held["holds"].as_array().unwrap().len(), 1);
        placed.post(&one, "release", json!({})).await.expect(200);
        placed.post(&one, "release", json!({})).await.problem(409, "state_conflict");
        placed.ship_all().await;
        placed.post(&one, "hold", json!({"kind": "other", "reason": "late"})).await.problem(409, "state_conflict");
        eventually("the log tells of it", || async {
            let told = placed.events().await;
            let of = |kind: &str| told.iter().filter(|told| *told == kind).count();
            (of("fulfilment_order.held.v1"), of("fulfilment_order.released.v1")) == (3, 3)
        })
        .await;
    });
}

#[test]
fn of_holding_and_shipping_either_comes_first() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 4)]).await;
        let one = placed.open().await;
        let hold = json!({"kind": "fraud", "reason": "race"});
        let ship = json!({"lines": pieces(1)});
        let all = (0..12).map(|n| match n % 3 {
            0 => placed.post(&one, "hold", hold.clone()),
            _ => placed.post(&one, "ship", ship.clone()),
        });
        let answers = join_all(all).await;
        let held = answers.iter().step_by(3).filter(|answer| answer.status == 200).count();
        let shipped = answers.iter().filter(|answer| answer.status == 201).count() as i64;
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 201 | 409)), "{answers:?}");
        assert_eq!(held, usize::from(shipped < 4), "{answers:?}");
        assert_eq!(counts(&placed.all().await[0])[0].3, shipped);
        if shipped < 4 {
            placed.post(&one, "release", json!({})).await.expect(200);
            placed.ship_all().await;
        }
        assert_eq!(level(&app, "TEE", "berlin").await, (0, 6));
    });
}

#[test]
fn the_location_answers_whether_it_can_still_be_cancelled() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 3)]).await;
        let one = placed.open().await;
        placed.post(&one, "answer-cancel", json!({"accept": true})).await.problem(409, "state_conflict");
        let too_many = json!({"lines": pieces(4), "reason": "x"});
        placed.post(&one, "request-cancel", too_many).await.problem(409, "quantity_exceeded");
        let ask = json!({"lines": pieces(2), "reason": "ordered twice"});
        let asked = placed.post(&one, "request-cancel", ask.clone()).await.expect(200);
        assert_eq!(
            (text(&asked["cancel_request"]["reason"]), allowed(&asked, "answer_cancel")),
            ("ordered twice", true)
        );
        placed.post(&one, "request-cancel", ask.clone()).await.problem(409, "state_conflict");
        placed.post(&one, "split", json!({"lines": pieces(1)})).await.problem(409, "state_conflict");
        let listed = app.ops("GET", "/fulfilment-orders?cancel_requested=true", None).await.expect(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        let listed = app.ops("GET", "/fulfilment-orders?cancel_requested=false", None).await.expect(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 0);
        let no = json!({"accept": false, "reason": "on the truck"});
        let rejected = placed.post(&one, "answer-cancel", no).await.expect(200);
        assert!(rejected["cancel_request"].is_null());
        assert_eq!(counts(&rejected), [(1, 3, 0, 0, 0, 0)]);
        // Asked again, and two of three have left meanwhile: the third is cancelled, and only that is not paid.
        placed.post(&one, "request-cancel", ask).await.expect(200);
        placed.post(&one, "ship", json!({"lines": pieces(2)})).await.expect(201);
        let accepted = placed.post(&one, "answer-cancel", json!({"accept": true})).await.expect(200);
        assert_eq!((counts(&accepted), text(&accepted["state"])), (vec![(1, 3, 2, 2, 1, 0)], "shipped"));
        let order = placed.document().await;
        assert_eq!(order["lines"][0]["cancelled"], 1);
        eventually("the rest is paid", || async {
            placed.document().await["payments"][0]["captured"]["amount"] == "24.90"
        })
        .await;
        assert_eq!(level(&app, "TEE", "berlin").await, (0, 8));
        eventually("the log tells of it", || async {
            let told = placed.events().await;
            told.contains(&"fulfilment_order.cancel_rejected.v1".to_owned())
                && told.contains(&"order.line_cancelled.v1".to_owned())
        })
        .await;
    });
}

#[test]
fn what_is_urgent_is_due_sooner() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 3)]).await;
        let one = placed.open().await;
        placed.post(&one, "reschedule", json!({})).await.problem(422, "invalid_value");
        placed.post(&one, "reschedule", json!({"priority": 1001})).await.problem(422, "invalid_value");
        let early = json!({"due_at": "2026-03-01T00:00:00Z"});
        placed.post(&one, "reschedule", early).await.problem(422, "history_before_order");
        let changed = placed.post(&one, "reschedule", json!({"priority": 7})).await.expect(200);
        assert_eq!((&changed["priority"], &changed["due_at"]), (&json!(7), &one["due_at"]));
        let due = json!({"due_at": "2026-03-02T12:00:00Z", "reason": "the customer waits"});
        let changed = placed.post(&one, "reschedule", due).await.expect(200);
        assert_eq!((&changed["priority"], text(&changed["due_at"])), (&json!(7), "2026-03-02T12:00:00Z"));
        let listed = |priority: i64| {
            let path = format!("/fulfilment-orders?min_priority={priority}");
            let app = &app;
            async move { app.ops("GET", &path, None).await.expect(200)["items"].as_array().unwrap().len() }
        };
        assert_eq!((listed(7).await, listed(8).await), (1, 0));
        placed.ship_all().await;
        placed.post(&one, "reschedule", json!({"priority": 1})).await.problem(409, "state_conflict");
    });
}

#[test]
fn whether_it_is_cancelled_is_not_asked_any_more_once_it_is() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 1)]).await;
        let one = placed.open().await;
        let asked = placed.post(&one, "request-cancel", json!({"reason": "ordered twice"})).await.expect(200);
        assert!(allowed(&asked, "answer_cancel"));
        app.ops("POST", &format!("/orders/{}/cancel", placed.order), Some(&json!({"reason": "ordered twice"})))
            .await
            .expect(200);
        let path = format!("/fulfilment-orders/{}", text(&one["id"]));
        let gone = app.ops("GET", &path, None).await.expect(200);
        assert_eq!((text(&gone["state"]), allowed(&gone, "answer_cancel")), ("cancelled", false), "{gone}");
        placed.post(&one, "answer-cancel", json!({"accept": false})).await.problem(409, "state_conflict");
        let listed = app.ops("GET", "/fulfilment-orders?cancel_requested=true", None).await.expect(200);
        assert_eq!(listed["items"], json!([]));
    });
}
