//! Orders as Odoo's sales orders.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::{Until, client::Odoo, map, party};
use crate::{
    connectors::{
        erp,
        ports::{Delivery, Ending, Link},
        wire::Stop,
    },
    kernel::Money,
};

/// What a sale is called among the links.
pub(super) const SALE: &str = "sale";
const MODEL: &str = "sale.order";
/// What is read of a sale.
const FIELDS: &[&str] = &["id", "name", "state", "amount_total", "currency_id", "order_line", "invoice_ids", "origin"];

/// The ids of all that is looked for in a document, by what it is looked for by.
pub(super) async fn looked_up(odoo: &mut Odoo<'_>, document: &Value) -> Result<BTreeMap<String, i64>, Stop> {
    let mut known = BTreeMap::new();
    for lookup in map::lookups(map::finds(document)) {
        let fields: Vec<&str> = ["id"].into_iter().chain(lookup.field.as_deref()).collect();
        let records = odoo.read(&lookup.model, lookup.domain(), &fields).await?;
        known.extend(map::found(&lookup, &records)?);
    }
    Ok(known)
}

/// The one record that is looked for.
pub(super) async fn find(odoo: &mut Odoo<'_>, wanted: map::Find) -> Result<i64, Stop> {
    let key = wanted.key();
    let records = odoo.read(&wanted.model, wanted.domain.clone(), &["id"]).await?;
    let lookup = map::Lookup { model: wanted.model.clone(), field: None, finds: vec![wanted] };
    let found = map::found(&lookup, &records)?;
    found.get(&key).copied().ok_or_else(|| Stop::outage("Odoo told of a record without its id"))
}

/// A document in Odoo's way of writing, with the ids of the records that it names.
pub(super) async fn resolved(odoo: &mut Odoo<'_>, document: &Value) -> Result<Value, Stop> {
    let known = looked_up(odoo, document).await?;
    Ok(map::written(document, &|wanted| known.get(&wanted.key()).copied()))
}

/// Every sale with our key of an order, the cancelled ones too: those that count first, the oldest of them first.
pub(super) async fn all_of(odoo: &mut Odoo<'_>, order_id: &str) -> Result<Vec<Value>, Stop> {
    let mut found = odoo.read(MODEL, json!([["origin", "=", order_id]]), FIELDS).await?;
    found.sort_by_key(|sale| (is_cancelled(sale), sale.get("id").and_then(Value::as_i64)));
    Ok(found)
}

fn is_cancelled(sale: &Value) -> bool {
    map::word(sale, "state") == "cancel"
}

/// Whether a sale is a quotation still, which may be written anew.
fn is_quotation(sale: &Value) -> bool {
    matches!(map::word(sale, "state"), "draft" | "sent")
}

/// The sale of an order, if there is one: by what is linked, else by our key.
async fn of_order(odoo: &mut Odoo<'_>, delivery: Delivery<'_>) -> Result<Option<Value>, Stop> {
    let order = &delivery.event.data;
    let id = map::word(order, "id");
    let link = delivery.links.iter().find(|link| link.kind == SALE && link.object_id == id && !link.doubtful);
    if let Some(linked) = link.and_then(|link| link.value.parse::<i64>().ok()) {
        let found = odoo.read(MODEL, json!([["id", "=", linked]]), FIELDS).await?;
        if let Some(sale) = found.into_iter().find(|sale| !erp::is_anothers(map::word(sale, "origin"), id)) {
            return Ok(Some(sale));
        }
    }
    marked(odoo, order).await
}

/// The first sale with our key, linked. Where several count, all of them are told to be doubtful.
async fn marked(odoo: &mut Odoo<'_>, order: &Value) -> Result<Option<Value>, Stop> {
    let found = all_of(odoo, map::word(order, "id")).await?;
    let counting = found.iter().filter(|sale| !is_cancelled(sale)).count();
    odoo.doubtful = counting > 1;
    for sale in found.iter().take(counting.max(1)) {
        link(odoo, order, sale);
    }
    Ok(found.into_iter().next())
}

