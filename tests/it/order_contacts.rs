//! Orders of several deliveries: found by the name, postcode and phone of each, and told by none of them after an erasure.

use kontor::{http::auth::Audience, kernel::Scope, orders::note_contacts};
use serde_json::{Value, json};

use crate::support::{App, Cart, Shop, eventually, on_both, on_both_idle, shop::address, world::dump};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// Somebody to whom a part of an order goes.
fn person(name: &str, postcode: &str, phone: &str) -> Value {
    json!({"name": name, "street1": "Marktstr. 1", "postcode": postcode, "city": "Bremen", "country": "DE", "phone": phone})
}

async fn put(shop: &Shop, cart: &Cart, deliveries: Value) {
    let path = format!("/carts/{}/deliveries", cart.id);
    shop.store("PUT", &path, Some(&cart.token), Some(&json!({ "deliveries": deliveries }))).await.expect(200);
}

/// An order of three tees: one home, and one to each of two others.
async fn order(shop: &Shop, others: [&Value; 2]) -> Value {
    let cart = shop.cart(&[("TEE", 3)]).await;
    let further = |key: &str, address: &Value| json!({"key": key, "address": address, "method": "standard", "lines": [{"line_no": 1, "quantity": 1}]});
    put(shop, &cart, json!([{"key": "home"}, further("first", others[0]), further("second", others[1])])).await;
    shop.complete(&cart, "approve").await.expect(201)["order"].clone()
}

/// The numbers of the orders that a search finds, which are as many as it counts.
async fn found(app: &App, query: &str) -> Vec<String> {
    let page = app.ops("GET", &format!("/orders?count=capped&{query}"), None).await.expect(200);
    let numbers: Vec<String> =
        page["items"].as_array().unwrap().iter().map(|order| text(&order["number"]).to_owned()).collect();
    assert_eq!(page["count"].as_u64().unwrap(), numbers.len() as u64, "{query}");
    numbers
}

#[test]
fn an_order_is_found_by_each_of_its_addresses() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        let granny = person("Änne Müller", "28195", "0421 7701");
        let uncle = person("Otto Bär", "20095", "040 8802");
        let both = text(&order(&shop, [&granny, &uncle]).await["number"]).to_owned();
        let plain = text(&shop.order(&[("TEE", 1)]).await["number"]).to_owned();
        // Two to the same person, in one order.
        let twice = text(&order(&shop, [&granny, &granny]).await["number"]).to_owned();
        let all = [&twice, &plain, &both];
        for (query, expected) in [
            ("name=Anne%20Mueller", &[&twice, &both][..]),
            ("q=%C3%84nne", &[&twice, &both]),
            ("name=otto", &[&both]),
            ("postcode=20095", &[&both]),
            ("postcode=28%20195", &[&twice, &both]),
            ("phone=%2B49%20421%207701", &[&twice, &both]),
            ("q=040-8802", &[&both]),
            // Of one and the same address.
            ("postcode=20095&name=muller", &[]),
            ("postcode=28195&name=muller", &[&twice, &both]),
            ("phone=0408802&name=otto", &[&both]),
            ("phone=0408802&name=anne", &[]),
            // Beside something else.
            (&format!("number={both}&name=otto"), &[&both]),
            (&format!("number={twice}&name=otto"), &[]),
            ("email=ada@example.org&postcode=28195", &[&twice, &both]),
            ("email=ada@example.org&postcode=10115", &all),
            ("sku=TEE&phone=04217701", &[&twice, &both]),
            ("sku=MUG&phone=04217701", &[]),
            ("state=placed&name=anne", &[&twice, &both]),
            ("state=cancelled&name=anne", &[]),
            ("postcode=10115", &all),
            ("name=nobody", &[]),
            (&format!("channel_id={}&postcode=20095", shop.channel), &[&both]),
        ] {
            let expected: Vec<String> = expected.iter().map(|number| (*number).clone()).collect();
            assert_eq!(found(&app, query).await, expected, "{query}");
        }
        // Page by page, each once.
        for query in ["postcode=28195", "postcode=10115", "phone=04217701", "name=ada"] {
            let (mut paged, mut cursor) = (Vec::new(), String::new());
            loop {
                let path = format!("/orders?limit=1&{query}{cursor}");
                let page = app.ops("GET", &path, None).await.expect(200);
                paged.extend(page["items"].as_array().unwrap().iter().map(|order| text(&order["number"]).to_owned()));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(paged, found(&app, query).await, "{query}");
        }
        // Whoever sees other channels only finds nothing.
        let mut claims = app.claims(Audience::Staff, "eve", "orders:read");
        claims.channels = Some(vec!["chan_01h455vb4pex5vsknk084sn02q".parse().unwrap()]);
        let eve = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let page = app.send("GET", "/v1/ops/orders?postcode=28195", &[("Authorization", &eve)], None).await.expect(200);
        assert_eq!(page["items"], json!([]));
    });
}

