//! What a connector is still to get when it is told of less, who sees what it once got, and what holds up what follows.

use std::sync::{Arc, Mutex};

use kontor::{db::sql, events, http::auth::Audience, kernel::ids::ChannelId};
use serde_json::{Value, json};

use crate::{
    connectors::{append, connector, dispatches, event, path, placed, reaches},
    support::{App, Deed, Gate, Receiver, eventually, on_both, on_both_idle},
};

/// Somebody who may do everything, in one channel only.
async fn limited(
    app: &App,
    channel: ChannelId,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> crate::support::Answer {
    let mut claims = app.claims(Audience::Staff, "eve", "connectors:read connectors:write worklists:write");
    claims.channels = Some(vec![channel]);
    let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
    app.send(method, &format!("/v1/ops{path}"), &[("Authorization", &token)], body).await
}

#[test]
fn what_a_connector_gets_no_longer_does_not_reach_whoever_it_leads_to_now() {
    on_both(|app| async move {
        let (ours, theirs, _) = crate::exports::three_channels(&app).await;
        let fails = Receiver::start(|_, _| Deed::Answer(500, ""));
        let made = connector(&app, &fails, json!({"max_attempts": 1})).await;
        let some = |stream: &str, channel| event(stream, 1, "order.placed.v1", channel, app.now());
        let customer = event("who", 1, "customer.changed.v1", None, app.now());
        append(&app, vec![some("theirs", Some(theirs)), customer, some("ours", Some(ours))]).await;
        reaches(&app, &made, "dead", 3).await;

        let narrow = json!({"channels": [ours]});
        app.ops("PATCH", &path(&made, ""), Some(&narrow)).await.expect(200);
        // Whoever may see the connector now sees of what it got what is theirs.
        let list = limited(&app, ours, "GET", &path(&made, "/dispatches?count=capped"), None).await.expect(200);
        assert_eq!((list["items"].as_array().unwrap().len(), &list["count"]), (1, &json!(1)), "{list}");
        assert_eq!(list["items"][0]["stream"], "ours");
        let work = limited(&app, ours, "GET", "/worklists/dead_dispatches", None).await.expect(200);
        assert_eq!(work["items"].as_array().unwrap().len(), 1, "{work}");
        limited(&app, theirs, "GET", &path(&made, "/dispatches"), None).await.problem(404, "not_found");

        // And may have it lead elsewhere, and send everything again.
        let elsewhere = Receiver::start(|_, _| Deed::Answer(200, ""));
        let settings = json!({"settings": {"url": elsewhere.url}});
        limited(&app, ours, "PATCH", &path(&made, ""), Some(&settings)).await.expect(200);
        let again = json!({"from": 1});
        limited(&app, ours, "POST", &path(&made, "/replay"), Some(&again)).await.expect(202);
        reaches(&app, &made, "delivered", 1).await;
        reaches(&app, &made, "skipped", 2).await;
        for skipped in dispatches(&app, &made, "skipped").await {
            assert_eq!(skipped["reason"], "the connector does not get such events any more", "{skipped}");
        }
        assert_eq!(elsewhere.names(), ["ours/1"]);
        assert_eq!(app.count("SELECT count(*) FROM jobs").await, 0);
    });
}

#[test]
fn a_dispatch_whose_workers_all_died_is_a_dead_letter() {
    on_both(|app| async move {
        let gate = Arc::new(Gate::default());
        let (held, healthy) = (gate.clone(), Arc::new(Mutex::new(false)));
        let asked = healthy.clone();
        let receiver = Receiver::start(move |_, _| match *asked.lock().unwrap() {
            true => Deed::Answer(200, ""),
            false => Deed::Wait(held.clone()),
        });
        let made = connector(&app, &receiver, json!({"max_attempts": 1})).await;
        placed(&app, &[("a", 1), ("a", 2)]).await;
        receiver.got(1).await;
        // Its only try ends without an answer: nobody has said that the dispatch is dead.
        app.clock.advance_seconds(61);
        reaches(&app, &made, "dead", 1).await;
        let dead = dispatches(&app, &made, "dead").await[0].clone();
        assert_eq!(dead["error"], "every try ended without an answer from its worker");
        assert_eq!(app.ops("GET", &path(&made, ""), None).await.expect(200)["backlog"]["dead"], 1);
        gate.open();
        *healthy.lock().unwrap() = true;
        let replay = path(&made, &format!("/dispatches/{}/replay", dead["id"].as_str().unwrap()));
        app.ops("POST", &replay, None).await.expect(200);
        reaches(&app, &made, "delivered", 2).await;
    });
}

#[test]
fn while_a_stretch_is_sent_again_what_follows_waits() {
    on_both_idle(|app| async move {
        let receiver = Receiver::start(|_, _| Deed::Answer(200, ""));
        let made = connector(&app, &receiver, json!({"types": ["return."]})).await;
        let dispatch = async || {
            app.state.db.write(events::number).await.unwrap();
            kontor::connectors::dispatch(&app.state).await.unwrap()
        };
        placed(&app, &[("s", 1)]).await;
        assert_eq!(dispatch().await, 0);
        // From now on it gets what it did not get.
        app.ops("PATCH", &path(&made, ""), Some(&json!({"types": []}))).await.expect(200);
        app.ops("POST", &path(&made, "/replay"), Some(&json!({"from": 1}))).await.expect(202);
        placed(&app, &[("s", 2)]).await;
        assert_eq!(dispatch().await, 0);
        let lag = async || app.ops("GET", &path(&made, ""), None).await.expect(200)["backlog"]["lag_seconds"].clone();
        app.clock.advance_seconds(90);
        assert_eq!(lag().await, 90);
        let again = app.ops("POST", &path(&made, "/replay"), Some(&json!({"from": 1}))).await;
        again.problem(409, "state_conflict");
        // A stretch that is given up is waited for no longer.
        let given_up = "UPDATE jobs SET state = 'dead' WHERE kind = 'connector.replay'";
        app.state.db.write(move |tx| sql(given_up).execute(tx)).await.unwrap();
        assert_eq!(dispatch().await, 1);
        app.leaves_work();
    });
}

#[test]
fn what_was_sent_again_and_failed_then_was_not_gone_past() {
    on_both(|app| async move {
        let healthy = Arc::new(Mutex::new(true));
        let asked = healthy.clone();
        let receiver = Receiver::start(move |_, _| Deed::Answer(if *asked.lock().unwrap() { 200 } else { 500 }, ""));
        let made = connector(&app, &receiver, json!({"max_attempts": 1})).await;
        placed(&app, &[("a", 1), ("a", 2)]).await;
        reaches(&app, &made, "delivered", 2).await;
        *healthy.lock().unwrap() = false;
        app.clock.advance_seconds(1);
        let first = dispatches(&app, &made, "delivered").await[1]["id"].as_str().unwrap().to_owned();
        app.ops("POST", &path(&made, &format!("/dispatches/{first}/replay")), None).await.expect(200);
        reaches(&app, &made, "dead", 1).await;
        let rule = "nothing is delivered past a dead dispatch of its stream";
        let found = async || -> Vec<&str> {
            let found = kontor::doctor::examine(&app.state.db, |_| {}).await.unwrap();
            found.iter().map(|finding| finding.rule).filter(|found| *found == rule).collect()
        };
        assert_eq!(found().await, [""; 0]);
        let (past, at) = ("UPDATE dispatches SET updated_at = ? WHERE state = 'delivered'", app.now().plus_seconds(1));
        app.state.db.write(move |tx| sql(past).bind(at).execute(tx)).await.unwrap();
        assert_eq!(found().await, [rule]);
        app.makes_things_up();
        app.leaves_work();
    });
}

#[test]
fn what_is_sent_again_does_not_get_in_the_way_of_what_arrives() {
    on_both(|app| async move {
        let receiver = Receiver::start(|_, _| Deed::Answer(200, ""));
        let made = connector(&app, &receiver, json!({})).await;
        let streams: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
        let all = |n: i64| streams.iter().map(|stream| (stream.as_str(), n)).collect::<Vec<_>>();
        placed(&app, &all(1)).await;
        reaches(&app, &made, "delivered", 20).await;
        let (from_the_first, replay) = (json!({"from": 1}), path(&made, "/replay"));
        for n in 2..=5 {
            let again = |_| app.ops("POST", &replay, Some(&from_the_first));
            let replays = futures::future::join_all((0..3).map(again));
            let (replays, ()) = futures::future::join(replays, placed(&app, &all(n))).await;
            // One at a time: the others are told so, if it is still being written.
            let begun = replays.into_iter().filter(|replay| replay.status == 202 || replay.status == 409);
            assert_eq!(begun.count(), 3);
            crate::connectors::replayed(&app).await;
        }
        reaches(&app, &made, "delivered", 100).await;
        eventually("nothing is left to do", || async { app.count("SELECT count(*) FROM jobs").await == 0 }).await;
        // A deadlock is run again, after a second in which everybody waits.
        assert_eq!(app.state.db.stats().retries, 0);
        let kept = "SELECT count(*) FROM dispatches WHERE response IS NOT NULL";
        assert!((1..=20).contains(&app.count(kept).await));
    });
}
