//! Files of prices and coupons: what was exported is the same again where it is read, row for row.

use std::collections::BTreeMap;

use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    promotions::{eur, percent, promote},
    support::{App, Shop, eventually, on_both},
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

const FORMATS: [(&str, &str); 2] = [("csv", "text/csv"), ("ndjson", "application/x-ndjson")];

/// A file, whole.
async fn export(app: &App, path: &str, (format, kind): (&str, &str)) -> String {
    let answer = app.ops("GET", &format!("{path}?format={format}"), None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.header("content-type").unwrap().starts_with(kind));
    answer.text
}

async fn import(app: &App, kind: &str, file: &str) -> Value {
    let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::PricesWrite]));
    let headers = [("Authorization", token.as_str())];
    app.send_text("POST", "/v1/integration/prices", &headers, Some((kind, file.to_owned()))).await.expect(200)
}

/// All pages of a list.
async fn all(app: &App, path: &str) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.ops("GET", &format!("{path}?limit=7{cursor}"), None).await.expect(200);
        rows.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

/// A shop in yen, euros and dinars with the same articles and no prices: the paths of its lists.
async fn lists(app: &App) -> Vec<String> {
    for sku in ["MUG", "TEE, blue", "-1", "'=x", "日本"] {
        let variant = json!({"sku": sku, "name": sku, "tax_class": "standard"});
        app.ops("POST", "/variants", Some(&variant)).await.expect(201);
    }
    let mut made = Vec::new();
    for currency in ["EUR", "JPY", "KWD"] {
        let list = json!({"code": format!("in-{currency}"), "name": currency, "currency": currency});
        let list = app.ops("POST", "/price-lists", Some(&list)).await.expect(201);
        made.push(format!("/price-lists/{}/prices", text(&list["id"])));
    }
    made
}

#[test]
fn lists_of_one_shop_are_those_of_another_when_they_are_read_there() {
    on_both(|app| async move {
        let here = lists(&app).await;
        let price = |amount: &str, currency: &str| json!({"amount": amount, "currency": currency});
        let rows = [
            json!([
                {"sku": "MUG", "unit_price": price("12.50", "EUR")},
                {"sku": "MUG", "min_quantity": 10, "unit_price": price("11.25", "EUR")},
                {"sku": "MUG", "min_quantity": 1000, "unit_price": price("1125", "EUR"), "per": 100},
                {"sku": "TEE, blue", "unit_price": price("0.0125", "EUR"), "valid_from": "2030-01-01T00:00:00Z"},
                {"sku": "TEE, blue", "unit_price": price("19.90", "EUR"), "valid_until": "2030-01-01T00:00:00.000001Z"},
                {"sku": "-1", "unit_price": price("0", "EUR")},
                {"sku": "'=x", "unit_price": price("10.00", "EUR"), "per": 3},
                {"sku": "日本", "unit_price": price("1", "EUR"), "valid_from": "2026-01-01T00:00:00Z", "valid_until": "2027-01-01T00:00:00Z"},
            ]),
            json!([
                {"sku": "MUG", "unit_price": price("1500", "JPY")},
                {"sku": "日本", "unit_price": price("0.5", "JPY")},
            ]),
            json!([{"sku": "MUG", "unit_price": price("1.2345678", "KWD")}]),
        ];
        for (list, rows) in here.iter().zip(rows) {
            app.ops("PUT", list, Some(&json!({ "rows": rows }))).await.expect(200);
        }
        let without_id = |mut rows: Vec<Value>| {
            rows.iter_mut().for_each(|row| {
                row.as_object_mut().unwrap().remove("variant_id");
            });
            rows
        };
        for way in FORMATS {
            // Another shop of the same articles, without prices.
            let other = App::on_sqlite(true).await;
            let there = lists(&other).await;
            for (from, to) in here.iter().zip(&there) {
                let file = export(&app, &format!("{from}/export"), way).await;
                let listed = without_id(all(&app, from).await);
                let report = import(&other, way.1, &file).await;
                assert_eq!(
                    (&report["created"], &report["failed"]),
                    (&json!(listed.len()), &json!(0)),
                    "{file}\n{report}"
                );
                assert_eq!(without_id(all(&other, to).await), listed);
                // And from there it is the very same file.
                assert_eq!(export(&other, &format!("{to}/export"), way).await, file);
                let again = import(&other, way.1, &file).await;
                assert_eq!(again["unchanged"], json!(listed.len()));
            }
            other.tear_down().await;
        }
    });
}

