//! After a bad night: what a far end has lost is found, linked and sent again, and nothing else is touched.

use std::sync::Arc;

use kontor::{
    connectors,
    jobs::Runner,
    kernel::{Id, ids::OrderId},
};
use serde_json::{Value, json};

use super::{
    conformance::{Double, Fault, Held, Stage, caught_up, nothing_moves, over_each, settled},
    connector, dispatches, path,
    tryton_double::Tryton,
};
use crate::support::{App, Deed, Gate, Receiver, Shop, app::START, eventually, on_both, on_both_idle, within};

pub async fn begin(app: &App, made: &Value, mode: &str) -> Value {
    let body = json!({"from": START, "mode": mode});
    app.ops("POST", &path(made, "/resync"), Some(&body)).await.expect(202)
}

pub async fn shown(app: &App, made: &Value, run: &Value) -> Value {
    let kind = if run["kind"] == "resync" { "resyncs" } else { "reconciliations" };
    app.ops("GET", &path(made, &format!("/{kind}/{}", run["id"].as_str().unwrap())), None).await.expect(200)
}

/// Waits until a run has ended.
pub async fn ended(app: &App, made: &Value, run: &Value) -> Value {
    eventually("the run ends", || async { shown(app, made, run).await["state"] != "running" }).await;
    shown(app, made, run).await
}

/// The same while the clock goes on.
async fn ended_in_time(app: &App, made: &Value, run: &Value) -> Value {
    within(60, "the run ends in time", || async {
        if nothing_moves(app).await {
            app.clock.advance_seconds(61);
        }
        shown(app, made, run).await["state"] != "running"
    })
    .await;
    shown(app, made, run).await
}

pub async fn items(app: &App, made: &Value, run: &Value) -> Vec<Value> {
    let kind = if run["kind"] == "resync" { "resyncs" } else { "reconciliations" };
    let place = path(made, &format!("/{kind}/{}/items?limit=200", run["id"].as_str().unwrap()));
    app.ops("GET", &place, None).await.expect(200)["items"].as_array().unwrap().clone()
}

/// What came of an order.
async fn of(app: &App, made: &Value, run: &Value, order: &Value) -> Value {
    let found = items(app, made, run).await.into_iter().find(|item| item["order_id"] == order["id"]);
    found.unwrap_or_else(|| panic!("{order} is not in the run"))
}

async fn cancel(app: &App, order: &Value) {
    let place = format!("/orders/{}/cancel", order["number"].as_str().unwrap());
    app.ops("POST", &place, Some(&json!({"reason": "a mistake"}))).await.expect(200);
}

fn once(order: &Value, pieces: i64, cancelled: bool) -> Vec<Held> {
    vec![Held { order: order["number"].as_str().unwrap().into(), cancelled, pieces }]
}

#[test]
fn what_a_far_end_has_lost_is_found_and_sent_again_once() {
    over_each(|app, shop, stage| async move {
        let made = stage.connect(&app, json!({})).await;
        let early = shop.order(&[("TEE-M", 1)]).await;
        settled(&app, &made).await;
        stage.double.back_up();
        let (late, gone) = (shop.order(&[("TEE-M", 2), ("MUG", 1)]).await, shop.order(&[("MUG", 1)]).await);
        settled(&app, &made).await;
        cancel(&app, &gone).await;
        settled(&app, &made).await;
        stage.double.go_back();
        stage.double.forget_sessions();
        assert_eq!(stage.of(&late), []);

        if stage.double.is_searchable() {
            let run = begin(&app, &made, "verify").await;
            let told = ended(&app, &made, &run).await;
            assert_eq!(told["counts"], json!({"present": 1, "missing": 1, "not_needed": 1}), "{told}");
            assert_eq!(
                (of(&app, &made, &run, &late).await["state"].as_str(), stage.of(&late)),
                (Some("missing"), vec![])
            );

            let run = begin(&app, &made, "missing").await;
            let told = ended(&app, &made, &run).await;
            assert_eq!(told["counts"], json!({"present": 1, "sent": 1, "not_needed": 1}), "{told}");
            let sent = of(&app, &made, &run, &late).await;
            assert!(sent["reference"].is_string() && sent["number"] == late["number"], "{sent}");
            assert_eq!(stage.of(&gone), []);
            let again = begin(&app, &made, "missing").await;
            let told = ended(&app, &made, &again).await;
            assert_eq!(told["counts"], json!({"present": 2, "not_needed": 1}), "{told}");
        } else {
            for mode in ["verify", "missing"] {
                let body = json!({"from": START, "mode": mode});
                let problem = app.ops("POST", &path(&made, "/resync"), Some(&body)).await;
                assert_eq!(problem.problem(422, "far_end_not_searchable")["pointer"], "/mode");
            }
            let body = json!({"from": START});
            app.ops("POST", &path(&made, "/reconcile"), Some(&body)).await.problem(422, "far_end_not_searchable");
        }
        let run = begin(&app, &made, "force").await;
        let told = ended(&app, &made, &run).await;
        assert_eq!((&told["state"], &told["counts"]), (&json!("done"), &json!({"sent": 3})), "{told}");
        assert_eq!(stage.of(&early), once(&early, 1, false));
        assert_eq!(stage.of(&late), once(&late, 3, false));
        assert!(stage.of(&gone).iter().all(|held| held.cancelled) && stage.of(&gone).len() <= 1);
        assert!(dispatches(&app, &made, "dead").await.is_empty());
        let listed = app.ops("GET", &path(&made, "/resyncs"), None).await.expect(200);
        assert_eq!(listed["items"][0]["id"], run["id"]);
    });
}

