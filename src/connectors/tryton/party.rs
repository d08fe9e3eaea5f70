//! Customers and guests as Tryton's parties.

use serde_json::{Map, Value, json};

use super::{
    client::{Tryton, is_taken},
    map,
    sale::find,
};
use crate::{
    connectors::{
        ports::{Delivery, Link},
        wire::Stop,
    },
    kernel::ids::{CustomerId, OrderId},
};

/// What a party is called among the links.
const PARTY: &str = "party";

/// The party that is linked to an object of ours, if Tryton still has it.
async fn linked(tryton: &mut Tryton<'_>, links: &[Link], object_id: &str) -> Result<Option<i64>, Stop> {
    let link = links.iter().find(|link| link.kind == PARTY && link.object_id == object_id);
    let Some(id) = link.and_then(|link| link.value.parse::<i64>().ok()) else { return Ok(None) };
    let found = tryton.read("party.party", json!([["id", "=", id]]), &["id"]).await?;
    if found.is_empty() {
        return Ok(None);
    }
    // A Tryton that went back to a backup gives the numbers of what it has lost to others: those bear their own marks.
    let domain = json!([["party", "=", id], ["type", "=", "other"]]);
    let marks = tryton.read("party.contact_mechanism", domain, &["comment"]).await?;
    let mut marks = marks.iter().map(|mark| map::word(mark, "comment")).filter(|mark| is_mark(mark)).peekable();
    Ok((marks.peek().is_none() || marks.any(|mark| mark == object_id)).then_some(id))
}

/// Whether a comment is a mark of ours.
fn is_mark(comment: &str) -> bool {
    comment.parse::<CustomerId>().is_ok() || comment.parse::<OrderId>().is_ok()
}

/// The party of our mark: Tryton has no key for whom a party is, so the mark is left at the party itself.
async fn marked(tryton: &mut Tryton<'_>, object_id: &str) -> Result<Option<i64>, Stop> {
    let domain = json!([["party.active", "in", [true, false]], ["comment", "=", object_id], ["type", "=", "other"]]);
    let found = tryton.read("party.contact_mechanism", domain, &["party"]).await?;
    let mut parties: Vec<i64> = found.iter().filter_map(|found| found.get("party")?.as_i64()).collect();
    parties.sort_unstable();
    Ok(parties.first().copied())
}

fn link(object: &str, object_id: &str, party: i64) -> Link {
    let (object, object_id) = (object.to_owned(), object_id.to_owned());
    Link { object, object_id, kind: PARTY.to_owned(), value: party.to_string(), number: None, doubtful: false }
}

/// The party that an order is sold to: the customer's, the one for all guests, or one of its own.
pub(super) async fn of_order(tryton: &mut Tryton<'_>, delivery: Delivery<'_>, known: &Value) -> Result<i64, Stop> {
    let order = &delivery.event.data;
    let customer = order.get("customer_id").and_then(Value::as_str);
    if customer.is_none()
        && let Some(code) = tryton.settings().guest_party.clone()
    {
        return find(tryton, &map::Find { model: "party.party".into(), domain: json!([["code", "=", code]]) }).await;
    }
    let (object, object_id) = match customer {
        Some(id) => ("customer", id),
        None => ("guest", map::word(order, "id")),
    };
    make(tryton, delivery, (object, object_id), known).await
}

/// The party for an object of ours, made where there is none.
async fn make(
    tryton: &mut Tryton<'_>,
    delivery: Delivery<'_>,
    (object, object_id): (&str, &str),
    known: &Value,
) -> Result<i64, Stop> {
    if let Some(id) = linked(tryton, delivery.links, object_id).await? {
        return Ok(id);
    }
    if let Some(id) = marked(tryton, object_id).await? {
        tryton.wire.link(link(object, object_id, id));
        return Ok(id);
    }
    let mut written = delivery.to.mapping.write("party", known)?;
    let mark = json!({"type": "other", "value": object_id, "comment": object_id});
    match written.get_mut("contact_mechanisms").and_then(Value::as_array_mut) {
        Some(mechanisms) => mechanisms.push(mark),
        None => drop(written.as_object_mut().map(|party| party.insert("contact_mechanisms".into(), json!([mark])))),
    }
    let party = super::sale::resolved(tryton, &written).await?;
    let made = match tryton.create("party.party", party).await {
        Ok(made) => made,
        // Of two who make one at once Tryton may give both the same number: the other's may be the one that is wanted.
        Err(stop) if is_taken(&stop) => match marked(tryton, object_id).await? {
            Some(first) => first,
            None => return Err(stop),
        },
        Err(stop) => return Err(stop),
    };
    // Somebody else may have made one too meanwhile, for another order of theirs. The first counts.
    let first = marked(tryton, object_id).await?.unwrap_or(made);
    if first != made {
        tryton.command("party.party", "delete", made).await?;
    }
    tryton.wire.link(link(object, object_id, first));
    Ok(first)
}

