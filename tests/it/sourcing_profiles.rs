//! Sourcing profiles: written as drafts, tried out, put into force; and what the orders placed by them tell.

use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

/// A location beside the shop's own, with goods.
async fn place(app: &App, code: &str, more: Value, goods: &[(&str, i64)]) -> String {
    let mut new = json!({"code": code, "name": code, "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
    for (name, value) in more.as_object().unwrap() {
        new[name] = value.clone();
    }
    let made = app.ops("POST", "/locations", Some(&new)).await.expect(201);
    for (sku, change) in goods {
        let line = json!({"sku": sku, "location": code, "change": change, "reason": "test"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
    }
    text(&made["id"])
}

async fn berlin(app: &App, change: Value) {
    let locations = app.ops("GET", "/locations", None).await.expect(200);
    let found = locations["items"].as_array().unwrap().iter().find(|one| one["code"] == "berlin").unwrap();
    app.ops("PATCH", &format!("/locations/{}", text(&found["id"])), Some(&change)).await.expect(200);
}

fn at(latitude: &str, longitude: &str) -> Value {
    json!({"latitude": latitude, "longitude": longitude})
}

/// Where from, and how many: sorted.
fn from(simulated: &Value) -> Vec<(i64, String, i64)> {
    let share =
        |one: &Value| (one["line_no"].as_i64().unwrap(), text(&one["location"]), one["quantity"].as_i64().unwrap());
    let mut shares: Vec<_> = simulated["shares"].as_array().unwrap().iter().map(share).collect();
    shares.sort();
    shares
}

fn row(line: i64, location: &str, quantity: i64) -> (i64, String, i64) {
    (line, location.to_owned(), quantity)
}

/// Why each location ships a line or does not, in the order of the trace.
fn why(traces: &Value, line: i64) -> Vec<(String, String)> {
    let traces = traces.as_array().unwrap();
    let trace = traces.iter().find(|one| one["line_no"] == line).unwrap_or_else(|| panic!("{traces:?}"));
    trace["looked_at"].as_array().unwrap().iter().map(|one| (text(&one["location"]), text(&one["why"]))).collect()
}

fn because(location: &str, why: &str) -> (String, String) {
    (location.to_owned(), why.to_owned())
}

fn request(shop: &Shop, lines: &[(&str, i64)], more: Value) -> Value {
    let lines: Vec<Value> = lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
    let mut request = json!({"channel_id": shop.channel, "country": "DE", "postcode": "28195", "lines": lines});
    for (name, value) in more.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

async fn simulate(shop: &Shop, lines: &[(&str, i64)], more: Value) -> Value {
    shop.app.ops("POST", "/sourcing/simulate", Some(&request(shop, lines, more))).await.expect(200)
}

fn rules(strategies: Value) -> Value {
    json!({"document": {"strategies": strategies}})
}

async fn made(app: &App, code: &str, document: &Value) -> Value {
    app.ops("POST", "/sourcing/profiles", Some(&json!({"code": code, "document": document}))).await.expect(201)
}

async fn activate(app: &App, profile: &Value) -> Value {
    let path = format!("/sourcing/profiles/{}/activate", text(&profile["id"]));
    app.ops("POST", &path, None).await.expect(200)
}

async fn fulfilment(app: &App, order: &Value) -> Value {
    app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200)
}

#[test]
fn a_profile_is_drafted_tried_out_and_put_into_force_and_the_order_keeps_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10), ("MUG", "9.90", 10)]).await;
        place(&app, "bremen", json!({"priority": 300}), &[("TEE", 5), ("MUG", 5)]).await;
        // Without a profile the first location that is asked ships.
        assert_eq!(from(&simulate(&shop, &[("TEE", 2)], json!({})).await), [row(1, "berlin", 2)]);
        let only_bremen = json!({"strategies": [{"name": "north", "filters": {"locations": ["bremen"]}}]});
        let draft = made(&app, "north", &only_bremen).await;
        assert_eq!((&draft["state"], &draft["version"]), (&json!("draft"), &json!(1)));
        let tried = simulate(&shop, &[("TEE", 2), ("MUG", 1)], json!({"profile_id": draft["id"]})).await;
        assert_eq!(from(&tried), [row(1, "bremen", 2), row(2, "bremen", 1)]);
        assert_eq!(why(&tried["sourcing"], 1), [because("bremen", "best_score"), because("berlin", "not_named")]);
        // A draft places nothing.
        let before = shop.order(&[("TEE", 1)]).await;
        assert!(fulfilment(&app, &before).await.get("sourcing").is_none_or(|one| one == &json!([])));
        activate(&app, &draft).await;
        let live = || async { from(&simulate(&shop, &[("TEE", 2)], json!({})).await) == [row(1, "bremen", 2)] };
        eventually("the profile is in force", live).await;
        let order = shop.order(&[("TEE", 2)]).await;
        let found = fulfilment(&app, &order).await;
        assert_eq!(found["fulfilment_orders"].as_array().unwrap().len(), 1);
        assert_eq!(why(&found["sourcing"], 1), [because("bremen", "best_score"), because("berlin", "not_named")]);
        let profile = json!({"code": "north", "version": 1, "strategy": "north"});
        assert_eq!(found["sourcing"][0]["profile"], profile);
        assert!(found["sourcing"][0]["looked_at"][0]["points"]["total"].is_i64(), "{found}");
        // What is more than it has there falls back to the usual way, and says so.
        let large = shop.order(&[("TEE", 4)]).await;
        let found = fulfilment(&app, &large).await;
        assert_eq!(why(&found["sourcing"], 1)[0], because("berlin", "whole_order"));
        assert_eq!(found["sourcing"][0]["profile"], json!({"code": "north", "version": 1, "fallback": "usual"}));
        // The next version replaces it, and the first can come back.
        let second = made(&app, "north", &json!({"strategies": [{"name": "any"}]})).await;
        assert_eq!(second["version"], 2);
        activate(&app, &second).await;
        let path = format!("/sourcing/profiles/{}", text(&draft["id"]));
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["state"], "retired");
        activate(&app, &draft).await;
        let listed = app.ops("GET", "/sourcing/profiles?code=north", None).await.expect(200);
        let states: Vec<_> = listed["items"].as_array().unwrap().iter().map(|one| text(&one["state"])).collect();
        assert_eq!(states, ["retired", "live"]);
        let retire = format!("{path}/retire");
        app.ops("POST", &retire, None).await.expect(200);
        app.ops("POST", &retire, None).await.problem(409, "state_conflict");
        let usual = || async { from(&simulate(&shop, &[("TEE", 2)], json!({})).await) == [row(1, "berlin", 2)] };
        eventually("the usual way is back", usual).await;
    });
}

