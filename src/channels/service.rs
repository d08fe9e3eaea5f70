//! Commands on legal entities and channels.

use super::{
    model::{Channel, Directory, LegalEntity, NewChannel, NewLegalEntity},
    store::{self, ChannelRow, LegalEntityRow},
};
use crate::{
    db::{Doc, Tx, bump},
    error::{Code, Error, Result, on_duplicate},
    http::credentials,
    kernel::{
        Instant,
        ids::{ChannelId, CredentialId, LegalEntityId},
    },
};

/// Makes a legal entity.
///
/// # Errors
/// `duplicate` when the code is taken.
pub fn create_legal_entity(tx: &mut Tx, now: Instant, id: LegalEntityId, new: &NewLegalEntity) -> Result<LegalEntity> {
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
    };
    on_duplicate(store::insert_legal_entity(tx, &row), || taken("legal entity", &new.code))?;
    LegalEntity::try_from(row)
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

/// Makes a channel and its first publishable key.
///
/// # Errors
/// `duplicate` when the code is taken, `not_found` when the legal entity is not there.
pub fn create_channel(tx: &mut Tx, now: Instant, ids: &ChannelIds, new: &NewChannel) -> Result<Channel> {
    new.settings.check()?;
    if !store::legal_entities(tx)?.iter().any(|entity| entity.id == new.legal_entity_id) {
        return Err(Error::not_found("legal entity").at("/legal_entity_id"));
    }
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
    let stale = |version: i64| Error::problem(Code::VersionStale, format!("the channel is at version {version}"));
    let seen = expected.unwrap_or(channel.version);
    if seen != channel.version {
        return Err(stale(channel.version));
    }
    change(&mut channel);
    channel.settings.check()?;
    if !store::update_channel(tx, now, &channel, seen)? {
        return Err(stale(seen));
    }
    channel.version += 1;
    bump::<Directory>(tx)?;
    Ok(channel)
}

fn taken(what: &str, code: &str) -> Error {
    Error::problem(Code::Duplicate, format!("there is a {what} with the code `{code}` already")).at("/code")
}
