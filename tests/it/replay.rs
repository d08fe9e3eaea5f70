//! Another shop's file, taken over through the API: what Kontor then holds is what the file holds, however often it runs.

use kontor::{
    http::auth::Audience,
    kernel::Scope,
    replay::{
        Mapping, Plan, Rows,
        driver::{self, Outcome, Remote},
    },
};
use serde_json::{Value, json};

use crate::support::{App, on_both};

/// Semicolons, decimal commas, two currencies, tax in the prices, kinds of documents, e-mail addresses.
const MAPPING: &str = r#"
channel = "laden"
currency = "EUR"

[file]
delimiter = ";"
decimal_comma = true

[columns]
number = "Beleg"
sku = "Artikel"
description = "Bezeichnung"
quantity = "Menge"
date = "Datum"
unit_price = "Preis"
customer = "Kunde"
country = "Land"
currency = "Waehrung"
email = "Mail"
kind = "Art"

[date]
format = "%d.%m.%Y %H:%M"
zone = "Europe/Berlin"

[tax]
prices_include_tax = true
rate = "19"
country_rates = { AT = "20", CH = "0" }

[countries]
default = "DE"
names = { "Deutschland" = "DE", "Österreich" = "AT", "Schweiz" = "CH" }

[cancellation]
kinds = ["Gutschrift"]
unsigned = true

[codes]
postage = ["VERSAND*"]
discount = ["RABATT"]

[[leave_out]]
reason = "offer"
kinds = ["Angebot"]
"#;

/// Twice one article in an order; three at a price whose thirds do not come out even; a gift that costs nothing; an order
/// of a service only; one for nothing at all; a guest; a sale with a discount line. Then credits: of a part, at a lower
/// price, split over two orders, of postage, of something that was never sold here.
const FILE: &str = "\
Beleg;Art;Artikel;Bezeichnung;Menge;Datum;Preis;Waehrung;Kunde;Land;Mail
1;Rechnung;T-1;Tee;3;01.03.2024 10:00;3,3333;EUR;77;Deutschland;ada@example.org
1;Rechnung;T-1;Tee;2;01.03.2024 10:00;4,00;EUR;77;Deutschland;ada@example.org
1;Rechnung;VERSAND-DE;Versand;1;01.03.2024 10:00;4,90;EUR;77;Deutschland;ada@example.org
2;Rechnung;T-1;Tee;2;02.03.2024 10:00;4,00;EUR;77;Deutschland;ada@example.org
2;Rechnung;MUSTER;Muster;1;02.03.2024 10:00;0;EUR;77;Deutschland;ada@example.org
3;Rechnung;VERSAND-AT;Versand;1;02.03.2024 11:00;9,90;EUR;78;Österreich;
4;Rechnung;MUSTER;Muster;5;03.03.2024 11:00;0;EUR;78;Österreich;
5;Rechnung;T-2;Kanne;1;03.03.2024 12:00;35,50;CHF;;Schweiz;
6;Rechnung;T-2;Kanne;2;04.03.2024 12:00;30,00;EUR;78;Österreich;
6;Rechnung;RABATT;Rabatt;-1;04.03.2024 12:00;6,00;EUR;78;Österreich;
7;Gutschrift;T-1;Tee;1;05.03.2024 12:00;3,3333;EUR;77;Deutschland;
8;Gutschrift;T-1;Tee;3;06.03.2024 12:00;4,00;EUR;77;Deutschland;
9;Gutschrift;VERSAND-DE;Versand;1;07.03.2024 12:00;4,90;EUR;77;Deutschland;
10;Gutschrift;T-2;Kanne;1;08.03.2024 12:00;11,11;EUR;78;Österreich;
11;Gutschrift;T-9;Nie verkauft;1;08.03.2024 12:00;7,77;EUR;78;Österreich;
12;Angebot;T-2;Kanne;1;08.03.2024 12:00;30,00;EUR;78;Österreich;
13;Gutschrift;T-1;Tee;2;09.03.2024 12:00;3,3333;EUR;77;Deutschland;
";

async fn replay(app: &App, limit: Option<usize>) -> Outcome {
    let mapping = Mapping::parse(MAPPING).unwrap();
    let plan = Plan::of(Rows::new(FILE.as_bytes(), &mapping).unwrap(), &mapping).unwrap();
    plan.check().unwrap();
    let remote = Remote::new(&app.url, app.staff(), app.token(Audience::Client, "replay", Scope::ALL)).unwrap();
    let options = driver::Options { parallel: 4, limit, progress: false };
    let outcome = driver::run(&remote, &plan, &mapping, options).await.unwrap();
    assert!(outcome.failures.is_empty(), "{:#?}", outcome.failures);
    assert!(outcome.reconciliation.agrees(), "{}", outcome.reconciliation.text());
    assert_eq!(outcome.held.pending, 0);
    outcome
}

