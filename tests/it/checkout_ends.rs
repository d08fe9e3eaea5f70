//! How attempts to pay end that do not go well: silent providers, lost notifications, stock that is gone, places that are
//! switched off. None is left open unseen, and nothing is promised for nothing.

use futures::future::join_all;
use kontor::{db::sql, http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{App, Cart, Shop, eventually, on_both, on_both_idle};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// The sandbox's name of a payment whose customer has to act.
fn key_of(answer: &Value) -> String {
    text(&answer["action"]["url"]).rsplit('/').next().unwrap().to_owned()
}

async fn tamper(app: &App, statement: &'static str) -> usize {
    app.state.db.write(move |tx| sql(statement).execute(tx)).await.unwrap()
}

async fn state_of(shop: &Shop, cart: &Cart) -> Value {
    shop.store("GET", &format!("/carts/{}", cart.id), Some(&cart.token), None).await.expect(200)
}

async fn freeze(shop: &Shop, cart: &Cart) {
    shop.store("POST", &format!("/carts/{}/checkout", cart.id), Some(&cart.token), None).await.expect(200);
}

async fn by_invoice(shop: &Shop, cart: &Cart) -> crate::support::Answer {
    let body = json!({"payment": {"method": "manual"}});
    shop.store("POST", &format!("/carts/{}/complete", cart.id), Some(&cart.token), Some(&body)).await
}

/// The provider of a cart's payments does as another instrument says.
async fn instrument_becomes(app: &App, cart: &Cart, from: &str, to: &str) {
    let doc = format!("replace(CAST(doc AS TEXT), '{from}', '{to}')");
    let doc = if app.is_postgres() { format!("CAST({doc} AS JSONB)") } else { doc };
    let back = format!("UPDATE payments SET doc = {doc} WHERE cart_id = ?");
    let id: kontor::kernel::ids::CartId = cart.id.parse().unwrap();
    app.state.db.write(move |tx| sql(back.clone()).bind(id).execute(tx)).await.unwrap();
}

/// What the work list of failed payments holds.
async fn failed(app: &App) -> Vec<Value> {
    let found = app.ops("GET", "/worklists/failed_payments", None).await.expect(200);
    found["items"].as_array().unwrap().clone()
}

/// The reservations end as if they had expired and somebody had noticed.
async fn reservations_expire(app: &App) {
    assert!(tamper(app, "UPDATE reservations SET state = 'expired' WHERE state = 'live'").await > 0);
    assert!(tamper(app, "UPDATE stock_levels SET reserved = 0").await > 0);
}

#[test]
fn what_is_counted_and_not_shipped_is_never_oversold_and_is_handed_over() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        let seat = json!({"sku": "SEAT", "name": "A seat", "tax_class": "standard", "requires_shipping": false});
        app.ops("POST", "/variants", Some(&seat)).await.expect(201);
        shop.set_price("SEAT", "50.00").await;
        shop.stock_up("SEAT", 3).await;
        let body = json!({"lines": [{"sku": "SEAT", "quantity": 1}], "email": "ada@example.org"});
        let buyers = (0..9).map(|n| {
            let (shop, body) = (shop.clone(), body.clone());
            async move {
                let made = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
                let cart = Cart { id: text(&made["id"]).into(), token: text(&made["token"]).into(), body: made };
                if n % 3 == 0 {
                    let path = format!("/carts/{}/checkout", cart.id);
                    shop.store("POST", &path, Some(&cart.token), None).await;
                }
                if n % 2 == 0 { by_invoice(&shop, &cart).await } else { shop.complete(&cart, "approve").await }
            }
        });
        let answers = join_all(buyers).await;
        let sold: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
        assert_eq!((sold.len(), shop.available("SEAT").await), (3, 0));
        for refused in answers.iter().filter(|answer| answer.status != 201) {
            assert_eq!(refused.body["code"], "out_of_stock", "{}", refused.text);
        }
        // One is cancelled and its seat sold again; one is handed over, which takes its money.
        let order = |n: usize| text(&sold[n].body["order"]["id"]).to_owned();
        let cancel = json!({"reason": "ill"});
        app.ops("POST", &format!("/orders/{}/cancel", order(0)), Some(&cancel)).await.expect(200);
        assert_eq!(shop.available("SEAT").await, 1);
        let found = app.ops("GET", &format!("/orders/{}/fulfilment", order(1)), None).await.expect(200);
        let fulfilment = text(&found["fulfilment_orders"][0]["id"]);
        let shipped = app.ops("POST", &format!("/fulfilment-orders/{fulfilment}/ship"), Some(&json!({}))).await;
        let shipment = shipped.expect(201);
        let path = format!("/shipments/{}/deliver", text(&shipment["id"]));
        app.ops("POST", &path, Some(&json!({}))).await.expect(200);
        let on_hand = "SELECT CAST(sum(on_hand) AS BIGINT) FROM stock_levels";
        let on_hand = app.read(move |tx| sql(on_hand).first::<diesel::sql_types::BigInt, i64>(tx)).await;
        assert_eq!(on_hand, Some(2));
        let seen = app.ops("GET", &format!("/orders/{}", order(1)), None).await.expect(200);
        assert_eq!(seen["fulfilment_state"], "delivered");
    });
}

