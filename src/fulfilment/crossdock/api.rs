//! Routes of docks: goods come in, cross, are put away.

use actix_web::{get, patch, post};

use super::{
    correcting,
    forms::{DockView, MatchQuery, Planned, Received, ReportQuery, Scanned, TaskQuery},
    model::{DockMatch, DockRules, DockTask, TaskState},
    outcome::DockReport,
    receiving,
    service::{self, At, Doing},
    tasks,
};
use crate::{
    db::Tx,
    error::{Error, Result},
    fulfilment::{
        Fresh,
        api::checked_time,
        inbound::{Close, InboundCommand, InboundDetail, InboundShipment, Receipt, Reschedule, WrongReceipt},
    },
    http::{Body, Call, List, Mount, NoBody, Page, Params, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Scope,
        ids::{DockTaskId, InboundShipmentId, LocationId},
    },
    stock::Locations,
};

fn detail(shipment: InboundShipment) -> Result<Reply> {
    let version = shipment.version;
    Ok(Reply::ok(&InboundDetail::from(shipment))?.version(version))
}

/// Note that an inbound shipment has arrived
///
/// It stands at the dock; nothing of it is booked yet.
#[utoipa::path(tag = "receive goods", params(("id" = inline(InboundShipmentId), Path)), security(("token" = ["stock:write"])),
    responses((status = 200, body = InboundDetail)))]
#[post("/inbound-shipments/{id}/arrive")]
async fn arrive_inbound_shipment(call: Call, path: RefPath<InboundShipmentId>, _body: NoBody) -> Result<Reply> {
    let (id, actor, now, fresh) = (path.0, call.allow(Scope::StockWrite)?.clone(), call.now, Fresh::new());
    let locations = call.snapshot::<Locations>().await?;
    call.command(&Fingerprint::none(), move |tx| {
        let doing = Doing { now, actor: &actor, locations: &locations };
        detail(receiving::arrive(tx, doing, &mut fresh.draw(), id)?)
    })
    .await
}

/// Expect an inbound shipment at another time
///
/// Orders for which it comes too late are matched with other goods, if there are any; events tell of it.
#[utoipa::path(tag = "receive goods", params(("id" = inline(InboundShipmentId), Path)), request_body = Reschedule,
    security(("token" = ["stock:write"])), responses((status = 200, body = InboundDetail)))]
#[post("/inbound-shipments/{id}/reschedule")]
async fn reschedule_inbound_shipment(
    call: Call,
    path: RefPath<InboundShipmentId>,
    body: Body<Reschedule>,
) -> Result<Reply> {
    let (id, actor, now, fresh) = (path.0, call.allow(Scope::StockWrite)?.clone(), call.now, Fresh::new());
    let (locations, expected_at) = (call.snapshot::<Locations>().await?, body.value.expected_at);
    call.command(&body.fingerprint, move |tx| {
        let doing = Doing { now, actor: &actor, locations: &locations };
        detail(receiving::reschedule(tx, doing, &mut fresh.draw(), id, expected_at)?)
    })
    .await
}

/// Receive goods
///
/// Pieces of lines, whole handling units, or all that is left: once or in parts. They are booked into stock at once; where goods
/// cross the dock, `matches` says for which orders, and `put_away` what goes to its shelf. More than the tolerance needs `accept_over`.
#[utoipa::path(tag = "receive goods", params(("id" = inline(InboundShipmentId), Path)), request_body = Receipt,
    security(("token" = ["stock:write"])), responses((status = 200, body = Received)))]
#[post("/inbound-shipments/{id}/receive")]
async fn receive_inbound_shipment(call: Call, path: RefPath<InboundShipmentId>, body: Body<Receipt>) -> Result<Reply> {
    let (id, actor, now, fresh) = (path.0, call.allow(Scope::StockWrite)?.clone(), call.now, Fresh::new());
    checked_time(&call, body.occurred_at)?;
    body.value.check()?;
    let (locations, receipt) = (call.snapshot::<Locations>().await?, body.value.clone());
    let at = receipt.occurred_at.unwrap_or(now);
    call.command(&body.fingerprint, move |tx| {
        let doing = Doing { now, actor: &actor, locations: &locations };
        let mut received = receiving::receive(tx, doing, &mut fresh.draw(), (id, &receipt), at)?;
        // The orders may be of any channel: who is limited to some is not told which they are.
        if actor.channels().is_some() {
            received.matches.clear();
        }
        Ok(Reply::ok(&received)?.version(received.inbound_shipment.version))
    })
    .await
}

