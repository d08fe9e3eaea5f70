//! What waits for a person: seen, claimed by one, put aside, let go.

use futures::future::join_all;
use kontor::{
    db::sql,
    http::auth::Audience,
    jobs::{self, NewJob},
    kernel::Scope,
};
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, eventually, on_both};

async fn summary(app: &App, list: &str) -> Value {
    let all = app.ops("GET", "/worklists", None).await.expect(200);
    let found = all["items"].as_array().unwrap().iter().find(|summary| summary["list"] == list);
    found.unwrap_or_else(|| panic!("{all}")).clone()
}

async fn items(app: &App, list: &str) -> Vec<Value> {
    let found = app.ops("GET", &format!("/worklists/{list}"), None).await.expect(200);
    found["items"].as_array().unwrap().clone()
}

async fn call(app: &App, who: &str, path: &str, body: &Value) -> Answer {
    let token = format!("Bearer {}", app.token(Audience::Staff, who, &[Scope::WorklistsWrite]));
    app.send("POST", &format!("/v1/ops/worklists/{path}"), &[("Authorization", &token)], Some(body)).await
}

async fn order_by_invoice(shop: &Shop) -> Value {
    let cart = shop.cart(&[("TEE", 1)]).await;
    let body = json!({"payment": {"method": "manual"}});
    let path = format!("/carts/{}/complete", cart.id);
    shop.store("POST", &path, Some(&cart.token), Some(&body)).await.expect(201)["order"].clone()
}

#[test]
fn late_orders_wait_for_somebody_who_claims_them() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let order = order_by_invoice(&shop).await;
        assert_eq!(summary(&app, "unpaid_orders").await["count"], 0);
        app.clock.advance_seconds(8 * 86_400);
        for list in ["unpaid_orders", "unshipped_past_due"] {
            let seen = summary(&app, list).await;
            assert_eq!((&seen["count"], &seen["unclaimed"], &seen["more"]), (&json!(1), &json!(1), &json!(false)));
            let link = seen["link"].as_str().unwrap().strip_prefix("/v1/ops").unwrap().to_owned();
            let item = app.ops("GET", &link, None).await.expect(200)["items"][0].clone();
            assert_eq!(item["since"], seen["oldest"]);
            let there = item["link"].as_str().unwrap().strip_prefix("/v1/ops").unwrap().to_owned();
            app.ops("GET", &there, None).await.expect(200);
        }
        let id = order["id"].as_str().unwrap();
        let (claim, release) = (format!("unpaid_orders/items/{id}/claim"), format!("unpaid_orders/items/{id}/release"));

        // Of many who claim at once, one gets it.
        let names = ["ada", "bob", "cy", "dee", "eve", "fay"];
        let body = json!({});
        let answers = join_all(names.iter().map(|name| call(&app, name, &claim, &body))).await;
        let won: Vec<&str> =
            names.iter().zip(&answers).filter(|(_, answer)| answer.status == 200).map(|(n, _)| *n).collect();
        assert_eq!(won.len(), 1, "{answers:?}");
        let other = names.iter().find(|name| **name != won[0]).unwrap();
        let refused = call(&app, other, &claim, &body).await.problem(409, "state_conflict");
        assert_eq!(refused["assignee"], won[0]);
        call(&app, other, &release, &body).await.problem(409, "state_conflict");
        assert_eq!(summary(&app, "unpaid_orders").await["unclaimed"], 0);

        let until = app.now().plus_seconds(3600).to_string();
        let forced = json!({"force": true, "snooze_until": until, "note": "asking the bank", "assignee": "zoe"});
        let taken = call(&app, other, &claim, &forced).await.expect(200);
        assert_eq!((&taken["assignee"], &taken["note"]), (&json!("zoe"), &json!("asking the bank")));
        let seen = summary(&app, "unpaid_orders").await;
        assert_eq!((&seen["count"], &seen["snoozed"]), (&json!(0), &json!(1)));
        assert!(items(&app, "unpaid_orders").await.is_empty());
        assert_eq!(
            app.ops("GET", "/worklists/unpaid_orders?snoozed=true", None).await.expect(200)["items"][0]["id"],
            id
        );
        app.clock.advance_seconds(3601);
        assert_eq!(items(&app, "unpaid_orders").await.len(), 1);
        let free = call(&app, "zoe", &release, &body).await.expect(200);
        assert!(free["assignee"].is_null() && free["note"].is_null());
        call(&app, "ada", &release, &body).await.expect(200);

        call(&app, "ada", "unpaid_orders/items/order_01h455vb4pex5vsknk084sn02q/claim", &body)
            .await
            .problem(404, "not_found");
        call(&app, "ada", "nonsense/items/x/claim", &body).await.problem(404, "invalid_path");
        let past = json!({"snooze_until": "2020-01-01T00:00:00Z"});
        call(&app, "ada", &claim, &past).await.problem(422, "invalid_value");
        let none = format!("Bearer {}", app.token(Audience::Staff, "eve", &[Scope::OrdersRead]));
        app.send("GET", "/v1/ops/worklists", &[("Authorization", &none)], None).await.problem(403, "scope_missing");
    });
}

