//! What left in several parcels is claimed once in each: by its customer, by staff, by what its carrier says, by all of them at once.

use futures::future::{join_all, join3};
use serde_json::{Value, json};

use crate::support::{Answer, App, Cart, Shop, eventually, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn mugs(quantity: i64) -> Value {
    json!([{"line_no": 1, "quantity": quantity}])
}

struct Sold {
    app: App,
    shop: Shop,
    cart: Cart,
    order: String,
    /// Two parcels of two mugs each.
    parcels: Vec<String>,
}

impl Sold {
    async fn open(app: &App) -> Self {
        let shop = Shop::open(app, &[("MUG", "25.00", 50)]).await;
        let cart = shop.cart(&[("MUG", 4)]).await;
        let order = text(&shop.complete(&cart, "approve").await.expect(201)["order"]["id"]);
        let mut sold = Self { app: app.clone(), shop, cart, order, parcels: Vec::new() };
        for _ in 0..2 {
            let parcel = sold.ship(json!({"lines": mugs(2)})).await;
            sold.parcels.push(parcel);
        }
        sold
    }

    async fn ops(&self, path: &str, body: Value) -> Answer {
        self.app.ops("POST", path, Some(&body)).await
    }

    async fn get(&self, path: &str) -> Value {
        self.app.ops("GET", path, None).await.expect(200)
    }

    /// Ships what is left of the order's work, and waits for its money.
    async fn ship(&self, body: Value) -> String {
        let work = self.get(&format!("/orders/{}/fulfilment", self.order)).await;
        let open = |one: &&Value| !matches!(text(&one["state"]).as_str(), "shipped" | "delivered" | "cancelled");
        let open = work["fulfilment_orders"].as_array().unwrap().iter().find(open).unwrap();
        let path = format!("/fulfilment-orders/{}/ship", text(&open["id"]));
        let parcel = text(&self.ops(&path, body).await.expect(201)["id"]);
        self.moved().await;
        parcel
    }

    async fn moved(&self) {
        let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
        eventually("the money has moved", async || self.app.count(pending).await == 0).await;
    }

    async fn claim(&self, parcel: Option<&str>, quantity: i64) -> Answer {
        let body = json!({"kind": "lost", "lines": mugs(quantity), "shipment_id": parcel});
        self.ops(&format!("/orders/{}/claims", self.order), body).await
    }

    async fn own_claim(&self, parcel: &str, quantity: i64) -> Answer {
        let body = json!({"kind": "lost", "lines": mugs(quantity), "shipment_id": parcel});
        let path = format!("/orders/{}/claims", self.order);
        self.shop.store("POST", &path, Some(&self.cart.token), Some(&body)).await
    }

    async fn settle(&self, claim: &Value, resolution: &str) -> Answer {
        self.ops(&format!("/claims/{}/settle", text(&claim["id"])), json!({"resolution": resolution})).await
    }

    /// The same of what its carrier says.
    async fn settle_carriers(&self, parcel: &str, resolution: &str) -> Answer {
        self.ops(&format!("/shipments/{parcel}/claim/settle"), json!({"resolution": resolution})).await
    }

    async fn scan(&self, parcel: &str, mark: &str) {
        self.app.clock.advance_seconds(60);
        let body = json!({"text": mark, "at": self.app.now(), "mark": mark});
        self.ops(&format!("/shipments/{parcel}/scans"), body).await.expect(200);
    }

    async fn count(&self, name: &str) -> i64 {
        let order = self.get(&format!("/orders/{}", self.order)).await;
        order["lines"][0][name].as_i64().unwrap_or_default()
    }

    async fn refunded(&self) -> i64 {
        self.moved().await;
        self.app.count("SELECT CAST(coalesce(sum(refunded), 0) AS BIGINT) FROM sandbox_payments").await
    }
}

#[test]
fn a_lost_parcel_is_refunded_once_whoever_claims_it_again() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let (first, second) = (sold.parcels[0].as_str(), sold.parcels[1].as_str());
        let claim = sold.own_claim(first, 2).await.expect(201);
        // While it is open nobody claims it, and its carrier's word changes nothing.
        sold.claim(Some(first), 1).await.problem(409, "already_claimed");
        sold.scan(first, "lost").await;
        sold.settle_carriers(first, "reshipped").await.problem(409, "already_claimed");
        sold.settle(&claim, "refund").await.expect(200);
        for quantity in [1, 2] {
            sold.claim(Some(first), quantity).await.problem(409, "already_claimed");
            sold.own_claim(first, quantity).await.problem(409, "already_claimed");
        }
        // Its carrier's claim has ended with it.
        let seen = sold.get(&format!("/shipments/{first}/claim")).await;
        assert_eq!((&seen["state"], &seen["resolution"]), (&json!("settled"), &json!("refunded")));
        sold.settle_carriers(first, "reshipped").await.problem(409, "state_conflict");
        // Nor does it count as one that has not left.
        let back =
            sold.ops(&format!("/shipments/{first}/correct"), json!({"kind": "not_shipped", "reason": "no"})).await;
        back.problem(409, "already_claimed");
        assert_eq!((sold.count("shipped").await, sold.count("returned").await), (4, 2));
        // The other one is as it was.
        sold.claim(None, 3).await.problem(409, "already_claimed");
        let other = sold.claim(Some(second), 2).await.expect(201);
        sold.settle(&other, "refund").await.expect(200);
        assert_eq!(sold.refunded().await, 10_000);
    });
}

