//! A property of whole orders: whatever is done to them, one thing after the other and two at once, the first four promises of
//! docs/promises.md hold. Commands that the state does not allow are refused; that each kind was also accepted is looked at in the end.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use serde_json::{Value, json};

use crate::{
    invoices::{cents, invoiced, of_order, text, whole},
    promotions::{percent, promote},
    support::{Answer, App, Shop, eventually, on_both},
};

/// How many of the shop's mugs and hats there are in each case, and how often its coupon can be used.
const STOCK: i64 = 9;
const USES: i64 = 2;

/// The number that leads to the order that was placed last.
const LAST: usize = usize::MAX;

/// What somebody does to an order: a customer, a desk, a warehouse, a bank.
#[derive(Debug, Clone, Copy)]
enum Move {
    Place { mugs: i64, hats: i64, coupon: bool, by_card: bool },
    Pay { minor: Option<i64> },
    Ship { line_no: i64, pieces: i64 },
    ShipAll,
    Deliver,
    Cancel { line_no: i64, pieces: i64 },
    CancelAll,
    SetQuantity { line_no: i64, pieces: i64 },
    AddLine { pieces: i64 },
    SwapLine { line_no: i64 },
    SetPrice { minor: i64 },
    Refund { minor: i64 },
    RefundLine { line_no: i64 },
    LowerPrice { line_no: i64, minor: i64 },
    PayByLink,
    AskBack { line_no: i64, pieces: i64 },
    Receive { pieces: i64 },
    Inspect { pieces: i64 },
    SettleReturn { ahead: bool },
    CancelReturn,
    Withdraw { pieces: Option<i64> },
    Claim { line_no: i64, pieces: i64 },
    SettleClaim { refused: bool },
    Dispute { minor: i64 },
    CloseDispute { won: bool },
    Hold,
    Release,
    Split { line_no: i64, pieces: i64 },
}

impl Move {
    /// The kind's name, for what is counted.
    fn kind(self) -> String {
        format!("{self:?}").split([' ', '{']).next().unwrap().to_owned()
    }
}

/// What is done at once, to the order that the number leads to.
#[derive(Debug, Clone)]
struct Turn {
    order: usize,
    moves: Vec<Move>,
}

fn any_move() -> impl Strategy<Value = Move> {
    let (line, pieces, minor) = (1..3_i64, 1..4_i64, 1..3_000_i64);
    let of = (line.clone(), pieces.clone());
    prop_oneof![
        3 => (1..5_i64, 0..3_i64, any::<bool>(), any::<bool>())
            .prop_map(|(mugs, hats, coupon, by_card)| Move::Place { mugs, hats, coupon, by_card }),
        4 => prop::option::of(minor.clone()).prop_map(|minor| Move::Pay { minor }),
        8 => of.clone().prop_map(|(line_no, pieces)| Move::Ship { line_no, pieces }),
        5 => Just(Move::ShipAll),
        2 => Just(Move::Deliver),
        2 => of.clone().prop_map(|(line_no, pieces)| Move::Cancel { line_no, pieces }),
        1 => Just(Move::CancelAll),
        2 => of.clone().prop_map(|(line_no, pieces)| Move::SetQuantity { line_no, pieces }),
        2 => pieces.clone().prop_map(|pieces| Move::AddLine { pieces }),
        1 => line.clone().prop_map(|line_no| Move::SwapLine { line_no }),
        1 => minor.clone().prop_map(|minor| Move::SetPrice { minor }),
        3 => (1..400_i64).prop_map(|minor| Move::Refund { minor }),
        3 => line.clone().prop_map(|line_no| Move::RefundLine { line_no }),
        3 => (line.clone(), 1..700_i64).prop_map(|(line_no, minor)| Move::LowerPrice { line_no, minor }),
        3 => Just(Move::PayByLink),
        9 => of.clone().prop_map(|(line_no, pieces)| Move::AskBack { line_no, pieces }),
        9 => pieces.clone().prop_map(|pieces| Move::Receive { pieces }),
        9 => pieces.clone().prop_map(|pieces| Move::Inspect { pieces }),
        4 => any::<bool>().prop_map(|ahead| Move::SettleReturn { ahead }),
        2 => Just(Move::CancelReturn),
        1 => prop::option::weighted(0.9, pieces.clone()).prop_map(|pieces| Move::Withdraw { pieces }),
        4 => of.clone().prop_map(|(line_no, pieces)| Move::Claim { line_no, pieces }),
        4 => any::<bool>().prop_map(|refused| Move::SettleClaim { refused }),
        3 => minor.prop_map(|minor| Move::Dispute { minor }),
        3 => any::<bool>().prop_map(|won| Move::CloseDispute { won }),
        1 => Just(Move::Hold),
        5 => Just(Move::Release),
        5 => of.prop_map(|(line_no, pieces)| Move::Split { line_no, pieces }),
    ]
}

