//! Above what one person decides alone a second one does: once, never the one who has asked, on the state that was asked for; and what was
//! looked at by the hundred is started once.

use futures::future::join_all;
use kontor::http::auth::Audience;
use serde_json::{Value, json};

use crate::{
    fulfilment_moves::Of,
    support::{Answer, App, Shop, eventually, on_both},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

/// A shop in which one person gives back up to 20.00, gives away up to 5.00 and cancels up to 50.00.
async fn guarded(app: &App) -> Shop {
    let shop = Shop::open(app, &[("TEE", "10.00", 200)]).await;
    let ceilings = json!({"refund": [eur("20.00")], "price_override": [eur("5.00")], "bulk": [eur("50.00")]});
    shop.set(json!({"second_person": ceilings})).await;
    shop
}

/// Somebody of the staff.
pub struct Person<'a> {
    app: &'a App,
    token: String,
}

impl<'a> Person<'a> {
    pub fn new(app: &'a App, name: &str, scopes: &str, ceiling: Option<i64>) -> Self {
        let mut claims = app.claims(Audience::Staff, name, scopes);
        claims.money_ceiling = ceiling;
        Self { app, token: format!("Bearer {}", app.state.verifier.issue(claims).unwrap()) }
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.app.send(method, &format!("/v1/ops{path}"), &[("Authorization", &self.token)], body).await
    }

    pub async fn decide(&self, request: &Value, what: &str) -> Answer {
        let path = format!("/countersign-requests/{}/{what}", text(&request["id"]));
        self.send("POST", &path, Some(&json!({"note": "seen"}))).await
    }
}

pub const ALL: &str = "orders:read orders:write payments:write prices:override";

pub async fn until(app: &App, request: &Value, state: &str) -> Value {
    let path = format!("/countersign-requests/{}", text(&request["id"]));
    eventually(state, || async { app.ops("GET", &path, None).await.expect(200)["state"] == state }).await;
    app.ops("GET", &path, None).await.expect(200)
}

/// An order of ten for 104.90 that has left and is paid.
pub async fn paid<'a>(shop: &'a Shop) -> Of<'a> {
    let order = Of::new(shop, &[("TEE", 10)]).await;
    order.ship_all().await;
    eventually("it is captured", || async { order.document().await["payment_state"] == "captured" }).await;
    order
}

