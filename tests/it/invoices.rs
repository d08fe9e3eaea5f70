//! Invoices and credit notes: numbers without gaps, parts that sum to the whole, what follows from cancelling and returning.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Answer, App, Bare, Shop, eventually, on_both};

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Cents of an amount such as 12.34.
pub fn cents(money: &Value) -> i64 {
    text(&money["amount"]).replace('.', "").parse().unwrap()
}

pub async fn entity(app: &App) -> Value {
    app.ops("GET", "/legal-entities", None).await.expect(200)["items"][0].clone()
}

pub fn settings() -> Value {
    json!({"street1": "Speicherstadt 1", "postcode": "20457", "city": "Hamburg", "series": "RE-{year}-",
        "credit_series": "GU-{year}-", "iban": "DE89370400440532013000", "email": "accounts@example.org"})
}

/// Lets the shop's legal entity invoice, and its channel do it so.
pub async fn invoiced(shop: &Shop, mode: &str) {
    let entity = entity(&shop.app).await;
    let body = json!({"vat_id": "DE136695976", "invoicing": settings()});
    shop.app.ops("PATCH", &format!("/legal-entities/{}", text(&entity["id"])), Some(&body)).await.expect(200);
    shop.set(json!({ "invoicing": mode })).await;
}

pub async fn of_order(app: &App, order: &Value) -> Vec<Value> {
    let path = format!("/invoices?order={}&limit=200", text(&order["id"]));
    let mut items = app.ops("GET", &path, None).await.expect(200)["items"].as_array().unwrap().clone();
    items.sort_by_key(|one| text(&one["id"]));
    items
}

/// Waits until an order has so many documents.
pub async fn have(app: &App, order: &Value, count: usize) -> Vec<Value> {
    eventually("the documents are issued", || async { of_order(app, order).await.len() >= count }).await;
    let found = of_order(app, order).await;
    assert_eq!(found.len(), count, "{found:#?}");
    found
}

pub async fn whole(app: &App, summary: &Value) -> Value {
    app.ops("GET", &format!("/invoices/{}", text(&summary["id"])), None).await.expect(200)
}

pub async fn ship(app: &App, order: &Value, lines: Option<Value>) -> Value {
    let work = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
    let path = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
    let body = lines.map_or_else(|| json!({}), |lines| json!({ "lines": lines }));
    app.ops("POST", &path, Some(&body)).await.expect(201)
}

async fn cancel(app: &App, order: &Value, lines: Option<Value>) {
    let mut body = json!({"reason": "not wanted"});
    body.as_object_mut().unwrap().extend(lines.map(|lines| ("lines".to_owned(), lines)));
    app.ops("POST", &format!("/orders/{}/cancel", text(&order["id"])), Some(&body)).await.expect(200);
}

async fn take_back(app: &App, order: &Value, line_no: i64, quantity: i64) -> Value {
    let body = json!({"order": order["id"], "lines": [{"line_no": line_no, "quantity": quantity}], "refund": true});
    app.ops("POST", "/returns", Some(&body)).await.expect(201)
}

/// Invoices less credit notes: net, tax and total in cents.
fn sums(documents: &[Value]) -> [i64; 3] {
    let mut sums = [0; 3];
    for one in documents {
        let sign = if one["kind"] == "invoice" { 1 } else { -1 };
        for (sum, field) in sums.iter_mut().zip(["net", "tax", "total"]) {
            *sum += sign * cents(&one[field]);
        }
    }
    sums
}

fn of_whole(order: &Value) -> [i64; 3] {
    [cents(&order["net"]), cents(&order["tax"]), cents(&order["total"])]
}

