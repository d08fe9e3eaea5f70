//! Legal entities, channels and their keys.

use kontor::{
    db::{Doc, DocSql, Tx, UidSql, bump, sql},
    kernel::Id,
};
use serde_json::json;

use crate::support::{App, Shop, on_both};

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
        let keyless = app.send("GET", "/v1/store/config", &[], None).await;
        assert_eq!(keyless.header("WWW-Authenticate"), Some("Channel-Key"));
        keyless.problem(401, "channel_key_invalid");
        let nobody = app.send("GET", "/v1/ops/orders", &[], None).await;
        assert_eq!(nobody.header("WWW-Authenticate"), Some("Bearer"));
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
fn a_channels_lists_hold_nothing_twice_and_nothing_odd() {
    on_both(|app| async move {
        let channel = a_channel(&app).await;
        let path = format!("/channels/{}", channel["id"].as_str().unwrap());
        for (list, items, place) in [
            ("currencies", json!(["EUR", "XXX"]), 1),
            ("currencies", json!(["EUR", "CHF", "EUR"]), 2),
            ("countries", json!(["DE", "DE"]), 1),
            ("locales", json!(["de", "x y"]), 1),
            ("locales", json!(["de-DE", "de-DE"]), 1),
            ("locales", json!(["de_DE"]), 0),
            ("payment_methods", json!(["manual", "manual"]), 1),
            ("cors_origins", json!(["*"]), 0),
            ("cors_origins", json!(["https://a.example", "https://a.example/shop"]), 1),
            ("cors_origins", json!(["https://a.example/"]), 0),
            ("cors_origins", json!(["https://A.example"]), 0),
            ("cors_origins", json!(["https://a.example:443"]), 0),
            ("cors_origins", json!(["null"]), 0),
        ] {
            let mut settings = json!({
                "currencies": ["EUR"], "locales": ["de-DE", "en", "zh-Hant-TW"], "countries": ["DE"],
                "time_zone": "Europe/Berlin", "prices_include_tax": true,
                "rounding": {"point": "per_line", "strategy": "half_up"}, "payment_methods": ["manual"],
                "cors_origins": ["https://shop.example.org", "http://localhost:3000"]
            });
            app.ops("PATCH", &path, Some(&json!({ "settings": settings }))).await.expect(200);
            settings[list] = items.clone();
            let answer = app.ops("PATCH", &path, Some(&json!({ "settings": settings }))).await;
            let pointer = answer.problem(422, "invalid_value")["pointer"].clone();
            assert_eq!(pointer, format!("/settings/{list}/{place}"), "{items}");
        }
    });
}

#[test]
fn links_lead_to_pages_where_nobody_else_reads_them() {
    on_both(|app| async move {
        let channel = a_channel(&app).await;
        assert!(channel.get("cart_page").is_none() && channel.get("order_page").is_none(), "{channel}");
        let path = format!("/channels/{}", channel["id"].as_str().unwrap());
        let settings = json!({
            "currencies": ["EUR"], "locales": ["de"], "countries": ["DE"], "time_zone": "Europe/Berlin",
            "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"}, "payment_methods": ["manual"]
        });
        let with = |field: &str, page: &str| {
            let mut settings = settings.clone();
            settings[field] = json!(page);
            json!({ "settings": settings })
        };
        for (field, page) in [
            ("cart_page", "https://shop.example.org/recover?token={token}"),
            ("cart_page", "https://shop.example.org/{order}?token={token}"),
            ("cart_page", "http://shop.example.org/{cart}?token={token}"),
            ("order_page", "https://shop.example.org/{order}"),
            ("order_page", "https://{order}.example.org/?token={token}"),
            ("order_page", "https://shop.example.org/{order}/{token}/{locale}"),
            ("order_page", "/orders/{order}?token={token}"),
        ] {
            let problem = app.ops("PATCH", &path, Some(&with(field, page))).await.problem(422, "invalid_value");
            assert_eq!(problem["pointer"], format!("/settings/{field}"), "{page}");
        }
        let page = "http://localhost:3000/orders/{order}?token={token}";
        let changed = app.ops("PATCH", &path, Some(&with("order_page", page))).await.expect(200);
        assert_eq!((&changed["order_page"], changed.get("cart_page")), (&json!(page), None));
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["order_page"], page);
    });
}

