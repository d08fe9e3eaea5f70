//! The only file that touches `orders`, `order_lines` and `external_refs`; by what orders are found beside their own rows stands in
//! [`super::contact_store`].

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use serde_json::{Value, json};

use super::{
    copies::OrderHead,
    document::{ExternalRef, LineDetails, OrderDetails, OrderDocument, PlacedLine},
    erase::{Owned, Person},
    holds::OrderHold,
    model::{FulfilmentStatus, LineMove, OrderState, PaymentStatus},
};
use crate::{
    carts::Delivery,
    db::{
        Bind, Col, Doc, DocSql, InstantSql, Json, Tx, UidSql, dialect, insert_many,
        schema::{order_lines, orders},
        sql,
    },
    error::{Code, Error, Result},
    kernel::{
        Actor, Currency, Id, Instant, Money, Waiting,
        ids::{CartId, ChannelId, CustomerId, ExternalRefId, OrderId, VariantId},
        text,
    },
};

/// A row of `orders`.
#[derive(Queryable, Selectable, Debug, Clone)]
#[diesel(table_name = orders)]
pub(super) struct OrderRow {
    pub id: OrderId,
    pub number: String,
    pub channel_id: ChannelId,
    pub customer_id: Option<CustomerId>,
    pub cart_id: Option<CartId>,
    pub state: OrderState,
    pub payment_state: PaymentStatus,
    pub fulfilment_state: FulfilmentStatus,
    pub test: bool,
    pub version: i64,
    pub currency: Currency,
    pub total: i64,
    pub email_folded: Option<String>,
    pub name_folded: String,
    pub postcode_folded: Option<String>,
    pub phone_digits: Option<String>,
    pub placed_at: Instant,
    pub recorded_at: Instant,
    pub updated_at: Instant,
    pub doc: Doc<OrderDetails>,
    /// What it is held for: nothing is written as NULL.
    pub holds: Option<Doc<Vec<OrderHold>>>,
    pub shipping_credited: i64,
    pub shipping_goodwill: i64,
}

/// A row of `order_lines`.
#[derive(Queryable, Selectable, Debug, Clone)]
#[diesel(table_name = order_lines)]
pub(super) struct LineRow {
    pub order_id: OrderId,
    pub line_no: i64,
    pub variant_id: VariantId,
    pub sku: String,
    pub quantity: i64,
    pub allocated: i64,
    pub shipped: i64,
    pub delivered: i64,
    pub returned: i64,
    pub cancelled: i64,
    pub unit_price: i64,
    pub net: i64,
    pub tax: i64,
    pub gross: i64,
    pub refunded: i64,
    pub doc: Doc<LineDetails>,
    pub coming_back: i64,
    pub claimed: i64,
    pub goodwill: i64,
}