#[test]
fn what_its_carrier_loses_after_it_was_made_good_waits_for_nobody() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let first = sold.parcels[0].as_str();
        let claim = sold.claim(Some(first), 2).await.expect(201);
        sold.settle(&claim, "refund").await.expect(200);
        sold.scan(first, "lost").await;
        let seen = sold.get(&format!("/shipments/{first}/claim")).await;
        assert_eq!(seen["state"], "settled");
        sold.settle_carriers(first, "reshipped").await.problem(409, "state_conflict");
        // It arrives after all: the refund stands, and it comes back for nothing.
        sold.scan(first, "delivered").await;
        sold.scan(&sold.parcels[1], "delivered").await;
        let ask = |quantity: i64| json!({"lines": [{"line_no": 1, "quantity": quantity, "reason": "too_large"}]});
        let path = format!("/orders/{}/returns", sold.order);
        sold.ops(&path, ask(3)).await.problem(409, "quantity_exceeded");
        sold.ops(&path, ask(2)).await.expect(201);
        assert_eq!(sold.refunded().await, 5_000);
    });
}

#[test]
fn what_was_sent_again_is_claimed_once_more_as_another_parcel() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let first = sold.parcels[0].as_str();
        let claim = sold.claim(Some(first), 2).await.expect(201);
        sold.settle(&claim, "reship").await.expect(200);
        sold.claim(Some(first), 1).await.problem(409, "already_claimed");
        let again = sold.ship(json!({})).await;
        sold.claim(Some(first), 1).await.problem(409, "already_claimed");
        let claim = sold.claim(Some(&again), 2).await.expect(201);
        sold.settle(&claim, "refund").await.expect(200);
        sold.claim(Some(&again), 1).await.problem(409, "already_claimed");
        assert_eq!((sold.count("shipped").await, sold.count("returned").await), (4, 2));
        assert_eq!(sold.refunded().await, 5_000);
    });
}

#[test]
fn what_was_settled_with_its_carrier_is_not_claimed_again() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let (first, second) = (sold.parcels[0].as_str(), sold.parcels[1].as_str());
        sold.scan(first, "lost").await;
        sold.settle_carriers(first, "reshipped").await.expect(200);
        sold.own_claim(first, 1).await.problem(409, "already_claimed");
        sold.scan(second, "lost").await;
        sold.settle_carriers(second, "refunded").await.expect(200);
        sold.own_claim(second, 1).await.problem(409, "already_claimed");
        sold.claim(None, 1).await.problem(409, "already_claimed");
        let again = sold.ship(json!({})).await;
        sold.claim(Some(&again), 2).await.expect(201);
    });
}