#[test]
fn numbers_that_were_given_to_others_lead_nobody_astray() {
    over_each(|app, shop, stage| async move {
        if !stage.double.is_searchable() {
            return;
        }
        let made = stage.connect(&app, json!({})).await;
        shop.order(&[("MUG", 1)]).await;
        settled(&app, &made).await;
        stage.double.back_up();
        let lost = [shop.order(&[("TEE-M", 1)]).await, shop.order(&[("TEE-M", 2)]).await];
        settled(&app, &made).await;
        stage.double.go_back();
        stage.double.forget_sessions();
        // This one gets the numbers of those that were lost: of the sale, of its party.
        let new = shop.order(&[("MUG", 5)]).await;
        settled(&app, &made).await;
        let run = begin(&app, &made, "missing").await;
        let told = ended(&app, &made, &run).await;
        assert_eq!(told["counts"], json!({"present": 2, "sent": 2}), "{told}");
        for (order, pieces) in [(&lost[0], 1), (&lost[1], 2), (&new, 5)] {
            assert_eq!(stage.of(order), once(order, pieces, false));
            let place = path(&made, &format!("/links?kind=sale&object_id={}", order["id"].as_str().unwrap()));
            let links = app.ops("GET", &place, None).await.expect(200);
            assert_eq!(links["items"].as_array().unwrap().len(), 1, "{links}");
        }
        // What is told to be called otherwise is linked again.
        let link = json!({"object": "order", "object_id": new["id"], "kind": "sale", "value": "987654"});
        let place = path(&made, &format!("/links?kind=sale&object_id={}", new["id"].as_str().unwrap()));
        let right = app.ops("GET", &place, None).await.expect(200)["items"][0]["value"].as_str().unwrap().to_owned();
        app.ops("PUT", &path(&made, "/links"), Some(&link)).await.expect(200);
        app.ops("DELETE", &path(&made, &format!("/links?kind=sale&value={right}")), None).await.expect(204);
        let run = begin(&app, &made, "verify").await;
        ended(&app, &made, &run).await;
        let told = of(&app, &made, &run, &new).await;
        assert!(told["state"] == "present" && told["why"].is_string(), "{told}");
        let run = begin(&app, &made, "missing").await;
        ended(&app, &made, &run).await;
        assert_eq!(of(&app, &made, &run, &new).await["state"], "relinked");
        let links = app.ops("GET", &place, None).await.expect(200);
        assert_eq!(
            (links["items"].as_array().unwrap().len(), &links["items"][0]["value"]),
            (1, &json!(right)),
            "{links}"
        );
    });
}

