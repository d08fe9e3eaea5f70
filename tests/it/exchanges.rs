//! Exchanges in advance: the other goods leave before the first have come back. What is promised for them waits, and is evened out once.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both, shop::address};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

/// What providers have taken and given back, in minor units.
const AT_PROVIDER: &str = "SELECT CAST(coalesce(sum(captured - refunded), 0) AS BIGINT) FROM sandbox_payments";
const CREDIT: &str =
    "SELECT CAST(coalesce(sum(balance - held), 0) AS BIGINT) FROM stored_values WHERE kind = 'store_credit'";

struct Sold {
    app: App,
    order: String,
    customer: Value,
}

impl Sold {
    /// Two mugs for 25.00 each and 4.90 of shipping, paid by card, delivered to a customer.
    async fn open(app: &App) -> Self {
        let goods = [("MUG", "25.00", 50), ("JUG", "30.00", 50), ("CUP", "9.99", 50)];
        let shop = Shop::open(app, &goods).await;
        let new = json!({"name": "Joan", "email": "joan@example.org"});
        let customer = app.ops("POST", "/customers", Some(&new)).await.expect(201);
        let cart = json!({"channel_id": shop.channel, "customer_id": customer["id"], "email": "joan@example.org",
            "lines": [{"sku": "MUG", "quantity": 2}], "shipping_method": "standard", "shipping_address": address()});
        let cart = app.ops("POST", "/carts", Some(&cart)).await.expect(201);
        let pay = json!({"payment": {"method": "sandbox"}});
        let path = format!("/carts/{}/complete", text(&cart["id"]));
        let order = text(&app.ops("POST", &path, Some(&pay)).await.expect(201)["order"]["id"]);
        let sold = Self { app: app.clone(), order, customer };
        sold.ship(&sold.order).await;
        assert_eq!(app.count(AT_PROVIDER).await, 5_490);
        sold
    }

    async fn ops(&self, path: &str, body: &Value) -> crate::support::Answer {
        self.app.ops("POST", path, Some(body)).await
    }

    async fn ship(&self, order: &str) {
        let work = self.app.ops("GET", &format!("/orders/{order}/fulfilment"), None).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
        self.ops(&ship, &json!({})).await.expect(201);
        self.moved().await;
    }

    async fn moved(&self) {
        let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
        eventually("the money has moved", async || self.app.count(pending).await == 0).await;
    }

    /// An approved request for one mug.
    async fn ask(&self, wish: &str) -> String {
        let lines = json!([{"line_no": 1, "quantity": 1, "reason": "too_large"}]);
        let ask = json!({"lines": lines, "wish": wish, "approve": true});
        let asked = self.ops(&format!("/orders/{}/returns", self.order), &ask).await.expect(201);
        format!("/return-requests/{}", text(&asked["id"]))
    }

    /// Sends something in exchange; it leaves at once.
    async fn advance(&self, request: &str, sku: &str) -> String {
        let made = self.ops(&format!("{request}/exchange"), &wanted(sku)).await.expect(201);
        let order = text(&made["order"]["id"]);
        self.ship(&order).await;
        order
    }

    async fn come_back(&self, request: &str) -> Value {
        let came = json!({"lines": [{"line_no": 1, "quantity": 1}]});
        self.ops(&format!("{request}/receive"), &came).await.expect(200);
        let seen = json!({"lines": [{"line_no": 1, "quantity": 1, "grade": "a", "disposition": "restock"}]});
        self.ops(&format!("{request}/inspect"), &seen).await.expect(200);
        let settled = self.ops(&format!("{request}/settle"), &json!({})).await.expect(200);
        self.moved().await;
        settled
    }

    async fn order(&self, id: &str) -> Value {
        self.app.ops("GET", &format!("/orders/{id}"), None).await.expect(200)
    }

    /// What is owed of an order.
    async fn owed(&self, id: &str) -> Value {
        self.app.ops("GET", &format!("/orders/{id}/payments"), None).await.expect(200)["owed"].clone()
    }
}

fn wanted(sku: &str) -> Value {
    json!({"lines": [{"sku": sku, "quantity": 1}], "payment": {"method": "sandbox", "instrument": "approve"}})
}

