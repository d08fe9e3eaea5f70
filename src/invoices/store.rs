//! The only file that touches `invoice_series` and `invoice_documents`. One statement
//! changes a document, once: it takes out what is personal after the document had to be kept.

use chrono::NaiveDate;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::model::{BillKind, Invoice, InvoiceSummary, fingerprint};
use crate::{
    db::{Bind, Col, InstantSql, Sql, Tx, UidSql, dialect, sql},
    error::{Error, Result},
    kernel::{
        Currency, Instant, Money,
        ids::{BillId, ChannelId, LegalEntityId, OrderId},
    },
};

/// Takes the next number of a series: which it is, and the day that the document bears, which is none before its predecessor's. One
/// guarded row; it is held until the transaction ends, so this comes as late in it as can be.
pub(super) fn next_number(
    tx: &mut Tx,
    entity: LegalEntityId,
    series: &str,
    day: NaiveDate,
) -> Result<(i64, NaiveDate)> {
    let query = sql("INSERT INTO invoice_series (legal_entity_id, series, last, last_on) VALUES (?, ?, 1, ?) \
         ON CONFLICT (legal_entity_id, series) DO UPDATE SET last = invoice_series.last + 1, \
         last_on = CASE WHEN invoice_series.last_on > excluded.last_on THEN invoice_series.last_on ELSE excluded.last_on END \
         RETURNING last, last_on");
    let query = query.bind(entity).bind(series).bind(day.to_string());
    let taken = query.first::<(BigInt, Text), (i64, String)>(tx)?;
    let (last, on) = taken.ok_or_else(|| Error::internal("a series of invoices gave no number"))?;
    Ok((last, read_day(&on)?))
}

fn read_day(text: &str) -> Result<NaiveDate> {
    text.parse().map_err(Error::internal)
}

/// Writes a document that has its number.
///
/// # Errors
/// A UNIQUE violation where the order has one of the same cause.
pub(super) fn insert(tx: &mut Tx, now: Instant, made: &Invoice, (series, sequence): (&str, i64)) -> Result<()> {
    let document = serde_json::to_string(made)?;
    let hash = fingerprint(&document);
    sql("INSERT INTO invoice_documents (id, kind, legal_entity_id, channel_id, order_id, order_number, cause, series, sequence, \
         number, issued_on, due_on, retain_until, currency, net, tax, total, document, sha256, recorded_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(made.id)
    .bind(made.kind.as_str())
    .bind(made.legal_entity_id)
    .bind(made.channel_id)
    .bind(made.order_id)
    .bind(made.order_number.as_str())
    .bind(made.cause.as_str())
    .bind(series)
    .bind(sequence)
    .bind(made.number.clone().unwrap_or_default())
    .bind(made.issued_on.to_string())
    .bind(made.due_on.to_string())
    .bind(made.retain_until.to_string())
    .bind(made.currency)
    .bind(made.net.minor())
    .bind(made.tax.minor())
    .bind(made.total.minor())
    .bind(document)
    .bind(hash)
    .bind(now)
    .execute(tx)?;
    Ok(())
}

fn documents(tx: &mut Tx, query: Sql) -> Result<Vec<Invoice>> {
    let found = query.load::<Text, String>(tx)?;
    found.iter().map(|text| crate::kernel::stored::from_slice(text.as_bytes()).map_err(Error::from)).collect()
}

/// An order's documents, in the order in which they were issued.
pub(super) fn of_order(tx: &mut Tx, order: OrderId) -> Result<Vec<Invoice>> {
    documents(tx, sql("SELECT document FROM invoice_documents WHERE order_id = ? ORDER BY recorded_at, id").bind(order))
}

/// A document by its id.
pub(super) fn get(tx: &mut Tx, id: BillId) -> Result<Option<Invoice>> {
    Ok(documents(tx, sql("SELECT document FROM invoice_documents WHERE id = ?").bind(id))?.pop())
}

/// Documents after one of them, in the order of their ids.
pub(super) fn after(tx: &mut Tx, after: Option<BillId>, limit: i64) -> Result<Vec<Invoice>> {
    let after = after.unwrap_or(BillId::from_bytes([0; 16]));
    documents(
        tx,
        sql("SELECT document FROM invoice_documents WHERE id > ? ORDER BY id LIMIT ?").bind(after).bind(limit),
    )
}

/// The documents of orders, behind one of them, in the order of their ids.
pub(super) fn of_orders(tx: &mut Tx, orders: &[OrderId], after: Option<BillId>, limit: i64) -> Result<Vec<Invoice>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT document FROM invoice_documents WHERE order_id IN (SELECT wanted FROM {list}) AND id > ? ORDER BY id LIMIT ?"
    );
    let wanted = dialect::rows(orders.iter().map(|id| serde_json::json!([id.hex()])).collect());
    let after = after.unwrap_or(BillId::from_bytes([0; 16]));
    documents(tx, sql(query).bind(wanted).bind(after).bind(limit))
}

