//! Orders as Tryton's sales.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{Until, client::Tryton, map, party};
use crate::connectors::{
    erp::is_anothers,
    ports::{Delivery, Link},
    wire::Stop,
};

/// What a sale is called among the links.
pub(super) const SALE: &str = "sale";
/// What is read of a sale.
#[rustfmt::skip]
const FIELDS: &[&str] =
    &["id", "number", "state", "total_amount", "shipments", "lines", "shipment_state", "invoices", "invoice_state", "comment"];

/// The one record that is looked for.
pub(super) async fn find(tryton: &mut Tryton<'_>, wanted: &map::Find) -> Result<i64, Stop> {
    let found = tryton.read(&wanted.model, wanted.domain.clone(), &["id"]).await?;
    match found.as_slice() {
        [one] => {
            one.get("id").and_then(Value::as_i64).ok_or_else(|| Stop::outage("Tryton told of a record without its id"))
        }
        [] => Err(Stop::refused(format!(
            "Tryton has no `{}` with {}: make it there, or say in the mapping what it is called",
            wanted.model, wanted.domain
        ))),
        _ => Err(Stop::refused(format!(
            "Tryton has several `{}` with {}: make them differ, or say in the mapping which one",
            wanted.model, wanted.domain
        ))),
    }
}

/// A document in Tryton's way of writing, with the ids of the records that it names.
pub(super) async fn resolved(tryton: &mut Tryton<'_>, document: &Value) -> Result<Value, Stop> {
    let mut known = HashMap::new();
    for wanted in map::finds(document) {
        let id = find(tryton, &wanted).await?;
        known.insert(wanted.key(), id);
    }
    Ok(map::written(document, &|wanted| known.get(&wanted.key()).copied()))
}

/// The sale of an order, if there is one: by what is linked, else by the mark that it was made with.
async fn of_order(tryton: &mut Tryton<'_>, delivery: Delivery<'_>) -> Result<Option<Value>, Stop> {
    let order = &delivery.event.data;
    let id = map::word(order, "id");
    let link = delivery.links.iter().find(|link| link.kind == SALE && link.object_id == id && !link.doubtful);
    if let Some(linked) = link.and_then(|link| link.value.parse::<i64>().ok()) {
        let found = tryton.read("sale.sale", json!([["id", "=", linked]]), FIELDS).await?;
        // A Tryton that went back to a backup gives the numbers of what it has lost to others.
        if let Some(sale) = found.into_iter().find(|sale| !is_anothers(map::word(sale, "comment"), id)) {
            return Ok(Some(sale));
        }
    }
    marked(tryton, order).await
}

/// The first sale with an order's mark, linked: its id stands in the comment. Where there are several, all are told to be doubtful.
async fn marked(tryton: &mut Tryton<'_>, order: &Value) -> Result<Option<Value>, Stop> {
    let domain = json!([["comment", "=", map::word(order, "id")], ["state", "!=", "cancelled"]]);
    let mut found = tryton.read("sale.sale", domain, FIELDS).await?;
    found.sort_by_key(|sale| sale.get("id").and_then(Value::as_i64));
    let doubtful = found.len() > 1;
    for sale in &found {
        link(tryton, order, sale, doubtful);
    }
    Ok(found.into_iter().next())
}

fn link(tryton: &mut Tryton<'_>, order: &Value, sale: &Value, doubtful: bool) {
    let value = sale.get("id").map(Value::to_string).unwrap_or_default();
    let number = sale.get("number").and_then(Value::as_str).map(str::to_owned);
    let (object, object_id) = ("order".to_owned(), map::word(order, "id").to_owned());
    tryton.wire.link(Link { object, object_id, kind: SALE.to_owned(), value, number, doubtful });
}

fn id_of(sale: &Value) -> Result<i64, Stop> {
    sale.get("id").and_then(Value::as_i64).ok_or_else(|| Stop::outage("Tryton told of a sale without its id"))
}

/// A sale as it is now.
async fn reread(tryton: &mut Tryton<'_>, id: i64) -> Result<Value, Stop> {
    let found = tryton.read("sale.sale", json!([["id", "=", id]]), FIELDS).await?;
    found.into_iter().next().ok_or_else(|| Stop::failed("somebody has removed the sale in Tryton meanwhile"))
}

