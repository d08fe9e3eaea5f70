//! Promotions over HTTP: planned, simulated, activated, given to carts, explained, ended.

use serde_json::{Value, json};

use crate::support::{App, Cart, Shop, on_both};

const DAY: i64 = 86_400;

pub fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

pub fn percent(percent: &str, on: &str) -> Value {
    json!({"type": "percentage", "percent": percent, "on": on})
}

/// Plans a promotion: its id.
pub async fn plan(app: &App, code: &str, rule: Value) -> String {
    let mut new = json!({"code": code, "name": format!("The {code}")});
    new.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
    let made = app.ops("POST", "/promotions", Some(&new)).await.expect(201);
    assert_eq!(made["state"], "draft");
    made["id"].as_str().unwrap().to_owned()
}

/// The same, activated.
pub async fn promote(app: &App, code: &str, rule: Value) -> String {
    let id = plan(app, code, rule).await;
    let accepted = json!({"despite_warnings": true});
    let active = app.ops("POST", &format!("/promotions/{id}/activate"), Some(&accepted)).await.expect(200);
    assert_eq!(active["state"], "active");
    id
}

pub async fn again(shop: &Shop, cart: &Cart) -> Value {
    let body = json!({"metadata": {"seen": shop.app.now()}});
    shop.store("PATCH", &format!("/carts/{}", cart.id), Some(&cart.token), Some(&body)).await.expect(200)
}

fn amount(value: &Value) -> &str {
    value["amount"].as_str().unwrap_or_else(|| panic!("no amount: {value}"))
}

#[test]
fn a_promotion_is_planned_simulated_activated_and_shows_on_cart_and_order() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 50), ("MUG", "10.00", 50)]).await;
        let rule = json!({
            "conditions": {"min_value": eur("30.00"), "goods": {"include": [{"skus": ["MUG"]}]}}, "gift": percent("20", "lines"),
        });
        let id = plan(&app, "mugs-20", rule).await;
        let cart = shop.cart(&[("TEE", 1), ("MUG", 2)]).await;
        assert_eq!(amount(&cart.body["total"]), "44.90");
        // Simulated with drafts it applies, and every other is told with its reason.
        let other =
            plan(&app, "vip", json!({"conditions": {"customer_groups": ["vip"]}, "gift": percent("50", "order")}))
                .await;
        let mut asked = json!({
            "channel_id": shop.channel, "lines": [{"sku": "TEE"}, {"sku": "MUG", "quantity": 2}],
            "shipping_method": "standard", "include_drafts": true,
        });
        let seen = app.ops("POST", "/pricing/simulate", Some(&asked)).await.expect(200);
        let totals = &seen["totals"];
        assert_eq!((amount(&totals["total"]), amount(&totals["discount"])), ("40.90", "4.00"));
        assert_eq!(totals["promotions"][0]["promotion_id"], json!(id));
        assert_eq!(totals["promotions"][0]["lines"], json!([{"line_no": 2, "amount": eur("4.00")}]));
        assert_eq!(totals["passed_over"][0]["promotion_id"], json!(other));
        assert_eq!(totals["passed_over"][0]["reason"]["code"], "customer_group");
        asked["customer_group"] = json!("vip");
        let seen = app.ops("POST", "/pricing/simulate", Some(&asked)).await.expect(200);
        assert_eq!(amount(&seen["totals"]["discount"]), "22.00");
        asked["include_drafts"] = json!(false);
        let seen = app.ops("POST", "/pricing/simulate", Some(&asked)).await.expect(200);
        assert_eq!(amount(&seen["totals"]["discount"]), "0.00");
        // Activated, a cart gets it when it is priced next, and its order keeps it.
        app.ops("POST", &format!("/promotions/{id}/activate"), Some(&json!({}))).await.expect(200);
        let seen = again(&shop, &cart).await;
        assert_eq!((amount(&seen["total"]), amount(&seen["totals"]["discount"])), ("40.90", "4.00"));
        let explained = seen["totals"]["lines"][1]["explanation"].to_string();
        assert!(explained.contains("The mugs-20"), "{explained}");
        assert_eq!((&seen["totals"]["rules_version"], &seen["totals"]["passed_over"]), (&Value::Null, &Value::Null));
        let placed = shop.complete(&cart, "approve").await.expect(201);
        assert_eq!(amount(&placed["order"]["total"]), "40.90");
        let path = format!("/orders/{}", placed["order"]["id"].as_str().unwrap());
        let order = app.ops("GET", &path, None).await.expect(200);
        assert_eq!(
            (&order["promotions"][0]["code"], &order["promotions"][0]["version"]),
            (&json!("mugs-20"), &json!(2))
        );
        assert_eq!(amount(&order["lines"][1]["discount"]), "4.00");
        assert!(order["rules_version"].as_i64().unwrap() > 0);
        // What it was planned for is told of a smaller cart.
        let small = shop.cart(&[("MUG", 2)]).await;
        assert_eq!(amount(&small.body["total"]), "24.90");
        let staff = app.ops("GET", &format!("/carts/{}", small.id), None).await.expect(200);
        assert_eq!(staff["totals"]["passed_over"][0]["reason"]["code"], "min_value");
        // Paused, it is gone, and the next change of the cart says so.
        let big = shop.cart(&[("MUG", 4)]).await;
        assert_eq!(amount(&big.body["total"]), "36.90");
        app.ops("POST", &format!("/promotions/{id}/pause"), None).await.expect(200);
        let seen = again(&shop, &big).await;
        assert_eq!((amount(&seen["total"]), &seen["changes"][0]["code"]), ("44.90", &json!("promotion_gone")));
        app.ops("POST", &format!("/promotions/{id}/end"), None).await.expect(200);
        app.ops("POST", &format!("/promotions/{id}/activate"), Some(&json!({}))).await.problem(409, "state_conflict");
        app.ops("PATCH", &format!("/promotions/{id}"), Some(&json!({"priority": 3})))
            .await
            .problem(409, "state_conflict");
    });
}

