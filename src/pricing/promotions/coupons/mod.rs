//! Coupons: codes that a promotion asks for. Single ones and shared ones are named by staff; batches are generated.

pub(super) mod api;
pub mod code;
mod service;
mod store;

pub(super) use service::count;
pub use service::{Coupon, Redeeming, find, redeemed, unknown, work};
