//! What the API takes and gives.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    adjust::{AdjustedLot, Adjustment, Change, SafetyChange},
    list::MovementRow,
    model::{Level, Locations, MovementKind},
};
use crate::{
    error::{Error, Result},
    kernel::{
        Id, Instant, Quantity,
        ids::{LocationId, MovementId, VariantId},
        text::{Note, Sku, Text},
    },
};

/// How many of a variant there are at a location.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LevelDocument {
    /// The SKU.
    pub sku: String,
    /// The variant's id.
    pub variant_id: VariantId,
    /// The location's code.
    pub location: String,
    /// The location's id.
    pub location_id: LocationId,
    /// Pieces that lie there.
    pub on_hand: i64,
    /// Pieces of those that belong to orders.
    pub allocated: i64,
    /// Pieces of those that carts hold for a while.
    pub reserved: i64,
    /// Pieces of those that are never sold.
    pub safety: i64,
    /// Pieces of those that can not be sold: of lots that are blocked, recalled or expired.
    pub withheld: i64,
    /// Pieces that may be sold beyond what is there.
    pub beyond: i64,
    /// What is there to sell; below zero only by backorders and losses.
    pub available: i64,
    /// Rises with every change.
    pub version: i64,
    /// When it changed last.
    pub updated_at: Instant,
}

/// A booking on a level.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Movement {
    /// Its id.
    pub id: MovementId,
    /// The SKU.
    pub sku: String,
    /// The variant's id.
    pub variant_id: VariantId,
    /// The location's code.
    pub location: String,
    /// The location's id.
    pub location_id: LocationId,
    /// Why the level moved.
    pub kind: MovementKind,
    /// Added to `on_hand`.
    pub on_hand: i64,
    /// Added to `allocated`.
    pub allocated: i64,
    /// How many pieces it is about where neither number changes: taken from the shelf (below zero: put back), said to be of a lot. Absent
    /// elsewhere, and in what was written before it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pieces: Option<i64>,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The order or document it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Who did it.
    pub actor: String,
    /// When it happened.
    pub occurred_at: Instant,
    /// When it was recorded.
    pub recorded_at: Instant,
    /// The `Idempotency-Key` of the request that moved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    #[serde(skip)]
    pub(super) seq: i64,
}

/// What the ids in rows are called.
pub(super) struct Names<'a> {
    pub skus: HashMap<VariantId, String>,
    pub locations: &'a Locations,
}

impl Names<'_> {
    fn sku(&self, variant: VariantId) -> String {
        self.skus.get(&variant).cloned().unwrap_or_default()
    }

    fn location(&self, location: LocationId) -> String {
        self.locations.get(location).map(|location| location.code.clone()).unwrap_or_default()
    }

    pub(super) fn level(&self, level: &Level) -> LevelDocument {
        LevelDocument {
            sku: self.sku(level.variant),
            variant_id: level.variant,
            location: self.location(level.location),
            location_id: level.location,
            on_hand: level.on_hand,
            allocated: level.allocated,
            reserved: level.reserved,
            safety: level.safety,
            withheld: level.withheld,
            beyond: level.beyond,
            available: level.available(),
            version: level.version,
            updated_at: level.updated_at,
        }
    }

    pub(super) fn movement(&self, row: MovementRow) -> Movement {
        let (variant_id, location_id) = row.key;
        Movement {
            id: row.id,
            sku: self.sku(variant_id),
            variant_id,
            location: self.location(location_id),
            location_id,
            kind: row.kind,
            on_hand: row.on_hand,
            allocated: row.allocated,
            pieces: row.pieces,
            reason: row.reason,
            reference: row.reference,
            actor: row.actor,
            occurred_at: row.occurred_at,
            recorded_at: row.recorded_at,
            idempotency_key: row.idempotency_key,
            seq: row.seq,
        }
    }
}

/// Levels in the order of the request's lines.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Levels {
    /// The levels as they are now.
    pub items: Vec<LevelDocument>,
}

/// Counting, receiving, writing off: all lines or none.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"lines": [{"sku": "MUG-KONTOR", "location": "demo-berlin", "change": 24, "reason": "delivery 4711"}]}))]
pub struct AdjustmentRequest {
    /// What happens, in this order.
    #[schema(min_items = 1, max_items = 200)]
    pub lines: Vec<AdjustmentLine>,
    /// When it happened, if in the past; needs the scope `history:write`.
    pub occurred_at: Option<Instant>,
}

/// One line of an adjustment: `change` or `set_to`.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdjustmentLine {
    /// The SKU.
    #[schema(value_type = String, max_length = 100)]
    pub sku: Sku,
    /// A location's code or id.
    #[schema(value_type = String, max_length = 50)]
    pub location: Text<50>,
    /// So many more, or (negative) fewer.
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000)]
    pub change: Option<i64>,
    /// So many, whatever there were.
    pub set_to: Option<Quantity>,
    /// Refused as `compare_failed` unless so many are on hand.
    #[schema(minimum = 0)]
    pub expected_on_hand: Option<i64>,
    /// Why.
    #[schema(value_type = String, max_length = 200)]
    pub reason: Note<200>,
    /// The number of the lot of which the pieces come or go; one that is not known yet is made. Goods that are tracked by lot need it
    /// where they come.
    #[schema(value_type = Option<String>, max_length = 50)]
    pub lot: Option<Text<50>>,
    /// Until when a lot keeps that is not known yet.
    pub expires_at: Option<Instant>,
}