#[test]
fn a_sale_begins_and_ends_by_the_clock() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let (from, until) = (app.now().plus_seconds(DAY), app.now().plus_seconds(3 * DAY));
        let rule = json!({"valid_from": from, "valid_until": until, "conditions": {"first_hours": 24}, "gift": percent("25", "lines")});
        let id = promote(&app, "friday", rule).await;
        let cart = shop.cart(&[("MUG", 2)]).await;
        let asked = |at| json!({"channel_id": shop.channel, "at": at, "lines": [{"sku": "MUG", "quantity": 2}]});
        let mut told = Vec::new();
        for seconds in [-1, 0, DAY - 1, DAY] {
            let seen = app.ops("POST", "/pricing/simulate", Some(&asked(from.plus_seconds(seconds)))).await.expect(200);
            told.push(amount(&seen["totals"]["total"]).to_owned());
        }
        assert_eq!(told, ["20.00", "15.00", "15.00", "20.00"]);
        app.clock.advance_seconds(DAY - 1);
        assert_eq!(amount(&again(&shop, &cart).await["total"]), "24.90");
        app.clock.advance_seconds(1);
        assert_eq!(amount(&again(&shop, &cart).await["total"]), "19.90");
        // Changed while it runs: a new version, effective at once.
        let changed = json!({"conditions": {}, "gift": percent("30", "lines")});
        let changed = app.ops("PATCH", &format!("/promotions/{id}"), Some(&changed)).await.expect(200);
        assert_eq!(changed["version"], 3);
        app.clock.advance_seconds(2 * DAY - 1);
        assert_eq!(amount(&again(&shop, &cart).await["total"]), "18.90");
        app.clock.advance_seconds(1);
        assert_eq!(amount(&again(&shop, &cart).await["total"]), "24.90");
    });
}

