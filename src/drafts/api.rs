//! Routes of drafts: for staff who prepare orders, and for whoever pays one by its link.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    model::{Discount, Draft, DraftState, LinkRequest, NewDraft},
    second, service,
};
use crate::{
    carts::{CartView, Context},
    checkout::{self, CheckoutResult, CompleteRequest, PAYMENT_LINK, PaymentChoice},
    countersign::{self, CountersignRequest, Passed},
    credit::ON_ACCOUNT,
    db::Tx,
    error::{Code, Error, Result},
    http::{Body, Call, List, Mount, NoBody, Page, RefPath, Reply, idempotency::Fingerprint},
    kernel::{Actor, Id, Instant, Money, Scope, ids::DraftId, text::Text},
};

fn shown(draft: &Draft) -> Result<Reply> {
    Ok(Reply::ok(draft)?.version(draft.version))
}

/// Make a draft of a cart
///
/// For somebody who has called or written. The cart is made, changed and completed as any other; the draft remembers who did what, and can
/// be paid by a link.
#[utoipa::path(tag = "answer a customer", request_body = NewDraft, security(("token" = ["orders:write"])),
    responses((status = 201, body = Draft)))]
#[post("/drafts")]
async fn create_draft(call: Call, body: Body<NewDraft>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (id, now, secret, new) = (Id::new(), call.now, call.state.secret.clone(), body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let draft = service::create(tx, (now, &actor), &secret, id, &new)?;
        Ok(Reply::created(&draft)?.version(draft.version).location(format!("/v1/ops/drafts/{}", draft.id)))
    })
    .await
}

/// What a list of drafts is narrowed by.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DraftQuery {
    /// Those that are worked on, ordered, or cancelled.
    #[param(inline)]
    state: Option<DraftState>,
}

/// List drafts
///
/// The newest first.
#[utoipa::path(tag = "answer a customer", params(DraftQuery), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<Draft>)))]
#[get("/drafts")]
async fn list_drafts(call: Call, query: List<DraftQuery>) -> Result<Reply> {
    let (actor, state) = (call.allow(Scope::OrdersRead)?.clone(), query.filter.state);
    let read = move |tx: &mut Tx, before, limit| service::page(tx, (state, actor.channels()), before, limit);
    query.answer(&call, |draft: &Draft| draft.id, read).await
}

/// Read a draft
#[utoipa::path(tag = "answer a customer", params(("id" = inline(DraftId), Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = Draft)))]
#[get("/drafts/{id}")]
async fn read_draft(call: Call, path: RefPath<DraftId>) -> Result<Reply> {
    let (actor, id) = (call.allow(Scope::OrdersRead)?.clone(), path.0);
    shown(&call.read(move |tx| service::read(tx, &actor, id)).await?)
}

/// Give a discount on a draft
///
/// Agrees prices so many per cent below those that the cart shows. What is given away is within the ceiling of the credential, else
/// `ceiling_exceeded`. Above what one person gives alone (`second_person` of the channel) nothing is agreed yet: the answer is 202 with the
/// request that somebody else approves.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(DraftId), Path)), request_body = Discount,
    security(("token" = ["prices:override"])), responses((status = 200, body = Draft), (status = 202, body = CountersignRequest)))]
#[post("/drafts/{id}/discount")]
async fn discount_draft(call: Call, path: RefPath<DraftId>, body: Body<Discount>) -> Result<Reply> {
    let actor = call.allow(Scope::PriceOverride)?.clone();
    let (looking, id) = (actor.clone(), path.0);
    let draft = call.read(move |tx| service::read(tx, &looking, id)).await?;
    let context = Context::of(&call.state, draft.channel_id, call.now).await?;
    let (secret, fresh, what) = (call.state.secret.clone(), Id::new(), body.value.clone());
    let ids = (Id::new(), Id::new());
    call.command(&body.fingerprint, move |tx| {
        let done = countersign::or_ask(
            tx,
            (context.now, &actor),
            ids,
            |tx| service::discount(tx, &context, (&actor, &secret, fresh), id, &what),
            |tx| second::wanted(tx, &actor, (id, &what)),
        )?;
        match done {
            Passed::Done(draft) => shown(&draft),
            Passed::Waits(request) => request.accepted(),
        }
    })
    .await
}

/// A link by which a draft is paid.
#[derive(Debug, Serialize, ToSchema)]
struct PaymentLink {
    /// Whoever has it can see the cart and pay it: the storefront's page sends it to `/v1/store/payment-links/open`. It is told this once
    /// and not kept.
    token: String,
    /// Until when it is good.
    expires_at: Option<Instant>,
    /// The draft.
    draft: Draft,
}

/// Make a link to pay a draft
///
/// One that was made before is good no more.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(DraftId), Path)), request_body = LinkRequest,
    security(("token" = ["orders:write"])), responses((status = 201, body = PaymentLink)))]
