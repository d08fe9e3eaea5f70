//! Cancelling what has not left, money received, money given back: commands on a placed order.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    ids::Fresh,
    jobs,
    model::{Command, FulfilmentOrder, Pieces, ShipmentState, ShippedLine, Step, sum_pieces},
    money,
    service::{announce, make_steps, save_states, shares},
    store,
};
use crate::{
    db::{Json, Tx},
    error::{Code, Error, Result, on_duplicate},
    events::Payload,
    kernel::{
        Actor, Instant, Money,
        ids::{EventId, OrderId, PaymentOperationId},
    },
    orders::{self, LineMove, OrderDocument},
    payments::{
        self, Account, MANUAL, NewOperation, Operation, OperationKind, OperationState, Payment, Posting, ledger,
    },
    pricing::engine::TaxedShare,
    stock,
};

/// What is to be cancelled.
#[derive(Debug, Clone, Default)]
pub struct Cancellation {
    /// Which pieces; all that has not left when absent.
    pub pieces: Option<Vec<Pieces>>,
    /// Why.
    pub reason: String,
    /// When, if that was not now.
    pub occurred_at: Option<Instant>,
}

/// The payload of the events of a cancellation: the order, and what was cancelled.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Cancelled<'a> {
    #[serde(flatten)]
    order: &'a OrderDocument,
    cancelled: Vec<ShippedLine>,
    cancelled_amount: Money,
    reason: &'a str,
}

/// Cancels pieces of an order that have not left, picked ones too: they go back into stock, the customer owes so much
/// less, and what is too much is given back or let go by jobs.
///
/// # Errors
/// `not_found`, `state_conflict`, `line_unknown`, `quantity_exceeded`, `ceiling_exceeded`.
pub fn cancel(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: OrderId,
    what: &Cancellation,
) -> Result<OrderDocument> {
    let mut order = orders::lock(tx, id)?;
    order.state.apply(orders::Command::Cancel)?;
    let at = what.occurred_at.unwrap_or(now);
    let pieces = wanted(&order, what.pieces.as_deref())?;
    let freed = take_off(tx, now, id, &pieces)?;
    let amount = amount(&order, &pieces)?;
    within_ceiling(actor, amount.gross)?;
    let moves: Result<Vec<LineMove>> = pieces.iter().map(|piece| line_move(&order, piece)).collect();
    orders::save(tx, now, &mut order, &moves?, 1)?;
    let mut draw = fresh.draw();
    let name: EventId = draw.next();
    ledger::post(tx, now, vec![money::credit(&order, format!("cancel:{name}"), at, amount)])?;
    money::settle(tx, (now, at), &order, &mut draw, &what.reason)?;
    let kind = match order.state {
        orders::OrderState::Cancelled => "order.cancelled.v1",
        _ => "order.line_cancelled.v1",
    };
    let cancelled_amount = Money::from_minor(amount.gross, order.currency);
    let payload = order
        .payload(|order| Json::of(&Cancelled { order, cancelled: pieces, cancelled_amount, reason: &what.reason }))?;
    let happened = vec![(kind, payload)];
    announce(tx, (now, at), actor, &order, &mut draw, happened)?;
    if !freed.is_empty() {
        stock::deallocate(tx, now, actor, &freed, &id.to_string(), at)?;
    }
    Ok(order)
}

/// The pieces to cancel, each line once.
fn wanted(order: &OrderDocument, pieces: Option<&[Pieces]>) -> Result<Vec<ShippedLine>> {
    let wanted: BTreeMap<i32, i64> = match pieces {
        Some(pieces) => sum_pieces(pieces)?,
        None => {
            let open = order.lines.iter().map(|line| (line.line_no, line.quantities.open()));
            open.filter(|(_, open)| *open > 0).collect()
        }
    };
    if wanted.is_empty() {
        return Err(Error::problem(Code::QuantityExceeded, "nothing is left to cancel"));
    }
    let piece = |(line_no, quantity): (i32, i64)| {
        let line = order.line(line_no).map_err(|error| error.at("/lines"))?;
        let open = line.quantities.open();
        if quantity > open {
            let detail = format!("only {open} of line {line_no} have not left");
            let error = Error::problem(Code::QuantityExceeded, detail).at("/lines");
            return Err(error.with("line_no", line_no).with("left", open));
        }
        Ok(ShippedLine { line_no, sku: line.sku.clone(), quantity })
    };
    wanted.into_iter().map(piece).collect()
}

