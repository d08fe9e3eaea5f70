//! Who waits for goods is told when they are back: in their order, no more than there are pieces, each once.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    bundles::bundle,
    channel_safety::second,
    support::{App, Shop, eventually, on_both, on_both_idle, on_both_set},
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn ask(shop: &Shop, sku: &str, email: &str) -> Value {
    let body = json!({"sku": sku, "email": email, "locale": "de-DE", "consent": true, "consent_text": "Ja, einmal."});
    shop.store("POST", "/back-in-stock", None, Some(&body)).await.expect(202)
}

/// Those who wait or were told, the oldest first: address and state.
async fn all(app: &App, query: &str) -> Vec<(String, String)> {
    let found = app.ops("GET", &format!("/back-in-stock?limit=200&{query}"), None).await.expect(200);
    found["items"].as_array().unwrap().iter().map(|one| (text(&one["email"]), text(&one["state"]))).collect()
}

async fn told(app: &App) -> Vec<String> {
    all(app, "state=told").await.into_iter().map(|(email, _)| email).collect()
}

const TOLD: &str = "SELECT count(*) FROM events WHERE type = 'back_in_stock.told.v1'";
const PERSONAL: &str = "SELECT count(*) FROM events WHERE type LIKE 'back_in_stock.%' AND personal IS NOT NULL";
const SUBSCRIBED: &str = "SELECT count(*) FROM events WHERE type = 'back_in_stock.subscribed.v1'";

async fn events(app: &App, kind: &'static str) -> i64 {
    app.count(kind).await
}

/// As many waves as are due, as the schedule tells them.
async fn look(app: &App) {
    kontor::process::runner(&app.state).run_all_turns().await.unwrap();
}

#[test]
fn who_waits_is_told_in_order_as_many_as_there_are_pieces() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "20.00", 0), ("MUG", "10.00", 0)]).await;
        for name in ["ada", "bob", "cleo", "dora"] {
            let said = ask(&shop, "TEE", &format!("{name}@example.org")).await;
            assert_eq!(said, json!({"sku": "TEE", "state": "waiting"}));
        }
        ask(&shop, "MUG", "ada@example.org").await;
        // Asked again, in another case, they wait once; and the answer is the same.
        assert_eq!(ask(&shop, "TEE", "ADA@example.org").await, json!({"sku": "TEE", "state": "waiting"}));
        assert_eq!(all(&app, "sku=TEE").await.len(), 4);
        let demand = app.ops("GET", "/back-in-stock/demand", None).await.expect(200);
        let figures: Vec<(String, i64)> = demand["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (text(&row["sku"]), row["waiting"].as_i64().unwrap()))
            .collect();
        assert_eq!(figures, [("TEE".to_owned(), 4), ("MUG".to_owned(), 1)]);
        // Nothing is there: nobody is told.
        look(&app).await;
        assert_eq!(told(&app).await, Vec::<String>::new());
        // Two pieces: the first two. A second look tells nobody of the same pieces.
        shop.stock_up("TEE", 2).await;
        look(&app).await;
        look(&app).await;
        assert_eq!(told(&app).await, ["ada@example.org", "bob@example.org"]);
        // One is bought: the one that is left was told of. One more comes: the next is told.
        shop.order(&[("TEE", 1)]).await;
        look(&app).await;
        shop.stock_up("TEE", 1).await;
        look(&app).await;
        assert_eq!(told(&app).await, ["ada@example.org", "bob@example.org", "cleo@example.org"]);
        // What nobody wanted for a day is told to the next.
        app.clock.advance_seconds(24 * 3_600);
        look(&app).await;
        assert_eq!(told(&app).await.len(), 4);
        assert_eq!(all(&app, "state=waiting").await, [("ada@example.org".to_owned(), "waiting".to_owned())]);
        assert_eq!(events(&app, TOLD).await, 4);
        assert_eq!(events(&app, SUBSCRIBED).await, 5);
        // Who was told may ask again.
        ask(&shop, "TEE", "ada@example.org").await;
        assert_eq!(all(&app, "sku=TEE&state=waiting").await.len(), 1);
    });
}