#[test]
fn strategies_choose_by_distance_cost_parcels_balance_date_and_priority() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10), ("MUG", "9.90", 10)]).await;
        berlin(&app, json!({"position": at("52.52", "13.405")})).await;
        place(&app, "bremen", json!({"position": at("53.0793", "8.8017")}), &[("TEE", 100)]).await;
        place(
            &app,
            "munich",
            json!({"position": at("48.1374", "11.5755"), "priority": 1, "handling_days": 3}),
            &[("TEE", 4), ("MUG", 4)],
        )
        .await;
        let destinations = json!([
            {"country": "DE", "position": at("51.1", "10.4")},
            {"country": "DE", "postcode": "28", "position": at("53.07", "8.8")},
            {"country": "DE", "postcode": "80", "position": at("48.1", "11.5")},
        ]);
        let rates = json!([
            {"location": "munich", "price": {"amount": "3.00", "currency": "EUR"}},
            {"countries": ["DE"], "price": {"amount": "4.00", "currency": "EUR"},
             "per_kg": {"amount": "1.00", "currency": "EUR"}},
        ]);
        let nothing = json!({"parcels": 0, "priority": 0, "backorder": 0});
        let weighing = |weight: &str| {
            let mut weights = nothing.clone();
            weights[weight] = json!(10);
            json!({"document": {"strategies": [{"name": "one", "weights": weights}],
                "destinations": destinations, "rates": rates}})
        };
        let tee = [("TEE", 2)];
        for (weight, expected) in
            [("distance", "bremen"), ("cost", "munich"), ("priority", "munich"), ("balance", "bremen")]
        {
            assert_eq!(from(&simulate(&shop, &tee, weighing(weight)).await), [row(1, expected, 2)], "{weight}");
        }
        let mut to_munich = weighing("distance");
        to_munich["postcode"] = json!("80331");
        assert_eq!(from(&simulate(&shop, &tee, to_munich).await), [row(1, "munich", 2)]);
        assert_eq!(from(&simulate(&shop, &tee, weighing("date")).await), [row(1, "berlin", 2)]);
        // Fewest parcels: both from one place, though the mugs' is farther.
        let both = [("TEE", 2), ("MUG", 1)];
        let parcels = simulate(&shop, &both, weighing("parcels")).await;
        assert_eq!((&parcels["parcels"], from(&parcels)[0].1 == from(&parcels)[1].1), (&json!(1), true));
        let apart = simulate(&shop, &both, weighing("distance")).await;
        assert_eq!(from(&apart)[0], row(1, "berlin", 2), "one way of 300 km is less than two: {apart}");
        // Limits and filters.
        let filtered = |filters: Value, limits: Value| {
            json!({"document": {"strategies": [{"name": "one", "filters": filters, "limits": limits}],
                "destinations": destinations, "fallback": {"then": "refuse"}}})
        };
        let near = simulate(&shop, &tee, filtered(json!({"max_distance_km": 200}), json!({}))).await;
        assert_eq!(from(&near), [row(1, "bremen", 2)]);
        assert!(why(&near["sourcing"], 1).contains(&because("munich", "too_far")), "{near}");
        let whole = simulate(&shop, &[("TEE", 105)], filtered(json!({}), json!({"divide_lines": false}))).await;
        assert_eq!((&whole["planned"], &whole["refusal"]["code"]), (&json!(false), &json!("out_of_stock")));
        let divided = simulate(&shop, &[("TEE", 105)], filtered(json!({}), json!({}))).await;
        assert_eq!(divided["parcels"], 2);
        let one = filtered(json!({"except": ["berlin"]}), json!({"ship_complete": true}));
        assert_eq!(
            from(&simulate(&shop, &[("TEE", 3), ("MUG", 4)], one).await),
            [row(1, "munich", 3), row(2, "munich", 4)]
        );
        let without = json!({"without": ["berlin"], "document": {"strategies": [{"name": "one"}]}});
        let without = simulate(&shop, &tee, without).await;
        assert_eq!((&without["shares"][0]["location"], why(&without["sourcing"], 1).len()), (&json!("munich"), 3));
        assert!(why(&without["sourcing"], 1).contains(&because("berlin", "excluded")));
    });
}

