//! The only file that touches `quotes`.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::model::{Details, Quote, QuoteState};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Currency, Instant,
        ids::{CartId, ChannelId, CompanyId, CustomerId, OrderId, QuoteId},
    },
};

#[rustfmt::skip]
type Types = (
    UidSql, Text, UidSql, UidSql, Nullable<UidSql>, UidSql, Text, Text, Nullable<InstantSql>, Nullable<UidSql>, DocSql, BigInt,
    InstantSql, InstantSql,
);
#[rustfmt::skip]
type Row = (
    QuoteId, String, ChannelId, CustomerId, Option<CompanyId>, CartId, QuoteState, Currency, Option<Instant>, Option<OrderId>,
    Doc<Details>, i64, Instant, Instant,
);
const READ: &str = "id, number, channel_id, customer_id, company_id, cart_id, state, currency, valid_until, order_id, doc, version, \
                    created_at, updated_at";

fn quote(row: Row) -> Quote {
    let (id, number, channel_id, customer_id, company_id, cart_id, state, currency, valid_until, order_id, ..) = row;
    let (doc, version, created_at, updated_at) = (row.10.0, row.11, row.12, row.13);
    let Details { lines, terms, rounds, .. } = doc.clone();
    Quote {
        id,
        number,
        channel_id,
        customer_id,
        company_id,
        cart_id,
        state,
        currency,
        valid_until,
        order_id,
        lines,
        terms,
        rounds,
        to: doc,
        version,
        created_at,
        updated_at,
    }
}

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<Quote>> {
    Ok(query.load::<Types, Row>(tx)?.into_iter().map(quote).collect())
}

pub(super) fn insert(tx: &mut Tx, new: &Quote) -> Result<()> {
    sql(format!("INSERT INTO quotes ({READ}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        .bind(new.id)
        .bind(new.number.as_str())
        .bind(new.channel_id)
        .bind(new.customer_id)
        .bind(new.company_id)
        .bind(new.cart_id)
        .bind(new.state.as_str())
        .bind(new.currency)
        .bind(new.valid_until)
        .bind(new.order_id)
        .bind(Json::of(&new.details())?)
        .bind(new.version)
        .bind(new.created_at)
        .bind(new.updated_at)
        .execute(tx)?;
    Ok(())
}

/// The quote with a number; letters may be small.
pub(super) fn numbered(tx: &mut Tx, number: &str) -> Result<Vec<Quote>> {
    let query = sql(format!("SELECT {READ} FROM quotes WHERE number IN (?, ?) ORDER BY id DESC"));
    load(tx, query.bind(number).bind(number.to_uppercase()))
}

pub(super) fn read(tx: &mut Tx, id: QuoteId) -> Result<Option<Quote>> {
    Ok(load(tx, sql(format!("SELECT {READ} FROM quotes WHERE id = ?")).bind(id))?.pop())
}

/// The same, locked until the end of the transaction.
pub(super) fn lock(tx: &mut Tx, id: QuoteId) -> Result<Option<Quote>> {
    let lock = dialect::for_update(tx);
    Ok(load(tx, sql(format!("SELECT {READ} FROM quotes WHERE id = ?{lock}")).bind(id))?.pop())
}

/// Writes a quote over the version that was read. False when it has changed since.
pub(super) fn update(tx: &mut Tx, quote: &Quote) -> Result<bool> {
    let update = sql(
        "UPDATE quotes SET state = ?, valid_until = ?, order_id = ?, doc = ?, version = version + 1, updated_at = ? \
                      WHERE id = ? AND version = ?",
    )
    .bind(quote.state.as_str())
    .bind(quote.valid_until)
    .bind(quote.order_id)
    .bind(Json::of(&quote.details())?)
    .bind(quote.updated_at)
    .bind(quote.id)
    .bind(quote.version);
    Ok(update.execute(tx)? == 1)
}

/// Those whose time is over, the longest first.
pub(super) fn due(tx: &mut Tx, now: Instant, limit: i64) -> Result<Vec<QuoteId>> {
    let query = "SELECT id FROM quotes WHERE state IN ('offered', 'accepted') AND valid_until <= ? ORDER BY valid_until LIMIT ?";
    sql(query).bind(now).bind(limit).load::<UidSql, QuoteId>(tx)
}

/// Quotes that were accepted and know no order yet, after one of them, with their carts.
pub(super) fn accepted(tx: &mut Tx, after: Option<QuoteId>, limit: i64) -> Result<Vec<(QuoteId, CartId)>> {
    let after = after.unwrap_or(QuoteId::from_bytes([0; 16]));
    let query = "SELECT id, cart_id FROM quotes WHERE state = 'accepted' AND id > ? ORDER BY id LIMIT ?";
    sql(query).bind(after).bind(limit).load::<(UidSql, UidSql), (QuoteId, CartId)>(tx)
}

/// What a list is narrowed to.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub customer: Option<CustomerId>,
    pub company: Option<CompanyId>,
    pub state: Option<QuoteState>,
    /// The channels that are seen; all where `None`.
    pub channels: Option<Vec<ChannelId>>,
}

/// A page, the newest first.
pub(super) fn page(tx: &mut Tx, filter: &Filter, before: Option<QuoteId>, limit: i64) -> Result<Vec<Quote>> {
    let (mut text, mut binds) = (String::from("WHERE true"), Vec::<Bind>::new());
    if let Some(customer) = filter.customer {
        text.push_str(" AND customer_id = ?");
        binds.push(customer.into());
    }
    if let Some(company) = filter.company {
        text.push_str(" AND company_id = ?");
        binds.push(company.into());
    }
    if let Some(state) = filter.state {
        text.push_str(" AND state = ?");
        binds.push(state.as_str().into());
    }
    if let Some(channels) = &filter.channels {
        let list = dialect::list(tx, &[("wanted", Col::Uid)]);
        text.push_str(&format!(" AND channel_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect()));
    }
    if let Some(before) = before {
        text.push_str(" AND id < ?");
        binds.push(before.into());
    }
    let query = format!("SELECT {READ} FROM quotes {text} ORDER BY id DESC LIMIT ?");
    load(tx, sql(query).bind_all(binds).bind(limit))
}

/// The quotes of a customer behind one of them, in the order of their ids.
pub(super) fn of_customer_after(
    tx: &mut Tx,
    customer: CustomerId,
    after: Option<QuoteId>,
    limit: i64,
) -> Result<Vec<Quote>> {
    let after = after.unwrap_or(QuoteId::from_bytes([0; 16]));
    let query = format!("SELECT {READ} FROM quotes WHERE customer_id = ? AND id > ? ORDER BY id LIMIT ?");
    load(tx, sql(query).bind(customer).bind(after).bind(limit))
}

/// The quotes of a customer, locked in the order of their ids.
pub(super) fn of_customer(tx: &mut Tx, customer: CustomerId) -> Result<Vec<Quote>> {
    let lock = dialect::for_update(tx);
    load(tx, sql(format!("SELECT {READ} FROM quotes WHERE customer_id = ? ORDER BY id{lock}")).bind(customer))
}
