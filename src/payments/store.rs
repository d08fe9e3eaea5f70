//! The only file that touches `payments`, `payment_operations` and `ledger_entries`.

use diesel::{
    prelude::*,
    sql_types::{BigInt, Integer, Nullable, Text},
};
use serde_json::json;

use super::{
    ledger::{Account, Entry},
    model::{
        Action, Decline, NewOperation, NewPayment, Operation, OperationKind, OperationState, Payment, PaymentDetails,
        PaymentState, Resolution, Target, Trouble,
    },
    renewals::renew_at,
};
use crate::{
    db::{
        Bind, Col, Doc, InstantSql, Json, Sql, Tx, UidSql, dialect, insert_many,
        schema::{payment_operations, payments},
        sql,
    },
    error::{Error, Result},
    kernel::{
        Country, Currency, Instant, Money,
        ids::{CartId, ChannelId, IdempotencyKeyId, OrderId, PaymentId, PaymentOperationId, StoredValueId},
    },
    pricing::tax::TaxTreatment,
};

/// A row of `payments`, in the order of [`PAYMENT`].
#[derive(Queryable)]
struct PaymentRow {
    id: PaymentId,
    cart_id: CartId,
    order_id: Option<OrderId>,
    provider: String,
    our_key: String,
    provider_ref: Option<String>,
    state: PaymentState,
    currency: Currency,
    amount: i64,
    captured: i64,
    refunded: i64,
    voided: i64,
    capture_pending: i64,
    refund_pending: i64,
    void_pending: i64,
    attempt: i64,
    lease_until: Option<Instant>,
    idempotency_id: Option<IdempotencyKeyId>,
    doc: Doc<PaymentDetails>,
    version: i64,
    created_at: Instant,
    updated_at: Instant,
    ending: Option<String>,
    disputed: i64,
    expires_at: Option<Instant>,
    due_at: Option<Instant>,
    parent: Option<PaymentId>,
    root: Option<PaymentId>,
    /// Of the ledger's concern alone.
    _promise_booked: i64,
}

/// The columns of `payments` in the order of the schema.
pub(super) const PAYMENT: &str = "id, cart_id, order_id, provider, our_key, provider_ref, state, currency, amount, captured, \
     refunded, voided, capture_pending, refund_pending, void_pending, attempt, lease_until, idempotency_id, doc, \
     version, created_at, updated_at, ending, disputed, expires_at, due_at, parent_id, root_id, promise_booked";

impl From<PaymentRow> for Payment {
    fn from(row: PaymentRow) -> Self {
        let money = |minor| Money::from_minor(minor, row.currency);
        Self {
            id: row.id,
            cart_id: row.cart_id,
            order_id: row.order_id,
            provider: row.provider,
            our_key: row.our_key,
            provider_ref: row.provider_ref,
            state: row.state,
            amount: money(row.amount),
            captured: money(row.captured),
            refunded: money(row.refunded),
            voided: money(row.voided),
            capture_pending: money(row.capture_pending),
            refund_pending: money(row.refund_pending),
            void_pending: money(row.void_pending),
            attempt: row.attempt,
            lease_until: row.lease_until,
            idempotency_id: row.idempotency_id,
            details: row.doc.0,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            ending: row.ending,
            disputed: money(row.disputed),
            expires_at: row.expires_at,
            due_at: row.due_at,
            parent: row.parent,
            root: row.root,
        }
    }
}

pub(super) fn load(tx: &mut Tx, statement: Sql) -> Result<Vec<Payment>> {
    let rows: Vec<PaymentRow> = statement.load::<payments::SqlType, _>(tx)?;
    Ok(rows.into_iter().map(Payment::from).collect())
}

const NEW: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("cart_id", Col::Uid),
    ("order_id", Col::Uid),
    ("provider", Col::Text),
    ("our_key", Col::Text),
    ("provider_ref", Col::Text),
    ("state", Col::Text),
    ("currency", Col::Text),
    ("amount", Col::Int),
    ("captured", Col::Int),
    ("refunded", Col::Int),
    ("voided", Col::Int),
    ("capture_pending", Col::Int),
    ("refund_pending", Col::Int),
    ("void_pending", Col::Int),
    ("attempt", Col::Int),
    ("lease_until", Col::At),
    ("idempotency_id", Col::Uid),
    ("doc", Col::Doc),
    ("version", Col::Int),
    ("created_at", Col::At),
    ("updated_at", Col::At),
    ("expires_at", Col::At),
    ("due_at", Col::At),
];

