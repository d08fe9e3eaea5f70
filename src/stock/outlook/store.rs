//! The only file that touches `stock_backorders` and `stock_expected`; and levels summed up for those who buy.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::{
    model::{BackorderKind, Shelf},
    service::{Backorder, Expected},
};
use crate::{
    db::{Bind, Col, InstantSql, Tx, UidSql, dialect, insert_many, sql},
    error::Result,
    kernel::{
        Instant,
        ids::{LocationId, VariantId},
    },
    stock::{
        Level, LevelKey,
        model::Selling,
        store::{KEY, LEVEL, LevelColumns, LevelRow, THERE, WHO, ids, kept_back_from_who, keys, level, who},
    },
};

/// What of variants can be had at each active location; those without a level are absent. What a location owes is less than none.
pub(super) fn on_the_shelf(tx: &mut Tx, variants: &[VariantId], selling: Selling) -> Result<Vec<(LevelKey, Shelf)>> {
    type Columns = (UidSql, UidSql, BigInt, BigInt, Nullable<Text>, Nullable<InstantSql>);
    type Row = (VariantId, LocationId, i64, i64, Option<BackorderKind>, Option<Instant>);
    let (list, one) = (dialect::list(tx, &[("wanted", Col::Uid)]), dialect::list(tx, WHO));
    let kept = kept_back_from_who("s");
    let query = format!(
        "WITH who AS (SELECT * FROM {one}), wanted AS (SELECT wanted FROM {list}), \
         found AS (SELECT s.variant_id, s.location_id, s.beyond, {THERE} - {kept} AS there FROM who CROSS JOIN wanted \
           JOIN stock_levels AS s ON s.variant_id = wanted JOIN locations AS l ON l.id = s.location_id WHERE l.active) \
         SELECT f.variant_id, f.location_id, f.there, f.there + f.beyond, CASE WHEN f.beyond > 0 THEN b.kind END, \
           CASE WHEN f.beyond > 0 THEN b.available_from END \
         FROM found AS f \
         LEFT JOIN stock_backorders AS b ON b.variant_id = f.variant_id AND b.location_id = f.location_id"
    );
    let rows = sql(query).bind(who(selling)).bind(ids(variants.iter().copied())).load::<Columns, Row>(tx)?;
    let shelf = |(variant, location, there, sellable, kind, available_from): Row| {
        ((variant, location), Shelf { there, sellable, kind, available_from })
    };
    Ok(rows.into_iter().map(shelf).collect())
}

type ExpectedColumns = (UidSql, UidSql, InstantSql, BigInt);
type ExpectedRow = (VariantId, LocationId, Instant, i64);

fn expected_of((variant, location, expected_at, quantity): ExpectedRow) -> Expected {
    Expected { key: (variant, location), expected_at, quantity }
}

/// Replaces what is to come by a document; what was said of it before.
pub(super) fn expect(tx: &mut Tx, reference: &str, expected: &[Expected]) -> Result<Vec<Expected>> {
    const COLUMNS: &[(&str, Col)] = &[
        ("reference", Col::Text),
        ("variant_id", Col::Uid),
        ("location_id", Col::Uid),
        ("expected_at", Col::At),
        ("quantity", Col::Int),
    ];
    let before = sql("DELETE FROM stock_expected WHERE reference = ? \
                      RETURNING variant_id, location_id, expected_at, quantity");
    let before = before.bind(reference).load::<ExpectedColumns, ExpectedRow>(tx)?;
    let row = |one: &Expected| -> Vec<Bind> {
        let (variant, location) = one.key;
        vec![reference.into(), variant.into(), location.into(), one.expected_at.into(), one.quantity.into()]
    };
    insert_many(tx, "stock_expected", COLUMNS, expected.iter().map(row).collect())?;
    Ok(before.into_iter().map(expected_of).collect())
}

