//! The price before a reduction, in each currency and channel by its own history.

use serde_json::{Value, json};

use crate::support::{App, Shop, on_both_idle};

const DAY: i64 = 86_400;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn money(amount: &str, currency: &str) -> Value {
    json!({"amount": amount, "currency": currency})
}

/// A list with prices: its path.
async fn list(app: &App, code: &str, currency: &str, more: Value, prices: &[(&str, &str)]) -> String {
    let mut list = json!({"code": code, "name": code, "currency": currency});
    list.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = app.ops("POST", "/price-lists", Some(&list)).await.expect(201);
    let path = format!("/price-lists/{}", text(&made["id"]));
    set(app, &path, currency, prices).await;
    path
}

async fn set(app: &App, list: &str, currency: &str, prices: &[(&str, &str)]) {
    let row = |(sku, amount): &(&str, &str)| json!({"sku": sku, "unit_price": money(amount, currency)});
    let rows: Vec<Value> = prices.iter().map(row).collect();
    app.ops("PUT", &format!("{list}/prices"), Some(&json!({ "rows": rows }))).await.expect(200);
}

/// The price, the price before and the per cent that an offer tells, and that a cart tells as well.
async fn told(shop: &Shop, sku: &str, currency: &str) -> (String, Option<String>, Option<i64>) {
    let asked = json!({"skus": [sku], "currency": currency});
    let offer = shop.store("POST", "/offers", None, Some(&asked)).await.expect(200)["items"][0].clone();
    let of = |shown: &Value| (shown["prior_price"].clone(), shown["reduction_percent"].clone());
    let body = json!({"currency": currency, "lines": [{"sku": sku, "quantity": 1}]});
    let cart = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
    assert_eq!(of(&cart["lines"][0]), of(&offer), "{sku} in {currency}");
    assert_eq!(cart["totals"]["lines"][0]["unit_price"], offer["price"]);
    let prior = &offer["prior_price"];
    assert!(prior.is_null() || prior["currency"] == currency, "{offer}");
    let prior = prior["amount"].as_str().map(str::to_owned);
    (text(&offer["price"]["amount"]), prior, offer["reduction_percent"].as_i64())
}

fn shown(price: &str, prior: &str, percent: i64) -> (String, Option<String>, Option<i64>) {
    (price.to_owned(), Some(prior.to_owned()), Some(percent))
}

/// The German shop, which sells in euros and francs, and an Austrian one beside it.
async fn two(app: &App, goods: &[(&str, &str, i64)]) -> (Shop, Shop) {
    let german = Shop::open(app, goods).await;
    german.set(json!({"currencies": ["EUR", "CHF"]})).await;
    let entity = json!({"code": "bravo", "name": "Bravo GmbH", "country": "AT", "time_zone": "Europe/Vienna"});
    let entity = app.ops("POST", "/legal-entities", Some(&entity)).await.expect(201);
    let channel = json!({"code": "at", "name": "Bravo", "legal_entity_id": entity["id"], "settings": {
        "currencies": ["EUR"], "locales": ["de-AT"], "countries": ["AT", "DE"], "time_zone": "Europe/Vienna",
        "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"}, "payment_methods": ["manual"]}});
    let channel = app.ops("POST", "/channels", Some(&channel)).await.expect(201);
    let austrian = Shop { channel: text(&channel["id"]), key: text(&channel["publishable_keys"][0]), ..german.clone() };
    (german, austrian)
}

/// What the report finds wrong: channel, currency and codes, of one SKU.
async fn findings(app: &App, sku: &str, shops: (&Shop, &Shop)) -> Vec<String> {
    let rows = app.ops("GET", "/sale-prices?limit=200", None).await.expect(200)["items"].as_array().unwrap().clone();
    let tell = |row: &Value| {
        let channel = if row["channel_id"] == json!(shops.0.channel) { "de" } else { "at" };
        let codes: Vec<String> = row["findings"].as_array().unwrap().iter().map(|found| text(&found["code"])).collect();
        assert_eq!(row["borne_out"], codes.is_empty());
        format!("{channel} {}: {}", text(&row["currency"]), codes.join(" "))
    };
    let mut told: Vec<String> = rows.iter().filter(|row| row["sku"] == sku).map(tell).collect();
    told.sort_unstable();
    told
}

