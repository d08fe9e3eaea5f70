//! Work by the hundred: what was looked at is what is done, each order once, and what refuses says why.

use futures::future::join_all;
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    fulfilment_moves::{Of, place},
    support::{Answer, App, Shop, eventually, on_both, on_both_idle, on_both_sites},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

async fn ask(app: &App, command: &str, body: &Value) -> Answer {
    app.ops("POST", &format!("/bulk/{command}/preview"), Some(body)).await
}

/// Looks, and starts what was seen.
async fn run(app: &App, command: &str, mut body: Value) -> Value {
    let seen = ask(app, command, &body).await.expect(200);
    body["token"] = seen["token"].clone();
    let begun = app.ops("POST", &format!("/bulk/{command}"), Some(&body)).await.expect(202);
    assert_eq!(begun["total"], seen["count"]);
    let path = format!("/bulk/{}", text(&begun["id"]));
    eventually("all are taken", || async { app.ops("GET", &path, None).await.expect(200)["state"] == "done" }).await;
    app.ops("GET", &path, None).await.expect(200)
}

async fn items(app: &App, bulk: &Value) -> Vec<Value> {
    let path = format!("/bulk/{}/items?limit=200", text(&bulk["id"]));
    app.ops("GET", &path, None).await.expect(200)["items"].as_array().unwrap().clone()
}

#[test]
fn what_was_looked_at_is_tagged_and_nothing_else() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 50)]).await;
        let mut orders = Vec::new();
        for _ in 0..5 {
            orders.push(Of::new(&shop, &[("TEE", 1)]).await);
        }
        let body = json!({"filter": {"sku": "TEE", "state": "placed"}, "add": ["spring"]});
        let seen = ask(&app, "tag", &body).await.expect(200);
        assert_eq!((&seen["count"], &seen["totals"][0]["amount"]), (&json!(5), &json!("74.50")));
        // Refused: without a token, with one for something else, when other orders are found by now, when it is too old.
        app.ops("POST", "/bulk/tag", Some(&body)).await.problem(422, "missing_field");
        let mut other = json!({"filter": {"sku": "TEE"}, "add": ["spring"], "token": seen["token"]});
        app.ops("POST", "/bulk/tag", Some(&other)).await.problem(409, "compare_failed");
        other = json!({"filter": {"sku": "TEE", "state": "placed"}, "add": ["autumn"], "token": seen["token"]});
        app.ops("POST", "/bulk/tag", Some(&other)).await.problem(409, "compare_failed");
        orders.push(Of::new(&shop, &[("TEE", 1)]).await);
        let mut late = body.clone();
        late["token"] = seen["token"].clone();
        app.ops("POST", "/bulk/tag", Some(&late)).await.problem(409, "compare_failed");
        late["token"] = ask(&app, "tag", &body).await.expect(200)["token"].clone();
        app.clock.advance_seconds(601);
        app.ops("POST", "/bulk/tag", Some(&late)).await.problem(409, "compare_failed");
        for (wrong, code) in [
            (json!({"filter": {}, "add": ["x"]}), "invalid_value"),
            (json!({"filter": {"sku": "NONE"}, "add": ["x"]}), "invalid_value"),
            (json!({"filter": {"sku": "TEE"}}), "missing_field"),
            (json!({"filter": {"colour": "red"}, "add": ["x"]}), "unknown_field"),
        ] {
            ask(&app, "tag", &wrong).await.problem(422, code);
        }
        app.ops("GET", "/bulk/explode", None).await.problem(404, "invalid_path");

        let done = run(&app, "tag", body).await;
        assert_eq!((&done["done"], &done["refused"], &done["waiting"]), (&json!(6), &json!(0), &json!(0)));
        let found = app.ops("GET", "/orders?tag=spring", None).await.expect(200);
        assert_eq!(found["items"].as_array().unwrap().len(), 6);
        assert!(items(&app, &done).await.iter().all(|item| item["state"] == "done"));
        for order in &orders {
            order.ship_all().await;
        }
    });
}

