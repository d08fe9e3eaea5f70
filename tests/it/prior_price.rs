//! The price before a reduction, as storefronts are told it.

use serde_json::{Value, json};

use crate::support::{App, Shop, on_both, on_both_idle};

const DAY: i64 = 86_400;

async fn offer(shop: &Shop, sku: &str) -> Value {
    let offers = shop.store("POST", "/offers", None, Some(&json!({"skus": [sku]}))).await.expect(200);
    offers["items"][0].clone()
}

/// A list for reductions that goes before the everyday one, with these prices.
async fn sale(app: &App, code: &str, more: Value, prices: &[(&str, &str)]) -> String {
    let mut list = json!({"code": code, "name": code, "currency": "EUR", "kind": "sale", "priority": 10});
    list.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = app.ops("POST", "/price-lists", Some(&list)).await.expect(201);
    let path = format!("/price-lists/{}", made["id"].as_str().unwrap());
    set(app, &path, prices).await;
    path
}

async fn set(app: &App, list: &str, prices: &[(&str, &str)]) {
    let row = |(sku, amount): &(&str, &str)| json!({"sku": sku, "unit_price": {"amount": amount, "currency": "EUR"}});
    let rows: Vec<Value> = prices.iter().map(row).collect();
    app.ops("PUT", &format!("{list}/prices"), Some(&json!({ "rows": rows }))).await.expect(200);
}

fn told(of: &Value) -> (Option<&str>, Option<i64>) {
    (of["prior_price"]["amount"].as_str(), of["reduction_percent"].as_i64())
}

#[test]
fn a_sale_shows_the_lowest_price_of_the_thirty_days_before_it() {
    // Half a year goes by: nobody lets the cart expire meanwhile.
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "100.00", 20), ("MUG", "100.00", 20), ("CAP", "100.00", 20)]).await;
        app.clock.advance_seconds(50 * DAY);
        // One is raised ten days before it is cut.
        shop.set_price("MUG", "130.00").await;
        app.clock.advance_seconds(10 * DAY);
        assert_eq!(told(&offer(&shop, "TEE").await), (None, None));
        let list = sale(&app, "autumn", json!({}), &[("TEE", "80.00"), ("MUG", "90.00"), ("CAP", "110.00")]).await;
        assert_eq!(told(&offer(&shop, "TEE").await), (Some("100.00"), Some(20)));
        assert_eq!(told(&offer(&shop, "MUG").await), (Some("100.00"), Some(10)));
        // What costs more than before is not reduced, whatever its list is called.
        let dearer = offer(&shop, "CAP").await;
        assert_eq!((told(&dearer), &dearer["price"]["amount"]), ((None, None), &json!("110.00")));
        // A cart says the same of its lines, and an agreed price is no reduction.
        let cart = shop.cart(&[("TEE", 2), ("CAP", 1)]).await;
        assert_eq!(told(&cart.body["lines"][0]), (Some("100.00"), Some(20)));
        assert_eq!(told(&cart.body["lines"][1]), (None, None));
        // Lower still a week later, it is the same reduction.
        app.clock.advance_seconds(7 * DAY);
        set(&app, &list, &[("TEE", "70.00")]).await;
        assert_eq!(told(&offer(&shop, "TEE").await), (Some("100.00"), Some(30)));
        // And so after half a year.
        app.clock.advance_seconds(180 * DAY);
        assert_eq!(told(&offer(&shop, "TEE").await), (Some("100.00"), Some(30)));
        // When the sale is over nothing is shown, on the cart as well.
        let over = json!({"valid_until": app.now()});
        app.ops("PATCH", &list, Some(&over)).await.expect(200);
        assert_eq!(told(&offer(&shop, "TEE").await), (None, None));
        let path = format!("/carts/{}", cart.id);
        let again = json!({"metadata": {"seen": 1}});
        let cart = shop.store("PATCH", &path, Some(&cart.token), Some(&again)).await.expect(200);
        assert_eq!(told(&cart["lines"][0]), (None, None));
    });
}

