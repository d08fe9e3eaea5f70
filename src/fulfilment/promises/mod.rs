//! By when an order arrives as it is known now: what was promised is moved when the goods that it waits for come later, earlier, in
//! smaller numbers or not at all, and what is to be had elsewhere sooner is planned anew.
//!
//! It owns the tables `delivery_promises` and `delivery_waits`. When goods come stock knows; it never says so itself.

mod due;
mod jobs;
mod model;
mod service;
mod store;

pub(super) use due::supplier_ships_at;
pub use jobs::{REVIEW, register};
pub(super) use service::{await_goods, look_again, waits};
pub use service::{comes, event_schemas, keep_promise};
