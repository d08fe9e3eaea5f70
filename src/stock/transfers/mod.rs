//! Goods on their way from one location to another, in two phases: they leave, and they arrive, in parts and with discrepancies.
//!
//! It owns the tables `transfers` and `transfer_lines`. What is under way lies nowhere, and is counted here.

pub mod api;
mod model;
mod service;
mod store;

pub use model::{
    TRANSFER_TRANSITIONS, Transfer, TransferCommand, TransferLine, TransferState, mermaid as transfers_mermaid,
};
pub use service::event_schemas;
