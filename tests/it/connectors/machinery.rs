//! What a connector does beside sending: how much at once, when to leave a far end in peace, how its documents are written, what
//! the far end calls what.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{append, conformance::caught_up, connector, dispatches, event, path, placed, reaches};
use crate::support::{App, Deed, Gate, Receiver, Shop, eventually, on_both};

async fn shown(app: &App, made: &Value) -> Value {
    app.ops("GET", &path(made, ""), None).await.expect(200)
}

#[test]
fn a_far_end_that_fails_is_left_in_peace_probed_and_spoken_to_again() {
    on_both(|app| async move {
        let healthy = Arc::new(Mutex::new(false));
        let asked = healthy.clone();
        let receiver = Receiver::start(move |_, _| match *asked.lock().unwrap() {
            true => Deed::Answer(200, ""),
            false => Deed::Answer(503, ""),
        });
        let breaker = json!({"failures": 3, "first_seconds": 60, "longest_seconds": 100});
        let made = connector(&app, &receiver, json!({"sending": {"max_parallel": 4, "breaker": breaker}})).await;
        let streams: Vec<String> = (0..40).map(|n| format!("s{n:02}")).collect();
        placed(&app, &streams.iter().map(|stream| (stream.as_str(), 1)).collect::<Vec<_>>()).await;
        eventually("the breaker is open", || async { shown(&app, &made).await["breaker_state"] == "open" }).await;
        let open = shown(&app, &made).await;
        assert!(open["breaker"]["failures"].as_i64().unwrap() >= 3, "{open}");
        assert!(open["breaker"]["reason"].as_str().unwrap().contains("503"), "{open}");
        // Those that were under way came to an end; of the forty most have not been tried at all.
        eventually("nothing is under way", || async {
            app.count("SELECT count(*) FROM jobs WHERE state = 'leased'").await == 0
        })
        .await;
        let tried = receiver.log.lock().unwrap().len();
        assert!((3..=7).contains(&tried), "{tried}");

        // One probe at a time, and a longer pause after each.
        for round in 1..=3 {
            app.clock.advance_seconds(101);
            eventually("a probe", || async { receiver.log.lock().unwrap().len() == tried + round }).await;
            eventually("the breaker is open again", || async { shown(&app, &made).await["breaker_state"] == "open" })
                .await;
        }
        *healthy.lock().unwrap() = true;
        app.clock.advance_seconds(101);
        reaches(&app, &made, "delivered", 40).await;
        let well = shown(&app, &made).await;
        assert_eq!((&well["breaker_state"], &well["breaker"]), (&json!("closed"), &Value::Null));
    });
}

#[test]
fn a_success_between_failures_keeps_the_breaker_closed_and_hastens_nothing() {
    on_both(|app| async move {
        let receiver = Receiver::start(|request, _| match request.name().starts_with("bad") {
            true => Deed::Answer(500, ""),
            false => Deed::Answer(200, ""),
        });
        let breaker = json!({"failures": 2, "first_seconds": 60});
        let made =
            connector(&app, &receiver, json!({"sending": {"max_parallel": 1, "breaker": breaker}, "max_attempts": 2}))
                .await;
        for round in 0..4i64 {
            let (bad, good) = (format!("bad{round}"), format!("good{round}"));
            placed(&app, &[(bad.as_str(), 1)]).await;
            reaches(&app, &made, "pending", usize::try_from(round).unwrap() + 1).await;
            eventually("it has failed", || async {
                dispatches(&app, &made, "pending").await.iter().all(|one| one["attempts"] == 1)
            })
            .await;
            placed(&app, &[(good.as_str(), 1)]).await;
            reaches(&app, &made, "delivered", usize::try_from(round).unwrap() + 1).await;
        }
        assert_eq!(shown(&app, &made).await["breaker_state"], "closed");
        app.leaves_work();
    });
}

