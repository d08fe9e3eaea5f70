//! Carriers: by hand, by a table, and through an API that is slow, fails, answers twice and tells in any order.

use std::sync::{Arc, Mutex};

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{App, Deed, Receiver, Shop, eventually, on_both, on_both_idle, on_both_set};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// A package of an order: the fulfilment order and it.
async fn packed(app: &App, shop: &Shop) -> (Value, Value) {
    let order = shop.order(&[("TEE", 1)]).await;
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    let work = app.ops("GET", &path, None).await.expect(200)["fulfilment_orders"][0].clone();
    let path = format!("/fulfilment-orders/{}/packages", text(&work["id"]));
    let body = json!({"weight_grams": 800, "dimensions": {"length_mm": 300, "width_mm": 200, "height_mm": 100}});
    let package = app.ops("POST", &path, Some(&body)).await.expect(201);
    (work, package)
}

async fn label(app: &App, package: &Value, body: Value) -> crate::support::Answer {
    app.ops("POST", &format!("/packages/{}/carrier-labels", text(&package["id"])), Some(&body)).await
}

#[test]
fn by_hand_and_by_a_table_labels_are_there_at_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let price = |amount: &str| json!({"amount": amount, "currency": "EUR"});
        let table = json!({
            "zones": [{"zone": "de", "countries": ["DE"]}],
            "rates": [
                {"service": "parcel", "zone": "de", "up_to_grams": 1000, "price": price("3.90")},
                {"service": "parcel", "zone": "de", "up_to_grams": 5000, "price": price("5.90")},
                {"service": "express", "zone": "de", "up_to_grams": 31500, "price": price("12.00"), "days": 1},
            ],
        });
        let account = json!({"code": "dhl", "adapter": "table_rate", "settings": {"carrier": "DHL"}});
        app.ops("POST", "/carrier-accounts", Some(&account)).await.problem(422, "missing_field");
        let account = json!({"code": "dhl", "adapter": "table_rate", "settings": {"carrier": "DHL", "rates": table}});
        let made = app.ops("POST", "/carrier-accounts", Some(&account)).await.expect(201);
        app.ops("POST", "/carrier-accounts", Some(&account)).await.problem(409, "duplicate");
        let path = format!("/carrier-accounts/{}", text(&made["id"]));
        let rates = app.ops("GET", &format!("{path}/rates?country=DE&postcode=10115&weight_grams=1200"), None).await;
        let rates = rates.expect(200);
        let told: Vec<_> =
            rates["items"].as_array().unwrap().iter().map(|rate| text(&rate["price"]["amount"])).collect();
        assert_eq!(told, ["5.90", "12.00"]);
        let (work, package) = packed(&app, &shop).await;
        label(&app, &package, json!({"account": "ups"})).await.problem(404, "not_found");
        label(&app, &package, json!({"account": "dhl", "service": "pigeon"})).await.problem(409, "state_conflict");
        let bought = label(&app, &package, json!({"account": "dhl", "tracking_number": "0034 7"})).await.expect(201);
        assert_eq!((text(&bought["state"]), text(&bought["price"]["amount"])), ("bought", "3.90"));
        label(&app, &package, json!({"account": "dhl"})).await.problem(409, "duplicate");
        let unpack = format!("/packages/{}/unpack", text(&package["id"]));
        app.ops("POST", &unpack, Some(&json!({}))).await.problem(409, "state_conflict");
        let void = format!("/carrier-labels/{}/void", text(&bought["id"]));
        assert_eq!(text(&app.ops("POST", &void, Some(&json!({}))).await.expect(200)["state"]), "voided");
        app.ops("POST", &void, Some(&json!({}))).await.problem(409, "state_conflict");
        let hand = json!({"code": "hand", "adapter": "manual", "settings": {"carrier": "UPS"}});
        let hand = app.ops("POST", "/carrier-accounts", Some(&hand)).await.expect(201);
        label(&app, &package, json!({"account": "hand", "tracking_number": "1Z9"})).await.expect(201);
        // The shipment takes carrier and number from its package's label.
        let ship = format!("/fulfilment-orders/{}/ship", text(&work["id"]));
        let shipment = app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
        assert_eq!((text(&shipment["carrier"]), text(&shipment["tracking_number"])), ("UPS", "1Z9"));
        let labels =
            app.ops("GET", &format!("/packages/{}/carrier-labels", text(&package["id"])), None).await.expect(200);
        assert_eq!(labels["items"].as_array().unwrap().len(), 2);
        let path = format!("/carrier-accounts/{}", text(&hand["id"]));
        app.ops("PATCH", &path, Some(&json!({"active": false}))).await.expect(200);
        let (_, package) = packed(&app, &shop).await;
        let refused = label(&app, &package, json!({"account": "hand"})).await.problem(409, "state_conflict");
        assert_eq!(refused["pointer"], "/account");
    });
}

