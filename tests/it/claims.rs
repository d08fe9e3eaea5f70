//! Claims of which pieces are settled one by one: some are sent again, some refunded, some refused, each once.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, eventually, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

struct Sold {
    app: App,
    order: String,
    parcel: String,
}

impl Sold {
    /// Four mugs for 25.00 each and two cups, delivered in one parcel.
    async fn open(app: &App) -> Self {
        let shop = Shop::open(app, &[("MUG", "25.00", 50), ("CUP", "9.99", 50)]).await;
        let order = text(&shop.order(&[("MUG", 4), ("CUP", 2)]).await["id"]);
        let work = app.ops("GET", &format!("/orders/{order}/fulfilment"), None).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
        let parcel = text(&app.ops("POST", &ship, Some(&json!({}))).await.expect(201)["id"]);
        let sold = Self { app: app.clone(), order, parcel };
        sold.deliver(&sold.parcel).await;
        sold.moved().await;
        assert_eq!(sold.read().await["state"], "completed");
        sold
    }

    async fn ops(&self, path: &str, body: Value) -> Answer {
        self.app.ops("POST", path, Some(&body)).await
    }

    async fn deliver(&self, parcel: &str) {
        self.ops(&format!("/shipments/{parcel}/deliver"), json!({})).await.expect(200);
    }

    async fn moved(&self) {
        let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
        eventually("the money has moved", async || self.app.count(pending).await == 0).await;
    }

    async fn claim(&self, kind: &str, lines: Value) -> String {
        let body = json!({"kind": kind, "lines": lines});
        let made = self.ops(&format!("/orders/{}/claims", self.order), body).await.expect(201);
        format!("/claims/{}", text(&made["id"]))
    }

    async fn settle(&self, claim: &str, resolution: &str, lines: Value) -> Answer {
        self.ops(&format!("{claim}/settle"), json!({"resolution": resolution, "lines": lines})).await
    }

    async fn read(&self) -> Value {
        self.app.ops("GET", &format!("/orders/{}", self.order), None).await.expect(200)
    }

    async fn pieces(&self, line: usize) -> [i64; 4] {
        let of = self.read().await["lines"][line].clone();
        ["shipped", "delivered", "returned", "claimed"].map(|name| of[name].as_i64().unwrap_or_default())
    }
}

fn mugs(quantity: i64) -> Value {
    json!([{"line_no": 1, "quantity": quantity}])
}

#[test]
fn single_pieces_of_a_claim_are_sent_again_refunded_and_refused_each_once() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let claim = sold.claim("damaged", json!([{"line_no": 1, "quantity": 3}, {"line_no": 2, "quantity": 1}])).await;
        assert_eq!(sold.pieces(0).await, [4, 4, 0, 3]);
        sold.settle(&claim, "reship", mugs(4)).await.problem(409, "quantity_exceeded");
        sold.settle(&claim, "reship", json!([{"line_no": 9, "quantity": 1}])).await.problem(422, "line_unknown");
        // One is sent again: it counts as one that has not left, and the rest of its parcel has arrived.
        let done = sold.settle(&claim, "reship", mugs(1)).await.expect(200);
        assert_eq!((&done["state"], &done["lines"][0]["reshipped"]), (&json!("open"), &json!(1)));
        assert_eq!(sold.pieces(0).await, [3, 3, 0, 2]);
        // One is refunded.
        let done = sold.settle(&claim, "refund", mugs(1)).await.expect(200);
        assert_eq!((&done["amount"], done["parts"].as_array().unwrap().len()), (&eur("25.00"), 2));
        assert_eq!(sold.pieces(0).await, [3, 3, 1, 1]);
        // The rest is refused, and can be claimed again.
        let done = sold.ops(&format!("{claim}/reject"), json!({"reason": "not so"})).await.expect(200);
        assert_eq!((&done["state"], &done["lines"][0]["refused"]), (&json!("settled"), &json!(1)));
        assert_eq!((sold.pieces(0).await, sold.pieces(1).await), ([3, 3, 1, 0], [2, 2, 0, 0]));
        sold.settle(&claim, "refund", mugs(1)).await.problem(409, "state_conflict");
        // What is sent again leaves, arrives, and costs nothing.
        let again = text(&done["reshipped_by"][0]);
        let parcel = sold.ops(&format!("/fulfilment-orders/{again}/ship"), json!({})).await.expect(201);
        assert_eq!(parcel["lines"], json!([{"line_no": 1, "sku": "MUG", "quantity": 1}]));
        sold.deliver(&text(&parcel["id"])).await;
        sold.moved().await;
        assert_eq!(sold.pieces(0).await, [4, 4, 1, 0]);
        let order = sold.read().await;
        assert_eq!((&order["state"], &order["payments"][0]["refunded"]), (&json!("completed"), &eur("25.00")));
        assert_eq!(order["payments"][0]["captured"], eur("124.88"));
    });
}

