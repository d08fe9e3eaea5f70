//! What a company's credit is. Pure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::{
    Instant, Money,
    ids::{CompanyId, CreditEntryId, OrderId, PaymentId},
    text::Note,
};

crate::words! {
    /// What becomes of an order that would take a company above its limit.
    pub enum Above {
        /// It is not placed.
        Decline = "decline",
        /// It is placed and held for `credit` until somebody releases it.
        Hold = "hold",
        /// It is not placed until the shop has approved it (`POST /v1/store/carts/{id}/approval-requests`).
        Approval = "approval",
    }
}

crate::words! {
    /// Why a company's credit changed.
    pub enum CreditEntryKind {
        /// Its limit was set.
        Limit = "limit",
        /// An order was placed on account.
        Order = "order",
        /// Money came in for one.
        Payment = "payment",
        /// Something of an order is not owed any more: cancelled, given back, let go.
        Release = "release",
        /// More of an order is owed again.
        Raise = "raise",
    }
}

/// How much a company may owe on account in a currency, and how much it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CompanyCredit)]
pub struct Credit {
    /// Whose.
    pub company_id: CompanyId,
    /// How much it may owe.
    pub limit: Money,
    /// How much it owes.
    pub used: Money,
    /// How much more it can buy; nothing where it owes more than it may.
    pub available: Money,
    /// What becomes of an order that would take it above the limit.
    pub above: Above,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// A limit about to be set.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CompanyCreditRequest, example = json!({"limit": {"amount": "5000.00", "currency": "EUR"}, "above": "decline", "reason": "insured"}))]
pub struct CreditRequest {
    /// How much the company may owe in this currency. What it owes already stays, also above it.
    pub limit: Money,
    /// What becomes of an order that would take it above the limit.
    #[serde(default = "decline")]
    #[schema(default = "decline")]
    pub above: Above,
    /// Why; it is kept in the ledger.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
}

const fn decline() -> Above {
    Above::Decline
}

/// What an order would take a company's credit to, where the shop has to approve that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = CreditExcess)]
pub struct Excess {
    /// How much more than its limit the company would owe.
    pub over: Money,
    /// How much it would owe: it is approved up to this, and no further.
    pub up_to: Money,
}

/// What an order owes on account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CompanyDebt)]
pub struct Debt {
    /// The payment of the order that is on account.
    pub payment_id: PaymentId,
    /// Who owes it.
    pub company_id: CompanyId,
    /// The order.
    pub order_id: OrderId,
    /// Its number.
    pub order_number: String,
    /// How much was bought on account.
    pub amount: Money,
    /// How much of that is owed still.
    pub open: Money,
    /// How much of it has been paid.
    pub paid: Money,
    /// Until when it is to be paid.
    pub due_at: Instant,
    /// Whether it should have been paid by now.
    pub overdue: bool,
    /// Rises with every change.
    #[serde(skip)]
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// A change of a company's credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CompanyCreditEntry)]
pub struct CreditEntry {
    /// Its id.
    pub id: CreditEntryId,
    /// Whose credit.
    pub company_id: CompanyId,
    /// Why it changed.
    pub kind: CreditEntryKind,
    /// By how much changed what is owed.
    pub amount: Money,
    /// How much was owed afterwards.
    pub used_after: Money,
    /// Which version of the credit it made.
    pub version: i64,
    /// The payment that it was for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// The order that it was for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Who did it.
    pub actor: String,
    /// What was said about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub created_at: Instant,
}

/// What of a payment on account is owed still, in minor units: what it promises and has not given, but no more than the customer owes for
/// the order beside what other payments promise.
#[must_use]
pub fn open_of(promised: i64, owed: i64, by_others: i64) -> i64 {
    promised.min(owed.saturating_sub(by_others)).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_more_is_open_than_is_promised_or_owed(promised in 0i64..1000, owed in -1000i64..1000, others in 0i64..1000) {
            let open = open_of(promised, owed, others);
            prop_assert!(open >= 0 && open <= promised && open <= owed.max(0));
        }
    }
}
