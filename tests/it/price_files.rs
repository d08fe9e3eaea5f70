//! Prices and coupons as files: exported whole, imported as they are, gone on with where an import broke off.

use std::fmt::Write;

use futures::future::join_all;
use kontor::{db::sql, http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    crash::Scene,
    support::{Answer, App, Shop, on_both, on_both_sites},
};

fn counts(report: &Value) -> [u64; 5] {
    ["received", "created", "updated", "unchanged", "failed"].map(|name| report[name].as_u64().unwrap())
}

/// Sends a file of prices; `None` when the server was killed meanwhile.
async fn import(app: &App, path: &str, kind: &str, key: Option<&str>, file: String) -> Option<Answer> {
    let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::PricesWrite, Scope::CatalogWrite]));
    let mut request = app.client.post(format!("{}/v1/integration{path}", app.url)).header("Authorization", token);
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    let response = request.header("Content-Type", kind).body(file).send().await.ok()?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.ok()?;
    Some(Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null), text })
}

/// A file, whole.
async fn export(app: &App, path: &str) -> String {
    let answer = app.ops("GET", path, None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.header("content-disposition").unwrap().starts_with("attachment"));
    answer.text
}

#[test]
fn an_exported_list_comes_in_again_as_it_is() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        // Names that a spreadsheet would take for formulas, and those that would be taken apart.
        let odd = ["-1-A", "'=x", "=SUM(A1)", "a;b,\"c\"", "+49"];
        for sku in odd {
            shop.add(sku, "1.25", 0).await;
        }
        let path = format!("/price-lists/{}/prices", shop.price_list);
        let price = |amount: &str| json!({"amount": amount, "currency": "EUR"});
        let rows = json!({"rows": [
            {"sku": "TEE", "min_quantity": 100, "unit_price": price("1500"), "per": 100},
            {"sku": "TEE", "unit_price": price("0.0125"), "valid_from": "2030-01-01T00:00:00Z", "valid_until": "2031-01-01T00:00:00Z"},
        ]});
        app.ops("PUT", &path, Some(&rows)).await.expect(200);
        for (format, kind) in [("csv", "text/csv"), ("ndjson", "application/x-ndjson")] {
            let file = export(&app, &format!("{path}/export?format={format}")).await;
            let same = import(&app, "/prices?dry_run=true", kind, None, file.clone()).await.unwrap().expect(200);
            assert_eq!((counts(&same), &same["errors"]), ([8, 0, 0, 8, 0], &json!([])), "{file}");
            // And where the prices are gone they are made as they were.
            let listed = app.ops("GET", &path, None).await.expect(200);
            let tee = json!({"remove": [{"sku": "TEE"}, {"sku": "TEE", "min_quantity": 100}, {"sku": "'=x"}]});
            app.ops("PUT", &path, Some(&tee)).await.expect(200);
            let made = import(&app, "/prices", kind, None, file.clone()).await.unwrap().expect(200);
            assert_eq!(counts(&made), [8, 3, 0, 5, 0]);
            assert_eq!(app.ops("GET", &path, None).await.expect(200), listed);
            assert_eq!(export(&app, &format!("{path}/export?format={format}")).await, file);
        }
        // `Accept` names the format too; a list without prices is a heading, or nothing.
        let token = format!("Bearer {}", app.staff());
        let headers = [("Authorization", token.as_str()), ("Accept", "application/x-ndjson")];
        let lines = app.send("GET", &format!("/v1/ops{path}/export"), &headers, None).await;
        assert_eq!(lines.text.lines().count(), 8);
        assert!(lines.header("content-type").unwrap().starts_with("application/x-ndjson"));
        let none =
            app.ops("POST", "/price-lists", Some(&json!({"code": "none", "name": "None", "currency": "EUR"}))).await;
        let none = format!("/price-lists/{}/prices/export", none.expect(201)["id"].as_str().unwrap());
        assert_eq!(export(&app, &none).await.lines().count(), 1);
        assert_eq!(export(&app, &format!("{none}?format=ndjson")).await, "");
        let nowhere = kontor::kernel::ids::PriceListId::new();
        app.ops("GET", &format!("/price-lists/{nowhere}/prices/export"), None).await.problem(404, "not_found");
        app.ops("GET", &format!("{none}?format=xml"), None).await.problem(400, "invalid_query");
    });
}

