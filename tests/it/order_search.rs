//! Orders are found by whatever a caller knows, page by page, with as many statements among many as among few.

use std::collections::BTreeSet;

use kontor::{
    http::auth::Audience,
    kernel::{Id, Scope},
};
use serde_json::{Value, json};

use crate::support::{App, Shop, on_both, on_both_idle};

/// A second channel beside the shop's, in which staff order.
async fn another_channel(app: &App) -> String {
    let known = app.ops("GET", "/channels", None).await.expect(200)["items"][0].clone();
    let channel = json!({
        "code": "second", "name": "Second", "legal_entity_id": known["legal_entity_id"],
        "settings": {
            "currencies": ["EUR"], "locales": ["de-DE"], "countries": ["DE", "AT"], "time_zone": "Europe/Berlin",
            "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"},
            "payment_methods": ["manual"]
        }
    });
    let channel = app.ops("POST", "/channels", Some(&channel)).await.expect(201)["id"].as_str().unwrap().to_owned();
    let free = json!({"channel_id": channel, "code": "standard", "name": "Parcel", "tax_class": "standard",
        "rates": [{"price": {"amount": "0", "currency": "EUR"}}]});
    app.ops("POST", "/shipping-methods", Some(&free)).await.expect(201);
    channel
}

/// An order made by staff; gives its number.
async fn order(app: &App, channel: &str, name: &str, skus: &[&str], place: u32) -> String {
    let lines: Vec<Value> =
        skus.iter().map(|sku| json!({"sku": sku, "quantity": 1, "metadata": {"of": sku.len()}})).collect();
    // Two lines of one article stay apart by what is noted on them.
    let lines: Vec<Value> = lines
        .into_iter()
        .enumerate()
        .map(|(no, mut line)| {
            line["metadata"] = json!({"no": no});
            line
        })
        .collect();
    let email = format!("{}@example.org", name.split(' ').next().unwrap().to_lowercase());
    let cart = json!({
        "channel_id": channel, "lines": lines, "email": email, "shipping_method": "standard",
        "shipping_address": {"name": name, "street1": "Weg 1", "postcode": "10115", "city": "Berlin", "country": "DE",
            "phone": format!("030 55{place}")},
        "occurred_at": format!("2026-02-0{}T10:00:00Z", 1 + place % 9),
        "reference": {"system": "old", "value": format!("OLD-{place}")},
    });
    let cart = app.ops("POST", "/carts", Some(&cart)).await.expect(201);
    let path = format!("/carts/{}/complete", cart["id"].as_str().unwrap());
    let done = app.ops("POST", &path, Some(&json!({"payment": {"method": "manual"}}))).await.expect(201);
    done["order"]["number"].as_str().unwrap().to_owned()
}

fn numbers(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|order| order["number"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn orders_are_found_by_whatever_a_caller_knows() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50), ("MUG", "12.50", 50)]).await;
        let second = another_channel(&app).await;
        let one = shop.channel.as_str();
        let ada = order(&app, one, "Ada Löwe", &["TEE", "TEE"], 1).await;
        let bob = order(&app, one, "Bob Müller", &["MUG"], 2).await;
        let cy = order(&app, &second, "Cy Mueller", &["TEE"], 3).await;
        let dan = order(&app, &second, "Dan Adamas", &["MUG", "TEE"], 4).await;
        // One has left and is paid, one is cancelled.
        let report = |number: &str, what: &str| format!("/v1/integration/orders/{number}/{what}");
        let erp = format!("Bearer {}", app.token(Audience::Client, "erp", Scope::ALL));
        let parcel = json!({"system": "wms", "document": "LS-1", "tracking_number": "00340 434-1", "delivered_at": "2026-02-20T00:00:00Z",
            "occurred_at": "2026-02-19T00:00:00Z"});
        app.send("POST", &report(&ada, "shipments"), &[("Authorization", &erp)], Some(&parcel)).await.expect(201);
        let paid = json!({"system": "erp", "document": "ZE-1"});
        app.send("POST", &report(&ada, "payments"), &[("Authorization", &erp)], Some(&paid)).await.expect(201);
        app.ops("POST", &format!("/orders/{bob}/cancel"), Some(&json!({"reason": "no"}))).await.expect(200);

        let all = [&dan, &cy, &bob, &ada];
        for (query, found) in [
            ("", &all[..]),
            (&format!("number={ada}"), &[&ada]),
            (&format!("q={ada}"), &[&ada]),
            ("email=ADA@example.org", &[&ada]),
            ("q=bob@Example.org", &[&bob]),
            ("name=bob%20mu", &[&bob]),
            ("q=Ada", &[&ada]),
            ("name=mueller", &[]),
            ("name=mueller&postcode=10115", &[&cy, &bob]),
            ("postcode=10115&channel_id=CHANNEL", &[&bob, &ada]),
            ("phone=0049%2099", &[]),
            ("phone=03055%202", &[&bob]),
            ("q=03055-3", &[&cy]),
            ("tracking=003404341", &[&ada]),
            ("external_ref=old-3", &[&cy]),
            ("external_ref=LS-1", &[&ada]),
            ("q=OLD-4", &[&dan]),
            ("sku=TEE", &[&dan, &cy, &ada]),
            ("sku=tee", &[]),
            ("sku=TEE&channel_id=CHANNEL", &[&ada]),
            ("sku=MUG&state=cancelled", &[&bob]),
            ("sku=TEE&email=cy@example.org", &[&cy]),
            ("sku=TEE&placed_from=2026-02-03T00:00:00Z&placed_to=2026-02-05T00:00:00Z", &[&cy]),
            ("state=placed", &[&dan, &cy]),
            ("state=completed", &[&ada]),
            ("state=cancelled", &[&bob]),
            ("payment_state=captured", &[&ada]),
            ("payment_state=authorised", &[&dan, &cy]),
            ("payment_state=authorised&state=placed&fulfilment_state=unfulfilled", &[&dan, &cy]),
            ("fulfilment_state=delivered", &[&ada]),
            ("fulfilment_state=cancelled&channel_id=CHANNEL", &[&bob]),
            ("state=placed&channel_id=CHANNEL", &[]),
            ("channel_id=CHANNEL&placed_from=2026-02-03T00:00:00Z", &[&bob]),
            ("name=dan&state=placed", &[&dan]),
        ] {
            let path = format!("/orders?count=capped&{}", query.replace("CHANNEL", one));
            let page = app.ops("GET", &path, None).await.expect(200);
            assert_eq!(numbers(&page), found.iter().map(|number| (*number).clone()).collect::<Vec<_>>(), "{path}");
            assert_eq!(page["count"].as_u64().unwrap(), found.len() as u64, "{path}");
        }
    });
}

