//! Carts: their lines, what is offered for them, how two become one, and who may see what of them.

use futures::future::join_all;
use kontor::{db::sql, http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{Answer, App, Cart, Shop, eventually, on_both, shop::address};

/// A signed-in shopper's credential.
fn signed_in(app: &App, subject: &str) -> String {
    format!("Bearer {}", app.token(Audience::Customer, subject, &[]))
}

/// A request at the storefront with more headers than the channel's.
async fn send(shop: &Shop, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
    let headers = [&[("Channel-Key", shop.key.as_str())], headers].concat();
    shop.app.send(method, &format!("/v1/store{path}"), &headers, body).await
}

async fn customers_cart(shop: &Shop, who: &str, lines: &Value) -> String {
    let body = json!({ "lines": lines });
    let made = send(shop, "POST", "/carts", &[("Authorization", who)], Some(&body)).await.expect(201);
    text(&made["id"]).to_owned()
}

/// A guest's empty-handed cart: lines and nothing else.
async fn guests_cart(shop: &Shop, body: Value) -> Cart {
    let body = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
    Cart { id: text(&body["id"]).to_owned(), token: text(&body["token"]).to_owned(), body }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// SKUs and quantities, sorted.
fn content(cart: &Value) -> Vec<(String, i64)> {
    let lines = cart["lines"].as_array().unwrap().iter();
    let mut content: Vec<_> =
        lines.map(|line| (text(&line["sku"]).to_owned(), line["quantity"].as_i64().unwrap())).collect();
    content.sort();
    content
}

fn codes(list: &Value) -> Vec<&str> {
    list.as_array().map(|list| list.iter().map(|one| text(&one["code"])).collect()).unwrap_or_default()
}

fn pieces(wanted: &[(&str, i64)]) -> Vec<(String, i64)> {
    wanted.iter().map(|(sku, quantity)| ((*sku).to_owned(), *quantity)).collect()
}

#[test]
fn a_guest_signs_in_and_nothing_of_either_cart_is_lost() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50), ("MUG", "12.50", 50), ("CUP", "3.00", 50)]).await;
        let mine =
            json!([{"sku": "TEE", "quantity": 1}, {"sku": "CUP", "quantity": 2, "metadata": {"engraving": "A"}}]);
        let guest = json!({
            "lines": [{"sku": "TEE", "quantity": 2}, {"sku": "MUG", "quantity": 1}, {"sku": "CUP", "quantity": 1}],
            "email": "ada@example.org", "shipping_address": address(), "metadata": {"gift": true},
        });
        // Whichever of the two was made first.
        for (round, guest_first) in [true, false].into_iter().enumerate() {
            let who = signed_in(&app, &format!("ada-{round}"));
            let (from, into) = if guest_first {
                let from = guests_cart(&shop, guest.clone()).await;
                (from, customers_cart(&shop, &who, &mine).await)
            } else {
                let into = customers_cart(&shop, &who, &mine).await;
                (guests_cart(&shop, guest.clone()).await, into)
            };
            let body = json!({"from": from.id, "from_token": from.token});
            let path = format!("/carts/{into}/merge");
            let merged = send(&shop, "POST", &path, &[("Authorization", &who)], Some(&body)).await.expect(200);
            let whole = pieces(&[("CUP", 1), ("CUP", 2), ("MUG", 1), ("TEE", 3)]);
            assert_eq!(content(&merged), whole);
            assert_eq!((&merged["email"], &merged["metadata"]["gift"]), (&json!("ada@example.org"), &json!(true)));
            assert_eq!(merged["deliveries"][0]["address"]["postcode"], "10115");
            let numbers: Vec<_> = merged["lines"].as_array().unwrap().iter().map(|line| &line["line_no"]).collect();
            assert_eq!(numbers, [1, 2, 3, 4]);
            let over = shop.store("GET", &format!("/carts/{}", from.id), Some(&from.token), None).await.expect(200);
            assert_eq!(over["state"], "merged");
            // Once is enough.
            let again = send(&shop, "POST", &path, &[("Authorization", &who)], Some(&body)).await;
            again.problem(409, "cart_not_open");
        }
    });
}

