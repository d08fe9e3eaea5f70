//! Commands and queries on quotes. Each command locks the quote; only accepting and what ends an accepted one touch its cart, after it.

// What is asked for as it stands in the tables.
pub(super) use super::store::{Filter, due, page};
use super::{
    model::{Details, Message, Offer, Quote, QuoteCommand, QuoteLine, QuoteRound, QuoteState, given_away},
    store, told,
};
use crate::{
    carts::{
        self, Context,
        quoted::{self, Quoted},
    },
    countersign::{self, Ceilinged, Giving},
    customers,
    db::Tx,
    error::{Code, Error, Result},
    http::seal::Secret,
    kernel::{
        Actor, Instant, Money, Per, PricePer,
        actor::Identity,
        ids::{CartId, CartLineId, ChannelId, CustomerId, EventId, OrderId, QuoteId},
    },
    orders,
};

/// Who does something, and when.
pub type By<'a> = (Instant, &'a Actor);

/// Who is signed in, and in which channel.
pub(super) type Whose = (Identity, ChannelId);

pub(super) fn unknown() -> Error {
    Error::not_found("quote")
}

/// Ids of what asking makes: the quote, the cart that it may become, the event.
pub(super) type Ids = (QuoteId, CartId, EventId);

/// Asks for the prices of what is in a cart. The cart stays as it is.
///
/// # Errors
/// `not_found`; `state_conflict` for a guest's cart, one that is empty or of a quote.
pub(super) fn ask(
    tx: &mut Tx,
    (now, actor, secret): (Instant, &Actor, &Secret),
    (ids, number): (Ids, &str),
    (cart, said): (CartId, &Message),
) -> Result<Quote> {
    let cart = carts::find(tx, actor, secret, cart)?;
    let customer = cart.customer.ok_or_else(|| Error::conflict("sign in: a quote is a customer's"))?;
    customers::hold(tx, customer)?;
    let details = &cart.details;
    if details.lines.is_empty() || details.quote.is_some() {
        return Err(Error::conflict("there is nothing in the cart that a quote can be of"));
    }
    let priced =
        |line_no: i32| details.totals.iter().flat_map(|totals| &totals.lines).find(|line| line.line_no == line_no);
    let line = |line: &carts::CartLine| QuoteLine {
        line_no: line.line_no,
        variant_id: line.variant_id,
        sku: line.sku.clone(),
        name: line.name.clone(),
        quantity: line.quantity,
        list_price: priced(line.line_no).map(|line| line.unit_price),
        list_per: priced(line.line_no).map_or(Per::ONE, |line| line.per),
        price: None,
        per: Per::ONE,
    };
    let round = QuoteRound {
        command: "request".to_owned(),
        by: actor.label(),
        at: now,
        message: said.message.as_ref().map(ToString::to_string),
    };
    let quote = Quote {
        id: ids.0,
        number: number.to_owned(),
        channel_id: cart.channel,
        customer_id: customer,
        company_id: customers::standing(tx, customer)?.company,
        cart_id: ids.1,
        state: QuoteState::Requested,
        currency: cart.currency,
        valid_until: None,
        order_id: None,
        lines: details.lines.iter().filter(|line| line.gift_of.is_none()).map(line).collect(),
        terms: None,
        rounds: vec![round],
        to: Details {
            email: details.email.clone(),
            shipping_address: details.shipping_address.clone(),
            billing_address: details.billing_address.clone(),
            shipping_method: details.shipping_method.clone(),
            purchase_order: details.purchase_order.clone(),
            ..Details::default()
        },
        version: 1,
        created_at: now,
        updated_at: now,
    };
    store::insert(tx, &quote)?;
    told::tell(tx, (now, actor), ids.2, told::REQUESTED, &quote)?;
    Ok(quote)
}

/// A quote of whoever is signed in, in the channel that they are in: its prices are of that channel's currency, tax and stock.
///
/// # Errors
/// `not_found`.
pub(super) fn mine(tx: &mut Tx, (identity, channel): &Whose, id: QuoteId) -> Result<Quote> {
    let me = customers::find(tx, identity)?.ok_or_else(unknown)?;
    let own = |quote: &Quote| quote.customer_id == me && quote.channel_id == *channel;
    store::read(tx, id)?.filter(own).ok_or_else(unknown)
}

/// A quote, for staff who see its channel.
///
/// # Errors
/// `not_found`.
pub(super) fn of_staff(tx: &mut Tx, actor: &Actor, id: QuoteId) -> Result<Quote> {
    store::read(tx, id)?.filter(|quote| actor.sees_channel(quote.channel_id)).ok_or_else(unknown)
}

/// A quote, locked.
///
/// # Errors
/// `not_found`.
pub(super) fn locked(tx: &mut Tx, id: QuoteId) -> Result<Quote> {
    store::lock(tx, id)?.ok_or_else(unknown)
}

