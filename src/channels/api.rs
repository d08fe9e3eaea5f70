//! Routes of legal entities and channels, and the storefront's configuration.

use actix_web::{delete, get, patch, post};
use serde::{Deserialize, Serialize};

use super::{
    model::{
        Channel, ChannelSettings, Directory, LegalEntity, LegalEntityPatch, NewChannel, NewLegalEntity, PublishableKey,
        TimeZone,
    },
    service,
};
use crate::{
    error::{Error, Result},
    http::{All, Body, Call, IfMatch, List, Mount, NoBody, Page, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Actor, Country, Currency, Id, Scope,
        ids::{ChannelId, CredentialId, LegalEntityId},
        text::Text,
    },
};

/// Make a legal entity
#[utoipa::path(tag = "set up a shop", request_body = NewLegalEntity, security(("token" = ["settings:write"])),
    responses((status = 201, body = LegalEntity)))]
#[post("/legal-entities")]
async fn create_legal_entity(call: Call, body: Body<NewLegalEntity>) -> Result<Reply> {
    call.allow_everywhere(Scope::SettingsWrite)?;
    let (id, now, new) = (Id::new(), call.now, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let made = service::create_legal_entity(tx, now, id, &new)?;
        Ok(Reply::created(&made)?.version(made.version).location(format!("/v1/ops/legal-entities/{}", made.id)))
    })
    .await
}

/// Who is limited to channels sees who stands behind these.
fn sees_entity(actor: &Actor, directory: &Directory, id: LegalEntityId) -> bool {
    let own = |channel: &Channel| channel.legal_entity_id == id && actor.sees_channel(channel.id);
    actor.channels().is_none() || directory.iter().any(own)
}

/// List the legal entities
#[utoipa::path(tag = "set up a shop", security(("token" = ["settings:read"])),
    responses((status = 200, body = Page<LegalEntity>)))]
#[get("/legal-entities")]
async fn list_legal_entities(call: Call, query: List<All>) -> Result<Reply> {
    let actor = call.allow(Scope::SettingsRead)?.clone();
    let directory = call.snapshot::<Directory>().await?;
    let seen = move |entity: &LegalEntity| sees_entity(&actor, &directory, entity.id);
    query.answer_seen(&call, |entity| entity.id, seen, service::legal_entities).await
}

/// Read a legal entity
#[utoipa::path(tag = "set up a shop", params(("id" = inline(LegalEntityId), Path)),
    security(("token" = ["settings:read"])),
    responses((status = 200, body = LegalEntity)))]
#[get("/legal-entities/{id}")]
async fn read_legal_entity(call: Call, path: RefPath<LegalEntityId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::SettingsRead)?);
    let directory = call.snapshot::<Directory>().await?;
    let found = call.read(move |tx| service::legal_entity(tx, id)).await?;
    let found = found.filter(|entity| sees_entity(actor, &directory, entity.id));
    let entity = found.ok_or_else(|| Error::not_found("legal entity"))?;
    Ok(Reply::ok(&entity)?.version(entity.version))
}

/// Change a legal entity
///
/// Send the `ETag` you have seen as `If-Match`. What was sold before keeps what it was sold with.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(LegalEntityId), Path), IfMatch), request_body = LegalEntityPatch,
    security(("token" = ["settings:write"])), responses((status = 200, body = LegalEntity)))]
#[patch("/legal-entities/{id}")]
async fn update_legal_entity(call: Call, path: RefPath<LegalEntityId>, body: Body<LegalEntityPatch>) -> Result<Reply> {
    let (actor, directory) = (call.allow(Scope::SettingsWrite)?, call.snapshot::<Directory>().await?);
    if !sees_entity(actor, &directory, path.0) {
        return Err(Error::not_found("legal entity"));
    }
    // It may stand behind other channels too.
    call.allow_everywhere(Scope::SettingsWrite)?;
    let (id, now, expected, patch) = (path.0, call.now, call.if_match()?, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let changed = service::update_legal_entity(tx, now, id, expected, &patch)?;
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// Make a channel
///
/// It comes with a publishable key, which storefronts send as `Channel-Key`.
#[utoipa::path(tag = "set up a shop", request_body = NewChannel, security(("token" = ["settings:write"])),
    responses((status = 201, body = Channel)))]
#[post("/channels")]
async fn create_channel(call: Call, body: Body<NewChannel>) -> Result<Reply> {
    call.allow_everywhere(Scope::SettingsWrite)?;
    let ids = service::ChannelIds::fresh_for(Id::new());
    let (now, new) = (call.now, body.value.clone());
    call.reference_command(&body.fingerprint, move |tx| {
        let made = service::create_channel(tx, now, &ids, &new)?;
        Ok(Reply::created(&made)?.version(made.version).location(format!("/v1/ops/channels/{}", made.id)))
    })
    .await
}

/// List the channels
///
/// Without their publishable keys, which each channel has by itself.
#[utoipa::path(tag = "set up a shop", security(("token" = ["settings:read"])),
    responses((status = 200, body = Page<Channel>)))]
#[get("/channels")]
async fn list_channels(call: Call, query: List<All>) -> Result<Reply> {
    let actor = call.allow(Scope::SettingsRead)?;
    let directory = call.snapshot::<Directory>().await?;
    let seen = directory.iter().filter(|channel| actor.sees_channel(channel.id));
    let mut items: Vec<Channel> = seen.cloned().collect();
    items.sort_by_key(|channel| channel.id);
    query.answer_from(&call, items, |channel| channel.id)
}

