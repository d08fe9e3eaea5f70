//! Publishable keys and API keys: issued, listed, rotated, revoked; kept as hashes, looked up in memory.

use std::collections::{HashMap, HashSet};

use actix_web::{delete, get, post, web};
use diesel::sql_types::{Nullable, Text};
use serde::{Deserialize, Serialize};

use super::{All, Body, Call, List, Mount, RefPath, Reply, idempotency::Fingerprint, paging::Page, seal};
use crate::{
    db::{Col, Doc, DocSql, InstantSql, Snapshot, Tx, UidSql, bump, dialect, sql},
    error::{Code, Error, Result},
    kernel::{
        Actor, Id, Instant, Scope,
        actor::Principal,
        ids::{self, ChannelId, CredentialId, LocationId},
        stored,
        text::Text as BoundedText,
    },
};

/// What API keys begin with.
pub const API_KEY_PREFIX: &str = "ktr_";
/// What publishable keys begin with.
pub const PUBLISHABLE_PREFIX: &str = "pk_";

/// What an API key may do and where.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Grant {
    /// Those that this version knows: a newer one may have given others.
    #[serde(deserialize_with = "stored::known_words")]
    scopes: Vec<Scope>,
    channels: Option<Vec<ChannelId>>,
    locations: Option<Vec<LocationId>>,
    money_ceiling: Option<i64>,
}

impl Grant {
    /// Who sends the key.
    fn principal(self, id: CredentialId) -> Principal {
        Principal {
            subject: id.to_string(),
            credential: Some(id),
            scopes: self.scopes,
            channels: self.channels,
            locations: self.locations,
            money_ceiling: self.money_ceiling,
            countersigned: false,
            key: None,
        }
    }
}

/// All valid keys, by hash.
pub struct Credentials {
    publishable: HashMap<String, ChannelId>,
    clients: HashMap<String, Principal>,
}

impl Snapshot for Credentials {
    const NAME: &'static str = "credentials";

    fn load(tx: &mut Tx) -> Result<Self> {
        type Row = (CredentialId, Option<ChannelId>, String, Doc<Grant>);
        let query = "SELECT id, channel_id, secret_hash, doc FROM credentials WHERE revoked_at IS NULL";
        let rows = sql(query).load::<(UidSql, Nullable<UidSql>, Text, DocSql), Row>(tx)?;
        let mut found = Self { publishable: HashMap::new(), clients: HashMap::new() };
        for (id, channel, hash, Doc(grant)) in rows {
            match channel {
                Some(channel) => {
                    found.publishable.insert(hash, channel);
                }
                None => {
                    found.clients.insert(hash, grant.principal(id));
                }
            }
        }
        Ok(found)
    }
}

impl Credentials {
    /// The channel of a publishable key.
    #[must_use]
    pub fn channel_of(&self, key: &str) -> Option<ChannelId> {
        self.publishable.get(&seal::sha256_hex(key.as_bytes())).copied()
    }

    /// Whose API key it is.
    #[must_use]
    pub fn principal_of(&self, key: &str) -> Option<Principal> {
        self.clients.get(&seal::sha256_hex(key.as_bytes())).cloned()
    }
}

/// Who sends an API key, when it is valid.
///
/// # Errors
/// What the database says.
pub fn principal(tx: &mut Tx, id: CredentialId) -> Result<Option<Principal>> {
    let query = "SELECT doc FROM credentials WHERE id = ? AND kind = 'api_key' AND revoked_at IS NULL";
    let grant = sql(query).bind(id).first::<DocSql, Doc<Grant>>(tx)?;
    Ok(grant.map(|Doc(grant)| grant.principal(id)))
}

/// What API keys are for, and since when they are not valid any more: one statement.
///
/// # Errors
/// What the database says.
pub fn names(tx: &mut Tx, keys: &[CredentialId]) -> Result<HashMap<CredentialId, (String, Option<Instant>)>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT id, name, revoked_at FROM credentials WHERE id IN (SELECT wanted FROM {list})");
    let wanted = dialect::rows(keys.iter().map(|id| serde_json::json!([id.hex()])).collect());
    type Row = (CredentialId, String, Option<Instant>);
    let rows = sql(query).bind(wanted).load::<(UidSql, Text, Nullable<InstantSql>), Row>(tx)?;
    Ok(rows.into_iter().map(|(id, name, revoked_at)| (id, (name, revoked_at))).collect())
}

/// Issues a publishable key for a channel. The key is no secret: it names the channel.
///
/// # Errors
/// What the database says.
pub fn issue_publishable(tx: &mut Tx, now: Instant, id: CredentialId, channel: ChannelId, key: &str) -> Result<()> {
    insert(tx, now, id, "publishable", "publishable key", Some(channel), key, key, &Grant::default())
}

