//! The only file that touches `carts`.

use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use serde_json::json;

use super::model::{Cart, CartDetails, CartFigures, CartState, Stage};
use crate::{
    db::{Col, Doc, DocSql, InstantSql, Json, Tx, UidSql, dialect, sql},
    error::{Code, Error, Result},
    kernel::{
        Currency, Device, Instant,
        ids::{CartId, ChannelId, CustomerId, OrderId},
        text::Email,
    },
};

#[rustfmt::skip]
type Columns = (
    UidSql, UidSql, Nullable<UidSql>, Text, BigInt, Text, Text, Text, Nullable<UidSql>, InstantSql, InstantSql, InstantSql, DocSql,
);
#[rustfmt::skip]
type Row = (
    CartId, ChannelId, Option<CustomerId>, CartState, i64, Currency, Device, Stage, Option<OrderId>, Instant, Instant, Instant, Doc<CartDetails>,
);
const SELECTED: &str = "id, channel_id, customer_id, state, version, currency, device, stage, order_id, active_at, expires_at, created_at, doc";

fn cart(row: Row) -> Cart {
    let (
        id,
        channel,
        customer,
        state,
        version,
        currency,
        device,
        stage,
        order,
        active_at,
        expires_at,
        created_at,
        Doc(details),
    ) = row;
    Cart {
        id,
        channel,
        customer,
        state,
        version,
        currency,
        device,
        stage,
        order,
        active_at,
        expires_at,
        created_at,
        details,
    }
}

/// Inserts a new cart, its document written already. `abandon_at` is when it will be abandoned if nothing happens.
pub(super) fn insert(tx: &mut Tx, cart: &Cart, doc: Json, abandon_at: Option<Instant>) -> Result<()> {
    sql("INSERT INTO carts (id, channel_id, customer_id, state, version, currency, total, line_count, device, stage, order_id, \
         abandon_at, active_at, expires_at, doc, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?, ?, ?, ?)")
    .bind(cart.id)
    .bind(cart.channel)
    .bind(cart.customer)
    .bind(cart.state.as_str())
    .bind(cart.version)
    .bind(cart.currency)
    .bind(cart.total())
    .bind(i64::try_from(cart.details.lines.len()).unwrap_or(i64::MAX))
    .bind(cart.device.as_str())
    .bind(cart.stage.as_str())
    .bind(abandon_at)
    .bind(cart.active_at)
    .bind(cart.expires_at)
    .bind(doc)
    .bind(cart.created_at)
    .bind(cart.active_at)
    .execute(tx)?;
    Ok(())
}

/// A cart as it is.
pub(super) fn find(tx: &mut Tx, id: CartId) -> Result<Option<Cart>> {
    let query = sql(format!("SELECT {SELECTED} FROM carts WHERE id = ?")).bind(id);
    Ok(query.first::<Columns, Row>(tx)?.map(cart))
}

/// A cart, locked until the transaction ends: two edits at once both count.
pub(super) fn lock(tx: &mut Tx, id: CartId) -> Result<Option<Cart>> {
    let lock = dialect::for_update(tx);
    let query = sql(format!("SELECT {SELECTED} FROM carts WHERE id = ?{lock}")).bind(id);
    Ok(query.first::<Columns, Row>(tx)?.map(cart))
}

/// Writes a changed cart over the version that was read, and counts its version up.
pub(super) fn update(tx: &mut Tx, now: Instant, cart: &mut Cart, abandon_at: Option<Instant>) -> Result<()> {
    let update = sql("UPDATE carts SET customer_id = ?, state = ?, version = version + 1, currency = ?, total = ?, line_count = ?, \
                      device = ?, stage = ?, order_id = ?, abandon_at = ?, active_at = ?, expires_at = ?, doc = ?, updated_at = ? \
                      WHERE id = ? AND version = ?")
        .bind(cart.customer)
        .bind(cart.state.as_str())
        .bind(cart.currency)
        .bind(cart.total())
        .bind(i64::try_from(cart.details.lines.len()).unwrap_or(i64::MAX))
        .bind(cart.device.as_str())
        .bind(cart.stage.as_str())
        .bind(cart.order)
        .bind(abandon_at)
        .bind(cart.active_at)
        .bind(cart.expires_at)
        .bind(Json::of(&cart.details)?)
        .bind(now)
        .bind(cart.id)
        .bind(cart.version);
    if update.execute(tx)? != 1 {
        return Err(changed_meanwhile());
    }
    cart.version += 1;
    Ok(())
}

