//! Goods on their way in: ordered, announced, received in parts and whole, more and less than was said.

use futures::future::join_all;
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{App, Shop, on_both};

pub const PALLET: &str = "106141412345678908";
pub const BOX: &str = "106141412345678915";

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

/// Announces lines (SKU, pieces, handling unit) at the shop's location.
pub async fn announce(app: &App, lines: &[(&str, i64, Option<&str>)]) -> String {
    let line =
        |(sku, quantity, sscc): &(&str, i64, Option<&str>)| json!({"sku": sku, "quantity": quantity, "sscc": sscc});
    let body = json!({"location": "berlin", "expected_at": app.now().plus_seconds(3600), "over_tolerance_percent": 10,
        "lines": lines.iter().map(line).collect::<Vec<_>>()});
    text(&app.ops("POST", "/inbound-shipments", Some(&body)).await.expect(201)["id"])
}

pub async fn receive(app: &App, id: &str, body: Value) -> crate::support::Answer {
    app.ops("POST", &format!("/inbound-shipments/{id}/receive"), Some(&body)).await
}

async fn on_hand(app: &App, sku: &str) -> i64 {
    let levels = app.ops("GET", &format!("/stock/levels?sku={sku}"), None).await.expect(200);
    levels["items"][0]["on_hand"].as_i64().unwrap_or_default()
}

/// How many are to come within a week, or are late.
pub async fn to_come(app: &App, sku: &str) -> i64 {
    let found = app.ops("GET", &format!("/stock/outlook?sku={sku}&days=7"), None).await.expect(200);
    let of = |item: &Value| {
        let days = item["days"].as_array().unwrap().iter().map(|day| day["expected"].as_i64().unwrap());
        days.sum::<i64>() + item["late"].as_i64().unwrap()
    };
    found["items"].as_array().unwrap().iter().map(of).sum()
}

