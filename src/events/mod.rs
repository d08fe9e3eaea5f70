//! The ordered log of everything that happened: the one source of timelines, webhooks, feeds and figures.
//!
//! Events are appended in the transaction of what they tell of, after the guarded update of their aggregate, so that
//! `seq` follows the order of commits within a stream. A numbering step gives each committed event its `position`;
//! readers see numbered events only, so a cursor never passes by an event that commits later. On SQLite the rowid is
//! the position, for its writers are one at a time.
//!
//! It owns the log; it knows nothing of what the events mean.

mod log;
mod model;
mod readers;
mod schema;

pub use log::{
    Known, LogState, append, by_positions, erase, heads, known_at, last_whole, number, of_type_after, position_at,
    positions_of, purge, read_after, recorded_after, recorded_beyond, state, stream, with_personal_texts,
};
pub use model::{Behind, Event, Filter, Head, NewEvent, Payload, Stream, cloud_event};
pub use readers::{advance, read_up_to};
pub use schema::EventSchema;
