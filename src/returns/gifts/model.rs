//! Gift receipts, and what their holders see. Pure.

use serde::{Deserialize, Serialize};

use crate::{
    kernel::{
        Instant,
        ids::{GiftReceiptId, OrderId, ReturnRequestId},
    },
    returns::model::{RequestState, ReturnReason, ReturnRequestDocument},
};

/// What is kept of a gift receipt beside its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReceiptDetails {
    /// The lines that are presents; all where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<i32>,
}

/// That lines of an order are presents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GiftReceipt {
    /// Its id.
    pub id: GiftReceiptId,
    /// The order.
    #[serde(skip)]
    pub order_id: OrderId,
    /// The lines that are presents; all of the order's where left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<i32>,
    /// When it was made.
    pub created_at: Instant,
}

impl GiftReceipt {
    /// Whether a line of its order is a present.
    #[must_use]
    pub fn has(&self, line_no: i32) -> bool {
        self.lines.is_empty() || self.lines.contains(&line_no)
    }
}

/// A present as who was given it sees it: without a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GiftLine {
    /// The order's line.
    pub line_no: i32,
    /// Its SKU.
    pub sku: String,
    /// What it is called.
    pub name: String,
    /// How many of it can come back.
    pub quantity: i64,
    /// Whether they may without anybody deciding on it.
    pub allowed: bool,
    /// Until when; open while it has not been delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
}

/// Pieces that were sent back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GiftPieces {
    /// The order's line.
    pub line_no: i32,
    /// How many.
    pub quantity: i64,
    /// Why.
    pub reason: ReturnReason,
}

/// A return of presents as who was given them sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GiftReturn {
    /// The return request's id.
    pub id: ReturnRequestId,
    /// Its number: it goes onto the parcel.
    pub number: String,
    /// Where it stands. More words may come.
    pub state: RequestState,
    /// What comes back.
    pub lines: Vec<GiftPieces>,
    /// When it was asked for.
    pub requested_at: Instant,
    /// When it is over if nothing comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
}

impl From<&ReturnRequestDocument> for GiftReturn {
    fn from(one: &ReturnRequestDocument) -> Self {
        let pieces = |line: &crate::returns::model::RequestLine| GiftPieces {
            line_no: line.line_no,
            quantity: line.quantity,
            reason: line.reason,
        };
        Self {
            id: one.id,
            number: one.number.clone(),
            state: one.state,
            lines: one.lines.iter().map(pieces).collect(),
            requested_at: one.requested_at,
            expires_at: one.expires_at,
        }
    }
}

/// What the holder of a gift receipt sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GiftView {
    /// The order's number.
    pub order_number: String,
    /// What can come back.
    pub lines: Vec<GiftLine>,
    /// What is coming back, or has, of these lines.
    pub returns: Vec<GiftReturn>,
}
