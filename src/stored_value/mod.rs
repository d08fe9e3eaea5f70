//! Stored value: gift cards, and the store credit of customers. Means to pay, not discounts: totals and tax know nothing of them.
//!
//! It owns what each is worth, what of that is set aside, and the ledger of every change. What a cart sets aside becomes an order's
//! payment by the provider [`GIFT_CARD`] or [`STORE_CREDIT`], captured, voided and refunded as any other. It never knows payments,
//! carts or orders but by their ids.

pub mod api;
mod model;
mod refunds;
mod second;
mod service;
mod shares;
mod store;
mod told;

pub use model::{
    Credit, MOST_CARDS, Part, Refusal, StoredValue, ValueKind, ValueState, ValueSum, ValueUse, mermaid, split,
};
pub use refunds::{balance, card_for, credit_for, empty_card, is_there, put};
pub use service::{
    By, Doing, Wanted, balances_of, capture, confirm, consume, credit, ending_in, erase, extend, fresh_code, hold,
    is_booked, named, of_customer, refund, release, release_payment, usable, work,
};
pub use shares::share;
pub use told::event_schemas;

/// The code of the provider that takes gift cards.
pub const GIFT_CARD: &str = "gift_card";
/// The code of the provider that takes store credit.
pub const STORE_CREDIT: &str = "store_credit";
