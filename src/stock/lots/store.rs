//! The only file that touches `stock_lots`, `stock_lot_levels` and `stock_lot_movements`; and `withheld` of the levels.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::model::{Held, Lot, LotState};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Tx, UidSql, dialect, insert_many, sql},
    error::{Error, Result},
    kernel::{
        Instant,
        ids::{LocationId, LotId, VariantId},
    },
    stock::{
        Level, LevelKey,
        model::Occasion,
        store::{KEY, LEVEL, LevelColumns, LevelRow, ids, keys, level},
    },
};

/// What is kept in the column `doc`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct LotDoc {
    reason: Option<String>,
}

type LotColumns = (UidSql, UidSql, Text, Nullable<InstantSql>, Text, DocSql, BigInt, InstantSql);
type LotRow = (LotId, VariantId, String, Option<Instant>, LotState, Doc<LotDoc>, i64, Instant);
const LOT: &str = "l.id, l.variant_id, l.number, l.expires_at, l.state, l.doc, l.version, l.created_at";

fn lot((id, variant_id, number, expires_at, state, Doc(doc), version, created_at): LotRow) -> Lot {
    Lot { id, variant_id, number, expires_at, state, reason: doc.reason, version, created_at }
}

/// A lot about to be made where there is none of its number.
pub(super) struct NewLot {
    pub id: LotId,
    pub variant: VariantId,
    pub number: String,
    pub expires_at: Option<Instant>,
    pub state: LotState,
}

/// Makes lots that are not there yet.
pub(super) fn make(tx: &mut Tx, now: Instant, lots: &[NewLot]) -> Result<()> {
    const COLUMNS: &[(&str, Col)] = &[
        ("id", Col::Uid),
        ("variant_id", Col::Uid),
        ("number", Col::Text),
        ("expires_at", Col::At),
        ("state", Col::Text),
        ("doc", Col::Doc),
    ];
    let (list, names) = (dialect::list(tx, COLUMNS), dialect::names(COLUMNS));
    let query = format!(
        "INSERT INTO stock_lots ({names}, version, created_at, updated_at) SELECT {names}, 1, ?, ? FROM {list} WHERE true \
         ORDER BY variant_id, number ON CONFLICT (variant_id, number) DO NOTHING"
    );
    let row = |lot: &NewLot| {
        let expires_at = lot.expires_at.map(Instant::sortable);
        json!([lot.id.hex(), lot.variant.hex(), lot.number, expires_at, lot.state, {}])
    };
    sql(query).bind(now).bind(now).bind(dialect::rows(lots.iter().map(row).collect())).execute(tx)?;
    Ok(())
}

/// The lots of these variants and numbers, locked until the end of the transaction, in that order.
pub(super) fn lock_numbers(tx: &mut Tx, wanted: &[(VariantId, String)]) -> Result<Vec<Lot>> {
    let (list, lock) = (dialect::list(tx, &[("variant", Col::Uid), ("named", Col::Text)]), dialect::for_update(tx));
    let query = format!(
        "WITH wanted AS (SELECT variant, named FROM {list}) SELECT {LOT} FROM stock_lots AS l \
         JOIN wanted ON l.variant_id = variant AND l.number = named ORDER BY l.variant_id, l.number{}",
        if lock.is_empty() { "".to_owned() } else { format!("{lock} OF l") }
    );
    let rows = wanted.iter().map(|(variant, number)| json!([variant.hex(), number]));
    let rows = sql(query).bind(dialect::rows(rows.collect())).load::<LotColumns, LotRow>(tx)?;
    Ok(rows.into_iter().map(lot).collect())
}

/// Lots of which something moved with a document, locked until the end of the transaction, in the same order.
pub(super) fn lock_moved(tx: &mut Tx, reference: &str) -> Result<Vec<Lot>> {
    let lock = dialect::for_update(tx);
    let query = format!(
        "SELECT {LOT} FROM stock_lots AS l WHERE l.id IN (SELECT lot_id FROM stock_lot_movements WHERE reference = ?) \
         ORDER BY l.variant_id, l.number{lock}"
    );
    Ok(sql(query).bind(reference).load::<LotColumns, LotRow>(tx)?.into_iter().map(lot).collect())
}

