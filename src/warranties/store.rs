//! The only file that touches `product_registrations`.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::model::{Registration, RegistrationDetails};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Actor, Instant,
        ids::{ChannelId, CustomerId, OrderId, RegistrationId, ReturnRequestId, VariantId},
        text::squeeze,
    },
};

const SELECTED: &str = "id, order_id, channel_id, line_no, unit_no, variant_id, sku, serial, ends_at, request_id, doc, version, \
     registered_at, updated_at, customer_id, ended_at, end_reason";

#[rustfmt::skip]
type Columns = (
    UidSql, UidSql, UidSql, BigInt, BigInt, UidSql, Text, Nullable<Text>, InstantSql, Nullable<UidSql>, DocSql, BigInt, InstantSql,
    InstantSql, Nullable<UidSql>, Nullable<InstantSql>, Nullable<Text>,
);
#[rustfmt::skip]
type Row = (
    RegistrationId, OrderId, ChannelId, i64, i64, VariantId, String, Option<String>, Instant, Option<ReturnRequestId>,
    Doc<RegistrationDetails>, i64, Instant, Instant, Option<CustomerId>, Option<Instant>, Option<String>,
);

fn made(row: Row) -> Registration {
    let (id, order_id, channel_id, line_no, unit_no, variant_id, sku, serial, ends_at, request_id, doc, ..) = row;
    let (Doc(doc), version, registered_at, updated_at) = (doc, row.11, row.12, row.13);
    let (customer_id, ended_at, end_reason) = (row.14, row.15, row.16);
    let RegistrationDetails { order_number, name, arrived_at, months, by } = doc;
    Registration {
        id,
        order_id,
        order_number,
        channel_id,
        line_no: i32::try_from(line_no).unwrap_or(i32::MAX),
        unit_no,
        variant_id,
        sku,
        name,
        serial,
        arrived_at,
        months,
        ends_at,
        request_id,
        by,
        customer_id,
        ended_at,
        end_reason,
        version,
        registered_at,
        updated_at,
    }
}

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<Registration>> {
    Ok(query.load::<Columns, Row>(tx)?.into_iter().map(made).collect())
}

/// Writes a new registration. False where the article's serial number, or the piece, is registered.
pub(super) fn insert(tx: &mut Tx, new: &Registration) -> Result<bool> {
    let doc = details(new);
    let insert = format!(
        "INSERT INTO product_registrations ({SELECTED}, serial_key) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT DO NOTHING"
    );
    let insert = sql(insert)
        .bind(new.id)
        .bind(new.order_id)
        .bind(new.channel_id)
        .bind(new.line_no)
        .bind(new.unit_no)
        .bind(new.variant_id)
        .bind(new.sku.as_str())
        .bind(new.serial.clone())
        .bind(new.ends_at)
        .bind(new.request_id)
        .bind(Json::of(&doc)?)
        .bind(new.version)
        .bind(new.registered_at)
        .bind(new.updated_at)
        .bind(new.customer_id)
        .bind(new.ended_at)
        .bind(new.end_reason.clone())
        .bind(new.serial.as_deref().map(squeeze));
    Ok(insert.execute(tx)? == 1)
}

fn details(one: &Registration) -> RegistrationDetails {
    RegistrationDetails {
        order_number: one.order_number.clone(),
        name: one.name.clone(),
        arrived_at: one.arrived_at,
        months: one.months,
        by: one.by.clone(),
    }
}

/// Writes what can change of a registration that is live, at the version that was seen. False when it has changed or ended since.
pub(super) fn save(tx: &mut Tx, seen: i64, one: &Registration) -> Result<bool> {
    let update = "UPDATE product_registrations SET serial = ?, serial_key = ?, ends_at = ?, doc = ?, customer_id = ?, ended_at = ?, \
                  end_reason = ?, version = ?, updated_at = ? WHERE id = ? AND version = ? AND ended_at IS NULL";
    let update = sql(update)
        .bind(one.serial.clone())
        .bind(one.serial.as_deref().map(squeeze))
        .bind(one.ends_at)
        .bind(Json::of(&details(one))?)
        .bind(one.customer_id)
        .bind(one.ended_at)
        .bind(one.end_reason.clone())
        .bind(one.version)
        .bind(one.updated_at)
        .bind(one.id)
        .bind(seen);
    Ok(update.execute(tx)? == 1)
}

