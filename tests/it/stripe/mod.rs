//! Payments by Stripe, against a far end that knows what Stripe may be asked.

mod far_end;

use std::future::Future;

use serde_json::{Value, json};

use crate::support::{Answer, App, Cart, Shop, eventually, on_both_set};
use far_end::{FarEnd, HUSH, Memory, event, signature};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// A test on both databases, each with a far end that remembers nothing.
fn with_stripe<F: Future<Output = ()>>(test: impl Fn(App, FarEnd, Shop) -> F) {
    let far = FarEnd::start();
    let settings = |settings: &mut kontor::config::Settings| {
        settings.stripe.url.clone_from(&far.receiver.url);
        settings.stripe.secret_key = "sk_test_1".to_owned();
        settings.stripe.webhook_secret = HUSH.to_owned();
    };
    on_both_set(settings, |app| async {
        *far.memory.lock().unwrap() = Memory::default();
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        shop.set(json!({"payment_methods": ["manual", "stripe"]})).await;
        test(app, far.clone(), shop).await;
        far.was_asked_rightly();
    });
}

async fn complete(shop: &Shop, cart: &Cart, card: Option<&str>) -> Answer {
    let body = json!({"payment": {"method": "stripe", "instrument": card, "return_url": "https://shop.example/back"}});
    shop.store("POST", &format!("/carts/{}/complete", cart.id), Some(&cart.token), Some(&body)).await
}

async fn order_of(app: &App, order: &Value) -> Value {
    app.ops("GET", &format!("/orders/{}", text(&order["id"])), None).await.expect(200)
}

/// Ships so many of the order's one line.
async fn ship(app: &App, order: &Value, quantity: i64) {
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    let work = app.ops("GET", &path, None).await.expect(200)["fulfilment_orders"].clone();
    let open = work.as_array().unwrap().iter().find(|one| one["state"] != "closed").unwrap().clone();
    let path = format!("/fulfilment-orders/{}/ship", text(&open["id"]));
    let body = json!({"lines": [{"line_no": 1, "quantity": quantity}]});
    app.ops("POST", &path, Some(&body)).await.expect(201);
}

/// Tells what has become of a PaymentIntent, or of something else.
async fn tell(app: &App, id: &str, kind: &str, object: &Value) -> Answer {
    let body = event(id, kind, object);
    let sent = signature(app.now().micros() / 1_000_000, &body.to_string(), HUSH);
    app.send("POST", "/v1/webhooks/payments/stripe", &[("Stripe-Signature", &sent)], Some(&body)).await
}

async fn received(app: &App, far: &FarEnd, amount: i64) {
    eventually(&format!("{amount} came in"), || async {
        app.clock.advance_seconds(10);
        far.intent()["amount_received"] == amount
    })
    .await;
}

#[test]
fn each_parcel_is_captured_and_the_last_one_ends_the_promise() {
    with_stripe(|app, far, shop| async move {
        let cart = shop.cart(&[("TEE", 3)]).await;
        let order = complete(&shop, &cart, Some("pm_card_visa")).await.expect(201)["order"].clone();
        assert_eq!(
            (far.intent()["status"].as_str(), &far.intent()["amount"]),
            (Some("requires_capture"), &json!(6_460))
        );
        ship(&app, &order, 1).await;
        eventually("the first is captured", || async { far.intent()["amount_received"] != 0 }).await;
        assert_eq!(far.intent()["status"], "requires_capture");
        ship(&app, &order, 2).await;
        received(&app, &far, 6_460).await;
        assert_eq!(far.intent()["status"], "succeeded");
        eventually("it is noted", || async { order_of(&app, &order).await["payment_state"] == "captured" }).await;
        let body = json!({"amount": {"amount": "10.00", "currency": "EUR"}, "reason": "goodwill"});
        let refund = app.ops("POST", &format!("/orders/{}/refunds", text(&order["id"])), Some(&body)).await;
        assert!(refund.status < 300, "{}", refund.text);
        eventually("it is given back", || async { far.memory.lock().unwrap().refunds.len() == 1 }).await;
        assert_eq!(far.memory.lock().unwrap().refunds[0]["amount"], 1_000);
    });
}

