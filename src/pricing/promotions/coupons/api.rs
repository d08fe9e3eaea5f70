//! Routes of coupons.

use actix_web::{HttpResponse, get, patch, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::service::{self, Batch, Coupon, NewBatch, NewCoupon, Of};
use crate::{
    db::Tx,
    error::Result,
    http::{All, Body, Call, List, Mount, Page, Params, RefPath, Reply, WholeQuery, whole},
    kernel::{
        Id, Scope,
        ids::{CouponBatchId, PromotionId},
    },
};

/// Make a coupon
///
/// One code, for one order, for so many, or shared without end; for everybody or for one customer. The promotion has to have the
/// condition `coupon`, or it applies without.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PromotionId), Path)), request_body = NewCoupon,
    security(("token" = ["prices:write"])), responses((status = 201, body = Coupon)))]
#[post("/promotions/{id}/coupons")]
async fn create_coupon(call: Call, path: RefPath<PromotionId>, body: Body<NewCoupon>) -> Result<Reply> {
    let actor = call.allow(Scope::PricesWrite)?.clone();
    let (id, now, new) = (path.0, call.now, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let made = service::create(tx, now, &actor, id, &new)?;
        Ok(Reply::created(&made)?.location(format!("/v1/ops/coupons/{}", made.code)))
    })
    .await
}

/// List the coupons of a promotion
///
/// By their codes, generated ones too.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PromotionId), Path)), security(("token" = ["prices:read"])),
    responses((status = 200, body = Page<Coupon>)))]
#[get("/promotions/{id}/coupons")]
async fn list_coupons(call: Call, path: RefPath<PromotionId>, query: List<All>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::PricesRead)?.clone());
    let read = move |tx: &mut Tx, after, limit| service::page(tx, &actor, Of::Promotion(id), after, limit);
    query.answer(&call, |coupon: &Coupon| coupon.code.clone(), read).await
}

/// Look a coupon up
///
/// By its code in any case, with or without dashes.
#[utoipa::path(tag = "plan a sale", params(("code" = String, Path)), security(("token" = ["prices:read"])),
    responses((status = 200, body = Coupon)))]
#[get("/coupons/{code}")]
async fn read_coupon(call: Call, path: RefPath<String>) -> Result<Reply> {
    let (code, actor, now) = (path.0, call.allow(Scope::PricesRead)?.clone(), call.now);
    Reply::ok(&call.read(move |tx| service::find(tx, now, &actor, &code)).await?)
}

/// What can be changed about a coupon.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"blocked": true}))]
struct CouponPatch {
    /// Whether it can not be used.
    blocked: bool,
}

/// Block a coupon
///
/// Or let it go again. Carts that have it lose it when they are priced next; what is being paid keeps it.
#[utoipa::path(tag = "plan a sale", params(("code" = String, Path)), request_body = CouponPatch,
    security(("token" = ["prices:write"])), responses((status = 200, body = Coupon)))]
#[patch("/coupons/{code}")]
async fn block_coupon(call: Call, path: RefPath<String>, body: Body<CouponPatch>) -> Result<Reply> {
    let actor = call.allow(Scope::PricesWrite)?.clone();
    let (code, now, blocked) = (path.0, call.now, body.blocked);
    call.command(&body.fingerprint, move |tx| Reply::ok(&service::block(tx, now, &actor, &code, blocked)?)).await
}

/// Generate a batch of coupons
///
/// Up to a million codes, in the background: `made` of the batch tells how far it is. A code is the prefix and twelve characters
/// that can not be mistaken for others, the last of which checks them.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PromotionId), Path)), request_body = NewBatch,
    security(("token" = ["prices:write"])), responses((status = 202, body = Batch)))]
#[post("/promotions/{id}/coupon-batches")]
async fn create_coupon_batch(call: Call, path: RefPath<PromotionId>, body: Body<NewBatch>) -> Result<Reply> {
    let actor = call.allow(Scope::PricesWrite)?.clone();
    let (id, now, new, fresh) = (path.0, call.now, body.value.clone(), (Id::new(), Id::new()));
    call.command(&body.fingerprint, move |tx| {
        let made = service::create_batch(tx, now, &actor, fresh, id, &new)?;
        Ok(Reply::accepted(&made)?.location(format!("/v1/ops/coupon-batches/{}", made.id)))
    })
    .await
}

