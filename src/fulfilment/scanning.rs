//! What somebody has in their hands, and what can be done with it where they stand.

use actix_web::post;
use chrono::Datelike;
use serde::{Deserialize, Serialize};

use super::{
    crossdock::{self, DockTask, TaskKind},
    inbound::{self, InboundCommand, InboundShipment, UnitState},
    parcels::{self, Package, PackageCommand},
    store,
};
use crate::{
    catalog::{self, Variant},
    db::Tx,
    error::{Error, Result},
    http::{Body, Call, Mount, Reply},
    kernel::{
        Actor, Instant, Scope,
        gs1::{self, Fields},
        ids::{LocationId, VariantId},
        text::Text,
    },
    stock::Locations,
};

/// What was scanned, and where.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"code": "(00)106141412345678908", "location": "demo-berlin"}))]
struct BarcodeRequest {
    /// A GTIN, an SSCC, a GS1 element string (with the separator 0x1d between fields, or with brackets), or a SKU.
    #[schema(min_length = 1, max_length = 200)]
    code: String,
    /// Where: a location's code or id. Without it no actions are told.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 60)]
    location: Option<Text<60>>,
}

/// A variant that a code stands for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ScannedVariant {
    /// Its id.
    id: VariantId,
    /// Its SKU.
    sku: String,
    /// Its name.
    name: String,
}

/// What can be done with something here.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ScanAction {
    /// `receive`, `unload`, `sort`, `load`, `put_away`, `pick`, `pack`, `ship`, `unpack`. More words may come.
    command: &'static str,
    /// Whether it is possible now.
    allowed: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Where it is done.
    link: String,
}

/// What was scanned.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ScanAnswer {
    /// What the code says; nothing where a SKU was given.
    fields: Fields,
    /// The variants that it stands for: one, or several that share a GTIN.
    variants: Vec<ScannedVariant>,
    /// The inbound shipment that a handling unit is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    inbound_shipment: Option<InboundShipment>,
    /// The package of ours that it is on; for those who may read these (`fulfilment:read`).
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<Package>,
    /// What can be done with it here.
    actions: Vec<ScanAction>,
}

/// Say what was scanned
///
/// And what can be done with it at a location: receive it, bring it to what leaves, put it away, pick it, pack it, ship it.
#[utoipa::path(tag = "receive goods", request_body = BarcodeRequest, security(("token" = ["stock:read"])),
    responses((status = 200, body = ScanAnswer)))]
#[post("/scan")]
async fn scan_code(call: Call, body: Body<BarcodeRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::StockRead)?.clone();
    let (code, now) = (body.value.code.clone(), call.now);
    if !(1..=200).contains(&code.len()) {
        return Err(Error::invalid("/code", "expected 1 to 200 characters"));
    }
    let locations = call.snapshot::<Locations>().await?;
    let location = body.value.location.as_deref().map(|reference| {
        let found = locations.by_ref(reference).filter(|location| actor.sees_location(location.id));
        found.map(|location| location.id).ok_or_else(|| Error::not_found("location").at("/location"))
    });
    let location = location.transpose()?;
    Reply::ok(&call.read(move |tx| answer(tx, &actor, &code, location, now)).await?)
}

