//! Price rules over HTTP: planned, simulated, run, approved, applied, explained, and kept within their guard rails.

use kontor::jobs::Runner;
use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both, on_both_idle};

pub const DAY: i64 = 86_400;

pub fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

/// A list for reductions that goes before the everyday one.
pub async fn clearance(app: &App, kind: &str) -> String {
    let list = json!({"code": "clearance", "name": "Clearance", "currency": "EUR", "kind": kind, "priority": 10});
    app.ops("POST", "/price-lists", Some(&list)).await.expect(201)["id"].as_str().unwrap().to_owned()
}

/// Makes a rule that goes by the cover of the stock: its id.
async fn plan(app: &App, code: &str, more: Value) -> String {
    let mut new = json!({
        "code": code, "name": code, "price_list": "clearance", "reference_list": "base",
        "signal": {"type": "stock_cover", "days": 10}, "tiers": [{"from": 50, "change": "-20"}], "every_minutes": 10_080
    });
    new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = app.ops("POST", "/price-rules", Some(&new)).await.expect(201);
    assert_eq!(made["state"], "draft");
    made["id"].as_str().unwrap().to_owned()
}

/// The same, activated.
pub async fn rule(app: &App, code: &str, more: Value) -> String {
    let id = plan(app, code, more).await;
    app.ops("POST", &format!("/price-rules/{id}/activate"), None).await.expect(200);
    id
}

/// Does what is to be done now, schedules apart.
async fn work(app: &App) {
    let mut runner = Runner::new(app.state.db.clone(), app.clock.clone(), 1, 60);
    kontor::api::work(&app.state, &mut runner);
    runner.drain().await.unwrap();
}

/// Lets a rule look at its goods: what that came to.
pub async fn run(app: &App, id: &str) -> Value {
    app.clock.advance_seconds(1);
    let path = format!("/price-rules/{id}");
    app.ops("POST", &format!("{path}/run"), None).await.expect(202);
    work(app).await;
    let rule = app.ops("GET", &path, None).await.expect(200);
    assert_eq!(rule["last_run"]["at"], json!(app.now()));
    rule["last_run"].clone()
}

async fn proposals(app: &App, query: &str) -> Vec<Value> {
    app.ops("GET", &format!("/price-proposals?{query}"), None).await.expect(200)["items"].as_array().unwrap().clone()
}

pub async fn open(app: &App) -> Vec<Value> {
    proposals(app, "state=open").await
}

async fn decide(app: &App, what: &str, ids: &[&Value]) -> Value {
    app.ops("POST", &format!("/price-proposals/{what}"), Some(&json!({ "ids": ids }))).await.expect(200)
}

async fn offer(shop: &Shop, sku: &str) -> Value {
    let offers = shop.store("POST", "/offers", None, Some(&json!({"skus": [sku]}))).await.expect(200);
    offers["items"][0].clone()
}

pub async fn price(shop: &Shop, sku: &str) -> String {
    offer(shop, sku).await["price"]["amount"].as_str().unwrap().to_owned()
}

pub async fn set(app: &App, list: &str, sku: &str, amount: &str) {
    let row = json!({"sku": sku, "unit_price": eur(amount)});
    app.ops("PUT", &format!("/price-lists/{list}/prices"), Some(&json!({"rows": [row]}))).await.expect(200);
}

/// So many goods whose stock is not counted, `S0000` and so on, for 10.00 each.
pub async fn many(shop: &Shop, count: usize) {
    let app = &shop.app;
    let token = app.token(kontor::http::auth::Audience::Client, "erp", kontor::kernel::Scope::ALL);
    let bearer = format!("Bearer {token}");
    let skus: Vec<String> = (0..count).map(|number| format!("S{number:04}")).collect();
    for some in skus.chunks(500) {
        let row = |sku: &String| json!({"sku": sku, "name": "x", "tax_class": "standard", "stock_policy": "untracked"});
        let text: String = some.iter().map(|sku| format!("{}\n", row(sku))).collect();
        let body = Some(("application/x-ndjson", text));
        app.send_text("POST", "/v1/integration/variants", &[("Authorization", &bearer)], body).await.expect(200);
        let prices: Vec<Value> = some.iter().map(|sku| json!({"sku": sku, "unit_price": eur("10.00")})).collect();
        let path = format!("/price-lists/{}/prices", shop.price_list);
        app.ops("PUT", &path, Some(&json!({ "rows": prices }))).await.expect(200);
    }
}

