//! Receivers that hang: they hold up nobody but themselves.

use std::sync::Arc;

use diesel::sql_types::BigInt;
use kontor::db::sql;
use serde_json::{Value, json};

use crate::{
    connectors::{append, connector, dispatches, event, reaches},
    support::{App, Deed, Gate, Receiver, Shop, eventually, on_both},
};

const STREAMS: i64 = 30;
const EACH: i64 = 4;
const ALL: usize = (STREAMS * EACH) as usize;

async fn much_happens(app: &App) {
    let now = app.now();
    for n in 1..=EACH {
        let round = (0..STREAMS).map(|stream| event(&format!("s{stream}"), n, "return.received.v1", None, now));
        append(app, round.collect()).await;
    }
}

/// Each event came, and each stream's first came first.
fn assert_in_order(receiver: &Receiver) {
    let names = receiver.names();
    for stream in 0..STREAMS {
        let own = format!("s{stream}/");
        let mut seen: Vec<i64> =
            names.iter().filter_map(|name| name.strip_prefix(&own)).map(|n| n.parse().unwrap()).collect();
        assert!(seen.is_sorted(), "{own} came as {seen:?}");
        seen.dedup();
        assert_eq!(seen, (1..=EACH).collect::<Vec<_>>(), "{own}");
    }
}

async fn in_hand(app: &App) -> i64 {
    let query = "SELECT count(*) FROM jobs WHERE state = 'leased'";
    app.read(move |tx| sql(query).first::<BigInt, i64>(tx)).await.unwrap()
}

#[test]
fn a_receiver_that_hangs_holds_up_neither_other_receivers_nor_other_jobs() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let gate = Arc::new(Gate::default());
        let held = gate.clone();
        let slow = Receiver::start(move |_, _| Deed::Wait(held.clone()));
        let quick = Receiver::start(|_, _| Deed::Answer(200, ""));
        let types = json!(["return."]);
        let hanging = connector(&app, &slow, json!({"name": "Slow", "types": types})).await;
        let answering = connector(&app, &quick, json!({"name": "Quick", "types": types})).await;
        let begun = std::time::Instant::now();
        much_happens(&app).await;
        // It has all that it may have.
        slow.got(8).await;
        reaches(&app, &answering, "delivered", ALL).await;
        assert_in_order(&quick);
        assert!(dispatches(&app, &hanging, "delivered").await.is_empty());
        // Until its time is up nothing more is sent to it.
        if begun.elapsed().as_secs() < 15 {
            assert_eq!(slow.names().len(), 8);
        }
        // Money is captured meanwhile, one job per order.
        for _ in 0..6 {
            let order = shop.order(&[("TEE", 1)]).await;
            let path = format!("/orders/{}/fulfilment", order["id"].as_str().unwrap());
            let found = app.ops("GET", &path, None).await.expect(200);
            let path = format!("/fulfilment-orders/{}/ship", found["fulfilment_orders"][0]["id"].as_str().unwrap());
            app.ops("POST", &path, Some(&json!({}))).await.expect(201);
        }
        let captured = || async {
            let found = app.ops("GET", "/orders?payment_state=captured", None).await.expect(200);
            found["items"].as_array().map_or(0, Vec::len) == 6
        };
        eventually("six captures", captured).await;
        assert!(dispatches(&app, &hanging, "delivered").await.is_empty());
        gate.open();
        eventually("the slow one has everything too", || async {
            // What has been given up meanwhile is tried again later.
            if in_hand(&app).await == 0 {
                app.clock.advance_seconds(7);
            }
            dispatches(&app, &hanging, "delivered").await.len() == ALL
        })
        .await;
        assert_in_order(&slow);
    });
}

#[test]
fn the_log_of_dispatches_keeps_failures_and_the_last_answer_and_no_secrets() {
    on_both(|app| async move {
        let receiver = Receiver::start(|request, before| match (request.name().as_str(), before) {
            ("a/1", 0) => Deed::Say(500, format!("who is {}?", request.header("authorization"))),
            ("a/3", _) => Deed::Say(200, String::new()),
            _ => Deed::Say(200, format!("thanks for {}", request.name())),
        });
        let secrets = json!({"secrets": {"authorization": "Bearer t0p-s3cret"}});
        let made = connector(&app, &receiver, secrets).await;
        let now = app.now();
        append(&app, vec![event("a", 1, "order.placed.v1", None, now)]).await;
        eventually("a failure", || async {
            dispatches(&app, &made, "pending").await.iter().any(|d| d["attempts"] == 1)
        })
        .await;
        let failed = dispatches(&app, &made, "pending").await[0].clone();
        assert_eq!((&failed["last_status"], &failed["response"]), (&json!(500), &json!("who is ********?")));
        assert!(failed["error"].as_str().unwrap().contains("500"), "{failed}");
        app.clock.advance_seconds(10);
        for n in 2..=3 {
            append(&app, vec![event("a", n, "order.placed.v1", None, now)]).await;
            reaches(&app, &made, "delivered", usize::try_from(n).unwrap()).await;
            let kept: Vec<Value> = dispatches(&app, &made, "delivered").await;
            let answers: Vec<&Value> = kept.iter().map(|dispatch| &dispatch["response"]).collect();
            // The newest comes first. The last success had nothing to say, so nothing is kept.
            let wanted = if n == 2 { vec![json!("thanks for a/2"), Value::Null] } else { vec![Value::Null; 3] };
            assert_eq!(answers, wanted.iter().collect::<Vec<_>>());
            for dispatch in &kept {
                let sent = dispatch["sent_sha256"].as_str().unwrap();
                assert!(
                    sent.len() == 64 && dispatch["duration_ms"].is_i64() && dispatch["last_status"] == 200,
                    "{dispatch}"
                );
            }
        }
    });
}

#[test]
fn the_far_ends_patience_counts_within_reason() {
    on_both(|app| async move {
        let receiver = Receiver::start(|request, before| match (request.name().as_str(), before) {
            ("soon/1", 0) => Deed::Answer(503, "Retry-After: 0\r\n"),
            ("later/1", 0) => Deed::Answer(429, "Retry-After: 120\r\n"),
            ("never/1", 0) => Deed::Answer(503, "Retry-After: 99999999\r\n"),
            ("silent/1", 0) => Deed::Answer(500, ""),
            _ => Deed::Answer(200, ""),
        });
        let made = connector(&app, &receiver, json!({"max_attempts": 50})).await;
        let now = app.now();
        let all = ["soon", "later", "never", "silent"].map(|stream| event(stream, 1, "order.placed.v1", None, now));
        append(&app, all.into()).await;
        eventually("four failures", || async {
            dispatches(&app, &made, "pending").await.iter().filter(|d| d["attempts"] == 1).count() == 4
        })
        .await;
        for (stream, least, most) in [("soon", 2, 3), ("later", 120, 120), ("never", 21_600, 21_600), ("silent", 4, 6)]
        {
            let key = format!("{}:{stream}", made["id"].as_str().unwrap());
            let query = "SELECT run_at FROM jobs WHERE ordering_key = ?";
            let due =
                app.read(move |tx| sql(query).bind(key).first::<kontor::db::InstantSql, kontor::kernel::Instant>(tx));
            let wait = due.await.unwrap().seconds_since(now);
            assert!((least..=most).contains(&wait), "{stream} waits {wait} s");
        }
        app.clock.advance_seconds(22_000);
        reaches(&app, &made, "delivered", 4).await;
    });
}
