//! The only file that touches `disputes`; and what they count on `payments`.

use diesel::sql_types::{BigInt, Nullable, Text};

use super::model::{Details, Dispute, DisputeState, Evidence, NewDispute};
use crate::{
    db::{Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Currency, Instant, Money, Waiting,
        ids::{CartId, ChannelId, DisputeId, OrderId, PaymentId},
    },
};

const READ: &str = "id, payment_id, order_id, channel_id, reference, state, currency, amount, fee, respond_by, doc, version, \
     opened_at, created_at, updated_at, excess";

#[rustfmt::skip]
type Types = (UidSql, UidSql, UidSql, UidSql, Text, Text, Text, BigInt, BigInt, Nullable<InstantSql>, DocSql, BigInt, InstantSql, InstantSql, InstantSql, BigInt);
#[rustfmt::skip]
type Row = (DisputeId, PaymentId, OrderId, ChannelId, String, DisputeState, Currency, i64, i64, Option<Instant>, Doc<Details>, i64, Instant, Instant, Instant, i64);

fn dispute(row: Row) -> Dispute {
    let (
        id,
        payment_id,
        order_id,
        channel_id,
        reference,
        state,
        currency,
        amount,
        fee,
        respond_by,
        Doc(details),
        version,
        opened_at,
        created_at,
        updated_at,
        excess,
    ) = row;
    let Details { reason, evidence, closed_at, closed_by, foreign_amount, foreign_fee } = details;
    Dispute {
        id,
        payment_id,
        order_id,
        channel_id,
        reference,
        state,
        reason,
        amount: Money::from_minor(amount, currency),
        excess: (excess > 0).then(|| Money::from_minor(excess, currency)),
        fee: Money::from_minor(fee, currency),
        foreign_amount,
        foreign_fee,
        respond_by,
        evidence,
        version,
        opened_at,
        closed_at,
        closed_by,
        created_at,
        updated_at,
        actions: Dispute::possible(state),
    }
}

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<Dispute>> {
    Ok(query.load::<Types, Row>(tx)?.into_iter().map(dispute).collect())
}

fn details(of: &Dispute) -> Details {
    let Dispute { reason, evidence, closed_at, closed_by, foreign_amount, foreign_fee, .. } = of.clone();
    Details { reason, evidence, closed_at, closed_by, foreign_amount, foreign_fee }
}

/// Counts so much more of a payment as disputed, or, below zero, so much less. False where so much was not taken, or is given back or
/// disputed.
pub(super) fn count(tx: &mut Tx, now: Instant, payment: PaymentId, amount: i64) -> Result<bool> {
    let update = "UPDATE payments SET disputed = disputed + ?, version = version + 1, updated_at = ? WHERE id = ? \
                  AND order_id IS NOT NULL AND disputed + ? >= 0 AND refunded + refund_pending + disputed + ? <= captured";
    let update = sql(update).bind(amount).bind(now).bind(payment).bind(amount).bind(amount);
    Ok(update.execute(tx)? == 1)
}

pub(super) fn insert(tx: &mut Tx, now: Instant, new: &NewDispute) -> Result<()> {
    let (foreign_amount, foreign_fee) = new.foreign;
    let details = Details { reason: new.reason.clone(), foreign_amount, foreign_fee, ..Details::default() };
    sql(format!("INSERT INTO disputes ({READ}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?)"))
        .bind(new.id)
        .bind(new.payment)
        .bind(new.order)
        .bind(new.channel)
        .bind(new.reference.as_str())
        .bind(DisputeState::Open.as_str())
        .bind(new.amount.currency())
        .bind(new.amount.minor())
        .bind(new.fee.minor())
        .bind(new.respond_by)
        .bind(Json::of(&details)?)
        .bind(new.opened_at)
        .bind(now)
        .bind(now)
        .bind(new.excess.minor())
        .execute(tx)?;
    Ok(())
}

pub(super) fn get(tx: &mut Tx, id: DisputeId, locked: bool) -> Result<Option<Dispute>> {
    let lock = if locked { dialect::for_update(tx) } else { "" };
    Ok(load(tx, sql(format!("SELECT {READ} FROM disputes WHERE id = ?{lock}")).bind(id))?.pop())
}

/// The dispute of a payment that its provider calls so.
///
/// # Errors
/// What the database says.
pub fn known(tx: &mut Tx, payment: PaymentId, reference: &str) -> Result<Option<Dispute>> {
    let query = sql(format!("SELECT {READ} FROM disputes WHERE payment_id = ? AND reference = ?"));
    Ok(load(tx, query.bind(payment).bind(reference))?.pop())
}

