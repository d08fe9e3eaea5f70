//! Price lists, tax rates, shipping methods, and what storefronts are offered.

use serde_json::{Value, json};

use crate::support::{App, on_both};
use kontor::{
    db::{Db, Options},
    http::auth::Audience,
    kernel::{Scope, ids::ChannelId},
    pricing::{self, Rules, tax::Sale},
    process::{Process, Roles},
};

/// A channel with its publishable key.
struct Shop {
    id: String,
    key: String,
}

async fn a_shop(app: &App, code: &str) -> Shop {
    let entity =
        json!({"code": format!("le-{code}"), "name": "Acme GmbH", "country": "DE", "time_zone": "Europe/Berlin"});
    let entity = app.ops("POST", "/legal-entities", Some(&entity)).await.expect(201);
    let channel = json!({
        "code": code, "name": code, "legal_entity_id": entity["id"],
        "settings": {
            "currencies": ["EUR", "CHF"], "locales": ["de-DE"], "countries": ["DE", "AT"],
            "time_zone": "Europe/Berlin", "prices_include_tax": true,
            "rounding": {"point": "per_line", "strategy": "half_up"}, "payment_methods": ["manual"]
        }
    });
    let channel = app.ops("POST", "/channels", Some(&channel)).await.expect(201);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Shop { id: text(&channel["id"]), key: text(&channel["publishable_keys"][0]) }
}

/// The same where no tax is due.
async fn a_free_shop(app: &App, code: &str) -> Shop {
    for country in ["DE", "AT"] {
        let none = json!({"country": country, "tax_class": "standard", "rate": "0"});
        let made = app.ops("POST", "/tax-rates", Some(&none)).await;
        // Another shop may have said so before.
        assert!(matches!(made.status, 201 | 409), "{}", made.text);
    }
    a_shop(app, code).await
}

async fn a_variant(app: &App, sku: &str, more: &Value) -> Value {
    let mut variant = json!({"sku": sku, "name": format!("The {sku}"), "tax_class": "standard", "weight_grams": 350});
    for (field, value) in more.as_object().unwrap() {
        variant[field] = value.clone();
    }
    app.ops("POST", "/variants", Some(&variant)).await.expect(201)
}

async fn a_list(app: &App, code: &str, more: &Value) -> String {
    let mut list = json!({"code": code, "name": code, "currency": "EUR"});
    for (field, value) in more.as_object().unwrap() {
        list[field] = value.clone();
    }
    let list = app.ops("POST", "/price-lists", Some(&list)).await.expect(201);
    list["id"].as_str().unwrap().to_owned()
}

fn price(sku: &str, min_quantity: i64, amount: &str) -> Value {
    json!({"sku": sku, "min_quantity": min_quantity, "unit_price": {"amount": amount, "currency": "EUR"}})
}

async fn set(app: &App, list: &str, rows: &[Value]) -> Value {
    app.ops("PUT", &format!("/price-lists/{list}/prices"), Some(&json!({"rows": rows}))).await.expect(200)
}

async fn offers(app: &App, shop: &Shop, body: &Value) -> Value {
    app.send("POST", "/v1/store/offers", &[("Channel-Key", &shop.key)], Some(body)).await.expect(200)
}

/// The price of one article for a quantity, or the reason why there is none.
async fn offered(app: &App, shop: &Shop, sku: &str, quantity: i64) -> String {
    let answer = offers(app, shop, &json!({"skus": [sku], "quantity": quantity})).await;
    let item = &answer["items"][0];
    let told = if item["price"].is_null() { &item["reason"]["code"] } else { &item["price"]["amount"] };
    told.as_str().unwrap().to_owned()
}

