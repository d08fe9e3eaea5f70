//! Commands and queries on stored values. All of them are part of the caller's transaction.
//!
//! A value is changed by one guarded update that a CHECK backs: no more is set aside than it is worth. Every change is written down
//! under a key of its own, so a repeated one is found and not made twice.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

// What is asked for as it stands in the tables.
pub(super) use super::store::{Filter, entries, page};
use super::{
    model::{
        Adjustment, Credit, Entry, EntryKind, NewGiftCard, Part, StoredValue, ValueChange, ValueKind, ValueState,
        ValueSum, above_zero,
    },
    store::{self, Hold, Move},
    told,
};
use crate::{
    countersign::{self, Ceilinged, Giving},
    customers,
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    http::State,
    jobs::Runner,
    kernel::{
        Actor, Currency, Instant, Money,
        ids::{CartId, CustomerId, PaymentId, StoredValueEntryId, StoredValueId},
        text::Text,
    },
    pricing::promotions::code,
};

/// The shortest code that is taken from outside: what is shorter could be found by trying.
const SHORTEST: usize = 16;
/// So many characters of a code are drawn: some 94 bits.
const DRAWN: usize = 19;

/// Who does something, and when.
pub type By<'a> = (Instant, &'a Actor);

/// A fresh code, in groups of four.
#[must_use]
pub fn fresh_code() -> String {
    let code = code::draw("", DRAWN, &mut rand::rng());
    let groups: Vec<String> = code.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group).into()).collect();
    groups.join("-")
}

