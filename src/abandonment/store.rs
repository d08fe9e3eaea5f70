//! The only file that touches `abandonments`.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::model::{Abandonment, Counted};
use crate::{
    carts::Stage,
    db::{Bind, Col, InstantSql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Currency, Device, Id, Instant, Money,
        ids::{AbandonmentId, CartId, ChannelId, OrderId},
    },
};

const COLUMNS: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("cart_id", Col::Uid),
    ("channel_id", Col::Uid),
    ("stage", Col::Text),
    ("device", Col::Text),
    ("currency", Col::Text),
    ("value", Col::Int),
    ("line_count", Col::Int),
    ("cart_created_at", Col::At),
    ("abandoned_at", Col::At),
];

/// Writes abandonments with one statement. Carts that have been abandoned before are left out; returns the others.
pub(super) fn insert(tx: &mut Tx, all: &[Abandonment]) -> Result<Vec<CartId>> {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let (names, list) = (names.join(", "), dialect::list(tx, COLUMNS));
    let insert = format!(
        "INSERT INTO abandonments ({names}) SELECT {names} FROM {list} WHERE true ORDER BY ord \
         ON CONFLICT (cart_id) DO NOTHING RETURNING cart_id"
    );
    let row = |one: &Abandonment| {
        let (made, at) = (one.cart_created_at.sortable(), one.abandoned_at.sortable());
        let (currency, value) = (one.value.currency().code(), one.value.minor());
        let (id, cart, channel) = (one.id.hex(), one.cart_id.hex(), one.channel_id.hex());
        json!([id, cart, channel, one.stage, one.device, currency, value, one.line_count, made, at])
    };
    sql(insert).bind(dialect::rows(all.iter().map(row).collect())).load::<UidSql, CartId>(tx)
}

/// Notes that somebody came back to a cart by its link: the first time.
pub(super) fn returned(tx: &mut Tx, now: Instant, cart: CartId) -> Result<bool> {
    let update = sql("UPDATE abandonments SET returned_at = ? WHERE cart_id = ? AND returned_at IS NULL");
    Ok(update.bind(now).bind(cart).execute(tx)? == 1)
}

const SELECTED: &str = "id, cart_id, channel_id, stage, device, currency, value, line_count, cart_created_at, \
                        abandoned_at, returned_at, recovered_at, order_id";
#[rustfmt::skip]
type Columns = (
    UidSql, UidSql, UidSql, Text, Text, Text, BigInt, BigInt, InstantSql, InstantSql, Nullable<InstantSql>, Nullable<InstantSql>, Nullable<UidSql>,
);
#[rustfmt::skip]
type Row = (
    AbandonmentId, CartId, ChannelId, Stage, Device, Currency, i64, i64, Instant, Instant, Option<Instant>, Option<Instant>, Option<OrderId>,
);

#[rustfmt::skip]
fn abandonment(row: Row) -> Abandonment {
    let (id, cart_id, channel_id, stage, device, currency, value, line_count, cart_created_at, abandoned_at, returned_at, recovered_at, order_id) = row;
    let value = Money::from_minor(value, currency);
    Abandonment { id, cart_id, channel_id, stage, device, value, line_count, cart_created_at, abandoned_at, returned_at, recovered_at, order_id }
}

/// Notes with one statement which abandoned carts became orders, each once. Returns those that had not been noted.
pub(super) fn recovered(tx: &mut Tx, ordered: &[(CartId, OrderId, Instant)]) -> Result<Vec<Abandonment>> {
    let list = dialect::list(tx, &[("cart", Col::Uid), ("placed", Col::Uid), ("at", Col::At)]);
    let update = format!(
        "UPDATE abandonments SET order_id = list.placed, recovered_at = list.at, \
         returned_at = coalesce(returned_at, list.at) FROM {list} \
         WHERE cart_id = list.cart AND order_id IS NULL RETURNING {SELECTED}"
    );
    let row = |(cart, order, at): &(CartId, OrderId, Instant)| json!([cart.hex(), order.hex(), at.sortable()]);
    let rows = dialect::rows(ordered.iter().map(row).collect());
    Ok(sql(update).bind(rows).load::<Columns, Row>(tx)?.into_iter().map(abandonment).collect())
}