/// Inserts an order, its document written already.
pub(super) fn insert(tx: &mut Tx, row: &OrderRow, doc: Json) -> Result<()> {
    sql("INSERT INTO orders (id, number, channel_id, customer_id, cart_id, state, payment_state, fulfilment_state, test, version, \
         currency, total, email_folded, name_folded, postcode_folded, phone_digits, placed_at, recorded_at, updated_at, doc) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(row.id)
    .bind(row.number.as_str())
    .bind(row.channel_id)
    .bind(row.customer_id)
    .bind(row.cart_id)
    .bind(row.state.as_str())
    .bind(row.payment_state.as_str())
    .bind(row.fulfilment_state.as_str())
    .bind(row.test)
    .bind(row.version)
    .bind(row.currency)
    .bind(row.total)
    .bind(row.email_folded.clone())
    .bind(row.name_folded.as_str())
    .bind(row.postcode_folded.clone())
    .bind(row.phone_digits.clone())
    .bind(row.placed_at)
    .bind(row.recorded_at)
    .bind(row.updated_at)
    .bind(doc)
    .execute(tx)?;
    Ok(())
}

/// How many pieces of SKUs were ordered after an instant until another and not cancelled, without what was ordered in test channels.
pub(super) fn sold(
    tx: &mut Tx,
    actor: &Actor,
    skus: &[String],
    (from, to): (Instant, Instant),
) -> Result<Vec<(String, i64)>> {
    let list = dialect::list(tx, &[("wanted", Col::Text)]);
    let mut query = format!(
        "SELECT wanted, CAST(sum(l.quantity - l.cancelled) AS BIGINT) FROM {list} \
         JOIN order_lines AS l ON l.sku = wanted JOIN orders AS o ON o.id = l.order_id \
         WHERE l.placed_at > ? AND l.placed_at <= ? AND NOT o.test AND o.state <> 'cancelled'"
    );
    let rows = dialect::rows(skus.iter().map(|sku| json!([sku])).collect());
    let mut seen = Vec::new();
    if let Some(channels) = actor.channels() {
        let list = dialect::list(tx, &[("channel", Col::Uid)]);
        query.push_str(&format!(" AND o.channel_id IN (SELECT channel FROM {list})"));
        seen.push(dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect()));
    }
    query.push_str(" GROUP BY wanted");
    sql(query).bind(rows).bind(from).bind(to).bind_all(seen).load::<(Text, BigInt), (String, i64)>(tx)
}

const LINE_COLUMNS: &[(&str, Col)] = &[
    ("order_id", Col::Uid),
    ("line_no", Col::Int),
    ("variant_id", Col::Uid),
    ("sku", Col::Text),
    ("quantity", Col::Int),
    ("allocated", Col::Int),
    ("shipped", Col::Int),
    ("delivered", Col::Int),
    ("returned", Col::Int),
    ("cancelled", Col::Int),
    ("unit_price", Col::Int),
    ("net", Col::Int),
    ("tax", Col::Int),
    ("gross", Col::Int),
    ("refunded", Col::Int),
    ("placed_at", Col::At),
    ("doc", Col::Doc),
];

/// The rows of lines. `amounts` are unit price (scaled), net, tax and gross per line.
pub(super) fn line_binds(
    order: OrderId,
    placed_at: Instant,
    lines: &[(PlacedLine, [i64; 4])],
) -> Result<Vec<Vec<Bind>>> {
    let row = |(line, [unit_price, net, tax, gross]): &(PlacedLine, [i64; 4])| -> Result<Vec<Bind>> {
        Ok(vec![
            order.into(),
            line.line_no.into(),
            line.variant_id.into(),
            line.sku.as_str().into(),
            line.quantity.into(),
            line.allocated.into(),
            0.into(),
            0.into(),
            0.into(),
            0.into(),
            (*unit_price).into(),
            (*net).into(),
            (*tax).into(),
            (*gross).into(),
            0.into(),
            placed_at.into(),
            Json::of(&line.details)?.into(),
        ])
    };
    lines.iter().map(row).collect()
}

/// Inserts the rows of lines with one statement.
pub(super) fn insert_lines(tx: &mut Tx, rows: Vec<Vec<Bind>>) -> Result<()> {
    insert_many(tx, "order_lines", LINE_COLUMNS, rows).map(|_| ())
}

pub(super) fn row(tx: &mut Tx, id: OrderId) -> Result<Option<OrderRow>> {
    Ok(orders::table.find(id).select(OrderRow::as_select()).first(tx).optional()?)
}

/// The columns of an [`OrderRow`], in its order.
const ROW: &str = "id, number, channel_id, customer_id, cart_id, state, payment_state, fulfilment_state, test, version, \
    currency, total, email_folded, name_folded, postcode_folded, phone_digits, placed_at, recorded_at, updated_at, doc, holds, \
    shipping_credited, shipping_goodwill";

