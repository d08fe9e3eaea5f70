//! Quotes: a customer asks for the prices of what is in a cart, staff offer them, in as many rounds as it takes, and the customer accepts.
//!
//! It owns the quotes. What is accepted becomes a cart of the quote's own, with the prices that were offered, and goes through the checkout
//! as every cart: one cart is one order, and so is one quote. The lines of that cart are nobody's to change.

pub mod api;
mod jobs;
mod model;
mod second;
mod service;
mod store;
mod told;

pub use jobs::work;
pub use model::{Quote, QuoteLine, QuoteState, TRANSITIONS, mermaid};
pub use service::{erase, of_customer, quoted};
pub use told::event_schemas;
