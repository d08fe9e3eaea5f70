//! Sums of tax by country, treatment, rate and currency: they are those of the orders, to the cent.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    promotions::eur,
    support::{App, Shop, on_both},
    tax::{FRENCH, address, shop},
};

const DAY: i64 = 86_400;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Cents of an amount such as -12.34.
fn cents(money: &Value) -> i64 {
    text(&money["amount"]).replace('.', "").parse().unwrap()
}

async fn entity(app: &App) -> String {
    text(&app.ops("GET", "/legal-entities", None).await.expect(200)["items"][0]["id"])
}

async fn sums(app: &App, entity: &str, period: &str) -> Vec<Value> {
    let path = format!("/legal-entities/{entity}/tax-sums?limit=200&{period}");
    app.ops("GET", &path, None).await.expect(200)["items"].as_array().unwrap().clone()
}

/// The quarter of a day of the test's clock; far enough from midnight that zones do not matter.
fn quarter(app: &App) -> String {
    let today = app.now().to_string();
    let month: u32 = today[5..7].parse().unwrap();
    format!("quarter={}-Q{}", &today[..4], month.div_ceil(3))
}

async fn order(shop: &Shop, country: &str, vat_id: Option<&str>, lines: &Value) -> Value {
    let body = json!({"lines": lines, "email": "ada@example.org", "shipping_method": "standard",
        "shipping_address": address(country), "vat_id": vat_id});
    let cart = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
    let (path, token) = (format!("/carts/{}/complete", text(&cart["id"])), text(&cart["token"]));
    let pay = json!({"payment": {"method": "sandbox"}});
    shop.store("POST", &path, Some(&token), Some(&pay)).await.expect(201)["order"].clone()
}

/// Sells mugs at the standard rate and books at a lower one to four countries; shipping bears the rates of the goods.
async fn bookshop(app: &App) -> Shop {
    let shop = shop(app, json!({"exports": "untaxed", "shipping": "split"})).await;
    for (country, rate) in [("DE", "0.07"), ("AT", "0.05"), ("FR", "0.055")] {
        let rate =
            json!({"country": country, "tax_class": "books", "rate": rate, "valid_from": "2020-01-01T00:00:00Z"});
        app.ops("POST", "/tax-rates", Some(&rate)).await.expect(201);
    }
    let book = json!({"sku": "BOOK", "name": "A book", "tax_class": "books", "weight_grams": 300});
    app.ops("POST", "/variants", Some(&book)).await.expect(201);
    shop.set_price("BOOK", "21.37").await;
    shop.stock_up("BOOK", 1_000).await;
    shop.stock_up("MUG", 1_000).await;
    let methods = app.ops("GET", "/shipping-methods", None).await.expect(200);
    let path = format!("/shipping-methods/{}", text(&methods["items"][0]["id"]));
    app.ops("PATCH", &path, Some(&json!({"rates": [{"countries": [], "price": eur("4.99")}]}))).await.expect(200);
    shop
}

/// By country, treatment and rate: net and tax in cents.
type Sums = BTreeMap<(String, String, String), (i64, i64)>;

fn add(sums: &mut Sums, key: (&str, &str, &str), net: i64, tax: i64) {
    let one = sums.entry((key.0.to_owned(), key.1.to_owned(), key.2.to_owned())).or_default();
    *one = (one.0 + net, one.1 + tax);
}

fn told(rows: &[Value], net: &str, tax: &str) -> Sums {
    let mut sums = Sums::new();
    for row in rows {
        let key = [&row["country"], &row["treatment"], &row["rate"]].map(text);
        add(&mut sums, (&key[0], &key[1], &key[2]), cents(&row[net]), cents(&row[tax]));
    }
    sums.retain(|_, sums| *sums != (0, 0));
    sums
}

