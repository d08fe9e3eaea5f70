//! Guard rails of price rules over HTTP, each where it binds, and what an applied price becomes to the law: the example of the manual
//! day by day.

use kontor::jobs::Runner;
use serde_json::{Value, json};

use crate::{
    repricing::{DAY, clearance, eur, open, price, rule, run, set},
    support::{App, Shop, on_both_idle},
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// The reasons of a proposal in their order, each with what it says.
fn because(proposal: &Value) -> Vec<(String, String)> {
    let steps = proposal["explanation"]["because"].as_array().unwrap();
    steps.iter().map(|step| (text(&step["code"]), text(&step["text"]))).collect()
}

fn codes(proposal: &Value) -> Vec<String> {
    because(proposal).into_iter().map(|(code, _)| code).collect()
}

async fn approve(app: &App, proposal: &Value) {
    let ids = json!({"ids": [proposal["id"]]});
    let told = app.ops("POST", "/price-proposals/approve", Some(&ids)).await.expect(200);
    assert_eq!(told["done"], 1, "{told}");
}

/// A list of what goods have cost.
async fn costs(app: &App, goods: &[(&str, &str)]) {
    let list = json!({"code": "costs", "name": "Costs", "currency": "EUR", "kind": "cost"});
    let list = text(&app.ops("POST", "/price-lists", Some(&list)).await.expect(201)["id"]);
    for (sku, cost) in goods {
        set(app, &list, sku, cost).await;
    }
}

/// What a storefront shows: the price, the one before it and the per cent.
async fn shown(shop: &Shop, sku: &str) -> (String, Option<String>, Option<i64>) {
    let offers = shop.store("POST", "/offers", None, Some(&json!({"skus": [sku]}))).await.expect(200);
    let offer = &offers["items"][0];
    let prior = offer["prior_price"]["amount"].as_str().map(str::to_owned);
    (text(&offer["price"]["amount"]), prior, offer["reduction_percent"].as_i64())
}

/// What the rule proposes now for the one article that it is for; nothing where it passes it over.
async fn proposed(app: &App, id: &str) -> Option<Value> {
    run(app, id).await;
    open(app).await.into_iter().next()
}

#[test]
fn the_manuals_coffee_falls_step_by_step_and_keeps_the_price_before_the_first() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("COFFEE", "9.95", 340)]).await;
        let list = clearance(&app, "sale").await;
        costs(&app, &[("COFFEE", "6.00")]).await;
        app.clock.advance_seconds(60 * DAY);
        shop.order(&[("COFFEE", 40)]).await;
        let more = json!({
            "signal": {"type": "stock_cover", "days": 28},
            "tiers": [{"from": 90, "below": 180, "change": "-10"}, {"from": 180, "change": "-25"}],
            "guard_rails": {"largest_step": "15", "floor_margin": "20", "ending": eur("0.99")},
        });
        let id = rule(&app, "slow-movers", more).await;
        let first = proposed(&app, &id).await.unwrap();
        let told = [
            ("stock_cover", "40 sold in 28 days, 300 available: that lasts 210 days"),
            ("tier", "-25 % of 9.95 EUR by the list base"),
            ("largest_step", "no further than 8.46 EUR: 15 % from 9.95 EUR"),
            ("ending", "8.99 EUR instead of 8.46, for the ending 0.99 EUR"),
        ];
        assert_eq!(because(&first), told.map(|(code, text)| (code.to_owned(), text.to_owned())));
        assert_eq!((&first["to"], &first["from"]), (&eur("8.99"), &Value::Null));
        // As long as nobody approves it the price stays.
        assert_eq!(shown(&shop, "COFFEE").await, ("9.95".to_owned(), None, None));
        approve(&app, &first).await;
        assert_eq!(shown(&shop, "COFFEE").await, ("8.99".to_owned(), Some("9.95".to_owned()), Some(9)));
        // The day after a step leads to 7.65, so that 7.99 it is; of the reduction the price before it is the same.
        app.clock.advance_seconds(DAY);
        let second = proposed(&app, &id).await.unwrap();
        assert_eq!((&second["from"], &second["to"]), (&eur("8.99"), &eur("7.99")));
        approve(&app, &second).await;
        assert_eq!(shown(&shop, "COFFEE").await, ("7.99".to_owned(), Some("9.95".to_owned()), Some(19)));
        // Then 7.46 is within reach, and 6.99 below the floor of 7.20: it stays.
        app.clock.advance_seconds(DAY);
        let none = run(&app, &id).await;
        assert_eq!((&none["proposed"], &none["passed_over"]), (&json!(0), &json!({"unchanged": 1})));
        // Both are in the history, with whoever approved them and the rule.
        let history = app.ops("GET", &format!("/price-changes?price_list_id={list}"), None).await.expect(200);
        let row = |change: &Value| {
            (text(&change["to"]["unit_price"]["amount"]), text(&change["actor"]), text(&change["reference"]))
        };
        let rows: Vec<_> = history["items"].as_array().unwrap().iter().map(row).collect();
        let by = |price: &str| (price.to_owned(), "staff:ada".to_owned(), "price-rule:slow-movers".to_owned());
        assert_eq!(rows, [by("7.99"), by("8.99")]);
        // Sold better, it goes up again: another reduction, which was lower before, so that nothing is shown.
        shop.order(&[("COFFEE", 160)]).await;
        let patch = json!({"tiers": [{"below": 90, "change": "0"}]});
        app.ops("PATCH", &format!("/price-rules/{id}"), Some(&patch)).await.expect(200);
        app.clock.advance_seconds(DAY);
        let third = proposed(&app, &id).await.unwrap();
        // A step of 15 % leads up to 9.18 of the 9.95.
        assert_eq!(
            (&third["to"], codes(&third).split_off(2)),
            (&eur("8.99"), vec!["largest_step".to_owned(), "ending".to_owned()])
        );
        approve(&app, &third).await;
        assert_eq!(shown(&shop, "COFFEE").await, ("8.99".to_owned(), None, None));
    });
}