/// Has the sale of an order be there, as the order is now where it has `changed`, and go on as far as it may.
pub(super) async fn bring(tryton: &mut Tryton<'_>, delivery: Delivery<'_>, changed: bool) -> Result<(), Stop> {
    let order = &delivery.event.data;
    let sale = match of_order(tryton, delivery).await? {
        None => make(tryton, delivery).await?,
        // A draft may be one of a try that was not through: its sum is looked at again.
        Some(sale) if !changed && map::word(&sale, "state") == "draft" => even(tryton, order, sale).await?,
        Some(sale) if !changed => sale,
        Some(sale) => match map::word(&sale, "state") {
            "draft" | "quotation" => rewrite(tryton, delivery, &sale).await?,
            state => {
                let number = map::word(&sale, "number");
                return Err(Stop::refused(format!(
                    "the sale {number} is `{state}` in Tryton, where it does not change any more: change it there to what the \
                     order is now, then skip this"
                )));
            }
        },
    };
    let sale = advance(tryton, order, sale).await?;
    link(tryton, order, &sale, false);
    Ok(())
}

/// The sale as it is written by the mapping.
async fn write(tryton: &mut Tryton<'_>, delivery: Delivery<'_>) -> Result<Map<String, Value>, Stop> {
    let order = &delivery.event.data;
    let known = map::of_order(order, delivery.to.settings);
    let written = delivery.to.mapping.write("sale", &known)?;
    let party = party::of_order(tryton, delivery, &known).await?;
    let bill = party::address(tryton, delivery, party, &known, map::member(&known, "bill")).await?;
    let ship = party::address(tryton, delivery, party, &known, map::member(&known, "ship")).await?;
    let Value::Object(mut sale) = resolved(tryton, &written).await? else {
        return Err(Stop::refused("the mapping writes a sale that is no document"));
    };
    sale.insert("party".into(), json!(party));
    // The mark by which it is found again, whatever the mapping calls the order.
    sale.insert("comment".into(), json!(map::word(order, "id")));
    for (name, address) in [("invoice_address", bill), ("shipment_address", ship)] {
        if let Some(address) = address {
            sale.insert(name.into(), json!(address));
        }
    }
    if let Some(lines) = sale.get_mut("lines") {
        complete_lines(tryton, lines).await?;
    }
    Ok(sale)
}

/// Lines need the unit that their product is sold in.
async fn complete_lines(tryton: &mut Tryton<'_>, lines: &mut Value) -> Result<(), Stop> {
    let Some(lines) = lines.pointer_mut("/0/1").and_then(Value::as_array_mut) else { return Ok(()) };
    let products: Vec<i64> = lines.iter().filter_map(|line| line.get("product")?.as_i64()).collect();
    let found =
        tryton.read("product.product", json!([["id", "in", products]]), &["id", "sale_uom", "default_uom"]).await?;
    let unit = |product: Option<&Value>| {
        let found = found.iter().find(|found| found.get("id") == product)?;
        found.get("sale_uom").filter(|unit| !unit.is_null()).or_else(|| found.get("default_uom")).cloned()
    };
    for line in lines {
        let unit = unit(line.get("product"));
        if let (Some(line), Some(unit)) = (line.as_object_mut(), unit) {
            line.entry("unit").or_insert(unit);
        }
    }
    Ok(())
}

async fn make(tryton: &mut Tryton<'_>, delivery: Delivery<'_>) -> Result<Value, Stop> {
    let order = &delivery.event.data;
    let sale = write(tryton, delivery).await?;
    let made = tryton.create("sale.sale", Value::Object(sale)).await?;
    // A worker that was thought dead may have made one too. The first counts, whoever made it.
    let first = marked(tryton, order).await?.map_or(Ok(made), |sale| id_of(&sale))?;
    if first != made {
        tryton.command("sale.sale", "delete", made).await?;
    }
    let sale = reread(tryton, first).await?;
    link(tryton, order, &sale, false);
    even(tryton, order, sale).await
}

