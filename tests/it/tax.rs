//! Tax across borders: distance sales, businesses, exports, exempt customers, and rates that change at midnight.

use serde_json::{Value, json};

use crate::{
    promotions::eur,
    support::{App, Deed, Receiver, Shop, on_both, on_both_set},
};

pub const FRENCH: &str = "FR40303265045";

/// Sells from Germany to Austria, France and Switzerland too, the last without a rate of its own.
pub async fn shop(app: &App, tax: Value) -> Shop {
    let shop = Shop::open(app, &[("MUG", "11.90", 100)]).await;
    for (country, rate) in [("FR", "0.20"), ("AT", "0.10")] {
        let rate =
            json!({"country": country, "tax_class": "standard", "rate": rate, "valid_from": "2026-01-01T00:00:00Z"});
        app.ops("POST", "/tax-rates", Some(&rate)).await.expect(201);
    }
    let path = format!("/channels/{}", shop.channel);
    let channel = app.ops("GET", &path, None).await.expect(200);
    let mut settings = json!({"tax": tax, "countries": ["DE", "AT", "FR", "CH"]});
    for field in ["currencies", "locales", "time_zone", "prices_include_tax", "rounding", "payment_methods"] {
        settings[field] = channel[field].clone();
    }
    app.ops("PATCH", &path, Some(&json!({ "settings": settings }))).await.expect(200);
    shop
}

pub fn address(country: &str) -> Value {
    json!({"name": "Ada Lovelace", "street1": "Rue 1", "postcode": "75001", "city": "There", "country": country})
}

/// A cart of one mug that goes somewhere, without shipping.
async fn cart(shop: &Shop, country: &str, vat_id: Option<&str>) -> Value {
    let body = json!({
        "lines": [{"sku": "MUG", "quantity": 1}], "email": "ada@example.org", "shipping_address": address(country), "vat_id": vat_id,
    });
    shop.store("POST", "/carts", None, Some(&body)).await.expect(201)
}

/// The treatment, the tax rate, net and total.
pub fn taxed(cart: &Value) -> (&str, &str, &str, &str) {
    let totals = &cart["totals"];
    let amount = |name: &str| totals[name]["amount"].as_str().unwrap();
    (
        totals["tax_treatment"].as_str().unwrap(),
        totals["lines"][0]["tax_rate"].as_str().unwrap(),
        amount("net"),
        amount("total"),
    )
}