#[test]
fn conditions_say_which_orders_a_strategy_is_for() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 100)]).await;
        for code in ["heavy", "dear", "vip", "gift", "austria", "rest"] {
            place(&app, code, json!({}), &[("TEE", 100)]).await;
        }
        let only = |name: &str, when: Value| json!({"name": name, "when": when, "filters": {"locations": [name]}});
        let strategies = json!([
            only("heavy", json!({"min_weight_grams": 5000})),
            only("dear", json!({"min_value": {"amount": "100", "currency": "EUR"}})),
            only("vip", json!({"customer_groups": ["vip"]})),
            only("gift", json!({"tags": ["gift", "urgent"]})),
            only("austria", json!({"countries": ["AT"], "channels": [shop.channel]})),
            only("rest", json!({})),
        ]);
        let by = |quantity: i64, more: Value| {
            let (shop, mut request) = (shop.clone(), rules(strategies.clone()));
            for (name, value) in more.as_object().unwrap() {
                request[name] = value.clone();
            }
            async move { from(&simulate(&shop, &[("TEE", quantity)], request).await)[0].1.clone() }
        };
        assert_eq!(by(50, json!({})).await, "heavy");
        assert_eq!(by(49, json!({})).await, "rest");
        assert_eq!(by(1, json!({"value": {"amount": "100", "currency": "EUR"}})).await, "dear");
        assert_eq!(by(1, json!({"value": {"amount": "99.99", "currency": "EUR"}})).await, "rest");
        assert_eq!(by(1, json!({"value": {"amount": "100", "currency": "USD"}})).await, "rest");
        assert_eq!(by(1, json!({"customer_group": "vip"})).await, "vip");
        assert_eq!(by(1, json!({"tags": ["urgent"]})).await, "gift");
        assert_eq!(by(1, json!({"country": "AT"})).await, "austria");
    });
}

