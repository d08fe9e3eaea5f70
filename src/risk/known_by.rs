//! What a shopper is known by, as keyed hashes: nobody without the secret can try addresses or cards against them.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use super::model::Mark;
use crate::{
    customers::Address,
    error::{Error, Result},
    http::seal::Secret,
    kernel::{
        ids::CustomerId,
        text::{self, Email},
    },
};

/// What the hashes are made for: they are of no use elsewhere.
const PURPOSE: &str = "who was judged";
/// IPv4 networks can be listed from this length on.
const SHORTEST_V4: u8 = 8;
/// IPv6 networks can be listed by these lengths. Longer ones are a /64, for whoever has one address has all of that.
const LENGTHS_V6: [u8; 9] = [32, 36, 40, 44, 48, 52, 56, 60, 64];

/// What a shopper is known by, for a moment: nothing of it is kept but hashes.
#[derive(Clone)]
pub struct KnownBy {
    secret: Arc<Secret>,
    values: Vec<(Mark, String)>,
    client: Option<IpAddr>,
}

impl KnownBy {
    /// Nothing yet.
    #[must_use]
    pub const fn nothing(secret: Arc<Secret>) -> Self {
        Self { secret, values: Vec::new(), client: None }
    }

    fn with(mut self, mark: Mark, value: Option<String>) -> Self {
        self.values.extend(value.filter(|value| !value.is_empty()).map(|value| (mark, value)));
        self
    }

    /// And by an e-mail address, with its domain.
    #[must_use]
    pub fn email(self, email: Option<&Email>) -> Self {
        let domain = email.map(domain_of);
        self.with(Mark::Email, email.map(Email::folded)).with(Mark::Domain, domain)
    }

    /// And by an account.
    #[must_use]
    pub fn customer(self, customer: Option<CustomerId>) -> Self {
        self.with(Mark::Customer, customer.map(|id| id.to_string()))
    }

    /// And by a device, as the storefront knows it.
    #[must_use]
    pub fn device(self, device: Option<&str>) -> Self {
        self.with(Mark::Device, device.map(str::to_owned))
    }

    /// And by a card, as the provider knows it.
    #[must_use]
    pub fn card(self, card: Option<String>) -> Self {
        self.with(Mark::Card, card)
    }

    /// And by where the goods go.
    #[must_use]
    pub fn address(self, address: Option<&Address>) -> Self {
        let place = |address: &Address| place(&address.street1, &address.postcode, address.country.as_str());
        self.with(Mark::Address, address.map(place))
    }

    /// And by the address of their connection.
    #[must_use]
    pub fn client(mut self, client: Option<IpAddr>) -> Self {
        let client = client.map(|client| client.to_canonical());
        self.client = client;
        self.with(Mark::Network, client.map(network_of))
    }

    /// Only by what is their own: what others may share is left out.
    #[must_use]
    pub fn person(mut self) -> Self {
        self.values.retain(|(mark, _)| matches!(mark, Mark::Email | Mark::Customer));
        self.client = None;
        self
    }

    /// What they are known by.
    #[must_use]
    pub fn kinds(&self) -> Vec<Mark> {
        self.values.iter().map(|(mark, _)| *mark).collect()
    }

    /// The domain of their e-mail address, in lower case.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.values.iter().find(|(mark, _)| *mark == Mark::Domain).map(|(_, domain)| domain.as_str())
    }

    /// The hashes that are kept, one of each kind.
    pub(super) fn marks(&self) -> Vec<(Mark, String)> {
        self.values.iter().map(|(mark, value)| (*mark, hash(&self.secret, *mark, value))).collect()
    }

    /// The hashes by which they may have been kept, under a former secret too.
    pub(super) fn former(&self, of: Mark) -> Vec<String> {
        let own = self.values.iter().filter(|(mark, _)| *mark == of);
        own.flat_map(|(mark, value)| self.secret.tokens(PURPOSE, &subject(*mark, value))).collect()
    }

    /// The hashes by which they may be on a list: their networks of any length, and what else they are known by.
    pub(super) fn listed(&self) -> Vec<(Mark, String)> {
        let networks = self.client.into_iter().flat_map(networks).map(|network| (Mark::Network, network));
        let values = self.values.iter().filter(|(mark, _)| *mark != Mark::Network).cloned().chain(networks);
        let hashes = |(mark, value): (Mark, String)| {
            let all = self.secret.tokens(PURPOSE, &subject(mark, &value));
            all.into_iter().map(move |hash| (mark, hash))
        };
        values.flat_map(hashes).collect()
    }
}

