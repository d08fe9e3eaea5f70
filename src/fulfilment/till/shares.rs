//! What of an order's money goes over to the order that is split off: which payments give how much, and doing it. What has left the first order
//! stays paid; of the rest the second gets its share: promises before what was taken, and what nobody has promised or paid is to be paid by hand
//! as before.

use std::collections::BTreeMap;

use super::service::reread;
use crate::{
    credit::{self, ON_ACCOUNT},
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{
        Fresh,
        money::{self, Settling, in_turn},
    },
    kernel::{
        Actor, Id, Instant, Money,
        ids::{CartId, CreditEntryId, OrderId, PaymentId, StoredValueId},
    },
    orders::{self, OrderDocument},
    payments::{
        self, Account, MANUAL, NewPayment, Payment, PaymentDetails, PaymentState, PaymentView, Posting, is_by_hand,
        ledger, renewals,
        requests::{self, PaymentRequestState},
        shares::{self, Share},
    },
    stored_value::{self, GIFT_CARD, STORE_CREDIT},
};

/// What goes over, with the ids of the payments that it becomes.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    shares: Vec<(PaymentId, Share)>,
    /// What is to be paid by hand beside that: also of an order that costs nothing.
    by_hand: Option<NewPayment>,
}

/// What is to be divided, in minor units.
#[derive(Debug, Clone, Copy)]
struct Sums {
    /// What the second order costs.
    cost: i64,
    /// What the first owes in all, before.
    due: i64,
    /// What of that has left, or is due whatever leaves.
    earned: i64,
    /// What the customer owes of it by the ledger, promised or not: what was given back out of goodwill is not owed again.
    owed: i64,
}

/// What each payment gives: first what providers promise, then what was taken, then what is to be paid by hand; and what nobody gives.
fn plan(payments: &[Payment], sums: Sums, now: Instant) -> (Vec<Share>, i64) {
    let promise = |one: &Payment| match is_by_hand(&one.provider) || one.has_expired(now) {
        true => 0,
        false => one.capturable().minor(),
    };
    let short = (sums.owed - payments.iter().map(promise).sum::<i64>()).max(0);
    let open = (sums.due - sums.earned).max(0);
    let free = (open - short).max(0);
    // Where not all is covered, each order has its share of what there is.
    let own = match free < open {
        true => i64::try_from(i128::from(sums.cost) * i128::from(free) / i128::from(open.max(1))).unwrap_or(0),
        false => sums.cost,
    };
    let (mut money, turn) = (own.min(sums.cost), in_turn(payments));
    let mut shares: Vec<Share> =
        turn.into_iter().rev().map(|of| Share { of: of.clone(), promised: 0, captured: 0 }).collect();
    let mut rest = sums.cost;
    for one in &mut shares {
        one.promised = promise(&one.of).min(money);
        (money, rest) = (money - one.promised, rest - one.promised);
    }
    for one in &mut shares {
        one.captured = one.of.refundable().minor().min(money);
        (money, rest) = (money - one.captured, rest - one.captured);
    }
    for one in shares.iter_mut().filter(|one| is_by_hand(&one.of.provider)) {
        one.promised = one.of.capturable().minor().min(rest);
        rest -= one.promised;
    }
    shares.retain(|one| one.promised + one.captured > 0);
    (shares, rest)
}

