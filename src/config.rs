//! Settings: documented defaults (`config.default.toml`) → `kontor.toml` → the environment, checked at the start.
//!
//! `http.listen` is `KONTOR_HTTP_LISTEN` in the environment; `DATABASE_URL` is `database.url`. A key that does not exist
//! is an error that names it, so a misspelt setting is never silently ignored.

use std::{net::IpAddr, path::Path, str::FromStr};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::{
    error::{Error, Result},
    kernel::text::is_web_address,
};

/// The file with every default and what it means.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// All settings. The meaning of each is told in [`DEFAULTS`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents every key, once")]
pub struct Settings {
    pub database: Database,
    pub http: Http,
    pub auth: Auth,
    pub jobs: Jobs,
    pub checkout: Checkout,
    pub stripe: Stripe,
    pub webhooks: Webhooks,
    pub tax: Tax,
    pub back_in_stock: BackInStock,
    pub carriers: Carriers,
    pub retention: Retention,
    pub log: Log,
}

/// `[database]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents every key, once")]
pub struct Database {
    pub url: String,
    pub connections: usize,
    pub queue: usize,
}

/// `[http]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents every key, once")]
pub struct Http {
    pub listen: String,
    pub workers: usize,
    pub public_url: String,
    pub body_limit: usize,
    pub request_timeout_seconds: u64,
    pub store_requests_per_minute: u32,
    pub ops_requests_per_minute: u32,
    pub integration_requests_per_minute: u32,
    pub lookup_requests_per_minute: u32,
    pub coupon_requests_per_minute: u32,
    pub vat_id_requests_per_minute: u32,
    pub back_in_stock_requests_per_minute: u32,
    pub trusted_proxies: String,
    pub shutdown_seconds: u64,
}

/// `[auth]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents every key, once")]
pub struct Auth {
    pub secret: String,
    pub previous_secrets: String,
    pub jwks_url: String,
    pub issuer: String,
    pub audience: String,
    pub customer_jwks_url: String,
    pub customer_issuer: String,
    pub development_tokens: bool,
}

/// `[jobs]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents every key, once")]
pub struct Jobs {
    pub in_serve: bool,
    pub workers: usize,
    pub lease_seconds: i64,
}

/// `[checkout]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents every key, once")]
pub struct Checkout {
    pub lease_seconds: i64,
}

/// `[stripe]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents every key, once")]
pub struct Stripe {
    pub secret_key: String,
    pub webhook_secret: String,
    pub url: String,
}

/// `[webhooks]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents every key, once")]
pub struct Webhooks {
    pub allow_private: bool,
    pub timeout_seconds: u64,
    pub workers: usize,
}

/// `[tax]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents every key, once")]
pub struct Tax {
    pub vat_registry_url: String,
    pub vat_registry_seconds: u64,
}

/// `[carriers]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents every key, once")]
pub struct Carriers {
    pub ask_after_days: i64,
}

/// `[back_in_stock]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents every key, once")]
pub struct BackInStock {
    pub expires_days: i64,
    pub told_percent: i64,
    pub wave_hours: i64,
}

/// `[retention]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents every key, once")]
pub struct Retention {
    pub events_days: i64,
    pub idempotency_days: i64,
    pub back_in_stock_days: i64,
    pub warehouse_days: i64,
}

/// `[log]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.default.toml documents every key, once")]
pub struct Log {
    pub format: String,
    pub filter: String,
}

impl Auth {
    /// The secrets that were used before.
    pub fn previous_secrets(&self) -> impl Iterator<Item = &str> {
        self.previous_secrets.split(',').map(str::trim).filter(|secret| !secret.is_empty())
    }

