//! People: all that is known of somebody in one answer, and whatever somebody may quote found by one question.
//!
//! It owns no table and decides nothing: each slice tells what it has of them.

mod api;
mod export;
mod overview;
mod quoted;
mod search;
mod standing;

pub use api::ops;
pub use export::PersonRecord;
pub use overview::{PersonOverview, of_customer as overview_of};
pub use search::SearchHits;