#[test]
fn a_run_and_an_approval_take_few_statements_however_many_goods_there_are() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        clearance(&app, "sale").await;
        many(&shop, 200).await;
        let id = rule(&app, "all", json!({"signal": {"type": "age"}, "tiers": [{"change": "-10"}]})).await;
        let statements = || app.state.db.stats().statements;
        let before = statements();
        assert_eq!(run(&app, &id).await["proposed"], 200);
        let ran = statements() - before;
        let waits = proposals(&app, "state=open&limit=200").await;
        let ids: Vec<&Value> = waits.iter().map(|one| &one["id"]).collect();
        let before = statements();
        assert_eq!(decide(&app, "approve", &ids).await["done"], 200);
        let approved = statements() - before;
        // With those of the requests and of the queue, and of what looks for changes beside them.
        assert!(ran < 120 && approved < 60, "{ran} and {approved} statements for 200 articles");
        assert_eq!(price(&shop, "S0199").await, "9.00");
    });
}

#[test]
fn what_lies_too_long_gets_cheaper_when_somebody_approves_it_and_shows_the_price_before() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "100.00", 100), ("MUG", "10.00", 20), ("CAP", "30.00", 0)]).await;
        let list = clearance(&app, "sale").await;
        app.clock.advance_seconds(60 * DAY);
        // Two a day, of which 98 are left: they last for 49 days. Of the mugs 10 are sold: they last for ten days.
        shop.order(&[("TEE", 20), ("MUG", 10)]).await;
        let id = plan(&app, "slow", json!({"guard_rails": {"ending": eur("0.99")}})).await;
        let path = format!("/price-rules/{id}");
        let seen = app.ops("POST", &format!("{path}/simulate"), Some(&json!({}))).await.expect(200);
        assert_eq!((&seen["looked_at"], &seen["proposes"], &seen["complete"]), (&json!(3), &json!(0), &json!(true)));
        assert_eq!(seen["passes_over"], json!({"no_tier": 2, "nothing_there": 1}));
        let text = seen["passed_over"].to_string();
        assert!(text.contains("20 sold in 10 days, 80 available: that lasts 40 days"), "{text}");
        // Cancelled ones are not sold, and what is available is: the shirts last longer than fifty days then.
        let more = shop.order(&[("TEE", 1)]).await;
        let cancel = format!("/orders/{}/cancel", more["id"].as_str().unwrap());
        app.ops("POST", &cancel, Some(&json!({"reason": "changed their mind"}))).await.expect(200);
        shop.stock_up("TEE", 20).await;
        let named = json!({"skus": ["TEE", "CAP"]});
        let seen = app.ops("POST", &format!("{path}/simulate"), Some(&named)).await.expect(200);
        assert_eq!((&seen["looked_at"], &seen["proposes"]), (&json!(2), &json!(1)));
        let would = &seen["proposals"][0];
        assert_eq!((&would["from"], &would["to"]), (&Value::Null, &eur("79.99")));
        let told = &would["explanation"];
        assert_eq!((&told["signal"], &told["figure"]), (&json!("stock_cover"), &json!("50")));
        assert_eq!((&told["reference"], &told["wanted"]), (&eur("100.00"), &eur("80.00")));
        let codes: Vec<&str> =
            told["because"].as_array().unwrap().iter().map(|step| step["code"].as_str().unwrap()).collect();
        assert_eq!(codes, ["stock_cover", "tier", "ending"]);
        // A draft is not run, and has written nothing.
        app.ops("POST", &format!("{path}/run"), None).await.problem(409, "state_conflict");
        assert!(proposals(&app, "").await.is_empty());
        app.ops("POST", &format!("{path}/activate"), None).await.expect(200);
        let ran = run(&app, &id).await;
        assert_eq!((&ran["looked_at"], &ran["proposed"], &ran["applied"]), (&json!(3), &json!(1), &json!(0)));
        let waits = open(&app).await;
        assert_eq!((waits.len(), &waits[0]["sku"], &waits[0]["explanation"]), (1, &json!("TEE"), told));
        assert_eq!(price(&shop, "TEE").await, "100.00");
        // Run again, it is the same proposal.
        assert_eq!(run(&app, &id).await["kept"], 1);
        assert_eq!(open(&app).await[0]["id"], waits[0]["id"]);
        // Approved it is the price, with its history, and storefronts show the price before it.
        assert_eq!(decide(&app, "approve", &[&waits[0]["id"]]).await, json!({"done": 1, "failed": 0, "errors": []}));
        let shown = offer(&shop, "TEE").await;
        assert_eq!((&shown["price"], &shown["prior_price"]), (&eur("79.99"), &eur("100.00")));
        assert_eq!(shown["reduction_percent"], 20);
        let history = app.ops("GET", &format!("/price-changes?price_list_id={list}"), None).await.expect(200);
        let change = &history["items"][0];
        assert_eq!((&change["actor"], &change["reference"]), (&json!("staff:ada"), &json!("price-rule:slow")));
        assert_eq!((&change["from"], &change["to"]["unit_price"]), (&Value::Null, &eur("79.99")));
        let one = waits[0]["id"].as_str().unwrap();
        let done = app.ops("GET", &format!("/price-proposals/{one}"), None).await.expect(200);
        assert_eq!((&done["state"], &done["decided_by"]), (&json!("applied"), &json!("staff:ada")));
        assert_eq!(done["actions"][1]["allowed"], false);
        // Approved twice it is applied once; rejecting it comes too late.
        assert_eq!(decide(&app, "approve", &[&waits[0]["id"]]).await["done"], 1);
        assert_eq!(decide(&app, "reject", &[&waits[0]["id"]]).await["errors"][0]["code"], "state_conflict");
        let history = app.ops("GET", &format!("/price-changes?price_list_id={list}"), None).await.expect(200);
        assert_eq!(history["items"].as_array().unwrap().len(), 1);
        // The reference is what the rule reckons from: it does not go on from its own price.
        app.clock.advance_seconds(2 * DAY);
        let again = run(&app, &id).await;
        assert_eq!((&again["proposed"], &again["passed_over"]["unchanged"]), (&json!(0), &json!(1)));
    });
}