#[test]
fn tiers_are_offered_as_they_will_be_charged() {
    on_both(|app| async move {
        let shop = a_shop(&app, "de").await;
        a_variant(&app, "MUG", &json!({})).await;
        let list = a_list(&app, "retail", &json!({})).await;
        let rows = [price("MUG", 1, "12.50"), price("MUG", 10, "11.25"), price("MUG", 100, "0.0125")];
        assert_eq!(set(&app, &list, &rows).await, json!({"set": 3, "removed": 0}));
        app.ops("POST", "/tax-rates", Some(&json!({"country": "DE", "tax_class": "standard", "rate": "0.190"})))
            .await
            .expect(201);
        let answer = offers(&app, &shop, &json!({"skus": ["MUG"], "quantity": 9})).await;
        assert_eq!(answer["prices_include_tax"], true);
        let item = &answer["items"][0];
        assert_eq!(item["price"]["amount"], "12.50");
        assert_eq!(item["tax_rate"], "0.19");
        let tiers: Vec<(i64, &str)> = item["tiers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tier| (tier["min_quantity"].as_i64().unwrap(), tier["unit_price"]["amount"].as_str().unwrap()))
            .collect();
        assert_eq!(tiers, [(1, "12.50"), (10, "11.25"), (100, "0.0125")]);
        assert_eq!(offered(&app, &shop, "MUG", 10).await, "11.25");
        assert_eq!(offered(&app, &shop, "MUG", 100_000).await, "0.0125");
        // Set again, a price is replaced; removed, it is gone.
        set(&app, &list, &[price("MUG", 10, "11.00")]).await;
        let change = json!({"remove": [{"sku": "MUG"}, {"sku": "MUG", "min_quantity": 7}]});
        let removed = app.ops("PUT", &format!("/price-lists/{list}/prices"), Some(&change)).await.expect(200);
        assert_eq!(removed, json!({"set": 0, "removed": 1}));
        assert_eq!(offered(&app, &shop, "MUG", 10).await, "11.00");
        assert_eq!(offered(&app, &shop, "MUG", 1).await, "price_missing");
    });
}

#[test]
fn prices_begin_and_end_by_the_clock() {
    on_both(|app| async move {
        let shop = a_free_shop(&app, "de").await;
        a_variant(&app, "MUG", &json!({})).await;
        let list = a_list(&app, "retail", &json!({})).await;
        let mut sale = price("MUG", 1, "8.00");
        sale["valid_from"] = json!("2026-03-02T10:00:00Z");
        sale["valid_until"] = json!("2026-03-02T11:00:00Z");
        set(&app, &list, &[price("MUG", 1, "12.50"), sale]).await;
        let night = json!({"priority": 5, "valid_from": "2026-03-02T12:00:00Z"});
        let night = a_list(&app, "night", &night).await;
        set(&app, &night, &[price("MUG", 1, "7.00")]).await;
        let mut seen = Vec::new();
        for seconds in [3599, 1, 3599, 1, 3600] {
            app.clock.advance_seconds(seconds);
            seen.push(offered(&app, &shop, "MUG", 1).await);
        }
        assert_eq!(seen, ["12.50", "8.00", "8.00", "12.50", "7.00"]);
        let prices = app.ops("GET", &format!("/price-lists/{list}/prices?limit=1"), None).await;
        let next = prices.header("Link").unwrap().to_owned();
        let prices = prices.expect(200);
        assert_eq!(prices["items"][0]["valid_from"], Value::Null);
        assert!(next.contains(prices["next_cursor"].as_str().unwrap()));
        let cursor = prices["next_cursor"].as_str().unwrap();
        let rest =
            app.ops("GET", &format!("/price-lists/{list}/prices?limit=1&cursor={cursor}"), None).await.expect(200);
        assert_eq!(rest["items"][0]["valid_from"], "2026-03-02T10:00:00Z");
        assert_eq!(rest["next_cursor"], Value::Null);
    });
}

#[test]
fn a_channels_own_list_goes_first_then_the_priority() {
    on_both(|app| async move {
        let (german, austrian) = (a_free_shop(&app, "de").await, a_free_shop(&app, "at").await);
        a_variant(&app, "MUG", &json!({})).await;
        let common = a_list(&app, "common", &json!({})).await;
        set(&app, &common, &[price("MUG", 1, "10.00")]).await;
        let own = a_list(&app, "own", &json!({"channel_id": german.id, "priority": -5})).await;
        set(&app, &own, &[price("MUG", 1, "9.00")]).await;
        assert_eq!(offered(&app, &german, "MUG", 1).await, "9.00");
        assert_eq!(offered(&app, &austrian, "MUG", 1).await, "10.00");
        let high = a_list(&app, "high", &json!({"priority": 3})).await;
        set(&app, &high, &[price("MUG", 1, "11.00")]).await;
        assert_eq!(offered(&app, &german, "MUG", 1).await, "9.00");
        assert_eq!(offered(&app, &austrian, "MUG", 1).await, "11.00");
        // A change of the list is effective at once in the process that made it.
        app.ops("PATCH", &format!("/price-lists/{high}"), Some(&json!({"priority": -1}))).await.expect(200);
        assert_eq!(offered(&app, &austrian, "MUG", 1).await, "10.00");
        let francs = offers(&app, &german, &json!({"skus": ["MUG"], "currency": "CHF"})).await;
        assert_eq!(francs["items"][0]["reason"]["code"], "price_missing");
    });
}

#[test]
fn a_change_is_effective_in_another_process_within_a_second() {
    on_both(|app| async move {
        // Only PostgreSQL is served by several processes.
        if !app.is_postgres() {
            return;
        }
        let shop = a_free_shop(&app, "de").await;
        a_variant(&app, "MUG", &json!({})).await;
        let list = a_list(&app, "retail", &json!({"priority": 1})).await;
        set(&app, &list, &[price("MUG", 1, "10.00")]).await;
        let other = a_list(&app, "other", &json!({})).await;
        set(&app, &other, &[price("MUG", 1, "20.00")]).await;
        let options = Options { connections: 3, ..Options::new(app.database_url.clone()) };
        let roles = Roles { serve: true, work: false };
        let settings = crate::support::app::settings();
        let second = Process::start(Db::open(options).unwrap(), app.clock.clone(), settings, roles).await.unwrap();
        let mut there = app.clone();
        there.url = format!("http://{}", second.address.unwrap());
        assert_eq!(offered(&there, &shop, "MUG", 1).await, "10.00");
        for (priority, expected) in [(-1, "20.00"), (1, "10.00"), (-1, "20.00")] {
            app.ops("PATCH", &format!("/price-lists/{list}"), Some(&json!({"priority": priority}))).await.expect(200);
            let begun = std::time::Instant::now();
            while offered(&there, &shop, "MUG", 1).await != expected {
                assert!(begun.elapsed() < std::time::Duration::from_secs(1), "not within a second");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
        // A price is read where it is: it is there at once.
        set(&app, &other, &[price("MUG", 1, "19.00")]).await;
        assert_eq!(offered(&there, &shop, "MUG", 1).await, "19.00");
        second.stop().await;
    });
}

#[test]
fn offers_cost_the_same_statements_for_one_article_and_for_two_hundred() {
    on_both(|app| async move {
        let shop = a_shop(&app, "de").await;
        let list = a_list(&app, "retail", &json!({})).await;
        let skus: Vec<String> = (0..200).map(|number| format!("SKU-{number:03}")).collect();
        for sku in &skus[..5] {
            a_variant(&app, sku, &json!({})).await;
        }
        let rows: Vec<Value> = skus[..5].iter().map(|sku| price(sku, 1, "1.00")).collect();
        set(&app, &list, &rows).await;
        offers(&app, &shop, &json!({"skus": ["SKU-000"]})).await;
        let mut counts = Vec::new();
        for some in [&skus[..1], &skus[..]] {
            // What runs beside (looking for changed reference data, due jobs) is counted too: the least of a few counts.
            let mut least = u64::MAX;
            for _ in 0..30 {
                let before = app.state.db.stats().statements;
                let answer = offers(&app, &shop, &json!({"skus": some})).await;
                least = least.min(app.state.db.stats().statements - before);
                assert_eq!(answer["items"].as_array().unwrap().len(), some.len());
            }
            counts.push(least);
        }
        assert_eq!(counts, [3, 3]);
    });
}

#[test]
fn what_is_not_sold_says_why() {
    on_both(|app| async move {
        let shop = a_free_shop(&app, "de").await;
        let list = a_list(&app, "retail", &json!({})).await;
        a_variant(&app, "MUG", &json!({})).await;
        a_variant(&app, "TALK", &json!({"stock_policy": "untracked"})).await;
        a_variant(&app, "LATE", &json!({"backorder_policy": "allow"})).await;
        let old = a_variant(&app, "OLD", &json!({})).await;
        set(&app, &list, &["MUG", "TALK", "LATE", "OLD"].map(|sku| price(sku, 1, "5.00"))).await;
        let path = format!("/variants/{}", old["id"].as_str().unwrap());
        app.ops("PATCH", &path, Some(&json!({"status": "archived"}))).await.expect(200);
        let asked = ["TALK", "NONE", "MUG", "OLD", "LATE", "MUG", "mug"];
        let answer = offers(&app, &shop, &json!({"skus": asked, "country": "AT"})).await;
        let items = answer["items"].as_array().unwrap();
        let told: Vec<&str> = items.iter().map(|item| item["reason"]["code"].as_str().unwrap_or("sold")).collect();
        assert_eq!(told, ["sold", "sku_unknown", "sold", "not_sold", "sold", "sold", "sku_unknown"]);
        assert_eq!(items[0]["availability"], json!({"in_stock": true, "backorder": false}));
        assert_eq!(items[2]["availability"], json!({"in_stock": false, "available": 0, "backorder": false}));
        assert_eq!(items[4]["availability"], json!({"in_stock": false, "available": 0, "backorder": true}));
        assert_eq!(items[0]["tax_rate"], "0");
        assert_eq!(answer["country"], "AT");
    });
}

#[test]
fn offers_refuse_what_they_can_not_answer() {
    on_both(|app| async move {
        let shop = a_shop(&app, "de").await;
        let ask = |body: Value| {
            let (app, key) = (app.clone(), shop.key.clone());
            async move { app.send("POST", "/v1/store/offers", &[("Channel-Key", &key)], Some(&body)).await }
        };
        assert_eq!(ask(json!({"skus": []})).await.problem(422, "invalid_value")["pointer"], "/skus");
        ask(json!({"skus": vec!["X"; 201]})).await.problem(422, "invalid_value");
        ask(json!({"skus": ["X"], "currency": "USD"})).await.problem(422, "currency_not_sold");
        ask(json!({"skus": ["X"], "country": "FR"})).await.problem(422, "country_not_served");
        ask(json!({"skus": ["X"], "quantity": 0})).await.problem(422, "quantity_invalid");
        ask(json!({"skus": ["X"], "quantity": -1})).await.problem(422, "invalid_value");
        ask(json!({"skus": ["X"], "quantity": 1_000_000_001})).await.problem(422, "invalid_value");
        ask(json!({"skus": ["x".repeat(101)]})).await.problem(422, "invalid_value");
        ask(json!({"skus": ["X"], "more": 1})).await.problem(422, "unknown_field");
        let bare = app.send("POST", "/v1/store/offers", &[], Some(&json!({"skus": ["X"]}))).await;
        bare.problem(401, "channel_key_invalid");
    });
}

#[test]
fn bad_prices_are_refused_with_the_row_and_change_nothing() {
    on_both(|app| async move {
        a_variant(&app, "MUG", &json!({})).await;
        let list = a_list(&app, "retail", &json!({})).await;
        let path = format!("/price-lists/{list}/prices");
        let put = |rows: Vec<Value>| {
            let (app, path) = (app.clone(), path.clone());
            async move { app.ops("PUT", &path, Some(&json!({"rows": rows}))).await }
        };
        let good = || price("MUG", 1, "1.00");
        let with = |field: &str, value: Value| {
            let mut row = price("MUG", 2, "1.00");
            row[field] = value;
            vec![good(), row]
        };
        let three = vec![good(), price("MUG", 2, "1"), price("MUG", 3, "1"), price("NONE", 1, "1")];
        assert_eq!(put(three).await.problem(422, "sku_unknown")["pointer"], "/rows/3/sku");
        let cases = [
            (
                "unit_price",
                json!({"amount": "1.00", "currency": "USD"}),
                "invalid_value",
                "/rows/1/unit_price/currency",
            ),
            ("unit_price", json!({"amount": "-1.00", "currency": "EUR"}), "invalid_value", "/rows/1/unit_price/amount"),
            ("unit_price", json!({"amount": "1.0000001", "currency": "EUR"}), "invalid_value", "/rows/1/unit_price"),
            ("unit_price", json!(1), "invalid_value", "/rows/1/unit_price"),
            ("min_quantity", json!(0), "quantity_invalid", "/rows/1/min_quantity"),
            ("min_quantity", json!(-1), "invalid_value", "/rows/1/min_quantity"),
            ("min_quantity", json!(1), "duplicate", "/rows/1"),
            ("sku", json!(""), "invalid_value", "/rows/1/sku"),
            ("discount", json!(1), "unknown_field", "/rows/1/discount"),
        ];
        for (field, value, code, pointer) in cases {
            let status = if code == "duplicate" { 409 } else { 422 };
            let problem = put(with(field, value)).await.problem(status, code);
            assert_eq!(problem["pointer"], pointer, "{problem}");
        }
        let mut backwards = good();
        backwards["valid_from"] = json!("2026-03-02T10:00:00Z");
        backwards["valid_until"] = json!("2026-03-02T10:00:00Z");
        assert_eq!(put(vec![backwards]).await.problem(422, "invalid_value")["pointer"], "/rows/0/valid_until");
        put(vec![good(); 1001]).await.problem(422, "invalid_value");
        let unknown = json!({"remove": [{"sku": "NONE"}]});
        let problem = app.ops("PUT", &path, Some(&unknown)).await.problem(422, "sku_unknown");
        assert_eq!(problem["pointer"], "/remove/0/sku");
        assert!(app.ops("GET", &path, None).await.expect(200)["items"].as_array().unwrap().is_empty());
        app.ops("GET", &format!("{path}?cursor=nonsense"), None).await.problem(400, "invalid_cursor");
        let nowhere = "/price-lists/plist_01h455vb4pex5vsknk084sn02q/prices";
        app.ops("PUT", nowhere, Some(&json!({"rows": [good()]}))).await.problem(404, "not_found");
    });
}

#[test]
fn bad_lists_rates_and_methods_are_refused() {
    on_both(|app| async move {
        let shop = a_shop(&app, "de").await;
        let refused = |path: &'static str, body: Value| {
            let app = app.clone();
            async move { app.ops("POST", path, Some(&body)).await }
        };
        let foreign = "chan_01h455vb4pex5vsknk084sn02q";
        let list = json!({"code": "retail", "name": "Retail", "currency": "EUR"});
        let with = |base: &Value, field: &str, value: Value| {
            let mut body = base.clone();
            body[field] = value;
            body
        };
        let nowhere =
            refused("/price-lists", with(&list, "channel_id", json!(foreign))).await.problem(404, "not_found");
        assert_eq!(nowhere["pointer"], "/channel_id");
        app.ops("POST", "/price-lists", Some(&list)).await.expect(201);
        assert_eq!(refused("/price-lists", list.clone()).await.problem(409, "duplicate")["pointer"], "/code");
        refused("/price-lists", with(&list, "currency", json!("EURO"))).await.problem(422, "invalid_value");
        refused("/price-lists", with(&list, "priority", json!(3_000_000_000_i64))).await.problem(422, "invalid_value");
        let rate = json!({"country": "DE", "tax_class": "standard", "rate": "0.19"});
        for wrong in
            [json!("1"), json!("-0.1"), json!("19 %"), json!(0.19), json!("1e-1"), json!(".1"), json!("0.1234567")]
        {
            let problem = refused("/tax-rates", with(&rate, "rate", wrong)).await.problem(422, "invalid_value");
            assert_eq!(problem["pointer"], "/rate");
        }
        let made = app.ops("POST", "/tax-rates", Some(&rate)).await.expect(201);
        refused("/tax-rates", rate.clone()).await.problem(409, "duplicate");
        let later = with(&rate, "valid_from", json!("2027-01-01T00:00:00Z"));
        app.ops("POST", "/tax-rates", Some(&later)).await.expect(201);
        assert_eq!(app.ops("GET", "/tax-rates", None).await.expect(200)["items"].as_array().unwrap().len(), 2);
        let path = format!("/tax-rates/{}", made["id"].as_str().unwrap());
        assert_eq!(app.ops("DELETE", &path, None).await.status, 204);
        app.ops("DELETE", &path, None).await.problem(404, "not_found");

        let method = json!({"channel_id": shop.id, "code": "standard", "name": "Parcel", "tax_class": "standard",
            "rates": [{"price": {"amount": "4.90", "currency": "EUR"}}], "delivery_days": {"min": 2, "max": 3}});
        let nowhere = refused("/shipping-methods", with(&method, "channel_id", json!(foreign))).await;
        assert_eq!(nowhere.problem(404, "not_found")["pointer"], "/channel_id");
        let euros = |amount: &str| json!({"amount": amount, "currency": "EUR"});
        let rates = [
            (json!([{"price": euros("-1")}]), "/rates/0/price"),
            (json!([{"price": euros("1"), "min_weight_grams": -1}]), "/rates/0/min_weight_grams"),
            (json!([{"price": euros("1"), "min_weight_grams": 2, "max_weight_grams": 1}]), "/rates/0/max_weight_grams"),
            (json!([{"price": euros("1"), "min_value": {"amount": "1", "currency": "CHF"}}]), "/rates/0/min_value"),
            (json!([{"price": euros("1"), "min_value": euros("2"), "max_value": euros("1")}]), "/rates/0/max_value"),
            (json!([{"price": euros("1"), "countries": ["XX"]}]), "/rates/0/countries/0"),
        ];
        for (rates, pointer) in rates {
            let problem =
                refused("/shipping-methods", with(&method, "rates", rates)).await.problem(422, "invalid_value");
            assert_eq!(problem["pointer"], pointer);
        }
        // What no cart of the channel could ever get is no slip to be found out by its customers.
        let dollars = json!([{"price": euros("1")}, {"price": {"amount": "1", "currency": "USD"}}]);
        let abroad = json!([{"price": euros("1"), "countries": ["DE", "JP"]}]);
        let foreign = [
            (dollars, "currency_not_sold", "/rates/1/price/currency"),
            (abroad, "country_not_served", "/rates/0/countries/1"),
        ];
        let kept = app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
        let kept = format!("/shipping-methods/{}", kept["id"].as_str().unwrap());
        for (rates, code, pointer) in foreign {
            let new = refused("/shipping-methods", with(&method, "rates", rates.clone())).await.problem(422, code);
            let changed = app.ops("PATCH", &kept, Some(&json!({ "rates": rates }))).await.problem(422, code);
            assert_eq!((&new["pointer"], &changed["pointer"]), (&json!(pointer), &json!(pointer)));
        }
        app.ops("PATCH", &kept, Some(&json!({"rates": [{"price": euros("2")}]}))).await.expect(200);
        refused("/shipping-methods", with(&method, "delivery_days", json!({"min": 3, "max": 2})))
            .await
            .problem(422, "invalid_value");
    });
}

#[test]
fn lists_and_methods_change_by_version_and_are_in_the_rules_at_once() {
    on_both(|app| async move {
        let shop = a_shop(&app, "de").await;
        let method = json!({"channel_id": shop.id, "code": "standard", "name": "Parcel", "tax_class": "standard",
            "rates": [{"countries": ["DE"], "price": {"amount": "4.90", "currency": "EUR"}}]});
        let made = app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
        app.ops("POST", "/shipping-methods", Some(&method)).await.problem(409, "duplicate");
        let path = format!("/shipping-methods/{}", made["id"].as_str().unwrap());
        let change =
            json!({"delivery_days": {"min": 1, "max": 2}, "rates": [{"price": {"amount": "5", "currency": "EUR"}}]});
        let changed = app.ops("PATCH", &path, Some(&change)).await;
        assert_eq!(changed.header("ETag"), Some("\"v2\""));
        assert_eq!(changed.expect(200)["delivery_days"], json!({"min": 1, "max": 2}));
        let token = format!("Bearer {}", app.staff());
        let stale = [("Authorization", token.as_str()), ("If-Match", "\"v1\"")];
        for (method, body) in [("PATCH", Some(json!({"active": false}))), ("DELETE", None)] {
            let late = app.send(method, &format!("/v1/ops{path}"), &stale, body.as_ref()).await;
            late.problem(412, "version_stale");
        }
        let channel: ChannelId = shop.id.parse().unwrap();
        let (germany, euro) = ("DE".parse().unwrap(), "EUR".parse().unwrap());
        let options = || async {
            let rules = app.state.db.snapshot::<Rules>().await.unwrap();
            let value = kontor::kernel::Money::zero(euro);
            let policy = kontor::kernel::TaxPolicy::default();
            let sale = Sale { seller: germany, destination: germany, vat_id: None, exempt: false, policy };
            let taxed = pricing::Taxed::new(&rules, &sale, app.now(), (true, kontor::kernel::Rounding::HalfUp));
            pricing::shipping_options(&taxed, (channel, germany), (100, &[]), value, kontor::kernel::Rounding::HalfUp)
        };
        assert_eq!(options().await[0].price.unwrap().minor(), 500);
        let cleared = app.ops("PATCH", &path, Some(&json!({"delivery_days": null}))).await.expect(200);
        assert_eq!(cleared["delivery_days"], Value::Null);
        assert_eq!(app.ops("DELETE", &path, None).await.status, 204);
        assert!(options().await.is_empty());
        let list = a_list(&app, "retail", &json!({})).await;
        let path = format!("/price-lists/{list}");
        let ended = json!({"valid_until": "2026-03-01T00:00:00Z"});
        assert_eq!(app.ops("PATCH", &path, Some(&ended)).await.expect(200)["version"], 2);
        let late = app.send("PATCH", &format!("/v1/ops{path}"), &stale, Some(&json!({"priority": 1}))).await;
        late.problem(412, "version_stale");
        let before = json!({"valid_from": "2026-03-01T00:00:00Z"});
        app.ops("PATCH", &path, Some(&before)).await.problem(422, "invalid_value");
        app.ops("PATCH", &path, Some(&json!({"currency": "USD"}))).await.problem(422, "unknown_field");
        assert_eq!(
            app.ops("PATCH", &path, Some(&json!({"valid_until": null}))).await.expect(200)["valid_until"],
            Value::Null
        );
    });
}

#[test]
fn who_is_limited_to_a_channel_neither_sees_nor_changes_the_others() {
    on_both(|app| async move {
        let (mine, other) = (a_shop(&app, "de").await, a_shop(&app, "at").await);
        let theirs = a_list(&app, "theirs", &json!({"channel_id": other.id})).await;
        let common = a_list(&app, "common", &json!({})).await;
        let scopes = [Scope::PricesRead, Scope::PricesWrite, Scope::SettingsRead, Scope::SettingsWrite];
        let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        let mut claims = app.claims(Audience::Staff, "bob", &scopes.join(" "));
        claims.channels = Some(vec![mine.id.parse().unwrap()]);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let ask = |method: &'static str, path: String, body: Option<Value>| {
            let (app, token) = (app.clone(), token.clone());
            async move { app.send(method, &format!("/v1/ops{path}"), &[("Authorization", &token)], body.as_ref()).await }
        };
        let list = |channel: Option<&str>| json!({"code": "x", "name": "X", "currency": "EUR", "channel_id": channel});
        ask("GET", format!("/price-lists/{theirs}"), None).await.problem(404, "not_found");
        ask("PUT", format!("/price-lists/{theirs}/prices"), Some(json!({}))).await.problem(404, "not_found");
        ask("GET", format!("/price-lists/{common}"), None).await.expect(200);
        ask("PATCH", format!("/price-lists/{common}"), Some(json!({}))).await.problem(403, "scope_missing");
        ask("POST", "/price-lists".into(), Some(list(None))).await.problem(403, "scope_missing");
        ask("POST", "/price-lists".into(), Some(list(Some(&other.id)))).await.problem(404, "not_found");
        ask("POST", "/price-lists".into(), Some(list(Some(&mine.id)))).await.expect(201);
        let seen = ask("GET", "/price-lists".into(), None).await.expect(200);
        let codes: Vec<&str> =
            seen["items"].as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap()).collect();
        assert_eq!(codes, ["common", "x"]);
        let none = format!("Bearer {}", app.token(Audience::Staff, "eve", &[Scope::SettingsRead]));
        let refused = app.send("GET", "/v1/ops/price-lists", &[("Authorization", &none)], None).await;
        refused.problem(403, "scope_missing");
    });
}

