//! What holds for every request, whatever it asks for.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kontor::{http::auth::Audience, kernel::Scope};

use crate::support::{App, Shop, on_both};

async fn get(app: &App, path: &str) -> crate::support::Answer {
    let whose = if path.starts_with("/v1/integration") { Audience::Client } else { Audience::Staff };
    let token = format!("Bearer {}", app.token(whose, "ada", Scope::ALL));
    app.send("GET", path, &[("Authorization", &token)], None).await
}

#[test]
fn a_nul_character_is_refused_wherever_it_comes() {
    on_both(|app| async move {
        for path in ["/v1/ops/orders/%00", "/v1/ops/orders/a%00b/status", "/v1/ops/sandbox/payments/%00"] {
            get(&app, path).await.problem(404, "invalid_path");
        }
        for (path, name) in [
            ("/v1/ops/orders?q=%00", "q"),
            ("/v1/ops/variants?q=a%00", "q"),
            ("/v1/ops/stock/levels?sku=A,%00", "sku"),
            ("/v1/integration/feeds/orders?consumer=a%00", "consumer"),
        ] {
            assert_eq!(get(&app, path).await.problem(400, "invalid_query")["pointer"], name);
        }
        let forged = |key: &str| URL_SAFE_NO_PAD.encode(key);
        let consumers = format!("/v1/integration/feeds/orders/consumers?cursor={}", forged(r#""a\u0000""#));
        get(&app, &consumers).await.problem(400, "invalid_cursor");
        // An instant before all that PostgreSQL keeps is one of ours no more, and no defect either.
        let ancient = forged(r#"[-9000000000000000000,"ret_01h455vb4pex5vsknk084sn02q"]"#);
        let answer = get(&app, &format!("/v1/ops/returns?cursor={ancient}")).await;
        assert!(answer.status < 500, "{}", answer.text);
        let body = serde_json::json!({"code": "a\u{0}", "name": "A", "country": "DE", "time_zone": "Europe/Berlin"});
        app.ops("POST", "/legal-entities", Some(&body)).await.problem(422, "invalid_value");
    });
}

#[test]
fn a_wrong_parameter_is_named() {
    on_both(|app| async move {
        assert_eq!(get(&app, "/v1/ops/jobs/dead?limit=many").await.problem(400, "invalid_query")["pointer"], "limit");
        assert_eq!(get(&app, "/v1/ops/jobs/dead?size=3").await.problem(400, "invalid_query")["pointer"], "size");
    });
}

#[test]
fn methods_that_somebody_makes_up_are_counted_together() {
    on_both(|app| async move {
        for method in ["MADEUP1", "MADEUP2", "GET"] {
            app.send(method, "/health/live", &[], None).await;
        }
        let metrics = app.send("GET", "/metrics", &[], None).await.text;
        assert!(!metrics.contains("MADEUP") && metrics.contains(r#"method="other""#), "{metrics}");
    });
}

#[test]
fn an_answer_that_took_too_long_is_one_like_all_others() {
    let slow = |settings: &mut kontor::config::Settings| settings.http.request_timeout_seconds = 1;
    crate::support::on_both_set(slow, |app| async move {
        let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::FeedsRead]));
        let path = "/v1/integration/feeds/orders?wait=20";
        let headers = [("Authorization", token.as_str()), ("X-Request-Id", "mine")];
        let late = app.send("GET", path, &headers, None).await;
        assert_eq!(late.header("x-request-id"), Some("mine"));
        assert_eq!(late.header("retry-after"), Some("5"));
        late.problem(503, "overloaded");
        let metrics = app.send("GET", "/metrics", &[], None).await.text;
        let counted = r#"kontor_http_requests_total{method="GET",route="/v1/integration/feeds/{feed}",status="503"} 1"#;
        assert!(metrics.contains(counted), "{metrics}");
    });
}

#[test]
fn too_many_requests_are_told_how_many_would_do() {
    let few = |settings: &mut kontor::config::Settings| settings.http.store_requests_per_minute = 2;
    crate::support::on_both_set(few, |app| async move {
        let shop = Shop::open(&app, &[]).await;
        let config = || shop.store("GET", "/config", None, None);
        let first = config().await;
        assert_eq!((first.header("ratelimit-limit"), first.header("ratelimit-remaining")), (Some("2"), Some("1")));
        config().await.expect(200);
        let many = config().await;
        assert_eq!((many.header("ratelimit-limit"), many.header("ratelimit-remaining")), (Some("2"), Some("0")));
        assert!(many.header("retry-after").is_some());
        many.problem(429, "rate_limited");
    });
}
