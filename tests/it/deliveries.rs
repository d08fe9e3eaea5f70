//! Several deliveries of a cart and its order: one parcel home and one to pick up, a line spread over two addresses.

use futures::future::join_all;
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    fulfilment_moves::{Of, counts, level, place},
    promotions::{percent, promote},
    support::{Answer, App, Cart, Shop, eventually, on_both},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn amount(value: &Value) -> &str {
    text(&value["amount"])
}

fn codes(list: &Value) -> Vec<&str> {
    list.as_array().map(|list| list.iter().map(|one| text(&one["code"])).collect()).unwrap_or_default()
}

/// Somebody else's address.
fn granny() -> Value {
    json!({"name": "Anne Byron", "street1": "Marktstr. 1", "postcode": "28195", "city": "Bremen", "country": "DE"})
}

/// A shop with a branch in Bremen where goods can be picked up for nothing.
async fn with_branch(app: &App, goods: &[(&str, &str, i64)], there: &[(&str, i64)]) -> (Shop, String) {
    let shop = Shop::open(app, goods).await;
    let site = json!({"address": {"name": "Acme Bremen", "street1": "Am Wall 1", "postcode": "28195", "city": "Bremen", "country": "DE"}});
    let branch = place(app, "bremen", site, there).await;
    let method = json!({
        "channel_id": shop.channel, "code": "click", "name": "Click and collect", "tax_class": "standard",
        "rates": [{"countries": [], "price": {"amount": "0.00", "currency": "EUR"}}], "pickup_location_id": branch,
        "delivery_days": {"min": 0, "max": 0},
    });
    app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
    (shop, branch)
}

async fn put(shop: &Shop, cart: &Cart, deliveries: Value) -> Answer {
    let body = json!({ "deliveries": deliveries });
    shop.store("PUT", &format!("/carts/{}/deliveries", cart.id), Some(&cart.token), Some(&body)).await
}

async fn read(shop: &Shop, cart: &Cart) -> Value {
    shop.store("GET", &format!("/carts/{}", cart.id), Some(&cart.token), None).await.expect(200)
}

async fn set_quantity(shop: &Shop, cart: &Cart, line: usize, quantity: i64) -> Value {
    let id = text(&cart.body["lines"][line]["id"]);
    let path = format!("/carts/{}/lines/{id}", cart.id);
    shop.store("PATCH", &path, Some(&cart.token), Some(&json!({ "quantity": quantity }))).await.expect(200)
}

/// The lines and quantities of each delivery, by its key.
fn parts(document: &Value) -> Vec<(String, Vec<(i64, i64)>)> {
    let line = |line: &Value| (line["line_no"].as_i64().unwrap(), line["quantity"].as_i64().unwrap());
    let lines = |one: &Value| one["lines"].as_array().into_iter().flatten().map(line).collect();
    let deliveries = document["deliveries"].as_array().unwrap().iter();
    deliveries.map(|one| (one["key"].as_str().unwrap_or("-").to_owned(), lines(one))).collect()
}

fn part(key: &str, lines: &[(i64, i64)]) -> (String, Vec<(i64, i64)>) {
    (key.to_owned(), lines.to_vec())
}