fn link(odoo: &mut Odoo<'_>, order: &Value, sale: &Value) {
    let doubtful = odoo.doubtful;
    let value = sale.get("id").map(Value::to_string).unwrap_or_default();
    let number = sale.get("name").and_then(Value::as_str).map(str::to_owned);
    let (object, object_id) = ("order".to_owned(), map::word(order, "id").to_owned());
    odoo.wire.link(Link { object, object_id, kind: SALE.to_owned(), value, number, doubtful });
}

fn id_of(sale: &Value) -> Result<i64, Stop> {
    sale.get("id").and_then(Value::as_i64).ok_or_else(|| Stop::outage("Odoo told of a sale without its id"))
}

/// A sale as it is now.
async fn reread(odoo: &mut Odoo<'_>, id: i64) -> Result<Value, Stop> {
    let found = odoo.read(MODEL, json!([["id", "=", id]]), FIELDS).await?;
    found.into_iter().next().ok_or_else(|| Stop::failed("somebody has removed the sale in Odoo meanwhile"))
}

/// Has the sale of an order be there, as the order is now where it has `changed`, and go on as far as it may.
pub(super) async fn bring(odoo: &mut Odoo<'_>, delivery: Delivery<'_>, changed: bool) -> Result<(), Stop> {
    let order = &delivery.event.data;
    let sale = match of_order(odoo, delivery).await? {
        None => make(odoo, delivery).await?,
        // Where it comes to something else it is one of a try that was not through, or the mapping was mended since.
        Some(sale) if is_quotation(&sale) && (changed || !is_even(odoo, order, &sale)) => {
            let values = write(odoo, delivery).await?;
            fill(odoo, order, id_of(&sale)?, values).await?
        }
        Some(sale) if !changed => sale,
        Some(sale) => {
            return Err(Stop::refused(format!(
                "the sale {} is `{}` in Odoo, where it does not change any more: change it there to what the order is now, then \
                 skip this",
                map::word(&sale, "name"),
                map::word(&sale, "state")
            )));
        }
    };
    advance(odoo, order, sale).await
}

/// What a sale is made with: our key, twice. The external id lets Odoo keep one, and in `origin` people and searches find it.
pub(super) fn header(
    order: &Value,
    partner: &str,
    company: Option<i64>,
    reference: Option<&str>,
) -> Vec<(String, String)> {
    let id = map::word(order, "id");
    let mut row = vec![
        ("id".to_owned(), map::external_id(SALE, id)),
        ("partner_id/.id".to_owned(), partner.to_owned()),
        ("origin".to_owned(), id.to_owned()),
    ];
    row.extend(reference.map(|reference| ("client_order_ref".to_owned(), reference.to_owned())));
    row.extend(company.map(|company| ("company_id/.id".to_owned(), company.to_string())));
    row
}

/// What is written of a sale.
struct Written {
    partner: i64,
    values: Map<String, Value>,
}

/// The sale as it is written by the mapping.
async fn write(odoo: &mut Odoo<'_>, delivery: Delivery<'_>) -> Result<Written, Stop> {
    let order = &delivery.event.data;
    let known = map::of_order(order, delivery.to.settings);
    let written = delivery.to.mapping.write("sale", &known)?;
    // What can not be found there stops it before anything is made.
    let Value::Object(mut values) = resolved(odoo, &written).await? else {
        return Err(Stop::refused("the mapping writes a sale that is no document"));
    };
    let taxes = taxes(odoo).await?;
    map::with_taxes_as(&mut values, taxes);
    let partner = party::of_order(odoo, delivery, &known).await?;
    let bill = party::address(odoo, delivery, (partner, "invoice"), &known, map::member(&known, "bill")).await?;
    let ship = party::address(odoo, delivery, (partner, "delivery"), &known, map::member(&known, "ship")).await?;
    for (name, address) in [("partner_invoice_id", bill), ("partner_shipping_id", ship)] {
        if let Some(address) = address {
            values.insert(name.into(), json!(address));
        }
    }
    Ok(Written { partner, values })
}