#[test]
fn one_run_at_a_time_waits_while_the_connector_is_paused_and_what_happens_meanwhile_comes_behind_it() {
    over_each(|app, shop, stage| async move {
        let made = stage.connect(&app, json!({})).await;
        stage.double.back_up();
        let (kept, changed) = (shop.order(&[("TEE-M", 1)]).await, shop.order(&[("TEE-M", 2)]).await);
        settled(&app, &made).await;
        stage.double.go_back();
        app.ops("PATCH", &path(&made, ""), Some(&json!({"state": "paused"}))).await.expect(200);
        let mode = if stage.double.is_searchable() { "missing" } else { "force" };
        let run = begin(&app, &made, mode).await;
        let body = json!({"from": START, "mode": "force"});
        let problem = app.ops("POST", &path(&made, "/resync"), Some(&body)).await.problem(409, "resync_running");
        assert_eq!(problem["run"], run["id"]);
        app.ops("POST", &path(&made, "/replay"), Some(&json!({"from": 1}))).await.problem(409, "resync_running");
        // What happens meanwhile waits as well.
        let new = shop.order(&[("MUG", 4)]).await;
        cancel(&app, &changed).await;
        let before = stage.receiver.log.lock().unwrap().len();
        app.ops("PATCH", &path(&made, ""), Some(&json!({"state": "active"}))).await.expect(200);
        let told = ended_in_time(&app, &made, &run).await;
        settled(&app, &made).await;
        assert_eq!((&told["state"], told["orders"].as_i64()), (&json!("done"), Some(2)), "{told}");
        assert_eq!(stage.of(&kept), once(&kept, 1, false));
        assert_eq!(stage.of(&new), once(&new, 4, false));
        let held = stage.of(&changed);
        assert!(held.iter().all(|held| held.cancelled), "{} has {held:?}: {told}", stage.double.adapter());
        if stage.double.adapter() == "webhook" {
            let log = stage.receiver.log.lock().unwrap().clone();
            let told: Vec<Value> = log[before..].iter().map(|request| request.json()).collect();
            let last = told.iter().rfind(|event| event["subject"] == changed["id"]).unwrap();
            assert_eq!(last["type"], "order.cancelled.v1");
        }
    });
}

#[test]
fn whatever_is_lost_between_us_and_the_far_end_nothing_is_doubled_by_a_resync() {
    over_each(|app, shop, stage| async move {
        let made = stage.connect(&app, json!({})).await;
        shop.order(&[("MUG", 1)]).await;
        settled(&app, &made).await;
        stage.double.back_up();
        let order = shop.order(&[("TEE-M", 1), ("MUG", 1)]).await;
        settled(&app, &made).await;
        let mode = if stage.double.is_searchable() { "missing" } else { "force" };
        stage.double.go_back();
        let before = stage.requests();
        let run = begin(&app, &made, mode).await;
        ended(&app, &made, &run).await;
        let each = stage.requests() - before;
        for place in 0..each {
            for fault in [Fault::Cut, Fault::Lost] {
                stage.double.go_back();
                stage.fail(place, fault);
                let run = begin(&app, &made, mode).await;
                let told = ended_in_time(&app, &made, &run).await;
                stage.heal();
                let held = stage.of(&order);
                assert!(held.len() == 1 && held[0].pieces == 2, "{fault:?} of request {place}: {held:?} {told}");
                assert_eq!(of(&app, &made, &run, &order).await["state"], "sent", "{fault:?} of request {place}");
            }
        }
    });
}

#[test]
fn a_far_end_that_does_not_answer_ends_a_run_with_counts_that_are_true() {
    over_each(|app, shop, stage| async move {
        let made = stage.connect(&app, json!({"sending": {"breaker": {"failures": 3, "longest_seconds": 60}}})).await;
        stage.double.back_up();
        let orders = [shop.order(&[("MUG", 1)]).await, shop.order(&[("MUG", 2)]).await];
        settled(&app, &made).await;
        stage.double.go_back();
        for place in 0..2000 {
            stage.fail(place, Fault::Cut);
        }
        let mode = if stage.double.is_searchable() { "missing" } else { "force" };
        let run = begin(&app, &made, mode).await;
        let told = ended_in_time(&app, &made, &run).await;
        assert_eq!(told["counts"], json!({"failed": 2}), "{told}");
        for item in items(&app, &made, &run).await {
            assert!(item["why"].as_str().is_some_and(|why| !why.is_empty()), "{item}");
        }
        stage.heal();
        let run = begin(&app, &made, mode).await;
        let told = ended_in_time(&app, &made, &run).await;
        assert_eq!((&told["state"], &told["counts"]), (&json!("done"), &json!({"sent": 2})), "{told}");
        assert!(orders.iter().all(|order| stage.of(order).len() == 1));
    });
}

