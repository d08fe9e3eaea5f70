//! Orders that are paid, promised or lent for are split, and their money with them: together never more than before, whatever comes at once.

use futures::future::{join, join_all};
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    credit::Trade,
    support::{Answer, App, Cart, Shop, eventually, on_both},
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

fn cents(value: &Value) -> i64 {
    text(&value["amount"]).replace('.', "").parse().unwrap()
}

/// What an order's payments have in all of an amount.
fn sum(order: &Value, name: &str) -> i64 {
    order["payments"].as_array().unwrap().iter().map(|one| cents(&one[name])).sum()
}

async fn settled(app: &App) {
    let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
    eventually("the money has moved", async || app.count(pending).await == 0).await;
}

/// Three tees for 30.00, a mug for 5.00, shipping for 4.90.
async fn placed(shop: &Shop, pay: Value) -> String {
    let cart = shop.cart(&[("TEE", 3), ("MUG", 1)]).await;
    paid_for(shop, &cart, pay).await
}

async fn paid_for(shop: &Shop, cart: &Cart, pay: Value) -> String {
    let path = format!("/carts/{}/complete", cart.id);
    let order = shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201);
    text(&order["order"]["id"])
}

async fn shop(app: &App) -> Shop {
    let shop = Shop::open(app, &[("TEE", "10.00", 200), ("MUG", "5.00", 200)]).await;
    shop.set(json!({"payment_methods": ["manual", "sandbox", "gift_card", "store_credit", "on_account"]})).await;
    shop
}

fn card() -> Value {
    json!({"payment": {"method": "sandbox", "instrument": "approve"}})
}

fn by_hand() -> Value {
    json!({"payment": {"method": "manual"}})
}

/// Two of the tees.
fn two() -> Value {
    json!({"lines": [{"line_no": 1, "quantity": 2}], "reason": "the rest comes in March"})
}

async fn split(app: &App, order: &str) -> Answer {
    app.ops("POST", &format!("/orders/{order}/split"), Some(&two())).await
}

async fn document(app: &App, order: &str) -> Value {
    app.ops("GET", &format!("/orders/{order}"), None).await.expect(200)
}

async fn ship(app: &App, order: &str) -> Answer {
    let work = app.ops("GET", &format!("/orders/{order}/fulfilment"), None).await.expect(200);
    let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
    app.ops("POST", &ship, Some(&json!({}))).await
}

async fn pay(app: &App, order: &str, amount: Option<&str>) {
    let mut body = json!({"reference": kontor::kernel::Id::<()>::new().to_string()});
    if let Some(amount) = amount {
        body["amount"] = eur(amount);
    }
    app.ops("POST", &format!("/orders/{order}/payments"), Some(&body)).await.expect(200);
}

async fn refund(app: &App, order: &str, amount: &str) -> Answer {
    let body = json!({"amount": eur(amount), "reason": "sorry"});
    app.ops("POST", &format!("/orders/{order}/refunds"), Some(&body)).await
}

/// Whether each ledger balances.
async fn balanced(app: &App) {
    let off =
        "SELECT count(*) FROM (SELECT order_id FROM ledger_entries GROUP BY order_id HAVING sum(amount) <> 0) AS off";
    assert_eq!(app.count(off).await, 0);
}

/// What the sandbox has taken, and given back, of all payments.
async fn at_the_sandbox(app: &App) -> (i64, i64) {
    let taken = app.count("SELECT CAST(coalesce(sum(captured), 0) AS bigint) FROM sandbox_payments").await;
    (taken, app.count("SELECT CAST(coalesce(sum(refunded), 0) AS bigint) FROM sandbox_payments").await)
}

