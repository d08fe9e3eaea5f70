//! Packages: the handling units that leave, what is in them, and the manifests on which a carrier takes them over.
//!
//! It owns `packages`, `package_serials`, `manifests`, `manifest_shipments` and the count of boxed pieces of `fulfilment_lines`. It never
//! packs or ships by itself: those are the fulfilment order's own commands, which tell it what leaves.

pub mod api;
mod labels;
mod left;
pub mod manifests;
mod model;
mod page;
mod service;
mod store;
mod traced;

pub use labels::{LabelDocument, PackingSlip, Sender, SlipLine, sscc_text};
pub(super) use left::left;
pub use left::{LeftLine, LeftPackage};
pub use model::{
    Dimensions, PACKAGE_TRANSITIONS, Package, PackageCommand, PackageState, PackedLine, PackedUnit, mermaid, sscc,
};
pub use service::with_serial;
pub(super) use service::{
    NewLine, SerialDocument, by_sscc, come_back, get, known, label_of, leave, of_dock, open_of, serial_taken, serials,
};
pub(super) use store::{all_boxed, known_of, of_shipments};
pub use traced::lots_of;
pub(super) use traced::told;
pub use traced::{LotOfPieces, LotPieces, PackedLot};
