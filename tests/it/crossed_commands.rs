//! Commands that cross each other: whichever comes first, nothing is sold, sent or told twice, and nothing is left half done.

use std::collections::HashMap;

use diesel::sql_types::Text;
use futures::future::{join, join_all};
use kontor::db::{Doc, DocSql, sql};
use serde_json::{Value, json};

use crate::{
    bundles::{minor, text, with_set},
    channel_safety::second,
    support::{Answer, App, Cart, Shop, on_both, on_both_idle},
};

/// The one fulfilment order of an order.
async fn work(app: &App, order: &Value) -> String {
    let found = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
    text(&found["fulfilment_orders"][0]["id"]).to_owned()
}

async fn ship_of_lot(app: &App, work: &str, lot: &str) -> Answer {
    let body = json!({"lots": [{"line_no": 1, "lot": lot, "quantity": 1}]});
    app.ops("POST", &format!("/fulfilment-orders/{work}/ship"), Some(&body)).await
}

/// A lot of so many milks in Berlin; its id.
async fn lot(app: &App, number: &str, pieces: i64) -> String {
    let line = json!({"sku": "MILK", "location": "berlin", "lot": number, "quantity": pieces});
    app.ops("POST", "/lots", Some(&json!({"reference": "GR-1", "lines": [line]}))).await.expect(200);
    let found = app.ops("GET", "/lots?sku=MILK", None).await.expect(200);
    let own = found["items"].as_array().unwrap().iter().find(|one| one["number"] == number).unwrap();
    text(&own["id"]).to_owned()
}

/// How many pieces of a lot lie there, and how many have left, by those who were sent some.
async fn of_lot(app: &App, id: &str) -> (i64, i64) {
    let found = app.ops("GET", "/lots?sku=MILK", None).await.expect(200);
    let own = found["items"].as_array().unwrap().iter().find(|one| text(&one["id"]) == id);
    let lies = own.map_or(0, |one| one["quantity"].as_i64().unwrap());
    let page = app.ops("GET", &format!("/lots/{id}/receivers?limit=200"), None).await.expect(200);
    let left = page["items"].as_array().unwrap().iter().map(|one| one["quantity"].as_i64().unwrap()).sum();
    (lies, left)
}

#[test]
fn a_lot_that_is_named_leaves_once_however_many_ship_it_at_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MILK", "1.90", 12)]).await;
        let id = lot(&app, "A", 3).await;
        let mut works = Vec::new();
        for _ in 0..6 {
            works.push(work(&app, &shop.order(&[("MILK", 1)]).await).await);
        }
        // Each twice at once.
        let answers = join_all(works.iter().chain(&works).map(|work| ship_of_lot(&app, work, "A"))).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert!(statuses.iter().all(|status| matches!(status, 201 | 409)), "{answers:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 3, "{statuses:?}");
        assert_eq!(of_lot(&app, &id).await, (0, 3));
        // Those that were refused leave with what is in no lot.
        for work in &works {
            let found = app.ops("GET", &format!("/fulfilment-orders/{work}"), None).await.expect(200);
            if found["state"] != "shipped" {
                app.ops("POST", &format!("/fulfilment-orders/{work}/ship"), Some(&json!({}))).await.expect(201);
            }
        }
        let level = app.ops("GET", "/stock/levels?sku=MILK", None).await.expect(200)["items"][0].clone();
        assert_eq!((&level["on_hand"], &level["allocated"]), (&json!(6), &json!(0)));
    });
}