#[test]
fn of_the_guard_rails_each_binds_where_it_is_the_narrowest() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "100.00", 50)]).await;
        clearance(&app, "sale").await;
        costs(&app, &[("TEE", "60.00")]).await;
        app.clock.advance_seconds(30 * DAY);
        let id = rule(&app, "bound", json!({"signal": {"type": "age"}, "tiers": [{"change": "-50"}]})).await;
        let path = format!("/price-rules/{id}");
        let simulate = async |rails: Value, change: &str| {
            let patch = json!({"guard_rails": rails, "tiers": [{"change": change}]});
            app.ops("PATCH", &path, Some(&patch)).await.expect(200);
            let seen = app.ops("POST", &format!("{path}/simulate"), Some(&json!({"skus": ["TEE"]}))).await.expect(200);
            match seen["proposals"].as_array().unwrap().first() {
                Some(one) => {
                    let codes = codes(one).split_off(2);
                    (text(&one["to"]["amount"]), codes)
                }
                None => (text(&seen["passed_over"][0]["reason"]["code"]), Vec::new()),
            }
        };
        let told = |price: &str, codes: &[&str]| {
            (price.to_owned(), codes.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>())
        };
        // Half of 100.00 by itself, and what each rail makes of it: the narrowest is named, and it alone.
        assert_eq!(simulate(json!({}), "-50").await, told("50.00", &[]));
        assert_eq!(simulate(json!({"largest_step": "20"}), "-50").await, told("80.00", &["largest_step"]));
        assert_eq!(simulate(json!({"floor_margin": "0"}), "-50").await, told("60.00", &["floor_margin"]));
        assert_eq!(simulate(json!({"floor_margin": "-10"}), "-50").await, told("54.00", &["floor_margin"]));
        assert_eq!(simulate(json!({"floor": eur("70.00")}), "-50").await, told("70.00", &["floor"]));
        let rails = json!({"floor": eur("70.00"), "floor_margin": "20", "largest_step": "20"});
        assert_eq!(simulate(rails, "-50").await, told("80.00", &["largest_step"]));
        let rails = json!({"floor": eur("70.00"), "floor_margin": "20", "largest_step": "90"});
        assert_eq!(simulate(rails, "-50").await, told("72.00", &["floor_margin"]));
        // Upwards: the ceiling, and the step.
        assert_eq!(simulate(json!({"ceiling": eur("120.00")}), "50").await, told("120.00", &["ceiling"]));
        let rails = json!({"ceiling": eur("120.00"), "largest_step": "10"});
        assert_eq!(simulate(rails, "50").await, told("110.00", &["largest_step"]));
        // The ending goes down where it may, else up, else it is left out and told so.
        let ending = |rest: Value| {
            let mut rails = json!({"ending": eur("0.99")});
            rails.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            rails
        };
        assert_eq!(simulate(ending(json!({})), "-50").await, told("49.99", &["ending"]));
        assert_eq!(simulate(ending(json!({"floor": eur("50.00")})), "-50").await, told("50.99", &["ending"]));
        assert_eq!(simulate(ending(json!({"floor": eur("49.99")})), "-50").await, told("49.99", &["ending"]));
        let rails = ending(json!({"floor": eur("70.00"), "ceiling": eur("70.50")}));
        assert_eq!(simulate(rails, "-50").await, told("70.00", &["floor", "ending_left_out"]));
        // Where two leave nothing between them, nothing is proposed; nor is what it costs already.
        let rails = json!({"floor": eur("90.00"), "ceiling": eur("95.00"), "largest_step": "2"});
        assert_eq!(simulate(rails, "-50").await, told("guard_rails", &[]));
        assert_eq!(simulate(json!({"floor": eur("100.00")}), "-50").await, told("unchanged", &[]));
        // Nobody has approved anything: it costs what it did.
        assert_eq!(price(&shop, "TEE").await, "100.00");
    });
}

