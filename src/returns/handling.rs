//! What is done with goods that were announced: they come, are looked at, and are settled with the customer.

use std::collections::BTreeMap;

use super::{
    advances,
    model::{
        Disposition, ForeignGoods, Inspected, RequestCommand, RequestLine, ReturnGrade, ReturnRequestDocument,
        ReturnWish, Settlement,
    },
    policy::percent_of,
    service::{ARRIVED, By, INSPECTED, SETTLED, creditor, nothing, save, start, told},
    store,
};
use crate::{
    catalog::{self, StockPolicy},
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{
        self, Fresh, GiveTo, RefundCard,
        returns::{self, NewReturn, NewReturnLine, Noted, Origin, Return, Settles, worth},
    },
    kernel::{
        Actor, Money,
        ids::{EventId, LocationId, ReturnId, ReturnRequestId},
    },
    orders::{LineMove, OrderDocument},
    stock::{self, Locations, Share},
    stored_value,
};

/// So many pieces of a line come at most, or ten times as many as were sold of it: more is a slip of the keys.
const MOST_CAME: i64 = 10_000;

/// Goods that came: of a line of the order, or by what stands on them.
#[derive(Debug, Clone)]
pub(super) struct Came {
    /// The order's line.
    pub line_no: Option<i32>,
    /// Their SKU, where no line is named.
    pub sku: Option<String>,
    /// How many.
    pub quantity: i64,
    /// What was noted of them.
    pub note: Option<String>,
}

/// Where goods came, when nobody says it: where the first of the order's have left from that the actor may see.
fn usual_location(tx: &mut Tx, actor: &Actor, order: &OrderDocument) -> Result<LocationId> {
    let (works, _) = fulfilment::of_order(tx, order.id)?;
    let own = works.iter().map(|one| one.location_id).find(|id| actor.sees_location(*id));
    own.ok_or_else(|| Error::problem(Code::MissingField, "say where they have come").at("/location"))
}

/// Books goods as come, partly or more than announced: what can come back of the order's line is kept for the request too, what is more
/// than that is surplus, and what is not of the order is noted as foreign.
///
/// # Errors
/// `not_found`, `state_conflict`, `line_unknown`; `quantity_exceeded` for more than can be meant.
pub(super) fn receive(
    tx: &mut Tx,
    by: By<'_>,
    fresh: &[EventId],
    id: ReturnRequestId,
    (came, location): (&[Came], Option<LocationId>),
) -> Result<ReturnRequestDocument> {
    let (mut order, mut request) = start(tx, by.1, id)?;
    request.advance(RequestCommand::Receive, by.0)?;
    let settled = !request.state.is_open();
    let location = match location.or(request.location_id) {
        Some(location) => location,
        None => usual_location(tx, by.1, &order)?,
    };
    (request.location_id, request.expires_at) = (Some(location), None);
    let mut moves: BTreeMap<i32, i64> = BTreeMap::new();
    for (place, one) in came.iter().enumerate() {
        let at = |field: &str| format!("/lines/{place}/{field}");
        let Some(line_no) = line_of(&order, &request, one).map_err(|error| error.at(at("line_no")))? else {
            plausible(one.quantity, 0, MOST_CAME).map_err(|error| error.at(at("quantity")))?;
            let sku = one.sku.clone().unwrap_or_default();
            request.foreign.push(ForeignGoods { sku, quantity: one.quantity, note: one.note.clone() });
            continue;
        };
        let before = request.lines.iter().find(|line| line.line_no == line_no).map_or(0, |line| line.received);
        let most = order.line(line_no)?.quantities.quantity.saturating_mul(10).max(MOST_CAME);
        plausible(one.quantity, before, most).map_err(|error| error.at(at("quantity")))?;
        let taken = moves.get(&line_no).copied().unwrap_or_default();
        // What was settled is settled: what comes beyond it is surplus.
        let room = if settled { 0 } else { order.line(line_no)?.returnable() - taken };
        let more = note_came(&order, &mut request, (line_no, one.quantity), room)?;
        *moves.entry(line_no).or_default() += more;
    }
    let moves: Vec<LineMove> = moves
        .into_iter()
        .filter(|(_, more)| *more > 0)
        .map(|(line_no, coming_back)| LineMove { line_no, coming_back, ..LineMove::default() })
        .collect();
    save(tx, by, fresh, (&mut order, &request), (&moves, ARRIVED))?;
    Ok(request)
}

