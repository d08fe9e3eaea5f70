//! Disputes: what banks take back, counted once, booked, told, and never given back a second time.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both};

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn settled(app: &App) {
    let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
    eventually("the money has moved", async || app.count(pending).await == 0).await;
}

/// An order of two mugs for 54.90 that has left and is paid: its id and its payment's.
async fn paid(shop: &Shop, instrument: &str) -> (String, String, String) {
    let cart = shop.cart(&[("MUG", 2)]).await;
    let order = shop.complete(&cart, instrument).await.expect(201)["order"].clone();
    let (id, payment) = (text(&order["id"]), text(&order["payments"][0]["id"]));
    let work = shop.app.ops("GET", &format!("/orders/{id}/fulfilment"), None).await.expect(200);
    let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
    shop.app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
    settled(&shop.app).await;
    (id, payment, text(&work["fulfilment_orders"][0]["id"]))
}

async fn shop(app: &App) -> Shop {
    Shop::open(app, &[("MUG", "25.00", 500)]).await
}

async fn ledger(app: &App, order: &str) -> Vec<(String, i64)> {
    let id: kontor::kernel::ids::OrderId = order.parse().unwrap();
    let balance = app.read(move |tx| kontor::payments::ledger::balance(tx, id)).await;
    balance.into_iter().filter(|(_, sum)| *sum != 0).map(|(account, sum)| (account.to_string(), sum)).collect()
}

fn of(ledger: &[(String, i64)], account: &str) -> i64 {
    ledger.iter().find(|(name, _)| name == account).map_or(0, |(_, sum)| *sum)
}

fn request(reference: &str, amount: Option<&str>) -> Value {
    let mut body = json!({"reference": reference, "reason": "fraudulent", "fee": eur("15.00")});
    if let Some(amount) = amount {
        body["amount"] = eur(amount);
    }
    body
}

#[test]
fn what_is_disputed_is_not_given_back_and_what_is_lost_never_is() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let (order, payment, _) = paid(&shop, "approve").await;
        let path = format!("/payments/{payment}/disputes");
        let made = app.ops("POST", &path, Some(&request("dp_1", Some("30.00")))).await.expect(201);
        assert_eq!((&made["state"], &made["amount"], &made["fee"]), (&json!("open"), &eur("30.00"), &eur("15.00")));
        assert!(made["actions"].as_array().unwrap().iter().all(|action| action["allowed"] == true), "{made}");
        let found = app.ops("GET", &format!("/orders/{order}"), None).await.expect(200);
        assert_eq!(
            (&found["payments"][0]["disputed"], &found["payments"][0]["refundable"]),
            (&eur("30.00"), &eur("24.90"))
        );
        let booked = ledger(&app, &order).await;
        assert_eq!((of(&booked, "disputed"), of(&booked, "fee"), of(&booked, "chargeback")), (3000, 1500, -4500));

        // The rest can be given back, and disputed, and no more.
        let refunds = format!("/orders/{order}/refunds");
        let back = |amount: &str| json!({"amount": eur(amount), "reason": "late"});
        app.ops("POST", &refunds, Some(&back("25.00"))).await.problem(409, "refund_exceeded");
        app.ops("POST", &path, Some(&request("dp_2", Some("25.00")))).await.problem(409, "dispute_exceeded");
        app.ops("POST", &path, Some(&request("dp_1", Some("1.00")))).await.problem(409, "duplicate");
        app.ops("POST", &refunds, Some(&back("4.90"))).await.expect(202);
        settled(&app).await;

        // The list, the evidence, the end.
        let waiting = app.ops("GET", "/worklists/open_disputes", None).await.expect(200);
        assert_eq!(waiting["items"].as_array().unwrap().len(), 1);
        let own = format!("/disputes/{}", text(&made["id"]));
        let note = json!({"note": "proof of delivery", "url": "https://files.example.org/pod.pdf"});
        let noted = app.ops("POST", &format!("{own}/evidence"), Some(&note)).await.expect(200);
        assert_eq!(noted["evidence"][0]["note"], "proof of delivery");
        app.ops("POST", &format!("{own}/evidence"), Some(&json!({}))).await.problem(422, "missing_field");
        app.ops("POST", &format!("{own}/close"), Some(&json!({"outcome": "open"}))).await.problem(422, "invalid_value");
        let lost = app.ops("POST", &format!("{own}/close"), Some(&json!({"outcome": "lost"}))).await.expect(200);
        assert_eq!(lost["state"], "lost");
        assert!(lost["actions"].as_array().unwrap().iter().all(|action| action["allowed"] == false));
        app.ops("POST", &format!("{own}/close"), Some(&json!({"outcome": "won"}))).await.problem(409, "state_conflict");
        let booked = ledger(&app, &order).await;
        assert_eq!((of(&booked, "disputed"), of(&booked, "chargeback")), (0, -4500));
        app.ops("POST", &refunds, Some(&back("20.01"))).await.problem(409, "refund_exceeded");

        // All of it comes back: what the bank has taken is not given back again.
        let all = json!({"order": order, "lines": [{"line_no": 1, "quantity": 2}], "refund": true, "restock": true});
        app.ops("POST", "/returns", Some(&all)).await.expect(201);
        settled(&app).await;
        let found = app.ops("GET", &format!("/orders/{order}"), None).await.expect(200);
        let payment = &found["payments"][0];
        let sum: i64 = ["refunded", "disputed"]
            .map(|name| payment[name]["amount"].as_str().unwrap_or("0.00").replace('.', "").parse::<i64>().unwrap())
            .iter()
            .sum();
        assert!(sum <= 5490, "{payment}");
        let events = app.ops("GET", &format!("/orders/{order}/timeline"), None).await;
        if events.status == 200 {
            assert!(events.text.contains("dispute.opened.v1") && events.text.contains("dispute.lost.v1"));
        }
    });
}