#[test]
fn one_parcel_goes_home_and_one_is_picked_up() {
    on_both(|app| async move {
        let goods = [("TEE", "19.90", 10), ("MUG", "9.90", 10)];
        let (shop, branch) = with_branch(&app, &goods, &[("MUG", 3)]).await;
        let cart = shop.cart(&[("TEE", 2), ("MUG", 2)]).await;
        let before = cart.body["totals"].clone();
        let mug = cart.body["lines"][1]["id"].clone();
        let seen = put(
            &shop,
            &cart,
            json!([{"key": "home"}, {"key": "shop", "method": "click", "lines": [{"line_id": mug}]}]),
        )
        .await
        .expect(200);
        assert_eq!(seen["problems"], json!([]));
        assert_eq!(parts(&seen), [part("home", &[(1, 2)]), part("shop", &[(2, 2)])]);
        let (home, pick) = (&seen["deliveries"][0], &seen["deliveries"][1]);
        assert_eq!((text(&home["method"]), text(&home["address"]["postcode"])), ("standard", "10115"));
        assert_eq!((text(&pick["pickup"]["location"]), text(&pick["address"]["street1"])), ("bremen", "Am Wall 1"));
        assert_eq!(seen["totals"]["total"], before["total"], "picking up costs nothing");
        let shipping = &seen["totals"]["shipping_parts"];
        assert_eq!((text(&shipping[0]["delivery"]), amount(&shipping[0]["gross"])), ("home", "4.90"));
        assert_eq!((text(&shipping[1]["delivery"]), amount(&shipping[1]["gross"])), ("shop", "0.00"));
        assert_eq!((amount(&home["shipping"]["gross"]), amount(&pick["shipping"]["gross"])), ("4.90", "0.00"));
        // Each delivery has its own options.
        let path = format!("/carts/{}/shipping-options", cart.id);
        let options = shop.store("GET", &path, Some(&cart.token), None).await.expect(200);
        let keys: Vec<&str> = options["deliveries"].as_array().unwrap().iter().map(|one| text(&one["key"])).collect();
        assert_eq!(keys, ["home", "shop"]);
        assert_eq!(options["items"], options["deliveries"][0]["items"]);
        let click = |of: usize| {
            let items = options["deliveries"][of]["items"].as_array().unwrap();
            items.iter().find(|one| one["code"] == "click").unwrap().clone()
        };
        assert_eq!(click(1)["pickup_location_id"], json!(branch));
        assert!(click(1).get("delivery").is_some(), "the mugs lie there: {options}");
        assert!(click(0).get("delivery").is_none(), "the tees do not: {options}");
        // What is held keeps it.
        let frozen = format!("/carts/{}/checkout", cart.id);
        let frozen = shop.store("POST", &frozen, Some(&cart.token), None).await.expect(200);
        assert_eq!(parts(&frozen), parts(&seen));
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        assert_eq!(parts(&order), [part("home", &[(1, 2)]), part("shop", &[(2, 2)])]);
        assert_eq!(order["deliveries"][1]["line_nos"], json!([2]));
        assert_eq!(order["deliveries"][1]["promise"]["latest"], order["deliveries"][1]["promise"]["ships_by"]);
        assert_eq!(amount(&order["deliveries"][0]["shipping"]["gross"]), amount(&order["shipping"]["gross"]));
        // The mugs come from where they are picked up, though Berlin has them too.
        assert_eq!((level(&app, "TEE", "berlin").await, level(&app, "MUG", "bremen").await), ((2, 10), (2, 3)));
        assert_eq!(level(&app, "MUG", "berlin").await, (0, 10));
        let placed = Of { app: &app, order: text(&order["id"]).to_owned() };
        let work = placed.all().await;
        let of = |key: &str| work.iter().find(|one| one["delivery"]["key"] == key).unwrap().clone();
        let (home, pick) = (of("home"), of("shop"));
        assert_eq!((work.len(), &pick["location_id"]), (2, &json!(branch)));
        assert_eq!(pick["delivery"], json!({"number": 1, "key": "shop", "method": "click", "pickup": true}));
        assert_eq!((counts(&home), counts(&pick)), (vec![(1, 2, 0, 0, 0, 0)], vec![(2, 2, 0, 0, 0, 0)]));
        assert!(pick.get("promised_until").is_some() && home.get("promised_until").is_none(), "{work:?}");
        let refused = placed.post(&pick, "move", json!({"location": "berlin"})).await.problem(409, "state_conflict");
        assert_eq!(refused["pointer"], "/location");
        // Its label goes to the branch, the other home.
        for (one, postcode) in [(&home, "10115"), (&pick, "28195")] {
            let packed = placed.post(one, "packages", json!({"weight_grams": 300})).await.expect(201);
            let path = format!("/packages/{}/label", text(&packed["id"]));
            let label = app.ops("GET", &path, None).await.expect(200);
            assert_eq!(text(&label["to"]["postcode"]), postcode, "{label}");
        }
        for one in [&home, &pick] {
            let shipped = placed.post(one, "ship", json!({})).await.expect(201);
            app.ops("POST", &format!("/shipments/{}/deliver", text(&shipped["id"])), Some(&json!({})))
                .await
                .expect(200);
        }
        let done = placed.document().await;
        assert_eq!(text(&done["fulfilment_state"]), "delivered");
        eventually("all of it is paid", || async { placed.document().await["payment_state"] == "captured" }).await;
        // Of several deliveries each is measured by its own promise.
        app.clock.advance_seconds(60);
        let report = app.ops("GET", "/reports/on-time", None).await.expect(200);
        let of = |code: &str| report["items"].as_array().unwrap().iter().find(|one| one["location"] == code).unwrap();
        assert_eq!((&of("bremen")["delivered"], &of("berlin")["delivered"]), (&json!(1), &json!(0)));
    });
}

