//! Bundles: sold as one line, taken from stock and shipped as their components.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, App, Cart, Shop, on_both};

pub fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// An amount in minor units, whatever its currency has for decimals.
pub fn minor(money: &Value) -> i64 {
    text(&money["amount"]).replace('.', "").parse().unwrap()
}

fn components(parts: &[(&str, i64)]) -> Value {
    parts.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect()
}

/// A bundle with its price.
pub async fn bundle(shop: &Shop, sku: &str, price: &str, parts: &[(&str, i64)]) -> Value {
    let new =
        json!({"sku": sku, "name": format!("The {sku}"), "tax_class": "standard", "components": components(parts)});
    let made = shop.app.ops("POST", "/variants", Some(&new)).await.expect(201);
    shop.set_price(sku, price).await;
    made
}

async fn patch(app: &App, sku: &str, change: Value) -> Answer {
    let found = app.ops("GET", &format!("/variants?sku={sku}"), None).await.expect(200);
    app.ops("PATCH", &format!("/variants/{}", text(&found["items"][0]["id"])), Some(&change)).await
}

/// A shop with mugs, tees and a set of one tee and two mugs.
pub async fn with_set(app: &App, tees: i64, mugs: i64) -> Shop {
    let shop = Shop::open(app, &[("TEE", "20.00", tees), ("MUG", "10.00", mugs)]).await;
    bundle(&shop, "SET", "29.99", &[("TEE", 1), ("MUG", 2)]).await;
    shop
}

/// SKU, pieces and gross of an order's lines.
fn lines(order: &Value) -> Vec<(&str, i64, i64)> {
    let told = |line: &'_ Value| (line["quantity"].as_i64().unwrap(), minor(&line["gross"]));
    order["lines"].as_array().unwrap().iter().map(|line| (text(&line["sku"]), told(line).0, told(line).1)).collect()
}

/// That every amount of each bundle of an order is the sum of those of its lines, and the order's that of its lines and shipping.
fn sums_agree(order: &Value) {
    let all = order["lines"].as_array().unwrap();
    for bundle in order["bundles"].as_array().unwrap() {
        let own: Vec<&Value> = all.iter().filter(|line| line["bundle"]["line_no"] == bundle["line_no"]).collect();
        let numbers: Vec<Value> = own.iter().map(|line| line["line_no"].clone()).collect();
        assert_eq!(bundle["line_nos"], json!(numbers));
        for field in ["subtotal", "discount", "net", "tax", "gross"] {
            let sum: i64 = own.iter().map(|line| minor(&line[field])).sum();
            assert_eq!(sum, minor(&bundle[field]), "{field} of {bundle}");
        }
    }
    let gross: i64 = all.iter().map(|line| minor(&line["gross"])).sum();
    let shipping = order["shipping"].as_object().map_or(0, |shipping| minor(&shipping["gross"]));
    assert_eq!(gross + shipping, minor(&order["total"]));
    for line in all {
        assert_eq!(minor(&line["net"]) + minor(&line["tax"]), minor(&line["gross"]), "{line}");
    }
}

async fn offer(shop: &Shop, sku: &str) -> Value {
    let asked = json!({"skus": [sku], "quantity": 1});
    shop.store("POST", "/offers", None, Some(&asked)).await.expect(200)["items"][0].clone()
}

/// How many of a SKU storefronts are told of, and whether more is sold than is there.
async fn offered(shop: &Shop, sku: &str) -> (Option<i64>, bool) {
    let told = offer(shop, sku).await["availability"].clone();
    (told["available"].as_i64(), told["backorder"].as_bool().unwrap())
}

async fn status(shop: &Shop, sku: &str) -> String {
    let asked = json!({"skus": [sku]});
    let told = shop.store("POST", "/availability", None, Some(&asked)).await.expect(200);
    text(&told["items"][0]["status"]).to_owned()
}

async fn ask(shop: &Shop, cart: &Cart, method: &str, path: &str, body: Option<Value>) -> Answer {
    shop.store(method, &format!("/carts/{}{path}", cart.id), Some(&cart.token), body.as_ref()).await
}