/// That no more than `most` come, `before` of them earlier.
fn plausible(quantity: i64, before: i64, most: i64) -> Result<()> {
    let left = (most - before).max(0);
    if quantity <= left {
        return Ok(());
    }
    let detail = format!("at most {most} come of one line, and {before} have: count them again");
    Err(Error::problem(Code::QuantityExceeded, detail).with("left", left))
}

/// Of which line of the order goods are: the one that is named, or one of the request's of that SKU, or any of the order's.
fn line_of(order: &OrderDocument, request: &ReturnRequestDocument, one: &Came) -> Result<Option<i32>> {
    if let Some(line_no) = one.line_no {
        return order.line(line_no).map(|line| Some(line.line_no));
    }
    let sku = one.sku.as_deref().unwrap_or_default();
    let announced = request.lines.iter().find(|line| line.sku == sku).map(|line| line.line_no);
    let sold = || order.lines.iter().find(|line| line.sku == sku && line.requires_shipping).map(|line| line.line_no);
    Ok(announced.or_else(sold))
}

/// Notes pieces of a line of the order as come; gives how many more the request keeps now, of those `room` that it may.
fn note_came(
    order: &OrderDocument,
    request: &mut ReturnRequestDocument,
    (line_no, quantity): (i32, i64),
    room: i64,
) -> Result<i64> {
    if request.lines.iter().all(|line| line.line_no != line_no) {
        let sold = order.line(line_no)?;
        let reason = request.lines.first().map_or(super::model::ReturnReason::Other, |line| line.reason);
        let verdict = request.lines.first().and_then(|line| line.verdict.clone());
        request.lines.push(RequestLine {
            line_no,
            variant_id: sold.variant_id,
            sku: sold.sku.clone(),
            quantity: 0,
            kept: 0,
            reason,
            received: 0,
            surplus: 0,
            settled: None,
            inspected: Vec::new(),
            verdict,
        });
    }
    let line = request.line_mut(line_no)?;
    line.received += quantity;
    let missing = (line.received - line.surplus - line.expected()).max(0);
    let more = missing.min(room.max(0));
    line.kept += more;
    line.surplus += missing - more;
    Ok(more)
}

/// Takes pieces out of a request of a locked order of which nothing has come: somebody else has them come back. The rest of it stands as it
/// was, which is told once more.
pub(super) fn take_out(
    tx: &mut Tx,
    by: By<'_>,
    fresh: &[EventId],
    (order, request): (&mut OrderDocument, &mut ReturnRequestDocument),
    pieces: &BTreeMap<i32, i64>,
) -> Result<()> {
    let (id, mut moves) = (request.id, Vec::with_capacity(pieces.len()));
    for (line_no, taken) in pieces {
        let line = request.line_mut(*line_no)?;
        (line.kept, line.quantity) = (line.kept - taken, line.quantity - taken);
        store::set_quantity(tx, id, *line_no, line.quantity)?;
        moves.push(LineMove { line_no: *line_no, coming_back: -taken, ..LineMove::default() });
    }
    request.lines.retain(|line| line.quantity > 0);
    (request.version, request.updated_at) = (request.version + 1, by.0);
    let kind = told(request.state);
    save(tx, by, fresh, (order, request), (&moves, kind))
}

/// Pieces that somebody has looked at.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// The order's line.
    pub line_no: i32,
    /// How many.
    pub quantity: i64,
    /// In what shape.
    pub grade: ReturnGrade,
    /// What becomes of them.
    pub disposition: Disposition,
    /// Where they are booked in; where they were received, for what is restocked.
    pub location: Option<LocationId>,
    /// Their lot, as it stands on them.
    pub lot: Option<String>,
    /// What was seen.
    pub note: Option<String>,
}

