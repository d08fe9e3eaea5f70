//! Bulk imports.

use std::{
    fmt::Write,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::{Duration, Instant},
};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, on_both, on_both_idle};
use kontor::{http::auth::Audience, kernel::Scope};

async fn import(app: &App, path: &str, media_type: &str, more: &[(&str, &str)], body: String) -> Answer {
    let token = app.token(Audience::Client, "pim", &[Scope::CatalogWrite, Scope::CustomersWrite]);
    let mut request = app.client.post(format!("{}/v1/integration{path}", app.url)).bearer_auth(token);
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    let response = request.header("Content-Type", media_type).body(body).send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null), text }
}

async fn csv(app: &App, path: &str, body: &str) -> Answer {
    import(app, path, "text/csv; charset=utf-8", &[], body.to_owned()).await
}

pub async fn ndjson(app: &App, path: &str, rows: &[Value]) -> Answer {
    let body = rows.iter().map(|row| row.to_string() + "\n").collect();
    import(app, path, "application/x-ndjson", &[], body).await
}

fn counts(report: &Value) -> [i64; 5] {
    ["received", "created", "updated", "unchanged", "failed"].map(|name| report[name].as_i64().unwrap())
}

async fn variant(app: &App, sku: &str) -> Value {
    app.ops("GET", &format!("/variants?sku={sku}"), None).await.expect(200)["items"][0].clone()
}

#[test]
fn rows_make_change_and_leave_alone() {
    on_both(|app| async move {
        let first = "sku,name,tax_class,gtin,weight_grams,attributes\n\
             A,\"Mug, blue\",standard,4006381333931,350,\"{\"\"colour\"\":\"\"blue\"\"}\"\nB,Plate,standard,,,\n";
        assert_eq!(counts(&csv(&app, "/variants", first).await.expect(200)), [2, 2, 0, 0, 0]);
        let mug = variant(&app, "A").await;
        assert_eq!((&mug["name"], &mug["attributes"]["colour"]), (&json!("Mug, blue"), &json!("blue")));
        assert_eq!(counts(&csv(&app, "/variants", first).await.expect(200)), [2, 0, 0, 2, 0]);
        assert_eq!(variant(&app, "A").await, mug);
        // Absent fields stay; null removes.
        let second = csv(&app, "/variants", "weight_grams;sku;requires_shipping\n;B;0\n400;A;\n").await.expect(200);
        assert_eq!(counts(&second), [2, 0, 2, 0, 0]);
        assert_eq!(variant(&app, "B").await["requires_shipping"], false);
        let third = ndjson(&app, "/variants", &[json!({"sku": "A", "gtin": null, "status": "archived"})]).await;
        assert_eq!(counts(&third.expect(200)), [1, 0, 1, 0, 0]);
        let mug = variant(&app, "A").await;
        assert_eq!((&mug["gtin"], &mug["weight_grams"], &mug["version"]), (&Value::Null, &json!(400), &json!(3)));
    });
}

