//! The only file that touches `back_in_stock` and `back_in_stock_waves`.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::model::{Waiting, WaitingState, Wave};
use crate::{
    db::{Bind, Col, InstantSql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Instant,
        ids::{BackInStockId, ChannelId, CustomerId, VariantId},
    },
};

#[rustfmt::skip]
type Columns = (
    UidSql, UidSql, UidSql, Nullable<UidSql>, Text, Nullable<Text>, Nullable<Text>, Text, InstantSql, InstantSql, Nullable<InstantSql>,
);
#[rustfmt::skip]
type Row = (
    BackInStockId, ChannelId, VariantId, Option<CustomerId>, String, Option<String>, Option<String>, WaitingState, Instant, Instant,
    Option<Instant>,
);
const READ: &str =
    "id, channel_id, variant_id, customer_id, email, locale, consent_text, state, created_at, expires_at, told_at";

fn waiting(row: Row) -> Waiting {
    let (id, channel, variant, customer, email, locale, consent_text, state, created_at, expires_at, told_at) = row;
    Waiting { id, channel, variant, customer, email, locale, consent_text, state, created_at, expires_at, told_at }
}

/// Has somebody wait. False where they wait already for the same in the channel.
pub(super) fn insert(tx: &mut Tx, one: &Waiting, folded: &str) -> Result<bool> {
    let insert = sql(
        "INSERT INTO back_in_stock (id, channel_id, variant_id, customer_id, email, email_folded, locale, consent_text, \
                        state, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'waiting', ?, ?) \
                      ON CONFLICT (channel_id, variant_id, email_folded) WHERE state = 'waiting' DO NOTHING",
    );
    let insert = insert
        .bind(one.id)
        .bind(one.channel)
        .bind(one.variant)
        .bind(one.customer)
        .bind(one.email.as_str())
        .bind(folded)
        .bind(one.locale.clone())
        .bind(one.consent_text.clone())
        .bind(one.created_at)
        .bind(one.expires_at);
    Ok(insert.execute(tx)? == 1)
}

/// Ends what has expired of one's waiting for an article, so that they may wait anew; which these were.
pub(super) fn end_expired(tx: &mut Tx, now: Instant, one: &Waiting, folded: &str) -> Result<Vec<BackInStockId>> {
    let delete = sql(
        "DELETE FROM back_in_stock WHERE channel_id = ? AND variant_id = ? AND email_folded = ? AND state = 'waiting' \
         AND expires_at <= ? RETURNING id",
    );
    let delete = delete.bind(one.channel).bind(one.variant).bind(folded).bind(now);
    delete.load::<UidSql, BackInStockId>(tx)
}

/// Ends somebody's waiting: by its id alone, or where it is a customer's; which it was, where there is one such.
pub(super) fn remove(tx: &mut Tx, id: BackInStockId, of: Option<CustomerId>) -> Result<Vec<BackInStockId>> {
    let whose = of.map_or("", |_| " AND customer_id = ?");
    let delete = format!("DELETE FROM back_in_stock WHERE id = ? AND state = 'waiting'{whose} RETURNING id");
    let mut delete = sql(delete).bind(id);
    if let Some(customer) = of {
        delete = delete.bind(customer);
    }
    delete.load::<UidSql, BackInStockId>(tx)
}

/// What guests with an e-mail address wait or waited for, with the address as each has written it.
pub(super) fn of_guests(tx: &mut Tx, folded: &str) -> Result<Vec<(BackInStockId, String)>> {
    let query = "SELECT id, email FROM back_in_stock WHERE customer_id IS NULL AND email_folded = ? ORDER BY id";
    sql(query).bind(folded).load::<(UidSql, Text), (BackInStockId, String)>(tx)
}

/// Makes what guests wait for a customer's. What has become somebody's meanwhile stays theirs.
pub(super) fn take_over(tx: &mut Tx, customer: CustomerId, ids: &[BackInStockId]) -> Result<usize> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let update = format!(
        "UPDATE back_in_stock SET customer_id = ? WHERE customer_id IS NULL AND id IN (SELECT wanted FROM {list})"
    );
    let rows = ids.iter().map(|id| json!([id.hex()])).collect();
    sql(update).bind(customer).bind(dialect::rows(rows)).execute(tx)
}

/// A customer's, oldest first, from behind one; in a channel.
pub(super) fn of_customer(
    tx: &mut Tx,
    (customer, channel): (CustomerId, ChannelId),
    after: Option<BackInStockId>,
    limit: i64,
) -> Result<Vec<Waiting>> {
    let behind = after.map_or("", |_| " AND id > ?");
    let query = format!(
        "SELECT {READ} FROM back_in_stock WHERE customer_id = ? AND channel_id = ?{behind} ORDER BY id LIMIT ?"
    );
    let mut query = sql(query).bind(customer).bind(channel);
    if let Some(after) = after {
        query = query.bind(after);
    }
    Ok(query.bind(limit).load::<Columns, Row>(tx)?.into_iter().map(waiting).collect())
}

