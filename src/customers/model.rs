//! What a customer is.

use serde::{Deserialize, Serialize};

use super::{
    book::{self, Address, BookEntry},
    companies::{Membership, OrderRules},
};
use crate::{
    error::{Error, Result},
    kernel::{
        Instant,
        ids::{AddressId, CompanyId, CustomerId},
        patch::present,
        text::{Email, Text},
    },
};

/// What a customer has agreed to, or has refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ConsentFlag {
    /// Whether they agree.
    pub granted: bool,
    /// When they said so.
    pub at: Instant,
}

/// What a customer has been asked; what is absent was never asked, which is no consent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Consent {
    /// E-mails that advertise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marketing_email: Option<ConsentFlag>,
}

impl Consent {
    /// Notes an answer. The same answer again keeps its date: what counts is since when.
    fn answer_marketing_email(&mut self, granted: bool, at: Instant) {
        if self.marketing_email.is_none_or(|flag| flag.granted != granted) {
            self.marketing_email = Some(ConsentFlag { granted, at });
        }
    }
}

/// Whose sign-in is linked: issuer and subject of their token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Login {
    /// The token's issuer.
    pub issuer: String,
    /// The token's subject.
    pub subject: String,
}

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Customer {
    /// Their id.
    pub id: CustomerId,
    /// Their number, unique.
    pub number: String,
    /// Their e-mail address.
    pub email: Option<Email>,
    /// Their name.
    pub name: Option<String>,
    /// Their telephone number.
    pub phone: Option<String>,
    /// The group they belong to, such as `trade`.
    pub group: Option<String>,
    /// The company that they buy for.
    pub company_id: Option<CompanyId>,
    /// The segments that they are in, such as `newsletter` or `lapsed`, in the order of the alphabet.
    pub segments: Vec<String>,
    /// Whether what they buy is not taxed at all, as for an embassy.
    pub tax_exempt: bool,
    /// What they have agreed to.
    pub consent: Consent,
    /// Their addresses, oldest first.
    pub addresses: Vec<BookEntry>,
    /// Their sign-in, when they have one.
    pub login: Option<Login>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When they last changed.
    pub updated_at: Instant,
    /// When they were erased, if they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Instant>,
}

impl Customer {
    pub(super) fn blank(id: CustomerId, number: String, now: Instant) -> Self {
        Self {
            id,
            number,
            email: None,
            name: None,
            phone: None,
            group: None,
            company_id: None,
            segments: Vec::new(),
            tax_exempt: false,
            consent: Consent::default(),
            addresses: Vec::new(),
            login: None,
            version: 1,
            created_at: now,
            updated_at: now,
            erased_at: None,
        }
    }

    /// The customer without anything that tells who they are: number, group and times stay; company and segments go, for they may
    /// tell.
    pub(super) fn erased(&self) -> Self {
        let blank = Self::blank(self.id, self.number.clone(), self.created_at);
        let Self { version, updated_at, erased_at, .. } = *self;
        let tax_exempt = self.tax_exempt;
        Self { group: self.group.clone(), tax_exempt, version, updated_at, erased_at, ..blank }
    }
}

/// What prices and taxes ask of a customer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The group they belong to.
    pub group: Option<String>,
    /// The company that they buy for, as long as it is active.
    pub company: Option<CompanyId>,
    /// What they are to it.
    pub member: Membership,
    /// What it asks of orders.
    pub rules: OrderRules,
    /// The segments that they are in.
    pub segments: Vec<String>,
    /// Whether what they buy is not taxed at all.
    pub tax_exempt: bool,
}

/// The most segments of one customer.
const MOST_SEGMENTS: usize = 50;

/// Segments as they are kept: each once, in the order of the alphabet.
///
/// # Errors
/// `invalid_value` where there are too many.
pub(crate) fn segments_of(named: &[Text<50>]) -> Result<Vec<String>> {
    let kept: std::collections::BTreeSet<String> = named.iter().map(ToString::to_string).collect();
    if kept.len() > MOST_SEGMENTS {
        return Err(Error::invalid("/segments", format!("expected at most {MOST_SEGMENTS} segments")));
    }
    Ok(kept.into_iter().collect())
}