#[test]
fn a_checkout_that_came_too_late_is_out_of_stock_and_no_defect() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 1)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        freeze(&shop, &cart).await;
        reservations_expire(&app).await;
        shop.order(&[("TEE", 1)]).await;
        by_invoice(&shop, &cart).await.problem(409, "out_of_stock");
        shop.complete(&cart, "approve").await.problem(409, "out_of_stock");
        assert_eq!((state_of(&shop, &cart).await["state"].as_str(), shop.count("payments").await), (Some("frozen"), 1));
    });
}

#[test]
fn what_a_checkout_has_promised_holds_when_it_is_withdrawn() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let carts = [shop.cart(&[("TEE", 1)]).await, shop.cart(&[("TEE", 1)]).await];
        for cart in &carts {
            freeze(&shop, cart).await;
        }
        let path = format!("/price-lists/{}/prices", shop.price_list);
        let gone = json!({"rows": [], "remove": [{"sku": "TEE", "min_quantity": 1}]});
        app.ops("PUT", &path, Some(&gone)).await.expect(200);
        let methods = app.ops("GET", "/shipping-methods", None).await.expect(200);
        let method = format!("/shipping-methods/{}", text(&methods["items"][0]["id"]));
        app.ops("PATCH", &method, Some(&json!({"active": false}))).await.expect(200);
        let order = shop.complete(&carts[0], "approve").await.expect(201)["order"].clone();
        assert_eq!((text(&order["total"]["amount"]), text(&order["shipping"]["code"])), ("24.80", "standard"));
        by_invoice(&shop, &carts[1]).await.expect(201);
    });
}

#[test]
fn an_attempt_without_an_answer_is_seen_tried_again_and_given_up_by_staff() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 3)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        let other = shop.cart(&[("TEE", 1)]).await;
        for cart in [&cart, &other] {
            assert_eq!(shop.complete(cart, "unreachable").await.expect(202)["result"], "pending");
        }
        assert!(failed(&app).await.is_empty());
        // Each try comes later than the one before: half an hour is enough to be seen.
        eventually("both wait for somebody", || async {
            app.clock.advance_seconds(30);
            failed(&app).await.len() == 2
        })
        .await;
        let item = failed(&app).await[0].clone();
        assert!(text(&item["subject"]).contains("can not be reached"), "{item}");
        let link = text(&item["link"]).strip_prefix("/v1/ops").unwrap().to_owned();
        assert_eq!(app.ops("GET", &link, None).await.expect(200)["state"], "completing");

        // Whoever asks does not wait for the next try: the provider is back.
        assert_eq!(shop.complete(&cart, "approve").await.expect(202)["result"], "pending");
        instrument_becomes(&app, &cart, "unreachable", "approve").await;
        assert_eq!(shop.complete(&cart, "approve").await.expect(201)["result"], "order");

        let path = format!("/carts/{}/give-up-payment", other.id);
        let eve = format!("Bearer {}", app.token(Audience::Staff, "eve", &[Scope::OrdersWrite]));
        let sent = app.send("POST", &format!("/v1/ops{path}"), &[("Authorization", &eve)], Some(&json!({}))).await;
        sent.problem(403, "scope_missing");
        app.ops("POST", &path, Some(&json!({}))).await.problem(409, "state_conflict");
        assert_eq!(state_of(&shop, &other).await["state"], "completing");
        let force = json!({"force": true});
        let all = join_all((0..4).map(|_| app.ops("POST", &path, Some(&force)))).await;
        assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 1, "{all:?}");
        let seen = state_of(&shop, &other).await;
        assert_eq!((text(&seen["state"]), text(&seen["last_decline"]["code"])), ("open", "given_up"));
        // What the provider makes of it nobody knows: that stays to be looked at until the provider has heard of it.
        assert_eq!(failed(&app).await.len(), 1);
        assert_eq!(shop.available("TEE").await, 2);
        shop.complete(&other, "approve").await.expect(201);
        let nobody = format!("/carts/{}/give-up-payment", cart.id);
        app.ops("POST", &nobody, Some(&force)).await.problem(409, "state_conflict");
        instrument_becomes(&app, &other, "unreachable", "approve").await;
        eventually("the provider has heard of the end", || async {
            app.clock.advance_seconds(30);
            failed(&app).await.is_empty()
        })
        .await;
        let (voided, ended) = (
            "SELECT state FROM sandbox_payments WHERE state = 'voided'",
            "SELECT doc->'decline'->>'code' FROM payments WHERE state = 'declined'",
        );
        let read = |query: &'static str| app.read(move |tx| sql(query).first::<diesel::sql_types::Text, String>(tx));
        assert_eq!((read(voided).await.as_deref(), read(ended).await.as_deref()), (Some("voided"), Some("given_up")));
    });
}

