//! `actions[]`: whoever looks at something is told what they can do with it now, and why not.

use std::collections::BTreeMap;

use kontor::connectors;
use serde_json::{Value, json};

use crate::support::{Answer, Shop, on_both_idle};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

/// The commands of an answer, each with why it is refused.
fn told(document: &Value) -> BTreeMap<String, Option<String>> {
    let all = document["actions"].as_array().unwrap_or_else(|| panic!("no actions: {document}"));
    let one = |action: &Value| {
        let reason = action["reason"].as_str().map(str::to_owned);
        assert_eq!(action["allowed"], json!(reason.is_none()), "{action}");
        (text(&action["command"]), reason)
    };
    all.iter().map(one).collect()
}

/// Those that are allowed.
fn allowed(document: &Value) -> Vec<String> {
    told(document).into_iter().filter(|(_, reason)| reason.is_none()).map(|(command, _)| command).collect()
}

#[test]
fn a_cart_tells_shoppers_and_staff_what_each_can_do_with_it() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let empty = shop.store("POST", "/carts", None, Some(&json!({}))).await.expect(201);
        assert_eq!(allowed(&empty), ["edit", "merge"]);
        assert!(told(&empty)["complete"].as_ref().unwrap().contains("there is nothing in the cart"));

        let cart = shop.cart(&[("TEE", 1)]).await;
        assert_eq!(allowed(&cart.body), ["checkout", "complete", "edit", "merge"]);
        let path = format!("/carts/{}", cart.id);
        let as_staff = async || app.ops("GET", &path, None).await.expect(200);
        let as_shopper = async || shop.store("GET", &path, Some(&cart.token), None).await.expect(200);
        assert_eq!(allowed(&as_staff().await), ["complete", "edit"]);
        shop.store("POST", &format!("{path}/checkout"), Some(&cart.token), None).await.expect(200);
        assert_eq!(allowed(&as_shopper().await), ["checkout", "complete", "edit", "merge"]);

        // While it is being paid it can only be completed, or given up by staff; and what it tells is what is done.
        shop.complete(&cart, "redirect").await.expect(202);
        assert_eq!(allowed(&as_shopper().await), ["complete"]);
        assert_eq!(allowed(&as_staff().await), ["complete", "give_up_payment"]);
        let refused: Answer = shop.store("PATCH", &path, Some(&cart.token), Some(&json!({"lines": []}))).await;
        let refused = refused.problem(409, "cart_not_open");
        let told_before = told(&as_shopper().await)["edit"].clone().unwrap();
        assert!(told_before.contains(refused["detail"].as_str().unwrap()), "{told_before}");

        let bought = shop.cart(&[("TEE", 1)]).await;
        let order = shop.complete(&bought, "approve").await.expect(201)["order"].clone();
        let path = format!("/carts/{}", bought.id);
        let done = shop.store("GET", &path, Some(&bought.token), None).await.expect(200);
        assert_eq!(allowed(&done), Vec::<String>::new());
        // Shoppers have no commands on orders, staff do.
        let path = format!("/orders/{}", text(&order["id"]));
        let shown = shop.store("GET", &path, Some(&bought.token), None).await.expect(200);
        assert_eq!((&order["actions"], &shown["actions"]), (&json!([]), &json!([])));
        assert!(allowed(&app.ops("GET", &path, None).await.expect(200)).contains(&"cancel".to_owned()));
    });
}

#[test]
fn a_return_tells_whether_its_money_is_still_to_be_given_back() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let order = text(&shop.order(&[("TEE", 2)]).await["id"]);
        let fulfilment = app.ops("GET", &format!("/orders/{order}/fulfilment"), None).await.expect(200);
        let fulfilment = text(&fulfilment["fulfilment_orders"][0]["id"]);
        app.ops("POST", &format!("/fulfilment-orders/{fulfilment}/ship"), Some(&json!({}))).await.expect(201);
        let back = json!({"order": order, "lines": [{"line_no": 1, "quantity": 1}]});
        let kept = app.ops("POST", "/returns", Some(&back)).await.expect(201);
        let kept = app.ops("GET", &format!("/returns/{}", text(&kept["id"])), None).await.expect(200);
        assert_eq!((&kept["state"], allowed(&kept)), (&json!("received"), Vec::new()));
        assert!(told(&kept)["refund"].as_ref().unwrap().contains("received"), "{kept}");
    });
}

#[test]
fn a_connector_and_its_dispatches_tell_what_can_be_done_with_them() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let new = json!({"name": "ERP", "adapter": "webhook", "settings": {"url": "http://127.0.0.1:9/"}});
        let made = app.ops("POST", "/connectors", Some(&new)).await.expect(201);
        assert_eq!(allowed(&made), ["pause", "renew_secrets", "replay", "test"]);
        let path = format!("/connectors/{}", text(&made["id"]));
        let paused = app.ops("PATCH", &path, Some(&json!({"state": "paused"}))).await.expect(200);
        assert_eq!(allowed(&paused), ["renew_secrets", "replay", "resume", "test"]);
        assert_eq!(told(&paused)["pause"].as_deref(), Some("state_conflict: the connector is paused already"));
        app.ops("PATCH", &path, Some(&json!({"state": "active"}))).await.expect(200);

        shop.order(&[("TEE", 1)]).await;
        app.state.db.write(kontor::events::number).await.unwrap();
        connectors::dispatch(&app.state).await.unwrap();
        let list = app.ops("GET", &format!("{path}/dispatches"), None).await.expect(200);
        let dispatch = format!("{path}/dispatches/{}", text(&list["items"][0]["id"]));
        assert_eq!(allowed(&app.ops("GET", &dispatch, None).await.expect(200)), ["skip"]);
        app.ops("POST", &format!("{dispatch}/replay"), None).await.problem(409, "state_conflict");
        let reason = json!({"reason": "entered by hand"});
        app.ops("POST", &format!("{dispatch}/skip"), Some(&reason)).await.expect(200);
        assert_eq!(allowed(&app.ops("GET", &dispatch, None).await.expect(200)), ["replay"]);
        app.ops("POST", &format!("{dispatch}/skip"), Some(&reason)).await.problem(409, "state_conflict");
    });
}
