//! Whatever gives money away passes one gate: up to a ceiling one person does it alone, all of it together; above that nothing is done until
//! somebody else has approved it, and then once.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    amendments::Draft,
    credit::{Trade, eur},
    fulfilment_moves::Of,
    second_person::{ALL, Person, paid, until},
    support::{App, Shop, eventually, on_both, shop::address},
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A shop with ceilings, and two of its staff.
async fn guarded<'a>(app: &'a App, ceilings: Value) -> (Shop, Person<'a>, Person<'a>) {
    let shop = Shop::open(app, &[("TEE", "10.00", 200)]).await;
    shop.set(json!({"second_person": ceilings})).await;
    (shop, Person::new(app, "ada", ALL, None), Person::new(app, "bea", ALL, None))
}

/// An order that is paid in advance, and of which nothing has left.
async fn prepaid(shop: &Shop, pieces: i64) -> String {
    let cart = shop.cart(&[("TEE", pieces)]).await;
    let pay = json!({"payment": {"method": "manual"}});
    let path = format!("/carts/{}/complete", cart.id);
    let made = shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201);
    let order = text(&made["order"]["id"]);
    let money = json!({"reference": format!("B-{order}")});
    shop.app.ops("POST", &format!("/orders/{order}/payments"), Some(&money)).await.expect(200);
    order
}

async fn money_has_moved(app: &App) {
    let pending = "SELECT count(*) FROM payment_operations AS o JOIN payments AS p ON p.id = o.payment_id \
                   WHERE o.state = 'pending' AND p.provider <> 'manual'";
    eventually("the money has moved", || async { app.count(pending).await == 0 }).await;
}

/// Approves several times at once: one of them does, and what was asked for ends.
async fn approved(app: &App, asked: &Value, bea: &Person<'_>, end: &str) -> Value {
    let racing = join_all((0..4).map(|_| bea.decide(asked, "approve"))).await;
    assert_eq!(racing.iter().filter(|one| one.status == 200).count(), 1, "one decides");
    until(app, asked, end).await
}

#[test]
fn what_goes_back_with_cancellations_counts_together() {
    on_both(|app| async move {
        let (shop, ada, bea) = guarded(&app, json!({"cancellation": [eur("25.00")]})).await;
        let order = prepaid(&shop, 10).await;
        let path = format!("/orders/{order}/cancel");
        let pieces = |quantity: i64| json!({"lines": [{"line_no": 1, "quantity": quantity}], "reason": "too many"});
        ada.send("POST", &path, Some(&pieces(1))).await.expect(200);
        ada.send("POST", &path, Some(&pieces(1))).await.expect(200);
        // Ten, ten and ten are more than twenty-five, whoever of the staff asks.
        let asked = ada.send("POST", &path, Some(&pieces(1))).await.expect(202);
        assert_eq!((&asked["kind"], &asked["amounts"]), (&json!("cancel"), &json!([eur("10.00")])), "{asked}");
        assert_eq!(asked["subject"]["order_id"], order);
        let other = bea.send("POST", &path, Some(&pieces(2))).await.expect(202);
        let new_card = json!({"reason": "x", "refund_to": {"to": "gift_card"}});
        ada.send("POST", &path, Some(&new_card)).await.problem(422, "invalid_value");
        let document = app.ops("GET", &format!("/orders/{order}"), None).await.expect(200);
        assert_eq!(document["lines"][0]["cancelled"], 2);
        ada.decide(&asked, "approve").await.problem(409, "countersign_not_yours");
        approved(&app, &asked, &bea, "done").await;
        let document = app.ops("GET", &format!("/orders/{order}"), None).await.expect(200);
        assert_eq!(document["lines"][0]["cancelled"], 3, "{document}");
        // What was asked for on another state of the order is not done.
        ada.decide(&other, "approve").await.expect(200);
        assert_eq!(until(&app, &other, "refused").await["code"], "version_stale");
        // Of an order that nobody has paid nothing goes back, and nobody is asked.
        let unpaid = shop.order(&[("TEE", 9)]).await;
        ada.send("POST", &format!("/orders/{}/cancel", text(&unpaid["id"])), Some(&json!({"reason": "x"})))
            .await
            .expect(200);
    });
}

