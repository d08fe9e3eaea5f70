//! Carts left alone: abandoned once, come back to, recovered once, whoever looks at the same moment.

use std::collections::HashSet;

use futures::future::join_all;
use kontor::{abandonment, events, http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{App, Cart, Shop, on_both, shop::address};

/// The documents of all events of a type.
async fn happened(app: &App, kind: &'static str) -> Vec<Value> {
    app.state.db.write(events::number).await.unwrap();
    let found = app.read(move |tx| events::read_after(tx, 0, &[kind.to_owned()], 100_000)).await;
    found.0.into_iter().map(|event| event.data).collect()
}

async fn look(app: &App) {
    // Only numbered events are read; numbering runs beside the requests.
    app.state.db.write(events::number).await.unwrap();
    abandonment::detect(&app.state, app.now()).await.unwrap();
    abandonment::recover(&app.state, app.now()).await.unwrap();
}

async fn recover_by_link(shop: &Shop, cart: &Cart, token: &str) -> crate::support::Answer {
    shop.store("POST", &format!("/carts/{}/recover", cart.id), None, Some(&json!({"token": token}))).await
}

#[test]
fn a_cart_is_abandoned_once_come_back_to_and_recovered_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let cart = shop.cart(&[("TEE", 2)]).await;
        let empty = shop.store("POST", "/carts", None, Some(&json!({}))).await.expect(201);
        app.clock.advance_seconds(3599);
        look(&app).await;
        assert_eq!(shop.count("abandonments").await, 0);
        app.clock.advance_seconds(1);
        look(&app).await;
        let abandoned = happened(&app, "cart.abandoned.v1").await;
        assert_eq!(abandoned.len(), 1, "{empty}");
        let event = &abandoned[0];
        assert_eq!((event["cart_id"].as_str(), event["stage"].as_str()), (Some(cart.id.as_str()), Some("shipping")));
        assert_eq!(event["value"], cart.body["total"]);
        assert_eq!((event["lines"][0]["sku"].as_str(), event["lines"][0]["quantity"].as_i64()), (Some("TEE"), Some(2)));
        // Nobody has agreed to messages.
        assert!(event["email"].is_null());
        let url = event["recovery_url"].as_str().unwrap();
        let token = event["recovery_token"].as_str().unwrap();
        assert!(url.contains(&cart.id) && url.ends_with(token));

        recover_by_link(&shop, &cart, "nonsense").await.problem(404, "not_found");
        let back = recover_by_link(&shop, &cart, token).await.expect(200);
        assert_eq!((back["id"].as_str(), back["token"].as_str()), (Some(cart.id.as_str()), Some(cart.token.as_str())));

        // Active again and left again: it is the same abandonment.
        let path = format!("/carts/{}", cart.id);
        shop.store("PATCH", &path, Some(&cart.token), Some(&json!({"device": "mobile"}))).await.expect(200);
        app.clock.advance_seconds(7200);
        look(&app).await;
        assert_eq!(happened(&app, "cart.abandoned.v1").await.len(), 1);

        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        look(&app).await;
        look(&app).await;
        let recovered = happened(&app, "cart.recovered.v1").await;
        assert_eq!(recovered.len(), 1);
        assert_eq!((&recovered[0]["order_id"], &recovered[0]["cart_id"]), (&order["id"], &json!(cart.id)));

        let figures = app.ops("GET", "/abandonment", None).await.expect(200);
        let total = &figures["total"];
        assert_eq!((total["carts"].as_i64(), total["abandoned"].as_i64()), (Some(1), Some(1)), "{figures}");
        assert_eq!((total["recovered"].as_i64(), total["ordered"].as_i64()), (Some(1), Some(1)));
        assert_eq!(total["recovery_rate"], "1.0000");
        assert_eq!(total["abandoned_value"][0], cart.body["total"]);
        let list = app.ops("GET", "/abandonments?recovered=true&device=desktop", None).await.expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        assert!(!list["items"][0]["returned_at"].is_null());
        assert_eq!(app.ops("GET", "/abandonments?recovered=false", None).await.expect(200)["items"], json!([]));
        app.ops("GET", "/abandonment?from=2026-03-03T00:00:00Z&to=2026-03-02T00:00:00Z", None)
            .await
            .problem(400, "invalid_query");
        let reader = format!("Bearer {}", app.token(Audience::Staff, "eve", &[Scope::OrdersRead]));
        app.send("GET", "/v1/ops/abandonment", &[("Authorization", &reader)], None).await.problem(403, "scope_missing");
    });
}

