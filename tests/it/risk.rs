//! Checkouts that are judged: let through, held, refused; lists, outcomes, reports.

use futures::future::join_all;
use kontor::{
    carts, checkout,
    db::{Db, Options},
    http::{State, auth::Audience},
    kernel::{Actor, Scope, actor::Shopper, ids::ChannelId},
};
use serde_json::{Value, json};

use crate::support::{Answer, App, Cart, Shop, app::settings, eventually, on_both, shop::address};

/// A shop with these rules.
async fn judged(app: &App, rules: Value, hold_at: i64, decline_at: Option<i64>) -> Shop {
    let shop = Shop::open(app, &[("TEE", "10.00", 1000), ("RING", "900.00", 1000)]).await;
    set(&shop, rules, hold_at, decline_at).await;
    shop
}

async fn set(shop: &Shop, rules: Value, hold_at: i64, decline_at: Option<i64>) -> Value {
    let path = format!("/risk/profiles/{}", shop.channel);
    let document = json!({"rules": rules, "hold_at": hold_at, "decline_at": decline_at});
    shop.app.ops("PUT", &path, Some(&document)).await.expect(200)
}

async fn cart_of(shop: &Shop, email: &str, sku: &str) -> Cart {
    let body = json!({
        "lines": [{"sku": sku, "quantity": 1}], "email": email, "shipping_method": "standard", "shipping_address": address(),
    });
    let body = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Cart { id: text(&body["id"]), token: text(&body["token"]), body }
}

async fn complete(shop: &Shop, cart: &Cart, instrument: &str, risk: Value) -> Answer {
    let body = json!({"payment": {"method": "sandbox", "instrument": instrument}, "risk": risk});
    shop.store("POST", &format!("/carts/{}/complete", cart.id), Some(&cart.token), Some(&body)).await
}

async fn order_of(shop: &Shop, email: &str, sku: &str) -> String {
    let cart = cart_of(shop, email, sku).await;
    let placed = complete(shop, &cart, "approve", json!({})).await.expect(201);
    placed["order"]["id"].as_str().unwrap().to_owned()
}

async fn get(app: &App, path: &str) -> Value {
    app.ops("GET", path, None).await.expect(200)
}

async fn judge(app: &App, order: &str, outcome: &str) -> Value {
    app.ops("POST", &format!("/orders/{order}/risk/outcome"), Some(&json!({"outcome": outcome}))).await.expect(200)
}

fn rule(name: &str, kind: &str, weight: i64, more: Value) -> Value {
    let mut rule = json!({"name": name, "kind": kind, "weight": weight});
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rule
}

fn dear(weight: i64) -> Value {
    rule("dear", "value", weight, json!({"amount": {"amount": "500.00", "currency": "EUR"}}))
}