#[test]
fn of_many_who_cancel_at_once_no_more_goes_back_than_one_gives_alone() {
    on_both(|app| async move {
        let (shop, ada, _) = guarded(&app, json!({"cancellation": [eur("25.00")]})).await;
        let order = prepaid(&shop, 10).await;
        let path = format!("/orders/{order}/cancel");
        let one = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "too many"});
        let all = join_all((0..6).map(|_| ada.send("POST", &path, Some(&one)))).await;
        let count = |status: u16| all.iter().filter(|answer| answer.status == status).count();
        assert_eq!((count(200), count(202)), (2, 4), "{:?}", all.iter().map(|one| &one.text).collect::<Vec<_>>());
        let document = app.ops("GET", &format!("/orders/{order}"), None).await.expect(200);
        assert_eq!(document["lines"][0]["cancelled"], 2);
    });
}

#[test]
fn returns_and_claims_above_the_ceiling_wait() {
    on_both(|app| async move {
        let (shop, ada, bea) = guarded(&app, json!({"return_refund": [eur("15.00")]})).await;
        let order = paid(&shop).await;
        let back = |quantity: i64| {
            json!({"order": order.order, "refund": true, "reason": "too small",
            "lines": [{"line_no": 1, "quantity": quantity}]})
        };
        ada.send("POST", "/returns", Some(&back(1))).await.expect(201);
        money_has_moved(&app).await;
        let asked = ada.send("POST", "/returns", Some(&back(2))).await.expect(202);
        assert_eq!((&asked["kind"], &asked["amounts"]), (&json!("return"), &json!([eur("20.00")])));
        approved(&app, &asked, &bea, "done").await;
        let count = "SELECT count(*) FROM returns";
        assert_eq!(app.count(count).await, 2, "it is booked once");
        money_has_moved(&app).await;
        // A claim is settled through the same gate.
        let claim = json!({"kind": "damaged", "lines": [{"line_no": 1, "quantity": 2}]});
        let claim = app.ops("POST", &format!("/orders/{}/claims", order.order), Some(&claim)).await.expect(201);
        let path = format!("/claims/{}", text(&claim["id"]));
        let settle = json!({"resolution": "refund", "reason": "broken"});
        let asked = ada.send("POST", &format!("{path}/settle"), Some(&settle)).await.expect(202);
        assert_eq!((&asked["subject"]["claim_id"], &asked["reason"]), (&claim["id"], &json!("broken")));
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["state"], "open");
        approved(&app, &asked, &bea, "done").await;
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["state"], "settled");
        money_has_moved(&app).await;
        // So is what was announced before.
        let new = json!({"lines": [{"line_no": 1, "quantity": 2, "reason": "changed_mind"}], "approve": true});
        let request = app.ops("POST", &format!("/orders/{}/returns", order.order), Some(&new)).await.expect(201);
        let path = format!("/return-requests/{}", text(&request["id"]));
        let settle = json!({"without_goods": true, "waive_fees": true});
        let asked = ada.send("POST", &format!("{path}/settle"), Some(&settle)).await.expect(202);
        assert_eq!(asked["subject"]["return_request_id"], request["id"]);
        approved(&app, &asked, &bea, "done").await;
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["state"], "settled");
        money_has_moved(&app).await;
    });
}