/// What a code is looked up by. The code itself is not kept: whoever has it can pay.
pub(super) fn hash(code: &str) -> String {
    Sha256::digest(code).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Issues a gift card. `fresh` is what its code is where the request names none.
///
/// # Errors
/// `invalid_value`, `duplicate` for a code that is taken, `ceiling_exceeded`, `not_found` for the customer.
pub(super) fn issue(
    tx: &mut Tx,
    (now, actor): By<'_>,
    (id, entry): (StoredValueId, StoredValueEntryId),
    new: &NewGiftCard,
    fresh: &str,
) -> Result<StoredValue> {
    let amount = above_zero(new.amount)?;
    within_ceiling(actor, amount)?;
    alone(tx, (now, actor), new.amount).map_err(|error| match error.code() {
        Code::SecondPersonNeeded => {
            let detail = "nobody would be told the code of a card that is issued later: issue it for less, and adjust it by the rest";
            Error::problem(Code::SecondPersonNeeded, detail).at("/amount")
        }
        _ => error,
    })?;
    if new.expires_at.is_some_and(|until| until <= now) {
        return Err(Error::invalid("/expires_at", "expected an instant in the future: nobody could pay with it"));
    }
    let short = || Error::invalid("/code", format!("expected {SHORTEST} to {} ASCII letters and digits", code::MAX));
    let typed = code::normalised(new.code.as_deref().unwrap_or(fresh)).ok_or_else(short)?;
    let end = typed.len().checked_sub(4).filter(|_| typed.len() >= SHORTEST).and_then(|at| typed.get(at..));
    if let Some(customer) = new.customer_id {
        customers::hold(tx, customer).map_err(|error| error.at("/customer_id"))?;
    }
    let value = StoredValue {
        kind: ValueKind::GiftCard,
        balance: new.amount,
        available: new.amount,
        code_end: Some(end.ok_or_else(short)?.to_owned()),
        customer_id: new.customer_id,
        expires_at: new.expires_at,
        note: new.note.clone().map(Text::into_string),
        ..blank(now, id, new.amount.currency())
    };
    let taken = || Error::problem(Code::Duplicate, "there is a gift card with this code already").at("/code");
    let inserted = store::insert(tx, &value, Some(&hash(&typed)));
    on_duplicate(inserted.map(|_| ()), taken).map_err(|error| match error.code() {
        Code::Duplicate => taken(),
        _ => error,
    })?;
    let issued = Booking::of(EntryKind::Issue, format!("issue:{id}"), value.note.clone());
    write_down(
        tx,
        (now, actor),
        std::slice::from_ref(&value),
        vec![(entry, Move { value: id, amount, held: 0 }, None, issued)],
    )?;
    Ok(value)
}

/// A value that is worth nothing.
pub(super) fn blank(now: Instant, id: StoredValueId, currency: Currency) -> StoredValue {
    let zero = Money::zero(currency);
    StoredValue {
        id,
        kind: ValueKind::StoreCredit,
        state: ValueState::Active,
        balance: zero,
        held: zero,
        available: zero,
        code_end: None,
        customer_id: None,
        expires_at: None,
        note: None,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

/// Gives a customer credit: to what they have in the currency.
///
/// # Errors
/// `invalid_value`, `ceiling_exceeded`, `not_found`.
pub fn credit(
    tx: &mut Tx,
    (now, actor): By<'_>,
    (fresh, entry): (StoredValueId, StoredValueEntryId),
    customer: CustomerId,
    credit: &Credit,
) -> Result<StoredValue> {
    let (amount, currency) = (above_zero(credit.amount)?, credit.amount.currency());
    within_ceiling(actor, amount)?;
    alone(tx, (now, actor), credit.amount)?;
    customers::hold(tx, customer)?;
    store::insert(tx, &StoredValue { customer_id: Some(customer), ..blank(now, fresh, currency) }, None)?;
    let gone = || Error::internal("a store credit is not there that was made a moment ago");
    let value = store::credit(tx, customer, currency)?.ok_or_else(gone)?.id;
    let booking = Booking::of(EntryKind::Issue, format!("credit:{entry}"), Some(credit.reason.to_string()));
    change_one(tx, (now, actor), entry, Move { value, amount, held: 0 }, booking)
}

/// Puts an amount on a value, or takes it off.
///
/// # Errors
/// `not_found`, `invalid_value`, `ceiling_exceeded`; `stored_value_short` where less is there and not set aside.
pub(super) fn adjust(
    tx: &mut Tx,
    (now, actor): By<'_>,
    entry: StoredValueEntryId,
    id: StoredValueId,
    what: &Adjustment,
) -> Result<StoredValue> {
    let known = read(tx, id)?;
    let (amount, currency) = (what.amount.minor(), known.balance.currency());
    if what.amount.currency() != currency {
        return Err(Error::invalid("/amount/currency", format!("it is in {currency}")));
    }
    if amount == 0 {
        return Err(Error::invalid("/amount/amount", "expected an amount other than zero"));
    }
    within_ceiling(actor, amount.abs())?;
    alone(tx, (now, actor), what.amount)?;
    let booking = Booking::of(EntryKind::Adjust, format!("adjust:{entry}"), Some(what.reason.to_string()));
    change_one(tx, (now, actor), entry, Move { value: id, amount, held: 0 }, booking)
        .map_err(|error| error.at("/amount"))
}

/// That one person gives so much alone, with what else they have given today. What is taken off gives nothing.
fn alone(tx: &mut Tx, (now, actor): By<'_>, amount: Money) -> Result<()> {
    let of = Some(countersign::day_of(now, actor));
    let giving = Giving { kind: Ceilinged::StoredValue, channel: None, of, amount };
    countersign::pass(tx, (now, actor), &giving).map_err(|error| error.at("/amount"))
}

fn within_ceiling(actor: &Actor, minor: i64) -> Result<()> {
    match actor.within_ceiling(minor) {
        true => Ok(()),
        false => {
            let detail = "the amount is above what this credential may move";
            Err(Error::problem(Code::CeilingExceeded, detail).at("/amount"))
        }
    }
}

/// Blocks a value or lets it go, changes its end or its note. `expected` is the version that the caller has seen.
///
/// # Errors
/// `not_found`, `version_stale`.
pub(super) fn change(
    tx: &mut Tx,
    (now, actor): By<'_>,
    fresh: StoredValueEntryId,
    id: StoredValueId,
    expected: Option<i64>,
    change: &ValueChange,
) -> Result<StoredValue> {
    let known = read(tx, id)?;
    if expected.is_some_and(|seen| seen != known.version) {
        return Err(Error::stale("stored value", known.version));
    }
    let mut changed = change.on(&known);
    if changed == known {
        return Ok(known);
    }
    (changed.version, changed.updated_at) = (known.version + 1, now);
    if !store::update(tx, &changed, known.version)? {
        return Err(Error::overtaken("the stored value"));
    }
    told::updated(tx, now, actor, fresh, &changed)?;
    Ok(changed)
}

/// A value by its id.
///
/// # Errors
/// `not_found`.
pub(super) fn read(tx: &mut Tx, id: StoredValueId) -> Result<StoredValue> {
    store::find(tx, id)?.ok_or_else(|| Error::not_found("gift card or store credit"))
}

/// The gift card of a code as it was typed.
///
/// # Errors
/// `gift_card_unknown`.
pub fn named(tx: &mut Tx, typed: &str) -> Result<StoredValue> {
    let found = match code::normalised(typed) {
        Some(code) => store::by_code(tx, &hash(&code))?,
        None => None,
    };
    found.ok_or_else(|| Error::problem(Code::GiftCardUnknown, "there is no such gift card").at("/code"))
}

/// What can be paid at this moment with the gift card of a code, and the card.
///
/// # Errors
/// `gift_card_unknown`.
pub(super) fn payable(tx: &mut Tx, now: Instant, typed: &str) -> Result<(StoredValue, Money)> {
    let card = named(tx, typed)?;
    let wanted = Wanted { cards: &[card.id], credit_of: None };
    // What others have set aside and is due counts as free.
    let card = usable(tx, now, wanted, card.balance.currency())?.pop().unwrap_or(card);
    let payable = card.can_pay(now);
    Ok((card, payable))
}

/// What a customer can pay with at this moment, of each currency in which they have a store credit.
///
/// # Errors
/// What the database says.
pub(super) fn payable_credits(tx: &mut Tx, now: Instant, customer: CustomerId) -> Result<Vec<Money>> {
    Ok(store::usable_credits(tx, now, customer)?.iter().map(|credit| credit.can_pay(now)).collect())
}

/// What a cart is to be paid with before its payment method.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Gift cards, in the order in which they pay.
    pub cards: &'a [StoredValueId],
    /// Whose store credit pays the rest.
    pub credit_of: Option<CustomerId>,
}

/// What there is of it for a cart in a currency, in the order in which it pays: one statement, none where nothing is wanted.
///
/// # Errors
/// What the database says.
pub fn usable(tx: &mut Tx, now: Instant, wanted: Wanted<'_>, currency: Currency) -> Result<Vec<StoredValue>> {
    if wanted.cards.is_empty() && wanted.credit_of.is_none() {
        return Ok(Vec::new());
    }
    let credit_of = wanted.credit_of.map(|customer| (customer, currency));
    let mut found = store::wanted(tx, now, wanted.cards, credit_of)?;
    let place = |value: &StoredValue| wanted.cards.iter().position(|card| *card == value.id).unwrap_or(usize::MAX);
    found.sort_by_key(place);
    Ok(found)
}

/// What is written down of a change.
pub(super) struct Booking {
    kind: EntryKind,
    our_key: String,
    reason: Option<String>,
}

impl Booking {
    pub(super) const fn of(kind: EntryKind, our_key: String, reason: Option<String>) -> Self {
        Self { kind, our_key, reason }
    }
}

/// Changes one value by somebody's word.
fn change_one(tx: &mut Tx, by: By<'_>, entry: StoredValueEntryId, step: Move, booking: Booking) -> Result<StoredValue> {
    let after = store::apply(tx, by.0, &[step], false)?.pop().ok_or_else(too_little)?;
    write_down(tx, by, std::slice::from_ref(&after), vec![(entry, step, None, booking)])?;
    Ok(after)
}

pub(super) fn too_little() -> Error {
    let detail = "there is less on a gift card or store credit than is asked for, or it can not be used any more";
    Error::problem(Code::StoredValueShort, detail)
}

/// Writes changes down that have been made, and tells the log of them. `after` are the values as they are now.
pub(super) fn write_down(
    tx: &mut Tx,
    (now, actor): By<'_>,
    after: &[StoredValue],
    changes: Vec<(StoredValueEntryId, Move, Option<PaymentId>, Booking)>,
) -> Result<()> {
    let mut written = Vec::with_capacity(changes.len());
    for (id, step, payment_id, booking) in changes {
        let value = after.iter().find(|value| value.id == step.value);
        let value = value.ok_or_else(|| Error::internal("a stored value was changed that is not there"))?;
        let money = |minor| Money::from_minor(minor, value.balance.currency());
        let entry = Entry {
            id,
            stored_value_id: value.id,
            kind: booking.kind,
            amount: money(step.amount),
            held: money(step.held),
            balance_after: value.balance,
            version: value.version,
            payment_id,
            actor: actor.label(),
            reason: booking.reason,
            created_at: now,
        };
        written.push((value, booking.our_key, entry));
    }
    let entries: Vec<(String, Entry)> = written.iter().map(|(_, key, entry)| (key.clone(), entry.clone())).collect();
    store::insert_entries(tx, &entries)?;
    let told: Vec<(&StoredValue, &Entry)> = written.iter().map(|(value, _, entry)| (*value, entry)).collect();
    told::booked(tx, now, actor, &told)
}

/// The id of a change that follows from another: the same in a second run of the transaction.
pub(super) fn entry_id(now: Instant, our_key: &str) -> StoredValueEntryId {
    let millis = (now.micros() / 1000).to_be_bytes();
    let mut id = [0; 16];
    id.iter_mut().zip(millis.into_iter().skip(2).chain(Sha256::digest(our_key))).for_each(|(to, from)| *to = from);
    StoredValueEntryId::from_bytes(id)
}

/// Changes of what is set aside for payments: each value once, each payment an entry.
fn set_aside(tx: &mut Tx, by: By<'_>, holds: &[Hold], kind: EntryKind, paid: bool) -> Result<bool> {
    let sign = if kind == EntryKind::Hold { 1 } else { -1 };
    let mut sums: BTreeMap<StoredValueId, i64> = BTreeMap::new();
    for hold in holds {
        *sums.entry(hold.value).or_default() += sign * hold.amount;
    }
    let moves: Vec<Move> = sums.into_iter().map(|(value, held)| Move { value, amount: 0, held }).collect();
    let after = store::apply(tx, by.0, &moves, paid)?;
    if after.is_empty() {
        return Ok(false);
    }
    let changes = holds.iter().map(|hold| {
        // One payment may set aside, lose and set aside again.
        let our_key = format!("{kind}:{}:{}", hold.payment, by.0.micros());
        let step = Move { value: hold.value, amount: 0, held: sign * hold.amount };
        (entry_id(by.0, &our_key), step, Some(hold.payment), Booking::of(kind, our_key, None))
    });
    write_down(tx, by, &after, changes.collect())?;
    Ok(true)
}

/// Sets aside what stored values pay of a cart, until then.
///
/// # Errors
/// `stored_value_short` when one has too little by now, is blocked or has expired: nothing is set aside then.
pub fn hold(tx: &mut Tx, by: By<'_>, cart: CartId, parts: &[Part], until: Instant) -> Result<()> {
    if parts.is_empty() {
        return Ok(());
    }
    let hold = |part: &Part| Hold { payment: part.payment, value: part.value, amount: part.amount };
    let holds: Vec<Hold> = parts.iter().map(hold).collect();
    if !set_aside(tx, by, &holds, EntryKind::Hold, true)? {
        // Nothing is withheld by what has expired.
        let due = store::drop_due(tx, by.0, Some(parts), i64::MAX)?;
        give_back(tx, by, &due)?;
        if due.is_empty() || !set_aside(tx, by, &holds, EntryKind::Hold, true)? {
            return Err(too_little());
        }
    }
    store::insert_holds(tx, by.0, cart, parts, until)
}

/// Makes sure that a cart still has set aside what pays it: what has expired since is taken again.
///
/// # Errors
/// As [`hold`].
pub fn confirm(tx: &mut Tx, by: By<'_>, cart: CartId, parts: &[Part], until: Instant) -> Result<()> {
    if parts.is_empty() {
        return Ok(());
    }
    let held = store::held_for(tx, cart)?;
    let missing: Vec<Part> = parts.iter().filter(|part| !held.contains(&part.payment)).copied().collect();
    hold(tx, by, cart, &missing, until)
}

/// What a cart has set aside is its order's from now on: each part a payment of the part's id.
///
/// # Errors
/// An internal error where something is not set aside.
pub fn consume(tx: &mut Tx, cart: CartId, parts: &[Part]) -> Result<()> {
    if parts.is_empty() {
        return Ok(());
    }
    let taken = store::drop_of_cart(tx, cart)?;
    let held = |part: &Part| taken.iter().any(|hold| (hold.payment, hold.amount) == (part.payment, part.amount));
    match taken.len() == parts.len() && parts.iter().all(held) {
        true => Ok(()),
        false => Err(Error::internal("an order is paid with what its cart has not set aside")),
    }
}

/// Lets what a cart has set aside hold until then.
///
/// # Errors
/// What the database says.
pub fn extend(tx: &mut Tx, cart: CartId, until: Instant) -> Result<()> {
    store::extend(tx, cart, until)
}

/// Gives back what a cart has set aside. Nothing happens when that is nothing.
///
/// # Errors
/// What the database says.
pub fn release(tx: &mut Tx, by: By<'_>, cart: CartId) -> Result<()> {
    let dropped = store::drop_of_cart(tx, cart)?;
    give_back(tx, by, &dropped)
}

fn give_back(tx: &mut Tx, by: By<'_>, holds: &[Hold]) -> Result<()> {
    if holds.is_empty() || set_aside(tx, by, holds, EntryKind::Release, false)? {
        return Ok(());
    }
    Err(Error::internal("a stored value has less set aside than carts say"))
}

/// Ends what is due, up to `limit` of it; how much there was.
fn expire_due(tx: &mut Tx, now: Instant, limit: i64) -> Result<usize> {
    let due = store::drop_due(tx, now, None, limit)?;
    give_back(tx, (now, &Actor::System("payments")), &due)?;
    Ok(due.len())
}

/// What is done with an order's payment: which value, for which payment, how much in minor units, under which key.
#[derive(Debug, Clone, Copy)]
pub struct Doing<'a> {
    /// The value.
    pub value: StoredValueId,
    /// The payment.
    pub payment: PaymentId,
    /// How much.
    pub amount: i64,
    /// Doing it twice under one key is doing it once.
    pub our_key: &'a str,
}

/// Takes what was set aside for a payment.
///
/// # Errors
/// `stored_value_short`, which would be a defect.
pub fn capture(tx: &mut Tx, by: By<'_>, what: Doing<'_>) -> Result<()> {
    once(tx, by, what, EntryKind::Redeem, (-what.amount, -what.amount))
}

/// Lets go what was set aside for a payment.
///
/// # Errors
/// As [`capture`].
pub fn release_payment(tx: &mut Tx, by: By<'_>, what: Doing<'_>) -> Result<()> {
    once(tx, by, what, EntryKind::Release, (0, -what.amount))
}

/// Puts taken money back, whether the value is blocked or has expired; no more than was taken for the payment.
///
/// # Errors
/// As [`capture`].
pub fn refund(tx: &mut Tx, by: By<'_>, what: Doing<'_>) -> Result<()> {
    once(tx, by, what, EntryKind::Refund, (what.amount, 0))
}

fn once(tx: &mut Tx, by: By<'_>, what: Doing<'_>, kind: EntryKind, (amount, held): (i64, i64)) -> Result<()> {
    let our_key = format!("{kind}:{}", what.our_key);
    if store::is_known(tx, &our_key)? {
        return Ok(());
    }
    let step = Move { value: what.value, amount, held };
    let after = store::apply(tx, by.0, &[step], false)?;
    if after.is_empty() {
        return Err(too_little());
    }
    // The value is locked by now, so nothing else is booked for the payment beside this.
    let (taken, aside) = store::of_payment(tx, what.payment)?;
    if amount > taken || held + aside < 0 {
        return Err(too_little());
    }
    let entry = entry_id(by.0, &our_key);
    write_down(tx, by, &after, vec![(entry, step, Some(what.payment), Booking::of(kind, our_key, None))])
}

/// Whether what an operation on a payment was to do is booked: taken, let go or put back under its key.
///
/// # Errors
/// What the database says.
pub fn is_booked(tx: &mut Tx, our_key: &str) -> Result<bool> {
    let kinds = [EntryKind::Redeem, EntryKind::Release, EntryKind::Refund];
    store::is_any_known(tx, &kinds.map(|kind| format!("{kind}:{our_key}")))
}

/// Erases what staff have noted of a customer's stored values. What these are worth stays.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, customer: CustomerId) -> Result<()> {
    store::erase(tx, customer)
}

