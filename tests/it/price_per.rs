//! Prices for many pieces at once: "12.50 per 100".

use serde_json::{Value, json};

use crate::support::{App, Shop, on_both};

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

async fn set(app: &App, list: &str, rows: Value) {
    app.ops("PUT", &format!("/price-lists/{list}/prices"), Some(&json!({ "rows": rows }))).await.expect(200);
}

async fn offer(shop: &Shop, sku: &str, quantity: i64) -> Value {
    let asked = json!({"skus": [sku], "quantity": quantity});
    shop.store("POST", "/offers", None, Some(&asked)).await.expect(200)["items"][0].clone()
}

/// The amount, and the pieces that it is for.
fn priced(of: &Value, amount: &str, per: &str) -> (String, Option<i64>) {
    (of[amount]["amount"].as_str().unwrap_or("none").to_owned(), of[per].as_i64())
}

#[test]
fn screws_are_sold_by_the_hundred_from_the_offer_to_the_order() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("SCREW", "0.15", 10_000), ("TEE", "20.00", 50)]).await;
        let tier = json!({"sku": "SCREW", "min_quantity": 100, "unit_price": eur("12.50"), "per": 100});
        set(&app, &shop.price_list, json!([tier])).await;
        let one = offer(&shop, "SCREW", 1).await;
        assert_eq!(priced(&one, "price", "per"), ("0.15".into(), None));
        let offered = offer(&shop, "SCREW", 250).await;
        assert_eq!(priced(&offered, "price", "per"), ("12.50".into(), Some(100)));
        assert_eq!(priced(&offered["tiers"][1], "unit_price", "per"), ("12.50".into(), Some(100)));
        // 257 × 12.50 ÷ 100 = 32.125, rounded once; a rounded price of one piece would make 33.41 of it.
        let cart = shop.cart(&[("SCREW", 257), ("TEE", 1)]).await;
        let line = &cart.body["totals"]["lines"][0];
        assert_eq!(
            (priced(line, "unit_price", "per"), &line["subtotal"]),
            (("12.50".into(), Some(100)), &eur("32.13"))
        );
        let texts: Vec<&str> =
            line["explanation"].as_array().unwrap().iter().map(|step| step["text"].as_str().unwrap()).collect();
        assert!(texts.contains(&"12.50 EUR per 100 by the price list"), "{texts:?}");
        assert!(texts.contains(&"257 × 12.50 EUR per 100 = 32.125, rounded to 32.13 EUR"), "{texts:?}");
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        let line = &order["lines"][0];
        assert_eq!((priced(line, "unit_price", "per"), &line["gross"]), (("12.50".into(), Some(100)), &eur("32.13")));
        assert_eq!(priced(&order["lines"][1], "unit_price", "per"), ("20.00".into(), None));
        // 32.13 + 20.00 + 4.90.
        assert_eq!(order["total"], eur("57.03"));
        let id = order["id"].as_str().unwrap();
        let kept = app.ops("GET", &format!("/orders/{id}"), None).await.expect(200);
        assert_eq!(kept["lines"][0]["per"], 100);
        // What is cancelled is a share of the line's amount, whatever its price was for.
        let cancel = json!({"lines": [{"line_no": 1, "quantity": 257}], "reason": "customer"});
        let left = app.ops("POST", &format!("/orders/{id}/cancel"), Some(&cancel)).await.expect(200);
        assert_eq!(left["lines"][0]["cancelled"], 257);
    });
}

#[test]
fn the_pieces_that_a_price_is_for_are_part_of_its_history_and_of_its_list() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("SCREW", "0.15", 100)]).await;
        let row = |amount: &str, per: i64| json!([{"sku": "SCREW", "unit_price": eur(amount), "per": per}]);
        let newest = async || {
            let changes = app.ops("GET", "/price-changes?sku=SCREW&limit=1", None).await.expect(200);
            let change = changes["items"][0].clone();
            ["from", "to"].map(|side| priced(&change[side], "unit_price", "per"))
        };
        set(&app, &shop.price_list, row("12.50", 100)).await;
        assert_eq!(newest().await, [("0.15".into(), None), ("12.50".into(), Some(100))]);
        // The same for others is a change, since it is kept otherwise; the same again is none.
        set(&app, &shop.price_list, row("125.00", 1000)).await;
        set(&app, &shop.price_list, row("125", 1000)).await;
        assert_eq!(newest().await, [("12.50".into(), Some(100)), ("125.00".into(), Some(1000))]);
        let path = format!("/price-lists/{}", shop.price_list);
        let listed = app.ops("GET", &format!("{path}/prices"), None).await.expect(200);
        assert_eq!(priced(&listed["items"][0], "unit_price", "per"), ("125.00".into(), Some(1000)));
        // A tenth less, for as many; 0.125 a piece is within the range, 125 would not be.
        let tenth = json!({"percent": "-10", "max_price": eur("0.13"), "dry_run": false});
        let adjusted = app.ops("POST", &format!("{path}/adjust"), Some(&tenth)).await.expect(200);
        assert_eq!((&adjusted["changed"], &adjusted["examples"][0]["per"]), (&json!(1), &json!(1000)));
        assert_eq!(newest().await[1], ("112.50".into(), Some(1000)));
        // Without it a price is for one.
        shop.set_price("SCREW", "0.20").await;
        assert_eq!(newest().await, [("112.50".into(), Some(1000)), ("0.20".into(), None)]);
        for (per, code) in
            [(json!(0), "invalid_value"), (json!(1_000_001), "invalid_value"), (json!("1"), "invalid_value")]
        {
            let wrong = json!({"rows": [{"sku": "SCREW", "unit_price": eur("1.00"), "per": per}]});
            let refused = app.ops("PUT", &format!("{path}/prices"), Some(&wrong)).await.problem(422, code);
            assert_eq!(refused["pointer"], "/rows/0/per");
        }
    });
}

