//! Presents that come back: who was given something and has the gift receipt that came with it sends it back without the buyer's account,
//! for a gift card that is nobody's.
//!
//! It owns the table `gift_receipts`: which lines of an order are presents. Its token is derived, not kept. Whoever holds it is told what they
//! can send back, and never a price, nor who has paid; the buyer is not told of what comes back so.

pub mod api;
mod model;
mod service;
mod store;

pub use model::{GiftLine, GiftReceipt, GiftReturn, GiftView};
