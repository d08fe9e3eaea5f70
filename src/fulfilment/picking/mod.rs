//! Waves: work of a location that is picked in one walk, its pick list, and what was not found.
//!
//! It owns `waves`, `wave_orders` and `wave_shorts`. What is left to pick it reads from the fulfilment orders themselves, each time:
//! what was cancelled or moved meanwhile is in no list any more. Picking is the fulfilment order's own command. A wave is locked before
//! the orders of its work; nothing that has locked an order goes for a wave.

pub mod api;
mod jobs;
mod model;
mod service;
mod store;

pub(super) use jobs::register;
pub use model::{PickLine, PickList, Put, Short, WAVE_TRANSITIONS, Wave, WaveCommand, WaveState, mermaid};
pub(super) use store::purge;