#[test]
fn all_of_a_cart_is_picked_up_without_an_address() {
    on_both(|app| async move {
        let goods = [("TEE", "19.90", 10)];
        let (shop, branch) = with_branch(&app, &goods, &[("TEE", 2)]).await;
        let body =
            json!({"lines": [{"sku": "TEE", "quantity": 2}], "email": "ada@example.org", "shipping_method": "click"});
        let body = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
        let cart = Cart { id: text(&body["id"]).to_owned(), token: text(&body["token"]).to_owned(), body };
        assert_eq!(cart.body["problems"], json!([]));
        assert_eq!(cart.body["deliveries"][0]["pickup"]["location"], "bremen");
        // Nowhere else does it help.
        let seen = set_quantity(&shop, &cart, 0, 3).await;
        assert_eq!(codes(&seen["problems"]), ["out_of_stock"]);
        let pay = json!({"payment": {"method": "manual"}});
        let complete = format!("/carts/{}/complete", cart.id);
        shop.store("POST", &complete, Some(&cart.token), Some(&pay)).await.problem(409, "out_of_stock");
        set_quantity(&shop, &cart, 0, 2).await;
        let order = shop.store("POST", &complete, Some(&cart.token), Some(&pay)).await.expect(201)["order"].clone();
        assert_eq!((parts(&order), amount(&order["total"])), (vec![part("-", &[])], "39.80"));
        let placed = Of { app: &app, order: text(&order["id"]).to_owned() };
        let one = placed.open().await;
        assert_eq!((&one["location_id"], one.get("delivery")), (&json!(branch), None));
        placed.post(&one, "move", json!({"location": "berlin"})).await.problem(409, "state_conflict");
        // A branch that is closed lets nobody pick anything up.
        let next = shop.cart(&[("TEE", 1)]).await;
        app.ops("PATCH", &format!("/locations/{branch}"), Some(&json!({"active": false}))).await.expect(200);
        eventually("it is known", || async {
            let seen = put(&shop, &next, json!([{"key": "a", "address": null, "method": "click"}])).await.expect(200);
            codes(&seen["problems"]).contains(&"location_inactive")
        })
        .await;
    });
}

#[test]
fn a_line_is_spread_over_two_addresses_and_the_sums_agree() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.99", 5), ("MUG", "0.07", 50)]).await;
        shop.set(json!({"rounding": {"point": "per_order", "strategy": "half_up"}})).await;
        let cart = shop.cart(&[("TEE", 3), ("MUG", 7)]).await;
        let spread = json!([
            {"key": "home", "lines": [{"line_no": 1, "quantity": 1}]},
            {"key": "granny", "address": granny(), "method": "standard",
             "lines": [{"line_no": 1, "quantity": 2}, {"line_no": 2, "quantity": 3}]},
        ]);
        let seen = put(&shop, &cart, spread.clone()).await.expect(200);
        assert_eq!(parts(&seen), [part("home", &[(1, 1), (2, 4)]), part("granny", &[(1, 2), (2, 3)])]);
        assert_eq!(amount(&seen["totals"]["shipping_total"]), "9.80");
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        let minor = |value: &Value| amount(value).replace('.', "").parse::<i64>().unwrap();
        for field in ["subtotal", "discount", "net", "tax", "gross"] {
            let deliveries = order["deliveries"].as_array().unwrap().iter();
            let sum: i64 = deliveries.map(|one| minor(&one["shipping"][field])).sum();
            assert_eq!(sum, minor(&order["shipping"][field]), "{field}: {order}");
        }
        let lines: i64 = order["lines"].as_array().unwrap().iter().map(|line| minor(&line["gross"])).sum();
        assert_eq!(lines + minor(&order["shipping"]["gross"]), minor(&order["total"]));
        let placed = Of { app: &app, order: text(&order["id"]).to_owned() };
        let work = placed.all().await;
        assert_eq!(work.len(), 2, "one location, two deliveries: {work:?}");
        assert_eq!(counts(&work[0]), [(1, 1, 0, 0, 0, 0), (2, 4, 0, 0, 0, 0)]);
        assert_eq!(counts(&work[1]), [(1, 2, 0, 0, 0, 0), (2, 3, 0, 0, 0, 0)]);
        assert_eq!(level(&app, "TEE", "berlin").await, (3, 5));
        // No piece is promised twice between them.
        let more = shop.cart(&[("TEE", 3)]).await;
        put(
            &shop,
            &more,
            json!([{"key": "home"}, {"key": "granny", "address": granny(), "method": "standard",
            "lines": [{"line_no": 1, "quantity": 2}]}]),
        )
        .await
        .expect(200);
        shop.complete(&more, "approve").await.problem(409, "out_of_stock");
        placed.ship_all().await;
        assert_eq!(level(&app, "TEE", "berlin").await, (0, 2));
    });
}