#[test]
fn each_currency_and_each_channel_has_a_history_of_its_own() {
    on_both_idle(|app| async move {
        let (german, austrian) = two(&app, &[("TEE", "100.00", 20)]).await;
        let base = format!("/price-lists/{}", german.price_list);
        let francs = list(&app, "francs", "CHF", json!({}), &[("TEE", "120.00")]).await;
        let own = json!({"channel_id": austrian.channel});
        let vienna = list(&app, "vienna", "EUR", own, &[("TEE", "110.00")]).await;
        app.clock.advance_seconds(60 * DAY);
        // In Austria 90.00 for two days, in francs raised soon before, in Germany in euros neither.
        set(&app, &vienna, "EUR", &[("TEE", "90.00")]).await;
        app.clock.advance_seconds(2 * DAY);
        set(&app, &vienna, "EUR", &[("TEE", "110.00")]).await;
        app.clock.advance_seconds(10 * DAY);
        set(&app, &francs, "CHF", &[("TEE", "150.00")]).await;
        app.clock.advance_seconds(8 * DAY);
        let sale = |more: Value| {
            let mut sale = json!({"kind": "sale", "priority": 10});
            sale.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            sale
        };
        let sale_eur = list(&app, "sale-eur", "EUR", sale(json!({})), &[("TEE", "80.00")]).await;
        let sale_chf = list(&app, "sale-chf", "CHF", sale(json!({})), &[("TEE", "96.00")]).await;
        let own = json!({"channel_id": austrian.channel});
        list(&app, "sale-vienna", "EUR", sale(own), &[("TEE", "80.00")]).await;
        assert_eq!(told(&german, "TEE", "EUR").await, shown("80.00", "100.00", 20));
        assert_eq!(told(&german, "TEE", "CHF").await, shown("96.00", "120.00", 20));
        assert_eq!(told(&austrian, "TEE", "EUR").await, shown("80.00", "90.00", 11));
        let both = (&german, &austrian);
        let raised = "de CHF: claim_too_high raised_before";
        assert_eq!(findings(&app, "TEE", both).await, ["at EUR: claim_too_high raised_before", raised, "de EUR: "]);
        // It goes on falling in francs, and rises in euros: each is measured by its own steps.
        app.clock.advance_seconds(5 * DAY);
        set(&app, &sale_chf, "CHF", &[("TEE", "90.00")]).await;
        set(&app, &sale_eur, "EUR", &[("TEE", "88.00")]).await;
        assert_eq!(told(&german, "TEE", "CHF").await, shown("90.00", "120.00", 25));
        assert_eq!(told(&german, "TEE", "EUR").await, ("88.00".to_owned(), None, None));
        assert_eq!(told(&austrian, "TEE", "EUR").await, shown("80.00", "90.00", 11));
        // What happens to the everyday prices of others meanwhile changes nothing of theirs.
        set(&app, &base, "EUR", &[("TEE", "70.00")]).await;
        assert_eq!(told(&german, "TEE", "CHF").await, shown("90.00", "120.00", 25));
        assert_eq!(told(&austrian, "TEE", "EUR").await, shown("80.00", "90.00", 11));
    });
}

