//! Contracts: price lists with terms. Who orders at their prices orders under them, until when they say, from the minimum that they ask for.

use serde_json::{Value, json};

use crate::{
    credit::{Trade, eur},
    invoices::{have, invoiced, whole},
    support::{App, on_both},
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A contract of the trade's company with the price of a desk, and its terms.
async fn contract(trade: &Trade, code: &str, price: &str, more: Value) -> String {
    let app = &trade.shop.app;
    let mut list =
        json!({"code": code, "name": code, "currency": "EUR", "kind": "contract", "company_id": trade.company});
    list.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let id = text(&app.ops("POST", "/price-lists", Some(&list)).await.expect(201)["id"]);
    let rows = json!({"rows": [{"sku": "DESK", "unit_price": eur(price)}]});
    app.ops("PUT", &format!("/price-lists/{id}/prices"), Some(&rows)).await.expect(200);
    id
}

fn terms() -> Value {
    json!({"number": "RV-7", "net_days": 45, "min_order": eur("150.00"), "freight": "DAP Hamburg"})
}

async fn cart(app: &App, id: &str) -> Value {
    app.ops("GET", &format!("/carts/{id}"), None).await.expect(200)
}

async fn due(app: &App, order: &Value) -> String {
    let all = app.ops("GET", "/company-debts", None).await.expect(200);
    let own = all["items"].as_array().unwrap().iter().find(|one| one["order_id"] == order["id"]);
    text(&own.unwrap_or_else(|| panic!("no debt: {all}"))["due_at"])
}

#[test]
fn an_order_names_its_contract_and_is_due_by_it() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50), ("LAMP", "20.00", 50)]).await;
        invoiced(&trade.shop, "at_order").await;
        trade.limit("5000.00", "decline").await;
        let list = contract(&trade, "acme", "80.00", json!({ "terms": terms() })).await;
        // Told beforehand, and refused: one desk is below the minimum.
        let small = trade.cart(&[("DESK", 1)]).await;
        let seen = cart(&app, &small).await;
        assert_eq!(seen["contracts"][0]["number"], "RV-7", "{seen}");
        assert_eq!((&seen["contracts"][0]["min_order"], &seen["contracts"][0]["lines"]), (&eur("150.00"), &json!([1])));
        assert_eq!(seen["problems"][0]["code"], "contract_minimum", "{seen}");
        let refused = trade.complete(&small).await.problem(422, "contract_minimum");
        assert_eq!(refused["problems"][0]["pointer"], "/lines");
        // Goods at other prices count: it is the order that has to be large enough.
        let order = trade.order(&[("DESK", 1), ("LAMP", 4)]).await;
        let named = &order["contracts"][0];
        assert_eq!((&named["number"], &named["freight"]), (&json!("RV-7"), &json!("DAP Hamburg")), "{order}");
        assert_eq!((&named["lines"], &named["price_list_id"]), (&json!([1]), &json!(list)));
        assert_eq!((&order["net_days"], order["contracts"].as_array().unwrap().len()), (&json!(45), 1));
        // Forty-five days, and not the company's thirty.
        assert_eq!(due(&app, &order).await, "2026-04-16T09:00:00Z");
        let issued = have(&app, &order, 1).await;
        let invoice = whole(&app, &issued[0]).await;
        assert_eq!(invoice["contracts"], json!([{"number": "RV-7", "freight": "DAP Hamburg"}]));
        assert_eq!(invoice["due_on"], "2026-04-16");
        let path = format!("/invoices/{}/xml", text(&invoice["id"]));
        let xml = app.ops("GET", &path, None).await.text;
        assert!(xml.contains("<cac:ContractDocumentReference>\n<cbc:ID>RV-7</cbc:ID>"), "{xml}");
        // What is added on account is due by the contract too, from when it is added.
        app.clock.advance_seconds(86_400);
        let path = format!("/orders/{}/amendments", text(&order["id"]));
        let made = app.ops("POST", &path, Some(&json!({}))).await.expect(201);
        let path = format!("{path}/{}", text(&made["id"]));
        let edits = json!({"edits": [{"type": "add_line", "sku": "LAMP", "quantity": 1}]});
        app.ops("POST", &format!("{path}/edits"), Some(&edits)).await.expect(200);
        let version = app.ops("GET", &path, None).await.expect(200)["order_version"].clone();
        app.ops("POST", &format!("{path}/confirm"), Some(&json!({ "order_version": version }))).await.expect(200);
        let debts = app.ops("GET", "/company-debts", None).await.expect(200);
        let all: Vec<String> = debts["items"].as_array().unwrap().iter().map(|one| text(&one["due_at"])).collect();
        assert!(all.contains(&"2026-04-17T09:00:00Z".to_owned()), "{debts}");
        // Whoever buys sees the contract, and not which list it is.
        trade.as_("ada", "PATCH", "/me", Some(&json!({"name": "Ada"}))).await.expect(200);
        let mine = trade.as_("ada", "GET", "/me/orders", None).await.expect(200);
        assert_eq!(mine["items"][0]["contracts"][0]["number"], "RV-7", "{mine}");
        assert_eq!(mine["items"][0]["contracts"][0].get("price_list_id"), None);
    });
}

