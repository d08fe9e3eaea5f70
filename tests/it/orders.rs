//! An order as its shopper sees it, what staff call it by, and who has heard of it.

use kontor::{events, http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, eventually, on_both, shop};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// A signed-in customer at the storefront.
struct Customer<'a> {
    shop: &'a Shop,
    token: String,
}

impl<'a> Customer<'a> {
    fn new(shop: &'a Shop, subject: &str) -> Self {
        let claims = shop.app.claims(Audience::Customer, subject, "");
        Self { shop, token: format!("Bearer {}", shop.app.state.verifier.issue(claims).unwrap()) }
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let headers = [("Channel-Key", self.shop.key.as_str()), ("Authorization", self.token.as_str())];
        self.shop.app.send(method, &format!("/v1/store{path}"), &headers, body).await
    }

    async fn order(&self) -> Value {
        let cart = json!({
            "lines": [{"sku": "TEE", "quantity": 1}], "email": "eve@example.org", "shipping_method": "standard",
            "shipping_address": shop::address(),
        });
        let cart = self.send("POST", "/carts", Some(&cart)).await.expect(201);
        let path = format!("/carts/{}/complete", text(&cart["id"]));
        let done = self.send("POST", &path, Some(&json!({"payment": {"method": "manual"}}))).await;
        done.expect(201)["order"].clone()
    }
}

#[test]
fn a_guest_opens_their_order_by_token_or_link_and_sees_what_is_theirs() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        let done = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        let path = format!("/orders/{}", text(&done["id"]));
        let named = json!({"system": "sap", "value": "4500017"});
        let erp = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::WritebackWrite]));
        let external = format!("/v1/integration{path}/external-refs");
        app.send("POST", &external, &[("Authorization", &erp)], Some(&named)).await.expect(201);
        let link = text(&done["link"]["url"]).strip_prefix("/v1/store").unwrap().to_owned();
        for order in [
            shop.store("GET", &path, Some(&cart.token), None).await.expect(200),
            shop.store("GET", &link, None, None).await.expect(200),
            shop.complete(&cart, "approve").await.expect(201)["order"].clone(),
        ] {
            assert_eq!((&order["number"], &order["email"]), (&done["number"], &json!("ada@example.org")));
            assert_eq!((&order["external_refs"], &order["actions"]), (&json!([]), &json!([])), "{order}");
            assert!(order["payments"][0].get("provider_ref").is_none(), "{order}");
            assert!(!order.to_string().contains("passed_over"), "{order}");
            assert_eq!(order["lines"][0]["explanation"][0]["text"], "19.90 EUR by the price list");
            assert!(!order.to_string().contains("list base"), "{order}");
            assert_eq!(
                (&order["shipping"]["code"], &order["shipping"]["name"]),
                (&json!("standard"), &json!("Parcel"))
            );
        }
        let staff = app.ops("GET", &path, None).await.expect(200);
        assert_eq!((&staff["external_refs"][0]["value"], &staff["link"]), (&json!("4500017"), &Value::Null));
        assert!(text(&staff["payments"][0]["provider_ref"]).starts_with("sbx_"));
        assert_eq!(staff["lines"][0]["explanation"][0]["text"], "list base, from 1: 19.90 EUR");

        // Nobody else: another guest, another order's link, a link that was changed.
        let other = shop.order(&[("TEE", 1)]).await;
        let stranger = shop.cart(&[("TEE", 1)]).await;
        shop.store("GET", &path, None, None).await.problem(404, "not_found");
        shop.store("GET", &path, Some(&stranger.token), None).await.problem(404, "not_found");
        let token = text(&other["link"]["token"]);
        shop.store("GET", &format!("{path}?token={token}"), None, None).await.problem(404, "not_found");
        let longer = link.replacen("token=", "token=9", 1);
        shop.store("GET", &longer, None, None).await.problem(404, "not_found");
        // Thirty days, and not a day longer.
        app.clock.advance_seconds(30 * 86_400 + 1);
        shop.store("GET", &link, None, None).await.problem(401, "token_expired");
        shop.store("GET", &path, Some(&cart.token), None).await.expect(200);
    });
}

