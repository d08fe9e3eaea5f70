//! Routes of withdrawals: for customers and guests; staff read them.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};

use super::{
    carrying,
    model::WithdrawalDocument,
    service::{self, NewWithdrawal, WithdrawalOptions},
};
use crate::{
    channels::{Channel, Directory},
    error::{Code, Error, Result},
    http::{Body, Call, Mount, NoBody, Params, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Id, Instant, Quantity, Scope,
        ids::{OrderId, WithdrawalId},
        text::{Email, Text},
    },
    orders,
    returns::forms::OwnReturnQuery,
};

/// A line that is withdrawn from.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawLine {
    /// The order's line.
    pub line_no: i32,
    /// How many pieces.
    pub quantity: Quantity,
}

/// A declaration that somebody withdraws.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Ada Lovelace", "email": "ada@example.org"}))]
pub struct WithdrawRequest {
    /// Who declares it.
    #[schema(value_type = String)]
    pub name: Text<200>,
    /// Where the acknowledgement goes.
    pub email: Email,
    /// The language of the acknowledgement; that of the order unless told.
    #[schema(value_type = Option<String>)]
    pub locale: Option<Text<35>>,
    /// From which lines; from all of the order when left out.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Option<Vec<WithdrawLine>>,
}

impl WithdrawRequest {
    fn lines(&self) -> Result<Option<Vec<(i32, i64)>>> {
        let Some(lines) = &self.lines else { return Ok(None) };
        if !(1..=1000).contains(&lines.len()) {
            return Err(Error::invalid("/lines", "expected 1 to 1000 lines; leave it out for all of the order"));
        }
        let line = |(place, line): (usize, &WithdrawLine)| match line.quantity.is_zero() {
            true => {
                let error = Error::problem(Code::QuantityInvalid, "expected at least one piece");
                Err(error.at(format!("/lines/{place}/quantity")))
            }
            false => Ok((line.line_no, line.quantity.get())),
        };
        lines.iter().enumerate().map(line).collect::<Result<_>>().map(Some)
    }
}

async fn channel(call: &Call) -> Result<Channel> {
    let shopper = call.shopper()?;
    Ok(call.snapshot::<Directory>().await?.get(shopper.channel)?.clone())
}

/// Declare that one withdraws from an order
///
/// The first of two steps; the second is `confirm`. As the customer who ordered it, as a guest with the `Cart-Token` of the cart it was, or
/// as anybody with the `token` of a link to the order. It is open from the order on until fourteen days after the last of its goods came.
#[utoipa::path(tag = "my orders", params(("id" = inline(OrderId), Path), OwnReturnQuery), request_body = WithdrawRequest,
    responses((status = 201, body = WithdrawalDocument)))]
#[post("/orders/{id}/withdrawals")]
async fn declare_withdrawal(
    call: Call,
    path: RefPath<OrderId>,
    query: Params<OwnReturnQuery>,
    body: Body<WithdrawRequest>,
) -> Result<Reply> {
    let channel = channel(&call).await?;
    let (id, now, event, token) = (path.0, call.now, Id::new(), query.0.token);
    let new = NewWithdrawal {
        id: Id::new(),
        number: format!("W{}", call.state.db.next_number("withdrawals").await?),
        name: body.name.to_string(),
        email: body.email.as_str().to_owned(),
        locale: body.locale.as_ref().map(ToString::to_string),
        lines: body.lines()?,
    };
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    call.command(&body.fingerprint, move |tx| {
        orders::opened(tx, &actor, (&secret, now), id, token.as_deref())?;
        let made = service::declare(tx, (now, &actor), event, id, (&new, &channel)).map_err(orders::holds::untold)?;
        Ok(Reply::created(&made)?.version(made.version).location(format!("/v1/store/orders/{id}/withdrawals")))
    })
    .await
}

/// Confirm that one withdraws
///
/// From then on it stands. The answer is the acknowledgement, with the time and the text; `withdrawal.confirmed.v1` tells whoever mails it.
/// What has left is an approved return, what has not is cancelled, in the background. Asked once more, it is answered as it was.
#[utoipa::path(tag = "my orders",
    params(("id" = inline(OrderId), Path), ("withdrawal" = inline(WithdrawalId), Path), OwnReturnQuery),
    responses((status = 200, body = WithdrawalDocument)))]