#[test]
fn whoever_is_limited_to_channels_sees_only_what_is_theirs() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        order_by_invoice(&shop).await;
        app.clock.advance_seconds(8 * 86_400);
        let of = |channel: String| {
            let mut claims = app.claims(Audience::Staff, "eve", "worklists:write");
            claims.channels = Some(vec![channel.parse().unwrap()]);
            format!("Bearer {}", app.state.verifier.issue(claims).unwrap())
        };
        for (channel, count) in [(shop.channel.clone(), 1), ("chan_01h455vb4pex5vsknk084sn02q".to_owned(), 0)] {
            let token = of(channel);
            for list in ["unpaid_orders", "unshipped_past_due", "dead_jobs"] {
                let count = if list == "dead_jobs" { 0 } else { count };
                let path = format!("/v1/ops/worklists/{list}");
                let found = app.send("GET", &path, &[("Authorization", &token)], None).await.expect(200);
                assert_eq!(found["items"].as_array().unwrap().len(), count, "{list}");
            }
        }
    });
}

#[test]
fn money_without_an_order_and_jobs_that_do_not_go_on_are_seen() {
    on_both(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let order = order_by_invoice(&shop).await;
        let id: kontor::kernel::ids::OrderId = order["id"].as_str().unwrap().parse().unwrap();
        let orphan = "UPDATE payments SET order_id = NULL WHERE order_id = ?";
        app.state.db.write(move |tx| sql(orphan).bind(id).execute(tx)).await.unwrap();
        let found = items(&app, "paid_without_order").await;
        assert_eq!(found.len(), 1);
        assert!(found[0]["subject"].as_str().unwrap().contains("24.80 EUR"), "{found:?}");
        let fail = "UPDATE payments SET order_id = ?, state = 'failed'";
        app.state.db.write(move |tx| sql(fail).bind(id).execute(tx)).await.unwrap();
        assert_eq!(items(&app, "failed_payments").await.len(), 1);
        let mend = "UPDATE payments SET state = 'authorised'";
        app.state.db.write(move |tx| sql(mend).execute(tx)).await.unwrap();

        let now = app.now();
        let unknown = NewJob::now("nobody-knows-this", now, json!({}));
        app.state.db.write(move |tx| jobs::enqueue(tx, now, vec![unknown.clone()])).await.unwrap();
        // What no program knows is dead after a day.
        app.clock.advance_seconds(86_401);
        eventually("the job is dead", || async { items(&app, "dead_jobs").await.len() == 1 }).await;
        assert!(items(&app, "stuck_jobs").await.is_empty());
        let dead = app.read(|tx| jobs::waiting_dead(tx, 10)).await;
        let id = dead[0].id.parse().unwrap();
        app.state.db.write(move |tx| jobs::discard(tx, id)).await.unwrap();

        // Without workers a job stays where it is.
        app.stop().await;
        let stays = NewJob::now("nobody-knows-this", now, json!({}));
        app.state.db.write(move |tx| jobs::enqueue(tx, now, vec![stays.clone()])).await.unwrap();
        let stuck = app
            .read(move |tx| Ok((jobs::waiting_stuck(tx, now, 10)?, jobs::waiting_stuck(tx, now.plus_seconds(1), 10)?)))
            .await;
        assert_eq!((stuck.0.len(), stuck.1.len()), (0, 1));
    });
}
