//! An order as a simulation plans it anew: what is not begun of it, wherever it is now.

use std::collections::{BTreeMap, HashMap};

use super::{
    dropship, facts,
    model::{Command, FulfilmentLine, FulfilmentOrder},
    moves::{needs, steps_of},
    store,
};
use crate::{
    customers,
    db::Tx,
    error::{Error, Result},
    kernel::{
        Actor, Instant,
        ids::{FulfilmentOrderId, VariantId},
    },
    orders::{self, OrderDocument},
    stock::{
        LevelKey, Locations, Need, Share,
        sourcing::{Facts, Trial},
    },
};

/// An order by its id, its number or a foreign reference, as it is tried out by rules: what is not picked and no supplier has said that
/// they ship is to be planned as if it had just been placed, and what it has allocated of that counts as available to it. All else stays
/// where it is.
///
/// # Errors
/// `not_found`.
pub fn tried_out(tx: &mut Tx, actor: &Actor, now: Instant, reference: &str, locations: &Locations) -> Result<Trial> {
    let id = orders::resolve(tx, actor, reference)?;
    let order = orders::document(tx, id)?.ok_or_else(|| Error::not_found("order"))?;
    let works = store::of_order(tx, id)?;
    let open: Vec<FulfilmentOrderId> = works.iter().filter(|work| work.state.is_open()).map(|work| work.id).collect();
    let acknowledged = dropship::acknowledged(tx, &open)?;
    let mut wanted: BTreeMap<(i32, i32), Need> = BTreeMap::new();
    let (mut own, mut stays): (Vec<(LevelKey, i64)>, Vec<Share>) = (Vec::new(), Vec::new());
    let mut skus: HashMap<VariantId, String> = HashMap::new();
    for work in &works {
        skus.extend(work.lines.iter().map(|line| (line.variant_id, line.sku.clone())));
        let free = work.state.takes(Command::Move).is_ok() && !acknowledged.contains(&work.id);
        let left = left_of(work, free);
        stays.extend(staying(work, &left));
        let left: BTreeMap<i32, i64> = left.into_iter().filter(|(_, pieces)| *pieces > 0).collect();
        if left.is_empty() {
            continue;
        }
        for need in needs(tx, work, &steps_of(&left))? {
            let at = (need.line_no, need.delivery);
            let place = order.lines.iter().position(|line| line.line_no == need.line_no).unwrap_or_default();
            if need.tracked {
                own.push(((need.variant, work.location_id), need.quantity));
            }
            match wanted.get_mut(&at) {
                Some(known) => known.quantity += need.quantity,
                None => drop(wanted.insert(at, Need { place, ..need })),
            }
        }
    }
    let facts = known(tx, now, &order, locations)?;
    Ok(Trial {
        needs: wanted.into_values().collect(),
        facts,
        own,
        lines: HashMap::new(),
        skus,
        keys: order.deliveries.iter().map(|one| one.key.clone()).collect(),
        stays,
    })
}

/// How many pieces of each line may be planned anew.
fn left_of(work: &FulfilmentOrder, free: bool) -> BTreeMap<i32, i64> {
    let left = |pieces: i64| if free { pieces } else { 0 };
    work.lines.iter().map(|line| (line.line_no, left(line.counts.left_for(Command::Move)))).collect()
}

/// The pieces that stay where they are, or have left from there.
fn staying<'w>(work: &'w FulfilmentOrder, left: &BTreeMap<i32, i64>) -> Vec<Share> {
    let delivery = work.delivery.as_ref().map_or(0, |one| one.number);
    let share = |line: &'w FulfilmentLine| {
        let counts = line.counts;
        let quantity = counts.quantity - counts.cancelled - left.get(&line.line_no).copied().unwrap_or_default();
        let (line_no, variant, location, tracked) = (line.line_no, line.variant_id, work.location_id, line.tracked);
        (quantity > 0).then_some(Share { line_no, delivery, variant, location, quantity, tracked })
    };
    work.lines.iter().filter_map(share).collect()
}

/// What is known of it and of its further deliveries, whatever rules are live.
fn known(tx: &mut Tx, now: Instant, order: &OrderDocument, locations: &Locations) -> Result<Facts> {
    let customer_group = match order.customer_id {
        Some(customer) => customers::standing(tx, customer)?.group,
        None => None,
    };
    let keys: Vec<Option<String>> = order.deliveries.iter().map(|one| one.key.clone()).collect();
    let mut all = Vec::with_capacity(keys.len());
    for key in &keys {
        let facts = facts::of(tx, now, (order, key.as_deref()), locations)?;
        all.push(Facts { customer_group: customer_group.clone(), ..facts });
    }
    let mut all = all.into_iter();
    let first = match all.next() {
        Some(first) => first,
        None => facts::of(tx, now, (order, None), locations)?,
    };
    Ok(Facts { further: all.collect(), ..first })
}
