//! Erasure: after it, nothing anywhere tells who somebody was, and everything else still adds up.

use diesel::sql_types::Text;
use futures::future::{join, join_all};
use kontor::{
    abandonment, connectors,
    db::{Doc, DocSql, UidSql, sql},
    http::auth::Audience,
    kernel::{Id, Instant, Scope},
};
use serde_json::{Value, json};

use crate::{
    connectors::connector,
    support::{Answer, App, Deed, Receiver, Shop, eventually, on_both, on_both_bare, world::dump},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// What tells who Grace is, in any spelling that is kept.
const PERSONAL: [&str; 9] =
    ["Grace", "grace", "Hopper", "hopper", "Yale", "06511", "New Haven", "2035550100", "555-0100"];

fn home() -> Value {
    json!({"name": "Grace Hopper", "street1": "Yale Street 7", "postcode": "06511", "city": "New Haven", "country": "DE",
        "phone": "+1 203 555-0100"})
}

/// A cart's request of Grace, with a card to go with it.
fn wish(email: &str) -> Value {
    json!({"lines": [{"sku": "TEE", "quantity": 1, "metadata": {"engraving": "For Grace"}}], "email": email,
        "marketing_consent": true, "shipping_method": "standard", "shipping_address": home(), "billing_address": home(),
        "metadata": {"card": "Love, Mrs Hopper"}})
}

/// Somebody at the storefront: signed in with a token, or a guest.
struct Buyer<'a> {
    shop: &'a Shop,
    token: Option<String>,
}

impl<'a> Buyer<'a> {
    fn signed_in(shop: &'a Shop, subject: &str, email: &str) -> Self {
        let mut claims = shop.app.claims(Audience::Customer, subject, "");
        (claims.email, claims.email_verified) = (Some(email.to_owned()), Some(true));
        Self { shop, token: Some(format!("Bearer {}", shop.app.state.verifier.issue(claims).unwrap())) }
    }

    async fn send(&self, method: &str, path: &str, cart: Option<&str>, body: Option<&Value>) -> Answer {
        let key = uuid::Uuid::now_v7().to_string();
        let mut headers = vec![("Channel-Key", self.shop.key.as_str())];
        headers.extend(self.token.as_deref().map(|token| ("Authorization", token)));
        headers.extend(cart.map(|cart| ("Cart-Token", cart)));
        if method == "POST" {
            headers.push(("Idempotency-Key", &key));
        }
        self.shop.app.send(method, &format!("/v1/store{path}"), &headers, body).await
    }

    async fn cart(&self, email: &str) -> Value {
        self.send("POST", "/carts", None, Some(&wish(email))).await.expect(201)
    }

    async fn order(&self, email: &str) -> Value {
        let cart = self.cart(email).await;
        let pay = json!({"payment": {"method": "sandbox", "instrument": "approve"}});
        let path = format!("/carts/{}/complete", text(&cart["id"]));
        self.send("POST", &path, cart["token"].as_str(), Some(&pay)).await.expect(201)["order"].clone()
    }
}

/// Ships and delivers an order, and waits for its money.
async fn finish(app: &App, order: &Value) {
    let path = format!("/orders/{}", text(&order["id"]));
    let found = app.ops("GET", &format!("{path}/fulfilment"), None).await.expect(200);
    let ship = format!("/fulfilment-orders/{}/ship", text(&found["fulfilment_orders"][0]["id"]));
    let parcel = app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
    app.ops("POST", &format!("/shipments/{}/deliver", text(&parcel["id"])), Some(&json!({}))).await.expect(200);
    eventually("completed", || async { app.ops("GET", &path, None).await.expect(200)["state"] == "completed" }).await;
}

/// The rows of the database that tell who Grace is.
async fn traces(app: &App) -> Vec<String> {
    let mut found = Vec::new();
    for (table, rows) in dump(app).await {
        let told = rows.iter().filter(|row| PERSONAL.iter().any(|word| row.contains(word)));
        found.extend(told.map(|row| format!("{table}: {row}")));
    }
    found
}

