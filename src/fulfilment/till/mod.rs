//! The till: money received for an order, given back, confirmed by hand, and asked for again.
//!
//! It owns no table: payments and the ledger move the money, the order follows. It never asks a provider itself.

pub mod api;
mod service;

pub(super) use service::RefundRequested;
pub use service::{Confirmation, Receipt, confirm, record_payment, record_payment_of, refund};
