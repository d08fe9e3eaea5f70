//! Fulfilment orders, shipments and returns as they are now, many at once, for those who keep copies of them.

use serde_json::Value;

use super::{
    model::{FulfilmentOrder, Shipment},
    returns::{self, Return},
    store,
    told::Parcel,
};
use crate::{
    db::Tx,
    error::Result,
    kernel::ids::{FulfilmentOrderId, ReturnId, ShipmentId},
    orders::OrderHead,
};

/// Fulfilment orders by their ids: two statements. Those that are not there are left out.
///
/// # Errors
/// What the database says.
pub fn orders_by_ids(tx: &mut Tx, ids: &[FulfilmentOrderId]) -> Result<Vec<FulfilmentOrder>> {
    if ids.is_empty() { Ok(Vec::new()) } else { store::by_ids(tx, ids) }
}

/// Fulfilment orders after one of them in the order of their ids: two statements.
///
/// # Errors
/// What the database says.
pub fn orders_after(tx: &mut Tx, after: Option<FulfilmentOrderId>, limit: i64) -> Result<Vec<FulfilmentOrder>> {
    store::after(tx, after, limit)
}

/// Shipments by their ids. Those that are not there are left out.
///
/// # Errors
/// What the database says.
pub fn shipments_by_ids(tx: &mut Tx, ids: &[ShipmentId]) -> Result<Vec<Shipment>> {
    if ids.is_empty() { Ok(Vec::new()) } else { store::shipments_by_ids(tx, ids) }
}

/// The shipments that a carrier calls by a number, up to ten.
///
/// # Errors
/// What the database says.
pub fn shipments_by_number(tx: &mut Tx, number: &str) -> Result<Vec<ShipmentId>> {
    store::by_number(tx, number)
}

/// Shipments after one of them in the order of their ids.
///
/// # Errors
/// What the database says.
pub fn shipments_after(tx: &mut Tx, after: Option<ShipmentId>, limit: i64) -> Result<Vec<Shipment>> {
    store::shipments_after(tx, after, limit)
}

/// A shipment as its events carry it, with where its order stands.
///
/// # Errors
/// When it can not be written as JSON, which would be a defect.
pub fn parcel(order: &OrderHead, shipment: &Shipment) -> Result<Value> {
    Ok(serde_json::to_value(Parcel {
        shipment,
        order_number: &order.number,
        order_state: order.state,
        payment_state: order.payment_state,
        order_fulfilment_state: order.fulfilment_state,
    })?)
}

/// Returns by their ids. Those that are not there are left out.
///
/// # Errors
/// What the database says.
pub fn returns_by_ids(tx: &mut Tx, ids: &[ReturnId]) -> Result<Vec<Return>> {
    if ids.is_empty() { Ok(Vec::new()) } else { returns::by_ids(tx, ids) }
}

/// Returns after one of them in the order of their ids.
///
/// # Errors
/// What the database says.
pub fn returns_after(tx: &mut Tx, after: Option<ReturnId>, limit: i64) -> Result<Vec<Return>> {
    returns::after(tx, after, limit)
}
