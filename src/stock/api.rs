//! Routes of locations, levels and movements; and what is done about due reservations beside requests.

use std::sync::Arc;

use actix_web::{get, patch, post};

use super::{
    adjust::{self, Adjustment},
    counts,
    docked::AtDocks,
    dto::{
        AdjustmentRequest, LevelDocument, Levels, Movement, MovementQuery, Names, SafetyRequest, StockQuery, StockRow,
        StockRowsTaken, check_count,
    },
    list::{self, Filter},
    lots,
    model::{Level, Location, LocationPatch, Locations, MovementKind, NewLocation},
    outlook, places, service, snapshots, transfers, watches,
};
use crate::{
    catalog,
    db::{Lane, Tx},
    error::{Code, Error, Result},
    http::{All, Body, Call, IfMatch, List, Mount, Page, RefPath, Reply, State},
    jobs::Runner,
    kernel::{Actor, Id, Instant, Scope, ids::LocationId, ids::VariantId},
};

/// Make a location
#[utoipa::path(tag = "keep stock", request_body = NewLocation, security(("token" = ["stock:write"])),
    responses((status = 201, body = Location)))]
#[post("/locations")]
async fn create_location(call: Call, body: Body<NewLocation>) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    let (id, now, new) = (Id::new(), call.now, body.value.clone());
    call.reference_command(&body.fingerprint, move |tx| {
        let made = places::create_location(tx, &actor, now, id, &new)?;
        Ok(Reply::created(&made)?.version(made.version).location(format!("/v1/ops/locations/{}", made.id)))
    })
    .await
}

/// List the locations
///
/// In the order in which they are asked when an order is placed.
#[utoipa::path(tag = "keep stock", security(("token" = ["stock:read"])),
    responses((status = 200, body = Page<Location>)))]
#[get("/locations")]
async fn list_locations(call: Call, query: List<All>) -> Result<Reply> {
    let actor = call.allow(Scope::StockRead)?;
    let locations = call.snapshot::<Locations>().await?;
    let seen = locations.iter().filter(|location| actor.sees_location(location.id));
    query.answer_from(&call, seen.cloned().collect(), |location| (location.priority, location.code.clone()))
}

/// Read a location
#[utoipa::path(tag = "keep stock", params(("id" = inline(LocationId), Path)), security(("token" = ["stock:read"])),
    responses((status = 200, body = Location)))]
#[get("/locations/{id}")]
async fn read_location(call: Call, path: RefPath<LocationId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::StockRead)?.clone());
    let location = call.read(move |tx| places::visible(tx, &actor, id)).await?;
    Ok(Reply::ok(&location)?.version(location.version))
}

/// Change a location
///
/// Send the `ETag` you have seen as `If-Match`. The change is effective everywhere within a second.
#[utoipa::path(tag = "keep stock", params(("id" = inline(LocationId), Path), IfMatch), request_body = LocationPatch,
    security(("token" = ["stock:write"])), responses((status = 200, body = Location)))]
#[patch("/locations/{id}")]
async fn update_location(call: Call, path: RefPath<LocationId>, body: Body<LocationPatch>) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    let (id, now, expected, patch) = (path.0, call.now, call.if_match()?, body.value.clone());
    call.reference_command(&body.fingerprint, move |tx| {
        let changed = places::update_location(tx, &actor, now, id, expected, &patch)?;
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// What a list's query asks for, within what the actor may see.
fn filter(
    tx: &mut Tx,
    actor: &Actor,
    locations: &Locations,
    (sku, location): (Option<&str>, Option<&str>),
) -> Result<Filter> {
    let locations = match location {
        Some(reference) => {
            let found = locations.by_ref(reference).filter(|location| actor.sees_location(location.id));
            Some(vec![found.ok_or_else(|| Error::not_found("location").at("location"))?.id])
        }
        None => actor.locations().map(<[_]>::to_vec),
    };
    let Some(skus) = sku else { return Ok(Filter { locations, ..Filter::default() }) };
    let skus: Vec<&str> = skus.split(',').map(str::trim).filter(|sku| !sku.is_empty()).collect();
    if skus.is_empty() || skus.len() > 100 {
        return Err(Error::problem(Code::InvalidQuery, "sku takes 1 to 100 SKUs, separated by commas").at("sku"));
    }
    let variants = adjust::variants(tx, skus.into_iter())?.into_values().collect();
    Ok(Filter { variants: Some(variants), locations, ..Filter::default() })
}

/// The SKUs of variants.
pub(super) fn names<'a>(
    tx: &mut Tx,
    variants: impl Iterator<Item = VariantId>,
    locations: &'a Locations,
) -> Result<Names<'a>> {
    let mut variants: Vec<VariantId> = variants.collect();
    variants.sort_unstable();
    variants.dedup();
    Ok(Names { skus: catalog::skus_of(tx, &variants)?, locations })
}

