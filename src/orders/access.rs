//! Links that open an order without signing in.

use std::sync::Arc;

use serde::Serialize;

use super::{document::OrderDocument, service};
use crate::{
    carts,
    channels::{Channel, PageAddress},
    db::Tx,
    error::{Code, Error, Result},
    http::seal::Secret,
    kernel::{Actor, Instant, ids::OrderId},
};

/// For so long a link opens its order.
const SECONDS: i64 = 30 * 86_400;
/// What the links' tokens are derived for: they open nothing else.
const PURPOSE: &str = "order-link";

/// A link that opens an order without signing in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OrderLink {
    /// The secret in it: send it as `token` in the query.
    pub token: String,
    /// Where the order is read with it: the channel's `order_page`, else the path of the route.
    #[schema(
        example = "/v1/store/orders/order_01h455vb4pex5vsknk084sn02q?token=1775034000.Zm9yLWV4YW1wbGUtb25seS0zMi1jaGFy"
    )]
    pub url: String,
    /// Until when.
    pub expires_at: Instant,
}

/// What links to a channel's orders are made with.
#[derive(Clone)]
pub struct OrderLinks {
    secret: Arc<Secret>,
    page: Option<PageAddress>,
}

impl OrderLinks {
    /// Those of a channel.
    #[must_use]
    pub fn of(channel: &Channel, secret: &Arc<Secret>) -> Self {
        Self { secret: secret.clone(), page: channel.settings.order_page.clone() }
    }

    /// The link of an order, from now on for thirty days. It is derived, not kept.
    pub(super) fn link(&self, now: Instant, order: OrderId) -> OrderLink {
        let expires_at = now.plus_seconds(SECONDS);
        let expiry = expires_at.micros() / 1_000_000;
        let token = format!("{expiry}.{}", self.secret.token(PURPOSE, &subject(order, expiry)));
        let route = || format!("/v1/store/orders/{order}?token={token}");
        let url = self.page.as_ref().map_or_else(route, |page| page.of_order(order, &token));
        OrderLink { token, url, expires_at: Instant::from_micros(expiry * 1_000_000) }
    }
}

fn subject(order: OrderId, expiry: i64) -> String {
    format!("{order}.{expiry}")
}

/// Whether a token is that of a link to the order.
///
/// # Errors
/// `token_expired` when it was.
pub(super) fn opens(secret: &Secret, now: Instant, order: OrderId, token: &str) -> Result<bool> {
    let Some((expiry, mac)) = token.split_once('.') else { return Ok(false) };
    let Ok(expiry) = expiry.parse::<i64>() else { return Ok(false) };
    if !secret.is_token(PURPOSE, &subject(order, expiry), mac) {
        return Ok(false);
    }
    match now.micros() / 1_000_000 <= expiry {
        true => Ok(true),
        false => Err(Error::problem(Code::TokenExpired, "the link has expired").at("token")),
    }
}

/// An order for whoever may open it on the store surface: its customer, a guest with the token of the cart it was, or anybody with the token
/// of a link to it. What it is opened for is done in the same transaction.
///
/// # Errors
/// `not_found`; `token_expired` for a link that was.
pub fn opened(
    tx: &mut Tx,
    actor: &Actor,
    (secret, now): (&Secret, Instant),
    id: OrderId,
    token: Option<&str>,
) -> Result<OrderDocument> {
    let order = service::document(tx, id)?.filter(|order| actor.sees_channel(order.channel_id));
    let order = order.ok_or_else(|| Error::not_found("order"))?;
    let by_link = token.map_or(Ok(false), |token| opens(secret, now, id, token))?;
    let owned = (order.channel_id, order.customer_id, order.cart_id);
    let seen = by_link || carts::may_see_order(tx, actor, secret, owned.0, owned.1, owned.2)?;
    if seen { Ok(order) } else { Err(Error::not_found("order")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_its_order_until_it_expires() {
        let (secret, now) = (Arc::new(Secret::new(b"a")), Instant::from_micros(1_000_000));
        let (order, other) = (OrderId::new(), OrderId::new());
        let link = OrderLinks { secret: secret.clone(), page: None }.link(now, order);
        assert!(opens(&secret, now, order, &link.token).unwrap());
        assert!(!opens(&secret, now, other, &link.token).unwrap());
        assert!(!opens(&Secret::new(b"b"), now, order, &link.token).unwrap());
        let (_, mac) = link.token.split_once('.').unwrap();
        for wrong in ["", ".", mac, &format!("99999999999.{mac}"), &format!("x.{mac}")] {
            assert!(!opens(&secret, now, order, wrong).unwrap(), "{wrong}");
        }
        let later = link.expires_at.plus_seconds(1);
        assert_eq!(opens(&secret, later, order, &link.token).unwrap_err().code(), Code::TokenExpired);
    }
}
