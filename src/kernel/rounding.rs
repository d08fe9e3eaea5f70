//! The rule by which a channel rounds.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rounding;

crate::words! {
    /// Where tax is rounded. The amount of a line (unit price × quantity) is always rounded at the line.
    pub enum RoundingPoint {
        /// The tax of every line, and of shipping, is rounded on its own.
        PerLine = "per_line",
        /// Tax is computed per rate over everything that bears it, rounded once, and spread over the lines.
        PerOrder = "per_order",
    }
}

/// A channel's rule for fractions of a minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoundingRule {
    /// Where tax is rounded.
    pub point: RoundingPoint,
    /// What happens to half a minor unit.
    pub strategy: Rounding,
}