#[test]
fn an_order_tells_its_deliveries_and_warehouses_where_each_goes() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 9)]).await;
        // Half of what shipping costs, of all deliveries together.
        promote(&app, "half", json!({"gift": percent("50", "shipping")})).await;
        let cart = shop.cart(&[("TEE", 3)]).await;
        let split = json!([{"key": "home"}, {"key": "granny", "address": granny(), "method": "standard",
            "lines": [{"line_no": 1, "quantity": 1}]}]);
        let seen = put(&shop, &cart, split).await.expect(200);
        let shares: Vec<&str> =
            seen["totals"]["shipping_parts"].as_array().unwrap().iter().map(|one| amount(&one["discount"])).collect();
        assert_eq!((shares, amount(&seen["totals"]["shipping"]["discount"])), (vec!["2.45", "2.45"], "4.90"));
        assert_eq!((amount(&seen["totals"]["promotions"][0]["amount"]), amount(&seen["total"])), ("4.90", "64.90"));
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        let placed = Of { app: &app, order: text(&order["id"]).to_owned() };
        eventually("the log tells of it", || async { placed.events().await.len() >= 4 }).await;
        let path = format!("/orders/{}/timeline?limit=200", placed.order);
        let told = app.ops("GET", &path, None).await.expect(200);
        let told = told["items"].as_array().unwrap();
        let of = |kind: &str| told.iter().filter(|one| one["type"] == kind).map(|one| &one["data"]).collect::<Vec<_>>();
        assert_eq!(parts(of("order.placed.v1")[0]), [part("home", &[(1, 2)]), part("granny", &[(1, 1)])]);
        assert_eq!(of("order.placed.v1")[0]["deliveries"][1]["address"]["city"], "Bremen");
        let opened = of("fulfilment_order.opened.v1");
        let mut to: Vec<(&str, &str)> =
            opened.iter().map(|one| (text(&one["delivery"]["key"]), text(&one["ship_to"]["city"]))).collect();
        to.sort_unstable();
        assert_eq!(to, [("granny", "Bremen"), ("home", "Berlin")]);
    });
}

#[test]
fn what_is_planned_anew_stays_with_its_delivery() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 9)]).await;
        place(&app, "bremen", json!({}), &[("TEE", 9)]).await;
        let cart = shop.cart(&[("TEE", 4)]).await;
        let split = json!([{"key": "home"}, {"key": "granny", "address": granny(), "method": "standard",
            "lines": [{"line_no": 1, "quantity": 2}]}]);
        put(&shop, &cart, split).await.expect(200);
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        let placed = Of { app: &app, order: text(&order["id"]).to_owned() };
        let work = placed.all().await;
        let of = |key: &str| work.iter().find(|one| one["delivery"]["key"] == key).unwrap().clone();
        let (home, granny) = (of("home"), of("granny"));
        let refused = placed.post(&home, "merge", json!({"with": [granny["id"]]})).await.problem(409, "state_conflict");
        assert_eq!(refused["pointer"], "/with");
        let moved = placed.post(&granny, "replan", json!({"exclude_locations": ["berlin"]})).await.expect(200);
        let there = &moved["moved_to"][0];
        assert_eq!((&there["delivery"], counts(there)), (&granny["delivery"], vec![(1, 2, 0, 0, 0, 0)]));
        let split = placed.post(&home, "split", json!({"lines": [{"line_no": 1, "quantity": 1}]})).await.expect(200);
        assert_eq!(split["moved_to"][0]["delivery"], home["delivery"]);
        let back = placed.post(&home, "merge", json!({"with": [split["moved_to"][0]["id"]]})).await.expect(201);
        assert_eq!(back["delivery"], home["delivery"]);
        placed.ship_all().await;
        assert_eq!((level(&app, "TEE", "berlin").await, level(&app, "TEE", "bremen").await), ((0, 7), (0, 7)));
    });
}

