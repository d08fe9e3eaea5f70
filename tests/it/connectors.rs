//! Connectors: events pushed to a real receiver that fails, is slow, asks for patience, hangs up.

mod conformance;
mod hubspot;
mod hubspot_double;
mod machinery;
mod odoo;
mod odoo_double;
mod odoo_schema;
mod resync;
mod tryton_double;
mod tryton_real;
mod webhook_double;

use std::sync::{Arc, Mutex};

use diesel::sql_types::{BigInt, Text};
use futures::future::join_all;
use kontor::{
    db::{InstantSql, sql},
    events::{self, NewEvent, Payload},
    jobs::{self, NewJob, Runner},
    kernel::{
        Actor, Instant,
        ids::{ChannelId, EventId},
    },
};
use serde_json::{Value, json};

use crate::support::{App, Deed, Gate, Receiver, eventually, on_both};

pub fn event(stream: &str, n: i64, kind: &'static str, channel: Option<ChannelId>, now: Instant) -> NewEvent {
    NewEvent {
        id: EventId::new(),
        stream: stream.to_owned(),
        aggregate: "order",
        aggregate_id: stream.to_owned(),
        aggregate_version: n,
        channel,
        kind,
        occurred_at: now,
        payload: Payload::of(&json!({"n": n})).unwrap(),
        subject: None,
    }
}

pub async fn append(app: &App, list: Vec<NewEvent>) {
    let now = app.now();
    app.state.db.write(move |tx| events::append(tx, &Actor::System("test"), now, list.clone())).await.unwrap();
}

pub async fn placed(app: &App, names: &[(&str, i64)]) {
    let now = app.now();
    append(app, names.iter().map(|(stream, n)| event(stream, *n, "order.placed.v1", None, now)).collect()).await;
}

pub async fn connector(app: &App, receiver: &Receiver, more: Value) -> Value {
    let mut body = json!({"name": "ERP", "adapter": "webhook", "settings": {"url": receiver.url}});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.ops("POST", "/connectors", Some(&body)).await.expect(201)
}

pub fn path(connector: &Value, rest: &str) -> String {
    format!("/connectors/{}{rest}", connector["id"].as_str().unwrap())
}

pub async fn dispatches(app: &App, connector: &Value, state: &str) -> Vec<Value> {
    let list =
        app.ops("GET", &path(connector, &format!("/dispatches?state={state}&limit=200")), None).await.expect(200);
    list["items"].as_array().unwrap().clone()
}

pub async fn reaches(app: &App, connector: &Value, state: &str, count: usize) {
    eventually(&format!("{count} {state}"), || async { dispatches(app, connector, state).await.len() == count }).await;
}

async fn jobs(app: &App) -> i64 {
    app.read(|tx| Ok(sql("SELECT count(*) FROM jobs").first::<BigInt, i64>(tx)?.unwrap())).await
}

/// A receiver that fails until it is told that it is healthy.
fn ailing() -> (Arc<Mutex<bool>>, Receiver) {
    let healthy = Arc::new(Mutex::new(false));
    let asked = healthy.clone();
    let receiver = Receiver::start(move |_, _| match *asked.lock().unwrap() {
        true => Deed::Answer(200, ""),
        false => Deed::Answer(500, ""),
    });
    (healthy, receiver)
}

