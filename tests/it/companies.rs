//! Companies that customers buy for, segments that customers are in; prices and promotions for both.

use futures::future::join_all;
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    promotions::{eur, percent, plan, promote},
    support::{Answer, App, Shop, on_both, shop::address},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

async fn make(app: &App, path: &str, body: Value) -> Value {
    app.ops("POST", path, Some(&body)).await.expect(201)
}

async fn company(app: &App, number: &str) -> Value {
    make(app, "/companies", json!({"number": number, "name": format!("Company {number}")})).await["id"].clone()
}

async fn change(app: &App, kind: &str, id: &Value, body: Value) -> Value {
    app.ops("PATCH", &format!("/{kind}/{}", text(id)), Some(&body)).await.expect(200)
}

async fn import(app: &App, kind: &str, query: &str, rows: String) -> Value {
    let token = format!("Bearer {}", app.token(Audience::Client, "crm", &[Scope::CustomersWrite]));
    let path = format!("/v1/integration/customers{query}");
    app.send_text("POST", &path, &[("Authorization", &token)], Some((kind, rows))).await.expect(200)
}

/// A list of prices for somebody, with the price of a mug in it: the list's id.
async fn list_for(app: &App, code: &str, whom: Value, price: &str) -> String {
    let mut list = json!({"code": code, "name": code, "currency": "EUR"});
    list.as_object_mut().unwrap().extend(whom.as_object().unwrap().clone());
    let made = make(app, "/price-lists", list).await;
    let rows = json!({"rows": [{"sku": "MUG", "unit_price": eur(price)}]});
    let path = format!("/price-lists/{}/prices", text(&made["id"]));
    app.ops("PUT", &path, Some(&rows)).await.expect(200);
    text(&made["id"]).to_owned()
}

/// A cart of staff for a customer with one mug in it.
async fn cart_of(shop: &Shop, customer: &Value) -> Value {
    let body = json!({"channel_id": shop.channel, "customer_id": customer, "lines": [{"sku": "MUG", "quantity": 1}],
        "email": "ada@example.org", "shipping_address": address(), "shipping_method": "standard"});
    make(&shop.app, "/carts", body).await
}

fn mug(cart: &Value) -> &str {
    text(&cart["totals"]["lines"][0]["unit_price"]["amount"])
}

