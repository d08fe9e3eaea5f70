//! Which of several price lists gives the price, and that the answer names those that were passed over, and why.

use serde_json::{Value, json};

use crate::{
    promotions::eur,
    support::{App, Shop, on_both},
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A list with prices of the mug by quantity: its id.
async fn list(app: &App, code: &str, more: Value, prices: &[(i64, &str)]) -> String {
    let mut list = json!({"code": code, "name": code, "currency": "EUR"});
    list.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let id = text(&app.ops("POST", "/price-lists", Some(&list)).await.expect(201)["id"]);
    let row = |(least, price): &(i64, &str)| json!({"sku": "MUG", "min_quantity": least, "unit_price": eur(price)});
    let rows: Vec<Value> = prices.iter().map(row).collect();
    app.ops("PUT", &format!("/price-lists/{id}/prices"), Some(&json!({ "rows": rows }))).await.expect(200);
    id
}

async fn change(app: &App, list: &str, change: Value) {
    app.ops("PATCH", &format!("/price-lists/{list}"), Some(&change)).await.expect(200);
}

async fn simulate(shop: &Shop, more: Value) -> Value {
    let mut asked = json!({"channel_id": shop.channel, "lines": [{"sku": "MUG"}]});
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    shop.app.ops("POST", "/pricing/simulate", Some(&asked)).await.expect(200)
}

/// The price, the list that gave it, and the others with the reason, of what was simulated.
fn chosen(seen: &Value) -> (String, String, Vec<String>) {
    let line = &seen["totals"]["lines"][0];
    let steps = line["explanation"].as_array().unwrap();
    let of = |code: &str| -> Vec<String> {
        let own = steps.iter().filter(|step| step["code"] == code);
        own.map(|step| text(&step["text"]).trim_start_matches("list ").to_owned()).collect()
    };
    let mut passed = of("passed_over");
    // The tiers that a simulation names beside the lists are another story.
    passed.retain(|text| !text.contains(", from "));
    passed.sort_unstable();
    let won = of("price_list")[0].split(',').next().unwrap().to_owned();
    (text(&line["unit_price"]["amount"]), won, passed)
}

/// The same for somebody: the price and the list.
async fn won(shop: &Shop, more: Value) -> (String, String) {
    let (price, list, _) = chosen(&simulate(shop, more).await);
    (price, list)
}

fn pair(price: &str, list: &str) -> (String, String) {
    (price.to_owned(), list.to_owned())
}

#[test]
fn of_one_rank_a_contract_goes_before_a_sale_before_everyday_prices_then_the_code() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        list(&app, "sale", json!({"kind": "sale"}), &[(1, "8.00")]).await;
        let contract = list(&app, "contract", json!({"kind": "contract"}), &[(1, "12.00")]).await;
        let other = list(&app, "a-base", json!({}), &[(1, "9.00")]).await;
        list(&app, "costs", json!({"kind": "cost"}), &[(1, "1.00")]).await;
        // The contract, though it is the dearest; of costs nobody hears.
        let (price, winner, passed) = chosen(&simulate(&shop, json!({})).await);
        assert_eq!((price.as_str(), winner.as_str()), ("12.00", "contract"));
        assert_eq!(passed, ["a-base: contract goes first", "base: contract goes first", "sale: contract goes first"]);
        // A higher priority goes before what a list is for.
        change(&app, &contract, json!({"priority": -1})).await;
        assert_eq!(won(&shop, json!({})).await, pair("8.00", "sale"));
        change(&app, &other, json!({"priority": 1})).await;
        assert_eq!(won(&shop, json!({})).await, pair("9.00", "a-base"));
        // Of two that are the same in all this the code decides: neither the lower price nor the older list.
        change(&app, &other, json!({"priority": 0})).await;
        let sale = list(&app, "a-sale", json!({"kind": "sale"}), &[(1, "8.50")]).await;
        assert_eq!(won(&shop, json!({})).await, pair("8.50", "a-sale"));
        // A channel's own goes before one for all, whatever the priority.
        list(&app, "own", json!({"channel_id": shop.channel, "priority": -100}), &[(1, "15.00")]).await;
        assert_eq!(won(&shop, json!({})).await, pair("15.00", "own"));
        change(&app, &sale, json!({"priority": 100})).await;
        assert_eq!(won(&shop, json!({})).await, pair("15.00", "own"));
        // A line of a cart is told so to staff; a storefront is told neither which lists there are nor which were passed over.
        let cart = shop.cart(&[("MUG", 1)]).await;
        let staffs = app.ops("GET", &format!("/carts/{}", cart.id), None).await.expect(200);
        let told = chosen(&staffs);
        assert_eq!((told.1.as_str(), told.2.len()), ("own", 5));
        let shown = cart.body["totals"]["lines"][0]["explanation"].to_string();
        for name in ["own", "a-sale", "contract", "passed_over"] {
            assert!(!shown.contains(name), "{name} in {shown}");
        }
        // So is the order.
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        assert!(!order["lines"][0]["explanation"].to_string().contains("a-sale"), "{order}");
        let order = app.ops("GET", &format!("/orders/{}", text(&order["id"])), None).await.expect(200);
        assert_eq!(chosen(&json!({ "totals": order })).2, told.2);
    });
}

