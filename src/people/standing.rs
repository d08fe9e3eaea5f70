//! What somebody has bought, kept, sent back, and may buy on account, in figures: as many statements for one order as for many.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    credit::{self, Credit},
    customers::{
        CompanyRole, Customer,
        companies::{self, Company},
    },
    db::Tx,
    error::Result,
    fulfilment::returns::{self as returned, Return, ReturnState, ReturnSum},
    kernel::{
        Currency, Instant, Money,
        ids::{CompanyId, OrderId, ReturnId, ReturnRequestId},
    },
    orders::{
        OrderState, OrderSummary, Person,
        standing::{self, OrderSum},
    },
    payments::{self, Kept},
    returns::{self, RequestState, ReturnRequestDocument},
};

/// So many orders are told of.
const LATEST: i64 = 10;
/// So many returns, and so many that are to come, are told of.
const MOST_RETURNS: i64 = 20;

/// What somebody has bought in a currency, test orders left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LifetimeValue {
    /// What the orders cost that were not cancelled, as they stand now.
    total: Money,
    /// How many these are.
    orders: i64,
    /// How many were cancelled.
    cancelled: i64,
    /// What they have really bought and kept, with tax: without all that was cancelled, sent back, given back or taken off, by the ledgers of
    /// their orders.
    kept: Money,
    /// The same without tax.
    kept_without_tax: Money,
    /// The money that went back the way it came.
    refunded: Money,
    /// What was paid for goods that came back and for which no money is given back here; it is not taken off what was kept.
    returned_unrefunded: Money,
    /// When the first of the orders that were not cancelled was placed.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_at: Option<Instant>,
    /// When the last of them was.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<Instant>,
}

impl LifetimeValue {
    fn nothing(currency: Currency) -> Self {
        let none = Money::zero(currency);
        Self {
            total: none,
            orders: 0,
            cancelled: 0,
            kept: none,
            kept_without_tax: none,
            refunded: none,
            returned_unrefunded: none,
            first_at: None,
            last_at: None,
        }
    }

    fn add(&mut self, sum: &OrderSum) {
        if sum.state == OrderState::Cancelled {
            self.cancelled += sum.orders;
            return;
        }
        self.orders += sum.orders;
        self.total = plus(self.total, sum.total);
        self.first_at = Some(self.first_at.map_or(sum.first_at, |at| at.min(sum.first_at)));
        self.last_at = Some(self.last_at.map_or(sum.last_at, |at| at.max(sum.last_at)));
    }

    fn keep(&mut self, kept: &Kept) {
        self.kept_without_tax = kept.net;
        self.kept = plus(kept.net, kept.tax);
        self.refunded = kept.refunded;
    }
}

/// The sum of two amounts of a currency.
fn plus(one: Money, other: Money) -> Money {
    Money::from_minor(one.minor().saturating_add(other.minor()), one.currency())
}

/// What somebody has ordered.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
pub struct OrdersOverview {
    /// How many are open.
    placed: i64,
    /// How many are done.
    completed: i64,
    /// How many were cancelled.
    cancelled: i64,
    /// When the first was placed.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_at: Option<Instant>,
    /// When the last was.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<Instant>,
    /// What they are worth, by currency.
    lifetime_value: Vec<LifetimeValue>,
    /// The last ten.
    latest: Vec<OrderSummary>,
}

/// What is to come back.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct OpenReturn {
    /// The return request.
    id: ReturnRequestId,
    /// The number that people use.
    number: String,
    /// Where it stands. More words may come.
    state: RequestState,
    /// The order.
    order_id: OrderId,
    /// Its number.
    order_number: String,
    /// How many pieces it is about.
    pieces: i64,
    /// Since when.
    requested_at: Instant,
    /// When it is over if nothing comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Instant>,
}

impl From<ReturnRequestDocument> for OpenReturn {
    fn from(one: ReturnRequestDocument) -> Self {
        Self {
            id: one.id,
            pieces: one.lines.iter().map(|line| line.quantity).sum(),
            number: one.number,
            state: one.state,
            order_id: one.order_id,
            order_number: one.order_number,
            requested_at: one.requested_at,
            expires_at: one.expires_at,
        }
    }
}

/// What has come back.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RecentReturn {
    /// The return.
    id: ReturnId,
    /// The number that people use.
    number: String,
    /// Where it stands. More words may come.
    state: ReturnState,
    /// The order.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    /// Its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_number: Option<String>,
    /// What was paid for the goods, and for shipping where that is given back too.
    amount: Money,
    /// What of that was given back, or taken off what is owed: nothing before it is `refunded`.
    refunded: Money,
    /// What of that they have got as store credit.
    #[serde(skip_serializing_if = "Option::is_none")]
    store_credit: Option<Money>,
    /// When it came back.
    occurred_at: Instant,
}

impl From<Return> for RecentReturn {
    fn from(one: Return) -> Self {
        let amount = one.shipping.map_or(one.amount, |shipping| plus(one.amount, shipping.gross));
        let refunded = if one.state == ReturnState::Refunded { amount } else { Money::zero(amount.currency()) };
        Self {
            id: one.id,
            number: one.number,
            state: one.state,
            order_id: one.order_id,
            order_number: one.order_number,
            amount,
            refunded,
            store_credit: one.store_credit,
            occurred_at: one.occurred_at,
        }
    }
}

