//! What Odoo has shipped and invoiced.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{client::Odoo, map};
use crate::{
    connectors::{
        erp::{PAGE, Place, whole},
        ports::{About, Change, Pulled, What},
        wire::Stop,
    },
    kernel::{Currency, Instant, Money},
};

/// The kinds of deliveries that leave for customers: from a warehouse, and from a supplier straight.
pub(super) const OUT: &[&str] = &["outgoing", "dropship"];

/// For so many seconds a delivery is told without the time that Odoo has of it.
const RECENT_SECONDS: i64 = 300;

/// When Odoo has last changed a record, by its own clock.
fn changed_at(record: &Value) -> Option<Instant> {
    map::read_instant(map::word(record, "write_date"))
}

/// A page of the records of a model that have changed, those that were read before left out; and whether there may be more.
async fn page(
    odoo: &mut Odoo<'_>,
    (model, mut domain, fields): (&str, Vec<Value>, &[&str]),
    (place, begin): (&mut Place, Instant),
) -> Result<(Vec<Value>, bool), Stop> {
    domain.push(json!(["write_date", ">=", map::instant(place.from(begin))]));
    domain.push(json!(["id", "not in", place.seen]));
    let found = odoo.page(model, json!(domain), fields, (PAGE, "write_date, id")).await?;
    let more = place.note(&found, changed_at);
    Ok((found, more))
}

/// Reads what has left and what was invoiced since a cursor.
pub(super) async fn read(odoo: &mut Odoo<'_>, cursor: &Value) -> Result<Pulled, Stop> {
    let now = odoo.wire.now();
    let begin = cursor.get("begin").and_then(Value::as_str).and_then(|text| text.parse().ok()).unwrap_or(now);
    let mut places: BTreeMap<String, Place> =
        cursor.get("places").and_then(|places| serde_json::from_value(places.clone()).ok()).unwrap_or_default();
    let (mut changes, mut more) = (Vec::new(), false);
    const PICKING: &str = "stock.picking";
    // Without an inventory nothing is shipped there.
    if odoo.has("sale.order", "picking_ids").await? {
        let mut fields = vec!["id", "name", "write_date", "date_done"];
        for field in ["carrier_id", "carrier_tracking_ref"] {
            if odoo.has(PICKING, field).await? {
                fields.push(field);
            }
        }
        let kinds = if odoo.settings().drop_shipments { OUT } else { OUT.get(..1).unwrap_or_default() };
        let domain = vec![json!(["state", "=", "done"]), json!(["picking_type_id.code", "in", kinds])];
        let place = (places.entry(PICKING.to_owned()).or_default(), begin);
        let (found, rest) = page(odoo, (PICKING, domain, &fields), place).await?;
        more |= rest;
        changes.extend(shipped(odoo, &found).await?);
    }
    const INVOICE: &str = "account.move";
    let fields = ["id", "name", "amount_total", "currency_id", "invoice_date", "write_date"];
    let domain = vec![json!(["move_type", "=", "out_invoice"]), json!(["state", "=", "posted"])];
    let place = (places.entry(INVOICE.to_owned()).or_default(), begin);
    let (found, rest) = page(odoo, (INVOICE, domain, &fields), place).await?;
    more |= rest;
    changes.extend(invoiced(odoo, &found).await?);
    Ok(Pulled { changes, cursor: json!({"begin": begin, "places": places}), more })
}

fn about(sale: i64) -> About {
    About { kind: "sale".to_owned(), value: sale.to_string() }
}

fn ids(records: &[Value]) -> Vec<i64> {
    records.iter().filter_map(|record| record.get("id")?.as_i64()).collect()
}

