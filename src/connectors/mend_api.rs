//! Routes of what is looked at and set right about a connector: its mapping, what it would send, what the far end calls what.

use actix_web::{delete, get, post, put};
use serde::{Deserialize, Serialize};

use super::{
    delivery::Line,
    links::{self, KeptLink, Wanted},
    mapping::Mapping,
    mappings::{self, MappingVersion},
    network::Network,
    ports::{Delivery, Link, Planned, is_of_customers},
    registry, service,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    events::{self, Event},
    http::{All, Body, Call, IfMatch, List, Mount, Page, Params, RefPath, Reply, idempotency::Fingerprint},
    kernel::{Actor, Scope, ids::ConnectorId, text::Text},
    orders,
};

/// How a connector writes the far end's documents.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MappingView {
    /// Which version of its own it writes by; absent: the adapter's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// What it does otherwise than the adapter's mapping.
    pub own: Mapping,
    /// The whole, as it is used.
    pub effective: Mapping,
}

fn mapping_view(tx: &mut Tx, actor: &Actor, id: ConnectorId) -> Result<(MappingView, i64)> {
    let kept = service::visible(tx, actor, id)?;
    let built_in = (registry::find(&kept.adapter)?.mapping)();
    let own = mappings::current(tx, &kept)?.unwrap_or_default();
    let effective = own.over(&built_in);
    Ok((MappingView { version: kept.setup.mapping_version, own, effective }, kept.version))
}

/// Read a connector's mapping
///
/// How it writes the far end's documents: what it does otherwise than its adapter, and the whole.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path)),
    security(("token" = ["connectors:read"])), responses((status = 200, body = MappingView)))]
#[get("/connectors/{id}/mapping")]
async fn read_mapping(call: Call, path: RefPath<ConnectorId>) -> Result<Reply> {
    let (actor, id) = (call.allow(Scope::ConnectorsRead)?.clone(), path.0);
    let (view, version) = call.read(move |tx| mapping_view(tx, &actor, id)).await?;
    Ok(Reply::ok(&view)?.version(version))
}

/// Change a connector's mapping
///
/// Names what it is to do otherwise than its adapter's mapping: whole documents and tables by their names; what is not named stays
/// the adapter's. It is a new version, and the next event is written by it. Look first, by a dry run with the same `mapping`, at
/// what it makes of a past order.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path), IfMatch), request_body = Mapping,
    security(("token" = ["connectors:write"])), responses((status = 200, body = MappingView)))]
#[put("/connectors/{id}/mapping")]
async fn write_mapping(call: Call, path: RefPath<ConnectorId>, body: Body<Mapping>) -> Result<Reply> {
    let actor = call.allow(Scope::ConnectorsWrite)?.clone();
    let (id, now, expected, mapping) = (path.0, call.now, call.if_match()?, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        service::change_mapping(tx, &actor, now, (id, expected), &mapping)?;
        let (view, version) = mapping_view(tx, &actor, id)?;
        Ok(Reply::ok(&view)?.version(version))
    })
    .await
}

/// List the versions of a connector's mapping
///
/// The newest first.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path)),
    security(("token" = ["connectors:read"])), responses((status = 200, body = Page<MappingVersion>)))]
#[get("/connectors/{id}/mapping/versions")]
async fn list_mappings(call: Call, path: RefPath<ConnectorId>, query: List<All>) -> Result<Reply> {
    let (actor, id) = (call.allow(Scope::ConnectorsRead)?.clone(), path.0);
    let read = move |tx: &mut Tx, before, limit| {
        service::visible(tx, &actor, id)?;
        mappings::page(tx, id, before, limit)
    };
    query.answer(&call, |version: &MappingVersion| version.version, read).await
}

/// Which version of its mapping a connector is to write by.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"version": null}))]
pub struct UsedMapping {
    /// One of its own; `null` is the adapter's.
    pub version: Option<i64>,
}

/// Go back to a version of a connector's mapping
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path), IfMatch), request_body = UsedMapping,
    security(("token" = ["connectors:write"])), responses((status = 200, body = MappingView)))]
