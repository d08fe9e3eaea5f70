//! Withdrawals from contracts at a distance: declared, confirmed, acknowledged; what has not left is cancelled, what has comes back.

use futures::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Answer, App, Shop, eventually, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn settled(app: &App) {
    let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
    eventually("the money has moved", async || app.count(pending).await == 0).await;
}

async fn carried_out(app: &App, count: i64) {
    let done = "SELECT count(*) FROM withdrawals WHERE state IN ('carried_out', 'settled')";
    eventually("it is carried out", async || app.count(done).await == count).await;
    settled(app).await;
}

/// That the money of so many is back is noted within a minute.
async fn money_is_back(app: &App, count: i64) {
    app.clock.advance_seconds(61);
    let back = "SELECT count(*) FROM withdrawals WHERE state = 'settled' AND refund_due_at IS NULL";
    eventually("the money is back", async || app.count(back).await == count).await;
}

/// An order of a guest with the token that opens it.
struct Sold {
    shop: Shop,
    order: String,
    token: String,
}

impl Sold {
    async fn of(shop: &Shop, lines: &[(&str, i64)]) -> Self {
        let cart = shop.cart(lines).await;
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        Self { shop: shop.clone(), order: text(&order["id"]), token: cart.token }
    }

    async fn ops(&self, method: &str, path: &str, body: Value) -> Answer {
        let body = (method != "GET").then_some(&body);
        self.shop.app.ops(method, path, body).await
    }

    async fn ship(&self, body: Value) -> String {
        let work = self.ops("GET", &format!("/orders/{}/fulfilment", self.order), Value::Null).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
        let left = self.ops("POST", &ship, body).await.expect(201);
        settled(&self.shop.app).await;
        text(&left["id"])
    }

    async fn deliver(&self, shipment: &str) {
        self.ops("POST", &format!("/shipments/{shipment}/deliver"), json!({})).await.expect(200);
    }

    async fn read(&self) -> Value {
        self.ops("GET", &format!("/orders/{}", self.order), Value::Null).await.expect(200)
    }

    async fn store(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.shop.store(method, &format!("/orders/{}{path}", self.order), Some(&self.token), body).await
    }

    async fn declare(&self, lines: Option<Value>) -> Answer {
        let mut body = json!({"name": "Ada Lovelace", "email": "ada@example.org"});
        if let Some(lines) = lines {
            body["lines"] = lines;
        }
        self.store("POST", "/withdrawals", Some(&body)).await
    }

    async fn confirm(&self, withdrawal: &Value) -> Answer {
        self.store("POST", &format!("/withdrawals/{}/confirm", text(&withdrawal["id"])), None).await
    }

    async fn requests(&self) -> Vec<Value> {
        let found = self.ops("GET", &format!("/return-requests?order={}", self.order), Value::Null).await.expect(200);
        found["items"].as_array().unwrap().clone()
    }

    async fn settle(&self, request: &Value, how: Value) -> Value {
        let path = format!("/return-requests/{}/settle", text(&request["id"]));
        let done = self.ops("POST", &path, how).await.expect(200);
        settled(&self.shop.app).await;
        done
    }
}

