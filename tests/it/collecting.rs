//! What customers pick up: ready, handed over, not collected; and another way for what the shop declines.

use futures::future::join_all;
use kontor::jobs::Runner;
use serde_json::{Value, json};

use crate::support::{App, Cart, Shop, eventually, on_both, on_both_idle, shop::address};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

async fn place(app: &App, code: &str, more: Value, goods: &[(&str, i64)]) -> String {
    let mut place = json!({"code": code, "name": code, "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
    place.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let place = app.ops("POST", "/locations", Some(&place)).await.expect(201);
    for (sku, change) in goods {
        let line = json!({"sku": sku, "location": code, "change": change, "reason": "counted"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
    }
    text(&place["id"])
}

async fn method(shop: &Shop, code: &str, price: &str, pickup: Option<&str>) {
    let mut method = json!({"channel_id": shop.channel, "code": code, "name": code, "tax_class": "standard",
        "rates": [{"countries": [], "price": {"amount": price, "currency": "EUR"}}]});
    if let Some(place) = pickup {
        method["pickup_location_id"] = json!(place);
    }
    shop.app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
}

/// A warehouse in Berlin, and two branches where goods are picked up for nothing.
async fn open(app: &App, more: Value) -> (Shop, String, String) {
    let shop = Shop::open(app, &[("TEE", "19.90", 9), ("MUG", "9.90", 9)]).await;
    let bremen = place(app, "bremen", more, &[("TEE", 3)]).await;
    let kiel = place(app, "kiel", json!({}), &[("TEE", 3)]).await;
    method(&shop, "click", "0.00", Some(&bremen)).await;
    method(&shop, "kiel", "0.00", Some(&kiel)).await;
    method(&shop, "cheap", "0.00", None).await;
    (shop, bremen, kiel)
}

async fn cart(shop: &Shop, method: &str, lines: &[(&str, i64)]) -> Cart {
    let lines: Vec<Value> = lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
    let body = json!({"lines": lines, "email": "ada@example.org", "shipping_method": method,
        "billing_address": address()});
    let body = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
    Cart { id: text(&body["id"]), token: text(&body["token"]), body }
}

async fn order(shop: &Shop, method: &str, lines: &[(&str, i64)]) -> Value {
    let cart = cart(shop, method, lines).await;
    shop.complete(&cart, "approve").await.expect(201)["order"].clone()
}

async fn work(app: &App, order: &Value) -> Vec<Value> {
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    let found = app.ops("GET", &path, None).await.expect(200);
    found["fulfilment_orders"].as_array().unwrap().iter().filter(|one| one["state"] != "cancelled").cloned().collect()
}

async fn redirect(app: &App, order: &Value, body: Value) -> crate::support::Answer {
    app.ops("POST", &format!("/orders/{}/redirect", text(&order["id"])), Some(&body)).await
}

async fn settled(app: &App) {
    eventually("everything was planned", || async {
        let jobs = app.ops("GET", "/jobs", None).await.expect(200);
        let open = |job: &Value| {
            matches!(
                text(&job["kind"]).as_str(),
                "promises.review" | "fulfilment.replan_redirected" | "payment.capture"
            )
        };
        !jobs["items"].as_array().unwrap().iter().any(open)
    })
    .await;
}

async fn waiting(app: &App, list: &str) -> i64 {
    let lists = app.ops("GET", "/worklists", None).await.expect(200);
    let lists = lists["items"].as_array().unwrap_or_else(|| panic!("{lists}")).clone();
    lists.iter().find(|one| one["list"] == list).unwrap()["count"].as_i64().unwrap()
}

/// Waits until so many events of a kind are told of an order.
async fn have(app: &App, order: &Value, kind: &str, count: usize) {
    eventually("it is told", || async { told(app, order, kind).await >= count }).await;
    assert_eq!(told(app, order, kind).await, count);
}

async fn told(app: &App, order: &Value, kind: &str) -> usize {
    let stream = text(&order["id"]);
    let events = app.read(move |tx| kontor::events::stream(tx, &stream, 0, 200)).await;
    events.iter().filter(|event| event.kind == kind).count()
}

#[test]
fn what_is_ready_is_handed_over_or_asked_for() {
    on_both(|app| async move {
        let (shop, ..) = open(&app, json!({"collect_days": 3})).await;
        let order = order(&shop, "click", &[("TEE", 2)]).await;
        let shipped = shop.order(&[("MUG", 1)]).await;
        let one = text(&work(&app, &order).await[0]["id"]);
        let nothing = json!({});
        let part = json!({"lines": [{"line_no": 1, "quantity": 1}]});
        app.ops("POST", &format!("/fulfilment-orders/{one}/pack"), Some(&part)).await.expect(200);
        assert!(work(&app, &order).await[0].get("collect_by").is_none(), "not all of it is ready");
        let packed = app.ops("POST", &format!("/fulfilment-orders/{one}/pack"), Some(&nothing)).await.expect(200);
        assert_eq!(packed["collect_by"], "2026-03-05T23:00:00Z");
        eventually("it is told", || async { told(&app, &order, "fulfilment_order.ready_to_collect.v1").await == 1 })
            .await;
        let other = text(&work(&app, &shipped).await[0]["id"]);
        let sent = app.ops("POST", &format!("/fulfilment-orders/{other}/pack"), Some(&nothing)).await.expect(200);
        assert!(sent.get("collect_by").is_none());
        app.ops("POST", &format!("/fulfilment-orders/{other}/collect"), Some(&nothing)).await.expect(409);
        assert_eq!(waiting(&app, "uncollected").await, 0);
        app.clock.advance_seconds(4 * 86_400);
        assert_eq!(waiting(&app, "uncollected").await, 1);
        // Two people at the counter hand it over once.
        let path = format!("/fulfilment-orders/{one}/collect");
        let answers = join_all((0..2).map(|_| app.ops("POST", &path, Some(&nothing)))).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
        assert_eq!(waiting(&app, "uncollected").await, 0);
        let seen = app.ops("GET", &format!("/orders/{}", text(&order["id"])), None).await.expect(200);
        assert_eq!(seen["fulfilment_state"], "delivered");
        settled(&app).await;
        app.ops("POST", &format!("/fulfilment-orders/{other}/ship"), Some(&nothing)).await.expect(201);
        settled(&app).await;
    });
}

#[test]
fn what_a_shop_declines_goes_another_way() {
    on_both(|app| async move {
        let (shop, _, kiel) = open(&app, json!({"kind": "store", "accept_minutes": 60})).await;
        let placed = order(&shop, "click", &[("TEE", 2)]).await;
        let one = text(&work(&app, &placed).await[0]["id"]);
        let decline = json!({"reason": "too few people"});
        app.ops("POST", &format!("/fulfilment-orders/{one}/decline"), Some(&decline)).await.expect(200);
        assert_eq!(work(&app, &placed).await[0]["holds"][0]["kind"], "stock");
        // Shipping costs more than was paid.
        let to = json!({"method": "standard", "address": address(), "reason": "declined"});
        let refused = redirect(&app, &placed, to.clone()).await;
        assert_eq!(refused.expect(409)["code"], "state_conflict");
        // Another branch has it.
        let there = redirect(&app, &placed, json!({"method": "kiel", "reason": "declined"})).await.expect(200);
        assert_eq!(there["deliveries"][0]["pickup"]["location"], "kiel");
        eventually("it is planned there", || async {
            work(&app, &placed).await.iter().all(|one| one["location_id"] == kiel.as_str())
        })
        .await;
        settled(&app).await;
        assert!(work(&app, &placed).await[0].get("holds").is_none_or(|holds| holds.as_array().unwrap().is_empty()));
        assert_eq!(told(&app, &placed, "order.delivery_changed.v1").await, 1);
        let again = redirect(&app, &placed, json!({"method": "kiel", "reason": "twice"})).await;
        again.expect(409);
        // The shop bears what shipping costs.
        let mut kept = to.clone();
        kept["keep_price"] = json!(true);
        let sent = redirect(&app, &placed, kept).await.expect(200);
        assert_eq!((sent["total"].clone(), sent["deliveries"][0].get("pickup")), (placed["total"].clone(), None));
        settled(&app).await;
        let all = work(&app, &placed).await;
        assert_eq!(all.len(), 1, "{all:?}");
        app.ops("POST", &format!("/fulfilment-orders/{}/ship", text(&all[0]["id"])), Some(&json!({})))
            .await
            .expect(201);
        redirect(&app, &placed, json!({"method": "click", "reason": "too late"})).await.expect(409);
        settled(&app).await;
    });
}

#[test]
fn what_goes_another_way_says_what_is_wrong() {
    on_both(|app| async move {
        let (shop, bremen, _) = open(&app, json!({})).await;
        let placed = order(&shop, "click", &[("TEE", 1)]).await;
        let ask = |body: Value| redirect(&app, &placed, body);
        let code = |answer: crate::support::Answer, status: u16| text(&answer.expect(status)["code"]);
        assert_eq!(code(ask(json!({"method": "cheap", "reason": "r"})).await, 422), "missing_field");
        assert_eq!(code(ask(json!({"method": "none", "reason": "r"})).await, 422), "shipping_method_unavailable");
        let at = json!({"method": "kiel", "address": address(), "reason": "r"});
        assert_eq!(code(ask(at).await, 422), "invalid_value");
        let named = json!({"method": "kiel", "delivery": "home", "reason": "r"});
        assert_eq!(code(ask(named).await, 404), "not_found");
        let mut abroad = address();
        abroad["country"] = json!("AT");
        assert_eq!(
            code(ask(json!({"method": "cheap", "address": abroad, "reason": "r"})).await, 409),
            "state_conflict"
        );
        // What is picked stays.
        let one = text(&work(&app, &placed).await[0]["id"]);
        app.ops("POST", &format!("/fulfilment-orders/{one}/pick"), Some(&json!({}))).await.expect(200);
        assert_eq!(code(ask(json!({"method": "kiel", "reason": "r"})).await, 409), "state_conflict");
        assert_eq!(work(&app, &placed).await[0]["location_id"], bremen.as_str());
    });
}

#[test]
fn what_is_handed_over_while_it_goes_another_way_is_either() {
    on_both(|app| async move {
        let (shop, ..) = open(&app, json!({})).await;
        let placed = order(&shop, "click", &[("TEE", 2)]).await;
        let path = format!("/fulfilment-orders/{}/collect", text(&work(&app, &placed).await[0]["id"]));
        let nothing = json!({});
        let (collected, redirected) = futures::join!(
            app.ops("POST", &path, Some(&nothing)),
            redirect(&app, &placed, json!({"method": "kiel", "reason": "nearer"})),
        );
        settled(&app).await;
        let seen = app.ops("GET", &format!("/orders/{}", text(&placed["id"])), None).await.expect(200);
        match (collected.status, redirected.status) {
            (201, 409) => assert_eq!(seen["fulfilment_state"], "delivered"),
            (409, 200) => assert_eq!(seen["deliveries"][0]["pickup"]["location"], "kiel"),
            // It was redirected, and handed over before it was planned anew.
            (201, 200) => assert_eq!(seen["fulfilment_state"], "delivered"),
            other => panic!("{other:?}"),
        }
    });
}

const READY: &str = "fulfilment_order.ready_to_collect.v1";

#[test]
fn what_becomes_ready_otherwise_is_told_and_what_is_not_any_more_is_kept_no_longer() {
    on_both(|app| async move {
        let (shop, ..) = open(&app, json!({"collect_days": 3})).await;
        let placed = order(&shop, "click", &[("TEE", 3)]).await;
        let one = text(&work(&app, &placed).await[0]["id"]);
        let post = async |what: &str, body: Value| {
            app.ops("POST", &format!("/fulfilment-orders/{one}/{what}"), Some(&body)).await
        };
        let pieces = |quantity: i64| json!({"lines": [{"line_no": 1, "quantity": quantity}], "reason": "r"});
        let packed = |quantity: i64| json!({"lines": [{"line_no": 1, "quantity": quantity}]});
        post("pack", packed(1)).await.expect(200);
        // What is not packed is cancelled: all that is left is ready.
        app.ops("POST", &format!("/orders/{}/cancel", text(&placed["id"])), Some(&pieces(1))).await.expect(200);
        assert!(work(&app, &placed).await[0].get("collect_by").is_none(), "one is not packed yet");
        let split = post("split", pieces(1)).await.expect(200);
        assert_eq!(split["collect_by"], "2026-03-05T23:00:00Z");
        assert!(split["moved_to"][0].get("collect_by").is_none(), "{split}");
        have(&app, &placed, READY, 1).await;
        // It is taken out of its bag, and back into it a day later.
        let open = post("unpack", pieces(1)).await.expect(200);
        assert!(open.get("collect_by").is_none(), "{open}");
        app.clock.advance_seconds(86_400);
        assert_eq!(post("pack", json!({})).await.expect(200)["collect_by"], "2026-03-06T23:00:00Z");
        have(&app, &placed, READY, 2).await;
        // It was handed over, and was not after all.
        let handed = post("collect", json!({})).await.expect(201);
        let seen = app.ops("GET", &format!("/fulfilment-orders/{one}"), None).await.expect(200);
        assert!(seen.get("collect_by").is_none(), "{seen}");
        settled(&app).await;
        let path = format!("/shipments/{}/correct", text(&handed["id"]));
        for kind in ["not_delivered", "not_shipped"] {
            app.ops("POST", &path, Some(&json!({"kind": kind, "reason": "the wrong one"}))).await.expect(200);
        }
        let seen = app.ops("GET", &format!("/fulfilment-orders/{one}"), None).await.expect(200);
        assert_eq!((&seen["state"], &seen["collect_by"]), (&json!("packed"), &json!("2026-03-06T23:00:00Z")));
        have(&app, &placed, READY, 3).await;
        // Nobody comes for it.
        app.ops("POST", &format!("/orders/{}/cancel", text(&placed["id"])), Some(&json!({"reason": "nobody came"})))
            .await
            .expect(200);
        let seen = app.ops("GET", &format!("/fulfilment-orders/{one}"), None).await.expect(200);
        assert!(seen.get("collect_by").is_none(), "{seen}");
        settled(&app).await;
    });
}

#[test]
fn what_goes_to_another_address_is_found_by_it_and_whoever_ships_it_is_told() {
    on_both(|app| async move {
        let (shop, ..) = open(&app, json!({})).await;
        let placed = shop.order(&[("MUG", 1)]).await;
        let look = async |postcode: &str| {
            let body = json!({"number": placed["number"], "email": placed["email"], "postcode": postcode});
            shop.store("POST", "/orders/lookup", None, Some(&body)).await.status
        };
        let found = async |query: &str| {
            let page = app.ops("GET", &format!("/orders?{query}"), None).await.expect(200);
            page["items"].as_array().unwrap().len()
        };
        let old = text(&address()["postcode"]);
        assert_eq!(look(&old).await, 200);
        let mut to = address();
        to["name"] = json!("Änne Müller");
        to["postcode"] = json!("28 195");
        to["phone"] = json!("0421 7701");
        let body = json!({"method": "standard", "address": to, "reason": "moved"});
        redirect(&app, &placed, body).await.expect(200);
        assert_eq!((look(&old).await, look("28195").await), (404, 200));
        assert_eq!((found("name=anne%20mueller").await, found("phone=0421%207701").await), (1, 1));
        assert_eq!((found(&format!("postcode={old}")).await, found("postcode=28195").await), (0, 1));
        settled(&app).await;
        // The goods stay where they are: their warehouse hears where they go now.
        let work = work(&app, &placed).await;
        assert_eq!(work.len(), 1, "{work:?}");
        have(&app, &placed, "fulfilment_order.redirected.v1", 1).await;
        let stream = text(&placed["id"]);
        let events = app.read(move |tx| kontor::events::stream(tx, &stream, 0, 200)).await;
        let told: Vec<_> =
            events.iter().filter(|event| event.kind == "fulfilment_order.redirected.v1").map(|one| &one.data).collect();
        assert_eq!((told.len(), &told[0]["id"], &told[0]["version"]), (1, &work[0]["id"], &work[0]["version"]));
        assert_eq!(told[0]["ship_to"]["postcode"], "28 195", "{told:?}");
        let bare = "SELECT count(*) FROM events WHERE type IN ('order.delivery_changed.v1', 'fulfilment_order.redirected.v1') \
                    AND CAST(data AS TEXT) LIKE '%28 195%'";
        assert_eq!(app.count(bare).await, 0, "it is personal");
    });
}

#[test]
fn one_of_several_deliveries_is_found_by_where_it_goes_and_its_key_is_personal() {
    on_both(|app| async move {
        let (shop, ..) = open(&app, json!({})).await;
        let cart = shop.cart(&[("MUG", 2)]).await;
        let mut granny = address();
        (granny["name"], granny["postcode"]) = (json!("Anne Byron"), json!("28195"));
        let further = json!({"key": "for-anne-byron", "method": "standard", "address": granny,
            "lines": [{"line_no": 1, "quantity": 1}]});
        let path = format!("/carts/{}/deliveries", cart.id);
        let both = json!({"deliveries": [{"key": "home"}, further]});
        shop.store("PUT", &path, Some(&cart.token), Some(&both)).await.expect(200);
        let placed = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        let found = async |query: &str| {
            let page = app.ops("GET", &format!("/orders?{query}"), None).await.expect(200);
            page["items"].as_array().unwrap().len()
        };
        let (mut to, old) = (granny.clone(), text(&address()["postcode"]));
        to["postcode"] = json!("20095");
        let body = json!({"delivery": "for-anne-byron", "method": "standard", "address": to, "reason": "moved"});
        redirect(&app, &placed, body).await.expect(200);
        assert_eq!((found("postcode=28195").await, found("postcode=20095&name=byron").await), (0, 1));
        assert_eq!(found(&format!("postcode={old}")).await, 1, "the other goes where it went");
        settled(&app).await;
        have(&app, &placed, "fulfilment_order.redirected.v1", 1).await;
        let named = "SELECT count(*) FROM events WHERE CAST(data AS TEXT) LIKE '%for-anne-byron%'";
        assert_eq!(app.count(named).await, 0);
    });
}

/// Does the jobs that are due.
async fn done(app: &App) {
    let mut runner = Runner::new(app.state.db.clone(), app.clock.clone(), 1, 60);
    kontor::fulfilment::work(&app.state, &mut runner);
    runner.drain().await.unwrap();
}

#[test]
fn what_is_asked_to_be_cancelled_goes_the_other_way_when_it_is_not() {
    on_both_idle(|app| async move {
        let (shop, bremen, kiel) = open(&app, json!({})).await;
        let placed = order(&shop, "click", &[("TEE", 2)]).await;
        let one = text(&work(&app, &placed).await[0]["id"]);
        redirect(&app, &placed, json!({"method": "kiel", "reason": "nearer"})).await.expect(200);
        let ask = json!({"reason": "ordered twice"});
        app.ops("POST", &format!("/fulfilment-orders/{one}/request-cancel"), Some(&ask)).await.expect(200);
        done(&app).await;
        assert_eq!(work(&app, &placed).await[0]["location_id"], bremen.as_str());
        let no = json!({"accept": false, "reason": "it is on its way"});
        app.ops("POST", &format!("/fulfilment-orders/{one}/answer-cancel"), Some(&no)).await.expect(200);
        app.clock.advance_seconds(301);
        done(&app).await;
        let all = work(&app, &placed).await;
        assert!(all.iter().all(|one| one["location_id"] == kiel.as_str()), "{all:?}");
    });
}

#[test]
fn goods_of_lots_are_handed_over_with_them() {
    on_both(|app| async move {
        let (shop, ..) = open(&app, json!({})).await;
        let found = app.ops("GET", "/variants?sku=TEE", None).await.expect(200);
        let path = format!("/variants/{}", text(&found["items"][0]["id"]));
        app.ops("PATCH", &path, Some(&json!({"tracking": "lot"}))).await.expect(200);
        let line = json!({"sku": "TEE", "location": "bremen", "lot": "L1", "change": 2, "reason": "came"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
        let placed = order(&shop, "click", &[("TEE", 2)]).await;
        let path = format!("/fulfilment-orders/{}/collect", text(&work(&app, &placed).await[0]["id"]));
        app.ops("POST", &path, Some(&json!({}))).await.problem(422, "lot_required");
        let of = |quantity: i64| json!({"lots": [{"line_no": 1, "lot": "L1", "quantity": quantity}]});
        let refused = app.ops("POST", &path, Some(&of(3))).await.problem(409, "quantity_exceeded");
        assert_eq!(refused["pointer"], "/lots/0/quantity");
        app.ops("POST", &path, Some(&of(2))).await.expect(201);
        let lots = app.ops("GET", "/lots?sku=TEE", None).await.expect(200);
        assert!(lots["items"].as_array().unwrap().iter().all(|lot| lot["quantity"] == 0), "{lots}");
        settled(&app).await;
    });
}
