//! Erasure: what is known of a person is taken away wherever it lies; what was sold, for how much, and when, stays.
//!
//! It owns no table: each slice takes what is personal out of its own, and this knows all of them. An order with its cart,
//! its payments and its events is one transaction, the customer with the carts that became no order the last. So nothing
//! is ever half erased within one of them, and what broke off is sent again and goes on where it was. Copies that nothing
//! leads to are looked for by a job.

pub mod api;
mod scan;
mod sweep;

pub use sweep::work;
