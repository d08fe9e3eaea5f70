//! What others hear of customers: each change once, whoever made it, and nothing personal beside what erasure reaches.

use diesel::sql_types::Text;
use kontor::{db::sql, http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    connectors::connector,
    support::{Answer, App, Deed, Receiver, Shop, eventually, on_both, shop::address},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

async fn feed(app: &App, scopes: &[Scope], path: &str) -> Answer {
    let token = format!("Bearer {}", app.token(Audience::Client, "crm", scopes));
    app.send("GET", &format!("/v1/integration/feeds/{path}"), &[("Authorization", &token)], None).await
}

/// The customers' events from the beginning.
async fn told(app: &App) -> Vec<Value> {
    app.state.db.write(kontor::events::number).await.unwrap();
    let page = feed(app, &[Scope::FeedsRead, Scope::CustomersRead], "customers?limit=200").await.expect(200);
    page["items"].as_array().unwrap().clone()
}

fn kinds(events: &[Value]) -> Vec<(String, i64)> {
    let of = |event: &Value| (text(&event["type"]).to_owned(), event["aggregate_version"].as_i64().unwrap());
    events.iter().map(of).collect()
}

async fn import(app: &App, rows: &[Value]) -> Value {
    let token = format!("Bearer {}", app.token(Audience::Client, "crm", &[Scope::CustomersWrite]));
    let body = rows.iter().map(|row| row.to_string() + "\n").collect();
    let body = Some(("application/x-ndjson", body));
    app.send_text("POST", "/v1/integration/customers", &[("Authorization", &token)], body).await.expect(200)
}

/// Somebody who is signed in looks at their profile.
async fn sign_in(shop: &Shop, subject: &str, email: Option<&str>) -> Value {
    let mut claims = shop.app.claims(Audience::Customer, subject, "");
    (claims.email, claims.email_verified) = (email.map(str::to_owned), Some(email.is_some()));
    let token = format!("Bearer {}", shop.app.state.verifier.issue(claims).unwrap());
    let headers = [("Channel-Key", shop.key.as_str()), ("Authorization", token.as_str())];
    shop.app.send("GET", "/v1/store/me", &headers, None).await.expect(200)
}

#[test]
fn each_change_of_a_customer_is_told_once_and_whole() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        let ada = json!({"name": "Ada", "email": "ada@example.org", "phone": "030 1", "group": "trade", "address": address()});
        let ada = app.ops("POST", "/customers", Some(&ada)).await.expect(201);
        let path = format!("/customers/{}", text(&ada["id"]));
        let changed = app.ops("PATCH", &path, Some(&json!({"name": "Ada King"}))).await.expect(200);
        // What is so already is no change.
        app.ops("PATCH", &path, Some(&json!({"name": "Ada King"}))).await.expect(200);
        let second = json!({"address": address(), "default_billing": true});
        let moved = app.ops("POST", &format!("{path}/addresses"), Some(&second)).await.expect(201);
        let entry = format!("{path}/addresses/{}", text(&moved["addresses"][1]["id"]));
        app.ops("PATCH", &entry, Some(&json!({"default_shipping": true}))).await.expect(200);
        app.ops("DELETE", &entry, None).await.expect(200);
        // What is refused is not told.
        app.ops("POST", "/customers", Some(&json!({"number": ada["number"]}))).await.problem(409, "duplicate");
        let linked = sign_in(&shop, "ada", Some("ada@example.org")).await;
        assert_eq!(linked["id"], ada["id"]);
        sign_in(&shop, "ada", Some("ada@example.org")).await;

        let events = told(&app).await;
        let expected = [("created", 1), ("updated", 2), ("updated", 3), ("updated", 4), ("updated", 5), ("linked", 6)];
        assert_eq!(kinds(&events), expected.map(|(what, version)| (format!("customer.{what}.v1"), version)));
        assert_eq!([&events[0]["data"], &events[1]["data"], &events[2]["data"]], [&ada, &changed, &moved]);
        let now = app.ops("GET", &path, None).await.expect(200);
        assert_eq!((&events[5]["data"], &events[5]["data"]["login"]["subject"]), (&now, &json!("ada")));
        for event in &events {
            assert_eq!((&event["stream"], &event["aggregate_id"]), (&ada["id"], &ada["id"]));
            assert!(event.get("channel_id").is_none(), "{event}");
        }
        assert_eq!((text(&events[0]["actor"]), text(&events[5]["actor"])), ("staff:ada", text(&events[5]["actor"])));

        let eve = sign_in(&shop, "eve", None).await;
        let new = told(&app).await.split_off(6);
        assert_eq!(kinds(&new), [("customer.created.v1".to_owned(), 1)]);
        assert_eq!(new[0]["data"]["id"], eve["id"]);

        // Nothing personal lies where erasure does not reach.
        let data = app.read(|tx| {
            sql("SELECT CAST(data AS TEXT) FROM events WHERE aggregate = 'customer'").load::<Text, String>(tx)
        });
        for data in data.await {
            for personal in ["Ada", "ada@", "030", "10115", "Invaliden", "\"ada\""] {
                assert!(!data.contains(personal), "{personal} in {data}");
            }
        }
    });
}