#[test]
fn bad_rows_are_named_and_stop_no_others() {
    on_both(|app| async move {
        let rows = "sku,name,tax_class,gtin,weight_grams,status\nA,Mug,standard,,1,\nB,Mug,standard,4006381333932,,\n\
             ,Mug,standard,,,\nC,Mug,standard,,heavy,\nD,,standard,,,\nE,Mug,standard\nF,Mug,standard,,-1,\n\
             G,Mug,standard,,,odd\nH,Mug,standard,,,archived\n";
        let report = csv(&app, "/variants", rows).await.expect(200);
        assert_eq!(counts(&report), [9, 2, 0, 0, 7]);
        let errors: Vec<(i64, &str, &str)> = report["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| {
                let text = |name: &str| error[name].as_str().unwrap_or("");
                (error["row"].as_i64().unwrap(), text("code"), text("pointer"))
            })
            .collect();
        let expected = [
            (2, "gtin_invalid", "/gtin"),
            (3, "missing_field", "/sku"),
            (4, "invalid_value", "/weight_grams"),
            (5, "missing_field", "/name"),
            (6, "import_row_invalid", ""),
            (7, "invalid_value", "/weight_grams"),
            (8, "invalid_value", "/status"),
        ];
        assert_eq!(errors, expected);
        assert_eq!(variant(&app, "H").await["status"], "archived");
        let lines = "{\"sku\":\"J\",\"name\":\"N\",\"tax_class\":\"t\"}\n\nnonsense\n{\"sku\":\"K\",\"odd\":1}\n\
             {\"sku\":\"L\",\"name\":\"a\\u0000b\",\"tax_class\":\"t\"}\n";
        let report = import(&app, "/variants", "application/x-ndjson", &[], lines.into()).await.expect(200);
        assert_eq!(counts(&report), [4, 1, 0, 0, 3]);
        let codes = ["body_malformed", "unknown_field", "invalid_value"];
        for ((error, code), row) in report["errors"].as_array().unwrap().iter().zip(codes).zip(3..) {
            assert_eq!((error["code"].as_str(), error["row"].as_i64()), (Some(code), Some(row)));
        }
        // What makes the whole file unreadable refuses the whole file.
        let unknown = csv(&app, "/variants", "sku,name,tax_class,colour\nM,Mug,standard,blue\n").await;
        assert_eq!(unknown.problem(422, "unknown_field")["pointer"], "colour");
        assert_eq!(variant(&app, "M").await, Value::Null);
        import(&app, "/variants", "application/json", &[], "{}".into()).await.problem(415, "media_type_unsupported");
        assert_eq!(counts(&csv(&app, "/variants", "").await.expect(200)), [0; 5]);
        let reader = app.token(Audience::Client, "erp", &[Scope::CatalogRead]);
        let refused = app.client.post(format!("{}/v1/integration/variants", app.url)).bearer_auth(reader);
        assert_eq!(refused.header("Content-Type", "text/csv").body("sku\nA\n").send().await.unwrap().status(), 403);
    });
}

#[test]
fn of_two_rows_of_one_sku_the_later_wins_wherever_they_stand() {
    on_both(|app| async move {
        let mut rows =
            String::from("sku,name,tax_class,weight_grams\nTWICE,First,standard,7\nTWICE,Second,standard,\n");
        for number in 0..600 {
            writeln!(rows, "N-{number},Name,standard,").unwrap();
        }
        rows.push_str("TWICE,Third,standard,\nTWICE,Third,standard,\n");
        for dry in ["?dry_run=true", ""] {
            let report = csv(&app, &format!("/variants{dry}"), &rows).await.expect(200);
            assert_eq!(counts(&report), [604, 601, 2, 1, 0], "{dry}");
        }
        let twice = variant(&app, "TWICE").await;
        assert_eq!((&twice["name"], &twice["weight_grams"]), (&json!("Third"), &json!(7)));
    });
}

#[test]
fn a_dry_run_changes_nothing_and_a_key_answers_once() {
    on_both(|app| async move {
        let rows = "sku,name,tax_class\nA,Mug,standard\n,Mug,standard\n";
        let send = |path: &'static str, body: &'static str| {
            let app = app.clone();
            async move { import(&app, path, "text/csv", &[("Idempotency-Key", "k1")], body.into()).await }
        };
        let dry = send("/variants?dry_run=true", rows).await.expect(200);
        assert_eq!((counts(&dry), variant(&app, "A").await), ([2, 1, 0, 0, 1], Value::Null));
        let first = send("/variants", rows).await;
        assert_eq!(first.header("Idempotency-Replayed"), None);
        let again = send("/variants", rows).await;
        assert_eq!(again.header("Idempotency-Replayed"), Some("true"));
        assert_eq!((first.expect(200), dry), (again.body.clone(), again.body));
        send("/variants", "sku,name,tax_class\nB,Mug,standard\n").await.problem(422, "idempotency_key_reused");
        assert_eq!(variant(&app, "B").await, Value::Null);
        csv(&app, "/variants?odd=1", rows).await.problem(400, "invalid_query");
        // What the import itself would refuse, its rehearsal refuses too.
        let odd = [("Idempotency-Key", "a b")];
        let odd = import(&app, "/variants?dry_run=true", "text/csv", &odd, rows.into()).await;
        assert_eq!(odd.problem(400, "invalid_header")["pointer"], "Idempotency-Key");
    });
}

