//! A server that is killed while a label is bought, while a carrier tells of its parcels, and while a shop's time to answer ends.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use hmac::{Hmac, Mac};
use kontor::kernel::Instant;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    crash::Scene,
    support::{Deed, Gate, Receiver, Site, eventually, on_both_sites},
};

const PRIVATE: &[(&str, &str)] = &[("KONTOR_WEBHOOKS_ALLOW_PRIVATE", "true")];

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Where the carrier stands when the server is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// It was asked to make a parcel and has not done anything.
    Asked,
    /// It has made the parcel and not answered yet.
    Made,
    /// It was asked for the label and has not sold it yet.
    AskedToSell,
    /// It has sold the label and not answered yet.
    Sold,
    /// It has answered that it has sold the label.
    Answered,
}

/// A carrier that stops once, at a moment, until the gate opens.
struct Carrier {
    made: Mutex<Vec<Value>>,
    stops: Moment,
    reached: AtomicBool,
    gate: Arc<Gate>,
}

impl Carrier {
    fn start(stops: Moment) -> (Arc<Self>, Receiver) {
        let own =
            Arc::new(Self { made: Mutex::default(), stops, reached: AtomicBool::new(false), gate: Arc::default() });
        let carrier = own.clone();
        let receiver = Receiver::start(move |request, _| {
            let path = request.head.split(' ').nth(1).unwrap().trim_start_matches("/hook").to_owned();
            let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
            match (request.head.split(' ').next().unwrap(), parts.as_slice()) {
                ("GET", ["shipments", name]) => carrier.known(name),
                ("POST", ["shipments"]) => carrier.make(&request.json()),
                ("POST", ["shipments", name, "buy"]) => carrier.sell(name, &request.json()),
                other => panic!("not asked for: {other:?}"),
            }
        });
        (own, receiver)
    }

    /// Whether it is this moment for the first time.
    fn is_now(&self, moment: Moment) -> bool {
        moment == self.stops && !self.reached.swap(true, SeqCst)
    }

    fn known(&self, name: &str) -> Deed {
        let made = self.made.lock().unwrap();
        match made.iter().find(|one| one["id"] == name || one["reference"] == name) {
            Some(one) => Deed::Say(200, one.to_string()),
            None => Deed::Say(404, json!({"error": {"code": "NOT_FOUND", "message": "no such shipment"}}).to_string()),
        }
    }

    fn make(&self, asked: &Value) -> Deed {
        if self.is_now(Moment::Asked) {
            return Deed::Wait(self.gate.clone());
        }
        let recorded = include_str!("../../src/fulfilment/carriers/easypost/shipment_bought.json");
        let mut shipment: Value = serde_json::from_str(recorded).unwrap();
        {
            let mut made = self.made.lock().unwrap();
            shipment["id"] = json!(format!("shp_{}", made.len()));
            shipment["reference"] = asked["shipment"]["reference"].clone();
            for field in ["postage_label", "selected_rate", "tracking_code"] {
                shipment[field] = Value::Null;
            }
            made.push(shipment.clone());
        }
        if self.is_now(Moment::Made) { Deed::Wait(self.gate.clone()) } else { Deed::Say(201, shipment.to_string()) }
    }

    fn sell(&self, name: &str, asked: &Value) -> Deed {
        if self.is_now(Moment::AskedToSell) {
            return Deed::Wait(self.gate.clone());
        }
        let mut made = self.made.lock().unwrap();
        let place = made.iter().position(|one| one["id"] == name || one["reference"] == name).unwrap();
        let one = &mut made[place];
        if !one["postage_label"].is_null() {
            let told = json!({"error": {"code": "SHIPMENT.POSTAGE.EXISTS", "message": "bought"}});
            return Deed::Say(422, told.to_string());
        }
        let rates = one["rates"].as_array().unwrap().clone();
        one["selected_rate"] = rates.into_iter().find(|rate| rate["id"] == asked["rate"]["id"]).unwrap();
        one["postage_label"] = json!({"label_url": "https://labels.example/1.png"});
        one["tracking_code"] = json!("940");
        one["purchases"] = json!(one["purchases"].as_i64().unwrap_or(0) + 1);
        let sold = one.to_string();
        drop(made);
        if self.is_now(Moment::Answered) {
            return Deed::Say(200, sold);
        }
        if self.is_now(Moment::Sold) { Deed::Wait(self.gate.clone()) } else { Deed::Say(200, sold) }
    }
}

