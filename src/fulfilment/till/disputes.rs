//! Disputes of orders' payments: each change counts on the payment, is booked in the order's ledger and told in its stream. Each command
//! locks the order first, so that it and a refund of the same money happen one after another.

use serde::Serialize;

use super::{
    awaited,
    service::{in_currency_at, reread},
};
use crate::{
    db::Tx,
    error::{Error, Result},
    events::Payload,
    fulfilment::{
        Fresh,
        ids::Draw,
        money::{self, Settling},
        service::announce,
    },
    kernel::{
        Actor, Instant, Money,
        ids::{DisputeId, JobId, OrderId, PaymentId},
    },
    orders::{self, OrderDocument},
    payments::{
        self, Account, Payment, Posting,
        disputes::{self, Dispute, DisputeNotice, DisputeState, Evidence, NewDispute},
        ledger,
    },
    risk::{self, RiskOutcome},
};

/// A dispute as staff, or a provider, tell of it.
#[derive(Debug, Clone)]
pub struct Disputed {
    /// What the provider calls it.
    pub reference: String,
    /// Why.
    pub reason: String,
    /// How much; all that was taken and is neither given back nor disputed, when absent.
    pub amount: Option<Money>,
    /// What the provider keeps for it.
    pub fee: Option<Money>,
    /// Until when it can be answered.
    pub respond_by: Option<Instant>,
    /// When it was opened, if that was not now.
    pub occurred_at: Option<Instant>,
}

/// What the events of disputes say.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::fulfilment) struct DisputeChange<'a> {
    /// The order.
    order_id: OrderId,
    /// Its number.
    order_number: &'a str,
    /// The dispute as it is then, without what was noted as evidence: how much of that there is.
    dispute_id: DisputeId,
    /// Its payment.
    payment_id: PaymentId,
    /// What the provider calls it.
    reference: &'a str,
    /// Where it stands.
    state: DisputeState,
    /// Why.
    reason: &'a str,
    /// How much.
    amount: Money,
    /// How much of that was not left of the payment, and is not booked.
    #[serde(skip_serializing_if = "Option::is_none")]
    excess: Option<Money>,
    /// What the provider keeps for it.
    fee: Money,
    /// Until when it can be answered.
    respond_by: Option<Instant>,
    /// How many pieces of evidence were noted.
    evidence: usize,
}

/// The types of the events, by what has happened.
pub(in crate::fulfilment) const OPENED: &str = "dispute.opened.v1";
pub(in crate::fulfilment) const EVIDENCE: &str = "dispute.evidence_added.v1";
pub(in crate::fulfilment) const WON: &str = "dispute.won.v1";
pub(in crate::fulfilment) const LOST: &str = "dispute.lost.v1";
pub(in crate::fulfilment) const ACCEPTED: &str = "dispute.accepted.v1";

/// Opens a dispute of a payment.
///
/// # Errors
/// `not_found`; `state_conflict` where no order came of the payment; `dispute_exceeded`; `duplicate`; `invalid_value`;
/// `history_before_order`.
pub fn open(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    payment: PaymentId,
    what: &Disputed,
) -> Result<Dispute> {
    let mut order = locked(tx, actor, payment)?;
    order.check_time(what.occurred_at, "/occurred_at")?;
    order.state.apply(orders::Command::Dispute)?;
    let seen = payments::get(tx, payment)?.ok_or_else(|| Error::not_found("payment"))?;
    let amount =
        what.amount.map_or(Ok(seen.refundable().minor()), |amount| in_currency_at(&order, amount, "/amount"))?;
    let fee = match what.fee {
        Some(fee) if fee.minor() == 0 => 0,
        Some(fee) => in_currency_at(&order, fee, "/fee")?,
        None => 0,
    };
    if amount == 0 {
        return Err(Error::conflict("nothing of the payment was taken that is neither given back nor disputed"));
    }
    let money = |minor| Money::from_minor(minor, order.currency);
    let taken = Taken { amount: money(amount), excess: money(0), fee: money(fee), foreign: (None, None) };
    begin(tx, (now, what.occurred_at.unwrap_or(now)), actor, fresh, (&mut order, payment), (what, &taken))
}

/// How much a dispute takes.
struct Taken {
    amount: Money,
    /// What of it is not left of the payment.
    excess: Money,
    fee: Money,
    /// Amount and fee, where they were told in another currency than the order's.
    foreign: (Option<Money>, Option<Money>),
}

/// Writes a dispute, books it and tells it.
fn begin(
    tx: &mut Tx,
    (now, at): (Instant, Instant),
    actor: &Actor,
    fresh: &Fresh,
    (order, payment): (&mut OrderDocument, PaymentId),
    (what, taken): (&Disputed, &Taken),
) -> Result<Dispute> {
    let mut draw = fresh.draw();
    let new = NewDispute {
        id: draw.next(),
        payment,
        order: order.id,
        channel: order.channel_id,
        reference: what.reference.clone(),
        reason: what.reason.clone(),
        amount: taken.amount,
        excess: taken.excess,
        fee: taken.fee,
        foreign: taken.foreign,
        respond_by: what.respond_by,
        opened_at: at,
    };
    let dispute = disputes::open(tx, now, &new)?;
    let (amount, fee) = (dispute.counted(), dispute.fee.minor());
    let entries =
        vec![(Account::Disputed, amount), (Account::Fee, fee), (Account::Chargeback, -(amount.saturating_add(fee)))];
    told(tx, (now, at), actor, order, &mut draw, (&dispute, OPENED, entries))?;
    Ok(dispute)
}

