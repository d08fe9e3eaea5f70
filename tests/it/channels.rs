//! Legal entities, channels and their keys.

use serde_json::json;

use crate::support::{App, on_both};

async fn a_channel(app: &App) -> serde_json::Value {
    let entity = json!({"code": "acme", "name": "Acme GmbH", "country": "DE", "time_zone": "Europe/Berlin"});
    let entity = app.ops("POST", "/legal-entities", Some(&entity)).await.expect(201);
    let channel = json!({
        "code": "de", "name": "Acme Deutschland", "legal_entity_id": entity["id"],
        "settings": {
            "currencies": ["EUR"], "locales": ["de-DE"], "countries": ["DE", "AT"], "time_zone": "Europe/Berlin",
            "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"},
            "payment_methods": ["manual", "sandbox"]
        }
    });
    app.ops("POST", "/channels", Some(&channel)).await.expect(201)
}

#[test]
fn a_new_channel_can_be_used_at_once_with_its_key() {
    on_both(|app| async move {
        let channel = a_channel(&app).await;
        let key = channel["publishable_keys"][0].as_str().unwrap();
        let config = app.send("GET", "/v1/store/config", &[("Channel-Key", key)], None).await.expect(200);
        assert_eq!(config["countries"], json!(["DE", "AT"]));
        app.send("GET", "/v1/store/config", &[("Channel-Key", "pk_wrong")], None)
            .await
            .problem(401, "channel_key_invalid");
        app.send("GET", "/v1/store/config", &[], None).await.problem(401, "channel_key_invalid");
    });
}

#[test]
fn a_stale_change_is_refused_and_a_code_is_taken_once() {
    on_both(|app| async move {
        let channel = a_channel(&app).await;
        let path = format!("/channels/{}", channel["id"].as_str().unwrap());
        app.ops("PATCH", &path, Some(&json!({"name": "New"}))).await.expect(200);
        let token = format!("Bearer {}", app.staff());
        let headers = [("Authorization", token.as_str()), ("If-Match", "\"v1\"")];
        let late = app.send("PATCH", &format!("/v1/ops{path}"), &headers, Some(&json!({"name": "Late"}))).await;
        late.problem(412, "version_stale");
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["name"], "New");
        let entity = json!({"code": "acme", "name": "Other", "country": "DE", "time_zone": "Europe/Berlin"});
        app.ops("POST", "/legal-entities", Some(&entity)).await.problem(409, "duplicate");
    });
}

#[test]
fn the_same_key_gives_the_same_answer_and_another_body_is_refused() {
    on_both(|app| async move {
        let token = format!("Bearer {}", app.staff());
        let headers = [("Authorization", token.as_str()), ("Idempotency-Key", "abc")];
        let key = json!({"name": "ERP", "scopes": ["feeds:read"]});
        let first = app.send("POST", "/v1/ops/api-keys", &headers, Some(&key)).await;
        let second = app.send("POST", "/v1/ops/api-keys", &headers, Some(&key)).await;
        assert_eq!(second.header("Idempotency-Replayed"), Some("true"));
        assert_eq!(first.expect(201), second.expect(201));
        let other = json!({"name": "WMS", "scopes": ["feeds:read"]});
        app.send("POST", "/v1/ops/api-keys", &headers, Some(&other)).await.problem(422, "idempotency_key_reused");
        // The secret in the stored answer can not be read from the database.
        let kept = app.read(|tx| {
            kontor::db::sql("SELECT body FROM idempotency_keys").load::<diesel::sql_types::Text, String>(tx)
        });
        assert!(kept.await.iter().all(|body| !body.contains("ktr_")));
    });
}

