//! Routes of order templates, for customers.

use actix_web::{delete, get, patch, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    model::{NewOrderTemplate, OrderTemplate, OrderTemplatePatch},
    service,
};
use crate::{
    carts::{
        Context,
        quick::{self, QuickOrdered},
    },
    customers,
    db::Tx,
    error::Result,
    http::{All, Body, Call, IfMatch, List, Mount, Page, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Id,
        ids::{CartId, CartLineId, OrderTemplateId},
    },
};

fn shown(one: &OrderTemplate) -> Result<Reply> {
    Ok(Reply::ok(one)?.version(one.version))
}

/// Make an order template
///
/// A named list of SKUs, or of what an order of mine was of. Approvers and admins of a company share theirs with all who buy for it.
#[utoipa::path(tag = "my account", request_body = NewOrderTemplate, security(("channel_key" = [], "token" = [])),
    responses((status = 201, body = OrderTemplate)))]
#[post("/me/order-templates")]
async fn create_order_template(call: Call, body: Body<NewOrderTemplate>) -> Result<Reply> {
    let (identity, now, id, new) = (customers::api::known(&call).await?, call.now, Id::new(), body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let one = service::create(tx, now, &identity, id, &new)?;
        Ok(Reply::created(&one)?.version(one.version).location(format!("/v1/store/me/order-templates/{id}")))
    })
    .await
}

/// List order templates
///
/// My own, and those that are shared in my company; the newest first.
#[utoipa::path(tag = "my account", security(("channel_key" = [], "token" = [])), responses((status = 200, body = Page<OrderTemplate>)))]
#[get("/me/order-templates")]
async fn list_order_templates(call: Call, query: List<All>) -> Result<Reply> {
    let identity = customers::api::known(&call).await?;
    let read = move |tx: &mut Tx, before, limit| service::page(tx, &identity, before, limit);
    query.answer(&call, |one: &OrderTemplate| one.id, read).await
}

/// Read an order template
#[utoipa::path(tag = "my account", params(("id" = inline(OrderTemplateId), Path)), security(("channel_key" = [], "token" = [])),
    responses((status = 200, body = OrderTemplate)))]
#[get("/me/order-templates/{id}")]
async fn read_order_template(call: Call, path: RefPath<OrderTemplateId>) -> Result<Reply> {
    let (identity, id) = (customers::api::known(&call).await?, path.0);
    shown(&call.read(move |tx| service::mine(tx, &identity, id)).await?)
}

/// Change an order template
///
/// Those that are shared are changed by approvers and admins of the company.
#[utoipa::path(tag = "my account", params(("id" = inline(OrderTemplateId), Path), IfMatch), request_body = OrderTemplatePatch,
    security(("channel_key" = [], "token" = [])), responses((status = 200, body = OrderTemplate)))]
#[patch("/me/order-templates/{id}")]
async fn change_order_template(
    call: Call,
    path: RefPath<OrderTemplateId>,
    body: Body<OrderTemplatePatch>,
) -> Result<Reply> {
    let (identity, now) = (customers::api::known(&call).await?, call.now);
    let (which, wanted) = ((path.0, call.if_match()?), body.value.clone());
    call.command(&body.fingerprint, move |tx| shown(&service::change(tx, now, &identity, which, &wanted)?)).await
}

/// Remove an order template
#[utoipa::path(tag = "my account", params(("id" = inline(OrderTemplateId), Path)), security(("channel_key" = [], "token" = [])),
    responses((status = 204)))]
#[delete("/me/order-templates/{id}")]
async fn remove_order_template(call: Call, path: RefPath<OrderTemplateId>) -> Result<Reply> {
    let (identity, id) = (customers::api::known(&call).await?, path.0);
    call.command(&Fingerprint::none(), move |tx| {
        service::remove(tx, &identity, id)?;
        Ok(Reply::no_content())
    })
    .await
}

/// Where a template is put.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderTemplateUse, example = json!({"cart_id": "cart_01jm8z3q4ze2v8t5x6k7n9p0ra"}))]
pub struct UseRequest {
    /// A cart of mine.
    pub cart_id: CartId,
}

/// Put an order template into a cart
///
/// Each line at the prices of now, as a quick order does: what can not be ordered any more is told in `errors`, the rest is added.
#[utoipa::path(tag = "my account", params(("id" = inline(OrderTemplateId), Path), IfMatch), request_body = UseRequest,
    security(("channel_key" = [], "token" = [])), responses((status = 200, body = QuickOrdered)))]
#[post("/me/order-templates/{id}/use")]
async fn use_order_template(call: Call, path: RefPath<OrderTemplateId>, body: Body<UseRequest>) -> Result<Reply> {
    let (identity, id, cart) = (customers::api::known(&call).await?, path.0, body.cart_id);
    let context = Context::of(&call.state, call.shopper()?.channel, call.now).await?;
    let (actor, secret, expected, fresh) = (call.actor.clone(), call.state.secret.clone(), call.if_match()?, Id::new());
    let ids: Vec<CartLineId> = (0..super::model::MOST_LINES).map(|_| Id::new()).collect();
    call.command(&body.fingerprint, move |tx| {
        let template = service::mine(tx, &identity, id)?;
        let row = |line: &super::model::TemplateLine| (line.sku.to_string(), Some(line.quantity.get()));
        let rows: Vec<_> = template.lines.iter().map(row).collect();
        let ordered = quick::put(tx, (&context, (&actor, &*secret, fresh)), (cart, expected), (&rows, &ids))?;
        let version = ordered.cart.version;
        Ok(Reply::ok(&ordered)?.version(version))
    })
    .await
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(create_order_template).service(list_order_templates).service(read_order_template);
    config.service(change_order_template).service(remove_order_template).service(use_order_template);
}
