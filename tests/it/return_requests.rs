//! Returns as customers ask for them: asked for, decided on, received, looked at and settled, each piece once, however many ask at once.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, eventually, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

async fn settled(app: &App) {
    let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
    eventually("the money has moved", async || app.count(pending).await == 0).await;
}

/// An order of a guest with the token that opens it.
struct Sold {
    shop: Shop,
    order: String,
    token: String,
}

impl Sold {
    /// Four mugs for 25.00 each, 4.90 of shipping, paid by card.
    async fn open(app: &App) -> Self {
        let shop = Shop::open(app, &[("MUG", "25.00", 50), ("CUP", "9.99", 50)]).await;
        Self::of(&shop, &[("MUG", 4)]).await
    }

    async fn of(shop: &Shop, lines: &[(&str, i64)]) -> Self {
        let cart = shop.cart(lines).await;
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        Self { shop: shop.clone(), order: text(&order["id"]), token: cart.token }
    }

    async fn ops(&self, method: &str, path: &str, body: Value) -> Answer {
        let body = (method != "GET").then_some(&body);
        self.shop.app.ops(method, path, body).await
    }

    /// All that is left to ship leaves; with the id of the parcel.
    async fn ship(&self) -> String {
        let work = self.ops("GET", &format!("/orders/{}/fulfilment", self.order), Value::Null).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
        let left = self.ops("POST", &ship, json!({})).await.expect(201);
        settled(&self.shop.app).await;
        text(&left["id"])
    }

    async fn deliver(&self, shipment: &str) {
        self.ops("POST", &format!("/shipments/{shipment}/deliver"), json!({})).await.expect(200);
    }

    async fn read(&self) -> Value {
        self.ops("GET", &format!("/orders/{}", self.order), Value::Null).await.expect(200)
    }

    fn line(&self, order: &Value, name: &str) -> i64 {
        order["lines"][0][name].as_i64().unwrap_or_default()
    }

    /// What the guest asks for.
    async fn store(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.shop.store(method, &format!("/orders/{}{path}", self.order), Some(&self.token), body).await
    }

    async fn ask(&self, quantity: i64) -> Answer {
        let body = json!({"lines": [{"line_no": 1, "quantity": quantity, "reason": "too_small"}]});
        self.store("POST", "/returns", Some(&body)).await
    }

    async fn step(&self, request: &Value, step: &str, body: Value) -> Answer {
        self.ops("POST", &format!("/return-requests/{}/{step}", text(&request["id"])), body).await
    }

    async fn set_policy(&self, policy: Value) {
        let path = format!("/channels/{}/return-policy", self.shop.channel);
        self.ops("PUT", &path, policy).await.expect(200);
    }

    async fn refunded(&self) -> String {
        settled(&self.shop.app).await;
        let order = self.read().await;
        text(&order["payments"][0]["refunded"]["amount"])
    }
}

fn came(quantity: i64) -> Value {
    json!({"lines": [{"line_no": 1, "quantity": quantity}]})
}

fn seen(quantity: i64) -> Value {
    json!({"lines": [{"line_no": 1, "quantity": quantity, "grade": "a", "disposition": "restock"}]})
}

