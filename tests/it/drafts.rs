//! Orders that staff prepare: discounts within what they may give away, links by which somebody else pays once; and many SKUs at once.

use futures::future::join_all;
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    credit::{Trade, eur},
    support::{Answer, App, Shop, on_both},
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn draft(app: &App, cart: &str) -> String {
    let new = json!({"cart_id": cart, "contact": "phone", "note": "calls back"});
    text(&app.ops("POST", "/drafts", Some(&new)).await.expect(201)["id"])
}

async fn link(app: &App, draft: &str) -> String {
    let made = app.ops("POST", &format!("/drafts/{draft}/payment-link"), Some(&json!({"hours": 24}))).await.expect(201);
    text(&made["token"])
}

async fn pay(shop: &Shop, token: &str, instrument: &str) -> Answer {
    let body = json!({"token": token, "payment": {"method": "sandbox", "instrument": instrument}});
    shop.store("POST", "/payment-links/complete", None, Some(&body)).await
}

#[test]
fn a_draft_is_reduced_sent_and_paid_once_by_whoever_has_its_link() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 10)]).await;
        let shop = &trade.shop;
        let cart = trade.cart(&[("DESK", 2)]).await;
        let id = draft(&app, &cart).await;
        let again = json!({"cart_id": cart, "contact": "email"});
        app.ops("POST", "/drafts", Some(&again)).await.problem(409, "duplicate");
        // Ten per cent of 190.20 are more than a ceiling of 10.00.
        let mut claims = app.claims(Audience::Staff, "temp", "orders:write orders:read prices:override customers:read");
        claims.money_ceiling = Some(1_000);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let path = format!("/drafts/{id}/discount");
        let off = json!({"percent": 10, "reason": "regular"});
        let limited = app.send("POST", &format!("/v1/ops{path}"), &[("Authorization", &token)], Some(&off)).await;
        limited.problem(403, "ceiling_exceeded");
        let none = app.token(Audience::Staff, "clerk", &[Scope::OrdersWrite, Scope::OrdersRead]);
        let none = format!("Bearer {none}");
        let refused = app.send("POST", &format!("/v1/ops{path}"), &[("Authorization", &none)], Some(&off)).await;
        refused.problem(403, "scope_missing");
        app.ops("POST", &path, Some(&off)).await.expect(200);
        let seen = app.ops("GET", &format!("/carts/{cart}"), None).await.expect(200);
        assert_eq!(seen["total"], eur("176.08"));
        let old = link(&app, &id).await;
        app.clock.advance_seconds(60);
        let token = link(&app, &id).await;
        let open = |token: &str| json!({ "token": token });
        shop.store("POST", "/payment-links/open", None, Some(&open(&old))).await.problem(404, "not_found");
        let seen = shop.store("POST", "/payment-links/open", None, Some(&open(&token))).await.expect(200);
        assert_eq!(seen["cart"]["total"], eur("176.08"));
        assert_eq!(pay(shop, &token, "decline").await.expect(200)["result"], "payment_failed");
        let answers = join_all((0..5).map(|_| pay(shop, &token, "approve"))).await;
        let orders: Vec<Value> = answers.into_iter().map(|answer| answer.expect(201)["order"].clone()).collect();
        assert!(orders.iter().all(|order| order["id"] == orders[0]["id"]));
        // As its shopper sees it: with the link that opens it, without what is staff's.
        assert!(orders[0]["link"].is_object() && orders[0]["actions"] == json!([]));
        assert_eq!(orders[0]["customer_id"], trade.customer);
        assert_eq!(app.count("SELECT count(*) FROM orders").await, 1);
        let read = app.ops("GET", &format!("/drafts/{id}"), None).await.expect(200);
        assert_eq!((&read["order_id"], &read["state"]), (&orders[0]["id"], &json!("ordered")));
        let seen = shop.store("POST", "/payment-links/open", None, Some(&open(&token))).await.expect(200);
        assert_eq!(seen["state"], "ordered");
        for (state, count) in [("open", 0), ("ordered", 1), ("cancelled", 0)] {
            let listed = app.ops("GET", &format!("/drafts?state={state}"), None).await.expect(200);
            assert_eq!(listed["items"].as_array().unwrap().len(), count, "{state}");
        }
        let steps: Vec<String> = read["steps"].as_array().unwrap().iter().map(|step| text(&step["what"])).collect();
        assert_eq!(steps, ["made", "discounted", "link_made", "link_made"]);
        app.ops("POST", &format!("/drafts/{id}/cancel"), None).await.problem(409, "state_conflict");
    });
}

