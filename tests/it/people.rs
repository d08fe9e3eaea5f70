//! All that is known of somebody, and whatever somebody quotes.

use kontor::{
    db::{Doc, DocSql, Tx, sql},
    http::auth::Audience,
    kernel::Scope,
};
use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both, shop::address};

async fn search(app: &App, q: &str) -> Vec<(String, String)> {
    let q: String = url::form_urlencoded::byte_serialize(q.as_bytes()).collect();
    let found = app.ops("GET", &format!("/search?q={q}"), None).await.expect(200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    found["items"].as_array().unwrap().iter().map(|hit| (text(&hit["kind"]), text(&hit["id"]))).collect()
}

/// An order by staff for a customer, or for a guest.
async fn order(shop: &Shop, customer: Option<&str>, email: &str, quantity: i64) -> Value {
    let mut cart = json!({"channel_id": shop.channel, "lines": [{"sku": "TEE", "quantity": quantity}], "email": email,
        "shipping_method": "standard", "shipping_address": address()});
    if let Some(customer) = customer {
        cart["customer_id"] = json!(customer);
    }
    let cart = shop.app.ops("POST", "/carts", Some(&cart)).await.expect(201);
    let pay = json!({"payment": {"method": "manual"}});
    let path = format!("/carts/{}/complete", cart["id"].as_str().unwrap());
    shop.app.ops("POST", &path, Some(&pay)).await.expect(201)["order"].clone()
}

#[test]
fn all_that_is_known_of_somebody_is_one_answer() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 100)]).await;
        let rules = json!({"rules": [], "hold_at": 60});
        app.ops("PUT", &format!("/risk/profiles/{}", shop.channel), Some(&rules)).await.expect(200);
        let ada =
            json!({"name": "Ada Lovelace", "email": "ada@example.org", "marketing_email": true, "address": address()});
        let ada = app.ops("POST", "/customers", Some(&ada)).await.expect(201);
        let id = ada["id"].as_str().unwrap();
        let path = format!("/customers/{id}/overview");
        let empty = app.ops("GET", &path, None).await.expect(200);
        assert_eq!((&empty["orders"]["placed"], &empty["orders"]["lifetime_value"]), (&json!(0), &json!([])));
        order(&shop, Some(id), "ada@example.org", 1).await;
        let second = order(&shop, Some(id), "ada@example.org", 2).await;
        let gone = order(&shop, Some(id), "ada@example.org", 3).await;
        let cancel = json!({"reason": "changed their mind"});
        let gone = gone["id"].as_str().unwrap();
        app.ops("POST", &format!("/orders/{gone}/cancel"), Some(&cancel)).await.expect(200);
        order(&shop, None, "Ada@example.org", 4).await;
        let basket = json!({"channel_id": shop.channel, "customer_id": id, "lines": [{"sku": "TEE", "quantity": 1}]});
        app.ops("POST", "/carts", Some(&basket)).await.expect(201);
        let credit = json!({"amount": {"amount": "7.00", "currency": "EUR"}, "reason": "goodwill"});
        app.ops("POST", &format!("/customers/{id}/store-credit"), Some(&credit)).await;

        let all = app.ops("GET", &path, None).await.expect(200);
        let orders = &all["orders"];
        assert_eq!((&orders["placed"], &orders["cancelled"]), (&json!(2), &json!(1)), "{all}");
        let value = &orders["lifetime_value"][0];
        // Two and one of 10.00 with shipping of 4.90.
        assert_eq!(
            (&value["total"]["amount"], &value["orders"], &value["cancelled"]),
            (&json!("39.80"), &json!(2), &json!(1))
        );
        assert_eq!(orders["latest"].as_array().unwrap().len(), 3);
        assert_eq!(orders["latest"][1]["id"], second["id"]);
        assert_eq!(
            (all["baskets"].as_array().unwrap().len(), &all["customer"]["consent"]["marketing_email"]["granted"]),
            (1, &json!(true))
        );
        assert_eq!(all["risk"][0]["checkouts"], 4, "the guest's too, by the address: {all}");
        assert_eq!(all["returns"]["returns"], 0);

        let guest = json!({"email": "ADA@example.org"});
        let guest = app.ops("POST", "/guests/overview", Some(&guest)).await.expect(200);
        assert_eq!((&guest["orders"]["placed"], &guest["customers"]), (&json!(1), &json!([id])), "{guest}");

        // What a scope is missing for is left out.
        let token = format!("Bearer {}", app.token(Audience::Staff, "bob", &[Scope::CustomersRead]));
        let headers = [("Authorization", token.as_str())];
        let less = app.send("GET", &format!("/v1/ops{path}"), &headers, None).await.expect(200);
        assert!(less.get("orders").is_none() && less.get("risk").is_none() && less.get("customer").is_some());
        assert!(less.get("baskets").is_none() && less.get("credit").is_none(), "{less}");
        app.ops("GET", "/customers/cust_01h455vb4pex5vsknk084sn02q/overview", None).await.problem(404, "not_found");
    });
}

