//! The only file that touches `stored_values`, `stored_value_entries` and `stored_value_holds`.

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Integer, Nullable, Text},
};
use serde_json::json;

use super::model::{Entry, EntryKind, Part, StoredValue, ValueKind, ValueState, ValueSum};
use crate::{
    db::{Bind, Col, InstantSql, Sql, Tx, UidSql, dialect, insert_many, sql},
    error::Result,
    kernel::{
        Currency, Instant, Money,
        ids::{CartId, CustomerId, PaymentId, StoredValueEntryId, StoredValueId},
    },
};

#[rustfmt::skip]
type Types = (UidSql, Text, Text, Text, BigInt, BigInt, Nullable<Text>, Nullable<UidSql>, Nullable<InstantSql>, Nullable<Text>, BigInt, InstantSql, InstantSql);
const READ: &str = "id, kind, state, currency, balance, held, code_end, customer_id, expires_at, note, version, created_at, updated_at";

/// A row as the queries of this file read it.
#[derive(Queryable)]
struct Record {
    id: StoredValueId,
    kind: ValueKind,
    state: ValueState,
    currency: Currency,
    balance: i64,
    held: i64,
    code_end: Option<String>,
    customer: Option<CustomerId>,
    expires_at: Option<Instant>,
    note: Option<String>,
    version: i64,
    created_at: Instant,
    updated_at: Instant,
}

