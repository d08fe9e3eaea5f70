//! What a place can do and goods ask for: `cold_chain`, `hazmat`, `bulky`, `gift_wrap`, `customs`, or any other word that a merchant
//! agrees on. Pure.

use std::{fmt, ops::Deref, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};

use super::text::NotAText;

/// The longest word.
const LONGEST: usize = 40;
/// The most words of a place, or of an article.
const MOST: usize = 20;

/// One thing that a place can do: a lower-case word of 1 to 40 letters, digits and underscores that begins with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Capability(String);

impl FromStr for Capability {
    type Err = NotAText;

    fn from_str(text: &str) -> Result<Self, NotAText> {
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        match begins && text.len() <= LONGEST && text.chars().all(fits) {
            true => Ok(Self(text.to_owned())),
            false => Err(NotAText(
                "expected a lower-case word of at most 40 letters, digits and underscores, such as `cold_chain`".into(),
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Capability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a place can do, or what goods ask of it: up to 20 words, sorted, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Capabilities(Vec<Capability>);

impl Capabilities {
    /// None at all: what most places have and most goods ask for.
    pub const NONE: Self = Self(Vec::new());

    /// Whether there is none: nothing is asked for, or nothing beside what every place can do.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of these words that are not among the capabilities of a place.
    #[must_use]
    pub fn missing_at(&self, place: &Self) -> Vec<String> {
        self.0.iter().filter(|word| !place.0.contains(word)).map(ToString::to_string).collect()
    }

    /// Whether a place has all of them.
    #[must_use]
    pub fn are_had_by(&self, place: &Self) -> bool {
        self.0.iter().all(|word| place.0.contains(word))
    }
}

impl TryFrom<Vec<Capability>> for Capabilities {
    type Error = NotAText;

    fn try_from(mut words: Vec<Capability>) -> Result<Self, NotAText> {
        if words.len() > MOST {
            return Err(NotAText(format!("expected at most {MOST} words")));
        }
        let named = words.len();
        words.sort_unstable();
        words.dedup();
        if words.len() < named { Err(NotAText("a word is there twice".into())) } else { Ok(Self(words)) }
    }
}

impl Deref for Capabilities {
    type Target = [Capability];

    fn deref(&self) -> &[Capability] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Capabilities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<Capability>::deserialize(deserializer)?;
        Self::try_from(words).map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Capabilities {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        let word = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[a-z][a-z0-9_]{0,39}$"));
        ArrayBuilder::new()
            .items(word)
            .max_items(Some(MOST))
            .unique_items(true)
            .examples([serde_json::json!(["cold_chain", "hazmat"])])
            .into()
    }
}
impl utoipa::ToSchema for Capabilities {
    // Adapters of connectors have capabilities too, and names of schemas are one space for all slices.
    fn name() -> std::borrow::Cow<'static, str> {
        "CapabilityWords".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Capabilities, serde_json::Error> {
        serde_json::from_value(serde_json::json!(words))
    }

    #[test]
    fn words_are_sorted_lower_case_and_there_once() {
        assert_eq!(
            serde_json::to_value(read(&["hazmat", "bulky"]).unwrap()).unwrap(),
            serde_json::json!(["bulky", "hazmat"])
        );
        for wrong in ["", "Bulky", "gift wrap", "1st", "_x", "größe", &"a".repeat(41)] {
            assert!(read(&[wrong]).is_err(), "{wrong}");
        }
        assert!(read(&["bulky", "bulky"]).is_err());
        let many: Vec<String> = (0..21).map(|number| format!("w{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(read(&many).is_err() && read(many.get(1..).unwrap()).is_ok());
    }

    #[test]
    fn a_place_lacks_what_it_does_not_name() {
        let (asked, place) = (read(&["bulky", "cold_chain"]).unwrap(), read(&["cold_chain", "hazmat"]).unwrap());
        assert_eq!(asked.missing_at(&place), ["bulky"]);
        assert!(!asked.are_had_by(&place) && Capabilities::NONE.are_had_by(&place) && place.are_had_by(&place));
    }
}
