//! Routes of what is picked up.

use actix_web::post;
use serde::Deserialize;

use super::service::{self, Handing, Knowing, Redirect};
use crate::{
    customers::Address,
    error::Result,
    fulfilment::{
        api::{checked_lines, checked_lots, checked_time},
        ids::Fresh,
        model::{Pieces, Shipment},
        shipped_lots::ShippedLot,
    },
    http::{Body, Call, Mount, RefPath, Reply},
    kernel::{
        Instant, Scope,
        ids::FulfilmentOrderId,
        text::{Note, Text},
    },
    orders::{self, OrderDocument},
    pricing::Rules,
    stock::Locations,
};

/// Another way for a delivery of an order.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RedirectRequest, example = json!({"method": "pick-up", "reason": "the customer comes by"}))]
pub struct RedirectRequest {
    /// The key of the delivery; needed where the order has several.
    #[schema(value_type = Option<String>)]
    pub delivery: Option<Text<50>>,
    /// The code of a shipping method of the order's channel. It says where the delivery is picked up, if it is.
    #[schema(value_type = String)]
    pub method: Text<50>,
    /// Where to, unless it is picked up; the address that it has where this is left out.
    pub address: Option<Address>,
    /// That the customer pays what they have paid though the method costs more: the shop bears the rest.
    #[serde(default)]
    pub keep_price: bool,
    /// Why.
    #[schema(value_type = String)]
    pub reason: Note<500>,
}

/// Send a delivery another way
///
/// Gives a delivery of which nothing is picked another shipping method, address or pick-up place, and has it planned anew: as when the
/// shop where it was to be picked up has declined it. Refused where the method costs more than was paid, unless `keep_price` is set;
/// what it costs less is not given back by this. The country stays.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = RedirectRequest,
    security(("token" = ["orders:write"])), responses((status = 200, body = OrderDocument)))]
#[post("/orders/{ref}/redirect")]
async fn redirect_order(call: Call, path: RefPath<String>, body: Body<RedirectRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (locations, rules) = (call.snapshot::<Locations>().await?, call.snapshot::<Rules>().await?);
    let what = Redirect {
        delivery: body.delivery.as_ref().map(ToString::to_string),
        method: body.method.to_string(),
        address: body.address.clone(),
        keep_price: body.keep_price,
        reason: body.reason.to_string(),
    };
    let (now, fresh, reference) = (call.now, Fresh::new(), path.0);
    call.command(&body.fingerprint, move |tx| {
        let id = orders::resolve(tx, &actor, &reference)?;
        let knowing = Knowing { locations: &locations, rules: &rules };
        let order = service::redirect(tx, (now, &actor), &fresh, (id, &what), knowing)?;
        Ok(Reply::ok(&order)?.version(order.version))
    })
    .await
}

/// What is handed over.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct CollectRequest {
    /// Which pieces; all that is left when absent.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Option<Vec<Pieces>>,
    /// Of which lots pieces are that are handed over and in no package. What is not said of any is taken as it should be.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub lots: Vec<ShippedLot>,
    /// When, if that was not now; not before the order. Needs the scope `history:write`.
    pub occurred_at: Option<Instant>,
}

/// Hand over to the customer
///
/// Of what is picked up: the customer has come for it. It has left and arrived with it, and its money is captured as with a parcel.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = CollectRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 201, body = Shipment)))]
#[post("/fulfilment-orders/{id}/collect")]
async fn collect(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<CollectRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    checked_lines(body.lines.as_ref())?;
    checked_lots(&body.lots)?;
    checked_time(&call, body.occurred_at)?;
    let what = Handing { pieces: body.lines.clone(), lots: body.lots.clone(), occurred_at: body.occurred_at };
    let (id, now, fresh, arrival) = (path.0, call.now, Fresh::new(), Fresh::new());
    call.command(&body.fingerprint, move |tx| {
        let shipment = service::collect(tx, (now, &actor), (&fresh, &arrival), (id, &what))?;
        Reply::created(&shipment)
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(redirect_order).service(collect);
}
