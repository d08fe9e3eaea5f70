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
    take_over(app, MAPPING, FILE, limit).await
}

async fn take_over(app: &App, mapping: &str, file: &str, limit: Option<usize>) -> Outcome {
    let mapping = Mapping::parse(mapping).unwrap();
    let plan = Plan::of(Rows::new(file.as_bytes(), &mapping).unwrap(), &mapping).unwrap();
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
    for table in
        ["orders", "order_lines", "returns", "carts", "customers", "stock_movements", "events", "payment_operations"]
    {
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
        // The file's customers are Kontor's, and their orders are theirs.
        let ada = app.ops("GET", "/customers?number=laden:77", None).await.expect(200)["items"][0].clone();
        assert_eq!((&ada["name"], &ada["email"]), (&json!("Customer 77"), &json!("ada@example.org")));
        let path = format!("/customers/{}/orders", ada["id"].as_str().unwrap());
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["items"].as_array().unwrap().len(), 2);
        assert_eq!((&order["customer_id"], held[4]), (&ada["id"], 2));
        let unknown = app.ops("GET", "/returns?limit=200", None).await.expect(200)["items"].clone();
        let unknown = unknown.as_array().unwrap().iter().find(|made| made["reference"] == "11").unwrap().clone();
        let other_one = app.ops("GET", "/customers?number=laden:78", None).await.expect(200)["items"][0]["id"].clone();
        assert_eq!((&unknown["order_id"], &unknown["customer_id"]), (&Value::Null, &other_one));
        let free = app.ops("GET", "/orders/laden:4", None).await.expect(200);
        assert_eq!((&free["state"], &free["total"]["amount"]), (&json!("completed"), &json!("0.00")));
    });
}

fn lines<'v>(order: &'v Value, pieces: &str, amount: &str) -> Vec<(i64, &'v str)> {
    let all = order["lines"].as_array().unwrap().iter();
    all.map(|line| (line[pieces].as_i64().unwrap(), line[amount]["amount"].as_str().unwrap())).collect()
}

#[test]
fn goods_at_several_locations_are_sourced_from_where_they_lie() {
    on_both(|app| async move {
        let mapping = MAPPING.replace("[codes]", "[locations]\nnord = 60\nsued = 40\n\n[codes]");
        let first = take_over(&app, &mapping, FILE, None).await;
        assert_eq!(take_over(&app, &mapping, FILE, None).await.made, 0);
        // Seven of the tea were ever sold: four lie in the north, three in the south, and no place has the five of the first order.
        let work = app.ops("GET", "/orders/laden:1/fulfilment", None).await.expect(200);
        let places = work["fulfilment_orders"].as_array().unwrap();
        assert_eq!((places.len(), work["shipments"].as_array().unwrap().len()), (2, 2), "{work}");
        assert!(work["sourcing"].as_array().is_some_and(|traces| !traces.is_empty()), "{work}");
        assert!(places.iter().all(|place| place["state"] == "delivered"), "{work}");
        let order = app.ops("GET", "/orders/laden:1", None).await.expect(200);
        assert_eq!((&order["state"], &order["fulfilment_state"]), (&json!("completed"), &json!("delivered")));
        assert!(first.made > 0);
    });
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
        let cart = json!({"channel_id": channel, "currency": "EUR", "email": "a@example.org",
            "lines": [{"sku": "VERSAND-DE", "quantity": 1}], "reference": {"system": "laden", "value": "1"}});
        let cart = app.ops("POST", "/carts", Some(&cart)).await.expect(201);
        let path = format!("/carts/{}/complete", cart["id"].as_str().unwrap());
        app.ops("POST", &path, Some(&json!({"payment": {"method": "manual"}}))).await.problem(409, "duplicate");
    });
}

/// Numbers that begin anew each year, and odd ones; addresses; how far each order has come; shipping beside it; credit notes
/// that name their invoice.
const JOURNAL_MAPPING: &str = r#"
channel = "markt"
currency = "EUR"
numbers_restart = "yearly"
file = { delimiter = ";", decimal_comma = true }
countries = { default = "DE" }
cancellation = { kinds = ["Gutschrift"], unsigned = true }
tax = { rate = "19", country_rates = { AT = "20" } }

