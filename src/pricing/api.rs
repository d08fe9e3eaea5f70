//! Routes of price lists and their prices; those of tax and shipping are in [`settings`].

use actix_web::{get, patch, post, put};
use serde::Serialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{
    forms::{NewPriceList, PriceChange, PriceListPatch, PriceListView, PriceView, PricesChanged},
    service,
};
use crate::{
    error::Result,
    http::{Body, Call, Cursor, ListQuery, Page, Params, RefPath, Reply},
    kernel::{Id, Instant, Scope, ids::PriceListId, text::Sku},
};

mod settings;

/// A page of reference data, of which there is so little that it is read whole; `id` is the order of the list.
fn page<T: Serialize, I: Serialize + serde::de::DeserializeOwned + Ord>(
    call: &Call,
    query: &ListQuery,
    items: Vec<T>,
    id: impl Fn(&T) -> I,
) -> Result<Reply> {
    let limit = query.limit()?;
    let after: Option<I> = Cursor::decode_optional(query.cursor.as_deref())?;
    let rest = items.into_iter().filter(|item| after.as_ref().is_none_or(|after| id(item) > *after));
    let one_more = usize::try_from(limit).unwrap_or_default() + 1;
    Reply::page(call, &Page::cut(rest.take(one_more).collect(), limit, id)?)
}

/// Make a price list
#[utoipa::path(tag = "set up a shop", request_body = NewPriceList, security(("token" = ["prices:write"])),
    responses((status = 201, body = PriceListView)))]
#[post("/price-lists")]
async fn create_price_list(call: Call, body: Body<NewPriceList>) -> Result<Reply> {
    let actor = call.allow(Scope::PricesWrite)?.clone();
    let (id, now, new) = (Id::new(), call.now, body.value.clone());
    call.reference_command(&body.fingerprint, move |tx| {
        let made = PriceListView::from(service::create_price_list(tx, now, &actor, id, &new)?);
        Ok(Reply::created(&made)?.version(made.version).location(format!("/v1/ops/price-lists/{}", made.id)))
    })
    .await
}

/// List the price lists
#[utoipa::path(tag = "set up a shop", params(ListQuery), security(("token" = ["prices:read"])),
    responses((status = 200, body = Page<PriceListView>)))]
#[get("/price-lists")]
async fn list_price_lists(call: Call, query: Params<ListQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::PricesRead)?.clone();
    let lists = call.read(move |tx| service::price_lists(tx, &actor)).await?;
    page(&call, &query.0, lists.into_iter().map(PriceListView::from).collect(), |list| list.id)
}

/// Read a price list
#[utoipa::path(tag = "set up a shop", params(("id" = String, Path)), security(("token" = ["prices:read"])),
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
/// channel stay as they are: prices hang on them.
#[utoipa::path(tag = "set up a shop", params(("id" = String, Path)), request_body = PriceListPatch,
    security(("token" = ["prices:write"])), responses((status = 200, body = PriceListView)))]
#[patch("/price-lists/{id}")]
async fn update_price_list(call: Call, path: RefPath<PriceListId>, body: Body<PriceListPatch>) -> Result<Reply> {
    let actor = call.allow(Scope::PricesWrite)?.clone();
    let (id, now, expected, patch) = (path.0, call.now, call.if_match()?, body.value.clone());
    call.reference_command(&body.fingerprint, move |tx| {
        let changed = PriceListView::from(service::update_price_list(tx, now, &actor, id, expected, &patch)?);
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// Set prices of a list
///
/// Sets and removes up to 1,000 prices, all or nothing. A price is replaced when SKU, `min_quantity` and `valid_from`
/// are the same; prices that are not named stay as they are.
#[utoipa::path(tag = "set up a shop", params(("id" = String, Path)), request_body = PriceChange,
    security(("token" = ["prices:write"])), responses((status = 200, body = PricesChanged)))]
#[put("/price-lists/{id}/prices")]
async fn change_prices(call: Call, path: RefPath<PriceListId>, body: Body<PriceChange>) -> Result<Reply> {
    let actor = call.allow(Scope::PricesWrite)?.clone();
    let (id, now, change) = (path.0, call.now, body.value.clone());
    call.command(&body.fingerprint, move |tx| Reply::ok(&service::change_prices(tx, now, &actor, id, &change)?)).await
}

/// List the prices of a list
///
/// By SKU, quantity and beginning; those that are no longer valid too.
#[utoipa::path(tag = "set up a shop", params(("id" = String, Path), ListQuery), security(("token" = ["prices:read"])),
    responses((status = 200, body = Page<PriceView>)))]
#[get("/price-lists/{id}/prices")]
async fn list_prices(call: Call, path: RefPath<PriceListId>, query: Params<ListQuery>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::PricesRead)?.clone());
    let limit = query.0.limit()?;
    let after: Option<(Sku, i64, Option<Instant>)> = Cursor::decode_optional(query.0.cursor.as_deref())?;
    let after = after.map(|(sku, min_quantity, valid_from)| (sku.into_string(), min_quantity, valid_from));
    let items = call.read(move |tx| service::prices_of(tx, &actor, id, after, limit + 1)).await?;
    let key = |price: &PriceView| (price.sku.clone(), price.min_quantity.get(), price.valid_from);
    Reply::page(&call, &Page::cut(items, limit, key)?)
}

/// The routes of the ops surface.
pub fn ops(config: &mut ServiceConfig<'_>) {
    config.service(create_price_list).service(list_price_lists).service(read_price_list).service(update_price_list);
    config.service(change_prices).service(list_prices);
    settings::ops(config);
}