#[test]
fn an_orders_link_leads_to_the_storefronts_page() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let before = shop.order(&[("TEE", 1)]).await;
        assert!(text(&before["link"]["url"]).starts_with("/v1/store/orders/"));
        shop.set_pages(
            "https://shop.example/recover?cart={cart}&token={token}",
            "https://shop.example/orders/{order}#{token}",
        )
        .await;
        let eve = Customer::new(&shop, "eve");
        let bought = eve.order().await;
        let path = format!("/orders/{}", text(&bought["id"]));
        let known = json!({"number": bought["number"], "email": "eve@example.org", "postcode": "10115"});
        let looked_up = shop.store("POST", "/orders/lookup", None, Some(&known)).await.expect(200)["order"].clone();
        let listed = eve.send("GET", "/me/orders", None).await.expect(200)["items"][0].clone();
        for order in [bought.clone(), eve.send("GET", &path, None).await.expect(200), looked_up, listed] {
            let (url, token) = (text(&order["link"]["url"]), text(&order["link"]["token"]));
            assert_eq!(url, format!("https://shop.example/orders/{}#{token}", text(&order["id"])));
            // What the page reads with it.
            let read = shop.store("GET", &format!("{path}?token={token}"), None, None).await.expect(200);
            assert_eq!(read["number"], bought["number"]);
        }
    });
}

#[test]
fn an_order_is_looked_up_by_who_knows_all_three_and_seldom_enough() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let eve = Customer::new(&shop, "eve");
        let order = eve.order().await;
        let number = text(&order["number"]);
        let look = async |number: &str, email: &str, postcode: &str| {
            let body = json!({"number": number, "email": email, "postcode": postcode});
            shop.store("POST", "/orders/lookup", None, Some(&body)).await
        };
        let found = look(number, "EVE@example.org", " 10 115").await.expect(200);
        assert_eq!((&found["order"]["id"], &found["order"]["actions"]), (&order["id"], &json!([])));
        // Its token opens a customer's order too, for whoever has looked it up.
        let path = format!("/orders/{}?token={}", text(&order["id"]), text(&found["token"]));
        assert_eq!(shop.store("GET", &path, None, None).await.expect(200)["number"], order["number"]);
        // What does not fit is told alike, whichever it is.
        let mut told = Vec::new();
        for (number, email, postcode) in [
            (number, "eve@example.org", "10116"),
            (number, "eva@example.org", "10115"),
            ("999999", "eve@example.org", "10115"),
        ] {
            let mut problem = look(number, email, postcode).await.problem(404, "not_found");
            problem.as_object_mut().unwrap().remove("request_id");
            told.push(problem);
        }
        assert!(told.windows(2).all(|two| two[0] == two[1]), "{told:?}");
        let mut last = look(number, "eva@example.org", "10115").await;
        for _ in 0..20 {
            last = look(number, "eva@example.org", "10115").await;
        }
        assert!(last.header("Retry-After").is_some());
        last.problem(429, "rate_limited");
    });
}

#[test]
fn customers_see_their_own_orders() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let (eve, bob) = (Customer::new(&shop, "eve"), Customer::new(&shop, "bob"));
        let mut own = Vec::new();
        for _ in 0..3 {
            app.clock.advance_seconds(60);
            own.push(text(&eve.order().await["id"]).to_owned());
        }
        let foreign = bob.order().await;
        own.reverse();
        let first = eve.send("GET", "/me/orders?limit=2", None).await.expect(200);
        let path = format!("/me/orders?limit=2&cursor={}", text(&first["next_cursor"]));
        let rest = eve.send("GET", &path, None).await.expect(200);
        let pages = [first["items"].as_array().unwrap().clone(), rest["items"].as_array().unwrap().clone()].concat();
        let ids: Vec<&str> = pages.iter().map(|order| text(&order["id"])).collect();
        assert_eq!((ids, &rest["next_cursor"]), (own.iter().map(String::as_str).collect(), &Value::Null));
        assert!(pages.iter().all(|order| order["actions"] == json!([]) && order["link"].is_object()));
        // A page of whole documents is small, and more is refused rather than passed over.
        let counted = eve.send("GET", "/me/orders?limit=20&count=capped", None).await.expect(200);
        assert_eq!((counted["items"].as_array().unwrap().len(), &counted["count"]), (3, &json!(3)));
        assert_eq!(first["count"], Value::Null);
        for wrong in [0, 21, 200] {
            let path = format!("/me/orders?limit={wrong}");
            assert_eq!(eve.send("GET", &path, None).await.problem(400, "invalid_query")["pointer"], "limit");
        }
        let path = format!("/orders/{}", text(&foreign["id"]));
        eve.send("GET", &path, None).await.problem(404, "not_found");
        bob.send("GET", &path, None).await.expect(200);
        shop.store("GET", "/me/orders", None, None).await.problem(401, "unauthenticated");
        let nobody = Customer::new(&shop, "zoe");
        let none = nobody.send("GET", "/me/orders?count=capped", None).await.expect(200);
        assert_eq!((&none["items"], &none["count"]), (&json!([]), &json!(0)));
    });
}