#[test]
fn other_goods_leave_first_and_only_what_they_cost_more_is_taken() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let request = sold.ask("exchange").await;
        let other = sold.advance(&request, "JUG").await;
        let seen = sold.order(&other).await;
        assert_eq!((&seen["total"], &seen["customer_id"]), (&eur("30.00"), &sold.customer["id"]), "shipping is free");
        assert_eq!(seen["holds"][0]["kind"], "exchange");
        assert_eq!(app.count(AT_PROVIDER).await, 5_490, "nothing is taken before the mug is back");
        // Nor when somebody asks again.
        sold.app.ops("POST", &format!("/orders/{other}/settle"), None).await.expect(202);
        sold.moved().await;
        assert_eq!(app.count(AT_PROVIDER).await, 5_490);
        let advance = app.ops("GET", &request, None).await.expect(200)["advance"].clone();
        assert_eq!((&advance["state"], &advance["order_id"]), (&json!("ordered"), &json!(other)));
        // Of one request there is one exchange.
        let again = sold.ops(&format!("{request}/exchange"), &wanted("JUG")).await.expect(201);
        assert_eq!(again["order"]["id"], json!(other));
        sold.ops(&format!("{request}/exchange"), &wanted("CUP")).await.problem(409, "state_conflict");
        let settled = sold.come_back(&request).await;
        assert_eq!(settled["request"]["settlement"]["exchange_order_id"], json!(other));
        assert_eq!(settled["request"]["advance"]["paid_by_return"], eur("25.00"));
        assert_eq!((app.count(AT_PROVIDER).await, app.count(CREDIT).await), (5_990, 0));
        assert_eq!(sold.owed(&other).await, eur("0.00"));
        let seen = sold.order(&other).await;
        assert_eq!((&seen["payment_state"], seen["holds"].as_array().map_or(0, Vec::len)), (&json!("captured"), 0));
    });
}

#[test]
fn an_even_exchange_costs_nothing_and_one_down_gives_the_rest_back() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let request = sold.ask("exchange").await;
        let other = sold.advance(&request, "MUG").await;
        sold.come_back(&request).await;
        assert_eq!((app.count(AT_PROVIDER).await, app.count(CREDIT).await), (5_490, 0));
        assert_eq!(sold.owed(&other).await, eur("0.00"));
        let request = sold.ask("exchange").await;
        let other = sold.advance(&request, "CUP").await;
        let settled = sold.come_back(&request).await;
        assert_eq!(settled["request"]["settlement"]["store_credit"], eur("9.99"));
        assert_eq!((app.count(AT_PROVIDER).await, app.count(CREDIT).await), (5_490 - 1_501, 0));
        assert_eq!((sold.owed(&other).await, sold.owed(&sold.order).await), (eur("0.00"), eur("0.00")));
    });
}

#[test]
fn what_does_not_come_back_is_charged() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        // It is over before anything comes.
        let request = sold.ask("exchange").await;
        sold.advance(&request, "JUG").await;
        app.clock.advance_seconds(40 * 86_400);
        eventually("it is over", async || app.ops("GET", &request, None).await.expect(200)["state"] == "expired").await;
        sold.moved().await;
        assert_eq!((app.count(AT_PROVIDER).await, app.count(CREDIT).await), (5_490 + 3_000, 0));
        let advance = app.ops("GET", &request, None).await.expect(200)["advance"].clone();
        assert_eq!(advance["state"], "charged");
        // It is cancelled; and it is settled, but not as an exchange.
        let request = sold.ask("exchange").await;
        sold.advance(&request, "CUP").await;
        app.ops("POST", &format!("{request}/cancel"), None).await.expect(200);
        sold.moved().await;
        assert_eq!(app.count(AT_PROVIDER).await, 5_490 + 3_999);
        let request = sold.ask("exchange").await;
        sold.advance(&request, "CUP").await;
        let how = json!({"without_goods": true, "wish": "refund"});
        sold.ops(&format!("{request}/settle"), &how).await.expect(200);
        sold.moved().await;
        assert_eq!(app.count(AT_PROVIDER).await, 5_490 + 3_999 + 999 - 2_500);
    });
}

