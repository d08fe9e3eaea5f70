//! Everything as it is now, page by page: where a copy begins, and begins anew.
//!
//! The place in the log is noted first and goes along in the page cursor. Each page is a short read of its own, in the
//! order of ids that never change, so what was there when the place was noted is on some page, and what came later is in
//! the feed from that place on. A row is at least as new as the place; the version it carries tells which events of its
//! aggregate it has in it already.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    model::{Feed, Place},
    poll,
};
use crate::{
    abandonment,
    customers::{self, companies},
    db::Tx,
    error::{Code, Error, Result},
    events::{self, Filter},
    fulfilment,
    http::Cursor,
    imports::writeback,
    invoices,
    kernel::{
        Actor, Scope,
        ids::{ChannelId, LocationId, OrderId},
    },
    orders, stock,
};

crate::words! {
    /// What a row of a snapshot is.
    pub enum RowKind {
        /// An order.
        Order = "order",
        /// A fulfilment order.
        FulfilmentOrder = "fulfilment_order",
        /// A shipment, with where its order stands.
        Shipment = "shipment",
        /// A return.
        Return = "return",
        /// An invoice or credit note that another system has told of.
        Invoice = "invoice",
        /// An invoice or credit note that was issued here.
        IssuedInvoice = "issued_invoice",
        /// How many of a variant there are at a location.
        StockLevel = "stock_level",
        /// A cart that was left alone.
        Abandonment = "abandonment",
        /// A customer.
        Customer = "customer",
        /// A company that customers buy for.
        Company = "company",
    }
}

impl Feed {
    /// What a snapshot for the feed holds, in this order.
    #[must_use]
    pub const fn rows(self) -> &'static [RowKind] {
        use RowKind as R;
        match self {
            Self::Orders => &[R::Order, R::FulfilmentOrder, R::Shipment, R::Return, R::Invoice, R::IssuedInvoice],
            Self::Fulfilments => &[R::FulfilmentOrder, R::Shipment],
            Self::Stock => &[R::StockLevel],
            Self::Carts => &[R::Abandonment],
            Self::Customers => &[R::Customer, R::Company],
            Self::All => RowKind::ALL,
        }
    }
}

/// A thing as it is now.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SnapshotRow {
    /// What it is.
    pub kind: RowKind,
    /// Its id; of a stock level `sku@location`.
    pub id: String,
    /// The stream that tells of its changes.
    pub stream: String,
    /// The aggregate whose events tell of its changes: an order for all that belongs to it.
    pub aggregate_id: String,
    /// The aggregate's version: its events up to and with this `aggregate_version` are in the document already. 0 where
    /// that is not known.
    pub aggregate_version: i64,
    /// The channel it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<ChannelId>,
    /// The document, as `view=current` gives it.
    #[schema(value_type = Object)]
    pub data: Value,
    /// Where it lies, when that decides who may see it.
    #[serde(skip)]
    location: Option<LocationId>,
    /// Its place among its kind.
    #[serde(skip)]
    key: String,
}

/// A page of a snapshot.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SnapshotPage {
    /// The things, in no order that means anything.
    pub items: Vec<SnapshotRow>,
    /// Where the feed goes on once all pages are taken: `after`, a consumer's `start`, or `to` of its `seek`. The same on
    /// every page.
    pub feed_cursor: String,
    /// Send it as `cursor` to get the next page, even when there was no item; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// How far a snapshot has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Mark {
    /// The place in the log that was noted first.
    place: Place,
    /// What comes next.
    kind: RowKind,
    /// After which of them.
    after: Option<String>,
}

/// What a page asks for.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub actor: Actor,
    pub feed: Feed,
    pub filter: Filter,
    pub limit: i64,
}

impl Wish {
    /// What the reader gets. Stock and customers belong to no channel, so who is limited to some sees none of them.
    fn kinds(&self) -> Vec<RowKind> {
        let seen = |kind: &RowKind| match kind {
            RowKind::Customer | RowKind::Company => {
                self.filter.channels.is_none() && self.actor.holds(Scope::CustomersRead)
            }
            RowKind::StockLevel => self.filter.channels.is_none(),
            _ => true,
        };
        self.feed.rows().iter().copied().filter(seen).collect()
    }

    fn admits(&self, row: &SnapshotRow) -> bool {
        self.filter.admits(row.channel_id) && row.location.is_none_or(|location| self.actor.sees_location(location))
    }
}

/// How many reads one page makes at most: a reader of few channels goes on with the cursor instead.
const BITES: usize = 10;