#[test]
fn what_is_blocked_while_it_is_shipped_has_left_before_or_stays() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MILK", "1.90", 24)]).await;
        for round in 0..3 {
            let number = format!("L{round}");
            let id = lot(&app, &number, 4).await;
            let mut works = Vec::new();
            for _ in 0..4 {
                works.push(work(&app, &shop.order(&[("MILK", 1)]).await).await);
            }
            let change = json!({"state": "blocked", "reason": "notice 114"});
            let path = format!("/lots/{id}");
            let (shipped, blocked) = join(
                join_all(works.iter().map(|work| ship_of_lot(&app, work, &number))),
                app.ops("PATCH", &path, Some(&change)),
            )
            .await;
            blocked.expect(200);
            assert!(shipped.iter().all(|answer| matches!(answer.status, 201 | 409)), "{shipped:?}");
            let gone = shipped.iter().filter(|answer| answer.status == 201).count() as i64;
            assert_eq!(of_lot(&app, &id).await, (4 - gone, gone), "round {round}");
            // What is blocked is withheld from the level, and none of it leaves any more.
            let level = app.ops("GET", "/stock/levels?sku=MILK", None).await.expect(200)["items"][0].clone();
            let withheld: i64 = level["withheld"].as_i64().unwrap();
            app.ops("PATCH", &path, Some(&json!({"state": "available"}))).await.expect(200);
            let level = app.ops("GET", "/stock/levels?sku=MILK", None).await.expect(200)["items"][0].clone();
            assert_eq!(withheld - level["withheld"].as_i64().unwrap(), 4 - gone, "round {round}");
            for (work, answer) in works.iter().zip(&shipped).filter(|(_, answer)| answer.status == 409) {
                assert!(
                    answer.text.contains("state_conflict") || answer.text.contains("stock_negative"),
                    "{}",
                    answer.text
                );
                ship_of_lot(&app, work, &number).await.expect(201);
            }
            assert_eq!(of_lot(&app, &id).await, (0, 4), "round {round}");
        }
    });
}

async fn wait(shop: &Shop, email: &str) {
    let body = json!({"sku": "TEE", "email": email, "consent": true});
    shop.store("POST", "/back-in-stock", None, Some(&body)).await.expect(202);
}

/// As many waves as are due, as the schedule tells them.
async fn look(app: &App) {
    kontor::process::runner(&app.state).run_all_turns().await.unwrap();
}

/// Address, id and token of those who wait.
async fn tokens(app: &App) -> Vec<(String, String, String)> {
    let found = app.read(|tx| {
        let query = "SELECT aggregate_id, personal FROM events WHERE type = 'back_in_stock.subscribed.v1' \
                     AND personal IS NOT NULL ORDER BY id";
        sql(query).load::<(Text, DocSql), (String, Doc<Value>)>(tx)
    });
    let row = |(id, Doc(personal)): (String, Doc<Value>)| {
        (text(&personal["email"]).to_owned(), id, text(&personal["end_token"]).to_owned())
    };
    found.await.into_iter().map(row).collect()
}

/// Who was told, by the log; and of whom anything is told still.
async fn said(app: &App) -> (Vec<String>, Vec<String>) {
    let found = app.read(|tx| {
        let query = "SELECT type, aggregate_id, CASE WHEN personal IS NULL THEN 'gone' ELSE 'there' END FROM events \
                     WHERE type LIKE 'back_in_stock.%'";
        sql(query).load::<(Text, Text, Text), (String, String, String)>(tx)
    });
    let found = found.await;
    let told = found.iter().filter(|(kind, ..)| kind == "back_in_stock.told.v1").map(|(_, id, _)| id.clone()).collect();
    let personal = found.into_iter().filter(|(.., personal)| personal == "there").map(|(_, id, _)| id).collect();
    (told, personal)
}

