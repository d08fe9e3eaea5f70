//! Write-back: what happened to an order in another system, reported by it.
//!
//! Every report names the foreign document it comes from, and each document is booked once: sent again, it is answered
//! with what it made. Reports may be partial and come in any order: a return that is reported before its shipment is held by
//! a job until that is known ([`held`]). What reports do is done by the slices whose business it is; this part owns the table
//! `invoices`, for what is invoiced elsewhere is only recorded here.

pub mod api;
mod held;
mod model;
mod packages;
mod service;
mod store;
mod told;

pub use held::{HELD, HeldReport, discarded, work};
pub use model::{Invoice, InvoiceKind, ReportedRef, ReportedShipments};
pub use service::event_schemas;
pub use store::after as invoices_after;
pub use told::{Telling, Told};