#[test]
fn sums_of_tax_are_those_of_the_orders_to_the_cent() {
    on_both(|app| async move {
        let shop = bookshop(&app).await;
        let (entity, period) = (entity(&app).await, quarter(&app));
        let (mut sold, mut back, mut seed) = (Sums::new(), Sums::new(), 7u64);
        let mut dice = |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % most
        };
        for _ in 0..14 {
            let (country, vat_id) =
                [("DE", None), ("AT", None), ("FR", None), ("FR", Some(FRENCH)), ("CH", None)][dice(5) as usize];
            let lines = json!([{"sku": "MUG", "quantity": dice(3) + 2}, {"sku": "BOOK", "quantity": dice(3) + 2}]);
            let placed = order(&shop, country, vat_id, &lines).await;
            let treatment = text(&placed["tax_treatment"]);
            for row in placed["taxes"].as_array().unwrap() {
                add(&mut sold, (country, &treatment, &text(&row["rate"])), cents(&row["net"]), cents(&row["tax"]));
            }
            // One piece of the mugs is cancelled; or all is sent, and one book comes back; or all of it is cancelled.
            let id = text(&placed["id"]);
            match dice(4) {
                0 => {
                    let cancel = json!({"reason": "one less", "lines": [{"line_no": 1, "quantity": 1}]});
                    app.ops("POST", &format!("/orders/{id}/cancel"), Some(&cancel)).await.expect(200);
                }
                1 => {
                    let work = app.ops("GET", &format!("/orders/{id}/fulfilment"), None).await.expect(200);
                    let path = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
                    app.ops("POST", &path, Some(&json!({}))).await.expect(201);
                    let came = json!({"order": id, "lines": [{"line_no": 2, "quantity": 1}], "refund": true});
                    let came = app.ops("POST", "/returns", Some(&came)).await.expect(201);
                    let (line, rate) = (&came["lines"][0], text(&placed["lines"][1]["tax_rate"]));
                    add(&mut back, (country, &treatment, &rate), cents(&line["net"]), cents(&line["tax"]));
                }
                2 => {
                    app.ops("POST", &format!("/orders/{id}/cancel"), Some(&json!({"reason": "none"})))
                        .await
                        .expect(200);
                    // What was sold and is cancelled is nothing in the end, at each rate.
                    for row in placed["taxes"].as_array().unwrap() {
                        let (net, tax) = (cents(&row["net"]), cents(&row["tax"]));
                        add(&mut back, (country, &treatment, &text(&row["rate"])), net, tax);
                    }
                }
                _ => {}
            }
        }
        let rows = sums(&app, &entity, &period).await;
        sold.retain(|_, sums| *sums != (0, 0));
        assert_eq!(told(&rows, "sold_net", "sold_tax"), sold);
        // What was cancelled in part is in the ledger alone.
        let query = "SELECT CAST(coalesce(sum(amount), 0) AS bigint) FROM ledger_entries WHERE posting <> 'placed' AND account = ";
        let booked = [
            app.count(Box::leak(format!("{query}'revenue'").into_boxed_str())).await,
            app.count(Box::leak(format!("{query}'tax'").into_boxed_str())).await,
        ];
        let all = |name: &str| rows.iter().map(|row| cents(&row[name])).sum::<i64>();
        assert_eq!([all("taken_back_net"), all("taken_back_tax")], booked);
        for (kind, (net, tax)) in &back {
            let found = told(&rows, "taken_back_net", "taken_back_tax").get(kind).copied().unwrap_or_default();
            assert!(found.0 >= *net && found.1 >= *tax, "{kind:?}: {found:?} of {:?}", (net, tax));
        }
        for row in &rows {
            let [net, tax, gross] = ["net", "tax", "gross"].map(|name| cents(&row[name]));
            assert_eq!(net, cents(&row["sold_net"]) - cents(&row["taken_back_net"]), "{row}");
            assert_eq!((tax, gross), (cents(&row["sold_tax"]) - cents(&row["taken_back_tax"]), net + tax), "{row}");
            assert_eq!(row["one_stop_shop"], row["treatment"] == "destination", "{row}");
        }
        // The same in two pages, and as a table.
        let path = format!("/legal-entities/{entity}/tax-sums?{period}&one_stop_shop=true");
        let some = app.ops("GET", &path, None).await.expect(200)["items"].as_array().unwrap().len();
        let first = app.ops("GET", &format!("{path}&limit=1"), None).await.expect(200);
        let cursor = text(&first["next_cursor"]);
        let rest = app.ops("GET", &format!("{path}&limit=200&cursor={cursor}"), None).await.expect(200);
        assert_eq!(rest["items"].as_array().unwrap().len() + 1, some);
        let table = app.ops("GET", &format!("{path}&format=csv"), None).await;
        assert_eq!((table.status, table.text.lines().count()), (200, some + 1), "{}", table.text);
    });
}

