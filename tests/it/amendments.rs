//! Changes of placed orders: what they would do, that they are made on what was looked at, and what races with them.

use futures::future::join_all;
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    fulfilment_moves::{Of, level, pieces},
    invoices::{have, invoiced},
    support::{Answer, App, Shop, eventually, on_both, shop::address},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

/// An amendment of an order, worked out.
pub struct Draft<'a> {
    app: &'a App,
    order: String,
    pub body: Value,
}

impl<'a> Draft<'a> {
    pub async fn begin(app: &'a App, order: &str) -> Self {
        let body = app.ops("POST", &format!("/orders/{order}/amendments"), Some(&json!({"reason": "called"}))).await;
        Self { app, order: order.to_owned(), body: body.expect(201) }
    }

    pub async fn send(&self, what: &str, body: Option<&Value>) -> Answer {
        let path = format!("/orders/{}/amendments/{}/{what}", self.order, text(&self.body["id"]));
        self.app.ops("POST", &path, body).await
    }

    pub async fn edit(&mut self, edits: Value) -> Value {
        self.body = self.send("edits", Some(&json!({ "edits": edits }))).await.expect(200);
        self.body["preview"].clone()
    }

    pub async fn confirm(&self) -> Answer {
        self.send("confirm", Some(&json!({"order_version": self.body["order_version"]}))).await
    }
}

/// What an order owes by its ledger, and whether that balances.
async fn settled(app: &App, order: &Of<'_>) {
    eventually("its money is settled", || async {
        let document = order.document().await;
        let pending = app.ops("GET", &format!("/orders/{}/payments", order.order), None).await.expect(200);
        let open = pending["payments"].as_array().unwrap().iter().flat_map(|one| one["operations"].as_array().unwrap());
        document["state"].is_string() && open.filter(|one| one["state"] == "pending").count() == 0
    })
    .await;
}

#[test]
fn what_is_added_and_taken_off_is_previewed_and_made_in_one_go() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10), ("MUG", "5.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 3)]).await;
        // What is not edited keeps its price, whatever the list says by now.
        shop.set_price("TEE", "11.00").await;
        let mut draft = Draft::begin(&app, &placed.order).await;
        let taken = app.ops("POST", &format!("/orders/{}/amendments", placed.order), Some(&json!({}))).await;
        taken.problem(409, "state_conflict");
        let preview = draft
            .edit(json!([
                {"type": "add_line", "sku": "MUG", "quantity": 2},
                {"type": "set_quantity", "line_no": 1, "quantity": 2},
                {"type": "note", "text": "as agreed by phone"}
            ]))
            .await;
        assert_eq!(preview["money"]["due"]["old"], eur("34.90"), "{preview}");
        assert_eq!(preview["money"]["due"]["new"], eur("34.90"));
        assert_eq!(preview["money"]["to_pay"], eur("0.00"));
        assert_eq!(preview["reserved"][0]["location"], "berlin");
        assert_eq!((&preview["reserved"][0]["quantity"], &preview["freed"][0]["quantity"]), (&json!(2), &json!(1)));
        assert!(preview.get("blocked").is_none());
        assert_eq!(shop.available("MUG").await, 10);
        let done = draft.confirm().await.expect(200);
        let order = &done["order"];
        assert_eq!(done["amendment"]["state"], "confirmed");
        assert_eq!(order["lines"][1]["sku"], "MUG");
        assert_eq!((&order["lines"][1]["allocated"], &order["lines"][0]["cancelled"]), (&json!(2), &json!(1)));
        assert_eq!((&order["lines"][1]["gross"], &order["lines"][0]["gross"]), (&eur("10.00"), &eur("30.00")));
        assert_eq!(order["total"], eur("44.90"));
        assert_eq!((level(&app, "TEE", "berlin").await, level(&app, "MUG", "berlin").await), ((2, 10), (2, 10)));
        // Confirmed twice is confirmed once.
        draft.confirm().await.problem(409, "state_conflict");
        placed.ship_all().await;
        eventually("it is captured", || async { placed.document().await["payment_state"] == "captured" }).await;
        let captured = placed.document().await["payments"][0]["captured"].clone();
        assert_eq!(captured, eur("34.90"));
        let history = app.ops("GET", &format!("/orders/{}/amendments", placed.order), None).await.expect(200);
        assert_eq!(history["items"][0]["preview"]["lines"].as_array().unwrap().len(), 2);
        let amended = "order.amended.v1".to_owned();
        eventually("the log tells of it", || async { placed.events().await.contains(&amended) }).await;
    });
}

