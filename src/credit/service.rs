//! Commands and queries on what companies owe. All of them are part of the caller's transaction.

use serde_json::json;

// What is asked for as it stands in the tables.
pub use super::store::of_company;
pub(super) use super::store::{Filter, entries, page};
use super::{
    model::{Above, Credit, CreditEntry, CreditEntryKind, CreditRequest, Debt, Excess},
    store, told,
};
use crate::{
    customers::{self, companies},
    db::Tx,
    error::{Code, Error, Result},
    jobs::{self, NewJob},
    kernel::{
        Actor, Currency, Instant, Money,
        ids::{CompanyId, CreditEntryId, CustomerId, JobId, OrderId, PaymentId},
    },
};

/// The job that lets orders go on that were held for their company's credit.
pub const GO_ON: &str = "credit.go-on";

/// Who does something, and when.
pub type By<'a> = (Instant, &'a Actor);

/// Sets how much a company may owe in a currency.
///
/// # Errors
/// `not_found`; `invalid_value`; `ceiling_exceeded` where the limit is above what the actor may move.
pub(super) fn set(
    tx: &mut Tx,
    (now, actor): By<'_>,
    entry: CreditEntryId,
    company: CompanyId,
    wanted: &CreditRequest,
) -> Result<Credit> {
    companies::require(tx, company)?;
    if wanted.limit.minor() < 0 {
        return Err(Error::invalid("/limit/amount", "expected an amount of 0 or more"));
    }
    if !actor.within_ceiling(wanted.limit.minor()) {
        return Err(
            Error::problem(Code::CeilingExceeded, "the limit is above what this credential may move").at("/limit")
        );
    }
    let set = store::set(tx, now, company, (wanted.limit, wanted.above))?;
    let credit = set.ok_or_else(|| Error::internal("a credit was written and is not there"))?;
    let zero = Money::zero(wanted.limit.currency());
    let reason = wanted.reason.as_ref().map(ToString::to_string);
    write_down(tx, (now, actor), &credit, entry, (CreditEntryKind::Limit, zero, None, reason))?;
    if credit.used.minor() > 0 {
        go_on_later(tx, now, &credit, entry)?;
    }
    Ok(credit)
}

/// Has those orders looked for that are held because their company owed more than it may, where it does not any more.
fn go_on_later(tx: &mut Tx, now: Instant, credit: &Credit, entry: CreditEntryId) -> Result<()> {
    if credit.used.minor() > credit.limit.minor() {
        return Ok(());
    }
    let payload = json!({"company": credit.company_id, "currency": credit.used.currency()});
    let job = NewJob { id: JobId::from_bytes(*entry.bytes()), ..NewJob::now(GO_ON, now, payload) };
    jobs::enqueue(tx, now, vec![job.in_order(format!("credit:{}", credit.company_id))])
}

/// Whether a company owes no more than it may.
///
/// # Errors
/// What the database says.
pub fn is_within(tx: &mut Tx, company: CompanyId, currency: Currency) -> Result<bool> {
    Ok(store::read(tx, company, currency)?.is_some_and(|credit| credit.used.minor() <= credit.limit.minor()))
}

/// Up to so many orders for which a company owes something still, by their ids, from behind one.
///
/// # Errors
/// What the database says.
pub fn owing(
    tx: &mut Tx,
    (company, currency): (CompanyId, Currency),
    after: Option<OrderId>,
    limit: i64,
) -> Result<Vec<OrderId>> {
    store::owing(tx, (company, currency), after, limit)
}

/// What a change of a credit was: why, by how much, for which payment and order, and what was said.
type Change = (CreditEntryKind, Money, Option<(PaymentId, OrderId)>, Option<String>);

fn write_down(
    tx: &mut Tx,
    (now, actor): By<'_>,
    credit: &Credit,
    id: CreditEntryId,
    (kind, amount, of, reason): Change,
) -> Result<()> {
    let entry = CreditEntry {
        id,
        company_id: credit.company_id,
        kind,
        amount,
        used_after: credit.used,
        version: credit.version,
        payment_id: of.map(|(payment, _)| payment),
        order_id: of.map(|(_, order)| order),
        actor: actor.label(),
        reason,
        created_at: now,
    };
    store::insert_entry(tx, &entry)?;
    told::booked(tx, now, actor, credit, &entry)
}

