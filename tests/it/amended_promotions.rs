//! Coupons that are put on an order after the click, and promotions that are taken off it: judged as those of carts, limited as they are, and
//! to the minor unit.

use futures::future::join_all;
use kontor::http::auth::Audience;
use serde_json::{Value, json};

use crate::{
    amendments::Draft,
    fulfilment_moves::{Of, pieces},
    invoices::{have, invoiced},
    promotions::{eur, percent, promote},
    support::{Answer, App, Cart, Shop, eventually, on_both},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn minor(value: &Value) -> i64 {
    text(&value["amount"]).replace('.', "").parse().unwrap()
}

/// A promotion that a coupon is for.
async fn coupon(app: &App, code: &str, rule: Value, more: Value) -> String {
    let mut rule = rule;
    rule["conditions"]["coupon"] = json!(true);
    let id = promote(app, &code.to_lowercase(), rule).await;
    let mut new = json!({ "code": code });
    new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.ops("POST", &format!("/promotions/{id}/coupons"), Some(&new)).await.expect(201);
    id
}

/// Uses, pieces, amount in cents.
async fn taken(app: &App, promotion: &str) -> [i64; 3] {
    let seen = app.ops("GET", &format!("/promotions/{promotion}"), None).await.expect(200);
    ["uses", "units", "amount_minor"].map(|name| seen["taken"][name].as_i64().unwrap())
}

fn put_on(code: &str) -> Value {
    json!({"type": "apply_coupon", "code": code})
}

fn take_off(promotion: &str) -> Value {
    json!({"type": "remove_promotion", "promotion": promotion})
}

/// That the order's sums are those of its lines and its shipping.
fn adds_up(order: &Value) {
    let lines = order["lines"].as_array().unwrap();
    let sum = |name: &str| lines.iter().map(|line| minor(&line[name])).sum::<i64>();
    let shipping = &order["shipping"];
    assert_eq!(minor(&order["total"]), sum("gross") + minor(&shipping["gross"]), "{order}");
    assert_eq!(minor(&order["tax"]), sum("tax") + minor(&shipping["tax"]));
    assert_eq!(minor(&order["net"]), sum("net") + minor(&shipping["net"]));
    assert_eq!((minor(&order["subtotal"]), minor(&order["discount"])), (sum("subtotal"), sum("discount")));
    let rates = order["taxes"].as_array().unwrap();
    assert_eq!(minor(&order["tax"]), rates.iter().map(|row| minor(&row["tax"])).sum::<i64>());
    for line in lines {
        assert_eq!(minor(&line["net"]) + minor(&line["tax"]), minor(&line["gross"]));
        let gross = minor(&line["subtotal"]) - minor(&line["discount"]);
        assert!(gross >= 0 && (gross == minor(&line["gross"]) || gross == minor(&line["net"])), "{line}");
    }
    let off = order["promotions"].as_array().cloned().unwrap_or_default();
    let off: i64 = off.iter().map(|one| minor(&one["amount"])).sum();
    assert_eq!(off, sum("discount") + minor(&shipping["discount"]), "{order}");
}

async fn confirmed(draft: &Draft<'_>) -> Value {
    let order = draft.confirm().await.expect(200)["order"].clone();
    adds_up(&order);
    order
}

#[test]
fn a_forgotten_coupon_is_put_on_and_taken_off_again() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20), ("MUG", "3.33", 20)]).await;
        let rule = json!({"gift": percent("10", "order"), "limits": {"uses": 1}});
        let id = coupon(&app, "WELCOME10", rule, json!({"max_uses": 1})).await;
        let placed = Of::new(&shop, &[("TEE", 2), ("MUG", 1)]).await;
        let mut draft = Draft::begin(&app, &placed.order).await;
        let preview = draft.edit(json!([put_on("welcome-10")])).await;
        // 10 % of 23.33, by the largest remainder.
        assert_eq!(preview["money"]["due"]["difference"], eur("-2.33"), "{preview}");
        let told = &preview["promotions"][0];
        assert_eq!((&told["coupon"], &told["promotion"]), (&json!("WELCOME10"), &json!("welcome10")));
        assert_eq!((&told["amount"], told["lines"].as_array().unwrap().len()), (&eur("2.33"), 2));
        assert!(preview.get("blocked").is_none() && preview.get("given_away").is_none(), "{preview}");
        assert_eq!(taken(&app, &id).await, [0, 0, 0]);
        let order = confirmed(&draft).await;
        assert_eq!((&order["total"], &order["promotions"][0]["coupon"]), (&eur("25.90"), &json!("WELCOME10")));
        assert!(order["lines"][0]["explanation"].to_string().contains("after it was ordered"), "{order}");
        assert_eq!(taken(&app, &id).await[0], 1);
        // It was the last use, and comes back.
        let mut again = Draft::begin(&app, &placed.order).await;
        let twice = again.edit(json!([put_on("WELCOME10")])).await;
        assert!(
            ["already_applied", "coupon_used_up"].contains(&text(&twice["promotions"][0]["reason"]["code"])),
            "{twice}"
        );
        again.edit(json!([take_off("WELCOME10")])).await;
        let preview = again.edit(json!([take_off(&id)])).await;
        assert_eq!(preview["money"]["due"]["difference"], eur("2.33"), "{preview}");
        assert_eq!(
            (&preview["promotions"][0]["removed"], &preview["promotions"][0]["amount"]),
            (&json!(true), &eur("2.33"))
        );
        let order = confirmed(&again).await;
        assert_eq!(order["total"], eur("28.23"));
        assert!(order.get("promotions").is_none() && !order["lines"].to_string().contains("2.00 EUR off"), "{order}");
        assert_eq!(taken(&app, &id).await, [0, 0, 0]);
        // Once more, and the order is cancelled.
        let mut third = Draft::begin(&app, &placed.order).await;
        third.edit(json!([put_on("WELCOME10")])).await;
        confirmed(&third).await;
        assert_eq!(taken(&app, &id).await[0], 1);
        let cancel = json!({"reason": "a mistake"});
        app.ops("POST", &format!("/orders/{}/cancel", placed.order), Some(&cancel)).await.expect(200);
        assert_eq!(taken(&app, &id).await, [0, 0, 0]);
    });
}

