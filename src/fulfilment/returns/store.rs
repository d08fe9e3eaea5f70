//! The only file that touches `returns`.

use std::collections::BTreeSet;

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::model::{RETURN_TRANSITIONS, Return, ReturnDetails, ReturnState};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Sql, Tx, UidSql, dialect, sql},
    error::{Error, Result},
    kernel::{
        Actor, Currency, Id, Instant, Money,
        ids::{ChannelId, CustomerId, OrderId, ReturnId},
    },
};

pub(super) fn insert(tx: &mut Tx, made: &Return) -> Result<()> {
    let pieces: i64 = made.lines.iter().map(|line| line.quantity).sum();
    let details = ReturnDetails {
        order_number: made.order_number.clone(),
        lines: made.lines.clone(),
        refund: made.refund,
        restocked: made.restocked,
        location_id: made.location_id,
        reason: made.reason.clone(),
        system: made.system.clone(),
        reference: made.reference.clone(),
        request_id: made.request_id,
        claim_id: made.claim_id,
        shipping: made.shipping.clone(),
        store_credit: made.store_credit,
    };
    sql("INSERT INTO returns (id, number, order_id, channel_id, customer_id, state, currency, amount, line_count, pieces, \
         doc, version, occurred_at, recorded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(made.id)
    .bind(made.number.as_str())
    .bind(made.order_id)
    .bind(made.channel_id)
    .bind(made.customer_id)
    .bind(made.state.as_str())
    .bind(made.amount.currency())
    .bind(made.amount.minor())
    .bind(i64::try_from(made.lines.len()).unwrap_or(i64::MAX))
    .bind(pieces)
    .bind(Doc(serde_json::to_value(details)?))
    .bind(made.version)
    .bind(made.occurred_at)
    .bind(made.recorded_at)
    .execute(tx)?;
    Ok(())
}

/// Notes what the customer has got as store credit for a return.
pub(super) fn note_credit(tx: &mut Tx, id: ReturnId, credit: Money) -> Result<()> {
    let doc = sql("SELECT doc FROM returns WHERE id = ?").bind(id).first::<DocSql, Doc<ReturnDetails>>(tx)?;
    let Doc(mut details) = doc.ok_or_else(|| Error::not_found("return"))?;
    details.store_credit = Some(credit).filter(|credit| credit.minor() > 0);
    sql("UPDATE returns SET doc = ? WHERE id = ?").bind(Doc(serde_json::to_value(details)?)).bind(id).execute(tx)?;
    Ok(())
}

/// Nothing is owed any more for what came back of an order.
pub(in crate::fulfilment) fn refunded(tx: &mut Tx, order: OrderId) -> Result<()> {
    let update = "UPDATE returns SET state = ?, version = version + 1 WHERE order_id = ? AND state = ?";
    for (from, _, to) in RETURN_TRANSITIONS {
        sql(update).bind(to.as_str()).bind(order).bind(from.as_str()).execute(tx)?;
    }
    Ok(())
}

type Columns = (
    UidSql,
    Text,
    Nullable<UidSql>,
    UidSql,
    Nullable<UidSql>,
    Text,
    Text,
    BigInt,
    DocSql,
    BigInt,
    InstantSql,
    InstantSql,
);
type Row = (
    ReturnId,
    String,
    Option<OrderId>,
    ChannelId,
    Option<CustomerId>,
    ReturnState,
    Currency,
    i64,
    Doc<ReturnDetails>,
    i64,
    Instant,
    Instant,
);
const SELECTED: &str = "id, number, order_id, channel_id, customer_id, state, currency, amount, doc, version, occurred_at, \
     recorded_at";

fn made(row: Row) -> Return {
    let (id, number, order_id, channel_id, customer_id, state, currency, amount, Doc(doc), version, at, noted) = row;
    Return {
        id,
        number,
        order_id,
        order_number: doc.order_number,
        channel_id,
        customer_id,
        state,
        amount: Money::from_minor(amount, currency),
        refund: doc.refund,
        restocked: doc.restocked,
        location_id: doc.location_id,
        reason: doc.reason,
        system: doc.system,
        reference: doc.reference,
        request_id: doc.request_id,
        claim_id: doc.claim_id,
        shipping: doc.shipping,
        store_credit: doc.store_credit,
        lines: doc.lines,
        version,
        occurred_at: at,
        recorded_at: noted,
    }
}

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<Return>> {
    Ok(query.load::<Columns, Row>(tx)?.into_iter().map(made).collect())
}

pub(super) fn get(tx: &mut Tx, id: ReturnId) -> Result<Option<Return>> {
    Ok(load(tx, sql(format!("SELECT {SELECTED} FROM returns WHERE id = ?")).bind(id))?.pop())
}

/// The return with a number; letters may be small.
///
/// # Errors
/// What the database says.
pub fn numbered(tx: &mut Tx, actor: &Actor, number: &str) -> Result<Vec<Return>> {
    let query = sql(format!("SELECT {SELECTED} FROM returns WHERE number IN (?, ?) ORDER BY id DESC"));
    let mut found = load(tx, query.bind(number).bind(number.to_uppercase()))?;
    if let Ok(id) = number.parse() {
        found.extend(get(tx, id)?);
    }
    found.retain(|one| one.is_visible_to(actor));
    Ok(found)
}

/// Returns by their ids.
pub(in crate::fulfilment) fn by_ids(tx: &mut Tx, ids: &[ReturnId]) -> Result<Vec<Return>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT {SELECTED} FROM returns WHERE id IN (SELECT wanted FROM {list}) ORDER BY id");
    let wanted = dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect());
    load(tx, sql(query).bind(wanted))
}

