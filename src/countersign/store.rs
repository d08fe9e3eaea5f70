//! The only file that touches `countersign_requests` and `given_alone`.

use diesel::sql_types::{BigInt, Nullable, Text};

use super::model::{Ceilinged, CountersignRequest, CountersignState, Details};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Instant, Money,
        ids::{ChannelId, CountersignRequestId, OrderId},
    },
};

type Types =
    (UidSql, Text, Text, Nullable<UidSql>, Text, Nullable<Text>, DocSql, InstantSql, BigInt, InstantSql, InstantSql);
type Row = (
    CountersignRequestId,
    Ceilinged,
    CountersignState,
    Option<ChannelId>,
    String,
    Option<String>,
    Doc<Details>,
    Instant,
    i64,
    Instant,
    Instant,
);
const READ: &str =
    "id, kind, state, channel_id, asked_by, decided_by, doc, expires_at, version, created_at, updated_at";

fn request(row: Row) -> CountersignRequest {
    let (id, kind, state, channel_id, asked_by, decided_by, Doc(kept), expires_at, version, created_at, updated_at) =
        row;
    let Details { subject, amounts, reason, by, what, note, code, detail, authors, job } = kept;
    CountersignRequest {
        id,
        kind,
        state,
        channel_id,
        subject,
        amounts,
        reason,
        asked_by,
        authors,
        decided_by,
        note,
        code,
        detail,
        expires_at,
        version,
        created_at,
        updated_at,
        by,
        what,
        job,
    }
}

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<CountersignRequest>> {
    Ok(query.load::<Types, Row>(tx)?.into_iter().map(request).collect())
}

