//! What the documents say of headers and answers is what the routes do.

use std::collections::BTreeSet;

use kontor::{
    http::{auth::Audience, openapi::Surface},
    kernel::Scope,
};
use serde_json::Value;

use crate::support::{
    App, on_both_idle, on_both_set,
    world::{Route, two_sides},
};

/// A token for each surface, of somebody who may do everything.
fn bearers(app: &App) -> [String; 3] {
    [Audience::Customer, Audience::Staff, Audience::Client]
        .map(|usage| format!("Bearer {}", app.token(usage, "eve", Scope::ALL)))
}

/// The one of three that is for a surface.
fn of<T>(surface: Surface, all: &[T; 3]) -> &T {
    let [store, ops, integration] = all;
    match surface {
        Surface::Store => store,
        Surface::Ops => ops,
        Surface::Integration => integration,
    }
}

#[test]
fn a_header_is_heeded_where_it_is_documented_and_nowhere_else() {
    on_both_idle(|app| async move {
        let (side, _) = two_sides(&app).await;
        let bearers = bearers(&app);
        let send = async |route: &Route, name: &str, value: &str| {
            let token = of(route.surface, &bearers).as_str();
            let headers = [("Authorization", token), ("Channel-Key", &side.shop.key), (name, value)];
            route.send(&app, &route.fill(&side.ids), &headers).await
        };
        let mut routes: Vec<Route> = Route::all().into_iter().filter(|route| route.method != "GET").collect();
        routes.iter_mut().for_each(|route| route.at(&side));
        let mut wrong = Vec::new();
        // A version that nothing has: who looks at it refuses the change. Carts and books of others are not found first.
        for route in routes.iter().filter(|route| route.heeds("If-Match")) {
            let answer = send(route, "If-Match", "\"v4711\"").await;
            let foreign = route.surface == Surface::Store && answer.status == 404;
            if answer.body["code"] != "version_stale" && !foreign {
                wrong.push(format!("{} {}: a stale If-Match: {}", route.method, route.path, answer.text));
            }
        }
        // A value that nobody can heed: who looks at the header refuses it before anything happens. So keys come first, since
        // nearly all heed them: what does not look at a header does what it is told.
        for (name, value) in [("Idempotency-Key", "x".repeat(256).as_str()), ("If-Match", "nonsense")] {
            for route in &routes {
                let answer = send(route, name, value).await;
                let heeded = answer.body["code"] == "invalid_header" && answer.body["pointer"] == name;
                if heeded != route.heeds(name) {
                    wrong.push(format!("{} {}: {name} is heeded: {heeded}: {}", route.method, route.path, answer.text));
                }
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
        let guarded = routes.iter().filter(|route| route.heeds("If-Match"));
        assert_eq!(guarded.filter(|route| route.method == "POST").count(), 17, "POSTs that look at If-Match");
    });
}

#[test]
fn a_refusal_for_being_old_is_documented_where_a_version_is_looked_at() {
    for surface in Surface::ALL {
        let document = serde_json::to_value(kontor::api::openapi(surface)).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let mut all = operation["parameters"].as_array().into_iter().flatten();
                let guarded = all.any(|one| one["in"] == "header" && one["name"] == "If-Match");
                // Its own reading is what guards this one.
                let refuses = guarded || path.ends_with("/renew-secrets");
                assert_eq!(operation["responses"]["412"].is_object(), refuses, "{method} {path}");
            }
        }
    }
}

fn responses(surface: Surface, method: &str, path: &str) -> Value {
    let document = serde_json::to_value(kontor::api::openapi(surface)).unwrap();
    let mut found = document["paths"][path][method]["responses"].clone();
    let answers = found.as_object_mut().unwrap_or_else(|| panic!("there is no {method} {path}"));
    answers.values_mut().for_each(|answer| *answer = resolved(&document, answer).clone());
    found
}

/// An answer itself, where it is only referred to.
fn resolved<'a>(document: &'a Value, answer: &'a Value) -> &'a Value {
    match answer["$ref"].as_str() {
        Some(name) => document.pointer(name.strip_prefix('#').unwrap()).unwrap(),
        None => answer,
    }
}