#[test]
fn an_order_is_invoiced_when_it_is_placed_and_what_is_cancelled_or_comes_back_is_credited() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.99", 100), ("MUG", "9.95", 100)]).await;
        invoiced(&shop, "at_order").await;
        let order = shop.order(&[("TEE", 3), ("MUG", 2)]).await;
        assert_eq!(order["invoicing"], "at_order");
        let issued = have(&app, &order, 1).await;
        assert_eq!(sums(&issued), of_whole(&order));
        let year = &app.now().to_string()[..4];
        assert_eq!(issued[0]["number"], format!("RE-{year}-000001"));
        let invoice = whole(&app, &issued[0]).await;
        assert_eq!(invoice["seller"]["vat_id"], "DE136695976");
        assert_eq!(invoice["buyer"]["name"], "Ada Lovelace");
        assert_eq!(invoice["charges"][0]["gross"]["amount"], "4.90");
        // One is cancelled, the rest leaves, and one of it comes back.
        cancel(&app, &order, Some(json!([{"line_no": 1, "quantity": 1}]))).await;
        let issued = have(&app, &order, 2).await;
        assert_eq!((&issued[1]["kind"], &issued[1]["total"]["amount"]), (&json!("credit_note"), &json!("19.99")));
        let credit = whole(&app, &issued[1]).await;
        assert_eq!(credit["refers_to"][0]["number"], issued[0]["number"]);
        assert_eq!(credit["number"], format!("GU-{year}-000001"));
        ship(&app, &order, None).await;
        let back = take_back(&app, &order, 2, 1).await;
        let issued = have(&app, &order, 3).await;
        assert_eq!(issued[2]["total"], back["amount"]);
        assert_eq!(issued[2]["cause"], format!("return:{}", text(&back["id"])));
        // It is found by its number, and by who may see its channel alone.
        let by_number = app.ops("GET", &format!("/invoices/{}", text(&issued[0]["number"])), None).await.expect(200);
        assert_eq!(by_number["id"], issued[0]["id"]);
        app.ops("GET", "/invoices/RE-1999-000001", None).await.problem(404, "not_found");
        // Events are on the order's stream, and who has bought is in them.
        eventually("it is told", || async {
            let path = format!("/orders/{}/timeline?limit=200", text(&order["id"]));
            let told = app.ops("GET", &path, None).await.expect(200);
            let told: Vec<&Value> = told["items"].as_array().unwrap().iter().collect();
            let of = |kind: &str| told.iter().filter(|one| one["type"] == kind).count();
            let buyer = told.iter().find(|one| one["type"] == "invoice.issued.v1");
            (of("invoice.issued.v1"), of("credit_note.issued.v1")) == (1, 2)
                && buyer.is_some_and(|one| one["data"]["buyer"]["name"] == "Ada Lovelace")
        })
        .await;
    });
}

#[test]
fn shipments_are_invoiced_as_they_leave_and_sum_to_the_order() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 1_000), ("MUG", "0.07", 1_000)]).await;
        invoiced(&shop, "at_shipment").await;
        let mut seed = 11u64;
        let mut dice = |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % most
        };
        for _ in 0..4 {
            let mut left = [dice(5) as i64 + 3, dice(5) as i64 + 3];
            let order = shop.order(&[("TEE", left[0]), ("MUG", left[1])]).await;
            let mut count = 0;
            while left != [0, 0] {
                let take = [dice(left[0] as u64 + 1) as i64, dice(left[1] as u64 + 1) as i64];
                let lines: Vec<Value> = (1..)
                    .zip(take)
                    .filter(|(_, quantity)| *quantity > 0)
                    .map(|(line_no, quantity)| json!({"line_no": line_no, "quantity": quantity}))
                    .collect();
                if lines.is_empty() {
                    continue;
                }
                left = [left[0] - take[0], left[1] - take[1]];
                // Sometimes what is left of a line is cancelled.
                if dice(4) == 0 && count > 0 {
                    cancel(&app, &order, Some(json!(lines))).await;
                    continue;
                }
                let shipment = ship(&app, &order, Some(json!(lines))).await;
                count += 1;
                let issued = have(&app, &order, count).await;
                assert_eq!(issued[count - 1]["cause"], format!("shipment:{}", text(&shipment["id"])));
            }
            // What was cancelled was never invoiced: all that was is what is due.
            let issued = have(&app, &order, count).await;
            assert!(issued.iter().all(|one| one["kind"] == "invoice"));
            let now = app.ops("GET", &format!("/orders/{}", text(&order["id"])), None).await.expect(200);
            let cancelled = now["lines"].as_array().unwrap().iter().any(|line| line["cancelled"] != 0);
            if !cancelled {
                assert_eq!(sums(&issued), of_whole(&order));
            }
        }
    });
}

