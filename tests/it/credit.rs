//! Companies that buy on account: never above their limit however many order at once, and free again once by what is paid, cancelled or
//! given back.

use futures::future::join_all;
use kontor::http::auth::Audience;
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, eventually, on_both, on_both_sites, shop::address};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

pub fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

/// A shop with a company and somebody who buys for it.
#[derive(Clone)]
pub struct Trade {
    pub shop: Shop,
    pub company: String,
    pub customer: String,
}

impl Trade {
    pub async fn open(app: &App, goods: &[(&str, &str, i64)]) -> Self {
        let shop = Shop::open(app, goods).await;
        shop.set(json!({"payment_methods": ["manual", "sandbox", "gift_card", "on_account"]})).await;
        let company = json!({"number": "D-1", "name": "Acme", "terms": {"net_days": 30}});
        let company = text(&app.ops("POST", "/companies", Some(&company)).await.expect(201)["id"]);
        let trade = Self { shop, company, customer: String::new() };
        let customer = trade.customer("ada").await;
        Self { customer, ..trade }
    }

    fn app(&self) -> &App {
        &self.shop.app
    }

    /// Somebody who buys for the company; their sign-in is of the same name.
    pub async fn customer(&self, name: &str) -> String {
        let new = json!({"name": name, "email": format!("{name}@example.org"), "company_id": self.company});
        text(&self.app().ops("POST", "/customers", Some(&new)).await.expect(201)["id"])
    }

    /// What somebody of the company is to it.
    pub async fn member(&self, customer: &str, body: Value) -> Value {
        let path = format!("/companies/{}/members/{customer}", self.company);
        self.app().ops("PUT", &path, Some(&body)).await.expect(200)
    }

    /// A request of somebody who has signed in.
    pub async fn as_(&self, name: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let mut claims = self.app().claims(Audience::Customer, name, "");
        (claims.email, claims.email_verified) = (Some(format!("{name}@example.org")), Some(true));
        let token = format!("Bearer {}", self.app().state.verifier.issue(claims).unwrap());
        let headers = [("Channel-Key", self.shop.key.as_str()), ("Authorization", token.as_str())];
        self.app().send(method, &format!("/v1/store{path}"), &headers, body).await
    }

    pub async fn limit(&self, amount: &str, above: &str) -> Value {
        let body = json!({"limit": eur(amount), "above": above});
        self.app().ops("PUT", &format!("/companies/{}/credit", self.company), Some(&body)).await.expect(200)
    }

    /// A cart of staff for the customer.
    pub async fn cart(&self, lines: &[(&str, i64)]) -> String {
        let lines: Vec<Value> = lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
        let body = json!({"channel_id": self.shop.channel, "customer_id": self.customer, "lines": lines,
            "email": "ada@example.org", "shipping_address": address(), "shipping_method": "standard"});
        text(&self.app().ops("POST", "/carts", Some(&body)).await.expect(201)["id"])
    }

    pub async fn complete(&self, cart: &str) -> Answer {
        let pay = json!({"payment": {"method": "on_account"}});
        self.app().ops("POST", &format!("/carts/{cart}/complete"), Some(&pay)).await
    }

    pub async fn order(&self, lines: &[(&str, i64)]) -> Value {
        let cart = self.cart(lines).await;
        self.complete(&cart).await.expect(201)["order"].clone()
    }

    pub async fn used(&self) -> String {
        let credit = self.app().ops("GET", &format!("/companies/{}/credit", self.company), None).await.expect(200);
        text(&credit["items"][0]["used"]["amount"])
    }

    async fn debts(&self, query: &str) -> Value {
        self.app().ops("GET", &format!("/company-debts{query}"), None).await.expect(200)["items"].clone()
    }

