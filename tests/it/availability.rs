//! What can be had: buckets for storefronts, days for people, and what is sold beyond what is there, up to a limit.

use futures::future::join_all;
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    stock::{levels, location, sums_agree},
    support::{App, Shop, on_both, on_both_idle},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

async fn ask(shop: &Shop, skus: &[&str]) -> Vec<Value> {
    let body = json!({ "skus": skus });
    let answer = shop.store("POST", "/availability", None, Some(&body)).await.expect(200);
    answer["items"].as_array().unwrap().clone()
}

async fn buckets(shop: &Shop, skus: &[&str]) -> Vec<(String, Option<i64>)> {
    let told = |item: &Value| (text(&item["status"]).to_owned(), item["left"].as_i64());
    ask(shop, skus).await.iter().map(told).collect()
}

fn bucket(status: &str, left: Option<i64>) -> (String, Option<i64>) {
    (status.to_owned(), left)
}

async fn limit(app: &App, line: Value) -> crate::support::Answer {
    app.ops("PUT", "/stock/backorders", Some(&json!({"lines": [line]}))).await
}

async fn patch(app: &App, sku: &str, change: Value) {
    let found = app.ops("GET", &format!("/variants?sku={sku}"), None).await.expect(200);
    let path = format!("/variants/{}", text(&found["items"][0]["id"]));
    app.ops("PATCH", &path, Some(&change)).await.expect(200);
}

#[test]
fn storefronts_are_told_buckets_and_numbers_of_few_only() {
    on_both(|app| async move {
        let goods =
            [("MANY", "1.00", 50), ("FEW", "1.00", 3), ("NONE", "1.00", 0), ("LATE", "1.00", 0), ("FILE", "1.00", 0)];
        let shop = Shop::open(&app, &goods).await;
        let all = ["MANY", "FEW", "NONE", "LATE", "FILE", "CUP", "FEW"];
        patch(&app, "LATE", json!({"backorder_policy": "allow"})).await;
        patch(&app, "FILE", json!({"stock_policy": "untracked"})).await;
        let told = |few: (String, Option<i64>)| {
            let (out, late) = (bucket("out", None), bucket("backorder", None));
            vec![bucket("in_stock", None), few.clone(), out.clone(), late, bucket("in_stock", None), out, few]
        };
        // Without the setting there are no few.
        assert_eq!(buckets(&shop, &all).await, told(bucket("in_stock", None)));
        shop.set(json!({"low_stock": 3})).await;
        assert_eq!(buckets(&shop, &all).await, told(bucket("low", Some(3))));
        // What a cart holds is not there for others.
        shop.order(&[("FEW", 1)]).await;
        assert_eq!(buckets(&shop, &["FEW"]).await, [bucket("low", Some(2))]);
        // What lies at a location that is switched off can not be had, and what one owes takes nothing from another.
        location(&app, "bremen", 200).await;
        let line = json!({"sku": "NONE", "location": "bremen", "change": 9, "reason": "test"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
        assert_eq!(buckets(&shop, &["NONE"]).await, [bucket("in_stock", None)]);
        patch(&app, "MANY", json!({"status": "archived"})).await;
        assert_eq!(buckets(&shop, &["MANY"]).await, [bucket("out", None)]);
        shop.store("POST", "/availability", None, Some(&json!({"skus": []}))).await.problem(422, "invalid_value");
        let many: Vec<String> = (0..201).map(|sku| format!("S{sku}")).collect();
        shop.store("POST", "/availability", None, Some(&json!({"skus": many}))).await.problem(422, "invalid_value");
        app.ops("GET", &format!("/channels/{}", shop.channel), None).await.expect(200);
    });
}

#[test]
fn two_hundred_skus_cost_as_many_statements_as_one() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("S0", "1.00", 5)]).await;
        let skus: Vec<String> = (0..200).map(|sku| format!("S{sku}")).collect();
        for sku in &skus[1..] {
            crate::stock::variant(&app, sku).await;
        }
        // Nothing is done beside, but for looks at what is kept in memory: the least of some is its own.
        let least = async |skus: &[String]| {
            let mut least = u64::MAX;
            for _ in 0..5 {
                let before = app.state.db.stats().statements;
                shop.store("POST", "/availability", None, Some(&json!({ "skus": skus }))).await.expect(200);
                least = least.min(app.state.db.stats().statements - before);
            }
            least
        };
        let (one, all) = (least(&skus[..1]).await, least(&skus).await);
        assert!((1..=6).contains(&all) && all <= one, "one SKU takes {one} statements, 200 take {all}");
    });
}

