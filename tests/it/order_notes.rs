//! What people keep beside an order: notes, tags, documents, and asking for its confirmation again.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    fulfilment_moves::Of,
    support::{Shop, eventually, on_both},
};

/// Waits until an order's log has so many events of a kind, and sees that it has no more.
async fn told(order: &Of<'_>, kind: &str, wanted: usize) {
    let count = || async { order.events().await.iter().filter(|one| *one == kind).count() };
    eventually("the log tells of it", || async { count().await >= wanted }).await;
    assert_eq!(count().await, wanted, "{kind}");
}

#[test]
fn notes_are_for_staff_or_for_the_customer_too() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        let id = order["id"].as_str().unwrap();
        let path = format!("/orders/{id}/notes");
        let inner = json!({"text": "called twice"});
        app.ops("POST", &path, Some(&inner)).await.expect(201);
        let outer = json!({"text": "Your parcel is late,\nwe are sorry", "visibility": "customer"});
        let all = app.ops("POST", &path, Some(&outer)).await.expect(201);
        assert_eq!((all["notes"].as_array().unwrap().len(), &all["notes"][0]["visibility"]), (2, &json!("staff")));
        let wrong = json!({"text": "x", "visibility": "world"});
        app.ops("POST", &path, Some(&wrong)).await.problem(422, "invalid_value");
        let seen = shop.store("GET", &path, Some(&cart.token), None).await.expect(200);
        assert_eq!(seen["notes"].as_array().unwrap().len(), 1);
        assert!(seen["notes"][0].get("author").is_none());
        shop.store("GET", &path, None, None).await.problem(404, "not_found");

        let document = json!({"name": "note.pdf", "media_type": "application/pdf", "size": 12,
            "url": "https://files.example.org/1", "sha256": "a".repeat(64)});
        let path = format!("/orders/{id}/attachments");
        let all = app.ops("POST", &path, Some(&document)).await.expect(201);
        assert_eq!(all["attachments"][0]["name"], "note.pdf");
        for (field, value) in [("size", json!(-1)), ("media_type", json!("pdf")), ("sha256", json!("XYZ"))] {
            let mut wrong = document.clone();
            wrong[field] = value;
            let told = app.ops("POST", &path, Some(&wrong)).await.problem(422, "invalid_value");
            assert_eq!(told["pointer"], format!("/{field}"));
        }
        let placed = Of { app: &app, order: id.to_owned() };
        told(&placed, "order.noted.v1", 2).await;
        let told = app.ops("GET", &format!("/orders/{id}/timeline?limit=200"), None).await.expect(200);
        assert!(!told.to_string().contains("called twice"), "what a note says stands where it can be erased");
        placed.ship_all().await;
    });
}

#[test]
fn orders_are_found_by_their_tags() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let (one, other) = (Of::new(&shop, &[("TEE", 1)]).await, Of::new(&shop, &[("TEE", 1)]).await);
        let tag = |order: String, body: Value| {
            let app = &app;
            async move { app.ops("POST", &format!("/orders/{order}/tags"), Some(&body)).await }
        };
        let tags = tag(one.order.clone(), json!({"add": ["vip", "gift"]})).await.expect(200);
        assert_eq!(tags["tags"], json!(["gift", "vip"]));
        tag(other.order.clone(), json!({"add": ["gift"]})).await.expect(200);
        let found = |query: &'static str| {
            let app = &app;
            async move {
                let found = app.ops("GET", &format!("/orders?{query}"), None).await.expect(200);
                found["items"].as_array().unwrap().len()
            }
        };
        assert_eq!((found("tag=gift").await, found("tag=vip").await, found("tag=none").await), (2, 1, 0));
        assert_eq!(found("tag=gift&state=cancelled").await, 0);
        app.ops("GET", "/orders?tag=", None).await.problem(400, "invalid_query");
        // Of many at once each is heeded once; the same again tells nobody anything.
        let many: Vec<Value> = (0..8).map(|n| json!({"add": [format!("t{n}"), "gift"], "remove": ["vip"]})).collect();
        let answers = join_all(many.into_iter().map(|body| tag(one.order.clone(), body))).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
        tag(one.order.clone(), json!({"add": ["gift"]})).await.expect(200);
        told(&one, "order.tagged.v1", 9).await;
        let many: Vec<String> = (0..20).map(|n| format!("m{n}")).collect();
        tag(one.order.clone(), json!({ "add": many })).await.problem(422, "invalid_value");
        one.ship_all().await;
        other.ship_all().await;
    });
}

#[test]
fn a_confirmation_is_asked_for_again_and_not_again_and_again() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 1)]).await;
        let path = format!("/orders/{}/resend-confirmation", placed.order);
        let answers = join_all((0..6).map(|_| app.ops("POST", &path, None))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 202).count(), 1);
        for refused in answers.into_iter().filter(|answer| answer.status != 202) {
            refused.problem(429, "rate_limited");
        }
        app.clock.advance_seconds(300);
        app.ops("POST", &path, None).await.expect(202);
        told(&placed, "order.confirmation_requested.v1", 2).await;
        placed.ship_all().await;
    });
}