    /// Its ledger, oldest first.
    async fn entries(&self) -> Vec<(String, String)> {
        let path = format!("/companies/{}/credit-entries", self.company);
        let entries = self.app().ops("GET", &path, None).await.expect(200);
        let entry = |one: &Value| (text(&one["kind"]), text(&one["amount"]["amount"]));
        entries["items"].as_array().unwrap().iter().rev().map(entry).collect()
    }
}

fn entry(kind: &str, amount: &str) -> (String, String) {
    (kind.to_owned(), amount.to_owned())
}

/// A desk for 95.10 with 4.90 of shipping is 100.00.
#[test]
fn an_order_on_account_takes_credit_and_its_payment_frees_it_once() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50)]).await;
        let cart = trade.cart(&[("DESK", 1)]).await;
        let refused = trade.complete(&cart).await.problem(422, "payment_method_unavailable");
        assert_eq!(refused["pointer"], "/payment/method");
        let set = trade.limit("150.00", "decline").await;
        assert_eq!((&set["limit"], &set["used"], &set["available"]), (&eur("150.00"), &eur("0.00"), &eur("150.00")));
        let order = trade.complete(&cart).await.expect(201)["order"].clone();
        assert_eq!((&order["payment_method"], &order["payment_state"]), (&json!("on_account"), &json!("authorised")));
        assert_eq!(trade.used().await, "100.00");
        let debt = trade.debts("?open=true").await[0].clone();
        assert_eq!((&debt["open"], &debt["order_number"]), (&eur("100.00"), &order["number"]));
        assert_eq!((&debt["due_at"], &debt["overdue"]), (&json!("2026-04-01T09:00:00Z"), &json!(false)));
        // The next does not fit: nothing of it is kept, and the cart is open still.
        let second = trade.cart(&[("DESK", 1)]).await;
        let refused = trade.complete(&second).await.problem(409, "credit_exceeded");
        assert_eq!(refused["available"], eur("50.00"));
        let seen = app.ops("GET", &format!("/carts/{second}"), None).await.expect(200);
        assert_eq!(seen["state"], "open");
        // Money comes in parts; each is booked once.
        let path = format!("/orders/{}/payments", text(&order["id"]));
        let part = json!({"amount": eur("60.00"), "reference": "BANK-1"});
        app.ops("POST", &path, Some(&part)).await.expect(200);
        assert_eq!(trade.used().await, "40.00");
        app.ops("POST", &path, Some(&part)).await.problem(409, "duplicate");
        app.clock.advance_seconds(31 * 86_400);
        assert_eq!(trade.debts("?overdue=true").await[0]["open"], eur("40.00"));
        let rest = json!({"reference": "BANK-2"});
        let answers = join_all((0..4).map(|_| app.ops("POST", &path, Some(&rest)))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert_eq!(trade.used().await, "0.00");
        assert_eq!(trade.debts("?overdue=true").await, json!([]));
        let ledger = [("limit", "0.00"), ("order", "100.00"), ("payment", "-60.00"), ("payment", "-40.00")];
        assert_eq!(trade.entries().await, ledger.map(|(kind, amount)| entry(kind, amount)));
        // Carts are not kept so long: another one fits by now.
        let third = trade.cart(&[("DESK", 1)]).await;
        trade.complete(&third).await.expect(201);
        assert_eq!(trade.used().await, "100.00");
    });
}

#[test]
fn however_many_orders_come_at_once_the_limit_holds() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50)]).await;
        trade.limit("350.00", "decline").await;
        let mut carts = Vec::new();
        for _ in 0..10 {
            carts.push(trade.cart(&[("DESK", 1)]).await);
        }
        let answers = join_all(carts.iter().map(|cart| trade.complete(cart))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 3);
        for answer in answers.into_iter().filter(|answer| answer.status != 201) {
            answer.problem(409, "credit_exceeded");
        }
        assert_eq!(trade.used().await, "300.00");
        assert_eq!(app.count("SELECT count(*) FROM orders").await, 3);
        // One more fits as soon as one is cancelled, and only one.
        let order = text(&trade.debts("").await[0]["order_id"]);
        let cancel = json!({"reason": "not needed"});
        let path = format!("/orders/{order}/cancel");
        let (cancelled, _) = futures::join!(
            join_all((0..3).map(|_| app.ops("POST", &path, Some(&cancel)))),
            join_all(carts.iter().map(|cart| trade.complete(cart)))
        );
        assert_eq!(cancelled.iter().filter(|answer| answer.status == 200).count(), 1);
        join_all(carts.iter().map(|cart| trade.complete(cart))).await;
        assert_eq!(trade.used().await, "300.00");
        assert_eq!(app.count("SELECT count(*) FROM orders").await, 4);
    });
}

