//! The mapping: a TOML file that says how another shop's order history is to be read.
//!
//! It names columns, formats and codes; nothing about a shop is written into the program. Every key is checked when
//! the file is read, and what is wrong is said with the key's name and the line it stands on.

use std::{collections::BTreeMap, path::Path};

use chrono::format::{Item, StrftimeItems};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{Unusable, reason::Defect};
use crate::kernel::{Country, Currency, Rounding, text};

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
}

impl Default for FileFormat {
    fn default() -> Self {
        Self { delimiter: b',', quote: Some(b'"'), encoding: Encoding::default(), decimal_comma: false }
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
    /// The customer's number or name; rows without one are a guest's.
    pub customer: Option<String>,
    /// The country's name or ISO code.
    pub country: Option<String>,
    /// The ISO code of the currency.
    pub currency: Option<String>,
    /// The customer's e-mail address.
    pub email: Option<String>,
    /// The tax class, as `tax.classes` knows it.
    pub tax_class: Option<String>,
    /// The kind or status of the document, as `cancellation.kinds` and `leave_out.kinds` know it.
    pub kind: Option<String>,
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
            class: "standard".to_owned(),
            classes: BTreeMap::new(),
        }
    }
}

/// Country names and their ISO codes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Countries {
    /// The country of rows that name none, or one that is not in the table. Without it such rows are left out.
    pub default: Option<Country>,
    /// The code by name. Case, accents and punctuation make no difference; ISO codes are understood without it.
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

/// What a code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// What is kept in stock and shipped.
    Goods,
    /// Postage and carriage.
    Postage,
    /// Bank charges, marketplace fees.
    Fee,
    /// Lines and adjustments typed by hand.
    Manual,
    /// Discounts.
    Discount,
    /// Gift vouchers sold.
    Voucher,
}

impl Kind {
    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Goods => "goods",
            Self::Postage => "postage",
            Self::Fee => "fee",
            Self::Manual => "manual",
            Self::Discount => "discount",
            Self::Voucher => "voucher",
        }
    }

    /// Whether it is neither kept in stock nor shipped.
    #[must_use]
    pub const fn is_service(self) -> bool {
        !matches!(self, Self::Goods)
    }
}

/// Which codes are what. A code that no pattern fits is goods. An exact code counts before a pattern, a longer
/// pattern before a shorter one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Codes {
    /// Goods after all, though another pattern fits.
    pub goods: Vec<Pattern>,
    /// Postage and carriage.
    pub postage: Vec<Pattern>,
    /// Bank charges, marketplace fees.
    pub fee: Vec<Pattern>,
    /// Lines and adjustments typed by hand.
    pub manual: Vec<Pattern>,
    /// Discounts.
    pub discount: Vec<Pattern>,
    /// Gift vouchers sold.
    pub voucher: Vec<Pattern>,
}

impl Codes {
    fn all(&self) -> [(Kind, &[Pattern]); 6] {
        [
            (Kind::Goods, &self.goods),
            (Kind::Postage, &self.postage),
            (Kind::Fee, &self.fee),
            (Kind::Manual, &self.manual),
            (Kind::Discount, &self.discount),
            (Kind::Voucher, &self.voucher),
        ]
    }
}

/// A code, in which `*` stands for any characters or none and `#` for one digit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Whether a code fits.
    #[must_use]
    pub fn matches(&self, code: &str, case: SkuCase) -> bool {
        match case {
            SkuCase::Exact => fits(self.0.as_bytes(), code.as_bytes()),
            SkuCase::Upper => fits(self.0.to_uppercase().as_bytes(), code.to_uppercase().as_bytes()),
        }
    }

    fn is_exact(&self) -> bool {
        !self.0.contains(['*', '#'])
    }
}

/// Matches without recursion: on a mismatch the last `*` takes one byte more.
fn fits(pattern: &[u8], code: &[u8]) -> bool {
    let (mut p, mut c) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = code.get(c) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, c));
                p += 1;
            }
            Some(wanted) if wanted == byte || (*wanted == b'#' && byte.is_ascii_digit()) => {
                p += 1;
                c += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    star = Some((after, taken + 1));
                    p = after;
                    c = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() || text.trim() != text {
            return Err(D::Error::custom(
                "expected a code without spaces around it; `*` is any characters, `#` a digit",
            ));
        }
        Ok(Self(text))
    }
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
        !(self.number_prefixes.is_empty() && self.kinds.is_empty() && self.codes.is_empty())
            || self.price.is_some()
            || self.quantity.is_some()
            || self.customer.is_some()
            || self.description.is_some()
            || self.alone.is_some()
    }
}

