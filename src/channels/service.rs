//! Commands on legal entities and channels.

// What is asked for as it stands in the tables.
pub(super) use super::store::{channel, legal_entities, legal_entity};
use super::{
    invoicing::{InvoiceSettings, Invoicing},
    model::{
        Channel, ChannelSettings, Directory, LegalEntity, LegalEntityPatch, NewChannel, NewLegalEntity, PublishableKey,
    },
    store::{self, ChannelRow, LegalEntityRow},
};
use crate::{
    db::{Doc, Tx, bump},
    error::{Code, Error, Result, on_duplicate},
    http::{credentials, seal},
    kernel::{
        Actor, Id, Instant,
        ids::{ChannelId, CredentialId, LegalEntityId},
    },
};

/// A legal entity, whoever asks.
///
/// # Errors
/// What the database says.
pub fn entity(tx: &mut Tx, id: LegalEntityId) -> Result<Option<LegalEntity>> {
    store::legal_entity(tx, id)
}

/// How a channel sells, as it stands in the database. One statement.
///
/// # Errors
/// What the database says.
pub fn settings(tx: &mut Tx, id: ChannelId) -> Result<Option<ChannelSettings>> {
    store::settings(tx, id)
}

/// The settings of all channels.
///
/// # Errors
/// What the database says.
pub fn all_settings(tx: &mut Tx) -> Result<Vec<ChannelSettings>> {
    store::all_settings(tx)
}

/// Makes a legal entity.
///
/// # Errors
/// `duplicate` when the code is taken.
pub fn create_legal_entity(tx: &mut Tx, now: Instant, id: LegalEntityId, new: &NewLegalEntity) -> Result<LegalEntity> {
    check_invoicing(new.invoicing.as_ref(), new.vat_id.is_some())?;
    let row = LegalEntityRow {
        id,
        code: new.code.to_string(),
        name: new.name.to_string(),
        country: new.country,
        vat_id: new.vat_id.as_ref().map(ToString::to_string),
        time_zone: new.time_zone.to_string(),
        version: 1,
        created_at: now,
        updated_at: now,
        invoicing: new.invoicing.clone().map(Doc),
        spent_series: None,
    };
    on_duplicate(store::insert_legal_entity(tx, &row), || taken("legal entity", &new.code))?;
    bump::<Directory>(tx)?;
    LegalEntity::try_from(row)
}

/// Changes a legal entity. `expected` is the version that the caller has seen.
///
/// # Errors
/// `not_found`; `version_stale` when it has changed since.
pub fn update_legal_entity(
    tx: &mut Tx,
    now: Instant,
    id: LegalEntityId,
    expected: Option<i64>,
    patch: &LegalEntityPatch,
) -> Result<LegalEntity> {
    let mut entity = store::legal_entity(tx, id)?.ok_or_else(|| Error::not_found("legal entity"))?;
    let seen = seen("legal entity", entity.version, expected)?;
    patch.apply(&mut entity);
    check_invoicing(entity.invoicing.as_ref(), entity.vat_id.is_some())?;
    if !store::update_legal_entity(tx, now, &entity, seen)? {
        return Err(Error::overtaken("the legal entity"));
    }
    entity.version += 1;
    Ok(entity)
}

fn check_invoicing(settings: Option<&InvoiceSettings>, has_vat_id: bool) -> Result<()> {
    settings.map_or(Ok(()), |settings| settings.check(has_vat_id))
}

/// That a channel for which Kontor is to write invoices can have some: its legal entity says what has to be on them. That never
/// ends, for settings can be changed and not taken away.
fn check_invoices(entity: &LegalEntity, invoicing: Invoicing, test: bool) -> Result<()> {
    let refused = |detail: &str| Err(Error::problem(Code::InvoicingMissing, detail).at("/settings/invoicing"));
    match (invoicing.is_own(), test, &entity.invoicing) {
        (true, true, _) => refused("a test channel sells nothing, and has no invoices"),
        (true, false, None) => refused("the legal entity has no `invoicing` settings"),
        _ => Ok(()),
    }
}

/// The version that a change begins with: the current one, when it is the expected one.
fn seen(what: &str, version: i64, expected: Option<i64>) -> Result<i64> {
    if expected.is_none_or(|expected| expected == version) { Ok(version) } else { Err(Error::stale(what, version)) }
}

