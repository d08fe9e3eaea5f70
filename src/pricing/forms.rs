//! The shapes in which price lists, prices, tax rates and shipping rates come in and go out, and what they must be
//! like. Pure.

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{
    contracts::ContractTerms,
    rates::{ListKind, PriceList, ShippingRate, TaxRate},
};
use crate::{
    error::{Code, Error, Result},
    kernel::{
        Country, Currency, Instant, Money, Per, Quantity, UnitPrice,
        ids::{ChannelId, CompanyId, CustomerId, PriceListId, TaxRateId},
        patch::present,
        text::{Sku, Text},
    },
};

/// How many rows one change of prices may hold.
pub const MAX_PRICE_ROWS: usize = 1000;
const MAX_RATES: usize = 200;

/// The end of a validity must lie after its beginning.
pub(super) fn check_window(from: Option<Instant>, until: Option<Instant>, within: &str) -> Result<()> {
    match (from, until) {
        (Some(from), Some(until)) if until <= from => {
            Err(Error::invalid(format!("{within}/valid_until"), "expected an instant after valid_from"))
        }
        _ => Ok(()),
    }
}

/// Only a sale is announced, and before it begins.
pub(super) fn check_announced(kind: ListKind, announced: Option<Instant>, from: Option<Instant>) -> Result<()> {
    let Some(announced) = announced else { return Ok(()) };
    if kind != ListKind::Sale {
        return Err(Error::invalid("/announced_at", "only a list of the kind `sale` is announced"));
    }
    match from {
        Some(from) if announced <= from => Ok(()),
        _ => Err(Error::invalid("/announced_at", "expected an instant not after valid_from")),
    }
}

/// A price list about to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"code": "summer-eur", "name": "Summer prices", "currency": "EUR", "priority": 10, "valid_until": "2030-09-01T00:00:00Z"}))]
pub struct NewPriceList {
    /// A short unique name.
    pub code: Text<50>,
    /// Its name for people.
    pub name: Text<200>,
    /// The currency of all its prices.
    pub currency: Currency,
    /// The one channel it is for; left out, it is for all.
    pub channel_id: Option<ChannelId>,
    /// The one customer it is for.
    pub customer_id: Option<CustomerId>,
    /// The company whose customers it is for, as long as that is active.
    pub company_id: Option<CompanyId>,
    /// The group of customers it is for, as customers name it.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    pub customer_group: Option<Text<50>>,
    /// What it is for: `base` is everyday prices, `sale` a reduction that is announced as one, so that offers show the price
    /// before it, `contract` what was agreed; `cost` is what goods have cost you, which no customer ever sees or pays.
    #[serde(default = "base")]
    #[schema(default = "base")]
    pub kind: ListKind,
    /// From when on a sale was announced, where that was before `valid_from`.
    pub announced_at: Option<Instant>,
    /// Among lists that apply, the higher one wins; a channel's own list goes before one for all.
    #[serde(default)]
    pub priority: i32,
    /// From when on it is valid; left out, it always was.
    pub valid_from: Option<Instant>,
    /// Until when it is valid, exclusive; left out, it has no end.
    pub valid_until: Option<Instant>,
    /// What is agreed beside its prices: of a `contract` for a company, a group or a customer. An order names the contracts of its prices.
    pub terms: Option<ContractTerms>,
}

/// What can be changed about a price list.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"priority": 20}))]
pub struct PriceListPatch {
    /// Its name for people.
    pub name: Option<Text<200>>,
    /// From when on a sale was announced; null is when it began.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Instant>)]
    pub announced_at: Option<Option<Instant>>,
    /// Among lists that apply, the higher one wins.
    pub priority: Option<i32>,
    /// From when on it is valid; null opens it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Instant>)]
    pub valid_from: Option<Option<Instant>>,
    /// Until when it is valid, exclusive; null opens it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Instant>)]
    pub valid_until: Option<Option<Instant>>,
    /// What is agreed beside its prices, whole; null is nothing. What was ordered before keeps what was agreed then.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<ContractTerms>)]
    pub terms: Option<Option<ContractTerms>>,
}

