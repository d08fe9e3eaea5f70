//! Single values as files write them: encodings, numbers, dates. Pure, and never a guess: what is not clearly one
//! value is none.

use std::borrow::Cow;

use chrono::{
    DateTime, Duration, LocalResult, NaiveDateTime, NaiveTime, TimeZone, Utc,
    format::{Fixed, Item, Numeric, Parsed, StrftimeItems, parse},
};
use chrono_tz::Tz;
use rust_decimal::Decimal;

use super::mapping::{DateFormat, Encoding, Restart};
use crate::kernel::{Instant, text::leaves_the_line};

/// The characters of Windows-1252 at 80–9F; the five that it does not assign stay control characters.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The text of bytes in an encoding; `None` when they are not in it.
pub(super) fn decode(bytes: &[u8], encoding: Encoding) -> Option<Cow<'_, str>> {
    if bytes.is_ascii() || encoding == Encoding::Utf8 {
        return std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
    }
    let character = |byte: &u8| match byte {
        0x80..=0x9f if encoding == Encoding::Windows1252 => {
            WINDOWS_1252.get(usize::from(byte - 0x80)).copied().unwrap_or(char::from(*byte))
        }
        _ => char::from(*byte),
    };
    Some(Cow::Owned(bytes.iter().map(character).collect()))
}

/// A decimal number as shops write it: grouped thousands (groups of exactly three, so that `12.50` is never read as
/// 1250), a sign in front or behind, parentheses for negative, a currency beside it.
pub(super) fn decimal(text: &str, comma: bool) -> Option<Decimal> {
    let mut rest = bare(text);
    let mut negative = false;
    if let Some(inner) = rest.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        negative = true;
        rest = bare(inner);
    }
    if let Some(behind) = rest.strip_suffix(['-', '−']) {
        if negative {
            return None;
        }
        negative = true;
        rest = bare(behind);
    }
    if let Some(after) = rest.strip_prefix(['-', '−', '+']) {
        let minus = !rest.starts_with('+');
        if minus && negative {
            return None;
        }
        negative = negative || minus;
        rest = bare(after);
    }
    let (point, group) = if comma { (',', '.') } else { ('.', ',') };
    let (whole, fraction) = rest.split_once(point).unwrap_or((rest, ""));
    let whole = ungrouped(whole, group)?;
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(fraction) || (whole.is_empty() && fraction.is_empty()) || (rest.ends_with(point)) {
        return None;
    }
    let whole = if whole.is_empty() { "0" } else { &whole };
    let plain = if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") };
    let value = Decimal::from_str_exact(&plain).ok()?;
    Some(if negative { -value } else { value })
}

/// Without white space and a currency's symbol or code at either end.
fn bare(text: &str) -> &str {
    let symbol = |c: char| c.is_whitespace() || matches!(c, '€' | '$' | '£' | '¥');
    let code = |code: &str| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    let mut rest = text.trim_matches(symbol);
    if let Some((front, after)) = rest.split_at_checked(3).filter(|(front, _)| code(front)) {
        rest = if front.is_empty() { rest } else { after.trim_matches(symbol) };
    }
    let cut = rest.len().saturating_sub(3);
    if let Some((before, _)) = rest.split_at_checked(cut).filter(|(_, end)| code(end)) {
        rest = before.trim_matches(symbol);
    }
    rest
}

/// Digits without the marks between thousands; `None` when the groups are not of three.
fn ungrouped(whole: &str, group: char) -> Option<Cow<'_, str>> {
    if whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Cow::Borrowed(whole));
    }
    let mark = whole.chars().find(|c| !c.is_ascii_digit())?;
    if mark != group && !matches!(mark, ' ' | '\u{a0}' | '\u{202f}' | '\'' | '’') {
        return None;
    }
    let mut groups = whole.split(mark);
    let first = groups.next()?;
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !(1..=3).contains(&first.len()) || !all_digits(first) {
        return None;
    }
    let mut digits = first.to_owned();
    for part in groups {
        if part.len() != 3 || !all_digits(part) {
            return None;
        }
        digits.push_str(part);
    }
    Some(Cow::Owned(digits))
}

/// Reads dates in one format and zone.
#[derive(Debug)]
pub(super) struct Dates {
    items: Vec<Item<'static>>,
    offset: bool,
    timestamp: bool,
    zone: Tz,
}