/// What of a dispute that a provider tells of counts, of each payment that has a share of what it is about: the bank has taken its money
/// whatever we know of it, so nothing is refused. What is not left of any of them, and what is in another currency, is only noted, with the first;
/// so is the fee. Nothing for a payment of nothing.
fn as_told(family: &[Payment], notice: &DisputeNotice) -> Vec<(PaymentId, Taken)> {
    let Some(first) = family.first() else { return Vec::new() };
    let currency = first.amount.currency();
    let money = |minor| Money::from_minor(minor, currency);
    let own = |told: Option<Money>| told.filter(|told| told.currency() == currency).map(|told| told.minor());
    let foreign = |told: Option<Money>| told.filter(|told| told.currency() != currency);
    let sum = |of: fn(&Payment) -> Money| family.iter().map(|one| of(one).minor()).fold(0, i64::saturating_add);
    let left = sum(Payment::refundable);
    let unsaid = if left > 0 { left } else { sum(|one| one.amount) };
    let amount = own(notice.amount).filter(|minor| *minor > 0).unwrap_or(unsaid);
    if amount <= 0 {
        return Vec::new();
    }
    let excess = amount.saturating_sub(left).max(0);
    let mut rest = amount - excess;
    let parts = family.iter().map(|one| {
        let part = one.refundable().minor().min(rest);
        rest -= part;
        (one.id, part)
    });
    let mut parts: Vec<(PaymentId, i64)> = parts.filter(|(_, part)| *part > 0).collect();
    if parts.is_empty() {
        parts.push((first.id, 0));
    }
    let taken = |(place, (id, part)): (usize, (PaymentId, i64))| {
        let bears = place == 0;
        let beside = if bears { excess } else { 0 };
        let fee = if bears { own(notice.fee).unwrap_or(0).max(0) } else { 0 };
        let foreign = if bears { (foreign(notice.amount), foreign(notice.fee)) } else { (None, None) };
        (id, Taken { amount: money(part.saturating_add(beside)), excess: money(beside), fee: money(fee), foreign })
    };
    parts.into_iter().enumerate().map(taken).collect()
}

/// Notes evidence of a dispute.
///
/// # Errors
/// `not_found`; `state_conflict` where it has ended.
pub fn add_evidence(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: DisputeId,
    (note, url): (Option<&str>, Option<&str>),
) -> Result<Dispute> {
    let (mut order, seen) = found(tx, actor, id)?;
    let text = |text: Option<&str>| text.map(str::to_owned);
    let evidence = Evidence { note: text(note), url: text(url), by: actor.label(), at: now };
    let dispute = disputes::note(tx, now, &seen, evidence)?;
    told(tx, (now, now), actor, &mut order, &mut fresh.draw(), (&dispute, EVIDENCE, Vec::new()))?;
    Ok(dispute)
}

/// Ends a dispute. What is won is there as if it had never been disputed; what is lost or accepted is written off, and never given back a
/// second time. Whoever comes second is refused.
///
/// # Errors
/// `not_found`; `state_conflict` where it has ended; `history_before_order`.
pub fn close(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: DisputeId,
    (to, occurred_at): (DisputeState, Option<Instant>),
) -> Result<Dispute> {
    let (mut order, seen) = found(tx, actor, id)?;
    order.check_time(occurred_at, "/occurred_at")?;
    let (at, mut draw) = (occurred_at.unwrap_or(now), fresh.draw());
    let dispute = disputes::close(tx, now, &seen, to, &actor.label(), at)?;
    let amount = dispute.counted();
    let (kind, against) = match to {
        DisputeState::Won => (WON, Account::Chargeback),
        DisputeState::Lost => (LOST, Account::WriteOff),
        DisputeState::Accepted | DisputeState::Open => (ACCEPTED, Account::WriteOff),
    };
    told(
        tx,
        (now, at),
        actor,
        &mut order,
        &mut draw,
        (&dispute, kind, vec![(against, amount), (Account::Disputed, -amount)]),
    )?;
    let (outcome, note) = match to {
        DisputeState::Won => (RiskOutcome::Legitimate, "a dispute of it was won"),
        _ => (RiskOutcome::Loss, "a dispute of it was lost"),
    };
    risk::learned(tx, (now, "disputes"), order.id, outcome, note)?;
    // What came back while it was disputed could not be given back until now; what is lost has been. First what was to go elsewhere.
    awaited::settle(tx, (now, at), actor, &mut order, &mut draw)?;
    money::settle_returns(tx, (now, at), &order, &mut draw, &Settling::because("a dispute has ended"))?;
    Ok(dispute)
}