#[test]
fn a_company_is_made_read_changed_found_and_told_of() {
    on_both(|app| async move {
        let new = json!({"number": "D-7", "name": "Müller & Söhne", "vat_id": "de 136 695 976"});
        let made = make(&app, "/companies", new.clone()).await;
        assert_eq!(
            (&made["vat_id"], &made["active"], &made["version"]),
            (&json!("DE136695976"), &json!(true), &json!(1))
        );
        let path = format!("/companies/{}", text(&made["id"]));
        assert_eq!(app.ops("GET", &path, None).await.expect(200), made);
        let taken = app.ops("POST", "/companies", Some(&new)).await.problem(409, "duplicate");
        assert_eq!(taken["pointer"], "/number");
        let odd = json!({"number": "D-8", "name": "Odd", "vat_id": "DE136695977"});
        assert_eq!(app.ops("POST", "/companies", Some(&odd)).await.problem(422, "invalid_value")["pointer"], "/vat_id");
        let nameless = app.ops("POST", "/companies", Some(&json!({"number": "1"}))).await.problem(422, "missing_field");
        assert_eq!(nameless["pointer"], "/name");
        let renumbered = app.ops("PATCH", &path, Some(&json!({"number": "D-9"}))).await.problem(422, "unknown_field");
        assert_eq!(renumbered["pointer"], "/number");
        app.clock.advance_seconds(60);
        let changed = change(&app, "companies", &made["id"], json!({"active": false, "vat_id": null})).await;
        assert_eq!(
            (&changed["vat_id"], &changed["active"], &changed["version"]),
            (&Value::Null, &json!(false), &json!(2))
        );
        assert_ne!(changed["updated_at"], made["updated_at"]);
        // What is so already is no change.
        assert_eq!(change(&app, "companies", &made["id"], json!({"active": false})).await, changed);
        for (number, name) in [("D-8", "Mulligan"), ("D-9", "Zeta")] {
            make(&app, "/companies", json!({"number": number, "name": name})).await;
        }
        let found = async |query: &str| {
            let page = app.ops("GET", &format!("/companies?{query}"), None).await.expect(200);
            let names = page["items"].as_array().unwrap().iter().map(|one| text(&one["number"]).to_owned());
            (names.collect::<Vec<_>>(), page["next_cursor"].clone())
        };
        assert_eq!(found("").await.0, ["D-7", "D-8", "D-9"]);
        assert_eq!(found("name=m%C3%BCller").await.0, ["D-7"]);
        assert_eq!(found("active=true").await.0, ["D-8", "D-9"]);
        assert_eq!(found("number=D-9").await.0, ["D-9"]);
        let (first, cursor) = found("name=mul&limit=1").await;
        let (second, end) = found(&format!("name=mul&limit=1&cursor={}", text(&cursor))).await;
        assert_eq!(([first, second].concat(), end), (vec!["D-7".to_owned(), "D-8".to_owned()], Value::Null));
        app.ops("GET", "/companies?name=%3F", None).await.problem(400, "invalid_query");
        let table = app.ops("GET", "/companies?format=csv", None).await;
        assert!(table.text.contains("Müller & Söhne") && table.text.lines().count() == 4, "{}", table.text);
        // Each change is told once, to those who may read customers.
        app.state.db.write(kontor::events::number).await.unwrap();
        let feed = async |scopes: &[Scope], path: &str| {
            let token = format!("Bearer {}", app.token(Audience::Client, "crm", scopes));
            app.send("GET", &format!("/v1/integration/{path}"), &[("Authorization", &token)], None).await
        };
        let (both, one) = ([Scope::FeedsRead, Scope::CustomersRead], [Scope::FeedsRead]);
        let told = feed(&both, "feeds/customers?types=company.").await.expect(200);
        let kinds: Vec<&str> = told["items"].as_array().unwrap().iter().map(|event| text(&event["type"])).collect();
        assert_eq!(kinds, ["company.created.v1", "company.updated.v1", "company.created.v1", "company.created.v1"]);
        assert_eq!(told["items"][1]["data"], changed);
        let current = feed(&both, "feeds/customers?view=current&limit=1").await.expect(200);
        assert_eq!(current["items"][0]["data"], changed);
        assert_eq!(feed(&one, "feeds/all").await.expect(200)["items"], json!([]));
        let rows = feed(&both, "snapshots/customers").await.expect(200);
        assert_eq!((&rows["items"][0]["kind"], &rows["items"][0]["data"]), (&json!("company"), &changed));
        assert_eq!(feed(&one, "snapshots/all").await.expect(200)["items"], json!([]));
    });
}

#[test]
fn of_those_who_make_or_change_a_company_at_once_one_does() {
    on_both(|app| async move {
        let new = json!({"number": "1", "name": "Acme"});
        let made = join_all((0..8).map(|_| app.ops("POST", "/companies", Some(&new)))).await;
        assert_eq!(made.iter().filter(|answer| answer.status == 201).count(), 1);
        assert_eq!(made.iter().filter(|answer| answer.status == 409).count(), 7);
        let company = made.iter().find(|answer| answer.status == 201).unwrap().body.clone();
        let path = format!("/v1/ops/companies/{}", text(&company["id"]));
        let token = format!("Bearer {}", app.staff());
        let headers = [("Authorization", token.as_str()), ("If-Match", "\"v1\"")];
        let bodies: Vec<Value> = (0..6).map(|n| json!({"name": format!("Acme {n}")})).collect();
        let changes = join_all(bodies.iter().map(|body| app.send("PATCH", &path, &headers, Some(body)))).await;
        assert_eq!(changes.iter().filter(|answer| answer.status == 200).count(), 1);
        assert_eq!(changes.iter().filter(|answer| answer.status == 412).count(), 5);
        // Without a version all count, one after the other.
        let changes = join_all(bodies.iter().map(|body| app.ops("PATCH", &path["/v1/ops".len()..], Some(body)))).await;
        assert!(changes.iter().all(|answer| answer.status == 200));
    });
}