impl Dates {
    /// For a mapping's format, which has been checked; a wrong one reads nothing.
    pub(super) fn new(format: &DateFormat) -> Self {
        let items = StrftimeItems::new(&format.format).parse_to_owned().unwrap_or_default();
        let offset = items.iter().any(|item| match item {
            Item::Fixed(fixed) => !matches!(
                fixed,
                Fixed::ShortMonthName
                    | Fixed::LongMonthName
                    | Fixed::ShortWeekdayName
                    | Fixed::LongWeekdayName
                    | Fixed::LowerAmPm
                    | Fixed::UpperAmPm
                    | Fixed::Nanosecond
                    | Fixed::Nanosecond3
                    | Fixed::Nanosecond6
                    | Fixed::Nanosecond9
                    | Fixed::TimezoneName
                    | Fixed::Internal(_)
            ),
            _ => false,
        });
        let timestamp = items.iter().any(|item| matches!(item, Item::Numeric(Numeric::Timestamp, _)));
        Self { items, offset, timestamp, zone: format.zone }
    }

    /// The instant, and whether the clock showed that time never or twice on that day. A time that was skipped is
    /// read an hour later, one that came twice is the first. `None` when the text does not follow the format.
    pub(super) fn read(&self, text: &str) -> Option<(Instant, bool)> {
        let mut parsed = Parsed::new();
        parse(&mut parsed, text.trim(), self.items.iter()).ok()?;
        if self.offset || self.timestamp {
            if self.timestamp && !self.offset {
                parsed.set_offset(0).ok()?;
            }
            return Some((sane(parsed.to_datetime().ok()?.to_utc())?, false));
        }
        if parsed.minute().is_none() && parsed.hour_mod_12().is_some() {
            parsed.set_minute(0).ok()?;
        }
        let local = if parsed.hour_mod_12().is_none() && parsed.minute().is_none() {
            parsed.to_naive_date().ok()?.and_time(NaiveTime::MIN)
        } else {
            parsed.to_naive_datetime_with_offset(0).ok()?
        };
        let (at, odd) = self.in_zone(local)?;
        Some((sane(at)?, odd))
    }

    /// The year, month or day of an instant, by the zone's calendar; `None` where numbers never begin anew.
    pub(super) fn period(&self, at: Instant, restart: Restart) -> Option<String> {
        let format = match restart {
            Restart::Never => return None,
            Restart::Yearly => "%Y",
            Restart::Monthly => "%Y-%m",
            Restart::Daily => "%Y-%m-%d",
        };
        let utc = DateTime::from_timestamp_micros(at.micros())?;
        Some(utc.with_timezone(&self.zone).format(format).to_string())
    }

    fn in_zone(&self, local: NaiveDateTime) -> Option<(DateTime<Utc>, bool)> {
        match self.zone.from_local_datetime(&local) {
            LocalResult::Single(at) => Some((at.to_utc(), false)),
            LocalResult::Ambiguous(first, _) => Some((first.to_utc(), true)),
            LocalResult::None => {
                let later = local.checked_add_signed(Duration::hours(1))?;
                Some((self.zone.from_local_datetime(&later).earliest()?.to_utc(), true))
            }
        }
    }
}

/// Between the years 1 and 9999, as everything in Kontor is.
fn sane(at: DateTime<Utc>) -> Option<Instant> {
    (1..=9999).contains(&chrono::Datelike::year(&at)).then(|| Instant::from_utc(at))
}

