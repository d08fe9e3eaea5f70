//! Drop-shipping: what suppliers say of the orders that they ship to our customers for us.
//!
//! A fulfilment order at a location of kind `supplier` *is* the order to that supplier: it is told of like every other, by event and
//! by feed. This slice owns what the supplier answers (acknowledged for a day, refused) and what they charge. It ships nothing
//! itself: their shipments are shipments like all others.

pub mod api;
mod model;
mod service;
mod store;

pub use model::{
    ORDER_TRANSITIONS, SupplierCommand, SupplierInvoice, SupplierOrder, SupplierState, mermaid as supplier_mermaid,
};
pub use service::event_schemas;
pub(super) use service::{acknowledged, unanswered};
pub(super) use store::inherit;