#[post("/connectors/{id}/mapping/use")]
async fn use_mapping(call: Call, path: RefPath<ConnectorId>, body: Body<UsedMapping>) -> Result<Reply> {
    let actor = call.allow(Scope::ConnectorsWrite)?.clone();
    let (id, now, expected, wanted) = (path.0, call.now, call.if_match()?, body.value.version);
    call.command(&body.fingerprint, move |tx| {
        service::use_mapping(tx, &actor, now, (id, expected), wanted)?;
        let (view, version) = mapping_view(tx, &actor, id)?;
        Ok(Reply::ok(&view)?.version(version))
    })
    .await
}

/// What is to be looked at: an event, or an order.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"order": "1001"}))]
pub struct DryRun {
    /// An event of the log, by its position.
    pub position: Option<i64>,
    /// Or an order: its last event that tells of it whole.
    #[schema(value_type = Option<String>)]
    pub order: Option<Text<200>>,
    /// A mapping to try; the connector's own unless told. Nothing is kept of it.
    pub mapping: Option<Mapping>,
}

/// What a connector would send.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WouldSend {
    /// The event that it is of.
    pub position: i64,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is known of what the far end calls what.
    pub links: Vec<Link>,
    /// The requests, in their order; none where the far end is told nothing of such an event.
    pub requests: Vec<Planned>,
}

/// Show what a connector would send
///
/// Nothing is sent, and nothing is kept. It shows what is personal, and is for those who could have it sent anywhere. Of a past order, with another `mapping`, it is how a mapping is tried.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path)), request_body = DryRun,
    security(("token" = ["connectors:write"])), responses((status = 200, body = WouldSend)))]
#[post("/connectors/{id}/dry-run")]
async fn dry_run(call: Call, path: RefPath<ConnectorId>, body: Body<DryRun>) -> Result<Reply> {
    let (actor, id, asked) = (call.allow(Scope::ConnectorsWrite)?.clone(), path.0, body.value.clone());
    if let Some(mapping) = &asked.mapping {
        mapping.check()?;
    }
    let other = asked.mapping.clone();
    let found = call.read(move |tx| {
        let kept = service::visible(tx, &actor, id)?;
        let event = looked_at(tx, &actor, &asked)?;
        let links = links::of(tx, id, &links::objects(&event))?;
        let own = mappings::current(tx, &kept)?;
        Ok((kept, event, links, own))
    });
    let (kept, event, links, own) = found.await?;
    let network = Network::new(&call.state)?;
    let line = Line::to(&call.state, &kept, other.as_ref().or(own.as_ref()))?;
    let to = line.target(&kept, &network, call.now);
    let planned = line.adapter.plan(Delivery { event: &event, links: &links, to });
    let requests = planned.unwrap_or_else(|| Ok(Vec::new()))?;
    Reply::ok(&WouldSend { position: event.position, kind: event.kind, links, requests })
}

/// The event that somebody wants to look at, and may.
fn looked_at(tx: &mut Tx, actor: &Actor, asked: &DryRun) -> Result<Event> {
    let unknown = |what: &str, pointer: &'static str| Error::not_found(what).at(pointer);
    let event = match (asked.position, &asked.order) {
        (Some(position), None) => {
            let found = events::by_positions(tx, &[position])?.into_iter().next();
            found.ok_or_else(|| unknown("event", "/position"))?
        }
        (None, Some(order)) => {
            let id = orders::resolve(tx, actor, order).map_err(|error| error.at("/order"))?;
            let whole = events::last_whole(tx, &id.to_string(), "order.")?;
            whole.ok_or_else(|| unknown("event of this order", "/order"))?
        }
        _ => return Err(Error::invalid("/order", "expected either a `position` or an `order`")),
    };
    let theirs = match event.channel_id {
        Some(channel) => actor.sees_channel(channel),
        None => actor.channels().is_none(),
    };
    match theirs && (!is_of_customers(&event.kind) || actor.holds(Scope::CustomersRead)) {
        true => Ok(event),
        false => Err(unknown("event", "/position")),
    }
}

