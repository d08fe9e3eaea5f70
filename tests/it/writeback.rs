//! What other systems report about orders: each document once, in parts, in any order, however often it is sent.

use futures::future::join_all;
use kontor::{events, http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, eventually, on_both};

async fn erp(app: &App, order: &str, what: &str, body: &Value) -> Answer {
    let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::WritebackWrite]));
    app.send("POST", &format!("/v1/integration/orders/{order}/{what}"), &[("Authorization", &token)], Some(body)).await
}

async fn read(app: &App, order: &str) -> Value {
    app.ops("GET", &format!("/orders/{order}"), None).await.expect(200)
}

async fn by_invoice(shop: &Shop, quantity: i64) -> Value {
    let cart = shop.cart(&[("TEE", quantity)]).await;
    let body = json!({"payment": {"method": "manual"}});
    let path = format!("/carts/{}/complete", cart.id);
    shop.store("POST", &path, Some(&cart.token), Some(&body)).await.expect(201)["order"].clone()
}

/// Sends the same document eight times at once: it is booked once, and all answers name the same thing.
async fn at_once(app: &App, order: &str, what: &str, body: &Value) -> Vec<Answer> {
    let answers = join_all((0..8).map(|_| erp(app, order, what, body))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1, "{what}: {answers:?}");
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 201)), "{what}: {answers:?}");
    answers
}

#[test]
fn an_order_is_served_by_another_system_in_any_order() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20), ("MUG", "5.00", 20)]).await;
        let order = shop.order(&[("TEE", 3), ("MUG", 1)]).await;
        let number = order["number"].as_str().unwrap();

        // The first parcel comes before anybody has said what the order is called elsewhere.
        let parcel = json!({"system": "wms", "document": "LS-1", "lines": [{"sku": "TEE", "quantity": 2}], "carrier": "DHL",
            "tracking_number": "00340434161094042557"});
        let first = erp(&app, number, "shipments", &parcel).await.expect(201);
        let again = erp(&app, number, "shipments", &parcel).await.expect(200);
        assert_eq!(first, again);
        assert_eq!(read(&app, number).await["lines"][0]["shipped"], 2);

        let named = json!({"system": "sap", "value": "4500017"});
        erp(&app, number, "external-refs", &named).await.expect(201);
        erp(&app, number, "external-refs", &named).await.expect(200);
        // From now on by that name; what is left, all of it, and that it has arrived.
        let rest = json!({"system": "wms", "document": "LS-2"});
        let second = erp(&app, "4500017", "shipments", &rest).await.expect(201);
        assert_eq!(second["shipments"][0]["lines"].as_array().unwrap().len(), 2);
        for document in ["LS-1", "LS-2", "LS-1"] {
            let arrived = json!({"system": "wms", "document": document, "delivered_at": app.now().to_string()});
            let told = erp(&app, "4500017", "shipments", &arrived).await.expect(200);
            assert_eq!(told["shipments"][0]["state"], "delivered");
        }
        eventually("paid and done", || async { read(&app, number).await["state"] == "completed" }).await;

        let invoice = json!({"system": "sap", "number": "RE-1", "amount": order["total"]});
        let made = erp(&app, number, "invoices", &invoice).await.expect(201);
        assert_eq!(erp(&app, "RE-1", "invoices", &invoice).await.expect(200), made);
        let back = json!({"system": "wms", "document": "RT-1", "lines": [{"sku": "TEE", "quantity": 1}], "restock": true, "refund": true});
        let returned = erp(&app, number, "returns", &back).await.expect(201);
        let known = erp(&app, number, "returns", &back).await.expect(200);
        assert_eq!((&returned["id"], &returned["amount"]["amount"]), (&known["id"], &json!("10.00")));
        let now = read(&app, "4500017").await;
        assert_eq!((&now["lines"][0]["returned"], &now["lines"][0]["delivered"]), (&json!(1), &json!(3)));
        // Only numbered events are read; numbering runs beside the requests.
        app.state.db.write(events::number).await.unwrap();
        let timeline = app.ops("GET", &format!("/orders/{number}/timeline?limit=200"), None).await.expect(200);
        let count =
            |kind: &str| timeline["items"].as_array().unwrap().iter().filter(|event| event["type"] == kind).count();
        assert_eq!((count("shipment.shipped.v1"), count("invoice.recorded.v1")), (2, 1));
        assert_eq!(
            (count("order.referenced.v1"), count("return.received.v1"), count("shipment.delivered.v1")),
            (1, 1, 2)
        );
    });
}

