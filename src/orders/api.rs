//! Routes that read orders: for staff, for customers, for guests.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};

use super::{
    access::{self, OrderLinks},
    document::OrderDocument,
    search::{self, OrderQuery, OrderSummary, Place},
    service,
};
use crate::{
    carts,
    channels::Directory,
    customers,
    db::Tx,
    error::{Error, Result},
    events::{self, Event},
    http::{All, Body, Call, Cursor, List, Mount, Page, Params, RefPath, Reply, paging, paging::Count},
    kernel::{
        Instant, Scope,
        actor::Shopper,
        ids::{CustomerId, OrderId},
        text::{self, Email, Text},
    },
};

/// Search orders
///
/// By anything a caller may know. Newest first.
#[utoipa::path(tag = "answer a customer", params(OrderQuery), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<OrderSummary>)))]
#[get("/orders")]
async fn search_orders(call: Call, query: List<OrderQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    query.filter.asks_for_something()?;
    let wanted = query.filter.clone();
    let (from, to) = (("placed_from", wanted.placed_from), ("placed_to", wanted.placed_to));
    let span = call.snapshot::<Directory>().await?.span(&actor, wanted.channel_id, from, to)?;
    let (counted, counter) = (wanted.clone(), actor.clone());
    let count = move |tx: &mut Tx| search::count(tx, &counter, &counted, span);
    let read = move |tx: &mut Tx, after, limit| search::search(tx, &actor, (&wanted, span), after, limit);
    query.answer_counted(&call, place, count, read).await
}

/// Its place in a list: newest first.
fn place(order: &OrderSummary) -> Place {
    (order.placed_at.micros(), order.id)
}

/// List a customer's orders
///
/// Newest first.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CustomerId), Path)),
    security(("token" = ["orders:read"])), responses((status = 200, body = Page<OrderSummary>)))]
#[get("/customers/{id}/orders")]
async fn list_customer_orders(call: Call, path: RefPath<CustomerId>, query: List<All>) -> Result<Reply> {
    // Customers are the merchant's, of no channel.
    let (actor, id) = (call.allow_everywhere(Scope::OrdersRead)?.clone(), path.0);
    let wanted = OrderQuery { customer_id: Some(id), ..OrderQuery::default() };
    let (counted, counter) = (wanted.clone(), actor.clone());
    let count = move |tx: &mut Tx| search::count(tx, &counter, &counted, (None, None));
    let read = move |tx: &mut Tx, after, limit| {
        customers::require(tx, id)?;
        search::search(tx, &actor, (&wanted, (None, None)), after, limit)
    };
    query.answer_counted(&call, place, count, read).await
}

/// Read an order
///
/// By its id, its number, or what a foreign system calls it, with the system's name before it where the value alone is
/// not enough (`sap:4711`); a number of ours goes before what others call other orders. `actions` tells what can be done now.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = OrderDocument)))]
#[get("/orders/{ref}")]
async fn read_order(call: Call, path: RefPath<String>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    let order = call
        .read(move |tx| {
            let id = service::find(tx, &actor, &path.0)?;
            service::document(tx, id)?.ok_or_else(|| Error::not_found("order"))
        })
        .await?;
    Ok(Reply::ok(&order)?.version(order.version))
}

/// See an order's timeline
///
/// Everything that happened to it, in order: the events of its stream.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<Event>)))]
#[get("/orders/{ref}/timeline")]
async fn order_timeline(call: Call, path: RefPath<String>, query: List<All>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    let read = move |tx: &mut Tx, after: Option<i64>, limit| {
        let id = service::find(tx, &actor, &path.0)?;
        events::stream(tx, &id.to_string(), after.unwrap_or_default(), limit)
    };
    query.answer(&call, |event: &Event| event.position, read).await
}

/// What links to the orders of a shopper's channel are made with.
async fn links(call: &Call, shopper: &Shopper) -> Result<OrderLinks> {
    Ok(OrderLinks::of(call.snapshot::<Directory>().await?.get(shopper.channel)?, &call.state.secret))
}

/// An order as its customer sees it, or whoever has its link.
///
/// # Errors
/// `not_found`.
pub async fn visible(call: &Call, id: OrderId, token: Option<String>) -> Result<OrderDocument> {
    let links = links(call, call.shopper()?).await?;
    let (actor, secret, now) = (call.actor.clone(), call.state.secret.clone(), call.now);
    call.read(move |tx| {
        let order = service::document(tx, id)?.filter(|order| actor.sees_channel(order.channel_id));
        let order = order.ok_or_else(|| Error::not_found("order"))?;
        let by_link = token.as_deref().map_or(Ok(false), |token| access::opens(&secret, now, id, token))?;
        let owned = (order.channel_id, order.customer_id, order.cart_id);
        let seen = by_link || carts::may_see_order(tx, &actor, &secret, owned.0, owned.1, owned.2)?;
        if seen { Ok(order.for_shopper(&links, now)) } else { Err(Error::not_found("order")) }
    })
    .await
}