#[test]
fn a_guest_sends_two_back_and_gets_what_they_paid_for_them() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        sold.ask(1).await.problem(409, "quantity_exceeded");
        let parcel = sold.ship().await;
        sold.deliver(&parcel).await;
        let before = sold.shop.available("MUG").await;
        let options = sold.store("GET", "/return-options", None).await.expect(200);
        assert_eq!((&options["lines"][0]["quantity"], &options["lines"][0]["allowed"]), (&json!(4), &json!(true)));
        let asked = sold.ask(2).await.expect(201);
        assert_eq!((&asked["state"], &asked["decision"]["by"]), (&json!("approved"), &json!("shop")));
        let order = sold.read().await;
        assert_eq!((sold.line(&order, "coming_back"), sold.line(&order, "returned")), (2, 0));
        // Nobody else takes these: not a customer, not a till, not a claim.
        sold.ask(3).await.problem(409, "quantity_exceeded");
        let at_once = json!({"order": sold.order, "lines": [{"line_no": 1, "quantity": 3}]});
        sold.ops("POST", "/returns", at_once).await.problem(409, "quantity_exceeded");
        let claim = json!({"kind": "lost", "lines": [{"line_no": 1, "quantity": 3}]});
        sold.store("POST", "/claims", Some(&claim)).await.problem(409, "quantity_exceeded");
        // A parcel, half of it, then the rest; each is looked at.
        let label = json!({"carrier": "dhl", "tracking_number": "0034", "by_shop": true});
        assert_eq!(sold.step(&asked, "track", label).await.expect(200)["state"], "in_transit");
        sold.step(&asked, "settle", json!({})).await.problem(409, "state_conflict");
        assert_eq!(sold.step(&asked, "receive", came(1)).await.expect(200)["state"], "received");
        sold.step(&asked, "inspect", seen(2)).await.problem(409, "quantity_exceeded");
        assert_eq!(sold.step(&asked, "inspect", seen(1)).await.expect(200)["state"], "inspected");
        assert_eq!(sold.shop.available("MUG").await, before + 1);
        assert_eq!(sold.step(&asked, "receive", came(1)).await.expect(200)["state"], "received");
        let scrap = json!({"lines": [{"line_no": 1, "quantity": 1, "grade": "d", "disposition": "scrap", "note": "in pieces"}]});
        assert_eq!(sold.step(&asked, "inspect", scrap).await.expect(200)["state"], "inspected");
        assert_eq!(sold.shop.available("MUG").await, before + 1);
        let done = sold.step(&asked, "settle", json!({})).await.expect(200);
        assert_eq!((&done["request"]["state"], &done["return"]["amount"]), (&json!("settled"), &eur("50.00")));
        assert_eq!(done["return"]["request_id"], asked["id"]);
        sold.step(&asked, "settle", json!({})).await.problem(409, "state_conflict");
        assert_eq!(sold.refunded().await, "50.00");
        let order = sold.read().await;
        assert_eq!((sold.line(&order, "coming_back"), sold.line(&order, "returned")), (0, 2));
        // What the customer is shown says nothing of what staff wrote.
        let own = sold.store("GET", "/returns", None).await.expect(200);
        assert!(!own.to_string().contains("in pieces"), "{own}");
        let kinds = "SELECT count(*) FROM events WHERE type IN ('return.requested.v1', 'return.approved.v1', \
                     'return.in_transit.v1', 'return.arrived.v1', 'return.inspected.v1', 'return.settled.v1', 'return.received.v1')";
        assert_eq!(app.count(kinds).await, 9);
        let report = sold.ops("GET", "/returns/report", Value::Null).await.expect(200);
        let figures = &report["items"][0];
        assert_eq!((&figures["sku"], &figures["sold"], &figures["returned"]), (&json!("MUG"), &json!(4), &json!(2)));
        assert_eq!((&figures["rate_percent"], &figures["reasons"]["too_small"]), (&json!("50.00"), &json!(2)));
        let table = sold.ops("GET", "/returns/report?format=csv", Value::Null).await;
        assert!(table.text.contains("rate_percent") && table.text.contains("50.00"), "{}", table.text);
    });
}

