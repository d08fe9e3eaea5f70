//! Commands and queries on recurring orders.

// What is asked for as it stands in the tables.
pub(super) use super::store::{Filter, due, page};
use super::{
    model::{
        Details, NewRecurringOrder, RecurringCommand, RecurringLine, RecurringOrder, RecurringRun, RecurringState,
        RunState,
    },
    store, told,
};
use crate::{
    carts::{
        self, Context,
        quoted::{self, Quoted},
    },
    credit::ON_ACCOUNT,
    customers,
    db::Tx,
    error::{Code, Error, Result},
    http::seal::Secret,
    jobs::{self, NewJob},
    kernel::{
        Actor, Instant,
        actor::Identity,
        ids::{CartId, CartLineId, CustomerId, EventId, JobId, OrderId, RecurringId},
    },
    orders,
    payments::MANUAL,
};

/// The job that orders a date.
pub(super) const ORDER: &str = "recurring.order";
/// For so long the cart of a date can be ordered.
const CART_DAYS: i64 = 30;
/// So many of the last dates are told.
const RUNS: i64 = 24;

pub(super) fn unknown() -> Error {
    Error::not_found("recurring order")
}

/// Makes a recurring order of a cart, which stays as it is.
///
/// # Errors
/// `not_found`; `invalid_value`; `payment_method_unavailable`; `state_conflict` for a guest's cart, an empty one or one of a quote.
pub(super) fn create(
    tx: &mut Tx,
    context: &Context,
    (actor, secret): (&Actor, &Secret),
    id: RecurringId,
    new: &NewRecurringOrder,
) -> Result<RecurringOrder> {
    let now = context.now;
    new.every.check()?;
    if new.first_at <= now {
        return Err(Error::invalid("/first_at", "expected a time that is to come"));
    }
    let method = new.payment_method.to_string();
    context.channel.offers_payment(&method).map_err(|error| error.at("/payment_method"))?;
    if ![ON_ACCOUNT, MANUAL].contains(&method.as_str()) {
        let detail = "somebody has to pay by this method, and nobody is there";
        return Err(Error::problem(Code::PaymentMethodUnavailable, detail).at("/payment_method"));
    }
    let cart = carts::find(tx, actor, secret, new.cart_id).map_err(|error| error.at("/cart_id"))?;
    let customer = cart.customer.ok_or_else(|| Error::conflict("sign in: a recurring order is a customer's"))?;
    customers::hold(tx, customer)?;
    let details = cart.details;
    let line = |line: &carts::CartLine| RecurringLine { sku: line.sku.clone(), quantity: line.quantity };
    let lines: Vec<RecurringLine> = details.lines.iter().filter(|line| line.gift_of.is_none()).map(line).collect();
    if lines.is_empty() || details.quote.is_some() {
        return Err(Error::conflict("there is nothing in the cart that can be ordered again and again"));
    }
    if lines.len() > MOST_LINES {
        let detail = format!("a recurring order has at most {MOST_LINES} lines");
        return Err(Error::problem(Code::TooManyLines, detail).at("/cart_id"));
    }
    let one = RecurringOrder {
        id,
        channel_id: cart.channel,
        customer_id: customer,
        state: RecurringState::Active,
        next_at: new.first_at,
        every: new.every,
        first_at: new.first_at,
        lines: lines.clone(),
        payment_method: method.clone(),
        to: Details {
            every: new.every,
            first_at: new.first_at,
            currency: cart.currency,
            lines,
            payment_method: method,
            email: details.email,
            shipping_address: details.shipping_address,
            billing_address: details.billing_address,
            shipping_method: details.shipping_method,
            purchase_order: details.purchase_order,
        },
        version: 1,
        created_at: now,
        updated_at: now,
    };
    store::insert(tx, &one)?;
    Ok(one)
}

/// A recurring order of whoever is signed in.
///
/// # Errors
/// `not_found`.
pub(super) fn mine(tx: &mut Tx, identity: &Identity, id: RecurringId) -> Result<RecurringOrder> {
    let me = customers::find(tx, identity)?.ok_or_else(unknown)?;
    store::read(tx, id)?.filter(|one| one.customer_id == me).ok_or_else(unknown)
}