#[test]
fn what_was_paid_too_much_goes_back_by_two() {
    on_both(|app| async move {
        let ceilings = json!({"overpayment": [eur("5.00")]});
        let (shop, ada, bea) = guarded(&app, ceilings.clone()).await;
        shop.set(json!({"second_person": ceilings, "prepayment": {"overpaid": "keep"}})).await;
        let order = prepaid(&shop, 1).await;
        let more = json!({"amount": eur("8.00"), "reference": "B2"});
        app.ops("POST", &format!("/orders/{order}/payments"), Some(&more)).await.expect(200);
        let path = format!("/orders/{order}/overpayment/refund");
        let give = |amount: &str| json!({"amount": eur(amount), "reason": "paid twice"});
        ada.send("POST", &path, Some(&give("3.00"))).await.expect(202);
        let asked = ada.send("POST", &path, Some(&give("3.00"))).await.expect(201);
        assert_eq!((&asked["kind"], &asked["state"]), (&json!("overpayment"), &json!("waiting")));
        approved(&app, &asked, &bea, "done").await;
        let told = app.ops("GET", &format!("/orders/{order}/payments"), None).await.expect(200);
        assert_eq!(told["unapplied"], eur("2.00"));
    });
}

#[test]
fn discounts_and_offers_above_the_ceiling_wait() {
    on_both(|app| async move {
        let trade = Trade::open(&app, &[("DESK", "95.10", 50)]).await;
        let ceilings = json!({"discount": [eur("15.00")], "quote": [eur("10.00")]});
        trade.shop.set(json!({"second_person": ceilings})).await;
        let (ada, bea) = (Person::new(&app, "ada", ALL, None), Person::new(&app, "bea", ALL, None));
        let cart = trade.cart(&[("DESK", 2)]).await;
        let new = json!({"cart_id": cart, "contact": "phone"});
        let draft = text(&app.ops("POST", "/drafts", Some(&new)).await.expect(201)["id"]);
        let path = format!("/drafts/{draft}/discount");
        let percent = json!({"percent": 10, "reason": "loyal"});
        let asked = ada.send("POST", &path, Some(&percent)).await.expect(202);
        assert_eq!((&asked["kind"], &asked["amounts"]), (&json!("discount"), &json!([eur("19.02")])));
        assert_eq!(asked["subject"]["draft_id"], draft);
        let total = async || app.ops("GET", &format!("/carts/{cart}"), None).await.expect(200)["total"].clone();
        assert_eq!(total().await, eur("195.10"), "nothing is agreed yet");
        approved(&app, &asked, &bea, "done").await;
        assert_eq!(total().await, eur("176.08"));
        // The cart has changed since: what was asked for then is not given.
        let cart = trade.cart(&[("DESK", 2)]).await;
        let new = json!({"cart_id": cart, "contact": "phone"});
        let draft = text(&app.ops("POST", "/drafts", Some(&new)).await.expect(201)["id"]);
        let path = format!("/drafts/{draft}/discount");
        let asked = ada.send("POST", &path, Some(&percent)).await.expect(202);
        let more = json!({"lines": [{"sku": "DESK", "quantity": 9}]});
        let added = app.ops("POST", &format!("/carts/{cart}/quick-order"), Some(&more)).await;
        assert!(added.status < 300, "{}", added.text);
        bea.decide(&asked, "approve").await.expect(200);
        assert_eq!(until(&app, &asked, "refused").await["code"], "version_stale");
        // An offer.
        let body = json!({"lines": [{"sku": "DESK", "quantity": 1}], "email": "ada@example.org",
            "shipping_address": address(), "shipping_method": "standard"});
        let mine = text(&trade.as_("ada", "POST", "/carts", Some(&body)).await.expect(201)["id"]);
        let said = json!({"message": "for the office"});
        let own = trade.as_("ada", "POST", &format!("/carts/{mine}/quote-requests"), Some(&said)).await.expect(201);
        let quote = text(&own["id"]);
        let offer = |price: &str| json!({"lines": [{"line_no": 1, "unit_price": eur(price)}], "valid_until": app.now().plus_seconds(86_400)});
        let path = format!("/quotes/{quote}/offer");
        let asked = ada.send("POST", &path, Some(&offer("80.00"))).await.expect(202);
        assert_eq!((&asked["kind"], &asked["amounts"]), (&json!("quote"), &json!([eur("15.10")])));
        approved(&app, &asked, &bea, "done").await;
        assert_eq!(app.ops("GET", &format!("/quotes/{quote}"), None).await.expect(200)["state"], "offered");
        ada.send("POST", &path, Some(&offer("90.00"))).await.expect(200);
    });
}

