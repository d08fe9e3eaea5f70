//! Goods on their way in: orders to suppliers, and shipments that are expected at a location, received in parts or whole.
//!
//! It owns the tables `purchase_orders`, `purchase_order_lines`, `inbound_shipments`, `inbound_lines` and `inbound_units`. It
//! says which goods have come; stock books them, and what becomes of them at the dock `crossdock` decides.

pub mod api;
mod back;
mod forms;
mod model;
mod purchase;
mod purchase_store;
mod service;
mod store;
mod told;

pub(in crate::fulfilment) use api::InboundDetail;
pub use back::{Back, InboundCorrection, WrongReceipt};
pub use forms::{Close, InLot, InboundQuery, LineReceipt, LotReceipt, Receipt, Reschedule};
pub use model::{
    Docked, Expected, HandlingUnit, INBOUND_TRANSITIONS, InboundCommand, InboundLine, InboundShipment, InboundState,
    PURCHASE_TRANSITIONS, PurchaseCommand, PurchaseOrder, PurchaseState, Supply, Taken, UnitState, inbound_mermaid,
    purchases_mermaid,
};
pub(in crate::fulfilment) use service::{
    arrive, at_dock, cancel, close, free, lock, lots_of, match_lines, open_with, receive, received_between, reschedule,
    take_back, unit_by_sscc, units_passed_on,
};
pub use service::{expected, get};
pub use told::event_schemas;
