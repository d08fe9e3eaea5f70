//! Routes of return policies and return requests: for customers and guests, for staff.

use actix_web::{get, post, put};
use serde::{Deserialize, Serialize};

use super::{
    advances,
    figures::{self, ReturnFigures},
    forms::{
        AskForReturn, AskForReturnByStaff, DecisionRequest, ExchangeRequest, InspectRequest, LabelRequest, OwnExchange,
        OwnReturnQuery, ParcelRequest, ReceiveRequest, RequestQuery, SettleRequest,
    },
    handling::{self, SettleIds},
    labels,
    model::{ReturnReason, ReturnRequestDocument},
    policy::{ChannelReturnPolicy, LineVerdict, Policy},
    second, service,
};
use crate::{
    channels::Directory,
    checkout::{self, CheckoutResult},
    countersign::{self, CountersignRequest, Passed},
    db::Tx,
    error::{Error, Result},
    fulfilment::{Fresh, GiveTo, RefundCard, returns::Return},
    http::{Body, Call, IfMatch, List, Mount, NoBody, Page, Params, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Action, Actor, Id, Instant, Moment, Scope,
        ids::{ChannelId, EventId, OrderId, ReturnRequestId},
    },
    orders,
    stock::Locations,
};

/// So many ids of events.
pub(super) fn ids(count: usize) -> Vec<EventId> {
    std::iter::repeat_with(Id::new).take(count).collect()
}

/// The number of a new request: it goes onto the parcel.
pub(super) async fn number(call: &Call) -> Result<String> {
    Ok(format!("RMA{}", call.state.db.next_number("return_requests").await?))
}

/// A return request, and what can be done with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReturnRequestDetail {
    /// It.
    #[serde(flatten)]
    pub request: ReturnRequestDocument,
    /// What can be done now, or why not.
    pub actions: Vec<Action>,
}

impl From<ReturnRequestDocument> for ReturnRequestDetail {
    fn from(request: ReturnRequestDocument) -> Self {
        Self { actions: request.actions(), request }
    }
}

fn answer(request: ReturnRequestDocument) -> Result<Reply> {
    let version = request.version;
    Ok(Reply::ok(&ReturnRequestDetail::from(request))?.version(version))
}

fn answer_new(request: ReturnRequestDocument, path: String) -> Result<Reply> {
    let version = request.version;
    Ok(Reply::created(&ReturnRequestDetail::from(request))?.version(version).location(path))
}

/// Ask to send something back
///
/// As the customer who ordered it, as a guest with the `Cart-Token` of the cart it was, or as anybody with the `token` of a link to the
/// order. What the shop's policy allows is approved at once; staff decide on the rest. A piece can be asked for once.
#[utoipa::path(tag = "my orders", params(("id" = inline(OrderId), Path), OwnReturnQuery), request_body = AskForReturn,
    responses((status = 201, body = ReturnRequestDetail)))]
#[post("/orders/{id}/returns")]
async fn ask_for_return(
    call: Call,
    path: RefPath<OrderId>,
    query: Params<OwnReturnQuery>,
    body: Body<AskForReturn>,
) -> Result<Reply> {
    call.shopper()?;
    let (id, now, fresh) = (path.0, call.now, ids(2));
    let new = body.new_request(Id::new(), number(&call).await?)?;
    let (actor, secret, token) = (call.actor.clone(), call.state.secret.clone(), query.0.token);
    call.command(&body.fingerprint, move |tx| {
        orders::opened(tx, &actor, (&secret, now), id, token.as_deref())?;
        let made = service::open(tx, (now, &actor), &fresh, id, &new).map_err(orders::holds::untold)?;
        let path = format!("/v1/store/orders/{id}/returns");
        answer_new(made.for_shopper(), path)
    })
    .await
}

/// The return requests of an order.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OrderReturnRequests {
    /// The oldest first.
    pub requests: Vec<ReturnRequestDetail>,
}

/// See what is coming back of one's order
#[utoipa::path(tag = "my orders", params(("id" = inline(OrderId), Path), OwnReturnQuery),
    responses((status = 200, body = OrderReturnRequests)))]