#[test]
fn an_event_arrives_signed_as_a_cloud_event_and_in_the_order_of_its_stream() {
    on_both(|app| async move {
        let receiver = Receiver::start(|_, _| Deed::Answer(200, ""));
        let made = connector(&app, &receiver, json!({"types": ["order."]})).await;
        let secret = made["secrets"]["signing_secret"].as_str().unwrap().to_owned();
        placed(&app, &[("a", 1), ("b", 1), ("a", 2)]).await;
        append(&app, vec![event("s", 1, "stock.changed.v1", None, app.now())]).await;
        reaches(&app, &made, "delivered", 3).await;
        let names = receiver.names();
        assert_eq!(names.len(), 3);
        let place = |name: &str| names.iter().position(|known| known == name).unwrap();
        assert!(place("a/1") < place("a/2"));
        let first = receiver.log.lock().unwrap()[0].clone();
        assert!(first.header("content-type").starts_with("application/cloudevents+json"));
        let (id, at) = (first.header("webhook-id"), first.header("webhook-timestamp").parse::<i64>().unwrap());
        assert_eq!(at, app.now().micros() / 1_000_000);
        let key = standardwebhooks::Webhook::new(&secret).unwrap();
        assert_eq!(key.sign(id, at, first.body.as_bytes()).unwrap(), first.header("webhook-signature"));
        let body = first.json();
        assert_eq!(
            (&body["specversion"], &body["type"], &body["id"]),
            (&json!("1.0"), &json!("order.placed.v1"), &json!(id))
        );
        // The secret was shown once and can not be read from the database.
        let shown = app.ops("GET", &path(&made, ""), None).await.expect(200);
        assert_eq!(shown["secrets"], Value::Null);
        assert_eq!((&shown["backlog"]["pending"], &shown["backlog"]["behind"]), (&json!(0), &json!(0)));
        let kept = app.read(|tx| sql("SELECT secret FROM connectors").load::<Text, String>(tx)).await;
        assert!(kept.iter().all(|kept| !kept.contains("whsec_")));
        // Of the successes only the last one's answer is kept.
        let delivered = dispatches(&app, &made, "delivered").await;
        assert!(delivered.iter().all(|dispatch| dispatch["last_status"] == 200 && dispatch["attempts"] == 1));
        assert!(delivered.iter().filter(|dispatch| dispatch["response"] == "seen").count() >= 1);
        assert_eq!(jobs(&app).await, 0);
    });
}

#[test]
fn a_failing_order_waits_as_long_as_asked_and_does_not_stop_the_others() {
    on_both(|app| async move {
        let receiver = Receiver::start(|request, before| match (request.name().as_str(), before) {
            ("a/1", 0) => Deed::Answer(429, "Retry-After: 120\r\n"),
            ("a/1", 1) => Deed::HangUp,
            ("a/1", 2) => Deed::Answer(500, ""),
            _ => Deed::Answer(204, ""),
        });
        let made = connector(&app, &receiver, json!({})).await;
        placed(&app, &[("a", 1), ("a", 2), ("b", 1), ("b", 2)]).await;
        reaches(&app, &made, "delivered", 2).await;
        eventually("a try", || async {
            dispatches(&app, &made, "pending").await.iter().any(|one| one["attempts"] == 1)
        })
        .await;
        let due =
            app.read(|tx| sql("SELECT min(run_at) FROM jobs WHERE attempt = 1").load::<InstantSql, Instant>(tx)).await;
        assert_eq!(due, [app.now().plus_seconds(120)]);
        for attempts in 2..=3 {
            app.clock.advance_seconds(200);
            eventually("another try", || async {
                dispatches(&app, &made, "pending").await.iter().any(|one| one["attempts"] == attempts)
            })
            .await;
        }
        app.clock.advance_seconds(200);
        reaches(&app, &made, "delivered", 4).await;
        let names = receiver.names();
        assert_eq!(names.iter().filter(|name| *name == "a/1").count(), 4);
        assert_eq!(names.iter().filter(|name| *name == "a/2").count(), 1);
        assert_eq!(names.last().unwrap(), "a/2");
    });
}

#[test]
fn a_dead_letter_parks_its_stream_until_it_is_replayed_or_skipped() {
    on_both(|app| async move {
        let healthy = Arc::new(Mutex::new(false));
        let asked = healthy.clone();
        let receiver =
            Receiver::start(move |request, _| match *asked.lock().unwrap() || request.name().starts_with('c') {
                true => Deed::Answer(200, ""),
                false => Deed::Answer(500, ""),
            });
        let made = connector(&app, &receiver, json!({"max_attempts": 1})).await;
        placed(&app, &[("a", 1), ("b", 1), ("a", 2), ("b", 2), ("c", 1)]).await;
        reaches(&app, &made, "dead", 2).await;
        reaches(&app, &made, "delivered", 1).await;
        let dead = dispatches(&app, &made, "dead").await;
        assert!(dead.iter().all(|one| one["response"] == "seen" && one["error"].as_str().unwrap().contains("500")));
        let [b, a] =
            [&dead[0], &dead[1]].map(|one| path(&made, &format!("/dispatches/{}", one["id"].as_str().unwrap())));
        let detail = app.ops("GET", &a, None).await.expect(200);
        assert_eq!((&detail["event"]["stream"], &detail["stream"]), (&json!("a"), &json!("a")));
        *healthy.lock().unwrap() = true;
        app.ops("POST", &format!("{b}/skip"), Some(&json!({"reason": "by hand"}))).await.expect(200);
        app.ops("POST", &format!("{a}/replay"), None).await.expect(200);
        reaches(&app, &made, "delivered", 4).await;
        let names = receiver.names();
        assert_eq!(names.iter().filter(|name| *name == "b/1").count(), 1);
        assert!(
            names.iter().rposition(|name| name == "a/1").unwrap()
                < names.iter().position(|name| name == "a/2").unwrap()
        );
        assert_eq!(dispatches(&app, &made, "skipped").await[0]["reason"], "by hand");
        app.ops("POST", &format!("{b}/skip"), Some(&json!({"reason": "again"}))).await.problem(409, "state_conflict");
        assert_eq!(jobs(&app).await, 0);
    });
}

