//! What keeps an order, or a line of it, from being shipped, cancelled, taken back or refunded.

use futures::future::join_all;
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    fulfilment_moves::{Of, level, pieces},
    support::{Answer, App, Shop, eventually, on_both},
};

async fn order(app: &App, id: &str, what: &str, body: Value) -> Answer {
    app.ops("POST", &format!("/orders/{id}/{what}"), Some(&body)).await
}

/// Why a command is not allowed; `None` where it is.
fn why_not(order: &Value, command: &str) -> Option<String> {
    let actions = order["actions"].as_array().unwrap();
    let action = actions.iter().find(|action| action["command"] == command).unwrap();
    (action["allowed"] == false).then(|| action["reason"].as_str().unwrap().to_owned())
}

async fn erp(app: &App, id: &str, what: &str, body: Value) -> Answer {
    let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::WritebackWrite]));
    app.send("POST", &format!("/v1/integration/orders/{id}/{what}"), &[("Authorization", &token)], Some(&body)).await
}

#[test]
fn an_order_is_held_for_several_reasons_and_each_has_to_end() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let cart = shop.cart(&[("TEE", 2)]).await;
        let id = shop.complete(&cart, "approve").await.expect(201)["order"]["id"].as_str().unwrap().to_owned();
        let placed = Of { app: &app, order: id.clone() };
        let risk =
            json!({"kind": "risk", "blocks": ["ship", "refund", "cancel"], "reason": "three cards", "owner": "eve"});
        let held = order(&app, &id, "hold", risk.clone()).await.expect(200);
        assert_eq!(held["holds"][0]["blocks"], json!(["ship", "cancel", "refund"]));
        assert!(why_not(&held, "ship").unwrap().contains("held: risk"), "{held}");
        assert_eq!(why_not(&held, "deliver").unwrap(), "nothing is on its way");
        order(&app, &id, "hold", risk).await.problem(409, "state_conflict");
        let address = json!({"kind": "address", "reason": "no street"});
        assert_eq!(order(&app, &id, "hold", address).await.expect(200)["holds"].as_array().unwrap().len(), 2);

        // Neither people nor other systems ship it, and nobody cancels or refunds it.
        let one = placed.open().await;
        assert_eq!(one["order_holds"].as_array().unwrap().len(), 2, "{one}");
        for command in ["pick", "pack", "ship"] {
            let told = placed.post(&one, command, json!({})).await.problem(409, "state_conflict");
            assert_eq!(told["holds"], json!(["risk", "address"]));
        }
        erp(&app, &id, "shipments", json!({"system": "wms", "document": "LS-1"})).await.problem(409, "state_conflict");
        let cancel = json!({"reason": "changed their mind"});
        let told = order(&app, &id, "cancel", cancel.clone()).await.problem(409, "state_conflict");
        assert_eq!(told["holds"], json!(["risk"]));
        let refund = json!({"amount": {"amount": "1.00", "currency": "EUR"}, "reason": "goodwill"});
        order(&app, &id, "refunds", refund).await.problem(409, "state_conflict");
        let wave = json!({"location": "berlin", "name": "morning"});
        app.ops("POST", "/waves", Some(&wave)).await.problem(409, "state_conflict");

        // Staff find it; its shopper is not told.
        let listed = |held: bool| {
            let app = &app;
            async move {
                let found = app.ops("GET", &format!("/orders?held={held}"), None).await.expect(200);
                found["items"].as_array().unwrap().clone()
            }
        };
        assert_eq!(
            (listed(true).await[0]["holds"].clone(), listed(false).await.len()),
            (json!(["address", "risk"]), 0)
        );
        let seen = shop.store("GET", &format!("/orders/{id}"), Some(&cart.token), None).await.expect(200);
        assert!(seen.get("holds").is_none(), "{seen}");

        order(&app, &id, "release", json!({"kind": "credit"})).await.problem(409, "state_conflict");
        let left = order(&app, &id, "release", json!({"kind": "risk", "reason": "called back"})).await.expect(200);
        assert_eq!((left["holds"][0]["kind"].as_str(), why_not(&left, "cancel")), (Some("address"), None));
        placed.post(&one, "pick", json!({})).await.problem(409, "state_conflict");
        order(&app, &id, "release", json!({})).await.expect(200);
        order(&app, &id, "release", json!({})).await.problem(409, "state_conflict");
        assert_eq!((listed(true).await.len(), listed(false).await.len()), (0, 1));
        erp(&app, &id, "shipments", json!({"system": "wms", "document": "LS-1"})).await.expect(201);
        let events = placed.events().await;
        let of = |kind: &str| events.iter().filter(|told| *told == kind).count();
        assert_eq!((of("order.held.v1"), of("order.released.v1")), (2, 2));
    });
}

