//! Money that is asked for after the order, by a link: paid once, never for more than is owed, given up where nothing is owed any more,
//! and whatever dies in between.

use std::time::Duration;

use futures::future::{join, join_all};
use serde_json::{Value, json};

use crate::{
    amendments::Draft,
    crash::Scene,
    support::{Answer, App, Shop, eventually, on_both, on_both_sites},
};

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn cents(money: &Value) -> i64 {
    text(&money["amount"]).replace('.', "").parse().unwrap()
}

/// Two mugs for 25.00 each, and shipping for 4.90, to be transferred.
async fn by_hand(shop: &Shop) -> String {
    let cart = shop.cart(&[("MUG", 2)]).await;
    let pay = json!({"payment": {"method": "manual"}});
    let path = format!("/carts/{}/complete", cart.id);
    text(&shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201)["order"]["id"])
}

async fn shop(app: &App) -> Shop {
    Shop::open(app, &[("MUG", "25.00", 500), ("TEE", "10.00", 500)]).await
}

async fn ask(app: &App, order: &str, what: Value) -> Answer {
    app.ops("POST", &format!("/orders/{order}/payment-requests"), Some(&what)).await
}

async fn link(app: &App, order: &str, what: Value) -> (String, String) {
    let made = ask(app, order, what).await.expect(201);
    (text(&made["id"]), text(&made["token"]))
}

async fn open(shop: &Shop, token: &str) -> Value {
    shop.store("POST", "/payment-requests/open", None, Some(&json!({ "token": token }))).await.expect(200)
}

async fn pay(shop: &Shop, token: &str, instrument: &str) -> Answer {
    let body = json!({"token": token, "payment": {"method": "sandbox", "instrument": instrument}});
    shop.store("POST", "/payment-requests/pay", None, Some(&body)).await
}

async fn state(app: &App, id: &str) -> String {
    text(&app.ops("GET", &format!("/payment-requests/{id}"), None).await.expect(200)["state"])
}

async fn document(app: &App, order: &str) -> Value {
    app.ops("GET", &format!("/orders/{order}"), None).await.expect(200)
}

async fn receive(app: &App, order: &str, amount: &str, reference: &str) -> Answer {
    let body = json!({"amount": eur(amount), "reference": reference});
    app.ops("POST", &format!("/orders/{order}/payments"), Some(&body)).await
}

/// Ships all that is left of an order.
async fn ship(app: &App, order: &str) {
    let work = app.ops("GET", &format!("/orders/{order}/fulfilment"), None).await.expect(200);
    for one in work["fulfilment_orders"].as_array().unwrap().iter().filter(|one| one["state"] == "open") {
        let path = format!("/fulfilment-orders/{}/ship", text(&one["id"]));
        app.ops("POST", &path, Some(&json!({}))).await.expect(201);
    }
}

/// What a payment of an order comes to, over all of them.
fn sum(order: &Value, member: &str) -> i64 {
    order["payments"].as_array().unwrap().iter().map(|one| cents(&one[member])).sum()
}

/// Waits until no money is on its way but what waits for somebody's hand.
async fn settled(app: &App) {
    let pending = "SELECT (SELECT count(*) FROM payment_operations AS o JOIN payments AS p ON p.id = o.payment_id \
                   WHERE o.state = 'pending' AND NOT (p.provider = 'manual' AND o.kind = 'refund')) + \
                   (SELECT count(*) FROM payments WHERE state IN ('pending', 'action_required') \
                     OR state = 'authorised' AND order_id IS NULL)";
    eventually("its money is settled", async || app.count(pending).await == 0).await;
}

async fn balanced(app: &App) {
    let off =
        "SELECT count(*) FROM (SELECT order_id FROM ledger_entries GROUP BY order_id HAVING sum(amount) <> 0) AS off";
    assert_eq!(app.count(off).await, 0);
}