/// A story begins with three orders: paid by card, by transfer and not at all.
fn story() -> impl Strategy<Value = Vec<Turn>> {
    let begin = |mugs, by_card| {
        let coupon = by_card;
        Turn { order: 0, moves: vec![Move::Place { mugs, hats: 2, coupon, by_card }] }
    };
    // Most of it happens to those, the rest to what is ordered or split off later.
    let order = prop_oneof![4 => 0..3_usize, 1 => 3..8_usize];
    let turn = (order, prop::collection::vec(any_move(), 1..3)).prop_map(|(order, moves)| Turn { order, moves });
    prop::collection::vec(turn, 16..40).prop_map(move |mut turns| {
        let paid = Turn { order: 1, moves: vec![Move::Pay { minor: None }] };
        // Some of what is promised by card and of what is paid by transfer is split off, and its money with it.
        let split = |order| Turn { order, moves: vec![Move::Split { line_no: 1, pieces: 1 }] };
        turns.splice(0..0, [begin(3, true), begin(3, false), paid, begin(2, false), split(0), split(1)]);
        turns
    })
}

/// What becomes of an order that nothing happens to, after all that: it goes its way as if it were the first.
fn life() -> Vec<Turn> {
    let moves = [
        Move::Place { mugs: 1, hats: 2, coupon: true, by_card: true },
        Move::Hold,
        Move::Release,
        Move::SetPrice { minor: 1_100 },
        Move::ShipAll,
        Move::Deliver,
        Move::AskBack { line_no: 2, pieces: 1 },
        Move::CancelReturn,
        Move::AskBack { line_no: 2, pieces: 1 },
        Move::Receive { pieces: 1 },
        Move::Inspect { pieces: 1 },
        Move::SettleReturn { ahead: false },
        Move::Claim { line_no: 2, pieces: 1 },
        Move::SettleClaim { refused: false },
        Move::LowerPrice { line_no: 1, minor: 100 },
    ];
    moves.map(|one| Turn { order: LAST, moves: vec![one] }).into()
}

/// How often each kind of command was accepted.
type Accepted = Arc<Mutex<BTreeMap<String, usize>>>;

/// An order, with the token that opens it; the desk alone sees one that was split off.
#[derive(Clone)]
struct Bought {
    order: String,
    token: Option<String>,
}

/// One shop's goods, a coupon and the orders of one story.
#[derive(Clone)]
struct Story {
    shop: Shop,
    number: usize,
    promotion: String,
    bought: Arc<Mutex<Vec<Bought>>>,
    accepted: Accepted,
}

fn first(answer: &Value) -> Option<String> {
    answer["items"].as_array().and_then(|items| items.first()).map(|one| text(&one["id"]))
}

fn lines(line_no: i64, quantity: i64) -> Value {
    json!([{"line_no": line_no, "quantity": quantity}])
}