/// Which of those who wait are asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub channels: Option<Vec<ChannelId>>,
    pub variant: Option<VariantId>,
    pub state: Option<WaitingState>,
    /// A customer's.
    pub customer: Option<CustomerId>,
    /// Those of guests with this e-mail address, folded.
    pub guest: Option<String>,
}

/// Those who wait or were told, oldest first, from behind one.
pub(super) fn page(tx: &mut Tx, filter: &Filter, after: Option<BackInStockId>, limit: i64) -> Result<Vec<Waiting>> {
    let (mut conditions, mut binds): (Vec<String>, Vec<Bind>) = (vec!["1 = 1".to_owned()], Vec::new());
    if let Some(variant) = filter.variant {
        conditions.push("variant_id = ?".to_owned());
        binds.push(variant.into());
    }
    if let Some(customer) = filter.customer {
        conditions.push("customer_id = ?".to_owned());
        binds.push(customer.into());
    }
    if let Some(guest) = &filter.guest {
        conditions.push("customer_id IS NULL AND email_folded = ?".to_owned());
        binds.push(guest.as_str().into());
    }
    if let Some(state) = filter.state {
        conditions.push("state = ?".to_owned());
        binds.push(state.as_str().into());
    }
    if let Some(channels) = &filter.channels {
        let source = dialect::list(tx, &[("seen", Col::Uid)]);
        conditions.push(format!("channel_id IN (SELECT seen FROM {source})"));
        binds.push(dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect()));
    }
    if let Some(after) = after {
        conditions.push("id > ?".to_owned());
        binds.push(after.into());
    }
    let query = format!("SELECT {READ} FROM back_in_stock WHERE {} ORDER BY id LIMIT ?", conditions.join(" AND "));
    Ok(sql(query).bind_all(binds).bind(limit).load::<Columns, Row>(tx)?.into_iter().map(waiting).collect())
}

/// How many wait for each article, in the order of their ids: how many, and since when the first does. Of some channels, or of all.
pub(super) fn demand(
    tx: &mut Tx,
    now: Instant,
    channels: Option<&[ChannelId]>,
    after: Option<VariantId>,
    limit: i64,
) -> Result<Vec<(VariantId, i64, Instant)>> {
    let source = dialect::list(tx, &[("seen", Col::Uid)]);
    let seen = channels.map_or_else(String::new, |_| format!(" AND channel_id IN (SELECT seen FROM {source})"));
    let behind = after.map_or("", |_| " AND variant_id > ?");
    let query = format!(
        "SELECT variant_id, count(*), min(created_at) FROM back_in_stock WHERE state = 'waiting' AND expires_at > ?{seen}{behind} \
         GROUP BY variant_id ORDER BY variant_id LIMIT ?"
    );
    let mut query = sql(query).bind(now);
    if let Some(channels) = channels {
        query = query.bind(dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect()));
    }
    if let Some(after) = after {
        query = query.bind(after);
    }
    query.bind(limit).load::<(UidSql, BigInt, InstantSql), _>(tx)
}

/// The next articles that somebody waits for.
pub(super) fn awaited(tx: &mut Tx, after: Option<VariantId>, limit: i64) -> Result<Vec<VariantId>> {
    let behind = after.map_or("", |_| " AND variant_id > ?");
    let query = format!(
        "SELECT DISTINCT variant_id FROM back_in_stock WHERE state = 'waiting'{behind} ORDER BY variant_id LIMIT ?"
    );
    let mut query = sql(query);
    if let Some(after) = after {
        query = query.bind(after);
    }
    query.bind(limit).load::<UidSql, VariantId>(tx)
}

/// Where somebody waits for articles or was told of them, in the order of their ids: the channel, whether somebody waits there, and for
/// how many pieces somebody has been told.
pub(super) fn stalls(tx: &mut Tx, variants: &[VariantId]) -> Result<Vec<(VariantId, ChannelId, bool, Option<Wave>)>> {
    type Types = (UidSql, UidSql, BigInt, Nullable<BigInt>, Nullable<InstantSql>);
    type Found = (VariantId, ChannelId, i64, Option<i64>, Option<Instant>);
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "WITH asked AS (SELECT wanted FROM {list}), \
         seen AS (SELECT variant_id, channel_id, 1 AS waits FROM back_in_stock \
             WHERE state = 'waiting' AND variant_id IN (SELECT wanted FROM asked) \
           UNION ALL SELECT variant_id, channel_id, 0 AS waits FROM back_in_stock_waves \
             WHERE variant_id IN (SELECT wanted FROM asked)), \
         found AS (SELECT variant_id, channel_id, CAST(max(waits) AS BIGINT) AS waits FROM seen GROUP BY variant_id, channel_id) \
         SELECT f.variant_id, f.channel_id, f.waits, w.told_for, w.told_at FROM found AS f LEFT JOIN back_in_stock_waves AS w \
           ON w.variant_id = f.variant_id AND w.channel_id = f.channel_id ORDER BY f.variant_id, f.channel_id"
    );
    let wanted = variants.iter().map(|id| json!([id.hex()])).collect();
    let rows = sql(query).bind(dialect::rows(wanted)).load::<Types, Found>(tx)?;
    let stall = |(variant, channel, waits, told_for, told_at): Found| {
        let wave = told_for.zip(told_at).map(|(told_for, told_at)| Wave { told_for, told_at });
        (variant, channel, waits > 0, wave)
    };
    Ok(rows.into_iter().map(stall).collect())
}

