//! What is picked up lies at one place: where it does not, the method is not offered, and whoever orders all the same is told which
//! article lacks where.

use serde_json::{Value, json};

use crate::{
    bundles::{bundle, text},
    fulfilment_moves::place,
    support::{App, Cart, Shop, on_both},
};

/// A shop in Berlin with a branch in Bremen where goods are picked up.
async fn with_branch(app: &App, goods: &[(&str, &str, i64)], there: &[(&str, i64)]) -> Shop {
    let shop = Shop::open(app, goods).await;
    let branch = place(app, "bremen", json!({}), there).await;
    let method = json!({
        "channel_id": shop.channel, "code": "click", "name": "Click and collect", "tax_class": "standard",
        "rates": [{"countries": [], "price": {"amount": "0.00", "currency": "EUR"}}], "pickup_location_id": branch,
        "delivery_days": {"min": 0, "max": 0},
    });
    app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
    shop
}

/// A method as a cart is offered it; of one of several deliveries.
async fn offered(shop: &Shop, cart: &Cart, code: &str, delivery: Option<usize>) -> Value {
    let path = format!("/carts/{}/shipping-options", cart.id);
    let found = shop.store("GET", &path, Some(&cart.token), None).await.expect(200);
    let items = match delivery {
        Some(place) => found["deliveries"][place]["items"].clone(),
        None => found["items"].clone(),
    };
    items.as_array().unwrap().iter().find(|item| item["code"] == code).unwrap().clone()
}

/// Why goods can not be picked up, where they can not.
async fn why_not(shop: &Shop, cart: &Cart, delivery: Option<usize>) -> Option<String> {
    let click = offered(shop, cart, "click", delivery).await;
    assert_eq!(offered(shop, cart, "standard", delivery).await["available"], true);
    if click["available"] == true {
        assert!(click["reason"].is_null() && !click["price"].is_null(), "{click}");
        return None;
    }
    assert!(click["price"].is_null() && click.get("delivery").is_none(), "{click}");
    assert_eq!(click["reason"]["code"], "out_of_stock", "{click}");
    Some(text(&click["reason"]["text"]).to_owned())
}

async fn choose(shop: &Shop, cart: &Cart, method: &str) -> Value {
    let body = json!({"shipping_method": method});
    shop.store("PATCH", &format!("/carts/{}", cart.id), Some(&cart.token), Some(&body)).await.expect(200)
}

#[test]
fn what_does_not_lie_where_it_would_be_picked_up_is_not_offered_for_it() {
    on_both(|app| async move {
        let shop = with_branch(&app, &[("TEE", "20.00", 9), ("MUG", "10.00", 9)], &[("MUG", 3)]).await;
        bundle(&shop, "SET", "29.99", &[("TEE", 1), ("MUG", 2)]).await;
        let two = shop.cart(&[("MUG", 2)]).await;
        assert_eq!(why_not(&shop, &two, None).await, None);
        assert!(offered(&shop, &two, "click", None).await.get("delivery").is_some());
        let four = shop.cart(&[("MUG", 4)]).await;
        assert_eq!(why_not(&shop, &four, None).await.as_deref(), Some("3 of `MUG` are at `bremen`"));
        let set = shop.cart(&[("SET", 1)]).await;
        let lacks = "0 of `TEE`, which `SET` is made of, are at `bremen`";
        assert_eq!(why_not(&shop, &set, None).await.as_deref(), Some(lacks));
        // So it is of each of several deliveries.
        let split = shop.cart(&[("TEE", 1), ("MUG", 2)]).await;
        let further = json!({"deliveries": [{"key": "home"}, {"key": "later", "method": "standard",
            "address": crate::support::shop::address(), "lines": [{"line_no": 2}]}]});
        let path = format!("/carts/{}/deliveries", split.id);
        shop.store("PUT", &path, Some(&split.token), Some(&further)).await.expect(200);
        assert_eq!(why_not(&shop, &split, Some(0)).await.as_deref(), Some("0 of `TEE` are at `bremen`"));
        assert_eq!(why_not(&shop, &split, Some(1)).await, None);
        // And of a cart that holds its goods, in Berlin: three lie in Bremen still.
        for cart in [&two, &four] {
            shop.store("POST", &format!("/carts/{}/checkout", cart.id), Some(&cart.token), None).await.expect(200);
        }
        assert_eq!(why_not(&shop, &two, None).await, None);
        assert_eq!(why_not(&shop, &four, None).await.as_deref(), Some("3 of `MUG` are at `bremen`"));
        // One that holds them in Bremen has them there, though nothing is left for others.
        let three = shop.cart(&[("MUG", 3)]).await;
        choose(&shop, &three, "click").await;
        shop.store("POST", &format!("/carts/{}/checkout", three.id), Some(&three.token), None).await.expect(200);
        assert_eq!(why_not(&shop, &three, None).await, None);
        let late = shop.cart(&[("MUG", 1)]).await;
        assert_eq!(why_not(&shop, &late, None).await.as_deref(), Some("0 of `MUG` are at `bremen`"));
        // What is sold beyond what lies there may come.
        let beyond = json!({"lines": [{"sku": "MUG", "location": "bremen", "limit": 5, "kind": "backorder"}]});
        app.ops("PUT", "/stock/backorders", Some(&beyond)).await.expect(200);
        assert_eq!(why_not(&shop, &late, None).await, None);
    });
}

