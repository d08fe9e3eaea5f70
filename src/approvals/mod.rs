//! Orders that others of a company approve before they are placed.
//!
//! It owns the requests and what each approver has said. While a request waits its cart is frozen and its stock reserved; a change of the
//! cart undoes all that. A cart that is approved is ordered through the checkout, by a job where it was said how it is paid. It
//! never decides who has to approve: that stands on the cart, as it was priced.

pub mod api;
mod jobs;
mod model;
mod service;
mod store;
mod told;

pub use jobs::work;
pub use model::{ApprovalRequest, ApprovalState, Decision, Verdict, mermaid};
pub use service::{decisions_by, erase, of_customer};
pub use told::event_schemas;
