//! Back in stock: who is to be told when goods can be had again, and telling them.
//!
//! It owns the tables `back_in_stock` and `back_in_stock_waves`. Sales and receipts know nothing of it: what is there is looked at
//! afterwards, and those who wait are told in the order in which they came, as many as there are pieces, each once. It writes no
//! mails: its events do, in what reads them.

pub mod api;
mod model;
mod service;
mod store;

pub use api::{of_person, work};
pub use service::{erase_of_customer, erase_of_guest, event_schemas, purge};