#[test]
fn a_hundred_at_once_have_numbers_without_gaps() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 1_000)]).await;
        let entity = entity(&app).await;
        let body = json!({"vat_id": "DE136695976", "invoicing": settings()});
        app.ops("PATCH", &format!("/legal-entities/{}", text(&entity["id"])), Some(&body)).await.expect(200);
        let mut orders = Vec::new();
        for _ in 0..100 {
            orders.push(text(&shop.order(&[("TEE", 1)]).await["id"]));
        }
        // Each twice, with the job of a channel that has begun to invoice beside: one of both has it, and the other is told so.
        let body = json!({"kind": "invoice"});
        let paths: Vec<String> = orders.iter().map(|id| format!("/orders/{id}/invoices")).collect();
        let twice = paths.iter().chain(&paths);
        let asked: Vec<Answer> = futures::future::join_all(twice.map(|path| app.ops("POST", path, Some(&body)))).await;
        let (made, refused): (Vec<Answer>, Vec<Answer>) = asked.into_iter().partition(|one| one.status == 201);
        assert_eq!((made.len(), refused.len()), (100, 100));
        assert!(refused.iter().all(|one| one.body["code"] == "state_conflict"), "{refused:?}");
        let numbers: BTreeSet<String> = made.iter().map(|one| text(&one.body["number"])).collect();
        let year = &app.now().to_string()[..4];
        let wanted: BTreeSet<String> = (1..=100).map(|n| format!("RE-{year}-{n:06}")).collect();
        assert_eq!(numbers, wanted);
    });
}

#[test]
fn jobs_at_once_have_numbers_without_gaps() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 1_000)]).await;
        invoiced(&shop, "at_order").await;
        let mut placed = Vec::new();
        for _ in 0..10 {
            placed.extend(futures::future::join_all((0..10).map(|_| shop.order(&[("TEE", 1)]))).await);
        }
        let year = &app.now().to_string()[..4];
        let (last, all) = (format!("/invoices/RE-{year}-000100"), "SELECT count(*) FROM invoice_documents");
        eventually("all are invoiced", || async { app.count(all).await == 100 }).await;
        app.ops("GET", &last, None).await.expect(200);
        for order in &placed {
            have(&app, order, 1).await;
        }
    });
}

#[test]
fn what_has_not_left_after_all_is_credited_and_invoiced_when_it_does() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.99", 100)]).await;
        invoiced(&shop, "at_shipment").await;
        let order = shop.order(&[("TEE", 3)]).await;
        let shipment = ship(&app, &order, Some(json!([{"line_no": 1, "quantity": 2}]))).await;
        have(&app, &order, 1).await;
        let wrong = json!({"kind": "not_shipped", "reason": "still here"});
        let path = format!("/shipments/{}/correct", text(&shipment["id"]));
        app.ops("POST", &path, Some(&wrong)).await.expect(200);
        let issued = have(&app, &order, 2).await;
        assert_eq!(sums(&issued), [0, 0, 0]);
        ship(&app, &order, None).await;
        let issued = have(&app, &order, 3).await;
        assert_eq!(sums(&issued), of_whole(&order));
    });
}

