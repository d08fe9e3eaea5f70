//! The polling feeds: nothing lost, nothing repeated, each stream in order.

use std::collections::HashMap;

use diesel::sql_types::BigInt;
use futures::future::join_all;
use kontor::{
    db::sql,
    events::{self, NewEvent},
    http::auth::Audience,
    kernel::{Actor, Scope, ids::ChannelId},
};
use serde_json::{Value, json};

use crate::{
    connectors::{append, event},
    support::{Answer, App, eventually, on_both},
};

/// Two channels and a test channel.
pub async fn three_channels(app: &App) -> (ChannelId, ChannelId, ChannelId) {
    let entity = json!({"code": "acme", "name": "Acme GmbH", "country": "DE", "time_zone": "Europe/Berlin"});
    let entity = app.ops("POST", "/legal-entities", Some(&entity)).await.expect(201);
    let mut ids = Vec::new();
    for (code, test) in [("de", false), ("at", false), ("try", true)] {
        let channel = json!({
            "code": code, "name": code, "legal_entity_id": entity["id"], "test": test,
            "settings": {
                "currencies": ["EUR"], "locales": ["de-DE"], "countries": ["DE"], "time_zone": "Europe/Berlin",
                "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"},
                "payment_methods": ["manual"]
            }
        });
        let made = app.ops("POST", "/channels", Some(&channel)).await.expect(201);
        ids.push(made["id"].as_str().unwrap().parse().unwrap());
    }
    (ids[0], ids[1], ids[2])
}

/// Waits until so many events can be read.
pub async fn numbered(app: &App, count: i64) {
    eventually("numbered", || async { app.read(|tx| Ok(events::state(tx)?.last)).await >= count }).await;
}

pub async fn call(app: &App, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::FeedsRead]));
    app.send(method, &format!("/v1/integration{path}"), &[("Authorization", &token)], body).await
}

pub async fn poll(app: &App, query: &str) -> Value {
    call(app, "GET", &format!("/feeds/{query}"), None).await.expect(200)
}

pub fn names(page: &Value) -> Vec<String> {
    let name = |item: &Value| format!("{}/{}", item["stream"].as_str().unwrap(), item["data"]["n"]);
    page["items"].as_array().unwrap().iter().map(name).collect()
}

pub fn positions(page: &Value) -> Vec<i64> {
    page["items"].as_array().unwrap().iter().map(|item| item["position"].as_i64().unwrap()).collect()
}

pub async fn orders(app: &App, list: &[(&str, i64)]) {
    let before = app.read(|tx| Ok(events::state(tx)?.last)).await;
    let now = app.now();
    append(app, list.iter().map(|(stream, n)| event(stream, *n, "order.placed.v1", None, now)).collect()).await;
    numbered(app, before + i64::try_from(list.len()).unwrap()).await;
}

pub async fn ack(app: &App, page: &Value, items: Value) -> Answer {
    let body = json!({"consumer": "erp", "lease": page["lease"], "items": items});
    call(app, "POST", "/feeds/orders/ack", Some(&body)).await
}