#[test]
fn a_guests_cart_that_a_customer_opens_becomes_theirs() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50), ("MUG", "12.50", 50)]).await;
        let who = signed_in(&app, "ada");
        let old = customers_cart(&shop, &who, &json!([{"sku": "MUG", "quantity": 1}])).await;
        let guest = shop.cart(&[("TEE", 1)]).await;
        let headers = [("Authorization", who.as_str()), ("Cart-Token", guest.token.as_str())];
        let path = format!("/carts/{}", guest.id);
        let body = json!({ "from": old });
        let merged = send(&shop, "POST", &format!("{path}/merge"), &headers, Some(&body)).await.expect(200);
        assert_eq!(content(&merged), pieces(&[("MUG", 1), ("TEE", 1)]));
        assert!(merged["customer_id"].is_string());
        send(&shop, "GET", &path, &[("Authorization", &who)], None).await.expect(200);
        // The guest's token opens it no more.
        shop.store("GET", &path, Some(&guest.token), None).await.problem(404, "not_found");
    });
}

#[test]
fn a_guests_cart_that_a_customer_writes_to_becomes_theirs_and_so_does_its_order() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        let ada = signed_in(&app, "ada");
        let orders = async || send(&shop, "GET", "/me/orders", &[("Authorization", &ada)], None).await.expect(200);
        let mut wanted = 0;
        let line = |cart: &Cart| format!("/lines/{}", text(&cart.body["lines"][0]["id"]));
        let by_hand = || Some(json!({"payment": {"method": "manual"}}));
        let card = || Some(json!({"payment": {"method": "sandbox", "instrument": "approve"}}));
        // At once with the order, by a provider that is immediate and by one that is asked; or before it.
        for (method, path, body) in [
            ("POST", "/complete".to_owned(), by_hand()),
            ("POST", "/complete".to_owned(), card()),
            ("PATCH", String::new(), Some(json!({"locale": "en"}))),
            ("PATCH", "line".to_owned(), Some(json!({"quantity": 2}))),
            ("POST", "/checkout".to_owned(), None),
        ] {
            let guest = shop.cart(&[("TEE", 1)]).await;
            let own = format!("/carts/{}", guest.id);
            let path = if path == "line" { line(&guest) } else { path };
            let both = [("Authorization", ada.as_str()), ("Cart-Token", guest.token.as_str())];
            // To look at it changes nothing.
            assert_eq!(send(&shop, "GET", &own, &both, None).await.expect(200)["customer_id"], Value::Null);
            let answer = send(&shop, method, &format!("{own}{path}"), &both, body.as_ref()).await;
            assert!(matches!(answer.status, 200 | 201), "{method} {path}: {}", answer.text);
            if path != "/complete" {
                assert!(answer.body["customer_id"].is_string(), "{method} {path}");
                let alone = [("Authorization", ada.as_str())];
                send(&shop, "POST", &format!("{own}/complete"), &alone, card().as_ref()).await.expect(201);
            }
            wanted += 1;
            assert_eq!(orders().await["items"].as_array().unwrap().len(), wanted, "{method} {path}");
            assert!(orders().await["items"][0]["customer_id"].is_string());
            shop.store("GET", &own, Some(&guest.token), None).await.problem(404, "not_found");
        }
        // Neither of the two is enough on its own, nor another cart's token.
        let (guest, other) = (shop.cart(&[("TEE", 1)]).await, shop.cart(&[("TEE", 1)]).await);
        let complete = format!("/carts/{}/complete", guest.id);
        for headers in [
            vec![("Authorization", ada.as_str())],
            vec![("Authorization", ada.as_str()), ("Cart-Token", other.token.as_str())],
        ] {
            send(&shop, "POST", &complete, &headers, card().as_ref()).await.problem(404, "not_found");
        }
        let done = shop.complete(&guest, "approve").await.expect(201);
        assert_eq!(done["order"]["customer_id"], Value::Null);
    });
}