async fn integration(app: &App, path: &str) -> String {
    let token = format!("Bearer {}", app.token(Audience::Client, "crm", &[Scope::FeedsRead, Scope::CustomersRead]));
    let mut all = String::new();
    let mut cursor = None;
    loop {
        let more = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let answer = app.send("GET", &format!("/v1/integration{path}{more}"), &[("Authorization", &token)], None).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        all.push_str(&answer.text);
        cursor = answer.body["next_cursor"].as_str().filter(|_| path.contains("snapshots")).map(str::to_owned);
        if cursor.is_none() {
            return all;
        }
    }
}

/// What the log tells of one type.
async fn events(app: &App, kind: &str) -> Vec<Value> {
    let page = integration(app, &format!("/feeds/all?limit=200&types={kind}")).await;
    serde_json::from_str::<Value>(&page).unwrap()["items"].as_array().unwrap().clone()
}

#[test]
fn nothing_tells_any_more_who_a_customer_was() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        // A receiver that repeats what it is told.
        let receiver = Receiver::start(|request, _| Deed::Say(200, request.body.chars().take(900).collect()));
        let told = connector(&app, &receiver, json!({"types": ["customer.", "order.placed"]})).await;
        let grace = Buyer::signed_in(&shop, "grace-17", "grace@example.org");
        let me =
            grace.send("PATCH", "/me", None, Some(&json!({"name": "Grace Hopper", "marketing_email": true}))).await;
        let me = me.expect(200);
        grace.send("POST", "/me/addresses", None, Some(&json!({ "address": home() }))).await.expect(201);
        let (first, second) = (grace.order("grace@example.org").await, grace.order("Grace@Example.org").await);
        grace.cart("grace@example.org").await;
        app.clock.advance_seconds(3600);
        abandonment::detect(&app.state, app.now()).await.unwrap();
        let stranger = shop.order(&[("TEE", 1)]).await;
        let erase = format!("/customers/{}/erase", text(&me["id"]));

        finish(&app, &first).await;
        let open = app.ops("POST", &erase, None).await.problem(409, "state_conflict");
        assert_eq!(open["orders"], json!([second["number"]]));
        assert!(!traces(&app).await.is_empty() && shop.count("idempotency_keys").await == 6);
        finish(&app, &second).await;
        eventually("delivered", || async {
            app.count("SELECT count(*) FROM dispatches WHERE state = 'pending'").await == 0
        })
        .await;

        // Several at once erase them once.
        for answer in join_all((0..4).map(|_| app.ops("POST", &erase, None))).await {
            if answer.status == 200 {
                let erased = answer.expect(200);
                assert_eq!((&erased["customer_id"], &erased["number"]), (&me["id"], &me["number"]));
                assert_eq!(erased["orders"], 2);
            } else {
                answer.problem(503, "overloaded");
            }
        }
        // Hers are all answers that were kept: they are sealed, so they are counted. A job looks for them, and for what the
        // receiver has said.
        eventually("swept", || async { shop.count("idempotency_keys").await == 0 && traces(&app).await.is_empty() })
            .await;
        let path = format!("/customers/{}", text(&me["id"]));
        let customer = app.ops("GET", &path, None).await.expect(200);
        assert_eq!(
            (&customer["name"], &customer["email"], &customer["login"], &customer["addresses"]),
            (&Value::Null, &Value::Null, &Value::Null, &json!([]))
        );
        assert!(customer["erased_at"].is_string() && customer["consent"] == json!({}), "{customer}");
        assert_eq!(events(&app, "customer.erased").await.len(), 1);
        assert_eq!(events(&app, "order.erased").await.len(), 2);
        for path in ["/feeds/all?limit=200", "/feeds/all?limit=200&view=current", "/snapshots/all?limit=50"] {
            let told = integration(&app, path).await;
            assert!(
                told.contains(text(&first["number"])) && !PERSONAL.iter().any(|word| told.contains(word)),
                "{path}"
            );
        }
        // The orders are what they were but for whose; strangers are left alone.
        for (order, was) in [(&first, "completed"), (&second, "completed")] {
            let now = app.ops("GET", &format!("/orders/{}", text(&order["id"])), None).await.expect(200);
            assert_eq!((&now["total"], &now["number"], text(&now["state"])), (&order["total"], &order["number"], was));
            assert_eq!((&now["email"], &now["deliveries"][0]["address"]), (&Value::Null, &Value::Null));
            app.ops("GET", &format!("/orders/{}/timeline", text(&order["id"])), None).await.expect(200);
            app.ops("GET", &format!("/orders/{}/status", text(&order["id"])), None).await.expect(200);
        }
        let found = app.ops("GET", "/orders?email=grace@example.org", None).await.expect(200);
        assert_eq!(found["items"], json!([]));
        let other = app.ops("GET", &format!("/orders/{}", text(&stranger["id"])), None).await.expect(200);
        assert_eq!(other["email"], "ada@example.org");
        // Again: nothing is left to do, and nothing is told.
        assert_eq!(app.ops("POST", &erase, None).await.expect(200)["guest_orders"], Value::Null);
        assert_eq!((events(&app, "customer.erased").await.len(), events(&app, "order.erased").await.len()), (1, 2));
        // The sign-in is nobody's any more: it makes a new customer.
        assert_ne!(grace.send("GET", "/me", None, None).await.expect(200)["id"], me["id"]);
        // The receiver has heard of all of it, the new customer included.
        let heard = || async {
            let wanted = "SELECT count(*) FROM events WHERE type LIKE 'customer.%' OR type LIKE 'order.placed.%'";
            app.count(wanted).await == app.count("SELECT count(*) FROM dispatches WHERE state = 'delivered'").await
        };
        eventually("heard", heard).await;
        assert_eq!(text(&told["state"]), "active");
    });
}