#[test]
fn no_more_is_under_way_at_once_than_the_connector_says() {
    on_both(|app| async move {
        let gate = Arc::new(Gate::default());
        let held = gate.clone();
        let slow = Receiver::start(move |_, _| Deed::Wait(held.clone()));
        let quick = Receiver::start(|_, _| Deed::Answer(200, ""));
        let named = |name: &str, limit: i64| json!({"name": name, "sending": {"max_parallel": limit}});
        let made = connector(&app, &slow, named("slow", 2)).await;
        let other = connector(&app, &quick, named("quick", 16)).await;
        let streams: Vec<String> = (0..30).map(|n| format!("s{n}")).collect();
        placed(&app, &streams.iter().map(|stream| (stream.as_str(), 1)).collect::<Vec<_>>()).await;
        slow.got(2).await;
        // The workers have gone round often enough to bring everything to the other one.
        reaches(&app, &other, "delivered", 30).await;
        assert_eq!(slow.log.lock().unwrap().len(), 2);
        // Told otherwise it does more, at once, and still no more than that.
        let more = json!({"sending": {"max_parallel": 3}});
        app.ops("PATCH", &path(&made, ""), Some(&more)).await.expect(200);
        slow.got(3).await;
        placed(&app, &[("t", 1)]).await;
        reaches(&app, &other, "delivered", 31).await;
        assert_eq!(slow.log.lock().unwrap().len(), 3);
        gate.open();
        reaches(&app, &made, "delivered", 31).await;
    });
}

#[test]
fn how_a_connector_sends_is_checked() {
    on_both(|app| async move {
        let receiver = Receiver::start(|_, _| Deed::Answer(200, ""));
        let post = |sending: Value| {
            let body =
                json!({"name": "ERP", "adapter": "webhook", "settings": {"url": receiver.url}, "sending": sending});
            let app = app.clone();
            async move { app.ops("POST", "/connectors", Some(&body)).await }
        };
        for (sending, pointer) in [
            (json!({"max_parallel": 0}), "/sending/max_parallel"),
            (json!({"retry": {"first_seconds": 50, "longest_seconds": 10}}), "/sending/retry/longest_seconds"),
            (json!({"breaker": {"failures": 0}}), "/sending/breaker/failures"),
        ] {
            let problem = post(sending).await.problem(422, "invalid_value");
            assert_eq!(problem["pointer"], pointer);
        }
        post(json!({"retries": 3})).await.problem(422, "unknown_field");
        let made = post(json!({"retry": {"first_seconds": 60}})).await.expect(201);
        assert_eq!(made["sending"]["retry"], json!({"first_seconds": 60, "longest_seconds": 21600}));
        assert_eq!(made["sending"]["max_parallel"], 16);
    });
}

#[test]
fn retries_keep_to_the_connectors_own_schedule() {
    on_both(|app| async move {
        let receiver = Receiver::start(|_, before| match before {
            0 => Deed::Answer(500, ""),
            _ => Deed::Answer(200, ""),
        });
        let retry = json!({"first_seconds": 1000, "longest_seconds": 1000});
        let made = connector(&app, &receiver, json!({"sending": {"retry": retry}})).await;
        placed(&app, &[("a", 1)]).await;
        eventually("it has failed", || async {
            dispatches(&app, &made, "pending").await.first().is_some_and(|one| one["attempts"] == 1)
        })
        .await;
        let wait = app.read(|tx| {
            use kontor::db::{InstantSql, sql};
            sql("SELECT min(run_at) FROM jobs").load::<InstantSql, kontor::kernel::Instant>(tx)
        });
        let wait = wait.await[0].seconds_since(app.now());
        assert!((800..=1200).contains(&wait), "{wait}");
        app.clock.advance_seconds(1201);
        reaches(&app, &made, "delivered", 1).await;
    });
}