#[test]
fn a_cart_that_is_paid_at_once_by_a_guest_and_their_account_is_one_order_of_one_of_them() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        let ada = signed_in(&app, "ada");
        let pay = json!({"payment": {"method": "sandbox", "instrument": "approve"}});
        for _ in 0..4 {
            let guest = shop.cart(&[("TEE", 1)]).await;
            let path = format!("/carts/{}/complete", guest.id);
            let headers = [("Authorization", ada.as_str()), ("Cart-Token", guest.token.as_str())];
            let headers = &headers;
            let ways = join_all((0..6).map(|n| send(&shop, "POST", &path, &headers[n % 2..], Some(&pay)))).await;
            let orders: std::collections::BTreeSet<(String, String)> = ways
                .iter()
                .filter(|answer| answer.status == 201)
                .map(|answer| (answer.body["order"]["id"].to_string(), answer.body["order"]["customer_id"].to_string()))
                .collect();
            assert_eq!(orders.len(), 1, "{ways:?}");
            // Who comes after it has become the customer's, with its old token alone, does not see it any more.
            assert!(ways.iter().all(|answer| matches!(answer.status, 201 | 404)), "{ways:?}");
        }
        assert_eq!(shop.count("orders").await, 4);
    });
}

#[test]
fn nobody_merges_their_way_into_a_foreign_cart() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        let victim = shop.cart(&[("TEE", 1)]).await;
        let who = signed_in(&app, "mallory");
        let own = customers_cart(&shop, &who, &json!([{"sku": "TEE", "quantity": 1}])).await;
        let guest = shop.cart(&[("TEE", 1)]).await;
        let path = format!("/carts/{}/merge", victim.id);
        for (headers, body) in [
            (vec![("Authorization", who.as_str())], json!({ "from": own })),
            (vec![("Authorization", who.as_str())], json!({"from": guest.id, "from_token": guest.token})),
            (vec![("Cart-Token", guest.token.as_str())], json!({"from": guest.id, "from_token": guest.token})),
            (vec![("Authorization", who.as_str()), ("Cart-Token", guest.token.as_str())], json!({ "from": own })),
        ] {
            send(&shop, "POST", &path, &headers, Some(&body)).await.problem(404, "not_found");
        }
        let path = format!("/carts/{own}/merge");
        let body = json!({"from": victim.id, "from_token": guest.token});
        send(&shop, "POST", &path, &[("Authorization", &who)], Some(&body)).await.problem(404, "not_found");
        let seen = shop.store("GET", &format!("/carts/{}", victim.id), Some(&victim.token), None).await.expect(200);
        assert_eq!((&seen["version"], &seen["customer_id"]), (&json!(1), &Value::Null));
    });
}

#[test]
fn frozen_carts_thaw_when_they_are_merged_and_hold_nothing() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        let (into, from) = (shop.cart(&[("TEE", 2)]).await, shop.cart(&[("TEE", 3)]).await);
        for cart in [&into, &from] {
            shop.store("POST", &format!("/carts/{}/checkout", cart.id), Some(&cart.token), None).await.expect(200);
        }
        assert_eq!(shop.available("TEE").await, 5);
        let body = json!({"from": from.id, "from_token": from.token});
        let path = format!("/carts/{}/merge", into.id);
        let merged = shop.store("POST", &path, Some(&into.token), Some(&body)).await.expect(200);
        assert_eq!((text(&merged["state"]), content(&merged)), ("open", pieces(&[("TEE", 5)])));
        assert_eq!((codes(&merged["changes"]), &merged["frozen_until"]), (vec!["thawed"], &Value::Null));
        assert_eq!(shop.available("TEE").await, 10);
    });
}

