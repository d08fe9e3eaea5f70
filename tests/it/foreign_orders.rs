//! Orders of marketplaces and EDI: taken once by the name that they have there, and only where the sums agree.

use futures::future::join_all;
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    credit::eur,
    support::{Answer, App, Shop, on_both, shop::address},
};

async fn send(app: &App, body: &Value) -> Answer {
    let token = format!("Bearer {}", app.token(Audience::Client, "edi", &[Scope::OrdersImport]));
    app.send("POST", "/v1/integration/orders", &[("Authorization", &token)], Some(body)).await
}

fn order(shop: &Shop, name: &str, total: &str) -> Value {
    json!({"channel_id": shop.channel, "reference": {"system": "market", "value": name}, "email": "ada@example.org",
        "lines": [{"sku": "DESK", "quantity": 2, "unit_price": eur("80.00")}], "total": eur(total),
        "shipping_method": "standard", "shipping_address": address()})
}

#[test]
fn an_order_from_elsewhere_is_taken_once_at_its_prices_where_the_sums_agree() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("DESK", "95.10", 10)]).await;
        let refused = send(&app, &order(&shop, "A-1", "160.00")).await.problem(409, "total_changed");
        assert_eq!((&refused["pointer"], &refused["total"]), (&json!("/total"), &eur("164.90")));
        let mut priceless = order(&shop, "A-1", "164.90");
        priceless["lines"][0].as_object_mut().unwrap().remove("unit_price");
        let refused = send(&app, &priceless).await.problem(422, "missing_field");
        assert_eq!(refused["pointer"], "/lines/0/unit_price");
        let right = order(&shop, "A-1", "164.90");
        let answers = join_all((0..6).map(|_| send(&app, &right))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 201)));
        assert!(answers.iter().all(|answer| answer.body["id"] == answers[0].body["id"]));
        assert_eq!(answers[0].body["lines"][0]["unit_price"], eur("80.00"));
        let mut near = order(&shop, "A-2", "160.00");
        near["tolerance"] = eur("5.00");
        assert_eq!(send(&app, &near).await.expect(201)["total"], eur("164.90"));
        assert_eq!(app.count("SELECT count(*) FROM orders").await, 2);
        assert_eq!(shop.available("DESK").await, 6);
    });
}

#[test]
fn prices_and_customers_are_taken_from_who_may_give_them() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("DESK", "95.10", 10)]).await;
        let as_ = async |scopes: &str, ceiling: Option<i64>, body: &Value| {
            let mut claims = app.claims(Audience::Client, "edi", scopes);
            claims.money_ceiling = ceiling;
            let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
            app.send("POST", "/v1/integration/orders", &[("Authorization", &token)], Some(body)).await
        };
        let right = order(&shop, "A-1", "164.90");
        let refused = as_("orders:write prices:override", None, &right).await.problem(403, "scope_missing");
        assert_eq!(refused["scope"], "orders:import");
        let ada = app.ops("POST", "/customers", Some(&json!({"name": "Ada"}))).await.expect(201);
        let mut hers = right.clone();
        hers["customer_id"] = ada["id"].clone();
        let refused = as_("orders:import", None, &hers).await.problem(403, "scope_missing");
        assert_eq!((&refused["scope"], &refused["pointer"]), (&json!("customers:read"), &json!("/customer_id")));
        // Two for 80.00 instead of 95.10 are 30.20 less.
        as_("orders:import", Some(3_019), &right).await.problem(403, "ceiling_exceeded");
        assert_eq!(app.count("SELECT count(*) FROM carts WHERE state = 'open'").await, 0);
        let placed = as_("orders:import customers:read", Some(3_020), &hers).await.expect(201);
        assert_eq!(placed["customer_id"], ada["id"]);
    });
}