#[test]
fn a_held_line_stays_and_the_others_leave() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10), ("MUG", "5.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 2), ("MUG", 1)]).await;
        let id = placed.order.clone();
        let unknown = json!({"kind": "export_control", "line_no": 7, "reason": "x"});
        let told = order(&app, &id, "hold", unknown).await.problem(422, "line_unknown");
        assert_eq!(told["pointer"], "/line_no");
        let wrong = json!({"kind": "manual", "reason": "x", "blocks": ["ship", "deliver"]});
        order(&app, &id, "hold", wrong).await.problem(422, "invalid_value");
        let none = json!({"kind": "manual", "reason": "x", "blocks": []});
        order(&app, &id, "hold", none).await.problem(422, "invalid_value");
        let hold = json!({"kind": "export_control", "line_no": 1, "blocks": ["ship", "cancel"], "reason": "a licence is asked for"});
        let held = order(&app, &id, "hold", hold).await.expect(200);
        assert_eq!(why_not(&held, "ship"), None);
        let one = placed.open().await;
        let told = placed.post(&one, "ship", json!({})).await.problem(409, "state_conflict");
        assert_eq!(told["holds"], json!(["export_control (line 1)"]));
        placed.post(&one, "ship", json!({"lines": [{"line_no": 2, "quantity": 1}]})).await.expect(201);
        let cancel = json!({"lines": pieces(1), "reason": "x"});
        order(&app, &id, "cancel", cancel.clone()).await.problem(409, "state_conflict");
        order(&app, &id, "release", json!({"line_no": 2})).await.problem(409, "state_conflict");
        order(&app, &id, "release", json!({"line_no": 1})).await.expect(200);
        order(&app, &id, "cancel", cancel).await.expect(200);
        placed.ship_all().await;
    });
}

#[test]
fn holds_end_by_their_time_with_the_money_and_with_the_order() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 1)]).await;
        let past = json!({"kind": "customer", "reason": "x", "expires_at": "2026-03-02T08:00:00Z"});
        order(&app, &placed.order, "hold", past).await.problem(422, "invalid_value");
        let soon = json!({"kind": "customer", "reason": "on holiday", "expires_at": "2026-03-02T09:10:00Z"});
        order(&app, &placed.order, "hold", soon.clone()).await.expect(200);
        let one = placed.open().await;
        placed.post(&one, "pick", json!({})).await.problem(409, "state_conflict");
        app.clock.advance_seconds(601);
        // From that moment on, whether or not anybody has written it down.
        placed.post(&one, "pick", json!({})).await.expect(200);
        eventually("it is written down", || async { placed.document().await["holds"].is_null() }).await;
        placed.ship_all().await;

        // A transfer that comes releases what waits for it.
        let cart = shop.cart(&[("TEE", 1)]).await;
        let pay = json!({"payment": {"method": "manual"}});
        let path = format!("/carts/{}/complete", cart.id);
        let unpaid = shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201)["order"].clone();
        let waits = Of { app: &app, order: unpaid["id"].as_str().unwrap().to_owned() };
        let hold = json!({"kind": "payment", "reason": "money first"});
        order(&app, &waits.order, "hold", hold).await.expect(200);
        order(&app, &waits.order, "hold", json!({"kind": "address", "reason": "no street"})).await.expect(200);
        let part = json!({"reference": "B-1", "amount": {"amount": "1.00", "currency": "EUR"}});
        let partly = order(&app, &waits.order, "payments", part).await.expect(200);
        assert_eq!(partly["holds"].as_array().unwrap().len(), 2, "{partly}");
        let paid = order(&app, &waits.order, "payments", json!({"reference": "B-2"})).await.expect(200);
        assert_eq!(paid["holds"].as_array().unwrap().len(), 1, "{paid}");
        assert_eq!(paid["holds"][0]["kind"], "address");
        // What keeps a cancelled order from being shipped is of no use.
        let gone = order(&app, &waits.order, "cancel", json!({"reason": "no street"})).await.expect(200);
        assert!(gone.get("holds").is_none(), "{gone}");
        assert!(waits.document().await.get("holds").is_none());
        let late = json!({"kind": "manual", "reason": "late"});
        order(&app, &waits.order, "hold", late).await.problem(409, "state_conflict");
        // The money of it may still be held back.
        let money = json!({"kind": "risk", "blocks": ["refund"], "reason": "whose account is it?"});
        order(&app, &waits.order, "hold", money).await.expect(200);
        order(&app, &waits.order, "release", json!({})).await.expect(200);
    });
}