/// Writes payments, with one statement.
pub(super) fn insert(tx: &mut Tx, now: Instant, new: &[NewPayment]) -> Result<()> {
    let row = |new: &NewPayment| -> Result<Vec<Bind>> {
        let mut row: Vec<Bind> = vec![
            new.id.into(),
            new.cart.into(),
            new.order.into(),
            new.provider.as_str().into(),
            new.our_key.as_str().into(),
            new.provider_ref.clone().into(),
            new.state.as_str().into(),
            new.amount.currency().into(),
            new.amount.minor().into(),
        ];
        row.extend([0i64; 6].map(Bind::from));
        row.extend([1i64.into(), new.lease_until.into(), new.idempotency_id.into(), Json::of(&new.details)?.into()]);
        row.extend([1i64.into(), now.into(), now.into(), new.expires_at.into(), new.due_at.into()]);
        Ok(row)
    };
    let rows: Result<Vec<_>> = new.iter().map(row).collect();
    insert_many(tx, "payments", NEW, rows?).map(|_| ())
}

/// The end of every guard on a payment whose answer is written by the attempt that asked for it.
const OPEN: &str = "WHERE id = ? AND attempt = ? AND state IN ('pending', 'action_required')";

/// Notes why an open payment is being ended, or that it is not after all.
pub(super) fn ending(tx: &mut Tx, now: Instant, id: PaymentId, attempt: i64, why: Option<&str>) -> Result<bool> {
    let update = format!("UPDATE payments SET ending = ?, version = version + 1, updated_at = ? {OPEN}");
    let update = sql(update).bind(why.map(str::to_owned)).bind(now);
    Ok(update.bind(id).bind(attempt).execute(tx)? == 1)
}

pub(super) fn authorised(
    tx: &mut Tx,
    now: Instant,
    id: PaymentId,
    attempt: i64,
    (provider_ref, expires_at): (Option<&str>, Option<Instant>),
    order: OrderId,
) -> Result<bool> {
    let update = format!(
        "UPDATE payments SET state = 'authorised', order_id = ?, provider_ref = coalesce(?, provider_ref), \
         expires_at = ?, due_at = ?, lease_until = NULL, version = version + 1, updated_at = ? {OPEN} AND ending IS NULL"
    );
    let due_at = expires_at.map(|until| renew_at(now, until));
    let update = sql(update).bind(order).bind(provider_ref.map(str::to_owned)).bind(expires_at).bind(due_at).bind(now);
    Ok(update.bind(id).bind(attempt).execute(tx)? == 1)
}

pub(super) fn action_required(
    tx: &mut Tx,
    now: Instant,
    id: PaymentId,
    attempt: i64,
    action: &Action,
    provider_ref: Option<&str>,
    lease_until: Instant,
) -> Result<bool> {
    // What went wrong before has been overcome: the provider answers.
    let untroubled = dialect::with_member(tx, "doc", "trouble");
    let planned = dialect::with_member(tx, &untroubled, "ask_at");
    let doc = dialect::with_member(tx, &planned, "action");
    let update = format!(
        "UPDATE payments SET state = 'action_required', doc = {doc}, provider_ref = coalesce(?, provider_ref), \
         lease_until = ?, version = version + 1, updated_at = ? {OPEN} AND ending IS NULL"
    );
    let none = Json::of(&None::<Trouble>)?;
    let update = sql(update)
        .bind(none)
        .bind(Json::of(&lease_until)?)
        .bind(Json::of(action)?)
        .bind(provider_ref.map(str::to_owned))
        .bind(lease_until)
        .bind(now);
    Ok(update.bind(id).bind(attempt).execute(tx)? == 1)
}

/// Leaves an open payment to whoever comes after `trouble.retry_at`.
pub(super) fn put_off(tx: &mut Tx, now: Instant, id: PaymentId, attempt: i64, trouble: &Trouble) -> Result<bool> {
    let doc = dialect::with_member(tx, "doc", "trouble");
    let update =
        format!("UPDATE payments SET doc = {doc}, lease_until = ?, version = version + 1, updated_at = ? {OPEN}");
    let update = sql(update).bind(Json::of(trouble)?).bind(trouble.retry_at).bind(now);
    Ok(update.bind(id).bind(attempt).execute(tx)? == 1)
}