#[test]
fn the_link_of_an_abandoned_cart_leads_to_the_storefronts_page() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        shop.set_pages(
            "https://shop.example/recover?cart={cart}&token={token}",
            "https://shop.example/{order}?{token}",
        )
        .await;
        let cart = shop.cart(&[("TEE", 2)]).await;
        app.clock.advance_seconds(3600);
        look(&app).await;
        let event = happened(&app, "cart.abandoned.v1").await.remove(0);
        let token = event["recovery_token"].as_str().unwrap();
        assert_eq!(event["recovery_url"], format!("https://shop.example/recover?cart={}&token={token}", cart.id));
        // What the page does with it.
        let back = recover_by_link(&shop, &cart, token).await.expect(200);
        assert_eq!((&back["id"], &back["token"]), (&json!(cart.id), &json!(cart.token)));
    });
}

#[test]
fn consent_gives_the_address_and_test_channels_and_history_are_left_out() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let lines = json!([{"sku": "TEE", "quantity": 1}]);
        let agreed = json!({"lines": lines, "email": "ada@example.org", "marketing_consent": true, "device": "mobile"});
        shop.store("POST", "/carts", None, Some(&agreed)).await.expect(201);
        let history = json!({"channel_id": shop.channel, "lines": lines, "occurred_at": "2025-01-01T00:00:00Z"});
        app.ops("POST", "/carts", Some(&history)).await.expect(201);
        let known = app.ops("GET", "/channels", None).await.expect(200)["items"][0].clone();
        let trial = json!({
            "code": "trial", "name": "Trial", "legal_entity_id": known["legal_entity_id"], "test": true,
            "settings": {
                "currencies": ["EUR"], "locales": ["de-DE"], "countries": ["DE"], "time_zone": "Europe/Berlin",
                "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"},
                "payment_methods": ["manual"]
            }
        });
        let trial = app.ops("POST", "/channels", Some(&trial)).await.expect(201);
        let key = trial["publishable_keys"][0].as_str().unwrap();
        let body = json!({"lines": lines, "shipping_address": address()});
        app.send("POST", "/v1/store/carts", &[("Channel-Key", key)], Some(&body)).await.expect(201);
        app.clock.advance_seconds(4000);
        look(&app).await;
        let abandoned = happened(&app, "cart.abandoned.v1").await;
        assert_eq!(abandoned.len(), 1);
        assert_eq!((&abandoned[0]["email"], &abandoned[0]["stage"]), (&json!("ada@example.org"), &json!("contact")));
        let figures = app.ops("GET", "/abandonment", None).await.expect(200);
        assert_eq!(figures["total"]["carts"], 1, "{figures}");
        assert_eq!(figures["by_device"][0]["of"], "mobile");
        assert_eq!(figures["by_stage"][1]["abandoned"], 1);
    });
}

#[test]
fn an_abandoned_guest_cart_is_recovered_by_the_order_of_the_cart_it_went_into() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20), ("MUG", "12.50", 20)]).await;
        let left = shop.cart(&[("TEE", 2)]).await;
        app.clock.advance_seconds(3600);
        look(&app).await;
        assert_eq!(happened(&app, "cart.abandoned.v1").await.len(), 1);

        // They come back, sign in, and find the cart that they had begun elsewhere.
        let mut claims = app.claims(Audience::Customer, "ada", "");
        claims.email = Some("ada@example.org".to_owned());
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let signed_in = [("Channel-Key", shop.key.as_str()), ("Authorization", token.as_str())];
        let send = async |method: &str, path: &str, body: Value| {
            app.send(method, &format!("/v1/store/carts{path}"), &signed_in, Some(&body)).await
        };
        let begun = json!({"lines": [{"sku": "MUG", "quantity": 1}]});
        let (mine, final_cart) =
            (send("POST", "", begun.clone()).await.expect(201), send("POST", "", begun).await.expect(201));
        let id = |cart: &Value| cart["id"].as_str().unwrap().to_owned();
        let merge = json!({"from": left.id, "from_token": left.token});
        send("POST", &format!("/{}/merge", id(&mine)), merge).await.expect(200);
        look(&app).await;
        assert!(happened(&app, "cart.recovered.v1").await.is_empty());
        // And that into a third: the abandonment goes with it.
        send("POST", &format!("/{}/merge", id(&final_cart)), json!({"from": mine["id"]})).await.expect(200);
        let pay = json!({"payment": {"method": "sandbox", "instrument": "approve"}});
        let done = send("POST", &format!("/{}/complete", id(&final_cart)), pay).await.expect(201);

        // However many look at once, it is told once.
        app.state.db.write(events::number).await.unwrap();
        let now = app.now();
        for looked in join_all((0..4).map(|_| abandonment::recover(&app.state, now))).await {
            looked.unwrap();
        }
        look(&app).await;
        let recovered = happened(&app, "cart.recovered.v1").await;
        assert_eq!(recovered.len(), 1);
        assert_eq!((&recovered[0]["cart_id"], &recovered[0]["order_id"]), (&json!(left.id), &done["order"]["id"]));
        let total = app.ops("GET", "/abandonment", None).await.expect(200)["total"].clone();
        assert_eq!((&total["abandoned"], &total["recovered"]), (&json!(1), &json!(1)), "{total}");
        assert_eq!(total["recovered_value"][0], left.body["total"]);
    });
}

