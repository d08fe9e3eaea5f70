//! Watched levels: who is to be told when one runs low, is to be reordered, or is there again.
//!
//! It owns the table `stock_watches`. Sales know nothing of it: levels are looked at afterwards, and each crossing is told once.

pub mod api;
mod model;
mod service;
mod store;

pub use model::{Crossing, Watch};
pub use service::{event_schemas, look};
