//! Promotions whose rules, limits or buyers change while somebody is at the checkout.

use kontor::{db::sql, http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    promotions::{eur, percent, plan, promote},
    support::{App, Cart, Shop, eventually, on_both, shop::address},
};

fn total(cart: &Value) -> &str {
    cart["total"]["amount"].as_str().unwrap()
}

async fn freeze(shop: &Shop, cart: &Cart) -> Value {
    shop.store("POST", &format!("/carts/{}/checkout", cart.id), Some(&cart.token), None).await.expect(200)
}

async fn patch(app: &App, promotion: &str, change: Value) {
    app.ops("PATCH", &format!("/promotions/{promotion}"), Some(&change)).await.expect(200);
}

/// Uses, pieces, amount in cents, carts that hold some.
async fn taken(app: &App, promotion: &str) -> [i64; 4] {
    let seen = app.ops("GET", &format!("/promotions/{promotion}"), None).await.expect(200);
    ["uses", "units", "amount_minor", "reserved"].map(|name| seen["taken"][name].as_i64().unwrap())
}

/// Completes as somebody who is signed in, beside the guest's token.
async fn complete_as(shop: &Shop, cart: &Cart, subject: &str) -> crate::support::Answer {
    let bearer = format!("Bearer {}", shop.app.token(Audience::Customer, subject, &[]));
    let headers = [("Channel-Key", shop.key.as_str()), ("Cart-Token", &cart.token), ("Authorization", &bearer)];
    let body = json!({"payment": {"method": "sandbox"}});
    shop.app.send("POST", &format!("/v1/store/carts/{}/complete", cart.id), &headers, Some(&body)).await
}

async fn emailed(shop: &Shop, email: &str) -> Cart {
    let cart = shop.cart(&[("MUG", 1)]).await;
    let who = json!({ "email": email });
    shop.store("PATCH", &format!("/carts/{}", cart.id), Some(&cart.token), Some(&who)).await.expect(200);
    cart
}

#[test]
fn what_a_lapsed_checkout_held_counts_for_nothing() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "40.00", 50)]).await;
        let budget = json!({"limits": {"budget": eur("1000.00")}, "gift": {"type": "amount", "amount": eur("10.00"), "on": "order"}});
        let first = promote(&app, "budget", budget).await;
        let once = json!({"limits": {"uses": 1}, "gift": percent("10", "order"), "priority": -1});
        let second = promote(&app, "once", once).await;
        let cart = shop.cart(&[("MUG", 1)]).await;
        // 10.00 off, then 10 % of the 30.00 that are left.
        assert_eq!(total(&freeze(&shop, &cart).await), "31.90");
        // It lapses, and nobody has swept yet; meanwhile the one gives more and the other is over.
        sql_all(&app, "UPDATE promotion_uses SET expires_at = created_at").await;
        app.clock.advance_seconds(3600);
        sql_all(&app, "UPDATE promotion_uses SET expires_at = created_at").await;
        let more = json!({"type": "amount", "amount": eur("20.00"), "on": "order"});
        patch(&app, &first, json!({"gift": more, "despite_warnings": true})).await;
        app.ops("POST", &format!("/promotions/{second}/end"), None).await.expect(200);
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        assert_eq!(total(&order), "24.90");
        assert_eq!(taken(&app, &first).await, [1, 1, 2000, 0]);
        assert_eq!(taken(&app, &second).await, [0, 0, 0, 0]);
    });
}

async fn sql_all(app: &App, statement: &'static str) {
    app.state.db.write(move |tx| sql(statement).execute(tx)).await.unwrap();
}

#[test]
fn what_is_being_paid_keeps_what_it_was_promised_whatever_becomes_of_the_promotion() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let id = promote(&app, "once", json!({"gift": percent("50", "order"), "limits": {"uses": 1}})).await;
        let free =
            promote(&app, "free", json!({"gift": {"type": "amount", "amount": eur("1.00"), "on": "order"}})).await;
        let cart = shop.cart(&[("MUG", 1)]).await;
        let waits = shop.complete(&cart, "redirect").await.expect(202);
        assert_eq!(taken(&app, &id).await, [1, 1, 0, 1]);
        // The one is ended, the other is limited and used up by others, while the customer is away.
        app.ops("POST", &format!("/promotions/{id}/end"), None).await.expect(200);
        patch(&app, &free, json!({"limits": {"uses": 1}})).await;
        shop.order(&[("MUG", 1)]).await;
        assert_eq!(taken(&app, &free).await, [1, 1, 0, 0]);
        let key = waits["action"]["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        app.ops("POST", &format!("/sandbox/payments/{key}/approve"), None).await.expect(202);
        eventually("it is an order", async || {
            let seen = shop.store("GET", &format!("/carts/{}", cart.id), Some(&cart.token), None).await.expect(200);
            seen["state"] == "completed"
        })
        .await;
        let orders = app.ops("GET", "/orders", None).await.expect(200);
        assert!(orders["items"].as_array().unwrap().iter().any(|order| total(order) == "9.40"), "{orders}");
        // What it has consumed comes back with its cancellation.
        assert_eq!(taken(&app, &id).await, [1, 1, 0, 0]);
    });
}