#[test]
fn what_comes_back_counts_when_it_does_and_what_is_tried_out_never() {
    on_both(|app| async move {
        let shop = bookshop(&app).await;
        let (entity, sold_in) = (entity(&app).await, quarter(&app));
        // 23.80 with 19 % in it, and 4.99 of shipping: 28.79 is 24.19 and 4.60.
        let placed = order(&shop, "DE", None, &json!([{"sku": "MUG", "quantity": 2}])).await;
        let work = app.ops("GET", &format!("/orders/{}/fulfilment", text(&placed["id"])), None).await.expect(200);
        let path = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
        app.ops("POST", &path, Some(&json!({}))).await.expect(201);
        // Whoever is forgotten has been taxed where they were.
        app.clock.advance_seconds(92 * DAY);
        let back_in = quarter(&app);
        assert_ne!(sold_in, back_in);
        let came = json!({"order": placed["id"], "lines": [{"line_no": 1, "quantity": 1}], "refund": true});
        app.ops("POST", "/returns", Some(&came)).await.expect(201);
        let row = |rows: Vec<Value>| {
            assert_eq!(rows.len(), 1, "{rows:?}");
            let row = &rows[0];
            let kind = (text(&row["country"]), text(&row["treatment"]), text(&row["rate"]));
            assert_eq!(kind, ("DE".to_owned(), "domestic".to_owned(), "0.19".to_owned()));
            ["sold_net", "sold_tax", "taken_back_net", "taken_back_tax", "net", "tax"].map(|name| cents(&row[name]))
        };
        let sold = row(sums(&app, &entity, &sold_in).await);
        assert_eq!(sold[..4], [cents(&placed["net"]), cents(&placed["tax"]), 0, 0]);
        assert_eq!(row(sums(&app, &entity, &back_in).await), [0, 0, 1_000, 190, -1_000, -190]);
        // By days and by instants: the whole of both, and nothing before the order.
        let (then, now) = (text(&placed["placed_at"]), app.now().plus_seconds(1).to_string());
        let both = row(sums(&app, &entity, &format!("from={}&to={now}", &then[..10])).await);
        assert_eq!(both[4..], [sold[0] - 1_000, sold[1] - 190]);
        assert_eq!(sums(&app, &entity, &format!("from=2020-01-01&to={then}")).await, Vec::<Value>::new());

        // A channel for trying things out sells the same, and counts for nothing.
        let path = format!("/channels/{}", shop.channel);
        let settings = app.ops("GET", &path, None).await.expect(200);
        let mut copied = json!({});
        for field in
            ["currencies", "locales", "countries", "time_zone", "prices_include_tax", "rounding", "payment_methods"]
        {
            copied[field] = settings[field].clone();
        }
        let tried = json!({"code": "try", "name": "Try", "legal_entity_id": entity, "test": true, "settings": copied});
        let tried = app.ops("POST", "/channels", Some(&tried)).await.expect(201);
        let method = json!({"channel_id": tried["id"], "code": "standard", "name": "Parcel", "tax_class": "standard",
            "rates": [{"countries": [], "price": eur("4.99")}]});
        app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
        let tried = Shop { channel: text(&tried["id"]), key: text(&tried["publishable_keys"][0]), ..shop.clone() };
        order(&tried, "DE", None, &json!([{"sku": "MUG", "quantity": 2}])).await;
        assert_eq!(row(sums(&app, &entity, &back_in).await), [0, 0, 1_000, 190, -1_000, -190]);

        // What is asked for must be there and be a period.
        let ask = |entity: &str, query: &str| {
            let (app, path) = (app.clone(), format!("/legal-entities/{entity}/tax-sums?{query}"));
            async move { app.ops("GET", &path, None).await }
        };
        for wrong in
            ["quarter=2026-Q5", "quarter=2026-Q1&from=2026-01-01", "from=2026-01-01", "from=2026-01-02&to=2026-01-01"]
        {
            ask(&entity, wrong).await.problem(400, "invalid_query");
        }
        // Without a period it is the quarter that is over.
        assert_eq!(ask(&entity, "").await.expect(200)["items"], json!(sums(&app, &entity, &sold_in).await));
        let nobody = entity.replace(&entity[20..], &"0".repeat(entity.len() - 20));
        ask(&nobody, &sold_in).await.problem(404, "not_found");
    });
}

#[test]
fn what_an_older_process_has_booked_is_declared_afterwards() {
    on_both(|app| async move {
        let shop = bookshop(&app).await;
        let (entity, period) = (entity(&app).await, quarter(&app));
        order(&shop, "FR", None, &json!([{"sku": "MUG", "quantity": 2}])).await;
        let placed = order(&shop, "FR", None, &json!([{"sku": "MUG", "quantity": 3}])).await;
        let cancel = json!({"reason": "one less", "lines": [{"line_no": 1, "quantity": 1}]});
        app.ops("POST", &format!("/orders/{}/cancel", text(&placed["id"])), Some(&cancel)).await.expect(200);
        let before = sums(&app, &entity, &period).await;
        assert_eq!(before.len(), 1, "{before:?}");
        let forget = "UPDATE ledger_entries SET channel_id = NULL, country = NULL, treatment = NULL, rate = NULL, tax = NULL \
                      WHERE account = 'revenue'";
        app.state.db.write(move |tx| kontor::db::sql(forget).execute(tx)).await.unwrap();
        kontor::process::runner(&app.state).run_all_turns().await.unwrap();
        assert_eq!(sums(&app, &entity, &period).await, before);
        assert_eq!(app.count("SELECT count(*) FROM ledger_entries WHERE account = 'revenue' AND tax IS NULL").await, 0);
    });
}
