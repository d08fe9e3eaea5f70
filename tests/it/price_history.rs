//! Every change of a price is recorded, with who made it, when, from what and to what.

use std::collections::BTreeMap;

use kontor::{
    db::sql,
    doctor,
    http::auth::Audience,
    kernel::{Id, Scope, ids},
};
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, on_both};

fn row(sku: &str, least: i64, amount: &str) -> Value {
    json!({"sku": sku, "min_quantity": least, "unit_price": {"amount": amount, "currency": "EUR"}})
}

/// Changes prices as `ada`, in a request of this name.
async fn put(shop: &Shop, request: &str, body: &Value) -> Answer {
    let (token, path) =
        (format!("Bearer {}", shop.app.staff()), format!("/v1/ops/price-lists/{}/prices", shop.price_list));
    shop.app.send("PUT", &path, &[("Authorization", &token), ("X-Request-Id", request)], Some(body)).await
}

/// Sends prices of the list `base` as the client `erp`.
async fn import(app: &App, query: &str, request: &str, rows: &[Value]) -> Value {
    let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::PricesWrite]));
    let line = |row: &Value| {
        let mut row = row.clone();
        row["price_list"] = json!("base");
        row.to_string()
    };
    let file = rows.iter().map(line).collect::<Vec<_>>().join("\n");
    let headers = [("Authorization", token.as_str()), ("X-Request-Id", request)];
    let path = format!("/v1/integration/prices{query}");
    app.send_text("POST", &path, &headers, Some(("application/x-ndjson", file))).await.expect(200)
}

/// The history that a query asks for, newest first, so many a page.
async fn history(app: &App, query: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.ops("GET", &format!("/price-changes?limit={limit}{query}{cursor}"), None).await.expect(200);
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// What a change tells in short: quantity, from, to, who, in which request.
fn short(change: &Value) -> String {
    let price = |price: &Value| match price["valid_until"].as_str() {
        Some(end) => format!("{} until {end}", price["unit_price"]["amount"].as_str().unwrap()),
        None => price["unit_price"]["amount"].as_str().unwrap_or("none").to_owned(),
    };
    let word = |name: &str| change[name].as_str().unwrap_or("-").to_owned();
    let (sku, least) = (word("sku"), change["min_quantity"].as_i64().unwrap());
    format!(
        "{sku} {least}: {} > {} {} {}",
        price(&change["from"]),
        price(&change["to"]),
        word("actor"),
        word("reference")
    )
}

async fn told(app: &App) -> Vec<String> {
    let mut all: Vec<String> = history(app, "", 200).await.iter().map(short).collect();
    all.reverse();
    all
}

#[test]
fn every_way_of_writing_a_price_is_recorded_with_what_it_overwrote() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        app.ops("POST", "/variants", Some(&json!({"sku": "TEE", "name": "T", "tax_class": "standard"})))
            .await
            .expect(201);
        let set = |rows: Value| json!({ "rows": rows });
        put(&shop, "made", &set(json!([row("TEE", 1, "19.90"), row("TEE", 10, "17.90")]))).await.expect(200);
        app.clock.advance_seconds(60);
        // Another price, another end, the same as it is.
        let mut ending = row("TEE", 10, "17.90");
        ending["valid_until"] = json!("2026-12-01T00:00:00Z");
        put(&shop, "changed", &set(json!([row("TEE", 1, "18.90"), ending.clone()]))).await.expect(200);
        let same = put(&shop, "same", &set(json!([row("TEE", 1, "18.90"), ending]))).await.expect(200);
        assert_eq!(same, json!({"set": 2, "removed": 0}));
        // Removed, removed though it is not there, and removed and set at once: to the same, and to another.
        let both =
            json!({"remove": [{"sku": "TEE"}, {"sku": "TEE", "min_quantity": 99}], "rows": [row("TEE", 1, "18.90")]});
        assert_eq!(put(&shop, "nothing", &both).await.expect(200), json!({"set": 1, "removed": 1}));
        let both = json!({"remove": [{"sku": "TEE"}], "rows": [row("TEE", 1, "16.00")]});
        put(&shop, "both", &both).await.expect(200);
        let gone = json!({"remove": [{"sku": "TEE", "min_quantity": 10}]});
        put(&shop, "removed", &gone).await.expect(200);
        put(&shop, "again", &gone).await.expect(200);
        // In bulk: a rehearsal, then what changes; of two rows of one price only the later is ever there.
        let rows = [row("TEE", 1, "16.00"), row("TEE", 5, "9.00"), row("TEE", 5, "15.00"), row("NONE", 1, "1.00")];
        import(&app, "?dry_run=true", "rehearsed", &rows).await;
        import(&app, "", "imported", &rows).await;
        import(&app, "", "once more", &rows[..1]).await;
        import(&app, "", "dearer", &[row("TEE", 1, "16.01"), row("TEE", 1, "16.00"), row("TEE", 5, "15.50")]).await;
        let expected = [
            "TEE 1: none > 19.90 staff:ada made",
            "TEE 10: none > 17.90 staff:ada made",
            "TEE 1: 19.90 > 18.90 staff:ada changed",
            "TEE 10: 17.90 > 17.90 until 2026-12-01T00:00:00Z staff:ada changed",
            "TEE 1: 18.90 > 16.00 staff:ada both",
            "TEE 10: 17.90 until 2026-12-01T00:00:00Z > none staff:ada removed",
            "TEE 5: none > 15.00 client:erp imported",
            "TEE 5: 15.00 > 15.50 client:erp dearer",
        ];
        assert_eq!(told(&app).await, expected);
        let newest = &history(&app, "", 1).await[0];
        assert_eq!(
            (&newest["price_list"], &newest["price_list_id"], &newest["changed_at"], &newest["valid_from"]),
            (&json!("base"), &json!(shop.price_list), &json!("2026-03-02T09:01:00Z"), &Value::Null)
        );
        assert!(newest["id"].as_str().unwrap().starts_with("pchg_"));
    });
}

