//! Holds of orders: what keeps an order, or a line of it, from being shipped, cancelled, taken back or refunded until somebody has
//! looked at it.
//!
//! They stand in the order's own row, so whoever has locked the order sees them, and a command that comes at the same time is either
//! done before or refused. A hold ends when somebody releases it, when its time is over (from that moment on, whether or not the
//! job that writes it down has come by), or, where it is for `payment`, when the order is paid. Holds of single fulfilment orders
//! are the warehouse's own.

pub mod api;
mod jobs;
mod model;
mod service;

pub use jobs::work;
pub use model::{Block, NewOrderHold, OrderHold, OrderHoldKind, untold};
pub(super) use model::{drop_idle, forget_words};
pub use service::{
    AMENDED, CREDIT, PROMISE, SETTLE, event_schemas, hold, of, release, release_exchange, release_goods,
    when_less_is_due, when_paid, when_promised, when_within_credit,
};
