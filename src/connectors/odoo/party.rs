//! Customers and guests as Odoo's partners.

use serde_json::{Map, Value, json};

use super::{Guests, client::Odoo, map, sale};
use crate::connectors::{
    ports::{Delivery, Link},
    wire::Stop,
};

/// What a partner is called among the links.
const PARTNER: &str = "partner";
const MODEL: &str = "res.partner";

/// Whom a partner stands for.
#[derive(Clone, Copy)]
struct Whom<'w> {
    /// The kind of our object.
    object: &'w str,
    /// Its id, which becomes the partner's reference.
    id: &'w str,
    /// The e-mail address by which a partner of before is found, where one is looked for.
    email: Option<&'w str>,
}

fn link(whom: Whom<'_>, partner: i64, doubtful: bool) -> Link {
    let (object, object_id) = (whom.object.to_owned(), whom.id.to_owned());
    Link { object, object_id, kind: PARTNER.to_owned(), value: partner.to_string(), number: None, doubtful }
}

fn ids(found: &[Value]) -> Vec<i64> {
    found.iter().filter_map(|found| found.get("id")?.as_i64()).collect()
}

/// The partner that is linked to an object of ours, if Odoo still has it.
async fn linked(odoo: &mut Odoo<'_>, links: &[Link], object_id: &str) -> Result<Option<i64>, Stop> {
    let link = links.iter().find(|link| link.kind == PARTNER && link.object_id == object_id);
    let Some(id) = link.and_then(|link| link.value.parse::<i64>().ok()) else { return Ok(None) };
    let found = odoo.read(MODEL, json!([["id", "=", id]]), &["id", "ref"]).await?;
    // An Odoo that went back to a backup gives the numbers of what it has lost to others.
    let ours = |found: &Value| !is_marked(found) || map::word(found, "ref") == object_id;
    Ok(found.iter().any(ours).then_some(id))
}

/// Whether a partner stands for a customer or a guest of ours.
fn is_marked(partner: &Value) -> bool {
    ["cust_", "order_"].iter().any(|mark| map::word(partner, "ref").starts_with(mark))
}

/// The partner with our reference.
async fn referenced(odoo: &mut Odoo<'_>, object_id: &str) -> Result<Option<i64>, Stop> {
    let domain = json!([["ref", "=", object_id], ["parent_id", "=", false]]);
    Ok(ids(&odoo.read(MODEL, domain, &["id"]).await?).first().copied())
}

/// The partners with an e-mail address that are there already, those that stand for other customers and guests of ours left out.
async fn with_email(odoo: &mut Odoo<'_>, email: &str) -> Result<Vec<i64>, Stop> {
    let domain = json!([["email_normalized", "=", email.trim().to_lowercase()], ["parent_id", "=", false]]);
    // What is read may be of others.
    odoo.quiet = true;
    let found = odoo.read(MODEL, domain, &["id", "ref"]).await;
    odoo.quiet = false;
    let others: Vec<Value> = found?.into_iter().filter(|found| !is_marked(found)).collect();
    Ok(ids(&others))
}

/// The partner that an order is sold to.
pub(super) async fn of_order(odoo: &mut Odoo<'_>, delivery: Delivery<'_>, known: &Value) -> Result<i64, Stop> {
    let order = &delivery.event.data;
    let (guests, email) = (odoo.settings().guests, order.get("email").and_then(Value::as_str));
    let whom = match order.get("customer_id").and_then(Value::as_str) {
        Some(id) => Whom { object: "customer", id, email },
        None => {
            Whom { object: "guest", id: map::word(order, "id"), email: email.filter(|_| guests == Guests::ByEmail) }
        }
    };
    if whom.object == "guest" && guests == Guests::Collective {
        let code = odoo.settings().guest_partner.clone().unwrap_or_default();
        return sale::find(odoo, map::Find { model: MODEL.into(), domain: json!([["ref", "=", code]]) }).await;
    }
    make(odoo, delivery, whom, known).await
}

/// Under which reference the addresses of an order's partner are made, so that they are found when it is to be forgotten.
pub(super) fn reference(order: &Value) -> &str {
    order.get("customer_id").and_then(Value::as_str).unwrap_or_else(|| map::word(order, "id"))
}

/// The partner for an object of ours: by what is linked, by our reference, by its e-mail address; else made.
async fn make(odoo: &mut Odoo<'_>, delivery: Delivery<'_>, whom: Whom<'_>, known: &Value) -> Result<i64, Stop> {
    if let Some(id) = linked(odoo, delivery.links, whom.id).await? {
        return Ok(id);
    }
    if let Some(id) = referenced(odoo, whom.id).await? {
        odoo.wire.link(link(whom, id, false));
        return Ok(id);
    }
    if let Some(email) = whom.email.filter(|email| !email.trim().is_empty()) {
        let found = with_email(odoo, email).await?;
        if let Some(first) = found.first() {
            // Of several the oldest is taken, and somebody is told.
            odoo.wire.link(link(whom, *first, found.len() > 1));
            return Ok(*first);
        }
    }
    let id = load(odoo, delivery, whom.id, known).await?;
    odoo.wire.link(link(whom, id, false));
    Ok(id)
}

