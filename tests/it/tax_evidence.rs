//! What an order keeps to prove that it was rightly not taxed: the VAT number with what the registry said of it, and that the customer
//! is exempt.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use kontor::{db::sql, http::auth::Audience};
use serde_json::{Value, json};

use crate::{
    promotions::eur,
    support::{App, Deed, Gate, Receiver, Shop, on_both, on_both_set},
    tax::{FRENCH, address, shop, taxed},
};

const UNKNOWN: &str = "FR83404833048";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A registry that can be switched off, and knows one number.
fn registry() -> (Receiver, Arc<AtomicBool>) {
    let down = Arc::new(AtomicBool::new(false));
    let is_down = down.clone();
    let registry = Receiver::start(move |received, _| match &received.head {
        _ if is_down.load(SeqCst) => Deed::HangUp,
        head if head.contains("/ms/FR/vat/40303265045 ") => Deed::Say(
            200,
            json!({"isValid": true, "userError": "VALID", "requestIdentifier": "WAPIAAAAXYZ"}).to_string(),
        ),
        _ => Deed::Say(200, json!({"isValid": false, "userError": "INVALID"}).to_string()),
    });
    (registry, down)
}

async fn cart(shop: &Shop, country: &str, vat_id: Option<&str>) -> Value {
    let body = json!({"lines": [{"sku": "MUG", "quantity": 1}], "email": "ada@example.org", "vat_id": vat_id,
        "shipping_address": address(country), "shipping_method": "standard"});
    shop.store("POST", "/carts", None, Some(&body)).await.expect(201)
}

async fn patch(shop: &Shop, cart: &Value, vat_id: Option<&str>) -> crate::support::Answer {
    let path = format!("/carts/{}", text(&cart["id"]));
    shop.store("PATCH", &path, cart["token"].as_str(), Some(&json!({ "vat_id": vat_id }))).await
}

/// Orders a cart: the order as staff see it.
async fn order(shop: &Shop, cart: &Value) -> Value {
    let (path, pay) = (format!("/carts/{}/complete", text(&cart["id"])), json!({"payment": {"method": "sandbox"}}));
    let placed = shop.store("POST", &path, cart["token"].as_str(), Some(&pay)).await.expect(201);
    let path = format!("/orders/{}", text(&placed["order"]["id"]));
    shop.app.ops("GET", &path, None).await.expect(200)
}

/// Ships to every country that the shop sells to for 4.76.
async fn ship_everywhere(app: &App) {
    let methods = app.ops("GET", "/shipping-methods", None).await.expect(200);
    let path = format!("/shipping-methods/{}", text(&methods["items"][0]["id"]));
    app.ops("PATCH", &path, Some(&json!({"rates": [{"countries": [], "price": eur("4.76")}]}))).await.expect(200);
}

#[test]
fn an_order_keeps_what_the_registry_said_and_when() {
    let (registry, down) = registry();
    on_both_set(
        |settings| settings.tax.vat_registry_url.clone_from(&registry.url),
        |app| {
            let down = &down;
            async move {
                down.store(false, SeqCst);
                let shop = shop(&app, json!({})).await;
                ship_everywhere(&app).await;
                let asked_at = app.now();
                let confirmed = cart(&shop, "FR", Some("fr 40 303 265 045")).await;
                app.clock.advance_seconds(600);
                let placed = order(&shop, &confirmed).await;
                let evidence = json!({"number": FRENCH, "state": "confirmed", "checked_by": "vies", "checked_at": asked_at,
                    "reference": "WAPIAAAAXYZ"});
                assert_eq!((&placed["vat_id"], &placed["tax_treatment"]), (&evidence, &json!("intra_community")));
                assert_eq!((&placed["tax"], &placed["lines"][0]["tax_rate"]), (&eur("0.00"), &json!("0")));
                // The event that tells of the order has it among what erasure reaches, and nowhere else.
                let id = text(&placed["id"]);
                let of_order = "SELECT count(*) FROM events WHERE type = 'order.placed.v1' AND CAST(personal AS TEXT) LIKE \
                                '%WAPIAAAAXYZ%' AND CAST(data AS TEXT) NOT LIKE '%WAPIAAAAXYZ%' AND CAST(data AS TEXT) LIKE ?";
                let like = format!("%{id}%");
                let told = app
                    .read(move |tx| sql(of_order).bind(like.clone()).first::<diesel::sql_types::BigInt, i64>(tx))
                    .await;
                assert_eq!(told, Some(1));
                // An order without a number has no evidence.
                let plain = order(&shop, &cart(&shop, "FR", None).await).await;
                assert_eq!((plain.get("vat_id"), &plain["tax_treatment"]), (None, &json!("destination")));
            }
        },
    );
}