#[get("/orders/{id}/returns")]
async fn own_returns(call: Call, path: RefPath<OrderId>, query: Params<OwnReturnQuery>) -> Result<Reply> {
    call.shopper()?;
    let (id, now, token) = (path.0, call.now, query.0.token);
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    let found = call.read(move |tx| {
        orders::opened(tx, &actor, (&secret, now), id, token.as_deref())?;
        service::of_order(tx, id)
    });
    // What comes back of who was given it is not the buyer's.
    let own = found.await?.into_iter().filter(|one| !one.is_of_gift());
    let requests = own.map(|one| one.for_shopper().into()).collect();
    Reply::ok(&OrderReturnRequests { requests })
}

/// What opens an order, and why something of it would come back.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OptionsQuery {
    /// The token of a link to the order.
    pub token: Option<String>,
    /// Why it would come back; `changed_mind` unless told.
    #[param(inline)]
    pub reason: Option<ReturnReason>,
}

/// A line that could come back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReturnOption {
    /// The order's line.
    pub line_no: i32,
    /// How many of it could.
    pub quantity: i64,
    /// What the policy says, and why.
    #[serde(flatten)]
    pub verdict: LineVerdict,
}

/// What of an order could come back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReturnOptions {
    /// By line.
    pub lines: Vec<ReturnOption>,
}

/// See what of one's order could be sent back, and on what terms
#[utoipa::path(tag = "my orders", params(("id" = inline(OrderId), Path), OptionsQuery),
    responses((status = 200, body = ReturnOptions)))]
#[get("/orders/{id}/return-options")]
async fn return_options(call: Call, path: RefPath<OrderId>, query: Params<OptionsQuery>) -> Result<Reply> {
    call.shopper()?;
    let (id, now, OptionsQuery { token, reason }) = (path.0, call.now, query.0);
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    let found = call.read(move |tx| {
        let order = orders::opened(tx, &actor, (&secret, now), id, token.as_deref())?;
        service::judge_order(tx, now, &order, reason.unwrap_or(ReturnReason::ChangedMind))
    });
    let option = |(line_no, quantity, verdict)| ReturnOption { line_no, quantity, verdict };
    Reply::ok(&ReturnOptions { lines: found.await?.into_iter().map(option).collect() })
}

/// Take one's return request back
///
/// Before anything of it has come.
#[utoipa::path(tag = "my orders",
    params(("id" = inline(OrderId), Path), ("request" = inline(ReturnRequestId), Path), OwnReturnQuery),
    responses((status = 200, body = ReturnRequestDetail)))]
#[post("/orders/{id}/returns/{request}/cancel")]
async fn take_return_back(
    call: Call,
    path: RefPath<(OrderId, ReturnRequestId)>,
    query: Params<OwnReturnQuery>,
    _: NoBody,
) -> Result<Reply> {
    call.shopper()?;
    let ((id, request), now, fresh, token) = (path.0, call.now, ids(1), query.0.token);
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    call.command(&Fingerprint::none(), move |tx| {
        orders::opened(tx, &actor, (&secret, now), id, token.as_deref())?;
        if !service::of_order(tx, id)?.iter().any(|one| one.id == request && !one.is_of_gift()) {
            return Err(Error::not_found("return request"));
        }
        let ended = service::cancel(tx, (now, &actor), &fresh, request)?;
        answer(ended.for_shopper())
    })
    .await
}

/// Order other goods for those that one sends back
///
/// For a return that is approved and for which an exchange is wished: as its customer, as a guest with the `Cart-Token`, or with the `token` of a
/// link. They leave before the first have come back; what is promised for them is taken only as far as they cost more, once the return is settled,
/// or all of it where that ends otherwise. Answers as completing a cart does.
#[utoipa::path(tag = "my orders",
    params(("id" = inline(OrderId), Path), ("request" = inline(ReturnRequestId), Path), OwnReturnQuery), request_body = OwnExchange,
    responses((status = 200, description = "The payment failed, and it can be tried again.", body = CheckoutResult),
    (status = 201, description = "The order in exchange.", body = CheckoutResult),
    (status = 202, description = "The customer has to act, or the provider has not answered yet.", body = CheckoutResult)))]
