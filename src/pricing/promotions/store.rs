//! The only file that touches `promotions`, `promotion_runs`, `promotion_versions`, `promotion_counters` and `promotion_uses`.

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use serde_json::{Value, json};

use super::{
    limits::{Counted, Use},
    model::{Promotion, PromotionState, Rule},
};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Tx, UidSql, dialect, insert_many, sql},
    error::{Error, Result},
    kernel::{
        Instant,
        ids::{CartId, ChannelId, OrderId, PromotionId},
    },
};

/// A row as the queries of this file read it.
#[derive(Queryable)]
struct Record {
    id: PromotionId,
    code: String,
    name: String,
    state: PromotionState,
    channel: Option<ChannelId>,
    priority: i64,
    valid_from: Option<Instant>,
    valid_until: Option<Instant>,
    rule: Doc<Rule>,
    version: i64,
    created_at: Instant,
    updated_at: Instant,
}

#[rustfmt::skip]
type Types = (
    UidSql, Text, Text, Text, Nullable<UidSql>, BigInt, Nullable<InstantSql>, Nullable<InstantSql>, DocSql, BigInt, InstantSql, InstantSql,
);
const READ: &str =
    "id, code, name, state, channel_id, priority, valid_from, valid_until, doc, version, created_at, updated_at";

fn promotion(row: Record) -> Result<Promotion> {
    let Record { id, code, name, state, channel, valid_from, valid_until, version, created_at, updated_at, .. } = row;
    let priority = i32::try_from(row.priority).map_err(Error::internal)?;
    let rule = row.rule.0;
    Ok(Promotion {
        id,
        code,
        name,
        state,
        channel,
        priority,
        valid_from,
        valid_until,
        rule,
        version,
        created_at,
        updated_at,
    })
}

/// The promotions that are not over.
pub(super) fn current(tx: &mut Tx) -> Result<Vec<Promotion>> {
    let query = sql(format!("SELECT {READ} FROM promotions WHERE state <> 'ended' ORDER BY id"));
    query.load::<Types, Record>(tx)?.into_iter().map(promotion).collect()
}

/// A page of promotions, the newest first, from behind one of them.
pub(super) fn page(
    tx: &mut Tx,
    state: Option<PromotionState>,
    before: Option<PromotionId>,
    limit: i64,
) -> Result<Vec<Promotion>> {
    let (which, behind) = (state.map_or("", |_| " AND state = ?"), before.map_or("", |_| " AND id < ?"));
    let mut query = sql(format!("SELECT {READ} FROM promotions WHERE 1 = 1{which}{behind} ORDER BY id DESC LIMIT ?"));
    if let Some(state) = state {
        query = query.bind(state.as_str());
    }
    if let Some(before) = before {
        query = query.bind(before);
    }
    query.bind(limit).load::<Types, Record>(tx)?.into_iter().map(promotion).collect()
}

/// A promotion.
pub(super) fn find(tx: &mut Tx, id: PromotionId) -> Result<Option<Promotion>> {
    let query = sql(format!("SELECT {READ} FROM promotions WHERE id = ?"));
    query.bind(id).first::<Types, Record>(tx)?.map(promotion).transpose()
}