#[test]
fn sell_through_is_of_what_there_was_and_its_tiers_begin_and_end_where_they_say() {
    on_both_idle(|app| async move {
        let goods = [("HALF", "10.00", 20), ("MOST", "10.00", 20), ("NONE", "10.00", 20), ("NEW", "10.00", 0)];
        let shop = Shop::open(&app, &goods).await;
        clearance(&app, "sale").await;
        app.clock.advance_seconds(30 * DAY);
        shop.stock_up("NEW", 20).await;
        shop.order(&[("HALF", 10), ("MOST", 16), ("NEW", 10)]).await;
        // What was cancelled is not sold, and is there again.
        let gone = shop.order(&[("HALF", 5)]).await;
        let cancel = format!("/orders/{}/cancel", text(&gone["id"]));
        app.ops("POST", &cancel, Some(&json!({"reason": "second thoughts"}))).await.expect(200);
        // From 50 on is 50, below 50 is not.
        let more = json!({
            "signal": {"type": "sell_through", "days": 10},
            "tiers": [{"below": 50, "change": "-30"}, {"from": 50, "below": 80, "change": "-10"}, {"from": 80, "change": "20"}],
        });
        let id = rule(&app, "through", more).await;
        let ran = run(&app, &id).await;
        assert_eq!((&ran["proposed"], &ran["passed_over"]), (&json!(3), &json!({"too_new": 1})));
        let waits = open(&app).await;
        let of = |sku: &str| {
            let one = waits.iter().find(|one| one["sku"] == sku).unwrap();
            (text(&one["to"]["amount"]), text(&one["explanation"]["figure"]), because(one)[0].1.clone())
        };
        let told = |price: &str, figure: &str, text: &str| (price.to_owned(), figure.to_owned(), text.to_owned());
        assert_eq!(of("HALF"), told("9.00", "50", "10 sold in 10 days, 10 available: 50 % are sold"));
        assert_eq!(of("MOST"), told("12.00", "80", "16 sold in 10 days, 4 available: 80 % are sold"));
        assert_eq!(of("NONE"), told("7.00", "0", "0 sold in 10 days, 20 available: 0 % are sold"));
        // One more is sold, and what was half is more; sold longer ago than the window, it is not sold.
        shop.order(&[("HALF", 1)]).await;
        app.clock.advance_seconds(11 * DAY);
        run(&app, &id).await;
        let waits = open(&app).await;
        let half = waits.iter().find(|one| one["sku"] == "HALF").unwrap();
        assert_eq!((&half["to"], &half["explanation"]["figure"]), (&eur("7.00"), &json!("0")));
    });
}

/// Does what is to be done now, schedules apart.
async fn work(app: &App) {
    let mut runner = Runner::new(app.state.db.clone(), app.clock.clone(), 1, 60);
    kontor::api::work(&app.state, &mut runner);
    runner.drain().await.unwrap();
}

#[test]
fn so_many_changes_a_day_are_for_all_rules_together_and_each_keeps_to_its_own_number() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "100.00", 50)]).await;
        let list = clearance(&app, "sale").await;
        app.clock.advance_seconds(30 * DAY);
        let applying = |change: &str, most: i64| {
            json!({"mode": "apply", "signal": {"type": "age"}, "channel_id": shop.channel,
            "tiers": [{"change": change}], "guard_rails": {"changes_per_day": most}})
        };
        let one = rule(&app, "once", applying("-10", 1)).await;
        let two = rule(&app, "twice", applying("-20", 2)).await;
        assert_eq!(run(&app, &one).await["applied"], 1);
        assert_eq!(run(&app, &two).await["applied"], 1);
        assert_eq!(price(&shop, "TEE").await, "80.00");
        // Two are made: neither may again today, whoever of them has made them. What people change by hand is not counted.
        for id in [&one, &two] {
            let ran = run(&app, id).await;
            assert_eq!(ran["applied"], 0, "{ran}");
        }
        set(&app, &list, "TEE", "85.00").await;
        let ran = run(&app, &two).await;
        assert_eq!((&ran["applied"], &ran["passed_over"]["changes_per_day"]), (&json!(0), &json!(1)));
        assert_eq!(price(&shop, "TEE").await, "85.00");
        // Tomorrow one of them has its turn; however many run at once, it is two at most.
        app.clock.advance_seconds(DAY);
        app.ops("POST", &format!("/price-rules/{one}/run"), None).await.expect(202);
        app.ops("POST", &format!("/price-rules/{two}/run"), None).await.expect(202);
        tokio::join!(work(&app), work(&app), work(&app));
        let changes = app.ops("GET", &format!("/price-changes?price_list_id={list}"), None).await.expect(200);
        let by_rules =
            changes["items"].as_array().unwrap().iter().filter(|change| change["actor"] == "system:price-rules");
        let by_rules = by_rules.count();
        assert!((3..=4).contains(&by_rules), "{changes}");
        let is = price(&shop, "TEE").await;
        assert!(["90.00", "80.00"].contains(&is.as_str()), "{is}");
    });
}

