//! The list of price changes.

use actix_web::get;

use super::{
    super::service::price_list,
    dto::{PriceChangeQuery, RecordedPriceChange},
    lists::{self, RecordedListChange},
    model::Place,
    service,
};
use crate::{
    channels::Directory,
    db::Tx,
    error::Result,
    http::{All, Call, List, Mount, Page, RefPath, Reply, paging::COUNT_CAP},
    kernel::{Scope, ids::PriceListId},
};

/// List the changes of prices
///
/// The newest first: who made a price what it is, when, and what it was before. Nothing is ever dropped. A write that left a
/// price as it was is no change; what a price was before there was a history, its first change tells.
#[utoipa::path(tag = "set up a shop", params(PriceChangeQuery), security(("token" = ["prices:read"])),
    responses((status = 200, body = Page<RecordedPriceChange>)))]
#[get("/price-changes")]
async fn list_price_changes(call: Call, query: List<PriceChangeQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::PricesRead)?.clone();
    let (wanted, directory) = (query.filter.clone(), call.snapshot::<Directory>().await?);
    let channel = match wanted.price_list_id {
        None => None,
        Some(id) => {
            let who = actor.clone();
            let list = call.read(move |tx| price_list(tx, &who, id)).await;
            list.map_err(|error| error.at("price_list_id"))?.channel
        }
    };
    let span = directory.span(&actor, channel, ("from", wanted.from), ("to", wanted.to))?;
    let (counter, counted) = (actor.clone(), wanted.clone());
    let count = move |tx: &mut Tx| service::count(tx, &counter, (&counted, span), COUNT_CAP);
    let read =
        move |tx: &mut Tx, before: Option<Place>, limit| service::page(tx, &actor, (&wanted, span), before, limit);
    let place = |change: &RecordedPriceChange| (change.changed_at.micros(), change.seq);
    query.answer_counted(&call, place, count, read).await
}

/// List the changes of a price list
///
/// Of the list itself: its validity, priority, announcement, name. The newest first: who, when, from what to what. Nothing is ever
/// dropped; what a list was before there was a history, its first change tells.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(PriceListId), Path)), security(("token" = ["prices:read"])),
    responses((status = 200, body = Page<RecordedListChange>)))]
#[get("/price-lists/{id}/history")]
async fn list_price_list_changes(call: Call, path: RefPath<PriceListId>, query: List<All>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::PricesRead)?.clone());
    let read = move |tx: &mut Tx, before, limit| lists::page(tx, &actor, id, before, limit);
    query.answer(&call, |change: &RecordedListChange| change.version, read).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(list_price_changes).service(list_price_list_changes);
}
