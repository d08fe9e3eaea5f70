//! Bulk imports: files of rows, each applied as a command of the slice whose record it is.
//!
//! [`orders`] takes single orders over that were made elsewhere. It owns how far imports have come that are not at their end, and none of the records; what other systems report about single
//! orders is in [`writeback`]. [`rows`] reads NDJSON and CSV into typed rows, [`run`] applies them in chunks, each in one
//! transaction of the bulk lane, so that a checkout waits for one chunk at most.

pub mod api;
pub mod orders;
pub mod rows;
mod run;
mod store;
pub mod writeback;

pub use run::{Import, ImportQuery, Report, RowError, purge, run};
pub use writeback::{HELD, Telling, Told, discarded, event_schemas, work};