#[test]
fn what_is_approved_keeps_to_the_guard_rails_of_now_and_overwrites_no_price_of_somebody_else() {
    on_both_idle(|app| async move {
        let goods = [("TEE", "100.00", 50), ("MUG", "10.00", 50), ("CAP", "30.00", 50)];
        let shop = Shop::open(&app, &goods).await;
        let list = clearance(&app, "sale").await;
        app.clock.advance_seconds(30 * DAY);
        let id = rule(&app, "slow", json!({"tiers": [{"change": "-20"}]})).await;
        assert_eq!(run(&app, &id).await["proposed"], 3);
        let of = |all: &[Value], sku: &str| all.iter().find(|one| one["sku"] == sku).unwrap()["id"].clone();
        let waits = open(&app).await;
        let [tee, mug, cap] = ["TEE", "MUG", "CAP"].map(|sku| of(&waits, sku));
        // 20.00 for three is no exact price of one: no price of the proposal's, and there all the same.
        let three = json!({"sku": "TEE", "unit_price": eur("20.00"), "per": 3});
        let prices = format!("/price-lists/{list}/prices");
        app.ops("PUT", &prices, Some(&json!({"rows": [three]}))).await.expect(200);
        // Larger quantities have got a price of their own, and another floor holds.
        let tier = json!({"sku": "MUG", "unit_price": eur("9.00"), "min_quantity": 10});
        app.ops("PUT", &prices, Some(&json!({"rows": [tier]}))).await.expect(200);
        let floor = json!({"guard_rails": {"floor": eur("25.00")}});
        app.ops("PATCH", &format!("/price-rules/{id}"), Some(&floor)).await.expect(200);
        let told = decide(&app, "approve", &[&tee, &mug, &cap]).await;
        assert_eq!((&told["done"], &told["failed"]), (&json!(0), &json!(3)));
        assert!(told["errors"].as_array().unwrap().iter().all(|error| error["code"] == "stale"), "{told}");
        assert_eq!((price(&shop, "MUG").await, price(&shop, "CAP").await), ("10.00".into(), "30.00".into()));
    });
}