#[test]
fn an_import_tells_of_what_it_has_changed_and_of_nothing_else() {
    on_both(|app| async move {
        let row = |n: i64, name: &str| json!({"number": format!("K-{n}"), "name": name, "email": format!("k{n}@example.org")});
        let rows: Vec<Value> = (0..120).map(|n| row(n, "Kim")).collect();
        import(&app, &rows).await;
        assert_eq!(kinds(&told(&app).await), vec![("customer.created.v1".to_owned(), 1); 120]);
        // Once more: nothing has changed. Two of them differ, one of these in two rows.
        assert_eq!(import(&app, &rows).await["unchanged"], 120);
        assert_eq!(told(&app).await.len(), 120);
        let report =
            import(&app, &[row(0, "Kai"), row(1, "Kim"), row(2, "Kai"), row(0, "Kaya"), row(120, "Neo")]).await;
        assert_eq!((&report["updated"], &report["unchanged"], &report["created"]), (&json!(3), &json!(1), &json!(1)));
        let new = told(&app).await.split_off(120);
        let mut seen: Vec<(&str, &str, &str)> = new
            .iter()
            .map(|event| (text(&event["data"]["number"]), text(&event["type"]), text(&event["data"]["name"])))
            .collect();
        seen.sort_unstable();
        let expected = [
            ("K-0", "customer.updated.v1", "Kaya"),
            ("K-120", "customer.created.v1", "Neo"),
            ("K-2", "customer.updated.v1", "Kai"),
        ];
        assert_eq!(seen, expected);
        // A rehearsal changes nothing, so it tells of nothing.
        let token = format!("Bearer {}", app.token(Audience::Client, "crm", &[Scope::CustomersWrite]));
        let body = Some(("application/x-ndjson", row(200, "Ghost").to_string()));
        let path = "/v1/integration/customers?dry_run=true";
        app.send_text("POST", path, &[("Authorization", &token)], body).await.expect(200);
        assert_eq!(told(&app).await.len(), 123);
    });
}

#[test]
fn customers_are_told_of_to_those_who_may_read_them() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let receiver = Receiver::start(|_, _| Deed::Answer(200, ""));
        let crm = connector(&app, &receiver, json!({"name": "CRM", "types": ["customer."]})).await;
        let ada = app.ops("POST", "/customers", Some(&json!({"name": "Ada"}))).await.expect(201);
        shop.order(&[("TEE", 1)]).await;
        let arrived = || async { receiver.log.lock().unwrap().len() == 1 };
        eventually("told", arrived).await;
        let body = receiver.log.lock().unwrap()[0].json();
        assert_eq!((&body["type"], &body["data"]), (&json!("customer.created.v1"), &ada));
        assert_eq!(body["partitionkey"], ada["id"]);
        assert_eq!(text(&crm["state"]), "active");
        let adapters = app.ops("GET", "/adapters", None).await.expect(200);
        assert_eq!(adapters["items"][0]["capabilities"]["customer_sink"], true);

        app.state.db.write(kontor::events::number).await.unwrap();
        feed(&app, &[Scope::FeedsRead], "customers").await.problem(403, "scope_missing");
        let all = |page: Value| -> Vec<String> {
            page["items"].as_array().unwrap().iter().map(|item| text(&item["type"]).to_owned()).collect()
        };
        let without = all(feed(&app, &[Scope::FeedsRead], "all?limit=200").await.expect(200));
        let with = all(feed(&app, &[Scope::FeedsRead, Scope::CustomersRead], "all?limit=200").await.expect(200));
        assert!(without.contains(&"order.placed.v1".to_owned()), "{without:?}");
        assert!(!without.iter().any(|kind| kind.starts_with("customer.")), "{without:?}");
        assert_eq!(with.iter().filter(|kind| kind.starts_with("customer.")).count(), 1);
        assert_eq!(with.len(), without.len() + 1);
        // Customers belong to no channel, so whoever is limited to one hears of none.
        let key = json!({"name": "k", "scopes": ["feeds:read", "customers:read"], "channels": [shop.channel]});
        let key = app.ops("POST", "/api-keys", Some(&key)).await.expect(201);
        let token = format!("Bearer {}", text(&key["key"]));
        let page =
            app.send("GET", "/v1/integration/feeds/customers", &[("Authorization", &token)], None).await.expect(200);
        assert_eq!(page["items"], json!([]));
    });
}