#[test]
fn answers_that_a_route_may_give_are_documented() {
    for path in
        ["/v1/ops/orders/{ref}", "/v1/ops/orders/{ref}/timeline", "/v1/ops/orders/{ref}/status", "/v1/ops/returns"]
    {
        let found = responses(Surface::Ops, "get", path);
        assert!(found["409"]["description"].as_str().unwrap().contains("reference_ambiguous"), "{path}");
    }
    let refs = responses(Surface::Integration, "post", "/v1/integration/orders/{ref}/shipments");
    assert!(refs["409"]["description"].as_str().unwrap().contains("reference_ambiguous"));
    let snapshot = responses(Surface::Integration, "get", "/v1/integration/snapshots/{feed}");
    assert!(snapshot["409"].is_object() && snapshot["410"].is_object());
    let orders = responses(Surface::Ops, "get", "/v1/ops/orders");
    let kinds = orders["200"]["content"].as_object().unwrap();
    assert!(kinds.contains_key("text/csv") && kinds.contains_key("application/json"));
    // What nobody looks at is not refused for being old.
    for (surface, method, path) in [
        (Surface::Ops, "patch", "/v1/ops/stock/levels"),
        (Surface::Ops, "delete", "/v1/ops/api-keys/{id}"),
        (Surface::Store, "post", "/v1/store/offers"),
    ] {
        assert!(responses(surface, method, path)["412"].is_null(), "{method} {path}");
    }
    assert!(responses(Surface::Ops, "patch", "/v1/ops/channels/{id}")["412"].is_object());
}

#[test]
fn an_id_in_a_path_says_what_it_looks_like() {
    let mut seen = 0;
    for surface in Surface::ALL {
        let document = serde_json::to_value(kontor::api::openapi(surface)).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let name = parameter["name"].as_str().unwrap();
                    let is_id = parameter["in"] == "path" && (name == "id" || name.ends_with("_id"));
                    // What waits in a work list is named by the ids of several things.
                    if is_id && !path.contains("/worklists/") {
                        let pattern = parameter["schema"]["pattern"].as_str();
                        assert!(pattern.is_some_and(|pattern| pattern.ends_with("{25}$")), "{method} {path}: {name}");
                        seen += 1;
                    }
                }
            }
        }
    }
    assert!(seen > 50, "{seen}");
}

/// The parts of every `allOf` at or below a place of a document that allow no members beside their own: with one of them the
/// whole fits nothing that has a member of another part.
/// The names of the schemas that one refers to, itself and theirs included.
fn reachable(document: &Value, at: &Value, found: &mut BTreeSet<String>) {
    match at {
        Value::Object(members) => {
            let target = at["$ref"].as_str().and_then(|target| target.strip_prefix("#/components/schemas/"));
            if let Some(name) = target.filter(|name| found.insert((*name).to_owned())) {
                reachable(document, &document["components"]["schemas"][name], found);
            }
            members.values().for_each(|member| reachable(document, member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| reachable(document, item, found)),
        _ => {}
    }
}

#[test]
fn no_request_has_a_part_with_room_for_unknown_fields() {
    for surface in Surface::ALL {
        let document = serde_json::to_value(kontor::api::openapi(surface)).unwrap();
        let mut asked = BTreeSet::new();
        for operation in document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap()) {
            reachable(&document, &operation.1["requestBody"], &mut asked);
        }
        let schema = |name: &String| document["components"]["schemas"][name].clone();
        let open = |name: &&String| {
            let schema = schema(name);
            // What is put together of parts is closed as a whole, and a map takes any name.
            schema["properties"].is_object() && schema["additionalProperties"].is_null()
        };
        let open: Vec<&String> = asked.iter().filter(open).collect();
        assert!(!asked.is_empty() && open.is_empty(), "{}: {open:?}", surface.name());
    }
}

fn closed_parts(document: &Value, at: &Value, path: &str, found: &mut Vec<String>) {
    let resolved = |part: &Value| {
        let mut part = part.clone();
        while let Some(named) = part["$ref"].as_str() {
            part = document.pointer(named.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("no {named}")).clone();
        }
        part
    };
    if let Some(parts) = at["allOf"].as_array() {
        let is_closed = |part: &Value| {
            let part = resolved(part);
            part["additionalProperties"] == false || part["unevaluatedProperties"] == false
        };
        found.extend(
            (0..parts.len()).filter(|part| is_closed(&parts[*part])).map(|part| format!("{path}/allOf/{part}")),
        );
    }
    let below: Vec<(String, &Value)> = match at {
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), member)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(place, item)| (place.to_string(), item)).collect(),
        _ => Vec::new(),
    };
    below.into_iter().for_each(|(name, member)| closed_parts(document, member, &format!("{path}/{name}"), found));
}