#[test]
fn a_checkout_is_let_through_held_or_refused_and_tells_why_to_staff_only() {
    on_both(|app| async move {
        let again = rule("again", "velocity", 60, json!({"of": "email", "minutes": 60, "more_than": 1}));
        let shop = judged(&app, json!([dear(60), again]), 60, Some(120)).await;
        let plain = order_of(&shop, "ada@example.org", "TEE").await;
        let found = get(&app, &format!("/orders/{plain}/risk")).await;
        assert_eq!((&found["decision"], &found["score"], &found["by"]), (&json!("accept"), &json!(0), &json!("score")));
        assert_eq!(found["trace"][1]["detail"], "0 tries by email within 60 minutes", "{found}");
        assert!(get(&app, &format!("/orders/{plain}")).await["holds"].is_null());

        // Held from its first moment on, told to staff and to nobody else.
        let cart = cart_of(&shop, "ADA@example.org", "RING").await;
        let placed = complete(&shop, &cart, "approve", json!({})).await.expect(201)["order"].clone();
        assert!(placed.get("holds").is_none(), "{placed}");
        let held = get(&app, &format!("/orders/{}", placed["id"].as_str().unwrap())).await;
        assert_eq!(held["holds"][0]["kind"], "risk", "{held}");
        assert_eq!(held["holds"][0]["reason"], "risk score 60: dear");
        assert_eq!(held["holds"][0]["placed_by"], "system:risk");
        let timeline = format!("/orders/{}/timeline", placed["id"].as_str().unwrap());
        eventually("its log tells so", async || get(&app, &timeline).await.to_string().contains("order.held.v1")).await;

        // Refused: the cart stays as it is, and goes through where the rules are milder.
        let cart = cart_of(&shop, "ada@example.org", "RING").await;
        for _ in 0..2 {
            let told = complete(&shop, &cart, "approve", json!({})).await.problem(422, "checkout_declined");
            assert!(!told.to_string().contains("dear") && !told.to_string().contains("score"), "{told}");
        }
        let open = shop.store("GET", &format!("/carts/{}", cart.id), Some(&cart.token), None).await.expect(200);
        assert_eq!(open["state"], "open");
        let refused = get(&app, "/risk/assessments?decision=decline&min_score=120").await;
        assert_eq!(refused["items"].as_array().unwrap().len(), 2, "{refused}");
        assert!(refused["items"][0].get("order_id").is_none());
        set(&shop, json!([dear(60)]), 61, None).await;
        complete(&shop, &cart, "approve", json!({})).await.expect(201);
        let of_cart = get(&app, &format!("/risk/assessments?cart_id={}", cart.id)).await;
        assert_eq!(of_cart["items"].as_array().unwrap().len(), 3);
        assert_eq!(
            (&of_cart["items"][0]["profile_version"], &of_cart["items"][2]["profile_version"]),
            (&json!(2), &json!(1))
        );
        assert_eq!(shop.available("RING").await, 998);
    });
}

#[test]
fn what_the_storefront_and_the_provider_know_counts() {
    on_both(|app| async move {
        let velocity = |of: &str| rule(of, "velocity", 10, json!({"of": of, "minutes": 30, "more_than": 0}));
        let rules = json!([
            velocity("network"),
            velocity("device"),
            velocity("card"),
            velocity("address"),
            rule("abroad", "country_mismatch", 10, json!({})),
            rule("throwaway", "disposable_domain", 10, json!({"domains": ["bin.example"]})),
            rule("first", "first_order", 10, json!({})),
            rule("codes", "codes_tried", 10, json!({"more_than": 1})),
        ]);
        let shop = judged(&app, rules, 1000, None).await;
        let fired = |found: &Value| -> Vec<String> {
            let steps = found["trace"].as_array().unwrap().iter().filter(|step| step["result"] == "fired");
            steps.map(|step| step["rule"].as_str().unwrap().to_owned()).collect()
        };
        let latest = async || get(&app, "/risk/assessments?limit=1").await["items"][0].clone();
        let first = cart_of(&shop, "eve@mail.bin.example", "TEE").await;
        for code in ["NO-SUCH-CODE", "NOR-THIS-ONE"] {
            let path = format!("/carts/{}/coupons", first.id);
            let answer = shop.store("POST", &path, Some(&first.token), Some(&json!({"code": code}))).await;
            assert_eq!(answer.status, 422, "{}", answer.text);
        }
        complete(&shop, &first, "approve#fp-1", json!({"device": "d-1", "ip_country": "AT"})).await.expect(201);
        assert_eq!(fired(&latest().await), ["abroad", "throwaway", "first", "codes"]);
        let second = cart_of(&shop, "eve@mail.bin.example", "TEE").await;
        complete(&shop, &second, "approve#fp-1", json!({"device": "d-1", "ip_country": "DE"})).await.expect(201);
        let found = latest().await;
        assert_eq!(fired(&found), ["network", "device", "card", "address", "throwaway"]);
        assert_eq!(found["facts"]["known"].as_array().unwrap().len(), 6, "{found}");
        // Nothing of it stands in the open.
        for open in ["eve@", "bin.example", "fp-1", "d-1", "127.0.0.1", "Invaliden"] {
            assert!(!found.to_string().contains(open), "{open}: {found}");
        }
        // Half an hour later it is forgotten.
        app.clock.advance_seconds(1801);
        let third = cart_of(&shop, "ada@example.org", "TEE").await;
        complete(&shop, &third, "approve#fp-1", json!({"device": "d-1"})).await.expect(201);
        assert_eq!(fired(&latest().await), ["first"]);

        // At a storefront nobody says where they come from; staff do, who complete a cart for somebody.
        let fourth = cart_of(&shop, "ada@example.org", "TEE").await;
        let told = complete(&shop, &fourth, "approve", json!({"client_address": "203.0.113.9"})).await;
        assert_eq!(told.problem(422, "invalid_value")["pointer"], "/risk/client_address");
        let body = json!({"payment": {"method": "manual"}, "risk": {"client_address": "203.0.113.9"}});
        app.ops("POST", &format!("/carts/{}/complete", fourth.id), Some(&body)).await.expect(201);
        assert!(latest().await["facts"]["known"].to_string().contains("network"));
        let fifth = cart_of(&shop, "ada@example.org", "TEE").await;
        let body = json!({"payment": {"method": "manual"}});
        app.ops("POST", &format!("/carts/{}/complete", fifth.id), Some(&body)).await.expect(201);
        assert!(!latest().await["facts"]["known"].to_string().contains("network"));
    });
}

