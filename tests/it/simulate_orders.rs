//! Where orders would come from that are there already, and made-up ones with several deliveries.

use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, eventually, on_both, shop::address};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

async fn place(app: &App, code: &str, goods: &[(&str, i64)]) -> String {
    let new = json!({"code": code, "name": code, "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
    let made = app.ops("POST", "/locations", Some(&new)).await.expect(201);
    for (sku, change) in goods {
        let line = json!({"sku": sku, "location": code, "change": change, "reason": "test"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
    }
    text(&made["id"])
}

async fn ask(app: &App, body: Value) -> Answer {
    app.ops("POST", "/sourcing/simulate", Some(&body)).await
}

/// Which pieces of which line and delivery come from where: sorted.
fn rows(shares: &Value) -> Vec<(i64, String, String, i64)> {
    let row = |one: &Value| {
        let delivery = one["delivery"].as_str().unwrap_or_default().to_owned();
        (one["line_no"].as_i64().unwrap(), delivery, text(&one["location"]), one["quantity"].as_i64().unwrap())
    };
    let mut rows: Vec<_> = shares.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(row).collect();
    rows.sort();
    rows
}

fn row(line: i64, delivery: &str, location: &str, quantity: i64) -> (i64, String, String, i64) {
    (line, delivery.to_owned(), location.to_owned(), quantity)
}

fn only(location: &str) -> Value {
    json!({"strategies": [{"name": location, "filters": {"locations": [location]}}], "fallback": {"then": "refuse"}})
}

#[test]
fn an_order_that_is_there_is_tried_by_any_rules_and_what_is_begun_stays() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 3), ("MUG", "9.90", 1)]).await;
        place(&app, "bremen", &[("TEE", 5), ("MUG", 5)]).await;
        let order = shop.order(&[("TEE", 3), ("MUG", 1)]).await;
        let known = || async {
            let tried = ask(&app, json!({"order": order["number"], "document": only("bremen")})).await;
            tried.status == 200 && tried.body["planned"] == true
        };
        eventually("the location is known", known).await;
        // All that lies in Berlin is its own.
        let live = ask(&app, json!({"order": order["number"]})).await.expect(200);
        assert_eq!(rows(&live["shares"]), [row(1, "", "berlin", 3), row(2, "", "berlin", 1)]);
        assert!(live.get("stays").is_none(), "{live}");
        let found = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
        let work = text(&found["fulfilment_orders"][0]["id"]);
        let one = json!({"lines": [{"line_no": 1, "quantity": 1}]});
        app.ops("POST", &format!("/fulfilment-orders/{work}/pick"), Some(&one)).await.expect(200);
        let elsewhere = ask(&app, json!({"order": order["id"], "document": only("bremen")})).await.expect(200);
        assert_eq!(rows(&elsewhere["shares"]), [row(1, "", "bremen", 2), row(2, "", "bremen", 1)]);
        assert_eq!(rows(&elsewhere["stays"]), [row(1, "", "berlin", 1)]);
        // By a draft too; and nothing of it was done.
        let new = json!({"code": "north", "document": only("bremen")});
        let draft = app.ops("POST", "/sourcing/profiles", Some(&new)).await.expect(201);
        let draft = json!({"order": order["number"], "profile_id": draft["id"]});
        let drafted = ask(&app, draft.clone()).await.expect(200);
        assert_eq!(drafted["sourcing"][0]["profile"]["code"], "north");
        let refused = json!({"order": order["number"], "document": only("bremen"), "without": ["bremen"]});
        assert_eq!(ask(&app, refused).await.expect(200)["planned"], false);
        let seen = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
        assert_eq!(seen["fulfilment_orders"].as_array().unwrap().len(), 1);
        // What it says itself is not said twice, and who may not read it does not.
        for (field, value) in [("lines", json!([{"sku": "TEE", "quantity": 1}])), ("country", json!("DE"))] {
            let mut body = json!({"order": order["number"]});
            body[field] = value;
            assert_eq!(ask(&app, body).await.problem(422, "invalid_value")["pointer"], format!("/{field}"));
        }
        assert_eq!(ask(&app, json!({"order": "nobody's"})).await.problem(404, "not_found")["pointer"], "/order");
        ask(&app, json!({"country": "DE", "lines": [{"sku": "TEE", "quantity": 1}]}))
            .await
            .problem(422, "missing_field");
        let token = format!("Bearer {}", app.token(Audience::Staff, "eve", &[Scope::StockRead]));
        let headers = [("Authorization", token.as_str())];
        app.send("POST", "/v1/ops/sourcing/simulate", &headers, Some(&draft)).await.problem(403, "scope_missing");
    });
}

