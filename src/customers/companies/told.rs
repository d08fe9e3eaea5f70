//! What the log is told of companies.

use serde::Serialize;

use super::{
    model::Company,
    terms::{ApprovalRule, PaymentTerms, PurchaseOrderRule},
};
use crate::{
    customers::Address,
    db::Tx,
    error::Result,
    events::{self, EventSchema, NewEvent, Payload},
    kernel::{
        Actor, Instant, VatId,
        ids::{CompanyId, EventId},
    },
};

pub(super) const CREATED: &str = "company.created.v1";
pub(super) const UPDATED: &str = "company.updated.v1";

/// A company as events tell of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ToldCompany)]
struct Told<'a> {
    /// Its id.
    id: CompanyId,
    /// Its number.
    number: &'a str,
    /// Its name.
    name: &'a str,
    /// Its VAT number.
    vat_id: Option<&'a VatId>,
    /// Whether its price lists and promotions are for its customers.
    active: bool,
    /// Until when it pays what it buys on account.
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<PaymentTerms>,
    /// What its own number of an order has to be like.
    #[serde(skip_serializing_if = "Option::is_none")]
    purchase_order: Option<&'a PurchaseOrderRule>,
    /// From which amounts on orders of its members are approved by others of it.
    #[serde(skip_serializing_if = "<[ApprovalRule]>::is_empty")]
    approval_rules: &'a [ApprovalRule],
    /// Where it is.
    #[serde(skip_serializing_if = "<[Address]>::is_empty")]
    addresses: &'a [Address],
    /// Rises with every change.
    version: i64,
    /// Since when.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    [CREATED, UPDATED].into_iter().map(EventSchema::of::<Told<'_>>).collect()
}

/// Tells of what has happened to a company just now.
pub(super) fn tell(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    id: EventId,
    kind: &'static str,
    company: &Company,
) -> Result<()> {
    let Company { number, name, vat_id, active, version, created_at, updated_at, .. } = company;
    let told = Told {
        id: company.id,
        number,
        name,
        vat_id: vat_id.as_ref(),
        active: *active,
        terms: company.terms,
        purchase_order: company.purchase_order.as_ref(),
        approval_rules: &company.approval_rules,
        addresses: &company.addresses,
        version: *version,
        created_at: *created_at,
        updated_at: *updated_at,
    };
    let event = NewEvent {
        id,
        stream: company.id.to_string(),
        aggregate: "company",
        aggregate_id: company.id.to_string(),
        aggregate_version: company.version,
        channel: None,
        kind,
        occurred_at: now,
        payload: Payload::of(&told)?,
        subject: None,
    };
    events::append(tx, actor, now, vec![event])
}