/// Whose quotes somebody sees who is signed in: their own, of the channel that they are in.
///
/// # Errors
/// What the database says.
pub(super) fn own(tx: &mut Tx, (identity, channel): &Whose, state: Option<QuoteState>) -> Result<Filter> {
    Ok(match customers::find(tx, identity)? {
        Some(customer) => {
            Filter { customer: Some(customer), state, channels: Some(vec![*channel]), ..Filter::default() }
        }
        None => Filter { channels: Some(Vec::new()), ..Filter::default() },
    })
}

/// Takes a locked quote a step further, and tells of it.
fn step(tx: &mut Tx, by: By<'_>, event: EventId, next: Quote) -> Result<Quote> {
    if !store::update(tx, &next)? {
        return Err(Error::overtaken("the quote"));
    }
    let next = Quote { version: next.version + 1, ..next };
    told::tell(tx, by, event, told::UPDATED, &next)?;
    Ok(next)
}

/// Offers prices, or others than before.
///
/// # Errors
/// `not_found`, `state_conflict`, `line_unknown`, `invalid_value`; `ceiling_exceeded` where more is given away below the prices that the
/// customer was shown than the actor may.
pub(super) fn offer(tx: &mut Tx, by: By<'_>, (id, event): (QuoteId, EventId), offer: &Offer) -> Result<Quote> {
    of_staff(tx, by.1, id)?;
    let known = store::lock(tx, id)?.ok_or_else(unknown)?;
    let next = known.after(QuoteCommand::Offer, (by.1.label(), by.0), offer.message.as_deref())?;
    let next = next.offered(offer, by.0)?;
    if !by.1.within_ceiling(given_away(&next.lines)) {
        let detail = "more is given away than this credential may";
        return Err(Error::problem(Code::CeilingExceeded, detail).at("/lines"));
    }
    let giving = Giving {
        kind: Ceilinged::Quote,
        channel: Some(next.channel_id),
        of: None,
        amount: Money::from_minor(given_away(&next.lines), next.currency),
    };
    countersign::pass(tx, by, &giving)?;
    step(tx, by, event, next)
}

/// What staff do with a quote beside offering: they decline, or take their offer back.
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn by_staff(
    tx: &mut Tx,
    by: By<'_>,
    (id, event): (QuoteId, EventId),
    (command, said): (QuoteCommand, &Message),
) -> Result<Quote> {
    of_staff(tx, by.1, id)?;
    let known = store::lock(tx, id)?.ok_or_else(unknown)?;
    // Each takes back what is theirs: a request is the customer's.
    let theirs = if command == QuoteCommand::Withdraw { QuoteState::Offered } else { QuoteState::Requested };
    turn(tx, by, event, (known, theirs), (command, said))
}

/// What the customer does with a quote beside accepting: they ask for something else, decline the offer, or take the request back.
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn by_customer(
    tx: &mut Tx,
    by: By<'_>,
    whose: &Whose,
    (id, event): (QuoteId, EventId),
    (command, said): (QuoteCommand, &Message),
) -> Result<Quote> {
    mine(tx, whose, id)?;
    let known = store::lock(tx, id)?.ok_or_else(unknown)?;
    let theirs = if command == QuoteCommand::Withdraw { QuoteState::Requested } else { QuoteState::Offered };
    turn(tx, by, event, (known, theirs), (command, said))
}

fn turn(
    tx: &mut Tx,
    by: By<'_>,
    event: EventId,
    (known, from): (Quote, QuoteState),
    (command, said): (QuoteCommand, &Message),
) -> Result<Quote> {
    if known.state != from {
        return Err(Error::conflict(format!("the quote is {}, not {from}: read it again", known.state)));
    }
    let next = known.after(command, (by.1.label(), by.0), said.message.as_deref())?;
    step(tx, by, event, next)
}

/// Accepts an offer while it is valid: it becomes a cart that has its prices. However often that is asked for, there is one cart.
///
/// # Errors
/// `not_found`; `version_stale` where something else is offered by now than at the version that was looked at; `state_conflict` when it is not
/// offered, or its time is over; what making a cart says.
pub(super) fn accept(
    tx: &mut Tx,
    context: &Context,
    (actor, whose): (&Actor, &Whose),
    (id, event, expected): (QuoteId, EventId, Option<i64>),
) -> Result<Quote> {
    let now = context.now;
    mine(tx, whose, id)?;
    let known = store::lock(tx, id)?.ok_or_else(unknown)?;
    if expected.is_some_and(|expected| !known.is_offer(expected)) {
        return Err(Error::stale("quote", known.version));
    }
    if known.state == QuoteState::Ordered {
        return Ok(known);
    }
    let until = known.valid_until.filter(|until| *until > now);
    let until = until.ok_or_else(|| Error::conflict(format!("the quote is {}, or its time is over", known.state)))?;
    let accepted = match known.state {
        // Whoever comes again, or at once, orders the same cart.
        QuoteState::Accepted => known,
        _ => {
            let next = known.after(QuoteCommand::Accept, (actor.label(), now), None)?;
            step(tx, (now, actor), event, next)?
        }
    };
    quoted::make(tx, context, &cart_of(&accepted, until)?)?;
    Ok(accepted)
}