#[test]
fn customers_buy_for_a_company_and_are_in_segments() {
    on_both(|app| async move {
        let (acme, bravo) = (company(&app, "1").await, company(&app, "2").await);
        let new = json!({"name": "Ada", "company_id": acme, "segments": ["vip", "newsletter", "vip"]});
        let ada = make(&app, "/customers", new).await;
        assert_eq!((&ada["company_id"], &ada["segments"]), (&acme, &json!(["newsletter", "vip"])));
        let moved = change(&app, "customers", &ada["id"], json!({"company_id": bravo, "segments": ["lapsed"]})).await;
        assert_eq!((&moved["company_id"], &moved["segments"]), (&bravo, &json!(["lapsed"])));
        let found = app.ops("GET", &format!("/customers?company_id={}", text(&bravo)), None).await.expect(200);
        assert_eq!(found["items"].as_array().unwrap().len(), 1);
        let none =
            app.ops("GET", &format!("/customers?company_id={}&count=capped", text(&acme)), None).await.expect(200);
        assert_eq!((&none["items"], &none["count"]), (&json!([]), &json!(0)));
        let cleared = change(&app, "customers", &ada["id"], json!({"company_id": null, "segments": []})).await;
        assert_eq!((&cleared["company_id"], &cleared["segments"]), (&Value::Null, &json!([])));
        let nobody = "company_00000000000000000000000000";
        let many: Vec<String> = (0..51).map(|n| format!("s{n}")).collect();
        for (path, method) in [("/customers".to_owned(), "POST"), (format!("/customers/{}", text(&ada["id"])), "PATCH")]
        {
            let unknown = app.ops(method, &path, Some(&json!({"company_id": nobody}))).await.problem(404, "not_found");
            assert_eq!(unknown["pointer"], "/company_id");
            let full = app.ops(method, &path, Some(&json!({"segments": many}))).await.problem(422, "invalid_value");
            assert_eq!(full["pointer"], "/segments");
        }
        // Erased, neither is known any more, nor in what was told.
        change(&app, "customers", &ada["id"], json!({"company_id": acme, "segments": ["secret-segment"]})).await;
        app.ops("POST", &format!("/customers/{}/erase", text(&ada["id"])), None).await.expect(200);
        let erased = app.ops("GET", &format!("/customers/{}", text(&ada["id"])), None).await.expect(200);
        assert_eq!((&erased["company_id"], &erased["segments"]), (&Value::Null, &json!([])));
        app.state.db.write(kontor::events::number).await.unwrap();
        let token = format!("Bearer {}", app.token(Audience::Client, "crm", &[Scope::FeedsRead, Scope::CustomersRead]));
        let path = "/v1/integration/feeds/customers?types=customer.&limit=200";
        let told = app.send("GET", path, &[("Authorization", &token)], None).await;
        assert!(!told.text.contains("secret-segment") && !told.text.contains(text(&acme)), "{}", told.text);
        assert!(told.text.contains("customer.erased.v1"));
    });
}

