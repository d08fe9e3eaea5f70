//! Routes of recurring orders: for customers, and for staff to look at.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    model::{NewRecurringOrder, RecurringCommand, RecurringOrder, RecurringRun, RecurringState},
    service::{self, Filter},
};
use crate::{
    carts::Context,
    customers,
    db::Tx,
    error::Result,
    http::{All, Body, Call, List, Mount, NoBody, Page, RefPath, Reply, idempotency::Fingerprint},
    kernel::{Id, Scope, ids::RecurringId},
};

fn shown(one: &RecurringOrder) -> Result<Reply> {
    Ok(Reply::ok(one)?.version(one.version))
}

/// A recurring order with its last dates.
#[derive(Debug, Serialize, ToSchema)]
struct RecurringDetail {
    #[serde(flatten)]
    recurring: RecurringOrder,
    /// The last dates, the latest first.
    runs: Vec<RecurringRun>,
}

fn detail(tx: &mut Tx, recurring: RecurringOrder) -> Result<RecurringDetail> {
    Ok(RecurringDetail { runs: service::runs(tx, recurring.id)?, recurring })
}

/// Order a cart again and again
///
/// Of a cart of mine, which stays as it is: at each date the same is ordered, at the prices of that day. A date that can not be ordered is told
/// (`recurring_order.failed.v1`), and the next one comes all the same.
#[utoipa::path(tag = "my account", request_body = NewRecurringOrder, security(("channel_key" = [], "token" = [])),
    responses((status = 201, body = RecurringOrder)))]
#[post("/me/recurring-orders")]
async fn create_recurring_order(call: Call, body: Body<NewRecurringOrder>) -> Result<Reply> {
    customers::api::known(&call).await?;
    let context = Context::of(&call.state, call.shopper()?.channel, call.now).await?;
    let (actor, secret, id, new) = (call.actor.clone(), call.state.secret.clone(), Id::new(), body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let one = service::create(tx, &context, (&actor, &secret), id, &new)?;
        Ok(Reply::created(&one)?.version(one.version).location(format!("/v1/store/me/recurring-orders/{id}")))
    })
    .await
}

/// List my recurring orders
#[utoipa::path(tag = "my account", security(("channel_key" = [], "token" = [])), responses((status = 200, body = Page<RecurringOrder>)))]
#[get("/me/recurring-orders")]
async fn list_my_recurring_orders(call: Call, query: List<All>) -> Result<Reply> {
    let identity = customers::api::known(&call).await?;
    let read = move |tx: &mut Tx, before, limit| {
        let filter = service::own(tx, &identity)?;
        service::page(tx, &filter, before, limit)
    };
    query.answer(&call, |one: &RecurringOrder| one.id, read).await
}

/// Read a recurring order of mine
#[utoipa::path(tag = "my account", params(("id" = inline(RecurringId), Path)), security(("channel_key" = [], "token" = [])),
    responses((status = 200, body = RecurringDetail)))]
#[get("/me/recurring-orders/{id}")]
async fn read_my_recurring_order(call: Call, path: RefPath<RecurringId>) -> Result<Reply> {
    let (identity, id) = (customers::api::known(&call).await?, path.0);
    let found = call.read(move |tx| {
        let one = service::mine(tx, &identity, id)?;
        detail(tx, one)
    });
    Reply::ok(&found.await?)
}

async fn change(call: Call, id: RecurringId, command: RecurringCommand) -> Result<Reply> {
    let (identity, now, cart) = (customers::api::known(&call).await?, call.now, Id::new());
    call.command(&Fingerprint::none(), move |tx| {
        let known = service::mine(tx, &identity, id)?;
        shown(&service::change(tx, now, &known, (command, cart))?)
    })
    .await
}

/// Pause a recurring order
#[utoipa::path(tag = "my account", params(("id" = inline(RecurringId), Path)), security(("channel_key" = [], "token" = [])),
    responses((status = 200, body = RecurringOrder)))]