#[test]
fn consumers_businesses_and_exports_are_taxed_as_the_channel_says() {
    on_both(|app| async move {
        let policy = json!({"exports": "untaxed", "inclusive_prices": "recomputed"});
        let shop = shop(&app, policy).await;
        // 11.90 is 10.00 and 19 %: what another tax is due on costs 10.00 and that.
        assert_eq!(taxed(&cart(&shop, "DE", None).await), ("domestic", "0.19", "10.00", "11.90"));
        assert_eq!(taxed(&cart(&shop, "FR", None).await), ("destination", "0.2", "10.00", "12.00"));
        assert_eq!(taxed(&cart(&shop, "AT", None).await), ("destination", "0.1", "10.00", "11.00"));
        assert_eq!(
            taxed(&cart(&shop, "FR", Some("fr 40 303 265 045")).await),
            ("intra_community", "0", "10.00", "10.00")
        );
        assert_eq!(taxed(&cart(&shop, "CH", None).await), ("export", "0", "10.00", "10.00"));
        // A German number buys in France as anybody does, and a French one in Germany too.
        assert_eq!(taxed(&cart(&shop, "FR", Some("DE136695976")).await), ("destination", "0.2", "10.00", "12.00"));
        assert_eq!(taxed(&cart(&shop, "DE", Some(FRENCH)).await), ("domestic", "0.19", "10.00", "11.90"));
        // A wrong number is refused where it stands, and says how it should look.
        for (wrong, told) in
            [("FR40303265046", "wrong"), ("FR123", "a French VAT number is"), ("XX1", "starts with its country")]
        {
            let body = json!({"lines": [], "vat_id": wrong});
            let refused = shop.store("POST", "/carts", None, Some(&body)).await.problem(422, "invalid_value");
            assert_eq!(refused["pointer"], "/vat_id");
            assert!(refused["detail"].as_str().unwrap().contains(told), "{refused}");
        }
        // The order keeps the number as it was checked: the evidence.
        let business = cart(&shop, "FR", Some(FRENCH)).await;
        let (path, token) =
            (format!("/carts/{}", business["id"].as_str().unwrap()), business["token"].as_str().unwrap());
        let method = json!({"shipping_method": "standard"});
        let rate = json!({"rates": [{"countries": [], "price": eur("4.76")}]});
        let methods = app.ops("GET", "/shipping-methods", None).await.expect(200);
        let method_path = format!("/shipping-methods/{}", methods["items"][0]["id"].as_str().unwrap());
        app.ops("PATCH", &method_path, Some(&rate)).await.expect(200);
        let seen = shop.store("PATCH", &path, Some(token), Some(&method)).await.expect(200);
        // 4.76 for shipping is 4.00 and 19 %.
        assert_eq!(seen["total"], eur("14.00"));
        let pay = json!({"payment": {"method": "sandbox"}});
        let placed = shop.store("POST", &format!("{path}/complete"), Some(token), Some(&pay)).await.expect(201);
        let order = format!("/orders/{}", placed["order"]["id"].as_str().unwrap());
        let order = app.ops("GET", &order, None).await.expect(200);
        assert_eq!(
            (&order["tax_treatment"], &order["total"], &order["tax"]),
            (&json!("intra_community"), &eur("14.00"), &eur("0.00"))
        );
        let checked =
            json!({"number": FRENCH, "state": "plausible", "checked_by": "check_digits", "checked_at": app.now()});
        assert_eq!(order["vat_id"], checked);
        assert!(order["lines"][0]["explanation"].to_string().contains("Articles 138"), "{order}");
    });
}

#[test]
fn prices_stay_as_they_are_where_the_channel_says_so_and_small_sellers_charge_their_own_tax() {
    on_both(|app| async move {
        let shop = shop(&app, json!({"distance_sales": "origin"})).await;
        assert_eq!(taxed(&cart(&shop, "FR", None).await), ("origin", "0.19", "10.00", "11.90"));
        assert_eq!(taxed(&cart(&shop, "FR", Some(FRENCH)).await), ("intra_community", "0", "11.90", "11.90"));
        // Exports are by rates, and there is none.
        let swiss = cart(&shop, "CH", None).await;
        assert!(swiss["problems"].to_string().contains("tax_rate_missing"), "{swiss}");
        // The exempt pay none at home.
        let embassy = json!({"name": "Embassy", "tax_exempt": true});
        let embassy = app.ops("POST", "/customers", Some(&embassy)).await.expect(201);
        assert_eq!(embassy["tax_exempt"], true);
        let body =
            json!({"channel_id": shop.channel, "customer_id": embassy["id"], "lines": [{"sku": "MUG", "quantity": 2}]});
        let made = app.ops("POST", "/carts", Some(&body)).await.expect(201);
        assert_eq!(taxed(&made), ("exempt", "0", "23.80", "23.80"));
        let path = format!("/customers/{}", embassy["id"].as_str().unwrap());
        app.ops("PATCH", &path, Some(&json!({"tax_exempt": false}))).await.expect(200);
        let again = json!({"metadata": {"a": 1}});
        let made =
            app.ops("PATCH", &format!("/carts/{}", made["id"].as_str().unwrap()), Some(&again)).await.expect(200);
        assert_eq!(taxed(&made), ("domestic", "0.19", "20.00", "23.80"));
    });
}

#[test]
fn a_rate_that_changes_at_midnight_is_right_on_both_sides_of_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "11.90", 100)]).await;
        // At midnight of 1 July 2026 in Berlin.
        let rate =
            json!({"country": "DE", "tax_class": "standard", "rate": "0.16", "valid_from": "2026-06-30T22:00:00Z"});
        app.ops("POST", "/tax-rates", Some(&rate)).await.expect(201);
        let mut told = Vec::new();
        for at in ["2026-06-30T21:59:59.999999Z", "2026-06-30T22:00:00Z"] {
            let asked = json!({"channel_id": shop.channel, "at": at, "lines": [{"sku": "MUG"}]});
            let seen = app.ops("POST", "/pricing/simulate", Some(&asked)).await.expect(200);
            told.push((seen["totals"]["tax"]["amount"].as_str().unwrap().to_owned(), seen["totals"]["total"].clone()));
        }
        assert_eq!(told, [("1.90".to_owned(), eur("11.90")), ("1.64".to_owned(), eur("11.90"))]);
    });
}