/// When something is bought, and the payment term that was agreed for it in days: it goes before that of the company.
pub type Term = (Instant, Option<i64>);

/// Who buys on account: the company that a customer buys for, and until when it pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The company.
    pub company: CompanyId,
    /// When what it buys now is due.
    pub due_at: Instant,
}

impl Standing {
    /// That of a customer.
    ///
    /// # Errors
    /// `payment_method_unavailable` where they buy for no active company.
    pub fn of(tx: &mut Tx, term: Term, customer: Option<CustomerId>) -> Result<Self> {
        let company = match customer {
            Some(customer) => customers::standing(tx, customer)?.company,
            None => None,
        };
        let company = company.ok_or_else(|| unavailable("only customers who buy for a company order on account"))?;
        Self::of_company(tx, term, company)
    }

    fn of_company(tx: &mut Tx, (placed, agreed): Term, company: CompanyId) -> Result<Self> {
        let due_at = match agreed {
            Some(days) => placed.plus_seconds(86_400 * days),
            None => {
                let terms = companies::get(tx, company)?.and_then(|company| company.terms);
                terms.map_or(placed, |terms| terms.due_at(placed))
            }
        };
        Ok(Self { company, due_at })
    }
}

/// The company that owes a payment on account, whichever its customer buys for by now, and until when it pays what is added to that. The debt
/// stays locked.
///
/// # Errors
/// An internal error where the payment owes nothing that was written down.
pub fn standing_of(tx: &mut Tx, term: Term, payment: PaymentId) -> Result<Standing> {
    let known = store::lock_debt(tx, term.0, payment)?;
    let debt = known.ok_or_else(|| Error::internal("a payment on account owes nothing"))?;
    Standing::of_company(tx, term, debt.company_id)
}

fn unavailable(why: &str) -> Error {
    Error::problem(Code::PaymentMethodUnavailable, why).at("/payment/method")
}

/// Why a customer can not pay an amount on account; `None` when they can, as far as is known now: placing decides.
///
/// # Errors
/// What the database says.
pub fn refusal(tx: &mut Tx, customer: Option<CustomerId>, amount: Money) -> Result<Option<String>> {
    let company = match customer {
        Some(customer) => customers::standing(tx, customer)?.company,
        None => None,
    };
    let Some(company) = company else {
        return Ok(Some("only customers who buy for a company order on account".to_owned()));
    };
    Ok(match store::read(tx, company, amount.currency())? {
        None => Some(NO_CREDIT.to_owned()),
        Some(credit) if credit.above != Above::Hold && credit.available.minor() < amount.minor() => {
            Some(format!("{} of the company's credit are left", credit.available))
        }
        Some(_) => None,
    })
}

const NO_CREDIT: &str = "the company has no credit in this currency";

/// What an order takes of a company's credit.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Who owes it.
    pub standing: Standing,
    /// The payment that is on account.
    pub payment: PaymentId,
    /// The order.
    pub order: OrderId,
    /// Its number.
    pub number: String,
    /// How much.
    pub amount: Money,
    /// Up to which debt of the company the shop has approved it, above the limit.
    pub up_to: Option<Money>,
    /// Whether it can be approved: a cart can, what is added to an order can not.
    pub askable: bool,
}

/// What an amount would take a company's credit to, where that is above its limit and the shop may approve it.
///
/// # Errors
/// What the database says.
pub fn over(tx: &mut Tx, company: CompanyId, amount: Money) -> Result<Option<Excess>> {
    let credit = store::read(tx, company, amount.currency())?.filter(|credit| credit.above == Above::Approval);
    let Some(credit) = credit else { return Ok(None) };
    let up_to = credit.used.minor().saturating_add(amount.minor());
    let money = |minor| Money::from_minor(minor, amount.currency());
    let over = up_to.saturating_sub(credit.limit.minor());
    Ok((over > 0).then(|| Excess { over: money(over), up_to: money(up_to) }))
}

