//! The shop that the documents are placed in: made through the API where it is not there yet.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    Mapping, Plan, Variant,
    remote::{Remote, escaped, text},
};
use crate::{
    error::{Error, Result},
    kernel::{Country, Currency},
};

/// The code of the shipping method: the file's postage is a line of its own, so shipping costs nothing beside it.
pub(super) const SHIPPING: &str = "historical";

/// The shop as the documents need it.
#[derive(Debug, Clone)]
pub(super) struct Shop {
    /// The channel's id.
    pub channel: String,
    /// The channel's code; also the name of the foreign system, of the legal entity and, unless the mapping names others, of the
    /// location.
    pub code: String,
    /// Where goods come back to: the location that has the most.
    pub returns_to: String,
    /// Whether orders were placed in it before.
    pub used: bool,
    /// Whether its prices include tax.
    pub prices_include_tax: bool,
    /// Whether tax comes on top of them.
    pub taxed_on_top: bool,
}

/// Makes what is missing.
pub(super) async fn shop(remote: &Remote, plan: &Plan, mapping: &Mapping) -> Result<Shop> {
    let code = mapping.channel.trim();
    let zone = mapping.date.zone.name();
    let home = mapping.countries.default.or_else(|| most_frequent(plan)).unwrap_or(Country::DEFAULT);
    let entity = json!({"code": code, "name": code, "country": home, "time_zone": zone});
    let entity = found_or_made(remote, "/v1/ops/legal-entities", code, &entity).await?;
    let channel = json!({
        "code": code, "name": code, "legal_entity_id": text(&entity, "/id")?,
        "settings": {
            "currencies": currencies(plan, mapping), "locales": ["en"], "countries": countries(plan, home),
            "time_zone": zone, "prices_include_tax": mapping.tax.prices_include_tax,
            "rounding": {"point": "per_line", "strategy": mapping.rounding}, "payment_methods": ["manual"],
        }
    });
    let channel = found_or_made(remote, "/v1/ops/channels", code, &channel).await?;
    serves(&channel, plan, mapping)?;
    let id = text(&channel, "/id")?;
    taxes(remote, plan, mapping, home).await?;
    shipping(remote, plan, mapping, &id).await?;
    let places = places(mapping);
    for (place, priority) in places.iter().zip(100..) {
        let location =
            json!({"code": place.0, "name": place.0, "country": home, "time_zone": zone, "priority": priority});
        found_or_made(remote, "/v1/ops/locations", place.0, &location).await?;
    }
    let variants: Vec<Value> = plan.variants.values().map(variant).collect();
    for some in variants.chunks(10_000) {
        remote.rows("/v1/integration/variants", some).await?;
    }
    for currency in &currencies(plan, mapping) {
        prices(remote, plan, *currency, code, &id).await?;
    }
    stock(remote, plan, &places).await?;
    let orders = remote.get(&format!("/v1/ops/orders?channel_id={id}&limit=1")).await?.done()?;
    let used = orders.pointer("/items/0").is_some();
    let taxed = mapping.tax.is_taxed();
    let prices_include_tax = mapping.tax.prices_include_tax;
    Ok(Shop {
        channel: id,
        code: code.to_owned(),
        returns_to: places.first().map_or(code, |(place, _)| *place).to_owned(),
        used,
        prices_include_tax,
        taxed_on_top: taxed && !prices_include_tax,
    })
}

async fn found_or_made(remote: &Remote, path: &str, code: &str, new: &Value) -> Result<Value> {
    let found = remote.list(path).await?;
    match found.into_iter().find(|item| item.get("code").and_then(Value::as_str) == Some(code)) {
        Some(found) => Ok(found),
        None => remote.post(path, new).await?.done(),
    }
}

fn currencies(plan: &Plan, mapping: &Mapping) -> BTreeSet<Currency> {
    let mut currencies = plan.currencies.clone();
    if currencies.is_empty() {
        currencies.insert(mapping.currency);
    }
    currencies
}

fn countries(plan: &Plan, home: Country) -> Vec<Country> {
    let others = plan.countries.keys().copied().filter(|country| *country != home);
    std::iter::once(home).chain(others).collect()
}

