//! Goods that cross a dock without being stored: what comes in is matched with orders that wait for it, before it comes or when it
//! is there, and people bring it over by tasks that end with a scan.
//!
//! It owns the tables `dock_hubs`, `dock_demands`, `dock_matches` and `dock_tasks`. Which goods come `inbound` knows; what is packed for
//! an order the rest of fulfilment does.

pub mod api;
mod correcting;
mod forms;
mod jobs;
mod matching;
mod model;
mod outcome;
mod receiving;
mod service;
pub mod simulate;
mod standing;
mod store;
mod tasks;
mod told;

pub use jobs::work;
pub(in crate::fulfilment) use model::Demand;
pub use model::{
    DOCK_MATCH_TRANSITIONS, DOCK_TASK_TRANSITIONS, DockMatch, DockTask, MatchCommand, MatchState, TaskKind, TaskState,
    Way, matches_mermaid, tasks_mermaid,
};
pub(in crate::fulfilment) use service::{follow_due, lacking, lacking_at, lacking_of};
pub use standing::standing_at_docks;
pub(in crate::fulfilment) use standing::{Taken, Taking, leave_standing, standing_at, standing_for, taken};
pub(in crate::fulfilment) use store::{open_tasks, purge};
pub use told::event_schemas;