/// A text in one line, without characters that have no place in one, cut to so many characters; `None` when nothing is left.
pub(super) fn one_line(text: &str, longest: usize) -> Option<String> {
    let spaced: String = text.chars().map(|c| if leaves_the_line(c) { ' ' } else { c }).collect();
    let cut: String = spaced.trim().chars().take(longest).collect();
    let cut = cut.trim_end();
    (!cut.is_empty()).then(|| cut.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str, comma: bool) -> Option<String> {
        decimal(text, comma).map(|value| value.to_string())
    }

    #[test]
    fn numbers_are_read_as_shops_write_them() {
        for (text, value) in [
            ("12", "12"),
            ("6.95", "6.95"),
            (" -1 ", "-1"),
            ("1,234.50", "1234.50"),
            ("1,234,567", "1234567"),
            ("£12.50", "12.50"),
            ("-£12.50", "-12.50"),
            ("12.50 GBP", "12.50"),
            ("USD 5", "5"),
            ("(5.00)", "-5.00"),
            ("5.00-", "-5.00"),
            ("−3", "-3"),
            ("+3", "3"),
            (".5", "0.5"),
            ("0.001", "0.001"),
        ] {
            assert_eq!(number(text, false).as_deref(), Some(value), "{text}");
        }
        for (text, value) in
            [("12,50", "12.50"), ("1.234,50 €", "1234.50"), ("1 234,5", "1234.5"), ("1'234", "1234"), ("-0,5", "-0.5")]
        {
            assert_eq!(number(text, true).as_deref(), Some(value), "{text}");
        }
    }

    #[test]
    fn what_is_not_clearly_a_number_is_none() {
        for text in
            ["", "-", "x", "1e3", "1,50", "12,34.5", "1.2.3", "5.", "--1", "(-1)", "-1-", "1 2", "NaN", "€", "."]
        {
            assert_eq!(number(text, false), None, "{text}");
        }
        // A decimal point in a file with decimal commas is not taken for a mark between thousands.
        for text in ["12.50", "1.5", "1234.567", "1,2,3"] {
            assert_eq!(number(text, true), None, "{text}");
        }
        assert_eq!(number(&"9".repeat(40), false), None);
    }

    fn at(format: &str, zone: Tz, text: &str) -> Option<(String, bool)> {
        let dates = Dates::new(&DateFormat { format: format.to_owned(), zone });
        dates.read(text).map(|(at, odd)| (at.to_string(), odd))
    }

    #[test]
    fn dates_are_read_in_their_place_s_time() {
        let london = chrono_tz::Europe::London;
        let berlin = chrono_tz::Europe::Berlin;
        let read = |text: &str| Some((text.to_owned(), false));
        assert_eq!(at("%Y-%m-%d %H:%M:%S", london, "2009-12-01 07:45:00"), read("2009-12-01T07:45:00Z"));
        assert_eq!(at("%Y-%m-%d %H:%M:%S", london, "2010-07-01 07:45:00"), read("2010-07-01T06:45:00Z"));
        assert_eq!(at("%d.%m.%Y", berlin, "1.2.2026"), read("2026-01-31T23:00:00Z"));
        assert_eq!(at("%d.%m.%Y %H:%M", berlin, "24.12.2026 18:30"), read("2026-12-24T17:30:00Z"));
        assert_eq!(at("%d.%m.%Y %H", berlin, "24.12.2026 18"), read("2026-12-24T17:00:00Z"));
        assert_eq!(at("%Y-%m-%dT%H:%M:%S%:z", berlin, "2026-01-01T00:00:00-05:00"), read("2026-01-01T05:00:00Z"));
        assert_eq!(at("%+", berlin, "2026-01-01T00:00:00Z"), read("2026-01-01T00:00:00Z"));
        assert_eq!(at("%s", berlin, "0"), read("1970-01-01T00:00:00Z"));
        assert_eq!(at("%m/%d/%Y %I:%M %p", london, "1/31/2026 1:05 PM"), read("2026-01-31T13:05:00Z"));
        for text in ["", "31.02.2026", "2026-02-01", "1.2.2026 12:00", "heute"] {
            assert_eq!(at("%d.%m.%Y", berlin, text), None, "{text}");
        }
    }

    #[test]
    fn the_two_nights_of_the_year_are_noticed() {
        let berlin = chrono_tz::Europe::Berlin;
        let format = "%d.%m.%Y %H:%M";
        assert_eq!(at(format, berlin, "29.03.2026 02:30"), Some(("2026-03-29T01:30:00Z".to_owned(), true)));
        assert_eq!(at(format, berlin, "25.10.2026 02:30"), Some(("2026-10-25T00:30:00Z".to_owned(), true)));
    }

    #[test]
    fn encodings() {
        assert_eq!(decode(b"M\xfcller", Encoding::Utf8), None);
        assert_eq!(decode(b"M\xfcller", Encoding::Latin1).as_deref(), Some("Müller"));
        assert_eq!(decode(b"5 \x80", Encoding::Windows1252).as_deref(), Some("5 €"));
        assert_eq!(decode("5 €".as_bytes(), Encoding::Utf8).as_deref(), Some("5 €"));
        assert_eq!(one_line(" a\tb\n ", 10).as_deref(), Some("a b"));
        assert_eq!(one_line("\u{0}", 10), None);
    }
}
