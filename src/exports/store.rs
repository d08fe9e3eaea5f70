//! The only file that touches `consumers` and `consumer_items`.

use std::collections::{HashMap, HashSet};

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::model::{Consumer, Due, Fresh, ItemState, Outstanding};
use crate::{
    db::{Col, InstantSql, Tx, UidSql, dialect, insert_many, sql},
    error::Result,
    kernel::{Instant, Waiting, ids::ConsumerId},
};

const SELECTED: &str = "id, name, feed, position, epoch, version, created_at, updated_at";
type Columns = (UidSql, Text, Text, BigInt, Text, BigInt, InstantSql, InstantSql);
type Row = (ConsumerId, String, String, i64, String, i64, Instant, Instant);

fn consumer(row: Row) -> Consumer {
    let (id, name, binding, position, epoch, version, created_at, updated_at) = row;
    Consumer { id, name, binding, position, epoch, version, created_at, updated_at }
}

pub(super) fn find(tx: &mut Tx, principal: &str, name: &str) -> Result<Option<Consumer>> {
    let query = format!("SELECT {SELECTED} FROM consumers WHERE principal = ? AND name = ?");
    Ok(sql(query).bind(principal).bind(name).first::<Columns, Row>(tx)?.map(consumer))
}

/// A principal's consumers of a feed, by name, after a name.
pub(super) fn list(tx: &mut Tx, principal: &str, after: &str, limit: i64) -> Result<Vec<Consumer>> {
    let query = format!("SELECT {SELECTED} FROM consumers WHERE principal = ? AND name > ? ORDER BY name LIMIT ?");
    let query = sql(query).bind(principal).bind(after).bind(limit);
    Ok(query.load::<Columns, Row>(tx)?.into_iter().map(consumer).collect())
}

/// Consumers after one of them, in the order of their ids, each with whose it is.
pub(super) fn page(tx: &mut Tx, after: Option<ConsumerId>, limit: i64) -> Result<Vec<Owned>> {
    let query = format!("SELECT {OWNED} FROM consumers WHERE id > ? ORDER BY id LIMIT ?");
    let after = after.unwrap_or(ConsumerId::from_bytes([0; 16]));
    Ok(sql(query).bind(after).bind(limit).load::<OwnedColumns, OwnedRow>(tx)?.into_iter().map(owned).collect())
}

/// Takes a consumer's next version, as [`lock`], whoever's it is.
pub(super) fn lock_any(tx: &mut Tx, now: Instant, id: ConsumerId) -> Result<Option<Owned>> {
    let update = format!("UPDATE consumers SET version = version + 1, updated_at = ? WHERE id = ? RETURNING {OWNED}");
    Ok(sql(update).bind(now).bind(id).first::<OwnedColumns, OwnedRow>(tx)?.map(owned))
}

/// Gives a consumer to somebody else. Under its lock.
pub(super) fn give(tx: &mut Tx, id: ConsumerId, principal: &str) -> Result<()> {
    sql("UPDATE consumers SET principal = ? WHERE id = ?").bind(principal).bind(id).execute(tx)?;
    Ok(())
}

/// Whether an item of a customer's or a company's stream is out, waits or was set aside.
pub(super) fn holds_customers(tx: &mut Tx, id: ConsumerId) -> Result<bool> {
    // Ranges, so that the index of streams serves them.
    let query = "SELECT position FROM consumer_items WHERE consumer_id = ? AND (stream >= 'cust_' AND stream < 'cust`' \
                 OR stream >= 'company_' AND stream < 'company`') LIMIT 1";
    Ok(sql(query).bind(id).first::<BigInt, i64>(tx)?.is_some())
}

/// A consumer and whose it is.
pub(super) type Owned = (String, Consumer);
const OWNED: &str = "principal, id, name, feed, position, epoch, version, created_at, updated_at";
type OwnedColumns = (Text, UidSql, Text, Text, BigInt, Text, BigInt, InstantSql, InstantSql);
type OwnedRow = (String, ConsumerId, String, String, i64, String, i64, Instant, Instant);

fn owned((principal, id, name, feed, position, epoch, version, created_at, updated_at): OwnedRow) -> Owned {
    (principal, consumer((id, name, feed, position, epoch, version, created_at, updated_at)))
}

