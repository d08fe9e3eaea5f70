//! What a variant is.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    bundles::{self, Component},
    exempt,
};
use crate::{
    error::{Code, Error, Result},
    kernel::{
        Capabilities, Instant,
        ids::VariantId,
        patch::present,
        text::{NotAText, Sku, Text},
        warranty,
    },
};

crate::words! {
    /// Whether stock is counted.
    pub enum StockPolicy {
        /// Its levels say how many can be sold.
        Tracked = "tracked",
        /// It is always available: a service, a download, a voucher.
        Untracked = "untracked",
    }
}

crate::words! {
    /// What happens when more is ordered than is there.
    pub enum BackorderPolicy {
        /// It is refused.
        Deny = "deny",
        /// It is sold and delivered later.
        Allow = "allow",
    }
}

crate::words! {
    /// Whether it is sold.
    pub enum VariantStatus {
        /// It can be sold.
        Active = "active",
        /// It is kept for old orders and can not be sold any more.
        Archived = "archived",
    }
}

crate::words! {
    /// What is asked for of the goods, where they come in and where they leave.
    pub enum TrackingPolicy {
        /// Nothing.
        None = "none",
        /// Of which lot they are.
        Lot = "lot",
        /// A serial number of each piece that leaves.
        Serial = "serial",
        /// Both.
        LotAndSerial = "lot_and_serial",
    }
}

impl TrackingPolicy {
    /// Whether it is asked of which lot goods are.
    #[must_use]
    pub const fn asks_for_lots(self) -> bool {
        matches!(self, Self::Lot | Self::LotAndSerial)
    }

    /// Whether each piece that leaves has a serial number.
    #[must_use]
    pub const fn asks_for_serials(self) -> bool {
        matches!(self, Self::Serial | Self::LotAndSerial)
    }
}

/// The heaviest variant, in grams: a thousand tonnes.
const MAX_GRAMS: i64 = 1_000_000_000;
/// The attribute of goods that perish soon: `true`.
const PERISHABLE: &str = "perishable";
/// The largest attributes, as JSON text.
const MAX_ATTRIBUTES: usize = 8_192;

/// A unit of measure by its UN/ECE Recommendation 20 code: `C62` (one), `H87` (piece), `KGM` (kilogram).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^[0-9A-Z]{1,3}$", example = "C62")]
pub struct UnitCode(String);

impl Default for UnitCode {
    fn default() -> Self {
        Self("C62".to_owned())
    }
}

impl FromStr for UnitCode {
    type Err = NotAText;

    fn from_str(text: &str) -> Result<Self, NotAText> {
        let fits = (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        let wrong = || NotAText("expected a unit code of UN/ECE Recommendation 20, such as C62, H87 or KGM".into());
        if fits { Ok(Self(text.to_owned())) } else { Err(wrong()) }
    }
}

impl<'de> Deserialize<'de> for UnitCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.trim().parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for UnitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A GTIN of 8, 12, 13 or 14 digits whose last digit is right (GS1 General Specifications, 7.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gtin(String);

impl FromStr for Gtin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |detail: &str| Error::problem(Code::GtinInvalid, format!("`{text}` {detail}"));
        if !text.bytes().all(|byte| byte.is_ascii_digit()) || !matches!(text.len(), 8 | 12 | 13 | 14) {
            return Err(wrong("is no GTIN of 8, 12, 13 or 14 digits"));
        }
        if crate::kernel::gs1::is_whole(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(wrong("has a wrong check digit"))
        }
    }
}

impl Gtin {
    /// The digits as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// All lengths in which the same number is written: a scanner reads a GTIN-12 as a GTIN-13 with a zero in front.
    #[must_use]
    pub fn spellings(&self) -> [String; 4] {
        let bare = self.0.trim_start_matches('0');
        [8, 12, 13, 14].map(|length| format!("{bare:0>length$}"))
    }
}

/// What else a merchant notes about a variant: a small JSON object.
pub type Attributes = BTreeMap<String, serde_json::Value>;