fn most_frequent(plan: &Plan) -> Option<Country> {
    plan.countries.iter().max_by_key(|(_, documents)| **documents).map(|(country, _)| *country)
}

/// A channel that was there before must sell as the file did.
fn serves(channel: &Value, plan: &Plan, mapping: &Mapping) -> Result<()> {
    let has = |list: &str, word: &str| {
        let listed = channel.get(list).and_then(Value::as_array);
        listed.is_some_and(|listed| listed.iter().any(|item| item.as_str() == Some(word)))
    };
    let lacks = |what: String| {
        let channel = &mapping.channel;
        Err(Error::internal(format!(
            "the channel `{channel}` is there already and {what}: change it, or name another one"
        )))
    };
    if let Some(currency) = plan.currencies.iter().find(|currency| !has("currencies", currency.code())) {
        return lacks(format!("does not sell in {currency}"));
    }
    if let Some(country) = plan.countries.keys().find(|country| !has("countries", country.as_str())) {
        return lacks(format!("does not deliver to {country}"));
    }
    match channel.get("prices_include_tax") == Some(&json!(mapping.tax.prices_include_tax)) {
        true => Ok(()),
        false => lacks("its prices include tax, or not, unlike the file's".to_owned()),
    }
}

/// The rate of each country for each tax class that is sold.
async fn taxes(remote: &Remote, plan: &Plan, mapping: &Mapping, home: Country) -> Result<()> {
    let mut known: BTreeMap<(String, String), Decimal> = BTreeMap::new();
    for rate in remote.list("/v1/ops/tax-rates").await? {
        let percent: Decimal = text(&rate, "/rate")?.parse().map_err(Error::internal)?;
        known.insert((text(&rate, "/country")?, text(&rate, "/tax_class")?), percent);
    }
    let mut classes: BTreeSet<&str> = plan.variants.values().map(|variant| variant.tax_class.as_str()).collect();
    classes.insert(&mapping.tax.class);
    for country in countries(plan, home) {
        for class in &classes {
            let rate = mapping.tax.rate_of(country, class) / Decimal::ONE_HUNDRED;
            match known.get(&(country.to_string(), (*class).to_owned())) {
                Some(same) if *same == rate => {}
                Some(other) => {
                    return Err(Error::internal(format!(
                        "the tax rate of {country} for `{class}` is {other} here and {rate} in the mapping: name another \
                         class under `tax`, or use a database of its own"
                    )));
                }
                None => {
                    let new = json!({"country": country, "tax_class": class, "rate": rate.normalize().to_string()});
                    remote.post("/v1/ops/tax-rates", &new).await?.done()?;
                }
            }
        }
    }
    Ok(())
}

async fn shipping(remote: &Remote, plan: &Plan, mapping: &Mapping, channel: &str) -> Result<()> {
    let is_ours = |method: &Value| {
        let has = |field: &str, word: &str| method.get(field).and_then(Value::as_str) == Some(word);
        has("code", SHIPPING) && has("channel_id", channel)
    };
    if remote.list("/v1/ops/shipping-methods").await?.iter().any(is_ours) {
        return Ok(());
    }
    let free = |currency: &Currency| json!({"price": {"amount": "0", "currency": currency}});
    let rates: Vec<Value> = currencies(plan, mapping).iter().map(free).collect();
    let method = json!({
        "channel_id": channel, "code": SHIPPING, "name": "As in the old shop", "tax_class": mapping.tax.class, "rates": rates,
    });
    remote.post("/v1/ops/shipping-methods", &method).await?.done().map(|_| ())
}

fn variant(variant: &Variant) -> Value {
    let service = variant.kind.is_service();
    json!({
        "sku": variant.sku, "name": variant.name, "tax_class": variant.tax_class, "requires_shipping": !service,
        "stock_policy": if service { "untracked" } else { "tracked" },
    })
}