#[rustfmt::skip]
type RowTypes = (UidSql, Text, UidSql, Nullable<UidSql>, Nullable<UidSql>, Text, Text, Text, Bool, BigInt, Text, BigInt, Nullable<Text>, Text, Nullable<Text>, Nullable<Text>, InstantSql, InstantSql, InstantSql, DocSql, Nullable<DocSql>, BigInt, BigInt);

pub(super) fn wanted(ids: &[OrderId]) -> Bind {
    dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect())
}

/// The rows of several orders with one statement, in no order.
pub(super) fn rows(tx: &mut Tx, ids: &[OrderId]) -> Result<Vec<OrderRow>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT {ROW} FROM orders WHERE id IN (SELECT wanted FROM {list})");
    sql(query).bind(wanted(ids)).load::<RowTypes, OrderRow>(tx)
}

/// The types of a [`LineRow`].
#[rustfmt::skip]
type LineTypes = (UidSql, BigInt, UidSql, Text, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, DocSql, BigInt, BigInt, BigInt);

/// The lines of several orders with one statement, those of each in their order.
pub(super) fn lines_of(tx: &mut Tx, ids: &[OrderId]) -> Result<Vec<LineRow>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let names: Vec<&str> = LINE_COLUMNS.iter().map(|(name, _)| *name).filter(|name| *name != "placed_at").collect();
    let query = format!(
        "SELECT {}, coming_back, claimed, goodwill FROM order_lines WHERE order_id IN (SELECT wanted FROM {list}) ORDER BY order_id, line_no",
        names.join(", ")
    );
    sql(query).bind(wanted(ids)).load::<LineTypes, LineRow>(tx)
}

pub(super) fn lines(tx: &mut Tx, id: OrderId) -> Result<Vec<LineRow>> {
    let query = order_lines::table.filter(order_lines::order_id.eq(id)).order(order_lines::line_no);
    Ok(query.select(LineRow::as_select()).load(tx)?)
}

/// Locks the row until the transaction ends, so that what is read next stays true.
pub(super) fn lock(tx: &mut Tx, id: OrderId) -> Result<bool> {
    let lock = dialect::for_update(tx);
    Ok(sql(format!("SELECT version FROM orders WHERE id = ?{lock}")).bind(id).first::<BigInt, i64>(tx)?.is_some())
}

/// Writes the states and the new version. False when somebody else has written since `seen`.
pub(super) fn save_states(tx: &mut Tx, now: Instant, order: &OrderDocument, seen: i64) -> Result<bool> {
    let update =
        sql("UPDATE orders SET state = ?, payment_state = ?, fulfilment_state = ?, version = ?, updated_at = ? \
                      WHERE id = ? AND version = ?")
        .bind(order.state.as_str())
        .bind(order.payment_state.as_str())
        .bind(order.fulfilment_state.as_str())
        .bind(order.version)
        .bind(now)
        .bind(order.id)
        .bind(seen);
    Ok(update.execute(tx)? == 1)
}

/// Notes that so much of an order's shipping, which costs `cost`, is not owed any more, and so much more or less of it is given away. False
/// where less of it is left.
pub(super) fn credit_shipping(tx: &mut Tx, id: OrderId, (amount, goodwill): (i64, i64), cost: i64) -> Result<bool> {
    let update = "UPDATE orders SET shipping_credited = shipping_credited + ?, shipping_goodwill = shipping_goodwill + ? \
                  WHERE id = ? AND shipping_goodwill + ? >= 0 AND shipping_credited + shipping_goodwill + ? <= ?";
    let update = sql(update).bind(amount).bind(goodwill).bind(id).bind(goodwill);
    Ok(update.bind(amount.saturating_add(goodwill)).bind(cost).execute(tx)? == 1)
}

/// Replaces the deliveries in the document of a locked order; what else stands in it stays.
pub(super) fn save_deliveries(tx: &mut Tx, id: OrderId, deliveries: &[Delivery]) -> Result<()> {
    save_detail(tx, id, "deliveries", serde_json::to_value(deliveries)?)
}

