//! What a cart would have cost, and for whom: prices of then, and what is known of the customer.

use serde_json::{Value, json};

use crate::{
    promotions::{eur, percent, promote},
    support::{App, Shop, on_both, shop::address},
};

const DAY: i64 = 86_400;

async fn simulate(app: &App, asked: Value) -> Value {
    app.ops("POST", "/pricing/simulate", Some(&asked)).await.expect(200)
}

#[test]
fn a_past_cart_is_priced_with_the_prices_of_then() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 5)]).await;
        let tier = json!({"sku": "MUG", "unit_price": eur("9.00"), "min_quantity": 10});
        let prices = format!("/price-lists/{}/prices", shop.price_list);
        app.ops("PUT", &prices, Some(&json!({"rows": [tier]}))).await.expect(200);
        let then = app.now();
        app.clock.advance_seconds(DAY);
        // The price is another one, then that one ends; the tier is gone; what was not sold is.
        shop.set_price("MUG", "12.00").await;
        app.clock.advance_seconds(DAY);
        shop.set_price("MUG", "13.00").await;
        let gone = json!({"remove": [{"sku": "MUG", "min_quantity": 10}]});
        app.ops("PUT", &prices, Some(&gone)).await.expect(200);
        shop.add("CAP", "5.00", 5).await;
        let ask = async |at: Option<kontor::kernel::Instant>, quantity: i64| {
            let lines = json!([{"sku": "MUG", "quantity": quantity}]);
            let seen = simulate(&app, json!({"channel_id": shop.channel, "at": at, "lines": lines})).await;
            (seen["totals"]["lines"][0]["unit_price"].clone(), seen["prices_as_of"].clone())
        };
        let now = app.now();
        assert_eq!(ask(Some(then), 1).await, (eur("10.00"), json!(then)));
        assert_eq!(ask(Some(then), 10).await, (eur("9.00"), json!(then)));
        let between = then.plus_seconds(DAY + 60);
        assert_eq!(ask(Some(between), 1).await, (eur("12.00"), json!(between)));
        assert_eq!(ask(None, 10).await, (eur("13.00"), json!(now)));
        // What is to come is told by what is planned now.
        assert_eq!(ask(Some(now.plus_seconds(DAY)), 1).await, (eur("13.00"), json!(now)));
        let caps = simulate(&app, json!({"channel_id": shop.channel, "at": then, "lines": [{"sku": "CAP"}]})).await;
        assert_eq!(caps["problems"][0]["code"], "price_missing");
    });
}

#[test]
fn whether_it_is_their_first_order_is_looked_up_unless_it_is_said() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        promote(&app, "first", json!({"gift": percent("50", "order"), "conditions": {"first_order": true}})).await;
        let customer = async |name: &str| {
            let made = app.ops("POST", "/customers", Some(&json!({ "name": name }))).await.expect(201);
            made["id"].clone()
        };
        let (ada, bob) = (customer("Ada").await, customer("Bob").await);
        let new = json!({"channel_id": shop.channel, "customer_id": ada, "email": "ada@example.com", "shipping_address": address(),
            "shipping_method": "standard", "lines": [{"sku": "MUG", "quantity": 1}]});
        let cart = app.ops("POST", "/carts", Some(&new)).await.expect(201);
        let pay = json!({"payment": {"method": "manual"}});
        app.ops("POST", &format!("/carts/{}/complete", cart["id"].as_str().unwrap()), Some(&pay)).await.expect(201);
        shop.order(&[("MUG", 1)]).await;
        let total = async |more: Value| {
            let mut asked = json!({"channel_id": shop.channel, "lines": [{"sku": "MUG"}]});
            asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            simulate(&app, asked).await["totals"]["total"]["amount"].as_str().unwrap().to_owned()
        };
        assert_eq!(total(json!({"customer_id": ada})).await, "10.00");
        assert_eq!(total(json!({"customer_id": bob})).await, "5.00");
        // The guest has ordered by their address, and nobody is not known to order first.
        assert_eq!(total(json!({"email": "ADA@example.org"})).await, "10.00");
        assert_eq!(total(json!({"email": "new@example.org"})).await, "5.00");
        assert_eq!(total(json!({})).await, "10.00");
        // What is said counts.
        assert_eq!(total(json!({"first_order": true})).await, "5.00");
        assert_eq!(total(json!({"customer_id": bob, "first_order": false})).await, "10.00");
    });
}