/// The documents of a number: several legal entities may have it.
pub(super) fn by_number(tx: &mut Tx, number: &str) -> Result<Vec<Invoice>> {
    documents(tx, sql("SELECT document FROM invoice_documents WHERE number = ? ORDER BY id LIMIT 10").bind(number))
}

/// Up to so many documents that had to be kept until a day before this one and tell who has bought still, those that were due first first, locked.
pub(super) fn outlived(tx: &mut Tx, day: NaiveDate, limit: i64) -> Result<Vec<Invoice>> {
    let lock = dialect::for_update(tx);
    let query = format!(
        "SELECT document FROM invoice_documents WHERE redacted_at IS NULL AND retain_until < ? \
         ORDER BY retain_until, id LIMIT ?{lock}"
    );
    documents(tx, sql(query).bind(day.to_string()).bind(limit))
}

/// Writes what is left of a document that had to be kept until a day before this one. False where that was done before.
pub(super) fn redact(tx: &mut Tx, now: Instant, day: NaiveDate, left: &Invoice) -> Result<bool> {
    let document = serde_json::to_string(left)?;
    let hash = fingerprint(&document);
    let update = sql("UPDATE invoice_documents SET document = ?, sha256 = ?, redacted_at = ? \
         WHERE id = ? AND redacted_at IS NULL AND retain_until < ?");
    let update = update.bind(document).bind(hash).bind(now).bind(left.id).bind(day.to_string());
    Ok(update.execute(tx)? == 1)
}

/// Which documents are listed.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub order: Option<OrderId>,
    pub number: Option<String>,
    pub entity: Option<LegalEntityId>,
    pub kind: Option<BillKind>,
    pub from: Option<NaiveDate>,
    pub to: Option<NaiveDate>,
}

/// The place of a document in a list: newest first.
pub(super) type Place = (NaiveDate, BillId);

type Columns = (
    UidSql,
    Text,
    Text,
    UidSql,
    UidSql,
    UidSql,
    Text,
    Text,
    Text,
    Text,
    Text,
    BigInt,
    BigInt,
    BigInt,
    Nullable<InstantSql>,
);
type Row = (
    BillId,
    BillKind,
    String,
    LegalEntityId,
    ChannelId,
    OrderId,
    String,
    String,
    String,
    String,
    Currency,
    i64,
    i64,
    i64,
    Option<Instant>,
);
const SELECTED: &str = "id, kind, number, legal_entity_id, channel_id, order_id, order_number, cause, issued_on, due_on, \
     currency, net, tax, total, redacted_at";

fn summary(row: Row) -> Result<InvoiceSummary> {
    let (id, kind, number, legal_entity_id, channel_id, order_id, order_number, cause, issued_on, due_on, ..) = row;
    let (.., currency, net, tax, total, redacted_at) = row;
    let money = |minor: i64| Money::from_minor(minor, currency);
    Ok(InvoiceSummary {
        id,
        kind,
        number,
        legal_entity_id,
        channel_id,
        order_id,
        order_number,
        cause,
        issued_on: read_day(&issued_on)?,
        due_on: read_day(&due_on)?,
        net: money(net),
        tax: money(tax),
        total: money(total),
        redacted_at,
    })
}

/// Documents after one of them, newest first.
pub(super) fn page(tx: &mut Tx, filter: &Filter, after: Option<Place>, limit: i64) -> Result<Vec<InvoiceSummary>> {
    let (mut conditions, mut binds): (Vec<&str>, Vec<Bind>) = (Vec::new(), Vec::new());
    let mut add = |condition: &'static str, given: Vec<Option<Bind>>| {
        if given.iter().all(Option::is_some) {
            conditions.push(condition);
            binds.extend(given.into_iter().flatten());
        }
    };
    add("order_id = ?", vec![filter.order.map(Into::into)]);
    add("number = ?", vec![filter.number.clone().map(Into::into)]);
    add("legal_entity_id = ?", vec![filter.entity.map(Into::into)]);
    add("kind = ?", vec![filter.kind.map(|kind| kind.as_str().into())]);
    add("issued_on >= ?", vec![filter.from.map(|day| day.to_string().into())]);
    add("issued_on <= ?", vec![filter.to.map(|day| day.to_string().into())]);
    add("(issued_on, id) < (?, ?)", vec![after.map(|(day, _)| day.to_string().into()), after.map(|(_, id)| id.into())]);
    let narrowed = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    let query =
        sql(format!("SELECT {SELECTED} FROM invoice_documents {narrowed} ORDER BY issued_on DESC, id DESC LIMIT ?"));
    let found = query.bind_all(binds).bind(limit).load::<Columns, Row>(tx)?;
    found.into_iter().map(summary).collect()
}