/// What came of taking credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is within the limit.
    Within,
    /// It is above the limit: the order is to be held. So much more is owed than may be.
    Above(Money),
}

/// Takes a part of a company's credit for an order that is being placed. The company's row decides: of several orders at once those get it
/// that fit.
///
/// # Errors
/// `payment_method_unavailable` without a credit in the currency; `credit_exceeded` where too little of it is left, `approval_required` where
/// the shop may approve that.
pub fn take(tx: &mut Tx, (now, actor): By<'_>, entry: CreditEntryId, claim: &Claim) -> Result<Taken> {
    let (company, amount) = (claim.standing.company, claim.amount);
    let Some(credit) = store::take(tx, now, company, (amount, claim.up_to))? else {
        let known = store::read(tx, company, amount.currency())?;
        let Some(known) = known else { return Err(unavailable(NO_CREDIT)) };
        let detail = format!("{amount} are more than the {} that are left of the company's credit", known.available);
        let asks = claim.askable && known.above == Above::Approval;
        let code = if asks { Code::ApprovalRequired } else { Code::CreditExceeded };
        let error = Error::problem(code, detail).at("/payment/method");
        return Err(error.with("available", serde_json::to_value(known.available)?));
    };
    let zero = Money::zero(amount.currency());
    let debt = Debt {
        payment_id: claim.payment,
        company_id: company,
        order_id: claim.order,
        order_number: claim.number.clone(),
        amount,
        open: amount,
        paid: zero,
        due_at: claim.standing.due_at,
        overdue: false,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    store::insert_debt(tx, &debt)?;
    write_down(
        tx,
        (now, actor),
        &credit,
        entry,
        (CreditEntryKind::Order, amount, Some((claim.payment, claim.order)), None),
    )?;
    // What the shop has approved is not above what it lends.
    let approved = claim.up_to.is_some_and(|up_to| credit.used.minor() <= up_to.minor());
    Ok(if approved { Taken::Within } else { above(&credit) })
}

/// Until when what a payment on account owes is to be paid.
///
/// # Errors
/// What the database says.
pub fn due_of(tx: &mut Tx, payment: PaymentId) -> Result<Option<Instant>> {
    store::due_of(tx, payment)
}

/// What a payment on account owes still, in minor units.
///
/// # Errors
/// What the database says.
pub fn open_debt(tx: &mut Tx, now: Instant, payment: PaymentId) -> Result<i64> {
    Ok(store::lock_debt(tx, now, payment)?.map_or(0, |debt| debt.open.minor()))
}

/// Lets a payment on account owe more than it did before, as far as its company may: call it behind [`settle`], in the same transaction. What
/// can not be refused, for it has happened, does not ask.
///
/// # Errors
/// `credit_exceeded` where the company owes more than it may, and its orders are not held for that.
pub fn allow_raise(tx: &mut Tx, now: Instant, payment: PaymentId) -> Result<Taken> {
    let known = store::lock_debt(tx, now, payment)?;
    let debt = known.ok_or_else(|| Error::internal("a payment on account owes nothing"))?;
    let (company, currency) = (debt.company_id, debt.open.currency());
    let Some(credit) = store::within(tx, company, currency)? else {
        let left = store::read(tx, company, currency)?;
        let over = left.map_or(0, |credit| credit.used.minor().saturating_sub(credit.limit.minor()));
        let over = Money::from_minor(over, currency);
        let detail =
            format!("the company would owe {over} more than it may: pay the difference otherwise, or add less");
        return Err(Error::problem(Code::CreditExceeded, detail).with("over", serde_json::to_value(over)?));
    };
    Ok(above(&credit))
}

/// Whether a company owes more than it may, where it is let.
fn above(credit: &Credit) -> Taken {
    match credit.used.minor().saturating_sub(credit.limit.minor()) {
        over @ 1.. => Taken::Above(Money::from_minor(over, credit.used.currency())),
        _ => Taken::Within,
    }
}

/// Brings what an order's payment on account owes to what is open of it, `paid` being what has come in: the company's credit is free again
/// by the difference. Call it under the order's lock, after its money has moved; where nothing has changed nothing happens.
///
/// # Errors
/// An internal error where the payment owes nothing that was written down.
pub fn settle(
    tx: &mut Tx,
    (now, actor): By<'_>,
    entry: CreditEntryId,
    payment: PaymentId,
    (open, paid, reason): (i64, i64, &str),
) -> Result<()> {
    let known = store::lock_debt(tx, now, payment)?;
    let debt = known.ok_or_else(|| Error::internal("a payment on account owes nothing"))?;
    if (open, paid) == (debt.open.minor(), debt.paid.minor()) {
        return Ok(());
    }
    if !store::save_debt(tx, now, &debt, (open, paid))? {
        return Err(Error::overtaken("what is owed on account"));
    }
    let by = Money::from_minor(open - debt.open.minor(), debt.open.currency());
    if by.minor() == 0 {
        return Ok(());
    }
    let kind = match by.minor() {
        1.. => CreditEntryKind::Raise,
        _ if paid > debt.paid.minor() => CreditEntryKind::Payment,
        _ => CreditEntryKind::Release,
    };
    let changed = store::change(tx, now, debt.company_id, by)?;
    let credit = changed.ok_or_else(|| Error::internal("a company owes without a credit"))?;
    let of = Some((payment, debt.order_id));
    write_down(tx, (now, actor), &credit, entry, (kind, by, of, Some(reason.to_owned())))?;
    let was_above = credit.used.minor().saturating_sub(by.minor()) > credit.limit.minor();
    if was_above { go_on_later(tx, now, &credit, entry) } else { Ok(()) }
}

/// The payment, and its order, that a part of a debt goes over to.
#[derive(Debug, Clone)]
pub struct Heir {
    /// The payment.
    pub payment: PaymentId,
    /// Its order.
    pub order: OrderId,
    /// Its number.
    pub number: String,
}

/// Has another payment on account owe a part of what one owes: what the company owes in all stays as it is, so nothing is asked of its limit.
/// `promised` is what is still to come of that part, `paid` what has come in for it. Call it under the lock of the first order.
///
/// # Errors
/// An internal error where the payment owes nothing that was written down.
pub fn share(
    tx: &mut Tx,
    (now, actor): By<'_>,
    [left, taken]: [CreditEntryId; 2],
    (from, to): (PaymentId, &Heir),
    (promised, paid): (i64, i64),
) -> Result<()> {
    let known = store::lock_debt(tx, now, from)?;
    let debt = known.ok_or_else(|| Error::internal("a payment on account owes nothing"))?;
    let money = |minor| Money::from_minor(minor, debt.amount.currency());
    let moved = promised.min(debt.open.minor());
    if !store::take_of_debt(tx, now, &debt, (promised.saturating_add(paid), moved, paid))? {
        return Err(Error::overtaken("what is owed on account"));
    }
    let new = Debt {
        payment_id: to.payment,
        order_id: to.order,
        order_number: to.number.clone(),
        amount: money(promised.saturating_add(paid)),
        open: money(moved),
        paid: money(paid),
        version: 1,
        created_at: now,
        updated_at: now,
        ..debt.clone()
    };
    store::insert_debt(tx, &new)?;
    if moved == 0 {
        return Ok(());
    }
    let steps = [
        (left, CreditEntryKind::Release, -moved, (from, debt.order_id)),
        (taken, CreditEntryKind::Order, moved, (to.payment, to.order)),
    ];
    for (entry, kind, by, of) in steps {
        let changed = store::change(tx, now, debt.company_id, money(by))?;
        let credit = changed.ok_or_else(|| Error::internal("a company owes without a credit"))?;
        write_down(tx, (now, actor), &credit, entry, (kind, money(by), Some(of), Some("split".to_owned())))?;
    }
    Ok(())
}