#[test]
fn more_is_paid_before_it_is_shipped_and_less_goes_back() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10), ("HAT", "20.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 1)]).await;
        let mut draft = Draft::begin(&app, &placed.order).await;
        let preview = draft.edit(json!([{"type": "add_line", "sku": "HAT", "quantity": 1}])).await;
        assert_eq!(preview["money"]["to_pay"], eur("20.00"), "{preview}");
        let order = draft.confirm().await.expect(200)["order"].clone();
        assert_eq!((&order["holds"][0]["kind"], &order["holds"][0]["owner"]), (&json!("payment"), &json!("amendment")));
        for one in placed.all().await {
            placed.post(&one, "ship", json!({})).await.problem(409, "state_conflict");
        }
        // Changed their mind, and again: what is short is what it is held for.
        let mut back = Draft::begin(&app, &placed.order).await;
        back.edit(json!([{"type": "remove_line", "line_no": 2}])).await;
        assert!(back.confirm().await.expect(200)["order"].get("holds").is_none());
        let mut again = Draft::begin(&app, &placed.order).await;
        again.edit(json!([{"type": "add_line", "sku": "HAT", "quantity": 1}])).await;
        assert_eq!(again.confirm().await.expect(200)["order"]["holds"][0]["kind"], "payment");
        let part = json!({"reference": "B-1", "amount": eur("5.00")});
        let still = app.ops("POST", &format!("/orders/{}/payments", placed.order), Some(&part)).await.expect(200);
        assert_eq!(still["holds"].as_array().unwrap().len(), 1);
        let rest = json!({"reference": "B-2", "amount": eur("15.00")});
        let paid = app.ops("POST", &format!("/orders/{}/payments", placed.order), Some(&rest)).await.expect(200);
        assert!(paid.get("holds").is_none(), "{paid}");
        placed.ship_all().await;
        eventually("it is captured", || async { placed.document().await["payment_state"] == "captured" }).await;
        settled(&app, &placed).await;

        // Partly shipped and paid: what has not left is exchanged, and what is not due any more goes back.
        let cart = shop.cart(&[("HAT", 2)]).await;
        let pay = json!({"payment": {"method": "manual"}});
        let path = format!("/carts/{}/complete", cart.id);
        let bought = shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201)["order"].clone();
        let second = Of { app: &app, order: text(&bought["id"]).to_owned() };
        let all = json!({"reference": "B-3"});
        app.ops("POST", &format!("/orders/{}/payments", second.order), Some(&all)).await.expect(200);
        let one = second.open().await;
        second.post(&one, "ship", json!({"lines": pieces(1)})).await.expect(201);
        let mut draft = Draft::begin(&app, &second.order).await;
        let preview = draft.edit(json!([{"type": "swap_line", "line_no": 1, "sku": "TEE"}])).await;
        assert_eq!(preview["money"]["to_refund"], eur("10.00"), "{preview}");
        let order = draft.confirm().await.expect(200)["order"].clone();
        assert_eq!((&order["lines"][0]["cancelled"], &order["lines"][1]["allocated"]), (&json!(1), &json!(1)));
        let payments = app.ops("GET", &format!("/orders/{}/payments", second.order), None).await.expect(200);
        let refund = payments["payments"][0]["operations"].as_array().unwrap();
        let refund = refund.iter().find(|one| one["kind"] == "refund").unwrap();
        assert_eq!(refund["amount"], eur("10.00"));
        second.ship_all().await;
        let confirm = format!("/payment-operations/{}/confirm", text(&refund["id"]));
        app.ops("POST", &confirm, Some(&json!({"reference": "OUT-1"}))).await.expect(200);
    });
}