/// Ends a payment that has no order. The reason stays in its document.
pub(super) fn ended(
    tx: &mut Tx,
    now: Instant,
    id: PaymentId,
    attempt: i64,
    state: PaymentState,
    decline: Option<&Decline>,
) -> Result<bool> {
    let doc = dialect::with_member(tx, "doc", "decline");
    let voided = if state == PaymentState::Voided { "amount" } else { "0" };
    let update = format!(
        "UPDATE payments SET state = ?, doc = {doc}, voided = {voided}, lease_until = NULL, version = version + 1, \
         updated_at = ? {OPEN}"
    );
    let update = sql(update).bind(state.as_str()).bind(Json::of(&decline)?).bind(now);
    Ok(update.bind(id).bind(attempt).execute(tx)? == 1)
}

pub(super) fn claim_due(tx: &mut Tx, now: Instant, lease_seconds: i64, limit: i64) -> Result<Vec<Payment>> {
    let skip = dialect::skip_locked(tx);
    let update = format!(
        "UPDATE payments SET attempt = attempt + 1, lease_until = ?, version = version + 1, updated_at = ? WHERE id IN ( \
           SELECT id FROM payments WHERE state IN ('pending', 'action_required') AND lease_until <= ? \
           ORDER BY lease_until, id LIMIT ?{skip}) RETURNING {PAYMENT}"
    );
    let update = sql(update).bind(now.plus_seconds(lease_seconds)).bind(now).bind(now).bind(limit);
    load(tx, update)
}

pub(super) fn claim(tx: &mut Tx, now: Instant, our_key: &str, lease_seconds: i64) -> Result<Option<Payment>> {
    let update = format!(
        "UPDATE payments SET attempt = attempt + 1, lease_until = ?, version = version + 1, updated_at = ? \
         WHERE our_key = ? AND state IN ('pending', 'action_required') RETURNING {PAYMENT}"
    );
    let update = sql(update).bind(now.plus_seconds(lease_seconds)).bind(now).bind(our_key);
    Ok(load(tx, update)?.pop())
}

pub(super) fn any_due(tx: &mut Tx, now: Instant) -> Result<bool> {
    let query = "SELECT 1 FROM payments WHERE state IN ('pending', 'action_required') AND lease_until <= ? LIMIT 1";
    Ok(sql(query).bind(now).first::<Integer, i32>(tx)?.is_some())
}

/// Takes its order from a promise none of whose money has moved.
pub(super) fn orphaned(tx: &mut Tx, now: Instant, id: PaymentId) -> Result<bool> {
    let update = "UPDATE payments SET order_id = NULL, version = version + 1, updated_at = ? \
                  WHERE id = ? AND state = 'authorised' AND captured + capture_pending + void_pending = 0";
    Ok(sql(update).bind(now).bind(id).execute(tx)? == 1)
}

pub(super) fn late_promise(tx: &mut Tx, now: Instant, our_key: &str) -> Result<Option<Payment>> {
    let update = format!(
        "UPDATE payments SET state = CASE state WHEN 'voided' THEN state ELSE 'authorised' END, \
         version = version + 1, updated_at = ? WHERE our_key = ? \
         AND state IN ('declined', 'failed', 'voided', 'authorised') AND order_id IS NULL RETURNING {PAYMENT}"
    );
    Ok(load(tx, sql(update).bind(now).bind(our_key))?.pop())
}

pub(super) fn given_up(tx: &mut Tx, now: Instant, id: PaymentId) -> Result<bool> {
    // What failed was not known to be promised.
    let update = "UPDATE payments SET state = CASE state WHEN 'failed' THEN 'declined' ELSE 'voided' END, \
                  voided = CASE state WHEN 'failed' THEN voided ELSE amount END, version = version + 1, updated_at = ? \
                  WHERE id = ? AND state IN ('authorised', 'failed') AND order_id IS NULL \
                  AND captured + capture_pending + void_pending = 0";
    Ok(sql(update).bind(now).bind(id).execute(tx)? == 1)
}