    fn check(&self) -> Result<(), &'static str> {
        let short = |secret: &str| secret.len() < SECRET_BYTES;
        if !self.secret.is_empty() && short(&self.secret) {
            return Err("auth.secret must have 32 bytes or more");
        }
        if self.secret.contains(',') {
            return Err("auth.secret must not hold a comma: it will stand in a list when it is renewed");
        }
        if self.previous_secrets().any(short) {
            return Err("auth.previous_secrets must have 32 bytes or more each");
        }
        let nameless = |keys: &str, issuer: &str| !keys.is_empty() && issuer.is_empty();
        if nameless(&self.jwks_url, &self.issuer) || nameless(&self.customer_jwks_url, &self.customer_issuer) {
            return Err("auth.jwks_url needs auth.issuer, and auth.customer_jwks_url needs auth.customer_issuer");
        }
        Ok(())
    }
}

const SECRET_BYTES: usize = 32;

/// An address or a network (`10.0.0.0/8`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether an address is in it.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let masked = |bits: u128, width: u8| bits.checked_shr(u32::from(width - self.prefix)).unwrap_or_default();
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                masked(own.to_bits().into(), 32) == masked(other.to_bits().into(), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => masked(own.to_bits(), 128) == masked(other.to_bits(), 128),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address = address.parse::<IpAddr>().map_err(drop)?.to_canonical();
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(width), |prefix| prefix.parse().map_err(drop))?;
        if prefix <= width { Ok(Self { address, prefix }) } else { Err(()) }
    }
}

impl Http {
    /// The proxies that are believed; `Err` for what is no address and no network.
    pub fn trusted_proxies(&self) -> impl Iterator<Item = Result<Network, ()>> {
        self.trusted_proxies.split(',').map(str::trim).filter(|proxy| !proxy.is_empty()).map(str::parse)
    }
}

