//! From cart to order: reservation, payment, placing. The one place that waits for the outside inside a request.
//!
//! Transaction A claims the cart, reserves its stock and writes a payment attempt under a key of ours; then the provider
//! is asked, under the attempt's lease; transaction B turns the reservation into an allocation and the cart into an
//! order. Where nothing outside has to be asked, A and B are one. Whatever stops in between is picked up by a sweep that
//! asks the provider what became of the key: the end is always an order, or money given up and an open cart.

pub mod api;
mod attempts;
mod bundles;
mod drive;
mod follow_up;
pub mod judged_api;
mod judging;
mod look;
mod model;
mod paying;
mod place;
mod requests;
pub mod requests_api;
mod service;

pub use attempts::quoted_payments;
pub use drive::{client_of, complete_for};
pub use follow_up::work;
pub use judging::RiskHints;
pub use model::{CheckoutResult, CompleteRequest, GiveUpRequest, PaymentAttempt, PaymentChoice, ResolveRequest};
pub use place::event_schemas;
pub use service::PAYMENT_LINK;
