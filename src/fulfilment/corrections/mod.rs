//! Corrections: a pick, a pack, a shipment or an arrival that was booked wrongly is taken back, with a reason.
//!
//! Nothing is edited away: the movements of the stock are reversed by movements of their own, a shipment that has not left stays as
//! what it was said to be, with what became of it, and events tell of both. It owns no table.

pub mod api;
mod service;

pub(super) use service::undeliver;
pub use service::{Correct, correct, take_back, undo};
