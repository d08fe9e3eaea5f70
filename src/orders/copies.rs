//! Orders as they are now, many at once, for those who keep copies of them.

use std::collections::HashMap;

use super::{
    document::{ExternalRef, OrderDocument},
    model::{FulfilmentStatus, OrderState, PaymentStatus},
    service, store,
};
use crate::{
    db::Tx,
    error::Result,
    kernel::ids::{ChannelId, OrderId},
};

/// What others show of an order beside their own things.
#[derive(Debug, Clone)]
pub struct OrderHead {
    /// Its id.
    pub id: OrderId,
    /// The number that people use.
    pub number: String,
    /// Where it was sold.
    pub channel_id: ChannelId,
    /// Rises with every event of the order.
    pub version: i64,
    /// Whether it still moves.
    pub state: OrderState,
    /// Where the money stands.
    pub payment_state: PaymentStatus,
    /// Where the goods stand.
    pub fulfilment_state: FulfilmentStatus,
}

/// Orders, whole, in the order of the ids given: four statements. Those that are not there are left out.
///
/// # Errors
/// What the database says.
pub fn by_ids(tx: &mut Tx, ids: &[OrderId]) -> Result<Vec<OrderDocument>> {
    let mut documents = service::documents(tx, ids)?;
    let mut refs: HashMap<OrderId, Vec<ExternalRef>> = HashMap::new();
    if !documents.is_empty() {
        for (order, reference) in store::refs_of(tx, ids)? {
            refs.entry(order).or_default().push(reference);
        }
    }
    for document in &mut documents {
        document.external_refs = refs.remove(&document.id).unwrap_or_default();
    }
    Ok(documents)
}

/// Orders, whole, after one of them in the order of their ids: five statements.
///
/// # Errors
/// What the database says.
pub fn page_after(tx: &mut Tx, after: Option<OrderId>, limit: i64) -> Result<Vec<OrderDocument>> {
    let ids = store::ids_after(tx, after, limit)?;
    by_ids(tx, &ids)
}

/// For how many days goods of lots must still keep when they leave with these orders, those that ask for it: one statement.
///
/// # Errors
/// What the database says.
pub fn shelf_lives(tx: &mut Tx, ids: &[OrderId]) -> Result<HashMap<OrderId, i64>> {
    if ids.is_empty() { Ok(HashMap::new()) } else { store::shelf_lives(tx, ids) }
}

/// What others show of these orders: one statement.
///
/// # Errors
/// What the database says.
pub fn heads(tx: &mut Tx, ids: &[OrderId]) -> Result<HashMap<OrderId, OrderHead>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(store::heads(tx, ids)?.into_iter().map(|head| (head.id, head)).collect())
}
