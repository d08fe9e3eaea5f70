//! Taking goods back.

use std::collections::{BTreeMap, HashMap};

// What is asked for as it stands in the tables.
pub(super) use super::store::{get, page};
use super::{
    model::{NewReturn, NewReturnLine, Origin, Return, ReturnState, ReturnedLine, ReturnedShipping, spread},
    refunding::{absorb, given_back, shipping_back},
    store,
};
use crate::{
    catalog::{self, StockPolicy, Variant},
    countersign::{self, Ceilinged, Giving},
    db::Tx,
    error::{Code, Error, Result},
    events::{self, NewEvent, Payload},
    fulfilment::{
        Fresh, FulfilmentOrder, Pieces, bundles,
        cancel::within_ceiling,
        ids::Draw,
        money::{self, Settling},
        service::{announce, of_order},
        till::{give_owed, of_return},
    },
    kernel::{
        Actor, Currency, Instant, Money, Quantity, Rounding,
        ids::{ChannelId, CustomerId, LocationId, OrderId, ReturnId},
    },
    orders::{self, ExternalRef, LineMove, OrderDocument, OrderLine},
    payments::{OperationKind, Target},
    pricing::engine::{TaxedShare, share},
    stock::{self, Locations, Share},
};

/// What became of a return.
#[derive(Debug, Clone)]
pub enum Noted {
    /// It was booked now.
    New(Return),
    /// It had been booked under its reference before.
    Known(Return),
}

/// Takes goods back. Of an order: never more of a line than has left and not come back, and what was paid for the pieces
/// is taken off what is owed, to the minor unit, however many returns they come in.
///
/// # Errors
/// `not_found`, `state_conflict`, `line_unknown`, `sku_unknown`, `quantity_exceeded`, `ceiling_exceeded`.
pub fn receive(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    locations: &Locations,
    new: &NewReturn,
) -> Result<Noted> {
    if let Some(known) = known(tx, actor, new)? {
        return Ok(Noted::Known(known));
    }
    match new.origin {
        Origin::Order(order) => of_known_order(tx, now, actor, fresh, locations, order, new),
        Origin::Unknown { channel, currency, customer } => {
            of_no_order(tx, now, actor, fresh, locations, (channel, currency, customer), new)
        }
    }
}

const KIND: &str = "return";
/// What is kept beside the reference of a return that was reported and is not booked yet.
const HELD: &str = "held";

/// The return that was booked under the reference, when it was.
fn known(tx: &mut Tx, actor: &Actor, new: &NewReturn) -> Result<Option<Return>> {
    let Some((system, value)) = &new.reference else { return Ok(None) };
    let Some((_, kept)) = orders::known_ref(tx, system, KIND, value)? else { return Ok(None) };
    if kept.get(HELD).is_some() {
        return Ok(None);
    }
    let id: Option<ReturnId> = serde_json::from_value(kept.get(KIND).cloned().unwrap_or_default()).ok();
    let found = id.map(|id| store::get(tx, id)).transpose()?.flatten();
    let found = found.filter(|found| found.is_visible_to(actor)).ok_or_else(taken)?;
    let of_bundles = pieces_of_bundles(tx, found.order_id, new)?;
    if says_the_same(&found, new, of_bundles) { Ok(Some(found)) } else { Err(said_otherwise(new)) }
}

/// Whether a document that comes again tells of as many pieces, those that belong to its bundles included; one without any asks for what
/// was booked. Lines are not compared one by one, for one that is reported may have been booked as several.
fn says_the_same(known: &Return, new: &NewReturn, of_bundles: i64) -> bool {
    let before: i64 = known.lines.iter().map(|line| line.quantity).sum();
    let named: i64 = new.lines.iter().map(|line| line.quantity).sum();
    (new.lines.is_empty() && new.bundles.is_empty()) || before == named.saturating_add(of_bundles)
}

