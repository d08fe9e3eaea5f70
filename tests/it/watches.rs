//! Watched levels: low, to be reordered, there again; each told once, however many look.

use futures::future::join_all;
use kontor::{
    http::auth::Audience,
    kernel::{Actor, Scope},
    stock::watches,
};
use serde_json::{Value, json};

use crate::{
    stock::location,
    support::{Answer, App, Shop, on_both_idle},
};

async fn watch(app: &App, line: Value) -> Answer {
    app.ops("PUT", "/stock/watches", Some(&json!({"lines": [line]}))).await
}

/// Looks as the job does, and gives what was told since the last time.
async fn told(app: &App) -> Vec<(String, i64, i64)> {
    app.state.db.write(kontor::events::number).await.unwrap();
    let kinds = ["stock.low", "stock.reorder", "stock.back"].map(str::to_owned);
    let all = |kinds: Vec<String>| app.read(move |tx| kontor::events::read_after(tx, 0, &kinds, 10_000));
    let before = all(kinds.to_vec()).await.0.len();
    let now = app.now();
    let look = || app.state.db.write(move |tx| watches::look(tx, now, &Actor::System("test"), None, 100));
    // Several at once: each crossing is told once all the same.
    for looked in join_all((0..4).map(|_| look())).await {
        looked.unwrap();
    }
    app.state.db.write(kontor::events::number).await.unwrap();
    let events = all(kinds.to_vec()).await.0;
    let figure = |event: &kontor::events::Event, name: &str| event.data[name].as_i64().unwrap();
    let told =
        |event: &kontor::events::Event| (event.kind.clone(), figure(event, "available"), figure(event, "expected"));
    events[before..].iter().map(told).collect()
}

fn event(kind: &str, available: i64, expected: i64) -> (String, i64, i64) {
    (format!("stock.{kind}.v1"), available, expected)
}

#[test]
fn a_level_that_crosses_a_mark_is_told_of_once() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 8), ("MUG", "9.90", 0)]).await;
        let line = json!({"sku": "TEE", "location": "berlin", "low_at": 3, "reorder_at": 5, "reorder_quantity": 20});
        let set = watch(&app, line).await.expect(200);
        assert_eq!(set["items"][0]["told"], json!({"low": false, "reorder": false, "out": false}));
        watch(&app, json!({"sku": "MUG", "location": "berlin"})).await.expect(200);
        assert_eq!(told(&app).await, []);
        // What orders set aside counts: nothing has left yet.
        shop.order(&[("TEE", 3)]).await;
        assert_eq!(told(&app).await, [event("reorder", 5, 0)]);
        shop.order(&[("TEE", 2)]).await;
        assert_eq!(told(&app).await, [event("low", 3, 0)]);
        assert_eq!(told(&app).await, []);
        // What is to come counts for what is to be ordered, and not for what is low.
        let coming = json!({"reference": "PO-1", "lines": [{
            "sku": "TEE", "location": "berlin", "quantity": 20, "expected_at": app.now().plus_seconds(86_400)
        }]});
        app.ops("PUT", "/stock/expected", Some(&coming)).await.expect(204);
        assert_eq!(told(&app).await, []);
        shop.order(&[("TEE", 3)]).await;
        assert_eq!(told(&app).await, []);
        let late = json!({"reference": "PO-1", "lines": []});
        app.ops("PUT", "/stock/expected", Some(&late)).await.expect(204);
        shop.stock_up("TEE", 1).await;
        let mut found = told(&app).await;
        found.sort();
        assert_eq!(found, [event("back", 1, 0), event("reorder", 1, 0)]);
        shop.stock_up("MUG", 4).await;
        assert_eq!(told(&app).await, [event("back", 4, 0)]);
        let list = app.ops("GET", "/stock/watches?limit=1", None).await.expect(200);
        assert_eq!((list["items"].as_array().unwrap().len(), &list["items"][0]["available"]), (1, &json!(1)));
        // It is told of no more when it is watched no more.
        watch(&app, json!({"sku": "MUG", "location": "berlin", "off": true})).await.expect(200);
        shop.order(&[("MUG", 4)]).await;
        shop.stock_up("MUG", 4).await;
        assert_eq!(told(&app).await, []);
    });
}

#[test]
fn what_can_not_be_watched_is_refused() {
    on_both_idle(|app| async move {
        let _shop = Shop::open(&app, &[("TEE", "19.90", 8)]).await;
        let line = |sku: &str, place: &str| json!({"sku": sku, "location": place, "low_at": 1});
        watch(&app, line("CUP", "berlin")).await.problem(422, "sku_unknown");
        watch(&app, line("TEE", "moon")).await.problem(404, "not_found");
        let none = json!({"sku": "TEE", "location": "berlin", "reorder_at": 1, "reorder_quantity": 0});
        assert_eq!(watch(&app, none).await.problem(422, "invalid_value")["pointer"], "/lines/0/reorder_quantity");
        watch(&app, line("TEE", "berlin")).await.expect(200);
        let other = location(&app, "other", 300).await;
        let mut claims = app.claims(Audience::Staff, "eve", &format!("{} {}", Scope::StockRead, Scope::StockWrite));
        claims.locations = Some(vec![other]);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let headers = [("Authorization", token.as_str())];
        let seen = app.send("GET", "/v1/ops/stock/watches", &headers, None).await.expect(200);
        assert_eq!(seen["items"], json!([]));
        let body = json!({"lines": [line("TEE", "berlin")]});
        app.send("PUT", "/v1/ops/stock/watches", &headers, Some(&body)).await.problem(404, "not_found");
    });
}
