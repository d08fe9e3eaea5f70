//! What Tryton has shipped and invoiced.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{client::Tryton, map};
use crate::{
    connectors::{
        erp::{PAGE, Place, whole},
        ports::{About, Change, Pulled, What},
        wire::Stop,
    },
    kernel::{Instant, Money},
};

/// An instant in Tryton's way of writing.
pub(super) fn written(at: Instant) -> Value {
    let text = at.to_string();
    let number =
        |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<i64>().ok()).unwrap_or_default();
    json!({"__class__": "datetime", "year": number(0, 4), "month": number(5, 7), "day": number(8, 10), "hour": number(11, 13),
        "minute": number(14, 16), "second": number(17, 19), "microsecond": number(20, 26)})
}

/// When Tryton has last changed a record, by its own clock.
fn changed_at(record: &Value) -> Option<Instant> {
    let at = record.get("write_date")?;
    let part = |name: &str| at.get(name).and_then(Value::as_i64).unwrap_or_default();
    let (date, time) = ((part("year"), part("month"), part("day")), (part("hour"), part("minute"), part("second")));
    let text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        date.0,
        date.1,
        date.2,
        time.0,
        time.1,
        time.2,
        part("microsecond")
    );
    text.parse().ok()
}

/// A page of the records of a model that have changed, those that were read before left out; and whether there may be more.
async fn page(
    tryton: &mut Tryton<'_>,
    (model, mut domain, fields): (&str, Vec<Value>, &[&str]),
    (place, begin): (&mut Place, Instant),
) -> Result<(Vec<Value>, bool), Stop> {
    domain.push(json!(["write_date", ">=", written(place.from(begin))]));
    domain.push(json!(["id", "not in", place.seen]));
    let order = json!([["write_date", "ASC"], ["id", "ASC"]]);
    let params = vec![json!(domain), json!(0), json!(PAGE), order, json!(fields)];
    let found = tryton.call(&format!("model.{model}.search_read"), params).await?;
    let Value::Array(found) = found else {
        return Err(Stop::outage("Tryton answered a search with something else than a list"));
    };
    let more = place.note(&found, changed_at);
    Ok((found, more))
}

/// Reads what has left and what was invoiced since a cursor.
pub(super) async fn read(tryton: &mut Tryton<'_>, cursor: &Value) -> Result<Pulled, Stop> {
    let now = tryton.wire.now();
    let begin = cursor.get("begin").and_then(Value::as_str).and_then(|text| text.parse().ok()).unwrap_or(now);
    let mut places: BTreeMap<String, Place> =
        cursor.get("places").and_then(|places| serde_json::from_value(places.clone()).ok()).unwrap_or_default();
    let (mut changes, mut more) = (Vec::new(), false);
    let mut models = vec![("stock.shipment.out", "outgoing_moves")];
    if tryton.settings().drop_shipments {
        models.push(("stock.shipment.drop", "customer_moves"));
    }
    for (model, moves) in models {
        let place = (places.entry(model.to_owned()).or_default(), begin);
        let fields = ["id", "number", "write_date", moves];
        let what = (model, vec![json!(["state", "=", "done"])], fields.as_slice());
        let (found, rest) = page(tryton, what, place).await?;
        more |= rest;
        for shipment in found {
            changes.extend(shipped(tryton, &shipment, moves).await?);
        }
    }
    const INVOICE: &str = "account.invoice";
    let fields = ["id", "number", "total_amount", "currency.code", "invoice_date", "write_date"];
    let domain = vec![json!(["type", "=", "out"]), json!(["state", "in", ["posted", "paid"]])];
    let place = (places.entry(INVOICE.to_owned()).or_default(), begin);
    let (found, rest) = page(tryton, (INVOICE, domain, &fields), place).await?;
    more |= rest;
    for invoice in found {
        changes.extend(invoiced(tryton, &invoice).await?);
    }
    Ok(Pulled { changes, cursor: json!({"begin": begin, "places": places}), more })
}

fn about(sale: i64) -> About {
    About { kind: "sale".to_owned(), value: sale.to_string() }
}

fn day(value: &Value) -> Option<Instant> {
    let part = |name: &str| value.get(name).and_then(Value::as_i64);
    format!("{:04}-{:02}-{:02}T00:00:00Z", part("year")?, part("month")?, part("day")?).parse().ok()
}

/// What a shipment that is done has of our sales: one change for each.
async fn shipped(tryton: &mut Tryton<'_>, shipment: &Value, moves: &str) -> Result<Vec<Change>, Stop> {
    let fields = ["product.code", "quantity", "sale", "state"];
    let found = tryton.read("stock.move", json!([["id", "in", map::ids(shipment, moves)]]), &fields).await?;
    let number = map::word(shipment, "number").to_owned();
    let mut by_sale: BTreeMap<i64, Vec<(String, Option<i64>)>> = BTreeMap::new();
    for one in found.iter().filter(|one| map::word(one, "state") == "done") {
        let Some(sale) = one.get("sale").and_then(Value::as_i64) else { continue };
        let code = one.pointer("/product./code").and_then(Value::as_str).unwrap_or_default();
        // Quantities are numbers with a point there, and whole here.
        let quantity = one.get("quantity").and_then(whole);
        by_sale.entry(sale).or_default().push((tryton.sku_of(code), quantity));
    }
    let change = |(sale, lines): (i64, Vec<(String, Option<i64>)>)| {
        let whole: Option<Vec<(String, i64)>> =
            lines.into_iter().map(|(sku, quantity)| Some((sku, quantity?))).collect();
        let what = match whole {
            Some(lines) => What::Left { lines, carrier: None, tracking_number: None, at: None },
            None => What::Unclear {
                reason: format!("of Tryton's shipment {number} a part of a piece has left: book it by hand"),
            },
        };
        Change { about: about(sale), name: format!("shipment {number} of {sale}"), what }
    };
    Ok(by_sale.into_iter().map(change).collect())
}

/// A posted invoice of a single sale. Of several sales nobody can say which has how much of it.
async fn invoiced(tryton: &mut Tryton<'_>, invoice: &Value) -> Result<Option<Change>, Stop> {
    let id = invoice.get("id").cloned().unwrap_or_default();
    let sales = tryton.read("sale.sale", json!([["invoices", "in", [id]]]), &["id"]).await?;
    let [sale] = sales.as_slice() else { return Ok(None) };
    let Some(sale) = sale.get("id").and_then(Value::as_i64) else { return Ok(None) };
    let currency = invoice.pointer("/currency./code").and_then(Value::as_str).and_then(|code| code.parse().ok());
    let amount = invoice.get("total_amount").and_then(map::decimal).map(|amount| amount.to_string());
    let money = currency.zip(amount).and_then(|(currency, amount)| Money::parse(&amount, currency).ok());
    let name = map::word(invoice, "number").to_owned();
    let what = match money {
        Some(amount) => What::Invoiced { amount, at: invoice.get("invoice_date").and_then(day) },
        None => {
            What::Unclear { reason: format!("the total of Tryton's invoice {name} can not be read: book it by hand") }
        }
    };
    Ok(Some(Change { about: about(sale), name, what }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_tryton_does() {
        let at: Instant = "2026-03-02T09:02:30.000250Z".parse().unwrap();
        assert_eq!(changed_at(&json!({"write_date": written(at)})), Some(at));
    }
}
