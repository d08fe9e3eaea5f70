//! Request rates, per process: on the store surface per cart, customer or address; order look-ups per address.

use std::{net::IpAddr, num::NonZeroU32};

use actix_web::{HttpMessage, HttpRequest};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};

use crate::{
    config,
    error::{Code, Error, Result},
    kernel::Actor,
};

type Limiter = RateLimiter<String, DefaultKeyedStateStore<String>, DefaultClock, StateInformationMiddleware>;

/// The limiters of a process.
pub struct Limits {
    store: Option<Limiter>,
    lookups: Option<Limiter>,
    proxies: Vec<IpAddr>,
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
            lookups: limiter(settings.lookup_requests_per_minute),
            proxies: settings.trusted_proxies.split(',').filter_map(|proxy| proxy.trim().parse().ok()).collect(),
        }
    }

    pub(super) fn check(&self, actor: &Actor, request: &HttpRequest) -> Result<()> {
        let (Some(limiter), Actor::Shopper(shopper)) = (&self.store, actor) else { return Ok(()) };
        let key = match (&shopper.identity, &shopper.cart_token) {
            (Some(identity), _) => format!("c {} {}", identity.issuer, identity.subject),
            (None, Some(token)) => format!("t {token}"),
            (None, None) => format!("a {}", self.address(request)),
        };
        take(limiter, key, request)
    }

    /// Counts an order look-up.
    ///
    /// # Errors
    /// `rate_limited` when there were too many from this address.
    pub fn check_lookup(&self, request: &HttpRequest) -> Result<()> {
        match &self.lookups {
            Some(limiter) => take(limiter, self.address(request), request),
            None => Ok(()),
        }
    }

    /// Forgets keys that have not been used for a while.
    pub fn tidy(&self) {
        for limiter in [&self.store, &self.lookups].into_iter().flatten() {
            limiter.retain_recent();
        }
    }

    /// The client's address: the connection's, or what a trusted proxy says it is.
    #[must_use]
    pub fn address(&self, request: &HttpRequest) -> String {
        let peer = request.peer_addr().map(|peer| peer.ip());
        if let Some(peer) = peer
            && self.proxies.contains(&peer)
        {
            // A proxy may add a header of its own behind the one that the client sent.
            let forwarded = request.headers().get_all("X-Forwarded-For").filter_map(|value| value.to_str().ok());
            let hops = forwarded.flat_map(|list| list.split(',')).filter_map(|hop| hop.trim().parse().ok());
            // From the right: the last hop that is not one of our own proxies.
            let hops: Vec<IpAddr> = hops.collect();
            if let Some(client) = hops.iter().rev().find(|hop| !self.proxies.contains(hop)) {
                return client.to_string();
            }
        }
        peer.map(|peer| peer.to_string()).unwrap_or_default()
    }
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