#[test]
fn bad_input_is_refused_with_a_pointer() {
    on_both(|app| async move {
        let post = |body: serde_json::Value| {
            let app = app.clone();
            async move { app.ops("POST", "/legal-entities", Some(&body)).await }
        };
        let good = json!({"code": "acme", "name": "Acme", "country": "DE", "time_zone": "Europe/Berlin"});
        let with = |field: &str, value: serde_json::Value| {
            let mut body = good.clone();
            body[field] = value;
            body
        };
        assert_eq!(post(with("country", json!("XX"))).await.problem(422, "invalid_value")["pointer"], "/country");
        assert_eq!(
            post(with("time_zone", json!("Mars/Olympus"))).await.problem(422, "invalid_value")["pointer"],
            "/time_zone"
        );
        assert_eq!(post(with("extra", json!(1))).await.problem(422, "unknown_field")["pointer"], "/extra");
        assert_eq!(post(json!({"code": "acme"})).await.problem(422, "missing_field")["pointer"], "/name");
        post(with("name", json!("a\u{0}b"))).await.problem(422, "invalid_value");
        post(with("name", json!("x".repeat(300)))).await.problem(422, "invalid_value");
        app.ops("GET", "/nothing", None).await.problem(404, "route_not_found");
        app.ops("DELETE", "/legal-entities", None).await.problem(405, "method_not_allowed");
        app.ops("GET", "/channels/nonsense", None).await.problem(404, "invalid_path");
        assert!(app.ops("GET", "/legal-entities", None).await.expect(200)["items"].as_array().unwrap().is_empty());
    });
}

#[test]
fn pages_of_a_channels_origins_may_call_the_store_surface_and_no_others() {
    on_both(|app| async move {
        let channel = a_channel(&app).await;
        let key = channel["publishable_keys"][0].as_str().unwrap();
        let settings = json!({
            "currencies": ["EUR"], "locales": ["de-DE"], "countries": ["DE"], "time_zone": "Europe/Berlin",
            "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"},
            "payment_methods": ["manual"], "cors_origins": ["https://shop.example.org"]
        });
        let path = format!("/channels/{}", channel["id"].as_str().unwrap());
        app.ops("PATCH", &path, Some(&json!({"settings": settings}))).await.expect(200);
        let ask = |origin: &'static str| {
            let headers = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
            let app = app.clone();
            async move { app.send("OPTIONS", "/v1/store/carts", &headers, None).await }
        };
        let allowed = ask("https://shop.example.org").await;
        assert_eq!(allowed.status, 204);
        assert_eq!(allowed.header("Access-Control-Allow-Origin"), Some("https://shop.example.org"));
        assert!(allowed.header("Access-Control-Allow-Headers").unwrap().contains("channel-key"));
        assert_eq!(ask("https://evil.example.org").await.header("Access-Control-Allow-Origin"), None);
        let headers = [("Origin", "https://shop.example.org"), ("Channel-Key", key)];
        let answer = app.send("GET", "/v1/store/config", &headers, None).await;
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("https://shop.example.org"));
        // A page can read what went wrong, too.
        let refused = app.send("GET", "/v1/store/config", &headers[..1], None).await;
        assert_eq!(refused.header("Access-Control-Allow-Origin"), Some("https://shop.example.org"));
        refused.problem(401, "channel_key_invalid");
        let ops = app.send("GET", "/v1/ops/channels", &headers[..1], None).await;
        assert_eq!((ops.status, ops.header("Access-Control-Allow-Origin")), (401, None));
    });
}

#[test]
fn a_limited_credential_makes_no_key_that_reaches_further() {
    on_both(|app| async move {
        let channel = a_channel(&app).await;
        let mut claims = app.claims(kontor::http::auth::Audience::Staff, "eve", "keys:write orders:read");
        claims.channels = Some(vec![channel["id"].as_str().unwrap().parse().unwrap()]);
        claims.money_ceiling = Some(1000);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let make = |body: serde_json::Value| {
            let (app, token) = (app.clone(), token.clone());
            async move { app.send("POST", "/v1/ops/api-keys", &[("Authorization", &token)], Some(&body)).await }
        };
        let key = json!({"name": "k", "scopes": ["orders:read"], "channels": [channel["id"]], "money_ceiling": 1000});
        let without = |field: &str| {
            let mut key = key.clone();
            key.as_object_mut().unwrap().remove(field);
            key
        };
        assert_eq!(make(without("channels")).await.problem(403, "scope_missing")["pointer"], "/channels");
        assert_eq!(make(without("money_ceiling")).await.problem(403, "scope_missing")["pointer"], "/money_ceiling");
        let mut more = key.clone();
        more["scopes"] = json!(["orders:write"]);
        make(more).await.problem(403, "scope_missing");
        make(key.clone()).await.expect(201);
    });
}
