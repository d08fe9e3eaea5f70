//! Prices of a list that are changed by per cent: which of them, what they become, and what is left as it is.

use futures::future::join_all;
use kontor::db::sql;
use serde_json::{Value, json};

use crate::support::{Shop, on_both};

#[test]
fn what_is_adjusted_is_the_price_that_applies() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 5), ("PIN", "0.90", 5), ("NUT", "0.0040", 5)]).await;
        let list = format!("/price-lists/{}", shop.price_list);
        // Since a moment ago it costs 8.00, whatever stands behind that.
        let eur = |amount: &str| json!({"amount": amount, "currency": "EUR"});
        let row = json!({"sku": "TEE", "unit_price": eur("8.00"), "valid_from": app.now()});
        app.ops("PUT", &format!("{list}/prices"), Some(&json!({"rows": [row]}))).await.expect(200);
        app.clock.advance_seconds(60);
        let path = format!("{list}/adjust");
        let from = app.now().plus_seconds(86_400);
        let adjust = async |more: Value| {
            let mut wanted = json!({"percent": "-10"});
            wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            app.ops("POST", &path, Some(&wanted)).await.expect(200)
        };
        for range in [json!({"min_price": eur("10.00"), "valid_from": from}), json!({"min_price": eur("10.00")})] {
            assert_eq!(adjust(range).await["matched"], 0);
        }
        let low = adjust(json!({"max_price": eur("10.00"), "goods": {"skus": ["TEE"]}})).await;
        assert_eq!((&low["matched"], &low["examples"][0]["to"]), (&json!(1), &eur("7.20")));
        // What would become nothing is left as it is, and told.
        let free = adjust(json!({"ending": eur("0.00"), "dry_run": false})).await;
        assert_eq!(
            (&free["matched"], &free["changed"], &free["examples"][0]["to"]),
            (&json!(3), &json!(1), &eur("7.00"))
        );
        let skipped = json!([{"reason": "would_be_free", "count": 2, "skus": ["NUT", "PIN"]}]);
        assert_eq!(free["skipped"], skipped);
        // A digest is of one list, of what its prices are, and of when they end.
        let looked = async || adjust(json!({"goods": {"skus": ["PIN"]}})).await["digest"].clone();
        let first = looked().await;
        assert_eq!(first, looked().await);
        let until = json!({"sku": "PIN", "unit_price": eur("0.90"), "valid_until": from});
        app.ops("PUT", &format!("{list}/prices"), Some(&json!({"rows": [until]}))).await.expect(200);
        let second = looked().await;
        // Another price that becomes the same is another plan: 0.90 and 0.895 both are 0.81.
        shop.set_price("PIN", "0.90").await;
        let other = json!({"percent": "-10.5", "goods": {"skus": ["PIN"]}});
        let third = app.ops("POST", &path, Some(&other)).await.expect(200);
        assert_eq!(third["examples"][0]["to"], eur("0.81"));
        assert!(first != second && looked().await == first);
        shop.set_price("PIN", "0.91").await;
        let fourth =
            app.ops("POST", &path, Some(&json!({"percent": "-11", "goods": {"skus": ["PIN"]}}))).await.expect(200);
        assert_eq!(fourth["examples"][0]["to"], eur("0.81"));
        assert_ne!(third["digest"], fourth["digest"]);
        // Nothing becomes larger than what could be read again.
        shop.add("PALACE", "1000000000", 1).await;
        let more = json!({"percent": "1000", "goods": {"skus": ["PALACE"]}});
        let refused = app.ops("POST", &path, Some(&more)).await.problem(422, "amount_overflow");
        assert_eq!(refused["pointer"], "/percent");
    });
}

#[test]
fn looking_at_an_adjustment_does_not_wait_for_writers() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 5)]).await;
        let path = format!("/price-lists/{}/adjust", shop.price_list);
        let (entered, inside) = tokio::sync::oneshot::channel();
        let (leave, left) = std::sync::mpsc::channel::<()>();
        let (entered, left) = (std::sync::Mutex::new(Some(entered)), std::sync::Mutex::new(left));
        let db = app.state.db.clone();
        // Somebody writes, and goes on writing until it was looked at.
        let writing = tokio::spawn(async move {
            db.write(move |tx| {
                sql("UPDATE price_lists SET name = name WHERE code = 'base'").execute(tx)?;
                entered.lock().unwrap().take().map(|entered| entered.send(()));
                left.lock().unwrap().recv().map_err(kontor::error::Error::internal)
            })
            .await
        });
        inside.await.unwrap();
        let looked = app.ops("POST", &path, Some(&json!({"percent": "-10"}))).await.expect(200);
        assert_eq!((&looked["applied"], &looked["changed"]), (&json!(false), &json!(1)));
        leave.send(()).unwrap();
        writing.await.unwrap().unwrap();
        // Of several that do what they looked at, one does it.
        let wanted = json!({"percent": "-10", "dry_run": false, "expected": looked["digest"]});
        let all = join_all((0..4).map(|_| app.ops("POST", &path, Some(&wanted)))).await;
        assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 1);
        assert!(all.iter().all(|answer| answer.status == 200 || answer.body["code"] == "compare_failed"));
    });
}
