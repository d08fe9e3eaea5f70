//! Two servers over one database: what is changed through one is charged by the other within a second.

use std::time::{Duration, Instant};

use kontor::{
    db::{Db, Options},
    process::{Process, Roles},
};
use serde_json::{Value, json};

use crate::{
    promotions::{again, eur, percent, plan, promote},
    support::{App, Cart, Shop, on_both},
};

/// A second server of a shop: its process, and the shop through it.
async fn beside(shop: &Shop) -> (Process, Shop) {
    let app = &shop.app;
    let options = Options { connections: 3, ..Options::new(app.database_url.clone()) };
    let roles = Roles { serve: true, work: false };
    let settings = crate::support::app::settings();
    let second = Process::start(Db::open(options).unwrap(), app.clock.clone(), settings, roles).await.unwrap();
    let there = Shop { app: app.through(&second), ..shop.clone() };
    (second, there)
}

/// Asks until the answer is the expected one: at most for a second after what was done before.
async fn within_a_second(what: &str, expected: &str, ask: impl AsyncFn() -> String) {
    let begun = Instant::now();
    loop {
        let asked_after = begun.elapsed();
        let is = ask().await;
        if is == expected {
            return;
        }
        assert!(asked_after < Duration::from_secs(1), "{what}: {is} and not {expected} after {asked_after:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What a new cart of one mug costs, without shipping.
async fn costs(shop: &Shop) -> String {
    let body = json!({"lines": [{"sku": "MUG", "quantity": 1}]});
    let cart = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
    cart["total"]["amount"].as_str().unwrap().to_owned()
}

async fn rate(shop: &Shop) -> String {
    let offers = shop.store("POST", "/offers", None, Some(&json!({"skus": ["MUG"]}))).await.expect(200);
    offers["items"][0]["tax_rate"].as_str().unwrap().to_owned()
}

/// Whether a shop is served by several servers: only on PostgreSQL.
async fn two_of(app: &App) -> Option<(Process, Shop, Shop)> {
    if !app.is_postgres() {
        return None;
    }
    let here = Shop::open(app, &[("MUG", "10.00", 500)]).await;
    let (second, there) = beside(&here).await;
    within_a_second("the shop is there", "10.00", async || costs(&there).await).await;
    Some((second, here, there))
}

#[test]
fn a_promotion_is_given_changed_and_taken_back_everywhere_within_a_second() {
    on_both(|app| async move {
        let Some((second, here, there)) = two_of(&app).await else { return };
        let id = plan(&app, "tenth", json!({"gift": percent("10", "order")})).await;
        let path = format!("/promotions/{id}");
        let (accepted, half) =
            (json!({"despite_warnings": true}), json!({"gift": percent("50", "order"), "despite_warnings": true}));
        // More than once, so that it is no luck.
        for _ in 0..3 {
            assert_eq!(costs(&there).await, "10.00");
            app.ops("POST", &format!("{path}/activate"), Some(&accepted)).await.expect(200);
            assert_eq!(costs(&here).await, "9.00", "where it was activated it is at once");
            within_a_second("activated", "9.00", async || costs(&there).await).await;
            app.ops("PATCH", &path, Some(&half)).await.expect(200);
            assert_eq!(costs(&here).await, "5.00");
            within_a_second("changed", "5.00", async || costs(&there).await).await;
            // The other way round as well.
            there.app.ops("POST", &format!("{path}/pause"), None).await.expect(200);
            assert_eq!(costs(&there).await, "10.00");
            within_a_second("paused", "10.00", async || costs(&here).await).await;
            app.ops("PATCH", &path, Some(&json!({"gift": percent("10", "order")}))).await.expect(200);
        }
        app.ops("POST", &format!("{path}/activate"), Some(&accepted)).await.expect(200);
        within_a_second("activated", "9.00", async || costs(&there).await).await;
        app.ops("POST", &format!("{path}/end"), None).await.expect(200);
        within_a_second("ended", "10.00", async || costs(&there).await).await;
        second.stop().await;
    });
}

#[test]
fn prices_lists_taxes_and_shipping_are_what_they_are_everywhere_within_a_second() {
    on_both(|app| async move {
        let Some((second, here, there)) = two_of(&app).await else { return };
        let cart = there.cart(&[("MUG", 1)]).await;
        assert_eq!(cart.body["total"], eur("14.90"));
        // A price is read where it is, and is there at once; a list is what is known of it.
        here.set_price("MUG", "12.00").await;
        assert_eq!(costs(&there).await, "12.00");
        let sale = json!({"code": "sale", "name": "Sale", "currency": "EUR", "kind": "sale", "priority": 5});
        let sale = app.ops("POST", "/price-lists", Some(&sale)).await.expect(201);
        let sale = format!("/price-lists/{}", sale["id"].as_str().unwrap());
        let rows = json!({"rows": [{"sku": "MUG", "unit_price": eur("8.00")}]});
        app.ops("PUT", &format!("{sale}/prices"), Some(&rows)).await.expect(200);
        within_a_second("a new list", "8.00", async || costs(&there).await).await;
        app.ops("PATCH", &sale, Some(&json!({"valid_until": app.now()}))).await.expect(200);
        within_a_second("a list that is over", "12.00", async || costs(&there).await).await;
        // A rate that is valid from now on, and is taken away again.
        assert_eq!(rate(&there).await, "0.19");
        let new = json!({"country": "DE", "tax_class": "standard", "rate": "0.16", "valid_from": app.now()});
        let new = app.ops("POST", "/tax-rates", Some(&new)).await.expect(201);
        assert_eq!(rate(&here).await, "0.16");
        within_a_second("a new rate", "0.16", async || rate(&there).await).await;
        // The cart that was made there before is taxed and priced by it.
        let seen = again(&there, &cart).await;
        assert_eq!((&seen["totals"]["lines"][0]["tax_rate"], &seen["total"]), (&json!("0.16"), &eur("16.90")));
        app.ops("DELETE", &format!("/tax-rates/{}", new["id"].as_str().unwrap()), None).await.expect(204);
        within_a_second("a rate that is gone", "0.19", async || rate(&there).await).await;
        let methods = app.ops("GET", "/shipping-methods", None).await.expect(200);
        let method = format!("/shipping-methods/{}", methods["items"][0]["id"].as_str().unwrap());
        app.ops("PATCH", &method, Some(&json!({"rates": [{"price": eur("1.00")}]}))).await.expect(200);
        let total = async || again(&there, &cart).await["total"]["amount"].as_str().unwrap().to_owned();
        within_a_second("another price of shipping", "13.00", total).await;
        second.stop().await;
    });
}

async fn use_coupon(shop: &Shop, cart: &Cart) -> String {
    let path = format!("/carts/{}/coupons", cart.id);
    let answer = shop.store("POST", &path, Some(&cart.token), Some(&json!({"code": "tenth"}))).await;
    answer.body["reason"].as_str().or(answer.body["total"]["amount"].as_str()).unwrap_or(&answer.text).to_owned()
}

#[test]
fn a_blocked_coupon_is_refused_everywhere_at_once_and_what_is_being_paid_keeps_it() {
    on_both(|app| async move {
        let Some((second, here, there)) = two_of(&app).await else { return };
        let id = promote(&app, "tenth", json!({"gift": percent("10", "order"), "conditions": {"coupon": true}})).await;
        let new = json!({"code": "TENTH", "max_uses": 5});
        app.ops("POST", &format!("/promotions/{id}/coupons"), Some(&new)).await.expect(201);
        let cart = there.cart(&[("MUG", 1)]).await;
        within_a_second("a new coupon", "13.90", async || use_coupon(&there, &cart).await).await;
        // One is being paid already.
        let paying = there.cart(&[("MUG", 1)]).await;
        assert_eq!(use_coupon(&there, &paying).await, "13.90");
        let path = format!("/carts/{}/checkout", paying.id);
        there.store("POST", &path, Some(&paying.token), None).await.expect(200);
        app.ops("PATCH", "/coupons/tenth", Some(&json!({"blocked": true}))).await.expect(200);
        let other = there.cart(&[("MUG", 1)]).await;
        assert_eq!(use_coupon(&there, &other).await, "coupon_blocked");
        assert_eq!(again(&there, &cart).await["total"], eur("14.90"));
        let order = there.complete(&paying, "approve").await.expect(201)["order"].clone();
        assert_eq!(order["total"], eur("13.90"));
        // Let go through the other server, it counts again.
        there.app.ops("PATCH", "/coupons/tenth", Some(&json!({"blocked": false}))).await.expect(200);
        let third = here.cart(&[("MUG", 1)]).await;
        assert_eq!(use_coupon(&here, &third).await, "13.90");
        let seen: Value = app.ops("GET", "/coupons/tenth", None).await.expect(200);
        assert_eq!((&seen["uses"], &seen["blocked"]), (&json!(1), &json!(false)));
        second.stop().await;
    });
}
