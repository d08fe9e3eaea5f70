//! The mapping: a TOML file that says how another shop's order history is to be read.
//!
//! It names columns, formats and codes; nothing about a shop is written into the program. Every key is checked when
//! the file is read, and what is wrong is said with the key's name and the line it stands on.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};

use crate::kernel::{Country, Currency, Rounding, text};

mod check;
mod codes;

pub use codes::{Codes, Kind, Pattern};

/// How a file is read. Missing tables and keys have the defaults that their fields name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The code of the channel under which the orders are placed.
    pub channel: String,
    /// The currency of rows that name none.
    pub currency: Currency,
    /// How a fraction of a minor unit in a line's amount is decided about; `half_up` unless stated.
    #[serde(default)]
    pub rounding: Rounding,
    /// Whether SKUs that differ only in case are the same; `exact` unless stated.
    #[serde(default)]
    pub sku_case: SkuCase,
    /// Whether and when the numbers of documents begin anew; `never` unless stated.
    #[serde(default)]
    pub numbers_restart: Restart,
    /// Delimiter, encoding, number format.
    #[serde(default)]
    pub file: FileFormat,
    /// Which column holds what.
    pub columns: Columns,
    /// How dates are written, and where.
    pub date: DateFormat,
    /// How customer numbers are written.
    #[serde(default)]
    pub customer: CustomerFormat,
    /// Whether prices include tax, and how much.
    #[serde(default)]
    pub tax: TaxRules,
    /// Country names and their ISO codes.
    #[serde(default)]
    pub countries: Countries,
    /// What marks a cancellation or return.
    #[serde(default)]
    pub cancellation: CancellationRules,
    /// How far an order has come, by the value of the status column.
    #[serde(default)]
    pub status: StatusRules,
    /// What amounts become that stand beside an order and not in a line.
    #[serde(default)]
    pub order_level: OrderLevel,
    /// Where the goods lie: the codes of locations, with how many per cent of each article's opening stock. All of it at one location,
    /// which is called as the channel is, unless stated.
    #[serde(default)]
    pub locations: BTreeMap<String, u8>,
    /// Which codes are goods, and which postage, fees, discounts, …
    #[serde(default)]
    pub codes: Codes,
    /// What is not carried over, and why. The first rule that fits a row gives its reason.
    #[serde(default)]
    pub leave_out: Vec<LeaveOut>,
}

/// Whether the case of letters distinguishes SKUs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SkuCase {
    /// `85123a` and `85123A` are two variants.
    #[default]
    Exact,
    /// They are one, written in capitals. Code patterns then ignore case as well.
    Upper,
}

/// When a shop's document numbers begin anew, so that the same number stands for another document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Restart {
    /// A number is one document, whatever its rows' dates are.
    #[default]
    Never,
    /// Each year: the document becomes `1001/2024`.
    Yearly,
    /// Each month: `1001/2024-03`.
    Monthly,
    /// Each day: `1001/2024-03-31`.
    Daily,
}

/// The character encoding of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// ISO 8859-1: every byte is the character of its number.
    #[serde(rename = "latin1")]
    Latin1,
    /// Windows-1252: Latin 1 with the euro sign and typographic quotes at 80–9F.
    #[serde(rename = "windows-1252")]
    Windows1252,
}

/// How the file is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileFormat {
    /// The character between columns; `,` unless stated.
    #[serde(deserialize_with = "ascii_character")]
    pub delimiter: u8,
    /// The character around columns that hold a delimiter; `"` unless stated, an empty text for none.
    #[serde(deserialize_with = "ascii_character_or_none")]
    pub quote: Option<u8>,
    /// The character encoding; `utf-8` unless stated.
    pub encoding: Encoding,
    /// Whether numbers are written `1.234,50` rather than `1,234.50`.
    pub decimal_comma: bool,
    /// Whether a row without a document number belongs to the row above.
    pub fill_down: bool,
}

impl Default for FileFormat {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: Some(b'"'),
            encoding: Encoding::default(),
            decimal_comma: false,
            fill_down: false,
        }
    }
}

