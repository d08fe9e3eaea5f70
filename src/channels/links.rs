//! The pages of a channel's storefront that links lead to. Pure.

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::kernel::{ids::CartId, ids::OrderId, text::Text};

/// The address of a page with places in it, each in braces, that a link puts something into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageAddress(Text<500>);

/// What the page of an abandoned cart is told: both are needed to open it.
pub(super) const CART_PAGE: [&str; 2] = ["{cart}", "{token}"];
/// What the page of an order is told.
pub(super) const ORDER_PAGE: [&str; 2] = ["{order}", "{token}"];

impl PageAddress {
    /// What is wrong with it: it is no address that a browser may be sent to with a secret in it, or a place is missing, or is
    /// one that nobody fills. A place within scheme, host or port would let a link lead to another machine.
    pub(super) fn wrong(&self, places: [&str; 2]) -> Option<String> {
        if let Some(missing) = places.iter().find(|place| !self.0.contains(**place)) {
            return Some(format!("expected {missing} somewhere in it"));
        }
        let filled = |by: &str| places.iter().fold(self.0.to_string(), |address, place| address.replace(place, by));
        let (one, other) = (filled("a"), filled("b"));
        if one.contains(['{', '}']) || one.contains(char::is_whitespace) {
            return Some(format!("expected no other braces than {} and no spaces", places.join(" and ")));
        }
        let (Ok(one), Ok(other)) = (Url::parse(&one), Url::parse(&other)) else {
            return Some("expected a whole address such as https://shop.example.org/…".to_owned());
        };
        let plain = one.username().is_empty() && one.password().is_none();
        match is_safe(&one) && plain && one.origin() == other.origin() {
            true => None,
            false => Some("expected https (http for this machine alone), and the places behind the host".to_owned()),
        }
    }

    /// The page's address for a cart and the token that opens it.
    #[must_use]
    pub fn of_cart(&self, cart: CartId, token: &str) -> String {
        self.filled(CART_PAGE, [&cart.to_string(), token])
    }

    /// The page's address for an order and the token that opens it.
    #[must_use]
    pub fn of_order(&self, order: OrderId, token: &str) -> String {
        self.filled(ORDER_PAGE, [&order.to_string(), token])
    }

    /// Ids and tokens hold no character that an address would need to escape.
    fn filled(&self, places: [&str; 2], values: [&str; 2]) -> String {
        places.iter().zip(values).fold(self.0.to_string(), |address, (place, value)| address.replace(place, value))
    }
}

/// Whether nobody on the way can read what is sent there.
fn is_safe(url: &Url) -> bool {
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.has_host() && (url.scheme() == "https" || url.scheme() == "http" && here)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> PageAddress {
        PageAddress(Text::new(text).unwrap())
    }

    #[test]
    fn a_page_is_where_nobody_else_reads_the_token() {
        for right in [
            "https://shop.example/orders/{order}?token={token}",
            "https://shop.example/#/{order}/{token}",
            "http://localhost:3000/{order}/{token}",
            "http://127.0.0.1/?o={order}&t={token}&again={token}",
            "http://[::1]:80/{order}.{token}",
        ] {
            assert_eq!(page(right).wrong(ORDER_PAGE), None, "{right}");
        }
        for wrong in [
            "https://shop.example/orders",
            "https://shop.example/orders/{order}",
            "https://shop.example/{token}",
            "https://shop.example/{order}?token={token}&x={cart}",
            "https://shop.example/{order}?token={token}}",
            "http://shop.example/{order}?token={token}",
            "https://{order}.example/?token={token}",
            "https://shop.example:{order}/?token={token}",
            "https://{order}@shop.example/?token={token}",
            "https://ada:secret@shop.example/{order}?token={token}",
            "/orders/{order}?token={token}",
            "javascript:alert('{order}{token}')",
            "https://shop.example/{order}? token={token}",
        ] {
            assert!(page(wrong).wrong(ORDER_PAGE).is_some(), "{wrong}");
        }
    }

    #[test]
    fn every_place_is_filled() {
        let order = OrderId::new();
        let address = page("https://shop.example/{order}/{token}#{order}").of_order(order, "a.b_c-d");
        assert_eq!(address, format!("https://shop.example/{order}/a.b_c-d#{order}"));
    }
}
