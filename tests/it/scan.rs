//! What somebody has in their hands, and what can be done with it.

use serde_json::{Value, json};

use crate::{
    inbound::{BOX, PALLET, announce, receive, text},
    support::{App, Shop, on_both},
};

async fn scan(app: &App, code: &str) -> Value {
    app.ops("POST", "/scan", Some(&json!({"code": code, "location": "berlin"}))).await.expect(200)
}

fn commands(answer: &Value) -> Vec<(String, bool)> {
    let action = |action: &Value| (text(&action["command"]), action["allowed"].as_bool().unwrap());
    answer["actions"].as_array().unwrap().iter().map(action).collect()
}

#[test]
fn a_scan_says_what_it_is_and_what_can_be_done() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 3)]).await;
        let tee = app.ops("GET", "/variants?sku=TEE", None).await.expect(200)["items"][0].clone();
        app.ops("PATCH", &format!("/variants/{}", text(&tee["id"])), Some(&json!({"gtin": "4006381333931"})))
            .await
            .expect(200);
        let id = announce(&app, &[("TEE", 4, Some(PALLET))]).await;
        let unit = scan(&app, &format!("(00){PALLET}")).await;
        assert_eq!((&unit["fields"]["sscc"], &unit["inbound_shipment"]["id"]), (&json!(PALLET), &json!(id)));
        assert_eq!(commands(&unit), [("receive".to_owned(), true)]);
        // The link leads where it says.
        assert_eq!(unit["actions"][0]["link"], format!("/v1/ops/inbound-shipments/{id}/receive"));
        receive(&app, &id, json!({"units": [PALLET]})).await.expect(200);
        assert_eq!(commands(&scan(&app, PALLET).await), [("receive".to_owned(), false)]);
        // A carton by the article's number, with lot and date; somebody has ordered the article.
        shop.order(&[("TEE", 1)]).await;
        let code = "010400638133393117270200\u{1d}10L-7";
        let article = scan(&app, code).await;
        assert_eq!(article["fields"], json!({"gtin": "04006381333931", "lot": "L-7", "expires": "2027-02-28"}));
        assert_eq!(article["variants"], json!([{"id": tee["id"], "sku": "TEE", "name": "The TEE"}]));
        assert_eq!(commands(&article), [("pick".to_owned(), true)]);
        let pick = text(&article["actions"][0]["link"]);
        app.send("POST", &pick, &[("Authorization", &format!("Bearer {}", app.staff()))], Some(&json!({})))
            .await
            .expect(200);
        assert_eq!(commands(&scan(&app, "TEE").await), [("pack".to_owned(), true)]);
        let nowhere = app.ops("POST", "/scan", Some(&json!({"code": "4006381333931"}))).await.expect(200);
        assert_eq!((&nowhere["actions"], &nowhere["variants"][0]["sku"]), (&json!([]), &json!("TEE")));
        // Nobody knows this unit; this one is none.
        assert_eq!(scan(&app, BOX).await["inbound_shipment"], Value::Null);
        let wrong = json!({"code": "(00)106141412345678909"});
        let wrong = app.ops("POST", "/scan", Some(&wrong)).await.problem(422, "invalid_value");
        assert_eq!((&wrong["pointer"], &wrong["at"]), (&json!("/code"), &json!(21)));
        let away = json!({"code": "TEE", "location": "nowhere"});
        app.ops("POST", "/scan", Some(&away)).await.problem(404, "not_found");
    });
}