/// The first of those who wait for an article in a channel.
pub(super) fn first(
    tx: &mut Tx,
    now: Instant,
    (variant, channel): (VariantId, ChannelId),
    limit: i64,
) -> Result<Vec<Waiting>> {
    let query = format!(
        "SELECT {READ} FROM back_in_stock WHERE variant_id = ? AND channel_id = ? AND state = 'waiting' AND expires_at > ? \
         ORDER BY id LIMIT ?"
    );
    let rows = sql(query).bind(variant).bind(channel).bind(now).bind(limit).load::<Columns, Row>(tx)?;
    Ok(rows.into_iter().map(waiting).collect())
}

/// One who tells of an article waits here for another to be done.
pub(super) fn lock(tx: &mut Tx, variant: VariantId) -> Result<()> {
    dialect::lock_named(tx, &format!("back-in-stock:{}", variant.hex()))
}

/// Notes for how many pieces of an article somebody has been told in a channel. Whoever does has [locked](lock) the article.
pub(super) fn set_wave(
    tx: &mut Tx,
    now: Instant,
    (variant, channel): (VariantId, ChannelId),
    told_for: i64,
) -> Result<()> {
    sql("INSERT INTO back_in_stock_waves (variant_id, channel_id, told_for, told_at) VALUES (?, ?, ?, ?) \
         ON CONFLICT (variant_id, channel_id) DO UPDATE SET told_for = excluded.told_for, told_at = excluded.told_at")
    .bind(variant)
    .bind(channel)
    .bind(told_for)
    .bind(now)
    .execute(tx)?;
    Ok(())
}

/// Notes that these were told; which they are, of those that still waited.
pub(super) fn told(tx: &mut Tx, now: Instant, ids: &[BackInStockId]) -> Result<Vec<BackInStockId>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "UPDATE back_in_stock SET state = 'told', told_at = ? WHERE state = 'waiting' AND id IN (SELECT wanted FROM {list}) \
         RETURNING id"
    );
    let rows = ids.iter().map(|id| json!([id.hex()])).collect();
    sql(query).bind(now).bind(dialect::rows(rows)).load::<UidSql, BackInStockId>(tx)
}

/// Forgets a customer's, and what guests have asked for with their address where that is named; which these were.
pub(super) fn erase(tx: &mut Tx, customer: Option<CustomerId>, guest: Option<&str>) -> Result<Vec<BackInStockId>> {
    let (condition, bind): (&str, Bind) = match (customer, guest) {
        (Some(customer), _) => ("customer_id = ?", customer.into()),
        (None, Some(folded)) => ("customer_id IS NULL AND email_folded = ?", folded.into()),
        (None, None) => return Ok(Vec::new()),
    };
    let query = sql(format!("DELETE FROM back_in_stock WHERE {condition} RETURNING id"));
    query.bind_all(vec![bind]).load::<UidSql, BackInStockId>(tx)
}

/// Removes those who have waited for too long, and those who were told before an instant, `limit` at most of each; which these were.
pub(super) fn purge(tx: &mut Tx, now: Instant, told_before: Instant, limit: i64) -> Result<[Vec<BackInStockId>; 2]> {
    let expired = "DELETE FROM back_in_stock WHERE state = 'waiting' AND id IN (SELECT id FROM back_in_stock \
                   WHERE state = 'waiting' AND expires_at <= ? ORDER BY expires_at LIMIT ?) RETURNING id";
    let told = "DELETE FROM back_in_stock WHERE id IN (SELECT id FROM back_in_stock WHERE state = 'told' AND told_at < ? \
                ORDER BY told_at LIMIT ?) RETURNING id";
    let expired = sql(expired).bind(now).bind(limit).load::<UidSql, BackInStockId>(tx)?;
    Ok([expired, sql(told).bind(told_before).bind(limit).load::<UidSql, BackInStockId>(tx)?])
}