/// Writes one member of a locked order's document.
pub(super) fn save_detail(tx: &mut Tx, id: OrderId, name: &str, value: Value) -> Result<()> {
    let kept = sql("SELECT doc FROM orders WHERE id = ?").bind(id).first::<DocSql, Doc<Value>>(tx)?;
    let Some(Doc(Value::Object(mut doc))) = kept else { return Err(Error::internal("an order without a document")) };
    doc.insert(name.to_owned(), value);
    sql("UPDATE orders SET doc = ? WHERE id = ?").bind(Doc(Value::Object(doc))).bind(id).execute(tx).map(|_| ())
}

/// Writes the sums and deliveries of a locked order after it was amended; what else stands in its document stays.
pub(super) fn save_totals(tx: &mut Tx, id: OrderId, details: &OrderDetails) -> Result<()> {
    let kept = sql("SELECT doc FROM orders WHERE id = ?").bind(id).first::<DocSql, Doc<Value>>(tx)?;
    let Some(Doc(Value::Object(mut doc))) = kept else { return Err(Error::internal("an order without a document")) };
    doc.insert("totals".to_owned(), serde_json::to_value(&details.totals)?);
    doc.insert("deliveries".to_owned(), serde_json::to_value(&details.deliveries)?);
    let update = sql("UPDATE orders SET total = ?, doc = ? WHERE id = ?").bind(details.totals.total.minor());
    update.bind(Doc(Value::Object(doc))).bind(id).execute(tx).map(|_| ())
}

/// Gives a line of a locked order another price. False where something of it has moved: its shares are reckoned by the price it had.
pub(super) fn reprice_line(
    tx: &mut Tx,
    order: OrderId,
    line_no: i32,
    [unit_price, net, tax, gross]: [i64; 4],
    doc: &LineDetails,
) -> Result<bool> {
    let update = sql("UPDATE order_lines SET unit_price = ?, net = ?, tax = ?, gross = ?, doc = ? WHERE order_id = ? \
                      AND line_no = ? AND shipped = 0 AND cancelled = 0 AND returned = 0 AND refunded = 0");
    let update = update.bind(unit_price).bind(net).bind(tax).bind(gross).bind(Json::of(doc)?);
    Ok(update.bind(order).bind(line_no).execute(tx)? == 1)
}

/// Writes what a locked order is held for, and when the first of that ends by itself.
pub(super) fn save_holds(tx: &mut Tx, id: OrderId, holds: &[OrderHold]) -> Result<()> {
    let first = holds.iter().filter_map(|hold| hold.block.expires_at).min();
    let doc = if holds.is_empty() { None } else { Some(Json::of(holds)?) };
    sql("UPDATE orders SET holds = ?, hold_ends_at = ? WHERE id = ?")
        .bind(doc)
        .bind(first)
        .bind(id)
        .execute(tx)
        .map(|_| ())
}

/// What orders are held for: one statement. Those that are not held are absent.
pub(super) fn holds_of(tx: &mut Tx, ids: &[OrderId]) -> Result<Vec<(OrderId, Doc<Vec<OrderHold>>)>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT id, holds FROM orders WHERE id IN (SELECT wanted FROM {list}) AND holds IS NOT NULL");
    sql(query).bind(wanted(ids)).load::<(UidSql, DocSql), _>(tx)
}

/// Up to so many orders of which a hold is over, the longest over first.
pub(super) fn holds_over(tx: &mut Tx, now: Instant, limit: i64) -> Result<Vec<OrderId>> {
    sql("SELECT id FROM orders WHERE hold_ends_at <= ? ORDER BY hold_ends_at LIMIT ?")
        .bind(now)
        .bind(limit)
        .load::<UidSql, OrderId>(tx)
}

