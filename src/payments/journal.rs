//! The order in which the journal has the postings of all ledgers: each once, none between two that were told already. Part of the store.
//!
//! Postings become visible in another order than that in which they were recorded. So they are given their positions afterwards, by one
//! writer at a time: what it reads is committed, and what commits later gets a later position. Which have none yet, their own rows say, and
//! no clock: what is recorded by one that is ahead or behind is found all the same.

use std::collections::HashMap;

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::ledger::Account;
use crate::{
    db::{Bind, Col, InstantSql, Tx, UidSql, dialect, insert_many, sql},
    error::{Error, Result},
    kernel::{
        Country, Currency, Instant,
        ids::{ChannelId, LedgerEntryId, OrderId},
    },
    pricing::tax::TaxTreatment,
};

/// A posting of an order's ledger with its place in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// Its place.
    pub position: i64,
    /// Whose ledger.
    pub order: OrderId,
    /// What was booked.
    pub posting: String,
    /// Where the order was sold, where its sale is known.
    pub channel: Option<ChannelId>,
    /// When it happened.
    pub occurred_at: Instant,
}

/// A row of a posting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The place of the posting.
    pub position: i64,
    /// The account.
    pub account: Account,
    /// The currency.
    pub currency: Currency,
    /// Minor units: plus is debit, minus is credit.
    pub amount: i64,
    /// The country whose tax revenue bears.
    pub country: Option<Country>,
    /// How it is taxed.
    pub treatment: Option<TaxTreatment>,
    /// At which rate, as a fraction.
    pub rate: Option<String>,
    /// The tax on it, in minor units, with the sign of what was sold.
    pub tax: Option<i64>,
}

const NUMBERED: &[(&str, Col)] = &[
    ("position", Col::Int),
    ("order_id", Col::Uid),
    ("posting", Col::Text),
    ("channel_id", Col::Uid),
    ("occurred_at", Col::At),
];

/// Gives the postings of up to so many rows their places, in the order in which they were recorded. How many rows there were.
///
/// # Errors
/// What the database says.
pub fn number(tx: &mut Tx, limit: i64) -> Result<usize> {
    type Types = (UidSql, UidSql, Text, Nullable<UidSql>, InstantSql, Nullable<BigInt>);
    type Row = (LedgerEntryId, OrderId, String, Option<ChannelId>, Instant, Option<i64>);
    let begin =
        "INSERT INTO journal_state (id, last_position, read_to) VALUES (1, 0, NULL) ON CONFLICT (id) DO NOTHING";
    sql(begin).execute(tx)?;
    let lock = dialect::for_update(tx);
    let state = sql(format!("SELECT last_position FROM journal_state WHERE id = 1{lock}"));
    let mut last = state.first::<BigInt, i64>(tx)?.ok_or_else(|| Error::internal("the journal has no state"))?;
    // Rows of a posting may be cut off from the rest of it, or be of before they bore their places: it has its place then.
    let query = "SELECT id, order_id, posting, (SELECT s.channel_id FROM ledger_entries AS s WHERE s.order_id = e.order_id \
                   AND s.channel_id IS NOT NULL LIMIT 1), occurred_at, (SELECT known.position FROM journal_postings AS known \
                   WHERE known.order_id = e.order_id AND known.posting = e.posting) \
                 FROM ledger_entries AS e WHERE e.journal_position IS NULL ORDER BY recorded_at, order_id, posting LIMIT ?";
    let rows = sql(query).bind(limit).load::<Types, Row>(tx)?;
    let mut places: HashMap<(OrderId, &str), i64> = HashMap::new();
    let (mut fresh, mut marks) = (Vec::<Vec<Bind>>::new(), Vec::with_capacity(rows.len()));
    for (id, order, posting, channel, occurred_at, known) in &rows {
        let place = match known.or_else(|| places.get(&(*order, posting.as_str())).copied()) {
            Some(place) => place,
            None => {
                last = last.saturating_add(1);
                places.insert((*order, posting.as_str()), last);
                let row: [Bind; 5] =
                    [last.into(), (*order).into(), posting.as_str().into(), (*channel).into(), (*occurred_at).into()];
                fresh.push(row.into());
                last
            }
        };
        marks.push(json!([order.hex(), id.hex(), place]));
    }
    if !fresh.is_empty() {
        insert_many(tx, "journal_postings", NUMBERED, fresh)?;
    }
    if !marks.is_empty() {
        let list = dialect::list(tx, &[("of_order", Col::Uid), ("entry", Col::Uid), ("place", Col::Int)]);
        let update = format!(
            "UPDATE ledger_entries SET journal_position = list.place FROM {list} \
             WHERE order_id = list.of_order AND id = list.entry"
        );
        sql(update).bind(dialect::rows(marks)).execute(tx)?;
    }
    sql("UPDATE journal_state SET last_position = ? WHERE id = 1").bind(last).execute(tx)?;
    Ok(rows.len())
}