#[test]
fn a_dispatch_whose_dead_job_is_given_up_is_skipped() {
    on_both(|app| async move {
        let (healthy, receiver) = ailing();
        let made = connector(&app, &receiver, json!({"max_attempts": 1})).await;
        placed(&app, &[("a", 1), ("a", 2)]).await;
        reaches(&app, &made, "dead", 1).await;
        *healthy.lock().unwrap() = true;
        let dead = app.ops("GET", "/jobs/dead", None).await.expect(200);
        let discard = format!("/jobs/{}/discard", dead["items"][0]["id"].as_str().unwrap());
        app.ops("POST", &discard, None).await.expect(204);
        reaches(&app, &made, "delivered", 1).await;
        let skipped = dispatches(&app, &made, "skipped").await;
        assert_eq!((skipped.len(), &skipped[0]["reason"]), (1, &json!("its job was given up")));
        assert_eq!(skipped[0]["decided_by"], "staff:ada");
    });
}

#[test]
fn gone_pauses_the_connector_and_nothing_is_lost() {
    on_both(|app| async move {
        let receiver = Receiver::start(|_, before| Deed::Answer(if before == 0 { 410 } else { 200 }, ""));
        let made = connector(&app, &receiver, json!({})).await;
        placed(&app, &[("a", 1)]).await;
        let state = || async { app.ops("GET", &path(&made, ""), None).await.expect(200) };
        eventually("paused", || async { state().await["state"] == "paused" }).await;
        assert!(state().await["pause_reason"].as_str().unwrap().contains("410"));
        placed(&app, &[("a", 2)]).await;
        app.ops("PATCH", &path(&made, ""), Some(&json!({"state": "active"}))).await.expect(200);
        eventually("both", || async { receiver.names().len() >= 2 }).await;
        // The second event fails once too, and pauses again.
        eventually("paused again", || async { state().await["state"] == "paused" }).await;
        app.ops("PATCH", &path(&made, ""), Some(&json!({"state": "active"}))).await.expect(200);
        reaches(&app, &made, "delivered", 2).await;
        assert_eq!(receiver.names(), ["a/1", "a/1", "a/2", "a/2"]);
    });
}

#[test]
fn the_late_result_of_a_stalled_worker_is_refused() {
    on_both(|app| async move {
        let gate = Arc::new(Gate::default());
        let held = gate.clone();
        let receiver = Receiver::start(move |request, before| match (request.name().as_str(), before) {
            ("a/1", 0) => Deed::Wait(held.clone()),
            ("a/1", _) => Deed::Answer(500, ""),
            _ => Deed::Answer(200, ""),
        });
        let made = connector(&app, &receiver, json!({})).await;
        placed(&app, &[("a", 1), ("a", 2)]).await;
        receiver.got(1).await;
        // The lease runs out: another worker takes the job over, and its failure is the result that counts.
        app.clock.advance_seconds(61);
        receiver.got(2).await;
        eventually("the second try's result", || async {
            dispatches(&app, &made, "pending").await.len() == 2
                && dispatches(&app, &made, "pending").await[1]["attempts"] == 1
        })
        .await;
        gate.open();
        let receiver_saw = receiver.names();
        // The first worker's success comes too late; the event is not taken for delivered, and the next one still waits.
        placed(&app, &[("z", 1)]).await;
        reaches(&app, &made, "delivered", 1).await;
        let pending = dispatches(&app, &made, "pending").await;
        assert_eq!(
            (pending[1]["stream"].as_str(), &pending[1]["attempts"], &pending[1]["last_status"]),
            (Some("a"), &json!(1), &json!(500))
        );
        assert_eq!(receiver_saw, ["a/1", "a/1"]);
        app.ops(
            "POST",
            &path(&made, &format!("/dispatches/{}/skip", pending[1]["id"].as_str().unwrap())),
            Some(&json!({"reason": "done"})),
        )
        .await
        .expect(200);
        reaches(&app, &made, "delivered", 2).await;
    });
}