#[test]
fn a_link_ends_with_its_time_and_with_its_draft() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 10)]).await;
        let cart = trade.cart(&[("DESK", 1)]).await;
        let id = draft(&app, &cart).await;
        let token = link(&app, &id).await;
        pay(&trade.shop, &format!("{token}x"), "approve").await.problem(404, "not_found");
        app.clock.advance_seconds(25 * 3600);
        pay(&trade.shop, &token, "approve").await.problem(404, "not_found");
        let token = link(&app, &id).await;
        // Of paying and cancelling at once one wins.
        let path = format!("/drafts/{id}/cancel");
        let (paid, cancelled) = futures::join!(pay(&trade.shop, &token, "approve"), app.ops("POST", &path, None));
        assert!((paid.status == 201) != (cancelled.status == 200), "{} {}", paid.text, cancelled.text);
        let orders = app.count("SELECT count(*) FROM orders").await;
        assert_eq!(orders, i64::from(paid.status == 201));
    });
}

#[test]
fn many_skus_are_added_at_once_and_what_is_wrong_is_told_row_by_row() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("DESK", "95.10", 10), ("PEN", "1.00", 100)]).await;
        let cart = shop.cart(&[("PEN", 1)]).await;
        let path = format!("/carts/{}/quick-order", cart.id);
        let body = json!({"csv": "sku;quantity\nDESK;2\nNOPE;1\nPEN;x\nPEN;4\n"});
        let done = shop.store("POST", &path, Some(&cart.token), Some(&body)).await.expect(200);
        assert_eq!(done["added"], 2);
        let error = |place: usize| (done["errors"][place]["row"].clone(), done["errors"][place]["code"].clone());
        assert_eq!(error(0), (json!(2), json!("sku_unknown")));
        assert_eq!(error(1), (json!(3), json!("quantity_invalid")));
        assert_eq!(done["cart"]["version"], 2);
        let lines: Vec<(String, i64)> = done["cart"]["lines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| (text(&line["sku"]), line["quantity"].as_i64().unwrap()))
            .collect();
        assert_eq!(lines, [("PEN".to_owned(), 5), ("DESK".to_owned(), 2)]);
        let wrong = json!({"lines": [{"sku": "NOPE", "quantity": 1}]});
        let done = shop.store("POST", &path, Some(&cart.token), Some(&wrong)).await.expect(200);
        assert_eq!((&done["added"], &done["cart"]["version"]), (&json!(0), &json!(2)));
        shop.store("POST", &path, Some(&cart.token), Some(&json!({}))).await.problem(422, "invalid_value");
    });
}

#[test]
fn who_has_a_link_pays_themselves_and_is_judged_by_where_they_come_from() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 10)]).await;
        trade.limit("1000.00", "decline").await;
        let rule = json!({"name": "network", "kind": "velocity", "weight": 10, "of": "network", "minutes": 30, "more_than": 0});
        let rules = json!({"rules": [rule], "hold_at": 1000});
        app.ops("PUT", &format!("/risk/profiles/{}", trade.shop.channel), Some(&rules)).await.expect(200);
        let id = draft(&app, &trade.cart(&[("DESK", 1)]).await).await;
        let token = link(&app, &id).await;
        let body = json!({"token": token, "payment": {"method": "on_account"}});
        let refused = trade.shop.store("POST", "/payment-links/complete", None, Some(&body)).await;
        assert_eq!(refused.problem(422, "payment_method_unavailable")["pointer"], "/payment/method");
        pay(&trade.shop, &token, "approve").await.expect(201);
        let found = app.ops("GET", "/risk/assessments?limit=1", None).await.expect(200)["items"][0].clone();
        assert!(found["facts"]["known"].to_string().contains("network"), "{found}");
    });
}

#[test]
fn a_discount_comes_on_top_of_promotions() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "100.00", 10)]).await;
        let half = json!({"conditions": {}, "gift": {"type": "percentage", "percent": "50", "on": "lines"}});
        crate::promotions::promote(&app, "half", half).await;
        let cart = trade.cart(&[("DESK", 2)]).await;
        let path = format!("/carts/{cart}");
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["total"], eur("104.90"));
        let id = draft(&app, &cart).await;
        let off = json!({"percent": 10, "reason": "regular"});
        let discount = format!("/drafts/{id}/discount");
        app.ops("POST", &discount, Some(&off)).await.expect(200);
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["total"], eur("94.90"));
        // The prices are agreed by now.
        let refused = app.ops("POST", &discount, Some(&off)).await.problem(422, "invalid_value");
        assert_eq!(refused["pointer"], "/percent");
    });
}
