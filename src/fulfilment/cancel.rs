//! Cancelling what has not left of a placed order.

use std::collections::{BTreeMap, HashMap};

use rust_decimal::Decimal;
use serde::Serialize;

use super::{
    bundles,
    ids::Fresh,
    model::{Command, FulfilmentOrder, Pieces, ShippedLine, Step, at_piece, sum_pieces},
    money::{self, Settling},
    parcels, ready, second,
    service::{all_arrived, announce, make_steps, place, save_states, shares},
    store,
    till::{GiveTo, give_owed},
    told::{CANCELLED, pieces_of, work_payload},
};
use crate::{
    db::{Json, Tx},
    error::{Code, Error, Result},
    kernel::{
        Actor, Instant, Money,
        ids::{EventId, FulfilmentOrderId, OrderId},
    },
    orders::{self, LineMove, OrderDocument},
    payments::OperationKind,
    pricing::{engine::TaxedShare, promotions},
    risk::{self, RiskOutcome},
    stock,
};

/// What is to be cancelled.
#[derive(Debug, Clone, Default)]
pub struct Cancellation {
    /// Which pieces; all that has not left when absent, unless bundles are named.
    pub pieces: Option<Vec<Pieces>>,
    /// Of which of the order's deliveries some of these are: its key, by their place among `pieces`. The others are of any.
    pub deliveries: BTreeMap<usize, String>,
    /// Which bundles, whole.
    pub bundles: Vec<Pieces>,
    /// Why.
    pub reason: String,
    /// Whether what goes back by hand has been paid out already.
    pub paid_out: bool,
    /// When, if that was not now.
    pub occurred_at: Option<Instant>,
    /// Where what was paid too much goes; absent: the way it came.
    pub give_to: Option<GiveTo>,
    /// Whether another order has it from now on, and the money with it: nothing is given back or let go for it here.
    pub goes_over: bool,
    /// Whether the money that goes back was let through already, with what it is a part of.
    pub let_through: bool,
    /// Of this fulfilment order only, as was asked for by somebody who may: their ceiling was looked at then.
    pub agreed: Option<FulfilmentOrderId>,
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
/// less, and what is too much is given back or let go by jobs. Who is limited to locations cancels what is to leave from
/// these.
///
/// # Errors
/// `not_found`, also for a delivery that the order does not have; `state_conflict`, `line_unknown`, `quantity_exceeded`,
/// `ceiling_exceeded`, `history_before_order`.
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
    order.check_time(what.occurred_at, "/occurred_at")?;
    let at = what.occurred_at.unwrap_or(now);
    let asked = what.pieces.as_deref();
    let whole = bundles::pieces(&order, &what.bundles, asked.unwrap_or_default(), |line| line.quantities.open())?;
    let pieces = match whole.is_empty() {
        true => wanted(&order, asked)?,
        // Those of the lines come first: what is wrong with one is where it stands in the request.
        false => wanted(&order, Some(&[asked.unwrap_or_default(), &whole].concat()))?,
    };
    let lines: Vec<i32> = pieces.iter().map(|piece| piece.line_no).collect();
    order.free_for(orders::Command::Cancel, &lines, Some(now))?;
    let suspect = what.agreed.is_none() && is_suspect(actor, &order, now);
    let only = what.agreed;
    let parts = parts(&order, &pieces, what)?;
    let (freed, mut touched) = take_off(tx, now, (actor, only), id, &parts).map_err(|error| at_piece(error, asked))?;
    let shares = amounts(&order, &pieces)?;
    let amount = money::total(shares.iter().map(|(_, share)| *share));
    // What was taken and is not owed any more goes back.
    let money = order.money();
    if !what.goes_over && money.captured - money.refunded > (money.due - amount.gross).max(0) {
        order.free_for(orders::Command::Refund, &lines, Some(now))?;
    }
    // What is worth too much: the lines that are named, or all of the order.
    if what.agreed.is_none() {
        within_ceiling(actor, amount.gross).map_err(|error| error.at(asked.map_or("", |_| "/lines")))?;
    }
    if what.agreed.is_none() && !what.let_through && !what.goes_over {
        second::pass(tx, (now, actor), &order, goes_back(&order, amount.gross))?;
    }
    let moves: Result<Vec<LineMove>> = pieces.iter().map(|piece| line_move(&order, piece)).collect();
    // Without what is cancelled all of it may be packed.
    let mut ready = Vec::new();
    for (fulfilment, _) in &mut touched {
        ready.extend(ready::follow(tx, now, &order, fulfilment)?);
    }
    orders::save(tx, now, &mut order, &moves?, place(touched.len() + ready.len() + 1))?;
    let mut draw = fresh.draw();
    let name: EventId = draw.next();
    money::take_back(tx, now, &order, &money::credit(&order, format!("cancel:{name}"), at, amount), &shares)?;
    // What goes elsewhere does so behind the events.
    let otherwise = what.give_to.as_ref().filter(|to| to.is_otherwise());
    let but = otherwise.map(|_| OperationKind::Refund);
    let how = Settling { paid_out: what.paid_out, but, ..Settling::because(&what.reason) };
    if !what.goes_over {
        money::settle(tx, (now, at), &order, &mut draw, &how)?;
    }
    let kind = match order.state {
        orders::OrderState::Cancelled => "order.cancelled.v1",
        _ => "order.line_cancelled.v1",
    };
    let cancelled_amount = Money::from_minor(amount.gross, order.currency);
    let payload = order
        .payload(|order| Json::of(&Cancelled { order, cancelled: pieces, cancelled_amount, reason: &what.reason }))?;
    let mut happened = vec![(kind, payload)];
    for (fulfilment, moved) in touched {
        happened.push((CANCELLED, work_payload(&order, &fulfilment, moved)?));
    }
    happened.extend(ready);
    announce(tx, (now, at), actor, &order, &mut draw, happened)?;
    if let Some(to) = otherwise {
        give_owed(tx, (now, at), actor, &mut order, &mut draw, (to, &what.reason, amount.gross))?;
    }
    // What was to be paid since it was amended may be what was taken off.
    orders::holds::when_less_is_due(tx, now, draw.next(), &mut order)?;
    orders::invoice_later(tx, now, &order, draw.next())?;
    if suspect && order.state == orders::OrderState::Cancelled {
        risk::learned(tx, (now, "cancelled"), id, RiskOutcome::Fraud, "cancelled while it was held for risk")?;
    }
    if order.state == orders::OrderState::Cancelled && !order.promotions.is_empty() {
        promotions::give_back_of(tx, id)?;
    }
    if !freed.is_empty() {
        stock::deallocate(tx, now, actor, &freed, &id.to_string(), at)?;
    }
    Ok(order)
}

