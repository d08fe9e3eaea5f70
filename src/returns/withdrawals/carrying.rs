//! What follows from a withdrawal that stands: what has left comes back, what has not is cancelled, and the money goes back.

use std::collections::BTreeMap;

use super::{
    jobs,
    model::{WithdrawalCommand, WithdrawalDocument, WithdrawalState},
    service::{CARRIED_OUT, of, save},
    store,
};
use crate::{
    db::Tx,
    error::{Error, Result},
    fulfilment::{
        self, Cancellation, Fresh, Pieces,
        returns::{NewReturn, Origin, Settles},
    },
    jobs as queue,
    kernel::{
        Actor, Instant, Quantity,
        ids::{EventId, JobId, OrderId, ReturnId, ReturnRequestId, WithdrawalId},
    },
    orders::{self, OrderDocument},
    returns::{
        handling,
        model::{RequestCommand, RequestOrigin, RequestState, ReturnReason, ReturnRequestDocument, ReturnWish},
        service::{self as requests, By, NewRequest, Wanted},
    },
    stock::Locations,
};

/// Has a withdrawal carried out again that stands: a new job takes the place of one that is dead, was given up, or waits for its next try.
///
/// # Errors
/// `not_found`; `state_conflict` where it is not confirmed, or is carried out.
pub(super) fn carry_out_again(
    tx: &mut Tx,
    now: Instant,
    job: JobId,
    (order, id): (OrderId, WithdrawalId),
) -> Result<WithdrawalDocument> {
    let order = orders::lock(tx, order)?;
    let one = of(tx, order.id, id)?;
    one.state.apply(WithdrawalCommand::CarryOut)?;
    queue::cancel_keys(tx, &jobs::key(id))?;
    queue::enqueue(tx, now, vec![jobs::carrying_out(job, now, &one)])?;
    Ok(one)
}

/// The ids of what carrying a withdrawal out makes.
#[derive(Debug, Clone)]
pub(super) struct CarryIds {
    pub request: ReturnRequestId,
    pub number: String,
    /// Of the return that is booked where nothing but shipping is to be given back.
    pub shipping: (ReturnId, String),
    pub events: Vec<EventId>,
    pub booking: Fresh,
}

/// The first half of what follows: what has left becomes an approved return request, also where somebody has asked for it and nobody has
/// decided; requests that were decided on meanwhile, or before, become ones of the withdrawal. Whether anything is left to be cancelled.
///
/// # Errors
/// What stands in the way of a return: a hold of the order.
pub(super) fn take_back(tx: &mut Tx, now: Instant, ids: &CarryIds, (order, id): (OrderId, WithdrawalId)) -> Result<()> {
    let actor = Actor::System("withdrawals");
    let by = (now, &actor);
    let mut order = orders::lock(tx, order)?;
    let mut one = of(tx, order.id, id)?;
    if one.state != WithdrawalState::Confirmed {
        return Ok(());
    }
    let mut fresh = ids.events.iter();
    give_way(tx, by, &mut fresh, (&mut order, &one))?;
    let converted = take_over(tx, by, &mut fresh, (&mut order, &mut one))?;
    let mut lines = Vec::new();
    for line in &mut one.lines {
        let sold = order.line(line.line_no)?;
        let left = if sold.requires_shipping { sold.returnable() } else { 0 };
        let quantity = (line.open() - sold.quantities.open()).min(left);
        if quantity > 0 {
            line.coming_back += quantity;
            lines.push(Wanted { line_no: line.line_no, quantity, reason: ReturnReason::Withdrawal });
        }
    }
    (one.version, one.updated_at) = (one.version + 1, now);
    if lines.is_empty() {
        return match !converted || store::update(tx, &one)? {
            true => Ok(()),
            false => Err(Error::overtaken("the withdrawal")),
        };
    }
    let new = NewRequest {
        id: ids.request,
        number: ids.number.clone(),
        origin: RequestOrigin::Withdrawal,
        wish: ReturnWish::Refund,
        lines,
        bundles: Vec::new(),
        bundles_because: ReturnReason::Withdrawal,
        comment: None,
        approved: Some(format!("withdrawal {}", one.number)),
        shipment: None,
        withdrawal: Some((id, one.whole)),
        registration: None,
    };
    let rest: Vec<EventId> = fresh.copied().collect();
    requests::open_of(tx, by, &rest, &mut order, &new)?;
    one.requests.push(ids.request);
    if store::update(tx, &one)? { Ok(()) } else { Err(Error::overtaken("the withdrawal")) }
}

