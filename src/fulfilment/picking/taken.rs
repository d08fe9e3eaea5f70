//! Of which lots pieces were taken from their shelves, so that they leave of these and of no other. The only file that touches
//! `picked_lots`.
//!
//! A row counts only as far as its line has pieces that were picked and have not left: what becomes of a pick in another way, such as
//! that its fulfilment order is split, needs nothing from here. It then leaves as the books say.

use std::collections::{BTreeMap, HashMap};

use diesel::sql_types::{BigInt, Text};
use serde_json::json;

use crate::{
    db::{Col, Tx, UidSql, dialect, sql},
    error::{Error, Result},
    fulfilment::{FulfilmentOrder, ShippedLine},
    kernel::{
        Instant,
        ids::{FulfilmentOrderId, LocationId, VariantId},
        take_up_to,
    },
    stock::{Packed, lots},
};

/// Pieces of a line that were taken of a lot.
#[derive(Debug, Clone)]
pub(in crate::fulfilment) struct TakenOf {
    pub work: FulfilmentOrderId,
    pub line_no: i32,
    pub variant: VariantId,
    pub location: LocationId,
    pub lot: String,
    pub pieces: i64,
}

/// Notes that pieces were taken of lots, beside those that were before: one statement.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn note(tx: &mut Tx, taken: &[TakenOf]) -> Result<()> {
    if taken.is_empty() {
        return Ok(());
    }
    let mut sums: BTreeMap<(FulfilmentOrderId, i32, &str), (i64, &TakenOf)> = BTreeMap::new();
    for one in taken {
        sums.entry((one.work, one.line_no, &one.lot)).or_insert((0, one)).0 += one.pieces;
    }
    let columns = [
        ("work", Col::Uid),
        ("line", Col::Int),
        ("named", Col::Text),
        ("variant", Col::Uid),
        ("place", Col::Uid),
        ("more", Col::Int),
    ];
    let list = dialect::list(tx, &columns);
    let upsert = format!(
        "INSERT INTO picked_lots (fulfilment_order_id, line_no, lot, variant_id, location_id, pieces) \
         SELECT work, line, named, variant, place, more FROM {list} WHERE true ORDER BY work, line, named \
         ON CONFLICT (fulfilment_order_id, line_no, lot) DO UPDATE SET pieces = picked_lots.pieces + excluded.pieces"
    );
    let row = |((work, line_no, lot), (pieces, one)): ((FulfilmentOrderId, i32, &str), (i64, &TakenOf))| {
        json!([work.hex(), line_no, lot, one.variant.hex(), one.location.hex(), pieces])
    };
    sql(upsert).bind(dialect::rows(sums.into_iter().map(row).collect())).execute(tx).map(|_| ())
}

/// How many pieces of lots were taken from the shelves of a location and have not left.
///
/// # Errors
/// What the database says.
pub(super) fn here(
    tx: &mut Tx,
    location: LocationId,
    variants: &[VariantId],
) -> Result<HashMap<(VariantId, String), i64>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT variant_id, lot, CAST(sum(CASE WHEN pieces < here THEN pieces ELSE here END) AS BIGINT) FROM ( \
           SELECT p.variant_id, p.lot, p.pieces, CASE WHEN f.picked < f.quantity - f.cancelled THEN f.picked \
             ELSE f.quantity - f.cancelled END - f.shipped AS here FROM picked_lots AS p JOIN fulfilment_lines AS f \
             ON f.fulfilment_order_id = p.fulfilment_order_id AND f.line_no = p.line_no \
           WHERE p.location_id = ? AND p.variant_id IN (SELECT wanted FROM {list})) AS taken GROUP BY variant_id, lot"
    );
    let wanted = dialect::rows(variants.iter().map(|id| json!([id.hex()])).collect());
    type Row = (VariantId, String, i64);
    let rows = sql(query).bind(location).bind(wanted).load::<(UidSql, Text, BigInt), Row>(tx)?;
    Ok(rows.into_iter().map(|(variant, lot, pieces)| ((variant, lot), pieces)).collect())
}

fn of_work(tx: &mut Tx, work: &FulfilmentOrder) -> Result<Vec<TakenOf>> {
    let query = sql("SELECT line_no, lot, variant_id, pieces FROM picked_lots WHERE fulfilment_order_id = ? \
         ORDER BY line_no, lot")
    .bind(work.id);
    type Row = (i64, String, VariantId, i64);
    let rows = query.load::<(BigInt, Text, UidSql, BigInt), Row>(tx)?;
    let one = |(line_no, lot, variant, pieces): Row| {
        let line_no = i32::try_from(line_no).map_err(Error::internal)?;
        Ok(TakenOf { work: work.id, line_no, variant, location: work.location_id, lot, pieces })
    };
    rows.into_iter().map(one).collect()
}