impl Story {
    async fn begin(shop: &Shop, number: usize, accepted: &Accepted) -> Self {
        let (mug, hat) = (format!("MUG-{number}"), format!("HAT-{number}"));
        for (sku, price) in [(&mug, "12.99"), (&hat, "7.35")] {
            shop.add(sku, price, STOCK).await;
        }
        let rule = json!({"gift": percent("10", "order"), "limits": {"uses": USES},
            "conditions": {"coupon": true, "goods": {"include": [{"skus": [mug, hat]}]}}});
        let promotion = promote(&shop.app, &format!("ten-{number}"), rule).await;
        let story = Self { shop: shop.clone(), number, promotion, bought: Arc::default(), accepted: accepted.clone() };
        let path = format!("/promotions/{}/coupons", story.promotion);
        story.ops("POST", &path, json!({"code": story.code()})).await.expect(201);
        story
    }

    fn sku(&self, name: &str) -> String {
        format!("{name}-{}", self.number)
    }

    fn code(&self) -> String {
        format!("TEN{}", self.number)
    }

    async fn ops(&self, method: &str, path: &str, body: Value) -> Answer {
        self.shop.app.ops(method, path, (method != "GET").then_some(&body)).await
    }

    async fn read(&self, path: &str) -> Value {
        self.ops("GET", path, Value::Null).await.expect(200)
    }

    async fn turn(&self, turn: &Turn) {
        let orders = self.bought.lock().unwrap().clone();
        let bought = match turn.order {
            LAST => orders.last(),
            number => orders.get(number % orders.len().max(1)),
        };
        let bought = bought.cloned();
        futures::future::join_all(turn.moves.iter().map(|one| self.step(*one, bought.as_ref()))).await;
    }

    /// One command: whatever becomes of it is an answer that tells why.
    async fn step(&self, one: Move, bought: Option<&Bought>) {
        let answer = match (one, bought) {
            (Move::Place { mugs, hats, coupon, by_card }, _) => self.place(mugs, hats, coupon, by_card).await,
            (_, None) => None,
            (_, Some(bought)) => self.command(one, bought).await,
        };
        let Some(answer) = answer else { return };
        if answer.status < 300 {
            *self.accepted.lock().unwrap().entry(one.kind()).or_default() += 1;
        } else {
            assert!(matches!(answer.status, 409 | 412 | 422), "{one:?}: {} {}", answer.status, answer.text);
        }
    }

    /// A cart that is completed twice at once, and once more: whoever gets an order gets the one.
    async fn place(&self, mugs: i64, hats: i64, coupon: bool, by_card: bool) -> Option<Answer> {
        let (mug, hat) = (self.sku("MUG"), self.sku("HAT"));
        let goods = [(mug.as_str(), mugs), (hat.as_str(), hats)];
        let goods: Vec<(&str, i64)> = goods.into_iter().filter(|(_, pieces)| *pieces > 0).collect();
        let cart = self.shop.cart(&goods).await;
        let store = async |path: &str, body: Value| {
            self.shop.store("POST", &format!("/carts/{}{path}", cart.id), Some(&cart.token), Some(&body)).await
        };
        if coupon {
            // Used up by now, it is refused, and the order costs what it costs.
            store("/coupons", json!({"code": self.code()})).await;
        }
        let pay = match by_card {
            true => json!({"payment": {"method": "sandbox", "instrument": "approve"}}),
            false => json!({"payment": {"method": "manual"}}),
        };
        let (one, other) = futures::join!(store("/complete", pay.clone()), store("/complete", pay.clone()));
        let order = |answer: &Answer| answer.body["order"]["id"].as_str().map(str::to_owned);
        // Of two at once one may have looked before somebody's cancellation made room, and was refused; asked again it gets the same.
        let made: Vec<String> = [&one, &other].into_iter().filter_map(order).collect();
        if let Some(order_id) = made.first() {
            let again = store("/complete", pay).await;
            let all: Vec<Option<String>> = made.iter().cloned().map(Some).chain([order(&again)]).collect();
            assert!(all.iter().all(|id| id.as_ref() == Some(order_id)), "{} {} {}", one.text, other.text, again.text);
            self.bought.lock().unwrap().push(Bought { order: order_id.clone(), token: Some(cart.token) });
            return Some(if order(&one).is_some() { one } else { other });
        }
        Some(one)
    }

