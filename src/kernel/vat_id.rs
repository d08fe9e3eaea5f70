//! VAT identification numbers: the 27 EU member states, Northern Ireland, the United Kingdom, Switzerland and Norway.
//!
//! A number is read leniently (lower case, blanks, dots and dashes are fine) and checked strictly: the shape of the European
//! Commission's VIES table, then the national check digit. That a number holds does not mean that it was ever given out; only the tax
//! offices know that (VIES, HMRC, the UID register, Brønnøysund).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Country;

/// A VAT identification number as it was checked: its country's prefix and the rest, upper case,
/// without blanks, dots, dashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VatId {
    prefix: String,
    number: String,
}

impl VatId {
    /// A number that was kept: it was checked when it came, by the rules of that time. What is stricter now does not make what was
    /// ordered unreadable.
    #[must_use]
    pub fn kept(text: &str) -> Self {
        let (prefix, number) = text.split_at_checked(2).unwrap_or(("", text));
        Self { prefix: prefix.to_owned(), number: number.to_owned() }
    }

    /// The two letters it starts with: its ISO 3166 code, save for `EL` (Greece) and `XI`
    /// (Northern Ireland).
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What follows the prefix: `U13585627` of `ATU13585627`, `E107787577IVA` of
    /// `CHE107787577IVA`.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.number
    }

    /// Its country: Greece for `EL`, the United Kingdom for `XI`.
    #[must_use]
    pub fn country(&self) -> Country {
        let code = match self.prefix() {
            "EL" => "GR",
            "XI" => "GB",
            prefix => prefix,
        };
        // Every prefix that is known is that of a country.
        code.parse().unwrap_or(Country::DEFAULT)
    }

    /// Whether it counts as an EU number in VIES: a member state's or Northern Ireland's.
    #[must_use]
    pub fn is_eu(&self) -> bool {
        !matches!(self.prefix(), "GB" | "CH" | "NO")
    }
}

impl fmt::Display for VatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.prefix, self.number)
    }
}

impl Serialize for VatId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VatId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for VatId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .min_length(Some(4))
            .max_length(Some(30))
            .examples([serde_json::Value::from("FR40303265045")])
            .into()
    }
}
impl utoipa::ToSchema for VatId {}

/// Why a text is not a VAT identification number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAVatId {
    /// It does not start with the letters of a country known here.
    UnknownCountry,
    /// It has too few, too many or the wrong characters for its country.
    WrongShape {
        /// What its country's numbers look like, as a sentence.
        expected: &'static str,
    },
    /// Its shape is right, but its digits contradict each other: the check digit, or a date of
    /// birth within the number.
    WrongCheckDigit,
}

impl fmt::Display for NotAVatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownCountry => "a VAT number starts with its country, such as DE or FR",
            Self::WrongShape { expected } => expected,
            Self::WrongCheckDigit => "a digit of this VAT number is wrong: its check digit differs",
        })
    }
}

impl std::error::Error for NotAVatId {}

impl FromStr for VatId {
    type Err = NotAVatId;

    /// Reads and checks one number; `GR` is read as `EL`, as EN 16931 (BR-CO-09) allows both.
    ///
    /// # Errors
    /// [`NotAVatId`] says which of country, shape and check digit was wrong.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = bare(text);
        let (prefix, number) = match bare.split_at_checked(2) {
            Some(("GR", number)) => ("EL", number),
            Some(parts) => parts,
            None => return Err(NotAVatId::UnknownCountry),
        };
        let scheme = check(prefix).zip(expected(prefix));
        let (check, expected) = scheme.ok_or(NotAVatId::UnknownCountry)?;
        match check(number) {
            None => Err(NotAVatId::WrongShape { expected }),
            Some(false) => Err(NotAVatId::WrongCheckDigit),
            Some(true) => {
                let (prefix, number) = (prefix.to_owned(), number.to_owned());
                Ok(Self { prefix, number })
            }
        }
    }
}

/// `text` in upper case, without blanks, dots and dashes of any kind.
fn bare(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '.' | '-' | '\u{2010}'..='\u{2015}'))
        .map(|c| c.to_ascii_uppercase())
        .collect()
}

/// Checks what follows the prefix: `None` when its shape is wrong, otherwise whether its check
/// digit holds.
type Check = fn(&str) -> Option<bool>;