/// Writes how many pieces of lots are left of a locked order's work; what is used up is forgotten.
fn keep(tx: &mut Tx, work: &FulfilmentOrder, left: &[TakenOf]) -> Result<()> {
    let list = dialect::list(tx, &[("line", Col::Int), ("named", Col::Text), ("rest", Col::Int)]);
    let update = format!(
        "UPDATE picked_lots SET pieces = list.rest FROM {list} \
         WHERE fulfilment_order_id = ? AND line_no = list.line AND lot = list.named"
    );
    let rows = left.iter().map(|one| json!([one.line_no, one.lot, one.pieces])).collect();
    sql(update).bind(dialect::rows(rows)).bind(work.id).execute(tx)?;
    sql("DELETE FROM picked_lots WHERE fulfilment_order_id = ? AND pieces = 0").bind(work.id).execute(tx).map(|_| ())
}

/// Of which lots pieces leave that were picked of such, of a locked order: beside those of which that is said or packed already; each
/// with its line. One statement where none was.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn leave(
    tx: &mut Tx,
    work: &FulfilmentOrder,
    lines: &[ShippedLine],
    packed: &[Packed],
) -> Result<Vec<(i32, Packed)>> {
    let mut rows = of_work(tx, work)?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let leaving = |line: &ShippedLine| {
        let line = work.lines.iter().find(|known| known.line_no == line.line_no)?;
        Some(line.variant_id)
    };
    let mut rest: HashMap<VariantId, i64> = HashMap::new();
    for line in lines {
        if let Some(variant) = leaving(line) {
            *rest.entry(variant).or_default() += line.quantity;
        }
    }
    for one in packed {
        rest.entry(one.key.0).and_modify(|rest| *rest = (*rest - one.quantity).max(0));
        let mut said = one.quantity;
        // What is in a package was picked before.
        let own = rows.iter_mut().filter(|row| row.variant == one.key.0 && one.numbers.contains(&row.lot));
        own.for_each(|row| {
            take_up_to(&mut row.pieces, &mut said);
        });
    }
    let mut picked = Vec::new();
    for line in lines {
        let Some(rest) = leaving(line).and_then(|variant| rest.get_mut(&variant)) else { continue };
        let mut wanted = line.quantity.min(*rest);
        for row in rows.iter_mut().filter(|row| row.line_no == line.line_no) {
            let quantity = take_up_to(&mut row.pieces, &mut wanted);
            *rest -= quantity;
            if quantity > 0 {
                let key = (row.variant, work.location_id);
                let numbers = vec![row.lot.clone()];
                picked.push((line.line_no, Packed { key, numbers, quantity, said_at: None, left: false }));
            }
        }
    }
    keep(tx, work, &rows)?;
    Ok(picked)
}

/// Notes that pieces of a locked order's work lie on their shelves again, line by line: those first of lots that may not be sold.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn put_back(
    tx: &mut Tx,
    now: Instant,
    work: &FulfilmentOrder,
    pieces: impl Iterator<Item = (i32, i64)>,
) -> Result<()> {
    let mut rows = of_work(tx, work)?;
    if rows.is_empty() {
        return Ok(());
    }
    let known = lots::known(tx, &rows.iter().map(|row| (row.variant, row.lot.as_str())).collect())?;
    let bad = |row: &TakenOf| {
        let lot = known.iter().find(|lot| lot.variant_id == row.variant && lot.number == row.lot);
        lot.is_some_and(|lot| lot.refused(now, None).is_some())
    };
    rows.sort_by_key(|row| !bad(row));
    for (line_no, mut back) in pieces {
        rows.iter_mut().filter(|row| row.line_no == line_no).for_each(|row| {
            take_up_to(&mut row.pieces, &mut back);
        });
    }
    keep(tx, work, &rows)
}

/// Forgets of which lots pieces were picked whose fulfilment order has ended, up to `limit` rows; how many.
///
/// # Errors
/// What the database says.
pub(super) fn purge(tx: &mut Tx, before: Instant, limit: i64) -> Result<usize> {
    let delete = "DELETE FROM picked_lots WHERE fulfilment_order_id IN (SELECT p.fulfilment_order_id FROM picked_lots AS p \
           JOIN fulfilment_orders AS o ON o.id = p.fulfilment_order_id \
           WHERE o.state IN ('shipped', 'delivered', 'cancelled') AND o.updated_at < ? LIMIT ?)";
    sql(delete).bind(before).bind(limit).execute(tx)
}
