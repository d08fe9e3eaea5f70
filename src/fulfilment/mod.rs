//! Fulfilment: what each location ships of an order, from the shelf to the customer's door, and back.
//!
//! It owns fulfilment orders, their lines, shipments and returns. It decides which share of the money a shipment, a
//! cancellation or a return moves, and asks the payment slice to move it; it never prices anything.

mod amending;
pub mod api;
mod bundles;
mod cancel;
pub mod carriers;
pub mod claimed;
mod copies;
pub mod corrections;
pub mod crossdock;
mod declared;
pub mod desk;
pub mod dropship;
mod facts;
mod holds;
mod ids;
pub mod inbound;
mod job_keys;
mod jobs;
mod loads;
mod missed;
mod model;
mod money;
mod moves;
mod on_time;
mod opening;
pub mod parcels;
pub mod picking;
pub mod pickups;
pub mod promises;
mod ready;
mod relief;
mod replans;
mod reship;
pub mod returns;
mod scanning;
mod scans;
mod second;
mod service;
mod shipment_store;
mod shipped_lots;
mod shortages;
mod states;
mod status;
mod store;
mod till;
mod told;
pub mod tracking;
mod trial;

pub use amending::{Begun, OtherWay, begun, change_way, facts_of, may_change_way, wait_for_more};
pub use cancel::{Cancellation, cancel, within_ceiling};
pub use claimed::ClaimedPieces;
pub use copies::{
    orders_after, orders_by_ids, parcel, returns_after, returns_by_ids, shipments_after, shipments_by_ids,
    shipments_by_number,
};
pub use crossdock::standing_at_docks;
pub use holds::{Hold, HoldKind, NewHold, release_holds};
pub use ids::Fresh;
pub use job_keys::{job_keys, orders_of_keys};
pub use jobs::discarded;
pub use model::{
    CancelRequest, Command, Correction, Counts, ForDelivery, FulfilmentLine, FulfilmentOrder, FulfilmentState, Missed,
    Pieces, SHIPMENT_TRANSITIONS, Scan, Shipment, ShipmentCommand, ShipmentState, ShippedLine, TRANSITIONS, mermaid,
    shipments_mermaid,
};
pub use money::{CAPTURE, REFUND, VOID, capture_due, owed_back, uncovered};
pub use moves::{Move, Moved, Replan, merge, move_to, replan, split};
pub use opening::work_of;
pub use promises::{comes, keep_promise};
pub use reship::reship_pieces;
pub use scans::scan;
pub use second::pass as gives_back;
pub use service::{NewShipment, Part, deliver, get, of_order, open, pack, pick, ship, ship_parts, shipments};
pub use shipped_lots::ShippedLot;
pub use shortages::REPLAN as REPLAN_SHORT;
pub use status::{Lag, OrderProgress, progress};
pub use store::{stuck, waiting_attempts, waiting_past_due, waiting_uncollected};
pub use till::{
    Carried, Confirmation, GiveTo, RENEW, Receipt, RefundCard, RefundKind, RefundView, await_return, carry, confirm,
    dispute_heard, owed_of, record_payment, record_payment_of, refund_failed, refunds_of, renewal_discarded, requests,
    settle_split, take_after_return, to_carry,
};
pub use told::{OPENED, event_schemas, work_payload};
pub use trial::tried_out;

/// Takes what is personal out of the work with orders: what their shoppers call their deliveries. Those of their events are the caller's
/// to erase.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut crate::db::Tx, orders: &[crate::kernel::ids::OrderId]) -> crate::error::Result<()> {
    if orders.is_empty() { Ok(()) } else { store::forget_keys(tx, orders) }
}

/// Registers the jobs that ask payment providers, and what is counted now and then.
pub fn work(state: &crate::http::State, runner: &mut crate::jobs::Runner) {
    jobs::register(state, runner);
    till::register(state, runner);
    second::register(state, runner);
    returns::second::register(state, runner);
    desk::register(state, runner);
    loads::register(state, runner);
    relief::register(state, runner);
    declared::register(state, runner);
    crossdock::work(state, runner);
    picking::register(state, runner);
    promises::register(state, runner);
    shortages::register(state, runner);
    pickups::register(state, runner);
    carriers::register(state, runner);
}

/// Drops what ended before an instant and is of no use any more: waves, what was heard of parcels on their way, tasks at docks. How many
/// of the most of them, `limit` at most.
///
/// # Errors
/// What the database says.
pub fn purge(tx: &mut crate::db::Tx, before: crate::kernel::Instant, limit: i64) -> crate::error::Result<usize> {
    let waves = picking::purge(tx, before, limit)?;
    let marks = tracking::purge(tx, before, limit)?;
    Ok(waves.max(marks).max(crossdock::purge(tx, before, limit)?))
}
