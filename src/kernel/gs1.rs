//! Barcodes of GS1: numbers with a check digit (GTIN, SSCC), and element strings as GS1-128 and DataMatrix carry them.
//!
//! An element string is a row of fields, each an application identifier (AI) and its value. Some have a fixed length, the others
//! end at a separator (FNC1, which scanners send as the character 0x1d) or at the end. For people the AIs stand in brackets:
//! `(01)04006381333931(10)A7`. Both forms are read; AIs that are not known here are refused, never passed over.

use std::fmt;

use chrono::{Datelike, NaiveDate};
use serde::Serialize;

/// The separator of fields in a raw element string.
pub const FNC1: char = '\u{1d}';

/// The digit that makes a number of GS1 whole: from the right its weights are 3, 1, 3, 1, … (General Specifications, 7.9).
/// `None` when there is anything but digits.
#[must_use]
pub fn check_digit(body: &str) -> Option<u8> {
    let mut sum = 0u32;
    for (place, byte) in body.bytes().rev().enumerate() {
        let digit = u32::from(byte.is_ascii_digit().then(|| byte - b'0')?);
        sum += if place % 2 == 0 { 3 * digit } else { digit };
    }
    u8::try_from((10 - sum % 10) % 10).ok()
}

/// Whether the last digit of a number is the right one.
#[must_use]
pub fn is_whole(number: &str) -> bool {
    let Some((body, last)) = number.len().checked_sub(1).and_then(|at| number.split_at_checked(at)) else {
        return false;
    };
    check_digit(body).is_some_and(|digit| last.bytes().eq([b'0' + digit]))
}

/// Whether a text is a GTIN of 8, 12, 13 or 14 digits whose check digit is right.
#[must_use]
pub fn is_gtin(text: &str) -> bool {
    matches!(text.len(), 8 | 12 | 13 | 14) && is_whole(text)
}

/// Whether a text is an SSCC of 18 digits whose check digit is right.
#[must_use]
pub fn is_sscc(text: &str) -> bool {
    text.len() == 18 && is_whole(text)
}

/// What a code says, field by field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = BarcodeFields)]
pub struct Fields {
    /// AI 00: the handling unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sscc: Option<String>,
    /// AI 01, or a bare number: the article.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gtin: Option<String>,
    /// AI 10: the lot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<String>,
    /// AI 11: when it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2026-11-30")]
    pub produced: Option<NaiveDate>,
    /// AI 15: until when it is at its best.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2026-11-30")]
    pub best_before: Option<NaiveDate>,
    /// AI 17: after which day it must not be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2026-11-30")]
    pub expires: Option<NaiveDate>,
    /// AI 21: the one piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// AI 37: how many pieces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
}

/// What is wrong with a code, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotACode {
    /// The character, from 0, at which it goes wrong.
    pub at: usize,
    /// What is wrong.
    pub detail: String,
}

impl fmt::Display for NotACode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.at, self.detail)
    }
}
impl std::error::Error for NotACode {}

fn wrong<T>(at: usize, detail: impl Into<String>) -> Result<T, NotACode> {
    Err(NotACode { at, detail: detail.into() })
}

/// How long the value of an AI is.
#[derive(Clone, Copy)]
enum Length {
    Fixed(usize),
    UpTo(usize),
}

/// The application identifiers that are read.
const KNOWN: &[(&str, Length)] = &[
    ("00", Length::Fixed(18)),
    ("01", Length::Fixed(14)),
    ("10", Length::UpTo(20)),
    ("11", Length::Fixed(6)),
    ("15", Length::Fixed(6)),
    ("17", Length::Fixed(6)),
    ("21", Length::UpTo(20)),
    ("37", Length::UpTo(8)),
];

/// What scanners set before what they have read, to say which kind of code it was; all of these carry element strings.
const SYMBOLOGIES: [&str; 4] = ["]C1", "]d2", "]e0", "]Q3"];