#[test]
fn a_proposal_whose_price_has_moved_is_stale_and_a_newer_one_takes_its_place() {
    on_both_idle(|app| async move {
        let goods = [("TEE", "100.00", 50), ("MUG", "10.00", 50), ("CAP", "30.00", 50), ("PIN", "5.00", 50)];
        let shop = Shop::open(&app, &goods).await;
        let list = clearance(&app, "sale").await;
        app.clock.advance_seconds(30 * DAY);
        let id = rule(&app, "slow", json!({"tiers": [{"change": "-20"}]})).await;
        assert_eq!(run(&app, &id).await["proposed"], 4);
        let of = |all: &[Value], sku: &str| all.iter().find(|one| one["sku"] == sku).unwrap()["id"].clone();
        let waits = open(&app).await;
        let [tee, mug, cap, pin] = ["TEE", "MUG", "CAP", "PIN"].map(|sku| of(&waits, sku));
        // The price, or what it was reckoned from, is another one when it is approved.
        set(&app, &list, "TEE", "90.00").await;
        shop.set_price("MUG", "11.00").await;
        let told = decide(&app, "approve", &[&tee, &mug, &cap]).await;
        assert_eq!((&told["done"], &told["failed"]), (&json!(1), &json!(2)));
        let mut codes = told["errors"].as_array().unwrap().iter().map(|error| error["code"].as_str().unwrap());
        assert!(codes.all(|code| code == "stale"), "{told}");
        assert_eq!((price(&shop, "TEE").await, price(&shop, "MUG").await), ("90.00".into(), "11.00".into()));
        assert_eq!(price(&shop, "CAP").await, "24.00");
        // What is rejected is not proposed again as long as nothing has changed.
        assert_eq!(decide(&app, "reject", &[&pin]).await["done"], 1);
        let ran = run(&app, &id).await;
        assert_eq!((&ran["proposed"], &ran["passed_over"]), (&json!(2), &json!({"rejected": 1, "unchanged": 1})));
        // A newer one takes the place of an open one: never are two open.
        shop.set_price("MUG", "12.00").await;
        shop.set_price("PIN", "6.00").await;
        let before = of(&open(&app).await, "MUG");
        assert_eq!(run(&app, &id).await["proposed"], 2);
        let waits = open(&app).await;
        assert_eq!((waits.len(), proposals(&app, "sku=MUG&state=superseded").await[0]["id"].clone()), (3, before));
        // What the rule would not propose any more does not wait any more.
        shop.set_price("PIN", "5.00").await;
        let patch = json!({"goods": {"exclude": [{"skus": ["MUG"]}]}, "guard_rails": {"floor": eur("4.50")}});
        app.ops("PATCH", &format!("/price-rules/{id}"), Some(&patch)).await.expect(200);
        assert_eq!(run(&app, &id).await["looked_at"], 3);
        assert_eq!(proposals(&app, "sku=MUG&state=open").await.len(), 0);
        let pin = &proposals(&app, "sku=PIN&state=open").await[0];
        assert_eq!((&pin["to"], pin["explanation"]["because"][2]["code"].as_str()), (&eur("4.50"), Some("floor")));
        // With the rule its proposals are over.
        let over = app.ops("POST", &format!("/price-rules/{id}/end"), None).await.expect(200);
        assert_eq!(over["actions"][0]["allowed"], false);
        assert_eq!(open(&app).await.len(), 0);
        assert_eq!(decide(&app, "approve", &[&pin["id"]]).await["errors"][0]["code"], "state_conflict");
        app.ops("PATCH", &format!("/price-rules/{id}"), Some(&json!({"every_minutes": 10})))
            .await
            .problem(409, "state_conflict");
    });
}