#[test]
fn a_cart_is_sourced_by_its_tags_and_its_customers_group_and_its_metadata_keep_lines_together() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10), ("MUG", "9.90", 0)]).await;
        place(&app, "bremen", json!({}), &[("TEE", 5), ("MUG", 5)]).await;
        let document = json!({"strategies": [
            {"name": "sets", "when": {"tags": ["set"]}, "weights": {"parcels": 0, "priority": 0, "balance": 10},
             "limits": {"together": "set"}},
            {"name": "rest", "weights": {"parcels": 0, "priority": 0, "balance": 10}},
        ]});
        activate(&app, &made(&app, "sets", &document).await).await;
        let live = || async {
            let simulated = simulate(&shop, &[("TEE", 1)], json!({})).await;
            simulated["sourcing"][0]["profile"]["code"] == "sets"
        };
        eventually("the profile is in force", live).await;
        let ordered = async |tags: Value, mark: Value| {
            let lines = json!([
                {"sku": "TEE", "quantity": 1, "metadata": mark}, {"sku": "MUG", "quantity": 1, "metadata": mark}
            ]);
            let cart = json!({"lines": lines, "email": "ada@example.org", "shipping_method": "standard",
                "shipping_address": crate::support::shop::address(), "metadata": {"tags": tags}});
            let cart = shop.store("POST", "/carts", None, Some(&cart)).await.expect(201);
            let (path, token) = (format!("/carts/{}/complete", text(&cart["id"])), text(&cart["token"]));
            let pay = json!({"payment": {"method": "manual"}});
            let order = shop.store("POST", &path, Some(&token), Some(&pay)).await.expect(201)["order"].clone();
            fulfilment(&app, &order).await
        };
        let apart = ordered(json!([]), json!({})).await;
        assert_eq!(apart["fulfilment_orders"].as_array().unwrap().len(), 2, "{apart}");
        assert_eq!(apart["sourcing"][0]["profile"]["strategy"], "rest");
        let kept = ordered(json!(["set"]), json!({"set": "a"})).await;
        assert_eq!(kept["fulfilment_orders"].as_array().unwrap().len(), 1, "{kept}");
        assert_eq!(kept["sourcing"][0]["profile"]["strategy"], "sets");
    });
}

