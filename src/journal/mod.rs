//! The journal: the postings of all orders' ledgers as journal entries for the merchant's bookkeeping, each once and in one order, with
//! the numbers that it has for our accounts.
//!
//! It owns those numbers. What is booked, the ledgers of orders have; it changes nothing of that, and decides nothing about it.

pub mod api;
mod model;
mod service;
mod store;

pub use model::{AccountNumber, JournalAccounts, JournalEntry, JournalLine, JournalPage, JournalSum};
pub use service::work;