#[test]
fn what_guests_have_ordered_with_an_address_is_erased_by_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        let guest = Buyer { shop: &shop, token: None };
        let order = guest.order("grace@example.org").await;
        guest.cart("Grace@example.org").await;
        app.clock.advance_seconds(3600);
        abandonment::detect(&app.state, app.now()).await.unwrap();
        let named = app.ops("POST", "/customers", Some(&json!({"email": "GRACE@example.org"}))).await.expect(201);
        let other = shop.order(&[("TEE", 1)]).await;
        let email = json!({"email": "grace@EXAMPLE.org"});
        let open = app.ops("POST", "/guests/erase", Some(&email)).await.problem(409, "state_conflict");
        assert_eq!(open["orders"], json!([order["number"]]));
        finish(&app, &order).await;
        // A customer with the same address is somebody else until somebody says otherwise.
        let told = app.ops("POST", "/guests/erase", Some(&email)).await.expect(200);
        assert_eq!(told, json!({"orders": 1, "carts": 1, "customers": [named["id"]]}));
        let left = traces(&app).await;
        let own = |row: &String| row.contains(text(&named["number"])) || row.starts_with("events: ");
        assert!(!left.is_empty() && left.iter().all(own), "{left:#?}");
        let path = format!("/customers/{}", text(&named["id"]));
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["email"], "GRACE@example.org");
        app.ops("POST", &format!("{path}/erase"), None).await.expect(200);
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["email"], Value::Null);
        let again = app.ops("POST", "/guests/erase", Some(&email)).await.expect(200);
        assert_eq!(again, json!({"orders": 0, "carts": 0, "customers": []}));
        assert_eq!(traces(&app).await, Vec::<String>::new());
        let stranger = app.ops("GET", &format!("/orders/{}", text(&other["id"])), None).await.expect(200);
        assert_eq!(stranger["email"], "ada@example.org");
        let look = json!({"number": order["number"], "email": "grace@example.org", "postcode": "06511"});
        shop.store("POST", "/orders/lookup", None, Some(&look)).await.problem(404, "not_found");
    });
}

