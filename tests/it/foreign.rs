//! What is somebody else's is not there: every route with an id of another channel, every list, every location.

use std::collections::BTreeMap;

use kontor::{
    http::{auth::Audience, openapi::Surface},
    kernel::Scope,
};
use serde_json::{Value, json};

use crate::support::{
    Answer, App, Shop, on_both_idle,
    world::{Route, Side, dump, limited_to, two_sides},
};

/// What belongs to the merchant and serves every channel: it may be read, as far as it is not about people, and it is
/// changed by those who are limited to no channel.
const SHARED: &[&str] = &[
    "variants",
    "tax-rates",
    "locations",
    "lots",
    "carrier-accounts",
    "purchase-orders",
    "inbound-shipments",
    "transfers",
    "stock-counts",
];

/// What belongs to the merchant and is about people and their money, or about orders of all channels alike: who is limited to
/// channels has no business there.
const NOBODYS: &[&str] = &["lists", "companies", "company-debts", "customers", "stored-values", "docks", "dock-tasks"];

/// What comes of a route with an id of another channel, for somebody who may do everything in their own.
fn expected(route: &Route) -> (u16, &'static str) {
    let path = route.path.strip_prefix(route.surface.prefix()).unwrap();
    let of = path.split('/').nth(1).unwrap();
    match (route.method.as_str(), of) {
        ("GET", of) if SHARED.contains(&of) => (200, ""),
        (_, of) if SHARED.contains(&of) || NOBODYS.contains(&of) => (403, "scope_missing"),
        // Whom to allow and to block is said for all channels.
        _ if path.starts_with("/risk/lists") => (403, "scope_missing"),
        // The list is everybody's, its items are not.
        ("GET", "worklists") => (200, ""),
        // A feed is everybody's too, and so is its snapshot; consumers are whose they are.
        ("GET", "snapshots") => (200, ""),
        ("GET", "feeds") if path == "/feeds/{feed}" || path == "/feeds/{feed}/consumers" => (200, ""),
        _ => (404, "not_found"),
    }
}

fn is(answer: &Answer, (status, code): (u16, &str)) -> bool {
    let found = if answer.status < 400 { "" } else { answer.body["code"].as_str().unwrap_or_default() };
    (answer.status, found) == (status, code)
}

/// Words that tell of the other side, as far as they are found in an answer.
fn told<'s>(answer: &Answer, side: &'s Side) -> Vec<&'s String> {
    let shared = ["feeds", "snapshots", "consumers", "parked", "versions", "worklists", "jobs", "docks", "dock-tasks"];
    let shared = |word: &str| shared.contains(&word) || SHARED.contains(&word);
    let ids = side.ids.iter().filter(|(word, _)| !shared(word)).map(|(_, id)| id);
    let words = side.words.iter().chain([&side.shop.key]);
    // A number is looked for as it stands in a document, not within another word.
    ids.chain(words).filter(|word| answer.text.contains(&format!("\"{word}\"")) || is_line_of(answer, word)).collect()
}

fn is_line_of(answer: &Answer, word: &str) -> bool {
    answer.headers["content-type"].to_str().unwrap().starts_with("text/csv") && answer.text.contains(word)
}