/// How many pieces of the order belong to the bundles that come back whole, none where it has no such bundle. A statement where any is
/// named, else none.
fn pieces_of_bundles(tx: &mut Tx, order: Option<OrderId>, new: &NewReturn) -> Result<i64> {
    let Some(order) = order.filter(|_| !new.bundles.is_empty()) else { return Ok(0) };
    let order = orders::document(tx, order)?.ok_or_else(|| Error::not_found("order"))?;
    let in_one = |line_no: i32| {
        let parts = order.lines.iter().filter_map(|line| line.bundle.as_ref());
        parts.filter(|part| part.line_no == line_no).map(|part| part.per_bundle).sum::<i64>()
    };
    let pieces = new.bundles.iter().map(|one| one.quantity.get().saturating_mul(in_one(one.line_no)));
    Ok(pieces.fold(0, i64::saturating_add))
}

fn said_otherwise(new: &NewReturn) -> Error {
    let detail = "the document was booked with other lines: what corrects it is a document of its own";
    Error::problem(Code::Duplicate, detail).at(if new.lines.is_empty() { "/bundles" } else { "/lines" })
}

/// Notes the reference, which its own document may hold already. False when another request has booked it meanwhile.
fn note(tx: &mut Tx, now: Instant, owner: OrderId, new: &NewReturn, draw: &mut Draw<'_>) -> Result<bool> {
    let Some((system, value)) = &new.reference else { return Ok(true) };
    let reference = ExternalRef { system: system.clone(), kind: KIND.to_owned(), value: value.clone() };
    let kept = serde_json::json!({KIND: new.id});
    if orders::add_ref(tx, now, draw.next(), owner, &reference, kept.clone())? {
        return Ok(true);
    }
    let held = orders::known_ref(tx, system, KIND, value)?.is_some_and(|(_, kept)| kept.get(HELD).is_some());
    Ok(held && orders::keep_ref(tx, owner, &reference, kept)?)
}

fn taken() -> Error {
    Error::problem(Code::Duplicate, "the reference stands for something else").at("/reference")
}

