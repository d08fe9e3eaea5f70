//! The only file that touches `stock_watches`.

use diesel::sql_types::{BigInt, Bool, Nullable};
use serde_json::json;

use super::model::{Seen, Standing, Watch};
use crate::{
    db::{Col, InstantSql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Instant,
        ids::{LocationId, VariantId},
    },
    stock::{
        model::LevelKey,
        store::{KEY, THERE, keys},
    },
};

#[rustfmt::skip]
type Columns = (UidSql, UidSql, Nullable<BigInt>, Nullable<BigInt>, Nullable<BigInt>, Bool, Bool, Bool, BigInt, InstantSql, BigInt, BigInt, BigInt);
#[rustfmt::skip]
type Row = (VariantId, LocationId, Option<i64>, Option<i64>, Option<i64>, bool, bool, bool, i64, Instant, i64, i64, i64);
const SEEN: &str = "w.variant_id, w.location_id, w.low_at, w.reorder_at, w.reorder_quantity, w.is_low, w.is_due, w.is_out, \
                    w.version, w.updated_at, coalesce(s.on_hand, 0)";

/// Watches with the figures of their levels.
fn select() -> String {
    format!(
        "SELECT {SEEN}, coalesce({THERE}, 0), CAST(coalesce((SELECT sum(e.quantity) FROM stock_expected AS e \
           WHERE e.variant_id = w.variant_id AND e.location_id = w.location_id), 0) AS BIGINT) \
         FROM stock_watches AS w LEFT JOIN stock_levels AS s ON s.variant_id = w.variant_id AND s.location_id = w.location_id"
    )
}

fn seen(row: Row) -> Seen {
    let (variant, location, low_at, reorder_at, reorder_quantity, low, reorder, out, version, updated_at, ..) = row;
    let (.., on_hand, available, expected) = row;
    let standing = Standing { low, reorder, out };
    let watch = Watch { key: (variant, location), low_at, reorder_at, reorder_quantity, standing, version, updated_at };
    Seen { watch, on_hand, available, expected }
}

/// The next watches in the order of their keys.
pub(super) fn after(tx: &mut Tx, after: Option<LevelKey>, limit: i64) -> Result<Vec<Seen>> {
    let from = if after.is_some() { " WHERE (w.variant_id, w.location_id) > (?, ?)" } else { "" };
    let query = sql(format!("{}{from} ORDER BY w.variant_id, w.location_id LIMIT ?", select()));
    let query = match after {
        Some((variant, location)) => query.bind(variant).bind(location),
        None => query,
    };
    Ok(query.bind(limit).load::<Columns, Row>(tx)?.into_iter().map(seen).collect())
}

/// The watches of these levels, in their order.
pub(super) fn of(tx: &mut Tx, levels: &[LevelKey]) -> Result<Vec<Seen>> {
    let list = dialect::list(tx, KEY);
    let query = format!(
        "{} WHERE (w.variant_id, w.location_id) IN (SELECT variant, location FROM {list}) ORDER BY w.variant_id, w.location_id",
        select()
    );
    let rows = sql(query).bind(keys(levels.iter().copied())).load::<Columns, Row>(tx)?;
    Ok(rows.into_iter().map(seen).collect())
}

/// Watches levels, each once; one that was watched already keeps what was told of it last.
pub(super) fn keep(tx: &mut Tx, now: Instant, watches: &[Watch]) -> Result<()> {
    let columns: &[(&str, Col)] = &[("low", Col::Int), ("due", Col::Int), ("pieces", Col::Int)];
    let list = dialect::list(tx, &[KEY, columns].concat());
    // What is there when it begins to be watched does not come back.
    let query = format!(
        "INSERT INTO stock_watches (variant_id, location_id, low_at, reorder_at, reorder_quantity, is_low, is_due, is_out, version, \
           updated_at) SELECT variant, location, low, due, pieces, false, false, \
           coalesce((SELECT {THERE} FROM stock_levels AS s WHERE s.variant_id = list.variant AND s.location_id = list.location), 0) <= 0, \
           1, ? FROM {list} WHERE true \
         ORDER BY variant, location ON CONFLICT (variant_id, location_id) DO UPDATE SET low_at = excluded.low_at, \
           reorder_at = excluded.reorder_at, reorder_quantity = excluded.reorder_quantity, \
           version = stock_watches.version + 1, updated_at = excluded.updated_at"
    );
    let row = |watch: &Watch| {
        let Watch { key: (variant, location), low_at, reorder_at, reorder_quantity, .. } = watch;
        json!([variant.hex(), location.hex(), low_at, reorder_at, reorder_quantity])
    };
    sql(query).bind(now).bind(dialect::rows(watches.iter().map(row).collect())).execute(tx)?;
    Ok(())
}

/// Watches levels no more.
pub(super) fn drop_watches(tx: &mut Tx, levels: &[LevelKey]) -> Result<()> {
    let list = dialect::list(tx, KEY);
    let query =
        format!("DELETE FROM stock_watches WHERE (variant_id, location_id) IN (SELECT variant, location FROM {list})");
    sql(query).bind(keys(levels.iter().copied())).execute(tx)?;
    Ok(())
}

/// Notes how far things stand with levels, of those whose watches have the versions that were seen; which these are.
pub(super) fn note(tx: &mut Tx, now: Instant, seen: &[Seen]) -> Result<Vec<LevelKey>> {
    let columns: &[(&str, Col)] =
        &[("then_low", Col::Bool), ("then_due", Col::Bool), ("then_out", Col::Bool), ("seen", Col::Int)];
    let list = dialect::list(tx, &[KEY, columns].concat());
    let query = format!(
        "UPDATE stock_watches SET is_low = then_low, is_due = then_due, is_out = then_out, version = version + 1, updated_at = ? \
         FROM {list} WHERE variant_id = variant AND location_id = location AND version = seen RETURNING variant_id, location_id"
    );
    let row = |one: &Seen| {
        let ((variant, location), is) = (one.watch.key, one.standing());
        json!([variant.hex(), location.hex(), is.low, is.reorder, is.out, one.watch.version])
    };
    let update = sql(query).bind(now).bind(dialect::rows(seen.iter().map(row).collect()));
    update.load::<(UidSql, UidSql), LevelKey>(tx)
}
