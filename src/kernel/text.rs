//! Texts from outside: bounded, free of control characters; and the folded form in which they are searched.

use std::{borrow::Cow, fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize, de::Visitor};
use utoipa::openapi::schema::{ObjectBuilder, Type};

/// A text from outside: trimmed, 1 to `MAX` characters, no control characters (so no NUL, which PostgreSQL refuses). It is one
/// line, so that names and references can be shown in a row and be named in a path; with `LINES` it may have several.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize, const LINES: bool = false>(String);

/// A text of one or several lines: why something was done, what is to be known of it.
pub type Note<const MAX: usize> = Text<MAX, true>;

/// Whether a character has no place in a text of one line: it ends the line, moves within it, or turns it round so that it
/// reads as another text.
#[must_use]
pub fn leaves_the_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl<const MAX: usize, const LINES: bool> Text<MAX, LINES> {
    /// The text, checked.
    ///
    /// # Errors
    /// Says what is wrong: empty, too long, or a character that has no place in it.
    pub fn new(text: &str) -> Result<Self, NotAText> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(NotAText("expected a text that is not empty".into()));
        }
        if trimmed.chars().count() > MAX {
            return Err(NotAText(format!("expected at most {MAX} characters")));
        }
        if LINES && trimmed.contains(|c: char| c.is_control() && c != '\n' && c != '\t') {
            return Err(NotAText("expected a text without control characters".into()));
        }
        if !LINES && trimmed.contains(leaves_the_line) {
            return Err(NotAText(
                "expected a text of one line without tabs, control characters and characters that turn it round".into(),
            ));
        }
        Ok(Self(trimmed.to_owned()))
    }

    /// A text that was kept: it was checked when it came, by the rules of that time.
    #[must_use]
    pub const fn kept(text: String) -> Self {
        Self(text)
    }

    /// The text itself.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// The text is empty, too long or holds characters that have no place in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAText(pub String);

impl<const MAX: usize, const LINES: bool> Deref for Text<MAX, LINES> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize, const LINES: bool> fmt::Debug for Text<MAX, LINES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const MAX: usize, const LINES: bool> fmt::Display for Text<MAX, LINES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name under which a [`Text`] asks to be read: who reads what was kept answers with its bytes.
pub(super) const TEXT: &str = "Text";

struct Reading<const MAX: usize, const LINES: bool>;

impl<'de, const MAX: usize, const LINES: bool> Visitor<'de> for Reading<MAX, LINES> {
    type Value = Text<MAX, LINES>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Text::new(&text).map_err(serde::de::Error::custom)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Text::new(text).map_err(E::custom)
    }

    fn visit_byte_buf<E: serde::de::Error>(self, kept: Vec<u8>) -> Result<Self::Value, E> {
        String::from_utf8(kept).map(Text::kept).map_err(E::custom)
    }
}

impl<'de, const MAX: usize, const LINES: bool> Deserialize<'de> for Text<MAX, LINES> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(TEXT, Reading)
    }
}

impl<const MAX: usize, const LINES: bool> utoipa::PartialSchema for Text<MAX, LINES> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(MAX)).into()
    }
}
impl<const MAX: usize, const LINES: bool> utoipa::ToSchema for Text<MAX, LINES> {
    fn name() -> Cow<'static, str> {
        let kind = if LINES { "note" } else { "text" };
        format!("{kind}_{MAX}").into()
    }
}

/// A SKU: exact, case-sensitive, trimmed, at most 100 characters.
pub type Sku = Text<100>;

/// An e-mail address as it can be sent to everywhere, at most 254 characters (RFC 5321): ASCII, no comments, no quotes, no
/// address in brackets. A domain with umlauts is written in its ASCII form (`xn--…`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// What a name may hold beside letters, digits and single dots between; none of them but `_` begins it.
    const SIGNS: &str = "_+'&~%#!$*=-";
    const MAX: usize = 254;

    /// The address, without spaces around it, checked for its form: whether it can be delivered to, only sending tells.
    ///
    /// # Errors
    /// When it does not look like `name@host`.
    pub fn new(text: &str) -> Result<Self, NotAText> {
        let trimmed = text.trim_matches(' ');
        let is_right = |(name, host): (&str, &str)| Self::is_name(name) && host.split('.').all(Self::is_label);
        if text.len() > Self::MAX || !trimmed.split_once('@').is_some_and(is_right) {
            return Err(NotAText("expected an e-mail address such as ada@example.org".into()));
        }
        Ok(Self(trimmed.to_owned()))
    }

    fn is_name(name: &str) -> bool {
        let fits = |c: char| c.is_ascii_alphanumeric() || Self::SIGNS.contains(c);
        let begins = |c: char| c.is_ascii_alphanumeric() || c == '_';
        name.starts_with(begins) && name.split('.').all(|part| !part.is_empty() && part.chars().all(fits))
    }

    /// Whether it is a label of a host's name (RFC 1123).
    fn is_label(label: &str) -> bool {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let hyphen_outside = label.starts_with('-') || label.ends_with('-');
        (1..=63).contains(&label.len()) && !hyphen_outside && label.chars().all(fits)
    }

    /// The same as a regular expression.
    fn pattern() -> String {
        let sign = |c: char| if c == '-' { "\\-".to_owned() } else { c.to_string() };
        let signs: String = Self::SIGNS.chars().map(sign).collect();
        let (part, label) = (format!("[a-zA-Z0-9{signs}]"), r"[a-zA-Z0-9]([a-zA-Z0-9\-]{0,61}[a-zA-Z0-9])?");
        format!(r"^ *[a-zA-Z0-9_]{part}*(\.{part}+)*@{label}(\.{label})* *$")
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
            .pattern(Some(Self::pattern()))
            .max_length(Some(Self::MAX))
            .examples([serde_json::json!("ada@example.org")])
            .into()
    }
}
impl utoipa::ToSchema for Email {}