/// Moves the quantities of any number of lines with one statement.
pub(super) fn move_lines(tx: &mut Tx, order: OrderId, moves: &[LineMove]) -> Result<()> {
    if moves.is_empty() {
        return Ok(());
    }
    let list = dialect::list(
        tx,
        &[
            ("line", Col::Int),
            ("d_allocated", Col::Int),
            ("d_shipped", Col::Int),
            ("d_delivered", Col::Int),
            ("d_returned", Col::Int),
            ("d_cancelled", Col::Int),
            ("d_refunded", Col::Int),
            ("d_coming_back", Col::Int),
            ("d_claimed", Col::Int),
            ("d_goodwill", Col::Int),
        ],
    );
    let update = format!(
        "UPDATE order_lines SET allocated = allocated + d_allocated, shipped = shipped + d_shipped, \
         delivered = delivered + d_delivered, returned = returned + d_returned, cancelled = cancelled + d_cancelled, \
         refunded = refunded + d_refunded, coming_back = coming_back + d_coming_back, claimed = claimed + d_claimed, \
         goodwill = goodwill + d_goodwill \
         FROM {list} WHERE order_id = ? AND line_no = list.line"
    );
    let value = |m: &LineMove| {
        let moved =
            [m.allocated, m.shipped, m.delivered, m.returned, m.cancelled, m.refunded, m.coming_back, m.claimed];
        json!(std::iter::once(i64::from(m.line_no)).chain(moved).chain([m.goodwill]).collect::<Vec<i64>>())
    };
    let values = moves.iter().map(value);
    let moved = sql(update).bind(dialect::rows(values.collect())).bind(order).execute(tx);
    let moved = moved.map_err(|error| match error.is_check_violation() {
        true => Error::problem(Code::QuantityExceeded, "a line has no such quantity left"),
        false => error,
    })?;
    if moved == moves.len() { Ok(()) } else { Err(Error::problem(Code::LineUnknown, "the order has no such line")) }
}

/// Notes what a foreign system calls the order. False when that system has given this value away before.
pub(super) fn add_ref(
    tx: &mut Tx,
    now: Instant,
    id: ExternalRefId,
    order: OrderId,
    reference: &ExternalRef,
    doc: Value,
) -> Result<bool> {
    let insert = sql("INSERT INTO external_refs (id, owner, system, kind, value, value_folded, doc, created_at) \
                      VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (system, kind, value) DO NOTHING")
    .bind(id)
    .bind(order)
    .bind(reference.system.as_str())
    .bind(reference.kind.as_str())
    .bind(reference.value.as_str())
    .bind(text::squeeze(&reference.value))
    .bind(Doc(doc))
    .bind(now);
    Ok(insert.execute(tx)? == 1)
}

/// Keeps something else beside a reference of an order.
pub(super) fn keep_ref(tx: &mut Tx, order: OrderId, reference: &ExternalRef, doc: Value) -> Result<bool> {
    let update = sql("UPDATE external_refs SET doc = ? WHERE system = ? AND kind = ? AND value = ? AND owner = ?");
    let update = update.bind(Doc(doc)).bind(reference.system.as_str()).bind(reference.kind.as_str());
    Ok(update.bind(reference.value.as_str()).bind(order).execute(tx)? == 1)
}

/// Forgets a reference of an order beside which a text is kept as `held`: one that stands for something else by now stays.
pub(super) fn drop_held_ref(tx: &mut Tx, order: OrderId, reference: &ExternalRef, held: &str) -> Result<bool> {
    let delete =
        sql("DELETE FROM external_refs WHERE system = ? AND kind = ? AND value = ? AND owner = ? AND doc->>'held' = ?");
    let delete = delete.bind(reference.system.as_str()).bind(reference.kind.as_str()).bind(reference.value.as_str());
    Ok(delete.bind(order).bind(held).execute(tx)? == 1)
}

/// Whose a foreign reference is, with what was kept beside it.
pub(super) fn find_ref(tx: &mut Tx, system: &str, kind: &str, value: &str) -> Result<Option<(OrderId, Value)>> {
    let query = sql("SELECT owner, doc FROM external_refs WHERE system = ? AND kind = ? AND value = ?");
    let found = query.bind(system).bind(kind).bind(value);
    let found = found.first::<(UidSql, DocSql), (OrderId, Doc<Value>)>(tx)?;
    Ok(found.map(|(owner, Doc(doc))| (owner, doc)))
}