pub async fn order(app: &App, id: &str) -> Value {
    app.ops("GET", &format!("/orders/{id}"), None).await.expect(200)
}

/// Ships all of an order, and waits until its money is taken.
pub async fn ship(app: &App, id: &str) {
    let found = app.ops("GET", &format!("/orders/{id}/fulfilment"), None).await.expect(200);
    for one in found["fulfilment_orders"].as_array().unwrap() {
        app.ops("POST", &format!("/fulfilment-orders/{}/ship", text(&one["id"])), Some(&json!({}))).await.expect(201);
    }
    // What has come back meanwhile may be refunded already.
    let taken = ["captured", "partially_refunded"];
    crate::support::eventually("its money is taken", || async {
        let state = order(app, id).await["payment_state"].clone();
        taken.iter().any(|one| state == *one)
    })
    .await;
}

/// What was captured of an order and what was given back, when nothing is under way any more.
pub async fn money(app: &App, id: &str, refunded: i64) -> (i64, i64) {
    let paid = async || {
        let found = order(app, id).await;
        let sum = |field: &str| found["payments"].as_array().unwrap().iter().map(|one| minor(&one[field])).sum::<i64>();
        (sum("captured"), sum("refunded"))
    };
    crate::support::eventually("the money is given back", || async { paid().await.1 >= refunded }).await;
    paid().await
}

#[test]
fn a_bundle_is_made_changed_and_never_something_else() {
    on_both(|app| async move {
        let shop = with_set(&app, 5, 10).await;
        let seen = app.ops("GET", "/variants?sku=SET", None).await.expect(200)["items"][0].clone();
        assert_eq!(seen["components"], components(&[("TEE", 1), ("MUG", 2)]));
        assert_eq!(seen["stock_policy"], "untracked");
        assert!(app.ops("GET", "/variants?sku=MUG", None).await.expect(200)["items"][0].get("components").is_none());
        let new =
            |sku: &str, parts: Value| json!({"sku": sku, "name": "A", "tax_class": "standard", "components": parts});
        let refused = async |sku: &str, parts: Value, code: &str| {
            let told = app.ops("POST", "/variants", Some(&new(sku, parts))).await.problem(422, code);
            text(&told["pointer"]).to_owned()
        };
        assert_eq!(refused("BOX", components(&[("TEE", 1), ("BOX", 1)]), "bundle_invalid").await, "/components/1/sku");
        assert_eq!(refused("BOX", components(&[("SET", 1)]), "bundle_invalid").await, "/components/0/sku");
        assert_eq!(refused("BOX", components(&[("TEE", 1), ("TEE", 1)]), "bundle_invalid").await, "/components/1/sku");
        assert_eq!(refused("BOX", components(&[("TEE", 0)]), "bundle_invalid").await, "/components/0/quantity");
        assert_eq!(refused("BOX", components(&[("NIL", 1)]), "sku_unknown").await, "/components/0/sku");
        patch(&app, "MUG", json!({"status": "archived"})).await.expect(200);
        assert_eq!(refused("BOX", components(&[("MUG", 1)]), "bundle_invalid").await, "/components/0/sku");
        // Nor is it sold any more, nor can it be.
        assert_eq!(offer(&shop, "SET").await["reason"]["code"], "not_sold");
        assert_eq!(status(&shop, "SET").await, "out");
        let cart = shop.cart(&[("SET", 1)]).await;
        assert!(cart.body["problems"].to_string().contains("not_sold"), "{}", cart.body["problems"]);
        patch(&app, "MUG", json!({"status": "active"})).await.expect(200);
        // What it is it stays.
        for (sku, change) in [
            ("MUG", json!({"components": components(&[("TEE", 1)])})),
            ("SET", json!({"components": []})),
            ("SET", json!({"stock_policy": "tracked"})),
        ] {
            patch(&app, sku, change).await.problem(422, "bundle_invalid");
        }
        let changed = patch(&app, "SET", json!({"components": components(&[("MUG", 3)])})).await.expect(200);
        assert_eq!((&changed["components"], &changed["version"]), (&components(&[("MUG", 3)]), &json!(2)));
        let same = patch(&app, "SET", json!({"name": "The set"})).await.expect(200);
        assert_eq!(same["components"], components(&[("MUG", 3)]));
        // The cart is of what it is made of when it is looked at again.
        let seen = ask(&shop, &cart, "PATCH", "", Some(json!({"locale": "en"}))).await.expect(200);
        let told = seen["lines"][0]["components"].as_array().unwrap();
        assert_eq!((told.len(), &told[0]["sku"], &told[0]["quantity"]), (1, &json!("MUG"), &json!(3)));
    });
}

