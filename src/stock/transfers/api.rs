//! Routes of transfers.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};

use super::{
    model::{Transfer, TransferCommand, TransferPieces, TransferState},
    service,
};
use crate::{
    db::Tx,
    error::{Error, Result},
    http::{Body, Call, List, Mount, Page, RefPath, Reply},
    kernel::{
        Action, Id, Instant, Quantity, Scope,
        ids::{EventId, TransferId},
        text::{Note, Sku, Text},
    },
    stock::Locations,
};

/// What is moved.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTransferLine {
    /// What.
    #[schema(value_type = String)]
    pub sku: Sku,
    /// How many.
    #[schema(minimum = 1)]
    pub quantity: Quantity,
}

/// A transfer about to be written.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from": "demo-berlin", "to": "bremen", "lines": [{"sku": "MUG-KONTOR", "quantity": 5}]}))]
pub struct NewTransfer {
    /// Where the goods come from: a location's code or id.
    #[schema(value_type = String, min_length = 1, max_length = 60)]
    pub from: Text<60>,
    /// Where they go: a location's code or id.
    #[schema(value_type = String, min_length = 1, max_length = 60)]
    pub to: Text<60>,
    /// When they are expected there.
    pub expected_at: Option<Instant>,
    /// What is to be known of it.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    pub note: Option<Note<500>>,
    /// What is moved.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Vec<NewTransferLine>,
}

/// What leaves; all of it, when nothing is named.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"lines": [{"line_no": 1, "quantity": 4}]}))]
pub struct TransferShip {
    /// Pieces of lines.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Option<Vec<TransferPieces>>,
}

/// What has arrived; all that is under way, when nothing is named.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"lines": [{"line_no": 1, "quantity": 3, "damaged": 1}]}))]
pub struct TransferReceive {
    /// Pieces of lines.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Option<Vec<TransferPieces>>,
    /// Takes more than is under way.
    #[serde(default)]
    pub accept_over: bool,
}

/// What has not arrived after all, and why it was taken to have.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "counted twice"}))]
pub struct TransferCorrect {
    /// Pieces of lines.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Vec<TransferPieces>,
    /// In words.
    #[schema(value_type = String, min_length = 1, max_length = 500)]
    pub reason: Note<500>,
}

/// Why it ends so.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "The lorry was broken into."}))]
pub struct TransferEndReason {
    /// In words.
    #[schema(value_type = String, min_length = 1, max_length = 500)]
    pub reason: Note<500>,
}

/// A transfer, and what can be done with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TransferDetail {
    /// It.
    #[serde(flatten)]
    transfer: Transfer,
    /// What can be done now.
    actions: Vec<Action>,
}

fn detail(transfer: Transfer, reply: fn(&TransferDetail) -> Result<Reply>) -> Result<Reply> {
    let action = |command: &TransferCommand| Action::of(command.as_str(), transfer.state.takes(*command));
    let actions = TransferCommand::ALL.iter().map(action).collect();
    let version = transfer.version;
    Ok(reply(&TransferDetail { transfer, actions })?.version(version))
}

/// Ids for a command's events; further ones are made where there are not enough.
fn fresh() -> Vec<EventId> {
    (0..32).map(|_| Id::new()).collect()
}

fn few(count: usize) -> Result<()> {
    if count <= 1000 { Ok(()) } else { Err(Error::invalid("/lines", "expected at most 1000 lines")) }
}

/// Write a transfer
///
/// It is a draft until it is shipped.
#[utoipa::path(tag = "receive goods", request_body = NewTransfer, security(("token" = ["stock:write"])),
    responses((status = 201, body = TransferDetail)))]
#[post("/transfers")]
async fn create_transfer(call: Call, body: Body<NewTransfer>) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    if body.lines.is_empty() {
        return Err(Error::invalid("/lines", "expected 1 to 1000 lines"));
    }
    few(body.lines.len())?;
    if let Some(place) = body.lines.iter().position(|line| line.quantity.is_zero()) {
        return Err(Error::invalid(format!("/lines/{place}/quantity"), "expected at least 1"));
    }
    let (id, now, new, locations) = (Id::new(), call.now, body.value.clone(), call.snapshot::<Locations>().await?);
    call.command(&body.fingerprint, move |tx| {
        let made = service::create(tx, (now, &actor), &locations, id, &new)?;
        Ok(detail(made, Reply::created)?.location(format!("/v1/ops/transfers/{id}")))
    })
    .await
}

/// What the list of transfers is narrowed to.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TransferQuery {
    /// Where they stand.
    #[param(inline)]
    state: Option<TransferState>,
}

/// List the transfers
///
/// The newest first.
#[utoipa::path(tag = "receive goods", params(TransferQuery), security(("token" = ["stock:read"])),
    responses((status = 200, body = Page<Transfer>)))]
#[get("/transfers")]
async fn list_transfers(call: Call, query: List<TransferQuery>) -> Result<Reply> {
    let (actor, state) = (call.allow(Scope::StockRead)?.clone(), query.filter.state);
    let read = move |tx: &mut Tx, before, limit| service::page(tx, (state, actor.locations()), before, limit);
    query.answer(&call, |one: &Transfer| one.id, read).await
}