#[test]
fn pages_follow_each_other_without_gap_or_double_and_show_what_one_may_see() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        let second = another_channel(&app).await;
        let mut expected = Vec::new();
        for place in 0..9 {
            let channel = if place % 3 == 0 { second.as_str() } else { shop.channel.as_str() };
            expected.insert(0, order(&app, channel, "Ada Löwe", &["TEE", "TEE"], place).await);
        }
        let paged = async |token: Option<&str>, query: &str| {
            let (mut found, mut cursor) = (Vec::new(), String::new());
            loop {
                let path = format!("/orders?limit=2&{query}{cursor}");
                let answer = match token {
                    None => app.ops("GET", &path, None).await,
                    Some(token) => app.send("GET", &format!("/v1/ops{path}"), &[("Authorization", token)], None).await,
                };
                let page = answer.expect(200);
                found.extend(numbers(&page));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => return found,
                }
            }
        };
        for query in ["", "sku=TEE", "state=placed", "name=ada", "payment_state=authorised", "email=ada@example.org"] {
            assert_eq!(paged(None, query).await, expected, "{query}");
        }
        // Staff of both channels see the same, staff of one theirs, staff of none nothing.
        let limited = |channels: &[&str]| {
            let mut claims = app.claims(Audience::Staff, "eve", "orders:read");
            claims.channels = Some(channels.iter().map(|channel| channel.parse().unwrap()).collect());
            format!("Bearer {}", app.state.verifier.issue(claims).unwrap())
        };
        let both = limited(&[&shop.channel, &second]);
        let theirs: Vec<String> = expected.iter().rev().step_by(3).rev().cloned().collect();
        for query in ["", "sku=TEE", "state=placed", "state=completed", "name=ada", "placed_from=2026-02-01T00:00:00Z"]
        {
            let all = if query == "state=completed" { Vec::new() } else { expected.clone() };
            assert_eq!(paged(Some(&both), query).await, all, "{query}");
            let few = if query == "state=completed" { Vec::new() } else { theirs.clone() };
            assert_eq!(paged(Some(&limited(&[&second])), query).await, few, "{query}");
            assert!(paged(Some(&limited(&[])), query).await.is_empty(), "{query}");
        }
        let elsewhere: Id<kontor::kernel::ids::Channel> = Id::new();
        assert!(paged(Some(&limited(&[&second])), &format!("channel_id={}", shop.channel)).await.is_empty());
        assert!(paged(Some(&limited(&[&elsewhere.to_string()])), "").await.is_empty());
    });
}

/// The least of a few counts: what the process does beside is counted too.
async fn least(app: &App, send: impl AsyncFn()) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..20 {
        let before = app.state.db.stats().statements;
        send().await;
        least = least.min(app.state.db.stats().statements - before);
    }
    least
}

#[test]
fn a_page_of_orders_costs_as_many_statements_among_many_as_among_few() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        let queries = [
            "",
            "state=placed",
            "sku=TEE",
            "sku=TEE&state=placed",
            "email=ada@example.org",
            "name=ada",
            "q=OLD-1",
            "count=capped",
        ];
        let mut counts = BTreeSet::new();
        for size in [1, 8] {
            for place in 0..size {
                order(&app, &shop.channel, "Ada Löwe", &["TEE"], size * 10 + place).await;
            }
            let mut of_size = Vec::new();
            for query in queries {
                let path = format!("/orders?{query}");
                of_size.push(least(&app, async || drop(app.ops("GET", &path, None).await.expect(200))).await);
            }
            counts.insert(of_size);
        }
        // A name, and an article in a state, are counted first, to see what is to lead; a count is one more.
        assert_eq!(counts, BTreeSet::from([vec![1, 1, 1, 2, 1, 2, 1, 2]]));
    });
}

#[test]
fn adding_a_line_costs_as_many_statements_for_a_large_cart_as_for_a_small_one() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        let skus: Vec<String> = (0..40).map(|number| format!("SKU-{number}")).collect();
        for sku in &skus {
            shop.add(sku, "1.00", 1000).await;
        }
        let mut counts = Vec::new();
        for size in [1, 40] {
            let lines: Vec<(&str, i64)> = skus.iter().take(size).map(|sku| (sku.as_str(), 1)).collect();
            let cart = shop.cart(&lines).await;
            let (path, line) = (format!("/carts/{}/lines", cart.id), json!({"sku": "SKU-0", "quantity": 1}));
            let add = async || drop(shop.store("POST", &path, Some(&cart.token), Some(&line)).await.expect(200));
            counts.push(least(&app, add).await);
        }
        // Cart, variants, prices, stock, the cart again. On PostgreSQL two more where the log was numbered beside, as it is
        // after every write.
        assert!(counts.iter().all(|count| (5..=7).contains(count)), "{counts:?}");
    });
}