#[allow(clippy::too_many_arguments, reason = "one row's columns")]
fn insert(
    tx: &mut Tx,
    now: Instant,
    id: CredentialId,
    kind: &str,
    name: &str,
    channel: Option<ChannelId>,
    secret: &str,
    shown: &str,
    grant: &Grant,
) -> Result<()> {
    sql("INSERT INTO credentials (id, kind, name, channel_id, secret_hash, shown, doc, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(id)
    .bind(kind)
    .bind(name)
    .bind(channel)
    .bind(seal::sha256_hex(secret.as_bytes()))
    .bind(shown)
    .bind(Doc(serde_json::to_value(grant)?))
    .bind(now)
    .execute(tx)?;
    bump::<Credentials>(tx)
}

/// The publishable keys of a channel that are valid, oldest first.
///
/// # Errors
/// What the database says.
pub fn publishable_keys(tx: &mut Tx, channel: ChannelId) -> Result<Vec<String>> {
    sql("SELECT shown FROM credentials WHERE channel_id = ? AND revoked_at IS NULL ORDER BY id")
        .bind(channel)
        .load::<Text, String>(tx)
}

/// Revokes a publishable key of a channel. False when the channel never had it.
///
/// # Errors
/// What the database says.
pub fn revoke_publishable(tx: &mut Tx, now: Instant, channel: ChannelId, key: &str) -> Result<bool> {
    let revoke = "UPDATE credentials SET revoked_at = coalesce(revoked_at, ?) \
                  WHERE secret_hash = ? AND channel_id = ? AND kind = 'publishable'";
    let hash = seal::sha256_hex(key.as_bytes());
    let revoked = sql(revoke).bind(now).bind(hash).bind(channel).execute(tx)?;
    bump::<Credentials>(tx)?;
    Ok(revoked == 1)
}

/// An API key about to be made.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "ERP", "scopes": ["feeds:read", "writeback:write"]}))]
pub struct NewApiKey {
    /// What it is for.
    pub name: BoundedText<200>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The channels it is limited to; absent is all.
    #[schema(value_type = Option<Vec<String>>)]
    pub channels: Option<Vec<ChannelId>>,
    /// The locations it is limited to; absent is all.
    #[schema(value_type = Option<Vec<String>>)]
    pub locations: Option<Vec<LocationId>>,
    /// The most it may refund or cancel at once, in minor units; absent is any amount.
    #[schema(minimum = 0)]
    pub money_ceiling: Option<i64>,
}

/// The channels and locations that there are. Both are slices' business, which hand it in.
#[derive(Clone, Copy)]
pub struct Places(pub fn(&mut Tx) -> Result<(HashSet<ChannelId>, HashSet<LocationId>)>);

/// An API key. The key itself is shown once, when it is made.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ApiKey {
    /// Its id.
    pub id: CredentialId,
    /// What it is for.
    pub name: String,
    /// Its first characters.
    pub shown: String,
    /// The key, only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The channels it is limited to; `null` is all.
    #[schema(value_type = Option<Vec<String>>)]
    pub channels: Option<Vec<ChannelId>>,
    /// The locations it is limited to; `null` is all.
    #[schema(value_type = Option<Vec<String>>)]
    pub locations: Option<Vec<LocationId>>,
    /// The most it may refund or cancel at once, in minor units; `null` is any amount.
    pub money_ceiling: Option<i64>,
    /// Since when.
    pub created_at: Instant,
    /// Since when it is not valid any more.
    pub revoked_at: Option<Instant>,
}

impl ApiKey {
    /// What it is good for.
    fn grant(&self) -> Grant {
        let (scopes, channels, locations) = (self.scopes.clone(), self.channels.clone(), self.locations.clone());
        Grant { scopes, channels, locations, money_ceiling: self.money_ceiling }
    }
}

/// Make an API key
///
/// The answer holds the key; it is not shown again.
#[utoipa::path(tag = "set up a shop", request_body = NewApiKey, security(("token" = ["keys:write"])),
    responses((status = 201, body = ApiKey)))]
#[post("/api-keys")]
async fn create_api_key(call: Call, body: Body<NewApiKey>) -> Result<Reply> {
    let actor = call.allow(Scope::KeysWrite)?.clone();
    // Nobody gives what they do not have.
    if let Some((place, missing)) = body.scopes.iter().enumerate().find(|(_, scope)| !actor.holds(**scope)) {
        let error = Error::problem(Code::ScopeMissing, format!("you do not hold `{missing}` yourself"));
        return Err(error.at(format!("/scopes/{place}")));
    }
    if body.money_ceiling.is_some_and(|ceiling| ceiling < 0) {
        return Err(Error::invalid("/money_ceiling", "expected 0 or more"));
    }
    refuse_wider(&actor, &body)?;
    let places = call.request().app_data::<web::Data<Places>>().map(|places| ***places);
    let places = places.ok_or_else(|| Error::internal("no places"))?;
    let (id, now, new) = (Id::new(), call.now, body.value.clone());
    let key = format!("{API_KEY_PREFIX}{}", seal::random_text(24));
    call.reference_command(&body.fingerprint, move |tx| {
        refuse_unknown(tx, places, &new)?;
        let shown: String = key.chars().take(10).collect();
        let grant = Grant {
            scopes: new.scopes.clone(),
            channels: new.channels.clone(),
            locations: new.locations.clone(),
            money_ceiling: new.money_ceiling,
        };
        insert(tx, now, id, "api_key", &new.name, None, &key, &shown, &grant)?;
        let made = ApiKey {
            id,
            name: new.name.to_string(),
            shown,
            key: Some(key.clone()),
            scopes: grant.scopes,
            channels: grant.channels,
            locations: grant.locations,
            money_ceiling: grant.money_ceiling,
            created_at: now,
            revoked_at: None,
        };
        Ok(Reply::created(&made)?.secret())
    })
    .await
}

