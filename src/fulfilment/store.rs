//! The only file that touches `fulfilment_orders` and `fulfilment_lines`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::sql_types::{BigInt, Bool, Nullable, Text as SqlText};
use serde_json::{Value, json};

pub use super::shipment_store::waiting_attempts;
pub(super) use super::shipment_store::{
    by_number, deliver, deliver_earlier, insert_shipment, save_details, shipment, shipments, shipments_after,
    shipments_by_ids, track, undeliver, unship,
};
use super::{
    holds,
    model::{Counts, FulfilmentDetails, FulfilmentLine, FulfilmentOrder, FulfilmentState, Step},
};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, insert_many, sql},
    error::{Code, Error, Result},
    kernel::{
        Actor, Id, Instant, Waiting,
        ids::{ChannelId, FulfilmentOrderId, LocationId, OrderId, VariantId},
        text::neutral_key,
    },
    orders,
    stock::{LevelKey, Sourcing},
};

const ORDER: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("order_id", Col::Uid),
    ("order_number", Col::Text),
    ("channel_id", Col::Uid),
    ("location_id", Col::Uid),
    ("state", Col::Text),
    ("state_since", Col::At),
    ("version", Col::Int),
    ("due_at", Col::At),
    ("created_at", Col::At),
    ("updated_at", Col::At),
    ("sourcing", Col::Doc),
    ("priority", Col::Int),
    ("accept_by", Col::At),
    ("doc", Col::Doc),
    ("promised_until", Col::At),
    ("told_until", Col::At),
    ("turn_at", Col::At),
    ("collect_by", Col::At),
];

const LINE: &[(&str, Col)] = &[
    ("fulfilment_order_id", Col::Uid),
    ("line_no", Col::Int),
    ("variant_id", Col::Uid),
    ("sku", Col::Text),
    ("tracked", Col::Bool),
    ("quantity", Col::Int),
    ("picked", Col::Int),
    ("packed", Col::Int),
    ("shipped", Col::Int),
    ("cancelled", Col::Int),
    ("moved", Col::Int),
];

/// Writes fulfilment orders with their lines, and with each the traces of its lines: two statements.
pub(super) fn insert(tx: &mut Tx, all: &[FulfilmentOrder], sourcing: &[Sourcing]) -> Result<()> {
    let rows = all.iter().map(|one| {
        let of = |trace: &&Sourcing| {
            usize::try_from(trace.delivery) == Ok(one.number())
                && one.lines.iter().any(|line| line.line_no == trace.line_no)
        };
        let traces: Vec<&Sourcing> = sourcing.iter().filter(of).collect();
        let traces = (!traces.is_empty()).then(|| Json::of(&traces)).transpose()?;
        Ok(vec![
            one.id.into(),
            one.order_id.into(),
            one.order_number.as_str().into(),
            one.channel_id.into(),
            one.location_id.into(),
            one.state.as_str().into(),
            one.state_since.into(),
            one.version.into(),
            one.due_at.into(),
            one.created_at.into(),
            one.updated_at.into(),
            traces.into(),
            one.priority.into(),
            one.accept_by.into(),
            Json::of(&one.details())?.into(),
            one.promised_until.into(),
            one.told_until.into(),
            one.turn_at.into(),
            one.collect_by.into(),
        ])
    });
    let rows: Result<Vec<_>> = rows.collect();
    insert_many(tx, "fulfilment_orders", ORDER, rows?)?;
    let lines = all.iter().flat_map(|one| {
        one.lines.iter().map(|line| {
            let counts = line.counts;
            vec![
                one.id.into(),
                line.line_no.into(),
                line.variant_id.into(),
                line.sku.as_str().into(),
                line.tracked.into(),
                counts.quantity.into(),
                counts.picked.into(),
                counts.packed.into(),
                counts.shipped.into(),
                counts.cancelled.into(),
                counts.moved.into(),
            ]
        })
    });
    insert_many(tx, "fulfilment_lines", LINE, lines.collect()).map(|_| ())
}

