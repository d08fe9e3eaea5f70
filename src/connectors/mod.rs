//! Connectors: events pushed to other systems, each in the order of its stream, until they have arrived.
//!
//! An adapter is code for a kind of system and implements the ports it can; a connector is a configured adapter; a
//! dispatch is one event to one connector. The dispatcher turns the log into dispatches behind each connector's cursor;
//! a job per dispatch delivers it. This slice owns `connectors` and `dispatches`. It reads the log and never a store: an
//! event's payload is a complete document.
//!
//! A new adapter is a folder `<vendor>/{mod,client,map}.rs` and one line in [`registry`].

pub mod api;
mod attempts;
mod breakers;
mod delivery;
mod dispatcher;
pub mod erp;
pub mod hubspot;
mod links;
pub mod mapping;
mod mappings;
mod mend_api;
mod model;
pub mod odoo;
pub mod ports;
mod pull;
mod registry;
mod replay;
pub mod runs;
pub mod sending;
mod service;
pub mod settings;
mod store;
pub mod tryton;
pub mod webhook;
pub mod wire;

pub use crate::http::network;
pub use delivery::{KIND as DISPATCH, register as work};
pub use dispatcher::{dispatch, keep_dispatching};
pub use model::{Connector, ConnectorState, Dispatch, DispatchState, NewConnector};
pub use pull::{KIND as APPLY, pull_all};
pub use service::{behind, discarded, figures, ordering_keys, replayed, seal_again, waiting_dead};
pub use store::{forget_answers_of, pause_all, read_up_to};
