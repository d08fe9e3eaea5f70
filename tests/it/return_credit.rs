//! Returns that are settled as store credit, exchanged for other orders, and labels that carriers give for the way back.

use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both, shop::address};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

async fn settled(app: &App) {
    let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
    eventually("the money has moved", async || app.count(pending).await == 0).await;
}

/// An order of a customer for two mugs; shipped where that is said.
async fn order(shop: &Shop, customer: &Value, ships: bool) -> String {
    let cart = json!({"channel_id": shop.channel, "customer_id": customer["id"], "email": "joan@example.org",
        "lines": [{"sku": "MUG", "quantity": 2}], "shipping_method": "standard", "shipping_address": address()});
    let cart = shop.app.ops("POST", "/carts", Some(&cart)).await.expect(201);
    let pay = json!({"payment": {"method": "sandbox"}});
    let path = format!("/carts/{}/complete", text(&cart["id"]));
    let order = text(&shop.app.ops("POST", &path, Some(&pay)).await.expect(201)["order"]["id"]);
    if ships {
        let work = shop.app.ops("GET", &format!("/orders/{order}/fulfilment"), None).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
        shop.app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
        settled(&shop.app).await;
    }
    order
}

async fn ask(app: &App, order: &str, wish: &str) -> String {
    let lines = json!([{"line_no": 1, "quantity": 1, "reason": "too_large"}]);
    let ask = json!({"lines": lines, "wish": wish, "approve": true});
    let asked = app.ops("POST", &format!("/orders/{order}/returns"), Some(&ask)).await.expect(201);
    format!("/return-requests/{}", text(&asked["id"]))
}

#[test]
fn what_is_sent_back_becomes_store_credit_and_is_exchanged_for_another_order() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50)]).await;
        let new = json!({"name": "Joan", "email": "joan@example.org"});
        let customer = app.ops("POST", "/customers", Some(&new)).await.expect(201);
        let first = order(&shop, &customer, true).await;
        let request = ask(&app, &first, "exchange").await;
        let done =
            app.ops("POST", &format!("{request}/settle"), Some(&json!({"without_goods": true}))).await.expect(200);
        assert_eq!((&done["return"]["amount"], &done["return"]["store_credit"]), (&eur("25.00"), &eur("25.00")));
        let credits = "SELECT CAST(sum(balance) AS BIGINT) FROM stored_values WHERE kind = 'store_credit'";
        assert_eq!(app.count(credits).await, 2_500);
        // No money goes back beside it, now or when the providers are asked again.
        app.ops("POST", &format!("/orders/{first}/settle"), None).await.expect(202);
        settled(&app).await;
        let seen = app.ops("GET", &format!("/orders/{first}"), None).await.expect(200);
        assert_eq!(seen["payments"][0]["refunded"], eur("25.00"), "whatever way it has gone back");
        let by_provider = "SELECT CAST(coalesce(sum(refunded), 0) AS BIGINT) FROM sandbox_payments";
        assert_eq!(app.count(by_provider).await, 0);
        // Another's order is no exchange, and one is linked once.
        let link =
            async |order: &str| app.ops("POST", &format!("{request}/exchange"), Some(&json!({ "order": order }))).await;
        let guest = text(&shop.order(&[("MUG", 1)]).await["id"]);
        link(&guest).await.problem(409, "state_conflict");
        link(&first).await.problem(409, "state_conflict");
        let second = order(&shop, &customer, false).await;
        assert_eq!(link(&second).await.expect(200)["settlement"]["exchange_order_id"], json!(second));
        link(&second).await.problem(409, "state_conflict");
        // The next comes back as money.
        let request = ask(&app, &first, "store_credit").await;
        let how = json!({"without_goods": true, "wish": "refund"});
        app.ops("POST", &format!("{request}/settle"), Some(&how)).await.expect(200);
        settled(&app).await;
        let seen = app.ops("GET", &format!("/orders/{first}"), None).await.expect(200);
        assert_eq!(seen["payments"][0]["refunded"], eur("50.00"));
        assert_eq!(app.count(by_provider).await, 2_500);
    });
}

