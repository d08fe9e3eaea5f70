//! Commands on variants, and the look-ups that other slices make.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    marker::PhantomData,
};

// What is asked for as it stands in the tables.
pub(super) use super::store::{Filter, count, page, read};
use super::{
    bundles::{self, Component, Standing},
    model::{NewVariant, TrackingPolicy, Variant, VariantChange, VariantRow},
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

/// The ids of SKUs that have stock of their own, as [`ids_of`]; of a bundle, which has none, its place among `skus` instead. One
/// statement.
///
/// # Errors
/// `bundle_without_stock` with what `pointer` makes of the place of the first bundle among `skus`.
pub fn stocked_ids_of(
    tx: &mut Tx,
    skus: &[String],
    pointer: impl Fn(usize) -> String,
) -> Result<HashMap<String, VariantId>> {
    if skus.is_empty() {
        return Ok(HashMap::new());
    }
    let unique: BTreeSet<&String> = skus.iter().collect();
    let found = store::ids_and_bundles(tx, unique.into_iter().cloned())?;
    let bundles: BTreeSet<&str> = found.iter().filter(|(.., bundle)| *bundle).map(|(sku, ..)| sku.as_str()).collect();
    if let Some(place) = skus.iter().position(|sku| bundles.contains(sku.as_str())) {
        let sku = skus.get(place).map(String::as_str).unwrap_or_default();
        let detail = format!("`{sku}` is a bundle and has no stock of its own: name its components");
        return Err(Error::problem(Code::BundleWithoutStock, detail).at(pointer(place)));
    }
    Ok(found.into_iter().map(|(sku, id, _)| (sku, id)).collect())
}

/// Makes of the bundles among variants what their components make of them ([`Variant::be_as_made_of`]), and gives the components that
/// are not among the variants themselves. One statement where these are any, none else.
///
/// # Errors
/// What the database says.
pub fn with_components(tx: &mut Tx, variants: &mut [Variant]) -> Result<Vec<Variant>> {
    let parts = variants.iter().flat_map(|variant| &variant.components).map(|component| component.sku.to_string());
    let parts: BTreeSet<String> = parts.collect();
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let here: BTreeMap<String, Variant> =
        variants.iter().filter(|one| parts.contains(&one.sku)).map(|one| (one.sku.clone(), one.clone())).collect();
    let missing: Vec<String> = parts.into_iter().filter(|sku| !here.contains_key(sku)).collect();
    let read = by_skus(tx, &missing)?;
    let by_sku: HashMap<&str, &Variant> =
        here.values().chain(&read).map(|variant| (variant.sku.as_str(), variant)).collect();
    for variant in variants.iter_mut() {
        variant.be_as_made_of(|sku| by_sku.get(sku).copied());
    }
    Ok(read)
}

/// What is known of the SKUs that are to be components: one statement, none where there are none.
fn standings<'c>(tx: &mut Tx, components: impl Iterator<Item = &'c Component>) -> Result<BTreeMap<String, Standing>> {
    let skus: Vec<String> = components.map(|component| component.sku.to_string()).collect();
    let found = by_skus(tx, &skus)?;
    Ok(found.into_iter().map(|variant| (variant.sku.clone(), Standing::of(&variant))).collect())
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

/// What is asked for of the goods of these variants; those of which nothing is are left out. One statement.
///
/// # Errors
/// What the database says.
pub fn tracking_of(
    tx: &mut Tx,
    ids: impl IntoIterator<Item = VariantId>,
) -> Result<HashMap<VariantId, TrackingPolicy>> {
    let unique: BTreeSet<VariantId> = ids.into_iter().collect();
    if unique.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(store::tracking_of(tx, unique.into_iter())?.into_iter().collect())
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
/// `duplicate` when the SKU is taken; `gtin_invalid`, `bundle_invalid`, `sku_unknown` or `invalid_value`.
pub fn create(tx: &mut Tx, now: Instant, id: VariantId, new: &NewVariant) -> Result<Variant> {
    let variant = new.clone().build(id, now)?;
    bundles::check_known(&variant.components, &standings(tx, variant.components.iter())?)?;
    let taken = || Error::problem(Code::Duplicate, format!("there is a variant with the SKU `{}` already", new.sku));
    on_duplicate(store::insert(tx, &variant), || taken().at("/sku"))?;
    Ok(variant)
}

/// Changes a variant. `expected` is the version that the caller has seen.
///
/// # Errors
/// `not_found`; `version_stale` when it has changed since; `gtin_invalid`, `bundle_invalid`, `sku_unknown` or `invalid_value`.
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
    if changed.components != known.components {
        bundles::check_known(&changed.components, &standings(tx, changed.components.iter())?)?;
    }
    let changed = Variant { version: known.version + 1, updated_at: now, ..changed };
    if store::upsert(tx, std::iter::once(&changed))?.is_empty() {
        return Err(Error::overtaken("the variant"));
    }
    Ok(changed)
}

/// A row of an import, with the id that it takes where its SKU is new.
pub type ImportRow = (VariantId, VariantRow);

struct Variants<'r>(PhantomData<&'r ()>);

