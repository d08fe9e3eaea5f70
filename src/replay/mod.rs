//! `kontor replay`: another shop's order history, placed again in Kontor.
//!
//! A [`Mapping`] says how a CSV file is to be read, [`file`] reads it row by row, [`plan`] makes sales and
//! cancellations of the rows in the order of time, and [`reconcile`] sets what the file holds against what Kontor holds in
//! the end. All of this is pure: the same file gives the same plan. It knows the kernel only, and never guesses: a
//! row is either in a document, with its own quantity, price and amount, or it is counted under a reason.
//!
//! The [`driver`] places a plan through the public API of a running Kontor, as any other client would, and [`readback`]
//! reads from there what Kontor then holds. Neither knows a slice or the database.

mod amounts;
mod decide;
mod draft;
pub mod driver;
mod fields;
pub mod file;
mod layout;
pub mod mapping;
mod matching;
mod newlines;
mod people;
mod place;
pub mod plan;
pub mod readback;
pub mod reason;
pub mod reconcile;
mod remote;
mod row;
mod setup;
pub mod summary;
pub mod tally;
#[cfg(test)]
mod tests;

pub use file::{Rows, open};
pub use mapping::{Kind, Mapping, Progress};
pub use plan::{Cancellation, Customer, Document, Head, Match, Plan, PlanLine, Sale, Variant};
pub use reason::Defect;
pub use reconcile::{Class, Ledger, Reconciliation};
pub use row::{CustomerNumber, Number, Person};
pub use summary::summary;
pub use tally::Tally;

/// A mapping or a file that can not be used, in words for whoever called `kontor replay`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub String);