/// The rows of a file of coupons as the list of them tells them.
fn read(file: &str, (format, _): (&str, &str)) -> Vec<Value> {
    if format == "ndjson" {
        return file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    }
    let mut reader = csv::Reader::from_reader(file.as_bytes());
    let heading: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let typed = |name: &str, cell: &str| match (name, cell) {
        (_, "") => Value::Null,
        ("uses" | "max_uses" | "blocked", cell) => serde_json::from_str(cell).unwrap(),
        (_, cell) => json!(cell),
    };
    let row = |record: csv::StringRecord| {
        heading.iter().zip(record.iter()).map(|(name, cell)| (name.clone(), typed(name, cell))).collect()
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

/// Coupons by their codes, without what is nothing.
fn by_code(rows: &[Value]) -> BTreeMap<String, Value> {
    let told = |row: &Value| {
        let mut row = row.clone();
        row.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        (text(&row["code"]), row)
    };
    rows.iter().map(told).collect()
}

#[test]
fn a_file_of_coupons_has_each_as_it_is_and_its_codes_can_be_used() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let rule = json!({"gift": percent("10", "order"), "conditions": {"coupon": true}});
        let id = promote(&app, "mailing", rule).await;
        let promotion = format!("/promotions/{id}");
        let until = "2026-12-31T23:00:00Z";
        let new = json!({"size": 25, "prefix": "bf", "max_uses": 2, "valid_until": until});
        let batch = app.ops("POST", &format!("{promotion}/coupon-batches"), Some(&new)).await.expect(202);
        let batch = format!("/coupon-batches/{}", text(&batch["id"]));
        let made = async || app.ops("GET", &batch, None).await.expect(200)["made"] == 25;
        eventually("all codes are made", made).await;
        // Beside the batch one by name, one of a customer; of the batch one is used and one is blocked.
        let ada = app.ops("POST", "/customers", Some(&json!({"name": "Ada"}))).await.expect(201);
        for new in [json!({"code": "EVERYBODY"}), json!({"code": "ADA", "customer_id": ada["id"], "max_uses": 1})] {
            app.ops("POST", &format!("{promotion}/coupons"), Some(&new)).await.expect(201);
        }
        let listed = all(&app, &format!("{batch}/coupons")).await;
        let codes: Vec<String> = listed.iter().map(|row| text(&row["code"])).collect();
        let use_code = async |code: &str| {
            let cart = shop.cart(&[("MUG", 1)]).await;
            let path = format!("/carts/{}/coupons", cart.id);
            shop.store("POST", &path, Some(&cart.token), Some(&json!({ "code": code }))).await.expect(200);
            shop.complete(&cart, "approve").await.expect(201)["order"]["total"].clone()
        };
        assert_eq!(use_code(&codes[3]).await, eur("13.90"));
        app.ops("PATCH", &format!("/coupons/{}", codes[4]), Some(&json!({"blocked": true}))).await.expect(200);
        let (of_batch, of_all) =
            (all(&app, &format!("{batch}/coupons")).await, all(&app, &format!("{promotion}/coupons")).await);
        assert_eq!((of_batch.len(), of_all.len()), (25, 27));
        for way in FORMATS {
            for (path, rows) in [(&batch, &of_batch), (&promotion, &of_all)] {
                let file = export(&app, &format!("{path}/coupons/export"), way).await;
                let told = read(&file, way);
                // Each once, in the order of the codes, and just as the list has it.
                let of = |rows: &[Value]| rows.iter().map(|row| text(&row["code"])).collect::<Vec<_>>();
                assert_eq!(of(&told), of(rows));
                assert_eq!(by_code(&told), by_code(rows), "{file}");
            }
        }
        let used = &by_code(&of_batch)[&codes[3]];
        assert_eq!((&used["uses"], &used["max_uses"], &used["valid_until"]), (&json!(1), &json!(2), &json!(until)));
        assert_eq!(by_code(&of_batch)[&codes[4]]["blocked"], true);
        // What the file has is what can be typed.
        let file = export(&app, &format!("{batch}/coupons/export"), FORMATS[0]).await;
        let code = text(&read(&file, FORMATS[0])[7]["code"]);
        assert_eq!(use_code(&code).await, eur("13.90"));
        let nowhere = batch.replace(&batch[batch.len() - 4..], "0000");
        app.ops("GET", &format!("{nowhere}/coupons/export"), None).await.problem(404, "not_found");
        app.ops("GET", &format!("{batch}/coupons/export?format=xml"), None).await.problem(400, "invalid_query");
    });
}
