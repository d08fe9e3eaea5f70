//! Routes of sourcing profiles.

use actix_web::{get, patch, post};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    super::model::Locations,
    model::{NewSourcingProfile, ProfileCommand, ProfileState, SourcingProfile, SourcingProfilePatch},
    service, simulation,
};
use crate::{
    db::Tx,
    error::Result,
    http::{Body, Call, IfMatch, List, Mount, NoBody, Page, RefPath, Reply, idempotency::Fingerprint},
    kernel::{Id, Scope, ids::SourcingProfileId, text::Text},
};

fn answer(profile: &SourcingProfile) -> Result<Reply> {
    Ok(Reply::ok(profile)?.version(profile.revision))
}

/// Make a version of a sourcing profile
///
/// It is a draft: no order is placed by it until it is activated. `POST /v1/ops/sourcing/simulate` tries it out.
#[utoipa::path(tag = "keep stock", request_body = NewSourcingProfile, security(("token" = ["stock:write"])),
    responses((status = 201, body = SourcingProfile)))]
#[post("/sourcing/profiles")]
async fn create_sourcing_profile(call: Call, body: Body<NewSourcingProfile>) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    let (id, now, new, locations) = (Id::new(), call.now, body.value.clone(), call.snapshot::<Locations>().await?);
    call.command(&body.fingerprint, move |tx| {
        let made = service::create(tx, (now, &actor), &locations, id, &new)?;
        Ok(Reply::created(&made)?.version(1).location(format!("/v1/ops/sourcing/profiles/{}", made.id)))
    })
    .await
}

/// What the list of sourcing profiles can be narrowed to.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ProfileQuery {
    /// Versions of this code.
    #[param(value_type = Option<String>, min_length = 1, max_length = 50)]
    code: Option<Text<50>>,
    /// Where they stand.
    state: Option<ProfileState>,
}

/// List the sourcing profiles
///
/// Every version of every code, the newest first.
#[utoipa::path(tag = "keep stock", params(ProfileQuery), security(("token" = ["stock:read"])),
    responses((status = 200, body = Page<SourcingProfile>)))]
#[get("/sourcing/profiles")]
async fn list_sourcing_profiles(call: Call, query: List<ProfileQuery>) -> Result<Reply> {
    let (actor, wanted) = (call.allow(Scope::StockRead)?.clone(), query.filter.clone());
    let read = move |tx: &mut Tx, before, limit| {
        service::page(tx, &actor, (wanted.code.as_deref(), wanted.state), before, limit)
    };
    query.answer(&call, |profile: &SourcingProfile| profile.id, read).await
}

/// Read a version of a sourcing profile
#[utoipa::path(tag = "keep stock", params(("id" = inline(SourcingProfileId), Path)), security(("token" = ["stock:read"])),
    responses((status = 200, body = SourcingProfile)))]
#[get("/sourcing/profiles/{id}")]
async fn read_sourcing_profile(call: Call, path: RefPath<SourcingProfileId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::StockRead)?.clone());
    answer(&call.read(move |tx| service::visible(tx, &actor, id)).await?)
}

/// Change a draft of a sourcing profile
///
/// Send the `ETag` you have seen as `If-Match`. A version that is or was live stays as it is: make a new one of its code.
#[utoipa::path(tag = "keep stock", params(("id" = inline(SourcingProfileId), Path), IfMatch),
    request_body = SourcingProfilePatch, security(("token" = ["stock:write"])),
    responses((status = 200, body = SourcingProfile)))]
#[patch("/sourcing/profiles/{id}")]
async fn update_sourcing_profile(
    call: Call,
    path: RefPath<SourcingProfileId>,
    body: Body<SourcingProfilePatch>,
) -> Result<Reply> {
    let (actor, expected) = (call.allow(Scope::StockWrite)?.clone(), call.if_match()?);
    let (id, now, patch, locations) = (path.0, call.now, body.value.clone(), call.snapshot::<Locations>().await?);
    call.command(&body.fingerprint, move |tx| {
        answer(&service::update(tx, (now, &actor), &locations, (id, expected), &patch)?)
    })
    .await
}

async fn command(call: Call, id: SourcingProfileId, command: ProfileCommand) -> Result<Reply> {
    let (actor, now) = (call.allow(Scope::StockWrite)?.clone(), call.now);
    let locations = call.snapshot::<Locations>().await?;
    call.reference_command(&Fingerprint::none(), move |tx| {
        answer(&service::command(tx, (now, &actor), &locations, id, command)?)
    })
    .await
}

/// Activate a version of a sourcing profile
///
/// Orders are placed by it from now on, everywhere within a second. The version that was live for the same orders is retired; it can
/// be activated again.
#[utoipa::path(tag = "keep stock", params(("id" = inline(SourcingProfileId), Path)), security(("token" = ["stock:write"])),
    responses((status = 200, body = SourcingProfile)))]
#[post("/sourcing/profiles/{id}/activate")]
async fn activate_sourcing_profile(call: Call, path: RefPath<SourcingProfileId>, _body: NoBody) -> Result<Reply> {
    command(call, path.0, ProfileCommand::Activate).await
}

/// Retire a version of a sourcing profile
///
/// Orders are placed by it no more: by the profile of all channels where there is one, else the usual way.
#[utoipa::path(tag = "keep stock", params(("id" = inline(SourcingProfileId), Path)), security(("token" = ["stock:write"])),
    responses((status = 200, body = SourcingProfile)))]
#[post("/sourcing/profiles/{id}/retire")]
async fn retire_sourcing_profile(call: Call, path: RefPath<SourcingProfileId>, _body: NoBody) -> Result<Reply> {
    command(call, path.0, ProfileCommand::Retire).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_sourcing_profile).service(list_sourcing_profiles).service(read_sourcing_profile);
    config.service(update_sourcing_profile).service(activate_sourcing_profile).service(retire_sourcing_profile);
    simulation::ops(config);
}
