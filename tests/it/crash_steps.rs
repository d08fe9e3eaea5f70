//! A warehouse's story whose server is killed at every step of it: what is left is what an undisturbed warehouse leaves.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use diesel::sql_types::{BigInt, Text};
use kontor::db::sql;
use serde_json::{Value, json};

use crate::{
    crash::Scene,
    support::{Answer, Site, on_both_sites},
};

const BOX: &str = "106141412345678915";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn id(value: &Value) -> String {
    text(&value["id"])
}

/// A shop, and whether its server dies at every step.
struct Story {
    scene: Scene,
    deadly: bool,
    steps: usize,
}

impl Story {
    async fn send(&self, path: &str, key: &str, body: &Value) -> Option<Answer> {
        let app = &self.scene.shop.app;
        let bearer = format!("Bearer {}", app.staff());
        let headers = [("Authorization", bearer.as_str()), ("Idempotency-Key", key)];
        app.try_send("POST", &format!("/v1/ops{path}"), &headers, Some(body).filter(|body| !body.is_null())).await.ok()
    }

    /// Does a step. A deadly one is begun first and the server killed meanwhile: before it, in the middle, or while the jobs run that
    /// follow; its successor is asked under the same key, and again once that has answered.
    async fn step(&mut self, path: &str, body: Value) -> Value {
        self.steps += 1;
        let key = format!("step-{}", self.steps);
        if self.deadly {
            let (app, bearer) = (self.scene.shop.app.clone(), format!("Bearer {}", self.scene.shop.app.staff()));
            let (path, key, body) = (format!("/v1/ops{path}"), key.clone(), body.clone());
            let begun = tokio::spawn(async move {
                let headers = [("Authorization", bearer.as_str()), ("Idempotency-Key", key.as_str())];
                drop(app.try_send("POST", &path, &headers, Some(&body).filter(|body| !body.is_null())).await);
            });
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..15))).await;
            self.scene.kill();
            begun.await.unwrap();
            self.scene.restart().await;
        }
        let answer = self.send(path, &key, &body).await.unwrap_or_else(|| panic!("nobody answers {path}"));
        assert!(matches!(answer.status, 200 | 201), "{path}: {}", answer.text);
        if self.deadly {
            let again = self.send(path, &key, &body).await.unwrap_or_else(|| panic!("nobody answers {path}"));
            assert_eq!((again.status, &again.body), (answer.status, &answer.body), "{path}");
        }
        answer.body
    }

    async fn get(&self, path: &str) -> Value {
        self.scene.shop.app.ops("GET", path, None).await.expect(200)
    }

    async fn order(&self, lines: &[(&str, i64)]) -> Value {
        self.scene.shop.order(lines).await
    }

    /// Waits until the provider has answered all that it was asked: what is given back depends on what was taken.
    async fn money_settled(&self) {
        self.scene.site.until("SELECT count(*) FROM payment_operations WHERE state = 'pending'", 0).await;
    }

    /// What is to be shipped of an order, but what need not be any more.
    async fn works(&self, order: &Value) -> Vec<String> {
        let found = self.get(&format!("/orders/{}/fulfilment", id(order))).await;
        let all = found["fulfilment_orders"].as_array().unwrap().iter();
        let open = all.filter(|one| !["cancelled", "shipped", "delivered"].contains(&one["state"].as_str().unwrap()));
        open.map(|one| format!("/fulfilment-orders/{}", id(one))).collect()
    }

    async fn work(&self, order: &Value) -> String {
        let mut all = self.works(order).await;
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }
}

fn line(sku: &str, location: &str, change: i64) -> Value {
    json!({"lines": [{"sku": sku, "location": location, "change": change, "reason": "opening"}]})
}