#[test]
fn what_refuses_says_why_and_the_others_are_done() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 50)]).await;
        let (one, held, third) = (
            Of::new(&shop, &[("TEE", 1)]).await,
            Of::new(&shop, &[("TEE", 2)]).await,
            Of::new(&shop, &[("TEE", 3)]).await,
        );
        let hold = json!({"kind": "risk", "blocks": ["cancel", "ship"], "reason": "odd"});
        app.ops("POST", &format!("/orders/{}/hold", held.order), Some(&hold)).await.expect(200);
        let body = json!({"filter": {"sku": "TEE"}, "reason": "a recall"});
        ask(&app, "cancel", &json!({"filter": {"sku": "TEE"}})).await.problem(422, "missing_field");
        // The ceiling of whoever asks holds for the whole.
        let mut claims = app.claims(Audience::Staff, "eve", "orders:read orders:write");
        claims.money_ceiling = Some(5_000);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let told = app.send("POST", "/v1/ops/bulk/cancel/preview", &[("Authorization", &token)], Some(&body)).await;
        told.problem(403, "ceiling_exceeded");
        let token = format!("Bearer {}", app.token(Audience::Staff, "eve", &[Scope::OrdersRead]));
        let told = app.send("POST", "/v1/ops/bulk/cancel/preview", &[("Authorization", &token)], Some(&body)).await;
        told.problem(403, "scope_missing");

        let done = run(&app, "cancel", body).await;
        assert_eq!((&done["done"], &done["refused"]), (&json!(2), &json!(1)), "{done}");
        let refused: Vec<Value> =
            items(&app, &done).await.into_iter().filter(|item| item["state"] == "refused").collect();
        assert_eq!((text(&refused[0]["order_id"]), text(&refused[0]["code"])), (held.order.as_str(), "state_conflict"));
        assert_eq!(one.document().await["state"], "cancelled");
        assert_eq!(third.document().await["state"], "cancelled");

        let released = run(&app, "release", json!({"filter": {"held": true}})).await;
        assert_eq!(released["done"], 1);
        let resent = run(&app, "resend", json!({"filter": {"state": "placed"}})).await;
        assert_eq!(resent["done"], 1);
        // Planned anew, goods come from where they lie by now.
        place(&app, "bremen", json!({"priority": 1}), &[("TEE", 5)]).await;
        let anew = run(&app, "resource", json!({"filter": {"state": "placed"}, "reason": "bremen has them"})).await;
        assert_eq!((&anew["done"], &anew["refused"]), (&json!(1), &json!(0)), "{anew}");
        held.ship_all().await;
    });
}

#[test]
fn each_order_is_taken_once_however_many_work_on_it() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 200)]).await;
        let mut orders = Vec::new();
        for _ in 0..12 {
            orders.push(Of::new(&shop, &[("TEE", 1)]).await);
        }
        let body = json!({"filter": {"sku": "TEE"}, "reason": "a recall"});
        let mut looks = Vec::new();
        for _ in 0..2 {
            let mut look = body.clone();
            look["token"] = ask(&app, "cancel", &body).await.expect(200)["token"].clone();
            looks.push(look);
        }
        // Looked at twice and started at once: what the second would cancel is cancelled once all the same.
        let begun = join_all(looks.iter().map(|look| app.ops("POST", "/bulk/cancel", Some(look)))).await;
        let begun: Vec<Value> = begun.into_iter().map(|answer| answer.expect(202)).collect();
        let drain = || async {
            let mut runner = kontor::jobs::Runner::new(app.state.db.clone(), app.clock.clone(), 1, 60);
            kontor::api::work(&app.state, &mut runner);
            runner.drain().await.unwrap();
        };
        join_all((0..3).map(|_| drain())).await;
        drain().await;
        let mut sums = (0, 0);
        for one in &begun {
            let done = app.ops("GET", &format!("/bulk/{}", text(&one["id"])), None).await.expect(200);
            assert_eq!(done["state"], "done");
            sums.0 += done["done"].as_i64().unwrap();
            sums.1 += done["refused"].as_i64().unwrap();
        }
        assert_eq!(sums, (12, 12));
        app.state.db.write(kontor::events::number).await.unwrap();
        for order in &orders {
            let events = order.events().await;
            assert_eq!(events.iter().filter(|kind| *kind == "order.cancelled.v1").count(), 1);
        }
    });
}

