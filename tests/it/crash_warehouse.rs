//! A warehouse whose server is killed again and again: each step of each order is done, and done once.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    crash::Scene,
    support::{App, on_both_sites},
};

/// How many people are at it, and how many orders each brings to the door.
const PEOPLE: usize = 6;
const ORDERS: usize = 4;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

/// The server as it is at the moment: another one after each kill.
#[derive(Clone)]
struct Server(Arc<Mutex<App>>);

impl Server {
    fn now(&self) -> App {
        self.0.lock().unwrap().clone()
    }

    /// Asks until there is an answer, under one key: what was done before the server was killed is not done again.
    async fn insist(&self, method: &str, path: &str, key: &str, body: Option<&Value>) -> Value {
        let begun = std::time::Instant::now();
        loop {
            let app = self.now();
            let bearer = format!("Bearer {}", app.staff());
            let mut headers = vec![("Authorization", bearer.as_str())];
            headers.extend((method != "GET").then_some(("Idempotency-Key", key)));
            if let Ok(answer) = app.try_send(method, &format!("/v1/ops{path}"), &headers, body).await {
                assert!(matches!(answer.status, 200 | 201), "{method} {path}: {}", answer.text);
                return answer.body;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "nobody answers {path}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Brings an order that is placed to the customer's door, step by step.
async fn bring(server: &Server, order: &str, done: &AtomicUsize) {
    let step = |name: &str| format!("{order}-{name}");
    let found = server.insist("GET", &format!("/orders/{order}/fulfilment"), "", None).await;
    let work = text(&found["fulfilment_orders"][0]["id"]);
    let one = json!({"lines": [{"line_no": 1, "quantity": 1}]});
    for (name, command, body) in
        [("pick-1", "pick", &one), ("pick-2", "pick", &json!({})), ("pack", "pack", &json!({}))]
    {
        server.insist("POST", &format!("/fulfilment-orders/{work}/{command}"), &step(name), Some(body)).await;
        done.fetch_add(1, SeqCst);
    }
    // In two parcels, so that the money is taken in two parts.
    for (name, body) in [("ship-1", &one), ("ship-2", &json!({}))] {
        let path = format!("/fulfilment-orders/{work}/ship");
        let parcel = text(&server.insist("POST", &path, &step(name), Some(body)).await["id"]);
        let path = format!("/shipments/{parcel}/deliver");
        server.insist("POST", &path, &step(&format!("{name}-there")), Some(&json!({}))).await;
        done.fetch_add(2, SeqCst);
    }
}

/// Steps of one order: two picks, a pack, two shipments, two arrivals.
const STEPS: usize = 7;

#[test]
fn each_step_of_an_order_is_done_once_however_often_the_server_dies() {
    on_both_sites(|site| async move {
        let mut scene = Scene::open(site, &[("TEE", "19.90", 1_000)]).await;
        let mut orders = Vec::new();
        for _ in 0..PEOPLE * ORDERS {
            orders.push(text(&scene.shop.order(&[("TEE", 3)]).await["id"]));
        }
        let (server, done) = (Server(Arc::new(Mutex::new(scene.shop.app.clone()))), Arc::new(AtomicUsize::new(0)));
        let people = orders.chunks(ORDERS).map(|own| {
            let (server, own, done) = (server.clone(), own.to_vec(), done.clone());
            tokio::spawn(async move {
                for order in &own {
                    bring(&server, order, &done).await;
                }
            })
        });
        let people: Vec<_> = people.collect();
        // Killed after each further part of the work, wherever everybody is then.
        let all = orders.len() * STEPS;
        let (parts, mut kills) = (8, 0);
        for part in 1..parts {
            let wanted = all * part / parts;
            while done.load(SeqCst) < wanted {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..8))).await;
            scene.kill();
            scene.restart().await;
            *server.0.lock().unwrap() = scene.shop.app.clone();
            kills += 1;
        }
        for one in people {
            one.await.unwrap();
        }
        scene.settled().await;
        // The money of what left last is still being taken.
        scene.site.until("SELECT count(*) FROM payment_operations WHERE state = 'pending'", 0).await;
        let count = i64::try_from(orders.len()).unwrap();
        let site = &scene.site;
        for (what, query, wanted) in [
            ("orders that arrived", "SELECT count(*) FROM orders WHERE fulfilment_state = 'delivered'", count),
            ("orders that are paid", "SELECT count(*) FROM orders WHERE payment_state = 'captured'", count),
            ("shipments", "SELECT count(*) FROM shipments WHERE state = 'delivered'", 2 * count),
            (
                "captures",
                "SELECT count(*) FROM payment_operations WHERE kind = 'capture' AND state = 'done'",
                2 * count,
            ),
            ("captures at the provider", "SELECT count(*) FROM sandbox_operations", 2 * count),
            (
                "pieces that left",
                "SELECT CAST(-sum(on_hand) AS BIGINT) FROM stock_movements WHERE kind = 'shipment'",
                3 * count,
            ),
            ("pieces that are there", "SELECT CAST(sum(on_hand) AS BIGINT) FROM stock_levels", 1_000 - 3 * count),
            ("pieces that somebody waits for", "SELECT CAST(sum(allocated) AS BIGINT) FROM stock_levels", 0),
            ("picks told", "SELECT count(*) FROM events WHERE type = 'fulfilment_order.picked.v1'", 2 * count),
            ("packs told", "SELECT count(*) FROM events WHERE type = 'fulfilment_order.packed.v1'", count),
            ("departures told", "SELECT count(*) FROM events WHERE type = 'shipment.shipped.v1'", 2 * count),
            ("arrivals told", "SELECT count(*) FROM events WHERE type = 'shipment.delivered.v1'", 2 * count),
            ("captures told", "SELECT count(*) FROM events WHERE type = 'payment.captured.v1'", 2 * count),
        ] {
            assert_eq!(site.number(query).await, wanted, "{what}");
        }
        println!("{kills} kills among {all} steps");
        scene.program.take().unwrap().kill();
        scene.site.doctor().await;
    });
}
