//! Reading a mapping, and what its types alone do not say. Whatever is wrong is told with the key that is to be changed.

use std::{collections::BTreeMap, path::Path};

use chrono::format::{Item, StrftimeItems};
use rust_decimal::Decimal;

use super::{Kind, Mapping, Progress, SkuCase};
use crate::{
    kernel::{
        Country,
        text::{self, Sku},
    },
    replay::{Unusable, reason::Defect},
};

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
        if !self.locations.is_empty() && self.locations.values().map(|share| u32::from(*share)).sum::<u32>() != 100 {
            return wrong("locations", "expected shares that are 100 together, such as { north = 60, south = 40 }");
        }
        let percent = |rate: &Decimal| (Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(rate);
        if let Some((key, _)) = self.tax.rates().find(|(_, rate)| !percent(rate)) {
            return wrong(&format!("tax.{key}"), "expected a percentage from 0 to 100");
        }
        for (key, sku) in
            [("shipping_sku", &self.order_level.shipping_sku), ("discount_sku", &self.order_level.discount_sku)]
        {
            if Sku::new(sku).is_err() {
                return wrong(&format!("order_level.{key}"), "expected a SKU of at most 100 characters");
            }
        }
        self.check_status()?;
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

    fn check_status(&self) -> Result<(), Unusable> {
        let used = self.status.all().iter().any(|(_, words)| !words.is_empty())
            || self.leave_out.iter().any(|rule| !rule.statuses.is_empty());
        if used && self.columns.status.is_none() {
            let text = "mapping key `columns.status`: expected a column, since `status` or `statuses` is used below";
            return Err(Unusable(text.to_owned()));
        }
        let mut seen: BTreeMap<String, Progress> = BTreeMap::new();
        for (progress, words) in self.status.all() {
            for word in words {
                if seen.insert(word.to_lowercase(), progress).is_some_and(|other| other != progress) {
                    return Err(Unusable(format!("mapping key `status`: `{word}` stands under two keys")));
                }
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
}
