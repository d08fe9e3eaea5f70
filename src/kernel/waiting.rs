//! What waits for a person, in the form in which every slice tells of it.

use super::Instant;

/// Something that does not go on by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What names it in its list.
    pub id: String,
    /// Since when it has been waiting.
    pub since: Instant,
    /// What it is about, for a person to read.
    pub subject: String,
    /// Where to look, or what to do: a path of the API.
    pub link: String,
}
