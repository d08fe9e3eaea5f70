//! The history of prices: every change of every price, with who made it and when.
//!
//! It owns the way in which prices are written ([`service::write`]), so that no price changes without its record: both are
//! in one transaction, and the record tells what was really there before. The changes of lists themselves are beside it
//! ([`lists`]). It never tells what a customer pays.

pub(super) mod api;
mod dto;
pub(super) mod lists;
pub(super) mod model;
pub(super) mod service;
mod store;

pub use service::By;
pub(super) use service::prices_at;
pub(super) use store::{list_changes_since, of_single_pieces};