#[test]
fn what_is_cancelled_or_comes_back_is_not_owed() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "10.00", 50)]).await;
        trade.limit("100.00", "decline").await;
        let card = app.ops("POST", "/gift-cards", Some(&json!({"amount": eur("4.90")}))).await.expect(201);
        let cart = trade.cart(&[("DESK", 5)]).await;
        let path = format!("/carts/{cart}/gift-cards");
        app.ops("POST", &path, Some(&json!({"code": card["code"]}))).await.expect(200);
        let order = trade.complete(&cart).await.expect(201)["order"].clone();
        assert_eq!(trade.used().await, "50.00");
        let id = text(&order["id"]);
        let some = json!({"reason": "two too many", "lines": [{"line_no": 1, "quantity": 2}]});
        app.ops("POST", &format!("/orders/{id}/cancel"), Some(&some)).await.expect(200);
        assert_eq!(trade.used().await, "30.00");
        let found = app.ops("GET", &format!("/orders/{id}/fulfilment"), None).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&found["fulfilment_orders"][0]["id"]));
        app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
        assert_eq!(trade.used().await, "30.00");
        let back = json!({"order": id, "lines": [{"line_no": 1, "quantity": 1}], "restock": true, "refund": true});
        app.ops("POST", "/returns", Some(&back)).await.expect(201);
        assert_eq!(trade.used().await, "20.00");
        eventually("the gift card has paid its part", || async {
            let order = app.ops("GET", &format!("/orders/{id}"), None).await.expect(200);
            order["payments"].as_array().unwrap().iter().any(|one| one["captured"] == eur("4.90"))
        })
        .await;
        app.ops("POST", &format!("/orders/{id}/payments"), Some(&json!({"reference": "B"}))).await.expect(200);
        assert_eq!(trade.used().await, "0.00");
        // What was paid and comes back is paid out, and frees nothing twice.
        let back = json!({"order": id, "lines": [{"line_no": 1, "quantity": 1}], "restock": true, "refund": true});
        app.ops("POST", "/returns", Some(&back)).await.expect(201);
        assert_eq!(trade.used().await, "0.00");
        assert_eq!(trade.debts("?open=false").await[0]["paid"], eur("20.00"));
    });
}

#[test]
fn above_the_limit_an_order_is_held_where_the_company_may() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50)]).await;
        trade.limit("150.00", "hold").await;
        assert_eq!(trade.order(&[("DESK", 1)]).await.get("holds"), None);
        let order = trade.order(&[("DESK", 1)]).await;
        assert_eq!((&order["holds"][0]["kind"], &order["holds"][0]["blocks"]), (&json!("credit"), &json!(["ship"])));
        assert_eq!(trade.used().await, "200.00");
        let id = text(&order["id"]);
        let found = app.ops("GET", &format!("/orders/{id}/fulfilment"), None).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&found["fulfilment_orders"][0]["id"]));
        app.ops("POST", &ship, Some(&json!({}))).await.problem(409, "state_conflict");
        app.ops("POST", &format!("/orders/{id}/release"), Some(&json!({"kind": "credit"}))).await.expect(200);
        app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
    });
}