#[test]
fn the_same_document_at_once_is_booked_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20)]).await;
        let order = by_invoice(&shop, 4).await;
        let id = order["id"].as_str().unwrap();
        at_once(&app, id, "external-refs", &json!({"system": "sap", "kind": "order", "value": "A-1"})).await;
        at_once(
            &app,
            id,
            "cancellations",
            &json!({"system": "sap", "document": "ST-1", "lines": [{"line_no": 1, "quantity": 1}]}),
        )
        .await;
        let shipped = json!({"system": "wms", "document": "LS-1", "lines": [{"line_no": 1, "quantity": 2}]});
        let answers = at_once(&app, id, "shipments", &shipped).await;
        let made: std::collections::HashSet<String> =
            answers.iter().map(|answer| answer.body["shipments"][0]["id"].to_string()).collect();
        assert_eq!(made.len(), 1);
        let paid = json!({"system": "sap", "document": "ZE-1", "amount": {"amount": "12.00", "currency": "EUR"}});
        at_once(&app, id, "payments", &paid).await;
        at_once(
            &app,
            id,
            "invoices",
            &json!({"system": "sap", "number": "RE-1", "amount": {"amount": "34.90", "currency": "EUR"}}),
        )
        .await;
        at_once(
            &app,
            id,
            "returns",
            &json!({"system": "wms", "document": "RT-1", "lines": [{"line_no": 1, "quantity": 1}]}),
        )
        .await;
        let now = read(&app, id).await;
        let line = &now["lines"][0];
        let counts = ["shipped", "cancelled", "returned"].map(|name| line[name].as_i64().unwrap());
        assert_eq!((counts, &now["payments"][0]["captured"]["amount"]), ([2, 1, 1], &json!("12.00")), "{now}");
        assert_eq!(
            (shop.count("invoices").await, shop.count("returns").await, shop.count("shipments").await),
            (1, 1, 1)
        );
    });
}

#[test]
fn a_document_belongs_to_one_order() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20)]).await;
        let (one, other) = (shop.order(&[("TEE", 1)]).await, shop.order(&[("TEE", 1)]).await);
        let ids = [one["id"].as_str().unwrap(), other["id"].as_str().unwrap()];
        for (what, body) in [
            ("external-refs", json!({"system": "sap", "value": "A-1"})),
            ("invoices", json!({"system": "sap", "number": "RE-1", "amount": {"amount": "14.90", "currency": "EUR"}})),
            ("shipments", json!({"system": "wms", "document": "LS-1"})),
        ] {
            let answers = join_all((0..6).map(|n| erp(&app, ids[n % 2], what, &body))).await;
            let owner = answers.iter().position(|answer| answer.status == 201).unwrap() % 2;
            for (n, answer) in answers.into_iter().enumerate() {
                match n % 2 == owner {
                    true => assert!(matches!(answer.status, 200 | 201), "{}", answer.text),
                    false => drop(answer.problem(409, "duplicate")),
                }
            }
        }
        assert_eq!(shop.count("shipments").await, 1);
    });
}

