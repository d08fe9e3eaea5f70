//! Codes can not be found by trying: whatever way they are brought, one address brings so many a minute only, and nobody else is kept
//! from bringing theirs.

use kontor::{config::Settings, http::auth::Audience};
use serde_json::{Value, json};

use crate::{
    promotions::{eur, percent, promote},
    support::{Answer, App, Cart, Shop, on_both_set},
};

/// So many codes a minute.
const FEW: usize = 4;
const GUESSER: &str = "192.0.2.66";
const HONEST: &str = "198.51.100.7";

fn few(settings: &mut Settings) {
    settings.http.coupon_requests_per_minute = FEW as u32;
    "127.0.0.1".clone_into(&mut settings.http.trusted_proxies);
}

/// A shop that takes gift cards, with a coupon and a card of 50.00: its code.
async fn open(app: &App) -> (Shop, String) {
    let shop = Shop::open(app, &[("MUG", "10.00", 50)]).await;
    shop.set(json!({"payment_methods": ["manual", "sandbox", "gift_card", "store_credit"]})).await;
    let id = promote(app, "tenth", json!({"gift": percent("10", "order"), "conditions": {"coupon": true}})).await;
    app.ops("POST", &format!("/promotions/{id}/coupons"), Some(&json!({"code": "TENTH"}))).await.expect(201);
    let card = app.ops("POST", "/gift-cards", Some(&json!({"amount": eur("50.00")}))).await.expect(201);
    (shop, card["code"].as_str().unwrap().to_owned())
}

/// A request to a storefront from an address, as the proxy tells it.
async fn send(shop: &Shop, from: &str, way: (&str, &str), more: &[(&str, &str)], body: &Value) -> Answer {
    let headers = [&[("Channel-Key", shop.key.as_str()), ("X-Forwarded-For", from)], more].concat();
    shop.app.send(way.0, &format!("/v1/store{}", way.1), &headers, Some(body)).await
}

/// The ways in which somebody may bring a code.
#[derive(Debug, Clone, Copy)]
enum Way {
    CardOnCart,
    Balance,
    CouponOnCart,
    CouponOfNewCart,
    CouponsOfCart,
}

const ALL: [Way; 5] = [Way::CardOnCart, Way::Balance, Way::CouponOnCart, Way::CouponOfNewCart, Way::CouponsOfCart];

impl Way {
    async fn bring(self, shop: &Shop, from: &str, cart: &Cart, code: &str) -> Answer {
        let (path, token) = (format!("/carts/{}", cart.id), [("Cart-Token", cart.token.as_str())]);
        match self {
            Self::CardOnCart => {
                let body = json!({ "code": code });
                send(shop, from, ("POST", &format!("{path}/gift-cards")), &token, &body).await
            }
            Self::Balance => send(shop, from, ("POST", "/gift-cards/balance"), &[], &json!({ "code": code })).await,
            Self::CouponOnCart => {
                send(shop, from, ("POST", &format!("{path}/coupons")), &token, &json!({ "code": code })).await
            }
            Self::CouponOfNewCart => {
                let body = json!({"lines": [{"sku": "MUG", "quantity": 1}], "coupons": [code]});
                send(shop, from, ("POST", "/carts"), &[], &body).await
            }
            Self::CouponsOfCart => send(shop, from, ("PATCH", &path), &token, &json!({"coupons": [code]})).await,
        }
    }

    /// What is said of a code that nobody knows: of one that looks like a generated coupon, that it was mistyped.
    const fn unknown(self) -> &'static [&'static str] {
        match self {
            Self::CardOnCart | Self::Balance => &["gift_card_unknown"],
            Self::CouponOnCart | Self::CouponOfNewCart | Self::CouponsOfCart => &["coupon_unknown", "coupon_mistyped"],
        }
    }
}

/// Counts a guess: it is answered as an unknown code, or it is refused and told when to come again.
fn counted(way: Way, answer: Answer) -> usize {
    if answer.status != 429 {
        assert!(way.unknown().iter().any(|code| answer.body["code"] == *code), "{way:?}: {}", answer.text);
        return 1;
    }
    let wait: i64 = answer.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    answer.problem(429, "rate_limited");
    0
}

/// So many get through of twelve, or one more where a part of the minute has gone by meanwhile.
fn is_limited(what: &str, through: usize) {
    assert!((FEW..=FEW + 1).contains(&through), "{what}: {through} of 12");
}

