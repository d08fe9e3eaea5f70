//! Routes of waves.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};

use super::{
    model::{PickList, Put, Short, Wave, WaveCommand, WaveState},
    service::{self, Ids, MOST, Missing, NewWave, Taken, Whole},
};
use crate::{
    db::Tx,
    error::{Error, Result},
    fulfilment::{Fresh, FulfilmentState},
    http::{Body, Call, List, Mount, NoBody, Page, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Action, Actor, Id, Instant, Quantity, Scope, gs1,
        ids::{FulfilmentOrderId, LocationId, WaveId},
        text::{Note, Text, leaves_the_line},
    },
    stock::Locations,
};

/// A fulfilment order of a wave.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct WaveOrder {
    /// The place (a tote, a compartment of the trolley) that its pieces go into.
    pub put: i64,
    /// It.
    pub fulfilment_order_id: FulfilmentOrderId,
    /// The order's number.
    pub order_number: String,
    /// Where it stands.
    pub state: FulfilmentState,
    /// When it should have left.
    pub due_at: Instant,
}

/// A wave, what is left to pick of it, and what can be done with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WaveDetail {
    /// It.
    #[serde(flatten)]
    pub wave: Wave,
    /// What is left to pick, in the order of the walk: for each SKU how many for all orders together, and into which places they go.
    pub pick_list: PickList,
    /// Its fulfilment orders, by place.
    pub orders: Vec<WaveOrder>,
    /// What was not found.
    pub shorts: Vec<Short>,
    /// What can be done now.
    pub actions: Vec<Action>,
}

impl From<Whole> for WaveDetail {
    fn from(whole: Whole) -> Self {
        let Whole { wave, list, members, shorts, .. } = whole;
        let action =
            |command: &WaveCommand| Action::of(command.as_str(), wave.state.apply(*command, false).map(|_| ()));
        let actions = WaveCommand::ALL.iter().map(action).collect();
        let order = |member: super::model::Member| WaveOrder {
            put: member.put,
            fulfilment_order_id: member.work.id,
            order_number: member.work.order_number,
            state: member.work.state,
            due_at: member.work.due_at,
        };
        Self { wave, pick_list: list, orders: members.into_iter().map(order).collect(), shorts, actions }
    }
}

fn reply(whole: Whole) -> Result<Reply> {
    let version = whole.wave.version;
    Ok(Reply::ok(&WaveDetail::from(whole))?.version(version))
}

/// What goes into a wave.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"location": "demo-berlin", "limit": 20}))]
pub struct WaveRequest {
    /// Where, by id or code.
    #[schema(value_type = String)]
    pub location: Text<60>,
    /// What people call it.
    #[schema(value_type = Option<String>)]
    pub name: Option<Text<100>>,
    /// Only what lies in this zone with all that is left to pick of it.
    #[schema(value_type = Option<String>)]
    pub zone: Option<Text<20>>,
    /// Only what should have left before then.
    pub due_before: Option<Instant>,
    /// Only what has this priority or a higher one.
    pub min_priority: Option<i64>,
    /// Only what is sent with this shipping method, by its code.
    #[schema(value_type = Option<String>)]
    pub shipping_method: Option<Text<50>>,
    /// Only these.
    #[schema(min_items = 1, max_items = 100)]
    pub fulfilment_orders: Option<Vec<FulfilmentOrderId>>,
    /// How many at most, 1 to 100; 50 unless told.
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<usize>,
}

impl WaveRequest {
    fn read(&self, id: WaveId, actor: &Actor, locations: &Locations) -> Result<NewWave> {
        let limit = self.limit.unwrap_or(MOST / 2);
        if !(1..=MOST).contains(&limit) {
            return Err(Error::invalid("/limit", format!("expected a number from 1 to {MOST}")));
        }
        if self.fulfilment_orders.as_ref().is_some_and(|only| !(1..=MOST).contains(&only.len())) {
            return Err(Error::invalid("/fulfilment_orders", format!("expected 1 to {MOST}, or none at all for any")));
        }
        Ok(NewWave {
            id,
            name: self.name.as_ref().map(ToString::to_string),
            location: kept_one(actor, locations, &self.location, "/location")?,
            zone: self.zone.as_ref().map(ToString::to_string),
            due_before: self.due_before,
            min_priority: self.min_priority,
            shipping_method: self.shipping_method.as_ref().map(ToString::to_string),
            only: self.fulfilment_orders.clone(),
            limit,
        })
    }
}

/// The locations whose waves and manifests are asked for, by id or code of one: those at which the caller may keep stock, for both are
/// of all channels. `None` is all.
pub(in crate::fulfilment) fn kept(
    actor: &Actor,
    locations: &Locations,
    reference: Option<&str>,
) -> Result<Option<Vec<LocationId>>> {
    let kept = |id: &LocationId| actor.keeps_stock_at(*id);
    match (reference, actor.is_limited()) {
        (Some(reference), _) => {
            let id = located(actor, locations, reference, "location")?;
            Ok(Some(Some(id).filter(kept).into_iter().collect()))
        }
        (None, false) => Ok(None),
        (None, true) => Ok(Some(actor.locations().unwrap_or_default().iter().copied().filter(kept).collect())),
    }
}

