//! Routes of the desk: hold, move, split, merge, plan anew, reschedule, ask for cancellation, accept, decline.

use actix_web::post;
use serde::{Deserialize, Serialize};

use super::service::{self, Answer};
use crate::{
    db::Tx,
    error::{Error, Result},
    fulfilment::{
        api::{FulfilmentDetail, checked_lines},
        holds::{self, HoldKind, NewHold},
        ids::Fresh,
        model::{FulfilmentOrder, Pieces, ShippedLine},
        moves::{self, Move, Moved, Replan},
    },
    http::{Body, Call, Mount, RefPath, Reply},
    kernel::{
        Instant, Scope,
        ids::{FulfilmentOrderId, LocationId},
        text::{Note, Text},
    },
    stock::Locations,
};

fn detail(changed: FulfilmentOrder) -> Result<Reply> {
    let version = changed.version;
    Ok(Reply::ok(&FulfilmentDetail::from(changed))?.version(version))
}

/// Why a fulfilment order is held.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"kind": "address", "reason": "the street is missing"}))]
pub struct HoldRequest {
    /// What for. It is held for each at most once.
    pub kind: HoldKind,
    /// Why, in words.
    #[schema(value_type = String)]
    pub reason: Note<500>,
    /// Who looks after it.
    #[schema(value_type = Option<String>)]
    pub owner: Option<Text<100>>,
    /// When the hold ends by itself.
    pub expires_at: Option<Instant>,
}

/// Hold
///
/// Nothing is picked, packed and shipped of it until the hold is released or its time is over. It may be held for several reasons
/// at once: each has to end.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = HoldRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = FulfilmentDetail)))]
#[post("/fulfilment-orders/{id}/hold")]
async fn hold(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<HoldRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    if body.expires_at.is_some_and(|at| at <= call.now) {
        return Err(Error::invalid("/expires_at", "expected a time that is to come"));
    }
    let (kind, expires_at, reason) = (body.kind, body.expires_at, body.reason.to_string());
    let new = NewHold { kind, reason, owner: body.owner.as_ref().map(ToString::to_string), expires_at };
    let (id, now, fresh) = (path.0, call.now, Fresh::new());
    call.command(&body.fingerprint, move |tx| detail(holds::hold(tx, now, &actor, &fresh, id, &new)?)).await
}

/// Which hold ends.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"kind": "address", "reason": "the customer has called"}))]
pub struct UnholdRequest {
    /// Which; all of them when absent.
    pub kind: Option<HoldKind>,
    /// Why, in words.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
}

/// Release
///
/// Ends a hold, or all of them. What was held for `sourcing` is planned anew with it.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = UnholdRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = FulfilmentDetail)))]
#[post("/fulfilment-orders/{id}/release")]
async fn release(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<UnholdRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let (kind, reason) = (body.kind, body.reason.as_ref().map(ToString::to_string));
    let (id, now, fresh, locations) =
        (path.0, call.now, [Fresh::new(), Fresh::new()], call.snapshot::<Locations>().await?);
    let run = move |tx: &mut Tx| {
        detail(holds::release_and_plan(tx, now, &actor, &fresh, id, (kind, reason.as_deref(), &locations))?)
    };
    call.command(&body.fingerprint, run).await
}

/// What has become of a fulfilment order whose pieces went elsewhere.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MovedDetail {
    /// It, with what is left of it.
    #[serde(flatten)]
    pub fulfilment_order: FulfilmentDetail,
    /// Those that ship the rest, at the locations that the caller may see.
    pub moved_to: Vec<FulfilmentOrder>,
    /// What is nowhere to be had. It is held for `stock`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unplaced: Vec<ShippedLine>,
}

fn moved(actor: &crate::kernel::Actor, Moved { fulfilment_order, mut moved_to, unplaced }: Moved) -> Result<Reply> {
    let version = fulfilment_order.version;
    moved_to.retain(|one| actor.sees_location(one.location_id));
    let fulfilment_order = FulfilmentDetail::from(fulfilment_order);
    Ok(Reply::ok(&MovedDetail { fulfilment_order, moved_to, unplaced })?.version(version))
}

/// Where to, and what.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"location": "bremen", "reason": "the shelf is flooded"}))]
pub struct MoveRequest {
    /// Where to: a location's id or code.
    #[schema(value_type = String)]
    pub location: Text<100>,
    /// Which pieces; all that are not picked when absent.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Option<Vec<Pieces>>,
    /// Why.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
}

/// Move
///
/// Lets another location ship pieces that are not picked: they go into a new fulfilment order there, with whatever holds them, and
/// their stock is allocated there instead. Refused where too little is available, unless the article may be backordered.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = MoveRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = MovedDetail)))]
#[post("/fulfilment-orders/{id}/move")]
async fn move_to(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<MoveRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    checked_lines(body.lines.as_ref())?;
    let locations = call.snapshot::<Locations>().await?;
    let (wanted, pieces) = (body.location.clone(), body.lines.clone());
    let reason = body.reason.as_ref().map(ToString::to_string);
    let (id, now, fresh) = (path.0, call.now, Fresh::new());
    let run = move |tx: &mut Tx| {
        let location = found(&locations, &actor, &wanted, "/location")?;
        let what = Move { location, pieces: pieces.clone(), reason: reason.clone() };
        moved(&actor, moves::move_to(tx, now, &actor, &fresh, id, (&what, &locations))?)
    };
    call.command(&body.fingerprint, run).await
}

