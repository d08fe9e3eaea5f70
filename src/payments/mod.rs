//! Payments: attempts to pay, what is captured, voided and refunded of them, and each order's money ledger.
//!
//! It owns the payments, their operations, the ledger and the port to providers with three of them, `manual` (which takes orders
//! on account too), `sandbox` and `stripe`; disputes, promises that are asked for anew, and what is asked for after the order. It never places, changes or cancels an order, and
//! knows carts and orders by their ids only: the checkout decides what an answer of a provider means.

pub mod api;
pub mod disputes;
pub mod fees;
pub mod journal;
mod kept;
pub mod ledger;
mod manual;
mod model;
pub mod promises;
mod provider;
pub mod renewals;
pub mod requests;
mod sandbox;
mod service;
pub mod shares;
mod store;
mod stored;
mod stripe;
mod taxes;
mod told;
mod waiting;

pub use api::NOTIFIED;
pub use kept::{Kept, kept};
pub use ledger::{Account, Posting};
pub use manual::{MANUAL, is_by_hand};
pub use model::{
    Action, Command, Conflict, Decline, NewOperation, NewPayment, OPERATION_TRANSITIONS, Operation, OperationCommand,
    OperationKind, OperationState, Outcome, Payment, PaymentDetails, PaymentState, PaymentView, Resolution,
    TRANSITIONS, Target, Trouble, mermaid, operations_mermaid,
};
pub use provider::{
    Headers, NOT_FOUND, Notification, PATIENCE, Provider, ProviderError, Providers, RefundFailed, patiently, providers,
};
pub use sandbox::{SANDBOX, SandboxPayment, SandboxState, sign, work};
pub use service::{
    action_required, any_due, authorised, begin_operation, by_key, called, claim, claim_due, confirm_operation,
    declined, ending, erase, fail_operation, failed, finish_operation, get, give_otherwise, given_up, key_of,
    late_promise, of_cart, of_order, of_orders, open, open_all, operation, operations, orphaned, put_off,
    record_operation, resolve, unrefund, voided,
};
pub use stripe::STRIPE;
pub use told::{AUTHORISED, Authorised};
pub use waiting::{failures, failures_of, overpaid, to_pay_out, without_order};