#[test]
fn taken_money_goes_over_and_back_the_way_it_came_once() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let first = placed(&shop, by_hand()).await;
        pay(&app, &first, None).await;
        let done = split(&app, &first).await.expect(201);
        let second = text(&done["split_into"]["id"]);
        let (one, other) = (&done["order"]["payments"][0], &done["split_into"]["payments"][0]);
        assert_eq!((&one["amount"], &one["captured"]), (&eur("19.90"), &eur("19.90")));
        assert_eq!(
            (&other["amount"], &other["captured"], &other["parent"]),
            (&eur("20.00"), &eur("20.00"), &one["id"])
        );
        assert_eq!(
            (&done["order"]["payment_state"], &done["split_into"]["payment_state"]),
            (&json!("captured"), &json!("captured"))
        );
        balanced(&app).await;
        // No more goes back of either than it has, nor of both than was taken.
        refund(&app, &second, "20.01").await.problem(409, "refund_exceeded");
        refund(&app, &first, "19.91").await.problem(409, "refund_exceeded");
        // What would count twice is found out.
        let damage = async |statement: &'static str| {
            app.state.db.write(move |tx| kontor::db::sql(statement).execute(tx)).await.unwrap();
            let found = kontor::doctor::examine(&app.state.db, |_| {}).await.unwrap();
            found.iter().any(|one| one.rule == "a payment and its shares have what was captured of them, once")
        };
        assert!(damage("UPDATE payments SET captured = captured - 1 WHERE root_id IS NOT NULL").await);
        assert!(!damage("UPDATE payments SET captured = captured + 1 WHERE root_id IS NOT NULL").await);
        ship(&app, &first).await.expect(201);
        ship(&app, &second).await.expect(201);
        assert_eq!(
            sum(&document(&app, &first).await, "captured") + sum(&document(&app, &second).await, "captured"),
            3_990
        );
        balanced(&app).await;
    });
}

#[test]
fn what_was_given_back_out_of_goodwill_is_not_asked_for_again() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        for hand in [true, false] {
            let first = placed(&shop, if hand { by_hand() } else { card() }).await;
            if hand {
                pay(&app, &first, None).await;
            } else {
                let work = app.ops("GET", &format!("/orders/{first}/fulfilment"), None).await.expect(200);
                let mug = json!({"lines": [{"line_no": 2, "quantity": 1}]});
                let path = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
                app.ops("POST", &path, Some(&mug)).await.expect(201);
                settled(&app).await;
            }
            let given = refund(&app, &first, "1.00").await.expect(202);
            if hand {
                let seen = app.ops("GET", &format!("/orders/{first}/payments"), None).await.expect(200);
                let all = seen["payments"][0]["operations"].as_array().unwrap().clone();
                let waits = all.iter().find(|one| one["state"] == "pending").unwrap_or_else(|| panic!("{given}"));
                let confirm = format!("/payment-operations/{}/confirm", text(&waits["id"]));
                app.ops("POST", &confirm, Some(&json!({}))).await.expect(200);
            }
            settled(&app).await;
            let refunds = app.count("SELECT count(*) FROM payment_operations WHERE kind = 'refund'").await;
            let done = split(&app, &first).await.expect(201);
            let second = text(&done["split_into"]["id"]);
            settled(&app).await;
            assert_eq!(app.count("SELECT count(*) FROM payment_operations WHERE kind = 'refund'").await, refunds);
            // Each is covered, to the minor unit, and nothing is to be paid by hand.
            let (one, other) = (document(&app, &first).await, document(&app, &second).await);
            let kept = |order: &Value| sum(order, "captured") - sum(order, "refunded") + sum(order, "capturable");
            assert_eq!((kept(&one), kept(&other)), (1_890, 2_000), "{one} {other}");
            for order in [&first, &second] {
                let seen = app.ops("GET", &format!("/orders/{order}/payments"), None).await.expect(200);
                assert!(cents(&seen["owed"]) <= sum(&document(&app, order).await, "capturable"), "{seen}");
            }
        }
        balanced(&app).await;
    });
}

#[test]
fn what_a_guest_paid_an_order_with_that_was_split_off_is_erased_with_them() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let first = placed(&shop, card()).await;
        let done = split(&app, &first).await.expect(201);
        let second = text(&done["split_into"]["id"]);
        for order in [&first, &second] {
            let cancel = json!({"reason": "not any more"});
            app.ops("POST", &format!("/orders/{order}/cancel"), Some(&cancel)).await.expect(200);
        }
        settled(&app).await;
        let kept = "SELECT count(*) FROM payments WHERE doc->>'instrument' IS NOT NULL";
        assert!(app.count(kept).await > 0);
        let email = done["order"]["email"].clone();
        app.ops("POST", "/guests/erase", Some(&json!({ "email": email }))).await.expect(200);
        assert_eq!(app.count(kept).await, 0);
    });
}