/// A row with what is known of the components that it names.
struct Looked<'r> {
    row: &'r ImportRow,
    known: BTreeMap<String, Standing>,
}

impl<'r> Merge for Variants<'r> {
    type Row = Looked<'r>;
    type Record = Variant;

    fn key_of<'a>(looked: &'a Looked<'r>) -> &'a str {
        &looked.row.1.sku
    }

    fn key(variant: &Variant) -> &str {
        &variant.sku
    }

    fn version(variant: &Variant) -> i64 {
        variant.version
    }

    fn lay(
        Looked { row: (fresh, row), known }: &Looked<'r>,
        before: Option<&Variant>,
        now: Instant,
    ) -> Result<Variant> {
        let after = row.onto(before, *fresh, now)?;
        if before.is_none_or(|before| before.components != after.components) {
            bundles::check_known(&after.components, known)?;
        }
        Ok(after)
    }

    fn stamp(variant: Variant, version: i64, now: Instant) -> Variant {
        Variant { version, updated_at: now, ..variant }
    }

    fn read(tx: &mut Tx, keys: &BTreeSet<&str>, locked: bool) -> Result<Vec<Variant>> {
        let skus = keys.iter().map(|sku| (*sku).to_owned());
        if locked { store::lock_by_skus(tx, skus) } else { store::by_skus(tx, skus) }
    }

    fn write<'v>(tx: &mut Tx, variants: impl Iterator<Item = &'v Variant>) -> Result<Vec<String>> {
        store::upsert(tx, variants)
    }
}

/// Applies rows of an import; see [`merge::merge`]. A bundle comes behind its components: rows before it count.
///
/// # Errors
/// What the database says. What is wrong with a row is that row's outcome.
pub fn import(
    tx: &mut Tx,
    now: Instant,
    rows: &[ImportRow],
    rehearsed: Option<&BTreeMap<String, Variant>>,
) -> Result<Merged<Variant>> {
    let looked = look(tx, rows, rehearsed)?;
    merge::merge::<Variants<'_>>(tx, now, &looked, rehearsed)
}

/// The rows with what is known of the components that they name: one statement where they name any, none else.
fn look<'r>(
    tx: &mut Tx,
    rows: &'r [ImportRow],
    rehearsed: Option<&BTreeMap<String, Variant>>,
) -> Result<Vec<Looked<'r>>> {
    let named = |row: &'r ImportRow| row.1.components.iter().flatten();
    let mut known = standings(tx, rows.iter().flat_map(named))?;
    let earlier = rehearsed.into_iter().flatten();
    known.extend(earlier.map(|(sku, variant)| (sku.clone(), Standing::of(variant))));
    let mut looked = Vec::with_capacity(rows.len());
    for row in rows {
        let own = named(row).filter_map(|component| {
            let sku = component.sku.to_string();
            Some((sku.clone(), *known.get(&sku)?))
        });
        looked.push(Looked { row, known: own.collect() });
        // What a row before makes is there for those behind it. A new SKU needs its name and tax class, or is not made.
        let (sku, made) = (row.1.sku.to_string(), row.1.name.is_some() && row.1.tax_class.is_some());
        if made && !known.contains_key(&sku) {
            let bundle = row.1.components.as_ref().is_some_and(|components| !components.is_empty());
            known.insert(sku, if bundle { Standing::Bundle } else { Standing::Sold });
        }
    }
    Ok(looked)
}
