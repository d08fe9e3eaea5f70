//! What holds for every request, whatever it asks for.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

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
fn a_name_is_one_line_wherever_it_comes_and_a_reason_may_have_several() {
    on_both(|app| async move {
        let consumer = "/v1/integration/feeds/orders?consumer=a%0Ab";
        assert_eq!(get(&app, consumer).await.problem(400, "invalid_query")["pointer"], "consumer");
        get(&app, "/v1/ops/orders/odd:a%E2%80%AEb").await.problem(404, "invalid_path");
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let (cart, order) = (shop.cart(&[("TEE", 1)]).await, shop.order(&[("TEE", 1)]).await);
        let order = order["id"].as_str().unwrap();
        let erp = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::WritebackWrite]));
        let told = async |what: &str, body: &Value| {
            let path = format!("/v1/integration/orders/{order}/{what}");
            app.send("POST", &path, &[("Authorization", &erp)], Some(body)).await
        };
        for odd in ["a\nb", "a\tb", "a\u{2028}b", "a\u{202e}b"] {
            let parcel = json!({"system": "wms", "document": "LS-1", "tracking_number": odd});
            let address = json!({"shipping_address": {"name": odd}});
            for (answer, pointer) in [
                (told("external-refs", &json!({"system": "sap", "value": odd})).await, "/value"),
                (told("external-refs", &json!({"system": odd, "value": "1"})).await, "/system"),
                (told("shipments", &parcel).await, "/tracking_number"),
                (
                    app.ops("POST", "/variants", Some(&json!({"sku": odd, "name": "x", "tax_class": "standard"})))
                        .await,
                    "/sku",
                ),
                (
                    shop.store("PATCH", &format!("/carts/{}", cart.id), Some(&cart.token), Some(&address)).await,
                    "/shipping_address/name",
                ),
            ] {
                assert_eq!(answer.problem(422, "invalid_value")["pointer"], pointer, "{odd:?}");
            }
        }
        let reason = json!({"reason": "the customer wrote:\n\tnot needed any more"});
        app.ops("POST", &format!("/orders/{order}/cancel"), Some(&reason)).await.expect(200);
    });
}

#[test]
fn a_command_without_a_body_takes_none_and_passes_nothing_over() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let (cart, order) = (shop.cart(&[("TEE", 1)]).await, shop.order(&[("TEE", 1)]).await);
        let token = format!("Bearer {}", app.staff());
        let staff = [("Authorization", token.as_str())];
        let shopper = [("Channel-Key", shop.key.as_str()), ("Cart-Token", cart.token.as_str())];
        let settle = format!("/v1/ops/orders/{}/settle", order["number"].as_str().unwrap());
        let checkout = format!("/v1/store/carts/{}/checkout", cart.id);
        for (path, headers) in [(&settle, &staff[..]), (&checkout, &shopper[..])] {
            let send = async |kind: &str, body: &str| {
                app.send_text("POST", path, headers, Some((kind, body.to_owned()))).await
            };
            let json = "application/json";
            assert_eq!(send(json, r#"{"amount": 1}"#).await.problem(422, "unknown_field")["pointer"], "/amount");
            send(json, "[]").await.problem(422, "invalid_value");
            send(json, "{").await.problem(400, "body_malformed");
            send("text/plain", "now").await.problem(400, "body_malformed");
            for nothing in ["", " ", "{}"] {
                let answer = send(json, nothing).await;
                assert!(answer.status < 300, "{path} {nothing:?}: {}", answer.text);
            }
            let answer = app.send("POST", path, headers, None).await;
            assert!(answer.status < 300, "{}", answer.text);
        }
    });
}

#[test]
fn an_array_is_no_object_at_any_depth() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        let (own, line) = (format!("/carts/{}", cart.id), cart.body["lines"][0]["id"].as_str().unwrap());
        let order = shop.order(&[("TEE", 1)]).await;
        let order = format!("/orders/{}", order["number"].as_str().unwrap());
        let store = async |method: &str, path: &str, body: Value| {
            let answer = shop.store(method, path, Some(&cart.token), Some(&body)).await;
            answer.problem(422, "invalid_value")
        };
        let wrong = [
            store("PATCH", &format!("{own}/lines/{line}"), json!([5])).await,
            store("PATCH", &own, json!({"shipping_address": ["Ada", "Weg 1"]})).await,
            store("POST", "/carts", json!({"lines": [{"sku": "TEE", "quantity": 1}, ["TEE", 1]]})).await,
            store("POST", &format!("{own}/complete"), json!({"payment": ["manual", null, null]})).await,
            store("POST", &format!("{own}/complete"), json!({"expected_total": ["1", "EUR"], "payment": {}})).await,
            app.ops("POST", &format!("{order}/cancel"), Some(&json!([null, "why", false, null])))
                .await
                .problem(422, "invalid_value"),
        ];
        let pointers: Vec<&str> = wrong.iter().map(|problem| problem["pointer"].as_str().unwrap()).collect();
        assert_eq!(pointers, ["", "/shipping_address", "/lines/1", "/payment", "/expected_total", ""]);
        for problem in wrong {
            assert_eq!(problem["detail"], "invalid type: sequence, expected an object");
        }
        assert_eq!(app.ops("GET", &order, None).await.expect(200)["state"], "placed");
    });
}

