//! Texts as they stand in XML, in HTML and on paper.

use rust_decimal::Decimal;

use crate::kernel::Money;

/// A text as it stands between tags and in attributes, of XML as of HTML. What has no place in a document, or turns the direction of writing so
/// that a text looks like another, is left out.
#[must_use]
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars().filter_map(seen) {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A text without what has no place in a document, or turns the direction of writing so that a text looks like another.
#[must_use]
pub(super) fn visible(text: &str) -> String {
    text.chars().filter_map(seen).collect()
}

/// A character as it is seen; a blank for one that breaks a line.
fn seen(c: char) -> Option<char> {
    match c {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => None,
        c if c.is_control() => Some(' '),
        c => Some(c),
    }
}

/// An amount with the digits of its currency, without its code.
#[must_use]
pub(super) fn digits(amount: Money) -> String {
    format!("{:.places$}", amount.decimal(), places = usize::try_from(amount.currency().exponent()).unwrap_or(2))
}

/// A rate in percent, without the sign.
#[must_use]
pub(super) fn percent(rate: Decimal) -> String {
    (rate * Decimal::ONE_HUNDRED).normalize().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_digits() {
        let money = |code: &str| Money::from_minor(1_200, code.parse().unwrap());
        assert_eq!((digits(money("EUR")), digits(money("JPY"))), ("12.00".to_owned(), "1200".to_owned()));
        assert_eq!((percent(Decimal::new(1900, 4)), percent(Decimal::new(55, 3))), ("19".to_owned(), "5.5".to_owned()));
    }

    #[test]
    fn nothing_that_is_written_becomes_markup() {
        let odd = "<a b='1'>&amp; \"Söhne\"\u{202e}\u{0}\n";
        assert_eq!(escaped(odd), "&lt;a b=&#39;1&#39;&gt;&amp;amp; &quot;Söhne&quot;  ");
    }
}