/// Whether a text is the whole address of a page, which a browser may be sent to: http or https, with a host.
#[must_use]
pub fn is_web_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// The address of a page that a browser may be sent to ([`is_web_address`]), at most 500 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct WebAddress(Text<500>);

impl Deref for WebAddress {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl<'de> Deserialize<'de> for WebAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Text<500>>::deserialize(deserializer)?;
        // What a browser would leave out of an address is not in ours.
        if is_web_address(&text) && !text.contains(char::is_whitespace) {
            return Ok(Self(text));
        }
        Err(serde::de::Error::custom("expected a web address such as https://shop.example.org/thanks"))
    }
}

impl utoipa::PartialSchema for WebAddress {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^ *[hH][tT][tT][pP][sS]?://"))
            .max_length(Some(500))
            .examples([serde_json::json!("https://shop.example.org/thanks")])
            .into()
    }
}
impl utoipa::ToSchema for WebAddress {}

/// What a delivery is called by its place, from 0, once it is forgotten who has chosen its key: a shopper may have put a name there.
#[must_use]
pub fn neutral_key(number: usize) -> String {
    format!("delivery-{}", number.saturating_add(1))
}

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
        assert_eq!(&*<Text<5>>::new("  abc ").unwrap(), "abc");
        for wrong in ["   ", "abcdef", "a\0b"] {
            assert!(<Text<5>>::new(wrong).is_err() && Note::<5>::new(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_name_is_one_line_that_reads_as_it_is_and_a_note_may_have_several() {
        for odd in ["a\nb", "a\tb", "a\rb", "a\u{7f}b", "a\u{85}b", "a\u{2028}b", "a\u{202e}b", "a\u{2066}b"] {
            assert!(<Text<9>>::new(odd).is_err(), "{odd:?}");
            assert!(serde_json::from_value::<Text<9>>(serde_json::json!(odd)).is_err(), "{odd:?}");
        }
        // Marks stand in names that are written from right to left.
        for right in ["a b", "é", "א\u{200f}ב", "👩\u{200d}🔧"] {
            assert_eq!(&*<Text<9>>::new(right).unwrap(), right);
        }
        assert_eq!(&*Note::<9>::new("a\n\tb").unwrap(), "a\n\tb");
        assert!(Note::<9>::new("a\rb").is_err());
    }

    #[test]
    fn addresses_of_odd_form_are_refused() {
        for right in
            ["ada@example.org", " o'hara+shop_2@x-y.example.co.uk ", "a.b=c!d@localhost", "_@xn--exmple-cua.de"]
        {
            assert_eq!(Email::new(right).unwrap().as_str(), right.trim());
        }
        for wrong in [
            "ada",
            "@example.org",
            "ada@",
            "a b@example.org",
            "ada@example..org",
            "a@b@c",
            "<a@b.de>",
            "\"a\"@b.de",
            "a@[1.2.3.4]",
            "=cmd|'/C calc'!A0@x.de",
            "=1@x.de",
            "-a@x.de",
            "+a@x.de",
            "jörg@example.de",
            "j@exämple.de",
            ".a@b.de",
            "a.@b.de",
            "a..b@b.de",
            "a@-b.de",
            "a@b-.de",
            "a@.de",
            "a@b.",
            "a,b@c.de",
            "a@b.de\n",
            "\ta@b.de",
        ] {
            assert!(Email::new(wrong).is_err(), "{wrong}");
        }
        assert!(Email::new(&format!("a@{}.de", "b".repeat(63))).is_ok());
        assert!(Email::new(&format!("a@{}.de", "b".repeat(64))).is_err());
        assert!(Email::new(&format!("{}@b.de", "a".repeat(250))).is_err());
    }

    fn published() -> impl proptest::strategy::Strategy<Value = String> {
        let pattern = Email::pattern();
        // What is made up begins and ends where the pattern does.
        proptest::string::string_regex(pattern.trim_start_matches('^').trim_end_matches('$')).unwrap()
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_published_pattern_takes_is_an_address(text in published()) {
            proptest::prop_assert_eq!(Email::new(&text).is_ok(), text.len() <= Email::MAX, "{}", text);
        }
    }

    #[test]
    fn web_addresses_are_whole_and_of_the_web() {
        let read = |text: &str| serde_json::from_value::<WebAddress>(serde_json::json!(text));
        assert!(read("https://shop.example.org/thanks?a=b#c").is_ok() && read("http://localhost:3000/").is_ok());
        for wrong in [
            "javascript:alert(1)",
            "/thanks",
            "//evil.example",
            "data:text/html,x",
            "ftp://x/",
            "https://",
            "java\nscript:x",
            "https://a\n.example/",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