#[test]
fn lists_let_through_and_shut_out() {
    on_both(|app| async move {
        let shop = judged(&app, json!([dear(60)]), 60, None).await;
        let put = async |list: &str, kind: &str, value: &str| {
            let entry = json!({"list": list, "kind": kind, "value": value, "reason": "because"});
            app.ops("POST", "/risk/lists", Some(&entry)).await
        };
        let blocked = put("block", "domain", "example.org").await.expect(201);
        put("block", "domain", "EXAMPLE.ORG").await.problem(409, "duplicate");
        assert_eq!(put("block", "network", "10.0.0.0/7").await.problem(422, "invalid_value")["pointer"], "/value");
        let attempt = async |email: &str| {
            let cart = cart_of(&shop, email, "RING").await;
            complete(&shop, &cart, "approve", json!({})).await
        };
        attempt("ada@example.org").await.problem(422, "checkout_declined");
        // Who is allowed is so though a list blocks them and the rules would hold them.
        let allowed = put("allow", "email", "Ada@example.org").await.expect(201);
        assert_eq!(allowed["hint"], "a…@example.org");
        let placed = attempt("ada@example.org").await.expect(201)["order"]["id"].as_str().unwrap().to_owned();
        let found = get(&app, &format!("/orders/{placed}/risk")).await;
        assert_eq!(
            (&found["decision"], &found["score"], &found["by"]),
            (&json!("accept"), &json!(60), &json!("allow_list"))
        );
        assert_eq!(found["facts"]["listed"].as_array().unwrap().len(), 2);
        attempt("eve@example.org").await.problem(422, "checkout_declined");

        // An entry ends by its time, by a change, by being taken off.
        let path = format!("/risk/lists/{}", blocked["id"].as_str().unwrap());
        let soon = json!({"until": "2026-03-02T09:10:00Z"});
        assert_eq!(app.ops("PATCH", &path, Some(&soon)).await.expect(200)["version"], 2);
        let stale = format!("Bearer {}", app.staff());
        let headers = [("Authorization", stale.as_str()), ("If-Match", "\"v1\"")];
        app.send("PATCH", &format!("/v1/ops{path}"), &headers, Some(&soon)).await.problem(412, "version_stale");
        app.clock.advance_seconds(601);
        let held = attempt("eve@example.org").await.expect(201)["order"]["id"].as_str().unwrap().to_owned();
        assert_eq!(get(&app, &format!("/orders/{held}/risk")).await["decision"], "hold");
        let network = put("block", "network", "127.0.0.0/8").await.expect(201);
        attempt("eve@example.org").await.problem(422, "checkout_declined");
        let path = format!("/risk/lists/{}", network["id"].as_str().unwrap());
        assert_eq!(app.ops("DELETE", &path, None).await.status, 204);
        app.ops("DELETE", &path, None).await.problem(404, "not_found");

        // By an order: whoever has placed it, though nobody knows their card or street in the open.
        let assessment = get(&app, &format!("/orders/{held}/risk")).await["id"].clone();
        let entry = json!({"list": "block", "kind": "address", "assessment_id": assessment, "reason": "lost goods"});
        app.ops("POST", "/risk/lists", Some(&entry)).await.expect(201);
        attempt("somebody@else.example").await.problem(422, "checkout_declined");

        // A file: what is wrong stops nothing else, the last of several counts.
        let file = "list,kind,value,reason\nblock,email,a@b.example,x\nallow,email,A@b.example,y\nblock,email,nobody,z\nblock,moon,x,z\n";
        let token = format!("Bearer {}", app.staff());
        let headers = [("Authorization", token.as_str())];
        let file = Some(("text/csv", file.to_owned()));
        let answer = app.send_text("POST", "/v1/ops/risk/lists/import", &headers, file).await.expect(200);
        assert_eq!(
            (&answer["taken"], &answer["refused"][0]["row"], &answer["refused"][1]["row"]),
            (&json!(1), &json!(3), &json!(4))
        );
        let listed = get(&app, "/risk/lists?list=allow&kind=email").await;
        assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{listed}");
    });
}