#[test]
fn prices_set_at_once_by_many_are_all_there() {
    on_both(|app| async move {
        let list = a_list(&app, "retail", &json!({})).await;
        let skus: Vec<String> = (0..10).map(|number| format!("SKU-{number}")).collect();
        for sku in &skus {
            a_variant(&app, sku, &json!({})).await;
        }
        // Each sets the same rows in another order, and one tier of its own.
        let change = |turn: usize| {
            let mut rows: Vec<Value> = skus.iter().map(|sku| price(sku, 1, "1.00")).collect();
            rows.rotate_left(turn);
            rows.push(price(&skus[0], i64::try_from(turn).unwrap() + 2, "0.50"));
            rows
        };
        let (app, list) = (&app, &list);
        let sent = (0..10).map(|turn| async move { set(app, list, &change(turn)).await });
        futures::future::join_all(sent).await;
        let prices = app.ops("GET", &format!("/price-lists/{list}/prices?limit=200"), None).await.expect(200);
        let prices = prices["items"].as_array().unwrap();
        assert_eq!(prices.len(), 20);
        let keys: Vec<(&str, i64)> =
            prices.iter().map(|it| (it["sku"].as_str().unwrap(), it["min_quantity"].as_i64().unwrap())).collect();
        assert!(keys.is_sorted());
    });
}