/// Has the partner of our reference be there, as it is now.
async fn load(odoo: &mut Odoo<'_>, delivery: Delivery<'_>, object_id: &str, known: &Value) -> Result<i64, Stop> {
    let written = delivery.to.mapping.write("partner", known)?;
    let ids = sale::looked_up(odoo, &written).await?;
    let mut row =
        vec![("id".to_owned(), map::external_id(PARTNER, object_id)), ("ref".to_owned(), object_id.to_owned())];
    row.extend(map::row(&written, &|find| ids.get(&find.key()).copied())?);
    odoo.load(MODEL, row).await
}

/// The address of a partner that is the same as one of ours, made where there is none: the partner itself, or a contact of it.
pub(super) async fn address(
    odoo: &mut Odoo<'_>,
    delivery: Delivery<'_>,
    (partner, kind): (i64, &str),
    known: &Value,
    address: &Value,
) -> Result<Option<i64>, Stop> {
    if address.as_object().is_none_or(Map::is_empty) {
        return Ok(None);
    }
    let reference = reference(&delivery.event.data);
    let written = delivery.to.mapping.write("address", &map::with_address(known.clone(), address))?;
    let Value::Object(mut ours) = sale::resolved(odoo, &written).await? else { return Ok(None) };
    let fields = ["id", "ref", "name", "street", "street2", "zip", "city", "country_id"];
    let domain =
        json!(["|", ["id", "=", partner], "&", ["parent_id", "=", partner], ["ref", "in", [reference, false]]]);
    // What is read is of others too, where guests share a partner: it is not kept.
    odoo.quiet = true;
    let theirs = odoo.read(MODEL, domain, &fields).await;
    odoo.quiet = false;
    let theirs = theirs?;
    let same = theirs.iter().find(|theirs| map::is_same_address(theirs, &ours));
    if let Some(id) = same.and_then(|same| same.get("id")?.as_i64()) {
        return Ok(Some(id));
    }
    ours.insert("parent_id".into(), json!(partner));
    ours.insert("type".into(), json!(kind));
    ours.insert("ref".into(), json!(reference));
    odoo.create(MODEL, Value::Object(ours)).await.map(Some)
}

/// Has a partner be there as a customer is now. One that was there before us is its people's: it is linked, and not changed.
pub(super) async fn bring(odoo: &mut Odoo<'_>, delivery: Delivery<'_>) -> Result<(), Stop> {
    let customer = &delivery.event.data;
    let known = map::of_customer(customer, delivery.to.settings);
    let id = map::word(customer, "id");
    let email = customer.get("email").and_then(Value::as_str);
    let whom = Whom { object: "customer", id, email };
    let before = make(odoo, delivery, whom, &known).await?;
    if referenced(odoo, id).await? != Some(before) {
        return Ok(());
    }
    let written = delivery.to.mapping.write("partner", &known)?;
    let Value::Object(mut partner) = sale::resolved(odoo, &written).await? else { return Ok(()) };
    // What is a list there is not ours alone: people add to it in Odoo.
    partner.retain(|_, value| !value.is_array());
    odoo.write(MODEL, &[before], Value::Object(partner)).await
}

/// What is left of a partner that nobody may know any more.
pub(super) fn erased() -> Value {
    json!({"name": "Erased", "email": false, "phone": false, "street": false, "street2": false, "zip": false, "city": false,
        "active": false})
}

/// Takes off a partner and its contacts what tells who it was. What was sold to it stays, as the law asks.
pub(super) async fn erase(odoo: &mut Odoo<'_>, delivery: Delivery<'_>) -> Result<(), Stop> {
    let object_id = map::word(&delivery.event.data, "id").to_owned();
    let domain = json!([["ref", "=", object_id], ["active", "in", [true, false]]]);
    let ours = ids(&odoo.read(MODEL, domain, &["id"]).await?);
    if !ours.is_empty() {
        odoo.write(MODEL, &ours, erased()).await?;
    }
    match linked(odoo, delivery.links, &object_id).await? {
        Some(id) if !ours.contains(&id) => Err(Stop::refused(format!(
            "the partner {id} was in Odoo before it bought here: erase there what has to be erased, then skip this"
        ))),
        _ => Ok(()),
    }
}