#[test]
fn each_way_to_bring_a_code_is_limited_by_the_address_and_others_are_served() {
    for way in ALL {
        on_both_set(few, |app| async move {
            let (shop, card) = open(&app).await;
            let carts = [shop.cart(&[("MUG", 1)]).await, shop.cart(&[("MUG", 1)]).await];
            let mut through = 0;
            for turn in 0..12 {
                // Ever another cart is no way round it.
                let guess = format!("2222-3333-4444-{:04}", 5555 + turn);
                through += counted(way, way.bring(&shop, GUESSER, &carts[turn % 2], &guess).await);
            }
            is_limited(&format!("{way:?}"), through);
            // Even the right one is not told apart while there are too many.
            let right = if way.unknown().contains(&"coupon_unknown") { "tenth" } else { &card };
            let late = way.bring(&shop, GUESSER, &carts[0], right).await;
            late.problem(429, "rate_limited");
            // An honest client is served meanwhile, on a cart of theirs and on the very cart that was tried on.
            for cart in [&shop.cart(&[("MUG", 1)]).await, &carts[0]] {
                let answer = way.bring(&shop, HONEST, cart, right).await;
                assert!(matches!(answer.status, 200 | 201), "{way:?}: {}", answer.text);
            }
        });
    }
}

#[test]
fn all_ways_count_together_and_nothing_else_does() {
    on_both_set(few, |app| async move {
        let (shop, card) = open(&app).await;
        let cart = shop.cart(&[("MUG", 1)]).await;
        let mut through = 0;
        for turn in 0..12 {
            let way = ALL[turn % ALL.len()];
            through += counted(way, way.bring(&shop, GUESSER, &cart, &format!("WRONG{turn}")).await);
        }
        is_limited("one way after the other", through);
        // What brings no code is not counted: a cart is made, read, changed, and rid of its coupons.
        let (path, token) = (format!("/carts/{}", cart.id), [("Cart-Token", cart.token.as_str())]);
        for _ in 0..FEW + 2 {
            send(&shop, GUESSER, ("POST", "/carts"), &[], &json!({"lines": []})).await.expect(201);
            send(&shop, GUESSER, ("PATCH", &path), &token, &json!({"coupons": []})).await.expect(200);
        }
        // Nor does the address keep its cart from being ordered, with what others have put on it.
        Way::CardOnCart.bring(&shop, HONEST, &cart, &card).await.expect(200);
        let complete = format!("{path}/complete");
        send(&shop, GUESSER, ("POST", &complete), &token, &json!({})).await.expect(201);
        // Staff try as often as they like: they are known.
        let lookup = json!({ "code": card });
        for _ in 0..FEW * 3 {
            app.ops("POST", "/gift-cards/lookup", Some(&lookup)).await.expect(200);
        }
        let new = json!({"channel_id": shop.channel, "lines": [{"sku": "MUG", "quantity": 1}]});
        let staffs = app.ops("POST", "/carts", Some(&new)).await.expect(201);
        let path = format!("/carts/{}", staffs["id"].as_str().unwrap());
        for turn in 0..FEW * 3 {
            let wrong = json!({"coupons": [format!("WRONG{turn}")]});
            app.ops("PATCH", &path, Some(&wrong)).await.problem(422, "coupon_unknown");
        }
    });
}

#[test]
fn ever_new_customers_from_one_address_are_no_way_round_it_and_a_customer_elsewhere_is_served() {
    on_both_set(few, |app| async move {
        let (shop, card) = open(&app).await;
        let mut through = 0;
        for turn in 0..12 {
            let customer = format!("Bearer {}", app.token(Audience::Customer, &format!("eve-{turn}"), &[]));
            let headers = [("Authorization", customer.as_str())];
            let guess = json!({"code": format!("2222-3333-4444-{:04}", 5555 + turn)});
            let answer = send(&shop, GUESSER, ("POST", "/gift-cards/balance"), &headers, &guess).await;
            through += counted(Way::Balance, answer);
        }
        is_limited("ever new customers", through);
        let ada = format!("Bearer {}", app.token(Audience::Customer, "ada", &[]));
        let headers = [("Authorization", ada.as_str())];
        let right = json!({ "code": card });
        send(&shop, GUESSER, ("POST", "/gift-cards/balance"), &headers, &right).await.problem(429, "rate_limited");
        let seen = send(&shop, HONEST, ("POST", "/gift-cards/balance"), &headers, &right).await.expect(200);
        assert_eq!(seen["available"], eur("50.00"));
        // What a guesser writes before the proxy's word counts for nothing.
        let made_up = format!("203.0.113.9, {GUESSER}");
        send(&shop, &made_up, ("POST", "/gift-cards/balance"), &[], &right).await.problem(429, "rate_limited");
    });
}
