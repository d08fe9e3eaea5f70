//! Whole bundles in what other systems report; and what is no bundle.

use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    bundles::{money, order, ship, text, with_set},
    imports::ndjson,
    support::{Answer, App, Shop, eventually, on_both},
};

async fn erp(app: &App, order: &str, what: &str, body: Value) -> Answer {
    let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::WritebackWrite]));
    app.send("POST", &format!("/v1/integration/orders/{order}/{what}"), &[("Authorization", &token)], Some(&body)).await
}

/// A field of the lines, by SKU and whether it is of a bundle.
async fn figures(app: &App, id: &str, field: &str) -> Vec<(String, bool, i64)> {
    let found = order(app, id).await;
    let line =
        |line: &Value| (text(&line["sku"]).to_owned(), line.get("bundle").is_some(), line[field].as_i64().unwrap());
    found["lines"].as_array().unwrap().iter().map(line).collect()
}

fn expected(tee: i64, of_set: (i64, i64)) -> Vec<(String, bool, i64)> {
    vec![("TEE".to_owned(), false, tee), ("TEE".to_owned(), true, of_set.0), ("MUG".to_owned(), true, of_set.1)]
}

#[test]
fn whole_bundles_are_reported_cancelled_and_taken_back() {
    on_both(|app| async move {
        let shop = with_set(&app, 10, 10).await;
        let placed = shop.order(&[("SET", 3), ("TEE", 2)]).await;
        let id = text(&placed["id"]).to_owned();
        let line_no = placed["bundles"][0]["line_no"].clone();
        let report = |document: &str, quantity: i64, more: Value| {
            let mut body =
                json!({"system": "erp", "document": document, "bundles": [{"line_no": line_no, "quantity": quantity}]});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        // What can not be is refused where it stands.
        for (body, status, code, pointer) in [
            (report("ST-0", 4, json!({})), 409, "quantity_exceeded", "/bundles/0/quantity"),
            (report("ST-0", 0, json!({})), 422, "quantity_invalid", "/bundles/0/quantity"),
            (json!({"system": "erp", "document": "ST-0", "bundles": []}), 422, "invalid_value", "/bundles"),
            (
                json!({"system": "erp", "document": "ST-0", "bundles": [{"line_no": 9, "quantity": 1}]}),
                422,
                "line_unknown",
                "/bundles/0/line_no",
            ),
        ] {
            let refused = erp(&app, &id, "cancellations", body.clone()).await;
            let told: Value = serde_json::from_str(&refused.text).unwrap();
            assert_eq!((&told["code"], &told["pointer"]), (&json!(code), &json!(pointer)), "{body}: {told}");
            assert_eq!(refused.status, status, "{body}: {told}");
        }
        erp(&app, &id, "cancellations", report("ST-1", 1, json!({}))).await.expect(201);
        assert_eq!(figures(&app, &id, "cancelled").await, expected(0, (1, 2)));
        // Told again it is known; with another content it is another document.
        erp(&app, &id, "cancellations", report("ST-1", 1, json!({}))).await.expect(200);
        let other = erp(&app, &id, "cancellations", report("ST-1", 2, json!({}))).await.problem(409, "duplicate");
        assert_eq!(other["pointer"], "/bundles");
        let more = report("ST-1", 1, json!({"lines": [{"sku": "TEE", "quantity": 1}]}));
        assert_eq!(erp(&app, &id, "cancellations", more).await.problem(409, "duplicate")["pointer"], "/lines");
        assert_eq!(figures(&app, &id, "cancelled").await, expected(0, (1, 2)));
        // A return that comes before its shipment is held, and booked when that comes.
        let early = report("RT-1", 1, json!({"refund": true, "restock": true}));
        erp(&app, &id, "returns", early.clone()).await.expect(202);
        erp(&app, &id, "returns", early.clone()).await.expect(202);
        erp(&app, &id, "returns", report("RT-1", 2, json!({}))).await.problem(409, "duplicate");
        ship(&app, &id).await;
        eventually("booked", || async { figures(&app, &id, "returned").await == expected(0, (1, 2)) }).await;
        erp(&app, &id, "returns", early).await.expect(200);
        // Bundles and lines together: a line that is named by its SKU is the one that was sold by itself.
        let both = report("RT-2", 1, json!({"refund": true, "lines": [{"sku": "TEE", "quantity": 2}]}));
        let made = erp(&app, &id, "returns", both.clone()).await.expect(201);
        assert_eq!(made["lines"].as_array().unwrap().len(), 3);
        erp(&app, &id, "returns", both).await.expect(200);
        assert_eq!(figures(&app, &id, "returned").await, expected(2, (2, 4)));
        // Nothing is left, and all that was paid was given back.
        let none = erp(&app, &id, "returns", report("RT-3", 1, json!({}))).await.problem(409, "quantity_exceeded");
        assert_eq!((&none["pointer"], &none["left"]), (&json!("/bundles/0/quantity"), &json!(0)));
        let empty = json!({"system": "erp", "document": "RT-4"});
        assert_eq!(erp(&app, &id, "returns", empty).await.problem(422, "invalid_value")["pointer"], "/lines");
        let now = order(&app, &id).await;
        let lines = now["lines"].as_array().unwrap();
        let paid: i64 = lines.iter().map(|line| crate::bundles::minor(&line["refunded"])).sum();
        assert_eq!(paid, 2 * 2_999 + 2 * 2_000, "{lines:?}");
        let (captured, refunded) = money(&app, &id, paid).await;
        assert_eq!((captured - refunded, refunded), (490, paid));
    });
}

#[test]
fn what_is_no_bundle_has_no_components() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 1)]).await;
        let new = json!({"sku": "CUP", "name": "A cup", "tax_class": "standard", "components": []});
        assert_eq!(
            app.ops("POST", "/variants", Some(&new)).await.problem(422, "bundle_invalid")["pointer"],
            "/components"
        );
        let mug = app.ops("GET", "/variants?sku=MUG", None).await.expect(200)["items"][0].clone();
        let path = format!("/variants/{}", text(&mug["id"]));
        let change = json!({"name": "The mug", "components": []});
        assert_eq!(
            app.ops("PATCH", &path, Some(&change)).await.problem(422, "bundle_invalid")["pointer"],
            "/components"
        );
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["version"], mug["version"]);
        let report = ndjson(&app, "/variants", &[new, json!({"sku": "MUG", "weight_grams": 7})]).await.expect(200);
        assert_eq!((&report["failed"], &report["updated"]), (&json!(1), &json!(1)), "{report}");
        assert_eq!(report["errors"][0]["code"], "bundle_invalid");
        shop.order(&[("MUG", 1)]).await;
    });
}
