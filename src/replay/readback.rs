//! What Kontor holds in the end, read from Kontor.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use super::{
    Class, Ledger, Tally,
    remote::{Remote, read, text},
    setup::Shop,
};
use crate::{
    error::Result,
    kernel::{Currency, Money},
};

/// What Kontor holds.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// Orders and returns that were taken over, as the file's side counts them.
    pub ledger: Ledger,
    /// How many orders stand where: state, fulfilment, payment.
    pub states: BTreeMap<String, u64>,
    /// Refunds that are still under way.
    pub pending: usize,
}

/// Reads all orders and returns of the shop, when no refund is under way any more.
pub(super) async fn held(remote: &Remote, shop: &Shop, parallel: usize) -> Result<Held> {
    let (returns, pending) = settled_returns(remote, shop).await?;
    let mut held = Held { pending, ..Held::default() };
    for made in &returns {
        let (currency, class, tally) = return_tally(made, shop.prices_include_tax)?;
        held.ledger.add(currency, class, tally);
    }
    let orders = remote.list(&format!("/v1/ops/orders?channel_id={}", shop.channel)).await?;
    let paths: Result<Vec<String>> =
        orders.iter().map(|order| Ok(format!("/v1/ops/orders/{}", text(order, "/id")?))).collect();
    let orders: Vec<Order> = remote.each(paths?, parallel).await?;
    for order in orders.iter().filter(|order| order.is_of(&shop.code)) {
        held.ledger.add(order.currency, Class::Sales, order.tally());
        let state = format!("{}, {}, {}", order.state, order.fulfilment_state, order.payment_state);
        *held.states.entry(state).or_default() += 1;
    }
    Ok(held)
}

/// The returns that were taken over, and how many of their refunds are not done although they were waited for.
async fn settled_returns(remote: &Remote, shop: &Shop) -> Result<(Vec<Value>, usize)> {
    let (mut least, mut idle) = (usize::MAX, 0);
    loop {
        let mut returns = remote.list("/v1/ops/returns").await?;
        let has = |made: &Value, field: &str, word: &str| {
            made.get(field).and_then(Value::as_str).is_some_and(|is| is == word)
        };
        returns.retain(|made| has(made, "channel_id", &shop.channel) && has(made, "system", &shop.code));
        let pending = returns.iter().filter(|made| has(made, "state", "refund_pending")).count();
        idle = if pending < least { 0 } else { idle + 1 };
        // Half a minute in which no refund was made: somebody has to look why.
        if pending == 0 || idle == 60 {
            return Ok((returns, pending));
        }
        least = least.min(pending);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn lines(document: &Value) -> impl Iterator<Item = &Value> {
    document.get("lines").and_then(Value::as_array).into_iter().flatten()
}

fn return_tally(made: &Value, prices_include_tax: bool) -> Result<(Currency, Class, Tally)> {
    let amount: Money = read(made, "/amount")?;
    let class = if made.get("order_id").is_some() { Class::Referenced } else { Class::Unreferenced };
    let mut tally = Tally::document();
    for line in lines(made) {
        // Without an order the tax is not known, and the amount is as the file has it.
        let field = if prices_include_tax || class == Class::Unreferenced { "/gross" } else { "/net" };
        let amount: Money = read(line, field)?;
        tally += Tally::line(-read::<i64>(line, "/quantity")?, -amount.minor());
    }
    Ok((amount.currency(), class, tally))
}

/// What is read of an order.
#[derive(Debug, Deserialize)]
struct Order {
    currency: Currency,
    prices_include_tax: bool,
    state: String,
    fulfilment_state: String,
    payment_state: String,
    lines: Vec<Line>,
    external_refs: Vec<Reference>,
}

#[derive(Debug, Deserialize)]
struct Line {
    quantity: i64,
    net: Money,
    gross: Money,
}

#[derive(Debug, Deserialize)]
struct Reference {
    system: String,
    kind: String,
}

impl Order {
    /// Whether it was taken over from this system.
    fn is_of(&self, system: &str) -> bool {
        self.external_refs.iter().any(|reference| reference.system == system && reference.kind == "order")
    }

    fn tally(&self) -> Tally {
        let amount = |line: &Line| if self.prices_include_tax { line.gross.minor() } else { line.net.minor() };
        let mut tally: Tally = self.lines.iter().map(|line| Tally::line(line.quantity, amount(line))).sum();
        tally += Tally::document();
        tally
    }
}