    async fn command(&self, one: Move, bought: &Bought) -> Option<Answer> {
        let own = format!("/orders/{}", bought.order);
        let post = async |path: &str, body: Value| Some(self.ops("POST", path, body).await);
        let reason = "as they wish";
        match one {
            Move::Place { .. } => None,
            Move::Pay { minor } => {
                let reference = kontor::kernel::Id::<()>::new().to_string();
                let mut body = json!({ "reference": reference });
                body.as_object_mut().unwrap().extend(minor.map(|minor| ("amount".to_owned(), eur(minor))));
                post(&format!("{own}/payments"), body).await
            }
            Move::Ship { .. } | Move::ShipAll => {
                let work = self.read(&format!("{own}/fulfilment")).await;
                let open = |one: &&Value| matches!(one["state"].as_str(), Some("open" | "in_progress"));
                let next = work["fulfilment_orders"].as_array().unwrap().iter().find(open)?.clone();
                let path = format!("/fulfilment-orders/{}/ship", text(&next["id"]));
                let body = match one {
                    Move::Ship { line_no, pieces } => json!({"lines": lines(line_no, pieces)}),
                    _ => json!({}),
                };
                post(&path, body).await
            }
            Move::Deliver => {
                let work = self.read(&format!("{own}/fulfilment")).await;
                let parcel = work["shipments"].as_array().unwrap().last()?.clone();
                post(&format!("/shipments/{}/deliver", text(&parcel["id"])), json!({})).await
            }
            Move::Cancel { line_no, pieces } => {
                post(&format!("{own}/cancel"), json!({"lines": lines(line_no, pieces), "reason": reason})).await
            }
            Move::CancelAll => post(&format!("{own}/cancel"), json!({"reason": reason})).await,
            Move::SetQuantity { line_no, pieces } => {
                self.amend(&own, json!({"type": "set_quantity", "line_no": line_no, "quantity": pieces})).await
            }
            Move::AddLine { pieces } => {
                self.amend(&own, json!({"type": "add_line", "sku": self.sku("HAT"), "quantity": pieces})).await
            }
            Move::SwapLine { line_no } => {
                let swap = json!({"type": "swap_line", "line_no": line_no, "sku": self.sku("HAT"), "quantity": 1});
                self.amend(&own, swap).await
            }
            Move::SetPrice { minor } => {
                let price = json!({"type": "set_price", "line_no": 1, "unit_price": eur(minor), "reason": "as agreed"});
                self.amend(&own, price).await
            }
            Move::Refund { minor } => {
                post(&format!("{own}/refunds"), json!({"amount": eur(minor), "reason": reason})).await
            }
            Move::RefundLine { line_no } => {
                post(&format!("{own}/refunds"), json!({"lines": lines(line_no, 1), "reason": reason})).await
            }
            Move::LowerPrice { line_no, minor } => {
                let lower = json!([{"line_no": line_no, "amount": eur(minor)}]);
                let body = json!({"kind": "price_reduction", "lines": lower, "reason": reason});
                post(&format!("{own}/refunds"), body).await
            }
            Move::PayByLink => self.pay_by_link(&own).await,
            Move::Hold => post(&format!("{own}/hold"), json!({"kind": "manual", "reason": reason})).await,
            Move::Release => post(&format!("{own}/release"), json!({"kind": "manual"})).await,
            Move::Split { line_no, pieces } => {
                let answer =
                    post(&format!("{own}/split"), json!({"lines": lines(line_no, pieces), "reason": reason})).await?;
                if let Some(order) = answer.body["split_into"]["id"].as_str() {
                    self.bought.lock().unwrap().push(Bought { order: order.to_owned(), token: None });
                }
                Some(answer)
            }
            Move::Dispute { minor } => {
                let order = self.read(&own).await;
                let payment = order["payments"].as_array().unwrap().first()?.clone();
                let reference = kontor::kernel::Id::<()>::new().to_string();
                let body =
                    json!({"reference": reference, "reason": "fraudulent", "amount": eur(minor), "fee": eur(700)});
                post(&format!("/payments/{}/disputes", text(&payment["id"])), body).await
            }
            Move::CloseDispute { won } => {
                let open = first(&self.read(&format!("/disputes?order={}&state=open", bought.order)).await)?;
                let outcome = if won { "won" } else { "lost" };
                post(&format!("/disputes/{open}/close"), json!({ "outcome": outcome })).await
            }
            _ => self.after_the_parcel(one, bought).await,
        }
    }

