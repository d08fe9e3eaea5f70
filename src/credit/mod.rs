//! What companies owe on account: how much each may, how much it does, and until when.
//!
//! It owns the credits of companies, their debts, one for each order's payment on account, and the ledger of every change. One guarded row
//! of a company and currency says how much is owed: an order takes its part of it in the transaction that places it. It knows
//! payments and orders by their ids only: whoever moves an order's money tells what of it is still open.

pub mod api;
mod model;
mod service;
mod store;
mod told;

pub use model::{Above, Credit, CreditEntry, CreditEntryKind, Debt, Excess, open_of};
pub use service::{
    Claim, GO_ON, Heir, Standing, Taken, allow_raise, due_of, is_within, of_company, open_debt, over, owing, refusal,
    settle, share, standing_of, take,
};
pub use told::event_schemas;

/// The code of the provider that takes orders on account.
pub const ON_ACCOUNT: &str = "on_account";
