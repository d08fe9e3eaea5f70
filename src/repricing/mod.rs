//! Prices that follow stock, sales, age and best-before dates: rules that propose prices within guard rails.
//!
//! A rule looks at its goods every so often, decides what each should cost ([`decide()`], pure) and says why; what it proposes waits
//! for a person or is applied at once. It never writes a price itself: it has pricing do that, so that each is in the history that
//! the price before a reduction is reckoned from. It never takes stock and never looks at whoever buys.

pub mod api;
mod decide;
mod forms;
mod jobs;
mod look;
mod model;
mod proposals;
mod record;
mod service;
mod store;

pub use decide::{Facts, When, decide};
pub use jobs::work;
pub use model::{
    Explanation, GuardRails, PriceRule, PriceRuleMode, PriceRuleState, Proposal, ProposalState, Proposed, Signal,
    Terms, Tier, mermaid, proposals_mermaid,
};
