//! Goods are shipped by those alone who can handle them, and what storefronts are told is what can be planned.

use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both, shop::address};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

async fn place(app: &App, code: &str, more: Value, goods: &[(&str, i64)]) -> String {
    let mut new = json!({"code": code, "name": code, "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
    new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = app.ops("POST", "/locations", Some(&new)).await.expect(201);
    for (sku, change) in goods {
        let line = json!({"sku": sku, "location": code, "change": change, "reason": "test"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
    }
    text(&made["id"])
}

async fn article(app: &App, sku: &str, change: Value) -> Value {
    let found = app.ops("GET", &format!("/variants?sku={sku}"), None).await.expect(200);
    let path = format!("/variants/{}", text(&found["items"][0]["id"]));
    app.ops("PATCH", &path, Some(&change)).await.expect(200)
}

async fn simulate(shop: &Shop, lines: &[(&str, i64)], more: Value) -> Value {
    let lines: Vec<Value> = lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
    let mut request = json!({"channel_id": shop.channel, "country": "DE", "lines": lines});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    shop.app.ops("POST", "/sourcing/simulate", Some(&request)).await.expect(200)
}

fn from(simulated: &Value) -> Vec<(i64, String)> {
    let share = |one: &Value| (one["line_no"].as_i64().unwrap(), text(&one["location"]));
    simulated["shares"].as_array().unwrap_or_else(|| panic!("{simulated}")).iter().map(share).collect()
}

fn row(line: i64, location: &str) -> (i64, String) {
    (line, location.to_owned())
}

/// What a trace says of a location.
fn seen(traces: &Value, line: i64, location: &str) -> Value {
    let trace =
        traces.as_array().unwrap().iter().find(|one| one["line_no"] == line).unwrap_or_else(|| panic!("{traces}"));
    let looked_at = trace["looked_at"].as_array().unwrap();
    looked_at.iter().find(|one| one["location"] == location).unwrap_or_else(|| panic!("{trace}")).clone()
}

/// A berlin that can do nothing special with ten of each, and a cold store that lies behind it.
async fn open(app: &App) -> (Shop, String) {
    let shop = Shop::open(app, &[("TEE", "19.90", 10), ("ICE", "4.90", 10)]).await;
    let goods = [("TEE", 5), ("ICE", 5)];
    let kiel = place(app, "kiel", json!({"capabilities": ["hazmat", "cold_chain"]}), &goods).await;
    let ice = article(app, "ICE", json!({"requires": ["cold_chain"]})).await;
    assert_eq!(ice["requires"], json!(["cold_chain"]));
    (shop, kiel)
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
    let found = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
    let all = found["fulfilment_orders"].as_array().unwrap().iter().filter(|one| one["state"] != "cancelled");
    coded(app, all.cloned().collect()).await
}

#[test]
fn words_are_checked_kept_sorted_and_taken_away_again() {
    on_both(|app| async move {
        let (_, kiel) = open(&app).await;
        let path = format!("/locations/{kiel}");
        let found = app.ops("GET", &path, None).await.expect(200);
        assert_eq!(found["capabilities"], json!(["cold_chain", "hazmat"]));
        for (wrong, pointer) in [
            (json!(["Cold"]), "/capabilities/0"),
            (json!(["bulky", "gift wrap"]), "/capabilities/1"),
            (json!(["bulky", "bulky"]), "/capabilities"),
            (json!((0..21).map(|at| format!("w{at}")).collect::<Vec<_>>()), "/capabilities"),
        ] {
            let refused = app.ops("PATCH", &path, Some(&json!({"capabilities": wrong}))).await;
            let refused = refused.problem(422, "invalid_value");
            assert_eq!(refused["pointer"], pointer, "{wrong}");
        }
        let none = app.ops("PATCH", &path, Some(&json!({"capabilities": []}))).await.expect(200);
        assert!(none.get("capabilities").is_none(), "{none}");
        assert!(article(&app, "ICE", json!({"requires": []})).await.get("requires").is_none());
        // A row that says nothing of it leaves it alone.
        let token = app.token(Audience::Client, "pim", &[Scope::CatalogWrite]);
        for row in [json!({"sku": "ICE", "requires": ["hazmat", "bulky"]}), json!({"sku": "ICE", "name": "Ice cream"})]
        {
            let sent = app.client.post(format!("{}/v1/integration/variants", app.url)).bearer_auth(&token);
            let sent =
                sent.header("Content-Type", "application/x-ndjson").body(format!("{row}\n")).send().await.unwrap();
            assert_eq!(sent.status().as_u16(), 200, "{}", sent.text().await.unwrap());
        }
        let ice = app.ops("GET", "/variants?sku=ICE", None).await.expect(200);
        assert_eq!(ice["items"][0]["requires"], json!(["bulky", "hazmat"]));
        let bundle = json!({"sku": "SET", "name": "Set", "tax_class": "standard", "requires": ["bulky"],
            "components": [{"sku": "ICE", "quantity": 2}]});
        let refused = app.ops("POST", "/variants", Some(&bundle)).await.problem(422, "bundle_invalid");
        assert_eq!(refused["pointer"], "/requires");
    });
}

#[test]
fn an_order_is_shipped_by_those_who_can_handle_its_goods_and_the_trace_says_why() {
    on_both(|app| async move {
        let (shop, kiel) = open(&app).await;
        let cold = || async { from(&simulate(&shop, &[("ICE", 1)], json!({})).await) == [row(1, "kiel")] };
        eventually("the location is known", cold).await;
        // Both lines from one place where one can do all of it.
        let tried = simulate(&shop, &[("TEE", 1), ("ICE", 1)], json!({})).await;
        assert_eq!(from(&tried), [row(1, "kiel"), row(2, "kiel")]);
        let passed_over = seen(&tried["sourcing"], 2, "berlin");
        assert_eq!((&passed_over["why"], &passed_over["missing"]), (&json!("not_capable"), &json!(["cold_chain"])));
        assert_eq!(seen(&tried["sourcing"], 1, "berlin")["why"], "lacks_others");
        let order = shop.order(&[("TEE", 6), ("ICE", 1)]).await;
        let places: Vec<(String, String)> = work(&app, &order)
            .await
            .iter()
            .map(|one| (text(&one["location"]), text(&one["lines"][0]["sku"])))
            .collect();
        assert_eq!(places.len(), 2, "{places:?}");
        assert!(places.contains(&("berlin".into(), "TEE".into())) && places.contains(&("kiel".into(), "ICE".into())));
        // By a profile too, whose strategy may ask for more, and whose fallback is held to it.
        let asks = json!({"document": {"strategies": [{"name": "safe", "filters": {"capabilities": ["hazmat"]}}]}});
        let safe = simulate(&shop, &[("TEE", 1)], asks).await;
        assert_eq!(from(&safe), [row(1, "kiel")]);
        assert_eq!(seen(&safe["sourcing"], 1, "berlin")["missing"], json!(["hazmat"]));
        let one = json!({"document": {"strategies": [{"name": "one"}]}});
        let ice = simulate(&shop, &[("ICE", 2)], one).await;
        assert_eq!(from(&ice), [row(1, "kiel")]);
        assert_eq!(seen(&ice["sourcing"], 1, "berlin")["missing"], json!(["cold_chain"]));
        place(&app, "supplier", json!({"kind": "supplier"}), &[]).await;
        article(&app, "ICE", json!({"backorder_policy": "allow"})).await;
        let drop = json!({"document": {"fallback": {"then": "drop_ship", "location": "supplier"},
            "strategies": [{"name": "now", "limits": {"ship_complete": true}}]}});
        let waits = simulate(&shop, &[("ICE", 90)], drop.clone()).await;
        assert_eq!(from(&waits), [row(1, "kiel")], "the supplier has no cold chain");
        app.ops("PATCH", &format!("/locations/{kiel}"), Some(&json!({"capabilities": ["hazmat"]}))).await.expect(200);
        let nobody = || async { simulate(&shop, &[("ICE", 1)], json!({})).await["planned"] == json!(false) };
        eventually("nobody has a cold chain", nobody).await;
        for rules in [json!({}), drop] {
            let refused = simulate(&shop, &[("TEE", 1), ("ICE", 1)], rules).await;
            let told = json!({"code": "not_capable", "line_no": 2, "missing": ["cold_chain"]});
            assert_eq!(refused["refusal"], told, "{refused}");
        }
        let cart = shop.cart(&[("ICE", 1)]).await;
        let refused = shop.complete(&cart, "approve").await.problem(409, "not_capable");
        assert_eq!((&refused["missing"], &refused["pointer"]), (&json!(["cold_chain"]), &json!("/lines/0")));
    });
}

#[test]
fn what_is_moved_or_planned_anew_stays_with_those_who_can_handle_it() {
    on_both(|app| async move {
        let (shop, kiel) = open(&app).await;
        place(&app, "bremen", json!({"capabilities": ["cold_chain"], "priority": 300}), &[("ICE", 5)]).await;
        let cold = || async {
            from(&simulate(&shop, &[("ICE", 1)], json!({"without": ["kiel"]})).await) == [row(1, "bremen")]
        };
        eventually("the locations are known", cold).await;
        let order = shop.order(&[("ICE", 2)]).await;
        let own = work(&app, &order).await[0].clone();
        assert_eq!(own["location"], "kiel");
        let to = |action: &str| format!("/fulfilment-orders/{}/{action}", text(&own["id"]));
        let refused = app.ops("POST", &to("move"), Some(&json!({"location": "berlin"}))).await;
        let refused = refused.problem(409, "not_capable");
        assert_eq!((&refused["missing"], &refused["pointer"]), (&json!(["cold_chain"]), &json!("/location")));
        // Without a cold chain in Kiel it goes to Bremen, though Berlin is asked before.
        app.ops("PATCH", &format!("/locations/{kiel}"), Some(&json!({"capabilities": []}))).await.expect(200);
        let gone = || async { from(&simulate(&shop, &[("ICE", 1)], json!({})).await) == [row(1, "bremen")] };
        eventually("it is known", gone).await;
        app.ops("POST", &to("replan"), Some(&json!({}))).await.expect(200);
        assert_eq!(work(&app, &order).await[0]["location"], "bremen");
    });
}

#[test]
fn storefronts_are_told_what_lies_where_their_orders_are_shipped_from() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 2), ("ICE", "4.90", 2)]).await;
        shop.set(json!({"low_stock": 50, "countries": ["DE", "AT"]})).await;
        let left = async |sku: &str| {
            let answer = shop.store("POST", "/availability", None, Some(&json!({"skus": [sku]}))).await.expect(200);
            answer["items"][0]["left"].as_i64().unwrap_or_default()
        };
        let offered = async |country: &str| {
            let body = json!({"skus": ["TEE"], "country": country});
            let answer = shop.store("POST", "/offers", None, Some(&body)).await.expect(200);
            answer["items"][0]["availability"]["available"].as_i64().unwrap_or_else(|| panic!("{answer}"))
        };
        assert_eq!((left("TEE").await, offered("DE").await, offered("AT").await), (2, 2, 2));
        // A location of another channel does not count, one for another country where the country is known.
        let entity = app.ops("GET", "/legal-entities", None).await.expect(200)["items"][0]["id"].clone();
        let other = json!({"code": "other", "name": "Other", "legal_entity_id": entity, "settings": {"currencies": ["EUR"],
            "locales": ["de-DE"], "countries": ["DE"], "time_zone": "Europe/Berlin", "prices_include_tax": true,
            "rounding": {"point": "per_line", "strategy": "half_up"}, "payment_methods": ["manual"]}});
        let other = app.ops("POST", "/channels", Some(&other)).await.expect(201);
        place(&app, "theirs", json!({"channels": [other["id"]]}), &[("TEE", 9)]).await;
        place(&app, "vienna", json!({"countries": ["AT"]}), &[("TEE", 4)]).await;
        let known = || async { (left("TEE").await, offered("DE").await, offered("AT").await) == (6, 2, 6) };
        eventually("both are known", known).await;
        // A cart to Germany is told the same before it is paid as when its goods are reserved.
        let body = json!({"lines": [{"sku": "TEE", "quantity": 3}], "email": "ada@example.org",
            "shipping_method": "standard", "shipping_address": address()});
        let cart = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
        let short = cart["problems"].as_array().unwrap().iter().find(|one| one["code"] == "out_of_stock");
        assert!(short.is_some_and(|one| text(&one["detail"]).starts_with("2 of TEE")), "{cart}");
        // Nor does what lies where it can not be handled.
        place(&app, "cold", json!({"capabilities": ["cold_chain"]}), &[("ICE", 7)]).await;
        eventually("the cold store is known", || async { left("ICE").await == 9 }).await;
        article(&app, "ICE", json!({"requires": ["cold_chain"]})).await;
        assert_eq!(left("ICE").await, 7);
    });
}

