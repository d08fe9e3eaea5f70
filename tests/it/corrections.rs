//! What was booked wrongly is taken back: nothing is edited away, and nothing is paid or shipped twice.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    fulfilment_moves::{Of, counts, level, pieces},
    support::{App, Shop, eventually, on_both},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

async fn correct(app: &App, shipment: &Value, kind: &str) -> crate::support::Answer {
    let path = format!("/shipments/{}/correct", text(&shipment["id"]));
    app.ops("POST", &path, Some(&json!({"kind": kind, "reason": "it is on the dock"}))).await
}

fn captured(order: &Value) -> &str {
    text(&order["payments"][0]["captured"]["amount"])
}

#[test]
fn picks_and_packs_are_taken_back() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 3)]).await;
        let one = placed.open().await;
        let why = json!({"reason": "the wrong box"});
        placed.post(&one, "unpick", why.clone()).await.problem(409, "state_conflict");
        placed.post(&one, "pack", json!({"lines": pieces(2)})).await.expect(200);
        placed.post(&one, "pick", json!({})).await.expect(200);
        let too_many = json!({"lines": pieces(3), "reason": "x"});
        placed.post(&one, "unpack", too_many).await.problem(409, "quantity_exceeded");
        let open = placed.post(&one, "unpack", json!({"lines": pieces(1), "reason": "x"})).await.expect(200);
        assert_eq!((text(&open["state"]), &open["lines"][0]["packed"]), ("picked", &json!(1)));
        // Of three picked ones two go back to the shelf; the third is the one in the parcel.
        let open = placed.post(&one, "unpick", json!({"lines": pieces(2), "reason": "x"})).await.expect(200);
        assert_eq!((&open["lines"][0]["picked"], &open["lines"][0]["packed"]), (&json!(1), &json!(1)));
        let open = placed.post(&one, "unpick", why).await.expect(200);
        assert_eq!((text(&open["state"]), &open["lines"][0]["packed"]), ("open", &json!(0)));
        assert_eq!(level(&app, "TEE", "berlin").await, (3, 10));
        eventually("the log tells of it", || async {
            placed.events().await.iter().filter(|kind| *kind == "fulfilment_order.corrected.v1").count() == 3
        })
        .await;
        placed.ship_all().await;
    });
}

#[test]
fn what_has_not_left_is_shipped_again_and_paid_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 3)]).await;
        let one = placed.open().await;
        let body = json!({"lines": pieces(2), "carrier": "DHL", "tracking_number": "0034 0434"});
        let parcel = placed.post(&one, "ship", body).await.expect(201);
        eventually("it is paid", || async { captured(&placed.document().await) == "24.90" }).await;
        correct(&app, &parcel, "not_delivered").await.problem(409, "state_conflict");
        let path = format!("/shipments/{}/deliver", text(&parcel["id"]));
        app.ops("POST", &path, Some(&json!({}))).await.expect(200);
        // What has arrived has left: one after the other.
        correct(&app, &parcel, "not_shipped").await.problem(409, "state_conflict");
        let back = correct(&app, &parcel, "not_delivered").await.expect(200);
        assert_eq!((text(&back["state"]), back["delivered_at"].is_null()), ("shipped", true));
        assert_eq!(placed.document().await["lines"][0]["delivered"], 0);
        let back = correct(&app, &parcel, "not_shipped").await.expect(200);
        assert_eq!((text(&back["state"]), back["corrections"].as_array().unwrap().len()), ("corrected", 2));
        assert_eq!(text(&back["corrections"][1]["reason"]), "it is on the dock");
        for kind in ["not_shipped", "not_delivered"] {
            correct(&app, &parcel, kind).await.problem(409, "state_conflict");
        }
        app.ops("POST", &path, Some(&json!({}))).await.problem(409, "state_conflict");
        let found = placed.open().await;
        assert_eq!((text(&found["state"]), counts(&found)), ("picking", vec![(1, 3, 2, 0, 0, 0)]));
        let order = placed.document().await;
        assert_eq!((&order["lines"][0]["shipped"], &order["lines"][0]["allocated"]), (&json!(0), &json!(3)));
        assert_eq!((text(&order["fulfilment_state"]), captured(&order)), ("unfulfilled", "24.90"));
        assert_eq!(level(&app, "TEE", "berlin").await, (3, 10));
        // Its number goes on leading to the order.
        assert_eq!(app.ops("GET", "/orders/0034%200434", None).await.expect(200)["id"], order["id"]);
        // The same pieces leave: they are paid. Then the third.
        let again = placed.post(&one, "ship", json!({"lines": pieces(2)})).await.expect(201);
        assert_ne!(again["id"], parcel["id"]);
        placed.post(&one, "ship", json!({})).await.expect(201);
        eventually("all of it is paid", || async { captured(&placed.document().await) == "34.90" }).await;
        for parcel in
            app.ops("GET", &format!("/orders/{}/fulfilment", placed.order), None).await.expect(200)["shipments"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|parcel| parcel["state"] == "shipped")
        {
            let path = format!("/shipments/{}/deliver", text(&parcel["id"]));
            app.ops("POST", &path, Some(&json!({}))).await.expect(200);
        }
        let order = placed.document().await;
        assert_eq!((text(&order["state"]), text(&order["fulfilment_state"])), ("completed", "delivered"));
        // And even that can be wrong.
        let late = correct(&app, &again, "not_delivered").await.expect(200);
        assert_eq!(text(&late["state"]), "shipped");
        assert_eq!(text(&placed.document().await["state"]), "placed");
        app.ops("POST", &format!("/shipments/{}/deliver", text(&again["id"])), Some(&json!({}))).await.expect(200);
        eventually("the log tells of it", || async {
            placed.events().await.iter().filter(|kind| *kind == "shipment.corrected.v1").count() == 3
        })
        .await;
    });
}

#[test]
fn what_was_captured_for_it_is_given_back_when_it_is_cancelled() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 1)]).await;
        let parcel = placed.post(&placed.open().await, "ship", json!({})).await.expect(201);
        eventually("it is paid", || async { captured(&placed.document().await) == "14.90" }).await;
        correct(&app, &parcel, "not_shipped").await.expect(200);
        let path = format!("/orders/{}/cancel", placed.order);
        app.ops("POST", &path, Some(&json!({"reason": "never found"}))).await.expect(200);
        eventually("it is given back", || async {
            placed.document().await["payments"][0]["refunded"]["amount"] == "14.90"
        })
        .await;
        assert_eq!(level(&app, "TEE", "berlin").await, (0, 10));
    });
}

#[test]
fn it_is_taken_back_once_and_not_what_has_come_back() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 2)]).await;
        let parcel = placed.post(&placed.open().await, "ship", json!({})).await.expect(201);
        let answers = join_all((0..4).map(|_| correct(&app, &parcel, "not_shipped"))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
        assert_eq!(level(&app, "TEE", "berlin").await, (2, 10));
        let parcel = placed.post(&placed.open().await, "ship", json!({})).await.expect(201);
        let back = json!({"order": placed.order, "lines": pieces(1), "restock": true, "reason": "too small"});
        app.ops("POST", "/returns", Some(&back)).await.expect(201);
        correct(&app, &parcel, "not_shipped").await.problem(409, "quantity_exceeded");
        assert_eq!(level(&app, "TEE", "berlin").await, (0, 9));
    });
}
