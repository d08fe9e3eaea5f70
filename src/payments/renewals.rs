//! Promises that are asked for anew before they end, and payments that somebody has to look at in time. Part of the store.

use diesel::sql_types::{BigInt, Nullable, Text};

use super::{
    model::{Payment, PaymentDetails, PaymentState},
    store,
};
use crate::{
    db::{InstantSql, Json, Tx, UidSql, dialect, sql},
    error::{Error, Result},
    kernel::{
        Currency, Instant, Money, Waiting,
        ids::{CartId, OrderId, PaymentId},
    },
};

crate::words! {
    /// Where the asking for a new promise stands.
    pub enum RenewalState {
        /// The provider is being asked.
        Asked = "asked",
        /// There is a new promise.
        Renewed = "renewed",
        /// The provider refuses: somebody has to look.
        Refused = "refused",
        /// The provider refuses for now: it is asked again, under another key, when the payment is due.
        Dropped = "dropped",
    }
}

/// Asking for a promise in the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The payment whose promise ends.
    pub payment: PaymentId,
    /// The payment that the new promise becomes; its key towards the provider is this id.
    pub renewed: PaymentId,
    /// The order.
    pub order: OrderId,
    /// Where it stands.
    pub state: RenewalState,
    /// How much is asked for.
    pub amount: Money,
    /// For the how manieth time.
    pub tries: i64,
}

/// So often a promise is asked for that is refused for now.
const MOST_TRIES: i64 = 5;
/// So many seconds lie between two times at least.
const BETWEEN_TRIES: i64 = 1_800;

/// When a promise is asked for again that was refused for now at its so manieth time and ends then: half-way to its end, so that the times come
/// the closer the nearer that is. `None` once it is time for people to look.
#[must_use]
pub fn again_at(now: Instant, until: Instant, tries: i64) -> Option<Instant> {
    let left = until.micros().saturating_sub(now.micros());
    let next = Instant::from_micros(now.micros().saturating_add(left.max(0) / 2));
    (tries < MOST_TRIES && next >= now.plus_seconds(BETWEEN_TRIES)).then_some(next)
}

impl Renewal {
    /// The attempt to pay that the provider is asked about: like the one whose promise ends, for what is left of that.
    #[must_use]
    pub fn attempt(&self, of: &Payment) -> Payment {
        let zero = Money::zero(self.amount.currency());
        Payment {
            id: self.renewed,
            our_key: self.renewed.to_string(),
            provider_ref: None,
            state: PaymentState::Pending,
            amount: self.amount,
            captured: zero,
            refunded: zero,
            voided: zero,
            capture_pending: zero,
            refund_pending: zero,
            void_pending: zero,
            disputed: zero,
            attempt: self.tries,
            lease_until: None,
            idempotency_id: None,
            expires_at: None,
            due_at: None,
            parent: None,
            root: None,
            details: PaymentDetails { instrument: of.details.instrument.clone(), ..PaymentDetails::default() },
            ..of.clone()
        }
    }
}

/// When a promise is asked for anew that holds until then: a day before, or half-way where it holds for less than two days.
#[must_use]
pub fn renew_at(now: Instant, until: Instant) -> Instant {
    let half = until.micros().saturating_sub(now.micros()).max(0) / 2;
    Instant::from_micros(until.micros().saturating_sub(half.min(86_400 * 1_000_000)))
}

/// Payments of orders that somebody has to look at by now, the longest due first: those by hand, or all others.
///
/// # Errors
/// What the database says.
pub fn due(tx: &mut Tx, now: Instant, by_hand: bool, limit: i64) -> Result<Vec<(PaymentId, OrderId)>> {
    let which = if by_hand { "=" } else { "<>" };
    let query = format!(
        "SELECT id, order_id FROM payments WHERE due_at IS NOT NULL AND due_at <= ? AND order_id IS NOT NULL \
         AND provider {which} 'manual' ORDER BY due_at, id LIMIT ?"
    );
    sql(query).bind(now).bind(limit).load::<(UidSql, UidSql), (PaymentId, OrderId)>(tx)
}

