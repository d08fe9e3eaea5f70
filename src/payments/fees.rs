//! What providers keep of payments: each is told once, by the provider or by its statements. The only file that touches `payment_fees`.

use diesel::sql_types::{BigInt, Text};
use serde::Serialize;
use serde_json::json;

use super::{
    STRIPE,
    ledger::{self, Posting},
    model::Payment,
};
use crate::{
    db::{Bind, Col, InstantSql, Tx, UidSql, dialect, sql},
    error::{Code, Error, Result},
    kernel::{Currency, Instant, Money, ids::PaymentId},
    payments::Account,
};

/// What a provider has kept of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PaymentFee {
    /// What its statement calls it. Of a payment each is noted once.
    pub reference: String,
    /// How much. What is in another currency than the order's is noted, and not booked.
    pub amount: Money,
    /// When it was kept.
    pub occurred_at: Instant,
}

/// Whether a provider tells by itself what it keeps, some time after it has taken money.
#[must_use]
pub fn tells_fees(provider: &str) -> bool {
    provider == STRIPE
}

const NEW: &[(&str, Col)] = &[
    ("payment_id", Col::Uid),
    ("reference", Col::Text),
    ("order_id", Col::Uid),
    ("currency", Col::Text),
    ("amount", Col::Int),
    ("occurred_at", Col::At),
    ("recorded_at", Col::At),
];

/// Notes what was kept of a payment, and books it in its order's ledger, which is locked: each once, however often it is told.
///
/// # Errors
/// `state_conflict` where no order came of the payment; `duplicate` where it was told with another amount.
pub fn keep(tx: &mut Tx, now: Instant, payment: &Payment, fees: &[PaymentFee]) -> Result<()> {
    let none = || Error::conflict("no order came of this payment: there is nothing to book");
    let order = payment.order_id.ok_or_else(none)?;
    let known = of_payments(tx, &[payment.id])?;
    let mut fresh: Vec<&PaymentFee> = Vec::with_capacity(fees.len());
    for fee in fees {
        let told =
            known.iter().map(|(_, one)| one).chain(fresh.iter().copied()).find(|one| one.reference == fee.reference);
        match told {
            None => fresh.push(fee),
            Some(one) if one.amount == fee.amount => {}
            Some(one) => {
                let detail = format!("`{}` was told with {}", fee.reference, one.amount);
                return Err(Error::problem(Code::Duplicate, detail).at("/reference"));
            }
        }
    }
    if fresh.is_empty() {
        return Ok(());
    }
    let row = |fee: &&PaymentFee| -> Vec<Bind> {
        vec![
            payment.id.into(),
            fee.reference.as_str().into(),
            order.into(),
            fee.amount.currency().into(),
            fee.amount.minor().into(),
            fee.occurred_at.into(),
            now.into(),
        ]
    };
    crate::db::insert_many(tx, "payment_fees", NEW, fresh.iter().map(row).collect())?;
    let booked = fresh.iter().filter(|fee| fee.amount.currency() == payment.amount.currency());
    let postings = booked.map(|fee| Posting {
        order,
        posting: format!("fee:{}:{}", payment.id, fee.reference),
        occurred_at: fee.occurred_at,
        currency: payment.amount.currency(),
        entries: vec![(Account::Fee, fee.amount.minor()), (Account::Chargeback, -fee.amount.minor())],
    });
    let postings: Vec<Posting> = postings.collect();
    if postings.is_empty() { Ok(()) } else { ledger::post(tx, now, postings) }
}

/// What was kept of payments, the oldest first: one statement.
///
/// # Errors
/// What the database says.
pub fn of_payments(tx: &mut Tx, payments: &[PaymentId]) -> Result<Vec<(PaymentId, PaymentFee)>> {
    type Types = (UidSql, Text, Text, BigInt, InstantSql);
    type Row = (PaymentId, String, Currency, i64, Instant);
    let wanted = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT payment_id, reference, currency, amount, occurred_at FROM payment_fees \
         WHERE payment_id IN (SELECT wanted FROM {wanted}) ORDER BY occurred_at, reference"
    );
    let one = |(payment, reference, currency, amount, occurred_at): Row| {
        (payment, PaymentFee { reference, amount: Money::from_minor(amount, currency), occurred_at })
    };
    let query = sql(query).bind(dialect::rows(payments.iter().map(|id| json!([id.hex()])).collect()));
    Ok(query.load::<Types, Row>(tx)?.into_iter().map(one).collect())
}