/// Takes pieces off an order's fulfilment orders and writes these. Gives the stock that comes free.
fn take_off(tx: &mut Tx, now: Instant, order: OrderId, pieces: &[ShippedLine]) -> Result<Vec<stock::Share>> {
    let (mut fulfilments, shipments) = (store::of_order(tx, order)?, store::shipments(tx, order)?);
    let stepped = distribute(&mut fulfilments, pieces)?;
    if stepped.is_empty() {
        return Ok(Vec::new());
    }
    let (mut moved, mut free) = (Vec::new(), Vec::new());
    let touched = fulfilments.iter_mut().enumerate().filter_map(|(place, one)| Some((one, stepped.get(&place)?)));
    for (fulfilment, steps) in touched {
        let mut parcels = shipments.iter().filter(|parcel| parcel.fulfilment_order_id == fulfilment.id);
        let arrived = parcels.all(|parcel| parcel.state == ShipmentState::Delivered);
        fulfilment.state = fulfilment.state.apply(Command::Cancel, fulfilment.counts(), arrived)?;
        (fulfilment.version, fulfilment.updated_at) = (fulfilment.version + 1, now);
        moved.extend(steps.iter().map(|(line_no, step)| (fulfilment.id, *line_no, *step)));
        free.extend(freed(fulfilment, steps));
    }
    store::move_lines(tx, &moved)?;
    let changed = fulfilments.iter().enumerate().filter(|(place, _)| stepped.contains_key(place));
    save_states(tx, now, changed.map(|(_, one)| one))?;
    Ok(free)
}

/// Takes the pieces from the fulfilment orders, those that have come least far first, and makes the steps on them. Gives
/// the steps by the place of their fulfilment order. Services are in none, so nothing is taken for them.
fn distribute(
    fulfilments: &mut [FulfilmentOrder],
    pieces: &[ShippedLine],
) -> Result<BTreeMap<usize, Vec<(i32, Step)>>> {
    let mut order: Vec<usize> = (0..fulfilments.len()).collect();
    order.sort_by_key(|place| fulfilments.get(*place).map(|fulfilment| fulfilment.state));
    let mut stepped: BTreeMap<usize, Vec<(i32, Step)>> = BTreeMap::new();
    for piece in pieces {
        let mut missing = piece.quantity;
        for place in &order {
            let Some(fulfilment) = fulfilments.get_mut(*place) else { continue };
            let line = fulfilment.lines.iter().find(|line| line.line_no == piece.line_no);
            let Some(line) = line else { continue };
            let part = line.counts.left_for(Command::Cancel).min(missing);
            if part > 0 {
                let step = line.counts.step(Command::Cancel, part)?;
                make_steps(fulfilment, &[(piece.line_no, step)]);
                stepped.entry(*place).or_default().push((piece.line_no, step));
                missing -= part;
            }
        }
    }
    Ok(stepped)
}

/// The stock that cancelled pieces give back.
fn freed(fulfilment: &FulfilmentOrder, steps: &[(i32, Step)]) -> Vec<stock::Share> {
    let piece =
        |(line_no, step): &(i32, Step)| ShippedLine { line_no: *line_no, sku: String::new(), quantity: step.cancelled };
    let pieces: Vec<ShippedLine> = steps.iter().map(piece).collect();
    shares(fulfilment, &pieces)
}