#[test]
fn where_it_does_not_apply_the_preview_says_why() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20)]).await;
        let rule = json!({"conditions": {"min_value": eur("20.00")}, "gift": percent("10", "order")});
        coupon(&app, "MIN20", rule, json!({})).await;
        let over = json!({"valid_until": "2020-01-01T00:00:00Z"});
        coupon(&app, "OVER", json!({"gift": percent("10", "order")}), over).await;
        coupon(&app, "FIRST", json!({"conditions": {"first_order": true}, "gift": percent("10", "order")}), json!({}))
            .await;
        coupon(&app, "FREESHIP", json!({"gift": {"type": "fixed_shipping", "price": eur("0.00")}}), json!({})).await;
        let cash = json!({"conditions": {"payment_methods": ["manual"]}, "gift": percent("10", "order")});
        coupon(&app, "CASH", cash, json!({})).await;
        let placed = Of::new(&shop, &[("TEE", 1)]).await;
        let mut draft = Draft::begin(&app, &placed.order).await;
        for code in ["nonesuch", "wöchentlich"] {
            let edits = json!({"edits": [{"type": "note", "text": "hm"}, put_on(code)]});
            let refused = draft.send("edits", Some(&edits)).await.problem(422, "coupon_unknown");
            assert_eq!(refused["pointer"], "/edits/1/code");
        }
        let missing =
            draft.send("edits", Some(&json!({"edits": [take_off("nonesuch")]}))).await.problem(404, "not_found");
        assert_eq!(missing["pointer"], "/edits/0/promotion");
        for (code, reason) in [("OVER", "coupon_expired"), ("CASH", "payment_method"), ("MIN20", "min_value")] {
            let preview = draft.edit(json!([put_on(code)])).await;
            assert_eq!(preview["promotions"][0]["reason"]["code"], reason, "{preview}");
            assert!(text(&preview["blocked"]).contains(code));
            assert_eq!(draft.confirm().await.problem(422, "coupon_refused")["reason"], reason);
            if code != "MIN20" {
                let preview = draft.edit(json!([take_off(code)])).await;
                assert!(preview.get("promotions").is_none(), "{preview}");
            }
        }
        draft.send("edits", Some(&json!({"edits": [put_on("min 20")]}))).await.problem(409, "state_conflict");
        // It counts as soon as there is enough, on what is added too.
        let preview = draft.edit(json!([{"type": "add_line", "sku": "TEE", "quantity": 1}])).await;
        assert_eq!(preview["promotions"][0]["amount"], eur("2.00"), "{preview}");
        assert_eq!(preview["money"]["due"]["difference"], eur("8.00"));
        // This order is the first: that it is there does not make it a second.
        let preview = draft.edit(json!([put_on("FIRST"), put_on("FREESHIP")])).await;
        assert_eq!(preview["promotions"][1]["amount"], eur("1.80"), "{preview}");
        assert_eq!(preview["money"]["shipping"]["new"], eur("0.00"));
        let order = confirmed(&draft).await;
        assert_eq!(order["total"], eur("16.20"));
        let mut back = Draft::begin(&app, &placed.order).await;
        let preview = back.edit(json!([take_off("freeship")])).await;
        assert_eq!(preview["money"]["shipping"]["new"], eur("4.90"), "{preview}");
        assert_eq!(confirmed(&back).await["total"], eur("21.10"));
        app.ops("POST", &format!("/orders/{}/cancel", placed.order), Some(&json!({"reason": "no"}))).await.expect(200);
    });
}