fn answer(tx: &mut Tx, actor: &Actor, code: &str, location: Option<LocationId>, now: Instant) -> Result<ScanAnswer> {
    let by_sku = catalog::by_skus(tx, &[code.to_owned()])?;
    let (fields, variants) = match by_sku.is_empty() {
        false => (Fields::default(), by_sku),
        true => {
            let fields = gs1::read(code, now.utc().year()).map_err(|wrong| {
                let detail = format!("neither a SKU nor a code of GS1: {wrong}");
                Error::invalid("/code", detail).with("at", wrong.at)
            })?;
            let variants = match &fields.gtin {
                Some(gtin) => catalog::by_gtin(tx, &gtin.parse()?)?,
                None => Vec::new(),
            };
            (fields, variants)
        }
    };
    let unit = match &fields.sscc {
        Some(sscc) => inbound::unit_by_sscc(tx, sscc)?.filter(|one| actor.sees_location(one.location_id)),
        None => None,
    };
    let package = match &fields.sscc {
        Some(sscc) if actor.holds(Scope::FulfilmentRead) => parcels::by_sscc(tx, actor, sscc)?,
        _ => None,
    };
    let mut actions = Vec::new();
    if let Some(location) = location {
        actions.extend(package.iter().flat_map(|package| with_package(package, location)));
        if let (Some(shipment), Some(sscc)) = (&unit, &fields.sscc) {
            actions.extend(with_unit(shipment, sscc, location));
        }
        let ids: Vec<VariantId> = variants.iter().map(|variant| variant.id).collect();
        // Whose orders they are is not told to those who are limited to channels.
        if actor.channels().is_none() {
            let tasks = crossdock::open_tasks(tx, location, (fields.sscc.as_deref(), &ids))?;
            actions.extend(tasks.iter().map(task));
            actions.extend(outbound(tx, now, location, &ids)?);
        }
        let expected = inbound::open_with(tx, location, &ids)?;
        actions.extend(expected.into_iter().map(|id| ScanAction {
            command: "receive",
            allowed: true,
            reason: None,
            link: format!("/v1/ops/inbound-shipments/{id}/receive"),
        }));
    }
    let variants = variants.into_iter().map(|Variant { id, sku, name, .. }| ScannedVariant { id, sku, name }).collect();
    Ok(ScanAnswer { fields, variants, inbound_shipment: unit, package, actions })
}

/// What can be done with a handling unit.
fn with_unit(shipment: &InboundShipment, sscc: &str, here: LocationId) -> Option<ScanAction> {
    let unit = shipment.units.iter().find(|unit| unit.sscc == sscc)?;
    let taken = match unit.state {
        UnitState::Expected if shipment.location_id == here => shipment.state.takes(InboundCommand::Receive),
        UnitState::Expected => Err(Error::conflict("it is expected at another location")),
        state => Err(Error::conflict(format!("the handling unit is {state} already"))),
    };
    let reason = taken.err().map(|why| why.to_string());
    let link = format!("/v1/ops/inbound-shipments/{}/receive", shipment.id);
    Some(ScanAction { command: "receive", allowed: reason.is_none(), reason, link })
}

/// What can be done with a package of ours. It leaves by its fulfilment order's command.
fn with_package(package: &Package, here: LocationId) -> [ScanAction; 2] {
    let work = format!("/v1/ops/fulfilment-orders/{}/ship", package.fulfilment_order_id);
    let own = format!("/v1/ops/packages/{}/unpack", package.id);
    [(PackageCommand::Ship, "ship", work), (PackageCommand::Unpack, "unpack", own)].map(|(command, word, link)| {
        let taken = match package.location_id == here {
            true => package.state.apply(command).map(|_| ()),
            false => Err(Error::conflict("it was packed at another location")),
        };
        let reason = taken.err().map(|why| why.to_string());
        ScanAction { command: word, allowed: reason.is_none(), reason, link }
    })
}

fn task(task: &DockTask) -> ScanAction {
    let command = match task.kind {
        TaskKind::Unload => "unload",
        TaskKind::Sort => "sort",
        TaskKind::Load => "load",
        TaskKind::PutAway => "put_away",
    };
    ScanAction { command, allowed: true, reason: None, link: format!("/v1/ops/dock-tasks/{}/done", task.id) }
}

/// For which orders it can be picked or packed: the one due first of each.
fn outbound(tx: &mut Tx, now: Instant, location: LocationId, variants: &[VariantId]) -> Result<Vec<ScanAction>> {
    let mut lines = store::open_lines(tx, now, location, variants)?;
    lines.retain(|line| !line.held);
    let first = |wanted: fn(&store::OpenLine) -> i64| {
        lines.iter().filter(|line| wanted(line) > 0).min_by_key(|line| (line.due_at, line.id))
    };
    let action = |command: &'static str, line: &store::OpenLine| ScanAction {
        command,
        allowed: true,
        reason: None,
        link: format!("/v1/ops/fulfilment-orders/{}/{command}", line.id),
    };
    let pick = first(|line| line.open).map(|line| action("pick", line));
    let pack = first(|line| line.unpacked).map(|line| action("pack", line));
    Ok(pick.into_iter().chain(pack).collect())
}

/// The route of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(scan_code);
}
