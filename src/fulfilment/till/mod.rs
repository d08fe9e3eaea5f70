//! The till: money received for an order, given back, confirmed by hand, disputed, promised anew, and asked for again.
//!
//! It owns what staff have given back of orders: payments and the ledger move the money, the order follows. It never asks a provider itself,
//! but for new promises in the place of those that end, in a job.

mod advances;
pub mod api;
mod awaited;
mod credit_holds;
mod disputes;
mod disputes_api;
mod failed_refunds;
mod fees;
mod fees_api;
mod goodwill;
mod ledger_api;
mod reductions;
mod refunds;
mod renewals;
pub mod requests;
mod requests_api;
mod second;
mod service;
mod shares;
mod store;
mod targets;
mod terms;
mod told;
mod unapplied;

pub use advances::{await_return, owed_of, take_after_return};
pub use disputes::heard as dispute_heard;
pub use failed_refunds::refund_failed;
pub use refunds::{RefundKind, RefundView, of as refunds_of};
pub use renewals::{RENEW, discarded as renewal_discarded};
pub use service::{Confirmation, Receipt, confirm, record_payment, record_payment_of};
pub use shares::{Carried, carry, settle_split, to_carry};
pub use targets::{GiveTo, RefundCard, RefundTo};
pub(super) use {
    awaited::{of_return, waiting},
    fees::ask_later,
    targets::give_owed,
    told::event_schemas,
};

/// Registers what is done beside requests.
pub(super) fn register(state: &crate::http::State, runner: &mut crate::jobs::Runner) {
    renewals::register(state, runner);
    credit_holds::register(state, runner);
    advances::register(state, runner);
    terms::register(state, runner);
    second::register(state, runner);
    fees::register(state, runner);
}