/// The headings of the columns.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The order's, invoice's or credit note's number: rows of one number are one document.
    pub number: String,
    /// The article's code.
    pub sku: String,
    /// The article's name.
    pub description: Option<String>,
    /// The number of pieces; a file without it has one piece in each row.
    pub quantity: Option<String>,
    /// The date, or date and time.
    pub date: String,
    /// The time, when it stands in a column of its own; it is joined to the date with a space.
    pub time: Option<String>,
    /// The price of one piece. Either this or `line_amount`.
    pub unit_price: Option<String>,
    /// The amount of the whole row. Either this or `unit_price`.
    pub line_amount: Option<String>,
    /// What was taken off the whole row, with either sign; the price or amount stands before it.
    pub line_discount: Option<String>,
    /// The same in percent.
    pub line_discount_percent: Option<String>,
    /// The shipping of the whole order: taken from its first row that has some.
    pub order_shipping: Option<String>,
    /// What was taken off the whole order, with either sign: taken from its first row that has some.
    pub order_discount: Option<String>,
    /// The customer's number or name; rows without one are a guest's.
    pub customer: Option<String>,
    /// The country's name or ISO code.
    pub country: Option<String>,
    /// The ISO code of the currency.
    pub currency: Option<String>,
    /// The customer's e-mail address.
    pub email: Option<String>,
    /// The name at the address.
    pub name: Option<String>,
    /// The company at the address.
    pub company: Option<String>,
    /// Street and number.
    pub street: Option<String>,
    /// The postcode.
    pub postcode: Option<String>,
    /// The town or city.
    pub city: Option<String>,
    /// The state, province or county.
    pub region: Option<String>,
    /// The phone number.
    pub phone: Option<String>,
    /// The tax class, as `tax.classes` knows it.
    pub tax_class: Option<String>,
    /// The kind of the document, as `cancellation.kinds` and `leave_out.kinds` know it.
    pub kind: Option<String>,
    /// How far the order has come, as `status` and `leave_out.statuses` know it.
    pub status: Option<String>,
    /// The number of the order that a cancellation takes back.
    pub original: Option<String>,
}

/// How dates are written, and in which place's time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateFormat {
    /// chrono's format, such as `%d.%m.%Y %H:%M`. A format without a time means midnight.
    pub format: String,
    /// The IANA time zone, such as `Europe/London`; not used where the format holds an offset.
    pub zone: Tz,
}

/// How customer numbers are written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CustomerFormat {
    /// An ending to take off, such as the `.0` that a spreadsheet has added.
    pub strip_suffix: String,
    /// Values that mean *no customer*, such as `GUEST`.
    pub missing: Vec<String>,
}

/// What the prices of the file hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaxRules {
    /// Whether prices include tax; true unless stated.
    pub prices_include_tax: bool,
    /// Percent, for countries that `country_rates` does not name; 0 unless stated.
    pub rate: Decimal,
    /// Percent by ISO country code.
    pub country_rates: BTreeMap<Country, Decimal>,
    /// Percent by tax class, in countries that `country_rates` does not name.
    pub class_rates: BTreeMap<String, Decimal>,
    /// Percent by ISO country code and tax class; before all others.
    pub country_class_rates: BTreeMap<Country, BTreeMap<String, Decimal>>,
    /// The tax class of rows that name none; `standard` unless stated.
    pub class: String,
    /// The tax class by the value of the file's column.
    pub classes: BTreeMap<String, String>,
}

impl Default for TaxRules {
    fn default() -> Self {
        Self {
            prices_include_tax: true,
            rate: Decimal::ZERO,
            country_rates: BTreeMap::new(),
            class_rates: BTreeMap::new(),
            country_class_rates: BTreeMap::new(),
            class: "standard".to_owned(),
            classes: BTreeMap::new(),
        }
    }
}

impl TaxRules {
    /// Percent of a tax class in a country: what is said of both, else of the country, else of the class, else `rate`.
    #[must_use]
    pub fn rate_of(&self, country: Country, class: &str) -> Decimal {
        let of_both = self.country_class_rates.get(&country).and_then(|classes| classes.get(class));
        let found = of_both.or_else(|| self.country_rates.get(&country)).or_else(|| self.class_rates.get(class));
        found.copied().unwrap_or(self.rate)
    }