    /// What is owed is asked for by a link, which two open at once.
    async fn pay_by_link(&self, own: &str) -> Option<Answer> {
        let asked = self.ops("POST", &format!("{own}/payment-requests"), json!({})).await;
        let token = asked.body["token"].as_str().map(str::to_owned);
        let Some(token) = token else { return Some(asked) };
        let pay = json!({"token": token, "payment": {"method": "sandbox", "instrument": "approve"}});
        let pay = || self.shop.store("POST", "/payment-requests/pay", None, Some(&pay));
        let (one, other) = futures::join!(pay(), pay());
        Some(if one.status < 300 { one } else { other })
    }

    /// Worked out and confirmed; given up when it can not be.
    async fn amend(&self, own: &str, edit: Value) -> Option<Answer> {
        let begun = self.ops("POST", &format!("{own}/amendments"), json!({"reason": "called"})).await;
        if begun.status != 201 {
            return Some(begun);
        }
        let path = format!("{own}/amendments/{}", text(&begun.body["id"]));
        let edited = self.ops("POST", &format!("{path}/edits"), json!({ "edits": [edit] })).await;
        let version = json!({"order_version": edited.body["order_version"]});
        let last = match edited.status {
            200 => self.ops("POST", &format!("{path}/confirm"), version).await,
            _ => edited,
        };
        if last.status != 200 {
            self.ops("POST", &format!("{path}/abandon"), json!({})).await;
        }
        Some(last)
    }

