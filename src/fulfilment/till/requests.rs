//! Money that is asked for after an order was placed, by a link: what an amendment has made it cost more, what a promise that has ended left
//! open, what was to be transferred. Each change locks the order, then the request, then the payment, so that no two links are ever paid
//! for the same money, and what is promised when so much is not owed any more never becomes the order's.

use serde::{Deserialize, Serialize};

use super::service::{in_currency, reread};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    events::{self, EventSchema, NewEvent, Payload},
    fulfilment::{
        Fresh,
        ids::Draw,
        money::{self, Planned, Settling},
        service::announce,
    },
    http::seal::Secret,
    kernel::{
        Actor, Instant, Money,
        ids::{EventId, OrderId, PaymentRequestId},
        text::Note,
    },
    orders::{self, OrderDocument, OrderState},
    payments::{
        self, AUTHORISED, Authorised, MANUAL, NewPayment, OperationKind, Payment, PaymentView,
        requests::{self, PaymentRequest, PaymentRequestCommand as Command, PaymentRequestState as State},
    },
};

/// Somebody is asked to pay.
const CREATED: &str = "payment_request.created.v1";
/// It is being paid, is paid, can be paid again, or is asked for no more.
const UPDATED: &str = "payment_request.updated.v1";

/// What links are derived with.
const LINK: &str = "payment-request";
/// For so many hours a link is good unless it is said otherwise.
const HOURS: i64 = 168;
/// For so many at most.
const MOST_HOURS: i64 = 2_160;
/// An order has so many requests at most.
const MOST: usize = 50;

/// What the events of payment requests carry.
pub(super) fn event_schemas() -> [EventSchema; 2] {
    [CREATED, UPDATED].map(EventSchema::of::<PaymentRequest>)
}

/// What somebody is asked to pay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentRequestAsked, example = json!({"hours": 72, "message": "Two more mugs, as discussed"}))]
pub struct Asked {
    /// How much; all that is owed, and neither promised nor asked for by another request, when absent.
    pub amount: Option<Money>,
    /// For how long its link is good: 168 (a week) unless told.
    #[schema(minimum = 1, maximum = 2_160)]
    pub hours: Option<i64>,
    /// What whoever pays reads. It is erased with them, and left out of events.
    #[schema(value_type = Option<String>, max_length = 500)]
    pub message: Option<Note<500>>,
}

/// A payment request, and the link by which it is paid.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = PaymentRequestLink)]
pub struct RequestLink {
    /// It.
    #[serde(flatten)]
    pub request: PaymentRequest,
    /// Whoever has it can see what is asked for and pay it: the storefront's page sends it to `/v1/store/payment-requests/open`. It is told
    /// this once and not kept.
    pub token: String,
}

fn subject(request: &PaymentRequest) -> String {
    format!("{}:{}", request.id, request.expires_at.micros())
}

/// The request that a link is of. One that has ended is given too.
///
/// # Errors
/// `not_found`.
pub fn linked(tx: &mut Tx, now: Instant, secret: &Secret, token: &str) -> Result<(PaymentRequest, OrderDocument)> {
    let gone = || Error::not_found("payment request, or its link is another one");
    let (id, given) = token.split_once('.').ok_or_else(gone)?;
    let request = requests::find(tx, id.parse().map_err(|_| gone())?).map_err(|error| match error.code() {
        Code::NotFound => gone(),
        _ => error,
    })?;
    if !secret.is_token(LINK, &subject(&request), given) {
        return Err(gone());
    }
    let order = orders::document(tx, request.order_id)?.ok_or_else(gone)?;
    let uncovered = money::uncovered(tx, now, &order)?;
    Ok((request.seen(now, uncovered), order))
}

/// The requests of an order, the oldest first, as they are read now.
///
/// # Errors
/// `not_found`.
pub(super) fn of_order(tx: &mut Tx, now: Instant, id: OrderId) -> Result<Vec<PaymentRequest>> {
    let order = orders::document(tx, id)?.ok_or_else(|| Error::not_found("order"))?;
    seen_of(tx, now, &order).map(|(all, _)| all)
}

