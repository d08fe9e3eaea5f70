//! What other systems fetch: polling feeds over the event log.
//!
//! A feed is a view of the log by event types. Whoever keeps a cursor polls statelessly; a named consumer has its cursor
//! here, gets events under a lease, acknowledges each, and may set one aside, which parks its stream while the others
//! flow. A snapshot is where a copy begins: everything as it is now, and the cursor from which the feed completes it. This
//! slice owns `consumers` and `consumer_items`; it reads the log and writes nothing else.

pub mod api;
mod consumers;
mod current;
mod format;
mod model;
mod poll;
mod snapshot;
mod store;

pub use consumers::behind;
pub use format::Format;
pub use model::{Feed, FeedItem, FeedPage, TYPES, View};
pub use snapshot::{RowKind, SnapshotPage, SnapshotRow};
pub use store::waiting_parked;
