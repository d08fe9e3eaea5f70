//! Commands on variants, and the look-ups that other slices make.

use std::collections::{BTreeMap, BTreeSet, HashMap};

// What is asked for as it stands in the tables.
pub(super) use super::store::{Filter, count, page, read};
use super::{
    model::{NewVariant, Variant, VariantChange, VariantRow},
    store,
};
use crate::{
    db::{
        Tx,
        merge::{self, Merge, Merged},
    },
    error::{Code, Error, Result, on_duplicate},
    kernel::{Instant, ids::VariantId},
};

/// The variants of these SKUs, archived ones too, in any order; those that are not there are left out.
///
/// # Errors
/// What the database says.
pub fn by_skus(tx: &mut Tx, skus: &[String]) -> Result<Vec<Variant>> {
    if skus.is_empty() {
        return Ok(Vec::new());
    }
    let unique: BTreeSet<&String> = skus.iter().collect();
    store::by_skus(tx, unique.into_iter().cloned())
}

/// The variants with these ids, archived ones too, in any order; those that are not there are left out.
///
/// # Errors
/// What the database says.
pub fn by_ids(tx: &mut Tx, ids: &[VariantId]) -> Result<Vec<Variant>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let unique: BTreeSet<VariantId> = ids.iter().copied().collect();
    store::by_ids(tx, unique.into_iter())
}

/// The next variants in the order of their ids, archived ones too.
///
/// # Errors
/// What the database says.
pub fn after(tx: &mut Tx, after: Option<VariantId>, limit: i64) -> Result<Vec<Variant>> {
    store::after(tx, after, limit)
}

/// The ids of these SKUs: one statement. Those that are not there are left out.
///
/// # Errors
/// What the database says.
pub fn ids_of(tx: &mut Tx, skus: &[String]) -> Result<HashMap<String, VariantId>> {
    if skus.is_empty() {
        return Ok(HashMap::new());
    }
    let unique: BTreeSet<&String> = skus.iter().collect();
    Ok(store::ids_of(tx, unique.into_iter().cloned())?.into_iter().collect())
}

/// The SKUs of these variants: one statement. Those that are not there are left out.
///
/// # Errors
/// What the database says.
pub fn skus_of(tx: &mut Tx, ids: &[VariantId]) -> Result<HashMap<VariantId, String>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let unique: BTreeSet<VariantId> = ids.iter().copied().collect();
    Ok(store::skus_of(tx, unique.into_iter())?.into_iter().collect())
}

/// The variants with a GTIN, in whichever of its lengths it was given; archived ones too. Two may share one.
///
/// # Errors
/// What the database says.
pub fn by_gtin(tx: &mut Tx, gtin: &super::model::Gtin) -> Result<Vec<Variant>> {
    store::by_gtin(tx, &gtin.spellings())
}

/// Makes a variant.
///
/// # Errors
/// `duplicate` when the SKU is taken; `gtin_invalid` or `invalid_value`.
pub fn create(tx: &mut Tx, now: Instant, id: VariantId, new: &NewVariant) -> Result<Variant> {
    let variant = new.clone().build(id, now)?;
    let taken = || Error::problem(Code::Duplicate, format!("there is a variant with the SKU `{}` already", new.sku));
    on_duplicate(store::insert(tx, &variant), || taken().at("/sku"))?;
    Ok(variant)
}

/// Changes a variant. `expected` is the version that the caller has seen.
///
/// # Errors
/// `not_found`; `version_stale` when it has changed since; `gtin_invalid` or `invalid_value`.
pub fn update(
    tx: &mut Tx,
    now: Instant,
    id: VariantId,
    expected: Option<i64>,
    change: &VariantChange,
) -> Result<Variant> {
    let known = store::lock(tx, id)?.ok_or_else(|| Error::not_found("variant"))?;
    if expected.is_some_and(|seen| seen != known.version) {
        return Err(Error::stale("variant", known.version));
    }
    let changed = change.apply(&known)?;
    if changed == known {
        return Ok(known);
    }
    let changed = Variant { version: known.version + 1, updated_at: now, ..changed };
    if store::upsert(tx, std::iter::once(&changed))?.is_empty() {
        return Err(Error::overtaken("the variant"));
    }
    Ok(changed)
}

/// A row of an import, with the id that it takes where its SKU is new.
pub type ImportRow = (VariantId, VariantRow);

struct Variants;

impl Merge for Variants {
    type Row = ImportRow;
    type Record = Variant;

    fn key_of(row: &ImportRow) -> &str {
        &row.1.sku
    }

    fn key(variant: &Variant) -> &str {
        &variant.sku
    }

    fn version(variant: &Variant) -> i64 {
        variant.version
    }

    fn lay((fresh, row): &ImportRow, before: Option<&Variant>, now: Instant) -> Result<Variant> {
        row.onto(before, *fresh, now)
    }

    fn stamp(variant: Variant, version: i64, now: Instant) -> Variant {
        Variant { version, updated_at: now, ..variant }
    }

    fn read(tx: &mut Tx, keys: &BTreeSet<&str>, locked: bool) -> Result<Vec<Variant>> {
        let skus = keys.iter().map(|sku| (*sku).to_owned());
        if locked { store::lock_by_skus(tx, skus) } else { store::by_skus(tx, skus) }
    }

    fn write<'r>(tx: &mut Tx, variants: impl Iterator<Item = &'r Variant>) -> Result<Vec<String>> {
        store::upsert(tx, variants)
    }
}

/// Applies rows of an import; see [`merge::merge`].
///
/// # Errors
/// What the database says. What is wrong with a row is that row's outcome.
pub fn import(
    tx: &mut Tx,
    now: Instant,
    rows: &[ImportRow],
    rehearsed: Option<&BTreeMap<String, Variant>>,
) -> Result<Merged<Variant>> {
    merge::merge::<Variants>(tx, now, rows, rehearsed)
}
