//! Variants.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, App, on_both};
use kontor::kernel::{Scope, ids::VariantId};

fn mug(sku: &str) -> Value {
    json!({"sku": sku, "name": "Mug, blue", "tax_class": "standard"})
}

fn with(sku: &str, field: &str, value: Value) -> Value {
    let mut body = mug(sku);
    body[field] = value;
    body
}

async fn patch(app: &App, id: &str, tag: &str, body: Value) -> Answer {
    let token = format!("Bearer {}", app.staff());
    let headers = [("Authorization", token.as_str()), ("If-Match", tag)];
    app.send("PATCH", &format!("/v1/ops/variants/{id}"), &headers, Some(&body)).await
}

#[test]
fn a_variant_is_made_read_and_changed() {
    on_both(|app| async move {
        let made = app.ops("POST", "/variants", Some(&with("  MUG-1 ", "gtin", json!("4006381333931")))).await;
        assert_eq!(made.header("ETag"), Some("\"v1\""));
        let made = made.expect(201);
        assert_eq!((made["sku"].as_str(), made["unit_code"].as_str()), (Some("MUG-1"), Some("C62")));
        assert_eq!((&made["requires_shipping"], &made["stock_policy"]), (&json!(true), &json!("tracked")));
        assert_eq!((&made["backorder_policy"], &made["status"]), (&json!("deny"), &json!("active")));
        let path = format!("/variants/{}", made["id"].as_str().unwrap());
        assert_eq!(app.ops("GET", &path, None).await.expect(200), made);
        app.clock.advance_seconds(60);
        let change = json!({
            "gtin": null, "name": "Becher", "weight_grams": 350, "unit_code": "H87", "status": "archived",
            "requires_shipping": false, "stock_policy": "untracked", "backorder_policy": "allow",
            "attributes": {"colour": "blue", "sizes": [1, 2.5]}, "tax_class": "reduced"
        });
        let changed = app.ops("PATCH", &path, Some(&change)).await.expect(200);
        assert_eq!(changed["version"], 2);
        for (field, value) in change.as_object().unwrap() {
            assert_eq!(&changed[field], value, "{field}");
        }
        assert_eq!((&changed["sku"], &changed["created_at"]), (&made["sku"], &made["created_at"]));
        assert_ne!(changed["updated_at"], made["updated_at"]);
        assert_eq!(app.ops("GET", &path, None).await.expect(200), changed);
        // What changes nothing makes no version.
        assert_eq!(app.ops("PATCH", &path, Some(&json!({"name": "Becher"}))).await.expect(200), changed);
        app.ops("PATCH", &path, Some(&json!({"sku": "OTHER"}))).await.problem(422, "unknown_field");
        app.ops("GET", &format!("/variants/{}", VariantId::new()), None).await.problem(404, "not_found");
    });
}

#[test]
fn bad_variants_are_refused_with_a_pointer() {
    on_both(|app| async move {
        let cases = [
            (with("A", "gtin", json!("4006381333932")), "gtin_invalid", "/gtin"),
            (with("A", "gtin", json!("40063813339")), "gtin_invalid", "/gtin"),
            (with("A", "weight_grams", json!(-1)), "invalid_value", "/weight_grams"),
            (with("A", "weight_grams", json!(1.5)), "invalid_value", "/weight_grams"),
            (with("A", "unit_code", json!("pieces")), "invalid_value", "/unit_code"),
            (with("A", "stock_policy", json!("maybe")), "invalid_value", "/stock_policy"),
            (with("A", "attributes", json!({"text": "x".repeat(9_000)})), "invalid_value", "/attributes"),
            (with("A", "attributes", json!([1])), "invalid_value", "/attributes"),
            (with("A", "colour", json!("blue")), "unknown_field", "/colour"),
            (with("   ", "weight_grams", json!(1)), "invalid_value", "/sku"),
            (with(&"x".repeat(101), "weight_grams", json!(1)), "invalid_value", "/sku"),
            (json!({"sku": "A", "name": "A"}), "missing_field", "/tax_class"),
        ];
        for (body, code, pointer) in cases {
            assert_eq!(
                app.ops("POST", "/variants", Some(&body)).await.problem(422, code)["pointer"],
                pointer,
                "{body}"
            );
        }
        for query in [
            "limit=0",
            "limit=201",
            "colour=blue",
            "count=all",
            "status=odd",
            "gtin=12",
            "q=!!",
            "sku=%00",
            &format!("q={}", "a".repeat(201)),
        ] {
            app.ops("GET", &format!("/variants?{query}"), None).await.problem(400, "invalid_query");
        }
        for cursor in ["nonsense", "W10", "WyJhIixudWxsXQ"] {
            app.ops("GET", &format!("/variants?cursor={cursor}"), None).await.problem(400, "invalid_cursor");
        }
        let reader = format!("Bearer {}", app.token(kontor::http::auth::Audience::Staff, "bob", &[Scope::CatalogRead]));
        let headers = [("Authorization", reader.as_str())];
        app.send("POST", "/v1/ops/variants", &headers, Some(&mug("A"))).await.problem(403, "scope_missing");
        assert_eq!(app.send("GET", "/v1/ops/variants", &headers, None).await.expect(200), json!({"items": []}));
    });
}

