//! What a second person has to approve: refunds, agreed prices and work on many orders that come to more than a channel lets one decide.
//!
//! It owns the requests: who has asked for what, who has decided, and what came of it. Whoever asks never decides, which the table refuses
//! too; what is approved is done once, by a job of the slice whose command it is, on the state that was asked for and no other. It never
//! knows what is done.

pub mod api;
mod gate;
mod model;
mod run;
mod service;
mod store;

pub use gate::{Giving, Passed, Wanted, day_of, or_ask, pass};
pub use model::{
    CLAIM, Ceilinged, CountersignRequest, CountersignState, CountersignSubject, OnBehalf, RETURN_REQUEST, mermaid,
};
pub use run::{of_job, run};
pub use service::{Asking, above, ask, erase, event_schemas, state_of, until, waiting_of, withdraw_of};