#[test]
fn an_exchange_is_refused_with_the_reason() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let other = sold.ask("refund").await;
        sold.ops(&format!("{other}/exchange"), &wanted("JUG")).await.problem(409, "state_conflict");
        let request = format!("{}/exchange", sold.ask("exchange").await);
        let by_hand = json!({"lines": [{"sku": "JUG", "quantity": 1}], "payment": {"method": "manual"}});
        let refused = sold.ops(&request, &by_hand).await.problem(422, "payment_method_unavailable");
        assert_eq!(refused["pointer"], "/payment/method");
        sold.ops(&request, &json!({})).await.problem(422, "invalid_value");
        let both = json!({"order": "1", "lines": [{"sku": "JUG", "quantity": 1}]});
        sold.ops(&request, &both).await.problem(422, "invalid_value");
        let told = json!({"lines": [{"sku": "JUG", "quantity": 1}], "payment": {"method": "sandbox"},
            "expected_total": eur("25.00")});
        sold.ops(&request, &told).await.problem(409, "total_changed");
        // A card that is declined leaves room for another, and for other goods.
        let declined = json!({"lines": [{"sku": "JUG", "quantity": 1}],
            "payment": {"method": "sandbox", "instrument": "decline"}});
        let said = sold.ops(&request, &declined).await.expect(200);
        assert_eq!(said["result"], "payment_failed");
        sold.ops(&request, &wanted("CUP")).await.expect(201);
        // Its cart of before is gone with what it had set aside.
        assert_eq!(app.count("SELECT count(*) FROM orders").await, 2);
        let path = request.trim_end_matches("/exchange");
        app.ops("POST", &format!("{path}/cancel"), None).await.expect(200);
    });
}

#[test]
fn two_exchanges_at_once_are_one_order() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let request = format!("{}/exchange", sold.ask("exchange").await);
        let body = wanted("JUG");
        let answers = join_all((0..6).map(|_| sold.ops(&request, &body))).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert!(statuses.contains(&201), "{statuses:?}");
        assert!(statuses.iter().all(|status| [201, 202, 409].contains(status)), "{statuses:?}");
        assert_eq!(app.count("SELECT count(*) FROM orders").await, 2);
        let path = request.trim_end_matches("/exchange");
        let seen = app.ops("GET", path, None).await.expect(200);
        assert_eq!(seen["advance"]["state"], "ordered");
        app.ops("POST", &format!("{path}/cancel"), None).await.expect(200);
    });
}

#[test]
fn an_exchange_and_a_cancellation_at_once_lose_no_money() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let request = sold.ask("exchange").await;
        let (exchange, cancel) = (format!("{request}/exchange"), format!("{request}/cancel"));
        let body = wanted("JUG");
        let (made, ended) = futures::future::join(sold.ops(&exchange, &body), app.ops("POST", &cancel, None)).await;
        ended.expect(200);
        eventually("it has come to an end", async || {
            app.count("SELECT count(*) FROM return_requests WHERE advance_state IN ('open', 'ordered')").await == 0
        })
        .await;
        let orders = app.count("SELECT count(*) FROM orders").await;
        match made.status {
            201 => {
                let other = text(&made.body["order"]["id"]);
                sold.ship(&other).await;
                assert_eq!((orders, app.count(AT_PROVIDER).await), (2, 5_490 + 3_000));
            }
            409 => assert_eq!((orders, app.count(AT_PROVIDER).await), (1, 5_490)),
            _ => panic!("{}", made.text),
        }
    });
}

#[test]
fn settling_and_the_end_at_once_even_it_out_once() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        for _ in 0..2 {
            let request = sold.ask("exchange").await;
            let before = app.count(AT_PROVIDER).await;
            let other = sold.advance(&request, "JUG").await;
            let (settle, cancel) = (format!("{request}/settle"), format!("{request}/cancel"));
            let how = json!({"without_goods": true});
            let (settled, ended) = futures::future::join(sold.ops(&settle, &how), app.ops("POST", &cancel, None)).await;
            sold.moved().await;
            assert_eq!(
                [settled.status, ended.status].iter().filter(|status| **status == 200).count(),
                1,
                "{} {}",
                settled.text,
                ended.text
            );
            let taken = if settled.status == 200 { 500 } else { 3_000 };
            assert_eq!((app.count(AT_PROVIDER).await - before, app.count(CREDIT).await), (taken, 0));
            assert_eq!(sold.owed(&other).await, eur("0.00"));
        }
    });
}

fn ending(sku: &str) -> Value {
    json!({"lines": [{"sku": sku, "quantity": 1}],
        "payment": {"method": "sandbox", "instrument": "expires_once:36000"}})
}

