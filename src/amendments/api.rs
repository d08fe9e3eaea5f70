//! Routes by which staff change placed orders.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};

use super::{
    confirm::{How, Ids},
    model::Edit,
    second::Second,
    service::{self, AmendmentView, Made, New},
};
use crate::{
    carts::Context,
    countersign::CountersignRequest,
    db::Tx,
    error::{Error, Result},
    fulfilment::requests::{self, Asked, RequestLink},
    http::{All, Body, Call, List, Mount, NoBody, Page, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Actor, Id, Scope,
        ids::{AmendmentId, ChannelId, OrderId},
        text::Note,
    },
    orders::{self, OrderDocument},
};

/// For so many minutes an amendment can be confirmed unless it is said otherwise.
const MINUTES: i64 = 60;

/// What is known of the order's channel, and which order is meant.
pub(super) async fn knowing(call: &Call, actor: &Actor, reference: String) -> Result<(OrderId, Context)> {
    let asking = actor.clone();
    let (id, channel): (OrderId, ChannelId) = call
        .read(move |tx| {
            let id = orders::resolve(tx, &asking, &reference)?;
            let order = orders::document(tx, id)?.ok_or_else(|| Error::not_found("order"))?;
            Ok((id, order.channel_id))
        })
        .await?;
    Ok((id, Context::of(&call.state, channel, call.now).await?))
}

/// A change of an order about to be worked out.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "the customer has called", "minutes": 30}))]
pub struct AmendmentRequest {
    /// Why.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
    /// For so many minutes it can be confirmed; 60 when left out.
    #[schema(minimum = 1, maximum = 10_080)]
    pub minutes: Option<i64>,
}

/// Begin to change an order
///
/// Nothing of the order changes until it is confirmed. An order has one open amendment at most.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = AmendmentRequest,
    security(("token" = ["orders:write"])), responses((status = 201, body = AmendmentView)))]
#[post("/orders/{ref}/amendments")]
async fn begin_amendment(call: Call, path: RefPath<String>, body: Body<AmendmentRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let minutes = body.minutes.unwrap_or(MINUTES);
    if !(1..=10_080).contains(&minutes) {
        return Err(Error::invalid("/minutes", "expected 1 to 10080"));
    }
    let (id, context) = knowing(&call, &actor, path.0).await?;
    let new = New { id: AmendmentId::new(), reason: body.reason.as_ref().map(ToString::to_string), minutes };
    call.command(&body.fingerprint, move |tx| Reply::created(&service::begin(tx, &context, &actor, id, &new)?)).await
}

/// List an order's amendments
///
/// Those that were confirmed, given up or too late, and the open one: the history of its changes, the oldest first.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<AmendmentView>)))]
#[get("/orders/{ref}/amendments")]
async fn list_amendments(call: Call, path: RefPath<String>, query: List<All>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    let now = call.now;
    let read = move |tx: &mut Tx, after, limit| {
        let id = orders::find(tx, &actor, &path.0)?;
        service::page(tx, now, id, after, limit)
    };
    query.answer(&call, |one: &AmendmentView| (one.created_at.micros(), one.id), read).await
}

/// Read an amendment
///
/// With what it would do to the order as it is now, as long as it is open.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path), ("id" = inline(AmendmentId), Path)),
    security(("token" = ["orders:read"])), responses((status = 200, body = AmendmentView)))]
#[get("/orders/{ref}/amendments/{id}")]
async fn read_amendment(call: Call, path: RefPath<(String, AmendmentId)>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    let (reference, id) = path.0;
    let (order, context) = knowing(&call, &actor, reference).await?;
    let found = call.read(move |tx| service::read(tx, &context, order, id)).await?;
    Reply::ok(&found)
}

/// What is to be different.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AmendmentEdits, example = json!({"edits": [{"type": "set_quantity", "line_no": 1, "quantity": 1}]}))]
pub struct EditsRequest {
    /// The edits, in their order: later ones see what earlier ones do.
    #[schema(min_items = 1, max_items = 50)]
    pub edits: Vec<Edit>,
}

/// Edit an amendment
///
/// What is added is priced now, for the order's customer; what is not edited keeps the price it was sold at. A coupon that was forgotten is
/// judged as on a cart, and tells why where it does not apply. Answers with what all edits
/// together would do: lines, tax, shipping, what is to be paid or goes back, stock.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path), ("id" = inline(AmendmentId), Path)),
    request_body = EditsRequest, security(("token" = ["orders:write"])), responses((status = 200, body = AmendmentView)))]
#[post("/orders/{ref}/amendments/{id}/edits")]
async fn edit_amendment(call: Call, path: RefPath<(String, AmendmentId)>, body: Body<EditsRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (reference, id) = path.0;
    let edits = body.edits.clone();
    if !(1..=50).contains(&edits.len()) {
        return Err(Error::invalid("/edits", "expected 1 to 50 edits"));
    }
    let (order, context) = knowing(&call, &actor, reference).await?;
    let at = (order, id, Id::new());
    call.command(&body.fingerprint, move |tx| Reply::ok(&service::edit(tx, &context, &actor, at, &edits)?)).await
}