#[test]
fn a_cursor_walks_the_log_in_order_and_narrow_feeds_hold_their_types() {
    on_both(|app| async move {
        orders(&app, &[("a", 1), ("b", 1), ("a", 2)]).await;
        append(&app, vec![event("s", 1, "stock.changed.v1", None, app.now())]).await;
        numbered(&app, 4).await;
        let first = poll(&app, "orders?limit=2").await;
        assert_eq!((names(&first), &first["has_more"]), (vec!["a/1".into(), "b/1".into()], &json!(true)));
        let cursor = first["next_cursor"].as_str().unwrap();
        let second = poll(&app, &format!("orders?after={cursor}")).await;
        assert_eq!((names(&second), &second["has_more"]), (vec!["a/2".to_owned()], &json!(false)));
        let cursor = second["next_cursor"].as_str().unwrap();
        assert!(names(&poll(&app, &format!("orders?after={cursor}")).await).is_empty());
        assert_eq!(names(&poll(&app, "stock").await), ["s/1"]);
        assert_eq!(names(&poll(&app, "all").await).len(), 4);
        assert!(names(&poll(&app, "orders?types=payment.").await).is_empty());
        let csv = call(&app, "GET", "/feeds/orders?format=csv&limit=1", None).await;
        assert!(csv.header("content-type").unwrap().starts_with("text/csv"));
        assert!(csv.header("kontor-next-cursor").is_some());
        let lines: Vec<&str> = csv.text.lines().collect();
        assert_eq!(lines[0], "position,id,type,time,stream,aggregate_id,aggregate_version,channel,attempt,data");
        assert!(lines.len() == 2 && lines[1].ends_with(r#","{""n"":1}""#), "{}", csv.text);
        call(&app, "GET", "/feeds/nothing", None).await.problem(404, "not_found");
        call(&app, "GET", "/feeds/orders?after=x", None).await.problem(400, "invalid_cursor");
        call(&app, "GET", "/feeds/orders?types=stock.", None).await.problem(400, "invalid_query");
        call(&app, "GET", "/feeds/orders?limit=0", None).await.problem(400, "invalid_query");
        call(&app, "GET", "/feeds/orders?wait=21", None).await.problem(400, "invalid_query");
        call(&app, "GET", "/feeds/orders?view=newest", None).await.problem(400, "invalid_query");
        call(&app, "GET", "/feeds/orders?max_attempts=3", None).await.problem(400, "invalid_query");
        call(&app, "GET", "/feeds/orders?consumer=erp&max_attempts=0", None).await.problem(400, "invalid_query");
        // What is not there any more keeps what was told of it.
        assert_eq!(names(&poll(&app, "orders?view=current").await), ["a/1", "b/1", "a/2"]);
    });
}

#[test]
fn a_cursor_of_another_time_is_told_so() {
    on_both(|app| async move {
        orders(&app, &[("a", 1), ("a", 2), ("a", 3)]).await;
        let cursor = poll(&app, "orders?limit=1").await["next_cursor"].as_str().unwrap().to_owned();
        poll(&app, "orders?consumer=erp&limit=1").await;
        app.state.db.write(|tx| events::purge(tx, 2, 2)).await.unwrap();
        let told =
            call(&app, "GET", &format!("/feeds/orders?after={cursor}"), None).await.problem(410, "cursor_expired");
        assert!(told["snapshot"].as_str().unwrap().starts_with("/v1/integration/"));
        call(&app, "GET", "/feeds/orders?consumer=erp", None).await.problem(410, "cursor_expired");
        assert_eq!(names(&poll(&app, "orders?after=oldest").await), ["a/3"]);
        let newer = poll(&app, "orders?after=latest").await["next_cursor"].as_str().unwrap().to_owned();
        app.state.db.write(|tx| sql("UPDATE log_state SET epoch = '2'").execute(tx)).await.unwrap();
        call(&app, "GET", &format!("/feeds/orders?after={newer}"), None).await.problem(409, "log_epoch_changed");
        let seek = call(&app, "POST", "/feeds/orders/consumers/erp/seek", Some(&json!({"to": "oldest"}))).await;
        assert_eq!(seek.expect(200)["behind"], 1);
        assert_eq!(names(&poll(&app, "orders?consumer=erp").await), ["a/3"]);
    });
}

#[test]
fn what_is_not_acknowledged_is_handed_out_again_in_order() {
    on_both(|app| async move {
        orders(&app, &[("a", 1), ("b", 1), ("a", 2), ("c", 1)]).await;
        let first = poll(&app, "orders?consumer=erp&limit=2").await;
        assert_eq!(names(&first), ["a/1", "b/1"]);
        // What follows an event that is out elsewhere waits; other streams flow.
        let second = poll(&app, "orders?consumer=erp").await;
        assert_eq!(names(&second), ["c/1"]);
        let place = positions(&first);
        let done = ack(&app, &first, json!([place[0], first["items"][1]["id"]])).await.expect(200);
        assert!(done["items"].as_array().unwrap().iter().all(|item| item["outcome"] == "acked"), "{done}");
        let third = poll(&app, "orders?consumer=erp&lease_seconds=30").await;
        assert_eq!((names(&third), &third["items"][0]["attempt"]), (vec!["a/2".to_owned()], &json!(1)));
        app.clock.advance_seconds(31);
        let again = poll(&app, "orders?consumer=erp").await;
        assert_eq!((names(&again), &again["items"][0]["attempt"]), (vec!["a/2".to_owned()], &json!(2)));
        ack(&app, &third, json!(positions(&third))).await.problem(409, "lease_lost");
        let mixed = ack(&app, &again, json!([positions(&again)[0], place[0], 99])).await.expect(200);
        let outcomes: Vec<&str> =
            mixed["items"].as_array().unwrap().iter().map(|item| item["outcome"].as_str().unwrap()).collect();
        assert_eq!(outcomes, ["acked", "already_done", "unknown"]);
        ack(&app, &second, Value::Null).await.expect(200);
        let listed = call(&app, "GET", "/feeds/orders/consumers", None).await.expect(200);
        assert_eq!((&listed["items"][0]["leased"], &listed["items"][0]["behind"]), (&json!(0), &json!(0)));
        assert!(poll(&app, "orders?consumer=erp").await["lease"].is_null());
        // A consumer's name stands for what it reads.
        call(&app, "GET", "/feeds/orders?consumer=erp&types=order.", None).await.problem(409, "state_conflict");
        call(&app, "GET", "/feeds/all?consumer=erp", None).await.problem(409, "state_conflict");
    });
}

#[test]
fn an_item_set_aside_parks_its_stream_and_the_others_flow() {
    on_both(|app| async move {
        orders(&app, &[("a", 1), ("b", 1), ("a", 2), ("b", 2)]).await;
        let page = poll(&app, "orders?consumer=erp&limit=3").await;
        let place = positions(&page);
        let nack = json!({"consumer": "erp", "lease": page["lease"], "items": [place[0]], "reason": "unknown article"});
        let told = call(&app, "POST", "/feeds/orders/nack", Some(&nack)).await.expect(200);
        assert_eq!((&told["items"][0]["outcome"], &told["taken_back"]), (&json!("parked"), &json!([place[2]])));
        let tried = ack(&app, &page, json!([place[1], place[2]])).await.expect(200);
        assert_eq!(
            (&tried["items"][0]["outcome"], &tried["items"][1]["outcome"]),
            (&json!("acked"), &json!("stream_parked"))
        );
        orders(&app, &[("a", 3), ("b", 3)]).await;
        let flowing = poll(&app, "orders?consumer=erp").await;
        assert_eq!(names(&flowing), ["b/2", "b/3"]);
        ack(&app, &flowing, Value::Null).await.expect(200);
        let parked = call(&app, "GET", "/feeds/orders/parked?consumer=erp&count=capped", None).await.expect(200);
        assert_eq!(parked["count"], 1);
        for (query, count) in [("limit=1", Value::Null), ("limit=1&count=capped", json!(1))] {
            let listed = call(&app, "GET", &format!("/feeds/orders/consumers?{query}"), None).await.expect(200);
            assert_eq!(listed["count"], count);
        }
        let item = &parked["items"][0];
        assert_eq!((&item["reason"], &item["waiting_behind"]), (&json!("unknown article"), &json!(2)));
        let to = |what: &str| format!("/feeds/orders/parked/{}/{what}", place[0]);
        call(&app, "POST", &to("replay"), Some(&json!({"consumer": "erp"}))).await.expect(204);
        let released = poll(&app, "orders?consumer=erp&limit=2").await;
        assert_eq!(names(&released), ["a/1", "a/2"]);
        let nack = json!({"consumer": "erp", "lease": released["lease"], "items": [place[0]], "reason": "still"});
        call(&app, "POST", "/feeds/orders/nack", Some(&nack)).await.expect(200);
        call(&app, "POST", &to("skip"), Some(&json!({"consumer": "erp", "reason": "by hand"}))).await.expect(204);
        call(&app, "POST", &to("skip"), Some(&json!({"consumer": "erp", "reason": "twice"})))
            .await
            .problem(409, "state_conflict");
        assert_eq!(names(&poll(&app, "orders?consumer=erp").await), ["a/2", "a/3"]);
        let skipped = call(&app, "GET", "/feeds/orders/parked?consumer=erp&state=skipped", None).await.expect(200);
        assert_eq!(skipped["items"][0]["reason"], "by hand (client:erp)");
    });
}

#[test]
fn pollers_at_once_share_a_consumer_and_never_split_a_stream() {
    on_both(|app| async move {
        let streams: Vec<String> = (0..10).map(|stream| format!("s{stream}")).collect();
        for n in 1..=6 {
            let round: Vec<(&str, i64)> = streams.iter().map(|stream| (stream.as_str(), n)).collect();
            orders(&app, &round).await;
        }
        let pollers = (0..6).map(|_| {
            let app = app.clone();
            async move {
                let mut seen = Vec::new();
                loop {
                    let page = poll(&app, "orders?consumer=erp&limit=4").await;
                    let got = names(&page);
                    if got.is_empty() {
                        let listed = call(&app, "GET", "/feeds/orders/consumers", None).await.expect(200);
                        let state = &listed["items"][0];
                        if state["behind"] == 0 && state["leased"] == 0 && state["waiting"] == 0 {
                            return seen;
                        }
                        continue;
                    }
                    let outcome = ack(&app, &page, json!(positions(&page))).await.expect(200);
                    assert!(outcome["items"].as_array().unwrap().iter().all(|item| item["outcome"] == "acked"));
                    let at = std::time::Instant::now();
                    seen.extend(got.into_iter().map(|name| (at, name)));
                }
            }
        });
        let mut seen: Vec<_> = join_all(pollers).await.into_iter().flatten().collect();
        assert_eq!(seen.len(), 60);
        seen.sort_by_key(|(at, _)| *at);
        for stream in &streams {
            let prefix = format!("{stream}/");
            let order: Vec<&str> = seen.iter().filter_map(|(_, name)| name.strip_prefix(&prefix)).collect();
            assert_eq!(order, ["1", "2", "3", "4", "5", "6"]);
        }
    });
}

#[test]
fn many_writers_and_a_polling_reader_never_lose_repeat_or_reorder() {
    on_both(|app| async move {
        const WRITERS: i64 = 16;
        const EACH: i64 = 12;
        let writers = (0..WRITERS).map(|writer| {
            let app = app.clone();
            async move {
                for turn in 0..EACH {
                    // Four streams that four writers each fight over, and one of the writer's own.
                    let streams = [format!("shared{}", (writer + turn) % 4), format!("own{writer}")];
                    let (pause, now) = (rand::random_range(0..8u64), app.now());
                    let ids: Vec<_> = streams.iter().map(|_| kontor::kernel::ids::EventId::new()).collect();
                    let write = move |tx: &mut kontor::db::Tx| {
                        let mut list: Vec<NewEvent> = Vec::new();
                        for (stream, id) in streams.iter().zip(&ids) {
                            // The aggregate's guarded update, which orders the writers of a stream.
                            let bump = "INSERT INTO versions (name, version) VALUES (?, 1) \
                                        ON CONFLICT (name) DO UPDATE SET version = versions.version + 1 RETURNING version";
                            let n = sql(bump).bind(stream.as_str()).first::<BigInt, i64>(tx)?.unwrap();
                            list.push(NewEvent { id: *id, ..event(stream, n, "order.placed.v1", None, now) });
                        }
                        events::append(tx, &Actor::System("test"), now, list)?;
                        #[allow(clippy::disallowed_methods, reason = "a commit that comes late is what is tested")]
                        std::thread::sleep(std::time::Duration::from_millis(pause));
                        Ok(())
                    };
                    app.state.db.write(write).await.unwrap();
                }
            }
        });
        let reader = async {
            let (mut cursor, mut seen) = (String::from("oldest"), Vec::new());
            while seen.len() < usize::try_from(WRITERS * EACH * 2).unwrap() {
                let page = poll(&app, &format!("orders?after={cursor}&limit=20&wait=5")).await;
                cursor = page["next_cursor"].as_str().unwrap().to_owned();
                seen.extend(page["items"].as_array().unwrap().clone());
            }
            // Nothing comes after the last.
            let rest = poll(&app, &format!("orders?after={cursor}")).await;
            assert!(names(&rest).is_empty());
            seen
        };
        let (_, seen) = futures::future::join(join_all(writers), reader).await;
        let mut last: HashMap<String, i64> = HashMap::new();
        let mut place = 0;
        for item in &seen {
            let (stream, n) = (item["stream"].as_str().unwrap().to_owned(), item["data"]["n"].as_i64().unwrap());
            let position = item["position"].as_i64().unwrap();
            assert!(position > place);
            place = position;
            assert_eq!(n, last.insert(stream.clone(), n).unwrap_or(0) + 1, "{stream}");
        }
    });
}

#[test]
fn a_key_sees_its_channels_only_and_test_channels_are_kept_out() {
    on_both(|app| async move {
        let (ours, theirs, test) = three_channels(&app).await;
        let some = |stream: &str, channel| event(stream, 1, "order.placed.v1", channel, app.now());
        append(
            &app,
            vec![some("ours", Some(ours)), some("theirs", Some(theirs)), some("test", Some(test)), some("none", None)],
        )
        .await;
        numbered(&app, 4).await;
        assert_eq!(names(&poll(&app, "orders").await), ["ours/1", "theirs/1", "none/1"]);
        assert_eq!(names(&poll(&app, "orders?include_test=true").await).len(), 4);
        let key = json!({"name": "ERP", "scopes": ["feeds:read"], "channels": [ours, test]});
        let key = app.ops("POST", "/api-keys", Some(&key)).await.expect(201);
        let token = format!("Bearer {}", key["key"].as_str().unwrap());
        for (query, expected) in [("orders", 1), ("orders?include_test=true", 2), ("orders?consumer=x", 1)] {
            let answer =
                app.send("GET", &format!("/v1/integration/feeds/{query}"), &[("Authorization", &token)], None).await;
            assert_eq!(names(&answer.expect(200)).len(), expected, "{query}");
        }
        // Consumers are their client's.
        let body = json!({"consumer": "x", "lease": "lease_x"});
        call(&app, "POST", "/feeds/orders/ack", Some(&body)).await.problem(404, "not_found");
        let none = format!("Bearer {}", app.token(Audience::Client, "erp", &[]));
        app.send("GET", "/v1/integration/feeds/orders", &[("Authorization", &none)], None)
            .await
            .problem(403, "scope_missing");
    });
}

#[test]
fn a_waiting_poll_is_answered_by_the_next_event_and_an_idle_one_costs_few_statements() {
    on_both(|app| async move {
        let write = async {
            // The poll has looked and found nothing, whenever that was.
            let seen = app.state.db.stats().statements;
            eventually("it waits", || async { app.state.db.stats().statements > seen }).await;
            append(&app, vec![event("a", 1, "order.placed.v1", None, app.now())]).await;
        };
        let begun = std::time::Instant::now();
        let (page, ()) = futures::future::join(poll(&app, "orders?consumer=erp&wait=20"), write).await;
        assert_eq!(names(&page), ["a/1"]);
        assert!(begun.elapsed() < std::time::Duration::from_secs(5));
        ack(&app, &page, Value::Null).await.expect(200);
        assert!(names(&poll(&app, "orders?consumer=erp").await).is_empty());
    });
}

/// Makes an API key, and gives its id and what it sends.
async fn api_key(app: &App, body: Value) -> (Value, String) {
    let made = app.ops("POST", "/api-keys", Some(&body)).await.expect(201);
    (made["id"].clone(), format!("Bearer {}", made["key"].as_str().unwrap()))
}

#[test]
fn a_consumer_is_handed_over_when_its_key_is_renewed() {
    on_both(|app| async move {
        let (channel, ..) = three_channels(&app).await;
        let scopes = json!(["feeds:read"]);
        let (old, old_token) = api_key(&app, json!({"name": "ERP", "scopes": scopes})).await;
        let (new, new_token) = api_key(&app, json!({"name": "ERP, renewed", "scopes": scopes})).await;
        let (narrow, _) = api_key(&app, json!({"name": "narrow", "scopes": scopes, "channels": [channel]})).await;
        let (deaf, _) = api_key(&app, json!({"name": "deaf", "scopes": ["orders:read"]})).await;
        orders(&app, &[("a", 1), ("b", 1), ("a", 2)]).await;
        let feed = async |token: &str, method: &str, rest: &str, body: Option<&Value>| {
            let path = format!("/v1/integration/feeds/orders{rest}");
            app.send(method, &path, &[("Authorization", token)], body).await
        };
        let poll = "?consumer=erp&types=order.placed";
        let first = feed(&old_token, "GET", poll, None).await.expect(200);
        assert_eq!(names(&first), ["a/1", "b/1", "a/2"]);
        let body = json!({"consumer": "erp", "lease": first["lease"], "items": [positions(&first)[1]]});
        feed(&old_token, "POST", "/ack", Some(&body)).await.expect(200);

        let list = app.ops("GET", "/consumers", None).await.expect(200);
        let [kept] = list["items"].as_array().unwrap().as_slice() else { panic!("{list}") };
        assert_eq!(
            (&kept["client"], &kept["key_name"], &kept["name"], &kept["leased"], &kept["reads"]),
            (&old, &json!("ERP"), &json!("erp"), &json!(2), &json!("orders types=order.placed"))
        );
        app.ops("DELETE", &format!("/api-keys/{}", old.as_str().unwrap()), None).await.expect(204);
        let list = app.ops("GET", "/consumers", None).await.expect(200);
        assert!(list["items"][0]["key_revoked_at"].is_string(), "{list}");

        let path = format!("/consumers/{}", kept["id"].as_str().unwrap());
        let hand =
            async |to: &Value| app.ops("POST", &format!("{path}/hand-over"), Some(&json!({"api_key": to}))).await;
        for (to, status, code) in
            [(&old, 404, "not_found"), (&deaf, 409, "state_conflict"), (&narrow, 409, "state_conflict")]
        {
            assert_eq!(hand(to).await.problem(status, code)["pointer"], "/api_key");
        }
        let handed = hand(&new).await.expect(200);
        assert_eq!((&handed["client"], &handed["leased"], &handed["position"]), (&new, &json!(2), &kept["position"]));
        // It goes on where it stood: with what the former key had in hand, and with what comes.
        orders(&app, &[("b", 2)]).await;
        assert_eq!(names(&feed(&new_token, "GET", poll, None).await.expect(200)), ["b/2"]);
        let rest = json!({"consumer": "erp", "lease": first["lease"]});
        let acked = feed(&new_token, "POST", "/ack", Some(&rest)).await.expect(200);
        assert_eq!(acked["items"].as_array().unwrap().len(), 2);

        // Two of one name: one has to go first.
        let (third, third_token) = api_key(&app, json!({"name": "third", "scopes": scopes})).await;
        feed(&third_token, "GET", "?consumer=erp", None).await.expect(200);
        hand(&third).await.problem(409, "duplicate");
        let list = app.ops("GET", "/consumers", None).await.expect(200);
        let own = list["items"].as_array().unwrap().iter().find(|one| one["client"] == third).unwrap();
        app.ops("DELETE", &format!("/consumers/{}", own["id"].as_str().unwrap()), None).await.expect(204);
        hand(&third).await.expect(200);
        assert!(names(&feed(&third_token, "GET", poll, None).await.expect(200)).is_empty());
        app.ops("DELETE", "/consumers/cons_01h455vb4pex5vsknk084sn02q", None).await.problem(404, "not_found");
    });
}

#[test]
fn a_consumer_with_customers_in_hand_is_handed_to_those_who_may_read_them() {
    on_both(|app| async move {
        let (_, with) = api_key(&app, json!({"name": "CRM", "scopes": ["feeds:read", "customers:read"]})).await;
        let (plain, _) = api_key(&app, json!({"name": "plain", "scopes": ["feeds:read"]})).await;
        app.ops("POST", "/customers", Some(&json!({"name": "Ada"}))).await.expect(201);
        numbered(&app, 1).await;
        let poll = "/v1/integration/feeds/all?consumer=crm";
        let page = app.send("GET", poll, &[("Authorization", &with)], None).await.expect(200);
        assert_eq!(page["items"].as_array().unwrap().len(), 1);
        let list = app.ops("GET", "/consumers", None).await.expect(200);
        let path = format!("/consumers/{}/hand-over", list["items"][0]["id"].as_str().unwrap());
        let body = json!({ "api_key": plain });
        let refused = app.ops("POST", &path, Some(&body)).await.problem(409, "state_conflict");
        assert!(refused["detail"].as_str().unwrap().contains("customers:read"), "{refused}");
        let ack = json!({"consumer": "crm", "lease": page["lease"]});
        app.send("POST", "/v1/integration/feeds/all/ack", &[("Authorization", &with)], Some(&ack)).await.expect(200);
        app.ops("POST", &path, Some(&body)).await.expect(200);
    });
}

#[test]
fn a_seek_changes_what_is_read_only_where_it_says_so() {
    on_both(|app| async move {
        let reads = async |to: Value| {
            let seek = call(&app, "POST", "/feeds/orders/consumers/erp/seek", Some(&to)).await.expect(200);
            seek["reads"].as_str().unwrap().to_owned()
        };
        call(&app, "GET", "/feeds/orders?consumer=erp&types=order.placed,payment.&include_test=true", None)
            .await
            .expect(200);
        let own = "orders types=order.placed,payment. include_test";
        assert_eq!(reads(json!({"to": "oldest"})).await, own);
        assert_eq!(reads(json!({"to": "latest", "include_test": false})).await, "orders types=order.placed,payment.");
        assert_eq!(reads(json!({"to": "latest", "types": "order."})).await, "orders types=order.");
        assert_eq!(reads(json!({"to": "latest", "include_test": true})).await, "orders types=order. include_test");
        assert_eq!(reads(json!({"to": "latest", "types": null})).await, "orders include_test");
        let odd = json!({"to": "latest", "types": "stock."});
        call(&app, "POST", "/feeds/orders/consumers/erp/seek", Some(&odd)).await.problem(400, "invalid_query");
    });
}