#[test]
fn a_company_has_terms_members_and_its_own_numbers() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50)]).await;
        let path = format!("/companies/{}", trade.company);
        let odd = json!({"terms": {"net_days": 10, "discount_days": 14, "discount_percent": 2}});
        let refused = app.ops("PATCH", &path, Some(&odd)).await.problem(422, "invalid_value");
        assert_eq!(refused["pointer"], "/terms/discount_days");
        let rule = json!({"purchase_order": {"required": true, "pattern": "PO-####"}, "addresses": [address()]});
        let changed = app.ops("PATCH", &path, Some(&rule)).await.expect(200);
        assert_eq!(
            (&changed["purchase_order"]["pattern"], &changed["terms"]["net_days"]),
            (&json!("PO-####"), &json!(30))
        );
        trade.limit("500.00", "decline").await;
        let cart = trade.cart(&[("DESK", 1)]).await;
        let problems = trade.complete(&cart).await.problem(422, "cart_incomplete")["problems"].clone();
        assert_eq!(problems[0]["code"], "purchase_order_wrong");
        for (number, status) in [("PO-12", 422), ("PO-1234", 201)] {
            let named = json!({"purchase_order": number});
            app.ops("PATCH", &format!("/carts/{cart}"), Some(&named)).await.expect(200);
            let answer = trade.complete(&cart).await;
            assert_eq!(answer.status, status, "{}", answer.text);
            if status == 201 {
                assert_eq!(answer.body["order"]["purchase_order"], "PO-1234");
            }
        }
        // Who is what: staff say so, then the company's own admin.
        let bob = trade.customer("bob").await;
        trade.member(&trade.customer, json!({"role": "admin"})).await;
        let seen = trade.as_("ada", "GET", "/me/company", None).await.expect(200);
        assert_eq!((&seen["role"], &seen["name"]), (&json!("admin"), &json!("Acme")));
        let put = json!({"role": "buyer", "order_limit": eur("50.00")});
        let path = format!("/me/company/members/{bob}");
        trade.as_("bob", "PUT", &path, Some(&put)).await.problem(404, "not_found");
        let member = trade.as_("ada", "PUT", &path, Some(&put)).await.expect(200);
        assert_eq!((&member["role"], &member["order_limit"]), (&json!("buyer"), &eur("50.00")));
        let members = trade.as_("ada", "GET", "/me/company/members", None).await.expect(200);
        assert_eq!(members["items"].as_array().unwrap().len(), 2);
        let credit = trade.as_("bob", "GET", "/me/company/credit", None).await.expect(200);
        assert_eq!(credit["items"][0]["available"], eur("400.00"));
        let stranger = app.ops("POST", "/customers", Some(&json!({"name": "Eve"}))).await.expect(201);
        let path = format!("/companies/{}/members/{}", trade.company, text(&stranger["id"]));
        app.ops("PUT", &path, Some(&put)).await.problem(404, "not_found");
        let path = format!("/companies/{}/members/{bob}", trade.company);
        assert_eq!(app.ops("DELETE", &path, None).await.status, 204);
        app.ops("DELETE", &path, None).await.problem(404, "not_found");
    });
}