/// Where the goods of a document are to come to.
pub(super) fn places_of(tx: &mut Tx, reference: &str) -> Result<Vec<LocationId>> {
    sql("SELECT DISTINCT location_id FROM stock_expected WHERE reference = ?")
        .bind(reference)
        .load::<UidSql, LocationId>(tx)
}

/// What is to come for levels, by document.
pub(super) fn expected(tx: &mut Tx, levels: &[LevelKey]) -> Result<Vec<Expected>> {
    let list = dialect::list(tx, KEY);
    let query = format!(
        "SELECT variant_id, location_id, expected_at, quantity FROM {list} JOIN stock_expected \
         ON variant_id = variant AND location_id = location ORDER BY variant_id, location_id, expected_at, reference"
    );
    let rows = sql(query).bind(keys(levels.iter().copied()));
    Ok(rows.load::<ExpectedColumns, ExpectedRow>(tx)?.into_iter().map(expected_of).collect())
}

/// Where something of variants is to come.
pub(super) fn awaited(tx: &mut Tx, variants: &[VariantId]) -> Result<Vec<LevelKey>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query =
        format!("SELECT DISTINCT variant_id, location_id FROM {list} JOIN stock_expected ON variant_id = wanted");
    sql(query).bind(ids(variants.iter().copied())).load::<(UidSql, UidSql), LevelKey>(tx)
}

/// Whether something of what is waited for at levels is available elsewhere, at a level that has changed since an instant.
pub(super) fn changed_elsewhere(tx: &mut Tx, levels: &[LevelKey], since: Instant) -> Result<bool> {
    let list = dialect::list(tx, KEY);
    let query = format!(
        "SELECT s.variant_id FROM {list} JOIN stock_levels AS s ON s.variant_id = variant AND s.location_id <> location \
         WHERE s.updated_at >= ? AND {THERE} > 0 LIMIT 1"
    );
    let found = sql(query).bind(keys(levels.iter().copied())).bind(since);
    Ok(found.first::<UidSql, VariantId>(tx)?.is_some())
}

/// Whether pieces of a variant are available anywhere.
pub(super) fn lies_free(tx: &mut Tx, variant: VariantId) -> Result<bool> {
    let query = format!("SELECT variant_id FROM stock_levels WHERE variant_id = ? AND {THERE} > 0 LIMIT 1");
    Ok(sql(query).bind(variant).first::<UidSql, VariantId>(tx)?.is_some())
}

/// Those of these variants of which some level may owe more than it has: to orders and carts, without what is left to others and what
/// ends at some time.
pub(super) fn owing(tx: &mut Tx, variants: &[VariantId]) -> Result<Vec<VariantId>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT DISTINCT s.variant_id FROM {list} JOIN stock_levels AS s ON s.variant_id = wanted \
         WHERE s.allocated + s.reserved > 0 AND s.allocated + s.reserved \
           + coalesce((SELECT max(k.pieces) FROM stock_channel_safety AS k WHERE k.variant_id = s.variant_id), 0) \
           + coalesce((SELECT CAST(sum(h.quantity) AS BIGINT) FROM stock_lot_levels AS h JOIN stock_lots AS o ON o.id = h.lot_id \
             WHERE h.variant_id = s.variant_id AND h.location_id = s.location_id AND o.state = 'available' \
             AND o.expires_at IS NOT NULL), 0) > s.on_hand - s.withheld ORDER BY s.variant_id"
    );
    sql(query).bind(ids(variants.iter().copied())).load::<UidSql, VariantId>(tx)
}