#[test]
fn an_overview_costs_the_same_for_one_order_and_for_many() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 100)]).await;
        let ada =
            app.ops("POST", "/customers", Some(&json!({"name": "Ada", "email": "ada@example.org"}))).await.expect(201);
        let id = ada["id"].as_str().unwrap().to_owned();
        let own = kontor::db::Db::open_unmigrated(kontor::db::Options {
            connections: 2,
            ..kontor::db::Options::new(app.database_url.clone())
        });
        let own = own.unwrap();
        let count = async || {
            let before = own.stats().statements;
            let (id, now, secret) = (id.parse().unwrap(), app.now(), app.state.secret.clone());
            let actor = kontor::kernel::Actor::Staff(kontor::kernel::actor::Principal {
                subject: "ada".into(),
                credential: None,
                scopes: Scope::ALL.to_vec(),
                channels: None,
                locations: None,
                money_ceiling: None,
                countersigned: false,
                key: None,
            });
            own.read(move |tx| kontor::people::overview_of(tx, (now, &actor), secret, id).map(|_| ())).await.unwrap();
            own.stats().statements - before
        };
        let few = count().await;
        for _ in 0..5 {
            order(&shop, Some(&id), "ada@example.org", 1).await;
        }
        assert_eq!(count().await, few);
        assert!(few <= 14, "{few}");
        println!("statements of an overview: {few}");
    });
}

#[test]
fn whatever_somebody_quotes_is_found() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 100)]).await;
        let ada = json!({"name": "Ada Lovelace", "email": "ada@example.org", "address": address()});
        let ada = app.ops("POST", "/customers", Some(&ada)).await.expect(201);
        let id = ada["id"].as_str().unwrap().to_owned();
        let order = order(&shop, Some(&id), "ada@example.org", 1).await;
        let (order_id, number) = (order["id"].as_str().unwrap(), order["number"].as_str().unwrap());
        let is = |hits: &[(String, String)], kind: &str, id: &str| hits.contains(&(kind.to_owned(), id.to_owned()));
        for q in [number, order_id, "ada@example.org", "Lovelace", "+49 30 1234567", "030 1234567"] {
            assert!(is(&search(&app, q).await, "order", order_id) || q == "Lovelace", "{q}");
        }
        for q in ["ADA@example.org", "Ada Love", ada["number"].as_str().unwrap(), &id] {
            assert!(is(&search(&app, q).await, "customer", &id), "{q}");
        }
        let cart = shop.cart(&[("TEE", 1)]).await;
        assert!(is(&search(&app, &cart.id).await, "cart", &cart.id));
        let card = json!({"amount": {"amount": "5.00", "currency": "EUR"}, "code": "DEMO-GIFT-CARD-2026-FIFTY"});
        let card = app.ops("POST", "/gift-cards", Some(&card)).await.expect(201);
        let end = card["code_end"].as_str().unwrap_or("IFTY").to_lowercase();
        assert!(search(&app, &end).await.iter().any(|(kind, _)| kind == "gift_card"), "{end} {card}");
        assert!(search(&app, "nothing like that").await.is_empty());
        let long = "x".repeat(201);
        app.ops("GET", &format!("/search?q={long}"), None).await.problem(400, "invalid_query");
        // Who may not read customers finds none of them.
        let token = format!("Bearer {}", app.token(Audience::Staff, "bob", &[Scope::OrdersRead]));
        let headers = [("Authorization", token.as_str())];
        let found = app.send("GET", "/v1/ops/search?q=ada@example.org", &headers, None).await.expect(200);
        assert!(found["items"].as_array().unwrap().iter().all(|hit| hit["kind"] == "order"), "{found}");
    });
}