/// How the numbers with this prefix are checked; those with a function of their own are explained
/// there. CH is by the Federal Statistical Office, DK by Erhvervsstyrelsen, NO by
/// Brønnøysundregistrene; HR is the OIB, PL the NIP, SE the organisation number and 01.
fn check(prefix: &str) -> Option<Check> {
    let check: Check = match prefix {
        "AT" => austria,
        "BE" => belgium,
        "BG" => bulgaria,
        "CH" => switzerland,
        "CY" => cyprus,
        "CZ" => czechia,
        "DE" => |n| mod_11_10(&digits::<9>(not_nought(n)?)?),
        "DK" => |n| multiple(not_nought(n)?, [2, 7, 6, 5, 4, 3, 2, 1], 11),
        "EE" => |n| multiple(n, [3, 7, 1, 3, 7, 1, 3, 7, 1], 10),
        "EL" => greece,
        "ES" => spain,
        "FI" => |n| multiple(n, [7, 9, 10, 5, 8, 4, 2, 1], 11),
        "FR" => france,
        "GB" | "XI" => britain,
        "HR" => |n| mod_11_10(&digits::<11>(n)?),
        "HU" => |n| multiple(n, [9, 7, 3, 1, 9, 7, 3, 1], 10),
        "IE" => ireland,
        "IT" => italy,
        "LT" => lithuania,
        "LU" => luxembourg,
        "LV" => latvia,
        "MT" => malta,
        "NL" => netherlands,
        "NO" => |n| multiple(n.strip_suffix("MVA")?, [3, 2, 7, 6, 5, 4, 3, 2, 1], 11),
        "PL" => |n| multiple(n, [6, 5, 7, 2, 3, 4, 5, 6, 7, 10], 11),
        "PT" => portugal,
        "RO" => romania,
        "SE" => |n| Some(luhn(&digits::<10>(n.strip_suffix("01")?)?).is_multiple_of(10)),
        "SI" => slovenia,
        "SK" => slovakia,
        _ => return None,
    };
    Some(check)
}

/// What the numbers with this prefix look like, by the VIES table (question 11 of its FAQ).
fn expected(prefix: &str) -> Option<&'static str> {
    Some(match prefix {
        "AT" => "an Austrian VAT number is ATU and eight digits",
        "BE" => "a Belgian VAT number is BE and ten digits, the first 0 or 1",
        "BG" => "a Bulgarian VAT number is BG and nine or ten digits",
        "CH" => "a Swiss VAT number is CHE, nine digits and MWST, TVA, IVA or TPV",
        "CY" => "a Cypriot VAT number is CY, eight digits and a letter",
        "CZ" => "a Czech VAT number is CZ and eight, nine or ten digits",
        "DE" => "a German VAT number is DE and nine digits, the first not 0",
        "DK" => "a Danish VAT number is DK and eight digits, the first not 0",
        "EE" => "an Estonian VAT number is EE and nine digits",
        "EL" => "a Greek VAT number is EL and nine digits",
        "ES" => "a Spanish VAT number is ES, a letter or digit, seven digits, a letter or digit",
        "FI" => "a Finnish VAT number is FI and eight digits",
        "FR" => "a French VAT number is FR, two digits or letters (not I, O) and nine digits",
        "GB" => "a British VAT number is GB and nine or twelve digits (or GD or HA and three)",
        "HR" => "a Croatian VAT number is HR and eleven digits",
        "HU" => "a Hungarian VAT number is HU and eight digits",
        "IE" => "an Irish VAT number is IE, seven digits and one or two letters, up to W",
        "IT" => "an Italian VAT number is IT and eleven digits, of which the eighth to tenth name a tax office",
        "LT" => "a Lithuanian VAT number is LT and nine or twelve digits, the last but one 1",
        "LU" => "a VAT number of Luxembourg is LU and eight digits",
        "LV" => "a Latvian VAT number is LV and eleven digits",
        "MT" => "a Maltese VAT number is MT and eight digits, the first not 0",
        "NL" => "a Dutch VAT number is NL, nine digits, B and two digits",
        "NO" => "a Norwegian VAT number is NO, nine digits and MVA",
        "PL" => "a Polish VAT number is PL and ten digits",
        "PT" => "a Portuguese VAT number is PT and nine digits, the first not 0",
        "RO" => "a Romanian VAT number is RO and two to ten digits, the first not 0",
        "SE" => "a Swedish VAT number is SE and twelve digits, the last two 01",
        "SI" => "a Slovenian VAT number is SI and eight digits, the first not 0",
        "SK" => "a Slovak VAT number is SK and ten digits, the third 2, 3, 4, 7, 8 or 9",
        "XI" => "a VAT number of Northern Ireland is XI and nine or twelve digits",
        _ => return None,
    })
}