#[test]
fn what_an_amendment_makes_dearer_is_paid_by_its_link_once() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let placed = shop.order(&[("MUG", 1)]).await;
        let order = text(&placed["id"]);
        // All of it is promised.
        ask(&app, &order, json!({})).await.problem(409, "state_conflict");
        let mut draft = Draft::begin(&app, &order).await;
        draft.edit(json!([{"type": "add_line", "sku": "TEE", "quantity": 2}])).await;
        let version = draft.body["order_version"].clone();
        let asked = json!({"hours": 24, "message": "Two tees, as discussed"});
        let confirmed = draft.send("confirm", Some(&json!({"order_version": version, "payment_request": asked}))).await;
        let done = confirmed.expect(200);
        let (id, token) = (text(&done["payment_request"]["id"]), text(&done["payment_request"]["token"]));
        assert_eq!(done["payment_request"]["amount"], eur("20.00"));
        assert_eq!(done["order"]["holds"][0]["kind"], "payment");
        let seen = open(&shop, &token).await;
        assert_eq!((&seen["amount"], &seen["state"]), (&eur("20.00"), &json!("open")));
        assert_eq!((&seen["message"], &seen["order_number"]), (&json!("Two tees, as discussed"), &placed["number"]));
        assert_eq!(seen["payment_methods"], json!(["sandbox"]));
        let failed = pay(&shop, &token, "decline").await.expect(200);
        assert_eq!(
            (&failed["result"], &failed["decline"]["code"]),
            (&json!("payment_failed"), &json!("insufficient_funds"))
        );
        assert_eq!(state(&app, &id).await, "open");
        let answers = join_all((0..5).map(|_| pay(&shop, &token, "approve_recorded"))).await;
        for answer in answers {
            assert_eq!(answer.expect(200), json!({"result": "paid", "amount": eur("20.00")}));
        }
        assert_eq!(app.count("SELECT count(*) FROM sandbox_payments").await, 1);
        let paid = document(&app, &order).await;
        assert_eq!((sum(&paid, "capturable"), paid.get("holds")), (4_990, None));
        assert_eq!(open(&shop, &token).await["state"], "paid");
        app.ops("POST", &format!("/payment-requests/{id}/withdraw"), None).await.problem(409, "state_conflict");
        ship(&app, &order).await;
        eventually("all is taken", async || sum(&document(&app, &order).await, "captured") == 4_990).await;
        settled(&app).await;
        balanced(&app).await;
        let timeline = app.ops("GET", &format!("/orders/{order}/timeline?limit=200"), None).await.expect(200);
        let told: Vec<&Value> = timeline["items"].as_array().unwrap().iter().map(|one| &one["type"]).collect();
        for wanted in ["payment.authorised.v1", "payment_request.created.v1", "payment_request.updated.v1"] {
            assert!(told.contains(&&json!(wanted)), "{wanted}: {told:?}");
        }
        // What nobody has to pay is not asked for.
        let mut draft = Draft::begin(&app, &text(&shop.order(&[("MUG", 2)]).await["id"])).await;
        draft.edit(json!([{"type": "set_quantity", "line_no": 1, "quantity": 1}])).await;
        let version = draft.body["order_version"].clone();
        let confirmed = draft.send("confirm", Some(&json!({"order_version": version, "payment_request": {}}))).await;
        assert!(confirmed.expect(200).get("payment_request").is_none());
    });
}