/// Sends a file of prices as a client that may do everything, or only what `channels` names.
async fn import(app: &App, path: &str, kind: &str, file: String, channels: Option<&Shop>) -> Value {
    let mut claims = app.claims(Audience::Client, "erp", "prices:write");
    claims.channels = channels.map(|shop| vec![shop.id.parse().unwrap()]);
    let token = app.state.verifier.issue(claims).unwrap();
    let request = app.client.post(format!("{}/v1/integration/prices{path}", app.url));
    let answer = request.bearer_auth(token).header("Content-Type", kind).body(file).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn prices_come_in_bulk_and_bad_rows_stop_no_others() {
    on_both(|app| async move {
        let (mine, other) = (a_free_shop(&app, "de").await, a_free_shop(&app, "at").await);
        a_variant(&app, "MUG", &json!({})).await;
        a_variant(&app, "TEE", &json!({})).await;
        let retail = a_list(&app, "retail", &json!({})).await;
        a_list(&app, "theirs", &json!({"channel_id": other.id})).await;
        a_list(&app, "mine", &json!({"channel_id": mine.id})).await;
        let counts = |report: &Value| {
            ["received", "created", "updated", "unchanged", "failed"].map(|it| report[it].as_u64().unwrap())
        };
        let csv = "price_list;sku;min_quantity;unit_price.amount;unit_price.currency;valid_from\n\
            retail;MUG;;12.50;EUR;\nretail;MUG;10;11.25;EUR;\nretail;TEE;1;9.99;EUR;2026-03-01T00:00:00Z\n\
            retail;MUG;1;13.00;EUR;\nretail;NONE;1;1;EUR;\nnowhere;MUG;1;1;EUR;\nretail;MUG;1;1;USD;\nretail;MUG;0;1;EUR;\n";
        let rehearsed = import(&app, "?dry_run=true", "text/csv", csv.into(), None).await;
        assert_eq!(offered(&app, &mine, "MUG", 1).await, "price_missing");
        let report = import(&app, "", "text/csv", csv.into(), None).await;
        assert_eq!(rehearsed, report);
        assert_eq!(counts(&report), [8, 3, 1, 0, 4]);
        let errors: Vec<_> = report["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (it["row"].as_u64().unwrap(), it["code"].as_str().unwrap(), it["pointer"].as_str().unwrap()))
            .collect();
        let expected = [
            (5, "sku_unknown", "/sku"),
            (6, "not_found", "/price_list"),
            (7, "invalid_value", "/unit_price/currency"),
            (8, "quantity_invalid", "/min_quantity"),
        ];
        assert_eq!(errors, expected);
        assert_eq!(offered(&app, &mine, "MUG", 1).await, "13.00");
        assert_eq!(offered(&app, &mine, "TEE", 1).await, "9.99");
        let line = |list: &str, amount: &str| {
            let mut row = price("MUG", 1, amount);
            row["price_list"] = json!(list);
            row.to_string()
        };
        let file = [line("retail", "13"), line("retail", "1"), line("mine", "2"), line("theirs", "3")].join("\n");
        let limited = import(&app, "", "application/x-ndjson", file.clone(), Some(&mine)).await;
        assert_eq!(counts(&limited), [4, 1, 0, 0, 3]);
        let codes: Vec<&str> =
            limited["errors"].as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap()).collect();
        assert_eq!(codes, ["scope_missing", "scope_missing", "not_found"]);
        let all = import(&app, "", "application/x-ndjson", file, None).await;
        assert_eq!(counts(&all), [4, 1, 1, 2, 0]);
        let prices = app.ops("GET", &format!("/price-lists/{retail}/prices"), None).await.expect(200);
        assert_eq!(prices["items"][0]["unit_price"]["amount"], "1.00");
    });
}

#[test]
fn thousands_of_prices_a_second_come_in() {
    on_both(|app| async move {
        let list = a_list(&app, "retail", &json!({})).await;
        for number in 0..20 {
            a_variant(&app, &format!("SKU-{number}"), &json!({})).await;
        }
        // 20 articles with 250 tiers each: made, changed, sent once more as they are.
        for (amount, outcome) in [("1.25", "created"), ("1.30", "updated"), ("1.30", "unchanged")] {
            let rows = (0..5000).map(|number| {
                let mut row = price(&format!("SKU-{}", number % 20), number / 20 + 1, amount);
                row["price_list"] = json!("retail");
                row.to_string()
            });
            let file = rows.collect::<Vec<_>>().join("\n");
            let before = (std::time::Instant::now(), app.state.db.stats().statements);
            let report = import(&app, "", "application/x-ndjson", file, None).await;
            let sent = app.state.db.stats().statements - before.1;
            let (on, took) = (if app.is_postgres() { "PostgreSQL" } else { "SQLite" }, before.0.elapsed());
            println!("{on}: {} prices/s {outcome}, {sent} statements", 5_000_000 / took.as_millis().max(1));
            assert_eq!(report[outcome], 5000);
            // Some statements per chunk of 500; what runs beside is counted too, so only the order of magnitude is held.
            assert!(sent < 2500, "{sent} statements");
        }
        let page = app.ops("GET", &format!("/price-lists/{list}/prices?limit=200"), None).await.expect(200);
        assert_eq!(page["items"].as_array().unwrap().len(), 200);
    });
}