#[test]
fn what_is_wrong_is_said_in_words_of_json() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let cart =
            async |body: Value| shop.store("POST", "/carts", None, Some(&body)).await.problem(422, "invalid_value");
        for (body, pointer) in [
            (json!({"lines": 5}), "/lines"),
            (json!({"device": 5}), "/device"),
            (json!({"lines": [{"sku": "TEE", "quantity": 1.5}]}), "/lines/0/quantity"),
            (
                json!({"lines": [{"sku": "TEE", "quantity": 1, "metadata": {"a": ["x", "y\u{0}"]}}]}),
                "/lines/0/metadata/a/1",
            ),
            (json!({"email": "=1@example.org"}), "/email"),
            (json!({"email": "jörg@exämple.de"}), "/email"),
        ] {
            let problem = cart(body.clone()).await;
            assert_eq!(problem["pointer"], pointer, "{problem}");
            let said = problem["detail"].as_str().unwrap();
            assert!(!said.contains("struct") && !said.contains("i64") && !said.contains("enum "), "{said}");
        }
        let price =
            json!({"sku": "TEE", "min_quantity": 1, "unit_price": {"amount": "99999999999", "currency": "EUR"}});
        let path = format!("/price-lists/{}/prices", shop.price_list);
        let large = app.ops("PUT", &path, Some(&json!({"rows": [price]}))).await.problem(422, "invalid_value");
        assert!(large["detail"].as_str().unwrap().contains("too large"), "{large}");
    });
}

#[test]
fn customers_come_back_to_web_addresses_only() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        for wrong in ["javascript:alert(1)", "/thanks", "data:text/html,x", "https://"] {
            let body = json!({"payment": {"method": "sandbox", "return_url": wrong}});
            let path = format!("/carts/{}/complete", cart.id);
            let answer = shop.store("POST", &path, Some(&cart.token), Some(&body)).await.problem(422, "invalid_value");
            assert_eq!(answer["pointer"], "/payment/return_url", "{wrong}");
        }
    });
}

#[test]
fn a_body_that_can_not_be_read_as_it_is_is_refused() {
    on_both(|app| async move {
        let token = format!("Bearer {}", app.token(Audience::Client, "erp", Scope::ALL));
        let post = async |path: &str, kind: &str, encoding: Option<&str>| {
            let mut headers = vec![("Authorization", token.as_str())];
            headers.extend(encoding.map(|encoding| ("Content-Encoding", encoding)));
            let body = "{\"consumer\":\"x\"}".to_owned();
            app.send_text("POST", &format!("/v1/integration{path}"), &headers, Some((kind, body))).await
        };
        for (path, kind) in [("/feeds/orders/ack", "application/json"), ("/variants", "application/x-ndjson")] {
            let packed = post(path, kind, Some("gzip")).await;
            assert_eq!(packed.header("accept-encoding"), Some("identity"));
            packed.problem(415, "content_encoding_unsupported");
            post(path, &format!("{kind}; charset=iso-8859-1"), None).await.problem(415, "media_type_unsupported");
            assert_ne!(post(path, &format!("{kind}; charset=\"UTF-8\""), Some("identity")).await.status, 415);
        }
        let odd = post("/variants", "application/json", None).await.problem(415, "media_type_unsupported");
        let said = format!("{} {}", odd["detail"], odd["advice"]);
        assert!(said.contains("text/csv") && !said.contains("application/json"), "{said}");
        let body = Some(("text/csv", "sku,sku\nA,B\n".to_owned()));
        let twice = app.send_text("POST", "/v1/integration/variants", &[("Authorization", &token)], body).await;
        let twice = twice.problem(400, "body_malformed");
        assert!(twice["pointer"] == "sku" && !twice.to_string().contains("JSON"), "{twice}");
    });
}

#[test]
fn half_a_credential_is_no_guests() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        for sent in ["Basic YWRhOng=", "Bearer", "Bearer ", "Token x", "x"] {
            let headers = [("Channel-Key", shop.key.as_str()), ("Authorization", sent)];
            app.send("GET", "/v1/store/config", &headers, None).await.problem(401, "unauthenticated");
        }
        shop.store("GET", "/config", None, None).await.expect(200);
    });
}

