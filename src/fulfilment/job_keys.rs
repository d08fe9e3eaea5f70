//! The jobs of an order's fulfilment: by which keys they are found, and whose they are.

use std::collections::HashMap;

use super::{carriers, store};
use crate::{
    db::Tx,
    error::Result,
    kernel::ids::{CarrierLabelId, FulfilmentOrderId, OrderId},
};

const REPLAN: &str = "replan:";
const PROMISE: &str = "promise:";
const LABEL: &str = "label:";

/// The ordering keys of the jobs that plan an order's fulfilment orders anew, look at its promise, and buy labels for its packages. One
/// statement.
///
/// # Errors
/// What the database says.
pub fn job_keys(tx: &mut Tx, order: OrderId, work: &[FulfilmentOrderId]) -> Result<Vec<String>> {
    let mut keys = vec![format!("{PROMISE}{order}")];
    keys.extend(work.iter().map(|id| format!("{REPLAN}{id}")));
    keys.extend(carriers::labels_of_order(tx, order)?.iter().map(|id| format!("{LABEL}{id}")));
    Ok(keys)
}

/// Of which orders jobs are that have such keys; those of other keys are absent. Two statements, none where there is no such key.
///
/// # Errors
/// What the database says.
pub fn orders_of_keys(tx: &mut Tx, keys: &[&str]) -> Result<HashMap<String, OrderId>> {
    fn named<T: std::str::FromStr>(keys: &[&str], prefix: &str) -> Vec<T> {
        keys.iter().filter_map(|key| key.strip_prefix(prefix)?.parse().ok()).collect()
    }
    let mut found = HashMap::new();
    let works: Vec<FulfilmentOrderId> = named(keys, REPLAN);
    if !works.is_empty() {
        let orders = store::orders_of(tx, &works)?;
        found.extend(orders.into_iter().map(|(work, order)| (format!("{REPLAN}{work}"), order)));
    }
    let labels: Vec<CarrierLabelId> = named(keys, LABEL);
    if !labels.is_empty() {
        let orders = carriers::orders_of_labels(tx, &labels)?;
        found.extend(orders.into_iter().map(|(label, order)| (format!("{LABEL}{label}"), order)));
    }
    let promises: Vec<OrderId> = named(keys, PROMISE);
    found.extend(promises.into_iter().map(|order| (format!("{PROMISE}{order}"), order)));
    Ok(found)
}