fn of_known_order(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    locations: &Locations,
    id: OrderId,
    new: &NewReturn,
) -> Result<Noted> {
    let mut order = orders::lock(tx, id)?;
    // Asked again under the lock: the same return may have been booked while this one waited for it.
    if let Some(known) = known(tx, actor, new)? {
        return Ok(Noted::Known(known));
    }
    order.state.apply(orders::Command::Return)?;
    order.check_time(new.occurred_at, "/occurred_at")?;
    let (at, mut draw) = (new.occurred_at.unwrap_or(now), fresh.draw());
    let shares = taken_back(&order, &with_bundles(&order, new)?)?;
    let lines: Vec<i32> = shares.iter().map(|(back, _)| back.line_no).collect();
    order.free_for(orders::Command::Return, &lines, Some(now))?;
    let shipping = shipping_back(&order, new);
    let sum = money::total(shares.iter().map(|(_, share)| *share).chain(shipping.iter().map(|(_, share)| *share)));
    if new.refund {
        order.free_for(orders::Command::Refund, &lines, Some(now))?;
        within_ceiling(actor, sum.gross).map_err(|error| error.at("/refund"))?;
    }
    let moves = moves(&order, &shares, new)?;
    // What was given away of it before is not given back again.
    let given_away = if shipping.is_empty() { 0 } else { order.shipping_goodwill.minor() };
    let absorbed = shares.iter().map(|(back, _)| back.absorbed).sum::<i64>() + given_away;
    if new.refund {
        let back = Money::from_minor(sum.gross - absorbed, order.currency);
        let (kind, channel) = (Ceilinged::Return, Some(order.channel_id));
        countersign::pass(tx, (now, actor), &Giving { kind, channel, of: Some(id.to_string()), amount: back })?;
    }
    if !shipping.is_empty() {
        let gross = shipping.iter().map(|(_, share)| share.gross).sum();
        orders::credit_shipping(tx, &mut order, gross, given_away)?;
    }
    orders::save(tx, now, &mut order, &moves, 1)?;
    if !note(tx, now, id, new, &mut draw)? {
        return Err(taken());
    }
    // What goes elsewhere does so behind the events.
    let otherwise = new.give_to.as_ref().filter(|to| new.refund && to.is_otherwise());
    let state = match new.refund {
        false => ReturnState::Received,
        true => {
            let rate = |(back, share): &(Back, TaxedShare)| Ok((order.line(back.line_no)?.tax_rate, *share));
            let mut rates = shares.iter().map(rate).collect::<Result<Vec<_>>>()?;
            rates.extend(shipping.iter().copied());
            money::take_back(tx, now, &order, &money::credit(&order, format!("return:{}", new.id), at, sum), &rates)?;
            absorb(tx, (now, at), &order, new.id, absorbed)?;
            let reason = new.reason.as_deref().unwrap_or("return");
            let but = otherwise.map(|_| OperationKind::Refund);
            let how = Settling { paid_out: new.paid_out, but, ..Settling::because(reason) };
            match money::settle(tx, (now, at), &order, &mut draw, &how)? {
                0 => ReturnState::Refunded,
                _ => ReturnState::RefundPending,
            }
        }
    };
    let lines: Result<Vec<ReturnedLine>> = shares.iter().map(|(piece, share)| line(&order, piece, *share)).collect();
    let back = money::total(shipping.iter().map(|(_, share)| *share));
    let money = |minor| Money::from_minor(minor, order.currency);
    let made = Return {
        order_id: Some(id),
        order_number: Some(order.number.clone()),
        amount: money(sum.gross),
        shipping: (!shipping.is_empty()).then(|| ReturnedShipping {
            net: money(back.net),
            tax: money(back.tax),
            gross: money(back.gross),
        }),
        ..document(new, (now, at), state, (order.channel_id, order.currency, order.customer_id), lines?)
    };
    store::insert(tx, &made)?;
    let happened = vec![("return.received.v1", Payload::of(&made)?)];
    let backs: Vec<&Back> = shares.iter().map(|(back, _)| back).collect();
    let restocked = match new.restock {
        true => restocked(tx, actor, (locations, new.location), &made, &backs)?,
        false => Vec::new(),
    };
    announce(tx, (now, at), actor, &order, &mut draw, happened)?;
    if let Some(to) = otherwise {
        let reason = new.reason.as_deref().unwrap_or("return");
        let before = given_back(&order);
        give_owed(tx, (now, at), actor, &mut order, &mut draw, (to, reason, sum.gross - absorbed))?;
        of_return(tx, now, (id, made.id))?;
        money::settle_returns(tx, (now, at), &order, &mut draw, &Settling::because(reason))?;
        if to.to == Target::StoreCredit {
            store::note_credit(tx, made.id, Money::from_minor(given_back(&order) - before, order.currency))?;
        }
    }
    if new.refund {
        orders::invoice_later(tx, now, &order, draw.next())?;
    }
    if !restocked.is_empty() {
        stock::receive_return(tx, now, actor, &restocked, &id.to_string(), at, &draw.many(restocked.len()))?;
    }
    orders::came_back_later(tx, now, &order, draw.next())?;
    let made = if otherwise.is_some() { store::get(tx, made.id)?.unwrap_or(made) } else { made };
    Ok(Noted::New(made))
}

/// The pieces of whole bundles of an order that come back, as those of the lines that they are made of; `lines` are named beside them.
///
/// # Errors
/// `line_unknown`; `quantity_exceeded` where not all that belongs to them can come back.
pub fn whole_bundles(order: &OrderDocument, whole: &[Pieces], lines: &[Pieces]) -> Result<Vec<Pieces>> {
    bundles::pieces(order, whole, lines, OrderLine::returnable)
}

/// What the next pieces of a line that come back are worth: their share of what was paid.
///
/// # Errors
/// `line_unknown`.
pub fn worth(order: &OrderDocument, line_no: i32, pieces: i64) -> Result<TaxedShare> {
    let from = order.line(line_no)?.quantities.returned;
    money::share_of(order, line_no, from, from + pieces)
}