/// Notes what somebody has found out about a failed payment, once. False when it is not failed, or that was noted before.
pub(super) fn resolve(tx: &mut Tx, now: Instant, id: PaymentId, resolution: &Resolution) -> Result<bool> {
    let doc = dialect::with_member(tx, "doc", "resolved");
    let update = format!(
        "UPDATE payments SET doc = {doc}, version = version + 1, updated_at = ? \
         WHERE id = ? AND state = 'failed' AND doc->>'resolved' IS NULL"
    );
    Ok(sql(update).bind(Json::of(resolution)?).bind(now).bind(id).execute(tx)? == 1)
}

pub(super) fn get(tx: &mut Tx, id: PaymentId) -> Result<Option<Payment>> {
    Ok(load(tx, sql(format!("SELECT {PAYMENT} FROM payments WHERE id = ?")).bind(id))?.pop())
}

pub(super) fn by_key(tx: &mut Tx, our_key: &str) -> Result<Option<Payment>> {
    Ok(load(tx, sql(format!("SELECT {PAYMENT} FROM payments WHERE our_key = ?")).bind(our_key))?.pop())
}

/// Payments by what somebody may call them: our key of them or of an operation of theirs, or what their provider calls them. The newest first.
pub(super) fn called(tx: &mut Tx, name: &str, limit: i64) -> Result<Vec<Payment>> {
    let query = format!(
        "SELECT {PAYMENT} FROM payments WHERE id IN (SELECT id FROM payments WHERE our_key = ? \
         UNION SELECT id FROM payments WHERE provider_ref = ? \
         UNION SELECT payment_id FROM payment_operations WHERE our_key = ?) ORDER BY id DESC LIMIT ?"
    );
    load(tx, sql(query).bind(name).bind(name).bind(name).bind(limit))
}

/// A payment by what its provider calls it; the one that the provider knows, where it has shares.
pub(super) fn by_reference(tx: &mut Tx, name: &str) -> Result<Option<Payment>> {
    let query = format!("SELECT {PAYMENT} FROM payments WHERE provider_ref = ? AND root_id IS NULL LIMIT 1");
    Ok(load(tx, sql(query).bind(name))?.pop())
}

/// Takes off a payment what goes over to another order: so much that is promised, so much that was taken. False where that is not left.
pub(super) fn take_share(tx: &mut Tx, now: Instant, id: PaymentId, (promised, captured): (i64, i64)) -> Result<bool> {
    let update = "UPDATE payments SET amount = amount - ?, captured = captured - ?, \
                  state = CASE WHEN captured + voided < amount - ? THEN state ELSE 'captured' END, \
                  version = version + 1, updated_at = ? \
                  WHERE id = ? AND order_id IS NOT NULL AND state IN ('authorised', 'captured') \
                  AND (? = 0 OR state = 'authorised') AND captured + capture_pending + voided + void_pending + ? <= amount \
                  AND refunded + refund_pending + disputed + ? <= captured";
    let update = sql(update).bind(promised.saturating_add(captured)).bind(captured).bind(promised).bind(now).bind(id);
    Ok(update.bind(promised).bind(promised).bind(captured).execute(tx)? == 1)
}

/// Notes of a payment that was just opened what it is a share of, and what was taken of that.
pub(super) fn note_share(tx: &mut Tx, one: &Payment) -> Result<()> {
    let update = "UPDATE payments SET captured = ?, parent_id = ?, root_id = ? WHERE id = ? AND version = 1";
    let update = sql(update).bind(one.captured.minor()).bind(one.parent).bind(one.root);
    match update.bind(one.id).execute(tx)? {
        1 => Ok(()),
        _ => Err(Error::internal(format!("the share {} was not opened", one.id))),
    }
}

/// A payment that its provider knows, and all its shares.
pub(super) fn family(tx: &mut Tx, root: PaymentId) -> Result<Vec<Payment>> {
    let query = format!(
        "SELECT {PAYMENT} FROM payments WHERE id = ? OR root_id = ? ORDER BY CASE WHEN root_id IS NULL THEN 0 ELSE 1 END, id"
    );
    load(tx, sql(query).bind(root).bind(root))
}

pub(super) fn of_cart(tx: &mut Tx, cart: CartId) -> Result<Vec<Payment>> {
    load(tx, sql(format!("SELECT {PAYMENT} FROM payments WHERE cart_id = ? ORDER BY created_at, id")).bind(cart))
}