#[test]
fn what_may_not_be_changed_again_today_stays_open_and_keeps_nobody_else_from_it() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "100.00", 50)]).await;
        let list = clearance(&app, "sale").await;
        app.clock.advance_seconds(30 * DAY);
        let proposing = |change: &str, most: i64| {
            json!({"signal": {"type": "age"}, "channel_id": shop.channel, "tiers": [{"change": change}],
            "guard_rails": {"changes_per_day": most}})
        };
        let once = rule(&app, "once", proposing("-10", 1)).await;
        let often = rule(&app, "often", proposing("-20", 3)).await;
        let decide = async |ids: &[&Value]| {
            let ids = json!({ "ids": ids });
            app.ops("POST", "/price-proposals/approve", Some(&ids)).await.expect(200)
        };
        let state = async |id: &Value| {
            app.ops("GET", &format!("/price-proposals/{}", text(id)), None).await.expect(200)["state"].clone()
        };
        let first = proposed(&app, &once).await.unwrap();
        assert_eq!(decide(&[&first["id"]]).await["done"], 1);
        assert_eq!(price(&shop, "TEE").await, "90.00");
        // Somebody takes the price out again: both rules propose anew what it should be.
        let gone = json!({"remove": [{"sku": "TEE"}]});
        app.ops("PUT", &format!("/price-lists/{list}/prices"), Some(&gone)).await.expect(200);
        run(&app, &once).await;
        run(&app, &often).await;
        let waits = open(&app).await;
        let of = |to: &str| waits.iter().find(|one| one["to"] == eur(to)).map(|one| one["id"].clone());
        let (Some(nine), Some(eight)) = (of("90.00"), of("80.00")) else { panic!("{waits:?}") };
        // The one may not be applied today, and stays open; that it was tried does not make the other one stale.
        let refused = decide(&[&nine]).await;
        assert_eq!((&refused["failed"], &refused["errors"][0]["code"]), (&json!(1), &json!("changes_per_day")));
        assert_eq!((state(&nine).await, state(&eight).await), (json!("open"), json!("open")));
        // Both at once: the one that may is the price, and the other one was made from what it was before.
        let both = decide(&[&nine, &eight]).await;
        assert_eq!(
            (&both["done"], &both["failed"], &both["errors"][0]["code"]),
            (&json!(1), &json!(1), &json!("stale"))
        );
        assert_eq!((state(&nine).await, state(&eight).await), (json!("stale"), json!("applied")));
        assert_eq!(price(&shop, "TEE").await, "80.00");
        // Taken out twice more, by the third time neither may: both stay open, and the price is what it was.
        app.ops("PUT", &format!("/price-lists/{list}/prices"), Some(&gone)).await.expect(200);
        let again = proposed(&app, &often).await.unwrap();
        assert_eq!(decide(&[&again["id"]]).await["done"], 1);
        app.ops("PUT", &format!("/price-lists/{list}/prices"), Some(&gone)).await.expect(200);
        run(&app, &once).await;
        run(&app, &often).await;
        let waits = open(&app).await;
        let ids: Vec<&Value> = waits.iter().map(|one| &one["id"]).collect();
        let neither = decide(&ids).await;
        assert_eq!((ids.len(), &neither["done"], &neither["failed"]), (2, &json!(0), &json!(2)), "{neither}");
        assert!(
            neither["errors"].as_array().unwrap().iter().all(|error| error["code"] == "changes_per_day"),
            "{neither}"
        );
        assert_eq!(price(&shop, "TEE").await, "100.00");
        // Tomorrow is another day.
        app.clock.advance_seconds(DAY);
        assert_eq!(decide(&ids[..1]).await["done"], 1);
    });
}