/// The return with the lines of the bundles that come back whole. What of lines is named by itself comes first.
fn with_bundles(order: &OrderDocument, new: &NewReturn) -> Result<NewReturn> {
    let named =
        |line: &NewReturnLine| Some(Pieces { line_no: line.line_no?, quantity: Quantity::new(line.quantity).ok()? });
    let lines: Vec<Pieces> = new.lines.iter().filter_map(named).collect();
    let whole = bundles::pieces(order, &new.bundles, &lines, OrderLine::returnable)?;
    let back = whole.into_iter().map(|piece| NewReturnLine {
        line_no: Some(piece.line_no),
        sku: None,
        quantity: piece.quantity.get(),
        unit_price: None,
        amount: None,
        deduct: 0,
    });
    let lines = new.lines.iter().cloned().chain(back).collect();
    Ok(NewReturn { lines, ..new.clone() })
}

/// Pieces of a line that come back, `from..to` of all that ever do.
struct Back {
    line_no: i32,
    from: i64,
    to: i64,
    /// What is kept of their price, in minor units.
    deducted: i64,
    /// What of their price was given away before, and is not given back again, in minor units.
    absorbed: i64,
}

/// What comes back of each line, with the share of its price: cumulative over all returns of the line, so that together
/// they sum to exactly what was paid; or with the amount that was agreed. A line may be named more than once.
fn taken_back(order: &OrderDocument, new: &NewReturn) -> Result<Vec<(Back, TaxedShare)>> {
    let mut taken: Vec<(Back, TaxedShare)> = Vec::with_capacity(new.lines.len());
    let mut sums: HashMap<i32, (i64, i64, i64)> = HashMap::new();
    for (place, wanted) in new.lines.iter().enumerate() {
        let pointer = format!("/lines/{place}");
        let missing = || Error::problem(Code::MissingField, "a line of an order is named by its line_no");
        let line_no = wanted.line_no.ok_or_else(|| missing().at(format!("{pointer}/line_no")))?;
        let line = order.line(line_no).map_err(|error| error.at(format!("{pointer}/line_no")))?;
        let (before, given, goodwill) =
            sums.entry(line_no).or_insert((0, line.refunded.minor(), line.goodwill.minor()));
        let own = new.settles.as_ref().map_or(0, |one| one.own(line_no));
        let left = line.returnable() + own - *before;
        if wanted.quantity > left {
            let detail = format!("only {left} of line {line_no} have left and not come back");
            let error = Error::problem(Code::QuantityExceeded, detail).at(format!("{pointer}/quantity"));
            return Err(error.with("line_no", line_no).with("left", left));
        }
        let from = line.quantities.returned + *before;
        let mut back = Back { line_no, from, to: from + wanted.quantity, deducted: 0, absorbed: 0 };
        let whole = match wanted.amount {
            Some(amount) => agreed(order, line, *given, amount).map_err(|e| e.at(format!("{pointer}/amount")))?,
            // What was agreed before for other pieces may have left less than the share, and so may a lower price, which is taken off by
            // money and not by pieces: behind it its tax is too. What was given away has not: it stayed sold.
            None => {
                let (share, credited) = (money::share_of(order, line_no, back.from, back.to)?, *given - *goodwill);
                let left = line.creditable() - credited;
                match new.refund && (share.gross > left || credited > line.gross_of(back.from)) {
                    true => money::part(line, credited, share.gross.min(left)),
                    false => share,
                }
            }
        };
        let share = less(whole, wanted.deduct);
        back.deducted = whole.gross - share.gross;
        *before += wanted.quantity;
        if new.refund {
            back.absorbed = (*given + share.gross - line.creditable()).clamp(0, (*goodwill).max(0));
            *given += share.gross - back.absorbed;
            *goodwill -= back.absorbed;
        }
        taken.push((back, share));
    }
    Ok(taken)
}

/// A share of which so much is kept, with the tax in it.
fn less(whole: TaxedShare, deduct: i64) -> TaxedShare {
    let gross = whole.gross - deduct.clamp(0, whole.gross.max(0));
    let tax = share(whole.tax, 0, gross, whole.gross);
    TaxedShare { net: gross - tax, tax, gross }
}

