//! What a killed program leaves behind: everything that it had acknowledged, nothing by halves.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use diesel::sql_types::{BigInt, Text};
use futures::future::join_all;
use kontor::{
    db::{UidSql, sql},
    kernel::ids::OrderId,
};
use serde_json::{Value, json};

use crate::support::{Answer, App, Cart, Program, Shop, Site, eventually, on_both_sites};

/// How many shoppers are at it when the program is killed.
const SHOPPERS: usize = 8;

/// A shop that outlives its server.
pub struct Scene {
    pub site: Site,
    pub shop: Shop,
    pub program: Option<Program>,
}

impl Scene {
    pub async fn open(site: Site, goods: &[(&str, &str, i64)]) -> Self {
        let program = site.serve(&[]);
        let shop = Shop::open(&site.app(&program).await, goods).await;
        Self { site, shop, program: Some(program) }
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        self.program.take().unwrap().kill();
    }

    /// Starts another one on the same database.
    pub async fn restart(&mut self) {
        self.restart_with(&[]).await;
    }

    async fn restart_with(&mut self, settings: &[(&str, &str)]) {
        let program = self.site.serve(settings);
        self.shop.app = self.site.app(&program).await;
        self.program = Some(program);
    }

    async fn kill_and_restart(&mut self) {
        self.kill();
        self.restart().await;
    }

    /// Begins to complete a cart; the answer may never come.
    fn begin(&self, cart: &Cart, instrument: &'static str) -> tokio::task::JoinHandle<Option<Answer>> {
        let (shop, cart) = (self.shop.clone(), cart.clone());
        tokio::spawn(async move { complete(&shop, &cart, instrument, "first").await })
    }

    async fn state_of(&self, cart: &Cart) -> String {
        let seen = self.shop.store("GET", &format!("/carts/{}", cart.id), Some(&cart.token), None).await;
        seen.expect(200)["state"].as_str().unwrap().to_owned()
    }

    /// What the sandbox believes about the only payment there is; `None` when it never heard of it.
    async fn sandbox(&self) -> Option<String> {
        let query = "SELECT our_key FROM payments";
        let key = self.site.look(move |tx| Ok(sql(query).load::<Text, String>(tx)?.pop().unwrap())).await;
        let known = self.shop.app.ops("GET", &format!("/sandbox/payments/{key}"), None).await;
        (known.status != 404).then(|| known.expect(200)["state"].as_str().unwrap().to_owned())
    }

    /// Waits until nobody is paying any more.
    pub async fn settled(&self) {
        self.site.until("SELECT count(*) FROM carts WHERE state = 'completing'", 0).await;
        self.site.until("SELECT count(*) FROM jobs WHERE state <> 'ready' OR attempt > 0", 0).await;
    }

    /// The end of every story: so many orders, all of them whole, stock that agrees, nothing for the doctor.
    async fn end(mut self, orders: i64) {
        self.settled().await;
        self.whole().await;
        assert_eq!(self.site.number("SELECT count(*) FROM orders").await, orders);
        self.program.take().unwrap().kill();
        self.site.doctor().await;
    }