/// Which links are listed.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LinkQuery {
    /// Only those of this object of ours, by its id.
    pub object_id: Option<String>,
    /// Only those of this kind of document there.
    pub kind: Option<String>,
    /// Only what is called so there.
    pub value: Option<String>,
    /// Only those that may be there twice.
    #[serde(default)]
    pub doubtful: bool,
}

/// List what the far end calls what
///
/// Found from both sides: by the `object_id` here, or by `kind` and `value` there.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path), LinkQuery),
    security(("token" = ["connectors:read"])), responses((status = 200, body = Page<KeptLink>)))]
#[get("/connectors/{id}/links")]
async fn list_links(call: Call, path: RefPath<ConnectorId>, query: List<LinkQuery>) -> Result<Reply> {
    let (actor, id) = (call.allow(Scope::ConnectorsRead)?.clone(), path.0);
    let LinkQuery { object_id, kind, value, doubtful } = query.filter.clone();
    let wanted = Wanted { object_id, kind, value, doubtful };
    let read = move |tx: &mut Tx, after, limit| {
        service::visible(tx, &actor, id)?;
        links::page(tx, id, &wanted, after, limit)
    };
    query.answer(&call, |kept: &KeptLink| (kept.link.kind.clone(), kept.link.value.clone()), read).await
}

/// Say what the far end calls something
///
/// Where it was entered there by hand, or where several could be it and somebody has looked (`doubtful` left out).
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path)), request_body(content = Link,
        example = json!({"object": "order", "object_id": "order_01h455vb4pex5vsknk084sn02q", "kind": "sale", "value": "4711"})),
    security(("token" = ["connectors:write"])), responses((status = 200, body = Link)))]
#[put("/connectors/{id}/links")]
async fn write_link(call: Call, path: RefPath<ConnectorId>, body: Body<Link>) -> Result<Reply> {
    let (actor, id, now, link) = (call.allow(Scope::ConnectorsWrite)?.clone(), path.0, call.now, body.value.clone());
    for (field, text, most) in [
        ("object", &link.object, 50),
        ("object_id", &link.object_id, 100),
        ("kind", &link.kind, 50),
        ("value", &link.value, 200),
    ] {
        if text.trim().is_empty() || text.chars().count() > most || text.contains(char::is_control) {
            return Err(Error::invalid(format!("/{field}"), format!("expected 1 to {most} characters")));
        }
    }
    call.command(&body.fingerprint, move |tx| {
        service::visible(tx, &actor, id)?;
        links::note(tx, now, id, std::slice::from_ref(&link))?;
        Reply::ok(&link)
    })
    .await
}

/// Which link.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LinkName {
    /// What it is there.
    pub kind: String,
    /// What it is called there.
    pub value: String,
}

/// Forget what the far end calls something
///
/// What was made there by mistake and is gone: the next event looks for it anew.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(ConnectorId), Path), LinkName),
    security(("token" = ["connectors:write"])), responses((status = 204)))]
#[delete("/connectors/{id}/links")]
async fn forget_link(call: Call, path: RefPath<ConnectorId>, query: Params<LinkName>) -> Result<Reply> {
    let (actor, id, LinkName { kind, value }) = (call.allow(Scope::ConnectorsWrite)?.clone(), path.0, query.0);
    call.command(&Fingerprint::none(), move |tx| {
        service::visible(tx, &actor, id)?;
        match links::forget(tx, id, &kind, &value)? {
            true => Ok(Reply::no_content()),
            false => Err(Error::problem(Code::NotFound, "the far end calls nothing so")),
        }
    })
    .await
}

/// The routes of the ops surface.
pub(super) fn ops(config: &mut Mount<'_>) {
    config.service(read_mapping).service(write_mapping).service(list_mappings).service(use_mapping).service(dry_run);
    config.service(list_links).service(write_link).service(forget_link);
}
