//! What a channel leaves to others, and what does not keep long enough for it.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    inbound::text,
    promotions::promote,
    support::{Answer, App, Shop, eventually, on_both, on_both_idle},
};

/// A second channel of the shop, which sells the same at the same prices.
pub async fn second(shop: &Shop) -> Shop {
    let channel = shop.app.ops("GET", &format!("/channels/{}", shop.channel), None).await.expect(200);
    let mut settings = json!({});
    for field in
        ["currencies", "locales", "countries", "time_zone", "prices_include_tax", "rounding", "payment_methods"]
    {
        settings[field] = channel[field].clone();
    }
    let new = json!({"code": "market", "name": "Market", "legal_entity_id": channel["legal_entity_id"], "settings": settings});
    let made = shop.app.ops("POST", "/channels", Some(&new)).await.expect(201);
    let method = json!({
        "channel_id": made["id"], "code": "standard", "name": "Parcel", "tax_class": "standard",
        "rates": [{"countries": ["DE"], "price": {"amount": "4.90", "currency": "EUR"}}]
    });
    shop.app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
    Shop { channel: text(&made["id"]), key: text(&made["publishable_keys"][0]), ..shop.clone() }
}

async fn set(app: &App, lines: Value) -> Answer {
    app.ops("PUT", "/stock/channel-safety", Some(&json!({ "lines": lines }))).await
}

/// How many a storefront is told of.
async fn offered(shop: &Shop, sku: &str) -> i64 {
    let found = shop.store("POST", "/offers", None, Some(&json!({"skus": [sku]}))).await.expect(200);
    found["items"][0]["availability"]["available"].as_i64().unwrap_or_else(|| panic!("{found}"))
}

async fn status(shop: &Shop, sku: &str) -> String {
    let found = shop.store("POST", "/availability", None, Some(&json!({"skus": [sku]}))).await.expect(200);
    text(&found["items"][0]["status"])
}

async fn allocated(app: &App, sku: &str) -> i64 {
    let levels = app.ops("GET", &format!("/stock/levels?sku={sku}"), None).await.expect(200);
    levels["items"].as_array().unwrap().iter().map(|level| level["allocated"].as_i64().unwrap()).sum()
}

#[test]
fn a_channel_leaves_pieces_to_others_however_many_buy_at_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        let market = second(&shop).await;
        eventually("it is known there", || async { offered(&market, "TEE").await == 10 }).await;
        let line =
            |pieces: i64| json!([{"sku": "TEE", "channel_id": market.channel, "location": "berlin", "pieces": pieces}]);
        let made = set(&app, line(6)).await.expect(200);
        assert_eq!((&made["items"][0]["pieces"], &made["items"][0]["location"]), (&json!(6), &json!("berlin")));
        assert_eq!((offered(&shop, "TEE").await, offered(&market, "TEE").await), (10, 4));
        // A cart of it is told so, and can not be completed.
        let five = market.cart(&[("TEE", 5)]).await;
        let problems = five.body["problems"].as_array().unwrap().clone();
        assert!(problems.iter().any(|one| one["code"] == "out_of_stock"), "{problems:?}");
        market.complete(&five, "approve").await.problem(409, "out_of_stock");
        // Eight want one each, four get theirs; the other channel sells on meanwhile.
        let carts = join_all((0..8).map(|_| market.cart(&[("TEE", 1)]))).await;
        let other = shop.cart(&[("TEE", 2)]).await;
        let (bought, others) = futures::join!(
            join_all(carts.iter().map(|cart| market.complete(cart, "approve"))),
            shop.complete(&other, "approve")
        );
        others.expect(201);
        let sold = bought.iter().filter(|answer| answer.status == 201).count();
        assert!(
            bought.iter().all(|answer| matches!(answer.status, 201 | 409)),
            "{:?}",
            bought.iter().map(|a| a.status).collect::<Vec<_>>()
        );
        // Two of those that it may sell the other channel has bought, or not yet when it did.
        assert!((2..=4).contains(&sold), "{sold} were sold");
        assert_eq!(allocated(&app, "TEE").await, i64::try_from(sold).unwrap() + 2);
        assert!(offered(&market, "TEE").await <= 2);
        // What it leaves is there for the other channel.
        let left = 8 - i64::try_from(sold).unwrap();
        assert_eq!(offered(&shop, "TEE").await, left);
        shop.order(&[("TEE", left)]).await;
        assert_eq!((status(&market, "TEE").await, status(&shop, "TEE").await), ("out".to_owned(), "out".to_owned()));
    });
}

