//! The way out: which addresses may be reached, and the clients that reach them.
//!
//! A receiver's address is given by people who may not be ours, so a request must not reach what only we can reach: the
//! guarded client resolves names itself, refuses a name of which any address is private, and connects to the addresses
//! it has checked. Redirects are not followed, proxies of the environment not used.

use std::{
    error::Error as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::State;
use crate::{
    error::{Code, Error, Result},
    kernel::Instant,
};

/// The clients for everything that is reached at an address which somebody gave.
#[derive(Clone)]
pub struct Network {
    open: reqwest::Client,
    guarded: reqwest::Client,
}

impl Network {
    /// The clients of a process.
    ///
    /// # Errors
    /// When a client can not be built.
    pub fn new(state: &State) -> Result<Self> {
        let client = || {
            reqwest::Client::builder()
                .timeout(Duration::from_secs(state.settings.webhooks.timeout_seconds))
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .user_agent(concat!("kontor/", env!("CARGO_PKG_VERSION")))
        };
        let guarded = client().dns_resolver(Arc::new(PublicOnly)).build().map_err(Error::internal)?;
        Ok(Self { open: client().build().map_err(Error::internal)?, guarded })
    }

    /// The client for an address.
    ///
    /// # Errors
    /// `address_forbidden` when the URL names a private address outright.
    pub fn client(&self, url: &Url, allow_private: bool) -> Result<&reqwest::Client> {
        if allow_private {
            return Ok(&self.open);
        }
        check_literal(url)?;
        Ok(&self.guarded)
    }
}

/// Refuses a URL whose host is a private address in figures; names are checked when they are resolved.
///
/// # Errors
/// `address_forbidden`.
pub fn check_literal(url: &Url) -> Result<()> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let local = name == "localhost" || name.ends_with(".localhost");
            return if local { Err(forbidden(&name)) } else { Ok(()) };
        }
        None => return Err(Error::problem(Code::AddressForbidden, "the URL names no host")),
    };
    if is_public(address) { Ok(()) } else { Err(forbidden(&address.to_string())) }
}

fn forbidden(what: &str) -> Error {
    Error::problem(Code::AddressForbidden, format!("{what} is not a public address"))
}

/// Resolves names and refuses those that lead to private addresses.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move {
            let found = tokio::task::spawn_blocking(move || {
                let found: std::io::Result<Vec<SocketAddr>> =
                    (name.as_str(), 0).to_socket_addrs().map(Iterator::collect);
                found.map(|found| (name, found))
            });
            let (name, found) = found.await??;
            if let Some(private) = found.iter().find(|address| !is_public(address.ip())) {
                return Err(format!("{name} leads to {}, which is not a public address", private.ip()).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// How much of an answer is kept.
const KEPT: usize = 4096;

/// The first characters of an answer; an answer that breaks off keeps what has come.
pub async fn beginning(response: &mut reqwest::Response) -> Option<String> {
    let mut bytes = Vec::new();
    while bytes.len() < KEPT {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    bytes.truncate(KEPT);
    // PostgreSQL keeps no NUL in texts.
    let text = String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}");
    (!text.is_empty()).then_some(text)
}

/// A failure with all its causes, without the URL's query, which may hold secrets.
#[must_use]
pub fn explain(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() {
        "the receiver did not answer in time"
    } else if error.is_connect() {
        "the receiver can not be reached"
    } else {
        "the connection broke off"
    };
    let mut text = kind.to_owned();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text.chars().take(500).collect()
}

/// The seconds that a `Retry-After` asks for: a number, or a date (RFC 9110, 10.2.3).
#[must_use]
pub fn retry_after(value: &str, now: Instant) -> Option<i64> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<i64>() {
        return (seconds >= 0).then_some(seconds);
    }
    let at = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    Some(Instant::from_utc(at.to_utc()).seconds_since(now).max(0))
}

/// Whether an address belongs to the public internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    // The IANA registry of special-purpose addresses: what is not globally reachable.
    !(a == 0
        || a == 10
        || a == 127
        || (a == 100 && (64..128).contains(&b))
        || (a == 169 && b == 254)
        || (a == 172 && (16..32).contains(&b))
        || (a == 192 && b == 0 && (c == 0 || c == 2))
        || (a == 192 && b == 88 && c == 99)
        || (a == 192 && b == 168)
        || (a == 198 && (18..20).contains(&b))
        || (a == 198 && b == 51 && c == 100)
        || (a == 203 && b == 0 && c == 113)
        || a >= 224)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // An IPv4 address in IPv6 clothes is judged as what it is.
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let [first, second, .., seventh, eighth] = address.segments();
    let inner = || {
        let [a, b] = seventh.to_be_bytes();
        let [c, d] = eighth.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    if first == 0x0064 && second == 0xff9b {
        return is_public_v4(inner());
    }
    // Only 2000::/3 is given out; of it, documentation, Teredo, 6to4 and the like lead to nowhere public.
    (first & 0xe000) == 0x2000
        && first != 0x2002
        && first != 0x3fff
        && !(first == 0x2001 && (second < 0x0200 || second == 0x0db8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known_in_every_clothing() {
        let private = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "ff02::1",
        ];
        for address in private {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["93.184.216.34", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808"]
        {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn figures_and_local_names_in_a_url_are_refused() {
        // The parser of URLs turns decimal, octal and hexadecimal forms into the address they mean.
        for url in [
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]:8080/",
            "http://LOCALHOST./",
            "http://a.localhost/",
        ] {
            assert!(check_literal(&Url::parse(url).unwrap()).is_err(), "{url}");
        }
        assert!(check_literal(&Url::parse("https://hooks.example.com/x").unwrap()).is_ok());
    }

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        let now: Instant = "2026-03-02T09:00:00Z".parse().unwrap();
        assert_eq!(retry_after("120", now), Some(120));
        assert_eq!(retry_after("Mon, 02 Mar 2026 09:05:00 GMT", now), Some(300));
        assert_eq!(retry_after("Mon, 02 Mar 2026 08:00:00 GMT", now), Some(0));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-1", now), None);
    }
}
