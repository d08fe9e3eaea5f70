//! The money of an order follows its goods: what is captured with a shipment, given back after a cancellation or a
//! return, and let go when nothing is left to capture. Here it is decided and begun; a job asks the provider
//! ([`super::jobs`]).

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    ids::{Draw, Fresh},
    returns, till,
};
use crate::{
    credit::{self, ON_ACCOUNT},
    db::Tx,
    error::Result,
    jobs::{self, NewJob},
    kernel::{
        Actor, Instant,
        ids::{JobId, OrderId, PaymentOperationId},
    },
    orders::{self, OrderDocument, OrderLine},
    payments::{
        self, Account, NewOperation, OperationKind, Payment, Posting, begin_operation, is_by_hand,
        ledger::{self, Part, Sold},
    },
    pricing::engine::{TaxedShare, share, share_taxed},
    stored_value::{GIFT_CARD, STORE_CREDIT},
};

/// The kind of the job that captures.
pub const CAPTURE: &str = "payment.capture";
/// The kind of the job that lets a promise go.
pub const VOID: &str = "payment.void";
/// The kind of the job that gives money back.
pub const REFUND: &str = "payment.refund";

/// Where the money of an order stands, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// The price of what has left, with shipping from the first parcel on; all that is due when nothing is left to ship.
    pub earned: i64,
    /// What the customer owes by the ledger; below zero, what they are owed.
    pub receivable: i64,
    /// What was captured.
    pub captured: i64,
    /// What providers are being asked to capture.
    pub capture_pending: i64,
    /// What providers are being asked to give back.
    pub refund_pending: i64,
    /// Whether anything is left to ship.
    pub open: bool,
}

/// What follows from it, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moves {
    /// To capture.
    pub capture: i64,
    /// To give back.
    pub refund: i64,
    /// Whether what is still promised can be let go.
    pub void: bool,
}

impl Standing {
    /// What will be owed when everything that is under way has ended.
    const fn owed(&self) -> i64 {
        self.receivable - self.capture_pending + self.refund_pending
    }

    /// Captures what has been earned and is still owed; gives back what is owed to the customer; lets the rest of the
    /// promise go once nothing more will be captured. Cumulative, so that parts sum to the whole, and what failed
    /// before is part of the next.
    pub const fn moves(&self) -> Moves {
        let owed = self.owed();
        let earned = self.earned - self.captured - self.capture_pending;
        let capture = if earned < owed { earned } else { owed };
        let capture = if capture > 0 { capture } else { 0 };
        let refund = if owed < 0 { -owed } else { 0 };
        Moves { capture, refund, void: !self.open && owed - capture <= 0 }
    }
}

impl Standing {
    /// The same where nothing is taken for now: what is promised is let go only where nothing is owed.
    const fn waiting(&self) -> Moves {
        Moves { capture: 0, void: !self.open && self.owed() <= 0, ..self.moves() }
    }
}

/// The price of what has left. All that is due when nothing is left to ship: services, and what rounding left over.
fn earned(order: &OrderDocument) -> (i64, bool) {
    let left = order.lines.iter().filter(|line| line.quantities.shipped > 0);
    let goods: i64 = left.clone().map(|line| line.gross_of(line.quantities.shipped)).sum();
    let open = order.lines.iter().any(|line| line.requires_shipping && line.quantities.open() > 0);
    let shipping = order.shipping.as_ref().map_or(0, |shipping| shipping.gross.minor());
    match (open, left.count()) {
        (false, _) => (order.due(), open),
        (true, 0) => (0, open),
        (true, _) => (goods + shipping, open),
    }
}

/// What of an order's price is due by now, whatever becomes of the rest of it, in minor units.
pub(super) fn earned_of(order: &OrderDocument) -> i64 {
    earned(order).0
}

/// Why money is moved, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settling<'a> {
    /// Why.
    pub reason: &'a str,
    /// Whether what goes back by hand has been paid out already.
    pub paid_out: bool,
    /// What is not asked for now: the provider has just refused it, and somebody has to look first.
    pub but: Option<OperationKind>,
}

impl<'a> Settling<'a> {
    /// Everything that the money asks for.
    pub const fn because(reason: &'a str) -> Self {
        Self { reason, paid_out: false, but: None }
    }
}