#[test]
fn what_is_applied_at_once_keeps_to_so_many_changes_a_day_of_its_channel() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "100.00", 50)]).await;
        clearance(&app, "sale").await;
        app.clock.advance_seconds(30 * DAY);
        let now = app.now().utc();
        // Ten in the evening in Berlin, which is nine by UTC in winter and eight in summer: the same day in both.
        let hour = i64::from(chrono::Timelike::hour(&now));
        app.clock.advance_seconds((20 - hour).rem_euclid(24) * 3600);
        let more = json!({"mode": "apply", "channel_id": shop.channel, "tiers": [{"change": "-10"}],
            "guard_rails": {"changes_per_day": 2}});
        let id = rule(&app, "fast", more).await;
        assert_eq!(run(&app, &id).await["applied"], 1);
        assert_eq!(price(&shop, "TEE").await, "90.00");
        let change = app.ops("GET", "/price-changes?actor=system:price-rules", None).await.expect(200);
        assert_eq!(change["items"][0]["reference"], "price-rule:fast");
        for (base, applied, is) in [("90.00", 1, "81.00"), ("80.00", 0, "81.00")] {
            shop.set_price("TEE", base).await;
            let ran = run(&app, &id).await;
            assert_eq!((ran["applied"].as_i64(), price(&shop, "TEE").await.as_str()), (Some(applied), is));
            assert_eq!(ran["passed_over"]["changes_per_day"].as_i64(), (applied == 0).then_some(1));
        }
        // Two or three hours later it is the next day in Berlin, and by UTC it is not.
        app.clock.advance_seconds(3 * 3600);
        let ran = run(&app, &id).await;
        assert_eq!((&ran["applied"], price(&shop, "TEE").await.as_str()), (&json!(1), "72.00"));
        assert_eq!(proposals(&app, "state=applied").await.len(), 3);
    });
}

#[test]
fn a_price_is_changed_once_however_many_approve_and_run_at_once() {
    on_both_idle(|app| async move {
        let goods: Vec<(String, &str, i64)> = (0..8).map(|number| (format!("SKU-{number}"), "10.00", 50)).collect();
        let goods: Vec<(&str, &str, i64)> =
            goods.iter().map(|(sku, price, stock)| (sku.as_str(), *price, *stock)).collect();
        Shop::open(&app, &goods).await;
        let list = clearance(&app, "sale").await;
        app.clock.advance_seconds(30 * DAY);
        // Two rules want the same prices be different.
        let first = rule(&app, "first", json!({"tiers": [{"change": "-20"}]})).await;
        let second = rule(&app, "second", json!({"tiers": [{"change": "-30"}]})).await;
        run(&app, &first).await;
        run(&app, &second).await;
        let waits = open(&app).await;
        assert_eq!(waits.len(), 16);
        let ids: Vec<&Value> = waits.iter().map(|one| &one["id"]).collect();
        let approve = || decide(&app, "approve", &ids);
        let reject = || decide(&app, "reject", &ids[..4]);
        let runs = async {
            let path = format!("/price-rules/{first}/run");
            app.ops("POST", &path, None).await.expect(202);
            work(&app).await;
        };
        let told = tokio::join!(approve(), approve(), reject(), approve(), runs);
        for answer in [&told.0, &told.1, &told.3] {
            assert_eq!(answer["done"].as_i64().unwrap() + answer["failed"].as_i64().unwrap(), 16, "{answer}");
        }
        // Each price was changed once at most, as the history and the proposals both say.
        let applied = proposals(&app, "state=applied&limit=200").await;
        let changes = app.ops("GET", &format!("/price-changes?price_list_id={list}&limit=200"), None).await.expect(200);
        let changes = changes["items"].as_array().unwrap();
        assert_eq!(changes.len(), applied.len());
        let mut skus: Vec<&str> = changes.iter().map(|change| change["sku"].as_str().unwrap()).collect();
        skus.sort_unstable();
        skus.dedup();
        assert_eq!(skus.len(), changes.len(), "a price was changed twice");
        assert!(applied.len() >= 4 && proposals(&app, "state=open&limit=200").await.len() <= 8, "{}", applied.len());
    });
}