/// What the taxes of a line are called: it depends on the version.
async fn taxes(odoo: &mut Odoo<'_>) -> Result<&'static str, Stop> {
    Ok(if odoo.has("sale.order.line", "tax_ids").await? { "tax_ids" } else { "tax_id" })
}

async fn make(odoo: &mut Odoo<'_>, delivery: Delivery<'_>) -> Result<Value, Stop> {
    let order = &delivery.event.data;
    let written = write(odoo, delivery).await?;
    let reference = written.values.get("client_order_ref").and_then(Value::as_str);
    let row = header(order, &written.partner.to_string(), odoo.settings().company, reference);
    let id = odoo.load(MODEL, row).await?;
    // A worker that was thought dead may have made it meanwhile, and be further: it is the same one.
    let sale = reread(odoo, id).await?;
    link(odoo, order, &sale);
    match is_quotation(&sale) && map::ids(&sale, "order_line").is_empty() {
        true => fill(odoo, order, id, written).await,
        false => Ok(sale),
    }
}

/// Writes a quotation: its lines take the place of those it has.
async fn fill(odoo: &mut Odoo<'_>, order: &Value, id: i64, written: Written) -> Result<Value, Stop> {
    let mut values = written.values;
    let mut lines = vec![json!([5, 0, 0])];
    lines.extend(values.get("order_line").and_then(Value::as_array).cloned().unwrap_or_default());
    values.insert("order_line".into(), Value::Array(lines));
    odoo.write(MODEL, &[id], Value::Object(values)).await?;
    let sale = reread(odoo, id).await?;
    even(odoo, order, sale).await
}

/// Whether a sale has lines, and comes to what the order costs.
fn is_even(odoo: &Odoo<'_>, order: &Value, sale: &Value) -> bool {
    let is_same = difference(odoo, order, sale).is_ok_and(|difference| difference.is_none_or(|some| some.is_zero()));
    let is_in_currency = map::called(sale, "currency_id") == Some(map::word(order, "currency"));
    is_same && is_in_currency && !map::ids(sale, "order_line").is_empty()
}

/// Has a sale be in the order's currency, and come to what the order costs.
async fn even(odoo: &mut Odoo<'_>, order: &Value, sale: Value) -> Result<Value, Stop> {
    let (ours, theirs) = (map::word(order, "currency"), map::called(&sale, "currency_id").unwrap_or_default());
    if ours != theirs {
        return Err(Stop::refused(format!(
            "currency_mismatch: the order is in {ours}, its price list in Odoo in {theirs}: name one in {ours} in the mapping's table \
             `pricelists`"
        )));
    }
    let Some(difference) = difference(odoo, order, &sale)?.filter(|difference| !difference.is_zero()) else {
        return Ok(sale);
    };
    let Some(code) = odoo.settings().rounding_product.clone() else {
        return Err(Stop::refused(format!(
            "total_mismatch: Odoo comes to {difference} less than the order costs: name a `rounding_product` in the settings that \
             takes the difference up"
        )));
    };
    let product = map::Find { model: "product.product".into(), domain: json!([["default_code", "=", code]]) };
    let product = find(odoo, product).await?;
    let price = serde_json::from_str::<Value>(&difference.to_string()).unwrap_or_default();
    let line = json!({"product_id": product, "name": "Rounding", "product_uom_qty": 1, "price_unit": price, "discount": 0,
        "tax_ids": [[6, 0, []]]});
    let mut values = Map::new();
    values.insert("order_line".into(), json!([[0, 0, line]]));
    let taxes = taxes(odoo).await?;
    map::with_taxes_as(&mut values, taxes);
    let id = id_of(&sale)?;
    odoo.write(MODEL, &[id], Value::Object(values)).await?;
    let sale = reread(odoo, id).await?;
    match is_even(odoo, order, &sale) {
        true => Ok(sale),
        false => Err(Stop::refused(format!(
            "total_mismatch: with the rounding Odoo comes to something else than the order still: look at the lines of the sale {} \
             there",
            map::word(&sale, "name")
        ))),
    }
}

/// By how much Odoo comes to less than the order costs, where it has to come to the same.
fn difference(odoo: &Odoo<'_>, order: &Value, sale: &Value) -> Result<Option<Decimal>, Stop> {
    let total: Option<Money> = serde_json::from_value(map::member(order, "total").clone()).ok();
    let places = total.map_or(2, |total| total.currency().exponent());
    let theirs = map::decimal(map::member(sale, "amount_total"), places);
    let tolerance = odoo.settings().tolerance.as_deref().unwrap_or("0.05").parse().unwrap_or_default();
    match (map::total(order), theirs) {
        (Some(ours), Some(theirs)) => map::judge_total(ours, theirs, tolerance).map(Some),
        _ => Ok(None),
    }
}

/// Takes a sale as far as it may go: by what Odoo says it is now, so that a try after a crash goes on where the last stopped.
async fn advance(odoo: &mut Odoo<'_>, order: &Value, mut sale: Value) -> Result<(), Stop> {
    let wanted = odoo.settings().until == Until::Order && !map::is_held(order);
    if wanted && is_quotation(&sale) {
        let id = id_of(&sale)?;
        let taken = odoo.command(MODEL, "action_confirm", id).await;
        // An Odoo that is not to be had is not asked what came of it.
        if let Err(Stop { ending: Ending::Failed { outage: true, .. } | Ending::Throttled { .. }, .. }) = &taken {
            return taken;
        }
        sale = reread(odoo, id).await?;
        // Somebody else may have taken the step meanwhile: then it is refused, and done.
        if is_quotation(&sale) {
            taken?;
            return Err(Stop::failed("Odoo has confirmed the sale, and it is a quotation still"));
        }
    }
    link(odoo, order, &sale);
    Ok(())
}

/// Has the sale of an order be cancelled, if there is one.
pub(super) async fn cancel(odoo: &mut Odoo<'_>, delivery: Delivery<'_>) -> Result<(), Stop> {
    let Some(sale) = of_order(odoo, delivery).await? else { return Ok(()) };
    if odoo.doubtful {
        return Err(Stop::refused(
            "the order is cancelled, and Odoo has several sales of it: cancel there those that are to go, then skip this",
        ));
    }
    if !is_quotation(&sale) {
        nothing_has_left(odoo, &sale).await?;
        nothing_is_invoiced(odoo, &sale).await?;
    }
    if is_cancelled(&sale) {
        return Ok(());
    }
    let id = id_of(&sale)?;
    if odoo.has(MODEL, "locked").await? {
        let locked = odoo.read(MODEL, json!([["id", "=", id], ["locked", "=", true]]), &["id"]).await?;
        if !locked.is_empty() {
            odoo.command(MODEL, "action_unlock", id).await?;
        }
    }
    odoo.command(MODEL, "action_cancel", id).await?;
    let sale = reread(odoo, id).await?;
    if !is_cancelled(&sale) {
        return Err(Stop::refused(format!(
            "Odoo asks something before it cancels the sale {}: cancel it there, then skip this",
            map::word(&sale, "name")
        )));
    }
    // What has left in between is not stopped by it.
    nothing_has_left(odoo, &sale).await
}

/// Whether no delivery of a sale has left.
async fn nothing_has_left(odoo: &mut Odoo<'_>, sale: &Value) -> Result<(), Stop> {
    if !odoo.has(MODEL, "picking_ids").await? {
        return Ok(());
    }
    let domain = json!([
        ["sale_id", "=", id_of(sale)?],
        ["state", "=", "done"],
        ["picking_type_id.code", "in", super::pull::OUT]
    ]);
    let gone = odoo.read("stock.picking", domain, &["id", "name"]).await?;
    match gone.first() {
        None => Ok(()),
        Some(gone) => Err(Stop::refused(format!(
            "the order is cancelled, and Odoo's delivery {} of the sale {} has left: take it back there, then skip this",
            map::word(gone, "name"),
            map::word(sale, "name")
        ))),
    }
}

/// Whether no invoice of a sale stands that is posted. Those that are drafts Odoo cancels with the sale.
async fn nothing_is_invoiced(odoo: &mut Odoo<'_>, sale: &Value) -> Result<(), Stop> {
    let invoices = map::ids(sale, "invoice_ids");
    if invoices.is_empty() {
        return Ok(());
    }
    let domain = json!([
        ["id", "in", invoices],
        ["state", "=", "posted"],
        ["move_type", "=", "out_invoice"],
        ["payment_state", "!=", "reversed"]
    ]);
    let posted = odoo.read("account.move", domain, &["id", "name"]).await?;
    match posted.first() {
        None => Ok(()),
        Some(posted) => Err(Stop::refused(format!(
            "the order is cancelled, and Odoo has posted the invoice {} of the sale {}: credit it there, then replay this",
            map::word(posted, "name"),
            map::word(sale, "name")
        ))),
    }
}
