//! What is told before carts get a promotion: how low each article may fall, at any price that it has while it goes on, and what adds
//! up with it; each figure by hand.

use serde_json::{Value, json};

use crate::{
    promotions::{eur, percent, plan, promote},
    support::{App, Shop, on_both},
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A list with prices of it: SKU, amount, from when on.
async fn list(app: &App, code: &str, kind: &str, rows: &[(&str, &str, i64)]) -> String {
    let list = json!({"code": code, "name": code, "currency": "EUR", "kind": kind, "priority": 9});
    let id = text(&app.ops("POST", "/price-lists", Some(&list)).await.expect(201)["id"]);
    set(app, &id, rows).await;
    id
}

async fn set(app: &App, list: &str, rows: &[(&str, &str, i64)]) {
    let row = |(sku, amount, after): &(&str, &str, i64)| {
        let from = (*after > 0).then(|| app.now().plus_seconds(*after));
        json!({"sku": sku, "unit_price": eur(amount), "valid_from": from})
    };
    let rows: Vec<Value> = rows.iter().map(row).collect();
    app.ops("PUT", &format!("/price-lists/{list}/prices"), Some(&json!({ "rows": rows }))).await.expect(200);
}

async fn checks(app: &App, id: &str) -> Value {
    app.ops("GET", &format!("/promotions/{id}/checks"), None).await.expect(200)
}

/// Each warning with how many articles it is about, and the lowest price of the worst.
fn told(checks: &Value) -> Vec<(String, i64, String)> {
    let warning = |one: &Value| {
        let lowest = one["examples"][0]["lowest"]["amount"].as_str().unwrap_or_default();
        (text(&one["code"]), one["articles"].as_i64().unwrap(), lowest.to_owned())
    };
    checks["warnings"].as_array().unwrap().iter().map(warning).collect()
}

fn warned(all: &[(&str, i64, &str)]) -> Vec<(String, i64, String)> {
    all.iter().map(|(code, articles, lowest)| ((*code).to_owned(), *articles, (*lowest).to_owned())).collect()
}

#[test]
fn how_low_an_article_may_fall_is_told_of_whatever_a_promotion_gives() {
    on_both(|app| async move {
        Shop::open(&app, &[("TEE", "20.00", 5), ("MUG", "10.00", 5), ("CAP", "5.00", 5)]).await;
        list(&app, "costs", "cost", &[("TEE", "5.00", 0), ("MUG", "7.00", 0), ("CAP", "1.00", 0)]).await;
        let caps = json!({"include": [{"skus": ["CAP"]}]});
        let tees = json!({"include": [{"skus": ["TEE"]}]});
        let item = |sku: &str| json!({"goods": {"skus": [sku]}, "quantity": 1});
        let amount = |amount: &str| json!({"type": "amount", "amount": eur(amount), "on": "order"});
        for (number, (rule, expected)) in [
            // Alone in the cart all of it is taken off one piece: 20.00 less 15.00, and nothing is left of the others.
            (json!({"gift": amount("15.00")}), warned(&[("below_half", 1, "5.00"), ("free", 2, "0.00")])),
            // Of 40.00 every article bears its part, 37.5 %: 6.25 of the mug, which has cost 7.00.
            (json!({"gift": amount("15.00"), "conditions": {"min_value": eur("40.00")}}), warned(&[("below_cost", 1, "6.25")])),
            // What the cart must be worth may be other goods than those that are reduced.
            (
                json!({"gift": amount("15.00"), "conditions": {"min_value": eur("40.00"), "goods": caps}}),
                warned(&[("free", 1, "0.00")]),
            ),
            // Three pieces bear 5.00 each.
            (json!({"gift": amount("15.00"), "conditions": {"min_quantity": 3, "goods": tees}}), warned(&[])),
            // 3.00 off each of ten: 17.00, 7.00 and 2.00.
            (
                json!({"gift": {"type": "quantity_tiers", "tiers": [{"from": 10, "off": {"amount": eur("30.00")}}]}}),
                warned(&[("below_half", 1, "2.00")]),
            ),
            // 20.00 of 50.00 are 40 %: 6.00 of the mug.
            (
                json!({"gift": {"type": "spend_tiers", "tiers": [{"from": eur("50.00"), "off": {"amount": eur("20.00")}}]}}),
                warned(&[("below_cost", 1, "6.00")]),
            ),
            // The cap comes with the tee, which is paid whole.
            (
                json!({"conditions": {"goods": tees},
                       "gift": {"type": "buy_get", "buy": 1, "get": 1, "percent": "100", "of": {"skus": ["CAP"]}}}),
                warned(&[("free", 1, "0.00")]),
            ),
            // 12.00 for 30.00: the mug bears 4.00 and the tee 8.00.
            (
                json!({"gift": {"type": "bundle", "items": [item("TEE"), item("MUG")], "price": eur("12.00")}}),
                warned(&[("below_cost", 1, "4.00"), ("below_half", 1, "8.00")]),
            ),
            // Nobody can have it whole.
            (json!({"gift": {"type": "bundle", "items": [item("TEE"), item("SOCK")], "price": eur("1.00")}}), warned(&[])),
            // What is free is its shipping.
            (json!({"gift": percent("100", "shipping")}), warned(&[])),
        ]
        .into_iter()
        .enumerate()
        {
            let id = plan(&app, &format!("p{number}"), rule.clone()).await;
            let seen = checks(&app, &id).await;
            assert_eq!(told(&seen), expected, "{rule}: {seen}");
        }
    });
}

#[test]
fn prices_that_begin_while_a_promotion_goes_on_are_looked_at() {
    on_both(|app| async move {
        Shop::open(&app, &[("MUG", "10.00", 5), ("TEE", "20.00", 5)]).await;
        let costs = list(&app, "costs", "cost", &[("MUG", "5.00", 0)]).await;
        let sale = list(&app, "sale", "sale", &[("MUG", "4.00", 11 * DAY)]).await;
        let now = app.now();
        let rule = json!({
            "valid_from": now.plus_seconds(DAY), "valid_until": now.plus_seconds(10 * DAY), "gift": percent("40", "lines"),
            "conditions": {"goods": {"include": [{"skus": ["MUG"]}]}},
        });
        let id = plan(&app, "forty", rule.clone()).await;
        // 6.00 is above its cost, and what comes after it does not matter.
        assert_eq!(
            (told(&checks(&app, &id).await), checks(&app, &id).await["complete"].clone()),
            (vec![], json!(true))
        );
        // From its third day on it is 40 % off 8.00.
        set(&app, &sale, &[("MUG", "8.00", 3 * DAY)]).await;
        let seen = checks(&app, &id).await;
        assert_eq!(told(&seen), warned(&[("below_cost", 1, "4.80")]), "{seen}");
        assert_eq!(seen["warnings"][0]["examples"][0]["price"], eur("8.00"));
        let refused = app.ops("POST", &format!("/promotions/{id}/activate"), Some(&json!({}))).await;
        assert_eq!(refused.problem(409, "promotion_warnings")["warnings"], seen["warnings"]);
        // Nor is the sale reduced once more where that is not wanted; but the goods get dearer.
        let mut full = rule.clone();
        full["conditions"]["goods"]["full_price_only"] = json!(true);
        let full = plan(&app, "full", full).await;
        assert_eq!(told(&checks(&app, &full).await), vec![]);
        set(&app, &costs, &[("MUG", "6.50", 2 * DAY)]).await;
        assert_eq!(told(&checks(&app, &full).await), warned(&[("below_cost", 1, "6.00")]));
    });
}

#[test]
fn what_was_not_looked_at_whole_is_confirmed_too() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 5)]).await;
        let id = plan(&app, "tenth", json!({"gift": percent("10", "lines")})).await;
        let rows: Vec<(&str, &str, i64)> = (1..=24).map(|hour| ("MUG", "10.00", hour * HOUR)).collect();
        set(&app, &shop.price_list, &rows).await;
        let seen = checks(&app, &id).await;
        assert_eq!((told(&seen), &seen["complete"]), (vec![], &json!(true)), "{seen}");
        set(&app, &shop.price_list, &[("MUG", "10.00", 25 * HOUR)]).await;
        let seen = checks(&app, &id).await;
        assert_eq!((told(&seen), &seen["complete"]), (warned(&[("incomplete", 0, "")]), &json!(false)), "{seen}");
        let activate = format!("/promotions/{id}/activate");
        app.ops("POST", &activate, Some(&json!({}))).await.problem(409, "promotion_warnings");
        app.ops("POST", &activate, Some(&json!({"despite_warnings": true}))).await.expect(200);
    });
}

