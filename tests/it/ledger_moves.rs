//! Whatever is done with the money of orders, one after the other and at once: each ledger balances, no more goes back than came in, over all
//! targets and disputes together. The doctor looks at the same when a test ends.

use diesel::sql_types::BigInt;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both};

fn eur(minor: i64) -> Value {
    json!({"amount": format!("{}.{:02}", minor / 100, minor % 100), "currency": "EUR"})
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// One command on an order, any that there is; what its state does not allow is refused.
async fn step(app: &App, order: &str, turn: usize, dice: &mut Dice) {
    let amount = eur(1 + i64::try_from(dice.below(4_000)).unwrap());
    let own = format!("/orders/{order}");
    let to = ["source", "gift_card"][usize::try_from(dice.below(2)).unwrap()];
    let answer = match dice.below(9) {
        0 => {
            let body = json!({"amount": amount, "reference": format!("{order}-{turn}")});
            app.ops("POST", &format!("{own}/payments"), Some(&body)).await
        }
        1 => {
            let work = app.ops("GET", &format!("{own}/fulfilment"), None).await.expect(200);
            let path = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
            app.ops("POST", &path, Some(&json!({"lines": [{"line_no": 1, "quantity": 1}]}))).await
        }
        2 => {
            let body = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "x", "refund_to": {"to": to}});
            app.ops("POST", &format!("{own}/cancel"), Some(&body)).await
        }
        3 => {
            let body = json!({"amount": amount, "to": to, "reason": "x"});
            app.ops("POST", &format!("{own}/refunds"), Some(&body)).await
        }
        4 => {
            let body = json!({"lines": [{"line_no": 1, "quantity": 1}], "to": to, "reason": "x"});
            app.ops("POST", &format!("{own}/refunds"), Some(&body)).await
        }
        5 => {
            let body = json!({"order": order, "lines": [{"line_no": 1, "quantity": 1}], "refund": true,
                "refund_to": {"to": to}});
            app.ops("POST", "/returns", Some(&body)).await
        }
        6 => {
            let seen = app.ops("GET", &own, None).await.expect(200);
            let payments = seen["payments"].as_array().unwrap();
            let payment = &payments[usize::try_from(dice.below(payments.len() as u64)).unwrap()];
            let body =
                json!({"reference": format!("d{turn}"), "reason": "fraudulent", "amount": amount, "fee": eur(700)});
            app.ops("POST", &format!("/payments/{}/disputes", text(&payment["id"])), Some(&body)).await
        }
        7 => {
            let open = app.ops("GET", &format!("/disputes?order={order}&state=open"), None).await.expect(200);
            let Some(dispute) = open["items"].as_array().unwrap().first() else { return };
            let outcome = ["won", "lost", "accepted"][usize::try_from(dice.below(3)).unwrap()];
            let path = format!("/disputes/{}/close", text(&dispute["id"]));
            app.ops("POST", &path, Some(&json!({"outcome": outcome}))).await
        }
        _ => {
            let body = json!({"reason": "x", "to": to});
            app.ops("POST", &format!("{own}/overpayment/refund"), Some(&body)).await
        }
    };
    assert!(answer.status < 500, "{}", answer.text);
    if answer.status >= 400 {
        assert!(matches!(answer.status, 409 | 422), "{}", answer.text);
    }
}

async fn holds(app: &App) {
    let off =
        "SELECT count(*) FROM (SELECT order_id FROM ledger_entries GROUP BY order_id HAVING sum(amount) <> 0) AS off";
    assert_eq!(app.count(off).await, 0, "a ledger is off");
    let over =
        "SELECT count(*) FROM payments WHERE refunded + refund_pending + disputed > captured OR captured > amount";
    assert_eq!(app.count(over).await, 0, "more went back than came in");
    let unlike = "SELECT CAST((SELECT coalesce(sum(amount), 0) FROM ledger_entries WHERE account IN ('refunded', 'gift_card', 'store_credit')) \
                  + (SELECT coalesce(sum(refunded), 0) FROM payments) AS bigint)";
    let unlike = app.read(move |tx| kontor::db::sql(unlike).first::<BigInt, i64>(tx)).await;
    assert_eq!(unlike, Some(0), "the ledgers have given back something else than the payments");
}

#[test]
fn whatever_is_done_the_ledgers_balance_and_no_more_goes_back_than_came_in() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 5_000)]).await;
        shop.set(json!({"prepayment": {"overpaid": "keep", "tolerance": [eur(100)]}})).await;
        let mut orders = Vec::new();
        for turn in 0..6 {
            let cart = shop.cart(&[("MUG", 4)]).await;
            let method = if turn % 2 == 0 { "manual" } else { "sandbox" };
            let path = format!("/carts/{}/complete", cart.id);
            let pay = json!({"payment": {"method": method}});
            let made = shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201);
            orders.push(text(&made["order"]["id"]));
        }
        let mut dice = Dice(42);
        for turn in 0..60 {
            let order = &orders[turn % orders.len()];
            step(&app, order, turn, &mut dice).await;
            if turn % 10 == 9 {
                holds(&app).await;
            }
        }
        // And several at once on one order.
        for (round, order) in orders.iter().enumerate() {
            let steps = (0..6).map(|place| {
                let (app, order) = (app.clone(), order.clone());
                let mut dice = Dice(u64::try_from(1_000 + 10 * round + place).unwrap());
                async move { step(&app, &order, 100 + 10 * round + place, &mut dice).await }
            });
            join_all(steps).await;
        }
        // What waits to be paid out by hand may wait.
        let asked = "SELECT count(*) FROM payment_operations AS o JOIN payments AS p ON p.id = o.payment_id \
                     WHERE o.state = 'pending' AND p.provider <> 'manual'";
        eventually("the money has moved", async || app.count(asked).await == 0).await;
        holds(&app).await;
    });
}