async fn states(app: &App) -> HashMap<String, String> {
    let page = app.ops("GET", "/back-in-stock?limit=200", None).await.expect(200);
    let one = |one: &Value| (text(&one["id"]).to_owned(), text(&one["state"]).to_owned());
    page["items"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn who_ends_their_waiting_while_they_are_told_was_told_once_or_is_forgotten() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "20.00", 0)]).await;
        for n in 0..12 {
            wait(&shop, &format!("somebody{n}@example.org")).await;
        }
        let waiting = tokens(&app).await;
        assert_eq!(waiting.len(), 12);
        shop.stock_up("TEE", 12).await;
        let ends = waiting.iter().take(6).map(|(_, id, token)| {
            let path = format!("/back-in-stock/{id}?token={token}");
            let shop = shop.clone();
            async move { shop.store("DELETE", &path, None, None).await.status }
        });
        let (ended, _) = join(join_all(ends), join_all((0..3).map(|_| look(&app)))).await;
        assert_eq!(ended, [204; 6]);
        look(&app).await;
        let ((told, personal), states) = (said(&app).await, states(&app).await);
        for (place, (email, id, _)) in waiting.iter().enumerate() {
            let times = told.iter().filter(|one| *one == id).count();
            match states.get(id).map(String::as_str) {
                Some("told") => assert_eq!(times, 1, "{email}"),
                // What has ended is forgotten, and was never told.
                None => assert!(place < 6 && times == 0 && !personal.contains(id), "{email} {times}"),
                other => panic!("{email}: {other:?}"),
            }
        }
    });
}

#[test]
fn nothing_tells_of_who_was_erased_while_they_were_told() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "20.00", 0)]).await;
        for n in 0..12 {
            wait(&shop, &format!("somebody{n}@example.org")).await;
        }
        let waiting = tokens(&app).await;
        shop.stock_up("TEE", 12).await;
        let erase = waiting.iter().step_by(2).map(|(email, ..)| {
            let (app, body) = (app.clone(), json!({ "email": email }));
            async move { app.ops("POST", "/guests/erase", Some(&body)).await.expect(200) }
        });
        join(join_all(erase), join_all((0..3).map(|_| look(&app)))).await;
        look(&app).await;
        let ((told, personal), states) = (said(&app).await, states(&app).await);
        for (place, (email, id, _)) in waiting.iter().enumerate() {
            let times = told.iter().filter(|one| *one == id).count();
            match place.is_multiple_of(2) {
                true => assert!(times <= 1 && !personal.contains(id) && !states.contains_key(id), "{email} {times}"),
                false => assert_eq!((times, states[id].as_str()), (1, "told"), "{email}"),
            }
        }
    });
}

async fn keep_back(app: &App, channel: &str, pieces: i64) -> Answer {
    let line = json!({"sku": "TEE", "channel_id": channel, "location": "berlin", "pieces": pieces});
    app.ops("PUT", "/stock/channel-safety", Some(&json!({"lines": [line]}))).await
}

#[test]
fn what_a_channel_leaves_to_others_is_one_number_however_many_say_it_at_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let market = second(&shop).await;
        let said = join_all((1..=8).map(|pieces| keep_back(&app, &market.channel, pieces))).await;
        assert!(said.iter().all(|answer| answer.status == 200), "{said:?}");
        let page = app.ops("GET", "/stock/channel-safety?sku=TEE", None).await.expect(200);
        let kept: Vec<i64> =
            page["items"].as_array().unwrap().iter().map(|one| one["pieces"].as_i64().unwrap()).collect();
        assert!(matches!(kept.as_slice(), [1..=8]), "{page}");
        // Its end beside another beginning: there is one or none.
        join_all([0, 5, 0, 6].map(|pieces| keep_back(&app, &market.channel, pieces))).await;
        let page = app.ops("GET", "/stock/channel-safety?sku=TEE", None).await.expect(200);
        assert!(page["items"].as_array().unwrap().len() <= 1, "{page}");
    });
}

#[test]
fn what_is_left_to_others_while_orders_are_placed_counts_for_those_after_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        let market = second(&shop).await;
        let mut carts = Vec::new();
        for _ in 0..9 {
            carts.push(market.cart(&[("TEE", 1)]).await);
        }
        let last = carts.pop().unwrap();
        let (bought, kept) = join(
            join_all(carts.iter().map(|cart| market.complete(cart, "approve"))),
            keep_back(&app, &market.channel, 6),
        )
        .await;
        kept.expect(200);
        assert!(bought.iter().all(|answer| matches!(answer.status, 201 | 409)), "{bought:?}");
        let sold = bought.iter().filter(|answer| answer.status == 201).count();
        assert!((4..=8).contains(&sold), "{sold}");
        // Of ten pieces six are left to others from then on.
        market.complete(&last, "approve").await.problem(409, "out_of_stock");
        let level = app.ops("GET", "/stock/levels?sku=TEE", None).await.expect(200)["items"][0].clone();
        assert_eq!(level["allocated"], json!(sold));
        // The others' are theirs.
        let rest = 10 - sold as i64;
        shop.order(&[("TEE", rest)]).await;
    });
}