#[test]
fn what_stripe_keeps_is_asked_for_and_booked_once() {
    with_stripe(|app, far, shop| async move {
        let cart = shop.cart(&[("TEE", 3)]).await;
        let order = complete(&shop, &cart, Some("pm_card_visa")).await.expect(201)["order"].clone();
        let own = format!("/orders/{}", text(&order["id"]));
        let ledger = async || app.ops("GET", &format!("{own}/ledger"), None).await.expect(200);
        let fees = async || {
            let seen = app.ops("GET", &format!("{own}/payments"), None).await.expect(200);
            seen["payments"][0]["fees"].as_array().cloned().unwrap_or_default()
        };
        ship(&app, &order, 1).await;
        eventually("what was kept of the first is known", async || fees().await.len() == 1).await;
        // Of the second it does not know for a while.
        far.memory.lock().unwrap().untold = 1;
        ship(&app, &order, 2).await;
        let asked = "SELECT count(*) FROM jobs WHERE kind = 'payment.fees' AND attempt > 0 AND state = 'ready'";
        eventually("it has not told yet", async || {
            app.clock.advance_seconds(10);
            app.count(asked).await == 1
        })
        .await;
        assert_eq!(fees().await.len(), 1);
        far.memory.lock().unwrap().untold = 0;
        eventually("and of the second", async || {
            app.clock.advance_seconds(60);
            fees().await.len() == 2
        })
        .await;
        // 24.80 and 39.80.
        let first = fees().await[0].clone();
        assert_eq!((&first["reference"], &first["amount"]["amount"]), (&json!("txn_1"), &json!("0.62")));
        let payments = app.ops("GET", &format!("{own}/payments"), None).await.expect(200);
        let path = format!("/payments/{}/fees", text(&payments["payments"][0]["id"]));
        let record = async |reference: &str, amount: &str, currency: &str| {
            let body = json!({"reference": reference, "amount": {"amount": amount, "currency": currency}});
            app.ops("POST", &path, Some(&body)).await
        };
        // A statement tells the same once more, and what Stripe has not told.
        let again = futures::future::join_all((0..4).map(|_| record("txn_1", "0.62", "EUR"))).await;
        assert!(again.iter().all(|one| one.status == 200), "{again:?}");
        let more = futures::future::join_all((0..4).map(|_| record("txn_9", "0.10", "EUR"))).await;
        assert!(more.iter().all(|one| one.status == 200), "{more:?}");
        record("txn_1", "0.63", "EUR").await.problem(409, "duplicate");
        record("txn_7", "0.00", "EUR").await.problem(422, "invalid_value");
        // What is in another currency is noted.
        let seen = record("txn_8", "0.20", "USD").await.expect(200);
        assert_eq!(seen["fees"].as_array().unwrap().len(), 4);
        let balance = async |account: &str| {
            let seen = ledger().await;
            let found = seen["balances"].as_array().unwrap().iter().find(|one| one["account"] == account).cloned();
            found.map_or(json!("0.00"), |one| one["amount"]["amount"].clone())
        };
        assert_eq!((balance("fee").await, balance("chargeback").await), (json!("1.56"), json!("-1.56")));
        assert_eq!(balance("receivable").await, "0.00");
    });
}

#[test]
fn answers_that_are_lost_double_nothing() {
    with_stripe(|app, far, shop| async move {
        // Making it is heard of, and confirming it: both answers are lost.
        far.memory.lock().unwrap().lost = 2;
        let cart = shop.cart(&[("TEE", 2)]).await;
        complete(&shop, &cart, Some("pm_card_visa")).await.expect(202);
        eventually("it is looked up, or given up and begun anew", || async {
            app.clock.advance_seconds(60);
            let again = complete(&shop, &cart, Some("pm_card_visa")).await;
            again.status == 201
        })
        .await;
        let memory = |read: fn(&Memory) -> usize| read(&far.memory.lock().unwrap());
        let promised =
            memory(|memory| memory.intents.values().filter(|intent| intent["status"] == "requires_capture").count());
        assert_eq!(promised, 1, "one promise, and what was begun before is cancelled");
        let found = app.ops("GET", "/orders", None).await.expect(200);
        let order = found["items"][0].clone();
        assert_eq!(found["items"].as_array().unwrap().len(), 1);
        far.memory.lock().unwrap().lost = 1;
        ship(&app, &order, 2).await;
        eventually("it is captured", || async {
            app.clock.advance_seconds(60);
            order_of(&app, &order).await["payment_state"] == "captured"
        })
        .await;
        far.memory.lock().unwrap().lost = 1;
        let body = json!({"amount": {"amount": "5.00", "currency": "EUR"}, "reason": "late"});
        app.ops("POST", &format!("/orders/{}/refunds", text(&order["id"])), Some(&body)).await;
        eventually("it is given back", || async {
            app.clock.advance_seconds(60);
            order_of(&app, &order).await["payment_state"] == "partially_refunded"
        })
        .await;
        let taken: i64 =
            far.memory.lock().unwrap().intents.values().map(|one| one["amount_received"].as_i64().unwrap()).sum();
        assert_eq!((taken, memory(|memory| memory.refunds.len())), (4_470, 1));
    });
}

