//! Money that goes back otherwise than it came: onto gift cards and store credit, by line, for shipping; never more than was captured over
//! all targets together.

use futures::future::join_all;
use kontor::http::auth::Audience;
use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both, shop::address};

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn settled(app: &App) {
    let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
    eventually("the money has moved", async || app.count(pending).await == 0).await;
}

/// A customer's order of two mugs for 54.90 that has left and is paid.
async fn paid(shop: &Shop) -> (String, String) {
    let app = &shop.app;
    let ada = format!("Bearer {}", app.token(Audience::Customer, "ada", &[]));
    let headers = [("Channel-Key", shop.key.as_str()), ("Authorization", ada.as_str())];
    let send = async |method: &str, path: &str, body: Value| {
        app.send(method, &format!("/v1/store{path}"), &headers, Some(&body)).await
    };
    let me = send("PATCH", "/me", json!({"name": "Ada"})).await.expect(200);
    let body = json!({"lines": [{"sku": "MUG", "quantity": 2}], "email": "ada@example.org",
        "shipping_method": "standard", "shipping_address": address()});
    let cart = send("POST", "/carts", body).await.expect(201);
    let pay = json!({"payment": {"method": "sandbox"}});
    let path = format!("/carts/{}/complete", text(&cart["id"]));
    let order = text(&send("POST", &path, pay).await.expect(201)["order"]["id"]);
    let work = app.ops("GET", &format!("/orders/{order}/fulfilment"), None).await.expect(200);
    let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
    app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
    settled(app).await;
    (order, text(&me["id"]))
}

async fn refund(app: &App, order: &str, body: Value) -> crate::support::Answer {
    let mut body = body;
    body["reason"] = json!("late");
    app.ops("POST", &format!("/orders/{order}/refunds"), Some(&body)).await
}

async fn credit(app: &App, customer: &str) -> String {
    let listed = app.ops("GET", &format!("/stored-values?customer_id={customer}&kind=store_credit"), None).await;
    text(&listed.expect(200)["items"][0]["balance"]["amount"])
}

#[test]
fn money_goes_onto_credit_and_cards_and_back_all_together_never_above_what_was_captured() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 500)]).await;
        let (order, customer) = paid(&shop).await;
        let seen = refund(&app, &order, json!({"amount": eur("10.00"), "to": "store_credit"})).await.expect(202);
        assert_eq!(seen["payments"][0]["refunded"], eur("10.00"));
        assert!(seen["gift_card"].is_null(), "{seen}");
        assert_eq!(credit(&app, &customer).await, "10.00");
        // A new card, whose code is told once.
        let seen = refund(&app, &order, json!({"amount": eur("5.00"), "to": "gift_card"})).await.expect(202);
        let (code, card) = (text(&seen["gift_card"]["code"]), text(&seen["gift_card"]["id"]));
        let found = app.ops("POST", "/gift-cards/lookup", Some(&json!({"code": code}))).await.expect(200);
        assert_eq!((&found["id"], &found["balance"]), (&json!(card), &eur("5.00")));
        // The same card again; one that is another's is not there.
        let again = json!({"amount": eur("1.00"), "to": "gift_card", "gift_card_id": card});
        let seen = refund(&app, &order, again).await.expect(202);
        assert!(seen["gift_card"].is_null());
        let (_, other) = (0, app.ops("POST", "/customers", Some(&json!({"email": "eve@example.org"}))).await);
        if other.status == 201 {
            let eves = json!({"amount": eur("1.00"), "customer_id": other.body["id"]});
            let eves = app.ops("POST", "/gift-cards", Some(&eves)).await.expect(201);
            let body = json!({"amount": eur("1.00"), "to": "gift_card", "gift_card_id": eves["id"]});
            refund(&app, &order, body).await.problem(404, "not_found");
        }
        refund(&app, &order, json!({"amount": eur("1.00"), "gift_card_id": card})).await.problem(422, "invalid_value");
        refund(&app, &order, json!({})).await.problem(422, "missing_field");
        // 38.90 are left: over all targets.
        refund(&app, &order, json!({"amount": eur("38.91"), "to": "store_credit"}))
            .await
            .problem(409, "refund_exceeded");
        refund(&app, &order, json!({"amount": eur("38.91")})).await.problem(409, "refund_exceeded");
        let all = join_all((0..8).map(|turn| {
            let to = ["source", "gift_card", "store_credit"][turn % 3];
            refund(&app, &order, json!({"amount": eur("10.00"), "to": to}))
        }))
        .await;
        assert_eq!(all.iter().filter(|one| one.status == 202).count(), 3);
        settled(&app).await;
        let found = app.ops("GET", &format!("/orders/{order}"), None).await.expect(200);
        assert_eq!(
            (&found["payments"][0]["refunded"], &found["payments"][0]["refundable"]),
            (&eur("46.00"), &eur("8.90"))
        );
        let told = app.ops("GET", &format!("/orders/{order}/refunds"), None).await.expect(200);
        assert_eq!(told["refunds"].as_array().unwrap().len(), 6);
        let operations = app.ops("GET", &format!("/orders/{order}/payments"), None).await.expect(200);
        let onto = operations["payments"][0]["operations"].as_array().unwrap().iter();
        assert!(onto.filter(|one| one["to"] == "store_credit").count() >= 1, "{operations}");
    });
}