fn subject(mark: Mark, value: &str) -> String {
    format!("{mark}:{value}")
}

fn hash(secret: &Secret, mark: Mark, value: &str) -> String {
    secret.token(PURPOSE, &subject(mark, value))
}

fn domain_of(email: &Email) -> String {
    email.folded().split_once('@').map(|(_, domain)| domain.to_owned()).unwrap_or_default()
}

/// A place, however it is written: without whoever lives there.
fn place(street: &str, postcode: &str, country: &str) -> String {
    format!("{} {} {}", country.to_uppercase(), text::squeeze(postcode), text::fold(street))
}

/// The network that an address counts for: an IPv4 address itself, the /64 of an IPv6 one.
#[must_use]
pub fn network_of(client: IpAddr) -> String {
    cut(client, if client.is_ipv4() { 32 } else { 64 })
}

/// A network of this length, with the address cut to it.
fn cut(client: IpAddr, length: u8) -> String {
    match client {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or_default();
            format!("{}/{length}", Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or_default();
            format!("{}/{length}", Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

/// All networks that can be listed and that hold an address.
fn networks(client: IpAddr) -> Vec<String> {
    let lengths: Vec<u8> = if client.is_ipv4() { (SHORTEST_V4..=32).collect() } else { LENGTHS_V6.to_vec() };
    lengths.into_iter().map(|length| cut(client, length)).collect()
}

/// What stands on a list: by which hash it is met, and what staff are shown of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub hash: String,
    pub hint: String,
}

/// Something that is to stand on a list, from how staff write it.
///
/// # Errors
/// `invalid_value` where it is none of its kind.
pub(super) fn named(secret: &Secret, kind: Mark, value: &str) -> Result<Named> {
    let wrong = |detail: &str| Error::invalid("/value", detail);
    let trimmed = value.trim();
    let (value, hint) = match kind {
        Mark::Email => {
            let email = Email::new(trimmed).map_err(|error| wrong(&error.to_string()))?.folded();
            let hint = email.split_once('@').map(|(name, domain)| format!("{}…@{domain}", first(name)));
            (email, hint.unwrap_or_default())
        }
        Mark::Domain => {
            let domain = trimmed.trim_start_matches('@').to_lowercase();
            if !domain.contains('.') || domain.contains(['@', ' ']) {
                return Err(wrong("expected a domain such as example.org"));
            }
            (domain.clone(), domain)
        }
        Mark::Network => {
            let network = listed_network(trimmed).ok_or_else(|| {
                wrong("expected an address or a network: IPv4 from /8 on, IPv6 of a length of 32 to 64 that 4 divides")
            })?;
            (network.clone(), network)
        }
        Mark::Customer => {
            let id: CustomerId = trimmed.parse().map_err(|_| wrong("expected the id of a customer"))?;
            (id.to_string(), id.to_string())
        }
        Mark::Address => {
            let parts: Vec<&str> = trimmed.split(',').map(str::trim).collect();
            let [street, postcode, country] = parts.as_slice() else {
                return Err(wrong("expected street, postcode, country: `Invalidenstr. 117, 10115, DE`"));
            };
            (place(street, postcode, country), format!("…, {postcode}, {country}"))
        }
        Mark::Device | Mark::Card => (trimmed.to_owned(), format!("…{}", last(trimmed))),
    };
    Ok(Named { hash: hash(secret, kind, &value), hint })
}

fn first(text: &str) -> String {
    text.chars().take(1).collect()
}

/// The last four characters, of what is long enough to hide the rest.
fn last(text: &str) -> String {
    let count = text.chars().count();
    text.chars().skip(if count > 8 { count - 4 } else { count }).collect()
}

fn listed_network(text: &str) -> Option<String> {
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let address = address.parse::<IpAddr>().ok()?.to_canonical();
    let length: Option<u8> = match length {
        Some(length) => Some(length.parse().ok()?),
        None => None,
    };
    let allowed = |length: u8| match address {
        IpAddr::V4(_) => (SHORTEST_V4..=32).contains(&length),
        IpAddr::V6(_) => LENGTHS_V6.contains(&length),
    };
    match (address, length) {
        (_, None) => Some(network_of(address)),
        (IpAddr::V6(_), Some(65..=128)) => Some(network_of(address)),
        (_, Some(length)) => allowed(length).then(|| cut(address, length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn someone(client: &str) -> KnownBy {
        KnownBy::nothing(Arc::new(Secret::new(b"a")))
            .email(Some(&Email::new("Ada@Example.org").unwrap()))
            .client(Some(client.parse().unwrap()))
    }

    fn is_on(who: &KnownBy, kind: Mark, value: &str) -> bool {
        let hash = named(&Secret::new(b"a"), kind, value).unwrap().hash;
        who.listed().contains(&(kind, hash))
    }

    #[test]
    fn a_list_meets_whom_it_means() {
        let who = someone("203.0.113.9");
        for (kind, value) in [
            (Mark::Email, "ada@example.org"),
            (Mark::Domain, "@EXAMPLE.org"),
            (Mark::Network, "203.0.113.9"),
            (Mark::Network, "203.0.113.77/24"),
            (Mark::Network, "203.0.0.0/8"),
        ] {
            assert!(is_on(&who, kind, value), "{value}");
        }
        assert!(!is_on(&who, Mark::Network, "203.0.114.0/24") && !is_on(&who, Mark::Email, "eve@example.org"));
        let six = someone("2001:db8:1:2:3::4");
        assert!(is_on(&six, Mark::Network, "2001:db8:1:2::/64") && is_on(&six, Mark::Network, "2001:db8:1:2::ffff"));
        assert!(is_on(&six, Mark::Network, "2001:db8::/32") && !is_on(&six, Mark::Network, "2001:db8:1:3::/64"));
        // IPv4 in IPv6's clothes is IPv4.
        assert!(is_on(&someone("::ffff:203.0.113.9"), Mark::Network, "203.0.113.0/24"));
    }

    #[test]
    fn what_was_kept_under_a_former_secret_is_found() {
        let (old, new) = (Secret::new(b"a"), Secret::new(b"b").with_previous(["a"]));
        let who = KnownBy::nothing(Arc::new(new)).device(Some("d-1"));
        assert!(who.former(Mark::Device).contains(&named(&old, Mark::Device, "d-1").unwrap().hash));
        assert_ne!(who.marks().first().unwrap().1, named(&old, Mark::Device, "d-1").unwrap().hash);
    }

    #[test]
    fn what_is_none_of_its_kind_is_refused_and_hints_hide() {
        let secret = Secret::new(b"a");
        for (kind, value) in [
            (Mark::Email, "ada"),
            (Mark::Domain, "example"),
            (Mark::Network, "10.0.0.0/7"),
            (Mark::Network, "2001:db8::/33"),
            (Mark::Network, "berlin"),
            (Mark::Customer, "7"),
            (Mark::Address, "Invalidenstr. 117"),
        ] {
            assert!(named(&secret, kind, value).is_err(), "{value}");
        }
        let hint = |kind, value| named(&secret, kind, value).unwrap().hint;
        assert_eq!(hint(Mark::Email, "ada@example.org"), "a…@example.org");
        assert_eq!((hint(Mark::Card, "fp-0123456789"), hint(Mark::Card, "short")), ("…6789".into(), "…".into()));
        let a = named(&secret, Mark::Address, "Invalidenstr. 117, 10115, de").unwrap();
        assert_eq!(a.hash, named(&secret, Mark::Address, "INVALIDENSTR 117, 10 115, DE").unwrap().hash);
    }
}