pub(super) fn refs(tx: &mut Tx, order: OrderId) -> Result<Vec<ExternalRef>> {
    let query = sql("SELECT system, kind, value FROM external_refs WHERE owner = ? ORDER BY id").bind(order);
    let rows = query.load::<(Text, Text, Text), (String, String, String)>(tx)?;
    Ok(rows.into_iter().map(|(system, kind, value)| ExternalRef { system, kind, value }).collect())
}

/// What foreign systems call several orders, with one statement.
pub(super) fn refs_of(tx: &mut Tx, orders: &[OrderId]) -> Result<Vec<(OrderId, ExternalRef)>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT owner, system, kind, value FROM external_refs WHERE owner IN (SELECT wanted FROM {list}) ORDER BY id"
    );
    type Found = (OrderId, String, String, String);
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    let rows = sql(query).bind(wanted).load::<(UidSql, Text, Text, Text), Found>(tx)?;
    Ok(rows.into_iter().map(|(owner, system, kind, value)| (owner, ExternalRef { system, kind, value })).collect())
}

/// Ids of orders after one of them, in their order.
pub(super) fn ids_after(tx: &mut Tx, after: Option<OrderId>, limit: i64) -> Result<Vec<OrderId>> {
    let after = after.unwrap_or(Id::from_bytes([0; 16]));
    sql("SELECT id FROM orders WHERE id > ? ORDER BY id LIMIT ?").bind(after).bind(limit).load::<UidSql, OrderId>(tx)
}

/// What others show of orders beside their own things, with one statement.
pub(super) fn heads(tx: &mut Tx, orders: &[OrderId]) -> Result<Vec<OrderHead>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT id, number, channel_id, version, state, payment_state, fulfilment_state FROM orders \
         WHERE id IN (SELECT wanted FROM {list})"
    );
    type Found = (OrderId, String, ChannelId, i64, OrderState, PaymentStatus, FulfilmentStatus);
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    let rows = sql(query).bind(wanted).load::<(UidSql, Text, UidSql, BigInt, Text, Text, Text), Found>(tx)?;
    let head = |(id, number, channel_id, version, state, payment_state, fulfilment_state)| OrderHead {
        id,
        number,
        channel_id,
        version,
        state,
        payment_state,
        fulfilment_state,
    };
    Ok(rows.into_iter().map(head).collect())
}

/// For how many days goods must keep that leave with orders, of those that ask for it.
pub(super) fn shelf_lives(tx: &mut Tx, orders: &[OrderId]) -> Result<HashMap<OrderId, i64>> {
    /// What is read of an order's document.
    #[derive(Debug, serde::Deserialize)]
    struct Keeps {
        #[serde(default)]
        min_shelf_life_days: Option<i64>,
    }
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT id, doc FROM orders WHERE id IN (SELECT wanted FROM {list})");
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    let rows = sql(query).bind(wanted).load::<(UidSql, DocSql), (OrderId, Doc<Keeps>)>(tx)?;
    Ok(rows.into_iter().filter_map(|(id, Doc(keeps))| Some((id, keeps.min_shelf_life_days?))).collect())
}

/// The order that an id or a number names, of the channels that the actor sees.
pub(super) fn by_name(tx: &mut Tx, actor: &Actor, reference: &str) -> Result<Option<(OrderId, String)>> {
    let id: Option<OrderId> = reference.parse().ok();
    let query = sql("SELECT id, channel_id, number FROM orders WHERE id = ? OR number = ?").bind(id).bind(reference);
    let found = query.first::<(UidSql, UidSql, Text), (OrderId, ChannelId, String)>(tx)?;
    Ok(found.filter(|(_, channel, _)| actor.sees_channel(*channel)).map(|(id, _, number)| (id, number)))
}