async fn ledger(app: &App, order: &str) -> Vec<(String, i64)> {
    let id: kontor::kernel::ids::OrderId = order.parse().unwrap();
    let balance = app.read(move |tx| kontor::payments::ledger::balance(tx, id)).await;
    balance.into_iter().map(|(account, sum)| (account.to_string(), sum)).collect()
}

fn of(ledger: &[(String, i64)], account: &str) -> i64 {
    ledger.iter().find(|(name, _)| name == account).map_or(0, |(_, sum)| *sum)
}

#[test]
fn what_was_given_away_for_a_line_leaves_the_price_of_its_other_pieces() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 500)]).await;
        let (order, _) = paid(&shop).await;
        let part = json!({"lines": [{"line_no": 1, "amount": eur("5.00")}]});
        refund(&app, &order, part).await.expect(202);
        settled(&app).await;
        let found = app.ops("GET", &format!("/orders/{order}"), None).await.expect(200);
        assert_eq!(found["lines"][0]["goodwill"], eur("5.00"));
        // The first piece comes back whole, with all of its tax; of the second so much less money goes back, and no less tax.
        for (number, given, given_away) in [(1, "30.00", 500), (2, "50.00", 0)] {
            let back =
                json!({"order": order, "lines": [{"line_no": 1, "quantity": 1}], "refund": true, "restock": true});
            let returned = app.ops("POST", "/returns", Some(&back)).await.expect(201);
            assert_eq!(returned["amount"], eur("25.00"), "{number}");
            settled(&app).await;
            let found = app.ops("GET", &format!("/orders/{order}"), None).await.expect(200);
            assert_eq!(found["payments"][0]["refunded"], eur(given));
            assert_eq!(of(&ledger(&app, &order).await, "write_off"), given_away);
        }
        let booked = ledger(&app, &order).await;
        assert_eq!((of(&booked, "revenue") + of(&booked, "tax"), of(&booked, "receivable")), (-490, 0));
        // Shipping alone is left, over all goodwills at once.
        let all = join_all((0..6).map(|_| refund(&app, &order, json!({"shipping": eur("2.00")})))).await;
        assert_eq!(all.iter().filter(|one| one.status == 202).count(), 2);
        settled(&app).await;
    });
}

#[test]
fn a_cancellation_gives_no_more_than_it_is_worth_onto_a_card() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 500)]).await;
        let cart = shop.cart(&[("MUG", 2)]).await;
        let pay = json!({"payment": {"method": "manual"}});
        let path = format!("/carts/{}/complete", cart.id);
        let order = text(&shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201)["order"]["id"]);
        let own = format!("/orders/{order}");
        app.ops("POST", &format!("{own}/payments"), Some(&json!({"reference": "BANK-1"}))).await.expect(200);
        // One more transfer is owed back already, and waits to be paid out by hand.
        let twice = json!({"reference": "BANK-2", "amount": eur("30.00")});
        app.ops("POST", &format!("{own}/payments"), Some(&twice)).await.expect(200);
        let body = json!({"reason": "one is enough", "lines": [{"line_no": 1, "quantity": 1}], "refund_to": {"to": "gift_card"}});
        let seen = app.ops("POST", &format!("{own}/cancel"), Some(&body)).await.expect(200);
        let code = json!({"code": seen["gift_card"]["code"]});
        let card = app.ops("POST", "/gift-cards/lookup", Some(&code)).await.expect(200);
        assert_eq!(card["balance"], eur("25.00"));
    });
}

