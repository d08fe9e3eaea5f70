//! Amendments: what is changed about an order after it was placed.
//!
//! It owns the table `amendments`: which changes somebody works out, what they would cost, and those that were made. An order's lines, its
//! work, its money and its stock belong to the slices they belong to; an amendment asks each of them, in one transaction, on the version of
//! the order that was looked at. It never makes a line anew that is not edited: what was sold stays as it was sold.

mod account;
pub mod api;
mod confirm;
pub mod customer;
mod look;
mod making;
mod model;
mod plan;
mod priced;
mod promoted;
mod second;
mod service;
mod split;
mod store;

pub use model::{AmendmentState, mermaid};
pub use second::work;
pub use service::{AmendmentView, erase, event_schemas, of_orders};