/// Look at an amendment anew
///
/// On the order as it is now, after somebody else has changed that: it can be confirmed on this version then. Coupons are judged anew. What
/// waited for a second person is withdrawn where something is different.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path), ("id" = inline(AmendmentId), Path)),
    security(("token" = ["orders:write"])), responses((status = 200, body = AmendmentView)))]
#[post("/orders/{ref}/amendments/{id}/preview")]
async fn preview_amendment(call: Call, path: RefPath<(String, AmendmentId)>, _: NoBody) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (reference, id) = path.0;
    let (order, context) = knowing(&call, &actor, reference).await?;
    let at = (order, id, Id::new());
    call.command(&Fingerprint::none(), move |tx| Reply::ok(&service::preview(tx, &context, &actor, at)?)).await
}

/// On which version of the order an amendment is confirmed.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AmendmentConfirmation, example = json!({"order_version": 1}))]
pub struct ConfirmRequest {
    /// The `order_version` of the amendment that was looked at.
    pub order_version: i64,
    /// Asks for what is to be paid then, by a link, in the same go. Where nothing is, there is none. Where somebody else has to
    /// approve first, it is asked for once the amendment is made; `POST …/payment-requests/{id}/token` makes the link then.
    pub payment_request: Option<Asked>,
}

/// An amendment that was made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AmendmentConfirmed)]
pub struct Confirmed {
    /// It.
    pub amendment: AmendmentView,
    /// The order as it is now.
    pub order: OrderDocument,
    /// The link by which what is to be paid is paid, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_request: Option<RequestLink>,
}

impl Confirmed {
    /// The answer; secret where it has a link.
    fn reply(&self) -> Result<Reply> {
        let reply = Reply::ok(self)?.version(self.order.version);
        Ok(if self.payment_request.is_some() { reply.secret() } else { reply })
    }
}

/// Confirm an amendment
///
/// Changes the order in one go: its lines, the work with it, its stock, its money and what is invoiced of it. Where the order is not at
/// the version that was looked at, nothing changes (`version_stale`): look at it anew. What is due beside what is promised is to be paid, and
/// the order is held for `payment` until it is; what was captured and is not due any more goes back. What gives more away by agreed prices
/// than one person may alone (`second_person` of the channel) changes nothing yet: the answer is 201 with the request that somebody else
/// approves, on this version of both.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path), ("id" = inline(AmendmentId), Path)),
    request_body = ConfirmRequest, security(("token" = ["orders:write"])),
    responses((status = 200, body = Confirmed), (status = 201, body = CountersignRequest)))]
#[post("/orders/{ref}/amendments/{id}/confirm")]
async fn confirm_amendment(
    call: Call,
    path: RefPath<(String, AmendmentId)>,
    body: Body<ConfirmRequest>,
) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (reference, id) = path.0;
    let (order, context) = knowing(&call, &actor, reference).await?;
    let (ids, wanted, secret) = (Ids::new(), body.value.clone(), call.state.secret.clone());
    if let Some(asked) = &wanted.payment_request {
        requests::checked_hours(asked.hours).map_err(|error| error.at("/payment_request/hours"))?;
    }
    let second = Second::Ask((Id::new(), Id::new()));
    call.command(&body.fingerprint, move |tx| {
        let ask = wanted.payment_request.as_ref().map(|asked| (asked, &*secret));
        let how = How { expected: wanted.order_version, second: &second, ask };
        match service::confirm(tx, &context, &actor, &ids, (order, id), &how)? {
            Made::Done(order, amendment, link) => {
                Confirmed { amendment: *amendment, order: *order, payment_request: link.map(|link| *link) }.reply()
            }
            Made::Waits(request) => request.reply(),
        }
    })
    .await
}

/// Abandon an amendment
///
/// The order stays as it is, and can be amended anew. What waited for a second person is withdrawn.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path), ("id" = inline(AmendmentId), Path)),
    security(("token" = ["orders:write"])), responses((status = 200, body = AmendmentView)))]
#[post("/orders/{ref}/amendments/{id}/abandon")]
async fn abandon_amendment(call: Call, path: RefPath<(String, AmendmentId)>, _: NoBody) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let ((reference, id), now, event) = (path.0, call.now, Id::new());
    call.command(&Fingerprint::none(), move |tx| {
        let order = orders::resolve(tx, &actor, &reference)?;
        Reply::ok(&service::abandon(tx, (now, &actor), (order, id, event))?)
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    super::split::ops(config);
    config.service(begin_amendment).service(list_amendments).service(read_amendment);
    config.service(edit_amendment).service(preview_amendment).service(confirm_amendment).service(abandon_amendment);
}
