//! The only file that touches `price_lists`, `prices`, `tax_rates` and `shipping_methods`. Prices are written by
//! [`super::history`] alone, which records what changes.

use std::collections::{BTreeSet, HashMap};

use diesel::sql_types::{BigInt, Nullable, Text};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    contracts::ContractTerms,
    history::model::{Key, Price},
    promotions,
    quote::Rules,
    rates::{Audience, ListKind, PriceList, PriceRow, ShippingMethod, ShippingRate, TaxRate, Transit},
};
use crate::{
    db::{Col, Doc, DocSql, InstantSql, Json, Snapshot, Tx, UidSql, dialect, snapshot_version, sql},
    error::{Error, Result},
    kernel::{
        Country, Currency, Instant, Per, PricePer, Quantity,
        ids::{ChannelId, CompanyId, CustomerId, LocationId, PriceListId, ShippingMethodId, TaxRateId, VariantId},
    },
};

impl Snapshot for Rules {
    const NAME: &'static str = "pricing";

    fn load(tx: &mut Tx) -> Result<Self> {
        Ok(Self {
            price_lists: price_lists(tx)?.into(),
            tax_rates: tax_rates(tx)?.into(),
            shipping_methods: shipping_methods(tx)?.into_iter().map(|(method, _)| method).collect::<Vec<_>>().into(),
            promotions: promotions::service::current(tx)?.into(),
            promotion_runs: promotions::runs::known(tx)?.into(),
            version: snapshot_version::<Self>(tx)?,
        })
    }
}

/// What stands in a key's `valid_from` where it is open: a part of a key can not be NULL.
pub(super) fn or_epoch(valid_from: Option<Instant>) -> Instant {
    valid_from.unwrap_or_else(|| Instant::from_micros(0))
}

pub(super) fn open_at_epoch(valid_from: Instant) -> Option<Instant> {
    (valid_from != Instant::from_micros(0)).then_some(valid_from)
}

#[rustfmt::skip]
type PriceListColumns =
    (UidSql, Text, Text, Text, Nullable<UidSql>, Nullable<UidSql>, Nullable<UidSql>, Nullable<Text>, Text, Nullable<InstantSql>, BigInt, Nullable<InstantSql>, Nullable<InstantSql>, BigInt, Nullable<DocSql>);
#[rustfmt::skip]
type PriceListRow =
    (PriceListId, String, String, Currency, Option<ChannelId>, Option<CustomerId>, Option<CompanyId>, Option<String>, ListKind, Option<Instant>, i64, Option<Instant>, Option<Instant>, i64, Option<Doc<ContractTerms>>);
const PRICE_LIST: &str = "id, code, name, currency, channel_id, customer_id, company_id, customer_group, kind, announced_at, priority, valid_from, valid_until, version, terms";

fn price_list_of(row: PriceListRow) -> Result<PriceList> {
    let (
        id,
        code,
        name,
        currency,
        channel,
        customer,
        company,
        group,
        kind,
        announced_at,
        priority,
        valid_from,
        valid_until,
        version,
        terms,
    ) = row;
    let priority = i32::try_from(priority).map_err(Error::internal)?;
    // One of them at most, as a CHECK of the table has it.
    let named = customer.map(Audience::Customer).or(company.map(Audience::Company));
    let audience = named.or(group.map(Audience::Group)).unwrap_or_default();
    Ok(PriceList {
        id,
        code,
        name,
        currency,
        channel,
        audience,
        kind,
        announced_at,
        priority,
        valid_from,
        valid_until,
        terms: terms.map(|Doc(terms)| terms),
        version,
    })
}

/// All price lists, oldest first.
pub(super) fn price_lists(tx: &mut Tx) -> Result<Vec<PriceList>> {
    let query = sql(format!("SELECT {PRICE_LIST} FROM price_lists ORDER BY id"));
    query.load::<PriceListColumns, PriceListRow>(tx)?.into_iter().map(price_list_of).collect()
}

/// One price list.
pub(super) fn price_list(tx: &mut Tx, id: PriceListId) -> Result<Option<PriceList>> {
    let query = sql(format!("SELECT {PRICE_LIST} FROM price_lists WHERE id = ?"));
    query.bind(id).first::<PriceListColumns, PriceListRow>(tx)?.map(price_list_of).transpose()
}

