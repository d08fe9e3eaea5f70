//! What a killed program leaves undelivered: webhooks in hand, leases of pollers. All of it arrives, in the order of its stream.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use diesel::sql_types::Text;
use kontor::{
    db::{UidSql, sql},
    http::auth::Audience,
    kernel::{Scope, ids::EventId},
};
use serde_json::{Value, json};

use crate::{
    crash::{Scene, Told, shopper},
    support::{App, Deed, Gate, Receiver, Shop, Site, eventually, on_both_sites},
};

const ROUNDS: usize = 3;

/// The events that somebody has to see, by stream, in order.
async fn wanted(site: &Site) -> BTreeMap<String, Vec<String>> {
    let query = "SELECT stream, id FROM events WHERE type LIKE 'order.%' OR type LIKE 'payment.%' ORDER BY seq";
    let rows = site.look(move |tx| sql(query).load::<(Text, UidSql), (String, EventId)>(tx)).await;
    let mut streams: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (stream, id) in rows {
        streams.entry(stream).or_default().push(id.to_string());
    }
    streams
}

/// Each event was seen at least once, and none after a later one of its stream.
fn assert_all_in_order(seen: &[(String, String)], wanted: &BTreeMap<String, Vec<String>>) {
    for (stream, events) in wanted {
        let places: HashMap<&str, usize> = events.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
        let own = seen.iter().filter(|(of, _)| of == stream);
        let mut order: Vec<usize> = own.map(|(_, id)| places[id.as_str()]).collect();
        assert!(order.is_sorted(), "{stream} came as {order:?}");
        order.dedup();
        assert_eq!(order, (0..events.len()).collect::<Vec<_>>(), "{stream} is not whole");
    }
}

/// Shoppers who order until the server is gone.
fn shoppers(shop: &Shop) -> Vec<tokio::task::JoinHandle<()>> {
    let told = Arc::new(Mutex::new(Told::default()));
    (0..4).map(|number| tokio::spawn(shopper(shop.clone(), told.clone(), number))).collect()
}

#[test]
fn killed_while_it_delivers_every_event_arrives_in_the_order_of_its_stream() {
    on_both_sites(|site| async move {
        let mut scene = Scene::open(site, &[("TEE", "19.90", 1_000_000), ("MUG", "12.50", 1_000_000)]).await;
        // Some requests are held until the program is dead, so that it always dies with some in hand.
        let gate = Arc::new(Mutex::new(Arc::new(Gate::default())));
        let (held, closed) = (Arc::new(AtomicUsize::new(0)), gate.clone());
        let holding = held.clone();
        let receiver = Receiver::start(move |_, before| {
            let gate = closed.lock().unwrap().clone();
            if before > 0 || gate.is_open() || !rand::random_range(0..4).eq(&0) {
                return Deed::Answer(200, "");
            }
            holding.fetch_add(1, SeqCst);
            Deed::Wait(gate)
        });
        let connector = json!({"name": "ERP", "adapter": "webhook", "settings": {"url": receiver.url}, "allow_private": true,
            "types": ["order.", "payment."]});
        scene.shop.app.ops("POST", "/connectors", Some(&connector)).await.expect(201);
        for _ in 0..ROUNDS {
            held.store(0, SeqCst);
            let shoppers = shoppers(&scene.shop);
            eventually("deliveries in hand", || async { held.load(SeqCst) >= 3 }).await;
            scene.kill();
            for shopper in shoppers {
                shopper.await.unwrap();
            }
            std::mem::take(&mut *gate.lock().unwrap()).open();
            scene.restart().await;
        }
        gate.lock().unwrap().open();
        scene.settled().await;
        let all = wanted(&scene.site).await;
        let count: usize = all.values().map(Vec::len).sum();
        scene
            .site
            .until("SELECT count(*) FROM dispatches WHERE state = 'delivered'", i64::try_from(count).unwrap())
            .await;
        scene.site.until("SELECT count(*) FROM dispatches WHERE state <> 'delivered'", 0).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let received: Vec<Value> = receiver.log.lock().unwrap().iter().map(|received| received.json()).collect();
        let seen: Vec<_> = received.iter().map(|body| (text(&body["partitionkey"]), text(&body["id"]))).collect();
        assert_all_in_order(&seen, &all);
        assert!(seen.len() > count, "nothing had to be sent again");
        println!("{ROUNDS} kills: {count} events, {} deliveries", seen.len());
        scene.whole().await;
        scene.kill();
        scene.site.doctor().await;
    });
}