    /// Returns, withdrawals and claims.
    async fn after_the_parcel(&self, one: Move, bought: &Bought) -> Option<Answer> {
        let own = format!("/orders/{}", bought.order);
        let post = async |path: &str, body: Value| Some(self.ops("POST", path, body).await);
        let store = async |path: &str, body: Value| {
            let token = bought.token.as_deref()?;
            Some(self.shop.store("POST", &format!("{own}{path}"), Some(token), Some(&body)).await)
        };
        let open = async || {
            let found = self.read(&format!("/return-requests?order={}", bought.order)).await;
            let ends = ["settled", "cancelled", "rejected", "expired"];
            let open = |one: &&Value| one["state"].as_str().is_some_and(|state| !ends.contains(&state));
            found["items"].as_array().unwrap().iter().find(open).cloned()
        };
        let request = async |step: &str, body: Value| match open().await {
            Some(one) => post(&format!("/return-requests/{}/{step}", text(&one["id"])), body).await,
            None => None,
        };
        // Of the line that is asked for first, in the end never more than there can be.
        let of_line = async |pieces: i64, of: &str| {
            let line = open().await?["lines"][0].clone();
            let most = line[of].as_i64().unwrap_or(1).max(1);
            Some(json!({"line_no": line["line_no"], "quantity": pieces.min(most)}))
        };
        match one {
            Move::AskBack { line_no, pieces } => {
                let asked = json!({"line_no": line_no, "quantity": pieces, "reason": "too_small"});
                store("/returns", json!({ "lines": [asked] })).await
            }
            Move::Receive { pieces } => {
                request("receive", json!({"lines": [of_line(pieces, "quantity").await?]})).await
            }
            Move::Inspect { pieces } => {
                let mut seen = of_line(pieces, "received").await?;
                let disposition = if pieces == 2 { "scrap" } else { "restock" };
                let how =
                    [("grade", "a"), ("disposition", disposition)].map(|(name, value)| (name.to_owned(), json!(value)));
                seen.as_object_mut().unwrap().extend(how);
                request("inspect", json!({ "lines": [seen] })).await
            }
            Move::SettleReturn { ahead } => request("settle", json!({ "without_goods": ahead })).await,
            Move::CancelReturn => request("cancel", json!({})).await,
            Move::Withdraw { pieces } => {
                let mut body = json!({"name": "Ada Lovelace", "email": "ada@example.org"});
                if let Some(pieces) = pieces {
                    body["lines"] = lines(1, pieces);
                }
                let declared = store("/withdrawals", body).await?;
                if declared.status != 201 {
                    return Some(declared);
                }
                let path = format!("/withdrawals/{}/confirm", text(&declared.body["id"]));
                Some(self.shop.store("POST", &format!("{own}{path}"), bought.token.as_deref(), None).await)
            }
            Move::Claim { line_no, pieces } => {
                store("/claims", json!({"kind": "damaged", "lines": lines(line_no, pieces)})).await
            }
            Move::SettleClaim { refused } => {
                let claims = self.read(&format!("{own}/claims")).await;
                let open = |one: &&Value| one["state"] == "open";
                let id = text(&claims["claims"].as_array().unwrap().iter().find(open)?["id"]);
                match refused {
                    true => post(&format!("/claims/{id}/reject"), json!({"reason": "not so"})).await,
                    false => post(&format!("/claims/{id}/settle"), json!({"resolution": "refund"})).await,
                }
            }
            _ => None,
        }
    }

    /// One more order, for which there is enough, goes through all of it.
    async fn lives_on(&self) {
        for name in ["MUG", "HAT"] {
            self.shop.stock_up(&self.sku(name), 2).await;
        }
        for turn in life() {
            let before: usize = self.accepted.lock().unwrap().values().sum();
            self.turn(&turn).await;
            let after: usize = self.accepted.lock().unwrap().values().sum();
            assert_eq!(after, before + 1, "refused: {turn:?}");
        }
    }

    /// What must be true whatever was done.
    async fn holds(&self) {
        let app = &self.shop.app;
        self.is_settled().await;
        // 1. One cart, one order; those that were split off have no cart.
        let twice = "SELECT count(*) FROM (SELECT cart_id FROM orders WHERE cart_id IS NOT NULL GROUP BY cart_id \
                     HAVING count(*) > 1) AS twice";
        assert_eq!(app.count(twice).await, 0, "a cart has become two orders");
        // 2. Never oversold: nothing is set aside twice, and each piece is on a shelf or has left.
        let oversold = "SELECT count(*) FROM stock_levels WHERE on_hand - allocated - reserved < 0";
        assert_eq!(app.count(oversold).await, 0, "more is promised than there is");
        // 3. Never over-redeemed.
        assert!(self.redeemed().await <= USES, "a coupon was used too often");
        // 4. The sums agree.
        let orders = self.bought.lock().unwrap().clone();
        for bought in orders {
            self.sums_agree(&bought.order).await;
        }
        let off = "SELECT count(*) FROM (SELECT order_id FROM ledger_entries GROUP BY order_id HAVING sum(amount) <> 0) AS off";
        assert_eq!(app.count(off).await, 0, "a ledger is off");
        let over =
            "SELECT count(*) FROM payments WHERE refunded + refund_pending + disputed > captured OR captured > amount";
        assert_eq!(app.count(over).await, 0, "more went back than came in");
        let findings = kontor::doctor::examine(&app.state.db, |_| {}).await.unwrap();
        assert!(findings.is_empty(), "the doctor finds: {findings:#?}");
    }