/// Notes that a cart is being paid, over the version that was read. Its document is left as it is.
pub(super) fn claim(tx: &mut Tx, now: Instant, cart: &Cart, (state, stage): (CartState, Stage)) -> Result<()> {
    let update =
        sql("UPDATE carts SET state = ?, stage = ?, version = version + 1, abandon_at = NULL, active_at = ?, \
                      updated_at = ? WHERE id = ? AND version = ?")
        .bind(state.as_str())
        .bind(stage.as_str())
        .bind(now)
        .bind(now)
        .bind(cart.id)
        .bind(cart.version);
    match update.execute(tx)? {
        1 => Ok(()),
        _ => Err(changed_meanwhile()),
    }
}

fn changed_meanwhile() -> Error {
    Error::problem(Code::VersionStale, "the cart changed meanwhile")
}

/// Moves a cart from one state to another without touching the rest. False when it is in another state.
pub(super) fn transit(
    tx: &mut Tx,
    now: Instant,
    id: CartId,
    (from, to): (CartState, CartState),
    order: Option<OrderId>,
    abandon_at: Option<Instant>,
) -> Result<bool> {
    let update =
        sql("UPDATE carts SET state = ?, order_id = ?, abandon_at = ?, version = version + 1, updated_at = ? \
                      WHERE id = ? AND state = ?")
        .bind(to.as_str())
        .bind(order)
        .bind(abandon_at)
        .bind(now)
        .bind(id)
        .bind(from.as_str());
    Ok(update.execute(tx)? == 1)
}

/// The carts that have been left alone past their time: up to `limit`, the oldest first.
pub(super) fn expired(tx: &mut Tx, now: Instant, limit: i64) -> Result<Vec<CartId>> {
    sql("SELECT id FROM carts WHERE expires_at <= ? AND state IN ('open', 'frozen') ORDER BY expires_at LIMIT ?")
        .bind(now)
        .bind(limit)
        .load::<UidSql, CartId>(tx)
}

/// Whether a cart's time without activity has run out: a cheap look before [`abandoned`].
pub(super) fn any_abandoned(tx: &mut Tx, now: Instant) -> Result<bool> {
    let query = sql("SELECT 1 FROM carts WHERE abandon_at <= ? LIMIT 1").bind(now);
    Ok(query.first::<Integer, i32>(tx)?.is_some())
}

/// Locks up to `limit` carts whose time without activity has run out, with when it did, the longest ago first. Those
/// that are being changed at this moment are left alone.
pub(super) fn abandoned(tx: &mut Tx, now: Instant, limit: i64) -> Result<Vec<(Cart, Instant)>> {
    #[rustfmt::skip]
    type Columns = (
        InstantSql, UidSql, UidSql, Nullable<UidSql>, Text, BigInt, Text, Text, Text, Nullable<UidSql>, InstantSql, InstantSql, InstantSql, DocSql,
    );
    #[rustfmt::skip]
    type Row = (
        Instant, CartId, ChannelId, Option<CustomerId>, CartState, i64, Currency, Device, Stage, Option<OrderId>, Instant, Instant, Instant, Doc<CartDetails>,
    );
    let skip = dialect::skip_locked(tx);
    let query = sql(format!(
        "SELECT abandon_at, {SELECTED} FROM carts WHERE abandon_at <= ? ORDER BY abandon_at LIMIT ?{skip}"
    ));
    let rows = query.bind(now).bind(limit).load::<Columns, Row>(tx)?;
    let split =
        |(due, a, b, c, d, e, f, g, h, i, j, k, l, m): Row| (cart((a, b, c, d, e, f, g, h, i, j, k, l, m)), due);
    Ok(rows.into_iter().map(split).collect())
}