pub(super) fn insert_price_list(tx: &mut Tx, now: Instant, list: &PriceList) -> Result<()> {
    sql(format!(
        "INSERT INTO price_lists ({PRICE_LIST}, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    ))
    .bind(list.id)
    .bind(list.code.as_str())
    .bind(list.name.as_str())
    .bind(list.currency)
    .bind(list.channel)
    .bind(list.audience.customer())
    .bind(list.audience.company())
    .bind(list.audience.group().map(str::to_owned))
    .bind(list.kind.as_str())
    .bind(list.announced_at)
    .bind(list.priority)
    .bind(list.valid_from)
    .bind(list.valid_until)
    .bind(list.version)
    .bind(list.terms.as_ref().map(Json::of).transpose()?)
    .bind(now)
    .bind(now)
    .execute(tx)?;
    Ok(())
}

/// Replaces what can change of a list when it still has the given version. False when it has not.
pub(super) fn update_price_list(tx: &mut Tx, now: Instant, list: &PriceList, version: i64) -> Result<bool> {
    let update = sql(
        "UPDATE price_lists SET name = ?, announced_at = ?, priority = ?, valid_from = ?, valid_until = ?, terms = ?, \
         version = version + 1, updated_at = ? WHERE id = ? AND version = ?",
    )
    .bind(list.name.as_str())
    .bind(list.announced_at)
    .bind(list.priority)
    .bind(list.valid_from)
    .bind(list.valid_until)
    .bind(list.terms.as_ref().map(Json::of).transpose()?)
    .bind(now)
    .bind(list.id)
    .bind(version);
    Ok(update.execute(tx)? == 1)
}

type PriceColumns = (UidSql, UidSql, BigInt, InstantSql, Nullable<InstantSql>, BigInt, BigInt, Text);
type PriceTuple = (VariantId, PriceListId, Quantity, Instant, Option<Instant>, i64, Per, Currency);

/// The prices of variants in all lists. A price's currency is its list's, which is one look-up by key away.
pub(super) fn prices(tx: &mut Tx, variants: &[VariantId]) -> Result<HashMap<VariantId, Vec<PriceRow>>> {
    let wanted: BTreeSet<VariantId> = variants.iter().copied().collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let source = dialect::list(tx, &[("variant", Col::Uid)]);
    let query = sql(format!(
        "SELECT p.variant_id, p.price_list_id, p.min_quantity, p.valid_from, p.valid_until, p.amount, p.per, l.currency \
         FROM {source} JOIN prices p ON p.variant_id = list.variant JOIN price_lists l ON l.id = p.price_list_id"
    ))
    .bind(dialect::rows(wanted.iter().map(|id| json!([id.hex()])).collect()));
    let mut found: HashMap<VariantId, Vec<PriceRow>> = HashMap::with_capacity(wanted.len());
    for (variant, list, min_quantity, valid_from, valid_until, amount, per, currency) in
        query.load::<PriceColumns, PriceTuple>(tx)?
    {
        let price = PricePer::from_scaled(amount, currency, per);
        let row = PriceRow { list, min_quantity, price, valid_from: open_at_epoch(valid_from), valid_until };
        found.entry(variant).or_default().push(row);
    }
    Ok(found)
}

/// The next variants that have a price in one of these lists, in the order of their ids.
pub(super) fn variants_in(
    tx: &mut Tx,
    lists: &[PriceListId],
    after: Option<VariantId>,
    limit: i64,
) -> Result<Vec<VariantId>> {
    if lists.is_empty() {
        return Ok(Vec::new());
    }
    let source = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = sql(format!(
        "SELECT DISTINCT variant_id FROM prices WHERE price_list_id IN (SELECT wanted FROM {source}) AND variant_id > ? \
         ORDER BY variant_id LIMIT ?"
    ));
    let rows = dialect::rows(lists.iter().map(|id| json!([id.hex()])).collect());
    query.bind(rows).bind(after.unwrap_or(VariantId::from_bytes([0; 16]))).bind(limit).load::<UidSql, VariantId>(tx)
}

/// The columns of a price's key in a list of keys.
const KEY: [(&str, Col); 4] =
    [("variant", Col::Uid), ("price_list", Col::Uid), ("least", Col::Int), ("begins", Col::At)];

fn key_columns(key: &Key) -> (String, String, i64, String) {
    let begins = or_epoch(key.valid_from).sortable();
    (key.variant.hex(), key.list.hex(), key.min_quantity.get(), begins)
}

fn key_rows(mut keys: Vec<Key>) -> Result<Json> {
    keys.sort_unstable();
    Json::of(&keys.iter().map(key_columns).collect::<Vec<_>>())
}

/// Locks price lists until the end of the transaction, in the order of their ids.
pub(super) fn lock_lists(tx: &mut Tx, lists: &BTreeSet<PriceListId>) -> Result<()> {
    if lists.is_empty() {
        return Ok(());
    }
    let (source, lock) = (dialect::list(tx, &[("price_list", Col::Uid)]), dialect::for_update(tx));
    let query = format!("SELECT l.id FROM {source} JOIN price_lists l ON l.id = list.price_list ORDER BY l.id{lock}");
    let rows = dialect::rows(lists.iter().map(|list| json!([list.hex()])).collect());
    sql(query).bind(rows).load::<UidSql, PriceListId>(tx)?;
    Ok(())
}

/// Sets prices, each key at most once, with one statement; rows are locked in the order of their keys.
pub(super) fn upsert_prices(tx: &mut Tx, now: Instant, mut rows: Vec<(Key, Price)>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_unstable_by_key(|(key, _)| *key);
    let [variant, list, least, begins] = KEY;
    let own = [("ends", Col::At), ("amount", Col::Int), ("pieces", Col::Int)];
    let source = dialect::list(tx, &[&[variant, list, least, begins][..], &own].concat());
    // `WHERE true` tells SQLite's parser that ON CONFLICT does not belong to a join.
    let statement = sql(format!(
        "INSERT INTO prices (variant_id, price_list_id, min_quantity, valid_from, valid_until, amount, per, updated_at) \
         SELECT variant, price_list, least, begins, ends, amount, pieces, ? FROM {source} WHERE true ORDER BY ord \
         ON CONFLICT (variant_id, price_list_id, min_quantity, valid_from) DO UPDATE \
         SET valid_until = excluded.valid_until, amount = excluded.amount, per = excluded.per, \
           updated_at = excluded.updated_at"
    ));
    let row = |(key, price): &(Key, Price)| {
        let (variant, list, least, begins) = key_columns(key);
        (variant, list, least, begins, price.valid_until.map(Instant::sortable), price.amount, price.per)
    };
    statement.bind(now).bind(Json::of(&rows.iter().map(row).collect::<Vec<_>>())?).execute(tx)?;
    Ok(())
}

/// Which of these prices there are, and what they are.
pub(super) fn known_prices(tx: &mut Tx, keys: Vec<Key>) -> Result<HashMap<Key, Price>> {
    type Columns = (UidSql, UidSql, BigInt, InstantSql, Nullable<InstantSql>, BigInt, BigInt);
    type Row = (VariantId, PriceListId, Quantity, Instant, Option<Instant>, i64, Per);
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let source = dialect::list(tx, &KEY);
    let query = sql(format!(
        "SELECT p.variant_id, p.price_list_id, p.min_quantity, p.valid_from, p.valid_until, p.amount, p.per \
         FROM {source} JOIN prices p ON p.variant_id = list.variant AND p.price_list_id = list.price_list \
         AND p.min_quantity = list.least AND p.valid_from = list.begins"
    ));
    let rows = query.bind(key_rows(keys)?).load::<Columns, Row>(tx)?;
    let known = rows.into_iter().map(|(variant, list, min_quantity, valid_from, valid_until, amount, per)| {
        let key = Key { variant, list, min_quantity, valid_from: open_at_epoch(valid_from) };
        (key, Price { amount, per, valid_until })
    });
    Ok(known.collect())
}

/// Removes prices.
pub(super) fn delete_prices(tx: &mut Tx, keys: Vec<Key>) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let source = dialect::list(tx, &KEY);
    let statement = sql(format!(
        "DELETE FROM prices WHERE (variant_id, price_list_id, min_quantity, valid_from) IN \
         (SELECT variant, price_list, least, begins FROM {source})"
    ));
    statement.bind(key_rows(keys)?).execute(tx)?;
    Ok(())
}

/// A price of a list as it is shown: by SKU.
pub(super) struct ListedPrice {
    pub sku: String,
    pub min_quantity: Quantity,
    pub valid_from: Option<Instant>,
    pub valid_until: Option<Instant>,
    pub price: PricePer,
}

/// Where a page of [`prices_of`] goes on: the last SKU, quantity and beginning of the page before.
pub(super) type After = (String, i64, Option<Instant>);

/// The prices of one list by SKU, quantity and beginning.
///
/// It reads the SKU where the catalogue keeps it, since a page in the order of SKUs is not to be had without the join;
/// CROSS JOIN makes SQLite walk the SKUs and look up each one's prices by key.
pub(super) fn prices_of(tx: &mut Tx, list: &PriceList, after: Option<After>, limit: i64) -> Result<Vec<ListedPrice>> {
    prices_among(tx, list, &[], after, limit)
}

/// The same of these SKUs alone, or of all where none is named.
pub(super) fn prices_among(
    tx: &mut Tx,
    list: &PriceList,
    skus: &[String],
    after: Option<After>,
    limit: i64,
) -> Result<Vec<ListedPrice>> {
    let (sku, min_quantity, valid_from) = after.unwrap_or_default();
    let among = match skus {
        [] => String::new(),
        _ => format!("AND v.sku IN (SELECT named FROM {}) ", dialect::list(tx, &[("named", Col::Text)])),
    };
    let named = (!skus.is_empty()).then(|| dialect::rows(skus.iter().map(|sku| json!([sku])).collect()));
    let query = sql(format!(
        "SELECT v.sku, p.min_quantity, p.valid_from, p.valid_until, p.amount, p.per \
         FROM variants v CROSS JOIN prices p WHERE p.variant_id = v.id AND p.price_list_id = ? AND v.sku >= ? \
         AND (v.sku, p.min_quantity, p.valid_from) > (?, ?, ?) {among}ORDER BY v.sku, p.min_quantity, p.valid_from LIMIT ?"
    ))
    .bind(list.id)
    .bind(sku.as_str())
    .bind(sku.as_str())
    .bind(min_quantity)
    .bind(or_epoch(valid_from))
    .bind_all(named)
    .bind(limit);
    type Columns = (Text, BigInt, InstantSql, Nullable<InstantSql>, BigInt, BigInt);
    type Row = (String, Quantity, Instant, Option<Instant>, i64, Per);
    let rows = query.load::<Columns, Row>(tx)?;
    let listed = rows.into_iter().map(|(sku, min_quantity, valid_from, valid_until, amount, per)| {
        let price = PricePer::from_scaled(amount, list.currency, per);
        ListedPrice { sku, min_quantity, valid_from: open_at_epoch(valid_from), valid_until, price }
    });
    Ok(listed.collect())
}

/// The next prices of a list in the same order, with the place of the last that was looked at; `None` at its end. However few
/// articles have a price in the list, no more than so many are looked at, and no more prices are given.
pub(super) fn prices_after(
    tx: &mut Tx,
    list: &PriceList,
    after: Option<After>,
    most: i64,
) -> Result<Option<(After, Vec<ListedPrice>)>> {
    type Columns = (Text, BigInt, InstantSql, Nullable<InstantSql>, Nullable<BigInt>, Nullable<BigInt>);
    type Row = (String, Quantity, Instant, Option<Instant>, Option<i64>, Option<Per>);
    let (sku, min_quantity, valid_from) = after.unwrap_or_default();
    // An article without a price is a row too, from 0 pieces on: so the place moves on where there are none.
    let query = sql("SELECT sku, least, begins, valid_until, amount, per FROM ( \
           SELECT v.sku, coalesce(p.min_quantity, 0) AS least, coalesce(p.valid_from, ?) AS begins, p.valid_until, p.amount, p.per \
           FROM (SELECT id, sku FROM variants WHERE sku >= ? ORDER BY sku LIMIT ?) AS v \
           LEFT JOIN prices AS p ON p.variant_id = v.id AND p.price_list_id = ?) AS found \
         WHERE (sku, least, begins) > (?, ?, ?) ORDER BY sku, least, begins LIMIT ?")
    .bind(or_epoch(None))
    .bind(sku.as_str())
    .bind(most)
    .bind(list.id)
    .bind(sku.as_str())
    .bind(min_quantity)
    .bind(or_epoch(valid_from))
    .bind(most);
    let rows = query.load::<Columns, Row>(tx)?;
    let Some((sku, least, begins, ..)) = rows.last() else { return Ok(None) };
    let last = (sku.clone(), least.get(), open_at_epoch(*begins));
    let listed = rows.into_iter().filter_map(|(sku, min_quantity, valid_from, valid_until, amount, per)| {
        let price = PricePer::from_scaled(amount?, list.currency, per?);
        Some(ListedPrice { sku, min_quantity, valid_from: open_at_epoch(valid_from), valid_until, price })
    });
    Ok(Some((last, listed.collect())))
}

/// All tax rates, oldest first.
pub(super) fn tax_rates(tx: &mut Tx) -> Result<Vec<TaxRate>> {
    type Columns = (UidSql, Text, Text, Text, InstantSql, Nullable<InstantSql>);
    type Row = (TaxRateId, Country, String, String, Instant, Option<Instant>);
    let query = sql("SELECT id, country, tax_class, rate, valid_from, valid_until FROM tax_rates ORDER BY id");
    let read = |(id, country, tax_class, rate, valid_from, valid_until): Row| {
        let rate = rate.parse().map_err(Error::internal)?;
        Ok(TaxRate { id, country, tax_class, rate, valid_from: open_at_epoch(valid_from), valid_until })
    };
    query.load::<Columns, Row>(tx)?.into_iter().map(read).collect()
}

pub(super) fn insert_tax_rate(tx: &mut Tx, now: Instant, rate: &TaxRate) -> Result<()> {
    sql("INSERT INTO tax_rates (id, country, tax_class, rate, valid_from, valid_until, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?)")
    .bind(rate.id)
    .bind(rate.country)
    .bind(rate.tax_class.as_str())
    .bind(rate.rate.normalize().to_string())
    .bind(or_epoch(rate.valid_from))
    .bind(rate.valid_until)
    .bind(now)
    .execute(tx)?;
    Ok(())
}

/// False when it is not there.
pub(super) fn delete_tax_rate(tx: &mut Tx, id: TaxRateId) -> Result<bool> {
    Ok(sql("DELETE FROM tax_rates WHERE id = ?").bind(id).execute(tx)? == 1)
}

/// What is kept of a shipping method as one document.
#[derive(Debug, Serialize, Deserialize)]
struct ShippingDoc {
    name: String,
    active: bool,
    tax_class: String,
    rates: Vec<ShippingRate>,
    delivery_days: Option<(i32, i32)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    transit: Vec<Transit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pickup: Option<LocationId>,
}

fn shipping_doc(method: &ShippingMethod) -> Result<Doc<serde_json::Value>> {
    let doc = ShippingDoc {
        name: method.name.clone(),
        active: method.active,
        tax_class: method.tax_class.clone(),
        rates: method.rates.clone(),
        delivery_days: method.delivery_days,
        transit: method.transit.clone(),
        pickup: method.pickup,
    };
    Ok(Doc(serde_json::to_value(doc)?))
}

/// All shipping methods with their versions, oldest first.
pub(super) fn shipping_methods(tx: &mut Tx) -> Result<Vec<(ShippingMethod, i64)>> {
    type Row = (ShippingMethodId, ChannelId, String, Doc<ShippingDoc>, i64);
    let query = sql("SELECT id, channel_id, code, doc, version FROM shipping_methods ORDER BY id");
    let read = |(id, channel, code, Doc(doc), version): Row| {
        let ShippingDoc { name, active, tax_class, rates, delivery_days, transit, pickup } = doc;
        (ShippingMethod { id, code, name, channel, active, tax_class, rates, delivery_days, transit, pickup }, version)
    };
    Ok(query.load::<(UidSql, UidSql, Text, DocSql, BigInt), Row>(tx)?.into_iter().map(read).collect())
}

pub(super) fn insert_shipping_method(tx: &mut Tx, now: Instant, method: &ShippingMethod) -> Result<()> {
    sql("INSERT INTO shipping_methods (id, channel_id, code, doc, version, created_at, updated_at) \
         VALUES (?, ?, ?, ?, 1, ?, ?)")
    .bind(method.id)
    .bind(method.channel)
    .bind(method.code.as_str())
    .bind(shipping_doc(method)?)
    .bind(now)
    .bind(now)
    .execute(tx)?;
    Ok(())
}

/// Replaces what can change of a method when it still has the given version. False when it has not.
pub(super) fn update_shipping_method(tx: &mut Tx, now: Instant, method: &ShippingMethod, version: i64) -> Result<bool> {
    let update =
        sql("UPDATE shipping_methods SET doc = ?, version = version + 1, updated_at = ? WHERE id = ? AND version = ?")
            .bind(shipping_doc(method)?)
            .bind(now)
            .bind(method.id)
            .bind(version);
    Ok(update.execute(tx)? == 1)
}

/// Removes a method when it still has the given version. False when it has not.
pub(super) fn delete_shipping_method(tx: &mut Tx, id: ShippingMethodId, version: i64) -> Result<bool> {
    let delete = sql("DELETE FROM shipping_methods WHERE id = ? AND version = ?").bind(id).bind(version);
    Ok(delete.execute(tx)? == 1)
}

/// Whether a row that is referred to is not there: of the tables here only channels are named from outside.
pub(super) fn is_missing_reference(error: &Error) -> bool {
    use diesel::result::{DatabaseErrorKind::ForeignKeyViolation, Error::DatabaseError};
    matches!(error, Error::Database(DatabaseError(ForeignKeyViolation, _)))
}
