//! Customers, their address books and their sign-ins.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, on_both, shop::address};
use kontor::{http::auth::Audience, kernel::Scope};

fn berlin() -> Value {
    json!({"name": "Ada Lovelace", "street1": "Unter den Linden 1", "postcode": "10117", "city": "Berlin", "country": "DE"})
}

/// A publishable key of a fresh channel.
async fn a_key(app: &App) -> String {
    let entity = json!({"code": "acme", "name": "Acme GmbH", "country": "DE", "time_zone": "Europe/Berlin"});
    let entity = app.ops("POST", "/legal-entities", Some(&entity)).await.expect(201);
    let channel = json!({
        "code": "de", "name": "Acme", "legal_entity_id": entity["id"],
        "settings": {
            "currencies": ["EUR"], "locales": ["de-DE"], "countries": ["DE"], "time_zone": "Europe/Berlin",
            "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"},
            "payment_methods": ["manual"]
        }
    });
    let channel = app.ops("POST", "/channels", Some(&channel)).await.expect(201);
    channel["publishable_keys"][0].as_str().unwrap().to_owned()
}

/// Somebody at the storefront.
#[derive(Clone)]
struct Visitor {
    app: App,
    key: String,
    token: String,
}

impl Visitor {
    fn new(app: &App, key: &str, subject: &str, email: Option<(&str, bool)>) -> Self {
        let mut claims = app.claims(Audience::Customer, subject, "");
        claims.email = email.map(|(email, _)| email.to_owned());
        claims.email_verified = email.map(|(_, verified)| verified);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        Self { app: app.clone(), key: key.to_owned(), token }
    }

    async fn send(&self, method: &str, path: &str, tag: Option<&str>, body: Option<&Value>) -> Answer {
        let mut headers = vec![("Channel-Key", self.key.as_str()), ("Authorization", self.token.as_str())];
        headers.extend(tag.map(|tag| ("If-Match", tag)));
        self.app.send(method, &format!("/v1/store/me{path}"), &headers, body).await
    }

    async fn me(&self) -> Value {
        self.send("GET", "", None, None).await.expect(200)
    }
}

async fn make(app: &App, body: Value) -> Value {
    app.ops("POST", "/customers", Some(&body)).await.expect(201)
}

async fn count(app: &App) -> i64 {
    app.ops("GET", "/customers?count=capped", None).await.expect(200)["count"].as_i64().unwrap()
}