#[test]
fn whoever_orders_it_all_the_same_is_told_what_lacks_where() {
    on_both(|app| async move {
        let shop = with_branch(&app, &[("TEE", "20.00", 9), ("MUG", "10.00", 9)], &[("MUG", 3)]).await;
        bundle(&shop, "SET", "29.99", &[("TEE", 1), ("MUG", 2)]).await;
        let cart = shop.cart(&[("TEE", 1), ("MUG", 4)]).await;
        let seen = choose(&shop, &cart, "click").await;
        let problems = seen["problems"].as_array().unwrap();
        let told: Vec<&str> = problems.iter().map(|one| text(&one["pointer"])).collect();
        assert_eq!(told, ["/lines/0/quantity", "/lines/1/quantity"], "{problems:?}");
        assert!(text(&problems[1]["detail"]).contains("3 of MUG are at bremen"), "{problems:?}");
        let lacks = shop.complete(&cart, "approve").await.problem(409, "out_of_stock");
        assert_eq!(
            (&lacks["location"], &lacks["sku"], &lacks["pointer"]),
            (&json!("bremen"), &json!("TEE"), &json!("/lines/0"))
        );
        assert_eq!((&lacks["available"], &lacks["line_no"]), (&json!(0), &json!(1)));
        let detail = text(&lacks["detail"]);
        assert!(
            detail.contains("`TEE`") && detail.contains("`bremen`") && detail.contains("shipping-options"),
            "{detail}"
        );
        let checkout = format!("/carts/{}/checkout", cart.id);
        let same = shop.store("POST", &checkout, Some(&cart.token), None).await.problem(409, "out_of_stock");
        assert_eq!(same["location"], "bremen");
        // One of several deliveries is named by its key.
        let split = shop.cart(&[("TEE", 1), ("SET", 1)]).await;
        let further =
            json!({"deliveries": [{"key": "home"}, {"key": "counter", "method": "click", "lines": [{"line_no": 2}]}]});
        let path = format!("/carts/{}/deliveries", split.id);
        shop.store("PUT", &path, Some(&split.token), Some(&further)).await.expect(200);
        let lacks = shop.complete(&split, "approve").await.problem(409, "out_of_stock");
        assert_eq!((&lacks["delivery"], &lacks["location"]), (&json!("counter"), &json!("bremen")));
        assert_eq!((&lacks["sku"], &lacks["line_no"], &lacks["available"]), (&json!("TEE"), &json!(2), &json!(0)));
        assert!(text(&lacks["detail"]).contains("`TEE` of it lacks"), "{lacks}");
        // What lacks everywhere says nothing of a place.
        let plain = shop.cart(&[("TEE", 10)]).await;
        let lacks = shop.complete(&plain, "approve").await.problem(409, "out_of_stock");
        assert!(lacks.get("location").is_none() && lacks.get("delivery").is_none(), "{lacks}");
        // Another of the shipping-options helps.
        choose(&shop, &cart, "standard").await;
        shop.complete(&cart, "approve").await.expect(201);
    });
}