#[test]
fn perishables_are_reduced_by_their_date_and_not_below_their_margin() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("MILK", "2.00", 50), ("CREAM", "3.00", 50), ("RICE", "4.00", 50)]).await;
        clearance(&app, "sale").await;
        let costs = json!({"code": "costs", "name": "Costs", "currency": "EUR", "kind": "cost"});
        let costs = app.ops("POST", "/price-lists", Some(&costs)).await.expect(201);
        let costs = costs["id"].as_str().unwrap();
        set(&app, costs, "MILK", "1.20").await;
        set(&app, costs, "RICE", "1.00").await;
        let date = app.now().plus_seconds(2 * DAY).utc().date_naive();
        for sku in ["MILK", "CREAM"] {
            let found = app.ops("GET", &format!("/variants?sku={sku}"), None).await.expect(200);
            let path = format!("/variants/{}", found["items"][0]["id"].as_str().unwrap());
            let noted = json!({"attributes": {"best_before": date, "perishable": true}});
            app.ops("PATCH", &path, Some(&noted)).await.expect(200);
        }
        let more = json!({
            "signal": {"type": "expiry"}, "mode": "apply", "channel_id": shop.channel,
            "tiers": [{"below": 1, "change": "-60"}, {"from": 1, "below": 4, "change": "-25"}],
            "guard_rails": {"floor_margin": "0", "changes_per_day": 1}
        });
        let id = rule(&app, "fresh", more).await;
        let ran = run(&app, &id).await;
        // Without a known cost, and without a date, nothing is done.
        assert_eq!((&ran["applied"], &ran["passed_over"]), (&json!(1), &json!({"cost_unknown": 1, "no_date": 1})));
        assert_eq!(price(&shop, "MILK").await, "1.50");
        let shown = offer(&shop, "MILK").await;
        assert_eq!((&shown["prior_price"], &shown["reduction_percent"]), (&eur("2.00"), &json!(25)));
        // On its last day 0.80 are wanted, and 1.20 is what it has cost.
        app.clock.advance_seconds(2 * DAY);
        assert_eq!(run(&app, &id).await["applied"], 1);
        assert_eq!(price(&shop, "MILK").await, "1.20");
        let last = &proposals(&app, "sku=MILK&state=applied").await[0];
        assert_eq!(
            (&last["from"], last["explanation"]["because"][2]["code"].as_str()),
            (&eur("1.50"), Some("floor_margin"))
        );
        app.clock.advance_seconds(DAY);
        assert_eq!(run(&app, &id).await["passed_over"]["past_date"], 2);
    });
}

#[test]
fn active_rules_look_at_their_goods_by_the_clock_part_by_part() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        clearance(&app, "sale").await;
        // More than are looked at in one go.
        many(&shop, 650).await;
        app.clock.advance_seconds(100 * DAY);
        let more = json!({"signal": {"type": "age"}, "tiers": [{"from": 90, "change": "-40"}], "mode": "apply", "every_minutes": 1440});
        let id = rule(&app, "old", more).await;
        app.clock.advance_seconds(60);
        let path = format!("/price-rules/{id}");
        let ran = || async { app.ops("GET", &path, None).await.expect(200)["last_run"]["looked_at"] == 650 };
        eventually("the schedule begins a run, which comes to its end", ran).await;
        let count = async |of: &'static str| app.count(of).await;
        assert_eq!(count("SELECT count(*) FROM price_proposals WHERE state = 'applied'").await, 650);
        assert_eq!(count("SELECT count(*) FROM price_rule_days").await, 650);
        assert_eq!((price(&shop, "S0000").await, price(&shop, "S0649").await), ("6.00".into(), "6.00".into()));
        let rule = app.ops("GET", &path, None).await.expect(200);
        assert_eq!(rule["last_run"]["applied"], 650);
        assert!(rule["next_run_at"].as_str().unwrap().parse::<kontor::kernel::Instant>().unwrap() > app.now());
        // Paused, it does not look any more.
        app.ops("POST", &format!("{path}/pause"), None).await.expect(200);
        let paused = app.ops("GET", &path, None).await.expect(200);
        assert_eq!((&paused["state"], &paused["next_run_at"]), (&json!("paused"), &Value::Null));
        app.ops("POST", &format!("{path}/run"), None).await.problem(409, "state_conflict");
        // Counters and what came to nothing are forgotten after a while; what was applied is not.
        app.clock.advance_seconds(100 * DAY);
        eventually("the counters are forgotten", || async { count("SELECT count(*) FROM price_rule_days").await == 0 })
            .await;
        assert_eq!(count("SELECT count(*) FROM price_proposals").await, 650);
    });
}

