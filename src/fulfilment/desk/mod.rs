//! The desk: what people who do not pick and pack do with fulfilment orders: another time, another priority, asking for
//! cancellation and answering that, taking on and declining.
//!
//! It owns no table.

pub mod api;
mod jobs;
mod service;

pub(super) use jobs::register;
pub use service::{Answer, accept, answer_cancel, decline, request_cancel, reschedule};