#[test]
fn an_import_names_companies_by_their_numbers() {
    on_both(|app| async move {
        let (acme, bravo) = (company(&app, "1").await, company(&app, "2").await);
        let rows = "number,name,company_number,segments\nK1,Ada,1,vip | newsletter\nK2,Bob,9,\nK3,Cid,,lapsed\n";
        let counts = |report: &Value| {
            ["received", "created", "updated", "unchanged", "failed"].map(|n| report[n].as_i64().unwrap())
        };
        let rehearsed = import(&app, "text/csv", "?dry_run=true", rows.into()).await;
        assert_eq!(counts(&rehearsed), [3, 2, 0, 0, 1]);
        let report = import(&app, "text/csv", "", rows.into()).await;
        assert_eq!(report, rehearsed);
        let error = &report["errors"][0];
        assert_eq!(
            (&error["row"], &error["code"], &error["pointer"]),
            (&json!(2), &json!("not_found"), &json!("/company_number"))
        );
        let customer = async |number: &str| {
            let page = app.ops("GET", &format!("/customers?number={number}"), None).await.expect(200);
            page["items"][0].clone()
        };
        let ada = customer("K1").await;
        assert_eq!((&ada["company_id"], &ada["segments"]), (&acme, &json!(["newsletter", "vip"])));
        let cid = customer("K3").await;
        assert_eq!((&cid["company_id"], &cid["segments"]), (&Value::Null, &json!(["lapsed"])));
        // What a row does not name stays; null removes; of two rows the later counts.
        let rows = "{\"number\":\"K1\",\"company_number\":\"2\"}\n{\"number\":\"K3\",\"company_number\":\"1\"}\n\
                    {\"number\":\"K3\",\"company_number\":null,\"segments\":[]}\n";
        assert_eq!(counts(&import(&app, "application/x-ndjson", "", rows.into()).await), [3, 0, 3, 0, 0]);
        let ada = customer("K1").await;
        assert_eq!((&ada["company_id"], &ada["segments"]), (&bravo, &json!(["newsletter", "vip"])));
        let cid = customer("K3").await;
        assert_eq!((&cid["company_id"], &cid["segments"]), (&Value::Null, &json!([])));
        let again = "{\"number\":\"K1\",\"company_number\":\"2\",\"segments\":[\"vip\",\"newsletter\"]}\n";
        assert_eq!(counts(&import(&app, "application/x-ndjson", "", again.into()).await), [1, 0, 0, 1, 0]);
    });
}

#[test]
fn prices_are_for_a_company_behind_the_customers_own_and_before_the_groups() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let (acme, bravo) = (company(&app, "1").await, company(&app, "2").await);
        let buyer = async |name: &str, company: &Value| {
            make(&app, "/customers", json!({"name": name, "group": "trade", "company_id": company})).await["id"].clone()
        };
        let (ada, bob, cid) = (buyer("Ada", &acme).await, buyer("Bob", &acme).await, buyer("Cid", &Value::Null).await);
        list_for(&app, "trade", json!({"customer_group": "trade", "priority": 9}), "8.00").await;
        let list = list_for(&app, "acme", json!({"company_id": acme, "kind": "contract"}), "7.50").await;
        list_for(&app, "adas", json!({"customer_id": ada}), "7.00").await;
        list_for(&app, "bravo", json!({"company_id": bravo}), "9.00").await;
        let read = app.ops("GET", &format!("/price-lists/{list}"), None).await.expect(200);
        assert_eq!(
            (&read["company_id"], &read["customer_id"], &read["customer_group"]),
            (&acme, &Value::Null, &Value::Null)
        );
        let price = async |customer: &Value| mug(&cart_of(&shop, customer).await).to_owned();
        assert_eq!([price(&ada).await, price(&bob).await, price(&cid).await], ["7.00", "7.50", "8.00"]);
        assert_eq!(price(&Value::Null).await, "10.00");
        // A cart follows its customer into another company, and out of it; the price that moved is told.
        let cart = cart_of(&shop, &bob).await;
        let path = format!("/carts/{}", text(&cart["id"]));
        for (company, price) in [(&bravo, "9.00"), (&Value::Null, "8.00"), (&acme, "7.50")] {
            change(&app, "customers", &bob, json!({ "company_id": company })).await;
            let seen = app.ops("PATCH", &path, Some(&json!({"metadata": {"company": company}}))).await.expect(200);
            assert_eq!((mug(&seen), &seen["changes"][0]["code"]), (price, &json!("price_changed")));
        }
        // Of a company that is not active nothing counts any more; completing is priced so, too.
        change(&app, "companies", &acme, json!({"active": false})).await;
        let stale = json!({"payment": {"method": "manual"}, "expected_total": cart["total"]});
        app.ops("POST", &format!("{path}/complete"), Some(&stale)).await.problem(409, "total_changed");
        let seen = app.ops("PATCH", &path, Some(&json!({"metadata": {}}))).await.expect(200);
        assert_eq!(mug(&seen), "8.00");
        change(&app, "companies", &acme, json!({"active": true})).await;
        let pay = json!({"payment": {"method": "manual"}});
        let order = app.ops("POST", &format!("{path}/complete"), Some(&pay)).await.expect(201)["order"].clone();
        assert_eq!(order["total"]["amount"], "12.40");
        // Its prices are changed by per cent as those of any other list.
        let adjust = json!({"percent": "-20", "dry_run": true});
        let seen = app.ops("POST", &format!("/price-lists/{list}/adjust"), Some(&adjust)).await.expect(200);
        let adjust = json!({"percent": "-20", "dry_run": false, "expected": seen["digest"]});
        app.ops("POST", &format!("/price-lists/{list}/adjust"), Some(&adjust)).await.expect(200);
        assert_eq!(price(&bob).await, "6.00");
        let history = app.ops("GET", &format!("/price-changes?price_list_id={list}"), None).await.expect(200);
        assert_eq!(history["items"].as_array().unwrap().len(), 2);
    });
}