#[test]
fn what_is_said_for_a_location_goes_before_what_is_said_for_each() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10), ("MUG", "9.90", 3)]).await;
        let place =
            json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
        app.ops("POST", "/locations", Some(&place)).await.expect(201);
        let line = json!({"sku": "TEE", "location": "bremen", "change": 10, "reason": "test"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
        let channel = &shop.channel;
        let wide = json!({"sku": "TEE", "channel_id": channel, "pieces": 4});
        set(&app, json!([wide])).await.expect(200);
        assert_eq!(offered(&shop, "TEE").await, 12);
        let bremen = |pieces: i64| json!({"sku": "TEE", "channel_id": channel, "location": "bremen", "pieces": pieces});
        set(&app, json!([bremen(10)])).await.expect(200);
        assert_eq!(offered(&shop, "TEE").await, 6);
        // Nothing comes from where nothing is left for it.
        let order = shop.order(&[("TEE", 6)]).await;
        let found = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
        assert_eq!(found["fulfilment_orders"].as_array().unwrap().len(), 1, "{found}");
        set(&app, json!([bremen(0), wide])).await.expect(200);
        assert_eq!(offered(&shop, "TEE").await, 6);
        let listed =
            app.ops("GET", &format!("/stock/channel-safety?sku=TEE&channel={channel}"), None).await.expect(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        assert!(listed["items"][0].get("location").is_none());
        let none = app.ops("GET", "/stock/channel-safety?sku=MUG", None).await.expect(200);
        assert_eq!(none["items"], json!([]));
        // What is wrong is told by its place.
        for (wrong, status, code, pointer) in [
            (json!({"sku": "NONE", "channel_id": channel, "pieces": 1}), 422, "sku_unknown", "/lines/0/sku"),
            (
                json!({"sku": "TEE", "channel_id": channel, "location": "paris", "pieces": 1}),
                404,
                "not_found",
                "/lines/0/location",
            ),
            (
                json!({"sku": "TEE", "channel_id": "chan_01h455vb4pex5vsknk084sn02q", "pieces": 1}),
                404,
                "not_found",
                "/lines/0/channel_id",
            ),
        ] {
            let problem = set(&app, json!([wrong])).await.problem(status, code);
            assert_eq!(problem["pointer"], pointer);
        }
    });
}

#[test]
fn what_a_channel_has_sold_of_the_stock_stays_there_for_it() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        let market = second(&shop).await;
        let line = json!([{"sku": "TEE", "channel_id": market.channel, "location": "berlin", "pieces": 6}]);
        set(&app, line).await.expect(200);
        eventually("it is known there", || async { offered(&market, "TEE").await == 4 }).await;
        market.order(&[("TEE", 4)]).await;
        // Seven are missing: three lie there, and four were sold of what lay there.
        let lost = json!({"sku": "TEE", "location": "berlin", "change": -7, "reason": "counted"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [lost]}))).await.expect(200);
        let locations = app.ops("GET", "/locations", None).await.expect(200);
        let dock = text(&locations["items"][0]["id"]);
        app.ops("PATCH", &format!("/docks/{dock}"), Some(&json!({}))).await.expect(200);
        let body = json!({"location": "berlin", "expected_at": app.now().plus_seconds(3600), "lines": [{"sku": "TEE", "quantity": 9}]});
        app.ops("POST", "/inbound-shipments", Some(&body)).await.expect(201);
        let planned = crate::crossdock::plan(&app, &dock).await;
        let lacks: Vec<&Value> = planned.iter().map(|one| &one["quantity"]).collect();
        assert_eq!(lacks, [&json!(1)], "{planned:?}");
    });
}

/// Says that pieces which lie in Berlin are of a lot that keeps so many days.
async fn lot(app: &App, number: &str, days: i64, pieces: i64) {
    let ends = app.now().plus_seconds(86_400 * days);
    let line = json!({"sku": "TEE", "location": "berlin", "lot": number, "expires_at": ends, "quantity": pieces});
    let answer = app.ops("POST", "/lots", Some(&json!({"lines": [line]}))).await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
}