#[test]
fn what_the_provider_does_not_give_up_becomes_an_order_yet_or_is_seen() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 4)]).await;
        let kept = || async {
            let cart = shop.cart(&[("TEE", 1)]).await;
            let action = shop.complete(&cart, "redirect_keep").await.expect(202);
            let key = key_of(&action);
            let give_up = format!("/carts/{}/give-up-payment", cart.id);
            app.ops("POST", &give_up, Some(&json!({}))).await.problem(409, "state_conflict");
            assert_eq!(state_of(&shop, &cart).await["state"], "completing");
            (cart, give_up, format!("/sandbox/payments/{key}/approve"))
        };
        // The refusal has left the attempt as it stood.
        let (cart, _, approve) = kept().await;
        app.ops("POST", &approve, None).await.expect(202);
        eventually("the order is there", || async { state_of(&shop, &cart).await["state"] == "completed" }).await;

        let (cart, give_up, approve) = kept().await;
        app.ops("POST", &give_up, Some(&json!({"force": true}))).await.expect(200);
        assert_eq!((text(&state_of(&shop, &cart).await["state"]), failed(&app).await.len()), ("open", 1));
        // It promises the money after all, and keeps the promise: it waits for somebody, and no order came of it.
        app.ops("POST", &approve, None).await.expect(202);
        eventually("the money is seen", || async {
            let list = app.ops("GET", "/worklists/paid_without_order", None).await.expect(200);
            list["items"].as_array().unwrap().len() == 1
        })
        .await;
        assert_eq!((shop.count("orders").await, shop.available("TEE").await), (1, 3));
        instrument_becomes(&app, &cart, "redirect_keep", "redirect").await;
        eventually("the money is given up", || async {
            app.clock.advance_seconds(60);
            let list = app.ops("GET", "/worklists/paid_without_order", None).await.expect(200);
            list["items"].as_array().unwrap().is_empty()
        })
        .await;
    });
}

