//! Routes of manifests.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};

use super::{
    model::{Manifest, ManifestCommand, ManifestRow, ManifestState},
    service,
};
use crate::{
    db::Tx,
    error::Result,
    fulfilment::picking::api::{kept, kept_one},
    http::{All, Body, Call, List, Mount, NoBody, Page, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Action, Id, Scope,
        ids::{ManifestId, ShipmentId},
        text::Text,
    },
    stock::Locations,
};

/// A manifest, and what can be done with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ManifestDetail {
    /// It.
    #[serde(flatten)]
    pub manifest: Manifest,
    /// What can be done now.
    pub actions: Vec<Action>,
}

impl From<Manifest> for ManifestDetail {
    fn from(manifest: Manifest) -> Self {
        let action =
            |command: &ManifestCommand| Action::of(command.as_str(), manifest.state.apply(*command).map(|_| ()));
        let actions = ManifestCommand::ALL.iter().map(action).collect();
        Self { manifest, actions }
    }
}

/// Whose manifest.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"location": "demo-berlin", "carrier": "DHL"}))]
pub struct ManifestRequest {
    /// Where, by id or code.
    #[schema(value_type = String)]
    pub location: Text<60>,
    /// The carrier, as its shipments name it; blanks and upper case do not matter.
    #[schema(value_type = String)]
    pub carrier: Text<50>,
}

/// Open a manifest
///
/// For a carrier at a location, today by the location's clock, with all that has left with that carrier in the last seven days and is on
/// no other.
#[utoipa::path(tag = "ship", request_body = ManifestRequest, security(("token" = ["fulfilment:write"])),
    responses((status = 201, body = ManifestDetail)))]
#[post("/manifests")]
async fn create_manifest(call: Call, body: Body<ManifestRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let locations = call.snapshot::<Locations>().await?;
    let (id, now, wanted) = (Id::new(), call.now, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let location = kept_one(&actor, &locations, &wanted.location, "/location")?;
        let made = service::open(tx, now, id, locations.get(location)?, &wanted.carrier)?;
        let made = ManifestDetail::from(made);
        Ok(Reply::created(&made)?.version(made.manifest.version).location(format!("/v1/ops/manifests/{id}")))
    })
    .await
}

/// Which manifests.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ManifestQuery {
    /// Of one location, by id or code.
    pub location: Option<String>,
    /// In one state.
    #[param(inline)]
    pub state: Option<ManifestState>,
}

/// List the manifests
///
/// The newest first. A credential that is limited to channels alone sees none: a manifest is of all of them.
#[utoipa::path(tag = "ship", params(ManifestQuery), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = Page<Manifest>)))]
#[get("/manifests")]
async fn list_manifests(call: Call, query: List<ManifestQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentRead)?.clone();
    let wanted = &query.filter;
    let locations = kept(&actor, &*call.snapshot::<Locations>().await?, wanted.location.as_deref())?;
    let state = wanted.state;
    let read = move |tx: &mut Tx, before, limit| service::page(tx, (locations.as_deref(), state), before, limit);
    query.answer(&call, |manifest: &Manifest| manifest.id, read).await
}

/// Read a manifest
#[utoipa::path(tag = "ship", params(("id" = inline(ManifestId), Path)), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = ManifestDetail)))]
#[get("/manifests/{id}")]
async fn read_manifest(call: Call, path: RefPath<ManifestId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::FulfilmentRead)?.clone());
    let found = ManifestDetail::from(call.read(move |tx| service::get(tx, &actor, id)).await?);
    Ok(Reply::ok(&found)?.version(found.manifest.version))
}

/// List what is on a manifest
///
/// Shipments with their packages; with `format=csv` as the table that is printed.
#[utoipa::path(tag = "ship", params(("id" = inline(ManifestId), Path)), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = Page<ManifestRow>)))]
#[get("/manifests/{id}/shipments")]
async fn list_manifest_shipments(call: Call, path: RefPath<ManifestId>, query: List<All>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::FulfilmentRead)?.clone());
    let read = move |tx: &mut Tx, after: Option<ShipmentId>, limit| service::rows(tx, &actor, id, after, limit);
    query.answer(&call, |row: &ManifestRow| row.shipment_id, read).await
}

/// Collect on a manifest
///
/// Takes onto it what has left with its carrier since.
#[utoipa::path(tag = "ship", params(("id" = inline(ManifestId), Path)), security(("token" = ["fulfilment:write"])),
    responses((status = 200, body = ManifestDetail)))]
#[post("/manifests/{id}/collect")]
async fn collect_manifest(call: Call, path: RefPath<ManifestId>, _body: NoBody) -> Result<Reply> {
    let (id, now, actor) = (path.0, call.now, call.allow(Scope::FulfilmentWrite)?.clone());
    call.command(&Fingerprint::none(), move |tx| reply(service::collect(tx, now, &actor, id)?)).await
}

/// Close a manifest
///
/// The carrier takes over what is on it. It is not changed any more; what leaves from now on is for the next.
#[utoipa::path(tag = "ship", params(("id" = inline(ManifestId), Path)), security(("token" = ["fulfilment:write"])),
    responses((status = 200, body = ManifestDetail)))]
#[post("/manifests/{id}/close")]
async fn close_manifest(call: Call, path: RefPath<ManifestId>, _body: NoBody) -> Result<Reply> {
    let (id, now, actor) = (path.0, call.now, call.allow(Scope::FulfilmentWrite)?.clone());
    call.command(&Fingerprint::none(), move |tx| reply(service::close(tx, now, &actor, id)?)).await
}

fn reply(manifest: Manifest) -> Result<Reply> {
    let version = manifest.version;
    Ok(Reply::ok(&ManifestDetail::from(manifest))?.version(version))
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_manifest).service(list_manifests).service(read_manifest);
    config.service(list_manifest_shipments).service(collect_manifest).service(close_manifest);
}