#[test]
fn what_does_not_fit_changes_nothing() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20)]).await;
        let order = shop.order(&[("TEE", 1)]).await;
        let id = order["id"].as_str().unwrap();
        let before = read(&app, id).await["version"].clone();
        let pounds = json!({"system": "sap", "number": "RE-1", "amount": {"amount": "1.00", "currency": "GBP"}});
        erp(&app, id, "invoices", &pounds).await.problem(422, "invalid_value");
        let reserved = json!({"system": "sap", "kind": "shipment", "value": "LS-1"});
        erp(&app, id, "external-refs", &reserved).await.problem(422, "invalid_value");
        let many = json!({"system": "wms", "document": "LS-1", "lines": [{"sku": "TEE", "quantity": 2}]});
        let told = erp(&app, id, "shipments", &many).await.problem(409, "quantity_exceeded");
        assert_eq!(told["pointer"], "/lines/0/quantity");
        let twice = json!({"system": "wms", "document": "ST-1", "reason": "x",
            "lines": [{"sku": "TEE", "quantity": 1}, {"line_no": 1, "quantity": 1}]});
        let told = erp(&app, id, "cancellations", &twice).await.problem(409, "quantity_exceeded");
        assert_eq!(told["pointer"], "/lines/1/quantity");
        let unknown = json!({"system": "wms", "document": "LS-1", "lines": [{"sku": "MUG", "quantity": 2}]});
        let told = erp(&app, id, "shipments", &unknown).await.problem(422, "line_unknown");
        assert_eq!(told["pointer"], "/lines/0/sku");
        let nameless = json!({"system": "wms", "document": "LS-1", "lines": [{"quantity": 2}]});
        erp(&app, id, "shipments", &nameless).await.problem(422, "missing_field");
        let future = json!({"system": "wms", "document": "LS-1", "occurred_at": "2099-01-01T00:00:00Z"});
        erp(&app, id, "shipments", &future).await.problem(422, "history_in_future");
        let never = json!({"system": "wms", "document": "RT-1", "lines": [{"line_no": 1, "quantity": 2}]});
        let told = erp(&app, id, "returns", &never).await.problem(409, "quantity_exceeded");
        assert_eq!(told["pointer"], "/lines/0/quantity");
        erp(&app, "nobody", "external-refs", &json!({"system": "sap", "value": "A-1"})).await.problem(404, "not_found");
        assert_eq!(read(&app, id).await["version"], before);
        // What was refused was not booked: the same document goes through when it is right.
        let right = json!({"system": "wms", "document": "LS-1", "lines": [{"sku": "TEE", "quantity": 1}]});
        erp(&app, id, "shipments", &right).await.expect(201);
        let none = format!("Bearer {}", app.token(Audience::Client, "crm", &[Scope::FeedsRead]));
        let path = format!("/v1/integration/orders/{id}/external-refs");
        app.send("POST", &path, &[("Authorization", &none)], Some(&json!({"system": "sap", "value": "A-1"})))
            .await
            .problem(403, "scope_missing");
    });
}

