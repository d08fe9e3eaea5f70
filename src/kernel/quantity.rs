//! Quantities: whole numbers of a variant's unit.

use serde::{Deserialize, Serialize};

/// How many of a variant's unit (its `unit_code`). Never negative, never over [`Quantity::MAX`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Quantity(i64);

impl Quantity {
    /// The largest quantity of one line or one stock movement.
    pub const MAX: i64 = 1_000_000_000;
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(1);

    /// A quantity between 0 and [`Quantity::MAX`].
    ///
    /// # Errors
    /// When it is negative or larger.
    pub fn new(count: i64) -> Result<Self, NotAQuantity> {
        if (0..=Self::MAX).contains(&count) { Ok(Self(count)) } else { Err(NotAQuantity) }
    }

    /// The count.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// Takes up to `wanted` pieces of those that there are, off both; how many. Less than nothing is nothing.
pub fn take_up_to(from: &mut i64, wanted: &mut i64) -> i64 {
    let part = (*from).min(*wanted).max(0);
    (*from, *wanted) = (*from - part, *wanted - part);
    part
}

/// A quantity out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole number from 0 to 1000000000")]
pub struct NotAQuantity;

impl TryFrom<i64> for Quantity {
    type Error = NotAQuantity;

    fn try_from(count: i64) -> Result<Self, NotAQuantity> {
        Self::new(count)
    }
}

impl From<Quantity> for i64 {
    fn from(quantity: Quantity) -> Self {
        quantity.0
    }
}

impl utoipa::PartialSchema for Quantity {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::Integer)
            .minimum(Some(0))
            .maximum(Some(Self::MAX))
            .examples([serde_json::json!(2)])
            .into()
    }
}
impl utoipa::ToSchema for Quantity {}