/// The recipe of each bundle of an order: SKUs with how many are in one.
fn recipe(order: &Value) -> Vec<(String, i64)> {
    let of = |line: &Value| Some((text(&line["sku"]).to_owned(), line["bundle"]["per_bundle"].as_i64()?));
    let mut parts: Vec<(String, i64)> = order["lines"].as_array().unwrap().iter().filter_map(of).collect();
    parts.sort();
    parts
}

#[test]
fn an_order_has_one_recipe_of_its_bundle_whole_whoever_changes_it_meanwhile() {
    on_both(|app| async move {
        // Ten mugs and six tees: enough for some of them only.
        let shop = with_set(&app, 6, 16).await;
        let set = app.ops("GET", "/variants?sku=SET", None).await.expect(200)["items"][0].clone();
        let path = format!("/variants/{}", text(&set["id"]));
        let recipes = [
            json!([{"sku": "MUG", "quantity": 3}]),
            json!([{"sku": "TEE", "quantity": 1}, {"sku": "MUG", "quantity": 2}]),
        ];
        let whole: [Vec<(String, i64)>; 2] =
            [vec![("MUG".to_owned(), 3)], vec![("MUG".to_owned(), 2), ("TEE".to_owned(), 1)]];
        let mut carts: Vec<Cart> = Vec::new();
        for _ in 0..10 {
            carts.push(shop.cart(&[("SET", 1)]).await);
        }
        let change = async {
            for turn in 0..6 {
                let body = json!({"components": recipes[turn % 2]});
                app.ops("PATCH", &path, Some(&body)).await.expect(200);
            }
        };
        let buy = |(place, cart): (usize, &Cart)| {
            let (shop, cart) = (shop.clone(), cart.clone());
            async move {
                if place.is_multiple_of(2) {
                    // Looked at again meanwhile, it may be of another recipe.
                    let body = json!({"locale": "en"});
                    let path = format!("/carts/{}", cart.id);
                    shop.store("PATCH", &path, Some(&cart.token), Some(&body)).await.expect(200);
                }
                shop.complete(&cart, "approve").await
            }
        };
        let (bought, ()) = join(join_all(carts.iter().enumerate().map(buy)), change).await;
        assert!(bought.iter().all(|answer| matches!(answer.status, 201 | 409)), "{bought:?}");
        let orders: Vec<Value> =
            bought.iter().filter(|answer| answer.status == 201).map(|answer| answer.body["order"].clone()).collect();
        assert!((5..=10).contains(&orders.len()), "{}", orders.len());
        let mut taken: HashMap<String, i64> = HashMap::new();
        for order in &orders {
            let parts = recipe(order);
            assert!(whole.contains(&parts), "{parts:?}");
            let gross: i64 = order["lines"].as_array().unwrap().iter().map(|line| minor(&line["gross"])).sum();
            assert_eq!(gross, minor(&order["bundles"][0]["gross"]), "{order}");
            for (sku, pieces) in parts {
                *taken.entry(sku).or_default() += pieces;
            }
        }
        // What is allocated is what the orders have, and never more than lies there.
        for (sku, lies) in [("TEE", 6), ("MUG", 16)] {
            let level = app.ops("GET", &format!("/stock/levels?sku={sku}"), None).await.expect(200)["items"][0].clone();
            let of_orders = taken.get(sku).copied().unwrap_or_default();
            assert_eq!((&level["allocated"], &level["on_hand"]), (&json!(of_orders), &json!(lies)), "{sku}");
            assert!(of_orders <= lies);
        }
    });
}
