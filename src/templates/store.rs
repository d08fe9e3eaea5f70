//! The only file that touches `order_templates`.

use diesel::sql_types::{BigInt, Nullable, Text};

use super::model::{Details, OrderTemplate};
use crate::{
    db::{Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Instant,
        ids::{CompanyId, CustomerId, OrderTemplateId},
    },
};

type Types = (UidSql, Text, Nullable<UidSql>, Nullable<UidSql>, DocSql, BigInt, InstantSql, InstantSql);
type Row = (OrderTemplateId, String, Option<CustomerId>, Option<CompanyId>, Doc<Details>, i64, Instant, Instant);
const READ: &str = "id, name, customer_id, company_id, doc, version, created_at, updated_at";

fn template(row: Row) -> OrderTemplate {
    let (id, name, customer_id, company_id, Doc(Details { lines, note }), version, created_at, updated_at) = row;
    let shared = company_id.is_some();
    OrderTemplate { id, name, shared, customer_id, company_id, lines, note, version, created_at, updated_at }
}

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<OrderTemplate>> {
    Ok(query.load::<Types, Row>(tx)?.into_iter().map(template).collect())
}

/// Writes a new one. A UNIQUE violation where its owner, or the company, has one of the name.
pub(super) fn insert(tx: &mut Tx, new: &OrderTemplate) -> Result<()> {
    sql(format!("INSERT INTO order_templates ({READ}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"))
        .bind(new.id)
        .bind(new.name.as_str())
        .bind(new.customer_id)
        .bind(new.company_id)
        .bind(Json::of(&new.details())?)
        .bind(new.version)
        .bind(new.created_at)
        .bind(new.updated_at)
        .execute(tx)?;
    Ok(())
}

pub(super) fn read(tx: &mut Tx, id: OrderTemplateId) -> Result<Option<OrderTemplate>> {
    Ok(load(tx, sql(format!("SELECT {READ} FROM order_templates WHERE id = ?")).bind(id))?.pop())
}

/// The same, locked until the end of the transaction.
pub(super) fn lock(tx: &mut Tx, id: OrderTemplateId) -> Result<Option<OrderTemplate>> {
    let lock = dialect::for_update(tx);
    Ok(load(tx, sql(format!("SELECT {READ} FROM order_templates WHERE id = ?{lock}")).bind(id))?.pop())
}

/// Writes one over the version that was read. False when it has changed since.
pub(super) fn update(tx: &mut Tx, now: Instant, one: &OrderTemplate) -> Result<bool> {
    let update = "UPDATE order_templates SET name = ?, customer_id = ?, company_id = ?, doc = ?, version = version + 1, updated_at = ? \
                  WHERE id = ? AND version = ?";
    let update = sql(update).bind(one.name.as_str()).bind(one.customer_id).bind(one.company_id);
    Ok(update.bind(Json::of(&one.details())?).bind(now).bind(one.id).bind(one.version).execute(tx)? == 1)
}

pub(super) fn delete(tx: &mut Tx, id: OrderTemplateId) -> Result<bool> {
    Ok(sql("DELETE FROM order_templates WHERE id = ?").bind(id).execute(tx)? == 1)
}

/// A page of what somebody sees, the newest first: their own and their company's.
pub(super) fn page(
    tx: &mut Tx,
    (me, company): (CustomerId, Option<CompanyId>),
    before: Option<OrderTemplateId>,
    limit: i64,
) -> Result<Vec<OrderTemplate>> {
    let before = before.unwrap_or(OrderTemplateId::from_bytes([0xff; 16]));
    let part = |of: &str| {
        format!(
            "SELECT {READ} FROM (SELECT {READ} FROM order_templates WHERE {of} AND id < ? ORDER BY id DESC LIMIT ?) AS own"
        )
    };
    let (own, shared) = (part("company_id IS NULL AND customer_id = ?"), part("company_id = ?"));
    let query = format!("SELECT {READ} FROM ({own} UNION ALL {shared}) AS seen ORDER BY id DESC LIMIT ?");
    let query = sql(query).bind(me).bind(before).bind(limit).bind(company).bind(before).bind(limit);
    load(tx, query.bind(limit))
}

/// Those that a customer has made, behind one of them, in the order of their ids.
pub(super) fn of_customer_after(
    tx: &mut Tx,
    customer: CustomerId,
    after: Option<OrderTemplateId>,
    limit: i64,
) -> Result<Vec<OrderTemplate>> {
    let after = after.unwrap_or(OrderTemplateId::from_bytes([0; 16]));
    let query = format!("SELECT {READ} FROM order_templates WHERE customer_id = ? AND id > ? ORDER BY id LIMIT ?");
    load(tx, sql(query).bind(customer).bind(after).bind(limit))
}

/// Removes a customer's own, and takes their name off those that are shared.
pub(super) fn erase(tx: &mut Tx, customer: CustomerId) -> Result<()> {
    sql("DELETE FROM order_templates WHERE customer_id = ? AND company_id IS NULL").bind(customer).execute(tx)?;
    let update = "UPDATE order_templates SET customer_id = NULL, version = version + 1 WHERE customer_id = ?";
    sql(update).bind(customer).execute(tx)?;
    Ok(())
}