#[test]
fn a_reference_that_stands_for_several_orders_is_refused_with_their_numbers() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let mut ids = Vec::new();
        for system in ["sap", "dhl", "wms"] {
            let order = shop.order(&[("TEE", 1)]).await;
            let erp = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::WritebackWrite]));
            // Two systems call an order so, the third a document of it.
            let kind = if system == "wms" { "picking-list" } else { "order" };
            let named = json!({"system": system, "kind": kind, "value": "4711"});
            let path = format!("/v1/integration/orders/{}/external-refs", text(&order["id"]));
            app.send("POST", &path, &[("Authorization", &erp)], Some(&named)).await.expect(201);
            ids.push((text(&order["id"]).to_owned(), text(&order["number"]).to_owned()));
        }
        let problem = app.ops("GET", "/orders/4711", None).await.problem(409, "reference_ambiguous");
        let mut numbers: Vec<&str> =
            problem["candidates"].as_array().unwrap().iter().map(|one| text(&one["number"])).collect();
        numbers.sort_unstable();
        let mut wanted = vec![ids[0].1.as_str(), ids[1].1.as_str()];
        wanted.sort_unstable();
        assert_eq!(numbers, wanted);
        for (place, reference) in ["sap:4711", "dhl:4711", "wms:4711"].iter().enumerate() {
            let found = app.ops("GET", &format!("/orders/{reference}"), None).await.expect(200);
            assert_eq!(text(&found["id"]), ids[place].0);
        }
        // Whoever does not see the channel does not learn that there is anything.
        let mut claims = app.claims(Audience::Staff, "eve", "orders:read");
        claims.channels = Some(vec!["chan_01h455vb4pex5vsknk084sn02q".parse().unwrap()]);
        let eve = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        for reference in ["4711", "sap:4711", ids[0].0.as_str(), ids[0].1.as_str()] {
            let path = format!("/v1/ops/orders/{reference}");
            app.send("GET", &path, &[("Authorization", &eve)], None).await.problem(404, "not_found");
        }
    });
}

#[test]
fn a_system_may_have_a_colon_in_its_name() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let erp = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::WritebackWrite]));
        let mut ids = Vec::new();
        for (system, value) in [("sap:eu", "4711"), ("sap:eu:north", "A:1"), ("sap:eu", "north:A:1")] {
            let order = shop.order(&[("TEE", 1)]).await;
            let path = format!("/v1/integration/orders/{}/external-refs", text(&order["id"]));
            let named = json!({"system": system, "value": value});
            app.send("POST", &path, &[("Authorization", &erp)], Some(&named)).await.expect(201);
            ids.push((text(&order["id"]).to_owned(), text(&order["number"]).to_owned()));
        }
        for (reference, place) in [("sap:eu:4711", 0), ("A:1", 1), ("north:A:1", 2)] {
            let found = app.ops("GET", &format!("/orders/{reference}"), None).await.expect(200);
            assert_eq!(text(&found["id"]), ids[place].0, "{reference}");
        }
        // Where that stands for two, both are told.
        let problem = app.ops("GET", "/orders/sap:eu:north:A:1", None).await.problem(409, "reference_ambiguous");
        let mut numbers: Vec<&str> =
            problem["candidates"].as_array().unwrap().iter().map(|one| text(&one["number"])).collect();
        numbers.sort_unstable();
        let mut wanted = vec![ids[1].1.as_str(), ids[2].1.as_str()];
        wanted.sort_unstable();
        assert_eq!(numbers, wanted);
        for reference in ["sap:4711", "eu:4711", ":4711", "sap:eu:", "::"] {
            app.ops("GET", &format!("/orders/{reference}"), None).await.problem(404, "not_found");
        }
    });
}

#[test]
fn a_status_tells_what_foreign_systems_call_the_order_and_no_parcels_of_ours() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let order = shop.order(&[("TEE", 1)]).await;
        let path = format!("/orders/{}", text(&order["id"]));
        let erp = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::WritebackWrite]));
        let named = json!({"system": "sap", "value": "4711"});
        let refs = format!("/v1/integration{path}/external-refs");
        app.send("POST", &refs, &[("Authorization", &erp)], Some(&named)).await.expect(201);
        let found = app.ops("GET", &format!("{path}/fulfilment"), None).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&found["fulfilment_orders"][0]["id"]));
        let parcel = json!({"carrier": "DHL", "tracking_number": "00340434161094042557"});
        app.ops("POST", &ship, Some(&parcel)).await.expect(201);
        let status = app.ops("GET", &format!("{path}/status"), None).await.expect(200);
        assert_eq!(status["external_refs"], json!([{"system": "sap", "kind": "order", "value": "4711"}]));
        assert_eq!(status["parcels"][0]["tracking_number"], "00340434161094042557");
        // The parcel's number still leads to the order.
        let found = app.ops("GET", "/orders?tracking=00340434161094042557", None).await.expect(200);
        assert_eq!(found["items"][0]["id"], order["id"]);
    });
}