#[test]
fn head_is_answered_as_get_without_a_body() {
    on_both(|app| async move {
        for path in ["/health/live", "/health/ready", "/metrics", "/openapi/store.json", "/docs/"] {
            let head = app.send("HEAD", path, &[], None).await;
            assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}");
            let post = app.send("POST", path, &[], None).await;
            assert_eq!(post.header("allow"), Some("GET, HEAD"), "{path}");
            post.problem(405, "method_not_allowed");
        }
        let head = app.ops("HEAD", "/channels", None).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""));
        assert_eq!(head.header("content-type"), Some("application/json"));
        assert_eq!(app.send("HEAD", "/v1/ops/channels", &[], None).await.status, 401);
        assert_eq!(app.send("HEAD", "/v1/nothing", &[], None).await.status, 404);
        assert_eq!(app.ops("DELETE", "/channels", None).await.header("allow"), Some("GET, HEAD, POST"));
        let metrics = app.send("GET", "/metrics", &[], None).await.text;
        assert!(metrics.contains(r#"method="HEAD",route="/health/live",status="200"} 1"#), "{metrics}");
    });
}

#[test]
fn orders_are_not_looked_for_with_nothing() {
    on_both(|app| async move {
        for (query, name) in [
            ("email=", "email"),
            ("number=%20", "number"),
            ("sku=", "sku"),
            ("name=-", "name"),
            ("postcode=%20", "postcode"),
            ("phone=%2B", "phone"),
            ("phone=0049", "phone"),
            ("tracking=-", "tracking"),
            ("external_ref=.", "external_ref"),
            ("q=", "q"),
            ("q=*", "q"),
            ("q=%25", "q"),
            ("q=(", "q"),
        ] {
            let answer = app.ops("GET", &format!("/orders?{query}"), None).await.problem(400, "invalid_query");
            assert_eq!(answer["pointer"], name, "{query}");
        }
        app.ops("GET", "/orders?q=a", None).await.expect(200);
    });
}

#[test]
fn no_cell_of_a_table_is_a_formula() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        shop.order(&[("TEE", 1)]).await;
        // What came into the house before addresses were looked at so closely.
        app.makes_things_up();
        let odd = "UPDATE orders SET email_folded = '=cmd@x.de'";
        app.state.db.write(move |tx| kontor::db::sql(odd).execute(tx)).await.unwrap();
        let table = app.ops("GET", "/orders?format=csv", None).await.text;
        let row = table.lines().nth(1).unwrap();
        assert!(row.contains(",24.80,EUR,'=cmd@x.de,"), "{table}");
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

#[test]
fn the_largest_numbers_in_free_data_are_read_as_they_were_written() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let largest = json!({"a": f64::MAX, "b": f64::MIN_POSITIVE, "c": 0.1});
        let variant = json!({"sku": "ODD", "name": "Odd", "tax_class": "standard", "attributes": largest});
        app.ops("POST", "/variants", Some(&variant)).await.expect(201);
        let found = app.ops("GET", "/variants?sku=ODD", None).await.expect(200);
        assert_eq!(found["items"][0]["attributes"], largest);
        let cart = json!({"lines": [{"sku": "TEE", "quantity": 1, "metadata": largest}], "metadata": largest});
        let cart = shop.store("POST", "/carts", None, Some(&cart)).await.expect(201);
        let path = format!("/carts/{}", cart["id"].as_str().unwrap());
        let seen = shop.store("GET", &path, cart["token"].as_str(), None).await.expect(200);
        assert_eq!((&seen["metadata"], &seen["lines"][0]["metadata"]), (&largest, &largest));
    });
}

#[test]
fn a_body_that_does_not_come_is_the_senders_fault() {
    // A body is waited for three quarters of that: the rest is for what comes before it on a busy machine.
    let slow = |settings: &mut kontor::config::Settings| settings.http.request_timeout_seconds = 4;
    crate::support::on_both_set(slow, |app| async move {
        let (staff, client) = (app.staff(), app.token(Audience::Client, "erp", Scope::ALL));
        for (path, token, media_type) in [
            ("/v1/ops/customers", &staff, "application/json"),
            ("/v1/integration/customers", &client, "application/x-ndjson"),
            ("/v1/webhooks/payments/sandbox", &client, "application/json"),
        ] {
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: {media_type}\r\n\
                 Content-Length: 100\r\nX-Request-Id: mine\r\n\r\n{{\"name\": "
            );
            let address = app.url.trim_start_matches("http://").to_owned();
            let talk = move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(head.as_bytes()).unwrap();
                let (mut answer, mut piece) = (String::new(), [0; 4096]);
                while !answer.ends_with('}') {
                    let read = stream.read(&mut piece).unwrap();
                    assert!(read > 0, "{answer}");
                    answer.push_str(&String::from_utf8_lossy(&piece[..read]));
                }
                answer
            };
            let answer = tokio::task::spawn_blocking(talk).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
            for part in ["application/problem+json", "x-request-id: mine", r#""code":"request_timeout""#] {
                assert!(answer.to_lowercase().contains(part), "{answer}");
            }
        }
        let metrics = app.send("GET", "/metrics", &[], None).await.text;
        assert!(metrics.contains(r#"route="/v1/ops/customers",status="408"} 1"#), "{metrics}");
    });
}
