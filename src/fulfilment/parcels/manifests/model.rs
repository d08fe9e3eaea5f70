//! Manifests. Pure.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::{
        Instant,
        ids::{FulfilmentOrderId, LocationId, ManifestId, ShipmentId},
    },
};

crate::words! {
    /// Where a manifest stands.
    pub enum ManifestState {
        /// Shipments are collected on it.
        Open = "open",
        /// The carrier has signed it.
        Closed = "closed",
    }
}

crate::words! {
    /// What can be done with a manifest.
    pub enum ManifestCommand {
        /// Take on it what has left since.
        Collect = "collect",
        /// The carrier takes it over.
        Close = "close",
    }
}

/// Every transition of manifests there is: from, command, to. What is not here is refused.
pub const MANIFEST_TRANSITIONS: &[(ManifestState, ManifestCommand, ManifestState)] = &[
    (ManifestState::Open, ManifestCommand::Collect, ManifestState::Open),
    (ManifestState::Open, ManifestCommand::Close, ManifestState::Closed),
];

/// The transition table of manifests as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> open\n");
    for (from, command, to) in MANIFEST_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

impl ManifestState {
    /// The state after a command.
    ///
    /// # Errors
    /// `state_conflict` when the state does not take it.
    pub fn apply(self, command: ManifestCommand) -> Result<Self> {
        let found = MANIFEST_TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        let refused = || Error::conflict(format!("the manifest is {self}: `{command}` is not possible"));
        found.map(|(_, _, to)| *to).ok_or_else(refused)
    }
}

/// What is on a manifest, all in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ManifestTotals {
    /// How many shipments.
    pub shipments: i64,
    /// How many packages; what was shipped without one counts as one.
    pub packages: i64,
    /// How many pieces.
    pub pieces: i64,
    /// What all packages weigh of which that is known.
    pub weight_grams: i64,
}

/// What a carrier takes over at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Manifest {
    /// Its id.
    pub id: ManifestId,
    /// Where it is taken over.
    pub location_id: LocationId,
    /// Who takes it over.
    pub carrier: String,
    /// The day, by the location's clock.
    #[schema(format = Date)]
    pub day: String,
    /// Where it stands. More states may come.
    pub state: ManifestState,
    /// What is on it, all in all.
    pub totals: ManifestTotals,
    /// When it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Instant>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// What is kept of a manifest beside its columns.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct ManifestDetails {
    #[serde(default)]
    pub totals: ManifestTotals,
    #[serde(default)]
    pub closed_at: Option<Instant>,
}

/// A shipment on a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ManifestRow {
    /// It.
    pub shipment_id: ShipmentId,
    /// The fulfilment order it is of.
    pub fulfilment_order_id: FulfilmentOrderId,
    /// The order's number.
    pub order_number: String,
    /// What the carrier calls it.
    pub tracking_number: Option<String>,
    /// How many packages; 1 when it was shipped without any.
    pub packages: i64,
    /// Their SSCCs, separated by blanks.
    pub ssccs: Option<String>,
    /// How many pieces.
    pub pieces: i64,
    /// What its packages weigh, where that is known.
    pub weight_grams: Option<i64>,
    /// When it left.
    pub shipped_at: Instant,
}

impl ManifestTotals {
    /// All rows together.
    pub(super) fn of(rows: &[ManifestRow]) -> Self {
        rows.iter().fold(Self::default(), |sum, row| Self {
            shipments: sum.shipments + 1,
            packages: sum.packages + row.packages,
            pieces: sum.pieces + row.pieces,
            weight_grams: sum.weight_grams + row.weight_grams.unwrap_or_default(),
        })
    }
}
