//! The only file that touches `legal_entities` and `channels`.

use diesel::prelude::*;
use serde_json::{Value, json};

use super::{
    invoicing::InvoiceSettings,
    model::{Channel, ChannelSettings, Directory, LegalEntity},
};
use crate::{
    db::{
        Col, Doc, DocSql, Json, Snapshot, Tx, UidSql, dialect,
        schema::{channels, legal_entities},
        sql,
    },
    error::{Error, Result},
    http::credentials,
    kernel::{Country, Id, Instant, ids::ChannelId, ids::LegalEntityId, stored},
};

/// A row of `legal_entities`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = legal_entities, treat_none_as_default_value = false)]
pub(super) struct LegalEntityRow {
    pub id: LegalEntityId,
    pub code: String,
    pub name: String,
    pub country: Country,
    pub vat_id: Option<String>,
    pub time_zone: String,
    pub version: i64,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub invoicing: Option<Doc<InvoiceSettings>>,
    pub spent_series: Option<Doc<Vec<String>>>,
}

impl TryFrom<LegalEntityRow> for LegalEntity {
    type Error = Error;

    fn try_from(row: LegalEntityRow) -> Result<Self> {
        let LegalEntityRow {
            id,
            code,
            name,
            country,
            vat_id,
            time_zone,
            version,
            created_at,
            invoicing,
            spent_series,
            ..
        } = row;
        let (time_zone, invoicing) = (time_zone.parse()?, invoicing.map(|Doc(settings)| settings));
        let spent_series = spent_series.map(|Doc(series)| series).unwrap_or_default();
        Ok(Self { id, code, name, country, vat_id, time_zone, invoicing, spent_series, version, created_at })
    }
}

/// A row of `channels`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = channels, treat_none_as_default_value = false)]
pub(super) struct ChannelRow {
    pub id: ChannelId,
    pub code: String,
    pub name: String,
    pub legal_entity_id: LegalEntityId,
    pub test: bool,
    pub doc: Doc<ChannelSettings>,
    pub version: i64,
    pub created_at: Instant,
    pub updated_at: Instant,
}

impl From<ChannelRow> for Channel {
    fn from(row: ChannelRow) -> Self {
        Self {
            id: row.id,
            code: row.code,
            name: row.name,
            legal_entity_id: row.legal_entity_id,
            test: row.test,
            settings: row.doc.0,
            publishable_keys: Vec::new(),
            version: row.version,
            created_at: row.created_at,
        }
    }
}

pub(super) fn insert_legal_entity(tx: &mut Tx, row: &LegalEntityRow) -> Result<()> {
    diesel::insert_into(legal_entities::table).values(row).execute(tx)?;
    Ok(())
}

/// Legal entities in the order of their ids, after one of them.
pub(super) fn legal_entities(tx: &mut Tx, after: Option<LegalEntityId>, limit: i64) -> Result<Vec<LegalEntity>> {
    let after = after.unwrap_or(Id::from_bytes([0; 16]));
    let query = legal_entities::table.select(LegalEntityRow::as_select()).filter(legal_entities::id.gt(after));
    let rows = query.order(legal_entities::id).limit(limit).load(tx)?;
    rows.into_iter().map(LegalEntity::try_from).collect()
}

pub(super) fn legal_entity(tx: &mut Tx, id: LegalEntityId) -> Result<Option<LegalEntity>> {
    let row = legal_entities::table.find(id).select(LegalEntityRow::as_select()).first(tx).optional()?;
    row.map(LegalEntity::try_from).transpose()
}

/// Replaces a legal entity when it still has the given version. False when it has not.
pub(super) fn update_legal_entity(tx: &mut Tx, now: Instant, changed: &LegalEntity, version: i64) -> Result<bool> {
    let update = sql("UPDATE legal_entities SET name = ?, country = ?, vat_id = ?, time_zone = ?, invoicing = ?, \
                      version = version + 1, updated_at = ? WHERE id = ? AND version = ?")
    .bind(changed.name.as_str())
    .bind(changed.country)
    .bind(changed.vat_id.clone())
    .bind(changed.time_zone.to_string())
    .bind(changed.invoicing.as_ref().map(Json::of).transpose()?)
    .bind(now)
    .bind(changed.id)
    .bind(version);
    Ok(update.execute(tx)? == 1)
}

pub(super) fn insert_channel(tx: &mut Tx, row: &ChannelRow) -> Result<()> {
    diesel::insert_into(channels::table).values(row).execute(tx)?;
    Ok(())
}

pub(super) fn channel(tx: &mut Tx, id: ChannelId) -> Result<Option<Channel>> {
    let row = channels::table.find(id).select(ChannelRow::as_select()).first(tx).optional()?;
    let Some(mut channel) = row.map(Channel::from) else { return Ok(None) };
    channel.publishable_keys = credentials::publishable_keys(tx, id)?;
    Ok(Some(channel))
}

pub(super) fn settings(tx: &mut Tx, id: ChannelId) -> Result<Option<ChannelSettings>> {
    let query = sql("SELECT doc FROM channels WHERE id = ?").bind(id);
    Ok(query.first::<DocSql, Doc<ChannelSettings>>(tx)?.map(|Doc(settings)| settings))
}

pub(super) fn all_settings(tx: &mut Tx) -> Result<Vec<ChannelSettings>> {
    let rows = sql("SELECT doc FROM channels ORDER BY id").load::<DocSql, Doc<ChannelSettings>>(tx)?;
    Ok(rows.into_iter().map(|Doc(settings)| settings).collect())
}

/// Replaces a channel's name and settings when it still has the given version. False when it has not.
pub(super) fn update_channel(tx: &mut Tx, now: Instant, changed: &Channel, version: i64) -> Result<bool> {
    // Settings that a newer version beside this one has written stay.
    let before = sql("SELECT doc FROM channels WHERE id = ?").bind(changed.id);
    let Some(Doc(before)) = before.first::<DocSql, Doc<Value>>(tx)? else { return Ok(false) };
    let update = sql(
        "UPDATE channels SET name = ?, doc = ?, version = version + 1, updated_at = ? WHERE id = ? AND version = ?",
    )
    .bind(changed.name.as_str())
    .bind(Doc(stored::carried_over::<ChannelSettings>(before, serde_json::to_value(&changed.settings)?)))
    .bind(now)
    .bind(changed.id)
    .bind(version);
    Ok(update.execute(tx)? == 1)
}

impl Snapshot for Directory {
    const NAME: &'static str = "channels";

    fn load(tx: &mut Tx) -> Result<Self> {
        let rows = channels::table.select(ChannelRow::as_select()).load(tx)?;
        let sellers = legal_entities::table.select(LegalEntityRow::as_select()).load(tx)?;
        Ok(Self {
            channels: rows.into_iter().map(|row| (row.id, Channel::from(row))).collect(),
            sellers: sellers.into_iter().map(|entity| (entity.id, entity.country)).collect(),
        })
    }
}

/// Which of these channels there are.
pub(super) fn known(tx: &mut Tx, wanted: &[ChannelId]) -> Result<Vec<ChannelId>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT id FROM channels WHERE id IN (SELECT wanted FROM {list})");
    let wanted = wanted.iter().map(|id| json!([id.hex()])).collect();
    sql(query).bind(dialect::rows(wanted)).load::<UidSql, ChannelId>(tx)
}