/// How many orders, returns, carts, movements and events there are.
async fn counts(app: &App) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in ["orders", "order_lines", "returns", "carts", "stock_movements", "events", "payment_operations"] {
        let query = format!("SELECT count(*) FROM {table}");
        let found = app.read(move |tx| kontor::db::sql(query).first::<diesel::sql_types::BigInt, i64>(tx));
        counts.push(found.await.unwrap());
    }
    counts
}

#[test]
fn a_file_is_taken_over_once_however_often_it_runs() {
    on_both(|app| async move {
        // Broken off after a few documents, and begun again.
        let first = replay(&app, Some(4)).await;
        assert_eq!((first.made, first.found), (4, 0));
        let second = replay(&app, None).await;
        assert_eq!(second.found, 4);
        let held = counts(&app).await;
        // Nothing remembers the commands of the first runs any more.
        let forget = |tx: &mut kontor::db::Tx| kontor::db::sql("DELETE FROM idempotency_keys").execute(tx);
        app.state.db.write(forget).await.unwrap();
        let third = replay(&app, None).await;
        assert_eq!((third.made, third.found), (0, first.made + second.made));
        assert_eq!(counts(&app).await, held);

        let order = app.ops("GET", "/orders/laden:1", None).await.expect(200);
        assert_eq!(order["placed_at"], "2024-03-01T09:00:00Z");
        assert_eq!((&order["state"], &order["payment_state"]), (&json!("completed"), &json!("partially_refunded")));
        assert_eq!((&order["email"], &order["total"]["amount"]), (&json!("ada@example.org"), &json!("22.90")));
        let back: Vec<(i64, &str)> = lines(&order, "returned", "refunded");
        // All three thirds came back in two parts, and one of the dearer two.
        assert_eq!(back, [(3, "10.00"), (1, "4.00"), (1, "4.90")]);
        let other = app.ops("GET", "/orders/laden:6", None).await.expect(200);
        assert_eq!(lines(&other, "returned", "refunded"), [(1, "11.11")]);
        let found = app.ops("GET", "/returns?order=laden:6", None).await.expect(200);
        assert_eq!(
            (&found["items"][0]["reference"], &found["items"][0]["lines"][0]["tax"]["amount"]),
            (&json!("10"), &json!("1.85"))
        );
        let free = app.ops("GET", "/orders/laden:4", None).await.expect(200);
        assert_eq!((&free["state"], &free["total"]["amount"]), (&json!("completed"), &json!("0.00")));
    });
}

fn lines<'v>(order: &'v Value, pieces: &str, amount: &str) -> Vec<(i64, &'v str)> {
    let all = order["lines"].as_array().unwrap().iter();
    all.map(|line| (line[pieces].as_i64().unwrap(), line[amount]["amount"].as_str().unwrap())).collect()
}

#[test]
fn no_more_is_taken_back_than_was_charged_whatever_was_agreed() {
    on_both(|app| async move {
        replay(&app, Some(3)).await;
        let back = |line_no: i64, quantity: i64, amount: Value| json!({"order": "laden:1", "lines": [{"line_no": line_no, "quantity": quantity, "amount": amount}], "refund": true});
        let take = async |body: Value| app.ops("POST", "/returns", Some(&body)).await;
        let euros = |amount: &str| json!({"amount": amount, "currency": "EUR"});
        take(back(1, 1, euros("10.01"))).await.problem(409, "refund_exceeded");
        take(back(1, 1, json!({"amount": "1.00", "currency": "CHF"}))).await.problem(422, "invalid_value");
        take(back(1, 1, euros("9.00"))).await.expect(201);
        take(back(1, 1, euros("1.01"))).await.problem(409, "refund_exceeded");
        // What is left of the price is less than the share of the two that are left.
        let rest = take(json!({"order": "laden:1", "lines": [{"line_no": 1, "quantity": 2}], "refund": true})).await;
        assert_eq!(rest.expect(201)["amount"]["amount"], "1.00");
        // A service has never left, and can be taken back once all the same.
        take(back(3, 1, euros("4.90"))).await.expect(201);
        take(back(3, 1, euros("0.00"))).await.problem(409, "quantity_exceeded");
        // Of two orders one gets a foreign name.
        let channel = app.ops("GET", "/orders/laden:1", None).await.expect(200)["channel_id"].clone();
        let cart = json!({"channel_id": channel, "email": "a@example.org", "lines": [{"sku": "VERSAND-DE", "quantity": 1}],
            "reference": {"system": "laden", "value": "1"}});
        let cart = app.ops("POST", "/carts", Some(&cart)).await.expect(201);
        let path = format!("/carts/{}/complete", cart["id"].as_str().unwrap());
        app.ops("POST", &path, Some(&json!({"payment": {"method": "manual"}}))).await.problem(409, "duplicate");
    });
}