/// What is sold: one article in one size and colour.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Variant {
    /// Its id.
    pub id: VariantId,
    /// Its SKU: exact, case-sensitive.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// Its GTIN.
    pub gtin: Option<String>,
    /// Under which class it is taxed.
    pub tax_class: String,
    /// What one of it weighs, packed.
    pub weight_grams: i64,
    /// The unit it is counted in (UN/ECE Recommendation 20).
    pub unit_code: String,
    /// Whether it goes through the post.
    pub requires_shipping: bool,
    /// Whether stock is counted; of a bundle it is not: that of its components is.
    pub stock_policy: StockPolicy,
    /// What happens when more is ordered than is there.
    pub backorder_policy: BackorderPolicy,
    /// What is asked for of its goods, where they come in and where they leave; of a bundle nothing, of its components what they ask.
    pub tracking: TrackingPolicy,
    /// What a location has to be able to do to ship it; absent where that is nothing. A bundle asks for nothing: its components do.
    #[serde(skip_serializing_if = "Capabilities::is_none")]
    pub requires: Capabilities,
    /// Whether it is sold.
    pub status: VariantStatus,
    /// What a bundle is made of; absent where it is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// What else is noted about it. `perishable: true` is heeded: the price before a reduction of such goods is the last one; and
    /// `withdrawal_exempt`, which says why the law lets nobody withdraw from it.
    #[schema(value_type = Object)]
    pub attributes: Attributes,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// A variant about to be made.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"sku": "MUG-BLUE", "name": "Mug, blue", "gtin": "4006381333931", "tax_class": "standard", "weight_grams": 350}))]
pub struct NewVariant {
    /// Its SKU: exact, case-sensitive, never changed.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    pub sku: Sku,
    /// Its name.
    pub name: Text<200>,
    /// Its GTIN: 8, 12, 13 or 14 digits with the right check digit.
    #[schema(value_type = Option<String>, pattern = "^[0-9]{8}([0-9]{4,6})?$")]
    pub gtin: Option<Text<14>>,
    /// Under which class it is taxed.
    pub tax_class: Text<50>,
    /// What one of it weighs, packed.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub weight_grams: i64,
    /// The unit it is counted in (UN/ECE Recommendation 20).
    #[serde(default)]
    pub unit_code: UnitCode,
    /// Whether it goes through the post.
    #[serde(default = "yes")]
    pub requires_shipping: bool,
    /// Whether stock is counted.
    #[serde(default = "tracked")]
    pub stock_policy: StockPolicy,
    /// What happens when more is ordered than is there.
    #[serde(default = "deny")]
    pub backorder_policy: BackorderPolicy,
    /// What is asked for of its goods, where they come in and where they leave.
    #[serde(default = "untraced")]
    pub tracking: TrackingPolicy,
    /// What a location has to be able to do to ship it: only those are asked that name all of it among their `capabilities`.
    #[serde(default)]
    pub requires: Capabilities,
    /// What it is made of, where it is a bundle: 1 to 50 variants that are sold and are no bundles themselves. A bundle is sold as one
    /// and has no stock of its own; whether a variant is one never changes. Leave it out where it is none.
    #[schema(min_items = 1, max_items = 50)]
    pub components: Option<Vec<Component>>,
    /// What else is noted about it, at most 8 KiB.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub attributes: Attributes,
}

const fn yes() -> bool {
    true
}
const fn tracked() -> StockPolicy {
    StockPolicy::Tracked
}
const fn deny() -> BackorderPolicy {
    BackorderPolicy::Deny
}
const fn untraced() -> TrackingPolicy {
    TrackingPolicy::None
}

impl NewVariant {
    /// The variant as it is made, checked.
    ///
    /// # Errors
    /// `gtin_invalid`, `bundle_invalid` or `invalid_value` with the pointer to the field.
    pub fn build(self, id: VariantId, now: Instant) -> Result<Variant> {
        if let Some(components) = &self.components {
            bundles::check(&self.sku, components)?;
        }
        let components = self.components.unwrap_or_default();
        let variant = Variant {
            id,
            sku: self.sku.into_string(),
            name: self.name.into_string(),
            gtin: self.gtin.as_deref().map(checked_gtin).transpose()?,
            tax_class: self.tax_class.into_string(),
            weight_grams: self.weight_grams,
            unit_code: self.unit_code.0,
            requires_shipping: self.requires_shipping,
            stock_policy: if components.is_empty() { self.stock_policy } else { StockPolicy::Untracked },
            backorder_policy: self.backorder_policy,
            tracking: self.tracking,
            requires: self.requires,
            status: VariantStatus::Active,
            components,
            attributes: self.attributes,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        variant.check()?;
        Ok(variant)
    }
}

impl Variant {
    /// Whether it is noted that it perishes soon: then the price before a reduction is the last one (Directive 98/6/EC, Article
    /// 6a (3)).
    #[must_use]
    pub fn perishes_soon(&self) -> bool {
        self.attributes.get(PERISHABLE).and_then(serde_json::Value::as_bool) == Some(true)
    }

    /// Whether no more of it is sold than there is.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.stock_policy == StockPolicy::Tracked && self.backorder_policy == BackorderPolicy::Deny
    }

