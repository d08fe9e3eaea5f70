//! Which codes are goods, and which postage, fees, discounts: patterns.

use serde::{Deserialize, Deserializer, de::Error as _};

use super::SkuCase;

/// What a code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// What is kept in stock and shipped.
    Goods,
    /// Postage and carriage.
    Postage,
    /// Bank charges, marketplace fees.
    Fee,
    /// Lines and adjustments typed by hand.
    Manual,
    /// Discounts.
    Discount,
    /// Gift vouchers sold.
    Voucher,
}

impl Kind {
    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Goods => "goods",
            Self::Postage => "postage",
            Self::Fee => "fee",
            Self::Manual => "manual",
            Self::Discount => "discount",
            Self::Voucher => "voucher",
        }
    }

    /// Whether it is neither kept in stock nor shipped.
    #[must_use]
    pub const fn is_service(self) -> bool {
        !matches!(self, Self::Goods)
    }
}

/// Which codes are what. A code that no pattern fits is goods. An exact code counts before a pattern, a longer
/// pattern before a shorter one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Codes {
    /// Goods after all, though another pattern fits.
    pub goods: Vec<Pattern>,
    /// Postage and carriage.
    pub postage: Vec<Pattern>,
    /// Bank charges, marketplace fees.
    pub fee: Vec<Pattern>,
    /// Lines and adjustments typed by hand.
    pub manual: Vec<Pattern>,
    /// Discounts.
    pub discount: Vec<Pattern>,
    /// Gift vouchers sold.
    pub voucher: Vec<Pattern>,
}

impl Codes {
    pub(super) fn all(&self) -> [(Kind, &[Pattern]); 6] {
        [
            (Kind::Goods, &self.goods),
            (Kind::Postage, &self.postage),
            (Kind::Fee, &self.fee),
            (Kind::Manual, &self.manual),
            (Kind::Discount, &self.discount),
            (Kind::Voucher, &self.voucher),
        ]
    }
}

/// A code, in which `*` stands for any characters or none and `#` for one digit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(pub(super) String);

impl Pattern {
    /// Whether a code fits.
    #[must_use]
    pub fn matches(&self, code: &str, case: SkuCase) -> bool {
        match case {
            SkuCase::Exact => fits(self.0.as_bytes(), code.as_bytes()),
            SkuCase::Upper => fits(self.0.to_uppercase().as_bytes(), code.to_uppercase().as_bytes()),
        }
    }

    pub(super) fn is_exact(&self) -> bool {
        !self.0.contains(['*', '#'])
    }
}

/// Matches without recursion: on a mismatch the last `*` takes one byte more.
fn fits(pattern: &[u8], code: &[u8]) -> bool {
    let (mut p, mut c) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = code.get(c) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, c));
                p += 1;
            }
            Some(wanted) if wanted == byte || (*wanted == b'#' && byte.is_ascii_digit()) => {
                p += 1;
                c += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    star = Some((after, taken + 1));
                    p = after;
                    c = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() || text.trim() != text {
            return Err(D::Error::custom(
                "expected a code without spaces around it; `*` is any characters, `#` a digit",
            ));
        }
        Ok(Self(text))
    }
}