#[test]
fn a_caller_is_found_by_the_number_they_call_from() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        // At the address stands +49 30 1234567.
        let order = shop.order(&[("TEE", 1)]).await;
        for number in ["%2B49%2030%201234567", "030%20%2F%20123%2045%2067", "0049301234567", "%2B49%20(0)30-1234567"] {
            for query in ["phone", "q"] {
                let found = app.ops("GET", &format!("/orders?{query}={number}"), None).await.expect(200);
                assert_eq!(found["items"][0]["id"], order["id"], "{query} {number}");
            }
        }
        let none = app.ops("GET", "/orders?phone=030%207654321", None).await.expect(200);
        assert_eq!(none["items"], json!([]));
    });
}

async fn feed(app: &App, path: &str, body: Option<&Value>) -> Value {
    let token = format!("Bearer {}", app.token(Audience::Client, "wms", &[Scope::FeedsRead]));
    let method = if body.is_some() { "POST" } else { "GET" };
    let path = format!("/v1/integration/feeds/fulfilments{path}");
    app.send(method, &path, &[("Authorization", &token)], body).await.expect(200)
}

#[test]
fn a_warehouse_hears_of_new_work_and_of_work_that_is_off() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let order = shop.order(&[("TEE", 3)]).await;
        let cancel = format!("/orders/{}/cancel", text(&order["id"]));
        let one = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "one too many"});
        app.ops("POST", &cancel, Some(&one)).await.expect(200);
        app.ops("POST", &cancel, Some(&json!({"reason": "all of it"}))).await.expect(200);
        app.state.db.write(events::number).await.unwrap();
        let page = feed(&app, "", None).await;
        let items = page["items"].as_array().unwrap();
        let told: Vec<(&str, &str)> =
            items.iter().map(|item| (text(&item["type"]), text(&item["data"]["state"]))).collect();
        let off = "fulfilment_order.cancelled.v1";
        assert_eq!(told, [("fulfilment_order.opened.v1", "open"), (off, "open"), (off, "cancelled")]);
        let work = &items[0]["data"];
        assert_eq!((text(&work["order_number"]), &work["lines"][0]["quantity"]), (text(&order["number"]), &json!(3)));
        assert_eq!((&work["ship_to"]["name"], &work["shipping_method"]), (&json!("Ada Lovelace"), &json!("standard")));
        let moved = |item: &Value| item["data"]["moved"][0]["quantity"].as_i64();
        assert_eq!((moved(&items[1]), moved(&items[2])), (Some(1), Some(2)));
        // Where it goes is personal: it stands apart from the rest.
        let query =
            "SELECT count(*) FROM events WHERE type LIKE 'fulfilment_order.%' AND CAST(data AS TEXT) LIKE '%Lovelace%'";
        let open = app.read(move |tx| kontor::db::sql(query).first::<diesel::sql_types::BigInt, i64>(tx)).await;
        assert_eq!(open, Some(0));
    });
}

#[test]
fn the_status_tells_who_has_not_heard_of_the_order_yet() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let connector = json!({"name": "ERP", "adapter": "webhook", "settings": {"url": "http://127.0.0.1:9/"}, "types": ["order."]});
        let connector = app.ops("POST", "/connectors", Some(&connector)).await.expect(201);
        let path = format!("/connectors/{}", text(&connector["id"]));
        app.ops("PATCH", &path, Some(&json!({"state": "paused"}))).await.expect(200);
        let order = shop.order(&[("TEE", 1)]).await;
        app.state.db.write(events::number).await.unwrap();
        feed(&app, "?consumer=wms", None).await;
        let status = async || {
            let path = format!("/orders/{}/status", text(&order["id"]));
            app.ops("GET", &path, None).await.expect(200)
        };
        let seen = status().await;
        let of = |status: &Value, name: &str| {
            status["lag"].as_array().unwrap().iter().find(|lag| lag["name"] == name).unwrap().clone()
        };
        let (erp, wms) = (of(&seen, "ERP"), of(&seen, "wms"));
        assert_eq!(
            (&erp["kind"], &erp["events"], &erp["since"]),
            (&json!("connector"), &json!(1), &seen["waiting"][0]["since"])
        );
        assert_eq!((&wms["kind"], &wms["events"]), (&json!("consumer"), &json!(1)), "it has it in hand");
        assert!(text(&seen["sentence"]).contains("ERP has not heard of 1 of its events since 2026-03-02"), "{seen}");
        app.clock.advance_seconds(3600);
        let page = feed(&app, "?consumer=wms", None).await;
        feed(&app, "/ack", Some(&json!({"consumer": "wms", "lease": page["lease"]}))).await;
        eventually("the feed has it", || async { of(&status().await, "wms")["events"] == 0 }).await;
        assert!(of(&status().await, "wms").get("since").is_none());
    });
}