/// List the stock levels
///
/// By variant, then location.
#[utoipa::path(tag = "keep stock", params(StockQuery), security(("token" = ["stock:read"])),
    responses((status = 200, body = Page<LevelDocument>)))]
#[get("/stock/levels")]
async fn list_levels(call: Call, query: List<StockQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::StockRead)?.clone();
    let (wanted, locations) = (query.filter.clone(), call.snapshot::<Locations>().await?);
    let read = move |tx: &mut Tx, after, limit| {
        let filter = filter(tx, &actor, &locations, (wanted.sku.as_deref(), wanted.location.as_deref()))?;
        let levels = list::levels(tx, &filter, after, limit)?;
        let names = names(tx, levels.iter().map(|level| level.variant), &locations)?;
        Ok(levels.iter().map(|level| names.level(level)).collect())
    };
    query.answer(&call, |level: &LevelDocument| (level.variant_id, level.location_id), read).await
}

/// List the stock movements
///
/// The newest first.
#[utoipa::path(tag = "keep stock", params(MovementQuery), security(("token" = ["stock:read"])),
    responses((status = 200, body = Page<Movement>)))]
#[get("/stock/movements")]
async fn list_movements(call: Call, query: List<MovementQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::StockRead)?.clone();
    if query.filter.reference.is_some() && actor.channels().is_some() {
        let detail = "the documents may be of any channel, and the credential is limited to some";
        return Err(Error::problem(Code::ScopeMissing, detail).at("reference"));
    }
    if query.filter.reference.as_deref().is_some_and(|text| text.chars().count() > 200 || text.contains('\0')) {
        return Err(Error::problem(Code::InvalidQuery, "reference is longer than 200 characters, or holds a NUL")
            .at("reference"));
    }
    let kinds = kinds(&query.filter)?;
    let (wanted, locations) = (query.filter.clone(), call.snapshot::<Locations>().await?);
    let read = move |tx: &mut Tx, before, limit| {
        let found = filter(tx, &actor, &locations, (wanted.sku.as_deref(), wanted.location.as_deref()))?;
        let filter = Filter { reference: wanted.reference.clone(), kinds: kinds.clone(), ..found };
        let rows = list::movements(tx, &filter, before, limit)?;
        let names = names(tx, rows.iter().map(|row| row.key.0), &locations)?;
        // An order behind a movement may be of any channel: who is limited to some is not told which it is.
        let told = |movement: Movement| match actor.channels() {
            None => movement,
            Some(_) => {
                // The words of a pick name whose it is.
                let reason = movement.reason.filter(|_| movement.kind != MovementKind::Pick);
                Movement { reference: None, idempotency_key: None, reason, ..movement }
            }
        };
        Ok(rows.into_iter().map(|row| told(names.movement(row))).collect())
    };
    query.answer(&call, |movement: &Movement| movement.seq, read).await
}

/// The kinds of movements that a list is narrowed to. Alone they have no index.
fn kinds(query: &MovementQuery) -> Result<Option<Vec<MovementKind>>> {
    let wrong = |detail: String| Error::problem(Code::InvalidQuery, detail).at("kinds");
    let Some(kinds) = &query.kinds else { return Ok(None) };
    if query.sku.is_none() && query.reference.is_none() {
        return Err(wrong("kinds narrow the movements of a sku or of a reference: name one".to_owned()));
    }
    let words = kinds.split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| word.parse::<MovementKind>().map_err(|error| wrong(error.to_string())))
        .collect::<Result<_>>()
        .map(Some)
}

fn documents(tx: &mut Tx, levels: &[Level], locations: &Locations) -> Result<Levels> {
    let names = names(tx, levels.iter().map(|level| level.variant), locations)?;
    Ok(Levels { items: levels.iter().map(|level| names.level(level)).collect() })
}

/// Count, receive or write off goods
///
/// All lines or none, in the order given. `expected_on_hand` makes a line a compare-and-set. What stands at a dock for orders stays there:
/// what is free goes first, and no more than that.
#[utoipa::path(tag = "keep stock", request_body = AdjustmentRequest, security(("token" = ["stock:write"])),
    responses((status = 200, body = Levels)))]