#[test]
fn what_is_picked_stays_and_what_has_changed_is_looked_at_anew() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10), ("MUG", "5.00", 1)]).await;
        let placed = Of::new(&shop, &[("TEE", 3)]).await;
        let mut draft = Draft::begin(&app, &placed.order).await;
        draft.edit(json!([{"type": "set_quantity", "line_no": 1, "quantity": 1}])).await;
        let one = placed.open().await;
        placed.post(&one, "pick", json!({"lines": pieces(1)})).await.expect(200);
        // Somebody has changed it since it was looked at.
        let told = draft.confirm().await.problem(412, "version_stale");
        draft.body = draft.send("preview", None).await.expect(200);
        assert_ne!(draft.body["order_version"], told["order_version"]);
        draft.confirm().await.expect(200);
        // What is picked stays.
        let mut second = Draft::begin(&app, &placed.order).await;
        let edits = json!({"edits": [{"type": "remove_line", "line_no": 1}]});
        second.send("edits", Some(&edits)).await.problem(409, "quantity_exceeded");
        let wrong = json!({"edits": [{"type": "add_line", "sku": "NONE", "quantity": 1}]});
        let told = second.send("edits", Some(&wrong)).await.problem(422, "sku_unknown");
        assert_eq!(told["pointer"], "/edits/0/sku");
        let wrong = json!({"edits": [{"type": "set_quantity", "line_no": 7, "quantity": 1}]});
        second.send("edits", Some(&wrong)).await.problem(422, "line_unknown");
        let preview = second.edit(json!([{"type": "add_line", "sku": "MUG", "quantity": 2}])).await;
        assert!(preview["blocked"].is_string(), "{preview}");
        second.confirm().await.problem(409, "out_of_stock");
        second.send("abandon", None).await.expect(200);
        second.confirm().await.problem(409, "state_conflict");
        // One whose time is over makes room for the next.
        let short = json!({"minutes": 1});
        let path = format!("/orders/{}/amendments", placed.order);
        let over = app.ops("POST", &path, Some(&short)).await.expect(201);
        app.clock.advance_seconds(61);
        let read = app.ops("GET", &format!("{path}/{}", text(&over["id"])), None).await.expect(200);
        assert_eq!(read["state"], "expired");
        app.ops("POST", &path, Some(&short)).await.expect(201);
        placed.ship_all().await;
    });
}

#[test]
fn prices_are_changed_by_those_who_may() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10), ("MUG", "5.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 2), ("MUG", 1)]).await;
        let scopes = [Scope::OrdersRead, Scope::OrdersWrite];
        let token = format!("Bearer {}", app.token(Audience::Staff, "eve", &scopes));
        let mut draft = Draft::begin(&app, &placed.order).await;
        let path = format!("/v1/ops/orders/{}/amendments/{}/edits", placed.order, text(&draft.body["id"]));
        let edit = json!({"type": "set_price", "line_no": 1, "unit_price": eur("8.00"), "reason": "a stain"});
        let edits = json!({ "edits": [edit.clone()] });
        app.send("POST", &path, &[("Authorization", &token)], Some(&edits)).await.problem(403, "scope_missing");
        let preview = draft.edit(json!([edit])).await;
        assert_eq!(preview["money"]["due"]["difference"], eur("-4.00"), "{preview}");
        let order = draft.confirm().await.expect(200)["order"].clone();
        assert_eq!((&order["lines"][0]["gross"], &order["total"]), (&eur("16.00"), &eur("25.90")));
        assert_eq!(order["subtotal"], eur("21.00"));
        // Of what has moved the price stays.
        let one = placed.open().await;
        placed.post(&one, "ship", json!({"lines": pieces(1)})).await.expect(201);
        let late = Draft::begin(&app, &placed.order).await;
        let edit = json!({"type": "set_price", "line_no": 1, "unit_price": eur("1.00"), "reason": "x"});
        late.send("edits", Some(&json!({ "edits": [edit] }))).await.problem(409, "state_conflict");
        late.send("abandon", None).await.expect(200);
        placed.ship_all().await;
        eventually("it is captured", || async { placed.document().await["payment_state"] == "captured" }).await;
        assert_eq!(placed.document().await["payments"][0]["captured"], eur("25.90"));
    });
}

#[test]
fn the_last_piece_is_exchanged_for_itself_at_another_price() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 1)]).await;
        let placed = Of::new(&shop, &[("TEE", 1)]).await;
        let mut draft = Draft::begin(&app, &placed.order).await;
        let cheaper =
            json!({"type": "swap_line", "line_no": 1, "sku": "TEE", "unit_price": eur("8.00"), "reason": "a stain"});
        draft.edit(json!([cheaper])).await;
        let order = draft.confirm().await.expect(200)["order"].clone();
        assert_eq!((&order["lines"][0]["cancelled"], &order["lines"][1]["allocated"]), (&json!(1), &json!(1)));
        assert_eq!((&order["lines"][1]["gross"], level(&app, "TEE", "berlin").await), (&eur("8.00"), (1, 1)));
        assert_eq!((order["state"].as_str(), &order["shipping"]["gross"]), (Some("placed"), &eur("4.90")));
        placed.ship_all().await;
        eventually("it is captured", || async { placed.document().await["payment_state"] == "captured" }).await;
        assert_eq!(placed.document().await["payments"][0]["captured"], eur("12.90"));
    });
}

