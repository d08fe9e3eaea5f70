//! Request rates, per process: on the store surface per cart, customer or address, on the others per principal; order look-ups
//! per address. Of IPv6 an address is its /64.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
};

use actix_web::{HttpMessage, HttpRequest};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};

use super::{auth::proven_cart, seal::Secret};
use crate::{
    config::{self, Network},
    error::{Code, Error, Result},
    kernel::Actor,
};

type Limiter = RateLimiter<String, DefaultKeyedStateStore<String>, DefaultClock, StateInformationMiddleware>;

/// The limiters of a process.
pub struct Limits {
    store: Option<Limiter>,
    ops: Option<Limiter>,
    integration: Option<Limiter>,
    lookups: Option<Limiter>,
    coupons: Option<Limiter>,
    vat_ids: Option<Limiter>,
    back_in_stock: Option<Limiter>,
    proxies: Vec<Network>,
}

/// What is left, for the `RateLimit` headers of the answer.
#[derive(Debug, Clone, Copy)]
pub struct Remaining {
    /// Requests per minute.
    pub limit: u32,
    /// How many of them are left now.
    pub remaining: u32,
}

impl Limits {
    pub(super) fn new(settings: &config::Http) -> Self {
        let limiter = |per_minute: u32| {
            let quota = Quota::per_minute(NonZeroU32::new(per_minute)?);
            Some(RateLimiter::keyed(quota).with_middleware::<StateInformationMiddleware>())
        };
        Self {
            store: limiter(settings.store_requests_per_minute),
            ops: limiter(settings.ops_requests_per_minute),
            integration: limiter(settings.integration_requests_per_minute),
            lookups: limiter(settings.lookup_requests_per_minute),
            coupons: limiter(settings.coupon_requests_per_minute),
            vat_ids: limiter(settings.vat_id_requests_per_minute),
            back_in_stock: limiter(settings.back_in_stock_requests_per_minute),
            proxies: settings.trusted_proxies().flatten().collect(),
        }
    }

    /// Counts a request: on the ops and the integration surface for the principal whose credential it is; on the store surface
    /// for the customer who is signed in, for the cart that the token opens, for the
    /// network otherwise. What a caller can make up counts for nothing: else a new token for each request would be no limit.
    pub(super) fn check(&self, secret: &Secret, actor: &Actor, request: &HttpRequest) -> Result<()> {
        let limiter = match actor {
            Actor::Shopper(_) => &self.store,
            Actor::Staff(_) => &self.ops,
            Actor::Client(_) => &self.integration,
            Actor::System(_) => &None,
        };
        let Some(limiter) = limiter else { return Ok(()) };
        let key = match actor {
            Actor::Shopper(shopper) => match &shopper.identity {
                Some(identity) => format!("c {} {}", identity.issuer, identity.subject),
                None => match proven_cart(secret, shopper, request) {
                    Some(cart) => format!("t {cart}"),
                    None => format!("a {}", self.network(request)),
                },
            },
            principal => principal.label(),
        };
        take(limiter, key, request)
    }

    /// Counts an order look-up.
    ///
    /// # Errors
    /// `rate_limited` when there were too many from this address.
    pub fn check_lookup(&self, request: &HttpRequest) -> Result<()> {
        match &self.lookups {
            Some(limiter) => take(limiter, self.network(request), request),
            None => Ok(()),
        }
    }

    /// Counts a request that brings coupon codes: they can not be guessed by trying.
    ///
    /// # Errors
    /// `rate_limited` when there were too many from this address.
    pub fn check_coupon(&self, request: &HttpRequest) -> Result<()> {
        match &self.coupons {
            Some(limiter) => take(limiter, self.network(request), request),
            None => Ok(()),
        }
    }

    /// Counts a request that brings a VAT number which a registry is asked about: strangers do not use up what it answers us.
    ///
    /// # Errors
    /// `rate_limited` when there were too many from this address.
    pub fn check_vat_id(&self, request: &HttpRequest) -> Result<()> {
        match &self.vat_ids {
            Some(limiter) => take(limiter, self.network(request), request),
            None => Ok(()),
        }
    }

    /// Counts a request to be told when goods come back: nobody has strangers told of a whole catalogue.
    ///
    /// # Errors
    /// `rate_limited` when there were too many from this address.
    pub fn check_back_in_stock(&self, request: &HttpRequest) -> Result<()> {
        match &self.back_in_stock {
            Some(limiter) => take(limiter, self.network(request), request),
            None => Ok(()),
        }
    }

