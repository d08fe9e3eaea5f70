//! A tax rate that changes at midnight: what was priced, promised, ordered and sent before it, and what comes after it.

use serde_json::{Value, json};

use crate::{
    promotions::{again, eur},
    support::{App, Cart, Shop, eventually, on_both},
    tax::address,
};

/// Midnight of 1 July 2026 in Berlin, where the books are kept, and an hour later in Lisbon. A quarter ends there too.
const BERLIN: &str = "2026-06-30T22:00:00Z";
const LISBON: &str = "2026-06-30T23:00:00Z";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Turns the clock to an instant that is still to come.
fn turn_to(app: &App, instant: &str) {
    let then: kontor::kernel::Instant = instant.parse().unwrap();
    let seconds = then.seconds_since(app.now());
    assert!(seconds >= 0, "{instant} is over");
    app.clock.advance_seconds(seconds);
    assert_eq!(app.now(), then);
}

/// Sells mugs for 119.00 to Germany and Portugal, whose rates fall and rise at their midnights; it is ten minutes before Berlin's.
async fn open(app: &App) -> Shop {
    let shop = Shop::open(app, &[("MUG", "119.00", 100)]).await;
    shop.set(json!({"countries": ["DE", "AT", "PT"]})).await;
    for (country, rate, from) in [("DE", "0.16", Some(BERLIN)), ("PT", "0.23", None), ("PT", "0.25", Some(LISBON))] {
        let rate = json!({"country": country, "tax_class": "standard", "rate": rate, "valid_from": from});
        app.ops("POST", "/tax-rates", Some(&rate)).await.expect(201);
    }
    let methods = app.ops("GET", "/shipping-methods", None).await.expect(200);
    let path = format!("/shipping-methods/{}", text(&methods["items"][0]["id"]));
    app.ops("PATCH", &path, Some(&json!({"rates": [{"countries": [], "price": eur("0.00")}]}))).await.expect(200);
    turn_to(app, "2026-06-30T21:50:00Z");
    shop
}

async fn cart_to(shop: &Shop, country: &str, quantity: i64) -> Cart {
    let body = json!({"lines": [{"sku": "MUG", "quantity": quantity}], "email": "ada@example.org",
        "shipping_method": "standard", "shipping_address": address(country)});
    let body = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
    Cart { id: text(&body["id"]), token: text(&body["token"]), body }
}

async fn order_to(shop: &Shop, country: &str, quantity: i64) -> Value {
    let cart = cart_to(shop, country, quantity).await;
    shop.complete(&cart, "approve").await.expect(201)["order"].clone()
}

async fn freeze(shop: &Shop, cart: &Cart) -> Value {
    shop.store("POST", &format!("/carts/{}/checkout", cart.id), Some(&cart.token), None).await.expect(200)
}

/// The rate of the first line, net and tax of the whole, and the total.
fn taxed(of: &Value) -> [String; 4] {
    let totals = if of["totals"].is_object() { &of["totals"] } else { of };
    let amount = |name: &str| text(&totals[name]["amount"]);
    [text(&totals["lines"][0]["tax_rate"]), amount("net"), amount("tax"), amount("total")]
}

/// Ships all of an order, and waits until its money has moved.
async fn ship(app: &App, order: &Value) {
    let work = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
    let path = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
    app.ops("POST", &path, Some(&json!({}))).await.expect(201);
    settled(app).await;
}

async fn settled(app: &App) {
    let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
    eventually("the money has moved", async || app.count(pending).await == 0).await;
}

/// Of a period by country and rate: sold net and tax, taken back net and tax.
async fn sums(app: &App, period: &str) -> Vec<String> {
    let entities = app.ops("GET", "/legal-entities", None).await.expect(200);
    let path = format!("/legal-entities/{}/tax-sums?limit=200&{period}", text(&entities["items"][0]["id"]));
    let rows = app.ops("GET", &path, None).await.expect(200)["items"].as_array().unwrap().clone();
    let told = |row: &Value| {
        let amount = |name: &str| text(&row[name]["amount"]);
        format!(
            "{} {}: {} + {} - {} - {}",
            text(&row["country"]),
            text(&row["rate"]),
            amount("sold_net"),
            amount("sold_tax"),
            amount("taken_back_net"),
            amount("taken_back_tax")
        )
    };
    rows.iter().map(told).collect()
}