#[post("/drafts/{id}/payment-link")]
async fn make_payment_link(call: Call, path: RefPath<DraftId>, body: Body<LinkRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (id, now, secret, hours) = (path.0, call.now, call.state.secret.clone(), body.hours);
    call.command(&body.fingerprint, move |tx| {
        let (draft, token) = service::link(tx, (now, &actor), &secret, id, hours)?;
        let (version, expires_at) = (draft.version, draft.link_expires_at);
        Ok(Reply::created(&PaymentLink { token, expires_at, draft })?.version(version).secret())
    })
    .await
}

/// Cancel a draft
///
/// Its cart ends, and its link is good no more.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(DraftId), Path)), security(("token" = ["orders:write"])),
    responses((status = 200, body = Draft)))]
#[post("/drafts/{id}/cancel")]
async fn cancel_draft(call: Call, path: RefPath<DraftId>, _: NoBody) -> Result<Reply> {
    let (actor, id, now) = (call.allow(Scope::OrdersWrite)?.clone(), path.0, call.now);
    call.command(&Fingerprint::none(), move |tx| shown(&service::cancel(tx, (now, &actor), id)?)).await
}

/// A link that somebody has.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "draft_01h455vb4pex5vsknk084sn02q.Zm9yLWV4YW1wbGUtb25seS0zMi1jaGFy"}))]
struct LinkToken {
    /// The link's token.
    #[schema(value_type = String, max_length = 200)]
    token: Text<200>,
}

/// What whoever has a link sees.
#[derive(Debug, Serialize, ToSchema)]
struct LinkedCart {
    /// Until when the link is good.
    expires_at: Option<Instant>,
    /// Whether it can still be paid: `open`, or `ordered`.
    state: DraftState,
    /// The cart, with its order's id once it is ordered.
    cart: CartView,
}

/// The draft of a link, of the channel that is asked.
async fn linked(call: &Call, token: &Text<200>) -> Result<(Draft, crate::carts::Cart)> {
    let (now, secret, token) = (call.now, call.state.secret.clone(), token.to_string());
    let found = call.read(move |tx| service::linked(tx, now, &secret, &token)).await?;
    match found.0.channel_id == call.shopper()?.channel {
        true => Ok(found),
        false => Err(Error::not_found("payment link, or it is not good any more")),
    }
}

/// Open a payment link
#[utoipa::path(tag = "check out", request_body = LinkToken, responses((status = 200, body = LinkedCart)))]
#[post("/payment-links/open")]
async fn open_payment_link(call: Call, body: Body<LinkToken>) -> Result<Reply> {
    // Nothing is done that could be done twice; a key that can not be heeded is refused as everywhere.
    call.idempotency_key(&body.fingerprint)?;
    let (draft, cart) = linked(&call, &body.token).await?;
    let cart = CartView::new(cart, Vec::new());
    Ok(Reply::ok(&LinkedCart { expires_at: draft.link_expires_at, state: draft.state, cart })?.secret())
}

/// Paying by a link.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LinkPayment, example = json!({"token": "draft_01h455vb4pex5vsknk084sn02q.Zm9yLWV4YW1wbGUtb25seS0zMi1jaGFy",
    "payment": {"method": "sandbox", "instrument": "approve"}}))]
struct LinkPayment {
    /// The link's token.
    #[schema(value_type = String, max_length = 200)]
    token: Text<200>,
    /// How it is paid.
    payment: Option<PaymentChoice>,
    /// The total that the customer has seen: another one is refused with `total_changed`.
    expected_total: Option<Money>,
}

/// Pay by a link
///
/// Completes the cart, as completing a cart does, and answers as that does. Not `on_account`: whoever has the link may be anybody.
#[utoipa::path(tag = "check out", request_body = LinkPayment, responses(
    (status = 201, description = "The order.", body = CheckoutResult),
    (status = 200, description = "The payment failed; the cart is open again.", body = CheckoutResult),
    (status = 202, description = "The customer has to act, or the provider has not answered yet.", body = CheckoutResult)))]
#[post("/payment-links/complete")]
async fn pay_by_link(call: Call, body: Body<LinkPayment>) -> Result<Reply> {
    let key = call.idempotency_key(&body.fingerprint)?;
    let (draft, _) = linked(&call, &body.token).await?;
    let LinkPayment { payment, expected_total, .. } = body.value;
    // Whoever holds the link may be anybody: what a company owes is for those who sign in, or for staff.
    if payment.as_ref().is_some_and(|chosen| &*chosen.method == ON_ACCOUNT) {
        let detail = "on account orders who has signed in: pay a link by another method";
        return Err(Error::problem(Code::PaymentMethodUnavailable, detail).at("/payment/method"));
    }
    let request = CompleteRequest { expected_total, expected_due: None, payment, risk: None };
    let by = (Actor::System(PAYMENT_LINK), checkout::client_of(&call));
    checkout::complete_for(&call.state, by, draft.channel_id, draft.cart_id, request, key).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_draft).service(list_drafts).service(read_draft).service(discount_draft);
    config.service(make_payment_link).service(cancel_draft);
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(open_payment_link).service(pay_by_link);
}