pub(super) fn insert(tx: &mut Tx, new: &CountersignRequest) -> Result<()> {
    sql(format!("INSERT INTO countersign_requests ({READ}, order_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        .bind(new.id)
        .bind(new.kind.as_str())
        .bind(new.state.as_str())
        .bind(new.channel_id)
        .bind(new.asked_by.as_str())
        .bind(new.decided_by.clone())
        .bind(Json::of(&new.details())?)
        .bind(new.expires_at)
        .bind(new.version)
        .bind(new.created_at)
        .bind(new.updated_at)
        .bind(new.subject.order_id)
        .execute(tx)?;
    Ok(())
}

pub(super) fn read(tx: &mut Tx, id: CountersignRequestId) -> Result<Option<CountersignRequest>> {
    Ok(load(tx, sql(format!("SELECT {READ} FROM countersign_requests WHERE id = ?")).bind(id))?.pop())
}

/// Writes what was decided of a request that waits, before its time is over. `None` where somebody has decided, or it is too late.
pub(super) fn decide(tx: &mut Tx, now: Instant, decided: &CountersignRequest) -> Result<Option<CountersignRequest>> {
    let update = format!(
        "UPDATE countersign_requests SET state = ?, decided_by = ?, doc = ?, version = version + 1, updated_at = ? \
         WHERE id = ? AND version = ? AND state = 'waiting' AND expires_at > ? RETURNING {READ}"
    );
    let update = sql(update).bind(decided.state.as_str()).bind(decided.decided_by.clone());
    let update = update.bind(Json::of(&decided.details())?).bind(now).bind(decided.id);
    Ok(load(tx, update.bind(decided.version).bind(now))?.pop())
}

/// Writes what came of a request that was approved. `None` where somebody has written that already.
pub(super) fn end(tx: &mut Tx, now: Instant, ended: &CountersignRequest) -> Result<Option<CountersignRequest>> {
    let update = format!(
        "UPDATE countersign_requests SET state = ?, doc = ?, version = version + 1, updated_at = ? \
         WHERE id = ? AND state = 'approved' RETURNING {READ}"
    );
    let update = sql(update).bind(ended.state.as_str()).bind(Json::of(&ended.details())?).bind(now).bind(ended.id);
    Ok(load(tx, update)?.pop())
}

/// Writes down that so much more of something is given away by one person alone. False where it would be more than the ceiling together: then
/// nothing is written. One row decides.
pub(super) fn give_alone(
    tx: &mut Tx,
    now: Instant,
    (of, kind): (&str, Ceilinged),
    amount: Money,
    ceiling: Money,
) -> Result<bool> {
    let give = "INSERT INTO given_alone AS g (subject, kind, currency, amount, updated_at) VALUES (?, ?, ?, ?, ?) \
                ON CONFLICT (subject, kind, currency) DO UPDATE SET amount = g.amount + excluded.amount, \
                updated_at = excluded.updated_at WHERE g.amount + excluded.amount <= ?";
    let give = sql(give).bind(of).bind(kind.as_str()).bind(amount.currency()).bind(amount.minor());
    Ok(give.bind(now).bind(ceiling.minor()).execute(tx)? == 1)
}

/// What a list is narrowed to.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub kind: Option<Ceilinged>,
    /// With `Waiting` and `Expired` told apart by the time.
    pub state: Option<CountersignState>,
    pub order: Option<OrderId>,
    /// The channels that are seen; all where `None`.
    pub channels: Option<Vec<ChannelId>>,
    /// Who looks, and sees what they have asked for themselves.
    pub own: String,
}

/// A page, the newest first.
pub(super) fn page(
    tx: &mut Tx,
    (now, filter): (Instant, &Filter),
    before: Option<CountersignRequestId>,
    limit: i64,
) -> Result<Vec<CountersignRequest>> {
    let (mut text, mut binds) = (String::from("WHERE true"), Vec::<Bind>::new());
    if let Some(kind) = filter.kind {
        text.push_str(" AND kind = ?");
        binds.push(kind.as_str().into());
    }
    match filter.state {
        Some(CountersignState::Waiting) => {
            text.push_str(" AND state = 'waiting' AND expires_at > ?");
            binds.push(now.into());
        }
        Some(CountersignState::Expired) => {
            text.push_str(" AND state = 'waiting' AND expires_at <= ?");
            binds.push(now.into());
        }
        Some(state) => {
            text.push_str(" AND state = ?");
            binds.push(state.as_str().into());
        }
        None => {}
    }
    if let Some(order) = filter.order {
        text.push_str(" AND order_id = ?");
        binds.push(order.into());
    }
    if let Some(channels) = &filter.channels {
        let list = dialect::list(tx, &[("wanted", Col::Uid)]);
        text.push_str(&format!(" AND (channel_id IN (SELECT wanted FROM {list}) OR asked_by = ?)"));
        binds.push(dialect::rows(channels.iter().map(|id| serde_json::json!([id.hex()])).collect()));
        binds.push(filter.own.as_str().into());
    }
    if let Some(before) = before {
        text.push_str(" AND id < ?");
        binds.push(before.into());
    }
    let query = format!("SELECT {READ} FROM countersign_requests {text} ORDER BY id DESC LIMIT ?");
    load(tx, sql(query).bind_all(binds).bind(limit))
}

/// Those about orders, locked until the end of the transaction.
pub(super) fn of_orders(tx: &mut Tx, orders: &[OrderId]) -> Result<Vec<CountersignRequest>> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let (list, lock) = (dialect::list(tx, &[("wanted", Col::Uid)]), dialect::for_update(tx));
    let query = format!(
        "SELECT {READ} FROM countersign_requests WHERE order_id IN (SELECT wanted FROM {list}) ORDER BY id{lock}"
    );
    load(tx, sql(query).bind(dialect::rows(orders.iter().map(|id| serde_json::json!([id.hex()])).collect())))
}

/// Writes one again without what people have written.
pub(super) fn forget(tx: &mut Tx, bare: &CountersignRequest) -> Result<()> {
    let update = sql("UPDATE countersign_requests SET doc = ?, version = version + 1 WHERE id = ?");
    update.bind(Json::of(&bare.details())?).bind(bare.id).execute(tx).map(|_| ())
}