#[test]
fn a_cart_is_taxed_anew_at_midnight_and_a_checkout_that_was_begun_keeps_what_it_showed() {
    on_both(|app| async move {
        let shop = open(&app).await;
        let before = ["0.19", "100.00", "19.00", "119.00"].map(str::to_owned);
        let after = ["0.16", "102.59", "16.41", "119.00"].map(str::to_owned);
        let (seen, unseen) = (cart_to(&shop, "DE", 1).await, cart_to(&shop, "DE", 1).await);
        let (begun, late) = (cart_to(&shop, "DE", 1).await, cart_to(&shop, "DE", 1).await);
        assert_eq!(taxed(&seen.body), before);
        assert_eq!(taxed(&freeze(&shop, &begun).await), before);
        assert_eq!(taxed(&freeze(&shop, &late).await), before);
        // The last microsecond before midnight is before it.
        app.clock.advance_seconds(599);
        assert_eq!(taxed(&again(&shop, &seen).await), before);
        turn_to(&app, BERLIN);
        // Read, it is what was shown; changed, it is taxed anew, and says so. Who pays with tax pays the same.
        let path = format!("/carts/{}", seen.id);
        assert_eq!(taxed(&shop.store("GET", &path, Some(&seen.token), None).await.expect(200)), before);
        let now = again(&shop, &seen).await;
        assert_eq!(taxed(&now), after);
        let told: Vec<(&str, &str)> = now["changes"].as_array().unwrap().iter().map(change).collect();
        assert!(told.contains(&("tax_changed", "/lines/0")), "{now}");
        // Ordered without a look it is taxed by the rate of when it is ordered.
        let order = shop.complete(&unseen, "approve").await.expect(201)["order"].clone();
        assert_eq!(taxed(&order), after);
        // What the checkout has promised is kept, for as long as it has promised it.
        let order = shop.complete(&begun, "approve").await.expect(201)["order"].clone();
        assert_eq!((taxed(&order), &order["placed_at"]), (before.clone(), &json!(BERLIN)));
        turn_to(&app, "2026-07-01T21:50:00Z");
        let order = shop.complete(&late, "approve").await.expect(201)["order"].clone();
        assert_eq!(taxed(&order), after);
        // Offers and simulations say the same, on either side.
        let offers = shop.store("POST", "/offers", None, Some(&json!({"skus": ["MUG"]}))).await.expect(200);
        assert_eq!(offers["items"][0]["tax_rate"], "0.16");
        for (at, expected) in [("2026-06-30T21:59:59.999999Z", &before), (BERLIN, &after)] {
            let asked = json!({"channel_id": shop.channel, "at": at, "lines": [{"sku": "MUG"}]});
            assert_eq!(&taxed(&app.ops("POST", "/pricing/simulate", Some(&asked)).await.expect(200)), expected);
        }
    });
}

fn change(change: &Value) -> (&str, &str) {
    (change["code"].as_str().unwrap(), change["pointer"].as_str().unwrap())
}

#[test]
fn without_tax_in_its_prices_a_cart_costs_something_else_and_nobody_pays_that_unasked() {
    on_both(|app| async move {
        let shop = open(&app).await;
        shop.set(json!({"prices_include_tax": false})).await;
        let cart = cart_to(&shop, "DE", 1).await;
        assert_eq!(taxed(&cart.body), ["0.19", "119.00", "22.61", "141.61"].map(str::to_owned));
        turn_to(&app, BERLIN);
        let pay = |total: &str| json!({"payment": {"method": "sandbox"}, "expected_total": eur(total)});
        let path = format!("/carts/{}/complete", cart.id);
        let refused = shop.store("POST", &path, Some(&cart.token), Some(&pay("141.61"))).await;
        assert_eq!(refused.problem(409, "total_changed")["total"], eur("138.04"));
        let placed = shop.store("POST", &path, Some(&cart.token), Some(&pay("138.04"))).await.expect(201);
        assert_eq!(taxed(&placed["order"]), ["0.16", "119.00", "19.04", "138.04"].map(str::to_owned));
    });
}