pub(super) fn of_orders(tx: &mut Tx, orders: &[OrderId]) -> Result<Vec<Payment>> {
    let wanted = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT {PAYMENT} FROM payments WHERE order_id IN (SELECT wanted FROM {wanted}) ORDER BY created_at, id"
    );
    load(tx, sql(query).bind(dialect::rows(orders.iter().map(|order| json!([order.hex()])).collect())))
}

/// A row of `payment_operations`, in the order of [`OPERATION`].
#[derive(Queryable)]
struct OperationRow {
    id: PaymentOperationId,
    payment_id: PaymentId,
    kind: OperationKind,
    our_key: String,
    state: OperationState,
    amount: i64,
    reason: Option<String>,
    error: Option<String>,
    idempotency_id: Option<IdempotencyKeyId>,
    created_at: Instant,
    updated_at: Instant,
    target: Option<Target>,
    stored_value_id: Option<StoredValueId>,
}

/// The columns of `payment_operations` in the order of the schema.
const OPERATION: &str = "id, payment_id, kind, our_key, state, amount, reason, error, idempotency_id, created_at, updated_at, target, stored_value_id";

impl From<OperationRow> for Operation {
    fn from(row: OperationRow) -> Self {
        Self {
            id: row.id,
            payment: row.payment_id,
            kind: row.kind,
            our_key: row.our_key,
            state: row.state,
            amount: row.amount,
            reason: row.reason,
            error: row.error,
            idempotency_id: row.idempotency_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
            target: row.target,
            stored_value: row.stored_value_id,
        }
    }
}

fn load_operations(tx: &mut Tx, statement: Sql) -> Result<Vec<Operation>> {
    let rows: Vec<OperationRow> = statement.load::<payment_operations::SqlType, _>(tx)?;
    Ok(rows.into_iter().map(Operation::from).collect())
}

/// The state after captured or voided has grown: open while some of the promise is left.
const SETTLED: &str = "CASE WHEN captured + voided + ? < amount THEN state \
                       WHEN captured > 0 OR ? THEN 'captured' ELSE 'voided' END";

/// What is left to capture or to void; to refund.
const CAPTURABLE: &str = "state = 'authorised' AND captured + capture_pending + voided + void_pending + ? <= amount";
const REFUNDABLE: &str = "state IN ('authorised', 'captured') AND refunded + refund_pending + disputed + ? <= captured";

/// The columns that a kind of operation counts in, and its guard.
const fn columns(kind: OperationKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        OperationKind::Capture => ("captured", "capture_pending", CAPTURABLE),
        OperationKind::Void => ("voided", "void_pending", CAPTURABLE),
        OperationKind::Refund => ("refunded", "refund_pending", REFUNDABLE),
    }
}

/// Counts an amount as spoken for, when so much is left. False when it is not.
pub(super) fn begin(tx: &mut Tx, now: Instant, new: &NewOperation) -> Result<bool> {
    let (_, pending, guard) = columns(new.kind);
    let update = format!(
        "UPDATE payments SET {pending} = {pending} + ?, version = version + 1, updated_at = ? WHERE id = ? AND {guard}"
    );
    let update = sql(update).bind(new.amount).bind(now).bind(new.payment).bind(new.amount);
    Ok(update.execute(tx)? == 1)
}

/// Counts an amount as moved, when so much is left. False when it is not.
pub(super) fn record(tx: &mut Tx, now: Instant, new: &NewOperation) -> Result<bool> {
    let (done, _, guard) = columns(new.kind);
    let (grown, captured) = growth(new.kind, new.amount);
    let update = format!(
        "UPDATE payments SET {done} = {done} + ?, state = {SETTLED}, version = version + 1, updated_at = ? \
         WHERE id = ? AND {guard}"
    );
    let update = sql(update).bind(new.amount).bind(grown).bind(captured).bind(now).bind(new.payment).bind(new.amount);
    Ok(update.execute(tx)? == 1)
}

/// By how much captured and voided grow together, and whether captured does.
const fn growth(kind: OperationKind, amount: i64) -> (i64, bool) {
    match kind {
        OperationKind::Capture => (amount, true),
        OperationKind::Void => (amount, false),
        OperationKind::Refund => (0, false),
    }
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    /// The money has moved.
    Done,
    /// It has not, and will not.
    Failed,
}

