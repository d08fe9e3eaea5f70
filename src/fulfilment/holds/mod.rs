//! Holds: why nothing is picked, packed and shipped of a fulfilment order.
//!
//! It owns the table `fulfilment_holds`. A hold ends when somebody releases it or when its time is over; from that moment on it
//! keeps nothing from being done, whether or not the job that writes it down has come by.

mod model;
mod service;
pub(super) mod store;

pub use model::{Hold, HoldKind, NewHold};
pub use service::release_others as release_holds;
pub(super) use service::{end, expire, found, goods_came, hold, over, release_and_plan, unsourced};
