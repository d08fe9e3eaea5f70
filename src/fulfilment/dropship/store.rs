//! The only file that touches `supplier_orders` and `supplier_invoices`.

use std::collections::HashMap;

use diesel::sql_types::{BigInt, Text};
use serde_json::json;

use super::model::{Answered, SupplierAnswer, SupplierInvoice, SupplierState};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{Currency, Instant, Money, ids::FulfilmentOrderId},
};

fn ids(wanted: &[FulfilmentOrderId]) -> Bind {
    dialect::rows(wanted.iter().map(|id| json!([id.hex()])).collect())
}

/// What has been said of fulfilment orders; one of which nothing was said is absent.
pub(super) fn answers(tx: &mut Tx, wanted: &[FulfilmentOrderId]) -> Result<HashMap<FulfilmentOrderId, Answered>> {
    type Columns = (UidSql, Text, DocSql, BigInt);
    type Row = (FulfilmentOrderId, SupplierState, Doc<SupplierAnswer>, i64);
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT fulfilment_order_id, state, doc, version FROM {list} JOIN supplier_orders ON fulfilment_order_id = wanted"
    );
    let rows = sql(query).bind(ids(wanted)).load::<Columns, Row>(tx)?;
    let answered = |(id, state, Doc(answer), version): Row| (id, Answered { state, answer, version });
    Ok(rows.into_iter().map(answered).collect())
}

/// What is charged for fulfilment orders, by number.
pub(super) fn invoices(
    tx: &mut Tx,
    wanted: &[FulfilmentOrderId],
) -> Result<HashMap<FulfilmentOrderId, Vec<SupplierInvoice>>> {
    type Columns = (UidSql, Text, Text, BigInt, BigInt, InstantSql, InstantSql);
    type Row = (FulfilmentOrderId, String, Currency, i64, i64, Instant, Instant);
    let mut found: HashMap<FulfilmentOrderId, Vec<SupplierInvoice>> = HashMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT fulfilment_order_id, number, currency, net, tax, issued_at, recorded_at \
         FROM {list} JOIN supplier_invoices ON fulfilment_order_id = wanted ORDER BY fulfilment_order_id, number"
    );
    for row in sql(query).bind(ids(wanted)).load::<Columns, Row>(tx)? {
        let (id, number, currency, net, tax, issued_at, recorded_at) = row;
        let (net, tax) = (Money::from_minor(net, currency), Money::from_minor(tax, currency));
        found.entry(id).or_default().push(SupplierInvoice { number, net, tax, issued_at, recorded_at });
    }
    Ok(found)
}

/// Writes what was said over the version before it. False when somebody else has said something meanwhile.
pub(super) fn save(tx: &mut Tx, now: Instant, id: FulfilmentOrderId, said: &Answered) -> Result<bool> {
    let doc = Json::of(&said.answer)?;
    let changed = match said.version {
        1 => sql("INSERT INTO supplier_orders (fulfilment_order_id, state, doc, version, created_at, updated_at) \
                  VALUES (?, ?, ?, 1, ?, ?) ON CONFLICT (fulfilment_order_id) DO NOTHING")
        .bind(id)
        .bind(said.state.as_str())
        .bind(doc)
        .bind(now)
        .bind(now),
        version => sql("UPDATE supplier_orders SET state = ?, doc = ?, version = ?, updated_at = ? \
                        WHERE fulfilment_order_id = ? AND version = ?")
        .bind(said.state.as_str())
        .bind(doc)
        .bind(version)
        .bind(now)
        .bind(id)
        .bind(version - 1),
    };
    Ok(changed.execute(tx)? == 1)
}

/// Lets fulfilment orders have what was said of another that their pieces were taken out of.
pub(in crate::fulfilment) fn inherit(
    tx: &mut Tx,
    now: Instant,
    from: FulfilmentOrderId,
    heirs: &[FulfilmentOrderId],
) -> Result<()> {
    let list = dialect::list(tx, &[("heir", Col::Uid)]);
    let insert = format!(
        "INSERT INTO supplier_orders (fulfilment_order_id, state, doc, version, created_at, updated_at) \
         SELECT list.heir, said.state, said.doc, 1, ?, ? FROM {list} CROSS JOIN supplier_orders AS said \
         WHERE said.fulfilment_order_id = ?"
    );
    sql(insert).bind(now).bind(now).bind(ids(heirs)).bind(from).execute(tx)?;
    Ok(())
}

/// Writes an invoice. False when there is one of its number.
pub(super) fn insert_invoice(tx: &mut Tx, id: FulfilmentOrderId, invoice: &SupplierInvoice) -> Result<bool> {
    let insert = sql("INSERT INTO supplier_invoices \
                      (fulfilment_order_id, number, currency, net, tax, issued_at, recorded_at) \
                      VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (fulfilment_order_id, number) DO NOTHING")
    .bind(id)
    .bind(invoice.number.as_str())
    .bind(invoice.net.currency())
    .bind(invoice.net.minor())
    .bind(invoice.tax.minor())
    .bind(invoice.issued_at)
    .bind(invoice.recorded_at);
    Ok(insert.execute(tx)? == 1)
}
