//! What is left of what was sold with orders, by their ledgers. Part of the store.

use diesel::sql_types::{BigInt, Text};
use serde_json::json;

use super::ledger::Account;
use crate::{
    db::{Col, Tx, dialect, sql},
    error::Result,
    kernel::{Currency, Money, ids::OrderId},
};

/// What orders have come to in a currency, after all that was cancelled, given back and changed of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// What is sold and stays so, without tax.
    pub net: Money,
    /// The tax on it.
    pub tax: Money,
    /// The money that went back the way it came.
    pub refunded: Money,
}

/// What is left of what was sold with orders, by currency, in the order of its code: one statement, however many orders they are.
///
/// # Errors
/// What the database says.
pub fn kept(tx: &mut Tx, orders: &[OrderId]) -> Result<Vec<Kept>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let of = |account: Account| format!("CAST(-sum(CASE WHEN account = '{account}' THEN amount ELSE 0 END) AS BIGINT)");
    let query = format!(
        "SELECT currency, {}, {}, {} FROM {list} JOIN ledger_entries ON order_id = list.wanted \
         WHERE account IN ('revenue', 'tax', 'refunded') GROUP BY currency ORDER BY currency",
        of(Account::Revenue),
        of(Account::Tax),
        of(Account::Refunded)
    );
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    let rows = sql(query).bind(wanted).load::<(Text, BigInt, BigInt, BigInt), (Currency, i64, i64, i64)>(tx)?;
    let kept = |(currency, net, tax, refunded)| {
        let money = |minor| Money::from_minor(minor, currency);
        Kept { net: money(net), tax: money(tax), refunded: money(refunded) }
    };
    Ok(rows.into_iter().map(kept).collect())
}
