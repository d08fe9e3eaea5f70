//! The only file that touches `return_policies`, `return_requests` and `return_request_lines`.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::{
    model::{Decision, RequestDetails, RequestOrigin, RequestState, ReturnReason, ReturnRequestDocument},
    policy::{ChannelReturnPolicy, Policy},
};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, insert_many, sql},
    error::Result,
    kernel::{
        Actor, Instant,
        ids::{CartId, ChannelId, CustomerId, OrderId, ReturnRequestId, ShipmentId, WithdrawalId},
    },
};

/// The policy of a channel; `None` where it has none of its own.
pub(super) fn policy(tx: &mut Tx, channel: ChannelId) -> Result<Option<ChannelReturnPolicy>> {
    let query = sql("SELECT doc, version FROM return_policies WHERE channel_id = ?").bind(channel);
    let found = query.first::<(DocSql, BigInt), (Doc<Policy>, i64)>(tx)?;
    Ok(found.map(|(Doc(policy), version)| ChannelReturnPolicy { channel_id: channel, policy, version }))
}

/// Writes the policy of a channel over the one of a version. False when it has changed since.
pub(super) fn save_policy(tx: &mut Tx, now: Instant, new: &ChannelReturnPolicy) -> Result<bool> {
    let doc = Json::of(&new.policy)?;
    let written = match new.version {
        1 => sql("INSERT INTO return_policies (channel_id, doc, version, updated_at) VALUES (?, ?, 1, ?) \
                  ON CONFLICT (channel_id) DO NOTHING")
        .bind(new.channel_id)
        .bind(doc)
        .bind(now)
        .execute(tx)?,
        version => {
            sql("UPDATE return_policies SET doc = ?, version = ?, updated_at = ? WHERE channel_id = ? AND version = ?")
                .bind(doc)
                .bind(version)
                .bind(now)
                .bind(new.channel_id)
                .bind(version - 1)
                .execute(tx)?
        }
    };
    Ok(written == 1)
}

const SELECTED: &str = "id, number, order_id, order_number, channel_id, customer_id, origin, state, state_since, shipment_id, \
     withdrawal_id, doc, version, requested_at, expires_at, updated_at, advance_cart_id, advance_state";

#[rustfmt::skip]
type Columns = (
    UidSql, Text, UidSql, Text, UidSql, Nullable<UidSql>, Text, Text, InstantSql, Nullable<UidSql>, Nullable<UidSql>, DocSql, BigInt,
    InstantSql, Nullable<InstantSql>, InstantSql, Nullable<UidSql>, Nullable<Text>,
);
#[rustfmt::skip]
type Row = (
    ReturnRequestId, String, OrderId, String, ChannelId, Option<CustomerId>, RequestOrigin, RequestState, Instant,
    Option<ShipmentId>, Option<WithdrawalId>, Doc<RequestDetails>, i64, Instant, Option<Instant>, Instant,
    Option<CartId>, Option<String>,
);

#[rustfmt::skip]
fn made(row: Row) -> ReturnRequestDocument {
    let (
        id, number, order_id, order_number, channel_id, customer_id, origin, state, state_since, shipment_id, withdrawal_id, Doc(doc),
        version, requested_at, expires_at, updated_at, _, _,
    ) = row;
    ReturnRequestDocument {
        id,
        number,
        order_id,
        order_number,
        channel_id,
        customer_id,
        origin,
        state,
        state_since,
        wish: doc.wish,
        lines: doc.lines,
        foreign: doc.foreign,
        comment: doc.comment,
        decision: doc.decision,
        parcel: doc.parcel,
        location_id: doc.location_id,
        settlement: doc.settlement,
        shipping_fee: doc.shipping_fee,
        whole_order: doc.whole_order,
        advance: doc.advance,
        registration_id: doc.registration_id,
        shipment_id,
        withdrawal_id,
        version,
        requested_at,
        expires_at,
        updated_at,
    }
}

