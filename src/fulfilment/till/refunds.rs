//! What staff give back beside any return: a goodwill, for lines, for shipping or for nothing in particular; or a lower price.

use serde::{Deserialize, Serialize};

use super::{
    goodwill, reductions,
    second::{self, Second},
    service::{RefundRequested, in_currency, reread},
    store,
    targets::GiveTo,
};
use crate::{
    countersign::CountersignRequest,
    db::Tx,
    error::{Code, Error, Result},
    events::Payload,
    fulfilment::{Fresh, cancel::within_ceiling, ids::Draw, service::announce},
    kernel::{
        Actor, Instant, Money,
        ids::{OrderId, RefundId, StoredValueId},
    },
    orders::{self, OrderDocument},
    payments::Target,
};

crate::words! {
    /// What money is given back as.
    pub enum RefundKind {
        /// Given away: what was sold, and its tax, stay as they are.
        Goodwill = "goodwill",
        /// The price is lower from now on, and with it what was sold and its tax (Directive 2006/112/EC, Article 90): a credit note tells
        /// of it.
        PriceReduction = "price_reduction",
    }
}

/// What is given back for a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RefundLine)]
pub struct LineRefund {
    /// The order's line.
    pub line_no: i32,
    /// For so many of its pieces, their share of what was paid; or `amount`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub quantity: Option<i64>,
    /// So much; or `quantity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
}

/// What is to be given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundOf {
    /// So much for nothing in particular.
    pub amount: Option<Money>,
    /// For lines: no more than is left of the price of what the customer was given of them.
    pub lines: Vec<LineRefund>,
    /// So much of shipping: no more than that was.
    pub shipping: Option<Money>,
    /// Why.
    pub reason: String,
    /// As what.
    #[serde(default = "given_away")]
    pub kind: RefundKind,
}

/// What all that was asked for before it could be said otherwise is.
const fn given_away() -> RefundKind {
    RefundKind::Goodwill
}

/// What was given back, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = OrderRefund)]
pub struct RefundView {
    /// Its id.
    pub id: RefundId,
    /// As what. More kinds may come.
    pub kind: RefundKind,
    /// Where it went.
    pub to: Target,
    /// How much, together.
    pub amount: Money,
    /// How much of that for shipping.
    pub shipping: Money,
    /// For which lines how much.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<RefundedLine>,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
    /// Who has approved it, where a second person had to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// When.
    pub created_at: Instant,
}

/// What was given back for a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RefundedLine {
    /// The order's line.
    pub line_no: i32,
    /// How much.
    pub amount: Money,
    /// By how many pieces of it a price is lower, of what the customer has; absent for goodwill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pieces: Option<i64>,
    /// The tax in a lower price, by which less is owed to the state; absent for goodwill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Money>,
}

/// Gives money back beside any return. Jobs ask the providers; what goes back by hand waits for somebody; what goes onto a gift card or
/// store credit is done at once. A goodwill is never more than was captured, over all targets together, and leaves what was sold and its
/// tax as they are; a lower price takes both back and gives back what was paid above it.
///
/// # Errors
/// `not_found`, `state_conflict`, `refund_exceeded`, `ceiling_exceeded`, `line_unknown`, `quantity_exceeded`, `invalid_value`,
/// `missing_field`, `gift_card_refused`; `version_stale` where a second person has approved it for another version of the order.
pub(super) fn refund(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    fresh: &Fresh,
    id: OrderId,
    (what, to): (&RefundOf, &GiveTo),
    second: &Second,
) -> Result<Refunded> {
    let mut order = orders::lock(tx, id)?;
    second.is_for(&order)?;
    order.state.apply(orders::Command::Refund)?;
    let named: Vec<i32> = what.lines.iter().map(|line| line.line_no).collect();
    order.free_for(orders::Command::Refund, &named, Some(now))?;
    let mut draw = fresh.draw();
    let mut parts = parts(&order, what, draw.next(), (to.to, actor, now))?;
    let amount = parts.amount.minor();
    within_ceiling(actor, amount).map_err(|error| error.at("/amount"))?;
    if what.kind == RefundKind::Goodwill {
        goodwill::enough(tx, &order, amount)?;
    }
    match second {
        Second::Ask(ids) => {
            if let Some(request) = second::ask(tx, (now, actor), *ids, &order, (what, to, &parts))? {
                return Ok(Refunded::Waits(Box::new(request)));
            }
        }
        Second::Approved { request, by, .. } => {
            (parts.id, parts.approved_by) = (RefundId::from_bytes(*request.bytes()), Some(by.clone()));
        }
    }
    store::insert_refund(tx, id, &parts)?;
    let onto = match what.kind {
        RefundKind::Goodwill => goodwill::give(tx, (now, actor), &mut order, &mut draw, (&parts, to))?,
        RefundKind::PriceReduction => reductions::give(tx, (now, actor), &mut order, &mut draw, (&parts, to))?,
    };
    Ok(Refunded::Done(Box::new(order), onto))
}