#[test]
fn what_the_cart_has_no_more_leaves_its_deliveries() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 99), ("MUG", "10.00", 99)]).await;
        let cart = shop.cart(&[("TEE", 6), ("MUG", 2)]).await;
        let delivery =
            |key: &str, lines: Value| json!({"key": key, "address": granny(), "method": "standard", "lines": lines});
        let wanted = json!([
            {"key": "home"},
            delivery("a", json!([{"line_no": 1, "quantity": 2}])),
            delivery("b", json!([{"line_no": 1, "quantity": 3}, {"line_no": 2}])),
        ]);
        let seen = put(&shop, &cart, wanted).await.expect(200);
        assert_eq!(parts(&seen), [part("home", &[(1, 1)]), part("a", &[(1, 2)]), part("b", &[(1, 3), (2, 2)])]);
        assert_eq!(amount(&seen["totals"]["shipping_total"]), "14.70");
        // What comes is the main one's, and of a whole line all there is.
        let more = set_quantity(&shop, &cart, 0, 8).await;
        let more = if more["problems"] == json!([]) { set_quantity(&shop, &cart, 1, 4).await } else { more };
        assert_eq!(parts(&more), [part("home", &[(1, 3)]), part("a", &[(1, 2)]), part("b", &[(1, 3), (2, 4)])]);
        // The last named gives up first.
        let less = set_quantity(&shop, &cart, 0, 4).await;
        assert_eq!(parts(&less), [part("home", &[]), part("a", &[(1, 2)]), part("b", &[(1, 2), (2, 4)])]);
        assert!(codes(&less["changes"]).contains(&"delivery_changed"), "{less}");
        // The main one has nothing: nobody is charged for it, nor asked where it goes.
        assert_eq!((less["problems"].clone(), amount(&less["totals"]["shipping_total"])), (json!([]), "9.80"));
        let gone = set_quantity(&shop, &cart, 0, 0).await;
        assert_eq!(parts(&gone), [part("home", &[]), part("b", &[(2, 4)])]);
        assert!(codes(&gone["changes"]).contains(&"delivery_gone"), "{gone}");
        // What is added later goes home.
        let line = json!({"sku": "TEE", "quantity": 1});
        let path = format!("/carts/{}/lines", cart.id);
        let added = shop.store("POST", &path, Some(&cart.token), Some(&line)).await.expect(200);
        assert_eq!(parts(&added), [part("home", &[(3, 1)]), part("b", &[(2, 4)])]);
        // Merging keeps them; an empty list goes back to one.
        let other = shop.cart(&[("MUG", 1)]).await;
        let body = json!({"from": other.id, "from_token": other.token});
        let path = format!("/carts/{}/merge", cart.id);
        let merged = shop.store("POST", &path, Some(&cart.token), Some(&body)).await.expect(200);
        assert_eq!(parts(&merged), [part("home", &[(3, 1)]), part("b", &[(2, 5)])]);
        let one = put(&shop, &cart, json!([])).await.expect(200);
        assert_eq!((parts(&one), amount(&one["totals"]["shipping_total"])), (vec![part("-", &[])], "4.90"));
        assert!(
            one["totals"].get("shipping_parts").is_none() && one["deliveries"][0].get("shipping").is_none(),
            "{one}"
        );
        // An order has those only that have something.
        put(&shop, &cart, json!([{"key": "home"}, delivery("b", json!([{"line_no": 2}, {"line_no": 3}]))]))
            .await
            .expect(200);
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        assert_eq!(parts(&order), [part("b", &[(2, 5), (3, 1)])]);
        let placed = Of { app: &app, order: text(&order["id"]).to_owned() };
        assert_eq!(placed.open().await.get("delivery"), None);
    });
}