#[test]
fn erasing_needs_its_scope_and_a_cart_that_is_not_being_paid() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        let grace = Buyer::signed_in(&shop, "grace-17", "grace@example.org");
        let cart = grace.cart("grace@example.org").await;
        let path = format!("/carts/{}/complete", text(&cart["id"]));
        let pay = json!({"payment": {"method": "sandbox", "instrument": "redirect"}});
        let waits = grace.send("POST", &path, None, Some(&pay)).await.expect(202);
        let me = grace.send("GET", "/me", None, None).await.expect(200);
        let erase = format!("/v1/ops/customers/{}/erase", text(&me["id"]));
        let limited =
            format!("Bearer {}", app.token(Audience::Staff, "eve", &[Scope::CustomersWrite, Scope::CustomersRead]));
        app.send("POST", &erase, &[("Authorization", &limited)], None).await.problem(403, "scope_missing");
        let staff = format!("Bearer {}", app.staff());
        let headers = [("Authorization", staff.as_str()), ("Idempotency-Key", "erase")];
        app.send("POST", &erase, &headers, None).await.problem(409, "state_conflict");
        assert_eq!(grace.send("GET", "/me", None, None).await.expect(200)["email"], "grace@example.org");
        // The customer gives up at the provider's page.
        let page = text(&waits["action"]["url"]).rsplit('/').next().unwrap().to_owned();
        app.ops("POST", &format!("/sandbox/payments/{page}/decline"), None).await.expect(202);
        let open = format!("/carts/{}", text(&cart["id"]));
        eventually("open", || async { grace.send("GET", &open, None, None).await.body["state"] == "open" }).await;
        let first = app.send("POST", &erase, &headers, None).await;
        let again = app.send("POST", &erase, &headers, None).await;
        assert_eq!(again.header("Idempotency-Replayed"), Some("true"));
        assert_eq!(first.expect(200), again.expect(200));
        assert_eq!(traces(&app).await, Vec::<String>::new());
        app.ops("POST", "/customers/cust_01h455vb4pex5vsknk084sn02q/erase", None).await.problem(404, "not_found");
    });
}

#[test]
fn a_guest_who_is_erased_between_checkout_and_payment_says_again_where_it_goes() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        let guest = Buyer { shop: &shop, token: None };
        let cart = guest.cart("grace@example.org").await;
        let (path, token) = (format!("/carts/{}", text(&cart["id"])), text(&cart["token"]));
        guest.send("POST", &format!("{path}/checkout"), Some(token), None).await.expect(200);
        let email = json!({"email": "grace@example.org"});
        assert_eq!(app.ops("POST", "/guests/erase", Some(&email)).await.expect(200)["carts"], 1);
        let pay = json!({"payment": {"method": "sandbox", "instrument": "approve"}});
        let complete = format!("{path}/complete");
        guest.send("POST", &complete, Some(token), Some(&pay)).await.problem(422, "cart_incomplete");
        let back = json!({"email": "grace@example.org", "shipping_address": crate::support::shop::address(),
            "shipping_method": "standard"});
        guest.send("PATCH", &path, Some(token), Some(&back)).await.expect(200);
        guest.send("POST", &complete, Some(token), Some(&pay)).await.expect(201);
    });
}

#[test]
fn a_cart_that_is_made_while_its_customer_is_erased_tells_nothing_of_them() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        for round in 0..6 {
            let grace = Buyer::signed_in(&shop, &format!("grace-{round}"), "grace@example.org");
            let me = grace.send("GET", "/me", None, None).await.expect(200);
            let erase = format!("/customers/{}/erase", text(&me["id"]));
            let erased = async {
                // The first carts are under way.
                tokio::task::yield_now().await;
                app.ops("POST", &erase, None).await.expect(200)
            };
            let carts = join_all((0..12).map(|_| grace.cart("grace@example.org")));
            let (made, _) = join(carts, erased).await;
            assert_eq!(made.len(), 12);
            // Each went to the erased customer and is bare, or to the new one that the sign-in has become.
            let told = "SELECT count(*) FROM carts JOIN customers ON customers.id = carts.customer_id \
                        WHERE customers.issuer IS NULL AND carts.doc->>'email' IS NOT NULL";
            assert_eq!(app.count(told).await, 0, "round {round}");
            let now = grace.send("GET", "/me", None, None).await.expect(200);
            assert_ne!(now["id"], me["id"]);
            app.ops("POST", &format!("/customers/{}/erase", text(&now["id"])), None).await.expect(200);
        }
        eventually("swept", || async { traces(&app).await.is_empty() }).await;
    });
}