#[test]
fn an_invoice_is_corrected_by_a_credit_note_and_a_new_one() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.99", 100)]).await;
        invoiced(&shop, "at_order").await;
        let order = shop.order(&[("TEE", 3)]).await;
        let issued = have(&app, &order, 1).await;
        let path = format!("/invoices/{}/correct", text(&issued[0]["id"]));
        let address = json!({"name": "Ada Lovelace", "company": "Engines & Söhne <GmbH>", "street1": "Street 1",
            "postcode": "10115", "city": "Berlin", "country": "DE"});
        let body = json!({"reason": "The company was missing", "billing_address": address});
        // Both of two at once can not be.
        let both =
            futures::future::join_all([app.ops("POST", &path, Some(&body)), app.ops("POST", &path, Some(&body))]);
        let (made, refused): (Vec<Answer>, Vec<Answer>) = both.await.into_iter().partition(|one| one.status == 201);
        assert_eq!((made.len(), refused.len()), (1, 1));
        assert_eq!(refused[0].body["code"], "state_conflict");
        let made = &made[0].body;
        assert_eq!(made["credit_note"]["buyer"]["name"], "Ada Lovelace");
        assert_eq!(made["invoice"]["buyer"]["name"], "Engines & Söhne <GmbH>");
        assert_eq!(made["invoice"]["total"], order["total"]);
        assert_eq!(sums(&have(&app, &order, 3).await), of_whole(&order));
        // Credit notes are not corrected, and what follows is about the new invoice and its buyer.
        let path = format!("/invoices/{}/correct", text(&made["credit_note"]["id"]));
        app.ops("POST", &path, Some(&body)).await.problem(409, "state_conflict");
        cancel(&app, &order, None).await;
        let issued = have(&app, &order, 4).await;
        assert_eq!(sums(&issued), [0, 0, 0]);
        let last = whole(&app, &issued[3]).await;
        assert_eq!(
            last["refers_to"],
            json!([{"id": made["invoice"]["id"], "number": made["invoice"]["number"],
            "issued_on": made["invoice"]["issued_on"]}])
        );
        assert_eq!(last["buyer"]["name"], "Engines & Söhne <GmbH>");
        let page = app.ops("GET", &format!("/invoices/{}/html", text(&last["id"])), None).await;
        assert!(page.text.contains("Engines &amp; Söhne &lt;GmbH&gt;") && page.text.contains("<h1>"), "{}", page.text);
    });
}

#[test]
fn who_has_bought_sees_the_invoices_and_nobody_else() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.99", 100)]).await;
        invoiced(&shop, "at_order").await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        let issued = have(&app, &order, 1).await;
        let path = format!("/orders/{}/invoices", text(&order["id"]));
        let own = shop.store("GET", &path, Some(&cart.token), None).await.expect(200);
        assert_eq!(own["items"][0]["number"], issued[0]["number"]);
        let by_link = format!("{path}?token={}", text(&order["link"]["token"]));
        shop.store("GET", &by_link, None, None).await.expect(200);
        shop.store("GET", &path, None, None).await.problem(404, "not_found");
        let page = format!("{path}/{}/html", text(&issued[0]["id"]));
        let shown = shop.store("GET", &page, Some(&cart.token), None).await;
        assert_eq!((shown.status, shown.header("content-type")), (200, Some("text/html; charset=utf-8")));
        assert!(shown.text.contains(issued[0]["number"].as_str().unwrap()));
        let paper = format!("{path}/{}/pdf", text(&issued[0]["id"]));
        let drawn = shop.store("GET", &paper, Some(&cart.token), None).await;
        assert_eq!((drawn.status, drawn.header("content-type")), (200, Some("application/pdf")));
        assert!(drawn.text.starts_with("%PDF-"));
        let of_staff = app.ops("GET", &format!("/invoices/{}/pdf", text(&issued[0]["id"])), None).await;
        assert_eq!((of_staff.status, of_staff.header("content-type")), (200, Some("application/pdf")));
        let other = shop.cart(&[("TEE", 1)]).await;
        shop.store("GET", &page, Some(&other.token), None).await.problem(404, "not_found");
        shop.store("GET", &paper, Some(&other.token), None).await.problem(404, "not_found");
    });
}