#[test]
fn many_detectors_at_once_find_each_cart_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 100)]).await;
        join_all((0..12).map(|_| shop.cart(&[("TEE", 1)]))).await;
        app.clock.advance_seconds(3700);
        let now = app.now();
        for done in join_all((0..4).map(|_| abandonment::detect(&app.state, now))).await {
            done.unwrap();
        }
        // What one had in hand another passed by: a last look finds what is left, if anything.
        look(&app).await;
        let abandoned = happened(&app, "cart.abandoned.v1").await;
        let carts: HashSet<&str> = abandoned.iter().map(|event| event["cart_id"].as_str().unwrap()).collect();
        assert_eq!((abandoned.len(), carts.len(), shop.count("abandonments").await), (12, 12, 12));
    });
}

#[test]
fn activity_at_the_very_moment_counts_or_comes_after() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 100)]).await;
        let carts = join_all((0..8).map(|_| shop.cart(&[("TEE", 1)]))).await;
        app.clock.advance_seconds(3600);
        let now = app.now();
        let body = json!({"device": "tablet"});
        let touch = join_all(carts.iter().map(|cart| {
            let path = format!("/carts/{}", cart.id);
            let (shop, body) = (&shop, &body);
            async move { shop.store("PATCH", &path, Some(&cart.token), Some(body)).await.expect(200) }
        }));
        let look_at_once = join_all((0..3).map(|_| abandonment::detect(&app.state, now)));
        let (_, looked) = futures::join!(touch, look_at_once);
        looked.into_iter().for_each(|done| done.unwrap());
        // Nobody is abandoned before an hour has passed since; in the end everybody is, once.
        let early = shop.count("abandonments").await;
        look(&app).await;
        assert_eq!(shop.count("abandonments").await, early);
        app.clock.advance_seconds(3600);
        look(&app).await;
        assert_eq!((shop.count("abandonments").await, happened(&app, "cart.abandoned.v1").await.len()), (8, 8));
    });
}

#[test]
fn an_order_at_the_very_moment_is_a_recovery_exactly_when_the_cart_was_abandoned() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 100)]).await;
        let carts = join_all((0..8).map(|_| shop.cart(&[("TEE", 1)]))).await;
        app.clock.advance_seconds(3600);
        let now = app.now();
        let order = join_all(carts.iter().map(|cart| async {
            shop.complete(cart, "approve").await.expect(201);
        }));
        let look_at_once = join_all((0..3).map(|_| abandonment::detect(&app.state, now)));
        let (_, looked) = futures::join!(order, look_at_once);
        looked.into_iter().for_each(|done| done.unwrap());
        app.state.db.write(events::number).await.unwrap();
        for done in join_all((0..4).map(|_| abandonment::recover(&app.state, now))).await {
            done.unwrap();
        }
        look(&app).await;
        let of = |events: &[Value]| -> HashSet<String> {
            events.iter().map(|event| event["cart_id"].as_str().unwrap().to_owned()).collect()
        };
        let (abandoned, recovered) =
            (happened(&app, "cart.abandoned.v1").await, happened(&app, "cart.recovered.v1").await);
        assert_eq!((of(&abandoned), recovered.len()), (of(&recovered), of(&recovered).len()));
        app.clock.advance_seconds(7200);
        look(&app).await;
        assert_eq!(happened(&app, "cart.abandoned.v1").await.len(), abandoned.len());
    });
}