/// A carrier's API that keeps what it was asked to make: it answers the first purchase with an error after having made it.
fn api(state: &Arc<Mutex<Vec<Value>>>) -> Receiver {
    let made = state.clone();
    Receiver::start(move |request, _| {
        let mut made = made.lock().unwrap();
        let path = request.head.split(' ').nth(1).unwrap().trim_start_matches("/hook").to_owned();
        let find =
            |made: &[Value], name: &str| made.iter().position(|one| one["id"] == name || one["reference"] == name);
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (request.head.split(' ').next().unwrap(), parts.as_slice()) {
            ("GET", ["shipments", name]) => match find(&made, name) {
                Some(place) => Deed::Say(200, made[place].to_string()),
                None => {
                    Deed::Say(404, json!({"error": {"code": "NOT_FOUND", "message": "no such shipment"}}).to_string())
                }
            },
            ("POST", ["shipments"]) => {
                let asked = request.json();
                let recorded = include_str!("../../src/fulfilment/carriers/easypost/shipment_bought.json");
                let mut shipment: Value = serde_json::from_str(recorded).unwrap();
                shipment["id"] = json!(format!("shp_{}", made.len()));
                shipment["reference"] = asked["shipment"]["reference"].clone();
                shipment["asked"] = asked["shipment"].clone();
                for field in ["postage_label", "selected_rate", "tracking_code"] {
                    shipment[field] = Value::Null;
                }
                made.push(shipment.clone());
                Deed::Say(201, shipment.to_string())
            }
            ("POST", ["shipments", name, "buy"]) => {
                let place = find(&made, name).unwrap();
                if !made[place]["postage_label"].is_null() {
                    return Deed::Say(
                        422,
                        json!({"error": {"code": "SHIPMENT.POSTAGE.EXISTS", "message": "bought"}}).to_string(),
                    );
                }
                let rate = request.json()["rate"]["id"].clone();
                let rates = made[place]["rates"].as_array().unwrap().clone();
                made[place]["selected_rate"] = rates.into_iter().find(|one| one["id"] == rate).unwrap();
                made[place]["postage_label"] = json!({"label_url": "https://labels.example/1.png"});
                made[place]["tracking_code"] = json!(format!("94{place}"));
                let bought = made[place]["purchases"].as_i64().unwrap_or(0) + 1;
                made[place]["purchases"] = json!(bought);
                // It is done, and the answer is lost.
                Deed::HangUp
            }
            ("POST", ["shipments", name, "refund"]) => {
                let place = find(&made, name).unwrap();
                made[place]["refund_status"] = json!("submitted");
                Deed::Say(200, made[place].to_string())
            }
            ("GET", ["trackers?tracking_code=940"]) => {
                let recorded = include_str!("../../src/fulfilment/carriers/easypost/tracker_updated.json");
                let event: Value = serde_json::from_str(recorded).unwrap();
                let mut tracker = event["result"].clone();
                tracker["tracking_code"] = json!("940");
                for detail in tracker["tracking_details"].as_array_mut().unwrap() {
                    detail["datetime"] = made[0]["told_at"].clone();
                }
                let count = made[0]["tracked"].as_i64().unwrap_or(0) + 1;
                made[0]["tracked"] = json!(count);
                Deed::Say(200, json!({"trackers": [tracker]}).to_string())
            }
            other => panic!("not asked for: {other:?}"),
        }
    })
}

