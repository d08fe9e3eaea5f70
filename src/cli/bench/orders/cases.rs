//! What is searched for.

use super::made::{COMMON, LARGE, Made, RARE, World, dice};
use crate::{
    error::Result,
    http::Cursor,
    kernel::{Instant, text},
};

/// A search: its name, and what is asked round by round.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) paths: Vec<String>,
}

type Query = Vec<(&'static str, String)>;

fn day(order: &Made) -> [(&'static str, String); 2] {
    let at = |seconds: i64| Instant::from_micros(order.placed_at.micros() + seconds * 1_000_000).to_string();
    [("placed_from", at(-43_200)), ("placed_to", at(43_200))]
}

/// All searches, for orders among the first so many.
pub(super) fn all(world: &World, count: u64, rounds: usize) -> Result<Vec<Case>> {
    let samples: Vec<Made> = (0..rounds as u64).map(|round| world.order(dice(round, 99) % count)).collect();
    let surname = |order: &Made| order.name.split(' ').next_back().unwrap_or_default().to_owned();
    let cursor = |order: &Made| Cursor((order.placed_at.micros(), order.id)).encode();
    let channel = |order: &Made| ("channel_id", order.channel.to_string());
    let [_, other] = world.channels;
    let mut cases = Vec::new();
    let mut add = |name: &'static str, query: &dyn Fn(&Made) -> Result<Query>| -> Result<()> {
        let paths: Result<Vec<String>> = samples.iter().map(|order| Ok(path(&query(order)?))).collect();
        cases.push(Case { name, paths: paths? });
        Ok(())
    };
    let tracking = |order: &Made| order.tracking.clone().unwrap_or_else(|| format!("0034{:016}", order.place));
    add("the newest", &|_| Ok(vec![]))?;
    add("number", &|order| Ok(vec![("number", order.number.clone())]))?;
    add("number, in the one box", &|order| Ok(vec![("q", order.number.clone())]))?;
    add("e-mail", &|order| Ok(vec![("email", order.email.clone())]))?;
    add("name + postcode", &|order| Ok(vec![("name", surname(order)), ("postcode", order.postcode.clone())]))?;
    add("beginning of a name", &|order| Ok(vec![("name", order.name.clone())]))?;
    add("first name alone", &|order| Ok(vec![("name", order.name.split(' ').next().unwrap_or_default().to_owned())]))?;
    add("one letter of a name", &|order| Ok(vec![("q", text::fold(&order.name).chars().take(1).collect())]))?;
    add("phone", &|order| Ok(vec![("phone", order.phone.clone())]))?;
    add("tracking number", &|order| Ok(vec![("tracking", tracking(order))]))?;
    add("foreign reference", &|order| Ok(vec![("external_ref", order.reference.clone())]))?;
    add("customer", &|order| {
        Ok(order.customer.map(|customer| ("customer_id", customer.to_string())).into_iter().collect())
    })?;
    add("SKU, common", &|_| Ok(vec![("sku", COMMON.to_owned())]))?;
    add("SKU, usual", &|order| Ok(order.lines.iter().take(1).map(|(sku, _)| ("sku", sku.clone())).collect()))?;
    add("SKU, rare", &|_| Ok(vec![("sku", RARE.to_owned())]))?;
    add("state completed", &|_| Ok(vec![("state", "completed".to_owned())]))?;
    add("state placed", &|_| Ok(vec![("state", "placed".to_owned())]))?;
    add("money partially refunded", &|_| Ok(vec![("payment_state", "partially_refunded".to_owned())]))?;
    add("goods partially shipped", &|_| Ok(vec![("fulfilment_state", "partially_shipped".to_owned())]))?;
    add("a day", &|order| Ok(day(order).into()))?;
    add("channel", &|order| Ok(vec![channel(order)]))?;
    add("channel, the smaller", &|_| Ok(vec![("channel_id", other.to_string())]))?;
    add("state + channel + a day", &|order| {
        let mut query: Query = day(order).into();
        query.extend([("state", order.states.0.to_string()), channel(order)]);
        Ok(query)
    })?;
    add("placed + smaller channel", &|_| Ok(vec![("state", "placed".to_owned()), ("channel_id", other.to_string())]))?;
    add("SKU, common + placed", &|_| Ok(vec![("sku", COMMON.to_owned()), ("state", "placed".to_owned())]))?;
    add("SKU, common + e-mail", &|order| Ok(vec![("sku", COMMON.to_owned()), ("email", order.email.clone())]))?;
    add("e-mail + money captured", &|order| {
        Ok(vec![("email", order.email.clone()), ("payment_state", "captured".to_owned())])
    })?;
    add("a page from deep inside", &|order| Ok(vec![("cursor", cursor(order)?)]))?;
    add("deep: channel + completed", &|order| {
        Ok(vec![channel(order), ("state", "completed".to_owned()), ("cursor", cursor(order)?)])
    })?;
    add("deep: SKU, common", &|order| Ok(vec![("sku", COMMON.to_owned()), ("cursor", cursor(order)?)]))?;
    add("deep: placed", &|order| Ok(vec![("state", "placed".to_owned()), ("cursor", cursor(order)?)]))?;
    add("the newest, 200, counted", &|_| Ok(vec![("limit", "200".to_owned()), ("count", "capped".to_owned())]))?;
    add("placed, counted", &|_| Ok(vec![("state", "placed".to_owned()), ("count", "capped".to_owned())]))?;
    cases.push(Case {
        name: "read one by its number",
        paths: samples.iter().map(|order| format!("/v1/ops/orders/{}", order.number)).collect(),
    });
    let large = format!("/v1/ops/orders/{}", world.order(LARGE).number);
    cases.push(Case { name: "read one of 500 lines", paths: vec![large; rounds] });
    Ok(cases)
}

fn path(query: &Query) -> String {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(query);
    format!("/v1/ops/orders?{}", text.finish())
}