#[test]
fn goods_that_perish_are_measured_by_their_last_price_and_new_ones_by_what_they_have_cost() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MILK", "4.00", 20), ("NEW", "50.00", 20)]).await;
        let found = app.ops("GET", "/variants?sku=MILK", None).await.expect(200);
        let milk = format!("/variants/{}", found["items"][0]["id"].as_str().unwrap());
        let perishes = json!({"attributes": {"perishable": true}});
        app.ops("PATCH", &milk, Some(&perishes)).await.expect(200);
        app.clock.advance_seconds(2 * DAY);
        shop.set_price("MILK", "2.50").await;
        app.clock.advance_seconds(DAY);
        shop.set_price("MILK", "4.00").await;
        app.clock.advance_seconds(5 * DAY);
        sale(&app, "today", json!({}), &[("MILK", "3.00"), ("NEW", "40.00")]).await;
        assert_eq!(told(&offer(&shop, "MILK").await), (Some("4.00"), Some(25)));
        assert_eq!(told(&offer(&shop, "NEW").await), (Some("50.00"), Some(20)));
        let lasts = json!({"attributes": {"perishable": false}});
        app.ops("PATCH", &milk, Some(&lasts)).await.expect(200);
        assert_eq!(told(&offer(&shop, "MILK").await), (None, None));
        // What has only ever been in the sale has no price before it.
        shop.add("ONLY", "9.00", 5).await;
        let everyday = app.ops("GET", "/price-lists", None).await.expect(200);
        let base = everyday["items"].as_array().unwrap().iter().find(|list| list["kind"] == "base").unwrap();
        let remove = json!({"remove": [{"sku": "ONLY"}]});
        let base = format!("/price-lists/{}", base["id"].as_str().unwrap());
        app.ops("PUT", &format!("{base}/prices"), Some(&remove)).await.expect(200);
        app.clock.advance_seconds(40 * DAY);
        sale(&app, "late", json!({}), &[("ONLY", "5.00")]).await;
        assert_eq!(told(&offer(&shop, "ONLY").await), (None, None));
    });
}

#[test]
fn a_sale_that_is_announced_early_is_measured_from_then() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "100.00", 20)]).await;
        // 95 for two days, 26 days before it is announced and 36 before it begins.
        app.clock.advance_seconds(32 * DAY);
        shop.set_price("TEE", "95.00").await;
        app.clock.advance_seconds(2 * DAY);
        shop.set_price("TEE", "100.00").await;
        app.clock.advance_seconds(26 * DAY);
        let (announced, begins) = (app.now(), app.now().plus_seconds(10 * DAY));
        let window = json!({"announced_at": announced, "valid_from": begins});
        let list = sale(&app, "friday", window, &[("TEE", "75.00")]).await;
        // What comes into it after that was not announced.
        shop.add("LATE", "50.00", 5).await;
        app.clock.advance_seconds(5 * DAY);
        set(&app, &list, &[("LATE", "40.00")]).await;
        app.clock.advance_seconds(5 * DAY);
        assert_eq!(told(&offer(&shop, "TEE").await), (Some("95.00"), Some(21)));
        assert_eq!(told(&offer(&shop, "LATE").await), (Some("50.00"), Some(20)));
        let made = app.ops("PATCH", &list, Some(&json!({"announced_at": null}))).await.expect(200);
        assert_eq!((&made["kind"], &made["announced_at"]), (&json!("sale"), &Value::Null));
        assert_eq!(told(&offer(&shop, "TEE").await), (Some("100.00"), Some(25)));
        app.ops("PATCH", &list, Some(&json!({"announced_at": announced}))).await.expect(200);
        // Only a sale is announced, and before it begins.
        for (kind, announced) in [("base", announced), ("sale", begins.plus_seconds(1))] {
            let new = json!({"code": "x", "name": "x", "currency": "EUR", "kind": kind, "announced_at": announced, "valid_from": begins});
            let refused = app.ops("POST", "/price-lists", Some(&new)).await.problem(422, "invalid_value");
            assert_eq!(refused["pointer"], "/announced_at");
        }
        let refused = app.ops("PATCH", &list, Some(&json!({"announced_at": begins.plus_seconds(1)}))).await;
        assert_eq!(refused.problem(422, "invalid_value")["pointer"], "/announced_at");
    });
}