/// What is to come back of somebody's orders, and what has.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
pub struct ReturnsOverview {
    /// How many returns there are.
    returns: i64,
    /// When the last came.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<Instant>,
    /// The return requests that are not over, the newest 20.
    open: Vec<OpenReturn>,
    /// The last 20 that have come back.
    latest: Vec<RecentReturn>,
}

/// The company that somebody buys for.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CompanyOverview {
    /// Its id.
    id: CompanyId,
    /// Its number.
    number: String,
    /// Its name.
    name: String,
    /// Whether what was agreed with it counts.
    active: bool,
    /// What they are to it.
    role: CompanyRole,
    /// What an order of theirs may cost without being approved; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_limit: Option<Money>,
    /// How much it owes and may, by currency.
    credit: Vec<Credit>,
}

/// What somebody has ordered and what comes of it back: six statements.
pub(super) fn of_person(tx: &mut Tx, person: &Person) -> Result<(OrdersOverview, ReturnsOverview)> {
    let (sums, ids) = (standing::sums(tx, person)?, standing::ids(tx, person)?);
    let (kept, back) = (payments::kept(tx, &ids)?, returned::sums_of(tx, &ids)?);
    let latest = standing::latest(tx, person, LATEST)?;
    Ok((orders_of(&sums, (&kept, &back), latest), returns_of(tx, &ids, &back)?))
}

fn orders_of(sums: &[OrderSum], (kept, back): (&[Kept], &[ReturnSum]), latest: Vec<OrderSummary>) -> OrdersOverview {
    let of = |state: OrderState| sums.iter().filter(|sum| sum.state == state).map(|sum| sum.orders).sum::<i64>();
    OrdersOverview {
        placed: of(OrderState::Placed),
        completed: of(OrderState::Completed),
        cancelled: of(OrderState::Cancelled),
        first_at: sums.iter().map(|sum| sum.first_at).min(),
        last_at: sums.iter().map(|sum| sum.last_at).max(),
        lifetime_value: values(sums, kept, back),
        latest,
    }
}

/// What orders are worth, by currency.
fn values(sums: &[OrderSum], kept: &[Kept], back: &[ReturnSum]) -> Vec<LifetimeValue> {
    let mut values: BTreeMap<&'static str, LifetimeValue> = BTreeMap::new();
    for sum in sums {
        let currency = sum.total.currency();
        values.entry(currency.code()).or_insert_with(|| LifetimeValue::nothing(currency)).add(sum);
    }
    for one in kept {
        let currency = one.net.currency();
        values.entry(currency.code()).or_insert_with(|| LifetimeValue::nothing(currency)).keep(one);
    }
    for one in back.iter().filter(|one| one.state == ReturnState::Received) {
        if let Some(value) = values.get_mut(one.amount.currency().code()) {
            value.returned_unrefunded = plus(value.returned_unrefunded, one.amount);
        }
    }
    values.into_values().collect()
}

fn returns_of(tx: &mut Tx, orders: &[OrderId], back: &[ReturnSum]) -> Result<ReturnsOverview> {
    let open = returns::underway_of(tx, orders, MOST_RETURNS)?;
    let latest = returned::latest_of(tx, orders, MOST_RETURNS)?;
    Ok(ReturnsOverview {
        returns: back.iter().map(|sum| sum.returns).sum(),
        last_at: back.iter().map(|sum| sum.last_at).max(),
        open: open.into_iter().map(OpenReturn::from).collect(),
        latest: latest.into_iter().map(RecentReturn::from).collect(),
    })
}

/// The company that a customer buys for: three statements, none where they buy for none.
pub(super) fn company_of(tx: &mut Tx, customer: &Customer) -> Result<Option<CompanyOverview>> {
    let Some(id) = customer.company_id else { return Ok(None) };
    let Some(Company { number, name, active, .. }) = companies::get(tx, id)? else { return Ok(None) };
    let member = companies::member_of(tx, id, customer.id)?;
    let credit = credit::of_company(tx, id)?;
    Ok(Some(CompanyOverview { id, number, name, active, role: member.role, order_limit: member.order_limit, credit }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eur(minor: i64) -> Money {
        Money::from_minor(minor, "EUR".parse().unwrap())
    }

    fn sum(state: OrderState, orders: i64, total: i64, (first, last): (i64, i64)) -> OrderSum {
        let at = Instant::from_micros;
        OrderSum { state, orders, total: eur(total), first_at: at(first), last_at: at(last) }
    }

    #[test]
    fn a_value_counts_what_was_kept_and_not_what_was_cancelled() {
        let sums = [
            sum(OrderState::Cancelled, 1, 9_000, (1, 9)),
            sum(OrderState::Completed, 2, 5_000, (3, 4)),
            sum(OrderState::Placed, 1, 1_000, (5, 5)),
        ];
        let kept = [Kept { net: eur(3_000), tax: eur(570), refunded: eur(2_430) }];
        let back =
            |state, amount| ReturnSum { state, returns: 1, amount: eur(amount), last_at: Instant::from_micros(6) };
        let back = [back(ReturnState::Received, 700), back(ReturnState::Refunded, 2_430)];
        let found = values(&sums, &kept, &back);
        let expected = LifetimeValue {
            total: eur(6_000),
            orders: 3,
            cancelled: 1,
            kept: eur(3_570),
            kept_without_tax: eur(3_000),
            refunded: eur(2_430),
            returned_unrefunded: eur(700),
            first_at: Some(Instant::from_micros(3)),
            last_at: Some(Instant::from_micros(5)),
        };
        assert_eq!(found, [expected]);
    }
}