/// The same, and what the order owes that nobody has promised, in minor units.
fn seen_of(tx: &mut Tx, now: Instant, order: &OrderDocument) -> Result<(Vec<PaymentRequest>, i64)> {
    let uncovered = money::uncovered(tx, now, order)?;
    let all = requests::of_order(tx, order.id)?;
    Ok((all.into_iter().map(|one| one.seen(now, uncovered)).collect(), uncovered))
}

/// A request that the actor sees.
///
/// # Errors
/// `not_found`.
pub(super) fn read(tx: &mut Tx, now: Instant, actor: &Actor, id: PaymentRequestId) -> Result<PaymentRequest> {
    let request = visible(tx, actor, id)?;
    let order = orders::document(tx, request.order_id)?.ok_or_else(|| Error::not_found("order"))?;
    Ok(request.seen(now, money::uncovered(tx, now, &order)?))
}

fn visible(tx: &mut Tx, actor: &Actor, id: PaymentRequestId) -> Result<PaymentRequest> {
    let found = requests::find(tx, id)?;
    if actor.sees_channel(found.channel_id) { Ok(found) } else { Err(Error::not_found("payment request")) }
}

/// Asks for money of an order by a link.
///
/// # Errors
/// `not_found`; `state_conflict` where nothing is owed, or less than that beside what is promised and asked for by others; `invalid_value`.
pub fn ask(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    fresh: &Fresh,
    secret: &Secret,
    (id, asked): (OrderId, &Asked),
) -> Result<RequestLink> {
    let hours = checked_hours(asked.hours)?;
    let order = orders::lock(tx, id)?;
    let (known, uncovered) = seen_of(tx, now, &order)?;
    if known.len() >= MOST {
        return Err(Error::conflict(format!("an order has at most {MOST} payment requests")));
    }
    let left = uncovered - known.iter().map(PaymentRequest::live).sum::<i64>();
    let amount = match asked.amount {
        Some(amount) => in_currency(&order, amount)?,
        None => left,
    };
    if amount <= 0 || amount > left {
        let left = Money::from_minor(left.max(0), order.currency);
        let detail = format!("{left} are owed and neither promised nor asked for by another payment request");
        return Err(Error::conflict(detail).at("/amount").with("left", serde_json::to_value(left)?));
    }
    let mut draw = fresh.draw();
    let request = PaymentRequest {
        id: draw.next(),
        order_id: order.id,
        channel_id: order.channel_id,
        state: State::Open,
        amount: Money::from_minor(amount, order.currency),
        payment_id: None,
        message: asked.message.as_ref().map(ToString::to_string),
        asked_by: actor.label(),
        expires_at: now.plus_seconds(3_600 * hours),
        version: 1,
        created_at: now,
        updated_at: now,
        actions: Vec::new(),
    };
    requests::insert(tx, &request)?;
    let request = request.seen(now, uncovered);
    tell(tx, (now, actor), draw.next(), CREATED, &request)?;
    Ok(link(secret, request))
}

/// For so many hours a link is good.
///
/// # Errors
/// `invalid_value`.
pub fn checked_hours(hours: Option<i64>) -> Result<i64> {
    let hours = hours.unwrap_or(HOURS);
    match (1..=MOST_HOURS).contains(&hours) {
        true => Ok(hours),
        false => Err(Error::invalid("/hours", format!("expected a number from 1 to {MOST_HOURS}"))),
    }
}

fn link(secret: &Secret, request: PaymentRequest) -> RequestLink {
    let token = format!("{}.{}", request.id, secret.token(LINK, &subject(&request)));
    RequestLink { request, token }
}

/// Makes another link of a request that nobody is paying, good for so many hours from now; the one before is good no more.
///
/// # Errors
/// `not_found`; `state_conflict` where it is being paid, or can not be paid any more; `invalid_value`.
pub(super) fn renew(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    (event, secret): (EventId, &Secret),
    (id, hours): (PaymentRequestId, Option<i64>),
) -> Result<RequestLink> {
    let hours = checked_hours(hours)?;
    let of = visible(tx, actor, id)?.order_id;
    let order = orders::lock(tx, of)?;
    let uncovered = money::uncovered(tx, now, &order)?;
    let request = requests::lock(tx, id)?.seen(now, uncovered);
    if request.state != State::Open {
        let detail = format!("the payment request is {}: nobody can pay by another link", request.state);
        return Err(Error::conflict(detail).with("state", request.state.as_str()));
    }
    let until = now.plus_seconds(3_600 * hours);
    // A link is known by its end: one that would end when the last does ends a moment later.
    let until = if until == request.expires_at { until.plus_seconds(1) } else { until };
    let request = requests::renew(tx, now, request, until)?.seen(now, uncovered);
    tell(tx, (now, actor), event, UPDATED, &request)?;
    Ok(link(secret, request))
}

