//! Where parcels are between leaving and arriving, and what comes of those that do not arrive.
//!
//! It owns `tracking_marks` and `shipment_claims`. Where a parcel is follows from all marks in the order of their times, never from
//! the order in which they came. It never changes a shipment or an order: who notes a mark is told what follows.

pub mod api;
mod claims;
mod model;
mod store;

pub(super) use claims::follow;
pub use claims::{coming_back, made_good, open, open_of, received, waiting};
pub use model::{
    CLAIM_TRANSITIONS, ClaimCommand, ClaimKind, ClaimState, Mark, Resolution, ShipmentClaim, TRACKING_TRANSITIONS,
    Tracking, claims_mermaid, mermaid, whereabouts,
};
pub(super) use store::{forget_arrival, note, purge};