#[test]
fn an_order_to_a_supplier_comes_in_parts() {
    on_both(|app| async move {
        let _shop = Shop::open(&app, &[("TEE", "19.90", 2), ("MUG", "9.90", 0)]).await;
        let order = json!({"number": "PO-1", "supplier": "Mill", "location": "berlin", "expected_at": app.now().plus_seconds(90_000),
            "lines": [{"sku": "TEE", "quantity": 10}, {"sku": "MUG", "quantity": 4}]});
        let order = app.ops("POST", "/purchase-orders", Some(&order)).await.expect(201);
        let path = format!("/purchase-orders/{}", text(&order["id"]));
        let again = json!({"number": "PO-1", "supplier": "Mill", "location": "berlin", "lines": [{"sku": "TEE", "quantity": 1}]});
        app.ops("POST", "/purchase-orders", Some(&again)).await.problem(409, "duplicate");
        let inbound = |lines: Value| {
            json!({"purchase_order_id": order["id"], "expected_at": app.now().plus_seconds(3600),
            "reference": "DN-1", "lines": lines})
        };
        let six = json!([{"sku": "TEE", "quantity": 6}]);
        app.ops("POST", "/inbound-shipments", Some(&inbound(six.clone()))).await.problem(409, "state_conflict");
        let ordered = app.ops("POST", &format!("{path}/order"), None).await.expect(200);
        assert_eq!(ordered["state"], "ordered");
        app.ops("POST", &format!("{path}/order"), None).await.problem(409, "state_conflict");
        let shipment = app.ops("POST", "/inbound-shipments", Some(&inbound(six))).await.expect(201);
        assert_eq!((&shipment["supplier"], &shipment["lines"][0]["purchase_order_line"]), (&json!("Mill"), &json!(1)));
        let id = text(&shipment["id"]);
        // What is still expected: six announced, and of the order the four others and the mugs.
        let variants = app.read(|tx| kontor::catalog::ids_of(tx, &["TEE".to_owned(), "MUG".to_owned()])).await;
        let wanted: Vec<_> = variants.values().copied().collect();
        let tee = variants["TEE"];
        let expected = app.read(move |tx| kontor::fulfilment::inbound::expected(tx, &wanted)).await;
        let of = |id| expected.iter().filter(|one| one.variant == id).map(|one| one.quantity).collect::<Vec<_>>();
        assert_eq!((of(tee), of(variants["MUG"])), (vec![6, 4], vec![4]));
        assert_eq!((to_come(&app, "TEE").await, to_come(&app, "MUG").await), (10, 4));
        let ours = json!({"reference": order["id"], "lines": []});
        let refused = app.ops("PUT", "/stock/expected", Some(&ours)).await.problem(422, "invalid_value");
        assert_eq!(refused["pointer"], "/reference");
        let part = receive(&app, &id, json!({"lines": [{"line_no": 1, "quantity": 4}]})).await.expect(200);
        assert_eq!((&part["inbound_shipment"]["state"], on_hand(&app, "TEE").await), (&json!("receiving"), 6));
        let read = app.ops("GET", &path, None).await.expect(200);
        assert_eq!((&read["state"], &read["lines"][0]["received"]), (&json!("partially_received"), &json!(4)));
        // The rest does not come: it is expected of the order again.
        let why = json!({"reason": "lost on the way"});
        let closed = app.ops("POST", &format!("/inbound-shipments/{id}/close"), Some(&why)).await.expect(200);
        assert_eq!((&closed["state"], &closed["lines"][0]["short"]), (&json!("closed"), &json!(2)));
        receive(&app, &id, json!({})).await.problem(409, "state_conflict");
        let read = app.ops("GET", &path, None).await.expect(200);
        assert_eq!((&read["lines"][0]["announced"], to_come(&app, "TEE").await), (&json!(4), 6));
        let rest = json!([{"sku": "TEE", "quantity": 6}, {"sku": "MUG", "quantity": 4}]);
        let rest = app.ops("POST", "/inbound-shipments", Some(&inbound(rest))).await.expect(201);
        receive(&app, &text(&rest["id"]), json!({})).await.expect(200);
        let read = app.ops("GET", &path, None).await.expect(200);
        assert_eq!(
            (&read["state"], on_hand(&app, "TEE").await, on_hand(&app, "MUG").await),
            (&json!("received"), 12, 4)
        );
        assert_eq!((to_come(&app, "TEE").await, to_come(&app, "MUG").await), (0, 0));
        let movements = app.ops("GET", "/stock/movements?sku=MUG", None).await.expect(200);
        assert_eq!(
            (&movements["items"][0]["kind"], &movements["items"][0]["reference"]),
            (&json!("receipt"), &rest["id"])
        );
        let listed = app.ops("GET", "/inbound-shipments?location=berlin&state=closed", None).await.expect(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn more_than_the_tolerance_is_taken_only_when_that_is_meant() {
    on_both(|app| async move {
        let _shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        let id = announce(&app, &[("TEE", 20, None)]).await;
        let over = json!({"lines": [{"line_no": 1, "quantity": 23}]});
        let refused = receive(&app, &id, over.clone()).await.problem(409, "quantity_exceeded");
        assert_eq!((&refused["left"], &refused["pointer"]), (&json!(22), &json!("/lines/0")));
        assert_eq!(on_hand(&app, "TEE").await, 0);
        let within = receive(&app, &id, json!({"lines": [{"line_no": 1, "quantity": 21}]})).await.expect(200);
        let line = &within["inbound_shipment"]["lines"][0];
        assert_eq!((&line["surplus"], &within["inbound_shipment"]["state"]), (&json!(1), &json!("received")));
        receive(&app, &id, json!({})).await.problem(409, "quantity_exceeded");
        let more = json!({"lines": [{"line_no": 1, "quantity": 5}], "accept_over": true});
        let taken = receive(&app, &id, more).await.expect(200);
        assert_eq!((&taken["inbound_shipment"]["lines"][0]["surplus"], on_hand(&app, "TEE").await), (&json!(6), 26));
        receive(&app, &id, json!({"lines": [{"line_no": 2, "quantity": 1}]})).await.problem(422, "line_unknown");
        receive(&app, &id, json!({"lines": [{"line_no": 1, "quantity": 0}]})).await.problem(422, "invalid_value");
        let wrong = json!({"location": "berlin", "expected_at": app.now(), "lines": [{"sku": "TEE", "quantity": 1, "sscc": "106141412345678909"}]});
        let refused = app.ops("POST", "/inbound-shipments", Some(&wrong)).await.problem(422, "invalid_value");
        assert_eq!(refused["pointer"], "/lines/0/sscc");
    });
}

#[test]
fn a_handling_unit_comes_once_however_many_receive_it() {
    on_both(|app| async move {
        let _shop = Shop::open(&app, &[("TEE", "19.90", 0), ("MUG", "9.90", 0)]).await;
        let id = announce(&app, &[("TEE", 4, Some(PALLET)), ("MUG", 6, Some(PALLET)), ("TEE", 2, Some(BOX))]).await;
        let known = json!({"location": "berlin", "expected_at": app.now(), "lines": [{"sku": "TEE", "quantity": 1, "sscc": PALLET}]});
        app.ops("POST", "/inbound-shipments", Some(&known)).await.problem(409, "duplicate");
        let arrived = app.ops("POST", &format!("/inbound-shipments/{id}/arrive"), None).await.expect(200);
        assert_eq!(arrived["state"], "arrived");
        let all = join_all((0..6).map(|_| receive(&app, &id, json!({"units": [PALLET]})))).await;
        assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 1);
        assert!(all.iter().filter(|answer| answer.status != 200).all(|answer| answer.body["code"] == "duplicate"));
        assert_eq!((on_hand(&app, "TEE").await, on_hand(&app, "MUG").await), (4, 6));
        // With a key the same request is answered with the same receipt.
        let (path, token) = (format!("/v1/ops/inbound-shipments/{id}/receive"), format!("Bearer {}", app.staff()));
        let headers = [("Authorization", token.as_str()), ("Idempotency-Key", "dock-1")];
        let body = json!({"units": [BOX]});
        let answers = join_all((0..2).map(|_| app.send("POST", &path, &headers, Some(&body)))).await;
        assert!(answers.iter().all(|answer| answer.status == 200 || answer.body["code"] == "idempotency_in_progress"));
        assert_eq!(on_hand(&app, "TEE").await, 6);
        let read = app.ops("GET", &format!("/inbound-shipments/{id}"), None).await.expect(200);
        assert_eq!((&read["state"], &read["units"][0]["state"]), (&json!("received"), &json!("received")));
        app.ops("POST", "/inbound-shipments", Some(&known)).await.problem(409, "duplicate");
    });
}

#[test]
fn receiving_and_closing_at_once_agree() {
    on_both(|app| async move {
        let _shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        for _ in 0..4 {
            let before = on_hand(&app, "TEE").await;
            let id = announce(&app, &[("TEE", 5, Some(PALLET)), ("TEE", 3, None)]).await;
            let (close, why) = (format!("/inbound-shipments/{id}/close"), json!({"reason": "late"}));
            let (unit, loose) = (json!({"units": [PALLET]}), json!({"lines": [{"line_no": 2, "quantity": 2}]}));
            let (one, two, end) =
                tokio::join!(receive(&app, &id, unit), receive(&app, &id, loose), app.ops("POST", &close, Some(&why)));
            let refused =
                |answer: &crate::support::Answer| answer.status == 409 && answer.body["code"] == "state_conflict";
            assert!([&one, &two].into_iter().all(|answer| answer.status == 200 || refused(answer)));
            // It is never received whole, so closing is possible whenever it comes.
            assert_eq!(end.status, 200, "{}", end.text);
            let read = app.ops("GET", &format!("/inbound-shipments/{id}"), None).await.expect(200);
            let sum = |field: &str| {
                read["lines"].as_array().unwrap().iter().map(|line| line[field].as_i64().unwrap()).sum::<i64>()
            };
            let come = if one.status == 200 { 5 } else { 0 } + if two.status == 200 { 2 } else { 0 };
            assert_eq!((sum("received"), sum("received") + sum("short")), (come, 8));
            assert_eq!(on_hand(&app, "TEE").await, before + come);
            let unit = if one.status == 200 { "received" } else { "missing" };
            assert_eq!(read["units"][0]["state"], unit);
            // A unit that came is not announced again.
            if one.status == 200 {
                break;
            }
        }
    });
}

#[test]
fn who_keeps_no_stock_there_sees_or_changes_nothing() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        let id = announce(&app, &[("TEE", 5, None)]).await;
        let there = json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin"});
        let there = text(&app.ops("POST", "/locations", Some(&there)).await.expect(201)["id"]);
        let mut claims = app.claims(Audience::Staff, "eve", &format!("{} {}", Scope::StockRead, Scope::StockWrite));
        claims.locations = Some(vec![there.parse().unwrap()]);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let headers = [("Authorization", token.as_str())];
        let path = format!("/v1/ops/inbound-shipments/{id}");
        app.send("GET", &path, &headers, None).await.problem(404, "not_found");
        app.send("POST", &format!("{path}/receive"), &headers, Some(&json!({}))).await.problem(404, "not_found");
        let listed = app.send("GET", "/v1/ops/inbound-shipments", &headers, None).await.expect(200);
        assert_eq!(listed["items"], json!([]));
        let mut claims = app.claims(Audience::Staff, "eve", &format!("{} {}", Scope::StockRead, Scope::StockWrite));
        claims.channels = Some(vec![shop.channel.parse().unwrap()]);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let headers = [("Authorization", token.as_str())];
        app.send("GET", &path, &headers, None).await.expect(200);
        app.send("POST", &format!("{path}/receive"), &headers, Some(&json!({}))).await.problem(403, "scope_missing");
    });
}