/// Moves what was spoken for to where it belongs. The operation's own row has been ended first, so this happens once.
pub(super) fn count(tx: &mut Tx, now: Instant, operation: &Operation, counting: Counting) -> Result<()> {
    let (done, pending, _) = columns(operation.kind);
    let update = match counting {
        Counting::Done => {
            let (grown, captured) = growth(operation.kind, operation.amount);
            let update = format!(
                "UPDATE payments SET {pending} = {pending} - ?, {done} = {done} + ?, state = {SETTLED}, \
                 version = version + 1, updated_at = ? WHERE id = ?"
            );
            sql(update).bind(operation.amount).bind(operation.amount).bind(grown).bind(captured)
        }
        Counting::Failed => {
            let update = format!(
                "UPDATE payments SET {pending} = {pending} - ?, version = version + 1, updated_at = ? WHERE id = ?"
            );
            sql(update).bind(operation.amount)
        }
    };
    match update.bind(now).bind(operation.payment).execute(tx)? {
        1 => Ok(()),
        _ => Err(Error::internal(format!("operation {} has no payment", operation.id))),
    }
}

pub(super) fn insert_operation(
    tx: &mut Tx,
    now: Instant,
    new: &NewOperation,
    done: bool,
    to: Option<(Target, StoredValueId)>,
) -> Result<()> {
    let state = if done { OperationState::Done } else { OperationState::Pending };
    sql(format!("INSERT INTO payment_operations ({OPERATION}) VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?, ?, ?)"))
        .bind(new.id)
        .bind(new.payment)
        .bind(new.kind.as_str())
        .bind(new.our_key.as_str())
        .bind(state.as_str())
        .bind(new.amount)
        .bind(new.reason.clone())
        .bind(new.idempotency_id)
        .bind(now)
        .bind(now)
        .bind(to.map(|(target, _)| target.as_str().to_owned()))
        .bind(to.map(|(_, value)| value))
        .execute(tx)?;
    Ok(())
}

/// Ends an operation; with an error, as failed. `None` when it had ended before.
pub(super) fn end_operation(
    tx: &mut Tx,
    now: Instant,
    id: PaymentOperationId,
    error: Option<&str>,
) -> Result<Option<Operation>> {
    let state = if error.is_none() { OperationState::Done } else { OperationState::Failed };
    let update = format!(
        "UPDATE payment_operations SET state = ?, error = ?, updated_at = ? WHERE id = ? AND state = 'pending' \
         RETURNING {OPERATION}"
    );
    let update = sql(update).bind(state.as_str()).bind(error.map(str::to_owned)).bind(now).bind(id);
    Ok(load_operations(tx, update)?.pop())
}

/// Takes a refund that was done the way the money came for failed, and off what its payment has given back. `None` when it is none.
pub(super) fn undo_refund(tx: &mut Tx, now: Instant, id: PaymentOperationId, error: &str) -> Result<Option<Operation>> {
    let update = format!(
        "UPDATE payment_operations SET state = 'failed', error = ?, updated_at = ? WHERE id = ? AND state = 'done' \
         AND kind = 'refund' AND target IS NULL RETURNING {OPERATION}"
    );
    let update = sql(update).bind(error.to_owned()).bind(now).bind(id);
    let Some(undone) = load_operations(tx, update)?.pop() else { return Ok(None) };
    let update = "UPDATE payments SET refunded = refunded - ?, version = version + 1, updated_at = ? \
                  WHERE id = ? AND refunded >= ?";
    let update = sql(update).bind(undone.amount).bind(now).bind(undone.payment).bind(undone.amount);
    match update.execute(tx)? {
        1 => Ok(Some(undone)),
        _ => Err(Error::internal(format!("the refund {id} is not counted on its payment"))),
    }
}

/// Ends an operation that was done by hand. `None` when it is not any more as it was seen.
pub(super) fn confirm(tx: &mut Tx, now: Instant, seen: &Operation, reason: &str) -> Result<Option<Operation>> {
    let update = format!(
        "UPDATE payment_operations SET state = 'done', error = NULL, reason = ?, updated_at = ? WHERE id = ? AND state = ? \
         RETURNING {OPERATION}"
    );
    let update = sql(update).bind(reason).bind(now).bind(seen.id).bind(seen.state.as_str());
    Ok(load_operations(tx, update)?.pop())
}