/// The server dies while orders come: what is owed is what the orders that there are owe, and the limit holds.
#[test]
fn killed_while_orders_come_the_credit_is_what_they_owe() {
    on_both_sites(|site| async move {
        let program = site.serve(&[]);
        let trade = Trade::open(&site.app(&program).await, &[("DESK", "95.10", 50)]).await;
        trade.limit("350.00", "decline").await;
        let mut carts = Vec::new();
        for _ in 0..8 {
            carts.push(trade.cart(&[("DESK", 1)]).await);
        }
        let begun: Vec<_> = carts
            .iter()
            .map(|cart| {
                let (app, cart) = (trade.shop.app.clone(), cart.clone());
                tokio::spawn(async move {
                    let token = format!("Bearer {}", app.staff());
                    let pay = json!({"payment": {"method": "on_account"}});
                    let path = format!("/v1/ops/carts/{cart}/complete");
                    let headers = [("Authorization", token.as_str())];
                    app.try_send("POST", &path, &headers, Some(&pay)).await.ok().map(|answer| answer.status)
                })
            })
            .collect();
        eventually("an order is there", || async { !trade.debts("").await.as_array().unwrap().is_empty() }).await;
        program.kill();
        let placed = join_all(begun).await.into_iter().filter(|done| matches!(done, Ok(Some(201)))).count();
        let program = site.serve(&[]);
        let shop = Shop { app: site.app(&program).await, ..trade.shop.clone() };
        let trade = Trade { shop, ..trade };
        let debts = trade.debts("").await.as_array().unwrap().len();
        assert!(debts >= placed, "{debts} orders, {placed} were acknowledged");
        join_all(carts.iter().map(|cart| trade.complete(cart))).await;
        assert_eq!(trade.used().await, "300.00");
        assert_eq!(trade.debts("").await.as_array().unwrap().len(), 3);
        let findings = kontor::doctor::examine(&trade.app().state.db, |_| {}).await.unwrap();
        assert!(findings.is_empty(), "{findings:#?}");
    });
}

/// What was taken off and is added again is within the limit, too, or the order is held as one that is placed.
#[test]
fn what_an_amendment_adds_is_within_the_limit() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50)]).await;
        trade.limit("200.00", "decline").await;
        let order = trade.order(&[("DESK", 2)]).await;
        let id = text(&order["id"]);
        let some = json!({"reason": "one too many", "lines": [{"line_no": 1, "quantity": 1}]});
        app.ops("POST", &format!("/orders/{id}/cancel"), Some(&some)).await.expect(200);
        assert_eq!(trade.used().await, "100.00");
        trade.order(&[("DESK", 1)]).await;
        assert_eq!(trade.used().await, "200.00");
        let path = format!("/orders/{id}/amendments");
        let begun = app.ops("POST", &path, Some(&json!({"reason": "called"}))).await.expect(201);
        let path = format!("{path}/{}", text(&begun["id"]));
        let edits = json!({"edits": [{"type": "add_line", "sku": "DESK", "quantity": 1}]});
        let edited = app.ops("POST", &format!("{path}/edits"), Some(&edits)).await.expect(200);
        let confirm = json!({"order_version": edited["order_version"]});
        let confirm = async || app.ops("POST", &format!("{path}/confirm"), Some(&confirm)).await;
        confirm().await.problem(409, "credit_exceeded");
        assert_eq!(trade.used().await, "200.00");
        trade.limit("200.00", "hold").await;
        let amended = confirm().await.expect(200)["order"].clone();
        assert_eq!(amended["holds"][0]["kind"], "credit", "{amended}");
        assert_eq!(trade.used().await, "295.10");
    });
}

