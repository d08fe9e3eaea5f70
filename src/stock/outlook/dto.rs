//! What the API takes and gives.

use serde::{Deserialize, Serialize};

use super::{
    model::{BackorderKind, Bucket, Day, Shelf},
    service::{Backorder, Expected, Outlook},
};
use crate::{
    catalog::{BackorderPolicy, StockPolicy, Variant, VariantStatus},
    error::{Error, Result},
    kernel::{
        Instant, Quantity,
        text::{Sku, Text},
    },
    stock::{
        LevelKey,
        dto::{LevelDocument, Names},
    },
};

/// What is asked about.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"skus": ["MUG-KONTOR", "TEE-BLACK-M"]}))]
pub struct AvailabilityRequest {
    /// The SKUs; each gets its answer in the same place.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 200)]
    pub skus: Vec<Sku>,
}

/// What can be had.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Availabilities {
    /// One per SKU, in the order of the request.
    pub items: Vec<SkuAvailability>,
}

/// Whether a SKU can be had.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SkuAvailability {
    /// The SKU as it was asked for.
    pub sku: String,
    /// Whether it can be had: `out` too where there is no such SKU, or it is not sold any more.
    pub status: Bucket,
    /// How many are left, where that is `low`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<i64>,
    /// From when on it is to be had, where it is sold before it is there and that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_from: Option<Instant>,
}

impl SkuAvailability {
    pub(super) fn of(sku: &str, variant: Option<&Variant>, shelf: Shelf, low: Option<i64>) -> Self {
        let variant = variant.filter(|variant| variant.status == VariantStatus::Active);
        let (status, left) = match variant {
            None => (Bucket::Out, None),
            Some(variant) if variant.stock_policy == StockPolicy::Untracked => (Bucket::InStock, None),
            Some(variant) => shelf.bucket(variant.backorder_policy == BackorderPolicy::Allow, low),
        };
        let later = matches!(status, Bucket::Backorder | Bucket::Preorder);
        Self { sku: sku.to_owned(), status, left, available_from: shelf.available_from.filter(|_| later) }
    }
}

/// What levels are looked at, and how far.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OutlookQuery {
    /// These SKUs: up to 20, separated by commas.
    #[param(example = "MUG-KONTOR")]
    pub sku: String,
    /// Only this location: its code or id.
    pub location: Option<String>,
    /// How many days, today included.
    #[serde(default = "two_weeks")]
    #[param(minimum = 1, maximum = 90, default = 14)]
    pub days: i64,
}

const fn two_weeks() -> i64 {
    14
}

impl OutlookQuery {
    pub(super) fn days(&self) -> Result<usize> {
        let wrong = || Error::problem(crate::error::Code::InvalidQuery, "days takes a number from 1 to 90").at("days");
        usize::try_from(self.days).ok().filter(|days| (1..=90).contains(days)).ok_or_else(wrong)
    }
}

/// What can be had, day by day.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct OutlookDocument {
    /// By level.
    pub items: Vec<LevelOutlook>,
}

/// What can be had of a level, day by day.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LevelOutlook {
    /// The level as it is now.
    pub level: LevelDocument,
    /// How many are sold beyond what is there, where any are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backorder: Option<BackorderDocument>,
    /// Pieces that were to come before today and have not: they count for nothing until they are there or have a new date.
    pub late: i64,
    /// Day by day, today first.
    pub days: Vec<Day>,
}

impl LevelOutlook {
    pub(super) fn of(one: Outlook, names: &Names<'_>) -> Self {
        let backorder = one.backorder.filter(|row| row.pieces > 0).map(|row| BackorderDocument {
            kind: row.kind,
            limit: row.pieces,
            available_from: row.available_from,
            closes_at: row.closes_at,
        });
        Self { level: names.level(&one.level), backorder, late: one.late, days: one.days }
    }
}

/// How many may be sold beyond what is there.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct BackorderDocument {
    /// Why.
    pub kind: BackorderKind,
    /// How many at most.
    pub limit: i64,
    /// From when it is to be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_from: Option<Instant>,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<Instant>,
}

/// How many may be sold beyond what is there: all lines or none.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"lines": [{"sku": "MUG-KONTOR", "location": "demo-berlin", "kind": "backorder", "limit": 25}]}))]
pub struct BackordersRequest {
    /// What is set. Of lines for the same level the last counts.
    #[schema(min_items = 1, max_items = 200)]
    pub lines: Vec<BackorderLine>,
}

/// How many of a level may be sold beyond what is there.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackorderLine {
    /// The SKU.
    #[schema(value_type = String, max_length = 100)]
    pub sku: Sku,
    /// The code or id of the location that they will ship from.
    #[schema(value_type = String, max_length = 50)]
    pub location: Text<50>,
    /// Why.
    pub kind: BackorderKind,
    /// How many at most; 0 ends it. What was sold so already stays sold.
    pub limit: Quantity,
    /// From when it is to be had: storefronts are told.
    pub available_from: Option<Instant>,
    /// When it ends by itself.
    pub closes_at: Option<Instant>,
}

impl BackorderLine {
    pub(super) fn read(&self, place: usize, key: LevelKey, now: Instant) -> Result<Backorder> {
        if self.closes_at.is_some_and(|at| at <= now) {
            return Err(Error::invalid(format!("/lines/{place}/closes_at"), "expected a time to come"));
        }
        let (kind, pieces) = (self.kind, self.limit.get());
        Ok(Backorder { key, kind, pieces, available_from: self.available_from, closes_at: self.closes_at })
    }
}

/// What is to come by a document, instead of what was said of it before.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "reference": "PO-4711", "lines": [{"sku": "MUG-KONTOR", "location": "demo-berlin", "quantity": 48, "expected_at": "2027-03-01T08:00:00Z"}]
}))]
pub struct ExpectedRequest {
    /// The document: a purchase order, a delivery note.
    #[schema(value_type = String, max_length = 100)]
    pub reference: Text<100>,
    /// What is to come; nothing any more where there is no line.
    #[schema(max_items = 1000)]
    pub lines: Vec<ExpectedLine>,
}

/// Pieces that are to come.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedLine {
    /// The SKU.
    #[schema(value_type = String, max_length = 100)]
    pub sku: Sku,
    /// A location's code or id.
    #[schema(value_type = String, max_length = 50)]
    pub location: Text<50>,
    /// How many: at least one.
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000)]
    pub quantity: Quantity,
    /// When.
    pub expected_at: Instant,
}

impl ExpectedLine {
    pub(super) fn read(&self, place: usize, key: LevelKey) -> Result<Expected> {
        match self.quantity.is_zero() {
            true => Err(Error::invalid(format!("/lines/{place}/quantity"), "expected at least one piece")),
            false => Ok(Expected { key, expected_at: self.expected_at, quantity: self.quantity.get() }),
        }
    }
}
