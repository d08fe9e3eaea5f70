//! Queries and commands of pricing. What is in [`Rules`] is bumped with every change; prices are not in it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    forms::{
        ExportedPrice, NewPriceList, NewTaxRate, PriceChange, PriceListPatch, PriceView, PricesChanged,
        check_announced, check_window,
    },
    history::{
        By, lists,
        model::{Key, Price},
        service as history,
    },
    quote::Rules,
    rates::{Audience, ListKind, PriceList, PriceRow, ShippingMethod, TaxRate},
    shipping_forms::{NewShippingMethod, ShippingMethodPatch},
    store::{self, ListedPrice},
};
use crate::{
    catalog,
    customers::{self, companies},
    db::{Tx, bump},
    error::{Code, Error, Result, on_duplicate},
    kernel::{
        Actor, Country, Currency, Instant, PricePer,
        ids::{ChannelId, LocationId, PriceChangeId, PriceListId, ShippingMethodId, TaxRateId, VariantId},
    },
    stock::Locations,
};

/// So many prices of a file are read at once.
const PIECE: i64 = 2_000;

/// The prices of variants in all lists, in one statement. A variant without any is absent.
///
/// # Errors
/// What the database says.
pub fn prices(tx: &mut Tx, variants: &[VariantId]) -> Result<HashMap<VariantId, Vec<PriceRow>>> {
    store::prices(tx, variants)
}

/// Locks price lists until the end of the transaction, in the order of their ids: nobody else changes a price of them, nor makes
/// one. What is read of their prices after that is what a change overwrites.
///
/// # Errors
/// What the database says.
pub fn hold_lists(tx: &mut Tx, lists: &BTreeSet<PriceListId>) -> Result<()> {
    store::lock_lists(tx, lists)
}

/// The next variants that have a price in a list, valid or not, in the order of their ids.
///
/// # Errors
/// What the database says.
pub fn priced_in(tx: &mut Tx, list: PriceListId, after: Option<VariantId>, limit: i64) -> Result<Vec<VariantId>> {
    store::variants_in(tx, &[list], after, limit)
}

/// Whether an actor may change what belongs to a channel, or to all of them. Who is limited to some channels may not
/// change what the others live by.
///
/// # Errors
/// `not_found` for another's channel; `scope_missing` where it is for all and the actor is limited to some.
pub fn may_change(actor: &Actor, channel: Option<ChannelId>) -> Result<()> {
    match channel {
        Some(channel) if actor.sees_channel(channel) => Ok(()),
        Some(_) => Err(Error::not_found("channel").at("/channel_id")),
        None if actor.channels().is_none() => Ok(()),
        None => {
            let detail = "this is for all channels, and the credential is limited to some";
            Err(Error::problem(Code::ScopeMissing, detail))
        }
    }
}

/// A channel that does not exist is found by the row that refers to it.
pub(super) fn channel_exists<T>(result: Result<T>) -> Result<T> {
    result.map_err(|error| match store::is_missing_reference(&error) {
        true => Error::not_found("channel").at("/channel_id"),
        false => error,
    })
}

/// The price lists that an actor may see: their channels' and those for all; oldest first.
///
/// # Errors
/// What the database says.
pub fn price_lists(tx: &mut Tx, actor: &Actor) -> Result<Vec<PriceList>> {
    let mut lists = store::price_lists(tx)?;
    lists.retain(|list| list.channel.is_none_or(|channel| actor.sees_channel(channel)));
    Ok(lists)
}

/// A price list that an actor may see.
///
/// # Errors
/// `not_found`.
pub fn price_list(tx: &mut Tx, actor: &Actor, id: PriceListId) -> Result<PriceList> {
    let list = store::price_list(tx, id)?;
    let seen = list.filter(|list| list.channel.is_none_or(|channel| actor.sees_channel(channel)));
    seen.ok_or_else(|| Error::not_found("price list"))
}

