//! Setting what channels leave to others, and asking for it.

use super::store;
// What is asked for as it stands in the tables.
pub(in crate::stock) use super::store::left_at;
pub(super) use super::store::{ChannelSafety, page};
use crate::{db::Tx, error::Result, kernel::Instant};

/// Sets what channels leave to others, each once, and nothing any more where it is no piece; what is set now.
///
/// # Errors
/// What the database says.
pub(super) fn set(tx: &mut Tx, now: Instant, rows: &[ChannelSafety]) -> Result<Vec<ChannelSafety>> {
    store::keep(tx, now, rows)?;
    store::of(tx, rows)
}