#[test]
fn what_can_be_promised_is_told_day_by_day() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5), ("MUG", "9.90", 0)]).await;
        shop.order(&[("TEE", 2)]).await;
        let days = |days: i64| app.now().plus_seconds(days * 86_400);
        let line = |sku: &str, quantity: i64, day: i64| json!({"sku": sku, "location": "berlin", "quantity": quantity, "expected_at": days(day)});
        let document = |lines: Value| json!({"reference": "PO-1", "lines": lines});
        let put = async |body: Value| app.ops("PUT", "/stock/expected", Some(&body)).await;
        put(document(json!([line("TEE", 4, 2), line("TEE", 6, 2), line("MUG", 7, 1), line("TEE", 9, -3)])))
            .await
            .expect(204);
        let outlook = async |query: &str| app.ops("GET", &format!("/stock/outlook?{query}"), None).await;
        let available = |item: &Value| -> Vec<i64> {
            item["days"].as_array().unwrap().iter().map(|day| day["available"].as_i64().unwrap()).collect()
        };
        let found = outlook("sku=TEE,MUG&days=4").await.expect(200);
        let of = |sku: &str| {
            let mut items = found["items"].as_array().unwrap().iter();
            items.find(|item| item["level"]["sku"] == sku).unwrap().clone()
        };
        assert_eq!((available(&of("TEE")), &of("TEE")["late"]), (vec![3, 3, 13, 13], &json!(9)));
        // There was never any of it, and some are to come.
        assert_eq!(available(&of("MUG")), [0, 7, 7, 7]);
        // What a document says later stands instead of what it said before.
        put(document(json!([line("TEE", 1, 1)]))).await.expect(204);
        let found = outlook("sku=TEE&days=3&location=berlin").await.expect(200);
        assert_eq!(available(&found["items"][0]), [3, 4, 4]);
        put(document(json!([]))).await.expect(204);
        let found = outlook("sku=TEE&days=2").await.expect(200);
        assert_eq!(available(&found["items"][0]), [3, 3]);
        outlook("sku=TEE&days=91").await.problem(400, "invalid_query");
        outlook("sku=").await.problem(400, "invalid_query");
        outlook("sku=TEE&location=moon").await.problem(404, "not_found");
        let wrong = put(document(json!([line("TEE", 0, 1)]))).await.problem(422, "invalid_value");
        assert_eq!(wrong["pointer"], "/lines/0/quantity");
        put(document(json!([line("CUP", 1, 1)]))).await.problem(422, "sku_unknown");
        // Who is limited to another location neither sees this one nor replaces what is to come to it.
        put(document(json!([line("TEE", 1, 1)]))).await.expect(204);
        let other = location(&app, "other", 300).await;
        let mut claims = app.claims(Audience::Staff, "eve", &format!("{} {}", Scope::StockRead, Scope::StockWrite));
        claims.locations = Some(vec![other]);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let headers = [("Authorization", token.as_str())];
        let seen = app.send("GET", "/v1/ops/stock/outlook?sku=TEE", &headers, None).await.expect(200);
        assert_eq!(seen["items"], json!([]));
        let empty = document(json!([]));
        app.send("PUT", "/v1/ops/stock/expected", &headers, Some(&empty)).await.problem(404, "not_found");
    });
}

#[test]
fn a_preorder_is_sold_up_to_its_limit_and_ends_on_its_day() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("BOOK", "19.90", 0)]).await;
        let (from, ends) = (app.now().plus_seconds(30 * 86_400), app.now().plus_seconds(7200));
        let line = json!({
            "sku": "BOOK", "location": "berlin", "kind": "preorder", "limit": 3, "available_from": from, "closes_at": ends
        });
        let set = limit(&app, line.clone()).await.expect(200);
        assert_eq!((&set["items"][0]["beyond"], &set["items"][0]["available"]), (&json!(3), &json!(0)));
        let told = ask(&shop, &["BOOK"]).await;
        assert_eq!(told[0]["status"], "preorder");
        assert_eq!(told[0]["available_from"], json!(from));
        let offers = shop.store("POST", "/offers", None, Some(&json!({"skus": ["BOOK"]}))).await.expect(200);
        assert_eq!(offers["items"][0]["availability"], json!({"in_stock": false, "available": 0, "backorder": true}));
        shop.order(&[("BOOK", 2)]).await;
        assert_eq!(levels(&app, "BOOK").await[0].1, [0, 2, 0, 0, -2]);
        let cart = shop.cart(&[("BOOK", 2)]).await;
        assert_eq!(shop.complete(&cart, "approve").await.problem(409, "out_of_stock")["available"], 1);
        // Goods that come make room for as many more.
        shop.stock_up("BOOK", 2).await;
        assert_eq!(buckets(&shop, &["BOOK"]).await, [bucket("preorder", None)]);
        shop.order(&[("BOOK", 3)]).await;
        assert_eq!(buckets(&shop, &["BOOK"]).await, [bucket("out", None)]);
        // On its day it ends, and what was sold stays sold.
        app.clock.advance_seconds(7201);
        let now = app.now();
        let fresh = vec![kontor::kernel::Id::new(); 5];
        let actor = kontor::kernel::Actor::System("test");
        let ended = app.state.db.write(move |tx| kontor::stock::outlook::close_ended(tx, now, &actor, &fresh)).await;
        // The job beside may have been faster.
        assert!(ended.unwrap() <= 1);
        assert_eq!(levels(&app, "BOOK").await[0].1, [2, 5, 0, 0, -3]);
        shop.stock_up("BOOK", 3).await;
        assert_eq!(buckets(&shop, &["BOOK"]).await, [bucket("out", None)]);
        let over = limit(&app, line).await.problem(422, "invalid_value");
        assert_eq!(over["pointer"], "/lines/0/closes_at");
        sums_agree(&app).await;
    });
}

/// However many buy at once, no more is sold beyond what is there than the limit says; while the limit is changed, too.
#[test]
fn the_limit_of_backorders_holds_however_many_buy_at_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("BOOK", "19.90", 2)]).await;
        let line = |limit: i64| json!({"sku": "BOOK", "location": "berlin", "kind": "backorder", "limit": limit});
        limit(&app, line(4)).await.expect(200);
        let carts = join_all((0..12).map(|_| shop.cart(&[("BOOK", 1)]))).await;
        let bought = join_all(carts.iter().map(|cart| shop.complete(cart, "approve")));
        let (bought, set) = tokio::join!(bought, limit(&app, line(4)));
        set.expect(200);
        let sold = bought.iter().filter(|answer| answer.status == 201).count();
        for refused in bought.iter().filter(|answer| answer.status != 201) {
            assert!(
                refused.text.contains("out_of_stock") || refused.text.contains("cart_incomplete"),
                "{}",
                refused.text
            );
        }
        assert_eq!((sold, levels(&app, "BOOK").await[0].1), (6, [2, 6, 0, 0, -4]));
        sums_agree(&app).await;
    });
}