#[test]
fn staff_decide_on_what_the_policy_does_not_allow_and_fees_are_kept() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let fee = json!({"window_days": 10, "restocking_fee_percent": 10, "label_fee": eur("3.00")});
        sold.set_policy(fee).await;
        let path = format!("/channels/{}/return-policy", sold.shop.channel);
        sold.ops("PUT", &path, json!({"window_days": -1})).await.problem(422, "invalid_value");
        let parcel = sold.ship().await;
        sold.deliver(&parcel).await;
        app.clock.advance_seconds(11 * 86_400);
        let late = sold.ask(1).await.expect(201);
        assert_eq!((&late["state"], &late["lines"][0]["verdict"]["allowed"]), (&json!("requested"), &json!(false)));
        let waiting = sold.ops("GET", "/worklists/returns_waiting", Value::Null).await.expect(200);
        assert_eq!(waiting["items"][0]["id"], late["id"]);
        sold.step(&late, "receive", came(1)).await.problem(409, "state_conflict");
        assert_eq!(sold.step(&late, "reject", json!({"reason": "too late"})).await.expect(200)["state"], "rejected");
        sold.step(&late, "approve", json!({})).await.problem(409, "state_conflict");
        // It is free again; staff may say yes whatever the policy says.
        let body = json!({"lines": [{"line_no": 1, "quantity": 1, "reason": "changed_mind"}], "approve": true});
        let asked = sold.ops("POST", &format!("/orders/{}/returns", sold.order), body).await.expect(201);
        assert_eq!(asked["state"], "approved");
        let label = json!({"tracking_number": "0034", "by_shop": true});
        sold.step(&asked, "track", label).await.expect(200);
        sold.step(&asked, "receive", came(1)).await.expect(200);
        sold.step(&asked, "inspect", seen(1)).await.expect(200);
        let done = sold
            .step(&asked, "settle", json!({"deductions": [{"line_no": 1, "amount": eur("2.00")}]}))
            .await
            .expect(200);
        // 25.00 less 2.50, less 3.00 for the label, less what was agreed.
        assert_eq!(
            (&done["return"]["amount"], &done["request"]["settlement"]["deducted"]),
            (&eur("17.50"), &eur("7.50"))
        );
        let line = &done["return"]["lines"][0];
        assert_eq!((&line["net"], &line["tax"], &line["gross"]), (&eur("14.71"), &eur("2.79"), &eur("17.50")));
        assert_eq!(sold.refunded().await, "17.50");
        // What is the shop's fault costs nothing.
        let body = json!({"lines": [{"line_no": 1, "quantity": 1, "reason": "defective"}], "approve": true});
        let asked = sold.ops("POST", &format!("/orders/{}/returns", sold.order), body).await.expect(201);
        let done = sold.step(&asked, "settle", json!({"without_goods": true})).await.expect(200);
        assert_eq!(done["return"]["amount"], eur("25.00"));
        assert_eq!(sold.refunded().await, "42.50");
    });
}

#[test]
fn more_than_announced_and_other_goods_are_noted_and_nothing_is_taken_back_twice() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50), ("CUP", "9.99", 50)]).await;
        let sold = Sold::of(&shop, &[("MUG", 2), ("CUP", 3)]).await;
        sold.ship().await;
        let asked = sold.ask(1).await.expect(201);
        let more = json!({"lines": [{"line_no": 1, "quantity": 3}, {"sku": "CUP", "quantity": 1}, {"sku": "TEAPOT", "quantity": 1}]});
        let got = sold.step(&asked, "receive", more).await.expect(200);
        let (mug, cup) = (&got["lines"][0], &got["lines"][1]);
        assert_eq!((&mug["received"], &mug["kept"], &mug["surplus"]), (&json!(3), &json!(2), &json!(1)));
        assert_eq!((&cup["quantity"], &cup["kept"], &cup["received"]), (&json!(0), &json!(1), &json!(1)));
        assert_eq!(got["foreign"][0]["sku"], "TEAPOT");
        let all = json!({"lines": [
            {"line_no": 1, "quantity": 2, "grade": "a", "disposition": "restock"},
            {"line_no": 1, "quantity": 1, "grade": "d", "disposition": "scrap"},
            {"line_no": 2, "quantity": 1, "grade": "b", "disposition": "quarantine"}]});
        // The surplus is not of the line: it does not go into its stock.
        sold.step(&asked, "inspect", seen(3)).await.problem(409, "quantity_exceeded");
        sold.step(&asked, "inspect", all).await.expect(200);
        let done = sold.step(&asked, "settle", json!({})).await.expect(200);
        assert_eq!(done["return"]["amount"], eur("59.99"));
        sold.ask(1).await.problem(409, "quantity_exceeded");
    });
}