#[test]
fn what_a_rule_can_not_mean_is_refused() {
    on_both_idle(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "100.00", 50)]).await;
        clearance(&app, "base").await;
        let cost = json!({"code": "costs", "name": "Costs", "currency": "EUR", "kind": "cost"});
        app.ops("POST", "/price-lists", Some(&cost)).await.expect(201);
        let dollars = json!({"code": "usd", "name": "Dollars", "currency": "USD"});
        app.ops("POST", "/price-lists", Some(&dollars)).await.expect(201);
        let good = json!({
            "code": "rule", "name": "Rule", "price_list": "clearance", "reference_list": "base",
            "signal": {"type": "sell_through", "days": 28}, "tiers": [{"below": 20, "change": "-10"}]
        });
        let money = |amount: &str, currency: &str| json!({"amount": amount, "currency": currency});
        for (change, status, code, pointer) in [
            (json!({"price_list": "no"}), 404, "not_found", "/price_list"),
            (json!({"reference_list": "no"}), 404, "not_found", "/reference_list"),
            (json!({"channel_id": "chan_01h455vb4pex5vsknk084sn02q"}), 404, "not_found", "/channel_id"),
            (json!({"price_list": "costs"}), 422, "invalid_value", "/price_list"),
            (json!({"reference_list": "costs"}), 422, "invalid_value", "/reference_list"),
            (json!({"reference_list": "usd"}), 422, "invalid_value", "/reference_list"),
            (json!({"reference_list": "clearance"}), 422, "invalid_value", "/compounding"),
            (json!({"compounding": true}), 422, "invalid_value", "/compounding"),
            (json!({"tiers": []}), 422, "missing_field", "/tiers"),
            (json!({"tiers": [{"from": 5, "below": 5, "change": "1"}]}), 422, "invalid_value", "/tiers/0/below"),
            (json!({"tiers": [{"change": "-100"}]}), 422, "invalid_value", "/tiers/0/change"),
            (json!({"signal": {"type": "stock_cover", "days": 0}}), 422, "invalid_value", "/signal/days"),
            (json!({"every_minutes": 1}), 422, "invalid_value", "/every_minutes"),
            (json!({"goods": {"include": [{}]}}), 422, "invalid_value", "/goods/include/0"),
            (json!({"guard_rails": {"changes_per_day": 0}}), 422, "invalid_value", "/guard_rails/changes_per_day"),
            (json!({"guard_rails": {"floor": money("1", "USD")}}), 422, "invalid_value", "/guard_rails/floor/currency"),
            (
                json!({"guard_rails": {"ending": money("1.00", "EUR")}}),
                422,
                "invalid_value",
                "/guard_rails/ending/amount",
            ),
            (
                json!({"guard_rails": {"floor": money("2", "EUR"), "ceiling": money("1", "EUR")}}),
                422,
                "invalid_value",
                "/guard_rails/ceiling/amount",
            ),
        ] {
            let mut new = good.clone();
            new.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let refused = app.ops("POST", "/price-rules", Some(&new)).await.problem(status, code);
            assert_eq!(refused["pointer"], pointer, "{change}");
        }
        let made = app.ops("POST", "/price-rules", Some(&good)).await.expect(201);
        app.ops("POST", "/price-rules", Some(&good)).await.problem(409, "duplicate");
        assert_eq!(made["channel_id"], Value::Null);
        let path = format!("/price-rules/{}", made["id"].as_str().unwrap());
        app.ops("POST", &format!("{path}/pause"), None).await.problem(409, "state_conflict");
        let none = app.ops("POST", "/price-proposals/approve", Some(&json!({"ids": []}))).await;
        assert_eq!(none.problem(422, "invalid_value")["pointer"], "/ids");
        let unknown = decide(&app, "approve", &[&json!("pprop_01h455vb4pex5vsknk084sn02q")]).await;
        assert_eq!((&unknown["failed"], &unknown["errors"][0]["code"]), (&json!(1), &json!("not_found")));
        // On its own list a rule goes on from its last price, where that is meant; prices for larger quantities would not follow.
        set(&app, &shop.price_list, "TEE", "100.00").await;
        let compounding = json!({"price_list": "base", "compounding": true, "signal": {"type": "age"}, "tiers": [{"change": "-10"}],
            "mode": "apply", "guard_rails": {"changes_per_day": 5}});
        let id = rule(&app, "again", compounding).await;
        for is in ["90.00", "81.00", "72.90"] {
            assert_eq!(run(&app, &id).await["applied"], 1);
            assert_eq!(price(&shop, "TEE").await, is);
        }
        let tier = json!({"rows": [{"sku": "TEE", "min_quantity": 10, "unit_price": eur("50.00")}]});
        app.ops("PUT", &format!("/price-lists/{}/prices", shop.price_list), Some(&tier)).await.expect(200);
        assert_eq!(run(&app, &id).await["passed_over"]["quantity_prices"], 1);
    });
}