/// Writes a new promotion, and the counter of all of it.
pub(super) fn insert(tx: &mut Tx, promotion: &Promotion) -> Result<()> {
    sql(format!("INSERT INTO promotions ({READ}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        .bind(promotion.id)
        .bind(promotion.code.as_str())
        .bind(promotion.name.as_str())
        .bind(promotion.state.as_str())
        .bind(promotion.channel)
        .bind(i64::from(promotion.priority))
        .bind(promotion.valid_from)
        .bind(promotion.valid_until)
        .bind(Json::of(&promotion.rule)?)
        .bind(promotion.version)
        .bind(promotion.created_at)
        .bind(promotion.updated_at)
        .execute(tx)?;
    let (uses, units, amount) = most(promotion);
    sql(
        "INSERT INTO promotion_counters (promotion_id, subject, uses, units, amount, max_uses, max_units, max_amount) \
         VALUES (?, '', 0, 0, 0, ?, ?, ?)",
    )
    .bind(promotion.id)
    .bind(uses)
    .bind(units)
    .bind(amount)
    .execute(tx)?;
    Ok(())
}

fn most(promotion: &Promotion) -> (Option<i64>, Option<i64>, Option<i64>) {
    let limits = &promotion.rule.limits;
    (limits.uses, limits.units, limits.budget.map(crate::kernel::Money::minor))
}

/// Replaces a promotion when it still has the given version. False when it has not.
pub(super) fn update(tx: &mut Tx, promotion: &Promotion, version: i64) -> Result<bool> {
    let update =
        sql("UPDATE promotions SET name = ?, state = ?, priority = ?, valid_from = ?, valid_until = ?, doc = ?, \
             version = version + 1, updated_at = ? WHERE id = ? AND version = ?")
        .bind(promotion.name.as_str())
        .bind(promotion.state.as_str())
        .bind(i64::from(promotion.priority))
        .bind(promotion.valid_from)
        .bind(promotion.valid_until)
        .bind(Json::of(&promotion.rule)?)
        .bind(promotion.updated_at)
        .bind(promotion.id)
        .bind(version);
    Ok(update.execute(tx)? == 1)
}

/// Sets how much of a promotion there is. False when more is taken already, or something of a budget that was of `another_currency`.
pub(super) fn set_limits(tx: &mut Tx, promotion: &Promotion, another_currency: bool) -> Result<bool> {
    let (uses, units, amount) = most(promotion);
    let update = sql("UPDATE promotion_counters SET max_uses = ?, max_units = ?, max_amount = ? \
                      WHERE promotion_id = ? AND subject = '' AND uses <= coalesce(?, uses) \
                      AND units <= coalesce(?, units) AND amount <= coalesce(?, amount) AND (amount = 0 OR NOT ?)")
    .bind(uses)
    .bind(units)
    .bind(amount)
    .bind(promotion.id)
    .bind(uses)
    .bind(units)
    .bind(amount)
    .bind(another_currency);
    Ok(update.execute(tx)? == 1)
}

/// What is kept of a version is copied from the promotion as it stands.
const KEEP: &str = "INSERT INTO promotion_versions (promotion_id, version, code, name, state, channel_id, priority, valid_from, \
                    valid_until, doc, changed_at, changed_by, reference) \
                    SELECT id, version, code, name, state, channel_id, priority, valid_from, valid_until, doc, updated_at, ?, ? \
                    FROM promotions AS p WHERE";

/// Keeps the version that a promotion has, which was just written. There is none of it yet, or it fails.
pub(super) fn keep_version(tx: &mut Tx, id: PromotionId, by: &str, reference: Option<&str>) -> Result<()> {
    let keep = sql(format!("{KEEP} id = ?")).bind(by).bind(reference.map(str::to_owned)).bind(id);
    keep.execute(tx).map(|_| ())
}

/// Keeps the versions of promotions that nobody has kept, of one or of all: an older process has made them. Who it was is not known.
pub(super) fn keep_unkept(tx: &mut Tx, id: Option<PromotionId>) -> Result<()> {
    let which = id.map_or("", |_| " AND id = ?");
    let query = format!(
        "{KEEP} NOT EXISTS (SELECT 1 FROM promotion_versions AS v WHERE v.promotion_id = p.id AND v.version = p.version){which} \
         ORDER BY id ON CONFLICT (promotion_id, version) DO NOTHING"
    );
    let nobody: Option<String> = None;
    let keep = sql(query).bind(nobody.clone()).bind(nobody);
    if let Some(id) = id { keep.bind(id) } else { keep }.execute(tx).map(|_| ())
}

/// A version of a promotion, as it is kept.
#[derive(Queryable)]
pub(super) struct Version {
    pub promotion: PromotionId,
    pub version: i64,
    pub code: String,
    pub name: String,
    pub state: PromotionState,
    pub channel: Option<ChannelId>,
    pub priority: i64,
    pub valid_from: Option<Instant>,
    pub valid_until: Option<Instant>,
    pub rule: Doc<Rule>,
    pub changed_at: Instant,
    pub changed_by: Option<String>,
    pub reference: Option<String>,
}

#[rustfmt::skip]
type VersionTypes = (
    UidSql, BigInt, Text, Text, Text, Nullable<UidSql>, BigInt, Nullable<InstantSql>, Nullable<InstantSql>, DocSql, InstantSql,
    Nullable<Text>, Nullable<Text>,
);
const VERSIONS: &str = "SELECT promotion_id, version, code, name, state, channel_id, priority, valid_from, valid_until, doc, \
                        changed_at, changed_by, reference FROM promotion_versions WHERE promotion_id = ?";

/// The versions of a promotion, the newest first, from before one of them.
pub(super) fn versions(tx: &mut Tx, id: PromotionId, before: Option<i64>, limit: i64) -> Result<Vec<Version>> {
    let query = sql(format!("{VERSIONS} AND version < ? ORDER BY version DESC LIMIT ?"));
    query.bind(id).bind(before.unwrap_or(i64::MAX)).bind(limit).load::<VersionTypes, Version>(tx)
}

/// A version of a promotion.
pub(super) fn version(tx: &mut Tx, id: PromotionId, version: i64) -> Result<Option<Version>> {
    sql(format!("{VERSIONS} AND version = ?")).bind(id).bind(version).first::<VersionTypes, Version>(tx)
}

/// Ends the run of a promotion that goes on, if one does; never before it began.
pub(super) fn end_run(tx: &mut Tx, now: Instant, by: &str, id: PromotionId) -> Result<()> {
    sql("UPDATE promotion_runs SET ended_at = CASE WHEN began_at > ? THEN began_at ELSE ? END, ended_by = ? \
         WHERE promotion_id = ? AND ended_at IS NULL")
    .bind(now)
    .bind(now)
    .bind(by)
    .bind(id)
    .execute(tx)?;
    Ok(())
}

/// Begins the next run of a promotion, as it is now; never before the last one ended. Whoever calls it has written the promotion in the
/// same transaction, so that nobody else does.
pub(super) fn begin_run(tx: &mut Tx, now: Instant, by: &str, promotion: &Promotion) -> Result<()> {
    let last = sql("SELECT run_no, ended_at FROM promotion_runs WHERE promotion_id = ? ORDER BY run_no DESC LIMIT 1")
        .bind(promotion.id)
        .first::<(BigInt, Nullable<InstantSql>), (i64, Option<Instant>)>(tx)?;
    let (last, ended) = last.unwrap_or_default();
    sql("INSERT INTO promotion_runs (promotion_id, run_no, channel_id, priority, valid_from, valid_until, doc, began_at, began_by) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(promotion.id)
    .bind(last + 1)
    .bind(promotion.channel)
    .bind(i64::from(promotion.priority))
    .bind(promotion.valid_from)
    .bind(promotion.valid_until)
    .bind(Json::of(&promotion.rule)?)
    .bind(ended.map_or(now, |ended| ended.max(now)))
    .bind(by)
    .execute(tx)?;
    Ok(())
}

/// A run of a promotion, as it is kept.
#[derive(Queryable)]
pub(super) struct Run {
    pub promotion: PromotionId,
    pub code: String,
    pub name: String,
    pub run_no: i64,
    pub channel: Option<ChannelId>,
    pub priority: i64,
    pub valid_from: Option<Instant>,
    pub valid_until: Option<Instant>,
    pub rule: Doc<Rule>,
    pub began_at: Instant,
    pub ended_at: Option<Instant>,
    pub began_by: String,
    pub ended_by: Option<String>,
}

#[rustfmt::skip]
type RunTypes = (
    UidSql, Text, Text, BigInt, Nullable<UidSql>, BigInt, Nullable<InstantSql>, Nullable<InstantSql>, DocSql, InstantSql,
    Nullable<InstantSql>, Text, Nullable<Text>,
);
const RUNS: &str = "SELECT r.promotion_id, p.code, p.name, r.run_no, r.channel_id, r.priority, r.valid_from, r.valid_until, r.doc, \
                    r.began_at, r.ended_at, r.began_by, r.ended_by \
                    FROM promotion_runs AS r JOIN promotions AS p ON p.id = r.promotion_id";

/// When the newest run began, of whatever promotion.
pub(super) fn newest_run(tx: &mut Tx) -> Result<Option<Instant>> {
    let query = sql("SELECT began_at FROM promotion_runs ORDER BY began_at DESC LIMIT 1");
    query.first::<InstantSql, Instant>(tx)
}

/// The runs that had not ended at an instant.
pub(super) fn runs_since(tx: &mut Tx, since: Instant) -> Result<Vec<Run>> {
    let query = sql(format!("{RUNS} WHERE r.ended_at IS NULL OR r.ended_at > ? ORDER BY r.promotion_id, r.run_no"));
    query.bind(since).load::<RunTypes, Run>(tx)
}

/// The runs of a promotion, the newest first, from before one of them.
pub(super) fn runs_of(tx: &mut Tx, id: PromotionId, before: Option<i64>, limit: i64) -> Result<Vec<Run>> {
    let query = sql(format!("{RUNS} WHERE r.promotion_id = ? AND r.run_no < ? ORDER BY r.run_no DESC LIMIT ?"));
    query.bind(id).bind(before.unwrap_or(i64::MAX)).bind(limit).load::<RunTypes, Run>(tx)
}

/// How much is taken of a promotion: uses, pieces, amount in minor units; and how much of that carts hold for a while.
pub(super) fn taken(tx: &mut Tx, id: PromotionId) -> Result<(i64, i64, i64, i64)> {
    let query = "SELECT uses, units, amount, (SELECT count(*) FROM promotion_uses AS u WHERE u.promotion_id = c.promotion_id \
                 AND u.state = 'reserved') FROM promotion_counters AS c WHERE promotion_id = ? AND subject = ''";
    let found = sql(query).bind(id).first::<(BigInt, BigInt, BigInt, BigInt), (i64, i64, i64, i64)>(tx)?;
    Ok(found.unwrap_or_default())
}

/// A counter as it stands for a cart: without what is reserved and due to end, and what the cart holds itself.
#[derive(Queryable)]
pub(super) struct Counter {
    pub promotion: PromotionId,
    pub subject: String,
    pub uses: i64,
    pub units: i64,
    pub amount: i64,
}

/// Counters of promotions and subjects, in one statement. One that has never moved may be absent.
pub(super) fn counters(
    tx: &mut Tx,
    (now, cart): (Instant, Option<CartId>),
    wanted: Vec<(PromotionId, String)>,
) -> Result<Vec<Counter>> {
    let list = dialect::list(tx, &[("promotion", Col::Uid), ("about", Col::Text)]);
    let query = format!(
        "SELECT c.promotion_id, c.subject, c.uses - count(u.cart_id), \
                CAST(c.units - coalesce(sum(u.units), 0) AS bigint), CAST(c.amount - coalesce(sum(u.amount), 0) AS bigint) \
         FROM {list} JOIN promotion_counters AS c ON c.promotion_id = list.promotion AND c.subject = list.about \
         LEFT JOIN promotion_uses AS u ON u.promotion_id = c.promotion_id AND u.state = 'reserved' AND (u.expires_at <= ? OR u.cart_id = ?) \
           AND CASE WHEN c.subject = '' THEN u.totalled ELSE c.subject IN (u.customer_key, u.email_key) END \
         GROUP BY c.promotion_id, c.subject, c.uses, c.units, c.amount"
    );
    let rows = wanted.into_iter().map(|(promotion, subject)| json!([promotion.hex(), subject])).collect();
    sql(query)
        .bind(dialect::rows(rows))
        .bind(now)
        .bind(cart)
        .load::<(UidSql, Text, BigInt, BigInt, BigInt), Counter>(tx)
}

const USE: &[(&str, Col)] = &[
    ("cart_id", Col::Uid),
    ("promotion_id", Col::Uid),
    ("order_id", Col::Uid),
    ("state", Col::Text),
    ("coupon", Col::Text),
    ("customer_key", Col::Text),
    ("email_key", Col::Text),
    ("units", Col::Int),
    ("amount", Col::Int),
    ("totalled", Col::Bool),
    ("coupon_counted", Col::Bool),
    ("expires_at", Col::At),
    ("created_at", Col::At),
];

/// Whose a use is: a cart's for a while, or its order's.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holder {
    /// The cart's, until then.
    Cart(Instant),
    /// The order's.
    Order(OrderId),
}

/// Notes what a cart takes.
pub(super) fn insert_uses(tx: &mut Tx, now: Instant, cart: CartId, holder: Holder, uses: &[&Use]) -> Result<()> {
    let (order, state, until) = match holder {
        Holder::Cart(until) => (None, "reserved", Some(until)),
        Holder::Order(order) => (Some(order), "consumed", None),
    };
    let row = |one: &&Use| -> Vec<Bind> {
        vec![
            cart.into(),
            one.promotion.into(),
            order.into(),
            state.into(),
            one.coupon.clone().into(),
            one.customer_key.clone().into(),
            one.email_key.clone().into(),
            one.units.into(),
            one.amount.into(),
            Bind::Bool(one.totalled),
            Bind::Bool(one.coupon_counted),
            until.into(),
            now.into(),
        ]
    };
    insert_many(tx, "promotion_uses", USE, uses.iter().map(row).collect())?;
    Ok(())
}

/// Lets what a cart has reserved hold until then; of which promotions that is.
pub(super) fn extend(tx: &mut Tx, cart: CartId, until: Instant) -> Result<Vec<PromotionId>> {
    sql("UPDATE promotion_uses SET expires_at = ? WHERE cart_id = ? AND state = 'reserved' RETURNING promotion_id")
        .bind(until)
        .bind(cart)
        .load::<UidSql, PromotionId>(tx)
}

/// Makes what a cart has reserved its order's; of which promotions that is.
pub(super) fn consume(tx: &mut Tx, cart: CartId, order: OrderId) -> Result<Vec<PromotionId>> {
    sql("UPDATE promotion_uses SET state = 'consumed', order_id = ?, expires_at = NULL \
         WHERE cart_id = ? AND state = 'reserved' RETURNING promotion_id")
    .bind(order)
    .bind(cart)
    .load::<UidSql, PromotionId>(tx)
}

#[rustfmt::skip]
type CountedTypes = (UidSql, Nullable<Text>, Nullable<Text>, Nullable<Text>, BigInt, BigInt, Bool, Bool);
const COUNTED: &str = "promotion_id, coupon, customer_key, email_key, units, amount, totalled, coupon_counted";

/// Forgets what a cart has taken, in whatever state, and tells what that was.
pub(super) fn drop_of_cart(tx: &mut Tx, cart: CartId) -> Result<Vec<Counted>> {
    let query =
        sql(format!("DELETE FROM promotion_uses WHERE cart_id = ? AND state <> 'returned' RETURNING {COUNTED}"));
    query.bind(cart).load::<CountedTypes, Counted>(tx)
}

/// Notes that an order's uses have come back, and tells what they were.
pub(super) fn return_of_order(tx: &mut Tx, order: OrderId) -> Result<Vec<Counted>> {
    let query = sql(format!(
        "UPDATE promotion_uses SET state = 'returned' WHERE order_id = ? AND state = 'consumed' RETURNING {COUNTED}"
    ));
    query.bind(order).load::<CountedTypes, Counted>(tx)
}

/// Forgets what an order has consumed of a promotion, and tells what that was.
pub(super) fn drop_of_order(tx: &mut Tx, order: OrderId, promotion: PromotionId) -> Result<Vec<Counted>> {
    let query = sql(format!(
        "DELETE FROM promotion_uses WHERE order_id = ? AND promotion_id = ? AND state = 'consumed' RETURNING {COUNTED}"
    ));
    query.bind(order).bind(promotion).load::<CountedTypes, Counted>(tx)
}

/// Forgets reservations that are due, of these promotions or of all; up to `limit` of them, the longest due first.
pub(super) fn drop_due(tx: &mut Tx, now: Instant, of: Option<&[PromotionId]>, limit: i64) -> Result<Vec<Counted>> {
    let skip = dialect::skip_locked(tx);
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let which = of.map_or_else(String::new, |_| format!(" AND promotion_id IN (SELECT wanted FROM {list})"));
    // What is being extended or consumed at this moment is left alone; the outer conditions are looked at once more.
    let query = format!(
        "DELETE FROM promotion_uses WHERE state = 'reserved' AND expires_at <= ? AND (cart_id, promotion_id) IN ( \
           SELECT cart_id, promotion_id FROM promotion_uses WHERE state = 'reserved' AND expires_at <= ?{which} \
           ORDER BY expires_at LIMIT ?{skip}) RETURNING {COUNTED}"
    );
    let mut query = sql(query).bind(now).bind(now);
    if let Some(of) = of {
        query = query.bind(dialect::rows(of.iter().map(|id| json!([id.hex()])).collect()));
    }
    query.bind(limit).load::<CountedTypes, Counted>(tx)
}

/// Forgets what a cart was about to take of these promotions, and no counter has moved for.
pub(super) fn forget(tx: &mut Tx, cart: CartId, promotions: &[PromotionId]) -> Result<()> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("DELETE FROM promotion_uses WHERE cart_id = ? AND promotion_id IN (SELECT wanted FROM {list})");
    let rows = promotions.iter().map(|id| json!([id.hex()])).collect();
    sql(query).bind(cart).bind(dialect::rows(rows)).execute(tx)?;
    Ok(())
}

/// What one counter moves by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    pub promotion: PromotionId,
    pub subject: String,
    pub uses: i64,
    pub units: i64,
    pub amount: i64,
    /// How many uses a customer may have; of the whole the row itself says it.
    pub most: Option<i64>,
}