#[post("/stock/adjustments")]
async fn create_adjustment(call: Call, body: Body<AdjustmentRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    let occurred_at = past(&call, body.occurred_at)?;
    let (now, lines, locations) = (call.now, body.lines()?, call.snapshot::<Locations>().await?);
    let docks = AtDocks::of(&call)?;
    call.command(&body.fingerprint, move |tx| {
        let adjusted = adjust::adjust(tx, now, &actor, &lines, &locations, occurred_at)?;
        docks.leave(tx, &adjusted.lowered)?;
        Reply::ok(&documents(tx, &adjusted.levels, &locations)?)
    })
    .await
}

/// When something happened: now, or in the past for those who may say so.
fn past(call: &Call, occurred_at: Option<Instant>) -> Result<Instant> {
    let Some(occurred_at) = occurred_at else { return Ok(call.now) };
    call.allow(Scope::HistoryWrite)?;
    if occurred_at > call.now {
        return Err(Error::problem(Code::HistoryInFuture, "occurred_at lies in the future").at("/occurred_at"));
    }
    Ok(occurred_at)
}

/// Set safety stocks
///
/// All lines or none. What is held back so is never sold.
#[utoipa::path(tag = "keep stock", request_body = SafetyRequest, security(("token" = ["stock:write"])),
    responses((status = 200, body = Levels)))]
#[patch("/stock/levels")]
async fn update_safety(call: Call, body: Body<SafetyRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    let (now, lines, locations) = (call.now, body.lines()?, call.snapshot::<Locations>().await?);
    call.command(&body.fingerprint, move |tx| {
        let levels = adjust::set_safety(tx, now, &actor, &lines, &locations)?;
        Reply::ok(&documents(tx, &levels, &locations)?)
    })
    .await
}

/// Set stock levels in bulk
///
/// What another system counts: up to 1,000 rows, all or none. The difference to what is on hand is booked; a row that
/// makes no difference leaves no trace.
#[utoipa::path(tag = "import", request_body = Vec<StockRow>, security(("token" = ["stock:write"])),
    responses((status = 200, body = StockRowsTaken)))]
#[post("/stock-levels")]
async fn set_levels(call: Call, body: Body<Vec<StockRow>>) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    check_count(body.value.len(), 1000, "")?;
    let lines: Vec<Adjustment> = body.value.iter().enumerate().map(|(place, row)| row.read(place)).collect();
    let (now, locations) = (call.now, call.snapshot::<Locations>().await?);
    call.command_in(Lane::Bulk, &body.fingerprint, move |tx| {
        let adjusted = adjust::adjust(tx, now, &actor, &lines, &locations, now)?;
        Reply::ok(&StockRowsTaken { rows: adjusted.levels.len(), changed: adjusted.changed })
    })
    .await
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    outlook::api::store(config);
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_location).service(list_locations).service(read_location).service(update_location);
    super::bins::ops(config);
    super::sourcing::api::ops(config);
    outlook::api::ops(config);
    lots::api::ops(config);
    watches::api::ops(config);
    super::channel_safety::api::ops(config);
    config.service(list_levels).service(update_safety).service(create_adjustment).service(list_movements);
    transfers::api::ops(config);
    counts::api::ops(config);
}

/// The routes of the integration surface.
pub fn integration(config: &mut Mount<'_>) {
    config.service(set_levels);
    snapshots::api::integration(config);
}

/// What is done beside requests: due reservations end, and ended ones are dropped after a week.
pub fn work(state: &State, runner: &mut Runner) {
    outlook::api::work(state, runner);
    lots::api::work(state, runner);
    watches::api::work(state, runner);
    let db = Arc::new(state.db.clone());
    let expiring = db.clone();
    runner.every("stock.expire-reservations", 30, move |now| {
        let db = expiring.clone();
        async move {
            while db.write_in(Lane::Bulk, move |tx| service::expire_due(tx, now, 200)).await? > 0 {}
            Ok(())
        }
    });
    runner.every("stock.purge-reservations", 3600, move |now| {
        let db = db.clone();
        async move {
            let before = now.plus_seconds(-7 * 86_400);
            while db.write_in(Lane::Bulk, move |tx| service::purge_ended(tx, before, 1000)).await? == 1000 {}
            Ok(())
        }
    });
}