fn refuse_unknown(tx: &mut Tx, Places(places): Places, new: &NewApiKey) -> Result<()> {
    if new.channels.is_none() && new.locations.is_none() {
        return Ok(());
    }
    let (channels, locations) = places(tx)?;
    let channel = new.channels.iter().flatten().position(|id| !channels.contains(id));
    let location = new.locations.iter().flatten().position(|id| !locations.contains(id));
    match (channel, location) {
        (Some(place), _) => Err(Error::not_found("channel").at(format!("/channels/{place}"))),
        (None, Some(place)) => Err(Error::not_found("location").at(format!("/locations/{place}"))),
        (None, None) => Ok(()),
    }
}

/// A credential that is limited to channels, locations or amounts makes no key that reaches further.
fn refuse_wider(actor: &Actor, new: &NewApiKey) -> Result<()> {
    let (Actor::Staff(own) | Actor::Client(own)) = actor else { return Ok(()) };
    let limits = [
        (is_within(own.channels.as_deref(), new.channels.as_deref()), "/channels"),
        (is_within(own.locations.as_deref(), new.locations.as_deref()), "/locations"),
        (own.money_ceiling.is_none_or(|own| new.money_ceiling.is_some_and(|new| new <= own)), "/money_ceiling"),
    ];
    if let Some((_, pointer)) = limits.iter().find(|(within, _)| !within) {
        let detail = "the key would reach further than your own credential";
        return Err(Error::problem(Code::ScopeMissing, detail).at(*pointer));
    }
    Ok(())
}

fn is_within<T: PartialEq>(own: Option<&[T]>, wanted: Option<&[T]>) -> bool {
    own.is_none_or(|own| wanted.is_some_and(|wanted| wanted.iter().all(|one| own.contains(one))))
}

/// List the API keys
#[utoipa::path(tag = "set up a shop", security(("token" = ["keys:write"])),
    responses((status = 200, body = Page<ApiKey>)))]
#[get("/api-keys")]
async fn list_api_keys(call: Call, query: List<All>) -> Result<Reply> {
    let actor = call.allow(Scope::KeysWrite)?.clone();
    query.answer_seen(&call, |key: &ApiKey| key.id, move |key| is_theirs(&actor, &key.grant()), list).await
}

/// Whether somebody may see and revoke a key: who is limited to channels or locations, only what stays within them.
fn is_theirs(actor: &Actor, grant: &Grant) -> bool {
    is_within(actor.channels(), grant.channels.as_deref()) && is_within(actor.locations(), grant.locations.as_deref())
}

fn list(tx: &mut Tx, after: Option<CredentialId>, limit: i64) -> Result<Vec<ApiKey>> {
    type Row = (CredentialId, String, String, Doc<Grant>, Instant, Option<Instant>);
    type Columns = (UidSql, Text, Text, DocSql, InstantSql, Nullable<InstantSql>);
    let query = "SELECT id, name, shown, doc, created_at, revoked_at FROM credentials \
                 WHERE kind = 'api_key' AND id > ? ORDER BY id LIMIT ?";
    let after = after.unwrap_or(Id::<ids::Credential>::from_bytes([0; 16]));
    let rows = sql(query).bind(after).bind(limit).load::<Columns, Row>(tx)?;
    let key = |(id, name, shown, Doc(grant), created_at, revoked_at): Row| {
        let Grant { scopes, channels, locations, money_ceiling } = grant;
        ApiKey { id, name, shown, key: None, scopes, channels, locations, money_ceiling, created_at, revoked_at }
    };
    Ok(rows.into_iter().map(key).collect())
}

/// Revoke an API key
///
/// It stops working everywhere within a second.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(CredentialId), Path)),
    security(("token" = ["keys:write"])), responses((status = 204)))]
#[delete("/api-keys/{id}")]
async fn revoke_api_key(call: Call, path: RefPath<CredentialId>) -> Result<Reply> {
    let (actor, id, now) = (call.allow(Scope::KeysWrite)?.clone(), path.0, call.now);
    call.reference_command(&Fingerprint::none(), move |tx| {
        let grant = "SELECT doc FROM credentials WHERE id = ? AND kind = 'api_key'";
        let grant = sql(grant).bind(id).first::<DocSql, Doc<Grant>>(tx)?;
        grant.filter(|Doc(grant)| is_theirs(&actor, grant)).ok_or_else(|| Error::not_found("API key"))?;
        let revoke = "UPDATE credentials SET revoked_at = coalesce(revoked_at, ?) WHERE id = ? AND kind = 'api_key'";
        sql(revoke).bind(now).bind(id).execute(tx)?;
        bump::<Credentials>(tx)?;
        Ok(Reply::no_content())
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_api_key).service(list_api_keys).service(revoke_api_key);
}