#[test]
fn an_order_that_fails_is_tried_again_and_keeps_none_waiting() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 200)]).await;
        for _ in 0..3 {
            shop.order(&[("TEE", 1)]).await;
        }
        let mut body = json!({"filter": {"sku": "TEE"}, "add": ["spring"]});
        body["token"] = ask(&app, "tag", &body).await.expect(200)["token"].clone();
        let begun = app.ops("POST", "/bulk/tag", Some(&body)).await.expect(202);
        let write = async |text: &'static str| {
            app.state.db.write(move |tx| kontor::db::sql(text).execute(tx)).await.unwrap();
        };
        let drain = async || {
            let mut runner = kontor::jobs::Runner::new(app.state.db.clone(), app.clock.clone(), 1, 60);
            kontor::api::work(&app.state, &mut runner);
            runner.drain().await.unwrap();
        };
        // The first of them can not be read for a while.
        write("CREATE TABLE kept AS SELECT id, doc FROM orders").await;
        write("UPDATE orders SET doc = '{}' WHERE id = (SELECT id FROM orders ORDER BY id LIMIT 1)").await;
        drain().await;
        let path = format!("/bulk/{}", text(&begun["id"]));
        let seen = app.ops("GET", &path, None).await.expect(200);
        assert_eq!((&seen["done"], &seen["waiting"], &seen["refused"]), (&json!(2), &json!(1), &json!(0)), "{seen}");
        write("UPDATE orders SET doc = (SELECT kept.doc FROM kept WHERE kept.id = orders.id) WHERE id = (SELECT id FROM orders ORDER BY id LIMIT 1)").await;
        write("DROP TABLE kept").await;
        app.clock.advance_seconds(60);
        drain().await;
        let seen = app.ops("GET", &path, None).await.expect(200);
        assert_eq!((&seen["state"], &seen["done"]), (&json!("done"), &json!(3)), "{seen}");
    });
}

/// So many orders a program works on that is killed.
const MANY: i64 = 30;

#[test]
fn what_a_killed_program_had_begun_is_gone_on_with_and_nothing_is_done_twice() {
    on_both_sites(|site| async move {
        let program = site.serve(&[]);
        let shop = Shop::open(&site.app(&program).await, &[("TEE", "10.00", 200)]).await;
        for _ in 0..MANY {
            shop.order(&[("TEE", 1)]).await;
        }
        let mut body = json!({"filter": {"sku": "TEE"}, "reason": "a recall"});
        body["token"] = ask(&shop.app, "cancel", &body).await.expect(200)["token"].clone();
        shop.app.ops("POST", "/bulk/cancel", Some(&body)).await.expect(202);
        let done = "SELECT count(*) FROM bulk_items WHERE state = 'done'";
        eventually("it has begun", || async { site.number(done).await > 0 }).await;
        program.kill();
        let program = site.serve(&[]);
        site.until("SELECT count(*) FROM bulk_jobs WHERE state = 'done'", 1).await;
        assert_eq!(site.number(done).await, MANY);
        assert_eq!(site.number("SELECT count(*) FROM events WHERE type = 'order.cancelled.v1'").await, MANY);
        site.until("SELECT count(*) FROM jobs WHERE state <> 'ready' OR attempt > 0", 0).await;
        program.kill();
        site.doctor().await;
    });
}