#[test]
fn a_list_of_many_pieces_is_exported_once_and_whole() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("A", "1.00", 0), ("Z", "1.00", 0)]).await;
        // Thousands of articles without a price between two with thousands of tiers.
        let mut articles = "sku,name,tax_class\n".to_owned();
        (0..4_500).for_each(|number| writeln!(articles, "M-{number},M,standard").unwrap());
        import(&app, "/variants", "text/csv", None, articles).await.unwrap().expect(200);
        let mut prices = "price_list,sku,min_quantity,unit_price.amount,unit_price.currency\n".to_owned();
        for tier in 2..=2_500 {
            for sku in ["A", "Z"] {
                writeln!(prices, "base,{sku},{tier},{}.00,EUR", 1 + tier % 7).unwrap();
            }
        }
        import(&app, "/prices", "text/csv", None, prices).await.unwrap().expect(200);
        let path = format!("/price-lists/{}/prices/export?format=ndjson", shop.price_list);
        let file = export(&app, &path).await;
        let keys: Vec<(String, i64)> = file
            .lines()
            .map(|line| {
                let row: Value = serde_json::from_str(line).unwrap();
                (row["sku"].as_str().unwrap().to_owned(), row["min_quantity"].as_i64().unwrap())
            })
            .collect();
        let expected: Vec<(String, i64)> =
            ["A", "Z"].iter().flat_map(|sku| (1..=2_500).map(|tier| ((*sku).to_owned(), tier))).collect();
        assert_eq!(keys, expected);
    });
}