impl PriceListPatch {
    /// The list with the changes in it.
    ///
    /// # Errors
    /// `invalid_value` when it would end before it begins.
    pub(super) fn apply(&self, list: &mut PriceList) -> Result<()> {
        if let Some(name) = &self.name {
            list.name = name.to_string();
        }
        list.priority = self.priority.unwrap_or(list.priority);
        list.valid_from = self.valid_from.unwrap_or(list.valid_from);
        list.valid_until = self.valid_until.unwrap_or(list.valid_until);
        list.announced_at = self.announced_at.unwrap_or(list.announced_at);
        if let Some(terms) = &self.terms {
            list.terms.clone_from(terms);
        }
        check_window(list.valid_from, list.valid_until, "")?;
        list.terms.as_ref().map_or(Ok(()), |terms| terms.check((list.kind, &list.audience), list.currency))?;
        let checked = check_announced(list.kind, list.announced_at, list.valid_from);
        // Where only the beginning was said, it is that which does not fit.
        checked.map_err(|error| if self.announced_at.is_none() { error.at("/valid_from") } else { error })
    }
}

/// A list of prices in one currency, for one channel or for all.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PriceList)]
pub struct PriceListView {
    /// Its id.
    pub id: PriceListId,
    /// A short unique name.
    pub code: String,
    /// Its name for people.
    pub name: String,
    /// The currency of all its prices.
    pub currency: Currency,
    /// The one channel it is for; null is all of them.
    pub channel_id: Option<ChannelId>,
    /// The one customer it is for.
    pub customer_id: Option<CustomerId>,
    /// The company whose customers it is for.
    pub company_id: Option<CompanyId>,
    /// The group of customers it is for; null, as `customer_id` and `company_id` are, is everybody.
    pub customer_group: Option<String>,
    /// What it is for.
    pub kind: ListKind,
    /// From when on a sale was announced, where that was before it began.
    pub announced_at: Option<Instant>,
    /// Among lists that apply, the higher one wins; a channel's own list goes before one for all.
    pub priority: i32,
    /// From when on it is valid.
    pub valid_from: Option<Instant>,
    /// Until when it is valid, exclusive.
    pub valid_until: Option<Instant>,
    /// What is agreed beside its prices, where it is a contract's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<ContractTerms>,
    /// Rises with every change of the list; prices in it do not count.
    pub version: i64,
}

impl From<PriceList> for PriceListView {
    fn from(list: PriceList) -> Self {
        let (customer_id, company_id) = (list.audience.customer(), list.audience.company());
        let customer_group = list.audience.group().map(str::to_owned);
        let PriceList { id, code, name, currency, channel, kind, announced_at, priority, .. } = list;
        let PriceList { valid_from, valid_until, terms, version, .. } = list;
        Self {
            id,
            code,
            name,
            currency,
            channel_id: channel,
            customer_id,
            company_id,
            customer_group,
            kind,
            announced_at,
            priority,
            valid_from,
            valid_until,
            terms,
            version,
        }
    }
}

const fn base() -> ListKind {
    ListKind::Base
}

const fn one() -> Quantity {
    Quantity::ONE
}

/// A price to be set: it replaces the one of the same SKU, `min_quantity` and `valid_from`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceEntry {
    /// What is sold.
    pub sku: Sku,
    /// The quantity of a line from which on it is valid.
    #[serde(default = "one")]
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000, default = 1)]
    pub min_quantity: Quantity,
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

impl PriceEntry {
    /// What can be told without looking anything up. `within` is the pointer to the entry.
    pub(super) fn check(&self, currency: Currency, within: &str) -> Result<()> {
        check_min_quantity(self.min_quantity, within)?;
        if self.unit_price.currency() != currency {
            let detail = format!("expected a price in {currency}, the currency of the list");
            return Err(Error::invalid(format!("{within}/unit_price/currency"), detail));
        }
        if self.unit_price.scaled() < 0 {
            return Err(Error::invalid(format!("{within}/unit_price/amount"), "expected a price that is not negative"));
        }
        check_window(self.valid_from, self.valid_until, within)
    }
}

fn check_min_quantity(quantity: Quantity, within: &str) -> Result<()> {
    if quantity.is_zero() {
        let detail = "expected a whole number from 1 to 1000000000";
        return Err(Error::problem(Code::QuantityInvalid, detail).at(format!("{within}/min_quantity")));
    }
    Ok(())
}

