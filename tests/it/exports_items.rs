//! What consumers do with single items: late, twice, out of turn, with what belongs to another; and what breaks them.

use kontor::events;
use serde_json::{Value, json};

use crate::{
    connectors::{append, event},
    exports::{ack, call, names, numbered, orders, poll, positions},
    support::{App, on_both},
};

#[test]
fn what_others_are_handed_again_is_not_passed_by_who_had_it_before() {
    on_both(|app| async move {
        orders(&app, &[("a", 1), ("a", 2), ("b", 1), ("a", 3)]).await;
        let mine = poll(&app, "orders?consumer=erp&lease_seconds=30").await;
        assert_eq!(names(&mine), ["a/1", "a/2", "b/1", "a/3"]);
        app.clock.advance_seconds(31);
        let theirs = poll(&app, "orders?consumer=erp&limit=1").await;
        assert_eq!(names(&theirs), ["a/1"]);
        // What stands behind it comes after it; what is of another stream is done, late as it is.
        let late = ack(&app, &mine, json!(positions(&mine))).await.expect(200);
        assert_eq!(outcomes(&late), ["lease_lost", "stream_parked", "acked", "stream_parked"]);
        nack(&app, &theirs, json!(positions(&theirs))).await;
        assert!(poll(&app, "orders?consumer=erp").await["items"].as_array().unwrap().is_empty());
        release(&app, positions(&theirs)[0], "replay").await;
        assert_eq!(names(&poll(&app, "orders?consumer=erp").await), ["a/1", "a/2", "a/3"]);
    });
}

fn outcomes(answer: &Value) -> Vec<&str> {
    answer["items"].as_array().unwrap().iter().map(|item| item["outcome"].as_str().unwrap()).collect()
}

async fn nack(app: &App, page: &Value, items: Value) -> Value {
    let body = json!({"consumer": "erp", "lease": page["lease"], "items": items, "reason": "no such article"});
    call(app, "POST", "/feeds/orders/nack", Some(&body)).await.expect(200)
}

async fn release(app: &App, position: i64, what: &str) {
    let reason =
        if what == "skip" { json!({"consumer": "erp", "reason": "by hand"}) } else { json!({"consumer": "erp"}) };
    call(app, "POST", &format!("/feeds/orders/parked/{position}/{what}"), Some(&reason)).await.expect(204);
}

#[test]
fn an_acknowledgement_counts_late_and_twice_but_not_for_others_items() {
    on_both(|app| async move {
        orders(&app, &[("a", 1), ("b", 1), ("c", 1)]).await;
        let mine = poll(&app, "orders?consumer=erp&limit=1&lease_seconds=30").await;
        let theirs = poll(&app, "orders?consumer=crm&limit=1").await;
        let (first, last) = (positions(&mine)[0], positions(&mine)[0] + 2);
        // With another consumer's lease, or as another consumer.
        let foreign = json!({"lease": theirs["lease"]});
        ack(&app, &foreign, json!([first])).await.problem(409, "lease_lost");
        ack(&app, &foreign, Value::Null).await.problem(409, "lease_lost");
        let body = json!({"consumer": "crm", "lease": mine["lease"], "items": [first]});
        call(&app, "POST", "/feeds/orders/ack", Some(&body)).await.problem(409, "lease_lost");
        // What was never handed out.
        assert_eq!(outcomes(&ack(&app, &mine, json!([last, 999])).await.expect(200)), ["unknown", "unknown"]);
        let stranger = kontor::kernel::ids::EventId::new();
        assert_eq!(outcomes(&ack(&app, &mine, json!([stranger])).await.expect(200)), ["unknown"]);
        // Twice, also in one breath, and then as a whole.
        assert_eq!(outcomes(&ack(&app, &mine, json!([first, first])).await.expect(200)), ["acked", "acked"]);
        assert_eq!(outcomes(&ack(&app, &mine, json!([first])).await.expect(200)), ["already_done"]);
        ack(&app, &mine, Value::Null).await.problem(409, "lease_lost");
        // Late, while nobody else has asked for it: it is done all the same, and so is setting aside.
        for (name, late) in [("b/1", "acked"), ("c/1", "parked")] {
            let page = poll(&app, "orders?consumer=erp&limit=1&lease_seconds=30").await;
            assert_eq!(names(&page), [name]);
            app.clock.advance_seconds(31);
            let place = json!(positions(&page));
            let told = match late {
                "acked" => ack(&app, &page, place).await.expect(200),
                _ => nack(&app, &page, place).await,
            };
            assert_eq!(outcomes(&told), [late]);
        }
        // Set aside again it stays so; done it can not be, for nobody has it in hand.
        assert_eq!(outcomes(&nack(&app, &mine, json!([last])).await), ["parked"]);
        assert_eq!(outcomes(&ack(&app, &mine, json!([last])).await.expect(200)), ["stream_parked"]);
        assert!(names(&poll(&app, "orders?consumer=erp").await).is_empty());
        // The other consumer has been left alone.
        let theirs = json!({"consumer": "crm", "lease": theirs["lease"]});
        assert_eq!(outcomes(&call(&app, "POST", "/feeds/orders/ack", Some(&theirs)).await.expect(200)), ["acked"]);
        assert_eq!(names(&poll(&app, "orders?consumer=crm").await), ["b/1", "c/1"]);
    });
}