#[test]
fn a_piece_is_asked_for_once_however_many_ask_at_once_and_received_and_settled_once() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        sold.ship().await;
        let returned = json!({"order": sold.order, "lines": [{"line_no": 1, "quantity": 1}], "refund": true});
        let claim = json!({"kind": "damaged", "lines": [{"line_no": 1, "quantity": 1}]});
        let (asked, booked, claimed) = tokio::join!(
            join_all((0..4).map(|_| sold.ask(1))),
            join_all((0..4).map(|_| app.ops("POST", "/returns", Some(&returned)))),
            join_all((0..4).map(|_| sold.store("POST", "/claims", Some(&claim)))),
        );
        let all: Vec<&Answer> = asked.iter().chain(&booked).chain(&claimed).collect();
        assert_eq!(all.iter().filter(|answer| answer.status == 201).count(), 4);
        let refusals = ["quantity_exceeded", "already_claimed"];
        let refused = |answer: &Answer| refusals.iter().any(|code| answer.body["code"] == *code);
        assert!(all.iter().all(|answer| answer.status == 201 || refused(answer)));
        let order = sold.read().await;
        let sum: i64 = ["returned", "coming_back", "claimed"].iter().map(|name| sold.line(&order, name)).sum();
        assert_eq!(sum, 4);
        // One request: received, looked at, settled by several at once.
        let other = Sold::of(&sold.shop, &[("MUG", 2)]).await;
        other.ship().await;
        let request = other.ask(2).await.expect(201);
        let keyed = async |step: &'static str, body: Value| {
            join_all((0..4).map(|_| other.step(&request, step, body.clone()))).await
        };
        let done = |answers: &[Answer]| answers.iter().filter(|answer| answer.status == 200).count();
        let got = keyed("receive", came(1)).await;
        assert_eq!(done(&got), 4);
        let now =
            other.ops("GET", &format!("/return-requests/{}", text(&request["id"])), Value::Null).await.expect(200);
        let line = &now["lines"][0];
        assert_eq!((&line["received"], &line["surplus"], &line["kept"]), (&json!(4), &json!(2), &json!(2)));
        assert_eq!(done(&keyed("inspect", seen(2)).await), 1);
        other.step(&request, "inspect", seen(1)).await.problem(409, "quantity_exceeded");
        let scrap = json!({"lines": [{"line_no": 1, "quantity": 2, "grade": "d", "disposition": "scrap"}]});
        other.step(&request, "inspect", scrap).await.expect(200);
        assert_eq!(done(&keyed("settle", json!({})).await), 1);
        assert_eq!(other.refunded().await, "50.00");
    });
}

#[test]
fn what_never_comes_is_over_and_what_is_cancelled_is_free() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        sold.ship().await;
        let asked = sold.ask(4).await.expect(201);
        let cancel = format!("/returns/{}/cancel", text(&asked["id"]));
        assert_eq!(sold.store("POST", &cancel, None).await.expect(200)["state"], "cancelled");
        sold.store("POST", &cancel, None).await.problem(409, "state_conflict");
        let again = sold.ask(4).await.expect(201);
        app.clock.advance_seconds(31 * 86_400);
        let over = "SELECT count(*) FROM return_requests WHERE state = 'expired'";
        eventually("it is over", async || app.count(over).await == 1).await;
        let order = sold.read().await;
        assert_eq!(sold.line(&order, "coming_back"), 0);
        sold.step(&again, "receive", came(1)).await.problem(409, "state_conflict");
        // Whoever can not open the order sees nothing of it.
        let body = json!({"lines": [{"line_no": 1, "quantity": 1, "reason": "other"}]});
        let path = format!("/orders/{}/returns", sold.order);
        sold.shop.store("POST", &path, None, Some(&body)).await.problem(404, "not_found");
    });
}

