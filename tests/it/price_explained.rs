//! What a price says of itself: the tiers that were passed over, and what a bundle has cost.

use serde_json::{Value, json};

use crate::{
    bundles::{bundle, with_set},
    promotions::{eur, percent, plan, promote},
    support::{App, Shop, on_both},
};

async fn simulated(app: &App, shop: &Shop, sku: &str, quantity: i64) -> Value {
    let asked = json!({"channel_id": shop.channel, "lines": [{"sku": sku, "quantity": quantity}]});
    app.ops("POST", "/pricing/simulate", Some(&asked)).await.expect(200)
}

fn passed_over(line: &Value) -> Vec<String> {
    let steps = line["explanation"].as_array().unwrap().iter().filter(|step| step["code"] == "passed_over");
    steps.map(|step| step["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_simulation_tells_the_tiers_that_were_passed_over_and_a_storefront_none() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 500)]).await;
        let tier = |from: i64, amount: &str| json!({"sku": "MUG", "unit_price": eur(amount), "min_quantity": from});
        let tiers: Vec<Value> = (1..=40).map(|n| tier(n * 10, &format!("{}.{:02}", 9 - n / 10, 99 - n))).collect();
        let path = format!("/price-lists/{}/prices", shop.price_list);
        app.ops("PUT", &path, Some(&json!({ "rows": tiers }))).await.expect(200);
        let seen = simulated(&app, &shop, "MUG", 12).await;
        let told = passed_over(&seen["totals"]["lines"][0]);
        assert_eq!(told.len(), 5, "three above, one below, and how many beside: {told:?}");
        assert_eq!(
            (told[0].as_str(), told[3].as_str(), told[4].as_str()),
            (
                "list base, from 20: 9.97 EUR: it needs 8 more",
                "list base, from 1: 10.00 EUR: that from 10 goes first",
                "list base: 36 more tiers, further from 12"
            )
        );
        // Where there is none for so few, they tell what is missing.
        let gone = json!({"remove": [{"sku": "MUG", "min_quantity": 1}]});
        app.ops("PUT", &path, Some(&gone)).await.expect(200);
        let seen = simulated(&app, &shop, "MUG", 3).await;
        assert_eq!(seen["problems"][0]["code"], "price_missing");
        assert!(seen["problems"][0]["because"].to_string().contains("list base, from 10: 9.98 EUR: it needs 7 more"));
        // A cart says what it said before, to staff and to shoppers.
        let cart = shop.cart(&[("MUG", 12)]).await;
        assert_eq!(passed_over(&cart.body["totals"]["lines"][0]), Vec::<String>::new());
        let staff = app.ops("GET", &format!("/carts/{}", cart.id), None).await.expect(200);
        assert_eq!(passed_over(&staff["totals"]["lines"][0]), Vec::<String>::new());
        assert_eq!(staff["totals"]["lines"][0]["unit_price"], eur("9.98"));
    });
}

/// A set of a tee and two mugs costs 29.99. The tee has cost 9.00, a mug 6.00: the set 21.00.
#[test]
fn a_bundle_is_not_reduced_below_what_its_components_have_cost() {
    on_both(|app| async move {
        let shop = with_set(&app, 50, 50).await;
        let costs = json!({"code": "costs", "name": "Costs", "currency": "EUR", "kind": "cost"});
        let costs = app.ops("POST", "/price-lists", Some(&costs)).await.expect(201);
        let path = format!("/price-lists/{}/prices", costs["id"].as_str().unwrap());
        let cost = async |sku: &str, amount: &str| {
            let rows = json!({"rows": [{"sku": sku, "unit_price": eur(amount)}]});
            app.ops("PUT", &path, Some(&rows)).await.expect(200);
        };
        cost("TEE", "9.00").await;
        let rule = |floor: bool| {
            json!({"gift": percent("50", "lines"), "conditions": {"goods": {"include": [{"skus": ["SET"]}]}},
                   "stacking": {"not_below_cost": floor}})
        };
        let half = promote(&app, "half", rule(true)).await;
        let total = async |sku: &str, pieces: i64| {
            let cart = shop.cart(&[(sku, pieces)]).await;
            let simulated = simulated(&app, &shop, sku, pieces).await;
            // A simulation says what a cart is charged.
            assert_eq!(cart.body["totals"]["lines"][0]["gross"], simulated["totals"]["lines"][0]["gross"]);
            cart.body["totals"]["lines"][0]["gross"]["amount"].as_str().unwrap().to_owned()
        };
        // As long as a component's cost is not known the bundle's is not: it is not reduced.
        assert_eq!(total("SET", 1).await, "29.99");
        cost("MUG", "6.00").await;
        assert_eq!((total("SET", 1).await, total("SET", 3).await), ("21.00".to_owned(), "63.00".to_owned()));
        // What a list says of the bundle itself goes first.
        cost("SET", "25.00").await;
        assert_eq!(total("SET", 1).await, "25.00");
        // A bundle whose components have no cost at all is left alone.
        shop.add("CUP", "4.00", 9).await;
        bundle(&shop, "CUPS", "15.00", &[("CUP", 4)]).await;
        app.ops("POST", &format!("/promotions/{half}/end"), None).await.expect(200);
        // Where nothing else keeps to it, what goes below that is told before it is activated: half of 29.99 is 14.99.
        let careless = plan(&app, "careless", rule(false)).await;
        let seen = app.ops("GET", &format!("/promotions/{careless}/checks"), None).await.expect(200);
        let below =
            seen["warnings"].as_array().unwrap().iter().find(|one| one["code"] == "below_cost").unwrap().clone();
        assert_eq!((&below["examples"][0]["sku"], &below["examples"][0]["cost"]), (&json!("SET"), &eur("25.00")));
        promote(&app, "all", json!({"gift": percent("50", "lines"), "stacking": {"not_below_cost": true}})).await;
        assert_eq!((total("CUPS", 1).await, total("TEE", 1).await), ("15.00".to_owned(), "10.00".to_owned()));
    });
}
