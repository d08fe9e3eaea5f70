//! What is sent and answered at a dock.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::model::{DockMatch, DockRules, MatchState, TaskState, Way};
use crate::{
    fulfilment::inbound::{InboundShipment, InboundState},
    kernel::{
        Instant,
        ids::{FulfilmentOrderId, InboundShipmentId, LocationId, VariantId},
    },
};

/// Goods that go to their shelf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PutAway {
    /// The line of the inbound shipment.
    pub line_no: i32,
    /// What they are.
    pub variant_id: VariantId,
    /// The SKU.
    pub sku: String,
    /// The handling unit that they are in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sscc: Option<String>,
    /// How many.
    pub quantity: i64,
}

/// What has become of goods that came.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GoodsReceived)]
pub struct Received {
    /// The shipment afterwards.
    pub inbound_shipment: InboundShipment,
    /// What crosses the dock: for which orders, and how.
    pub matches: Vec<DockMatch>,
    /// What is put away.
    pub put_away: Vec<PutAway>,
}

/// A dock, what comes to it, and for whom.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DockView {
    /// The location.
    pub location_id: LocationId,
    /// How it works; null where goods do not cross it.
    pub rules: Option<DockRules>,
    /// What is expected and what stands there, by when it comes: at most 200.
    pub arrivals: Vec<Arrival>,
}

/// A shipment at a dock, or on its way there.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DockArrival)]
pub struct Arrival {
    /// Which.
    pub inbound_shipment_id: InboundShipmentId,
    /// What the sender calls it.
    pub reference: Option<String>,
    /// Where it stands.
    pub state: InboundState,
    /// When it is expected.
    pub expected_at: Instant,
    /// When it stood there.
    pub arrived_at: Option<Instant>,
    /// How many pieces are in it.
    pub pieces: i64,
    /// How many of them have come.
    pub received: i64,
    /// How many cross the dock.
    pub crossing: i64,
    /// For which orders.
    pub outbound: Vec<Outbound>,
}

/// An order that goods at a dock go to.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DockOutbound)]
pub struct Outbound {
    /// The fulfilment order.
    pub fulfilment_order_id: FulfilmentOrderId,
    /// When it is due.
    pub due_at: Instant,
    /// How many pieces.
    pub pieces: i64,
    /// Whether any of them come too late.
    pub late: bool,
    /// How they cross.
    pub way: Way,
}

/// What was done at a dock.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DockScan)]
#[schema(example = json!({"scan": "MUG-KONTOR"}))]
pub struct Scanned {
    /// What was scanned: the handling unit's SSCC, the article's GTIN or its SKU.
    #[schema(min_length = 1, max_length = 200)]
    pub scan: String,
}

/// What the list of matches is narrowed to.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MatchQuery {
    /// Where they stand.
    #[param(inline)]
    pub state: Option<MatchState>,
}

/// What the list of tasks is narrowed to.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TaskQuery {
    /// Where they stand; the open ones, unless told.
    #[param(inline)]
    pub state: Option<TaskState>,
}

/// Of which time the figures are.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReportQuery {
    /// From this instant on; the last 30 days, unless told.
    #[param(value_type = Option<String>)]
    pub from: Option<Instant>,
    /// Up to this instant; now, unless told.
    #[param(value_type = Option<String>)]
    pub until: Option<Instant>,
}

/// How many matches a plan has made.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DockPlanned)]
pub struct Planned {
    /// The matches that are new.
    pub matches: Vec<DockMatch>,
}
