//! Routes of the till.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};

use super::service::{self, Confirmation, Receipt};
use crate::{
    error::Result,
    fulfilment::{Fresh, api::checked_time},
    http::{Body, Call, Mount, NoBody, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Action, Instant, Money, Scope,
        ids::PaymentOperationId,
        text::{Note, Text},
    },
    orders::{self, OrderDocument},
    payments::{self, Operation, OperationKind, OperationState, Payment, PaymentView},
};

/// Money that came in.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reference": "BANK-2026-03-02-17"}))]
pub struct ReceiptRequest {
    /// How much; all that is owed when absent.
    pub amount: Option<Money>,
    /// What names it: the bank's reference. Each is booked once.
    #[schema(value_type = String)]
    pub reference: Text<200>,
    /// When it came, if that was not now. Needs the scope `history:write`.
    pub occurred_at: Option<Instant>,
}

/// Record money received
///
/// A transfer, for an order that is paid by prepayment or invoice, or for any other whose money came another way than it
/// was to. It can always be recorded, even for a cancelled order: what is too much is given back.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = ReceiptRequest,
    security(("token" = ["payments:write"])), responses((status = 200, body = OrderDocument)))]
#[post("/orders/{ref}/payments")]
async fn record_payment(call: Call, path: RefPath<String>, body: Body<ReceiptRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::PaymentsWrite)?.clone();
    checked_time(&call, body.occurred_at)?;
    let (amount, reference, occurred_at) = (body.amount, body.reference.to_string(), body.occurred_at);
    let receipt = Receipt { amount, reference, occurred_at };
    let (now, fresh, of) = (call.now, Fresh::new(), path.0);
    call.command(&body.fingerprint, move |tx| {
        let id = orders::resolve(tx, &actor, &of)?;
        let order = service::record_payment(tx, now, &actor, &fresh, id, &receipt)?;
        Ok(Reply::ok(&order)?.version(order.version))
    })
    .await
}

/// Money to give back.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"amount": {"amount": "5.00", "currency": "EUR"}, "reason": "scratched"}))]
pub struct RefundRequest {
    /// How much.
    pub amount: Money,
    /// Why.
    #[schema(value_type = String)]
    pub reason: Note<500>,
}

/// Give money back
///
/// As goodwill, beside any return: never more than was captured. The provider is asked at once, in the background;
/// `payment.refunded.v1` tells when it has done it. What goes back by hand waits in the work list `refunds_to_pay`.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = RefundRequest,
    security(("token" = ["payments:write"])), responses((status = 202, body = OrderDocument)))]
#[post("/orders/{ref}/refunds")]
async fn refund_order(call: Call, path: RefPath<String>, body: Body<RefundRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::PaymentsWrite)?.clone();
    let (amount, reason) = (body.amount, body.reason.to_string());
    let (now, fresh, of) = (call.now, Fresh::new(), path.0);
    call.command(&body.fingerprint, move |tx| {
        let id = orders::resolve(tx, &actor, &of)?;
        let order = service::refund(tx, now, &actor, &fresh, id, amount, &reason)?;
        Ok(Reply::accepted(&order)?.version(order.version))
    })
    .await
}

/// A capture, void or refund.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PaymentOperationView {
    /// Its id.
    pub id: PaymentOperationId,
    /// What is done.
    pub kind: OperationKind,
    /// Where it stands. More states may come.
    pub state: OperationState,
    /// How much.
    pub amount: Money,
    /// Why it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// What can be done with it.
    pub actions: Vec<Action>,
}

/// A payment with everything that was done with its money.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PaymentDetail {
    /// The payment.
    #[serde(flatten)]
    pub payment: PaymentView,
    /// What was done with its money, the oldest first.
    pub operations: Vec<PaymentOperationView>,
}

/// An order's payments.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OrderPayments {
    /// Each with what was done with its money.
    pub payments: Vec<PaymentDetail>,
}

fn detail(payment: &Payment, operations: &[Operation]) -> PaymentDetail {
    let own = operations.iter().filter(|operation| operation.payment == payment.id);
    let view = |operation: &Operation| PaymentOperationView {
        id: operation.id,
        kind: operation.kind,
        state: operation.state,
        amount: Money::from_minor(operation.amount, payment.amount.currency()),
        reason: operation.reason.clone(),
        error: operation.error.clone(),
        created_at: operation.created_at,
        updated_at: operation.updated_at,
        actions: vec![Action::of("confirm", operation.confirmable(payment, operations))],
    };
    PaymentDetail { payment: PaymentView::from(payment), operations: own.map(view).collect() }
}

/// Read an order's payments
///
/// Each with its captures, voids and refunds, and why one failed.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = OrderPayments)))]
#[get("/orders/{ref}/payments")]
async fn order_payments(call: Call, path: RefPath<String>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    let found = call.read(move |tx| {
        let id = orders::find(tx, &actor, &path.0)?;
        let payments = payments::of_order(tx, id)?;
        let ids: Vec<_> = payments.iter().map(|payment| payment.id).collect();
        let operations = payments::operations(tx, &ids)?;
        Ok(OrderPayments { payments: payments.iter().map(|payment| detail(payment, &operations)).collect() })
    });
    Reply::ok(&found.await?)
}

/// Ask the payment providers again
///
/// For whatever of the order is still to be captured, given back or let go: after a provider had refused it and the reason
/// is gone. Where nothing is left to ask, nothing happens.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), security(("token" = ["payments:write"])),
    responses((status = 202, body = OrderDocument)))]
#[post("/orders/{ref}/settle")]
async fn settle_order(call: Call, path: RefPath<String>, _: NoBody) -> Result<Reply> {
    let actor = call.allow(Scope::PaymentsWrite)?.clone();
    let (now, fresh, of) = (call.now, Fresh::new(), path.0);
    call.command(&Fingerprint::none(), move |tx| {
        let id = orders::resolve(tx, &actor, &of)?;
        let order = service::settle(tx, now, &fresh, id)?;
        Ok(Reply::accepted(&order)?.version(order.version))
    })
    .await
}

/// Money that was moved by hand.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reference": "BANK-2026-03-05-3"}))]
pub struct ConfirmationRequest {
    /// What names it: the bank's reference.
    #[schema(value_type = Option<String>)]
    pub reference: Option<Text<200>>,
    /// When, if that was not now. Needs the scope `history:write`.
    pub occurred_at: Option<Instant>,
}

/// Confirm that money was moved by hand
///
/// A refund that waits to be paid out, or what a provider had refused and was done another way. It is done then, and
/// booked.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(PaymentOperationId), Path)),
    request_body = ConfirmationRequest,
    security(("token" = ["payments:write"])), responses((status = 200, body = OrderDocument)))]
#[post("/payment-operations/{id}/confirm")]
async fn confirm_operation(
    call: Call,
    path: RefPath<PaymentOperationId>,
    body: Body<ConfirmationRequest>,
) -> Result<Reply> {
    let actor = call.allow(Scope::PaymentsWrite)?.clone();
    checked_time(&call, body.occurred_at)?;
    let reference = body.reference.as_ref().map(ToString::to_string);
    let what = Confirmation { reference, occurred_at: body.occurred_at };
    let (id, now, fresh) = (path.0, call.now, Fresh::new());
    call.command(&body.fingerprint, move |tx| {
        let order = service::confirm(tx, now, &actor, &fresh, id, &what)?;
        Ok(Reply::ok(&order)?.version(order.version))
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(record_payment).service(refund_order).service(order_payments);
    config.service(settle_order).service(confirm_operation);
}
