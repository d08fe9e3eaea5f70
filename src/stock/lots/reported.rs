//! Lots of which goods have left elsewhere: another system knows them, and this one may not have heard of them before.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    model::Packed,
    service::{Naming, lock, name},
    store,
};
use crate::{
    db::Tx,
    error::Result,
    kernel::{Actor, Id, Instant},
    stock::{LevelKey, store as levels},
};

/// Sees to it that lots of which goods are said to have left ([`Packed::left`]) lie where they left from: what lies there in no lot is of
/// them from now on, as far as it goes, so that the ledger can tell who was sent some. To be called before the goods leave
/// and before any level is locked: it locks all levels that goods leave (`leaving`), behind the lots and in the order of their keys. No
/// statement where nothing was said.
///
/// # Errors
/// What the database says.
pub fn reveal(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    (packed, leaving): (&[Packed], &[LevelKey]),
    reference: &str,
) -> Result<()> {
    let mut wanted: BTreeMap<(LevelKey, &str), i64> = BTreeMap::new();
    for one in packed.iter().filter(|one| one.left) {
        if let [number] = one.numbers.as_slice() {
            *wanted.entry((one.key, number)).or_default() += one.quantity;
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let naming = |((key, number), quantity): (&(LevelKey, &str), &i64)| Naming {
        key: *key,
        number: (*number).to_owned(),
        expires_at: None,
        quantity: *quantity,
        // Nobody is told of them before the commit, so a second run may give others.
        fresh: Id::new(),
        event: Id::new(),
        pointer: "/packages".to_owned(),
    };
    let mut namings: Vec<Naming> = wanted.iter().map(naming).collect();
    // Lots are locked before levels.
    let ids = lock(tx, now, &mut namings)?;
    let mut keys: Vec<LevelKey> = namings.iter().map(|one| one.key).collect();
    keys.dedup();
    levels::make_levels(tx, now, &keys)?;
    // Who locks some of the levels first and the rest later may wait for who does it the other way about.
    let all: BTreeSet<LevelKey> = keys.iter().chain(leaving).copied().collect();
    let on_hand: BTreeMap<LevelKey, i64> = levels::lock_levels(tx, &all.into_iter().collect::<Vec<_>>())?
        .into_iter()
        .map(|level| (level.key(), level.on_hand))
        .collect();
    let held = store::held(tx, &keys)?;
    let mut loose: BTreeMap<LevelKey, i64> = on_hand;
    for (key, one) in &held {
        *loose.entry(*key).or_default() -= one.quantity;
    }
    namings.retain_mut(|one| {
        let lot = ids.iter().find(|lot| lot.variant_id == one.key.0 && lot.number == one.number).map(|lot| lot.id);
        let own = held.iter().filter(|(key, held)| *key == one.key && Some(held.lot) == lot);
        let there: i64 = own.map(|(_, held)| held.quantity).sum();
        let loose = loose.entry(one.key).or_default();
        let more = (one.quantity - there).clamp(0, (*loose).max(0));
        *loose -= more;
        one.quantity = more;
        more > 0
    });
    if namings.is_empty() {
        return Ok(());
    }
    name(tx, now, actor, &namings, Some(reference)).map(|_| ())
}