#[test]
fn a_key_shows_where_it_reaches_and_reaches_only_what_there_is() {
    on_both(|app| async move {
        let channel = a_channel(&app).await;
        let place = json!({"code": "berlin", "name": "Berlin", "country": "DE", "time_zone": "Europe/Berlin"});
        let place = app.ops("POST", "/locations", Some(&place)).await.expect(201);
        let key = json!({"name": "k", "scopes": [], "channels": [channel["id"]], "locations": [place["id"]], "money_ceiling": 0});
        let with = |field: &str, value: serde_json::Value| {
            let mut key = key.clone();
            key[field] = value;
            key
        };
        let (no_channel, no_place) = ("chan_01h455vb4pex5vsknk084sn02q", "loc_01h455vb4pex5vsknk084sn02q");
        for (field, value, status, code, pointer) in [
            ("channels", json!([channel["id"], no_channel]), 404, "not_found", "/channels/1"),
            ("locations", json!([no_place]), 404, "not_found", "/locations/0"),
            ("money_ceiling", json!(-1), 422, "invalid_value", "/money_ceiling"),
        ] {
            let answer = app.ops("POST", "/api-keys", Some(&with(field, value))).await.problem(status, code);
            assert_eq!(answer["pointer"], pointer);
        }
        let made = app.ops("POST", "/api-keys", Some(&key)).await.expect(201);
        let list = app.ops("GET", "/api-keys", None).await.expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        for shown in [&made, &list["items"][0]] {
            for field in ["channels", "locations", "money_ceiling"] {
                assert_eq!(shown[field], key[field], "{shown}");
            }
        }
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

fn settings(origin: &str) -> serde_json::Value {
    json!({
        "currencies": ["EUR"], "locales": ["de-DE"], "countries": ["DE"], "time_zone": "Europe/Berlin",
        "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"},
        "payment_methods": ["manual"], "cors_origins": [origin]
    })
}

#[test]
fn a_page_of_one_brand_does_not_read_what_is_answered_to_anothers_key() {
    on_both(|app| async move {
        let ours = a_channel(&app).await;
        let path = format!("/channels/{}", ours["id"].as_str().unwrap());
        let ours =
            app.ops("PATCH", &path, Some(&json!({"settings": settings("https://alpha.example")}))).await.expect(200);
        let theirs = json!({"code": "b", "name": "B", "legal_entity_id": ours["legal_entity_id"],
            "settings": settings("https://bravo.example")});
        let theirs = app.ops("POST", "/channels", Some(&theirs)).await.expect(201);
        let key = |channel: &serde_json::Value| channel["publishable_keys"][0].as_str().unwrap().to_owned();
        let permitted = async |origin: &str, key: &str| {
            let headers = [("Origin", origin), ("Channel-Key", key)];
            let answer = app.send("GET", "/v1/store/config", &headers, None).await;
            answer.header("Access-Control-Allow-Origin").map(str::to_owned)
        };
        for (origin, own, other) in
            [("https://alpha.example", key(&ours), key(&theirs)), ("https://bravo.example", key(&theirs), key(&ours))]
        {
            assert_eq!(permitted(origin, &own).await.as_deref(), Some(origin));
            assert_eq!(permitted(origin, &other).await, None, "{origin}");
            // Of a key of nobody's it is told that it is not valid.
            assert_eq!(permitted(origin, "pk_wrong").await.as_deref(), Some(origin));
            // Beforehand a browser sends no key.
            let asks = [("Origin", origin), ("Access-Control-Request-Method", "GET")];
            let allowed = app.send("OPTIONS", "/v1/store/config", &asks, None).await;
            assert_eq!(allowed.header("Access-Control-Allow-Origin"), Some(origin));
        }
    });
}

#[test]
fn wrong_settings_are_pointed_at_where_they_stand_in_the_body() {
    on_both(|app| async move {
        let channel = a_channel(&app).await;
        let path = format!("/channels/{}", channel["id"].as_str().unwrap());
        for (field, value, code, pointer) in [
            ("currencies", json!([]), "invalid_value", "/settings/currencies"),
            ("locales", json!([]), "invalid_value", "/settings/locales"),
            ("countries", json!([]), "invalid_value", "/settings/countries"),
            ("payment_methods", json!(["manual", "barter"]), "provider_unknown", "/settings/payment_methods/1"),
            ("cart_days", json!(0), "invalid_value", "/settings/cart_days"),
            ("due_hours", json!("x"), "invalid_value", "/settings/due_hours"),
            ("due_hours", json!(0), "invalid_value", "/settings/due_hours"),
        ] {
            let mut wrong = settings("https://alpha.example");
            wrong[field] = value;
            let body = json!({"settings": wrong});
            assert_eq!(app.ops("PATCH", &path, Some(&body)).await.problem(422, code)["pointer"], pointer);
            let new =
                json!({"code": "b", "name": "B", "legal_entity_id": channel["legal_entity_id"], "settings": wrong});
            assert_eq!(app.ops("POST", "/channels", Some(&new)).await.problem(422, code)["pointer"], pointer);
        }
    });
}

#[test]
fn of_changes_at_once_that_name_no_version_all_count() {
    on_both(|app| async move {
        let shop = crate::support::Shop::open(&app, &[("TEE", "10.00", 1)]).await;
        let first = async |list: &str| {
            let found = app.ops("GET", list, None).await.expect(200);
            format!("{list}/{}", found["items"][0]["id"].as_str().unwrap())
        };
        let connector = json!({"name": "ERP", "adapter": "webhook", "settings": {"url": "http://127.0.0.1:9"},
            // Nobody is there: it wants nothing that happens here.
            "types": ["invoice."]});
        app.ops("POST", "/connectors", Some(&connector)).await.expect(201);
        let mut paths = vec![format!("/channels/{}", shop.channel)];
        for list in ["/legal-entities", "/locations", "/price-lists", "/shipping-methods", "/connectors", "/variants"] {
            paths.push(first(list).await);
        }
        for path in paths {
            let before = app.ops("GET", &path, None).await.expect(200)["version"].as_i64().unwrap();
            let change = |n: i64| {
                let (app, path) = (&app, &path);
                async move { app.ops("PATCH", path, Some(&json!({"name": format!("Name {n}")}))).await }
            };
            for answer in futures::future::join_all((0..5).map(change)).await {
                answer.expect(200);
            }
            assert_eq!(app.ops("GET", &path, None).await.expect(200)["version"], before + 5, "{path}");
        }
    });
}

#[test]
fn a_legal_entity_is_read_and_changed_by_whoever_has_seen_its_version() {
    on_both(|app| async move {
        let entity = json!({"code": "acme", "name": "Acme GmbH", "country": "DE", "vat_id": "DE136695976", "time_zone": "Europe/Berlin"});
        let made = app.ops("POST", "/legal-entities", Some(&entity)).await;
        let path = made.header("Location").unwrap().strip_prefix("/v1/ops").unwrap().to_owned();
        let made = made.expect(201);
        let read = app.ops("GET", &path, None).await;
        assert_eq!((read.header("ETag"), &read.body), (Some("\"v1\""), &made));
        let token = format!("Bearer {}", app.staff());
        let change = async |tag: &str, body: serde_json::Value| {
            let headers = [("Authorization", token.as_str()), ("If-Match", tag)];
            app.send("PATCH", &format!("/v1/ops{path}"), &headers, Some(&body)).await
        };
        let changed = change("\"v1\"", json!({"name": "Acme SE", "vat_id": null})).await;
        assert_eq!(changed.header("ETag"), Some("\"v2\""));
        let changed = changed.expect(200);
        assert_eq!(
            (&changed["name"], &changed["vat_id"], &changed["country"]),
            (&json!("Acme SE"), &json!(null), &json!("DE"))
        );
        assert_eq!(change("\"v1\"", json!({"name": "Late"})).await.problem(412, "version_stale")["version"], 2);
        // Of two who have seen the same version, one is told to look again.
        let both = futures::future::join(
            change("\"v2\"", json!({"country": "AT"})),
            change("\"v2\"", json!({"country": "CH"})),
        );
        let (one, other) = both.await;
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412]);
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["version"], 3);
        assert_eq!(
            app.ops("PATCH", &path, Some(&json!({"code": "x"}))).await.problem(422, "unknown_field")["pointer"],
            "/code"
        );
        app.ops("GET", "/legal-entities/le_00000000000000000000000000", None).await.problem(404, "not_found");
    });
}