#[test]
fn two_carts_that_are_merged_both_ways_at_once_are_one_in_the_end() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 100), ("MUG", "12.50", 100)]).await;
        for _ in 0..4 {
            let (a, b) = (shop.cart(&[("TEE", 1)]).await, shop.cart(&[("MUG", 1)]).await);
            let merges = (0..6).map(|turn| {
                let (into, from) = if turn % 2 == 0 { (a.clone(), b.clone()) } else { (b.clone(), a.clone()) };
                let shop = shop.clone();
                async move {
                    let body = json!({"from": from.id, "from_token": from.token});
                    shop.store("POST", &format!("/carts/{}/merge", into.id), Some(&into.token), Some(&body)).await
                }
            });
            let answers = join_all(merges).await;
            let done: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
            assert_eq!(done.len(), 1, "{answers:?}");
            assert_eq!(content(&done[0].body), pieces(&[("MUG", 1), ("TEE", 1)]));
            for refused in answers.iter().filter(|answer| answer.status != 200) {
                assert_eq!(refused.body["code"], "cart_not_open", "{}", refused.text);
            }
        }
    });
}

#[test]
fn a_cart_that_is_merged_and_completed_at_once_does_one_of_the_two() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 100), ("MUG", "12.50", 100)]).await;
        let (mut merged, mut ordered) = (0, 0);
        for _ in 0..6 {
            let (into, from) = (shop.cart(&[("MUG", 1)]).await, shop.cart(&[("TEE", 1)]).await);
            let body = json!({"from": from.id, "from_token": from.token});
            let path = format!("/carts/{}/merge", into.id);
            let merge = shop.store("POST", &path, Some(&into.token), Some(&body));
            let (merge, complete) = futures::future::join(merge, shop.complete(&from, "approve")).await;
            match (merge.status, complete.status) {
                (200, 409) => merged += 1,
                (409, 201) => ordered += 1,
                _ => panic!("{} and {}", merge.text, complete.text),
            }
        }
        assert_eq!((merged + ordered, shop.count("orders").await), (6, ordered));
    });
}

#[test]
fn lines_are_added_changed_and_removed_by_their_ids() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50), ("MUG", "12.50", 50)]).await;
        let twins = json!({"lines": [{"sku": "TEE", "quantity": 1}, {"sku": "TEE", "quantity": 2}]});
        let cart = guests_cart(&shop, twins).await;
        let token = Some(cart.token.as_str());
        let path = format!("/carts/{}", cart.id);
        let id = |place: usize| text(&cart.body["lines"][place]["id"]).to_owned();
        // Of two lines that are alike the named one goes, and the other keeps its id and number.
        let left = shop.store("DELETE", &format!("{path}/lines/{}", id(0)), token, None).await.expect(200);
        let line = &left["lines"][0];
        assert_eq!((text(&line["id"]), &line["quantity"], &line["line_no"]), (id(1).as_str(), &json!(2), &json!(2)));
        shop.store("DELETE", &format!("{path}/lines/{}", id(0)), token, None).await.problem(404, "not_found");
        let five = json!({"quantity": 5});
        let changed = shop.store("PATCH", &format!("{path}/lines/{}", id(1)), token, Some(&five)).await.expect(200);
        assert_eq!(content(&changed), pieces(&[("TEE", 5)]));
        let more = json!({"sku": "TEE", "quantity": 1});
        let summed = shop.store("POST", &format!("{path}/lines"), token, Some(&more)).await.expect(200);
        assert_eq!((content(&summed), text(&summed["lines"][0]["id"])), (pieces(&[("TEE", 6)]), id(1).as_str()));
        let none = json!({"quantity": 0});
        let empty = shop.store("PATCH", &format!("{path}/lines/{}", id(1)), token, Some(&none)).await.expect(200);
        assert!(content(&empty).is_empty());
        assert!(codes(&empty["problems"]).contains(&"cart_empty"));
        // Adding the same at once, many times: every one counts.
        let lines = format!("{path}/lines");
        let adding = (0..8).map(|_| shop.store("POST", &lines, token, Some(&more)));
        join_all(adding.collect::<Vec<_>>()).await.into_iter().for_each(|answer| drop(answer.expect(200)));
        let seen = shop.store("GET", &path, token, None).await.expect(200);
        assert_eq!(content(&seen), pieces(&[("TEE", 8)]));
    });
}