impl From<Record> for StoredValue {
    fn from(row: Record) -> Self {
        let money = |minor| Money::from_minor(minor, row.currency);
        Self {
            id: row.id,
            kind: row.kind,
            state: row.state,
            balance: money(row.balance),
            held: money(row.held),
            available: money(row.balance - row.held),
            code_end: row.code_end,
            customer_id: row.customer,
            expires_at: row.expires_at,
            note: row.note,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<StoredValue>> {
    Ok(query.load::<Types, Record>(tx)?.into_iter().map(StoredValue::from).collect())
}

/// Writes a new value. Of a store credit of which there is one already nothing is written; false then.
pub(super) fn insert(tx: &mut Tx, value: &StoredValue, code_hash: Option<&str>) -> Result<bool> {
    let insert = format!(
        "INSERT INTO stored_values ({READ}, code_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (customer_id, currency) WHERE kind = 'store_credit' DO NOTHING"
    );
    let insert = sql(insert)
        .bind(value.id)
        .bind(value.kind.as_str())
        .bind(value.state.as_str())
        .bind(value.balance.currency())
        .bind(value.balance.minor())
        .bind(value.held.minor())
        .bind(value.code_end.clone())
        .bind(value.customer_id)
        .bind(value.expires_at)
        .bind(value.note.clone())
        .bind(value.version)
        .bind(value.created_at)
        .bind(value.updated_at)
        .bind(code_hash.map(str::to_owned));
    Ok(insert.execute(tx)? == 1)
}

pub(super) fn find(tx: &mut Tx, id: StoredValueId) -> Result<Option<StoredValue>> {
    Ok(load(tx, sql(format!("SELECT {READ} FROM stored_values WHERE id = ?")).bind(id))?.pop())
}

pub(super) fn by_code(tx: &mut Tx, hash: &str) -> Result<Option<StoredValue>> {
    Ok(load(tx, sql(format!("SELECT {READ} FROM stored_values WHERE code_hash = ?")).bind(hash))?.pop())
}

/// The columns where what carts hold and is due counts as free; they begin with a bind for the time.
fn read_free() -> String {
    READ.replacen(
        "held",
        "CAST(held - (SELECT coalesce(sum(h.amount), 0) FROM stored_value_holds AS h \
                          WHERE h.stored_value_id = stored_values.id AND h.expires_at <= ?) AS bigint)",
        1,
    )
}

/// The store credit of a customer, of each currency; what carts hold and is due is free.
pub(super) fn usable_credits(tx: &mut Tx, now: Instant, customer: CustomerId) -> Result<Vec<StoredValue>> {
    let read = read_free();
    let query =
        format!("SELECT {read} FROM stored_values WHERE customer_id = ? AND kind = 'store_credit' ORDER BY currency");
    load(tx, sql(query).bind(now).bind(customer))
}

pub(super) fn credit(tx: &mut Tx, customer: CustomerId, currency: Currency) -> Result<Option<StoredValue>> {
    let query =
        format!("SELECT {READ} FROM stored_values WHERE customer_id = ? AND currency = ? AND kind = 'store_credit'");
    Ok(load(tx, sql(query).bind(customer).bind(currency))?.pop())
}

/// Cards by their ids and the store credit of a customer in a currency, with one statement; what others hold and is due is free.
pub(super) fn wanted(
    tx: &mut Tx,
    now: Instant,
    cards: &[StoredValueId],
    credit_of: Option<(CustomerId, Currency)>,
) -> Result<Vec<StoredValue>> {
    let (query, binds) = wanted_query(&dialect::list(tx, &[("wanted", Col::Uid)]), now, cards, credit_of);
    load(tx, sql(query).bind_all(binds))
}

/// Each arm is led by an index of its own: joined by OR they would be a walk through all values.
fn wanted_query(
    list: &str,
    now: Instant,
    cards: &[StoredValueId],
    credit_of: Option<(CustomerId, Currency)>,
) -> (String, Vec<Bind>) {
    let (read, mut arms, mut binds) = (read_free(), Vec::new(), Vec::<Bind>::new());
    if !cards.is_empty() {
        arms.push(format!(
            "SELECT {read} FROM stored_values WHERE id IN (SELECT wanted FROM {list}) AND kind = 'gift_card'"
        ));
        let rows = dialect::rows(cards.iter().map(|id| json!([id.hex()])).collect());
        binds.extend([now.into(), rows]);
    }
    if let Some((customer, currency)) = credit_of {
        arms.push(format!(
            "SELECT {read} FROM stored_values WHERE customer_id = ? AND currency = ? AND kind = 'store_credit'"
        ));
        binds.extend([now.into(), customer.into(), currency.to_string().into()]);
    }
    (arms.join(" UNION ALL "), binds)
}

/// What a page of stored values is narrowed to.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub kind: Option<ValueKind>,
    pub customer: Option<CustomerId>,
}

/// A page of stored values, the newest first, from behind one of them.
pub(super) fn page(
    tx: &mut Tx,
    filter: &Filter,
    before: Option<StoredValueId>,
    limit: i64,
) -> Result<Vec<StoredValue>> {
    let kind = filter.kind.map_or("", |_| " AND kind = ?");
    let customer = filter.customer.map_or("", |_| " AND customer_id = ?");
    let behind = before.map_or("", |_| " AND id < ?");
    let query =
        format!("SELECT {READ} FROM stored_values WHERE 1 = 1{kind}{customer}{behind} ORDER BY id DESC LIMIT ?");
    let binds = filter.kind.map(|kind| Bind::from(kind.as_str())).into_iter();
    let binds = binds.chain(filter.customer.map(Bind::from)).chain(before.map(Bind::from));
    load(tx, sql(query).bind_all(binds).bind(limit))
}

/// What a customer can pay with, by kind and currency.
pub(super) fn balances_of(tx: &mut Tx, now: Instant, customer: CustomerId) -> Result<Vec<ValueSum>> {
    type Found = (ValueKind, Currency, i64, i64, i64);
    let query = "SELECT kind, currency, count(*), CAST(sum(balance) AS BIGINT), CAST(sum(balance - held) AS BIGINT) \
                 FROM stored_values WHERE customer_id = ? AND state = 'active' AND (expires_at IS NULL OR expires_at > ?) \
                 GROUP BY kind, currency ORDER BY kind, currency";
    let query = sql(query).bind(customer).bind(now);
    let sum = |(kind, currency, count, balance, available): Found| {
        let money = |minor| Money::from_minor(minor, currency);
        ValueSum { kind, count, balance: money(balance), available: money(available) }
    };
    Ok(query.load::<(Text, Text, BigInt, BigInt, BigInt), Found>(tx)?.into_iter().map(sum).collect())
}

/// Gift cards whose codes end so, the newest first.
pub(super) fn ending_in(tx: &mut Tx, end: &str, limit: i64) -> Result<Vec<StoredValue>> {
    let query = format!("SELECT {READ} FROM stored_values WHERE code_end = ? ORDER BY id DESC LIMIT ?");
    load(tx, sql(query).bind(end).bind(limit))
}

/// What one stored value changes by, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move {
    pub value: StoredValueId,
    pub amount: i64,
    pub held: i64,
}

/// Changes stored values, each named once: all of them or none; locked in the order of their ids. Gives them as they are afterwards,
/// none where one has too little, or, where something new is `paid` with them, is blocked or has expired.
pub(super) fn apply(tx: &mut Tx, now: Instant, moves: &[Move], paid: bool) -> Result<Vec<StoredValue>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid), ("more", Col::Int), ("aside", Col::Int)]);
    let lock = dialect::for_update(tx);
    let update = format!(
        "WITH wanted AS (SELECT * FROM {list}), \
         found AS MATERIALIZED (SELECT id AS known, balance + more AS then_balance, held + aside AS then_held, \
             held + aside BETWEEN 0 AND balance + more AND (NOT ? OR state = 'active' AND \
             (expires_at IS NULL OR expires_at > ?)) AS fits \
           FROM wanted JOIN stored_values ON id = wanted ORDER BY id{lock}) \
         UPDATE stored_values SET balance = then_balance, held = then_held, version = version + 1, updated_at = ? \
         FROM found WHERE id = found.known AND NOT EXISTS (SELECT 1 FROM found WHERE NOT fits) \
           AND (SELECT count(*) FROM found) = ? RETURNING {READ}"
    );
    let rows = moves.iter().map(|one| json!([one.value.hex(), one.amount, one.held])).collect();
    let update = sql(update).bind(dialect::rows(rows)).bind(Bind::Bool(paid)).bind(now).bind(now);
    load(tx, update.bind(i64::try_from(moves.len()).unwrap_or(i64::MAX)))
}