#[test]
fn small_lists_are_read_page_by_page_too() {
    on_both(|app| async move {
        let entity = a_channel(&app).await["legal_entity_id"].clone();
        for n in 1..=4 {
            let named = |word: &str| format!("{word}-{n}");
            let more = json!({"code": named("le"), "name": "E", "country": "DE", "time_zone": "Europe/Berlin"});
            app.ops("POST", "/legal-entities", Some(&more)).await.expect(201);
            let more = json!({"code": named("ch"), "name": "C", "legal_entity_id": entity, "settings": settings("https://a.example")});
            app.ops("POST", "/channels", Some(&more)).await.expect(201);
            // In the order of their priority, which is not that in which they were made.
            let more = json!({"code": named("lo"), "name": "L", "country": "DE", "time_zone": "Europe/Berlin", "priority": 50 - n / 2});
            app.ops("POST", "/locations", Some(&more)).await.expect(201);
        }
        for list in ["/legal-entities", "/channels", "/locations"] {
            let all = app.ops("GET", list, None).await.expect(200);
            assert!(all["next_cursor"].is_null(), "{list}");
            let (mut seen, mut path) = (Vec::new(), format!("{list}?limit=2"));
            loop {
                let page = app.ops("GET", &path, None).await;
                let linked = page.header("Link").is_some();
                let page = page.expect(200);
                seen.extend(page["items"].as_array().unwrap().iter().cloned());
                assert!(page["items"].as_array().unwrap().len() <= 2);
                assert_eq!(linked, page["next_cursor"].is_string());
                let Some(next) = page["next_cursor"].as_str() else { break };
                path = format!("{list}?limit=2&cursor={next}");
            }
            assert_eq!(json!(seen), all["items"], "{list}");
            app.ops("GET", &format!("{list}?limit=201"), None).await.problem(400, "invalid_query");
            app.ops("GET", &format!("{list}?cursor=odd"), None).await.problem(400, "invalid_cursor");
        }
    });
}

