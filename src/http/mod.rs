//! The HTTP surface's machinery: who is asking, strict bodies, problem details, idempotency, paging, limits, the server.
//!
//! It knows the database and the errors; it knows no slice. Slices build their handlers from [`Call`] and [`Body`].

pub mod auth;
mod body;
mod call;
pub mod cors;
pub mod credentials;
pub mod csv;
pub mod docs;
pub mod idempotency;
mod keys;
pub mod limits;
mod list;
pub mod metrics;
mod mount;
pub mod network;
pub mod openapi;
pub mod paging;
mod problem;
pub mod seal;
pub mod server;
mod state;
mod strict;
mod table;
mod trace;
mod whole;

pub use body::{Body, NoBody, Params, RawBody, RefPath, parse_json, parse_value, small_body};
pub use call::{Call, Reply, answered_before, run_command, run_command_after};
pub use list::{All, Format, List, count_all};
pub use mount::{Mount, Told};
pub use openapi::IfMatch;
pub use paging::{Cursor, ListQuery, Page};
pub use problem::ProblemDocument;
pub use state::State;
pub use trace::Trace;
pub use whole::{FileFormat, WholeQuery, whole};
