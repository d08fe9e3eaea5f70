//! Exchanges of guests' orders: by staff, and by the guests themselves with what opens their order. Who has no account has no store credit:
//! what comes back pays the other order by a gift card that nobody is told of.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, App, Cart, Shop, eventually, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

const AT_PROVIDER: &str = "SELECT CAST(coalesce(sum(captured - refunded), 0) AS BIGINT) FROM sandbox_payments";
const ON_CARDS: &str = "SELECT CAST(coalesce(sum(balance), 0) AS BIGINT) FROM stored_values WHERE kind = 'gift_card'";

struct Sold {
    app: App,
    shop: Shop,
    cart: Cart,
    order: String,
}

impl Sold {
    /// Two mugs for 25.00 each and 4.90 of shipping, delivered to a guest.
    async fn open(app: &App) -> Self {
        let shop = Shop::open(app, &[("MUG", "25.00", 50), ("JUG", "30.00", 50), ("CUP", "9.99", 50)]).await;
        shop.set(json!({"payment_methods": ["manual", "sandbox", "gift_card"]})).await;
        let cart = shop.cart(&[("MUG", 2)]).await;
        let order = text(&shop.complete(&cart, "approve").await.expect(201)["order"]["id"]);
        let sold = Self { app: app.clone(), shop, cart, order };
        sold.ship(&sold.order).await;
        assert_eq!(app.count(AT_PROVIDER).await, 5_490);
        sold
    }

    async fn ops(&self, path: &str, body: Value) -> Answer {
        self.app.ops("POST", path, Some(&body)).await
    }

    async fn ship(&self, order: &str) {
        let work = self.app.ops("GET", &format!("/orders/{order}/fulfilment"), None).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
        self.ops(&ship, json!({})).await.expect(201);
        self.moved().await;
    }

    async fn moved(&self) {
        let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
        eventually("the money has moved", async || self.app.count(pending).await == 0).await;
    }

    /// The guest asks for an exchange of one mug.
    async fn ask(&self) -> String {
        let lines = json!([{"line_no": 1, "quantity": 1, "reason": "too_large"}]);
        let body = json!({"lines": lines, "wish": "exchange"});
        let path = format!("/orders/{}/returns", self.order);
        let asked = self.shop.store("POST", &path, Some(&self.cart.token), Some(&body)).await.expect(201);
        let id = text(&asked["id"]);
        if asked["state"] == "requested" {
            self.ops(&format!("/return-requests/{id}/approve"), json!({})).await.expect(200);
        }
        id
    }

    async fn settle(&self, request: &str) -> Value {
        let path = format!("/return-requests/{request}/settle");
        let done = self.ops(&path, json!({"without_goods": true})).await.expect(200);
        self.moved().await;
        done
    }

    /// The guest orders something in exchange.
    async fn own(&self, request: &str, token: Option<&str>, sku: &str) -> Answer {
        let path = format!("/orders/{}/returns/{request}/exchange", self.order);
        self.shop.store("POST", &path, token, Some(&wanted(sku))).await
    }

    async fn owed(&self, id: &str) -> Value {
        self.app.ops("GET", &format!("/orders/{id}/payments"), None).await.expect(200)["owed"].clone()
    }
}

fn wanted(sku: &str) -> Value {
    json!({"lines": [{"sku": sku, "quantity": 1}], "payment": {"method": "sandbox", "instrument": "approve"}})
}

#[test]
fn staff_exchange_for_a_guest_and_only_what_it_costs_more_is_taken() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let request = sold.ask().await;
        let path = format!("/return-requests/{request}/exchange");
        let refused = json!({"lines": [{"sku": "JUG", "quantity": 1}], "store_credit": true});
        sold.ops(&path, refused).await.problem(422, "invalid_value");
        let other = text(&sold.ops(&path, wanted("JUG")).await.expect(201)["order"]["id"]);
        sold.ship(&other).await;
        assert_eq!(app.count(AT_PROVIDER).await, 5_490, "nothing is taken before the mug is back");
        let done = sold.settle(&request).await;
        assert_eq!(done["request"]["advance"]["state"], "evened");
        assert!(done["gift_card"]["code"].is_string(), "what the other order gives back later goes onto it: {done}");
        assert_eq!((app.count(AT_PROVIDER).await, app.count(ON_CARDS).await), (5_990, 0));
        assert_eq!((sold.owed(&other).await, sold.owed(&sold.order).await), (eur("0.00"), eur("0.00")));
    });
}

