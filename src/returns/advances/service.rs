//! Beginning exchanges in advance, and what becomes of their money. Each command locks the order whose goods come back first, then the one that
//! is sent in exchange.

use std::collections::BTreeMap;

use super::model::{Advance, AdvanceCommand, AdvanceLine, AdvanceState};
use crate::{
    carts::{
        self, CartState, Context,
        quoted::{self, Quoted, QuotedLine},
    },
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{self, Fresh},
    kernel::{
        Instant, Money, Quantity,
        ids::{CartId, CartLineId, EventId, JobId, ReturnRequestId, StoredValueId},
        text::Email,
    },
    orders::{self, OrderDocument},
    returns::{
        model::{RequestState, ReturnRequestDocument, ReturnWish},
        service::{By, EXCHANGED, save, start},
        store,
    },
};

/// For so many seconds the cart of an exchange can be completed.
const CART_SECONDS: i64 = 2 * 86_400;

/// What is wanted in exchange.
#[derive(Debug, Clone)]
pub(in crate::returns) struct Wanted {
    pub lines: Vec<(String, Quantity)>,
    pub shipping_method: Option<String>,
    pub store_credit: bool,
    pub charge_shipping: bool,
}

impl Wanted {
    fn lines(&self) -> Vec<AdvanceLine> {
        let line = |(sku, quantity): &(String, Quantity)| AdvanceLine { sku: sku.clone(), quantity: quantity.get() };
        self.lines.iter().map(line).collect()
    }

    /// Whether it is what was asked for before, in whichever order.
    fn is_as(&self, known: &Advance) -> bool {
        let terms = (self.shipping_method.as_ref(), self.store_credit, self.charge_shipping);
        let were = (known.shipping_method.as_ref(), known.store_credit, known.charge_shipping);
        terms == were && sums(&self.lines()) == sums(&known.lines)
    }
}

/// How many of each SKU.
fn sums(lines: &[AdvanceLine]) -> BTreeMap<&str, i64> {
    let mut sums = BTreeMap::new();
    for line in lines {
        *sums.entry(line.sku.as_str()).or_default() += line.quantity;
    }
    sums
}

/// Begins an exchange in advance: makes its cart, or finds the one that is there. A request has one; while nobody pays it, it can be another.
///
/// # Errors
/// `not_found`; `state_conflict` where the request is not approved, is over, is not for an exchange, or another exchange is on its way;
/// `sku_unknown`.
pub(super) fn begin(
    tx: &mut Tx,
    context: &Context,
    by: By<'_>,
    (id, cart): (ReturnRequestId, CartId),
    wanted: &Wanted,
) -> Result<CartId> {
    let (order, mut request) = start(tx, by.1, id)?;
    if let Some(known) = request.advance.as_ref().filter(|known| known.state != AdvanceState::Dropped) {
        let same = wanted.is_as(known);
        match known.state {
            AdvanceState::Open if same && request.state.is_open() => return Ok(known.cart_id),
            AdvanceState::Open if quoted::end(tx, by.0, known.cart_id)? => {}
            // What is ordered is ordered: who asks again is told so by its cart.
            state if same && state != AdvanceState::Open => return Ok(known.cart_id),
            _ => {
                let detail = format!("another exchange is on its way: {} is being paid, or ordered", known.cart_id);
                return Err(Error::conflict(detail));
            }
        }
    }
    may_begin(&request)?;
    if wanted.store_credit && order.customer_id.is_none() {
        return Err(Error::invalid("/store_credit", "store credit is a customer's, and the order is a guest's"));
    }
    quoted::make(tx, context, &cart_of(&order, (cart, by.0), wanted)?)?;
    request.advance = Some(Advance {
        cart_id: cart,
        state: AdvanceState::Open,
        lines: wanted.lines(),
        shipping_method: wanted.shipping_method.clone(),
        store_credit: wanted.store_credit,
        charge_shipping: wanted.charge_shipping,
        order_id: None,
        order_number: None,
        total: None,
        paid_by_return: None,
        by: by.1.label(),
        at: by.0,
    });
    (request.version, request.updated_at) = (request.version + 1, by.0);
    match store::update(tx, &request)? {
        true => Ok(cart),
        false => Err(Error::overtaken("the return request")),
    }
}

