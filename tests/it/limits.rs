//! How often somebody may ask, and that nobody gets round it by making things up.

use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, on_both, on_both_set};
use kontor::{config::Settings, http::auth::Audience};

/// Twelve requests a minute, behind a proxy on this machine.
fn few(settings: &mut Settings) {
    settings.http.store_requests_per_minute = 12;
    settings.http.lookup_requests_per_minute = 3;
    "127.0.0.1".clone_into(&mut settings.http.trusted_proxies);
}

/// A request from an address, as the proxy tells it.
async fn ask(shop: &Shop, from: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut all = vec![("Channel-Key", shop.key.as_str()), ("X-Forwarded-For", from)];
    all.extend(headers);
    let body = json!({"number": "1", "email": "ada@example.org", "postcode": "1"});
    shop.app.send(method, &format!("/v1/store{path}"), &all, (method == "POST").then_some(&body)).await
}

/// How many of so many requests get through.
async fn through(count: usize, send: impl AsyncFn(usize) -> Answer) -> usize {
    let mut through = 0;
    for turn in 0..count {
        let answer = send(turn).await;
        match answer.status {
            429 => assert!(answer.header("Retry-After").is_some() && answer.body["code"] == "rate_limited"),
            _ => through += 1,
        }
    }
    through
}

/// Sends twenty requests, of which twelve get through, or one more where a minute's part has gone by meanwhile.
async fn is_limited(what: &str, send: impl AsyncFn(usize) -> Answer) {
    let through = through(20, send).await;
    assert!((12..=14).contains(&through), "{what}: {through} of 20");
}

async fn a_shop(app: &App) -> Shop {
    Shop::open(app, &[("TEE", "19.90", 10)]).await
}

#[test]
fn made_up_tokens_are_no_way_round_the_limit() {
    on_both_set(few, |app| async move {
        let shop = a_shop(&app).await;
        is_limited("no token", async |_| ask(&shop, "192.0.2.1", "GET", "/config", &[]).await).await;
        is_limited("ever new tokens", async |turn| {
            ask(&shop, "192.0.2.2", "GET", "/config", &[("Cart-Token", &format!("token-{turn}"))]).await
        })
        .await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        let path = format!("/carts/{}", cart.id);
        is_limited("ever new tokens of a cart that exists", async |turn| {
            ask(&shop, "192.0.2.3", "GET", &path, &[("Cart-Token", &format!("token-{turn}"))]).await
        })
        .await;
        is_limited("ever new carts that do not exist", async |_| {
            let made_up = format!("/carts/{}", kontor::kernel::ids::CartId::new());
            ask(&shop, "192.0.2.4", "GET", &made_up, &[("Cart-Token", &cart.token)]).await
        })
        .await;
        is_limited("ever new addresses that the client has written itself", async |turn| {
            ask(&shop, &format!("198.51.100.{turn}, 192.0.2.5"), "GET", "/config", &[]).await
        })
        .await;
    });
}

#[test]
fn a_cart_that_exists_and_a_customer_count_for_themselves() {
    on_both_set(few, |app| async move {
        let shop = a_shop(&app).await;
        let carts = [shop.cart(&[("TEE", 1)]).await, shop.cart(&[("TEE", 1)]).await];
        // From one address, as behind a mobile network: each has their own.
        for cart in &carts {
            let path = format!("/carts/{}", cart.id);
            is_limited("a cart", async |_| ask(&shop, "192.0.2.1", "GET", &path, &[("Cart-Token", &cart.token)]).await)
                .await;
        }
        let customer = format!("Bearer {}", app.token(Audience::Customer, "ada", &[]));
        // From wherever they ask.
        is_limited("a customer", async |turn| {
            ask(&shop, &format!("192.0.2.{turn}"), "GET", "/me", &[("Authorization", &customer)]).await
        })
        .await;
        assert_eq!(ask(&shop, "192.0.2.1", "GET", "/config", &[]).await.status, 200);
    });
}

