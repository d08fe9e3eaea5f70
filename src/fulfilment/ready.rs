//! What waits for customers who pick it up.

use super::{
    model::{FulfilmentOrder, FulfilmentState},
    store,
    told::{READY, change},
};
use crate::{db::Tx, error::Result, events::Payload, kernel::Instant, orders::OrderDocument, stock};

/// Lets a fulfilment order of a locked order whose state has just changed be ready for its customer, if all that is left of it is packed and
/// they pick it up: until when it is kept is written, and what this gives tells of it. What is not so any more, or has been handed over, is
/// kept no longer. No statement where nothing changes, as for all that is shipped.
///
/// # Errors
/// What the database says.
pub(super) fn follow(
    tx: &mut Tx,
    now: Instant,
    order: &OrderDocument,
    work: &mut FulfilmentOrder,
) -> Result<Option<(&'static str, Payload)>> {
    let delivery = order.delivery(work.delivery_key());
    let is_ready = work.state == FulfilmentState::Packed && delivery.is_some_and(|delivery| delivery.pickup.is_some());
    if is_ready == work.collect_by.is_some() {
        return Ok(None);
    }
    work.collect_by = match is_ready {
        true => Some(stock::location(tx, work.location_id)?.collect_by(now)),
        false => None,
    };
    store::save_plan(tx, work)?;
    Ok(if is_ready { Some((READY, change(work, Vec::new(), None, &[])?)) } else { None })
}