#[test]
fn imports_beside_each_other_and_beside_staff_agree() {
    on_both(|app| async move {
        let file = |order: bool, field: &str, value: &str| {
            let numbers: Vec<usize> = if order { (0..700).collect() } else { (0..700).rev().collect() };
            let mut rows = format!("sku,name,tax_class,{field}\n");
            numbers.iter().for_each(|number| writeln!(rows, "R-{number},Name,standard,{value}").unwrap());
            rows
        };
        // In opposite orders, on different fields: nobody waits for each other in a circle, and no field is lost.
        let files =
            [file(true, "weight_grams", "5"), file(false, "unit_code", "KGM"), file(true, "backorder_policy", "allow")];
        let (imports, makers) = futures::join!(
            join_all(files.iter().map(|rows| csv(&app, "/variants", rows))),
            join_all((0..20).map(|number| {
                let app = app.clone();
                async move {
                    let body = json!({"sku": format!("R-{}", number * 30), "name": "Staff", "tax_class": "standard", "gtin": "96385074"});
                    app.ops("POST", "/variants", Some(&body)).await
                }
            }))
        );
        let reports: Vec<[i64; 5]> = imports.into_iter().map(|answer| counts(&answer.expect(200))).collect();
        let by_staff = makers.iter().filter(|answer| answer.status == 201).count() as i64;
        assert!(makers.iter().all(|answer| matches!(answer.status, 201 | 409)));
        assert_eq!(reports.iter().map(|report| report[1]).sum::<i64>() + by_staff, 700);
        assert!(reports.iter().all(|report| report[0] == 700 && report[4] == 0));
        for number in [0, 1, 30, 569, 570, 699] {
            let kept = variant(&app, &format!("R-{number}")).await;
            assert_eq!(
                (&kept["weight_grams"], &kept["unit_code"], &kept["backorder_policy"]),
                (&json!(5), &json!("KGM"), &json!("allow"))
            );
        }
        let staffed = makers.into_iter().filter(|answer| answer.status == 201);
        for made in staffed {
            assert_eq!(variant(&app, made.body["sku"].as_str().unwrap()).await["gtin"], "96385074");
        }
    });
}

