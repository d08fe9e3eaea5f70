//! Saying that goods of an order have come back. Who has to know, orders do not.

use super::document::OrderDocument;
use crate::{
    db::Tx,
    error::Result,
    jobs::{self, NewJob},
    kernel::{Instant, ids::JobId},
};

/// The kind of the job that sees to what follows from goods that have come back.
pub const CAME_BACK: &str = "orders.came-back";

/// Has somebody look, after this transaction, at what follows from goods of an order that come back by it. One statement.
///
/// # Errors
/// What the database says.
pub fn came_back_later(tx: &mut Tx, now: Instant, order: &OrderDocument, id: JobId) -> Result<()> {
    let job = NewJob { id, ..NewJob::now(CAME_BACK, now, serde_json::json!({"order": order.id})) };
    jobs::enqueue(tx, now, vec![job.in_order(format!("came-back:{}", order.id))])
}
