//! Recurring orders: what a customer orders again and again, by the calendar.
//!
//! It owns them and what came of each date. A date's order goes through the checkout as every order, from a cart of its own whose id stands
//! with the date before anything else is done: however often that is begun, a date is one order at most. What could not be ordered is told,
//! and the next date comes all the same.

pub mod api;
mod jobs;
mod model;
mod service;
mod store;
mod told;

pub use jobs::work;
pub use model::{Every, RecurringOrder, RecurringRun, RecurringState, RunState, mermaid};
pub use service::{erase, of_customer};
pub use told::event_schemas;