/// An order that a foreign reference stands for: its id, its number, and whether the reference names the order itself and
/// not a document of it.
pub(super) type Named = (OrderId, String, bool);

/// The orders that foreign references stand for, of the channels that the actor sees: each a value, and the system whose it
/// is where that is said.
pub(super) fn by_reference(tx: &mut Tx, actor: &Actor, wanted: &[(Option<&str>, &str)]) -> Result<Vec<Named>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let channels = actor.channels().unwrap_or_default();
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let names = dialect::list(tx, &[("of_system", Col::Text), ("known_as", Col::Text), ("folded", Col::Text)]);
    let query = format!(
        "SELECT DISTINCT orders.id, number, kind = 'order' FROM {names} \
         JOIN external_refs ON value_folded = list.folded AND value = list.known_as \
         AND system = coalesce(list.of_system, system) \
         JOIN orders ON orders.id = owner \
         WHERE (? OR channel_id IN (SELECT wanted FROM {list})) ORDER BY number LIMIT ?"
    );
    let names = wanted.iter().map(|(system, value)| json!([system, value, text::squeeze(value)]));
    let seen = dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect());
    let query = sql(query).bind(dialect::rows(names.collect()));
    let query = query.bind(actor.channels().is_none()).bind(seen).bind(CANDIDATES);
    query.load::<(UidSql, Text, Bool), Named>(tx)
}

/// How many orders of one reference are looked at.
const CANDIDATES: i64 = 50;

/// The order that a cart became.
pub(super) fn by_cart(tx: &mut Tx, cart: CartId) -> Result<Option<OrderId>> {
    sql("SELECT id FROM orders WHERE cart_id = ?").bind(cart).first::<UidSql, OrderId>(tx)
}

/// A customer's orders, newest first, after a place in that order.
pub(super) fn of_customer(
    tx: &mut Tx,
    (customer, channel): (CustomerId, ChannelId),
    after: Option<(Instant, OrderId)>,
    limit: i64,
) -> Result<Vec<OrderId>> {
    let after = after.unwrap_or((Instant::END, Id::from_bytes([0xff; 16])));
    let query = "SELECT id FROM orders WHERE customer_id = ? AND channel_id = ? AND (placed_at, id) < (?, ?) \
                 ORDER BY placed_at DESC, id DESC LIMIT ?";
    sql(query).bind(customer).bind(channel).bind(after.0).bind(after.1).bind(limit).load::<UidSql, OrderId>(tx)
}

/// How many orders a customer has in a channel, counted no further than `cap`.
pub(super) fn count_of_customer(tx: &mut Tx, (customer, channel): (CustomerId, ChannelId), cap: i64) -> Result<i64> {
    let query =
        "SELECT count(*) FROM (SELECT 1 AS one FROM orders WHERE customer_id = ? AND channel_id = ? LIMIT ?) AS own";
    let count = sql(query).bind(customer).bind(channel).bind(cap).first::<BigInt, i64>(tx)?;
    Ok(count.unwrap_or_default())
}

/// The order with a number, e-mail and postcode that fit, for a guest who has nothing else.
pub(super) fn lookup(
    tx: &mut Tx,
    channel: ChannelId,
    number: &str,
    email: &str,
    postcode: &str,
) -> Result<Option<OrderId>> {
    let query =
        "SELECT id FROM orders WHERE number = ? AND channel_id = ? AND email_folded = ? AND postcode_folded = ?";
    sql(query).bind(number).bind(channel).bind(email).bind(postcode).first::<UidSql, OrderId>(tx)
}

