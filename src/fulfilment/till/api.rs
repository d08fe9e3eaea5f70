//! Routes of the till.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};

use super::{
    disputes_api, fees_api, ledger_api,
    refunds::{self, LineRefund, RefundKind, RefundOf, RefundView, Refunded},
    requests_api,
    second::{self, Second},
    service::{self, Confirmation, Receipt},
    targets::{GiveTo, RefundCard, RefundTo},
    unapplied,
};
use crate::{
    countersign::{self, CountersignRequest, Passed},
    error::{Error, Result},
    fulfilment::{Fresh, api::checked_time, money},
    http::{Body, Call, Mount, NoBody, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Action, Id, Instant, Money, Scope,
        ids::{PaymentId, PaymentOperationId, StoredValueId},
        text::{Note, Text},
    },
    orders::{self, OrderDocument},
    payments::{
        self, Account, Operation, OperationKind, OperationState, Payment, PaymentView, Target,
        fees::{self, PaymentFee},
    },
};

/// Money that came in.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reference": "BANK-2026-03-02-17"}))]
pub struct ReceiptRequest {
    /// How much; all that is owed when absent, less what is being captured otherwise.
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

/// Money to give back: an `amount` for nothing in particular, `lines`, `shipping`, or several of these.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"amount": {"amount": "5.00", "currency": "EUR"}, "reason": "scratched"}))]
pub struct RefundRequest {
    /// As what: `goodwill` unless told; or `price_reduction`, which lowers what was sold and its tax, with a credit note.
    pub kind: Option<RefundKind>,
    /// How much, beside what is said of lines and shipping. A lower price is spread over all that the customer has been given.
    pub amount: Option<Money>,
    /// For which lines: no more than is left of the price of what the customer was given of each.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub lines: Vec<LineRefund>,
    /// How much of shipping: no more, over all, than it was.
    pub shipping: Option<Money>,
    /// Where it goes: `source`, the way it came, unless told; `gift_card`; or `store_credit` of the order's customer.
    pub to: Option<Target>,
    /// The gift card that it goes onto: the customer's, or nobody's. Left out, a new one is issued, and the answer tells its code, this
    /// once.
    pub gift_card_id: Option<StoredValueId>,
    /// Why.
    #[schema(value_type = String)]
    pub reason: Note<500>,
}

/// An order of which money was given back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RefundAnswer {
    /// The order.
    #[serde(flatten)]
    pub order: OrderDocument,
    /// The gift card that was issued for it, with its code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gift_card: Option<RefundCard>,
}

impl RefundAnswer {
    /// The reply; secret where it holds a code.
    fn reply(self) -> Result<Reply> {
        let (version, secret) = (self.order.version, self.gift_card.is_some());
        let reply = Reply::accepted(&self)?.version(version);
        Ok(if secret { reply.secret() } else { reply })
    }
}

/// Give money back
///
/// As goodwill, beside any return: never more than was captured, over all targets together. Or as a lower price of what the customer has
/// been given (`kind`): what was sold and its tax are less by it, a credit note tells so, and what was paid above goes back; what is not paid
/// yet is not asked for any more. The provider is asked at once, in the background;
/// `payment.refunded.v1` tells when it has done it. What goes back by hand waits in the work list `refunds_to_pay`; what goes onto a gift
/// card or store credit is there at once. Above what one person gives back alone (`second_person` of the channel) nothing is given back yet:
/// the answer is 201 with the request that somebody else approves.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = RefundRequest,
    security(("token" = ["payments:write"])), responses((status = 202, body = RefundAnswer), (status = 201, body = CountersignRequest)))]
#[post("/orders/{ref}/refunds")]
async fn refund_order(call: Call, path: RefPath<String>, body: Body<RefundRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::PaymentsWrite)?.clone();
    if body.lines.len() > 1000 {
        return Err(Error::invalid("/lines", "expected at most 1000 lines"));
    }
    let wanted = RefundTo { to: body.to.unwrap_or(Target::Source), gift_card_id: body.gift_card_id };
    let to = GiveTo::of(Some(wanted), "")?;
    let what = RefundOf {
        amount: body.amount,
        lines: body.lines.clone(),
        shipping: body.shipping,
        reason: body.reason.to_string(),
        kind: body.kind.unwrap_or(RefundKind::Goodwill),
    };
    let (now, fresh, of) = (call.now, Fresh::new(), path.0);
    let second = Second::Ask((Id::new(), Id::new()));
    call.command(&body.fingerprint, move |tx| {
        let id = orders::resolve(tx, &actor, &of)?;
        match refunds::refund(tx, (now, &actor), &fresh, id, (&what, &to), &second)? {
            Refunded::Done(order, given) => RefundAnswer { order: *order, gift_card: to.issued(given) }.reply(),
            Refunded::Waits(request) => request.reply(),
        }
    })
    .await
}

