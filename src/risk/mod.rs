//! Risk: whether a checkout is let through, its order held, or refused, by rules that everybody can read, with the trace that led to it.
//!
//! It owns the rules of each channel (every version of them), the lists of whom to allow and to block, what was found at each checkout
//! and what became of it. It never knows carts or orders: checkout tells it the facts and does what it decides. What a shopper is known
//! by (an e-mail address, a network, a card) is kept as a keyed hash only.

pub mod api;
mod forms;
mod known_by;
mod model;
mod report;
mod service;
mod store;

pub use forms::{OutcomeRequest, RiskAssessment, RiskDecisions, RiskProfile};
pub use known_by::KnownBy;
pub use model::{Assessment, Decision, Facts, Mark, ProfileDocument, RiskOutcome, assess};
pub use service::{
    Found, Profiles, Recorded, erase, figures, judge, judged_by_release, learned, look, of_carts, of_order, placed,
    record, refused_code, work,
};