#[test]
fn pointers_name_what_was_sent() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 1), ("MUG", "12.50", 50)]).await;
        let wrap = json!({"sku": "WRAP", "name": "Gift wrap", "tax_class": "standard", "requires_shipping": false,
            "stock_policy": "untracked"});
        app.ops("POST", "/variants", Some(&wrap)).await.expect(201);
        shop.set_price("WRAP", "2.50").await;
        let cart = shop.cart(&[("WRAP", 1), ("MUG", 1)]).await;
        let (token, path) = (Some(cart.token.as_str()), format!("/carts/{}", cart.id));
        let price = json!({"amount": "1.00", "currency": "EUR"});
        for (body, code, pointer) in [
            (json!({"sku": "NONE", "quantity": 1}), "sku_unknown", "/sku"),
            (json!({"sku": "TEE", "quantity": 0}), "quantity_invalid", "/quantity"),
            (json!({"sku": "TEE", "quantity": 1, "unit_price": price}), "scope_missing", "/unit_price"),
        ] {
            let refused = shop.store("POST", &format!("{path}/lines"), token, Some(&body)).await;
            assert_eq!((text(&refused.body["code"]), text(&refused.body["pointer"])), (code, pointer));
            let lines = json!({"lines": [{"sku": "MUG", "quantity": 1}, body]});
            let refused = shop.store("PATCH", &path, token, Some(&lines)).await;
            let pointer = format!("/lines/1{pointer}");
            assert_eq!((text(&refused.body["code"]), text(&refused.body["pointer"])), (code, pointer.as_str()));
        }
        // A refusal of stock points to the cart's line, whatever is not in stock at all before it.
        let line = json!({"sku": "TEE", "quantity": 2});
        shop.store("POST", &format!("{path}/lines"), token, Some(&line)).await.expect(200);
        let refused = shop.store("POST", &format!("{path}/checkout"), token, None).await.problem(409, "out_of_stock");
        assert_eq!((text(&refused["pointer"]), &refused["line_no"]), ("/lines/2", &json!(3)));
    });
}

#[test]
fn a_stale_version_is_refused_by_every_command_of_a_cart() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        let (cart, other) = (shop.cart(&[("TEE", 1)]).await, shop.cart(&[("TEE", 1)]).await);
        let path = format!("/carts/{}", cart.id);
        let headers = |tag| [("Cart-Token", cart.token.as_str()), ("If-Match", tag)];
        let email = json!({"email": "bob@example.org"});
        send(&shop, "PATCH", &path, &headers("\"v1\""), Some(&email)).await.expect(200);
        let merge = json!({"from": other.id, "from_token": other.token});
        let pay = json!({"payment": {"method": "sandbox"}});
        let commands = [
            ("PATCH", "", Some(&email)),
            ("POST", "/merge", Some(&merge)),
            ("POST", "/checkout", None),
            ("POST", "/complete", Some(&pay)),
        ];
        for (method, command, body) in commands {
            let path = format!("{path}{command}");
            send(&shop, method, &path, &headers("\"v1\""), body).await.problem(412, "version_stale");
        }
        let complete = format!("{path}/complete");
        let order = send(&shop, "POST", &complete, &headers("\"v2\""), Some(&pay)).await.expect(201);
        // Whoever asks again gets the order, though the version has moved.
        let again = send(&shop, "POST", &complete, &headers("\"v2\""), Some(&pay)).await.expect(201);
        assert_eq!(again["order"]["id"], order["order"]["id"]);
    });
}

