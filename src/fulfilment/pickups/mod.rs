//! What customers pick up: handing it over, and another way for what the place where they would have come can not give.
//!
//! It owns no table. What is ready, and until when it is kept, stands with the fulfilment order.

pub mod api;
mod jobs;
mod service;

pub use jobs::REPLAN;
pub(super) use jobs::register;
pub use service::event_schemas;
pub(super) use service::{Knowing, Redirect, may_redirect, redirect};