/// A location that the caller may see, by its id or code.
fn found(
    locations: &Locations,
    actor: &crate::kernel::Actor,
    reference: &Text<100>,
    pointer: &str,
) -> Result<LocationId> {
    let found = locations.by_ref(reference).map(|location| location.id).filter(|id| actor.sees_location(*id));
    found.ok_or_else(|| Error::not_found("location").at(pointer))
}

/// What is shipped on its own.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"lines": [{"line_no": 1, "quantity": 1}]}))]
pub struct SplitRequest {
    /// Which pieces. Something must be left.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Vec<Pieces>,
    /// Why.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
}

/// Split
///
/// Ships pieces on their own, from the same location. Those that have come least far go first; what was done to them and what holds
/// them goes along.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = SplitRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = MovedDetail)))]
#[post("/fulfilment-orders/{id}/split")]
async fn split(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<SplitRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    checked_lines(Some(&body.lines))?;
    let locations = call.snapshot::<Locations>().await?;
    let (lines, reason) = (body.lines.clone(), body.reason.as_ref().map(ToString::to_string));
    let (id, now, fresh) = (path.0, call.now, Fresh::new());
    let run = move |tx: &mut Tx| {
        moved(&actor, moves::split(tx, now, &actor, &fresh, id, (&lines, reason.as_deref(), &locations))?)
    };
    call.command(&body.fingerprint, run).await
}

/// What is shipped together.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"with": ["fo_01h455vb4pex5vsknk084sn02q"]}))]
pub struct JoinRequest {
    /// The others, of the same order and location.
    #[schema(min_items = 1, max_items = 50)]
    pub with: Vec<FulfilmentOrderId>,
    /// Why.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
}

/// Merge
///
/// Ships what is left of several fulfilment orders of one order and one location together: the answer is a new one that takes all
/// of it over, with what was done to it and whatever held one of them. It is due when the first of them was.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = JoinRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 201, body = FulfilmentDetail)))]
#[post("/fulfilment-orders/{id}/merge")]
async fn merge(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<JoinRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    if !(1..=50).contains(&body.with.len()) {
        return Err(Error::invalid("/with", "expected 1 to 50 fulfilment orders"));
    }
    let mut ids: Vec<FulfilmentOrderId> = vec![path.0];
    for (place, other) in body.with.iter().enumerate() {
        if ids.contains(other) {
            return Err(Error::invalid(format!("/with/{place}"), "it is named twice"));
        }
        ids.push(*other);
    }
    let (now, fresh, reason) = (call.now, Fresh::new(), body.reason.as_ref().map(ToString::to_string));
    let run = move |tx: &mut Tx| {
        let joint = moves::merge(tx, now, &actor, &fresh, &ids, reason.as_deref())?;
        let version = joint.version;
        Ok(Reply::created(&FulfilmentDetail::from(joint))?.version(version))
    };
    call.command(&body.fingerprint, run).await
}

/// Where pieces are not to come from.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct ReplanRequest {
    /// Which pieces; all that are not picked when absent.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Option<Vec<Pieces>>,
    /// The locations, by id or code, that are passed over.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 300)]
    pub exclude_locations: Vec<Text<100>>,
    /// Why.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
}

/// Plan anew
///
/// Plans what is not picked as if it had just been ordered, without the locations that are excluded, and moves it to where it is to
/// be had now. What is picked stays. What is nowhere to be had stays too, apart from what can be worked on, and is held for `stock`:
/// plan it anew when the goods have come.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = ReplanRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = MovedDetail)))]
#[post("/fulfilment-orders/{id}/replan")]
async fn replan(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<ReplanRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    checked_lines(body.lines.as_ref())?;
    if body.exclude_locations.len() > 300 {
        return Err(Error::invalid("/exclude_locations", "expected at most 300 locations"));
    }
    let locations = call.snapshot::<Locations>().await?;
    let (excluded, pieces) = (body.exclude_locations.clone(), body.lines.clone());
    let reason = body.reason.as_ref().map(ToString::to_string);
    let (id, now, fresh) = (path.0, call.now, Fresh::new());
    let run = move |tx: &mut Tx| {
        let named = |(place, reference): (usize, &Text<100>)| {
            found(&locations, &actor, reference, &format!("/exclude_locations/{place}"))
        };
        let exclude: Result<Vec<LocationId>> = excluded.iter().enumerate().map(named).collect();
        let what = Replan { pieces: pieces.clone(), exclude: exclude?, reason: reason.clone(), ..Replan::default() };
        moved(&actor, moves::replan(tx, now, &actor, &fresh, id, (&what, &locations))?)
    };
    call.command(&body.fingerprint, run).await
}

