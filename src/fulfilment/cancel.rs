//! Cancelling what has not left of a placed order.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{
    ids::Fresh,
    model::{Command, FulfilmentOrder, Pieces, ShippedLine, Step, at_piece, sum_pieces},
    money::{self, Settling},
    parcels,
    service::{all_arrived, announce, make_steps, place, save_states, shares},
    store,
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
    payments::ledger,
    pricing::{engine::TaxedShare, promotions},
    stock,
};

/// What is to be cancelled.
#[derive(Debug, Clone, Default)]
pub struct Cancellation {
    /// Which pieces; all that has not left when absent.
    pub pieces: Option<Vec<Pieces>>,
    /// Why.
    pub reason: String,
    /// Whether what goes back by hand has been paid out already.
    pub paid_out: bool,
    /// When, if that was not now.
    pub occurred_at: Option<Instant>,
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
/// `not_found`, `state_conflict`, `line_unknown`, `quantity_exceeded`, `ceiling_exceeded`, `history_before_order`.
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
    let pieces = wanted(&order, what.pieces.as_deref())?;
    let asked = what.pieces.as_deref();
    let only = what.agreed;
    let (freed, touched) = take_off(tx, now, (actor, only), id, &pieces).map_err(|error| at_piece(error, asked))?;
    let amount = amount(&order, &pieces)?;
    // What is worth too much: the lines that are named, or all of the order.
    if what.agreed.is_none() {
        within_ceiling(actor, amount.gross).map_err(|error| error.at(asked.map_or("", |_| "/lines")))?;
    }
    let moves: Result<Vec<LineMove>> = pieces.iter().map(|piece| line_move(&order, piece)).collect();
    orders::save(tx, now, &mut order, &moves?, place(touched.len() + 1))?;
    let mut draw = fresh.draw();
    let name: EventId = draw.next();
    ledger::post(tx, now, vec![money::credit(&order, format!("cancel:{name}"), at, amount)])?;
    let how = Settling { paid_out: what.paid_out, ..Settling::because(&what.reason) };
    money::settle(tx, (now, at), &order, &mut draw, &how)?;
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
    announce(tx, (now, at), actor, &order, &mut draw, happened)?;
    if order.state == orders::OrderState::Cancelled && !order.promotions.is_empty() {
        promotions::give_back_of(tx, id)?;
    }
    if !freed.is_empty() {
        stock::deallocate(tx, now, actor, &freed, &id.to_string(), at)?;
    }
    Ok(order)
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

/// What was taken off an order's fulfilment orders: the stock that comes free, and each with what it need not ship.
type TakenOff = (Vec<stock::Share>, Vec<(FulfilmentOrder, Vec<ShippedLine>)>);

/// Takes pieces off an order's fulfilment orders and writes these.
fn take_off(
    tx: &mut Tx,
    now: Instant,
    whose: (&Actor, Option<FulfilmentOrderId>),
    order: OrderId,
    pieces: &[ShippedLine],
) -> Result<TakenOff> {
    let (mut fulfilments, shipments) = (store::of_order(tx, order)?, store::shipments(tx, order)?);
    let packed = |one: &&FulfilmentOrder| one.counts().any(|counts| counts.packed > counts.shipped);
    let packed: Vec<FulfilmentOrderId> = fulfilments.iter().filter(packed).map(|one| one.id).collect();
    let boxed = if packed.is_empty() { HashMap::new() } else { parcels::all_boxed(tx, &packed)? };
    let stepped = distribute(whose, &mut fulfilments, pieces, &boxed)?;
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
/// makes the steps on them. Gives the steps by the place of their fulfilment order. Services are in none, so nothing is taken for them.
fn distribute(
    (actor, only): (&Actor, Option<FulfilmentOrderId>),
    fulfilments: &mut [FulfilmentOrder],
    pieces: &[ShippedLine],
    boxed: &HashMap<(FulfilmentOrderId, i32), i64>,
) -> Result<BTreeMap<usize, Vec<(i32, Step)>>> {
    let mine = |one: &FulfilmentOrder| actor.sees_location(one.location_id) && only.is_none_or(|only| only == one.id);
    let mut order: Vec<usize> =
        (0..fulfilments.len()).filter(|place| fulfilments.get(*place).is_some_and(mine)).collect();
    order.sort_by_key(|place| fulfilments.get(*place).map(|fulfilment| fulfilment.state));
    let mut stepped: BTreeMap<usize, BTreeMap<i32, Step>> = BTreeMap::new();
    for piece in pieces {
        let mut missing = piece.quantity;
        // What is in packages has to be unpacked first: it comes last, and is refused then.
        for (place, spare) in order.iter().map(|place| (place, true)).chain(order.iter().map(|place| (place, false))) {
            let Some(fulfilment) = fulfilments.get_mut(*place) else { continue };
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

/// What is not owed any more: the shares of the pieces, which are taken off the end of their lines, and shipping when
/// nothing is left. The order is as it was before.
pub(super) fn amount(order: &OrderDocument, pieces: &[ShippedLine]) -> Result<TaxedShare> {
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