/// A location at which the caller may keep stock, by id or code.
pub(in crate::fulfilment) fn kept_one(
    actor: &Actor,
    locations: &Locations,
    reference: &str,
    pointer: &str,
) -> Result<LocationId> {
    let id = located(actor, locations, reference, pointer)?;
    if actor.keeps_stock_at(id) { Ok(id) } else { Err(Error::not_found("location").at(pointer)) }
}

/// A location that the actor may see, by id or code.
fn located(actor: &Actor, locations: &Locations, reference: &str, pointer: &str) -> Result<LocationId> {
    let found = locations.by_ref(reference).map(|location| location.id).filter(|id| actor.sees_location(*id));
    found.ok_or_else(|| Error::not_found("location").at(pointer))
}

/// Make a wave
///
/// Takes what waits to be picked at a location and is in no other wave, due first, each fulfilment order into a place of its own.
#[utoipa::path(tag = "ship", request_body = WaveRequest, security(("token" = ["fulfilment:write"])),
    responses((status = 201, body = WaveDetail)))]
#[post("/waves")]
async fn create_wave(call: Call, body: Body<WaveRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let (id, now, new, locations) = (Id::new(), call.now, body.value.clone(), call.snapshot::<Locations>().await?);
    call.command(&body.fingerprint, move |tx| {
        let new = new.read(id, &actor, &locations)?;
        let made = WaveDetail::from(service::create(tx, now, &actor, &new)?);
        Ok(Reply::created(&made)?.version(made.wave.version).location(format!("/v1/ops/waves/{}", made.wave.id)))
    })
    .await
}

/// Which waves.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WaveQuery {
    /// Of one location, by id or code.
    pub location: Option<String>,
    /// In one state.
    #[param(inline)]
    pub state: Option<WaveState>,
}

/// List the waves
///
/// The newest first. A credential that is limited to channels alone sees none: a wave is of all of them.
#[utoipa::path(tag = "ship", params(WaveQuery), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = Page<Wave>)))]
#[get("/waves")]
async fn list_waves(call: Call, query: List<WaveQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentRead)?.clone();
    let wanted = &query.filter;
    let locations = kept(&actor, &*call.snapshot::<Locations>().await?, wanted.location.as_deref())?;
    let state = wanted.state;
    let read = move |tx: &mut Tx, before, limit| service::page(tx, (locations.as_deref(), state), before, limit);
    query.answer(&call, |wave: &Wave| wave.id, read).await
}

/// Read a wave
///
/// With its pick list: what is left to pick now. What was cancelled, moved or picked meanwhile is in it no more.
#[utoipa::path(tag = "ship", params(("id" = inline(WaveId), Path)), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = WaveDetail)))]
#[get("/waves/{id}")]
async fn read_wave(call: Call, path: RefPath<WaveId>) -> Result<Reply> {
    let (id, now, actor) = (path.0, call.now, call.allow(Scope::FulfilmentRead)?.clone());
    reply(call.read(move |tx| service::get(tx, now, &actor, id)).await?)
}

/// What was taken from a shelf.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"scanned": "TEE-BLACK-M", "quantity": 1}))]
pub struct WavePickRequest {
    /// The SKU, the GTIN on the article, or a GS1 element string (with the separator 0x1d between fields, or with brackets): of the lot
    /// that it names, as many as it says where `quantity` is absent.
    #[schema(min_length = 1, max_length = 200)]
    pub scanned: String,
    /// How many; all that are left when absent.
    pub quantity: Option<Quantity>,
    /// Of this fulfilment order only; of as many as they suffice for when absent, the first places first.
    pub fulfilment_order_id: Option<FulfilmentOrderId>,
}

impl WavePickRequest {
    fn read(&self) -> Result<Taken> {
        let pieces = self.quantity.map(Quantity::get);
        Ok(Taken { scanned: code(&self.scanned)?, pieces, of: self.fulfilment_order_id })
    }
}

/// A code that was scanned: its separators are control characters, so that it is no text of one line.
fn code(scanned: &str) -> Result<String> {
    let allowed = |c: char| c == gs1::FNC1 || !leaves_the_line(c);
    let code = scanned.trim_matches(' ');
    match (1..=200).contains(&code.chars().count()) && code.chars().all(allowed) {
        true => Ok(code.to_owned()),
        false => Err(Error::invalid("/scanned", "expected 1 to 200 characters, without control characters but 0x1d")),
    }
}

/// What was taken or not found, and what is left.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WaveProgress {
    /// Into which places the pieces go, or in which they are missing.
    pub puts: Vec<Put>,
    /// The wave as it is now.
    pub wave: WaveDetail,
}