#[test]
fn what_a_promise_was_given_for_is_taken_before_that_ends_and_once() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let refused = "SELECT count(*) FROM payment_renewals WHERE state = 'refused'";
        for turn in 0..2 {
            let before = app.count(AT_PROVIDER).await;
            let request = sold.ask("exchange").await;
            let made = sold.ops(&format!("{request}/exchange"), &ending("JUG")).await.expect(201);
            let other = text(&made["order"]["id"]);
            sold.ship(&other).await;
            assert_eq!(app.count(AT_PROVIDER).await, before, "nothing is taken yet");
            app.clock.advance_seconds(18_500);
            eventually("it is not promised anew", async || app.count(refused).await == turn + 1).await;
            sold.moved().await;
            assert_eq!(app.count(AT_PROVIDER).await, before + 3_000);
            assert!(sold.order(&other).await["holds"].is_null());
            if turn == 0 {
                // What is paid goes back the way it came, and not as store credit.
                let settled = sold.come_back(&request).await;
                assert!(settled["request"]["settlement"]["store_credit"].is_null(), "{settled}");
                assert_eq!(app.count(AT_PROVIDER).await, before + 3_000 - 2_500);
            } else {
                app.clock.advance_seconds(40 * 86_400);
                let over = async || app.ops("GET", &request, None).await.expect(200)["state"] == "expired";
                eventually("it is over", over).await;
                sold.moved().await;
                assert_eq!(app.count(AT_PROVIDER).await, before + 3_000);
            }
            assert_eq!((sold.owed(&other).await, app.count(CREDIT).await), (eur("0.00"), 0));
        }
    });
}

#[test]
fn what_was_ordered_a_moment_ago_counts_when_the_return_is_settled() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let request = sold.ask("exchange").await;
        let mut with = wanted("JUG");
        with["payment"]["instrument"] = json!("redirect");
        let asked = sold.ops(&format!("{request}/exchange"), &with).await.expect(202);
        let how = json!({"without_goods": true, "wish": "exchange"});
        sold.ops(&format!("{request}/settle"), &how).await.problem(409, "state_conflict");
        let url = text(&asked["action"]["url"]);
        let key = url.rsplit('/').next().unwrap_or_default();
        app.ops("POST", &format!("/sandbox/payments/{key}/approve"), None).await.expect(202);
        let placed = "SELECT count(*) FROM orders";
        eventually("it is ordered", async || app.count(placed).await == 2).await;
        let settled = sold.ops(&format!("{request}/settle"), &how).await.expect(200);
        sold.moved().await;
        assert_eq!(settled["request"]["advance"]["state"], "evened");
        assert_eq!(settled["request"]["advance"]["paid_by_return"], eur("25.00"));
        let other = text(&settled["request"]["settlement"]["exchange_order_id"]);
        sold.ship(&other).await;
        assert_eq!((app.count(AT_PROVIDER).await, app.count(CREDIT).await), (5_990, 0));
    });
}

#[test]
fn what_is_released_by_hand_is_taken_and_other_terms_are_another_exchange() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let request = sold.ask("exchange").await;
        let mut with = wanted("JUG");
        with["payment"]["instrument"] = json!("decline");
        let said = sold.ops(&format!("{request}/exchange"), &with).await.expect(200);
        assert_eq!(said["result"], "payment_failed");
        // What is in its cart stays, and where it goes.
        let cart = text(&app.ops("GET", &request, None).await.expect(200)["advance"]["cart_id"]);
        for change in [json!({"shipping_method": "standard"}), json!({"lines": [{"sku": "CUP", "quantity": 9}]})] {
            let changed = app.ops("PATCH", &format!("/carts/{cart}"), Some(&change)).await;
            changed.problem(409, "state_conflict");
        }
        let mut with = wanted("JUG");
        with["charge_shipping"] = json!(true);
        let made = sold.ops(&format!("{request}/exchange"), &with).await.expect(201);
        let other = text(&made["order"]["id"]);
        assert_eq!(sold.order(&other).await["total"], eur("34.90"), "shipping is paid for");
        sold.ship(&other).await;
        assert_eq!(app.count(AT_PROVIDER).await, 5_490);
        sold.ops(&format!("/orders/{other}/release"), &json!({})).await.expect(200);
        eventually("it is taken", async || app.count(AT_PROVIDER).await == 5_490 + 3_490).await;
    });
}
