//! Orders, line items and contacts, made and changed.

use serde_json::Value;

use super::{client::HubSpot, map};
use crate::connectors::{
    ports::{Delivery, Link},
    wire::Stop,
};

/// What a contact is called among the links of a customer.
const CONTACT: &str = "contact";
/// And among those of a guest's order: the same contact may be a customer's too.
const GUEST: &str = "guest_contact";
/// What an order is called among the links.
const ORDER: &str = "order";

fn link(object: &str, object_id: &str, kind: &str, value: &str) -> Link {
    let (object, object_id, kind) = (object.to_owned(), object_id.to_owned(), kind.to_owned());
    Link { object, object_id, kind, value: value.to_owned(), number: None, doubtful: false }
}

/// Has an order be there with its line items and whose it is. What is older than what is there changes nothing.
pub(super) async fn order(hubspot: &mut HubSpot<'_>, delivery: Delivery<'_>) -> Result<(), Stop> {
    let (order, mapping) = (&delivery.event.data, delivery.to.mapping);
    let known = map::of_order(order, delivery.to.settings);
    // All of it is written before any of it is sent: what can not be is refused as a whole.
    let written = map::order_of(order, mapping, &known)?;
    let lines = map::lines_of(order, mapping, &known)?;
    let id = map::word(order, "id");
    if let Some(theirs) = hubspot.read("orders", (map::ORDER_KEY, id), &[map::VERSION]).await?
        && is_newer(&theirs, order)
    {
        return Ok(());
    }
    let contact = buyer(hubspot, delivery, &known).await?;
    let made = hubspot.upsert("orders", std::slice::from_ref(&written)).await?;
    let Some((_, record)) = made.into_iter().next() else { return Err(Stop::outage("HubSpot made no order")) };
    hubspot.wire.link(link("order", id, ORDER, &record));
    let lines = hubspot.upsert("line_items", &lines).await?;
    let lines: Vec<String> = lines.into_iter().map(|(_, record)| record).collect();
    hubspot.associate("orders", "line_items", &map::pairs(&record, &lines)).await?;
    if let Some(contact) = contact {
        hubspot.associate("orders", "contacts", &map::pairs(&record, &[contact])).await?;
    }
    Ok(())
}

/// Whether what is there is of a later version of an order than ours.
fn is_newer(theirs: &Value, order: &Value) -> bool {
    let version = theirs.pointer(&format!("/properties/{}", map::VERSION)).and_then(Value::as_str);
    let theirs = version.and_then(|text| text.split('.').next()?.parse::<i64>().ok());
    theirs > map::member(order, "version").as_i64()
}

/// The contact of who has bought, made or changed; `None` where nobody is to be one.
async fn buyer(hubspot: &mut HubSpot<'_>, delivery: Delivery<'_>, known: &Value) -> Result<Option<String>, Stop> {
    let order = &delivery.event.data;
    let guests = hubspot.settings.guests;
    let Some(contact) = map::contact_of(order, delivery.to.mapping, known, guests)? else { return Ok(None) };
    let (object, object_id, kind) = match map::word(order, "customer_id") {
        "" => ("guest", map::word(order, "id"), GUEST),
        customer => ("customer", customer, CONTACT),
    };
    // Whoever is known there already is as their own events tell, and not as an order that may be old does.
    if let Some(id) = there(hubspot, delivery, (kind, object_id)).await? {
        return Ok(Some(id));
    }
    make(hubspot, (object, object_id, kind), &contact).await.map(Some)
}

/// Has the contact of a customer be there as they are now.
pub(super) async fn contact(hubspot: &mut HubSpot<'_>, delivery: Delivery<'_>) -> Result<(), Stop> {
    let customer = &delivery.event.data;
    let known = map::of_customer(customer, delivery.to.settings);
    let Some(contact) = map::contact(customer, delivery.to.mapping, &known)? else { return Ok(()) };
    let id = map::word(customer, "id");
    // The one that is linked, whatever its e-mail address is by now, or else the one that has the address.
    match there(hubspot, delivery, (CONTACT, id)).await? {
        Some(known) => hubspot.change("contacts", &known, map::member(&contact, "properties")).await,
        None => make(hubspot, ("customer", id, CONTACT), &contact).await.map(|_| ()),
    }
}

/// The contact that is linked to an object of ours, if HubSpot still has it.
async fn there(
    hubspot: &mut HubSpot<'_>,
    delivery: Delivery<'_>,
    (kind, object_id): (&str, &str),
) -> Result<Option<String>, Stop> {
    let Some(id) = linked(delivery, (kind, object_id)) else { return Ok(None) };
    Ok(hubspot.by_id("contacts", &id, map::CUSTOMER).await?.map(|_| id))
}

/// The contact with an e-mail address, made where there is none.
async fn make(
    hubspot: &mut HubSpot<'_>,
    (object, object_id, kind): (&str, &str, &str),
    contact: &Value,
) -> Result<String, Stop> {
    let made = hubspot.upsert("contacts", std::slice::from_ref(contact)).await?;
    let Some((_, id)) = made.into_iter().next() else { return Err(Stop::outage("HubSpot made no contact")) };
    hubspot.wire.link(link(object, object_id, kind, &id));
    Ok(id)
}

/// The contact that is linked to an object of ours.
fn linked(delivery: Delivery<'_>, (kind, object_id): (&str, &str)) -> Option<String> {
    let link = delivery.links.iter().find(|link| link.kind == kind && link.object_id == object_id)?;
    // It becomes part of an address: HubSpot's ids are numbers.
    link.value.chars().all(|c| c.is_ascii_digit()).then(|| link.value.clone())
}

/// Takes off an order what tells whose it was, and erases the contact of a customer, or of an order's guest. One that has become a
/// customer's is that customer's to erase.
pub(super) async fn erase(hubspot: &mut HubSpot<'_>, delivery: Delivery<'_>) -> Result<(), Stop> {
    let object_id = map::word(&delivery.event.data, "id").to_owned();
    let is_order = delivery.event.kind.starts_with("order.");
    if is_order && hubspot.read("orders", (map::ORDER_KEY, &object_id), &[map::VERSION]).await?.is_some() {
        let blank = map::blank(delivery.to.mapping, &object_id);
        hubspot.upsert("orders", std::slice::from_ref(&blank)).await?;
    }
    let kind = if is_order { GUEST } else { CONTACT };
    let Some(id) = linked(delivery, (kind, &object_id)) else { return Ok(()) };
    let Some(found) = hubspot.by_id("contacts", &id, map::CUSTOMER).await? else { return Ok(()) };
    let whose = found.pointer(&format!("/properties/{}", map::CUSTOMER)).and_then(Value::as_str).unwrap_or_default();
    if !whose.is_empty() && whose != object_id {
        return Ok(());
    }
    hubspot.erase(&id).await
}