#[test]
fn what_an_order_waits_for_is_counted_from_its_beginning() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let order = shop.order(&[("TEE", 4)]).await;
        let path = format!("/orders/{}", text(&order["id"]));
        let found = app.ops("GET", &format!("{path}/fulfilment"), None).await.expect(200);
        let id = text(&found["fulfilment_orders"][0]["id"]).to_owned();
        let begun = app.now();
        let step = async |command: &str, quantity: i64| {
            app.clock.advance_seconds(3600);
            let body = json!({"lines": [{"line_no": 1, "quantity": quantity}]});
            let path = format!("/fulfilment-orders/{id}/{command}");
            let answer = app.ops("POST", &path, Some(&body)).await;
            assert!(answer.status < 300, "{}", answer.text);
            let status = app.ops("GET", &format!("/orders/{}/status", text(&order["id"])), None).await.expect(200);
            let waiting = status["waiting"].as_array().unwrap().iter().find(|one| one["for"] != "delivery").unwrap();
            (text(&waiting["for"]).to_owned(), text(&waiting["since"]).to_owned())
        };
        let at = |hours: i64| begun.plus_seconds(3600 * hours).to_string();
        assert_eq!(step("pick", 1).await, ("picking".to_owned(), at(0)));
        assert_eq!(step("ship", 1).await, ("picking".to_owned(), at(0)));
        assert_eq!(step("pick", 2).await, ("picking".to_owned(), at(0)));
        assert_eq!(step("pick", 1).await, ("packing".to_owned(), at(2)));
        let detail = app.ops("GET", &format!("/fulfilment-orders/{id}"), None).await.expect(200);
        let allowed: Vec<(&str, bool)> = detail["actions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|action| (text(&action["command"]), action["allowed"].as_bool().unwrap()))
            .collect();
        assert_eq!(allowed[..3], [("pick", false), ("pack", true), ("ship", true)]);
        let parcel = found_parcel(&app, &path).await;
        let shown = app.ops("GET", &format!("/shipments/{parcel}"), None).await.expect(200);
        assert_eq!((&shown["state"], &shown["actions"][1]["allowed"]), (&json!("shipped"), &json!(true)));
        app.ops("POST", &format!("/shipments/{parcel}/deliver"), Some(&json!({}))).await.expect(200);
        let shown = app.ops("GET", &format!("/shipments/{parcel}"), None).await.expect(200);
        assert_eq!(
            (&shown["actions"][1]["command"], &shown["actions"][1]["allowed"]),
            (&json!("deliver"), &json!(false))
        );
    });
}

async fn found_parcel(app: &App, order: &str) -> String {
    let found = app.ops("GET", &format!("{order}/fulfilment"), None).await.expect(200);
    text(&found["shipments"][0]["id"]).to_owned()
}

/// The types of events that a source file names.
fn kinds(folder: &std::path::Path, found: &mut std::collections::BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            kinds(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            for literal in source.split('"').skip(1).step_by(2) {
                let is_version = literal.rsplit_once(".v").is_some_and(|(_, version)| version.parse::<u8>().is_ok());
                if is_version
                    && literal.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c))
                {
                    found.insert(literal.to_owned());
                }
            }
        }
    }
}

#[test]
fn every_type_of_event_has_a_schema() {
    let mut named = std::collections::BTreeSet::new();
    kinds(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut named);
    // Sent to try a connector out; it is never in the log.
    named.remove("kontor.ping.v1");
    let known: std::collections::BTreeSet<String> =
        kontor::api::event_schemas().iter().map(|schema| schema.kind.to_owned()).collect();
    assert_eq!(named, known);
}