fn progress((whole, puts): (Whole, Vec<Put>)) -> Result<Reply> {
    let wave = WaveDetail::from(whole);
    let version = wave.wave.version;
    Ok(Reply::ok(&WaveProgress { puts, wave })?.version(version))
}

/// Pick of a wave
///
/// Notes that pieces have been taken from the shelf, and tells into which places they go. The last piece ends the wave. Where the code
/// names a lot, they are of it: one that is blocked, recalled or expired is refused, and one that does not keep as long as an order asks for
/// goes to the others.
#[utoipa::path(tag = "ship", params(("id" = inline(WaveId), Path)), request_body = WavePickRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = WaveProgress)))]
#[post("/waves/{id}/pick")]
async fn pick_wave(call: Call, path: RefPath<WaveId>, body: Body<WavePickRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let (id, now, taken, locations) = (path.0, call.now, body.read()?, call.snapshot::<Locations>().await?);
    let fresh: Vec<Fresh> = (0..MOST).map(|_| Fresh::new()).collect();
    let command = move |tx: &mut Tx| progress(service::pick(tx, now, &actor, (&fresh, &locations), id, &taken)?);
    call.command(&body.fingerprint, command).await
}

/// What was not found on a shelf.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"scanned": "TEE-BLACK-M", "quantity": 1, "reason": "the shelf is empty"}))]
pub struct WaveShortRequest {
    /// The SKU, the GTIN of the article, or a GS1 element string.
    #[schema(min_length = 1, max_length = 200)]
    pub scanned: String,
    /// How many are missing; all that are left to pick when absent.
    pub quantity: Option<Quantity>,
    /// They are missing of this fulfilment order; of those whose turn would come last when absent.
    pub fulfilment_order_id: Option<FulfilmentOrderId>,
    /// Why.
    #[schema(value_type = String)]
    pub reason: Note<300>,
    /// Whether the level is set down by them: a movement of kind `count`. Else it is to be counted.
    #[serde(default)]
    pub adjust_level: bool,
    /// Whether they are planned anew in the background, to leave from elsewhere; what is nowhere to be had is held for `stock`. Else they
    /// stay open here, for another wave.
    #[serde(default = "yes")]
    pub replan: bool,
}

const fn yes() -> bool {
    true
}

/// Note what is missing in a wave
///
/// Pieces that were not found are in its pick list no more; they are planned anew, to leave from elsewhere, or stay open here.
/// The last ones end the wave.
#[utoipa::path(tag = "ship", params(("id" = inline(WaveId), Path)), request_body = WaveShortRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = WaveProgress)))]
#[post("/waves/{id}/short")]
async fn short_wave(call: Call, path: RefPath<WaveId>, body: Body<WaveShortRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    if body.adjust_level {
        call.allow(Scope::StockWrite)?;
    }
    let (scanned, pieces) = (code(&body.scanned)?, body.quantity.map(Quantity::get));
    let what = Taken { scanned, pieces, of: body.fulfilment_order_id };
    let missing = Missing { what, reason: body.reason.to_string(), adjust: body.adjust_level, replan: body.replan };
    let fresh = Ids { events: [Id::new()], jobs: (0..MOST).map(|_| Id::new()).collect() };
    let (id, now) = (path.0, call.now);
    call.command(&body.fingerprint, move |tx| progress(service::short(tx, now, &actor, &fresh, id, &missing)?)).await
}

/// Finish a wave
///
/// What is left of it can go into other waves.
#[utoipa::path(tag = "ship", params(("id" = inline(WaveId), Path)), security(("token" = ["fulfilment:write"])),
    responses((status = 200, body = WaveDetail)))]
#[post("/waves/{id}/finish")]
async fn finish_wave(call: Call, path: RefPath<WaveId>, _body: NoBody) -> Result<Reply> {
    let (id, now, actor) = (path.0, call.now, call.allow(Scope::FulfilmentWrite)?.clone());
    call.command(&Fingerprint::none(), move |tx| reply(service::finish(tx, now, &actor, id)?)).await
}

/// Cancel a wave
///
/// Before anything was picked. Its work can go into other waves.
#[utoipa::path(tag = "ship", params(("id" = inline(WaveId), Path)), security(("token" = ["fulfilment:write"])),
    responses((status = 200, body = WaveDetail)))]
#[post("/waves/{id}/cancel")]
async fn cancel_wave(call: Call, path: RefPath<WaveId>, _body: NoBody) -> Result<Reply> {
    let (id, now, actor) = (path.0, call.now, call.allow(Scope::FulfilmentWrite)?.clone());
    call.command(&Fingerprint::none(), move |tx| reply(service::cancel(tx, now, &actor, id)?)).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_wave).service(list_waves).service(read_wave);
    config.service(pick_wave).service(short_wave).service(finish_wave).service(cancel_wave);
}