#[test]
fn whoever_signs_in_to_pay_counts_for_their_account_and_pays_their_price() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let rule = json!({"gift": {"type": "amount", "amount": eur("2.00"), "on": "order"}, "limits": {"uses_per_customer": 1}});
        promote(&app, "one-each", rule).await;
        let first = json!({"gift": {"type": "amount", "amount": eur("1.00"), "on": "order"}, "conditions": {"first_order": true}});
        promote(&app, "first", first).await;
        let cart = emailed(&shop, "a1@example.org").await;
        assert_eq!(total(&complete_as(&shop, &cart, "ada").await.expect(201)["order"]), "11.90");
        // With ever new addresses, it is the same account all the same.
        for email in ["a2@example.org", "a3@example.org"] {
            let cart = emailed(&shop, email).await;
            complete_as(&shop, &cart, "ada").await.problem(409, "promotion_exhausted");
            let bearer = format!("Bearer {}", app.token(Audience::Customer, "ada", &[]));
            let headers = [("Channel-Key", shop.key.as_str()), ("Cart-Token", &cart.token), ("Authorization", &bearer)];
            let path = format!("/v1/store/carts/{}/checkout", cart.id);
            let seen = app.send("POST", &path, &headers, None).await.expect(200);
            assert_eq!(total(&seen), "14.90");
            assert_eq!(total(&complete_as(&shop, &cart, "ada").await.expect(201)["order"]), "14.90");
        }
        // From its first answer on, a cart of somebody who is signed in is priced as theirs.
        let customers = app.ops("GET", "/customers", None).await.expect(200);
        let ada = customers["items"][0]["id"].clone();
        let list = json!({"code": "adas", "name": "Ada's", "currency": "EUR", "customer_id": ada});
        let list = app.ops("POST", "/price-lists", Some(&list)).await.expect(201);
        let rows = json!({"rows": [{"sku": "MUG", "unit_price": eur("7.00")}]});
        let path = format!("/price-lists/{}/prices", list["id"].as_str().unwrap());
        app.ops("PUT", &path, Some(&rows)).await.expect(200);
        let bearer = format!("Bearer {}", app.token(Audience::Customer, "ada", &[]));
        let headers = [("Channel-Key", shop.key.as_str()), ("Authorization", &bearer)];
        let body = json!({"lines": [{"sku": "MUG", "quantity": 1}], "email": "a4@example.org", "shipping_address": address(),
            "shipping_method": "standard"});
        let made = app.send("POST", "/v1/store/carts", &headers, Some(&body)).await.expect(201);
        assert_eq!((total(&made), &made["token"]), ("11.90", &Value::Null));
        let offers = app.send("POST", "/v1/store/offers", &headers, Some(&json!({"skus": ["MUG"]}))).await.expect(200);
        assert_eq!(offers["items"][0]["price"], eur("7.00"));
    });
}

#[test]
fn a_guest_with_the_address_of_a_customer_is_none_who_orders_first() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let ada = json!({"name": "Ada", "email": "ada@example.org"});
        let ada = app.ops("POST", "/customers", Some(&ada)).await.expect(201);
        let new = json!({"channel_id": shop.channel, "customer_id": ada["id"], "email": "other@example.org", "shipping_address": address(),
            "shipping_method": "standard", "lines": [{"sku": "MUG", "quantity": 1}]});
        let cart = app.ops("POST", "/carts", Some(&new)).await.expect(201);
        let pay = json!({"payment": {"method": "manual"}});
        app.ops("POST", &format!("/carts/{}/complete", cart["id"].as_str().unwrap()), Some(&pay)).await.expect(201);
        promote(&app, "first", json!({"gift": percent("50", "order"), "conditions": {"first_order": true}})).await;
        assert_eq!(total(&shop.cart(&[("MUG", 1)]).await.body), "14.90");
        let new = emailed(&shop, "new@example.org").await;
        let seen = shop.store("GET", &format!("/carts/{}", new.id), Some(&new.token), None).await.expect(200);
        assert_eq!(total(&seen), "9.90");
    });
}