/// Notes when a payment is looked at next, where it is due still as it was seen. False when somebody else has looked.
///
/// # Errors
/// What the database says.
pub fn look_next(
    tx: &mut Tx,
    now: Instant,
    seen: &Payment,
    next: Option<Instant>,
    reminded: Option<i64>,
) -> Result<bool> {
    let Some(due_at) = seen.due_at else { return Ok(false) };
    let doc = dialect::with_member(tx, "doc", "reminded");
    let update = format!(
        "UPDATE payments SET due_at = ?, doc = {doc}, version = version + 1, updated_at = ? WHERE id = ? AND due_at = ?"
    );
    let update = sql(update).bind(next).bind(Json::of(&reminded)?).bind(now);
    Ok(update.bind(seen.id).bind(due_at).execute(tx)? == 1)
}

/// Has a promise that is not given anew looked at when it ends: so long it can be captured.
///
/// # Errors
/// What the database says.
pub fn look_at_end(tx: &mut Tx, now: Instant, id: PaymentId) -> Result<()> {
    let update = "UPDATE payments SET due_at = expires_at, version = version + 1, updated_at = ? \
                  WHERE id = ? AND expires_at IS NOT NULL AND state = 'authorised'";
    sql(update).bind(now).bind(id).execute(tx)?;
    Ok(())
}

/// Has a payment looked at at once whose promise has an end: something of it was refused.
///
/// # Errors
/// What the database says.
pub fn look_again(tx: &mut Tx, now: Instant, id: PaymentId) -> Result<()> {
    let update = "UPDATE payments SET due_at = ?, version = version + 1, updated_at = ? \
                  WHERE id = ? AND expires_at IS NOT NULL AND state = 'authorised'";
    sql(update).bind(now).bind(now).bind(id).execute(tx)?;
    Ok(())
}

/// Notes of a payment by hand that so much more of it is not asked for any more, in minor units; below zero, that so much has come after
/// all. Call it under the lock of its order.
///
/// # Errors
/// `not_found`; an internal error where somebody else has written the payment meanwhile.
pub fn write_off(tx: &mut Tx, now: Instant, id: PaymentId, minor: i64) -> Result<()> {
    let seen = store::get(tx, id)?.ok_or_else(|| Error::not_found("payment"))?;
    let sum = seen.details.written_off.unwrap_or_default().saturating_add(minor);
    let doc = dialect::with_member(tx, "doc", "written_off");
    let update =
        format!("UPDATE payments SET doc = {doc}, version = version + 1, updated_at = ? WHERE id = ? AND version = ?");
    match sql(update).bind(Json::of(&(sum != 0).then_some(sum))?).bind(now).bind(id).bind(seen.version).execute(tx)? {
        1 => Ok(()),
        _ => Err(Error::internal("a payment has changed while its rest was written off")),
    }
}

/// Notes that a promise is asked for anew: for the first time, or again where it was refused for now. False when it is being asked for, or was
/// answered for good: of each payment there is one question at a time.
///
/// # Errors
/// What the database says.
pub fn ask(tx: &mut Tx, now: Instant, new: &Renewal) -> Result<bool> {
    let insert = "INSERT INTO payment_renewals (payment_id, renewed_id, order_id, state, currency, amount, reason, created_at, \
                  updated_at) VALUES (?, ?, ?, 'asked', ?, ?, NULL, ?, ?) ON CONFLICT (payment_id) DO NOTHING";
    let insert = sql(insert).bind(new.payment).bind(new.renewed).bind(new.order).bind(new.amount.currency());
    if insert.bind(new.amount.minor()).bind(now).bind(now).execute(tx)? == 1 {
        return Ok(true);
    }
    let update = "UPDATE payment_renewals SET state = 'asked', renewed_id = ?, amount = ?, tries = tries + 1, reason = NULL, updated_at = ? \
                  WHERE payment_id = ? AND state = 'dropped'";
    let update = sql(update).bind(new.renewed).bind(new.amount.minor()).bind(now);
    Ok(update.bind(new.payment).execute(tx)? == 1)
}

/// Has a payment looked at then, whose promise has an end and was refused for now.
///
/// # Errors
/// What the database says.
pub fn look_then(tx: &mut Tx, now: Instant, id: PaymentId, then: Instant) -> Result<()> {
    let update = "UPDATE payments SET due_at = ?, version = version + 1, updated_at = ? \
                  WHERE id = ? AND expires_at IS NOT NULL AND state = 'authorised'";
    sql(update).bind(then).bind(now).bind(id).execute(tx)?;
    Ok(())
}

