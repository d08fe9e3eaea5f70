//! What a cart would cost somebody else, somewhere else, at another time: a simulation says what the cart would say.

use serde_json::{Value, json};

use crate::{
    promotions::{eur, percent, plan, promote},
    support::{Shop, on_both},
    tax::{FRENCH, address, shop},
};

const DAY: i64 = 86_400;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn simulate(shop: &Shop, more: &Value) -> Value {
    let mut asked = json!({"channel_id": shop.channel, "lines": [{"sku": "MUG", "quantity": 2}]});
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    shop.app.ops("POST", "/pricing/simulate", Some(&asked)).await.expect(200)
}

/// A cart of staff with the same in it.
async fn cart(shop: &Shop, more: &Value) -> Value {
    let mut new = json!({"channel_id": shop.channel, "lines": [{"sku": "MUG", "quantity": 2}]});
    new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    shop.app.ops("POST", "/carts", Some(&new)).await.expect(201)
}

/// The treatment, the rate of the line, and what it comes to.
fn taxed(seen: &Value) -> [String; 4] {
    let totals = &seen["totals"];
    [
        text(&totals["tax_treatment"]),
        text(&totals["lines"][0]["tax_rate"]),
        text(&totals["tax"]["amount"]),
        text(&totals["total"]["amount"]),
    ]
}

fn told(treatment: &str, rate: &str, tax: &str, total: &str) -> [String; 4] {
    [treatment, rate, tax, total].map(str::to_owned)
}

/// The codes of the promotions that apply, and of those that do not with the reason.
fn promotions(seen: &Value) -> (Vec<String>, Vec<String>) {
    let totals = &seen["totals"];
    let rows = |name: &str| totals[name].as_array().cloned().unwrap_or_default();
    let applied = rows("promotions").iter().map(|one| text(&one["code"])).collect();
    let passed = |one: &Value| format!("{}: {}", text(&one["code"]), text(&one["reason"]["code"]));
    let mut passed: Vec<String> = rows("passed_over").iter().map(passed).collect();
    passed.sort_unstable();
    (applied, passed)
}

#[test]
fn an_exempt_customer_and_a_business_are_simulated_as_they_are_charged() {
    on_both(|app| async move {
        let shop = shop(&app, json!({"inclusive_prices": "recomputed", "exports": "untaxed"})).await;
        let make = async |path: &str, body: Value| app.ops("POST", path, Some(&body)).await.expect(201)["id"].clone();
        let embassy = make("/customers", json!({"name": "Embassy", "tax_exempt": true})).await;
        let ada = make("/customers", json!({"name": "Ada"})).await;
        // Two mugs for 11.90 each, which are 10.00 and 19 %.
        for (country, customer, vat_id, expected) in [
            ("DE", None, None, told("domestic", "0.19", "3.80", "23.80")),
            ("DE", Some(&ada), None, told("domestic", "0.19", "3.80", "23.80")),
            ("DE", Some(&embassy), None, told("exempt", "0", "0.00", "20.00")),
            ("FR", Some(&embassy), None, told("exempt", "0", "0.00", "20.00")),
            // Who is exempt is so whatever their number says.
            ("FR", Some(&embassy), Some(FRENCH), told("exempt", "0", "0.00", "20.00")),
            ("FR", Some(&ada), None, told("destination", "0.2", "4.00", "24.00")),
            ("FR", Some(&ada), Some(FRENCH), told("intra_community", "0", "0.00", "20.00")),
            ("FR", None, Some("fr 40 303 265 045"), told("intra_community", "0", "0.00", "20.00")),
            ("AT", None, Some(FRENCH), told("intra_community", "0", "0.00", "20.00")),
            // One of the seller's own country, one of a third country, one where nothing crosses a border.
            ("FR", None, Some("DE136695976"), told("destination", "0.2", "4.00", "24.00")),
            ("FR", None, Some("CHE107787577MWST"), told("destination", "0.2", "4.00", "24.00")),
            ("DE", None, Some(FRENCH), told("domestic", "0.19", "3.80", "23.80")),
            ("CH", None, Some(FRENCH), told("export", "0", "0.00", "20.00")),
        ] {
            let asked = json!({"country": country, "customer_id": customer, "vat_id": vat_id});
            let seen = simulate(&shop, &asked).await;
            assert_eq!(taxed(&seen), expected, "{asked}");
            let same = json!({"shipping_address": address(country), "customer_id": customer, "vat_id": vat_id});
            assert_eq!(taxed(&cart(&shop, &same).await), expected, "{asked}");
            if expected[1] == "0" {
                let why = seen["totals"]["lines"][0]["explanation"].to_string();
                assert!(why.contains("untaxed") && !why.contains("303265045"), "{why}");
            }
        }
        // A number whose digits are wrong frees nobody, here as there.
        let lines = json!([{"sku": "MUG"}]);
        let wrong = json!({"channel_id": shop.channel, "lines": lines, "country": "FR", "vat_id": "FR40303265046"});
        let refused = app.ops("POST", "/pricing/simulate", Some(&wrong)).await.problem(422, "invalid_value");
        assert_eq!(refused["pointer"], "/vat_id");
        // Who may not read customers does not find out who is exempt.
        let token = app.token(kontor::http::auth::Audience::Staff, "bob", &[kontor::kernel::Scope::PricesRead]);
        let bearer = format!("Bearer {token}");
        let asked = json!({"channel_id": shop.channel, "lines": lines, "customer_id": embassy});
        let headers = [("Authorization", bearer.as_str())];
        let refused = app.send("POST", "/v1/ops/pricing/simulate", &headers, Some(&asked)).await;
        assert_eq!((refused.status, &refused.body["pointer"]), (403, &json!("/customer_id")), "{}", refused.text);
    });
}

