//! What somebody has in their hands, and what can be done with it where they stand.

use std::collections::HashMap;

use actix_web::post;
use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{
    crossdock::{self, DockTask, TaskKind},
    inbound::{self, InboundCommand, InboundShipment, UnitState},
    parcels::{self, Package, PackageCommand, SerialDocument},
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
        local::day_of,
        text::Text,
    },
    stock::{
        Locations,
        lots::{self, Lot},
    },
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

/// A lot that a code names.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ScannedLot {
    /// It.
    #[serde(flatten)]
    lot: Lot,
    /// How many pieces of it lie here.
    here: i64,
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
    /// The lots that it names: of each of the variants that has one of the number, where the caller may see it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lots: Vec<ScannedLot>,
    /// Where the one piece is and has been, the newest first; for those who may read packages (`fulfilment:read`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    serials: Vec<SerialDocument>,
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
/// And what can be done with it at a location: receive it, bring it to what leaves, put it away, pick it, pack it, ship it. What is of a
/// lot that may not be sold, has kept as long as its code says, or is in a package already is not picked, packed, sorted and loaded.
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
        let here = found.map(|location| (location.id, location.time_zone.0));
        here.ok_or_else(|| Error::not_found("location").at("/location"))
    });
    let location = location.transpose()?;
    Reply::ok(&call.read(move |tx| answer(tx, &actor, &code, location, now)).await?)
}

fn answer(tx: &mut Tx, actor: &Actor, code: &str, here: Option<(LocationId, Tz)>, now: Instant) -> Result<ScanAnswer> {
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
    let ids: Vec<VariantId> = variants.iter().map(|variant| variant.id).collect();
    let named = lots_named(tx, &fields, &ids)?;
    if let Some((location, zone)) = here {
        actions.extend(package.iter().flat_map(|package| with_package(package, location)));
        if let (Some(shipment), Some(sscc)) = (&unit, &fields.sscc) {
            actions.extend(with_unit(shipment, sscc, location));
        }
        // Whose orders they are is not told to those who are limited to channels.
        if actor.channels().is_none() {
            let tasks = crossdock::open_tasks(tx, location, (fields.sscc.as_deref(), &ids))?;
            actions.extend(tasks.iter().map(task));
            actions.extend(outbound(tx, now, location, &ids)?);
            let kept_back = kept_back(tx, now, (&fields, zone), (&ids, &named))?;
            refuse(&mut actions, kept_back.as_deref());
        }
        let expected = inbound::open_with(tx, location, &ids)?;
        actions.extend(expected.into_iter().map(|id| ScanAction {
            command: "receive",
            allowed: true,
            reason: None,
            link: format!("/v1/ops/inbound-shipments/{id}/receive"),
        }));
    }
    let lots = lots_here(tx, actor, named, here.map(|(location, _)| location))?;
    let serials = match &fields.serial {
        Some(serial) if actor.holds(Scope::FulfilmentRead) => parcels::serials(tx, actor, serial, None)?,
        _ => Vec::new(),
    };
    let serials = serials.into_iter().filter(|one| ids.contains(&one.variant_id)).collect();
    let variants = variants.into_iter().map(|Variant { id, sku, name, .. }| ScannedVariant { id, sku, name }).collect();
    Ok(ScanAnswer { fields, variants, lots, serials, inbound_shipment: unit, package, actions })
}

/// The lots that a code names: of each of the variants that has one of the number.
fn lots_named(tx: &mut Tx, fields: &Fields, variants: &[VariantId]) -> Result<Vec<Lot>> {
    let Some(number) = fields.lot.as_deref() else { return Ok(Vec::new()) };
    lots::known(tx, &variants.iter().map(|variant| (*variant, number)).collect())
}

/// Those of lots that the actor may see, with how many pieces of each lie at a location.
fn lots_here(tx: &mut Tx, actor: &Actor, named: Vec<Lot>, location: Option<LocationId>) -> Result<Vec<ScannedLot>> {
    let named = lots::seen(tx, actor, named)?;
    let keys: Vec<_> = location.iter().flat_map(|place| named.iter().map(|lot| (lot.variant_id, *place))).collect();
    let lying = lots::lying(tx, &keys)?;
    let here = |lot: &Lot| lying.iter().find(|(one, ..)| one.id == lot.id).map_or(0, |(.., pieces)| *pieces);
    Ok(named.into_iter().map(|lot| ScannedLot { here: here(&lot), lot }).collect())
}

/// That goods have kept as long as their code says, if they have: by whichever of its dates.
pub(super) fn past(now: Instant, fields: &Fields, zone: Tz) -> Option<String> {
    let today = day_of(zone, now);
    let ended = |day: Option<NaiveDate>| day.filter(|day| *day < today);
    let ended = ended(fields.expires).or_else(|| ended(fields.best_before));
    ended.map(|day| format!("by its code it was good until {day}"))
}

/// Why what was scanned goes to nobody, if it does not.
fn kept_back(
    tx: &mut Tx,
    now: Instant,
    (fields, zone): (&Fields, Tz),
    (variants, named): (&[VariantId], &[Lot]),
) -> Result<Option<String>> {
    if let Some(why) = past(now, fields, zone) {
        return Ok(Some(why));
    }
    // Of variants that share a GTIN it may be of the one whose lot is good.
    let bad: Vec<String> = named.iter().filter_map(|lot| lot.refused(now, None)).collect();
    if !bad.is_empty() && bad.len() == named.len() {
        return Ok(bad.into_iter().next());
    }
    match &fields.serial {
        None => Ok(None),
        Some(serial) => Ok(parcels::serial_taken(tx, serial, variants)?.map(str::to_owned)),
    }
}

/// Refuses what brings goods to an order.
fn refuse(actions: &mut [ScanAction], why: Option<&str>) {
    let Some(why) = why else { return };
    let to_orders = |action: &&mut ScanAction| matches!(action.command, "pick" | "pack" | "sort" | "load");
    for action in actions.iter_mut().filter(to_orders).filter(|action| action.allowed) {
        (action.allowed, action.reason) = (false, Some(why.to_owned()));
    }
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

/// For which orders it can be picked or packed: the one due first of each. What is not there for an order can not be picked for it.
fn outbound(tx: &mut Tx, now: Instant, location: LocationId, variants: &[VariantId]) -> Result<Vec<ScanAction>> {
    let mut lines = store::open_lines(tx, now, location, variants)?;
    lines.retain(|line| !line.held);
    let lacking = match lines.is_empty() {
        true => HashMap::new(),
        false => crossdock::lacking_of(tx, now, location, variants)?,
    };
    let there = |line: &store::OpenLine| line.open - lacking.get(&(line.id, line.line_no)).copied().unwrap_or_default();
    let first = |wanted: &dyn Fn(&store::OpenLine) -> i64| {
        lines.iter().filter(|line| wanted(line) > 0).min_by_key(|line| (line.due_at, line.id))
    };
    let action = |command: &'static str, line: &store::OpenLine, reason: Option<&str>| ScanAction {
        command,
        allowed: reason.is_none(),
        reason: reason.map(str::to_owned),
        link: format!("/v1/ops/fulfilment-orders/{}/{command}", line.id),
    };
    let pick = first(&there).map(|line| action("pick", line, None)).or_else(|| {
        let why = "nothing lies here for the orders that wait for it";
        first(&|line| line.open).map(|line| action("pick", line, Some(why)))
    });
    let pack = first(&|line| line.unpacked).map(|line| action("pack", line, None));
    Ok(pick.into_iter().chain(pack).collect())
}

/// The route of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(scan_code);
}
