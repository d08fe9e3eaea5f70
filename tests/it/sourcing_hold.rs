//! Orders that no rule of a sourcing profile finds goods for, and that are held until somebody decides.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    fulfilment_moves::{Of, pieces, place},
    inbound::text,
    support::{App, Shop, eventually, on_both, on_both_idle},
};

async fn live(app: &App, document: &Value) {
    let made = json!({"code": "standard", "document": document});
    let made = app.ops("POST", "/sourcing/profiles", Some(&made)).await.expect(201);
    let path = format!("/sourcing/profiles/{}/activate", text(&made["id"]));
    app.ops("POST", &path, None).await.expect(200);
}

async fn works(app: &App, order: &Value) -> Vec<Value> {
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    app.ops("GET", &path, None).await.expect(200)["fulfilment_orders"].as_array().unwrap().clone()
}

fn is_held(work: &Value) -> bool {
    work["holds"].as_array().is_some_and(|holds| !holds.is_empty())
}

/// Lets tees be sold beyond the stock, and a profile hold in Berlin what nobody has.
async fn holds_what_nobody_has(app: &App, shop: &Shop) {
    let found = app.ops("GET", "/variants?sku=TEE", None).await.expect(200);
    let path = format!("/variants/{}", text(&found["items"][0]["id"]));
    app.ops("PATCH", &path, Some(&json!({"backorder_policy": "allow"}))).await.expect(200);
    let document = json!({
        "strategies": [{"name": "what lies there", "limits": {"backorders": false}}],
        "fallback": {"then": "hold", "location": "berlin"},
    });
    live(app, &document).await;
    eventually("the profile is known", || async {
        let asked = json!({"channel_id": shop.channel, "country": "DE", "lines": [{"sku": "TEE", "quantity": 99}]});
        let plan = app.ops("POST", "/sourcing/simulate", Some(&asked)).await;
        plan.text.contains("held")
    })
    .await;
}

#[test]
fn what_nobody_has_is_held_and_planned_anew_when_it_is_released() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0), ("MUG", "9.90", 5)]).await;
        let place =
            json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
        app.ops("POST", "/locations", Some(&place)).await.expect(201);
        holds_what_nobody_has(&app, &shop).await;
        let order = shop.order(&[("TEE", 2), ("MUG", 1)]).await;
        let both = works(&app, &order).await;
        assert_eq!(both.len(), 2, "{both:?}");
        let (held, free): (Vec<Value>, Vec<Value>) = both.into_iter().partition(is_held);
        assert_eq!(
            (held[0]["lines"][0]["sku"].as_str(), free[0]["lines"][0]["sku"].as_str()),
            (Some("TEE"), Some("MUG"))
        );
        assert_eq!(held[0]["holds"][0]["kind"], "sourcing");
        // What is there is shipped meanwhile, what is held is not.
        let path = |work: &Value| format!("/fulfilment-orders/{}", text(&work["id"]));
        app.ops("POST", &format!("{}/ship", path(&free[0])), Some(&json!({}))).await.expect(201);
        app.ops("POST", &format!("{}/pick", path(&held[0])), Some(&json!({}))).await.problem(409, "state_conflict");
        // Somewhere they are found.
        let line = json!({"sku": "TEE", "location": "bremen", "change": 2, "reason": "found"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
        let release = json!({"kind": "sourcing", "reason": "found in Bremen"});
        app.ops("POST", &format!("{}/release", path(&held[0])), Some(&release)).await.expect(200);
        let now = works(&app, &order).await;
        let moved = now.iter().find(|work| work["taken_from"][0] == held[0]["id"]).unwrap_or_else(|| panic!("{now:?}"));
        assert!(!is_held(moved));
        app.ops("POST", &format!("{}/ship", path(moved)), Some(&json!({}))).await.expect(201);
    });
}

#[test]
fn of_two_deliveries_only_that_is_held_whose_pieces_nobody_has() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 1)]).await;
        holds_what_nobody_has(&app, &shop).await;
        let cart = shop.cart(&[("TEE", 2)]).await;
        let granny = json!({"name": "Anne Byron", "street1": "Marktstr. 1", "postcode": "28195", "city": "Bremen", "country": "DE"});
        let both = json!({"deliveries": [{"key": "home"}, {"key": "granny", "address": granny, "method": "standard",
            "lines": [{"line_no": 1, "quantity": 1}]}]});
        let path = format!("/carts/{}/deliveries", cart.id);
        shop.store("PUT", &path, Some(&cart.token), Some(&both)).await.expect(200);
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        let (held, free): (Vec<Value>, Vec<Value>) = works(&app, &order).await.into_iter().partition(is_held);
        assert_eq!((held.len(), free.len()), (1, 1), "{held:?} {free:?}");
        let key = |one: &Value| text(&one["delivery"]["key"]);
        assert_eq!([key(&held[0]), key(&free[0])], ["granny", "home"]);
        let path = format!("/fulfilment-orders/{}/ship", text(&free[0]["id"]));
        app.ops("POST", &path, Some(&json!({}))).await.expect(201);
    });
}

