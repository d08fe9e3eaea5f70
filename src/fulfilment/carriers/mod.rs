//! Carriers: with whom a shop sends, what that costs, the labels that are bought, and what carriers tell of parcels.
//!
//! It owns `carrier_accounts` and `carrier_labels`. A carrier is a port (`port::Carrier`) with adapters ([`Adapter`]); what is asked of one outside is asked
//! in jobs, under our own reference, so that asking again buys nothing twice. It never ships: a shipment takes its number from here.

pub mod api;
mod easypost;
mod jobs;
mod labels;
mod links;
mod model;
mod port;
mod returning;
mod service;
mod silent;
mod store;
mod webhook;

pub use api::WEBHOOKS;
pub(super) use jobs::register;
pub use labels::{BUY, TRACK, VOID, discarded};
pub(super) use labels::{named, stands};
pub use links::link;
pub use model::{
    Adapter, CarrierAccount, LABEL_TRANSITIONS, Label, LabelCommand, LabelState, Quote, RateTable, mermaid, quotes,
};
pub use returning::{ReturnLabel, check_account, return_label};
pub use service::seal_again;
pub use silent::ask_silent;
pub(super) use store::{labels_of_order, orders_of_labels};