#[test]
fn what_can_not_be_is_refused_or_stands_in_the_way() {
    on_both(|app| async move {
        let goods = [("TEE", "20.00", 9), ("MUG", "10.00", 9)];
        let (shop, _) = with_branch(&app, &goods, &[("TEE", 9)]).await;
        let cart = shop.cart(&[("TEE", 2), ("MUG", 2)]).await;
        let second = |more: Value| {
            let mut one = json!({"key": "b", "method": "standard", "lines": [{"line_no": 1, "quantity": 1}]});
            one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!([{"key": "a"}, one])
        };
        let many: Vec<Value> = (0..11).map(|at| json!({"key": format!("d{at}"), "lines": [{"line_no": 1}]})).collect();
        let stranger = shop.cart(&[("TEE", 1)]).await.body["lines"][0]["id"].clone();
        for (wanted, status, code, pointer) in [
            (json!(many), 422, "too_many_deliveries", "/deliveries"),
            (second(json!({"key": "a"})), 422, "invalid_value", "/deliveries/1/key"),
            (second(json!({"method": "pigeon"})), 422, "shipping_method_unavailable", "/deliveries/1/method"),
            (second(json!({"method": "click", "address": granny()})), 422, "invalid_value", "/deliveries/1/address"),
            (second(json!({"lines": []})), 422, "invalid_value", "/deliveries/1/lines"),
            (second(json!({"lines": [{"line_no": 9}]})), 422, "line_unknown", "/deliveries/1/lines/0/line_no"),
            (second(json!({"lines": [{"line_id": stranger}]})), 422, "line_unknown", "/deliveries/1/lines/0/line_id"),
            (second(json!({"lines": [{}]})), 422, "missing_field", "/deliveries/1/lines/0/line_id"),
            (
                second(json!({"lines": [{"line_no": 1, "quantity": 0}]})),
                422,
                "quantity_invalid",
                "/deliveries/1/lines/0/quantity",
            ),
            (
                second(json!({"lines": [{"line_no": 1, "quantity": 3}]})),
                409,
                "quantity_exceeded",
                "/deliveries/1/lines/0/quantity",
            ),
            (second(json!({"lines": [{"line_no": 1}, {"line_no": 1}]})), 422, "invalid_value", "/deliveries/1/lines/1"),
            (second(json!({"colour": "red"})), 422, "unknown_field", "/deliveries/1/colour"),
        ] {
            let refused = put(&shop, &cart, wanted).await.problem(status, code);
            assert_eq!(refused["pointer"], pointer, "{refused}");
        }
        assert_eq!(parts(&read(&shop, &cart).await), [part("-", &[])], "nothing of it was done");
        // What is missing, or goes to several countries, stands in the way.
        let mut vienna = granny();
        vienna["country"] = json!("AT");
        for (more, code, pointer) in [
            (json!({}), "address_missing", "/deliveries/1/address"),
            (json!({"address": granny(), "method": null}), "shipping_method_missing", "/deliveries/1/method"),
            (json!({"address": vienna}), "deliveries_in_several_countries", "/deliveries/1/address"),
        ] {
            let seen = put(&shop, &cart, second(more)).await.expect(200);
            assert_eq!((codes(&seen["problems"]), text(&seen["problems"][0]["pointer"])), (vec![code], pointer));
            let refused = shop.complete(&cart, "approve").await.problem(422, "cart_incomplete");
            assert_eq!(refused["pointer"], pointer);
        }
        let heavy = json!({
            "channel_id": shop.channel, "code": "freight", "name": "Freight", "tax_class": "standard",
            "rates": [{"countries": ["DE"], "min_weight_grams": 50_000, "price": {"amount": "49.00", "currency": "EUR"}}]
        });
        app.ops("POST", "/shipping-methods", Some(&heavy)).await.expect(201);
        let wanted = second(json!({"address": granny(), "method": "freight"}));
        eventually("the method is known", || async { put(&shop, &cart, wanted.clone()).await.status == 200 }).await;
        let seen = read(&shop, &cart).await;
        assert_eq!(codes(&seen["problems"]), ["shipping_method_unavailable"]);
        assert_eq!(seen["problems"][0]["pointer"], "/deliveries/1/method");
        // More is to be picked up than lies there.
        let wanted = json!([{"key": "a"}, {"key": "b", "method": "click", "lines": [{"line_no": 2}]}]);
        let seen = put(&shop, &cart, wanted).await.expect(200);
        assert_eq!(codes(&seen["problems"]), ["out_of_stock"]);
        assert_eq!(seen["problems"][0]["pointer"], "/lines/1/quantity");
        // A location that is not there.
        let method = json!({"channel_id": shop.channel, "code": "x", "name": "X", "tax_class": "standard",
            "rates": [{"countries": [], "price": {"amount": "0.00", "currency": "EUR"}}],
            "pickup_location_id": "loc_01h455vb4pex5vsknk084sn02q"});
        let refused = app.ops("POST", "/shipping-methods", Some(&method)).await;
        assert!([404, 422].contains(&refused.status), "{}", refused.text);
    });
}

/// An order of so many pieces, half of which go home and half to granny.
async fn halved<'a>(shop: &'a Shop, pieces: i64) -> Of<'a> {
    let cart = shop.cart(&[("TEE", pieces)]).await;
    let split = json!([{"key": "home"}, {"key": "granny", "address": granny(), "method": "standard",
        "lines": [{"line_no": 1, "quantity": pieces / 2}]}]);
    put(shop, &cart, split).await.expect(200);
    let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
    Of { app: &shop.app, order: text(&order["id"]).to_owned() }
}

/// The fulfilment order of a delivery.
fn of(work: Vec<Value>, key: &str) -> Value {
    work.into_iter().find(|one| one["delivery"]["key"] == key).unwrap()
}