/// Makes a price list, and records it.
///
/// # Errors
/// `duplicate` when the code is taken, `not_found` when the channel, the customer or the company is not there.
pub fn create_price_list(tx: &mut Tx, by: By<'_>, id: PriceListId, new: &NewPriceList) -> Result<PriceList> {
    let By { now, actor, .. } = by;
    may_change(actor, new.channel_id)?;
    check_window(new.valid_from, new.valid_until, "")?;
    check_announced(new.kind, new.announced_at, new.valid_from)?;
    let audience = audience(new)?;
    new.terms.as_ref().map_or(Ok(()), |terms| terms.check((new.kind, &audience), new.currency))?;
    if let Some(customer) = new.customer_id {
        customers::named(tx, actor, customer).map_err(|error| error.at("/customer_id"))?;
    }
    if let Some(company) = new.company_id {
        companies::all_named(tx, actor, &[company]).map_err(|(_, error)| error.at("/company_id"))?;
    }
    let list = PriceList {
        id,
        code: new.code.to_string(),
        name: new.name.to_string(),
        currency: new.currency,
        channel: new.channel_id,
        audience,
        kind: new.kind,
        announced_at: new.announced_at,
        priority: new.priority,
        valid_from: new.valid_from,
        valid_until: new.valid_until,
        terms: new.terms.clone(),
        version: 1,
    };
    let taken = || {
        let detail = format!("there is a price list with the code `{}` already", list.code);
        Error::problem(Code::Duplicate, detail).at("/code")
    };
    channel_exists(on_duplicate(store::insert_price_list(tx, now, &list), taken))?;
    lists::record(tx, by, None, &list)?;
    bump::<Rules>(tx)?;
    Ok(list)
}

/// Whom a list is for.
fn audience(new: &NewPriceList) -> Result<Audience> {
    let group = new.customer_group.as_ref().map(|group| Audience::Group(group.to_string()));
    let named = [
        ("/customer_id", new.customer_id.map(Audience::Customer)),
        ("/company_id", new.company_id.map(Audience::Company)),
        ("/customer_group", group),
    ];
    let mut named = named.into_iter().filter_map(|(pointer, audience)| Some((pointer, audience?)));
    match (named.next(), named.next()) {
        (None, _) => Ok(Audience::All),
        (Some(_), Some((pointer, _))) => {
            Err(Error::invalid(pointer, "a list is for a customer, for a company or for a group: for one of these"))
        }
        (Some((pointer, _)), None) if new.kind == ListKind::Cost => {
            Err(Error::invalid(pointer, "what goods have cost is so for everybody"))
        }
        (Some((_, audience)), None) => Ok(audience),
    }
}

/// Changes a price list, and records what it was. `expected` is the version that the caller has seen.
///
/// # Errors
/// `not_found`; `version_stale` when it has changed since.
pub fn update_price_list(
    tx: &mut Tx,
    by: By<'_>,
    id: PriceListId,
    expected: Option<i64>,
    patch: &PriceListPatch,
) -> Result<PriceList> {
    let By { now, actor, .. } = by;
    let mut list = price_list(tx, actor, id)?;
    may_change(actor, list.channel)?;
    let seen = expected.unwrap_or(list.version);
    if seen != list.version {
        return Err(Error::stale("price list", list.version));
    }
    let was = list.clone();
    patch.apply(&mut list)?;
    if !store::update_price_list(tx, now, &list, seen)? {
        return Err(Error::overtaken("the price list"));
    }
    list.version += 1;
    lists::record(tx, by, Some(&was), &list)?;
    bump::<Rules>(tx)?;
    Ok(list)
}

/// Removes and sets prices of one list, all or nothing, and records what that changes, in a few statements however many they
/// are. There must be as many ids as rows.
///
/// # Errors
/// `not_found`, `sku_unknown`, `duplicate` when a price is set twice, `invalid_value`; each with the pointer to the row.
pub fn change_prices(
    tx: &mut Tx,
    by: By<'_>,
    id: PriceListId,
    change: &PriceChange,
    ids: &[PriceChangeId],
) -> Result<PricesChanged> {
    let list = price_list(tx, by.actor, id)?;
    may_change(by.actor, list.channel)?;
    change.check(list.currency)?;
    let variants = variants_of(tx, change)?;
    let find = |sku: &str, pointer: String| {
        let unknown = || Error::problem(Code::SkuUnknown, format!("there is no SKU `{sku}`")).at(pointer);
        variants.get(sku).copied().ok_or_else(unknown)
    };
    let mut removed = BTreeSet::new();
    for (place, key) in change.remove.iter().enumerate() {
        let variant = find(&key.sku, format!("/remove/{place}/sku"))?;
        removed.insert(Key { variant, list: id, min_quantity: key.min_quantity, valid_from: key.valid_from });
    }
    let mut set = BTreeMap::new();
    for (place, row) in change.rows.iter().enumerate() {
        let variant = find(&row.sku, format!("/rows/{place}/sku"))?;
        let key = Key { variant, list: id, min_quantity: row.min_quantity, valid_from: row.valid_from };
        let price = Price { amount: row.unit_price.scaled(), per: row.per, valid_until: row.valid_until };
        if set.insert(key, Some(price)).is_some() {
            let detail = "an earlier row sets the price of the same SKU, min_quantity and valid_from";
            return Err(Error::problem(Code::Duplicate, detail).at(format!("/rows/{place}")));
        }
    }
    let count = |count: usize| i64::try_from(count).map_err(Error::internal);
    let there = history::hold(tx, removed.iter().chain(set.keys()).copied().collect::<BTreeSet<_>>())?;
    let told = PricesChanged {
        set: count(set.len())?,
        removed: count(removed.iter().filter(|key| there.contains_key(key)).count())?,
    };
    // What is removed and set is set: removing comes first.
    let mut wanted: BTreeMap<Key, Option<Price>> = removed.into_iter().map(|key| (key, None)).collect();
    wanted.extend(set);
    history::write(tx, by, ids, &there, &wanted)?;
    Ok(told)
}