/// Another time, another priority.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"priority": 10}))]
pub struct RescheduleRequest {
    /// Among what is due at once, the highest goes first.
    #[schema(minimum = -1000, maximum = 1000)]
    pub priority: Option<i64>,
    /// When it should have left; not before the order.
    pub due_at: Option<Instant>,
    /// Why.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
}

/// Reschedule
///
/// Changes when it is due, or its priority; what is left out stays.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = RescheduleRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = FulfilmentDetail)))]
#[post("/fulfilment-orders/{id}/reschedule")]
async fn reschedule(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<RescheduleRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let (priority, due_at) = (body.priority, body.due_at);
    if priority.is_none() && due_at.is_none() {
        return Err(Error::invalid("", "expected `priority` or `due_at`"));
    }
    if priority.is_some_and(|priority| !(-1000..=1000).contains(&priority)) {
        return Err(Error::invalid("/priority", "expected a number from -1000 to 1000"));
    }
    let (id, now, fresh, reason) = (path.0, call.now, Fresh::new(), body.reason.as_ref().map(ToString::to_string));
    let run = move |tx: &mut Tx| {
        detail(service::reschedule(tx, now, &actor, &fresh, id, (priority, due_at, reason.as_deref()))?)
    };
    call.command(&body.fingerprint, run).await
}

/// What is not to be shipped, and why.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "ordered twice"}))]
pub struct AskCancelRequest {
    /// Which pieces; all that has not left when absent.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Option<Vec<Pieces>>,
    /// Why.
    #[schema(value_type = String)]
    pub reason: Note<500>,
}

/// Ask for cancellation
///
/// Asks the location not to ship pieces. It may have begun with them: until it answers, everything goes on.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(FulfilmentOrderId), Path)), request_body = AskCancelRequest,
    security(("token" = ["orders:write"])), responses((status = 200, body = FulfilmentDetail)))]
#[post("/fulfilment-orders/{id}/request-cancel")]
async fn request_cancel(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<AskCancelRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    checked_lines(body.lines.as_ref())?;
    let (lines, reason) = (body.lines.clone(), body.reason.to_string());
    let (id, now, fresh) = (path.0, call.now, Fresh::new());
    let run =
        move |tx: &mut Tx| detail(service::request_cancel(tx, now, &actor, &fresh, id, (lines.as_deref(), &reason))?);
    call.command(&body.fingerprint, run).await
}

/// What the location says to it.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"accept": false, "reason": "it is on the truck"}))]
pub struct AnswerCancelRequest {
    /// Whether it is not shipped.
    pub accept: bool,
    /// Why not.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
}

/// Answer a request to cancel
///
/// What is accepted is cancelled: it goes back into stock and the customer's money is settled; what has left meanwhile is not part
/// of it. What is rejected is shipped.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = AnswerCancelRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = FulfilmentDetail)))]
#[post("/fulfilment-orders/{id}/answer-cancel")]
async fn answer_cancel(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<AnswerCancelRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let answer = Answer { accept: body.accept, reason: body.reason.as_ref().map(ToString::to_string) };
    let (id, now, fresh, then) = (path.0, call.now, Fresh::new(), Fresh::new());
    let run = move |tx: &mut Tx| detail(service::answer_cancel(tx, now, &actor, (&fresh, &then), id, &answer)?);
    call.command(&body.fingerprint, run).await
}

/// Nothing needs to be said.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct AcceptRequest {}

/// Accept
///
/// Takes on what waits for that, as at a shop: it can be picked then.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = AcceptRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = FulfilmentDetail)))]
#[post("/fulfilment-orders/{id}/accept")]
async fn accept(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<AcceptRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let (id, now, fresh) = (path.0, call.now, Fresh::new());
    call.command(&body.fingerprint, move |tx| detail(service::accept(tx, now, &actor, &fresh, id)?)).await
}

/// Why not.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "too few people today"}))]
pub struct DeclineRequest {
    /// Why.
    #[schema(value_type = String)]
    pub reason: Note<500>,
}

/// Decline
///
/// Leaves what waits to be accepted to other locations: it is planned anew without this one. What is nowhere else to be had stays,
/// held for `stock`.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = DeclineRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = MovedDetail)))]
#[post("/fulfilment-orders/{id}/decline")]
async fn decline(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<DeclineRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let locations = call.snapshot::<Locations>().await?;
    let (id, now, fresh, reason) = (path.0, call.now, Fresh::new(), body.reason.to_string());
    let run = move |tx: &mut Tx| moved(&actor, service::decline(tx, now, &actor, &fresh, id, (&reason, &locations))?);
    call.command(&body.fingerprint, run).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(hold).service(release).service(move_to).service(split).service(merge).service(replan);
    config.service(reschedule).service(request_cancel).service(answer_cancel).service(accept).service(decline);
}