/// A page; the first without a cursor.
pub(super) fn page(tx: &mut Tx, wish: &Wish, cursor: Option<&str>) -> Result<SnapshotPage> {
    let (log, kinds) = (events::state(tx)?, wish.kinds());
    let (place, mut at) = match Cursor::<Mark>::decode_optional(cursor)? {
        Some(Mark { place, kind, after }) if kinds.contains(&kind) => (place, Some((kind, after))),
        Some(_) => return Err(wrong()),
        None => ((log.epoch.clone(), log.last), kinds.first().map(|kind| (*kind, None))),
    };
    poll::check(&log, wish.feed, &place).map_err(|error| error.at("cursor"))?;
    let limit = usize::try_from(wish.limit).unwrap_or(1);
    let mut items = Vec::new();
    for _ in 0..BITES {
        let Some((kind, after)) = at.clone().filter(|_| items.len() < limit) else { break };
        let room = limit - items.len();
        let found = rows(tx, kind, after.as_deref(), i64::try_from(room).unwrap_or(1))?;
        at = match found.last() {
            Some(last) if found.len() == room => Some((kind, Some(last.key.clone()))),
            _ => kinds.iter().copied().skip_while(|known| *known != kind).nth(1).map(|next| (next, None)),
        };
        items.extend(found.into_iter().filter(|row| wish.admits(row)));
    }
    let feed_cursor = Cursor(&place).encode()?;
    let mark = at.map(|(kind, after)| Mark { place, kind, after });
    let next_cursor = mark.map(|mark| Cursor(mark).encode()).transpose()?;
    Ok(SnapshotPage { items, feed_cursor, next_cursor })
}

fn wrong() -> Error {
    Error::problem(Code::InvalidCursor, "this cursor was not given by this snapshot").at("cursor")
}

fn key<T: std::str::FromStr>(after: Option<&str>) -> Result<Option<T>> {
    after.map(|after| after.parse().map_err(|_| wrong())).transpose()
}

/// Up to `limit` things of a kind after one of them, in the order of their keys.
fn rows(tx: &mut Tx, kind: RowKind, after: Option<&str>, limit: i64) -> Result<Vec<SnapshotRow>> {
    match kind {
        RowKind::Order => orders_after(tx, after, limit),
        RowKind::FulfilmentOrder => fulfilments_after(tx, after, limit),
        RowKind::Shipment => shipments_after(tx, after, limit),
        RowKind::Return => returns_after(tx, after, limit),
        RowKind::Invoice => invoices_after(tx, after, limit),
        RowKind::IssuedInvoice => issued_after(tx, after, limit),
        RowKind::StockLevel => levels_after(tx, after, limit),
        RowKind::Abandonment => abandonments_after(tx, after, limit),
        RowKind::Customer => customers_after(tx, after, limit),
        RowKind::Company => companies_after(tx, after, limit),
    }
}

/// A row of an aggregate of its own.
fn own(kind: RowKind, id: String, version: i64, channel_id: Option<ChannelId>, data: Value) -> SnapshotRow {
    let (stream, aggregate_id, key) = (id.clone(), id.clone(), id.clone());
    SnapshotRow { kind, id, stream, aggregate_id, aggregate_version: version, channel_id, data, location: None, key }
}

/// A row of what belongs to an order: the order's events tell of it.
fn of_order(kind: RowKind, id: String, order: &orders::OrderHead, data: Value) -> SnapshotRow {
    let order_id = order.id.to_string();
    SnapshotRow {
        stream: order_id.clone(),
        aggregate_id: order_id,
        ..own(kind, id, order.version, Some(order.channel_id), data)
    }
}

fn orders_after(tx: &mut Tx, after: Option<&str>, limit: i64) -> Result<Vec<SnapshotRow>> {
    let orders = orders::page_after(tx, key(after)?, limit)?;
    let row = |order: &orders::OrderDocument| -> Result<SnapshotRow> {
        let data = serde_json::to_value(order)?;
        Ok(own(RowKind::Order, order.id.to_string(), order.version, Some(order.channel_id), data))
    };
    orders.iter().map(row).collect()
}

fn heads(
    tx: &mut Tx,
    of: impl Iterator<Item = OrderId>,
) -> Result<std::collections::HashMap<OrderId, orders::OrderHead>> {
    let ids: Vec<OrderId> = of.collect();
    orders::heads(tx, &ids)
}

fn fulfilments_after(tx: &mut Tx, after: Option<&str>, limit: i64) -> Result<Vec<SnapshotRow>> {
    let found = fulfilment::orders_after(tx, key(after)?, limit)?;
    let heads = heads(tx, found.iter().map(|one| one.order_id))?;
    let row = |one: &fulfilment::FulfilmentOrder| -> Result<SnapshotRow> {
        let head = heads.get(&one.order_id).ok_or_else(orphan)?;
        let row = of_order(RowKind::FulfilmentOrder, one.id.to_string(), head, serde_json::to_value(one)?);
        Ok(SnapshotRow { location: Some(one.location_id), ..row })
    };
    found.iter().map(row).collect()
}

fn orphan() -> Error {
    Error::internal("something belongs to an order that is not there")
}

