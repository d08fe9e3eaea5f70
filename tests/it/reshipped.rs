//! Lost parcels whose goods are sent again; what an order's process tells of them, of goods that are awaited and of jobs that failed.

use futures::future::join_all;
use kontor::jobs::NewJob;
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, eventually, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

async fn work(app: &App, order: &Value) -> Vec<Value> {
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    let found = app.ops("GET", &path, None).await.expect(200);
    found["fulfilment_orders"].as_array().unwrap().iter().filter(|one| one["state"] != "cancelled").cloned().collect()
}

async fn ship(app: &App, order: &Value, lines: Value) -> Value {
    let open = work(app, order).await;
    let open = open.iter().find(|one| !matches!(text(&one["state"]).as_str(), "shipped" | "delivered")).unwrap();
    app.ops("POST", &format!("/fulfilment-orders/{}/ship", text(&open["id"])), Some(&lines)).await.expect(201)
}

async fn scan(app: &App, shipment: &Value, mark: &str) -> Answer {
    app.clock.advance_seconds(60);
    let body = json!({"text": format!("said: {mark}"), "at": app.now(), "mark": mark});
    app.ops("POST", &format!("/shipments/{}/scans", text(&shipment["id"])), Some(&body)).await
}

async fn settle(app: &App, shipment: &Value) -> Answer {
    let path = format!("/shipments/{}/claim/settle", text(&shipment["id"]));
    app.ops("POST", &path, Some(&json!({"resolution": "reshipped", "note": "case 4711"}))).await
}

async fn read(app: &App, order: &Value) -> Value {
    app.ops("GET", &format!("/orders/{}", text(&order["id"])), None).await.expect(200)
}

async fn step(app: &App, order: &Value, name: &str) -> Value {
    let seen = app.ops("GET", &format!("/processes/{}", text(&order["id"])), None).await.expect(200);
    let steps = seen["steps"].as_array().unwrap();
    steps.iter().find(|step| step["step"] == name).unwrap_or_else(|| panic!("{name}: {seen}")).clone()
}

async fn stuck(app: &App, name: &str) -> Vec<Value> {
    let found = app.ops("GET", &format!("/processes?step={name}"), None).await.expect(200);
    found["items"].as_array().unwrap().clone()
}

async fn settled(app: &App) {
    eventually("everything was looked at", || async {
        let jobs = app.ops("GET", "/jobs", None).await.expect(200);
        let open = |job: &Value| matches!(text(&job["kind"]).as_str(), "promises.review" | "payment.capture");
        !jobs["items"].as_array().unwrap().iter().any(open)
    })
    .await;
}

#[test]
fn what_was_lost_is_sent_again_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5), ("MUG", "9.90", 5)]).await;
        let order = shop.order(&[("TEE", 2), ("MUG", 1)]).await;
        let parcel = ship(&app, &order, json!({})).await;
        settled(&app).await;
        settle(&app, &parcel).await.expect(404);
        scan(&app, &parcel, "lost").await.expect(200);
        let deliver = step(&app, &order, "deliver").await;
        assert_eq!((&deliver["state"], deliver["subject"].clone()), (&json!("stuck"), parcel["id"].clone()));
        assert_eq!(stuck(&app, "deliver").await.len(), 1);
        let answers = join_all((0..3).map(|_| settle(&app, &parcel))).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409]);
        let claim = app.ops("GET", &format!("/shipments/{}/claim", text(&parcel["id"])), None).await.expect(200);
        assert_eq!(claim["reshipped_by"].as_array().unwrap().len(), 1, "{claim}");
        settled(&app).await;
        let open = work(&app, &order).await;
        assert_eq!((open.len(), open[0]["id"].clone()), (1, claim["reshipped_by"][0].clone()));
        assert_eq!(stuck(&app, "deliver").await, Vec::<Value>::new());
        let levels = app.ops("GET", "/stock/levels?sku=TEE", None).await.expect(200);
        assert_eq!((&levels["items"][0]["on_hand"], &levels["items"][0]["allocated"]), (&json!(3), &json!(2)));
        let captured = read(&app, &order).await["payments"][0]["captured"].clone();
        // What is heard of the lost one later counts no more.
        assert_eq!(scan(&app, &parcel, "delivered").await.status, 409);
        let second = ship(&app, &order, json!({})).await;
        settled(&app).await;
        let seen = read(&app, &order).await;
        assert_eq!(seen["payments"][0]["captured"], captured, "nothing is captured twice");
        app.ops("POST", &format!("/shipments/{}/deliver", text(&second["id"])), Some(&json!({}))).await.expect(200);
        assert_eq!(read(&app, &order).await["fulfilment_state"], "delivered");
    });
}

#[test]
fn what_was_lost_and_is_not_there_any_more_is_not_sent_again() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 3)]).await;
        let order = shop.order(&[("TEE", 2)]).await;
        let parcel = ship(&app, &order, json!({"lines": [{"line_no": 1, "quantity": 1}]})).await;
        let all = ship(&app, &order, json!({})).await;
        settled(&app).await;
        scan(&app, &parcel, "lost").await.expect(200);
        shop.order(&[("TEE", 1)]).await;
        let refused = settle(&app, &parcel).await.expect(409);
        assert_eq!((&refused["code"], &refused["pointer"]), (&json!("out_of_stock"), &json!("/resolution")));
        shop.stock_up("TEE", 1).await;
        settle(&app, &parcel).await.expect(200);
        settled(&app).await;
        // The other parcel of the same fulfilment order is as it was.
        app.ops("POST", &format!("/shipments/{}/deliver", text(&all["id"])), Some(&json!({}))).await.expect(200);
        let again = ship(&app, &order, json!({})).await;
        app.ops("POST", &format!("/shipments/{}/deliver", text(&again["id"])), Some(&json!({}))).await.expect(200);
        assert_eq!(read(&app, &order).await["fulfilment_state"], "delivered");
        settled(&app).await;
    });
}

