//! Claims of customers: what has left is lost, damaged, wrong, or was never in the parcel. It is sent again, refunded or refused.
//!
//! It owns the table `order_claims`. Claimed pieces are kept on the order's own lines, as those are that come back: a piece is claimed
//! or sent back once. What carriers say of their parcels is fulfilment's (`/v1/ops/shipments/{id}/claim`).

pub mod api;
mod model;
pub(super) mod second;
mod service;
mod store;

pub use model::{
    ClaimPart, ClaimedLine, ClaimedParcel, ORDER_CLAIM_TRANSITIONS, OrderClaimCommand, OrderClaimDocument,
    OrderClaimKind, OrderClaimResolution, OrderClaimState, order_claims_mermaid,
};
pub use service::{erase, event_schemas, of_orders, quoted, waiting};
