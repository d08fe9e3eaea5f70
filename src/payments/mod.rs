//! Payments: attempts to pay, what is captured, voided and refunded of them, and each order's money ledger.
//!
//! It owns the payments, their operations, the ledger and the port to providers with two of them, `manual` and
//! `sandbox`. It never places, changes or cancels an order, and knows carts and orders by their ids only: the checkout
//! decides what an answer of a provider means.

pub mod api;
pub mod ledger;
mod manual;
mod model;
mod provider;
mod sandbox;
mod service;
mod store;
mod stored;
mod taxes;
mod waiting;

pub use api::NOTIFIED;
pub use ledger::{Account, Posting};
pub use manual::MANUAL;
pub use model::{
    Action, Command, Conflict, Decline, NewOperation, NewPayment, OPERATION_TRANSITIONS, Operation, OperationCommand,
    OperationKind, OperationState, Outcome, Payment, PaymentDetails, PaymentState, PaymentView, Resolution,
    TRANSITIONS, Trouble, mermaid, operations_mermaid,
};
pub use provider::{
    Headers, NOT_FOUND, Notification, PATIENCE, Provider, ProviderError, Providers, patiently, providers,
};
pub use sandbox::{SANDBOX, SandboxPayment, SandboxState, sign, work};
pub use service::{
    action_required, any_due, authorised, begin_operation, claim, claim_due, confirm_operation, declined, ending,
    erase, fail_operation, failed, finish_operation, get, given_up, late_promise, of_cart, of_order, of_orders, open,
    open_all, operation, operations, orphaned, put_off, record_operation, resolve, voided,
};
pub use waiting::{failures, failures_of, to_pay_out, without_order};