#[test]
fn a_line_and_shipping_give_back_no_more_than_they_were() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 500)]).await;
        let (order, _) = paid(&shop).await;
        let line = |quantity: i64| json!({"lines": [{"line_no": 1, "quantity": quantity}]});
        let seen = refund(&app, &order, line(1)).await.expect(202);
        assert_eq!(seen["lines"][0]["refunded"], eur("25.00"));
        refund(&app, &order, line(3)).await.problem(409, "quantity_exceeded");
        refund(&app, &order, json!({"lines": [{"line_no": 9, "quantity": 1}]})).await.problem(422, "line_unknown");
        let both = json!({"lines": [{"line_no": 1, "quantity": 1, "amount": eur("1.00")}]});
        refund(&app, &order, both).await.problem(422, "invalid_value");
        let part =
            json!({"lines": [{"line_no": 1, "amount": eur("5.00")}], "shipping": eur("2.90"), "to": "store_credit"});
        refund(&app, &order, part).await.expect(202);
        refund(&app, &order, json!({"shipping": eur("2.01")})).await.problem(409, "refund_exceeded");
        refund(&app, &order, json!({"shipping": eur("2.00")})).await.expect(202);
        let over = json!({"lines": [{"line_no": 1, "amount": eur("20.01")}]});
        refund(&app, &order, over).await.problem(409, "refund_exceeded");
        settled(&app).await;
        // What comes back then is not sold any more, and gives back what is left of its price.
        let all = json!({"order": order, "lines": [{"line_no": 1, "quantity": 2}], "refund": true, "restock": true,
            "refund_to": {"to": "store_credit"}});
        let returned = app.ops("POST", "/returns", Some(&all)).await.expect(201);
        assert_eq!((&returned["amount"], &returned["state"]), (&eur("50.00"), &json!("refunded")));
        settled(&app).await;
        let found = app.ops("GET", &format!("/orders/{order}"), None).await.expect(200);
        assert_eq!(found["payments"][0]["refunded"], eur("54.90"));
        assert_eq!((&found["lines"][0]["refunded"], found["lines"][0].get("goodwill")), (&eur("50.00"), None));
        assert_eq!(found["shipping_goodwill"], eur("4.90"));
        // Only shipping is sold still, with its tax, and given away.
        let booked = ledger(&app, &order).await;
        assert_eq!((of(&booked, "revenue") + of(&booked, "tax"), of(&booked, "write_off")), (-490, 490));
        assert_eq!(of(&booked, "receivable"), 0);
    });
}

#[test]
fn a_cancelled_prepaid_order_goes_onto_a_new_gift_card() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 500)]).await;
        let cart = shop.cart(&[("MUG", 2)]).await;
        let pay = json!({"payment": {"method": "manual"}});
        let path = format!("/carts/{}/complete", cart.id);
        let order = shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201)["order"].clone();
        let own = format!("/orders/{}", text(&order["id"]));
        app.ops("POST", &format!("{own}/payments"), Some(&json!({"reference": "BANK-1"}))).await.expect(200);
        let body = json!({"reason": "changed their mind", "refund_to": {"to": "gift_card"}});
        let seen = app.ops("POST", &format!("{own}/cancel"), Some(&body)).await.expect(200);
        assert_eq!((&seen["state"], &seen["payment_state"]), (&json!("cancelled"), &json!("refunded")));
        let code = json!({"code": seen["gift_card"]["code"]});
        let card = app.ops("POST", "/gift-cards/lookup", Some(&code)).await.expect(200);
        assert_eq!(card["balance"], eur("54.90"));
        // A guest has no store credit.
        let cart = shop.cart(&[("MUG", 1)]).await;
        let order = shop
            .store("POST", &format!("/carts/{}/complete", cart.id), Some(&cart.token), Some(&pay))
            .await
            .expect(201)["order"]
            .clone();
        let own = format!("/orders/{}", text(&order["id"]));
        app.ops("POST", &format!("{own}/payments"), Some(&json!({"reference": "BANK-2"}))).await.expect(200);
        let body = json!({"reason": "changed their mind", "refund_to": {"to": "store_credit"}});
        app.ops("POST", &format!("{own}/cancel"), Some(&body)).await.problem(422, "invalid_value");
    });
}
