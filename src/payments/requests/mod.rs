//! Payment requests: what somebody is asked to pay for an order that is placed already, by a link.
//!
//! It owns the requests and knows orders and payments by their ids only: what is owed, and what a promise makes of the order, the till
//! decides; whoever pays is led through it by the checkout.

mod attempt;
mod model;
mod store;

pub use model::{PaymentRequest, PaymentRequestCommand, PaymentRequestState, TRANSITIONS, mermaid};
pub use store::{change, erase, find, insert, lock, of_order, of_orders, renew};