#[test]
fn a_customers_list_goes_before_their_companys_before_their_groups_before_one_for_everybody() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let make = async |path: &str, body: Value| app.ops("POST", path, Some(&body)).await.expect(201)["id"].clone();
        let company = make("/companies", json!({"number": "1", "name": "Acme"})).await;
        let ada = json!({"name": "Ada", "group": "vip", "company_id": company});
        let ada = make("/customers", ada).await;
        let bob = make("/customers", json!({"name": "Bob", "group": "vip"})).await;
        let eve = make("/customers", json!({"name": "Eve"})).await;
        // The narrower a list, the dearer and the lower its priority: neither counts.
        let all = json!({"kind": "contract", "priority": 100, "channel_id": shop.channel});
        list(&app, "all", all, &[(1, "9.00")]).await;
        list(&app, "vips", json!({"customer_group": "vip"}), &[(1, "11.00")]).await;
        let acmes = json!({"company_id": company, "priority": -1});
        list(&app, "acmes", acmes, &[(1, "12.00")]).await;
        let adas = json!({"customer_id": ada, "priority": -2, "kind": "sale"});
        let adas = list(&app, "adas", adas, &[(1, "13.00"), (10, "6.00")]).await;
        let of = |customer: &Value| json!({ "customer_id": customer });
        let (price, winner, passed) = chosen(&simulate(&shop, of(&ada)).await);
        assert_eq!((price.as_str(), winner.as_str()), ("13.00", "adas"));
        let first = |list: &str| format!("{list}: adas goes first");
        assert_eq!(passed, ["acmes", "all", "base", "vips"].map(first));
        // Lists of others are not told, for they were never in question.
        let (price, winner, passed) = chosen(&simulate(&shop, of(&bob)).await);
        assert_eq!((price.as_str(), winner.as_str()), ("11.00", "vips"));
        assert_eq!(passed, ["all: vips goes first", "base: vips goes first"]);
        assert_eq!(won(&shop, of(&eve)).await, pair("9.00", "all"));
        assert_eq!(won(&shop, json!({})).await, pair("9.00", "all"));
        // What is said instead of who they are counts: a group, a company.
        assert_eq!(won(&shop, json!({"customer_group": "vip"})).await, pair("11.00", "vips"));
        assert_eq!(won(&shop, json!({"company_id": company, "customer_group": "vip"})).await, pair("12.00", "acmes"));
        // A cart is priced as its customer is, and anew when they are somebody else.
        let new = json!({"channel_id": shop.channel, "customer_id": ada, "lines": [{"sku": "MUG", "quantity": 1}]});
        let cart = app.ops("POST", "/carts", Some(&new)).await.expect(201);
        assert_eq!(chosen(&cart).1, "adas");
        let path = format!("/carts/{}", text(&cart["id"]));
        let now = app.ops("PATCH", &path, Some(&of(&bob))).await.expect(200);
        assert_eq!(chosen(&now).1, "vips");
        let told: Vec<&str> =
            now["changes"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
        assert_eq!(told, ["price_changed"]);
        // Where the narrowest has no price for so many, or none at the time, the next one gives it, and it is told why.
        change(&app, &adas, json!({"valid_until": app.now()})).await;
        let (price, winner, passed) = chosen(&simulate(&shop, of(&ada)).await);
        assert_eq!((price.as_str(), winner.as_str()), ("12.00", "acmes"));
        assert!(passed.contains(&"adas: no longer valid".to_owned()), "{passed:?}");
        // A company that is switched off has no prices, nor any for its customers.
        let path = format!("/companies/{}", text(&company));
        app.ops("PATCH", &path, Some(&json!({"active": false}))).await.expect(200);
        assert_eq!(won(&shop, of(&ada)).await, pair("11.00", "vips"));
    });
}

