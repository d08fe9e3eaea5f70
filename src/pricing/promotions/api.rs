//! Routes of promotions; those of coupons are with these.

use actix_web::{get, patch, post};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    coupons,
    forms::{Activation, Checks, NewPromotion, PromotionPatch, PromotionView},
    model::{PromotionCommand, PromotionState},
    runs::{self, PromotionRun},
    service,
    versions::{self, PromotionVersion},
};
use crate::{
    db::Tx,
    error::Result,
    http::{All, Body, Call, IfMatch, List, Mount, NoBody, Page, RefPath, Reply, idempotency::Fingerprint},
    kernel::{Id, Scope, ids::PromotionId},
    pricing::{Rules, history::By},
};

/// Make a promotion
///
/// It is a draft: no cart gets it until it is activated. `POST /v1/ops/pricing/simulate` shows what it will do.
#[utoipa::path(tag = "plan a sale", request_body = NewPromotion, security(("token" = ["prices:write"])),
    responses((status = 201, body = PromotionView)))]
#[post("/promotions")]
async fn create_promotion(call: Call, body: Body<NewPromotion>) -> Result<Reply> {
    let actor = call.allow(Scope::PricesWrite)?.clone();
    let (id, now, new, reference) = (Id::new(), call.now, body.value.clone(), call.request_id());
    call.reference_command(&body.fingerprint, move |tx| {
        let by = By { now, actor: &actor, reference: reference.as_deref() };
        let made = PromotionView::from(service::create(tx, by, id, &new)?);
        Ok(Reply::created(&made)?.version(made.version).location(format!("/v1/ops/promotions/{}", made.id)))
    })
    .await
}

/// What the list of promotions can be narrowed to.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PromotionQuery {
    /// Where they stand.
    state: Option<PromotionState>,
}

/// List the promotions
///
/// The newest first.
#[utoipa::path(tag = "plan a sale", params(PromotionQuery), security(("token" = ["prices:read"])),
    responses((status = 200, body = Page<PromotionView>)))]
#[get("/promotions")]
async fn list_promotions(call: Call, query: List<PromotionQuery>) -> Result<Reply> {
    let (actor, state) = (call.allow(Scope::PricesRead)?.clone(), query.filter.state);
    let read = move |tx: &mut Tx, before, limit| {
        let found = service::page(tx, &actor, state, before, limit)?;
        Ok(found.into_iter().map(PromotionView::from).collect())
    };
    query.answer(&call, |promotion: &PromotionView| promotion.id, read).await
}

/// Read a promotion
///
/// With how much of it is taken.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PromotionId), Path)), security(("token" = ["prices:read"])),
    responses((status = 200, body = PromotionView)))]
#[get("/promotions/{id}")]
async fn read_promotion(call: Call, path: RefPath<PromotionId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::PricesRead)?.clone());
    let read = move |tx: &mut Tx| Ok((service::find(tx, &actor, id)?, service::taken(tx, id)?));
    let (promotion, taken) = call.read(read).await?;
    let view = PromotionView { taken: Some(taken), ..PromotionView::from(promotion) };
    Ok(Reply::ok(&view)?.version(view.version))
}

/// Change a promotion
///
/// Send the `ETag` you have seen as `If-Match`. The change is effective everywhere within a second; what is being paid keeps what
/// it was promised. Limits are not set below what is taken already. Where carts get it already, what makes it another reduction is
/// checked as before an activation: warnings are answered, and it stays as it is until `despite_warnings` is sent.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PromotionId), Path), IfMatch), request_body = PromotionPatch,
    security(("token" = ["prices:write"])), responses((status = 200, body = PromotionView)))]
#[patch("/promotions/{id}")]
async fn update_promotion(call: Call, path: RefPath<PromotionId>, body: Body<PromotionPatch>) -> Result<Reply> {
    let actor = call.allow(Scope::PricesWrite)?.clone();
    let (id, now, expected, patch) = (path.0, call.now, call.if_match()?, body.value.clone());
    let (looking, wanted, rules) = (actor.clone(), patch.clone(), call.snapshot::<Rules>().await?);
    let look = move |tx: &mut Tx| service::check_change(tx, now, (&looking, &rules), (id, expected), &wanted);
    let (seen, reference) = ((expected, call.read(look).await?), call.request_id());
    call.reference_command(&body.fingerprint, move |tx| {
        let by = By { now, actor: &actor, reference: reference.as_deref() };
        let changed = PromotionView::from(service::update(tx, by, id, seen, &patch)?);
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// Check a promotion
///
/// What is to be known before it is activated: which active promotions it adds up with, and which articles may fall below their
/// cost, below half their price or to nothing, at the prices that they have while it goes on. Costs come from price lists of the kind
/// `cost`.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PromotionId), Path)), security(("token" = ["prices:read"])),
    responses((status = 200, body = Checks)))]
#[get("/promotions/{id}/checks")]
async fn check_promotion(call: Call, path: RefPath<PromotionId>) -> Result<Reply> {
    let (id, actor, now) = (path.0, call.allow(Scope::PricesRead)?.clone(), call.now);
    let rules = call.snapshot::<Rules>().await?;
    Reply::ok(&call.read(move |tx| service::checks(tx, now, &actor, &rules, id)).await?)
}

/// List when a promotion went on
///
/// The times in which everybody got it, the newest first, and what it said in each: what it made of prices then counts as a price that
/// applied, where the price before a later reduction is looked for. Nothing is ever dropped. One that is not for everybody (with a
/// coupon, for a group, from a value on) has none.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PromotionId), Path)), security(("token" = ["prices:read"])),
    responses((status = 200, body = Page<PromotionRun>)))]