#[test]
fn an_even_exchange_of_a_guest_costs_nothing_and_one_down_gives_the_rest_back() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        for (sku, left) in [("MUG", 5_490), ("CUP", 3_989)] {
            let request = sold.ask().await;
            let path = format!("/return-requests/{request}/exchange");
            let other = text(&sold.ops(&path, wanted(sku)).await.expect(201)["order"]["id"]);
            sold.ship(&other).await;
            sold.settle(&request).await;
            assert_eq!((app.count(AT_PROVIDER).await, app.count(ON_CARDS).await), (left, 0), "{sku}");
            assert_eq!((sold.owed(&other).await, sold.owed(&sold.order).await), (eur("0.00"), eur("0.00")));
        }
    });
}

#[test]
fn a_guest_exchanges_with_what_opens_their_order() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let request = sold.ask().await;
        sold.own(&request, None, "JUG").await.problem(404, "not_found");
        let stranger = sold.shop.cart(&[("CUP", 1)]).await;
        sold.own(&request, Some(&stranger.token), "JUG").await.problem(404, "not_found");
        let answers = join_all((0..4).map(|_| sold.own(&request, Some(&sold.cart.token), "JUG"))).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert!(statuses.contains(&201), "{statuses:?}");
        assert!(statuses.iter().all(|status| [201, 202, 409].contains(status)), "{statuses:?}");
        assert_eq!(app.count("SELECT count(*) FROM orders").await, 2);
        let made = answers.iter().find(|answer| answer.status == 201).unwrap();
        let other = text(&made.body["order"]["id"]);
        // They pay its shipping themselves.
        assert_eq!(made.body["order"]["total"], eur("34.90"));
        sold.ship(&other).await;
        sold.settle(&request).await;
        assert_eq!((app.count(AT_PROVIDER).await, app.count(ON_CARDS).await), (5_490 + 990, 0));
        assert_eq!(sold.owed(&other).await, eur("0.00"));
        // Once: what is settled is settled.
        let again = sold.own(&request, Some(&sold.cart.token), "CUP").await;
        again.problem(409, "state_conflict");
    });
}

#[test]
fn what_a_guest_sent_back_first_pays_another_order_and_the_rest_is_asked_for_by_a_link() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let request = sold.ask().await;
        let done = sold.settle(&request).await;
        let code = done["gift_card"]["code"].clone();
        assert_eq!((app.count(AT_PROVIDER).await, app.count(ON_CARDS).await), (5_490, 2_500));
        // Another's order is no exchange.
        let link = async |order: &str| {
            sold.ops(&format!("/return-requests/{request}/exchange"), json!({ "order": order })).await
        };
        let cart = sold.shop.cart(&[("JUG", 1)]).await;
        let path = format!("/carts/{}/gift-cards", cart.id);
        sold.shop.store("POST", &path, Some(&cart.token), Some(&json!({ "code": code }))).await.expect(200);
        let complete = format!("/carts/{}/complete", cart.id);
        let by_hand = json!({"payment": {"method": "manual"}});
        let made = sold.shop.store("POST", &complete, Some(&cart.token), Some(&by_hand)).await.expect(201);
        let other = text(&made["order"]["id"]);
        assert_eq!(link(&other).await.expect(200)["settlement"]["exchange_order_id"], json!(other));
        link(&other).await.problem(409, "state_conflict");
        // What it costs more is asked for by a link.
        let asked = sold.ops(&format!("/orders/{other}/payment-requests"), json!({})).await.expect(201);
        assert_eq!(asked["amount"], eur("9.90"));
        let pay = json!({"token": asked["token"], "payment": {"method": "sandbox", "instrument": "approve"}});
        assert_eq!(sold.shop.store("POST", "/payment-requests/pay", None, Some(&pay)).await.status, 200);
        sold.ship(&other).await;
        assert_eq!((app.count(AT_PROVIDER).await, app.count(ON_CARDS).await), (5_490 + 990, 0));
        assert_eq!(sold.owed(&other).await, eur("0.00"));
    });
}