#[test]
fn a_mapping_is_a_version_is_tried_first_and_gone_back_from() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE-M", "19.99", 50)]).await;
        let order = shop.order(&[("TEE-M", 2)]).await;
        let body = json!({
            "name": "Tryton", "adapter": "tryton", "types": ["customer."],
            "settings": {"url": "http://127.0.0.1:9", "database": "shop", "user": "kontor"}, "secrets": {"password": "word-word"}
        });
        let made = app.ops("POST", "/connectors", Some(&body)).await.expect(201);
        let own = app.ops("GET", &path(&made, "/mapping"), None).await.expect(200);
        assert_eq!((own.get("version"), &own["own"]["documents"]), (None, &json!({})));
        assert!(own["effective"]["documents"]["sale"].is_object());

        // Tried on a past order before anybody writes by it.
        caught_up(&app, &made).await;
        let other = json!({"tables": {"products": {"TEE-M": "T-1"}}});
        let shown =
            app.ops("POST", &path(&made, "/dry-run"), Some(&json!({"order": order["number"], "mapping": other}))).await;
        assert!(shown.expect(200)["requests"].to_string().contains("T-1"));
        let plain =
            app.ops("POST", &path(&made, "/dry-run"), Some(&json!({"order": order["number"]}))).await.expect(200);
        assert!(!plain["requests"].to_string().contains("T-1"));

        let written = app.ops("PUT", &path(&made, "/mapping"), Some(&other)).await.expect(200);
        assert_eq!(
            (&written["version"], &written["effective"]["tables"]["products"]["TEE-M"]),
            (&json!(1), &json!("T-1"))
        );
        let wrong = json!({"documents": {"sale": {"reference": "=order.number |"}}});
        let problem = app.ops("PUT", &path(&made, "/mapping"), Some(&wrong)).await.problem(422, "mapping_invalid");
        assert_eq!(problem["pointer"], "/mapping/documents/sale/reference");
        let lost = json!({"documents": {"sale": {"reference": "=order.nickname.short"}}});
        app.ops("POST", &path(&made, "/dry-run"), Some(&json!({"order": order["number"], "mapping": lost})))
            .await
            .problem(422, "mapping_failed");

        app.ops("PUT", &path(&made, "/mapping"), Some(&json!({}))).await.expect(200);
        let versions = app.ops("GET", &path(&made, "/mapping/versions"), None).await.expect(200);
        let numbers: Vec<&Value> = versions["items"].as_array().unwrap().iter().map(|item| &item["version"]).collect();
        assert_eq!(numbers, [2, 1]);
        let back = app.ops("POST", &path(&made, "/mapping/use"), Some(&json!({"version": 1}))).await.expect(200);
        assert_eq!(back["effective"]["tables"]["products"]["TEE-M"], "T-1");
        app.ops("POST", &path(&made, "/mapping/use"), Some(&json!({"version": 7}))).await.problem(404, "not_found");
        let none = app.ops("POST", &path(&made, "/mapping/use"), Some(&json!({"version": null}))).await.expect(200);
        assert_eq!(none.get("version"), None);
    });
}

#[test]
fn what_a_far_end_calls_something_is_found_from_both_sides_and_set_right_by_hand() {
    on_both(|app| async move {
        let receiver = Receiver::start(|_, _| Deed::Answer(200, ""));
        let made = connector(&app, &receiver, json!({})).await;
        let link = |value: &str, doubtful: bool| {
            let mut link = json!({"object": "order", "object_id": "order_1", "kind": "sale", "value": value});
            if doubtful {
                link["doubtful"] = json!(true);
            }
            link
        };
        for (value, doubtful) in [("4711", true), ("4712", true)] {
            app.ops("PUT", &path(&made, "/links"), Some(&link(value, doubtful))).await.expect(200);
        }
        let found = |query: &'static str| {
            let (app, place) = (app.clone(), path(&made, &format!("/links?{query}")));
            async move {
                let list = app.ops("GET", &place, None).await.expect(200);
                list["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| item["value"].as_str().unwrap().to_owned())
                    .collect::<Vec<_>>()
            }
        };
        assert_eq!(found("object_id=order_1").await, ["4711", "4712"]);
        assert_eq!(found("kind=sale&value=4712").await, ["4712"]);
        assert_eq!(found("doubtful=true").await, ["4711", "4712"]);
        // Somebody has looked: the first is it, the second was a mistake.
        app.ops("PUT", &path(&made, "/links"), Some(&link("4711", false))).await.expect(200);
        app.ops("DELETE", &path(&made, "/links?kind=sale&value=4712"), None).await.expect(204);
        app.ops("DELETE", &path(&made, "/links?kind=sale&value=4712"), None).await.problem(404, "not_found");
        assert_eq!(found("doubtful=true").await, Vec::<String>::new());
        assert_eq!(found("limit=1").await, ["4711"]);
        let empty = json!({"object": "order", "object_id": "order_1", "kind": "sale", "value": " "});
        assert_eq!(
            app.ops("PUT", &path(&made, "/links"), Some(&empty)).await.problem(422, "invalid_value")["pointer"],
            "/value"
        );
    });
}