pub(super) fn operation(tx: &mut Tx, id: PaymentOperationId) -> Result<Option<Operation>> {
    let query = format!("SELECT {OPERATION} FROM payment_operations WHERE id = ?");
    Ok(load_operations(tx, sql(query).bind(id))?.pop())
}

pub(super) fn operations(tx: &mut Tx, payments: &[PaymentId]) -> Result<Vec<Operation>> {
    let wanted = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT {OPERATION} FROM payment_operations WHERE payment_id IN (SELECT wanted FROM {wanted}) \
         ORDER BY created_at, id"
    );
    load_operations(tx, sql(query).bind(dialect::rows(payments.iter().map(|id| json!([id.hex()])).collect())))
}

/// The columns of `ledger_entries`; its place in the journal a posting gets later.
const ENTRY: [(&str, Col); 14] = [
    ("id", Col::Uid),
    ("order_id", Col::Uid),
    ("posting", Col::Text),
    ("account", Col::Text),
    ("currency", Col::Text),
    ("amount", Col::Int),
    ("occurred_at", Col::At),
    ("recorded_at", Col::At),
    ("channel_id", Col::Uid),
    ("country", Col::Text),
    ("treatment", Col::Text),
    ("rate", Col::Text),
    ("tax", Col::Int),
    ("journal_position", Col::Int),
];

/// Rows of the ledger, but for their places in the journal.
pub(super) fn insert_entries(tx: &mut Tx, rows: Vec<Vec<Bind>>) -> Result<()> {
    let [columns @ .., _] = &ENTRY;
    insert_many(tx, "ledger_entries", columns, rows).map(|_| ())
}

/// Rows of the ledger that are no part of the journal: they stand before all that is.
pub(super) fn insert_beside(tx: &mut Tx, mut rows: Vec<Vec<Bind>>) -> Result<()> {
    rows.iter_mut().for_each(|row| row.push(0i64.into()));
    insert_many(tx, "ledger_entries", &ENTRY, rows).map(|_| ())
}

pub(super) fn balance(tx: &mut Tx, order: OrderId) -> Result<Vec<(Account, i64)>> {
    let query = "SELECT account, CAST(sum(amount) AS bigint) FROM ledger_entries WHERE order_id = ? \
                 GROUP BY account ORDER BY account";
    sql(query).bind(order).load::<(Text, BigInt), _>(tx)
}

/// The rows of an order's ledger, those of a posting together, in the order in which they were recorded.
pub(super) fn entries(tx: &mut Tx, order: OrderId) -> Result<Vec<Entry>> {
    type Types = (Text, Text, Text, BigInt, InstantSql, InstantSql, Nullable<BigInt>, Nullable<Text>, Nullable<Text>);
    type Row = (String, Account, Currency, i64, Instant, Instant, Option<i64>, Option<String>, Option<String>);
    let query = "SELECT posting, account, currency, amount, occurred_at, recorded_at, journal_position, rate, country \
                 FROM ledger_entries WHERE order_id = ? ORDER BY recorded_at, posting, account, id";
    let entry = |(posting, account, currency, amount, occurred_at, recorded_at, position, rate, country): Row| Entry {
        posting,
        account,
        amount: Money::from_minor(amount, currency),
        occurred_at,
        recorded_at,
        journal_position: position.filter(|position| *position > 0),
        rate,
        country: country.and_then(|text| text.parse().ok()),
    };
    Ok(sql(query).bind(order).load::<Types, Row>(tx)?.into_iter().map(entry).collect())
}

/// Where and how an order was taxed when it was placed, where that is known.
pub(super) fn taxed_as(tx: &mut Tx, order: OrderId) -> Result<Option<(Option<Country>, Option<TaxTreatment>)>> {
    let query = "SELECT country, treatment FROM ledger_entries WHERE order_id = ? AND posting = 'placed' \
                 AND account = 'revenue' AND channel_id IS NOT NULL LIMIT 1";
    let found =
        sql(query).bind(order).first::<(Nullable<Text>, Nullable<Text>), (Option<String>, Option<String>)>(tx)?;
    let read = |(country, treatment): (Option<String>, Option<String>)| {
        (country.and_then(|text| text.parse().ok()), treatment.and_then(|text| text.parse().ok()))
    };
    Ok(found.map(read))
}

