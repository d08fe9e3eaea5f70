//! What can be had, and when: for storefronts in buckets, for people per day; goods that are to come, and what is sold beyond what is
//! there.
//!
//! It owns the tables `stock_backorders` and `stock_expected`. Who knows of goods that are to come says so ([`expect`]); the limit of
//! what is sold beyond what is there stands in the level itself, where the sale's guard sees it.

pub mod api;
mod dto;
mod model;
mod service;
mod store;

pub use model::{BackorderKind, Bucket, Day, Shelf, day_or_late};
pub use service::{
    ARRIVED, ArrivedGoods, Backorder, CHANGED, ChangedLevels, Expected, Supply, came_elsewhere, close_ended, coming,
    expect, lies_free, set_backorders, shelves, shelves_among, supplies,
};
pub(in crate::stock) use service::{arrived, arrived_of, look_again};
