//! The only file that touches `invoices`.

use diesel::sql_types::{BigInt, Text};

use super::model::{Invoice, InvoiceDetails, InvoiceKind};
use crate::{
    db::{Doc, DocSql, InstantSql, Tx, UidSql, sql},
    error::Result,
    kernel::{
        Currency, Id, Instant, Money,
        ids::{InvoiceId, OrderId},
    },
};

/// Writes an invoice. False when its number has been recorded before.
pub(super) fn insert(tx: &mut Tx, invoice: &Invoice) -> Result<bool> {
    let details = InvoiceDetails { order_number: invoice.order_number.clone(), url: invoice.url.clone() };
    let insert = sql(
        "INSERT INTO invoices (id, order_id, kind, system, number, currency, amount, issued_at, doc, recorded_at) \
                      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (system, kind, number) DO NOTHING",
    )
    .bind(invoice.id)
    .bind(invoice.order_id)
    .bind(invoice.kind.as_str())
    .bind(invoice.system.as_str())
    .bind(invoice.number.as_str())
    .bind(invoice.amount.currency())
    .bind(invoice.amount.minor())
    .bind(invoice.issued_at)
    .bind(Doc(serde_json::to_value(details)?))
    .bind(invoice.recorded_at);
    Ok(insert.execute(tx)? == 1)
}

type Columns = (UidSql, UidSql, Text, Text, Text, Text, BigInt, InstantSql, DocSql, InstantSql);
#[rustfmt::skip]
type Row = (InvoiceId, OrderId, InvoiceKind, String, String, Currency, i64, Instant, Doc<InvoiceDetails>, Instant);
const SELECTED: &str = "id, order_id, kind, system, number, currency, amount, issued_at, doc, recorded_at";

fn invoice((id, order_id, kind, system, number, currency, amount, issued_at, Doc(doc), recorded_at): Row) -> Invoice {
    Invoice {
        id,
        order_id,
        order_number: doc.order_number,
        kind,
        system,
        number,
        amount: Money::from_minor(amount, currency),
        issued_at,
        url: doc.url,
        recorded_at,
    }
}

/// The invoice of a number.
pub(super) fn find(tx: &mut Tx, system: &str, kind: InvoiceKind, number: &str) -> Result<Option<Invoice>> {
    let query = sql(format!("SELECT {SELECTED} FROM invoices WHERE system = ? AND kind = ? AND number = ?"));
    let found = query.bind(system).bind(kind.as_str()).bind(number).first::<Columns, Row>(tx)?;
    Ok(found.map(invoice))
}

/// Recorded invoices after one of them, in the order of their ids.
///
/// # Errors
/// What the database says.
pub fn after(tx: &mut Tx, after: Option<InvoiceId>, limit: i64) -> Result<Vec<Invoice>> {
    let after = after.unwrap_or(Id::from_bytes([0; 16]));
    let query = sql(format!("SELECT {SELECTED} FROM invoices WHERE id > ? ORDER BY id LIMIT ?"));
    Ok(query.bind(after).bind(limit).load::<Columns, Row>(tx)?.into_iter().map(invoice).collect())
}