#[test]
fn a_return_that_is_told_before_its_shipment_is_booked_after_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20), ("MUG", "5.00", 20)]).await;
        let order = shop.order(&[("TEE", 2), ("MUG", 1)]).await;
        let id = order["id"].as_str().unwrap();
        let returned = async || {
            read(&app, id).await["lines"]
                .as_array()
                .unwrap()
                .iter()
                .map(|line| line["returned"].as_i64().unwrap())
                .collect::<Vec<_>>()
        };
        let tees =
            json!({"system": "wms", "document": "RT-1", "lines": [{"sku": "TEE", "quantity": 2}], "refund": true});
        let mug =
            json!({"system": "wms", "document": "RT-2", "lines": [{"line_no": 2, "quantity": 1}], "restock": true});
        // However often it is told, at once too, it is held once.
        for answer in join_all((0..6).map(|_| erp(&app, id, "returns", &tees))).await {
            assert_eq!(answer.expect(202)["status"], "held");
        }
        erp(&app, id, "returns", &mug).await.expect(202);
        let other = shop.order(&[("TEE", 2)]).await;
        erp(&app, other["id"].as_str().unwrap(), "returns", &tees).await.problem(409, "duplicate");
        // The mug leaves: only its return is booked. A tee alone is not enough for the other.
        let part = |document: &str, line_no: i64| json!({"system": "wms", "document": document, "lines": [{"line_no": line_no, "quantity": 1}]});
        erp(&app, id, "shipments", &part("LS-1", 2)).await.expect(201);
        erp(&app, id, "shipments", &part("LS-2", 1)).await.expect(201);
        eventually("the mug is back", || async { returned().await == [0, 1] }).await;
        assert_eq!(erp(&app, id, "returns", &mug).await.expect(200)["state"], "received");
        erp(&app, id, "returns", &tees).await.expect(202);
        // The warehouse ships the rest by hand.
        let found = app.ops("GET", &format!("/orders/{id}/fulfilment"), None).await.expect(200);
        let path = format!("/fulfilment-orders/{}/ship", found["fulfilment_orders"][0]["id"].as_str().unwrap());
        app.ops("POST", &path, Some(&json!({}))).await.expect(201);
        eventually("the tees are back", || async { returned().await == [2, 1] }).await;
        let known = erp(&app, id, "returns", &tees).await.expect(200);
        assert_eq!((&known["amount"]["amount"], &known["reference"]), (&json!("20.00"), &json!("RT-1")));
        assert_eq!(shop.count("returns").await, 2);
        eventually("paid, and given back", || async { read(&app, id).await["payment_state"] == "partially_refunded" })
            .await;
    });
}

#[test]
fn a_return_above_the_reporters_ceiling_is_refused_before_its_shipment_as_after_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "12.50", 20)]).await;
        let order = shop.order(&[("TEE", 2)]).await;
        let id = order["id"].as_str().unwrap();
        let mut claims = app.claims(Audience::Client, "wms", "writeback:write");
        claims.money_ceiling = Some(1250);
        let wms = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let path = format!("/v1/integration/orders/{id}/returns");
        let report = async |document: &str, quantity: i64, refund: bool| {
            let line = json!({"sku": "TEE", "quantity": quantity});
            let body = json!({"system": "wms", "document": document, "lines": [line], "refund": refund});
            app.send("POST", &path, &[("Authorization", &wms)], Some(&body)).await
        };
        assert_eq!(report("RT-1", 2, true).await.problem(403, "ceiling_exceeded")["pointer"], "/refund");
        // One piece is within it; and who gives nothing back needs no ceiling.
        report("RT-2", 1, true).await.expect(202);
        report("RT-3", 1, false).await.expect(202);
        erp(&app, id, "shipments", &json!({"system": "wms", "document": "LS-1"})).await.expect(201);
        eventually("both are booked", || async { read(&app, id).await["lines"][0]["returned"] == 2 }).await;
    });
}

#[test]
fn a_return_to_a_place_that_is_not_the_reporters_is_refused_before_its_shipment_as_after_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "12.50", 20)]).await;
        let order = shop.order(&[("TEE", 2)]).await;
        let id = order["id"].as_str().unwrap();
        let theirs = json!({"code": "vienna", "name": "Vienna", "country": "AT", "time_zone": "Europe/Vienna"});
        let theirs = app.ops("POST", "/locations", Some(&theirs)).await.expect(201)["id"].clone();
        let mut claims = app.claims(Audience::Client, "wms", "writeback:write");
        claims.locations = Some(vec![theirs.as_str().unwrap().parse().unwrap()]);
        let wms = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let report = async |document: &str, more: Value| {
            let mut body = json!({"system": "wms", "document": document, "lines": [{"sku": "TEE", "quantity": 1}]});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let path = format!("/v1/integration/orders/{id}/returns");
            app.send("POST", &path, &[("Authorization", &wms)], Some(&body)).await
        };
        let refused = report("RT-1", json!({"restock": true})).await.problem(404, "not_found");
        assert_eq!(refused["pointer"], "/location");
        report("RT-1", json!({"restock": true, "location": theirs})).await.expect(202);
        report("RT-2", json!({"restock": false})).await.expect(202);
        erp(&app, id, "shipments", &json!({"system": "wms", "document": "LS-1"})).await.expect(201);
        eventually("both are booked", || async { read(&app, id).await["lines"][0]["returned"] == 2 }).await;
    });
}