#[test]
fn what_the_far_end_refuses_is_told_and_holds_up_nothing_of_the_order() {
    over_each(|app, shop, stage| async move {
        let made = stage.connect(&app, json!({})).await;
        stage.double.back_up();
        let order = shop.order(&[("MUG", 1)]).await;
        settled(&app, &made).await;
        stage.double.go_back();
        stage.double.forget_sessions();
        let searchable = stage.double.is_searchable();
        if searchable {
            // So that the session is open, and what the far end is like is known.
            let run = begin(&app, &made, "verify").await;
            assert_eq!(ended(&app, &made, &run).await["counts"], json!({"missing": 1}));
        }
        // By our key and by what is linked for the batch, by our key for the order alone: the next is the first of the push.
        stage.fail(if searchable { 3 } else { 0 }, Fault::Refused);
        let run = begin(&app, &made, if searchable { "missing" } else { "force" }).await;
        let told = ended_in_time(&app, &made, &run).await;
        stage.heal();
        assert_eq!((&told["state"], &told["counts"]), (&json!("done"), &json!({"failed": 1})), "{told}");
        assert!(of(&app, &made, &run, &order).await["why"].as_str().is_some_and(|why| !why.is_empty()));
        assert_eq!(stage.of(&order), []);
        cancel(&app, &order).await;
        settled(&app, &made).await;
        assert!(dispatches(&app, &made, "dead").await.is_empty());
        assert!(stage.of(&order).iter().all(|held| held.cancelled));
    });
}

#[test]
fn an_order_that_was_erased_is_told_and_a_connector_that_is_removed_takes_its_runs_along() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "7.77", 100)]).await;
        let receiver = Receiver::start(|_, _| Deed::Answer(200, ""));
        let made = connector(&app, &receiver, json!({"types": ["order."]})).await;
        let (order, other) = (shop.order(&[("MUG", 1)]).await, shop.order(&[("MUG", 2)]).await);
        cancel(&app, &order).await;
        settled(&app, &made).await;
        let id: OrderId = order["id"].as_str().unwrap().parse().unwrap();
        // What an erasure leaves behind.
        let erased = super::event(&id.to_string(), 9, "order.erased.v1", None, app.now());
        super::append(&app, vec![erased]).await;
        app.makes_things_up();
        settled(&app, &made).await;
        let run = begin(&app, &made, "force").await;
        ended(&app, &made, &run).await;
        let told = of(&app, &made, &run, &order).await;
        assert!(told["state"] == "failed" && told["why"].as_str().unwrap().contains("erased"), "{told}");
        assert_eq!(of(&app, &made, &run, &other).await["state"], "sent");

        app.ops("PATCH", &path(&made, ""), Some(&json!({"state": "paused"}))).await.expect(200);
        begin(&app, &made, "force").await;
        app.ops("DELETE", &path(&made, ""), None).await.expect(204);
        eventually("its jobs are gone", || async { app.count("SELECT count(*) FROM jobs").await == 0 }).await;
        for table in ["SELECT count(*) FROM connector_runs", "SELECT count(*) FROM connector_run_items"] {
            assert_eq!(app.count(table).await, 0, "{table}");
        }
    });
}

#[test]
fn a_dead_letter_in_the_way_is_told_and_a_wrong_stretch_is_refused() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "7.77", 100)]).await;
        let receiver =
            Receiver::start(|_, before| if before == 0 { Deed::Answer(422, "") } else { Deed::Answer(200, "") });
        let made = connector(&app, &receiver, json!({"types": ["order."]})).await;
        let order = shop.order(&[("MUG", 1)]).await;
        super::reaches(&app, &made, "dead", 1).await;
        let run = begin(&app, &made, "force").await;
        ended(&app, &made, &run).await;
        let told = of(&app, &made, &run, &order).await;
        assert!(told["state"] == "failed" && told["why"].as_str().unwrap().contains("dead letter"), "{told}");
        let dead = dispatches(&app, &made, "dead").await[0]["id"].as_str().unwrap().to_owned();
        app.ops("POST", &path(&made, &format!("/dispatches/{dead}/replay")), None).await.expect(200);
        settled(&app, &made).await;

        let post = |body: Value| {
            let (app, place) = (app.clone(), path(&made, "/resync"));
            async move { app.ops("POST", &place, Some(&body)).await }
        };
        let later = app.now().plus_seconds(60);
        post(json!({"from": later, "mode": "force"})).await.problem(422, "invalid_value");
        post(json!({"from": START, "mode": "all"})).await.problem(422, "invalid_value");
        post(json!({"from": START})).await.problem(422, "missing_field");
        app.ops("PATCH", &path(&made, ""), Some(&json!({"direction": "in"}))).await.expect(200);
        post(json!({"from": START, "mode": "force"})).await.problem(409, "state_conflict");
        let nightly = json!({"reconcile": {"nightly": true}});
        let problem = app.ops("PATCH", &path(&made, ""), Some(&nightly)).await.problem(422, "far_end_not_searchable");
        assert_eq!(problem["pointer"], "/reconcile/nightly");
    });
}

