//! What providers promise stands in the ledgers of orders, as it is given, taken, shared and let go; and nowhere in the journal.

use kontor::payments::promises;
use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn complete(shop: &Shop, lines: &[(&str, i64)], method: &str) -> String {
    let cart = shop.cart(lines).await;
    let path = format!("/carts/{}/complete", cart.id);
    let pay = json!({"payment": {"method": method}});
    text(&shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201)["order"]["id"])
}

async fn ledger(app: &App, order: &str) -> Value {
    app.ops("GET", &format!("/orders/{order}/ledger"), None).await.expect(200)
}

/// What an account of an order holds.
fn held(ledger: &Value, account: &str) -> String {
    let found = ledger["balances"].as_array().unwrap().iter().find(|one| one["account"] == account);
    found.map_or("0.00".to_owned(), |one| text(&one["amount"]["amount"]))
}

/// Waits until so much is booked as promised to an order.
async fn promised(app: &App, order: &str, amount: &str) {
    eventually(&format!("{amount} are booked as promised"), async || {
        app.clock.advance_seconds(5);
        held(&ledger(app, order).await, "authorised") == amount
    })
    .await;
    let seen = ledger(app, order).await;
    let other = if amount == "0.00" { amount.to_owned() } else { format!("-{amount}") };
    assert_eq!(held(&seen, "promised"), other);
}

async fn ship(app: &App, order: &str, quantity: i64) {
    let work = app.ops("GET", &format!("/orders/{order}/fulfilment"), None).await.expect(200);
    let open = work["fulfilment_orders"].as_array().unwrap().iter().find(|one| one["state"] != "closed").unwrap();
    let path = format!("/fulfilment-orders/{}/ship", text(&open["id"]));
    let body = json!({"lines": [{"line_no": 1, "quantity": quantity}]});
    app.ops("POST", &path, Some(&body)).await.expect(201);
}

#[test]
fn what_is_promised_is_booked_and_taken_back_as_it_is_taken_shared_and_let_go() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 500)]).await;
        // Three mugs and shipping.
        let order = complete(&shop, &[("MUG", 3)], "sandbox").await;
        promised(&app, &order, "34.90").await;
        // The first parcel takes its price with shipping.
        ship(&app, &order, 1).await;
        promised(&app, &order, "20.00").await;
        // One mug goes over to another order, with its share of the promise.
        let body = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "later"});
        let split = app.ops("POST", &format!("/orders/{order}/split"), Some(&body)).await.expect(201);
        let second = text(&split["split_into"]["id"]);
        promised(&app, &second, "10.00").await;
        promised(&app, &order, "10.00").await;
        // The one is cancelled, the other leaves.
        let why = json!({"reason": "not wanted"});
        app.ops("POST", &format!("/orders/{second}/cancel"), Some(&why)).await.expect(200);
        ship(&app, &order, 1).await;
        promised(&app, &second, "0.00").await;
        promised(&app, &order, "0.00").await;
        let seen = ledger(&app, &order).await;
        for one in seen["postings"].as_array().unwrap() {
            let beside = text(&one["posting"]).starts_with("promise:");
            assert_eq!(one["journal_position"].is_null(), beside, "{one}");
        }
        // Who pays by hand has promised nothing.
        let by_hand = complete(&shop, &[("MUG", 1)], "manual").await;
        let any = async || app.state.db.read(promises::any_unbooked).await.unwrap();
        assert!(!any().await);
        assert_eq!(held(&ledger(&app, &by_hand).await, "authorised"), "0.00");
        // Nothing of it is in the journal, and nothing is missing there.
        eventually("every posting has its place", async || {
            app.clock.advance_seconds(5);
            app.count("SELECT count(*) FROM ledger_entries WHERE journal_position IS NULL").await == 0
        })
        .await;
        let token = app.token(kontor::http::auth::Audience::Client, "books", &[kontor::kernel::Scope::FeedsRead]);
        let headers = [("Authorization", &*format!("Bearer {token}"))];
        let page = app.send("GET", "/v1/integration/journal?limit=200", &headers, None).await.expect(200);
        let lines = page["items"].as_array().unwrap().iter().flat_map(|one| one["lines"].as_array().unwrap().iter());
        let accounts: Vec<&Value> = lines.map(|line| &line["account"]).collect();
        assert!(!accounts.is_empty() && !accounts.contains(&&json!("authorised")), "{accounts:?}");
    });
}

#[test]
fn however_many_book_promises_at_once_each_is_booked_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 500)]).await;
        let mut orders = Vec::new();
        for _ in 0..6 {
            orders.push(complete(&shop, &[("MUG", 1)], "sandbox").await);
        }
        let now = app.now();
        let book = || app.state.db.write(move |tx| promises::book(tx, now, 2));
        while app.state.db.read(promises::any_unbooked).await.unwrap() {
            let all = futures::future::join_all((0..6).map(|_| book())).await;
            assert!(all.iter().all(Result::is_ok), "{all:?}");
        }
        for order in &orders {
            assert_eq!(held(&ledger(&app, order).await, "authorised"), "14.90");
        }
        assert_eq!(app.count("SELECT count(*) FROM ledger_entries WHERE account = 'authorised'").await, 6);
    });
}