#[test]
fn a_guest_withdraws_from_all_of_an_order_and_gets_the_shipping_back_too() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50)]).await;
        let sold = Sold::of(&shop, &[("MUG", 4)]).await;
        let parcel = sold.ship(json!({"lines": [{"line_no": 1, "quantity": 3}]})).await;
        // Whoever can not open the order declares nothing.
        let body = json!({"name": "Eve", "email": "eve@example.org"});
        let path = format!("/orders/{}/withdrawals", sold.order);
        shop.store("POST", &path, None, Some(&body)).await.problem(404, "not_found");
        let declared = sold.declare(None).await.expect(201);
        assert_eq!((&declared["state"], &declared["whole"]), (&json!("declared"), &json!(true)));
        assert_eq!(declared["lines"][0]["quantity"], 4);
        let path = format!("/withdrawals/{}/acknowledgement", text(&declared["id"]));
        sold.store("GET", &path, None).await.problem(409, "state_conflict");
        let both = join_all((0..4).map(|_| sold.confirm(&declared))).await;
        assert!(both.iter().all(|answer| answer.status == 200), "{}", both[0].text);
        let confirmed = &both[0].body;
        let (document, hash) = (text(&confirmed["document"]), text(&confirmed["sha256"]));
        assert!(document.contains("Ada Lovelace") && document.contains("4 x The MUG"), "{document}");
        let own: String = Sha256::digest(&document).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(own, hash);
        let again = sold.store("GET", &path, None).await.expect(200);
        assert_eq!((&again["document"], &again["sha256"]), (&confirmed["document"], &confirmed["sha256"]));
        assert_eq!(app.count("SELECT count(*) FROM events WHERE type = 'withdrawal.confirmed.v1'").await, 1);
        // Three come back, one is cancelled; the shop's policy was not asked.
        carried_out(&app, 1).await;
        let line = sold.read().await["lines"][0].clone();
        assert_eq!((&line["coming_back"], &line["cancelled"]), (&json!(3), &json!(1)));
        let requests = sold.requests().await;
        assert_eq!((requests.len(), &requests[0]["state"]), (1, &json!("approved")));
        sold.deliver(&parcel).await;
        let cancel = format!("/return-requests/{}/cancel", text(&requests[0]["id"]));
        app.ops("POST", &cancel, None).await.problem(409, "state_conflict");
        let done = sold.settle(&requests[0], json!({"without_goods": true})).await;
        // 75.00 and 4.90 of shipping, which were captured with the first parcel.
        let amount = &done["return"]["amount"]["amount"];
        assert_eq!((amount, &done["return"]["shipping"]["gross"]["amount"]), (&json!("79.90"), &json!("4.90")));
        let order = sold.read().await;
        assert_eq!(order["payments"][0]["refunded"]["amount"], "79.90");
        assert_eq!(
            (&order["payment_state"], &order["shipping_credited"]["amount"]),
            (&json!("refunded"), &json!("4.90"))
        );
        money_is_back(&app, 1).await;
        sold.declare(None).await.problem(409, "quantity_exceeded");
    });
}

#[test]
fn before_anything_has_left_a_withdrawal_is_a_cancellation() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50)]).await;
        let sold = Sold::of(&shop, &[("MUG", 4)]).await;
        let one = sold.declare(Some(json!([{"line_no": 1, "quantity": 1}]))).await.expect(201);
        assert_eq!(one["whole"], false);
        sold.confirm(&one).await.expect(200);
        carried_out(&app, 1).await;
        let rest = sold.declare(None).await.expect(201);
        assert_eq!(rest["lines"][0]["quantity"], 3);
        sold.confirm(&rest).await.expect(200);
        carried_out(&app, 2).await;
        let order = sold.read().await;
        assert_eq!((&order["state"], &order["payment_state"]), (&json!("cancelled"), &json!("voided")));
        assert_eq!(shop.available("MUG").await, 50);
        assert!(sold.requests().await.is_empty());
    });
}

