//! Orders that staff prepare for somebody who has called or written: who did what with them, and links by which they are paid.
//!
//! It owns the drafts. What is ordered is a cart as any other, and goes through the checkout as any other; a draft remembers how the customer
//! was reached, and lets whoever has its link pay it, as long as the link is good.

pub mod api;
mod model;
mod second;
mod service;
mod store;

pub use model::{Contact, Draft, DraftState};
pub use second::work;
pub use service::{erase, named, of_carts};