    /// Forgets keys that have not been used for a while.
    pub fn tidy(&self) {
        let own = [&self.lookups, &self.coupons, &self.vat_ids, &self.back_in_stock];
        for limiter in [&self.store, &self.ops, &self.integration].into_iter().chain(own).flatten() {
            limiter.retain_recent();
        }
    }

    /// The client's address: the connection's, or what a trusted proxy says it is.
    #[must_use]
    pub fn address(&self, request: &HttpRequest) -> String {
        self.client(request).map(|client| client.to_string()).unwrap_or_default()
    }

    /// The network that the client's address counts for: of IPv6 its /64, for whoever has one address has all of that.
    fn network(&self, request: &HttpRequest) -> String {
        match self.client(request) {
            None => String::new(),
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => {
                format!("{}/64", Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
            }
        }
    }

    /// The same as an address; `None` where the connection has none.
    #[must_use]
    pub fn client(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?.ip().to_canonical();
        // A proxy may add a header of its own behind the one that the client sent.
        let headers = request.headers().get_all("X-Forwarded-For");
        let hops: Vec<&str> = headers.flat_map(|value| value.to_str().unwrap_or("?").split(',')).collect();
        Some(self.sender(peer, &hops))
    }

    /// From the right: the first that is not one of our own proxies. What stands left of that the client may have made up;
    /// where a hop can not be read, the proxy that sent it is as far as we can see.
    fn sender(&self, peer: IpAddr, hops: &[&str]) -> IpAddr {
        let mut known = peer;
        for hop in hops.iter().rev() {
            if !self.proxies.iter().any(|proxy| proxy.holds(known)) {
                return known;
            }
            match hop_address(hop.trim()) {
                Some(address) => known = address,
                None => return known,
            }
        }
        known
    }
}

/// The address of a hop, which some proxies write with a port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let with_port = || hop.parse::<SocketAddr>().map(|address| address.ip());
    bare.parse().or_else(|_| with_port()).map(|address: IpAddr| address.to_canonical()).ok()
}

fn take(limiter: &Limiter, key: String, request: &HttpRequest) -> Result<()> {
    match limiter.check_key(&key) {
        Ok(snapshot) => {
            let limit = snapshot.quota().burst_size().get();
            request.extensions_mut().insert(Remaining { limit, remaining: snapshot.remaining_burst_capacity() });
            Ok(())
        }
        Err(until) => {
            let wait = until.wait_time_from(DefaultClock::default().now()).as_secs().saturating_add(1);
            let wait = u32::try_from(wait).unwrap_or(60);
            let limit = until.quota().burst_size().get();
            request.extensions_mut().insert(Remaining { limit, remaining: 0 });
            Err(Error::problem(Code::RateLimited, "too many requests").retry_after(wait))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(proxies: &str) -> Limits {
        let mut settings = config::Settings::defaults().unwrap().http;
        proxies.clone_into(&mut settings.trusted_proxies);
        Limits::new(&settings)
    }

    fn sender(proxies: &str, peer: &str, hops: &[&str]) -> String {
        limits(proxies).sender(peer.parse().unwrap(), hops).to_string()
    }

    #[test]
    fn whom_no_proxy_of_ours_vouches_for_is_who_has_connected() {
        assert_eq!(sender("", "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(sender("10.0.0.1", "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(sender("10.0.0.1", "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn what_the_client_has_written_itself_is_not_believed() {
        assert_eq!(sender("10.0.0.1", "10.0.0.1", &["203.0.113.9", " 198.51.100.7"]), "198.51.100.7");
        assert_eq!(sender("10.0.0.0/8", "10.0.0.1", &["203.0.113.9", "198.51.100.7", "10.2.3.4"]), "198.51.100.7");
        // What can not be read hides nobody: it counts for the proxy.
        assert_eq!(sender("10.0.0.1", "10.0.0.1", &["203.0.113.9", "unknown"]), "10.0.0.1");
    }

    #[test]
    fn hops_are_read_with_ports_and_brackets() {
        assert_eq!(sender("10.0.0.1", "10.0.0.1", &["203.0.113.9", "198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(sender("fd00::/8", "fd00::1", &["203.0.113.9", "[2001:db8::7]:443"]), "2001:db8::7");
        assert_eq!(sender("10.0.0.1", "10.0.0.1", &["::ffff:198.51.100.7"]), "198.51.100.7");
    }
}
