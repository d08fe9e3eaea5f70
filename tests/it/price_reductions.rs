//! A lower price of what the customer has been given: what was sold and its tax are less, a credit note tells of it, and what was paid above
//! goes back; never more than the price is, however many lower it or send goods back at once.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    invoices::{by_hand, cents, have, invoiced, of_order, ship, text, whole},
    support::{Answer, App, Shop, eventually, on_both},
};

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

async fn lower(app: &App, order: &Value, body: Value) -> Answer {
    let mut body = body;
    body["kind"] = json!("price_reduction");
    body["reason"] = json!("a scratch");
    app.ops("POST", &format!("/orders/{}/refunds", text(&order["id"])), Some(&body)).await
}

async fn take_back(app: &App, order: &Value, line_no: i64, quantity: i64) -> Answer {
    let body = json!({"order": order["id"], "lines": [{"line_no": line_no, "quantity": quantity}], "refund": true});
    app.ops("POST", "/returns", Some(&body)).await
}

async fn settled(app: &App) {
    let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
    eventually("the money has moved", async || app.count(pending).await == 0).await;
}

async fn read(app: &App, order: &Value) -> Value {
    app.ops("GET", &format!("/orders/{}", text(&order["id"])), None).await.expect(200)
}

/// The balance of an account of an order's ledger, in cents.
async fn booked(app: &App, order: &Value, account: &'static str) -> i64 {
    let id: kontor::kernel::ids::OrderId = text(&order["id"]).parse().unwrap();
    let balance = app.read(move |tx| kontor::payments::ledger::balance(tx, id)).await;
    balance.into_iter().find(|(name, _)| name.to_string() == account).map_or(0, |(_, sum)| sum)
}

/// Invoices less credit notes, in cents: total and tax.
fn told(documents: &[Value]) -> (i64, i64) {
    let sign = |one: &Value| if one["kind"] == "invoice" { 1 } else { -1 };
    let sum = |field: &str| documents.iter().map(|one| sign(one) * cents(&one[field])).sum();
    (sum("total"), sum("tax"))
}

/// Two shirts and two mugs for 79.90 that have left and are paid, invoiced whole.
async fn given(shop: &Shop) -> Value {
    invoiced(shop, "at_order").await;
    let order = shop.order(&[("TEE", 2), ("MUG", 2)]).await;
    ship(&shop.app, &order, None).await;
    settled(&shop.app).await;
    have(&shop.app, &order, 1).await;
    order
}

const GOODS: &[(&str, &str, i64)] = &[("TEE", "12.50", 500), ("MUG", "25.00", 500)];

#[test]
fn what_was_sold_and_its_tax_are_less_and_a_credit_note_tells_of_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, GOODS).await;
        let order = given(&shop).await;
        let (revenue, tax) = (booked(&app, &order, "revenue").await, booked(&app, &order, "tax").await);
        let seen = lower(&app, &order, json!({"lines": [{"line_no": 2, "amount": eur("10.00")}]})).await.expect(202);
        assert_eq!((&seen["lines"][1]["refunded"], seen["lines"][1].get("goodwill")), (&eur("10.00"), None));
        settled(&app).await;
        let issued = have(&app, &order, 2).await;
        let credit = whole(&app, &issued[1]).await;
        assert_eq!((&credit["kind"], &credit["total"]), (&json!("credit_note"), &eur("10.00")));
        assert_eq!((&credit["lines"][0]["line_no"], &credit["lines"][0]["quantity"]), (&json!(2), &json!(2)));
        assert_eq!((&credit["reason"], &credit["refers_to"][0]["number"]), (&json!("a scratch"), &issued[0]["number"]));
        // 19 % are in it.
        assert_eq!(cents(&credit["tax"]), 160);
        assert_eq!(booked(&app, &order, "revenue").await - revenue, 840);
        assert_eq!(booked(&app, &order, "tax").await - tax, 160);
        assert_eq!((booked(&app, &order, "write_off").await, booked(&app, &order, "receivable").await), (0, 0));
        // All that the customer has bears what names no line, by what is left of it: 25.00 and 40.00.
        lower(&app, &order, json!({"amount": eur("13.00")})).await.expect(202);
        settled(&app).await;
        let lines = read(&app, &order).await["lines"].clone();
        assert_eq!((&lines[0]["refunded"], &lines[1]["refunded"]), (&eur("5.00"), &eur("18.00")));
        let refunds = app.ops("GET", &format!("/orders/{}/refunds", text(&order["id"])), None).await.expect(200);
        let last = &refunds["refunds"][1];
        assert_eq!((&last["kind"], &last["lines"][0]["pieces"]), (&json!("price_reduction"), &json!(2)));
        // What comes back later takes back what is left of the price, and no more.
        let first = take_back(&app, &order, 2, 1).await.expect(201);
        let second = take_back(&app, &order, 2, 1).await.expect(201);
        assert_eq!((&first["amount"], &second["amount"]), (&eur("25.00"), &eur("7.00")));
        settled(&app).await;
        let documents = have(&app, &order, 5).await;
        let sold = (-booked(&app, &order, "revenue").await, -booked(&app, &order, "tax").await);
        assert_eq!(told(&documents), (sold.0 + sold.1, sold.1));
        assert_eq!(read(&app, &order).await["payments"][0]["refunded"], eur("55.00"));
        // Nothing is invoiced a second time for it.
        let path = format!("/orders/{}/invoices", text(&order["id"]));
        app.ops("POST", &path, Some(&json!({"kind": "invoice"}))).await.problem(409, "state_conflict");
    });
}

