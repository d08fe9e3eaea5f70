//! Carts: what somebody wants, where to, at which price, before it is ordered.
//!
//! A cart is one row, always read and written whole; its version guards every write. It owns carts; it never takes
//! money and never makes an order.

mod access;
pub mod api;
pub mod approving;
pub mod baskets;
mod bundles;
mod business;
mod coupons;
mod deliveries;
pub mod deliveries_api;
mod delivery;
mod discount;
mod dto;
mod erase;
mod gifts;
mod later;
mod lines;
mod merge;
mod model;
mod pricing;
mod promise;
pub mod quick;
pub mod quoted;
mod service;
mod sourcing;
mod store;
mod stored;
pub mod stored_api;
mod vat_ids;

pub use access::{can_open, cart_token, may_see_order};
pub use bundles::CartComponent;
pub(crate) use bundles::{Taken, by_line, keep_components, needs, taken};
pub(crate) use business::refuse_unapproved;
pub(crate) use deliveries::{Parcel, first_address, parcels};
pub use delivery::{Delivery, DeliveryLine, DeliveryShipping, FurtherDelivery, PickUp, Portion, rename_in};
pub use discount::discount;
pub use erase::{erase, erase_of_guest, of_customer, of_guest_after, with_merged};
pub(crate) use gifts::{lost_gift, without_gift};
pub(crate) use later::{Later, SoldBefore, WasSold, otherwise, uses_of as uses_later};
pub(crate) use model::refuse_incomplete;
pub use model::{
    Approved, Cart, CartDetails, CartFigures, CartLine, CartState, CartView, ForeignOrder, LastDecline, Problem,
    Source, Stage, mermaid,
};
pub use pricing::{Context, Priced, has_ordered, known, reprice};
pub(crate) use pricing::{pays_otherwise, taxed_in, uses};
pub(crate) use promise::promise;
pub use promise::{MoveReason, MovedPromise, Origin, Promise, due_at, origins, ships_by, way};
pub(crate) use service::check_version;
pub use service::{
    adopt, any_abandoned, begin_payment, channels, claim, complete, expire, figures, find, load, merged, orders_of,
    reopen, signed_in, take_abandoned, versions,
};
pub(crate) use sourcing::facts;
pub use stored::paid_with;