/// All consumers, each with whose it is.
pub(super) fn all(tx: &mut Tx, limit: i64) -> Result<Vec<Owned>> {
    let query = format!("SELECT {OWNED} FROM consumers ORDER BY name, id LIMIT ?");
    Ok(sql(query).bind(limit).load::<OwnedColumns, OwnedRow>(tx)?.into_iter().map(owned).collect())
}

/// The consumers and positions of a stream's items that are out, wait or were set aside.
pub(super) fn outstanding_of(tx: &mut Tx, of: &[ConsumerId], stream: &str) -> Result<HashSet<(ConsumerId, i64)>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT consumer_id, position FROM consumer_items WHERE consumer_id IN (SELECT wanted FROM {list}) \
         AND stream = ? AND state <> 'skipped'"
    );
    let wanted = dialect::rows(of.iter().map(|id| json!([id.hex()])).collect());
    let rows = sql(query).bind(wanted).bind(stream).load::<(UidSql, BigInt), (ConsumerId, i64)>(tx)?;
    Ok(rows.into_iter().collect())
}

/// Makes a consumer unless there is one of that name.
pub(super) fn insert(tx: &mut Tx, principal: &str, new: &Consumer) -> Result<()> {
    sql("INSERT INTO consumers (id, principal, name, feed, position, epoch, version, created_at, updated_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (principal, name) DO NOTHING")
    .bind(new.id)
    .bind(principal)
    .bind(new.name.as_str())
    .bind(new.binding.as_str())
    .bind(new.position)
    .bind(new.epoch.as_str())
    .bind(new.version)
    .bind(new.created_at)
    .bind(new.updated_at)
    .execute(tx)?;
    Ok(())
}

/// Takes a consumer's next version, and with it the right to change its items until the transaction ends.
pub(super) fn lock(tx: &mut Tx, now: Instant, principal: &str, name: &str) -> Result<Option<Consumer>> {
    let update = format!(
        "UPDATE consumers SET version = version + 1, updated_at = ? WHERE principal = ? AND name = ? RETURNING {SELECTED}"
    );
    Ok(sql(update).bind(now).bind(principal).bind(name).first::<Columns, Row>(tx)?.map(consumer))
}

/// Moves the cursor when nothing has happened to the consumer since it was read.
pub(super) fn advance(tx: &mut Tx, now: Instant, seen: &Consumer, position: i64) -> Result<bool> {
    let update =
        "UPDATE consumers SET version = version + 1, position = ?, updated_at = ? WHERE id = ? AND version = ?";
    Ok(sql(update).bind(position).bind(now).bind(seen.id).bind(seen.version).execute(tx)? == 1)
}

/// Sets a consumer to another place and forgets what was outstanding. Under the consumer's lock.
pub(super) fn seek(tx: &mut Tx, id: ConsumerId, binding: &str, epoch: &str, position: i64) -> Result<()> {
    sql("DELETE FROM consumer_items WHERE consumer_id = ?").bind(id).execute(tx)?;
    sql("UPDATE consumers SET feed = ?, epoch = ?, position = ? WHERE id = ?")
        .bind(binding)
        .bind(epoch)
        .bind(position)
        .bind(id)
        .execute(tx)?;
    Ok(())
}

/// Removes a consumer. Under its lock.
pub(super) fn delete(tx: &mut Tx, id: ConsumerId) -> Result<()> {
    sql("DELETE FROM consumer_items WHERE consumer_id = ?").bind(id).execute(tx)?;
    sql("DELETE FROM consumers WHERE id = ?").bind(id).execute(tx)?;
    Ok(())
}

/// The items that may be handed out, in order: those whose lease has run out and those that waited, unless an earlier one
/// of their stream is parked or in somebody's hands. Whoever blocks an item blocks all later ones of its stream, so the
/// first so many are whole beginnings of streams.
pub(super) fn due(tx: &mut Tx, id: ConsumerId, now: Instant, limit: i64) -> Result<Vec<Due>> {
    let query = "SELECT position, stream, attempt FROM consumer_items AS item WHERE consumer_id = ? \
                 AND (state = 'waiting' OR state = 'leased' AND lease_until <= ?) \
                 AND NOT EXISTS (SELECT 1 FROM consumer_items AS earlier WHERE earlier.consumer_id = item.consumer_id \
                   AND earlier.stream = item.stream AND earlier.position < item.position \
                   AND (earlier.state = 'parked' OR earlier.state = 'leased' AND earlier.lease_until > ?)) \
                 ORDER BY position LIMIT ?";
    let query = sql(query).bind(id).bind(now).bind(now).bind(limit);
    let rows = query.load::<(BigInt, Text, BigInt), (i64, String, i64)>(tx)?;
    Ok(rows.into_iter().map(|(position, stream, attempt)| Due { position, stream, attempt }).collect())
}