/// Reads a code as a scanner or a person gives it: a bare GTIN or SSCC, an element string with separators, or one with brackets.
/// `year` is the current one: dates have two digits for theirs.
///
/// # Errors
/// Says what is wrong and where.
pub fn read(code: &str, year: i32) -> Result<Fields, NotACode> {
    if let Some(odd) = code.chars().position(|c| c != FNC1 && !c.is_ascii_graphic()) {
        return wrong(odd, "expected printable ASCII characters, and the separator 0x1d between fields");
    }
    if code.bytes().all(|byte| byte.is_ascii_digit()) && matches!(code.len(), 8 | 12 | 13 | 14 | 18) {
        return bare(code);
    }
    if code.starts_with('(') {
        return bracketed(code, year);
    }
    let symbology = SYMBOLOGIES.iter().find(|known| code.starts_with(**known));
    let begins = symbology.map_or(0, |known| known.len());
    raw(code, begins, year)
}

fn bare(number: &str) -> Result<Fields, NotACode> {
    let last = number.len().saturating_sub(1);
    match (is_whole(number), number.len()) {
        (false, _) => wrong(last, "the check digit is wrong"),
        (true, 18) => Ok(Fields { sscc: Some(number.to_owned()), ..Fields::default() }),
        (true, _) => Ok(Fields { gtin: Some(number.to_owned()), ..Fields::default() }),
    }
}

fn identifier(text: &str, at: usize) -> Result<(&'static str, Length), NotACode> {
    let found = KNOWN.iter().find(|(ai, _)| text.starts_with(ai));
    let shown: String = text.chars().take(2).collect();
    match found {
        Some((ai, length)) => Ok((ai, *length)),
        None => wrong(at, format!("the application identifier `{shown}` is not read here")),
    }
}

/// An element string as a scanner sends it.
fn raw(code: &str, begins: usize, year: i32) -> Result<Fields, NotACode> {
    let (mut fields, mut at) = (Fields::default(), begins);
    let mut any = false;
    while let Some(rest) = code.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(FNC1) {
            at += 1;
            continue;
        }
        let (ai, length) = identifier(rest, at)?;
        let from = at + ai.len();
        let value = rest.get(ai.len()..).unwrap_or_default();
        let end = value.find(FNC1).unwrap_or(value.len());
        let taken = match length {
            // A separator after it is allowed and is passed over above.
            Length::Fixed(length) if end < length => {
                return wrong(from + end, format!("({ai}) has {length} characters, and here are {end}"));
            }
            Length::Fixed(length) => length,
            Length::UpTo(_) => end,
        };
        take(&mut fields, (ai, length), value.get(..taken).unwrap_or_default(), from, year)?;
        (at, any) = (from + taken, true);
    }
    if any { Ok(fields) } else { wrong(begins, "there is no field") }
}

/// An element string as it is printed below a code.
fn bracketed(code: &str, year: i32) -> Result<Fields, NotACode> {
    let (mut fields, mut at) = (Fields::default(), 0);
    while at < code.len() {
        let rest = code.get(at..).unwrap_or_default();
        let Some(inner) = rest.strip_prefix('(') else {
            return wrong(at, "expected `(` and an application identifier");
        };
        let (ai, length) = identifier(inner, at + 1)?;
        let Some(value) = inner.get(ai.len()..).and_then(|rest| rest.strip_prefix(')')) else {
            return wrong(at + 1 + ai.len(), "expected `)`");
        };
        let from = at + ai.len() + 2;
        // A lot or a serial may hold a bracket of its own, but none that looks like an AI.
        let next = |(place, _): &(usize, &str)| begins_a_field(value.get(*place..).unwrap_or_default());
        let end = value.match_indices('(').find(next).map_or(value.len(), |(place, _)| place);
        take(&mut fields, (ai, length), value.get(..end).unwrap_or_default(), from, year)?;
        at = from + end;
    }
    Ok(fields)
}

