//! What Odoo has of orders. Nothing is changed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{client::Odoo, map, sale};
use crate::{
    connectors::{
        erp::{is_anothers, linked},
        ports::{Found, Link, Listed, Sought},
        wire::Stop,
    },
    kernel::{Currency, Instant, Money, ids::OrderId},
};

const MODEL: &str = "sale.order";
const FIELDS: &[&str] = &["id", "name", "state", "amount_total", "currency_id", "origin"];
/// How many sales are listed at once.
const PAGE: usize = 200;

/// The sales of orders: by our key in their source documents, else by what is linked by hand.
pub(super) async fn find(odoo: &mut Odoo<'_>, orders: &[Sought]) -> Result<Vec<Found>, Stop> {
    let keys: Vec<&str> = orders.iter().map(|order| order.id.as_str()).collect();
    let mut sales: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for one in odoo.read(MODEL, json!([["origin", "in", keys]]), FIELDS).await? {
        sales.entry(map::word(&one, "origin").to_owned()).or_default().push(one);
    }
    let linked = linked(orders.iter().filter(|order| !sales.contains_key(&order.id)), sale::SALE);
    if !linked.is_empty() {
        let ids: Vec<i64> = linked.keys().copied().collect();
        for one in odoo.read(MODEL, json!([["id", "in", ids]]), FIELDS).await? {
            let order = one.get("id").and_then(Value::as_i64).and_then(|id| linked.get(&id));
            if let Some(order) = order.filter(|order| !is_anothers(map::word(&one, "origin"), order)) {
                sales.entry((*order).to_owned()).or_default().push(one);
            }
        }
    }
    Ok(sales.into_iter().filter_map(|(order, sales)| of_order(&order, sales)).collect())
}

/// What is told of the sales of one order: those that count, else the cancelled ones.
fn of_order(order: &str, mut sales: Vec<Value>) -> Option<Found> {
    let is_cancelled = |sale: &Value| map::word(sale, "state") == "cancel";
    sales.sort_by_key(|sale| (is_cancelled(sale), sale.get("id").and_then(Value::as_i64)));
    let counting = sales.iter().filter(|sale| !is_cancelled(sale)).count();
    let first = sales.first()?;
    let doubtful = counting > 1;
    let link = |sale: &Value| Link {
        object: "order".to_owned(),
        object_id: order.to_owned(),
        kind: sale::SALE.to_owned(),
        value: sale.get("id").map(Value::to_string).unwrap_or_default(),
        number: sale.get("name").and_then(Value::as_str).map(str::to_owned),
        doubtful,
    };
    let currency = map::called(first, "currency_id").and_then(|code| code.parse::<Currency>().ok());
    let total = currency.and_then(|currency| {
        let amount = map::decimal(map::member(first, "amount_total"), currency.exponent())?;
        Money::parse(&amount.to_string(), currency).ok()
    });
    Some(Found {
        order: order.to_owned(),
        links: sales.iter().take(counting.max(1)).map(link).collect(),
        total,
        cancelled: is_cancelled(first),
        state: map::word(first, "state").to_owned(),
    })
}

/// A page of the sales that were made between two instants and bear a key of ours, in the order of their ids.
pub(super) async fn list(odoo: &mut Odoo<'_>, (from, to): (Instant, Instant), cursor: &Value) -> Result<Listed, Stop> {
    let after = cursor.as_i64().unwrap_or_default();
    let domain = json!([
        ["create_date", ">=", map::instant(from)],
        ["create_date", "<", map::instant(to)],
        ["origin", "=like", "order_%"],
        ["id", ">", after]
    ]);
    let sales = odoo.page(MODEL, domain, FIELDS, (PAGE, "id")).await?;
    let last = sales.last().and_then(|sale| sale.get("id")).cloned();
    let cursor = last.filter(|_| sales.len() >= PAGE);
    let ours = |sale: Value| {
        let key = map::word(&sale, "origin").to_owned();
        key.parse::<OrderId>().ok()?;
        of_order(&key, vec![sale])
    };
    Ok(Listed { orders: sales.into_iter().filter_map(ours).collect(), cursor })
}