#[get("/promotions/{id}/runs")]
async fn list_promotion_runs(call: Call, path: RefPath<PromotionId>, query: List<All>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::PricesRead)?.clone());
    let read = move |tx: &mut Tx, before, limit| runs::page(tx, &actor, id, before, limit);
    query.answer(&call, |run: &PromotionRun| run.run_no, read).await
}

/// List the versions of a promotion
///
/// The newest first: what it said from each change to the next, who changed it and when. Nothing is ever dropped. Orders name the
/// version of each promotion that they got (`promotions[].version`).
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PromotionId), Path)), security(("token" = ["prices:read"])),
    responses((status = 200, body = Page<PromotionVersion>)))]
#[get("/promotions/{id}/versions")]
async fn list_promotion_versions(call: Call, path: RefPath<PromotionId>, query: List<All>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::PricesRead)?.clone());
    let read = move |tx: &mut Tx, before, limit| versions::page(tx, &actor, id, before, limit);
    query.answer(&call, |kept: &PromotionVersion| kept.version, read).await
}

/// Read a version of a promotion
///
/// What it said then, whatever it says now.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PromotionId), Path), ("version" = i64, Path)),
    security(("token" = ["prices:read"])), responses((status = 200, body = PromotionVersion)))]
#[get("/promotions/{id}/versions/{version}")]
async fn read_promotion_version(call: Call, path: RefPath<(PromotionId, i64)>) -> Result<Reply> {
    let ((id, version), actor) = (path.0, call.allow(Scope::PricesRead)?.clone());
    Reply::ok(&call.read(move |tx| versions::one(tx, &actor, id, version)).await?)
}

async fn run(
    call: Call,
    id: PromotionId,
    command: PromotionCommand,
    checked: Option<i64>,
    sent: &Fingerprint,
) -> Result<Reply> {
    let (actor, now, reference) = (call.allow(Scope::PricesWrite)?.clone(), call.now, call.request_id());
    call.reference_command(sent, move |tx| {
        let by = By { now, actor: &actor, reference: reference.as_deref() };
        let view = PromotionView::from(service::command(tx, by, id, command, checked)?);
        Ok(Reply::ok(&view)?.version(view.version))
    })
    .await
}

/// Activate a promotion
///
/// Carts get it from now on, or from `valid_from` on by the clock. Where its checks have warnings these are answered, and it stays
/// as it is until `despite_warnings` is sent.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PromotionId), Path)), request_body = Activation,
    security(("token" = ["prices:write"])), responses((status = 200, body = PromotionView)))]
#[post("/promotions/{id}/activate")]
async fn activate_promotion(call: Call, path: RefPath<PromotionId>, body: Body<Activation>) -> Result<Reply> {
    let (id, now, actor, activation) = (path.0, call.now, call.allow(Scope::PricesWrite)?.clone(), body.value.clone());
    let rules = call.snapshot::<Rules>().await?;
    let look = move |tx: &mut Tx| service::check_first(tx, now, &actor, &rules, id, &activation);
    let checked = call.read(look).await?;
    run(call, id, PromotionCommand::Activate, Some(checked), &body.fingerprint).await
}

/// Pause a promotion
///
/// No cart gets it until it is activated again; what is being paid keeps it.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PromotionId), Path)), security(("token" = ["prices:write"])),
    responses((status = 200, body = PromotionView)))]
#[post("/promotions/{id}/pause")]
async fn pause_promotion(call: Call, path: RefPath<PromotionId>, _body: NoBody) -> Result<Reply> {
    run(call, path.0, PromotionCommand::Pause, None, &Fingerprint::none()).await
}

/// End a promotion
///
/// For good.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PromotionId), Path)), security(("token" = ["prices:write"])),
    responses((status = 200, body = PromotionView)))]
#[post("/promotions/{id}/end")]
async fn end_promotion(call: Call, path: RefPath<PromotionId>, _body: NoBody) -> Result<Reply> {
    run(call, path.0, PromotionCommand::End, None, &Fingerprint::none()).await
}

/// The routes of the ops surface.
pub(in crate::pricing) fn ops(config: &mut Mount<'_>) {
    config.service(create_promotion).service(list_promotions).service(read_promotion).service(update_promotion);
    config.service(check_promotion).service(activate_promotion).service(pause_promotion).service(end_promotion);
    config.service(list_promotion_runs).service(list_promotion_versions).service(read_promotion_version);
    coupons::api::ops(config);
}