#[test]
fn nothing_is_invoiced_where_nobody_has_said_so() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.99", 100)]).await;
        let order = shop.order(&[("TEE", 2)]).await;
        assert!(order.get("invoicing").is_none());
        let path = format!("/orders/{}/invoices", text(&order["id"]));
        app.ops("POST", &path, Some(&json!({"kind": "invoice"}))).await.problem(422, "invoicing_missing");
        // A channel can not invoice before its legal entity says who it is.
        let entity = entity(&app).await;
        let channel = app.ops("GET", &format!("/channels/{}", shop.channel), None).await.expect(200);
        let mut settings_of = json!({"invoicing": "at_order"});
        for field in
            ["currencies", "locales", "countries", "time_zone", "prices_include_tax", "rounding", "payment_methods"]
        {
            settings_of[field] = channel[field].clone();
        }
        let body = json!({ "settings": settings_of });
        let refused = app.ops("PATCH", &format!("/channels/{}", shop.channel), Some(&body)).await;
        assert_eq!(refused.problem(422, "invoicing_missing")["pointer"], "/settings/invoicing");
        let entity_path = format!("/legal-entities/{}", text(&entity["id"]));
        let refused = app.ops("PATCH", &entity_path, Some(&json!({"invoicing": settings()}))).await;
        assert_eq!(refused.problem(422, "missing_field")["pointer"], "/invoicing/tax_number");
        let mut odd = settings();
        (odd["series"], odd["tax_number"]) = (json!("RE1"), json!("22/333/4444"));
        let refused = app.ops("PATCH", &entity_path, Some(&json!({ "invoicing": odd }))).await;
        assert_eq!(refused.problem(422, "invalid_value")["pointer"], "/invoicing/series");
        invoiced(&shop, "off").await;
        // What an invoice would say, and then one.
        let pro_forma = app.ops("POST", &path, Some(&json!({"kind": "pro_forma"}))).await.expect(200);
        assert_eq!((&pro_forma["total"], pro_forma.get("number")), (&order["total"], None));
        let made = app.ops("POST", &path, Some(&json!({"kind": "invoice"}))).await.expect(201);
        assert_eq!(made["total"], order["total"]);
        app.ops("POST", &path, Some(&json!({"kind": "pro_forma"}))).await.problem(409, "state_conflict");
        // From then on what follows is written by itself.
        cancel(&app, &order, None).await;
        assert_eq!(sums(&have(&app, &order, 2).await), [0, 0, 0]);
    });
}

#[test]
fn a_job_that_is_run_again_and_beside_another_writes_nothing_twice() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.99", 100)]).await;
        invoiced(&shop, "at_order").await;
        let order = shop.order(&[("TEE", 2)]).await;
        have(&app, &order, 1).await;
        let id = text(&order["id"]);
        let again = |_| {
            let (app, id, now) = (app.clone(), id.clone(), app.now());
            async move {
                let written = app.state.db.write(move |tx| {
                    let task = json!({ "order": id });
                    kontor::jobs::enqueue(tx, now, vec![kontor::jobs::NewJob::now(kontor::orders::INVOICE, now, task)])
                });
                written.await.unwrap();
            }
        };
        futures::future::join_all((0..8).map(again)).await;
        eventually("the jobs are done", || async {
            app.count("SELECT count(*) FROM jobs WHERE kind = 'orders.invoice'").await == 0
        })
        .await;
        have(&app, &order, 1).await;
        // What was changed by hand is found out.
        let tampered = app.state.db.write(|tx| {
            kontor::db::sql("UPDATE invoice_documents SET document = replace(document, 'Ada', 'Eve')").execute(tx)
        });
        assert_eq!(tampered.await.unwrap(), 1);
        let findings = kontor::doctor::examine(&app.state.db, |_| {}).await.unwrap();
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!(findings[0].rule, "an issued invoice is as it was issued");
        app.makes_things_up();
    });
}