/// What has come back of an order and was taken off what is owed, the oldest first.
///
/// # Errors
/// What the database says.
pub fn refunded_of(tx: &mut Tx, order: OrderId) -> Result<Vec<Return>> {
    let query = sql(format!("SELECT {SELECTED} FROM returns WHERE order_id = ? ORDER BY id")).bind(order);
    Ok(load(tx, query)?.into_iter().filter(|one| one.refund).collect())
}

/// What has come back of orders behind one of the returns, in the order of their ids: one statement.
///
/// # Errors
/// What the database says.
pub fn of_orders(tx: &mut Tx, orders: &[OrderId], after: Option<ReturnId>, limit: i64) -> Result<Vec<Return>> {
    let after = after.unwrap_or(Id::from_bytes([0; 16]));
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT {SELECTED} FROM returns WHERE order_id IN (SELECT wanted FROM {list}) AND id > ? ORDER BY id LIMIT ?"
    );
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    load(tx, sql(query).bind(wanted).bind(after).bind(limit))
}

/// What has come back of some orders, in a state and a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReturnSum {
    /// Where they stand.
    pub state: ReturnState,
    /// How many.
    pub returns: i64,
    /// What was paid for the goods, without shipping.
    pub amount: Money,
    /// When the last came.
    pub last_at: Instant,
}

/// What has come back of orders, by state and currency: one statement, however many they are.
///
/// # Errors
/// What the database says.
pub fn sums_of(tx: &mut Tx, orders: &[OrderId]) -> Result<Vec<ReturnSum>> {
    type Types = (Text, Text, BigInt, BigInt, InstantSql);
    type Found = (ReturnState, Currency, i64, i64, Instant);
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT state, currency, count(*), CAST(sum(amount) AS BIGINT), max(occurred_at) \
         FROM {list} JOIN returns ON order_id = list.wanted GROUP BY state, currency ORDER BY currency, state"
    );
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    let sum = |(state, currency, returns, amount, last_at): Found| {
        let amount = Money::from_minor(amount, currency);
        ReturnSum { state, returns, amount, last_at }
    };
    Ok(sql(query).bind(wanted).load::<Types, Found>(tx)?.into_iter().map(sum).collect())
}

/// The last that have come back of orders, the newest first: one statement.
///
/// # Errors
/// What the database says.
pub fn latest_of(tx: &mut Tx, orders: &[OrderId], limit: i64) -> Result<Vec<Return>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT {SELECTED} FROM returns WHERE order_id IN (SELECT wanted FROM {list}) \
         ORDER BY occurred_at DESC, id DESC LIMIT ?"
    );
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    load(tx, sql(query).bind(wanted).bind(limit))
}

/// Returns after one of them, in the order of their ids.
pub(in crate::fulfilment) fn after(tx: &mut Tx, after: Option<ReturnId>, limit: i64) -> Result<Vec<Return>> {
    let after = after.unwrap_or(Id::from_bytes([0; 16]));
    load(tx, sql(format!("SELECT {SELECTED} FROM returns WHERE id > ? ORDER BY id LIMIT ?")).bind(after).bind(limit))
}

/// A page of the returns that an actor may see, newest first; of one order when that is named.
pub(super) fn page(
    tx: &mut Tx,
    actor: &Actor,
    order: Option<OrderId>,
    after: Option<(Instant, ReturnId)>,
    limit: i64,
) -> Result<Vec<Return>> {
    let (text, binds) = newest(tx, actor, order, after, limit);
    load(tx, binds.into_iter().fold(sql(text), |query, bind| query.bind(bind)))
}

/// From how many locations on their returns are sorted anew for a page, and not merged as their index has them.
const MERGED: usize = 20;