/// Take back what was received wrongly
///
/// Pieces of lines, or whole handling units, have not come after all: they leave the stock (`correction`) and their lots, are expected
/// again, of the purchase order too, and what crosses the dock and was not loaded is let go. Orders that have them and have not picked
/// them are planned anew, or wait for goods again. What was picked, is held by a cart or has left is refused.
#[utoipa::path(tag = "receive goods", params(("id" = inline(InboundShipmentId), Path)), request_body = WrongReceipt,
    security(("token" = ["stock:write"])), responses((status = 200, body = InboundDetail)))]
#[post("/inbound-shipments/{id}/correct")]
async fn correct_inbound_shipment(
    call: Call,
    path: RefPath<InboundShipmentId>,
    body: Body<WrongReceipt>,
) -> Result<Reply> {
    let (id, actor, now, fresh) = (path.0, call.allow(Scope::StockWrite)?.clone(), call.now, Fresh::new());
    body.value.check()?;
    let (locations, wrong) = (call.snapshot::<Locations>().await?, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let doing = Doing { now, actor: &actor, locations: &locations };
        detail(correcting::correct(tx, doing, &mut fresh.draw(), (id, &wrong))?)
    })
    .await
}

async fn end(call: Call, id: InboundShipmentId, command: InboundCommand, body: Body<Close>) -> Result<Reply> {
    let (actor, now, fresh) = (call.allow(Scope::StockWrite)?.clone(), call.now, Fresh::new());
    let (locations, reason) = (call.snapshot::<Locations>().await?, body.value.reason.to_string());
    call.command(&body.fingerprint, move |tx| {
        let doing = Doing { now, actor: &actor, locations: &locations };
        detail(receiving::end(tx, doing, &mut fresh.draw(), id, (command, &reason))?)
    })
    .await
}

/// Close an inbound shipment
///
/// What has not come of it is not expected any more. Orders that waited for it are matched with other goods, if there are any.
#[utoipa::path(tag = "receive goods", params(("id" = inline(InboundShipmentId), Path)), request_body = Close,
    security(("token" = ["stock:write"])), responses((status = 200, body = InboundDetail)))]
#[post("/inbound-shipments/{id}/close")]
async fn close_inbound_shipment(call: Call, path: RefPath<InboundShipmentId>, body: Body<Close>) -> Result<Reply> {
    end(call, path.0, InboundCommand::Close, body).await
}

/// Cancel an inbound shipment
///
/// It does not come at all.
#[utoipa::path(tag = "receive goods", params(("id" = inline(InboundShipmentId), Path)), request_body = Close,
    security(("token" = ["stock:write"])), responses((status = 200, body = InboundDetail)))]
#[post("/inbound-shipments/{id}/cancel")]
async fn cancel_inbound_shipment(call: Call, path: RefPath<InboundShipmentId>, body: Body<Close>) -> Result<Reply> {
    end(call, path.0, InboundCommand::Cancel, body).await
}

/// Read a dock
///
/// What arrives when, and for which orders.
#[utoipa::path(tag = "cross docks", params(("id" = inline(LocationId), Path)), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = DockView)))]
#[get("/docks/{id}")]
async fn read_dock(call: Call, path: RefPath<LocationId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow_everywhere(Scope::FulfilmentRead)?);
    service::place(&*call.snapshot::<Locations>().await?, actor, id)?;
    Reply::ok(&call.read(move |tx| service::view(tx, id)).await?)
}

/// Set how a dock works
///
/// From now on goods cross it: what comes is matched with orders that wait for it, before it comes and when it is there.
#[utoipa::path(tag = "cross docks", params(("id" = inline(LocationId), Path)), request_body = DockRules,
    security(("token" = ["stock:write"])), responses((status = 200, body = DockView)))]
#[patch("/docks/{id}")]
async fn update_dock(call: Call, path: RefPath<LocationId>, body: Body<DockRules>) -> Result<Reply> {
    let (id, actor, now) = (path.0, call.allow_everywhere(Scope::StockWrite)?.clone(), call.now);
    let (locations, rules) = (call.snapshot::<Locations>().await?, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let version = service::set_hub(tx, Doing { now, actor: &actor, locations: &locations }, id, &rules)?;
        Ok(Reply::ok(&service::view(tx, id)?)?.version(version))
    })
    .await
}

/// Plan a dock now
///
/// Matches what comes with orders that wait for it. That is done every minute anyway; what was planned before stays.
#[utoipa::path(tag = "cross docks", params(("id" = inline(LocationId), Path)), security(("token" = ["fulfilment:write"])),
    responses((status = 200, body = Planned)))]
