//! Exchanges in advance: goods that leave before those come back that they are exchanged for.
//!
//! A request has one at most: its cart becomes one order, whoever completes it and however often. What is promised for that order is not taken
//! until it is known what has come back: that pays it first. Everything is kept on the request; the cart and the order know nothing of it.

mod jobs;
mod model;
mod service;

pub use model::{ADVANCE_TRANSITIONS, Advance, AdvanceCommand, AdvanceLine, AdvanceState, advances_mermaid};
pub(super) use {
    jobs::{place, work},
    service::{Wanted, caught_up, of_settling, settled, withdrawn},
};