/// The records that a field of others names, by their ids.
async fn behind(
    odoo: &mut Odoo<'_>,
    (records, field): (&[Value], &str),
    (model, fields): (&str, &[&str]),
) -> Result<BTreeMap<i64, Value>, Stop> {
    let mut wanted: Vec<i64> = records.iter().filter_map(|record| map::one(record, field)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = BTreeMap::new();
    for some in wanted.chunks(PAGE) {
        // What was archived meanwhile was sold all the same.
        let domain = match model {
            "product.product" => json!([["id", "in", some], ["active", "in", [true, false]]]),
            _ => json!([["id", "in", some]]),
        };
        let records = odoo.read(model, domain, fields).await?;
        found.extend(records.into_iter().filter_map(|record| Some((record.get("id")?.as_i64()?, record))));
    }
    Ok(found)
}

/// What deliveries that are done have of our sales: one change for each delivery and sale.
async fn shipped(odoo: &mut Odoo<'_>, pickings: &[Value]) -> Result<Vec<Change>, Stop> {
    let mut moves = Vec::new();
    for some in ids(pickings).chunks(20) {
        let domain = json!([["picking_id", "in", some], ["state", "=", "done"], ["sale_line_id", "!=", false]]);
        moves.extend(
            odoo.read("stock.move", domain, &["id", "picking_id", "product_id", "quantity", "sale_line_id"]).await?,
        );
    }
    let lines = behind(odoo, (&moves, "sale_line_id"), ("sale.order.line", &["id", "order_id", "product_id"])).await?;
    let products = behind(odoo, (&moves, "product_id"), ("product.product", &["id", "default_code"])).await?;
    let mut changes = Vec::new();
    for picking in pickings {
        let id = picking.get("id").and_then(Value::as_i64);
        let mut by_sale: BTreeMap<i64, Option<Vec<(String, i64)>>> = BTreeMap::new();
        for one in moves.iter().filter(|one| map::one(one, "picking_id") == id) {
            let Some(line) = map::one(one, "sale_line_id").and_then(|line| lines.get(&line)) else { continue };
            let Some(sale) = map::one(line, "order_id") else { continue };
            let product = map::one(one, "product_id");
            let code =
                product.and_then(|product| products.get(&product)).map(|product| map::word(product, "default_code"));
            // Of a kit its components leave, of which the shop knows nothing; and quantities are whole here.
            let is_itself = product == map::one(line, "product_id");
            let quantity = one.get("quantity").and_then(whole).filter(|_| is_itself);
            let told = code.zip(quantity).map(|(code, quantity)| (odoo.sku_of(code), quantity));
            let lines = by_sale.entry(sale).or_insert_with(|| Some(Vec::new()));
            *lines = lines.take().zip(told).map(|(mut lines, told)| {
                lines.push(told);
                lines
            });
        }
        // Of a sale nothing may have left after all: its moves are done with nothing in them.
        let moved = by_sale
            .into_iter()
            .filter(|(_, lines)| lines.as_ref().is_none_or(|lines| lines.iter().any(|(_, quantity)| *quantity != 0)));
        changes.extend(moved.map(|(sale, lines)| left(odoo, picking, sale, lines)));
    }
    Ok(changes)
}

/// What of a sale has left with a delivery.
fn left(odoo: &Odoo<'_>, picking: &Value, sale: i64, lines: Option<Vec<(String, i64)>>) -> Change {
    let number = map::word(picking, "name");
    // What has left a moment ago has left now: clocks differ, and nothing leaves before it was ordered, nor tomorrow.
    let recently = odoo.wire.now().plus_seconds(-RECENT_SECONDS);
    let text = |name: &str| Some(map::word(picking, name).trim().to_owned()).filter(|text| !text.is_empty());
    let what = match lines {
        Some(lines) => What::Left {
            lines: lines.into_iter().filter(|(_, quantity)| *quantity != 0).collect(),
            carrier: map::called(picking, "carrier_id").map(|name| odoo.carrier_of(name)),
            tracking_number: text("carrier_tracking_ref"),
            at: map::read_instant(map::word(picking, "date_done")).filter(|at| *at < recently),
        },
        None => What::Unclear {
            reason: format!(
                "of Odoo's delivery {number} a component of a kit or a part of a piece has left: book it by hand"
            ),
        },
    };
    Change { about: about(sale), name: format!("shipment {number} of {sale}"), what }
}

/// Posted invoices of a single sale each. Of several sales nobody can say which has how much of it.
async fn invoiced(odoo: &mut Odoo<'_>, invoices: &[Value]) -> Result<Vec<Change>, Stop> {
    let mut sales = Vec::new();
    for some in ids(invoices).chunks(100) {
        sales.extend(odoo.read("sale.order", json!([["invoice_ids", "in", some]]), &["id", "invoice_ids"]).await?);
    }
    let mut changes = Vec::new();
    for invoice in invoices {
        let Some(id) = invoice.get("id").and_then(Value::as_i64) else { continue };
        let mut of: Vec<i64> = Vec::new();
        for sale in sales.iter().filter(|sale| map::ids(sale, "invoice_ids").contains(&id)) {
            of.extend(sale.get("id").and_then(Value::as_i64).filter(|sale| !of.contains(sale)));
        }
        let [sale] = of.as_slice() else { continue };
        let name = map::word(invoice, "name").to_owned();
        let day = map::word(invoice, "invoice_date");
        let what = match amount(invoice) {
            Some(amount) => What::Invoiced { amount, at: format!("{day}T00:00:00Z").parse().ok() },
            None => {
                What::Unclear { reason: format!("the total of Odoo's invoice {name} can not be read: book it by hand") }
            }
        };
        changes.push(Change { about: about(*sale), name, what });
    }
    Ok(changes)
}

/// The total of an invoice.
fn amount(invoice: &Value) -> Option<Money> {
    let currency: Currency = map::called(invoice, "currency_id")?.parse().ok()?;
    let amount = map::decimal(map::member(invoice, "amount_total"), currency.exponent())?;
    Money::parse(&amount.to_string(), currency).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_to_the_places_of_their_currency() {
        let invoice = |total: Value, currency: Value| amount(&json!({"amount_total": total, "currency_id": currency}));
        let euros = invoice(json!(53.53), json!([1, "EUR"])).unwrap();
        assert_eq!((euros.minor(), euros.currency().code()), (5353, "EUR"));
        assert_eq!(invoice(json!(1000), json!([2, "JPY"])).unwrap().minor(), 1000);
        assert_eq!(invoice(json!(1.0), json!(false)), None);
        assert_eq!(invoice(json!(1.0), json!([9, "???"])), None);
    }
}