#[test]
fn an_order_goes_another_way_and_shipping_costs_what_it_does() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let express = json!({
            "channel_id": shop.channel, "code": "express", "name": "Express", "tax_class": "standard",
            "rates": [{"countries": ["DE", "AT"], "price": eur("9.90")}]
        });
        app.ops("POST", "/shipping-methods", Some(&express)).await.expect(201);
        let placed = Of::new(&shop, &[("TEE", 1)]).await;
        let mut other = address();
        other["street1"] = json!("Unter den Linden 1");
        // Said again, with the price as it was: nothing is charged of what was said before.
        let mut kept = Draft::begin(&app, &placed.order).await;
        let method = json!({"type": "set_shipping_method", "method": "express"});
        assert_eq!(kept.edit(json!([method])).await["money"]["to_pay"], eur("5.00"));
        let same = json!({"type": "set_shipping_method", "method": "express", "keep_price": true});
        assert_eq!(kept.edit(json!([same])).await["money"]["to_pay"], eur("0.00"));
        kept.send("abandon", None).await.expect(200);
        let mut draft = Draft::begin(&app, &placed.order).await;
        let preview = draft
            .edit(json!([
                {"type": "set_address", "address": other},
                {"type": "set_shipping_method", "method": "express"}
            ]))
            .await;
        assert_eq!(preview["money"]["shipping"]["difference"], eur("5.00"), "{preview}");
        assert_eq!((&preview["money"]["to_pay"], &preview["redirected"]), (&eur("5.00"), &json!(true)));
        let order = draft.confirm().await.expect(200)["order"].clone();
        assert_eq!((&order["deliveries"][0]["method"], &order["total"]), (&json!("express"), &eur("19.90")));
        assert_eq!(order["deliveries"][0]["address"]["street1"], "Unter den Linden 1");
        let mut abroad = address();
        abroad["country"] = json!("AT");
        let mut draft = Draft::begin(&app, &placed.order).await;
        let preview = draft.edit(json!([{"type": "set_address", "address": abroad}])).await;
        assert!(preview["blocked"].is_string(), "{preview}");
        draft.confirm().await.problem(409, "state_conflict");
        draft.send("abandon", None).await.expect(200);
        let paid = json!({"reference": "B-1", "amount": eur("5.00")});
        app.ops("POST", &format!("/orders/{}/payments", placed.order), Some(&paid)).await.expect(200);
        placed.ship_all().await;
    });
}

