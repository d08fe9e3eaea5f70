//! Whereabouts: where an order is, in one answer, with how far other systems have heard of it.
//!
//! It owns no table and decides nothing: fulfilment tells where the order is, connectors and feeds who is behind.

use actix_web::get;

use crate::{
    connectors,
    db::Tx,
    error::{Error, Result},
    events::{self, Behind},
    exports,
    fulfilment::{self, Lag, OrderProgress},
    http::{Call, Mount, RefPath, Reply},
    kernel::Scope,
    orders::{self, OrderDocument},
    stock::Locations,
};

/// Where is my order?
///
/// What it waits for since when, what stands in its way, its parcels with their links and last scans, its money, what
/// foreign systems call it and how far they are behind; and all of it in one sentence to read out.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = OrderProgress)))]
#[get("/orders/{ref}/status")]
async fn order_status(call: Call, path: RefPath<String>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    let (now, locations) = (call.now, call.snapshot::<Locations>().await?);
    let found = call.read(move |tx| {
        let id = orders::find(tx, &actor, &path.0)?;
        let order = orders::document(tx, id)?.ok_or_else(|| Error::not_found("order"))?;
        let lag = lag(tx, &order)?;
        fulfilment::progress(tx, now, &actor, &locations, &order, lag)
    });
    Reply::ok(&found.await?)
}

/// How far those that hear of an order are behind: its connectors and the consumers of feeds.
fn lag(tx: &mut Tx, order: &OrderDocument) -> Result<Vec<Lag>> {
    let heads = events::heads(tx, &order.id.to_string())?;
    let stream = events::Stream { name: order.id.to_string(), channel: order.channel_id, test: order.test, heads };
    let of = |kind: &'static str| {
        move |Behind { name, events, since }: Behind| Lag { kind: kind.to_owned(), name, events, since }
    };
    let mut all: Vec<Lag> = connectors::behind(tx, &stream)?.into_iter().map(of("connector")).collect();
    all.extend(exports::behind(tx, &stream)?.into_iter().map(of("consumer")));
    Ok(all)
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(order_status);
}
