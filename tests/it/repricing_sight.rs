//! Price rules and whom they are seen by, and who changes them while somebody approves what they propose.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use kontor::{
    db::{Doc, DocSql, Tx, UidSql, sql},
    http::auth::Audience,
    kernel::Id,
};
use serde_json::{Value, json};

use crate::{
    repricing::{DAY, clearance, eur, open, price, rule, run, set},
    support::{Answer, App, Shop, eventually, on_both_idle},
};

/// A request by staff who are limited to a channel.
async fn limited(app: &App, channel: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
    let mut claims = app.claims(Audience::Staff, "eve", "prices:read prices:write");
    claims.channels = Some(vec![channel.parse().unwrap()]);
    let bearer = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
    app.send(method, &format!("/v1/ops{path}"), &[("Authorization", bearer.as_str())], body.as_ref()).await
}

#[test]
fn who_is_limited_to_a_channel_reads_nothing_of_another_through_what_rules_propose() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "100.00", 50)]).await;
        let ours = app.ops("GET", &format!("/channels/{}", shop.channel), None).await.expect(200);
        let theirs = json!({
            "code": "b2b", "name": "B2B", "legal_entity_id": ours["legal_entity_id"],
            "settings": {
                "currencies": ["EUR"], "locales": ["de-DE"], "countries": ["DE"], "time_zone": "Europe/Berlin",
                "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"}, "payment_methods": ["manual"]
            }
        });
        let theirs = app.ops("POST", "/channels", Some(&theirs)).await.expect(201)["id"].clone();
        let list = async |code: &str, kind: &str, channel: &Value, amount: &str| {
            let new = json!({"code": code, "name": code, "currency": "EUR", "kind": kind, "priority": 5, "channel_id": channel});
            let made = app.ops("POST", "/price-lists", Some(&new)).await.expect(201);
            set(&app, made["id"].as_str().unwrap(), "TEE", amount).await;
        };
        let here = json!(shop.channel);
        list("here", "sale", &here, "99.00").await;
        list("everywhere", "sale", &Value::Null, "99.00").await;
        list("theirs", "base", &theirs, "70.00").await;
        list("their-costs", "cost", &theirs, "31.00").await;
        app.clock.advance_seconds(30 * DAY);
        let down = json!([{"change": "-20"}]);
        // One tells what others charge, one what they have paid; the last is our own.
        let prices = json!({"tiers": down, "price_list": "here", "reference_list": "theirs"});
        let costs = json!({"tiers": down, "price_list": "everywhere", "channel_id": theirs, "guard_rails": {"floor_margin": "200"}});
        let own = json!({"tiers": down, "price_list": "here", "channel_id": here});
        let prices = rule(&app, "prices", prices).await;
        let costs = rule(&app, "costs", costs).await;
        let own = rule(&app, "own", own).await;
        for id in [&prices, &costs, &own] {
            run(&app, id).await;
        }
        let all = open(&app).await;
        assert_eq!(all.len(), 3);
        let eve = async |method: &str, path: &str, body: Option<Value>| {
            limited(&app, &shop.channel, method, path, body).await
        };
        let ids = |page: &Value, name: &str| {
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one[name].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&eve("GET", "/price-rules", None).await.expect(200), "id"), std::slice::from_ref(&own));
        assert_eq!(ids(&eve("GET", "/price-proposals", None).await.expect(200), "rule_id"), std::slice::from_ref(&own));
        for id in [&prices, &costs] {
            let path = format!("/price-rules/{id}");
            eve("GET", &path, None).await.problem(404, "not_found");
            eve("POST", &format!("{path}/simulate"), Some(json!({"skus": ["TEE"]}))).await.problem(404, "not_found");
            eve("PATCH", &path, Some(json!({"every_minutes": 10}))).await.problem(404, "not_found");
            for command in ["activate", "pause", "run", "end"] {
                eve("POST", &format!("{path}/{command}"), None).await.problem(404, "not_found");
            }
            let none = eve("GET", &format!("/price-proposals?rule_id={id}"), None).await.expect(200);
            assert_eq!(none["items"], json!([]));
            let proposal = &all.iter().find(|one| one["rule_id"] == **id).unwrap()["id"];
            eve("GET", &format!("/price-proposals/{}", proposal.as_str().unwrap()), None)
                .await
                .problem(404, "not_found");
            for what in ["approve", "reject"] {
                let told = eve("POST", &format!("/price-proposals/{what}"), Some(json!({"ids": [proposal]})))
                    .await
                    .expect(200);
                assert_eq!((&told["done"], &told["errors"][0]["code"]), (&json!(0), &json!("not_found")), "{told}");
            }
        }
        let simulated =
            eve("POST", &format!("/price-rules/{own}/simulate"), Some(json!({"skus": ["TEE"]}))).await.expect(200);
        assert_eq!(simulated["proposals"][0]["to"], eur("80.00"));
        let mine = all.iter().find(|one| one["rule_id"] == own.as_str()).unwrap();
        let told = eve("POST", "/price-proposals/approve", Some(json!({"ids": [mine["id"]]}))).await.expect(200);
        assert_eq!((&told["done"], price(&shop, "TEE").await), (&json!(1), "80.00".to_owned()));
    });
}

/// Whoever approves waits for somebody who is changing what the rule keeps within, and then keeps to that.
#[test]
fn a_floor_that_is_raised_while_somebody_approves_holds() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "100.00", 50)]).await;
        clearance(&app, "sale").await;
        app.clock.advance_seconds(30 * DAY);
        let id = rule(&app, "slow", json!({"tiers": [{"change": "-20"}]})).await;
        assert_eq!(run(&app, &id).await["proposed"], 1);
        let proposal = open(&app).await[0]["id"].clone();
        let (raised, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let raising = {
            let (app, raised, done) = (app.clone(), raised.clone(), done.clone());
            tokio::spawn(async move {
                let raise = move |tx: &mut Tx| {
                    let read =
                        sql("SELECT id, doc FROM price_rules").first::<(UidSql, DocSql), (Id<()>, Doc<Value>)>(tx)?;
                    let (id, Doc(mut doc)) = read.unwrap();
                    doc["guard_rails"]["floor"] = eur("95.00");
                    let update = sql("UPDATE price_rules SET doc = ?, version = version + 1 WHERE id = ?");
                    update.bind(Doc(doc)).bind(id).execute(tx)?;
                    raised.store(true, SeqCst);
                    while !done.load(SeqCst) {
                        std::thread::yield_now();
                    }
                    Ok(())
                };
                app.state.db.write(raise).await.unwrap();
            })
        };
        eventually("the floor is being raised", async || raised.load(SeqCst)).await;
        let ids = json!({"ids": [proposal]});
        let approving = app.ops("POST", "/price-proposals/approve", Some(&ids));
        let mut approving = std::pin::pin!(approving);
        let early = tokio::time::timeout(std::time::Duration::from_millis(700), &mut approving).await;
        done.store(true, SeqCst);
        raising.await.unwrap();
        let told = match early {
            Ok(answer) => answer,
            Err(_) => approving.await,
        };
        let told = told.expect(200);
        assert_eq!((&told["done"], &told["errors"][0]["code"]), (&json!(0), &json!("stale")), "{told}");
        assert_eq!(price(&shop, "TEE").await, "100.00");
    });
}