#[test]
fn what_is_refused_or_sent_again_leaves_no_history() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        let wrong = json!({"rows": [row("TEE", 1, "1.00"), row("NONE", 1, "1.00")]});
        put(&shop, "wrong", &wrong).await.problem(422, "sku_unknown");
        let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::PricesWrite]));
        for request in ["first", "second"] {
            let headers = [("Authorization", token.as_str()), ("X-Request-Id", request), ("Idempotency-Key", "k")];
            let mut line = row("TEE", 1, "18.00");
            line["price_list"] = json!("base");
            let file = Some(("application/x-ndjson", line.to_string()));
            app.send_text("POST", "/v1/integration/prices", &headers, file).await.expect(200);
        }
        let told = told(&app).await;
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[1], "TEE 1: 19.90 > 18.00 client:erp first");
    });
}

#[test]
fn what_a_price_was_before_there_was_a_history_is_told_by_its_first_change() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0), ("MUG", "9.90", 0)]).await;
        app.state.db.write(|tx| sql("DELETE FROM price_changes").execute(tx)).await.unwrap();
        assert_eq!(doctor::examine(&app.state.db, |_| {}).await.unwrap(), []);
        shop.set_price("TEE", "19.90").await;
        put(&shop, "gone", &json!({"remove": [{"sku": "TEE"}]})).await.expect(200);
        import(&app, "", "import", &[row("MUG", 1, "8.90")]).await;
        let expected = ["TEE 1: 19.90 > none staff:ada gone", "MUG 1: 9.90 > 8.90 client:erp import"];
        assert_eq!(told(&app).await, expected);
    });
}

