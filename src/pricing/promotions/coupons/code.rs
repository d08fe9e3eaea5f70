//! The codes of coupons: how they are read, how they are generated, and how a mistyped one is told. Pure but for the dice that are
//! handed in.

use rand::{CryptoRng, Rng};

/// What generated codes are written with: no letter or digit that looks like another (0 and O, 1, I and L).
const ALPHABET: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";
/// So many characters of a generated code are drawn: 31^11 codes, some 54 bits.
const DRAWN: usize = 11;
/// The longest prefix of a generated code.
const LONGEST_PREFIX: usize = 10;
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

/// The check character of up to thirty characters before it: the sum of each character's value (its place in [`ALPHABET`]) times its
/// place from 1 on, modulo 31.
///
/// In other words the characters `v1 … vn` and the check character `c` fulfil `1·v1 + 2·v2 + … + n·vn − c ≡ 0` modulo 31. As 31 is prime
/// and no weight is 0 in it, one wrong character breaks it, wherever it stands; as all weights differ (the last is that of −1, or 30),
/// so do two characters that have changed places, neighbours or not, as long as fewer than thirty are checked.
fn check(drawn: &[u8]) -> Option<u8> {
    let value = |byte: &u8| ALPHABET.iter().position(|known| known == byte);
    let mut sum = 0;
    for (weight, byte) in (1..).zip(drawn) {
        sum += weight * value(byte)?;
    }
    ALPHABET.get(sum % ALPHABET.len()).copied()
}

/// Whether a code, as it is looked up, has the shape of a generated one (up to ten characters of a prefix, then twelve of the alphabet)
/// and its check character does not fit: then it was mistyped, if it was generated at all.
///
/// A code that somebody has named may look like that too, so this says nothing about a code that is there: it is asked of codes that
/// are not. It follows from the characters alone, and tells nobody which codes there are.
#[must_use]
pub fn is_mistyped(code: &str) -> bool {
    let prefix = code.len().checked_sub(DRAWN + 1).filter(|prefix| *prefix <= LONGEST_PREFIX);
    let own = prefix.and_then(|prefix| code.as_bytes().get(prefix..)).and_then(<[u8]>::split_last);
    own.is_some_and(|(last, drawn)| ALPHABET.contains(last) && check(drawn).is_some_and(|due| due != *last))
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

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn codes_are_read_whatever_their_case_and_dashes() {
        for text in ["SUMMER20", "summer-20", " Summer 20 ", "S.u_m-m e r20", "sum\u{2013}mer\u{a0}20"] {
            assert_eq!(normalised(text).as_deref(), Some("SUMMER20"), "{text}");
        }
        for text in ["", " - ", "Sömmer", "A+B", "a\nb", &"A".repeat(41)] {
            assert_eq!(normalised(text), None, "{text}");
        }
    }

    /// Whether it has the shape of a code with this prefix.
    fn is_shaped(code: &str, prefix: &str) -> bool {
        let own = code.strip_prefix(prefix).unwrap_or_default();
        own.len() == DRAWN + 1 && own.bytes().all(|byte| ALPHABET.contains(&byte))
    }

    #[test]
    fn generated_codes_differ_and_check_out() {
        let mut dice = rand::rng();
        let mut seen = HashSet::new();
        for prefix in ["", "BF", "SUMMER2026"] {
            for _ in 0..1_000 {
                let code = generate(prefix, &mut dice);
                assert_eq!(normalised(&code).as_deref(), Some(code.as_str()));
                assert!(is_shaped(&code, prefix) && !is_mistyped(&code), "{code}");
                assert!(seen.insert(code));
            }
        }
    }

    #[test]
    fn what_has_not_the_shape_is_not_called_mistyped() {
        // Too short, too long, with what no generated code is written with (0, O, 1, I, L) at its end, or nothing.
        for code in ["", "SUMMER20", "WELCOME11", "23456789ABC", &"A".repeat(23), "23456789ABC0", "HAPPYHXLIDAY"] {
            assert!(!is_mistyped(code), "{code}");
        }
        // What was generated by earlier versions checks out: 2 is worth 0, 3 is worth 1, and so on.
        assert!(!is_mistyped("222222222222") && !is_mistyped("BF322222222223") && is_mistyped("BF322222222224"));
    }

    proptest! {
        /// Whatever was drawn, one wrong character is told, wherever it stands, and so are two that have changed places: neighbours,
        /// the last with the check character, and any others.
        #[test]
        fn one_wrong_character_and_two_that_have_changed_places_are_told(
            drawn in prop::collection::vec(0..ALPHABET.len(), DRAWN),
            prefix in prop::sample::select(vec!["", "BF", "SUMMER2026"]),
        ) {
            let drawn: Vec<u8> = drawn.into_iter().map(|place| ALPHABET[place]).collect();
            let own: Vec<u8> = drawn.iter().copied().chain(check(&drawn)).collect();
            let told = |own: &[u8]| is_mistyped(&format!("{prefix}{}", std::str::from_utf8(own).unwrap()));
            prop_assert!(!told(&own));
            for place in 0..own.len() {
                for byte in ALPHABET {
                    let mut wrong = own.clone();
                    wrong[place] = *byte;
                    prop_assert_eq!(told(&wrong), wrong != own);
                }
                for other in place + 1..own.len() {
                    let mut swapped = own.clone();
                    swapped.swap(place, other);
                    prop_assert_eq!(told(&swapped), swapped != own);
                }
            }
        }
    }
}