/// Replaces state, end and note of a value that still has the given version. False when it has not.
pub(super) fn update(tx: &mut Tx, value: &StoredValue, version: i64) -> Result<bool> {
    let update = "UPDATE stored_values SET state = ?, expires_at = ?, note = ?, version = ?, updated_at = ? \
                  WHERE id = ? AND version = ?";
    let update = sql(update)
        .bind(value.state.as_str())
        .bind(value.expires_at)
        .bind(value.note.clone())
        .bind(value.version)
        .bind(value.updated_at)
        .bind(value.id)
        .bind(version);
    Ok(update.execute(tx)? == 1)
}

const ENTRY: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("stored_value_id", Col::Uid),
    ("our_key", Col::Text),
    ("kind", Col::Text),
    ("amount", Col::Int),
    ("held", Col::Int),
    ("balance_after", Col::Int),
    ("version", Col::Int),
    ("payment_id", Col::Uid),
    ("actor", Col::Text),
    ("reason", Col::Text),
    ("created_at", Col::At),
];

/// Writes changes down, each under its key: one that has been written is refused by the UNIQUE constraint.
pub(super) fn insert_entries(tx: &mut Tx, entries: &[(String, Entry)]) -> Result<()> {
    let row = |(key, entry): &(String, Entry)| -> Vec<Bind> {
        vec![
            entry.id.into(),
            entry.stored_value_id.into(),
            key.as_str().into(),
            entry.kind.as_str().into(),
            entry.amount.minor().into(),
            entry.held.minor().into(),
            entry.balance_after.minor().into(),
            entry.version.into(),
            entry.payment_id.into(),
            entry.actor.as_str().into(),
            entry.reason.clone().into(),
            entry.created_at.into(),
        ]
    };
    insert_many(tx, "stored_value_entries", ENTRY, entries.iter().map(row).collect()).map(|_| ())
}

/// Whether a change has been written down under this key.
pub(super) fn is_known(tx: &mut Tx, our_key: &str) -> Result<bool> {
    let query = sql("SELECT 1 FROM stored_value_entries WHERE our_key = ?").bind(our_key);
    Ok(query.first::<Integer, i32>(tx)?.is_some())
}