/// The changes of each price of a list, the oldest first: each begins where the one before it ended, and the last has made
/// the price what it is.
async fn assert_chains(app: &App, shop: &Shop) -> usize {
    let mut prices = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/price-lists/{}/prices?limit=200{cursor}", shop.price_list);
        let page = app.ops("GET", &path, None).await.expect(200);
        for price in page["items"].as_array().unwrap() {
            let key = (price["sku"].to_string(), price["min_quantity"].as_i64().unwrap());
            prices.insert(key, price["unit_price"]["amount"].clone());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let mut last: BTreeMap<(String, i64), Value> = BTreeMap::new();
    let all = history(app, "", 200).await;
    for change in all.iter().rev() {
        let key = (change["sku"].to_string(), change["min_quantity"].as_i64().unwrap());
        let amount = |side: &str| change[side]["unit_price"]["amount"].clone();
        let before = last.insert(key.clone(), amount("to")).unwrap_or_default();
        assert_eq!(amount("from"), before, "{key:?} in {}", short(change));
        assert_ne!(amount("from"), amount("to"), "{}", short(change));
    }
    last.retain(|_, amount| !amount.is_null());
    assert_eq!(last, prices);
    all.len()
}

#[test]
fn imports_at_once_leave_each_price_a_chain_without_a_gap() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        for sku in ["A", "B"] {
            let variant = json!({"sku": sku, "name": sku, "tax_class": "standard"});
            app.ops("POST", "/variants", Some(&variant)).await.expect(201);
        }
        // Each writes the same prices, which none of them finds at first: 200 of them, in an order of its own. Meanwhile
        // some are set and taken away by hand.
        let prices = |writer: i64, round: i64| {
            let least = move |number: i64| if writer % 2 == 0 { number + 1 } else { 100 - number };
            let amount = format!("{}.{:02}", round + 1, writer);
            (0..100).flat_map(|n| [row("A", least(n), &amount), row("B", least(n), &amount)]).collect::<Vec<_>>()
        };
        let importing = (0..3).map(|writer| {
            let app = &app;
            async move {
                for round in 0..6 {
                    let rows = prices(writer, round);
                    let report = import(app, "", &format!("import-{writer}"), &rows).await;
                    assert_eq!(report["failed"], 0);
                }
            }
        });
        let by_hand = (0..1).map(|writer| {
            let shop = &shop;
            async move {
                for round in 0..8 {
                    let remove: Vec<Value> = (1..=30).map(|least| json!({"sku": "A", "min_quantity": least})).collect();
                    let rows: Vec<Value> =
                        (20..=40).map(|least| row("B", least, &format!("9.{writer}{round}"))).collect();
                    put(shop, &format!("hand-{writer}"), &json!({"remove": remove, "rows": rows})).await.expect(200);
                }
            }
        });
        futures::future::join(futures::future::join_all(importing), futures::future::join_all(by_hand)).await;
        let changes = assert_chains(&app, &shop).await;
        println!("{changes} changes");
        assert!(changes > 400, "{changes}");
    });
}

#[test]
fn the_history_is_filtered_paged_counted_and_a_table() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0), ("MUG", "9.90", 0)]).await;
        let own = json!({"code": "own", "name": "Own", "currency": "EUR", "channel_id": shop.channel});
        let own = app.ops("POST", "/price-lists", Some(&own)).await.expect(201)["id"].as_str().unwrap().to_owned();
        // 23:30 on the second of March in Berlin, and an hour later.
        app.clock.advance_seconds(13 * 3600 + 1800);
        let rows: Vec<Value> = (2..=9).map(|least| row("TEE", least, "18.00")).collect();
        import(&app, "", "import", &rows).await;
        app.clock.advance_seconds(3600);
        let path = format!("/price-lists/{own}/prices");
        app.ops("PUT", &path, Some(&json!({"rows": [row("TEE", 1, "15.00")]}))).await.expect(200);
        let count = async |query: &str| history(&app, query, 200).await.len();
        assert_eq!(count("").await, 11);
        assert_eq!([count("&sku=TEE").await, count("&sku=MUG").await], [10, 1]);
        assert_eq!(count(&format!("&price_list_id={own}")).await, 1);
        assert_eq!([count("&actor=client:erp").await, count("&actor=client%3Aerp&sku=MUG").await], [8, 0]);
        assert_eq!([count("&from=2026-03-03").await, count("&to=2026-03-02").await], [1, 10]);
        assert_eq!(count("&from=2026-03-02&to=2026-03-02&sku=TEE").await, 9);
        let (from, to) = ("2026-03-02T22:30:00Z", "2026-03-02T23:30:00Z");
        assert_eq!(count(&format!("&from={from}&to={to}")).await, 8);
        // Many were recorded at one time: no page leaves one out or tells one twice.
        let whole = history(&app, "", 200).await;
        for limit in [1, 3, 5] {
            assert_eq!(history(&app, "", limit).await, whole);
            assert_eq!(history(&app, "&sku=TEE&actor=client:erp", limit).await.len(), 8);
        }
        let counted = app.ops("GET", "/price-changes?count=capped&limit=1&sku=TEE", None).await.expect(200);
        assert_eq!((counted["count"].as_i64(), counted["items"].as_array().unwrap().len()), (Some(10), 1));
        let table = app.ops("GET", "/price-changes?format=csv&actor=client:erp", None).await;
        let heading = table.text.lines().next().unwrap();
        assert!(
            ["from.unit_price.amount", "to.unit_price.amount", "to.valid_until"].iter().all(|it| heading.contains(it))
        );
        assert_eq!(table.text.lines().count(), 9);
        app.ops("GET", "/price-changes?sku=NONE", None).await.problem(422, "sku_unknown");
        let nowhere = Id::<ids::PriceList>::new();
        app.ops("GET", &format!("/price-changes?price_list_id={nowhere}"), None).await.problem(404, "not_found");
    });
}