#[test]
fn what_waits_behind_an_item_in_hand_can_not_be_acknowledged_out_of_turn() {
    on_both(|app| async move {
        orders(&app, &[("a", 1), ("a", 2)]).await;
        let first = poll(&app, "orders?consumer=erp&limit=1").await;
        assert!(names(&poll(&app, "orders?consumer=erp").await).is_empty());
        let second = positions(&first)[0] + 1;
        assert_eq!(outcomes(&ack(&app, &first, json!([second])).await.expect(200)), ["stream_parked"]);
        ack(&app, &first, Value::Null).await.expect(200);
        assert_eq!(names(&poll(&app, "orders?consumer=erp").await), ["a/2"]);
    });
}

#[test]
fn several_set_aside_of_one_stream_are_released_in_order_whichever_is_released_first() {
    on_both(|app| async move {
        orders(&app, &[("a", 1), ("a", 2), ("b", 1), ("a", 3), ("a", 4)]).await;
        let page = poll(&app, "orders?consumer=erp").await;
        let place = positions(&page);
        // The second and the third of the stream; the first is still good, the fourth is taken back.
        let told = nack(&app, &page, json!([place[1], place[3]])).await;
        assert_eq!((outcomes(&told), &told["taken_back"]), (vec!["parked", "parked"], &json!([place[4]])));
        let done = ack(&app, &page, json!([place[0], place[2], place[4]])).await.expect(200);
        assert_eq!(outcomes(&done), ["acked", "acked", "stream_parked"]);
        assert!(names(&poll(&app, "orders?consumer=erp").await).is_empty());
        release(&app, place[3], "replay").await;
        assert!(names(&poll(&app, "orders?consumer=erp").await).is_empty(), "the earlier one is still set aside");
        release(&app, place[1], "skip").await;
        assert_eq!(names(&poll(&app, "orders?consumer=erp").await), ["a/3", "a/4"]);
    });
}

#[test]
fn several_types_on_one_cursor_come_in_the_order_of_the_log() {
    on_both(|app| async move {
        let now = app.now();
        let kinds = [
            "order.placed.v1",
            "payment.captured.v1",
            "shipment.shipped.v1",
            "order.cancelled.v1",
            "stock.adjusted.v1",
        ];
        let all = kinds.into_iter().zip(1..).map(|(kind, n)| event("a", n, kind, None, now));
        append(&app, all.collect()).await;
        numbered(&app, 5).await;
        let query = "all?consumer=erp&types=payment.,order.placed,stock.&limit=2";
        let first = poll(&app, query).await;
        assert_eq!((names(&first), &first["has_more"]), (vec!["a/1".to_owned(), "a/2".to_owned()], &json!(true)));
        let body = json!({"consumer": "erp", "lease": first["lease"]});
        call(&app, "POST", "/feeds/all/ack", Some(&body)).await.expect(200);
        let second = poll(&app, query).await;
        assert_eq!(names(&second), ["a/5"]);
        let csv = call(&app, "GET", "/feeds/all?types=payment.,stock.&format=csv", None).await;
        assert_eq!(csv.text.lines().count(), 3, "{}", csv.text);
    });
}

#[test]
fn what_breaks_its_consumer_again_and_again_is_found_and_set_aside() {
    on_both(|app| async move {
        orders(&app, &[("bad", 1), ("good", 1), ("bad", 2)]).await;
        let query = "orders?consumer=erp&max_attempts=4&lease_seconds=5";
        // The consumer dies over the first item, and nobody answers for any of the batch.
        for attempt in 1..=2 {
            let page = poll(&app, query).await;
            assert_eq!((names(&page).len(), &page["items"][1]["attempt"]), (3, &json!(attempt)));
            app.clock.advance_seconds(6);
        }
        // From half of the tries on each is handed out alone, so that only the bad one goes on failing.
        for attempt in 3..=4 {
            let page = poll(&app, query).await;
            assert_eq!((names(&page), &page["items"][0]["attempt"]), (vec!["bad/1".to_owned()], &json!(attempt)));
            let other = poll(&app, query).await;
            if attempt == 3 {
                assert_eq!(names(&other), ["good/1"]);
                ack(&app, &other, Value::Null).await.expect(200);
            }
            app.clock.advance_seconds(6);
        }
        orders(&app, &[("other", 1), ("bad", 3)]).await;
        // It is set aside in this poll; the others flow with the next.
        let page = poll(&app, query).await;
        assert_eq!((names(&page).len(), &page["has_more"]), (0, &json!(true)));
        let page = poll(&app, query).await;
        assert_eq!(names(&page), ["other/1"]);
        ack(&app, &page, Value::Null).await.expect(200);
        let parked = call(&app, "GET", "/feeds/orders/parked?consumer=erp", None).await.expect(200);
        let item = &parked["items"][0];
        assert_eq!(item["reason"], "handed out 4 times and never acknowledged");
        assert_eq!((&item["attempt"], &item["waiting_behind"]), (&json!(4), &json!(2)));
        let waiting = app.ops("GET", "/worklists/parked_feed_items", None).await.expect(200);
        assert_eq!(waiting["items"].as_array().unwrap().len(), 1, "{waiting}");
        // Mended and replayed, it is counted anew, and what waited follows in order.
        release(&app, item["position"].as_i64().unwrap(), "replay").await;
        let mut seen = Vec::new();
        for _ in 0..3 {
            let page = poll(&app, query).await;
            seen.extend(names(&page));
            if page["lease"].is_string() {
                ack(&app, &page, Value::Null).await.expect(200);
            }
        }
        assert_eq!(seen, ["bad/1", "bad/2", "bad/3"]);
        let last = app.read(|tx| Ok(events::state(tx)?.last)).await;
        let listed = call(&app, "GET", "/feeds/orders/consumers", None).await.expect(200);
        let erp = &listed["items"][0];
        assert_eq!((&erp["position"], &erp["parked"], &erp["waiting"]), (&json!(last), &json!(0), &json!(0)));
    });
}