#[test]
fn what_could_not_be_handed_over_is_in_a_list() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 3)]).await;
        let order = shop.order(&[("TEE", 1)]).await;
        let parcel = ship(&app, &order, json!({})).await;
        scan(&app, &parcel, "failed_attempt").await.expect(200);
        let found = app.ops("GET", "/worklists/failed_attempts", None).await.expect(200);
        assert_eq!(found["items"][0]["id"], parcel["id"]);
        assert_eq!(step(&app, &order, "deliver").await["waits_for"], "its carrier: the last attempt failed");
        scan(&app, &parcel, "delivered").await.expect(200);
        let found = app.ops("GET", "/worklists/failed_attempts", None).await.expect(200);
        assert_eq!(found["items"], json!([]));
        settled(&app).await;
    });
}

#[test]
fn what_waits_for_goods_says_when_they_come() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        let found = app.ops("GET", "/variants?sku=TEE", None).await.expect(200);
        let path = format!("/variants/{}", text(&found["items"][0]["id"]));
        app.ops("PATCH", &path, Some(&json!({"backorder_policy": "allow"}))).await.expect(200);
        let order = shop.order(&[("TEE", 2)]).await;
        let unknown = step(&app, &order, "source").await;
        assert_eq!(
            (&unknown["state"], &unknown["waits_for"]),
            (&json!("waiting"), &json!("goods: nobody knows when they come"))
        );
        let body = json!({"location": "berlin", "expected_at": "2026-03-12T09:00:00Z",
            "lines": [{"sku": "TEE", "quantity": 5}]});
        let inbound = app.ops("POST", "/inbound-shipments", Some(&body)).await.expect(201);
        settled(&app).await;
        let known = step(&app, &order, "source").await;
        assert_eq!(
            (&known["waits_for"], &known["due_at"]),
            (&json!("goods: they come on 2026-03-12"), &json!("2026-03-12T09:00:00Z"))
        );
        assert_eq!(step(&app, &order, "pick").await["waits_for"], "goods: they come on 2026-03-12");
        let path = format!("/inbound-shipments/{}/receive", text(&inbound["id"]));
        app.ops("POST", &path, Some(&json!({}))).await.expect(200);
        settled(&app).await;
        assert_eq!(step(&app, &order, "source").await["state"], "done");
        assert_eq!(step(&app, &order, "pick").await["waits_for"], "its location");
    });
}

#[test]
fn jobs_that_plan_anew_and_failed_are_steps_of_their_orders() {
    on_both(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 3)]).await;
        let order = shop.order(&[("TEE", 1)]).await;
        let one = text(&work(&app, &order).await[0]["id"]);
        // Nobody can read what they are to do.
        let broken = [
            (kontor::fulfilment::picking::REPLAN, format!("replan:{one}")),
            (kontor::fulfilment::promises::REVIEW, format!("promise:{}", text(&order["id"]))),
        ];
        let now = app.now();
        let jobs = broken.map(|(kind, key)| NewJob::now(kind, now, json!({"work": 1})).in_order(key)).to_vec();
        app.state.db.write(move |tx| kontor::jobs::enqueue(tx, now, jobs.clone())).await.unwrap();
        for name in ["source", "promise"] {
            eventually("it is dead", || async { stuck(&app, name).await.len() == 1 }).await;
            let found = stuck(&app, name).await;
            assert_eq!(found[0]["order_id"], order["id"], "{name}");
            let body = json!({"step": name, "subject": found[0]["subject"], "reason": "seen to"});
            let path = format!("/processes/{}/skip", text(&order["id"]));
            app.ops("POST", &path, Some(&body)).await.expect(200);
            assert_eq!(stuck(&app, name).await, Vec::<Value>::new());
        }
    });
}

#[test]
fn what_was_invoiced_with_a_lost_parcel_is_credited_when_it_is_sent_again() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let entities = app.ops("GET", "/legal-entities", None).await.expect(200);
        let path = format!("/legal-entities/{}", text(&entities["items"][0]["id"]));
        let settings = json!({"street1": "S 1", "postcode": "1", "city": "C", "series": "RE-", "tax_number": "1"});
        app.ops("PATCH", &path, Some(&json!({ "invoicing": settings }))).await.expect(200);
        shop.set(json!({"invoicing": "at_shipment"})).await;
        let order = shop.order(&[("TEE", 2)]).await;
        let documents = async || {
            let path = format!("/invoices?order={}", text(&order["id"]));
            app.ops("GET", &path, None).await.expect(200)["items"].as_array().unwrap().len()
        };
        let parcel = ship(&app, &order, json!({})).await;
        eventually("it is invoiced", || async { documents().await == 1 }).await;
        scan(&app, &parcel, "lost").await.expect(200);
        settle(&app, &parcel).await.expect(200);
        eventually("it is credited", || async { documents().await == 2 }).await;
        ship(&app, &order, json!({})).await;
        eventually("it is invoiced anew", || async { documents().await == 3 }).await;
        settled(&app).await;
    });
}