#[test]
fn a_held_return_that_can_not_be_booked_any_more_waits_for_somebody() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20)]).await;
        let order = shop.order(&[("TEE", 2)]).await;
        let id = order["id"].as_str().unwrap();
        let back = json!({"system": "wms", "document": "RT-1", "lines": [{"sku": "TEE", "quantity": 2}]});
        erp(&app, id, "returns", &back).await.expect(202);
        let one = json!({"system": "sap", "document": "ST-1", "lines": [{"line_no": 1, "quantity": 1}]});
        erp(&app, id, "cancellations", &one).await.expect(201);
        erp(&app, id, "shipments", &json!({"system": "wms", "document": "LS-1"})).await.expect(201);
        let dead = async || app.ops("GET", "/jobs/dead", None).await.expect(200)["items"].clone();
        eventually("it is seen", || async { dead().await[0]["kind"] == "writeback.return" }).await;
        let job = dead().await[0]["id"].as_str().unwrap().to_owned();
        app.ops("POST", &format!("/jobs/{job}/discard"), None).await.expect(204);
        // Its document stands for nothing any more and may be told again, as it was.
        let right = json!({"system": "wms", "document": "RT-1", "lines": [{"sku": "TEE", "quantity": 1}]});
        erp(&app, id, "returns", &right).await.expect(201);
        assert_eq!(read(&app, id).await["lines"][0]["returned"], 1);
    });
}

#[test]
fn a_held_return_is_told_again_as_it_was_and_is_booked_once_whatever_becomes_of_its_job() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20)]).await;
        let order = by_invoice(&shop, 4).await;
        let id = order["id"].as_str().unwrap();
        let back = |quantity: i64, refund: bool| json!({"system": "wms", "document": "RT-1", "lines": [{"sku": "TEE", "quantity": quantity}], "refund": refund});
        erp(&app, id, "returns", &back(1, false)).await.expect(202);
        // It says the same or is refused: what it said first is what will be booked.
        erp(&app, id, "returns", &back(1, false)).await.expect(202);
        let less = json!({"system": "wms", "document": "RT-1", "lines": [{"sku": "TEE", "quantity": 1}]});
        erp(&app, id, "returns", &less).await.expect(202);
        for (other, pointer) in [(back(2, false), "/lines"), (back(1, true), "/refund")] {
            assert_eq!(erp(&app, id, "returns", &other).await.problem(409, "duplicate")["pointer"], pointer);
        }
        // Nobody looks at it any more when its shipment is told; told again it is booked, and its job is given up after that.
        app.clock.advance_seconds(31 * 86_400);
        let dead = async || app.ops("GET", "/jobs/dead", None).await.expect(200)["items"].clone();
        eventually("it is seen", || async { dead().await[0]["kind"] == "writeback.return" }).await;
        let job = dead().await[0]["id"].as_str().unwrap().to_owned();
        erp(&app, id, "shipments", &json!({"system": "wms", "document": "LS-1"})).await.expect(201);
        erp(&app, id, "returns", &back(1, false)).await.expect(201);
        app.ops("POST", &format!("/jobs/{job}/discard"), None).await.expect(204);
        erp(&app, id, "returns", &back(1, false)).await.expect(200);
        assert_eq!(read(&app, id).await["lines"][0]["returned"], 1);
    });
}

