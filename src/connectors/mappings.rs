//! The versions of connectors' mappings. Part of the store, the only file that touches `connector_mappings` but for what goes
//! with its connector.

use diesel::sql_types::{BigInt, Text};
use serde::Serialize;

use super::{mapping::Mapping, model::Kept};
use crate::{
    db::{Doc, DocSql, InstantSql, Tx, sql},
    error::Result,
    kernel::{Actor, Instant, ids::ConnectorId},
};

/// A version of a connector's mapping.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct MappingVersion {
    /// Which one, from 1; they are never changed.
    pub version: i64,
    /// What the connector does otherwise than its adapter.
    pub mapping: Mapping,
    /// Who wrote it.
    pub created_by: String,
    /// When.
    pub created_at: Instant,
}

const SELECTED: &str = "version, doc, created_by, created_at";
type Columns = (BigInt, DocSql, Text, InstantSql);
type Row = (i64, Doc<Mapping>, String, Instant);

fn version((version, Doc(mapping), created_by, created_at): Row) -> MappingVersion {
    MappingVersion { version, mapping, created_by, created_at }
}

/// A version of a connector's mapping.
pub(super) fn find(tx: &mut Tx, connector: ConnectorId, number: i64) -> Result<Option<MappingVersion>> {
    let query = format!("SELECT {SELECTED} FROM connector_mappings WHERE connector_id = ? AND version = ?");
    Ok(sql(query).bind(connector).bind(number).first::<Columns, Row>(tx)?.map(version))
}

/// The mapping that a connector writes by, if it has one of its own.
pub(super) fn current(tx: &mut Tx, of: &Kept) -> Result<Option<Mapping>> {
    match of.setup.mapping_version {
        None => Ok(None),
        Some(number) => Ok(find(tx, of.id, number)?.map(|found| found.mapping)),
    }
}

/// The versions of a connector's mapping, the newest first, before one.
pub(super) fn page(tx: &mut Tx, id: ConnectorId, before: Option<i64>, limit: i64) -> Result<Vec<MappingVersion>> {
    let query = format!(
        "SELECT {SELECTED} FROM connector_mappings WHERE connector_id = ? AND version < ? ORDER BY version DESC LIMIT ?"
    );
    let query = sql(query).bind(id).bind(before.unwrap_or(i64::MAX)).bind(limit);
    Ok(query.load::<Columns, Row>(tx)?.into_iter().map(version).collect())
}

/// Writes another version. Its connector's row guards: of two who do so at once, one has to look again.
pub(super) fn add(tx: &mut Tx, actor: &Actor, now: Instant, id: ConnectorId, mapping: &Mapping) -> Result<i64> {
    let insert = "INSERT INTO connector_mappings (connector_id, version, doc, created_by, created_at) \
                  VALUES (?, (SELECT coalesce(max(version), 0) + 1 FROM connector_mappings WHERE connector_id = ?), ?, ?, ?) \
                  RETURNING version";
    let insert = sql(insert).bind(id).bind(id).bind(Doc(serde_json::to_value(mapping)?)).bind(actor.label()).bind(now);
    Ok(insert.first::<BigInt, i64>(tx)?.unwrap_or_default())
}