impl Settings {
    /// The settings of a file (which may be missing) under the process's environment.
    ///
    /// # Errors
    /// When the file is not TOML, a key does not exist, or a value does not fit.
    pub fn load(file: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::internal(format!("{}: {error}", file.display()))),
        };
        Self::layered(&text, std::env::vars())
    }

    /// The defaults, for tests and tools.
    ///
    /// # Errors
    /// Never, as long as the embedded file is right; a test holds that.
    pub fn defaults() -> Result<Self> {
        Self::layered("", std::iter::empty())
    }

    fn layered(file: &str, environment: impl Iterator<Item = (String, String)>) -> Result<Self> {
        let wrong = |error: toml::de::Error| Error::internal(format!("configuration: {error}"));
        let mut table: Table = DEFAULTS.parse().map_err(wrong)?;
        let overrides: Table = file.parse().map_err(wrong)?;
        for (section, values) in overrides {
            let Some(known) = table.get_mut(&section).and_then(Value::as_table_mut) else {
                return Err(Error::internal(format!("configuration: there is no section [{section}]")));
            };
            let Value::Table(values) = values else {
                return Err(Error::internal(format!("configuration: [{section}] must be a section")));
            };
            for (key, value) in values {
                match known.get_mut(&key) {
                    Some(slot) => *slot = value,
                    None => return Err(Error::internal(format!("configuration: there is no key {section}.{key}"))),
                }
            }
        }
        for (name, value) in environment {
            apply_variable(&mut table, &name, &value)?;
        }
        let settings: Self = table.try_into().map_err(wrong)?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<()> {
        let wrong = |text: &str| Err(Error::internal(format!("configuration: {text}")));
        if let Err(text) = self.auth.check() {
            return wrong(text);
        }
        if self.http.trusted_proxies().any(|proxy| proxy.is_err()) {
            return wrong("http.trusted_proxies takes addresses and networks such as 10.0.0.0/8, separated by commas");
        }
        if self.database.connections == 0 || self.database.queue == 0 || self.jobs.workers == 0 {
            return wrong("database.connections, database.queue and jobs.workers must be at least 1");
        }
        if self.webhooks.workers == 0 {
            return wrong("webhooks.workers must be at least 1");
        }
        let registry = &self.tax.vat_registry_url;
        if !registry.is_empty() && !registry.starts_with("http://") && !registry.starts_with("https://") {
            return wrong("tax.vat_registry_url must be empty or begin with https://");
        }
        if !(1..=30).contains(&self.tax.vat_registry_seconds) {
            return wrong("tax.vat_registry_seconds must be from 1 to 30");
        }
        if !self.stripe.url.starts_with("http://") && !self.stripe.url.starts_with("https://") {
            return wrong("stripe.url must begin with https://");
        }
        if self.checkout.lease_seconds < 1 {
            return wrong("checkout.lease_seconds must be at least 1");
        }
        if !matches!(self.log.format.as_str(), "pretty" | "json") {
            return wrong("log.format must be `pretty` or `json`");
        }
        if self.http.listen.parse::<std::net::SocketAddr>().is_err() {
            return wrong("http.listen must be an address and a port such as 127.0.0.1:8080");
        }
        self.check_ranges().or_else(|text| wrong(&text))
    }

    /// What would be accepted as a number or a text, and would then do something odd.
    fn check_ranges(&self) -> Result<(), String> {
        let seconds = [
            ("jobs.lease_seconds", self.jobs.lease_seconds),
            ("http.request_timeout_seconds", i64::try_from(self.http.request_timeout_seconds).unwrap_or(i64::MAX)),
            ("webhooks.timeout_seconds", i64::try_from(self.webhooks.timeout_seconds).unwrap_or(i64::MAX)),
        ];
        if let Some((name, _)) = seconds.into_iter().find(|(_, value)| !(1..=86_400).contains(value)) {
            return Err(format!("{name} must be between 1 and 86400"));
        }
        if i64::try_from(self.webhooks.timeout_seconds).unwrap_or(i64::MAX) >= self.jobs.lease_seconds {
            let why = "an answer would come when the job is somebody else's";
            return Err(format!("webhooks.timeout_seconds must be less than jobs.lease_seconds: {why}"));
        }
        let days = [
            ("retention.events_days", self.retention.events_days, 0),
            ("retention.idempotency_days", self.retention.idempotency_days, 1),
            ("retention.back_in_stock_days", self.retention.back_in_stock_days, 1),
            ("retention.warehouse_days", self.retention.warehouse_days, 0),
            ("carriers.ask_after_days", self.carriers.ask_after_days, 0),
            ("back_in_stock.expires_days", self.back_in_stock.expires_days, 1),
            ("back_in_stock.told_percent", self.back_in_stock.told_percent, 1),
            ("back_in_stock.wave_hours", self.back_in_stock.wave_hours, 1),
        ];
        if let Some((name, _, least)) = days.into_iter().find(|(_, value, least)| !(*least..=36_500).contains(value)) {
            return Err(format!("{name} must be between {least} and 36500"));
        }
        if self.http.body_limit < 1024 {
            return Err("http.body_limit must be at least 1024".to_owned());
        }
        if self.database.url.trim().is_empty() {
            return Err("database.url must name a file or a PostgreSQL database".to_owned());
        }
        let addresses = [
            ("http.public_url", &self.http.public_url),
            ("auth.jwks_url", &self.auth.jwks_url),
            ("auth.customer_jwks_url", &self.auth.customer_jwks_url),
        ];
        match addresses.into_iter().find(|(_, address)| !address.is_empty() && !is_web_address(address)) {
            Some((name, _)) => Err(format!("{name} must be an address such as https://shop.example.com")),
            None => Ok(()),
        }
    }

    /// Refuses to guess the address that others reach this shop under, where the listen address does not tell it: links in
    /// mails and events begin with it.
    ///
    /// # Errors
    /// When `http.public_url` is needed and empty; the text says what to set.
    pub fn needs_public_url(&self, serves: bool) -> Result<()> {
        if serves && self.is_local() || !self.http.public_url.is_empty() {
            return Ok(());
        }
        let why = if serves { "this process listens for other machines" } else { "a worker listens nowhere" };
        Err(Error::internal(format!(
            "configuration: http.public_url must be set, for {why}: the address under which the shop is reached, such as \
             KONTOR_HTTP_PUBLIC_URL=https://shop.example.com"
        )))
    }

    /// Whether this machine alone reaches the server.
    fn is_local(&self) -> bool {
        let listens = self.http.listen.parse::<std::net::SocketAddr>();
        listens.is_ok_and(|address| address.ip().to_canonical().is_loopback())
    }

    /// Refuses to serve other machines with development tokens (HS256), unless that is said to be meant.
    ///
    /// # Errors
    /// When staff's and clients' tokens would be checked with the shared secret; the text says what to set.
    pub fn needs_key_set(&self) -> Result<()> {
        if self.is_local() || !self.auth.jwks_url.is_empty() || self.auth.development_tokens {
            return Ok(());
        }
        Err(Error::internal(
            "configuration: auth.jwks_url must be set, for this process listens for other machines: the address of your identity \
             provider's key set, such as KONTOR_AUTH_JWKS_URL=https://id.example.com/keys, with KONTOR_AUTH_ISSUER. Tokens that \
             `kontor token` makes (HS256) are for development; to take them all the same, where nobody else reaches this server, \
             set KONTOR_AUTH_DEVELOPMENT_TOKENS=true",
        ))
    }

    /// The settings in force as TOML, secrets masked.
    ///
    /// # Errors
    /// When they can not be written as TOML, which would be a defect.
    pub fn masked(&self) -> Result<String> {
        let mut shown = self.clone();
        let stripe = &mut shown.stripe;
        for secret in [
            &mut shown.auth.secret,
            &mut shown.auth.previous_secrets,
            &mut stripe.secret_key,
            &mut stripe.webhook_secret,
        ] {
            if !secret.is_empty() {
                "********".clone_into(secret);
            }
        }
        shown.database.url = masked_url(&shown.database.url);
        toml::to_string(&shown).map_err(Error::internal)
    }
}