#[test]
fn the_period_ends_fourteen_days_after_the_last_parcel_and_the_law_leaves_goods_out() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50)]).await;
        for (sku, attributes) in
            [("MILK", json!({"perishable": true})), ("RING", json!({"withdrawal_exempt": "made_to_measure"}))]
        {
            shop.add(sku, "5.00", 50).await;
            let found = app.ops("GET", &format!("/variants?sku={sku}"), None).await.expect(200);
            let path = format!("/variants/{}", text(&found["items"][0]["id"]));
            app.ops("PATCH", &path, Some(&json!({ "attributes": attributes }))).await.expect(200);
        }
        let sold = Sold::of(&shop, &[("MUG", 1), ("MILK", 1), ("RING", 1)]).await;
        let parcel = sold.ship(json!({})).await;
        // Nothing has arrived: the period has not begun, however long ago it was ordered.
        app.clock.advance_seconds(40 * 86_400);
        let seen = sold.store("GET", "/withdrawals", None).await.expect(200);
        assert_eq!((&seen["options"]["open"], &seen["options"]["until"]), (&json!(true), &Value::Null));
        let grounds: Vec<&Value> =
            seen["options"]["exempt"].as_array().unwrap().iter().map(|one| &one["ground"]).collect();
        assert_eq!(grounds, ["perishable", "made_to_measure"]);
        let refused =
            sold.declare(Some(json!([{"line_no": 2, "quantity": 1}]))).await.problem(409, "withdrawal_exempt");
        assert_eq!(refused["exempt"][0]["line_no"], 2);
        sold.deliver(&parcel).await;
        app.clock.advance_seconds(14 * 86_400);
        let declared = sold.declare(None).await.expect(201);
        assert_eq!((declared["lines"].as_array().unwrap().len(), declared["exempt"].as_array().unwrap().len()), (1, 2));
        assert_eq!(declared["whole"], false);
        app.clock.advance_seconds(2 * 86_400);
        sold.declare(None).await.problem(409, "withdrawal_period_over");
        // What was declared in time is confirmed in time.
        sold.confirm(&declared).await.expect(200);
        carried_out(&app, 1).await;
        // The money is due fourteen days after it was declared.
        app.clock.advance_seconds(10 * 86_400);
        let due = "SELECT count(*) FROM events WHERE type = 'withdrawal.refund_due.v1'";
        eventually("it is told that it is due", async || app.count(due).await == 1).await;
        let waiting = sold.ops("GET", "/worklists/withdrawals_due", Value::Null).await.expect(200);
        assert_eq!(waiting["items"][0]["id"], declared["id"]);
        app.clock.advance_seconds(5 * 86_400);
        let overdue = "SELECT count(*) FROM events WHERE type = 'withdrawal.refund_overdue.v1'";
        eventually("it is told that it was due", async || app.count(overdue).await == 1).await;
        sold.settle(&sold.requests().await[0], json!({"without_goods": true})).await;
        // That the provider has given it back is noticed within minutes.
        app.clock.advance_seconds(10 * 60);
        eventually("nobody waits any more", async || {
            let waiting = sold.ops("GET", "/worklists/withdrawals_due", Value::Null).await.expect(200);
            waiting["items"].as_array().unwrap().is_empty()
        })
        .await;
    });
}

#[test]
fn a_withdrawal_goes_before_the_shop_s_own_terms() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50)]).await;
        let sold = Sold::of(&shop, &[("MUG", 2)]).await;
        let policy =
            json!({"window_days": 0, "restocking_fee_percent": 50, "rules": [{"name": "all", "final_sale": true}]});
        sold.ops("PUT", &format!("/channels/{}/return-policy", shop.channel), policy).await.expect(200);
        sold.ship(json!({})).await;
        let asked = json!({"lines": [{"line_no": 1, "quantity": 2, "reason": "changed_mind"}]});
        let asked = sold.store("POST", "/returns", Some(&asked)).await.expect(201);
        assert_eq!(asked["state"], "requested");
        let declared = sold.declare(None).await.expect(201);
        sold.confirm(&declared).await.expect(200);
        carried_out(&app, 1).await;
        let requests = sold.requests().await;
        let states: Vec<&Value> = requests.iter().map(|one| &one["state"]).collect();
        assert_eq!(states, ["approved", "cancelled"]);
        let done = sold.settle(&requests[0], json!({"without_goods": true})).await;
        assert_eq!(done["return"]["amount"]["amount"], "54.90");
    });
}

