//! Waves: work of a location that is picked in one walk, its pick list, and what was not found.
//!
//! It owns `waves`, `wave_orders`, `wave_shorts` and `picked_lots`. What is left to pick it reads from the fulfilment orders themselves, each
//! time: what was cancelled or moved meanwhile is in no list any more. Picking is the fulfilment order's own command. A wave is locked before
//! the orders of its work; nothing that has locked an order goes for a wave.

pub mod api;
mod jobs;
mod model;
mod service;
mod store;
mod taken;

pub use jobs::KIND as REPLAN;
pub(super) use jobs::register;
pub use model::{PickLine, PickList, PickLot, Put, Short, WAVE_TRANSITIONS, Wave, WaveCommand, WaveState, mermaid};
pub(super) use taken::{TakenOf, leave, note, put_back};

/// Forgets waves that ended before an instant, and of which lots was picked what has left since; how many of the more of both, `limit` at
/// most.
///
/// # Errors
/// What the database says.
pub(super) fn purge(tx: &mut crate::db::Tx, before: crate::kernel::Instant, limit: i64) -> crate::error::Result<usize> {
    let waves = store::purge(tx, before, limit)?;
    Ok(waves.max(taken::purge(tx, before, limit)?))
}
