//! Prices of goods with an attribute that are changed by per cent: what was looked at is what is done, or nothing is.

use std::collections::BTreeMap;

use futures::future::join_all;
use kontor::http::auth::Audience;
use serde_json::{Value, json};

use crate::{
    promotions::eur,
    support::{Answer, App, Shop, on_both},
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Mugs, cups and shirts of some materials, in two lists; mugs have a tier.
async fn open(app: &App) -> Shop {
    let shop = Shop::open(app, &[]).await;
    for (sku, category, material, price) in [
        ("MUG-1", "mugs", "clay", "10.00"),
        ("MUG-2", "mugs", "glass", "7.49"),
        ("CUP-1", "cups", "clay", "5.00"),
        ("TEE-1", "shirts", "cotton", "20.00"),
    ] {
        let variant = json!({"sku": sku, "name": sku, "tax_class": "standard",
            "attributes": {"category": category, "material": material}});
        app.ops("POST", "/variants", Some(&variant)).await.expect(201);
        shop.set_price(sku, price).await;
    }
    let tier = json!({"rows": [{"sku": "MUG-1", "min_quantity": 10, "unit_price": eur("9.00")}]});
    app.ops("PUT", &format!("/price-lists/{}/prices", shop.price_list), Some(&tier)).await.expect(200);
    let other = json!({"code": "other", "name": "Other", "currency": "EUR", "priority": -5});
    let other = text(&app.ops("POST", "/price-lists", Some(&other)).await.expect(201)["id"]);
    let rows = json!({"rows": [{"sku": "MUG-1", "unit_price": eur("11.00")}]});
    app.ops("PUT", &format!("/price-lists/{other}/prices"), Some(&rows)).await.expect(200);
    shop
}

async fn adjust(shop: &Shop, more: &Value) -> Answer {
    let mut wanted = json!({"percent": "-10", "ending": eur("0.95"),
        "goods": {"attributes": {"category": ["mugs", "cups"], "material": ["clay", "glass"]}}});
    wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    shop.app.ops("POST", &format!("/price-lists/{}/adjust", shop.price_list), Some(&wanted)).await
}

/// The prices of the shop's list, by SKU and quantity.
async fn prices(shop: &Shop) -> BTreeMap<(String, i64), String> {
    let path = format!("/price-lists/{}/prices?limit=200", shop.price_list);
    let page = shop.app.ops("GET", &path, None).await.expect(200);
    let row =
        |row: &Value| ((text(&row["sku"]), row["min_quantity"].as_i64().unwrap()), text(&row["unit_price"]["amount"]));
    page["items"].as_array().unwrap().iter().map(row).collect()
}

/// The changes of prices in the shop's list, as a preview tells them.
async fn changes(shop: &Shop) -> Vec<Value> {
    let path = format!("/price-changes?limit=200&price_list_id={}", shop.price_list);
    let page = shop.app.ops("GET", &path, None).await.expect(200);
    let row = |row: &Value| {
        json!({"sku": row["sku"], "min_quantity": row["min_quantity"], "from": row["from"]["unit_price"],
        "to": row["to"]["unit_price"]})
    };
    let mut all: Vec<Value> = page["items"].as_array().unwrap().iter().map(row).collect();
    all.retain(|row| !row["from"].is_null());
    all.sort_by_key(|row| (text(&row["sku"]), row["min_quantity"].as_i64()));
    all
}

#[test]
fn what_was_looked_at_is_what_is_done() {
    on_both(|app| async move {
        let shop = open(&app).await;
        let before = prices(&shop).await;
        let looked = adjust(&shop, &json!({})).await.expect(200);
        assert_eq!((&looked["applied"], &looked["matched"], &looked["changed"]), (&json!(false), &json!(4), &json!(4)));
        let one = |sku: &str, least: i64, from: &str, to: &str| json!({"sku": sku, "min_quantity": least, "from": eur(from), "to": eur(to)});
        // 9.00, 8.10, 6.74 and 4.50, each the nearest at most that which ends with .95.
        let expected = [
            one("CUP-1", 1, "5.00", "3.95"),
            one("MUG-1", 1, "10.00", "8.95"),
            one("MUG-1", 10, "9.00", "7.95"),
            one("MUG-2", 1, "7.49", "5.95"),
        ];
        assert_eq!(looked["examples"], json!(expected));
        assert_eq!((prices(&shop).await, changes(&shop).await), (before.clone(), Vec::new()));
        let apply = json!({"dry_run": false, "expected": looked["digest"]});
        let done = adjust(&shop, &apply).await.expect(200);
        assert_eq!(
            (&done["applied"], &done["examples"], &done["digest"]),
            (&json!(true), &looked["examples"], &looked["digest"])
        );
        // Just that is in the history, and is what is charged; shirts and the other list are as they were.
        assert_eq!(changes(&shop).await, expected);
        let mut after = before;
        for row in &expected {
            let key = (text(&row["sku"]), row["min_quantity"].as_i64().unwrap());
            after.insert(key, text(&row["to"]["amount"]));
        }
        assert_eq!(prices(&shop).await, after);
        let offers = shop.store("POST", "/offers", None, Some(&json!({"skus": ["MUG-1", "TEE-1"]}))).await.expect(200);
        assert_eq!((&offers["items"][0]["price"], &offers["items"][1]["price"]), (&eur("8.95"), &eur("20.00")));
        // Done once, it is not done again: the prices are others now.
        adjust(&shop, &apply).await.problem(409, "compare_failed");
    });
}

#[test]
fn what_has_changed_since_it_was_looked_at_is_refused_and_nothing_is_done() {
    on_both(|app| async move {
        let shop = open(&app).await;
        let token = app.token(Audience::Client, "pim", kontor::kernel::Scope::ALL);
        let bearer = format!("Bearer {token}");
        let variant = async |row: Value| {
            let body = Some(("application/x-ndjson", row.to_string()));
            let headers = [("Authorization", bearer.as_str())];
            let report = app.send_text("POST", "/v1/integration/variants", &headers, body).await.expect(200);
            assert_eq!(report["failed"], 0, "{report}");
        };
        let list = format!("/price-lists/{}/prices", shop.price_list);
        let put = async |body: Value| {
            app.ops("PUT", &list, Some(&body)).await.expect(200);
        };
        for step in 0..6 {
            let looked = adjust(&shop, &json!({})).await.expect(200);
            match step {
                // A price of one of them, and one that is new among them.
                0 => shop.set_price("MUG-2", "7.60").await,
                1 => put(json!({"rows": [{"sku": "CUP-1", "min_quantity": 50, "unit_price": eur("4.00")}]})).await,
                // One that is gone; one that ends.
                2 => put(json!({"remove": [{"sku": "MUG-1", "min_quantity": 10}]})).await,
                3 => {
                    let until = app.now().plus_seconds(86_400);
                    put(json!({"rows": [{"sku": "MUG-1", "unit_price": eur("10.00"), "valid_until": until}]})).await;
                }
                // Goods that are not among them any more, and goods that have come to be.
                4 => {
                    variant(json!({"sku": "MUG-2", "name": "MUG-2", "tax_class": "standard", "attributes": {"category": "vases", "material": "glass"}}))
                        .await;
                }
                _ => {
                    variant(json!({"sku": "TEE-1", "name": "TEE-1", "tax_class": "standard", "attributes": {"category": "cups", "material": "clay"}}))
                        .await;
                }
            }
            let before = prices(&shop).await;
            let apply = json!({"dry_run": false, "expected": looked["digest"]});
            let refused = adjust(&shop, &apply).await.problem(409, "compare_failed");
            assert_eq!(refused["pointer"], "/expected", "{step}");
            assert_eq!(prices(&shop).await, before, "{step}");
            // It says what would be done now.
            assert_eq!(refused["digest"], adjust(&shop, &json!({})).await.expect(200)["digest"]);
        }
        // What does not concern it does not stand in its way: other goods, and what else is noted of these.
        let looked = adjust(&shop, &json!({})).await.expect(200);
        shop.set_price("MUG-2", "7.70").await;
        variant(json!({"sku": "MUG-1", "name": "The first mug", "tax_class": "standard", "attributes": {"category": "mugs", "material": "clay", "colour": "red"}}))
            .await;
        let apply = json!({"dry_run": false, "expected": looked["digest"]});
        assert_eq!(adjust(&shop, &apply).await.expect(200)["examples"], looked["examples"]);
    });
}

#[test]
fn of_an_adjustment_and_a_price_that_are_written_at_once_neither_is_lost() {
    on_both(|app| async move {
        let shop = open(&app).await;
        for turn in 0..6 {
            shop.set_price("MUG-1", "10.00").await;
            shop.set_price("MUG-2", "10.00").await;
            let named = json!({"goods": {"attributes": {"category": ["mugs"]}}, "max_price": eur("10.00"), "min_price": eur("10.00")});
            let looked = adjust(&shop, &named).await.expect(200);
            assert_eq!(looked["changed"], 2);
            let mut apply = named.clone();
            apply["dry_run"] = json!(false);
            apply["expected"] = looked["digest"].clone();
            let set = format!("1{turn}.50");
            let (applied, ()) = tokio::join!(adjust(&shop, &apply), shop.set_price("MUG-2", &set));
            let now = prices(&shop).await;
            let of = |sku: &str| now[&(sku.to_owned(), 1)].clone();
            // Set before it was applied, nothing is done; set after it, that is the price. Never is one half of it done.
            match applied.status {
                200 => assert_eq!((of("MUG-1").as_str(), of("MUG-2").as_str()), ("8.95", set.as_str())),
                409 => assert_eq!((of("MUG-1").as_str(), of("MUG-2").as_str()), ("10.00", set.as_str())),
                _ => panic!("{}", applied.text),
            }
        }
        // Several that apply the same: one does.
        shop.set_price("MUG-1", "10.00").await;
        let looked = adjust(&shop, &json!({})).await.expect(200);
        let apply = json!({"dry_run": false, "expected": looked["digest"]});
        let all = join_all((0..4).map(|_| adjust(&shop, &apply))).await;
        let mut ends: Vec<u16> = all.iter().map(|answer| answer.status).collect();
        ends.sort_unstable();
        assert_eq!(ends, [200, 409, 409, 409]);
    });
}

#[test]
fn what_is_looked_at_for_later_is_what_is_charged_then() {
    on_both(|app| async move {
        let shop = open(&app).await;
        let (soon, then) = (app.now().plus_seconds(5 * 86_400), app.now().plus_seconds(10 * 86_400));
        // Somebody has planned a price that will apply by then: it is the one that is looked at.
        let planned = json!({"rows": [{"sku": "CUP-1", "unit_price": eur("5.20"), "valid_from": soon}]});
        app.ops("PUT", &format!("/price-lists/{}/prices", shop.price_list), Some(&planned)).await.expect(200);
        let later = json!({ "valid_from": then });
        let looked = adjust(&shop, &later).await.expect(200);
        let cup = &looked["examples"][0];
        assert_eq!((&cup["sku"], &cup["from"], &cup["to"]), (&json!("CUP-1"), &eur("5.20"), &eur("3.95")));
        // A price of now that will not apply then does not matter; one that will does.
        shop.set_price("CUP-1", "5.10").await;
        let apply = json!({"valid_from": then, "dry_run": false, "expected": looked["digest"]});
        let mut otherwise = apply.clone();
        otherwise["valid_from"] = json!(then.plus_seconds(1));
        adjust(&shop, &otherwise).await.problem(409, "compare_failed");
        let done = adjust(&shop, &apply).await.expect(200);
        assert_eq!((&done["changed"], &done["examples"]), (&json!(4), &looked["examples"]));
        let offered = async |sku: &str, quantity: i64| {
            let asked = json!({"skus": [sku], "quantity": quantity});
            let offers = shop.store("POST", "/offers", None, Some(&asked)).await.expect(200);
            offers["items"][0]["price"].clone()
        };
        assert_eq!((offered("CUP-1", 1).await, offered("MUG-1", 10).await), (eur("5.10"), eur("9.00")));
        app.clock.advance_seconds(10 * 86_400 - 1);
        assert_eq!((offered("CUP-1", 1).await, offered("MUG-1", 10).await), (eur("5.20"), eur("9.00")));
        app.clock.advance_seconds(1);
        for row in looked["examples"].as_array().unwrap() {
            let (sku, quantity) = (text(&row["sku"]), row["min_quantity"].as_i64().unwrap());
            assert_eq!(offered(&sku, quantity).await, row["to"], "{row}");
        }
        assert_eq!(offered("TEE-1", 1).await, eur("20.00"));
    });
}