#[test]
fn a_claim_is_refunded_or_refused_once_and_a_lost_parcel_is_sent_again() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let parcel = sold.ship().await;
        let claim = async |kind: &str, quantity: i64, shipment: Option<&str>| {
            let mut body = json!({"kind": kind, "lines": [{"line_no": 1, "quantity": quantity}]});
            if let Some(shipment) = shipment {
                body["shipment_id"] = json!(shipment);
            }
            sold.ops("POST", &format!("/orders/{}/claims", sold.order), body).await
        };
        let step = async |claim: &Value, step: &str, body: Value| {
            sold.ops("POST", &format!("/claims/{}/{step}", text(&claim["id"])), body).await
        };
        let damaged = claim("damaged", 1, None).await.expect(201);
        let waiting = sold.ops("GET", "/worklists/open_claims", Value::Null).await.expect(200);
        assert_eq!(waiting["items"][0]["id"], damaged["id"]);
        step(&damaged, "reject", json!({"reason": "not so"})).await.expect(200);
        step(&damaged, "settle", json!({"resolution": "refund"})).await.problem(409, "state_conflict");
        let damaged = claim("damaged", 1, None).await.expect(201);
        let more = json!({"resolution": "reship", "lines": [{"line_no": 1, "quantity": 2}]});
        step(&damaged, "settle", more).await.problem(409, "quantity_exceeded");
        let refund = json!({"resolution": "refund"});
        let both = join_all((0..4).map(|_| step(&damaged, "settle", refund.clone()))).await;
        assert_eq!(both.iter().filter(|answer| answer.status == 200).count(), 1);
        assert_eq!(sold.refunded().await, "25.00");
        claim("lost", 4, Some(&parcel)).await.problem(409, "already_claimed");
        // Another order, of which the whole parcel is lost.
        let other = Sold::of(&sold.shop, &[("MUG", 2)]).await;
        let parcel = other.ship().await;
        let body = json!({"kind": "lost", "lines": [{"line_no": 1, "quantity": 2}], "shipment_id": parcel});
        let lost = other.store("POST", "/claims", Some(&body)).await.expect(201);
        other.ask(1).await.problem(409, "quantity_exceeded");
        let again = step(&lost, "settle", json!({"resolution": "reship"})).await.expect(200);
        assert_eq!(again["reshipped_by"].as_array().unwrap().len(), 1);
        let order = other.read().await;
        assert_eq!((other.line(&order, "claimed"), other.line(&order, "shipped")), (0, 0));
        let ship = format!("/fulfilment-orders/{}/ship", text(&again["reshipped_by"][0]));
        other.ops("POST", &ship, json!({})).await.expect(201);
        settled(&app).await;
        assert_eq!(other.ask(2).await.expect(201)["state"], "approved");
    });
}

#[test]
fn a_parcel_that_comes_back_is_a_return_by_itself() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let parcel = sold.ship().await;
        let scan = json!({"text": "back to sender", "mark": "returned_to_sender"});
        sold.ops("POST", &format!("/shipments/{parcel}/scans"), scan).await.expect(200);
        app.clock.advance_seconds(120);
        let made = "SELECT count(*) FROM return_requests WHERE origin = 'carrier' AND state = 'approved'";
        eventually("it is expected", async || app.count(made).await == 1).await;
        app.clock.advance_seconds(120);
        let found = sold.ops("GET", &format!("/return-requests?order={}", sold.order), Value::Null).await.expect(200);
        let request = &found["items"][0];
        assert_eq!((&request["shipment_id"], &request["lines"][0]["kept"]), (&json!(parcel), &json!(4)));
        sold.step(request, "receive", came(4)).await.expect(200);
        sold.step(request, "inspect", seen(4)).await.expect(200);
        sold.step(request, "settle", json!({})).await.expect(200);
        assert_eq!(sold.refunded().await, "100.00");
        assert_eq!(app.count("SELECT count(*) FROM return_requests").await, 1);
    });
}