#[test]
fn a_return_that_was_held_for_too_long_is_booked_when_its_shipment_was_reported_after_all() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20)]).await;
        let order = by_invoice(&shop, 1).await;
        let id = order["id"].as_str().unwrap();
        let back = json!({"system": "wms", "document": "RT-1", "lines": [{"sku": "TEE", "quantity": 1}]});
        erp(&app, id, "returns", &back).await.expect(202);
        app.clock.advance_seconds(31 * 86_400);
        let dead = async || app.ops("GET", "/jobs/dead", None).await.expect(200)["items"].clone();
        eventually("it is seen", || async { dead().await[0]["attempt"] == 1 }).await;
        let shown = dead().await[0].clone();
        assert!(shown["last_error"].as_str().unwrap().contains("report its shipment and replay"), "{shown}");
        let replay = format!("/jobs/{}/replay", shown["id"].as_str().unwrap());
        app.ops("POST", &replay, None).await.expect(204);
        eventually("its shipment is missing still", || async { dead().await[0]["attempt"] == 2 }).await;
        // Told again it is looked at again.
        erp(&app, id, "returns", &back).await.expect(202);
        eventually("its shipment is missing yet", || async { dead().await[0]["attempt"] == 3 }).await;
        erp(&app, id, "shipments", &json!({"system": "wms", "document": "LS-1"})).await.expect(201);
        app.ops("POST", &replay, None).await.expect(204);
        eventually("it is booked", || async { read(&app, id).await["lines"][0]["returned"] == 1 }).await;
        assert_eq!(erp(&app, id, "returns", &back).await.expect(200)["reference"], "RT-1");
    });
}

#[test]
fn a_document_that_comes_again_says_the_same_or_is_refused() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20)]).await;
        let order = by_invoice(&shop, 4).await;
        let number = order["number"].as_str().unwrap();
        let euros = |amount: &str| json!({"amount": amount, "currency": "EUR"});
        let paid = |amount: &str| json!({"system": "wms", "document": "P-1", "amount": euros(amount)});
        erp(&app, number, "payments", &paid("10.00")).await.expect(201);
        erp(&app, number, "payments", &paid("10.00")).await.expect(200);
        let told = erp(&app, number, "payments", &paid("3.00")).await.problem(409, "duplicate");
        assert_eq!(told["pointer"], "/amount");
        // Who says less asks for what was booked.
        erp(&app, number, "payments", &json!({"system": "wms", "document": "P-1"})).await.expect(200);
        let pieces = |document: &str, quantity: i64| json!({"system": "wms", "document": document, "lines": [{"sku": "TEE", "quantity": quantity}]});
        for (what, document) in [("shipments", "S-1"), ("cancellations", "C-1"), ("returns", "R-1")] {
            erp(&app, number, what, &pieces(document, 1)).await.expect(201);
            erp(&app, number, what, &pieces(document, 1)).await.expect(200);
            let told = erp(&app, number, what, &pieces(document, 2)).await.problem(409, "duplicate");
            assert_eq!(told["pointer"], "/lines", "{what}");
        }
        let now = read(&app, number).await;
        let line = &now["lines"][0];
        assert_eq!((&line["shipped"], &line["cancelled"], &line["returned"]), (&json!(1), &json!(1), &json!(1)));
    });
}

