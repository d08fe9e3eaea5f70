//! Writing prices together with their history, and reading the history.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    super::{
        prior::Recorded,
        rates::{PriceList, PriceRow},
        service::price_list,
        store as prices,
    },
    dto::{PriceChangeQuery, RecordedPrice, RecordedPriceChange},
    model::{Difference, Key, Place, Price, differences, recorded_at},
    store::{self, Entry, Filter},
};
use crate::{
    catalog,
    db::Tx,
    error::{Code, Error, Result},
    kernel::{
        Actor, Instant,
        ids::{PriceChangeId, PriceListId, VariantId},
    },
};

/// Who changes prices, when, and in which request.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// When.
    pub now: Instant,
    /// Who.
    pub actor: &'a Actor,
    /// The request's id, where there is one.
    pub reference: Option<&'a str>,
}

/// The prices with these keys, of those that are there. Until the end of the transaction nobody else changes a price of the
/// same lists, nor makes one: what is found here is what a [`write`] overwrites.
pub(in crate::pricing) fn hold(tx: &mut Tx, keys: BTreeSet<Key>) -> Result<HashMap<Key, Price>> {
    let lists: BTreeSet<PriceListId> = keys.iter().map(|key| key.list).collect();
    prices::lock_lists(tx, &lists)?;
    // A statement of its own, so that it sees what whoever held the lists before has left.
    prices::known_prices(tx, keys.into_iter().collect())
}

/// Makes prices be what is wanted of them, `None` being no price, and records what that changes. `there` is what [`hold`] gave
/// for the same keys. Whatever the number of prices, it is four statements, and none where nothing changes. There must be an
/// id for each price that changes.
pub(in crate::pricing) fn write(
    tx: &mut Tx,
    by: By<'_>,
    ids: &[PriceChangeId],
    there: &HashMap<Key, Price>,
    wanted: &BTreeMap<Key, Option<Price>>,
) -> Result<()> {
    let changes = differences(there, wanted);
    if changes.is_empty() {
        return Ok(());
    }
    if ids.len() < changes.len() {
        return Err(Error::internal("a change of a price has no id"));
    }
    let gone = changes.iter().filter(|change| change.to.is_none()).map(|change| change.key).collect();
    let set = changes.iter().filter_map(|change| Some((change.key, change.to?))).collect();
    prices::delete_prices(tx, gone)?;
    prices::upsert_prices(tx, by.now, set)?;
    let last = store::last_times(tx, &changes.iter().map(|change| change.key.list).collect())?;
    let at = |change: &Difference| recorded_at(by.now, last.get(&change.key.list).copied());
    let rows = ids.iter().zip(&changes).map(|(id, change)| (*id, change, at(change)));
    store::append(tx, by, rows)
}

/// Makes the prices of articles be what they were at an instant: every change after it is undone.
///
/// # Errors
/// What the database says.
pub(in crate::pricing) fn prices_at(
    tx: &mut Tx,
    (prices, lists): (&mut HashMap<VariantId, Vec<PriceRow>>, &[Arc<PriceList>]),
    variants: &[VariantId],
    at: Instant,
) -> Result<()> {
    for (variant, changes) in store::after(tx, variants, at)? {
        let rows = prices.entry(variant).or_default();
        for Recorded { change: Difference { key, from, .. }, .. } in changes {
            let own = |row: &PriceRow| {
                (row.list, row.min_quantity, row.valid_from) == (key.list, key.min_quantity, key.valid_from)
            };
            rows.retain(|row| !own(row));
            let currency = lists.iter().find(|list| list.id == key.list).map(|list| list.currency);
            rows.extend(from.zip(currency).map(|(price, currency)| PriceRow {
                list: key.list,
                min_quantity: key.min_quantity,
                price: price.in_currency(currency),
                valid_from: key.valid_from,
                valid_until: price.valid_until,
            }));
        }
    }
    Ok(())
}

/// A part of the history: what a query asks for and an actor may see, between two instants.
fn filter(
    tx: &mut Tx,
    actor: &Actor,
    query: &PriceChangeQuery,
    (from, to): (Option<Instant>, Option<Instant>),
    lists: &HashMap<PriceListId, PriceList>,
) -> Result<Filter> {
    let variant = match &query.sku {
        None => None,
        Some(sku) => {
            let unknown = || Error::problem(Code::SkuUnknown, format!("there is no SKU `{sku}`")).at("sku");
            Some(catalog::by_skus(tx, std::slice::from_ref(sku))?.pop().ok_or_else(unknown)?.id)
        }
    };
    let list = query.price_list_id;
    if let Some(id) = list {
        price_list(tx, actor, id).map_err(|error| error.at("price_list_id"))?;
    }
    // Who sees all channels sees all lists.
    let seen = |list: &&PriceList| list.channel.is_none_or(|channel| actor.sees_channel(channel));
    let lists = actor.channels().map(|_| lists.values().filter(seen).map(|list| list.id).collect());
    Ok(Filter { variant, list, lists, actor: query.actor.clone(), from, to })
}

fn all_lists(tx: &mut Tx) -> Result<HashMap<PriceListId, PriceList>> {
    Ok(prices::price_lists(tx)?.into_iter().map(|list| (list.id, list)).collect())
}

/// A page of the history, the newest change first, from behind `before`.
///
/// # Errors
/// `not_found` for a list, `sku_unknown`.
pub(super) fn page(
    tx: &mut Tx,
    actor: &Actor,
    (query, span): (&PriceChangeQuery, (Option<Instant>, Option<Instant>)),
    before: Option<Place>,
    limit: i64,
) -> Result<Vec<RecordedPriceChange>> {
    let lists = all_lists(tx)?;
    let filter = filter(tx, actor, query, span, &lists)?;
    let entries = store::page(tx, &filter, before, limit)?;
    let variants: Vec<VariantId> = entries.iter().map(|entry| entry.change.key.variant).collect();
    let skus: HashMap<VariantId, String> =
        catalog::by_ids(tx, &variants)?.into_iter().map(|variant| (variant.id, variant.sku)).collect();
    entries.into_iter().map(|entry| document(entry, &lists, &skus)).collect()
}

/// How many changes a query asks for, counted up to `most`.
///
/// # Errors
/// As [`page`].
pub(super) fn count(
    tx: &mut Tx,
    actor: &Actor,
    (query, span): (&PriceChangeQuery, (Option<Instant>, Option<Instant>)),
    most: i64,
) -> Result<i64> {
    let lists = all_lists(tx)?;
    let filter = filter(tx, actor, query, span, &lists)?;
    store::count(tx, &filter, most)
}

fn document(
    entry: Entry,
    lists: &HashMap<PriceListId, PriceList>,
    skus: &HashMap<VariantId, String>,
) -> Result<RecordedPriceChange> {
    let Entry { seq, id, change: Difference { key, from, to }, actor, reference, changed_at } = entry;
    // Neither lists nor variants are ever removed.
    let list = lists.get(&key.list).ok_or_else(|| Error::internal("a price's list is missing"))?;
    let sku = skus.get(&key.variant).cloned().ok_or_else(|| Error::internal("a price's variant is missing"))?;
    let shown = |price: Price| RecordedPrice {
        unit_price: price.in_currency(list.currency).price,
        per: price.per,
        valid_until: price.valid_until,
    };
    Ok(RecordedPriceChange {
        id,
        price_list_id: key.list,
        price_list: list.code.clone(),
        sku,
        variant_id: key.variant,
        min_quantity: key.min_quantity,
        valid_from: key.valid_from,
        from: from.map(shown),
        to: to.map(shown),
        actor,
        reference,
        changed_at,
        seq,
    })
}