/// Works out what of a locked order's money goes over to a second one of so much.
///
/// # Errors
/// `state_conflict` while money of it is on its way, or its promise is asked for anew; `payment_indivisible` where its provider does not let
/// two orders take their parts of one promise.
pub fn to_carry(
    tx: &mut Tx,
    now: Instant,
    order: &OrderDocument,
    (second, amount): (OrderId, Money),
    ids: &[PaymentId],
) -> Result<Carried> {
    let known = payments::of_order(tx, order.id)?;
    let owed = money::owed(tx, order)?;
    let sums = Sums { cost: amount.minor(), due: order.money().due, earned: money::earned_of(order), owed };
    still(tx, order.id, &known)?;
    let (shares, rest) = plan(&known, sums, now);
    if rest > 0 {
        whole(&known, now)?;
    }
    for one in shares.iter().filter(|one| one.promised > 0 && !is_by_hand(&one.of.provider)) {
        if !shares::is_divisible(&one.of.provider) {
            let detail = format!(
                "what {} has promised is promised for one capture: ship and capture first, or take the pieces off by an amendment and \
                 order them anew",
                one.of.provider
            );
            return Err(Error::problem(Code::PaymentIndivisible, detail).with("payment", one.of.id.to_string()));
        }
    }
    if shares.len() >= ids.len() {
        return Err(Error::conflict("its money comes from too many payments: split less off at once"));
    }
    // It is waited for as long as the first one's.
    let due_at = known.iter().find_map(|one| one.due_at.filter(|_| one.provider == MANUAL));
    let by_hand = (rest > 0 || shares.is_empty()).then(|| NewPayment {
        id: ids.last().copied().unwrap_or_default(),
        cart: CartId::from_bytes(*second.bytes()),
        order: Some(second),
        provider: MANUAL.to_owned(),
        our_key: format!("split:{second}"),
        amount: Money::from_minor(rest, order.currency),
        state: PaymentState::Authorised,
        provider_ref: None,
        lease_until: None,
        idempotency_id: None,
        details: PaymentDetails::default(),
        expires_at: None,
        due_at,
    });
    Ok(Carried { shares: ids.iter().copied().zip(shares).collect(), by_hand })
}

/// That no money of an order is on its way, nor about to be.
fn still(tx: &mut Tx, order: OrderId, known: &[Payment]) -> Result<()> {
    let paying = requests::of_order(tx, order)?.iter().any(|one| one.state == PaymentRequestState::Paying);
    if paying || known.iter().any(Payment::is_moving) {
        let detail =
            "money of it is being promised, taken, given back or let go at this moment: split it once that has ended";
        return Err(Error::conflict(detail));
    }
    for one in known.iter().filter(|one| !is_by_hand(&one.provider) && one.capturable().minor() > 0) {
        if renewals::of(tx, one.id)?.is_some_and(|known| known.state == renewals::RenewalState::Asked) {
            return Err(Error::conflict("its promise is being asked for anew: split it once that has ended"));
        }
    }
    Ok(())
}

/// That what is left to be paid by hand was so before: no promise of it has ended, and no bank has it.
fn whole(known: &[Payment], now: Instant) -> Result<()> {
    let ended = |one: &Payment| !is_by_hand(&one.provider) && one.has_expired(now) && one.capturable().minor() > 0;
    if known.iter().any(ended) {
        return Err(Error::conflict("its promise has ended: have it paid anew, then split it"));
    }
    if known.iter().any(|one| one.disputed.minor() > 0) {
        return Err(Error::conflict("its money is disputed: take the pieces off by an amendment and order them anew"));
    }
    Ok(())
}

impl Carried {
    /// The payments of the second order, as its document has them.
    #[must_use]
    pub fn views(&self, now: Instant, second: OrderId) -> Vec<PaymentView> {
        let own = self.shares.iter().map(|(id, share)| share.view(now, *id, second));
        own.chain(self.by_hand.iter().map(|new| promise(new, now))).collect()
    }
}

/// A payment by hand as an order's document has it.
fn promise(new: &NewPayment, now: Instant) -> PaymentView {
    let nothing = Money::zero(new.amount.currency());
    PaymentView {
        id: new.id,
        parent: None,
        provider: new.provider.clone(),
        provider_ref: None,
        state: new.state,
        amount: new.amount,
        captured: nothing,
        refunded: nothing,
        voided: nothing,
        disputed: None,
        written_off: None,
        expires_at: None,
        capturable: new.amount,
        refundable: nothing,
        action: None,
        decline: None,
        created_at: now,
        updated_at: now,
    }
}

