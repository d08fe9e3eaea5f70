//! What a company is.

use serde::{Deserialize, Serialize};

use crate::kernel::{Instant, VatId, ids::CompanyId, patch::present, text::Text};

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
}

impl NewCompany {
    pub(super) fn build(&self, id: CompanyId, now: Instant) -> Company {
        Company {
            id,
            number: self.number.to_string(),
            name: self.name.to_string(),
            vat_id: self.vat_id.clone(),
            active: self.active,
            version: 1,
            created_at: now,
            updated_at: now,
        }
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
}

impl CompanyChange {
    /// The company with this change.
    pub(super) fn apply(&self, company: &mut Company) {
        if let Some(name) = &self.name {
            company.name = name.to_string();
        }
        if let Some(vat_id) = &self.vat_id {
            company.vat_id.clone_from(vat_id);
        }
        company.active = self.active.unwrap_or(company.active);
    }
}