/// A customer about to be made.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Ada Lovelace", "email": "ada@example.org", "marketing_email": true}))]
pub struct NewCustomer {
    /// Their number; the next free one where it is absent.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    pub number: Option<Text<50>>,
    /// Their e-mail address.
    pub email: Option<Email>,
    /// Their name.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub name: Option<Text<200>>,
    /// Their telephone number.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 40)]
    pub phone: Option<Text<40>>,
    /// The group they belong to, such as `trade`.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    pub group: Option<Text<50>>,
    /// The company that they buy for.
    pub company_id: Option<CompanyId>,
    /// The segments that they are in, such as `newsletter`.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 50)]
    pub segments: Vec<Text<50>>,
    /// Whether what they buy is not taxed at all.
    #[serde(default)]
    pub tax_exempt: bool,
    /// Whether e-mails may advertise, when they were asked.
    pub marketing_email: Option<bool>,
    /// Their first address: the default for goods and invoices.
    pub address: Option<Address>,
}

impl NewCustomer {
    pub(super) fn build(
        &self,
        id: CustomerId,
        address_id: AddressId,
        number: String,
        now: Instant,
    ) -> Result<Customer> {
        let mut customer = Customer::blank(id, number, now);
        customer.email.clone_from(&self.email);
        customer.name = text(self.name.as_ref());
        customer.phone = text(self.phone.as_ref());
        customer.group = text(self.group.as_ref());
        customer.company_id = self.company_id;
        customer.segments = segments_of(&self.segments)?;
        customer.tax_exempt = self.tax_exempt;
        if let Some(granted) = self.marketing_email {
            customer.consent.answer_marketing_email(granted, now);
        }
        if let Some(address) = &self.address {
            book::replace_main(&mut customer.addresses, address_id, address)?;
        }
        Ok(customer)
    }
}

fn text<const MAX: usize>(text: Option<&Text<MAX>>) -> Option<String> {
    text.map(ToString::to_string)
}

/// What can be changed about a customer; what is absent stays, null removes.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Ada King", "group": "trade"}))]
pub struct CustomerChange {
    /// Their e-mail address.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Email>)]
    pub email: Option<Option<Email>>,
    /// Their name.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub name: Option<Option<Text<200>>>,
    /// Their telephone number.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 40)]
    pub phone: Option<Option<Text<40>>>,
    /// The group they belong to.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    pub group: Option<Option<Text<50>>>,
    /// The company that they buy for.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<CompanyId>)]
    pub company_id: Option<Option<CompanyId>>,
    /// The segments that they are in, whole: what is not named goes.
    #[schema(value_type = Option<Vec<String>>, max_items = 50)]
    pub segments: Option<Vec<Text<50>>>,
    /// Whether what they buy is not taxed at all.
    pub tax_exempt: Option<bool>,
    /// Whether e-mails may advertise.
    pub marketing_email: Option<bool>,
}

impl CustomerChange {
    /// The customer with this change. `at` is when consent was given or withdrawn.
    pub(super) fn apply(&self, customer: &mut Customer, at: Instant) -> Result<()> {
        if let Some(email) = &self.email {
            customer.email.clone_from(email);
        }
        if let Some(name) = &self.name {
            customer.name = text(name.as_ref());
        }
        if let Some(phone) = &self.phone {
            customer.phone = text(phone.as_ref());
        }
        if let Some(group) = &self.group {
            customer.group = text(group.as_ref());
        }
        customer.company_id = self.company_id.unwrap_or(customer.company_id);
        if let Some(segments) = &self.segments {
            customer.segments = segments_of(segments)?;
        }
        customer.tax_exempt = self.tax_exempt.unwrap_or(customer.tax_exempt);
        if let Some(granted) = self.marketing_email {
            customer.consent.answer_marketing_email(granted, at);
        }
        Ok(())
    }
}