#[test]
fn what_has_moved_or_is_invoiced_keeps_its_price() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20), ("MUG", "5.00", 20)]).await;
        let id = coupon(&app, "HALF", json!({"gift": percent("50", "order"), "limits": {"uses": 5}}), json!({})).await;
        let placed = Of::new(&shop, &[("TEE", 2), ("MUG", 1)]).await;
        let one = placed.open().await;
        placed.post(&one, "ship", json!({"lines": pieces(1)})).await.expect(201);
        let mut draft = Draft::begin(&app, &placed.order).await;
        let preview = draft.edit(json!([put_on("HALF")])).await;
        assert_eq!(
            (&preview["promotions"][0]["amount"], &preview["promotions"][0]["left_out"]),
            (&eur("2.50"), &json!([1]))
        );
        // A line is changed in its price or in its quantity: taken off, it is left out.
        let preview = draft.edit(json!([{"type": "remove_line", "line_no": 2}])).await;
        assert_eq!(preview["promotions"][0]["reason"]["code"], "goods", "{preview}");
        draft.send("abandon", None).await.expect(200);
        let mut draft = Draft::begin(&app, &placed.order).await;
        draft.edit(json!([put_on("HALF")])).await;
        confirmed(&draft).await;
        placed.ship_all().await;
        let mut back = Draft::begin(&app, &placed.order).await;
        let refused =
            back.send("edits", Some(&json!({"edits": [take_off("half")]}))).await.problem(409, "state_conflict");
        assert_eq!((&refused["reason"], &refused["pointer"]), (&json!("line_settled"), &json!("/edits/0/promotion")));
        back.edit(json!([{"type": "note", "text": "as it is"}])).await;
        back.send("abandon", None).await.expect(200);
        assert_eq!(taken(&app, &id).await[0], 1);
    });
}