#[test]
fn one_of_many_who_make_the_same_sku_at_once_makes_it() {
    on_both(|app| async move {
        let body = mug("RACE");
        let answers = join_all((0..12).map(|_| app.ops("POST", "/variants", Some(&body)))).await;
        let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
        assert_eq!((made.len(), refused.len()), (1, 11));
        refused.into_iter().for_each(|answer| assert_eq!(answer.problem(409, "duplicate")["pointer"], "/sku"));
        // SKUs are case-sensitive.
        app.ops("POST", "/variants", Some(&mug("race"))).await.expect(201);
        assert_eq!(app.ops("GET", "/variants?count=capped", None).await.expect(200)["count"], 2);
    });
}

#[test]
fn one_of_many_changes_of_the_same_version_is_done() {
    on_both(|app| async move {
        let made = app.ops("POST", "/variants", Some(&mug("A"))).await.expect(201);
        let id = made["id"].as_str().unwrap();
        let changes = (0..8).map(|n| patch(&app, id, "\"v1\"", json!({"weight_grams": n + 1})));
        let answers = join_all(changes).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert_eq!(answers.iter().filter(|answer| answer.status == 412).count(), 7);
        patch(&app, id, "\"v1\"", json!({"name": "Late"})).await.problem(412, "version_stale");
        patch(&app, id, "nonsense", json!({"name": "Late"})).await.problem(400, "invalid_header");
        patch(&app, id, "\"v2\"", json!({"name": "In time"})).await.expect(200);
        // Changes of different fields that name no version are all kept.
        let path = format!("/variants/{id}");
        let fields =
            [json!({"name": "N"}), json!({"tax_class": "T"}), json!({"unit_code": "KGM"}), json!({"weight_grams": 9})];
        join_all(fields.iter().map(|field| app.ops("PATCH", &path, Some(field)))).await.into_iter().for_each(
            |answer| {
                answer.expect(200);
            },
        );
        let kept = app.ops("GET", &path, None).await.expect(200);
        assert_eq!((&kept["name"], &kept["tax_class"]), (&json!("N"), &json!("T")));
        assert_eq!(
            (&kept["unit_code"], &kept["weight_grams"], &kept["version"]),
            (&json!("KGM"), &json!(9), &json!(7))
        );
    });
}

/// All SKUs of a list, page by page.
async fn walk(app: &App, query: &str) -> Vec<String> {
    let (mut skus, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.ops("GET", &format!("/variants?limit=2&{query}{cursor}"), None).await;
        let next = page.header("Link").map(str::to_owned);
        let page = page.expect(200);
        skus.extend(page["items"].as_array().unwrap().iter().map(|item| item["sku"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next_cursor) => cursor = format!("&cursor={next_cursor}"),
            None => return skus,
        }
        assert!(next.unwrap().contains("rel=\"next\""));
    }
}

#[test]
fn lists_are_paged_and_searched() {
    on_both(|app| async move {
        let names = ["Größe Müller", "Tasse grün", "Grüne Tasse", "Tasse, rot", "Untertasse"];
        for (number, name) in names.iter().enumerate() {
            let mut body = with(&format!("T-{number}"), "name", json!(name));
            if number == 0 {
                body["gtin"] = json!("012345678905");
            }
            app.ops("POST", "/variants", Some(&body)).await.expect(201);
        }
        assert_eq!(walk(&app, "").await, ["T-0", "T-1", "T-2", "T-3", "T-4"]);
        assert_eq!(walk(&app, "q=tasse").await, ["T-2", "T-1", "T-3"]);
        assert_eq!(walk(&app, "q=GRUEN%20tas").await, ["T-2", "T-1"]);
        assert_eq!(walk(&app, "q=mueller").await, ["T-0"]);
        assert_eq!(walk(&app, "sku=T-3").await, ["T-3"]);
        assert!(walk(&app, "sku=t-3").await.is_empty());
        assert_eq!(walk(&app, "gtin=0012345678905").await, ["T-0"]);
        assert_eq!(app.ops("GET", "/variants?q=tasse&count=capped", None).await.expect(200)["count"], 3);
        let first = app.ops("GET", "/variants?limit=1", None).await.expect(200)["next_cursor"].clone();
        let mixed = format!("/variants?q=tasse&cursor={}", first.as_str().unwrap());
        app.ops("GET", &mixed, None).await.problem(400, "invalid_cursor");
    });
}

#[test]
fn look_ups_are_one_statement_whatever_their_length() {
    on_both(|app| async move {
        for number in 0..5 {
            app.ops("POST", "/variants", Some(&mug(&format!("S-{number}")))).await.expect(201);
        }
        let (found, ids, statements) = app
            .read(|tx| {
                let skus: Vec<String> = ["S-3", "S-0", "S-3", "s-1", "S-9"].map(str::to_owned).to_vec();
                let found = kontor::catalog::by_skus(tx, &skus)?;
                let ids: Vec<VariantId> = found.iter().map(|variant| variant.id).chain([VariantId::new()]).collect();
                let same = kontor::catalog::by_ids(tx, &ids)?;
                let none = kontor::catalog::by_ids(tx, &[])?.len() + kontor::catalog::by_skus(tx, &[])?.len();
                Ok((found, same, none))
            })
            .await;
        let skus = |variants: &[kontor::catalog::Variant]| {
            let mut skus: Vec<String> = variants.iter().map(|variant| variant.sku.clone()).collect();
            skus.sort();
            skus
        };
        assert_eq!(
            (skus(&found), skus(&ids), statements),
            (vec!["S-0".into(), "S-3".into()], vec!["S-0".into(), "S-3".into()], 0)
        );
    });
}
