//! The codes of coupons: how they are read, and how they are generated. Pure but for the dice that are handed in.

use rand::{CryptoRng, Rng};

/// What generated codes are written with: no letter or digit that looks like another (0 and O, 1, I and L).
const ALPHABET: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";
/// So many characters of a generated code are drawn: 31^11 codes, some 54 bits.
const DRAWN: usize = 11;
/// The longest code, without what is only there to read it by.
pub const MAX: usize = 40;

/// A code as it is looked up: upper case, without blanks, dashes, dots and underscores. `None` where nothing or something else
/// than ASCII letters and digits is left, or too much.
#[must_use]
pub fn normalised(text: &str) -> Option<String> {
    let kept = text.chars().filter(|c| !matches!(c, ' ' | '-' | '\u{2010}'..='\u{2015}' | '.' | '_' | '\u{a0}'));
    let code: String = kept.map(|c| c.to_ascii_uppercase()).collect();
    let fits = (1..=MAX).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fits.then_some(code)
}

/// The check character of the characters before it: a weighted sum modulo 31, which is prime, so that whoever types a code in can
/// be told of every wrong character, and of two of the eleven that are swapped, without asking anybody.
fn check(drawn: &[u8]) -> Option<u8> {
    let value = |byte: &u8| ALPHABET.iter().position(|known| known == byte);
    let mut sum = 0;
    for (weight, byte) in (1..).zip(drawn) {
        sum += weight * value(byte)?;
    }
    ALPHABET.get(sum % ALPHABET.len()).copied()
}

/// A new code: the prefix, eleven characters that are drawn, and one that checks them.
pub fn generate(prefix: &str, dice: &mut (impl Rng + CryptoRng)) -> String {
    draw(prefix, DRAWN, dice)
}

/// A new code: the prefix, so many characters that are drawn (at most 30, some five bits each), and one that checks them.
pub fn draw(prefix: &str, characters: usize, dice: &mut (impl Rng + CryptoRng)) -> String {
    let drawn: Vec<u8> = (0..characters)
        .map(|_| ALPHABET.get(dice.random_range(0..ALPHABET.len())).copied().unwrap_or_default())
        .collect();
    let mut code = String::with_capacity(prefix.len() + drawn.len() + 1);
    code.push_str(prefix);
    code.extend(drawn.iter().chain(&check(&drawn)).map(|byte| char::from(*byte)));
    code
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Whether the last character of a generated code checks the others.
    fn checks_out(code: &str, prefix: &str) -> bool {
        let Some(rest) = code.strip_prefix(prefix) else { return false };
        match rest.as_bytes().split_last() {
            Some((last, drawn)) if drawn.len() == DRAWN => check(drawn) == Some(*last),
            _ => false,
        }
    }

    #[test]
    fn codes_are_read_whatever_their_case_and_dashes() {
        for text in ["SUMMER20", "summer-20", " Summer 20 ", "S.u_m-m e r20", "sum\u{2013}mer\u{a0}20"] {
            assert_eq!(normalised(text).as_deref(), Some("SUMMER20"), "{text}");
        }
        for text in ["", " - ", "Sömmer", "A+B", "a\nb", &"A".repeat(41)] {
            assert_eq!(normalised(text), None, "{text}");
        }
    }

    #[test]
    fn generated_codes_differ_check_out_and_tell_what_was_mistyped() {
        let mut dice = rand::rng();
        let mut seen = HashSet::new();
        for _ in 0..2_000 {
            let code = generate("BF", &mut dice);
            assert_eq!(normalised(&code).as_deref(), Some(code.as_str()));
            assert!(checks_out(&code, "BF") && !checks_out(&code, "") && !code.contains(['0', 'O', '1', 'I', 'L']));
            assert!(seen.insert(code));
        }
        let code = generate("", &mut dice);
        for place in 0..code.len() {
            for byte in ALPHABET {
                let mut wrong = code.clone().into_bytes();
                wrong[place] = *byte;
                let wrong = String::from_utf8(wrong).unwrap();
                assert_eq!(checks_out(&wrong, ""), wrong == code, "{code} {wrong}");
            }
            let mut swapped = code.clone().into_bytes();
            if place + 1 < swapped.len() {
                swapped.swap(place, place + 1);
                let swapped = String::from_utf8(swapped).unwrap();
                assert!(place + 1 == DRAWN || checks_out(&swapped, "") == (swapped == code), "{code} {swapped}");
            }
        }
    }
}
