//! Routes of lots; and what is done about those that have kept as long as they keep.

use std::sync::Arc;

use actix_web::{get, patch, post};

use super::{
    dto::{LotHeld, LotLine, LotMovement, LotPatch, LotQuery, LotReceiver, LotsHeld, LotsRequest, NamedLots},
    model::Lot,
    service,
};
use crate::{
    db::{Lane, Tx},
    error::{Code, Error, Result},
    http::{All, Body, Call, IfMatch, List, Mount, Page, Params, RefPath, Reply, State},
    jobs::Runner,
    kernel::{
        Actor, Id, Scope,
        ids::{EventId, LotId},
    },
    stock::{Locations, adjust, dto::check_count, outlook},
};

/// What is done to a lot wherever it lies is not for those who are limited to some places.
fn everywhere(call: &Call, scope: Scope) -> Result<Actor> {
    let actor = call.allow_everywhere(scope)?;
    if actor.locations().is_none() {
        return Ok(actor.clone());
    }
    let detail = "a lot may lie anywhere, and the credential is limited to some locations";
    Err(Error::problem(Code::ScopeMissing, detail))
}

/// Say which pieces are of which lot
///
/// All lines or none. It changes nothing that lies there: book goods in first. What is in no lot is sold too, after what is.
#[utoipa::path(tag = "keep stock", request_body = LotsRequest, security(("token" = ["stock:write"])),
    responses((status = 200, body = NamedLots)))]
#[post("/lots")]
async fn name_lots(call: Call, body: Body<LotsRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    check_count(body.lines.len(), 200, "/lines")?;
    let (now, request, locations) = (call.now, body.value.clone(), call.snapshot::<Locations>().await?);
    let fresh: Vec<(LotId, EventId)> = request.lines.iter().map(|_| (Id::new(), Id::new())).collect();
    call.command(&body.fingerprint, move |tx| {
        let named = request.lines.iter().map(|line| (&line.sku, &line.location));
        let keys = outlook::api::keys(tx, &actor, named, &locations)?;
        let lines = request.lines.iter().zip(keys).zip(&fresh).enumerate();
        let read =
            |(place, ((line, key), fresh)): (usize, ((&LotLine, _), &(LotId, EventId)))| line.read(place, key, *fresh);
        let lines: Vec<_> = lines.map(read).collect::<Result<_>>()?;
        let items = service::name(tx, now, &actor, &lines, request.reference.as_deref())?;
        Reply::ok(&NamedLots { items })
    })
    .await
}

/// List the lots of a SKU
///
/// Those that lie somewhere, in the order in which they leave: what expires first.
#[utoipa::path(tag = "keep stock", params(LotQuery), security(("token" = ["stock:read"])),
    responses((status = 200, body = LotsHeld)))]
#[get("/lots")]
async fn list_lots(call: Call, query: Params<LotQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::StockRead)?.clone();
    let (wanted, locations) = (query.0, call.snapshot::<Locations>().await?);
    let places = match &wanted.location {
        Some(reference) => {
            let found = locations.by_ref(reference).filter(|location| actor.sees_location(location.id));
            Some(vec![found.ok_or_else(|| Error::not_found("location").at("location"))?.id])
        }
        None => actor.locations().map(<[_]>::to_vec),
    };
    let found = call.read(move |tx| {
        let variant = adjust::variants(tx, std::iter::once(wanted.sku.as_str()))?.get(&wanted.sku).copied();
        let found = match variant {
            Some(variant) => service::list(tx, variant, places.as_deref())?,
            None => Vec::new(),
        };
        Ok(LotsHeld { items: found.into_iter().map(|one| LotHeld::of(one, &locations)).collect() })
    });
    Reply::ok(&found.await?)
}

/// Block, recall or free a lot
///
/// What lies of it anywhere can be sold no more, or again. Send the `ETag` you have seen as `If-Match`.
#[utoipa::path(tag = "keep stock", params(("id" = inline(LotId), Path), IfMatch), request_body = LotPatch,
    security(("token" = ["stock:write"])), responses((status = 200, body = Lot)))]