#[test]
fn a_large_refund_waits_for_somebody_else_and_is_made_once() {
    on_both(|app| async move {
        let shop = guarded(&app).await;
        let (ada, bea) = (Person::new(&app, "ada", ALL, None), Person::new(&app, "bea", ALL, None));
        let order = paid(&shop).await;
        let path = format!("/orders/{}/refunds", order.order);
        let give = |amount: &str| json!({"amount": eur(amount), "reason": "late"});
        // Small ones are given at once, until they are together too much.
        ada.send("POST", &path, Some(&give("15.00"))).await.expect(202);
        let asked = ada.send("POST", &path, Some(&give("5.01"))).await.expect(201);
        assert_eq!(
            (&asked["state"], &asked["kind"], &asked["amounts"]),
            (&json!("waiting"), &json!("refund"), &json!([eur("5.01")]))
        );
        assert_eq!(asked["asked_by"], "staff:ada");
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["refunds"].as_array().unwrap().len(), 1);
        let new_card = json!({"amount": eur("30.00"), "reason": "late", "to": "gift_card"});
        ada.send("POST", &path, Some(&new_card)).await.problem(422, "invalid_value");
        // Never above what was captured, whoever approves.
        ada.send("POST", &path, Some(&give("99.00"))).await.problem(409, "refund_exceeded");
        // Not by who has asked, nor by who might not do it.
        ada.decide(&asked, "approve").await.problem(409, "countersign_not_yours");
        let weak = Person::new(&app, "cleo", "orders:read orders:write", None);
        weak.decide(&asked, "approve").await.problem(403, "scope_missing");
        let poor = Person::new(&app, "dora", ALL, Some(500));
        poor.decide(&asked, "approve").await.problem(403, "ceiling_exceeded");
        bea.decide(&asked, "withdraw").await.problem(409, "countersign_not_yours");
        // The money that was given before has moved: the order is another one now.
        let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
        eventually("the money has moved", || async { app.count(pending).await == 0 }).await;
        let asked = ada.send("POST", &path, Some(&give("25.00"))).await.expect(201);
        let racing = (0..6).map(|turn| {
            let (asked, bea) = (&asked, &bea);
            async move { bea.decide(asked, if turn == 5 { "decline" } else { "approve" }).await }
        });
        let racing = join_all(racing).await;
        assert_eq!(racing.iter().filter(|one| one.status == 200).count(), 1, "one decides");
        let declined = racing[5].status == 200;
        let end = until(&app, &asked, if declined { "declined" } else { "done" }).await;
        assert_eq!(end["decided_by"], "staff:bea");
        let made = app.ops("GET", &path, None).await.expect(200);
        assert_eq!(made["refunds"].as_array().unwrap().len(), if declined { 1 } else { 2 }, "{made}");
        if !declined {
            assert_eq!(
                (&made["refunds"][1]["by"], &made["refunds"][1]["approved_by"]),
                (&json!("staff:ada"), &json!("staff:bea"))
            );
        }
        eventually("the money has moved", || async { app.count(pending).await == 0 }).await;
        // What was approved does not count towards what one gives back alone.
        ada.send("POST", &path, Some(&give("5.00"))).await.expect(202);
        let told = app.ops("GET", "/countersign-requests?state=waiting&kind=refund", None).await.expect(200);
        assert_eq!(told["items"].as_array().unwrap().len(), 1, "the first one waits still: {told}");
    });
}

#[test]
fn what_was_approved_for_another_state_is_refused() {
    on_both(|app| async move {
        let shop = guarded(&app).await;
        let (ada, bea) = (Person::new(&app, "ada", ALL, None), Person::new(&app, "bea", ALL, None));
        let order = paid(&shop).await;
        let path = format!("/orders/{}/refunds", order.order);
        let body = json!({"amount": eur("60.00"), "reason": "late"});
        let (first, second) = (
            ada.send("POST", &path, Some(&body)).await.expect(201),
            ada.send("POST", &path, Some(&body)).await.expect(201),
        );
        bea.decide(&first, "approve").await.expect(200);
        until(&app, &first, "done").await;
        // Asked for twice, given once: the second was asked for before the first was made.
        bea.decide(&second, "approve").await.expect(200);
        let ended = until(&app, &second, "refused").await;
        assert_eq!(ended["code"], "version_stale");
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["refunds"].as_array().unwrap().len(), 1);
        // Taken back, or too late.
        let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
        eventually("the money has moved", || async { app.count(pending).await == 0 }).await;
        let body = json!({"amount": eur("30.00"), "reason": "late"});
        let third = ada.send("POST", &path, Some(&body)).await.expect(201);
        ada.decide(&third, "withdraw").await.expect(200);
        bea.decide(&third, "approve").await.problem(409, "state_conflict");
        let fourth = ada.send("POST", &path, Some(&body)).await.expect(201);
        app.clock.advance_seconds(7 * 86_400 + 1);
        bea.decide(&fourth, "approve").await.problem(409, "state_conflict");
        until(&app, &fourth, "expired").await;
    });
}

