//! What people keep beside an order: notes to each other or to its customer, tags by which they find it again, documents that lie elsewhere,
//! and asking that its confirmation be sent again.
//!
//! It owns `order_notes`, `order_tags`, `order_attachments` and `order_confirmations`. It changes nothing of the order but its version, which
//! counts the events that tell of it; it sends nothing itself.

pub mod api;
mod model;
mod service;
mod store;

pub use model::{Attachment, Beside, NoteVisibility, OrderNote};
pub use service::{erase, event_schemas, of_orders, resend, tag};