#[test]
fn nobody_else_is_shown_the_prices_of_a_company() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let acme = company(&app, "1").await;
        let sale = json!({"company_id": acme, "kind": "sale", "valid_from": app.now().plus_seconds(-60)});
        list_for(&app, "acme", sale, "6.00").await;
        let asks = async |subject: Option<&str>| {
            let bearer = subject.map(|subject| format!("Bearer {}", app.token(Audience::Customer, subject, &[])));
            let mut headers = vec![("Channel-Key", shop.key.as_str())];
            headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
            let body = json!({"skus": ["MUG"]});
            app.send("POST", "/v1/store/offers", &headers, Some(&body)).await
        };
        let sign_in = async |subject: &str| {
            let bearer = format!("Bearer {}", app.token(Audience::Customer, subject, &[]));
            let headers = [("Channel-Key", shop.key.as_str()), ("Authorization", &bearer)];
            app.send("GET", "/v1/store/me", &headers, None).await.expect(200)
        };
        let (ada, _) = (sign_in("ada").await, sign_in("eve").await);
        change(&app, "customers", &ada["id"], json!({"company_id": acme, "segments": ["vip"]})).await;
        let price = |answer: Answer| {
            let secret = answer.text.contains("acme");
            (answer.expect(200)["items"][0]["price"]["amount"].clone(), secret)
        };
        assert_eq!(price(asks(Some("ada")).await), (json!("6.00"), false));
        assert_eq!(price(asks(Some("eve")).await), (json!("10.00"), false));
        assert_eq!(price(asks(None).await), (json!("10.00"), false));
        // What staff note about customers is not shown to them.
        let me = sign_in("ada").await;
        assert!(me.get("segments").is_none() && me.get("company_id").is_none(), "{me}");
        // A guest who signs in to pay pays their company's price.
        let cart = shop.cart(&[("MUG", 1)]).await;
        assert_eq!(cart.body["total"]["amount"], "14.90");
        let bearer = format!("Bearer {}", app.token(Audience::Customer, "ada", &[]));
        let headers = [("Channel-Key", shop.key.as_str()), ("Cart-Token", &cart.token), ("Authorization", &bearer)];
        let path = format!("/v1/store/carts/{}/complete", cart.id);
        let placed = app.send("POST", &path, &headers, Some(&json!({"payment": {"method": "sandbox"}}))).await;
        assert_eq!(placed.expect(201)["order"]["total"]["amount"], "10.90");
        // A sale for a company is none that everybody was told of.
        let sales = app.ops("GET", "/sale-prices", None).await.expect(200);
        assert_eq!(sales["items"], json!([]));
    });
}

