//! Countries as ISO 3166-1 alpha-2 codes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An ISO 3166-1 alpha-2 country code, upper case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// Stands where no country is known; no channel is without one.
    pub const DEFAULT: Self = Self(*b"DE");

    /// The country of an ISO 3166-1 code of two or three letters or of its English name there, whatever their case.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        let upper = text.trim().to_uppercase();
        let code = |text: &str| {
            isocountry::CountryCode::for_alpha2(text).or_else(|_| isocountry::CountryCode::for_alpha3(text))
        };
        let by_name = || isocountry::CountryCode::iter().find(|code| code.name().to_uppercase() == upper).copied();
        code(&upper).ok().or_else(by_name)?.alpha2().parse().ok()
    }

    /// Whether it is a member state of the European Union. Territories with rules of their own (the Canaries, Åland, Northern
    /// Ireland and others) are not told apart.
    #[must_use]
    pub fn is_eu(self) -> bool {
        const MEMBERS: &[&[u8; 2]] = &[
            b"AT", b"BE", b"BG", b"CY", b"CZ", b"DE", b"DK", b"EE", b"ES", b"FI", b"FR", b"GR", b"HR", b"HU", b"IE",
            b"IT", b"LT", b"LU", b"LV", b"MT", b"NL", b"PL", b"PT", b"RO", b"SE", b"SI", b"SK",
        ];
        MEMBERS.contains(&&self.0)
    }

    /// The country that it is a part of for value added tax: Monaco counts as France and the Isle of Man as the United Kingdom
    /// (Directive 2006/112/EC, Article 7).
    #[must_use]
    pub const fn for_vat(self) -> Self {
        match &self.0 {
            b"MC" => Self(*b"FR"),
            b"IM" => Self(*b"GB"),
            _ => self,
        }
    }

    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only built from ASCII by `FromStr`, so the fallback is never taken.
        std::str::from_utf8(&self.0).unwrap_or("")
    }
}

/// The text is not an assigned country code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an ISO 3166-1 alpha-2 country code in upper case, such as DE")]
pub struct NotACountry;

impl FromStr for Country {
    type Err = NotACountry;

    fn from_str(text: &str) -> Result<Self, NotACountry> {
        isocountry::CountryCode::for_alpha2(text).map_err(|_| NotACountry)?;
        text.as_bytes().try_into().map(Self).map_err(|_| NotACountry)
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Country {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[A-Z]{2}$"))
            .description(Some("ISO 3166-1 alpha-2"))
            .examples([serde_json::json!("DE")])
            .into()
    }
}
impl utoipa::ToSchema for Country {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_assigned_codes_pass() {
        assert_eq!("DE".parse::<Country>().unwrap().as_str(), "DE");
        for wrong in ["de", "XX", "DEU", "", "Ü"] {
            assert!(wrong.parse::<Country>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_and_longer_codes_are_understood_where_they_are_asked_for() {
        for (text, code) in [("de", "DE"), ("DEU", "DE"), ("germany", "DE"), (" France ", "FR"), ("gbr", "GB")] {
            assert_eq!(Country::named(text).map(|country| country.to_string()).as_deref(), Some(code), "{text}");
        }
        for unknown in ["", "XX", "Deutschland", "EIRE"] {
            assert_eq!(Country::named(unknown), None, "{unknown}");
        }
    }
}