#[post("/orders/{id}/returns/{request}/exchange")]
async fn exchange_own(
    call: Call,
    path: RefPath<(OrderId, ReturnRequestId)>,
    query: Params<OwnReturnQuery>,
    body: Body<OwnExchange>,
) -> Result<Reply> {
    call.shopper()?;
    let ((id, request), now, token) = (path.0, call.now, query.0.token);
    let (wanted, key) = (body.asked().wanted()?, call.idempotency_key(&body.fingerprint)?);
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    let channel = call.read(move |tx| {
        let order = orders::opened(tx, &actor, (&secret, now), id, token.as_deref())?;
        let own = service::of_order(tx, id)?.iter().any(|one| one.id == request && !one.is_of_gift());
        if own { Ok(order.channel_id) } else { Err(Error::not_found("return request")) }
    });
    // Their cart is made for them: what opens the order opens no other cart.
    let by = Actor::System(checkout::PAYMENT_LINK);
    advances::place(&call.state, (now, &by), (request, channel.await?), wanted, key).await
}

/// Ask for a return
///
/// For a customer who has called or written. With `approve` it is approved whatever the policy says.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = AskForReturnByStaff,
    security(("token" = ["orders:write"])), responses((status = 201, body = ReturnRequestDetail)))]
#[post("/orders/{ref}/returns")]
async fn open_return(call: Call, path: RefPath<String>, body: Body<AskForReturnByStaff>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (of, now, fresh) = (path.0, call.now, ids(2));
    let new = body.new_request(Id::new(), number(&call).await?)?;
    call.command(&body.fingerprint, move |tx| {
        let id = orders::resolve(tx, &actor, &of)?;
        let made = service::open(tx, (now, &actor), &fresh, id, &new)?;
        let path = format!("/v1/ops/return-requests/{}", made.id);
        answer_new(made, path)
    })
    .await
}

/// List the return requests
///
/// Newest first.
#[utoipa::path(tag = "answer a customer", params(RequestQuery), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<ReturnRequestDocument>)))]
#[get("/return-requests")]
async fn list_return_requests(call: Call, query: List<RequestQuery>) -> Result<Reply> {
    let (actor, wanted) = (call.allow(Scope::OrdersRead)?.clone(), query.filter.clone());
    let reader = actor.clone();
    let read = move |tx: &mut Tx, after: Option<(i64, ReturnRequestId)>, limit| {
        let order = wanted.order.as_deref().map(|order| orders::find(tx, &reader, order)).transpose()?;
        let filter = service::Filter { order, state: wanted.state };
        service::page(tx, &reader, &filter, after.map(|(at, id)| (Instant::from_micros(at), id)), limit)
    };
    let key = |one: &ReturnRequestDocument| (one.requested_at.micros(), one.id);
    query.answer_seen(&call, key, move |one| one.is_visible_to(&actor), read).await
}

/// Read a return request
#[utoipa::path(tag = "answer a customer", params(("id" = inline(ReturnRequestId), Path)),
    security(("token" = ["orders:read"])), responses((status = 200, body = ReturnRequestDetail)))]
#[get("/return-requests/{id}")]
async fn read_return_request(call: Call, path: RefPath<ReturnRequestId>) -> Result<Reply> {
    let (actor, id) = (call.allow(Scope::OrdersRead)?.clone(), path.0);
    answer(call.read(move |tx| service::read(tx, &actor, id)).await?)
}

async fn decide(call: Call, id: ReturnRequestId, body: Body<DecisionRequest>, approve: bool) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (now, fresh, why) = (call.now, ids(1), body.reason.as_ref().map(ToString::to_string));
    call.command(&body.fingerprint, move |tx| {
        answer(service::decide(tx, (now, &actor), &fresh, id, (approve, why.as_deref()))?)
    })
    .await
}

/// Approve a return request
#[utoipa::path(tag = "answer a customer", params(("id" = inline(ReturnRequestId), Path)), request_body = DecisionRequest,
    security(("token" = ["orders:write"])), responses((status = 200, body = ReturnRequestDetail)))]