#[test]
fn customers_whom_an_older_version_has_written_are_found_by_their_phone_number_too() {
    on_both(|app| async move {
        let ada = json!({"name": "Ada", "phone": "+49 40 765432-1"});
        let ada = app.ops("POST", "/customers", Some(&ada)).await.expect(201);
        let found = vec![("customer".to_owned(), ada["id"].as_str().unwrap().to_owned())];
        assert_eq!(search(&app, "040 7654321").await, found);
        let older = |tx: &mut Tx| {
            let Doc(mut doc) = sql("SELECT doc FROM customers").first::<DocSql, Doc<Value>>(tx)?.unwrap();
            assert!(doc.as_object_mut().unwrap().remove("phone_digits").is_some());
            sql("UPDATE customers SET doc = ?").bind(Doc(doc)).execute(tx).map(|_| ())
        };
        app.state.db.write(older).await.unwrap();
        assert!(search(&app, "040 7654321").await.is_empty());
        for _ in 0..2 {
            kontor::customers::note_phones(&app.state).await.unwrap();
            assert_eq!(search(&app, "040 7654321").await, found);
        }
        let path = format!("/customers/{}", ada["id"].as_str().unwrap());
        assert_eq!(app.ops("GET", &path, None).await.expect(200), ada);
    });
}

#[test]
fn all_that_is_kept_is_given_out_and_nothing_is_left_after_an_erasure() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 100)]).await;
        let rules = json!({"rules": [], "hold_at": 60});
        app.ops("PUT", &format!("/risk/profiles/{}", shop.channel), Some(&rules)).await.expect(200);
        let ada = json!({"name": "Ada Lovelace", "email": "ada@example.org", "address": address()});
        let ada = app.ops("POST", "/customers", Some(&ada)).await.expect(201);
        let id = ada["id"].as_str().unwrap().to_owned();
        for _ in 0..3 {
            let order = order(&shop, Some(&id), "ada@example.org", 1).await;
            let path = format!("/orders/{}", order["id"].as_str().unwrap());
            let note = json!({"text": "Lovelace has called"});
            app.ops("POST", &format!("{path}/notes"), Some(&note)).await.expect(201);
            app.ops("POST", &format!("{path}/cancel"), Some(&json!({"reason": "x"}))).await.expect(200);
        }
        let basket = json!({"channel_id": shop.channel, "customer_id": id, "email": "ada@example.org",
            "lines": [{"sku": "TEE", "quantity": 1}]});
        let cart = app.ops("POST", "/carts", Some(&basket)).await.expect(201);
        let draft = json!({"cart_id": cart["id"], "contact": "phone", "note": "Lovelace calls back"});
        app.ops("POST", "/drafts", Some(&draft)).await.expect(201);
        eventually("events have their places", || async {
            app.count("SELECT count(*) FROM events WHERE position IS NULL").await == 0
        })
        .await;
        let (mut kinds, mut cursor) = (std::collections::BTreeMap::<String, usize>::new(), String::new());
        loop {
            let path = format!("/customers/{id}/export?limit=2{cursor}");
            let page = app.ops("GET", &path, None).await.expect(200);
            for record in page["items"].as_array().unwrap() {
                *kinds.entry(record["kind"].as_str().unwrap().to_owned()).or_default() += 1;
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let of = |kind: &str| kinds.get(kind).copied().unwrap_or_default();
        assert_eq!((of("customer"), of("order"), of("cart"), of("risk")), (1, 3, 4, 3), "{kinds:?}");
        assert_eq!(of("order_note"), 3, "{kinds:?}");
        assert!(of("event") >= 1, "{kinds:?}");
        let guest = json!({"email": "ada@example.org", "limit": 1});
        let none = app.ops("POST", "/guests/export", Some(&guest)).await.expect(200);
        assert!(none["items"].as_array().unwrap().is_empty(), "{none}");

        let words = json!({"words": ["ADA@example.org", "Lovelace", "Invalidenstr"]});
        let hits = async || {
            let (mut hits, mut cursor) = (Vec::new(), Value::Null);
            loop {
                let mut asked = words.clone();
                if !cursor.is_null() {
                    asked["cursor"] = cursor;
                }
                let told = app.ops("POST", "/erasure/scan", Some(&asked)).await.expect(200);
                hits.extend(told["hits"].as_array().unwrap().clone());
                cursor = told["next_cursor"].clone();
                if cursor.is_null() {
                    return hits;
                }
            }
        };
        assert!(hits().await.iter().any(|hit| hit["table"] == "orders" && hit["column"] == "email_folded"));
        eventually("they are erased", || async {
            app.ops("POST", &format!("/customers/{id}/erase"), None).await.status == 200
        })
        .await;
        eventually("nothing is left", || async { hits().await.is_empty() }).await;
        let short = json!({"words": ["ada"]});
        let told = app.ops("POST", "/erasure/scan", Some(&short)).await.problem(422, "invalid_value");
        assert_eq!(told["pointer"], "/words/0");
    });
}