#[test]
fn withdrawals_returns_and_cancellations_at_once_take_each_piece_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 90)]).await;
        let mut confirmed = 0;
        for _ in 0..3 {
            let sold = Sold::of(&shop, &[("MUG", 6)]).await;
            sold.ship(json!({"lines": [{"line_no": 1, "quantity": 3}]})).await;
            let first = sold.declare(None).await.expect(201);
            let second = sold.declare(None).await.expect(201);
            let asked = json!({"lines": [{"line_no": 1, "quantity": 2, "reason": "other"}]});
            let returned = json!({"order": sold.order, "lines": [{"line_no": 1, "quantity": 1}], "refund": true});
            let cancelled = json!({"lines": [{"line_no": 1, "quantity": 2}], "reason": "enough"});
            let path = format!("/orders/{}/cancel", sold.order);
            let (one, two, asked, booked, ended) = tokio::join!(
                sold.confirm(&first),
                sold.confirm(&second),
                sold.store("POST", "/returns", Some(&asked)),
                app.ops("POST", "/returns", Some(&returned)),
                app.ops("POST", &path, Some(&cancelled)),
            );
            for answer in [&one, &two, &asked, &booked, &ended] {
                let refused = matches!(answer.body["code"].as_str(), Some("quantity_exceeded" | "state_conflict"));
                assert!(answer.status < 300 || refused, "{}", answer.text);
            }
            confirmed += [&one, &two].iter().filter(|answer| answer.status == 200).count();
            carried_out(&app, i64::try_from(confirmed).unwrap()).await;
            let line = sold.read().await["lines"][0].clone();
            let of = |name: &str| line[name].as_i64().unwrap_or_default();
            assert_eq!(of("returned") + of("coming_back"), 3, "{line}");
            assert_eq!(of("cancelled"), 3, "{line}");
        }
    });
}

#[test]
fn what_stands_in_the_way_of_a_withdrawal_keeps_no_money_waiting_and_ends() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50)]).await;
        let sold = Sold::of(&shop, &[("MUG", 2)]).await;
        let hold = json!({"kind": "risk", "blocks": ["cancel"], "reason": "odd"});
        sold.ops("POST", &format!("/orders/{}/hold", sold.order), hold).await.expect(200);
        let declared = sold.declare(None).await.expect(201);
        let again = format!("/orders/{}/withdrawals/{}/carry-out", sold.order, text(&declared["id"]));
        app.ops("POST", &again, None).await.problem(409, "state_conflict");
        sold.confirm(&declared).await.expect(200);
        let failed = "SELECT count(*) FROM jobs WHERE kind = 'withdrawal.carry-out' AND state = 'ready' AND last_error IS NOT NULL";
        eventually("it can not be carried out", async || app.count(failed).await == 1).await;
        // Goods leave meanwhile, and are paid: the withdrawal is before no capture.
        sold.ship(json!({"lines": [{"line_no": 1, "quantity": 1}]})).await;
        let bury = "UPDATE jobs SET state = 'dead' WHERE kind = 'withdrawal.carry-out'";
        app.state.db.write(move |tx| kontor::db::sql(bury).execute(tx)).await.unwrap();
        let dead = sold.ops("GET", "/jobs/dead", Value::Null).await.expect(200);
        let discard = format!("/jobs/{}/discard", text(&dead["items"][0]["id"]));
        app.ops("POST", &discard, None).await.expect(204);
        // Given up, it still stands: it is carried out again, by whoever asks first, once.
        sold.ops("POST", &format!("/orders/{}/release", sold.order), json!({})).await.expect(200);
        let asked = join_all((0..4).map(|_| app.ops("POST", &again, None))).await;
        assert!(asked.iter().all(|answer| matches!(answer.status, 202 | 409)), "{}", asked[0].text);
        carried_out(&app, 1).await;
        app.ops("POST", &again, None).await.problem(409, "state_conflict");
        let line = sold.read().await["lines"][0].clone();
        assert_eq!((&line["coming_back"], &line["cancelled"]), (&json!(1), &json!(1)));
        assert_eq!(app.count("SELECT count(*) FROM events WHERE type = 'withdrawal.carried_out.v1'").await, 1);
        sold.settle(&sold.requests().await[0], json!({"without_goods": true})).await;
        money_is_back(&app, 1).await;
    });
}

#[test]
fn a_withdrawal_that_was_given_up_is_begun_anew_before_its_money_is_due() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50)]).await;
        let sold = Sold::of(&shop, &[("MUG", 1)]).await;
        let hold = json!({"kind": "risk", "blocks": ["cancel"], "reason": "odd"});
        sold.ops("POST", &format!("/orders/{}/hold", sold.order), hold).await.expect(200);
        let declared = sold.declare(None).await.expect(201);
        sold.confirm(&declared).await.expect(200);
        let failed = "SELECT count(*) FROM jobs WHERE kind = 'withdrawal.carry-out' AND state = 'ready' AND last_error IS NOT NULL";
        eventually("it can not be carried out", async || app.count(failed).await == 1).await;
        let drop = "DELETE FROM jobs WHERE kind = 'withdrawal.carry-out'";
        app.state.db.write(move |tx| kontor::db::sql(drop).execute(tx)).await.unwrap();
        sold.ops("POST", &format!("/orders/{}/release", sold.order), json!({})).await.expect(200);
        app.clock.advance_seconds(12 * 86_400);
        carried_out(&app, 1).await;
        assert_eq!(sold.read().await["state"], "cancelled");
        money_is_back(&app, 1).await;
    });
}

