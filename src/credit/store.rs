//! The only file that touches `company_credits`, `company_debts` and `company_credit_entries`.

use diesel::sql_types::{BigInt, Nullable, Text};

use super::model::{Above, Credit, CreditEntry, CreditEntryKind, Debt};
use crate::{
    db::{Bind, InstantSql, Sql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Currency, Instant, Money,
        ids::{CompanyId, CreditEntryId, OrderId, PaymentId},
    },
};

type CreditTypes = (UidSql, Text, BigInt, BigInt, Text, BigInt, InstantSql, InstantSql);
type CreditRow = (CompanyId, Currency, i64, i64, Above, i64, Instant, Instant);
const CREDIT: &str = "company_id, currency, credit_limit, used, above, version, created_at, updated_at";

fn credit((company_id, currency, limit, used, above, version, created_at, updated_at): CreditRow) -> Credit {
    let money = |minor| Money::from_minor(minor, currency);
    let available = money(limit.saturating_sub(used).max(0));
    Credit { company_id, limit: money(limit), used: money(used), available, above, version, created_at, updated_at }
}

fn first(tx: &mut Tx, query: Sql) -> Result<Option<Credit>> {
    Ok(query.first::<CreditTypes, CreditRow>(tx)?.map(credit))
}

/// The credits of a company, by currency: one statement.
///
/// # Errors
/// What the database says.
pub fn of_company(tx: &mut Tx, company: CompanyId) -> Result<Vec<Credit>> {
    let query = format!("SELECT {CREDIT} FROM company_credits WHERE company_id = ? ORDER BY currency");
    Ok(sql(query).bind(company).load::<CreditTypes, CreditRow>(tx)?.into_iter().map(credit).collect())
}

/// The credit of a company in a currency.
pub(super) fn read(tx: &mut Tx, company: CompanyId, currency: Currency) -> Result<Option<Credit>> {
    let query = format!("SELECT {CREDIT} FROM company_credits WHERE company_id = ? AND currency = ?");
    first(tx, sql(query).bind(company).bind(currency))
}

/// Sets a limit, whatever it was; gives the credit as it is then.
pub(super) fn set(
    tx: &mut Tx,
    now: Instant,
    company: CompanyId,
    (limit, above): (Money, Above),
) -> Result<Option<Credit>> {
    let set = format!(
        "INSERT INTO company_credits AS c ({CREDIT}) VALUES (?, ?, ?, 0, ?, 1, ?, ?) \
         ON CONFLICT (company_id, currency) DO UPDATE SET credit_limit = excluded.credit_limit, above = excluded.above, \
         version = c.version + 1, updated_at = excluded.updated_at RETURNING {CREDIT}"
    );
    let set = sql(set).bind(company).bind(limit.currency()).bind(limit.minor()).bind(above.as_str());
    first(tx, set.bind(now).bind(now))
}

/// Takes an amount of a company's credit, where it is within the limit, orders above it are held, or the shop has approved that it is owed up
/// to so much. This row is the guard.
pub(super) fn take(
    tx: &mut Tx,
    now: Instant,
    company: CompanyId,
    (amount, up_to): (Money, Option<Money>),
) -> Result<Option<Credit>> {
    let take = format!(
        "UPDATE company_credits SET used = used + ?, version = version + 1, updated_at = ? \
         WHERE company_id = ? AND currency = ? AND (used + ? <= credit_limit OR above = 'hold' OR used + ? <= ?) RETURNING {CREDIT}"
    );
    // Nothing is as little as what nobody has approved.
    let up_to = up_to.map_or(-1, Money::minor);
    let take = sql(take).bind(amount.minor()).bind(now).bind(company).bind(amount.currency());
    first(tx, take.bind(amount.minor()).bind(amount.minor()).bind(up_to))
}

/// The credit of a company, where what it owes is within the limit or orders above it are held. Behind a change of it in the same transaction
/// this row is the guard, as in [`take`].
pub(super) fn within(tx: &mut Tx, company: CompanyId, currency: Currency) -> Result<Option<Credit>> {
    let within = format!(
        "UPDATE company_credits SET used = used WHERE company_id = ? AND currency = ? \
         AND (used <= credit_limit OR above = 'hold') RETURNING {CREDIT}"
    );
    first(tx, sql(within).bind(company).bind(currency))
}

