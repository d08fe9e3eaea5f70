//! Abandonment: carts left alone with lines in them, those who came back, and the rates of both.
//!
//! It owns the table `abandonments`. A cart is abandoned at most once and recovered at most once; both are events, and
//! what follows from them (a mail, a call) is for whoever reads the log. It never changes a cart and sends nothing.

pub mod api;
mod detect;
mod model;
mod service;
mod store;

pub use detect::{detect, recover, work};
pub use model::{Abandonment, AbandonmentFigures, Figures};
pub use service::{event_schemas, read_up_to};
pub use store::{after, of_carts};
