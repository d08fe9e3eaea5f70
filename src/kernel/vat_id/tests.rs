//! The numbers are published ones: from the test lists of python-stdnum and jsvat (found on imprints and in registers), from DragonBe/vies,
//! koblas/stdnum-js, codingjoe/django-vies, Erhvervsstyrelsen and the Belastingdienst. The XI numbers with a branch, GD or HA are
//! British ones written as Northern Irish.

use super::{NotAVatId, VatId, check, expected};

/// Countries whose check digit finds every single wrong digit.
const STRICT: &str = "
    ATU13585627 ATU54300000 ATU65033803 BE0428759497 BE0897290877 BE0202239951 BE1000003682
    BE1001686633 CHE107787577IVA CHE100155212MWST CHE112142015TVA CHE116046681TPV CY10259033P
    CY00632993F DE136695976 DE129390950 DK13585628 DK20646446 DK13748136 EE100931558 EE100594102
    ES54362315K ESX2482300W ESB58378431 ESQ2818015F ESZ5277343K ESM1234567L FI20774740 FI18261444
    FR40303265045 FR83404833048 FR23000047372 HR33392005961 HR02574432339 HU12892312 HU12078503
    IE6433435F IE1234567BU IE6433435BT IE6433435OA IE8D79739I IE9Y71814N IE6433435IH IT00743110157 IT05460820961 IT00743111007 IT00743111205 IT00743118887 IT00743119992
    LU15027442 LU20993674 MT11679112 MT20390516 NO995525828MVA NO987989297MVA PL8567346215
    PL5261025421 SE556043606401 SE202100500001 SI50223054 SI29664373 SK2022749619 SK2021853504
    SK7020000119
";

/// Countries whose check digit lets some wrong digits pass, or that have none.
const LENIENT: &str = "
    BG175074752 BG131272009 BG7523169263 BG8032056031 BG7111042925 BG7153849522 CZ25123891
    CZ7103192745 CZ640903926 CZ682127228 CZ395601439 CZ630903928 EL094259216 EL094501040
    FRK7399859412 FR4Z123456782 FR6P719248650 FRX5524723806 FRMG137153896 GB980780684 GB100190874 GB242338087388 GB340804329 GBGD100 GBHA501
    LT119511515 LT100001919017 LT100004801610 LV40003521600 LV42103016370 LV16117519997
    LV32867300679 NL004495445B01 NL812421267B01 NL002455799B11 NL001162938B28 NL000099998B57
    NL123456789B13 PT501964843 PT500019720 RO18547290 RO21996566 RO6010151 XI432525179 XI151308443
    XI242338087388 XIGD100 XIHA501
";

/// One number whose last digit or check letter is wrong, per country.
const WRONG: &str = "
    ATU13585626 BE0431150351 BE1000003683 BG175074751 BG131172009 BG7111042922 CHE107787578IVA
    CY10259033Z CZ25123890 CZ7103192746 CZ640913926 CZ1103492745 DE136695978 DK13585627
    EE100594103 EL123456781 ES54362315Z ESB64717839 ESX2482300A FI20774741 FR84323140391
    FRK7399859413 FRK6399859412 FR4Y123456782 GB802311781 HR33392005962 HU12892313 IE6433435E IT00743110158 LT100001919018
    LU15027443 LV40003521601 LV16137519997 LV16117519996 LV32867300677 MT11679113 NL123456789B90 NO995525829MVA PL8567346216
    PT501964842 RO18547291 SE556043606301 SI50223055 SK2022749618
";

/// Numbers of the wrong shape, at least one per country.
const MISSHAPEN: &str = "
    AT13585627 ATU151592092 ATU1515B209 BE428759497 BE2000021323 BE02A2239951 BE0000000000
    BG17507475 BG10X8735941 CH107787577IVA CHE107787577 CHE107787577ZZZ CY1225903322 CY12259033P
    CY10259033 CZ2512389 CZ95123891 CZ25123891000 DE011125440 DE13669597 DE246X595415 DK1358562
    DK03585628 EE10059410 EL94259216 EL0942592160 ES5436231K ESB583784312 ES111111111 ESO1234567L
    ESI1234567L ESX2482300 FI2077474 FI207747400 FR000076090 FRIO334175221 FR4030326504X
    FR+0303265045 GB98078068 GB9807806842 GB9807806B4 GBGD600 GBHA201 GBZZ100 GBGD10 HR3339200596
    HU1289231 HU128923120 IE111222333 IE1234567ABC IE8?79739J IE643343F IE6433435FX IE6433435X
    IT0074311015 IT0074311015A IT00743110009 IT00743111015 IT00743111197 IT00743111221 IT00000000158 LT11951151 LT100001509922 LU1502744 LV4000352160 MT1167911
    MT01679112 NL001241643801 NL009122746B00 NL00449544B01 NL006866304B021 NO995525828
    NO99552582MVA NO995525828MV PL856734621 PT50196484 PT001964843 RO1 RO1630615123457 RO018547290
    SE55643359201 SE5567003255201 SE556043606402 SI5022305 SI05936241 SK202274961 SK0122749619
    SK2010237945 XI98078068
