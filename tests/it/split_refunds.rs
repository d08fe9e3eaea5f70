//! Money that is given back of an order that gift cards, store credit and a payment method have paid: each gets what it paid, never
//! more than was captured, however many ask at once.

use futures::future::join_all;
use kontor::http::auth::Audience;
use serde_json::{Value, json};

use crate::{
    promotions::eur,
    support::{App, Shop, eventually, on_both, shop::address},
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn cents(money: &Value) -> i64 {
    text(&money["amount"]).replace('.', "").parse().unwrap()
}

/// What is on a card or a credit.
async fn balance(app: &App, id: &str) -> String {
    let seen = app.ops("GET", &format!("/stored-values/{id}"), None).await.expect(200);
    assert_eq!(seen["held"], eur("0.00"));
    text(&seen["balance"]["amount"])
}

async fn settled(app: &App) {
    let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
    eventually("the money has moved", async || app.count(pending).await == 0).await;
}

/// An order of four mugs for 25.00 each and 4.90 of shipping that is paid with two cards of 20.00 and 10.00, a credit of 15.00 and the
/// sandbox: all of it is shipped and captured.
struct Paid {
    shop: Shop,
    order: String,
    cards: [String; 2],
    credit: String,
}

impl Paid {
    async fn open(app: &App) -> Self {
        let shop = Shop::open(app, &[("MUG", "25.00", 50)]).await;
        shop.set(json!({"payment_methods": ["manual", "sandbox", "gift_card", "store_credit"]})).await;
        let ada = format!("Bearer {}", app.token(Audience::Customer, "ada", &[]));
        let headers = [("Channel-Key", shop.key.as_str()), ("Authorization", ada.as_str())];
        let send = async |method: &str, path: &str, body: Value| {
            app.send(method, &format!("/v1/store{path}"), &headers, Some(&body)).await
        };
        let me = send("PATCH", "/me", json!({"name": "Ada"})).await.expect(200);
        let path = format!("/customers/{}/store-credit", text(&me["id"]));
        let credit = json!({"amount": eur("15.00"), "reason": "sorry"});
        let credit = text(&app.ops("POST", &path, Some(&credit)).await.expect(200)["id"]);
        let body = json!({"lines": [{"sku": "MUG", "quantity": 4}], "email": "ada@example.org",
            "shipping_method": "standard", "shipping_address": address()});
        let cart = send("POST", "/carts", body).await.expect(201);
        let path = format!("/carts/{}", text(&cart["id"]));
        let mut cards = Vec::new();
        for amount in ["20.00", "10.00"] {
            let card = app.ops("POST", "/gift-cards", Some(&json!({"amount": eur(amount)}))).await.expect(201);
            send("POST", &format!("{path}/gift-cards"), json!({"code": card["code"]})).await.expect(200);
            cards.push(text(&card["id"]));
        }
        let seen = send("PATCH", &path, json!({"store_credit": true})).await.expect(200);
        assert_eq!((&seen["total"], &seen["due"]), (&eur("104.90"), &eur("59.90")));
        let pay = json!({"payment": {"method": "sandbox"}});
        let order = send("POST", &format!("{path}/complete"), pay).await.expect(201)["order"].clone();
        let order = text(&order["id"]);
        let work = app.ops("GET", &format!("/orders/{order}/fulfilment"), None).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
        app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
        settled(app).await;
        Self { shop, order, cards: cards.try_into().unwrap(), credit }
    }

    fn app(&self) -> &App {
        &self.shop.app
    }

    async fn read(&self) -> Value {
        self.app().ops("GET", &format!("/orders/{}", self.order), None).await.expect(200)
    }

    async fn give_back(&self, amount: &str) -> crate::support::Answer {
        let back = json!({"amount": eur(amount), "reason": "late"});
        self.app().ops("POST", &format!("/orders/{}/refunds", self.order), Some(&back)).await
    }

    /// What is on both cards and the credit, and what the sandbox has given back.
    async fn stands(&self) -> [String; 4] {
        settled(self.app()).await;
        let (first, second) = (balance(self.app(), &self.cards[0]).await, balance(self.app(), &self.cards[1]).await);
        let order = self.read().await;
        let mut payments = order["payments"].as_array().unwrap().iter();
        for payment in payments.clone() {
            assert_eq!(payment["captured"], payment["amount"], "{payment}");
            assert!(cents(&payment["refunded"]) <= cents(&payment["captured"]), "{payment}");
        }
        let sandbox = payments.find(|payment| payment["provider"] == "sandbox").unwrap();
        [first, second, balance(self.app(), &self.credit).await, text(&sandbox["refunded"]["amount"])]
    }
}

fn all(amounts: [&str; 4]) -> [String; 4] {
    amounts.map(str::to_owned)
}

#[test]
fn money_goes_back_first_then_credit_then_the_cards_and_all_of_it_once() {
    on_both(|app| async move {
        let paid = Paid::open(&app).await;
        assert_eq!(paid.stands().await, all(["0.00", "0.00", "0.00", "0.00"]));
        // A part of what the sandbox took; what is more than that onto what paid ahead of it, the last of them first.
        paid.give_back("10.00").await.expect(202);
        assert_eq!(paid.stands().await, all(["0.00", "0.00", "0.00", "10.00"]));
        paid.give_back("60.00").await.expect(202);
        assert_eq!(paid.stands().await, all(["0.00", "0.00", "10.10", "59.90"]));
        paid.give_back("10.00").await.expect(202);
        assert_eq!(paid.stands().await, all(["0.00", "5.10", "15.00", "59.90"]));
        // No more than was captured; the rest to the cent.
        let refused = paid.give_back("24.91").await.problem(409, "refund_exceeded");
        assert_eq!(refused["pointer"], "/amount");
        paid.give_back("24.90").await.expect(202);
        assert_eq!(paid.stands().await, all(["20.00", "10.00", "15.00", "59.90"]));
        paid.give_back("0.01").await.problem(409, "refund_exceeded");
        assert_eq!(paid.read().await["payment_state"], "refunded");
        // Each refund is an entry of the card or the credit that it went onto.
        for (id, amounts) in [
            (&paid.cards[0], vec!["20.00"]),
            (&paid.cards[1], vec!["4.90", "5.10"]),
            (&paid.credit, vec!["4.90", "10.10"]),
        ] {
            let entries = app.ops("GET", &format!("/stored-values/{id}/entries"), None).await.expect(200);
            let refunds = entries["items"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "refund");
            let mut told: Vec<String> = refunds.map(|entry| text(&entry["amount"]["amount"])).collect();
            told.sort_unstable();
            let mut amounts: Vec<String> = amounts.into_iter().map(str::to_owned).collect();
            amounts.sort_unstable();
            assert_eq!(told, amounts);
        }
    });
}

#[test]
fn what_comes_back_is_given_back_beside_what_was_given_already() {
    on_both(|app| async move {
        let paid = Paid::open(&app).await;
        paid.give_back("50.00").await.expect(202);
        assert_eq!(paid.stands().await, all(["0.00", "0.00", "0.00", "50.00"]));
        let back = async |quantity: i64| {
            let back = json!({"order": paid.order, "lines": [{"line_no": 1, "quantity": quantity}], "refund": true});
            app.ops("POST", "/returns", Some(&back)).await.expect(201)["amount"].clone()
        };
        // 25.00 for a piece: 9.90 are left of the sandbox's, 15.00 go onto the credit, 0.10 onto the second card.
        assert_eq!(back(1).await, eur("25.00"));
        assert_eq!(paid.stands().await, all(["0.00", "0.10", "15.00", "59.90"]));
        // A card that is blocked, or is over, gets its own back all the same.
        let blocked = json!({"blocked": true});
        app.ops("PATCH", &format!("/stored-values/{}", paid.cards[1]), Some(&blocked)).await.expect(200);
        let over = json!({"expires_at": app.now().plus_seconds(60)});
        app.ops("PATCH", &format!("/stored-values/{}", paid.cards[0]), Some(&over)).await.expect(200);
        app.clock.advance_seconds(120);
        assert_eq!(back(1).await, eur("25.00"));
        assert_eq!(paid.stands().await, all(["15.10", "10.00", "15.00", "59.90"]));
        // Of the other two only what is left: goodwill was money too.
        assert_eq!(back(2).await, eur("50.00"));
        assert_eq!(paid.stands().await, all(["20.00", "10.00", "15.00", "59.90"]));
        paid.give_back("0.01").await.problem(409, "refund_exceeded");
    });
}

#[test]
fn however_many_give_back_at_once_no_more_goes_back_than_was_captured() {
    on_both(|app| async move {
        let paid = Paid::open(&app).await;
        let returned = json!({"order": paid.order, "lines": [{"line_no": 1, "quantity": 1}], "refund": true});
        let refunds = join_all((0..12).map(|_| paid.give_back("20.00")));
        let returns = join_all((0..3).map(|_| app.ops("POST", "/returns", Some(&returned))));
        let (refunds, returns) = tokio::join!(refunds, returns);
        for answer in refunds.iter().chain(&returns) {
            let done = matches!(answer.status, 201 | 202);
            assert!(done || answer.body["code"] == "refund_exceeded", "{}", answer.text);
        }
        assert!(returns.iter().all(|answer| answer.status == 201));
        settled(&app).await;
        let order = paid.read().await;
        let sum = |what: &str| order["payments"].as_array().unwrap().iter().map(|one| cents(&one[what])).sum::<i64>();
        assert_eq!(sum("captured"), 10_490);
        assert!(sum("refunded") <= 10_490 && sum("refunded") >= 8_490, "{order}");
        // What is left, to the cent, can still be given back; then nothing can.
        let rest = 10_490 - sum("refunded");
        if rest > 0 {
            paid.give_back(&format!("{}.{:02}", rest / 100, rest % 100)).await.expect(202);
        }
        assert_eq!(paid.stands().await, all(["20.00", "10.00", "15.00", "59.90"]));
        paid.give_back("0.01").await.problem(409, "refund_exceeded");
    });
}

#[test]
fn what_was_never_captured_is_never_given_back() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50)]).await;
        shop.set(json!({"payment_methods": ["sandbox", "gift_card"]})).await;
        let card = app.ops("POST", "/gift-cards", Some(&json!({"amount": eur("20.00")}))).await.expect(201);
        let cart = shop.cart(&[("MUG", 2)]).await;
        let path = format!("/carts/{}/gift-cards", cart.id);
        let code = json!({"code": card["code"]});
        shop.store("POST", &path, Some(&cart.token), Some(&code)).await.expect(200);
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        let path = format!("/orders/{}", text(&order["id"]));
        let back = async |amount: &str| {
            let back = json!({"amount": eur(amount), "reason": "late"});
            app.ops("POST", &format!("{path}/refunds"), Some(&back)).await
        };
        // Promised money is none that was taken.
        back("0.01").await.problem(409, "refund_exceeded");
        // One piece is sent: 29.90 with shipping are captured, 20.00 of the card. Only these can go back.
        let work = app.ops("GET", &format!("{path}/fulfilment"), None).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
        let one = json!({"lines": [{"line_no": 1, "quantity": 1}]});
        app.ops("POST", &ship, Some(&one)).await.expect(201);
        settled(&app).await;
        back("29.91").await.problem(409, "refund_exceeded");
        back("29.90").await.expect(202);
        settled(&app).await;
        assert_eq!(balance(&app, &text(&card["id"])).await, "20.00");
        // What is cancelled of the rest is let go, and is no refund.
        app.ops("POST", &format!("{path}/cancel"), Some(&json!({"reason": "enough"}))).await.expect(200);
        settled(&app).await;
        let seen = app.ops("GET", &path, None).await.expect(200);
        let sum = |what: &str| seen["payments"].as_array().unwrap().iter().map(|one| cents(&one[what])).sum::<i64>();
        assert_eq!([sum("captured"), sum("refunded"), sum("voided")], [2_990, 2_990, 2_500]);
        back("0.01").await.problem(409, "refund_exceeded");
    });
}
