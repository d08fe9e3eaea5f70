//! Work by the hundred: one command done to all orders that a filter finds.
//!
//! It owns `bulk_jobs` and `bulk_items`. Whoever asks sees first how many orders it would be and what they are worth, and starts exactly that;
//! a job then takes them one by one, each in a transaction of its own with what becomes of it. It decides nothing about an order: the slice
//! whose command it is does, and may refuse.

pub mod api;
mod jobs;
mod model;
mod second;
mod service;
mod store;

pub use jobs::work;
pub use model::{BulkCommand, BulkState, ItemState};