/// Orders placed before an instant whose money has to come from outside (a transfer), or whose goods have left, and that
/// are not paid; of the channels that the actor sees, as what waits for a person, the oldest first.
///
/// # Errors
/// What the database says.
pub fn waiting_unpaid(tx: &mut Tx, actor: &Actor, before: Instant, limit: i64) -> Result<Vec<Waiting>> {
    type Found = (OrderId, String, Instant, i64, Currency, PaymentStatus);
    let channels = actor.channels().unwrap_or_default();
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT id, number, placed_at, total, currency, payment_state FROM orders WHERE state = 'placed' AND placed_at < ? \
         AND NOT test AND payment_state IN ('pending', 'authorised', 'partially_captured', 'voided') \
         AND (doc->>'payment_method' = 'manual' \
           OR fulfilment_state IN ('shipped', 'partially_delivered', 'delivered', 'not_required')) \
         AND (? OR channel_id IN (SELECT wanted FROM {list})) ORDER BY placed_at, id LIMIT ?"
    );
    let wanted = dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect());
    let rows = sql(query).bind(before).bind(actor.channels().is_none()).bind(wanted).bind(limit);
    let rows = rows.load::<(UidSql, Text, InstantSql, BigInt, Text, Text), Found>(tx)?;
    let waiting = |(id, number, since, total, currency, state): Found| Waiting {
        id: id.to_string(),
        since,
        subject: format!("order {number} over {}: payment {state}", Money::from_minor(total, currency)),
        link: format!("/v1/ops/orders/{number}"),
    };
    Ok(rows.into_iter().map(waiting).collect())
}

/// The orders of a person, oldest first.
pub(super) fn of_person(tx: &mut Tx, person: &Person) -> Result<Vec<Owned>> {
    type Types = (UidSql, Text, Nullable<UidSql>, Text, Nullable<Text>, Text);
    type Row = (OrderId, String, Option<CartId>, OrderState, Option<String>, String);
    const SELECTED: &str = "SELECT id, number, cart_id, state, email_folded, name_folded FROM orders";
    let query = match person {
        Person::Customer(id) => sql(format!("{SELECTED} WHERE customer_id = ? ORDER BY placed_at, id")).bind(*id),
        Person::Guest(email) => {
            sql(format!("{SELECTED} WHERE email_folded = ? AND customer_id IS NULL ORDER BY placed_at, id"))
                .bind(email.as_str())
        }
    };
    let owned = |(id, number, cart_id, state, email, name): Row| {
        // Bare by what it is searched by; the details are for others to look at.
        let (is_open, is_bare) = (state == OrderState::Placed, email.is_none() && name.is_empty());
        Owned { id, number, cart_id, is_open, is_bare }
    };
    Ok(query.load::<Types, Row>(tx)?.into_iter().map(owned).collect())
}

/// Writes an order's details without what is personal; no search finds it by that any more.
pub(super) fn erase(tx: &mut Tx, id: OrderId, details: &OrderDetails) -> Result<()> {
    sql(
        "UPDATE orders SET email_folded = NULL, name_folded = '', postcode_folded = NULL, phone_digits = NULL, doc = ? \
         WHERE id = ?",
    )
    .bind(Json::of(details)?)
    .bind(id)
    .execute(tx)?;
    if details.deliveries.len() > 1 {
        let bare = "UPDATE order_contacts SET name_folded = '', postcode_folded = NULL, phone_digits = NULL WHERE order_id = ?";
        sql(bare).bind(id).execute(tx)?;
    }
    Ok(())
}

/// Writes the details of any number of an order's lines with one statement.
pub(super) fn erase_lines(tx: &mut Tx, order: OrderId, lines: &[(i64, LineDetails)]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let list = dialect::list(tx, &[("line", Col::Int), ("bare", Col::Doc)]);
    let rows: Result<Vec<Value>> =
        lines.iter().map(|(line, doc)| Ok(json!([line, serde_json::to_value(doc)?]))).collect();
    sql(format!("UPDATE order_lines SET doc = list.bare FROM {list} WHERE order_id = ? AND line_no = list.line"))
        .bind(dialect::rows(rows?))
        .bind(order)
        .execute(tx)?;
    Ok(())
}