/// Those of these streams of which an item is parked or in somebody's hands.
pub(super) fn blocked(tx: &mut Tx, id: ConsumerId, now: Instant, streams: &HashSet<&str>) -> Result<HashSet<String>> {
    if streams.is_empty() {
        return Ok(HashSet::new());
    }
    let list = dialect::list(tx, &[("wanted", Col::Text)]);
    let query = format!(
        "SELECT DISTINCT stream FROM consumer_items WHERE stream IN (SELECT wanted FROM {list}) AND consumer_id = ? \
         AND (state = 'parked' OR state = 'leased' AND lease_until > ?)"
    );
    let wanted = dialect::rows(streams.iter().map(|stream| json!([stream])).collect());
    Ok(sql(query).bind(wanted).bind(id).bind(now).load::<Text, String>(tx)?.into_iter().collect())
}

fn positions(positions: &[i64]) -> crate::db::Bind {
    dialect::rows(positions.iter().map(|position| json!([position])).collect())
}

/// A lease about to be given.
pub(super) struct Lease<'a> {
    pub id: &'a str,
    pub until: Instant,
}

/// Hands items out again. What stands behind them in hands whose lease has run out is taken back: it comes after them.
pub(super) fn lease_again(tx: &mut Tx, now: Instant, of: ConsumerId, lease: &Lease<'_>, items: &[i64]) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let list = dialect::list(tx, &[("wanted", Col::Int)]);
    let update = format!(
        "UPDATE consumer_items SET state = 'leased', lease = ?, lease_until = ?, attempt = attempt + 1, updated_at = ? \
         WHERE consumer_id = ? AND position IN (SELECT wanted FROM {list})"
    );
    let update = sql(update).bind(lease.id).bind(lease.until).bind(now).bind(of);
    update.bind(positions(items)).execute(tx)?;
    let update = format!("{TAKE_BACK} AND lease_until <= ? AND {BEHIND_LEASED}");
    sql(update).bind(now).bind(of).bind(now).bind(lease.id).execute(tx)?;
    Ok(())
}

const ITEM_COLUMNS: &[(&str, Col)] = &[
    ("consumer_id", Col::Uid),
    ("position", Col::Int),
    ("event_id", Col::Uid),
    ("stream", Col::Text),
    ("state", Col::Text),
    ("lease", Col::Text),
    ("lease_until", Col::At),
    ("attempt", Col::Int),
    ("updated_at", Col::At),
];

/// Writes the items that the cursor passes: handed out, or waiting.
pub(super) fn insert_items(
    tx: &mut Tx,
    now: Instant,
    of: ConsumerId,
    lease: &Lease<'_>,
    fresh: &[Fresh],
) -> Result<()> {
    let rows = fresh.iter().map(|Fresh { event, handed }| {
        let (state, lease, until, attempt) = match handed {
            true => (ItemState::Leased, Some(lease.id), Some(lease.until), 1),
            false => (ItemState::Waiting, None, None, 0),
        };
        vec![
            of.into(),
            event.position.into(),
            event.id.into(),
            event.stream.as_str().into(),
            state.as_str().into(),
            lease.into(),
            until.into(),
            attempt.into(),
            now.into(),
        ]
    });
    insert_many(tx, "consumer_items", ITEM_COLUMNS, rows.collect()).map(|_| ())
}

/// The items of these positions that are not done.
pub(super) fn outstanding(tx: &mut Tx, of: ConsumerId, wanted: &[i64]) -> Result<HashMap<i64, Outstanding>> {
    let list = dialect::list(tx, &[("wanted", Col::Int)]);
    let query = format!(
        "SELECT position, state, lease FROM consumer_items WHERE consumer_id = ? AND position IN (SELECT wanted FROM {list})"
    );
    type Found = (i64, ItemState, Option<String>);
    let rows = sql(query).bind(of).bind(positions(wanted)).load::<(BigInt, Text, Nullable<Text>), Found>(tx)?;
    let item = |(position, state, lease)| (position, Outstanding { state, lease });
    Ok(rows.into_iter().map(item).collect())
}