/// A database's address without what opens it. PostgreSQL takes passwords among its parameters too.
fn masked_url(text: &str) -> String {
    const MASK: &str = "********";
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let place = match place.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:{MASK}@{host}"),
            None => place.to_owned(),
        },
        None => place.to_owned(),
    };
    let pair = |pair: &str| match pair.split_once('=') {
        // Whatever way the name is written: %70assword is one too.
        Some((name, _)) if name.contains('%') || name.to_ascii_lowercase().contains("pass") => format!("{name}={MASK}"),
        _ => pair.to_owned(),
    };
    let query = query.map(|query| query.split('&').map(pair).collect::<Vec<_>>().join("&"));
    format!("{scheme}://{place}{}", query.map(|query| format!("?{query}")).unwrap_or_default())
}

/// Applies `KONTOR_<SECTION>_<KEY>` and `DATABASE_URL`; other variables are not ours.
fn apply_variable(table: &mut Table, name: &str, value: &str) -> Result<()> {
    if name == "DATABASE_URL" {
        return set(table, "database", "url", value);
    }
    let Some(rest) = name.strip_prefix("KONTOR_") else { return Ok(()) };
    // These belong to the tests.
    if rest.starts_with("TEST_") || rest.starts_with("REQUIRE_") {
        return Ok(());
    }
    match rest.to_lowercase().split_once('_') {
        Some((section, key)) => set(table, section, key, value),
        None => Err(Error::internal(format!("configuration: {name} names no setting"))),
    }
}

