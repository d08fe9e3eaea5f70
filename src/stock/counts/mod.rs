//! Counts of what lies at a location: blind, counted again where the difference is large, booked when somebody approves.
//!
//! It owns the tables `stock_counts` and `stock_count_lines`. A difference is that between what was counted and what the level said at
//! that moment, so that goods that move while people count are no difference.

pub mod api;
mod model;
mod service;
mod store;

pub use model::{COUNT_TRANSITIONS, CountCommand, CountLine, CountState, StockCount, mermaid as counts_mermaid};
pub(in crate::stock) use service::last_counted;