#[test]
fn a_parcel_of_which_nothing_is_heard_is_asked_for() {
    let settings = |settings: &mut kontor::config::Settings| settings.webhooks.allow_private = true;
    on_both_set(settings, |app| async move {
        let state: Arc<Mutex<Vec<Value>>> = Arc::default();
        let api = api(&state);
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let account = json!({"code": "ep", "adapter": "easypost", "settings": {"base_url": api.url},
            "secrets": {"api_key": "EZTK"}});
        let account = app.ops("POST", "/carrier-accounts", Some(&account)).await.expect(201);
        let (work, package) = packed(&app, &shop).await;
        let asked = label(&app, &package, json!({"account": "ep"})).await.expect(201);
        let path = format!("/carrier-labels/{}", text(&asked["id"]));
        eventually("it is bought", || async {
            app.clock.advance_seconds(30);
            app.ops("GET", &path, None).await.expect(200)["state"] == "bought"
        })
        .await;
        let ship = format!("/fulfilment-orders/{}/ship", text(&work["id"]));
        let shipment = app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
        state.lock().unwrap()[0]["told_at"] = json!(app.now().plus_seconds(60));
        let read = format!("/shipments/{}", text(&shipment["id"]));
        app.clock.advance_seconds(4 * 86_400);
        eventually("its carrier is asked", || async {
            app.clock.advance_seconds(30);
            app.ops("GET", &read, None).await.expect(200)["tracking"] != "announced"
        })
        .await;
        assert_eq!(state.lock().unwrap()[0]["tracked"], 1);
        // What it takes is asked for outside any transaction; nothing is bought.
        let rates =
            format!("/carrier-accounts/{}/rates?country=US&postcode=94107&weight_grams=800", text(&account["id"]));
        let rates = app.ops("GET", &rates, None).await.expect(200);
        assert_eq!(rates["items"].as_array().unwrap().len(), 2);
        let made = state.lock().unwrap().len();
        assert_eq!(made, 2);
    });
}

fn signed(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"hush").unwrap();
    mac.update(body.as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("hmac-sha256-hex={hex}")
}