#[test]
fn shipping_is_reduced_after_the_goods() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        promote(&app, "ten", json!({"gift": percent("10", "lines")})).await;
        let rule = json!({"conditions": {"min_value": eur("30.00")}, "gift": percent("100", "shipping")});
        promote(&app, "free-shipping", rule).await;
        let cart = shop.cart(&[("MUG", 2)]).await;
        assert_eq!(amount(&cart.body["total"]), "22.90");
        let cart = shop.cart(&[("MUG", 3)]).await;
        let totals = &cart.body["totals"];
        assert_eq!((amount(&totals["total"]), amount(&totals["shipping_total"])), ("27.00", "0.00"));
        assert_eq!(amount(&totals["shipping"]["discount"]), "4.90");
        let placed = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        assert_eq!(amount(&placed["total"]), "27.00");
        // All of it free with shipping to pay: a hundred per cent is no special case.
        let all = promote(&app, "all", json!({"priority": -1, "gift": percent("100", "order")})).await;
        let cart = shop.cart(&[("MUG", 1)]).await;
        assert_eq!(amount(&cart.body["total"]), "4.90");
        app.ops("POST", &format!("/promotions/{all}/end"), None).await.expect(200);
    });
}

#[test]
fn prices_are_for_customers_and_groups() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let make = async |path: &str, body: Value| app.ops("POST", path, Some(&body)).await.expect(201);
        let ada = make("/customers", json!({"name": "Ada", "group": "trade"})).await;
        let bob = make("/customers", json!({"name": "Bob", "group": "trade"})).await;
        for (code, audience, price) in [
            ("trade", json!({"customer_group": "trade"}), "8.00"),
            ("adas", json!({"customer_id": ada["id"], "kind": "contract"}), "7.50"),
            ("costs", json!({"kind": "cost", "priority": 99}), "4.00"),
        ] {
            let mut list = json!({"code": code, "name": code, "currency": "EUR"});
            list.as_object_mut().unwrap().extend(audience.as_object().unwrap().clone());
            let made = make("/price-lists", list).await;
            let rows = json!({"rows": [{"sku": "MUG", "unit_price": eur(price)}]});
            let path = format!("/price-lists/{}/prices", made["id"].as_str().unwrap());
            app.ops("PUT", &path, Some(&rows)).await.expect(200);
        }
        let price = async |customer: &Value| {
            let lines = json!([{"sku": "MUG", "quantity": 1}]);
            let body = json!({"channel_id": shop.channel, "customer_id": customer, "lines": lines});
            let cart = make("/carts", body).await;
            amount(&cart["totals"]["lines"][0]["unit_price"]).to_owned()
        };
        assert_eq!(price(&ada["id"]).await, "7.50");
        assert_eq!(price(&bob["id"]).await, "8.00");
        assert_eq!(price(&Value::Null).await, "10.00");
        let group = json!({"group": "press"});
        app.ops("PATCH", &format!("/customers/{}", bob["id"].as_str().unwrap()), Some(&group)).await.expect(200);
        assert_eq!(price(&bob["id"]).await, "10.00");
        let offers = shop.store("POST", "/offers", None, Some(&json!({"skus": ["MUG"]}))).await.expect(200);
        assert_eq!(amount(&offers["items"][0]["price"]), "10.00");
        for (wrong, pointer) in [
            (json!({"customer_group": "a", "customer_id": ada["id"]}), "/customer_group"),
            (json!({"customer_group": "a", "kind": "cost"}), "/customer_group"),
        ] {
            let mut list = json!({"code": "x", "name": "x", "currency": "EUR"});
            list.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
            let refused = app.ops("POST", "/price-lists", Some(&list)).await.problem(422, "invalid_value");
            assert_eq!(refused["pointer"], pointer);
        }
    });
}