#[test]
fn line_by_line_is_all_of_an_order_with_the_last_and_a_line_named_twice_counts_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50), ("CUP", "9.99", 50)]).await;
        let sold = Sold::of(&shop, &[("MUG", 2), ("CUP", 1)]).await;
        sold.ship(json!({})).await;
        let one = json!({"line_no": 1, "quantity": 1});
        sold.declare(Some(json!([one, one, one]))).await.problem(409, "quantity_exceeded");
        let first = sold.declare(Some(json!([one, one]))).await.expect(201);
        assert_eq!((first["lines"].as_array().unwrap().len(), &first["lines"][0]["quantity"]), (1, &json!(2)));
        assert_eq!(first["whole"], false);
        sold.confirm(&first).await.expect(200);
        carried_out(&app, 1).await;
        let last = sold.declare(None).await.expect(201);
        assert_eq!((&last["whole"], &last["lines"][0]["line_no"]), (&json!(true), &json!(2)));
        sold.confirm(&last).await.expect(200);
        carried_out(&app, 2).await;
        // The shipping goes back with the last, once.
        let mut back = Vec::new();
        for request in sold.requests().await {
            let done = sold.settle(&request, json!({"without_goods": true})).await;
            back.push(text(&done["return"]["amount"]["amount"]));
        }
        back.sort_unstable();
        assert_eq!(back, ["14.89", "50.00"]);
        money_is_back(&app, 2).await;
    });
}

#[test]
fn shipping_goes_back_where_the_last_part_is_only_cancelled() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50), ("CUP", "9.99", 50)]).await;
        for settled_before in [true, false] {
            let sold = Sold::of(&shop, &[("MUG", 2), ("CUP", 1)]).await;
            sold.ship(json!({"lines": [{"line_no": 1, "quantity": 2}]})).await;
            let count = |more: i64| if settled_before { more } else { 2 + more };
            let first = sold.declare(Some(json!([{"line_no": 1, "quantity": 2}]))).await.expect(201);
            sold.confirm(&first).await.expect(200);
            carried_out(&app, count(1)).await;
            let request = sold.requests().await[0].clone();
            if settled_before {
                let done = sold.settle(&request, json!({"without_goods": true})).await;
                assert_eq!(done["return"]["amount"]["amount"], "50.00");
            }
            // The cup has not left.
            let last = sold.declare(None).await.expect(201);
            assert_eq!(last["whole"], true);
            sold.confirm(&last).await.expect(200);
            carried_out(&app, count(2)).await;
            if !settled_before {
                let done = sold.settle(&request, json!({"without_goods": true})).await;
                assert_eq!(done["return"]["amount"]["amount"], "54.90");
            }
            settled(&app).await;
            let order = sold.read().await;
            let payment = &order["payments"][0];
            assert_eq!(payment["refunded"], payment["captured"], "all of it is back: {order}");
            assert_eq!(order["shipping_credited"]["amount"], "4.90");
            money_is_back(&app, count(2)).await;
        }
    });
}