/// How much of what was taken is not owed any more once so much less is due, in minor units.
pub(super) fn goes_back(order: &OrderDocument, less: i64) -> i64 {
    let money = order.money();
    let stays = (money.due - less).max(0);
    ((money.captured - money.refunded) - stays).clamp(0, less.max(0))
}

/// Whether people look at whether an order is a fraud, and one of them cancels it now: that says what they have found. That its customer
/// does not want it any more or has not paid, or that a warehouse or another system has none of it, says nothing.
fn is_suspect(actor: &Actor, order: &OrderDocument, now: Instant) -> bool {
    let by_people = matches!(actor, Actor::Staff(_));
    let mut live = order.holds.iter().filter(|hold| hold.block.holds_at(now));
    by_people && live.any(|hold| hold.block.kind == orders::holds::OrderHoldKind::Risk)
}

/// The pieces to cancel, each line once.
pub(super) fn wanted(order: &OrderDocument, pieces: Option<&[Pieces]>) -> Result<Vec<ShippedLine>> {
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
        let line = order.line(line_no).map_err(|error| error.with("line_no", line_no))?;
        let open = line.quantities.open();
        if quantity > open {
            let detail = format!("only {open} of line {line_no} have not left");
            let error = Error::problem(Code::QuantityExceeded, detail);
            return Err(error.with("line_no", line_no).with("left", open));
        }
        Ok(ShippedLine { line_no, sku: line.sku.clone(), quantity })
    };
    wanted.into_iter().map(piece).collect::<Result<_>>().map_err(|error| at_piece(error, pieces))
}

/// Pieces of a line that are taken off an order's fulfilment orders.
struct Part {
    line_no: i32,
    quantity: i64,
    /// The place of the delivery that they are of, where that was said, and of what says it in the request.
    of: Option<(usize, usize)>,
}