fn details(one: &ReturnRequestDocument) -> RequestDetails {
    let one = one.clone();
    RequestDetails {
        wish: one.wish,
        lines: one.lines,
        foreign: one.foreign,
        comment: one.comment,
        decision: one.decision,
        parcel: one.parcel,
        location_id: one.location_id,
        settlement: one.settlement,
        whole_order: one.whole_order,
        shipping_fee: one.shipping_fee,
        advance: one.advance,
        registration_id: one.registration_id,
    }
}

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<ReturnRequestDocument>> {
    Ok(query.load::<Columns, Row>(tx)?.into_iter().map(made).collect())
}

const LINES: &[(&str, Col)] = &[
    ("request_id", Col::Uid),
    ("line_no", Col::Int),
    ("variant_id", Col::Uid),
    ("sku", Col::Text),
    ("reason", Col::Text),
    ("quantity", Col::Int),
];

/// Writes a new request. False where there is one already of the parcel that its carrier brings back.
pub(super) fn insert(tx: &mut Tx, new: &ReturnRequestDocument) -> Result<bool> {
    let insert = format!(
        "INSERT INTO return_requests ({SELECTED}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL) \
         ON CONFLICT (shipment_id) DO NOTHING"
    );
    let insert = sql(insert)
        .bind(new.id)
        .bind(new.number.as_str())
        .bind(new.order_id)
        .bind(new.order_number.as_str())
        .bind(new.channel_id)
        .bind(new.customer_id)
        .bind(new.origin.as_str())
        .bind(new.state.as_str())
        .bind(new.state_since)
        .bind(new.shipment_id)
        .bind(new.withdrawal_id)
        .bind(Json::of(&details(new))?)
        .bind(new.version)
        .bind(new.requested_at)
        .bind(new.expires_at)
        .bind(new.updated_at);
    if insert.execute(tx)? == 0 {
        return Ok(false);
    }
    let row = |line: &super::model::RequestLine| -> Vec<Bind> {
        vec![
            new.id.into(),
            line.line_no.into(),
            line.variant_id.into(),
            line.sku.as_str().into(),
            line.reason.as_str().into(),
            line.quantity.into(),
        ]
    };
    insert_many(tx, "return_request_lines", LINES, new.lines.iter().map(row).collect())?;
    Ok(true)
}

/// Writes a request at the version after the one it had. False when it has changed since.
pub(super) fn update(tx: &mut Tx, one: &ReturnRequestDocument) -> Result<bool> {
    let update = sql(
        "UPDATE return_requests SET state = ?, state_since = ?, doc = ?, version = ?, expires_at = ?, withdrawal_id = ?, \
         updated_at = ?, advance_cart_id = ?, advance_state = ? WHERE id = ? AND version = ?",
    )
    .bind(one.state.as_str())
    .bind(one.state_since)
    .bind(Json::of(&details(one))?)
    .bind(one.version)
    .bind(one.expires_at)
    .bind(one.withdrawal_id)
    .bind(one.updated_at)
    .bind(one.advance.as_ref().map(|advance| advance.cart_id))
    .bind(one.advance.as_ref().map(|advance| advance.state.as_str().to_owned()))
    .bind(one.id)
    .bind(one.version - 1);
    Ok(update.execute(tx)? == 1)
}

/// Notes how many pieces of a line a request is still about.
pub(super) fn set_quantity(tx: &mut Tx, id: ReturnRequestId, line_no: i32, quantity: i64) -> Result<()> {
    let update = sql("UPDATE return_request_lines SET quantity = ? WHERE request_id = ? AND line_no = ?");
    update.bind(quantity).bind(id).bind(line_no).execute(tx).map(|_| ())
}

pub(super) fn get(tx: &mut Tx, id: ReturnRequestId) -> Result<Option<ReturnRequestDocument>> {
    Ok(load(tx, sql(format!("SELECT {SELECTED} FROM return_requests WHERE id = ?")).bind(id))?.pop())
}