#[test]
fn customers_change_their_orders_until_somebody_picks() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10), ("MUG", "5.00", 10)]).await;
        let cart = shop.cart(&[("TEE", 2), ("MUG", 1)]).await;
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        let path = format!("/orders/{}/changes", text(&order["id"]));
        let own = |method: &'static str, body: Option<Value>| {
            let (shop, cart, path) = (&shop, &cart, &path);
            async move { shop.store(method, path, Some(&cart.token), body.as_ref()).await }
        };
        assert_eq!(own("GET", None).await.expect(200)["reason"], "not_offered");
        let less = json!({"cancel": [{"line_no": 1, "quantity": 1}]});
        own("POST", Some(less.clone())).await.problem(409, "state_conflict");
        shop.set(json!({"order_changes_minutes": 30})).await;
        assert_eq!(own("GET", None).await.expect(200)["allowed"], true);
        shop.store("POST", &path, None, Some(&less)).await.problem(404, "not_found");
        own("POST", Some(json!({"cancel": [{"line_no": 1, "quantity": 5}]}))).await.problem(409, "quantity_exceeded");
        // More than there is of each line is not all of the order, nor are two halves that are more than the whole.
        for cancel in [
            json!([{"line_no": 1, "quantity": 20}, {"line_no": 2, "quantity": 10}]),
            json!([{"line_no": 1, "quantity": 2}, {"line_no": 1, "quantity": 1}]),
        ] {
            let refused = own("POST", Some(json!({ "cancel": cancel }))).await.problem(409, "quantity_exceeded");
            assert!(text(&refused["pointer"]).ends_with("/quantity"), "{refused}");
        }
        // While somebody looks at it, it goes where it was to go.
        let hold = json!({"kind": "risk", "reason": "score 80"});
        let orders = format!("/orders/{}", text(&order["id"]));
        app.ops("POST", &format!("{orders}/hold"), Some(&hold)).await.expect(200);
        let moved = json!({"address": address()});
        assert_eq!(own("POST", Some(moved)).await.problem(409, "state_conflict")["pointer"], "/address");
        app.ops("POST", &format!("{orders}/release"), Some(&json!({"kind": "risk"}))).await.expect(200);
        let mut other = address();
        other["street1"] = json!("Unter den Linden 1");
        let both = json!({"cancel": [{"line_no": 1, "quantity": 1}], "address": other, "reason": "one is enough"});
        let changed = own("POST", Some(both)).await.expect(200);
        assert_eq!(changed["lines"][0]["cancelled"], 1);
        assert_eq!(changed["deliveries"][0]["address"]["street1"], "Unter den Linden 1");
        let placed = Of { app: &app, order: text(&order["id"]).to_owned() };
        let one = placed.open().await;
        placed.post(&one, "pick", json!({"lines": pieces(1)})).await.expect(200);
        assert_eq!(own("GET", None).await.expect(200)["reason"], "in_progress");
        own("POST", Some(less.clone())).await.problem(409, "state_conflict");
        placed.ship_all().await;

        // All of it is cancelled; too late is too late.
        let cart = shop.cart(&[("MUG", 1)]).await;
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        let path = format!("/orders/{}/changes", text(&order["id"]));
        let all = json!({"cancel": [{"line_no": 1, "quantity": 1}]});
        let gone = shop.store("POST", &path, Some(&cart.token), Some(&all)).await.expect(200);
        assert_eq!(gone["state"], "cancelled");
        let cart = shop.cart(&[("MUG", 2)]).await;
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        app.clock.advance_seconds(1801);
        let path = format!("/orders/{}/changes", text(&order["id"]));
        shop.store("POST", &path, Some(&cart.token), Some(&all)).await.problem(409, "state_conflict");
    });
}

#[test]
fn odd_quantities_and_prices_are_refused_where_they_stand() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 2)]).await;
        let draft = Draft::begin(&app, &placed.order).await;
        let odd = [
            (json!({"type": "add_line", "sku": "TEE", "quantity": 0}), "quantity_invalid", "/edits/0/quantity"),
            (
                json!({"type": "swap_line", "line_no": 1, "sku": "TEE", "quantity": 0}),
                "quantity_invalid",
                "/edits/0/quantity",
            ),
            (
                json!({"type": "add_line", "sku": "TEE", "quantity": 1, "unit_price": eur("-1.00"), "reason": "x"}),
                "invalid_value",
                "/edits/0/unit_price/amount",
            ),
            (
                json!({"type": "swap_line", "line_no": 1, "sku": "TEE", "unit_price": eur("-1.00"), "reason": "x"}),
                "invalid_value",
                "/edits/0/unit_price/amount",
            ),
            (
                json!({"type": "set_price", "line_no": 1, "unit_price": eur("-0.01"), "reason": "x"}),
                "invalid_value",
                "/edits/0/unit_price/amount",
            ),
        ];
        for (edit, code, pointer) in odd {
            let refused = draft.send("edits", Some(&json!({ "edits": [edit] }))).await.problem(422, code);
            assert_eq!(refused["pointer"], pointer, "{refused}");
        }
        draft.send("abandon", None).await.expect(200);
    });
}

#[test]
fn what_is_given_away_is_within_the_ceiling_whatever_else_is_sold() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10), ("HAT", "20.00", 10)]).await;
        let mut claims = app.claims(Audience::Staff, "temp", "orders:write orders:read prices:override");
        claims.money_ceiling = Some(1_000);
        let temp = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let cheap = |quantity: i64| json!({"type": "add_line", "sku": "TEE", "quantity": quantity, "unit_price": eur("1.00"), "reason": "a stain"});
        let cheaper = json!({"type": "set_price", "line_no": 1, "unit_price": eur("5.00"), "reason": "a stain"});
        let hat = json!({"type": "add_line", "sku": "HAT", "quantity": 1});
        // 18.00 below the list; 9.00; 15.00 below what it was sold at, and a hat beside it.
        for (edits, status) in [(json!([cheap(2)]), 403), (json!([cheap(1)]), 200), (json!([cheaper, hat]), 403)] {
            let placed = Of::new(&shop, &[("TEE", 3)]).await;
            let mut draft = Draft::begin(&app, &placed.order).await;
            draft.edit(edits).await;
            let path = format!("/v1/ops/orders/{}/amendments/{}/confirm", placed.order, text(&draft.body["id"]));
            let version = json!({"order_version": draft.body["order_version"]});
            let answer = app.send("POST", &path, &[("Authorization", &temp)], Some(&version)).await;
            match status {
                403 => drop(answer.problem(403, "ceiling_exceeded")),
                _ => drop(answer.expect(200)),
            }
        }
    });
}