/// The desk: orders are held, moved, split, merged, asked to be cancelled, shipped, taken back.
async fn desk(story: &mut Story) {
    let order = story.order(&[("MUG", 4)]).await;
    story.step(&format!("/orders/{}/hold", id(&order)), json!({"kind": "risk", "reason": "x"})).await;
    story.step(&format!("/orders/{}/release", id(&order)), json!({})).await;
    let work = story.work(&order).await;
    story.step(&format!("{work}/hold"), json!({"kind": "address", "reason": "no street"})).await;
    story.step(&format!("{work}/release"), json!({"kind": "address"})).await;
    story.step(&format!("{work}/move"), json!({"location": "bremen"})).await;
    let work = story.work(&order).await;
    story.step(&format!("{work}/split"), json!({"lines": [{"line_no": 1, "quantity": 1}]})).await;
    let [one, other] = <[String; 2]>::try_from(story.works(&order).await).unwrap();
    let other = other.rsplit('/').next().unwrap().to_owned();
    story.step(&format!("{one}/merge"), json!({ "with": [other] })).await;
    let work = story.work(&order).await;
    let piece = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "one too many"});
    story.step(&format!("{work}/request-cancel"), piece).await;
    story.step(&format!("{work}/answer-cancel"), json!({"accept": true})).await;
    story.step(&format!("{work}/pick"), json!({})).await;
    story.step(&format!("{work}/unpick"), json!({"reason": "the wrong ones"})).await;
    let one = json!({"lines": [{"line_no": 1, "quantity": 1}]});
    let parcel = id(&story.step(&format!("{work}/ship"), one).await);
    story
        .step(&format!("/shipments/{parcel}/correct"), json!({"kind": "not_shipped", "reason": "not on the lorry"}))
        .await;
    let parcel = id(&story.step(&format!("{work}/ship"), json!({})).await);
    story.step(&format!("/shipments/{parcel}/deliver"), json!({})).await;
    story.money_settled().await;
    let back = json!({"order": id(&order), "lines": [{"line_no": 1, "quantity": 1}], "restock": true, "refund": true,
        "location": "bremen"});
    story.step("/returns", back).await;
    story.money_settled().await;
    let goodwill = json!({"amount": {"amount": "1.00", "currency": "EUR"}, "reason": "scratched"});
    let path = format!("/orders/{}/refunds", id(&order));
    let asked = story.scene.shop.app.ops("POST", &path, Some(&goodwill)).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
}

/// The dock: goods that somebody waits for go across it.
async fn dock(story: &mut Story) {
    let order = story.order(&[("TEE", 2)]).await;
    let dock = text(&story.get("/locations").await["items"][0]["id"]);
    let expected = story.scene.shop.app.now().plus_seconds(3600);
    let lorry = json!({"location": "berlin", "expected_at": expected, "reference": "DN-7", "lines": [
        {"sku": "TEE", "quantity": 2, "sscc": BOX}, {"sku": "TEE", "quantity": 3}]});
    let lorry = format!("/inbound-shipments/{}", id(&story.step("/inbound-shipments", lorry).await));
    story.step(&format!("/docks/{dock}/plan"), Value::Null).await;
    story.step(&format!("{lorry}/arrive"), Value::Null).await;
    story.step(&format!("{lorry}/receive"), json!({})).await;
    for _ in 0..4 {
        let tasks = story.get(&format!("/docks/{dock}/tasks")).await["items"].as_array().unwrap().clone();
        let Some(task) = tasks.iter().find(|task| task["kind"] != "load").or_else(|| tasks.first()) else { break };
        let unopened = task["sscc"].is_string() && task["kind"] != "put_away";
        let scan = if unopened { &task["sscc"] } else { &task["sku"] };
        story.step(&format!("/dock-tasks/{}/done", id(task)), json!({ "scan": scan })).await;
    }
    let work = story.work(&order).await;
    story.step(&format!("{work}/ship"), json!({"carrier": "DHL"})).await;
    let list = story.step("/manifests", json!({"location": "berlin", "carrier": "DHL"})).await;
    story.step(&format!("/manifests/{}/close", id(&list)), Value::Null).await;
}

/// The shelves: a wave that finds too little, packages, a transfer, a count.
async fn shelves(story: &mut Story) {
    let order = story.order(&[("HAT", 2)]).await;
    let work = story.work(&order).await;
    let works = json!([work.rsplit('/').next().unwrap()]);
    let wave = story.step("/waves", json!({"location": "berlin", "fulfilment_orders": works})).await;
    let wave = format!("/waves/{}", id(&wave));
    story.step(&format!("{wave}/pick"), json!({"scanned": "HAT", "quantity": 1})).await;
    let short = json!({"scanned": "HAT", "quantity": 1, "reason": "broken", "adjust_level": true, "replan": true});
    story.step(&format!("{wave}/short"), short).await;
    // Bremen ships the other, once.
    story
        .scene
        .site
        .until(
            "SELECT count(*) FROM fulfilment_orders AS f JOIN locations AS l ON l.id = f.location_id \
        JOIN fulfilment_lines AS i ON i.fulfilment_order_id = f.id WHERE l.code = 'bremen' AND i.sku = 'HAT'",
            1,
        )
        .await;
    for work in story.works(&order).await {
        story.step(&format!("{work}/packages"), json!({"weight_grams": 800})).await;
        story.step(&format!("{work}/ship"), json!({})).await;
    }
    let transfer = json!({"from": "bremen", "to": "berlin", "lines": [{"sku": "HAT", "quantity": 2}]});
    let transfer = format!("/transfers/{}", id(&story.step("/transfers", transfer).await));
    story.step(&format!("{transfer}/ship"), json!({})).await;
    story.step(&format!("{transfer}/receive"), json!({})).await;
    let count = story.step("/stock-counts", json!({"location": "berlin", "skus": ["MUG"]})).await;
    let count = format!("/stock-counts/{}", id(&count));
    // So much less is counted a second time.
    for state in ["counting", "counted"] {
        let counted = json!({"lines": [{"sku": "MUG", "counted": 7}]});
        assert_eq!(story.step(&format!("{count}/results"), counted).await["state"], state);
    }
    story.step(&format!("{count}/approve"), Value::Null).await;
}

