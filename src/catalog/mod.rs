//! Variants: what is sold, under which SKU, how it is taxed, weighed, shipped and stocked.
//!
//! It owns the table `variants`. A variant may be a bundle, which is made of others. It never prices a variant and never counts its stock.

pub mod api;
mod bundles;
mod exempt;
mod model;
mod service;
mod store;

pub use bundles::Component;
pub use exempt::ExemptGround;
pub use model::{
    Attributes, BackorderPolicy, Gtin, NewVariant, StockPolicy, TrackingPolicy, UnitCode, Variant, VariantChange,
    VariantRow, VariantStatus,
};
pub use service::{
    ImportRow, after, by_gtin, by_ids, by_skus, create, ids_of, import, skus_of, stocked_ids_of, tracking_of, update,
    with_components,
};