#[test]
fn a_change_of_what_carts_get_already_is_checked_as_its_activation_was() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let id = plan(&app, "tenth", json!({"gift": percent("10", "lines")})).await;
        let path = format!("/promotions/{id}");
        let all = json!({"gift": percent("100", "lines")});
        // Of a draft it is told when it is activated.
        app.ops("PATCH", &path, Some(&all)).await.expect(200);
        app.ops("PATCH", &path, Some(&json!({"gift": percent("10", "lines")}))).await.expect(200);
        let active = app.ops("POST", &format!("{path}/activate"), Some(&json!({}))).await.expect(200);
        let refused = app.ops("PATCH", &path, Some(&all)).await.problem(409, "promotion_warnings");
        assert_eq!(
            (&refused["pointer"], told(&refused)),
            (&json!("/despite_warnings"), warned(&[("free", 1, "0.00")]))
        );
        let as_before = app.ops("GET", &path, None).await.expect(200);
        assert_eq!((&as_before["version"], &as_before["gift"]), (&active["version"], &percent("10", "lines")));
        // What makes nothing cheaper is nobody's worry, nor is what is no news.
        let known = json!({"name": "A tenth", "limits": {"uses": 9}, "gift": percent("10", "lines")});
        app.ops("PATCH", &path, Some(&known)).await.expect(200);
        let mut accepted = all.clone();
        accepted["despite_warnings"] = json!(true);
        let changed = app.ops("PATCH", &path, Some(&accepted)).await.expect(200);
        assert_eq!(changed["gift"], percent("100", "lines"));
        assert_eq!(shop.cart(&[("MUG", 1)]).await.body["total"], eur("4.90"));
        // It is its warnings' word that counts, whatever has been accepted before.
        app.ops("PATCH", &path, Some(&json!({"valid_until": app.now().plus_seconds(DAY)})))
            .await
            .problem(409, "promotion_warnings");
    });
}

