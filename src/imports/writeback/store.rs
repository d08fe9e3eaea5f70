//! The only file that touches `invoices`.

use diesel::sql_types::{BigInt, Text};

use super::model::{Invoice, InvoiceDetails, InvoiceKind};
use crate::{
    db::{Doc, DocSql, InstantSql, Tx, UidSql, sql},
    error::Result,
    kernel::{
        Currency, Instant, Money,
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

/// The invoice of a number.
pub(super) fn find(tx: &mut Tx, system: &str, kind: InvoiceKind, number: &str) -> Result<Option<Invoice>> {
    type Columns = (UidSql, UidSql, Text, Text, Text, Text, BigInt, InstantSql, DocSql, InstantSql);
    #[rustfmt::skip]
    type Row = (InvoiceId, OrderId, InvoiceKind, String, String, Currency, i64, Instant, Doc<InvoiceDetails>, Instant);
    let query = sql("SELECT id, order_id, kind, system, number, currency, amount, issued_at, doc, recorded_at \
                     FROM invoices WHERE system = ? AND kind = ? AND number = ?");
    let found = query.bind(system).bind(kind.as_str()).bind(number).first::<Columns, Row>(tx)?;
    let invoice =
        |(id, order_id, kind, system, number, currency, amount, issued_at, Doc(doc), recorded_at): Row| Invoice {
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
        };
    Ok(found.map(invoice))
}