/// The positions under a lease, in order.
pub(super) fn leased(tx: &mut Tx, of: ConsumerId, lease: &str) -> Result<Vec<i64>> {
    sql("SELECT position FROM consumer_items WHERE consumer_id = ? AND lease = ? AND state = 'leased' ORDER BY position")
        .bind(of)
        .bind(lease)
        .load::<BigInt, i64>(tx)
}

/// Drops items that are done.
pub(super) fn delete_items(tx: &mut Tx, of: ConsumerId, done: &[i64]) -> Result<usize> {
    if done.is_empty() {
        return Ok(0);
    }
    let list = dialect::list(tx, &[("wanted", Col::Int)]);
    let delete =
        format!("DELETE FROM consumer_items WHERE consumer_id = ? AND position IN (SELECT wanted FROM {list})");
    sql(delete).bind(of).bind(positions(done)).execute(tx)
}

/// Sets items aside.
pub(super) fn park(tx: &mut Tx, now: Instant, of: ConsumerId, items: &[i64], reason: &str) -> Result<usize> {
    let list = dialect::list(tx, &[("wanted", Col::Int)]);
    let update = format!(
        "UPDATE consumer_items SET state = 'parked', reason = ?, lease = NULL, lease_until = NULL, updated_at = ? \
         WHERE consumer_id = ? AND state = 'leased' AND position IN (SELECT wanted FROM {list})"
    );
    sql(update).bind(reason).bind(now).bind(of).bind(positions(items)).execute(tx)
}

/// Sets items aside that nobody has answered for; what came behind them in the same hands is taken back.
pub(super) fn set_poison_aside(tx: &mut Tx, now: Instant, of: ConsumerId, items: &[i64], reason: &str) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let list = dialect::list(tx, &[("wanted", Col::Int)]);
    let update = format!(
        "UPDATE consumer_items SET state = 'parked', reason = ?, lease = NULL, lease_until = NULL, updated_at = ? \
         WHERE consumer_id = ? AND state IN ('leased', 'waiting') AND position IN (SELECT wanted FROM {list})"
    );
    sql(update).bind(reason).bind(now).bind(of).bind(positions(items)).execute(tx)?;
    let update = format!("{TAKE_BACK} AND lease_until <= ? AND {BEHIND_PARKED}");
    sql(update).bind(now).bind(of).bind(now).execute(tx)?;
    Ok(())
}

const TAKE_BACK: &str = "UPDATE consumer_items SET state = 'waiting', lease = NULL, lease_until = NULL, updated_at = ? \
     WHERE consumer_id = ? AND state = 'leased'";
const BEHIND_PARKED: &str = "EXISTS (SELECT 1 FROM consumer_items AS parked \
     WHERE parked.consumer_id = consumer_items.consumer_id AND parked.stream = consumer_items.stream \
     AND parked.state = 'parked' AND parked.position < consumer_items.position)";

const BEHIND_LEASED: &str = "EXISTS (SELECT 1 FROM consumer_items AS leased \
     WHERE leased.consumer_id = consumer_items.consumer_id AND leased.stream = consumer_items.stream \
     AND leased.lease = ? AND leased.position < consumer_items.position)";

/// Takes back those items of a lease that stand behind a parked one of their stream. Returns which.
pub(super) fn take_back(tx: &mut Tx, now: Instant, of: ConsumerId, lease: &str) -> Result<Vec<i64>> {
    let update = format!("{TAKE_BACK} AND lease = ? AND {BEHIND_PARKED} RETURNING position");
    let mut taken = sql(update).bind(now).bind(of).bind(lease).load::<BigInt, i64>(tx)?;
    taken.sort_unstable();
    Ok(taken)
}