#[test]
fn who_is_limited_to_a_channel_sees_the_history_of_its_lists_and_of_those_for_all() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        let channel = json!({"code": "at", "name": "Other", "legal_entity_id":
            app.ops("GET", &format!("/channels/{}", shop.channel), None).await.expect(200)["legal_entity_id"],
            "settings": {"currencies": ["EUR"], "locales": ["de-AT"], "countries": ["AT"], "time_zone": "America/New_York",
                "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"},
                "payment_methods": ["manual"]}});
        let other = app.ops("POST", "/channels", Some(&channel)).await.expect(201)["id"].as_str().unwrap().to_owned();
        let mut lists = Vec::new();
        for (code, channel) in [("mine", &shop.channel), ("theirs", &other)] {
            let list = json!({"code": code, "name": code, "currency": "EUR", "channel_id": channel});
            let list =
                app.ops("POST", "/price-lists", Some(&list)).await.expect(201)["id"].as_str().unwrap().to_owned();
            let path = format!("/price-lists/{list}/prices");
            app.ops("PUT", &path, Some(&json!({"rows": [row("TEE", 1, "15.00")]}))).await.expect(200);
            lists.push(list);
        }
        let mut claims = app.claims(Audience::Staff, "eve", "prices:read");
        claims.channels = Some(vec![shop.channel.parse().unwrap()]);
        let limited = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let ask = async |query: String| {
            let path = format!("/v1/ops/price-changes{query}");
            app.send("GET", &path, &[("Authorization", &limited)], None).await
        };
        let seen = ask("?count=capped".to_owned()).await.expect(200);
        let codes: Vec<&Value> = seen["items"].as_array().unwrap().iter().map(|change| &change["price_list"]).collect();
        assert_eq!((codes, &seen["count"]), (vec![&json!("mine"), &json!("base")], &json!(2)));
        ask(format!("?price_list_id={}", lists[1])).await.problem(404, "not_found");
        // The day of a channel, where all have not the same: of those one sees, or of the list's.
        assert_eq!(ask("?from=2026-03-02".to_owned()).await.expect(200)["items"].as_array().unwrap().len(), 2);
        let days = "from=2026-03-02&to=2026-03-02";
        app.ops("GET", &format!("/price-changes?{days}"), None).await.problem(400, "invalid_query");
        let whole =
            app.ops("GET", &format!("/price-changes?{days}&price_list_id={}", lists[1]), None).await.expect(200);
        assert_eq!(whole["items"].as_array().unwrap().len(), 1);
        let nobody = format!("Bearer {}", app.token(Audience::Staff, "bob", &[Scope::PricesWrite]));
        let refused = app.send("GET", "/v1/ops/price-changes", &[("Authorization", &nobody)], None).await;
        refused.problem(403, "scope_missing");
    });
}

#[test]
fn the_doctor_finds_a_price_that_was_changed_past_its_history() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0), ("MUG", "9.90", 0)]).await;
        shop.set_price("TEE", "18.90").await;
        shop.set_price("TEE", "17.90").await;
        put(&shop, "gone", &json!({"remove": [{"sku": "MUG"}]})).await.expect(200);
        let (made, chain) = (
            "the newest change of a price made it what it is",
            "each change of a price begins where the one before it ended",
        );
        // What is done past the history, which rule finds it, and how it is mended again.
        let damages = [
            ("UPDATE prices SET amount = amount + 1", made, "UPDATE prices SET amount = amount - 1"),
            ("UPDATE prices SET valid_until = updated_at", made, "UPDATE prices SET valid_until = NULL"),
            (
                "INSERT INTO prices (variant_id, price_list_id, min_quantity, valid_from, amount, updated_at) SELECT variant_id, \
                 price_list_id, min_quantity, valid_from, 1, changed_at FROM price_changes WHERE to_amount IS NULL",
                made,
                "DELETE FROM prices WHERE amount = 1",
            ),
            (
                "UPDATE price_changes SET to_amount = to_amount + 1 WHERE to_amount = 18900000",
                chain,
                "UPDATE price_changes SET to_amount = to_amount - 1 WHERE to_amount = 18900001",
            ),
        ];
        let db = &app.state.db;
        for (broken, rule, mended) in damages {
            assert!(db.write(move |tx| sql(broken).execute(tx)).await.unwrap() >= 1, "{broken}");
            let found = doctor::examine(db, |_| {}).await.unwrap();
            assert_eq!(found.iter().map(|finding| (finding.promise, finding.rule)).collect::<Vec<_>>(), [(7, rule)]);
            assert!(found[0].subject.starts_with("var_"), "{found:?}");
            assert_eq!(found, db.read(doctor::examine_snapshot).await.unwrap());
            db.write(move |tx| sql(mended).execute(tx)).await.unwrap();
            assert_eq!(doctor::examine(db, |_| {}).await.unwrap(), [], "{mended}");
        }
    });
}

