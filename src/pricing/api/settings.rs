//! Routes of tax rates and shipping methods.

use actix_web::{delete, get, patch, post, web};

use super::super::{
    forms::{NewTaxRate, TaxRateView},
    service::{self, Markets},
    shipping_forms::{NewShippingMethod, ShippingMethodPatch, ShippingMethodView},
};
use crate::{
    error::{Error, Result},
    http::{All, Body, Call, IfMatch, List, Mount, Page, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Id, Scope,
        ids::{ShippingMethodId, TaxRateId},
    },
    stock::Locations,
};

/// Make a tax rate
///
/// When a rate changes, make the new one with its `valid_from`: of several that are valid the latest beginning counts.
#[utoipa::path(tag = "set up a shop", request_body = NewTaxRate, security(("token" = ["settings:write"])),
    responses((status = 201, body = TaxRateView)))]
#[post("/tax-rates")]
async fn create_tax_rate(call: Call, body: Body<NewTaxRate>) -> Result<Reply> {
    let actor = call.allow(Scope::SettingsWrite)?.clone();
    let (id, now, new) = (Id::new(), call.now, body.value.clone());
    call.reference_command(&body.fingerprint, move |tx| {
        Reply::created(&TaxRateView::from(service::create_tax_rate(tx, now, &actor, id, &new)?))
    })
    .await
}

/// List the tax rates
#[utoipa::path(tag = "set up a shop", security(("token" = ["settings:read"])),
    responses((status = 200, body = Page<TaxRateView>)))]
#[get("/tax-rates")]
async fn list_tax_rates(call: Call, query: List<All>) -> Result<Reply> {
    call.allow(Scope::SettingsRead)?;
    let rates = call.read(service::tax_rates).await?;
    query.answer_from(&call, rates.into_iter().map(TaxRateView::from).collect(), |rate| rate.id)
}

/// Remove a tax rate
///
/// Orders keep the rate they were placed with.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(TaxRateId), Path)),
    security(("token" = ["settings:write"])),
    responses((status = 204)))]
#[delete("/tax-rates/{id}")]
async fn delete_tax_rate(call: Call, path: RefPath<TaxRateId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::SettingsWrite)?.clone());
    call.reference_command(&Fingerprint::none(), move |tx| {
        service::delete_tax_rate(tx, &actor, id)?;
        Ok(Reply::no_content())
    })
    .await
}

fn markets(call: &Call) -> Result<Markets> {
    let markets = call.request().app_data::<web::Data<Markets>>().map(|markets| ***markets);
    markets.ok_or_else(|| Error::internal("no markets"))
}

/// Make a shipping method
///
/// Its rates are in currencies that the channel sells in, for countries that it delivers to.
#[utoipa::path(tag = "set up a shop", request_body = NewShippingMethod, security(("token" = ["settings:write"])),
    responses((status = 201, body = ShippingMethodView)))]
#[post("/shipping-methods")]
async fn create_shipping_method(call: Call, body: Body<NewShippingMethod>) -> Result<Reply> {
    let actor = call.allow(Scope::SettingsWrite)?.clone();
    let (id, now, new, markets) = (Id::new(), call.now, body.value.clone(), markets(&call)?);
    let locations = call.snapshot::<Locations>().await?;
    call.reference_command(&body.fingerprint, move |tx| {
        service::check_pickup(&actor, &locations, new.pickup_location_id)?;
        let made = service::create_shipping_method(tx, now, &actor, markets, id, &new)?;
        let made = ShippingMethodView::from((made, 1));
        Ok(Reply::created(&made)?.version(made.version).location(format!("/v1/ops/shipping-methods/{}", made.id)))
    })
    .await
}

/// List the shipping methods
#[utoipa::path(tag = "set up a shop", security(("token" = ["settings:read"])),
    responses((status = 200, body = Page<ShippingMethodView>)))]
#[get("/shipping-methods")]
async fn list_shipping_methods(call: Call, query: List<All>) -> Result<Reply> {
    let actor = call.allow(Scope::SettingsRead)?.clone();
    let methods = call.read(move |tx| service::shipping_methods(tx, &actor)).await?;
    query.answer_from(&call, methods.into_iter().map(ShippingMethodView::from).collect(), |method| method.id)
}

/// Read a shipping method
#[utoipa::path(tag = "set up a shop", params(("id" = inline(ShippingMethodId), Path)),
    security(("token" = ["settings:read"])),
    responses((status = 200, body = ShippingMethodView)))]
#[get("/shipping-methods/{id}")]
async fn read_shipping_method(call: Call, path: RefPath<ShippingMethodId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::SettingsRead)?.clone());
    let method = ShippingMethodView::from(call.read(move |tx| service::shipping_method(tx, &actor, id)).await?);
    Ok(Reply::ok(&method)?.version(method.version))
}

/// Change a shipping method
///
/// Send the `ETag` you have seen as `If-Match`. The change is effective everywhere within a second.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(ShippingMethodId), Path), IfMatch),
    request_body = ShippingMethodPatch,
    security(("token" = ["settings:write"])), responses((status = 200, body = ShippingMethodView)))]
#[patch("/shipping-methods/{id}")]
async fn update_shipping_method(
    call: Call,
    path: RefPath<ShippingMethodId>,
    body: Body<ShippingMethodPatch>,
) -> Result<Reply> {
    let actor = call.allow(Scope::SettingsWrite)?.clone();
    let (id, now, expected, patch) = (path.0, call.now, call.if_match()?, body.value.clone());
    let (markets, locations) = (markets(&call)?, call.snapshot::<Locations>().await?);
    call.reference_command(&body.fingerprint, move |tx| {
        service::check_pickup(&actor, &locations, patch.pickup_location_id.flatten())?;
        let changed = service::update_shipping_method(tx, now, &actor, markets, id, expected, &patch)?;
        let changed = ShippingMethodView::from(changed);
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// Remove a shipping method
///
/// Orders keep the shipping they were placed with. To pause it, set `active` to false instead.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(ShippingMethodId), Path), IfMatch),
    security(("token" = ["settings:write"])),
    responses((status = 204)))]
#[delete("/shipping-methods/{id}")]
async fn delete_shipping_method(call: Call, path: RefPath<ShippingMethodId>) -> Result<Reply> {
    let actor = call.allow(Scope::SettingsWrite)?.clone();
    let (id, expected) = (path.0, call.if_match()?);
    call.reference_command(&Fingerprint::none(), move |tx| {
        service::delete_shipping_method(tx, &actor, id, expected)?;
        Ok(Reply::no_content())
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_tax_rate).service(list_tax_rates).service(delete_tax_rate);
    config.service(create_shipping_method).service(list_shipping_methods).service(read_shipping_method);
    config.service(update_shipping_method).service(delete_shipping_method);
}