/// Releases a parked item: to be handed out again, counted anew, or skipped for good.
pub(super) fn release(
    tx: &mut Tx,
    now: Instant,
    of: ConsumerId,
    position: i64,
    to: ItemState,
    reason: Option<&str>,
) -> Result<bool> {
    let counted = if to == ItemState::Waiting { "0" } else { "attempt" };
    let update = sql(format!(
        "UPDATE consumer_items SET state = ?, attempt = {counted}, reason = coalesce(?, reason), updated_at = ? \
         WHERE consumer_id = ? AND position = ? AND state = 'parked'"
    ));
    let update = update.bind(to.as_str()).bind(reason.map(str::to_owned)).bind(now).bind(of).bind(position);
    Ok(update.execute(tx)? == 1)
}

/// An item that was set aside.
pub(super) struct SetAside {
    pub position: i64,
    pub attempt: i64,
    pub reason: Option<String>,
    pub at: Instant,
    pub behind: i64,
}

/// The items of a consumer in a state, in order, after a position, with how many wait behind each.
pub(super) fn set_aside(
    tx: &mut Tx,
    of: ConsumerId,
    state: ItemState,
    after: i64,
    limit: i64,
) -> Result<Vec<SetAside>> {
    type Found = (i64, i64, Option<String>, Instant, i64);
    let query = "SELECT position, attempt, reason, updated_at, (SELECT count(*) FROM consumer_items AS later \
                   WHERE later.consumer_id = item.consumer_id AND later.stream = item.stream \
                   AND later.position > item.position AND later.state = 'waiting') \
                 FROM consumer_items AS item WHERE consumer_id = ? AND state = ? AND position > ? ORDER BY position LIMIT ?";
    let query = sql(query).bind(of).bind(state.as_str()).bind(after).bind(limit);
    let rows = query.load::<(BigInt, BigInt, Nullable<Text>, InstantSql, BigInt), Found>(tx)?;
    let item = |(position, attempt, reason, at, behind)| SetAside { position, attempt, reason, at, behind };
    Ok(rows.into_iter().map(item).collect())
}

/// How many items of a consumer are set aside, counted no further than a cap.
pub(super) fn count_set_aside(tx: &mut Tx, of: ConsumerId, state: ItemState, cap: i64) -> Result<i64> {
    let query =
        "SELECT count(*) FROM (SELECT 1 FROM consumer_items WHERE consumer_id = ? AND state = ? LIMIT ?) AS found";
    Ok(sql(query).bind(of).bind(state.as_str()).bind(cap).first::<BigInt, i64>(tx)?.unwrap_or_default())
}

/// How many items of each of these consumers stand where.
pub(super) fn counts(tx: &mut Tx, of: &[Consumer]) -> Result<HashMap<(ConsumerId, ItemState), i64>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT consumer_id, state, count(*) FROM consumer_items WHERE consumer_id IN (SELECT wanted FROM {list}) \
         GROUP BY consumer_id, state"
    );
    let wanted = dialect::rows(of.iter().map(|consumer| json!([consumer.id.hex()])).collect());
    let rows = sql(query).bind(wanted).load::<(UidSql, Text, BigInt), (ConsumerId, ItemState, i64)>(tx)?;
    Ok(rows.into_iter().map(|(id, state, count)| ((id, state), count)).collect())
}

/// Items that consumers have set aside, as what waits for a person, the oldest first.
///
/// # Errors
/// What the database says.
pub fn waiting_parked(tx: &mut Tx, limit: i64) -> Result<Vec<Waiting>> {
    type Found = (ConsumerId, i64, String, Option<String>, Instant, String, String);
    let query = "SELECT consumer_id, item.position, stream, reason, item.updated_at, name, feed FROM consumer_items AS item \
                 JOIN consumers ON consumers.id = consumer_id WHERE item.state = 'parked' \
                 ORDER BY item.updated_at, consumer_id, item.position LIMIT ?";
    let rows = sql(query).bind(limit);
    let rows = rows.load::<(UidSql, BigInt, Text, Nullable<Text>, InstantSql, Text, Text), Found>(tx)?;
    let waiting = |(consumer, position, stream, reason, since, name, binding): Found| {
        let feed = binding.split(' ').next().unwrap_or_default();
        Waiting {
            id: format!("{consumer}.{position}"),
            since,
            subject: format!("{name} set aside an event of {stream}: {}", reason.unwrap_or_default()),
            link: format!("/v1/integration/feeds/{feed}/parked?consumer={name}"),
        }
    };
    Ok(rows.into_iter().map(waiting).collect())
}