fn cart_of(quote: &Quote, until: Instant) -> Result<Quoted> {
    let line = |line: &QuoteLine| {
        let price = line.price.ok_or_else(|| Error::internal("an offer without a price"))?;
        // Of a quote's line there is one cart line, whenever it is made.
        let mut id = *quote.cart_id.bytes();
        id.iter_mut().rev().zip(line.line_no.to_le_bytes()).for_each(|(to, from)| *to ^= from);
        Ok((CartLineId::from_bytes(id), line.sku.clone(), line.quantity, Some(PricePer { price, per: line.per })))
    };
    let to = quote.details();
    Ok(Quoted {
        id: quote.cart_id,
        quote: Some(quote.id),
        until,
        customer: Some(quote.customer_id),
        currency: quote.currency,
        lines: quote.lines.iter().map(line).collect::<Result<_>>()?,
        email: to.email,
        shipping_address: to.shipping_address,
        billing_address: to.billing_address,
        shipping_method: to.shipping_method,
        purchase_order: to.purchase_order,
        store_credit: false,
        free_shipping: false,
        awaits_return: false,
    })
}

/// Notes the order of a quote, once there is one.
///
/// # Errors
/// What the database says.
pub(super) fn note_order(tx: &mut Tx, now: Instant, (id, event): (QuoteId, EventId)) -> Result<Option<OrderId>> {
    let known = store::lock(tx, id)?.ok_or_else(unknown)?;
    if known.state != QuoteState::Accepted {
        return Ok(known.order_id);
    }
    let Some(order) = orders::of_cart(tx, known.cart_id)?.map(|order| order.id) else { return Ok(None) };
    let actor = Actor::System("quotes");
    let next = known.after(QuoteCommand::Order, (actor.label(), now), None)?;
    step(tx, (now, &actor), event, Quote { order_id: Some(order), ..next })?;
    Ok(Some(order))
}

/// The quotes, after one of them, that were accepted and have an order by now that they do not know, for they were paid otherwise than in the
/// answer; and the last one that was looked at, where there was one.
///
/// # Errors
/// What the database says.
pub(super) fn ordered(tx: &mut Tx, after: Option<QuoteId>, limit: i64) -> Result<(Vec<QuoteId>, Option<QuoteId>)> {
    let accepted = store::accepted(tx, after, limit)?;
    let last = accepted.last().map(|(id, _)| *id);
    let mut ordered = Vec::new();
    for (id, cart) in accepted {
        if carts::load(tx, cart)?.order.is_some() {
            ordered.push(id);
        }
    }
    Ok((ordered, last))
}

/// Ends a quote whose time is over: one that is being paid at this moment is left, one that is ordered is noted.
///
/// # Errors
/// What the database says.
pub(super) fn expire(tx: &mut Tx, now: Instant, (id, event): (QuoteId, EventId)) -> Result<()> {
    if note_order(tx, now, (id, event))?.is_some() {
        return Ok(());
    }
    let known = store::lock(tx, id)?.ok_or_else(unknown)?;
    if known.valid_until.is_none_or(|until| until > now) || known.state.apply(QuoteCommand::Expire).is_err() {
        return Ok(());
    }
    if known.state == QuoteState::Accepted && !quoted::end(tx, now, known.cart_id)? {
        return Ok(());
    }
    let actor = Actor::System("quotes");
    let next = known.after(QuoteCommand::Expire, (actor.label(), now), None)?;
    step(tx, (now, &actor), event, next).map(|_| ())
}

/// The quotes of a customer behind one of them, in the order of their ids: for who gets everything that is kept of them.
///
/// # Errors
/// What the database says.
pub fn of_customer(tx: &mut Tx, customer: CustomerId, after: Option<QuoteId>, limit: i64) -> Result<Vec<Quote>> {
    store::of_customer_after(tx, customer, after, limit)
}

/// The quotes that somebody may mean with a number or an id, of those that the actor sees.
///
/// # Errors
/// What the database says.
pub fn quoted(tx: &mut Tx, actor: &Actor, text: &str) -> Result<Vec<Quote>> {
    let mut found = store::numbered(tx, text)?;
    if let Ok(id) = text.parse() {
        found.extend(store::read(tx, id)?);
    }
    found.retain(|one| actor.sees_channel(one.channel_id));
    Ok(found)
}

/// Erases what a customer's quotes tell of them: whom they go to, and what was said.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, customer: CustomerId) -> Result<()> {
    for quote in store::of_customer(tx, customer)? {
        let silent = |round: QuoteRound| QuoteRound { message: None, ..round };
        let rounds = quote.rounds.clone().into_iter().map(silent).collect();
        let bare = Quote { to: Details::default(), rounds, terms: None, ..quote };
        if !store::update(tx, &bare)? {
            return Err(Error::overtaken("a quote"));
        }
    }
    Ok(())
}