#[post("/orders/{id}/withdrawals/{withdrawal}/confirm")]
async fn confirm_withdrawal(
    call: Call,
    path: RefPath<(OrderId, WithdrawalId)>,
    query: Params<OwnReturnQuery>,
    _: NoBody,
) -> Result<Reply> {
    let channel = channel(&call).await?;
    let ((id, withdrawal), now, token) = (path.0, call.now, query.0.token);
    let (event, job) = (Id::new(), Id::new());
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    call.command(&Fingerprint::none(), move |tx| {
        orders::opened(tx, &actor, (&secret, now), id, token.as_deref())?;
        let one = service::confirm(tx, (now, &actor), (event, job), (id, withdrawal), &channel)
            .map_err(orders::holds::untold)?;
        Ok(Reply::ok(&one)?.version(one.version))
    })
    .await
}

/// The withdrawals of an order, and what can still be withdrawn from.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OrderWithdrawals {
    /// What can be withdrawn from now.
    pub options: WithdrawalOptions,
    /// The oldest first.
    pub withdrawals: Vec<WithdrawalDocument>,
}

/// See one's withdrawals of an order, and what can be withdrawn from
#[utoipa::path(tag = "my orders", params(("id" = inline(OrderId), Path), OwnReturnQuery),
    responses((status = 200, body = OrderWithdrawals)))]
#[get("/orders/{id}/withdrawals")]
async fn own_withdrawals(call: Call, path: RefPath<OrderId>, query: Params<OwnReturnQuery>) -> Result<Reply> {
    let channel = channel(&call).await?;
    let (id, now, token) = (path.0, call.now, query.0.token);
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    let found = call.read(move |tx| {
        let order = orders::opened(tx, &actor, (&secret, now), id, token.as_deref())?;
        let options = service::options(tx, now, &order, &channel)?;
        Ok(OrderWithdrawals { options, withdrawals: service::of_order(tx, id)? })
    });
    Reply::ok(&found.await?)
}

/// What was acknowledged.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Acknowledgement {
    /// When the withdrawal was confirmed.
    pub confirmed_at: Instant,
    /// The text, word for word as it was given; absent once the customer was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The SHA-256 of the text in UTF-8.
    pub sha256: String,
}

/// Read the acknowledgement of a withdrawal again
#[utoipa::path(tag = "my orders",
    params(("id" = inline(OrderId), Path), ("withdrawal" = inline(WithdrawalId), Path), OwnReturnQuery),
    responses((status = 200, body = Acknowledgement)))]
#[get("/orders/{id}/withdrawals/{withdrawal}/acknowledgement")]
async fn read_acknowledgement(
    call: Call,
    path: RefPath<(OrderId, WithdrawalId)>,
    query: Params<OwnReturnQuery>,
) -> Result<Reply> {
    call.shopper()?;
    let ((id, withdrawal), now, token) = (path.0, call.now, query.0.token);
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    let found = call.read(move |tx| {
        orders::opened(tx, &actor, (&secret, now), id, token.as_deref())?;
        service::of(tx, id, withdrawal)
    });
    let one = found.await?;
    let (Some(confirmed_at), Some(sha256)) = (one.confirmed_at, one.sha256) else {
        return Err(Error::conflict("it is not confirmed yet"));
    };
    Reply::ok(&Acknowledgement { confirmed_at, document: one.document, sha256 })
}

/// Withdrawals of an order, for staff.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WithdrawalsOfOrder {
    /// The oldest first.
    pub withdrawals: Vec<WithdrawalDocument>,
}

/// See the withdrawals of an order
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = WithdrawalsOfOrder)))]
#[get("/orders/{ref}/withdrawals")]
async fn order_withdrawals(call: Call, path: RefPath<String>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    let found = call.read(move |tx| {
        let id = orders::find(tx, &actor, &path.0)?;
        service::of_order(tx, id)
    });
    Reply::ok(&WithdrawalsOfOrder { withdrawals: found.await? })
}

/// Carry a withdrawal out again
///
/// For one that is confirmed and could not be carried out: once the hold that stood in its way has ended, or what was packed is unpacked. A
/// new job takes the place of the one that is dead or was given up; what was done of it stays done.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path), ("withdrawal" = inline(WithdrawalId), Path)),
    security(("token" = ["orders:write"])), responses((status = 202, body = WithdrawalDocument)))]
#[post("/orders/{ref}/withdrawals/{withdrawal}/carry-out")]
async fn carry_out_withdrawal(call: Call, path: RefPath<(String, WithdrawalId)>, _: NoBody) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let ((of, withdrawal), now, job) = (path.0, call.now, Id::new());
    call.command(&Fingerprint::none(), move |tx| {
        let order = orders::resolve(tx, &actor, &of)?;
        let one = carrying::carry_out_again(tx, now, job, (order, withdrawal))?;
        Ok(Reply::accepted(&one)?.version(one.version))
    })
    .await
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config
        .service(declare_withdrawal)
        .service(confirm_withdrawal)
        .service(own_withdrawals)
        .service(read_acknowledgement);
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(order_withdrawals).service(carry_out_withdrawal);
}