#[test]
fn prices_that_give_much_away_wait_for_somebody_else() {
    on_both(|app| async move {
        let shop = guarded(&app).await;
        let (ada, bea) = (Person::new(&app, "ada", ALL, None), Person::new(&app, "bea", ALL, None));
        let order = Of::new(&shop, &[("TEE", 10)]).await;
        let begin = format!("/orders/{}/amendments", order.order);
        let draft = ada.send("POST", &begin, Some(&json!({"reason": "called", "minutes": 5}))).await.expect(201);
        let at = |what: &str| format!("{begin}/{}/{what}", text(&draft["id"]));
        let price = |amount: &str| json!({"edits": [{"type": "set_price", "line_no": 1, "unit_price": eur(amount), "reason": "loyal"}]});
        let edited = ada.send("POST", &at("edits"), Some(&price("9.00"))).await.expect(200);
        let confirm = json!({"order_version": edited["order_version"]});
        // Confirmed by several at once, or by whoever did not hear the answer, it waits for one person once.
        let path = at("confirm");
        let all = join_all((0..4).map(|_| ada.send("POST", &path, Some(&confirm)))).await;
        let all: Vec<Value> = all.into_iter().map(|one| one.expect(201)).collect();
        let asked = all[0].clone();
        assert!(all.iter().all(|one| one["id"] == asked["id"]), "{all:?}");
        assert_eq!((&asked["kind"], &asked["amounts"]), (&json!("override"), &json!([eur("10.00")])));
        assert_eq!(order.document().await["total"], eur("104.90"));
        // Edited after it was asked for: nobody is asked for that any more.
        let edited = ada.send("POST", &at("edits"), Some(&price("8.00"))).await.expect(200);
        let ended = until(&app, &asked, "withdrawn").await;
        assert_eq!((&ended["code"], &ended["decided_by"]), (&json!("version_stale"), &json!("staff:ada")));
        bea.decide(&asked, "approve").await.problem(409, "state_conflict");
        let waiting = app.ops("GET", "/countersign-requests?state=waiting", None).await.expect(200);
        assert_eq!(waiting["items"], json!([]));
        let confirm = json!({"order_version": edited["order_version"]});
        let asked = ada.send("POST", &at("confirm"), Some(&confirm)).await.expect(201);
        // The amendment stays open for as long as somebody can decide.
        app.clock.advance_seconds(3_600);
        bea.decide(&asked, "approve").await.expect(200);
        until(&app, &asked, "done").await;
        assert_eq!(order.document().await["total"], eur("84.90"));
        let history = app.ops("GET", &begin, None).await.expect(200);
        assert_eq!(
            (&history["items"][0]["state"], &history["items"][0]["approved_by"]),
            (&json!("confirmed"), &json!("staff:bea"))
        );
        order.ship_all().await;
    });
}