#[test]
fn a_customer_is_made_read_changed_and_found() {
    on_both(|app| async move {
        let new = json!({"name": "Jörg Müller", "email": "Joerg@Example.org", "group": "trade", "phone": "+49 30 1",
            "marketing_email": true, "address": berlin()});
        let made = make(&app, new).await;
        assert_eq!(made["number"], "C1001");
        assert_eq!(made["consent"], json!({"marketing_email": {"granted": true, "at": "2026-03-02T09:00:00Z"}}));
        assert_eq!(made["addresses"][0]["address"], berlin());
        assert_eq!((&made["addresses"][0]["default_shipping"], &made["login"]), (&json!(true), &Value::Null));
        let path = format!("/customers/{}", made["id"].as_str().unwrap());
        assert_eq!(app.ops("GET", &path, None).await.expect(200), made);
        app.clock.advance_seconds(60);
        let change = json!({"group": null, "name": "Jörg Maier", "marketing_email": false});
        let changed = app.ops("PATCH", &path, Some(&change)).await.expect(200);
        assert_eq!((&changed["group"], &changed["version"]), (&Value::Null, &json!(2)));
        assert_eq!(changed["consent"]["marketing_email"], json!({"granted": false, "at": "2026-03-02T09:01:00Z"}));
        make(&app, json!({"number": "K 7", "name": "Jörgina"})).await;
        make(&app, json!({"name": "Zoë", "email": "joerg@example.org"})).await;
        let found = |query: &'static str| {
            let app = app.clone();
            async move {
                let page = app.ops("GET", &format!("/customers?{query}"), None).await.expect(200);
                page["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect::<Vec<_>>()
            }
        };
        assert_eq!(found("email=JOERG@example.org").await, [json!("Jörg Maier"), json!("Zoë")]);
        assert_eq!(found("name=joerg").await, [json!("Jörg Maier"), json!("Jörgina")]);
        assert_eq!(found("name=j%C3%B6rg%20ma").await, [json!("Jörg Maier")]);
        assert_eq!(found("number=K%207").await, [json!("Jörgina")]);
        let page = app.ops("GET", "/customers?name=jorg&limit=1", None).await.expect(200);
        let next = format!("/customers?name=jorg&limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
        let next = app.ops("GET", &next, None).await.expect(200);
        assert_eq!((&next["items"][0]["name"], &next["next_cursor"]), (&json!("Jörgina"), &Value::Null));
    });
}

#[test]
fn bad_customers_are_refused_with_a_pointer() {
    on_both(|app| async move {
        let address = |field: &str, value: Value| {
            let mut address = berlin();
            address[field] = value;
            json!({ "address": address })
        };
        let cases = [
            (json!({"email": "ada"}), "invalid_value", "/email"),
            (json!({"name": ""}), "invalid_value", "/name"),
            (json!({"odd": 1}), "unknown_field", "/odd"),
            (address("country", json!("XX")), "invalid_value", "/address/country"),
            (address("postcode", json!("1".repeat(21))), "invalid_value", "/address/postcode"),
            (address("odd", json!(1)), "unknown_field", "/address/odd"),
            (json!({"address": {"name": "Ada"}}), "missing_field", "/address/street1"),
        ];
        for (body, code, pointer) in cases {
            assert_eq!(
                app.ops("POST", "/customers", Some(&body)).await.problem(422, code)["pointer"],
                pointer,
                "{body}"
            );
        }
        make(&app, json!({"number": "7"})).await;
        let taken = app.ops("POST", "/customers", Some(&json!({"number": "7"}))).await.problem(409, "duplicate");
        assert_eq!(taken["pointer"], "/number");
        app.ops("GET", "/customers?email=ada", None).await.problem(400, "invalid_query");
        app.ops("GET", "/customers?name=%3F", None).await.problem(400, "invalid_query");
        app.ops("GET", "/customers/cust_odd", None).await.problem(404, "invalid_path");
        assert_eq!(count(&app).await, 1);
    });
}

#[test]
fn our_numbers_go_round_those_that_were_brought() {
    on_both(|app| async move {
        for number in ["C1001", "C1101", "C1102"] {
            make(&app, json!({ "number": number })).await;
        }
        let made = make(&app, json!({"name": "Ada"})).await;
        assert!(!["C1001", "C1101", "C1102"].contains(&made["number"].as_str().unwrap()));
        let bodies = vec![json!({"name": "Eve"}); 10];
        let many = join_all(bodies.iter().map(|body| app.ops("POST", "/customers", Some(body)))).await;
        let mut numbers: Vec<Value> = many.into_iter().map(|answer| answer.expect(201)["number"].clone()).collect();
        numbers.sort_by_key(ToString::to_string);
        numbers.dedup();
        assert_eq!(numbers.len(), 10);
    });
}

#[test]
fn stale_changes_are_refused_and_one_of_many_is_done() {
    on_both(|app| async move {
        let made = make(&app, json!({"name": "Ada"})).await;
        let path = format!("/v1/ops/customers/{}", made["id"].as_str().unwrap());
        let token = format!("Bearer {}", app.staff());
        let headers = [("Authorization", token.as_str()), ("If-Match", "\"v1\"")];
        let bodies: Vec<Value> = (0..6).map(|n| json!({"phone": format!("+49 {n}")})).collect();
        let changes = join_all(bodies.iter().map(|body| app.send("PATCH", &path, &headers, Some(body)))).await;
        assert_eq!(changes.iter().filter(|answer| answer.status == 200).count(), 1);
        assert_eq!(changes.iter().filter(|answer| answer.status == 412).count(), 5);
        let late = app.send("PATCH", &path, &headers, Some(&json!({"name": "Late"}))).await;
        assert_eq!(late.problem(412, "version_stale")["version"], 2);
        // Addresses that many add at once are all kept.
        let entry = json!({ "address": berlin() });
        let adding = format!("/customers/{}/addresses", made["id"].as_str().unwrap());
        join_all((0..6).map(|_| app.ops("POST", &adding, Some(&entry)))).await.into_iter().for_each(|answer| {
            answer.expect(201);
        });
        let kept = app.ops("GET", &path.replace("/v1/ops", ""), None).await.expect(200);
        let addresses = kept["addresses"].as_array().unwrap();
        assert_eq!(addresses.len(), 6);
        assert_eq!(addresses.iter().filter(|entry| entry["default_shipping"] == true).count(), 1);
    });
}

#[test]
fn concurrent_first_sign_ins_make_one_customer() {
    on_both(|app| async move {
        let key = a_key(&app).await;
        let ada = Visitor::new(&app, &key, "ada", None);
        let bob = Visitor::new(&app, &key, "bob", Some(("bob@example.org", true)));
        let calls = (0..10).flat_map(|_| [ada.clone(), bob.clone()]);
        let seen = join_all(calls.map(|visitor| async move { visitor.me().await })).await;
        let ids = |place: usize| {
            let mut ids: Vec<String> = seen.iter().skip(place).step_by(2).map(|me| me["id"].to_string()).collect();
            ids.sort();
            ids.dedup();
            ids
        };
        assert_eq!((ids(0).len(), ids(1).len()), (1, 1));
        assert_ne!(ids(0), ids(1));
        assert_eq!(count(&app).await, 2);
        assert_eq!((&bob.me().await["email"], &ada.me().await["email"]), (&json!("bob@example.org"), &Value::Null));
    });
}

#[test]
fn a_verified_address_links_one_customer_and_no_other() {
    on_both(|app| async move {
        let key = a_key(&app).await;
        let old = make(&app, json!({"name": "Ada", "email": "Ada@Example.org"})).await;
        // Not verified, another address, and a letter that only looks like one: nobody is linked.
        let kelvin = make(&app, json!({"email": "kim@example.org"})).await;
        let strangers = [
            ("s1", ("ada@example.org", false)),
            ("s2", ("ada@example.com", true)),
            ("s3", ("\u{212a}im@example.org", true)),
        ];
        for (subject, email) in strangers {
            let me = Visitor::new(&app, &key, subject, Some(email)).me().await;
            assert!(me["id"] != old["id"] && me["id"] != kelvin["id"], "{subject}");
        }
        // Two sign-ins with the address at once: one gets the customer, the other one of their own.
        let visitors = ["a", "b"].map(|subject| Visitor::new(&app, &key, subject, Some(("ada@example.ORG", true))));
        let calls = (0..12).map(|n| visitors[n % 2].clone());
        let seen = join_all(calls.map(|visitor| async move { visitor.me().await["id"].clone() })).await;
        assert!(seen.iter().step_by(2).all(|id| *id == seen[0]));
        assert!(seen.iter().skip(1).step_by(2).all(|id| *id == seen[1]));
        assert_eq!([&seen[0], &seen[1]].iter().filter(|id| ***id == old["id"]).count(), 1);
        let linked = app.ops("GET", &format!("/customers/{}", old["id"].as_str().unwrap()), None).await.expect(200);
        assert_eq!((&linked["name"], &linked["number"]), (&json!("Ada"), &old["number"]));
        assert!(["a", "b"].contains(&linked["login"]["subject"].as_str().unwrap()));
        // Where two customers have the address, neither is meant.
        let twins = [
            make(&app, json!({"email": "twin@example.org"})).await,
            make(&app, json!({"email": "twin@example.org"})).await,
        ];
        let me = Visitor::new(&app, &key, "twin", Some(("twin@example.org", true))).me().await;
        assert!(twins.iter().all(|twin| twin["id"] != me["id"]));
    });
}

#[test]
fn customers_keep_their_own_profile_and_addresses() {
    on_both(|app| async move {
        let key = a_key(&app).await;
        let (ada, eve) = (Visitor::new(&app, &key, "ada", None), Visitor::new(&app, &key, "eve", None));
        app.send("GET", "/v1/store/me", &[("Channel-Key", &key)], None).await.problem(401, "unauthenticated");
        // The first use may be a write.
        let me = ada.send("PATCH", "", None, Some(&json!({"name": "Ada", "marketing_email": true}))).await;
        assert_eq!(me.header("ETag"), Some("\"v2\""));
        let me = me.expect(200);
        assert_eq!((&me["name"], &me["consent"]["marketing_email"]["granted"]), (&json!("Ada"), &json!(true)));
        assert!(me.get("group").is_none() && me.get("login").is_none());
        ada.send("PATCH", "", Some("\"v1\""), Some(&json!({"name": "Late"}))).await.problem(412, "version_stale");
        ada.send("PATCH", "", None, Some(&json!({"email": "x@example.org"}))).await.problem(422, "unknown_field");
        let first = ada.send("POST", "/addresses", None, Some(&json!({ "address": berlin() }))).await.expect(201);
        let second = json!({"address": berlin(), "default_billing": true});
        let second = ada.send("POST", "/addresses", None, Some(&second)).await.expect(201);
        let id = |book: &Value, place: usize| book["addresses"][place]["id"].as_str().unwrap().to_owned();
        assert_eq!(second["addresses"][0]["default_billing"], false);
        // Nobody reaches another's address.
        let path = format!("/addresses/{}", id(&first, 0));
        eve.send("PATCH", &path, None, Some(&json!({"default_billing": true}))).await.problem(404, "not_found");
        eve.send("DELETE", &path, None, None).await.problem(404, "not_found");
        let mut bonn = berlin();
        bonn["city"] = json!("Bonn");
        let moved = ada.send("PATCH", &path, None, Some(&json!({"address": bonn, "default_billing": true}))).await;
        let moved = moved.expect(200);
        assert_eq!(moved["addresses"][0]["address"]["city"], "Bonn");
        assert_eq!(moved["addresses"][1]["default_billing"], false);
        let left = ada.send("DELETE", &path, None, None).await.expect(200);
        assert_eq!((left["addresses"].as_array().unwrap().len(), id(&left, 0)), (1, id(&second, 1)));
        assert!(eve.me().await["addresses"].as_array().unwrap().is_empty());
        assert_eq!(ada.me().await, left);
        // Staff change a customer who has a sign-in, and the sign-in stays.
        let path = format!("/customers/{}", left["id"].as_str().unwrap());
        let changed = app.ops("PATCH", &path, Some(&json!({"group": "trade"}))).await.expect(200);
        assert_eq!(changed["login"]["subject"], "ada");
        assert_eq!(ada.me().await["id"], left["id"]);
    });
}

#[test]
fn staff_order_for_a_customer_and_the_order_is_theirs() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let ada = make(&app, json!({"name": "Ada Lovelace", "email": "ada@example.org"})).await;
        let bob = make(&app, json!({"name": "Bob"})).await;
        let lines = json!([{"sku": "TEE", "quantity": 1}]);
        let cart = |customer: &Value| {
            json!({
                "channel_id": shop.channel, "customer_id": customer, "lines": lines, "email": "ada@example.org",
                "shipping_address": address(), "shipping_method": "standard"
            })
        };
        let made = app.ops("POST", "/carts", Some(&cart(&ada["id"]))).await.expect(201);
        // A customer's cart is not opened by a guest's token.
        assert_eq!((&made["customer_id"], &made["token"]), (&ada["id"], &Value::Null));
        let path = format!("/carts/{}", made["id"].as_str().unwrap());
        let pay = json!({"payment": {"method": "manual"}});
        let order = app.ops("POST", &format!("{path}/complete"), Some(&pay)).await.expect(201)["order"].clone();
        assert_eq!(order["customer_id"], ada["id"]);
        let orders_of = async |customer: &Value| {
            let path = format!("/customers/{}/orders", customer["id"].as_str().unwrap());
            app.ops("GET", &path, None).await.expect(200)["items"].clone()
        };
        assert_eq!(orders_of(&ada).await[0]["number"], order["number"]);
        assert_eq!(orders_of(&bob).await, json!([]));
        // They find it themselves as soon as they sign in.
        let visitor = Visitor::new(&app, &shop.key, "ada", Some(("ada@example.org", true)));
        assert_eq!(visitor.me().await["id"], ada["id"]);
        let own = visitor.send("GET", "/orders", None, None).await.expect(200);
        assert_eq!(own["items"][0]["id"], order["id"]);

        // A cart changes hands, and ends as a guest's again.
        let guest = app.ops("POST", "/carts", Some(&cart(&Value::Null))).await.expect(201);
        let path = format!("/carts/{}", guest["id"].as_str().unwrap());
        let change = async |customer: &Value| app.ops("PATCH", &path, Some(&json!({"customer_id": customer}))).await;
        assert_eq!(change(&bob["id"]).await.expect(200)["customer_id"], bob["id"]);
        assert_eq!(
            app.ops("PATCH", &path, Some(&json!({"device": "app"}))).await.expect(200)["customer_id"],
            bob["id"]
        );
        assert_eq!(change(&Value::Null).await.expect(200)["customer_id"], Value::Null);
    });
}