/// A runner of a worker of its own.
fn runner(app: &App) -> Runner {
    let mut runner = Runner::new(app.state.db.clone(), app.clock.clone(), 4, 60).sharing(4);
    connectors::work(&app.state, &mut runner);
    runner
}

#[test]
fn a_worker_that_dies_in_the_middle_leaves_what_another_goes_on_with() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE-M", "19.99", 100), ("MUG", "7.77", 100)]).await;
        let double = Arc::new(Tryton::new());
        let (gate, behind) = (Arc::new(Gate::default()), double.clone());
        let held = gate.clone();
        let count = Arc::new(std::sync::Mutex::new(None::<usize>));
        let left = count.clone();
        let receiver = Receiver::start(move |request, _| {
            let (status, body) = behind.answer(request);
            let mut left = left.lock().unwrap();
            match left.as_mut() {
                // It was done, and whoever asked is dead before the answer comes.
                Some(0) => {
                    *left = None;
                    drop(left);
                    held.wait();
                    Deed::HangUp
                }
                Some(more) => {
                    *more -= 1;
                    Deed::Say(status, body)
                }
                None => Deed::Say(status, body),
            }
        });
        let url = receiver.url.trim_end_matches("/hook");
        let body = json!({"name": "ERP", "adapter": "tryton", "settings": double.settings(url), "secrets": double.secrets(),
            "types": ["order."], "direction": "out"});
        let made = app.ops("POST", "/connectors", Some(&body)).await.expect(201);
        double.back_up();
        let orders = [shop.order(&[("MUG", 1)]).await, shop.order(&[("TEE-M", 2)]).await];
        let deliver = async || {
            app.state.db.write(kontor::events::number).await.unwrap();
            connectors::dispatch(&app.state).await.unwrap();
            runner(&app).drain().await.unwrap();
        };
        deliver().await;
        caught_up(&app, &made).await;
        assert_eq!(double.holds().len(), 2);
        for place in 0..24 {
            double.go_back();
            double.forget_sessions();
            *count.lock().unwrap() = Some(place);
            let run = begin(&app, &made, "missing").await;
            {
                let dying = runner(&app);
                let working = tokio::spawn(async move { dying.drain().await });
                eventually("it is in the middle", || async {
                    count.lock().unwrap().is_none() || working.is_finished()
                })
                .await;
                working.abort();
                working.await.ok();
            }
            *count.lock().unwrap() = None;
            for _ in 0..4 {
                app.clock.advance_seconds(61);
                runner(&app).drain().await.unwrap();
            }
            let told = shown(&app, &made, &run).await;
            assert_eq!((&told["state"], told["orders"].as_i64()), (&json!("done"), Some(2)), "{place}: {told}");
            let numbers: Vec<String> = double.holds().into_iter().map(|held| held.order).collect();
            let mut wanted: Vec<&str> = orders.iter().map(|order| order["number"].as_str().unwrap()).collect();
            let mut there: Vec<&str> = numbers.iter().map(String::as_str).collect();
            wanted.sort_unstable();
            there.sort_unstable();
            assert_eq!(there, wanted, "{place}");
        }
        gate.open();
        app.leaves_work();
    });
}