/// A price to be removed.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceKey {
    /// What is sold.
    pub sku: Sku,
    /// The quantity of a line from which on it is valid.
    #[serde(default = "one")]
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000, default = 1)]
    pub min_quantity: Quantity,
    /// From when on it is valid; left out, the one that always was.
    pub valid_from: Option<Instant>,
}

/// Prices of one list to be removed and to be set, in this order, all or nothing.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"rows": [
    {"sku": "MUG-KONTOR", "unit_price": {"amount": "12.50", "currency": "EUR"}},
    {"sku": "MUG-KONTOR", "min_quantity": 10, "unit_price": {"amount": "11.25", "currency": "EUR"}},
    {"sku": "MUG-KONTOR", "min_quantity": 1000, "unit_price": {"amount": "995.00", "currency": "EUR"}, "per": 100}
]}))]
pub struct PriceChange {
    /// The prices to be set.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub rows: Vec<PriceEntry>,
    /// The prices to be removed; one that is not there is passed over.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub remove: Vec<PriceKey>,
}

impl PriceChange {
    /// What can be told without looking anything up.
    pub(super) fn check(&self, currency: Currency) -> Result<()> {
        if self.rows.len() + self.remove.len() > MAX_PRICE_ROWS {
            return Err(Error::invalid("/rows", format!("expected at most {MAX_PRICE_ROWS} rows at once")));
        }
        for (place, row) in self.rows.iter().enumerate() {
            row.check(currency, &format!("/rows/{place}"))?;
        }
        for (place, key) in self.remove.iter().enumerate() {
            check_min_quantity(key.min_quantity, &format!("/remove/{place}"))?;
        }
        Ok(())
    }
}

/// What a change of prices did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct PricesChanged {
    /// How many prices were set.
    pub set: i64,
    /// How many were there to be removed.
    pub removed: i64,
}

/// A price of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Price)]
pub struct PriceView {
    /// What is sold.
    pub sku: String,
    /// The quantity of a line from which on it is valid.
    pub min_quantity: Quantity,
    /// The price of one unit, or of as many as `per` says, with or without tax as the channel has it.
    pub unit_price: UnitPrice,
    /// How many units the price is for; absent where it is one.
    #[serde(skip_serializing_if = "Per::is_one")]
    pub per: Per,
    /// From when on it is valid.
    pub valid_from: Option<Instant>,
    /// Until when it is valid, exclusive.
    pub valid_until: Option<Instant>,
}

/// A price of a list as a file has it: a row that an import of prices takes as it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ExportedPrice {
    /// The code of the list.
    pub price_list: String,
    /// What is sold.
    pub sku: String,
    /// The quantity of a line from which on it is valid.
    pub min_quantity: Quantity,
    /// The price of one unit, or of as many as `per` says, with or without tax as the channel has it.
    pub unit_price: UnitPrice,
    /// How many units the price is for; absent where it is one.
    #[serde(skip_serializing_if = "Per::is_one")]
    pub per: Per,
    /// From when on it is valid; absent where it always was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Instant>,
    /// Until when it is valid, exclusive; absent where it has no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Instant>,
}

/// A tax rate as a fraction of one, a plain decimal text: `"0.19"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fraction(pub Decimal);

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let plain = text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let whole = plain && !text.starts_with('.') && !text.ends_with('.');
        let rate = Some(&*text).filter(|_| whole).and_then(|text| Decimal::from_str_exact(text).ok());
        let rate = rate.filter(|rate| *rate < Decimal::ONE && rate.normalize().scale() <= 6);
        let expected = "expected a fraction such as \"0.19\", from 0 to less than 1, with at most six digits";
        rate.map(Self).ok_or_else(|| serde::de::Error::custom(expected))
    }
}

/// A tax rate about to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"country": "AT", "tax_class": "reduced", "rate": "0.10"}))]
pub struct NewTaxRate {
    /// The country that levies it.
    pub country: Country,
    /// The class of goods, as variants name it.
    pub tax_class: Text<50>,
    /// The rate as a fraction.
    #[schema(value_type = String, pattern = r"^0(\.[0-9]{1,6})?$", example = "0.19")]
    pub rate: Fraction,
    /// From when on it is valid; left out, it always was. Of several that are valid the latest beginning counts.
    pub valid_from: Option<Instant>,
    /// Until when it is valid, exclusive; left out, it has no end.
    pub valid_until: Option<Instant>,
}