    /// All percentages with their keys.
    fn rates(&self) -> impl Iterator<Item = (String, Decimal)> {
        let countries = self.country_rates.iter().map(|(country, rate)| (format!("country_rates.{country}"), *rate));
        let classes = self.class_rates.iter().map(|(class, rate)| (format!("class_rates.{class}"), *rate));
        let both = self.country_class_rates.iter().flat_map(|(country, classes)| {
            classes.iter().map(move |(class, rate)| (format!("country_class_rates.{country}.{class}"), *rate))
        });
        std::iter::once(("rate".to_owned(), self.rate)).chain(countries).chain(classes).chain(both)
    }

    /// Whether anything is taxed at all.
    #[must_use]
    pub fn is_taxed(&self) -> bool {
        self.rates().any(|(_, rate)| !rate.is_zero())
    }
}

/// Country names and their ISO codes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Countries {
    /// The country of rows that name none, or one that is not in the table. Without it such rows are left out.
    pub default: Option<Country>,
    /// The code by name. Case, accents and punctuation make no difference; ISO codes of two or three letters and ISO's
    /// English names are understood without it.
    pub names: BTreeMap<String, Country>,
}

/// What marks a cancellation or return.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CancellationRules {
    /// The document's number starts with one of these.
    pub number_prefixes: Vec<String>,
    /// The document's kind is one of these.
    pub kinds: Vec<String>,
    /// A negative quantity is a return, in any document.
    pub negative_quantity: bool,
    /// Cancellations are written with positive quantities and prices.
    pub unsigned: bool,
}

/// How far an order has come, by the value of the status column. Case makes no difference. Whatever stands under none
/// of these is done: shipped, delivered and paid.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatusRules {
    /// Neither shipped nor paid.
    pub open: Vec<String>,
    /// Paid, not shipped.
    pub unshipped: Vec<String>,
    /// Shipped and delivered, not paid.
    pub unpaid: Vec<String>,
    /// Placed and cancelled before anything was shipped or paid.
    pub cancelled: Vec<String>,
}

/// How far an order has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Shipped, delivered and paid.
    #[default]
    Done,
    /// Neither shipped nor paid.
    Open,
    /// Paid, not shipped.
    Unshipped,
    /// Shipped and delivered, not paid.
    Unpaid,
    /// Cancelled before anything was shipped or paid.
    Cancelled,
}

impl Progress {
    /// Whether its goods have left.
    #[must_use]
    pub const fn is_shipped(self) -> bool {
        matches!(self, Self::Done | Self::Unpaid)
    }

    /// Whether its money has come.
    #[must_use]
    pub const fn is_paid(self) -> bool {
        matches!(self, Self::Done | Self::Unshipped)
    }
}

impl StatusRules {
    const fn all(&self) -> [(Progress, &Vec<String>); 4] {
        [
            (Progress::Open, &self.open),
            (Progress::Unshipped, &self.unshipped),
            (Progress::Unpaid, &self.unpaid),
            (Progress::Cancelled, &self.cancelled),
        ]
    }

    /// How far an order with this status has come.
    #[must_use]
    pub fn progress(&self, status: Option<&str>) -> Progress {
        let Some(status) = status else { return Progress::Done };
        let found = self.all().into_iter().find(|(_, words)| words.iter().any(|word| same_word(word, status)));
        found.map_or(Progress::Done, |(progress, _)| progress)
    }
}

/// The SKUs of the lines that `columns.order_shipping` and `columns.order_discount` become.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrderLevel {
    /// Of shipping; `SHIPPING` unless stated. It is postage.
    pub shipping_sku: String,
    /// Of a discount; `DISCOUNT` unless stated.
    pub discount_sku: String,
}

impl Default for OrderLevel {
    fn default() -> Self {
        Self { shipping_sku: "SHIPPING".to_owned(), discount_sku: "DISCOUNT".to_owned() }
    }
}