/// What became of asking for a new promise. False when it had ended before.
///
/// # Errors
/// What the database says.
pub fn ended(tx: &mut Tx, now: Instant, id: PaymentId, state: RenewalState, reason: Option<&str>) -> Result<bool> {
    let update =
        "UPDATE payment_renewals SET state = ?, reason = ?, updated_at = ? WHERE payment_id = ? AND state = 'asked'";
    let update = sql(update).bind(state.as_str()).bind(reason.map(str::to_owned)).bind(now);
    Ok(update.bind(id).execute(tx)? == 1)
}

/// The asking for a new promise in the place of a payment's.
///
/// # Errors
/// What the database says.
pub fn of(tx: &mut Tx, payment: PaymentId) -> Result<Option<Renewal>> {
    type Row = (PaymentId, OrderId, RenewalState, Currency, i64, i64);
    let query =
        "SELECT renewed_id, order_id, state, currency, amount, tries FROM payment_renewals WHERE payment_id = ?";
    let row = sql(query).bind(payment).first::<(UidSql, UidSql, Text, Text, BigInt, BigInt), Row>(tx)?;
    Ok(row.map(|(renewed, order, state, currency, amount, tries)| Renewal {
        payment,
        renewed,
        order,
        state,
        amount: Money::from_minor(amount, currency),
        tries,
    }))
}

/// Promises that end, and that a provider does not give anew, while something of them is left; the oldest first, each with the cart it
/// was for.
///
/// # Errors
/// What the database says.
pub(super) fn refused(tx: &mut Tx, limit: i64) -> Result<Vec<(CartId, Waiting)>> {
    type Types = (UidSql, UidSql, UidSql, BigInt, Text, Nullable<Text>, InstantSql);
    type Row = (PaymentId, CartId, OrderId, i64, Currency, Option<String>, Instant);
    let query = "SELECT r.payment_id, p.cart_id, r.order_id, r.amount, r.currency, r.reason, r.updated_at \
                 FROM payment_renewals AS r JOIN payments AS p ON p.id = r.payment_id WHERE r.state = 'refused' \
                 AND p.state = 'authorised' AND p.captured + p.capture_pending + p.voided + p.void_pending < p.amount \
                 ORDER BY r.updated_at, r.payment_id LIMIT ?";
    let waiting = |(payment, cart, order, amount, currency, reason, since): Row| {
        let amount = Money::from_minor(amount, currency);
        let why = reason.unwrap_or_default();
        let subject = format!("the promise of {amount} ends, and is not given anew: {why}");
        let link = format!("/v1/ops/orders/{order}/payments");
        (cart, Waiting { id: payment.to_string(), since, subject, link })
    };
    Ok(sql(query).bind(limit).load::<Types, Row>(tx)?.into_iter().map(waiting).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_for_now_is_asked_for_again_ever_sooner_and_not_for_ever() {
        let (now, hour) = (Instant::from_micros(0), 3_600);
        assert_eq!(again_at(now, now.plus_seconds(24 * hour), 1), Some(now.plus_seconds(12 * hour)));
        assert_eq!(again_at(now, now.plus_seconds(hour), 2), Some(now.plus_seconds(1_800)));
        assert_eq!(again_at(now, now.plus_seconds(1_800), 3), None);
        assert_eq!(again_at(now, now.plus_seconds(24 * hour), 5), None);
        assert_eq!(again_at(now, now.plus_seconds(-hour), 1), None);
    }

    #[test]
    fn a_promise_is_asked_for_anew_a_day_before_its_end_or_half_way() {
        let (now, hour) = (Instant::from_micros(0), 3_600);
        assert_eq!(renew_at(now, now.plus_seconds(168 * hour)), now.plus_seconds(144 * hour));
        assert_eq!(renew_at(now, now.plus_seconds(10 * hour)), now.plus_seconds(5 * hour));
        assert_eq!(renew_at(now, now.plus_seconds(-hour)), now.plus_seconds(-hour));
    }
}