/// Tells of a request, without what people have written.
fn tell(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    id: EventId,
    kind: &'static str,
    request: &PaymentRequest,
) -> Result<()> {
    let told = PaymentRequest { message: None, ..request.clone() };
    let event = NewEvent {
        id,
        stream: request.order_id.to_string(),
        aggregate: "payment_request",
        aggregate_id: request.id.to_string(),
        aggregate_version: request.version,
        channel: Some(request.channel_id),
        kind,
        occurred_at: now,
        payload: Payload::of(&told)?,
        subject: None,
    };
    events::append(tx, actor, now, vec![event])
}

/// Takes a request back that nobody is paying.
///
/// # Errors
/// `not_found`; `state_conflict` where it is being paid, or has ended.
pub(super) fn withdraw(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    event: EventId,
    id: PaymentRequestId,
) -> Result<PaymentRequest> {
    let of = visible(tx, actor, id)?.order_id;
    let order = orders::lock(tx, of)?;
    let request = requests::lock(tx, id)?.seen(now, money::uncovered(tx, now, &order)?);
    let state = request.state.apply(Command::Withdraw)?;
    let request = requests::change(tx, now, request, (state, None))?;
    tell(tx, (now, actor), event, UPDATED, &request)?;
    Ok(request)
}

/// What begins when somebody wants to pay a request.
#[derive(Debug)]
pub enum Begun {
    /// An attempt: it is written, and its provider is to be asked.
    Attempt,
    /// Somebody is paying already: their attempt.
    UnderWay(Box<Payment>),
    /// It is paid.
    Paid(PaymentRequest),
}

/// Begins an attempt to pay a request, unless there is one.
///
/// # Errors
/// `not_found`; `state_conflict` where it can not be paid any more: its time is over, it was taken back, or so much is not owed.
pub fn begin(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    event: EventId,
    id: PaymentRequestId,
    new: &NewPayment,
) -> Result<Begun> {
    let of = requests::find(tx, id)?.order_id;
    let order = orders::lock(tx, of)?;
    // What others are paying at this moment is not promised twice.
    let others = requests::of_order(tx, of)?;
    let others = others.iter().filter(|one| one.id != id && one.state == State::Paying).map(PaymentRequest::live);
    let others: i64 = others.sum();
    let request = requests::lock(tx, id)?.seen(now, money::uncovered(tx, now, &order)? - others);
    match (request.state, request.payment_id) {
        (State::Paid, _) => return Ok(Begun::Paid(request)),
        (State::Paying, Some(payment)) => {
            let gone = || Error::internal("a payment request is being paid by no payment");
            return Ok(Begun::UnderWay(Box::new(payments::get(tx, payment)?.ok_or_else(gone)?)));
        }
        _ => {}
    }
    let state = request.state.apply(Command::Begin).map_err(|_| no_more(&request))?;
    let request = requests::change(tx, now, request, (state, Some(new.id)))?;
    payments::open(tx, now, new)?;
    tell(tx, (now, actor), event, UPDATED, &request)?;
    Ok(Begun::Attempt)
}

/// Why a request can not be paid any more, for whoever has its link.
fn no_more(request: &PaymentRequest) -> Error {
    let detail = match request.state {
        State::Expired => "the time in which it could be paid is over: ask the shop for another link",
        State::Withdrawn => "the shop does not ask for it any more",
        _ => "so much is not owed any more: ask the shop what is",
    };
    Error::conflict(detail).with("state", request.state.as_str())
}

/// What a provider's promise makes of a request.
#[derive(Debug)]
pub enum Promised {
    /// It is paid, and the promise is the order's.
    Paid(PaymentRequest),
    /// So much is not owed any more: the promise has no order, and whoever calls has it given up.
    NotOwed,
    /// Somebody else has settled the attempt.
    Late,
}

