//! Fulfilment: what each location ships of an order, from the shelf to the customer's door, and back.
//!
//! It owns fulfilment orders, their lines, shipments and returns. It decides which share of the money a shipment, a
//! cancellation or a return moves, and asks the payment slice to move it; it never prices anything.

pub mod api;
mod cancel;
pub mod carriers;
mod ids;
mod jobs;
mod model;
mod money;
pub mod returns;
mod service;
mod status;
mod store;

pub use cancel::{Cancellation, Receipt, cancel, record_payment, record_payment_of, refund};
pub use ids::Fresh;
pub use model::{
    Command, Counts, FulfilmentLine, FulfilmentOrder, FulfilmentState, Pieces, Scan, Shipment, ShipmentState,
    ShippedLine, TRANSITIONS, mermaid,
};
pub use money::{CAPTURE, REFUND, VOID, capture_due};
pub use service::{
    NewShipment, Part, deliver, event_schemas, get, of_order, open, pack, pick, scan, ship, ship_parts, shipments,
};
pub use status::{OrderProgress, progress};
pub use store::waiting_past_due;

/// Registers the jobs that ask payment providers.
pub fn work(state: &crate::http::State, runner: &mut crate::jobs::Runner) {
    jobs::register(state, runner);
}