#[test]
fn pieces_of_no_named_parcel_are_those_of_one() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        sold.scan(&sold.parcels[0], "delivered").await;
        // What is lost is in the parcel that has not arrived.
        let claim = sold.claim(None, 2).await.expect(201);
        assert_eq!(claim["lines"][0]["parcels"], json!([{"shipment_id": sold.parcels[1], "quantity": 2, "open": 2}]));
        sold.claim(Some(&sold.parcels[1]), 1).await.problem(409, "already_claimed");
        let reject = format!("/claims/{}/reject", text(&claim["id"]));
        sold.ops(&reject, json!({"reason": "it is there"})).await.expect(200);
        // What was refused can be claimed again.
        let again = sold.claim(Some(&sold.parcels[1]), 2).await.expect(201);
        sold.settle(&again, "refund").await.expect(200);
        assert_eq!(sold.refunded().await, 5_000);
    });
}

#[test]
fn of_claims_on_one_parcel_at_once_one_is_made_good() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let first = sold.parcels[0].as_str();
        let claim = async |place: usize| match place % 3 {
            0 => sold.claim(Some(first), 2).await,
            1 => sold.own_claim(first, 2).await,
            _ => sold.claim(Some(first), 1).await,
        };
        let answers = join_all((0..9).map(claim)).await;
        for refused in answers.iter().filter(|answer| answer.status != 201) {
            assert_eq!((refused.status, &refused.body["code"]), (409, &json!("already_claimed")));
        }
        assert!(sold.count("claimed").await <= 2);
        // They are settled while its carrier loses it, and that is settled.
        sold.scan(first, "lost").await;
        let made: Vec<&Value> = answers.iter().filter(|one| one.status == 201).map(|one| &one.body).collect();
        let (settled, carriers) = tokio::join!(
            join_all(made.iter().map(|one| sold.settle(one, "refund"))),
            join_all((0..2).map(|_| sold.settle_carriers(first, "reshipped"))),
        );
        let done = settled.iter().filter(|one| one.status == 200).count();
        assert_eq!(done, made.len(), "what is claimed is settled");
        assert!(carriers.iter().all(|one| one.status == 409 || made.len() == 1 && sum(made[0]) < 2));
        assert!(sold.refunded().await <= 5_000);
    });
}

fn sum(claim: &Value) -> i64 {
    claim["lines"][0]["quantity"].as_i64().unwrap_or_default()
}

#[test]
fn a_claim_a_return_and_a_withdrawal_at_once_have_each_piece_once() {
    on_both(|app| async move {
        app.leaves_work();
        let sold = Sold::open(&app).await;
        for parcel in &sold.parcels {
            sold.scan(parcel, "delivered").await;
        }
        let (order, token) = (&sold.order, Some(sold.cart.token.as_str()));
        let ask = json!({"lines": [{"line_no": 1, "quantity": 2, "reason": "too_large"}]});
        let returns = format!("/orders/{order}/returns");
        let declare = json!({"name": "Joan", "email": "joan@example.org", "lines": mugs(2)});
        let path = format!("/orders/{order}/withdrawals");
        let declared = sold.shop.store("POST", &path, token, Some(&declare)).await.expect(201);
        let confirm = format!("{path}/{}/confirm", text(&declared["id"]));
        let (claims, asked, confirmed) = join3(
            join_all((0..2).map(|place| sold.own_claim(&sold.parcels[place], 2))),
            join_all((0..2).map(|_| sold.shop.store("POST", &returns, token, Some(&ask)))),
            sold.shop.store("POST", &confirm, token, None),
        )
        .await;
        let won = claims.iter().chain(&asked).filter(|one| one.status == 201).count();
        assert!(won <= 2, "each of two pairs is had once");
        assert!([200, 409].contains(&confirmed.status), "{}", confirmed.body);
        let counts = [sold.count("returned").await, sold.count("coming_back").await, sold.count("claimed").await];
        assert!(counts.iter().sum::<i64>() <= 4, "{counts:?}");
        for claim in claims.iter().filter(|one| one.status == 201) {
            sold.settle(&claim.body, "refund").await.expect(200);
        }
        assert!(sold.refunded().await <= 10_000);
    });
}
