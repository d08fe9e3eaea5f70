//! Bundles that come back: cancelled and taken back, whole or in parts, once however many do it.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    bundles::{minor, money, order, ship, text, with_set},
    support::on_both,
};

#[test]
fn bundles_come_back_whole_or_in_parts_and_all_that_was_paid_is_given_back() {
    on_both(|app| async move {
        let shop = with_set(&app, 50, 50).await;
        let placed = shop.order(&[("SET", 3)]).await;
        let id = text(&placed["id"]);
        // Nothing has left yet.
        let back = |bundles: Value| json!({"order": id, "bundles": bundles, "restock": true, "refund": true});
        let one = back(json!([{"line_no": 1, "quantity": 1}]));
        let told = app.ops("POST", "/returns", Some(&one)).await.problem(409, "quantity_exceeded");
        assert_eq!((&told["pointer"], &told["left"]), (&json!("/bundles/0/quantity"), &json!(0)));
        ship(&app, id).await;
        let whole = app.ops("POST", "/returns", Some(&one)).await.expect(201);
        let mut sum = minor(&whole["amount"]);
        assert!((2998..=3000).contains(&sum), "{whole}");
        assert_eq!((whole["lines"].as_array().unwrap().len(), shop.available("MUG").await), (2, 46));
        // A tee alone; then two bundles are not whole any more.
        let tee = json!({"order": id, "lines": [{"line_no": 2, "quantity": 1}], "restock": true, "refund": true});
        sum += minor(&app.ops("POST", "/returns", Some(&tee)).await.expect(201)["amount"]);
        let two = back(json!([{"line_no": 1, "quantity": 1}, {"line_no": 1, "quantity": 1}]));
        let told = app.ops("POST", "/returns", Some(&two)).await.problem(409, "quantity_exceeded");
        assert_eq!((&told["pointer"], &told["left"]), (&json!("/bundles/1/quantity"), &json!(0)));
        let unknown = back(json!([{"line_no": 2, "quantity": 1}]));
        let told = app.ops("POST", "/returns", Some(&unknown)).await.problem(422, "line_unknown");
        assert_eq!(told["pointer"], "/bundles/0/line_no");
        // The one that is whole, and beside it the mugs that are left.
        let mut rest = back(json!([{"line_no": 1, "quantity": 1}]));
        rest["lines"] = json!([{"line_no": 3, "quantity": 2}]);
        sum += minor(&app.ops("POST", "/returns", Some(&rest)).await.expect(201)["amount"]);
        assert_eq!(sum, 8997);
        assert_eq!(money(&app, id, 8997).await, (8997 + 490, 8997));
        assert_eq!((shop.available("TEE").await, shop.available("MUG").await), (50, 50));
        // Without an order there are no bundles.
        let loose = json!({"channel_id": shop.channel, "currency": "EUR", "bundles": [{"line_no": 1, "quantity": 1}]});
        app.ops("POST", "/returns", Some(&loose)).await.problem(422, "missing_field");
        app.ops("POST", "/returns", Some(&json!({"order": id}))).await.problem(422, "invalid_value");
    });
}

#[test]
fn a_return_of_bundles_that_comes_again_is_the_same_only_with_as_many() {
    on_both(|app| async move {
        let shop = with_set(&app, 50, 50).await;
        let placed = shop.order(&[("SET", 3)]).await;
        let id = text(&placed["id"]);
        ship(&app, id).await;
        let back = |lines: Value, bundles: i64| {
            let bundles = json!([{"line_no": 1, "quantity": bundles}]);
            json!({"order": id, "reference": "R-1", "lines": lines, "bundles": bundles, "restock": true})
        };
        let first = app.ops("POST", "/returns", Some(&back(json!([]), 1))).await.expect(201);
        let again = app.ops("POST", "/returns", Some(&back(json!([]), 1))).await.expect(200);
        assert_eq!(again["id"], first["id"]);
        // A set is of three pieces: two sets are other goods, and so is a tee beside one.
        let more = app.ops("POST", "/returns", Some(&back(json!([]), 2))).await.problem(409, "duplicate");
        assert_eq!(more["pointer"], "/bundles");
        let tee = json!([{"line_no": 2, "quantity": 1}]);
        let more = app.ops("POST", "/returns", Some(&back(tee, 1))).await.problem(409, "duplicate");
        assert_eq!(more["pointer"], "/lines");
        // The same pieces, named by their lines.
        let lines = json!([{"line_no": 2, "quantity": 1}, {"line_no": 3, "quantity": 2}]);
        let lines = json!({"order": id, "reference": "R-1", "lines": lines, "restock": true});
        assert_eq!(app.ops("POST", "/returns", Some(&lines)).await.expect(200)["id"], first["id"]);
        assert_eq!(shop.available("TEE").await, 48);
    });
}