#[test]
fn what_fails_takes_no_number_and_days_never_go_back() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.99", 100)]).await;
        invoiced(&shop, "off").await;
        let ask = async |order: &Value| {
            let path = format!("/orders/{}/invoices", text(&order["id"]));
            app.ops("POST", &path, Some(&json!({"kind": "invoice"}))).await
        };
        let write = async |statement: &'static str| {
            app.state.db.write(move |tx| kontor::db::sql(statement).execute(tx)).await.unwrap()
        };
        let (first, second) = (shop.order(&[("TEE", 1)]).await, shop.order(&[("TEE", 2)]).await);
        ask(&first).await.expect(201);
        // The next number is taken, which no shop can come to: writing the document fails behind the counter.
        let id: kontor::kernel::ids::BillId = kontor::kernel::Id::new();
        let blocked = app.state.db.write(move |tx| {
            kontor::db::sql(
                "INSERT INTO invoice_documents (id, kind, legal_entity_id, channel_id, order_id, order_number, cause, series, \
                 sequence, number, issued_on, due_on, retain_until, currency, net, tax, total, document, sha256, recorded_at) \
                 SELECT ?, kind, legal_entity_id, channel_id, order_id, order_number, 'blocked', series, 2, 'x', issued_on, \
                 due_on, retain_until, currency, net, tax, total, document, sha256, recorded_at FROM invoice_documents",
            )
            .bind(id)
            .execute(tx)
        });
        assert_eq!(blocked.await.unwrap(), 1);
        for _ in 0..3 {
            assert!(ask(&second).await.status >= 400);
        }
        assert_eq!(app.count("SELECT last FROM invoice_series").await, 1);
        assert_eq!(write("DELETE FROM invoice_documents WHERE cause = 'blocked'").await, 1);
        // The predecessor's day is later than this process' clock: it holds for what follows.
        let later = "UPDATE invoice_series SET last_on = '2999-12-24'";
        assert_eq!(write(later).await, 1);
        let made = ask(&second).await.expect(201);
        let year = &app.now().to_string()[..4];
        assert_eq!((&made["number"], &made["issued_on"]), (&json!(format!("RE-{year}-000002")), &json!("2999-12-24")));
        assert_eq!((&made["due_on"], &made["retain_until"]), (&json!("3000-01-07"), &json!("3009-12-31")));
    });
}

/// An order that is paid by hand.
pub async fn by_hand(shop: &Shop, lines: &[(&str, i64)]) -> Value {
    let cart = shop.cart(lines).await;
    let body = json!({"payment": {"method": "manual"}});
    let path = format!("/carts/{}/complete", cart.id);
    shop.store("POST", &path, Some(&cart.token), Some(&body)).await.expect(201)["order"].clone()
}

#[test]
fn who_has_paid_or_whose_card_is_being_charged_is_not_asked_to_pay() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.99", 100)]).await;
        invoiced(&shop, "at_order").await;
        // The card is charged when the parcel leaves, and the invoice is written before.
        let order = shop.order(&[("TEE", 2)]).await;
        let invoice = whole(&app, &have(&app, &order, 1).await[0]).await;
        assert_eq!((&invoice["prepaid"], cents(&invoice["payable"])), (&order["total"], 0));
        assert_eq!((invoice.get("iban"), invoice.get("terms")), (None, None));
        let xml = app.ops("GET", &format!("/invoices/{}/xml", text(&invoice["id"])), None).await.text;
        assert!(!xml.contains("PaymentMeans") && !xml.contains("PaymentTerms"), "{xml}");
        // Who pays by hand is asked, as often as they have not.
        let order = by_hand(&shop, &[("TEE", 1)]).await;
        let invoice = whole(&app, &have(&app, &order, 1).await[0]).await;
        assert_eq!((cents(&invoice["prepaid"]), &invoice["payable"]), (0, &order["total"]));
        assert_eq!(invoice["iban"], settings()["iban"]);
        let paid = format!("/orders/{}/payments", text(&order["id"]));
        app.ops("POST", &paid, Some(&json!({"reference": "BANK-1"}))).await.expect(200);
        let path = format!("/invoices/{}/correct", text(&invoice["id"]));
        let made = app.ops("POST", &path, Some(&json!({"reason": "again"}))).await.expect(201);
        assert_eq!((&made["invoice"]["prepaid"], made["invoice"].get("iban")), (&order["total"], None));
        // Parcel by parcel, with a goodwill between.
        shop.set(json!({"invoicing": "at_shipment"})).await;
        let order = shop.order(&[("TEE", 2)]).await;
        let one = || Some(json!([{"line_no": 1, "quantity": 1}]));
        ship(&app, &order, one()).await;
        let first = whole(&app, &have(&app, &order, 1).await[0]).await;
        let id = text(&order["id"]);
        eventually("the card is charged", || async {
            let now = app.ops("GET", &format!("/orders/{id}"), None).await.expect(200);
            now["payments"][0]["captured"] == first["total"]
        })
        .await;
        let goodwill = json!({"amount": {"amount": "5.00", "currency": "EUR"}, "reason": "late"});
        app.ops("POST", &format!("/orders/{id}/refunds"), Some(&goodwill)).await.expect(202);
        ship(&app, &order, None).await;
        let second = whole(&app, &have(&app, &order, 2).await[1]).await;
        assert_eq!((cents(&first["payable"]), cents(&second["payable"])), (0, 0));
    });
}