/// Notes that nothing is to be done about these carts' inactivity any more, until they are active again. Returns how
/// many of them were still due.
pub(super) fn forget_abandonment(tx: &mut Tx, now: Instant, carts: &[CartId]) -> Result<usize> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let update =
        format!("UPDATE carts SET abandon_at = NULL WHERE id IN (SELECT wanted FROM {list}) AND abandon_at <= ?");
    let wanted = dialect::rows(carts.iter().map(|id| json!([id.hex()])).collect());
    sql(update).bind(wanted).bind(now).execute(tx)
}

/// The versions of carts, with one statement.
pub(super) fn versions(tx: &mut Tx, carts: &[CartId]) -> Result<Vec<(CartId, i64)>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT id, version FROM carts WHERE id IN (SELECT wanted FROM {list})");
    let wanted = dialect::rows(carts.iter().map(|id| json!([id.hex()])).collect());
    sql(query).bind(wanted).load::<(UidSql, BigInt), (CartId, i64)>(tx)
}

/// Of these carts, those that others went into, with the others.
pub(super) fn merged(tx: &mut Tx, carts: &[CartId]) -> Result<Vec<(CartId, Vec<CartId>)>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT id, doc->'merged' FROM carts WHERE id IN (SELECT wanted FROM {list}) AND doc->'merged' IS NOT NULL"
    );
    let wanted = dialect::rows(carts.iter().map(|id| json!([id.hex()])).collect());
    let rows = sql(query).bind(wanted).load::<(UidSql, DocSql), (CartId, Doc<Vec<CartId>>)>(tx)?;
    Ok(rows.into_iter().map(|(id, Doc(merged))| (id, merged)).collect())
}

/// How many carts with lines were made in a span of time, and how many of them became orders. Taken-over history is
/// left out.
pub(super) fn figures(tx: &mut Tx, from: Instant, to: Instant) -> Result<Vec<CartFigures>> {
    let query = "SELECT channel_id, device, stage, count(*), count(order_id) FROM carts \
                 WHERE created_at >= ? AND created_at < ? AND line_count > 0 \
                 AND doc->>'occurred_at' IS NULL GROUP BY channel_id, device, stage";
    let rows = sql(query).bind(from).bind(to);
    let rows = rows.load::<(UidSql, Text, Text, BigInt, BigInt), (ChannelId, Device, Stage, i64, i64)>(tx)?;
    let figures = |(channel, device, stage, carts, ordered)| CartFigures { channel, device, stage, carts, ordered };
    Ok(rows.into_iter().map(figures).collect())
}

/// The channels of carts, with one statement.
pub(super) fn channels(tx: &mut Tx, carts: &[CartId]) -> Result<Vec<(CartId, ChannelId)>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT id, channel_id FROM carts WHERE id IN (SELECT wanted FROM {list})");
    let wanted = dialect::rows(carts.iter().map(|id| json!([id.hex()])).collect());
    sql(query).bind(wanted).load::<(UidSql, UidSql), (CartId, ChannelId)>(tx)
}

/// A customer's carts.
pub(super) fn of_customer(tx: &mut Tx, customer: CustomerId) -> Result<Vec<CartId>> {
    sql("SELECT id FROM carts WHERE customer_id = ? ORDER BY id").bind(customer).load::<UidSql, CartId>(tx)
}