/// List the batches of a promotion
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PromotionId), Path)), security(("token" = ["prices:read"])),
    responses((status = 200, body = Page<Batch>)))]
#[get("/promotions/{id}/coupon-batches")]
async fn list_coupon_batches(call: Call, path: RefPath<PromotionId>, query: List<All>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::PricesRead)?.clone());
    let read = move |tx: &mut Tx, after, limit| service::batches(tx, &actor, id, after, limit);
    query.answer(&call, |batch: &Batch| batch.id, read).await
}

/// Read a batch of coupons
#[utoipa::path(tag = "plan a sale", params(("id" = inline(CouponBatchId), Path)), security(("token" = ["prices:read"])),
    responses((status = 200, body = Batch)))]
#[get("/coupon-batches/{id}")]
async fn read_coupon_batch(call: Call, path: RefPath<CouponBatchId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::PricesRead)?.clone());
    Reply::ok(&call.read(move |tx| service::batch(tx, &actor, id)).await?)
}

/// List the codes of a batch
#[utoipa::path(tag = "plan a sale", params(("id" = inline(CouponBatchId), Path)), security(("token" = ["prices:read"])),
    responses((status = 200, body = Page<Coupon>)))]
#[get("/coupon-batches/{id}/coupons")]
async fn list_coupons_of_batch(call: Call, path: RefPath<CouponBatchId>, query: List<All>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::PricesRead)?.clone());
    let read = move |tx: &mut Tx, after, limit| service::page(tx, &actor, Of::Batch(id), after, limit);
    query.answer(&call, |coupon: &Coupon| coupon.code.clone(), read).await
}

/// Export the coupons of a promotion
///
/// All of them in one file, as CSV or as NDJSON, by their codes. Rows are read as they are sent: codes that are made meanwhile may be
/// in the file or not, and none is missing that was there when it began. The file is whole when the answer ends as HTTP ends one;
/// where reading fails, the connection is cut.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PromotionId), Path), WholeQuery), security(("token" = ["prices:read"])),
    responses((status = 200, content((String = "text/csv"), (Coupon = "application/x-ndjson")))))]
#[get("/promotions/{id}/coupons/export")]
async fn export_coupons(call: Call, path: RefPath<PromotionId>, query: Params<WholeQuery>) -> Result<HttpResponse> {
    let (id, actor) = (path.0, call.allow(Scope::PricesRead)?.clone());
    whole(&call, &query.0, "coupons", move |tx, after| service::piece(tx, &actor, Of::Promotion(id), after)).await
}

/// Export the codes of a batch
///
/// All of them in one file, as CSV or as NDJSON, up to the million. While a batch is still being made (`made` below `size`), the file
/// has what there is. The file is whole when the answer ends as HTTP ends one; where reading fails, the connection is cut.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(CouponBatchId), Path), WholeQuery), security(("token" = ["prices:read"])),
    responses((status = 200, content((String = "text/csv"), (Coupon = "application/x-ndjson")))))]
#[get("/coupon-batches/{id}/coupons/export")]
async fn export_coupons_of_batch(
    call: Call,
    path: RefPath<CouponBatchId>,
    query: Params<WholeQuery>,
) -> Result<HttpResponse> {
    let (id, actor) = (path.0, call.allow(Scope::PricesRead)?.clone());
    whole(&call, &query.0, "coupons", move |tx, after| service::piece(tx, &actor, Of::Batch(id), after)).await
}

/// The routes of the ops surface.
pub(in crate::pricing::promotions) fn ops(config: &mut Mount<'_>) {
    config.service(create_coupon).service(list_coupons).service(read_coupon).service(block_coupon);
    config
        .service(create_coupon_batch)
        .service(list_coupon_batches)
        .service(read_coupon_batch)
        .service(list_coupons_of_batch)
        .service(export_coupons)
        .service(export_coupons_of_batch);
}
