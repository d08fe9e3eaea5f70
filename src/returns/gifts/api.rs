//! Routes of presents: receipts for buyers and staff, returns for who was given them.

use actix_web::post;
use serde::{Deserialize, Serialize};

use super::{
    model::{GiftReceipt, GiftReturn, GiftView},
    service::{self, Proof},
};
use crate::{
    error::Result,
    http::{Body, Call, Mount, Params, RefPath, Reply, seal::Secret},
    kernel::{
        Id, Scope,
        ids::{OrderId, ReturnRequestId},
        text::{Note, Text},
    },
    orders,
    returns::{
        api::number,
        forms::{AskForReturn, AskForReturnLine, OwnReturnQuery},
        model::{RequestOrigin, ReturnWish},
        service::NewRequest,
    },
};

/// Which lines of an order are presents.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"lines": [1]}))]
pub struct GiftReceiptRequest {
    /// These; all when left out.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub lines: Vec<i32>,
}

/// A gift receipt, and what is printed on it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct GiftReceiptDetail {
    /// It.
    #[serde(flatten)]
    pub receipt: GiftReceipt,
    /// The order's number: with the token it opens the receipt.
    pub order_number: String,
    /// What opens it with the order's number. Whoever has both can send back what is on it.
    pub token: String,
}

fn answer(receipt: GiftReceipt, order_number: String, secret: &Secret) -> Result<Reply> {
    let token = service::token(secret, receipt.id);
    Ok(Reply::created(&GiftReceiptDetail { receipt, order_number, token })?.secret())
}

/// Get a gift receipt for one's order
///
/// Who is given what is on it can send it back with the order's number and the `token`, for a gift card, and is not told what it cost.
#[utoipa::path(tag = "my orders", params(("id" = inline(OrderId), Path), OwnReturnQuery), request_body = GiftReceiptRequest,
    responses((status = 201, body = GiftReceiptDetail)))]
#[post("/orders/{id}/gift-receipts")]
async fn own_gift_receipt(
    call: Call,
    path: RefPath<OrderId>,
    query: Params<OwnReturnQuery>,
    body: Body<GiftReceiptRequest>,
) -> Result<Reply> {
    call.shopper()?;
    let (id, now, fresh, token, lines) = (path.0, call.now, Id::new(), query.0.token, body.lines.clone());
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    call.command(&body.fingerprint, move |tx| {
        let order = orders::opened(tx, &actor, (&secret, now), id, token.as_deref())?;
        answer(service::mark(tx, now, (fresh, id), &lines)?, order.number, &secret)
    })
    .await
}

/// Make a gift receipt
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = GiftReceiptRequest,
    security(("token" = ["orders:write"])), responses((status = 201, body = GiftReceiptDetail)))]
#[post("/orders/{ref}/gift-receipts")]
async fn gift_receipt(call: Call, path: RefPath<String>, body: Body<GiftReceiptRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (of, now, fresh, secret, lines) = (path.0, call.now, Id::new(), call.state.secret.clone(), body.lines.clone());
    call.command(&body.fingerprint, move |tx| {
        let id = orders::resolve(tx, &actor, &of)?;
        let number = orders::document(tx, id)?.map(|order| order.number).unwrap_or_default();
        answer(service::mark(tx, now, (fresh, id), &lines)?, number, &secret)
    })
    .await
}

/// What is printed on a gift receipt.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"order_number": "1002", "token": "grcpt_01h455vb4pex5vsknk084sn02q.Zm9yLWV4YW1wbGUtb25seS0zMi1jaGFy"}))]
pub struct OpenGiftRequest {
    /// The order's number.
    #[schema(value_type = String)]
    pub order_number: Text<200>,
    /// The token.
    #[schema(value_type = String)]
    pub token: Text<200>,
}

/// See what of a gift receipt can be sent back
///
/// For who was given it: with the order's number and the token on the receipt. No prices are told.
#[utoipa::path(tag = "my orders", request_body = OpenGiftRequest, responses((status = 200, body = GiftView)))]
#[post("/gift-returns/open")]
async fn open_gift(call: Call, body: Body<OpenGiftRequest>) -> Result<Reply> {
    call.shopper()?;
    // Nothing is done that could be done twice; a key that can not be heeded is refused as everywhere.
    call.idempotency_key(&body.fingerprint)?;
    let proof = Proof { order_number: body.order_number.to_string(), token: body.token.to_string() };
    let (now, actor, secret) = (call.now, call.actor.clone(), call.state.secret.clone());
    let found: GiftView = call.read(move |tx| service::look(tx, (now, &actor), &secret, &proof)).await?;
    Reply::ok(&found)
}

/// What of a gift receipt is to be sent back.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"order_number": "1002", "token": "grcpt_01h455vb4pex5vsknk084sn02q.Zm9yLWV4YW1wbGUtb25seS0zMi1jaGFy",
    "lines": [{"line_no": 1, "quantity": 1, "reason": "gift"}]}))]
pub struct GiftReturnRequest {
    /// The order's number.
    #[schema(value_type = String)]
    pub order_number: Text<200>,
    /// The token.
    #[schema(value_type = String)]
    pub token: Text<200>,
    /// Which lines.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Vec<AskForReturnLine>,
    /// What else there is to say.
    #[schema(value_type = Option<String>)]
    pub comment: Option<Note<2000>>,
}

impl GiftReturnRequest {
    fn new_request(&self, id: ReturnRequestId, number: String) -> Result<NewRequest> {
        let asked = AskForReturn {
            lines: self.lines.clone(),
            bundles: Vec::new(),
            reason: None,
            wish: Some(ReturnWish::GiftCard),
            comment: self.comment.clone(),
        };
        Ok(NewRequest { origin: RequestOrigin::Gift, ..asked.new_request(id, number)? })
    }
}

/// Send back what one was given
///
/// With the order's number and the token on the gift receipt, without the account of who has bought it. It is settled with a gift card that is
/// nobody's, of what was paid for it; neither is told of the other.
#[utoipa::path(tag = "my orders", request_body = GiftReturnRequest, responses((status = 201, body = GiftReturn)))]
#[post("/gift-returns")]
async fn return_gift(call: Call, body: Body<GiftReturnRequest>) -> Result<Reply> {
    call.shopper()?;
    let new = body.new_request(Id::new(), number(&call).await?)?;
    let proof = Proof { order_number: body.order_number.to_string(), token: body.token.to_string() };
    let (now, fresh) = (call.now, [Id::new(), Id::new()]);
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    call.command(&body.fingerprint, move |tx| {
        let made: GiftReturn = service::ask(tx, (now, &actor), &secret, (&fresh, &proof), &new)?;
        Reply::created(&made)
    })
    .await
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(own_gift_receipt).service(open_gift).service(return_gift);
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(gift_receipt);
}