#[test]
fn a_price_that_was_agreed_is_agreed_for_its_quantity() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        let price = json!({"amount": "5.00", "currency": "EUR"});
        let body = json!({"channel_id": shop.channel, "lines": [{"sku": "TEE", "quantity": 2, "unit_price": price}]});
        let made = app.ops("POST", "/carts", Some(&body)).await;
        assert!(made.header("Location").unwrap().starts_with("/v1/ops/carts/"));
        let made = made.expect(201);
        let (token, path) = (made["token"].as_str(), format!("/carts/{}", text(&made["id"])));
        let line = format!("{path}/lines/{}", text(&made["lines"][0]["id"]));
        let refused = shop.store("PATCH", &line, token, Some(&json!({"quantity": 50}))).await;
        assert_eq!(refused.problem(403, "scope_missing")["pointer"], "/quantity");
        // More of it is to be had for the list's price.
        let more = json!({"sku": "TEE", "quantity": 1});
        let cart = shop.store("POST", &format!("{path}/lines"), token, Some(&more)).await.expect(200);
        assert_eq!((content(&cart), text(&cart["total"]["amount"])), (pieces(&[("TEE", 1), ("TEE", 2)]), "29.90"));
        let rest = shop.store("PATCH", &line, token, Some(&json!({"quantity": 0}))).await.expect(200);
        assert_eq!(rest["total"]["amount"], "19.90");
    });
}

#[test]
fn shipping_is_offered_for_the_country_that_is_charged_for() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        let method = json!({
            "channel_id": shop.channel, "code": "express", "name": "Express", "tax_class": "standard",
            "rates": [{"countries": ["DE"], "price": {"amount": "9.90", "currency": "EUR"}},
                {"countries": ["AT"], "price": {"amount": "19.90", "currency": "EUR"}}]
        });
        app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
        let mut vienna = address();
        vienna["country"] = json!("AT");
        let cart =
            guests_cart(&shop, json!({"lines": [{"sku": "TEE", "quantity": 1}], "billing_address": vienna})).await;
        let (token, path) = (Some(cart.token.as_str()), format!("/carts/{}", cart.id));
        let options = shop.store("GET", &format!("{path}/shipping-options"), token, None).await.expect(200);
        let express = options["items"].as_array().unwrap().iter().find(|option| option["code"] == "express").unwrap();
        assert_eq!((&express["available"], &express["price"]["amount"]), (&json!(true), &json!("19.90")));
        let chosen = json!({"shipping_method": "express"});
        let priced = shop.store("PATCH", &path, token, Some(&chosen)).await.expect(200);
        assert_eq!(priced["totals"]["shipping_total"]["amount"], "19.90");
        shop.store("GET", &format!("{path}/shipping-options"), None, None).await.problem(404, "not_found");
    });
}

#[test]
fn payment_methods_that_can_not_be_used_say_why_and_are_refused() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("GIFT", "0.00", 50)]).await;
        let method = json!({"channel_id": shop.channel, "code": "free", "name": "Free", "tax_class": "standard",
            "rates": [{"countries": ["DE"], "price": {"amount": "0.00", "currency": "EUR"}}]});
        app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
        let body = json!({"lines": [{"sku": "GIFT", "quantity": 1}], "email": "ada@example.org",
            "shipping_address": address(), "shipping_method": "free"});
        let cart = guests_cart(&shop, body).await;
        let path = format!("/carts/{}", cart.id);
        let options = shop.store("GET", &format!("{path}/payment-options"), Some(&cart.token), None).await.expect(200);
        let option = |code: &str| options["items"].as_array().unwrap().iter().find(|it| it["code"] == code).unwrap();
        assert_eq!((&option("manual")["available"], &option("manual")["reason"]), (&json!(true), &Value::Null));
        assert_eq!(option("sandbox")["available"], json!(false));
        let refused = shop.complete(&cart, "approve").await.problem(422, "payment_method_unavailable");
        assert_eq!(
            (&refused["pointer"], &refused["detail"]),
            (&json!("/payment/method"), &option("sandbox")["reason"])
        );
        let pay = json!({"payment": {"method": "manual"}});
        shop.store("POST", &format!("{path}/complete"), Some(&cart.token), Some(&pay)).await.expect(201);

        // A channel does not offer what there is not; one that did before says so.
        let channel = app.ops("GET", &format!("/channels/{}", shop.channel), None).await.expect(200);
        let methods = json!({"settings": {"payment_methods": ["manual", "bitcoin"]}});
        let entity = json!({"code": "other", "name": "Other", "legal_entity_id": channel["legal_entity_id"], "settings": {
            "currencies": ["EUR"], "locales": ["de-DE"], "countries": ["DE"], "time_zone": "Europe/Berlin",
            "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"},
            "payment_methods": methods["settings"]["payment_methods"]}});
        let refused = app.ops("POST", "/channels", Some(&entity)).await.problem(422, "provider_unknown");
        assert!(text(&refused["pointer"]).ends_with("/payment_methods/1"), "{refused}");
    });
}

