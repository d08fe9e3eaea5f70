//! The same cases over every adapter: what a far end may do to us, and what it must come to in the end.
//!
//! Each adapter has a [`Double`]: a far end that answers as its vendor's system does, as strictly, and counts what was made. A
//! new adapter adds one to [`doubles`]; the first test fails until it has.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use diesel::sql_types::BigInt;
use kontor::{db::sql, kernel::Scope};
use serde_json::{Value, json};

use super::{
    dispatches, hubspot_double::HubSpot, odoo_double::Odoo, path, reaches, tryton_double::Tryton,
    webhook_double::Webhook,
};
use crate::support::{App, Deed, Received, Receiver, Shop, eventually, on_both};

/// An order as a far end has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Our number of it.
    pub order: String,
    /// Whether it is not wanted any more.
    pub cancelled: bool,
    /// How many pieces it is of.
    pub pieces: i64,
}

/// A far end that answers as a vendor's system does.
pub trait Double: Send + Sync {
    fn adapter(&self) -> &'static str;
    fn settings(&self, url: &str) -> Value;
    fn secrets(&self) -> Value;
    /// What must not be found in what is kept of a push.
    fn secret_words(&self) -> Vec<String>;
    fn answer(&self, request: &Received) -> (u16, String);
    /// How it says that it does not take a document as it is.
    fn refuse(&self) -> (u16, String);
    /// The orders that it has: each once for each time that it was made.
    fn holds(&self) -> Vec<Held>;
    /// Whether an order does not change there once it is under way.
    fn is_final(&self) -> bool;
    /// Ends the sessions that it has opened, where it has such.
    fn forget_sessions(&self) {}
    /// Takes a backup of what it has.
    fn back_up(&self);
    /// Goes back to its backup: whatever came after it is lost.
    fn go_back(&self);
    /// Whether it can be asked what it has.
    fn is_searchable(&self) -> bool {
        true
    }
    /// Somebody there changes what a sale costs, if it has such.
    fn change_total(&self, _order: &str) {}
    /// It has a sale with our key of an order that nobody knows here, if it has such.
    fn make_unknown(&self, _key: &str) {}
}

pub fn doubles() -> Vec<Arc<dyn Double>> {
    vec![
        Arc::new(Tryton::new()),
        Arc::new(Webhook::new()),
        Arc::new(Odoo::new(false)),
        Arc::new(Odoo::new(true)),
        Arc::new(HubSpot::new()),
    ]
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does not arrive.
    Cut,
    /// It arrives, is done, and the answer is lost: the moment of a crash on either side.
    Lost,
    /// It arrives and is answered with a status.
    Status(u16),
    /// The far end asks for patience.
    Patience,
    /// The far end says in its own way that it does not take it.
    Refused,
    /// The answer is no answer of the system.
    Garbage,
}

/// A double with faults: what goes wrong with the request of a number, once.
pub struct Stage {
    pub double: Arc<dyn Double>,
    pub receiver: Receiver,
    faults: Arc<Mutex<BTreeMap<usize, Fault>>>,
    seen: Arc<Mutex<usize>>,
}

impl Stage {
    pub fn new(double: Arc<dyn Double>) -> Self {
        let faults: Arc<Mutex<BTreeMap<usize, Fault>>> = Arc::default();
        let seen: Arc<Mutex<usize>> = Arc::default();
        let (asked, counted, behind) = (faults.clone(), seen.clone(), double.clone());
        let receiver = Receiver::start(move |request, _| {
            let number = {
                let mut seen = counted.lock().unwrap();
                *seen += 1;
                *seen
            };
            let fault = asked.lock().unwrap().remove(&number);
            let say = |(status, body)| Deed::Say(status, body);
            match fault {
                None => say(behind.answer(request)),
                Some(Fault::Cut) => Deed::HangUp,
                Some(Fault::Lost) => {
                    behind.answer(request);
                    Deed::HangUp
                }
                Some(Fault::Status(status)) => Deed::Answer(status, ""),
                Some(Fault::Patience) => Deed::Answer(429, "Retry-After: 90\r\n"),
                Some(Fault::Refused) => say(behind.refuse()),
                Some(Fault::Garbage) => Deed::Say(200, "<html>Please wait".into()),
            }
        });
        Self { double, receiver, faults, seen }
    }

