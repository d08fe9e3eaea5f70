//! The only file that touches `coupons` and `coupon_batches`.

use std::collections::BTreeMap;

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use serde_json::json;

use super::service::{Batch, Coupon};
use crate::{
    db::{Col, InstantSql, Tx, UidSql, dialect, sql},
    error::{Error, Result},
    kernel::{
        Instant,
        ids::{CartId, CouponBatchId, CustomerId, PromotionId},
    },
};

#[rustfmt::skip]
type Types = (Text, UidSql, Nullable<UidSql>, Nullable<UidSql>, Nullable<InstantSql>, Nullable<BigInt>, BigInt, Bool, InstantSql);
const READ: &str =
    "c.code, c.promotion_id, c.batch_id, c.customer_id, c.valid_until, c.max_uses, c.uses, c.blocked, c.created_at";

/// A row as the queries of this file read it.
#[derive(Queryable)]
struct Record {
    code: String,
    promotion: PromotionId,
    batch: Option<CouponBatchId>,
    customer: Option<CustomerId>,
    valid_until: Option<Instant>,
    max_uses: Option<i64>,
    uses: i64,
    blocked: bool,
    created_at: Instant,
}

impl From<Record> for Coupon {
    fn from(row: Record) -> Self {
        let Record { code, promotion, batch, customer, valid_until, max_uses, uses, blocked, created_at } = row;
        Self {
            code,
            promotion_id: promotion,
            batch_id: batch,
            customer_id: customer,
            valid_until,
            max_uses,
            uses,
            blocked,
            created_at,
        }
    }
}

/// Coupons by their codes, in one statement; their uses without what is reserved and due to end, and without what the cart
/// holds itself.
pub(super) fn by_codes(tx: &mut Tx, (now, cart): (Instant, Option<CartId>), codes: &[String]) -> Result<Vec<Coupon>> {
    let list = dialect::list(tx, &[("wanted", Col::Text)]);
    let query = format!(
        "SELECT c.code, c.promotion_id, c.batch_id, c.customer_id, c.valid_until, c.max_uses, \
           CASE WHEN c.max_uses IS NULL THEN c.uses ELSE c.uses - (SELECT count(*) FROM promotion_uses AS u \
             WHERE u.coupon = c.code AND u.state = 'reserved' AND (u.expires_at <= ? OR u.cart_id = ?) \
             AND u.coupon_counted) END, c.blocked, c.created_at \
         FROM {list} JOIN coupons AS c ON c.code = list.wanted ORDER BY list.ord"
    );
    let rows = codes.iter().map(|code| json!([code])).collect();
    // The first `?` stand in the list of columns.
    let query = sql(query).bind(now).bind(cart).bind(dialect::rows(rows));
    Ok(query.load::<Types, Record>(tx)?.into_iter().map(Coupon::from).collect())
}

/// Moves the uses of coupons that are limited, all or none. False when one would rise above its limit.
pub(super) fn count(tx: &mut Tx, coupons: &BTreeMap<String, i64>, sign: i64) -> Result<bool> {
    let (list, lock) = (dialect::list(tx, &[("wanted", Col::Text), ("more", Col::Int)]), dialect::for_update(tx));
    let rows = || dialect::rows(coupons.iter().map(|(code, times)| json!([code, sign * times])).collect());
    // One that is shared by everybody and not limited is not locked: it would be a queue.
    let query = format!(
        "WITH wanted AS (SELECT * FROM {list}), \
         held AS MATERIALIZED (SELECT code AS known, uses + more AS then_uses, uses + more <= max_uses AS fits \
           FROM wanted JOIN coupons ON code = wanted WHERE max_uses IS NOT NULL ORDER BY code{lock}) \
         UPDATE coupons SET uses = then_uses FROM held WHERE code = held.known \
           AND NOT EXISTS (SELECT 1 FROM held WHERE NOT fits)"
    );
    if sql(query).bind(rows()).execute(tx)? > 0 {
        return Ok(true);
    }
    let limited = format!("SELECT count(*) FROM {list} JOIN coupons ON code = list.wanted WHERE max_uses IS NOT NULL");
    Ok(sql(limited).bind(rows()).first::<BigInt, i64>(tx)?.unwrap_or_default() == 0)
}