#[test]
fn a_cart_that_is_left_alone_expires_and_holds_nothing() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        let (open, frozen) = (shop.cart(&[("TEE", 1)]).await, shop.cart(&[("TEE", 2)]).await);
        shop.store("POST", &format!("/carts/{}/checkout", frozen.id), Some(&frozen.token), None).await.expect(200);
        app.clock.advance_seconds(31 * 86_400);
        for cart in [&open, &frozen] {
            let path = format!("/carts/{}", cart.id);
            eventually("the cart has expired", || async {
                let seen = shop.store("GET", &path, Some(&cart.token), None).await.expect(200);
                seen["state"] == "expired"
            })
            .await;
            let email = json!({"email": "bob@example.org"});
            shop.store("PATCH", &path, Some(&cart.token), Some(&email)).await.problem(409, "cart_not_open");
            shop.complete(cart, "approve").await.problem(409, "cart_not_open");
        }
        eventually("its stock is free", || async { shop.available("TEE").await == 10 }).await;
    });
}

#[test]
fn nothing_is_sold_untaxed_by_mistake() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        let book = json!({"sku": "BOOK", "name": "A book", "tax_class": "redcued", "weight_grams": 300});
        app.ops("POST", "/variants", Some(&book)).await.expect(201);
        shop.set_price("BOOK", "10.00").await;
        shop.stock_up("BOOK", 5).await;
        let cart = shop.cart(&[("TEE", 1), ("BOOK", 1)]).await;
        let problem = &cart.body["problems"][0];
        let seen = (text(&problem["code"]), text(&problem["pointer"]), &problem["blocking"]);
        assert_eq!(seen, ("tax_rate_missing", "/lines/1", &json!(true)));
        shop.complete(&cart, "approve").await.problem(422, "cart_incomplete");
        let ask = json!({"skus": ["BOOK", "TEE"]});
        let offers = shop.store("POST", "/offers", None, Some(&ask)).await.expect(200);
        assert_eq!(offers["items"][0]["reason"]["code"], "tax_rate_missing");
        assert_eq!(offers["items"][1]["tax_rate"], "0.19");
        // No tax is due where that has been said.
        let free = json!({"country": "DE", "tax_class": "redcued", "rate": "0"});
        app.ops("POST", "/tax-rates", Some(&free)).await.expect(201);
        let order = shop.complete(&cart, "approve").await.expect(201);
        assert_eq!(order["order"]["lines"][1]["tax"]["amount"], "0.00");
    });
}

#[test]
fn what_a_change_moves_in_tax_and_shipping_is_told() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        let rate = json!({"country": "AT", "tax_class": "reduced", "rate": "0.10"});
        app.ops("POST", "/tax-rates", Some(&rate)).await.expect(201);
        let cart = shop.cart(&[("TEE", 1)]).await;
        let path = format!("/carts/{}", cart.id);
        shop.store("POST", &format!("{path}/checkout"), Some(&cart.token), None).await.expect(200);
        let later = json!({"country": "DE", "tax_class": "standard", "rate": "0.16",
            "valid_from": app.now().plus_seconds(-60).to_string()});
        app.ops("POST", "/tax-rates", Some(&later)).await.expect(201);
        let methods = app.ops("GET", "/shipping-methods", None).await.expect(200);
        let method = format!("/shipping-methods/{}", text(&methods["items"][0]["id"]));
        let rates = json!({"rates": [{"countries": ["DE"], "price": {"amount": "6.90", "currency": "EUR"}}]});
        app.ops("PATCH", &method, Some(&rates)).await.expect(200);
        let email = json!({"email": "bob@example.org"});
        let thawed = shop.store("PATCH", &path, Some(&cart.token), Some(&email)).await.expect(200);
        assert_eq!(codes(&thawed["changes"]), ["tax_changed", "shipping_changed", "tax_changed", "thawed"]);
        let again = shop.store("PATCH", &path, Some(&cart.token), Some(&email)).await.expect(200);
        assert!(codes(&again["changes"]).is_empty());
    });
}