/// An amount that was agreed for pieces of a line of which `given` has been given back before, with the tax in it or on it.
fn agreed(order: &OrderDocument, line: &OrderLine, given: i64, amount: Money) -> Result<TaxedShare> {
    if amount.currency() != order.currency || amount.minor() < 0 {
        return Err(Error::invalid("", format!("expected an amount in {}, not below zero", order.currency)));
    }
    let left = line.creditable() - given;
    let share = if order.prices_include_tax {
        money::part(line, given, amount.minor())
    } else {
        let tax = share(line.tax.minor(), 0, amount.minor(), line.net.minor());
        // The tax of parts, each rounded, may come to a unit more than that of the whole.
        let tax = tax.min((left - amount.minor()).max(0));
        TaxedShare { net: amount.minor(), tax, gross: amount.minor().saturating_add(tax) }
    };
    if share.gross > left {
        let left = Money::from_minor(left, order.currency);
        let error = Error::problem(Code::RefundExceeded, format!("only {left} of the line's price is left"));
        return Err(error.with("left", serde_json::to_value(left)?));
    }
    Ok(share)
}

/// How they move the order's lines, each line once. What is never shipped has been rendered when it is taken back.
fn moves(order: &OrderDocument, shares: &[(Back, TaxedShare)], new: &NewReturn) -> Result<Vec<LineMove>> {
    let (refund, mut moves): (bool, BTreeMap<i32, LineMove>) = (new.refund, BTreeMap::new());
    if let Some(one) = &new.settles {
        for line_no in one.kept.keys().chain(one.claimed.keys()) {
            let of = |pieces: &BTreeMap<i32, i64>| -pieces.get(line_no).copied().unwrap_or_default();
            let (coming_back, claimed) = (of(&one.kept), of(&one.claimed));
            moves.insert(*line_no, LineMove { line_no: *line_no, coming_back, claimed, ..LineMove::default() });
        }
    }
    for (back, share) in shares {
        let step = moves.entry(back.line_no).or_insert(LineMove { line_no: back.line_no, ..LineMove::default() });
        step.returned += back.to - back.from;
        step.refunded += if refund { share.gross - back.absorbed } else { 0 };
        step.goodwill -= back.absorbed;
    }
    for step in moves.values_mut() {
        let quantities = &order.line(step.line_no)?.quantities;
        // Pieces that others have asked to take back, or claimed, have left too.
        let asked = quantities.coming_back + step.coming_back + quantities.claimed + step.claimed;
        let returned = quantities.returned + step.returned + asked;
        step.shipped = (returned - quantities.shipped).max(0);
        step.delivered = (returned - quantities.delivered).max(0).min(step.shipped);
    }
    Ok(moves.into_values().collect())
}

fn line(order: &OrderDocument, back: &Back, share: TaxedShare) -> Result<ReturnedLine> {
    let line = order.line(back.line_no)?;
    let money = |minor| Money::from_minor(minor, order.currency);
    Ok(ReturnedLine {
        line_no: Some(back.line_no),
        variant_id: line.variant_id,
        sku: line.sku.clone(),
        quantity: back.to - back.from,
        net: Some(money(share.net)),
        tax: Some(money(share.tax)),
        gross: money(share.gross),
        deducted: (back.deducted > 0).then(|| money(back.deducted)),
    })
}

fn document(
    new: &NewReturn,
    (now, at): (Instant, Instant),
    state: ReturnState,
    (channel, currency, customer): (ChannelId, Currency, Option<CustomerId>),
    lines: Vec<ReturnedLine>,
) -> Return {
    let amount = lines.iter().map(|line| line.gross.minor()).sum();
    let (system, reference) = new.reference.clone().unzip();
    Return {
        id: new.id,
        number: new.number.clone(),
        order_id: None,
        order_number: None,
        channel_id: channel,
        customer_id: customer,
        state,
        amount: Money::from_minor(amount, currency),
        refund: new.refund,
        restocked: new.restock,
        location_id: new.location,
        reason: new.reason.clone(),
        system,
        reference,
        request_id: new.settles.as_ref().and_then(|one| one.request),
        claim_id: new.settles.as_ref().and_then(|one| one.claim),
        shipping: None,
        store_credit: None,
        lines,
        version: 1,
        occurred_at: at,
        recorded_at: now,
    }
}