";

/// All valid numbers.
fn valid() -> impl Iterator<Item = &'static str> {
    STRICT.split_whitespace().chain(LENIENT.split_whitespace())
}

fn read(text: &str) -> Result<VatId, NotAVatId> {
    text.parse()
}

#[test]
fn published_numbers_are_taken() {
    for text in valid() {
        let id = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(id.to_string(), text);
        assert_eq!(format!("{}{}", id.prefix(), id.number()), text);
    }
}

#[test]
fn every_country_has_two_numbers_and_a_description() {
    let prefixes = "AT BE BG CH CY CZ DE DK EE EL ES FI FR GB HR HU \
        IE IT LT LU LV MT NL NO PL PT RO SE SI SK XI";
    assert_eq!(prefixes.split(' ').count(), 31);
    for prefix in prefixes.split(' ') {
        let known = valid().filter(|text| text.starts_with(prefix));
        assert!(known.count() >= 2, "{prefix}");
        assert!(MISSHAPEN.split_whitespace().any(|text| text.starts_with(prefix)), "{prefix}");
        assert!(prefix == "XI" || WRONG.split_whitespace().any(|text| text.starts_with(prefix)), "{prefix}");
        assert!(expected(prefix).unwrap().contains(&format!(" is {prefix}")), "{prefix}");
    }
    for first in 'A'..='Z' {
        for second in 'A'..='Z' {
            let prefix = format!("{first}{second}");
            let known = prefixes.split(' ').any(|known| known == prefix);
            assert_eq!(check(&prefix).is_some(), known, "{prefix}");
            assert_eq!(expected(&prefix).is_some(), known, "{prefix}");
        }
    }
}

#[test]
fn every_single_wrong_digit_is_refused() {
    for text in STRICT.split_whitespace() {
        for (at, old) in text.char_indices().filter(|(_, c)| c.is_ascii_digit()) {
            for new in ('0'..='9').filter(|new| *new != old) {
                let wrong = format!("{}{new}{}", &text[..at], &text[at + 1..]);
                assert!(read(&wrong).is_err(), "{text} {wrong}");
            }
        }
    }
}

#[test]
fn every_wrong_check_letter_is_refused() {
    for text in ["CY10259033P", "ES54362315K", "ESX2482300W", "ESQ2818015F", "IE6433435F", "IE8D79739I"] {
        let start = &text[..text.len() - 1];
        for letter in ('A'..='Z').filter(|letter| !text.ends_with(*letter)) {
            assert!(read(&format!("{start}{letter}")).is_err(), "{start}{letter}");
        }
    }
}

#[test]
fn wrong_check_digits_are_told_from_wrong_shapes() {
    for text in WRONG.split_whitespace() {
        assert_eq!(read(text), Err(NotAVatId::WrongCheckDigit), "{text}");
    }
    for text in MISSHAPEN.split_whitespace() {
        let expected = expected(&text[..2]).unwrap();
        assert_eq!(read(text), Err(NotAVatId::WrongShape { expected }), "{text}");
    }
}

#[test]
fn a_number_cut_short_or_prolonged_has_the_wrong_shape() {
    for text in valid().filter(|text| !text.starts_with("RO")) {
        for wrong in [text[..text.len() - 1].to_owned(), format!("{text}0"), format!("{text}é")] {
            // Some Bulgarian, Czech and Irish numbers are one character longer than others.
            let varies = ["BG", "CZ", "IE"].contains(&&text[..2]) && !wrong.ends_with('é');
            let refused = matches!(read(&wrong), Err(NotAVatId::WrongShape { .. }));
            assert!(refused || varies, "{wrong}");
        }
    }
}

