//! What a company asks of the carts of those who buy for it: its own number, and that others of it approve.

use super::{
    model::{Cart, Problem},
    pricing::blocking,
};
use crate::{
    customers::companies::{ApprovalNeed, Membership, OrderRules, approval_needed},
    error::{Code, Error, Result},
    kernel::Money,
    pricing::contracts,
};

/// What stands in the way of the company's own number.
pub(super) fn problems(cart: &Cart, rules: &OrderRules) -> Option<Problem> {
    let rule = rules.purchase_order.as_ref().filter(|_| cart.details.occurred_at.is_none())?;
    let wrong = rule.check(cart.details.purchase_order.as_deref()).err()?;
    Some(blocking("purchase_order_wrong", wrong, "/purchase_order"))
}

/// What stands in the way where the goods cost less than its contract asks for. A history was bought as it was bought.
pub(super) fn below_minimum(cart: &Cart, value: Money) -> Option<Problem> {
    let contracts = cart.details.contracts.as_slice();
    if cart.details.occurred_at.is_some() {
        return None;
    }
    let (one, least) = contracts::below_minimum(contracts, value)?;
    let number = &one.number;
    let detail = format!("contract {number} asks for goods of {least} at least, and these cost {value}");
    Some(blocking(Code::ContractMinimum.as_str(), detail, "/lines"))
}

/// Who has to approve a cart that has just been priced. A history was bought as it was bought.
pub(super) fn need(cart: &Cart, rules: &OrderRules, member: &Membership) -> Option<ApprovalNeed> {
    if cart.details.occurred_at.is_some() || cart.details.lines.is_empty() {
        return None;
    }
    approval_needed(&rules.approval_rules, member, Money::from_minor(cart.total(), cart.currency))
}

/// Refuses a cart that has to be approved and is not, as it stands.
///
/// # Errors
/// `approval_required`.
pub(crate) fn refuse_unapproved(cart: &Cart) -> Result<()> {
    let Some(need) = &cart.details.needs_approval else { return Ok(()) };
    let total = Money::from_minor(cart.total(), cart.currency);
    if cart.details.approved.as_ref().is_some_and(|approved| approved.total == total) {
        return Ok(());
    }
    let error = Error::problem(Code::ApprovalRequired, need.reason.clone());
    Err(error.with("approvers", need.approvers).with("role", need.role.as_str()))
}
