//! Tax where it is easily got wrong: what is not shipped, what a storefront shows before there is a cart, registries that strangers
//! would use up, and what stays of a VAT number.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use futures::future::join_all;
use kontor::db::sql;
use serde_json::{Value, json};

use crate::{
    promotions::eur,
    support::{Answer, App, Deed, Receiver, Shop, on_both, on_both_set},
    tax::{FRENCH, address, shop, taxed},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

async fn service(app: &App, shop: &Shop, sku: &str, price: &str) {
    let variant = json!({"sku": sku, "name": sku, "tax_class": "standard", "requires_shipping": false, "stock_policy": "untracked"});
    app.ops("POST", "/variants", Some(&variant)).await.expect(201);
    shop.set_price(sku, price).await;
}

fn codes(cart: &Value) -> Vec<(&str, &str)> {
    let problems = cart["problems"].as_array().unwrap();
    problems.iter().map(|problem| (text(&problem["code"]), text(&problem["pointer"]))).collect()
}

#[test]
fn what_is_not_shipped_is_no_export_and_is_sold_where_the_channel_sells() {
    on_both(|app| async move {
        let shop = shop(&app, json!({"exports": "untaxed"})).await;
        service(&app, &shop, "SEAT", "11.90").await;
        let make = async |sku: &str, billing: &str, more: Value| {
            let mut body = json!({"lines": [{"sku": sku, "quantity": 1}], "email": "ada@example.org", "billing_address": address(billing)});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            shop.store("POST", "/carts", None, Some(&body)).await.expect(201)
        };
        // A country that is not served is one that is not sold to, and there is no rate of it.
        let abroad = make("SEAT", "US", json!({})).await;
        assert_eq!(abroad["totals"]["tax_treatment"], "destination");
        assert!(codes(&abroad).contains(&("country_not_served", "/billing_address/country")), "{abroad}");
        let path = format!("/carts/{}/complete", text(&abroad["id"]));
        let pay = json!({"payment": {"method": "sandbox"}});
        shop.store("POST", &path, abroad["token"].as_str(), Some(&pay)).await.problem(422, "cart_incomplete");
        // Nor is one that is served an export: what it is taxed at is to be said.
        let swiss = make("SEAT", "CH", json!({})).await;
        assert_eq!(
            (&swiss["totals"]["tax_treatment"], codes(&swiss)),
            (&json!("destination"), vec![("tax_rate_missing", "/lines/0")])
        );
        let french = make("SEAT", "FR", json!({})).await;
        assert_eq!((taxed(&french).0, taxed(&french).1, codes(&french)), ("destination", "0.2", vec![]));
        // An address that nothing goes to does not say how it is taxed.
        let elsewhere = make("SEAT", "FR", json!({"shipping_address": address("AT")})).await;
        assert_eq!(taxed(&elsewhere).1, "0.2");
        // With goods it is where they go that counts, and not the bill.
        let goods = make("MUG", "US", json!({"shipping_address": address("CH")})).await;
        assert_eq!((taxed(&goods).0, taxed(&goods).1), ("export", "0"));
        assert!(codes(&goods).iter().all(|(code, _)| *code != "country_not_served"), "{goods}");
        // A simulation says the same.
        let simulate = json!({"channel_id": shop.channel, "country": "CH", "lines": [{"sku": "SEAT"}]});
        let seen = app.ops("POST", "/pricing/simulate", Some(&simulate)).await.expect(200);
        assert_eq!(seen["problems"][0]["code"], "tax_rate_missing");
    });
}

#[test]
fn offers_and_shipping_options_say_what_the_cart_charges() {
    on_both(|app| async move {
        let shop = shop(&app, json!({"exports": "untaxed", "inclusive_prices": "recomputed"})).await;
        service(&app, &shop, "SEAT", "11.90").await;
        let methods = app.ops("GET", "/shipping-methods", None).await.expect(200);
        let method = format!("/shipping-methods/{}", text(&methods["items"][0]["id"]));
        let rates = json!({"rates": [{"countries": [], "price": eur("4.76")}]});
        app.ops("PATCH", &method, Some(&rates)).await.expect(200);
        // 11.90 for everybody for two months, then 9.52 in a sale.
        app.clock.advance_seconds(60 * 86_400);
        let list = json!({"code": "sale", "name": "Sale", "currency": "EUR", "kind": "sale", "priority": 10});
        let list = app.ops("POST", "/price-lists", Some(&list)).await.expect(201);
        let tiers = json!({"rows": [{"sku": "MUG", "unit_price": eur("9.52")}, {"sku": "MUG", "min_quantity": 5, "unit_price": eur("8.33")}]});
        app.ops("PUT", &format!("/price-lists/{}/prices", text(&list["id"])), Some(&tiers)).await.expect(200);
        let identified = format!("Bearer {}", app.token(kontor::http::auth::Audience::Customer, "embassy", &[]));
        for (country, price, tier, prior, shipping) in [
            ("DE", "9.52", "8.33", "11.90", "4.76"),
            ("FR", "9.60", "8.40", "12.00", "4.80"),
            ("AT", "8.80", "7.70", "11.00", "4.40"),
            ("CH", "8.00", "7.00", "10.00", "4.00"),
        ] {
            let asked = json!({"skus": ["MUG"], "country": country});
            let offer = shop.store("POST", "/offers", None, Some(&asked)).await.expect(200)["items"][0].clone();
            let body = json!({"lines": [{"sku": "MUG", "quantity": 1}], "email": "ada@example.org", "shipping_address": address(country)});
            let cart = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
            let charged = (&cart["totals"]["lines"][0]["unit_price"], &cart["lines"][0]["prior_price"]);
            assert_eq!((&offer["price"], &offer["prior_price"]), charged, "{country}");
            assert_eq!(charged, (&eur(price), &eur(prior)), "{country}");
            assert_eq!((&offer["reduction_percent"], &cart["lines"][0]["reduction_percent"]), (&json!(20), &json!(20)));
            assert_eq!(offer["tiers"][1]["unit_price"], eur(tier), "{country}");
            assert_eq!(offer["tax_rate"], cart["totals"]["lines"][0]["tax_rate"], "{country}");
            let path = format!("/carts/{}", text(&cart["id"]));
            let token = cart["token"].as_str();
            let options = shop.store("GET", &format!("{path}/shipping-options"), token, None).await.expect(200);
            assert_eq!(options["items"][0]["price"], eur(shipping), "{country}");
            let chosen = json!({"shipping_method": "standard"});
            let cart = shop.store("PATCH", &path, token, Some(&chosen)).await.expect(200);
            assert_eq!(cart["totals"]["shipping"]["subtotal"], eur(shipping), "{country}");
        }
        // What is not shipped has no rate in Switzerland, and so no price.
        let asked = json!({"skus": ["SEAT"], "country": "CH"});
        let offers = shop.store("POST", "/offers", None, Some(&asked)).await.expect(200);
        assert_eq!(offers["items"][0]["reason"]["code"], "tax_rate_missing");
        // Whoever is exempt is shown what they are charged.
        let headers = [("Channel-Key", shop.key.as_str()), ("Authorization", identified.as_str())];
        let me = app.send("PATCH", "/v1/store/me", &headers, Some(&json!({"name": "Embassy"}))).await.expect(200);
        let exempt = json!({"tax_exempt": true});
        app.ops("PATCH", &format!("/customers/{}", text(&me["id"])), Some(&exempt)).await.expect(200);
        let asked = json!({"skus": ["MUG"]});
        let offers = app.send("POST", "/v1/store/offers", &headers, Some(&asked)).await.expect(200);
        assert_eq!((&offers["items"][0]["price"], &offers["items"][0]["tax_rate"]), (&eur("8.00"), &json!("0")));
    });
}

#[test]
fn a_price_that_the_tax_makes_too_large_is_told_and_leaves_the_cart_readable() {
    on_both(|app| async move {
        let shop = shop(&app, json!({"inclusive_prices": "recomputed"})).await;
        shop.add("PALACE", "1000000000", 5).await;
        let body = json!({"lines": [{"sku": "PALACE", "quantity": 1}], "email": "ada@example.org", "shipping_address": address("FR")});
        let cart = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
        assert!(codes(&cart).contains(&("amount_overflow", "/lines/0")), "{cart}");
        shop.store("GET", &format!("/carts/{}", text(&cart["id"])), cart["token"].as_str(), None).await.expect(200);
    });
}

/// A registry that knows every number, and how often it was asked.
fn knowing() -> (Receiver, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let registry = Receiver::start(move |_, _| {
        let so_many = count.fetch_add(1, SeqCst);
        Deed::Say(200, json!({"isValid": true, "requestIdentifier": format!("R-{so_many}")}).to_string())
    });
    (registry, asked)
}

#[test]
fn a_registry_is_asked_only_for_those_who_may_change_the_cart_and_once_for_each_request() {
    let (registry, count) = knowing();
    on_both_set(
        |settings| settings.tax.vat_registry_url.clone_from(&registry.url),
        |app| {
            let count = &count;
            async move {
                let shop = shop(&app, json!({})).await;
                let asked = || count.load(SeqCst);
                let begun = asked();
                let cart = shop.cart(&[("MUG", 1)]).await;
                let path = format!("/v1/store/carts/{}", cart.id);
                let number = json!({"vat_id": FRENCH});
                let send = async |method: &str, path: &str, more: &[(&str, &str)], body: &Value| -> Answer {
                    let headers = [&[("Channel-Key", shop.key.as_str())], more].concat();
                    app.send(method, path, &headers, Some(body)).await
                };
                let own = ("Cart-Token", cart.token.as_str());
                // Neither strangers nor those who have seen another version have it asked.
                send("PATCH", &path, &[("Cart-Token", "made-up")], &number).await.problem(404, "not_found");
                send("PATCH", &path, &[own, ("If-Match", "\"v7\"")], &number).await.problem(412, "version_stale");
                assert_eq!(asked() - begun, 0);
                // Nor does a request that comes again, which is told what it was told.
                let keyed = [own, ("Idempotency-Key", "once")];
                let first = send("PATCH", &path, &keyed, &number).await;
                let again = send("PATCH", &path, &keyed, &number).await;
                assert_eq!(again.header("Idempotency-Replayed"), Some("true"));
                assert_eq!(first.expect(200)["vat_id"], again.expect(200)["vat_id"]);
                let other = json!({"vat_id": "FR83404833048"});
                send("PATCH", &path, &keyed, &other).await.problem(422, "idempotency_key_reused");
                assert_eq!(asked() - begun, 1);
                let made = json!({"lines": [], "vat_id": FRENCH});
                let keyed = [("Idempotency-Key", "made")];
                let first = send("POST", "/v1/store/carts", &keyed, &made).await.expect(201);
                let again = send("POST", "/v1/store/carts", &keyed, &made).await.expect(201);
                assert_eq!((&first["id"], &first["vat_id"]), (&again["id"], &again["vat_id"]));
                assert_eq!(asked() - begun, 2);
                // Two at once with one key get one answer, whoever of them has asked.
                let keyed = [own, ("Idempotency-Key", "both")];
                let both =
                    join_all([send("PATCH", &path, &keyed, &number), send("PATCH", &path, &keyed, &number)]).await;
                let told: Vec<Value> = both.into_iter().map(|answer| answer.expect(200)).collect();
                assert_eq!(told[0], told[1]);
                // A cart that is ordered is not changed, and nobody is asked about it.
                shop.complete(&cart, "approve").await.expect(201);
                let before = asked();
                send("PATCH", &path, &[own], &number).await.problem(409, "cart_not_open");
                // Of a Swiss number no registry has said anything, and none was asked.
                let swiss = json!({"lines": [], "vat_id": "CHE107787577MWST"});
                let swiss = send("POST", "/v1/store/carts", &[], &swiss).await.expect(201);
                assert_eq!(
                    (&swiss["vat_id"]["state"], &swiss["vat_id"]["checked_by"]),
                    (&json!("plausible"), &json!("check_digits"))
                );
                assert_eq!(asked(), before);
            }
        },
    );
}

#[test]
fn how_often_a_visitor_has_a_registry_asked_is_limited_by_their_address() {
    let (registry, count) = knowing();
    on_both_set(
        |settings| {
            settings.tax.vat_registry_url.clone_from(&registry.url);
            settings.http.vat_id_requests_per_minute = 3;
            "127.0.0.1".clone_into(&mut settings.http.trusted_proxies);
        },
        |app| {
            let count = &count;
            async move {
                let shop = shop(&app, json!({})).await;
                let begun = count.load(SeqCst);
                let send = async |from: &str, number: Option<&str>| -> u16 {
                    let headers = [("Channel-Key", shop.key.as_str()), ("X-Forwarded-For", from)];
                    let body = json!({"lines": [], "vat_id": number});
                    app.send("POST", "/v1/store/carts", &headers, Some(&body)).await.status
                };
                let mut through = 0;
                for _ in 0..10 {
                    through += usize::from(send("192.0.2.1", Some(FRENCH)).await == 201);
                }
                // Or one more where a part of the minute has gone by meanwhile.
                assert!((3..=4).contains(&through), "{through}");
                assert_eq!(count.load(SeqCst) - begun, through);
                // What no registry is asked about is not counted, and others are not kept from it.
                assert_eq!(
                    (send("192.0.2.1", None).await, send("192.0.2.1", Some("CHE107787577MWST")).await),
                    (201, 201)
                );
                assert_eq!(send("192.0.2.2", Some(FRENCH)).await, 201);
            }
        },
    );
}

/// How many rows of carts, orders and lines hold a text.
async fn holding(app: &App, wanted: &str) -> Vec<i64> {
    let mut found = Vec::new();
    for table in ["carts", "orders", "order_lines"] {
        let query = format!("SELECT count(*) FROM {table} WHERE CAST(doc AS TEXT) LIKE '%{wanted}%'");
        let count = app.read(move |tx| sql(query).first::<diesel::sql_types::BigInt, i64>(tx)).await.unwrap();
        found.push(count);
    }
    found
}

#[test]
fn erasing_an_order_leaves_its_vat_number_nowhere() {
    on_both(|app| async move {
        let shop = shop(&app, json!({})).await;
        let make = async || {
            let body = json!({
                "lines": [{"sku": "MUG", "quantity": 1}], "email": "grace@example.org", "shipping_address": address("AT"),
                "shipping_method": "standard", "vat_id": FRENCH,
            });
            shop.store("POST", "/carts", None, Some(&body)).await.expect(201)
        };
        make().await;
        let cart = make().await;
        let pay = json!({"payment": {"method": "sandbox", "instrument": "approve"}});
        let path = format!("/carts/{}/complete", text(&cart["id"]));
        let placed = shop.store("POST", &path, cart["token"].as_str(), Some(&pay)).await.expect(201);
        let order = format!("/orders/{}", text(&placed["order"]["id"]));
        assert_eq!(app.ops("GET", &order, None).await.expect(200)["tax_treatment"], "intra_community");
        // The number stands as evidence, and in no explanation: lines have none of it, and events only what erasure reaches.
        assert_eq!(holding(&app, "303265045").await, [2, 1, 0]);
        let in_data = "SELECT count(*) FROM events WHERE CAST(data AS TEXT) LIKE '%303265045%'";
        let told = app.read(move |tx| sql(in_data).first::<diesel::sql_types::BigInt, i64>(tx)).await.unwrap();
        assert_eq!(told, 0);
        // Earlier versions have written it there.
        for table in ["carts", "orders", "order_lines"] {
            let old = format!("replace(CAST(doc AS TEXT), 'to a business in AT:', 'to a business in AT, {FRENCH}:')");
            let old = if app.is_postgres() { format!("CAST({old} AS JSONB)") } else { old };
            let back = format!("UPDATE {table} SET doc = {old}");
            app.state.db.write(move |tx| sql(back.clone()).execute(tx)).await.unwrap();
        }
        assert_eq!(holding(&app, &format!("AT, {FRENCH}")).await, [2, 1, 1]);
        let found = app.ops("GET", &format!("{order}/fulfilment"), None).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&found["fulfilment_orders"][0]["id"]));
        let parcel = app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
        app.ops("POST", &format!("/shipments/{}/deliver", text(&parcel["id"])), Some(&json!({}))).await.expect(200);
        crate::support::eventually("completed", || async {
            app.ops("GET", &order, None).await.expect(200)["state"] == "completed"
        })
        .await;
        let erase = json!({"email": "grace@example.org"});
        app.ops("POST", "/guests/erase", Some(&erase)).await.expect(200);
        assert_eq!(holding(&app, "303265045").await, [0, 0, 0]);
        // The explanation is still there.
        let erased = app.ops("GET", &order, None).await.expect(200);
        assert!(
            erased["lines"][0]["explanation"].to_string().contains("to a business in AT: it owes the tax"),
            "{erased}"
        );
    });
}