/// How much of lots came to places, or (negative) left them, by a document; what was only named is not among it.
pub(super) fn moved(tx: &mut Tx, reference: &str) -> Result<Vec<(LotId, LocationId, i64)>> {
    let query = "SELECT lot_id, location_id, CAST(sum(quantity) AS BIGINT) FROM stock_lot_movements WHERE reference = ? \
                 AND kind IN ('shipment', 'return', 'correction', 'transfer_out', 'transfer_in') GROUP BY lot_id, location_id";
    sql(query).bind(reference).load::<(UidSql, UidSql, BigInt), (LotId, LocationId, i64)>(tx)
}

/// How much of lots came to places by a document and is there still by it, what came last first; what was named with it is among it.
pub(super) fn came(tx: &mut Tx, reference: &str) -> Result<Vec<(LotId, LocationId, i64)>> {
    let query = "SELECT lot_id, location_id, CAST(sum(quantity) AS BIGINT) FROM stock_lot_movements WHERE reference = ? \
                 GROUP BY lot_id, location_id ORDER BY max(seq) DESC";
    sql(query).bind(reference).load::<(UidSql, UidSql, BigInt), (LotId, LocationId, i64)>(tx)
}

/// Which lots numbers are.
pub(super) fn by_numbers(tx: &mut Tx, wanted: &[(VariantId, &str)]) -> Result<Vec<Lot>> {
    let list = dialect::list(tx, &[("variant", Col::Uid), ("named", Col::Text)]);
    let query = format!("SELECT {LOT} FROM {list} JOIN stock_lots AS l ON l.variant_id = variant AND l.number = named");
    let rows = wanted.iter().map(|(variant, number)| json!([variant.hex(), number]));
    let rows = sql(query).bind(dialect::rows(rows.collect())).load::<LotColumns, LotRow>(tx)?;
    Ok(rows.into_iter().map(lot).collect())
}

/// A lot.
pub(super) fn read(tx: &mut Tx, id: LotId) -> Result<Option<Lot>> {
    let query = format!("SELECT {LOT} FROM stock_lots AS l WHERE l.id = ?");
    Ok(sql(query).bind(id).first::<LotColumns, LotRow>(tx)?.map(lot))
}

/// Replaces the state of a lot that has the version before. False when it has not.
pub(super) fn put(tx: &mut Tx, now: Instant, changed: &Lot) -> Result<bool> {
    let update =
        sql("UPDATE stock_lots SET state = ?, doc = ?, version = ?, updated_at = ? WHERE id = ? AND version = ?")
            .bind(changed.state.as_str())
            .bind(Doc(json!(LotDoc { reason: changed.reason.clone() })))
            .bind(changed.version)
            .bind(now)
            .bind(changed.id)
            .bind(changed.version - 1);
    Ok(update.execute(tx)? == 1)
}

/// Puts lots into `expired` that have kept as long as they keep, up to `limit` of them; which they are.
pub(super) fn expire(tx: &mut Tx, now: Instant, limit: i64) -> Result<Vec<LotId>> {
    let lock = dialect::for_update(tx);
    let query = format!(
        "UPDATE stock_lots SET state = 'expired', version = version + 1, updated_at = ? WHERE state = 'available' AND id IN ( \
           SELECT id FROM stock_lots WHERE state = 'available' AND expires_at <= ? ORDER BY id LIMIT ?{lock}) RETURNING id"
    );
    sql(query).bind(now).bind(now).bind(limit).load::<UidSql, LotId>(tx)
}

/// Where lots have lain.
pub(super) fn levels_of(tx: &mut Tx, lots: &[LotId]) -> Result<Vec<LevelKey>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT DISTINCT variant_id, location_id FROM {list} JOIN stock_lot_levels ON lot_id = wanted \
         ORDER BY variant_id, location_id"
    );
    sql(query).bind(ids(lots.iter().copied())).load::<(UidSql, UidSql), LevelKey>(tx)
}

