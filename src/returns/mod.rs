//! Returns as customers ask for them: the terms of a channel, requests from "may I" to "settled", withdrawals from contracts, and
//! claims that something is lost, damaged, wrong or missing.
//!
//! It owns the tables `return_policies`, `return_requests`, `return_request_lines`, `withdrawals`, `order_claims` and
//! `gift_receipts`. Pieces that are
//! to come back are kept on the order's own lines, so nobody takes them back twice; what is settled is booked as a return by
//! fulfilment, which moves the money. It never prices anything and never touches a stock level.

mod advances;
pub mod api;
pub mod claims;
mod figures;
mod forms;
pub mod gifts;
mod handling;
mod jobs;
mod labels;
mod model;
mod parcels;
mod policy;
mod second;
mod service;
mod store;
pub mod withdrawals;

pub use advances::{ADVANCE_TRANSITIONS, Advance, AdvanceCommand, AdvanceLine, AdvanceState, advances_mermaid};
pub use figures::ReturnFigures;
pub use jobs::work;
pub use model::{
    Decision, Disposition, ForeignGoods, Inspected, REQUEST_TRANSITIONS, RequestCommand, RequestLine, RequestOrigin,
    RequestState, ReturnGrade, ReturnParcel, ReturnReason, ReturnRequestDocument, ReturnWish, Settlement,
    requests_mermaid,
};
pub use policy::{
    Attribute, ChannelReturnPolicy, GiftSeason, GiftTerms, LineVerdict, Policy, Rule, ShippingPayer, VerdictStep, judge,
};
pub use service::{By, NewRequest, Wanted, erase, of_order, of_orders, open, policy_of, quoted, underway_of, waiting};

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<crate::events::EventSchema> {
    [service::event_schemas(), withdrawals::event_schemas(), claims::event_schemas()].concat()
}