/// What is added beside what was promised takes of the company's credit too: of two at once that fit alone, one does.
#[test]
fn what_an_amendment_adds_beside_its_promise_takes_credit_as_an_order_does() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50)]).await;
        trade.limit("300.00", "decline").await;
        let orders = [trade.order(&[("DESK", 1)]).await, trade.order(&[("DESK", 1)]).await];
        assert_eq!(trade.used().await, "200.00");
        let mut ready = Vec::new();
        for order in &orders {
            let path = format!("/orders/{}/amendments", text(&order["id"]));
            let begun = app.ops("POST", &path, Some(&json!({"reason": "called"}))).await.expect(201);
            let path = format!("{path}/{}", text(&begun["id"]));
            let edits = json!({"edits": [{"type": "add_line", "sku": "DESK", "quantity": 1}]});
            let edited = app.ops("POST", &format!("{path}/edits"), Some(&edits)).await.expect(200);
            let money = &edited["preview"]["money"];
            assert_eq!((&money["on_account"], &money["to_pay"]), (&eur("95.10"), &eur("0.00")), "{edited}");
            ready.push((format!("{path}/confirm"), json!({"order_version": edited["order_version"]})));
        }
        let both = join_all(ready.iter().map(|(path, body)| app.ops("POST", path, Some(body)))).await;
        let (done, refused): (Vec<_>, Vec<_>) = both.into_iter().partition(|one| one.status == 200);
        assert_eq!((done.len(), refused.len()), (1, 1));
        refused.into_iter().next().unwrap().problem(409, "credit_exceeded");
        let order = done.into_iter().next().unwrap().expect(200)["order"].clone();
        assert_eq!((&order["holds"], order["payments"].as_array().unwrap().len()), (&Value::Null, 2), "{order}");
        assert_eq!(trade.used().await, "295.10");
        // It is paid as any other, and free again then.
        let path = format!("/orders/{}/payments", text(&order["id"]));
        app.ops("POST", &path, Some(&json!({"reference": "BANK-1"}))).await.expect(200);
        assert_eq!(trade.used().await, "100.00");
        let findings = kontor::doctor::examine(&app.state.db, |_| {}).await.unwrap();
        assert!(findings.is_empty(), "{findings:#?}");
    });
}

/// An amendment of an order, with its edits: what its confirming takes, and its preview.
async fn amend(app: &App, order: &str, edits: Value) -> (String, Value, Value) {
    let path = format!("/orders/{order}/amendments");
    let begun = app.ops("POST", &path, Some(&json!({"reason": "called"}))).await.expect(201);
    let path = format!("{path}/{}", text(&begun["id"]));
    let edited = app.ops("POST", &format!("{path}/edits"), Some(&json!({ "edits": edits }))).await.expect(200);
    let confirm = json!({"order_version": edited["order_version"]});
    (format!("{path}/confirm"), confirm, edited["preview"].clone())
}

/// What was given back out of goodwill is not owed again by whatever is changed afterwards.
#[test]
fn a_goodwill_is_not_put_on_account_by_an_amendment() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50)]).await;
        trade.limit("200.00", "decline").await;
        let id = text(&trade.order(&[("DESK", 1)]).await["id"]);
        app.ops("POST", &format!("/orders/{id}/payments"), Some(&json!({"reference": "BANK-1"}))).await.expect(200);
        let give = json!({"amount": eur("20.00"), "reason": "late"});
        app.ops("POST", &format!("/orders/{id}/refunds"), Some(&give)).await.expect(202);
        let payments = async || app.ops("GET", &format!("/orders/{id}/payments"), None).await.expect(200);
        let known = payments().await;
        let refund = known["payments"][0]["operations"].as_array().unwrap().iter().find(|one| one["kind"] == "refund");
        let path = format!("/payment-operations/{}/confirm", text(&refund.unwrap()["id"]));
        app.ops("POST", &path, Some(&json!({"reference": "OUT-1"}))).await.expect(200);
        eventually("it is paid out", || async { payments().await["payments"][0]["refunded"] == eur("20.00") }).await;
        let mut elsewhere = address();
        elsewhere["street1"] = json!("Chausseestr. 1");
        let edits = json!([{"type": "set_address", "address": elsewhere}]);
        let (path, body, preview) = amend(&app, &id, edits).await;
        let money = &preview["money"];
        assert_eq!((&money["on_account"], &money["to_pay"]), (&Value::Null, &eur("0.00")), "{preview}");
        let order = app.ops("POST", &path, Some(&body)).await.expect(200)["order"].clone();
        assert_eq!((&order["holds"], order["payments"].as_array().unwrap().len()), (&Value::Null, 1), "{order}");
        assert_eq!(trade.used().await, "0.00");
        // What is added is owed, and no more.
        let edits = json!([{"type": "add_line", "sku": "DESK", "quantity": 1}]);
        let (path, body, preview) = amend(&app, &id, edits).await;
        assert_eq!(preview["money"]["on_account"], eur("95.10"), "{preview}");
        app.ops("POST", &path, Some(&body)).await.expect(200);
        assert_eq!(trade.used().await, "95.10");
        let findings = kontor::doctor::examine(&app.state.db, |_| {}).await.unwrap();
        assert!(findings.is_empty(), "{findings:#?}");
    });
}