#[test]
fn what_stripe_has_forgotten_the_key_of_is_not_done_again() {
    with_stripe(|app, far, shop| async move {
        let cart = shop.cart(&[("TEE", 1)]).await;
        let order = complete(&shop, &cart, Some("pm_card_visa")).await.expect(201)["order"].clone();
        // The answers are lost, and for more than a day nobody comes through.
        far.memory.lock().unwrap().lost = 1;
        ship(&app, &order, 1).await;
        eventually("it was captured", || async { far.intent()["amount_received"] == 2_480 }).await;
        far.memory.lock().unwrap().forgets_keys = true;
        eventually("it is found", || async {
            app.clock.advance_seconds(3_600);
            order_of(&app, &order).await["payment_state"] == "captured"
        })
        .await;
        assert_eq!(far.intent()["amount_received"], 2_480);
        far.memory.lock().unwrap().lost = 1;
        let body = json!({"amount": {"amount": "5.00", "currency": "EUR"}, "reason": "late"});
        app.ops("POST", &format!("/orders/{}/refunds", text(&order["id"])), Some(&body)).await;
        app.clock.advance_seconds(30 * 3_600);
        eventually("it is found too", || async {
            app.clock.advance_seconds(3_600);
            order_of(&app, &order).await["payment_state"] == "partially_refunded"
        })
        .await;
        assert_eq!(far.memory.lock().unwrap().refunds.len(), 1);
    });
}

#[test]
fn a_redirect_ends_in_one_order_however_its_news_come() {
    with_stripe(|app, far, shop| async move {
        let cart = shop.cart(&[("TEE", 1)]).await;
        let asked = complete(&shop, &cart, Some("pm_card_authenticationRequired")).await.expect(202);
        assert_eq!(
            (text(&asked["action"]["type"]), text(&asked["action"]["url"])),
            ("redirect", "https://bank.example/3ds")
        );
        let before = far.intent();
        far.customer_pays();
        let after = far.intent();
        // Forged, old and foreign news change nothing.
        let body = event("evt_0", "payment_intent.amount_capturable_updated", &after);
        let seconds = app.now().micros() / 1_000_000;
        for header in [
            signature(seconds, &body.to_string(), "whsec_other"),
            signature(seconds - 3_600, &body.to_string(), HUSH),
            signature(seconds, "{}", HUSH),
            "v1=00".to_owned(),
        ] {
            let path = "/v1/webhooks/payments/stripe";
            let told = app.send("POST", path, &[("Stripe-Signature", &header)], Some(&body)).await;
            told.problem(401, "webhook_signature_invalid");
        }
        tell(&app, "evt_9", "charge.succeeded", &json!({"id": "ch_1", "object": "charge"})).await.expect(202);
        assert_eq!(shop.count("orders").await, 0);
        // Doubled, and the older one after the newer.
        for (id, object) in [("evt_2", &after), ("evt_1", &before), ("evt_2", &after)] {
            tell(&app, id, "payment_intent.amount_capturable_updated", object).await.expect(202);
        }
        eventually("the order is there", || async { shop.count("orders").await == 1 }).await;
        tell(&app, "evt_3", "payment_intent.requires_action", &before).await.expect(202);
        let order = complete(&shop, &cart, Some("pm_card_visa")).await.expect(201)["order"].clone();
        assert_eq!((shop.count("orders").await, text(&order["payment_state"])), (1, "authorised"));
        // The news did not say until when the promise holds; it was looked up.
        assert_eq!(text(&order["payments"][0]["expires_at"]), "2096-10-02T07:06:40Z");
    });
}

