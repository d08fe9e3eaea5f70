//! Products that their owners have registered, until when their warranty lasts, and claims on it.
//!
//! It owns the table `product_registrations`. Each piece of an order's line is registered once while it is out, and a serial number once for its
//! article among those that are live. A claim on the warranty is a return request of the order: what becomes of the goods and the money is
//! returns' to see to; what has come back ends its registration by itself.

pub mod api;
mod ending;
mod model;
mod service;
mod store;

pub use ending::work;
pub use model::Registration;
pub use service::{By, erase, event_schemas, of_orders, quoted};