#[test]
fn customers_are_imported_with_their_address() {
    on_both(|app| async move {
        let rows = "number,name,email,group,marketing_email,marketing_email_at,address.name,address.street1,address.postcode,address.city,address.country\n\
             10001,Jörg Müller,joerg@example.org,trade,true,2020-01-01T00:00:00Z,Jörg Müller,Weg 1,53111,Bonn,DE\n\
             10002,Zoë,zoe@example.org,,,,,,,,\n10003,Eve,nonsense,,,,,,,,\n10004,Kim,,,,,Kim,Weg 1,53111,Bonn,XX\n";
        let report = csv(&app, "/customers", rows).await.expect(200);
        assert_eq!(counts(&report), [4, 2, 0, 0, 2]);
        let pointers: Vec<&Value> =
            report["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
        assert_eq!(pointers, [&json!("/email"), &json!("/address/country")]);
        assert_eq!(counts(&csv(&app, "/customers", rows).await.expect(200)), [4, 0, 0, 2, 2]);
        let row = json!({"number": "10001", "group": null, "marketing_email": true,
            "address": {"name": "Jörg", "street1": "Neue Straße 2", "postcode": "50667", "city": "Köln", "country": "DE"}});
        let moved = ndjson(&app, "/customers", &[row]).await;
        assert_eq!(counts(&moved.expect(200)), [1, 0, 1, 0, 0]);
        let found = app.ops("GET", "/customers?number=10001", None).await.expect(200)["items"][0].clone();
        assert_eq!((&found["group"], &found["email"]), (&Value::Null, &json!("joerg@example.org")));
        assert_eq!(found["consent"]["marketing_email"]["at"], "2020-01-01T00:00:00Z");
        assert_eq!(found["addresses"].as_array().unwrap().len(), 1);
        assert_eq!(found["addresses"][0]["address"]["city"], "Köln");
    });
}

#[test]
fn twenty_thousand_rows() {
    on_both_idle(|app| async move {
        let file = |weight: usize| {
            let mut rows = String::from("sku,name,tax_class,gtin,weight_grams,unit_code,attributes\n");
            for number in 0..20_000 {
                let weight = if number % 2 == 0 { weight } else { 1 };
                writeln!(
                    rows,
                    "SKU-{number:05},Article number {number},standard,,{weight},C62,\"{{\"\"n\"\":{number}}}\""
                )
                .unwrap();
            }
            rows
        };
        let database = if app.is_postgres() { "PostgreSQL" } else { "SQLite" };
        for (what, weight, expected) in [
            ("all new", 1, [20_000, 20_000, 0, 0, 0]),
            ("half changed", 2, [20_000, 0, 10_000, 10_000, 0]),
            ("none changed", 2, [20_000, 0, 0, 20_000, 0]),
        ] {
            let (rows, before, start) = (file(weight), app.state.db.stats(), Instant::now());
            let report = csv(&app, "/variants", &rows).await.expect(200);
            assert_eq!(counts(&report), expected);
            let rate = 20_000 * 1_000 / start.elapsed().as_millis().max(1);
            let statements = app.state.db.stats().statements - before.statements;
            println!("import of 20,000 variants, {what}, {database}: {rate} rows/s, {statements} statements");
            // A read and a write for each of the forty chunks, the transactions around them, and what runs beside.
            assert!(statements < 400, "{statements}");
        }
        let last = variant(&app, "SKU-19998").await;
        assert_eq!(
            (&last["weight_grams"], &last["attributes"]["n"], &last["version"]),
            (&json!(2), &json!(19_998), &json!(2))
        );
        assert_eq!(variant(&app, "SKU-19999").await["version"], 1);
    });
}

/// Buys again and again until told to stop: how long each purchase took, cart and all, and when it ended.
async fn buy_until(shop: &Shop, over: &AtomicBool) -> Vec<(Duration, Instant)> {
    let mut bought = Vec::new();
    while !over.load(SeqCst) {
        let begun = Instant::now();
        shop.order(&[("TEE", 1)]).await;
        bought.push((begun.elapsed(), Instant::now()));
    }
    bought
}

#[test]
fn buyers_pass_an_import_of_twenty_thousand_rows() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 1_000_000)]).await;
        shop.order(&[("TEE", 1)]).await;
        let mut rows = String::from(
            "number,name,email,address.name,address.street1,address.postcode,address.city,address.country\n",
        );
        for number in 0..20_000 {
            writeln!(rows, "{number},Name {number},n{number}@example.org,Name {number},Weg {number},53111,Bonn,DE")
                .unwrap();
        }
        let over = AtomicBool::new(false);
        let import = async {
            let begun = Instant::now();
            let report = csv(&app, "/customers", &rows).await.expect(200);
            over.store(true, SeqCst);
            (report, begun.elapsed(), Instant::now())
        };
        let buyers = join_all((0..4).map(|_| buy_until(&shop, &over)));
        let ((report, took, ended), bought) = tokio::join!(import, buyers);
        assert_eq!(counts(&report), [20_000, 20_000, 0, 0, 0]);
        let all: Vec<(Duration, Instant)> = bought.iter().flatten().copied().collect();
        let slowest = all.iter().map(|(took, _)| *took).max().unwrap();
        let before = all.iter().filter(|(_, at)| *at < ended).count();
        let database = if app.is_postgres() { "PostgreSQL" } else { "SQLite" };
        println!(
            "import beside buyers, {database}: {took:.1?}; {before} purchases meanwhile, the slowest {slowest:.1?}"
        );
        // Each waits for a chunk or two of forty, never for the whole: nobody's purchase lasts as long as a quarter of it.
        assert!(slowest < (took / 4).max(Duration::from_secs(1)), "{slowest:?} of {took:?}");
        let each = bought.iter().map(|one| one.iter().filter(|(_, at)| *at < ended).count()).min().unwrap();
        assert!(each >= 3, "somebody bought {each} times only while the import ran");
    });
}