fn line_move(order: &OrderDocument, piece: &ShippedLine) -> Result<LineMove> {
    let back = piece.quantity.min(order.line(piece.line_no)?.quantities.allocated);
    Ok(LineMove { line_no: piece.line_no, cancelled: piece.quantity, allocated: -back, ..LineMove::default() })
}

/// What is not owed any more: the shares of the pieces, which are taken off the end of their lines, and shipping when
/// nothing is left. The order is as it was before.
fn amount(order: &OrderDocument, pieces: &[ShippedLine]) -> Result<TaxedShare> {
    let mut shares = Vec::with_capacity(pieces.len() + 1);
    for piece in pieces {
        let quantities = order.line(piece.line_no)?.quantities;
        let kept = quantities.quantity - quantities.cancelled;
        shares.push(money::share_of(order, piece.line_no, kept - piece.quantity, kept)?);
    }
    let cancelled =
        |line_no: i32| pieces.iter().find(|piece| piece.line_no == line_no).map_or(0, |piece| piece.quantity);
    let nothing_left =
        order.lines.iter().all(|line| line.quantities.cancelled + cancelled(line.line_no) == line.quantities.quantity);
    if let Some(shipping) = order.shipping.as_ref().filter(|_| nothing_left) {
        let (net, tax, gross) = (shipping.net.minor(), shipping.tax.minor(), shipping.gross.minor());
        shares.push(TaxedShare { net, tax, gross });
    }
    Ok(money::total(shares))
}

/// # Errors
/// `ceiling_exceeded`.
pub(super) fn within_ceiling(actor: &Actor, minor: i64) -> Result<()> {
    match actor.within_ceiling(minor) {
        true => Ok(()),
        false => Err(Error::problem(Code::CeilingExceeded, "the amount is above what this credential may move")),
    }
}

/// Money that came in.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// How much; all that is owed when absent.
    pub amount: Option<Money>,
    /// What names it: the bank's reference. Each is booked once.
    pub reference: String,
    /// When it came, if that was not now.
    pub occurred_at: Option<Instant>,
}

/// Records money received for an order that is paid without a provider.
///
/// # Errors
/// `not_found`, `state_conflict`, `duplicate` for a reference booked before, `payment_not_capturable`.
pub fn record_payment(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: OrderId,
    receipt: &Receipt,
) -> Result<OrderDocument> {
    let order = orders::lock(tx, id)?;
    record_payment_of(tx, now, actor, fresh, order, receipt)
}

/// The same for an order that is locked and was read under the lock.
///
/// # Errors
/// As [`record_payment`].
pub fn record_payment_of(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    mut order: OrderDocument,
    receipt: &Receipt,
) -> Result<OrderDocument> {
    let id = order.id;
    order.state.apply(orders::Command::RecordPayment)?;
    let at = receipt.occurred_at.unwrap_or(now);
    let payments = payments::of_order(tx, id)?;
    let open = payments.iter().find(|payment| payment.provider == MANUAL && payment.capturable().minor() > 0);
    let missing = || Error::problem(Code::PaymentNotCapturable, "the order has no open payment to record money for");
    let payment = open.ok_or_else(missing)?;
    let amount = match receipt.amount {
        Some(amount) => in_currency(&order, amount)?,
        None => payment.capturable().minor().min(owed(tx, id)?),
    };
    if amount <= 0 {
        return Err(Error::conflict("nothing is owed"));
    }
    let mut draw = fresh.draw();
    let new = NewOperation {
        id: draw.next(),
        payment: payment.id,
        kind: OperationKind::Capture,
        our_key: format!("received:{id}:{}", receipt.reference),
        amount,
        reason: Some(receipt.reference.clone()),
        idempotency_id: None,
    };
    let recorded = payments::record_operation(tx, now, &new);
    let twice = || Error::problem(Code::Duplicate, "money with this reference has been recorded already");
    on_duplicate(recorded, twice).map_err(|error| match error.code() {
        Code::Duplicate => twice().at("/reference"),
        _ => error,
    })?;
    let operation = done(&new, now);
    ledger::post(tx, now, jobs::posting(&order, &operation, at).into_iter().collect())?;
    let payment = jobs::refresh(tx, &mut order, &operation)?;
    orders::save(tx, now, &mut order, &[], 1)?;
    money::settle(tx, (now, at), &order, &mut draw, "payment received")?;
    let happened = vec![jobs::moved(&order, &payment, &operation)?];
    announce(tx, (now, at), actor, &order, &mut draw, happened)?;
    Ok(order)
}