#[test]
fn a_channel_gets_another_key_and_loses_the_first_without_a_gap() {
    on_both(|app| async move {
        let channel = a_channel(&app).await;
        let first = channel["publishable_keys"][0].as_str().unwrap().to_owned();
        let path = format!("/channels/{}", channel["id"].as_str().unwrap());
        let config = async |key: &str| app.send("GET", "/v1/store/config", &[("Channel-Key", key)], None).await;
        let second = app.ops("POST", &format!("{path}/keys"), None).await.expect(201);
        assert_eq!(second["channel_id"], channel["id"]);
        let second = second["key"].as_str().unwrap().to_owned();
        assert_eq!([config(&first).await.status, config(&second).await.status], [200, 200]);
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["publishable_keys"], json!([first, second]));
        // Revoked as often as one likes; another channel's is not there.
        for _ in 0..2 {
            app.ops("DELETE", &format!("{path}/keys/{first}"), None).await.expect(204);
        }
        config(&first).await.problem(401, "channel_key_invalid");
        config(&second).await.expect(200);
        let other = json!({"code": "b", "name": "B", "legal_entity_id": channel["legal_entity_id"], "settings": settings("https://b.example")});
        let other = app.ops("POST", "/channels", Some(&other)).await.expect(201);
        let foreign = format!("/channels/{}/keys/{second}", other["id"].as_str().unwrap());
        app.ops("DELETE", &foreign, None).await.problem(404, "not_found");
        config(&second).await.expect(200);
        // The last one may go too.
        app.ops("DELETE", &format!("{path}/keys/{second}"), None).await.expect(204);
        config(&second).await.problem(401, "channel_key_invalid");
        assert!(app.ops("GET", &path, None).await.expect(200)["publishable_keys"].is_null());
        let third = app.ops("POST", &format!("{path}/keys"), None).await.expect(201);
        config(third["key"].as_str().unwrap()).await.expect(200);
        let token = format!(
            "Bearer {}",
            app.token(kontor::http::auth::Audience::Staff, "eve", &[kontor::kernel::Scope::SettingsWrite])
        );
        let refused = app.send("POST", &format!("/v1/ops{path}/keys"), &[("Authorization", &token)], None).await;
        refused.problem(403, "scope_missing");
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
        more["scopes"] = json!(["orders:read", "orders:write"]);
        assert_eq!(make(more).await.problem(403, "scope_missing")["pointer"], "/scopes/1");
        make(key.clone()).await.expect(201);
    });
}