/// The disputes of an order, the oldest first.
///
/// # Errors
/// What the database says.
pub fn of_order(tx: &mut Tx, order: OrderId) -> Result<Vec<Dispute>> {
    load(tx, sql(format!("SELECT {READ} FROM disputes WHERE order_id = ? ORDER BY id")).bind(order))
}

/// A page of disputes, the newest first, from behind one of them; those in a state, those of an order.
///
/// # Errors
/// What the database says.
pub fn page(
    tx: &mut Tx,
    (state, order): (Option<DisputeState>, Option<OrderId>),
    before: Option<DisputeId>,
    limit: i64,
) -> Result<Vec<Dispute>> {
    let in_state = state.map_or("", |_| " AND state = ?");
    let of = order.map_or("", |_| " AND order_id = ?");
    let behind = before.map_or("", |_| " AND id < ?");
    let query = format!("SELECT {READ} FROM disputes WHERE 1 = 1{in_state}{of}{behind} ORDER BY id DESC LIMIT ?");
    let binds = state.map(|state| crate::db::Bind::from(state.as_str())).into_iter();
    let binds = binds.chain(order.map(crate::db::Bind::from)).chain(before.map(crate::db::Bind::from));
    load(tx, sql(query).bind_all(binds).bind(limit))
}

/// Ends a dispute that is open. False when it has ended.
pub(super) fn close(
    tx: &mut Tx,
    now: Instant,
    seen: &Dispute,
    to: DisputeState,
    by: &str,
    at: Instant,
) -> Result<bool> {
    let changed = Details { closed_at: Some(at), closed_by: Some(by.to_owned()), ..details(seen) };
    let update = "UPDATE disputes SET state = ?, doc = ?, version = version + 1, updated_at = ? WHERE id = ? \
                  AND state = 'open' AND version = ?";
    let update = sql(update).bind(to.as_str()).bind(Json::of(&changed)?).bind(now);
    Ok(update.bind(seen.id).bind(seen.version).execute(tx)? == 1)
}

/// Notes evidence of a dispute that is open. False when it has ended.
pub(super) fn note(tx: &mut Tx, now: Instant, seen: &Dispute, evidence: Evidence) -> Result<bool> {
    let mut changed = details(seen);
    changed.evidence.push(evidence);
    let update = "UPDATE disputes SET doc = ?, version = version + 1, updated_at = ? WHERE id = ? AND state = 'open' AND version = ?";
    let update = sql(update).bind(Json::of(&changed)?).bind(now);
    Ok(update.bind(seen.id).bind(seen.version).execute(tx)? == 1)
}

/// Open disputes, those first that have to be answered first, each with the cart it is about. They wait since they have to be answered
/// by, or since they were opened where nobody has said.
///
/// # Errors
/// What the database says.
pub fn waiting(tx: &mut Tx, limit: i64) -> Result<Vec<(CartId, Waiting)>> {
    type Types = (UidSql, UidSql, Text, BigInt, Text, InstantSql);
    type Row = (DisputeId, CartId, String, i64, Currency, Instant);
    let query = "SELECT d.id, p.cart_id, d.reference, d.amount, d.currency, coalesce(d.respond_by, d.opened_at) \
                 FROM disputes AS d JOIN payments AS p ON p.id = d.payment_id WHERE d.state = 'open' \
                 ORDER BY coalesce(d.respond_by, d.opened_at), d.id LIMIT ?";
    let waiting = |(id, cart, reference, amount, currency, since): Row| {
        let subject = format!("{} are disputed ({reference})", Money::from_minor(amount, currency));
        (cart, Waiting { id: id.to_string(), since, subject, link: format!("/v1/ops/disputes/{id}") })
    };
    Ok(sql(query).bind(limit).load::<Types, Row>(tx)?.into_iter().map(waiting).collect())
}

/// Clears what was written down of disputes of payments as evidence: it may name anybody.
pub(in crate::payments) fn erase(tx: &mut Tx, payments: &[PaymentId]) -> Result<()> {
    for payment in payments {
        let all =
            load(tx, sql(format!("SELECT {READ} FROM disputes WHERE payment_id = ? ORDER BY id")).bind(*payment))?;
        for one in all.iter().filter(|one| one.evidence.iter().any(|said| said.note.is_some() || said.url.is_some())) {
            let bare = |said: &Evidence| Evidence { note: None, url: None, ..said.clone() };
            let changed = Details { evidence: one.evidence.iter().map(bare).collect(), ..details(one) };
            let update = sql("UPDATE disputes SET doc = ?, version = version + 1 WHERE id = ?");
            update.bind(Json::of(&changed)?).bind(one.id).execute(tx)?;
        }
    }
    Ok(())
}