/// Read a channel
#[utoipa::path(tag = "set up a shop", params(("id" = inline(ChannelId), Path)), security(("token" = ["settings:read"])),
    responses((status = 200, body = Channel)))]
#[get("/channels/{id}")]
async fn read_channel(call: Call, path: RefPath<ChannelId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::SettingsRead)?.clone());
    let channel = call.read(move |tx| visible(tx, &actor, id)).await?;
    Ok(Reply::ok(&channel)?.version(channel.version))
}

fn visible(tx: &mut crate::db::Tx, actor: &Actor, id: ChannelId) -> Result<Channel> {
    let channel = service::channel(tx, id)?.filter(|channel| actor.sees_channel(channel.id));
    channel.ok_or_else(|| Error::not_found("channel"))
}

/// What can be changed about a channel.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Acme for all"}))]
pub struct ChannelPatch {
    /// Its name.
    pub name: Option<Text<200>>,
    /// How it sells, whole.
    pub settings: Option<ChannelSettings>,
}

/// Change a channel
///
/// Send the `ETag` you have seen as `If-Match`. The change is effective everywhere within a second.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(ChannelId), Path), IfMatch), request_body = ChannelPatch,
    security(("token" = ["settings:write"])), responses((status = 200, body = Channel)))]
#[patch("/channels/{id}")]
async fn update_channel(call: Call, path: RefPath<ChannelId>, body: Body<ChannelPatch>) -> Result<Reply> {
    let actor = call.allow(Scope::SettingsWrite)?.clone();
    let (id, now, expected, patch) = (path.0, call.now, call.if_match()?, body.value.clone());
    call.reference_command(&body.fingerprint, move |tx| {
        visible(tx, &actor, id)?;
        let changed = service::update_channel(tx, now, id, expected, |channel| {
            if let Some(name) = &patch.name {
                channel.name = name.to_string();
            }
            if let Some(settings) = &patch.settings {
                channel.settings = settings.clone();
            }
        })?;
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// Make another publishable key of a channel
///
/// As before the storefront is switched over to it; the channel's other keys stay valid until each is revoked. It can be used
/// at once, through other servers within a second.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(ChannelId), Path)), security(("token" = ["keys:write"])),
    responses((status = 201, body = PublishableKey)))]
#[post("/channels/{id}/keys")]
async fn create_channel_key(call: Call, path: RefPath<ChannelId>, _: NoBody) -> Result<Reply> {
    let actor = call.allow(Scope::KeysWrite)?.clone();
    let (channel, now, id, key): (_, _, CredentialId, _) = (path.0, call.now, Id::new(), service::fresh_key());
    call.reference_command(&Fingerprint::none(), move |tx| {
        visible(tx, &actor, channel)?;
        Reply::created(&service::issue_key(tx, now, id, channel, &key)?)
    })
    .await
}

/// Revoke a publishable key of a channel
///
/// It stops working everywhere within a second. The last one may go too: then no storefront calls for this channel until it
/// has another.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(ChannelId), Path), ("key" = String, Path)),
    security(("token" = ["keys:write"])), responses((status = 204)))]
#[delete("/channels/{id}/keys/{key}")]
async fn revoke_channel_key(call: Call, path: RefPath<(ChannelId, String)>) -> Result<Reply> {
    let (actor, now, (channel, key)) = (call.allow(Scope::KeysWrite)?.clone(), call.now, path.0);
    call.reference_command(&Fingerprint::none(), move |tx| {
        visible(tx, &actor, channel)?;
        service::revoke_key(tx, now, channel, &key)?;
        Ok(Reply::no_content())
    })
    .await
}

/// What a storefront needs to know of its channel.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StoreConfig {
    /// The channel's code.
    pub channel: String,
    /// Its name.
    pub name: String,
    /// The currencies it sells in, the default first.
    pub currencies: Vec<Currency>,
    /// The countries it delivers to, the default first.
    pub countries: Vec<Country>,
    /// The locales it speaks, the default first.
    #[schema(value_type = Vec<String>)]
    pub locales: Vec<Text<35>>,
    /// Whether its prices include tax.
    pub prices_include_tax: bool,
    /// Its time zone.
    pub time_zone: TimeZone,
    /// The payment methods it offers.
    #[schema(value_type = Vec<String>)]
    pub payment_methods: Vec<Text<50>>,
}

/// Read the channel's configuration
#[utoipa::path(tag = "browse", responses((status = 200, body = StoreConfig)))]
#[get("/config")]
async fn store_config(call: Call) -> Result<Reply> {
    let shopper = call.shopper()?;
    let directory = call.snapshot::<Directory>().await?;
    let channel = directory.get(shopper.channel)?;
    let settings = channel.settings.clone();
    Reply::ok(&StoreConfig {
        channel: channel.code.clone(),
        name: channel.name.clone(),
        currencies: settings.currencies,
        countries: settings.countries,
        locales: settings.locales,
        prices_include_tax: settings.prices_include_tax,
        time_zone: settings.time_zone,
        payment_methods: settings.payment_methods,
    })
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_legal_entity).service(list_legal_entities);
    config.service(read_legal_entity).service(update_legal_entity);
    config.service(create_channel).service(list_channels).service(read_channel).service(update_channel);
    config.service(create_channel_key).service(revoke_channel_key);
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(store_config);
}