/// The pieces that are named; none where nothing is, which is everything. An empty list is a mistake: nobody names nothing.
fn named(lines: Option<&Vec<TransferPieces>>) -> Result<Vec<TransferPieces>> {
    match lines {
        None => Ok(Vec::new()),
        Some(lines) if lines.is_empty() => {
            Err(Error::invalid("/lines", "expected 1 to 1000 lines, or none at all for everything"))
        }
        Some(lines) => few(lines.len()).map(|()| lines.clone()),
    }
}

/// Read a transfer
#[utoipa::path(tag = "receive goods", params(("id" = inline(TransferId), Path)), security(("token" = ["stock:read"])),
    responses((status = 200, body = TransferDetail)))]
#[get("/transfers/{id}")]
async fn read_transfer(call: Call, path: RefPath<TransferId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::StockRead)?.clone());
    detail(call.read(move |tx| service::find(tx, &actor, id)).await?, Reply::ok)
}

/// Ship a transfer
///
/// The goods leave the stock of where they come from, as far as they are nobody's. What is not shipped now does not leave.
#[utoipa::path(tag = "receive goods", params(("id" = inline(TransferId), Path)), request_body = TransferShip,
    security(("token" = ["stock:write"])), responses((status = 200, body = TransferDetail)))]
#[post("/transfers/{id}/ship")]
async fn ship_transfer(call: Call, path: RefPath<TransferId>, body: Body<TransferShip>) -> Result<Reply> {
    let (id, actor, now, fresh) = (path.0, call.allow(Scope::StockWrite)?.clone(), call.now, fresh());
    let lines = named(body.lines.as_ref())?;
    call.command(&body.fingerprint, move |tx| detail(service::ship(tx, (now, &actor), &fresh, id, &lines)?, Reply::ok))
        .await
}

/// Receive a transfer
///
/// What has arrived, once or in parts; what is damaged lies nowhere. More than is under way needs `accept_over`.
#[utoipa::path(tag = "receive goods", params(("id" = inline(TransferId), Path)), request_body = TransferReceive,
    security(("token" = ["stock:write"])), responses((status = 200, body = TransferDetail)))]
#[post("/transfers/{id}/receive")]
async fn receive_transfer(call: Call, path: RefPath<TransferId>, body: Body<TransferReceive>) -> Result<Reply> {
    let (id, actor, now, fresh) = (path.0, call.allow(Scope::StockWrite)?.clone(), call.now, fresh());
    let (lines, accept_over) = (named(body.lines.as_ref())?, body.accept_over);
    call.command(&body.fingerprint, move |tx| {
        let arrived = service::receive(tx, (now, &actor), &fresh, id, (&lines, accept_over))?;
        detail(arrived, Reply::ok)
    })
    .await
}

/// Take back what was taken to have arrived
///
/// It leaves the stock (`correction`) and its lots and is under way again. What belongs to an order or a cart by now, or has left, is
/// refused.
#[utoipa::path(tag = "receive goods", params(("id" = inline(TransferId), Path)), request_body = TransferCorrect,
    security(("token" = ["stock:write"])), responses((status = 200, body = TransferDetail)))]
#[post("/transfers/{id}/correct")]
async fn correct_transfer(call: Call, path: RefPath<TransferId>, body: Body<TransferCorrect>) -> Result<Reply> {
    let (id, actor, now, fresh) = (path.0, call.allow(Scope::StockWrite)?.clone(), call.now, fresh());
    let (lines, reason) = (named(Some(&body.lines))?, body.reason.to_string());
    call.command(&body.fingerprint, move |tx| {
        detail(service::correct(tx, (now, &actor), &fresh, id, (&lines, &reason))?, Reply::ok)
    })
    .await
}

async fn end(call: Call, id: TransferId, command: TransferCommand, body: Body<TransferEndReason>) -> Result<Reply> {
    let (actor, now, event) = (call.allow(Scope::StockWrite)?.clone(), call.now, Id::new());
    let reason = body.reason.to_string();
    call.command(&body.fingerprint, move |tx| {
        detail(service::end(tx, (now, &actor), event, id, (command, &reason))?, Reply::ok)
    })
    .await
}

/// Close a transfer
///
/// What has not arrived is given up.
#[utoipa::path(tag = "receive goods", params(("id" = inline(TransferId), Path)), request_body = TransferEndReason,
    security(("token" = ["stock:write"])), responses((status = 200, body = TransferDetail)))]
#[post("/transfers/{id}/close")]
async fn close_transfer(call: Call, path: RefPath<TransferId>, body: Body<TransferEndReason>) -> Result<Reply> {
    end(call, path.0, TransferCommand::Close, body).await
}

/// Cancel a transfer
///
/// Before anything has left.
#[utoipa::path(tag = "receive goods", params(("id" = inline(TransferId), Path)), request_body = TransferEndReason,
    security(("token" = ["stock:write"])), responses((status = 200, body = TransferDetail)))]
#[post("/transfers/{id}/cancel")]
async fn cancel_transfer(call: Call, path: RefPath<TransferId>, body: Body<TransferEndReason>) -> Result<Reply> {
    end(call, path.0, TransferCommand::Cancel, body).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_transfer).service(list_transfers).service(read_transfer);
    config.service(ship_transfer).service(receive_transfer).service(close_transfer).service(cancel_transfer);
    config.service(correct_transfer);
}