#[test]
fn what_is_put_together_of_parts_can_be_fitted() {
    let mut wrong = Vec::new();
    for surface in Surface::ALL {
        let document = serde_json::to_value(kontor::api::openapi(surface)).unwrap();
        closed_parts(&document, &document, surface.name(), &mut wrong);
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            assert!(schema.is_object(), "{name}");
        }
    }
    for event in kontor::api::event_schemas() {
        let schema: Value = serde_json::from_str(&event.text().unwrap()).unwrap();
        closed_parts(&schema, &schema, event.kind, &mut wrong);
    }
    assert!(wrong.is_empty(), "these parts are closed:\n{}", wrong.join("\n"));
    // What is sent is still checked for members that nobody knows; what is answered has all members of the settings.
    let ops = serde_json::to_value(kontor::api::openapi(Surface::Ops)).unwrap();
    let schemas = &ops["components"]["schemas"];
    assert_eq!(schemas["ChannelSettings"]["additionalProperties"], false);
    assert!(schemas["Channel"]["allOf"][0]["properties"]["currencies"].is_object(), "{}", schemas["Channel"]);
}

/// Headers of the transport, which mean the same everywhere.
const OF_TRANSPORT: [&str; 9] = [
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "date",
    "vary",
    "cache-control",
    "allow",
];

#[test]
fn every_header_that_is_sent_is_documented_where_it_is_sent() {
    let limited = |settings: &mut kontor::config::Settings| {
        let http = &mut settings.http;
        (http.store_requests_per_minute, http.ops_requests_per_minute) = (100_000, 100_000);
        http.integration_requests_per_minute = 100_000;
    };
    on_both_set(limited, |app| async move {
        let (side, _) = two_sides(&app).await;
        let bearers = bearers(&app);
        let (mut wrong, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let documents = Surface::ALL.map(|surface| serde_json::to_value(kontor::api::openapi(surface)).unwrap());
        for mut route in Route::all() {
            route.at(&side);
            let (document, token) = (of(route.surface, &documents), of(route.surface, &bearers));
            let signed =
                [("Authorization", token.as_str()), ("Channel-Key", &side.shop.key), ("Idempotency-Key", "once")];
            let filled = route.fill(&side.ids);
            let plain = format!("{filled}{}format=csv&limit=1", if filled.contains('?') { "&" } else { "?" });
            // As it should be, once more, as a table, and from nobody.
            for (path, headers) in [(&filled, &signed[..]), (&filled, &signed), (&plain, &signed), (&filled, &[])] {
                let answer = route.send(&app, path, headers).await;
                let status = answer.status.to_string();
                let known = &document["paths"][&route.path][route.method.to_lowercase()]["responses"][&status];
                let known = resolved(document, known);
                let documented = |name: &str| {
                    known["headers"].as_object().is_some_and(|all| all.keys().any(|it| it.eq_ignore_ascii_case(name)))
                };
                for name in answer.headers.keys().map(|name| name.as_str()).filter(|name| !OF_TRANSPORT.contains(name))
                {
                    seen.insert(name.to_owned());
                    if !documented(name) {
                        wrong.insert(format!("{} {} answers {status} with {name}", route.method, route.path));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), Vec::from_iter(wrong).join("\n"));
        for name in
            ["etag", "location", "link", "idempotency-replayed", "ratelimit-limit", "next-cursor", "www-authenticate"]
        {
            assert!(seen.contains(name), "{name} was never sent: {seen:?}");
        }
    });
}