#[test]
fn a_device_and_where_somebody_comes_from_are_simulated_with_drafts_and_without() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let on = json!({"gift": percent("10", "order"), "conditions": {"devices": ["app", "mobile"]}});
        promote(&app, "on-phones", on).await;
        let mail = json!({"gift": percent("20", "order"), "conditions": {"origins": [{"utm_source": "mail", "utm_campaign": "spring"}, {"affiliate": "BLOG"}]}});
        promote(&app, "mailing", mail).await;
        let draft = plan(&app, "planned", json!({"gift": percent("50", "order")})).await;
        let spring = json!({"utm_source": "mail", "utm_campaign": "spring", "utm_medium": "email"});
        for (device, source, drafts, total, applied, passed) in [
            (
                "desktop",
                json!({}),
                false,
                "20.00",
                vec![],
                vec!["mailing: origin", "on-phones: device", "planned: not_active"],
            ),
            ("app", json!({}), false, "18.00", vec!["on-phones"], vec!["mailing: origin", "planned: not_active"]),
            (
                "desktop",
                spring.clone(),
                false,
                "16.00",
                vec!["mailing"],
                vec!["on-phones: device", "planned: not_active"],
            ),
            (
                "mobile",
                json!({"affiliate": "BLOG"}),
                false,
                "14.40",
                vec!["mailing", "on-phones"],
                vec!["planned: not_active"],
            ),
            (
                "tablet",
                json!({"utm_source": "mail"}),
                false,
                "20.00",
                vec![],
                vec!["mailing: origin", "on-phones: device", "planned: not_active"],
            ),
            (
                "call_centre",
                json!({"affiliate": "blog"}),
                true,
                "10.00",
                vec!["planned"],
                vec!["mailing: origin", "on-phones: device"],
            ),
            ("app", spring, true, "7.20", vec!["mailing", "on-phones", "planned"], vec![]),
        ] {
            let asked = json!({"device": device, "source": source, "include_drafts": drafts});
            let seen = simulate(&shop, &asked).await;
            let expected = (
                applied.iter().map(|code| code.to_string()).collect(),
                passed.iter().map(|code| code.to_string()).collect(),
            );
            assert_eq!(promotions(&seen), expected, "{asked}");
            assert_eq!(text(&seen["totals"]["total"]["amount"]), total, "{asked}");
            if !drafts {
                // A cart has no drafts; else it costs the same.
                let same = cart(&shop, &json!({"device": device, "source": source})).await;
                assert_eq!(same["total"], eur(total), "{asked}");
            }
        }
        // Nothing was kept, and the draft is one still.
        let kept = app.ops("GET", &format!("/promotions/{draft}"), None).await.expect(200);
        assert_eq!((&kept["state"], &kept["taken"]["uses"]), (&json!("draft"), &json!(0)));
        for (wrong, pointer) in
            [(json!({"device": "toaster"}), "/device"), (json!({"source": {"utm": "x"}}), "/source/utm")]
        {
            let mut asked = json!({"channel_id": shop.channel, "lines": [{"sku": "MUG"}]});
            asked.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
            let refused = app.ops("POST", "/pricing/simulate", Some(&asked)).await;
            assert_eq!((refused.status, &refused.body["pointer"]), (422, &json!(pointer)), "{}", refused.text);
        }
    });
}

