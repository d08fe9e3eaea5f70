//! What changes of a record have in common: fields that may be absent or null, and what became of the record.

use serde::{Deserialize, Deserializer, Serialize};

/// Reads a field of a change that can also be cleared: absent is `None` (with `#[serde(default)]`), null is
/// `Some(None)`. For `#[serde(default, deserialize_with = "present")]`.
///
/// # Errors
/// What the value's own reading says.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// What a row of an import did to its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was not there before.
    Created,
    /// It is another than before.
    Updated,
    /// It was like that before.
    Unchanged,
}
