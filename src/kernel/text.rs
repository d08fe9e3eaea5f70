//! Texts from outside: bounded, free of control characters; and the folded form in which they are searched.

use std::{borrow::Cow, fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Type};

/// A text from outside: trimmed, 1 to `MAX` characters, no control characters (so no NUL, which PostgreSQL refuses).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// The text, checked.
    ///
    /// # Errors
    /// Says what is wrong: empty, too long, or a control character.
    pub fn new(text: &str) -> Result<Self, NotAText> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(NotAText("expected a text that is not empty".into()));
        }
        if trimmed.chars().count() > MAX {
            return Err(NotAText(format!("expected at most {MAX} characters")));
        }
        if trimmed.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(NotAText("expected a text without control characters".into()));
        }
        Ok(Self(trimmed.to_owned()))
    }

    /// The text itself.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// The text is empty, too long or holds control characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAText(pub String);

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

impl<const MAX: usize> utoipa::PartialSchema for Text<MAX> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(MAX)).into()
    }
}
impl<const MAX: usize> utoipa::ToSchema for Text<MAX> {
    fn name() -> Cow<'static, str> {
        format!("text_{MAX}").into()
    }
}

/// A SKU: exact, case-sensitive, trimmed, at most 100 characters.
pub type Sku = Text<100>;

/// An e-mail address: one `@` with something on both sides, no white space, at most 254 characters (RFC 5321).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// The address, checked for its outer form only: whether it can be delivered to, only sending tells.
    ///
    /// # Errors
    /// When it does not look like `name@host`.
    pub fn new(text: &str) -> Result<Self, NotAText> {
        let trimmed = text.trim();
        let wrong = || NotAText("expected an e-mail address such as ada@example.org".into());
        let (name, host) = trimmed.rsplit_once('@').ok_or_else(wrong)?;
        let odd = |c: char| c.is_whitespace() || c.is_control();
        let host_is_fine = !host.is_empty() && !host.starts_with('.') && !host.ends_with('.') && !host.contains("..");
        if name.is_empty() || !host_is_fine || trimmed.chars().any(odd) || trimmed.len() > 254 || name.contains('@') {
            return Err(wrong());
        }
        Ok(Self(trimmed.to_owned()))
    }

    /// The address as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which addresses are compared: lower case.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Email {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r"^[a-zA-Z0-9._+\-]+@[a-zA-Z0-9\-]+(\.[a-zA-Z0-9\-]+)*$"))
            .max_length(Some(254))
            .examples([serde_json::json!("ada@example.org")])
            .into()
    }
}
impl utoipa::ToSchema for Email {}

/// The form in which names and words are searched: umlauts and accents folded to ASCII, lower case, single spaces.
///
/// German umlauts fold to one letter (`Müller` → `muller`) and the spelling `Mueller` folds to the same.
#[must_use]
pub fn fold(text: &str) -> String {
    let ascii = deunicode::deunicode(text).to_lowercase();
    let mut folded = String::with_capacity(ascii.len());
    for word in ascii.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(&word.replace("ae", "a").replace("oe", "o").replace("ue", "u"));
    }
    folded
}

/// Only the letters and digits, upper case: postcodes and tracking numbers are compared so.
#[must_use]
pub fn squeeze(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

/// Only the digits of a phone number as it is dialled within its country: without the country's code, when it is written
/// with one, and without a `0` in front. So `+49 30 1234`, `0049 (0)30 1234` and `030 1234` are the same.
#[must_use]
pub fn phone_digits(text: &str) -> String {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let abroad = match text.trim_start().starts_with('+') {
        true => Some(digits.as_str()),
        false => digits.strip_prefix("00"),
    };
    let national = abroad.map_or(digits.as_str(), |abroad| abroad.get(country_code(abroad)..).unwrap_or_default());
    national.trim_start_matches('0').to_owned()
}

/// How many digits of an international number are its country's code (ITU-T E.164).
fn country_code(digits: &str) -> usize {
    const TWO: &[&str] = &[
        "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48", "49",
        "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66", "81", "82", "84",
        "86", "90", "91", "92", "93", "94", "95", "98",
    ];
    match digits.get(..2) {
        _ if digits.starts_with(['1', '7']) => 1,
        Some(two) if TWO.contains(&two) => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn umlauts_and_their_spellings_fold_to_the_same() {
        assert_eq!(fold("Jörg  MÜLLER-Lüdenscheidt"), "jorg muller ludenscheidt");
        assert_eq!(fold("Joerg Mueller"), fold("Jörg Müller"));
        assert_eq!(fold("Łódź"), "lodz");
    }

    #[test]
    fn a_phone_number_is_the_same_from_home_and_from_abroad() {
        for same in ["+49 30 1234567", "0049 30 1234567", "030 / 123 45 67", "+49 (0)30-1234567", "30 1234567"] {
            assert_eq!(phone_digits(same), "301234567", "{same}");
        }
        assert_eq!(phone_digits("+1 212 555 0100"), phone_digits("(212) 555-0100"));
        assert_eq!(phone_digits("+358 9 1234"), phone_digits("09 1234"));
        assert_eq!((phone_digits("+4"), phone_digits("no number")), (String::new(), String::new()));
    }

    #[test]
    fn texts_are_trimmed_and_bounded() {
        assert_eq!(&*Text::<5>::new("  abc ").unwrap(), "abc");
        assert!(Text::<5>::new("   ").is_err());
        assert!(Text::<5>::new("abcdef").is_err());
        assert!(Text::<5>::new("a\0b").is_err());
    }

    #[test]
    fn addresses_of_odd_form_are_refused() {
        assert!(Email::new("ada@example.org").is_ok());
        for wrong in ["ada", "@example.org", "ada@", "a b@example.org", "ada@example..org", "a@b@c"] {
            assert!(Email::new(wrong).is_err(), "{wrong}");
        }
    }
}
