//! Lists of what is ordered again: one's own and the company's, into a cart and out of an order, with the rights of its roles.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    bundles::bundle,
    credit::{Trade, eur},
    promotions::promote,
    support::{Answer, on_both, shop::address},
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn make(trade: &Trade, who: &str, body: Value) -> Answer {
    trade.as_(who, "POST", "/me/order-templates", Some(&body)).await
}

async fn names(trade: &Trade, who: &str) -> Vec<String> {
    let found = trade.as_(who, "GET", "/me/order-templates", None).await.expect(200);
    let mut names: Vec<String> = found["items"].as_array().unwrap().iter().map(|one| text(&one["name"])).collect();
    names.sort();
    names
}

#[test]
fn templates_are_ones_own_or_shared_by_those_who_may() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50), ("LAMP", "20.00", 50)]).await;
        let boss = trade.customer("boss").await;
        trade.member(&boss, json!({"role": "approver"})).await;
        trade.customer("bob").await;
        let lines = json!([{"sku": "DESK", "quantity": 1}, {"sku": "LAMP", "quantity": 2}]);
        let mine = make(&trade, "ada", json!({"name": "office", "lines": lines})).await.expect(201);
        make(&trade, "ada", json!({"name": "office", "lines": lines})).await.problem(409, "duplicate");
        make(&trade, "ada", json!({"name": "x", "lines": []})).await.problem(422, "invalid_value");
        make(&trade, "ada", json!({"name": "x", "lines": lines, "shared": true}))
            .await
            .problem(403, "company_role_missing");
        let shared =
            make(&trade, "boss", json!({"name": "everybody", "lines": lines, "shared": true})).await.expect(201);
        assert_eq!(
            (names(&trade, "ada").await, names(&trade, "bob").await),
            (vec!["everybody".to_owned(), "office".to_owned()], vec!["everybody".to_owned()])
        );
        let at = |one: &Value| format!("/me/order-templates/{}", text(&one["id"]));
        // Another's own is not there; what is shared is seen by all, and changed by those who may.
        trade.as_("bob", "GET", &at(&mine), None).await.problem(404, "not_found");
        trade.as_("bob", "DELETE", &at(&mine), None).await.problem(404, "not_found");
        trade.as_("bob", "GET", &at(&shared), None).await.expect(200);
        trade
            .as_("bob", "PATCH", &at(&shared), Some(&json!({"name": "mine"})))
            .await
            .problem(403, "company_role_missing");
        trade.as_("bob", "DELETE", &at(&shared), None).await.problem(403, "company_role_missing");
        let changed = trade
            .as_(
                "boss",
                "PATCH",
                &at(&shared),
                Some(&json!({"name": "all", "lines": [{"sku": "LAMP", "quantity": 3}]})),
            )
            .await
            .expect(200);
        assert_eq!(
            (&changed["name"], changed["lines"].as_array().unwrap().len(), &changed["version"]),
            (&json!("all"), 1, &json!(2))
        );
        // Who buys for another company, or none, sees nothing of it.
        let other = json!({"name": "eve", "email": "eve@example.org"});
        app.ops("POST", "/customers", Some(&other)).await.expect(201);
        trade.as_("eve", "GET", &at(&shared), None).await.problem(404, "not_found");
        // Of several who make one of a name at once there is one.
        let many =
            join_all((0..5).map(|_| make(&trade, "boss", json!({"name": "race", "lines": lines, "shared": true}))))
                .await;
        assert_eq!(many.iter().filter(|one| one.status == 201).count(), 1);
        trade.as_("boss", "DELETE", &at(&shared), None).await.expect(204);
        trade.as_("ada", "GET", &at(&shared), None).await.problem(404, "not_found");
        // Taken back by somebody else, it is its maker's again.
        let deputy = trade.customer("deputy").await;
        trade.member(&deputy, json!({"role": "approver"})).await;
        let theirs = make(&trade, "boss", json!({"name": "weekly", "lines": lines, "shared": true})).await.expect(201);
        let alone = json!({"shared": false});
        let taken = trade.as_("deputy", "PATCH", &at(&theirs), Some(&alone)).await.expect(200);
        assert_eq!((&taken["customer_id"], &taken["shared"]), (&json!(boss), &json!(false)));
        trade.as_("deputy", "GET", &at(&theirs), None).await.problem(404, "not_found");
        trade.as_("boss", "GET", &at(&theirs), None).await.expect(200);
    });
}