#[test]
fn a_file_that_broke_off_is_told_from_a_whole_one() {
    on_both(|app| async move {
        const MANY: i64 = 60_000;
        let promotion = json!({"code": "mailing", "name": "Mailing", "conditions": {"coupon": true},
            "gift": {"type": "percentage", "percent": "10", "on": "order"}});
        let id = app.ops("POST", "/promotions", Some(&promotion)).await.expect(201)["id"].as_str().unwrap().to_owned();
        let now = app.now();
        let fill = "INSERT INTO coupons (code, promotion_id, uses, blocked, created_at) \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) \
             SELECT 'X' || (100000 + i), p.id, 0, ?, ? FROM n CROSS JOIN promotions AS p";
        app.state.db.write(move |tx| sql(fill).bind(MANY).bind(false).bind(now).execute(tx)).await.unwrap();
        let path = format!("/promotions/{id}/coupons/export?format=ndjson");
        let file = export(&app, &path).await;
        let codes: Vec<String> = file
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["code"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(codes, (1..=MANY).map(|number| format!("X{}", 100_000 + number)).collect::<Vec<_>>());
        assert_eq!(export(&app, &format!("/promotions/{id}/coupons/export")).await.lines().count(), 60_001);
        // What is more than sockets hold is read as it is taken: when reading fails, the file has no end.
        let request = app.client.get(format!("{}/v1/ops{path}", app.url)).bearer_auth(app.staff());
        let mut answer = request.header("Accept-Encoding", "identity").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(!answer.chunk().await.unwrap().unwrap().is_empty());
        app.state.db.write(|tx| sql("ALTER TABLE coupons RENAME TO gone").execute(tx)).await.unwrap();
        let mut ended = answer.chunk().await;
        while let Ok(Some(_)) = ended {
            ended = answer.chunk().await;
        }
        assert!(ended.is_err(), "a file that broke off looks like a whole one");
        app.state.db.write(|tx| sql("ALTER TABLE gone RENAME TO coupons").execute(tx)).await.unwrap();
    });
}

/// A file of prices of one article, from two pieces on.
fn tiers(count: i64) -> String {
    let mut rows = "price_list,sku,min_quantity,unit_price.amount,unit_price.currency\n".to_owned();
    (2..count + 2).for_each(|tier| writeln!(rows, "base,TEE,{tier},1.25,EUR").unwrap());
    // One row that can not be applied, at the very beginning of the file's errors.
    rows.push_str("base,NONE,1,1.25,EUR\n");
    rows
}

#[test]
fn an_import_goes_on_where_a_killed_server_left_it() {
    const MANY: i64 = 30_000;
    on_both_sites(|site| async move {
        let mut scene = Scene::open(site, &[("TEE", "19.90", 5)]).await;
        let (app, file) = (scene.shop.app.clone(), tiers(MANY));
        let sending = {
            let (app, file) = (app.clone(), file.clone());
            tokio::spawn(async move { import(&app, "/prices", "text/csv", Some("night"), file).await })
        };
        scene.site.until("SELECT count(*) FROM import_progress", 1).await;
        scene.kill();
        assert!(sending.await.unwrap().is_none(), "the import was at its end before the server was killed");
        // What is noted is what is applied, to the row.
        let done = scene.site.number("SELECT rows_done FROM import_progress").await;
        assert!((500..MANY).contains(&done), "{done}");
        assert_eq!(scene.site.number("SELECT count(*) FROM prices WHERE min_quantity > 1").await, done);
        scene.restart().await;
        let app = scene.shop.app.clone();
        // Somebody changes a price that was applied already: going on does not take that back.
        let change =
            json!({"rows": [{"sku": "TEE", "min_quantity": 2, "unit_price": {"amount": "9.99", "currency": "EUR"}}]});
        let path = format!("/price-lists/{}/prices", scene.shop.price_list);
        app.ops("PUT", &path, Some(&change)).await.expect(200);
        let other = import(&app, "/prices", "text/csv", Some("night"), tiers(3)).await.unwrap();
        other.problem(422, "idempotency_key_reused");
        let rest = import(&app, "/prices", "text/csv", Some("night"), file.clone()).await.unwrap().expect(200);
        let all = u64::try_from(MANY).unwrap();
        assert_eq!((counts(&rest), &rest["errors"][0]["code"]), ([all + 1, all, 0, 0, 1], &json!("sku_unknown")));
        let prices = app.ops("GET", &path, None).await.expect(200);
        assert_eq!(prices["items"][1]["unit_price"]["amount"], "9.99");
        // One for what the shop was opened with, one by hand, and each row of the file once.
        assert_eq!(scene.site.number("SELECT count(*) FROM price_changes").await, MANY + 2);
        assert_eq!(scene.site.number("SELECT count(*) FROM import_progress").await, 0);
        let again = import(&app, "/prices", "text/csv", Some("night"), file).await.unwrap();
        assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &rest));
    });
}

#[test]
fn a_file_that_is_sent_several_times_at_once_is_applied_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        let file = tiers(5_000);
        let sent = (0..3).map(|_| import(&app, "/prices", "text/csv", Some("thrice"), file.clone()));
        for answer in join_all(sent).await {
            assert_eq!(counts(&answer.unwrap().expect(200)), [5_001, 5_000, 0, 0, 1]);
        }
        assert_eq!(shop.count("price_changes").await, 5_001);
        assert_eq!(shop.count("import_progress").await, 0);
        // What was never brought to its end is dropped with the keys of its time.
        let left = "INSERT INTO import_progress (id, body_hash, rows_done, report, errors, created_at) \
             SELECT id, body_hash, 500, '{}', '[]', created_at FROM idempotency_keys WHERE state = 'done'";
        assert!(app.state.db.write(move |tx| sql(left).execute(tx)).await.unwrap() >= 1);
        let (early, late) = (app.now().plus_seconds(-60), app.now().plus_seconds(60));
        let purge = async |before| app.state.db.write(move |tx| kontor::imports::purge(tx, before, 100)).await.unwrap();
        assert_eq!(purge(early).await, 0);
        assert!(purge(late).await >= 1);
        assert_eq!(shop.count("import_progress").await, 0);
    });
}