/// Whether a change has been written down under one of these keys.
pub(super) fn is_any_known(tx: &mut Tx, keys: &[String; 3]) -> Result<bool> {
    let query = sql("SELECT 1 FROM stored_value_entries WHERE our_key IN (?, ?, ?)");
    let query = query.bind_all(keys.iter().map(|key| Bind::from(key.as_str())));
    Ok(query.first::<Integer, i32>(tx)?.is_some())
}

/// What has been taken for a payment and not put back, and what is set aside for it still, by its entries.
pub(super) fn of_payment(tx: &mut Tx, payment: PaymentId) -> Result<(i64, i64)> {
    let query = sql("SELECT CAST(-coalesce(sum(amount), 0) AS bigint), CAST(coalesce(sum(held), 0) AS bigint) \
         FROM stored_value_entries WHERE payment_id = ?");
    Ok(query.bind(payment).first::<(BigInt, BigInt), (i64, i64)>(tx)?.unwrap_or_default())
}

#[rustfmt::skip]
type EntryTypes = (UidSql, UidSql, Text, BigInt, BigInt, BigInt, BigInt, Text, Nullable<UidSql>, Text, Nullable<Text>, InstantSql);
#[rustfmt::skip]
type EntryRow = (StoredValueEntryId, StoredValueId, EntryKind, i64, i64, i64, i64, Currency, Option<PaymentId>, String, Option<String>, Instant);

/// Where a change stands among those of its value: the version that it made, and its id.
pub(super) type EntryPlace = (i64, StoredValueEntryId);

/// A page of the changes of a value, the newest first, from behind one of them.
pub(super) fn entries(tx: &mut Tx, of: StoredValueId, before: Option<EntryPlace>, limit: i64) -> Result<Vec<Entry>> {
    let behind = before.map_or("", |_| " AND (e.version, e.id) < (?, ?)");
    let query = format!(
        "SELECT e.id, e.stored_value_id, e.kind, e.amount, e.held, e.balance_after, e.version, v.currency, e.payment_id, e.actor, \
         e.reason, e.created_at FROM stored_value_entries AS e JOIN stored_values AS v ON v.id = e.stored_value_id \
         WHERE e.stored_value_id = ?{behind} ORDER BY e.version DESC, e.id DESC LIMIT ?"
    );
    let query = sql(query)
        .bind(of)
        .bind_all(before.into_iter().flat_map(|(version, id)| [Bind::from(version), id.into()]))
        .bind(limit);
    let entry = |(
        id,
        stored_value_id,
        kind,
        amount,
        held,
        after,
        version,
        currency,
        payment_id,
        actor,
        reason,
        created_at,
    ): EntryRow| {
        let money = |minor| Money::from_minor(minor, currency);
        let (amount, held, balance_after) = (money(amount), money(held), money(after));
        Entry { id, stored_value_id, kind, amount, held, balance_after, version, payment_id, actor, reason, created_at }
    };
    Ok(query.load::<EntryTypes, EntryRow>(tx)?.into_iter().map(entry).collect())
}

const HOLD: &[(&str, Col)] = &[
    ("payment_id", Col::Uid),
    ("stored_value_id", Col::Uid),
    ("cart_id", Col::Uid),
    ("amount", Col::Int),
    ("expires_at", Col::At),
    ("created_at", Col::At),
];

/// What a cart has set aside of a stored value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable)]
pub(super) struct Hold {
    pub payment: PaymentId,
    pub value: StoredValueId,
    pub amount: i64,
}

/// Notes what a cart sets aside until then.
pub(super) fn insert_holds(tx: &mut Tx, now: Instant, cart: CartId, parts: &[Part], until: Instant) -> Result<()> {
    let row = |part: &Part| -> Vec<Bind> {
        vec![part.payment.into(), part.value.into(), cart.into(), part.amount.into(), until.into(), now.into()]
    };
    insert_many(tx, "stored_value_holds", HOLD, parts.iter().map(row).collect()).map(|_| ())
}

