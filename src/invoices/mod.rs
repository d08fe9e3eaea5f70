//! Invoices and credit notes: what is written for what was sold and taken back, with numbers that have no gaps.
//!
//! It owns the tables `invoice_series` and `invoice_documents`. It looks at what has become of an order and writes what follows from that,
//! each document once; orders, shipments and returns know nothing of it. It changes no price and no ledger, and of a document that is
//! issued nothing but that what is personal leaves it once it does not have to be kept any more. What other systems invoice is reported to `imports::writeback`.

pub mod api;
mod compose;
mod jobs;
mod model;
mod page;
mod pdf;
mod plan;
mod retention;
mod service;
mod sheet;
mod store;
mod text;
mod xml;

pub use jobs::work;
pub use model::{
    BillKind, Category, Charge, Invoice, InvoiceLine, InvoiceReference, InvoiceSummary, InvoiceTax, LeftOfBuyer, Party,
    fingerprint,
};
pub use service::{Invoiced, event_schemas, invoiced, issued_after, numbered, of_orders};
pub use xml::ubl;