impl Scene {
    async fn serve_again(&mut self) {
        let program = self.site.serve(PRIVATE);
        self.shop.app = self.site.app(&program).await;
        self.program = Some(program);
    }

    /// A shop whose carrier lives next door.
    async fn with_carrier(site: Site, url: &str) -> (Self, Value) {
        let mut scene = Self::open(site, &[("TEE", "19.90", 20)]).await;
        scene.kill();
        scene.serve_again().await;
        let account = json!({"code": "ep", "adapter": "easypost", "settings": {"base_url": url},
            "secrets": {"api_key": "EZTK", "webhook_secret": "hush"}});
        let account = scene.shop.app.ops("POST", "/carrier-accounts", Some(&account)).await.expect(201);
        (scene, account)
    }

    /// A package of an order, with what ships it, the label that was asked for, and since when the order is placed.
    async fn labelled(&self) -> (String, String, Instant) {
        let app = &self.shop.app;
        let order = self.shop.order(&[("TEE", 1)]).await;
        let placed: Instant = text(&order["placed_at"]).parse().unwrap();
        let found = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
        let work = format!("/fulfilment-orders/{}", text(&found["fulfilment_orders"][0]["id"]));
        let size = json!({"weight_grams": 800, "dimensions": {"length_mm": 300, "width_mm": 200, "height_mm": 100}});
        let package = app.ops("POST", &format!("{work}/packages"), Some(&size)).await.expect(201);
        let path = format!("/packages/{}/carrier-labels", text(&package["id"]));
        let label = app.ops("POST", &path, Some(&json!({"account": "ep"}))).await.expect(201);
        (work, format!("/carrier-labels/{}", text(&label["id"])), placed)
    }

    async fn bought(&self, label: &str) -> Value {
        let read = || async { self.shop.app.ops("GET", label, None).await.expect(200) };
        eventually("the label is bought", || async { read().await["state"] == "bought" }).await;
        read().await
    }

    async fn over(mut self) {
        self.site.until("SELECT count(*) FROM jobs WHERE state <> 'ready' OR attempt > 0", 0).await;
        self.program.take().unwrap().kill();
        self.site.doctor().await;
    }
}

#[test]
fn no_second_label_is_bought_whenever_the_server_dies() {
    for moment in [Moment::Asked, Moment::Made, Moment::AskedToSell, Moment::Sold, Moment::Answered] {
        on_both_sites(|site| async move {
            let (carrier, receiver) = Carrier::start(moment);
            let (mut scene, _) = Scene::with_carrier(site, &receiver.url).await;
            let (work, label, _) = scene.labelled().await;
            eventually("the carrier is asked", || async { carrier.reached.load(SeqCst) }).await;
            scene.kill();
            carrier.gate.open();
            scene.serve_again().await;
            let bought = scene.bought(&label).await;
            assert_eq!(bought["tracking_number"], "940", "{moment:?}");
            {
                let made = carrier.made.lock().unwrap();
                let purchases: i64 = made.iter().map(|one| one["purchases"].as_i64().unwrap_or(0)).sum();
                assert_eq!((made.len(), purchases), (1, 1), "{moment:?}");
            }
            let parcel = scene.shop.app.ops("POST", &format!("{work}/ship"), Some(&json!({}))).await.expect(201);
            assert_eq!(parcel["tracking_number"], "940");
            assert_eq!(scene.site.number("SELECT count(*) FROM carrier_labels").await, 1);
            scene.over().await;
        });
    }
}

fn signed(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"hush").unwrap();
    mac.update(body.as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("hmac-sha256-hex={hex}")
}