/// The requests with a number, or with what the carrier of their parcel calls that, of the channels that the actor sees; the newest first.
pub(super) fn quoted(tx: &mut Tx, actor: &Actor, text: &str, limit: i64) -> Result<Vec<ReturnRequestDocument>> {
    // As the index `return_requests_tracking` has it.
    let mut query = format!(
        "SELECT {SELECTED} FROM return_requests WHERE id IN (SELECT id FROM return_requests WHERE number IN (?, ?) \
         UNION SELECT id FROM return_requests WHERE upper(doc->'parcel'->>'tracking_number') = upper(?) \
           AND doc->'parcel'->>'tracking_number' IS NOT NULL)"
    );
    let mut binds: Vec<Bind> = vec![text.into(), text.to_uppercase().as_str().into(), text.into()];
    of_channels(tx, actor, &mut query, &mut binds);
    query.push_str(" ORDER BY id DESC LIMIT ?");
    load(tx, sql(query).bind_all(binds).bind(limit))
}

/// The requests of an order, the oldest first.
pub(super) fn of_order(tx: &mut Tx, order: OrderId) -> Result<Vec<ReturnRequestDocument>> {
    load(tx, sql(format!("SELECT {SELECTED} FROM return_requests WHERE order_id = ? ORDER BY id")).bind(order))
}

/// The requests of orders behind one of them, in the order of their ids: one statement.
pub(super) fn of_orders(
    tx: &mut Tx,
    orders: &[OrderId],
    after: Option<ReturnRequestId>,
    limit: i64,
) -> Result<Vec<ReturnRequestDocument>> {
    let after = after.unwrap_or(ReturnRequestId::from_bytes([0; 16]));
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT {SELECTED} FROM return_requests WHERE order_id IN (SELECT wanted FROM {list}) AND id > ? ORDER BY id LIMIT ?"
    );
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    load(tx, sql(query).bind(wanted).bind(after).bind(limit))
}

/// The requests of orders that are not over, the newest first: one statement.
pub(super) fn underway_of(tx: &mut Tx, orders: &[OrderId], limit: i64) -> Result<Vec<ReturnRequestDocument>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let open: Vec<Bind> = RequestState::ALL.iter().filter(|state| state.is_open()).map(|s| s.as_str().into()).collect();
    let places = vec!["?"; open.len()].join(", ");
    let query = format!(
        "SELECT {SELECTED} FROM return_requests WHERE order_id IN (SELECT wanted FROM {list}) AND state IN ({places}) \
         ORDER BY requested_at DESC, id DESC LIMIT ?"
    );
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    load(tx, sql(query).bind(wanted).bind_all(open).bind(limit))
}

/// Which of these parcels have their request. One statement.
pub(super) fn with_parcels(tx: &mut Tx, shipments: &[ShipmentId]) -> Result<Vec<ShipmentId>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT shipment_id FROM return_requests WHERE shipment_id IN (SELECT wanted FROM {list})");
    let wanted = dialect::rows(shipments.iter().map(|id| json!([id.hex()])).collect());
    sql(query).bind(wanted).load::<UidSql, ShipmentId>(tx)
}

/// Which requests are asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub order: Option<OrderId>,
    pub state: Option<RequestState>,
}

/// Requests of the channels that the actor sees, newest first, after one of them.
pub(super) fn page(
    tx: &mut Tx,
    actor: &Actor,
    filter: &Filter,
    after: Option<(Instant, ReturnRequestId)>,
    limit: i64,
) -> Result<Vec<ReturnRequestDocument>> {
    let (mut text, mut binds) = (format!("SELECT {SELECTED} FROM return_requests WHERE 1 = 1"), Vec::new());
    if let Some(order) = filter.order {
        text.push_str(" AND order_id = ?");
        binds.push(Bind::from(order));
    }
    if let Some(state) = filter.state {
        text.push_str(" AND state = ?");
        binds.push(state.as_str().into());
    }
    of_channels(tx, actor, &mut text, &mut binds);
    if let Some((at, id)) = after {
        text.push_str(" AND (requested_at, id) < (?, ?)");
        binds.extend([at.into(), id.into()]);
    }
    text.push_str(" ORDER BY requested_at DESC, id DESC LIMIT ?");
    binds.push(limit.into());
    load(tx, sql(text).bind_all(binds))
}