#[test]
fn dispatchers_at_once_never_double_and_never_miss() {
    on_both(|app| async move {
        let receiver = Receiver::start(|_, _| Deed::Answer(200, ""));
        let made = connector(&app, &receiver, json!({})).await;
        let work = (0..12i64).map(|writer| {
            let app = app.clone();
            async move {
                for n in 1..=5 {
                    placed(&app, &[(format!("s{writer}").as_str(), n)]).await;
                    kontor::connectors::dispatch(&app.state).await.unwrap();
                }
            }
        });
        join_all(work).await;
        reaches(&app, &made, "delivered", 60).await;
        let names = receiver.names();
        assert_eq!(names.len(), 60);
        for writer in 0..12 {
            let stream = format!("s{writer}/");
            let order: Vec<&str> = names.iter().filter_map(|name| name.strip_prefix(&stream)).collect();
            assert_eq!(order, ["1", "2", "3", "4", "5"]);
        }
    });
}

#[test]
fn a_stretch_of_the_log_is_sent_again_and_filters_hold() {
    on_both(|app| async move {
        let (ours, theirs, test) = crate::exports::three_channels(&app).await;
        let receiver = Receiver::start(|_, _| Deed::Answer(200, ""));
        let now = app.now();
        let some = |stream: &str, channel| event(stream, 1, "order.placed.v1", channel, now);
        append(&app, vec![some("before", Some(ours))]).await;
        crate::exports::numbered(&app, 1).await;
        let made = connector(&app, &receiver, json!({"channels": [ours, test]})).await;
        append(
            &app,
            vec![some("ours", Some(ours)), some("theirs", Some(theirs)), some("test", Some(test)), some("none", None)],
        )
        .await;
        reaches(&app, &made, "delivered", 1).await;
        let bad = app.ops("POST", &path(&made, "/replay"), Some(&json!({"from": 99}))).await;
        bad.problem(422, "invalid_value");
        let before = app.ops("POST", &path(&made, "/replay"), Some(&json!({"from": 0}))).await;
        assert_eq!(before.problem(422, "invalid_value")["pointer"], "/from");
        let taken =
            app.ops("POST", &path(&made, "/replay"), Some(&json!({"from": "2026-03-01T00:00:00Z"}))).await.expect(202);
        assert_eq!(taken["from"], 1);
        receiver.got(3).await;
        reaches(&app, &made, "delivered", 2).await;
        let mut names = receiver.names();
        names.sort();
        assert_eq!(names, ["before/1", "ours/1", "ours/1"]);
    });
}

/// Waits until no stretch of the log is being sent again.
pub async fn replayed(app: &App) {
    let left = "SELECT count(*) FROM jobs WHERE kind = 'connector.replay'";
    eventually("the stretch is on its way", || async { app.count(left).await == 0 }).await;
}

async fn become_state(app: &App, connector: &Value, state: &str) {
    app.ops("PATCH", &path(connector, ""), Some(&json!({ "state": state }))).await.expect(200);
}