/// Takes what a withdrawal is about out of return requests that nobody has decided on. The rest of these is still asked for; those of which
/// nothing is left are cancelled.
fn give_way<'a>(
    tx: &mut Tx,
    by: By<'_>,
    fresh: &mut impl Iterator<Item = &'a EventId>,
    (order, one): (&mut OrderDocument, &WithdrawalDocument),
) -> Result<()> {
    // What has not left is cancelled; the others of it may be asked for.
    let mut meant: BTreeMap<i32, i64> = BTreeMap::new();
    for line in &one.lines {
        let open = order.line(line.line_no)?.quantities.open();
        meant.insert(line.line_no, (line.open() - open).max(0));
    }
    let undecided = requests::of_order(tx, order.id)?;
    for mut asked in undecided.into_iter().filter(|asked| asked.state == RequestState::Requested) {
        let mut taken: BTreeMap<i32, i64> = BTreeMap::new();
        for line in &asked.lines {
            let Some(left) = meant.get_mut(&line.line_no) else { continue };
            let pieces = line.kept.min(*left);
            *left -= pieces;
            if pieces > 0 {
                taken.insert(line.line_no, pieces);
            }
        }
        if taken.is_empty() {
            continue;
        }
        let event: Vec<EventId> = fresh.next().copied().into_iter().collect();
        match taken == asked.kept() {
            true => requests::end(tx, by, &event, (&mut *order, &mut asked), RequestCommand::Cancel)?,
            false => handling::take_out(tx, by, &event, (&mut *order, &mut asked), &taken)?,
        }
    }
    Ok(())
}

/// Makes return requests that were decided on ones of the withdrawal, as far as it needs their pieces beside those that are free: Article 13
/// lets the shop keep nothing of them. One that needs only some of the pieces, and of which nothing is on its way, keeps the others; of what
/// is on its way or here all is freed of fees. Whether there were any.
fn take_over<'a>(
    tx: &mut Tx,
    by: By<'_>,
    fresh: &mut impl Iterator<Item = &'a EventId>,
    (order, one): (&mut OrderDocument, &mut WithdrawalDocument),
) -> Result<bool> {
    let mut short: BTreeMap<i32, i64> = BTreeMap::new();
    for line in &one.lines {
        let sold = order.line(line.line_no)?;
        let free = if sold.requires_shipping { sold.returnable() } else { 0 };
        let missing = line.open() - sold.quantities.open() - free;
        if missing > 0 {
            short.insert(line.line_no, missing);
        }
    }
    if short.is_empty() {
        return Ok(false);
    }
    let mut converted = false;
    let decided = requests::of_order(tx, order.id)?;
    for mut request in decided.into_iter().filter(ReturnRequestDocument::is_convertible) {
        let mut taken: BTreeMap<i32, i64> = BTreeMap::new();
        for (line_no, kept) in request.kept() {
            let Some(left) = short.get_mut(&line_no) else { continue };
            let pieces = kept.min(*left);
            *left -= pieces;
            if pieces > 0 {
                taken.insert(line_no, pieces);
            }
        }
        if taken.is_empty() {
            continue;
        }
        let event: Vec<EventId> = fresh.next().copied().into_iter().collect();
        if request.state == RequestState::Approved && taken != request.kept() {
            handling::take_out(tx, by, &event, (&mut *order, &mut request), &taken)?;
            continue;
        }
        for line in &mut one.lines {
            line.coming_back += taken.get(&line.line_no).copied().unwrap_or_default();
        }
        one.requests.push(request.id);
        request.convert(one.id, one.whole, by.0);
        let kind = requests::told(request.state);
        requests::save(tx, by, &event, (&mut *order, &request), (&[], kind))?;
        converted = true;
    }
    Ok(converted)
}