/// The pieces to cancel by the deliveries that they are of: those of which that is said come first, so that the others leave these.
fn parts(order: &OrderDocument, pieces: &[ShippedLine], what: &Cancellation) -> Result<Vec<Part>> {
    let mut named: BTreeMap<(i32, usize), (i64, usize)> = BTreeMap::new();
    let asked = what.pieces.as_deref().unwrap_or_default();
    for (place, key) in &what.deliveries {
        let (place, Some(piece)) = (*place, asked.get(*place)) else { continue };
        let number = order.deliveries.iter().position(|one| one.key.as_ref() == Some(key));
        let unknown = || Error::not_found("delivery of the order").at(format!("/lines/{place}/delivery"));
        let (sum, last) = named.entry((piece.line_no, number.ok_or_else(unknown)?)).or_insert((0, place));
        (*sum, *last) = (*sum + piece.quantity.get(), place);
    }
    let rest = pieces.iter().map(|piece| {
        let own = named.iter().filter(|((line_no, _), _)| *line_no == piece.line_no);
        let own: i64 = own.map(|(_, (quantity, _))| *quantity).sum();
        Part { line_no: piece.line_no, quantity: piece.quantity - own, of: None }
    });
    let rest: Vec<Part> = rest.filter(|part| part.quantity > 0).collect();
    let part = |((line_no, number), (quantity, place))| Part { line_no, quantity, of: Some((number, place)) };
    Ok(named.into_iter().map(part).chain(rest).collect())
}

/// What was taken off an order's fulfilment orders: the stock that comes free, and each with what it need not ship.
type TakenOff = (Vec<stock::Share>, Vec<(FulfilmentOrder, Vec<ShippedLine>)>);

/// Takes pieces off an order's fulfilment orders and writes these.
fn take_off(
    tx: &mut Tx,
    now: Instant,
    whose: (&Actor, Option<FulfilmentOrderId>),
    order: OrderId,
    parts: &[Part],
) -> Result<TakenOff> {
    let (mut fulfilments, shipments) = (store::of_order(tx, order)?, store::shipments(tx, order)?);
    let packed = |one: &&FulfilmentOrder| one.counts().any(|counts| counts.packed > counts.shipped);
    let packed: Vec<FulfilmentOrderId> = fulfilments.iter().filter(packed).map(|one| one.id).collect();
    let boxed = if packed.is_empty() { HashMap::new() } else { parcels::all_boxed(tx, &packed)? };
    let stepped = distribute(whose, &mut fulfilments, parts, &boxed)?;
    if stepped.is_empty() {
        return Ok(TakenOff::default());
    }
    let (mut moved, mut free) = (Vec::new(), Vec::new());
    let touched = fulfilments.iter_mut().enumerate().filter_map(|(place, one)| Some((one, stepped.get(&place)?)));
    for (fulfilment, steps) in touched {
        let arrived = all_arrived(&shipments, fulfilment.id);
        fulfilment.advance(fulfilment.state.apply(Command::Cancel, fulfilment.counts(), arrived)?, now);
        moved.extend(steps.iter().map(|(line_no, step)| (fulfilment.id, *line_no, *step)));
        free.extend(freed(fulfilment, steps));
    }
    store::move_lines(tx, &moved)?;
    let changed = fulfilments.into_iter().enumerate().filter_map(|(place, one)| {
        let pieces = pieces_of(&one, stepped.get(&place)?, |step| step.cancelled);
        Some((one, pieces))
    });
    let changed: Vec<_> = changed.collect();
    save_states(tx, now, changed.iter().map(|(one, _)| one))?;
    Ok((free, changed))
}

