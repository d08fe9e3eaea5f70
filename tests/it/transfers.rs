//! Goods between locations: they leave, they are under way, they arrive, not always all of them.

use futures::future::join_all;
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    inbound::{text, to_come},
    support::{App, Shop, on_both, on_both_idle},
};

async fn bremen(app: &App) -> String {
    let place =
        json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
    text(&app.ops("POST", "/locations", Some(&place)).await.expect(201)["id"])
}

async fn transfer(app: &App, lines: &[(&str, i64)]) -> String {
    let line = |(sku, quantity): &(&str, i64)| json!({"sku": sku, "quantity": quantity});
    let body = json!({"from": "berlin", "to": "bremen", "lines": lines.iter().map(line).collect::<Vec<_>>()});
    text(&app.ops("POST", "/transfers", Some(&body)).await.expect(201)["id"])
}

async fn post(app: &App, id: &str, what: &str, body: Value) -> crate::support::Answer {
    app.ops("POST", &format!("/transfers/{id}/{what}"), Some(&body)).await
}

/// What lies at Berlin and at Bremen.
async fn lies(app: &App, sku: &str) -> (i64, i64) {
    let levels = app.ops("GET", &format!("/stock/levels?sku={sku}"), None).await.expect(200);
    let at = |code: &str| {
        let found = levels["items"].as_array().unwrap().iter().find(|level| level["location"] == code);
        found.map_or(0, |level| level["on_hand"].as_i64().unwrap())
    };
    (at("berlin"), at("bremen"))
}

#[test]
fn what_leaves_is_under_way_until_it_arrives() {
    on_both(|app| async move {
        let _shop = Shop::open(&app, &[("TEE", "19.90", 10), ("MUG", "9.90", 3)]).await;
        bremen(&app).await;
        let id = transfer(&app, &[("TEE", 6), ("MUG", 3)]).await;
        post(&app, &id, "receive", json!({})).await.problem(409, "state_conflict");
        let shipped =
            post(&app, &id, "ship", json!({"lines": [{"line_no": 1, "quantity": 6}, {"line_no": 2, "quantity": 2}]}))
                .await;
        assert_eq!(shipped.expect(200)["state"], "in_transit");
        assert_eq!((lies(&app, "TEE").await, lies(&app, "MUG").await), ((4, 0), (1, 0)));
        // Nobody has said when: it is on order, and promised for no day.
        assert_eq!((to_come(&app, "TEE").await, to_come(&app, "MUG").await), (6, 2));
        post(&app, &id, "ship", json!({})).await.problem(409, "state_conflict");
        post(&app, &id, "cancel", json!({"reason": "x"})).await.problem(409, "state_conflict");
        let over = json!({"lines": [{"line_no": 2, "quantity": 3}]});
        post(&app, &id, "receive", over.clone()).await.problem(409, "quantity_exceeded");
        let part = post(&app, &id, "receive", json!({"lines": [{"line_no": 1, "quantity": 3, "damaged": 1}]}))
            .await
            .expect(200);
        assert_eq!(part["state"], "partially_received");
        let more = json!({"lines": [{"line_no": 2, "quantity": 3}], "accept_over": true});
        let more = post(&app, &id, "receive", more).await.expect(200);
        assert_eq!((&more["lines"][1]["received"], &more["lines"][1]["surplus"]), (&json!(2), &json!(1)));
        assert_eq!((lies(&app, "TEE").await, lies(&app, "MUG").await), ((4, 3), (1, 3)));
        assert_eq!((to_come(&app, "TEE").await, to_come(&app, "MUG").await), (2, 0));
        let closed = post(&app, &id, "close", json!({"reason": "two were stolen"})).await.expect(200);
        assert_eq!(to_come(&app, "TEE").await, 0);
        assert_eq!((&closed["state"], &closed["lines"][0]["lost"]), (&json!("closed"), &json!(2)));
        post(&app, &id, "receive", json!({})).await.problem(409, "state_conflict");
        let movements = app.ops("GET", "/stock/movements?sku=MUG&location=bremen", None).await.expect(200);
        assert_eq!(
            (&movements["items"][0]["kind"], &movements["items"][0]["reference"]),
            (&json!("transfer_in"), &json!(id))
        );
        let listed = app.ops("GET", "/transfers?state=closed", None).await.expect(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn what_belongs_to_orders_does_not_leave_and_nothing_arrives_twice() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 6)]).await;
        bremen(&app).await;
        shop.order(&[("TEE", 2)]).await;
        let id = transfer(&app, &[("TEE", 5)]).await;
        let refused = post(&app, &id, "ship", json!({})).await.problem(409, "out_of_stock");
        assert_eq!(refused["available"], 4);
        assert_eq!(lies(&app, "TEE").await, (6, 0));
        let two = [transfer(&app, &[("TEE", 3)]).await, transfer(&app, &[("TEE", 3)]).await];
        // Both want the same pieces: one gets them.
        let shipped = join_all(two.iter().map(|id| post(&app, id, "ship", json!({})))).await;
        let (left, stayed): (Vec<_>, Vec<_>) = two.iter().zip(shipped).partition(|(_, answer)| answer.status == 200);
        assert_eq!((left.len(), stayed.len(), &stayed[0].1.body["code"]), (1, 1, &json!("out_of_stock")));
        let all = join_all((0..5).map(|_| post(&app, left[0].0, "receive", json!({})))).await;
        assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 1);
        assert_eq!(lies(&app, "TEE").await, (3, 3));
        // Receiving and closing at once: each piece arrives or is lost.
        let last = transfer(&app, &[("TEE", 1)]).await;
        post(&app, &last, "ship", json!({})).await.expect(200);
        let (come, end) = tokio::join!(
            post(&app, &last, "receive", json!({})),
            post(&app, &last, "close", json!({"reason": "late"}))
        );
        assert!((come.status == 200) != (end.status == 200), "{} {}", come.text, end.text);
        assert_eq!(lies(&app, "TEE").await, (2, if come.status == 200 { 4 } else { 3 }));
    });
}