/// That no withdrawal which stands is about to take pieces over that a return request keeps: it is not settled on other terms before.
///
/// # Errors
/// `state_conflict`.
pub(in crate::returns) fn not_awaited(tx: &mut Tx, order: &OrderDocument, kept: &BTreeMap<i32, i64>) -> Result<()> {
    let all = store::of_order(tx, order.id)?;
    for one in all.iter().filter(|one| one.state == WithdrawalState::Confirmed) {
        for line in one.lines.iter().filter(|line| kept.contains_key(&line.line_no)) {
            if line.open() > order.line(line.line_no)?.quantities.open() {
                let number = &one.number;
                let detail = format!("withdrawal {number} from its goods is being carried out: settle it afterwards");
                return Err(Error::conflict(detail));
            }
        }
    }
    Ok(())
}

/// The second half: what has not left is cancelled, and what follows is done. Where parts of it left meanwhile, `take_back` is to be called
/// again; it tells so.
///
/// # Errors
/// What stands in the way of a cancellation: a hold, or that pieces are in packages.
pub(super) fn cancel_rest(
    tx: &mut Tx,
    now: Instant,
    ids: &CarryIds,
    (order, id): (OrderId, WithdrawalId),
) -> Result<bool> {
    let actor = Actor::System("withdrawals");
    let mut order = orders::lock(tx, order)?;
    let mut one = of(tx, order.id, id)?;
    if one.state != WithdrawalState::Confirmed {
        return Ok(true);
    }
    let mut pieces = Vec::new();
    for line in &mut one.lines {
        let sold = order.line(line.line_no)?;
        let quantity = line.open().min(sold.quantities.open());
        if quantity > 0 {
            line.cancelled += quantity;
            let quantity = Quantity::new(quantity).map_err(Error::internal)?;
            pieces.push(Pieces { line_no: line.line_no, quantity });
        }
        let left = if sold.requires_shipping { sold.returnable() } else { 0 };
        if line.open() > 0 && left > 0 {
            return Ok(false);
        }
    }
    // Somebody may have asked for what left meanwhile.
    let rest = |line_no: &i32| one.lines.iter().any(|line| line.line_no == *line_no && line.open() > 0);
    if one.lines.iter().any(|line| line.open() > 0) {
        let others = requests::of_order(tx, order.id)?;
        let mut others = others.iter().filter(|asked| asked.state == RequestState::Requested || asked.is_convertible());
        if others.any(|asked| asked.kept().keys().any(rest)) {
            return Ok(false);
        }
    }
    one.state = one.state.apply(WithdrawalCommand::CarryOut)?;
    (one.version, one.updated_at) = (one.version + 1, now);
    let event = ids.events.first().copied().unwrap_or_default();
    save(tx, (now, &actor), event, (&mut order, &one), CARRIED_OUT)?;
    if pieces.is_empty() {
        // Its goods may have been settled before.
        note_settled(tx, now, (order.id, id))?;
        return Ok(true);
    }
    // Whether the money is back is looked at afterwards: here the levels come last.
    let reason = format!("withdrawal {}", one.number);
    if one.whole {
        give_shipping(tx, (now, &actor), ids, (order.id, &reason), &pieces)?;
    }
    let what = Cancellation { pieces: Some(pieces), reason, ..Cancellation::default() };
    fulfilment::cancel(tx, now, &actor, &ids.booking, order.id, &what)?;
    Ok(true)
}

