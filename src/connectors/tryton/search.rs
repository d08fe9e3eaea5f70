//! What Tryton has of orders. Nothing is changed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{client::Tryton, map, pull::written, sale};
use crate::{
    connectors::{
        erp::{is_anothers, linked},
        ports::{Found, Link, Listed, Sought},
        wire::Stop,
    },
    kernel::{Instant, Money, ids::OrderId},
};

const MODEL: &str = "sale.sale";
const FIELDS: &[&str] =
    &["id", "number", "state", "total_amount", "currency.code", "comment", "shipment_state", "shipments"];
/// How many sales are listed at once.
const PAGE: usize = 200;

/// The sales of orders: by our key in their comments, else by what is linked by hand.
pub(super) async fn find(tryton: &mut Tryton<'_>, orders: &[Sought]) -> Result<Vec<Found>, Stop> {
    let keys: Vec<&str> = orders.iter().map(|order| order.id.as_str()).collect();
    let mut sales: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for one in tryton.read(MODEL, json!([["comment", "in", keys]]), FIELDS).await? {
        sales.entry(map::word(&one, "comment").to_owned()).or_default().push(one);
    }
    let linked = linked(orders.iter().filter(|order| !sales.contains_key(&order.id)), sale::SALE);
    if !linked.is_empty() {
        let ids: Vec<i64> = linked.keys().copied().collect();
        for one in tryton.read(MODEL, json!([["id", "in", ids]]), FIELDS).await? {
            let order = one.get("id").and_then(Value::as_i64).and_then(|id| linked.get(&id));
            if let Some(order) = order.filter(|order| !is_anothers(map::word(&one, "comment"), order)) {
                sales.entry((*order).to_owned()).or_default().push(one);
            }
        }
    }
    let mut found = Vec::new();
    for (order, sales) in sales {
        found.extend(of_order(tryton, &order, sales).await?);
    }
    Ok(found)
}

/// What is told of the sales of one order: those that count, else the cancelled ones.
async fn of_order(tryton: &mut Tryton<'_>, order: &str, mut sales: Vec<Value>) -> Result<Option<Found>, Stop> {
    sales.sort_by_key(|sale| (map::word(sale, "state") == "cancelled", sale.get("id").and_then(Value::as_i64)));
    let counting = sales.iter().filter(|sale| map::word(sale, "state") != "cancelled").count();
    let Some(first) = sales.first() else { return Ok(None) };
    let doubtful = counting > 1;
    let link = |sale: &Value| Link {
        object: "order".to_owned(),
        object_id: order.to_owned(),
        kind: sale::SALE.to_owned(),
        value: sale.get("id").map(Value::to_string).unwrap_or_default(),
        number: sale.get("number").and_then(Value::as_str).map(str::to_owned),
        doubtful,
    };
    let currency = first.pointer("/currency./code").and_then(Value::as_str).and_then(|code| code.parse().ok());
    let total = first.get("total_amount").and_then(map::decimal).map(|amount| amount.to_string());
    Ok(Some(Found {
        order: order.to_owned(),
        links: sales.iter().take(counting.max(1)).map(link).collect(),
        total: currency.zip(total).and_then(|(currency, total)| Money::parse(&total, currency).ok()),
        cancelled: is_cancelled(tryton, first).await?,
        state: map::word(first, "state").to_owned(),
    }))
}

/// Whether a sale is not wanted any more. One that was under way is done then, and all of its shipments are cancelled.
async fn is_cancelled(tryton: &mut Tryton<'_>, sale: &Value) -> Result<bool, Stop> {
    match map::word(sale, "state") {
        "cancelled" => Ok(true),
        "done" => {
            let shipments = map::ids(sale, "shipments");
            if shipments.is_empty() {
                return Ok(false);
            }
            let found = tryton.read("stock.shipment.out", json!([["id", "in", shipments]]), &["id", "state"]).await?;
            Ok(found.iter().all(|shipment| map::word(shipment, "state") == "cancelled"))
        }
        _ => Ok(false),
    }
}

/// A page of the sales that were made between two instants and bear a key of ours, in the order of their ids.
pub(super) async fn list(
    tryton: &mut Tryton<'_>,
    (from, to): (Instant, Instant),
    cursor: &Value,
) -> Result<Listed, Stop> {
    let after = cursor.as_i64().unwrap_or_default();
    let domain = json!([
        ["create_date", ">=", written(from)],
        ["create_date", "<", written(to)],
        ["comment", "like", "order_%"],
        ["id", ">", after]
    ]);
    let params = vec![domain, json!(0), json!(PAGE), json!([["id", "ASC"]]), json!(FIELDS)];
    let Value::Array(sales) = tryton.call(&format!("model.{MODEL}.search_read"), params).await? else {
        return Err(Stop::outage("Tryton answered a search with something else than a list"));
    };
    let last = sales.last().and_then(|sale| sale.get("id")).cloned();
    let cursor = last.filter(|_| sales.len() >= PAGE);
    let mut orders = Vec::new();
    for sale in sales {
        let key = map::word(&sale, "comment").to_owned();
        if key.parse::<OrderId>().is_ok() {
            orders.extend(of_order(tryton, &key, vec![sale]).await?);
        }
    }
    Ok(Listed { orders, cursor })
}