#[test]
fn a_list_is_for_one_audience_that_there_is() {
    on_both(|app| async move {
        let acme = company(&app, "1").await;
        let ada = make(&app, "/customers", json!({"name": "Ada"})).await["id"].clone();
        let new = |whom: Value| {
            let mut list = json!({"code": "x", "name": "x", "currency": "EUR"});
            list.as_object_mut().unwrap().extend(whom.as_object().unwrap().clone());
            list
        };
        for (whom, status, code, pointer) in [
            (json!({"company_id": acme, "customer_id": ada}), 422, "invalid_value", "/company_id"),
            (json!({"company_id": acme, "customer_group": "trade"}), 422, "invalid_value", "/customer_group"),
            (json!({"company_id": acme, "kind": "cost"}), 422, "invalid_value", "/company_id"),
            (json!({"company_id": "company_00000000000000000000000000"}), 404, "not_found", "/company_id"),
        ] {
            let refused = app.ops("POST", "/price-lists", Some(&new(whom))).await.problem(status, code);
            assert_eq!(refused["pointer"], pointer);
        }
        // Who may not read customers names no company.
        let token = format!("Bearer {}", app.token(Audience::Staff, "sam", &[Scope::PricesWrite, Scope::PricesRead]));
        let headers = [("Authorization", token.as_str())];
        let whom = new(json!({ "company_id": acme }));
        let refused =
            app.send("POST", "/v1/ops/price-lists", &headers, Some(&whom)).await.problem(403, "scope_missing");
        assert_eq!(refused["pointer"], "/company_id");
        let rule =
            json!({"code": "x", "name": "x", "conditions": {"companies": [acme]}, "gift": percent("5", "order")});
        let refused = app.send("POST", "/v1/ops/promotions", &headers, Some(&rule)).await.problem(403, "scope_missing");
        assert_eq!(refused["pointer"], "/conditions/companies/0");
    });
}

#[test]
fn promotions_are_for_segments_and_companies() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let (acme, bravo) = (company(&app, "1").await, company(&app, "2").await);
        let ada =
            make(&app, "/customers", json!({"name": "Ada", "company_id": acme, "segments": ["lapsed", "vip"]})).await;
        let bob = make(&app, "/customers", json!({"name": "Bob", "company_id": bravo})).await;
        let rule = json!({"conditions": {"segments": ["vip", "press"]}, "gift": percent("10", "order"), "priority": 2});
        let vip = promote(&app, "vip", rule).await;
        let rule = json!({"conditions": {"companies": [acme]}, "gift": {"type": "amount", "amount": eur("1.00"), "on": "order"}});
        let ours = promote(&app, "ours", rule).await;
        let total = async |customer: &Value| text(&cart_of(&shop, customer).await["total"]["amount"]).to_owned();
        assert_eq!([total(&ada["id"]).await, total(&bob["id"]).await], ["12.90", "14.90"]);
        assert_eq!(total(&Value::Null).await, "14.90");
        // A cart follows its customer's segments and company.
        let cart = cart_of(&shop, &bob["id"]).await;
        let path = format!("/carts/{}", text(&cart["id"]));
        let again = async |n: i64| app.ops("PATCH", &path, Some(&json!({"metadata": {"n": n}}))).await.expect(200);
        change(&app, "customers", &bob["id"], json!({"segments": ["press"], "company_id": acme})).await;
        assert_eq!(again(1).await["total"]["amount"], "12.90");
        change(&app, "companies", &acme, json!({"active": false})).await;
        let seen = again(2).await;
        assert_eq!(
            (&seen["total"]["amount"], &seen["changes"][0]["code"]),
            (&json!("13.90"), &json!("promotion_gone"))
        );
        change(&app, "companies", &acme, json!({"active": true})).await;
        // Simulated for anybody, with each reason by its name.
        let simulated = async |who: Value| {
            let mut body = json!({"channel_id": shop.channel, "lines": [{"sku": "MUG"}]});
            body.as_object_mut().unwrap().extend(who.as_object().unwrap().clone());
            let seen = app.ops("POST", "/pricing/simulate", Some(&body)).await.expect(200);
            let passed = seen["totals"]["passed_over"].as_array().cloned().unwrap_or_default();
            let reasons: Vec<String> = passed.iter().map(|one| text(&one["reason"]["code"]).to_owned()).collect();
            (text(&seen["totals"]["discount"]["amount"]).to_owned(), reasons.join(" "))
        };
        let told = |discount: &str, reasons: &str| (discount.to_owned(), reasons.to_owned());
        assert_eq!(simulated(json!({})).await, told("0.00", "segment company"));
        assert_eq!(simulated(json!({"customer_id": ada["id"]})).await, told("2.00", ""));
        assert_eq!(simulated(json!({"segments": ["press"]})).await, told("1.00", "company"));
        assert_eq!(simulated(json!({"company_id": acme})).await, told("1.00", "segment"));
        let both = json!({"customer_id": ada["id"], "company_id": bravo, "segments": []});
        assert_eq!(simulated(both).await, told("0.00", "segment company"));
        for (wrong, status, code, pointer) in [
            (json!({"company_id": "company_00000000000000000000000000"}), 404, "not_found", "/company_id"),
            (json!({"payment_method": "pigeon"}), 422, "payment_method_unavailable", "/payment_method"),
        ] {
            let mut body = json!({"channel_id": shop.channel, "lines": [{"sku": "MUG"}]});
            body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
            assert_eq!(
                app.ops("POST", "/pricing/simulate", Some(&body)).await.problem(status, code)["pointer"],
                pointer
            );
        }
        // Named where they stand, by what there is.
        let nobody = json!({"companies": [acme, "company_00000000000000000000000000"]});
        let unknown = app.ops("PATCH", &format!("/promotions/{ours}"), Some(&json!({ "conditions": nobody }))).await;
        assert_eq!(unknown.problem(404, "not_found")["pointer"], "/conditions/companies/1");
        let pigeon = json!({"conditions": {"payment_methods": ["manual", "pigeon"]}});
        let unknown =
            app.ops("PATCH", &format!("/promotions/{vip}"), Some(&pigeon)).await.problem(422, "provider_unknown");
        assert_eq!(unknown["pointer"], "/conditions/payment_methods/1");
        let many: Vec<String> = (0..51).map(|n| format!("s{n}")).collect();
        let full = json!({"conditions": {"segments": many}});
        let full = app.ops("PATCH", &format!("/promotions/{vip}"), Some(&full)).await.problem(422, "invalid_value");
        assert_eq!(full["pointer"], "/conditions/segments");
    });
}