#[post("/me/recurring-orders/{id}/pause")]
async fn pause_recurring_order(call: Call, path: RefPath<RecurringId>, _: NoBody) -> Result<Reply> {
    change(call, path.0, RecurringCommand::Pause).await
}

/// Go on with a recurring order
///
/// At its next date; those that have passed meanwhile are not made up for.
#[utoipa::path(tag = "my account", params(("id" = inline(RecurringId), Path)), security(("channel_key" = [], "token" = [])),
    responses((status = 200, body = RecurringOrder)))]
#[post("/me/recurring-orders/{id}/resume")]
async fn resume_recurring_order(call: Call, path: RefPath<RecurringId>, _: NoBody) -> Result<Reply> {
    change(call, path.0, RecurringCommand::Resume).await
}

/// Leave the next date out
#[utoipa::path(tag = "my account", params(("id" = inline(RecurringId), Path)), security(("channel_key" = [], "token" = [])),
    responses((status = 200, body = RecurringOrder)))]
#[post("/me/recurring-orders/{id}/skip")]
async fn skip_recurring_order(call: Call, path: RefPath<RecurringId>, _: NoBody) -> Result<Reply> {
    change(call, path.0, RecurringCommand::Skip).await
}

/// End a recurring order
#[utoipa::path(tag = "my account", params(("id" = inline(RecurringId), Path)), security(("channel_key" = [], "token" = [])),
    responses((status = 200, body = RecurringOrder)))]
#[post("/me/recurring-orders/{id}/cancel")]
async fn cancel_recurring_order(call: Call, path: RefPath<RecurringId>, _: NoBody) -> Result<Reply> {
    change(call, path.0, RecurringCommand::Cancel).await
}

/// What a list of recurring orders is narrowed by.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RecurringQuery {
    /// Those that stand there.
    #[param(inline)]
    state: Option<RecurringState>,
}

/// List recurring orders
///
/// The newest first.
#[utoipa::path(tag = "answer a customer", params(RecurringQuery), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<RecurringOrder>)))]
#[get("/recurring-orders")]
async fn list_recurring_orders(call: Call, query: List<RecurringQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?;
    let channels = actor.channels().map(<[_]>::to_vec);
    let filter = Filter { customer: None, state: query.filter.state, channels };
    let read = move |tx: &mut Tx, before, limit| service::page(tx, &filter, before, limit);
    query.answer(&call, |one: &RecurringOrder| one.id, read).await
}

/// Read a recurring order
#[utoipa::path(tag = "answer a customer", params(("id" = inline(RecurringId), Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = RecurringDetail)))]
#[get("/recurring-orders/{id}")]
async fn read_recurring_order(call: Call, path: RefPath<RecurringId>) -> Result<Reply> {
    let (actor, id) = (call.allow(Scope::OrdersRead)?.clone(), path.0);
    let found = call.read(move |tx| {
        let one = service::of_staff(tx, &actor, id)?;
        detail(tx, one)
    });
    Reply::ok(&found.await?)
}

/// End a recurring order for a customer
#[utoipa::path(tag = "answer a customer", params(("id" = inline(RecurringId), Path)), security(("token" = ["orders:write"])),
    responses((status = 200, body = RecurringOrder)))]
#[post("/recurring-orders/{id}/cancel")]
async fn end_recurring_order(call: Call, path: RefPath<RecurringId>, _: NoBody) -> Result<Reply> {
    let (actor, id, now, cart) = (call.allow(Scope::OrdersWrite)?.clone(), path.0, call.now, Id::new());
    call.command(&Fingerprint::none(), move |tx| {
        let known = service::of_staff(tx, &actor, id)?;
        shown(&service::change(tx, now, &known, (RecurringCommand::Cancel, cart))?)
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(list_recurring_orders).service(read_recurring_order).service(end_recurring_order);
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(create_recurring_order).service(list_my_recurring_orders).service(read_my_recurring_order);
    config.service(pause_recurring_order).service(resume_recurring_order).service(skip_recurring_order);
    config.service(cancel_recurring_order);
}