#[test]
fn what_is_paid_in_part_is_shared_by_what_each_order_costs() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let first = placed(&shop, by_hand()).await;
        pay(&app, &first, Some("10.00")).await;
        let done = split(&app, &first).await.expect(201);
        // 20.00 of 39.90 are 5.01 of the ten; the rest is to come.
        let other = &done["split_into"]["payments"][0];
        assert_eq!(
            (&other["captured"], &other["amount"], &other["capturable"]),
            (&eur("5.01"), &eur("20.00"), &eur("14.99"))
        );
        assert_eq!(sum(&done["order"], "captured"), 499);
        for order in [&first, &text(&done["split_into"]["id"])] {
            pay(&app, order, None).await;
            ship(&app, order).await.expect(201);
        }
        assert_eq!(document(&app, &first).await["payment_state"], "captured");
        balanced(&app).await;
    });
}

#[test]
fn each_order_takes_its_part_of_one_promise_and_lets_go_its_own() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let first = placed(&shop, card()).await;
        let done = split(&app, &first).await.expect(201);
        let second = text(&done["split_into"]["id"]);
        assert_eq!((sum(&done["order"], "capturable"), sum(&done["split_into"], "capturable")), (1_990, 2_000));
        // The second leaves first, and is split once more before: its share has shares.
        let one = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "even later"});
        let again = app.ops("POST", &format!("/orders/{second}/split"), Some(&one)).await.expect(201);
        let third = text(&again["split_into"]["id"]);
        ship(&app, &second).await.expect(201);
        settled(&app).await;
        assert_eq!(at_the_sandbox(&app).await, (1_000, 0));
        let cancel = json!({"reason": "not any more"});
        app.ops("POST", &format!("/orders/{third}/cancel"), Some(&cancel)).await.expect(200);
        ship(&app, &first).await.expect(201);
        settled(&app).await;
        assert_eq!(at_the_sandbox(&app).await, (2_990, 0));
        assert_eq!(app.count("SELECT CAST(sum(voided) AS bigint) FROM sandbox_payments").await, 1_000);
        // What is given back goes to the card that the first was paid with.
        refund(&app, &second, "10.00").await.expect(202);
        refund(&app, &first, "19.90").await.expect(202);
        settled(&app).await;
        refund(&app, &second, "0.01").await.problem(409, "refund_exceeded");
        assert_eq!(at_the_sandbox(&app).await, (2_990, 2_990));
        balanced(&app).await;
    });
}

#[test]
fn what_has_left_stays_paid_and_the_rest_is_split() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let first = placed(&shop, card()).await;
        let work = app.ops("GET", &format!("/orders/{first}/fulfilment"), None).await.expect(200);
        let part = json!({"lines": [{"line_no": 2, "quantity": 1}]});
        let path = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
        app.ops("POST", &path, Some(&part)).await.expect(201);
        settled(&app).await;
        let done = split(&app, &first).await.expect(201);
        assert_eq!((sum(&done["order"], "captured"), sum(&done["order"], "capturable")), (990, 1_000));
        assert_eq!((sum(&done["split_into"], "captured"), sum(&done["split_into"], "capturable")), (0, 2_000));
        ship(&app, &text(&done["split_into"]["id"])).await.expect(201);
        ship(&app, &first).await.expect(201);
        settled(&app).await;
        assert_eq!(at_the_sandbox(&app).await, (3_990, 0));
        balanced(&app).await;
    });
}

#[test]
fn what_a_company_owes_stays_the_same() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("TEE", "10.00", 20), ("MUG", "5.00", 20)]).await;
        // As much as the order costs: nothing more is lent.
        trade.limit("39.90", "decline").await;
        let order = trade.order(&[("TEE", 3), ("MUG", 1)]).await;
        let first = text(&order["id"]);
        let used = async || app.count("SELECT used FROM company_credits").await;
        assert_eq!(used().await, 3_990);
        let done = split(&app, &first).await.expect(201);
        let second = text(&done["split_into"]["id"]);
        assert_eq!((used().await, app.count("SELECT count(*) FROM company_debts WHERE open > 0").await), (3_990, 2));
        assert_eq!(app.count("SELECT count(DISTINCT due_at) FROM company_debts").await, 1);
        ship(&app, &second).await.expect(201);
        pay(&app, &second, None).await;
        assert_eq!(used().await, 1_990);
        app.ops("POST", &format!("/orders/{first}/cancel"), Some(&json!({"reason": "no"}))).await.expect(200);
        assert_eq!(used().await, 0);
        balanced(&app).await;
    });
}