#[post("/docks/{id}/plan")]
async fn plan_dock(call: Call, path: RefPath<LocationId>, _body: NoBody) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow_everywhere(Scope::FulfilmentWrite)?.clone());
    let (now, fresh, locations) = (call.now, Fresh::new(), call.snapshot::<Locations>().await?);
    service::place(&locations, &actor, id)?;
    call.command(&Fingerprint::none(), move |tx| {
        let doing = Doing { now, actor: &actor, locations: &locations };
        Reply::ok(&Planned { matches: service::plan(tx, doing, &mut fresh.draw(), id)? })
    })
    .await
}

/// Read the figures of a dock
///
/// How much crossed it, how long that stood there, and what it saved.
#[utoipa::path(tag = "cross docks", params(("id" = inline(LocationId), Path), ReportQuery),
    security(("token" = ["fulfilment:read"])), responses((status = 200, body = DockReport)))]
#[get("/docks/{id}/report")]
async fn read_dock_report(call: Call, path: RefPath<LocationId>, query: Params<ReportQuery>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow_everywhere(Scope::FulfilmentRead)?);
    service::place(&*call.snapshot::<Locations>().await?, actor, id)?;
    let until = query.0.until.unwrap_or(call.now);
    let from = query.0.from.unwrap_or_else(|| until.plus_seconds(-30 * 86_400));
    Reply::ok(&call.read(move |tx| service::report(tx, id, (from, until))).await?)
}

/// List the matches of a dock
///
/// Which goods go to which orders; the newest first.
#[utoipa::path(tag = "cross docks", params(("id" = inline(LocationId), Path), MatchQuery),
    security(("token" = ["fulfilment:read"])), responses((status = 200, body = Page<DockMatch>)))]
#[get("/docks/{id}/matches")]
async fn list_dock_matches(call: Call, path: RefPath<LocationId>, query: List<MatchQuery>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow_everywhere(Scope::FulfilmentRead)?);
    service::place(&*call.snapshot::<Locations>().await?, actor, id)?;
    let at: At = (id, query.filter.state.map(|state| state.as_str()));
    let read = move |tx: &mut Tx, before, limit| service::match_page(tx, at, before, limit);
    query.answer(&call, |one: &DockMatch| one.id, read).await
}

/// List the tasks of a dock
///
/// What is to be unloaded, sorted, loaded and put away; the newest first.
#[utoipa::path(tag = "cross docks", params(("id" = inline(LocationId), Path), TaskQuery),
    security(("token" = ["fulfilment:read"])), responses((status = 200, body = Page<DockTask>)))]
#[get("/docks/{id}/tasks")]
async fn list_dock_tasks(call: Call, path: RefPath<LocationId>, query: List<TaskQuery>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow_everywhere(Scope::FulfilmentRead)?);
    service::place(&*call.snapshot::<Locations>().await?, actor, id)?;
    let at: At = (id, Some(query.filter.state.unwrap_or(TaskState::Open).as_str()));
    let read = move |tx: &mut Tx, before, limit| service::task_page(tx, at, before, limit);
    query.answer(&call, |one: &DockTask| one.id, read).await
}

/// End a task of a dock by a scan
///
/// Scan what you have in your hands. Loading packs the goods for their order; what has to be sorted is sorted before. A handling unit
/// that passes unopened is a package of its order from then on and keeps its SSCC; pieces of a known lot are in a package that names it.
#[utoipa::path(tag = "cross docks", params(("id" = inline(DockTaskId), Path)), request_body = Scanned,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = DockTask)))]
#[post("/dock-tasks/{id}/done")]
async fn end_dock_task(call: Call, path: RefPath<DockTaskId>, body: Body<Scanned>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow_everywhere(Scope::FulfilmentWrite)?.clone());
    let fresh = [Fresh::new(), Fresh::new(), Fresh::new(), Fresh::new()];
    let (now, locations) = (call.now, call.snapshot::<Locations>().await?);
    let code = body.value.scan.clone();
    if !(1..=200).contains(&code.len()) {
        return Err(Error::invalid("/scan", "expected 1 to 200 characters"));
    }
    call.command(&body.fingerprint, move |tx| {
        let doing = Doing { now, actor: &actor, locations: &locations };
        Reply::ok(&tasks::done(tx, doing, &fresh, id, &code)?)
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(arrive_inbound_shipment).service(reschedule_inbound_shipment).service(receive_inbound_shipment);
    config.service(close_inbound_shipment).service(cancel_inbound_shipment).service(correct_inbound_shipment);
    config.service(read_dock).service(update_dock).service(plan_dock).service(read_dock_report);
    config.service(list_dock_matches).service(list_dock_tasks).service(end_dock_task);
}
