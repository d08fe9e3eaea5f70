//! Goods that came by a document and have not come after all: they are taken out of the lots in which they came.

use std::collections::{BTreeMap, HashMap};

use super::{
    model::Lot,
    service::announce,
    store::{self, LotChange},
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    kernel::{
        Actor, Instant,
        ids::{EventId, LotId},
    },
    stock::{LevelKey, MovementKind, model::Occasion, store as levels},
};

/// Pieces that came by a document and are taken back.
#[derive(Debug, Clone)]
pub struct Back {
    /// Of which variant, from where.
    pub key: LevelKey,
    /// The number of the lot that they are said to be of: they are of no other.
    pub said: Option<String>,
    /// The number of the lot that they are taken from first.
    pub first: Option<String>,
    /// How many.
    pub quantity: i64,
    /// Where that stands in the request, as a JSON pointer.
    pub pointer: String,
}

/// What came by the document: of each lot, the last one first; and in no lot.
struct Came {
    lots: Vec<(LotId, i64)>,
    loose: i64,
}

/// Locks the lots of which anything was moved by a document: for whoever takes goods back that came by it and locks levels before that.
///
/// # Errors
/// What the database says.
pub fn lock_moved(tx: &mut Tx, reference: &str) -> Result<()> {
    store::lock_moved(tx, reference).map(|_| ())
}

/// Takes pieces that came by a document out of its lots, before they are booked out: of the lot that they are said to be of; else of
/// the first one, then of what came in no lot, then of the lot that came last. `in_all` is how many came to each level by the document and are
/// there still. One statement where none came in lots.
///
/// # Errors
/// `not_found` for a lot that nothing came of; `quantity_exceeded` where less came of it; `stock_negative` where less of a lot lies
/// there by now: it has left. Each with the pointer.
pub fn take_back(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    reference: &str,
    (backs, in_all): (&[Back], &BTreeMap<LevelKey, i64>),
    fresh: &[EventId],
) -> Result<()> {
    let lots = store::lock_moved(tx, reference)?;
    if lots.is_empty() {
        let said = backs.iter().find(|back| back.said.is_some());
        return said.map_or(Ok(()), |back| Err(unknown(back)));
    }
    let mut came = came(&lots, &store::came(tx, reference)?, in_all);
    let mut changes: BTreeMap<(LotId, LevelKey), (i64, &Back)> = BTreeMap::new();
    for back in backs {
        let Some(own) = came.get_mut(&back.key) else { continue };
        for (lot, pieces) in parts(own, &lots, back)? {
            changes.entry((lot, back.key)).or_insert((0, back)).0 += pieces;
        }
    }
    if changes.is_empty() {
        return Ok(());
    }
    let mut keys: Vec<LevelKey> = changes.keys().map(|(_, key)| *key).collect();
    keys.sort_unstable();
    keys.dedup();
    levels::lock_levels(tx, &keys)?;
    let held: HashMap<(LevelKey, LotId), i64> =
        store::held(tx, &keys)?.into_iter().map(|(key, held)| ((key, held.lot), held.quantity)).collect();
    for ((lot, key), (pieces, back)) in &changes {
        let lies = held.get(&(*key, *lot)).copied().unwrap_or_default();
        if lies < *pieces {
            let detail = format!("only {lies} of the lot lie there: the rest has left");
            return Err(Error::problem(Code::StockNegative, detail).at(&*back.pointer).with("on_hand", lies));
        }
    }
    let shifts = changes.iter().map(|((lot, key), (pieces, _))| LotChange { lot: *lot, key: *key, quantity: -pieces });
    let occasion = Occasion { actor, reference: Some(reference), occurred_at: now };
    store::shift(tx, now, (MovementKind::Correction.as_str(), occasion), &shifts.collect::<Vec<_>>())?;
    announce(tx, now, occasion, &keys, fresh)
}

fn unknown(back: &Back) -> Error {
    Error::not_found("lot in which any of it came").at(format!("{}/lot", back.pointer))
}

/// What came to levels, of what is there still by the document.
fn came(
    lots: &[Lot],
    moved: &[(LotId, crate::kernel::ids::LocationId, i64)],
    in_all: &BTreeMap<LevelKey, i64>,
) -> BTreeMap<LevelKey, Came> {
    let of = |(key, all): (&LevelKey, &i64)| {
        let variant = |id: LotId| lots.iter().any(|lot| lot.id == id && lot.variant_id == key.0);
        let own = moved.iter().filter(|(lot, place, pieces)| *place == key.1 && *pieces > 0 && variant(*lot));
        let own: Vec<(LotId, i64)> = own.map(|(lot, _, pieces)| (*lot, *pieces)).collect();
        let loose = (all - own.iter().map(|(_, pieces)| pieces).sum::<i64>()).max(0);
        (*key, Came { lots: own, loose })
    };
    in_all.iter().map(of).collect()
}

/// From which lots the pieces are taken, and how many from each; what is left over is in none.
fn parts(came: &mut Came, lots: &[Lot], back: &Back) -> Result<Vec<(LotId, i64)>> {
    let numbered = |number: &Option<String>| {
        let number = number.as_ref()?;
        lots.iter().find(|lot| lot.variant_id == back.key.0 && lot.number == *number).map(|lot| lot.id)
    };
    let (mut left, mut parts) = (back.quantity, Vec::new());
    let mut draw = |came: &mut Came, left: &mut i64, only: Option<LotId>| {
        for (lot, pieces) in came.lots.iter_mut().filter(|(lot, _)| only.is_none_or(|only| only == *lot)) {
            let part = (*pieces).min(*left);
            if part > 0 {
                (*pieces, *left) = (*pieces - part, *left - part);
                parts.push((*lot, part));
            }
        }
    };
    if back.said.is_some() {
        let lot = numbered(&back.said).filter(|id| came.lots.iter().any(|(lot, _)| lot == id));
        draw(came, &mut left, Some(lot.ok_or_else(|| unknown(back))?));
        if left > 0 {
            let detail = format!("only {} of the lot came", back.quantity - left);
            return Err(Error::problem(Code::QuantityExceeded, detail).at(format!("{}/lot", back.pointer)));
        }
        return Ok(parts);
    }
    if let Some(first) = numbered(&back.first) {
        draw(came, &mut left, Some(first));
    }
    let loose = came.loose.min(left);
    (came.loose, left) = (came.loose - loose, left - loose);
    draw(came, &mut left, None);
    Ok(parts)
}