#[test]
fn what_is_set_aside_of_a_gift_card_stands_for_either_order() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let issued = app.ops("POST", "/gift-cards", Some(&json!({"amount": eur("30.00")}))).await.expect(201);
        let (value, code) = (text(&issued["id"]), text(&issued["code"]));
        let cart = shop.cart(&[("TEE", 3), ("MUG", 1)]).await;
        let path = format!("/carts/{}/gift-cards", cart.id);
        shop.store("POST", &path, Some(&cart.token), Some(&json!({ "code": code }))).await.expect(200);
        let first = paid_for(&shop, &cart, card()).await;
        let worth = async || {
            let seen = app.ops("GET", &format!("/stored-values/{value}"), None).await.expect(200);
            (cents(&seen["balance"]), cents(&seen["held"]))
        };
        assert_eq!(worth().await, (3_000, 3_000));
        let done = split(&app, &first).await.expect(201);
        let second = text(&done["split_into"]["id"]);
        assert_eq!(worth().await, (3_000, 3_000));
        // The card's 9.90 go over first, then 10.10 of the gift card.
        let parts: Vec<(String, i64)> = done["split_into"]["payments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (text(&one["provider"]), cents(&one["capturable"])))
            .collect();
        assert!(
            parts.contains(&("sandbox".to_owned(), 990)) && parts.contains(&("gift_card".to_owned(), 1_010)),
            "{parts:?}"
        );
        ship(&app, &second).await.expect(201);
        settled(&app).await;
        assert_eq!(worth().await, (1_990, 1_990));
        // Taken of it already, it goes back onto it.
        refund(&app, &second, "20.00").await.expect(202);
        settled(&app).await;
        assert_eq!(worth().await, (3_000, 1_990));
        app.ops("POST", &format!("/orders/{first}/cancel"), Some(&json!({"reason": "no"}))).await.expect(200);
        settled(&app).await;
        assert_eq!(worth().await, (3_000, 0));
        balanced(&app).await;
    });
}

#[test]
fn a_dispute_that_a_provider_tells_of_counts_on_both_orders() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let cart = shop.cart(&[("TEE", 3), ("MUG", 1)]).await;
        let recorded = json!({"payment": {"method": "sandbox", "instrument": "approve_recorded"}});
        let first = paid_for(&shop, &cart, recorded).await;
        let key = app.ops("GET", &format!("/orders/{first}"), None).await.expect(200)["payments"][0]["id"].clone();
        let done = split(&app, &first).await.expect(201);
        let second = text(&done["split_into"]["id"]);
        ship(&app, &first).await.expect(201);
        ship(&app, &second).await.expect(201);
        settled(&app).await;
        let body = json!({"reference": "dp_1", "state": "open", "reason": "fraudulent", "amount": eur("39.90"), "fee": eur("15.00")});
        let path = format!("/sandbox/payments/{}/dispute", text(&key));
        app.ops("POST", &path, Some(&body)).await.expect(202);
        let told = "SELECT count(*) FROM disputes WHERE state = 'open' AND excess = 0";
        eventually("it is told", async || app.count(told).await == 2).await;
        assert_eq!(app.count("SELECT CAST(sum(amount) AS bigint) FROM disputes").await, 3_990);
        assert_eq!(app.count("SELECT CAST(sum(fee) AS bigint) FROM disputes").await, 1_500);
        for order in [&first, &second] {
            refund(&app, order, "0.01").await.problem(409, "refund_exceeded");
        }
        balanced(&app).await;
    });
}