#[test]
fn a_fallback_ships_from_a_supplier_lets_wait_or_refuses() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 3), ("MUG", "9.90", 3)]).await;
        place(&app, "supplier", json!({"kind": "supplier"}), &[]).await;
        let variants = app.ops("GET", "/variants?sku=MUG", None).await.expect(200);
        let path = format!("/variants/{}", text(&variants["items"][0]["id"]));
        app.ops("PATCH", &path, Some(&json!({"backorder_policy": "allow"}))).await.expect(200);
        let with = |fallback: Value| {
            json!({"document": {"fallback": fallback, "strategies": [
                {"name": "complete", "filters": {"kinds": ["warehouse"]}, "limits": {"ship_complete": true}}]}})
        };
        let lines = [("TEE", 2), ("MUG", 5)];
        let supplier = json!({"then": "drop_ship", "location": "supplier"});
        let drop = simulate(&shop, &lines, with(supplier.clone())).await;
        assert_eq!(from(&drop), [row(1, "berlin", 2), row(2, "supplier", 5)]);
        assert_eq!(why(&drop["sourcing"], 2), [because("supplier", "drop_shipped")]);
        let strict = simulate(&shop, &[("TEE", 5)], with(supplier.clone())).await;
        assert_eq!(strict["refusal"], json!({"code": "out_of_stock", "line_no": 1, "available": 3}));
        let waits = simulate(&shop, &lines, with(json!({"then": "backorder", "location": "supplier"}))).await;
        assert_eq!(from(&waits), [row(1, "berlin", 2), row(2, "supplier", 5)]);
        assert_eq!(why(&waits["sourcing"], 2), [because("supplier", "waits")]);
        let usual = simulate(&shop, &lines, with(json!({"then": "usual"}))).await;
        assert_eq!(from(&usual), [row(1, "berlin", 2), row(2, "berlin", 5)]);
        assert_eq!(why(&usual["sourcing"], 2)[0], because("berlin", "backordered"));
        let refused = simulate(&shop, &lines, with(json!({"then": "refuse"}))).await;
        assert_eq!(refused["refusal"], json!({"code": "out_of_stock", "line_no": 2, "available": 3}));
        // What a supplier ships is placed as everything else is.
        let document = with(supplier)["document"].clone();
        activate(&app, &made(&app, "drop", &document).await).await;
        let live = || async {
            simulate(&shop, &lines, json!({})).await["sourcing"][0]["profile"]["fallback"] == json!("drop_ship")
        };
        eventually("the profile is in force", live).await;
        let order = shop.order(&lines).await;
        let found = fulfilment(&app, &order).await;
        assert_eq!(why(&found["sourcing"], 2), [because("supplier", "drop_shipped")]);
        assert_eq!(found["fulfilment_orders"].as_array().unwrap().len(), 2);
    });
}

#[test]
fn locations_that_do_not_serve_are_past_their_cut_off_or_full_are_not_looked_at() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        place(&app, "vienna", json!({"countries": ["AT"], "priority": 1}), &[("TEE", 50)]).await;
        place(&app, "late", json!({"cut_off": "20:00"}), &[("TEE", 50)]).await;
        // Whom a location serves counts without a profile too.
        assert_eq!(from(&simulate(&shop, &[("TEE", 1)], json!({})).await), [row(1, "berlin", 1)]);
        assert_eq!(from(&simulate(&shop, &[("TEE", 1)], json!({"country": "AT"})).await), [row(1, "vienna", 1)]);
        let order = shop.order(&[("TEE", 1)]).await;
        let found = fulfilment(&app, &order).await;
        let locations = app.ops("GET", "/locations", None).await.expect(200);
        let berlin_id =
            locations["items"].as_array().unwrap().iter().find(|one| one["code"] == "berlin").unwrap()["id"].clone();
        assert_eq!(found["fulfilment_orders"][0]["location_id"], berlin_id);
        // A Tuesday evening in Berlin.
        let mut cut_off = rules(json!([{"name": "today", "filters": {"before_cut_off": true}}]));
        cut_off["at"] = json!("2026-01-13T17:00:00Z");
        let evening = simulate(&shop, &[("TEE", 1)], cut_off).await;
        assert_eq!(from(&evening), [row(1, "late", 1)]);
        let told = why(&evening["sourcing"], 1);
        assert_eq!(told[1..], [because("vienna", "not_served"), because("berlin", "past_cut_off")]);
        // It has had one order today, and can take no other.
        berlin(&app, json!({"orders_per_day": 1})).await;
        let full = || async {
            // Every half minute.
            app.clock.advance_seconds(31);
            let capacity = rules(json!([{"name": "free", "filters": {"capacity_left": true}}]));
            let simulated = simulate(&shop, &[("TEE", 1)], capacity).await;
            from(&simulated) == [row(1, "late", 1)]
                && why(&simulated["sourcing"], 1).contains(&because("berlin", "no_capacity"))
        };
        eventually("the orders of today are counted", full).await;
    });
}

