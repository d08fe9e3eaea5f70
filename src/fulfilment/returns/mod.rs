//! Returns: what customers have sent back, of an order of ours or of none that is known.
//!
//! It owns the table `returns`. What a return does to an order, its money and the stock it asks their slices to do.

pub mod api;
mod model;
mod refunding;
pub(super) mod second;
mod service;
mod store;

pub use model::{
    NewReturn, NewReturnLine, Origin, RETURN_TRANSITIONS, Return, ReturnCommand, ReturnState, ReturnedLine,
    ReturnedShipping, Settles, mermaid,
};
pub(super) use service::add_credit;
pub use service::{Noted, may_restock, receive, whole_bundles, worth};
pub use store::{ReturnSum, latest_of, numbered, of_orders, refunded_of, sums_of};
pub(super) use store::{after, by_ids, refunded};
