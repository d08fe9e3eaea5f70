//! Routes of what can be had; and what is done about its dates beside requests.

use std::sync::Arc;

use actix_web::{get, post, put};

use super::{
    dto::{
        Availabilities, AvailabilityRequest, BackordersRequest, ExpectedRequest, LevelOutlook, OutlookDocument,
        OutlookQuery, SkuAvailability,
    },
    service,
};
use crate::{
    catalog,
    channels::{Channel, Directory},
    customers,
    db::{Lane, Tx},
    error::{Code, Error, Result},
    http::{Body, Call, Mount, Params, Reply, State},
    jobs::Runner,
    kernel::{
        Actor, Id, Scope,
        actor::Identity,
        ids::{EventId, VariantId},
        text::{Sku, Text},
    },
    stock::{
        Locations, Market, adjust,
        api::names,
        dto::{Levels, check_count},
        list::Filter,
        model::{LevelKey, Selling},
    },
};

/// How many SKUs one call may ask for.
const MAX_SKUS: usize = 200;

/// Ask what can be had
///
/// Up to 200 SKUs at once, for pages that show no prices. How many there are is told only where few are left: from the channel's
/// `low_stock` on. Nothing is reserved.
#[utoipa::path(tag = "browse", request_body = AvailabilityRequest, responses((status = 200, body = Availabilities)))]
#[post("/availability")]
async fn ask_availability(call: Call, body: Body<AvailabilityRequest>) -> Result<Reply> {
    let shopper = call.shopper()?;
    check_count(body.skus.len(), MAX_SKUS, "/skus")?;
    let directory = call.snapshot::<Directory>().await?;
    let channel = directory.get(shopper.channel)?;
    let low = channel.settings.low_stock;
    let locations = call.snapshot::<Locations>().await?;
    let (sells, identity, now) = (channel.clone(), shopper.identity.clone(), call.now);
    let skus: Vec<String> = body.skus.iter().map(ToString::to_string).collect();
    let asked = skus.clone();
    let (variants, shelves) = call
        .read(move |tx| {
            let group = group(tx, &sells, identity.as_ref())?;
            let selling = Selling::of(&sells, group.as_deref(), now);
            let mut variants = catalog::by_skus(tx, &asked)?;
            let market = Market::of(&locations, sells.id);
            let shelves = service::shelves(tx, &mut variants, (selling, market))?;
            Ok((variants, shelves))
        })
        .await?;
    let item = |sku: &String| {
        let variant = variants.iter().find(|variant| variant.sku == *sku);
        let shelf = variant.and_then(|variant| shelves.get(&variant.id)).copied().unwrap_or_default();
        SkuAvailability::of(sku, variant, shelf, low)
    };
    Reply::ok(&Availabilities { items: skus.iter().map(item).collect() })
}

/// The group of who asks. No statement where nobody is signed in, or goods keep long enough in the channel for all groups alike.
fn group(tx: &mut Tx, channel: &Channel, identity: Option<&Identity>) -> Result<Option<String>> {
    let asks = channel.settings.min_shelf_life.as_ref().is_some_and(|life| !life.groups.is_empty());
    let Some(identity) = identity.filter(|_| asks) else { return Ok(None) };
    match customers::find(tx, identity)? {
        Some(customer) => Ok(customers::standing(tx, customer)?.group),
        None => Ok(None),
    }
}

/// Look what can be promised day by day
///
/// What is there to sell, and what is to come until each day. Reservations, orders and safety stock are taken off.
#[utoipa::path(tag = "keep stock", params(OutlookQuery), security(("token" = ["stock:read"])),
    responses((status = 200, body = OutlookDocument)))]
#[get("/stock/outlook")]
async fn read_outlook(call: Call, query: Params<OutlookQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::StockRead)?.clone();
    let (now, wanted, locations) = (call.now, query.0, call.snapshot::<Locations>().await?);
    let days = wanted.days()?;
    let skus: Vec<String> =
        wanted.sku.split(',').map(str::trim).filter(|sku| !sku.is_empty()).map(str::to_owned).collect();
    if skus.is_empty() || skus.len() > 20 {
        return Err(Error::problem(Code::InvalidQuery, "sku takes 1 to 20 SKUs, separated by commas").at("sku"));
    }
    let places = match &wanted.location {
        Some(reference) => {
            let found = locations.by_ref(reference).filter(|location| actor.sees_location(location.id));
            Some(vec![found.ok_or_else(|| Error::not_found("location").at("location"))?.id])
        }
        None => actor.locations().map(<[_]>::to_vec),
    };
    let found = call.read(move |tx| {
        let variants: Vec<VariantId> = adjust::variants(tx, skus.iter().map(String::as_str))?.into_values().collect();
        let filter = Filter { variants: Some(variants), locations: places, ..Filter::default() };
        let found = service::outlook(tx, now, &filter, &locations, days)?;
        let names = names(tx, found.iter().map(|one| one.level.variant), &locations)?;
        Ok(OutlookDocument { items: found.into_iter().map(|one| LevelOutlook::of(one, &names)).collect() })
    });
    Reply::ok(&found.await?)
}