#[test]
fn what_became_of_orders_tells_what_rules_are_worth() {
    on_both(|app| async move {
        let lost = rule("lost here", "known_losses", 70, json!({"of": "email"}));
        let shop = judged(&app, json!([dear(60), lost]), 60, None).await;
        let good = order_of(&shop, "good@example.org", "RING").await;
        let bad = order_of(&shop, "bad@example.org", "RING").await;
        let missed = order_of(&shop, "missed@example.org", "TEE").await;
        order_of(&shop, "unknown@example.org", "RING").await;
        // Somebody has looked: releasing says so.
        app.ops("POST", &format!("/orders/{good}/release"), Some(&json!({"kind": "risk"}))).await.expect(200);
        assert_eq!(get(&app, &format!("/orders/{good}/risk")).await["outcome"], "legitimate");
        assert_eq!(judge(&app, &bad, "fraud").await["outcome"], "fraud");
        judge(&app, &missed, "loss").await;
        // What was said stays, whatever is released later.
        app.ops("POST", &format!("/orders/{bad}/release"), Some(&json!({}))).await.expect(200);
        assert_eq!(get(&app, &format!("/orders/{bad}/risk")).await["outcome"], "fraud");
        let report = get(&app, "/risk/report").await;
        let row = report["items"].as_array().unwrap().iter().find(|row| row["rule"] == "dear").unwrap().clone();
        assert_eq!(
            (&row["fired"], &row["bad"], &row["good"], &row["unknown"]),
            (&json!(3), &json!(1), &json!(1), &json!(1))
        );
        assert_eq!((&row["precision"], &row["recall"]), (&json!("0.5000"), &json!("0.5000")));
        let decisions = get(&app, "/risk/decisions").await;
        let held = decisions["items"].as_array().unwrap().iter().find(|row| row["decision"] == "hold").unwrap().clone();
        assert_eq!((&held["checkouts"], &held["fraud"], &held["legitimate"]), (&json!(3), &json!(1), &json!(1)));
        let table = app.ops("GET", "/risk/report?format=csv", None).await;
        assert!(table.text.contains("dear,") || table.text.contains(",dear"), "{}", table.text);

        // Who has done harm is known for it; not any more when it was a mistake.
        let again = order_of(&shop, "missed@example.org", "TEE").await;
        assert_eq!(get(&app, &format!("/orders/{again}/risk")).await["score"], 70);
        judge(&app, &missed, "legitimate").await;
        let later = order_of(&shop, "missed@example.org", "TEE").await;
        assert_eq!(get(&app, &format!("/orders/{later}/risk")).await["score"], 0);

        // A draft on what was: other windows and other marks are looked up as they stood then.
        let often = rule("often", "velocity", 100, json!({"of": "email", "minutes": 1000, "more_than": 0}));
        let draft =
            json!({"channel_id": shop.channel, "document": {"hold_at": 100, "decline_at": 100, "rules": [often]}});
        let simulated = app.ops("POST", "/risk/simulate", Some(&draft)).await.expect(200);
        assert_eq!(simulated["checkouts"], 6);
        let of = |side: &str, decision: &str| {
            let rows = simulated[side].as_array().unwrap().iter().find(|row| row["decision"] == decision).unwrap();
            rows["checkouts"].as_i64().unwrap()
        };
        assert_eq!((of("before", "hold"), of("before", "accept"), of("after", "hold")), (4, 2, 0));
        assert_eq!((of("after", "decline"), of("after", "accept")), (0, 6), "the clock stands still: {simulated}");
        let wrong = json!({"channel_id": shop.channel, "document": {"hold_at": 0, "rules": []}});
        let told = app.ops("POST", "/risk/simulate", Some(&wrong)).await.problem(422, "invalid_value");
        assert_eq!(told["pointer"], "/document/hold_at");
    });
}