/// Keeps until when and why levels are sold beyond what is there, each once.
pub(super) fn keep_backorders(tx: &mut Tx, now: Instant, rows: &[Backorder]) -> Result<()> {
    const COLUMNS: &[(&str, Col)] = &[
        ("variant", Col::Uid),
        ("location", Col::Uid),
        ("why", Col::Text),
        ("most", Col::Int),
        ("comes", Col::At),
        ("ends", Col::At),
    ];
    let list = dialect::list(tx, COLUMNS);
    let query = format!(
        "INSERT INTO stock_backorders \
           (variant_id, location_id, kind, pieces, highest, available_from, closes_at, updated_at) \
         SELECT variant, location, why, most, most, comes, ends, ? FROM {list} WHERE true ORDER BY variant, location \
         ON CONFLICT (variant_id, location_id) DO UPDATE SET kind = excluded.kind, pieces = excluded.pieces, \
           highest = CASE WHEN excluded.pieces > stock_backorders.highest THEN excluded.pieces \
             ELSE stock_backorders.highest END, \
           available_from = excluded.available_from, closes_at = excluded.closes_at, updated_at = excluded.updated_at"
    );
    let row = |one: &Backorder| {
        let (variant, location) = one.key;
        let at = |at: Option<Instant>| at.map(Instant::sortable);
        json!([variant.hex(), location.hex(), one.kind, one.pieces, at(one.available_from), at(one.closes_at)])
    };
    sql(query).bind(now).bind(dialect::rows(rows.iter().map(row).collect())).execute(tx)?;
    Ok(())
}

/// Sets how many may be sold beyond what is there, of levels that exist, each once.
pub(super) fn set_beyond(tx: &mut Tx, now: Instant, wanted: &[(LevelKey, i64)]) -> Result<Vec<Level>> {
    let columns = [KEY, &[("pieces", Col::Int)]].concat();
    let (list, lock) = (dialect::list(tx, &columns), dialect::for_update(tx));
    let query = format!(
        "WITH wanted AS (SELECT * FROM {list}), \
         held AS MATERIALIZED (SELECT wanted.* FROM wanted JOIN stock_levels \
           ON variant_id = variant AND location_id = location ORDER BY variant_id, location_id{lock}) \
         UPDATE stock_levels SET beyond = pieces, version = version + 1, updated_at = ? \
         FROM held WHERE variant_id = held.variant AND location_id = held.location AND beyond <> pieces RETURNING {LEVEL}"
    );
    let rows = wanted.iter().map(|((variant, location), pieces)| json!([variant.hex(), location.hex(), pieces]));
    let rows = sql(query).bind(dialect::rows(rows.collect())).bind(now).load::<LevelColumns, LevelRow>(tx)?;
    let mut levels: Vec<Level> = rows.into_iter().map(level).collect();
    levels.sort_by_key(Level::key);
    Ok(levels)
}

/// Ends what was to end by now, up to `limit` levels; which they are.
pub(super) fn end_backorders(tx: &mut Tx, now: Instant, limit: i64) -> Result<Vec<LevelKey>> {
    let query = "UPDATE stock_backorders SET pieces = 0, updated_at = ? WHERE pieces > 0 AND closes_at <= ? \
                 AND (variant_id, location_id) IN (SELECT variant_id, location_id FROM stock_backorders \
                   WHERE pieces > 0 AND closes_at <= ? ORDER BY closes_at LIMIT ?) RETURNING variant_id, location_id";
    sql(query).bind(now).bind(now).bind(now).bind(limit).load::<(UidSql, UidSql), LevelKey>(tx)
}

/// Until when and why levels are sold beyond what is there.
pub(super) fn backorders(tx: &mut Tx, levels: &[LevelKey]) -> Result<Vec<Backorder>> {
    type Columns = (UidSql, UidSql, Text, BigInt, Nullable<InstantSql>, Nullable<InstantSql>);
    type Row = (VariantId, LocationId, BackorderKind, i64, Option<Instant>, Option<Instant>);
    let list = dialect::list(tx, KEY);
    let query = format!(
        "SELECT variant_id, location_id, kind, pieces, available_from, closes_at FROM {list} JOIN stock_backorders \
         ON variant_id = variant AND location_id = location"
    );
    let rows = sql(query).bind(keys(levels.iter().copied())).load::<Columns, Row>(tx)?;
    let row = |(variant, location, kind, pieces, available_from, closes_at): Row| Backorder {
        key: (variant, location),
        kind,
        pieces,
        available_from,
        closes_at,
    };
    Ok(rows.into_iter().map(row).collect())
}