#[test]
fn what_one_person_gives_as_credit_in_a_day_is_limited_however_many_ask_at_once() {
    on_both(|app| async move {
        let (_, ada, bea) = guarded(&app, json!({"stored_value": [eur("50.00")]})).await;
        let customer = json!({"name": "Grace", "email": "grace@example.org"});
        let customer = text(&app.ops("POST", "/customers", Some(&customer)).await.expect(201)["id"]);
        let path = format!("/customers/{customer}/store-credit");
        let give = |amount: &str| json!({"amount": eur(amount), "reason": "late"});
        let body = give("20.00");
        let all = join_all((0..6).map(|_| ada.send("POST", &path, Some(&body)))).await;
        let count = |status: u16| all.iter().filter(|answer| answer.status == status).count();
        assert_eq!((count(200), count(202)), (2, 4), "{:?}", all.iter().map(|one| &one.text).collect::<Vec<_>>());
        let asked = all.iter().find(|answer| answer.status == 202).unwrap().body.clone();
        assert_eq!((&asked["kind"], &asked["subject"]["customer_id"]), (&json!("stored_value"), &json!(customer)));
        approved(&app, &asked, &bea, "done").await;
        let sum = "SELECT CAST(sum(balance) AS BIGINT) FROM stored_values";
        assert_eq!(app.count(sum).await, 6_000);
        // A card that would be issued later would have a code that nobody knows.
        let card = json!({"amount": eur("11.00")});
        ada.send("POST", "/gift-cards", Some(&card)).await.problem(409, "second_person_needed");
        let card = ada.send("POST", "/gift-cards", Some(&json!({"amount": eur("10.00")}))).await.expect(201);
        let path = format!("/stored-values/{}/adjust", text(&card["id"]));
        let asked = ada.send("POST", &path, Some(&give("40.00"))).await.expect(202);
        assert_eq!(asked["subject"]["stored_value_id"], card["id"]);
        approved(&app, &asked, &bea, "done").await;
        // What is taken off gives nothing; another person, and the next day, are others.
        ada.send("POST", &path, Some(&give("-5.00"))).await.expect(200);
        bea.send("POST", &path, Some(&give("50.00"))).await.expect(200);
        app.clock.advance_seconds(86_400);
        ada.send("POST", &path, Some(&give("50.00"))).await.expect(200);
        ada.send("POST", &path, Some(&give("0.01"))).await.expect(202);
    });
}

#[test]
fn ceilings_are_checked() {
    on_both(|app| async move {
        let (shop, ..) = guarded(&app, json!({})).await;
        let path = format!("/channels/{}", shop.channel);
        let channel = app.ops("GET", &path, None).await.expect(200);
        let mut settings = json!({"second_person": {"stored_value": [eur("1.00"), eur("2.00")]}});
        for field in
            ["currencies", "locales", "countries", "time_zone", "prices_include_tax", "rounding", "payment_methods"]
        {
            settings[field] = channel[field].clone();
        }
        let refused = app.ops("PATCH", &path, Some(&json!({ "settings": settings }))).await;
        assert_eq!(refused.problem(422, "invalid_value")["pointer"], "/settings/second_person/stored_value/1");
    });
}

