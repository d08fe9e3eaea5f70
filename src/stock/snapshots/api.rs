//! The route of snapshots.

use actix_web::post;
use serde::{Deserialize, Serialize};

use super::{
    model::{Basis, Outcome},
    service::{self, Row, Snapshot, TakenRow},
};
use crate::{
    db::Lane,
    error::Result,
    http::{Body, Call, Mount, Reply},
    kernel::{
        Id, Instant, Quantity, Scope,
        text::{Sku, Text},
    },
    stock::{Locations, dto::check_count},
};

/// What another system says of stock levels.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "source": "wms", "basis": "physical", "rows": [{"sku": "MUG-KONTOR", "location": "demo-berlin", "quantity": 120}]
}))]
pub struct SnapshotRequest {
    /// The system that says so. Of each level and system the last snapshot is kept.
    #[schema(value_type = String, max_length = 50)]
    pub source: Text<50>,
    /// What the quantities are.
    pub basis: Basis,
    /// As of when: now where it is left out, and at most 31 days ago. Goods that came or left later are laid over it.
    pub as_of: Option<Instant>,
    /// Up to which position of the feed the sender knew our orders; needed for `available`. What orders beyond it have set aside is
    /// taken off.
    #[schema(minimum = 0)]
    pub orders_through: Option<i64>,
    /// The levels, each once.
    #[schema(min_items = 1, max_items = 1000)]
    pub rows: Vec<SnapshotRow>,
}

/// What is said of one level.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotRow {
    /// The SKU.
    #[schema(value_type = String, max_length = 100)]
    pub sku: Sku,
    /// A location's code or id.
    #[schema(value_type = String, max_length = 50)]
    pub location: Text<50>,
    /// How many.
    pub quantity: Quantity,
}

impl SnapshotRequest {
    fn read(&self, now: Instant) -> Result<Snapshot> {
        check_count(self.rows.len(), 1000, "/rows")?;
        let row = |row: &SnapshotRow| Row {
            sku: row.sku.to_string(),
            location: row.location.to_string(),
            quantity: row.quantity.get(),
            event: Id::new(),
        };
        Ok(Snapshot {
            source: self.source.to_string(),
            basis: self.basis,
            as_of: self.as_of.unwrap_or(now),
            orders_through: self.orders_through,
            rows: self.rows.iter().map(row).collect(),
        })
    }
}

/// What became of a snapshot.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SnapshotTaken {
    /// How many rows were taken.
    pub taken: usize,
    /// How many of them changed a level; each is a movement and an event.
    pub changed: usize,
    /// What became of each row, in the order of the request.
    pub rows: Vec<SnapshotRowTaken>,
}

/// What became of a row.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SnapshotRowTaken {
    /// The SKU.
    pub sku: String,
    /// The location as it was named.
    pub location: String,
    /// What became of it. More words may come.
    pub outcome: Outcome,
    /// By how much what lies on hand has changed.
    pub change: i64,
    /// What was laid over it: goods that came without those that left since; for `available` without what orders set aside that the
    /// sender could not know.
    pub since: i64,
    /// What lies there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_hand: Option<i64>,
    /// What can be sold now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<i64>,
}

fn row(said: &Row, became: &TakenRow) -> SnapshotRowTaken {
    SnapshotRowTaken {
        sku: said.sku.clone(),
        location: said.location.clone(),
        outcome: became.outcome,
        change: became.change,
        since: became.since,
        on_hand: became.level.map(|level| level.on_hand),
        available: became.level.map(|level| level.available()),
    }
}

/// Send a snapshot of stock
///
/// What your system had of up to 1,000 levels as of an instant. What has happened since is laid over it, nothing twice: of goods that
/// came or left the instant tells, of our orders the position of the feed up to which you knew them. A row as of an instant for which a
/// later snapshot was taken before is passed over; the answer tells what became of each.
#[utoipa::path(tag = "import", request_body = SnapshotRequest, security(("token" = ["stock:write"])),
    responses((status = 200, body = SnapshotTaken)))]
#[post("/stock-snapshots")]
async fn take_snapshot(call: Call, body: Body<SnapshotRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    let (now, snapshot, locations) = (call.now, body.read(call.now)?, call.snapshot::<Locations>().await?);
    call.command_in(Lane::Bulk, &body.fingerprint, move |tx| {
        let became = service::take(tx, now, &actor, &snapshot, &locations)?;
        let rows: Vec<_> = snapshot.rows.iter().zip(&became.rows).map(|(said, became)| row(said, became)).collect();
        let taken = rows.iter().filter(|row| matches!(row.outcome, Outcome::Changed | Outcome::Unchanged)).count();
        let changed = rows.iter().filter(|row| row.outcome == Outcome::Changed).count();
        Reply::ok(&SnapshotTaken { taken, changed, rows })
    })
    .await
}

/// The routes of the integration surface.
pub fn integration(config: &mut Mount<'_>) {
    config.service(take_snapshot);
}