fn may_begin(request: &ReturnRequestDocument) -> Result<()> {
    if !request.state.is_open() || request.state == RequestState::Requested {
        return Err(Error::conflict(format!(
            "goods leave in exchange while a return is approved: it is {}",
            request.state
        )));
    }
    if request.wish != ReturnWish::Exchange || request.withdrawal_id.is_some() {
        return Err(Error::conflict("the customer has not asked for an exchange"));
    }
    Ok(())
}

/// The cart: for the customer of the order, sent to where that went.
fn cart_of(order: &OrderDocument, (id, now): (CartId, Instant), wanted: &Wanted) -> Result<Quoted> {
    let line = |(place, (sku, quantity)): (u16, &(String, Quantity))| -> QuotedLine {
        let mut line = *id.bytes();
        line.iter_mut().rev().zip(place.to_le_bytes()).for_each(|(to, from)| *to ^= from);
        (CartLineId::from_bytes(line), sku.clone(), *quantity, None)
    };
    let to = order.deliveries.first();
    let method = wanted.shipping_method.clone().or_else(|| to.and_then(|to| to.method.clone()));
    Ok(Quoted {
        id,
        quote: None,
        until: now.plus_seconds(CART_SECONDS),
        customer: order.customer_id,
        currency: order.currency,
        lines: (0u16..=u16::MAX).zip(&wanted.lines).map(line).collect(),
        email: order.email.as_deref().and_then(|email| Email::new(email).ok()),
        shipping_address: to.and_then(|to| to.address.clone()),
        billing_address: order.billing_address.clone(),
        shipping_method: method,
        purchase_order: None,
        store_credit: wanted.store_credit,
        free_shipping: !wanted.charge_shipping,
        awaits_return: true,
    })
}

/// Notes the order that the cart of an exchange has become: its money waits for the return, unless that has ended meanwhile. Where the cart has
/// ended, so has the exchange; it ends with a return that is over. Nothing happens where nothing has.
///
/// # Errors
/// What the database says.
pub(super) fn note(tx: &mut Tx, by: By<'_>, fresh: &[EventId], id: ReturnRequestId) -> Result<()> {
    let (mut order, mut request) = start(tx, by.1, id)?;
    let Some(open) = request.advance.clone().filter(|one| one.state == AdvanceState::Open) else { return Ok(()) };
    let Some(placed) = orders::of_cart(tx, open.cart_id)? else {
        let over = !request.state.is_open();
        return match has_ended(tx, open.cart_id)? || (over && quoted::end(tx, by.0, open.cart_id)?) {
            true => dropped(tx, by.0, &mut request),
            false => Ok(()),
        };
    };
    let is_open = request.state.is_open();
    let Some(advance) = request.advance.as_mut() else { return Ok(()) };
    advance.advance(if is_open { AdvanceCommand::Order } else { AdvanceCommand::Charge })?;
    (advance.order_id, advance.order_number) = (Some(placed.id), Some(placed.number.clone()));
    advance.total = Some(placed.total);
    (request.version, request.updated_at) = (request.version + 1, by.0);
    save(tx, by, fresh, (&mut order, &request), (&[], EXCHANGED))?;
    if is_open {
        // It has waited for that since it was placed.
        return Ok(());
    }
    let why = format!("return {} has ended", request.number);
    fulfilment::take_after_return(tx, by, &ids(fresh.first()), placed.id, (0, None, &why)).map(drop)
}

/// Notes what has become of an exchange that nobody has looked at yet, before its request goes on: what was ordered a moment ago counts. Gives the
/// order and the request as they are then, under the lock that they were read under.
///
/// # Errors
/// What the database says.
pub(in crate::returns) fn caught_up(
    tx: &mut Tx,
    by: By<'_>,
    fresh: &[EventId],
    (order, request): (OrderDocument, ReturnRequestDocument),
) -> Result<(OrderDocument, ReturnRequestDocument)> {
    if request.advance.as_ref().is_none_or(|one| one.state != AdvanceState::Open) {
        return Ok((order, request));
    }
    let mut event = *fresh.first().copied().unwrap_or_default().bytes();
    // Another event than that which this leads to.
    event.iter_mut().rev().take(1).for_each(|last| *last ^= 0xa5);
    note(tx, by, &[EventId::from_bytes(event)], request.id)?;
    start(tx, by.1, request.id)
}

