//! What is not at a pick-up place is not sent there, who has said no is not asked again, and nothing comes before it was announced.

use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both, shop::address};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

async fn place(app: &App, code: &str, more: Value, goods: &[(&str, i64)]) -> String {
    let mut place = json!({"code": code, "name": code, "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
    place.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let place = app.ops("POST", "/locations", Some(&place)).await.expect(201);
    for (sku, change) in goods {
        let line = json!({"sku": sku, "location": code, "change": change, "reason": "counted"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
    }
    text(&place["id"])
}

async fn method(shop: &Shop, code: &str, pickup: Option<&str>) {
    let mut method = json!({"channel_id": shop.channel, "code": code, "name": code, "tax_class": "standard",
        "rates": [{"countries": [], "price": {"amount": "0.00", "currency": "EUR"}}]});
    if let Some(place) = pickup {
        method["pickup_location_id"] = json!(place);
    }
    shop.app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
}

async fn order_of(shop: &Shop, method: &str, lines: &[(&str, i64)]) -> Value {
    let lines: Vec<Value> = lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
    let body = json!({"lines": lines, "email": "ada@example.org", "shipping_method": method,
        "billing_address": address(), "shipping_address": address()});
    let cart = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
    let (path, token) = (format!("/carts/{}/complete", text(&cart["id"])), text(&cart["token"]));
    let pay = json!({"payment": {"method": "manual"}});
    shop.store("POST", &path, Some(&token), Some(&pay)).await.expect(201)["order"].clone()
}

/// With the codes of their locations.
async fn coded(app: &App, mut works: Vec<Value>) -> Vec<Value> {
    let places = app.ops("GET", "/locations", None).await.expect(200);
    let places = places["items"].as_array().unwrap();
    for one in &mut works {
        let place = places.iter().find(|place| place["id"] == one["location_id"]).unwrap();
        one["location"] = place["code"].clone();
    }
    works
}

async fn work(app: &App, order: &Value) -> Vec<Value> {
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    let found = app.ops("GET", &path, None).await.expect(200);
    let all = found["fulfilment_orders"].as_array().unwrap().iter().filter(|one| one["state"] != "cancelled");
    coded(app, all.cloned().collect()).await
}

async fn redirect(app: &App, order: &Value, method: &str) -> crate::support::Answer {
    let mut body = json!({"method": method, "reason": "the customer has called"});
    if method == "cheap" {
        body["address"] = address();
    }
    app.ops("POST", &format!("/orders/{}/redirect", text(&order["id"])), Some(&body)).await
}

async fn lies_at(app: &App, order: &Value, place: &str) {
    eventually("it is planned there", || async {
        let works = work(app, order).await;
        !works.is_empty() && works.iter().all(|one| one["location"] == place)
    })
    .await;
}

async fn open(app: &App) -> Shop {
    let shop = Shop::open(app, &[("TEE", "19.90", 9), ("MUG", "9.90", 9)]).await;
    let asked = json!({"accept_minutes": 60});
    let bremen = place(app, "bremen", asked.clone(), &[("TEE", 3)]).await;
    let kiel = place(app, "kiel", asked, &[("TEE", 3), ("MUG", 1)]).await;
    method(&shop, "click", Some(&bremen)).await;
    method(&shop, "kiel", Some(&kiel)).await;
    method(&shop, "cheap", None).await;
    shop
}

#[test]
fn what_does_not_lie_at_a_pickup_place_is_not_sent_there() {
    on_both(|app| async move {
        let shop = open(&app).await;
        let order = order_of(&shop, "cheap", &[("TEE", 2), ("MUG", 2)]).await;
        let refused = redirect(&app, &order, "click").await.problem(409, "out_of_stock");
        assert_eq!((&refused["pointer"], &refused["location"]), (&json!("/method"), &json!("bremen")));
        let none = json!([{"line_no": 2, "sku": "MUG", "available": 0, "missing": 2}]);
        assert_eq!(refused["missing"], none, "the tees are there");
        let refused = redirect(&app, &order, "kiel").await.problem(409, "out_of_stock");
        assert_eq!(refused["missing"][0]["missing"], 1);
        // Nothing was changed by that.
        assert!(work(&app, &order).await.iter().all(|one| one["location"] == "berlin"));
        let line = json!({"sku": "MUG", "location": "kiel", "change": 1, "reason": "brought"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
        redirect(&app, &order, "kiel").await.expect(200);
        lies_at(&app, &order, "kiel").await;
        // Goods that may be sold beyond the stock are not waited for either, but where they are.
        let found = app.ops("GET", "/variants?sku=MUG", None).await.expect(200);
        let path = format!("/variants/{}", text(&found["items"][0]["id"]));
        app.ops("PATCH", &path, Some(&json!({"backorder_policy": "allow"}))).await.expect(200);
        redirect(&app, &order, "click").await.problem(409, "out_of_stock");
        // Nor is anything sent where it can not be handled.
        app.ops("PATCH", &path, Some(&json!({"requires": ["bulky"]}))).await.expect(200);
        let refused = redirect(&app, &order, "click").await.problem(409, "not_capable");
        assert_eq!((&refused["pointer"], &refused["missing"]), (&json!("/method"), &json!(["bulky"])));
    });
}

#[test]
fn a_locations_no_is_remembered_whatever_way_the_delivery_goes() {
    on_both(|app| async move {
        let shop = open(&app).await;
        let order = order_of(&shop, "click", &[("TEE", 2)]).await;
        let decline = async |place: &str| {
            let one = work(&app, &order).await[0].clone();
            assert_eq!(one["location"], place);
            let path = format!("/fulfilment-orders/{}/decline", text(&one["id"]));
            app.ops("POST", &path, Some(&json!({"reason": "sold over the counter"}))).await.expect(200);
        };
        decline("bremen").await;
        redirect(&app, &order, "kiel").await.expect(200);
        lies_at(&app, &order, "kiel").await;
        decline("kiel").await;
        // It is not sent back to either of them to be picked up.
        redirect(&app, &order, "click").await.problem(409, "state_conflict");
        // Shipped, it comes from neither: not when it is sent another way, nor when it is planned anew.
        let berlin = app.ops("GET", "/locations", None).await.expect(200);
        let berlin = berlin["items"].as_array().unwrap().iter().find(|one| one["code"] == "berlin").unwrap().clone();
        redirect(&app, &order, "cheap").await.expect(200);
        lies_at(&app, &order, "berlin").await;
        let path = format!("/fulfilment-orders/{}/replan", text(&work(&app, &order).await[0]["id"]));
        let anew = json!({"exclude_locations": [berlin["id"]]});
        let seen = app.ops("POST", &path, Some(&anew)).await.expect(200);
        assert_eq!(seen["unplaced"][0]["quantity"], 2, "{seen}");
        let works = work(&app, &order).await;
        assert!(works.iter().all(|one| one["location"] == "berlin"), "{works:?}");
        assert_eq!(works[0]["holds"][0]["kind"], "stock");
        // Another order is none of it.
        let other = order_of(&shop, "click", &[("TEE", 1)]).await;
        assert_eq!(work(&app, &other).await[0]["location"], "bremen");
    });
}

#[test]
fn nothing_comes_before_it_was_announced() {
    on_both(|app| async move {
        Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        let expected = app.now().plus_seconds(3600);
        let announced =
            json!({"location": "berlin", "expected_at": expected, "lines": [{"sku": "TEE", "quantity": 4}]});
        let lorry = app.ops("POST", "/inbound-shipments", Some(&announced)).await.expect(201);
        let path = format!("/inbound-shipments/{}/receive", text(&lorry["id"]));
        let since = app.now();
        app.clock.advance_seconds(7200);
        let scopes = [Scope::StockWrite, Scope::StockRead, Scope::HistoryWrite];
        let token = format!("Bearer {}", app.token(Audience::Staff, "ada", &scopes));
        let receive = async |at: kontor::kernel::Instant| {
            let body = json!({"lines": [{"line_no": 1, "quantity": 1}], "occurred_at": at});
            let key = format!("at-{}", at.micros());
            let headers = [("Authorization", token.as_str()), ("Idempotency-Key", key.as_str())];
            app.send("POST", &format!("/v1/ops{path}"), &headers, Some(&body)).await
        };
        let refused = receive(since.plus_seconds(-60)).await.problem(422, "history_before_announcement");
        assert_eq!(refused["pointer"], "/occurred_at");
        assert_eq!(refused["created_at"], lorry["created_at"]);
        receive(since.plus_seconds(60)).await.expect(200);
    });
}