/// The levels that lines name, in their order.
pub(in crate::stock) fn keys<'a>(
    tx: &mut Tx,
    actor: &Actor,
    lines: impl Iterator<Item = (&'a Sku, &'a Text<50>)> + Clone,
    locations: &Locations,
) -> Result<Vec<LevelKey>> {
    let skus = lines.clone().map(|(sku, _)| &**sku);
    let variants = adjust::stocked(tx, skus, |place| format!("/lines/{place}/sku"))?;
    let key = |(place, (sku, location)): (usize, (&Sku, &Text<50>))| {
        let pointer = format!("/lines/{place}");
        let location = adjust::place(actor, locations, location, &pointer)?;
        Ok((adjust::known(&variants, sku, &pointer)?, location.id))
    };
    lines.enumerate().map(key).collect()
}

/// Set how many may be sold beyond what is there
///
/// All lines or none: backorders and pre-orders with a limit, of variants whose backorders are denied otherwise. The limit holds
/// however many buy at once. What was sold so already stays sold.
#[utoipa::path(tag = "keep stock", request_body = BackordersRequest, security(("token" = ["stock:write"])),
    responses((status = 200, body = Levels)))]
#[put("/stock/backorders")]
async fn set_backorders(call: Call, body: Body<BackordersRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    check_count(body.lines.len(), 200, "/lines")?;
    let (now, lines, locations) = (call.now, body.value.lines.clone(), call.snapshot::<Locations>().await?);
    let fresh: Vec<EventId> = lines.iter().map(|_| Id::new()).collect();
    call.command(&body.fingerprint, move |tx| {
        let keys = keys(tx, &actor, lines.iter().map(|line| (&line.sku, &line.location)), &locations)?;
        let rows = lines.iter().zip(keys).enumerate().map(|(place, (line, key))| line.read(place, key, now));
        let levels = service::set_backorders(tx, now, &actor, &rows.collect::<Result<Vec<_>>>()?, &fresh)?;
        let names = names(tx, levels.iter().map(|level| level.variant), &locations)?;
        Reply::ok(&Levels { items: levels.iter().map(|level| names.level(level)).collect() })
    })
    .await
}

/// Say what is to come
///
/// By a document of your own, instead of what was said of it before. It is shown in the outlook, and reserves and allocates nothing.
#[utoipa::path(tag = "keep stock", request_body = ExpectedRequest, security(("token" = ["stock:write"])),
    responses((status = 204)))]
#[put("/stock/expected")]
async fn set_expected(call: Call, body: Body<ExpectedRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    if body.lines.len() > 1000 {
        return Err(Error::invalid("/lines", "expected at most 1000 entries"));
    }
    let (now, request, locations) = (call.now, body.value.clone(), call.snapshot::<Locations>().await?);
    call.command(&body.fingerprint, move |tx| {
        let lines = &request.lines;
        let keys = keys(tx, &actor, lines.iter().map(|line| (&line.sku, &line.location)), &locations)?;
        let rows = lines.iter().zip(keys).enumerate().map(|(place, (line, key))| line.read(place, key));
        service::replace_expected(tx, (now, &actor), &request.reference, &rows.collect::<Result<Vec<_>>>()?)?;
        Ok(Reply::no_content())
    })
    .await
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(ask_availability);
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(read_outlook).service(set_backorders).service(set_expected);
}

/// What is done beside requests: what is sold beyond what is there ends when it is to.
pub fn work(state: &State, runner: &mut Runner) {
    const BITE: usize = 100;
    let db = Arc::new(state.db.clone());
    runner.every("stock.close-backorders", 60, move |now| {
        let db = db.clone();
        async move {
            loop {
                let fresh: Vec<EventId> = (0..BITE).map(|_| Id::new()).collect();
                let ended =
                    db.write_in(Lane::Bulk, move |tx| service::close_ended(tx, now, &Actor::System("stock"), &fresh));
                if ended.await? < BITE {
                    return Ok(());
                }
            }
        }
    });
}
