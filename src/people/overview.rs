//! All that is known of somebody, gathered with a fixed number of statements.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use crate::{
    carts::{self, baskets::Basket},
    customers::{self, Customer},
    db::Tx,
    error::{Error, Result},
    fulfilment::returns,
    http::seal::Secret,
    kernel::{
        Actor, Instant, Money, Scope,
        ids::{CustomerId, OrderId},
        text::Email,
    },
    orders::{
        self, OrderState, OrderSummary, Person,
        standing::{self, OrderSum},
    },
    risk::{self, KnownBy, RiskDecisions},
    stored_value::{self, StoredValue},
};

/// So many orders are told of.
const LATEST: i64 = 10;
/// Of so many orders, the latest, it is told how many returns there are.
const LOOKED_AT: usize = 200;
/// So many carts and stored values are told of.
const MOST: i64 = 20;

/// What somebody has ordered in a currency, test orders left out.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LifetimeValue {
    /// What the orders cost that were not cancelled.
    total: Money,
    /// How many these are.
    orders: i64,
    /// How many were cancelled.
    cancelled: i64,
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

/// What has come back of somebody's orders.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
pub struct ReturnsOverview {
    /// How many returns there are, of their last 200 orders.
    returns: i64,
    /// When the last came.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<Instant>,
}

/// All that is known of somebody.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PersonOverview {
    /// Who, with their contacts, addresses and consent; absent for guests.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<Customer>,
    /// The customers who have a guest's e-mail address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    customers: Vec<CustomerId>,
    /// What they have ordered; absent without the scope `orders:read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    orders: Option<OrdersOverview>,
    /// What has come back; absent without the scope `orders:read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    returns: Option<ReturnsOverview>,
    /// What they have in open carts, the last touched first; absent without the scope `orders:read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    baskets: Option<Vec<Basket>>,
    /// Their store credit, and gift cards that are theirs; absent without the scope `orders:read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    credit: Option<Vec<StoredValue>>,
    /// How their checkouts were decided upon; absent without the scope `risk:read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    risk: Option<Vec<RiskDecisions>>,
}

fn orders_of(tx: &mut Tx, person: &Person) -> Result<(OrdersOverview, ReturnsOverview)> {
    let sums = standing::sums(tx, person)?;
    let latest = standing::latest(tx, person, i64::try_from(LOOKED_AT).unwrap_or(LATEST))?;
    let ids: Vec<OrderId> = latest.iter().map(|order| order.id).collect();
    let (returns, last_at) = returns::count_of(tx, &ids)?;
    Ok((overview_of(&sums, latest), ReturnsOverview { returns, last_at }))
}

fn overview_of(sums: &[OrderSum], latest: Vec<OrderSummary>) -> OrdersOverview {
    let of = |state: OrderState| sums.iter().filter(|sum| sum.state == state).map(|sum| sum.orders).sum::<i64>();
    let mut values: BTreeMap<&'static str, LifetimeValue> = BTreeMap::new();
    for sum in sums {
        let currency = sum.total.currency();
        let none = LifetimeValue { total: Money::zero(currency), orders: 0, cancelled: 0 };
        let value = values.entry(currency.code()).or_insert(none);
        if sum.state == OrderState::Cancelled {
            value.cancelled += sum.orders;
        } else {
            value.orders += sum.orders;
            value.total = Money::from_minor(value.total.minor().saturating_add(sum.total.minor()), currency);
        }
    }
    OrdersOverview {
        placed: of(OrderState::Placed),
        completed: of(OrderState::Completed),
        cancelled: of(OrderState::Cancelled),
        first_at: sums.iter().map(|sum| sum.first_at).min(),
        last_at: sums.iter().map(|sum| sum.last_at).max(),
        lifetime_value: values.into_values().collect(),
        latest: latest.into_iter().take(usize::try_from(LATEST).unwrap_or_default()).collect(),
    }
}

/// What the scopes of an actor let them see of somebody's orders and risk.
fn with_orders(
    tx: &mut Tx,
    actor: &Actor,
    (person, who): (&Person, &KnownBy),
    rest: PersonOverview,
) -> Result<PersonOverview> {
    let (orders, returns) = match actor.holds(Scope::OrdersRead) {
        true => orders_of(tx, person).map(|(orders, returns)| (Some(orders), Some(returns)))?,
        false => (None, None),
    };
    let risk = if actor.holds(Scope::RiskRead) { Some(risk::figures(tx, who)?) } else { None };
    Ok(PersonOverview { orders, returns, risk, ..rest })
}

/// All that is known of a customer: seven statements.
///
/// # Errors
/// `not_found`.
pub fn of_customer(tx: &mut Tx, actor: &Actor, secret: Arc<Secret>, id: CustomerId) -> Result<PersonOverview> {
    let customer = customers::by_id(tx, id)?.ok_or_else(|| Error::not_found("customer"))?;
    let sees = actor.holds(Scope::OrdersRead);
    let who = KnownBy::nothing(secret).customer(Some(id)).email(customer.email.as_ref()).person();
    let rest = PersonOverview {
        baskets: sees.then(|| carts::baskets::open_of(tx, Some(id), None, MOST)).transpose()?,
        credit: sees.then(|| stored_value::of_customer(tx, id, MOST)).transpose()?,
        customer: Some(customer),
        customers: Vec::new(),
        orders: None,
        returns: None,
        risk: None,
    };
    with_orders(tx, actor, (&Person::Customer(id), &who), rest)
}

/// All that is known of guests with an e-mail address: six statements.
///
/// # Errors
/// What the database says.
pub(super) fn of_guest(tx: &mut Tx, actor: &Actor, secret: Arc<Secret>, email: &Email) -> Result<PersonOverview> {
    let sees = actor.holds(Scope::OrdersRead);
    let who = KnownBy::nothing(secret).email(Some(email)).person();
    let rest = PersonOverview {
        baskets: sees.then(|| carts::baskets::open_of(tx, None, Some(email), MOST)).transpose()?,
        credit: sees.then(Vec::new),
        customer: None,
        customers: customers::with_email(tx, email)?,
        orders: None,
        returns: None,
        risk: None,
    };
    with_orders(tx, actor, (&orders::Person::Guest(email.folded()), &who), rest)
}