#[test]
fn rules_have_versions_and_are_read_strictly() {
    on_both(|app| async move {
        let shop = judged(&app, json!([dear(60)]), 60, None).await;
        let path = format!("/risk/profiles/{}", shop.channel);
        let wrong = json!({"rules": [{"name": "a", "kind": "velocity", "weight": 1}], "hold_at": 5});
        assert_eq!(app.ops("PUT", &path, Some(&wrong)).await.problem(422, "invalid_value")["pointer"], "/rules/0/of");
        let odd = json!({"rules": [], "hold_at": 5, "colour": "red"});
        app.ops("PUT", &path, Some(&odd)).await.problem(422, "unknown_field");
        let token = format!("Bearer {}", app.staff());
        let document = json!({"rules": [dear(10)], "hold_at": 60});
        let put = |tag: &'static str| {
            let (app, path, token, document) = (app.clone(), path.clone(), token.clone(), document.clone());
            async move {
                let headers = [("Authorization", token.as_str()), ("If-Match", tag)];
                app.send("PUT", &format!("/v1/ops{path}"), &headers, Some(&document)).await
            }
        };
        // Of several who have seen the same version one makes the next.
        let made = join_all((0..4).map(|_| put("\"v1\""))).await;
        let mut statuses: Vec<u16> = made.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412, 412, 412]);
        let versions = get(&app, &format!("{path}/versions")).await;
        let numbers: Vec<i64> =
            versions["items"].as_array().unwrap().iter().map(|one| one["version"].as_i64().unwrap()).collect();
        assert_eq!(numbers, [2, 1]);
        let all = join_all((0..4).map(|_| app.ops("PUT", &path, Some(&document)))).await;
        assert!(all.iter().all(|answer| answer.status == 200));
        assert_eq!(get(&app, &path).await["version"], 6);
        // Who may not sees nothing of it.
        let token = format!("Bearer {}", app.token(Audience::Staff, "bob", &[Scope::OrdersRead]));
        let headers = [("Authorization", token.as_str())];
        app.send("GET", &format!("/v1/ops{path}"), &headers, None).await.problem(403, "scope_missing");
        app.ops("GET", "/risk/profiles/chan_01h455vb4pex5vsknk084sn02q", None).await.problem(404, "not_found");
    });
}