#[test]
fn a_number_that_nobody_has_confirmed_frees_nobody_from_tax() {
    let (registry, down) = registry();
    on_both_set(
        |settings| settings.tax.vat_registry_url.clone_from(&registry.url),
        |app| {
            let down = &down;
            async move {
                let shop = shop(&app, json!({})).await;
                ship_everywhere(&app).await;
                // The registry is away: what is kept says so, taxed is as for anybody, and so is the order.
                down.store(true, SeqCst);
                let open = cart(&shop, "FR", Some(FRENCH)).await;
                assert_eq!(taxed(&open).0, "destination");
                let placed = order(&shop, &open).await;
                let unanswered =
                    json!({"number": FRENCH, "state": "unanswered", "checked_by": "vies", "checked_at": app.now()});
                assert_eq!((&placed["vat_id"], &placed["tax_treatment"]), (&unanswered, &json!("destination")));
                assert_eq!((&placed["lines"][0]["tax_rate"], placed["tax"] != eur("0.00")), (&json!("0.2"), true));
                // Sent again when it answers, it counts, and the evidence is that of then.
                let waiting = cart(&shop, "FR", Some(FRENCH)).await;
                down.store(false, SeqCst);
                app.clock.advance_seconds(60);
                let seen = patch(&shop, &waiting, Some(FRENCH)).await.expect(200);
                assert_eq!((taxed(&seen).0, &seen["vat_id"]["checked_at"]), ("intra_community", &json!(app.now())));
                assert!(!seen["problems"].to_string().contains("vat_id_unconfirmed"), "{seen}");
                // A forged one is refused, whatever it looks like, and what was there before stays.
                for (forged, code) in
                    [(UNKNOWN, "vat_id_refused"), ("FR40303265046", "invalid_value"), ("FR", "invalid_value")]
                {
                    let refused = patch(&shop, &waiting, Some(forged)).await.problem(422, code);
                    assert_eq!(refused["pointer"], "/vat_id");
                }
                let path = format!("/carts/{}", text(&waiting["id"]));
                let kept = shop.store("GET", &path, waiting["token"].as_str(), None).await.expect(200);
                assert_eq!(kept["vat_id"]["number"], FRENCH);
                // One that was taken off leaves nothing behind.
                let without = patch(&shop, &waiting, None).await.expect(200);
                assert_eq!((taxed(&without).0, without.get("vat_id")), ("destination", None));
                assert_eq!(order(&shop, &without_token(&waiting, &without)).await["tax_treatment"], "destination");
                // Nobody says of a number what only a registry says.
                for made_up in [json!({"number": UNKNOWN, "state": "confirmed"}), json!({"number": FRENCH})] {
                    let body = json!({"lines": [], "vat_id": made_up});
                    shop.store("POST", "/carts", None, Some(&body)).await.problem(422, "invalid_value");
                }
                // And within the seller's own country a confirmed number changes nothing.
                let home = order(&shop, &cart(&shop, "DE", Some(FRENCH)).await).await;
                assert_eq!(
                    (&home["tax_treatment"], &home["vat_id"]["state"]),
                    (&json!("domestic"), &json!("confirmed"))
                );
            }
        },
    );
}

#[test]
fn whatever_a_registry_says_that_is_no_answer_counts_as_none() {
    // Silence, an error, what is not its language, a part of an answer, and that the member state is away.
    let answers: [fn() -> Deed; 6] = [
        || Deed::HangUp,
        || Deed::Say(500, json!({"isValid": true}).to_string()),
        || Deed::Say(200, "<html>isValid: true</html>".to_owned()),
        || Deed::Say(200, "{}".to_owned()),
        || Deed::Say(404, String::new()),
        || Deed::Say(200, json!({"isValid": false, "userError": "MS_UNAVAILABLE"}).to_string()),
    ];
    for (place, answer) in answers.into_iter().enumerate() {
        let registry = Receiver::start(move |_, _| answer());
        on_both_set(
            |settings| settings.tax.vat_registry_url.clone_from(&registry.url),
            |app| async move {
                let shop = shop(&app, json!({})).await;
                ship_everywhere(&app).await;
                let placed = order(&shop, &cart(&shop, "FR", Some(FRENCH)).await).await;
                let told = [&placed["vat_id"]["state"], &placed["vat_id"]["checked_by"], &placed["tax_treatment"]];
                assert_eq!(told, [&json!("unanswered"), &json!("vies"), &json!("destination")], "{place}");
                assert!(placed["vat_id"].get("reference").is_none(), "{place}");
            },
        );
    }
}

#[test]
fn a_registry_that_takes_too_long_is_not_waited_for() {
    let gate = Arc::new(Gate::default());
    let shut = gate.clone();
    let registry = Receiver::start(move |_, _| Deed::Wait(shut.clone()));
    on_both_set(
        |settings| {
            settings.tax.vat_registry_url.clone_from(&registry.url);
            settings.tax.vat_registry_seconds = 1;
        },
        |app| async move {
            let shop = shop(&app, json!({})).await;
            let open = cart(&shop, "AT", Some(FRENCH)).await;
            assert_eq!((&open["vat_id"]["state"], taxed(&open).0), (&json!("unanswered"), "destination"));
        },
    );
    gate.open();
}

