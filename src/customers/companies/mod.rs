//! Companies that customers buy for: what they are called, and whether what was agreed with them counts.
//!
//! It owns the tables `companies` and `company_members`. Which company a customer buys for stands with the customer; prices and promotions name companies
//! by their ids. None is ever removed: one that is not active any more has nothing of its own.

pub mod api;
mod members;
pub mod members_api;
mod model;
mod service;
mod store;
mod terms;
mod told;

pub use members::{Member, MemberRequest, member_of, members, of_customer};
pub use model::{Company, CompanyChange, NewCompany};
pub use service::{active, all_named, get, looked_for, require};
pub(super) use service::{by_numbers, unknown};
pub use store::{after, by_ids};
pub use terms::{
    ApprovalNeed, ApprovalRule, CompanyRole, Membership, OrderRules, PaymentTerms, PurchaseOrderRule, approval_needed,
};
pub use told::event_schemas;
