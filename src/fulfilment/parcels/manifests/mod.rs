//! Manifests: what a carrier takes over at once, for each location, carrier and day. A closed one is never changed.

pub mod api;
mod model;
mod service;
mod store;

pub use model::{MANIFEST_TRANSITIONS, Manifest, ManifestCommand, ManifestState, mermaid};
pub(in crate::fulfilment) use service::{enlist, is_handed_over, strike};
