//! Lots: which pieces of a level were made together, until when they keep, and whether they may be sold.
//!
//! It owns the tables `stock_lots`, `stock_lot_levels` and `stock_lot_movements`. What lies at a level without being in a lot is in none:
//! the lots of a level hold no more than its `on_hand`. What they hold and may not be sold is the level's `withheld`, which every sale's
//! guard sees.

pub mod api;
mod back;
mod dto;
#[cfg(test)]
mod ledger_tests;
mod model;
mod reported;
mod service;
mod store;

pub use back::{Back, lock_moved, take_back};
pub use model::{Lot, LotState, Packed, TRANSITIONS, mermaid};
pub use reported::reveal;
pub use service::{Keep, Naming, change_state, expire_ended, known, lock, lying, name, seen};
pub(super) use service::{arrive, ending, settle, settle_packed, under_way};
