//! The newest documents of what events tell of. With [`super::snapshot`] the one place that knows which slices give them.
//!
//! | types | their newest document |
//! |---|---|
//! | `order.`, `payment.` | the order |
//! | `fulfilment_order.`, `supplier_order.` | the fulfilment order, over what the event says of the work |
//! | `shipment.` | the shipment, with where its order stands |
//! | `return.` | the return |
//! | `stock.` | the level |
//! | `cart.` | the abandonment, over what the event says of the cart |
//! | `customer.`, `company.` | the customer, the company, for those who may read customers |
//!
//! All others, and things that are gone or that the reader may not see, keep the event's own document.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use crate::{
    abandonment,
    customers::{self, companies},
    db::Tx,
    error::Result,
    events::Event,
    fulfilment,
    kernel::{
        Actor, Id, Scope,
        ids::{CartId, Kind, LocationId, OrderId, VariantId},
    },
    orders, stock,
};

/// The newest documents, by the ids of what they are about.
type Documents = HashMap<String, Value>;

/// Lays the newest documents over the events' own: a few statements for each kind of thing among them.
pub(super) fn lay_over(tx: &mut Tx, actor: &Actor, events: &mut [Event]) -> Result<()> {
    let mut documents = Documents::new();
    orders_of(tx, events, &mut documents)?;
    fulfilments_of(tx, actor, events, &mut documents)?;
    returns_of(tx, actor, events, &mut documents)?;
    levels_of(tx, actor, events, &mut documents)?;
    abandonments_of(tx, events, &mut documents)?;
    if actor.holds(Scope::CustomersRead) {
        customers_of(tx, events, &mut documents)?;
    }
    for event in events {
        let Some(document) = subject(event).and_then(|subject| documents.get(&subject)) else { continue };
        match (&mut event.data, document) {
            // What only the event tells (a cart's lines and link, where a parcel goes) stays.
            (Value::Object(data), Value::Object(newest))
                if is_of(&event.kind, &["cart.", "fulfilment_order.", "supplier_order."]) =>
            {
                data.extend(newest.clone());
            }
            (data, newest) => data.clone_from(newest),
        }
    }
    Ok(())
}

fn is_of(kind: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| kind.starts_with(prefix))
}

/// What an event is about, where that has a newest document.
fn subject(event: &Event) -> Option<String> {
    let of = |prefixes: &[&str]| is_of(&event.kind, prefixes);
    if of(&["order.", "payment.", "stock.", "cart.", "customer.", "company."]) {
        return Some(event.aggregate_id.clone());
    }
    let id = || event.data.get("id").and_then(Value::as_str).map(str::to_owned);
    if of(&["fulfilment_order.", "supplier_order.", "shipment.", "return."]) { id() } else { None }
}

/// The things that events of some types are about, each once.
fn subjects<K: Kind>(events: &[Event], prefixes: &[&str]) -> Vec<Id<K>> {
    let about = events.iter().filter(|event| is_of(&event.kind, prefixes)).filter_map(subject);
    let mut ids: Vec<Id<K>> = about.filter_map(|id| id.parse().ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn keep(documents: &mut Documents, id: impl ToString, document: &impl Serialize) -> Result<()> {
    documents.insert(id.to_string(), serde_json::to_value(document)?);
    Ok(())
}

fn orders_of(tx: &mut Tx, events: &[Event], documents: &mut Documents) -> Result<()> {
    let ids = subjects(events, &["order.", "payment."]);
    orders::by_ids(tx, &ids)?.iter().try_for_each(|order| keep(documents, order.id, order))
}

fn fulfilments_of(tx: &mut Tx, actor: &Actor, events: &[Event], documents: &mut Documents) -> Result<()> {
    let mut fulfilments = fulfilment::orders_by_ids(tx, &subjects(events, &["fulfilment_order.", "supplier_order."]))?;
    fulfilments.retain(|one| actor.sees_location(one.location_id));
    fulfilments.iter().try_for_each(|one| keep(documents, one.id, one))?;
    let mut shipments = fulfilment::shipments_by_ids(tx, &subjects(events, &["shipment."]))?;
    shipments.retain(|one| actor.sees_location(one.location_id));
    let of: Vec<OrderId> = shipments.iter().map(|one| one.order_id).collect();
    let heads = orders::heads(tx, &of)?;
    for shipment in &shipments {
        if let Some(head) = heads.get(&shipment.order_id) {
            documents.insert(shipment.id.to_string(), fulfilment::parcel(head, shipment)?);
        }
    }
    Ok(())
}

fn returns_of(tx: &mut Tx, actor: &Actor, events: &[Event], documents: &mut Documents) -> Result<()> {
    let mut returns = fulfilment::returns_by_ids(tx, &subjects(events, &["return."]))?;
    returns.retain(|one| one.is_visible_to(actor));
    returns.iter().try_for_each(|one| keep(documents, one.id, one))
}

fn levels_of(tx: &mut Tx, actor: &Actor, events: &[Event], documents: &mut Documents) -> Result<()> {
    let key = |event: &Event| -> Option<(VariantId, LocationId)> {
        let id = |field: &str| event.data.get(field).and_then(Value::as_str);
        Some((id("variant_id")?.parse().ok()?, id("location_id")?.parse().ok()?))
    };
    let about = events.iter().filter(|event| is_of(&event.kind, &["stock."]));
    let mut keys: Vec<_> = about.filter_map(key).filter(|(_, location)| actor.sees_location(*location)).collect();
    keys.sort_unstable();
    keys.dedup();
    let levels = stock::levels_of(tx, &keys)?;
    levels.iter().try_for_each(|level| keep(documents, format!("{}@{}", level.sku, level.location), level))
}

fn abandonments_of(tx: &mut Tx, events: &[Event], documents: &mut Documents) -> Result<()> {
    let carts: Vec<CartId> = subjects(events, &["cart."]);
    abandonment::of_carts(tx, &carts)?.iter().try_for_each(|one| keep(documents, one.cart_id, one))
}

fn customers_of(tx: &mut Tx, events: &[Event], documents: &mut Documents) -> Result<()> {
    let ids = subjects(events, &["customer."]);
    customers::by_ids(tx, &ids)?.iter().try_for_each(|customer| keep(documents, customer.id, customer))?;
    let ids = subjects(events, &["company."]);
    companies::by_ids(tx, &ids)?.iter().try_for_each(|company| keep(documents, company.id, company))
}
