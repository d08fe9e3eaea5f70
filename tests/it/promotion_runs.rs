//! What promotions that everybody got have made of prices, before later reductions; and how their times are kept.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    promotions::{eur, percent, plan, promote},
    support::{App, Shop, on_both, on_both_idle},
};

const DAY: i64 = 86_400;

/// The price before and the per cent that a storefront shows, for a SKU.
async fn told(shop: &Shop, sku: &str) -> (Option<String>, Option<i64>) {
    let offers = shop.store("POST", "/offers", None, Some(&json!({"skus": [sku]}))).await.expect(200);
    let offer = &offers["items"][0];
    (offer["prior_price"]["amount"].as_str().map(str::to_owned), offer["reduction_percent"].as_i64())
}

fn says(prior: &str, percent: impl Into<Option<i64>>) -> (Option<String>, Option<i64>) {
    (Some(prior.to_owned()), percent.into())
}

/// A list of the kind `sale` that goes before the everyday one.
async fn sale(app: &App, prices: &[(&str, &str)]) {
    let list = json!({"code": "sale", "name": "Sale", "currency": "EUR", "kind": "sale", "priority": 10});
    let made = app.ops("POST", "/price-lists", Some(&list)).await.expect(201);
    let path = format!("/price-lists/{}/prices", made["id"].as_str().unwrap());
    let rows: Vec<Value> = prices.iter().map(|(sku, amount)| json!({"sku": sku, "unit_price": eur(amount)})).collect();
    app.ops("PUT", &path, Some(&json!({ "rows": rows }))).await.expect(200);
}

async fn order(app: &App, id: &str, command: &str) {
    app.ops("POST", &format!("/promotions/{id}/{command}"), Some(&json!({"despite_warnings": true}))).await.expect(200);
}

async fn pause(app: &App, id: &str) {
    app.ops("POST", &format!("/promotions/{id}/pause"), None).await.expect(200);
}

async fn runs(app: &App, id: &str) -> Vec<Value> {
    app.ops("GET", &format!("/promotions/{id}/runs"), None).await.expect(200)["items"].as_array().unwrap().clone()
}

/// All have cost 100.00 for long. From day 50 to day 57 there is a tenth off all but the CAP, from day 52 to day 54 not, since it is
/// paused. With a coupon the MUG was had for half.
#[test]
fn a_sale_after_a_promotion_is_measured_by_what_that_made_of_the_price() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "100.00", 9), ("CAP", "100.00", 9), ("MUG", "100.00", 9)]).await;
        app.clock.advance_seconds(50 * DAY);
        let half = json!({"gift": percent("50", "lines"),
            "conditions": {"coupon": true, "goods": {"include": [{"skus": ["MUG"]}]}}});
        let half = promote(&app, "half", half).await;
        let tenth = json!({"gift": percent("10", "lines"), "conditions": {"goods": {"exclude": [{"skus": ["CAP"]}]}}});
        let tenth = promote(&app, "tenth", tenth).await;
        app.clock.advance_seconds(2 * DAY);
        pause(&app, &tenth).await;
        app.clock.advance_seconds(2 * DAY);
        order(&app, &tenth, "activate").await;
        app.clock.advance_seconds(3 * DAY);
        app.ops("POST", &format!("/promotions/{tenth}/end"), None).await.expect(200);
        app.clock.advance_seconds(13 * DAY);
        sale(&app, &[("TEE", "80.00"), ("CAP", "80.00"), ("MUG", "95.00")]).await;
        // (90 - 80) / 90 = 11.1 %; (100 - 80) / 100 = 20 %; 95 is more than the 90 of the tenth, and the coupon counts for nothing.
        assert_eq!(told(&shop, "TEE").await, says("90.00", 11));
        assert_eq!(told(&shop, "CAP").await, says("100.00", 20));
        assert_eq!(told(&shop, "MUG").await, (None, None));
        let report = app.ops("GET", "/sale-prices?borne_out=false", None).await.expect(200);
        let found: Vec<(&Value, &Value)> = report["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (&row["sku"], &row["prior_price"]["amount"]))
            .collect();
        assert_eq!(found, [(&json!("TEE"), &json!("90.00")), (&json!("MUG"), &json!("90.00"))], "{report}");
        // Its times are kept, with who began and ended each; that with a coupon has none.
        let kept = runs(&app, &tenth).await;
        let times: Vec<(i64, bool)> =
            kept.iter().map(|run| (run["run_no"].as_i64().unwrap(), run["ended_at"].is_null())).collect();
        assert_eq!(times, [(2, false), (1, false)]);
        assert_eq!((&kept[0]["began_by"], &kept[0]["ended_by"]), (&json!("staff:ada"), &json!("staff:ada")));
        assert_eq!(kept[0]["gift"], percent("10", "lines"));
        assert_eq!(runs(&app, &half).await, Vec::<Value>::new());
    });
}