/// Adds a field to every document of a table, as a newer version beside this one might.
async fn as_a_newer_version(app: &App, table: &'static str, path: &'static [&'static str], added: serde_json::Value) {
    let change = move |tx: &mut Tx| {
        let select = format!("SELECT id, doc FROM {table}");
        for (id, Doc(mut doc)) in sql(select).load::<(UidSql, DocSql), (Id<()>, Doc<serde_json::Value>)>(tx)? {
            let place = path.iter().fold(&mut doc, |place, name| &mut place[*name]);
            place.as_object_mut().unwrap().extend(added.as_object().unwrap().clone());
            sql(format!("UPDATE {table} SET doc = ? WHERE id = ?")).bind(Doc(doc)).bind(id).execute(tx)?;
        }
        bump::<kontor::channels::Directory>(tx)?;
        bump::<kontor::stock::Locations>(tx)
    };
    app.state.db.write(change).await.unwrap();
}

#[test]
fn what_a_newer_version_has_stored_stops_nothing_and_is_not_lost() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let key = json!({"name": "ERP", "scopes": ["feeds:read"]});
        let key = app.ops("POST", "/api-keys", Some(&key)).await.expect(201);
        let cart = shop.cart(&[("TEE", 1)]).await;
        as_a_newer_version(&app, "channels", &[], json!({"gift_wrap": {"offered": true}})).await;
        as_a_newer_version(&app, "channels", &["rounding"], json!({"cash": "0.05"})).await;
        as_a_newer_version(&app, "locations", &[], json!({"night_shift": true})).await;
        as_a_newer_version(&app, "carts", &[], json!({"gift": "yes"})).await;
        as_a_newer_version(&app, "customers", &[], json!({"score": 5})).await;
        as_a_newer_version(&app, "credentials", &[], json!({"scopes": ["feeds:read", "dreams:read"], "more": 1})).await;

        // Requests refuse what they do not know, as ever.
        let path = format!("/channels/{}", shop.channel);
        let channel = app.ops("GET", &path, None).await.expect(200);
        let mut settings = json!({});
        let named =
            ["currencies", "locales", "countries", "time_zone", "prices_include_tax", "rounding", "payment_methods"];
        for name in named {
            settings[name] = channel[name].clone();
        }
        let mut odd = settings.clone();
        odd["gift_wrap"] = json!({"offered": true});
        let refused = app.ops("PATCH", &path, Some(&json!({"settings": odd}))).await.problem(422, "unknown_field");
        assert_eq!(refused["pointer"], "/settings/gift_wrap");
        // Everything goes on, and a change leaves alone what is not its business.
        settings["due_hours"] = json!(24);
        app.ops("PATCH", &path, Some(&json!({"settings": settings}))).await.expect(200);
        settings.as_object_mut().unwrap().remove("due_hours");
        app.ops("PATCH", &path, Some(&json!({"settings": settings}))).await.expect(200);
        let locations = app.ops("GET", "/locations", None).await.expect(200);
        let location = format!("/locations/{}", locations["items"][0]["id"].as_str().unwrap());
        app.ops("PATCH", &location, Some(&json!({"cut_off": "12:00"}))).await.expect(200);
        shop.complete(&cart, "approve").await.expect(201);
        let token = format!("Bearer {}", key["key"].as_str().unwrap());
        // Only numbered events are read; numbering runs beside the requests.
        app.state.db.write(kontor::events::number).await.unwrap();
        let feed =
            app.send("GET", "/v1/integration/feeds/orders", &[("Authorization", &token)], None).await.expect(200);
        assert!(!feed["items"].as_array().unwrap().is_empty());
        let keys = app.ops("GET", "/api-keys", None).await.expect(200);
        assert_eq!(keys["items"][0]["scopes"], json!(["feeds:read"]));
        let docs = app.read(|tx| {
            let both = "SELECT doc FROM channels UNION ALL SELECT doc FROM locations";
            sql(both).load::<DocSql, Doc<serde_json::Value>>(tx)
        });
        let [Doc(channel), Doc(location)] = &docs.await[..] else { panic!("a channel and a location") };
        assert_eq!((&channel["gift_wrap"]["offered"], channel.get("due_hours")), (&json!(true), None));
        assert_eq!((&location["night_shift"], &location["cut_off"]), (&json!(true), &json!("12:00")));
    });
}