#[post("/return-requests/{id}/approve")]
async fn approve_return(call: Call, path: RefPath<ReturnRequestId>, body: Body<DecisionRequest>) -> Result<Reply> {
    decide(call, path.0, body, true).await
}

/// Reject a return request
///
/// Its pieces can be asked for again.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(ReturnRequestId), Path)), request_body = DecisionRequest,
    security(("token" = ["orders:write"])), responses((status = 200, body = ReturnRequestDetail)))]
#[post("/return-requests/{id}/reject")]
async fn reject_return(call: Call, path: RefPath<ReturnRequestId>, body: Body<DecisionRequest>) -> Result<Reply> {
    decide(call, path.0, body, false).await
}

/// Cancel a return request
///
/// Before anything of it has come.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(ReturnRequestId), Path)),
    security(("token" = ["orders:write"])), responses((status = 200, body = ReturnRequestDetail)))]
#[post("/return-requests/{id}/cancel")]
async fn cancel_return(call: Call, path: RefPath<ReturnRequestId>, _: NoBody) -> Result<Reply> {
    let (actor, now, fresh, id) = (call.allow(Scope::OrdersWrite)?.clone(), call.now, ids(1), path.0);
    call.command(&Fingerprint::none(), move |tx| answer(service::cancel(tx, (now, &actor), &fresh, id)?)).await
}

/// Note the parcel that brings a return
///
/// A label that the shop has bought (`by_shop`), or the number of the parcel in which the customer sends it.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(ReturnRequestId), Path)), request_body = ParcelRequest,
    security(("token" = ["orders:write"])), responses((status = 200, body = ReturnRequestDetail)))]
#[post("/return-requests/{id}/track")]
async fn track_return(call: Call, path: RefPath<ReturnRequestId>, body: Body<ParcelRequest>) -> Result<Reply> {
    let (actor, now, fresh, id) = (call.allow(Scope::OrdersWrite)?.clone(), call.now, ids(1), path.0);
    let parcel = body.parcel();
    call.command(&body.fingerprint, move |tx| answer(service::track(tx, (now, &actor), &fresh, id, &parcel)?)).await
}

/// Get a label for a return
///
/// Of a carrier that the shop has an account with, from where the order went to where its goods have left from. The carrier is asked in the
/// background; then the label is the request's `parcel`. A job that is dead tells why there is none.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(ReturnRequestId), Path)), request_body = LabelRequest,
    security(("token" = ["orders:write"])), responses((status = 202, body = ReturnRequestDetail)))]
#[post("/return-requests/{id}/label")]
async fn label_return(call: Call, path: RefPath<ReturnRequestId>, body: Body<LabelRequest>) -> Result<Reply> {
    let (actor, now, job, id) = (call.allow(Scope::OrdersWrite)?.clone(), call.now, Id::new(), path.0);
    let (account, wanted) = (body.account.to_string(), body.service.as_ref().map(ToString::to_string));
    call.command(&body.fingerprint, move |tx| {
        let asked = labels::ask(tx, (now, &actor), job, id, (&account, wanted.as_deref()))?;
        let version = asked.version;
        Ok(Reply::accepted(&ReturnRequestDetail::from(asked))?.version(version))
    })
    .await
}

/// Note that returned goods have come
///
/// Partly, more than was announced, or other goods than were: what is of the order and can still come back is kept for the request, what is
/// more is surplus, what is not of the order is foreign.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(ReturnRequestId), Path)), request_body = ReceiveRequest,
    security(("token" = ["orders:write"])), responses((status = 200, body = ReturnRequestDetail)))]
#[post("/return-requests/{id}/receive")]
async fn receive_return(call: Call, path: RefPath<ReturnRequestId>, body: Body<ReceiveRequest>) -> Result<Reply> {
    let (actor, now, fresh, id) = (call.allow(Scope::OrdersWrite)?.clone(), call.now, ids(1), path.0);
    let locations = call.snapshot::<Locations>().await?;
    let (came, location) = (body.came()?, body.location(&actor, &locations)?);
    call.command(&body.fingerprint, move |tx| {
        answer(handling::receive(tx, (now, &actor), &fresh, id, (&came, location))?)
    })
    .await
}