/// A page of a list's prices by SKU, from behind `after`.
///
/// # Errors
/// `not_found`.
pub fn prices_of(
    tx: &mut Tx,
    actor: &Actor,
    id: PriceListId,
    after: Option<store::After>,
    limit: i64,
) -> Result<Vec<PriceView>> {
    let list = price_list(tx, actor, id)?;
    let view = |price: ListedPrice| {
        let ListedPrice { sku, min_quantity, valid_from, valid_until, price: PricePer { price, per } } = price;
        PriceView { sku, min_quantity, unit_price: price, per, valid_from, valid_until }
    };
    Ok(store::prices_of(tx, &list, after, limit)?.into_iter().map(view).collect())
}

/// The next prices of a list for a file of them, with the place to go on from; `None` at its end.
///
/// # Errors
/// `not_found`.
pub(super) fn prices_after(
    tx: &mut Tx,
    actor: &Actor,
    id: PriceListId,
    after: Option<store::After>,
) -> Result<Option<(store::After, Vec<ExportedPrice>)>> {
    let list = price_list(tx, actor, id)?;
    let row = |price: ListedPrice| {
        let ListedPrice { sku, min_quantity, valid_from, valid_until, price: PricePer { price, per } } = price;
        ExportedPrice {
            price_list: list.code.clone(),
            sku,
            min_quantity,
            unit_price: price,
            per,
            valid_from,
            valid_until,
        }
    };
    let found = store::prices_after(tx, &list, after, PIECE)?;
    Ok(found.map(|(last, prices)| (last, prices.into_iter().map(row).collect())))
}

fn variants_of(tx: &mut Tx, change: &PriceChange) -> Result<HashMap<String, VariantId>> {
    let named = change.rows.iter().map(|row| &row.sku).chain(change.remove.iter().map(|key| &key.sku));
    let skus: HashSet<String> = named.map(ToString::to_string).collect();
    let found = catalog::by_skus(tx, &skus.into_iter().collect::<Vec<_>>())?;
    Ok(found.into_iter().map(|variant| (variant.sku, variant.id)).collect())
}

/// All tax rates, oldest first.
///
/// # Errors
/// What the database says.
pub fn tax_rates(tx: &mut Tx) -> Result<Vec<TaxRate>> {
    store::tax_rates(tx)
}

/// Makes a tax rate.
///
/// # Errors
/// `duplicate` when the country has one for the class from the same time on.
pub fn create_tax_rate(tx: &mut Tx, now: Instant, actor: &Actor, id: TaxRateId, new: &NewTaxRate) -> Result<TaxRate> {
    may_change(actor, None)?;
    check_window(new.valid_from, new.valid_until, "")?;
    let rate = TaxRate {
        id,
        country: new.country,
        tax_class: new.tax_class.to_string(),
        rate: new.rate.0,
        valid_from: new.valid_from,
        valid_until: new.valid_until,
    };
    on_duplicate(store::insert_tax_rate(tx, now, &rate), || {
        let detail = format!("{} has a rate for `{}` from the same time on", rate.country, rate.tax_class);
        Error::problem(Code::Duplicate, detail).at("/valid_from")
    })?;
    bump::<Rules>(tx)?;
    Ok(rate)
}

/// Removes a tax rate. What was ordered keeps the rate it was ordered with.
///
/// # Errors
/// `not_found`.
pub fn delete_tax_rate(tx: &mut Tx, actor: &Actor, id: TaxRateId) -> Result<()> {
    may_change(actor, None)?;
    if !store::delete_tax_rate(tx, id)? {
        return Err(Error::not_found("tax rate"));
    }
    bump::<Rules>(tx)
}

/// The shipping methods of an actor's channels with their versions, oldest first.
///
/// # Errors
/// What the database says.
pub fn shipping_methods(tx: &mut Tx, actor: &Actor) -> Result<Vec<(ShippingMethod, i64)>> {
    let mut methods = store::shipping_methods(tx)?;
    methods.retain(|(method, _)| actor.sees_channel(method.channel));
    Ok(methods)
}