/// A customer as they see themselves.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Profile {
    /// Their id.
    pub id: CustomerId,
    /// Their customer number.
    pub number: String,
    /// Their e-mail address.
    pub email: Option<Email>,
    /// Their name.
    pub name: Option<String>,
    /// Their telephone number.
    pub phone: Option<String>,
    /// What they have agreed to.
    pub consent: Consent,
    /// Their addresses, oldest first.
    pub addresses: Vec<BookEntry>,
    /// Rises with every change.
    pub version: i64,
}

impl From<Customer> for Profile {
    fn from(customer: Customer) -> Self {
        let Customer { id, number, email, name, phone, consent, addresses, version, .. } = customer;
        Self { id, number, email, name, phone, consent, addresses, version }
    }
}

/// What customers can change about themselves; what is absent stays, null removes. The e-mail address comes with the
/// sign-in.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Ada King", "marketing_email": false}))]
pub struct ProfileChange {
    /// Their name.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub name: Option<Option<Text<200>>>,
    /// Their telephone number.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 40)]
    pub phone: Option<Option<Text<40>>>,
    /// Whether e-mails may advertise.
    pub marketing_email: Option<bool>,
}

impl From<ProfileChange> for CustomerChange {
    fn from(change: ProfileChange) -> Self {
        let ProfileChange { name, phone, marketing_email } = change;
        Self { name, phone, marketing_email, ..Self::default() }
    }
}

/// A row of an import: the customer's number, and what is to be so about them. What is absent stays; null removes.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"number": "K-4711", "name": "Ada Lovelace", "email": "ada@example.org"}))]
pub struct CustomerRow {
    /// Their number.
    #[schema(value_type = String, min_length = 1, max_length = 50)]
    pub number: Text<50>,
    /// Their e-mail address.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Email>)]
    pub email: Option<Option<Email>>,
    /// Their name.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub name: Option<Option<Text<200>>>,
    /// Their telephone number.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub phone: Option<Option<Text<40>>>,
    /// The group they belong to.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub group: Option<Option<Text<50>>>,
    /// The number of the company that they buy for.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub company_number: Option<Option<Text<50>>>,
    /// The segments that they are in, whole: what is not named goes. In CSV a cell such as `newsletter|lapsed`.
    #[schema(value_type = Option<Vec<String>>, max_items = 50)]
    pub segments: Option<Vec<Text<50>>>,
    /// Whether what they buy is not taxed at all.
    pub tax_exempt: Option<bool>,
    /// Whether e-mails may advertise.
    pub marketing_email: Option<bool>,
    /// When they said so; now where it is absent.
    pub marketing_email_at: Option<Instant>,
    /// Takes the place of their default billing address.
    pub address: Option<Address>,
}

impl CustomerRow {
    /// What the customer with this number is after the row; `known` is what they were before, `company` the one that the row
    /// names.
    pub(super) fn onto(
        &self,
        known: Option<&Customer>,
        fresh: (CustomerId, AddressId),
        company: Option<Option<CompanyId>>,
        now: Instant,
    ) -> Result<Customer> {
        let blank = || Customer::blank(fresh.0, self.number.to_string(), now);
        let mut customer = known.cloned().unwrap_or_else(blank);
        let change = CustomerChange {
            email: self.email.clone(),
            name: self.name.clone(),
            phone: self.phone.clone(),
            group: self.group.clone(),
            company_id: company,
            segments: self.segments.clone(),
            tax_exempt: self.tax_exempt,
            marketing_email: self.marketing_email,
        };
        change.apply(&mut customer, self.marketing_email_at.unwrap_or(now))?;
        if let Some(address) = &self.address {
            book::replace_main(&mut customer.addresses, fresh.1, address)?;
        }
        Ok(customer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consent_keeps_the_date_of_its_answer() {
        let (early, late) = (Instant::from_micros(1), Instant::from_micros(2));
        let mut consent = Consent::default();
        assert_eq!(consent.marketing_email, None);
        consent.answer_marketing_email(true, early);
        consent.answer_marketing_email(true, late);
        assert_eq!(consent.marketing_email, Some(ConsentFlag { granted: true, at: early }));
        consent.answer_marketing_email(false, late);
        assert_eq!(consent.marketing_email, Some(ConsentFlag { granted: false, at: late }));
    }
}