fn of_channels(tx: &Tx, actor: &Actor, text: &mut String, binds: &mut Vec<Bind>) {
    if let Some(channels) = actor.channels() {
        let list = dialect::list(tx, &[("wanted", Col::Uid)]);
        text.push_str(&format!(" AND channel_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect()));
    }
}

/// The oldest requests in a state, of the channels that the actor sees.
pub(super) fn oldest(
    tx: &mut Tx,
    actor: &Actor,
    state: RequestState,
    limit: i64,
) -> Result<Vec<ReturnRequestDocument>> {
    let (mut text, mut binds) =
        (format!("SELECT {SELECTED} FROM return_requests WHERE state = ?"), vec![Bind::from(state.as_str())]);
    of_channels(tx, actor, &mut text, &mut binds);
    text.push_str(" ORDER BY state_since, id LIMIT ?");
    binds.push(limit.into());
    load(tx, sql(text).bind_all(binds))
}

/// Up to so many requests that are over, the longest over first.
pub(super) fn over(tx: &mut Tx, now: Instant, limit: i64) -> Result<Vec<ReturnRequestId>> {
    let query = "SELECT id FROM return_requests WHERE expires_at <= ? ORDER BY expires_at LIMIT ?";
    sql(query).bind(now).bind(limit).load::<UidSql, ReturnRequestId>(tx)
}

/// The requests whose exchange in advance has a cart that is not known to be ordered, in the order of their ids, after one of them.
pub(super) fn open_advances(tx: &mut Tx, after: Option<ReturnRequestId>, limit: i64) -> Result<Vec<ReturnRequestId>> {
    let after = after.unwrap_or(ReturnRequestId::from_bytes([0; 16]));
    let query = "SELECT id FROM return_requests WHERE advance_state = 'open' AND id > ? ORDER BY id LIMIT ?";
    sql(query).bind(after).bind(limit).load::<UidSql, ReturnRequestId>(tx)
}

/// How many pieces of each SKU were to come back, by reason, of requests that were made in a span and neither rejected nor taken back.
pub(super) fn by_reason(
    tx: &mut Tx,
    actor: &Actor,
    (from, to): (Instant, Instant),
) -> Result<Vec<(String, ReturnReason, i64)>> {
    let mut text = "SELECT l.sku, l.reason, CAST(sum(l.quantity) AS BIGINT) FROM return_requests AS r \
                    JOIN return_request_lines AS l ON l.request_id = r.id \
                    WHERE r.requested_at > ? AND r.requested_at <= ? AND r.state NOT IN ('rejected', 'cancelled', 'expired')"
        .to_owned();
    let mut binds = vec![from.into(), to.into()];
    of_channels(tx, actor, &mut text, &mut binds);
    text.push_str(" GROUP BY l.sku, l.reason ORDER BY l.sku, l.reason");
    sql(text).bind_all(binds).load::<(Text, Text, BigInt), (String, ReturnReason, i64)>(tx)
}

/// Takes what customers have written out of the requests of orders, and what was written to them.
pub(super) fn forget_words(tx: &mut Tx, orders: &[OrderId]) -> Result<()> {
    for order in orders {
        for one in of_order(tx, *order)? {
            let decision = one.decision.clone().map(|decision| Decision { reason: None, ..decision });
            let bare = ReturnRequestDocument { comment: None, decision, ..one };
            let doc = Json::of(&details(&bare))?;
            sql("UPDATE return_requests SET doc = ? WHERE id = ?").bind(doc).bind(bare.id).execute(tx)?;
        }
    }
    Ok(())
}
