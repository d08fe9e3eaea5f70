//! For how many months an article is under warranty, as its attribute says.

/// The attribute of a variant.
pub const ATTRIBUTE: &str = "warranty_months";
/// The most months that there can be.
pub const MOST_MONTHS: i64 = 1_200;

/// For how many months a warranty lasts, as somebody has written it: a number, or the text of one. `None` where it is neither.
#[must_use]
pub fn months_of(value: &serde_json::Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}