fn shipments_after(tx: &mut Tx, after: Option<&str>, limit: i64) -> Result<Vec<SnapshotRow>> {
    let found = fulfilment::shipments_after(tx, key(after)?, limit)?;
    let heads = heads(tx, found.iter().map(|one| one.order_id))?;
    let row = |one: &fulfilment::Shipment| -> Result<SnapshotRow> {
        let head = heads.get(&one.order_id).ok_or_else(orphan)?;
        let row = of_order(RowKind::Shipment, one.id.to_string(), head, fulfilment::parcel(head, one)?);
        Ok(SnapshotRow { location: Some(one.location_id), ..row })
    };
    found.iter().map(row).collect()
}

fn returns_after(tx: &mut Tx, after: Option<&str>, limit: i64) -> Result<Vec<SnapshotRow>> {
    let found = fulfilment::returns_after(tx, key(after)?, limit)?;
    let heads = heads(tx, found.iter().filter_map(|one| one.order_id))?;
    let row = |one: &fulfilment::returns::Return| -> Result<SnapshotRow> {
        let (id, data) = (one.id.to_string(), serde_json::to_value(one)?);
        let row = match one.order_id {
            Some(order) => of_order(RowKind::Return, id, heads.get(&order).ok_or_else(orphan)?, data),
            None => own(RowKind::Return, id, one.version, Some(one.channel_id), data),
        };
        Ok(SnapshotRow { location: one.location_id, ..row })
    };
    found.iter().map(row).collect()
}

fn invoices_after(tx: &mut Tx, after: Option<&str>, limit: i64) -> Result<Vec<SnapshotRow>> {
    let found = writeback::invoices_after(tx, key(after)?, limit)?;
    let heads = heads(tx, found.iter().map(|one| one.order_id))?;
    let row = |one: &writeback::Invoice| -> Result<SnapshotRow> {
        let head = heads.get(&one.order_id).ok_or_else(orphan)?;
        Ok(of_order(RowKind::Invoice, one.id.to_string(), head, serde_json::to_value(one)?))
    };
    found.iter().map(row).collect()
}

fn issued_after(tx: &mut Tx, after: Option<&str>, limit: i64) -> Result<Vec<SnapshotRow>> {
    let found = invoices::issued_after(tx, key(after)?, limit)?;
    let heads = heads(tx, found.iter().map(|one| one.order_id))?;
    let row = |one: &invoices::Invoice| -> Result<SnapshotRow> {
        let head = heads.get(&one.order_id).ok_or_else(orphan)?;
        Ok(of_order(RowKind::IssuedInvoice, one.id.to_string(), head, serde_json::to_value(one)?))
    };
    found.iter().map(row).collect()
}

fn levels_after(tx: &mut Tx, after: Option<&str>, limit: i64) -> Result<Vec<SnapshotRow>> {
    let after = after.map(|after| after.split_once(' ').ok_or_else(wrong)).transpose()?;
    let after = match after {
        Some((variant, location)) => key(Some(variant))?.zip(key(Some(location))?),
        None => None,
    };
    let row = |level: &stock::LevelDocument| -> Result<SnapshotRow> {
        let id = stock::level_name(&level.sku, &level.location);
        let row = own(RowKind::StockLevel, id, level.version, None, serde_json::to_value(level)?);
        let stream = stock::level_stream(&level.sku, &level.location);
        let key = format!("{} {}", level.variant_id, level.location_id);
        Ok(SnapshotRow { stream, key, location: Some(level.location_id), ..row })
    };
    stock::levels_after(tx, after, limit)?.iter().map(row).collect()
}

fn abandonments_after(tx: &mut Tx, after: Option<&str>, limit: i64) -> Result<Vec<SnapshotRow>> {
    let found = abandonment::after(tx, key(after)?, limit)?;
    let row = |one: &abandonment::Abandonment| -> Result<SnapshotRow> {
        let (cart, data) = (one.cart_id.to_string(), serde_json::to_value(one)?);
        // A cart's version rises without its events: none of them is known to be in the document.
        let row = own(RowKind::Abandonment, one.id.to_string(), 0, Some(one.channel_id), data);
        Ok(SnapshotRow { stream: cart.clone(), aggregate_id: cart, ..row })
    };
    found.iter().map(row).collect()
}

fn customers_after(tx: &mut Tx, after: Option<&str>, limit: i64) -> Result<Vec<SnapshotRow>> {
    let row = |customer: &customers::Customer| -> Result<SnapshotRow> {
        let data = serde_json::to_value(customer)?;
        Ok(own(RowKind::Customer, customer.id.to_string(), customer.version, None, data))
    };
    customers::after(tx, key(after)?, limit)?.iter().map(row).collect()
}

fn companies_after(tx: &mut Tx, after: Option<&str>, limit: i64) -> Result<Vec<SnapshotRow>> {
    let row = |company: &companies::Company| -> Result<SnapshotRow> {
        let data = serde_json::to_value(company)?;
        Ok(own(RowKind::Company, company.id.to_string(), company.version, None, data))
    };
    companies::after(tx, key(after)?, limit)?.iter().map(row).collect()
}
