//! What can be done with something now, or why not.

use serde::Serialize;

/// A command, and whether it would be taken now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
// Names of schemas are one space for all slices.
#[schema(as = PossibleAction)]
pub struct Action {
    /// The command. More words may come.
    pub command: &'static str,
    /// Whether it is allowed now.
    pub allowed: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Action {
    /// A command, with why it is refused when it is.
    #[must_use]
    pub fn of(command: &'static str, taken: Result<(), impl ToString>) -> Self {
        let reason = taken.err().map(|why| why.to_string());
        Self { command, allowed: reason.is_none(), reason }
    }
}
