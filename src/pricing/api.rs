//! Routes of price lists and their prices; those of tax and shipping are in [`settings`].

use actix_web::{HttpResponse, get, patch, post, put};

use super::{
    adjust,
    forms::{ExportedPrice, NewPriceList, PriceChange, PriceListPatch, PriceListView, PriceView, PricesChanged},
    history::{self, By},
    promotions, sale_prices, service, shipped_rates, simulate,
};
use crate::{
    db::Tx,
    error::Result,
    http::{All, Body, Call, IfMatch, List, Mount, Page, Params, RefPath, Reply, WholeQuery, whole},
    kernel::{
        Id, Instant, Scope,
        ids::{PriceChangeId, PriceListId},
    },
};

mod settings;

/// Make a price list
#[utoipa::path(tag = "set up a shop", request_body = NewPriceList, security(("token" = ["prices:write"])),
    responses((status = 201, body = PriceListView)))]
#[post("/price-lists")]
async fn create_price_list(call: Call, body: Body<NewPriceList>) -> Result<Reply> {
    let actor = call.allow(Scope::PricesWrite)?.clone();
    let (id, now, new, reference) = (Id::new(), call.now, body.value.clone(), call.request_id());
    call.reference_command(&body.fingerprint, move |tx| {
        let by = By { now, actor: &actor, reference: reference.as_deref() };
        let made = PriceListView::from(service::create_price_list(tx, by, id, &new)?);
        Ok(Reply::created(&made)?.version(made.version).location(format!("/v1/ops/price-lists/{}", made.id)))
    })
    .await
}

/// List the price lists
#[utoipa::path(tag = "set up a shop", security(("token" = ["prices:read"])),
    responses((status = 200, body = Page<PriceListView>)))]
#[get("/price-lists")]
async fn list_price_lists(call: Call, query: List<All>) -> Result<Reply> {
    let actor = call.allow(Scope::PricesRead)?.clone();
    let lists = call.read(move |tx| service::price_lists(tx, &actor)).await?;
    query.answer_from(&call, lists.into_iter().map(PriceListView::from).collect(), |list| list.id)
}

/// Read a price list
#[utoipa::path(tag = "set up a shop", params(("id" = inline(PriceListId), Path)), security(("token" = ["prices:read"])),
    responses((status = 200, body = PriceListView)))]
#[get("/price-lists/{id}")]
async fn read_price_list(call: Call, path: RefPath<PriceListId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::PricesRead)?.clone());
    let list = PriceListView::from(call.read(move |tx| service::price_list(tx, &actor, id)).await?);
    Ok(Reply::ok(&list)?.version(list.version))
}

/// Change a price list
///
/// Send the `ETag` you have seen as `If-Match`. The change is effective everywhere within a second. Code, currency and
/// channel stay as they are: prices hang on them. What it was is kept: `GET /v1/ops/price-lists/{id}/history`.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(PriceListId), Path), IfMatch), request_body = PriceListPatch,
    security(("token" = ["prices:write"])), responses((status = 200, body = PriceListView)))]
#[patch("/price-lists/{id}")]
async fn update_price_list(call: Call, path: RefPath<PriceListId>, body: Body<PriceListPatch>) -> Result<Reply> {
    let actor = call.allow(Scope::PricesWrite)?.clone();
    let (id, now, expected, patch) = (path.0, call.now, call.if_match()?, body.value.clone());
    let reference = call.request_id();
    call.reference_command(&body.fingerprint, move |tx| {
        let by = By { now, actor: &actor, reference: reference.as_deref() };
        let changed = PriceListView::from(service::update_price_list(tx, by, id, expected, &patch)?);
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// Set prices of a list
///
/// Sets and removes up to 1,000 prices, all or nothing. A price is replaced when SKU, `min_quantity` and `valid_from`
/// are the same; prices that are not named stay as they are. What changes is recorded: `GET /v1/ops/price-changes` lists it.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(PriceListId), Path)), request_body = PriceChange,
    security(("token" = ["prices:write"])), responses((status = 200, body = PricesChanged)))]
#[put("/price-lists/{id}/prices")]
async fn change_prices(call: Call, path: RefPath<PriceListId>, body: Body<PriceChange>) -> Result<Reply> {
    let actor = call.allow(Scope::PricesWrite)?.clone();
    let (id, now, change, reference) = (path.0, call.now, body.value.clone(), call.request_id());
    let ids: Vec<PriceChangeId> =
        std::iter::repeat_with(Id::new).take(change.rows.len() + change.remove.len()).collect();
    call.command(&body.fingerprint, move |tx| {
        let by = By { now, actor: &actor, reference: reference.as_deref() };
        Reply::ok(&service::change_prices(tx, by, id, &change, &ids)?)
    })
    .await
}

/// List the prices of a list
///
/// By SKU, quantity and beginning; those that are no longer valid too.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(PriceListId), Path)), security(("token" = ["prices:read"])),
    responses((status = 200, body = Page<PriceView>)))]
#[get("/price-lists/{id}/prices")]
async fn list_prices(call: Call, path: RefPath<PriceListId>, query: List<All>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::PricesRead)?.clone());
    let key = |price: &PriceView| (price.sku.clone(), price.min_quantity.get(), price.valid_from);
    let read = move |tx: &mut Tx, after: Option<(String, i64, Option<Instant>)>, limit| {
        service::prices_of(tx, &actor, id, after, limit)
    };
    query.answer(&call, key, read).await
}

/// Export the prices of a list
///
/// All of them in one file, as CSV or as NDJSON, of any length: each row is one that `POST /v1/integration/prices` takes as it is.
/// Rows are read as they are sent: a price that nobody touches meanwhile is in the file once, and one that is changed, made or
/// removed meanwhile as it was before or as it is then. The file is whole when the answer ends as HTTP ends one; where reading
/// fails, the connection is cut.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(PriceListId), Path), WholeQuery), security(("token" = ["prices:read"])),
    responses((status = 200, content((String = "text/csv"), (ExportedPrice = "application/x-ndjson")))))]
#[get("/price-lists/{id}/prices/export")]
async fn export_prices(call: Call, path: RefPath<PriceListId>, query: Params<WholeQuery>) -> Result<HttpResponse> {
    let (id, actor) = (path.0, call.allow(Scope::PricesRead)?.clone());
    whole(&call, &query.0, "prices", move |tx, after| service::prices_after(tx, &actor, id, after)).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_price_list).service(list_price_lists).service(read_price_list).service(update_price_list);
    config.service(change_prices).service(list_prices).service(export_prices);
    adjust::ops(config);
    history::api::ops(config);
    promotions::api::ops(config);
    sale_prices::ops(config);
    shipped_rates::ops(config);
    simulate::ops(config);
    settings::ops(config);
}