/// The stock that comes back of an order: where it was received, or else where it had left from. Of what has left from several places
/// those that sent first get theirs back first.
fn restocked(
    tx: &mut Tx,
    actor: &Actor,
    (locations, received): (&Locations, Option<LocationId>),
    made: &Return,
    backs: &[&Back],
) -> Result<Vec<Share>> {
    let Some(order) = made.order_id else { return Ok(Vec::new()) };
    let (fulfilments, _) = of_order(tx, order)?;
    let share = |(line, back): (&ReturnedLine, &&Back)| {
        let (line_no, variant) = (back.line_no, line.variant_id);
        let of = |one: &FulfilmentOrder| {
            let own = one.lines.iter().find(|own| own.line_no == line_no && own.tracked && own.counts.shipped > 0)?;
            Some((received.unwrap_or(one.location_id), own.counts.shipped))
        };
        let sent: Vec<(LocationId, i64)> = fulfilments.iter().filter_map(of).collect();
        let share = move |(location, quantity): (LocationId, i64)| Share {
            line_no,
            delivery: 0,
            variant,
            location,
            quantity,
            tracked: true,
        };
        spread(&sent, (back.from, back.to)).into_iter().map(share)
    };
    let shares: Vec<Share> = made.lines.iter().zip(backs).flat_map(share).collect();
    for share in &shares {
        locations.get(share.location).map_err(|error| error.at("/location"))?;
        if !actor.sees_location(share.location) {
            return Err(not_theirs());
        }
    }
    Ok(shares)
}

/// Whether goods of these lines can be put back where they will have left from by somebody who may not see all locations.
///
/// # Errors
/// `not_found` when some of a line waits at a location that is not theirs.
pub fn may_restock(tx: &mut Tx, actor: &Actor, order: OrderId, lines: &[i32]) -> Result<()> {
    if actor.locations().is_none() {
        return Ok(());
    }
    let (fulfilments, _) = of_order(tx, order)?;
    let elsewhere = |line_no: &&i32| {
        let of_line = |one: &&FulfilmentOrder| one.lines.iter().any(|own| own.line_no == **line_no && own.tracked);
        fulfilments.iter().filter(of_line).any(|one| !actor.sees_location(one.location_id))
    };
    match lines.iter().find(elsewhere) {
        Some(_) => Err(not_theirs()),
        None => Ok(()),
    }
}

fn not_theirs() -> Error {
    let detail = "it leaves from a location that is not yours: name where it was received";
    Error::problem(Code::NotFound, detail).at("/location")
}

fn of_no_order(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    locations: &Locations,
    (channel, currency, customer): (ChannelId, Currency, Option<CustomerId>),
    new: &NewReturn,
) -> Result<Noted> {
    let (at, mut draw) = (new.occurred_at.unwrap_or(now), fresh.draw());
    let skus: Vec<String> = new.lines.iter().filter_map(|line| line.sku.clone()).collect();
    let variants = catalog::by_skus(tx, &skus)?;
    let lines: Result<Vec<(ReturnedLine, bool)>> =
        new.lines.iter().enumerate().map(|(place, line)| unreferenced(&variants, currency, place, line)).collect();
    let lines = lines?;
    let restocked = if new.restock { restock(locations, actor, new, &lines)? } else { Vec::new() };
    let state = if new.refund { ReturnState::Refunded } else { ReturnState::Received };
    let lines = lines.into_iter().map(|(line, _)| line).collect();
    let made = document(new, (now, at), state, (channel, currency, customer), lines);
    if new.refund {
        if !new.paid_out {
            let detail =
                "without an order there is no payment to give it back by: pay it out and say so, or leave `refund` out";
            return Err(Error::invalid("/paid_out", detail));
        }
        within_ceiling(actor, made.amount.minor()).map_err(|error| error.at("/refund"))?;
        let (kind, channel, amount) = (Ceilinged::Return, Some(channel), made.amount);
        countersign::pass(
            tx,
            (now, actor),
            &Giving { kind, channel, of: Some(countersign::day_of(now, actor)), amount },
        )?;
    }
    // The reference belongs to the return itself, for there is no order.
    if !note(tx, now, OrderId::from_bytes(*new.id.bytes()), new, &mut draw)? {
        return known(tx, actor, new)?.map(Noted::Known).ok_or_else(taken);
    }
    store::insert(tx, &made)?;
    let event = NewEvent {
        id: draw.next(),
        stream: made.id.to_string(),
        aggregate: "return",
        aggregate_id: made.id.to_string(),
        aggregate_version: made.version,
        channel: Some(channel),
        kind: "return.received.v1",
        occurred_at: at,
        payload: Payload::of(&made)?,
        subject: customer,
    };
    events::append(tx, actor, now, vec![event])?;
    if !restocked.is_empty() {
        stock::receive_return(tx, now, actor, &restocked, &made.id.to_string(), at, &draw.many(restocked.len()))?;
    }
    Ok(Noted::New(made))
}