#[test]
fn what_was_not_sold_before_in_a_market_is_reduced_from_nothing_there() {
    on_both_idle(|app| async move {
        let (german, austrian) = two(&app, &[("TEE", "100.00", 20)]).await;
        // Sold in Germany and in euros only: in a list of its own.
        let variant = json!({"sku": "ONLY", "name": "Only here", "tax_class": "standard", "stock_policy": "untracked"});
        app.ops("POST", "/variants", Some(&variant)).await.expect(201);
        let own = json!({"channel_id": german.channel});
        list(&app, "berlin", "EUR", own, &[("ONLY", "50.00")]).await;
        app.clock.advance_seconds(60 * DAY);
        for shop in [&german, &austrian] {
            let code = format!("sale-{}", &shop.channel[shop.channel.len() - 4..]);
            let own = json!({"channel_id": shop.channel, "kind": "sale", "priority": 10});
            list(&app, &code, "EUR", own, &[("ONLY", "40.00")]).await;
        }
        let francs = json!({"kind": "sale", "priority": 10});
        let francs = list(&app, "sale-chf", "CHF", francs, &[("ONLY", "48.00")]).await;
        assert_eq!(told(&german, "ONLY", "EUR").await, shown("40.00", "50.00", 20));
        assert_eq!(told(&german, "ONLY", "CHF").await, ("48.00".to_owned(), None, None));
        assert_eq!(told(&austrian, "ONLY", "EUR").await, ("40.00".to_owned(), None, None));
        let both = (&german, &austrian);
        let expected = ["at EUR: not_sold_before", "de CHF: not_sold_before", "de EUR: "];
        assert_eq!(findings(&app, "ONLY", both).await, expected);
        let open = app.ops("GET", "/sale-prices?borne_out=false", None).await.expect(200);
        assert_eq!(open["items"].as_array().unwrap().len(), 2, "{open}");
        // Cheaper still, the first price of the sale is what it is reduced from.
        app.clock.advance_seconds(5 * DAY);
        set(&app, &francs, "CHF", &[("ONLY", "36.00")]).await;
        assert_eq!(told(&german, "ONLY", "CHF").await, shown("36.00", "48.00", 25));
        assert_eq!(findings(&app, "ONLY", both).await, ["at EUR: not_sold_before", "de CHF: ", "de EUR: "]);
    });
}

#[test]
fn what_perishes_is_measured_by_its_last_price_in_each_market() {
    on_both_idle(|app| async move {
        let (german, austrian) = two(&app, &[("MILK", "4.00", 20)]).await;
        let found = app.ops("GET", "/variants?sku=MILK", None).await.expect(200);
        let milk = format!("/variants/{}", text(&found["items"][0]["id"]));
        let base = format!("/price-lists/{}", german.price_list);
        let francs = list(&app, "francs", "CHF", json!({}), &[("MILK", "5.00")]).await;
        let own = json!({"channel_id": austrian.channel});
        let vienna = list(&app, "vienna", "EUR", own, &[("MILK", "6.00")]).await;
        app.clock.advance_seconds(40 * DAY);
        // All were cheaper for a day, and became dearer than ever in francs.
        for (list, currency, low, then) in
            [(&base, "EUR", "2.50", "4.00"), (&francs, "CHF", "3.00", "5.50"), (&vienna, "EUR", "3.50", "6.00")]
        {
            set(&app, list, currency, &[("MILK", low)]).await;
            app.clock.advance_seconds(DAY);
            set(&app, list, currency, &[("MILK", then)]).await;
        }
        app.clock.advance_seconds(5 * DAY);
        let kind = json!({"kind": "sale", "priority": 10});
        list(&app, "today-eur", "EUR", kind.clone(), &[("MILK", "3.00")]).await;
        list(&app, "today-chf", "CHF", kind, &[("MILK", "3.30")]).await;
        let own = json!({"kind": "sale", "priority": 10, "channel_id": austrian.channel});
        list(&app, "today-vienna", "EUR", own, &[("MILK", "3.00")]).await;
        // As goods that last, each is measured by its lowest of the thirty days: two are not lower than that.
        assert_eq!(told(&german, "MILK", "EUR").await, ("3.00".to_owned(), None, None));
        assert_eq!(told(&german, "MILK", "CHF").await, ("3.30".to_owned(), None, None));
        assert_eq!(told(&austrian, "MILK", "EUR").await, shown("3.00", "3.50", 14));
        app.ops("PATCH", &milk, Some(&json!({"attributes": {"perishable": true}}))).await.expect(200);
        assert_eq!(told(&german, "MILK", "EUR").await, shown("3.00", "4.00", 25));
        assert_eq!(told(&german, "MILK", "CHF").await, shown("3.30", "5.50", 40));
        assert_eq!(told(&austrian, "MILK", "EUR").await, shown("3.00", "6.00", 50));
    });
}
