//! What the API takes and gives.

use serde::{Deserialize, Serialize};

use super::{
    model::{Lot, LotState},
    service::{Moved, Naming, Received},
};
use crate::{
    error::{Error, Result},
    kernel::{
        Id, Instant, Quantity,
        ids::{LocationId, LotId, OrderId},
        text::{Note, Sku, Text},
    },
    stock::{LevelKey, Locations},
};

/// Which pieces are of which lot: all lines or none.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "reference": "DELIVERY-4711",
    "lines": [{"sku": "COFFEE-500", "location": "demo-berlin", "lot": "L2026-07", "quantity": 120, "expires_at": "2027-07-01T00:00:00Z"}]
}))]
pub struct LotsRequest {
    /// The document with which they came.
    #[schema(value_type = Option<String>, max_length = 100)]
    pub reference: Option<Text<100>>,
    /// What is said.
    #[schema(min_items = 1, max_items = 200)]
    pub lines: Vec<LotLine>,
}

/// That pieces which lie at a location are of a lot.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LotLine {
    /// The SKU.
    #[schema(value_type = String, max_length = 100)]
    pub sku: Sku,
    /// A location's code or id.
    #[schema(value_type = String, max_length = 50)]
    pub location: Text<50>,
    /// The lot's number; one that is not known yet is made.
    #[schema(value_type = String, max_length = 50)]
    pub lot: Text<50>,
    /// How many more are of it, or (negative) fewer.
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000)]
    pub quantity: i64,
    /// Until when it keeps: from then on it is not sold. Left out where that is known already, or it keeps for ever.
    pub expires_at: Option<Instant>,
}

impl LotLine {
    pub(super) fn read(
        &self,
        place: usize,
        key: LevelKey,
        (fresh, event): (LotId, Id<crate::kernel::ids::Event>),
    ) -> Result<Naming> {
        let pointer = format!("/lines/{place}");
        if !(-Quantity::MAX..=Quantity::MAX).contains(&self.quantity) || self.quantity == 0 {
            let detail = format!("expected a whole number from -{0} to {0}, and not 0", Quantity::MAX);
            return Err(Error::invalid(format!("{pointer}/quantity"), detail));
        }
        let (number, expires_at, quantity) = (self.lot.to_string(), self.expires_at, self.quantity);
        Ok(Naming { key, number, expires_at, quantity, fresh, event, pointer })
    }
}

/// Lots in the order of variants and numbers.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct NamedLots {
    /// The lots as they are now.
    pub items: Vec<Lot>,
}

/// Which lots are listed.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LotQuery {
    /// The SKU.
    #[param(example = "COFFEE-500")]
    pub sku: String,
    /// Only what lies at this location: its code or id.
    pub location: Option<String>,
}

/// Lots that lie somewhere.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LotsHeld {
    /// What may be sold in the order in which it leaves: what expires first. What may not be sold stands behind. At most a thousand.
    pub items: Vec<LotHeld>,
}

/// What of a lot lies at a location.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LotHeld {
    /// The lot.
    #[serde(flatten)]
    pub lot: Lot,
    /// The location's code.
    pub location: String,
    /// The location's id.
    pub location_id: LocationId,
    /// How many.
    pub quantity: i64,
}

impl LotHeld {
    pub(super) fn of((lot, location_id, quantity): (Lot, LocationId, i64), locations: &Locations) -> Self {
        Self { lot, location: code(locations, location_id), location_id, quantity }
    }
}

fn code(locations: &Locations, id: LocationId) -> String {
    locations.get(id).map(|location| location.code.clone()).unwrap_or_default()
}

/// Another state of a lot.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"state": "recalled", "reason": "supplier's notice 2026-114"}))]
pub struct LotPatch {
    /// `blocked`, `recalled`, or `available` again.
    pub state: LotState,
    /// Why.
    #[schema(value_type = Option<String>, max_length = 200)]
    pub reason: Option<Note<200>>,
}

/// Who was sent pieces of a lot.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LotReceiver {
    /// The order they left with.
    pub order_id: Option<OrderId>,
    /// How many.
    pub quantity: i64,
    /// The code of the location they left from.
    pub location: String,
    /// Its id.
    pub location_id: LocationId,
    /// When they left.
    pub shipped_at: Instant,
    #[serde(skip)]
    pub(super) seq: i64,
}

impl LotReceiver {
    pub(super) fn of(one: &Received, locations: &Locations) -> Self {
        Self {
            order_id: one.reference.as_ref().and_then(|order| order.parse().ok()),
            quantity: one.quantity,
            location: code(locations, one.location),
            location_id: one.location,
            shipped_at: one.occurred_at,
            seq: one.seq,
        }
    }
}

/// That pieces came to a lot at a location, or left it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LotMovement {
    /// Why: as of stock movements; or `named`, where pieces that lie there were said to be of the lot, or not to be. More words may come.
    #[schema(example = "shipment")]
    pub kind: String,
    /// How many came, or (negative) left.
    pub quantity: i64,
    /// The code of the location.
    pub location: String,
    /// Its id.
    pub location_id: LocationId,
    /// The order or document by which they moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Who did it.
    pub actor: String,
    /// When it happened.
    pub occurred_at: Instant,
    /// When it was recorded.
    pub recorded_at: Instant,
    #[serde(skip)]
    pub(super) seq: i64,
}

impl LotMovement {
    pub(super) fn of(one: Moved, locations: &Locations) -> Self {
        Self {
            kind: one.kind,
            quantity: one.quantity,
            location: code(locations, one.location),
            location_id: one.location,
            reference: one.reference,
            actor: one.actor,
            occurred_at: one.occurred_at,
            recorded_at: one.recorded_at,
            seq: one.seq,
        }
    }
}
