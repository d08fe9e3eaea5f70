//! What a company is.

use serde::{Deserialize, Serialize};

use super::terms::{self, ApprovalRule, PaymentTerms, PurchaseOrderRule};
use crate::{
    customers::Address,
    error::{Error, Result},
    kernel::{Instant, VatId, ids::CompanyId, patch::present, text::Text},
};

/// A company that customers buy for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Company {
    /// Its id.
    pub id: CompanyId,
    /// Its number, unique: what the ERP or the CRM calls it.
    pub number: String,
    /// Its name.
    pub name: String,
    /// Its VAT number.
    pub vat_id: Option<VatId>,
    /// Whether its price lists and promotions are for its customers.
    pub active: bool,
    /// Until when it pays what it buys on account; at once where nothing is agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<PaymentTerms>,
    /// What its own number of an order has to be like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase_order: Option<PurchaseOrderRule>,
    /// From which amounts on orders of its members are approved by others of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approval_rules: Vec<ApprovalRule>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

const fn yes() -> bool {
    true
}

/// A company about to be made.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"number": "D-70012", "name": "Analytical Engines GmbH", "vat_id": "DE136695976"}))]
pub struct NewCompany {
    /// Its number, unique: what the ERP or the CRM calls it.
    #[schema(value_type = String, min_length = 1, max_length = 50)]
    pub number: Text<50>,
    /// Its name.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    pub name: Text<200>,
    /// Its VAT number, with its country's prefix. Its check digits must be right.
    #[schema(value_type = Option<VatId>)]
    pub vat_id: Option<VatId>,
    /// Whether its price lists and promotions are for its customers.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub active: bool,
    /// Until when it pays what it buys on account.
    pub terms: Option<PaymentTerms>,
    /// What its own number of an order has to be like.
    pub purchase_order: Option<PurchaseOrderRule>,
    /// From which amounts on orders of its members are approved by others of it; at most 20.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub approval_rules: Vec<ApprovalRule>,
    /// Where it is; at most 50.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub addresses: Vec<Address>,
}

impl NewCompany {
    pub(super) fn build(&self, id: CompanyId, now: Instant) -> Result<Company> {
        let company = Company {
            id,
            number: self.number.to_string(),
            name: self.name.to_string(),
            vat_id: self.vat_id.clone(),
            active: self.active,
            terms: self.terms,
            purchase_order: self.purchase_order.clone(),
            approval_rules: self.approval_rules.clone(),
            addresses: self.addresses.clone(),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        company.check()?;
        Ok(company)
    }
}

/// What can be changed about a company; what is absent stays, null removes. Its number stays what it is.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"active": false}))]
pub struct CompanyChange {
    /// Its name.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub name: Option<Text<200>>,
    /// Its VAT number.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<VatId>)]
    pub vat_id: Option<Option<VatId>>,
    /// Whether its price lists and promotions are for its customers.
    pub active: Option<bool>,
    /// Until when it pays what it buys on account.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<PaymentTerms>)]
    pub terms: Option<Option<PaymentTerms>>,
    /// What its own number of an order has to be like.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<PurchaseOrderRule>)]
    pub purchase_order: Option<Option<PurchaseOrderRule>>,
    /// From which amounts on orders are approved, whole: what is not named goes.
    #[schema(max_items = 20)]
    pub approval_rules: Option<Vec<ApprovalRule>>,
    /// Where it is, whole: what is not named goes.
    #[schema(max_items = 50)]
    pub addresses: Option<Vec<Address>>,
}

/// The most addresses of a company.
const MOST_ADDRESSES: usize = 50;

impl Company {
    /// What the schema can not say.
    fn check(&self) -> Result<()> {
        if self.addresses.len() > MOST_ADDRESSES {
            return Err(Error::invalid("/addresses", format!("expected at most {MOST_ADDRESSES} addresses")));
        }
        terms::check(self.terms.as_ref(), &self.approval_rules)
    }
}

impl CompanyChange {
    /// The company with this change.
    ///
    /// # Errors
    /// `invalid_value`.
    pub(super) fn apply(&self, company: &mut Company) -> Result<()> {
        if let Some(name) = &self.name {
            company.name = name.to_string();
        }
        if let Some(vat_id) = &self.vat_id {
            company.vat_id.clone_from(vat_id);
        }
        company.active = self.active.unwrap_or(company.active);
        company.terms = self.terms.unwrap_or(company.terms);
        if let Some(rule) = &self.purchase_order {
            company.purchase_order.clone_from(rule);
        }
        if let Some(rules) = &self.approval_rules {
            company.approval_rules.clone_from(rules);
        }
        if let Some(addresses) = &self.addresses {
            company.addresses.clone_from(addresses);
        }
        company.check()
    }
}