/// The weights 8 down to 2.
const FALLING: [u32; 7] = [8, 7, 6, 5, 4, 3, 2];

/// Exactly `N` digits that are not all nought (no country gives out such a number).
fn digits<const N: usize>(text: &str) -> Option<[u32; N]> {
    let digits: [u32; N] = any_digits(text)?.try_into().ok()?;
    digits.iter().any(|&digit| digit > 0).then_some(digits)
}

/// The digits of a text of ASCII digits alone.
fn any_digits(text: &str) -> Option<Vec<u32>> {
    text.chars().map(|c| c.to_digit(10)).collect()
}

/// The value of a text of exactly `length` ASCII digits.
fn figure(text: &str, length: usize) -> Option<u64> {
    let digits = any_digits(text)?;
    (digits.len() == length).then(|| value(&digits))
}

/// The number these digits write; callers pass at most 13.
fn value(digits: &[u32]) -> u64 {
    digits.iter().fold(0, |sum, &d| sum * 10 + u64::from(d))
}

/// The number two digits write.
fn pair(tens: u32, units: u32) -> u32 {
    10 * tens + units
}

/// `A` as 0 to `Z` as 25.
fn letter(c: char) -> Option<u32> {
    c.to_digit(36)?.checked_sub(10)
}

/// The sum of the digits, each times its weight.
fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(d, w)| d * w).sum()
}

/// Whether the digits, check digit included, weigh a multiple of `modulus`.
fn multiple<const N: usize>(number: &str, weights: [u32; N], modulus: u32) -> Option<bool> {
    Some(weighted(&digits::<N>(number)?, &weights).is_multiple_of(modulus))
}

/// The text itself unless it starts with 0.
fn not_nought(number: &str) -> Option<&str> {
    (!number.starts_with('0')).then_some(number)
}

/// A check digit modulo 11 that falls back to a second set of weights when the first gives 10.
fn two_steps<const N: usize>(digits: &[u32], [first, second]: [[u32; N]; 2]) -> u32 {
    match weighted(digits, &first) % 11 {
        10 => weighted(digits, &second) % 11 % 10,
        check => check,
    }
}

/// Luhn's sum, to which every second digit before the last adds the digits of its double.
fn luhn(digits: &[u32]) -> u32 {
    let places = digits.iter().rev().zip([1, 2].into_iter().cycle());
    places.map(|(d, by)| d * by / 10 + d * by % 10).sum()
}

/// Whether the last digit is right by ISO 7064 Mod 11,10.
fn mod_11_10(digits: &[u32]) -> Option<bool> {
    let (check, data) = digits.split_last()?;
    let double = |product, digit| ((product + digit + 9) % 10 + 1) * 2 % 11;
    Some((data.iter().fold(10, double) + check) % 10 == 1)
}

/// Whether the Gregorian calendar has this day.
fn is_date(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=last).contains(&day)
}

/// Whether six digits are a year, month and day, given what is added to the month in which century.
fn is_birth([y, y2, m, m2, d, d2]: [u32; 6], centuries: &[(u32, u32)]) -> bool {
    centuries.iter().any(|(added, century)| {
        let month = pair(m, m2).checked_sub(*added);
        month.is_some_and(|month| is_date(century + pair(y, y2), month, pair(d, d2)))
    })
}

/// AT: Luhn's sum of the first seven, plus 4, plus the check digit is a multiple of ten.
fn austria(number: &str) -> Option<bool> {
    let [data @ .., check] = digits::<8>(number.strip_prefix('U')?)?;
    Some((luhn(&data) + 4 + check).is_multiple_of(10))
}

/// BE: the last two digits are 97 less the remainder of the others by 97.
fn belgium(number: &str) -> Option<bool> {
    let all = value(&digits::<10>(number)?);
    let in_use = (100..2_000_000_000).contains(&all);
    in_use.then_some(97 - all / 100 % 97 == all % 100)
}

