//! Sourcing: which location ships what, by rules that people write down, try out and put into force.
//!
//! A profile is a document with versions; of a channel, and of all channels, one version is live at most. The live ones lie in
//! memory beside the locations, so that placing an order asks the database nothing more than without. It owns
//! `sourcing_profiles` and `location_loads`; it never moves stock: it says where from, and [`super::service`] takes it there.

pub mod api;
mod candidates;
mod distance;
mod document;
mod model;
mod planner;
mod search;
mod service;
mod simulation;
mod sources;
mod store;

pub use document::{
    Conditions, Destination, Fallback, FallbackKind, Filters, Limits, ProfileDocument, Rate, Strategy, Weights,
};
pub use model::{
    Facts, LineFacts, NewSourcingProfile, ProfileCommand, ProfileRef, ProfileState, SourcingProfile,
    SourcingProfilePatch, TRANSITIONS, mermaid, tags,
};
pub use planner::Order;
pub use service::{Replanned, count_loads, try_plan};
pub use simulation::{PlacedOrders, Trial};
pub use sources::Sources;

pub(super) use sources::planned;
pub(super) use store::{live, loads};