/// Tells, behind what was booked and begun, that it was asked for.
pub(super) fn told(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    order: &mut OrderDocument,
    draw: &mut Draw<'_>,
    made: &RefundView,
) -> Result<()> {
    reread(tx, order)?;
    let data = RefundRequested {
        order_id: order.id,
        order_number: &order.number,
        kind: Some(made.kind),
        amount: made.amount,
        lines: &made.lines,
        to: made.to,
        reason: &made.reason,
        payments: &order.payments,
    };
    let happened = vec![("payment.refund_requested.v1", Payload::of(&data)?)];
    announce(tx, (now, now), actor, order, draw, happened)
}

/// What came of a refund that was asked for.
#[derive(Debug, Clone)]
pub(super) enum Refunded {
    /// It is on its way; with what it went onto, where that was a stored value.
    Done(Box<OrderDocument>, Option<StoredValueId>),
    /// Somebody else has to approve it first.
    Waits(Box<CountersignRequest>),
}

/// Looks at what is asked for, under the lock of the order, and adds it up.
fn parts(
    order: &OrderDocument,
    what: &RefundOf,
    id: RefundId,
    (to, actor, now): (Target, &Actor, Instant),
) -> Result<RefundView> {
    if what.amount.is_none() && what.lines.is_empty() && what.shipping.is_none() {
        let detail = "say how much: an `amount`, `lines` or `shipping`";
        return Err(Error::problem(Code::MissingField, detail).at("/amount"));
    }
    let mut sum = what.amount.map_or(Ok(0), |amount| in_currency(order, amount))?;
    if what.kind == RefundKind::PriceReduction && what.shipping.is_some() {
        let detail = "shipping is given away, or taken back with what comes back: the price of lines is lowered";
        return Err(Error::invalid("/shipping", detail));
    }
    let shipping = what.shipping.map_or(Ok(0), |amount| {
        in_currency(order, amount)
            .map_err(|_| Error::invalid("/shipping", format!("expected an amount in {}", order.currency)))
    })?;
    let charged = order.shipping.as_ref().map_or(0, |shipping| shipping.gross.minor());
    let left = charged - order.shipping_credited.minor() - order.shipping_goodwill.minor();
    if shipping > left.max(0) {
        return Err(exceeded("/shipping", left, order)?);
    }
    let mut lines: Vec<RefundedLine> = Vec::with_capacity(what.lines.len());
    for (place, wanted) in what.lines.iter().enumerate() {
        let pointer = format!("/lines/{place}");
        if lines.iter().any(|line| line.line_no == wanted.line_no) {
            return Err(Error::invalid(format!("{pointer}/line_no"), "the line is there twice"));
        }
        let amount = of_line(order, wanted, &pointer)?;
        sum = sum.saturating_add(amount);
        let amount = Money::from_minor(amount, order.currency);
        lines.push(RefundedLine { line_no: wanted.line_no, amount, pieces: None, tax: None });
    }
    if what.kind == RefundKind::PriceReduction {
        lines = reductions::of_lines(order, lines, sum)?;
    }
    let money = |minor| Money::from_minor(minor, order.currency);
    Ok(RefundView {
        id,
        kind: what.kind,
        to,
        amount: money(sum.saturating_add(shipping)),
        shipping: money(shipping),
        lines,
        reason: what.reason.clone(),
        by: actor.label(),
        approved_by: None,
        created_at: now,
    })
}

/// How much a line gives back: of what the customer was given of it, and what is left of its price.
fn of_line(order: &OrderDocument, wanted: &LineRefund, pointer: &str) -> Result<i64> {
    let line = order.line(wanted.line_no).map_err(|error| error.at(format!("{pointer}/line_no")))?;
    let left = line.creditable() - line.refunded.minor();
    let amount = match (wanted.quantity, wanted.amount) {
        (Some(pieces), None) => {
            let there = line.returnable();
            if pieces < 1 || pieces > there {
                let detail = format!("the customer has {there} of line {}", wanted.line_no);
                let error = Error::problem(Code::QuantityExceeded, detail).at(format!("{pointer}/quantity"));
                return Err(error.with("line_no", wanted.line_no).with("left", there));
            }
            // What was given back for other pieces before may have left less.
            line.gross_of(pieces).min(left)
        }
        (None, Some(amount)) => in_currency(order, amount).map_err(|_| {
            Error::invalid(format!("{pointer}/amount"), format!("expected an amount in {}", order.currency))
        })?,
        _ => return Err(Error::invalid(pointer, "expected a `quantity` or an `amount`, one of both")),
    };
    if amount < 1 || amount > left {
        return Err(exceeded(&format!("{pointer}/amount"), left, order)?);
    }
    Ok(amount)
}

pub(super) fn exceeded(pointer: &str, left: i64, order: &OrderDocument) -> Result<Error> {
    let left = Money::from_minor(left.max(0), order.currency);
    let error = Error::problem(Code::RefundExceeded, format!("{left} of that are left to give back"));
    Ok(error.at(pointer).with("left", serde_json::to_value(left)?))
}

/// What staff have given back of an order beside its cancellations and returns, the oldest first.
///
/// # Errors
/// What the database says.
pub fn of(tx: &mut Tx, order: OrderId) -> Result<Vec<RefundView>> {
    store::refunds(tx, order)
}
