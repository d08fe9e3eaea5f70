//! Why nobody can withdraw from the purchase of a variant. Pure.

use super::model::{Attributes, Variant};
use crate::error::{Error, Result};

/// The attribute of variants that says so.
const EXEMPT: &str = "withdrawal_exempt";

crate::words! {
    /// Why nobody can withdraw from goods or services: Article 16 of Directive 2011/83/EU.
    pub enum ExemptGround {
        /// Made to the customer's specification (c).
        MadeToMeasure = "made_to_measure",
        /// Goods that perish or expire soon (d).
        Perishable = "perishable",
        /// Sealed goods that can not come back for reasons of health or hygiene once they are unsealed (e).
        SealedHygiene = "sealed_hygiene",
        /// Goods that are mixed with others once they are delivered (f).
        Mixed = "mixed",
        /// Sealed sound or video recordings, or software (i).
        SealedMedia = "sealed_media",
        /// Newspapers and magazines (j).
        Periodical = "periodical",
        /// Lodging, transport, cars, catering or leisure on a date (l).
        DatedService = "dated_service",
        /// Digital content that has begun, with the customer's consent (m).
        DigitalContent = "digital_content",
    }
}

impl ExemptGround {
    /// The ground that stands on a variant: its attribute `withdrawal_exempt`, or that it is `perishable`.
    #[must_use]
    pub fn of(variant: &Variant) -> Option<Self> {
        let named = variant.attributes.get(EXEMPT).and_then(serde_json::Value::as_str);
        let named = named.and_then(|word| word.parse().ok());
        named.or_else(|| variant.perishes_soon().then_some(Self::Perishable))
    }

    /// What it says, for a person.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::MadeToMeasure => "it was made to the customer's specification (Article 16 (c))",
            Self::Perishable => "it perishes or expires soon (Article 16 (d))",
            Self::SealedHygiene => "it is sealed for reasons of health or hygiene (Article 16 (e))",
            Self::Mixed => "it is mixed inseparably with other things after delivery (Article 16 (f))",
            Self::SealedMedia => "it is a sealed recording or software (Article 16 (i))",
            Self::Periodical => "it is a newspaper or magazine (Article 16 (j))",
            Self::DatedService => "it is a service on a date (Article 16 (l))",
            Self::DigitalContent => "it is digital content that was begun with consent (Article 16 (m))",
        }
    }
}

/// That the attribute, where it is there, holds one of the words.
///
/// # Errors
/// `invalid_value`.
pub(super) fn check(attributes: &Attributes) -> Result<()> {
    let Some(value) = attributes.get(EXEMPT) else { return Ok(()) };
    if value.as_str().is_some_and(|word| word.parse::<ExemptGround>().is_ok()) {
        return Ok(());
    }
    let words: Vec<&str> = ExemptGround::ALL.iter().map(|ground| ground.as_str()).collect();
    Err(Error::invalid(format!("/attributes/{EXEMPT}"), format!("expected one of {}", words.join(", "))))
}