#[test]
fn what_else_a_request_asks_for_is_still_asked_for() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50), ("CUP", "9.99", 50)]).await;
        let sold = Sold::of(&shop, &[("MUG", 2), ("CUP", 1)]).await;
        let policy = json!({"auto_approve": false});
        sold.ops("PUT", &format!("/channels/{}/return-policy", shop.channel), policy).await.expect(200);
        sold.ship(json!({})).await;
        let lines =
            json!([{"line_no": 1, "quantity": 2, "reason": "other"}, {"line_no": 2, "quantity": 1, "reason": "other"}]);
        let asked = sold.store("POST", "/returns", Some(&json!({ "lines": lines }))).await.expect(201);
        assert_eq!(asked["state"], "requested");
        let declared = sold.declare(Some(json!([{"line_no": 1, "quantity": 2}]))).await.expect(201);
        assert_eq!(declared["whole"], false);
        sold.confirm(&declared).await.expect(200);
        carried_out(&app, 1).await;
        let requests = sold.requests().await;
        let seen: Vec<(&Value, &Value, &Value)> =
            requests.iter().map(|one| (&one["state"], &one["lines"][0]["line_no"], &one["lines"][0]["kept"])).collect();
        let of = |state: &str, line_no: i64, kept: i64| (json!(state), json!(line_no), json!(kept));
        let (taken, left) = (of("approved", 1, 2), of("requested", 2, 1));
        assert_eq!(seen, [(&taken.0, &taken.1, &taken.2), (&left.0, &left.1, &left.2)]);
        assert_eq!(requests[1]["lines"].as_array().unwrap().len(), 1);
        let order = sold.read().await;
        assert_eq!((&order["lines"][0]["coming_back"], &order["lines"][1]["coming_back"]), (&json!(2), &json!(1)));
        let counted = "SELECT CAST(sum(quantity) AS BIGINT) FROM return_request_lines";
        assert_eq!(app.count(counted).await, 3);
    });
}

#[test]
fn a_withdrawal_is_settled_when_the_money_is_back_and_not_before() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50)]).await;
        let cart = shop.cart(&[("MUG", 1)]).await;
        let pay = json!({"payment": {"method": "manual"}});
        let done = shop.store("POST", &format!("/carts/{}/complete", cart.id), Some(&cart.token), Some(&pay)).await;
        let sold = Sold { shop: shop.clone(), order: text(&done.expect(201)["order"]["id"]), token: cart.token };
        let paid = json!({"reference": "BANK-1"});
        sold.ops("POST", &format!("/orders/{}/payments", sold.order), paid).await.expect(200);
        sold.ship(json!({})).await;
        let declared = sold.declare(None).await.expect(201);
        sold.confirm(&declared).await.expect(200);
        carried_out(&app, 1).await;
        // What goes back by hand waits for whoever pays it out.
        let settle = format!("/return-requests/{}/settle", text(&sold.requests().await[0]["id"]));
        let done = sold.ops("POST", &settle, json!({"without_goods": true})).await.expect(200);
        assert_eq!(done["return"]["state"], "refund_pending");
        app.clock.advance_seconds(601);
        let owed = "SELECT count(*) FROM withdrawals WHERE state = 'carried_out' AND refund_due_at IS NOT NULL";
        assert_eq!(app.count(owed).await, 1);
        let found = sold.ops("GET", &format!("/orders/{}/payments", sold.order), Value::Null).await.expect(200);
        let moved = found["payments"][0]["operations"].as_array().unwrap();
        let waits = moved.iter().find(|one| one["state"] == "pending").unwrap();
        let confirm = format!("/payment-operations/{}/confirm", text(&waits["id"]));
        sold.ops("POST", &confirm, json!({"reference": "BANK-9"})).await.expect(200);
        settled(&app).await;
        money_is_back(&app, 1).await;
    });
}

