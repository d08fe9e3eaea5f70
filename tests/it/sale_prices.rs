//! The report of what is sold reduced: promotions that are announced to everybody beside the lists of sales, a page at a time.

use serde_json::{Value, json};

use crate::{
    promotions::{eur, percent, plan, promote},
    repricing::{DAY, many},
    support::{App, Shop, on_both, on_both_idle},
};

async fn report(app: &App, query: &str) -> Value {
    app.ops("GET", &format!("/sale-prices?{query}"), None).await.expect(200)
}

/// SKU and promotion of each row; that is empty where a list reduces it.
fn rows(page: &Value) -> Vec<(&str, &str)> {
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["sku"].as_str().unwrap(), row["promotion"].as_str().unwrap_or_default()))
        .collect()
}

/// The TEE has cost 60.00 for long. The CAP cost 20.00 and was raised to 30.00 ten days before the week at −40 % began.
#[test]
fn a_promotion_for_everybody_is_held_against_the_history_of_prices() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "60.00", 9), ("CAP", "20.00", 9), ("MUG", "10.00", 9)]).await;
        app.clock.advance_seconds(50 * DAY);
        shop.set_price("CAP", "30.00").await;
        app.clock.advance_seconds(10 * DAY);
        let goods = json!({"include": [{"skus": ["TEE", "CAP"]}]});
        let from = app.now();
        let week = json!({"gift": percent("40", "lines"), "conditions": {"goods": goods}, "valid_from": from});
        let week = promote(&app, "week", week).await;
        // None of these is seen by everybody who sees the goods, or names any.
        let hidden = |conditions: Value| json!({"gift": percent("10", "lines"), "conditions": conditions});
        promote(&app, "code", hidden(json!({"coupon": true, "goods": goods}))).await;
        promote(&app, "club", hidden(json!({"customer_groups": ["club"], "goods": goods}))).await;
        promote(&app, "much", hidden(json!({"min_value": eur("500.00"), "goods": goods}))).await;
        promote(&app, "all", hidden(json!({}))).await;
        plan(&app, "draft", hidden(json!({"goods": goods}))).await;
        let seen = report(&app, "").await;
        assert_eq!(rows(&seen), [("TEE", "week"), ("CAP", "week")], "{seen}");
        let (tee, cap) = (&seen["items"][0], &seen["items"][1]);
        assert_eq!(
            (&tee["price"], &tee["everyday_price"], &tee["prior_price"]),
            (&eur("36.00"), &eur("60.00"), &eur("60.00"))
        );
        assert_eq!(
            (&tee["borne_out"], &tee["honest_percent"], &tee["promotion_id"]),
            (&json!(true), &json!(40), &json!(week))
        );
        assert_eq!((&cap["price"], &cap["prior_price"], &cap["since"]), (&eur("18.00"), &eur("20.00"), &json!(from)));
        assert_eq!((&cap["claimed_percent"], &cap["honest_percent"]), (&json!(40), &json!(10)));
        let found = |row: &Value| {
            row["findings"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["code"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(found(cap), ["claim_too_high", "raised_before"]);
        assert_eq!(rows(&report(&app, "borne_out=false").await), [("CAP", "week")]);
        // However long it goes on, it is measured from when it began; what costs more by now claims more.
        app.clock.advance_seconds(40 * DAY);
        shop.set_price("TEE", "80.00").await;
        let seen = report(&app, "").await;
        let (tee, cap) = (&seen["items"][0], &seen["items"][1]);
        assert_eq!(
            (&tee["price"], &tee["prior_price"], found(tee)),
            (&eur("48.00"), &eur("60.00"), vec!["claim_too_high".to_owned()])
        );
        assert_eq!(&cap["prior_price"], &eur("20.00"));
        // A sale beside it is a row of its own, page by page.
        let sale = json!({"code": "sale", "name": "Sale", "currency": "EUR", "kind": "sale", "priority": 10});
        let sale = app.ops("POST", "/price-lists", Some(&sale)).await.expect(201);
        let path = format!("/price-lists/{}/prices", sale["id"].as_str().unwrap());
        app.ops("PUT", &path, Some(&json!({"rows": [{"sku": "TEE", "unit_price": eur("50.00")}]}))).await.expect(200);
        let (mut cursor, mut pages) = (String::new(), Vec::new());
        loop {
            let page = report(&app, &format!("limit=1&count=capped{cursor}")).await;
            assert_eq!(page["count"], 3);
            pages.extend(rows(&page).into_iter().map(|(sku, promotion)| (sku.to_owned(), promotion.to_owned())));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let all = [("TEE", ""), ("TEE", "week"), ("CAP", "week")].map(|(sku, by)| (sku.to_owned(), by.to_owned()));
        assert_eq!(pages, all);
        // When it is over it is no reduction any more.
        app.ops("POST", &format!("/promotions/{week}/end"), None).await.expect(200);
        assert_eq!(rows(&report(&app, "").await), [("TEE", "")]);
    });
}

#[test]
fn a_page_of_the_report_looks_at_so_many_articles_and_may_be_short() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        many(&shop, 1_300).await;
        let ends = json!({"include": [{"skus": ["S0000", "S1299"]}]});
        promote(&app, "ends", json!({"gift": percent("10", "lines"), "conditions": {"goods": ends}})).await;
        let (mut cursor, mut pages, mut found) = (String::new(), 0, Vec::new());
        loop {
            let page = report(&app, &format!("limit=100{cursor}")).await;
            found.extend(rows(&page).into_iter().map(|(sku, _)| sku.to_owned()));
            pages += 1;
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        found.sort_unstable();
        assert_eq!((pages, found), (2, vec!["S0000".to_owned(), "S1299".to_owned()]));
        // Counted it is whole.
        assert_eq!(report(&app, "count=capped").await["count"], 2);
    });
}