#[test]
fn an_ended_contract_gives_no_prices_and_no_terms() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50)]).await;
        trade.limit("5000.00", "decline").await;
        let until = app.now().plus_seconds(3_600);
        let list = contract(&trade, "acme", "80.00", json!({"terms": terms(), "valid_until": until})).await;
        let waiting = trade.cart(&[("DESK", 2)]).await;
        assert_eq!(cart(&app, &waiting).await["contracts"][0]["number"], "RV-7");
        // Changed terms are those of orders that come.
        let path = format!("/price-lists/{list}");
        let changed = json!({"terms": {"number": "RV-8", "net_days": 10}});
        let changed = app.ops("PATCH", &path, Some(&changed)).await.expect(200);
        assert_eq!(changed["terms"], json!({"number": "RV-8", "net_days": 10}));
        let order = trade.order(&[("DESK", 1)]).await;
        assert_eq!((&order["contracts"][0]["number"], &order["net_days"]), (&json!("RV-8"), &json!(10)));
        let history = app.ops("GET", &format!("{path}/history"), None).await.expect(200);
        assert_eq!(history["items"][0]["from"]["terms"]["number"], "RV-7", "{history}");
        app.clock.advance_seconds(3_600);
        let order = trade.order(&[("DESK", 1)]).await;
        assert_eq!((order.get("contracts"), order.get("net_days")), (None, None), "{order}");
        assert_eq!(order["lines"][0]["unit_price"]["amount"], "95.10");
        assert_eq!(due(&app, &order).await, "2026-04-01T10:00:00Z");
        // The cart that waited was priced under it, and is ordered without it.
        let late = trade.complete(&waiting).await.expect(201)["order"].clone();
        assert_eq!((late.get("contracts"), late.get("net_days")), (None, None), "{late}");
    });
}

#[test]
fn of_several_contracts_the_shortest_term_counts_and_each_names_its_lines() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50), ("LAMP", "20.00", 50)]).await;
        trade.limit("5000.00", "decline").await;
        contract(&trade, "desks", "80.00", json!({"terms": {"number": "A-1", "net_days": 60}})).await;
        let lamps = json!({"code": "lamps", "name": "lamps", "currency": "EUR", "kind": "contract",
            "company_id": trade.company, "terms": {"number": "B-1", "net_days": 14}});
        let id = text(&app.ops("POST", "/price-lists", Some(&lamps)).await.expect(201)["id"]);
        let rows = json!({"rows": [{"sku": "LAMP", "unit_price": eur("15.00")}]});
        app.ops("PUT", &format!("/price-lists/{id}/prices"), Some(&rows)).await.expect(200);
        let order = trade.order(&[("LAMP", 1), ("DESK", 1)]).await;
        let named: Vec<(String, Value)> = order["contracts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (text(&one["number"]), one["lines"].clone()))
            .collect();
        assert_eq!(named, [("B-1".to_owned(), json!([1])), ("A-1".to_owned(), json!([2]))]);
        assert_eq!(order["net_days"], 14);
        assert_eq!(due(&app, &order).await, "2026-03-16T09:00:00Z");
    });
}

#[test]
fn terms_are_refused_where_they_can_not_be_meant() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 5)]).await;
        let list = |more: Value| {
            let mut list = json!({"code": "odd", "name": "odd", "currency": "EUR", "kind": "contract", "company_id": trade.company});
            list.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            list
        };
        for (more, pointer) in [
            (json!({"kind": "base", "terms": terms()}), "/terms"),
            (json!({"company_id": null, "terms": terms()}), "/terms"),
            (json!({"terms": {"number": "A", "net_days": 366}}), "/terms/net_days"),
            (
                json!({"terms": {"number": "A", "min_order": {"amount": "1.00", "currency": "USD"}}}),
                "/terms/min_order/currency",
            ),
            (json!({"terms": {"number": "A", "min_order": eur("0.00")}}), "/terms/min_order/amount"),
        ] {
            let refused = app.ops("POST", "/price-lists", Some(&list(more))).await.problem(422, "invalid_value");
            assert_eq!(refused["pointer"], pointer, "{refused}");
        }
        let nameless = list(json!({"terms": {"net_days": 3}}));
        app.ops("POST", "/price-lists", Some(&nameless)).await.problem(422, "missing_field");
        // A group's contract is one too; without its terms nothing is noted.
        let id = contract(&trade, "own", "80.00", json!({ "terms": terms() })).await;
        let path = format!("/price-lists/{id}");
        let bare = app.ops("PATCH", &path, Some(&json!({"terms": null}))).await.expect(200);
        assert_eq!(bare.get("terms"), None);
        let seen = cart(&app, &trade.cart(&[("DESK", 1)]).await).await;
        assert_eq!(
            (seen.get("contracts"), &seen["totals"]["lines"][0]["unit_price"]["amount"]),
            (None, &json!("80.00"))
        );
    });
}