/// Takes the pieces from the fulfilment orders that the actor may see, those that have come least far first, and those in packages last, and
/// makes the steps on them; of a delivery that is named all of them. Gives the steps by the place of their fulfilment order. Services are
/// in none, so nothing is taken for them.
fn distribute(
    (actor, only): (&Actor, Option<FulfilmentOrderId>),
    fulfilments: &mut [FulfilmentOrder],
    parts: &[Part],
    boxed: &HashMap<(FulfilmentOrderId, i32), i64>,
) -> Result<BTreeMap<usize, Vec<(i32, Step)>>> {
    let mine = |one: &FulfilmentOrder| actor.sees_location(one.location_id) && only.is_none_or(|only| only == one.id);
    let mut order: Vec<usize> =
        (0..fulfilments.len()).filter(|place| fulfilments.get(*place).is_some_and(mine)).collect();
    order.sort_by_key(|place| fulfilments.get(*place).map(|fulfilment| fulfilment.state));
    let mut stepped: BTreeMap<usize, BTreeMap<i32, Step>> = BTreeMap::new();
    for piece in parts {
        let mut missing = piece.quantity;
        let is_of = |one: &FulfilmentOrder| piece.of.is_none_or(|(number, _)| one.number() == number);
        // What is in packages has to be unpacked first: it comes last, and is refused then.
        for (place, spare) in order.iter().map(|place| (place, true)).chain(order.iter().map(|place| (place, false))) {
            let Some(fulfilment) = fulfilments.get_mut(*place).filter(|one| is_of(one)) else { continue };
            let line = fulfilment.lines.iter().find(|line| line.line_no == piece.line_no);
            let Some(line) = line else { continue };
            let spared =
                if spare { boxed.get(&(fulfilment.id, piece.line_no)).copied().unwrap_or_default() } else { 0 };
            let part = (line.counts.left_for(Command::Cancel) - spared).min(missing);
            if part > 0 {
                let step = line.counts.step(Command::Cancel, part)?;
                make_steps(fulfilment, &[(piece.line_no, step)]);
                let sum = stepped.entry(*place).or_default().entry(piece.line_no).or_default();
                *sum = sum.and(&step);
                missing -= part;
            }
        }
        if let Some((_, place)) = piece.of.filter(|_| missing > 0) {
            let left = piece.quantity - missing;
            let detail = format!("only {left} of line {} are in that delivery and have not left", piece.line_no);
            let error = Error::problem(Code::QuantityExceeded, detail).with("left", left);
            return Err(error.at(format!("/lines/{place}/quantity")));
        }
        let elsewhere =
            |one: &FulfilmentOrder| !mine(one) && one.lines.iter().any(|line| line.line_no == piece.line_no);
        if missing > 0 && fulfilments.iter().any(elsewhere) {
            let left = piece.quantity - missing;
            let detail = format!("only {left} of line {} are at locations of yours", piece.line_no);
            let error = Error::problem(Code::QuantityExceeded, detail);
            return Err(error.with("line_no", piece.line_no).with("left", left));
        }
    }
    Ok(stepped.into_iter().map(|(place, steps)| (place, steps.into_iter().collect())).collect())
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

/// What is not owed any more of all of it. The order is as it was before.
pub(super) fn amount(order: &OrderDocument, pieces: &[ShippedLine]) -> Result<TaxedShare> {
    Ok(money::total(amounts(order, pieces)?.into_iter().map(|(_, share)| share)))
}

/// What is not owed any more, by the rate of its tax: the shares of the pieces, which are taken off the end of their lines, and
/// shipping when nothing is left. The order is as it was before.
fn amounts(order: &OrderDocument, pieces: &[ShippedLine]) -> Result<Vec<(Decimal, TaxedShare)>> {
    let mut shares = Vec::with_capacity(pieces.len() + 1);
    for piece in pieces {
        let line = order.line(piece.line_no)?;
        let kept = line.quantities.quantity - line.quantities.cancelled;
        let share = money::share_of(order, piece.line_no, kept - piece.quantity, kept)?;
        // What was taken back of its price already, since it was lowered, is not taken back again.
        let credited = line.refunded.minor() - line.goodwill.minor();
        if credited > line.gross_of(kept - piece.quantity) && share.gross > 0 {
            let detail = format!(
                "the price of line {} was lowered by more than would be left of it: send the pieces, and take them back with a return",
                piece.line_no
            );
            return Err(Error::conflict(detail));
        }
        shares.push((line.tax_rate, share));
    }
    let cancelled =
        |line_no: i32| pieces.iter().find(|piece| piece.line_no == line_no).map_or(0, |piece| piece.quantity);
    let nothing_left =
        order.lines.iter().all(|line| line.quantities.cancelled + cancelled(line.line_no) == line.quantities.quantity);
    if let Some(shipping) = order.shipping.as_ref().filter(|_| nothing_left && order.shipping_credited.minor() == 0) {
        let share = |net: Money, tax: Money, gross: Money| TaxedShare {
            net: net.minor(),
            tax: tax.minor(),
            gross: gross.minor(),
        };
        if shipping.parts.is_empty() {
            shares.push((shipping.tax_rate, share(shipping.net, shipping.tax, shipping.gross)));
        }
        shares.extend(shipping.parts.iter().map(|part| (part.rate, share(part.net, part.tax, part.gross))));
    }
    Ok(shares)
}

/// That somebody may move an amount, in minor units.
///
/// # Errors
/// `ceiling_exceeded`.
pub fn within_ceiling(actor: &Actor, minor: i64) -> Result<()> {
    match actor.within_ceiling(minor) {
        true => Ok(()),
        false => Err(Error::problem(Code::CeilingExceeded, "the amount is above what this credential may move")),
    }
}