pub(super) fn insert(tx: &mut Tx, coupon: &Coupon) -> Result<()> {
    sql("INSERT INTO coupons (code, promotion_id, batch_id, customer_id, valid_until, max_uses, uses, blocked, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?)")
    .bind(coupon.code.as_str())
    .bind(coupon.promotion_id)
    .bind(coupon.batch_id)
    .bind(coupon.customer_id)
    .bind(coupon.valid_until)
    .bind(coupon.max_uses)
    .bind(coupon.blocked)
    .bind(coupon.created_at)
    .execute(tx)?;
    Ok(())
}

/// Writes codes of a batch; those that exist already are passed over. How many are new.
pub(super) fn insert_batch(tx: &mut Tx, now: Instant, batch: &Batch, codes: &[String]) -> Result<usize> {
    let list = dialect::list(tx, &[("fresh", Col::Text)]);
    let query = format!(
        "INSERT INTO coupons (code, promotion_id, batch_id, valid_until, max_uses, uses, blocked, created_at) \
         SELECT b.fresh, c.promotion_id, c.id, c.valid_until, c.max_uses, 0, ?, ? \
         FROM (SELECT fresh FROM {list}) AS b CROSS JOIN coupon_batches AS c WHERE c.id = ? \
         ON CONFLICT (code) DO NOTHING"
    );
    let rows = dialect::rows(codes.iter().map(|code| json!([code])).collect());
    sql(query).bind(false).bind(now).bind(rows).bind(batch.id).execute(tx)
}

/// Blocks a code, or lets it go. False when there is no such code.
pub(super) fn set_blocked(tx: &mut Tx, code: &str, blocked: bool) -> Result<bool> {
    Ok(sql("UPDATE coupons SET blocked = ? WHERE code = ?").bind(blocked).bind(code).execute(tx)? == 1)
}

/// A page of the coupons of a promotion or a batch by their codes, from behind one of them.
pub(super) fn page(tx: &mut Tx, of: Of, after: Option<String>, limit: i64) -> Result<Vec<Coupon>> {
    let (column, id) = match of {
        Of::Promotion(id) => ("promotion_id", crate::db::Bind::from(id)),
        Of::Batch(id) => ("batch_id", crate::db::Bind::from(id)),
    };
    let query = format!("SELECT {READ} FROM coupons AS c WHERE c.{column} = ? AND c.code > ? ORDER BY c.code LIMIT ?");
    let query = sql(query).bind(id).bind(after.unwrap_or_default()).bind(limit);
    Ok(query.load::<Types, Record>(tx)?.into_iter().map(Coupon::from).collect())
}

/// Whose coupons are listed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    /// All of a promotion.
    Promotion(PromotionId),
    /// Those of a batch.
    Batch(CouponBatchId),
}

type BatchTypes = (UidSql, UidSql, Text, BigInt, BigInt, BigInt, Nullable<InstantSql>, InstantSql);
const BATCH: &str = "id, promotion_id, prefix, size, made, max_uses, valid_until, created_at";

pub(super) fn insert_batch_head(tx: &mut Tx, batch: &Batch) -> Result<()> {
    sql(format!("INSERT INTO coupon_batches ({BATCH}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"))
        .bind(batch.id)
        .bind(batch.promotion_id)
        .bind(batch.prefix.as_str())
        .bind(batch.size)
        .bind(batch.made)
        .bind(batch.max_uses)
        .bind(batch.valid_until)
        .bind(batch.created_at)
        .execute(tx)?;
    Ok(())
}

pub(super) fn batch(tx: &mut Tx, id: CouponBatchId) -> Result<Option<Batch>> {
    sql(format!("SELECT {BATCH} FROM coupon_batches WHERE id = ?")).bind(id).first::<BatchTypes, Batch>(tx)
}

pub(super) fn batches(
    tx: &mut Tx,
    promotion: PromotionId,
    after: Option<CouponBatchId>,
    limit: i64,
) -> Result<Vec<Batch>> {
    let query =
        sql(format!("SELECT {BATCH} FROM coupon_batches WHERE promotion_id = ? AND id > ? ORDER BY id LIMIT ?"));
    let after = after.unwrap_or(CouponBatchId::from_bytes([0; 16]));
    query.bind(promotion).bind(after).bind(limit).load::<BatchTypes, Batch>(tx)
}

/// Notes that so many more codes of a batch are made, over how many were made before.
pub(super) fn made(tx: &mut Tx, id: CouponBatchId, before: i64, more: usize) -> Result<bool> {
    let more = i64::try_from(more).map_err(Error::internal)?;
    let update = sql("UPDATE coupon_batches SET made = made + ? WHERE id = ? AND made = ?");
    Ok(update.bind(more).bind(id).bind(before).execute(tx)? == 1)
}
