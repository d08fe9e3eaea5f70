//! What is kept beside an order.

use serde::Serialize;

use crate::kernel::{
    Instant,
    ids::{OrderAttachmentId, OrderNoteId},
};

crate::words! {
    /// Who may read a note.
    pub enum NoteVisibility {
        /// Staff.
        Staff = "staff",
        /// The customer too.
        Customer = "customer",
    }
}

/// A note on an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OrderNote {
    /// Its id.
    pub id: OrderNoteId,
    /// Who may read it.
    pub visibility: NoteVisibility,
    /// What it says.
    pub text: String,
    /// Who wrote it; not told to customers.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// When.
    pub created_at: Instant,
}

/// A document that belongs to an order and lies elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = OrderAttachment)]
pub struct Attachment {
    /// Its id.
    pub id: OrderAttachmentId,
    /// Its name.
    #[schema(example = "delivery-note.pdf")]
    pub name: String,
    /// What it is.
    #[schema(example = "application/pdf")]
    pub media_type: String,
    /// How many bytes it has.
    pub size: i64,
    /// Where it lies.
    pub url: String,
    /// Its SHA-256 in lower-case hex digits, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Who named it.
    pub author: String,
    /// When.
    pub created_at: Instant,
}

/// Everything that is kept beside an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = BesideOrder)]
pub struct Beside {
    /// Its notes, the oldest first.
    pub notes: Vec<OrderNote>,
    /// Its tags, in their order.
    pub tags: Vec<String>,
    /// Its documents, the oldest first.
    pub attachments: Vec<Attachment>,
}

/// The most notes, and documents, that an order has.
pub(super) const MOST: i64 = 200;
/// The most tags that an order has.
pub(super) const MOST_TAGS: usize = 20;
/// So many seconds pass between two requests for a confirmation.
pub(super) const BETWEEN: i64 = 300;