#[test]
fn money_that_a_bank_has_taken_back_for_good_pays_nothing_else() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.99", 100)]).await;
        invoiced(&shop, "at_shipment").await;
        let order = by_hand(&shop, &[("TEE", 2)]).await;
        let own = format!("/orders/{}", text(&order["id"]));
        let paid = json!({"reference": "BANK-1", "amount": {"amount": "24.89", "currency": "EUR"}});
        app.ops("POST", &format!("{own}/payments"), Some(&paid)).await.expect(200);
        ship(&app, &order, Some(json!([{"line_no": 1, "quantity": 1}]))).await;
        let first = whole(&app, &have(&app, &order, 1).await[0]).await;
        assert_eq!((cents(&first["prepaid"]), cents(&first["payable"])), (2_489, 0));
        let payments = app.ops("GET", &format!("{own}/payments"), None).await.expect(200);
        let path = format!("/payments/{}/disputes", text(&payments["payments"][0]["id"]));
        let dispute = json!({"reference": "dp_1", "reason": "fraudulent"});
        let dispute = app.ops("POST", &path, Some(&dispute)).await.expect(201);
        let close = format!("/disputes/{}/close", text(&dispute["id"]));
        app.ops("POST", &close, Some(&json!({"outcome": "lost"}))).await.expect(200);
        ship(&app, &order, None).await;
        let second = whole(&app, &have(&app, &order, 2).await[1]).await;
        assert_eq!((cents(&second["prepaid"]), cents(&second["payable"])), (0, 1_999));
    });
}

#[test]
fn what_was_paid_ahead_pays_the_second_parcel_when_the_first_came_back() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.99", 100), ("MUG", "9.95", 100)]).await;
        invoiced(&shop, "at_shipment").await;
        let order = by_hand(&shop, &[("TEE", 1), ("MUG", 1)]).await;
        let paid = format!("/orders/{}/payments", text(&order["id"]));
        app.ops("POST", &paid, Some(&json!({"reference": "BANK-1"}))).await.expect(200);
        ship(&app, &order, Some(json!([{"line_no": 1, "quantity": 1}]))).await;
        have(&app, &order, 1).await;
        take_back(&app, &order, 1, 1).await;
        have(&app, &order, 2).await;
        ship(&app, &order, None).await;
        let last = whole(&app, &have(&app, &order, 3).await[2]).await;
        assert_eq!((cents(&last["prepaid"]), cents(&last["payable"])), (995, 0));
    });
}

#[test]
fn what_came_back_before_somebody_asks_for_the_invoice_is_credited_behind_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.99", 100)]).await;
        invoiced(&shop, "off").await;
        let order = shop.order(&[("TEE", 2)]).await;
        ship(&app, &order, None).await;
        let back = take_back(&app, &order, 1, 1).await;
        let path = format!("/orders/{}/invoices", text(&order["id"]));
        app.ops("POST", &path, Some(&json!({"kind": "invoice"}))).await.expect(201);
        let issued = have(&app, &order, 2).await;
        assert_eq!((&issued[1]["kind"], &issued[1]["total"]), (&json!("credit_note"), &back["amount"]));
    });
}