#[test]
fn what_is_to_be_paid_is_waited_for_and_not_once_it_is_cancelled() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10), ("HAT", "20.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 1)]).await;
        let path = |what: &str| format!("/orders/{}/{what}", placed.order);
        // Held for payment by somebody who has it shipped nevertheless.
        let loose = json!({"kind": "payment", "blocks": ["refund"], "reason": "looked into"});
        app.ops("POST", &path("hold"), Some(&loose)).await.expect(200);
        let mut draft = Draft::begin(&app, &placed.order).await;
        let preview = draft.edit(json!([{"type": "add_line", "sku": "HAT", "quantity": 1}])).await;
        assert!(preview["blocked"].is_string(), "{preview}");
        draft.confirm().await.problem(409, "state_conflict");
        app.ops("POST", &path("release"), Some(&json!({"kind": "payment"}))).await.expect(200);
        draft.body = draft.send("preview", None).await.expect(200);
        let order = draft.confirm().await.expect(200)["order"].clone();
        assert_eq!(order["holds"][0]["owner"], "amendment");
        let hat = json!({"lines": [{"line_no": 2, "quantity": 1}], "reason": "not wanted"});
        let order = app.ops("POST", &path("cancel"), Some(&hat)).await.expect(200);
        assert!(order.get("holds").is_none(), "{order}");
        placed.ship_all().await;
    });
}

#[test]
fn customers_are_not_told_what_holds_their_order_and_their_words_stay_in_the_amendment() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        shop.set(json!({"order_changes_minutes": 30})).await;
        let cart = shop.cart(&[("TEE", 3)]).await;
        let order = text(&shop.complete(&cart, "approve").await.expect(201)["order"]["id"]).to_owned();
        let (store, ops) = (format!("/orders/{order}/changes"), format!("/orders/{order}"));
        let less = json!({"cancel": [{"line_no": 1, "quantity": 1}], "reason": "words of mine"});
        let refused = || async {
            let seen = shop.store("GET", &store, Some(&cart.token), None).await.expect(200);
            assert_eq!((&seen["allowed"], &seen["reason"]), (&json!(false), &json!("not_now")));
            let answer = shop.store("POST", &store, Some(&cart.token), Some(&less)).await;
            assert!(!answer.text.contains("risk") && !answer.text.contains("holds"), "{}", answer.text);
            answer.problem(409, "state_conflict");
        };
        let risk = json!({"kind": "risk", "blocks": ["ship", "cancel", "return"], "reason": "three cards"});
        app.ops("POST", &format!("{ops}/hold"), Some(&risk)).await.expect(200);
        refused().await;
        let back = json!({"lines": [{"line_no": 1, "quantity": 1, "reason": "changed_mind"}]});
        let answer = shop.store("POST", &format!("{ops}/returns"), Some(&cart.token), Some(&back)).await;
        assert!(answer.status >= 400 && !answer.text.contains("risk"), "{}", answer.text);
        app.ops("POST", &format!("{ops}/release"), Some(&json!({}))).await.expect(200);
        let draft = Draft::begin(&app, &order).await;
        refused().await;
        draft.send("abandon", None).await.expect(200);
        shop.store("POST", &store, Some(&cart.token), Some(&less)).await.expect(200);
        let all = json!({"cancel": [{"line_no": 1, "quantity": 2}], "reason": "words of mine"});
        assert_eq!(shop.store("POST", &store, Some(&cart.token), Some(&all)).await.expect(200)["state"], "cancelled");
        for told in [
            "SELECT count(*) FROM events WHERE CAST(data AS TEXT) LIKE '%words of mine%'",
            "SELECT count(*) FROM payment_operations WHERE reason LIKE '%words of mine%'",
        ] {
            assert_eq!(app.count(told).await, 0, "{told}");
        }
        let kept = app.ops("GET", &format!("{ops}/amendments"), None).await.expect(200);
        let reasons = kept["items"].as_array().unwrap().iter().filter(|one| one["reason"] == "words of mine").count();
        assert_eq!(reasons, 2, "{kept}");
    });
}