#[test]
fn an_orders_tax_stays_and_what_comes_back_is_credited_at_the_rate_of_the_sale() {
    on_both(|app| async move {
        let shop = open(&app).await;
        // Two to be sent before midnight, one to be cancelled after it, one whose checkout is begun before it.
        let (sent, open_one) = (order_to(&shop, "DE", 2).await, order_to(&shop, "DE", 2).await);
        let begun = cart_to(&shop, "DE", 1).await;
        freeze(&shop, &begun).await;
        ship(&app, &sent).await;
        turn_to(&app, BERLIN);
        shop.complete(&begun, "approve").await.expect(201);
        let new = order_to(&shop, "DE", 3).await;
        assert_eq!(taxed(&new), ["0.16", "307.76", "49.24", "357.00"].map(str::to_owned));
        // One piece comes back in July of what was sold in June: at June's rate.
        let back =
            json!({"order": sent["id"], "lines": [{"line_no": 1, "quantity": 1}], "refund": true, "restock": true});
        let back = app.ops("POST", "/returns", Some(&back)).await.expect(201);
        assert_eq!((&back["lines"][0]["net"], &back["lines"][0]["tax"]), (&eur("100.00"), &eur("19.00")));
        assert_eq!((&back["lines"][0]["gross"], &back["amount"]), (&eur("119.00"), &eur("119.00")));
        settled(&app).await;
        let cancel = json!({"reason": "one less", "lines": [{"line_no": 1, "quantity": 1}]});
        app.ops("POST", &format!("/orders/{}/cancel", text(&open_one["id"])), Some(&cancel)).await.expect(200);
        // Nothing of it has touched the order's own tax.
        for order in [&sent, &open_one] {
            let kept = app.ops("GET", &format!("/orders/{}", text(&order["id"])), None).await.expect(200);
            assert_eq!(taxed(&kept), ["0.19", "200.00", "38.00", "238.00"].map(str::to_owned));
        }
        let kept = app.ops("GET", &format!("/orders/{}", text(&sent["id"])), None).await.expect(200);
        assert_eq!(kept["payments"][0]["refunded"], eur("119.00"));
        // June has what was placed in June; July what was placed and taken back in July, each at the rate that it was sold at.
        assert_eq!(sums(&app, "quarter=2026-Q2").await, ["DE 0.19: 400.00 + 76.00 - 0.00 - 0.00"]);
        let july = ["DE 0.16: 307.76 + 49.24 - 0.00 - 0.00", "DE 0.19: 100.00 + 19.00 - 200.00 - 38.00"];
        assert_eq!(sums(&app, "quarter=2026-Q3").await, july);
        assert_eq!(sums(&app, "from=2026-06-30&to=2026-06-30").await, sums(&app, "quarter=2026-Q2").await);
    });
}

#[test]
fn it_is_midnight_elsewhere_at_another_time_and_the_books_go_by_their_own() {
    on_both(|app| async move {
        let shop = open(&app).await;
        turn_to(&app, BERLIN);
        // In Berlin it is July, in Lisbon the thirtieth of June: its old rate, and our new quarter.
        let early = order_to(&shop, "PT", 1).await;
        assert_eq!(taxed(&early), ["0.23", "96.75", "22.25", "119.00"].map(str::to_owned));
        assert_eq!(early["tax_treatment"], "destination");
        turn_to(&app, LISBON);
        let late = order_to(&shop, "PT", 1).await;
        assert_eq!(taxed(&late), ["0.25", "95.20", "23.80", "119.00"].map(str::to_owned));
        assert_eq!(sums(&app, "quarter=2026-Q2").await, Vec::<String>::new());
        let july = ["PT 0.23: 96.75 + 22.25 - 0.00 - 0.00", "PT 0.25: 95.20 + 23.80 - 0.00 - 0.00"];
        assert_eq!(sums(&app, "quarter=2026-Q3&one_stop_shop=true").await, july);
        // What is taken over later as it was sold then is taxed, and declared, as of then.
        let body = json!({"channel_id": shop.channel, "occurred_at": "2026-06-30T12:00:00Z", "reference": {"system": "old", "value": "1"},
            "lines": [{"sku": "MUG", "quantity": 1}], "email": "ada@example.org", "shipping_address": address("PT"),
            "shipping_method": "standard"});
        let old = app.ops("POST", "/carts", Some(&body)).await.expect(201);
        let pay = json!({"payment": {"method": "manual"}});
        let path = format!("/carts/{}/complete", text(&old["id"]));
        let old = app.ops("POST", &path, Some(&pay)).await.expect(201)["order"].clone();
        assert_eq!(taxed(&old), ["0.23", "96.75", "22.25", "119.00"].map(str::to_owned));
        assert_eq!(sums(&app, "quarter=2026-Q2").await, ["PT 0.23: 96.75 + 22.25 - 0.00 - 0.00"]);
    });
}