/// BG: nine digits for businesses; ten for citizens (EGN), foreigners (PNF) and others.
fn bulgaria(number: &str) -> Option<bool> {
    if let Some([data @ .., check]) = digits::<9>(number) {
        let weights = [[1, 2, 3, 4, 5, 6, 7, 8], [3, 4, 5, 6, 7, 8, 9, 10]];
        return Some(two_steps(&data, weights) == check);
    }
    let [data @ .., check] = digits::<10>(number)?;
    let [birth @ .., _, _, _] = data;
    let citizen = weighted(&data, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10 == check
        && is_birth(birth, &[(0, 1900), (20, 1800), (40, 2000)]);
    let foreigner = weighted(&data, &[21, 19, 17, 13, 11, 9, 7, 3, 1]) % 10 == check;
    let other = multiple(number, [4, 3, 2, 7, 6, 5, 4, 3, 2, 1], 11)?;
    Some(citizen || foreigner || other)
}

/// CH: the UID's check digit, weighed modulo 11 (Federal Statistical Office).
fn switzerland(number: &str) -> Option<bool> {
    let mut taxes = ["MWST", "TVA", "IVA", "TPV"].iter();
    let uid = taxes.find_map(|tax| number.strip_suffix(tax))?;
    multiple(uid.strip_prefix('E')?, [5, 4, 3, 2, 7, 6, 5, 4, 1], 11)
}

/// CY: the letter is a sum modulo 26; digits at odd places count by a table. 12 is no start.
fn cyprus(number: &str) -> Option<bool> {
    let last = number.chars().last()?;
    let digits = digits::<8>(number.strip_suffix(last)?)?;
    let places = digits.iter().zip([true, false].into_iter().cycle());
    let counts = places.map(|(&digit, odd)| match digit {
        0 | 1 if odd => 1 - digit,
        2..=4 if odd => 2 * digit + 1,
        5..=9 if odd => 2 * digit + 3,
        _ => digit,
    });
    let holds = counts.sum::<u32>() % 26 == letter(last)?;
    (!number.starts_with("12")).then_some(holds)
}

/// CZ: eight digits for businesses, nine from 6 for some persons, else the birth number.
fn czechia(number: &str) -> Option<bool> {
    if let Some([data @ .., check]) = digits::<8>(number) {
        let expected = match weighted(&data, &FALLING) % 11 {
            rest @ ..=1 => 1 - rest,
            rest => 11 - rest,
        };
        return (!number.starts_with('9')).then_some(expected == check);
    }
    match digits::<9>(number) {
        Some([6, data @ .., check]) => Some((weighted(&data, &FALLING) % 11 + 8) % 10 == check),
        Some([date @ .., _, _, _]) => Some(is_czech_birth(date, false)),
        None => {
            let all @ [date @ .., _, _, _, check] = digits::<10>(number)?;
            let rest = value(&all) / 10 % 11 % 10;
            Some(is_czech_birth(date, true) && rest == u64::from(check))
        }
    }
}

/// A Czech date of birth: 50 is added to a woman's month, 20 when a day's numbers ran out. Birth
/// numbers have had their tenth digit, the check digit, since 1954.
fn is_czech_birth(date: [u32; 6], since_1954: bool) -> bool {
    let [y, y2, ..] = date;
    let century = match (pair(y, y2), since_1954) {
        (54.., true) | (..54, false) => 1900,
        (_, true) => 2000,
        (80.., false) => 1800,
        _ => return false,
    };
    is_birth(date, &[0, 20, 50, 70].map(|added| (added, century)))
}

/// EL: weighed by powers of two modulo 11, 10 counting as 0.
fn greece(number: &str) -> Option<bool> {
    let [data @ .., check] = digits::<9>(number)?;
    Some(weighted(&data, &[256, 128, 64, 32, 16, 8, 4, 2]) % 11 % 10 == check)
}

/// ES: persons (DNI, NIE, K, L, M) have a letter modulo 23, others (CIF) Luhn's digit or letter.
fn spain(number: &str) -> Option<bool> {
    let (first, last) = (number.chars().next()?, number.chars().last()?);
    let middle = number.strip_prefix(first)?.strip_suffix(last)?;
    let leading = match first {
        'K' | 'L' | 'M' | 'X' => 0,
        'Y' => 1,
        'Z' => 2,
        _ if "ABCDEFGHJNPQRSUVW".contains(first) => return spanish_company(middle, last),
        digit => u64::from(digit.to_digit(10)?),
    };
    let all = leading * 10_000_000 + figure(middle, 7)?;
    let mut letters = "TRWAGMYFPDXBNJZSQVHLCKE".chars();
    let expected = letters.nth(usize::try_from(all % 23).ok()?)?;
    (all > 0 && letter(last).is_some()).then_some(expected == last)
}

/// Luhn's check digit of a Spanish company, written as itself or as a letter (`J` is 0, `A` to `I`
/// are 1 to 9). Which kind of company writes which is told differently, so either is taken.
fn spanish_company(middle: &str, last: char) -> Option<bool> {
    let check = match last {
        'J' => 0,
        'A'..='I' => letter(last)? + 1,
        _ => last.to_digit(10)?,
    };
    let digits = digits::<8>(&format!("{middle}{check}"))?;
    Some(luhn(&digits).is_multiple_of(10))
}

/// FR: Luhn's check of the SIREN (not in Monaco, whose start with 000), then the key: modulo 97 if it is of digits, by
/// [`french_letters`] if not.
fn france(number: &str) -> Option<bool> {
    let (key, siren) = number.split_at_checked(2)?;
    let siren = digits::<9>(siren)?;
    if key.contains(|c: char| !c.is_ascii_alphanumeric() || "IO".contains(c)) {
        return None;
    }
    let siren_holds = luhn(&siren).is_multiple_of(10) || matches!(siren, [0, 0, 0, ..]);
    let key_holds = match figure(key, 2) {
        Some(key) => key == (12 + 3 * (value(&siren) % 97)) % 97,
        None => french_letters(key, value(&siren))?,
    };
    Some(siren_holds && key_holds)
}

/// Whether a French key with letters is that of a SIREN. Its letters count from 10 on without I and O; what they make is divided by
/// 11, and the remainder is that of the SIREN, the quotient and 1 together.
fn french_letters(key: &str, siren: u64) -> Option<bool> {
    let place = |c: char| {
        let skipped = u32::from(c > 'I') + u32::from(c > 'O');
        c.to_digit(36)?.checked_sub(skipped).map(u64::from)
    };
    let mut places = key.chars().map(place);
    let (first, second) = (places.next()??, places.next()??);
    let sum =
        if first < 10 { (24 * first + second).checked_sub(10)? } else { (34 * first + second).checked_sub(100)? };
    Some((siren + 1 + sum / 11) % 11 == sum % 11)
}

/// GB, XI: weighed modulo 97, since 2009 also with 55 added; three more digits name a branch.
/// Departments (GD) and health authorities (HA) have no check digit.
fn britain(number: &str) -> Option<bool> {
    match number.split_at_checked(2)? {
        ("GD", department) => return (figure(department, 3)? < 500).then_some(true),
        ("HA", authority) => return (figure(authority, 3)? >= 500).then_some(true),
        _ => {}
    }
    let (main, branch) = number.split_at_checked(9)?;
    if !branch.is_empty() {
        figure(branch, 3)?;
    }
    let digits @ [first, .., tens, units] = digits::<9>(main)?;
    let rest = weighted(&digits, &[8, 7, 6, 5, 4, 3, 2, 10, 1]) % 97;
    Some(pair(tens, units) < 97 && (rest == 0 || rest + 55 == 97 && first > 0))
}

/// IE: the letter (W is 0, A is 1) is the sum modulo 23 of seven digits and the second letter, if
/// any (mostly A to I, and rarely another); old numbers have a letter, `+` or `*` in second place and their first digit counts last.
fn ireland(number: &str) -> Option<bool> {
    let (body, letters) = number.split_at_checked(7)?;
    let mut letters = letters.chars();
    let (check, second) = (letters.next()?, letters.next());
    let seven = match (digits::<7>(body), second) {
        (Some(seven), _) => seven,
        (None, None) => old_irish(body)?,
        _ => return None,
    };
    let second = match second {
        None | Some('W') => 0,
        Some(second @ 'A'..='V') => letter(second)? + 1,
        _ => return None,
    };
    let check = letter(check).filter(|&check| check < 23)?;
    let holds = (weighted(&seven, &FALLING) + 9 * second) % 23 == (check + 1) % 23;
    letters.next().is_none().then_some(holds)
}

/// The seven digits an old Irish number such as `8D79739` stands for.
fn old_irish(body: &str) -> Option<[u32; 7]> {
    let mut chars = body.chars();
    let (first, sign) = (chars.next()?, chars.next()?);
    if !sign.is_ascii_uppercase() && !matches!(sign, '+' | '*') {
        return None;
    }
    digits(&format!("0{}{first}", chars.as_str()))
}

/// LT: nine digits for legal persons, twelve for others, weighed modulo 11 in two steps.
fn lithuania(number: &str) -> Option<bool> {
    let digits = any_digits(number).filter(|digits| matches!(digits.len(), 9 | 12))?;
    let (check, data) = digits.split_last()?;
    let weights = [[1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2], [3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4]];
    (data.last() == Some(&1)).then_some(two_steps(data, weights) == *check)
}

/// LU: the last two digits are the others modulo 89.
fn luxembourg(number: &str) -> Option<bool> {
    let all = value(&digits::<8>(number)?);
    Some(all / 100 % 89 == all % 100)
}

/// IT: Luhn's sum; seven digits for the business, then the office that gave the number: 001 to 100 are the provinces, and there are
/// four more.
fn italy(number: &str) -> Option<bool> {
    let digits @ [business @ .., hundreds, tens, units, _] = digits::<11>(number)?;
    let office = 100 * hundreds + pair(tens, units);
    let given = matches!(office, 1..=100 | 120 | 121 | 888 | 999) && business.iter().any(|&digit| digit > 0);
    given.then_some(luhn(&digits).is_multiple_of(10))
}

/// LV: legal persons are weighed modulo 11. Others have a personal code: the date of birth and its
/// century, or 32 to 39 since 2017, and a last digit that is weighed modulo 11 too.
fn latvia(number: &str) -> Option<bool> {
    let digits = digits::<11>(number)?;
    Some(match digits {
        [4..=9, ..] => weighted(&digits, &[9, 1, 4, 8, 3, 10, 2, 5, 7, 6, 1]) % 11 == 3,
        [3, 2..=9, ..] => latvian_person(&digits),
        [d, d2, m, m2, y, y2, c @ ..=2, ..] => {
            is_birth([y, y2, m, m2, d, d2], &[(0, 1800 + 100 * c)]) && latvian_person(&digits)
        }
        _ => false,
    })
}

fn latvian_person([data @ .., check]: &[u32; 11]) -> bool {
    (1 + weighted(data, &[10, 5, 8, 4, 2, 1, 6, 3, 7, 9])) % 11 % 10 == *check
}

/// MT: six digits are weighed modulo 37, the last two make up for the remainder.
fn malta(number: &str) -> Option<bool> {
    let digits @ [first, .., tens, units] = digits::<8>(number)?;
    let sum = weighted(&digits, &[3, 4, 6, 7, 8, 9, 10, 1]);
    (first > 0).then_some(pair(tens, units) <= 37 && sum.is_multiple_of(37))
}

/// NL: nine digits weighed modulo 11 (RSIN, BSN) or, since 2020, the whole number modulo 97 with N,
/// L and B as 23, 21 and 11. Nothing tells one kind from the other, so either is enough.
fn netherlands(number: &str) -> Option<bool> {
    let (base, suffix) = number.split_once('B')?;
    let digits @ [data @ .., check] = digits::<9>(base)?;
    let suffix = figure(suffix, 2).filter(|&suffix| suffix > 0)?;
    let mod_11 = weighted(&data, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11 == check;
    let whole = 2321 * 10_000_000_000_000 + value(&digits) * 10_000 + 1100 + suffix;
    Some(mod_11 || whole % 97 == 1)
}

/// PT: the NIF, weighed modulo 11; the remainders 0 and 1 both give the digit 0.
fn portugal(number: &str) -> Option<bool> {
    let [data @ .., check] = digits::<9>(number)?;
    let expected = (11 - weighted(&data, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11 % 10;
    (!number.starts_with('0')).then_some(expected == check)
}

/// RO: the CIF, weighed from its end, times ten, modulo 11, 10 counting as 0.
fn romania(number: &str) -> Option<bool> {
    let mut digits = any_digits(number).filter(|digits| (2..=10).contains(&digits.len()))?;
    digits.reverse();
    let (check, data) = digits.split_first()?;
    let expected = weighted(data, &[2, 3, 5, 7, 1, 2, 3, 5, 7]) * 10 % 11 % 10;
    (!number.starts_with('0')).then_some(expected == *check)
}

/// SI: weighed modulo 11; a remainder of 0 is never given out, 1 gives the digit 0.
fn slovenia(number: &str) -> Option<bool> {
    let [data @ .., check] = digits::<8>(number)?;
    let rest = weighted(&data, &FALLING) % 11;
    (!number.starts_with('0')).then_some(rest > 0 && (11 - rest) % 10 == check)
}

/// SK: a multiple of 11.
fn slovakia(number: &str) -> Option<bool> {
    let digits = digits::<10>(number)?;
    matches!(digits, [1..=9, _, 2..=4 | 7..=9, ..]).then_some(value(&digits).is_multiple_of(11))
}

#[cfg(test)]
mod tests;
