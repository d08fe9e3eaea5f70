//! Products that their owners have registered, until when their warranty lasts, and claims on it.
//!
//! It owns the table `product_registrations`. Each piece of an order's line is registered once, and a serial number once for its article. A claim
//! on the warranty is a return request of the order: what becomes of the goods and the money is returns' to see to.

pub mod api;
mod model;
mod service;
mod store;

pub use model::Registration;
pub use service::{By, erase, event_schemas, of_orders};