/// What is left: how often each thing was told, booked and moved.
async fn left(site: &Site) -> BTreeMap<String, i64> {
    let mut all = BTreeMap::new();
    for query in [
        "SELECT type, count(*) FROM events GROUP BY type",
        "SELECT 'moved by ' || kind, CAST(sum(on_hand) AS BIGINT) FROM stock_movements GROUP BY kind",
        "SELECT 'movements of ' || kind, count(*) FROM stock_movements GROUP BY kind",
        "SELECT 'there: ' || v.sku || ' ' || l.code, CAST(sum(on_hand) AS BIGINT) FROM stock_levels \
         JOIN variants AS v ON v.id = variant_id JOIN locations AS l ON l.id = location_id GROUP BY v.sku, l.code",
        "SELECT 'allocated: ' || v.sku || ' ' || l.code, CAST(sum(allocated) AS BIGINT) FROM stock_levels \
         JOIN variants AS v ON v.id = variant_id JOIN locations AS l ON l.id = location_id GROUP BY v.sku, l.code",
        "SELECT 'fulfilment orders ' || state, count(*) FROM fulfilment_orders GROUP BY state",
        "SELECT 'orders ' || state || ' ' || payment_state || ' ' || fulfilment_state, count(*) FROM orders \
         GROUP BY state, payment_state, fulfilment_state",
        "SELECT 'money ' || kind || ' ' || state, CAST(sum(amount) AS BIGINT) FROM payment_operations GROUP BY kind, state",
        "SELECT 'ledger ' || account, CAST(sum(amount) AS BIGINT) FROM ledger_entries \
         WHERE account NOT IN ('authorised', 'promised') GROUP BY account",
        "SELECT 'asked of the provider: ' || kind, CAST(sum(amount) AS BIGINT) FROM sandbox_operations GROUP BY kind",
    ] {
        let rows = site.look(move |tx| sql(query).load::<(Text, BigInt), (String, i64)>(tx)).await;
        all.extend(rows);
    }
    all
}

async fn tell(site: Site, deadly: bool) -> BTreeMap<String, i64> {
    let scene = Scene::open(site, &[("TEE", "19.90", 0), ("MUG", "9.90", 20), ("HAT", "29.90", 2)]).await;
    let mut story = Story { scene, deadly, steps: 0 };
    let app = story.scene.shop.app.clone();
    let found = app.ops("GET", "/variants?sku=TEE", None).await.expect(200);
    let tea = format!("/variants/{}", text(&found["items"][0]["id"]));
    app.ops("PATCH", &tea, Some(&json!({"backorder_policy": "allow"}))).await.expect(200);
    let berlin = text(&app.ops("GET", "/locations", None).await.expect(200)["items"][0]["id"]);
    app.ops("PATCH", &format!("/locations/{berlin}"), Some(&json!({"gs1_prefix": "4012345"}))).await.expect(200);
    let bremen = json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin", "priority": 200,
        "gs1_prefix": "4012346"});
    app.ops("POST", "/locations", Some(&bremen)).await.expect(201);
    story.step("/stock/adjustments", line("MUG", "bremen", 9)).await;
    story.step("/stock/adjustments", line("HAT", "bremen", 9)).await;
    desk(&mut story).await;
    dock(&mut story).await;
    shelves(&mut story).await;
    story.scene.settled().await;
    story.money_settled().await;
    let site = story.scene.site.clone();
    story.scene.program.take().unwrap().kill();
    site.doctor().await;
    println!("{} steps", story.steps);
    left(&site).await
}

#[test]
fn whatever_step_the_server_dies_at_all_is_done_once() {
    let told = Mutex::new(Vec::new());
    for deadly in [false, true] {
        on_both_sites(|site| async {
            let left = tell(site, deadly).await;
            told.lock().unwrap().push(left);
        });
    }
    let told = told.into_inner().unwrap();
    let (quiet, deadly) = told.split_at(told.len() / 2);
    for (quiet, deadly) in quiet.iter().zip(deadly) {
        let other: BTreeMap<_, _> = quiet
            .keys()
            .chain(deadly.keys())
            .map(|what| (what, (quiet.get(what), deadly.get(what))))
            .filter(|(_, (one, other))| one != other)
            .collect();
        assert!(other.is_empty(), "undisturbed, and killed at every step: {other:#?}");
        assert!(quiet.len() > 40, "{quiet:?}");
    }
}