/// Begins what the standing of an order's money asks for, `at` the time of what it follows from. Call it after the order
/// was saved and the ledger written; at most one capture, refund and void per payment. A job asks the provider; what goes
/// back by hand waits until somebody says that it has been paid out. Gives what is still on its way back to the customer.
///
/// # Errors
/// What the database says.
pub(super) fn settle(
    tx: &mut Tx,
    (now, at): (Instant, Instant),
    order: &OrderDocument,
    draw: &mut Draw<'_>,
    how: &Settling<'_>,
) -> Result<i64> {
    let payments = payments::of_order(tx, order.id)?;
    let balance = ledger::balance(tx, order.id)?;
    let of = |wanted: Account| sum_of(&balance, wanted);
    let standing = standing(order, &payments, &balance);
    // What is exchanged in advance is paid once it is known what has come back for it.
    let moves = match order.free_for(orders::Command::Settle, &[], Some(now)) {
        Ok(()) => standing.moves(),
        Err(_) => standing.waiting(),
    };
    // What is to go onto a card or credit, and waits for a bank, goes nowhere else.
    let waiting = till::waiting(tx, order.id, &payments)?.min(moves.refund);
    let (planned, unpaid) = plan(&payments, Moves { refund: moves.refund - waiting, ..moves }, how.but, now);
    begin(tx, (now, at), order, draw, how, &planned)?;
    free_credit(tx, now, draw, how, (&payments, &planned, standing.owed()))?;
    // No more is given back than was captured: what a goodwill has given back already is not given back again.
    let absorbed = (unpaid - standing.capture_pending).min(of(Account::WriteOff));
    if absorbed > 0 {
        let name: PaymentOperationId = draw.next();
        let entries = vec![(Account::Receivable, absorbed), (Account::WriteOff, -absorbed)];
        let (posting, currency) = (format!("absorbed:{name}"), order.currency);
        ledger::post(tx, now, vec![Posting { order: order.id, posting, occurred_at: at, currency, entries }])?;
    }
    Ok(standing.refund_pending + moves.refund - absorbed.max(0))
}

fn standing(order: &OrderDocument, payments: &[Payment], balance: &[(Account, i64)]) -> Standing {
    let sum = |amount: fn(&Payment) -> i64| payments.iter().map(amount).sum::<i64>();
    let (earned, open) = earned(order);
    Standing {
        earned,
        receivable: sum_of(balance, Account::Receivable),
        captured: sum(|payment| payment.captured.minor()),
        capture_pending: sum(|payment| payment.capture_pending.minor()),
        refund_pending: sum(|payment| payment.refund_pending.minor()),
        open,
    }
}

/// How much of an order is still to be given back to its customer, in minor units: what is on its way, and what is owed and nobody could be
/// asked for, or has refused. Zero as soon as its returns are `refunded`.
///
/// # Errors
/// What the database says.
pub fn owed_back(tx: &mut Tx, order: &OrderDocument) -> Result<i64> {
    let payments = payments::of_order(tx, order.id)?;
    let standing = standing(order, &payments, &ledger::balance(tx, order.id)?);
    Ok(standing.refund_pending + standing.moves().refund)
}

/// What the customer of an order owes by its ledger beside what is on its way and what providers have promised, in minor units; below zero, so
/// much more is promised than is owed. That somebody will pay by hand is no promise, nor is what has ended.
///
/// # Errors
/// What the database says.
pub fn uncovered(tx: &mut Tx, now: Instant, order: &OrderDocument) -> Result<i64> {
    let payments = payments::of_order(tx, order.id)?;
    let standing = standing(order, &payments, &ledger::balance(tx, order.id)?);
    let promising = payments.iter().filter(|payment| payment.provider != payments::MANUAL && !payment.has_expired(now));
    Ok(standing.owed() - promising.map(|payment| payment.capturable().minor()).sum::<i64>())
}

/// What the customer of an order owes by its ledger beside what is on its way, in minor units, whatever is promised of it.
///
/// # Errors
/// What the database says.
pub(super) fn owed(tx: &mut Tx, order: &OrderDocument) -> Result<i64> {
    let payments = payments::of_order(tx, order.id)?;
    Ok(standing(order, &payments, &ledger::balance(tx, order.id)?).owed())
}