fn set(table: &mut Table, section: &str, key: &str, value: &str) -> Result<()> {
    let wrong = |what: &str| Error::internal(format!("configuration: {section}.{key} from the environment {what}"));
    let slot = table.get_mut(section).and_then(Value::as_table_mut).and_then(|known| known.get_mut(key));
    let slot = slot.ok_or_else(|| wrong("is no setting"))?;
    *slot = match slot {
        Value::Integer(_) => Value::Integer(value.parse().map_err(|_| wrong("must be a whole number"))?),
        Value::Boolean(_) => Value::Boolean(value.parse().map_err(|_| wrong("must be true or false"))?),
        _ => Value::String(value.to_owned()),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn file_over_defaults_and_environment_over_file() {
        let file = "[http]\nlisten = \"127.0.0.1:9000\"\nworkers = 3\n";
        let variables = environment(&[("KONTOR_HTTP_WORKERS", "5"), ("DATABASE_URL", "other.db"), ("HOME", "/x")]);
        let settings = Settings::layered(file, variables.into_iter()).unwrap();
        assert_eq!(settings.http.listen, "127.0.0.1:9000");
        assert_eq!(settings.http.workers, 5);
        assert_eq!(settings.database.url, "other.db");
    }

    #[test]
    fn unknown_keys_are_named() {
        let from = |file: &str, pairs| Settings::layered(file, environment(pairs).into_iter()).unwrap_err().to_string();
        assert!(from("[http]\nlisen = \"x\"", &[]).contains("http.lisen"));
        assert!(from("[htp]\nlisten = \"x\"", &[]).contains("[htp]"));
        assert!(from("", &[("KONTOR_HTTP_LISEN", "x")]).contains("http.lisen"));
        assert!(from("", &[("KONTOR_AUTH_SECRET", "short")]).contains("auth.secret"));
    }

    #[test]
    fn secrets_are_masked() {
        let variables = environment(&[
            ("DATABASE_URL", "postgres://me:hunter2@localhost/kontor"),
            ("KONTOR_AUTH_SECRET", "0123456789abcdef0123456789abcdef"),
            ("KONTOR_AUTH_PREVIOUS_SECRETS", "fedcba9876543210fedcba9876543210"),
        ]);
        let shown = Settings::layered("", variables.into_iter()).unwrap().masked().unwrap();
        let told = ["hunter2", "0123456789abcdef", "fedcba9876543210"].iter().any(|secret| shown.contains(secret));
        assert!(!told && shown.contains("********"));
    }

    #[test]
    fn what_would_weaken_the_doors_is_refused_at_the_start() {
        let refused = |name: &str, value: &str| {
            Settings::layered("", environment(&[(name, value)]).into_iter()).unwrap_err().to_string()
        };
        let long = "0123456789abcdef0123456789abcdef";
        assert!(refused("KONTOR_AUTH_PREVIOUS_SECRETS", &format!("{long}, short")).contains("auth.previous_secrets"));
        assert!(refused("KONTOR_AUTH_SECRET", &format!("{long},{long}")).contains("comma"));
        assert!(refused("KONTOR_AUTH_JWKS_URL", "https://id.example.org/keys").contains("auth.issuer"));
        assert!(
            refused("KONTOR_AUTH_CUSTOMER_JWKS_URL", "https://id.example.org/keys").contains("auth.customer_issuer")
        );
        for wrong in ["10.0.0", "10.0.0.0/33", "proxy.local", "10.0.0.1;10.0.0.2"] {
            assert!(refused("KONTOR_HTTP_TRUSTED_PROXIES", wrong).contains("http.trusted_proxies"), "{wrong}");
        }
    }

    #[test]
    fn networks_hold_their_addresses() {
        let holds = |network: &str, address: &str| network.parse::<Network>().unwrap().holds(address.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.200.3.4") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("10.0.0.1", "10.0.0.1") && !holds("10.0.0.1", "10.0.0.2"));
        assert!(holds("10.0.0.1", "::ffff:10.0.0.1") && holds("::ffff:10.0.0.1", "10.0.0.1"));
        assert!(holds("fd00::/8", "fdff::1") && !holds("fd00::/8", "2001:db8::1") && !holds("fd00::/8", "10.0.0.1"));
        assert!(holds("0.0.0.0/0", "203.0.113.9") && !holds("0.0.0.0/0", "2001:db8::1"));
    }

    #[test]
    fn passwords_are_masked_wherever_they_stand() {
        for (url, shown) in [
            (
                "postgres://me:hunter2@host:5433/shop?sslmode=disable",
                "postgres://me:********@host:5433/shop?sslmode=disable",
            ),
            ("postgres://me@host/shop?password=hunter2&a=b", "postgres://me@host/shop?password=********&a=b"),
            ("postgres:///shop?%70assword=hunter2", "postgres:///shop?%70assword=********"),
            ("postgres://me:hunter@2@a,b:1/shop", "postgres://me:********@a,b:1/shop"),
            ("kontor.db", "kontor.db"),
        ] {
            assert_eq!(masked_url(url), shown);
        }
    }

    #[test]
    fn what_would_do_something_odd_is_refused_at_the_start() {
        let refused = |name: &str, value: &str| {
            Settings::layered("", environment(&[(name, value)]).into_iter()).unwrap_err().to_string()
        };
        for (name, value, key) in [
            ("KONTOR_JOBS_LEASE_SECONDS", "0", "jobs.lease_seconds"),
            ("KONTOR_JOBS_LEASE_SECONDS", "-5", "jobs.lease_seconds"),
            ("KONTOR_HTTP_REQUEST_TIMEOUT_SECONDS", "0", "http.request_timeout_seconds"),
            ("KONTOR_WEBHOOKS_TIMEOUT_SECONDS", "0", "webhooks.timeout_seconds"),
            ("KONTOR_RETENTION_EVENTS_DAYS", "-1", "retention.events_days"),
            ("KONTOR_RETENTION_IDEMPOTENCY_DAYS", "0", "retention.idempotency_days"),
            ("KONTOR_HTTP_BODY_LIMIT", "0", "http.body_limit"),
            ("KONTOR_HTTP_PUBLIC_URL", "shop.example.com", "http.public_url"),
            ("KONTOR_AUTH_JWKS_URL", "file:///etc/keys", "auth."),
            ("DATABASE_URL", " ", "database.url"),
        ] {
            assert!(refused(name, value).contains(key), "{name}={value}");
        }
    }

    #[test]
    fn development_tokens_open_no_server_that_others_reach_unless_that_is_said() {
        let settings = |pairs: &[(&str, &str)]| Settings::layered("", environment(pairs).into_iter()).unwrap();
        let listen = |address| ("KONTOR_HTTP_LISTEN", address);
        for local in ["127.0.0.1:8080", "127.8.0.1:0", "[::1]:8080", "[::ffff:127.0.0.1]:8080"] {
            assert!(settings(&[listen(local)]).needs_key_set().is_ok(), "{local}");
        }
        let keys = ("KONTOR_AUTH_JWKS_URL", "https://id.example.com/keys");
        let (issuer, customers) =
            (("KONTOR_AUTH_ISSUER", "id"), ("KONTOR_AUTH_CUSTOMER_JWKS_URL", "https://c.example.com/keys"));
        for open in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:80", "[2001:db8::1]:443"] {
            let refused = settings(&[listen(open)]).needs_key_set().unwrap_err().to_string();
            assert!(
                refused.contains("KONTOR_AUTH_JWKS_URL=") && refused.contains("KONTOR_AUTH_DEVELOPMENT_TOKENS"),
                "{refused}"
            );
            assert!(settings(&[listen(open), keys, issuer]).needs_key_set().is_ok());
            // Keys for customers alone say nothing of staff.
            let shop = [listen(open), customers, ("KONTOR_AUTH_CUSTOMER_ISSUER", "c")];
            assert!(settings(&shop).needs_key_set().is_err());
            assert!(settings(&[listen(open), ("KONTOR_AUTH_DEVELOPMENT_TOKENS", "true")]).needs_key_set().is_ok());
        }
    }

    #[test]
    fn the_public_address_is_asked_for_where_it_can_not_be_known() {
        let settings = |pairs: &[(&str, &str)]| Settings::layered("", environment(pairs).into_iter()).unwrap();
        let public = ("KONTOR_HTTP_PUBLIC_URL", "https://shop.example.com");
        for local in ["127.0.0.1:0", "[::1]:8080"] {
            assert!(settings(&[("KONTOR_HTTP_LISTEN", local)]).needs_public_url(true).is_ok());
        }
        let open = ("KONTOR_HTTP_LISTEN", "0.0.0.0:8080");
        assert!(settings(&[open]).needs_public_url(true).unwrap_err().to_string().contains("KONTOR_HTTP_PUBLIC_URL="));
        assert!(settings(&[open, public]).needs_public_url(true).is_ok());
        assert!(settings(&[]).needs_public_url(false).is_err() && settings(&[public]).needs_public_url(false).is_ok());
    }
}