/// Up to so many gift cards and credits of a customer, the newest first: one statement.
///
/// # Errors
/// What the database says.
pub fn of_customer(tx: &mut Tx, customer: CustomerId, limit: i64) -> Result<Vec<StoredValue>> {
    let filter = store::Filter { customer: Some(customer), ..store::Filter::default() };
    store::page(tx, &filter, None, limit)
}

/// What a customer can pay with, by kind and currency: one statement, however many gift cards they have.
///
/// # Errors
/// What the database says.
pub fn balances_of(tx: &mut Tx, now: Instant, customer: CustomerId) -> Result<Vec<ValueSum>> {
    store::balances_of(tx, now, customer)
}

/// Up to so many gift cards whose codes end so, the newest first: one statement.
///
/// # Errors
/// What the database says.
pub fn ending_in(tx: &mut Tx, end: &str, limit: i64) -> Result<Vec<StoredValue>> {
    store::ending_in(tx, end, limit)
}

/// Registers what is done beside requests: what carts have set aside and left is free again.
pub fn work(state: &State, runner: &mut Runner) {
    super::second::register(state, runner);
    let state = state.clone();
    runner.every("stored-value.expire", 60, move |now| {
        let state = state.clone();
        async move {
            while state.db.write_in(crate::db::Lane::Bulk, move |tx| expire_due(tx, now, 100)).await? == 100 {}
            Ok(())
        }
    });
}
