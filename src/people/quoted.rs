//! What stands beside orders and has numbers of its own: each found by its slice, among what the actor sees there.

use super::search::{HitKind, MOST, SearchHit};
use crate::{
    checkout,
    db::Tx,
    drafts,
    error::{Code, Result},
    fulfilment::{self, parcels},
    kernel::{Actor, ids::PaymentRequestId},
    payments::requests,
    quotes, returns, warranties,
};

/// Everything of orders that somebody may quote, but the orders.
pub(super) fn beside_orders(tx: &mut Tx, actor: &Actor, q: &str) -> Result<Vec<SearchHit>> {
    let mut found = coming_back(tx, actor, q)?;
    found.extend(disputed(tx, actor, q)?);
    found.extend(agreed(tx, actor, q)?);
    found.extend(paid(tx, actor, q)?);
    found.extend(registered(tx, actor, q)?);
    Ok(found)
}

/// Return requests, by their number or the tracking number of their parcel, and returns.
fn coming_back(tx: &mut Tx, actor: &Actor, q: &str) -> Result<Vec<SearchHit>> {
    let mut found = Vec::new();
    for one in returns::quoted(tx, actor, q, MOST)? {
        let label = format!("return request {} of order {}: {}", one.number, one.order_number, one.state);
        let hit = SearchHit::new(HitKind::ReturnRequest, one.id, label, "return-requests").of(one.channel_id);
        found.push(hit.with_order(one.order_id).with_customer(one.customer_id));
    }
    for one in fulfilment::returns::numbered(tx, actor, q)? {
        let label = format!("return {} over {}: {}", one.number, one.amount, one.state);
        let hit = SearchHit::new(HitKind::Return, one.id, label, "returns").of(one.channel_id);
        found.push(hit.with_order(one.order_id).with_customer(one.customer_id));
    }
    Ok(found)
}

/// Withdrawals and claims.
fn disputed(tx: &mut Tx, actor: &Actor, q: &str) -> Result<Vec<SearchHit>> {
    let mut found = Vec::new();
    for one in returns::withdrawals::quoted(tx, actor, q)? {
        let label = format!("withdrawal {} from order {}: {}", one.number, one.order_number, one.state);
        let hit = SearchHit::new(HitKind::Withdrawal, one.id, label, "withdrawals").of(one.channel_id);
        let link = format!("/v1/ops/orders/{}/withdrawals", one.order_id);
        found.push(SearchHit { link, ..hit }.with_order(one.order_id));
    }
    for one in returns::claims::quoted(tx, actor, q)? {
        let label = format!("claim {} of order {}: {}", one.number, one.order_number, one.state);
        let hit = SearchHit::new(HitKind::Claim, one.id, label, "claims").of(one.channel_id);
        found.push(hit.with_order(one.order_id));
    }
    Ok(found)
}

/// Quotes and drafts.
fn agreed(tx: &mut Tx, actor: &Actor, q: &str) -> Result<Vec<SearchHit>> {
    let mut found = Vec::new();
    for one in quotes::quoted(tx, actor, q)? {
        let label = format!("quote {}: {}", one.number, one.state);
        let hit = SearchHit::new(HitKind::Quote, one.id, label, "quotes").of(one.channel_id);
        found.push(hit.with_order(one.order_id).with_customer(one.customer_id));
    }
    if let Some(one) = drafts::named(tx, actor, q)? {
        let label = format!("draft, {}", one.state);
        let hit = SearchHit::new(HitKind::Draft, one.id, label, "drafts").of(one.channel_id);
        found.push(hit.with_order(one.order_id));
    }
    Ok(found)
}

/// Payments, and what was asked to be paid by links.
fn paid(tx: &mut Tx, actor: &Actor, q: &str) -> Result<Vec<SearchHit>> {
    let mut found = Vec::new();
    for one in checkout::quoted_payments(tx, actor, q, MOST)? {
        let label = format!("payment of {} by {}: {}", one.amount, one.provider, one.state);
        found.push(SearchHit::new(HitKind::Payment, one.id, label, "payments").with_order(one.order_id));
    }
    if let Ok(id) = q.parse::<PaymentRequestId>() {
        match requests::find(tx, id) {
            Ok(one) if actor.sees_channel(one.channel_id) => {
                let label = format!("payment request over {}: {}", one.amount, one.state);
                let hit = SearchHit::new(HitKind::PaymentRequest, one.id, label, "payment-requests").of(one.channel_id);
                found.push(hit.with_order(one.order_id));
            }
            Ok(_) => {}
            Err(error) if error.code() == Code::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Registered products, by their serial number.
fn registered(tx: &mut Tx, actor: &Actor, q: &str) -> Result<Vec<SearchHit>> {
    let hit = |one: warranties::Registration| {
        let label = format!("{} of order {}, registered", one.sku, one.order_number);
        let hit = SearchHit::new(HitKind::Registration, one.id, label, "registrations").of(one.channel_id);
        hit.with_order(one.order_id).with_customer(one.customer_id)
    };
    Ok(warranties::quoted(tx, actor, q, MOST)?.into_iter().map(hit).collect())
}

/// Packages, by a serial number of what is in them.
pub(super) fn packages(tx: &mut Tx, actor: &Actor, q: &str) -> Result<Vec<SearchHit>> {
    let hit = |one: parcels::Package| {
        let label = format!("package, {}", one.state);
        SearchHit::new(HitKind::Package, one.id, label, "packages").with_order(one.order_id)
    };
    Ok(parcels::with_serial(tx, actor, q)?.into_iter().map(hit).collect())
}
