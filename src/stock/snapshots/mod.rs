//! Snapshots of stock: what another system says of many levels as of an instant.
//!
//! It owns the table `stock_snapshots`: of each level and system the last one. A snapshot is old when it arrives; what has happened
//! since, and what the sender could not know, is laid over it, nothing twice. Levels move through the ledger as ever.

pub mod api;
mod model;
mod service;
mod store;

pub use model::{Basis, Outcome};
pub use service::{Row, Snapshot, Taken, TakenRow, take};