#[test]
fn both_sides_are_compared_and_what_differs_waits_for_somebody() {
    over_each(|app, shop, stage| async move {
        if !stage.double.is_searchable() {
            return;
        }
        let made = stage.connect(&app, json!({})).await;
        let [dear, revived] = [shop.order(&[("MUG", 1)]).await, shop.order(&[("MUG", 2)]).await];
        let same = shop.order(&[("MUG", 3)]).await;
        settled(&app, &made).await;
        stage.double.back_up();
        cancel(&app, &revived).await;
        let lost = shop.order(&[("TEE-M", 1)]).await;
        settled(&app, &made).await;
        stage.double.go_back();
        stage.double.forget_sessions();
        stage.double.change_total(dear["number"].as_str().unwrap());
        let nobodys: OrderId = Id::new();
        stage.double.make_unknown(&nobodys.to_string());
        let body = json!({"from": START, "to": "2026-03-02T12:00:00Z"});
        let run = app.ops("POST", &path(&made, "/reconcile"), Some(&body)).await.expect(202);
        let told = ended(&app, &made, &run).await;
        assert_eq!((&told["state"], told["differences"].as_i64()), (&json!("done"), Some(4)), "{told}");
        let dear_told = of(&app, &made, &run, &dear).await;
        assert_eq!((&dear_told["state"], &dear_told["mend"]), (&json!("total_differs"), &json!("correct_there")));
        assert_eq!((&dear_told["total_here"], &dear_told["total_there"]["amount"]), (&dear["total"], &json!("1.23")));
        assert_eq!(of(&app, &made, &run, &revived).await["mend"], "cancel_there");
        assert_eq!(of(&app, &made, &run, &lost).await["mend"], "resync_missing");
        assert_eq!(of(&app, &made, &run, &same).await["state"], "same");
        let unknown = of(&app, &made, &run, &json!({"id": nobodys.to_string()})).await;
        assert_eq!((&unknown["state"], &unknown["mend"]), (&json!("unknown_there"), &json!("look_there")));
        // Nothing was changed there, and somebody is told.
        assert_eq!(stage.of(&lost), []);
        let waiting = || async {
            let list = app.ops("GET", "/worklists/reconciliation_differences", None).await.expect(200);
            list["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(waiting().await, [run["id"].clone()]);

        let mended = begin(&app, &made, "missing").await;
        ended(&app, &made, &mended).await;
        assert_eq!(stage.of(&lost), once(&lost, 1, false));
        // What is cancelled here, and was not there any more, is so again.
        assert_eq!(stage.of(&revived), once(&revived, 2, true));
        // A later one over the same stretch takes its place.
        let again = app.ops("POST", &path(&made, "/reconcile"), Some(&body)).await.expect(202);
        let told = ended(&app, &made, &again).await;
        assert_eq!(told["differences"], 2, "{told}");
        assert_eq!(waiting().await, [again["id"].clone()]);
        let close = path(&made, &format!("/reconciliations/{}/close", again["id"].as_str().unwrap()));
        let closed = app.ops("POST", &close, Some(&json!({"reason": "corrected there"}))).await.expect(200);
        assert_eq!(closed["reason"], "corrected there");
        app.ops("POST", &close, Some(&json!({"reason": "twice"}))).await.problem(409, "state_conflict");
        assert!(waiting().await.is_empty());
    });
}

#[test]
fn a_reconciliation_begins_by_itself_once_a_night_where_that_is_wanted() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "7.77", 100), ("TEE-M", "19.99", 100)]).await;
        let stage = Stage::new(Arc::new(Tryton::new()));
        let made = stage.connect(&app, json!({})).await;
        shop.order(&[("MUG", 1)]).await;
        settled(&app, &made).await;
        let runs = || async {
            app.ops("GET", &path(&made, "/reconciliations"), None).await.expect(200)["items"]
                .as_array()
                .unwrap()
                .clone()
        };
        app.clock.advance_seconds(60);
        connectors::runs::begin_due(&app.state).await.unwrap();
        assert!(runs().await.is_empty());
        let wrong = json!({"reconcile": {"nightly": true, "hour": 24}});
        let problem = app.ops("PATCH", &path(&made, ""), Some(&wrong)).await.problem(422, "invalid_value");
        assert_eq!(problem["pointer"], "/reconcile/hour");
        let nightly = json!({"reconcile": {"nightly": true, "hour": 3}});
        app.ops("PATCH", &path(&made, ""), Some(&nightly)).await.expect(200);
        for _ in 0..2 {
            connectors::runs::begin_due(&app.state).await.unwrap();
            eventually("it has ended", || async {
                let all = runs().await;
                all.len() == 1 && all[0]["state"] == "done"
            })
            .await;
        }
        assert_eq!(
            (&runs().await[0]["counts"], &runs().await[0]["begun_by"]),
            (&json!({"same": 1}), &json!("system:connectors"))
        );
        app.clock.advance_seconds(86_400);
        connectors::runs::begin_due(&app.state).await.unwrap();
        eventually("the next night", || async {
            runs().await.iter().filter(|run| run["state"] == "done").count() == 2
        })
        .await;
    });
}