    fn url(&self) -> String {
        self.receiver.url.trim_end_matches("/hook").to_owned()
    }

    /// Has something go wrong with the request after so many from now.
    pub fn fail(&self, after: usize, fault: Fault) {
        let next = *self.seen.lock().unwrap() + 1 + after;
        self.faults.lock().unwrap().insert(next, fault);
    }

    pub fn heal(&self) {
        self.faults.lock().unwrap().clear();
    }

    pub fn requests(&self) -> usize {
        *self.seen.lock().unwrap()
    }

    pub async fn connect(&self, app: &App, more: Value) -> Value {
        let mut body = json!({
            "name": format!("ERP {}", self.double.adapter()), "adapter": self.double.adapter(),
            "settings": self.double.settings(&self.url()), "secrets": self.double.secrets(), "types": ["order."],
            // What it reads back would be counted among the requests that go wrong.
            "direction": "out",
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        app.ops("POST", "/connectors", Some(&body)).await.expect(201)
    }

    /// What the double has of an order.
    pub fn of(&self, order: &Value) -> Vec<Held> {
        let number = order["number"].as_str().unwrap();
        self.double.holds().into_iter().filter(|held| held.order == number).collect()
    }
}

/// Waits until everything in the log has been made into dispatches.
pub async fn caught_up(app: &App, made: &Value) {
    if app.is_postgres() {
        let unnumbered = "SELECT count(*) FROM events WHERE position IS NULL";
        eventually("every event has its place", || async { app.count(unnumbered).await == 0 }).await;
    }
    eventually("the log is read", || async {
        app.ops("GET", &path(made, ""), None).await.expect(200)["backlog"]["behind"] == 0
    })
    .await;
}

pub async fn settled(app: &App, made: &Value) {
    caught_up(app, made).await;
    eventually("all has arrived", || async {
        dispatches(app, made, "pending").await.is_empty() && app.count("SELECT count(*) FROM jobs").await == 0
    })
    .await;
}

/// Whether nothing is under way, nor can be until the clock goes on. Else a lease would run out while its worker is at it.
pub async fn nothing_moves(app: &App) -> bool {
    let now = app.now();
    let moving = app.read(move |tx| {
        let query = "SELECT count(*) FROM jobs WHERE state = 'leased' OR state = 'ready' AND run_at <= ? \
                     AND NOT EXISTS (SELECT 1 FROM job_lanes WHERE job_lanes.lane = jobs.lane AND closed_until > ?)";
        sql(query).bind(now).bind(now).first::<BigInt, i64>(tx)
    });
    moving.await == Some(0)
}

/// Turns the clock on until nothing is pending any more: tries, pauses of a breaker, patience.
async fn in_time(app: &App, made: &Value) {
    caught_up(app, made).await;
    eventually("it arrives in time", || async {
        if nothing_moves(app).await {
            app.clock.advance_seconds(120);
        }
        dispatches(app, made, "pending").await.is_empty()
    })
    .await;
}

/// A story over each adapter, each with a shop and a double of its own, on both databases.
pub fn over_each<F: Future<Output = ()>>(story: impl Fn(App, Shop, Arc<Stage>) -> F) {
    for place in 0..doubles().len() {
        let story = &story;
        on_both(move |app| async move {
            let shop = Shop::open(&app, &[("TEE-M", "19.99", 500), ("MUG", "7.77", 500)]).await;
            let stage = Arc::new(Stage::new(doubles().swap_remove(place)));
            story(app, shop, stage).await;
        });
    }
}

#[test]
fn every_adapter_has_a_double() {
    on_both(|app| async move {
        let listed = app.ops("GET", "/adapters", None).await.expect(200);
        let known: Vec<&str> =
            listed["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
        let mut doubled: Vec<&str> = doubles().iter().map(|double| double.adapter()).collect();
        doubled.sort_by_key(|name| known.iter().position(|other| other == name));
        // A system that is spoken to in several ways has a double for each.
        doubled.dedup();
        assert_eq!(known, doubled);
    });
}

#[test]
fn an_order_is_there_once_whatever_is_sent_again_and_is_cancelled_with_ours() {
    over_each(|app, shop, stage| async move {
        let made = stage.connect(&app, json!({})).await;
        let tested = app.ops("POST", &path(&made, "/test"), None).await.expect(200);
        assert_eq!(tested["ok"], true, "{tested}");
        let order = shop.order(&[("TEE-M", 2), ("MUG", 1)]).await;
        reaches(&app, &made, "delivered", 1).await;
        let number = order["number"].as_str().unwrap();
        let there = Held { order: number.to_owned(), cancelled: false, pieces: 3 };
        assert_eq!(stage.of(&order), std::slice::from_ref(&there));

        // What comes twice is one; and the far end's sessions may end between.
        let sent = dispatches(&app, &made, "delivered").await[0]["id"].as_str().unwrap().to_owned();
        stage.double.forget_sessions();
        app.ops("POST", &path(&made, &format!("/dispatches/{sent}/replay")), None).await.expect(200);
        settled(&app, &made).await;
        assert_eq!(stage.of(&order), [there]);

        let cancel = json!({"reason": "changed their mind"});
        app.ops("POST", &format!("/orders/{number}/cancel"), Some(&cancel)).await.expect(200);
        settled(&app, &made).await;
        assert!(stage.of(&order).iter().all(|held| held.cancelled), "{:?}", stage.of(&order));
        // What is old does not bring it back.
        app.ops("POST", &path(&made, &format!("/dispatches/{sent}/replay")), None).await.expect(200);
        settled(&app, &made).await;
        let end = stage.of(&order);
        assert!(end.len() == 1 && end[0].cancelled, "{end:?}");
    });
}

#[test]
fn whatever_is_lost_between_us_and_the_far_end_nothing_is_doubled() {
    over_each(|app, shop, stage| async move {
        let made = stage.connect(&app, json!({"max_attempts": 50})).await;
        // How many requests an order takes: each of them is lost once, before it arrives and after.
        shop.order(&[("TEE-M", 1)]).await;
        reaches(&app, &made, "delivered", 1).await;
        let before = stage.requests();
        shop.order(&[("TEE-M", 1)]).await;
        reaches(&app, &made, "delivered", 2).await;
        let each = stage.requests() - before;
        for place in 0..each {
            for fault in [Fault::Cut, Fault::Lost] {
                stage.fail(place, fault);
                let order = shop.order(&[("TEE-M", 1), ("MUG", 1)]).await;
                in_time(&app, &made).await;
                stage.heal();
                let held = stage.of(&order);
                assert!(held.len() == 1 && held[0].pieces == 2, "{fault:?} of request {place}: {held:?}");
            }
        }
        let dead = dispatches(&app, &made, "dead").await;
        assert!(dead.is_empty(), "{dead:?}");
    });
}

#[test]
fn what_may_pass_is_tried_again_and_what_has_to_be_mended_is_a_dead_letter_at_once() {
    over_each(|app, shop, stage| async move {
        let made = stage.connect(&app, json!({"max_attempts": 50})).await;
        shop.order(&[("MUG", 1)]).await;
        reaches(&app, &made, "delivered", 1).await;
        for fault in [Fault::Status(500), Fault::Status(503), Fault::Status(403), Fault::Patience, Fault::Garbage] {
            if fault == Fault::Garbage && stage.double.adapter() == "webhook" {
                // Whatever it says with a status of success, a webhook's receiver has taken the event.
                continue;
            }
            stage.fail(0, fault);
            let order = shop.order(&[("MUG", 1)]).await;
            in_time(&app, &made).await;
            stage.heal();
            assert_eq!(stage.of(&order).len(), 1, "{fault:?}");
        }
        let dead = dispatches(&app, &made, "dead").await;
        assert!(dead.is_empty(), "{dead:?}");

        stage.fail(0, Fault::Refused);
        let order = shop.order(&[("MUG", 3)]).await;
        reaches(&app, &made, "dead", 1).await;
        let dead = dispatches(&app, &made, "dead").await.remove(0);
        assert_eq!(dead["attempts"], 1, "{dead}");
        // Others go on meanwhile, and a replay goes on where it stopped.
        let other = shop.order(&[("MUG", 1)]).await;
        eventually("the other order", || async { stage.of(&other).len() == 1 }).await;
        let id = dead["id"].as_str().unwrap();
        let detail = app.ops("GET", &path(&made, &format!("/dispatches/{id}")), None).await.expect(200);
        let failure = &detail["failures"][0];
        assert!(failure["error"].as_str().is_some_and(|error| !error.is_empty()), "{detail}");
        app.ops("POST", &path(&made, &format!("/dispatches/{id}/replay")), None).await.expect(200);
        settled(&app, &made).await;
        assert_eq!(
            stage.of(&order),
            [Held { order: order["number"].as_str().unwrap().into(), cancelled: false, pieces: 3 }]
        );
    });
}

#[test]
fn what_is_kept_of_failures_has_no_secrets_and_nothing_personal() {
    over_each(|app, shop, stage| async move {
        let made = stage.connect(&app, json!({"max_attempts": 50})).await;
        for place in 0..12 {
            stage.fail(place, Fault::Status(500));
        }
        shop.order(&[("MUG", 1)]).await;
        in_time(&app, &made).await;
        let id = dispatches(&app, &made, "delivered").await[0]["id"].as_str().unwrap().to_owned();
        let detail = app.ops("GET", &path(&made, &format!("/dispatches/{id}")), None).await.expect(200);
        let failures = detail["failures"].as_array().unwrap();
        assert!(!failures.is_empty(), "{detail}");
        let kept = detail["failures"].to_string();
        let address = crate::support::shop::address();
        let personal = ["name", "street1"].map(|field| address[field].as_str().unwrap().to_owned());
        for word in stage.double.secret_words().into_iter().chain(personal) {
            assert!(!kept.contains(&word), "{word} in {kept}");
        }
    });
}

#[test]
fn what_would_be_sent_is_shown_without_being_sent() {
    over_each(|app, shop, stage| async move {
        let made = stage.connect(&app, json!({"types": ["quote."]})).await;
        let order = shop.order(&[("MUG", 2)]).await;
        caught_up(&app, &made).await;
        let before = stage.requests();
        let shown =
            app.ops("POST", &path(&made, "/dry-run"), Some(&json!({"order": order["number"]}))).await.expect(200);
        assert_eq!((stage.requests(), shown["type"].as_str()), (before, Some("order.placed.v1")), "{shown}");
        assert!(shown["requests"].to_string().contains(order["number"].as_str().unwrap()), "{shown}");
        let unknown = json!({"order": "nobody-knows"});
        app.ops("POST", &path(&made, "/dry-run"), Some(&unknown)).await.problem(404, "not_found");
        app.ops("POST", &path(&made, "/dry-run"), Some(&json!({}))).await.problem(422, "invalid_value");
        let token =
            format!("Bearer {}", app.token(kontor::http::auth::Audience::Staff, "eve", &[Scope::ConnectorsRead]));
        let place = format!("/v1/ops{}", path(&made, "/dry-run"));
        let blind = app.send("POST", &place, &[("Authorization", &token)], Some(&unknown)).await;
        blind.problem(403, "scope_missing");
    });
}

#[test]
fn an_order_that_has_changed_is_changed_there_or_somebody_is_told() {
    over_each(|app, shop, stage| async move {
        let made = stage.connect(&app, json!({})).await;
        let order = shop.order(&[("TEE-M", 2), ("MUG", 1)]).await;
        reaches(&app, &made, "delivered", 1).await;
        let number = order["number"].as_str().unwrap();
        let part = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "one is enough"});
        app.ops("POST", &format!("/orders/{number}/cancel"), Some(&part)).await.expect(200);
        match stage.double.is_final() {
            true => {
                reaches(&app, &made, "dead", 1).await;
                let dead = dispatches(&app, &made, "dead").await.remove(0);
                assert!(dead["error"].as_str().unwrap().contains("change it there"), "{dead}");
                let skip = json!({"reason": "changed there by hand"});
                let place = path(&made, &format!("/dispatches/{}/skip", dead["id"].as_str().unwrap()));
                app.ops("POST", &place, Some(&skip)).await.expect(200);
            }
            false => {
                settled(&app, &made).await;
                assert_eq!(stage.of(&order), [Held { order: number.into(), cancelled: false, pieces: 2 }]);
            }
        }
    });
}