/// Fails unless a list has between one and `most` entries.
pub(super) fn check_count(count: usize, most: usize, pointer: &str) -> Result<()> {
    match (1..=most).contains(&count) {
        true => Ok(()),
        false => Err(Error::invalid(pointer, format!("expected 1 to {most} entries"))),
    }
}

impl AdjustmentRequest {
    /// The lines as the service takes them, with fresh ids for their events.
    pub(super) fn lines(&self) -> Result<Vec<Adjustment>> {
        check_count(self.lines.len(), 200, "/lines")?;
        self.lines.iter().enumerate().map(|(place, line)| line.read(format!("/lines/{place}"))).collect()
    }
}

impl AdjustmentLine {
    fn read(&self, pointer: String) -> Result<Adjustment> {
        let change = match (self.change, self.set_to) {
            (Some(change), None) if (-Quantity::MAX..=Quantity::MAX).contains(&change) => Change::By(change),
            (Some(_), None) => {
                let detail = format!("expected a whole number from -{0} to {0}", Quantity::MAX);
                return Err(Error::invalid(format!("{pointer}/change"), detail));
            }
            (None, Some(wanted)) => Change::To(wanted.get()),
            _ => return Err(Error::invalid(pointer, "expected either change or set_to")),
        };
        if self.expires_at.is_some() && self.lot.is_none() {
            return Err(Error::invalid(format!("{pointer}/expires_at"), "a lot keeps: name it too"));
        }
        let lot = self.lot.as_ref().map(|number| {
            let (number, fresh) = (number.to_string(), (Id::new(), Id::new()));
            AdjustedLot { number, expires_at: self.expires_at, fresh }
        });
        Ok(Adjustment {
            sku: self.sku.to_string(),
            location: self.location.to_string(),
            change,
            expected_on_hand: self.expected_on_hand,
            reason: Some(self.reason.to_string()),
            lot,
            asks: true,
            reported: false,
            pointer,
            event: Id::new(),
        })
    }
}

/// Safety stocks: all lines or none.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"lines": [{"sku": "MUG-KONTOR", "location": "demo-berlin", "safety": 5}]}))]
pub struct SafetyRequest {
    /// What is set.
    #[schema(min_items = 1, max_items = 200)]
    pub lines: Vec<SafetyLine>,
}

/// The safety stock of one level.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SafetyLine {
    /// The SKU.
    #[schema(value_type = String, max_length = 100)]
    pub sku: Sku,
    /// A location's code or id.
    #[schema(value_type = String, max_length = 50)]
    pub location: Text<50>,
    /// Pieces that are never sold.
    pub safety: Quantity,
}

impl SafetyRequest {
    pub(super) fn lines(&self) -> Result<Vec<SafetyChange>> {
        check_count(self.lines.len(), 200, "/lines")?;
        let line = |(place, line): (usize, &SafetyLine)| SafetyChange {
            sku: line.sku.to_string(),
            location: line.location.to_string(),
            safety: line.safety.get(),
            pointer: format!("/lines/{place}"),
            event: Id::new(),
        };
        Ok(self.lines.iter().enumerate().map(line).collect())
    }
}

/// What another system says lies on hand.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"sku": "MUG-KONTOR", "location": "demo-berlin", "on_hand": 120}))]
pub struct StockRow {
    /// The SKU.
    #[schema(value_type = String, max_length = 100)]
    pub sku: Sku,
    /// A location's code or id.
    #[schema(value_type = String, max_length = 50)]
    pub location: Text<50>,
    /// How many lie there now.
    pub on_hand: Quantity,
}

impl StockRow {
    pub(super) fn read(&self, place: usize) -> Adjustment {
        Adjustment {
            sku: self.sku.to_string(),
            location: self.location.to_string(),
            change: Change::To(self.on_hand.get()),
            expected_on_hand: None,
            reason: None,
            lot: None,
            asks: false,
            reported: true,
            pointer: format!("/{place}"),
            event: Id::new(),
        }
    }
}

/// What became of the rows.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct StockRowsTaken {
    /// How many were taken.
    pub rows: usize,
    /// How many of them changed a level; each is a movement and an event.
    pub changed: usize,
}

/// Which levels are listed.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StockQuery {
    /// Only these SKUs: up to 100, separated by commas.
    #[param(example = "MUG-KONTOR,TEE-BLACK-M")]
    pub sku: Option<String>,
    /// Only this location: its code or id.
    pub location: Option<String>,
}

/// Which movements are listed.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MovementQuery {
    /// Only these SKUs: up to 100, separated by commas.
    #[param(example = "MUG-KONTOR,TEE-BLACK-M")]
    pub sku: Option<String>,
    /// Only this location: its code or id.
    pub location: Option<String>,
    /// Only what this document moved: an order, a transfer, an inbound shipment by its id. Not for those who are limited to channels.
    #[param(max_length = 200)]
    pub reference: Option<String>,
    /// Only movements of these kinds: words, separated by commas. Only together with `sku` or `reference`.
    #[param(example = "receipt,lot_change", max_length = 200)]
    pub kinds: Option<String>,
}