#[test]
fn staff_read_a_cart_whole_and_shoppers_see_no_price_lists() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        let list = json!({"code": "secret-deal", "name": "Deal", "currency": "EUR"});
        let list = app.ops("POST", "/price-lists", Some(&list)).await.expect(201);
        let row = json!({"sku": "TEE", "min_quantity": 10, "unit_price": {"amount": "9.00", "currency": "EUR"}});
        let path = format!("/price-lists/{}/prices", text(&list["id"]));
        app.ops("PUT", &path, Some(&json!({"rows": [row]}))).await.expect(200);
        let cart = shop.cart(&[("TEE", 1)]).await;
        for secret in ["secret-deal", "list base"] {
            assert!(!cart.body.to_string().contains(secret), "{}", cart.body);
        }
        assert_eq!(codes(&cart.body["totals"]["lines"][0]["explanation"]), ["price_list", "tax_rate"]);
        let as_staff = |scope: Scope, method: &'static str| {
            let token = format!("Bearer {}", app.token(Audience::Staff, "eve", &[scope]));
            let (app, path) = (app.clone(), format!("/v1/ops/carts/{}", cart.id));
            async move {
                let body = (method == "PATCH").then(|| json!({"email": "eve@example.org"}));
                app.send(method, &path, &[("Authorization", &token)], body.as_ref()).await
            }
        };
        let seen = as_staff(Scope::OrdersRead, "GET").await;
        assert!(seen.text.contains("secret-deal"), "{}", seen.text);
        as_staff(Scope::OrdersRead, "PATCH").await.problem(403, "scope_missing");
        as_staff(Scope::CatalogRead, "GET").await.problem(403, "scope_missing");
        as_staff(Scope::OrdersWrite, "PATCH").await.expect(200);
    });
}

#[test]
fn a_place_that_owes_goods_takes_nothing_from_another_that_has_them() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 2)]).await;
        let place = json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin"});
        app.ops("POST", "/locations", Some(&place)).await.expect(201);
        let line = json!({"sku": "TEE", "location": "bremen", "change": 3, "reason": "test"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
        let owing = "UPDATE stock_levels SET safety = 4 WHERE on_hand = 2";
        assert_eq!(app.state.db.write(move |tx| sql(owing).execute(tx)).await.unwrap(), 1);
        let ask = json!({"skus": ["TEE"], "quantity": 3});
        let offer = shop.store("POST", "/offers", None, Some(&ask)).await.expect(200)["items"][0].clone();
        assert_eq!(offer["availability"]["available"], 3);
        let cart = shop.cart(&[("TEE", 3)]).await;
        assert_eq!(cart.body["problems"], json!([]));
        shop.complete(&cart, "approve").await.expect(201);
    });
}

#[test]
fn lines_of_one_article_share_what_there_is() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 3)]).await;
        let line = |engraving: &str| json!({"sku": "MUG", "quantity": 2, "metadata": {"engraving": engraving}});
        let body = json!({"lines": [line("Ada"), line("Grace")]});
        let seen = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
        let short: Vec<&Value> =
            seen["problems"].as_array().unwrap().iter().filter(|problem| problem["code"] == "out_of_stock").collect();
        assert_eq!(short.len(), 1, "{seen}");
        assert_eq!(short[0]["pointer"], "/lines/1/quantity");
    });
}