#[rustfmt::skip]
type OrderColumns = (UidSql, UidSql, SqlText, UidSql, UidSql, SqlText, InstantSql, BigInt, InstantSql, InstantSql, InstantSql, BigInt, Nullable<InstantSql>, Nullable<DocSql>, Nullable<InstantSql>, Nullable<InstantSql>, Nullable<InstantSql>, Nullable<InstantSql>);
#[rustfmt::skip]
type OrderRow = (FulfilmentOrderId, OrderId, String, ChannelId, LocationId, FulfilmentState, Instant, i64, Instant, Instant, Instant, i64, Option<Instant>, Option<Doc<FulfilmentDetails>>, Option<Instant>, Option<Instant>, Option<Instant>, Option<Instant>);
const SELECTED: &str = "id, order_id, order_number, channel_id, location_id, state, state_since, version, due_at, created_at, \
     updated_at, priority, accept_by, doc, promised_until, told_until, turn_at, collect_by";

#[rustfmt::skip]
fn order(row: OrderRow) -> FulfilmentOrder {
    let (id, order_id, order_number, channel_id, location_id, state, state_since, version, due_at, created_at, updated_at, priority, accept_by, doc, promised_until, told_until, turn_at, collect_by) = row;
    let FulfilmentDetails { cancel_request, taken_from, declined, missed, delivery, shelf_life_days, due_by_hand, supplier_ships_at } = doc.map(|Doc(details)| details).unwrap_or_default();
    let (lines, holds, order_holds) = (Vec::new(), Vec::new(), Vec::new());
    FulfilmentOrder { id, order_id, order_number, channel_id, location_id, state, state_since, version, due_at, due_by_hand, priority, holds, order_holds, accept_by, collect_by, cancel_request, declined, missed, delivery, promised_until, told_until, turn_at, supplier_ships_at, shelf_life_days, taken_from, lines, created_at, updated_at }
}

type LineColumns = (UidSql, BigInt, UidSql, SqlText, Bool, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt);
type LineRow = (FulfilmentOrderId, i64, VariantId, String, bool, i64, i64, i64, i64, i64, i64);

/// Reads fulfilment orders, and their lines with a second statement.
fn load(tx: &mut Tx, query: Sql) -> Result<Vec<FulfilmentOrder>> {
    let rows = query.load::<OrderColumns, OrderRow>(tx)?;
    let mut found: Vec<FulfilmentOrder> = rows.into_iter().map(order).collect();
    if found.is_empty() {
        return Ok(found);
    }
    let wanted = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT fulfilment_order_id, line_no, variant_id, sku, tracked, quantity, picked, packed, shipped, cancelled, \
         moved FROM fulfilment_lines WHERE fulfilment_order_id IN (SELECT wanted FROM {wanted}) ORDER BY line_no"
    );
    let ids = found.iter().map(|one| json!([one.id.hex()])).collect();
    let lines = sql(query).bind(dialect::rows(ids)).load::<LineColumns, LineRow>(tx)?;
    let mut of: HashMap<FulfilmentOrderId, Vec<FulfilmentLine>> = HashMap::new();
    for (owner, line_no, variant_id, sku, tracked, quantity, picked, packed, shipped, cancelled, moved) in lines {
        let counts = Counts { quantity, picked, packed, shipped, cancelled, moved };
        let line_no = i32::try_from(line_no).map_err(Error::internal)?;
        of.entry(owner).or_default().push(FulfilmentLine { line_no, variant_id, sku, counts, tracked });
    }
    for one in &mut found {
        one.lines = of.remove(&one.id).unwrap_or_default();
    }
    let mut held = holds::store::live(tx, &found.iter().map(|one| one.id).collect::<Vec<_>>())?;
    for one in &mut found {
        one.holds = held.remove(&one.id).unwrap_or_default();
    }
    let orders: BTreeSet<OrderId> = found.iter().map(|one| one.order_id).collect();
    let held = orders::holds::of(tx, &orders.into_iter().collect::<Vec<_>>())?;
    for one in &mut found {
        let own = held.get(&one.order_id).into_iter().flatten();
        one.order_holds =
            own.filter(|hold| hold.is_about(one.lines.iter().map(|line| line.line_no))).cloned().collect();
    }
    Ok(found)
}