#[test]
fn what_is_claimed_whole_is_settled_whole() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let claim = sold.claim("wrong_item", json!([{"line_no": 2, "quantity": 2}])).await;
        let done = sold.ops(&format!("{claim}/settle"), json!({"resolution": "reship"})).await.expect(200);
        assert_eq!((&done["state"], done["reshipped_by"].as_array().unwrap().len()), (&json!("settled"), 1));
        assert_eq!((sold.pieces(1).await, sold.pieces(0).await), ([0, 0, 0, 0], [4, 4, 0, 0]));
        let parcels = app.ops("GET", &format!("/orders/{}/fulfilment", sold.order), None).await.expect(200);
        let states: Vec<String> =
            parcels["shipments"].as_array().unwrap().iter().map(|one| text(&one["state"])).collect();
        assert_eq!(states.len(), 2);
        assert!(states.contains(&"delivered".to_owned()) && states.contains(&"corrected".to_owned()), "{states:?}");
        sold.ops(&format!("/fulfilment-orders/{}/ship", text(&done["reshipped_by"][0])), json!({})).await.expect(201);
        sold.moved().await;
    });
}

#[test]
fn pieces_that_several_settle_at_once_are_settled_once() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let claim = sold.claim("short", mugs(3)).await;
        let settle = async |place: usize| {
            let resolution = if place.is_multiple_of(2) { "refund" } else { "reship" };
            sold.settle(&claim, resolution, mugs(1)).await
        };
        let answers = join_all((0..8).map(settle)).await;
        let done = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(done, 3, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        sold.moved().await;
        let seen = app.ops("GET", &claim, None).await.expect(200);
        let line = &seen["lines"][0];
        let count = |name: &str| line[name].as_i64().unwrap_or_default();
        assert_eq!((&seen["state"], count("refunded") + count("reshipped")), (&json!("settled"), 3));
        let [shipped, _, returned, claimed] = sold.pieces(0).await;
        assert_eq!((shipped, returned, claimed), (4 - count("reshipped"), count("refunded"), 0));
    });
}

#[test]
fn shoppers_are_not_told_who_of_the_staff_has_decided() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50)]).await;
        let cart = shop.cart(&[("MUG", 2)]).await;
        let order = text(&shop.complete(&cart, "approve").await.expect(201)["order"]["id"]);
        let work = app.ops("GET", &format!("/orders/{order}/fulfilment"), None).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
        app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
        let body = json!({"kind": "damaged", "lines": mugs(2)});
        let path = format!("/orders/{order}/claims");
        let made = shop.store("POST", &path, Some(&cart.token), Some(&body)).await.expect(201);
        let settle = format!("/claims/{}/settle", text(&made["id"]));
        let how = json!({"resolution": "refund", "lines": mugs(1)});
        let settled = app.ops("POST", &settle, Some(&how)).await.expect(200);
        assert_ne!(settled["parts"][0]["by"], "shop");
        let own = shop.store("GET", &path, Some(&cart.token), None).await.expect(200);
        assert_eq!(own["claims"][0]["parts"][0]["by"], "shop");
    });
}