#[test]
fn what_is_wrong_with_a_profile_is_said_by_name() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 1)]).await;
        let strategy = |more: Value| {
            let mut strategy = json!({"name": "one"});
            for (name, value) in more.as_object().unwrap() {
                strategy[name] = value.clone();
            }
            json!({"strategies": [strategy]})
        };
        let eur = |amount: &str| json!({"amount": amount, "currency": "EUR"});
        for (pointer, document) in [
            ("/document/strategies", json!({"strategies": []})),
            ("/document/strategies/1/name", json!({"strategies": [{"name": "a"}, {"name": "a"}]})),
            ("/document/strategies/0/weights/parcels", strategy(json!({"weights": {"parcels": -1}}))),
            ("/document/strategies/0/weights/cost", strategy(json!({"weights": {"cost": 1}}))),
            ("/document/strategies/0/limits/most_parcels", strategy(json!({"limits": {"most_parcels": 0}}))),
            ("/document/strategies/0/filters/max_distance_km", strategy(json!({"filters": {"max_distance_km": -1}}))),
            ("/document/fallback/location", json!({"strategies": [{"name": "a"}], "fallback": {"then": "drop_ship"}})),
            (
                "/document/fallback/location",
                json!({"strategies": [{"name": "a"}], "fallback": {"then": "usual", "location": "berlin"}}),
            ),
            (
                "/document/destinations/0/position/latitude",
                json!({"strategies": [{"name": "a"}], "destinations": [{"country": "DE", "position": at("91", "0")}]}),
            ),
            (
                "/document/rates/1/price",
                json!({"strategies": [{"name": "a"}], "rates": [
                {"price": eur("1")}, {"price": {"amount": "1", "currency": "USD"}}]}),
            ),
            (
                "/document/rates/0/per_kg",
                json!({"strategies": [{"name": "a"}],
                "rates": [{"price": eur("1"), "per_kg": eur("-1")}]}),
            ),
        ] {
            let new = json!({"code": "x", "document": document});
            let problem = app.ops("POST", "/sourcing/profiles", Some(&new)).await.problem(422, "invalid_value");
            assert_eq!(problem["pointer"], pointer, "{document}");
        }
        for (pointer, document) in [
            ("/document/strategies/0/filters/locations/0", strategy(json!({"filters": {"locations": ["nowhere"]}}))),
            ("/document/strategies/0/filters/except/0", strategy(json!({"filters": {"except": ["nowhere"]}}))),
            (
                "/document/fallback/location",
                json!({"strategies": [{"name": "a"}], "fallback": {"then": "drop_ship", "location": "nowhere"}}),
            ),
            (
                "/document/rates/0/location",
                json!({"strategies": [{"name": "a"}], "rates": [{"location": "nowhere", "price": eur("1")}]}),
            ),
        ] {
            let new = json!({"code": "x", "document": document});
            let problem = app.ops("POST", "/sourcing/profiles", Some(&new)).await.problem(404, "not_found");
            assert_eq!(problem["pointer"], pointer, "{document}");
        }
        let unknown = json!({"code": "x", "document": {"strategies": [{"name": "a", "shelf_life": 3}]}});
        let problem = app.ops("POST", "/sourcing/profiles", Some(&unknown)).await.problem(422, "unknown_field");
        assert_eq!(problem["pointer"], "/document/strategies/0/shelf_life");
        // And with an order that is tried out.
        let plain = json!({"strategies": [{"name": "a"}]});
        for (code, status, pointer, more) in [
            ("sku_unknown", 422, "/lines/0/sku", json!({"lines": [{"sku": "NONE", "quantity": 1}]})),
            ("invalid_value", 422, "/lines", json!({"lines": []})),
            ("not_found", 404, "/without/0", json!({"without": ["nowhere"]})),
            ("not_found", 404, "/channel_id", json!({"channel_id": "chan_01h455vb4pex5vsknk084sn02q"})),
            ("not_found", 404, "/profile_id", json!({"profile_id": "sprof_01h455vb4pex5vsknk084sn02q"})),
            (
                "invalid_value",
                422,
                "/document",
                json!({"profile_id": "sprof_01h455vb4pex5vsknk084sn02q", "document": plain}),
            ),
        ] {
            let request = request(&shop, &[("TEE", 1)], more);
            let problem = app.ops("POST", "/sourcing/simulate", Some(&request)).await.problem(status, code);
            assert_eq!(problem["pointer"], pointer, "{request}");
        }
    });
}