#[test]
fn what_can_not_be_taken_off_any_more_tells_so_and_is_left() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20), ("MUG", "5.00", 20)]).await;
        coupon(&app, "WELCOME10", json!({"gift": percent("10", "order")}), json!({})).await;
        let placed = Of::new(&shop, &[("TEE", 2)]).await;
        let mut draft = Draft::begin(&app, &placed.order).await;
        draft.edit(json!([put_on("WELCOME10")])).await;
        confirmed(&draft).await;
        let mut draft = Draft::begin(&app, &placed.order).await;
        draft.edit(json!([take_off("WELCOME10")])).await;
        // One of its pieces leaves meanwhile.
        let one = json!({"lines": [{"line_no": 1, "quantity": 1}]});
        placed.post(&placed.open().await, "ship", one).await.expect(201);
        draft.body = draft.send("preview", None).await.expect(200);
        let preview = draft.edit(json!([{"type": "add_line", "sku": "MUG", "quantity": 1}])).await;
        assert!(preview["promotions"][0]["reason"]["code"].is_string(), "{preview}");
        draft.confirm().await.problem(409, "state_conflict");
        let preview = draft.edit(json!([take_off("WELCOME10")])).await;
        assert!(preview.get("promotions").is_none_or(|all| all == &json!([])), "{preview}");
        let order = draft.confirm().await.expect(200)["order"].clone();
        assert_eq!((&order["total"], &order["promotions"][0]["coupon"]), (&eur("27.90"), &json!("WELCOME10")));
    });
}

#[test]
fn agreed_prices_and_promotions_before_are_heeded() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20), ("MUG", "5.00", 20)]).await;
        let alone = json!({"gift": percent("20", "order"), "stacking": {"combinable": false}});
        promote(&app, "sale", alone).await;
        coupon(&app, "MORE", json!({"gift": percent("10", "order")}), json!({})).await;
        let placed = Of::new(&shop, &[("TEE", 1), ("MUG", 1)]).await;
        let mut draft = Draft::begin(&app, &placed.order).await;
        let preview = draft.edit(json!([put_on("MORE")])).await;
        assert_eq!(preview["promotions"][0]["reason"]["code"], "not_combinable", "{preview}");
        // The one for the other.
        let preview = draft.edit(json!([take_off("MORE"), take_off("sale"), put_on("MORE")])).await;
        assert_eq!(preview["money"]["due"]["difference"], eur("1.50"), "{preview}");
        // What was agreed no promotion reduces, whichever was said first.
        let price = json!({"type": "set_price", "line_no": 2, "unit_price": eur("4.00"), "reason": "a stain"});
        let refused = draft.send("edits", Some(&json!({ "edits": [price] }))).await.problem(409, "state_conflict");
        assert_eq!(refused["reason"], "line_agreed");
        let order = confirmed(&draft).await;
        assert_eq!((&order["total"], order["promotions"].as_array().unwrap().len()), (&eur("18.40"), 1));
        app.ops("POST", &format!("/orders/{}/release", placed.order), Some(&json!({}))).await.expect(200);
        placed.ship_all().await;
    });
}