#[test]
fn a_list_and_a_price_are_valid_from_their_beginning_and_not_at_their_end() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let (begin, end) = ("2026-06-01T10:00:00Z", "2026-06-01T11:00:00Z");
        let window = json!({"valid_from": begin, "valid_until": end, "priority": 5});
        let windowed = list(&app, "window", window, &[(1, "8.00")]).await;
        let before = "2026-06-01T09:59:59.999999Z";
        let last = "2026-06-01T10:59:59.999999Z";
        for (at, price, winner, why) in [
            (before, "10.00", "base", "window: not valid yet"),
            (begin, "8.00", "window", "base: window goes first"),
            (last, "8.00", "window", "base: window goes first"),
            (end, "10.00", "base", "window: no longer valid"),
        ] {
            let (is, list, passed) = chosen(&simulate(&shop, json!({ "at": at })).await);
            assert_eq!((is.as_str(), list.as_str(), passed), (price, winner, vec![why.to_owned()]), "{at}");
        }
        // The same for a price within a list, by the clock: carts say what simulations say.
        let open = json!({"valid_from": null, "valid_until": null});
        change(&app, &windowed, open).await;
        let rows = json!({"rows": [{"sku": "MUG", "unit_price": eur("7.00"), "valid_from": begin, "valid_until": end}],
            "remove": [{"sku": "MUG"}]});
        app.ops("PUT", &format!("/price-lists/{windowed}/prices"), Some(&rows)).await.expect(200);
        for (at, price, winner, why) in [
            (before, "10.00", "base", "window: no price valid for 1"),
            (begin, "7.00", "window", "base: window goes first"),
            (last, "7.00", "window", "base: window goes first"),
            (end, "10.00", "base", "window: no price valid for 1"),
        ] {
            let (is, list, passed) = chosen(&simulate(&shop, json!({ "at": at })).await);
            assert_eq!((is.as_str(), list.as_str(), passed), (price, winner, vec![why.to_owned()]), "{at}");
            let then: kontor::kernel::Instant = at.parse().unwrap();
            // The clock goes in whole seconds: the last microsecond is left to the simulation.
            if at.ends_with("00Z") {
                app.clock.advance_seconds(then.seconds_since(app.now()));
                assert_eq!(chosen(&app_cart(&shop).await), (is, list, vec![why.to_owned()]), "{at}");
            }
        }
    });
}

/// A new cart of a mug, as staff see it.
async fn app_cart(shop: &Shop) -> Value {
    let new = json!({"channel_id": shop.channel, "lines": [{"sku": "MUG", "quantity": 1}]});
    shop.app.ops("POST", "/carts", Some(&new)).await.expect(201)
}

#[test]
fn a_tier_that_is_not_reached_leaves_the_price_to_the_next_list_and_none_says_why() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let tiers = list(&app, "tiers", json!({"priority": 5}), &[(10, "9.00"), (100, "8.00")]).await;
        for (quantity, price, winner) in
            [(9, "10.00", "base"), (10, "9.00", "tiers"), (99, "9.00", "tiers"), (100, "8.00", "tiers")]
        {
            let seen = simulate(&shop, json!({"lines": [{"sku": "MUG", "quantity": quantity}]})).await;
            let (is, list, passed) = chosen(&seen);
            assert_eq!((is.as_str(), list.as_str()), (price, winner), "{quantity}");
            let why = if winner == "base" { "tiers: no price valid for 9" } else { "base: tiers goes first" };
            assert_eq!(passed, [why]);
        }
        // Where no list has a price, each says why.
        list(&app, "later", json!({"valid_from": "2030-01-01T00:00:00Z"}), &[(1, "1.00")]).await;
        list(&app, "vips", json!({"customer_group": "vip"}), &[(1, "1.00")]).await;
        list(&app, "costs", json!({"kind": "cost"}), &[(1, "1.00")]).await;
        let gone = json!({"remove": [{"sku": "MUG"}]});
        app.ops("PUT", &format!("/price-lists/{}/prices", shop.price_list), Some(&gone)).await.expect(200);
        change(&app, &tiers, json!({"valid_until": app.now()})).await;
        let seen = simulate(&shop, json!({})).await;
        let problem = &seen["problems"][0];
        assert_eq!((&problem["code"], &problem["line_no"]), (&json!("price_missing"), &json!(1)));
        let mut why: Vec<String> =
            problem["because"].as_array().unwrap().iter().map(|step| text(&step["text"])).collect();
        why.sort_unstable();
        let expected = [
            "list base: no price valid for 1",
            "list costs: costs are no prices",
            "list later: not valid yet",
            "list tiers: no longer valid",
            "list vips: other customers",
        ];
        assert_eq!(why, expected);
        // A storefront is told that there is none, and nothing of the lists.
        let offers = shop.store("POST", "/offers", None, Some(&json!({"skus": ["MUG"]}))).await.expect(200);
        let reason = &offers["items"][0]["reason"];
        assert_eq!((&reason["code"], reason.to_string().contains("list")), (&json!("price_missing"), false));
    });
}