#[test]
fn what_was_erased_is_not_gone_through_again() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        let grace = Buyer::signed_in(&shop, "grace-17", "grace@example.org");
        for _ in 0..6 {
            let order = grace.order("grace@example.org").await;
            finish(&app, &order).await;
        }
        let me = grace.send("GET", "/me", None, None).await.expect(200);
        let erase = format!("/customers/{}/erase", text(&me["id"]));
        let counted = async |answer: Value| {
            let before = app.state.db.stats().statements;
            let erased = app.ops("POST", &erase, None).await.expect(200);
            assert_eq!((&erased["orders"], &erased["customer_id"]), (&answer, &me["id"]));
            app.state.db.stats().statements - before
        };
        let first = counted(json!(6)).await;
        eventually("swept", || async { traces(&app).await.is_empty() }).await;
        let second = counted(json!(6)).await;
        assert!(second * 2 < first, "{first} statements, then {second}");
        // What is personal again is erased again.
        let personal = "UPDATE order_lines SET doc = ? WHERE line_no = 1";
        let doc = app.read(|tx| sql("SELECT doc FROM order_lines").first::<DocSql, Doc<Value>>(tx));
        let mut doc = doc.await.unwrap().0;
        doc["metadata"] = json!({"engraving": "For Grace"});
        app.state.db.write(move |tx| sql(personal).bind(Doc(doc.clone())).execute(tx)).await.unwrap();
        assert!(!traces(&app).await.is_empty());
        counted(json!(6)).await;
        assert_eq!(traces(&app).await, Vec::<String>::new());
    });
}

#[test]
fn answers_of_receivers_are_forgotten_whatever_came_of_the_dispatch() {
    on_both_bare(|bare| async move {
        let left = bare.db.write(|tx| {
            let (connector, now) = (Id::<()>::from_bytes([1; 16]), Instant::from_micros(0));
            sql("INSERT INTO connectors (id, name, adapter, state, doc, position, version, created_at, updated_at) \
                 VALUES (?, 'x', 'webhook', 'active', ?, 0, 1, ?, ?)")
            .bind(connector)
            .bind(Doc(json!({})))
            .bind(now)
            .bind(now)
            .execute(tx)?;
            let places = ["cart_1", "cart_2"].map(|stream| ["pending", "dead", "delivered", "skipped"].map(|state| (stream, state)));
            for (n, (stream, state)) in (1_u8..).zip(places.concat()) {
                let id = Id::<()>::from_bytes([n; 16]);
                sql("INSERT INTO dispatches (id, connector_id, position, event_id, job_id, stream, type, state, attempts, doc, \
                     response, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, 'x', ?, 1, ?, 'Grace', ?, ?)")
                .bind(id)
                .bind(connector)
                .bind(i64::from(n))
                .bind(id)
                .bind(id)
                .bind(stream)
                .bind(state)
                .bind(Doc(json!({})))
                .bind(now)
                .bind(now)
                .execute(tx)?;
            }
            connectors::forget_answers_of(tx, &["cart_1".to_owned()])?;
            let left = "SELECT id, stream FROM dispatches WHERE response IS NOT NULL";
            sql(left).load::<(UidSql, Text), (Id<()>, String)>(tx)
        });
        let left = left.await.unwrap();
        assert!(left.len() == 4 && left.iter().all(|(_, stream)| stream == "cart_2"), "{left:?}");
    });
}