#[test]
fn pieces_of_a_line_are_cancelled_of_the_delivery_that_is_named() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 9)]).await;
        let placed = halved(&shop, 4).await;
        // It has come farther than the other: without its name it would not be taken from.
        placed.post(&of(placed.all().await, "granny"), "pick", json!({})).await.expect(200);
        let path = format!("/orders/{}/cancel", placed.order);
        let cancel = |lines: Value| {
            let body = json!({"lines": lines, "reason": "one is enough"});
            let (app, path) = (&app, &path);
            async move { app.ops("POST", path, Some(&body)).await }
        };
        let line = |quantity: i64, key: &str| json!({"line_no": 1, "quantity": quantity, "delivery": key});
        let unknown = cancel(json!([line(1, "uncle")])).await.problem(404, "not_found");
        assert_eq!(unknown["pointer"], "/lines/0/delivery");
        let many = cancel(json!([line(1, "home"), line(3, "granny")])).await.problem(409, "quantity_exceeded");
        assert_eq!((&many["pointer"], &many["left"]), (&json!("/lines/1/quantity"), &json!(2)));
        let less = cancel(json!([line(1, "granny")])).await.expect(200);
        assert_eq!(less["lines"][0]["cancelled"], json!(1));
        assert_eq!(counts(&of(placed.all().await, "granny")), [(1, 2, 1, 0, 1, 0)]);
        assert_eq!(counts(&of(placed.all().await, "home")), [(1, 2, 0, 0, 0, 0)]);
        // Some of one, and some of any: the others leave those that are named.
        cancel(json!([{"line_no": 1, "quantity": 1}, line(1, "home")])).await.expect(200);
        assert_eq!(counts(&of(placed.all().await, "home")), [(1, 2, 0, 0, 2, 0)]);
        placed.ship_all().await;
        assert_eq!(level(&app, "TEE", "berlin").await, (0, 8));
        // An order with one delivery has no key for it.
        let single = Of::new(&shop, &[("TEE", 1)]).await;
        let body = json!({"lines": [line(1, "home")], "reason": "no"});
        let path = format!("/orders/{}/cancel", single.order);
        app.ops("POST", &path, Some(&body)).await.problem(404, "not_found");
    });
}

#[test]
fn another_system_says_which_delivery_has_left() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 9)]).await;
        let placed = halved(&shop, 2).await;
        let path = format!("/v1/integration/orders/{}/shipments", placed.order);
        let token = format!("Bearer {}", app.token(Audience::Client, "wms", &[Scope::WritebackWrite]));
        let report = |document: &str, more: Value| {
            let mut body = json!({"system": "wms", "document": document});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let (app, path, token) = (&app, &path, &token);
            async move { app.send("POST", path, &[("Authorization", token)], Some(&body)).await }
        };
        let line = json!([{"line_no": 1, "quantity": 1}]);
        for lines in [json!({}), json!({"lines": line})] {
            let asked = report("LS-1", lines).await.problem(422, "missing_field");
            assert_eq!(asked["pointer"], "/delivery");
        }
        let unknown = report("LS-1", json!({"delivery": "uncle"})).await.problem(404, "not_found");
        assert_eq!(unknown["pointer"], "/delivery");
        report("LS-1", json!({"delivery": "granny", "lines": line})).await.expect(201);
        assert_eq!(counts(&of(placed.all().await, "granny")), [(1, 1, 1, 1, 0, 0)]);
        assert_eq!(counts(&of(placed.all().await, "home")), [(1, 1, 0, 0, 0, 0)]);
        // The other is the only one that is left.
        report("LS-2", json!({"lines": line})).await.expect(201);
        assert_eq!(counts(&of(placed.all().await, "home")), [(1, 1, 1, 1, 0, 0)]);
    });
}

#[test]
fn what_is_picked_up_abroad_is_offered_at_what_it_costs_there() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 9)]).await;
        let vienna = json!({"country": "AT", "time_zone": "Europe/Vienna"});
        let vienna = place(&app, "vienna", vienna, &[("TEE", 5)]).await;
        let rate = |country: &str, amount: &str| json!({"countries": [country], "price": {"amount": amount, "currency": "EUR"}});
        let method = json!({
            "channel_id": shop.channel, "code": "wien", "name": "In Vienna", "tax_class": "standard",
            "rates": [rate("DE", "7.00"), rate("AT", "1.00")], "pickup_location_id": vienna,
        });
        app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
        let cart = shop.cart(&[("TEE", 1)]).await;
        let path = format!("/carts/{}/shipping-options", cart.id);
        let ask = || async { shop.store("GET", &path, Some(&cart.token), None).await.expect(200) };
        eventually("the method is known", || async { ask().await["items"][0]["price"]["amount"] == "1.00" }).await;
        let options = ask().await;
        let offered =
            options["items"].as_array().unwrap().iter().map(|one| (text(&one["code"]), amount(&one["price"])));
        assert_eq!(offered.collect::<Vec<_>>(), [("wien", "1.00"), ("standard", "4.90")], "{options}");
        let chosen = put(&shop, &cart, json!([{"key": "one", "method": "wien"}])).await.expect(200);
        assert_eq!(amount(&chosen["totals"]["shipping"]["gross"]), "1.00", "{chosen}");
    });
}