#[test]
fn nothing_of_another_channel_is_there() {
    on_both_idle(|app| async move {
        let (ours, theirs) = two_sides(&app).await;
        let (staff, client) = (limited_to(&app, Audience::Staff, &ours), limited_to(&app, Audience::Client, &ours));
        // A consumer of the same name, with an item set aside, of the same client without the limit.
        let whole = format!("Bearer {}", app.token(Audience::Client, "eve", Scope::ALL));
        let poll = "/v1/integration/feeds/orders?consumer=erp&limit=200";
        let page = app.send("GET", poll, &[("Authorization", &whole)], None).await.expect(200);
        assert!(page["items"].as_array().unwrap().len() > 4);
        let (before, mut wrong) = (dump(&app).await, Vec::new());
        for route in Route::all().iter().filter(|route| route.surface != Surface::Store) {
            let token = if route.surface == Surface::Ops { &staff } else { &client };
            let headers = [("Authorization", token.as_str())];
            let name = format!("{} {}", route.method, route.path);
            if route.path.contains('{') {
                let answer = route.send(&app, &route.fill(&theirs.ids), &headers).await;
                if !is(&answer, expected(route)) || !told(&answer, &theirs).is_empty() {
                    wrong.push(format!("{name}: {} {}", answer.status, answer.text));
                }
            } else if route.method == "GET" {
                let answer = route.send(&app, &route.fill(&theirs.ids), &headers).await;
                let told = told(&answer, &theirs);
                let of = route.path.rsplit('/').next().unwrap();
                if answer.status != if NOBODYS.contains(&of) { 403 } else { 200 } || !told.is_empty() {
                    wrong.push(format!("{name}: {} tells of {told:?}", answer.status));
                }
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
        let after = dump(&app).await;
        let changed: Vec<_> = before.iter().filter(|(table, rows)| after[*table] != **rows).collect();
        assert!(changed.is_empty(), "somebody else's things have changed: {changed:#?}");
    });
}

/// Bodies of the commands that name no object in their path: what they are about is another channel's or all channels'.
fn commands(theirs: &Side) -> BTreeMap<&'static str, (Value, u16)> {
    let channel = &theirs.shop.channel;
    let change = json!({"sku": "TEE", "location": "berlin", "change": -1, "reason": "x"});
    let safety = json!({"sku": "TEE", "location": "berlin", "safety": 1});
    let rate = json!({"countries": ["DE"], "price": {"amount": "1.00", "currency": "EUR"}});
    [
        ("POST /api-keys", json!({"name": "k", "scopes": [], "channels": [channel]}), 403),
        ("POST /warranty-claims", json!({"order": theirs.words[0], "line_no": 1}), 404),
        ("POST /bulk/release/preview", json!({"filter": {"number": theirs.words[0]}, "reason": "x", "token": "x"}), 422),
        ("POST /bulk/release", json!({"filter": {"number": theirs.words[0]}, "reason": "x", "token": "x"}), 422),
        ("POST /bulk/cancel/preview", json!({"filter": {"number": theirs.words[0]}, "reason": "x", "token": "x"}), 422),
        ("POST /bulk/cancel", json!({"filter": {"number": theirs.words[0]}, "reason": "x", "token": "x"}), 422),
        ("POST /bulk/resource/preview", json!({"filter": {"number": theirs.words[0]}, "reason": "x", "token": "x"}), 422),
        ("POST /bulk/resource", json!({"filter": {"number": theirs.words[0]}, "reason": "x", "token": "x"}), 422),
        ("POST /bulk/resend/preview", json!({"filter": {"number": theirs.words[0]}, "reason": "x", "token": "x"}), 422),
        ("POST /bulk/resend", json!({"filter": {"number": theirs.words[0]}, "reason": "x", "token": "x"}), 422),
        ("POST /bulk/tag/preview", json!({"filter": {"number": theirs.words[0]}, "add": ["x"], "token": "x"}), 422),
        ("POST /bulk/tag", json!({"filter": {"number": theirs.words[0]}, "add": ["x"], "token": "x"}), 422),
        ("POST /carts", json!({ "channel_id": channel }), 404),
        ("POST /orders", json!({"channel_id": channel, "reference": {"system": "m", "value": "1"}, "lines": [], "email": "a@example.org", "total": {"amount": "1.00", "currency": "EUR"}}), 404),
        ("POST /drafts", json!({"cart_id": theirs.ids["carts"], "contact": "phone"}), 404),
        ("POST /connectors", json!({"name": "n", "adapter": "webhook", "settings": {"url": "http://127.0.0.1:9/"}, "channels": [channel]}), 404),
        ("POST /price-lists", json!({"code": "c", "name": "n", "currency": "EUR", "channel_id": channel}), 404),
        ("POST /price-proposals/approve", json!({"ids": [theirs.ids["price-proposals"]]}), 200),
        ("POST /price-proposals/reject", json!({"ids": [theirs.ids["price-proposals"]]}), 200),
        ("POST /price-rules", json!({"code": "c", "name": "n", "price_list": "bravo-list", "reference_list": "base", "signal": {"type": "age"}, "tiers": [{"change": "-1"}]}), 404),
        ("POST /pricing/simulate", json!({"channel_id": channel, "lines": [{"sku": "TEE"}]}), 404),
        ("POST /promotions", json!({"code": "c", "name": "n", "channel_id": channel, "gift": {"type": "fixed_shipping", "price": {"amount": "1.00", "currency": "EUR"}}}), 404),
        ("POST /returns", json!({"order": theirs.ids["orders"], "lines": [{"line_no": 1, "quantity": 1}]}), 404),
        ("POST /shipping-methods", json!({"channel_id": channel, "code": "c", "name": "n", "tax_class": "standard", "rates": [rate]}), 404),
        ("POST /sourcing/profiles", json!({"code": "c", "channel_id": channel, "document": {"strategies": [{"name": "a"}]}}), 404),
        ("POST /sourcing/simulate", json!({"channel_id": channel, "country": "DE", "lines": [{"sku": "TEE", "quantity": 1}]}), 404),
        ("POST /lots", json!({"lines": [{"sku": "TEE", "location": "berlin", "lot": "L", "quantity": 1}]}), 403),
        ("PUT /stock/watches", json!({"lines": [{"sku": "TEE", "location": "berlin", "low_at": 1}]}), 403),
        ("PUT /stock/channel-safety", json!({"lines": [{"sku": "TEE", "channel_id": channel, "location": "berlin", "pieces": 1}]}), 404),
        ("PUT /stock/backorders", json!({"lines": [{"sku": "TEE", "location": "berlin", "kind": "backorder", "limit": 1}]}), 403),
        ("PUT /stock/expected", json!({"reference": "PO-1", "lines": [{"sku": "TEE", "location": "berlin", "quantity": 1, "expected_at": "2027-03-01T08:00:00Z"}]}), 403),
        ("POST /stock-snapshots", json!({"source": "erp", "basis": "physical", "rows": [{"sku": "TEE", "location": "berlin", "quantity": 1}]}), 403),
        ("POST /stock/adjustments", json!({ "lines": [change] }), 403),
        ("POST /stock/bins", json!({"bins": [{"sku": "TEE", "location": "berlin", "bin": "A-1"}]}), 403),
        ("POST /waves", json!({"location": "berlin"}), 404),
        ("POST /manifests", json!({"location": "berlin", "carrier": "DHL"}), 404),
        ("POST /serials/release", json!({"sku": "TEE", "serial": "bravo"}), 404),
        ("PATCH /stock/levels", json!({ "lines": [safety] }), 403),
        ("POST /stock-levels", json!([{"sku": "TEE", "location": "berlin", "on_hand": 1}]), 403),
        ("POST /inbound-shipments", json!({"location": "berlin", "expected_at": "2026-12-01T08:00:00Z", "lines": [{"sku": "TEE", "quantity": 1}]}), 403),
        ("POST /purchase-orders", json!({"number": "n", "supplier": "s", "location": "berlin", "lines": [{"sku": "TEE", "quantity": 1}]}), 403),
        ("POST /scan", json!({"code": "(99)1"}), 422),
        ("POST /stock-counts", json!({"location": "berlin", "skus": ["TEE"]}), 403),
        ("POST /transfers", json!({"from": "berlin", "to": "berlin", "lines": [{"sku": "TEE", "quantity": 1}]}), 403),
        // These have examples that will do: nobody who is limited to a channel makes any.
        ("POST /carrier-accounts", Value::Null, 403),
        ("POST /channels", Value::Null, 403),
        ("POST /companies", Value::Null, 403),
        ("POST /customers", Value::Null, 403),
        ("POST /gift-cards", Value::Null, 403),
        ("POST /gift-cards/lookup", Value::Null, 403),
        ("POST /guests/erase", Value::Null, 403),
        ("POST /guests/export", Value::Null, 403),
        ("POST /guests/overview", Value::Null, 403),
        ("POST /erasure/scan", Value::Null, 403),
        ("POST /risk/lists", Value::Null, 403),
        ("POST /risk/lists/import", Value::Null, 403),
        ("POST /risk/simulate", json!({"channel_id": channel, "document": {"hold_at": 50, "rules": [{"kind": "value", "name": "dear", "weight": 50, "amount": {"amount": "300.00", "currency": "EUR"}}]}}), 404),
        ("POST /legal-entities", Value::Null, 403),
        ("POST /locations", Value::Null, 403),
        ("POST /tax-rates", Value::Null, 403),
        ("POST /tax-rates/shipped", Value::Null, 403),
        ("POST /variants", Value::Null, 403),
        // Refused row by row.
        ("POST /prices", json!({"price_list": "bravo-list", "sku": "TEE", "unit_price": {"amount": "1.00", "currency": "EUR"}}), 200),
    ]
    .map(|(name, body, status)| (name, (body, status)))
    .into()
}

#[test]
fn nothing_is_made_or_changed_for_another_channel() {
    on_both_idle(|app| async move {
        let (ours, theirs) = two_sides(&app).await;
        let (staff, client) = (limited_to(&app, Audience::Staff, &ours), limited_to(&app, Audience::Client, &ours));
        let (commands, before) = (commands(&theirs), dump(&app).await);
        let is_command =
            |route: &&Route| route.surface != Surface::Store && route.method != "GET" && !route.path.contains('{');
        for route in Route::all().iter().filter(is_command) {
            let name = format!("{} {}", route.method, route.path.strip_prefix(route.surface.prefix()).unwrap());
            let (body, status) = commands.get(name.as_str()).unwrap_or_else(|| panic!("say what {name} may not do"));
            let mut route = route.clone();
            if !body.is_null() {
                route.body = route.body.map(|(kind, _)| (kind, body.to_string()));
            }
            let token = if route.surface == Surface::Ops { &staff } else { &client };
            let answer = route.send(&app, &route.path, &[("Authorization", token)]).await;
            assert_eq!(answer.status, *status, "{name}: {}", answer.text);
            if answer.status == 200 {
                assert_eq!(
                    (&answer.body["failed"], &answer.body["errors"][0]["code"]),
                    (&json!(1), &json!("not_found"))
                );
            }
        }
        let after = dump(&app).await;
        // Returns are numbered before it is known whose they are.
        let same = |(table, rows): &(&String, &Vec<String>)| after[*table] == **rows || *table == "number_ranges";
        let changed: Vec<_> = before.iter().filter(|table| !same(table)).collect();
        assert!(changed.is_empty(), "{changed:#?}");
    });
}

#[test]
fn an_api_key_reaches_no_further_than_its_channels() {
    on_both_idle(|app| async move {
        let (ours, theirs) = two_sides(&app).await;
        let key = json!({"name": "ERP", "scopes": ["feeds:read", "writeback:write", "stock:write", "prices:write"],
            "channels": [ours.shop.channel]});
        let key = app.ops("POST", "/api-keys", Some(&key)).await.expect(201)["key"].as_str().unwrap().to_owned();
        let key = format!("Bearer {key}");
        let send = async |method: &str, path: &str, body: Option<Value>| {
            app.send(method, &format!("/v1/integration{path}"), &[("Authorization", &key)], body.as_ref()).await
        };
        for of in ["external-refs", "shipments", "invoices", "payments", "cancellations", "returns"] {
            let path = format!("/orders/{{ref}}/{of}");
            let is_it = |route: &Route| route.surface == Surface::Integration && route.is("POST", &path);
            let route = Route::all().into_iter().find(is_it).unwrap();
            // By its id, its number, and what a foreign system calls it.
            for order in [&theirs.ids["orders"], &theirs.words[0], &format!("sap:{}", theirs.words[0])] {
                let path = route.path.replace("{ref}", order);
                let answer = route.send(&app, &path, &[("Authorization", &key)]).await;
                answer.problem(404, "not_found");
            }
        }
        let own = json!({"system": "sap", "value": "4711"});
        send("POST", &format!("/orders/{}/external-refs", ours.ids["orders"]), Some(own)).await.expect(201);
        // Alone, as a consumer, and as a table: events of its channel and no others, stock's neither.
        for query in ["", "?consumer=wms", "?format=csv"] {
            let feed = send("GET", &format!("/feeds/all{query}"), None).await;
            assert_eq!((feed.status, told(&feed, &theirs)), (200, Vec::new()), "{query}");
            assert!(feed.text.contains(&ours.ids["orders"]) && !feed.text.contains("stock.adjusted"), "{query}");
        }
        let consumers = send("GET", "/feeds/all/consumers", None).await.expect(200);
        assert_eq!(consumers["items"].as_array().unwrap().len(), 1);
        let level = json!([{"sku": "TEE", "location": "berlin", "on_hand": 1}]);
        send("POST", "/stock-levels", Some(level)).await.problem(403, "scope_missing");
    });
}

/// Somebody who may do everything, at one location only.
fn at(app: &App, usage: Audience, location: &Value) -> String {
    let scopes: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    let mut claims = app.claims(usage, "picker", &scopes.join(" "));
    claims.locations = Some(vec![location.as_str().unwrap().parse().unwrap()]);
    format!("Bearer {}", app.state.verifier.issue(claims).unwrap())
}

#[test]
fn nothing_of_another_location_is_there() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        let bremen = json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin", "priority": 5000});
        let bremen = app.ops("POST", "/locations", Some(&bremen)).await.expect(201)["id"].clone();
        let line = json!({"lines": [{"sku": "TEE", "location": "bremen", "change": 1, "reason": "test"}]});
        app.ops("POST", "/stock/adjustments", Some(&line)).await.expect(200);
        let order = shop.order(&[("TEE", 2)]).await["id"].as_str().unwrap().to_owned();
        let fulfilment = app.ops("GET", &format!("/orders/{order}/fulfilment"), None).await.expect(200);
        let (berlin, fulfilment) = (
            fulfilment["fulfilment_orders"][0]["location_id"].clone(),
            fulfilment["fulfilment_orders"][0]["id"].as_str().unwrap().to_owned(),
        );
        let ship = format!("/fulfilment-orders/{fulfilment}/ship");
        let shipment = app.ops("POST", &ship, Some(&json!({}))).await.expect(201)["id"].as_str().unwrap().to_owned();
        let back = |place: Option<&str>| json!({"order": order, "lines": [{"line_no": 1, "quantity": 1}], "restock": true, "location": place});
        let named = |place: &str| {
            let mut body = back(Some(place));
            body["reference"] = json!("RT-7");
            body
        };
        let returned = app.ops("POST", "/returns", Some(&named("berlin"))).await.expect(201);
        let returned = returned["id"].as_str().unwrap().to_owned();

        let (staff, client) = (at(&app, Audience::Staff, &bremen), at(&app, Audience::Client, &bremen));
        let ops = async |method: &str, path: &str, body: Option<Value>| {
            app.send(method, &format!("/v1/ops{path}"), &[("Authorization", &staff)], body.as_ref()).await
        };
        let berlin_id = berlin.as_str().unwrap();
        let unseen = [
            ("GET", format!("/locations/{berlin_id}"), None),
            ("PATCH", format!("/locations/{berlin_id}"), Some(json!({"active": false}))),
            ("GET", "/stock/levels?location=berlin".to_owned(), None),
            ("GET", "/stock/movements?location=berlin".to_owned(), None),
            ("GET", "/fulfilment-orders?location=berlin".to_owned(), None),
            ("GET", format!("/fulfilment-orders/{fulfilment}"), None),
            ("POST", format!("/fulfilment-orders/{fulfilment}/pick"), Some(json!({}))),
            ("POST", format!("/fulfilment-orders/{fulfilment}/pack"), Some(json!({}))),
            ("POST", ship, Some(json!({}))),
            ("POST", format!("/shipments/{shipment}/deliver"), Some(json!({}))),
            ("POST", format!("/shipments/{shipment}/scans"), Some(json!({"text": "x"}))),
            ("GET", format!("/returns/{returned}"), None),
            // Neither by name nor because the goods had left from there.
            ("POST", "/returns".to_owned(), Some(back(Some("berlin")))),
            ("POST", "/returns".to_owned(), Some(back(None))),
            (
                "POST",
                "/stock/adjustments".to_owned(),
                Some(json!({"lines": [{"sku": "TEE", "location": "berlin", "change": 1, "reason": "x"}]})),
            ),
            (
                "PATCH",
                "/stock/levels".to_owned(),
                Some(json!({"lines": [{"sku": "TEE", "location": "berlin", "safety": 1}]})),
            ),
        ];
        for (method, path, body) in unseen {
            let answer = ops(method, &path, body).await;
            assert!(is(&answer, (404, "not_found")), "{method} {path}: {}", answer.text);
        }
        for path in [
            "/locations",
            "/stock/levels",
            "/stock/movements",
            "/fulfilment-orders?state=shipped",
            "/returns",
            "/jobs/dead",
            "/connectors",
        ] {
            let answer = ops("GET", path, None).await;
            assert_eq!((answer.status, answer.text.contains(berlin_id)), (200, false), "{path}: {}", answer.text);
        }
        let connector = json!({"name": "n", "adapter": "webhook", "settings": {"url": "http://127.0.0.1:9/"}});
        ops("POST", "/connectors", Some(connector)).await.problem(403, "scope_missing");
        // Nor does who repeats what a return is called elsewhere get it.
        let taken = ops("POST", "/returns", Some(named("bremen"))).await;
        assert!(is(&taken, (409, "duplicate")) && !taken.text.contains(&returned), "{}", taken.text);
        let own = ops("POST", "/returns", Some(back(Some("bremen")))).await.expect(201);
        for query in ["count=capped", &format!("count=capped&order={order}")] {
            let list = ops("GET", &format!("/returns?{query}"), None).await.expect(200);
            assert_eq!((&list["count"], &list["items"][0]["id"]), (&json!(1), &own["id"]), "{list}");
        }
        // Those who poll get what is at their location, and what is at none.
        for query in ["", "?consumer=wms"] {
            let path = format!("/v1/integration/feeds/all{query}");
            let feed = app.send("GET", &path, &[("Authorization", &client)], None).await;
            let told = [berlin_id, fulfilment.as_str(), shipment.as_str()].map(|id| feed.text.contains(id));
            assert_eq!((feed.status, told), (200, [false; 3]), "{}", feed.text);
            assert!(feed.text.contains("stock.adjusted") && feed.text.contains(&order));
        }
        let path = "/v1/integration/snapshots/all?limit=200";
        let copied = app.send("GET", path, &[("Authorization", &client)], None).await;
        let told =
            [berlin_id, fulfilment.as_str(), shipment.as_str(), returned.as_str()].map(|id| copied.text.contains(id));
        assert_eq!((copied.status, told), (200, [false; 4]), "{}", copied.text);
        assert!(copied.text.contains(own["id"].as_str().unwrap()) && copied.text.contains(&order));
        let row = |place: &str| json!([{"sku": "TEE", "location": place, "on_hand": 3}]);
        let headers = [("Authorization", client.as_str())];
        let rows = app.send("POST", "/v1/integration/stock-levels", &headers, Some(&row("berlin"))).await;
        rows.problem(404, "not_found");
        app.send("POST", "/v1/integration/stock-levels", &headers, Some(&row("bremen"))).await.expect(200);
    });
}

#[test]
fn who_is_limited_to_a_channel_keeps_stock_where_they_are_limited_to_a_location_too() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        let places = app.ops("GET", "/locations", None).await.expect(200);
        let mut claims = app.claims(Audience::Staff, "keeper", "stock:read stock:write");
        claims.channels = Some(vec![shop.channel.parse().unwrap()]);
        let line = json!({"lines": [{"sku": "TEE", "location": "berlin", "change": 1, "reason": "x"}]});
        let send = async |claims: &kontor::http::auth::Claims| {
            let token = format!("Bearer {}", app.state.verifier.issue(claims.clone()).unwrap());
            let movements = app.send("GET", "/v1/ops/stock/movements", &[("Authorization", &token)], None).await;
            // An order behind a movement may be of any channel.
            assert!(!movements.text.contains("reference"), "{}", movements.text);
            app.send("POST", "/v1/ops/stock/adjustments", &[("Authorization", &token)], Some(&line)).await
        };
        shop.order(&[("TEE", 1)]).await;
        send(&claims).await.problem(403, "scope_missing");
        claims.locations = Some(vec![places["items"][0]["id"].as_str().unwrap().parse().unwrap()]);
        send(&claims).await.expect(200);
        app.leaves_work();
    });
}