#[test]
fn many_orders_are_cancelled_by_two_and_a_token_starts_one_job() {
    on_both(|app| async move {
        let shop = guarded(&app).await;
        let (ada, bea) = (Person::new(&app, "ada", ALL, None), Person::new(&app, "bea", ALL, None));
        let mut orders = Vec::new();
        for _ in 0..4 {
            orders.push(Of::new(&shop, &[("TEE", 1)]).await);
        }
        let mut body = json!({"filter": {"sku": "TEE", "state": "placed"}, "reason": "a recall"});
        body["token"] = ada.send("POST", "/bulk/cancel/preview", Some(&body)).await.expect(200)["token"].clone();
        // Sent several times at once: one job, and all are told of it.
        let begun = join_all((0..4).map(|_| ada.send("POST", "/bulk/cancel", Some(&body)))).await;
        let begun: Vec<Value> = begun.into_iter().map(|answer| answer.expect(202)).collect();
        assert!(begun.iter().all(|one| one["id"] == begun[0]["id"]), "{begun:?}");
        assert_eq!(begun[0]["state"], "awaiting");
        assert_eq!(shop.count("bulk_jobs").await, 1);
        let request = json!({"id": begun[0]["countersign_request_id"]});
        ada.decide(&request, "approve").await.problem(409, "countersign_not_yours");
        // One has changed since it was approved for: that one is left.
        let note = json!({"kind": "manual", "reason": "look", "blocks": ["ship"]});
        app.ops("POST", &format!("/orders/{}/hold", orders[0].order), Some(&note)).await.expect(200);
        bea.decide(&request, "approve").await.expect(200);
        let path = format!("/bulk/{}", text(&begun[0]["id"]));
        eventually("all are taken", || async { app.ops("GET", &path, None).await.expect(200)["state"] == "done" })
            .await;
        let done = app.ops("GET", &path, None).await.expect(200);
        assert_eq!((&done["done"], &done["refused"]), (&json!(3), &json!(1)), "{done}");
        let items = app.ops("GET", &format!("{path}/items"), None).await.expect(200);
        let refused = items["items"].as_array().unwrap().iter().find(|one| one["state"] == "refused").unwrap();
        assert_eq!((&refused["code"], text(&refused["order_id"])), (&json!("version_stale"), orders[0].order.as_str()));
        // Sent again when it is long done: the same job.
        assert_eq!(ada.send("POST", "/bulk/cancel", Some(&body)).await.expect(202)["id"], begun[0]["id"]);
        // Somebody else's token is nobody's.
        bea.send("POST", "/bulk/cancel", Some(&body)).await.problem(409, "compare_failed");
        // Declined: nothing is done.
        let mut more = Vec::new();
        for _ in 0..4 {
            more.push(Of::new(&shop, &[("TEE", 1)]).await);
        }
        body["token"] = ada.send("POST", "/bulk/cancel/preview", Some(&body)).await.expect(200)["token"].clone();
        let begun = ada.send("POST", "/bulk/cancel", Some(&body)).await.expect(202);
        bea.decide(&json!({"id": begun["countersign_request_id"]}), "decline").await.expect(200);
        let told = app.ops("GET", &format!("/bulk/{}", text(&begun["id"])), None).await.expect(200);
        assert_eq!((&told["state"], &told["waiting"]), (&json!("declined"), &json!(5)));
        assert_eq!(more[0].document().await["state"], "placed");
    });
}

#[test]
fn what_was_said_of_an_order_is_erased_with_whose_it_is() {
    on_both(|app| async move {
        let shop = guarded(&app).await;
        let (ada, bea) = (Person::new(&app, "ada", ALL, None), Person::new(&app, "bea", ALL, None));
        let order = Of::new(&shop, &[("TEE", 10)]).await;
        for one in order.all().await {
            let parcel = order.post(&one, "ship", json!({})).await.expect(201);
            app.ops("POST", &format!("/shipments/{}/deliver", text(&parcel["id"])), Some(&json!({}))).await.expect(200);
        }
        eventually("completed", || async { order.document().await["state"] == "completed" }).await;
        let path = format!("/orders/{}/refunds", order.order);
        let body = json!({"amount": eur("25.00"), "reason": "the dog was ill"});
        let (asked, open) = (
            ada.send("POST", &path, Some(&body)).await.expect(201),
            ada.send("POST", &path, Some(&body)).await.expect(201),
        );
        bea.decide(&asked, "decline").await.expect(200);
        let told = "SELECT count(*) FROM countersign_requests WHERE CAST(doc AS TEXT) LIKE '%dog%' OR CAST(doc AS TEXT) LIKE '%seen%'";
        assert_eq!(app.count(told).await, 2);
        let email = json!({"email": order.document().await["email"]});
        app.ops("POST", "/guests/erase", Some(&email)).await.expect(200);
        assert_eq!(app.count(told).await, 0);
        let kept = until(&app, &asked, "declined").await;
        assert_eq!((&kept["amounts"], &kept["decided_by"]), (&json!([eur("25.00")]), &json!("staff:bea")));
        // What waits can be read by what does it.
        bea.decide(&open, "approve").await.expect(200);
        eventually("it has ended", || async {
            let path = format!("/countersign-requests/{}", text(&open["id"]));
            ["done", "refused"].contains(&text(&app.ops("GET", &path, None).await.expect(200)["state"]))
        })
        .await;
    });
}