/// A line without an order, and whether its stock is counted.
fn unreferenced(
    variants: &[Variant],
    currency: Currency,
    place: usize,
    new: &NewReturnLine,
) -> Result<(ReturnedLine, bool)> {
    let at = |field: &str| format!("/lines/{place}/{field}");
    let missing = |field: &str| {
        let detail = format!("without an order, a line needs its {field}");
        Error::problem(Code::MissingField, detail).at(at(field))
    };
    let sku = new.sku.as_ref().ok_or_else(|| missing("sku"))?;
    let price = new.unit_price.ok_or_else(|| missing("unit_price"))?;
    if price.currency() != currency || price.scaled() < 0 {
        return Err(Error::invalid(at("unit_price"), format!("expected a price in {currency}, not below zero")));
    }
    let unknown = || Error::problem(Code::SkuUnknown, format!("there is no SKU `{sku}`")).at(at("sku"));
    let variant = variants.iter().find(|variant| variant.sku == *sku).ok_or_else(unknown)?;
    let exact = price.decimal().checked_mul(new.quantity.into());
    let gross = match new.amount {
        Some(amount) if amount.currency() != currency || amount.minor() < 0 => {
            return Err(Error::invalid(at("amount"), format!("expected an amount in {currency}, not below zero")));
        }
        Some(amount) => Some(amount.minor()),
        None => exact.and_then(|exact| currency.round(exact, Rounding::HalfUp)),
    };
    let gross = gross.filter(|gross| *gross <= Money::MAX_INPUT / 1000);
    let too_much = || Error::problem(Code::AmountOverflow, "the amount is too large").at(at("unit_price"));
    let line = ReturnedLine {
        line_no: None,
        variant_id: variant.id,
        sku: sku.clone(),
        quantity: new.quantity,
        net: None,
        tax: None,
        gross: Money::from_minor(gross.ok_or_else(too_much)?, currency),
        deducted: None,
    };
    Ok((line, variant.stock_policy == StockPolicy::Tracked))
}

/// The stock that comes back without an order: where it was received, or else at the first location the actor sees.
fn restock(
    locations: &Locations,
    actor: &Actor,
    new: &NewReturn,
    lines: &[(ReturnedLine, bool)],
) -> Result<Vec<Share>> {
    let first = || locations.active().map(|location| location.id).find(|id| actor.sees_location(*id));
    let location: Option<LocationId> = new.location.or_else(first);
    let nowhere = || Error::problem(Code::LocationInactive, "there is no active location").at("/location");
    let location = location.ok_or_else(nowhere)?;
    let tracked = lines.iter().enumerate().filter(|(_, (_, tracked))| *tracked);
    let share = |(place, (line, _)): (usize, &(ReturnedLine, bool))| Share {
        delivery: 0,
        line_no: i32::try_from(place + 1).unwrap_or(i32::MAX),
        variant: line.variant_id,
        location,
        quantity: line.quantity,
        tracked: true,
    };
    Ok(tracked.map(share).collect())
}

/// Notes that so much more of a return was given as store credit, which had waited for the end of a dispute.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn add_credit(tx: &mut Tx, id: ReturnId, more: Money) -> Result<()> {
    let before = store::get(tx, id)?.and_then(|known| known.store_credit).map_or(0, |known| known.minor());
    store::note_credit(tx, id, Money::from_minor(before.saturating_add(more.minor()), more.currency()))
}