#[test]
fn an_approved_return_becomes_one_of_the_withdrawal_and_costs_nothing() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50)]).await;
        let policy = json!({"restocking_fee_percent": 50, "label_fee": {"amount": "4.00", "currency": "EUR"}});
        for step in ["approved", "in_transit", "received"] {
            let sold = Sold::of(&shop, &[("MUG", 2)]).await;
            sold.ops("PUT", &format!("/channels/{}/return-policy", shop.channel), policy.clone()).await.expect(200);
            sold.ship(json!({})).await;
            let asked = json!({"lines": [{"line_no": 1, "quantity": 2, "reason": "changed_mind"}]});
            let asked = sold.store("POST", "/returns", Some(&asked)).await.expect(201);
            assert_eq!(asked["state"], "approved");
            let path = format!("/return-requests/{}", text(&asked["id"]));
            if step != "approved" {
                let parcel = json!({"tracking_number": "1", "by_shop": true});
                sold.ops("POST", &format!("{path}/track"), parcel).await.expect(200);
            }
            if step == "received" {
                let came = json!({"lines": [{"line_no": 1, "quantity": 2}]});
                sold.ops("POST", &format!("{path}/receive"), came).await.expect(200);
            }
            let done = app.count("SELECT count(*) FROM withdrawals").await + 1;
            let declared = sold.declare(None).await.expect(201);
            assert_eq!((&declared["lines"][0]["quantity"], &declared["whole"]), (&json!(2), &json!(true)));
            sold.confirm(&declared).await.expect(200);
            carried_out(&app, done).await;
            let requests = sold.requests().await;
            assert_eq!((requests.len(), &requests[0]["state"]), (1, &json!(step)));
            assert_eq!(requests[0]["withdrawal_id"], declared["id"]);
            // The customer has asked for money, and gets it.
            let credit = json!({"without_goods": true, "wish": "store_credit"});
            sold.ops("POST", &format!("{path}/settle"), credit).await.problem(422, "invalid_value");
            app.ops("POST", &format!("{path}/cancel"), None).await.problem(409, "state_conflict");
            let done = sold.settle(&requests[0], json!({"without_goods": true})).await;
            assert_eq!(done["return"]["amount"]["amount"], "54.90");
        }
    });
}

#[test]
fn what_staff_approve_while_it_is_withdrawn_from_is_withdrawn_from() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 90)]).await;
        for turn in 1..=3 {
            let sold = Sold::of(&shop, &[("MUG", 4)]).await;
            let policy = json!({"restocking_fee_percent": 50, "auto_approve": false});
            sold.ops("PUT", &format!("/channels/{}/return-policy", shop.channel), policy).await.expect(200);
            sold.ship(json!({})).await;
            let asked = json!({"lines": [{"line_no": 1, "quantity": 3, "reason": "changed_mind"}]});
            let asked = sold.store("POST", "/returns", Some(&asked)).await.expect(201);
            let declared = sold.declare(None).await.expect(201);
            let path = format!("/return-requests/{}", text(&asked["id"]));
            let (approve, settle) = (format!("{path}/approve"), format!("{path}/settle"));
            let (nothing, ahead) = (json!({}), json!({"without_goods": true}));
            let (confirmed, _) = tokio::join!(sold.confirm(&declared), async {
                app.ops("POST", &approve, Some(&nothing)).await;
            });
            confirmed.expect(200);
            carried_out(&app, turn).await;
            app.ops("POST", &settle, Some(&ahead)).await;
            for request in sold.requests().await {
                if request["state"] == "approved" {
                    sold.settle(&request, json!({"without_goods": true})).await;
                }
            }
            let order = sold.read().await;
            assert_eq!(order["lines"][0]["returned"], 4, "{order}");
            assert_eq!(order["payments"][0]["refunded"]["amount"], "104.90");
        }
    });
}

#[test]
fn claimed_pieces_are_not_left_out_without_a_word() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50)]).await;
        let sold = Sold::of(&shop, &[("MUG", 2)]).await;
        sold.ship(json!({})).await;
        let declared = sold.declare(None).await.expect(201);
        let claim = json!({"kind": "damaged", "lines": [{"line_no": 1, "quantity": 1}]});
        let claim = sold.store("POST", "/claims", Some(&claim)).await.expect(201);
        let refused = sold.confirm(&declared).await.problem(409, "quantity_exceeded");
        assert!(text(&refused["detail"]).contains("claimed"), "{refused}");
        let reject = format!("/claims/{}/reject", text(&claim["id"]));
        sold.ops("POST", &reject, json!({"reason": "not so"})).await.expect(200);
        assert_eq!(sold.confirm(&declared).await.expect(200)["lines"][0]["quantity"], 2);
        carried_out(&app, 1).await;
        sold.settle(&sold.requests().await[0], json!({"without_goods": true})).await;
        assert_eq!(sold.read().await["payments"][0]["refunded"]["amount"], "54.90");
    });
}
