//! Prices in bulk: rows of a file, each a price of some list.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    forms::PriceEntry,
    history::{
        By,
        model::{Key, Price},
        service as history,
    },
    rates::PriceList,
    service::may_change,
    store,
};
use crate::{
    catalog,
    db::{Tx, merge::Merged},
    error::{Code, Error, Result},
    kernel::{
        Actor, Instant, Per, Quantity, UnitPrice,
        ids::{PriceChangeId, VariantId},
        patch::Change,
        text::{Sku, Text},
    },
};

/// A row of an import: a price, and the list it belongs to.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"price_list": "demo-base", "sku": "MUG-KONTOR", "unit_price": {"amount": "12.50", "currency": "EUR"}}))]
pub struct PriceRowImport {
    /// The code of the list.
    pub price_list: Text<50>,
    /// What is sold.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    pub sku: Sku,
    /// The quantity of a line from which on it is valid; 1 where it is left out.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1_000_000_000)]
    pub min_quantity: Option<Quantity>,
    /// The price of one unit, or of as many as `per` says, in the list's currency, with or without tax as the channel has it.
    pub unit_price: UnitPrice,
    /// How many units the price is for: 12.50 per 100.
    #[serde(default)]
    pub per: Per,
    /// From when on it is valid; left out, it always was.
    pub valid_from: Option<Instant>,
    /// Until when it is valid, exclusive; left out, it has no end.
    pub valid_until: Option<Instant>,
}

/// A price as a rehearsal would have left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportedPrice(Price);

/// What a rehearsal knows a price by.
fn name(key: &Key) -> String {
    let from = key.valid_from.map(Instant::sortable).unwrap_or_default();
    format!("{} {} {} {from}", key.list, key.variant, key.min_quantity.get())
}

/// Applies rows of an import in their order. Gives what became of each row, and the prices that have changed; rows that
/// can not be applied stop no others. Whatever the number of rows, it is five reads and two writes: one of prices, one of
/// their history.
///
/// With `rehearsed` nothing is written: it holds what earlier rows would have left.
///
/// # Errors
/// What the database says.
pub fn import(
    tx: &mut Tx,
    by: By<'_>,
    rows: &[(PriceChangeId, PriceRowImport)],
    rehearsed: Option<&BTreeMap<String, ImportedPrice>>,
) -> Result<Merged<ImportedPrice>> {
    let lists: HashMap<String, PriceList> =
        store::price_lists(tx)?.into_iter().map(|list| (list.code.clone(), list)).collect();
    let skus: Vec<String> = rows.iter().map(|(_, row)| row.sku.to_string()).collect();
    let variants: HashMap<String, VariantId> =
        catalog::by_skus(tx, &skus)?.into_iter().map(|variant| (variant.sku, variant.id)).collect();
    let read: Vec<Result<(Key, Price)>> =
        rows.iter().map(|(_, row)| resolve(by.actor, &lists, &variants, row)).collect();
    let keys: BTreeSet<Key> = read.iter().flatten().map(|(key, _)| *key).collect();
    let earlier = keys.iter().filter_map(|key| Some((*key, rehearsed?.get(&name(key))?.0))).collect::<Vec<_>>();
    let there = match rehearsed {
        None => history::hold(tx, keys)?,
        Some(_) => store::known_prices(tx, keys.into_iter().collect())?,
    };
    let mut known = there.clone();
    known.extend(earlier);
    let (mut outcomes, mut changed) = (Vec::with_capacity(rows.len()), BTreeMap::new());
    for row in read {
        outcomes.push(row.map(|(key, price)| {
            let before = known.insert(key, price);
            match before {
                Some(before) if before == price => Change::Unchanged,
                before => {
                    changed.insert(key, price);
                    if before.is_some() { Change::Updated } else { Change::Created }
                }
            }
        }));
    }
    let left = changed.iter().map(|(key, price)| (name(key), ImportedPrice(*price))).collect();
    if rehearsed.is_none() {
        let ids: Vec<PriceChangeId> = rows.iter().map(|(id, _)| *id).collect();
        let wanted = changed.into_iter().map(|(key, price)| (key, Some(price))).collect();
        history::write(tx, by, &ids, &there, &wanted)?;
    }
    Ok((outcomes, left))
}

fn resolve(
    actor: &Actor,
    lists: &HashMap<String, PriceList>,
    variants: &HashMap<String, VariantId>,
    row: &PriceRowImport,
) -> Result<(Key, Price)> {
    let unknown = || Error::not_found("price list").at("/price_list");
    let list = lists.get(&*row.price_list).ok_or_else(unknown)?;
    // What is foreign is not there; a list for all channels is there, but not to be changed by who is limited to some.
    may_change(actor, list.channel).map_err(|error| match list.channel {
        Some(_) => unknown(),
        None => error.at("/price_list"),
    })?;
    let min_quantity = row.min_quantity.unwrap_or(Quantity::ONE);
    let (per, valid_from, valid_until) = (row.per, row.valid_from, row.valid_until);
    PriceEntry { sku: row.sku.clone(), min_quantity, unit_price: row.unit_price, per, valid_from, valid_until }
        .check(list.currency, "")?;
    let no_sku = || Error::problem(Code::SkuUnknown, format!("there is no SKU `{}`", &*row.sku)).at("/sku");
    let variant = variants.get(&*row.sku).copied().ok_or_else(no_sku)?;
    Ok((
        Key { variant, list: list.id, min_quantity, valid_from },
        Price { amount: row.unit_price.scaled(), per, valid_until },
    ))
}