#[test]
fn of_several_who_want_the_last_use_one_gets_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 100)]).await;
        for (round, (limits, more)) in [
            (json!({"uses": 1}), json!({})),
            (json!({}), json!({"max_uses": 1})),
            (json!({"budget": eur("1.50")}), json!({})),
        ]
        .into_iter()
        .enumerate()
        {
            let code = format!("LAST{round}");
            let id = coupon(&app, &code, json!({"gift": percent("10", "order"), "limits": limits}), more).await;
            let orders = [Of::new(&shop, &[("TEE", 1)]).await, Of::new(&shop, &[("TEE", 1)]).await];
            let mut drafts = Vec::new();
            for order in &orders {
                let mut draft = Draft::begin(&app, &order.order).await;
                let preview = draft.edit(json!([put_on(&code)])).await;
                assert_eq!(preview["promotions"][0]["amount"], eur("1.00"), "{preview}");
                drafts.push(draft);
            }
            // A cart wants it too.
            let cart: Cart = shop.cart(&[("TEE", 1)]).await;
            let path = format!("/carts/{}/coupons", cart.id);
            shop.store("POST", &path, Some(&cart.token), Some(&json!({ "code": code }))).await.expect(200);
            let (all, bought): (Vec<Answer>, Answer) =
                futures::join!(join_all(drafts.iter().map(Draft::confirm)), shop.complete(&cart, "approve"));
            let won = all.iter().filter(|one| one.status == 200).count() + usize::from(bought.status == 201);
            assert_eq!(won, 1, "{all:?} {bought:?}");
            let used = app.count("SELECT count(*) FROM promotion_uses WHERE state = 'consumed'").await;
            assert_eq!(used, i64::try_from(round).unwrap() + 1);
            let lost = drafts.iter_mut().zip(&all).filter(|(_, one)| one.status != 200);
            for (draft, answer) in lost {
                assert_eq!((answer.status, &answer.body["code"]), (409, &json!("promotion_exhausted")), "{answer:?}");
                // Looked at anew it says so, and nothing was changed.
                draft.body = draft.send("preview", None).await.expect(200);
                let reason = text(&draft.body["preview"]["promotions"][0]["reason"]["code"]).to_owned();
                assert!(["used_up", "coupon_used_up", "budget_used_up"].contains(&reason.as_str()), "{reason}");
                draft.confirm().await.problem(422, "coupon_refused");
                draft.send("abandon", None).await.expect(200);
            }
            assert!(taken(&app, &id).await[0] <= 1);
        }
    });
}

#[test]
fn the_sums_agree_whatever_is_put_on_and_taken_off() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("A", "3.33", 400), ("B", "0.07", 400), ("C", "19.99", 400)]).await;
        let rules = [
            ("P7", json!({"gift": percent("7", "order")})),
            ("OFF5", json!({"gift": {"type": "amount", "amount": eur("5.01"), "on": "order"}})),
            ("BUY2", json!({"gift": {"type": "buy_get", "buy": 1, "get": 1, "percent": "33"}})),
            ("SHIP", json!({"gift": {"type": "fixed_shipping", "price": eur("1.11")}})),
        ];
        for (code, rule) in &rules {
            coupon(&app, code, rule.clone(), json!({})).await;
        }
        promote(&app, "always", json!({"gift": percent("3", "order")})).await;
        for (round, (point, included)) in
            [("per_line", true), ("per_order", true), ("per_line", false), ("per_order", false)].into_iter().enumerate()
        {
            let rounding = json!({"point": point, "strategy": "half_even"});
            shop.set(json!({"rounding": rounding, "prices_include_tax": included})).await;
            let round = i64::try_from(round).unwrap();
            let placed = Of::new(&shop, &[("A", 1 + round), ("B", 13), ("C", 3)]).await;
            let first = placed.document().await;
            adds_up(&first);
            for (code, _) in &rules {
                let mut draft = Draft::begin(&app, &placed.order).await;
                let preview = draft.edit(json!([put_on(code)])).await;
                let expected = minor(&preview["money"]["due"]["new"]);
                let order = confirmed(&draft).await;
                assert_eq!(minor(&order["total"]), expected, "{code}: {preview}");
            }
            // All of them off again, and it costs what it did.
            let mut draft = Draft::begin(&app, &placed.order).await;
            draft.edit(rules.iter().map(|(code, _)| take_off(code)).collect()).await;
            let order = confirmed(&draft).await;
            assert_eq!((&order["discount"], &order["subtotal"]), (&first["discount"], &first["subtotal"]));
            assert_eq!(order["shipping"]["gross"], first["shipping"]["gross"]);
            // Some pieces go, and what is left is shipped.
            let mut draft = Draft::begin(&app, &placed.order).await;
            draft.edit(json!([put_on("P7"), {"type": "set_quantity", "line_no": 2, "quantity": 6}])).await;
            draft.confirm().await.expect(200);
            let holds = placed.document().await["holds"].as_array().map_or(0, Vec::len);
            if holds > 0 {
                app.ops("POST", &format!("/orders/{}/release", placed.order), Some(&json!({}))).await.expect(200);
            }
            placed.ship_all().await;
        }
    });
}