/// A cart as it is now, with the token that it was made with.
fn without_token(made: &Value, now: &Value) -> Value {
    let mut cart = now.clone();
    cart["token"] = made["token"].clone();
    cart
}

#[test]
fn an_exempt_customers_order_bears_no_tax_and_says_why_everywhere() {
    on_both(|app| async move {
        let shop = shop(&app, json!({"inclusive_prices": "recomputed"})).await;
        let identified = format!("Bearer {}", app.token(Audience::Customer, "embassy", &[]));
        let headers = [("Channel-Key", shop.key.as_str()), ("Authorization", identified.as_str())];
        let send = async |method: &str, path: &str, body: &Value| {
            app.send(method, &format!("/v1/store{path}"), &headers, Some(body)).await
        };
        let me = send("PATCH", "/me", &json!({"name": "Embassy"})).await.expect(200);
        let path = format!("/customers/{}", text(&me["id"]));
        // Customers do not say of themselves that they are.
        send("PATCH", "/me", &json!({"tax_exempt": true})).await.problem(422, "unknown_field");
        app.ops("PATCH", &path, Some(&json!({"tax_exempt": true}))).await.expect(200);
        let body = json!({"lines": [{"sku": "MUG", "quantity": 2}], "email": "embassy@example.org",
            "shipping_address": crate::support::shop::address(), "shipping_method": "standard"});
        let cart = send("POST", "/carts", &body).await.expect(201);
        assert_eq!(taxed(&cart), ("exempt", "0", "24.12", "24.12"));
        let pay = json!({"payment": {"method": "sandbox"}});
        let complete = format!("/carts/{}/complete", text(&cart["id"]));
        let placed = send("POST", &complete, &pay).await.expect(201)["order"].clone();
        // Whatever becomes of them later, this order was of an exempt customer, and the reason stands at each line and at shipping.
        app.ops("PATCH", &path, Some(&json!({"tax_exempt": false}))).await.expect(200);
        let order = app.ops("GET", &format!("/orders/{}", text(&placed["id"])), None).await.expect(200);
        assert_eq!(
            (&order["tax_treatment"], &order["tax"], &order["total"]),
            (&json!("exempt"), &eur("0.00"), &eur("24.12"))
        );
        assert_eq!(
            order["taxes"],
            json!([{"rate": "0", "net": eur("24.12"), "tax": eur("0.00"), "gross": eur("24.12")}])
        );
        for explained in [&order["lines"][0]["explanation"], &order["shipping"]["explanation"]] {
            let steps = explained.as_array().unwrap();
            let why = steps.iter().find(|step| step["code"] == "untaxed").unwrap_or_else(|| panic!("{explained}"));
            assert_eq!(why["text"], "the customer is exempt");
        }
        // The ledger says so too, and has no row of tax.
        let in_ledger = "SELECT count(*) FROM ledger_entries WHERE account = 'revenue' AND treatment = 'exempt' AND rate = '0' \
                         AND tax = 0 AND country = 'DE'";
        assert_eq!(app.count(in_ledger).await, 1);
        assert_eq!(app.count("SELECT count(*) FROM ledger_entries WHERE account = 'tax' AND amount <> 0").await, 0);
        // One piece comes back, without tax as it was sold.
        let work = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
        app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
        let back = json!({"order": order["id"], "lines": [{"line_no": 1, "quantity": 1}], "refund": true});
        let back = app.ops("POST", "/returns", Some(&back)).await.expect(201);
        assert_eq!((&back["lines"][0]["net"], &back["lines"][0]["tax"]), (&eur("10.00"), &eur("0.00")));
        let entity = app.ops("GET", "/legal-entities", None).await.expect(200);
        let path = format!("/legal-entities/{}/tax-sums?quarter=2026-Q1", text(&entity["items"][0]["id"]));
        let rows = app.ops("GET", &path, None).await.expect(200)["items"].clone();
        let row = json!([{"country": "DE", "treatment": "exempt", "rate": "0", "currency": "EUR", "one_stop_shop": false,
            "sold_net": eur("24.12"), "sold_tax": eur("0.00"), "taken_back_net": eur("10.00"), "taken_back_tax": eur("0.00"),
            "net": eur("14.12"), "tax": eur("0.00"), "gross": eur("14.12")}]);
        assert_eq!(rows, row);
        // The next order of theirs is taxed.
        let cart = send("POST", "/carts", &body).await.expect(201);
        assert_eq!(taxed(&cart).0, "domestic");
    });
}