#[test]
fn deliveries_race_with_the_checkout_and_the_order() {
    on_both(|app| async move {
        let goods = [("TEE", "20.00", 100)];
        let (shop, _) = with_branch(&app, &goods, &[("TEE", 100)]).await;
        for _ in 0..4 {
            let cart = shop.cart(&[("TEE", 4)]).await;
            let pick =
                json!([{"key": "home"}, {"key": "shop", "method": "click", "lines": [{"line_no": 1, "quantity": 3}]}]);
            let freeze = format!("/carts/{}/checkout", cart.id);
            let requests = (0..6).map(|at| {
                let (shop, cart, pick, freeze) = (&shop, &cart, pick.clone(), freeze.clone());
                async move {
                    match at % 3 {
                        0 => put(shop, cart, pick).await,
                        1 => shop.store("POST", &freeze, Some(&cart.token), None).await,
                        _ => shop.complete(cart, "approve").await,
                    }
                }
            });
            for answer in join_all(requests).await {
                assert!([200, 201, 202, 409, 412].contains(&answer.status), "{}", answer.text);
            }
            // One order, and what it has of each location is what its deliveries say.
            let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
            let placed = Of { app: &app, order: text(&order["id"]).to_owned() };
            let work = placed.all().await;
            let of = |key: Option<&str>| -> i64 {
                let own = work.iter().filter(|one| one["delivery"]["key"].as_str() == key);
                own.flat_map(counts).map(|(_, quantity, ..)| quantity).sum()
            };
            match order["deliveries"].as_array().unwrap().len() {
                1 => assert_eq!(of(None), 4, "{work:?}"),
                _ => assert_eq!((of(Some("home")), of(Some("shop"))), (1, 3), "{work:?}"),
            }
        }
    });
}

#[test]
fn a_guests_deliveries_come_with_their_lines_into_an_empty_cart() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20), ("MUG", "9.90", 20)]).await;
        let further = json!([
            {"key": "home"},
            {"key": "granny", "address": granny(), "method": "standard",
             "lines": [{"line_no": 1, "quantity": 1}, {"line_no": 2}]},
        ]);
        let guest = shop.cart(&[("TEE", 2), ("MUG", 2)]).await;
        put(&shop, &guest, further.clone()).await.expect(200);
        // It had a line once: the next has another number.
        let body = json!({"lines": [{"sku": "TEE", "quantity": 1}]});
        let body = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
        let own = Cart { id: text(&body["id"]).to_owned(), token: text(&body["token"]).to_owned(), body };
        let path = format!("/carts/{}/lines/{}", own.id, text(&own.body["lines"][0]["id"]));
        shop.store("DELETE", &path, Some(&own.token), None).await.expect(200);
        let merge = async |from: &Cart| {
            let body = json!({"from": from.id, "from_token": from.token});
            shop.store("POST", &format!("/carts/{}/merge", own.id), Some(&own.token), Some(&body)).await.expect(200)
        };
        let merged = merge(&guest).await;
        assert_eq!(parts(&merged), [part("home", &[(2, 1)]), part("granny", &[(2, 1), (3, 2)])]);
        assert_eq!(text(&merged["deliveries"][1]["address"]["postcode"]), "28195");
        assert_eq!((codes(&merged["changes"]), &merged["problems"]), (vec![], &json!([])));
        // A cart that has lines keeps its own deliveries, and tells which of the other's are gone.
        let other = shop.cart(&[("TEE", 2), ("MUG", 1)]).await;
        put(&shop, &other, further).await.expect(200);
        let merged = merge(&other).await;
        assert_eq!(codes(&merged["changes"]), ["delivery_gone"]);
        assert_eq!(parts(&merged), [part("home", &[(2, 3)]), part("granny", &[(2, 1), (3, 3)])]);
        let order = shop.complete(&own, "approve").await.expect(201)["order"].clone();
        assert_eq!(order["deliveries"].as_array().unwrap().len(), 2);
    });
}