#[test]
fn case_and_separators_do_not_matter() {
    let pairs = [
        (" at u135.856-27 ", "ATU13585627"),
        ("be 0428.759.497", "BE0428759497"),
        ("che-107.787.577 iva", "CHE107787577IVA"),
        ("De 136 695 976\n", "DE136695976"),
        ("es-x-2482300w", "ESX2482300W"),
        ("fr k7 399 859 412", "FRK7399859412"),
        ("gb\u{a0}980\u{202f}7806\u{2009}84", "GB980780684"),
        ("nl.8124.21.267.b.01", "NL812421267B01"),
        ("no 995 525 828 mva", "NO995525828MVA"),
        ("PL 856\u{2013}734\u{2011}62\u{2010}15", "PL8567346215"),
        ("s e5 5 6 0 4 3 6 0 6 4 0 1", "SE556043606401"),
    ];
    for (written, bare) in pairs {
        assert_eq!(read(written).unwrap().to_string(), bare, "{written}");
    }
    for text in valid() {
        let spread: String = text.to_lowercase().chars().flat_map(|c| [c, ' ', '.', '-']).collect();
        assert_eq!(read(&spread), read(text), "{spread}");
    }
}

#[test]
fn a_number_that_was_kept_is_read_as_it_was_taken() {
    for text in valid() {
        assert_eq!(VatId::kept(text), read(text).unwrap());
    }
    // By a rule of today it would be refused.
    let old = VatId::kept("IT00743111015");
    assert_eq!((old.to_string().as_str(), old.prefix(), old.country().as_str()), ("IT00743111015", "IT", "IT"));
    assert_eq!(VatId::kept("ü").to_string(), "ü");
}

#[test]
fn old_irish_signs_are_taken() {
    // The sign does not count, so 8+79739I and 8*79739I are as good as 8D79739I.
    assert!(read("IE8+79739I").is_ok());
    assert!(read("IE8*79739I").is_ok());
    assert_eq!(read("IE8+79739J"), Err(NotAVatId::WrongCheckDigit));
}

#[test]
fn greece_and_northern_ireland_belong_to_their_countries() {
    let greek = read("GR 094259216").unwrap();
    assert_eq!(greek, read("EL094259216").unwrap());
    assert_eq!((greek.prefix(), greek.number(), greek.country().as_str()), ("EL", "094259216", "GR"));
    assert!(greek.is_eu());
    let northern = read("XI432525179").unwrap();
    assert_eq!((northern.prefix(), northern.country().as_str(), northern.is_eu()), ("XI", "GB", true));
    let swiss = read("CHE107787577IVA").unwrap();
    assert_eq!((swiss.prefix(), swiss.number()), ("CH", "E107787577IVA"));
    for (text, country) in [("CHE107787577IVA", "CH"), ("GB980780684", "GB"), ("NO995525828MVA", "NO")] {
        let id = read(text).unwrap();
        assert_eq!((id.country().as_str(), id.is_eu()), (country, false));
    }
    assert_eq!(read("DE136695976").unwrap().country().as_str(), "DE");
    assert!(read("DE136695976").unwrap().is_eu());
}

#[test]
fn unknown_countries_and_doubled_prefixes_are_refused() {
    for text in ["", " ", "-", "D", "DÉ136695976", "ÄT", "136695976", "QQ124567", "EU372022452", "US1", "13DE", "ß"]
    {
        assert_eq!(read(text), Err(NotAVatId::UnknownCountry), "{text}");
    }
    for text in valid() {
        let doubled = format!("{}{text}", &text[..2]);
        assert!(read(&doubled).is_err(), "{doubled}");
    }
}

#[test]
fn numbers_of_nought_are_refused() {
    for text in valid().filter(|text| !text[2..].starts_with("GD")) {
        let nought: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert!(read(&nought).is_err(), "{nought}");
    }
}

#[test]
fn errors_help() {
    let error = read("DE12").unwrap_err();
    assert_eq!(error.to_string(), "a German VAT number is DE and nine digits, the first not 0");
    assert!(read("DE136695978").unwrap_err().to_string().contains("check digit"));
    assert!(read("QQ1").unwrap_err().to_string().contains("country"));
}

/// A small generator of numbers (xorshift), so that the test is the same every time.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state % 1_000_003).unwrap()
}

#[test]
fn garbage_never_panics() {
    let alphabet: Vec<char> = "0123456789ABBDEGHIMTVWXZ+* .-/?éßĲ٣３\u{0}\u{301}\u{200b}😀".chars().collect();
    let prefixes: Vec<&str> = valid().map(|text| &text[..2]).chain(["", "E", "GR"]).collect();
    let mut state = 0x2545_f491_4f6c_dd1d;
    for _ in 0..200_000 {
        let mut text = prefixes[next(&mut state) % prefixes.len()].to_owned();
        for _ in 0..next(&mut state) % 17 {
            text.push(alphabet[next(&mut state) % alphabet.len()]);
        }
        if let Ok(id) = read(&text) {
            assert_eq!(read(&id.to_string()), Ok(id), "{text}");
        }
    }
    for prefix in prefixes {
        assert!(read(&format!("{prefix}{}", "9".repeat(100_000))).is_err());
    }
}