#[test]
fn letting_a_connector_go_on_speaks_to_the_far_end_at_once() {
    on_both(|app| async move {
        let gate = Arc::new(Gate::default());
        let seen = gate.clone();
        let receiver = Receiver::start(move |_, _| match seen.is_open() {
            true => Deed::Answer(200, ""),
            false => Deed::HangUp,
        });
        let breaker = json!({"failures": 1, "first_seconds": 3600, "longest_seconds": 86400});
        let made = connector(&app, &receiver, json!({"sending": {"breaker": breaker}})).await;
        append(&app, vec![event("a", 1, "order.placed.v1", None, app.now())]).await;
        eventually("the breaker is open", || async { shown(&app, &made).await["breaker_state"] == "open" }).await;
        gate.open();
        for state in ["paused", "active"] {
            app.ops("PATCH", &path(&made, ""), Some(&json!({"state": state}))).await.expect(200);
        }
        reaches(&app, &made, "delivered", 1).await;
        assert_eq!(shown(&app, &made).await["breaker_state"], "closed");
    });
}

#[test]
fn a_password_that_was_changed_at_the_far_end_is_changed_here_without_losing_what_waits() {
    on_both(|app| async move {
        let receiver = Receiver::start(|request, _| match request.header("authorization") == "Bearer new-word" {
            true => Deed::Answer(200, ""),
            false => Deed::Answer(401, ""),
        });
        let breaker = json!({"failures": 1, "first_seconds": 3600, "longest_seconds": 3600});
        let more = json!({"secrets": {"authorization": "Bearer old-word"}, "sending": {"breaker": breaker}});
        let made = connector(&app, &receiver, more).await;
        placed(&app, &[("a", 1)]).await;
        eventually("the breaker is open", || async { shown(&app, &made).await["breaker_state"] == "open" }).await;
        let wrong = json!({"secrets": {"authorisation": "Bearer new-word"}});
        app.ops("PATCH", &path(&made, ""), Some(&wrong)).await.problem(422, "settings_invalid");
        let right = json!({"secrets": {"authorization": "Bearer new-word"}});
        let changed = app.ops("PATCH", &path(&made, ""), Some(&right)).await.expect(200);
        assert_eq!(changed.get("secrets"), None);
        reaches(&app, &made, "delivered", 1).await;
    });
}

#[test]
fn the_figures_of_each_connector_stand_beside_those_of_the_process() {
    on_both(|app| async move {
        let receiver = Receiver::start(|request, _| match request.name().starts_with("bad") {
            true => Deed::Answer(422, ""),
            false => Deed::Answer(200, ""),
        });
        let made = connector(&app, &receiver, json!({})).await;
        placed(&app, &[("bad", 1), ("good", 1), ("bad", 2)]).await;
        reaches(&app, &made, "dead", 1).await;
        reaches(&app, &made, "delivered", 1).await;
        app.clock.advance_seconds(90);
        let id = made["id"].as_str().unwrap();
        let figure = |text: &str, name: &str| -> i64 {
            let labelled = format!("kontor_connector_{name}{{adapter=\"webhook\",connector=\"{id}\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(labelled.as_str()));
            line.unwrap_or_else(|| panic!("no {labelled} in {text}")).parse().unwrap()
        };
        let text = app.send("GET", "/metrics", &[], None).await.text;
        let told = ["lag_seconds", "backlog", "dead", "breaker", "paused"].map(|name| figure(&text, name));
        assert_eq!(told, [90, 1, 1, 0, 0], "{text}");
        let listed = shown(&app, &made).await;
        assert_eq!(
            (&listed["backlog"]["lag_seconds"], &listed["backlog"]["dead"]),
            (&json!(90), &json!(1)),
            "{listed}"
        );
        app.ops("PATCH", &path(&made, ""), Some(&json!({"state": "paused"}))).await.expect(200);
        let text = app.send("GET", "/metrics", &[], None).await.text;
        assert_eq!(figure(&text, "paused"), 1);
        // One that is gone is told no more.
        app.ops("DELETE", &path(&made, ""), None).await.expect(204);
        let text = app.send("GET", "/metrics", &[], None).await.text;
        assert!(!text.contains(id), "{text}");
    });
}
