//! Money that was to go onto a gift card or store credit while a bank had it: it is kept what for, so that it goes there once a dispute is won, and
//! nowhere else.

use super::{
    store::{self, Awaited},
    targets,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{ids::Draw, money, returns},
    kernel::{
        Actor, Instant, Money,
        ids::{OrderId, ReturnId, StoredValueId},
    },
    orders::OrderDocument,
    payments::{
        self, Account, Payment, Target,
        disputes::{self, DisputeState},
    },
    stored_value,
};

/// Why money goes back then.
const REASON: &str = "a dispute has ended";

/// Notes what could not be given yet, in minor units, because so much of an order's payments is disputed.
pub(super) fn note(
    tx: &mut Tx,
    now: Instant,
    order: &OrderDocument,
    draw: &mut Draw<'_>,
    (target, onto, missing): (Target, StoredValueId, i64),
    known: &[Payment],
) -> Result<()> {
    let disputed: i64 = known.iter().map(|payment| payment.disputed.minor()).sum();
    let amount = missing.min(disputed - store::awaited_sum(tx, order.id)?);
    if amount <= 0 {
        return Ok(());
    }
    let new =
        Awaited { id: draw.next(), target, onto, return_id: None, left: Money::from_minor(amount, order.currency) };
    store::insert_awaited(tx, now, order.id, &new)
}

/// How much of what is owed to the customer waits to go elsewhere than it came from, in minor units. A statement only where something of the
/// payments is disputed.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn waiting(tx: &mut Tx, order: OrderId, known: &[Payment]) -> Result<i64> {
    match known.iter().any(|payment| payment.disputed.minor() > 0) {
        true => store::awaited_sum(tx, order),
        false => Ok(0),
    }
}

/// Notes of which return of an order it is what was noted at an instant and is of none yet.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn of_return(tx: &mut Tx, now: Instant, about: (OrderId, ReturnId)) -> Result<()> {
    store::awaited_of_return(tx, now, about)
}

/// Gives what waits, as far as it was taken and is not disputed any more; call it when a dispute of a locked order has ended, before anything else
/// is given back. Where no dispute is open any more, nothing waits: what is lost has been given back by the bank.
///
/// # Errors
/// What the database says.
pub(super) fn settle(
    tx: &mut Tx,
    at: (Instant, Instant),
    actor: &Actor,
    order: &mut OrderDocument,
    draw: &mut Draw<'_>,
) -> Result<()> {
    for one in store::awaited(tx, order.id)? {
        let known = payments::of_order(tx, order.id)?;
        let pending: i64 =
            known.iter().map(|payment| payment.refund_pending.minor() - payment.capture_pending.minor()).sum();
        let owed = -(money::balance_of(tx, order.id, Account::Receivable)? + pending);
        let parts = targets::spread(&known, one.left.minor().min(owed)).0;
        let given: i64 = parts.iter().map(|(_, amount)| amount).sum();
        if given == 0 {
            continue;
        }
        if !is_good(tx, at.0, order, &one)? {
            store::drop_awaited(tx, one.id)?;
            continue;
        }
        targets::give_onto(tx, at, actor, order, draw, (one.target, one.onto, REASON), &parts)?;
        if !store::awaited_given(tx, one.id, given)? {
            return Err(Error::internal("more is given than has waited"));
        }
        if let Some(id) = one.return_id.filter(|_| one.target == Target::StoreCredit) {
            returns::add_credit(tx, id, Money::from_minor(given, order.currency))?;
        }
    }
    end_idle(tx, order.id)
}

/// Whether the customer could pay with what it is to go onto. What they could not goes back the way it came.
fn is_good(tx: &mut Tx, now: Instant, order: &OrderDocument, one: &Awaited) -> Result<bool> {
    if one.target != Target::GiftCard {
        return Ok(true);
    }
    match stored_value::card_for(tx, now, one.onto, (order.currency, order.customer_id)) {
        Err(error) if matches!(error.code(), Code::NotFound | Code::GiftCardRefused) => Ok(false),
        good => good.map(|()| true),
    }
}

/// Where no dispute is open any more, nothing waits.
fn end_idle(tx: &mut Tx, order: OrderId) -> Result<()> {
    let open = disputes::of_order(tx, order)?.iter().any(|one| one.state == DisputeState::Open);
    if open { Ok(()) } else { store::end_awaited(tx, order) }
}
