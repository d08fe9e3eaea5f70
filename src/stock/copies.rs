//! Stock levels as they are now, many at once, for those who keep copies of them.

use std::collections::HashMap;

use super::{
    dto::{LevelDocument, Names},
    list::{self, Filter},
    model::{Level, LevelKey, Locations},
    store,
};
use crate::{
    catalog,
    db::{Snapshot, Tx},
    error::Result,
};

/// The figures of these keys' levels: one statement. Those that are not there are left out.
///
/// # Errors
/// What the database says.
pub fn levels_at(tx: &mut Tx, keys: &[LevelKey]) -> Result<HashMap<LevelKey, Level>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let levels = list::levels_of(tx, keys)?;
    Ok(levels.into_iter().map(|level| ((level.variant, level.location), level)).collect())
}

/// The same, locked until the end of the transaction, in the order of their keys: for whoever decides about what lies there.
///
/// # Errors
/// What the database says.
pub fn lock_levels(tx: &mut Tx, keys: &[LevelKey]) -> Result<HashMap<LevelKey, Level>> {
    let levels = if keys.is_empty() { Vec::new() } else { store::lock_levels(tx, keys)? };
    Ok(levels.into_iter().map(|level| (level.key(), level)).collect())
}

/// The levels of these keys: three statements. Those that are not there are left out.
///
/// # Errors
/// What the database says.
pub fn levels_of(tx: &mut Tx, keys: &[LevelKey]) -> Result<Vec<LevelDocument>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let levels = list::levels_of(tx, keys)?;
    documents(tx, &levels)
}

/// Levels after one of them in the order of their keys: three statements.
///
/// # Errors
/// What the database says.
pub fn levels_after(tx: &mut Tx, after: Option<LevelKey>, limit: i64) -> Result<Vec<LevelDocument>> {
    let levels = list::levels(tx, &Filter::default(), after, limit)?;
    documents(tx, &levels)
}

/// The names are read in the same snapshot as the levels: a location may be younger than what is in memory.
fn documents(tx: &mut Tx, levels: &[Level]) -> Result<Vec<LevelDocument>> {
    let mut variants: Vec<_> = levels.iter().map(|level| level.variant).collect();
    variants.dedup();
    let skus = catalog::skus_of(tx, &variants)?;
    let locations = Locations::load(tx)?;
    let names = Names { skus, locations: &locations };
    Ok(levels.iter().map(|level| names.level(level)).collect())
}