#[test]
fn what_does_not_keep_long_enough_for_a_channel_is_neither_sold_nor_shipped_there() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        let market = second(&shop).await;
        lot(&app, "NEAR", 5, 4).await;
        lot(&app, "FAR", 100, 6).await;
        market.set(json!({"min_shelf_life": {"days": 30}})).await;
        eventually("it is known", || async { offered(&market, "TEE").await == 6 }).await;
        assert_eq!(offered(&shop, "TEE").await, 10);
        let seven = market.cart(&[("TEE", 7)]).await;
        market.complete(&seven, "approve").await.problem(409, "out_of_stock");
        let order = market.order(&[("TEE", 2)]).await;
        assert_eq!(order["min_shelf_life_days"], 30);
        let found = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
        let path = format!("/fulfilment-orders/{}", text(&found["fulfilment_orders"][0]["id"]));
        app.ops("POST", &format!("{path}/ship"), Some(&json!({}))).await.expect(201);
        let lots = app.ops("GET", "/lots?sku=TEE", None).await.expect(200);
        let mut lies: Vec<(String, i64)> = lots["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (text(&one["number"]), one["quantity"].as_i64().unwrap()))
            .collect();
        lies.sort();
        assert_eq!(lies, [("FAR".to_owned(), 4), ("NEAR".to_owned(), 4)], "what ends first is not theirs");
        // A group asks for more; whoever it is that the rules say nothing of for less.
        let wrong = json!({"settings": {"min_shelf_life": {"days": 4000}}});
        let path = format!("/channels/{}", market.channel);
        let channel = app.ops("GET", &path, None).await.expect(200);
        let mut settings = wrong["settings"].clone();
        for field in
            ["currencies", "locales", "countries", "time_zone", "prices_include_tax", "rounding", "payment_methods"]
        {
            settings[field] = channel[field].clone();
        }
        let problem =
            app.ops("PATCH", &path, Some(&json!({ "settings": settings }))).await.problem(422, "invalid_value");
        assert_eq!(problem["pointer"], "/settings/min_shelf_life/days");
    });
}

#[test]
fn simulations_and_signed_in_customers_are_told_what_keeps_long_enough_for_them() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10), ("MUG", "9.90", 5)]).await;
        lot(&app, "NEAR", 5, 4).await;
        lot(&app, "FAR", 100, 6).await;
        shop.set(json!({"min_shelf_life": {"days": 30, "groups": [{"group": "hospitals", "days": 180}]}})).await;
        // Where an order would come from.
        let planned = async |group: Option<&str>, pieces: i64| {
            let lines = json!([{"sku": "TEE", "quantity": pieces}]);
            let asked = json!({"channel_id": shop.channel, "country": "DE", "customer_group": group, "lines": lines});
            let seen = app.ops("POST", "/sourcing/simulate", Some(&asked)).await.expect(200);
            seen["planned"].as_bool().unwrap()
        };
        assert_eq!((planned(None, 6).await, planned(None, 7).await), (true, false));
        assert!(!planned(Some("hospitals"), 1).await);
        // What a cart would be given.
        let gift = json!({"type": "goods", "sku": "TEE", "quantity": 1});
        promote(&app, "tee", json!({"conditions": {"goods": {"include": [{"skus": ["MUG"]}]}}, "gift": gift})).await;
        let given = async |group: Option<&str>| {
            let asked = json!({"channel_id": shop.channel, "customer_group": group, "lines": [{"sku": "MUG"}]});
            let seen = app.ops("POST", "/pricing/simulate", Some(&asked)).await.expect(200);
            seen["totals"]["lines"].as_array().unwrap().len() - 1
        };
        assert_eq!((given(None).await, given(Some("hospitals")).await), (1, 0));
        // What who is signed in can have.
        let bearer = format!("Bearer {}", app.token(kontor::http::auth::Audience::Customer, "grace", &[]));
        let headers = [("Authorization", bearer.as_str()), ("Channel-Key", shop.key.as_str())];
        let me = app.send("GET", "/v1/store/me", &headers, None).await.expect(200);
        let group = json!({"group": "hospitals"});
        app.ops("PATCH", &format!("/customers/{}", text(&me["id"])), Some(&group)).await.expect(200);
        let asked = json!({"skus": ["TEE"]});
        let seen = app.send("POST", "/v1/store/availability", &headers, Some(&asked)).await.expect(200);
        assert_eq!((seen["items"][0]["status"].as_str(), status(&shop, "TEE").await == "out"), (Some("out"), false));
    });
}