#[test]
fn what_a_connector_has_still_to_be_given_is_no_part_of_a_replay() {
    on_both(|app| async move {
        let receiver = Receiver::start(|_, _| Deed::Answer(200, ""));
        let made = connector(&app, &receiver, json!({})).await;
        placed(&app, &[("s", 1), ("o", 1)]).await;
        reaches(&app, &made, "delivered", 2).await;
        become_state(&app, &made, "paused").await;
        placed(&app, &[("s", 2), ("o", 2), ("s", 3)]).await;
        crate::exports::numbered(&app, 5).await;
        let replay = path(&made, "/replay");
        let beyond = app.ops("POST", &replay, Some(&json!({"from": 4}))).await.problem(422, "invalid_value");
        assert_eq!((&beyond["pointer"], &beyond["position"]), (&json!("/from"), &json!(2)));
        for to in [json!({"from": 1}), json!({"from": 1, "to": 5})] {
            assert_eq!(app.ops("POST", &replay, Some(&to)).await.expect(202)["to"], 2);
            replayed(&app).await;
        }
        // One that was begun further on by an older program goes no further either.
        let (id, now) = (made["id"].as_str().unwrap(), app.now());
        let stretch = NewJob::now("connector.replay", now, json!({"connector": id, "from": 2, "to": 5}));
        let stretch = stretch.in_order(format!("{id}:"));
        app.state.db.write(move |tx| jobs::enqueue(tx, now, vec![stretch.clone()])).await.unwrap();
        replayed(&app).await;
        assert_eq!(dispatches(&app, &made, "pending").await.len(), 2);
        become_state(&app, &made, "active").await;
        reaches(&app, &made, "delivered", 5).await;
        let names = receiver.names();
        let of = |stream: &str| names.iter().filter(|name| name.starts_with(stream)).cloned().collect::<Vec<_>>();
        assert_eq!(
            (of("s"), of("o")),
            (
                ["s/1", "s/1", "s/2", "s/3"].map(str::to_owned).to_vec(),
                ["o/1", "o/1", "o/2"].map(str::to_owned).to_vec(),
            )
        );
    });
}

#[test]
fn a_dispatch_whose_dead_job_is_replayed_keeps_its_place_however_it_is_replayed_then() {
    on_both(|app| async move {
        let (healthy, receiver) = ailing();
        let made = connector(&app, &receiver, json!({"max_attempts": 1})).await;
        placed(&app, &[("a", 1), ("a", 2)]).await;
        reaches(&app, &made, "dead", 1).await;
        let dead = dispatches(&app, &made, "dead").await[0].clone();
        let (job, dispatch) =
            (dead["job_id"].as_str().unwrap(), path(&made, &format!("/dispatches/{}", dead["id"].as_str().unwrap())));
        // Nothing is sent for a while.
        become_state(&app, &made, "paused").await;
        *healthy.lock().unwrap() = true;
        app.ops("POST", &format!("/jobs/{job}/replay"), None).await.expect(204);
        let seen = app.ops("GET", &dispatch, None).await.expect(200);
        assert_eq!((&seen["state"], &seen["decided_by"]), (&json!("pending"), &json!("staff:ada")));
        app.ops("POST", &format!("{dispatch}/replay"), None).await.problem(409, "state_conflict");
        // As an older program has left it.
        let as_before = async || {
            let dead = "UPDATE dispatches SET state = 'dead' WHERE position = 1";
            app.state.db.write(move |tx| sql(dead).execute(tx)).await.unwrap();
        };
        as_before().await;
        let again = app.ops("POST", &format!("{dispatch}/replay"), None).await.expect(200);
        assert_eq!((&again["state"], again["job_id"].as_str()), (&json!("pending"), Some(job)));
        as_before().await;
        app.ops("POST", &path(&made, "/replay"), Some(&json!({"from": 1}))).await.expect(202);
        replayed(&app).await;
        let again = app.ops("GET", &dispatch, None).await.expect(200);
        assert_eq!((&again["state"], again["job_id"].as_str()), (&json!("pending"), Some(job)));
        become_state(&app, &made, "active").await;
        reaches(&app, &made, "delivered", 2).await;
        assert_eq!(receiver.names(), ["a/1", "a/1", "a/2"]);
    });
}