/// What a provider tells of a dispute: it is opened where it is not known, and ended where it is open. What is known already changes
/// nothing, however often it is told; so does what comes too late. It is a fact that nobody here can refuse: what is not left of the
/// payment is noted as its `excess`.
///
/// # Errors
/// `not_found` for a payment that there is not; `state_conflict` where no order came of it.
pub fn heard(tx: &mut Tx, now: Instant, fresh: &Fresh, our_key: &str, notice: &DisputeNotice) -> Result<()> {
    let actor = Actor::System("payments");
    let payment = payments::by_key(tx, our_key)?.ok_or_else(|| Error::not_found("payment"))?;
    locked(tx, &actor, payment.id)?;
    let family = locked_family(tx, &payment)?;
    let mut disputes = Vec::new();
    for one in &family {
        disputes.extend(disputes::known(tx, one.id, &notice.reference)?);
    }
    // What each begins has ids of its own.
    let mut draw = fresh.draw();
    let own: Vec<JobId> = draw.many(2 * family.len());
    let mut own = own.into_iter().map(Fresh::of);
    if disputes.is_empty() {
        let what = Disputed {
            reference: notice.reference.clone(),
            reason: notice.reason.clone(),
            amount: notice.amount,
            fee: notice.fee,
            respond_by: notice.respond_by,
            occurred_at: None,
        };
        for ((id, taken), fresh) in as_told(&family, notice).into_iter().zip(own.by_ref()) {
            let mut order = locked(tx, &actor, id)?;
            disputes.push(begin(tx, (now, now), &actor, &fresh, (&mut order, id), (&what, &taken))?);
        }
    }
    if notice.state == DisputeState::Open {
        return Ok(());
    }
    for (dispute, fresh) in disputes.iter().filter(|one| one.state == DisputeState::Open).zip(own) {
        close(tx, now, &actor, &fresh, dispute.id, (notice.state, None))?;
    }
    Ok(())
}

/// A payment with all its shares, their orders locked, so that two messages of one dispute open it once. An order is split under its own lock, so
/// once all that are known are locked, no further share comes to be; one that came to be before is younger than the others, as its order is.
fn locked_family(tx: &mut Tx, payment: &Payment) -> Result<Vec<Payment>> {
    let mut locked: Vec<OrderId> = Vec::new();
    loop {
        let family = payments::shares::family(tx, payment)?;
        let mut others: Vec<OrderId> = family.iter().filter_map(|one| one.order_id).collect();
        others.retain(|order| !locked.contains(order));
        others.sort_unstable();
        others.dedup();
        if others.is_empty() {
            return Ok(family);
        }
        for order in others {
            orders::lock(tx, order)?;
            locked.push(order);
        }
    }
}

/// The order of a payment, locked, when the actor may see it.
fn locked(tx: &mut Tx, actor: &Actor, payment: PaymentId) -> Result<OrderDocument> {
    let missing = || Error::not_found("payment");
    let seen = payments::get(tx, payment)?.ok_or_else(missing)?;
    let order = seen.order_id.ok_or_else(|| Error::conflict("no order came of this payment: there is nothing to book"));
    // Who is limited to channels learns nothing of what belongs to none of theirs.
    if seen.order_id.is_none() && actor.channels().is_some() {
        return Err(missing());
    }
    let order = orders::lock(tx, order?)?;
    if actor.sees_channel(order.channel_id) { Ok(order) } else { Err(missing()) }
}

/// A dispute and its order, both locked: the order first.
fn found(tx: &mut Tx, actor: &Actor, id: DisputeId) -> Result<(OrderDocument, Dispute)> {
    let seen = disputes::find(tx, id)?;
    if !actor.sees_channel(seen.channel_id) {
        return Err(Error::not_found("dispute"));
    }
    let order = orders::lock(tx, seen.order_id)?;
    Ok((order, disputes::lock(tx, id)?))
}

/// Books and tells a change of a dispute.
fn told(
    tx: &mut Tx,
    (now, at): (Instant, Instant),
    actor: &Actor,
    order: &mut OrderDocument,
    draw: &mut Draw<'_>,
    (dispute, kind, entries): (&Dispute, &'static str, Vec<(Account, i64)>),
) -> Result<()> {
    if entries.iter().any(|(_, amount)| *amount != 0) {
        let posting = format!("dispute:{}:{}", dispute.id, dispute.state);
        let posting = Posting { order: order.id, posting, occurred_at: at, currency: order.currency, entries };
        ledger::post(tx, now, vec![posting])?;
    }
    reread(tx, order)?;
    orders::save(tx, now, order, &[], 1)?;
    let data = DisputeChange {
        order_id: order.id,
        order_number: &order.number,
        dispute_id: dispute.id,
        payment_id: dispute.payment_id,
        reference: &dispute.reference,
        state: dispute.state,
        reason: &dispute.reason,
        amount: dispute.amount,
        excess: dispute.excess,
        fee: dispute.fee,
        respond_by: dispute.respond_by,
        evidence: dispute.evidence.len(),
    };
    announce(tx, (now, at), actor, order, draw, vec![(kind, Payload::of(&data)?)])
}