/// Writes a sale anew that is not under way yet.
async fn rewrite(tryton: &mut Tryton<'_>, delivery: Delivery<'_>, sale: &Value) -> Result<Value, Stop> {
    let id = id_of(sale)?;
    let mut values = write(tryton, delivery).await?;
    values.remove("party");
    if map::word(sale, "state") == "quotation" {
        tryton.command("sale.sale", "draft", id).await?;
    }
    let mut lines = vec![json!(["delete", map::ids(sale, "lines")])];
    lines.extend(values.get("lines").and_then(Value::as_array).cloned().unwrap_or_default());
    values.insert("lines".into(), Value::Array(lines));
    tryton.call("model.sale.sale.write", vec![json!([id]), Value::Object(values)]).await?;
    let sale = reread(tryton, id).await?;
    even(tryton, &delivery.event.data, sale).await
}

/// Has a sale come to what the order costs.
async fn even(tryton: &mut Tryton<'_>, order: &Value, sale: Value) -> Result<Value, Stop> {
    let (Some(ours), Some(theirs)) = (map::total(order), sale.get("total_amount").and_then(map::decimal)) else {
        return Ok(sale);
    };
    let tolerance = tryton.settings().tolerance.as_deref().unwrap_or("0.05").parse().unwrap_or_default();
    let difference = map::judge_total(ours, theirs, tolerance)?;
    if difference.is_zero() {
        return Ok(sale);
    }
    let Some(code) = tryton.settings().rounding_product.clone() else {
        return Err(Stop::refused(format!(
            "total_mismatch: the order costs {ours}, Tryton comes to {theirs}: name a `rounding_product` in the settings that \
             takes the difference up"
        )));
    };
    let product =
        find(tryton, &map::Find { model: "product.product".into(), domain: json!([["code", "=", code]]) }).await?;
    let mut line = json!([["create", [{"type": "line", "product": product, "quantity": 1, "description": "Rounding",
        "unit_price": {"__class__": "Decimal", "decimal": difference.to_string()}}]]]);
    complete_lines(tryton, &mut line).await?;
    let id = id_of(&sale)?;
    tryton.call("model.sale.sale.write", vec![json!([id]), json!({"lines": line})]).await?;
    let sale = reread(tryton, id).await?;
    match sale.get("total_amount").and_then(map::decimal) {
        Some(total) if total != ours => Err(Stop::refused(format!(
            "total_mismatch: the order costs {ours}, and with the rounding Tryton comes to {total}: look at the sale's lines there"
        ))),
        _ => Ok(sale),
    }
}

/// Takes a sale as far as it may go: by what Tryton says it is now, so that a try after a crash goes on where the last stopped.
async fn advance(tryton: &mut Tryton<'_>, order: &Value, mut sale: Value) -> Result<Value, Stop> {
    let id = id_of(&sale)?;
    let until = match tryton.settings().until {
        Until::Processing if map::is_held(order) => Until::Quotation,
        until => until,
    };
    for _ in 0..3 {
        let command = match (map::word(&sale, "state"), until) {
            ("draft", Until::Quotation | Until::Processing) => "quote",
            ("quotation", Until::Processing) => "confirm",
            ("confirmed", Until::Processing) => "process",
            _ => break,
        };
        let taken = tryton.command("sale.sale", command, id).await;
        let before = std::mem::replace(&mut sale, reread(tryton, id).await?);
        // Somebody else may have taken the step meanwhile: then it is refused, and done.
        if map::word(&before, "state") == map::word(&sale, "state") {
            taken?;
        }
    }
    Ok(sale)
}

/// Has the sale of an order be cancelled, if there is one.
pub(super) async fn cancel(tryton: &mut Tryton<'_>, delivery: Delivery<'_>) -> Result<(), Stop> {
    let Some(sale) = of_order(tryton, delivery).await? else { return Ok(()) };
    let id = id_of(&sale)?;
    match map::word(&sale, "state") {
        "cancelled" => Ok(()),
        "draft" | "quotation" => tryton.command("sale.sale", "cancel", id).await,
        "confirmed" => {
            tryton.command("sale.sale", "draft", id).await?;
            tryton.command("sale.sale", "cancel", id).await
        }
        _ => stop_shipping(tryton, &sale).await,
    }
}