#[test]
fn checks_know_whom_promotions_are_for() {
    on_both(|app| async move {
        Shop::open(&app, &[("MUG", "10.00", 5)]).await;
        let (acme, bravo) = (company(&app, "1").await, company(&app, "2").await);
        list_for(&app, "costs", json!({"kind": "cost"}), "6.00").await;
        list_for(&app, "acme", json!({"company_id": acme}), "6.50").await;
        let warnings = async |id: &str| {
            let seen = app.ops("GET", &format!("/promotions/{id}/checks"), None).await.expect(200);
            let codes = seen["warnings"].as_array().unwrap().iter();
            codes.map(|one| (text(&one["code"]).to_owned(), one["examples"][0]["price"].clone())).collect::<Vec<_>>()
        };
        // 10 % off the price of everybody leaves more than the cost, off what was agreed with the company it does not.
        let gift = percent("10", "lines");
        let all = plan(&app, "all", json!({ "gift": gift })).await;
        assert_eq!(warnings(&all).await, []);
        let ours = plan(&app, "ours", json!({"conditions": {"companies": [bravo, acme]}, "gift": gift})).await;
        assert_eq!(warnings(&ours).await, [("below_cost".to_owned(), eur("6.50"))]);
        // Two that no cart can be for at once do not add up.
        let rule = |conditions: Value| json!({"conditions": conditions, "gift": gift});
        promote(&app, "by-hand", rule(json!({"payment_methods": ["manual"], "companies": [bravo]}))).await;
        for (code, conditions, adds_up) in [
            ("card", json!({"payment_methods": ["sandbox"]}), false),
            ("other", json!({"companies": [acme]}), false),
            ("either", json!({"payment_methods": ["sandbox", "manual"]}), true),
            ("segment", json!({"segments": ["vip"]}), true),
        ] {
            let id = plan(&app, code, rule(conditions)).await;
            let found = warnings(&id).await;
            assert_eq!(found.iter().any(|(code, _)| code == "overlap"), adds_up, "{code}: {found:?}");
        }
    });
}