#[test]
fn a_template_goes_into_a_cart_and_comes_out_of_an_order() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50), ("LAMP", "20.00", 50)]).await;
        trade.limit("1000.00", "decline").await;
        let lines = json!([{"sku": "DESK", "quantity": 1}, {"sku": "GONE", "quantity": 2}]);
        let template = make(&trade, "ada", json!({"name": "office", "lines": lines})).await.expect(201);
        let cart = json!({"email": "ada@example.org", "shipping_method": "standard", "shipping_address": address()});
        let cart = trade.as_("ada", "POST", "/carts", Some(&cart)).await.expect(201);
        let put = format!("/me/order-templates/{}/use", text(&template["id"]));
        let used = trade.as_("ada", "POST", &put, Some(&json!({"cart_id": cart["id"]}))).await.expect(200);
        assert_eq!((&used["added"], &used["errors"][0]["code"]), (&json!(1), &json!("sku_unknown")), "{used}");
        assert_eq!(used["cart"]["lines"][0]["sku"], "DESK");
        // Into nobody else's.
        trade.customer("bob").await;
        let theirs = trade.as_("bob", "POST", "/carts", Some(&json!({}))).await.expect(201);
        trade.as_("ada", "POST", &put, Some(&json!({"cart_id": theirs["id"]}))).await.problem(404, "not_found");
        let pay = json!({"payment": {"method": "on_account"}});
        let path = format!("/carts/{}/complete", text(&cart["id"]));
        let order = trade.as_("ada", "POST", &path, Some(&pay)).await.expect(201)["order"].clone();
        let again = make(&trade, "ada", json!({"name": "as then", "order_id": order["id"]})).await.expect(201);
        assert_eq!(again["lines"], json!([{"sku": "DESK", "quantity": 1}]));
        make(&trade, "bob", json!({"name": "theirs", "order_id": order["id"]})).await.problem(404, "not_found");
        let both = json!({"name": "both", "order_id": order["id"], "lines": lines});
        make(&trade, "ada", both).await.problem(422, "invalid_value");
        let kept = app.ops("GET", &format!("/customers/{}/export", trade.customer), None).await.expect(200);
        assert!(kept["items"].as_array().unwrap().iter().any(|one| one["kind"] == "order_template"), "{kept}");
    });
}

#[test]
fn of_an_order_bundles_are_kept_whole_what_is_free_too_and_no_gifts() {
    on_both(|app| async move {
        let goods = [("DESK", "95.10", 50), ("LAMP", "20.00", 50), ("MUG", "10.00", 50), ("LEAFLET", "0.00", 50)];
        let trade = Trade::open(&app, &goods).await;
        trade.limit("1000.00", "decline").await;
        bundle(&trade.shop, "SET", "99.90", &[("DESK", 1), ("LAMP", 2)]).await;
        let gift = json!({"type": "goods", "sku": "MUG", "quantity": 1});
        promote(&app, "mug", json!({"conditions": {"min_value": eur("30.00")}, "gift": gift})).await;
        let order = trade.order(&[("SET", 2), ("LAMP", 1)]).await;
        let skus: Vec<&str> = order["lines"].as_array().unwrap().iter().filter_map(|one| one["sku"].as_str()).collect();
        assert!(skus.contains(&"MUG") && skus.contains(&"DESK"), "{skus:?}");
        let made = make(&trade, "ada", json!({"name": "sets", "order_id": order["id"]})).await.expect(201);
        assert_eq!(made["lines"], json!([{"sku": "SET", "quantity": 2}, {"sku": "LAMP", "quantity": 1}]));
        let free = trade.order(&[("LEAFLET", 3)]).await;
        let made = make(&trade, "ada", json!({"name": "leaflets", "order_id": free["id"]})).await.expect(201);
        assert_eq!(made["lines"], json!([{"sku": "LEAFLET", "quantity": 3}]));
    });
}