#[test]
fn an_order_that_was_invoiced_is_told_of_by_a_credit_note_and_an_invoice() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10), ("MUG", "5.00", 10)]).await;
        invoiced(&shop, "at_order").await;
        let placed = Of::new(&shop, &[("TEE", 2)]).await;
        let order = placed.document().await;
        have(&app, &order, 1).await;
        let mut draft = Draft::begin(&app, &placed.order).await;
        let price = json!({"type": "set_price", "line_no": 1, "unit_price": eur("8.00"), "reason": "x"});
        draft.send("edits", Some(&json!({ "edits": [price] }))).await.problem(409, "state_conflict");
        draft.edit(json!([{"type": "swap_line", "line_no": 1, "sku": "MUG"}])).await;
        draft.confirm().await.expect(200);
        let found = have(&app, &order, 3).await;
        let told = |one: &Value| (text(&one["kind"]).to_owned(), text(&one["total"]["amount"]).to_owned());
        let mut found: Vec<_> = found.iter().map(told).collect();
        found.sort();
        let wanted = [("credit_note", "20.00"), ("invoice", "10.00"), ("invoice", "24.90")];
        assert_eq!(found, wanted.map(|(kind, total)| (kind.to_owned(), total.to_owned())));
        placed.ship_all().await;
    });
}

#[test]
fn an_order_is_split_into_two_that_cost_what_the_one_did() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 10), ("MUG", "5.00", 10)]).await;
        let cart = shop.cart(&[("TEE", 3), ("MUG", 1)]).await;
        let pay = json!({"payment": {"method": "manual"}});
        let path = format!("/carts/{}/complete", cart.id);
        let order = shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201)["order"].clone();
        let first = Of { app: &app, order: text(&order["id"]).to_owned() };
        assert_eq!(order["total"], eur("19.89"));
        let path = format!("/orders/{}/split", first.order);
        let all = json!({"lines": [{"line_no": 1, "quantity": 3}, {"line_no": 2, "quantity": 1}], "reason": "later"});
        app.ops("POST", &path, Some(&all)).await.problem(409, "quantity_exceeded");
        let many = json!({"lines": pieces(4), "reason": "later"});
        app.ops("POST", &path, Some(&many)).await.problem(409, "quantity_exceeded");
        let some = json!({"lines": [{"line_no": 1, "quantity": 1}, {"line_no": 2, "quantity": 1}], "reason": "later"});
        // Nothing is split off that would be free of what it is held for.
        let held = format!("/orders/{}", first.order);
        app.ops("POST", &format!("{held}/hold"), Some(&json!({"kind": "risk", "reason": "x"}))).await.expect(200);
        let refused = app.ops("POST", &path, Some(&some)).await.problem(409, "state_conflict");
        assert_eq!(refused["holds"], json!(["risk"]));
        app.ops("POST", &format!("{held}/release"), Some(&json!({"kind": "risk"}))).await.expect(200);
        let done = app.ops("POST", &path, Some(&some)).await.expect(201);
        let second = Of { app: &app, order: text(&done["split_into"]["id"]).to_owned() };
        assert_eq!((&done["split_into"]["total"], &done["order"]["lines"][0]["cancelled"]), (&eur("8.33"), &json!(1)));
        let told = format!("from order {}", text(&done["order"]["number"]));
        assert_eq!(done["split_into"]["explanation"][0]["text"], told);
        assert_eq!((level(&app, "TEE", "berlin").await, level(&app, "MUG", "berlin").await), ((3, 10), (1, 10)));
        let mut paid = Vec::new();
        for (name, one) in [("B-1", &first), ("B-2", &second)] {
            let money = json!({ "reference": name });
            let order = app.ops("POST", &format!("/orders/{}/payments", one.order), Some(&money)).await.expect(200);
            paid.push(order["payments"][0]["captured"].clone());
            one.ship_all().await;
        }
        assert_eq!(paid, [eur("11.56"), eur("8.33")]);
        eventually("they are told of", || async {
            let (one, other) = (first.events().await, second.events().await);
            one.contains(&"order.split.v1".to_owned()) && other.contains(&"order.placed.v1".to_owned())
        })
        .await;
    });
}

/// Answers that are one of these.
fn only(answers: &[Answer], allowed: &[u16]) {
    for answer in answers {
        assert!(allowed.contains(&answer.status), "{} {}", answer.status, answer.text);
    }
}