#[test]
fn a_number_of_ours_that_a_system_calls_another_order_by_is_refused() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20)]).await;
        let (one, other) = (by_invoice(&shop, 1).await, by_invoice(&shop, 1).await);
        let (own, foreign) = (one["number"].as_str().unwrap(), other["number"].as_str().unwrap());
        erp(&app, own, "external-refs", &json!({"system": "sap", "value": foreign})).await.expect(201);
        let cancel = json!({"system": "sap", "document": "C-1"});
        let told = erp(&app, foreign, "cancellations", &cancel).await.problem(409, "reference_ambiguous");
        let candidate = |order: &Value| json!({"id": order["id"], "number": order["number"]});
        assert_eq!(told["candidates"], json!([candidate(&one), candidate(&other)]));
        let staff = json!({"reason": "x"});
        app.ops("POST", &format!("/orders/{foreign}/cancel"), Some(&staff)).await.problem(409, "reference_ambiguous");
        // Who looks for it by its number finds it nevertheless.
        for path in ["", "/timeline", "/fulfilment", "/payments", "/status"] {
            app.ops("GET", &format!("/orders/{foreign}{path}"), None).await.expect(200);
        }
        let found = read(&app, foreign).await;
        assert_eq!((&found["id"], &found["state"]), (&other["id"], &json!("placed")));
        let done = erp(&app, &format!("sap:{foreign}"), "cancellations", &cancel).await.expect(201);
        assert_eq!((&done["number"], &done["state"]), (&json!(own), &json!("cancelled")));
        // The way out that the answer tells of.
        let id = told["candidates"][1]["id"].as_str().unwrap();
        let cancel = json!({"system": "sap", "document": "C-2"});
        let done = erp(&app, id, "cancellations", &cancel).await.expect(201);
        assert_eq!((&done["number"], &done["state"]), (&json!(foreign), &json!("cancelled")));
    });
}

#[test]
fn nothing_happens_to_an_order_before_it_was_placed() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let order = shop.order(&[("TEE", 3)]).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let id = text(&order["id"]);
        let (at, early) = (app.now(), app.now().plus_seconds(-1));
        app.clock.advance_seconds(3600);
        let refused = async |path: &str, mut body: Value, field: &str, of_staff: bool| {
            body[field] = json!(early);
            let answer = match of_staff {
                true => app.ops("POST", path, Some(&body)).await,
                false => erp(&app, &id, path.rsplit('/').next().unwrap(), &body).await,
            };
            let problem = answer.problem(422, "history_before_order");
            assert_eq!(
                (&problem["pointer"], &problem["placed_at"]),
                (&json!(format!("/{field}")), &json!(at)),
                "{path}"
            );
            // At the moment of the order itself is late enough.
            body[field] = json!(at);
            body
        };
        let on_order = |what: &str| format!("/orders/{}/{what}", id);
        let fulfilment = app.ops("GET", &on_order("fulfilment"), None).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&fulfilment["fulfilment_orders"][0]["id"]));
        let one = json!([{"line_no": 1, "quantity": 1}]);
        let told = |document: &str| json!({"system": "wms", "document": document, "lines": one});

        let good = refused(&on_order("cancel"), json!({"reason": "x", "lines": one}), "occurred_at", true).await;
        app.ops("POST", &on_order("cancel"), Some(&good)).await.expect(200);
        let good = refused(&ship, json!({"lines": one}), "occurred_at", true).await;
        let shipped = app.ops("POST", &ship, Some(&good)).await.expect(201);
        let deliver = format!("/shipments/{}/deliver", text(&shipped["id"]));
        let good = refused(&deliver, json!({}), "occurred_at", true).await;
        let scans = format!("/shipments/{}/scans", text(&shipped["id"]));
        let scan = refused(&scans, json!({"text": "announced"}), "at", true).await;
        app.ops("POST", &scans, Some(&scan)).await.expect(200);
        app.ops("POST", &deliver, Some(&good)).await.expect(200);
        let back = json!({"order": id, "lines": one});
        refused("/returns", back, "occurred_at", true).await;

        refused(&on_order("cancellations"), told("ST-1"), "occurred_at", false).await;
        refused(&on_order("shipments"), told("LS-1"), "delivered_at", false).await;
        refused(&on_order("returns"), told("RT-1"), "occurred_at", false).await;
        let good = refused(&on_order("shipments"), told("LS-1"), "occurred_at", false).await;
        erp(&app, &id, "shipments", &good).await.expect(201);
        refused(&on_order("shipments"), told("LS-1"), "delivered_at", false).await;
        assert_eq!(shop.count("shipments").await, 2);
    });
}