/// Where each of lots has lain.
pub(super) fn places_of(tx: &mut Tx, lots: &[LotId]) -> Result<Vec<(LotId, LocationId)>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT lot_id, location_id FROM {list} JOIN stock_lot_levels ON lot_id = wanted");
    sql(query).bind(ids(lots.iter().copied())).load::<(UidSql, UidSql), (LotId, LocationId)>(tx)
}

/// What lies of lots at levels. Whoever changes it holds the levels' locks.
pub(super) fn held(tx: &mut Tx, levels: &[LevelKey]) -> Result<Vec<(LevelKey, Held)>> {
    type Columns = (UidSql, UidSql, UidSql, Text, Nullable<InstantSql>, BigInt);
    type Row = (VariantId, LocationId, LotId, LotState, Option<Instant>, i64);
    let list = dialect::list(tx, KEY);
    let query = format!(
        "SELECT h.variant_id, h.location_id, h.lot_id, l.state, l.expires_at, h.quantity FROM {list} \
         JOIN stock_lot_levels AS h ON h.variant_id = variant AND h.location_id = location \
         JOIN stock_lots AS l ON l.id = h.lot_id WHERE h.quantity > 0"
    );
    let rows = sql(query).bind(keys(levels.iter().copied())).load::<Columns, Row>(tx)?;
    let row = |(variant, location, lot, state, expires_at, quantity): Row| {
        ((variant, location), Held { lot, state, expires_at, quantity })
    };
    Ok(rows.into_iter().map(row).collect())
}

/// What lies anywhere of lots of variants that may be sold and end at some time: where, when and how many.
pub(in crate::stock) fn ending(tx: &mut Tx, variants: &[VariantId]) -> Result<Vec<(LevelKey, Instant, i64)>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT h.variant_id, h.location_id, l.expires_at, h.quantity FROM {list} \
         JOIN stock_lot_levels AS h ON h.variant_id = wanted JOIN stock_lots AS l ON l.id = h.lot_id \
         WHERE h.quantity > 0 AND l.state = 'available' AND l.expires_at IS NOT NULL"
    );
    type Row = (VariantId, LocationId, Instant, i64);
    let rows = sql(query).bind(ids(variants.iter().copied()));
    let rows = rows.load::<(UidSql, UidSql, InstantSql, BigInt), Row>(tx)?;
    Ok(rows.into_iter().map(|(variant, location, ends, pieces)| ((variant, location), ends, pieces)).collect())
}

/// What comes to a lot at a place, or (negative) leaves it.
#[derive(Debug, Clone, Copy)]
pub(super) struct LotChange {
    pub lot: LotId,
    pub key: LevelKey,
    pub quantity: i64,
}