#[test]
fn of_holding_an_order_and_shipping_it_either_comes_first() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 4)]).await;
        let one = placed.open().await;
        let answers = join_all((0..12).map(|n| {
            let (placed, one, app) = (&placed, &one, &app);
            async move {
                match n % 3 {
                    0 => order(app, &placed.order, "hold", json!({"kind": "risk", "reason": "race"})).await,
                    _ => placed.post(one, "ship", json!({"lines": pieces(1)})).await,
                }
            }
        }))
        .await;
        let held = answers.iter().step_by(3).filter(|answer| answer.status == 200).count();
        let shipped = answers.iter().filter(|answer| answer.status == 201).count() as i64;
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 201 | 409)), "{answers:?}");
        assert_eq!(held, usize::from(shipped < 4), "{answers:?}");
        assert_eq!(placed.document().await["lines"][0]["shipped"], json!(shipped));
        if shipped < 4 {
            // Eight let go of it at once: it is released once.
            let released =
                join_all((0..8).map(|_| order(&app, &placed.order, "release", json!({"kind": "risk"})))).await;
            assert_eq!(released.iter().filter(|answer| answer.status == 200).count(), 1, "{released:?}");
            placed.ship_all().await;
        }
        assert_eq!(level(&app, "TEE", "berlin").await, (0, 6));
    });
}

#[test]
fn money_that_is_held_goes_back_by_no_way_and_a_refund_releases_nothing() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let cart = shop.cart(&[("TEE", 2)]).await;
        let path = format!("/carts/{}/complete", cart.id);
        let pay = json!({"payment": {"method": "manual"}});
        let done = shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201);
        let id = done["order"]["id"].as_str().unwrap().to_owned();
        let hold = json!({"kind": "risk", "blocks": ["refund"], "reason": "whose account is it?"});
        order(&app, &id, "hold", hold).await.expect(200);
        // Nothing has come in: cancelling a piece gives nothing back.
        order(&app, &id, "cancel", json!({"lines": pieces(1), "reason": "x"})).await.expect(200);
        order(&app, &id, "payments", json!({"reference": "B-1"})).await.expect(200);
        let told = order(&app, &id, "cancel", json!({"reason": "x"})).await.problem(409, "state_conflict");
        assert_eq!(told["holds"], json!(["risk"]));
        order(&app, &id, "release", json!({})).await.expect(200);
        order(&app, &id, "cancel", json!({"reason": "x"})).await.expect(200);

        let placed = Of::new(&shop, &[("TEE", 1)]).await;
        placed.ship_all().await;
        eventually("it is paid", || async { placed.document().await["payment_state"] == "captured" }).await;
        let hold = json!({"kind": "payment", "blocks": ["return"], "reason": "the bank asks"});
        order(&app, &placed.order, "hold", hold).await.expect(200);
        let refund = json!({"amount": {"amount": "1.00", "currency": "EUR"}, "reason": "goodwill"});
        order(&app, &placed.order, "refunds", refund).await.expect(202);
        eventually("it is given back", || async { placed.document().await["payment_state"] == "partially_refunded" })
            .await;
        assert_eq!(placed.document().await["holds"][0]["kind"], "payment");
        order(&app, &placed.order, "release", json!({})).await.expect(200);
    });
}