    /// No order lacks a part, no part lacks its order, and the counters of the stock are the sums behind them.
    pub async fn whole(&self) {
        let parts = "SELECT id, (SELECT count(*) FROM order_lines WHERE order_id = orders.id), \
             (SELECT count(*) FROM ledger_entries WHERE order_id = orders.id AND account NOT IN ('authorised', 'promised')), \
             (SELECT count(*) FROM payments WHERE order_id = orders.id AND state = 'authorised'), \
             (SELECT count(*) FROM fulfilment_orders WHERE order_id = orders.id), \
             (SELECT count(*) FROM carts WHERE carts.id = cart_id AND order_id = orders.id AND carts.state = 'completed') \
             FROM orders";
        type Columns = (UidSql, BigInt, BigInt, BigInt, BigInt, BigInt);
        type Row = (OrderId, i64, i64, i64, i64, i64);
        let events = "SELECT stream, count(*) FROM events WHERE aggregate_version <= 3 AND type IN \
             ('order.placed.v1', 'payment.authorised.v1', 'fulfilment_order.opened.v1') GROUP BY stream ORDER BY stream";
        let look = self.site.look(move |tx| {
            let events = sql(events).load::<(Text, BigInt), (String, i64)>(tx)?;
            Ok((sql(parts).load::<Columns, Row>(tx)?, events))
        });
        let (orders, events) = look.await;
        for (order, lines, entries, payments, fulfilment, carts) in &orders {
            assert!((1..=2).contains(lines), "{order} has {lines} lines");
            assert_eq!((*entries, *payments, *fulfilment, *carts), (3, 1, 1, 1), "{order} is not whole");
        }
        let mut streams: Vec<(String, i64)> = orders.iter().map(|order| (order.0.to_string(), 3)).collect();
        streams.sort();
        assert_eq!(events, streams, "each order tells of itself three times, and nothing else does");
        for (what, query) in [
            (
                "completed carts without an order",
                "SELECT count(*) FROM carts WHERE state = 'completed' AND \
                id NOT IN (SELECT cart_id FROM orders WHERE cart_id IS NOT NULL)",
            ),
            (
                "payments of no order",
                "SELECT count(*) FROM payments WHERE order_id IS NOT NULL AND \
                order_id NOT IN (SELECT id FROM orders)",
            ),
            (
                "promises without an order",
                "SELECT count(*) FROM payments WHERE state = 'authorised' AND order_id IS NULL",
            ),
            (
                "ledger entries of no order",
                "SELECT count(*) FROM ledger_entries WHERE order_id NOT IN (SELECT id FROM orders)",
            ),
            (
                "consumed reservations without an order",
                "SELECT count(*) FROM reservations WHERE state = 'consumed' AND \
                cart_id NOT IN (SELECT cart_id FROM orders WHERE cart_id IS NOT NULL)",
            ),
            (
                "levels whose allocation is not the orders'",
                "SELECT count(*) FROM stock_levels WHERE allocated <> \
                (SELECT coalesce(sum(allocated), 0) FROM order_lines WHERE variant_id = stock_levels.variant_id)",
            ),
            (
                "levels whose reservation is not the carts'",
                "SELECT count(*) FROM stock_levels WHERE reserved <> \
                (SELECT coalesce(sum(quantity), 0) FROM reservations WHERE state = 'live' AND variant_id = stock_levels.variant_id)",
            ),
            (
                "reservations of carts that nobody is buying",
                "SELECT count(*) FROM reservations WHERE state = 'live' AND \
                cart_id NOT IN (SELECT id FROM carts WHERE state IN ('frozen', 'completing'))",
            ),
        ] {
            assert_eq!(self.site.number(query).await, 0, "{what}");
        }
    }
}

/// Completes a cart under a key; `None` when the server was killed meanwhile.
async fn complete(shop: &Shop, cart: &Cart, instrument: &str, key: &str) -> Option<Answer> {
    let key = format!("{}-{key}", cart.id);
    let method = if instrument == "manual" { "manual" } else { "sandbox" };
    let body = json!({"payment": {"method": method, "instrument": instrument}});
    let headers = [("Channel-Key", shop.key.as_str()), ("Cart-Token", &cart.token), ("Idempotency-Key", &key)];
    shop.app.try_send("POST", &format!("/v1/store/carts/{}/complete", cart.id), &headers, Some(&body)).await.ok()
}