#[test]
fn promotions_and_sales_look_at_what_a_piece_costs() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("SCREW", "0.15", 10_000), ("PIN", "0.14", 10_000)]).await;
        set(&app, &shop.price_list, json!([{"sku": "SCREW", "unit_price": eur("12.50"), "per": 100}])).await;
        app.clock.advance_seconds(40 * 86_400);
        let sale = json!({"code": "sale", "name": "Sale", "currency": "EUR", "kind": "sale", "priority": 9});
        let sale = app.ops("POST", "/price-lists", Some(&sale)).await.expect(201);
        set(&app, sale["id"].as_str().unwrap(), json!([{"sku": "SCREW", "unit_price": eur("0.10")}])).await;
        // 0.125 was what a piece cost: 20 %.
        let offered = offer(&shop, "SCREW", 1).await;
        assert_eq!(priced(&offered, "price", "per"), ("0.10".into(), None));
        assert_eq!(
            (priced(&offered, "prior_price", "prior_per"), &offered["reduction_percent"]),
            (("0.125".into(), None), &json!(20))
        );
        let report = app.ops("GET", "/sale-prices", None).await.expect(200);
        let row = &report["items"][0];
        assert_eq!(
            (&row["borne_out"], &row["claimed_percent"], &row["honest_percent"]),
            (&json!(true), &json!(20), &json!(20))
        );
        assert_eq!(priced(row, "everyday_price", "everyday_per"), ("12.50".into(), Some(100)));
        // For a hundred again the prior price is for a hundred too.
        set(&app, sale["id"].as_str().unwrap(), json!([{"sku": "SCREW", "unit_price": eur("10.00"), "per": 100}]))
            .await;
        let offered = offer(&shop, "SCREW", 1).await;
        assert_eq!(priced(&offered, "prior_price", "prior_per"), ("12.50".into(), Some(100)));
        let cart = shop.cart(&[("SCREW", 100)]).await;
        assert_eq!(priced(&cart.body["lines"][0], "prior_price", "prior_per"), ("12.50".into(), Some(100)));
        // Staff agree a price by the thousand.
        let agreed = json!({"sku": "SCREW", "quantity": 1500, "unit_price": eur("99.99"), "per": 1000});
        let asked = json!({"channel_id": shop.channel, "lines": [agreed]});
        let made = app.ops("POST", "/carts", Some(&asked)).await.expect(201);
        let line = &made["totals"]["lines"][0];
        assert_eq!(
            (priced(line, "unit_price", "per"), &line["subtotal"]),
            (("99.99".into(), Some(1000)), &eur("149.99"))
        );
        let simulated = json!({"channel_id": shop.channel, "lines": [agreed, {"sku": "SCREW", "quantity": 7}]});
        let simulated = app.ops("POST", "/pricing/simulate", Some(&simulated)).await.expect(200);
        let subtotals: Vec<&Value> =
            simulated["totals"]["lines"].as_array().unwrap().iter().map(|line| &line["subtotal"]).collect();
        assert_eq!(subtotals, [&eur("149.99"), &eur("0.70")]);
        let lone = json!({"channel_id": shop.channel, "lines": [{"sku": "SCREW", "quantity": 1, "per": 10}]});
        for path in ["/carts", "/pricing/simulate"] {
            let refused = app.ops("POST", path, Some(&lone)).await.problem(422, "invalid_value");
            assert_eq!(refused["pointer"], "/lines/0/per", "{path}");
        }
    });
}