#[test]
fn links_never_ask_for_more_than_is_owed_and_end_by_themselves() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let order = by_hand(&shop).await;
        let (first, token) = link(&app, &order, json!({"amount": eur("30.00")})).await;
        let refused = ask(&app, &order, json!({"amount": eur("24.91")})).await.problem(409, "state_conflict");
        assert_eq!((&refused["pointer"], &refused["left"]), (&json!("/amount"), &eur("24.90")));
        let (rest, rest_token) = link(&app, &order, json!({"hours": 1})).await;
        assert_eq!(open(&shop, &rest_token).await["amount"], eur("24.90"));
        ask(&app, &order, json!({})).await.problem(409, "state_conflict");
        for (what, pointer) in [
            (json!({"hours": 0}), "/hours"),
            (json!({"amount": {"amount": "1.00", "currency": "USD"}}), "/amount/currency"),
            (json!({"amount": eur("0.00")}), "/amount/amount"),
        ] {
            assert_eq!(ask(&app, &order, what).await.problem(422, "invalid_value")["pointer"], pointer);
        }
        for method in ["manual", "gift_card", "stripe"] {
            let body = json!({"token": token, "payment": {"method": method}});
            let refused = shop.store("POST", "/payment-requests/pay", None, Some(&body)).await;
            refused.problem(422, "payment_method_unavailable");
        }
        let made_up = format!("{token}x");
        let body = json!({ "token": made_up });
        shop.store("POST", "/payment-requests/open", None, Some(&body)).await.problem(404, "not_found");
        app.ops("POST", &format!("/payment-requests/{first}/withdraw"), None).await.expect(200);
        let withdrawn = pay(&shop, &token, "approve").await.problem(409, "state_conflict");
        assert_eq!(withdrawn["state"], "withdrawn");
        app.clock.advance_seconds(3_601);
        assert_eq!(pay(&shop, &rest_token, "approve").await.problem(409, "state_conflict")["state"], "expired");
        // What was withdrawn or has expired can be asked for again; what came by hand meanwhile can not be paid again.
        let (_, token) = link(&app, &order, json!({})).await;
        receive(&app, &order, "10.00", "B1").await.expect(200);
        assert_eq!(pay(&shop, &token, "approve").await.problem(409, "state_conflict")["state"], "void");
        let listed = app.ops("GET", &format!("/orders/{order}/payment-requests"), None).await.expect(200);
        let states: Vec<&Value> =
            listed["payment_requests"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
        assert_eq!(states, ["withdrawn", "expired", "void"]);
        assert_eq!(state(&app, &rest).await, "expired");
        let (_, token) = link(&app, &order, json!({})).await;
        assert_eq!(open(&shop, &token).await["amount"], eur("44.90"));
        assert_eq!(app.count("SELECT count(*) FROM payments WHERE provider = 'sandbox'").await, 0);
    });
}

#[test]
fn what_was_to_be_transferred_and_is_promised_by_card_is_neither_reminded_of_nor_cancelled() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        shop.set(json!({"prepayment": {"remind_after_days": [1], "cancel_after_days": 2}})).await;
        let (order, other) = (by_hand(&shop).await, by_hand(&shop).await);
        let (_, token) = link(&app, &order, json!({})).await;
        assert_eq!(pay(&shop, &token, "approve").await.expect(200)["result"], "paid");
        settled(&app).await;
        let paid = document(&app, &order).await;
        let by: Vec<(&Value, &Value)> =
            paid["payments"].as_array().unwrap().iter().map(|one| (&one["provider"], &one["capturable"])).collect();
        assert!(
            by.contains(&(&json!("manual"), &eur("0.00"))) && by.contains(&(&json!("sandbox"), &eur("54.90"))),
            "{by:?}"
        );
        app.clock.advance_seconds(86_400 + 60);
        let reminded = "SELECT count(*) FROM events WHERE type = 'payment.reminder_due.v1'";
        eventually("the other is reminded of", async || app.count(reminded).await == 1).await;
        app.clock.advance_seconds(86_400);
        eventually("nobody has paid the other", async || document(&app, &other).await["state"] == "cancelled").await;
        let left = "SELECT count(*) FROM payments WHERE due_at IS NOT NULL";
        eventually("all are looked at", async || app.count(left).await == 0).await;
        assert_eq!(document(&app, &order).await["state"], "placed");
        assert_eq!(app.count(reminded).await, 1);
        ship(&app, &order).await;
        eventually("it is taken", async || sum(&document(&app, &order).await, "captured") == 5_490).await;
        settled(&app).await;
        balanced(&app).await;
    });
}