#[test]
fn nobody_is_named_as_a_customer_who_is_none_or_by_whom_may_not() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let ada = make(&app, json!({"name": "Ada Lovelace"})).await;
        let nobody = json!("cust_00000000000000000000000000");
        let kind = ada["id"].as_str().unwrap().split('_').next().unwrap().to_owned();
        let nobody = json!(nobody.as_str().unwrap().replace("cust", &kind));
        let cart = |customer: &Value| json!({"channel_id": shop.channel, "customer_id": customer});
        let made = app.ops("POST", "/carts", Some(&json!({"channel_id": shop.channel}))).await.expect(201);
        let path = format!("/carts/{}", made["id"].as_str().unwrap());
        let at = |problem: Value| assert_eq!(problem["pointer"], "/customer_id", "{problem}");
        at(app.ops("POST", "/carts", Some(&cart(&nobody))).await.problem(404, "not_found"));
        at(app.ops("POST", "/carts", Some(&cart(&json!("x")))).await.problem(422, "invalid_value"));
        at(app.ops("PATCH", &path, Some(&json!({"customer_id": nobody}))).await.problem(404, "not_found"));
        let back = json!({"channel_id": shop.channel, "currency": "EUR", "customer_id": nobody,
            "lines": [{"sku": "TEE", "quantity": 1, "unit_price": {"amount": "1.00", "currency": "EUR"}}]});
        at(app.ops("POST", "/returns", Some(&back)).await.problem(404, "not_found"));
        let orders = format!("/customers/{}/orders", nobody.as_str().unwrap());
        app.ops("GET", &orders, None).await.problem(404, "not_found");

        // Who may not read customers does not name one either, and so can not find out who is one.
        let eve = format!("Bearer {}", app.token(Audience::Staff, "eve", &[Scope::OrdersWrite]));
        for customer in [&ada["id"], &nobody] {
            let send = async |method: &str, path: &str, body: &Value| {
                app.send(method, &format!("/v1/ops{path}"), &[("Authorization", &eve)], Some(body)).await
            };
            at(send("POST", "/carts", &cart(customer)).await.problem(403, "scope_missing"));
            at(send("PATCH", &path, &json!({"customer_id": customer})).await.problem(403, "scope_missing"));
        }
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["version"], made["version"]);

        // At the storefront the field is not there.
        let named = json!({"customer_id": ada["id"]});
        at(shop.store("POST", "/carts", None, Some(&named)).await.problem(422, "unknown_field"));
        let guest = shop.cart(&[("TEE", 1)]).await;
        let path = format!("/carts/{}", guest.id);
        for change in [named, json!({"customer_id": null})] {
            at(shop.store("PATCH", &path, Some(&guest.token), Some(&change)).await.problem(422, "unknown_field"));
        }
    });
}