#[test]
fn what_a_carrier_tells_again_and_again_of_a_parcel_is_noted_once_whenever_the_server_dies() {
    on_both_sites(|site| async move {
        let (_, receiver) = Carrier::start(Moment::Answered);
        let (mut scene, account) = Scene::with_carrier(site, &receiver.url).await;
        let (work, label, placed) = scene.labelled().await;
        scene.bought(&label).await;
        let app = &scene.shop.app;
        let parcel = app.ops("POST", &format!("{work}/ship"), Some(&json!({}))).await.expect(201);
        let path = format!("/v1/webhooks/carriers/{}", text(&account["id"]));
        // It has happened by now, and after the order.
        let detail = |place: i64, status: &str| {
            let at = Instant::from_micros(placed.micros() + 1000 * place);
            json!({"datetime": at, "status": status, "message": status})
        };
        let all = [detail(1, "in_transit"), detail(2, "out_for_delivery"), detail(3, "delivered")];
        // Each message tells more than the one before, and each comes several times, in any order.
        for turn in [2, 0, 1, 2, 1, 0_usize] {
            let body = json!({"id": format!("evt_{turn}"), "description": "tracker.updated",
                "result": {"tracking_code": "940", "tracking_details": all[..=turn]}});
            let send = |app: crate::support::App, body: Value, path: String| async move {
                let signature = signed(&body.to_string());
                app.try_send("POST", &path, &[("X-Hmac-Signature", &signature)], Some(&body)).await.ok()
            };
            let first = tokio::spawn(send(scene.shop.app.clone(), body.clone(), path.clone()));
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..15))).await;
            scene.kill();
            first.await.unwrap();
            scene.serve_again().await;
            // A carrier sends again what was not acknowledged.
            let again = send(scene.shop.app.clone(), body, path.clone()).await.unwrap();
            again.expect(202);
        }
        let read = format!("/shipments/{}", text(&parcel["id"]));
        scene.site.until("SELECT count(*) FROM jobs WHERE kind = 'carriers.tracked'", 0).await;
        let found = scene.shop.app.ops("GET", &read, None).await.expect(200);
        assert_eq!((&found["state"], &found["tracking"]), (&json!("delivered"), &json!("delivered")), "{found}");
        assert_eq!(found["scans"].as_array().unwrap().len(), 3, "{found}");
        let told = "SELECT count(*) FROM events WHERE type = 'shipment.delivered.v1'";
        assert_eq!(scene.site.number(told).await, 1);
        scene.over().await;
    });
}

#[test]
fn what_a_shop_has_not_accepted_in_time_is_planned_anew_once_whenever_the_server_dies() {
    const ORDERS: usize = 6;
    on_both_sites(|site| async move {
        let mut scene = Scene::open(site, &[("TEE", "19.90", 20)]).await;
        let kiel = json!({"code": "kiel", "name": "Kiel", "country": "DE", "time_zone": "Europe/Berlin", "priority": 1,
            "accept_minutes": 600});
        let app = scene.shop.app.clone();
        let berlin = text(&app.ops("GET", "/locations", None).await.expect(200)["items"][0]["id"]);
        let kiel = text(&app.ops("POST", "/locations", Some(&kiel)).await.expect(201)["id"]);
        let line = json!({"sku": "TEE", "location": "kiel", "change": 9, "reason": "opening"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
        eventually("the shop is asked first", || async {
            let found = app.ops("GET", "/locations", None).await.expect(200);
            found["items"][0]["code"] == "kiel"
        })
        .await;
        let mut orders = Vec::new();
        for _ in 0..ORDERS {
            orders.push(text(&scene.shop.order(&[("TEE", 1)]).await["id"]));
        }
        let waits = "SELECT count(*) FROM fulfilment_orders WHERE accept_by IS NOT NULL";
        assert_eq!(scene.site.number(waits).await, ORDERS as i64);
        scene.kill();
        scene
            .site
            .tamper(
                "UPDATE fulfilment_orders SET accept_by = '2026-01-01T00:00:00.000000Z' WHERE accept_by IS NOT NULL",
            )
            .await;
        // It is looked for at once by each that is started.
        let due = "DELETE FROM schedules WHERE name = 'fulfilment.resource-unaccepted'";
        for _ in 0..5 {
            scene.site.tamper(due).await;
            scene.restart().await;
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..60))).await;
            scene.kill();
        }
        scene.site.tamper(due).await;
        scene.restart().await;
        scene.site.until(waits, 0).await;
        let app = scene.shop.app.clone();
        for order in &orders {
            let found = app.ops("GET", &format!("/orders/{order}/fulfilment"), None).await.expect(200);
            let all = found["fulfilment_orders"].as_array().unwrap();
            let seen: Vec<_> = all.iter().map(|one| (text(&one["location_id"]), text(&one["state"]))).collect();
            let expected = [(&kiel, "cancelled"), (&berlin, "open")].map(|(a, b)| (a.clone(), b.to_owned()));
            assert_eq!(seen.len(), 2, "{seen:?}");
            assert!(expected.iter().all(|one| seen.contains(one)), "{seen:?}");
        }
        for kind in ["declined", "moved"] {
            let told = format!("SELECT count(*) FROM events WHERE type = 'fulfilment_order.{kind}.v1'");
            assert_eq!(scene.site.number(&told).await, ORDERS as i64, "{kind}");
        }
        scene.over().await;
    });
}