#[test]
fn who_is_sent_away_comes_back_to_the_same_attempt_and_staff_can_end_it() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let order = by_hand(&shop).await;
        let (id, token) = link(&app, &order, json!({})).await;
        let sent = pay(&shop, &token, "redirect").await.expect(202);
        let url = text(&sent["action"]["url"]);
        let key = url.rsplit('/').next().unwrap().to_owned();
        assert_eq!(pay(&shop, &token, "redirect").await.expect(202), sent);
        assert_eq!(state(&app, &id).await, "paying");
        app.ops("POST", &format!("/payment-requests/{id}/withdraw"), None).await.problem(409, "state_conflict");
        app.ops("POST", &format!("/sandbox/payments/{key}/decline"), None).await.expect(202);
        eventually("it can be paid again", async || state(&app, &id).await == "open").await;
        // Staff end what they see no end of.
        pay(&shop, &token, "redirect").await.expect(202);
        let give_up = format!("/payment-requests/{id}/give-up-payment");
        let ended = app.ops("POST", &give_up, Some(&json!({}))).await.expect(200);
        assert_eq!((&ended["result"], &ended["decline"]["code"]), (&json!("payment_failed"), &json!("given_up")));
        app.ops("POST", &give_up, Some(&json!({}))).await.problem(409, "state_conflict");
        let url = text(&pay(&shop, &token, "redirect").await.expect(202)["action"]["url"]);
        let key = url.rsplit('/').next().unwrap().to_owned();
        app.ops("POST", &format!("/sandbox/payments/{key}/approve"), None).await.expect(202);
        eventually("it is paid", async || state(&app, &id).await == "paid").await;
        assert_eq!(pay(&shop, &token, "redirect").await.expect(200)["result"], "paid");
        assert_eq!(sum(&document(&app, &order).await, "capturable"), 5_490);
        settled(&app).await;
    });
}

#[test]
fn a_promise_that_comes_when_nothing_is_owed_any_more_is_given_up() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        for cancelled in [false, true] {
            let order = by_hand(&shop).await;
            let (id, token) = link(&app, &order, json!({})).await;
            let url = text(&pay(&shop, &token, "redirect").await.expect(202)["action"]["url"]);
            let key = url.rsplit('/').next().unwrap().to_owned();
            if cancelled {
                let why = json!({"reason": "not any more"});
                app.ops("POST", &format!("/orders/{order}/cancel"), Some(&why)).await.expect(200);
            } else {
                receive(&app, &order, "54.90", "B1").await.expect(200);
            }
            app.ops("POST", &format!("/sandbox/payments/{key}/approve"), None).await.expect(202);
            eventually("it is void", async || state(&app, &id).await == "void").await;
            eventually("the promise is let go", async || {
                app.ops("GET", &format!("/sandbox/payments/{key}"), None).await.expect(200)["state"] == "voided"
            })
            .await;
            settled(&app).await;
            let order = document(&app, &order).await;
            let taken = if cancelled { 0 } else { 5_490 };
            assert_eq!((sum(&order, "captured"), order["payments"].as_array().unwrap().len()), (taken, 1));
            assert_eq!(pay(&shop, &token, "approve").await.problem(409, "state_conflict")["state"], "void");
        }
        balanced(&app).await;
    });
}

#[test]
fn two_links_that_ask_for_more_by_now_than_is_owed_are_not_paid_both() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let order = by_hand(&shop).await;
        let (first, one) = link(&app, &order, json!({"amount": eur("30.00")})).await;
        let (_, other) = link(&app, &order, json!({})).await;
        receive(&app, &order, "10.00", "B1").await.expect(200);
        // Each by itself is owed still; while the one is being paid, the other is not.
        assert_eq!(
            (&open(&shop, &one).await["state"], &open(&shop, &other).await["state"]),
            (&json!("open"), &json!("open"))
        );
        let url = text(&pay(&shop, &one, "redirect").await.expect(202)["action"]["url"]);
        assert_eq!(pay(&shop, &other, "approve").await.problem(409, "state_conflict")["state"], "void");
        let split = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "later"});
        app.ops("POST", &format!("/orders/{order}/split"), Some(&split)).await.problem(409, "state_conflict");
        let key = url.rsplit('/').next().unwrap();
        app.ops("POST", &format!("/sandbox/payments/{key}/decline"), None).await.expect(202);
        eventually("it can be paid again", async || state(&app, &first).await == "open").await;
        assert_eq!(pay(&shop, &other, "approve").await.expect(200)["result"], "paid");
        assert_eq!(pay(&shop, &one, "approve").await.problem(409, "state_conflict")["state"], "void");
        settled(&app).await;
    });
}