#[test]
fn a_connector_gets_customers_only_from_those_who_may_read_them() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        let without = app.token(Audience::Staff, "eve", &[Scope::ConnectorsRead, Scope::ConnectorsWrite]);
        let with = app.token(Audience::Staff, "ida", &[Scope::ConnectorsWrite, Scope::CustomersRead]);
        let call = async |token: &str, method: &str, path: &str, body: Value| {
            let token = format!("Bearer {token}");
            let headers = [("Authorization", token.as_str()), ("Idempotency-Key", &body.to_string())];
            app.send(method, &format!("/v1/ops/connectors{path}"), &headers, Some(&body)).await
        };
        let hook = |name: &str, more: Value| {
            let mut body = json!({"name": name, "adapter": "webhook", "settings": {"url": "https://crm.example.org/"}});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        for (n, types) in [json!([]), json!(["customer."]), json!(["order.", "customer.erased.v1"]), json!(["c"])]
            .into_iter()
            .enumerate()
        {
            let body = hook(&format!("n{n}"), json!({ "types": types }));
            let refused = call(&without, "POST", "", body.clone()).await.problem(403, "scope_missing");
            assert_eq!(
                (&refused["scope"], &refused["pointer"]),
                (&json!("customers:read"), &json!("/types")),
                "{types}"
            );
            assert!(text(&refused["detail"]).contains("name `types`"), "{refused}");
            call(&with, "POST", "", body).await.expect(201);
        }
        // What is nobody's personal data needs no more than before; customers belong to no channel.
        let orders =
            call(&without, "POST", "", hook("orders", json!({"types": ["order.", "cart."]}))).await.expect(201);
        let of_channel = json!({"channels": [shop.channel]});
        let narrow = call(&without, "POST", "", hook("narrow", of_channel)).await.expect(201);
        let path = |connector: &Value| format!("/{}", text(&connector["id"]));
        for (connector, change) in [
            (&orders, json!({"types": []})),
            (&orders, json!({"types": ["order.", "customer.updated"]})),
            (&narrow, json!({"channels": null})),
        ] {
            call(&without, "PATCH", &path(connector), change.clone()).await.problem(403, "scope_missing");
        }
        // Where customers' events go is not for others to say; whether they go, is.
        let all = call(&with, "POST", "", hook("all", json!({}))).await.expect(201);
        let elsewhere = json!({"settings": {"url": "https://eve.example.org/"}});
        call(&without, "PATCH", &path(&all), elsewhere.clone()).await.problem(403, "scope_missing");
        call(&without, "PATCH", &path(&all), json!({"state": "paused"})).await.expect(200);
        call(&without, "PATCH", &path(&all), json!({"state": "active", "name": "every"})).await.expect(200);
        call(&with, "PATCH", &path(&all), elsewhere).await.expect(200);
        call(&without, "PATCH", &path(&all), json!({"types": ["stock."]})).await.expect(200);
    });
}

#[test]
fn a_connector_is_told_which_types_there_are() {
    let schemas = kontor::api::event_schemas();
    let mut known: Vec<&str> = schemas.iter().map(|schema| schema.kind).collect();
    known.sort_unstable();
    assert_eq!(known, kontor::exports::TYPES, "the list is that of the events with a schema");
    on_both(|app| async move {
        for (types, place) in [(json!(["order.", "order.nonsense"]), 1), (json!(["order.placed.v1."]), 0)] {
            let body = json!({"name": "ERP", "adapter": "webhook", "settings": {"url": "https://erp.example.org/"}, "types": types});
            let refused = app.ops("POST", "/connectors", Some(&body)).await.problem(422, "invalid_value");
            assert_eq!(refused["pointer"], format!("/types/{place}"));
            assert_eq!(refused["types"], json!(kontor::exports::TYPES));
            assert!(
                text(&refused["detail"]).contains(
                    "cart., claim., company., company_credit., countersign_request., credit_note., customer., dispute., dock_match., fulfilment_order., inbound_shipment., invoice., order."
                ),
                "{refused}"
            );
        }
        let body = json!({"name": "ERP", "adapter": "webhook", "settings": {"url": "https://erp.example.org/"}, "types": ["order.pl"]});
        app.ops("POST", "/connectors", Some(&body)).await.expect(201);
    });
}