    /// What the types can not say.
    fn check(&self) -> Result<()> {
        if !(0..=MAX_GRAMS).contains(&self.weight_grams) {
            return Err(Error::invalid("/weight_grams", format!("expected a number from 0 to {MAX_GRAMS}")));
        }
        if self.is_bundle() && self.tracking != TrackingPolicy::None {
            let detail = "a bundle has no goods of its own: track its components";
            return Err(Error::problem(Code::BundleInvalid, detail).at("/tracking"));
        }
        if self.is_bundle() && !self.requires.is_none() {
            let detail = "a bundle has no goods of its own: its components say what they require";
            return Err(Error::problem(Code::BundleInvalid, detail).at("/requires"));
        }
        if !self.attributes.is_empty() && serde_json::to_string(&self.attributes)?.len() > MAX_ATTRIBUTES {
            return Err(Error::invalid("/attributes", format!("expected at most {MAX_ATTRIBUTES} bytes of JSON")));
        }
        exempt::check(&self.attributes)?;
        check_warranty(&self.attributes)
    }
}

/// That a warranty lasts for a number of months that there can be.
fn check_warranty(attributes: &Attributes) -> Result<()> {
    let Some(value) = attributes.get(warranty::ATTRIBUTE) else { return Ok(()) };
    match warranty::months_of(value) {
        Some(0..=warranty::MOST_MONTHS) => Ok(()),
        _ => {
            let detail = format!("expected a whole number of months from 0 to {}", warranty::MOST_MONTHS);
            Err(Error::invalid(format!("/attributes/{}", warranty::ATTRIBUTE), detail))
        }
    }
}

fn checked_gtin(text: &str) -> Result<String> {
    text.parse::<Gtin>().map(|gtin| gtin.0).map_err(|error| error.at("/gtin"))
}

/// What can be changed about a variant; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Mug, navy blue", "weight_grams": 355}))]
pub struct VariantChange {
    /// Its name.
    pub name: Option<Text<200>>,
    /// Its GTIN; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, pattern = "^[0-9]{8}([0-9]{4,6})?$")]
    pub gtin: Option<Option<Text<14>>>,
    /// Under which class it is taxed.
    pub tax_class: Option<Text<50>>,
    /// What one of it weighs, packed.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub weight_grams: Option<i64>,
    /// The unit it is counted in (UN/ECE Recommendation 20).
    pub unit_code: Option<UnitCode>,
    /// Whether it goes through the post.
    pub requires_shipping: Option<bool>,
    /// Whether stock is counted.
    pub stock_policy: Option<StockPolicy>,
    /// What happens when more is ordered than is there.
    pub backorder_policy: Option<BackorderPolicy>,
    /// What is asked for of its goods. What lies there already is sold as it is.
    pub tracking: Option<TrackingPolicy>,
    /// What a location has to be able to do to ship it, all of it. What is placed already stays where it is.
    pub requires: Option<Capabilities>,
    /// Whether it is sold.
    pub status: Option<VariantStatus>,
    /// What a bundle is made of, whole; it counts for carts that are priced from then on. What is no bundle does not become one.
    #[schema(min_items = 1, max_items = 50)]
    pub components: Option<Vec<Component>>,
    /// What else is noted about it, whole.
    #[schema(value_type = Option<Object>)]
    pub attributes: Option<Attributes>,
}

impl VariantChange {
    /// The variant with this change, checked.
    ///
    /// # Errors
    /// `gtin_invalid`, `bundle_invalid` or `invalid_value` with the pointer to the field.
    pub fn apply(&self, to: &Variant) -> Result<Variant> {
        let mut variant = to.clone();
        if let Some(gtin) = &self.gtin {
            variant.gtin = gtin.as_deref().map(checked_gtin).transpose()?;
        }
        let text = |to: &mut String, from: Option<&str>| from.into_iter().for_each(|from| from.clone_into(to));
        text(&mut variant.name, self.name.as_deref());
        text(&mut variant.tax_class, self.tax_class.as_deref());
        text(&mut variant.unit_code, self.unit_code.as_ref().map(|code| code.0.as_str()));
        variant.weight_grams = self.weight_grams.unwrap_or(variant.weight_grams);
        variant.requires_shipping = self.requires_shipping.unwrap_or(variant.requires_shipping);
        variant.stock_policy = self.stock_policy.unwrap_or(variant.stock_policy);
        variant.backorder_policy = self.backorder_policy.unwrap_or(variant.backorder_policy);
        variant.tracking = self.tracking.unwrap_or(variant.tracking);
        if let Some(requires) = &self.requires {
            variant.requires.clone_from(requires);
        }
        variant.status = self.status.unwrap_or(variant.status);
        if let Some(components) = &self.components {
            variant.components = bundles::changed(&variant.sku, &variant.components, components)?;
        }
        if variant.is_bundle() && variant.stock_policy == StockPolicy::Tracked {
            let detail = "a bundle has no stock of its own: that of its components is counted";
            return Err(Error::problem(Code::BundleInvalid, detail).at("/stock_policy"));
        }
        if let Some(attributes) = &self.attributes {
            variant.attributes.clone_from(attributes);
        }
        variant.check()?;
        Ok(variant)
    }
}