    /// Waits until nothing is under way any more: what is due has run, what providers were asked is answered.
    async fn is_settled(&self) {
        let app = &self.shop.app;
        let asked = "SELECT count(*) FROM payment_operations AS o JOIN payments AS p ON p.id = o.payment_id \
                     WHERE o.state = 'pending' AND p.provider <> 'manual'";
        eventually("all is done", async || app.due().await == 0 && app.count(asked).await == 0).await;
    }

    async fn redeemed(&self) -> i64 {
        let promotion = self.read(&format!("/promotions/{}", self.promotion)).await;
        promotion["taken"]["uses"].as_i64().unwrap()
    }

    async fn sums_agree(&self, order: &str) {
        let seen = self.read(&format!("/orders/{order}")).await;
        let all = |name: &str| -> i64 { seen["lines"].as_array().unwrap().iter().map(|line| cents(&line[name])).sum() };
        let shipping = |name: &str| seen["shipping"].get(name).map_or(0, cents);
        assert_eq!(all("gross") + shipping("gross"), cents(&seen["total"]), "{seen}");
        assert_eq!(all("net") + shipping("net"), cents(&seen["net"]), "{seen}");
        assert_eq!(all("tax") + shipping("tax"), cents(&seen["tax"]), "{seen}");
        assert_eq!(cents(&seen["net"]) + cents(&seen["tax"]), cents(&seen["total"]), "{seen}");
        for summary in of_order(&self.shop.app, &seen).await {
            let document = whole(&self.shop.app, &summary).await;
            let parts = ["lines", "charges"].iter().filter_map(|name| document[*name].as_array()).flatten();
            let sum: i64 = parts.map(|part| cents(&part["gross"])).sum();
            assert_eq!(sum, cents(&document["total"]), "{document}");
        }
    }
}

fn eur(minor: i64) -> Value {
    json!({"amount": format!("{}.{:02}", minor / 100, minor % 100), "currency": "EUR"})
}

/// Runs so many stories; of one that fails the shortest that fails is told.
async fn run_stories(app: &App, cases: u32, accepted: &Accepted) {
    let shop = Shop::open(app, &[]).await;
    invoiced(&shop, "at_shipment").await;
    let (runtime, accepted) = (tokio::runtime::Handle::current(), accepted.clone());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    let number = AtomicUsize::new(0);
    let ran = tokio::task::spawn_blocking(move || {
        let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(config, random);
        runner.run(&story(), |turns| {
            let (shop, accepted) = (shop.clone(), accepted.clone());
            let number = number.fetch_add(1, SeqCst);
            let told = runtime.spawn(async move {
                let story = Story::begin(&shop, number, &accepted).await;
                for turn in &turns {
                    story.turn(turn).await;
                }
                story.holds().await;
                story.lives_on().await;
                story.holds().await;
            });
            runtime.block_on(told).map_err(|error| TestCaseError::fail(error.to_string()))
        })
    });
    match ran.await.unwrap() {
        Err(TestError::Fail(why, turns)) => panic!("{why}, after {turns:?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
        Ok(()) => {}
    }
}

#[test]
fn whatever_is_done_to_orders_the_promises_hold() {
    let accepted = Accepted::default();
    on_both(|app| {
        let accepted = accepted.clone();
        async move { run_stories(&app, 10, &accepted).await }
    });
    let accepted = accepted.lock().unwrap().clone();
    // Of the kinds from Place to Split hardly one was only ever refused; which may differ where two come at once.
    assert!(accepted.len() >= 24, "{accepted:?}");
}