#[test]
fn what_an_older_process_has_placed_is_found_afterwards() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        let (granny, uncle) = (person("Anne Byron", "28195", "0421 7701"), person("Otto Baer", "20095", "040 8802"));
        let number = text(&order(&shop, [&granny, &uncle]).await["number"]).to_owned();
        shop.order(&[("TEE", 1)]).await;
        let forget = |tx: &mut kontor::db::Tx| kontor::db::sql("DELETE FROM order_contacts").execute(tx);
        assert_eq!(app.state.db.write(forget).await.unwrap(), 2);
        assert_eq!(found(&app, "postcode=20095").await, Vec::<String>::new());
        for _ in 0..2 {
            note_contacts(&app.state).await.unwrap();
            assert_eq!(found(&app, "postcode=20095").await, std::slice::from_ref(&number));
            assert_eq!(found(&app, "name=anne").await, std::slice::from_ref(&number));
            assert_eq!(app.count("SELECT count(*) FROM order_contacts").await, 2);
        }
        // Nor is what one has erased found any longer than that.
        let erase =
            "UPDATE orders SET email_folded = NULL, name_folded = '', postcode_folded = NULL, phone_digits = NULL";
        app.state.db.write(move |tx| kontor::db::sql(erase).execute(tx)).await.unwrap();
        assert_eq!(found(&app, "postcode=20095").await.len(), 1);
        note_contacts(&app.state).await.unwrap();
        assert_eq!(found(&app, "postcode=20095").await, Vec::<String>::new());
        assert_eq!(app.count("SELECT count(*) FROM order_contacts").await, 2);
    });
}

/// What tells who Grace and those are to whom she has sent something.
const PERSONAL: [&str; 8] = ["race", "opper", "28195", "20095", "4217701", "421 7701", "408802", "Byron"];

/// The rows of the database that do.
async fn traces(app: &App) -> Vec<String> {
    let rows =
        dump(app).await.into_iter().flat_map(|(table, rows)| rows.into_iter().map(move |row| (table.clone(), row)));
    let told = rows.filter(|(_, row)| PERSONAL.iter().any(|word| row.contains(word)));
    told.map(|(table, row)| format!("{table}: {row}")).collect()
}