#[test]
fn what_is_won_can_be_given_back_again_and_a_return_that_waited_is_paid_then() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let (order, payment, _) = paid(&shop, "approve").await;
        let made = app.ops("POST", &format!("/payments/{payment}/disputes"), Some(&request("dp_1", None))).await;
        let made = made.expect(201);
        assert_eq!(made["amount"], eur("54.90"));
        let all = json!({"order": order, "lines": [{"line_no": 1, "quantity": 2}], "refund": true, "restock": true});
        let returned = app.ops("POST", "/returns", Some(&all)).await.expect(201);
        assert_eq!(returned["state"], "refund_pending");
        settled(&app).await;
        let found = app.ops("GET", &format!("/orders/{order}"), None).await.expect(200);
        assert_eq!(found["payments"][0]["refunded"], eur("0.00"));
        let close = format!("/disputes/{}/close", text(&made["id"]));
        app.ops("POST", &close, Some(&json!({"outcome": "won"}))).await.expect(200);
        settled(&app).await;
        let found = app.ops("GET", &format!("/orders/{order}"), None).await.expect(200);
        assert_eq!(found["payments"][0]["refunded"], eur("50.00"));
        let returned = app.ops("GET", &format!("/returns/{}", text(&returned["id"])), None).await.expect(200);
        assert_eq!(returned["state"], "refunded");
        let booked = ledger(&app, &order).await;
        assert_eq!((of(&booked, "disputed"), of(&booked, "chargeback"), of(&booked, "fee")), (0, -1500, 1500));
    });
}

#[test]
fn disputes_and_refunds_at_once_share_what_was_captured_and_an_end_is_one() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let (order, payment, _) = paid(&shop, "approve").await;
        let (path, refunds) = (format!("/payments/{payment}/disputes"), format!("/orders/{order}/refunds"));
        let tries = (0..12).map(|turn| {
            let (app, path, refunds) = (app.clone(), path.clone(), refunds.clone());
            async move {
                let body = request(&format!("dp_{turn}"), Some("10.00"));
                let back = json!({"amount": eur("10.00"), "reason": "late"});
                match turn % 2 {
                    0 => app.ops("POST", &path, Some(&body)).await.status,
                    _ => app.ops("POST", &refunds, Some(&back)).await.status,
                }
            }
        });
        let taken = join_all(tries).await;
        assert_eq!(taken.iter().filter(|status| matches!(status, 201 | 202)).count(), 5, "{taken:?}");
        assert!(taken.iter().all(|status| matches!(status, 201 | 202 | 409)), "{taken:?}");
        settled(&app).await;

        // One reference, many messages: one dispute.
        let (_, payment, _) = paid(&shop, "approve").await;
        let path = format!("/payments/{payment}/disputes");
        let body = request("dp_1", Some("10.00"));
        let opened = join_all((0..6).map(|_| app.ops("POST", &path, Some(&body)))).await;
        let made: Vec<Value> = opened.into_iter().filter(|one| one.status == 201).map(|one| one.body).collect();
        assert_eq!(made.len(), 1);
        let close = format!("/disputes/{}/close", text(&made[0]["id"]));
        let ends = (0..6).map(|turn| {
            let (app, close) = (app.clone(), close.clone());
            let outcome = if turn % 2 == 0 { "won" } else { "lost" };
            async move { app.ops("POST", &close, Some(&json!({"outcome": outcome}))).await.status }
        });
        let ended = join_all(ends).await;
        assert_eq!(ended.iter().filter(|status| **status == 200).count(), 1, "{ended:?}");
    });
}