#[test]
fn a_failed_payment_waits_however_long_until_somebody_says_what_became_of_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 4)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        let action = shop.complete(&cart, "redirect_keep").await.expect(202);
        let payment = format!("/payments/{}", text(&action["action"]["url"]).rsplit('/').next().unwrap());
        let (resolve, said) = (format!("{payment}/resolve"), json!({"reason": "cancelled in the provider's office"}));
        let refused = app.ops("POST", &resolve, Some(&said)).await.problem(409, "state_conflict");
        assert!(text(&refused["detail"]).contains("action_required"), "{refused}");
        let give_up = format!("/carts/{}/give-up-payment", cart.id);
        app.ops("POST", &give_up, Some(&json!({"force": true}))).await.expect(200);
        app.clock.advance_seconds(40 * 86_400);
        let item = failed(&app).await[0].clone();
        let link = text(&item["link"]).strip_prefix("/v1/ops").unwrap().to_owned();
        assert_eq!(link, payment);
        let seen = app.ops("GET", &link, None).await.expect(200);
        assert_eq!(
            (text(&seen["state"]), text(&seen["failure"]["code"]), &seen["cart_id"], &seen["actions"][0]["allowed"]),
            ("failed", "given_up", &json!(cart.id), &json!(true))
        );

        app.ops("POST", &resolve, Some(&json!({}))).await.problem(422, "missing_field");
        app.ops("POST", &resolve, Some(&json!({"reason": " "}))).await.problem(422, "invalid_value");
        let as_who = async |method: &str, path: &str, scopes: &str, channel: Option<&str>| {
            let mut claims = app.claims(Audience::Staff, "eve", scopes);
            claims.channels = channel.map(|channel| vec![channel.parse().unwrap()]);
            let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
            let body = (method == "POST").then_some(&said);
            app.send(method, &format!("/v1/ops{path}"), &[("Authorization", &token)], body).await
        };
        as_who("POST", &resolve, "orders:write", None).await.problem(403, "scope_missing");
        let elsewhere = Some("chan_01h455vb4pex5vsknk084sn02q");
        as_who("POST", &resolve, "payments:write", elsewhere).await.problem(404, "not_found");
        as_who("GET", &payment, "orders:read", elsewhere).await.problem(404, "not_found");
        as_who("GET", &payment, "orders:read", Some(&shop.channel)).await.expect(200);
        assert_eq!(failed(&app).await.len(), 1);

        // Of many who say so at once, one has said it.
        let all = join_all((0..6).map(|_| app.ops("POST", &resolve, Some(&said)))).await;
        assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 1, "{all:?}");
        assert!(failed(&app).await.is_empty());
        let refused = app.ops("POST", &resolve, Some(&said)).await.problem(409, "state_conflict");
        assert!(text(&refused["detail"]).contains("staff:ada"), "{refused}");
        let seen = app.ops("GET", &payment, None).await.expect(200);
        assert_eq!((text(&seen["state"]), &seen["actions"][0]["allowed"]), ("failed", &json!(false)));
        let resolution = |reason: Value| json!({"reason": reason, "by": "staff:ada", "at": app.now()});
        assert_eq!(seen["resolution"], resolution(said["reason"].clone()));
        // An erasure takes the words, and it stays resolved.
        let id: kontor::kernel::ids::CartId = cart.id.parse().unwrap();
        app.state.db.write(move |tx| kontor::payments::erase(tx, &[id])).await.unwrap();
        let seen = app.ops("GET", &payment, None).await.expect(200);
        let mut bare = resolution(Value::Null);
        bare.as_object_mut().unwrap().remove("reason");
        assert_eq!((&seen["resolution"], failed(&app).await.len()), (&bare, 0));
    });
}

#[test]
fn a_payment_is_resolved_once_per_key_and_is_declined_when_its_provider_hears_of_the_end() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 4)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        shop.complete(&cart, "unreachable").await.expect(202);
        let give_up = format!("/carts/{}/give-up-payment", cart.id);
        app.ops("POST", &give_up, Some(&json!({"force": true}))).await.expect(200);
        let item = failed(&app).await[0].clone();
        let resolve = format!("{}/resolve", text(&item["link"]));
        let token = format!("Bearer {}", app.staff());
        let headers = [("Authorization", token.as_str()), ("Idempotency-Key", "once")];
        let said = json!({"reason": "never heard of"});
        let first = app.send("POST", &resolve, &headers, Some(&said)).await.expect(200);
        let again = app.send("POST", &resolve, &headers, Some(&said)).await;
        assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &first));
        instrument_becomes(&app, &cart, "unreachable", "approve").await;
        let payment = text(&item["link"]).strip_prefix("/v1/ops").unwrap().to_owned();
        eventually("the provider has heard of the end", || async {
            app.clock.advance_seconds(60);
            app.ops("GET", &payment, None).await.expect(200)["state"] == "declined"
        })
        .await;
        assert_eq!(app.ops("GET", &payment, None).await.expect(200)["resolution"]["by"], "staff:ada");
    });
}

#[test]
fn an_approval_while_the_provider_is_being_told_of_the_end_comes_too_late() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 4)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        let action = shop.complete(&cart, "redirect_slow_void:2").await.expect(202);
        let key = key_of(&action);
        let (give_up, nothing) = (format!("/carts/{}/give-up-payment", cart.id), json!({}));
        let approved = async {
            eventually("the end is noted", || async {
                let noted = "SELECT count(*) FROM payments WHERE ending = 'given_up'";
                app.read(move |tx| sql(noted).first::<diesel::sql_types::BigInt, i64>(tx)).await == Some(1)
            })
            .await;
            let approve = format!("/sandbox/payments/{key}/approve");
            app.ops("POST", &approve, None).await.expect(202);
        };
        let (ended, ()) = futures::join!(app.ops("POST", &give_up, Some(&nothing)), approved);
        // The notification goes through with the end too: the faster of the two tells of it.
        assert!(matches!(ended.status, 200 | 409), "{ended:?}");
        eventually("the cart is open", || async { state_of(&shop, &cart).await["state"] == "open" }).await;
        let promise = app.ops("GET", &format!("/sandbox/payments/{key}"), None).await.expect(200);
        assert_eq!(
            (text(&promise["state"]), shop.count("orders").await, shop.available("TEE").await),
            ("voided", 0, 4)
        );
    });
}