#[test]
fn a_past_and_a_future_instant_have_the_prices_promotions_and_taxes_of_then() {
    on_both(|app| async move {
        let shop = shop(&app, json!({})).await;
        let make = async |path: &str, body: Value| app.ops("POST", path, Some(&body)).await.expect(201)["id"].clone();
        let embassy = make("/customers", json!({"name": "Embassy", "tax_exempt": true})).await;
        let past = app.now();
        app.clock.advance_seconds(10 * DAY);
        shop.set_price("MUG", "23.80").await;
        let now = app.now();
        let (soon, later) = (now.plus_seconds(10 * DAY), now.plus_seconds(20 * DAY));
        // Planned: a price and a rate from soon on, a promotion from soon until later, a draft of which is from later on.
        let planned = json!({"rows": [{"sku": "MUG", "unit_price": eur("35.70"), "valid_from": soon}]});
        app.ops("PUT", &format!("/price-lists/{}/prices", shop.price_list), Some(&planned)).await.expect(200);
        let rate = json!({"country": "DE", "tax_class": "standard", "rate": "0.16", "valid_from": soon});
        app.ops("POST", "/tax-rates", Some(&rate)).await.expect(201);
        let window = json!({"gift": percent("10", "order"), "valid_from": soon, "valid_until": later, "conditions": {"coupon": true}});
        let id = promote(&app, "window", window).await;
        let coupon = json!({"code": "WINDOW", "valid_until": later.plus_seconds(-DAY)});
        app.ops("POST", &format!("/promotions/{id}/coupons"), Some(&coupon)).await.expect(201);
        plan(&app, "draft", json!({"gift": percent("50", "order"), "valid_from": later})).await;
        let ask = async |at: kontor::kernel::Instant, more: Value| {
            let mut asked = json!({"at": at, "coupons": ["window"], "include_drafts": true});
            asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let seen = simulate(&shop, &asked).await;
            assert_eq!((&seen["at"], &seen["prices_as_of"]), (&json!(at), &json!(at.min(now))));
            seen
        };
        let (early, draft) = ("window: not_yet_valid", "draft: not_yet_valid");
        for (at, rate, total, applied, passed) in [
            (past, "0.19", "23.80", vec![], vec![draft, early]),
            (now, "0.19", "47.60", vec![], vec![draft, early]),
            (soon.plus_seconds(-1), "0.19", "47.60", vec![], vec![draft, early]),
            // 71.40 and a tenth less.
            (soon, "0.16", "64.26", vec!["window"], vec![draft]),
            (later.plus_seconds(-DAY), "0.16", "71.40", vec![], vec![draft, "window: coupon_expired"]),
            (later, "0.16", "35.70", vec!["draft"], vec!["window: no_longer_valid"]),
        ] {
            let seen = ask(at, json!({})).await;
            let all = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>();
            assert_eq!(promotions(&seen), (all(&applied), all(&passed)), "{at}");
            assert_eq!((taxed(&seen)[1].as_str(), taxed(&seen)[3].as_str()), (rate, total), "{at}");
            // An exempt customer at that instant; prices that include tax stay as they are, for everybody.
            let exempt = ask(at, json!({"customer_id": embassy})).await;
            assert_eq!(taxed(&exempt), told("exempt", "0", "0.00", total), "{at}");
        }
        // When it has come to be so, carts say what was simulated.
        app.clock.advance_seconds(10 * DAY);
        let same = cart(&shop, &json!({"coupons": ["window"], "shipping_address": address("DE")})).await;
        assert_eq!((&same["total"], &same["totals"]["lines"][0]["tax_rate"]), (&eur("64.26"), &json!("0.16")));
    });
}