#[test]
fn a_customer_who_never_comes_back_is_found_without_news() {
    with_stripe(|app, far, shop| async move {
        let cart = shop.cart(&[("TEE", 1)]).await;
        // The storefront's form confirms it in the browser.
        let asked = complete(&shop, &cart, None).await.expect(202);
        assert_eq!(
            (text(&asked["action"]["type"]), text(&asked["action"]["client_secret"])),
            ("stripe", "pi_1_secret")
        );
        // A card that is refused in the form is no end: another may be tried in it.
        let mut refused = far.intent();
        refused["last_payment_error"] = json!({"type": "card_error", "code": "card_declined"});
        tell(&app, "evt_1", "payment_intent.payment_failed", &refused).await.expect(202);
        far.customer_pays();
        eventually("the sweeper has found the promise", || async {
            app.clock.advance_seconds(60);
            shop.count("orders").await == 1
        })
        .await;
        assert_eq!(far.intent()["status"], "requires_capture");
    });
}

#[test]
fn money_that_finds_no_order_is_given_up() {
    with_stripe(|app, far, shop| async move {
        let cart = shop.cart(&[("TEE", 1)]).await;
        complete(&shop, &cart, None).await.expect(202);
        let path = format!("/carts/{}/give-up-payment", cart.id);
        let ended = app.ops("POST", &path, Some(&json!({}))).await;
        assert!(ended.status < 300, "{}", ended.text);
        assert_eq!(far.intent()["status"], "canceled");
        // News of before are about something that is over.
        let mut late = far.intent();
        late["status"] = json!("requires_capture");
        tell(&app, "evt_1", "payment_intent.amount_capturable_updated", &late).await.expect(202);
        let other = complete(&shop, &cart, Some("pm_card_visa")).await.expect(201);
        assert_eq!((shop.count("orders").await, text(&other["result"])), (1, "order"));
    });
}

#[test]
fn a_declined_card_leaves_the_cart_and_a_cancelled_order_its_money() {
    with_stripe(|app, far, shop| async move {
        let cart = shop.cart(&[("TEE", 1)]).await;
        let refused = complete(&shop, &cart, Some("pm_card_chargeDeclined")).await;
        assert!(refused.text.contains("insufficient_funds"), "{}", refused.text);
        far.memory.lock().unwrap().intents.clear();
        let order = complete(&shop, &cart, Some("pm_card_visa")).await.expect(201)["order"].clone();
        app.ops("POST", &format!("/orders/{}/cancel", text(&order["id"])), Some(&json!({"reason": "changed"})))
            .await
            .expect(200);
        eventually("the promise is given up", || async {
            app.clock.advance_seconds(10);
            far.memory.lock().unwrap().intents.values().any(|intent| intent["status"] == "canceled")
        })
        .await;
        let promised =
            far.memory.lock().unwrap().intents.values().filter(|one| one["status"] == "requires_capture").count();
        assert_eq!(promised, 0);
    });
}

#[test]
fn a_card_that_takes_one_capture_says_so_for_the_second_parcel() {
    with_stripe(|app, far, shop| async move {
        far.memory.lock().unwrap().one_capture = true;
        let cart = shop.cart(&[("TEE", 2)]).await;
        let order = complete(&shop, &cart, Some("pm_card_visa")).await.expect(201)["order"].clone();
        ship(&app, &order, 1).await;
        eventually("the first is captured", || async { far.intent()["status"] == "succeeded" }).await;
        let taken = far.intent()["amount_received"].clone();
        ship(&app, &order, 1).await;
        eventually("people are told", || async {
            app.clock.advance_seconds(10);
            let waiting = app.ops("GET", "/worklists/failed_payments", None).await.expect(200);
            waiting.to_string().contains("one capture")
        })
        .await;
        assert_eq!(far.intent()["amount_received"], taken);
    });
}

#[test]
fn a_promise_is_of_one_order_and_stays_whole() {
    with_stripe(|app, far, shop| async move {
        let cart = shop.cart(&[("TEE", 2)]).await;
        let order = complete(&shop, &cart, Some("pm_card_visa")).await.expect(201)["order"].clone();
        let path = format!("/orders/{}/split", text(&order["id"]));
        let one = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "later"});
        let refused = app.ops("POST", &path, Some(&one)).await;
        assert_eq!(refused.problem(409, "payment_indivisible")["payment"], order["payments"][0]["id"]);
        ship(&app, &order, 2).await;
        received(&app, &far, 4_470).await;
    });
}