/// A country's tax rate for a class of goods.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = TaxRate)]
pub struct TaxRateView {
    /// Its id.
    pub id: TaxRateId,
    /// The country that levies it.
    pub country: Country,
    /// The class of goods.
    pub tax_class: String,
    /// The rate as a fraction.
    #[schema(value_type = String, example = "0.19")]
    pub rate: Decimal,
    /// From when on it is valid.
    pub valid_from: Option<Instant>,
    /// Until when it is valid, exclusive.
    pub valid_until: Option<Instant>,
}

impl From<TaxRate> for TaxRateView {
    fn from(rate: TaxRate) -> Self {
        let TaxRate { id, country, tax_class, rate, valid_from, valid_until } = rate;
        Self { id, country, tax_class, rate: rate.normalize(), valid_from, valid_until }
    }
}

/// What a shipping method costs for some countries, weights and values. All bounds are inclusive; of several that fit
/// the cheapest counts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ShippingRate)]
pub struct ShippingRateForm {
    /// The countries it serves; none named is every country of the channel.
    #[serde(default)]
    #[schema(max_items = 250)]
    pub countries: Vec<Country>,
    /// The least weight in grams.
    #[serde(default)]
    #[schema(minimum = 0)]
    pub min_weight_grams: i64,
    /// The greatest weight in grams.
    #[schema(minimum = 0)]
    pub max_weight_grams: Option<i64>,
    /// The least value of the goods after discount.
    pub min_value: Option<Money>,
    /// The greatest value of the goods after discount.
    pub max_value: Option<Money>,
    /// The price, with or without tax as the channel has it; it serves carts in its currency.
    pub price: Money,
}

impl ShippingRateForm {
    fn check(&self, within: &str) -> Result<ShippingRate> {
        let invalid = |field: &str, detail: &str| Err(Error::invalid(format!("{within}/{field}"), detail));
        let currency = self.price.currency();
        if self.countries.len() > 250 {
            return invalid("countries", "expected at most 250 countries");
        }
        if self.min_weight_grams < 0 {
            return invalid("min_weight_grams", "expected a weight that is not negative");
        }
        if self.max_weight_grams.is_some_and(|most| most < self.min_weight_grams) {
            return invalid("max_weight_grams", "expected a weight that is not below min_weight_grams");
        }
        for (field, amount) in
            [("min_value", self.min_value), ("max_value", self.max_value), ("price", Some(self.price))]
        {
            if amount.is_some_and(|amount| amount.minor() < 0) {
                return invalid(field, "expected an amount that is not negative");
            }
            if amount.is_some_and(|amount| amount.currency() != currency) {
                return invalid(field, "expected an amount in the currency of the price");
            }
        }
        let (min_value, max_value) = (self.min_value.map(Money::minor), self.max_value.map(Money::minor));
        if max_value.is_some_and(|most| min_value.is_some_and(|least| most < least)) {
            return invalid("max_value", "expected an amount that is not below min_value");
        }
        Ok(ShippingRate {
            countries: self.countries.clone(),
            currency,
            min_weight_grams: self.min_weight_grams,
            max_weight_grams: self.max_weight_grams,
            min_value,
            max_value,
            price: self.price,
        })
    }
}

impl From<ShippingRate> for ShippingRateForm {
    fn from(rate: ShippingRate) -> Self {
        let money = |minor| Money::from_minor(minor, rate.currency);
        Self {
            countries: rate.countries,
            min_weight_grams: rate.min_weight_grams,
            max_weight_grams: rate.max_weight_grams,
            min_value: rate.min_value.map(money),
            max_value: rate.max_value.map(money),
            price: rate.price,
        }
    }
}

pub(super) fn check_rates(rates: &[ShippingRateForm]) -> Result<Vec<ShippingRate>> {
    if rates.len() > MAX_RATES {
        return Err(Error::invalid("/rates", format!("expected at most {MAX_RATES} rates")));
    }
    rates.iter().enumerate().map(|(place, rate)| rate.check(&format!("/rates/{place}"))).collect()
}