#[test]
fn bundles_are_cancelled_whole_or_in_parts() {
    on_both(|app| async move {
        let shop = with_set(&app, 50, 50).await;
        let placed = shop.order(&[("SET", 3), ("TEE", 1)]).await;
        let path = format!("/orders/{}/cancel", text(&placed["id"]));
        let cancel = async |mut what: Value| {
            what["reason"] = json!("second thoughts");
            app.ops("POST", &path, Some(&what)).await
        };
        let quantities = |order: &Value| -> Vec<i64> {
            order["lines"].as_array().unwrap().iter().map(|line| line["cancelled"].as_i64().unwrap()).collect()
        };
        let told = cancel(json!({"bundles": [{"line_no": 1, "quantity": 4}]})).await.problem(409, "quantity_exceeded");
        assert_eq!((&told["pointer"], &told["left"]), (&json!("/bundles/0/quantity"), &json!(3)));
        cancel(json!({"bundles": [{"line_no": 2, "quantity": 1}]})).await.problem(422, "line_unknown");
        cancel(json!({"bundles": [{"line_no": 1, "quantity": 0}]})).await.problem(422, "quantity_invalid");
        cancel(json!({"bundles": []})).await.problem(422, "invalid_value");
        let seen = cancel(json!({"bundles": [{"line_no": 1, "quantity": 1}]})).await.expect(200);
        assert_eq!((quantities(&seen), shop.available("MUG").await), (vec![0, 1, 2], 46));
        // A mug of one, and that bundle is whole no more; the tee that was bought by itself is none of its own.
        let both = json!({"lines": [{"line_no": 4, "quantity": 1}], "bundles": [{"line_no": 1, "quantity": 2}]});
        cancel(both).await.problem(409, "quantity_exceeded");
        let both = json!({"lines": [{"line_no": 4, "quantity": 1}], "bundles": [{"line_no": 1, "quantity": 1}]});
        let seen = cancel(both).await.expect(200);
        assert_eq!(quantities(&seen), [0, 2, 5]);
        let seen = cancel(json!({})).await.expect(200);
        assert_eq!(
            (&seen["state"], seen["payments"][0]["captured"]["amount"].clone()),
            (&json!("cancelled"), json!("0.00"))
        );
        assert_eq!((shop.available("TEE").await, shop.available("MUG").await), (50, 50));
    });
}

#[test]
fn however_many_take_bundles_back_at_once_each_comes_back_once() {
    on_both(|app| async move {
        let shop = with_set(&app, 50, 50).await;
        let (kept, gone) = (shop.order(&[("SET", 3)]).await, shop.order(&[("SET", 3)]).await);
        let cancel = format!("/orders/{}/cancel", text(&kept["id"]));
        let one = json!({"bundles": [{"line_no": 1, "quantity": 1}], "reason": "customer"});
        let part = json!({"lines": [{"line_no": 3, "quantity": 2}], "reason": "customer"});
        let answers =
            join_all((0..8).map(|n| app.ops("POST", &cancel, Some(if n % 2 == 0 { &one } else { &part })))).await;
        for refused in answers.into_iter().filter(|answer| answer.status != 200) {
            // An order of which all is cancelled takes no more of it.
            let code = text(&refused.body["code"]).to_owned();
            assert!(["quantity_exceeded", "state_conflict"].contains(&code.as_str()), "{}", refused.text);
        }
        let seen = order(&app, text(&kept["id"])).await;
        let [tees, mugs] = [0usize, 1].map(|place| seen["lines"][place]["cancelled"].as_i64().unwrap());
        assert!(mugs == 6 && tees <= 3, "{tees} tees, {mugs} mugs");
        assert_eq!((shop.available("TEE").await, shop.available("MUG").await), (44 + tees, 44));
        let id = text(&gone["id"]);
        ship(&app, id).await;
        let back = json!({"order": id, "bundles": [{"line_no": 1, "quantity": 1}], "refund": true, "restock": true});
        let answers = join_all((0..8).map(|_| app.ops("POST", "/returns", Some(&back)))).await;
        let taken: Vec<i64> =
            answers.iter().filter(|one| one.status == 201).map(|one| minor(&one.body["amount"])).collect();
        assert_eq!((taken.len(), taken.iter().sum::<i64>()), (3, 8997));
        for refused in answers.into_iter().filter(|answer| answer.status != 201) {
            refused.problem(409, "quantity_exceeded");
        }
        assert_eq!(money(&app, id, 8997).await, (8997 + 490, 8997));
        // Asked again under the document's own number it is the same return.
        let mut named = json!({"order": text(&shop.order(&[("SET", 1)]).await["id"]), "reference": "RMA-1"});
        ship(&app, text(&named["order"])).await;
        named["bundles"] = json!([{"line_no": 1, "quantity": 1}]);
        let first = app.ops("POST", "/returns", Some(&named)).await.expect(201);
        assert_eq!(app.ops("POST", "/returns", Some(&named)).await.expect(200)["id"], first["id"]);
    });
}
