//! Companies that customers buy for: what they are called, and whether what was agreed with them counts.
//!
//! It owns the table `companies`. Which company a customer buys for stands with the customer; prices and promotions name companies
//! by their ids. None is ever removed: one that is not active any more has nothing of its own.

pub mod api;
mod model;
mod service;
mod store;
mod told;

pub use model::{Company, CompanyChange, NewCompany};
pub use service::{active, all_named, require};
pub(super) use service::{by_numbers, unknown};
pub use store::{after, by_ids};
pub use told::event_schemas;