/// The first price of each article as its list price. Orders are placed at the file's own prices.
async fn prices(remote: &Remote, plan: &Plan, currency: Currency, code: &str, channel: &str) -> Result<()> {
    let list_code = format!("{code}-{}", currency.code().to_lowercase());
    let list =
        json!({"code": list_code, "name": format!("{code}, {currency}"), "currency": currency, "channel_id": channel});
    let list = found_or_made(remote, "/v1/ops/price-lists", &list_code, &list).await?;
    let path = format!("/v1/ops/price-lists/{}/prices", text(&list, "/id")?);
    let row = |variant: &Variant| {
        let price = variant.prices.get(&currency)?;
        Some(json!({"sku": variant.sku, "min_quantity": 1, "unit_price": price}))
    };
    let rows: Vec<Value> = plan.variants.values().filter_map(row).collect();
    for some in rows.chunks(1000) {
        remote.put(&path, &json!({"rows": some})).await?.done()?;
    }
    Ok(())
}

/// Where the goods lie, with how many per cent of them; most first.
fn places(mapping: &Mapping) -> Vec<(&str, i64)> {
    let mut places: Vec<(&str, i64)> =
        mapping.locations.iter().map(|(code, share)| (code.as_str(), i64::from(*share))).collect();
    if places.is_empty() {
        places.push((mapping.channel.trim(), 100));
    }
    places.sort_by_key(|(_, share)| std::cmp::Reverse(*share));
    places
}

/// How much of an article lies at each place: whole pieces, all of them together.
fn shared(pieces: i64, places: &[(&str, i64)]) -> Vec<i64> {
    let (mut given, mut shares) = (0, 0);
    let part = |(_, share): &(&str, i64)| {
        shares += share;
        // What is due up to here, less what was given before: nothing is lost to rounding.
        let part = pieces * shares / 100 - given;
        given += part;
        part
    };
    places.iter().map(part).collect()
}

/// Opening stock: as much of each article as was ever sold, on the day before the first document, shared out among the places. An
/// article that has a level anywhere has had it.
async fn stock(remote: &Remote, plan: &Plan, places: &[(&str, i64)]) -> Result<()> {
    let mut known: HashSet<String> = HashSet::new();
    for (place, _) in places {
        let levels = remote.list(&format!("/v1/ops/stock/levels?location={}", escaped(place))).await?;
        known.extend(levels.iter().filter_map(|level| Some(level.get("sku")?.as_str()?.to_owned())));
    }
    let wanted = plan.variants.values().filter(|variant| !variant.kind.is_service() && variant.sold > 0);
    let missing = wanted.filter(|variant| !known.contains(&*variant.sku));
    let lines = missing.map(|variant| opening(variant, places));
    let before = plan.first.map(|first| first.plus_seconds(-86_400));
    // The levels of an article are made together, for another run takes one for all.
    let mut batch: Vec<Value> = Vec::new();
    let mut batches: Vec<Vec<Value>> = Vec::new();
    for lines in lines {
        if batch.len() + lines.len() > 200 {
            batches.push(std::mem::take(&mut batch));
        }
        batch.extend(lines);
    }
    batches.extend((!batch.is_empty()).then_some(batch));
    for lines in batches {
        let adjustment = json!({"lines": lines, "occurred_at": before});
        remote.post("/v1/ops/stock/adjustments", &adjustment).await?.done()?;
    }
    Ok(())
}

/// The opening levels of an article.
fn opening(variant: &Variant, places: &[(&str, i64)]) -> Vec<Value> {
    let parts = shared(variant.sold, places).into_iter().zip(places).filter(|(pieces, _)| *pieces > 0);
    let line = |(pieces, (place, _)): (i64, &(&str, i64))| {
        json!({"sku": variant.sku, "location": place, "set_to": pieces, "expected_on_hand": 0,
            "reason": "all that was ever sold"})
    };
    parts.map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::shared;

    #[test]
    fn opening_stock_is_shared_out_to_the_last_piece() {
        let thirds = [("a", 34), ("b", 33), ("c", 33)];
        assert_eq!(shared(100, &thirds), [34, 33, 33]);
        assert_eq!(shared(1, &thirds), [0, 0, 1]);
        for pieces in 0..250 {
            assert_eq!(shared(pieces, &thirds).iter().sum::<i64>(), pieces);
        }
    }
}