/// An operation that has been recorded as done.
fn done(new: &NewOperation, now: Instant) -> Operation {
    let NewOperation { id, payment, kind, our_key, amount, reason, idempotency_id } = new.clone();
    let (state, error) = (OperationState::Done, None);
    Operation {
        id,
        payment,
        kind,
        our_key,
        state,
        amount,
        reason,
        error,
        idempotency_id,
        created_at: now,
        updated_at: now,
    }
}

/// What the customer owes by the ledger.
fn owed(tx: &mut Tx, order: OrderId) -> Result<i64> {
    let balance = ledger::balance(tx, order)?;
    Ok(balance.iter().find(|(account, _)| *account == Account::Receivable).map_or(0, |(_, sum)| *sum))
}

fn in_currency(order: &OrderDocument, amount: Money) -> Result<i64> {
    if amount.currency() != order.currency {
        return Err(Error::invalid("/amount/currency", format!("the order is in {}", order.currency)));
    }
    match amount.minor() {
        minor @ 1.. => Ok(minor),
        _ => Err(Error::invalid("/amount/amount", "expected an amount above zero")),
    }
}

/// Gives money back beside any return: a goodwill. Jobs ask the providers.
///
/// # Errors
/// `not_found`, `state_conflict`, `refund_exceeded`, `ceiling_exceeded`.
pub fn refund(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: OrderId,
    amount: Money,
    reason: &str,
) -> Result<OrderDocument> {
    let mut order = orders::lock(tx, id)?;
    order.state.apply(orders::Command::Refund)?;
    let amount = in_currency(&order, amount)?;
    within_ceiling(actor, amount)?;
    let payments = payments::of_order(tx, id)?;
    let planned = spread(&order, &payments, amount)?;
    let mut draw = fresh.draw();
    let name: PaymentOperationId = draw.next();
    // What is given away is not owed: only so does the money that goes back leave the customer's account as it was.
    let posting = Posting {
        order: id,
        posting: format!("goodwill:{name}"),
        occurred_at: now,
        currency: order.currency,
        entries: vec![(Account::Receivable, -amount), (Account::WriteOff, amount)],
    };
    ledger::post(tx, now, vec![posting])?;
    orders::save(tx, now, &mut order, &[], 1)?;
    money::begin(tx, (now, now), &order, &mut draw, reason, &planned)?;
    let data = serde_json::json!({
        "order_id": id, "order_number": order.number, "amount": Money::from_minor(amount, order.currency),
        "reason": reason, "payments": order.payments,
    });
    announce(tx, (now, now), actor, &order, &mut draw, vec![("payment.refund_requested.v1", Payload::of(&data)?)])?;
    Ok(order)
}

/// Which payment gives how much back.
fn spread<'a>(order: &OrderDocument, payments: &'a [Payment], amount: i64) -> Result<Vec<money::Planned<'a>>> {
    let mut missing = amount;
    let mut planned = Vec::new();
    for payment in payments {
        let part = payment.refundable().minor().min(missing);
        if part > 0 {
            planned.push((payment, OperationKind::Refund, part));
            missing -= part;
        }
    }
    if missing > 0 {
        let refundable = Money::from_minor(amount - missing, order.currency);
        let error = Error::problem(Code::RefundExceeded, format!("at most {refundable} can be refunded"));
        return Err(error.at("/amount").with("refundable", serde_json::to_value(refundable)?));
    }
    Ok(planned)
}