#[test]
fn a_test_explains_what_is_wrong_and_bad_settings_are_refused() {
    on_both(|app| async move {
        let receiver = Receiver::start(|request, _| {
            Deed::Answer(if request.header("authorization") == "Bearer x" { 200 } else { 401 }, "")
        });
        let made = connector(&app, &receiver, json!({})).await;
        let result = app.ops("POST", &path(&made, "/test"), None).await.expect(200);
        assert_eq!((&result["ok"], &result["status"]), (&json!(false), &json!(401)));
        assert!(result["error"].as_str().unwrap().contains("secrets"));
        let right = connector(&app, &receiver, json!({"name": "CRM", "secrets": {"authorization": "Bearer x"}})).await;
        assert_eq!(app.ops("POST", &path(&right, "/test"), None).await.expect(200)["ok"], true);
        let renewed = app.ops("POST", &path(&right, "/renew-secrets"), None).await.expect(200);
        assert_ne!(renewed["secrets"]["signing_secret"], right["secrets"]["signing_secret"]);
        let post = |more: Value| {
            let (app, receiver) = (app.clone(), receiver.clone());
            async move {
                let mut body = json!({"name": "X", "adapter": "webhook", "settings": {"url": receiver.url}});
                body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                app.ops("POST", "/connectors", Some(&body)).await
            }
        };
        post(json!({"name": "ERP"})).await.problem(409, "duplicate");
        post(json!({"adapter": "fax"})).await.problem(422, "adapter_unknown");
        assert_eq!(
            post(json!({"settings": {"url": "ftp://x"}})).await.problem(422, "settings_invalid")["pointer"],
            "/settings/url"
        );
        assert_eq!(
            post(json!({"settings": {"uri": "x"}})).await.problem(422, "settings_invalid")["pointer"],
            "/settings/uri"
        );
        post(json!({"settings": {"url": "https://u:p@x.example/"}})).await.problem(422, "settings_invalid");
        post(json!({"secrets": {"signing_secret": "short"}})).await.problem(422, "settings_invalid");
        post(json!({"types": ["Order%"]})).await.problem(422, "invalid_value");
        let nothing = post(json!({"types": ["order.", "nope."]})).await.problem(422, "invalid_value");
        assert_eq!(nothing["pointer"], "/types/1");
        post(json!({"settings": ["https://x.example/"]})).await.problem(422, "settings_invalid");
        post(json!({"max_attempts": 0})).await.problem(422, "invalid_value");
        app.ops("DELETE", &path(&right, ""), None).await.expect(204);
        app.ops("GET", &path(&right, ""), None).await.problem(404, "not_found");
        let adapters = app.ops("GET", "/adapters", None).await.expect(200);
        assert!(adapters["items"][0]["settings_schema"]["properties"]["url"].is_object(), "{adapters}");
    });
}

#[test]
fn a_private_address_is_not_reached_unless_it_is_allowed() {
    on_both(|app| async move {
        // It deletes a dead job by hand and leaves its dispatch dead.
        app.makes_things_up();
        app.leaves_work();
        let receiver = Receiver::start(|_, _| Deed::Answer(200, ""));
        let port = receiver.url.rsplit_once(':').unwrap().1.to_owned();
        let local = json!({"settings": {"url": format!("http://localhost:{port}")}, "max_attempts": 1});
        let made = connector(&app, &receiver, local).await;
        // The work goes on in a process that allows no private addresses.
        app.stop().await;
        let mut strict = app.state.clone();
        let mut settings = (*strict.settings).clone();
        settings.webhooks.allow_private = false;
        strict.settings = Arc::new(settings);
        let mut runner = Runner::new(strict.db.clone(), strict.clock.clone(), 1, 60);
        kontor::connectors::work(&strict, &mut runner);
        let send = || async {
            placed(&app, &[("a", 1)]).await;
            strict.db.write(events::number).await.unwrap();
            kontor::connectors::dispatch(&strict).await.unwrap();
            runner.drain().await.unwrap();
        };
        send().await;
        let traces = app.read(|tx| sql("SELECT coalesce(last_error, '') FROM jobs").load::<Text, String>(tx)).await;
        assert!(traces.len() == 1 && traces[0].contains("not a public address"), "{traces:?}");
        assert!(receiver.names().is_empty());
        // The connector's own permission opens the way.
        let id: kontor::kernel::ids::ConnectorId = made["id"].as_str().unwrap().parse().unwrap();
        let allow = move |tx: &mut kontor::db::Tx| {
            sql("DELETE FROM jobs").execute(tx)?;
            let kept = sql("SELECT doc FROM connectors WHERE id = ?").bind(id);
            let mut doc = kept.first::<kontor::db::DocSql, kontor::db::Doc<Value>>(tx)?.unwrap();
            doc.0["allow_private"] = json!(true);
            sql("UPDATE connectors SET doc = ? WHERE id = ?").bind(doc).bind(id).execute(tx)
        };
        strict.db.write(allow).await.unwrap();
        send().await;
        assert_eq!(receiver.names(), ["a/1"]);
    });
}