/// A recurring order, for staff who see its channel.
///
/// # Errors
/// `not_found`.
pub(super) fn of_staff(tx: &mut Tx, actor: &Actor, id: RecurringId) -> Result<RecurringOrder> {
    store::read(tx, id)?.filter(|one| actor.sees_channel(one.channel_id)).ok_or_else(unknown)
}

/// Whose recurring orders somebody sees who is signed in.
///
/// # Errors
/// What the database says.
pub(super) fn own(tx: &mut Tx, identity: &Identity) -> Result<Filter> {
    Ok(match customers::find(tx, identity)? {
        Some(customer) => Filter { customer: Some(customer), ..Filter::default() },
        None => Filter { channels: Some(Vec::new()), ..Filter::default() },
    })
}

/// Its last dates, the latest first.
///
/// # Errors
/// What the database says.
pub(super) fn runs(tx: &mut Tx, id: RecurringId) -> Result<Vec<RecurringRun>> {
    store::runs(tx, id, RUNS)
}

fn save(tx: &mut Tx, now: Instant, one: RecurringOrder) -> Result<RecurringOrder> {
    match store::update(tx, now, &one)? {
        true => Ok(RecurringOrder { version: one.version + 1, updated_at: now, ..one }),
        false => Err(Error::overtaken("the recurring order")),
    }
}

/// Pauses, goes on, leaves the next date out, or ends. Dates that have passed while it was paused are not made up for.
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn change(
    tx: &mut Tx,
    now: Instant,
    seen: &RecurringOrder,
    (command, cart): (RecurringCommand, CartId),
) -> Result<RecurringOrder> {
    // Of several at once each finds what the one before it has left.
    let known = store::lock(tx, seen.id)?.ok_or_else(unknown)?;
    let mut next = known.clone();
    next.state = known.state.apply(command)?;
    match command {
        RecurringCommand::Skip => {
            next.next_at = known.every.next(known.first_at, known.next_at);
            let (state, due_at) = (RunState::Skipped, known.next_at);
            let run =
                RecurringRun { recurring_id: known.id, due_at, state, order_id: None, failure: None, cart_id: cart };
            store::insert_run(tx, now, &run)?;
        }
        RecurringCommand::Resume if known.next_at <= now => next.next_at = known.every.next(known.first_at, now),
        _ => {}
    }
    save(tx, now, next)
}

/// Takes the date that has come: it is written down with the cart that it will be ordered from, and a job orders it. Whoever comes second
/// finds the next date. Of several that have passed one is ordered.
///
/// # Errors
/// What the database says.
pub(super) fn take_due(tx: &mut Tx, now: Instant, id: RecurringId, (cart, job): (CartId, JobId)) -> Result<()> {
    let Some(known) = store::read(tx, id)? else { return Ok(()) };
    if known.state != RecurringState::Active || known.next_at > now {
        return Ok(());
    }
    let due_at = known.next_at;
    let next = RecurringOrder { next_at: known.every.next(known.first_at, now), ..known };
    save(tx, now, next)?;
    let run = RecurringRun {
        recurring_id: id,
        due_at,
        state: RunState::Placing,
        order_id: None,
        failure: None,
        cart_id: cart,
    };
    store::insert_run(tx, now, &run)?;
    let payload = serde_json::json!({"recurring": id, "due_at": due_at});
    let order = NewJob { id: job, ..NewJob::now(ORDER, now, payload) };
    jobs::enqueue(tx, now, vec![order.in_order(id.to_string())])
}

/// A date that is to be ordered, with what it is of; `None` where it is not any more.
///
/// # Errors
/// What the database says.
pub(super) fn placing(tx: &mut Tx, id: RecurringId, due: Instant) -> Result<Option<(RecurringOrder, RecurringRun)>> {
    let (one, run) = (store::read(tx, id)?, store::run_at(tx, id, due)?);
    Ok(one.zip(run.filter(|run| run.state == RunState::Placing)))
}

