//! Safety stock of channels: what a channel leaves to others, at a location or at each.
//!
//! It owns the table `stock_channel_safety`. What of it counts for a sale the sale's own guard reads ([`super::store::kept_back_from_who`]).

pub mod api;
mod service;
mod store;

pub(in crate::stock) use service::left_at;
