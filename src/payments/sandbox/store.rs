//! The only file that touches `sandbox_payments` and `sandbox_operations`.

use diesel::sql_types::{BigInt, Nullable, Text};

use super::{SandboxPayment, SandboxState};
use crate::{
    db::{InstantSql, Tx, sql},
    error::{Error, Result},
    kernel::{Currency, Instant, Money},
    payments::model::{Operation, OperationKind, Payment},
};

/// Remembers a payment. False when it is known already.
pub(super) fn insert(
    tx: &mut Tx,
    now: Instant,
    our_key: &str,
    state: SandboxState,
    (amount, until): (Money, Option<Instant>),
) -> Result<bool> {
    let insert = "INSERT INTO sandbox_payments (our_key, state, currency, amount, captured, voided, refunded, \
                  created_at, updated_at, expires_at) VALUES (?, ?, ?, ?, 0, 0, 0, ?, ?, ?) ON CONFLICT (our_key) DO NOTHING";
    let insert = sql(insert).bind(our_key).bind(state.as_str()).bind(amount.currency()).bind(amount.minor());
    Ok(insert.bind(now).bind(now).bind(until).execute(tx)? == 1)
}

pub(super) fn get(tx: &mut Tx, our_key: &str) -> Result<Option<SandboxPayment>> {
    type Types = (Text, Text, Text, BigInt, BigInt, BigInt, BigInt, Nullable<InstantSql>);
    type Row = (String, SandboxState, Currency, i64, i64, i64, i64, Option<Instant>);
    let query = "SELECT our_key, state, currency, amount, captured, voided, refunded, expires_at FROM sandbox_payments \
                 WHERE our_key = ?";
    let row = sql(query).bind(our_key).first::<Types, Row>(tx)?;
    Ok(row.map(|(our_key, state, currency, amount, captured, voided, refunded, expires_at)| {
        let money = |minor| Money::from_minor(minor, currency);
        let promised = if state == SandboxState::Authorised { amount.saturating_sub(voided) } else { 0 };
        SandboxPayment {
            our_key,
            state,
            amount: money(amount),
            authorised: money(promised),
            captured: money(captured),
            voided: money(voided),
            refunded: money(refunded),
            expires_at,
        }
    }))
}

/// Decides about a payment that waits for its customer. False when it does not wait.
pub(super) fn decide(tx: &mut Tx, now: Instant, our_key: &str, state: SandboxState) -> Result<bool> {
    let update = "UPDATE sandbox_payments SET state = ?, updated_at = ? WHERE our_key = ? AND state = 'pending'";
    Ok(sql(update).bind(state.as_str()).bind(now).bind(our_key).execute(tx)? == 1)
}

/// Does an operation once. `approves` says that the payment counts as authorised even when it is not remembered. False when
/// it had been done before.
pub(super) fn operate(
    tx: &mut Tx,
    now: Instant,
    payment: &Payment,
    operation: &Operation,
    approves: bool,
) -> Result<bool> {
    let our_key = payment.our_key.as_str();
    if approves {
        insert(tx, now, our_key, SandboxState::Authorised, (payment.amount, None))?;
    } else if operation.kind == OperationKind::Void {
        // Never heard of, and never to be promised: the question may still be under way.
        insert(tx, now, our_key, SandboxState::Pending, (payment.amount, None))?;
    } else if get(tx, our_key)?.is_none() {
        return Err(Error::conflict("the sandbox never heard of this payment"));
    }
    let insert = "INSERT INTO sandbox_operations (our_key, payment_key, kind, amount, created_at) \
                  VALUES (?, ?, ?, ?, ?) ON CONFLICT (our_key) DO NOTHING";
    let insert = sql(insert).bind(operation.our_key.as_str()).bind(our_key).bind(operation.kind.as_str());
    if insert.bind(operation.amount).bind(now).execute(tx)? == 0 {
        return Ok(false);
    }
    if book(tx, now, our_key, operation)? {
        return Ok(true);
    }
    let known = get(tx, our_key)?.map(|known| known.state);
    match (operation.kind, known) {
        // There is nothing to give up.
        (OperationKind::Void, Some(SandboxState::Declined | SandboxState::Voided)) => Ok(true),
        (kind, state) => {
            let state = state.map_or("unknown", SandboxState::as_str);
            Err(Error::conflict(format!("the sandbox has no {} left to {kind}: it is {state}", operation.amount)))
        }
    }
}

/// Moves the money, when there is so much. False when there is not.
fn book(tx: &mut Tx, now: Instant, our_key: &str, operation: &Operation) -> Result<bool> {
    let amount = operation.amount;
    let update = match operation.kind {
        OperationKind::Capture => sql("UPDATE sandbox_payments SET captured = captured + ?, updated_at = ? \
             WHERE (expires_at IS NULL OR expires_at > ?) AND our_key = ? AND state = 'authorised' \
             AND captured + voided + ? <= amount")
        .bind(amount)
        .bind(now),
        OperationKind::Void => sql("UPDATE sandbox_payments SET voided = voided + ?, \
             state = CASE WHEN voided + ? >= amount THEN 'voided' ELSE state END, updated_at = ? \
             WHERE our_key = ? AND state IN ('pending', 'authorised') AND captured + voided + ? <= amount")
        .bind(amount)
        .bind(amount),
        OperationKind::Refund => sql("UPDATE sandbox_payments SET refunded = refunded + ?, updated_at = ? \
             WHERE our_key = ? AND refunded + ? <= captured")
        .bind(amount),
    };
    Ok(update.bind(now).bind(our_key).bind(amount).execute(tx)? == 1)
}