#[test]
fn a_dispute_is_opened_by_its_news_and_a_question_is_not() {
    with_stripe(|app, far, shop| async move {
        let cart = shop.cart(&[("TEE", 1)]).await;
        let order = complete(&shop, &cart, Some("pm_card_visa")).await.expect(201)["order"].clone();
        ship(&app, &order, 1).await;
        eventually("it is captured", || async { order_of(&app, &order).await["payment_state"] == "captured" }).await;
        let dispute = |status: &str| {
            json!({
                "id": "du_1", "object": "dispute", "amount": 2_480, "currency": "eur", "reason": "product_not_received", "status": status,
                "payment_intent": far.intent()["id"], "evidence_details": {"due_by": 4_000_000_000_i64},
                "balance_transactions": [{"fee": 2_000, "currency": "eur"}],
            })
        };
        tell(&app, "evt_1", "charge.dispute.created", &dispute("warning_needs_response")).await.expect(202);
        tell(&app, "evt_2", "charge.dispute.created", &dispute("needs_response")).await.expect(202);
        let payments = format!("/orders/{}/payments", text(&order["id"]));
        let disputed =
            || async { app.ops("GET", &payments, None).await.expect(200)["payments"][0]["disputed"]["amount"].clone() };
        eventually("it is open", || async { disputed().await == "24.80" }).await;
        tell(&app, "evt_3", "charge.dispute.closed", &dispute("won")).await.expect(202);
        eventually("it is won", || async { disputed().await.is_null() }).await;
    });
}

#[test]
fn a_refund_that_fails_later_is_owed_again_and_seen() {
    with_stripe(|app, far, shop| async move {
        let cart = shop.cart(&[("TEE", 2)]).await;
        let order = complete(&shop, &cart, Some("pm_card_visa")).await.expect(201)["order"].clone();
        ship(&app, &order, 2).await;
        eventually("it is captured", || async { order_of(&app, &order).await["payment_state"] == "captured" }).await;
        let own = format!("/orders/{}", text(&order["id"]));
        let body = json!({"amount": {"amount": "5.00", "currency": "EUR"}, "reason": "late"});
        app.ops("POST", &format!("{own}/refunds"), Some(&body)).await.expect(202);
        let refunded = || async { order_of(&app, &order).await["payments"][0]["refunded"]["amount"].clone() };
        eventually("it is given back", || async { refunded().await == "5.00" }).await;
        let mut refund = far.memory.lock().unwrap().refunds[0].clone();
        tell(&app, "evt_1", "refund.updated", &refund).await.expect(202);
        refund["status"] = json!("failed");
        refund["failure_reason"] = json!("expired_or_canceled_card");
        // Told twice, under two names, it has failed once.
        tell(&app, "evt_2", "refund.failed", &refund).await.expect(202);
        tell(&app, "evt_3", "charge.refund.updated", &refund).await.expect(202);
        eventually("it counts as not given back", || async { refunded().await == "0.00" }).await;
        let heard = "SELECT count(*) FROM jobs WHERE kind = 'payment.notified' AND state <> 'dead'";
        eventually("all is heard", || async { app.count(heard).await == 0 }).await;
        let waiting = app.ops("GET", "/worklists/failed_payments", None).await.expect(200);
        assert_eq!(waiting["items"].as_array().unwrap().len(), 1, "{waiting}");
        assert!(waiting.to_string().contains("expired_or_canceled_card"), "{waiting}");
        // What comes back then goes onto a card for what it is worth, and what was owed before goes back the way it came.
        let back = json!({"order": order["id"], "lines": [{"line_no": 1, "quantity": 1}], "refund": true, "restock": true,
            "refund_to": {"to": "gift_card"}});
        app.ops("POST", "/returns", Some(&back)).await.expect(201);
        eventually("it is given back anew", || async { refunded().await == "24.90" }).await;
        assert_eq!(app.count("SELECT CAST(sum(balance) AS BIGINT) FROM stored_values").await, 1_990);
        assert_eq!(far.memory.lock().unwrap().refunds.len(), 2);
    });
}

#[test]
fn without_a_key_nobody_pays_with_it() {
    crate::support::on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        shop.set(json!({"payment_methods": ["stripe"]})).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        let refused = complete(&shop, &cart, Some("pm_card_visa")).await;
        assert!((400..500).contains(&refused.status) && refused.text.contains("stripe.secret_key"), "{}", refused.text);
        let told = app.send("POST", "/v1/webhooks/payments/stripe", &[], Some(&json!({}))).await;
        told.problem(401, "webhook_signature_invalid");
    });
}
