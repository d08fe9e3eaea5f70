//! Orders that others of the company approve: one decision counts however many are made at once, and nobody decides about their own.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    credit::{Trade, eur},
    support::{App, eventually, on_both, shop::address},
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Ada buys up to 50.00, Bob and Cid approve, Dora looks after the company.
async fn open(app: &App) -> Trade {
    let trade = Trade::open(app, &[("DESK", "95.10", 10), ("PEN", "1.00", 100)]).await;
    trade.limit("1000.00", "decline").await;
    trade.member(&trade.customer, json!({"role": "buyer", "order_limit": eur("50.00")})).await;
    for (name, role) in [("bob", "approver"), ("cid", "approver"), ("dora", "admin")] {
        let id = trade.customer(name).await;
        trade.member(&id, json!({ "role": role })).await;
    }
    trade
}

async fn cart_of(trade: &Trade, name: &str, sku: &str) -> String {
    let body = json!({"lines": [{"sku": sku, "quantity": 1}], "email": format!("{name}@example.org"),
        "shipping_address": address(), "shipping_method": "standard"});
    text(&trade.as_(name, "POST", "/carts", Some(&body)).await.expect(201)["id"])
}

async fn ask(trade: &Trade, cart: &str) -> String {
    let wish = json!({"payment_method": "on_account", "message": "for the fair"});
    let path = format!("/carts/{cart}/approval-requests");
    text(&trade.as_("ada", "POST", &path, Some(&wish)).await.expect(201)["id"])
}

async fn say(trade: &Trade, name: &str, request: &str, verdict: &str) -> crate::support::Answer {
    let path = format!("/me/approval-requests/{request}/{verdict}");
    trade.as_(name, "POST", &path, Some(&json!({}))).await
}

async fn state(app: &App, request: &str) -> Value {
    app.ops("GET", &format!("/approval-requests/{request}"), None).await.expect(200)["state"].clone()
}

#[test]
fn what_costs_more_than_a_buyers_limit_is_approved_and_then_ordered() {
    on_both(|app| async move {
        let trade = open(&app).await;
        let pay = json!({"payment": {"method": "on_account"}});
        // Within the limit nobody is asked.
        let small = cart_of(&trade, "ada", "PEN").await;
        let path = format!("/carts/{small}/approval-requests");
        trade.as_("ada", "POST", &path, Some(&json!({}))).await.problem(409, "state_conflict");
        trade.as_("ada", "POST", &format!("/carts/{small}/complete"), Some(&pay)).await.expect(201);
        let cart = cart_of(&trade, "ada", "DESK").await;
        let complete = format!("/carts/{cart}/complete");
        let refused = trade.as_("ada", "POST", &complete, Some(&pay)).await.problem(409, "approval_required");
        assert_eq!((&refused["approvers"], &refused["role"]), (&json!(1), &json!("approver")));
        let request = ask(&trade, &cart).await;
        assert_eq!(trade.shop.available("DESK").await, 9);
        trade.as_("ada", "POST", &complete, Some(&pay)).await.problem(409, "approval_required");
        say(&trade, "ada", &request, "approve").await.problem(403, "approval_not_yours");
        let seen = trade.as_("bob", "GET", &format!("/me/approval-requests/{request}"), None).await.expect(200);
        assert_eq!((&seen["message"], &seen["total"]), (&json!("for the fair"), &eur("100.00")));
        assert_eq!(seen["cart"]["lines"][0]["sku"], "DESK");
        say(&trade, "bob", &request, "approve").await.expect(200);
        eventually("it is ordered", || async { state(&app, &request).await == "ordered" }).await;
        say(&trade, "cid", &request, "reject").await.problem(409, "state_conflict");
        assert_eq!(trade.used().await, "105.90");
        let order = trade.as_("ada", "POST", &complete, Some(&pay)).await.expect(201)["order"].clone();
        assert_eq!(order["total"], eur("100.00"));
        // Nobody else sees it.
        let stranger = json!({"name": "Eve", "email": "eve@example.org"});
        app.ops("POST", "/customers", Some(&stranger)).await.expect(201);
        trade.as_("eve", "GET", &format!("/me/approval-requests/{request}"), None).await.problem(404, "not_found");
        let list = trade.as_("eve", "GET", "/me/approval-requests", None).await.expect(200);
        assert_eq!(list["items"], json!([]));
    });
}

