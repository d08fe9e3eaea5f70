//! Disputes (chargebacks): money that a bank takes back of a payment, why, until when that can be answered, and how it ended.
//!
//! It owns the disputes, and counts what is disputed on their payments. It knows orders by their ids only: what a dispute books and tells
//! of an order, the till does.

mod model;
mod service;
mod store;

pub use model::{Dispute, DisputeCommand, DisputeNotice, DisputeState, Evidence, NewDispute, TRANSITIONS, mermaid};
pub use service::{close, find, known, lock, note, of_order, open, page, waiting};
pub(super) use store::erase;
