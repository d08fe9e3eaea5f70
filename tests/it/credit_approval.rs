//! Orders above a company's credit that the shop approves: by the shop, behind the company's own people, for what was asked for and no more.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    credit::{Trade, eur},
    support::{App, eventually, on_both, shop::address},
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A cart of Ada's with one desk, for 100.00.
async fn cart(trade: &Trade) -> String {
    let body = json!({"lines": [{"sku": "DESK", "quantity": 1}], "email": "ada@example.org", "shipping_address": address(),
        "shipping_method": "standard"});
    text(&trade.as_("ada", "POST", "/carts", Some(&body)).await.expect(201)["id"])
}

async fn ask(trade: &Trade, cart: &str) -> Value {
    let wish = json!({"payment_method": "on_account"});
    trade.as_("ada", "POST", &format!("/carts/{cart}/approval-requests"), Some(&wish)).await.expect(201)
}

async fn until(app: &App, request: &Value, state: &str) -> Value {
    let path = format!("/approval-requests/{}", text(&request["id"]));
    eventually(state, || async { app.ops("GET", &path, None).await.expect(200)["state"] == state }).await;
    app.ops("GET", &path, None).await.expect(200)
}

#[test]
fn the_shop_approves_what_is_above_the_credit_and_no_more() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50)]).await;
        trade.limit("150.00", "approval").await;
        let pay = json!({"payment": {"method": "on_account"}});
        let first = cart(&trade).await;
        trade.as_("ada", "POST", &format!("/carts/{first}/complete"), Some(&pay)).await.expect(201);
        let second = cart(&trade).await;
        let path = format!("/carts/{second}/complete");
        trade.as_("ada", "POST", &path, Some(&pay)).await.problem(409, "approval_required");
        let (asked, third) = (ask(&trade, &second).await, cart(&trade).await);
        assert_eq!((&asked["credit"]["over"], &asked["credit"]["up_to"]), (&eur("50.00"), &eur("200.00")), "{asked}");
        // Of the same credit: what one of them is given, the other has not.
        let also = ask(&trade, &third).await;
        let decide = |one: &Value, how: &str| format!("/approval-requests/{}/{how}", text(&one["id"]));
        let (approve, note) = (decide(&asked, "approve"), json!({"note": "insured"}));
        let all = join_all((0..4).map(|_| app.ops("POST", &approve, Some(&note)))).await;
        assert_eq!(all.iter().filter(|one| one.status == 200).count(), 1, "approved once");
        let done = until(&app, &asked, "ordered").await;
        assert!(text(&done["credit"]["approved_by"]).starts_with("staff:"));
        // What was approved is held for nothing more.
        let ordered = app.ops("GET", &format!("/orders/{}", text(&done["order_id"])), None).await.expect(200);
        assert!(ordered.get("holds").is_none(), "{ordered}");
        assert_eq!(trade.used().await, "200.00");
        // The buyer is not told who of the shop.
        let seen =
            trade.as_("ada", "GET", &format!("/me/approval-requests/{}", text(&asked["id"])), None).await.expect(200);
        assert!(seen["credit"]["approved_by"].is_null(), "{seen}");
        // Approved up to 200.00, and it would be 300.00 by now.
        app.ops("POST", &decide(&also, "approve"), Some(&note)).await.expect(200);
        let failed = until(&app, &also, "failed").await;
        assert!(text(&failed["failure"]).starts_with("approval_required"), "{failed}");
        assert_eq!(trade.used().await, "200.00");
        // Asked anew, and rejected: the cart is its buyer's.
        let again = ask(&trade, &third).await;
        app.ops("POST", &decide(&again, "reject"), Some(&note)).await.expect(200);
        until(&app, &again, "rejected").await;
        let seen = trade.as_("ada", "GET", &format!("/carts/{third}"), None).await.expect(200);
        assert_eq!(seen["state"], "open");
    });
}

#[test]
fn the_companys_own_people_approve_first() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50)]).await;
        trade.limit("50.00", "approval").await;
        let boss = trade.customer("boss").await;
        trade.member(&boss, json!({"role": "approver"})).await;
        trade.member(&trade.customer, json!({"role": "buyer", "order_limit": eur("10.00")})).await;
        let asked = ask(&trade, &cart(&trade).await).await;
        assert_eq!(asked["approvers"], 2);
        let (mine, ours) = (
            format!("/me/approval-requests/{}/approve", text(&asked["id"])),
            format!("/approval-requests/{}/approve", text(&asked["id"])),
        );
        app.ops("POST", &ours, Some(&json!({}))).await.problem(409, "state_conflict");
        let half = trade.as_("boss", "POST", &mine, Some(&json!({}))).await.expect(200);
        assert_eq!((&half["state"], &half["approvals"]), (&json!("awaiting"), &json!(1)));
        app.ops("POST", &ours, Some(&json!({}))).await.expect(200);
        until(&app, &asked, "ordered").await;
        assert_eq!(trade.used().await, "100.00");
        // Within the credit nobody of the shop is asked.
        trade.limit("1000.00", "approval").await;
        let within = ask(&trade, &cart(&trade).await).await;
        assert!(within["credit"].is_null());
        let path = format!("/approval-requests/{}/approve", text(&within["id"]));
        app.ops("POST", &path, Some(&json!({}))).await.problem(409, "state_conflict");
        let path = format!("/me/approval-requests/{}/withdraw", text(&within["id"]));
        trade.as_("ada", "POST", &path, None).await.expect(200);
    });
}

#[test]
fn what_the_shop_has_said_is_erased_with_its_buyer() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50)]).await;
        trade.limit("50.00", "approval").await;
        let asked = ask(&trade, &cart(&trade).await).await;
        let path = format!("/approval-requests/{}/approve", text(&asked["id"]));
        app.ops("POST", &path, Some(&json!({"note": "insured"}))).await.expect(200);
        let order = text(&until(&app, &asked, "ordered").await["order_id"]);
        let all = json!({"reason": "all of it"});
        app.ops("POST", &format!("/orders/{order}/cancel"), Some(&all)).await.expect(200);
        let told = "SELECT count(*) FROM approval_requests WHERE CAST(doc AS TEXT) LIKE '%insured%'";
        assert_eq!(app.count(told).await, 1);
        let erase = format!("/customers/{}/erase", trade.customer);
        eventually("its order is settled and they are erased", async || {
            app.ops("POST", &erase, None).await.status == 200
        })
        .await;
        assert_eq!(app.count(told).await, 0);
        let kept = app.ops("GET", &format!("/approval-requests/{}", text(&asked["id"])), None).await.expect(200);
        assert_eq!((&kept["credit"]["over"], &kept["credit"]["note"]), (&eur("50.00"), &Value::Null), "{kept}");
    });
}
