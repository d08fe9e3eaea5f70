//! Withdrawals from contracts at a distance: Directive 2011/83/EU, Articles 9 to 16, with the function of its Article 11a (Directive (EU)
//! 2023/2673), which every interface that sells has had to offer since 19 June 2026.
//!
//! It owns the table `withdrawals`. Whoever may open the order declares that they withdraw, and confirms it; both are open to guests. The
//! shop's own return policy is never asked. What has left becomes an approved return request, what has not is cancelled.

pub mod api;
mod carrying;
pub(super) mod jobs;
mod model;
mod service;
mod store;

pub(super) use carrying::{not_awaited, note_settled};
pub use model::{
    ExemptLine, WITHDRAWAL_TRANSITIONS, WithdrawalCommand, WithdrawalDocument, WithdrawalState, WithdrawnLine,
    withdrawals_mermaid,
};
pub use service::{erase, event_schemas, of_orders, quoted, waiting};