/// Notes what was seen of goods that have come, and books in what can be sold again, or is kept somewhere: back into the lots in which it
/// has left.
///
/// # Errors
/// `not_found`, `state_conflict`, `line_unknown`; `quantity_exceeded` where fewer have come that nobody has looked at, and where surplus would
/// be booked in; `location_inactive`.
pub(super) fn inspect(
    tx: &mut Tx,
    by: By<'_>,
    (fresh, moved): (&[EventId], &[EventId]),
    id: ReturnRequestId,
    (seen, locations): (&[Seen], &Locations),
) -> Result<ReturnRequestDocument> {
    let (mut order, mut request) = start(tx, by.1, id)?;
    let here = request.location_id;
    let mut shares: Vec<Share> = Vec::new();
    let ids: Vec<_> = request.lines.iter().map(|line| line.variant_id).collect();
    let variants = catalog::by_ids(tx, &ids)?;
    for (place, one) in seen.iter().enumerate() {
        let at = |field: &str| format!("/lines/{place}/{field}");
        let line = request.line_mut(one.line_no).map_err(|error| error.at(at("line_no")))?;
        let left = line.unseen();
        if one.quantity > left {
            let detail = format!("only {left} of line {} have come that nobody has looked at", one.line_no);
            let error = Error::problem(Code::QuantityExceeded, detail).at(at("quantity"));
            return Err(error.with("line_no", one.line_no).with("left", left));
        }
        let kept_here = (one.disposition == Disposition::Restock).then_some(here).flatten();
        let tracked = |id| variants.iter().any(|one| one.id == id && one.stock_policy == StockPolicy::Tracked);
        let location = one.location.or(kept_here).filter(|_| one.disposition != Disposition::Scrap);
        let location = location.filter(|_| tracked(line.variant_id));
        if one.disposition == Disposition::Restock || location.is_some() {
            fits(line, one.quantity).map_err(|error| error.at(at("quantity")))?;
        }
        if let Some(location) = location {
            locations.get(location).map_err(|error| error.at(at("location")))?;
            shares.push(Share {
                line_no: one.line_no,
                delivery: 0,
                variant: line.variant_id,
                location,
                quantity: one.quantity,
                tracked: true,
            });
        }
        line.inspected.push(Inspected {
            quantity: one.quantity,
            grade: one.grade,
            disposition: one.disposition,
            location_id: location,
            lot: one.lot.clone(),
            note: one.note.clone(),
            by: by.1.label(),
            at: by.0,
        });
    }
    let all = request.lines.iter().all(|line| line.unseen() == 0);
    request.advance(if all { RequestCommand::Inspect } else { RequestCommand::InspectPart }, by.0)?;
    save(tx, by, fresh, (&mut order, &request), (&[], INSPECTED))?;
    // The levels come last.
    if !shares.is_empty() {
        stock::receive_return(tx, by.0, by.1, &shares, &order.id.to_string(), by.0, moved)?;
    }
    Ok(request)
}

/// That so many of a line can go into stock.
fn fits(line: &RequestLine, quantity: i64) -> Result<()> {
    let left = line.bookable();
    if quantity <= left {
        return Ok(());
    }
    let detail = format!(
        "only {left} of line {} go into stock: the rest is surplus; scrap it or keep it apart without a location, and book it by a \
         stock adjustment once it is known what it is",
        line.line_no
    );
    Err(Error::problem(Code::QuantityExceeded, detail).with("line_no", line.line_no).with("left", left))
}

/// How a request is settled.
#[derive(Debug, Clone, Default)]
pub(super) struct Settling {
    /// What the customer gets; what they had asked for unless told.
    pub wish: Option<ReturnWish>,
    /// Whether all that the request keeps is settled, whether it has come or not, and was looked at or not.
    pub without_goods: bool,
    /// Whether nothing is kept.
    pub waive_fees: bool,
    /// What is kept of lines beside fees, tax included, for what they have lost in worth: by line.
    pub deductions: BTreeMap<i32, Money>,
    /// Whether what goes back by hand has been paid out already.
    pub paid_out: bool,
    /// Why, in words.
    pub reason: Option<String>,
}

/// The ids of what settling makes.
#[derive(Debug, Clone)]
pub(super) struct SettleIds {
    pub return_id: ReturnId,
    pub number: String,
    pub booking: Fresh,
    /// The store credit that it goes to where that is wished for.
    pub credit: GiveTo,
    pub events: Vec<EventId>,
}

