//! By what orders are found: of the first delivery in their own rows, of the others in `order_contacts`, which this file alone touches.

use diesel::sql_types::BigInt;

use super::store::wanted;
use crate::{
    db::{Bind, Col, Tx, UidSql, dialect, insert_many, sql},
    error::Result,
    kernel::{Id, Instant, ids::OrderId},
};

/// By what an order is found, of one of its deliveries beside the first: each in the form in which it is searched.
#[derive(Debug, Clone)]
pub(super) struct Contact {
    /// The delivery's place among the order's, from 0.
    pub delivery: i64,
    pub name: String,
    pub postcode: Option<String>,
    pub phone: Option<String>,
}

/// Notes by what an order is found beside its own row; no statement where there is nothing.
pub(super) fn insert_contacts(tx: &mut Tx, (order, placed_at): (OrderId, Instant), all: &[Contact]) -> Result<()> {
    const COLUMNS: &[(&str, Col)] = &[
        ("order_id", Col::Uid),
        ("delivery", Col::Int),
        ("name_folded", Col::Text),
        ("postcode_folded", Col::Text),
        ("phone_digits", Col::Text),
        ("placed_at", Col::At),
    ];
    let row = |one: &Contact| -> Vec<Bind> {
        let (postcode, phone) = (one.postcode.clone(), one.phone.clone());
        vec![
            order.into(),
            one.delivery.into(),
            one.name.as_str().into(),
            postcode.into(),
            phone.into(),
            placed_at.into(),
        ]
    };
    if all.is_empty() {
        return Ok(());
    }
    insert_many(tx, "order_contacts", COLUMNS, all.iter().map(row).collect()).map(|_| ())
}

/// Writes by what a locked order is found itself.
pub(super) fn save_contact(tx: &mut Tx, order: OrderId, contact: &Contact) -> Result<()> {
    let update = sql("UPDATE orders SET name_folded = ?, postcode_folded = ?, phone_digits = ? WHERE id = ?");
    let update = update.bind(contact.name.as_str()).bind(contact.postcode.clone()).bind(contact.phone.clone());
    update.bind(order).execute(tx).map(|_| ())
}

/// Writes by what a locked order is found of one of its further deliveries; what has no row yet gets it with the others.
pub(super) fn save_further_contact(tx: &mut Tx, order: OrderId, contact: &Contact) -> Result<()> {
    let update = sql("UPDATE order_contacts SET name_folded = ?, postcode_folded = ?, phone_digits = ? \
                      WHERE order_id = ? AND delivery = ?");
    let update = update.bind(contact.name.as_str()).bind(contact.postcode.clone()).bind(contact.phone.clone());
    update.bind(order).bind(contact.delivery).execute(tx).map(|_| ())
}

/// Orders of several deliveries, after one of them, that are not found by their further ones: processes of older versions have placed them.
pub(super) fn without_contacts(tx: &mut Tx, after: Option<OrderId>, limit: i64) -> Result<Vec<OrderId>> {
    let after = after.unwrap_or(Id::from_bytes([0; 16]));
    // As the index `orders_several` has it.
    let query = "SELECT id FROM orders WHERE doc->'deliveries'->1 IS NOT NULL AND id > ? \
                 AND NOT EXISTS (SELECT 1 FROM order_contacts WHERE order_id = orders.id) ORDER BY id LIMIT ?";
    sql(query).bind(after).bind(limit).load::<UidSql, OrderId>(tx)
}

/// Up to so many orders that were erased and are still found by their further deliveries' addresses.
pub(super) fn erased_with_contacts(tx: &mut Tx, limit: i64) -> Result<Vec<OrderId>> {
    let query = "SELECT DISTINCT c.order_id FROM order_contacts AS c JOIN orders AS o ON o.id = c.order_id \
                 WHERE c.name_folded <> '' AND o.name_folded = '' AND o.email_folded IS NULL LIMIT ?";
    sql(query).bind(limit).load::<UidSql, OrderId>(tx)
}

/// Forgets by what orders are found that were erased: nothing else is known of their shoppers.
pub(super) fn forget_contacts(tx: &mut Tx, erased: &[OrderId]) -> Result<()> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let bare = format!(
        "UPDATE order_contacts SET name_folded = '', postcode_folded = NULL, phone_digits = NULL \
         WHERE order_id IN (SELECT wanted FROM {list})"
    );
    sql(bare).bind(wanted(erased)).execute(tx).map(|_| ())
}

/// Whether an order is found by the addresses of its further deliveries.
pub(super) fn has_contacts(tx: &mut Tx, id: OrderId) -> Result<bool> {
    let query = sql("SELECT delivery FROM order_contacts WHERE order_id = ? LIMIT 1").bind(id);
    Ok(query.first::<BigInt, i64>(tx)?.is_some())
}