#[test]
fn of_giving_up_and_approving_at_once_the_money_goes_with_what_comes_of_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 40)]).await;
        let one = || async {
            let cart = shop.cart(&[("TEE", 1)]).await;
            let action = shop.complete(&cart, "redirect").await.expect(202);
            let key = key_of(&action);
            let (give_up, approve) =
                (format!("/carts/{}/give-up-payment", cart.id), format!("/sandbox/payments/{key}/approve"));
            let nothing = json!({});
            let (ended, approved) =
                futures::join!(app.ops("POST", &give_up, Some(&nothing)), app.ops("POST", &approve, None));
            assert!(matches!(ended.status, 200 | 409), "{ended:?}");
            assert!(matches!(approved.status, 202 | 409), "{approved:?}");
            (cart, key)
        };
        for _ in 0..5 {
            for (cart, key) in join_all((0..4).map(|_| one())).await {
                eventually("the attempt is settled", || async {
                    let state = state_of(&shop, &cart).await["state"].clone();
                    let promise = app.ops("GET", &format!("/sandbox/payments/{key}"), None).await.expect(200);
                    // The order has its money, or the money is the customer's again and so is the cart.
                    (text(&state) == "completed" && promise["state"] == "authorised")
                        || (text(&state) == "open" && promise["state"] == "voided")
                })
                .await;
            }
        }
    });
}

#[test]
fn what_was_begun_to_end_is_ended_by_whoever_comes_after() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 4)]).await;
        // Who gave it up died when its end was noted: once before the provider heard of it, which has promised the money
        // since and says so; once after that, and the sweep comes by.
        for meanwhile in [None, Some("UPDATE sandbox_payments SET state = 'voided'")] {
            let cart = shop.cart(&[("TEE", 1)]).await;
            let action = shop.complete(&cart, "redirect").await.expect(202);
            let key = key_of(&action);
            let noted = "UPDATE payments SET ending = 'given_up' WHERE state = 'action_required'";
            assert_eq!(tamper(&app, noted).await, 1);
            if let Some(statement) = meanwhile {
                tamper(&app, statement).await;
                app.clock.advance_seconds(61);
            } else {
                app.ops("POST", &format!("/sandbox/payments/{key}/approve"), None).await.expect(202);
            }
            eventually("the cart is its shopper's again", || async {
                state_of(&shop, &cart).await["last_decline"]["code"] == "given_up"
            })
            .await;
            let promise = app.ops("GET", &format!("/sandbox/payments/{key}"), None).await.expect(200);
            assert_eq!((text(&promise["state"]), shop.count("orders").await), ("voided", 0));
        }
        assert_eq!(shop.available("TEE").await, 4);
    });
}

#[test]
fn staff_end_an_attempt_whose_provider_can_be_told() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 3)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        shop.complete(&cart, "redirect").await.expect(202);
        let path = format!("/carts/{}/give-up-payment", cart.id);
        let headers = [("Authorization", format!("Bearer {}", app.staff())), ("Idempotency-Key", "once".to_owned())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let path = format!("/v1/ops{path}");
        let ended = app.send("POST", &path, &headers, Some(&json!({}))).await.expect(200);
        assert_eq!((text(&ended["result"]), text(&ended["decline"]["code"])), ("payment_failed", "given_up"));
        let again = app.send("POST", &path, &headers, Some(&json!({}))).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert!(failed(&app).await.is_empty());
        assert_eq!((text(&state_of(&shop, &cart).await["state"]), shop.available("TEE").await), ("open", 3));
        // The customer comes back from the bank after all, which was told.
        let known = "SELECT state FROM sandbox_payments";
        let known = app.read(move |tx| sql(known).first::<diesel::sql_types::Text, String>(tx)).await;
        assert_eq!(known.as_deref(), Some("voided"));
    });
}