/// Notes a return request that was made of a registration's warranty, at the version that was seen. False when it has changed since.
pub(super) fn claim(tx: &mut Tx, now: Instant, seen: &Registration, request: ReturnRequestId) -> Result<bool> {
    let update = "UPDATE product_registrations SET request_id = ?, version = version + 1, updated_at = ? WHERE id = ? AND version = ? \
                  AND ended_at IS NULL";
    Ok(sql(update).bind(request).bind(now).bind(seen.id).bind(seen.version).execute(tx)? == 1)
}

pub(super) fn get(tx: &mut Tx, id: RegistrationId) -> Result<Option<Registration>> {
    Ok(load(tx, sql(format!("SELECT {SELECTED} FROM product_registrations WHERE id = ?")).bind(id))?.pop())
}

/// The registrations of an order, by line and piece.
pub(super) fn of_order(tx: &mut Tx, order: OrderId) -> Result<Vec<Registration>> {
    let query = format!("SELECT {SELECTED} FROM product_registrations WHERE order_id = ? ORDER BY line_no, unit_no");
    load(tx, sql(query).bind(order))
}

/// The registrations of orders behind one of them, in the order of their ids: one statement.
pub(super) fn of_orders(
    tx: &mut Tx,
    orders: &[OrderId],
    after: Option<RegistrationId>,
    limit: i64,
) -> Result<Vec<Registration>> {
    let after = after.unwrap_or(RegistrationId::from_bytes([0; 16]));
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT {SELECTED} FROM product_registrations WHERE order_id IN (SELECT wanted FROM {list}) AND id > ? ORDER BY id LIMIT ?"
    );
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    load(tx, sql(query).bind(wanted).bind(after).bind(limit))
}

/// Those with a serial number, whatever article they are of, the live ones first; letters and digits count.
pub(super) fn by_serial(tx: &mut Tx, serial: &str, limit: i64) -> Result<Vec<Registration>> {
    let query = format!(
        "SELECT {SELECTED} FROM product_registrations WHERE serial_key = ? \
         ORDER BY CASE WHEN ended_at IS NULL THEN 0 ELSE 1 END, id LIMIT ?"
    );
    load(tx, sql(query).bind(squeeze(serial)).bind(limit))
}

/// Which registrations are asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub live: Option<bool>,
    pub order: Option<OrderId>,
    pub serial: Option<String>,
    pub sku: Option<String>,
}

/// Registrations of the channels that the actor sees, the newest first, behind one of them.
pub(super) fn page(
    tx: &mut Tx,
    actor: &Actor,
    filter: &Filter,
    before: Option<RegistrationId>,
    limit: i64,
) -> Result<Vec<Registration>> {
    let (mut text, mut binds) =
        (format!("SELECT {SELECTED} FROM product_registrations WHERE 1 = 1"), Vec::<Bind>::new());
    if let Some(order) = filter.order {
        text.push_str(" AND order_id = ?");
        binds.push(order.into());
    }
    if let Some(serial) = &filter.serial {
        text.push_str(" AND serial_key = ?");
        binds.push(squeeze(serial).as_str().into());
    }
    if let Some(sku) = &filter.sku {
        text.push_str(" AND sku = ?");
        binds.push(sku.as_str().into());
    }
    if let Some(live) = filter.live {
        text.push_str(if live { " AND ended_at IS NULL" } else { " AND ended_at IS NOT NULL" });
    }
    if let Some(channels) = actor.channels() {
        let list = dialect::list(tx, &[("wanted", Col::Uid)]);
        text.push_str(&format!(" AND channel_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect()));
    }
    if let Some(before) = before {
        text.push_str(" AND id < ?");
        binds.push(before.into());
    }
    text.push_str(" ORDER BY id DESC LIMIT ?");
    binds.push(limit.into());
    load(tx, sql(text).bind_all(binds))
}

/// Takes what tells a thing of somebody's from others of its kind out of the registrations of orders.
pub(super) fn forget(tx: &mut Tx, orders: &[OrderId]) -> Result<()> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let update = format!(
        "UPDATE product_registrations SET serial = NULL, serial_key = NULL, end_reason = NULL, customer_id = NULL, \
         version = version + 1 WHERE order_id IN (SELECT wanted FROM {list}) \
         AND (serial IS NOT NULL OR end_reason IS NOT NULL OR customer_id IS NOT NULL)"
    );
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    sql(update).bind(wanted).execute(tx).map(|_| ())
}