[columns]
number = "Nr"
kind = "Art"
sku = "Artikel"
quantity = "Menge"
date = "Datum"
unit_price = "Preis"
order_shipping = "Versand"
customer = "Kunde"
name = "Name"
street = "Strasse"
postcode = "PLZ"
city = "Ort"
country = "Land"
original = "zu"
status = "Stand"

[date]
format = "%d.%m.%Y"
zone = "Europe/Berlin"

[status]
open = ["offen"]
unshipped = ["bezahlt"]
unpaid = ["versandt"]
cancelled = ["storniert"]
"#;

const JOURNAL: &str = "\
Nr;Art;Artikel;Menge;Datum;Preis;Versand;Kunde;Name;Strasse;PLZ;Ort;Land;zu;Stand
1;Rechnung;T-1;3,000;01.03.2023;10,00;4,90;C1;Ada Löwe;Weg 1;10115;Berlin;Germany;;erledigt
1;Rechnung;T-1;2;01.03.2024;11,00;;;Gast Huber;Gasse 2;1010;Wien;AUT;;erledigt
2;Rechnung;T-2;1;02.03.2024;5,00;;C1;;;;;;;OFFEN
3;Rechnung;T-2;1;03.03.2024;5,00;;C1;;;;;;;storniert
4;Rechnung;T-2;1;04.03.2024;5,00;;C2;Bob;;;;;;bezahlt
5;Rechnung;T-2;2;05.03.2024;5,00;;C2;Bob;;;;;;versandt
1;Gutschrift;T-1;1;06.03.2024;11,00;;;Gast Huber;;;;AUT;1;
Ä#6 %/2;Rechnung;T-3;1;07.03.2024;8,403361345;;C2;Bob;;;;;;
";

#[test]
fn orders_come_as_far_as_the_file_says_and_credit_notes_find_the_order_they_name() {
    on_both(|app| async move {
        take_over(&app, JOURNAL_MAPPING, JOURNAL, Some(3)).await;
        let outcome = take_over(&app, JOURNAL_MAPPING, JOURNAL, None).await;
        assert_eq!((outcome.made, outcome.found), (5, 3));
        let held = counts(&app).await;
        assert_eq!(take_over(&app, JOURNAL_MAPPING, JOURNAL, None).await.made, 0);
        assert_eq!(counts(&app).await, held);
        for (number, state, fulfilment, payment) in [
            ("1%2F2023", "completed", "delivered", "captured"),
            ("1%2F2024", "completed", "delivered", "partially_refunded"),
            ("2%2F2024", "placed", "unfulfilled", "authorised"),
            ("3%2F2024", "cancelled", "cancelled", "voided"),
            ("4%2F2024", "placed", "unfulfilled", "captured"),
            ("5%2F2024", "placed", "delivered", "authorised"),
            ("%C3%84%236%20%25%2F2%2F2024", "completed", "delivered", "captured"),
        ] {
            let order = app.ops("GET", &format!("/orders/markt:{number}"), None).await.expect(200);
            let found = [&order["state"], &order["fulfilment_state"], &order["payment_state"]];
            assert_eq!(found, [state, fulfilment, payment], "{number}");
        }
        let first = app.ops("GET", "/orders/markt:1%2F2023", None).await.expect(200);
        assert_eq!(first["total"]["amount"], "34.90");
        let found = app.ops("GET", "/orders?name=huber&postcode=1010", None).await.expect(200)["items"].clone();
        assert_eq!(found.as_array().unwrap().len(), 1);
        let back = app.ops("GET", "/returns?order=markt:1%2F2024", None).await.expect(200);
        assert_eq!(back["items"][0]["lines"][0]["gross"]["amount"], "11.00");
        let ada = app.ops("GET", "/customers?number=markt:C1", None).await.expect(200)["items"][0].clone();
        assert_eq!((&ada["name"], &ada["addresses"][0]["address"]["city"]), (&json!("Ada Löwe"), &json!("Berlin")));
        // What was changed here since is not changed back.
        let path = format!("/customers/{}", ada["id"].as_str().unwrap());
        app.ops("PATCH", &path, Some(&json!({"name": "Ada King"}))).await.expect(200);
        take_over(&app, JOURNAL_MAPPING, JOURNAL, None).await;
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["name"], "Ada King");
        let orders = app.ops("GET", &format!("{path}/orders"), None).await.expect(200);
        assert_eq!(orders["items"].as_array().unwrap().len(), 3);
    });
}
