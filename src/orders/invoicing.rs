//! How an order is invoiced, and asking for what is to be invoiced now. Who writes invoices, orders do not know.

use super::{document::OrderDocument, store};
use crate::{
    channels::Invoicing,
    db::Tx,
    error::Result,
    jobs::{self, NewJob},
    kernel::{
        Instant,
        ids::{JobId, OrderId},
    },
};

/// The kind of the job that sees to it that what has happened to an order is invoiced.
pub const INVOICE: &str = "orders.invoice";

/// Has somebody look, after this transaction, whether an invoice or a credit note follows from what it does to an order. One statement;
/// none where Kontor does not invoice the order.
///
/// # Errors
/// What the database says.
pub fn invoice_later(tx: &mut Tx, now: Instant, order: &OrderDocument, id: JobId) -> Result<()> {
    if !order.invoicing.is_some_and(Invoicing::is_own) {
        return Ok(());
    }
    let job = NewJob { id, ..NewJob::now(INVOICE, now, serde_json::json!({"order": order.id})) };
    jobs::enqueue(tx, now, vec![job.in_order(format!("invoice:{}", order.id))])
}

/// Whether anything is invoiced as soon as an order is placed: all of it, or what is never shipped where nothing is.
#[must_use]
pub fn is_invoiced_at_once(order: &OrderDocument) -> bool {
    let shipped = order.lines.iter().any(|line| line.requires_shipping);
    order.invoicing == Some(Invoicing::AtOrder) || (order.invoicing == Some(Invoicing::AtShipment) && !shipped)
}

/// Says from now on how a locked order is invoiced.
///
/// # Errors
/// What the database says.
pub fn set_invoicing(tx: &mut Tx, id: OrderId, invoicing: Invoicing) -> Result<()> {
    store::save_detail(tx, id, "invoicing", serde_json::to_value(invoicing)?)
}
