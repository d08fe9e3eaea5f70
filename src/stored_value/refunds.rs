//! Money of orders that goes back onto gift cards and store credit though it did not come from there. Part of the service.

use super::{
    model::{EntryKind, StoredValue, ValueKind},
    service::{Booking, By, Doing, blank, entry_id, hash, too_little, write_down},
    store::{self, Move},
};
use crate::{
    customers,
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    kernel::{
        Currency, Instant, Money,
        ids::{CustomerId, StoredValueId},
    },
    pricing::promotions::code,
};

/// Makes a gift card that is worth nothing yet, with a code that [`super::fresh_code`] has given.
///
/// # Errors
/// `duplicate` for a code that is taken.
pub fn empty_card(
    tx: &mut Tx,
    now: Instant,
    id: StoredValueId,
    (currency, customer): (Currency, Option<CustomerId>),
    fresh: &str,
) -> Result<()> {
    let typed = code::normalised(fresh).ok_or_else(|| Error::internal("a code that was drawn is none"))?;
    let end = typed.len().checked_sub(4).and_then(|at| typed.get(at..)).map(str::to_owned);
    let card =
        StoredValue { kind: ValueKind::GiftCard, code_end: end, customer_id: customer, ..blank(now, id, currency) };
    let taken = || Error::problem(Code::Duplicate, "there is a gift card with this code already");
    on_duplicate(store::insert(tx, &card, Some(&hash(&typed))).map(|_| ()), taken)
}

/// A gift card that money of a customer's order can go onto: in the currency, of them or of nobody, and good still.
///
/// # Errors
/// `not_found`, also for another customer's; `gift_card_refused` where nobody could pay with it.
pub fn card_for(
    tx: &mut Tx,
    now: Instant,
    id: StoredValueId,
    (currency, customer): (Currency, Option<CustomerId>),
) -> Result<()> {
    let theirs = |card: &StoredValue| {
        card.kind == ValueKind::GiftCard && (card.customer_id.is_none() || card.customer_id == customer)
    };
    let card = store::find(tx, id)?.filter(theirs).ok_or_else(|| Error::not_found("gift card of the customer"))?;
    match card.payable(now, currency) {
        Ok(_) | Err(super::Refusal::Empty) => Ok(()),
        Err(why) => Err(Error::problem(Code::GiftCardRefused, format!("nothing can go onto the card: {}", why.text()))),
    }
}

/// The store credit of a customer in a currency, made where there is none.
///
/// # Errors
/// `not_found` for the customer.
pub fn credit_for(
    tx: &mut Tx,
    now: Instant,
    fresh: StoredValueId,
    (currency, customer): (Currency, CustomerId),
) -> Result<StoredValueId> {
    customers::hold(tx, customer)?;
    store::insert(tx, &StoredValue { customer_id: Some(customer), ..blank(now, fresh, currency) }, None)?;
    let gone = || Error::internal("a store credit is not there that was made a moment ago");
    Ok(store::credit(tx, customer, currency)?.ok_or_else(gone)?.id)
}

/// Puts money of a payment that was given back onto a value, whatever that had paid: once under its key. That no more is given back than
/// was taken, the payment's own counters guard, in the same transaction.
///
/// # Errors
/// `stored_value_short` never but for an overflow.
pub fn put(tx: &mut Tx, by: By<'_>, what: Doing<'_>) -> Result<()> {
    let our_key = format!("{}:{}", EntryKind::Refund, what.our_key);
    if store::is_known(tx, &our_key)? {
        return Ok(());
    }
    let step = Move { value: what.value, amount: what.amount, held: 0 };
    let after = store::apply(tx, by.0, &[step], false)?;
    if after.is_empty() {
        return Err(too_little());
    }
    let entry = entry_id(by.0, &our_key);
    write_down(tx, by, &after, vec![(entry, step, Some(what.payment), Booking::of(EntryKind::Refund, our_key, None))])
}

/// What is on a value, without what is set aside of it; `None` where it is not there.
///
/// # Errors
/// What the database says.
pub fn balance(tx: &mut Tx, id: StoredValueId) -> Result<Option<Money>> {
    Ok(store::find(tx, id)?
        .map(|value| Money::from_minor(value.balance.minor() - value.held.minor(), value.balance.currency())))
}

/// Whether there is such a value.
///
/// # Errors
/// What the database says.
pub fn is_there(tx: &mut Tx, id: StoredValueId) -> Result<bool> {
    Ok(store::find(tx, id)?.is_some())
}