/// Read what was given back of an order
///
/// Beside its cancellations and returns, the oldest first.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = OrderRefunds)))]
#[get("/orders/{ref}/refunds")]
async fn order_refunds(call: Call, path: RefPath<String>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    let found = call.read(move |tx| {
        let id = orders::find(tx, &actor, &path.0)?;
        Ok(OrderRefunds { refunds: refunds::of(tx, id)? })
    });
    Reply::ok(&found.await?)
}

/// What staff have given back of an order.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OrderRefunds {
    /// Each as it was asked for.
    pub refunds: Vec<RefundView>,
}

/// What is kept for the customer, and where it is to go.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"to": "source", "reason": "paid twice"}))]
pub struct UnappliedRequest {
    /// How much; all that is kept when absent.
    pub amount: Option<Money>,
    /// Where it goes: `source`, the way it came, unless told; `gift_card`; or `store_credit` of the order's customer.
    pub to: Option<Target>,
    /// The gift card that it goes onto; a new one where none is named.
    pub gift_card_id: Option<StoredValueId>,
    /// Why.
    #[schema(value_type = String)]
    pub reason: Note<500>,
}

impl UnappliedRequest {
    /// Where it goes.
    ///
    /// # Errors
    /// `invalid_value`.
    pub(super) fn to(&self) -> Result<GiveTo> {
        let wanted = RefundTo { to: self.to.unwrap_or(Target::Source), gift_card_id: self.gift_card_id };
        GiveTo::of(Some(wanted), "")
    }
}

/// Give back what was paid too much and kept
///
/// Of an order in the work list `overpaid_orders`, where its channel keeps what was not owed. Above what one person gives back alone
/// (`second_person` of the channel) nothing is given back yet: the answer is 201 with the request that somebody else approves.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = UnappliedRequest,
    security(("token" = ["payments:write"])), responses((status = 202, body = RefundAnswer), (status = 201, body = CountersignRequest)))]
#[post("/orders/{ref}/overpayment/refund")]
async fn refund_overpayment(call: Call, path: RefPath<String>, body: Body<UnappliedRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::PaymentsWrite)?.clone();
    let (to, asked) = (body.to()?, body.value.clone());
    let (now, fresh, of, ids) = (call.now, Fresh::new(), path.0, (Id::new(), Id::new()));
    call.command(&body.fingerprint, move |tx| {
        let id = orders::resolve(tx, &actor, &of)?;
        let done = countersign::or_ask(
            tx,
            (now, &actor),
            ids,
            |tx| unapplied::give_back(tx, now, &actor, &fresh, id, (asked.amount, &to, &asked.reason)),
            |tx| second::wanted(tx, id, (&asked, &to)),
        )?;
        match done {
            Passed::Done((order, given)) => RefundAnswer { order, gift_card: to.issued(given) }.reply(),
            Passed::Waits(request) => request.reply(),
        }
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
    /// Where the money went, where that is not the way it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Target>,
    /// The gift card or store credit that it went onto.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_value_id: Option<StoredValueId>,
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
    /// What its provider has kept of it, as far as that is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fees: Vec<PaymentFee>,
}

/// An order's payments.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OrderPayments {
    /// What the customer still owes by the order's ledger, once what is on its way back to them has come; below zero, what they are owed.
    pub owed: Money,
    /// What was paid too much and is kept for them.
    pub unapplied: Money,
    /// Each with what was done with its money.
    pub payments: Vec<PaymentDetail>,
}

fn detail(payment: &Payment, operations: &[Operation], fees: &[(PaymentId, PaymentFee)]) -> PaymentDetail {
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
        to: operation.target,
        stored_value_id: operation.stored_value,
        actions: vec![Action::of("confirm", operation.confirmable(payment, operations))],
    };
    let kept = fees.iter().filter(|(of, _)| *of == payment.id).map(|(_, fee)| fee.clone());
    PaymentDetail { payment: PaymentView::from(payment), operations: own.map(view).collect(), fees: kept.collect() }
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
        let fees = fees::of_payments(tx, &ids)?;
        let order = orders::document(tx, id)?.ok_or_else(|| Error::not_found("order"))?;
        let owed = service::owed_beside(tx, id, &payments)?;
        let unapplied = -money::balance_of(tx, id, Account::Unapplied)?;
        let money = |minor| Money::from_minor(minor, order.currency);
        let (owed, unapplied) = (money(owed), money(unapplied));
        Ok(OrderPayments {
            owed,
            unapplied,
            payments: payments.iter().map(|payment| detail(payment, &operations, &fees)).collect(),
        })
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
    config.service(settle_order).service(confirm_operation).service(order_refunds).service(refund_overpayment);
    disputes_api::ops(config);
    fees_api::ops(config);
    ledger_api::ops(config);
    requests_api::ops(config);
}