pub(super) fn get(tx: &mut Tx, id: FulfilmentOrderId) -> Result<Option<FulfilmentOrder>> {
    Ok(load(tx, sql(format!("SELECT {SELECTED} FROM fulfilment_orders WHERE id = ?")).bind(id))?.pop())
}

/// An order's fulfilment orders, the oldest first.
pub(super) fn of_order(tx: &mut Tx, order: OrderId) -> Result<Vec<FulfilmentOrder>> {
    load(tx, sql(format!("SELECT {SELECTED} FROM fulfilment_orders WHERE order_id = ? ORDER BY id")).bind(order))
}

/// The traces that led to an order's fulfilment orders, each line once and in order: the newest, where it was planned again. Old
/// orders have none.
pub(super) fn sourcing(tx: &mut Tx, order: OrderId) -> Result<Vec<Sourcing>> {
    let query = sql("SELECT sourcing FROM fulfilment_orders WHERE order_id = ? AND sourcing IS NOT NULL ORDER BY id")
        .bind(order);
    let found = query.load::<DocSql, Doc<Vec<Sourcing>>>(tx)?;
    let traces = found.into_iter().flat_map(|Doc(traces)| traces);
    let by_line: BTreeMap<(i32, i32), Sourcing> =
        traces.map(|trace| ((trace.line_no, trace.delivery), trace)).collect();
    Ok(by_line.into_values().collect())
}

/// Fulfilment orders by their ids.
pub(super) fn by_ids(tx: &mut Tx, ids: &[FulfilmentOrderId]) -> Result<Vec<FulfilmentOrder>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT {SELECTED} FROM fulfilment_orders WHERE id IN (SELECT wanted FROM {list}) ORDER BY id");
    let wanted = dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect());
    load(tx, sql(query).bind(wanted))
}

/// Fulfilment orders after one of them, in the order of their ids.
pub(super) fn after(tx: &mut Tx, after: Option<FulfilmentOrderId>, limit: i64) -> Result<Vec<FulfilmentOrder>> {
    let after = after.unwrap_or(Id::from_bytes([0; 16]));
    let query = format!("SELECT {SELECTED} FROM fulfilment_orders WHERE id > ? ORDER BY id LIMIT ?");
    load(tx, sql(query).bind(after).bind(limit))
}

/// The order that a fulfilment order is of, with its location and channel, which never change.
pub(super) fn owner(tx: &mut Tx, id: FulfilmentOrderId) -> Result<Option<(OrderId, LocationId, ChannelId)>> {
    let query = sql("SELECT order_id, location_id, channel_id FROM fulfilment_orders WHERE id = ?").bind(id);
    query.first::<(UidSql, UidSql, UidSql), _>(tx)
}

/// The orders that fulfilment orders are of.
pub(super) fn orders_of(tx: &mut Tx, ids: &[FulfilmentOrderId]) -> Result<Vec<(FulfilmentOrderId, OrderId)>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT id, order_id FROM {list} JOIN fulfilment_orders ON id = wanted");
    let wanted = dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect());
    sql(query).bind(wanted).load::<(UidSql, UidSql), (FulfilmentOrderId, OrderId)>(tx)
}

/// What a list of fulfilment orders is narrowed to.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub state: Option<FulfilmentState>,
    pub overdue_at: Option<Instant>,
    pub location: Option<LocationId>,
    pub locations: Option<Vec<LocationId>>,
    pub channels: Option<Vec<ChannelId>>,
    pub held: Option<bool>,
    pub cancel_requested: Option<bool>,
    pub to_accept: Option<bool>,
    pub min_priority: Option<i64>,
}