#[test]
fn nothing_is_picked_up_where_it_can_not_be_handled() {
    on_both(|app| async move {
        let (shop, kiel) = open(&app).await;
        let bremen = place(&app, "bremen", json!({}), &[("ICE", 5)]).await;
        for (code, place) in [("click", &bremen), ("collect", &kiel)] {
            let method = json!({"channel_id": shop.channel, "code": code, "name": code, "tax_class": "standard",
                "pickup_location_id": place, "rates": [{"countries": [], "price": {"amount": "0.00", "currency": "EUR"}}]});
            app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
        }
        let body = json!({"lines": [{"sku": "ICE", "quantity": 1}], "email": "ada@example.org", "billing_address": address(),
            "shipping_address": address()});
        let options = || async {
            let cart = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
            let path = format!("/carts/{}/shipping-options", text(&cart["id"]));
            let found = shop.store("GET", &path, Some(&text(&cart["token"])), None).await.expect(200);
            let of = |code: &str| found["items"].as_array().unwrap().iter().find(|one| one["code"] == code).cloned();
            (of("click"), of("collect"), cart)
        };
        eventually("the methods are known", || async { options().await.1.is_some_and(|one| one["available"] == true) })
            .await;
        let (click, _, cart) = options().await;
        let click = click.unwrap();
        assert_eq!((&click["available"], &click["reason"]["code"]), (&json!(false), &json!("not_capable")), "{click}");
        let (path, token) = (format!("/carts/{}", text(&cart["id"])), text(&cart["token"]));
        let there = json!({"shipping_method": "click"});
        let there = shop.store("PATCH", &path, Some(&token), Some(&there)).await.expect(200);
        let told = there["problems"].as_array().unwrap().iter().find(|one| one["code"] == "not_capable");
        assert_eq!(told.unwrap_or_else(|| panic!("{there}"))["pointer"], "/lines/0");
    });
}