/// Settles a request: what has come, or all that it keeps, is taken back as a return, once; its share of what was paid goes back, less what
/// is kept; what has not come is let go.
///
/// # Errors
/// `not_found`; `state_conflict`, also while a withdrawal from its goods is being carried out; `invalid_value`, also where a withdrawal would be
/// settled otherwise than the customer has agreed to; `line_unknown`, `ceiling_exceeded`, `refund_exceeded`.
pub(super) fn settle(
    tx: &mut Tx,
    by: By<'_>,
    ids: &SettleIds,
    id: ReturnRequestId,
    (how, locations): (&Settling, &Locations),
) -> Result<(ReturnRequestDocument, Return, Option<RefundCard>)> {
    let known = start(tx, by.1, id)?;
    let (order, mut request) = advances::caught_up(tx, by, &ids.events, known)?;
    let command = if how.without_goods { RequestCommand::SettleAhead } else { RequestCommand::Settle };
    // What was looked at needs not be settled ahead.
    let command = match request.state.apply(command) {
        Err(_) if request.state.apply(RequestCommand::Settle).is_ok() => RequestCommand::Settle,
        _ => command,
    };
    request.advance(command, by.0)?;
    let pieces = request.settling(how.without_goods)?;
    let wish = how.wish.unwrap_or(request.wish);
    match request.withdrawal_id {
        None => super::withdrawals::not_awaited(tx, &order, &request.kept())?,
        // Directive 2011/83/EU, Article 13 (1): by the means of the payment, unless the consumer has agreed otherwise.
        Some(_) if wish != ReturnWish::Refund && wish != request.wish => {
            let detail = "what is withdrawn from is paid back: the customer has not asked for anything else";
            return Err(Error::invalid("/wish", detail));
        }
        Some(_) => {}
    }
    let give_to = onto(tx, (&order, &request), &ids.credit, wish)?;
    let card = give_to.clone();
    let new = NewReturn {
        id: ids.return_id,
        number: ids.number.clone(),
        origin: Origin::Order(order.id),
        lines: lines(&order, &request, &pieces, how)?,
        bundles: Vec::new(),
        // What can be sold again was booked in where it was looked at.
        restock: false,
        location: request.location_id,
        refund: true,
        paid_out: how.paid_out,
        give_to,
        reason: how.reason.clone().or_else(|| Some(format!("return {}", request.number))),
        reference: None,
        occurred_at: None,
        settles: Some(Settles {
            request: Some(id),
            claim: None,
            kept: request.kept(),
            claimed: BTreeMap::new(),
            shipping: request.whole_order,
        }),
    };
    let made = match returns::receive(tx, by.0, by.1, &ids.booking, locations, &new)? {
        Noted::New(made) | Noted::Known(made) => made,
    };
    let kept: i64 = made.lines.iter().filter_map(|line| line.deducted).map(Money::minor).sum();
    request.settlement = Some(Settlement {
        wish,
        return_id: Some(made.id),
        amount: made.amount,
        store_credit: made.store_credit,
        deducted: (kept > 0).then(|| Money::from_minor(kept, order.currency)),
        exchange_order_id: request.sent_in_exchange().filter(|_| wish == ReturnWish::Exchange),
        by: by.1.label(),
        at: by.0,
    });
    request.expires_at = None;
    for line in &mut request.lines {
        line.kept = 0;
        line.settled = Some(pieces.get(&line.line_no).copied().unwrap_or_default());
    }
    let given = match card.as_ref().and_then(GiveTo::new_card) {
        Some(card) => (stored_value::balance(tx, card)?, Some(card)),
        None => (made.store_credit, None),
    };
    advances::settled(tx, by, &ids.events, &mut request, (wish, given.0), given.1)?;
    // It was saved with the return meanwhile, under the same lock.
    let mut order = crate::orders::lock(tx, order.id)?;
    save(tx, by, &ids.events, (&mut order, &request), (&[], SETTLED))?;
    if let Some(withdrawal) = request.withdrawal_id {
        super::withdrawals::note_settled(tx, by.0, (order.id, withdrawal))?;
    }
    // Also one that has paid the order in exchange, and is spent: what that order gives back later goes onto it again.
    let issued = card.map(|card| card.issued_in(tx)).transpose()?.flatten();
    Ok((request, made, issued))
}