/// That an actor may name channels, each of which there is. `pointer` is the list that names them. One statement, none where
/// the list is empty.
///
/// # Errors
/// `not_found` at the first of the list that is not there or that the actor does not see.
pub fn check_named(tx: &mut Tx, actor: &Actor, named: &[ChannelId], pointer: impl Fn(usize) -> String) -> Result<()> {
    if named.is_empty() {
        return Ok(());
    }
    let known = store::known(tx, named)?;
    match named.iter().position(|id| !known.contains(id) || !actor.sees_channel(*id)) {
        None => Ok(()),
        Some(place) => Err(Error::not_found("channel").at(pointer(place))),
    }
}

/// What a new channel gets from outside, so that a second run of the transaction gives the same.
#[derive(Debug, Clone)]
pub struct ChannelIds {
    /// The channel's id.
    pub channel: ChannelId,
    /// The id of its first publishable key.
    pub credential: CredentialId,
    /// That key.
    pub key: String,
}

impl ChannelIds {
    /// Those of a channel with this id.
    #[must_use]
    pub fn fresh_for(channel: ChannelId) -> Self {
        Self { channel, credential: Id::new(), key: fresh_key() }
    }
}

/// A publishable key that nobody has yet.
pub(super) fn fresh_key() -> String {
    format!("{}{}", credentials::PUBLISHABLE_PREFIX, seal::random_text(18))
}

/// Makes a channel and its first publishable key.
///
/// # Errors
/// `duplicate` when the code is taken, `not_found` when the legal entity is not there.
pub fn create_channel(tx: &mut Tx, now: Instant, ids: &ChannelIds, new: &NewChannel) -> Result<Channel> {
    new.settings.check()?;
    let entity = store::legal_entity(tx, new.legal_entity_id)?;
    let entity = entity.ok_or_else(|| Error::not_found("legal entity").at("/legal_entity_id"))?;
    check_invoices(&entity, new.settings.invoicing, new.test)?;
    let row = ChannelRow {
        id: ids.channel,
        code: new.code.to_string(),
        name: new.name.to_string(),
        legal_entity_id: new.legal_entity_id,
        test: new.test,
        doc: Doc(new.settings.clone()),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    on_duplicate(store::insert_channel(tx, &row), || taken("channel", &new.code))?;
    credentials::issue_publishable(tx, now, ids.credential, ids.channel, &ids.key)?;
    bump::<Directory>(tx)?;
    Ok(Channel { publishable_keys: vec![ids.key.clone()], ..Channel::from(row) })
}

/// Replaces a channel's name and settings. `expected` is the version that the caller has seen.
///
/// # Errors
/// `not_found`; `version_stale` when it has changed since.
pub fn update_channel(
    tx: &mut Tx,
    now: Instant,
    id: ChannelId,
    expected: Option<i64>,
    change: impl FnOnce(&mut Channel),
) -> Result<Channel> {
    let mut channel = store::channel(tx, id)?.ok_or_else(|| Error::not_found("channel"))?;
    let seen = seen("channel", channel.version, expected)?;
    change(&mut channel);
    channel.settings.check()?;
    if channel.settings.invoicing.is_own() {
        let entity = store::legal_entity(tx, channel.legal_entity_id)?;
        let entity = entity.ok_or_else(|| Error::internal("a channel without a legal entity"))?;
        check_invoices(&entity, channel.settings.invoicing, channel.test)?;
    }
    if !store::update_channel(tx, now, &channel, seen)? {
        return Err(Error::overtaken("the channel"));
    }
    channel.version += 1;
    bump::<Directory>(tx)?;
    Ok(channel)
}

/// Makes another publishable key of a channel.
///
/// # Errors
/// What the database says.
pub(super) fn issue_key(
    tx: &mut Tx,
    now: Instant,
    id: CredentialId,
    channel: ChannelId,
    key: &str,
) -> Result<PublishableKey> {
    credentials::issue_publishable(tx, now, id, channel, key)?;
    Ok(PublishableKey { key: key.to_owned(), channel_id: channel, created_at: now })
}

/// Revokes a publishable key of a channel; one that was revoked before stays so.
///
/// # Errors
/// `not_found` when the channel never had it.
pub(super) fn revoke_key(tx: &mut Tx, now: Instant, channel: ChannelId, key: &str) -> Result<()> {
    let had = credentials::revoke_publishable(tx, now, channel, key)?;
    if had { Ok(()) } else { Err(Error::not_found("publishable key")) }
}

fn taken(what: &str, code: &str) -> Error {
    Error::problem(Code::Duplicate, format!("there is a {what} with the code `{code}` already")).at("/code")
}