#[test]
fn a_paid_cart_that_no_place_can_serve_any_more_gives_its_money_up() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 3)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        let away = shop.complete(&cart, "redirect").await.expect(202);
        reservations_expire(&app).await;
        let place = app.ops("GET", "/locations", None).await.expect(200)["items"][0].clone();
        let path = format!("/locations/{}", text(&place["id"]));
        app.ops("PATCH", &path, Some(&json!({"active": false}))).await.expect(200);
        let key = key_of(&away);
        app.ops("POST", &format!("/sandbox/payments/{key}/approve"), None).await.expect(202);
        eventually("the money was given up", || async {
            app.ops("GET", &format!("/sandbox/payments/{key}"), None).await.expect(200)["state"] == "voided"
        })
        .await;
        let seen = state_of(&shop, &cart).await;
        assert_eq!((text(&seen["state"]), text(&seen["last_decline"]["code"])), ("open", "out_of_stock"));
        assert_eq!(shop.count("orders").await, 0);
    });
}

const LOST: &str = "UPDATE sandbox_payments SET state = 'authorised' WHERE state = 'pending'";

#[test]
fn a_lost_notification_is_noticed_within_a_minute_or_two() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 3)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        shop.complete(&cart, "redirect").await.expect(202);
        // The provider is asked, and the customer is still away.
        app.clock.advance_seconds(61);
        let asked = "SELECT count(*) FROM payments WHERE state = 'action_required' AND attempt = 2 AND lease_until > ?";
        eventually("the provider was asked", || async {
            let later = app.now().plus_seconds(45);
            app.read(move |tx| sql(asked).bind(later).first::<diesel::sql_types::BigInt, i64>(tx)).await == Some(1)
        })
        .await;
        assert_eq!(tamper(&app, LOST).await, 1);
        app.clock.advance_seconds(61);
        eventually("the order is there", || async { shop.count("orders").await == 1 }).await;
        shop.complete(&cart, "approve").await.expect(201);
    });
}

#[test]
fn a_shopper_who_comes_back_has_the_provider_asked_at_once() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 3)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        let away = shop.complete(&cart, "redirect").await.expect(202);
        app.clock.advance_seconds(5);
        // Not done yet: the same again, from however many windows.
        let all = join_all((0..5).map(|_| shop.complete(&cart, "redirect"))).await;
        for answer in all {
            assert_eq!(answer.expect(202)["action"], away["action"]);
        }
        assert_eq!(tamper(&app, LOST).await, 1);
        app.clock.advance_seconds(5);
        let answers = join_all((0..5).map(|_| shop.complete(&cart, "redirect"))).await;
        for answer in answers {
            assert_eq!(answer.expect(201)["result"], "order");
        }
        assert_eq!(shop.count("orders").await, 1);
    });
}

#[test]
fn a_decline_that_comes_later_is_read_on_the_cart_and_nothing_is_kept() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 3)]).await;
        let cart = shop.cart(&[("TEE", 1)]).await;
        freeze(&shop, &cart).await;
        // Staff are led to where staff may look.
        let token = format!("Bearer {}", app.staff());
        let headers = [("Authorization", token.as_str()), ("Idempotency-Key", "first")];
        let path = format!("/v1/ops/carts/{}/complete", cart.id);
        let body = json!({"payment": {"method": "sandbox", "instrument": "redirect"}});
        let away = app.send("POST", &path, &headers, Some(&body)).await;
        let there = format!("/v1/ops/carts/{}", cart.id);
        assert_eq!(away.header("location"), Some(there.as_str()));
        let away = away.expect(202);
        let sealed = "SELECT count(*) FROM idempotency_keys WHERE sealed";
        let sealed = app.read(move |tx| sql(sealed).first::<diesel::sql_types::BigInt, i64>(tx)).await;
        assert_eq!(sealed, Some(1));
        let key = key_of(&away);
        app.ops("POST", &format!("/sandbox/payments/{key}/decline"), None).await.expect(202);
        eventually("the cart is open", || async { state_of(&shop, &cart).await["state"] == "open" }).await;
        let seen = state_of(&shop, &cart).await;
        assert_eq!(text(&seen["last_decline"]["code"]), "authentication_failed");
        assert_eq!((&seen["last_decline"]["retryable"], &seen["frozen_until"]), (&json!(true), &Value::Null));
        assert_eq!(shop.available("TEE").await, 3);
        let ordered = app.send("POST", &path, &headers[..1], Some(&json!({"payment": {"method": "manual"}}))).await;
        assert!(ordered.header("location").unwrap().starts_with("/v1/ops/orders/"));
        ordered.expect(201);
        assert_eq!(state_of(&shop, &cart).await["last_decline"], Value::Null);
    });
}