fn has_ended(tx: &mut Tx, cart: CartId) -> Result<bool> {
    match carts::load(tx, cart) {
        Ok(cart) => Ok(matches!(cart.state, CartState::Expired | CartState::Merged)),
        Err(error) if error.code() == Code::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn dropped(tx: &mut Tx, now: Instant, request: &mut ReturnRequestDocument) -> Result<()> {
    let Some(advance) = request.advance.as_mut() else { return Ok(()) };
    advance.advance(AdvanceCommand::Drop)?;
    (request.version, request.updated_at) = (request.version + 1, now);
    if store::update(tx, request)? { Ok(()) } else { Err(Error::overtaken("the return request")) }
}

/// The requests whose exchange has a cart that may be ordered by now, the oldest first, after one of them.
///
/// # Errors
/// What the database says.
pub(super) fn open(tx: &mut Tx, after: Option<ReturnRequestId>, limit: i64) -> Result<Vec<ReturnRequestId>> {
    store::open_advances(tx, after, limit)
}

/// What the order owes still, in minor units, whose money waits for a return that is about to be settled. It is locked before any money moves.
///
/// # Errors
/// What the database says.
pub(in crate::returns) fn of_settling(tx: &mut Tx, request: &ReturnRequestDocument) -> Result<Option<i64>> {
    let Some(order) = request.sent_in_exchange() else { return Ok(None) };
    orders::lock(tx, order)?;
    fulfilment::owed_of(tx, order).map(Some)
}

/// Ids for what is done with the order in exchange: they follow from those of what leads to it.
fn ids(event: Option<&EventId>) -> Fresh {
    let mut job = *event.copied().unwrap_or_default().bytes();
    // Another job's than the event's own, should that be one's.
    job.iter_mut().rev().take(1).for_each(|last| *last ^= 0x5a);
    Fresh::of(JobId::from_bytes(job))
}

/// What follows from a return that is being settled: what it has given as store credit, or onto the `card` of a guest, pays the order in exchange, as far as that owes anything;
/// what was promised for that beyond it is not taken. A return that is settled otherwise leaves it to be paid as any order.
///
/// # Errors
/// `stored_value_short` where the customer's credit is blocked; `state_conflict` while the exchange is being paid.
pub(in crate::returns) fn settled(
    tx: &mut Tx,
    by: By<'_>,
    fresh: &[EventId],
    request: &mut ReturnRequestDocument,
    (wish, given): (ReturnWish, Option<Money>),
    card: Option<StoredValueId>,
) -> Result<()> {
    let Some(order) = request.sent_in_exchange().filter(|_| wish == ReturnWish::Exchange) else {
        withdrawn(tx, by, fresh, request)?;
        let is_open = request.advance.as_ref().is_some_and(|one| one.state == AdvanceState::Open);
        return match wish == ReturnWish::Exchange && is_open {
            true => Err(Error::conflict("its exchange is being paid: settle it once that has come to an end")),
            false => Ok(()),
        };
    };
    let (given, why) = (given.map_or(0, Money::minor), format!("return {} is settled", request.number));
    let paid = fulfilment::take_after_return(tx, by, &ids(fresh.first()), order, (given, card, &why))?;
    if let Some(advance) = request.advance.as_mut() {
        advance.advance(AdvanceCommand::Even)?;
        advance.paid_by_return = advance.total.map(|total| Money::from_minor(paid, total.currency()));
    }
    Ok(())
}

/// What follows from a return that ends without being settled as an exchange: an order that was sent for it is paid as any other; a cart that
/// nobody has ordered ends. One that is being paid at this moment becomes an order that is paid as any other.
///
/// # Errors
/// What the database says.
pub(in crate::returns) fn withdrawn(
    tx: &mut Tx,
    by: By<'_>,
    fresh: &[EventId],
    request: &mut ReturnRequestDocument,
) -> Result<()> {
    let why = format!("return {} has ended", request.number);
    let Some(advance) = request.advance.as_mut() else { return Ok(()) };
    if let Some(order) = advance.waiting() {
        advance.advance(AdvanceCommand::Charge)?;
        return fulfilment::take_after_return(tx, by, &ids(fresh.first()), order, (0, None, &why)).map(drop);
    }
    if advance.state == AdvanceState::Open && quoted::end(tx, by.0, advance.cart_id)? {
        advance.advance(AdvanceCommand::Drop)?;
    }
    Ok(())
}