/// Note what was seen of returned goods
///
/// By line: in what shape they are, and what becomes of them. What is restocked is booked in at once, into the lots in which it has left.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(ReturnRequestId), Path)), request_body = InspectRequest,
    security(("token" = ["orders:write"])), responses((status = 200, body = ReturnRequestDetail)))]
#[post("/return-requests/{id}/inspect")]
async fn inspect_return(call: Call, path: RefPath<ReturnRequestId>, body: Body<InspectRequest>) -> Result<Reply> {
    let (actor, now, id) = (call.allow(Scope::OrdersWrite)?.clone(), call.now, path.0);
    let locations = call.snapshot::<Locations>().await?;
    let seen = body.seen(&actor, &locations)?;
    let (fresh, moved) = (ids(1), ids(seen.len()));
    call.command(&body.fingerprint, move |tx| {
        answer(handling::inspect(tx, (now, &actor), (&fresh, &moved), id, (&seen, &locations))?)
    })
    .await
}

/// A request that is settled, and the return that was booked with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SettledReturn {
    /// The request.
    pub request: ReturnRequestDetail,
    /// The return.
    #[serde(rename = "return")]
    pub made: Return,
    /// The gift card that was issued for it: its code is told this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gift_card: Option<RefundCard>,
}

/// Settle a return with the customer
///
/// Once: what has come is taken back as a return, its share of what was paid goes back (to where it came from, or as store credit), less
/// the fee of the policy. What has not come is let go. With `without_goods` all of it is settled, whether it has come or not.
/// Where more goes back than one person gives back alone (`second_person` of the channel) nothing is settled yet: the answer is 202 with the
/// request that somebody else approves.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(ReturnRequestId), Path)), request_body = SettleRequest,
    security(("token" = ["orders:write"])), responses((status = 200, body = SettledReturn), (status = 202, body = CountersignRequest)))]
#[post("/return-requests/{id}/settle")]
async fn settle_return(call: Call, path: RefPath<ReturnRequestId>, body: Body<SettleRequest>) -> Result<Reply> {
    let (actor, now, id) = (call.allow(Scope::OrdersWrite)?.clone(), call.now, path.0);
    let locations = call.snapshot::<Locations>().await?;
    let how = body.settling()?;
    let made = SettleIds {
        return_id: Id::new(),
        number: format!("R{}", call.state.db.next_number("returns").await?),
        booking: Fresh::new(),
        credit: GiveTo::store_credit(),
        events: ids(1),
    };
    let (wanted, asked) = (body.value.clone(), (Id::new(), Id::new()));
    call.command(&body.fingerprint, move |tx| {
        let done = countersign::or_ask(
            tx,
            (now, &actor),
            asked,
            |tx| handling::settle(tx, (now, &actor), &made, id, (&how, &locations)),
            |tx| second::wanted(tx, &actor, (id, &wanted)),
        )?;
        let (request, made, gift_card) = match done {
            Passed::Done(settled) => settled,
            Passed::Waits(request) => return request.accepted(),
        };
        let (version, is_secret) = (request.version, gift_card.is_some());
        let reply = Reply::ok(&SettledReturn { request: request.into(), made, gift_card })?.version(version);
        Ok(if is_secret { reply.secret() } else { reply })
    })
    .await
}

/// Exchange returned goods
///
/// With `order`, for a return that was settled as an exchange: the customer, or staff for them, has ordered the other goods, paid with the store
/// credit. What they cost more was paid at the checkout; what they cost less is still on the credit.
///
/// With `lines`, for a return that is approved: these are ordered at once, before the goods have come back. What is promised for them is not taken
/// until the return is settled, and then only as far as they cost more; or until it has ended, and then all of it. Answers as completing a cart
/// does. Once for a request: who asks again gets the same order.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(ReturnRequestId), Path)), request_body = ExchangeRequest,
    security(("token" = ["orders:write"])), responses(
    (status = 200, description = "The order that was placed is noted; or the payment failed, and it can be tried again.", body = ReturnRequestDetail),
    (status = 201, description = "The order in exchange.", body = CheckoutResult),
    (status = 202, description = "The customer has to act, or the provider has not answered yet.", body = CheckoutResult)))]
