//! Work lists: every queue that waits for a person, how long it is, and who looks after what in it.
//!
//! It owns the table `worklist_claims`. What waits, the slices tell; it decides nothing about it and mends nothing: each
//! item's link leads to where that is done.

pub mod api;
mod model;
mod service;
mod store;

pub use model::{Claim, WorkItem, WorkList, WorkListSummary};
pub use service::work;