/// Whether one of these customers has ordered, or a guest with this e-mail address.
pub(super) fn has_ordered(tx: &mut Tx, customers: &[CustomerId], email: Option<&Email>, but: CartId) -> Result<bool> {
    if !customers.is_empty() {
        let list = dialect::list(tx, &[("wanted", Col::Uid)]);
        let query = format!(
            "SELECT 1 FROM {list} JOIN carts ON customer_id = list.wanted AND state = 'completed' AND id <> ? LIMIT 1"
        );
        let wanted = dialect::rows(customers.iter().map(|id| json!([id.hex()])).collect());
        if sql(query).bind(wanted).bind(but).first::<Integer, i32>(tx)?.is_some() {
            return Ok(true);
        }
    }
    let Some(email) = email else { return Ok(false) };
    let query = sql("SELECT 1 FROM carts WHERE lower(doc->>'email') = ? AND customer_id IS NULL \
                     AND doc->>'email' IS NOT NULL AND state = 'completed' AND id <> ? LIMIT 1");
    Ok(query.bind(email.folded()).bind(but).first::<Integer, i32>(tx)?.is_some())
}

/// An index leads to them. Addresses are ASCII, so the databases fold them as we do.
const OF_GUEST: &str = "SELECT id FROM carts WHERE lower(doc->>'email') = ? AND id > ? AND customer_id IS NULL \
                        AND doc->>'email' IS NOT NULL ORDER BY id LIMIT ?";

/// The next carts of guests with an e-mail address, folded, after one of them.
pub(super) fn of_guest(tx: &mut Tx, email: &str, after: Option<CartId>, limit: i64) -> Result<Vec<CartId>> {
    let query = sql(OF_GUEST).bind(email).bind(after.unwrap_or(CartId::from_bytes([0; 16]))).bind(limit);
    query.load::<UidSql, CartId>(tx)
}

/// Carts, locked in the order of their ids until the transaction ends.
pub(super) fn lock_many(tx: &mut Tx, carts: &[CartId]) -> Result<Vec<Cart>> {
    let (list, lock) = (dialect::list(tx, &[("wanted", Col::Uid)]), dialect::for_update(tx));
    let query = format!("SELECT {SELECTED} FROM carts WHERE id IN (SELECT wanted FROM {list}) ORDER BY id{lock}");
    let wanted = dialect::rows(carts.iter().map(|id| json!([id.hex()])).collect());
    Ok(sql(query).bind(wanted).load::<Columns, Row>(tx)?.into_iter().map(cart).collect())
}

/// The orders that carts have become.
pub(super) fn orders_of(tx: &mut Tx, carts: &[CartId]) -> Result<Vec<(CartId, OrderId)>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query =
        format!("SELECT id, order_id FROM carts WHERE id IN (SELECT wanted FROM {list}) AND order_id IS NOT NULL");
    let wanted = dialect::rows(carts.iter().map(|id| json!([id.hex()])).collect());
    sql(query).bind(wanted).load::<(UidSql, UidSql), (CartId, OrderId)>(tx)
}

/// Writes the details of carts that are locked, and that nobody is to be reminded of them.
pub(super) fn erase(tx: &mut Tx, now: Instant, carts: &[(CartId, CartDetails)]) -> Result<()> {
    let list = dialect::list(tx, &[("wanted", Col::Uid), ("bare", Col::Doc)]);
    let rows: Result<Vec<_>> =
        carts.iter().map(|(id, doc)| Ok(json!([id.hex(), serde_json::to_value(doc)?]))).collect();
    let update = format!(
        "UPDATE carts SET doc = list.bare, abandon_at = NULL, version = version + 1, updated_at = ? FROM {list} \
         WHERE id = list.wanted"
    );
    sql(update).bind(now).bind(dialect::rows(rows?)).execute(tx)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Db, Options};

    #[tokio::test]
    async fn an_index_leads_to_the_carts_of_a_guest() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(Options::new(folder.path().join("plans.db").display().to_string())).unwrap();
        let steps = db.read(|tx| {
            let explain = sql(format!("EXPLAIN QUERY PLAN {OF_GUEST}")).bind("a@b").bind(CartId::new()).bind(9i64);
            explain.load::<(BigInt, BigInt, BigInt, Text), (i64, i64, i64, String)>(tx)
        });
        let steps: Vec<String> = steps.await.unwrap().into_iter().map(|(.., step)| step).collect();
        assert!(steps.len() == 1 && steps[0].contains("SEARCH carts USING INDEX carts_guest_email"), "{steps:?}");
    }
}