#[test]
fn an_order_is_not_cancelled_under_whoever_is_paying_it() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        shop.set(json!({"prepayment": {"cancel_after_days": 1}})).await;
        let order = by_hand(&shop).await;
        let (_, token) = link(&app, &order, json!({})).await;
        app.clock.advance_seconds(86_400 - 300);
        let url = text(&pay(&shop, &token, "redirect").await.expect(202)["action"]["url"]);
        app.clock.advance_seconds(360);
        let due = "SELECT count(*) FROM payments WHERE provider = 'manual' AND due_at IS NOT NULL";
        let put_off = app.now().plus_seconds(1_800);
        eventually("it is looked at later", async || {
            let read = move |tx: &mut kontor::db::Tx| {
                let query = "SELECT count(*) FROM payments WHERE provider = 'manual' AND due_at > ?";
                kontor::db::sql(query).bind(put_off).first::<diesel::sql_types::BigInt, i64>(tx)
            };
            app.read(read).await == Some(1)
        })
        .await;
        assert_eq!((document(&app, &order).await["state"].clone(), app.count(due).await), (json!("placed"), 1));
        let key = url.rsplit('/').next().unwrap();
        app.ops("POST", &format!("/sandbox/payments/{key}/decline"), None).await.expect(202);
        eventually("nobody pays it", async || open(&shop, &token).await["state"] == "open").await;
        app.clock.advance_seconds(3_700);
        eventually("it is cancelled", async || document(&app, &order).await["state"] == "cancelled").await;
    });
}

#[test]
fn of_two_promises_that_cover_an_order_each_one_is_given_anew() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let cart = shop.cart(&[("MUG", 1)]).await;
        let placed = shop.complete(&cart, "expires:172800").await.expect(201)["order"].clone();
        let order = text(&placed["id"]);
        let mut draft = Draft::begin(&app, &order).await;
        draft.edit(json!([{"type": "add_line", "sku": "TEE", "quantity": 3}])).await;
        let version = draft.body["order_version"].clone();
        let done =
            draft.send("confirm", Some(&json!({"order_version": version, "payment_request": {}}))).await.expect(200);
        let token = text(&done["payment_request"]["token"]);
        assert_eq!(pay(&shop, &token, "expires:172800").await.expect(200)["result"], "paid");
        // What was added is taken off again: each of the two promises is enough by itself.
        let off = json!({"lines": [{"line_no": 2, "quantity": 3}], "reason": "not any more"});
        app.ops("POST", &format!("/orders/{order}/cancel"), Some(&off)).await.expect(200);
        settled(&app).await;
        app.clock.advance_seconds(86_400 + 60);
        let renewed = "SELECT count(*) FROM events WHERE type = 'payment.renewed.v1'";
        eventually("one is given anew", async || app.count(renewed).await == 1).await;
        settled(&app).await;
        app.clock.advance_seconds(86_400);
        let before = document(&app, &order).await;
        ship(&app, &order).await;
        settled(&app).await;
        let after = document(&app, &order).await;
        assert_eq!(sum(&after, "captured"), 2_990, "{} {} {}", before["payments"], after["payments"], after["lines"]);
        balanced(&app).await;
    });
}

