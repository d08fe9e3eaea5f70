//! What the log is told of customers.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    book::Address,
    model::{Consent, Customer, Login},
};
use crate::{
    db::Tx,
    error::Result,
    events::{self, EventSchema, NewEvent, Payload},
    kernel::{
        Actor, Instant,
        ids::{AddressId, CompanyId, CustomerId, EventId},
        text::Email,
    },
};

pub(super) const CREATED: &str = "customer.created.v1";
pub(super) const UPDATED: &str = "customer.updated.v1";
pub(super) const LINKED: &str = "customer.linked.v1";
pub(super) const ERASED: &str = "customer.erased.v1";

/// A customer as events tell of them. What is personal is null where it is not known, and once it has been erased.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ToldCustomer)]
pub(super) struct Told<'a> {
    /// Their id.
    id: CustomerId,
    /// Their number.
    number: &'a str,
    /// Their e-mail address.
    email: Option<&'a Email>,
    /// Their name.
    name: Option<&'a str>,
    /// Their telephone number.
    phone: Option<&'a str>,
    /// The group they belong to.
    group: Option<&'a str>,
    /// The company that they buy for.
    company_id: Option<CompanyId>,
    /// The segments that they are in.
    segments: Option<&'a [String]>,
    /// Whether what they buy is not taxed at all.
    tax_exempt: bool,
    /// What they have agreed to.
    consent: Consent,
    /// Their addresses, oldest first.
    addresses: Vec<ToldAddress<'a>>,
    /// Their sign-in, when they have one.
    login: Option<&'a Login>,
    /// Rises with every change.
    version: i64,
    /// Since when.
    created_at: Instant,
    /// When they last changed.
    updated_at: Instant,
    /// When they were erased, if they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    erased_at: Option<Instant>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ToldAddress<'a> {
    id: AddressId,
    address: Option<&'a Address>,
    default_shipping: bool,
    default_billing: bool,
}

/// What is personal in it, at the same places.
#[derive(Debug, Serialize)]
struct Personal<'a> {
    email: Option<&'a Email>,
    name: Option<&'a str>,
    phone: Option<&'a str>,
    company_id: Option<CompanyId>,
    segments: &'a [String],
    addresses: Vec<PersonalAddress<'a>>,
    login: Option<&'a Login>,
}

#[derive(Debug, Serialize)]
struct PersonalAddress<'a> {
    address: &'a Address,
}

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    let own = [CREATED, UPDATED, LINKED, ERASED].into_iter().map(EventSchema::of::<Told<'_>>);
    own.chain(super::companies::event_schemas()).collect()
}

/// Tells of what has happened to customers just now: one statement for any number.
pub(super) fn tell<'c>(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    happened: impl IntoIterator<Item = (&'static str, &'c Customer)>,
) -> Result<()> {
    let events: Result<Vec<NewEvent>> =
        happened.into_iter().map(|(kind, customer)| event(now, kind, customer)).collect();
    match events? {
        none if none.is_empty() => Ok(()),
        events => events::append(tx, actor, now, events),
    }
}

/// Tells of customers that an import has written: each is new or changed.
pub(super) fn tell_merged<'c>(
    tx: &mut Tx,
    by: (Instant, &Actor),
    written: impl Iterator<Item = &'c Customer>,
) -> Result<()> {
    tell(tx, by, written.map(|customer| (if customer.version == 1 { CREATED } else { UPDATED }, customer)))
}

fn event(now: Instant, kind: &'static str, customer: &Customer) -> Result<NewEvent> {
    Ok(NewEvent {
        id: event_id(now, customer),
        stream: customer.id.to_string(),
        aggregate: "customer",
        aggregate_id: customer.id.to_string(),
        aggregate_version: customer.version,
        channel: None,
        kind,
        occurred_at: now,
        payload: payload(customer)?,
        subject: Some(customer.id),
    })
}

fn payload(customer: &Customer) -> Result<Payload> {
    let address = |entry: &super::BookEntry| ToldAddress {
        id: entry.id,
        address: None,
        default_shipping: entry.default_shipping,
        default_billing: entry.default_billing,
    };
    let told = Told {
        id: customer.id,
        number: &customer.number,
        email: None,
        name: None,
        phone: None,
        group: customer.group.as_deref(),
        company_id: None,
        segments: None,
        tax_exempt: customer.tax_exempt,
        consent: customer.consent,
        addresses: customer.addresses.iter().map(address).collect(),
        login: None,
        version: customer.version,
        created_at: customer.created_at,
        updated_at: customer.updated_at,
        erased_at: customer.erased_at,
    };
    let personal = Personal {
        email: customer.email.as_ref(),
        name: customer.name.as_deref(),
        phone: customer.phone.as_deref(),
        company_id: customer.company_id,
        segments: &customer.segments,
        addresses: customer.addresses.iter().map(|entry| PersonalAddress { address: &entry.address }).collect(),
        login: customer.login.as_ref(),
    };
    Payload::with_personal(&told, &personal)
}

/// A change's id follows from whom it is of, their version and the time, so that a second run of the transaction gives the
/// same. The time is in it since after a restore the same version may come again with other content.
fn event_id(now: Instant, customer: &Customer) -> EventId {
    let hash = Sha256::new()
        .chain_update(customer.id.bytes())
        .chain_update(customer.version.to_be_bytes())
        .chain_update(now.micros().to_be_bytes())
        .finalize();
    // New rows lie together: the beginning is the time, as in other ids.
    let millis = (now.micros() / 1000).to_be_bytes();
    let mut id = [0; 16];
    id.iter_mut().zip(millis.into_iter().skip(2).chain(hash)).for_each(|(to, from)| *to = from);
    EventId::from_bytes(id)
}