#[test]
fn of_ipv6_a_network_counts_as_one_address() {
    on_both_set(few, |app| async move {
        let shop = a_shop(&app).await;
        is_limited("ever new addresses of one /64", async |turn| {
            ask(&shop, &format!("2001:db8:0:7::{turn:x}"), "GET", "/config", &[]).await
        })
        .await;
        assert_eq!(ask(&shop, "2001:db8:0:8::1", "GET", "/config", &[]).await.status, 200);
        // An IPv4 address is the same however it is written.
        is_limited("an address in two ways", async |turn| {
            let from = if turn % 2 == 0 { "192.0.2.1" } else { "::ffff:192.0.2.1" };
            ask(&shop, from, "GET", "/config", &[]).await
        })
        .await;
        let looked = through(9, async |turn| {
            ask(&shop, &format!("2001:db8:0:9::{turn:x}"), "POST", "/orders/lookup", &[]).await
        });
        assert!((3..=4).contains(&looked.await));
    });
}

#[test]
fn a_made_up_token_does_not_lead_to_a_strangers_cart() {
    on_both_set(
        |settings| "127.0.0.1".clone_into(&mut settings.http.trusted_proxies),
        |app| async move {
            let shop = a_shop(&app).await;
            // A storefront that sends what it has not got, to two shoppers with the same key.
            let make = async |from: &str| {
                let headers = [
                    ("Channel-Key", shop.key.as_str()),
                    ("X-Forwarded-For", from),
                    ("Cart-Token", "undefined"),
                    ("Idempotency-Key", "9b2f6a52-7c1e-4f0b-9d3a-2f1f6f0c8e11"),
                ];
                app.send("POST", "/v1/store/carts", &headers, Some(&json!({}))).await.expect(201)["id"].clone()
            };
            let (ada, bob) = (make("192.0.2.1").await, make("192.0.2.2").await);
            assert_ne!(ada, bob);
            assert_eq!(make("192.0.2.1").await, ada);
        },
    );
}

#[test]
fn a_guest_without_a_cart_is_told_apart_by_a_key_that_nobody_else_comes_upon() {
    on_both(|app| async move {
        let shop = a_shop(&app).await;
        // Shoppers of one office: all from one address.
        let make = async |key: &str, body: Value| {
            let headers = [("Channel-Key", shop.key.as_str()), ("Idempotency-Key", key)];
            app.send("POST", "/v1/store/carts", &headers, Some(&body)).await
        };
        for plain in ["1", "new-cart", "create-cart-1", "1111111111111111111111111111111111111111"] {
            let problem = make(plain, json!({})).await.problem(400, "invalid_header");
            assert_eq!(problem["pointer"], "Idempotency-Key", "{plain}");
        }
        let (ada, bob) = ("0191e5c8-58a7-7c3e-8d7a-7f4d5f6a1b2c", "0191e5c8-58a7-7c3e-8d7a-7f4d5f6a1b2d");
        let of_ada = make(ada, json!({})).await.expect(201);
        let of_bob = make(bob, json!({})).await.expect(201);
        assert!(of_ada["id"] != of_bob["id"] && of_ada["token"] != of_bob["token"]);
        assert_eq!(make(ada, json!({})).await.expect(201), of_ada);
        make(ada, json!({"device": "mobile"})).await.problem(422, "idempotency_key_reused");
        // So too where a link's token is shown, which many may have been sent.
        let path = format!("/v1/store/carts/{}/recover", of_ada["id"].as_str().unwrap());
        let headers = [("Channel-Key", shop.key.as_str()), ("Idempotency-Key", "1")];
        let token = app.state.secret.token("recover", of_ada["id"].as_str().unwrap());
        app.send("POST", &path, &headers, Some(&json!({ "token": token }))).await.problem(400, "invalid_header");
        // Whoever has a cart, or is signed in, uses what key they like.
        let path = format!("/v1/store/carts/{}/lines", of_ada["id"].as_str().unwrap());
        let own = of_ada["token"].as_str().unwrap();
        let headers = [("Channel-Key", shop.key.as_str()), ("Cart-Token", own), ("Idempotency-Key", "1")];
        app.send("POST", &path, &headers, Some(&json!({"sku": "TEE", "quantity": 1}))).await.expect(200);
        let claims = app.claims(Audience::Customer, "eve", "");
        let eve = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let headers = [("Channel-Key", shop.key.as_str()), ("Authorization", &eve), ("Idempotency-Key", "1")];
        app.send("POST", "/v1/store/carts", &headers, Some(&json!({}))).await.expect(201);
    });
}