#[test]
fn goods_that_come_after_a_settlement_of_some_are_surplus() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        sold.ship().await;
        let asked = sold.ask(4).await.expect(201);
        sold.step(&asked, "receive", came(2)).await.expect(200);
        sold.step(&asked, "inspect", seen(2)).await.expect(200);
        let done = sold.step(&asked, "settle", json!({})).await.expect(200);
        assert_eq!((&done["return"]["amount"], &done["request"]["lines"][0]["settled"]), (&eur("50.00"), &json!(2)));
        let late = sold.step(&asked, "receive", came(2)).await.expect(200);
        let line = &late["lines"][0];
        assert_eq!((&line["received"], &line["surplus"], &line["kept"]), (&json!(4), &json!(2), &json!(0)));
        // They are free to be asked for, and settled, of their own.
        sold.ask(2).await.expect(201);
        // What was settled ahead and comes is what was settled.
        let other = Sold::of(&sold.shop, &[("MUG", 2)]).await;
        other.ship().await;
        let ahead = other.ask(2).await.expect(201);
        other.step(&ahead, "settle", json!({"without_goods": true})).await.expect(200);
        let line = other.step(&ahead, "receive", came(3)).await.expect(200)["lines"][0].clone();
        assert_eq!((&line["received"], &line["surplus"]), (&json!(3), &json!(1)));
    });
}

#[test]
fn a_request_into_which_only_other_goods_came_ends() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        sold.ship().await;
        for (step, state) in [("reject", "rejected"), ("cancel", "cancelled")] {
            let asked = sold.ask(2).await.expect(201);
            let brick = json!({"lines": [{"sku": "BRICK", "quantity": 1}]});
            assert_eq!(sold.step(&asked, "receive", brick.clone()).await.expect(200)["state"], "received");
            let ended = match step {
                "reject" => sold.step(&asked, step, json!({"reason": "a brick"})).await,
                _ => sold.store("POST", &format!("/returns/{}/cancel", text(&asked["id"])), None).await,
            };
            assert_eq!(ended.expect(200)["state"], state);
            let order = sold.read().await;
            assert_eq!(sold.line(&order, "coming_back"), 0);
        }
        // Of which a piece has come, that is settled.
        let asked = sold.ask(2).await.expect(201);
        sold.step(&asked, "receive", came(1)).await.expect(200);
        sold.step(&asked, "reject", json!({"reason": "a brick"})).await.problem(409, "state_conflict");
        sold.store("POST", &format!("/returns/{}/cancel", text(&asked["id"])), None)
            .await
            .problem(409, "state_conflict");
    });
}

#[test]
fn a_parcel_that_comes_back_with_nothing_left_of_it_is_looked_at_once() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let parcel = sold.ship().await;
        let asked = sold.ask(4).await.expect(201);
        let scan = json!({"text": "back to sender", "mark": "returned_to_sender"});
        sold.ops("POST", &format!("/shipments/{parcel}/scans"), scan).await.expect(200);
        // While it is expected by others it waits, and no number is taken for it.
        app.clock.advance_seconds(120);
        sold.step(&asked, "settle", json!({"without_goods": true})).await.expect(200);
        assert_eq!(sold.refunded().await, "100.00");
        app.clock.advance_seconds(120);
        let path = format!("/shipments/{parcel}/claim");
        eventually("it is seen to", async || {
            let claim = sold.ops("GET", &path, Value::Null).await.expect(200);
            (&claim["state"], &claim["resolution"]) == (&json!("settled"), &json!("received"))
        })
        .await;
        assert_eq!(app.count("SELECT count(*) FROM return_requests").await, 1);
    });
}