#[test]
fn links_race_with_transfers_cancellations_and_each_other() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        for round in 0..6 {
            let order = by_hand(&shop).await;
            let (_, one) = link(&app, &order, json!({"amount": eur("30.00")})).await;
            let (id, other) = link(&app, &order, json!({})).await;
            let tokens = [&one, &one, &other, &other];
            let paying = join_all(tokens.map(|token| pay(&shop, token, "approve_recorded")));
            let beside = async {
                match round % 3 {
                    0 => receive(&app, &order, "54.90", &format!("B{round}")).await,
                    1 => {
                        let why = json!({"reason": "not any more"});
                        app.ops("POST", &format!("/orders/{order}/cancel"), Some(&why)).await
                    }
                    _ => app.ops("POST", &format!("/payment-requests/{id}/withdraw"), None).await,
                }
            };
            let (paid, done) = join(paying, beside).await;
            assert!([200, 409].contains(&done.status), "{} {}", done.status, done.text);
            for answer in &paid {
                assert!([200, 202, 409].contains(&answer.status), "{} {}", answer.status, answer.text);
            }
            settled(&app).await;
            let now = document(&app, &order).await;
            let by_card = |member: &str| -> i64 {
                let all = now["payments"].as_array().unwrap().iter();
                all.filter(|one| one["provider"] == "sandbox").map(|one| cents(&one[member])).sum()
            };
            let due = if now["state"] == "cancelled" { 0 } else { 5_490 };
            assert!(by_card("capturable") <= due, "round {round}: {now}");
            if now["state"] == "cancelled" {
                assert_eq!(sum(&now, "captured"), sum(&now, "refunded"), "round {round}: {now}");
                continue;
            }
            let promised = by_card("capturable");
            // A link whose withdrawal came too late is paid like the other; one that is withdrawn leaves its part to be paid.
            ship(&app, &order).await;
            settled(&app).await;
            let left = document(&app, &order).await;
            // What came by hand is not taken by card as well.
            let taken = if round % 3 == 0 { 5_490 } else { promised };
            assert_eq!(sum(&left, "captured") - sum(&left, "refunded"), taken, "round {round}: {left}");
        }
        balanced(&app).await;
    });
}

#[test]
fn a_killed_program_finds_out_what_became_of_an_attempt_to_pay_a_link() {
    on_both_sites(|site| async move {
        let mut scene = Scene::open(site, &[("MUG", "25.00", 10)]).await;
        let order = by_hand(&scene.shop).await;
        let (_, token) = link(&scene.shop.app, &order, json!({})).await;
        let body = json!({"token": token, "payment": {"method": "sandbox", "instrument": "late:3"}});
        let (shop, sent) = (scene.shop.clone(), body.clone());
        let begun = tokio::spawn(async move {
            let headers = [("Channel-Key", shop.key.as_str()), ("Idempotency-Key", "pay-once")];
            shop.app.try_send("POST", "/v1/store/payment-requests/pay", &headers, Some(&sent)).await.ok()
        });
        scene.site.until("SELECT count(*) FROM sandbox_payments", 1).await;
        scene.kill();
        assert!(begun.await.unwrap().is_none_or(|answer| answer.status >= 500));
        scene.restart().await;
        scene.site.until("SELECT count(*) FROM payment_requests WHERE state = 'paid'", 1).await;
        // The same request is answered as it would have been, and nothing is promised twice.
        let headers = [("Channel-Key", scene.shop.key.as_str()), ("Idempotency-Key", "pay-once")];
        let path = "/v1/store/payment-requests/pay";
        let answer = scene.shop.app.try_send("POST", path, &headers, Some(&body)).await.ok().unwrap();
        assert_eq!(answer.expect(200)["result"], "paid");
        assert_eq!(scene.site.number("SELECT count(*) FROM sandbox_payments").await, 1);
        let paid = document(&scene.shop.app, &order).await;
        assert_eq!(sum(&paid, "capturable"), 5_490);
        tokio::time::timeout(Duration::from_secs(30), scene.settled()).await.expect("its money is settled");
        scene.kill();
        scene.site.doctor().await;
    });
}