#[test]
fn checkouts_at_once_and_rules_that_change_meanwhile_lose_nothing() {
    on_both(|app| async move {
        let again = rule("again", "velocity", 60, json!({"of": "email", "minutes": 60, "more_than": 2}));
        let shop = judged(&app, json!([again.clone()]), 60, Some(100)).await;
        let carts: Vec<Cart> = join_all((0..8).map(|_| cart_of(&shop, "ada@example.org", "TEE"))).await;
        let buy = async |cart: &Cart| complete(&shop, cart, "approve", json!({})).await;
        let change = async {
            for weight in [50, 70, 110] {
                let mut rule = again.clone();
                rule["weight"] = json!(weight);
                set(&shop, json!([rule]), 60, Some(100)).await;
            }
        };
        let (answers, ()) = futures::join!(join_all(carts.iter().map(buy)), change);
        let placed = answers.iter().filter(|answer| answer.status == 201).count();
        let refused = answers.iter().filter(|answer| answer.status == 422).count();
        assert_eq!(placed + refused, 8);
        let all = get(&app, "/risk/assessments?limit=200").await["items"].as_array().unwrap().clone();
        assert_eq!(all.len(), 8);
        // Each order has what was found of it, and is held where that was so.
        for one in &all {
            let Some(order) = one["order_id"].as_str() else {
                assert_eq!(one["decision"], "decline");
                continue;
            };
            let order = get(&app, &format!("/orders/{order}")).await;
            assert_eq!(order["holds"].is_array(), one["decision"] == "hold", "{one} {order}");
        }
        // One cart completed by many at once is judged as often as it is begun, and ordered once.
        set(&shop, json!([]), 60, None).await;
        let cart = cart_of(&shop, "eve@example.org", "TEE").await;
        let answers = join_all((0..6).map(|_| buy(&cart))).await;
        let ids: std::collections::BTreeSet<String> =
            answers.into_iter().map(|answer| answer.expect(201)["order"]["id"].to_string()).collect();
        assert_eq!(ids.len(), 1);
        let of_cart = get(&app, &format!("/risk/assessments?cart_id={}", cart.id)).await;
        assert_eq!(of_cart["items"].as_array().unwrap().len(), 1, "{of_cart}");
    });
}

#[test]
fn an_order_that_another_process_finishes_is_held_all_the_same() {
    on_both(|app| async move {
        let shop = judged(&app, json!([dear(60)]), 60, None).await;
        let cart = cart_of(&shop, "ada@example.org", "RING").await;
        complete(&shop, &cart, "redirect", json!({})).await.expect(202);
        // The rules are gone meanwhile: what was decided stays.
        let path = format!("/risk/profiles/{}", shop.channel);
        let off = json!({"active": false, "rules": [], "hold_at": 60});
        app.ops("PUT", &path, Some(&off)).await.expect(200);
        let query = "SELECT our_key FROM payments";
        let key =
            app.read(move |tx| kontor::db::sql(query).first::<diesel::sql_types::Text, String>(tx)).await.unwrap();
        app.ops("POST", &format!("/sandbox/payments/{key}/approve"), None).await;
        eventually("it is ordered", || async { shop.count("orders").await == 1 }).await;
        let found = get(&app, &format!("/risk/assessments?cart_id={}", cart.id)).await["items"][0].clone();
        let order = get(&app, &format!("/orders/{}", found["order_id"].as_str().unwrap())).await;
        assert_eq!(order["holds"][0]["kind"], "risk", "{order}");
        // Without rules nothing is looked at.
        let later = order_of(&shop, "ada@example.org", "RING").await;
        app.ops("GET", &format!("/orders/{later}/risk"), None).await.problem(404, "not_found");
    });
}