/// Whether a text begins with two to four digits in brackets.
fn begins_a_field(text: &str) -> bool {
    let inner = text.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(inner, _)| inner);
    inner.is_some_and(|ai| (2..=4).contains(&ai.len()) && ai.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Checks the value of a field and puts it where it belongs.
fn take(fields: &mut Fields, (ai, length): (&str, Length), value: &str, at: usize, year: i32) -> Result<(), NotACode> {
    match length {
        Length::Fixed(length) if value.len() != length => {
            return wrong(at, format!("({ai}) has {length} characters, and here are {}", value.len()));
        }
        Length::UpTo(most) if value.is_empty() || value.len() > most => {
            return wrong(at, format!("({ai}) has 1 to {most} characters, and here are {}", value.len()));
        }
        _ => {}
    }
    let text = || Some(value.to_owned());
    let again = match ai {
        "00" => put(&mut fields.sscc, number(value, at)?),
        "01" => put(&mut fields.gtin, number(value, at)?),
        "10" => put(&mut fields.lot, characters(value, at).map(|()| text())?),
        "21" => put(&mut fields.serial, characters(value, at).map(|()| text())?),
        "11" => put(&mut fields.produced, Some(date(value, at, year)?)),
        "15" => put(&mut fields.best_before, Some(date(value, at, year)?)),
        "17" => put(&mut fields.expires, Some(date(value, at, year)?)),
        _ => put(&mut fields.count, Some(count(value, at)?)),
    };
    if again { wrong(at, format!("({ai}) stands there twice with different values")) } else { Ok(()) }
}

/// Fills a place; tells whether something else was there.
fn put<T: PartialEq>(place: &mut Option<T>, value: Option<T>) -> bool {
    let differs = place.is_some() && *place != value;
    *place = value;
    differs
}

fn number(value: &str, at: usize) -> Result<Option<String>, NotACode> {
    if let Some(odd) = value.bytes().position(|byte| !byte.is_ascii_digit()) {
        return wrong(at + odd, "expected a digit");
    }
    match is_whole(value) {
        true => Ok(Some(value.to_owned())),
        false => wrong(at + value.len().saturating_sub(1), "the check digit is wrong"),
    }
}

/// The 82 characters that GS1 allows in lots and serials.
fn characters(value: &str, at: usize) -> Result<(), NotACode> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!\"%&'()*+,-./:;<=>?_".contains(&byte);
    match value.bytes().position(|byte| !allowed(byte)) {
        Some(odd) => wrong(at + odd, "this character is not allowed here"),
        None => Ok(()),
    }
}

fn count(value: &str, at: usize) -> Result<i64, NotACode> {
    match value.bytes().position(|byte| !byte.is_ascii_digit()) {
        Some(odd) => wrong(at + odd, "expected a digit"),
        None => value.parse().or_else(|_| wrong(at, "expected a number")),
    }
}

/// The full year of two digits: the one that is nearest to the current year, 49 years back to 50 ahead (7.12).
fn full_year(two: i32, year: i32) -> i32 {
    let (century, current) = (year - year.rem_euclid(100), year.rem_euclid(100));
    match two - current {
        ahead if ahead >= 51 => century - 100 + two,
        behind if behind <= -50 => century + 100 + two,
        _ => century + two,
    }
}