fn sum_of(balance: &[(Account, i64)], wanted: Account) -> i64 {
    balance.iter().find(|(account, _)| *account == wanted).map_or(0, |(_, sum)| *sum)
}

/// What an account of an order's ledger holds.
///
/// # Errors
/// What the database says.
pub(super) fn balance_of(tx: &mut Tx, order: OrderId, wanted: Account) -> Result<i64> {
    Ok(sum_of(&ledger::balance(tx, order)?, wanted))
}

/// Brings what an order owes on account to what is still to come for it: its company can buy for the rest again.
fn free_credit(
    tx: &mut Tx,
    now: Instant,
    draw: &mut Draw<'_>,
    how: &Settling<'_>,
    (payments, planned, owed): (&[Payment], &[Planned<'_>], i64),
) -> Result<()> {
    let left = |payment: &Payment| {
        let let_go = planned.iter().filter(|(of, kind, _)| of.id == payment.id && *kind == OperationKind::Void);
        payment.capturable().minor() - let_go.map(|(_, _, amount)| amount).sum::<i64>()
    };
    let on_account = |payment: &&Payment| payment.provider == ON_ACCOUNT;
    let others: i64 = payments.iter().filter(|payment| !on_account(payment)).map(left).sum();
    let mut owed = owed;
    for payment in payments.iter().filter(on_account) {
        let open = credit::open_of(left(payment), owed, others);
        owed -= open;
        let what = (open, payment.captured.minor(), how.reason);
        credit::settle(tx, (now, &Actor::System("payments")), draw.next(), payment.id, what)?;
    }
    Ok(())
}

/// Captures what is due of an order of which nothing is shipped, right after it was placed. Orders with anything to ship
/// are captured parcel by parcel.
///
/// # Errors
/// What the database says.
pub fn capture_due(tx: &mut Tx, now: Instant, order: &OrderDocument, fresh: &Fresh) -> Result<()> {
    settle(tx, (now, order.placed_at), order, &mut fresh.draw(), &Settling::because("order")).map(|_| ())
}

/// The same as [`settle`] where returns of the order may wait for their money: those for which nothing is owed any more
/// are done with.
///
/// # Errors
/// What the database says.
pub(super) fn settle_returns(
    tx: &mut Tx,
    at: (Instant, Instant),
    order: &OrderDocument,
    draw: &mut Draw<'_>,
    how: &Settling<'_>,
) -> Result<()> {
    match settle(tx, at, order, draw, how)? {
        0 => returns::refunded(tx, order.id),
        _ => Ok(()),
    }
}

/// An operation about to be begun on a payment, with its amount.
pub(super) type Planned<'a> = (&'a Payment, OperationKind, i64);

/// Which payment moves what, but for operations of one kind; and what is to be given back that no payment can give. Gift cards
/// and store credit are taken first. What came last goes back first: what was paid twice goes back the way it came, and money before
/// what was paid ahead.
fn plan(payments: &[Payment], moves: Moves, but: Option<OperationKind>, now: Instant) -> (Vec<Planned<'_>>, i64) {
    let (mut capture, mut refund) = (moves.capture, moves.refund);
    let mut planned = Vec::new();
    let mut left = Vec::new();
    let payments = in_turn(payments);
    for payment in payments.iter().copied() {
        let capturable = payment.capturable().minor();
        // What was not promised by a provider comes when somebody says that it came.
        // Nor is anything taken of a promise that has ended: it is asked for anew.
        let asked = !is_by_hand(&payment.provider) && !payment.has_expired(now);
        let taken = if asked { capture.min(capturable) } else { 0 };
        capture -= taken;
        planned.push((payment, OperationKind::Capture, taken));
        left.push((payment, OperationKind::Void, capturable - taken));
    }
    for payment in payments.iter().rev().copied() {
        let given = refund.min(payment.refundable().minor());
        refund -= given;
        planned.push((payment, OperationKind::Refund, given));
    }
    // While something is owed that nobody is asked for, the promise stands.
    let unasked = capture > 0 || but == Some(OperationKind::Capture) && moves.capture > 0;
    if moves.void && !unasked {
        planned.extend(left);
    }
    planned.retain(|(_, kind, amount)| *amount > 0 && Some(*kind) != but);
    (planned, refund)
}

/// The payments in the order in which they are taken; they are given back in the opposite order.
pub(super) fn in_turn(payments: &[Payment]) -> Vec<&Payment> {
    let mut payments: Vec<&Payment> = payments.iter().collect();
    payments.sort_by_key(|payment| ![GIFT_CARD, STORE_CREDIT].contains(&payment.provider.as_str()));
    payments
}

/// Begins operations, each with the job that asks the provider. What goes back by hand has none until it is paid out.
pub(super) fn begin(
    tx: &mut Tx,
    (now, at): (Instant, Instant),
    order: &OrderDocument,
    draw: &mut Draw<'_>,
    how: &Settling<'_>,
    planned: &[Planned<'_>],
) -> Result<()> {
    let mut queue = Vec::with_capacity(planned.len());
    for (payment, kind, amount) in planned {
        let id: PaymentOperationId = draw.next();
        begin_operation(
            tx,
            now,
            &NewOperation {
                id,
                payment: payment.id,
                kind: *kind,
                our_key: id.to_string(),
                amount: *amount,
                reason: Some(how.reason.to_owned()),
                idempotency_id: None,
            },
        )?;
        let by_hand = is_by_hand(&payment.provider) && *kind == OperationKind::Refund;
        if !by_hand || how.paid_out {
            queue.push(job((now, at), order, draw.next(), *kind, id));
        }
    }
    jobs::enqueue(tx, now, queue)
}

fn job(
    (now, at): (Instant, Instant),
    order: &OrderDocument,
    id: JobId,
    kind: OperationKind,
    operation: PaymentOperationId,
) -> NewJob {
    let kind = match kind {
        OperationKind::Capture => CAPTURE,
        OperationKind::Void => VOID,
        OperationKind::Refund => REFUND,
    };
    let payload: Value = json!({"operation": operation, "order": order.id, "at": (at < now).then_some(at)});
    NewJob { id, ..NewJob::now(kind, now, payload) }.in_order(order.id.to_string())
}

/// A share of a line that is not owed any more: cancelled or returned pieces `from..to`.
pub(super) fn share_of(order: &OrderDocument, line_no: i32, from: i64, to: i64) -> Result<TaxedShare> {
    let line = order.line(line_no)?;
    Ok(share_taxed(line.gross.minor(), line.tax.minor(), from, to, line.quantities.quantity))
}

/// So much of a line's price behind `given` of it, in minor units, with the tax in it.
pub(super) fn part(line: &OrderLine, given: i64, gross: i64) -> TaxedShare {
    let tax = share(line.tax.minor(), given, given + gross, line.gross.minor());
    TaxedShare { net: gross - tax, tax, gross }
}

/// The posting that takes back what was sold.
pub(super) fn credit(order: &OrderDocument, posting: String, occurred_at: Instant, sum: TaxedShare) -> Posting {
    Posting {
        order: order.id,
        posting,
        occurred_at,
        currency: order.currency,
        entries: vec![(Account::Receivable, -sum.gross), (Account::Revenue, sum.net), (Account::Tax, sum.tax)],
    }
}

/// Books what is taken back of an order, each share with the rate of its tax; it is taxed as it was when it was placed.
pub(super) fn take_back(
    tx: &mut Tx,
    now: Instant,
    order: &OrderDocument,
    credit: &Posting,
    shares: &[(Decimal, TaxedShare)],
) -> Result<()> {
    let known = ledger::taxed_as(tx, order.id)?;
    let (country, treatment) = known.unwrap_or_else(|| (order.destination(), order.tax_treatment));
    let part = |(rate, share): &(Decimal, TaxedShare)| Part { rate: *rate, net: -share.net, tax: -share.tax };
    let parts = shares.iter().map(part).collect();
    ledger::post_sold(tx, now, credit, &Sold { channel: order.channel_id, country, treatment, parts })
}

/// Adds shares up.
pub(super) fn total(shares: impl IntoIterator<Item = TaxedShare>) -> TaxedShare {
    shares.into_iter().fold(TaxedShare::default(), |sum, share| TaxedShare {
        net: sum.net + share.net,
        tax: sum.tax + share.tax,
        gross: sum.gross + share.gross,
    })
}

#[cfg(test)]
#[path = "money_tests.rs"]
mod tests;