#[test]
fn drafts_are_changed_on_their_revision_and_versions_are_not_changed_any_more() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        let draft = made(&app, "a", &json!({"strategies": [{"name": "one"}]})).await;
        let path = format!("/sourcing/profiles/{}", text(&draft["id"]));
        let change = json!({"document": {"strategies": [{"name": "two"}]}});
        let changed = app.ops("PATCH", &path, Some(&change)).await.expect(200);
        assert_eq!((&changed["document"]["strategies"][0]["name"], &changed["revision"]), (&json!("two"), &json!(2)));
        let token = format!("Bearer {}", app.staff());
        let stale = [("Authorization", token.as_str()), ("If-Match", "\"v1\"")];
        app.send("PATCH", &format!("/v1/ops{path}"), &stale, Some(&change)).await.problem(412, "version_stale");
        activate(&app, &draft).await;
        app.ops("PATCH", &path, Some(&change)).await.problem(409, "state_conflict");
        // A code is of one channel, or of all.
        let other = json!({"code": "a", "channel_id": shop.channel, "document": {"strategies": [{"name": "one"}]}});
        app.ops("POST", "/sourcing/profiles", Some(&other)).await.problem(409, "duplicate");
        // A channel's own goes before that of all, and both are live.
        let own = json!({"code": "own", "channel_id": shop.channel, "document": {"strategies": [{"name": "one"}]}});
        let own = app.ops("POST", "/sourcing/profiles", Some(&own)).await.expect(201);
        activate(&app, &own).await;
        let live = app.ops("GET", "/sourcing/profiles?state=live", None).await.expect(200);
        assert_eq!(live["items"].as_array().unwrap().len(), 2);
        // Who is limited to some locations changes no profile, who is limited to a channel none of another and none of all.
        let locations = app.ops("GET", "/locations", None).await.expect(200);
        let scopes = format!("{} {}", Scope::StockRead, Scope::StockWrite);
        let mut claims = app.claims(Audience::Staff, "eve", &scopes);
        claims.locations = Some(vec![text(&locations["items"][0]["id"]).parse().unwrap()]);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let retire = format!("/v1/ops{path}/retire");
        let headers = [("Authorization", token.as_str())];
        app.send("POST", &retire, &headers, None).await.problem(403, "scope_missing");
        let mut claims = app.claims(Audience::Staff, "eve", &scopes);
        claims.channels = Some(vec!["chan_01h455vb4pex5vsknk084sn02q".parse().unwrap()]);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let headers = [("Authorization", token.as_str())];
        let theirs = format!("/v1/ops/sourcing/profiles/{}", text(&own["id"]));
        app.send("GET", &theirs, &headers, None).await.problem(404, "not_found");
        app.send("POST", &format!("{theirs}/retire"), &headers, None).await.problem(404, "not_found");
        app.send("POST", &retire, &headers, None).await.problem(403, "scope_missing");
        let seen = app.send("GET", "/v1/ops/sourcing/profiles", &headers, None).await.expect(200);
        assert_eq!(seen["items"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn of_versions_that_are_activated_at_once_one_is_live() {
    on_both(|app| async move {
        Shop::open(&app, &[]).await;
        let document = json!({"strategies": [{"name": "one"}]});
        let new = json!({"code": "race", "document": document});
        let (first, second, third) = tokio::join!(
            app.ops("POST", "/sourcing/profiles", Some(&new)),
            app.ops("POST", "/sourcing/profiles", Some(&new)),
            app.ops("POST", "/sourcing/profiles", Some(&new)),
        );
        let made = [first.expect(201), second.expect(201), third.expect(201)];
        let mut versions: Vec<i64> = made.iter().map(|one| one["version"].as_i64().unwrap()).collect();
        versions.sort_unstable();
        assert_eq!(versions, [1, 2, 3]);
        let (first, second, third) =
            tokio::join!(activate(&app, &made[0]), activate(&app, &made[1]), activate(&app, &made[2]));
        assert!([first, second, third].iter().all(|one| one["state"] == "live"));
        let live = app.ops("GET", "/sourcing/profiles?state=live", None).await.expect(200);
        assert_eq!(live["items"].as_array().unwrap().len(), 1);
    });
}
