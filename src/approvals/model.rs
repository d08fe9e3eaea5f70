//! What a request for approval is. Pure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    credit::Excess,
    customers::CompanyRole,
    kernel::{
        Instant, Money,
        ids::{ApprovalRequestId, CartId, ChannelId, CompanyId, CustomerId, OrderId},
        text::{Note, Text},
    },
};

crate::words! {
    /// Where a request for approval stands.
    pub enum ApprovalState {
        /// Somebody has to decide.
        Awaiting = "awaiting",
        /// Enough have approved it: it is being ordered, or its buyer orders it.
        Approved = "approved",
        /// Somebody has said no.
        Rejected = "rejected",
        /// Nobody has decided in time.
        Expired = "expired",
        /// Its buyer does not want it any more, or has asked anew.
        Withdrawn = "withdrawn",
        /// There is an order.
        Ordered = "ordered",
        /// It was approved, and could not be ordered.
        Failed = "failed",
    }
}

crate::words! {
    /// What happens to a request for approval.
    pub enum ApprovalCommand {
        /// The last approval that it needs.
        Approve = "approve",
        /// Somebody says no.
        Reject = "reject",
        /// Its time is over.
        Expire = "expire",
        /// Its buyer takes it back.
        Withdraw = "withdraw",
        /// Its order is placed.
        Order = "order",
        /// Its order can not be placed.
        Fail = "fail",
    }
}

use ApprovalCommand as C;
use ApprovalState as S;

/// Every transition there is: from, command, to. What is not here is refused.
pub const TRANSITIONS: &[(ApprovalState, ApprovalCommand, ApprovalState)] = &[
    (S::Awaiting, C::Approve, S::Approved),
    (S::Awaiting, C::Reject, S::Rejected),
    (S::Awaiting, C::Expire, S::Expired),
    (S::Awaiting, C::Withdraw, S::Withdrawn),
    (S::Approved, C::Withdraw, S::Withdrawn),
    (S::Approved, C::Order, S::Ordered),
    (S::Approved, C::Fail, S::Failed),
];

/// The transition table as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> awaiting\n");
    for (from, command, to) in TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

crate::words! {
    /// What an approver says.
    pub enum Verdict {
        /// Yes.
        Approve = "approve",
        /// No.
        Reject = "reject",
    }
}

/// What is kept of a request beside its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Details {
    /// The version of the cart that is asked for.
    pub cart_version: i64,
    /// How it is paid once it is approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<String>,
    /// What its buyer has said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why it has to be approved.
    pub reason: String,
    /// Why it could not be ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What of the company's credit the shop has to approve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<CreditApproval>,
}

/// What of a company's credit the shop has to approve, as the last of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreditApproval {
    /// How far above its limit it is.
    #[serde(flatten)]
    pub excess: Excess,
    /// Who of the shop has approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// What they have said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A request for approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ApprovalRequest {
    /// Its id.
    pub id: ApprovalRequestId,
    /// Where it is bought.
    pub channel_id: ChannelId,
    /// For which company.
    pub company_id: CompanyId,
    /// The cart that is to be ordered.
    pub cart_id: CartId,
    /// Who wants it.
    pub customer_id: CustomerId,
    /// Where it stands.
    pub state: ApprovalState,
    /// What it costs.
    pub total: Money,
    /// How many have to approve, the shop among them where it has to.
    pub approvers: i64,
    /// How many have.
    pub approvals: i64,
    /// Who may: `approver` (admins too), or `admin`.
    pub role: CompanyRole,
    /// Why it has to be approved.
    pub reason: String,
    /// How it is paid once it is approved; absent where its buyer completes the cart then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<String>,
    /// What its buyer has said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Until when somebody has to decide: prices and stock are kept so long.
    pub expires_at: Instant,
    /// The order that came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Why it could not be ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What of the company's credit the shop has to approve, once all others have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credit: Option<CreditApproval>,
    /// The version of the cart that is asked for.
    #[serde(skip)]
    pub cart_version: i64,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl ApprovalRequest {
    /// What is kept beside its columns.
    pub(super) fn details(&self) -> Details {
        Details {
            cart_version: self.cart_version,
            payment_method: self.payment_method.clone(),
            message: self.message.clone(),
            reason: self.reason.clone(),
            failure: self.failure.clone(),
            credit: self.credit.clone(),
        }
    }

    /// As those of the company see it: who of the shop has said what is the shop's.
    pub(super) fn for_company(mut self) -> Self {
        self.credit = self.credit.map(|credit| CreditApproval { approved_by: None, note: None, ..credit });
        self
    }

    /// How many of the company have to approve.
    pub(super) fn of_company(&self) -> i64 {
        self.approvers - i64::from(self.credit.is_some())
    }
}

/// What an approver has said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalDecision)]
pub struct Decision {
    /// Who.
    pub customer_id: CustomerId,
    /// What.
    pub verdict: Verdict,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When.
    pub at: Instant,
}

/// The wish to have a cart approved.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalWish, example = json!({"payment_method": "on_account", "message": "for the trade fair"}))]
pub struct Wish {
    /// How it is paid once it is approved, `on_account` or `manual`: it is ordered by itself then. Left out, its buyer completes the cart.
    #[schema(value_type = Option<String>)]
    pub payment_method: Option<Text<50>>,
    /// What approvers should know.
    #[schema(value_type = Option<String>)]
    pub message: Option<Note<1000>>,
    /// For so many days prices and stock are kept, 1 to 14.
    #[serde(default = "week")]
    #[schema(default = 7, minimum = 1, maximum = 14)]
    pub days: i64,
}

const fn week() -> i64 {
    7
}

/// What an approver says about a request.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalNote, example = json!({"note": "within the budget"}))]
pub struct SaidWhy {
    /// Why.
    #[schema(value_type = Option<String>)]
    pub note: Option<Note<1000>>,
}