/// Carries the money over, once the second order is placed and both are booked: each share leaves its payment, what was set aside or lent for it
/// goes with it, and both ledgers have what was taken.
///
/// # Errors
/// What the database says.
pub fn carry(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    (first, second): (&OrderDocument, &OrderDocument),
    carried: &Carried,
) -> Result<()> {
    if let Some(new) = &carried.by_hand {
        payments::open(tx, now, new)?;
    }
    // Gift cards and credit are locked in the order of their ids, as everywhere.
    let mut shares: Vec<&(PaymentId, Share)> = carried.shares.iter().collect();
    shares.sort_by_key(|(_, one)| (one.of.provider == ON_ACCOUNT, value_of(&one.of)));
    for (id, one) in shares {
        shares::share(tx, now, one, *id, second.id)?;
        match one.of.provider.as_str() {
            ON_ACCOUNT => {
                let to = credit::Heir { payment: *id, order: second.id, number: second.number.clone() };
                let entries = [1, 2].map(|place| entry(*id, place));
                credit::share(tx, (now, actor), entries, (one.of.id, &to), (one.promised, one.captured))?;
            }
            GIFT_CARD | STORE_CREDIT => {
                let nothing = || Error::internal("a payment does not say what it is taken from");
                let value = value_of(&one.of).ok_or_else(nothing)?;
                stored_value::share(tx, (now, actor), value, (one.of.id, *id), (one.promised, one.captured))?;
            }
            _ => {}
        }
    }
    let booked = |order: &OrderDocument, other: OrderId, entries: Vec<(Account, i64)>| Posting {
        order: order.id,
        posting: format!("split:{other}"),
        occurred_at: now,
        currency: order.currency,
        entries,
    };
    let come = taken(carried);
    let gone = come.iter().map(|(account, amount)| (*account, -amount)).collect();
    match come.is_empty() {
        true => Ok(()),
        false => ledger::post(tx, now, vec![booked(first, second.id, gone), booked(second, first.id, come)]),
    }
}

/// What the second order's ledger has then of what was taken, by account; nothing where nothing was.
fn taken(carried: &Carried) -> Vec<(Account, i64)> {
    let mut sums: BTreeMap<Account, i64> = BTreeMap::new();
    for (_, one) in carried.shares.iter().filter(|(_, one)| one.captured > 0) {
        *sums.entry(Account::of_stored(&one.of.provider).unwrap_or(Account::Captured)).or_default() += one.captured;
    }
    let all: i64 = sums.values().sum();
    if all > 0 {
        sums.insert(Account::Receivable, -all);
    }
    sums.into_iter().collect()
}

/// The gift card or store credit that a payment is taken from.
fn value_of(payment: &Payment) -> Option<StoredValueId> {
    let stored = [GIFT_CARD, STORE_CREDIT].contains(&payment.provider.as_str());
    payment.provider_ref.as_deref().filter(|_| stored).and_then(|value| value.parse().ok())
}

/// Ids that follow from a payment's, so that a second run of the transaction has the same.
fn entry(payment: PaymentId, place: u8) -> CreditEntryId {
    let mut id = *payment.bytes();
    id.iter_mut().rev().take(1).for_each(|last| *last ^= place);
    Id::from_bytes(id)
}

/// Begins what the money of a locked order asks for after it was split; gives the order with its payments as they are then.
///
/// # Errors
/// What the database says.
pub fn settle_split(tx: &mut Tx, now: Instant, fresh: &Fresh, id: OrderId) -> Result<OrderDocument> {
    let mut order = orders::lock(tx, id)?;
    money::settle_returns(tx, (now, now), &order, &mut fresh.draw(), &Settling::because("split"))?;
    reread(tx, &mut order)?;
    Ok(order)
}

#[cfg(test)]
#[path = "shares_tests.rs"]
mod tests;
