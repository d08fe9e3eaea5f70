//! How often somebody may ask, and that nobody gets round it by making things up.

use serde_json::json;

use crate::support::{Answer, App, Shop, on_both_set};
use kontor::{config::Settings, http::auth::Audience, kernel::Scope};

/// Twelve requests a minute, behind a proxy on this machine.
fn few(settings: &mut Settings) {
    settings.http.store_requests_per_minute = 12;
    settings.http.lookup_requests_per_minute = 3;
    settings.http.coupon_requests_per_minute = 4;
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
                    ("Idempotency-Key", "1"),
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
fn staff_and_clients_are_limited_each_for_themselves() {
    let few = |settings: &mut Settings| {
        settings.http.ops_requests_per_minute = 12;
        settings.http.integration_requests_per_minute = 12;
    };
    on_both_set(few, |app| async move {
        let ask = async |usage: Audience, subject: &str, path: &str| {
            let token = format!("Bearer {}", app.token(usage, subject, Scope::ALL));
            app.send("GET", path, &[("Authorization", &token)], None).await
        };
        let (ops, feed) = ("/v1/ops/channels", "/v1/integration/feeds/orders/consumers");
        for (usage, path) in [(Audience::Staff, ops), (Audience::Client, feed)] {
            let first = ask(usage, "ada", path).await;
            assert_eq!((first.status, first.header("RateLimit-Limit")), (200, Some("12")), "{}", first.text);
            assert_eq!(first.header("RateLimit-Remaining"), Some("11"));
            // Ever new tokens are the same person's.
            let left = through(19, async |_| ask(usage, "ada", path).await).await;
            assert!((11..=13).contains(&left), "{path}: {left} of 19");
            let refused = loop {
                let answer = ask(usage, "ada", path).await;
                if answer.status == 429 {
                    break answer;
                }
            };
            assert_eq!(refused.header("RateLimit-Remaining"), Some("0"));
            let wait: i64 = refused.header("Retry-After").unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
            // Somebody else is served meanwhile, and whoever is nobody is told that.
            assert_eq!(ask(usage, "bob", path).await.status, 200);
            assert_eq!(app.send("GET", path, &[("Authorization", "Bearer nonsense")], None).await.status, 401);
        }
    });
}

#[test]
fn an_api_key_is_a_principal_of_its_own() {
    on_both_set(
        |settings| settings.http.integration_requests_per_minute = 12,
        |app| async move {
            let make = async |name: &str| {
                let new = json!({"name": name, "scopes": ["feeds:read"]});
                app.ops("POST", "/api-keys", Some(&new)).await.expect(201)["key"].as_str().unwrap().to_owned()
            };
            let (one, other) = (make("erp").await, make("erp").await);
            let ask = async |key: &str| {
                let path = "/v1/integration/feeds/orders/consumers";
                app.send("GET", path, &[("Authorization", &format!("Bearer {key}"))], None).await
            };
            is_limited("a key", async |_| ask(&one).await).await;
            assert_eq!(ask(&other).await.status, 200);
        },
    );
}

#[test]
fn coupons_can_not_be_guessed_by_trying() {
    on_both_set(few, |app| async move {
        let shop = a_shop(&app).await;
        let carts = [shop.cart(&[("TEE", 1)]).await, shop.cart(&[("TEE", 1)]).await];
        // Whatever cart they are tried on, and whatever way: by one address only so many.
        let tried = through(12, async |turn| {
            let cart = &carts[turn % 2];
            let headers =
                [("Channel-Key", shop.key.as_str()), ("Cart-Token", &cart.token), ("X-Forwarded-For", "192.0.2.9")];
            let (method, path, body) = match turn % 3 {
                0 => ("PATCH", format!("/v1/store/carts/{}", cart.id), json!({"coupons": [format!("TRY{turn}")]})),
                _ => ("POST", format!("/v1/store/carts/{}/coupons", cart.id), json!({"code": format!("TRY{turn}")})),
            };
            app.send(method, &path, &headers, Some(&body)).await
        })
        .await;
        assert!((4..=5).contains(&tried), "{tried}");
        // Everything else goes on.
        let path = format!("/carts/{}", carts[0].id);
        ask(&shop, "192.0.2.9", "GET", &path, &[("Cart-Token", &carts[0].token)]).await.expect(200);
    });
}