/// A row of an import: the SKU, and what is to be so about it. What is absent stays, or gets its default where the SKU
/// is new; `name` and `tax_class` a new SKU must have.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"sku": "MUG-GREEN", "name": "Mug, green", "tax_class": "standard"}))]
pub struct VariantRow {
    /// Its SKU.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    pub sku: Sku,
    /// Its name.
    pub name: Option<Text<200>>,
    /// Its GTIN; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub gtin: Option<Option<Text<14>>>,
    /// Under which class it is taxed.
    pub tax_class: Option<Text<50>>,
    /// What one of it weighs, packed.
    pub weight_grams: Option<i64>,
    /// The unit it is counted in.
    pub unit_code: Option<UnitCode>,
    /// Whether it goes through the post.
    pub requires_shipping: Option<bool>,
    /// Whether stock is counted.
    pub stock_policy: Option<StockPolicy>,
    /// What happens when more is ordered than is there.
    pub backorder_policy: Option<BackorderPolicy>,
    /// What is asked for of its goods. What lies there already is sold as it is.
    pub tracking: Option<TrackingPolicy>,
    /// What a location has to be able to do to ship it, all of it.
    pub requires: Option<Capabilities>,
    /// Whether it is sold.
    pub status: Option<VariantStatus>,
    /// What it is made of, where it is a bundle: a new SKU with components is one, and stays one.
    #[schema(min_items = 1, max_items = 50)]
    pub components: Option<Vec<Component>>,
    /// What else is noted about it, whole.
    #[schema(value_type = Option<Object>)]
    pub attributes: Option<Attributes>,
}

impl VariantRow {
    /// The row without its SKU.
    fn change(&self) -> VariantChange {
        VariantChange {
            name: self.name.clone(),
            gtin: self.gtin.clone(),
            tax_class: self.tax_class.clone(),
            weight_grams: self.weight_grams,
            unit_code: self.unit_code.clone(),
            requires_shipping: self.requires_shipping,
            stock_policy: self.stock_policy,
            backorder_policy: self.backorder_policy,
            tracking: self.tracking,
            requires: self.requires.clone(),
            status: self.status,
            components: self.components.clone(),
            attributes: self.attributes.clone(),
        }
    }

    /// What the variant of this SKU is after the row; `known` is what it was before.
    ///
    /// # Errors
    /// `missing_field` where a new SKU lacks a name or a tax class; `gtin_invalid`, `bundle_invalid` or `invalid_value`.
    pub fn onto(&self, known: Option<&Variant>, fresh: VariantId, now: Instant) -> Result<Variant> {
        if let Some(known) = known {
            return self.change().apply(known);
        }
        let missing = |field: &str| {
            let detail = format!("the SKU `{}` is new and needs a {field}", self.sku);
            Error::problem(Code::MissingField, detail).at(format!("/{field}"))
        };
        let made = NewVariant {
            sku: self.sku.clone(),
            name: self.name.clone().ok_or_else(|| missing("name"))?,
            gtin: None,
            tax_class: self.tax_class.clone().ok_or_else(|| missing("tax_class"))?,
            weight_grams: 0,
            unit_code: UnitCode::default(),
            requires_shipping: yes(),
            stock_policy: tracked(),
            backorder_policy: deny(),
            tracking: untraced(),
            requires: Capabilities::NONE,
            components: self.components.clone(),
            attributes: Attributes::new(),
        };
        self.change().apply(&made.build(fresh, now)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_of_all_four_lengths() {
        for right in ["96385074", "012345678905", "4006381333931", "10012345678902"] {
            assert!(right.parse::<Gtin>().is_ok(), "{right}");
        }
        for wrong in [
            "96385075",
            "4006381333932",
            "400638133393",
            "",
            "4006381333931 ",
            "４００６３８１３３３９３１",
            "123456789",
        ] {
            assert_eq!(wrong.parse::<Gtin>().unwrap_err().code(), Code::GtinInvalid, "{wrong}");
        }
    }

    #[test]
    fn a_number_is_found_in_each_of_its_lengths() {
        let gtin: Gtin = "012345678905".parse().unwrap();
        assert!(gtin.spellings().contains(&"0012345678905".to_owned()));
        let short: Gtin = "96385074".parse().unwrap();
        assert!(short.spellings().contains(&"96385074".to_owned()));
    }

    #[test]
    fn unit_codes_have_one_to_three_capitals_and_digits() {
        assert!(["C62", "H87", "KGM", "5"].iter().all(|code| code.parse::<UnitCode>().is_ok()));
        assert!(["", "c62", "KILO", "K-M"].iter().all(|code| code.parse::<UnitCode>().is_err()));
    }
}
