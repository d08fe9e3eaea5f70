//! Routes of legal entities and channels, and the storefront's configuration.

use actix_web::{get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{
    model::{Channel, ChannelSettings, Directory, LegalEntity, NewChannel, NewLegalEntity, TimeZone},
    service, store,
};
use crate::{
    error::{Error, Result},
    http::{Body, Call, Page, RefPath, Reply, credentials, seal},
    kernel::{Actor, Country, Currency, Id, Scope, ids::ChannelId, text::Text},
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
        Ok(Reply::created(&made)?.version(made.version))
    })
    .await
}

/// List the legal entities
#[utoipa::path(tag = "set up a shop", security(("token" = ["settings:read"])), responses((status = 200, body = Page<LegalEntity>)))]
#[get("/legal-entities")]
async fn list_legal_entities(call: Call) -> Result<Reply> {
    let actor = call.allow(Scope::SettingsRead)?;
    let directory = call.snapshot::<Directory>().await?;
    // Who is limited to channels sees who stands behind these.
    let theirs = |entity: &LegalEntity| {
        let own = |channel: &Channel| channel.legal_entity_id == entity.id && actor.sees_channel(channel.id);
        actor.channels().is_none() || directory.iter().any(own)
    };
    let mut items = call.read(store::legal_entities).await?;
    items.retain(theirs);
    Reply::ok(&Page { items, next_cursor: None, count: None })
}

/// Make a channel
///
/// It comes with a publishable key, which storefronts send as `Channel-Key`.
#[utoipa::path(tag = "set up a shop", request_body = NewChannel, security(("token" = ["settings:write"])),
    responses((status = 201, body = Channel)))]
#[post("/channels")]
async fn create_channel(call: Call, body: Body<NewChannel>) -> Result<Reply> {
    call.allow_everywhere(Scope::SettingsWrite)?;
    let key = format!("{}{}", credentials::PUBLISHABLE_PREFIX, seal::random_text(18));
    let ids = service::ChannelIds { channel: Id::new(), credential: Id::new(), key };
    let (now, new) = (call.now, body.value.clone());
    call.reference_command(&body.fingerprint, move |tx| {
        let made = service::create_channel(tx, now, &ids, &new)?;
        Ok(Reply::created(&made)?.version(made.version).location(format!("/v1/ops/channels/{}", made.id)))
    })
    .await
}

/// List the channels
#[utoipa::path(tag = "set up a shop", security(("token" = ["settings:read"])), responses((status = 200, body = Page<Channel>)))]
#[get("/channels")]
async fn list_channels(call: Call) -> Result<Reply> {
    let actor = call.allow(Scope::SettingsRead)?;
    let directory = call.snapshot::<Directory>().await?;
    let mut items: Vec<Channel> = directory.iter().filter(|channel| actor.sees_channel(channel.id)).cloned().collect();
    items.sort_by_key(|channel| channel.id);
    Reply::ok(&Page { items, next_cursor: None, count: None })
}

/// Read a channel
#[utoipa::path(tag = "set up a shop", params(("id" = String, Path)), security(("token" = ["settings:read"])),
    responses((status = 200, body = Channel)))]
#[get("/channels/{id}")]
async fn read_channel(call: Call, path: RefPath<ChannelId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::SettingsRead)?.clone());
    let channel = call.read(move |tx| visible(tx, &actor, id)).await?;
    Ok(Reply::ok(&channel)?.version(channel.version))
}

fn visible(tx: &mut crate::db::Tx, actor: &Actor, id: ChannelId) -> Result<Channel> {
    let channel = store::channel(tx, id)?.filter(|channel| actor.sees_channel(channel.id));
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
#[utoipa::path(tag = "set up a shop", params(("id" = String, Path)), request_body = ChannelPatch,
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
    let Actor::Shopper(shopper) = &call.actor else { return Err(Error::internal("not a shopper")) };
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
pub fn ops(config: &mut ServiceConfig<'_>) {
    config.service(create_legal_entity).service(list_legal_entities);
    config.service(create_channel).service(list_channels).service(read_channel).service(update_channel);
}

/// The routes of the store surface.
pub fn store(config: &mut ServiceConfig<'_>) {
    config.service(store_config);
}