/// What is added is owed by who owes the order, whomever its customer buys for by now; taken off again, the first promise stands.
#[test]
fn what_is_added_is_owed_by_the_company_that_owes_the_order() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50)]).await;
        trade.limit("300.00", "decline").await;
        let id = text(&trade.order(&[("DESK", 1)]).await["id"]);
        let other = json!({"number": "D-2", "name": "Other"});
        let other = text(&app.ops("POST", "/companies", Some(&other)).await.expect(201)["id"]);
        let path = format!("/companies/{other}/credit");
        app.ops("PUT", &path, Some(&json!({"limit": eur("500.00"), "above": "decline"}))).await.expect(200);
        let moved = json!({ "company_id": other });
        app.ops("PATCH", &format!("/customers/{}", trade.customer), Some(&moved)).await.expect(200);
        let (confirm, body, _) = amend(&app, &id, json!([{"type": "add_line", "sku": "DESK", "quantity": 1}])).await;
        app.ops("POST", &confirm, Some(&body)).await.expect(200);
        assert_eq!(trade.used().await, "195.10");
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["items"][0]["used"], eur("0.00"));
        let added = json!({"reason": "not that", "lines": [{"line_no": 2, "quantity": 1}]});
        app.ops("POST", &format!("/orders/{id}/cancel"), Some(&added)).await.expect(200);
        assert_eq!(trade.used().await, "100.00");
        let findings = kontor::doctor::examine(&app.state.db, |_| {}).await.unwrap();
        assert!(findings.is_empty(), "{findings:#?}");
    });
}

#[test]
fn what_is_held_above_the_limit_goes_on_once_the_company_owes_no_more_than_it_may() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50)]).await;
        trade.limit("150.00", "hold").await;
        let holds = async |order: &Value| {
            let read = app.ops("GET", &format!("/orders/{}", text(&order["id"])), None).await.expect(200);
            let all = read["holds"].as_array().cloned().unwrap_or_default();
            all.iter().map(|hold| text(&hold["kind"])).collect::<Vec<String>>()
        };
        let (first, second) = (trade.order(&[("DESK", 1)]).await, trade.order(&[("DESK", 1)]).await);
        assert_eq!((holds(&first).await, holds(&second).await), (vec![], vec!["credit".to_owned()]));
        // A part is not enough.
        let pay = async |order: &Value, amount: &str, reference: &str| {
            let path = format!("/orders/{}/payments", text(&order["id"]));
            let body = json!({"amount": eur(amount), "reference": reference});
            app.ops("POST", &path, Some(&body)).await.expect(200)
        };
        pay(&first, "40.00", "B1").await;
        assert_eq!(holds(&second).await, ["credit"]);
        pay(&first, "10.00", "B2").await;
        eventually("the second goes on", async || holds(&second).await.is_empty()).await;
        // What a person holds for credit, a person releases; a limit that is raised lets the others go on.
        let (third, fourth) = (trade.order(&[("DESK", 1)]).await, trade.order(&[("DESK", 1)]).await);
        let path = format!("/orders/{}", text(&third["id"]));
        app.ops("POST", &format!("{path}/release"), Some(&json!({"kind": "credit"}))).await.expect(200);
        let hold = json!({"kind": "credit", "reason": "let me ask them first"});
        app.ops("POST", &format!("{path}/hold"), Some(&hold)).await.expect(200);
        trade.limit("500.00", "hold").await;
        eventually("the fourth goes on", async || holds(&fourth).await.is_empty()).await;
        assert_eq!(holds(&third).await, ["credit"]);
        assert_eq!(trade.used().await, "350.00");
    });
}