#[test]
fn each_is_told_once_however_many_look_and_receive_at_once() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "20.00", 0)]).await;
        // Each asks twice at once.
        let ask = |n: usize| {
            let shop = shop.clone();
            async move { ask(&shop, "TEE", &format!("somebody{}@example.org", n / 2)).await }
        };
        join_all((0..24).map(ask)).await;
        assert_eq!(all(&app, "").await.len(), 12);
        // Three receipts of two pieces and six looks, all at once; then one look for what came last.
        let deed = |n: usize| {
            let (app, shop) = (app.clone(), shop.clone());
            async move {
                if n.is_multiple_of(3) {
                    shop.stock_up("TEE", 2).await;
                } else {
                    look(&app).await;
                }
            }
        };
        join_all((0..9).map(deed)).await;
        look(&app).await;
        assert_eq!(told(&app).await.len(), 6);
        assert_eq!(events(&app, TOLD).await, 6);
        // The first six that asked.
        let everybody = all(&app, "").await;
        let states: Vec<&str> = everybody.iter().map(|(_, state)| state.as_str()).collect();
        assert_eq!(states, [["told"; 6], ["waiting"; 6]].concat());
    });
}

#[test]
fn who_waits_is_told_of_what_their_channel_sells_and_each_piece_once() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "20.00", 0)]).await;
        let market = second(&shop).await;
        let line = json!({"sku": "TEE", "channel_id": market.channel, "pieces": 3});
        app.ops("PUT", "/stock/channel-safety", Some(&json!({"lines": [line]}))).await.expect(200);
        for (place, name) in [(&market, "ada"), (&market, "bob"), (&shop, "cleo"), (&shop, "dora"), (&market, "eve")] {
            ask(place, "TEE", &format!("{name}@example.org")).await;
        }
        // Three are there, which the market leaves to others: nobody of its own is told of them.
        shop.stock_up("TEE", 3).await;
        look(&app).await;
        assert_eq!(told(&app).await, ["cleo@example.org", "dora@example.org"]);
        // Five are there, of which it sells two; two were told of already, and the last is left to others, of whom none waits.
        shop.stock_up("TEE", 2).await;
        look(&app).await;
        look(&app).await;
        assert_eq!(told(&app).await.len(), 4);
        assert_eq!(all(&app, "state=waiting").await, [("eve@example.org".to_owned(), "waiting".to_owned())]);
        assert_eq!(events(&app, TOLD).await, 4);
    });
}

#[test]
fn who_waits_for_a_bundle_is_told_when_all_that_belongs_to_it_is_there() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "20.00", 0), ("MUG", "10.00", 5)]).await;
        bundle(&shop, "SET", "29.99", &[("TEE", 1), ("MUG", 2)]).await;
        for name in ["ada", "bob", "cleo"] {
            ask(&shop, "SET", &format!("{name}@example.org")).await;
        }
        look(&app).await;
        assert_eq!(told(&app).await, Vec::<String>::new());
        // Of five mugs and three tees two sets are made.
        shop.stock_up("TEE", 3).await;
        look(&app).await;
        assert_eq!(told(&app).await, ["ada@example.org", "bob@example.org"]);
    });
}

#[test]
fn who_does_not_want_to_be_told_any_more_is_not() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 0)]).await;
        ask(&shop, "TEE", "ada@example.org").await;
        let id = text(&app.ops("GET", "/back-in-stock", None).await.expect(200)["items"][0]["id"]);
        let personal = app
            .read(|tx| {
                kontor::db::sql("SELECT CAST(personal AS text) FROM events WHERE type = 'back_in_stock.subscribed.v1'")
                    .first::<diesel::sql_types::Text, String>(tx)
            })
            .await
            .unwrap();
        let personal: Value = serde_json::from_str(&personal).unwrap();
        assert_eq!(personal["email"], "ada@example.org");
        let token = text(&personal["end_token"]);
        let end = |token: &str| format!("/back-in-stock/{id}?token={token}");
        shop.store("DELETE", &end("not-it"), None, None).await.problem(404, "not_found");
        shop.store("DELETE", &format!("/back-in-stock/{id}"), None, None).await.problem(404, "not_found");
        assert_eq!(shop.store("DELETE", &end(&token), None, None).await.status, 204);
        // Nothing leads to the address any more, so it is gone from what was said of it too.
        assert_eq!(app.count(PERSONAL).await, 0);
        // Again it is as it was.
        assert_eq!(shop.store("DELETE", &end(&token), None, None).await.status, 204);
        assert_eq!(all(&app, "").await, []);

        // A customer sees and ends what is theirs, and nobody else's.
        let headers = |subject: &str| {
            let token = app.token(kontor::http::auth::Audience::Customer, subject, &[]);
            (format!("Bearer {token}"), shop.key.clone())
        };
        let send = |who: (String, String), method: &'static str, path: String, body: Option<Value>| {
            let app = app.clone();
            async move {
                let headers = [("Authorization", who.0.as_str()), ("Channel-Key", who.1.as_str())];
                app.send(method, &format!("/v1/store{path}"), &headers, body.as_ref()).await
            }
        };
        let wish = json!({"sku": "TEE", "email": "grace@example.org", "consent": true});
        send(headers("grace"), "POST", "/back-in-stock".to_owned(), Some(wish)).await.expect(202);
        let own = send(headers("grace"), "GET", "/me/back-in-stock".to_owned(), None).await.expect(200);
        let own = format!("/back-in-stock/{}", text(&own["items"][0]["id"]));
        let others = send(headers("mallory"), "GET", "/me/back-in-stock".to_owned(), None).await.expect(200);
        assert_eq!(others["items"], json!([]));
        send(headers("mallory"), "DELETE", own.clone(), None).await.problem(404, "not_found");
        assert_eq!(send(headers("grace"), "DELETE", own.clone(), None).await.status, 204);
        send(headers("grace"), "DELETE", own, None).await.problem(404, "not_found");
        assert_eq!(all(&app, "").await, []);
    });
}