/// Whether two words are the same but for case.
pub(super) fn same_word(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

/// The sign of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sign {
    /// Below zero.
    Negative,
    /// Zero.
    Zero,
    /// Above zero.
    Positive,
}

/// Whether a value is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// The column is empty.
    Missing,
    /// It is not.
    Present,
}

/// A rule for rows that are not carried over. All of its conditions must hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaveOut {
    /// The reason under which they are counted: lower-case letters, digits and `_`.
    pub reason: String,
    /// The document's number starts with one of these.
    #[serde(default)]
    pub number_prefixes: Vec<String>,
    /// The document's kind is one of these.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// The order's status is one of these.
    #[serde(default)]
    pub statuses: Vec<String>,
    /// The SKU fits one of these.
    #[serde(default)]
    pub codes: Vec<Pattern>,
    /// The sign of the price.
    pub price: Option<Sign>,
    /// The sign of the quantity.
    pub quantity: Option<Sign>,
    /// Whether there is a customer.
    pub customer: Option<Presence>,
    /// Whether there is a description.
    pub description: Option<Presence>,
    /// The row is the only one of its document (or, when false, is not).
    pub alone: Option<bool>,
}

impl LeaveOut {
    fn has_condition(&self) -> bool {
        !(self.number_prefixes.is_empty() && self.kinds.is_empty() && self.statuses.is_empty() && self.codes.is_empty())
            || self.price.is_some()
            || self.quantity.is_some()
            || self.customer.is_some()
            || self.description.is_some()
            || self.alone.is_some()
    }
}

impl Mapping {
    /// The SKU as Kontor gets it: trimmed, in the case the mapping says.
    #[must_use]
    pub fn sku(&self, code: &str) -> String {
        match self.sku_case {
            SkuCase::Exact => code.trim().to_owned(),
            SkuCase::Upper => code.trim().to_uppercase(),
        }
    }

    /// What a SKU stands for.
    #[must_use]
    pub fn kind_of(&self, sku: &str) -> Kind {
        let fitting = self.codes.all().into_iter().flat_map(|(kind, patterns)| {
            patterns.iter().filter(|pattern| pattern.matches(sku, self.sku_case)).map(move |pattern| (kind, pattern))
        });
        let best =
            fitting.max_by_key(|(kind, pattern)| (pattern.is_exact(), pattern.0.len(), std::cmp::Reverse(*kind)));
        match best {
            Some((kind, _)) => kind,
            None if self.columns.order_shipping.is_some() && self.sku(&self.order_level.shipping_sku) == sku => {
                Kind::Postage
            }
            None if self.columns.order_discount.is_some() && self.sku(&self.order_level.discount_sku) == sku => {
                Kind::Discount
            }
            None => Kind::Goods,
        }
    }

    /// The ISO code of a country's name; `None` when neither the table nor ISO 3166 knows it.
    #[must_use]
    pub fn country(&self, name: &str) -> Option<Country> {
        let folded = text::fold(name);
        let known = self.countries.names.iter().find(|(key, _)| text::fold(key) == folded).map(|(_, code)| *code);
        known.or_else(|| Country::named(name))
    }

    /// Whether a document is a cancellation or return by its number or kind.
    #[must_use]
    pub fn is_cancellation(&self, number: &str, kind: Option<&str>) -> bool {
        self.cancellation.number_prefixes.iter().any(|prefix| number.starts_with(prefix.as_str()))
            || kind.is_some_and(|kind| self.cancellation.kinds.iter().any(|marked| same_word(marked, kind)))
    }

    /// The tax class of a row.
    #[must_use]
    pub fn tax_class(&self, value: Option<&str>) -> String {
        value.map_or_else(
            || self.tax.class.clone(),
            |value| self.tax.classes.get(value).cloned().unwrap_or_else(|| value.to_owned()),
        )
    }
}

fn one_ascii<E: serde::de::Error>(text: &str) -> Result<u8, E> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Ok(*byte),
        _ => Err(E::custom("expected one ASCII character")),
    }
}

fn ascii_character<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    one_ascii(&String::deserialize(deserializer)?)
}

fn ascii_character_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Ok(None) } else { one_ascii(&text).map(Some) }
}