#[test]
fn each_order_asks_anew_for_its_own_part_of_a_promise_that_ends() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let first = placed(&shop, json!({"payment": {"method": "sandbox", "instrument": "expires:36000"}})).await;
        let second = text(&split(&app, &first).await.expect(201)["split_into"]["id"]);
        app.clock.advance_seconds(18_500);
        let renewed = "SELECT count(*) FROM payment_renewals WHERE state = 'renewed'";
        eventually("both are given anew", async || app.count(renewed).await == 2).await;
        settled(&app).await;
        let promised = "SELECT CAST(sum(amount - voided) AS bigint) FROM sandbox_payments";
        assert_eq!(app.count(promised).await, 3_990);
        assert_eq!(app.count("SELECT CAST(sum(voided) AS bigint) FROM sandbox_payments").await, 3_990);
        app.clock.advance_seconds(18_500);
        ship(&app, &second).await.expect(201);
        ship(&app, &first).await.expect(201);
        settled(&app).await;
        assert_eq!(at_the_sandbox(&app).await, (3_990, 0));
        balanced(&app).await;
    });
}

#[test]
fn what_is_on_its_way_is_waited_for() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        let first = placed(&shop, by_hand()).await;
        pay(&app, &first, None).await;
        // What is to be paid out by hand waits for somebody, who may see one channel only: also that of the second order, which has no cart.
        let one = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "later"});
        let path = format!("/orders/{first}/split");
        let second = text(&app.ops("POST", &path, Some(&one)).await.expect(201)["split_into"]["id"]);
        refund(&app, &second, "1.00").await.expect(202);
        refund(&app, &first, "1.00").await.expect(202);
        app.ops("POST", &path, Some(&one)).await.problem(409, "state_conflict");
        let scopes: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        let mut claims = app.claims(Audience::Staff, "eve", &scopes.join(" "));
        claims.channels = Some(vec![shop.channel.parse().unwrap()]);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let headers = [("Authorization", token.as_str())];
        let waiting = app.send("GET", "/v1/ops/worklists/refunds_to_pay", &headers, None).await.expect(200);
        let items = waiting["items"].as_array().unwrap().clone();
        assert_eq!(items.len(), 2, "{waiting}");
        for item in items {
            let path = format!("/payment-operations/{}/confirm", text(&item["id"]));
            app.ops("POST", &path, Some(&json!({}))).await.expect(200);
        }
        app.ops("POST", &path, Some(&one)).await.expect(201);
        balanced(&app).await;
    });
}

#[test]
fn split_races_with_shipping_cancelling_refunding_and_itself() {
    on_both(|app| async move {
        let shop = shop(&app).await;
        for round in 0..6 {
            let by_card = round % 2 == 0;
            let first = placed(&shop, if by_card { card() } else { by_hand() }).await;
            if !by_card {
                pay(&app, &first, None).await;
            }
            let one = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "later"});
            let path = format!("/orders/{first}/split");
            let splits = join_all((0..2).map(|_| app.ops("POST", &path, Some(&one))));
            let cancel = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "too many"});
            let others = [
                (format!("/orders/{first}/cancel"), cancel),
                (format!("/orders/{first}/refunds"), json!({"amount": eur("1.00"), "reason": "sorry"})),
            ];
            let racing =
                join(join_all(others.iter().map(|(path, body)| app.ops("POST", path, Some(body)))), ship(&app, &first));
            let (splits, (raced, shipped)) = join(splits, racing).await;
            for answer in splits.iter().chain(&raced).chain([&shipped]) {
                assert!([200, 201, 202, 409].contains(&answer.status), "{} {}", answer.status, answer.text);
            }
            let seconds: Vec<String> =
                splits.iter().filter(|one| one.status == 201).map(|one| text(&one.body["split_into"]["id"])).collect();
            let by_providers = "SELECT count(*) FROM payment_operations AS o JOIN payments AS p ON p.id = o.payment_id \
                                WHERE o.state = 'pending' AND p.provider <> 'manual'";
            eventually("the money has moved", async || app.count(by_providers).await == 0).await;
            let mut most = 0;
            for order in seconds.iter().chain([&first]) {
                most += sum(&document(&app, order).await, "amount");
            }
            assert!(most <= 3_990, "round {round}: {most}");
            balanced(&app).await;
        }
    });
}