#[test]
fn a_budget_keeps_its_currency_once_something_is_taken() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let id =
            promote(&app, "budget", json!({"gift": percent("10", "order"), "limits": {"budget": eur("10.00")}})).await;
        let path = format!("/promotions/{id}");
        let yen = json!({"limits": {"budget": {"amount": "5000", "currency": "JPY"}}});
        patch(&app, &id, yen.clone()).await;
        patch(&app, &id, json!({"limits": {"budget": eur("10.00")}})).await;
        shop.order(&[("MUG", 1)]).await;
        assert_eq!(taken(&app, &id).await, [1, 1, 100, 0]);
        app.ops("PATCH", &path, Some(&yen)).await.problem(422, "limit_below_use");
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["limits"]["budget"], eur("10.00"));
    });
}

#[test]
fn of_a_group_goods_go_before_shipping_and_all_are_told_of() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let of = |gift: Value| json!({"gift": gift, "stacking": {"group": "g"}});
        promote(&app, "goods", of(percent("10", "lines"))).await;
        promote(&app, "shipping", of(percent("100", "shipping"))).await;
        let mut asked = json!({"channel_id": shop.channel, "lines": [{"sku": "MUG"}], "shipping_method": "standard"});
        let told = async |asked: &Value| {
            let seen = app.ops("POST", "/pricing/simulate", Some(asked)).await.expect(200);
            let reason = |one: &Value| {
                (one["code"].as_str().unwrap().to_owned(), one["reason"]["code"].as_str().unwrap().to_owned())
            };
            seen["totals"]["passed_over"].as_array().unwrap().iter().map(reason).collect::<Vec<_>>()
        };
        assert_eq!(told(&asked).await, [("shipping".to_owned(), "group".to_owned())]);
        asked.as_object_mut().unwrap().remove("shipping_method");
        assert_eq!(told(&asked).await, [("shipping".to_owned(), "no_shipping".to_owned())]);
    });
}

#[test]
fn who_is_limited_to_a_channel_is_told_of_no_other_channels_promotions() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let (_, theirs) =
            (plan(&app, "all", json!({"gift": percent("10", "order")})).await, another_channel(&app, &shop).await);
        let rule = json!({"gift": percent("10", "order"), "channel_id": theirs, "conditions": {"coupon": true}});
        let secret = promote(&app, "secret", rule).await;
        app.ops("POST", &format!("/promotions/{secret}/coupons"), Some(&json!({"code": "SECRET"}))).await.expect(201);
        let scopes: Vec<&str> = [Scope::PricesRead, Scope::PricesWrite].iter().map(|scope| scope.as_str()).collect();
        let mut claims = app.claims(Audience::Staff, "eve", &scopes.join(" "));
        claims.channels = Some(vec![shop.channel.parse().unwrap()]);
        let bearer = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let headers = [("Authorization", bearer.as_str())];
        let mut asked = json!({"channel_id": shop.channel, "lines": [{"sku": "MUG"}], "include_drafts": false});
        let seen = app.send("POST", "/v1/ops/pricing/simulate", &headers, Some(&asked)).await.expect(200);
        assert!(seen.to_string().contains("\"all\"") && !seen.to_string().contains("secret"), "{seen}");
        asked["coupons"] = json!(["secret"]);
        app.send("POST", "/v1/ops/pricing/simulate", &headers, Some(&asked)).await.problem(422, "coupon_unknown");
        for path in [
            format!("/v1/ops/promotions/{secret}"),
            format!("/v1/ops/promotions/{secret}/checks"),
            "/v1/ops/coupons/secret".into(),
        ] {
            app.send("GET", &path, &headers, None).await.problem(404, "not_found");
        }
        let listed = app.send("GET", "/v1/ops/promotions", &headers, None).await.expect(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        // Nor is the code one that a shopper of this channel is told of.
        let cart = shop.cart(&[("MUG", 1)]).await;
        let code = json!({"code": "secret"});
        let path = format!("/carts/{}/coupons", cart.id);
        shop.store("POST", &path, Some(&cart.token), Some(&code)).await.problem(422, "coupon_unknown");
    });
}

async fn another_channel(app: &App, shop: &Shop) -> String {
    let ours = app.ops("GET", &format!("/channels/{}", shop.channel), None).await.expect(200);
    let mut settings = json!({});
    for field in
        ["currencies", "locales", "countries", "time_zone", "prices_include_tax", "rounding", "payment_methods"]
    {
        settings[field] = ours[field].clone();
    }
    let new = json!({"code": "b", "name": "B", "legal_entity_id": ours["legal_entity_id"], "settings": settings});
    app.ops("POST", "/channels", Some(&new)).await.expect(201)["id"].as_str().unwrap().to_owned()
}
