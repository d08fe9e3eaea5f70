//! Order templates: named lists of what is ordered again, of a customer or of all who buy for a company.
//!
//! It owns `order_templates`. A template has no prices and keeps no stock: what is taken from it into a cart is priced and checked there, as
//! anything that is put into a cart. It never orders.

pub mod api;
mod model;
mod service;
mod store;

pub use model::OrderTemplate;
pub use service::{erase, of_customer};