#[test]
fn each_of_several_deliveries_is_tried_by_itself() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let bremen = place(&app, "bremen", &[("TEE", 2)]).await;
        let made_up = |pieces: i64| {
            json!({"channel_id": shop.channel, "country": "DE", "lines": [{"sku": "TEE", "quantity": 5}],
                "deliveries": [{"key": "home"},
                    {"key": "counter", "pickup": "bremen", "lines": [{"line_no": 1, "quantity": pieces}]}]})
        };
        eventually("the location is known", || async { ask(&app, made_up(1)).await.status == 200 }).await;
        let tried = ask(&app, made_up(2)).await.expect(200);
        assert_eq!(rows(&tried["shares"]), [row(1, "counter", "bremen", 2), row(1, "home", "berlin", 3)]);
        assert_eq!(tried["parcels"], 2);
        let short = ask(&app, made_up(3)).await.expect(200);
        assert_eq!(short["refusal"], json!({"code": "out_of_stock", "line_no": 1, "available": 2}));
        let mut rules = made_up(1);
        rules["document"] = json!({"strategies": [{"name": "any", "filters": {"locations": ["bremen"]}}]});
        let tried = ask(&app, rules).await.expect(200);
        let counter = tried["sourcing"].as_array().unwrap().iter().find(|one| one["delivery"] == 1);
        assert_eq!(counter.unwrap_or_else(|| panic!("{tried}"))["profile"]["strategy"], "any");
        let refused = ask(&app, made_up(6)).await.problem(409, "quantity_exceeded");
        assert_eq!(refused["pointer"], "/deliveries/1/lines/0/quantity");
        let mut wrong = made_up(1);
        wrong["deliveries"][1]["lines"][0]["line_no"] = json!(2);
        ask(&app, wrong).await.problem(422, "line_unknown");
        let mut wrong = made_up(1);
        wrong["deliveries"][1]["key"] = json!("home");
        ask(&app, wrong).await.problem(422, "invalid_value");
        let mut wrong = made_up(1);
        wrong["deliveries"][1]["pickup"] = json!("moon");
        assert_eq!(ask(&app, wrong).await.problem(404, "not_found")["pointer"], "/deliveries/1/pickup");
        // And of an order that is there.
        let method = json!({"channel_id": shop.channel, "code": "click", "name": "click", "tax_class": "standard",
            "pickup_location_id": bremen, "rates": [{"countries": [], "price": {"amount": "0.00", "currency": "EUR"}}]});
        app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
        let body = json!({"lines": [{"sku": "TEE", "quantity": 3}], "email": "ada@example.org",
            "shipping_method": "standard", "shipping_address": address()});
        let cart = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
        let (path, token) = (format!("/carts/{}", text(&cart["id"])), text(&cart["token"]));
        let both = json!({"deliveries": [{"key": "home"},
            {"key": "counter", "method": "click", "lines": [{"line_no": 1, "quantity": 1}]}]});
        eventually("the method is known", || async {
            shop.store("PUT", &format!("{path}/deliveries"), Some(&token), Some(&both)).await.status == 200
        })
        .await;
        let pay = json!({"payment": {"method": "manual"}});
        let done = shop.store("POST", &format!("{path}/complete"), Some(&token), Some(&pay)).await.expect(201);
        let tried = ask(&app, json!({"order": done["order"]["number"]})).await.expect(200);
        assert_eq!(rows(&tried["shares"]), [row(1, "counter", "bremen", 1), row(1, "home", "berlin", 2)]);
    });
}