/// The payments for which a cart has something set aside.
pub(super) fn held_for(tx: &mut Tx, cart: CartId) -> Result<Vec<PaymentId>> {
    let lock = dialect::for_update(tx);
    let query = format!("SELECT payment_id FROM stored_value_holds WHERE cart_id = ? ORDER BY payment_id{lock}");
    sql(query).bind(cart).load::<UidSql, PaymentId>(tx)
}

/// Lets what a cart has set aside hold until then.
pub(super) fn extend(tx: &mut Tx, cart: CartId, until: Instant) -> Result<()> {
    sql("UPDATE stored_value_holds SET expires_at = ? WHERE cart_id = ?").bind(until).bind(cart).execute(tx)?;
    Ok(())
}

type HoldTypes = (UidSql, UidSql, BigInt);
const HELD: &str = "payment_id, stored_value_id, amount";

/// Forgets what a cart has set aside, and tells what that was.
pub(super) fn drop_of_cart(tx: &mut Tx, cart: CartId) -> Result<Vec<Hold>> {
    let query = sql(format!("DELETE FROM stored_value_holds WHERE cart_id = ? RETURNING {HELD}"));
    query.bind(cart).load::<HoldTypes, Hold>(tx)
}

/// Forgets what carts have set aside and is due, of these values or of all; up to `limit` of it, the longest due first.
pub(super) fn drop_due(tx: &mut Tx, now: Instant, of: Option<&[Part]>, limit: i64) -> Result<Vec<Hold>> {
    let (skip, list) = (dialect::skip_locked(tx), dialect::list(tx, &[("wanted", Col::Uid)]));
    let which = of.map_or_else(String::new, |_| format!(" AND stored_value_id IN (SELECT wanted FROM {list})"));
    // What is being extended or taken at this moment is left alone; the outer condition is looked at once more.
    let query = format!(
        "DELETE FROM stored_value_holds WHERE expires_at <= ? AND payment_id IN (SELECT payment_id FROM stored_value_holds \
           WHERE expires_at <= ?{which} ORDER BY expires_at LIMIT ?{skip}) RETURNING {HELD}"
    );
    let rows = of.map(|of| dialect::rows(of.iter().map(|part| json!([part.value.hex()])).collect()));
    sql(query).bind(now).bind(now).bind_all(rows).bind(limit).load::<HoldTypes, Hold>(tx)
}

/// Clears what staff have noted of a customer's stored values.
pub(super) fn erase(tx: &mut Tx, customer: CustomerId) -> Result<()> {
    let notes =
        "UPDATE stored_values SET note = NULL, version = version + 1 WHERE customer_id = ? AND note IS NOT NULL";
    sql(notes).bind(customer).execute(tx)?;
    let reasons = "UPDATE stored_value_entries SET reason = NULL WHERE reason IS NOT NULL \
                   AND stored_value_id IN (SELECT id FROM stored_values WHERE customer_id = ?)";
    sql(reasons).bind(customer).execute(tx)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Db, Options};

    #[tokio::test]
    async fn an_index_leads_to_the_cards_and_the_credit_of_a_cart() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(Options::new(folder.path().join("plans.db").display().to_string())).unwrap();
        let steps = db.read(|tx| {
            let (cards, credit) = ([StoredValueId::new()], (CustomerId::new(), "EUR".parse().unwrap()));
            let list = dialect::list(tx, &[("wanted", Col::Uid)]);
            let (query, binds) = wanted_query(&list, Instant::from_micros(0), &cards, Some(credit));
            let explain = sql(format!("EXPLAIN QUERY PLAN {query}")).bind_all(binds);
            explain.load::<(BigInt, BigInt, BigInt, Text), (i64, i64, i64, String)>(tx)
        });
        let steps: Vec<String> = steps.await.unwrap().into_iter().map(|(.., step)| step).collect();
        let led = steps.iter().filter(|step| step.starts_with("SEARCH stored_values USING INDEX")).count();
        assert!(led == 2 && !steps.iter().any(|step| step.starts_with("SCAN stored_values")), "{steps:?}");
    }
}