/// The provider has promised the money of an attempt to pay a request. It is the order's, which pays with it what it is for; what somebody said
/// they would transfer of it is not waited for any more, and what the order was held for because of its payment has ended once all is promised.
///
/// # Errors
/// What the database says.
pub fn promised(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    fresh: &Fresh,
    payment: &Payment,
    told: (Option<&str>, Option<Instant>),
) -> Result<Promised> {
    let (id, order) = of(payment)?;
    let mut order = orders::lock(tx, order)?;
    let request = requests::lock(tx, id)?;
    let is_owed = money::uncovered(tx, now, &order)? >= payment.amount.minor();
    if !payments::authorised(tx, now, payment.id, payment.attempt, told, order.id)? {
        return Ok(Promised::Late);
    }
    let mut draw = fresh.draw();
    let command = if is_owed { Command::Pay } else { Command::Void };
    let state = request.state.apply(command)?;
    let request = requests::change(tx, now, request, (state, Some(payment.id)))?;
    if !is_owed {
        payments::orphaned(tx, now, payment.id)?;
        tell(tx, (now, actor), draw.next(), UPDATED, &request)?;
        return Ok(Promised::NotOwed);
    }
    attach(tx, (now, actor), &mut order, &mut draw, payment)?;
    tell(tx, (now, actor), draw.next(), UPDATED, &request)?;
    Ok(Promised::Paid(request))
}

/// Makes a promise one of an order's payments.
fn attach(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    order: &mut OrderDocument,
    draw: &mut Draw<'_>,
    payment: &Payment,
) -> Result<()> {
    not_by_hand(tx, now, order, draw)?;
    reread(tx, order)?;
    orders::save(tx, now, order, &[], 1)?;
    let found = order.payments.iter().find(|one| one.id == payment.id).cloned();
    let view: PaymentView = found.ok_or_else(|| Error::internal("an order does not have its payment"))?;
    let data = Authorised { order_id: order.id, order_number: &order.number, payment: view };
    announce(tx, (now, now), actor, order, draw, vec![(AUTHORISED, Payload::of(&data)?)])?;
    if order.state == OrderState::Placed && money::uncovered(tx, now, order)? <= 0 {
        orders::holds::when_promised(tx, now, draw.next(), order)?;
    }
    // What has left already is paid at once.
    money::settle_returns(tx, (now, now), order, draw, &Settling::because("a payment request"))
}

/// Lets go what was to be transferred for an order and is promised otherwise by now.
fn not_by_hand(tx: &mut Tx, now: Instant, order: &OrderDocument, draw: &mut Draw<'_>) -> Result<()> {
    let all = payments::of_order(tx, order.id)?;
    let by_hand = |payment: &&Payment| payment.provider == MANUAL;
    let waits: i64 = all.iter().filter(by_hand).map(|payment| payment.capturable().minor()).sum();
    let mut over = waits - money::uncovered(tx, now, order)?.max(0);
    let mut planned: Vec<Planned<'_>> = Vec::new();
    for payment in all.iter().filter(by_hand) {
        let part = payment.capturable().minor().min(over);
        if part > 0 {
            over -= part;
            planned.push((payment, OperationKind::Void, part));
        }
    }
    money::begin(tx, (now, now), order, draw, &Settling::because("it is promised by a payment request"), &planned)
}

/// An attempt to pay a request has come to nothing: it can be paid again. Call it before the attempt is ended.
///
/// # Errors
/// `lease_lost` when it is not that attempt any more that is under way.
pub fn failed(tx: &mut Tx, (now, actor): (Instant, &Actor), event: EventId, payment: &Payment) -> Result<()> {
    let (id, order) = of(payment)?;
    orders::lock(tx, order)?;
    let request = requests::lock(tx, id)?;
    if request.state != State::Paying || request.payment_id != Some(payment.id) {
        return Err(Error::problem(Code::LeaseLost, "somebody else has settled this payment"));
    }
    let state = request.state.apply(Command::Fail)?;
    let request = requests::change(tx, now, request, (state, None))?;
    tell(tx, (now, actor), event, UPDATED, &request)
}

fn of(payment: &Payment) -> Result<(PaymentRequestId, OrderId)> {
    payment.request().ok_or_else(|| Error::internal(format!("payment {} is not for a payment request", payment.id)))
}