/// The address of a party that is the same as one of ours, made where there is none.
pub(super) async fn address(
    tryton: &mut Tryton<'_>,
    delivery: Delivery<'_>,
    party: i64,
    known: &Value,
    address: &Value,
) -> Result<Option<i64>, Stop> {
    if address.as_object().is_none_or(Map::is_empty) {
        return Ok(None);
    }
    let written = delivery.to.mapping.write("address", &map::with_address(known.clone(), address))?;
    let ours = super::sale::resolved(tryton, &written).await?;
    let Value::Object(mut ours) = ours else { return Ok(None) };
    let fields = ["id", "street", "postal_code", "city", "country", "party_name"];
    // What is read is of others too, where guests share a party: it is not kept.
    tryton.quiet = true;
    let theirs = tryton.read("party.address", json!([["party", "=", party]]), &fields).await;
    tryton.quiet = false;
    let theirs = theirs?;
    let same = theirs.iter().find(|theirs| map::is_same_address(theirs, &ours));
    if let Some(id) = same.and_then(|same| same.get("id")?.as_i64()) {
        return Ok(Some(id));
    }
    ours.insert("party".into(), json!(party));
    tryton.create("party.address", Value::Object(ours)).await.map(Some)
}

/// Has a party be there as a customer is now.
pub(super) async fn bring(tryton: &mut Tryton<'_>, delivery: Delivery<'_>) -> Result<(), Stop> {
    let customer = &delivery.event.data;
    let known = map::of_customer(customer, delivery.to.settings);
    let object_id = map::word(customer, "id").to_owned();
    let id = make(tryton, delivery, ("customer", &object_id), &known).await?;
    let written = delivery.to.mapping.write("party", &known)?;
    let Value::Object(mut party) = super::sale::resolved(tryton, &written).await? else { return Ok(()) };
    // What is a list there is not ours alone: people add to it in Tryton.
    party.retain(|_, value| !value.is_array());
    tryton.call("model.party.party.write", vec![json!([id]), Value::Object(party)]).await.map(|_| ())
}

/// Takes off a party what tells who it was. What was sold to it stays, as the law asks.
pub(super) async fn erase(tryton: &mut Tryton<'_>, delivery: Delivery<'_>) -> Result<(), Stop> {
    let object_id = map::word(&delivery.event.data, "id").to_owned();
    let found = match linked(tryton, delivery.links, &object_id).await? {
        Some(id) => Some(id),
        None => marked(tryton, &object_id).await?,
    };
    let Some(id) = found else { return Ok(()) };
    let read = tryton.read(
        "party.party",
        json!([["id", "=", id], ["active", "in", [true, false]]]),
        &["addresses", "contact_mechanisms"],
    );
    let Some(party) = read.await?.into_iter().next() else { return Ok(()) };
    let (addresses, mechanisms) = (map::ids(&party, "addresses"), map::ids(&party, "contact_mechanisms"));
    let mut values = Map::new();
    values.insert("name".into(), json!("Erased"));
    values.insert("active".into(), json!(false));
    if !mechanisms.is_empty() {
        values.insert("contact_mechanisms".into(), json!([["delete", mechanisms]]));
    }
    if !addresses.is_empty() {
        let blank = json!({"party_name": "", "street": "", "postal_code": "", "city": ""});
        values.insert("addresses".into(), json!([["write", addresses, blank]]));
    }
    tryton.call("model.party.party.write", vec![json!([id]), Value::Object(values)]).await.map(|_| ())
}
