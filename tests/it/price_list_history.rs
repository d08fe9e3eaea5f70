//! The history of price lists themselves, and the prices of long ago that are reckoned by it.

use futures::future::join_all;
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{App, Shop, on_both};

const DAY: i64 = 86_400;

async fn history(app: &App, list: &str) -> Vec<Value> {
    let page = app.ops("GET", &format!("/price-lists/{list}/history"), None).await.expect(200);
    page["items"].as_array().unwrap().clone()
}

#[test]
fn every_change_of_a_list_is_kept_with_who_made_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        let path = format!("/price-lists/{}", shop.price_list);
        let made = history(&app, &shop.price_list).await;
        assert_eq!((made.len(), &made[0]["from"], &made[0]["version"]), (1, &Value::Null, &json!(1)));
        let token = format!("Bearer {}", app.token(Audience::Staff, "bob", &[Scope::PricesWrite]));
        let headers = [("Authorization", token.as_str()), ("X-Request-Id", "autumn")];
        let change = json!({"priority": 7, "valid_until": "2030-01-01T00:00:00Z"});
        app.send("PATCH", &format!("/v1/ops{path}"), &headers, Some(&change)).await.expect(200);
        let newest = history(&app, &shop.price_list).await[0].clone();
        let of = |side: &str, field: &str| newest[side][field].clone();
        assert_eq!((of("from", "priority"), of("to", "priority")), (json!(0), json!(7)));
        assert_eq!((of("from", "valid_until"), of("to", "valid_until")), (Value::Null, json!("2030-01-01T00:00:00Z")));
        assert_eq!((&newest["actor"], &newest["reference"]), (&json!("staff:bob"), &json!("autumn")));
        // What stays as it is is no change; a change that is refused leaves nothing.
        app.ops("PATCH", &path, Some(&json!({"priority": 7}))).await.expect(200);
        let wrong = json!({"valid_from": "2031-01-01T00:00:00Z"});
        app.ops("PATCH", &path, Some(&wrong)).await.problem(422, "invalid_value");
        assert_eq!(history(&app, &shop.price_list).await.len(), 2);
        // Many at once: each that was accepted begins where the one before it ended.
        let (app, path) = (&app, &path);
        let sent = (0..10).map(|priority| async move {
            app.ops("PATCH", path, Some(&json!({"priority": 100 + priority}))).await.status
        });
        let accepted = join_all(sent).await.into_iter().filter(|status| *status == 200).count();
        let chain = history(app, &shop.price_list).await;
        assert_eq!(chain.len(), 2 + accepted);
        for pair in chain.windows(2) {
            assert_eq!(pair[0]["from"], pair[1]["to"]);
            assert!(pair[0]["version"].as_i64() > pair[1]["version"].as_i64());
        }
        let now = app.ops("GET", path, None).await.expect(200);
        assert_eq!(chain[0]["to"]["priority"], now["priority"]);
        // Page by page, and nothing of others' lists.
        let page = app.ops("GET", &format!("{path}/history?limit=1"), None).await.expect(200);
        let cursor = page["next_cursor"].as_str().unwrap();
        let next = app.ops("GET", &format!("{path}/history?limit=1&cursor={cursor}"), None).await.expect(200);
        assert_eq!(next["items"][0], chain[1]);
        let own = json!({"code": "own", "name": "Own", "currency": "EUR", "channel_id": shop.channel});
        let own = app.ops("POST", "/price-lists", Some(&own)).await.expect(201);
        let mut claims = app.claims(Audience::Staff, "eve", "prices:read");
        claims.channels = Some(vec![kontor::kernel::ids::ChannelId::new()]);
        let eve = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        for part in ["history", "prices/export"] {
            let theirs = format!("/v1/ops/price-lists/{}/{part}", own["id"].as_str().unwrap());
            app.send("GET", &theirs, &[("Authorization", &eve)], None).await.problem(404, "not_found");
        }
    });
}

#[test]
fn a_list_that_is_used_for_a_second_sale_does_not_hide_the_first() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "100.00", 20)]).await;
        app.clock.advance_seconds(60 * DAY);
        let sale = json!({"code": "sale", "name": "Sale", "currency": "EUR", "kind": "sale", "priority": 10});
        let sale = app.ops("POST", "/price-lists", Some(&sale)).await.expect(201);
        let path = format!("/price-lists/{}", sale["id"].as_str().unwrap());
        let set = async |amount: &str| {
            let row = json!({"rows": [{"sku": "TEE", "unit_price": {"amount": amount, "currency": "EUR"}}]});
            app.ops("PUT", &format!("{path}/prices"), Some(&row)).await.expect(200);
        };
        let told = async || {
            let offers = shop.store("POST", "/offers", None, Some(&json!({"skus": ["TEE"]}))).await.expect(200);
            let item = offers["items"][0].clone();
            (item["prior_price"]["amount"].as_str().map(str::to_owned), item["reduction_percent"].as_i64())
        };
        set("70.00").await;
        assert_eq!(told().await, (Some("100.00".into()), Some(30)));
        app.clock.advance_seconds(5 * DAY);
        app.ops("PATCH", &path, Some(&json!({"valid_until": app.now()}))).await.expect(200);
        app.clock.advance_seconds(10 * DAY);
        // The same list again, from now on: by what it says today it would always have begun now.
        let again = json!({"valid_from": app.now(), "valid_until": null});
        set("80.00").await;
        app.ops("PATCH", &path, Some(&again)).await.expect(200);
        assert_eq!(told().await, (None, None));
        let report = app.ops("GET", "/sale-prices", None).await.expect(200);
        assert_eq!(
            (&report["items"][0]["borne_out"], &report["items"][0]["prior_price"]["amount"]),
            (&json!(false), &json!("70.00"))
        );
    });
}
