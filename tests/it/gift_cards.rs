//! Gift cards and store credit: they pay exactly what is on them, however many want it at once, and everything comes back where it
//! came from.

use diesel::sql_types::{BigInt, Text as SqlText};
use futures::future::join_all;
use kontor::{
    db::{Tx, sql},
    http::auth::Audience,
    kernel::{
        Id, Scope,
        ids::{PaymentId, PaymentOperationId},
    },
    stored_value,
};
use serde_json::{Value, json};

use crate::{
    promotions::{again, eur},
    support::{Answer, App, Cart, Shop, eventually, on_both, on_both_idle, shop::address},
};

/// A shop that takes them.
async fn open(app: &App, goods: &[(&str, &str, i64)]) -> Shop {
    let shop = Shop::open(app, goods).await;
    shop.set(json!({"payment_methods": ["manual", "sandbox", "gift_card", "store_credit"]})).await;
    shop
}

/// A card of so much: its id and code.
async fn card(app: &App, amount: &str) -> (String, String) {
    let issued = app.ops("POST", "/gift-cards", Some(&json!({"amount": eur(amount)}))).await.expect(201);
    (text(&issued["id"]), text(&issued["code"]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn put_on(shop: &Shop, cart: &Cart, code: &str) -> Answer {
    let path = format!("/carts/{}/gift-cards", cart.id);
    shop.store("POST", &path, Some(&cart.token), Some(&json!({ "code": code }))).await
}

/// Completes a cart that gift cards pay whole.
async fn complete(shop: &Shop, cart: &Cart, body: Value) -> Answer {
    shop.store("POST", &format!("/carts/{}/complete", cart.id), Some(&cart.token), Some(&body)).await
}

/// Balance and what is set aside, as amounts.
async fn worth(app: &App, id: &str) -> (String, String) {
    let seen = app.ops("GET", &format!("/stored-values/{id}"), None).await.expect(200);
    (text(&seen["balance"]["amount"]), text(&seen["held"]["amount"]))
}

fn pair(balance: &str, held: &str) -> (String, String) {
    (balance.to_owned(), held.to_owned())
}

/// Ships all of an order, and waits until nothing of its money is under way.
async fn ship(app: &App, order: &Value) {
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    let found = app.ops("GET", &path, None).await.expect(200);
    let path = format!("/fulfilment-orders/{}/ship", text(&found["fulfilment_orders"][0]["id"]));
    app.ops("POST", &path, Some(&json!({}))).await.expect(201);
    settled(app).await;
}

async fn settled(app: &App) {
    let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
    eventually("the money has moved", async || app.count(pending).await == 0).await;
}

async fn kinds(app: &App, id: &str) -> Vec<(String, String)> {
    let entries = app.ops("GET", &format!("/stored-values/{id}/entries"), None).await.expect(200);
    let entry = |entry: &Value| (text(&entry["kind"]), text(&entry["amount"]["amount"]));
    entries["items"].as_array().unwrap().iter().rev().map(entry).collect()
}

/// A television for 100.00 with 4.90 of shipping: a card of 50.00 pays first, the sandbox 54.90. When it leaves, both are captured;
/// of 60.00 that are given back the sandbox gets its 54.90 first and the card the other 5.10.
#[test]
fn a_card_pays_a_part_and_gets_back_what_it_paid() {
    on_both(|app| async move {
        let shop = open(&app, &[("TV", "100.00", 9)]).await;
        let (id, code) = card(&app, "50.00").await;
        let cart = shop.cart(&[("TV", 1)]).await;
        assert_eq!(cart.body["due"], eur("104.90"));
        let typed = code.to_lowercase().replace('-', " ");
        let seen = put_on(&shop, &cart, &typed).await.expect(200);
        assert_eq!((&seen["total"], &seen["due"]), (&eur("104.90"), &eur("54.90")));
        assert_eq!(seen["paid_with"][0]["amount"], eur("50.00"));
        assert_eq!(seen["paid_with"][0]["code_end"], code[code.len() - 4..]);
        // Nothing is taken of it before it is ordered.
        assert_eq!(worth(&app, &id).await, pair("50.00", "0.00"));
        let missing = complete(&shop, &cart, json!({})).await.problem(422, "payment_missing");
        assert_eq!(missing["due"], eur("54.90"));
        let pay = json!({"payment": {"method": "sandbox"}, "expected_due": eur("54.89")});
        complete(&shop, &cart, pay).await.problem(409, "total_changed");
        let pay =
            json!({"payment": {"method": "sandbox"}, "expected_due": eur("54.90"), "expected_total": eur("104.90")});
        let order = complete(&shop, &cart, pay).await.expect(201)["order"].clone();
        let payment =
            |place: usize| (text(&order["payments"][place]["provider"]), order["payments"][place]["amount"].clone());
        assert_eq!(payment(0), ("gift_card".to_owned(), eur("50.00")));
        assert_eq!(payment(1), ("sandbox".to_owned(), eur("54.90")));
        assert_eq!(
            (order["payment_method"].as_str(), order["payment_state"].as_str()),
            (Some("sandbox"), Some("authorised"))
        );
        assert_eq!(worth(&app, &id).await, pair("50.00", "50.00"));
        ship(&app, &order).await;
        assert_eq!(worth(&app, &id).await, pair("0.00", "0.00"));
        let path = format!("/orders/{}", text(&order["id"]));
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["payment_state"], "captured");
        let back = json!({"amount": eur("60.00"), "reason": "late"});
        app.ops("POST", &format!("{path}/refunds"), Some(&back)).await.expect(202);
        settled(&app).await;
        assert_eq!(worth(&app, &id).await, pair("5.10", "0.00"));
        let changes = ["issue 50.00", "hold 0.00", "redeem -50.00", "refund 5.10"];
        let seen: Vec<String> =
            kinds(&app, &id).await.into_iter().map(|(kind, amount)| format!("{kind} {amount}")).collect();
        assert_eq!(seen, changes);
        let told = "SELECT count(*) FROM events WHERE type = 'stored_value.booked.v1'";
        assert_eq!(app.count(told).await, 3);
    });
}

/// What is shipped in parts is taken from the card first: of 24.90 the card has 10.00, the first parcel is worth 14.90 with shipping.
#[test]
fn a_card_pays_the_first_parcel_and_a_cancelled_rest_frees_the_money() {
    on_both(|app| async move {
        let shop = open(&app, &[("MUG", "10.00", 9)]).await;
        let (id, code) = card(&app, "20.00").await;
        let cart = shop.cart(&[("MUG", 2)]).await;
        put_on(&shop, &cart, &code).await.expect(200);
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        let path = format!("/orders/{}", text(&order["id"]));
        let found = app.ops("GET", &format!("{path}/fulfilment"), None).await.expect(200);
        let part = json!({"lines": [{"line_no": 1, "quantity": 1}]});
        let parcel = format!("/fulfilment-orders/{}/ship", text(&found["fulfilment_orders"][0]["id"]));
        app.ops("POST", &parcel, Some(&part)).await.expect(201);
        settled(&app).await;
        assert_eq!(worth(&app, &id).await, pair("5.10", "5.10"));
        app.ops("POST", &format!("{path}/cancel"), Some(&json!({"reason": "enough"}))).await.expect(200);
        settled(&app).await;
        assert_eq!(worth(&app, &id).await, pair("5.10", "0.00"));
        let seen = app.ops("GET", &path, None).await.expect(200);
        let of = |place: usize, what: &str| text(&seen["payments"][place][what]["amount"]);
        let card_paid =
            seen["payments"].as_array().unwrap().iter().position(|one| one["provider"] == "gift_card").unwrap();
        assert_eq!((of(card_paid, "captured"), of(card_paid, "voided")), ("14.90".to_owned(), "5.10".to_owned()));
        assert_eq!(
            (of(1 - card_paid, "captured"), of(1 - card_paid, "voided")),
            ("0.00".to_owned(), "4.90".to_owned())
        );
    });
}

#[test]
fn cards_that_pay_all_need_no_method_and_odd_ones_are_refused() {
    on_both(|app| async move {
        let shop = open(&app, &[("MUG", "10.00", 50)]).await;
        let ((first, one), (_, two)) = (card(&app, "10.00").await, card(&app, "10.00").await);
        let cart = shop.cart(&[("MUG", 1)]).await;
        put_on(&shop, &cart, &one).await.expect(200);
        // The same again is no other.
        assert_eq!(put_on(&shop, &cart, &one).await.expect(200)["paid_with"].as_array().unwrap().len(), 1);
        let seen = put_on(&shop, &cart, &two).await.expect(200);
        assert_eq!((&seen["due"], &seen["paid_with"][1]["amount"]), (&eur("0.00"), &eur("4.90")));
        let by_card = json!({"payment": {"method": "gift_card"}});
        let other = shop.cart(&[("MUG", 1)]).await;
        let refused = complete(&shop, &other, by_card).await.problem(422, "payment_method_unavailable");
        assert_eq!(refused["pointer"], "/payment/method");
        let order = complete(&shop, &cart, json!({})).await.expect(201)["order"].clone();
        assert_eq!((order["payment_method"].as_str(), &order["total"]), (Some("gift_card"), &eur("14.90")));
        assert_eq!(complete(&shop, &cart, json!({})).await.expect(201)["order"]["id"], order["id"]);
        // An empty one, an unknown one, a blocked one, an expired one, one in another currency.
        let third = shop.cart(&[("MUG", 1)]).await;
        let why = |problem: Value| text(&problem["reason"]);
        assert_eq!(why(put_on(&shop, &third, &one).await.problem(422, "gift_card_refused")), "empty");
        put_on(&shop, &third, "2222-3333-4444-5555").await.problem(422, "gift_card_unknown");
        let (blocked, code) = card(&app, "5.00").await;
        let path = format!("/stored-values/{blocked}");
        app.ops("PATCH", &path, Some(&json!({"blocked": true}))).await.expect(200);
        assert_eq!(why(put_on(&shop, &third, &code).await.problem(422, "gift_card_refused")), "blocked");
        let soon = json!({"blocked": false, "expires_at": app.now().plus_seconds(60)});
        app.ops("PATCH", &path, Some(&soon)).await.expect(200);
        assert_eq!(put_on(&shop, &third, &code).await.expect(200)["due"], eur("9.90"));
        app.clock.advance_seconds(60);
        let seen = again(&shop, &third).await;
        assert_eq!((&seen["due"], &seen["paid_with"][0]["refused"]), (&eur("14.90"), &json!("expired")));
        assert!(seen["problems"].to_string().contains("gift_card_not_applied"), "{seen}");
        let gone = format!("/carts/{}/gift-cards/{blocked}", third.id);
        let seen = shop.store("DELETE", &gone, Some(&third.token), None).await.expect(200);
        assert!(seen.get("paid_with").is_none());
        shop.store("DELETE", &gone, Some(&third.token), None).await.problem(404, "not_found");
        let franks = json!({"amount": {"amount": "5.00", "currency": "CHF"}, "code": "OLD SHOP 1234 5678 X"});
        let franks = app.ops("POST", "/gift-cards", Some(&franks)).await.expect(201);
        assert_eq!(
            why(put_on(&shop, &third, &text(&franks["code"])).await.problem(422, "gift_card_refused")),
            "currency"
        );
        let twice = json!({"amount": eur("5.00"), "code": "oldshop12345678x"});
        app.ops("POST", "/gift-cards", Some(&twice)).await.problem(409, "duplicate");
        let short = json!({"amount": eur("5.00"), "code": "SHORT"});
        app.ops("POST", "/gift-cards", Some(&short)).await.problem(422, "invalid_value");
        app.ops("POST", "/gift-cards", Some(&json!({"amount": eur("0.00")}))).await.problem(422, "invalid_value");
        // Whoever has the code may look at it; the code is told once, and found by it.
        let asked = json!({"code": text(&franks["code"])});
        let seen = shop.store("POST", "/gift-cards/balance", None, Some(&asked)).await.expect(200);
        assert_eq!(seen["available"]["amount"], "5.00");
        let found = app.ops("POST", "/gift-cards/lookup", Some(&asked)).await.expect(200);
        assert!(found["id"] == franks["id"] && found.get("code").is_none());
        // Staff correct it, as far as nothing is set aside.
        let path = format!("/stored-values/{first}/adjust");
        let more = json!({"amount": eur("2.50"), "reason": "for the wait"});
        assert_eq!(app.ops("POST", &path, Some(&more)).await.expect(200)["available"], eur("2.50"));
        let less = json!({"amount": eur("-2.51"), "reason": "issued twice"});
        app.ops("POST", &path, Some(&less)).await.problem(409, "stored_value_short");
        settled(&app).await;
    });
}

/// 16 buyers of 14.90 each want to pay with one card of 100.00: it pays exactly that, and not a cent more.
#[test]
fn however_many_want_one_card_it_pays_what_is_on_it() {
    on_both_idle(|app| async move {
        let shop = open(&app, &[("MUG", "10.00", 500)]).await;
        let (id, code) = card(&app, "100.00").await;
        let buyer = async |number: usize| {
            let cart = shop.cart(&[("MUG", 1)]).await;
            put_on(&shop, &cart, &code).await;
            for _ in 0..20 {
                let instrument = if number.is_multiple_of(3) { "decline" } else { "approve" };
                let ended = shop.complete(&cart, instrument).await;
                match ended.status {
                    200 => return None,
                    201 => return Some(ended.body["order"].clone()),
                    409 if ended.body["code"] == "stored_value_short" => {
                        again(&shop, &cart).await;
                    }
                    503 => {}
                    _ => panic!("{}", ended.text),
                }
            }
            panic!("never ordered");
        };
        let orders: Vec<Value> = join_all((0..16).map(buyer)).await.into_iter().flatten().collect();
        let paid = |order: &Value| -> i64 {
            let payments = order["payments"].as_array().unwrap().iter();
            payments.filter(|one| one["provider"] == "gift_card").map(|one| cents(&one["amount"])).sum()
        };
        assert_eq!(orders.iter().map(paid).sum::<i64>(), 10_000);
        assert_eq!(worth(&app, &id).await, pair("100.00", "100.00"));
        for order in &orders {
            let all: i64 = order["payments"].as_array().unwrap().iter().map(|one| cents(&one["amount"])).sum();
            assert_eq!(all, cents(&order["total"]));
        }
        app.leaves_work();
    });
}

fn cents(money: &Value) -> i64 {
    money["amount"].as_str().unwrap().replace('.', "").parse().unwrap()
}

#[test]
fn a_decline_frees_it_and_a_redirect_keeps_it() {
    on_both(|app| async move {
        let shop = open(&app, &[("MUG", "10.00", 50)]).await;
        let (id, code) = card(&app, "6.00").await;
        let (first, second) = (shop.cart(&[("MUG", 1)]).await, shop.cart(&[("MUG", 1)]).await);
        for cart in [&first, &second] {
            put_on(&shop, cart, &code).await.expect(200);
        }
        shop.complete(&first, "decline").await.expect(200);
        assert_eq!(worth(&app, &id).await, pair("6.00", "0.00"));
        let asked = shop.complete(&first, "redirect").await.expect(202);
        assert_eq!(worth(&app, &id).await, pair("6.00", "6.00"));
        // Nobody is charged more than they were shown without a word.
        let short = shop.complete(&second, "approve").await.problem(409, "stored_value_short");
        assert_eq!(short["due"], eur("14.90"));
        assert_eq!(again(&shop, &second).await["due"], eur("14.90"));
        let key = text(&asked["action"]["url"]).rsplit('/').next().unwrap().to_owned();
        app.ops("POST", &format!("/sandbox/payments/{key}/approve"), None).await.expect(202);
        eventually("there is an order", async || shop.count("orders").await == 1).await;
        assert_eq!(worth(&app, &id).await, pair("6.00", "6.00"));
        let order = shop.complete(&first, "approve").await.expect(201)["order"].clone();
        let cancel = json!({"reason": "changed their mind"});
        app.ops("POST", &format!("/orders/{}/cancel", text(&order["id"])), Some(&cancel)).await.expect(200);
        settled(&app).await;
        assert_eq!(worth(&app, &id).await, pair("6.00", "0.00"));
        assert_eq!(again(&shop, &second).await["due"], eur("8.90"));
    });
}

#[test]
fn money_that_was_promised_beside_a_card_that_is_spent_is_given_up() {
    on_both(|app| async move {
        let shop = open(&app, &[("MUG", "10.00", 50)]).await;
        let (id, code) = card(&app, "6.00").await;
        let (first, second) = (shop.cart(&[("MUG", 1)]).await, shop.cart(&[("MUG", 1)]).await);
        put_on(&shop, &first, &code).await.expect(200);
        let asked = shop.complete(&first, "redirect").await.expect(202);
        // What was set aside ends while the customer is away, longer than anybody is given, and somebody else has it.
        let gone = "UPDATE stored_value_holds SET expires_at = created_at";
        app.state.db.write(move |tx| sql(gone).execute(tx)).await.unwrap();
        assert_eq!(put_on(&shop, &second, &code).await.expect(200)["due"], eur("8.90"));
        shop.complete(&second, "approve").await.expect(201);
        assert_eq!(worth(&app, &id).await, pair("6.00", "6.00"));
        let key = text(&asked["action"]["url"]).rsplit('/').next().unwrap().to_owned();
        app.ops("POST", &format!("/sandbox/payments/{key}/approve"), None).await.expect(202);
        eventually("the cart is its shopper's again", async || {
            let seen = shop.store("GET", &format!("/carts/{}", first.id), Some(&first.token), None).await.expect(200);
            seen["state"] == "open" && seen["last_decline"]["code"] == "stored_value_short"
        })
        .await;
        assert_eq!((shop.count("orders").await, shop.count("stored_value_holds").await), (1, 0));
        // What expires and nobody wants is taken again by whom it was for.
        let (third, code) = (shop.cart(&[("MUG", 1)]).await, card(&app, "7.00").await.1);
        put_on(&shop, &third, &code).await.expect(200);
        let asked = shop.complete(&third, "redirect").await.expect(202);
        app.state.db.write(move |tx| sql("DELETE FROM stored_value_holds").execute(tx)).await.unwrap();
        let free = "UPDATE stored_values SET held = 0 WHERE balance = 700";
        app.state.db.write(move |tx| sql(free).execute(tx)).await.unwrap();
        let undone = "DELETE FROM stored_value_entries WHERE kind = 'hold' AND held = 700";
        app.state.db.write(move |tx| sql(undone).execute(tx)).await.unwrap();
        let key = text(&asked["action"]["url"]).rsplit('/').next().unwrap().to_owned();
        app.ops("POST", &format!("/sandbox/payments/{key}/approve"), None).await.expect(202);
        eventually("there is another order", async || shop.count("orders").await == 2).await;
        assert_eq!(app.count("SELECT held FROM stored_values WHERE balance = 700").await, 700);
    });
}

#[test]
fn an_operation_is_done_once_under_its_key() {
    on_both_idle(|app| async move {
        let shop = open(&app, &[]).await;
        let (id, _) = card(&app, "9.00").await;
        let (value, now) = (id.parse().unwrap(), app.now());
        let (payment, cart) = (Id::from_bytes([7; 16]), Id::from_bytes([8; 16]));
        let by = (now, &kontor::kernel::Actor::System("payments"));
        // A payment of 2.00, taken in two parts.
        let paid = move |tx: &mut Tx| {
            let part = stored_value::Part { payment, value, kind: stored_value::ValueKind::GiftCard, amount: 200 };
            stored_value::hold(tx, by, cart, &[part], now.plus_seconds(60))?;
            stored_value::consume(tx, cart, &[part])?;
            let doing = |our_key| stored_value::Doing { value, payment, amount: 100, our_key };
            stored_value::capture(tx, by, doing("payop_a"))?;
            stored_value::capture(tx, by, doing("payop_b"))
        };
        app.state.db.write(paid).await.unwrap();
        assert_eq!(worth(&app, &id).await, pair("7.00", "0.00"));
        let put_back = move |tx: &mut Tx, amount: i64, our_key: &str| {
            stored_value::refund(tx, by, stored_value::Doing { value, payment, amount, our_key })
        };
        let once = move |tx: &mut Tx| put_back(tx, 100, "payop_1");
        let tries = join_all((0..6).map(|_| app.state.db.write(once))).await;
        assert!(tries.iter().any(Result::is_ok));
        app.state.db.write(once).await.unwrap();
        assert_eq!(worth(&app, &id).await, pair("8.00", "0.00"));
        assert_eq!(shop.count("stored_value_entries").await, 5);
        // Under whatever keys, no more is put back than was taken for the payment.
        let too_much = app.state.db.write(move |tx| put_back(tx, 101, "payop_2")).await.unwrap_err();
        assert_eq!(too_much.code(), kontor::error::Code::StoredValueShort);
        let rest =
            (0..6).map(|number| app.state.db.write(move |tx| put_back(tx, 100, &format!("payop_rest_{number}"))));
        assert_eq!(join_all(rest).await.iter().filter(|done| done.is_ok()).count(), 1);
        assert_eq!(worth(&app, &id).await, pair("9.00", "0.00"));
    });
}

/// The job that does an operation is dead though the card is booked: the answer could never be written down. Staff give it up.
async fn given_up(
    app: &App,
    kind: &str,
    booked: impl Fn(&mut Tx, stored_value::Doing<'_>) -> kontor::error::Result<()> + Copy + Send + Sync + 'static,
) -> String {
    let query = format!(
        "SELECT o.id, o.our_key, o.amount, o.payment_id, p.provider_ref FROM payment_operations AS o \
         JOIN payments AS p ON p.id = o.payment_id WHERE o.kind = '{kind}' AND o.state = 'pending'"
    );
    type Types = (kontor::db::UidSql, SqlText, BigInt, kontor::db::UidSql, SqlText);
    let (id, our_key, amount, payment, value) = app
        .read(move |tx| sql(query).first::<Types, (PaymentOperationId, String, i64, PaymentId, String)>(tx))
        .await
        .unwrap();
    app.state
        .db
        .write(move |tx| {
            let value = value.parse().unwrap();
            booked(tx, stored_value::Doing { value, payment, amount, our_key: &our_key })
        })
        .await
        .unwrap();
    let bury = format!("UPDATE jobs SET state = 'dead', last_error = 'no answer' WHERE kind = 'payment.{kind}'");
    app.state.db.write(move |tx| sql(bury.clone()).execute(tx)).await.unwrap();
    let dead = app.ops("GET", "/jobs?state=dead", None).await.expect(200);
    let discard = format!("/jobs/{}/discard", text(&dead["items"][0]["id"]));
    let answers = join_all((0..4).map(|_| app.ops("POST", &discard, None))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 204).count(), 1, "{answers:?}");
    id.to_string()
}

#[test]
fn what_a_card_has_booked_is_done_though_its_job_is_given_up() {
    on_both_idle(|app| async move {
        let shop = open(&app, &[("MUG", "10.00", 9)]).await;
        let (id, code) = card(&app, "50.00").await;
        let cart = shop.cart(&[("MUG", 1)]).await;
        put_on(&shop, &cart, &code).await.expect(200);
        let order = complete(&shop, &cart, json!({})).await.expect(201)["order"].clone();
        let path = format!("/orders/{}", text(&order["id"]));
        let found = app.ops("GET", &format!("{path}/fulfilment"), None).await.expect(200);
        let parcel = format!("/fulfilment-orders/{}/ship", text(&found["fulfilment_orders"][0]["id"]));
        app.ops("POST", &parcel, Some(&json!({}))).await.expect(201);
        let now = app.now();
        let by = (now, &kontor::kernel::Actor::System("payments"));
        given_up(&app, "capture", move |tx, doing| stored_value::capture(tx, by, doing)).await;
        let payment = async || app.ops("GET", &path, None).await.expect(200)["payments"][0].clone();
        assert_eq!(
            (worth(&app, &id).await, payment().await["captured"].clone()),
            (pair("35.10", "0.00"), eur("14.90"))
        );
        let back = json!({"amount": eur("4.90"), "reason": "late"});
        app.ops("POST", &format!("{path}/refunds"), Some(&back)).await.expect(202);
        given_up(&app, "refund", move |tx, doing| stored_value::refund(tx, by, doing)).await;
        assert_eq!((worth(&app, &id).await, payment().await["refunded"].clone()), (pair("40.00", "0.00"), eur("4.90")));
        // Nothing is owed any more, so nothing is done a second time.
        app.ops("POST", &format!("{path}/settle"), None).await;
        assert_eq!(app.count("SELECT count(*) FROM payment_operations WHERE state <> 'done'").await, 0);
        assert_eq!(app.count("SELECT count(*) FROM jobs WHERE kind LIKE 'payment.%' AND state <> 'done'").await, 0);
        app.leaves_work();
    });
}

#[test]
fn what_can_not_be_paid_with_is_not_told_as_if_it_could() {
    on_both(|app| async move {
        let shop = open(&app, &[("MUG", "10.00", 50)]).await;
        let gone = json!({"amount": eur("5.00"), "expires_at": app.now().plus_seconds(-1)});
        let refused = app.ops("POST", "/gift-cards", Some(&gone)).await.problem(422, "invalid_value");
        assert_eq!(refused["pointer"], "/expires_at");
        let until = app.now().plus_seconds(86_400);
        let new = json!({"amount": eur("20.00"), "expires_at": until});
        let issued = app.ops("POST", "/gift-cards", Some(&new)).await.expect(201);
        let (card, code) = (text(&issued["id"]), text(&issued["code"]));
        let look = async || {
            let seen =
                shop.store("POST", "/gift-cards/balance", None, Some(&json!({ "code": code }))).await.expect(200);
            text(&seen["available"]["amount"])
        };
        assert_eq!(look().await, "20.00");
        // What an order has set aside is not there any more.
        let cart = shop.cart(&[("MUG", 1)]).await;
        put_on(&shop, &cart, &code).await.expect(200);
        complete(&shop, &cart, json!({})).await.expect(201);
        assert_eq!(look().await, "5.10");
        let blocked = json!({"blocked": true});
        app.ops("PATCH", &format!("/stored-values/{card}"), Some(&blocked)).await.expect(200);
        assert_eq!(look().await, "0.00");
        app.ops("PATCH", &format!("/stored-values/{card}"), Some(&json!({"blocked": false}))).await.expect(200);
        assert_eq!(look().await, "5.10");
        app.clock.advance_seconds(86_400);
        assert_eq!(look().await, "0.00");
        // Nor is a blocked credit.
        let ada = format!("Bearer {}", app.token(Audience::Customer, "ada", &[]));
        let headers = [("Channel-Key", shop.key.as_str()), ("Authorization", ada.as_str())];
        let me = app.send("GET", "/v1/store/me", &headers, None).await.expect(200);
        let path = format!("/customers/{}/store-credit", text(&me["id"]));
        let credit = json!({"amount": eur("8.00"), "reason": "sorry"});
        let credit = text(&app.ops("POST", &path, Some(&credit)).await.expect(200)["id"]);
        let mine =
            async || app.send("GET", "/v1/store/me/store-credit", &headers, None).await.expect(200)["items"].clone();
        assert_eq!(mine().await, json!([eur("8.00")]));
        app.ops("PATCH", &format!("/stored-values/{credit}"), Some(&blocked)).await.expect(200);
        assert_eq!(mine().await, json!([eur("0.00")]));
    });
}

#[test]
fn store_credit_is_its_customers_and_nobody_elses() {
    on_both(|app| async move {
        let shop = open(&app, &[("MUG", "10.00", 50)]).await;
        let bearer = |subject: &str| format!("Bearer {}", app.token(Audience::Customer, subject, &[]));
        let (ada, eve) = (bearer("ada"), bearer("eve"));
        let send = async |who: &str, method: &str, path: &str, body: Option<&Value>| {
            let headers = [("Channel-Key", shop.key.as_str()), ("Authorization", who)];
            app.send(method, &format!("/v1/store{path}"), &headers, body).await
        };
        let me = text(&send(&ada, "GET", "/me", None).await.expect(200)["id"]);
        let path = format!("/customers/{me}/store-credit");
        let credit = json!({"amount": eur("8.00"), "reason": "for the delay"});
        let given = join_all((0..4).map(|_| app.ops("POST", &path, Some(&credit)))).await;
        let id = text(&given[0].body["id"]);
        assert!(given.iter().all(|answer| answer.status == 200 && answer.body["id"] == *id), "{given:?}");
        assert_eq!(worth(&app, &id).await, pair("32.00", "0.00"));
        assert_eq!(send(&ada, "GET", "/me/store-credit", None).await.expect(200)["items"], json!([eur("32.00")]));
        assert_eq!(send(&eve, "GET", "/me/store-credit", None).await.expect(200)["items"], json!([]));
        // A guest has none.
        let guests = shop.cart(&[("MUG", 1)]).await;
        let wish = json!({"store_credit": true});
        let path = format!("/carts/{}", guests.id);
        shop.store("PATCH", &path, Some(&guests.token), Some(&wish)).await.problem(422, "gift_card_refused");
        let order = async |who: &str, lines: i64| {
            let body = json!({
                "lines": [{"sku": "MUG", "quantity": lines}], "email": "ada@example.org", "shipping_method": "standard",
                "shipping_address": address(),
            });
            let made = send(who, "POST", "/carts", Some(&body)).await.expect(201);
            let path = format!("/carts/{}", text(&made["id"]));
            let seen = send(who, "PATCH", &path, Some(&wish)).await.expect(200);
            let pay = json!({"payment": {"method": "sandbox"}});
            (seen, send(who, "POST", &format!("{path}/complete"), Some(&pay)).await.expect(201))
        };
        let (seen, _) = order(&ada, 2).await;
        assert_eq!((&seen["due"], &seen["store_credit"]), (&eur("0.00"), &json!(true)));
        assert_eq!(worth(&app, &id).await, pair("32.00", "24.90"));
        let (seen, placed) = order(&ada, 1).await;
        assert_eq!(seen["due"], eur("7.80"));
        assert_eq!(placed["order"]["payments"][0]["provider"], "store_credit");
        let (seen, _) = order(&eve, 1).await;
        assert_eq!(seen["due"], eur("14.90"));
        // The list of what a customer has, and only theirs.
        let list = app.ops("GET", &format!("/stored-values?customer_id={me}"), None).await.expect(200);
        assert_eq!((list["items"].as_array().unwrap().len(), &list["items"][0]["kind"]), (1, &json!("store_credit")));
    });
}

#[test]
fn an_operation_on_a_card_is_tried_again_and_not_confirmed_by_hand() {
    on_both_idle(|app| async move {
        let shop = open(&app, &[("MUG", "10.00", 9)]).await;
        let (id, code) = card(&app, "50.00").await;
        let cart = shop.cart(&[("MUG", 1)]).await;
        put_on(&shop, &cart, &code).await.expect(200);
        let order = complete(&shop, &cart, json!({})).await.expect(201)["order"].clone();
        let path = format!("/orders/{}", text(&order["id"]));
        let found = app.ops("GET", &format!("{path}/fulfilment"), None).await.expect(200);
        let parcel = format!("/fulfilment-orders/{}/ship", text(&found["fulfilment_orders"][0]["id"]));
        app.ops("POST", &parcel, Some(&json!({}))).await.expect(201);
        // Somebody has given the job up.
        for gone in [
            "UPDATE payment_operations SET state = 'failed', error = 'given up'",
            "UPDATE payments SET capture_pending = 0",
            "DELETE FROM jobs WHERE kind = 'payment.capture'",
        ] {
            app.state.db.write(move |tx| sql(gone).execute(tx)).await.unwrap();
        }
        let payments = app.ops("GET", &format!("{path}/payments"), None).await.expect(200);
        let failed = text(&payments["payments"][0]["operations"][0]["id"]);
        let by_hand = json!({"reference": "by hand"});
        let confirm = format!("/payment-operations/{failed}/confirm");
        app.ops("POST", &confirm, Some(&by_hand)).await.problem(409, "state_conflict");
        assert_eq!(worth(&app, &id).await, pair("50.00", "14.90"));
        app.ops("POST", &format!("{path}/settle"), None).await;
        assert_eq!(app.count("SELECT count(*) FROM jobs WHERE kind = 'payment.capture'").await, 1);
        app.leaves_work();
    });
}

#[test]
fn that_a_customers_credit_pays_is_their_word_and_ends_with_them() {
    on_both(|app| async move {
        let shop = open(&app, &[("MUG", "10.00", 9)]).await;
        let customer = async |name: &str| {
            let made = app.ops("POST", "/customers", Some(&json!({ "name": name }))).await.expect(201);
            let path = format!("/customers/{}/store-credit", text(&made["id"]));
            let credit = json!({"amount": eur("9.00"), "reason": "sorry"});
            app.ops("POST", &path, Some(&credit)).await.expect(200);
            made["id"].clone()
        };
        let (ada, bob) = (customer("Ada").await, customer("Bob").await);
        let new = json!({"channel_id": shop.channel, "customer_id": ada, "lines": [{"sku": "MUG", "quantity": 1}]});
        let cart = app.ops("POST", "/carts", Some(&new)).await.expect(201);
        let path = format!("/carts/{}", text(&cart["id"]));
        let wish = json!({"store_credit": true});
        let limited = app.token(Audience::Staff, "eve", &[Scope::OrdersWrite, Scope::OrdersRead, Scope::CustomersRead]);
        let bearer = format!("Bearer {limited}");
        let headers = [("Authorization", bearer.as_str())];
        app.send("PATCH", &format!("/v1/ops{path}"), &headers, Some(&wish)).await.problem(403, "scope_missing");
        assert_eq!(app.ops("PATCH", &path, Some(&wish)).await.expect(200)["due"], eur("1.00"));
        for other in [&bob, &Value::Null, &ada] {
            let seen = app.ops("PATCH", &path, Some(&json!({ "customer_id": other }))).await.expect(200);
            assert_eq!((&seen["due"], seen.get("store_credit")), (&eur("10.00"), None), "{other}");
        }
    });
}