/// The TEE has cost 100.00 for long, and 80.00 in a sale from day 50 on. From day 60 to day 67 there is a tenth off that.
#[test]
fn a_promotion_within_a_sale_is_a_step_of_it() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "100.00", 9)]).await;
        app.clock.advance_seconds(50 * DAY);
        sale(&app, &[("TEE", "80.00")]).await;
        assert_eq!(told(&shop, "TEE").await, says("100.00", 20));
        app.clock.advance_seconds(10 * DAY);
        let goods = json!({"include": [{"skus": ["TEE"]}]});
        let until = app.now().plus_seconds(7 * DAY);
        let rule = json!({"gift": percent("10", "lines"), "conditions": {"goods": goods}, "valid_until": until});
        let tenth = promote(&app, "tenth", rule).await;
        // The list is reduced by 20 %, and the row of the promotion by 10 % of what it cost right before it.
        assert_eq!(told(&shop, "TEE").await, says("100.00", 20));
        let report = app.ops("GET", "/sale-prices", None).await.expect(200);
        let row = report["items"].as_array().unwrap().iter().find(|row| row["promotion"] == "tenth").unwrap().clone();
        assert_eq!(
            (&row["price"], &row["prior_price"], &row["honest_percent"]),
            (&eur("72.00"), &eur("80.00"), &json!(10))
        );
        // Another fifth instead, two days later: it goes on falling, from what it was measured by.
        app.clock.advance_seconds(2 * DAY);
        let fifth = json!({"gift": percent("20", "lines"), "despite_warnings": true});
        app.ops("PATCH", &format!("/promotions/{tenth}"), Some(&fifth)).await.expect(200);
        let report = app.ops("GET", "/sale-prices", None).await.expect(200);
        let row = report["items"].as_array().unwrap().iter().find(|row| row["promotion"] == "tenth").unwrap().clone();
        assert_eq!(
            (&row["price"], &row["prior_price"], &row["honest_percent"]),
            (&eur("64.00"), &eur("80.00"), &json!(20))
        );
        assert_eq!(row["since"], json!(until.plus_seconds(-7 * DAY)));
        // Nobody has ended it: it is over by its validity. 64 was the lowest of the 30 days before 80 is asked for again.
        app.clock.advance_seconds(5 * DAY);
        assert_eq!(told(&shop, "TEE").await, (None, None));
        // What changes neither what it is for nor what it gives is no other run.
        let named = json!({"name": "Another name", "limits": {"uses": 500}});
        app.ops("PATCH", &format!("/promotions/{tenth}"), Some(&named)).await.expect(200);
        let kept: Vec<Value> = runs(&app, &tenth).await.iter().map(|run| run["gift"]["percent"].clone()).collect();
        assert_eq!(kept, [json!("20"), json!("10")]);
    });
}

#[test]
fn whoever_activates_pauses_and_changes_at_once_leaves_one_run_after_the_other() {
    on_both(|app| async move {
        Shop::open(&app, &[("TEE", "100.00", 9)]).await;
        let id = promote(&app, "busy", json!({"gift": percent("10", "lines")})).await;
        let once = |n: usize| {
            let (app, id) = (app.clone(), id.clone());
            async move {
                let path = format!("/promotions/{id}");
                let percents = percent(&(n + 11).to_string(), "lines");
                let change = json!({"gift": percents, "despite_warnings": true});
                let accepted = json!({"despite_warnings": true});
                let answer = match n % 3 {
                    0 => app.ops("POST", &format!("{path}/pause"), None).await,
                    1 => app.ops("POST", &format!("{path}/activate"), Some(&accepted)).await,
                    _ => app.ops("PATCH", &path, Some(&change)).await,
                };
                // Done, or overtaken by another.
                assert!([200, 409].contains(&answer.status), "{answer:?}");
            }
        };
        join_all((0..24).map(once)).await;
        let state = app.ops("GET", &format!("/promotions/{id}"), None).await.expect(200)["state"].clone();
        let mut kept = runs(&app, &id).await;
        kept.reverse();
        let open = kept.iter().filter(|run| run["ended_at"].is_null()).count();
        assert_eq!(open, usize::from(state == "active"), "{kept:?}");
        for pair in kept.windows(2) {
            assert!(pair[0]["ended_at"].as_str().unwrap() <= pair[1]["began_at"].as_str().unwrap(), "{pair:?}");
        }
    });
}

#[test]
fn whoever_has_seen_an_older_version_is_told_so_before_any_warning() {
    on_both(|app| async move {
        Shop::open(&app, &[("TEE", "100.00", 9)]).await;
        let id = plan(&app, "deep", json!({"gift": percent("10", "lines")})).await;
        let path = format!("/promotions/{id}");
        order(&app, &id, "activate").await;
        let deep = json!({"gift": percent("90", "lines")});
        // The version that is there, and a reduction to a tenth: a warning.
        let seen = app.ops("GET", &path, None).await.expect(200);
        let version = seen["version"].as_i64().unwrap();
        let sent = |version: i64| {
            let (app, path, deep) = (app.clone(), path.clone(), deep.clone());
            async move {
                let (token, seen) = (format!("Bearer {}", app.staff()), format!("\"v{version}\""));
                let headers = [("Authorization", token.as_str()), ("If-Match", seen.as_str())];
                app.send("PATCH", &format!("/v1/ops{path}"), &headers, Some(&deep)).await
            }
        };
        sent(version).await.problem(409, "promotion_warnings");
        // An older one: that first.
        sent(version - 1).await.problem(412, "version_stale");
        let unchanged = app.ops("GET", &path, None).await.expect(200);
        assert_eq!(unchanged["version"], seen["version"]);
    });
}