/// A date of six digits, YYMMDD; the day 00 is the last one of the month.
fn date(value: &str, at: usize, year: i32) -> Result<NaiveDate, NotACode> {
    if let Some(odd) = value.bytes().position(|byte| !byte.is_ascii_digit()) {
        return wrong(at + odd, "expected a digit");
    }
    let two = |from: usize| value.get(from..from + 2).and_then(|two| two.parse::<u32>().ok()).unwrap_or_default();
    let (month, day) = (two(2), two(4));
    let year = full_year(i32::try_from(two(0)).unwrap_or_default(), year);
    if !(1..=12).contains(&month) {
        return wrong(at + 2, "there is no such month");
    }
    let first = NaiveDate::from_ymd_opt(year, month, 1);
    let last = first.and_then(|first| first.checked_add_months(chrono::Months::new(1))?.pred_opt());
    let found = match day {
        0 => last,
        day => last.filter(|last| day <= last.day()).and_then(|last| last.with_day(day)),
    };
    found.map_or_else(|| wrong(at + 4, "there is no such day"), Ok)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> Option<NaiveDate> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn numbers_of_every_length_are_checked() {
        // From the GS1 General Specifications and from goods on a shelf.
        for whole in ["40170725", "036000291452", "4006381333931", "04006381333931"] {
            assert!(is_gtin(whole), "{whole}");
        }
        assert!(is_sscc("106141412345678908") && !is_sscc("106141412345678909"));
        assert!(!is_gtin("4006381333932") && !is_gtin("") && !is_gtin("400638133393") && !is_gtin("４０１７０７２５"));
    }

    #[test]
    fn the_forms_of_one_code_say_the_same() {
        let said = Fields {
            gtin: Some("04006381333931".to_owned()),
            lot: Some("A-7".to_owned()),
            expires: day("2027-02-28"),
            count: Some(12),
            ..Fields::default()
        };
        for code in [
            "(01)04006381333931(17)270200(10)A-7(37)12",
            "010400638133393117270200\u{1d}10A-7\u{1d}3712",
            "]C1010400638133393110A-7\u{1d}3712\u{1d}17270228",
            "]d2\u{1d}010400638133393110A-7\u{1d}172702283712",
        ] {
            assert_eq!(read(code, 2026), Ok(said.clone()), "{code}");
        }
        assert_eq!(read("(10)A(7)(21)x", 2026).unwrap().lot.as_deref(), Some("A(7)"));
        assert_eq!(read("106141412345678908", 2026).unwrap(), read("(00)106141412345678908", 2026).unwrap());
        assert_eq!(read("4006381333931", 2026).unwrap().gtin.as_deref(), Some("4006381333931"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let at = |code: &str| read(code, 2026).unwrap_err().at;
        assert_eq!(at("4006381333932"), 12);
        assert_eq!(at("(01)04006381333932"), 17);
        assert_eq!(at("(01)0400638133393"), 4);
        assert_eq!(at("(99)1"), 1);
        assert_eq!(at("01040063813339319912"), 16);
        assert_eq!(at("(17)271300"), 6);
        assert_eq!(at("(17)270230"), 8);
        assert_eq!(at("(10)"), 4);
        assert_eq!(at("(10)A(99)7"), 6);
        assert_eq!(at("(10)A#"), 5);
        assert_eq!(at("(37)1x"), 5);
        assert_eq!(at("(10)A(10)B"), 9);
        assert_eq!(at("01 04"), 2);
        assert_eq!(at(""), 0);
        assert_eq!(at("]C1"), 3);
        assert_eq!(at("1127"), 4);
    }

    #[test]
    fn the_century_slides() {
        let year = |two: &str, year: i32| date(&format!("{two}0101"), 0, year).unwrap().year();
        assert_eq!((year("76", 2026), year("77", 2026)), (2076, 1977));
        assert_eq!((year("49", 1999), year("50", 1999)), (2049, 1950));
        assert_eq!((year("00", 2050), year("01", 2051)), (2100, 2101));
        // A leap year's February.
        assert_eq!(date("280200", 0, 2026).ok(), day("2028-02-29"));
    }

    proptest! {
        #[test]
        fn one_wrong_digit_is_always_found(body in "[0-9]{17}", place in 0usize..18, other in 0u8..10) {
            let mut number = format!("{body}{}", check_digit(&body).unwrap());
            prop_assert!(is_sscc(&number));
            let was = number.as_bytes()[place] - b'0';
            number.replace_range(place..=place, &other.to_string());
            prop_assert_eq!(is_sscc(&number), was == other);
        }

        #[test]
        fn what_is_written_in_brackets_is_read(body in "[0-9]{13}", lot in "[A-Z0-9-]{1,20}", serial in "[a-z0-9/]{1,20}",
            count in 0i64..99_999_999, days in 0i64..18_000)
        {
            let gtin = format!("{body}{}", check_digit(&body).unwrap());
            let day = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + chrono::Duration::days(days);
            let date = day.format("%y%m%d");
            let code = format!("(01){gtin}(15){date}(10){lot}(21){serial}(37){count}");
            let raw = format!("01{gtin}15{date}10{lot}\u{1d}21{serial}\u{1d}37{count}");
            let fields = read(&code, 2026).unwrap();
            prop_assert_eq!(read(&raw, 2026).unwrap(), fields.clone());
            prop_assert_eq!(fields, Fields { gtin: Some(gtin), best_before: Some(day), lot: Some(lot), serial: Some(serial),
                count: Some(count), ..Fields::default() });
        }

        #[test]
        fn no_text_makes_it_panic(code in "[(\\]]?[0-9C()a-c\u{1d}ä]{0,40}") {
            if let Err(error) = read(&code, 2026) {
                prop_assert!(error.at <= code.chars().count(), "{error}");
            }
        }
    }
}