/// Makes the cart of a date, once. False where the recurring order was paused or ended since the date was taken: the date is left out then,
/// unless it is ordered, or being paid, already.
///
/// # Errors
/// `sku_unknown`, `not_found`.
pub(super) fn make_cart(tx: &mut Tx, context: &Context, (one, run): (&RecurringOrder, &RecurringRun)) -> Result<bool> {
    // Whoever pauses or ends it waits for this, or has done so.
    let known = store::lock(tx, one.id)?;
    let is_active = known.is_some_and(|known| known.state == RecurringState::Active);
    let left_out =
        !is_active && orders::of_cart(tx, run.cart_id)?.is_none() && quoted::end(tx, context.now, run.cart_id)?;
    if left_out {
        store::end_run(tx, context.now, &RecurringRun { state: RunState::Skipped, ..run.clone() })?;
        return Ok(false);
    }
    let line = |(place, line): (u8, &RecurringLine)| {
        // Of a date's line there is one cart line, whenever it is made.
        let mut id = *run.cart_id.bytes();
        id.iter_mut().rev().take(1).for_each(|last| *last ^= place);
        (CartLineId::from_bytes(id), line.sku.clone(), line.quantity, None)
    };
    let to = one.to.clone();
    let cart = Quoted {
        id: run.cart_id,
        quote: None,
        until: context.now.plus_seconds(86_400 * CART_DAYS),
        customer: Some(one.customer_id),
        currency: to.currency,
        lines: (0u8..=u8::MAX).zip(&one.lines).map(line).collect(),
        email: to.email,
        shipping_address: to.shipping_address,
        billing_address: to.billing_address,
        shipping_method: to.shipping_method,
        purchase_order: to.purchase_order,
        store_credit: false,
        free_shipping: false,
        awaits_return: false,
    };
    quoted::make(tx, context, &cart).map(|()| true)
}

/// The most lines of a recurring order.
const MOST_LINES: usize = 250;

/// Notes what came of a date, and tells of it.
///
/// # Errors
/// What the database says.
pub(super) fn end(
    tx: &mut Tx,
    now: Instant,
    event: EventId,
    (id, run): (RecurringId, &RecurringRun),
    outcome: Result<OrderId, String>,
) -> Result<()> {
    let (state, order_id, failure, kind) = match outcome {
        Ok(order) => (RunState::Ordered, Some(order), None, told::ORDERED),
        Err(why) => (RunState::Failed, None, Some(why), told::FAILED),
    };
    let ended = RecurringRun { state, order_id, failure, ..run.clone() };
    let known = store::lock(tx, id)?.ok_or_else(unknown)?;
    if !store::end_run(tx, now, &ended)? {
        return Ok(());
    }
    if state == RunState::Failed {
        // Nothing comes of its cart, and nobody is asked to come back to it.
        quoted::end(tx, now, run.cart_id)?;
    }
    // An event of an aggregate is of a version of its own.
    let one = save(tx, now, known)?;
    told::tell(tx, now, event, kind, (&one, &ended))
}

/// The recurring orders of a customer behind one of them, in the order of their ids: for who gets everything that is kept of them.
///
/// # Errors
/// What the database says.
pub fn of_customer(
    tx: &mut Tx,
    customer: CustomerId,
    after: Option<RecurringId>,
    limit: i64,
) -> Result<Vec<RecurringOrder>> {
    store::of_customer_after(tx, customer, after, limit)
}

/// Ends the recurring orders of a customer who is erased, and erases whom they go to.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, now: Instant, customer: CustomerId) -> Result<()> {
    for one in store::of_customer(tx, customer)? {
        let to = Details {
            email: None,
            shipping_address: None,
            billing_address: None,
            purchase_order: None,
            ..one.to.clone()
        };
        save(tx, now, RecurringOrder { to, state: RecurringState::Cancelled, ..one })?;
    }
    Ok(())
}
