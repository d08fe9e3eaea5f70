//! What an order template is, and who may do what with it. Pure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    customers::CompanyRole,
    error::{Code, Error, Result},
    kernel::{
        Instant, Quantity,
        ids::{CompanyId, CustomerId, OrderId, OrderTemplateId},
        text::{Note, Text},
    },
};

/// The most lines of a template.
pub(super) const MOST_LINES: usize = 1_000;

/// A line of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderTemplateLine, example = json!({"sku": "TEE-BLACK-M", "quantity": 2}))]
pub struct TemplateLine {
    /// What.
    #[schema(value_type = String, max_length = 200)]
    pub sku: Text<200>,
    /// How many.
    pub quantity: Quantity,
}

/// What is kept of a template beside its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Details {
    pub lines: Vec<TemplateLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A named list of what is ordered again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OrderTemplate {
    /// Its id.
    pub id: OrderTemplateId,
    /// Its name: one of its owner, or of the company's where it is shared.
    pub name: String,
    /// Whether all who buy for the company see and use it.
    pub shared: bool,
    /// Who has made it; absent where they are erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// The company that it is shared in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_id: Option<CompanyId>,
    /// What is in it.
    pub lines: Vec<TemplateLine>,
    /// What its owner has noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl OrderTemplate {
    /// What is kept beside its columns.
    pub(super) fn details(&self) -> Details {
        Details { lines: self.lines.clone(), note: self.note.clone() }
    }
}

/// A template about to be made: of `lines`, or of an order of mine.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "every Monday", "lines": [{"sku": "TEE-BLACK-M", "quantity": 2}]}))]
pub struct NewOrderTemplate {
    /// Its name.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    pub name: Text<100>,
    /// Whether all who buy for my company see and use it. For its approvers and admins.
    #[serde(default)]
    #[schema(default = false)]
    pub shared: bool,
    /// What is in it.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub lines: Vec<TemplateLine>,
    /// An order of mine, in the place of `lines`: what was ordered by it.
    pub order_id: Option<OrderId>,
    /// What should be known of it.
    #[schema(value_type = Option<String>)]
    pub note: Option<Note<500>>,
}

/// What is to be different; what is left out stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "every Tuesday"}))]
pub struct OrderTemplatePatch {
    /// Its name.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    pub name: Option<Text<100>>,
    /// Whether all who buy for my company see and use it.
    pub shared: Option<bool>,
    /// What is in it, whole.
    #[schema(max_items = 1000)]
    pub lines: Option<Vec<TemplateLine>>,
    /// What should be known of it.
    #[schema(value_type = Option<String>)]
    pub note: Option<Note<500>>,
}

/// That there is something in it, and not too much.
///
/// # Errors
/// `invalid_value`, `too_many_lines`, `quantity_invalid`.
pub(super) fn check(lines: &[TemplateLine]) -> Result<()> {
    if lines.is_empty() {
        return Err(Error::invalid("/lines", "expected at least one line, or an `order_id`"));
    }
    if lines.len() > MOST_LINES {
        let detail = format!("a template has at most {MOST_LINES} lines");
        return Err(Error::problem(Code::TooManyLines, detail).at("/lines"));
    }
    match lines.iter().position(|line| line.quantity.is_zero()) {
        Some(place) => {
            Err(Error::problem(Code::QuantityInvalid, "expected at least one piece")
                .at(format!("/lines/{place}/quantity")))
        }
        None => Ok(()),
    }
}

/// Who looks at a template: a customer, with the company that they buy for and what they are to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who {
    pub me: CustomerId,
    pub company: Option<(CompanyId, CompanyRole)>,
}

impl Who {
    /// Whether they see it: their own, or one of their company's.
    pub fn sees(self, one: &OrderTemplate) -> bool {
        match one.company_id {
            Some(company) => self.company.is_some_and(|(own, _)| own == company),
            None => one.customer_id == Some(self.me),
        }
    }

    /// The company that they may share with: approvers and admins may.
    ///
    /// # Errors
    /// `company_role_missing` for buyers, and where they buy for no company.
    pub fn shares(self) -> Result<CompanyId> {
        match self.company {
            Some((company, role)) if role.approves(CompanyRole::Approver) => Ok(company),
            _ => Err(Error::problem(
                Code::CompanyRoleMissing,
                "approvers and admins of a company share templates, and change those that are shared",
            )),
        }
    }

    /// Whether they may change what they see.
    ///
    /// # Errors
    /// As [`Self::shares`].
    pub fn changes(self, one: &OrderTemplate) -> Result<()> {
        if one.company_id.is_some() { self.shares().map(|_| ()) } else { Ok(()) }
    }
}