#[test]
fn a_registry_confirms_refuses_or_says_nothing() {
    let registry = Receiver::start(|received, _| match &received.head {
        head if head.contains("/ms/FR/vat/40303265045 ") => {
            Deed::Say(200, json!({"isValid": true, "userError": "VALID", "requestIdentifier": "R-1"}).to_string())
        }
        head if head.contains("/ms/FR/") => {
            Deed::Say(200, json!({"isValid": false, "userError": "INVALID"}).to_string())
        }
        head if head.contains("/ms/AT/") => {
            Deed::Say(200, json!({"isValid": false, "userError": "MS_UNAVAILABLE"}).to_string())
        }
        _ => Deed::HangUp,
    });
    let url = registry.url.clone();
    on_both_set(
        |settings| settings.tax.vat_registry_url.clone_from(&url),
        |app| async move {
            let shop = shop(&app, json!({})).await;
            let confirmed = cart(&shop, "FR", Some(FRENCH)).await;
            assert_eq!(confirmed["totals"]["tax_treatment"], "intra_community");
            let vat_id = &confirmed["vat_id"];
            assert_eq!(
                (&vat_id["state"], &vat_id["checked_by"], &vat_id["reference"]),
                (&json!("confirmed"), &json!("vies"), &json!("R-1"))
            );
            let body = json!({"lines": [], "vat_id": "FR83404833048"});
            let refused = shop.store("POST", "/carts", None, Some(&body)).await.problem(422, "vat_id_refused");
            assert_eq!(refused["pointer"], "/vat_id");
            // Without an answer it is kept, does not count, and says so.
            for number in ["ATU13585627", "NL004495445B01"] {
                let open = cart(&shop, "FR", Some(number)).await;
                assert_eq!(
                    (&open["vat_id"]["state"], &open["totals"]["tax_treatment"]),
                    (&json!("unanswered"), &json!("destination"))
                );
                assert!(open["problems"].to_string().contains("vat_id_unconfirmed"), "{open}");
            }
        },
    );
}

