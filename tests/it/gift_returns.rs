//! Presents that come back from who was given them: for a gift card that is nobody's, without prices, and once for a piece.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, App, Cart, Shop, eventually, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

const AT_PROVIDER: &str = "SELECT CAST(coalesce(sum(captured - refunded), 0) AS BIGINT) FROM sandbox_payments";
const ON_CARDS: &str = "SELECT CAST(coalesce(sum(balance), 0) AS BIGINT) FROM stored_values WHERE kind = 'gift_card'";

struct Sold {
    app: App,
    shop: Shop,
    cart: Cart,
    order: Value,
    proof: Value,
}

impl Sold {
    /// Three mugs and a cup, of which the mugs are presents, delivered.
    async fn open(app: &App, gifts: Value) -> Self {
        let shop = Shop::open(app, &[("MUG", "33.33", 50), ("CUP", "9.99", 50)]).await;
        shop.set(json!({"payment_methods": ["manual", "sandbox", "gift_card"]})).await;
        let policy = json!({"window_days": 30, "gifts": gifts});
        let path = format!("/channels/{}/return-policy", shop.channel);
        app.ops("PUT", &path, Some(&policy)).await.expect(200);
        let cart = shop.cart(&[("MUG", 3), ("CUP", 1)]).await;
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        let id = text(&order["id"]);
        let work = app.ops("GET", &format!("/orders/{id}/fulfilment"), None).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
        let parcel = app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
        app.ops("POST", &format!("/shipments/{}/deliver", text(&parcel["id"])), Some(&json!({}))).await.expect(200);
        let path = format!("/orders/{id}/gift-receipts");
        let receipt = shop.store("POST", &path, Some(&cart.token), Some(&json!({"lines": [1]}))).await.expect(201);
        let proof = json!({"order_number": receipt["order_number"], "token": receipt["token"]});
        let sold = Self { app: app.clone(), shop, cart, order, proof };
        sold.moved().await;
        sold
    }

    async fn moved(&self) {
        let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
        eventually("the money has moved", async || self.app.count(pending).await == 0).await;
    }

    async fn ops(&self, path: &str, body: Value) -> Answer {
        self.app.ops("POST", path, Some(&body)).await
    }

    /// What who was given it asks, without any account or cart.
    async fn given(&self, path: &str, more: Value) -> Answer {
        let mut body = self.proof.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.shop.store("POST", path, None, Some(&body)).await
    }

    async fn give_back(&self, quantity: i64) -> Answer {
        let lines = json!([{"line_no": 1, "quantity": quantity, "reason": "gift"}]);
        self.given("/gift-returns", json!({ "lines": lines })).await
    }

    async fn settle(&self, request: &Value, how: Value) -> Answer {
        let answer = self.ops(&format!("/return-requests/{}/settle", text(&request["id"])), how).await;
        self.moved().await;
        answer
    }
}

#[test]
fn who_was_given_it_gets_a_gift_card_and_is_told_no_price() {
    on_both(|app| async move {
        let sold = Sold::open(&app, json!({})).await;
        let before = app.count(AT_PROVIDER).await;
        let seen = sold.given("/gift-returns/open", json!({})).await;
        for secret in ["33.33", "99.99", "ada@", "amount", "Ada"] {
            assert!(!seen.text.contains(secret), "{}", seen.text);
        }
        let seen = seen.expect(200);
        assert_eq!(seen["lines"].as_array().unwrap().len(), 1, "the cup is no present");
        assert_eq!((&seen["lines"][0]["quantity"], &seen["lines"][0]["allowed"]), (&json!(3), &json!(true)));
        let asked = sold.give_back(2).await.expect(201);
        assert_eq!(asked["state"], "approved");
        // The buyer is not told, nor takes it back.
        let own = format!("/orders/{}/returns", text(&sold.order["id"]));
        let told = sold.shop.store("GET", &own, Some(&sold.cart.token), None).await.expect(200);
        assert_eq!(told["requests"], json!([]));
        let cancel = format!("{own}/{}/cancel", text(&asked["id"]));
        sold.shop.store("POST", &cancel, Some(&sold.cart.token), None).await.problem(404, "not_found");
        // Nothing of it goes to the buyer.
        let refused = sold.settle(&asked, json!({"without_goods": true, "wish": "refund"})).await;
        refused.problem(422, "invalid_value");
        let done = sold.settle(&asked, json!({"without_goods": true})).await.expect(200);
        assert_eq!(done["return"]["amount"], json!({"amount": "66.66", "currency": "EUR"}));
        let card = done["gift_card"].clone();
        assert_eq!((app.count(ON_CARDS).await, app.count(AT_PROVIDER).await), (6_666, before));
        // It pays whatever its holder orders.
        let cart = sold.shop.cart(&[("MUG", 1)]).await;
        let code = json!({"code": card["code"]});
        let path = format!("/carts/{}/gift-cards", cart.id);
        sold.shop.store("POST", &path, Some(&cart.token), Some(&code)).await.expect(200);
        let rest = sold.given("/gift-returns/open", json!({})).await.expect(200);
        assert_eq!((&rest["lines"][0]["quantity"], &rest["returns"][0]["state"]), (&json!(1), &json!("settled")));
    });
}