#[test]
fn what_falls_back_to_the_hold_when_it_is_planned_anew_holds_up_nothing_else() {
    // Where jobs are worked on, what is broken is planned anew by itself.
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 1), ("MUG", "9.90", 9)]).await;
        holds_what_nobody_has(&app, &shop).await;
        let placed = Of::new(&shop, &[("TEE", 1), ("MUG", 1)]).await;
        let one = placed.open().await;
        assert!(!is_held(&one), "{one}");
        let line = json!({"sku": "TEE", "location": "berlin", "change": -1, "reason": "broken"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
        // What is held stays where it is, apart from what lies there.
        let planned = placed.post(&one, "replan", json!({"lines": pieces(1)})).await.expect(200);
        let held = planned["moved_to"][0].clone();
        assert_eq!((planned["moved_to"].as_array().unwrap().len(), is_held(&planned)), (1, false), "{planned}");
        assert_eq!((&held["holds"][0]["kind"], &held["location_id"]), (&json!("sourcing"), &one["location_id"]));
        placed.post(&one, "ship", json!({})).await.expect(201);
        // Held already, it is not set apart once more; released, it is somebody's decision.
        let same = placed.post(&held, "replan", json!({})).await.expect(200);
        assert_eq!((&same["moved_to"], is_held(&same)), (&json!([]), true), "{same}");
        let free = placed.post(&held, "release", json!({"kind": "sourcing"})).await.expect(200);
        assert!(!is_held(&free), "{free}");
        // Planned again, it is held as it is: there is nothing beside it.
        let again = placed.post(&held, "replan", json!({})).await.expect(200);
        assert_eq!((&again["moved_to"], is_held(&again)), (&json!([]), true), "{again}");
    });
}

#[test]
fn who_does_without_the_step_of_the_hold_has_it_planned_anew() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        let bremen = place(&app, "bremen", json!({}), &[]).await;
        holds_what_nobody_has(&app, &shop).await;
        let placed = Of::new(&shop, &[("TEE", 2)]).await;
        let held = placed.open().await;
        assert!(is_held(&held), "{held}");
        let line = json!({"sku": "TEE", "location": "bremen", "change": 2, "reason": "found"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
        let skip = json!({"step": "hold", "subject": held["id"], "reason": "found in Bremen"});
        app.ops("POST", &format!("/processes/{}/skip", placed.order), Some(&skip)).await.expect(200);
        let open = placed.open().await;
        assert_eq!((&open["location_id"], is_held(&open)), (&json!(bremen), false), "{open}");
        placed.ship_all().await;
    });
}

#[test]
fn holds_that_are_released_at_once_are_each_released_once_and_planned_anew_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        let bremen = place(&app, "bremen", json!({}), &[]).await;
        holds_what_nobody_has(&app, &shop).await;
        let placed = Of::new(&shop, &[("TEE", 2)]).await;
        let held = placed.open().await;
        placed.post(&held, "hold", json!({"kind": "fraud", "reason": "wait"})).await.expect(200);
        let line = json!({"sku": "TEE", "location": "bremen", "change": 2, "reason": "found"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
        let kinds = ["sourcing", "fraud"].into_iter().cycle().take(8);
        let answers = join_all(kinds.map(|kind| {
            let (placed, held) = (&placed, &held);
            async move { (kind, placed.post(held, "release", json!({"kind": kind})).await) }
        }))
        .await;
        let took = |kind: &str| answers.iter().filter(|(of, answer)| *of == kind && answer.status == 200).count();
        assert!(answers.iter().all(|(_, answer)| matches!(answer.status, 200 | 409)));
        assert_eq!(took("sourcing"), 1);
        assert!(took("fraud") <= 1);
        // All of it is in Bremen, once.
        let open: Vec<Value> = works(&app, &json!({"id": placed.order})).await;
        let open: Vec<&Value> = open.iter().filter(|work| work["state"] != "cancelled").collect();
        assert_eq!((open.len(), &open[0]["location_id"]), (1, &json!(bremen)), "{open:?}");
        assert_eq!(open[0]["lines"][0]["quantity"], json!(2));
        assert!(open[0]["holds"].as_array().is_none_or(|holds| holds.iter().all(|hold| hold["kind"] != "sourcing")));
        if is_held(open[0]) {
            placed.post(open[0], "release", json!({"kind": "fraud"})).await.expect(200);
        }
        placed.ship_all().await;
    });
}

#[test]
fn rules_for_orders_that_there_are_not_are_refused() {
    on_both(|app| async move {
        Shop::open(&app, &[]).await;
        let money = |amount: &str, currency: &str| json!({"amount": amount, "currency": currency});
        for (when, pointer) in [
            (json!({"min_value": money("10.00", "EUR"), "max_value": money("9.99", "EUR")}), "max_value"),
            (json!({"min_value": money("10.00", "EUR"), "max_value": money("20.00", "USD")}), "max_value"),
            (json!({"min_weight_grams": 10, "max_weight_grams": 9}), "max_weight_grams"),
        ] {
            let new = json!({"code": "odd", "document": {"strategies": [{"name": "one", "when": when}]}});
            let problem = app.ops("POST", "/sourcing/profiles", Some(&new)).await.problem(422, "invalid_value");
            assert_eq!(problem["pointer"], format!("/document/strategies/0/when/{pointer}"));
        }
        let new = json!({"code": "odd", "document": {"strategies": [{"name": "one"}], "fallback": {"then": "hold"}}});
        let problem = app.ops("POST", "/sourcing/profiles", Some(&new)).await.problem(422, "invalid_value");
        assert_eq!(problem["pointer"], "/document/fallback/location");
    });
}