const MOVE: &[(&str, Col)] = &[
    ("promotion", Col::Uid),
    ("about", Col::Text),
    ("more_uses", Col::Int),
    ("more_units", Col::Int),
    ("more_amount", Col::Int),
    ("most", Col::Int),
];

/// Makes the counters of customers that are not there yet.
pub(super) fn make_counters(tx: &mut Tx, moves: &[Move]) -> Result<()> {
    let list = dialect::list(tx, MOVE);
    let query = format!(
        "INSERT INTO promotion_counters (promotion_id, subject, uses, units, amount) \
         SELECT promotion, about, 0, 0, 0 FROM {list} WHERE about <> '' ORDER BY promotion, about \
         ON CONFLICT (promotion_id, subject) DO NOTHING"
    );
    sql(query).bind(dialect::rows(moves.iter().map(move_row).collect())).execute(tx)?;
    Ok(())
}

fn move_row(one: &Move) -> Value {
    json!([one.promotion.hex(), one.subject, one.uses, one.units, one.amount, one.most])
}

/// Moves counters, all or none, in the order of their keys. False when one would rise above what there is.
pub(super) fn move_counters(tx: &mut Tx, moves: &[Move]) -> Result<bool> {
    let (list, lock) = (dialect::list(tx, MOVE), dialect::for_update(tx));
    // The new figures come from the locked rows, as those of stock levels do.
    let query = format!(
        "WITH wanted AS (SELECT * FROM {list}), \
         held AS MATERIALIZED (SELECT promotion, about, uses + more_uses AS then_uses, units + more_units AS then_units, \
             amount + more_amount AS then_amount, \
             uses + more_uses <= coalesce(most, max_uses, uses + more_uses) \
             AND units + more_units <= coalesce(max_units, units + more_units) \
             AND amount + more_amount <= coalesce(max_amount, amount + more_amount) AS fits \
           FROM wanted JOIN promotion_counters ON promotion_id = promotion AND subject = about \
           ORDER BY promotion_id, subject{lock}) \
         UPDATE promotion_counters SET uses = then_uses, units = then_units, amount = then_amount \
         FROM held WHERE promotion_id = held.promotion AND subject = held.about \
           AND (SELECT count(*) FROM held WHERE fits) = ?"
    );
    let count = i64::try_from(moves.len()).map_err(Error::internal)?;
    let moved = sql(query).bind(dialect::rows(moves.iter().map(move_row).collect())).bind(count).execute(tx)?;
    Ok(moved == moves.len())
}