#[test]
fn bundles_are_imported_behind_their_components() {
    on_both(|app| async move {
        let set = |sku: &str, parts: &[(&str, i64)]| json!({"sku": sku, "name": "A set", "tax_class": "standard", "components": components(parts)});
        let article = |sku: &str| json!({"sku": sku, "name": "An article", "tax_class": "standard"});
        let rows = [
            set("EARLY", &[("A", 1)]),
            article("A"),
            article("B"),
            set("SET", &[("A", 1), ("B", 4)]),
            set("BOX", &[("SET", 1)]),
            json!({"sku": "A", "components": components(&[("B", 1)])}),
        ];
        let report = crate::imports::ndjson(&app, "/variants", &rows).await.expect(200);
        assert_eq!((&report["created"], &report["failed"]), (&json!(3), &json!(3)), "{report}");
        let told: Vec<(i64, &str)> = report["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| (error["row"].as_i64().unwrap(), text(&error["code"])))
            .collect();
        assert_eq!(told, [(1, "sku_unknown"), (5, "bundle_invalid"), (6, "bundle_invalid")]);
        let rows =
            [json!({"sku": "SET", "components": components(&[("B", 2)])}), json!({"sku": "SET", "weight_grams": 7})];
        let report = crate::imports::ndjson(&app, "/variants", &rows).await.expect(200);
        assert_eq!(&report["updated"], &json!(2), "{report}");
        let seen = app.ops("GET", "/variants?sku=SET", None).await.expect(200)["items"][0].clone();
        assert_eq!((&seen["components"], &seen["weight_grams"]), (&components(&[("B", 2)]), &json!(7)));
        let again = crate::imports::ndjson(&app, "/variants", &[set("SET", &[("B", 2)])]).await.expect(200);
        assert_eq!(again["unchanged"], 1, "{again}");
    });
}

#[test]
fn a_bundle_has_no_stock_of_its_own() {
    on_both(|app| async move {
        let shop = with_set(&app, 5, 10).await;
        let line = json!({"sku": "SET", "location": "berlin", "change": 1, "reason": "test"});
        let tee = json!({"sku": "TEE", "location": "berlin", "change": 1, "reason": "test"});
        let refused = async |method: &str, path: &str, body: Value, pointer: &str| {
            let told = app.ops(method, path, Some(&body)).await.problem(422, "bundle_without_stock");
            assert_eq!(told["pointer"], pointer, "{path}");
        };
        refused("POST", "/stock/adjustments", json!({"lines": [tee, line]}), "/lines/1/sku").await;
        let safety = json!({"sku": "SET", "location": "berlin", "safety": 1});
        refused("PATCH", "/stock/levels", json!({"lines": [safety]}), "/lines/0/sku").await;
        let count = json!({"location": "berlin", "skus": ["TEE", "SET"]});
        refused("POST", "/stock-counts", count, "/skus/1").await;
        let bin = json!({"sku": "SET", "location": "berlin", "bin": "A1"});
        refused("POST", "/stock/bins", json!({"bins": [bin]}), "/bins/0/sku").await;
        let watch = json!({"sku": "SET", "location": "berlin", "low_at": 3});
        refused("PUT", "/stock/watches", json!({"lines": [watch]}), "/lines/0/sku").await;
        let kept = json!({"sku": "SET", "channel_id": shop.channel, "pieces": 1});
        refused("PUT", "/stock/channel-safety", json!({"lines": [kept]}), "/lines/0/sku").await;
        let order =
            json!({"number": "P1", "supplier": "S", "location": "berlin", "lines": [{"sku": "SET", "quantity": 1}]});
        refused("POST", "/purchase-orders", order, "/lines/0/sku").await;
        assert_eq!(shop.available("TEE").await, 5);
    });
}

#[test]
fn of_a_bundle_there_is_what_its_components_suffice_for() {
    on_both(|app| async move {
        let shop = with_set(&app, 5, 7).await;
        assert_eq!(offered(&shop, "SET").await, (Some(3), false));
        shop.set(json!({"low_stock": 3})).await;
        assert_eq!(status(&shop, "SET").await, "low");
        // A mug that is bought by itself is not there for a set.
        let cart = shop.cart(&[("SET", 3), ("MUG", 1)]).await;
        assert_eq!(cart.body["problems"], json!([]));
        let seen = ask(
            &shop,
            &cart,
            "PATCH",
            "",
            Some(json!({"lines": [{"sku": "MUG", "quantity": 2}, {"sku": "SET", "quantity": 3}]})),
        );
        let seen = seen.await.expect(200);
        assert_eq!(
            (&seen["problems"][0]["code"], &seen["problems"][0]["pointer"]),
            (&json!("out_of_stock"), &json!("/lines/1/quantity"))
        );
        assert_eq!(seen["problems"][0]["detail"], "2 of SET are available");
        let refused = ask(&shop, &cart, "POST", "/checkout", None).await.problem(409, "out_of_stock");
        assert_eq!((&refused["pointer"], &refused["available"]), (&json!("/lines/1"), &json!(2)), "{refused}");
        assert!(text(&refused["detail"]).contains("MUG"), "{refused}");
        assert_eq!((shop.available("TEE").await, shop.available("MUG").await), (5, 7));
        // Of what is sold beyond the stock there is no end; what is not counted limits nothing.
        patch(&app, "MUG", json!({"backorder_policy": "allow"})).await.expect(200);
        assert_eq!(offered(&shop, "SET").await, (Some(3), true));
        let four = shop.cart(&[("SET", 5)]).await;
        assert_eq!(four.body["problems"], json!([]));
        patch(&app, "MUG", json!({"stock_policy": "untracked"})).await.expect(200);
        assert_eq!(offered(&shop, "SET").await, (Some(5), false));
        patch(&app, "TEE", json!({"stock_policy": "untracked"})).await.expect(200);
        assert_eq!((offered(&shop, "SET").await, status(&shop, "SET").await), ((None, false), "in_stock".to_owned()));
    });
}

#[test]
fn a_bundle_is_one_line_in_the_cart_and_its_components_in_the_order() {
    on_both(|app| async move {
        let shop = with_set(&app, 50, 50).await;
        let cart = shop.cart(&[("SET", 1), ("MUG", 1)]).await;
        assert_eq!((cart.body["lines"].as_array().unwrap().len(), text(&cart.body["total"]["amount"])), (2, "44.89"));
        let placed = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        sums_agree(&placed);
        // What was bought by itself keeps its number; components are numbered behind.
        assert_eq!(lines(&placed), [("MUG", 1, 1000), ("TEE", 1, 1500), ("MUG", 2, 1499)]);
        let bundle = &placed["bundles"][0];
        assert_eq!((&bundle["line_no"], &bundle["sku"], &bundle["quantity"]), (&json!(1), &json!("SET"), &json!(1)));
        assert_eq!(
            (&bundle["unit_price"], &bundle["gross"], &bundle["line_nos"]),
            (&eur("29.99"), &eur("29.99"), &json!([3, 4]))
        );
        let part = &placed["lines"][2]["bundle"];
        assert_eq!(part, &json!({"line_no": 1, "sku": "SET", "name": "The SET", "quantity": 1, "per_bundle": 2}));
        assert!(placed["lines"][0].get("bundle").is_none());
        assert_eq!(placed["deliveries"][0]["line_nos"], json!([2, 3, 4]));
        // The same for staff, and in the log.
        let id = text(&placed["id"]);
        let seen = order(&app, id).await;
        assert_eq!((&seen["bundles"][0]["gross"], lines(&seen)), (&eur("29.99"), lines(&placed)));
        sums_agree(&seen);
        let told = app.read(|tx| {
            use diesel::sql_types::Text;
            let query = "SELECT CAST(data AS TEXT) FROM events WHERE type = 'order.placed.v1'";
            kontor::db::sql(query).first::<Text, String>(tx)
        });
        let told: Value = serde_json::from_str(&told.await.unwrap()).unwrap();
        assert_eq!((&told["bundles"][0]["sku"], lines(&told)), (&json!("SET"), lines(&placed)));
        assert_eq!((shop.available("TEE").await, shop.available("MUG").await), (49, 47));
        ship(&app, id).await;
        assert_eq!(order(&app, id).await["fulfilment_state"], "shipped");
        // Without a bundle nothing tells of any.
        assert!(shop.order(&[("MUG", 1)]).await.get("bundles").is_none());
    });
}

#[test]
fn promotions_are_about_the_bundle_and_its_parts_bear_them() {
    on_both(|app| async move {
        let shop = with_set(&app, 50, 50).await;
        let rule = json!({
            "conditions": {"goods": {"include": [{"skus": ["SET"]}]}},
            "gift": {"type": "percentage", "percent": "33", "on": "lines"},
        });
        crate::promotions::promote(&app, "sets", rule).await;
        let tees = json!({"conditions": {"goods": {"include": [{"skus": ["TEE"]}]}}, "gift": {"type": "percentage", "percent": "50", "on": "lines"}});
        crate::promotions::promote(&app, "tees", tees).await;
        let placed = shop.order(&[("SET", 3)]).await;
        sums_agree(&placed);
        // 89.97 less 29.69: no tee was bought.
        assert_eq!((&placed["bundles"][0]["discount"], &placed["bundles"][0]["gross"]), (&eur("29.69"), &eur("60.28")));
        assert_eq!(placed["promotions"].as_array().unwrap().len(), 1);
        assert_eq!(placed["promotions"][0]["lines"][0]["line_no"], 1);
        // A bundle that costs nothing is in the order all the same.
        shop.set_price("SET", "0.00").await;
        let free = shop.order(&[("SET", 1)]).await;
        sums_agree(&free);
        assert_eq!(lines(&free), [("TEE", 1, 0), ("MUG", 2, 0)]);
        // What one is given is given whole, as long as its components are there.
        let gift =
            json!({"conditions": {"min_value": eur("30.00")}, "gift": {"type": "goods", "sku": "SET", "quantity": 1}});
        shop.set_price("SET", "29.99").await;
        crate::promotions::promote(&app, "present", gift).await;
        let given = shop.order(&[("TEE", 4)]).await;
        sums_agree(&given);
        assert_eq!((lines(&given).len(), &given["bundles"][0]["gross"]), (3, &eur("0.00")));
        let left = shop.available("TEE").await;
        let most = shop.cart(&[("TEE", left)]).await;
        assert_eq!(most.body["lines"].as_array().unwrap().len(), 1, "{}", most.body["lines"]);
        let most = shop.cart(&[("TEE", left - 1)]).await;
        assert_eq!(most.body["lines"].as_array().unwrap().len(), 2, "{}", most.body["lines"]);
    });
}

#[test]
fn what_was_reserved_is_placed_whatever_becomes_of_the_bundle_meanwhile() {
    on_both(|app| async move {
        let shop = with_set(&app, 10, 10).await;
        let set = |parts: &[(&str, i64)]| json!({"components": components(parts)});
        // Held by the checkout, then completed.
        let cart = shop.cart(&[("SET", 2)]).await;
        ask(&shop, &cart, "POST", "/checkout", None).await.expect(200);
        assert_eq!((shop.available("TEE").await, shop.available("MUG").await), (8, 6));
        patch(&app, "SET", set(&[("MUG", 1)])).await.expect(200);
        let placed = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        sums_agree(&placed);
        assert_eq!(lines(&placed).iter().map(|line| (line.0, line.1)).collect::<Vec<_>>(), [("TEE", 2), ("MUG", 4)]);
        // Held while it is paid, and taken over by a sweep.
        let cart = shop.cart(&[("SET", 1)]).await;
        assert_eq!(shop.complete(&cart, "error").await.expect(202)["result"], "pending");
        patch(&app, "SET", set(&[("TEE", 3), ("MUG", 3)])).await.expect(200);
        app.clock.advance_seconds(60);
        crate::support::eventually("the sweep found the promise", || async { shop.count("orders").await == 2 }).await;
        let placed = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        sums_agree(&placed);
        assert_eq!(lines(&placed), [("MUG", 1, 2999)]);
        // What has not been held is of what the cart has shown: it costs the same, so no expected total would tell.
        let cart = shop.cart(&[("SET", 1)]).await;
        patch(&app, "SET", set(&[("TEE", 1), ("MUG", 5)])).await.expect(200);
        let placed = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        assert_eq!(lines(&placed).iter().map(|line| (line.0, line.1)).collect::<Vec<_>>(), [("TEE", 3), ("MUG", 3)]);
        // A checkout shows what it is made of now; one that has ended holds nothing, and has shown the same.
        let cart = shop.cart(&[("SET", 1)]).await;
        ask(&shop, &cart, "POST", "/checkout", None).await.problem(409, "out_of_stock");
        patch(&app, "SET", set(&[("TEE", 1)])).await.expect(200);
        ask(&shop, &cart, "POST", "/checkout", None).await.expect(200);
        patch(&app, "SET", set(&[("TEE", 2)])).await.expect(200);
        app.clock.advance_seconds(86_400);
        let placed = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        assert_eq!(lines(&placed), [("TEE", 1, 2999)]);
        assert_eq!((shop.available("TEE").await, shop.available("MUG").await), (4, 2));
    });
}

#[test]
fn sets_and_single_pieces_never_sell_more_together_than_there_are() {
    on_both(|app| async move {
        let shop = with_set(&app, 100, 21).await;
        let mut carts = Vec::new();
        for number in 0..24 {
            carts.push(match number % 3 {
                0 => shop.cart(&[("MUG", 3)]).await,
                1 => shop.cart(&[("SET", 1), ("MUG", 1)]).await,
                _ => shop.cart(&[("SET", 2)]).await,
            });
        }
        let buyers = carts.into_iter().enumerate().map(|(number, cart)| {
            let shop = shop.clone();
            tokio::spawn(async move {
                // Some begin a checkout first, some pay at once, some ask a provider.
                if number % 4 == 0 {
                    let begun = ask(&shop, &cart, "POST", "/checkout", None).await;
                    if begun.status != 200 {
                        begun.problem(409, "out_of_stock");
                        return 0;
                    }
                }
                let method = if number % 2 == 0 { "manual" } else { "sandbox" };
                let pay = json!({"payment": {"method": method}});
                let placed = ask(&shop, &cart, "POST", "/complete", Some(pay)).await;
                match placed.status {
                    201 => {
                        let order = placed.body["order"].clone();
                        lines(&order).iter().filter(|(sku, ..)| *sku == "MUG").map(|(_, pieces, _)| *pieces).sum()
                    }
                    _ => {
                        placed.problem(409, "out_of_stock");
                        0
                    }
                }
            })
        });
        let sold: i64 = join_all(buyers).await.into_iter().map(|ended| ended.unwrap()).sum();
        let left = shop.available("MUG").await;
        assert_eq!(sold + left, 21);
        // Nobody who asked for less than what is left was refused.
        assert!((0..3).contains(&left), "{left} left");
    });
}

/// A channel like the shop's, in other currencies; its publishable key.
async fn abroad(shop: &Shop, currency: &str, point: &str, included: bool) -> Shop {
    let channels = shop.app.ops("GET", "/channels", None).await.expect(200);
    let entity = channels["items"][0]["legal_entity_id"].clone();
    let code = format!("c{}", currency.to_lowercase());
    let channel = json!({
        "code": code, "name": "Abroad", "legal_entity_id": entity,
        "settings": {
            "currencies": [currency], "locales": ["en"], "countries": ["DE"], "time_zone": "Europe/Berlin",
            "prices_include_tax": included, "rounding": {"point": point, "strategy": "half_even"},
            "payment_methods": ["manual", "sandbox"]
        }
    });
    let channel = shop.app.ops("POST", "/channels", Some(&channel)).await.expect(201);
    let zero = if currency == "JPY" { "490" } else { "4.905" };
    let method = json!({
        "channel_id": channel["id"], "code": "standard", "name": "Parcel", "tax_class": "standard",
        "rates": [{"countries": ["DE"], "price": {"amount": zero, "currency": currency}}]
    });
    shop.app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
    let list = json!({"code": code, "name": "Abroad", "currency": currency});
    let list = shop.app.ops("POST", "/price-lists", Some(&list)).await.expect(201);
    let (channel_id, key) = (text(&channel["id"]).to_owned(), text(&channel["publishable_keys"][0]).to_owned());
    Shop { app: shop.app.clone(), channel: channel_id, key, price_list: text(&list["id"]).to_owned() }
}

#[test]
fn bundles_add_up_in_currencies_with_no_decimals_and_with_three() {
    on_both(|app| async move {
        let shop = with_set(&app, 200, 200).await;
        shop.add("CAP", "3.00", 50).await;
        bundle(&shop, "BOX", "10.00", &[("TEE", 1), ("MUG", 1), ("CAP", 1)]).await;
        for (currency, set, box_, tee, point, included) in [
            ("JPY", "1000", "1000", Some("799"), "per_line", true),
            ("KWD", "9.999", "10.000", None, "per_order", false),
        ] {
            let abroad = abroad(&shop, currency, point, included).await;
            let mut prices = vec![("SET", set), ("BOX", box_)];
            prices.extend(tee.map(|tee| [("TEE", tee), ("MUG", "333"), ("CAP", "1")]).into_iter().flatten());
            let row = |(sku, amount): (&str, &str)| json!({"sku": sku, "min_quantity": 1, "unit_price": {"amount": amount, "currency": currency}});
            let rows: Vec<Value> = prices.into_iter().map(row).collect();
            let path = format!("/price-lists/{}/prices", abroad.price_list);
            app.ops("PUT", &path, Some(&json!({"rows": rows}))).await.expect(200);
            for pieces in [1, 3, 7] {
                let placed = abroad.order(&[("SET", pieces), ("BOX", pieces)]).await;
                sums_agree(&placed);
                let id = text(&placed["id"]).to_owned();
                ship(&app, &id).await;
                // One after another, in parts and whole: together what was paid for the goods.
                let numbers: Vec<i64> =
                    placed["bundles"].as_array().unwrap().iter().map(|one| one["line_no"].as_i64().unwrap()).collect();
                let (first, second) = (numbers[0], numbers[1]);
                let mut sum = 0;
                for _ in 0..pieces {
                    let back = json!({"order": id, "bundles": [{"line_no": first, "quantity": 1}], "refund": true});
                    sum += minor(&app.ops("POST", "/returns", Some(&back)).await.expect(201)["amount"]);
                }
                let parts =
                    placed["lines"].as_array().unwrap().iter().filter(|line| line["bundle"]["line_no"] == second);
                for line in parts {
                    let piece = json!([{"line_no": line["line_no"], "quantity": pieces}]);
                    let back = json!({"order": id, "lines": piece, "refund": true});
                    sum += minor(&app.ops("POST", "/returns", Some(&back)).await.expect(201)["amount"]);
                }
                let goods: i64 = lines(&placed).iter().map(|(_, _, gross)| gross).sum();
                assert_eq!(sum, goods, "{currency}, {pieces}");
                assert_eq!(money(&app, &id, goods).await.1, goods);
            }
        }
    });
}

#[test]
fn a_service_in_a_bundle_is_not_shipped() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 9)]).await;
        let file = json!({"sku": "FILE", "name": "A file", "tax_class": "standard", "requires_shipping": false, "stock_policy": "untracked"});
        app.ops("POST", "/variants", Some(&file)).await.expect(201);
        bundle(&shop, "KIT", "25.00", &[("TEE", 1), ("FILE", 1)]).await;
        bundle(&shop, "FILES", "5.00", &[("FILE", 2)]).await;
        // The file has no price: each piece bears as much.
        let placed = shop.order(&[("KIT", 1)]).await;
        assert_eq!(lines(&placed), [("TEE", 1, 1250), ("FILE", 1, 1250)]);
        let id = text(&placed["id"]);
        let found = app.ops("GET", &format!("/orders/{id}/fulfilment"), None).await.expect(200);
        assert_eq!(found["fulfilment_orders"][0]["lines"].as_array().unwrap().len(), 1);
        ship(&app, id).await;
        // Nothing of a bundle of files is shipped.
        let body = json!({"lines": [{"sku": "FILES", "quantity": 1}], "email": "ada@example.org", "billing_address": crate::support::shop::address()});
        let cart = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
        assert_eq!(cart["problems"], json!([]));
        let cart = Cart { id: text(&cart["id"]).to_owned(), token: text(&cart["token"]).to_owned(), body: cart };
        let placed = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        assert_eq!((&placed["fulfilment_state"], lines(&placed)), (&json!("not_required"), vec![("FILE", 2, 500)]));
    });
}