/// What a poller remembers.
#[derive(Default)]
struct Memory {
    /// What it was handed, in order: stream and id.
    handed: Vec<(String, String)>,
    /// What it was told to be done.
    done: HashSet<String>,
    /// What was handed out although it was done.
    repeated: Vec<String>,
}

async fn try_call(app: &App, method: &str, path: &str, body: Option<&Value>) -> Option<Value> {
    let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::FeedsRead]));
    let path = format!("/v1/integration/feeds/orders{path}");
    let answer = app.try_send(method, &path, &[("Authorization", &token)], body).await.ok()?;
    Some(answer.expect(200))
}

/// One poll: its lease, and the streams and ids of what was handed out. `None` when the server was killed meanwhile.
async fn fetch(app: &App, memory: &Mutex<Memory>) -> Option<(Value, Vec<(String, String)>)> {
    let query = "?consumer=erp&types=order.,payment.&limit=6&lease_seconds=5&wait=1";
    let page = try_call(app, "GET", query, None).await?;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = page["items"].as_array()?.iter().map(|item| (text(&item["stream"]), text(&item["id"])));
    let items: Vec<(String, String)> = items.collect();
    let mut memory = memory.lock().unwrap();
    let again = items.iter().filter(|(_, id)| memory.done.contains(id)).map(|(_, id)| id.clone());
    let again: Vec<String> = again.collect();
    memory.repeated.extend(again);
    memory.handed.extend(items.iter().cloned());
    Some((page["lease"].clone(), items))
}

/// One poll, acknowledged in two steps.
async fn fetch_and_ack(app: &App, memory: &Mutex<Memory>) -> Option<usize> {
    let (lease, items) = fetch(app, memory).await?;
    for part in items.chunks(3) {
        let ids: Vec<&str> = part.iter().map(|(_, id)| id.as_str()).collect();
        let ack = json!({"consumer": "erp", "lease": lease, "items": ids});
        let told = try_call(app, "POST", "/ack", Some(&ack)).await?;
        assert!(told["items"].as_array()?.iter().all(|item| item["outcome"] == "acked"), "{told}");
        memory.lock().unwrap().done.extend(part.iter().map(|(_, id)| id.clone()));
    }
    Some(items.len())
}

#[test]
fn a_poller_across_kills_sees_every_event_in_order_and_nothing_again_that_was_done() {
    on_both_sites(|site| async move {
        let mut scene = Scene::open(site, &[("TEE", "19.90", 1_000_000), ("MUG", "12.50", 1_000_000)]).await;
        let memory = Arc::new(Mutex::new(Memory::default()));
        for round in 1..=ROUNDS {
            let shoppers = shoppers(&scene.shop);
            let (app, remembered) = (scene.shop.app.clone(), memory.clone());
            let poller = tokio::spawn(async move { while fetch_and_ack(&app, &remembered).await.is_some() {} });
            eventually("much is done", || async { memory.lock().unwrap().done.len() >= 12 * round }).await;
            // Another poller of the same consumer has a batch in hand when everything ends.
            let taken = || async { fetch(&scene.shop.app, &memory).await.is_some_and(|(_, items)| !items.is_empty()) };
            eventually("a batch in hand", taken).await;
            scene.kill();
            for task in shoppers.into_iter().chain([poller]) {
                task.await.unwrap();
            }
            scene.restart().await;
        }
        scene.settled().await;
        let begun = Instant::now();
        loop {
            let count = fetch_and_ack(&scene.shop.app, &memory).await.unwrap();
            let consumers = try_call(&scene.shop.app, "GET", "/consumers", None).await.unwrap();
            let erp = &consumers["items"][0];
            if count == 0 && [&erp["behind"], &erp["leased"], &erp["waiting"]].iter().all(|left| **left == 0) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "no end: {erp}");
        }
        let Memory { handed, done, repeated } = std::mem::take(&mut *memory.lock().unwrap());
        let all = wanted(&scene.site).await;
        // A batch that was not acknowledged comes again as a whole; what was never seen before comes in its turn.
        let mut known = HashSet::new();
        let new: Vec<_> = handed.iter().filter(|(_, id)| known.insert(id.clone())).cloned().collect();
        assert_all_in_order(&new, &all);
        assert!(repeated.is_empty(), "done, and handed out again: {repeated:?}");
        let count: usize = all.values().map(Vec::len).sum();
        // Of each kill's last acknowledgement the answer may have been lost; it counts all the same.
        assert!(done.len() + 3 * ROUNDS >= count, "{} of {count} are done", done.len());
        assert!(handed.len() > count, "nothing had to be handed out again");
        println!("{ROUNDS} kills: {count} events, {} handed out", handed.len());
        scene.whole().await;
        scene.kill();
        scene.site.doctor().await;
    });
}