#[test]
fn confirmed_by_several_at_once_it_is_made_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10), ("MUG", "5.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 3)]).await;
        let mut draft = Draft::begin(&app, &placed.order).await;
        draft
            .edit(json!([{"type": "add_line", "sku": "MUG", "quantity": 1}, {"type": "set_quantity", "line_no": 1, "quantity": 2}]))
            .await;
        let answers = join_all((0..8).map(|_| draft.confirm())).await;
        only(&answers, &[200, 409, 412]);
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        let order = placed.document().await;
        assert_eq!((order["lines"].as_array().unwrap().len(), &order["lines"][0]["cancelled"]), (2, &json!(1)));
        // Of several who begin at once, one does.
        let path = format!("/orders/{}/amendments", placed.order);
        let bare = json!({});
        let begun = join_all((0..8).map(|_| app.ops("POST", &path, Some(&bare)))).await;
        only(&begun, &[201, 409]);
        assert!(begun.iter().filter(|answer| answer.status == 201).count() <= 1);
        placed.ship_all().await;
    });
}

#[test]
fn amending_races_with_picking_shipping_cancelling_and_refunding() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 200), ("MUG", "5.00", 200)]).await;
        for round in 0..4 {
            let placed = Of::new(&shop, &[("TEE", 4)]).await;
            let one = placed.open().await;
            let mut draft = Draft::begin(&app, &placed.order).await;
            draft
                .edit(json!([
                    {"type": "set_quantity", "line_no": 1, "quantity": 2},
                    {"type": "add_line", "sku": "MUG", "quantity": 1}
                ]))
                .await;
            let part = json!({"lines": pieces(1)});
            let cancel = json!({"lines": pieces(1), "reason": "too many"});
            let refund = json!({"amount": eur("1.00"), "reason": "sorry"});
            let (orders, work) =
                (format!("/orders/{}", placed.order), format!("/fulfilment-orders/{}", text(&one["id"])));
            let others = [
                (format!("{work}/pick"), &part),
                (format!("{work}/ship"), &part),
                (format!("{orders}/cancel"), &cancel),
                (format!("{orders}/refunds"), &refund),
            ];
            let amending = join_all((0..3).map(|_| draft.confirm()));
            let racing = join_all(others.iter().map(|(path, body)| app.ops("POST", path, Some(body))));
            let (amended, raced) = futures::future::join(amending, racing).await;
            only(&amended, &[200, 409, 412]);
            only(&raced, &[200, 201, 202, 409]);
            let done = amended.iter().filter(|answer| answer.status == 200).count();
            assert!(done <= 1, "round {round}");
            let order = placed.document().await;
            let line = &order["lines"][0];
            let count = |name: &str| line[name].as_i64().unwrap();
            assert_eq!(count("allocated") + count("shipped") + count("cancelled"), 4, "{order}");
            if done == 0 {
                let again = draft.send("preview", None).await;
                only(&[again], &[200, 409]);
                draft.send("abandon", None).await;
            }
            if order["state"] == "placed" {
                app.ops("POST", &format!("{orders}/release"), Some(&json!({}))).await;
                placed.ship_all().await;
            }
            settled(&app, &placed).await;
        }
    });
}

#[test]
fn how_many_there_are_to_be_is_said_again_and_only_the_last_counts() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20)]).await;
        let placed = Of::new(&shop, &[("TEE", 3)]).await;
        let mut draft = Draft::begin(&app, &placed.order).await;
        let set = |quantity: i64| json!([{"type": "set_quantity", "line_no": 1, "quantity": quantity}]);
        assert_eq!(draft.edit(set(5)).await["money"]["due"]["difference"], eur("20.00"));
        assert_eq!(draft.edit(set(6)).await["money"]["due"]["difference"], eur("30.00"));
        assert_eq!(draft.edit(set(2)).await["money"]["due"]["difference"], eur("-10.00"));
        assert_eq!(draft.edit(set(3)).await["money"]["due"]["difference"], eur("0.00"));
        let preview = draft.edit(set(4)).await;
        assert_eq!((preview["lines"].as_array().unwrap().len(), &preview["reserved"][0]["quantity"]), (1, &json!(1)));
        let order = draft.confirm().await.expect(200)["order"].clone();
        assert_eq!((&order["total"], order["lines"].as_array().unwrap().len()), (&eur("44.90"), 2));
        app.ops("POST", &format!("/orders/{}/release", placed.order), Some(&json!({}))).await.expect(200);
        placed.ship_all().await;
    });
}
