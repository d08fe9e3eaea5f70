//! What somebody has ordered, in figures and in the last orders: for those who look at a person.

use diesel::sql_types::{BigInt, Text};

use super::{
    erase::Person,
    model::OrderState,
    search::{self, OrderQuery, OrderSummary},
};
use crate::{
    db::{Bind, InstantSql, Tx, UidSql, sql},
    error::Result,
    kernel::{Actor, Currency, Instant, Money, ids::OrderId},
};

/// A person's orders of a state in a currency. Test orders are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderSum {
    /// Where they stand.
    pub state: OrderState,
    /// How many.
    pub orders: i64,
    /// What they cost together.
    pub total: Money,
    /// When the first was placed.
    pub first_at: Instant,
    /// When the last was.
    pub last_at: Instant,
}

/// The condition that orders are a person's, with its bind.
fn whose(person: &Person) -> (&'static str, Bind) {
    match person {
        Person::Customer(id) => ("customer_id = ?", (*id).into()),
        Person::Guest(email) => ("email_folded = ? AND customer_id IS NULL", email.as_str().into()),
    }
}

/// What a person's orders come to: one statement.
///
/// # Errors
/// What the database says.
pub fn sums(tx: &mut Tx, person: &Person) -> Result<Vec<OrderSum>> {
    type Row = (OrderState, Currency, i64, i64, Instant, Instant);
    let (condition, bind) = whose(person);
    let query = format!(
        "SELECT state, currency, count(*), CAST(sum(total) AS BIGINT), min(placed_at), max(placed_at) FROM orders \
         WHERE {condition} AND NOT test GROUP BY state, currency ORDER BY currency, state"
    );
    let rows = sql(query).bind_all([bind]).load::<(Text, Text, BigInt, BigInt, InstantSql, InstantSql), Row>(tx)?;
    let sum = |(state, currency, orders, total, first_at, last_at)| OrderSum {
        state,
        orders,
        total: Money::from_minor(total, currency),
        first_at,
        last_at,
    };
    Ok(rows.into_iter().map(sum).collect())
}

/// A person's orders that count, by their ids, in that order: test orders do not. One statement.
///
/// # Errors
/// What the database says.
pub fn ids(tx: &mut Tx, person: &Person) -> Result<Vec<OrderId>> {
    let (condition, bind) = whose(person);
    let query = format!("SELECT id FROM orders WHERE {condition} AND NOT test ORDER BY id");
    sql(query).bind_all([bind]).load::<UidSql, OrderId>(tx)
}

/// A person's last orders, the newest first: one statement.
///
/// # Errors
/// What the database says.
pub fn latest(tx: &mut Tx, person: &Person, limit: i64) -> Result<Vec<OrderSummary>> {
    search::latest_of(tx, whose(person), limit)
}

/// An order in short: one statement.
///
/// # Errors
/// What the database says.
pub fn of_id(tx: &mut Tx, id: OrderId) -> Result<Vec<OrderSummary>> {
    search::latest_of(tx, ("id = ?", id.into()), 1)
}

/// Orders that an actor sees and that have a customer's own number, the newest first; capitals do not matter.
///
/// # Errors
/// What the database says.
pub fn with_purchase_order(tx: &mut Tx, actor: &Actor, number: &str, limit: i64) -> Result<Vec<OrderSummary>> {
    search::with_purchase_order(tx, actor, number, limit)
}

/// Orders that an actor sees and that something names: a number, an e-mail address, a reference, a tracking number, the beginning of a
/// name, or a phone number. The newest first.
///
/// # Errors
/// What the database says.
pub fn named_by(tx: &mut Tx, actor: &Actor, query: &OrderQuery, limit: i64) -> Result<Vec<OrderSummary>> {
    match query.asks_for_something() {
        Ok(()) => search::search(tx, actor, (query, (None, None)), None, limit),
        Err(_) => Ok(Vec::new()),
    }
}
