//! The only file that touches `stock_snapshots`; and what levels have gone through since an instant.

use std::collections::HashMap;

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::model::Basis;
use crate::{
    db::{Col, InstantSql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Instant,
        ids::{LocationId, VariantId},
    },
    stock::{
        LevelKey, MovementKind,
        store::{KEY, keys},
    },
};

/// The newest instant for which a snapshot of these levels was taken, whoever sent it.
pub(super) fn newest(tx: &mut Tx, levels: &[LevelKey]) -> Result<HashMap<LevelKey, Instant>> {
    let list = dialect::list(tx, KEY);
    let query = format!(
        "SELECT variant_id, location_id, max(as_of) FROM {list} JOIN stock_snapshots \
         ON variant_id = variant AND location_id = location GROUP BY variant_id, location_id"
    );
    let rows = sql(query).bind(keys(levels.iter().copied()));
    let rows = rows.load::<(UidSql, UidSql, InstantSql), (VariantId, LocationId, Instant)>(tx)?;
    Ok(rows.into_iter().map(|(variant, location, as_of)| ((variant, location), as_of)).collect())
}

/// What a system said of levels.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub source: &'a str,
    pub basis: Basis,
    pub as_of: Instant,
    pub orders_through: Option<i64>,
}

/// Keeps what a system said, where it is newer than what it said before. How many rows that are.
pub(super) fn keep(tx: &mut Tx, now: Instant, said: Said<'_>, rows: &[(LevelKey, i64)]) -> Result<usize> {
    let columns = [KEY, &[("pieces", Col::Int)]].concat();
    let list = dialect::list(tx, &columns);
    let query = format!(
        "INSERT INTO stock_snapshots (variant_id, location_id, source, basis, quantity, as_of, orders_through, taken_at) \
         SELECT variant, location, ?, ?, pieces, ?, ?, ? FROM {list} WHERE true ORDER BY variant, location \
         ON CONFLICT (variant_id, location_id, source) DO UPDATE SET basis = excluded.basis, quantity = excluded.quantity, \
           as_of = excluded.as_of, orders_through = excluded.orders_through, taken_at = excluded.taken_at \
         WHERE stock_snapshots.as_of < excluded.as_of"
    );
    let rows = rows.iter().map(|((variant, location), pieces)| json!([variant.hex(), location.hex(), pieces]));
    let insert = sql(query).bind(said.source).bind(said.basis.as_str()).bind(said.as_of).bind(said.orders_through);
    insert.bind(now).bind(dialect::rows(rows.collect())).execute(tx)
}

/// A movement of one of the levels.
pub(super) struct Moved {
    pub key: LevelKey,
    pub kind: MovementKind,
    pub on_hand: i64,
    pub allocated: i64,
    pub reference: Option<String>,
    pub occurred_at: Instant,
    pub recorded_at: Instant,
}

/// For so long a movement may have been on its way to the ledger: they are written in the order of their numbers but for that.
const SLACK_SECONDS: i64 = 3600;

/// A number up to which all movements were recorded before an instant. Found by halving, with a few look-ups however long the
/// ledger is.
fn number_before(tx: &mut Tx, at: Instant) -> Result<i64> {
    let at = at.plus_seconds(-SLACK_SECONDS);
    let newest = sql("SELECT max(seq) FROM stock_movements").first::<Nullable<BigInt>, Option<i64>>(tx)?.flatten();
    let (mut low, mut high) = (0, newest.unwrap_or_default());
    while low < high {
        let middle = low + (high - low + 1) / 2;
        let query = "SELECT recorded_at FROM stock_movements WHERE seq <= ? ORDER BY seq DESC LIMIT 1";
        let found = sql(query).bind(middle).first::<InstantSql, Instant>(tx)?;
        if found.is_none_or(|recorded| recorded < at) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Ok(low)
}

/// What has been recorded of levels since an instant.
pub(super) fn moved_since(tx: &mut Tx, since: Instant, levels: &[LevelKey]) -> Result<Vec<Moved>> {
    type Columns = (UidSql, UidSql, Text, BigInt, BigInt, Nullable<Text>, InstantSql, InstantSql);
    type Row = (VariantId, LocationId, MovementKind, i64, i64, Option<String>, Instant, Instant);
    let number = number_before(tx, since)?;
    let list = dialect::list(tx, KEY);
    // The movements of a variant lead, and not those of a whole location.
    let place = dialect::unindexed(tx)("m.location_id");
    let query = format!(
        "SELECT m.variant_id, m.location_id, m.kind, m.on_hand, m.allocated, m.reference, m.occurred_at, m.recorded_at \
         FROM {list} JOIN stock_movements AS m ON m.variant_id = variant AND {place} = location \
         WHERE m.seq > ? AND m.recorded_at >= ? AND m.kind <> 'pick'"
    );
    let rows = sql(query).bind(keys(levels.iter().copied())).bind(number).bind(since).load::<Columns, Row>(tx)?;
    let moved = |(variant, location, kind, on_hand, allocated, reference, occurred_at, recorded_at): Row| Moved {
        key: (variant, location),
        kind,
        on_hand,
        allocated,
        reference,
        occurred_at,
        recorded_at,
    };
    Ok(rows.into_iter().map(moved).collect())
}