/// Whether there may be postings without a place: a cheap look before [`number`].
///
/// # Errors
/// What the database says.
pub fn any_new(tx: &mut Tx) -> Result<bool> {
    let query = "SELECT 1 FROM ledger_entries WHERE journal_position IS NULL LIMIT 1";
    Ok(sql(query).first::<diesel::sql_types::Integer, i32>(tx)?.is_some())
}

/// Up to so many postings behind a place, in order.
///
/// # Errors
/// What the database says.
pub fn after(tx: &mut Tx, position: i64, limit: i64) -> Result<Vec<Numbered>> {
    type Types = (BigInt, UidSql, Text, Nullable<UidSql>, InstantSql);
    type Row = (i64, OrderId, String, Option<ChannelId>, Instant);
    let query = "SELECT position, order_id, posting, channel_id, occurred_at FROM journal_postings WHERE position > ? \
                 ORDER BY position LIMIT ?";
    let numbered = |(position, order, posting, channel, occurred_at): Row| Numbered {
        position,
        order,
        posting,
        channel,
        occurred_at,
    };
    Ok(sql(query).bind(position).bind(limit).load::<Types, Row>(tx)?.into_iter().map(numbered).collect())
}

/// The last place that was given.
///
/// # Errors
/// What the database says.
pub fn last(tx: &mut Tx) -> Result<i64> {
    let query = "SELECT last_position FROM journal_state WHERE id = 1";
    Ok(sql(query).first::<BigInt, i64>(tx)?.unwrap_or_default())
}

/// The rows of the postings behind one place up to another, in order.
///
/// # Errors
/// What the database says.
pub fn lines(tx: &mut Tx, (behind, up_to): (i64, i64)) -> Result<Vec<Line>> {
    type Types = (BigInt, Text, Text, BigInt, Nullable<Text>, Nullable<Text>, Nullable<Text>, Nullable<BigInt>);
    type Row = (i64, Account, Currency, i64, Option<String>, Option<String>, Option<String>, Option<i64>);
    let query = "SELECT j.position, e.account, e.currency, e.amount, e.country, e.treatment, e.rate, e.tax \
                 FROM journal_postings AS j JOIN ledger_entries AS e ON e.order_id = j.order_id AND e.posting = j.posting \
                 WHERE j.position > ? AND j.position <= ? ORDER BY j.position, e.account, e.rate, e.id";
    let line = |(position, account, currency, amount, country, treatment, rate, tax): Row| Line {
        position,
        account,
        currency,
        amount,
        country: country.and_then(|text| text.parse().ok()),
        treatment: treatment.and_then(|text| text.parse().ok()),
        rate,
        tax,
    };
    Ok(sql(query).bind(behind).bind(up_to).load::<Types, Row>(tx)?.into_iter().map(line).collect())
}

/// What an account of a channel's orders has taken and given in a span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// Where the orders were sold, where their ledgers say so.
    pub channel: Option<ChannelId>,
    /// The order, where its ledger does not say where it was sold.
    pub order: Option<OrderId>,
    /// The account.
    pub account: Account,
    /// The currency.
    pub currency: Currency,
    /// The country whose tax revenue bears.
    pub country: Option<Country>,
    /// At which rate, as a fraction.
    pub rate: Option<String>,
    /// Minor units.
    pub debit: i64,
    /// Minor units, above zero.
    pub credit: i64,
    /// The tax on revenue, in minor units, with the sign of what was sold; the part of it that was taken back too.
    pub tax: i64,
}

/// The sums of postings that happened from one instant on and before another, as far as they are in the journal.
///
/// # Errors
/// What the database says.
pub fn sums(tx: &mut Tx, (from, to): (Instant, Instant)) -> Result<Vec<Sum>> {
    type Types =
        (Nullable<UidSql>, Nullable<UidSql>, Text, Text, Nullable<Text>, Nullable<Text>, BigInt, BigInt, BigInt);
    type Row = (Option<ChannelId>, Option<OrderId>, Account, Currency, Option<String>, Option<String>, i64, i64, i64);
    let query = "SELECT j.channel_id, CASE WHEN j.channel_id IS NULL THEN j.order_id END, e.account, e.currency, e.country, e.rate, \
                   CAST(sum(CASE WHEN e.amount > 0 THEN e.amount ELSE 0 END) AS bigint), \
                   CAST(sum(CASE WHEN e.amount < 0 THEN -e.amount ELSE 0 END) AS bigint), \
                   CAST(coalesce(sum(e.tax), 0) AS bigint) \
                 FROM journal_postings AS j JOIN ledger_entries AS e ON e.order_id = j.order_id AND e.posting = j.posting \
                 WHERE j.occurred_at >= ? AND j.occurred_at < ? \
                 GROUP BY j.channel_id, CASE WHEN j.channel_id IS NULL THEN j.order_id END, e.account, e.currency, e.country, e.rate";
    let sum = |(channel, order, account, currency, country, rate, debit, credit, tax): Row| Sum {
        channel,
        order,
        account,
        currency,
        country: country.and_then(|text| text.parse().ok()),
        rate,
        debit,
        credit,
        tax,
    };
    Ok(sql(query).bind(from).bind(to).load::<Types, Row>(tx)?.into_iter().map(sum).collect())
}