#[test]
fn what_should_be_known_is_told_before_a_promotion_is_activated() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 5), ("MUG", "10.00", 5)]).await;
        let costs = json!({"code": "costs", "name": "Costs", "currency": "EUR", "kind": "cost"});
        let costs = app.ops("POST", "/price-lists", Some(&costs)).await.expect(201);
        let rows =
            json!({"rows": [{"sku": "MUG", "unit_price": eur("7.00")}, {"sku": "TEE", "unit_price": eur("5.00")}]});
        let path = format!("/price-lists/{}/prices", costs["id"].as_str().unwrap());
        app.ops("PUT", &path, Some(&rows)).await.expect(200);
        let first = promote(&app, "first", json!({"gift": percent("20", "lines")})).await;
        let second = plan(&app, "second", json!({"gift": percent("20", "lines")})).await;
        let path = format!("/promotions/{second}");
        let seen = app.ops("GET", &format!("{path}/checks"), None).await.expect(200);
        let told: Vec<(&str, i64)> = seen["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|warning| (warning["code"].as_str().unwrap(), warning["articles"].as_i64().unwrap()))
            .collect();
        // 10.00 less 20 % twice is 6.40, below its cost of 7.00; 12.80 is above that of the tee.
        assert_eq!(told, [("below_cost", 1), ("overlap", 2)], "{seen}");
        assert_eq!(
            seen["warnings"][0]["examples"][0],
            json!({"sku": "MUG", "price": eur("10.00"), "lowest": eur("6.40"), "cost": eur("7.00")})
        );
        assert_eq!(seen["warnings"][1]["promotion_id"], json!(first));
        let refused =
            app.ops("POST", &format!("{path}/activate"), Some(&json!({}))).await.problem(409, "promotion_warnings");
        assert_eq!(refused["warnings"], seen["warnings"]);
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["state"], "draft");
        // Where it stops at the cost and goes alone there is nothing to tell.
        let careful =
            json!({"stacking": {"combinable": false, "not_below_cost": true}, "gift": percent("40", "lines")});
        app.ops("PATCH", &path, Some(&careful)).await.expect(200);
        app.ops("POST", &format!("/promotions/{first}/pause"), None).await.expect(200);
        let seen = app.ops("GET", &format!("{path}/checks"), None).await.expect(200);
        assert_eq!(seen["warnings"], json!([]), "{seen}");
        app.ops("POST", &format!("{path}/activate"), Some(&json!({}))).await.expect(200);
        let cart = shop.cart(&[("MUG", 2), ("TEE", 1)]).await;
        let totals = &cart.body["totals"];
        assert_eq!(
            ["0", "1"].map(|at| amount(&totals["lines"][at.parse::<usize>().unwrap()]["discount"])),
            ["6.00", "8.00"]
        );
    });
}

#[test]
fn what_can_not_be_meant_is_refused_where_it_stands() {
    on_both(|app| async move {
        Shop::open(&app, &[]).await;
        let ten = percent("10", "lines");
        for (rule, code, pointer) in [
            (json!({"gift": percent("0", "lines")}), "invalid_value", "/gift"),
            (json!({"gift": {"type": "magic"}}), "invalid_value", "/gift/type"),
            (json!({"gift": ten, "conditions": {"colour": "red"}}), "unknown_field", "/conditions/colour"),
            (json!({"gift": ten, "conditions": {"first_hours": 2}}), "invalid_value", "/conditions/first_hours"),
            (json!({"gift": ten, "limits": {"uses": 0}}), "invalid_value", "/limits/uses"),
            (
                json!({"gift": ten, "valid_from": "2030-01-02T00:00:00Z", "valid_until": "2030-01-01T00:00:00Z"}),
                "invalid_value",
                "/valid_until",
            ),
            (json!({"gift": ten, "channel_id": "chan_01h455vb4pex5vsknk084sn02q"}), "not_found", "/channel_id"),
        ] {
            let mut new = json!({"code": "x", "name": "x"});
            new.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
            let answer = app.ops("POST", "/promotions", Some(&new)).await;
            assert_eq!(
                (answer.body["code"].as_str(), answer.body["pointer"].as_str()),
                (Some(code), Some(pointer)),
                "{}",
                answer.text
            );
        }
        assert_eq!(app.ops("GET", "/promotions", None).await.expect(200)["items"], json!([]));
        plan(&app, "x", json!({"gift": ten})).await;
        let again = json!({"code": "x", "name": "x", "gift": ten});
        let refused = app.ops("POST", "/promotions", Some(&again)).await.problem(409, "duplicate");
        assert_eq!(refused["pointer"], "/code");
        let listed = app.ops("GET", "/promotions?state=draft&limit=1", None).await.expect(200);
        assert_eq!(listed["items"][0]["code"], "x");
        assert_eq!(app.ops("GET", "/promotions?state=active", None).await.expect(200)["items"], json!([]));
    });
}