/// Moves lots, each at each place once, and writes it down. It holds the levels' locks, so that nobody else does.
pub(super) fn shift(
    tx: &mut Tx,
    now: Instant,
    (kind, occasion): (&str, Occasion<'_>),
    changes: &[LotChange],
) -> Result<()> {
    const COLUMNS: &[(&str, Col)] =
        &[("lot", Col::Uid), ("location", Col::Uid), ("variant", Col::Uid), ("more", Col::Int)];
    const MOVEMENT: &[(&str, Col)] = &[
        ("lot_id", Col::Uid),
        ("location_id", Col::Uid),
        ("kind", Col::Text),
        ("quantity", Col::Int),
        ("reference", Col::Text),
        ("actor", Col::Text),
        ("occurred_at", Col::At),
        ("recorded_at", Col::At),
    ];
    let list = dialect::list(tx, COLUMNS);
    let rows = |changes: &[LotChange]| {
        let row = |one: &LotChange| json!([one.lot.hex(), one.key.1.hex(), one.key.0.hex(), one.quantity]);
        dialect::rows(changes.iter().map(row).collect())
    };
    let make = format!(
        "INSERT INTO stock_lot_levels (lot_id, location_id, variant_id, quantity) SELECT lot, location, variant, 0 FROM {list} \
         WHERE true ORDER BY lot, location ON CONFLICT (lot_id, location_id) DO NOTHING"
    );
    sql(make).bind(rows(changes)).execute(tx)?;
    let update = format!(
        "UPDATE stock_lot_levels SET quantity = quantity + more FROM {list} WHERE lot_id = lot AND location_id = location \
         AND quantity + more >= 0"
    );
    if sql(update).bind(rows(changes)).execute(tx)? != changes.len() {
        return Err(Error::internal("less lies there of a lot than was seen under its level's lock"));
    }
    let actor = occasion.actor.label();
    let movement = |one: &LotChange| -> Vec<Bind> {
        vec![
            one.lot.into(),
            one.key.1.into(),
            kind.into(),
            one.quantity.into(),
            occasion.reference.into(),
            actor.as_str().into(),
            occasion.occurred_at.into(),
            now.into(),
        ]
    };
    insert_many(tx, "stock_lot_movements", MOVEMENT, changes.iter().map(movement).collect()).map(|_| ())
}

/// Counts anew what of levels may not be sold. Their locks are held. Those that had another number, as they are now.
pub(super) fn recount(tx: &mut Tx, now: Instant, levels: &[LevelKey]) -> Result<Vec<Level>> {
    let list = dialect::list(tx, KEY);
    let query = format!(
        "WITH sums AS (SELECT variant, location, CAST(coalesce((SELECT sum(h.quantity) FROM stock_lot_levels AS h \
             JOIN stock_lots AS l ON l.id = h.lot_id WHERE h.variant_id = list.variant AND h.location_id = list.location \
             AND l.state <> 'available'), 0) AS BIGINT) AS then_withheld FROM {list}) \
         UPDATE stock_levels SET withheld = then_withheld, version = version + 1, updated_at = ? FROM sums \
         WHERE variant_id = sums.variant AND location_id = sums.location AND withheld <> then_withheld RETURNING {LEVEL}"
    );
    let rows = sql(query).bind(keys(levels.iter().copied())).bind(now).load::<LevelColumns, LevelRow>(tx)?;
    let mut changed: Vec<Level> = rows.into_iter().map(level).collect();
    changed.sort_by_key(Level::key);
    Ok(changed)
}

/// What lies of lots at levels, with where and how many, in the order in which it leaves.
pub(super) fn lying(tx: &mut Tx, levels: &[LevelKey]) -> Result<Vec<(Lot, LocationId, i64)>> {
    type Columns = (UidSql, UidSql, Text, Nullable<InstantSql>, Text, DocSql, BigInt, InstantSql, UidSql, BigInt);
    type Row = (LotId, VariantId, String, Option<Instant>, LotState, Doc<LotDoc>, i64, Instant, LocationId, i64);
    let list = dialect::list(tx, KEY);
    let query = format!(
        "SELECT {LOT}, h.location_id, h.quantity FROM {list} \
         JOIN stock_lot_levels AS h ON h.variant_id = variant AND h.location_id = location \
         JOIN stock_lots AS l ON l.id = h.lot_id WHERE h.quantity > 0 ORDER BY {LEAVES}, h.location_id"
    );
    let row = |(id, variant, number, expires, state, doc, version, created, location, quantity): Row| {
        (lot((id, variant, number, expires, state, doc, version, created)), location, quantity)
    };
    Ok(sql(query).bind(keys(levels.iter().copied())).load::<Columns, Row>(tx)?.into_iter().map(row).collect())
}

/// The order in which lots leave: what may be sold first, of that what ends first, of equals the older lot.
const LEAVES: &str = "CASE WHEN l.state = 'available' THEN 0 ELSE 1 END, CASE WHEN l.expires_at IS NULL THEN 1 ELSE 0 END, \
     l.expires_at, l.id";

/// The lots of a variant that lie somewhere, with where and how many, in the order in which they leave; at most a thousand rows.
pub(super) fn list(
    tx: &mut Tx,
    variant: VariantId,
    locations: Option<&[LocationId]>,
) -> Result<Vec<(Lot, LocationId, i64)>> {
    type Columns = (UidSql, UidSql, Text, Nullable<InstantSql>, Text, DocSql, BigInt, InstantSql, UidSql, BigInt);
    type Row = (LotId, VariantId, String, Option<Instant>, LotState, Doc<LotDoc>, i64, Instant, LocationId, i64);
    let narrowed = match locations {
        Some(_) => format!("AND h.location_id IN (SELECT wanted FROM {})", dialect::list(tx, &[("wanted", Col::Uid)])),
        None => String::new(),
    };
    let query = format!(
        "SELECT {LOT}, h.location_id, h.quantity FROM stock_lots AS l JOIN stock_lot_levels AS h ON h.lot_id = l.id \
         WHERE l.variant_id = ? AND h.quantity > 0 {narrowed} \
         ORDER BY {LEAVES}, h.location_id LIMIT 1000"
    );
    let query = sql(query).bind(variant);
    let query = match locations {
        Some(some) => query.bind(ids(some.iter().copied())),
        None => query,
    };
    let row = |(id, variant, number, expires, state, doc, version, created, location, quantity): Row| {
        (lot((id, variant, number, expires, state, doc, version, created)), location, quantity)
    };
    Ok(query.load::<Columns, Row>(tx)?.into_iter().map(row).collect())
}

/// What of a lot left with orders or came back.
pub(super) struct Received {
    pub seq: i64,
    pub location: LocationId,
    pub quantity: i64,
    pub reference: Option<String>,
    pub occurred_at: Instant,
}

/// What of a lot has left with orders, the newest first, before one of them.
pub(super) fn received(tx: &mut Tx, lot: LotId, before: Option<i64>, limit: i64) -> Result<Vec<Received>> {
    type Columns = (BigInt, UidSql, BigInt, Nullable<Text>, InstantSql);
    type Row = (i64, LocationId, i64, Option<String>, Instant);
    let query = "SELECT seq, location_id, quantity, reference, occurred_at FROM stock_lot_movements \
                 WHERE lot_id = ? AND kind = 'shipment' AND seq < ? ORDER BY seq DESC LIMIT ?";
    let rows = sql(query).bind(lot).bind(before.unwrap_or(i64::MAX)).bind(limit).load::<Columns, Row>(tx)?;
    let row = |(seq, location, quantity, reference, occurred_at): Row| Received {
        seq,
        location,
        quantity: -quantity,
        reference,
        occurred_at,
    };
    Ok(rows.into_iter().map(row).collect())
}

/// What came to a lot or left it.
pub(super) struct Moved {
    pub seq: i64,
    pub location: LocationId,
    pub kind: String,
    pub quantity: i64,
    pub reference: Option<String>,
    pub actor: String,
    pub occurred_at: Instant,
    pub recorded_at: Instant,
}

/// What came to a lot and left it, the newest first, before one of them; at these locations, where some are named.
pub(super) fn movements(
    tx: &mut Tx,
    (lot, locations): (LotId, Option<&[LocationId]>),
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Moved>> {
    type Columns = (BigInt, UidSql, Text, BigInt, Nullable<Text>, Text, InstantSql, InstantSql);
    type Row = (i64, LocationId, String, i64, Option<String>, String, Instant, Instant);
    let narrowed = match locations {
        Some(_) => format!("AND location_id IN (SELECT wanted FROM {})", dialect::list(tx, &[("wanted", Col::Uid)])),
        None => String::new(),
    };
    let query = format!(
        "SELECT seq, location_id, kind, quantity, reference, actor, occurred_at, recorded_at FROM stock_lot_movements \
         WHERE lot_id = ? AND seq < ? {narrowed} ORDER BY seq DESC LIMIT ?"
    );
    let query = sql(query).bind(lot).bind(before.unwrap_or(i64::MAX));
    let query = match locations {
        Some(some) => query.bind(ids(some.iter().copied())),
        None => query,
    };
    let row = |(seq, location, kind, quantity, reference, actor, occurred_at, recorded_at): Row| Moved {
        seq,
        location,
        kind,
        quantity,
        reference,
        actor,
        occurred_at,
        recorded_at,
    };
    Ok(query.bind(limit).load::<Columns, Row>(tx)?.into_iter().map(row).collect())
}
