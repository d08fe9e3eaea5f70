//! What customers are to the company that they buy for: their role, and what they may spend.

use serde::{Deserialize, Serialize};

use super::{
    store,
    terms::{CompanyRole, Membership},
};
use crate::{
    customers,
    db::Tx,
    error::{Error, Result},
    kernel::{
        Instant, Money,
        ids::{CompanyId, CustomerId},
    },
};

/// What a customer is to their company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = CompanyMember)]
pub struct Member {
    /// Who.
    pub customer_id: CustomerId,
    /// Of which company.
    pub company_id: CompanyId,
    /// Their role.
    pub role: CompanyRole,
    /// What an order of theirs may cost without being approved; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_limit: Option<Money>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl From<Member> for Membership {
    fn from(member: Member) -> Self {
        Self { role: member.role, order_limit: member.order_limit }
    }
}

/// What a customer is to be to their company.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CompanyMemberRequest, example = json!({"role": "buyer", "order_limit": {"amount": "500.00", "currency": "EUR"}}))]
pub struct MemberRequest {
    /// Their role.
    pub role: CompanyRole,
    /// What an order of theirs may cost without being approved; without a limit where absent.
    pub order_limit: Option<Money>,
}

/// Says what a customer is to the company that they buy for.
///
/// # Errors
/// `not_found` where they buy for another company or none; `invalid_value`.
pub(super) fn put(
    tx: &mut Tx,
    now: Instant,
    (company, customer): (CompanyId, CustomerId),
    wanted: &MemberRequest,
) -> Result<Member> {
    if wanted.order_limit.is_some_and(|limit| limit.minor() < 0) {
        return Err(Error::invalid("/order_limit", "expected an amount of 0 or more"));
    }
    // Who moves to another company meanwhile is waited for.
    customers::hold(tx, customer)?;
    let buys_for = customers::by_id(tx, customer)?.and_then(|customer| customer.company_id);
    if buys_for != Some(company) {
        return Err(Error::not_found("customer of this company: give them its `company_id` first"));
    }
    let (role, order_limit) = (wanted.role, wanted.order_limit);
    let new = Member {
        customer_id: customer,
        company_id: company,
        role,
        order_limit,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    store::put_member(tx, &new)?.ok_or_else(|| Error::internal("a member was written and is not there"))
}

/// Makes a member a buyer without a limit again.
///
/// # Errors
/// `not_found`.
pub(super) fn remove(tx: &mut Tx, company: CompanyId, customer: CustomerId) -> Result<()> {
    match store::drop_member(tx, company, customer)? {
        true => Ok(()),
        false => Err(Error::not_found("member")),
    }
}

/// What a customer is to a company; a buyer without a limit where nothing was said.
///
/// # Errors
/// What the database says.
pub fn member_of(tx: &mut Tx, company: CompanyId, customer: CustomerId) -> Result<Membership> {
    Ok(store::member_of(tx, company, customer)?.map(Membership::from).unwrap_or_default())
}

/// A page of those of whom it was said what they are to a company.
///
/// # Errors
/// What the database says.
pub fn members(tx: &mut Tx, company: CompanyId, after: Option<CustomerId>, limit: i64) -> Result<Vec<Member>> {
    store::members(tx, company, after, limit)
}

/// The company that a customer buys for while it is active, with what they are to it.
///
/// # Errors
/// `not_found` where they buy for none.
pub fn of_customer(tx: &mut Tx, customer: CustomerId) -> Result<(CompanyId, Membership)> {
    let company = customers::standing(tx, customer)?.company.ok_or_else(|| Error::not_found("company of yours"))?;
    Ok((company, member_of(tx, company, customer)?))
}