/// The statement of [`page`].
fn newest(
    tx: &Tx,
    actor: &Actor,
    order: Option<OrderId>,
    after: Option<(Instant, ReturnId)>,
    limit: i64,
) -> (String, Vec<Bind>) {
    let after = after.unwrap_or((Instant::from_micros(i64::MAX / 64), Id::from_bytes([0xff; 16])));
    // What names no location is seen at all of them.
    let places = actor.locations().map(|own| own.iter().map(ToString::to_string).chain([String::new()]));
    // A credential may name one twice.
    let places = places.map(|places| places.collect::<BTreeSet<String>>().into_iter().collect());
    let mut places: Vec<Option<Vec<String>>> = vec![places];
    if let [Some(each)] = &places[..]
        && order.is_none()
        && each.len() <= MERGED
    {
        places = each.iter().map(|place| Some(vec![place.clone()])).collect();
    }
    let (mut parts, mut binds) = (Vec::new(), Vec::new());
    for places in places {
        let (part, bound) = newest_of(tx, actor, (order, places), after, limit);
        parts.push(part);
        binds.extend(bound);
    }
    if let [whole] = &parts[..] {
        return (whole.clone(), binds);
    }
    let parts: Vec<String> = parts.iter().map(|part| format!("SELECT * FROM ({part}) AS part")).collect();
    let text = format!(
        "SELECT {SELECTED} FROM ({}) AS parts ORDER BY occurred_at DESC, id DESC LIMIT ?",
        parts.join(" UNION ALL ")
    );
    binds.push(limit.into());
    (text, binds)
}

/// The newest returns of an order, or at some places.
fn newest_of(
    tx: &Tx,
    actor: &Actor,
    (order, places): (Option<OrderId>, Option<Vec<String>>),
    (at, id): (Instant, ReturnId),
    limit: i64,
) -> (String, Vec<Bind>) {
    let mut text = format!("SELECT {SELECTED} FROM returns WHERE (occurred_at, id) < (?, ?)");
    let mut binds: Vec<Bind> = vec![at.into(), id.into()];
    if let Some(order) = order {
        text.push_str(" AND order_id = ?");
        binds.push(order.into());
    }
    // In the words of its index.
    match places.as_deref() {
        None => {}
        Some([place]) => {
            text.push_str(" AND coalesce(doc->>'location_id', '') = ?");
            binds.push(place.clone().into());
        }
        Some(places) => {
            let list = dialect::list(tx, &[("wanted", Col::Text)]);
            text.push_str(&format!(" AND coalesce(doc->>'location_id', '') IN (SELECT wanted FROM {list})"));
            binds.push(dialect::rows(places.iter().map(|place| json!([place])).collect()));
        }
    }
    if let Some(channels) = actor.channels() {
        let list = dialect::list(tx, &[("wanted", Col::Uid)]);
        text.push_str(&format!(" AND channel_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect()));
    }
    text.push_str(" ORDER BY occurred_at DESC, id DESC LIMIT ?");
    binds.push(limit.into());
    (text, binds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        db::{Db, Options},
        kernel::{actor::Principal, ids::LocationId},
    };

    /// How SQLite goes about a page.
    async fn steps(db: &Db, locations: Option<Vec<LocationId>>) -> String {
        let (subject, scopes) = ("ada".to_owned(), Vec::new());
        let own = Principal {
            subject,
            credential: None,
            scopes,
            channels: None,
            locations,
            money_ceiling: None,
            countersigned: false,
            key: None,
        };
        let read = db.read(move |tx| {
            let (text, binds) = newest(tx, &Actor::Staff(own.clone()), None, None, 51);
            let explain = sql(format!("EXPLAIN QUERY PLAN {text}"));
            let explain = binds.into_iter().fold(explain, |query, bind| query.bind(bind));
            explain.load::<(BigInt, BigInt, BigInt, Text), (i64, i64, i64, String)>(tx)
        });
        read.await.unwrap().into_iter().map(|(.., step)| step).collect::<Vec<_>>().join("; ")
    }

    #[tokio::test]
    async fn an_index_leads_to_the_returns_of_some_locations() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(Options::new(folder.path().join("plans.db").display().to_string())).unwrap();
        let (some, all) = (steps(&db, Some(vec![Id::new()])).await, steps(&db, None).await);
        // Each place gives its newest in the order of its index; what is sorted is a page of each.
        let each = "SEARCH returns USING INDEX returns_location (<expr>=? AND (occurred_at,id)<(?,?)); SCAN part";
        assert_eq!(some.matches(each).count(), 2, "{some}");
        assert!(all.contains("USING INDEX returns_at") && !all.contains("ORDER BY"), "{all}");
    }
}