#[test]
fn documents_of_an_erased_order_name_its_buyer_and_their_events_do_not() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.99", 100)]).await;
        invoiced(&shop, "at_order").await;
        let order = shop.order(&[("TEE", 1)]).await;
        let issued = have(&app, &order, 1).await;
        let parcel = ship(&app, &order, None).await;
        let delivered = format!("/shipments/{}/deliver", text(&parcel["id"]));
        app.ops("POST", &delivered, Some(&json!({}))).await.expect(200);
        let email = json!({"email": "ada@example.org"});
        eventually("nothing of it moves", || async {
            app.ops("POST", "/guests/erase", Some(&email)).await.status == 200
        })
        .await;
        let path = format!("/invoices/{}/correct", text(&issued[0]["id"]));
        let made = app.ops("POST", &path, Some(&json!({"reason": "The register's number"}))).await.expect(201);
        for document in [&made["credit_note"], &made["invoice"]] {
            assert_eq!(document["buyer"]["name"], "Ada Lovelace");
            assert_eq!(document["deliver_to"]["name"], "Ada Lovelace");
        }
        let path = format!("/orders/{}/timeline?limit=200", text(&order["id"]));
        eventually("it is told", || async {
            let told = app.ops("GET", &path, None).await.expect(200);
            told["items"].as_array().unwrap().iter().filter(|one| one["type"] == "invoice.issued.v1").count() == 2
        })
        .await;
        let told = app.ops("GET", &path, None).await.expect(200);
        assert!(!told.to_string().contains("Lovelace"), "{told}");
    });
}

#[test]
fn no_series_is_gone_on_with_after_a_restore() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.99", 100)]).await;
        invoiced(&shop, "off").await;
        let ask = async |order: &Value| {
            let path = format!("/orders/{}/invoices", text(&order["id"]));
            app.ops("POST", &path, Some(&json!({"kind": "invoice"}))).await
        };
        ask(&shop.order(&[("TEE", 1)]).await).await.expect(201);
        // What a restore writes.
        let (folder, copy) = (tempfile::tempdir().unwrap(), Bare::sqlite(|options| options));
        let file = folder.path().join("backup.gz");
        kontor::db::dump::backup(&app.state.db, app.now(), &file, |_, _| {}).await.unwrap();
        kontor::db::dump::restore(&copy.db, &file, |_, _| {}).await.unwrap();
        let spent = copy.db.read(|tx| {
            kontor::db::sql("SELECT spent_series FROM legal_entities").first::<diesel::sql_types::Text, String>(tx)
        });
        let spent: Vec<String> = serde_json::from_str(&spent.await.unwrap().unwrap()).unwrap();
        let year = app.now().to_string()[..4].to_owned();
        assert_eq!(spent, ["GU-{year}-".to_owned(), format!("RE-{year}-"), "RE-{year}-".to_owned()]);
        // And what it means.
        let written = app.state.db.write(move |tx| {
            let update = kontor::db::sql("UPDATE legal_entities SET spent_series = ?");
            update.bind(kontor::db::Json::of(&spent)?).execute(tx)
        });
        assert_eq!(written.await.unwrap(), 1);
        let order = shop.order(&[("TEE", 1)]).await;
        ask(&order).await.problem(422, "invoicing_missing");
        let entity = entity(&app).await;
        assert_eq!(entity["spent_series"].as_array().unwrap().len(), 3);
        let mut other = settings();
        (other["series"], other["credit_series"]) = (json!("RE-{year}-B-"), json!("GU-{year}-B-"));
        let path = format!("/legal-entities/{}", text(&entity["id"]));
        app.ops("PATCH", &path, Some(&json!({ "invoicing": other }))).await.expect(200);
        let made = ask(&order).await.expect(201);
        assert_eq!(made["number"], format!("RE-{year}-B-000001"));
    });
}