/// The abandonments of these carts, in no order.
///
/// # Errors
/// What the database says.
pub fn of_carts(tx: &mut Tx, carts: &[CartId]) -> Result<Vec<Abandonment>> {
    if carts.is_empty() {
        return Ok(Vec::new());
    }
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT {SELECTED} FROM abandonments WHERE cart_id IN (SELECT wanted FROM {list})");
    let wanted = dialect::rows(carts.iter().map(|id| json!([id.hex()])).collect());
    Ok(sql(query).bind(wanted).load::<Columns, Row>(tx)?.into_iter().map(abandonment).collect())
}

/// Abandonments after one of them, in the order of their ids.
///
/// # Errors
/// What the database says.
pub fn after(tx: &mut Tx, after: Option<AbandonmentId>, limit: i64) -> Result<Vec<Abandonment>> {
    let after = after.unwrap_or(Id::from_bytes([0; 16]));
    let query = sql(format!("SELECT {SELECTED} FROM abandonments WHERE id > ? ORDER BY id LIMIT ?"));
    Ok(query.bind(after).bind(limit).load::<Columns, Row>(tx)?.into_iter().map(abandonment).collect())
}

/// Abandonments of carts that were made in a span of time, counted by channel, device, stage and currency.
pub(super) fn counted(tx: &mut Tx, from: Instant, to: Instant) -> Result<Vec<Counted>> {
    let query = "SELECT channel_id, device, stage, currency, count(*), count(returned_at), count(order_id), \
                   CAST(sum(value) AS bigint), CAST(sum(CASE WHEN order_id IS NULL THEN 0 ELSE value END) AS bigint) \
                 FROM abandonments WHERE cart_created_at >= ? AND cart_created_at < ? \
                 GROUP BY channel_id, device, stage, currency";
    type Found = (ChannelId, Device, Stage, Currency, i64, i64, i64, i64, i64);
    let rows = sql(query).bind(from).bind(to);
    let rows = rows.load::<(UidSql, Text, Text, Text, BigInt, BigInt, BigInt, BigInt, BigInt), Found>(tx)?;
    let counted =
        |(channel, device, stage, currency, abandoned, returned, recovered, value, recovered_value): Found| Counted {
            channel,
            device,
            stage,
            currency,
            abandoned,
            returned,
            recovered,
            value,
            recovered_value,
        };
    Ok(rows.into_iter().map(counted).collect())
}

/// What a list of abandonments is narrowed to.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub channels: Option<Vec<ChannelId>>,
    pub device: Option<Device>,
    pub stage: Option<Stage>,
    pub recovered: Option<bool>,
}

/// A page of abandonments, the newest first.
pub(super) fn page(
    tx: &mut Tx,
    filter: &Filter,
    before: Option<(Instant, AbandonmentId)>,
    limit: i64,
) -> Result<Vec<Abandonment>> {
    let mut text = format!("SELECT {SELECTED} FROM abandonments WHERE (abandoned_at, id) < (?, ?)");
    let (at, id) = before.unwrap_or((Instant::END, Id::from_bytes([0xff; 16])));
    let mut binds: Vec<Bind> = vec![at.into(), id.into()];
    if let Some(channels) = &filter.channels {
        let list = dialect::list(tx, &[("wanted", Col::Uid)]);
        text.push_str(&format!(" AND channel_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect()));
    }
    if let Some(device) = filter.device {
        text.push_str(" AND device = ?");
        binds.push(device.as_str().into());
    }
    if let Some(stage) = filter.stage {
        text.push_str(" AND stage = ?");
        binds.push(stage.as_str().into());
    }
    match filter.recovered {
        Some(true) => text.push_str(" AND order_id IS NOT NULL"),
        Some(false) => text.push_str(" AND order_id IS NULL"),
        None => {}
    }
    text.push_str(" ORDER BY abandoned_at DESC, id DESC LIMIT ?");
    binds.push(limit.into());
    let query = binds.into_iter().fold(sql(text), |query, bind| query.bind(bind));
    Ok(query.load::<Columns, Row>(tx)?.into_iter().map(abandonment).collect())
}