#[test]
fn what_shoppers_were_known_by_goes_with_them_and_with_time() {
    on_both(|app| async move {
        let again = rule("again", "velocity", 10, json!({"of": "email", "minutes": 43200, "more_than": 0}));
        let shop = judged(&app, json!([again]), 60, None).await;
        let order = order_of(&shop, "ada@example.org", "TEE").await;
        judge(&app, &order, "loss").await;
        app.ops("POST", &format!("/orders/{order}/cancel"), Some(&json!({"reason": "x"}))).await.expect(200);
        assert!(app.count("SELECT count(*) FROM risk_marks").await > 0);
        eventually("nothing of it is under way", || async {
            app.ops("POST", "/guests/erase", Some(&json!({"email": "ada@example.org"}))).await.status == 200
        })
        .await;
        assert_eq!(app.count("SELECT count(*) FROM risk_marks").await, 0);
        assert_eq!(app.count("SELECT count(*) FROM risk_assessments WHERE note IS NOT NULL").await, 0);
        let kept = get(&app, &format!("/orders/{order}/risk")).await;
        assert_eq!((&kept["outcome"], &kept["decision"]), (&json!("loss"), &json!("accept")));
        // Kept for as long as the channel says.
        let path = format!("/risk/profiles/{}", shop.channel);
        let short = json!({"rules": [], "hold_at": 60, "keep_days": 1});
        app.ops("PUT", &path, Some(&short)).await.expect(200);
        app.clock.advance_seconds(2 * 86_400);
        eventually("it is dropped", || async { app.count("SELECT count(*) FROM risk_assessments").await == 0 }).await;
    });
}

#[test]
fn judging_costs_a_fixed_number_of_statements_and_none_without_rules() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "1.00", 1000)]).await;
        let own = Db::open_unmigrated(Options { connections: 2, ..Options::new(app.database_url.clone()) }).unwrap();
        let state = State::new(own, app.clock.clone(), settings()).await.unwrap();
        let channel: ChannelId = shop.channel.parse().unwrap();
        let guest = |token: Option<String>| Actor::Shopper(Shopper { channel, identity: None, cart_token: token });
        let count = async || {
            let mut counts = Vec::new();
            for _ in 0..3 {
                let cart = json!({"lines": [{"sku": "TEE", "quantity": 1}], "email": "ada@example.org",
                    "shipping_method": "standard", "shipping_address": address()});
                let request = serde_json::from_value(cart).unwrap();
                let (cart, token) = carts::api::create_for(&state, guest(None), channel, request, None).await.unwrap();
                let before = state.db.stats().statements;
                let request =
                    serde_json::from_value(json!({"payment": {"method": "sandbox"}, "risk": {"device": "d"}}));
                let actor = guest(Some(token));
                let reply =
                    checkout::complete_for(&state, (actor, None), channel, cart, request.unwrap(), None).await.unwrap();
                assert_eq!(reply.status(), 201);
                counts.push(state.db.stats().statements - before);
            }
            counts[2]
        };
        let without = count().await;
        let velocity = |of: &str| rule(of, "velocity", 1, json!({"of": of, "minutes": 30, "more_than": 0}));
        let rules = json!([
            velocity("email"),
            velocity("device"),
            velocity("address"),
            rule("c", "codes_tried", 1, json!({"more_than": 1}))
        ]);
        set(&shop, rules.clone(), 1000, None).await;
        state.db.refresh_snapshots().await.unwrap();
        let with = count().await;
        // One that looks, two that write down what was found, one that tells of which order.
        assert_eq!(with - without, 4);
        let first = rule("first", "first_order", 1, json!({}));
        let mut more = rules.as_array().unwrap().clone();
        more.push(first);
        set(&shop, json!(more), 1000, None).await;
        state.db.refresh_snapshots().await.unwrap();
        println!(
            "statements of judging: {}, with a look for an earlier order {}",
            with - without,
            count().await - without
        );
    });
}