#[test]
fn of_those_who_decide_at_once_one_counts() {
    on_both(|app| async move {
        let trade = open(&app).await;
        for _ in 0..3 {
            let cart = cart_of(&trade, "ada", "DESK").await;
            let request = ask(&trade, &cart).await;
            let (bob, cid, dora) = futures::join!(
                say(&trade, "bob", &request, "approve"),
                say(&trade, "cid", &request, "reject"),
                say(&trade, "dora", &request, "approve")
            );
            let statuses = [bob.status, cid.status, dora.status];
            assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
            let expected = if cid.status == 200 { "rejected" } else { "ordered" };
            eventually("it has ended", || async { state(&app, &request).await == expected }).await;
            let seen = app.ops("GET", &format!("/carts/{cart}"), None).await.expect(200);
            assert_eq!(seen["state"], if cid.status == 200 { "open" } else { "completed" });
        }
        let orders = app.count("SELECT count(*) FROM orders").await;
        assert_eq!(trade.shop.available("DESK").await, 10 - orders);
    });
}

#[test]
fn a_rule_asks_for_several_and_each_counts_once() {
    on_both(|app| async move {
        let trade = open(&app).await;
        let rules = json!({"approval_rules": [{"from": eur("80.00"), "approvers": 2, "role": "approver"}]});
        app.ops("PATCH", &format!("/companies/{}", trade.company), Some(&rules)).await.expect(200);
        let cart = cart_of(&trade, "ada", "DESK").await;
        let request = ask(&trade, &cart).await;
        let answers = join_all((0..4).map(|_| say(&trade, "bob", &request, "approve"))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert_eq!(state(&app, &request).await, "awaiting");
        say(&trade, "dora", &request, "approve").await.expect(200);
        eventually("it is ordered", || async { state(&app, &request).await == "ordered" }).await;
    });
}

#[test]
fn a_change_undoes_an_approval_and_time_ends_a_request() {
    on_both(|app| async move {
        let trade = open(&app).await;
        let cart = cart_of(&trade, "ada", "DESK").await;
        let request = ask(&trade, &cart).await;
        let more = json!({"lines": [{"sku": "DESK", "quantity": 2}]});
        trade.as_("ada", "PATCH", &format!("/carts/{cart}"), Some(&more)).await.expect(200);
        say(&trade, "bob", &request, "approve").await.problem(409, "state_conflict");
        // Asked for anew, the one before is withdrawn.
        let wish = json!({});
        let path = format!("/carts/{cart}/approval-requests");
        let second = text(&trade.as_("ada", "POST", &path, Some(&wish)).await.expect(201)["id"]);
        assert_eq!(state(&app, &request).await, "withdrawn");
        say(&trade, "bob", &second, "approve").await.expect(200);
        assert_eq!(state(&app, &second).await, "approved");
        // Without a payment method its buyer completes it; a change would have undone that.
        let pay = json!({"payment": {"method": "sandbox", "instrument": "approve"}});
        trade.as_("ada", "POST", &format!("/carts/{cart}/complete"), Some(&pay)).await.expect(201);
        // Ordered, it is taken back no more, and is noted as what it is.
        let path = format!("/me/approval-requests/{second}/withdraw");
        trade.as_("ada", "POST", &path, None).await.problem(409, "state_conflict");
        app.clock.advance_seconds(31);
        eventually("its order is noted", || async { state(&app, &second).await == "ordered" }).await;
        let third = cart_of(&trade, "ada", "DESK").await;
        let third_request = ask(&trade, &third).await;
        app.clock.advance_seconds(8 * 86_400);
        eventually("its time is over", || async { state(&app, &third_request).await == "expired" }).await;
        say(&trade, "bob", &third_request, "approve").await.problem(409, "state_conflict");
        let seen = app.ops("GET", &format!("/carts/{third}"), None).await.expect(200);
        assert_eq!(seen["state"], "open");
        let fourth = ask(&trade, &third).await;
        let path = format!("/me/approval-requests/{fourth}/withdraw");
        trade.as_("bob", "POST", &path, None).await.problem(404, "not_found");
        trade.as_("ada", "POST", &path, None).await.expect(200);
        assert_eq!(trade.shop.available("DESK").await, 8);
    });
}

#[test]
fn what_is_approved_and_can_not_be_ordered_is_its_buyers_again_and_keeps_no_stock() {
    on_both(|app| async move {
        let trade = open(&app).await;
        let cart = cart_of(&trade, "ada", "DESK").await;
        let request = ask(&trade, &cart).await;
        assert_eq!(trade.shop.available("DESK").await, 9);
        trade.limit("10.00", "decline").await;
        say(&trade, "bob", &request, "approve").await.expect(200);
        eventually("it can not be ordered", || async { state(&app, &request).await == "failed" }).await;
        let seen = app.ops("GET", &format!("/carts/{cart}"), None).await.expect(200);
        assert_eq!(seen["state"], "open");
        assert_eq!(trade.shop.available("DESK").await, 10);
        // It is asked for anew, and ordered.
        trade.limit("1000.00", "decline").await;
        let second = ask(&trade, &cart).await;
        say(&trade, "bob", &second, "approve").await.expect(200);
        eventually("it is ordered", || async { state(&app, &second).await == "ordered" }).await;
    });
}

#[test]
fn a_cart_that_a_guest_has_frozen_is_approved_like_any_other_of_who_completes_it() {
    on_both(|app| async move {
        let trade = open(&app).await;
        let cart = trade.shop.cart(&[("DESK", 1)]).await;
        let path = format!("/carts/{}", cart.id);
        let frozen = trade.shop.store("POST", &format!("{path}/checkout"), Some(&cart.token), None).await.expect(200);
        assert_eq!(frozen["state"], "frozen");
        let mut claims = app.claims(kontor::http::auth::Audience::Customer, "ada", "");
        (claims.email, claims.email_verified) = (Some("ada@example.org".to_owned()), Some(true));
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let key = trade.shop.key.clone();
        let headers = [("Channel-Key", key.as_str()), ("Authorization", &token), ("Cart-Token", &cart.token)];
        let path = format!("/v1/store{path}/complete");
        // Their sign-in is known to be Ada's.
        trade.as_("ada", "GET", "/me/company", None).await.expect(200);
        for pay in [
            json!({"payment": {"method": "on_account"}}),
            json!({"payment": {"method": "sandbox", "instrument": "approve"}}),
        ] {
            app.send("POST", &path, &headers, Some(&pay)).await.problem(409, "approval_required");
        }
        assert_eq!(app.count("SELECT count(*) FROM orders").await, 0);
    });
}

#[test]
fn what_is_asked_for_of_a_cart_that_has_changed_ends_by_itself() {
    on_both(|app| async move {
        let trade = open(&app).await;
        let cart = cart_of(&trade, "ada", "DESK").await;
        let request = ask(&trade, &cart).await;
        let line = json!({"sku": "PEN", "quantity": 1});
        trade.as_("ada", "POST", &format!("/carts/{cart}/lines"), Some(&line)).await.expect(200);
        // Its buyer has gone on: nobody can approve what was asked for.
        app.clock.advance_seconds(31);
        eventually("it has ended", || async { state(&app, &request).await == "withdrawn" }).await;
        say(&trade, "bob", &request, "approve").await.problem(409, "state_conflict");
        let waiting = trade.as_("bob", "GET", "/me/approval-requests?state=awaiting", None).await.expect(200);
        assert_eq!(waiting["items"], json!([]));
        // Asked anew, it is decided.
        let again = ask(&trade, &cart).await;
        say(&trade, "bob", &again, "approve").await.expect(200);
        eventually("it is ordered", || async { state(&app, &again).await == "ordered" }).await;
    });
}