#[patch("/lots/{id}")]
async fn change_lot(call: Call, path: RefPath<LotId>, body: Body<LotPatch>) -> Result<Reply> {
    let actor = everywhere(&call, Scope::StockWrite)?;
    let (id, now, expected, patch) = (path.0, call.now, call.if_match()?, body.value.clone());
    let fresh: Vec<EventId> = call.snapshot::<Locations>().await?.iter().map(|_| Id::new()).collect();
    call.command(&body.fingerprint, move |tx| {
        let reason = patch.reason.as_ref().map(ToString::to_string);
        let lot = service::change_state(tx, now, &actor, (id, expected), (patch.state, reason), &fresh)?;
        Ok(Reply::ok(&lot)?.version(lot.version))
    })
    .await
}

/// Read a lot
#[utoipa::path(tag = "keep stock", params(("id" = inline(LotId), Path)), security(("token" = ["stock:read"])),
    responses((status = 200, body = Lot)))]
#[get("/lots/{id}")]
async fn read_lot(call: Call, path: RefPath<LotId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::StockRead)?.clone());
    let lot = call.read(move |tx| service::visible(tx, &actor, id)).await?;
    Ok(Reply::ok(&lot)?.version(lot.version))
}

/// Tell who was sent pieces of a lot
///
/// The orders with which they left, the newest first.
#[utoipa::path(tag = "keep stock", params(("id" = inline(LotId), Path)), security(("token" = ["stock:read"])),
    responses((status = 200, body = Page<LotReceiver>)))]
#[get("/lots/{id}/receivers")]
async fn list_receivers(call: Call, path: RefPath<LotId>, query: List<All>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::StockRead)?.clone());
    let (seen_by, locations) = (actor.clone(), call.snapshot::<Locations>().await?);
    let read = move |tx: &mut Tx, before, limit| {
        service::visible(tx, &actor, id)?;
        let rows = service::received(tx, id, before, limit)?;
        // The orders may be of any channel: who is limited to some is not told which they are.
        let told = |one: LotReceiver| match actor.channels() {
            None => one,
            Some(_) => LotReceiver { order_id: None, ..one },
        };
        Ok(rows.iter().map(|one| told(LotReceiver::of(one, &locations))).collect())
    };
    let seen = move |one: &LotReceiver| seen_by.sees_location(one.location_id);
    query.answer_seen(&call, |one: &LotReceiver| one.seq, seen, read).await
}

/// List the movements of a lot
///
/// What came to it and left it, with which document, the newest first; where the credential is limited to locations, there.
#[utoipa::path(tag = "keep stock", params(("id" = inline(LotId), Path)), security(("token" = ["stock:read"])),
    responses((status = 200, body = Page<LotMovement>)))]
#[get("/lots/{id}/movements")]
async fn list_lot_movements(call: Call, path: RefPath<LotId>, query: List<All>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::StockRead)?.clone());
    let locations = call.snapshot::<Locations>().await?;
    let read = move |tx: &mut Tx, before, limit| {
        service::visible(tx, &actor, id)?;
        let rows = service::movements(tx, (id, actor.locations()), before, limit)?;
        // The orders may be of any channel: who is limited to some is not told which they are.
        let told = |one: LotMovement| match actor.channels() {
            None => one,
            Some(_) => LotMovement { reference: None, ..one },
        };
        Ok(rows.into_iter().map(|one| told(LotMovement::of(one, &locations))).collect())
    };
    query.answer(&call, |one: &LotMovement| one.seq, read).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(name_lots).service(list_lots).service(list_receivers).service(read_lot).service(change_lot);
    config.service(list_lot_movements);
}

/// What is done beside requests: what has kept as long as it keeps is not sold any more.
pub fn work(state: &State, runner: &mut Runner) {
    const BITE: i64 = 20;
    let db = Arc::new(state.db.clone());
    runner.every("stock.expire-lots", 60, move |now| {
        let db = db.clone();
        async move {
            loop {
                let fresh: Vec<EventId> = (0..BITE).map(|_| Id::new()).collect();
                let ended = db.write_in(Lane::Bulk, move |tx| {
                    service::expire_ended(tx, now, &Actor::System("stock"), BITE, &fresh)
                });
                if i64::try_from(ended.await?).is_ok_and(|ended| ended < BITE) {
                    return Ok(());
                }
            }
        }
    });
}