#[test]
fn together_prices_and_returns_take_back_no_more_than_was_sold() {
    on_both(|app| async move {
        let shop = Shop::open(&app, GOODS).await;
        let order = given(&shop).await;
        let part = || lower(&app, &order, json!({"lines": [{"line_no": 2, "amount": eur("7.00")}]}));
        let all = join_all((0..9).map(|_| part())).await;
        assert_eq!(all.iter().filter(|one| one.status == 202).count(), 7);
        assert!(all.iter().all(|one| one.status == 202 || one.body["code"] == "refund_exceeded"), "{all:?}");
        // The shirts come back while somebody lowers their price: the last one gets what is left.
        let lowered = join_all((0..4).map(|_| lower(&app, &order, json!({"amount": eur("5.00")}))));
        let back = join_all((0..2).map(|_| take_back(&app, &order, 1, 1)));
        let (_, back) = futures::future::join(lowered, back).await;
        assert!(back.iter().all(|one| one.status == 201), "{back:?}");
        settled(&app).await;
        let now = read(&app, &order).await;
        assert_eq!(now["lines"][0]["refunded"], eur("25.00"));
        assert!(cents(&now["lines"][1]["refunded"]) <= 5_000);
        assert_eq!(cents(&now["payments"][0]["refunded"]), 2_500 + cents(&now["lines"][1]["refunded"]));
        let sold = (-booked(&app, &order, "revenue").await, -booked(&app, &order, "tax").await);
        eventually("all of it is credited", || async {
            told(&of_order(&app, &order).await) == (sold.0 + sold.1, sold.1)
        })
        .await;
    });
}

#[test]
fn what_is_not_paid_yet_is_not_asked_for_any_more() {
    on_both(|app| async move {
        let shop = Shop::open(&app, GOODS).await;
        invoiced(&shop, "at_order").await;
        let order = by_hand(&shop, &[("TEE", 2), ("MUG", 2)]).await;
        have(&app, &order, 1).await;
        ship(&app, &order, None).await;
        lower(&app, &order, json!({"lines": [{"line_no": 2, "quantity": 1}]})).await.expect(202);
        let own = format!("/orders/{}/payments", text(&order["id"]));
        let payments = app.ops("GET", &own, None).await.expect(200);
        assert_eq!((&payments["owed"], &payments["payments"][0]["refunded"]), (&eur("54.90"), &eur("0.00")));
        let paid = app.ops("POST", &own, Some(&json!({"reference": "BANK-1"}))).await.expect(200);
        assert_eq!((&paid["payment_state"], &paid["payments"][0]["captured"]), (&json!("captured"), &eur("54.90")));
        let issued = have(&app, &order, 2).await;
        assert_eq!(cents(&issued[1]["total"]), 2_500);
        // From here on it is paid, and goes back; onto a card, too.
        let onto = json!({"lines": [{"line_no": 2, "amount": eur("4.00")}], "to": "gift_card"});
        let seen = lower(&app, &order, onto).await.expect(202);
        let found = app.ops("POST", "/gift-cards/lookup", Some(&json!({"code": seen["gift_card"]["code"]}))).await;
        assert_eq!(found.expect(200)["balance"], eur("4.00"));
        assert_eq!(booked(&app, &order, "receivable").await, 0);
        have(&app, &order, 3).await;
    });
}

#[test]
fn only_the_price_of_what_the_customer_has_is_lowered() {
    on_both(|app| async move {
        let shop = Shop::open(&app, GOODS).await;
        invoiced(&shop, "at_shipment").await;
        let order = shop.order(&[("TEE", 2), ("MUG", 2)]).await;
        let refused = lower(&app, &order, json!({"lines": [{"line_no": 2, "amount": eur("1.00")}]})).await;
        refused.problem(409, "refund_exceeded");
        ship(&app, &order, Some(json!([{"line_no": 2, "quantity": 1}]))).await;
        settled(&app).await;
        have(&app, &order, 1).await;
        lower(&app, &order, json!({"shipping": eur("1.00")})).await.problem(422, "invalid_value");
        lower(&app, &order, json!({"amount": eur("25.01")})).await.problem(409, "refund_exceeded");
        lower(&app, &order, json!({})).await.problem(422, "missing_field");
        lower(&app, &order, json!({"amount": eur("25.00")})).await.expect(202);
        settled(&app).await;
        let issued = have(&app, &order, 2).await;
        assert_eq!(cents(&issued[1]["total"]), 2_500);
        // The rest leaves, and is invoiced at its price.
        ship(&app, &order, None).await;
        settled(&app).await;
        let documents = have(&app, &order, 3).await;
        assert_eq!(cents(&documents[2]["total"]), 2_500 + 2_500);
        let sold = (-booked(&app, &order, "revenue").await, -booked(&app, &order, "tax").await);
        assert_eq!(told(&documents), (sold.0 + sold.1, sold.1));
    });
}
