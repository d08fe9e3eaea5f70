//! What a draft is. Pure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::{
    Instant,
    ids::{CartId, ChannelId, DraftId, OrderId},
    text::Note,
};

crate::words! {
    /// How the customer was reached.
    pub enum Contact {
        /// They have called, or were called.
        Phone = "phone",
        /// By e-mail.
        Email = "email",
        /// By fax.
        Fax = "fax",
        /// In a chat.
        Chat = "chat",
        /// By letter.
        Post = "post",
        /// They came, or were visited.
        Visit = "visit",
    }
}

crate::words! {
    /// Whether a draft is worked on.
    pub enum DraftState {
        /// It is.
        Open = "open",
        /// It is ordered: `order_id` tells. Its cart says so, and no row.
        Ordered = "ordered",
        /// Nothing comes of it.
        Cancelled = "cancelled",
    }
}

/// What somebody has done with a draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DraftStep {
    /// What: `made`, `discounted`, `link_made`, `cancelled`. More words may come.
    pub what: String,
    /// Who.
    pub by: String,
    /// When.
    pub at: Instant,
    /// What was said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What is kept of a draft beside its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Details {
    /// What was done, oldest first.
    pub steps: Vec<DraftStep>,
}

/// An order that staff prepare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = OrderDraft)]
pub struct Draft {
    /// Its id.
    pub id: DraftId,
    /// Where it is sold.
    pub channel_id: ChannelId,
    /// The cart that is to be ordered.
    pub cart_id: CartId,
    /// How the customer was reached.
    pub contact: Contact,
    /// Whether it is worked on.
    pub state: DraftState,
    /// Until when it can be paid by its link; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_expires_at: Option<Instant>,
    /// The order that came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// What was done, oldest first.
    pub steps: Vec<DraftStep>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl Draft {
    /// The draft with the order that its cart has become, if it has.
    #[must_use]
    pub(super) fn with_order(self, order_id: Option<OrderId>) -> Self {
        let state = if order_id.is_some() { DraftState::Ordered } else { self.state };
        Self { order_id, state, ..self }
    }

    /// The draft after a step.
    #[must_use]
    pub(super) fn after(mut self, what: &str, (by, at): (String, Instant), note: Option<String>) -> Self {
        self.steps.push(DraftStep { what: what.to_owned(), by, at, note });
        self.updated_at = at;
        self
    }
}

/// A draft about to be made of a cart.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOrderDraft, example = json!({"cart_id": "cart_01h455vb4pex5vsknk084sn02q", "contact": "phone", "note": "calls back on Monday"}))]
pub struct NewDraft {
    /// The cart, made at `POST /v1/ops/carts`.
    #[schema(value_type = String)]
    pub cart_id: CartId,
    /// How the customer was reached.
    pub contact: Contact,
    /// What colleagues should know.
    #[schema(value_type = Option<String>)]
    pub note: Option<Note<1000>>,
}

/// A discount on all of a draft.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DraftDiscount, example = json!({"percent": 10, "reason": "a good customer"}))]
pub struct Discount {
    /// So many whole per cent below the prices that the cart shows, 1 to 100; lines whose price is agreed already stay.
    pub percent: i64,
    /// Why; it is kept.
    #[schema(value_type = String)]
    pub reason: Note<500>,
}

/// A link about to be made.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentLinkRequest, example = json!({"hours": 48}))]
pub struct LinkRequest {
    /// For how long it is good, 1 to 720.
    #[serde(default = "two_days")]
    #[schema(default = 48, minimum = 1, maximum = 720)]
    pub hours: i64,
}

const fn two_days() -> i64 {
    48
}
