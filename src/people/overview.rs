//! All that is known of somebody, gathered with a fixed number of statements.

use std::sync::Arc;

use serde::Serialize;

use super::standing::{self, CompanyOverview, OrdersOverview, ReturnsOverview};
use crate::{
    carts::{self, baskets::Basket},
    customers::{self, Customer},
    db::Tx,
    error::{Error, Result},
    http::seal::Secret,
    kernel::{Actor, Instant, Scope, ids::CustomerId, text::Email},
    orders::Person,
    risk::{self, KnownBy, RiskDecisions},
    stored_value::{self, StoredValue, ValueSum},
};

/// So many carts and stored values are told of.
const MOST: i64 = 20;

/// All that is known of somebody.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PersonOverview {
    /// Who, with their contacts, addresses and consent; absent for guests.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<Customer>,
    /// The customers who have a guest's e-mail address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    customers: Vec<CustomerId>,
    /// What they have ordered, and what of it they have kept; absent without the scope `orders:read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    orders: Option<OrdersOverview>,
    /// What is to come back, and what has; absent without the scope `orders:read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    returns: Option<ReturnsOverview>,
    /// What they have in open carts, the last touched first; absent without the scope `orders:read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    baskets: Option<Vec<Basket>>,
    /// What they can pay with, store credit and gift cards that are theirs, by currency; absent without the scope `orders:read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    balances: Option<Vec<ValueSum>>,
    /// Each of these, the newest 20; absent without the scope `orders:read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    credit: Option<Vec<StoredValue>>,
    /// The company that they buy for, and how much it owes and may; absent where they buy for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    company: Option<CompanyOverview>,
    /// How their checkouts were decided upon; absent without the scope `risk:read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    risk: Option<Vec<RiskDecisions>>,
}

/// What the scopes of an actor let them see of somebody's orders and risk.
fn with_orders(
    tx: &mut Tx,
    actor: &Actor,
    (person, who): (&Person, &KnownBy),
    rest: PersonOverview,
) -> Result<PersonOverview> {
    let (orders, returns) = match actor.holds(Scope::OrdersRead) {
        true => standing::of_person(tx, person).map(|(orders, returns)| (Some(orders), Some(returns)))?,
        false => (None, None),
    };
    let risk = if actor.holds(Scope::RiskRead) { Some(risk::figures(tx, who)?) } else { None };
    Ok(PersonOverview { orders, returns, risk, ..rest })
}

/// All that is known of a customer: twelve statements, and three more where they buy for a company.
///
/// # Errors
/// `not_found`.
pub fn of_customer(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    secret: Arc<Secret>,
    id: CustomerId,
) -> Result<PersonOverview> {
    let customer = customers::by_id(tx, id)?.ok_or_else(|| Error::not_found("customer"))?;
    let sees = actor.holds(Scope::OrdersRead);
    let who = KnownBy::nothing(secret).customer(Some(id)).email(customer.email.as_ref()).person();
    let rest = PersonOverview {
        baskets: sees.then(|| carts::baskets::open_of(tx, Some(id), None, MOST)).transpose()?,
        balances: sees.then(|| stored_value::balances_of(tx, now, id)).transpose()?,
        credit: sees.then(|| stored_value::of_customer(tx, id, MOST)).transpose()?,
        company: standing::company_of(tx, &customer)?,
        customer: Some(customer),
        customers: Vec::new(),
        orders: None,
        returns: None,
        risk: None,
    };
    with_orders(tx, actor, (&Person::Customer(id), &who), rest)
}

/// All that is known of guests with an e-mail address: nine statements.
///
/// # Errors
/// What the database says.
pub(super) fn of_guest(tx: &mut Tx, actor: &Actor, secret: Arc<Secret>, email: &Email) -> Result<PersonOverview> {
    let sees = actor.holds(Scope::OrdersRead);
    let who = KnownBy::nothing(secret).email(Some(email)).person();
    let rest = PersonOverview {
        baskets: sees.then(|| carts::baskets::open_of(tx, None, Some(email), MOST)).transpose()?,
        balances: sees.then(Vec::new),
        credit: sees.then(Vec::new),
        company: None,
        customer: None,
        customers: customers::with_email(tx, email)?,
        orders: None,
        returns: None,
        risk: None,
    };
    with_orders(tx, actor, (&Person::Guest(email.folded()), &who), rest)
}