#[test]
fn each_end_does_its_own_part() {
    on_both(|app| async move {
        let _shop = Shop::open(&app, &[("TEE", "19.90", 6)]).await;
        let there = bremen(&app).await;
        let id = transfer(&app, &[("TEE", 2)]).await;
        let same = json!({"from": "berlin", "to": "berlin", "lines": [{"sku": "TEE", "quantity": 1}]});
        app.ops("POST", "/transfers", Some(&same)).await.problem(422, "invalid_value");
        let mut claims = app.claims(Audience::Staff, "eve", &format!("{} {}", Scope::StockRead, Scope::StockWrite));
        claims.locations = Some(vec![there.parse().unwrap()]);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let (headers, path) = ([("Authorization", token.as_str())], format!("/v1/ops/transfers/{id}"));
        app.send("GET", &path, &headers, None).await.expect(200);
        app.send("POST", &format!("{path}/ship"), &headers, Some(&json!({}))).await.problem(403, "scope_missing");
        post(&app, &id, "ship", json!({})).await.expect(200);
        let arrived = app.send("POST", &format!("{path}/receive"), &headers, Some(&json!({}))).await.expect(200);
        assert_eq!(arrived["state"], "received");
        // A third location knows nothing of it.
        let other = json!({"code": "kiel", "name": "Kiel", "country": "DE", "time_zone": "Europe/Berlin"});
        let other = text(&app.ops("POST", "/locations", Some(&other)).await.expect(201)["id"]);
        let mut claims = app.claims(Audience::Staff, "eve", Scope::StockRead.as_str());
        claims.locations = Some(vec![other.parse().unwrap()]);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let headers = [("Authorization", token.as_str())];
        app.send("GET", &path, &headers, None).await.problem(404, "not_found");
        assert_eq!(app.send("GET", "/v1/ops/transfers", &headers, None).await.expect(200)["items"], json!([]));
    });
}

/// What goes from one place to another while as much goes back waits for no lock that the other holds: nothing has to be run again.
#[test]
fn transfers_that_go_opposite_ways_do_not_stand_in_each_others_way() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let _shop = Shop::open(&app, &[("TEE", "19.90", 100), ("MUG", "9.90", 100), ("CUP", "5.00", 100)]).await;
        bremen(&app).await;
        let skus = ["TEE", "MUG", "CUP"];
        for sku in skus {
            let line = json!({"sku": sku, "location": "bremen", "change": 100, "reason": "test"});
            app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
        }
        let mut made = Vec::new();
        for turn in 0..12 {
            let (from, to) = if turn % 2 == 0 { ("berlin", "bremen") } else { ("bremen", "berlin") };
            let lines: Vec<Value> = skus.iter().map(|sku| json!({"sku": sku, "quantity": 2})).collect();
            let body = json!({"from": from, "to": to, "expected_at": app.now().plus_seconds(86_400), "lines": lines});
            made.push(text(&app.ops("POST", "/transfers", Some(&body)).await.expect(201)["id"]));
        }
        let before = app.state.db.stats().retries;
        for what in ["ship", "receive"] {
            let answers = join_all(made.iter().map(|id| post(&app, id, what, json!({})))).await;
            assert!(answers.iter().all(|answer| answer.status == 200), "{:?}", answers[0].text);
        }
        assert_eq!(app.state.db.stats().retries, before, "something had to be run again");
        for sku in skus {
            assert_eq!((lies(&app, sku).await, to_come(&app, sku).await), ((100, 100), 0));
        }
    });
}