/// What shoppers remember of what they were told.
#[derive(Default)]
pub struct Told {
    orders: Vec<Value>,
    carts: Vec<(Cart, &'static str)>,
}

const INSTRUMENTS: [&str; 4] = ["approve", "approve_recorded", "manual", "approve_recorded"];

/// Orders and orders until the server is gone.
pub async fn shopper(shop: Shop, told: Arc<Mutex<Told>>, number: usize) {
    for round in number.. {
        let instrument = INSTRUMENTS[round % INSTRUMENTS.len()];
        // Half of them name the two in the other order.
        let lines = if round % 2 == 0 { [("TEE", 1), ("MUG", 2)] } else { [("MUG", 2), ("TEE", 1)] };
        let Some(cart) = try_cart(&shop, &lines).await else { return };
        told.lock().unwrap().carts.push((cart.clone(), instrument));
        if round % 3 == 0 {
            let headers = [("Channel-Key", shop.key.as_str()), ("Cart-Token", &cart.token)];
            let path = format!("/v1/store/carts/{}/checkout", cart.id);
            let Ok(answer) = shop.app.try_send("POST", &path, &headers, None).await else { return };
            answer.expect(200);
        }
        let Some(answer) = complete(&shop, &cart, instrument, "first").await else { return };
        if matches!(answer.status, 200 | 202) {
            // A machine so slow that the lease ran out: this one asks again later.
            continue;
        }
        let order = answer.expect(201)["order"].clone();
        let mut told = told.lock().unwrap();
        told.carts.retain(|known| known.0.id != cart.id);
        told.orders.push(order);
    }
}

async fn try_cart(shop: &Shop, lines: &[(&str, i64)]) -> Option<Cart> {
    let lines: Vec<Value> = lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
    let body = json!({"lines": lines, "email": "ada@example.org", "shipping_method": "standard",
        "shipping_address": crate::support::shop::address()});
    let headers = [("Channel-Key", shop.key.as_str())];
    let answer = shop.app.try_send("POST", "/v1/store/carts", &headers, Some(&body)).await.ok()?;
    let body = answer.expect(201);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Some(Cart { id: text(&body["id"]), token: text(&body["token"]), body })
}

/// A shopper who got no answer asks again under the same key, and once more when the payment has come to nothing.
async fn insist(shop: &Shop, cart: &Cart, instrument: &str) -> Value {
    let (begun, mut key) = (std::time::Instant::now(), "first");
    loop {
        let answer = complete(shop, cart, instrument, key).await.unwrap();
        match (answer.status, answer.body["code"].as_str()) {
            (201, _) => return answer.body["order"].clone(),
            (200, _) => {
                assert_eq!(answer.body["decline"]["code"], "not_found", "{}", answer.text);
                key = "second";
            }
            (202, _) | (409, Some("idempotency_in_progress")) => tokio::time::sleep(Duration::from_millis(50)).await,
            _ => panic!("{}", answer.text),
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "no end: {}", answer.text);
    }
}

/// One round: shoppers at work, the program killed among them, started again, and asked for everything it had said.
async fn round(scene: &mut Scene, number: usize) -> (usize, usize) {
    let told = Arc::new(Mutex::new(Told::default()));
    let shoppers = (0..SHOPPERS).map(|n| tokio::spawn(shopper(scene.shop.clone(), told.clone(), n)));
    let shoppers: Vec<_> = shoppers.collect();
    tokio::time::sleep(Duration::from_millis(rand::random_range(150..900))).await;
    scene.kill();
    for shopper in shoppers {
        shopper.await.unwrap();
    }
    let Told { orders, carts } = std::mem::take(&mut *told.lock().unwrap());
    scene.restart().await;
    for order in &orders {
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        let mut kept = scene.shop.app.ops("GET", &path, None).await.expect(200);
        // Staff are told of price lists, shoppers are not.
        let mut order = order.clone();
        for lines in [&mut kept["lines"], &mut order["lines"]] {
            for line in lines.as_array_mut().unwrap() {
                line.as_object_mut().unwrap().remove("explanation").unwrap();
            }
        }
        for part in ["number", "total", "lines", "payment_state"] {
            assert_eq!(kept[part], order[part], "{part} of an acknowledged order");
        }
    }
    // Every other time nobody asks again, and the sweep has to find what was left.
    if number.is_multiple_of(2) {
        scene.settled().await;
    }
    let insisted = join_all(carts.iter().map(|(cart, instrument)| insist(&scene.shop, cart, instrument))).await;
    let ids: HashSet<&str> = insisted.iter().chain(&orders).map(|order| order["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), orders.len() + carts.len(), "each cart is one order");
    scene.whole().await;
    (orders.len(), carts.len())
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_left_by_halves() {
    let rounds = std::env::var("KONTOR_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(4);
    on_both_sites(|site| async move {
        let mut scene = Scene::open(site, &[("TEE", "19.90", 1_000_000), ("MUG", "12.50", 1_000_000)]).await;
        let (mut acknowledged, mut broken) = (0, 0);
        for number in 0..rounds {
            let (orders, carts) = round(&mut scene, number).await;
            (acknowledged, broken) = (acknowledged + orders, broken + carts);
        }
        println!(
            "{rounds} kills: {acknowledged} orders had been acknowledged, {broken} carts were caught in the middle"
        );
        let reserved = "SELECT CAST(coalesce(sum(reserved), 0) AS BIGINT) FROM stock_levels";
        assert_eq!(scene.site.number(reserved).await, 0);
        scene.end(i64::try_from(acknowledged + broken).unwrap()).await;
    });
}

/// A payment attempt that nobody has settled.
const PENDING: &str = "SELECT count(*) FROM payments WHERE state = 'pending'";
/// One that the provider has heard of.
const HEARD: &str = "SELECT count(*) FROM sandbox_payments";
const ORDERS: &str = "SELECT count(*) FROM orders";

#[test]
fn killed_before_the_provider_heard_the_cart_is_open_again() {
    on_both_sites(|site| async move {
        let mut scene = Scene::open(site, &[("TEE", "19.90", 1)]).await;
        let cart = scene.shop.cart(&[("TEE", 1)]).await;
        let asking = scene.begin(&cart, "hang");
        scene.site.until(PENDING, 1).await;
        scene.kill();
        assert!(asking.await.unwrap().is_none());
        scene.restart().await;
        scene.settled().await;
        assert_eq!((scene.state_of(&cart).await.as_str(), scene.site.number(ORDERS).await), ("open", 0));
        // The one who had asked learns it under the same key, and the one piece can be bought.
        let told = complete(&scene.shop, &cart, "hang", "first").await.unwrap().expect(200);
        assert_eq!((&told["result"], &told["decline"]["code"]), (&json!("payment_failed"), &json!("not_found")));
        scene.shop.complete(&cart, "approve").await.expect(201);
        scene.end(1).await;
    });
}

#[test]
fn killed_after_the_provider_accepted_it_is_an_order() {
    on_both_sites(|site| async move {
        let mut scene = Scene::open(site, &[("TEE", "19.90", 1)]).await;
        let cart = scene.shop.cart(&[("TEE", 1)]).await;
        let asking = scene.begin(&cart, "late:30");
        scene.site.until(HEARD, 1).await;
        scene.kill();
        assert!(asking.await.unwrap().is_none());
        scene.restart().await;
        scene.site.until(ORDERS, 1).await;
        let told = complete(&scene.shop, &cart, "late:30", "first").await.unwrap();
        assert_eq!(told.header("idempotency-replayed"), Some("true"));
        assert_eq!(told.expect(201)["order"]["payment_state"], "authorised");
        assert_eq!(scene.sandbox().await.as_deref(), Some("authorised"));
        scene.end(1).await;
    });
}

#[test]
fn killed_and_asked_again_under_another_key_nobody_waits_for_the_sweep() {
    on_both_sites(|site| async move {
        let mut scene = Scene::open(site, &[("TEE", "19.90", 1)]).await;
        let cart = scene.shop.cart(&[("TEE", 1)]).await;
        let asking = scene.begin(&cart, "late:30");
        scene.site.until(HEARD, 1).await;
        scene.kill();
        assert!(asking.await.unwrap().is_none());
        scene.restart_with(&[("KONTOR_JOBS_IN_SERVE", "false")]).await;
        let order = complete(&scene.shop, &cart, "approve", "second").await.unwrap().expect(201)["order"].clone();
        for key in ["first", "second"] {
            let instrument = if key == "first" { "late:30" } else { "approve" };
            let again = complete(&scene.shop, &cart, instrument, key).await.unwrap();
            assert_eq!(again.header("idempotency-replayed"), Some("true"));
            assert_eq!(again.expect(201)["order"]["id"], order["id"]);
        }
        scene.end(1).await;
    });
}

#[test]
fn a_provider_that_hears_late_promises_nothing_for_an_attempt_that_is_over() {
    on_both_sites(|site| async move {
        let scene = Scene::open(site, &[("TEE", "19.90", 1)]).await;
        let cart = scene.shop.cart(&[("TEE", 1)]).await;
        // The lease ends long before the provider hears of it, as when the process was stalled.
        let answer = scene.begin(&cart, "slow:6").await.unwrap().unwrap().expect(202);
        assert_eq!(answer["result"], "pending");
        assert_eq!((scene.state_of(&cart).await.as_str(), scene.site.number(ORDERS).await), ("open", 0));
        assert_eq!(scene.sandbox().await.as_deref(), Some("voided"));
        scene.shop.complete(&cart, "approve").await.expect(201);
        scene.end(1).await;
    });
}

#[test]
fn a_promise_that_comes_after_somebody_else_ended_the_attempt_is_given_up() {
    on_both_sites(|site| async move {
        let mut scene = Scene::open(site, &[("TEE", "19.90", 1)]).await;
        scene.kill();
        scene.restart_with(&[("KONTOR_CHECKOUT_LEASE_SECONDS", "60")]).await;
        let cart = scene.shop.cart(&[("TEE", 1)]).await;
        let asking = scene.begin(&cart, "slow:3");
        scene.site.until(PENDING, 1).await;
        // As when another process had ended it with a provider that forgets what it was told to refuse.
        for statement in [
            "UPDATE payments SET state = 'declined', attempt = attempt + 1, lease_until = NULL",
            "UPDATE carts SET state = 'open'",
            "UPDATE reservations SET state = 'released'",
            "UPDATE stock_levels SET reserved = 0",
        ] {
            assert_eq!(scene.site.tamper(statement).await, 1);
        }
        assert_eq!(asking.await.unwrap().unwrap().expect(202)["result"], "pending");
        scene.site.until("SELECT count(*) FROM payments WHERE state = 'voided'", 1).await;
        assert_eq!(scene.sandbox().await.as_deref(), Some("voided"));
        scene.end(0).await;
    });
}

#[test]
fn killed_when_the_providers_answer_was_lost_it_is_an_order() {
    on_both_sites(|site| async move {
        let mut scene = Scene::open(site, &[("TEE", "19.90", 1)]).await;
        let cart = scene.shop.cart(&[("TEE", 1)]).await;
        assert_eq!(scene.begin(&cart, "error").await.unwrap().unwrap().expect(202)["result"], "pending");
        scene.kill_and_restart().await;
        scene.site.until(ORDERS, 1).await;
        assert_eq!(insist(&scene.shop, &cart, "error").await["payment_state"], "authorised");
        scene.end(1).await;
    });
}

#[test]
fn killed_while_the_customer_was_away_the_customers_word_still_counts() {
    on_both_sites(|site| async move {
        let mut scene = Scene::open(site, &[("TEE", "19.90", 2)]).await;
        for (decision, orders) in [("decline", 0), ("approve", 1)] {
            let cart = scene.shop.cart(&[("TEE", 1)]).await;
            let away = scene.begin(&cart, "redirect").await.unwrap().unwrap().expect(202);
            scene.kill_and_restart().await;
            let again = scene.shop.complete(&cart, "redirect").await.expect(202);
            assert_eq!(again["action"]["type"], away["action"]["type"]);
            let key = away["action"]["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            let decided = scene.shop.app.ops("POST", &format!("/sandbox/payments/{key}/{decision}"), None).await;
            decided.expect(202);
            // The notification is a job: it survives too.
            scene.kill_and_restart().await;
            scene.settled().await;
            scene.site.until(ORDERS, orders).await;
        }
        scene.end(1).await;
    });
}

#[test]
fn killed_with_notifications_under_way_it_is_one_order() {
    on_both_sites(|site| async move {
        let mut scene = Scene::open(site, &[("TEE", "19.90", 5)]).await;
        for _ in 0..3 {
            let cart = scene.shop.cart(&[("TEE", 1)]).await;
            let order = scene.begin(&cart, "twice").await.unwrap().unwrap().expect(201)["order"].clone();
            scene.kill_and_restart().await;
            assert_eq!(insist(&scene.shop, &cart, "twice").await["id"], order["id"]);
        }
        scene.end(3).await;
    });
}

#[test]
fn killed_and_sold_out_meanwhile_the_money_is_given_up() {
    on_both_sites(|site| async move {
        let mut scene = Scene::open(site, &[("TEE", "19.90", 1)]).await;
        let cart = scene.shop.cart(&[("TEE", 1)]).await;
        let asking = scene.begin(&cart, "late:30");
        scene.site.until(HEARD, 1).await;
        scene.kill();
        assert!(asking.await.unwrap().is_none());
        // It was down for longer than a reservation holds, and the last piece is broken.
        let past = "UPDATE reservations SET expires_at = created_at";
        assert_eq!(scene.site.tamper(past).await, 1);
        assert_eq!(scene.site.tamper("UPDATE stock_levels SET safety = 1").await, 1);
        assert_eq!(scene.site.tamper("UPDATE reservations SET state = 'expired'").await, 1);
        assert_eq!(scene.site.tamper("UPDATE stock_levels SET reserved = 0").await, 1);
        scene.restart().await;
        scene.site.until("SELECT count(*) FROM payments WHERE state = 'voided'", 1).await;
        assert_eq!(scene.sandbox().await.as_deref(), Some("voided"));
        assert_eq!(scene.state_of(&cart).await, "open");
        scene.shop.complete(&cart, "approve").await.problem(409, "out_of_stock");
        scene.end(0).await;
    });
}

#[test]
fn a_server_that_is_told_to_stop_answers_what_it_has_begun() {
    on_both_sites(|site| async move {
        let mut scene = Scene::open(site, &[("TEE", "19.90", 50)]).await;
        let mut carts = Vec::new();
        for _ in 0..6 {
            carts.push(scene.shop.cart(&[("TEE", 1)]).await);
        }
        let asking: Vec<_> = carts.iter().map(|cart| scene.begin(cart, "late:1")).collect();
        scene.site.until(HEARD, 6).await;
        let mut program = scene.program.take().unwrap();
        program.terminate();
        for answer in join_all(asking).await {
            let answer = answer.unwrap().expect("a request that had begun got no answer");
            assert_eq!(answer.expect(201)["result"], "order");
        }
        assert!(program.ended().await.success());
        let app: &App = &scene.shop.app;
        assert!(app.try_send("GET", "/health/live", &[], None).await.is_err());
        eventually("nothing is left", || async { scene.site.number(PENDING).await == 0 }).await;
        scene.restart().await;
        scene.end(6).await;
    });
}