#[test]
fn what_a_provider_tells_of_disputes_is_heeded_once() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let (order, payment, _) = paid(&shop, "approve_recorded").await;
        let notice = |state: &str| {
            json!({"reference": "cb_9", "state": state, "reason": "not_received", "amount": eur("20.00"), "fee": eur("7.00"),
                "respond_by": "2030-01-01T00:00:00Z"})
        };
        let path = format!("/sandbox/payments/{payment}/dispute");
        for _ in 0..3 {
            app.ops("POST", &path, Some(&notice("open"))).await.expect(202);
        }
        let count = "SELECT count(*) FROM disputes";
        eventually("the dispute is open", async || app.count(count).await == 1).await;
        let waiting = app.ops("GET", "/worklists/open_disputes", None).await.expect(200);
        assert_eq!(waiting["items"][0]["since"], "2030-01-01T00:00:00Z");
        for _ in 0..2 {
            app.ops("POST", &path, Some(&notice("lost"))).await.expect(202);
        }
        let ended = "SELECT count(*) FROM disputes WHERE state = 'lost'";
        eventually("the dispute is lost", async || app.count(ended).await == 1).await;
        // What comes too late changes nothing.
        app.ops("POST", &path, Some(&notice("won"))).await.expect(202);
        eventually("it is heard", async || app.count("SELECT count(*) FROM jobs WHERE state <> 'dead'").await == 0)
            .await;
        let listed = app.ops("GET", &format!("/disputes?order={order}"), None).await.expect(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        assert_eq!(listed["items"][0]["closed_by"], "system:payments");
    });
}

#[test]
fn what_a_bank_has_taken_is_never_refused_to_be_heard() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let (order, payment, _) = paid(&shop, "approve_recorded").await;
        let back = json!({"amount": eur("40.00"), "reason": "late"});
        app.ops("POST", &format!("/orders/{order}/refunds"), Some(&back)).await.expect(202);
        settled(&app).await;
        let notice = |reference: &str, state: &str, amount: &str| {
            json!({"reference": reference, "state": state, "reason": "fraudulent", "amount": eur(amount),
                "fee": {"amount": "10.00", "currency": "USD"}})
        };
        let path = format!("/sandbox/payments/{payment}/dispute");
        let open = "SELECT count(*) FROM disputes WHERE state = 'open'";
        // All of it is disputed, of which most was given back; and then more, of which nothing is left.
        app.ops("POST", &path, Some(&notice("cb_1", "open", "54.90"))).await.expect(202);
        eventually("the first is open", async || app.count(open).await == 1).await;
        app.ops("POST", &path, Some(&notice("cb_2", "open", "5.00"))).await.expect(202);
        eventually("the second is open", async || app.count(open).await == 2).await;
        let listed = app.ops("GET", &format!("/disputes?order={order}"), None).await.expect(200);
        let of = |listed: &Value, name: &str| {
            listed["items"].as_array().unwrap().iter().find(|one| one["reference"] == name).unwrap().clone()
        };
        let (first, second) = (of(&listed, "cb_1"), of(&listed, "cb_2"));
        assert_eq!((&first["amount"], &first["excess"], &first["fee"]), (&eur("54.90"), &eur("40.00"), &eur("0.00")));
        assert_eq!(first["foreign_fee"], json!({"amount": "10.00", "currency": "USD"}));
        assert_eq!((&second["amount"], &second["excess"]), (&eur("5.00"), &eur("5.00")));
        let found = app.ops("GET", &format!("/orders/{order}"), None).await.expect(200);
        assert_eq!(found["payments"][0]["disputed"], eur("14.90"));
        let booked = ledger(&app, &order).await;
        assert_eq!(
            (self::of(&booked, "disputed"), self::of(&booked, "fee"), self::of(&booked, "chargeback")),
            (1490, 0, -1490)
        );
        // They end like any other; staff are told what is left as ever.
        for (name, end) in [("cb_1", "lost"), ("cb_2", "won")] {
            app.ops("POST", &path, Some(&notice(name, end, "5.00"))).await.expect(202);
        }
        eventually("both have ended", async || app.count(open).await == 0).await;
        let booked = ledger(&app, &order).await;
        assert_eq!((self::of(&booked, "disputed"), self::of(&booked, "chargeback")), (0, -1490));
        let own = format!("/payments/{payment}/disputes");
        app.ops("POST", &own, Some(&request("dp_1", Some("1.00")))).await.problem(409, "dispute_exceeded");
    });
}