#[post("/return-requests/{id}/exchange")]
async fn exchange_return(call: Call, path: RefPath<ReturnRequestId>, body: Body<ExchangeRequest>) -> Result<Reply> {
    let (actor, now, fresh, id) = (call.allow(Scope::OrdersWrite)?.clone(), call.now, ids(1), path.0);
    let Some(order) = body.named()? else {
        let (wanted, key) = (body.wanted()?, call.idempotency_key(&body.fingerprint)?);
        let reader = actor.clone();
        let channel = call.read(move |tx| Ok(service::read(tx, &reader, id)?.channel_id)).await?;
        return advances::place(&call.state, (now, &actor), (id, channel), wanted, key).await;
    };
    call.command(&body.fingerprint, move |tx| answer(service::exchanged(tx, (now, &actor), &fresh, id, &order)?)).await
}

/// Of which span figures are asked for.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FiguresQuery {
    /// From when on: a day, or an instant.
    #[param(value_type = Option<String>)]
    pub from: Option<Moment>,
    /// Until when.
    #[param(value_type = Option<String>)]
    pub to: Option<Moment>,
}

/// See how often goods come back, and why
///
/// By article: how many were asked to be taken back in a span, for which reasons, and how many of a hundred that were sold that is.
#[utoipa::path(tag = "watch the shop", params(FiguresQuery), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<ReturnFigures>)))]
#[get("/returns/report")]
async fn return_report(call: Call, query: List<FiguresQuery>) -> Result<Reply> {
    let (actor, now) = (call.allow(Scope::OrdersRead)?.clone(), call.now);
    let (from, to) = (("from", query.filter.from), ("to", query.filter.to));
    let span = call.snapshot::<Directory>().await?.span(&actor, None, from, to)?;
    let span = (span.0.unwrap_or_else(|| Instant::from_micros(0)), span.1.unwrap_or(now));
    let found = call.read(move |tx| figures::figures(tx, &actor, span)).await?;
    query.answer_from(&call, found, |one| one.sku.clone())
}

/// Read a channel's return policy
///
/// Where it has none of its own, the one that is meant then, at version 0.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(ChannelId), Path)), security(("token" = ["settings:read"])),
    responses((status = 200, body = ChannelReturnPolicy)))]
#[get("/channels/{id}/return-policy")]
async fn read_return_policy(call: Call, path: RefPath<ChannelId>) -> Result<Reply> {
    let (actor, id) = (call.allow(Scope::SettingsRead)?.clone(), path.0);
    call.snapshot::<Directory>().await?.get(id)?;
    if !actor.sees_channel(id) {
        return Err(Error::not_found("channel"));
    }
    let found = call.read(move |tx| service::policy_of(tx, id)).await?;
    Ok(Reply::ok(&found)?.version(found.version))
}

/// Set a channel's return policy
///
/// Whole. Send the `ETag` you have seen as `If-Match`. What was asked for before keeps the terms of then.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(ChannelId), Path), IfMatch), request_body = Policy,
    security(("token" = ["settings:write"])), responses((status = 200, body = ChannelReturnPolicy)))]
#[put("/channels/{id}/return-policy")]
async fn set_return_policy(call: Call, path: RefPath<ChannelId>, body: Body<Policy>) -> Result<Reply> {
    let (actor, id) = (call.allow(Scope::SettingsWrite)?.clone(), path.0);
    call.snapshot::<Directory>().await?.get(id)?;
    if !actor.sees_channel(id) {
        return Err(Error::not_found("channel"));
    }
    let (now, expected, policy) = (call.now, call.if_match()?, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let set = service::set_policy(tx, now, id, expected, &policy)?;
        Ok(Reply::ok(&set)?.version(set.version))
    })
    .await
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(ask_for_return).service(own_returns).service(return_options).service(take_return_back);
    config.service(exchange_own);
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(return_report).service(open_return).service(list_return_requests).service(read_return_request);
    config
        .service(approve_return)
        .service(reject_return)
        .service(cancel_return)
        .service(track_return)
        .service(label_return);
    config.service(receive_return).service(inspect_return).service(settle_return).service(exchange_return);
    config.service(read_return_policy).service(set_return_policy);
}