/// What opens an order.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OwnOrderQuery {
    /// The token of a link to the order, as completing the cart and looking the order up give it.
    pub token: Option<String>,
}

/// Read one's order
///
/// As the customer who ordered it, as a guest with the `Cart-Token` of the cart it was, or as anybody with the `token` of a
/// link to it.
#[utoipa::path(tag = "my orders", params(("id" = inline(OrderId), Path), OwnOrderQuery),
    responses((status = 200, body = OrderDocument)))]
#[get("/orders/{id}")]
async fn read_own_order(call: Call, path: RefPath<OrderId>, query: Params<OwnOrderQuery>) -> Result<Reply> {
    let order = visible(&call, path.0, query.0.token).await?;
    Ok(Reply::ok(&order)?.version(order.version))
}

/// What a guest knows of an order.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"number": "1001", "email": "ada@example.org", "postcode": "10115"}))]
pub struct OrderLookup {
    /// The order's number.
    #[schema(value_type = String)]
    pub number: Text<50>,
    /// The e-mail address it was ordered with.
    pub email: Email,
    /// The postcode it goes to.
    #[schema(value_type = String)]
    pub postcode: Text<20>,
}

/// An order that was found, and the secret that opens it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FoundOrder {
    /// The order. Its `link` opens it again.
    pub order: OrderDocument,
    /// Send it as `token` in the query to read the order again; it is that of the order's `link`.
    pub token: String,
}

/// Find an order without signing in
///
/// Number, e-mail and postcode must all fit; which of them does not is not told. Only a few tries a minute.
#[utoipa::path(tag = "my orders", request_body = OrderLookup, responses((status = 200, body = FoundOrder)))]
#[post("/orders/lookup")]
async fn look_up_order(call: Call, body: Body<OrderLookup>) -> Result<Reply> {
    call.state.limits.check_lookup(call.request())?;
    let shopper = call.shopper()?.clone();
    let (wanted, links) = (body.value, links(&call, &shopper).await?);
    let (email, postcode) = (wanted.email.folded(), text::squeeze(&wanted.postcode));
    let now = call.now;
    let found = call
        .read(move |tx| {
            let id = service::lookup(tx, shopper.channel, &wanted.number, &email, &postcode)?;
            let order = id.map(|id| service::document(tx, id)).transpose()?.flatten();
            let order = order.ok_or_else(|| Error::not_found("order"))?.for_shopper(&links, now);
            let token = order.link.as_ref().map(|link| link.token.clone()).unwrap_or_default();
            Ok(FoundOrder { order, token })
        })
        .await?;
    Reply::ok(&found)
}

/// The most of one's orders that a page holds: they are whole documents.
const MOST_OWN: i64 = 20;

/// Which of one's orders are listed.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OwnOrdersQuery {
    /// How many orders at most, 1 to 20: they are whole documents.
    #[param(minimum = 1, maximum = 20, default = 20)]
    pub limit: Option<i64>,
    /// Where to go on: `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// `capped` also counts all orders, up to 10,000.
    #[param(inline)]
    pub count: Option<Count>,
}

/// List one's orders
///
/// Newest first; for signed-in customers.
#[utoipa::path(tag = "my orders", params(OwnOrdersQuery), security(("channel_key" = [], "token" = [])),
    responses((status = 200, body = Page<OrderDocument>)))]
#[get("/me/orders")]
async fn list_own_orders(call: Call, query: Params<OwnOrdersQuery>) -> Result<Reply> {
    let shopper = call.shopper()?.clone();
    let links = links(&call, &shopper).await?;
    let sign_in = || Error::problem(crate::error::Code::Unauthenticated, "sign in to see your orders");
    let identity = shopper.identity.ok_or_else(sign_in)?;
    let limit = paging::limit_within(query.0.limit.unwrap_or(MOST_OWN), MOST_OWN)?;
    let after: Option<Place> = Cursor::decode_optional(query.0.cursor.as_deref())?;
    let (now, counts) = (call.now, query.0.count.is_some());
    let (items, count) = call
        .read(move |tx| {
            let Some(customer) = customers::find(tx, &identity)? else { return Ok((Vec::new(), counts.then_some(0))) };
            let (after, own) = (after.map(|(at, id)| (Instant::from_micros(at), id)), (customer, shopper.channel));
            let ids = service::of_customer(tx, own, after, limit + 1)?;
            let orders = service::documents(tx, &ids)?;
            let count = counts.then(|| service::count_of_customer(tx, own, paging::COUNT_CAP)).transpose()?;
            Ok((orders.iter().map(|order| order.for_shopper(&links, now)).collect(), count))
        })
        .await?;
    let page = Page::cut(items, limit, |order: &OrderDocument| (order.placed_at.micros(), order.id))?;
    Reply::page(&call, &Page { count, ..page })
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(search_orders).service(read_order).service(order_timeline).service(list_customer_orders);
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(look_up_order).service(read_own_order).service(list_own_orders);
}