#[test]
fn nothing_tells_after_an_erasure_to_whom_the_parts_of_an_order_went() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        let mut claims = app.claims(Audience::Customer, "grace-17", "");
        (claims.email, claims.email_verified) = (Some("grace@example.org".to_owned()), Some(true));
        let grace = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let headers = [("Channel-Key", shop.key.as_str()), ("Authorization", grace.as_str())];
        let send = async |method: &str, path: &str, body: Option<&Value>| {
            app.send(method, &format!("/v1/store{path}"), &headers, body).await
        };
        let wish = json!({"lines": [{"sku": "TEE", "quantity": 3}], "email": "grace@example.org",
            "shipping_method": "standard", "shipping_address": address()});
        let (granny, uncle) = (person("Anne Byron", "28195", "0421 7701"), person("Otto Hopper", "20095", "040 8802"));
        let further = |key: &str, address: &Value| json!({"key": key, "address": address, "method": "standard", "lines": [{"line_no": 1, "quantity": 1}]});
        let deliveries = json!({"deliveries": [{"key": "Grace Hopper"}, further("Mrs Byron", &granny), further("Otto Hopper", &uncle)]});
        // Whose first has nothing is known by its second.
        let cart = send("POST", "/carts", Some(&wish)).await.expect(201);
        let kept = format!("/carts/{}", text(&cart["id"]));
        send("PUT", &format!("{kept}/deliveries"), Some(&deliveries)).await.expect(200);
        let cart = send("POST", "/carts", Some(&wish)).await.expect(201);
        let path = format!("/carts/{}", text(&cart["id"]));
        send("PUT", &format!("{path}/deliveries"), Some(&deliveries)).await.expect(200);
        let pay = json!({"payment": {"method": "sandbox", "instrument": "approve"}});
        let order = send("POST", &format!("{path}/complete"), Some(&pay)).await.expect(201)["order"].clone();
        let order_path = format!("/orders/{}", text(&order["id"]));
        let keys = |of: &Value| -> Vec<String> {
            of.as_array().unwrap().iter().map(|one| text(&one["key"]).to_owned()).collect()
        };
        assert_eq!(keys(&order["deliveries"]), ["Grace Hopper", "Mrs Byron", "Otto Hopper"]);
        // All that is told of the work on the way has the keys in their places.
        let work = app.ops("GET", &format!("{order_path}/fulfilment"), None).await.expect(200);
        let work = work["fulfilment_orders"].as_array().unwrap().clone();
        assert_eq!(work.len(), 3);
        let hold = json!({"kind": "address", "reason": "which floor"});
        let first = format!("/fulfilment-orders/{}", text(&work[0]["id"]));
        let held = app.ops("POST", &format!("{first}/hold"), Some(&hold)).await;
        assert!(held.status < 300, "{}", held.text);
        app.ops("POST", &format!("{first}/release"), Some(&json!({}))).await.expect(200);
        let me = send("GET", "/me", None).await.expect(200);
        let feed = async || {
            // Only numbered events are read; numbering runs beside the requests.
            app.state.db.write(kontor::events::number).await.unwrap();
            let token = format!("Bearer {}", app.token(Audience::Client, "wms", &[Scope::FeedsRead]));
            let page = app.send("GET", "/v1/integration/feeds/all?limit=200", &[("Authorization", &token)], None).await;
            page.expect(200)["items"].as_array().unwrap().clone()
        };
        let called = |items: &[Value]| -> Vec<(String, String)> {
            let of = |item: &Value| {
                Some((text(&item["type"]).to_owned(), item["data"]["delivery"]["key"].as_str()?.to_owned()))
            };
            items.iter().filter_map(of).collect()
        };
        let before = called(&feed().await);
        assert!(before.len() >= 5 && before.iter().all(|(_, key)| deliveries.to_string().contains(key)), "{before:?}");
        let erase = format!("/customers/{}/erase", text(&me["id"]));
        for one in &work {
            let ship = format!("/fulfilment-orders/{}/ship", text(&one["id"]));
            let parcel = app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
            let arrived = format!("/shipments/{}/deliver", text(&parcel["id"]));
            app.ops("POST", &arrived, Some(&json!({}))).await.expect(200);
        }
        eventually("completed", || async {
            app.ops("GET", &order_path, None).await.expect(200)["state"] == "completed"
        })
        .await;
        assert_eq!(found(&app, "postcode=20095").await.len(), 1);
        app.ops("POST", &erase, None).await.expect(200);
        eventually("swept", || async { traces(&app).await.is_empty() }).await;
        assert_eq!(traces(&app).await, Vec::<String>::new());
        for query in ["postcode=20095", "name=anne", "phone=0408802", "name=otto", "q=otto"] {
            assert_eq!(found(&app, query).await, Vec::<String>::new(), "{query}");
        }
        let neutral = ["delivery-1", "delivery-2", "delivery-3"];
        let bare = app.ops("GET", &order_path, None).await.expect(200);
        assert_eq!(keys(&bare["deliveries"]), neutral);
        assert!(bare["deliveries"].as_array().unwrap().iter().all(|one| one["address"].is_null()), "{bare}");
        let work = app.ops("GET", &format!("{order_path}/fulfilment"), None).await.expect(200);
        let mut of_work: Vec<(i64, String)> = work["fulfilment_orders"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["delivery"]["number"].as_i64().unwrap(), text(&one["delivery"]["key"]).to_owned()))
            .collect();
        of_work.sort();
        let expected: Vec<(i64, String)> = (0..).zip(neutral).map(|(number, key)| (number, key.to_owned())).collect();
        assert_eq!(of_work, expected);
        let after = called(&feed().await);
        assert!(
            after.len() >= before.len() && after.iter().all(|(_, key)| neutral.contains(&key.as_str())),
            "{after:?}"
        );
        let cart = app.ops("GET", &kept, None).await.expect(200);
        assert_eq!(keys(&cart["deliveries"]), neutral);
        // Again: nothing is left to do.
        app.ops("POST", &erase, None).await.expect(200);
        let told = feed().await.iter().filter(|item| item["type"] == "order.erased.v1").count();
        assert_eq!(told, 1);
    });
}