#[test]
fn an_invoiced_order_takes_no_coupon() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20)]).await;
        coupon(&app, "LATE", json!({"gift": percent("10", "order")}), json!({})).await;
        invoiced(&shop, "at_order").await;
        let placed = Of::new(&shop, &[("TEE", 2)]).await;
        have(&app, &placed.document().await, 1).await;
        let mut draft = Draft::begin(&app, &placed.order).await;
        let preview = draft.edit(json!([put_on("LATE")])).await;
        assert_eq!(
            (&preview["promotions"][0]["reason"]["code"], &preview["promotions"][0]["left_out"]),
            (&json!("goods"), &json!([1]))
        );
        draft.send("abandon", None).await.expect(200);
        placed.ship_all().await;
    });
}

#[test]
fn a_dearer_method_for_the_old_price_is_given_away() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let express = json!({
            "channel_id": shop.channel, "code": "express", "name": "Express", "tax_class": "standard",
            "rates": [{"countries": ["DE"], "price": eur("9.90")}]
        });
        app.ops("POST", "/shipping-methods", Some(&express)).await.expect(201);
        coupon(&app, "LOTS", json!({"gift": percent("50", "order")}), json!({})).await;
        let token = |ceiling: i64| {
            let mut claims = app.claims(Audience::Staff, "temp", "orders:write orders:read prices:override");
            claims.money_ceiling = Some(ceiling);
            format!("Bearer {}", app.state.verifier.issue(claims).unwrap())
        };
        let kept = json!({"type": "set_shipping_method", "method": "express", "keep_price": true});
        let paid = json!({"type": "set_shipping_method", "method": "express"});
        for (edit, ceiling, status) in [(&kept, 499, 403), (&kept, 500, 200), (&paid, 0, 200)] {
            let placed = Of::new(&shop, &[("TEE", 1)]).await;
            let mut draft = Draft::begin(&app, &placed.order).await;
            let preview = draft.edit(json!([edit])).await;
            let given = preview.get("given_away").cloned().unwrap_or_else(|| eur("0.00"));
            assert_eq!(given, if edit == &kept { eur("5.00") } else { eur("0.00") }, "{preview}");
            let path = format!("/v1/ops/orders/{}/amendments/{}/confirm", placed.order, text(&draft.body["id"]));
            let version = json!({"order_version": draft.body["order_version"]});
            let answer = app.send("POST", &path, &[("Authorization", &token(ceiling))], Some(&version)).await;
            match status {
                403 => drop(answer.problem(403, "ceiling_exceeded")),
                _ => drop(answer.expect(200)),
            }
            app.ops("POST", &format!("/orders/{}/cancel", placed.order), Some(&json!({"reason": "no"})))
                .await
                .expect(200);
        }
        // Above what one person gives away, somebody else is asked: of the method, and not of a coupon, which is a rule of the shop.
        shop.set(json!({"second_person": {"price_override": [eur("4.99")]}})).await;
        for (edit, status) in [(kept, 201), (put_on("LOTS"), 200)] {
            let placed = Of::new(&shop, &[("TEE", 1)]).await;
            let mut draft = Draft::begin(&app, &placed.order).await;
            draft.edit(json!([edit])).await;
            let answer = draft.confirm().await.expect(status);
            if status == 201 {
                assert_eq!(answer["amounts"], json!([eur("5.00")]));
                // Given up, nobody is asked any more.
                draft.send("abandon", None).await.expect(200);
                let path = format!("/countersign-requests/{}", text(&answer["id"]));
                let ended = app.ops("GET", &path, None).await.expect(200);
                assert_eq!((&ended["state"], &ended["code"]), (&json!("withdrawn"), &json!("version_stale")));
                let updated = "countersign_request.updated.v1".to_owned();
                eventually("it is told", || async { placed.events().await.contains(&updated) }).await;
            }
            placed.ship_all().await;
        }
    });
}