#[test]
fn components_come_from_wherever_they_lie() {
    on_both(|app| async move {
        let shop = with_set(&app, 5, 0).await;
        let bremen =
            json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
        app.ops("POST", "/locations", Some(&bremen)).await.expect(201);
        let mugs = json!({"sku": "MUG", "location": "bremen", "change": 8, "reason": "test"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [mugs]}))).await.expect(200);
        assert_eq!(offered(&shop, "SET").await, (Some(4), false));
        let asked = json!({"channel_id": shop.channel, "country": "DE", "lines": [{"sku": "SET", "quantity": 2}]});
        let seen = app.ops("POST", "/sourcing/simulate", Some(&asked)).await.expect(200);
        let told = |share: &Value| {
            (
                share["line_no"].as_i64().unwrap(),
                text(&share["sku"]).to_owned(),
                text(&share["location"]).to_owned(),
                share["quantity"].as_i64().unwrap(),
            )
        };
        let mut shares: Vec<_> = seen["shares"].as_array().unwrap().iter().map(told).collect();
        shares.sort();
        let row = |sku: &str, location: &str, pieces| (1_i64, sku.to_owned(), location.to_owned(), pieces);
        assert_eq!(shares, [row("MUG", "bremen", 4), row("TEE", "berlin", 2)]);
        let asked = json!({"channel_id": shop.channel, "country": "DE", "lines": [{"sku": "SET", "quantity": 5}]});
        let seen = app.ops("POST", "/sourcing/simulate", Some(&asked)).await.expect(200);
        assert_eq!((&seen["planned"], &seen["refusal"]["line_no"]), (&json!(false), &json!(1)));
        let placed = shop.order(&[("SET", 2)]).await;
        let found = app.ops("GET", &format!("/orders/{}/fulfilment", text(&placed["id"])), None).await.expect(200);
        assert_eq!(found["fulfilment_orders"].as_array().unwrap().len(), 2);
        ship(&app, text(&placed["id"])).await;
    });
}

#[test]
fn the_doctor_sees_a_bundle_that_is_not_the_sum_of_its_lines() {
    on_both(|app| async move {
        let shop = with_set(&app, 5, 10).await;
        let placed = shop.order(&[("SET", 1), ("MUG", 1)]).await;
        app.makes_things_up();
        for (line, cents) in [(2, -1), (3, 1)] {
            let update = "UPDATE order_lines SET net = net + ?, gross = gross + ? WHERE line_no = ?";
            let update = move |tx: &mut kontor::db::Tx| {
                kontor::db::sql(update).bind(i64::from(cents)).bind(i64::from(cents)).bind(i64::from(line)).execute(tx)
            };
            app.state.db.write(update).await.unwrap();
        }
        let findings = kontor::doctor::examine(&app.state.db, |_| {}).await.unwrap();
        let told: Vec<(&str, &str)> = findings.iter().map(|one| (one.rule, one.subject.as_str())).collect();
        assert_eq!(told, [("a bundle's amounts are the sums of its lines", text(&placed["id"]))]);
        assert!(findings[0].detail.starts_with("bundle 1: "), "{}", findings[0].detail);
    });
}