/// A page of fulfilment orders, those due first in front. Without a state: those that are not finished.
pub(super) fn page(
    tx: &mut Tx,
    filter: &Filter,
    after: Option<(Instant, FulfilmentOrderId)>,
    limit: i64,
) -> Result<Vec<FulfilmentOrder>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let mut text = format!("SELECT {SELECTED} FROM fulfilment_orders WHERE ");
    let mut binds: Vec<Bind> = Vec::new();
    // Said with the words of the partial indexes, so that they are used.
    text.push_str(match filter.state {
        Some(state) if !state.is_open() => "state IN ('shipped', 'delivered', 'cancelled')",
        _ => "state NOT IN ('shipped', 'delivered', 'cancelled')",
    });
    if let Some(state) = filter.state {
        text.push_str(" AND state = ?");
        binds.push(state.as_str().into());
    }
    if let Some(now) = filter.overdue_at {
        text.push_str(" AND due_at < ? AND state NOT IN ('shipped', 'delivered', 'cancelled')");
        binds.push(now.into());
    }
    if let Some(location) = filter.location {
        text.push_str(" AND location_id = ?");
        binds.push(location.into());
    }
    if let Some(held) = filter.held {
        let not = if held { "" } else { "NOT " };
        text.push_str(&format!(
            " AND {not}EXISTS (SELECT 1 FROM fulfilment_holds AS h WHERE h.fulfilment_order_id = fulfilment_orders.id \
             AND h.released_at IS NULL)"
        ));
    }
    if let Some(requested) = filter.cancel_requested {
        // Of what is cancelled or has left nobody waits for an answer.
        text.push_str(
            " AND (doc->'cancel_request'->>'at' IS NOT NULL AND state NOT IN ('shipped', 'delivered', 'cancelled')) = ?",
        );
        binds.push(requested.into());
    }
    if let Some(waiting) = filter.to_accept {
        text.push_str(if waiting { " AND accept_by IS NOT NULL" } else { " AND accept_by IS NULL" });
    }
    if let Some(least) = filter.min_priority {
        text.push_str(" AND priority >= ?");
        binds.push(least.into());
    }
    if let Some(locations) = &filter.locations {
        text.push_str(&format!(" AND location_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(locations.iter().map(|id| json!([id.hex()])).collect()));
    }
    if let Some(channels) = &filter.channels {
        text.push_str(&format!(" AND channel_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect()));
    }
    if let Some((due, id)) = after {
        text.push_str(" AND (due_at, id) > (?, ?)");
        binds.extend([due.into(), id.into()]);
    }
    text.push_str(" ORDER BY due_at, id LIMIT ?");
    binds.push(limit.into());
    let query = binds.into_iter().fold(sql(text), |query, bind| query.bind(bind));
    load(tx, query)
}

/// Moves the quantities of lines, all with one statement. The constraints refuse what is not there.
pub(super) fn move_lines(tx: &mut Tx, steps: &[(FulfilmentOrderId, i32, Step)]) -> Result<()> {
    let list = dialect::list(
        tx,
        &[
            ("owner", Col::Uid),
            ("line", Col::Int),
            ("d_picked", Col::Int),
            ("d_packed", Col::Int),
            ("d_shipped", Col::Int),
            ("d_cancelled", Col::Int),
            ("d_moved", Col::Int),
        ],
    );
    let update = format!(
        "UPDATE fulfilment_lines SET picked = picked + d_picked, packed = packed + d_packed, \
         shipped = shipped + d_shipped, cancelled = cancelled + d_cancelled, moved = moved + d_moved \
         FROM {list} WHERE fulfilment_order_id = list.owner AND line_no = list.line"
    );
    let rows = steps.iter().map(|(owner, line, step)| {
        let Step { picked, packed, shipped, cancelled, moved } = step;
        json!([owner.hex(), line, picked, packed, shipped, cancelled, moved])
    });
    let moved = sql(update).bind(dialect::rows(rows.collect())).execute(tx);
    let moved = moved.map_err(|error| match error.is_check_violation() {
        true => Error::problem(
            Code::QuantityExceeded,
            "a line has no such quantity left, or its pieces are in packages: unpack those first",
        ),
        false => error,
    })?;
    if moved == steps.len() { Ok(()) } else { Err(Error::internal("a fulfilment line has gone")) }
}

/// Writes the states of fulfilment orders, each at the version after the one it had. False when one has changed since.
pub(super) fn save_states<'a>(
    tx: &mut Tx,
    now: Instant,
    changed: impl IntoIterator<Item = &'a FulfilmentOrder>,
) -> Result<bool> {
    let list = dialect::list(tx, &[("wanted", Col::Uid), ("next", Col::Text), ("seen", Col::Int)]);
    let update = format!(
        "UPDATE fulfilment_orders SET state = list.next, version = version + 1, updated_at = ?, \
         state_since = CASE WHEN state = list.next THEN state_since ELSE ? END \
         FROM {list} WHERE id = list.wanted AND version = list.seen"
    );
    let rows: Vec<Value> = changed.into_iter().map(|one| json!([one.id.hex(), one.state, one.version - 1])).collect();
    let count = rows.len();
    Ok(count == 0 || sql(update).bind(now).bind(now).bind(dialect::rows(rows)).execute(tx)? == count)
}

/// Writes what of a fulfilment order changes beside its state and its lines. The order it is of is locked meanwhile.
pub(super) fn save_plan(tx: &mut Tx, one: &FulfilmentOrder) -> Result<()> {
    let update = sql(
        "UPDATE fulfilment_orders SET priority = ?, due_at = ?, turn_at = ?, accept_by = ?, collect_by = ?, doc = ? WHERE id = ?",
    );
    let update = update.bind(one.priority).bind(one.due_at).bind(one.turn_at).bind(one.accept_by).bind(one.collect_by);
    match update.bind(Doc(serde_json::to_value(one.details())?)).bind(one.id).execute(tx)? {
        1 => Ok(()),
        _ => Err(Error::internal("a fulfilment order has gone")),
    }
}

/// Calls the deliveries of orders by their places: their keys may tell who has chosen them. One statement, and one more where there is any
/// that is called otherwise.
pub(super) fn forget_keys(tx: &mut Tx, orders: &[OrderId]) -> Result<()> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT id, doc FROM fulfilment_orders WHERE order_id IN (SELECT wanted FROM {list}) \
         AND doc->'delivery'->>'key' IS NOT NULL"
    );
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    let found = sql(query).bind(wanted).load::<(UidSql, DocSql), (FulfilmentOrderId, Doc<FulfilmentDetails>)>(tx)?;
    let mut rows = Vec::with_capacity(found.len());
    for (id, Doc(mut details)) in found {
        let Some(delivery) = &mut details.delivery else { continue };
        let name = neutral_key(usize::try_from(delivery.number).unwrap_or_default());
        if std::mem::replace(&mut delivery.key, name) != delivery.key {
            rows.push(json!([id.hex(), details]));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let list = dialect::list(tx, &[("wanted", Col::Uid), ("bare", Col::Doc)]);
    let update = format!("UPDATE fulfilment_orders SET doc = list.bare FROM {list} WHERE id = list.wanted");
    sql(update).bind(dialect::rows(rows)).execute(tx).map(|_| ())
}

/// Sets when fulfilment orders are due, each once; whose turn it is among those who wait stays. The order they are of is locked meanwhile.
pub(super) fn save_due(tx: &mut Tx, all: &[(FulfilmentOrderId, Instant)]) -> Result<()> {
    let list = dialect::list(tx, &[("wanted", Col::Uid), ("due", Col::At)]);
    let update = format!(
        "UPDATE fulfilment_orders SET due_at = list.due, turn_at = coalesce(turn_at, due_at) FROM {list} WHERE id = list.wanted"
    );
    let rows = all.iter().map(|(id, due)| json!([id.hex(), due.sortable()])).collect();
    match sql(update).bind(dialect::rows(rows)).execute(tx)? == all.len() {
        true => Ok(()),
        false => Err(Error::internal("a fulfilment order has gone")),
    }
}

/// Keeps until when one of an order's several deliveries arrives, as it was told now. What is taken out of its fulfilment orders later has
/// it from these.
pub(super) fn tell_until(tx: &mut Tx, order: OrderId, number: usize, until: Instant) -> Result<()> {
    let number = i64::try_from(number).map_err(Error::internal)?;
    let update = "UPDATE fulfilment_orders SET told_until = ? WHERE order_id = ? \
                  AND CAST(doc->'delivery'->>'number' AS BIGINT) = ?";
    sql(update).bind(until).bind(order).bind(number).execute(tx).map(|_| ())
}

/// Up to so many fulfilment orders that no shop has accepted in time, the longest overdue first. What somebody wants cancelled
/// is left out: that is to be answered first.
pub(super) fn unaccepted(tx: &mut Tx, now: Instant, limit: i64) -> Result<Vec<FulfilmentOrderId>> {
    let query = "SELECT id FROM fulfilment_orders WHERE accept_by IS NOT NULL AND accept_by <= ? \
                 AND state NOT IN ('shipped', 'delivered', 'cancelled') \
                 AND doc->'cancel_request'->>'at' IS NULL ORDER BY accept_by, id LIMIT ?";
    sql(query).bind(now).bind(limit).load::<UidSql, FulfilmentOrderId>(tx)
}

/// An article that a fulfilment order waits for.
pub(super) type Claim<'a> = (&'a FulfilmentOrder, VariantId);
/// How many pieces others have a better claim to.
pub(super) type Taken = HashMap<(FulfilmentOrderId, VariantId), i64>;

/// How many pieces at the locations of these others have a better claim to: all that earlier fulfilment orders wait for, and
/// what is picked for later ones. One statement, none where nothing is asked.
pub(super) fn taken_by_others(tx: &mut Tx, claims: &[Claim<'_>]) -> Result<Taken> {
    if claims.is_empty() {
        return Ok(Taken::new());
    }
    const COLUMNS: [(&str, Col); 4] =
        [("own", Col::Uid), ("wanted", Col::Uid), ("place", Col::Uid), ("since", Col::At)];
    // The open orders of the location lead: lines have no index by article.
    let query = format!(
        "SELECT list.own, list.wanted, CAST(sum(CASE WHEN (o.created_at, o.id) < (list.since, list.own) \
           THEN f.quantity - f.shipped - f.cancelled ELSE f.picked - f.shipped END) AS bigint) \
         FROM {} CROSS JOIN fulfilment_orders AS o CROSS JOIN fulfilment_lines AS f \
         WHERE o.location_id = list.place AND o.state NOT IN ('shipped', 'delivered', 'cancelled') AND o.id <> list.own \
         AND f.fulfilment_order_id = o.id AND f.variant_id = list.wanted AND f.tracked GROUP BY list.own, list.wanted",
        dialect::list(tx, &COLUMNS)
    );
    let mut rows: Vec<_> =
        claims.iter().map(|(one, variant)| (one.id, *variant, one.location_id, one.created_at)).collect();
    rows.sort_unstable_by_key(|(one, variant, ..)| (*one, *variant));
    rows.dedup();
    let row = |(one, variant, location, since): &(FulfilmentOrderId, VariantId, LocationId, Instant)| {
        json!([one.hex(), variant.hex(), location.hex(), since.sortable()])
    };
    let query = sql(query).bind(dialect::rows(rows.iter().map(row).collect()));
    let found = query.load::<(UidSql, UidSql, BigInt), (FulfilmentOrderId, VariantId, i64)>(tx)?;
    Ok(found.into_iter().map(|(one, variant, pieces)| ((one, variant), pieces)).collect())
}

/// Fulfilment orders that should have left before now and that the actor may see, as what waits for a person; those due
/// first in front.
///
/// # Errors
/// What the database says.
pub fn waiting_past_due(tx: &mut Tx, actor: &Actor, now: Instant, limit: i64) -> Result<Vec<Waiting>> {
    let channels = actor.channels().map(<[_]>::to_vec);
    let filter = Filter {
        overdue_at: Some(now),
        channels,
        locations: actor.locations().map(<[_]>::to_vec),
        ..Filter::default()
    };
    let waiting = |one: FulfilmentOrder| Waiting {
        id: one.id.to_string(),
        since: one.due_at,
        subject: format!("order {} is {} and should have left", one.order_number, one.state),
        link: format!("/v1/ops/fulfilment-orders/{}", one.id),
    };
    Ok(page(tx, &filter, None, limit)?.into_iter().map(waiting).collect())
}

/// Fulfilment orders that are ready, that the actor may see, and for which their customers have not come in time, as what waits for a person;
/// the longest over first.
///
/// # Errors
/// What the database says.
pub fn waiting_uncollected(tx: &mut Tx, actor: &Actor, now: Instant, limit: i64) -> Result<Vec<Waiting>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let mut text = "SELECT id, collect_by, order_number FROM fulfilment_orders \
                    WHERE collect_by IS NOT NULL AND state = 'packed' AND collect_by <= ?"
        .to_owned();
    let mut binds: Vec<Bind> = vec![now.into()];
    if let Some(locations) = actor.locations() {
        text.push_str(&format!(" AND location_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(locations.iter().map(|id| json!([id.hex()])).collect()));
    }
    if let Some(channels) = actor.channels() {
        text.push_str(&format!(" AND channel_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect()));
    }
    text.push_str(" ORDER BY collect_by, id LIMIT ?");
    binds.push(limit.into());
    type Row = (FulfilmentOrderId, Instant, String);
    let found = sql(text).bind_all(binds).load::<(UidSql, InstantSql, SqlText), Row>(tx)?;
    let waiting = |(id, since, number): Row| Waiting {
        id: id.to_string(),
        since,
        subject: format!("order {number} is ready and was not collected: ask the customer, or cancel it"),
        link: format!("/v1/ops/fulfilment-orders/{id}"),
    };
    Ok(found.into_iter().map(waiting).collect())
}

/// Fulfilment orders that the actor may see and that do not go on by themselves: held, overdue, waiting for their location to accept
/// or to answer; of each sort so many, those due first.
///
/// # Errors
/// What the database says.
pub fn stuck(tx: &mut Tx, actor: &Actor, now: Instant, limit: i64) -> Result<Vec<FulfilmentOrder>> {
    let seen = Filter {
        channels: actor.channels().map(<[_]>::to_vec),
        locations: actor.locations().map(<[_]>::to_vec),
        ..Filter::default()
    };
    let sorts = [
        Filter { held: Some(true), ..seen.clone() },
        Filter { overdue_at: Some(now), ..seen.clone() },
        Filter { to_accept: Some(true), ..seen.clone() },
        Filter { cancel_requested: Some(true), ..seen },
    ];
    let mut found: BTreeMap<FulfilmentOrderId, FulfilmentOrder> = BTreeMap::new();
    for filter in sorts {
        found.extend(page(tx, &filter, None, limit)?.into_iter().map(|one| (one.id, one)));
    }
    Ok(found.into_values().collect())
}

/// An open line at a location: whose it is, and how many pieces are still to be taken for it, were taken without
/// having left, and were taken without having been packed. It is `held` while nothing is picked and packed of it, and `barred` while
/// that is for something else than goods.
pub(super) struct OpenLine {
    pub id: FulfilmentOrderId,
    pub order: OrderId,
    pub line_no: i32,
    pub variant: VariantId,
    pub open: i64,
    pub taken: i64,
    pub unpacked: i64,
    pub held: bool,
    pub barred: bool,
    pub priority: i64,
    pub due_at: Instant,
    /// Whose turn it is among those who wait.
    pub turn_at: Instant,
    pub created_at: Instant,
    pub channel: ChannelId,
    pub shelf_life_days: Option<i64>,
    pub location: LocationId,
}

/// How many pieces of levels are picked for open fulfilment orders and have not left.
pub(super) fn picked_at(tx: &mut Tx, levels: &[LevelKey]) -> Result<HashMap<LevelKey, i64>> {
    let list = dialect::list(tx, &[("variant", Col::Uid), ("location", Col::Uid)]);
    // The open orders of the location lead: lines have no index by article.
    let query = format!(
        "SELECT list.variant, list.location, CAST(sum(f.picked - f.shipped) AS BIGINT) \
         FROM {list} CROSS JOIN fulfilment_orders AS o CROSS JOIN fulfilment_lines AS f \
         WHERE o.location_id = list.location AND o.state NOT IN ('shipped', 'delivered', 'cancelled') \
         AND f.fulfilment_order_id = o.id AND f.variant_id = list.variant AND f.tracked GROUP BY list.variant, list.location"
    );
    let rows = levels.iter().map(|(variant, location)| json!([variant.hex(), location.hex()])).collect();
    let rows = sql(query).bind(dialect::rows(rows));
    let rows = rows.load::<(UidSql, UidSql, BigInt), (VariantId, LocationId, i64)>(tx)?;
    Ok(rows.into_iter().map(|(variant, location, pieces)| ((variant, location), pieces)).collect())
}

/// The lines of open fulfilment orders at a location with these variants, those counted in stock: one statement.
pub(super) fn open_lines(
    tx: &mut Tx,
    now: Instant,
    location: LocationId,
    variants: &[VariantId],
) -> Result<Vec<OpenLine>> {
    open_lines_at(tx, now, ("o.location_id = ?", location.into()), variants)
}

/// The same at several locations: of each level that is asked for. One statement.
pub(super) fn open_lines_of(tx: &mut Tx, now: Instant, levels: &[LevelKey]) -> Result<Vec<OpenLine>> {
    let levels: BTreeSet<LevelKey> = levels.iter().copied().collect();
    let variants: BTreeSet<VariantId> = levels.iter().map(|(variant, _)| *variant).collect();
    let places: BTreeSet<LocationId> = levels.iter().map(|(_, place)| *place).collect();
    let at = format!("o.location_id IN (SELECT place FROM {})", dialect::list(tx, &[("place", Col::Uid)]));
    let places = dialect::rows(places.into_iter().map(|place| json!([place.hex()])).collect());
    let mut lines = open_lines_at(tx, now, (&at, places), &variants.into_iter().collect::<Vec<_>>())?;
    lines.retain(|line| levels.contains(&(line.variant, line.location)));
    Ok(lines)
}

fn open_lines_at(
    tx: &mut Tx,
    now: Instant,
    (at, places): (&str, Bind),
    variants: &[VariantId],
) -> Result<Vec<OpenLine>> {
    if variants.is_empty() {
        return Ok(Vec::new());
    }
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let holds = "fulfilment_holds AS h WHERE h.fulfilment_order_id = o.id AND h.released_at IS NULL \
                 AND (h.expires_at IS NULL OR h.expires_at > ?)";
    // The open orders of the location lead: lines have no index by article.
    let query = format!(
        "SELECT o.id, o.order_id, f.line_no, f.variant_id, f.quantity - f.cancelled - f.picked, f.picked - f.shipped, f.picked - f.packed, \
           o.priority, o.due_at, coalesce(o.turn_at, o.due_at), o.created_at, (SELECT CAST(count(*) AS BIGINT) FROM {holds}), \
           CASE WHEN o.accept_by IS NULL THEN 0 ELSE 1 END + (SELECT CAST(count(*) AS BIGINT) FROM {holds} AND h.kind <> 'stock'), \
           o.channel_id, CAST(o.doc->>'shelf_life_days' AS BIGINT), o.location_id \
         FROM fulfilment_orders AS o CROSS JOIN fulfilment_lines AS f \
         WHERE {at} AND o.state NOT IN ('shipped', 'delivered', 'cancelled') \
         AND f.fulfilment_order_id = o.id AND f.tracked AND f.variant_id IN (SELECT wanted FROM {list}) ORDER BY o.id, f.line_no"
    );
    let wanted = dialect::rows(variants.iter().map(|id| json!([id.hex()])).collect());
    #[rustfmt::skip]
    type Types = (UidSql, UidSql, BigInt, UidSql, BigInt, BigInt, BigInt, BigInt, InstantSql, InstantSql, InstantSql, BigInt, BigInt, UidSql, Nullable<BigInt>, UidSql);
    #[rustfmt::skip]
    type Row = (FulfilmentOrderId, OrderId, i64, VariantId, i64, i64, i64, i64, Instant, Instant, Instant, i64, i64, ChannelId, Option<i64>, LocationId);
    let rows = sql(query).bind(now).bind(now).bind(places).bind(wanted).load::<Types, Row>(tx)?;
    let line = |row: Row| {
        #[rustfmt::skip]
        let (id, order, line_no, variant, open, taken, unpacked, priority, due_at, turn_at, created_at, holds, bars, channel, shelf_life_days, location) = row;
        let line_no = i32::try_from(line_no).map_err(Error::internal)?;
        let (held, barred) = (holds + bars > 0, bars > 0);
        #[rustfmt::skip]
        let line = OpenLine { id, order, line_no, variant, open, taken, unpacked, held, barred, priority, due_at, turn_at, created_at, channel, shelf_life_days, location };
        Ok(line)
    };
    rows.into_iter().map(line).collect()
}