/// A shipping method of an actor's channels with its version.
///
/// # Errors
/// `not_found`.
pub fn shipping_method(tx: &mut Tx, actor: &Actor, id: ShippingMethodId) -> Result<(ShippingMethod, i64)> {
    let found = shipping_methods(tx, actor)?.into_iter().find(|(method, _)| method.id == id);
    found.ok_or_else(|| Error::not_found("shipping method"))
}

/// What a channel sells in, and where.
#[derive(Debug, Clone)]
pub struct Market {
    /// Its currencies.
    pub currencies: Vec<Currency>,
    /// Its countries.
    pub countries: Vec<Country>,
}

/// The markets of channels, which are another slice's business that hands them in; `None` where there is no such channel.
#[derive(Clone, Copy)]
pub struct Markets(pub fn(&mut Tx, ChannelId) -> Result<Option<Market>>);

impl Markets {
    /// Refuses rates that no cart of the channel could ever get.
    fn check(self, tx: &mut Tx, method: &ShippingMethod) -> Result<()> {
        let Some(market) = self.0(tx, method.channel)? else { return Ok(()) };
        for (place, rate) in method.rates.iter().enumerate() {
            if !market.currencies.contains(&rate.currency) {
                let detail = format!("this channel does not sell in {}", rate.currency);
                return Err(Error::problem(Code::CurrencyNotSold, detail).at(format!("/rates/{place}/price/currency")));
            }
            let mut countries = rate.countries.iter().enumerate();
            if let Some((at, country)) = countries.find(|(_, country)| !market.countries.contains(country)) {
                let detail = format!("this channel does not deliver to {country}");
                let error = Error::problem(Code::CountryNotServed, detail);
                return Err(error.at(format!("/rates/{place}/countries/{at}")));
            }
        }
        Ok(())
    }
}

/// That goods can be picked up where a shipping method says.
///
/// # Errors
/// `not_found` for a location that is not there, or not the actor's.
pub(super) fn check_pickup(actor: &Actor, locations: &Locations, place: Option<LocationId>) -> Result<()> {
    let known = place.is_none_or(|id| locations.get(id).is_ok() && actor.sees_location(id));
    if known { Ok(()) } else { Err(Error::not_found("location").at("/pickup_location_id")) }
}

/// Makes a shipping method.
///
/// # Errors
/// `duplicate` when the channel has one with the code, `not_found` when the channel is not there; `currency_not_sold`,
/// `country_not_served`.
pub fn create_shipping_method(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    markets: Markets,
    id: ShippingMethodId,
    new: &NewShippingMethod,
) -> Result<ShippingMethod> {
    may_change(actor, Some(new.channel_id))?;
    let method = new.check(id)?;
    markets.check(tx, &method)?;
    let taken = || {
        let detail = format!("the channel has a shipping method with the code `{}` already", method.code);
        Error::problem(Code::Duplicate, detail).at("/code")
    };
    channel_exists(on_duplicate(store::insert_shipping_method(tx, now, &method), taken))?;
    bump::<Rules>(tx)?;
    Ok(method)
}

/// Changes a shipping method. `expected` is the version that the caller has seen.
///
/// # Errors
/// `not_found`; `version_stale` when it has changed since; `currency_not_sold`, `country_not_served`.
pub fn update_shipping_method(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    markets: Markets,
    id: ShippingMethodId,
    expected: Option<i64>,
    patch: &ShippingMethodPatch,
) -> Result<(ShippingMethod, i64)> {
    let (mut method, version) = current_method(tx, actor, id, expected)?;
    patch.apply(&mut method)?;
    // What was made before the channel changed is its own affair until somebody changes it.
    if patch.rates.is_some() {
        markets.check(tx, &method)?;
    }
    if !store::update_shipping_method(tx, now, &method, version)? {
        return Err(Error::overtaken("the shipping method"));
    }
    bump::<Rules>(tx)?;
    Ok((method, version + 1))
}

/// Removes a shipping method. What was ordered keeps its name and price.
///
/// # Errors
/// `not_found`; `version_stale` when it has changed since.
pub fn delete_shipping_method(tx: &mut Tx, actor: &Actor, id: ShippingMethodId, expected: Option<i64>) -> Result<()> {
    let (_, version) = current_method(tx, actor, id, expected)?;
    if !store::delete_shipping_method(tx, id, version)? {
        return Err(Error::overtaken("the shipping method"));
    }
    bump::<Rules>(tx)
}

fn current_method(
    tx: &mut Tx,
    actor: &Actor,
    id: ShippingMethodId,
    expected: Option<i64>,
) -> Result<(ShippingMethod, i64)> {
    let (method, version) = shipping_method(tx, actor, id)?;
    if expected.is_some_and(|expected| expected != version) {
        return Err(Error::stale("shipping method", version));
    }
    Ok((method, version))
}