#[test]
fn prices_are_changed_by_per_cent_as_they_were_looked_at() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.99", 5), ("MUG", "10.00", 5), ("PIN", "0.90", 5)]).await;
        let path = format!("/price-lists/{}/adjust", shop.price_list);
        let price = async |sku: &str| {
            let offers = shop.store("POST", "/offers", None, Some(&json!({"skus": [sku]}))).await.expect(200);
            offers["items"][0]["price"]["amount"].as_str().unwrap().to_owned()
        };
        let mut wanted = json!({"percent": "-10", "min_price": {"amount": "1.00", "currency": "EUR"}});
        let looked = app.ops("POST", &path, Some(&wanted)).await.expect(200);
        assert_eq!((&looked["applied"], &looked["matched"], &looked["changed"]), (&json!(false), &json!(2), &json!(2)));
        assert_eq!(looked["examples"][1]["to"], json!({"amount": "17.99", "currency": "EUR"}));
        assert_eq!(price("TEE").await, "19.99");
        // What has changed meanwhile is looked at again.
        wanted["expected"] = looked["digest"].clone();
        wanted["dry_run"] = json!(false);
        shop.set_price("MUG", "11.00").await;
        let refused = app.ops("POST", &path, Some(&wanted)).await.problem(409, "compare_failed");
        assert_eq!((refused["pointer"].as_str(), price("TEE").await.as_str()), (Some("/expected"), "19.99"));
        wanted["expected"] = refused["digest"].clone();
        let done = app.ops("POST", &path, Some(&wanted)).await.expect(200);
        assert_eq!((&done["applied"], &done["changed"]), (&json!(true), &json!(2)));
        assert_eq!(
            (price("TEE").await, price("MUG").await, price("PIN").await),
            ("17.99".into(), "9.90".into(), "0.90".into())
        );
        let changes = app.ops("GET", "/price-changes?limit=2", None).await.expect(200);
        assert_eq!(changes["items"][0]["actor"], "staff:ada");
        // From an instant on: those of now stay until then.
        let from = app.now().plus_seconds(3600);
        let goods = json!({"skus": ["TEE"]});
        let later = json!({"percent": "50", "ending": {"amount": "0.95", "currency": "EUR"}, "goods": goods, "valid_from": from, "dry_run": false});
        assert_eq!(app.ops("POST", &path, Some(&later)).await.expect(200)["changed"], 1);
        assert_eq!(price("TEE").await, "17.99");
        app.clock.advance_seconds(3600);
        assert_eq!((price("TEE").await, price("MUG").await), ("26.95".into(), "9.90".into()));
        for (wrong, pointer) in [
            (json!({"percent": "0"}), "/percent"),
            (json!({"percent": "5_0"}), "/percent"),
            (json!({"percent": "5."}), "/percent"),
            (json!({"percent": "5", "ending": {"amount": "1.00", "currency": "EUR"}}), "/ending/amount"),
            (json!({"percent": "5", "min_price": {"amount": "1", "currency": "JPY"}}), "/min_price/currency"),
            (json!({"percent": "5", "valid_from": app.now()}), "/valid_from"),
            (json!({"percent": "5", "goods": {}}), "/goods"),
        ] {
            let refused = app.ops("POST", &path, Some(&wrong)).await.problem(422, "invalid_value");
            assert_eq!(refused["pointer"], pointer);
        }
    });
}