/// Sees to it that shipping goes back where the last part of an order that is withdrawn from has not left, and so is only cancelled: with what is
/// still coming back by a withdrawal, or by itself where all of that is settled. Where nothing of the order has left, its cancellation does it.
fn give_shipping(
    tx: &mut Tx,
    by: By<'_>,
    ids: &CarryIds,
    (id, reason): (OrderId, &str),
    pieces: &[Pieces],
) -> Result<()> {
    let mut order = orders::lock(tx, id)?;
    let open: i64 = order.lines.iter().map(|line| line.quantities.open()).sum();
    let cancelled: i64 = pieces.iter().map(|piece| piece.quantity.get()).sum();
    let has_left = order.lines.iter().any(|line| line.quantities.shipped > 0);
    let owed = order.shipping.as_ref().is_some_and(|shipping| shipping.gross.minor() > 0);
    if !has_left || !owed || order.shipping_credited.minor() > 0 || cancelled < open {
        return Ok(());
    }
    let own = requests::of_order(tx, id)?;
    let mut waiting = own.into_iter().filter(|one| one.withdrawal_id.is_some() && one.state.is_open());
    if let Some(mut request) = waiting.next() {
        if request.whole_order {
            return Ok(());
        }
        request.whole_order = true;
        (request.version, request.updated_at) = (request.version + 1, by.0);
        let event = ids.events.get(1).copied().unwrap_or_default();
        let kind = requests::told(request.state);
        return requests::save(tx, by, &[event], (&mut order, &request), (&[], kind));
    }
    let (return_id, number) = ids.shipping.clone();
    let new = NewReturn {
        id: return_id,
        number,
        origin: Origin::Order(id),
        lines: Vec::new(),
        bundles: Vec::new(),
        restock: false,
        location: None,
        refund: true,
        paid_out: false,
        give_to: None,
        reason: Some(reason.to_owned()),
        reference: None,
        occurred_at: None,
        settles: Some(Settles {
            request: None,
            claim: None,
            kept: BTreeMap::new(),
            claimed: BTreeMap::new(),
            shipping: true,
        }),
    };
    // Other ids than those of the cancellation that follows.
    let booking = Fresh::of(JobId::from_bytes(*return_id.bytes()));
    fulfilment::returns::receive(tx, by.0, by.1, &booking, &Locations::default(), &new).map(drop)
}

/// Notes that the money of a withdrawal is back: it is carried out, none of its return requests is open, and nothing of the order is still to
/// be given back. Nothing happens before.
///
/// # Errors
/// What the database says.
pub(in crate::returns) fn note_settled(tx: &mut Tx, now: Instant, (order, id): (OrderId, WithdrawalId)) -> Result<()> {
    let order = orders::lock(tx, order)?;
    let mut one = of(tx, order.id, id)?;
    if one.state != WithdrawalState::CarriedOut || !is_back(tx, &order, id)? {
        return Ok(());
    }
    one.state = one.state.apply(WithdrawalCommand::Settle)?;
    one.refund_due_at = None;
    (one.version, one.updated_at) = (one.version + 1, now);
    if store::update(tx, &one)? { Ok(()) } else { Err(Error::overtaken("the withdrawal")) }
}

/// Whether nothing of a withdrawal is to come back, and nothing of its order to be given back.
fn is_back(tx: &mut Tx, order: &OrderDocument, id: WithdrawalId) -> Result<bool> {
    let own = requests::of_order(tx, order.id)?;
    let open = own.iter().any(|request| request.withdrawal_id == Some(id) && request.state.is_open());
    Ok(!open && fulfilment::owed_back(tx, order)? == 0)
}

/// Withdrawals that are carried out and of which no return request is open, the longest due first, after one of them; and whether the money
/// is back, as it stands.
///
/// # Errors
/// What the database says.
pub(super) fn unsettled(
    tx: &mut Tx,
    after: Option<(Instant, WithdrawalId)>,
    limit: i64,
) -> Result<Vec<(store::Unsettled, bool)>> {
    let mut found = Vec::new();
    for one in store::unsettled(tx, after, limit)? {
        let order = orders::document(tx, one.order)?;
        let back = order.map(|order| is_back(tx, &order, one.id)).transpose()?;
        found.push((one, back == Some(true)));
    }
    Ok(found)
}