#[test]
fn figures_tell_what_was_sold_where_one_may_look() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        sold.ship().await;
        sold.ask(1).await.expect(201);
        let other = app.ops("GET", &format!("/channels/{}", sold.shop.channel), None).await.expect(200);
        let fields =
            ["currencies", "locales", "countries", "time_zone", "prices_include_tax", "rounding", "payment_methods"];
        let settings: serde_json::Map<String, Value> =
            fields.iter().map(|field| ((*field).to_owned(), other[*field].clone())).collect();
        let new =
            json!({"code": "two", "name": "Two", "legal_entity_id": other["legal_entity_id"], "settings": settings});
        let second = app.ops("POST", "/channels", Some(&new)).await.expect(201);
        let method = json!({
            "channel_id": second["id"], "code": "standard", "name": "Parcel", "tax_class": "standard",
            "rates": [{"countries": ["DE"], "price": eur("4.90")}]
        });
        app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
        let (channel, key) = (text(&second["id"]), text(&second["publishable_keys"][0]));
        Sold::of(&Shop { channel, key, ..sold.shop.clone() }, &[("MUG", 3)]).await;
        let mut claims = app.claims(kontor::http::auth::Audience::Staff, "eve", "orders:read");
        claims.channels = Some(vec![sold.shop.channel.parse().unwrap()]);
        let bearer = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let seen = app.send("GET", "/v1/ops/returns/report", &[("Authorization", &bearer)], None).await.expect(200);
        assert_eq!((&seen["items"][0]["sold"], &seen["items"][0]["rate_percent"]), (&json!(4), &json!("25.00")));
        let all = sold.ops("GET", "/returns/report", Value::Null).await.expect(200);
        assert_eq!(all["items"][0]["sold"], 7);
    });
}

#[test]
fn no_more_go_into_stock_than_have_left_however_many_come() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        sold.ship().await;
        let before = sold.shop.available("MUG").await;
        let asked = sold.ask(4).await.expect(201);
        let slip = sold.step(&asked, "receive", came(1_000_000_000)).await.problem(409, "quantity_exceeded");
        assert_eq!(slip["left"], 10_000);
        let came_at_once = join_all((0..8).map(|_| sold.step(&asked, "receive", came(2)))).await;
        assert!(came_at_once.iter().all(|answer| answer.status == 200), "{}", came_at_once[0].text);
        let both = join_all((0..8).map(|_| sold.step(&asked, "inspect", seen(2)))).await;
        assert_eq!(both.iter().filter(|answer| answer.status == 200).count(), 2);
        // Kept apart at a location it would be in stock as well.
        let location = sold.ops("GET", "/locations", Value::Null).await.expect(200)["items"][0]["id"].clone();
        let apart = |location: Value| {
            let mut line = json!({"line_no": 1, "quantity": 12, "grade": "c", "disposition": "quarantine"});
            if !location.is_null() {
                line["location"] = location;
            }
            json!({ "lines": [line] })
        };
        sold.step(&asked, "inspect", apart(location)).await.problem(409, "quantity_exceeded");
        sold.step(&asked, "inspect", apart(Value::Null)).await.expect(200);
        assert_eq!(sold.shop.available("MUG").await, before + 4);
        sold.step(&asked, "settle", json!({})).await.expect(200);
        assert_eq!(sold.refunded().await, "100.00");
    });
}

#[test]
fn a_guest_wishes_for_no_store_credit() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        sold.ship().await;
        let body = json!({"lines": [{"line_no": 1, "quantity": 1, "reason": "other"}], "wish": "store_credit"});
        let refused = sold.store("POST", "/returns", Some(&body)).await.problem(422, "invalid_value");
        assert!(refused.to_string().contains("/wish"), "{refused}");
    });
}