#[test]
fn a_label_is_bought_once_however_often_the_carrier_is_asked_and_its_word_is_heard() {
    let change = |settings: &mut kontor::config::Settings| settings.webhooks.allow_private = true;
    on_both_set(change, |app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let made = Arc::default();
        let receiver = api(&made);
        let account = json!({
            "code": "ep", "adapter": "easypost", "settings": {"base_url": receiver.url},
            "secrets": {"api_key": "EZTK-1", "webhook_secret": "hush"},
        });
        let account = app.ops("POST", "/carrier-accounts", Some(&account)).await.expect(201);
        assert!(!account.to_string().contains("EZTK") && account["has_secrets"] == true);
        let (work, package) = packed(&app, &shop).await;
        let asked = label(&app, &package, json!({"account": "ep"})).await.expect(201);
        assert_eq!(text(&asked["state"]), "requested");
        let path = format!("/carrier-labels/{}", text(&asked["id"]));
        eventually("the label is bought", || async {
            app.clock.advance_seconds(30);
            app.ops("GET", &path, None).await.expect(200)["state"] == "bought"
        })
        .await;
        let bought = app.ops("GET", &path, None).await.expect(200);
        assert_eq!((text(&bought["carrier"]), text(&bought["price"]["amount"])), ("USPS", "5.93"));
        {
            let made = made.lock().unwrap();
            let one: &Value = &made[0];
            assert_eq!((made.len(), &one["purchases"], &one["reference"]), (1, &json!(1), &asked["id"]));
            assert_eq!(one["asked"]["parcel"], json!({"weight": 28.3, "length": 11.9, "width": 7.9, "height": 4.0}));
        }
        // What the carrier tells before the parcel was booked waits for it.
        let number = text(&bought["tracking_number"]).to_owned();
        let hook = format!("/v1/webhooks/carriers/{}", text(&account["id"]));
        let placed = app.now();
        let told = |id: &str, details: Value| json!({"id": id, "description": "tracker.updated", "result": {"tracking_code": number, "tracking_details": details}});
        let detail = |seconds: i64, status: &str| json!({"datetime": placed.plus_seconds(seconds), "status": status, "message": status});
        let send = |body: Value| {
            let (app, hook) = (app.clone(), hook.clone());
            async move {
                let signature = signed(&body.to_string());
                app.send("POST", &hook, &[("X-Hmac-Signature", &signature)], Some(&body)).await
            }
        };
        let early = told("evt_1", json!([detail(1, "in_transit")]));
        app.send("POST", &hook, &[("X-Hmac-Signature", "hmac-sha256-hex=00")], Some(&early))
            .await
            .problem(401, "webhook_signature_invalid");
        send(early.clone()).await.expect(202);
        let ship = format!("/fulfilment-orders/{}/ship", text(&work["id"]));
        let shipment = app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
        assert_eq!((text(&shipment["carrier"]), text(&shipment["tracking_number"])), ("USPS", number.as_str()));
        app.clock.advance_seconds(600);
        for body in [
            told("evt_3", json!([detail(1, "in_transit"), detail(2, "out_for_delivery"), detail(3, "delivered")])),
            told("evt_2", json!([detail(1, "in_transit"), detail(2, "out_for_delivery")])),
            told("evt_2", json!([detail(1, "in_transit"), detail(2, "out_for_delivery")])),
            early,
        ] {
            send(body).await.expect(202);
        }
        let path = format!("/shipments/{}", text(&shipment["id"]));
        eventually("it has arrived and everything was heard", || async {
            app.clock.advance_seconds(30);
            let jobs = app.count("SELECT count(*) FROM jobs").await;
            jobs == 0 && app.ops("GET", &path, None).await.expect(200)["tracking"] == "delivered"
        })
        .await;
        let found = app.ops("GET", &path, None).await.expect(200);
        assert_eq!((text(&found["state"]), found["scans"].as_array().unwrap().len()), ("delivered", 3));
        // Another, that nobody wants after all.
        let (_, package) = packed(&app, &shop).await;
        label(&app, &package, json!({"account": "ep", "service": "teleport"})).await.expect(201);
        let labels = format!("/packages/{}/carrier-labels", text(&package["id"]));
        eventually("it is refused", || async {
            app.clock.advance_seconds(30);
            app.ops("GET", &labels, None).await.expect(200)["items"][0]["state"] == "failed"
        })
        .await;
        let second = label(&app, &package, json!({"account": "ep", "service": "express"})).await.expect(201);
        let path = format!("/carrier-labels/{}", text(&second["id"]));
        eventually("it is bought", || async {
            app.clock.advance_seconds(30);
            app.ops("GET", &path, None).await.expect(200)["state"] == "bought"
        })
        .await;
        assert_eq!(
            text(&app.ops("POST", &format!("{path}/void"), Some(&json!({}))).await.expect(200)["state"]),
            "voiding"
        );
        eventually("it is taken back", || async {
            app.clock.advance_seconds(30);
            app.ops("GET", &path, None).await.expect(200)["state"] == "voided"
        })
        .await;
    });
}

#[test]
fn what_a_carrier_is_asked_about_does_not_leave_before_it_has_answered() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let account = json!({"code": "ep", "adapter": "easypost", "settings": {}, "secrets": {"api_key": "EZTK-1"}});
        app.ops("POST", "/carrier-accounts", Some(&account)).await.expect(201);
        let (work, package) = packed(&app, &shop).await;
        assert_eq!(text(&label(&app, &package, json!({"account": "ep"})).await.expect(201)["state"]), "requested");
        let path = format!("/fulfilment-orders/{}/ship", text(&work["id"]));
        for body in [json!({}), json!({"packages": [package["id"]]}), json!({"carrier": "DHL"})] {
            app.ops("POST", &path, Some(&body)).await.problem(409, "state_conflict");
        }
    });
}