/// Cancels the shipments and invoices of a sale that is under way, and tells Tryton that nothing takes their place.
async fn stop_shipping(tryton: &mut Tryton<'_>, sale: &Value) -> Result<(), Stop> {
    let (id, shipments) = (id_of(sale)?, map::ids(sale, "shipments"));
    let found = tryton.read("stock.shipment.out", json!([["id", "in", shipments]]), &["id", "number", "state"]).await?;
    if found.is_empty() && map::word(sale, "state") != "done" {
        return Err(Stop::refused(format!(
            "the order is cancelled, and the sale {} has no shipment in Tryton that could be stopped: look there for what suppliers \
             ship, or what waits to be paid, then skip this",
            map::word(sale, "number")
        )));
    }
    let gone = |shipment: &&Value| matches!(map::word(shipment, "state"), "packed" | "shipped" | "done");
    if let Some(gone) = found.iter().find(gone) {
        return Err(Stop::refused(format!(
            "the order is cancelled, and Tryton's shipment {} of the sale {} is `{}`: stop it there, then replay this",
            map::word(gone, "number"),
            map::word(sale, "number"),
            map::word(gone, "state")
        )));
    }
    for shipment in found.iter().filter(|shipment| map::word(shipment, "state") != "cancelled") {
        tryton.command("stock.shipment.out", "cancel", id_of(shipment)?).await?;
    }
    if map::word(&reread(tryton, id).await?, "shipment_state") == "exception" {
        give_up(tryton, id, &SHIPMENTS).await?;
    }
    stop_invoicing(tryton, id).await
}

/// Cancels the invoices of a sale that nobody has posted: what is not shipped, such as shipping itself, has one already.
async fn stop_invoicing(tryton: &mut Tryton<'_>, id: i64) -> Result<(), Stop> {
    let sale = reread(tryton, id).await?;
    let wanted = json!([["id", "in", map::ids(&sale, "invoices")]]);
    let found = tryton.read("account.invoice", wanted, &["id", "number", "state"]).await?;
    if let Some(posted) = found.iter().find(|invoice| matches!(map::word(invoice, "state"), "posted" | "paid")) {
        return Err(Stop::refused(format!(
            "the order is cancelled, and Tryton has posted the invoice {} of the sale {}: credit it there, then skip this",
            map::word(posted, "number"),
            map::word(&sale, "number")
        )));
    }
    for invoice in found.iter().filter(|invoice| map::word(invoice, "state") != "cancelled") {
        tryton.command("account.invoice", "cancel", id_of(invoice)?).await?;
    }
    match map::word(&reread(tryton, id).await?, "invoice_state") {
        "exception" => give_up(tryton, id, &INVOICES).await,
        _ => Ok(()),
    }
}

/// A dialogue in which Tryton asks what is to become of what was cancelled.
struct Dialogue {
    wizard: &'static str,
    asked: &'static str,
    again: &'static str,
    ignored: &'static str,
}

const SHIPMENTS: Dialogue = Dialogue {
    wizard: "wizard.sale.handle.shipment.exception",
    asked: "domain_moves",
    again: "recreate_moves",
    ignored: "ignore_moves",
};
const INVOICES: Dialogue = Dialogue {
    wizard: "wizard.sale.handle.invoice.exception",
    asked: "domain_invoices",
    again: "recreate_invoices",
    ignored: "ignore_invoices",
};

/// Goes through a dialogue about what was cancelled of a sale: nothing replaces it.
async fn give_up(tryton: &mut Tryton<'_>, sale: i64, about: &Dialogue) -> Result<(), Stop> {
    let begun = tryton.call(&format!("{}.create", about.wizard), Vec::new()).await?;
    let (Some(session), Some(start)) = (begun.get(0).cloned(), begun.get(1).cloned()) else {
        return Err(Stop::failed("Tryton did not begin the dialogue about what was cancelled"));
    };
    let of = json!({"active_id": sale, "active_ids": [sale], "active_model": "sale.sale", "action_id": null});
    let of = of.as_object().cloned().unwrap_or_default();
    let execute = format!("{}.execute", about.wizard);
    let asked = tryton.call_with(&execute, vec![session.clone(), json!({}), start], of.clone()).await?;
    let cancelled = asked.pointer("/view/defaults").and_then(|defaults| defaults.get(about.asked)).cloned();
    let cancelled = cancelled.unwrap_or_else(|| json!([]));
    let answer = json!({"ask": {about.again: [], about.ignored: cancelled, about.asked: cancelled}});
    tryton.call_with(&execute, vec![session.clone(), answer, json!("handle")], of).await?;
    tryton.call(&format!("{}.delete", about.wizard), vec![session]).await.map(|_| ())
}