impl Mapping {
    /// The mapping in a file.
    ///
    /// # Errors
    /// When the file can not be read, or as [`Mapping::parse`].
    pub fn read(path: &Path) -> Result<Self, Unusable> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Unusable(format!("the mapping {} can not be read: {error}", path.display())))?;
        Self::parse(&text).map_err(|error| Unusable(format!("{}: {error}", path.display())))
    }

    /// The mapping in a TOML text.
    ///
    /// # Errors
    /// Says which key is unknown, missing or wrong, and on which line.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let whole = |error: toml::de::Error| Unusable(format!("the mapping is not TOML: {error}"));
        let mapping: Self =
            serde_path_to_error::deserialize(toml::Deserializer::parse(text).map_err(whole)?).map_err(|error| {
                let key = error.path().to_string();
                let place = error.inner().span().map_or_else(String::new, |span| {
                    let before = text.get(..span.start).unwrap_or_default();
                    format!(" (line {})", before.matches('\n').count() + 1)
                });
                let message = error.inner().message().trim_end();
                // At the top there is no key to name; an unknown key is named by the message itself.
                if key == "." {
                    Unusable(format!("mapping: {message}{place}"))
                } else {
                    Unusable(format!("mapping key `{key}`: {message}{place}"))
                }
            })?;
        mapping.check()?;
        Ok(mapping)
    }

    /// What the types alone do not say.
    fn check(&self) -> Result<(), Unusable> {
        let wrong = |key: &str, text: &str| Err(Unusable(format!("mapping key `{key}`: {text}")));
        if self.channel.trim().is_empty() {
            return wrong("channel", "expected the code of a channel");
        }
        if self.columns.unit_price.is_some() == self.columns.line_amount.is_some() {
            return wrong("columns", "expected exactly one of `unit_price` and `line_amount`");
        }
        if self.columns.country.is_none() && self.countries.default.is_none() {
            return wrong("countries.default", "expected a country, since `columns.country` names no column");
        }
        if self.columns.kind.is_none()
            && !(self.cancellation.kinds.is_empty() && self.leave_out.iter().all(|rule| rule.kinds.is_empty()))
        {
            return wrong("columns.kind", "expected a column, since `kinds` is used below");
        }
        if self.file.quote == Some(self.file.delimiter) {
            return wrong("file.quote", "expected another character than `file.delimiter`");
        }
        if StrftimeItems::new(&self.date.format).any(|item| matches!(item, Item::Error)) {
            return wrong("date.format", "expected chrono's format characters, such as \"%d.%m.%Y %H:%M\"");
        }
        let percent = |rate: &Decimal| (Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(rate);
        if !percent(&self.tax.rate) {
            return wrong("tax.rate", "expected a percentage from 0 to 100");
        }
        if let Some((country, _)) = self.tax.country_rates.iter().find(|(_, rate)| !percent(rate)) {
            return wrong(&format!("tax.country_rates.{country}"), "expected a percentage from 0 to 100");
        }
        self.check_names()?;
        self.check_codes()?;
        for (place, rule) in self.leave_out.iter().enumerate() {
            let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            if rule.reason.is_empty() || !rule.reason.bytes().all(word) {
                return wrong(&format!("leave_out[{place}].reason"), "expected lower-case letters, digits and `_`");
            }
            if Defect::ALL.iter().any(|defect| defect.as_str() == rule.reason) {
                return wrong(
                    &format!("leave_out[{place}].reason"),
                    "this reason stands for a row that is not readable",
                );
            }
            if !rule.has_condition() {
                return wrong(&format!("leave_out[{place}]"), "expected a condition; without one, every row would fit");
            }
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), Unusable> {
        let mut folded: BTreeMap<String, Country> = BTreeMap::new();
        for (name, country) in &self.countries.names {
            if folded.insert(text::fold(name), *country).is_some_and(|other| other != *country) {
                return Err(Unusable(format!("mapping key `countries.names.{name}`: the same name has another code")));
            }
        }
        Ok(())
    }

    fn check_codes(&self) -> Result<(), Unusable> {
        let mut seen: BTreeMap<String, Kind> = BTreeMap::new();
        for (kind, patterns) in self.codes.all() {
            for pattern in patterns {
                let key = match self.sku_case {
                    SkuCase::Exact => pattern.0.clone(),
                    SkuCase::Upper => pattern.0.to_uppercase(),
                };
                if let Some(other) = seen.insert(key, kind).filter(|other| *other != kind) {
                    return Err(Unusable(format!(
                        "mapping key `codes.{}`: `{}` stands under `codes.{}` too",
                        kind.as_str(),
                        pattern.0,
                        other.as_str()
                    )));
                }
            }
        }
        Ok(())
    }

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
        fitting
            .max_by_key(|(kind, pattern)| (pattern.is_exact(), pattern.0.len(), std::cmp::Reverse(*kind)))
            .map_or(Kind::Goods, |(kind, _)| kind)
    }

    /// The ISO code of a country's name; `None` when the table does not know it and it is no code itself.
    #[must_use]
    pub fn country(&self, name: &str) -> Option<Country> {
        let folded = text::fold(name);
        let known = self.countries.names.iter().find(|(key, _)| text::fold(key) == folded).map(|(_, code)| *code);
        known.or_else(|| name.trim().to_uppercase().parse().ok())
    }

    /// Whether a document is a cancellation or return by its number or kind.
    #[must_use]
    pub fn is_cancellation(&self, number: &str, kind: Option<&str>) -> bool {
        self.cancellation.number_prefixes.iter().any(|prefix| number.starts_with(prefix.as_str()))
            || kind.is_some_and(|kind| self.cancellation.kinds.iter().any(|marked| marked.eq_ignore_ascii_case(kind)))
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