#[test]
fn two_that_reduce_shipping_add_up_as_well() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let half =
            |countries: Value| json!({"gift": percent("50", "shipping"), "conditions": {"countries": countries}});
        let first = promote(&app, "first", half(json!([]))).await;
        let second = plan(&app, "second", half(json!(["DE"]))).await;
        let seen = checks(&app, &second).await;
        assert_eq!(told(&seen), warned(&[("overlap", 0, "")]), "{seen}");
        assert_eq!(seen["warnings"][0]["promotion_id"], json!(first));
        app.ops("POST", &format!("/promotions/{second}/activate"), Some(&json!({})))
            .await
            .problem(409, "promotion_warnings");
        // It does: half of 4.90, and half of what is left of it.
        app.ops("POST", &format!("/promotions/{second}/activate"), Some(&json!({"despite_warnings": true})))
            .await
            .expect(200);
        assert_eq!(shop.cart(&[("MUG", 1)]).await.body["totals"]["shipping_total"]["amount"], "1.22");
        // No cart goes to two countries, and goods are no shipping.
        app.ops("POST", &format!("/promotions/{first}/end"), None).await.expect(200);
        for (code, rule) in [("austria", half(json!(["AT"]))), ("goods", json!({"gift": percent("5", "lines")}))] {
            let id = plan(&app, code, rule).await;
            assert_eq!(told(&checks(&app, &id).await), vec![], "{code}");
        }
    });
}