/// Where what is given back goes; the way it came where that is none. What a guest gets in exchange goes onto a gift card, since they have no
/// store credit.
fn onto(
    tx: &mut Tx,
    (order, request): (&OrderDocument, &ReturnRequestDocument),
    credit: &GiveTo,
    wish: ReturnWish,
) -> Result<Option<GiveTo>> {
    if request.is_of_gift() && wish != ReturnWish::GiftCard {
        let detail = "who was given it gets a gift card for it: nothing goes to who has bought it";
        return Err(Error::invalid("/wish", detail));
    }
    if request.is_of_gift() && !is_paid(order) {
        let detail =
            "its order is not paid yet: what it is worth would go to who has bought it. Settle it once it is paid";
        return Err(Error::conflict(detail));
    }
    let credit = match (wish, order.customer_id) {
        (ReturnWish::Refund, _) => return Ok(None),
        (ReturnWish::GiftCard, _) => return Ok(Some(credit.clone().onto_card(request.is_of_gift()))),
        (ReturnWish::Exchange, None) => credit.clone().onto_card(false),
        _ => {
            creditor(order).map_err(|error| error.at("/wish"))?;
            credit.clone()
        }
    };
    // What was sent in exchange is paid by it; what it is worth beyond that goes back the way it came.
    let owed = advances::of_settling(tx, request)?;
    Ok(match owed.filter(|_| wish == ReturnWish::Exchange) {
        Some(owed) if owed > 0 => Some(credit.up_to(owed)),
        // It is paid already.
        Some(_) => None,
        None => Some(credit),
    })
}

/// Whether all that an order costs, but for what was taken back of it, has come.
fn is_paid(order: &OrderDocument) -> bool {
    let money = order.money();
    money.captured >= money.due
}

/// What is taken back of each line, with what is kept of its price: the fee for restocking, what was agreed, and what a label has cost, off
/// the first lines that are worth it.
fn lines(
    order: &OrderDocument,
    request: &ReturnRequestDocument,
    pieces: &BTreeMap<i32, i64>,
    how: &Settling,
) -> Result<Vec<NewReturnLine>> {
    for (line_no, amount) in &how.deductions {
        if !pieces.contains_key(line_no) {
            let detail = format!("nothing of line {line_no} is settled");
            return Err(Error::problem(Code::LineUnknown, detail).at("/deductions"));
        }
        if amount.currency() != order.currency || amount.minor() < 0 {
            let detail = format!("expected an amount in {}, not below zero", order.currency);
            return Err(Error::invalid("/deductions", detail));
        }
        let most = worth(order, *line_no, pieces.get(line_no).copied().unwrap_or_default())?.gross;
        if amount.minor() > most {
            let most = Money::from_minor(most, order.currency);
            let detail = format!("no more can be kept of line {line_no} than its pieces are worth: {most}");
            return Err(Error::invalid("/deductions", detail));
        }
    }
    let label = request.shipping_fee.filter(|_| request.parcel.as_ref().is_some_and(|parcel| parcel.by_shop));
    let mut label = if how.waive_fees { 0 } else { label.unwrap_or_else(|| nothing(order)).minor() };
    let mut lines = Vec::with_capacity(pieces.len());
    for (line_no, quantity) in pieces {
        let gross = worth(order, *line_no, *quantity)?.gross;
        let percent = request.lines.iter().find(|line| line.line_no == *line_no);
        let percent = percent.and_then(|line| line.verdict.as_ref()).map_or(0, |one| one.restocking_fee_percent);
        // The law lets the shop keep nothing of a withdrawal but what goods have lost in worth.
        let free = how.waive_fees || request.withdrawal_id.is_some();
        let fee = if free { 0 } else { percent_of(gross, percent) };
        let agreed = how.deductions.get(line_no).map_or(0, |amount| amount.minor());
        let deduct = fee.saturating_add(agreed).min(gross);
        let for_label = if request.withdrawal_id.is_some() { 0 } else { label.min(gross - deduct) };
        label -= for_label;
        lines.push(NewReturnLine {
            line_no: Some(*line_no),
            sku: None,
            quantity: *quantity,
            unit_price: None,
            amount: None,
            deduct: deduct + for_label,
        });
    }
    Ok(lines)
}