#[test]
fn an_amendment_that_is_approved_asks_for_its_money_in_the_same_go() {
    on_both(|app| async move {
        let (shop, ada, bea) = guarded(&app, json!({"price_override": [eur("1.00")]})).await;
        let order = Of::new(&shop, &[("TEE", 1)]).await;
        let begin = format!("/orders/{}/amendments", order.order);
        let draft = ada.send("POST", &begin, Some(&json!({"reason": "called"}))).await.expect(201);
        let at = |what: &str| format!("{begin}/{}/{what}", text(&draft["id"]));
        let edit = json!({"edits": [{"type": "add_line", "sku": "TEE", "quantity": 2, "unit_price": eur("8.00"), "reason": "loyal"}]});
        let edited = ada.send("POST", &at("edits"), Some(&edit)).await.expect(200);
        let confirm = |wish: Value| json!({"order_version": edited["order_version"], "payment_request": wish});
        ada.send("POST", &at("confirm"), Some(&confirm(json!({"hours": 0})))).await.problem(422, "invalid_value");
        let first = ada.send("POST", &at("confirm"), Some(&confirm(json!({"hours": 24})))).await.expect(201);
        let same = ada.send("POST", &at("confirm"), Some(&confirm(json!({"hours": 24})))).await.expect(201);
        assert_eq!(first["id"], same["id"], "asked again, it waits once");
        // Another wish takes the place of the first.
        let asked = ada
            .send("POST", &at("confirm"), Some(&confirm(json!({"hours": 48, "message": "two more"}))))
            .await
            .expect(201);
        assert_ne!(asked["id"], first["id"]);
        until(&app, &first, "withdrawn").await;
        assert_eq!(app.count("SELECT count(*) FROM payment_requests").await, 0);
        approved(&app, &asked, &bea, "done").await;
        let path = format!("/orders/{}/payment-requests", order.order);
        let made = app.ops("GET", &path, None).await.expect(200)["payment_requests"].clone();
        assert_eq!(made.as_array().unwrap().len(), 1, "{made}");
        assert_eq!((&made[0]["amount"], &made[0]["message"]), (&eur("16.00"), &json!("two more")));
        assert_eq!((&made[0]["asked_by"], made[0].get("token")), (&json!("staff:ada"), None));
        // Its link is made by whoever gives it to the customer, and the one before is good no more.
        let path = format!("/payment-requests/{}/token", text(&made[0]["id"]));
        let first = ada.send("POST", &path, Some(&json!({}))).await.expect(201);
        let second = ada.send("POST", &path, Some(&json!({"hours": 168}))).await.expect(201);
        assert_ne!(first["token"], second["token"]);
        let open = |token: &Value| json!({ "token": token });
        shop.store("POST", "/payment-requests/open", None, Some(&open(&first["token"])))
            .await
            .problem(404, "not_found");
        let pay = json!({"token": second["token"], "payment": {"method": "sandbox", "instrument": "approve"}});
        let paid = shop.store("POST", "/payment-requests/pay", None, Some(&pay)).await.expect(200);
        assert_eq!(paid["result"], "paid");
        ada.send("POST", &path, Some(&json!({}))).await.problem(409, "state_conflict");
        order.ship_all().await;
        money_has_moved(&app).await;
    });
}

#[test]
fn an_amendment_that_gives_much_back_waits_too() {
    on_both(|app| async move {
        let (shop, ada, bea) = guarded(&app, json!({"cancellation": [eur("15.00")]})).await;
        let order = prepaid(&shop, 5).await;
        let mut draft = Draft::begin(&app, &order).await;
        draft.edit(json!([{"type": "set_quantity", "line_no": 1, "quantity": 2}])).await;
        let path = format!("/orders/{order}/amendments/{}/confirm", text(&draft.body["id"]));
        let confirm = json!({"order_version": draft.body["order_version"]});
        let asked = ada.send("POST", &path, Some(&confirm)).await.expect(201);
        assert_eq!((&asked["kind"], &asked["amounts"]), (&json!("override"), &json!([eur("30.00")])), "{asked}");
        approved(&app, &asked, &bea, "done").await;
        let document = app.ops("GET", &format!("/orders/{order}"), None).await.expect(200);
        assert_eq!(document["lines"][0]["cancelled"], 3);
    });
}