#[test]
fn shipped_rates_are_taken_over_once_and_can_be_removed() {
    on_both(|app| async move {
        let shipped = app.ops("GET", "/tax-rates/shipped?limit=200", None).await.expect(200);
        let of = |country: &str, class: &str| {
            let all = shipped["items"].as_array().unwrap().iter();
            all.filter(|rate| rate["country"] == country && rate["tax_class"] == class && rate["valid_until"].is_null())
                .map(|rate| rate["rate"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (of("DE", "standard"), of("EE", "standard"), of("FI", "standard")),
            (vec!["0.19".into()], vec!["0.24".into()], vec!["0.255".into()])
        );
        let wanted = json!({"countries": ["EE", "DE"], "tax_classes": ["standard", "reduced"]});
        let taken = app.ops("POST", "/tax-rates/shipped", Some(&wanted)).await.expect(200);
        let created = taken["created"].as_array().unwrap();
        assert!(created.len() >= 5 && taken["known"] == 0, "{taken}");
        let again = app.ops("POST", "/tax-rates/shipped", Some(&wanted)).await.expect(200);
        assert_eq!((&again["created"], again["known"].as_u64().unwrap() as usize), (&json!([]), created.len()));
        let path = format!("/tax-rates/{}", created[0]["id"].as_str().unwrap());
        app.ops("DELETE", &path, None).await.expect(204);
        let unknown = json!({"countries": ["DE", "US"]});
        let refused = app.ops("POST", "/tax-rates/shipped", Some(&unknown)).await.problem(422, "invalid_value");
        assert_eq!(refused["pointer"], "/countries/1");
    });
}

/// Sets how the channel taxes.
async fn set_tax(shop: &Shop, tax: &Value) -> crate::support::Answer {
    let path = format!("/channels/{}", shop.channel);
    let channel = shop.app.ops("GET", &path, None).await.expect(200);
    let mut settings = json!({ "tax": tax });
    for field in
        ["currencies", "locales", "countries", "time_zone", "prices_include_tax", "rounding", "payment_methods"]
    {
        settings[field] = channel[field].clone();
    }
    shop.app.ops("PATCH", &path, Some(&json!({ "settings": settings }))).await
}

#[test]
fn shipping_bears_the_tax_of_the_goods_and_what_is_given_back_of_it_sums() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TOY", "11.90", 100)]).await;
        let rate = json!({"country": "DE", "tax_class": "reduced", "rate": "0.07"});
        app.ops("POST", "/tax-rates", Some(&rate)).await.expect(201);
        let book = json!({"sku": "BOOK", "name": "A book", "tax_class": "reduced", "weight_grams": 100});
        app.ops("POST", "/variants", Some(&book)).await.expect(201);
        shop.set_price("BOOK", "21.40").await;
        shop.stock_up("BOOK", 100).await;
        set_tax(&shop, &json!({"shipping": "cheapest"})).await.problem(422, "invalid_value");

        // By its own class: 4.90 is 4.12 and 19 %.
        let own = shop.cart(&[("BOOK", 1), ("TOY", 1)]).await.body;
        let told = |cart: &Value| {
            let shipping = &cart["totals"]["shipping"];
            (shipping["tax_rate"].clone(), shipping["tax"].clone(), cart["totals"]["taxes"].as_array().unwrap().len())
        };
        assert_eq!(told(&own), (json!("0.19"), eur("0.78"), 2));
        assert!(own["totals"]["shipping"].get("parts").is_none(), "{own}");
        // With the main good, the book: 4.58 and 7 %.
        set_tax(&shop, &json!({"shipping": "main_good"})).await.expect(200);
        let main = shop.cart(&[("BOOK", 1), ("TOY", 1)]).await.body;
        assert_eq!(told(&main), (json!("0.07"), eur("0.32"), 2));
        let main = shop.cart(&[("BOOK", 1), ("TOY", 3)]).await.body;
        assert_eq!(told(&main), (json!("0.19"), eur("0.78"), 2));
        // Split over both: 3.15 at 7 % and 1.75 at 19 %.
        let told = set_tax(&shop, &json!({"shipping": "split"})).await.expect(200);
        assert_eq!(told["tax"]["shipping"], "split");
        let order = shop.order(&[("BOOK", 1), ("TOY", 1)]).await;
        let part = |rate: &str, net: &str, tax: &str, gross: &str| json!({"rate": rate, "net": eur(net), "tax": eur(tax), "gross": eur(gross)});
        let parts = json!([part("0.07", "2.94", "0.21", "3.15"), part("0.19", "1.47", "0.28", "1.75")]);
        assert_eq!((&order["shipping"]["parts"], &order["shipping"]["tax"]), (&parts, &eur("0.49")));
        let taxes = json!([part("0.07", "22.94", "1.61", "24.55"), part("0.19", "11.47", "2.18", "13.65")]);
        assert_eq!((&order["taxes"], &order["total"]), (&taxes, &eur("38.20")));
        // An order that is cancelled whole gives all of it back, with its tax: the ledger is balanced when the doctor looks.
        let cancel = format!("/orders/{}/cancel", order["id"].as_str().unwrap());
        app.ops("POST", &cancel, Some(&json!({"reason": "second thoughts"}))).await.expect(200);
        let owed = app.read(move |tx| {
            let query =
                "SELECT account, CAST(sum(amount) AS BIGINT) FROM ledger_entries GROUP BY account ORDER BY account";
            kontor::db::sql(query).load::<(diesel::sql_types::Text, diesel::sql_types::BigInt), (String, i64)>(tx)
        });
        let owed = owed.await;
        assert!(
            owed.iter().filter(|(account, _)| account == "revenue" || account == "tax").all(|(_, sum)| *sum == 0),
            "{owed:?}"
        );
        assert!(owed.iter().any(|(account, _)| account == "tax"), "{owed:?}");
    });
}