#[test]
fn a_guest_gets_no_store_credit() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50)]).await;
        let order = text(&shop.order(&[("MUG", 1)]).await["id"]);
        let work = app.ops("GET", &format!("/orders/{order}/fulfilment"), None).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
        app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
        settled(&app).await;
        // Neither may it be asked for ...
        let wish = json!({"lines": [{"line_no": 1, "quantity": 1, "reason": "too_large"}], "wish": "store_credit"});
        let path = format!("/orders/{order}/returns");
        let refused = app.ops("POST", &path, Some(&wish)).await.problem(422, "invalid_value");
        assert_eq!(refused["pointer"], "/wish");
        // ... nor decided on for them.
        let settle = format!("{}/settle", ask(&app, &order, "refund").await);
        let how = json!({"without_goods": true, "wish": "store_credit"});
        let refused = app.ops("POST", &settle, Some(&how)).await.problem(409, "state_conflict");
        assert_eq!(refused["pointer"], "/wish");
        app.ops("POST", &settle, Some(&json!({"without_goods": true}))).await.expect(200);
    });
}

#[test]
fn a_carrier_gives_a_label_for_the_way_back() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50)]).await;
        let account = json!({"code": "dhl", "adapter": "manual", "settings": {"carrier": "DHL"}});
        app.ops("POST", "/carrier-accounts", Some(&account)).await.expect(201);
        let new = json!({"name": "Joan", "email": "joan@example.org"});
        let customer = app.ops("POST", "/customers", Some(&new)).await.expect(201);
        let first = order(&shop, &customer, true).await;
        let request = ask(&app, &first, "refund").await;
        let label = format!("{request}/label");
        app.ops("POST", &label, Some(&json!({"account": "ups"}))).await.problem(404, "not_found");
        app.ops("POST", &label, Some(&json!({"account": "dhl"}))).await.expect(202);
        eventually("the label is there", async || {
            app.ops("GET", &request, None).await.expect(200)["state"] == "in_transit"
        })
        .await;
        let seen = app.ops("GET", &request, None).await.expect(200);
        assert_eq!((&seen["parcel"]["carrier"], &seen["parcel"]["by_shop"]), (&json!("DHL"), &json!(true)));
        app.ops("POST", &label, Some(&json!({"account": "dhl"}))).await.problem(409, "state_conflict");
    });
}

#[test]
fn a_label_that_was_not_to_be_had_keeps_no_next_try_waiting() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 50)]).await;
        let account = json!({"code": "dhl", "adapter": "manual", "settings": {"carrier": "DHL"}});
        app.ops("POST", "/carrier-accounts", Some(&account)).await.expect(201);
        let new = json!({"name": "Joan", "email": "joan@example.org"});
        let customer = app.ops("POST", "/customers", Some(&new)).await.expect(201);
        let first = order(&shop, &customer, true).await;
        let request = ask(&app, &first, "refund").await;
        // As if the carrier had refused until the job was dead.
        let (now, id) = (app.now(), request.rsplit('/').next().unwrap().to_owned());
        let payload = json!({"request": id, "account": "dhl"});
        let dead = kontor::jobs::NewJob {
            run_at: now.plus_seconds(86_400),
            ..kontor::jobs::NewJob::now("returns.label", now, payload)
        };
        let dead = dead.in_order(format!("return-label:{id}:dhl")).in_lane("carriers");
        app.state.db.write(move |tx| kontor::jobs::enqueue(tx, now, vec![dead.clone()])).await.unwrap();
        let bury = "UPDATE jobs SET state = 'dead', last_error = 'no' WHERE kind = 'returns.label'";
        app.state.db.write(move |tx| kontor::db::sql(bury).execute(tx)).await.unwrap();
        app.ops("POST", &format!("{request}/label"), Some(&json!({"account": "dhl"}))).await.expect(202);
        eventually("the label is there", async || {
            app.ops("GET", &request, None).await.expect(200)["state"] == "in_transit"
        })
        .await;
        assert_eq!(app.count("SELECT count(*) FROM jobs WHERE state = 'dead'").await, 0);
    });
}