#[test]
fn what_is_wrong_with_a_wish_is_told() {
    on_both_set(
        |settings| settings.http.back_in_stock_requests_per_minute = 8,
        |app| async move {
            let shop = Shop::open(&app, &[("TEE", "20.00", 0)]).await;
            let download =
                json!({"sku": "PDF", "name": "A file", "tax_class": "standard", "stock_policy": "untracked"});
            app.ops("POST", "/variants", Some(&download)).await.expect(201);
            let send = |body: Value| {
                let shop = shop.clone();
                async move { shop.store("POST", "/back-in-stock", None, Some(&body)).await }
            };
            let wish = |more: Value| {
                let mut wish = json!({"sku": "TEE", "email": "ada@example.org", "consent": true});
                wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                wish
            };
            for (body, code, pointer) in [
                (wish(json!({"consent": false})), "invalid_value", "/consent"),
                (wish(json!({"sku": "NONE"})), "sku_unknown", "/sku"),
                (wish(json!({"sku": "PDF"})), "invalid_value", "/sku"),
                (wish(json!({"locale": "fr"})), "locale_not_served", "/locale"),
                (json!({"sku": "TEE", "consent": true}), "missing_field", "/email"),
            ] {
                let refused = send(body.clone()).await;
                let document: Value = serde_json::from_str(&refused.text).unwrap();
                assert_eq!((&document["code"], &document["pointer"]), (&json!(code), &json!(pointer)), "{body}");
            }
            for _ in 0..3 {
                send(wish(json!({}))).await.expect(202);
            }
            send(wish(json!({}))).await.problem(429, "rate_limited");
            assert_eq!(all(&app, "").await.len(), 1);
        },
    );
}

#[test]
fn who_waited_for_too_long_or_is_forgotten_is_not_told() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "20.00", 0)]).await;
        ask(&shop, "TEE", "old@example.org").await;
        app.clock.advance_seconds(180 * 86_400);
        ask(&shop, "TEE", "ada@example.org").await;
        ask(&shop, "TEE", "bob@example.org").await;
        // What has expired does not stand in the way of asking anew.
        let gone = json!({"email": "Ada@example.org"});
        app.ops("POST", "/guests/erase", Some(&gone)).await.expect(200);
        shop.stock_up("TEE", 9).await;
        look(&app).await;
        assert_eq!(told(&app).await, ["bob@example.org"]);
        // Two of bob; who waited too long is forgotten there too.
        assert_eq!(app.count(PERSONAL).await, 2);
        // The expired is forgotten, and after a while who was told.
        look(&app).await;
        assert_eq!(all(&app, "").await, [("bob@example.org".to_owned(), "told".to_owned())]);
        app.clock.advance_seconds(91 * 86_400);
        look(&app).await;
        assert_eq!(all(&app, "").await, []);
        assert_eq!(app.count(PERSONAL).await, 0);
    });
}

#[test]
fn the_schedule_tells_by_itself() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 0)]).await;
        ask(&shop, "TEE", "ada@example.org").await;
        shop.stock_up("TEE", 1).await;
        app.clock.advance_seconds(16);
        eventually("she is told", || async { told(&app).await == ["ada@example.org"] }).await;
    });
}
