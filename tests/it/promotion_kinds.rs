//! Every condition and every gift of a promotion, through a cart to its order: worked out by hand.
//!
//! The cart is one tee at 20.00 and two mugs at 10.00, sent for 4.90: 44.90.

use serde_json::{Value, json};

use crate::{
    promotions::{eur, percent, promote},
    support::{App, Cart, Shop, on_both, shop::address},
};

async fn with_categories(app: &App) -> Shop {
    let shop = Shop::open(app, &[]).await;
    for (sku, price, category) in [("TEE", "20.00", "shirts"), ("MUG", "10.00", "mugs")] {
        let new = json!({"sku": sku, "name": sku, "tax_class": "standard", "attributes": {"category": category}});
        app.ops("POST", "/variants", Some(&new)).await.expect(201);
        shop.set_price(sku, price).await;
        shop.stock_up(sku, 500).await;
    }
    shop
}

/// The cart, with more said of it.
async fn filled(shop: &Shop, more: &Value) -> Cart {
    let mut body = json!({
        "lines": [{"sku": "TEE", "quantity": 1}, {"sku": "MUG", "quantity": 2}], "email": "ada@example.org",
        "shipping_method": "standard", "shipping_address": address(),
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let body = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Cart { id: text(&body["id"]), token: text(&body["token"]), body }
}

/// That a cart and its order cost so much with a promotion, and that the order names it.
async fn costs(shop: &Shop, cart: &Cart, code: &str, total: &str) {
    assert_eq!(cart.body["total"], eur(total), "{code}");
    let order = shop.complete(cart, "approve").await.expect(201)["order"].clone();
    assert_eq!(order["total"], eur(total), "{code}");
    assert_eq!(order["promotions"][0]["code"], json!(code));
}

async fn end(app: &App, id: &str) {
    app.ops("POST", &format!("/promotions/{id}/end"), None).await.expect(200);
}

/// A condition: by which word it refuses, the rule, a cart that it is for with what that costs, and a cart that it is not for.
struct Case {
    reason: &'static str,
    conditions: Value,
    fits: (Value, &'static str),
    fails: Value,
}

fn of_carts() -> Vec<Case> {
    let case = |reason, conditions, fits, fails| Case { reason, conditions, fits: (fits, "40.90"), fails };
    let from = |what: &str, whom: &str| json!({"source": {what: whom}});
    let vienna = {
        let mut vienna = address();
        vienna["country"] = json!("AT");
        json!({ "shipping_address": vienna })
    };
    vec![
        case("device", json!({"devices": ["mobile"]}), json!({"device": "mobile"}), json!({"device": "desktop"})),
        case("country", json!({"countries": ["AT"]}), vienna, json!({})),
        case("origin", json!({"origins": [{"affiliate": "ada"}]}), from("affiliate", "ada"), from("affiliate", "bob")),
        case(
            "origin",
            json!({"origins": [{"utm_source": "news", "utm_campaign": "may"}]}),
            json!({"source": {"utm_source": "news", "utm_campaign": "may", "utm_medium": "mail"}}),
            from("utm_source", "news"),
        ),
        case(
            "max_value",
            json!({"max_value": eur("40.00")}),
            json!({}),
            json!({"lines": [{"sku": "TEE", "quantity": 3}]}),
        ),
        case("min_quantity", json!({"min_quantity": 3}), json!({}), json!({"lines": [{"sku": "MUG", "quantity": 2}]})),
    ]
}

fn of_goods() -> Vec<Case> {
    let (mugs, tees) = (json!([{"attributes": {"category": ["mugs", "cups"]}}]), json!([{"skus": ["TEE"]}]));
    let only = |sku: &str| json!({"lines": [{"sku": sku, "quantity": 1}]});
    // Ten per cent of the two mugs are 2.00, and so are those of the tee.
    let case = |goods: Value, without: &str| Case {
        reason: "goods",
        conditions: json!({ "goods": goods }),
        fits: (json!({}), "42.90"),
        fails: only(without),
    };
    vec![
        case(json!({ "include": mugs }), "TEE"),
        case(json!({ "exclude": mugs }), "MUG"),
        case(json!({ "include": tees }), "MUG"),
        case(json!({"min_unit_price": eur("15.00")}), "MUG"),
        case(json!({"max_unit_price": eur("15.00")}), "TEE"),
    ]
}

#[test]
fn each_condition_gives_to_whom_it_is_for_and_tells_the_others_why_not() {
    on_both(|app| async move {
        let shop = with_categories(&app).await;
        for (number, case) in of_carts().into_iter().chain(of_goods()).enumerate() {
            let code = format!("{}-{number}", case.reason.replace('_', "-"));
            let rule = json!({"conditions": case.conditions, "gift": percent("10", "lines")});
            let id = promote(&app, &code, rule).await;
            let cart = filled(&shop, &case.fits.0).await;
            costs(&shop, &cart, &code, case.fits.1).await;
            let other = filled(&shop, &case.fails).await;
            let staff = app.ops("GET", &format!("/carts/{}", other.id), None).await.expect(200);
            assert_eq!(staff["totals"]["discount"], eur("0.00"), "{code}");
            let passed = staff["totals"]["passed_over"].as_array().unwrap();
            let own = passed.iter().find(|one| one["promotion_id"] == json!(id)).unwrap();
            assert_eq!(own["reason"]["code"], case.reason, "{code}: {own}");
            end(&app, &id).await;
        }
    });
}

fn gifts() -> Vec<(&'static str, Value, &'static str)> {
    let item = |sku: &str| json!({"goods": {"skus": [sku]}, "quantity": 1});
    vec![
        // 3.00 off the tee's line and off the mugs'.
        ("amount", json!({"type": "amount", "amount": eur("3.00"), "on": "lines"}), "38.90"),
        // Three pieces.
        ("amount-each", json!({"type": "amount_each", "amount": eur("2.00")}), "38.90"),
        // The tee costs 12.00; mugs are cheaper anyway.
        ("fixed-price", json!({"type": "fixed_price", "price": eur("12.00")}), "36.90"),
        // 40.00 and 1.90.
        ("fixed-shipping", json!({"type": "fixed_shipping", "price": eur("1.90")}), "41.90"),
        // 40.00 reach the first tier, not the second.
        (
            "spend-tiers",
            json!({"type": "spend_tiers", "tiers": [
                {"from": eur("30.00"), "off": {"amount": eur("5.00")}}, {"from": eur("50.00"), "off": {"percent": "50"}}]}),
            "39.90",
        ),
        // Three pieces reach the second.
        (
            "quantity-tiers",
            json!({"type": "quantity_tiers", "tiers": [
                {"from": 2, "off": {"percent": "5"}}, {"from": 3, "off": {"percent": "10"}}]}),
            "40.90",
        ),
        // Of tee, mug and mug the cheapest is free.
        ("buy-get", json!({"type": "buy_get", "buy": 2, "get": 1, "percent": "100"}), "34.90"),
        // For the tee one mug at half its price.
        (
            "buy-get-of",
            json!({"type": "buy_get", "buy": 1, "get": 1, "percent": "50", "of": {"skus": ["MUG"]}}),
            "39.90",
        ),
        // Tee and mug together 25.00 instead of 30.00, once: there is one tee.
        ("bundle", json!({"type": "bundle", "items": [item("TEE"), item("MUG")], "price": eur("25.00")}), "39.90"),
    ]
}

#[test]
fn each_gift_reaches_cart_and_order_to_the_cent() {
    on_both(|app| async move {
        let shop = with_categories(&app).await;
        for (code, gift, total) in gifts() {
            let id = promote(&app, code, json!({ "gift": gift })).await;
            let cart = filled(&shop, &json!({})).await;
            costs(&shop, &cart, code, total).await;
            end(&app, &id).await;
            // Ended, it gives nothing.
            assert_eq!(filled(&shop, &json!({})).await.body["total"], eur("44.90"), "{code}");
        }
    });
}