/// Changes what a company owes, by what an order that owed it before owes more or less.
pub(super) fn change(tx: &mut Tx, now: Instant, company: CompanyId, by: Money) -> Result<Option<Credit>> {
    let change = format!(
        "UPDATE company_credits SET used = used + ?, version = version + 1, updated_at = ? \
         WHERE company_id = ? AND currency = ? RETURNING {CREDIT}"
    );
    first(tx, sql(change).bind(by.minor()).bind(now).bind(company).bind(by.currency()))
}

#[rustfmt::skip]
type DebtTypes = (UidSql, UidSql, UidSql, Text, Text, BigInt, BigInt, BigInt, InstantSql, BigInt, InstantSql, InstantSql);
#[rustfmt::skip]
type DebtRow = (PaymentId, CompanyId, OrderId, String, Currency, i64, i64, i64, Instant, i64, Instant, Instant);
const DEBT: &str = "payment_id, company_id, order_id, order_number, currency, amount, open, paid, due_at, version, created_at, updated_at";

fn debts(rows: Vec<DebtRow>, now: Instant) -> Vec<Debt> {
    let debt = |row: DebtRow| {
        let (
            payment_id,
            company_id,
            order_id,
            order_number,
            currency,
            amount,
            open,
            paid,
            due_at,
            version,
            at,
            changed,
        ) = row;
        let money = |minor| Money::from_minor(minor, currency);
        Debt {
            payment_id,
            company_id,
            order_id,
            order_number,
            amount: money(amount),
            open: money(open),
            paid: money(paid),
            due_at,
            overdue: open > 0 && due_at <= now,
            version,
            created_at: at,
            updated_at: changed,
        }
    };
    rows.into_iter().map(debt).collect()
}