#[test]
fn a_piece_comes_back_once_from_buyer_or_recipient() {
    on_both(|app| async move {
        let sold = Sold::open(&app, json!({})).await;
        let path = format!("/orders/{}/returns", text(&sold.order["id"]));
        let own = json!({"lines": [{"line_no": 1, "quantity": 2, "reason": "changed_mind"}]});
        let ask = async |place: usize| match place % 2 {
            0 => sold.give_back(2).await,
            _ => sold.shop.store("POST", &path, Some(&sold.cart.token), Some(&own)).await,
        };
        let answers = join_all((0..6).map(ask)).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        let won = answers.iter().find(|answer| answer.status == 201).unwrap();
        let settled = join_all((0..3).map(|_| sold.settle(&won.body, json!({"without_goods": true})))).await;
        assert_eq!(settled.iter().filter(|answer| answer.status == 200).count(), 1);
        let back = app.count(ON_CARDS).await + 11_488 - app.count(AT_PROVIDER).await;
        assert_eq!(back, 6_666, "to one of both");
    });
}

#[test]
fn presents_are_taken_back_as_the_policy_says() {
    on_both(|app| async move {
        let sold = Sold::open(&app, json!(null)).await;
        sold.give_back(1).await.problem(409, "gift_return_refused");
        sold.given("/gift-returns/open", json!({})).await.problem(409, "gift_return_refused");
        // Staff can be good.
        let ask = json!({"gift": true, "approve": true, "lines": [{"line_no": 1, "quantity": 1, "reason": "gift"}]});
        let path = format!("/orders/{}/returns", text(&sold.order["id"]));
        let asked = sold.ops(&path, ask).await.expect(201);
        assert_eq!(
            (&asked["origin"], &asked["wish"], &asked["customer_id"]),
            (&json!("gift"), &json!("gift_card"), &json!(null))
        );
        let wrong = json!({"gift": true, "wish": "refund", "lines": [{"line_no": 1, "quantity": 1, "reason": "gift"}]});
        sold.ops(&path, wrong).await.problem(422, "invalid_value");
        // Later than the buyer may, in a season.
        let season = json!({"name": "christmas", "ordered_from": "2020-01-01T00:00:00Z", "ordered_until": "2040-01-01T00:00:00Z",
            "until": "2040-01-31T00:00:00Z"});
        let policy = json!({"window_days": 30, "gifts": {"seasons": [season]}});
        let path = format!("/channels/{}/return-policy", sold.shop.channel);
        app.ops("PUT", &path, Some(&policy)).await.expect(200);
        app.clock.advance_seconds(40 * 86_400);
        assert_eq!(sold.give_back(1).await.expect(201)["state"], "approved");
        let own = json!({"lines": [{"line_no": 1, "quantity": 1, "reason": "changed_mind"}]});
        let path = format!("/orders/{}/returns", text(&sold.order["id"]));
        let late = sold.shop.store("POST", &path, Some(&sold.cart.token), Some(&own)).await.expect(201);
        assert_eq!(late["state"], "requested");
        let wrong = json!({"gifts": {"seasons": [{"name": "x", "ordered_from": "2040-01-01T00:00:00Z",
            "ordered_until": "2030-01-01T00:00:00Z", "until": "2040-01-31T00:00:00Z"}]}});
        let path = format!("/channels/{}/return-policy", sold.shop.channel);
        let refused = app.ops("PUT", &path, Some(&wrong)).await.problem(422, "invalid_value");
        assert_eq!(refused["pointer"], "/gifts/seasons/0/ordered_until");
    });
}

#[test]
fn a_receipt_opens_what_is_on_it_and_nothing_else() {
    on_both(|app| async move {
        let sold = Sold::open(&app, json!({})).await;
        let cup = json!({"lines": [{"line_no": 2, "quantity": 1, "reason": "gift"}]});
        sold.given("/gift-returns", cup).await.problem(422, "line_unknown");
        sold.given("/gift-returns/open", json!({"order_number": "0"})).await.problem(404, "not_found");
        let token = text(&sold.proof["token"]);
        let wrong = format!("{}x", token.get(..token.len() - 1).unwrap());
        sold.given("/gift-returns/open", json!({ "token": wrong })).await.problem(404, "not_found");
        sold.given("/gift-returns/open", json!({"token": "grcpt"})).await.problem(404, "not_found");
        let path = format!("/orders/{}/gift-receipts", text(&sold.order["id"]));
        sold.shop.store("POST", &path, None, Some(&json!({}))).await.problem(404, "not_found");
        sold.ops(&path, json!({"lines": [9]})).await.problem(422, "line_unknown");
        sold.ops(&path, json!({})).await.expect(201);
    });
}

#[test]
fn the_buyers_withdrawal_goes_before_a_present_that_nobody_has_sent() {
    on_both(|app| async move {
        app.leaves_work();
        let sold = Sold::open(&app, json!({})).await;
        let asked = sold.give_back(3).await.expect(201);
        let path = format!("/orders/{}/withdrawals", text(&sold.order["id"]));
        let declare = json!({"name": "Ada", "email": "ada@example.org", "lines": [{"line_no": 1, "quantity": 3}]});
        let token = Some(sold.cart.token.as_str());
        let declared = sold.shop.store("POST", &path, token, Some(&declare)).await.expect(201);
        let confirm = format!("{path}/{}/confirm", text(&declared["id"]));
        sold.shop.store("POST", &confirm, token, None).await.expect(200);
        let request = format!("/return-requests/{}", text(&asked["id"]));
        eventually("it is the withdrawal's", async || {
            app.ops("GET", &request, None).await.expect(200)["withdrawal_id"] != json!(null)
        })
        .await;
        let seen = app.ops("GET", &request, None).await.expect(200);
        assert_eq!(seen["wish"], "refund");
        sold.settle(&asked, json!({"without_goods": true})).await.expect(200);
        assert_eq!(app.count(ON_CARDS).await, 0, "the money goes to who has paid");
    });
}