/// The next orders, in the order of their ids, of whose revenue it is not booked where and how it is taxed.
pub(super) fn undeclared(tx: &mut Tx, after: Option<OrderId>, limit: i64) -> Result<Vec<OrderId>> {
    let behind = after.map_or("", |_| " AND order_id > ?");
    let query = format!(
        "SELECT DISTINCT order_id FROM ledger_entries WHERE account = 'revenue' AND channel_id IS NULL{behind} \
         ORDER BY order_id LIMIT ?"
    );
    sql(query).bind_all(after.map(Bind::from)).bind(limit).load::<UidSql, OrderId>(tx)
}

/// Notes where and how the revenue of an order is taxed, where that is not booked: one row of each posting has all of its tax.
pub(super) fn declare(
    tx: &mut Tx,
    order: OrderId,
    channel: ChannelId,
    [country, treatment, rate]: [Option<String>; 3],
) -> Result<()> {
    sql("UPDATE ledger_entries SET channel_id = ?, country = ?, treatment = ?, rate = ?, \
           tax = coalesce((SELECT -t.amount FROM ledger_entries AS t WHERE t.order_id = ledger_entries.order_id \
             AND t.posting = ledger_entries.posting AND t.account = 'tax'), 0) \
         WHERE order_id = ? AND account = 'revenue' AND channel_id IS NULL")
    .bind(channel)
    .bind(country)
    .bind(treatment)
    .bind(rate)
    .bind(order)
    .execute(tx)?;
    Ok(())
}

/// What was sold, or taken back, of one kind in a span of time.
#[derive(Queryable)]
pub(super) struct SoldSum {
    pub country: Option<String>,
    pub treatment: Option<String>,
    pub rate: Option<String>,
    pub currency: Currency,
    /// Whether it is of orders that were placed, and not of what was taken back.
    pub placed: bool,
    pub net: i64,
    pub tax: i64,
}

/// What was sold in channels in a span of time, by country, treatment, rate and currency. It is added up from an index alone.
pub(super) fn sold(tx: &mut Tx, channels: &[ChannelId], (from, to): (Instant, Instant)) -> Result<Vec<SoldSum>> {
    let wanted = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT country, treatment, rate, currency, (posting = 'placed' OR posting LIKE 'amend:%') AS placed, \
           CAST(coalesce(-sum(amount), 0) AS bigint), CAST(coalesce(sum(tax), 0) AS bigint) \
         FROM ledger_entries WHERE account = 'revenue' AND occurred_at >= ? AND occurred_at < ? \
           AND channel_id IN (SELECT wanted FROM {wanted}) \
         GROUP BY country, treatment, rate, currency, (posting = 'placed' OR posting LIKE 'amend:%')"
    );
    let channels = channels.iter().map(|id| json!([id.hex()])).collect();
    type Types = (Nullable<Text>, Nullable<Text>, Nullable<Text>, Text, diesel::sql_types::Bool, BigInt, BigInt);
    sql(query).bind(from).bind(to).bind(dialect::rows(channels)).load::<Types, SoldSum>(tx)
}

/// The attempts to pay carts, with one statement; nobody changes them until the end of the transaction.
pub(super) fn of_carts_locked(tx: &mut Tx, carts: &[CartId]) -> Result<Vec<Payment>> {
    let wanted = dialect::list(tx, &[("wanted", Col::Uid)]);
    let locked = dialect::for_update(tx);
    let query =
        format!("SELECT {PAYMENT} FROM payments WHERE cart_id IN (SELECT wanted FROM {wanted}) ORDER BY id{locked}");
    load(tx, sql(query).bind(dialect::rows(carts.iter().map(|cart| json!([cart.hex()])).collect())))
}

/// Writes the details of settled payments, with one statement. When they failed stays, or they would be news again.
pub(super) fn erase(tx: &mut Tx, payments: &[(PaymentId, PaymentDetails)]) -> Result<()> {
    let list = dialect::list(tx, &[("wanted", Col::Uid), ("bare", Col::Doc)]);
    let rows: Result<Vec<_>> =
        payments.iter().map(|(id, doc)| Ok(json!([id.hex(), serde_json::to_value(doc)?]))).collect();
    let update =
        format!("UPDATE payments SET doc = list.bare, version = version + 1 FROM {list} WHERE id = list.wanted");
    sql(update).bind(dialect::rows(rows?)).execute(tx)?;
    Ok(())
}