/// Writes down what an order owes.
pub(super) fn insert_debt(tx: &mut Tx, debt: &Debt) -> Result<()> {
    sql(format!("INSERT INTO company_debts ({DEBT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        .bind(debt.payment_id)
        .bind(debt.company_id)
        .bind(debt.order_id)
        .bind(debt.order_number.as_str())
        .bind(debt.amount.currency())
        .bind(debt.amount.minor())
        .bind(debt.open.minor())
        .bind(debt.paid.minor())
        .bind(debt.due_at)
        .bind(debt.version)
        .bind(debt.created_at)
        .bind(debt.updated_at)
        .execute(tx)?;
    Ok(())
}

/// Orders for which a company owes something still, by their ids.
pub(super) fn owing(
    tx: &mut Tx,
    (company, currency): (CompanyId, Currency),
    after: Option<OrderId>,
    limit: i64,
) -> Result<Vec<OrderId>> {
    let behind = after.map_or("", |_| " AND order_id > ?");
    let query = format!(
        "SELECT DISTINCT order_id FROM company_debts WHERE company_id = ? AND currency = ? AND open > 0{behind} \
         ORDER BY order_id LIMIT ?"
    );
    let query = sql(query).bind(company).bind(currency).bind_all(after.map(Bind::from));
    query.bind(limit).load::<UidSql, OrderId>(tx)
}

/// What a payment owes, locked until the end of the transaction.
pub(super) fn lock_debt(tx: &mut Tx, now: Instant, payment: PaymentId) -> Result<Option<Debt>> {
    let lock = dialect::for_update(tx);
    let query = sql(format!("SELECT {DEBT} FROM company_debts WHERE payment_id = ?{lock}")).bind(payment);
    Ok(debts(query.load::<DebtTypes, DebtRow>(tx)?, now).pop())
}

/// Until when what a payment owes is to be paid.
pub(super) fn due_of(tx: &mut Tx, payment: PaymentId) -> Result<Option<Instant>> {
    sql("SELECT due_at FROM company_debts WHERE payment_id = ?").bind(payment).first::<InstantSql, Instant>(tx)
}

/// Writes what is open and paid of a debt over the version that was read. False when it has changed since.
pub(super) fn save_debt(tx: &mut Tx, now: Instant, debt: &Debt, (open, paid): (i64, i64)) -> Result<bool> {
    let save = "UPDATE company_debts SET open = ?, paid = ?, version = version + 1, updated_at = ? \
                WHERE payment_id = ? AND version = ?";
    let save = sql(save).bind(open).bind(paid).bind(now).bind(debt.payment_id).bind(debt.version);
    Ok(save.execute(tx)? == 1)
}

/// Takes off a debt what goes over to another, where so much is left of the version that was read: of what was bought, is open, and is paid.
pub(super) fn take_of_debt(
    tx: &mut Tx,
    now: Instant,
    debt: &Debt,
    (amount, open, paid): (i64, i64, i64),
) -> Result<bool> {
    let take = "UPDATE company_debts SET amount = amount - ?, open = open - ?, paid = paid - ?, version = version + 1, updated_at = ? \
                WHERE payment_id = ? AND version = ? AND open >= ? AND paid >= ? AND amount - ? >= open - ?";
    let take = sql(take).bind(amount).bind(open).bind(paid).bind(now).bind(debt.payment_id).bind(debt.version);
    Ok(take.bind(open).bind(paid).bind(amount).bind(open).execute(tx)? == 1)
}

/// What a list of debts is narrowed to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Filter {
    pub company: Option<CompanyId>,
    /// Those that should have been paid before this.
    pub due_before: Option<Instant>,
    /// Those of which something is owed still, or nothing.
    pub open: Option<bool>,
}

/// A page of debts, those due first first.
pub(super) fn page(
    tx: &mut Tx,
    now: Instant,
    filter: Filter,
    after: Option<(Instant, PaymentId)>,
    limit: i64,
) -> Result<Vec<Debt>> {
    let (mut text, mut binds) = (String::from("WHERE true"), Vec::<Bind>::new());
    if let Some(company) = filter.company {
        text.push_str(" AND company_id = ?");
        binds.push(company.into());
    }
    match filter.open {
        Some(true) => text.push_str(" AND open > 0"),
        Some(false) => text.push_str(" AND open = 0"),
        None => {}
    }
    if let Some(before) = filter.due_before {
        text.push_str(" AND due_at <= ?");
        binds.push(before.into());
    }
    if let Some((due, payment)) = after {
        text.push_str(" AND (due_at, payment_id) > (?, ?)");
        binds.extend([due.into(), payment.into()]);
    }
    let query = format!("SELECT {DEBT} FROM company_debts {text} ORDER BY due_at, payment_id LIMIT ?");
    Ok(debts(sql(query).bind_all(binds).bind(limit).load::<DebtTypes, DebtRow>(tx)?, now))
}

#[rustfmt::skip]
type EntryTypes = (UidSql, UidSql, Text, Text, BigInt, BigInt, BigInt, Nullable<UidSql>, Nullable<UidSql>, Text, Nullable<Text>, InstantSql);
#[rustfmt::skip]
type EntryRow = (CreditEntryId, CompanyId, Currency, CreditEntryKind, i64, i64, i64, Option<PaymentId>, Option<OrderId>, String, Option<String>, Instant);
const ENTRY: &str =
    "id, company_id, currency, kind, amount, used_after, version, payment_id, order_id, actor, reason, created_at";

/// Writes a change down: of each version there is one.
pub(super) fn insert_entry(tx: &mut Tx, entry: &CreditEntry) -> Result<()> {
    sql(format!("INSERT INTO company_credit_entries ({ENTRY}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        .bind(entry.id)
        .bind(entry.company_id)
        .bind(entry.amount.currency())
        .bind(entry.kind.as_str())
        .bind(entry.amount.minor())
        .bind(entry.used_after.minor())
        .bind(entry.version)
        .bind(entry.payment_id)
        .bind(entry.order_id)
        .bind(entry.actor.as_str())
        .bind(entry.reason.clone())
        .bind(entry.created_at)
        .execute(tx)?;
    Ok(())
}

/// Where a change stands among those of a company: its currency, and the version that it made.
pub(super) type EntryPlace = (String, i64);

/// A page of the changes of a company's credits: by currency, the newest first.
pub(super) fn entries(
    tx: &mut Tx,
    company: CompanyId,
    after: Option<EntryPlace>,
    limit: i64,
) -> Result<Vec<CreditEntry>> {
    let behind = after.as_ref().map_or("", |_| " AND (currency > ? OR currency = ? AND version < ?)");
    let query = format!(
        "SELECT {ENTRY} FROM company_credit_entries WHERE company_id = ?{behind} ORDER BY currency, version DESC LIMIT ?"
    );
    let binds = after
        .into_iter()
        .flat_map(|(currency, version)| [Bind::from(currency.clone()), Bind::from(currency), Bind::from(version)]);
    let entry = |row: EntryRow| {
        let (id, company_id, currency, kind, amount, used, version, payment_id, order_id, actor, reason, created_at) =
            row;
        let money = |minor| Money::from_minor(minor, currency);
        CreditEntry {
            id,
            company_id,
            kind,
            amount: money(amount),
            used_after: money(used),
            version,
            payment_id,
            order_id,
            actor,
            reason,
            created_at,
        }
    };
    let query = sql(query).bind(company).bind_all(binds).bind(limit);
    Ok(query.load::<EntryTypes, EntryRow>(tx)?.into_iter().map(entry).collect())
}
