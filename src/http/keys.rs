//! The key set of an identity provider (RFC 7517): fetched when it is needed, kept, and not asked for more than that.

use std::{
    str::FromStr,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde::Deserialize;

use crate::{
    error::{Code, Error, Result},
    kernel::Instant,
};

/// So old a key set may be without another look.
const FRESH_SECONDS: i64 = 300;
/// So old it may be when its provider does not answer.
const STALE_SECONDS: i64 = 3600;
/// A key that is not known is asked for no more often than this, however many tokens name one.
const ASK_SECONDS: i64 = 60;
/// A provider that has not answered at all yet is asked again after this.
const RETRY_SECONDS: i64 = 5;
/// For so long the provider may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What tokens may be signed with.
const ALLOWED: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// A key with the one algorithm that it is for.
#[derive(Clone)]
pub(super) struct Key {
    id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

#[derive(Default)]
struct Known {
    keys: Vec<Key>,
    fetched: Option<Instant>,
    asked: Option<Instant>,
}

/// The keys of an identity provider.
pub(super) struct KeySet {
    url: String,
    known: RwLock<Known>,
    asking: tokio::sync::Mutex<()>,
}

/// A document that lists keys. One that is not understood does not spoil the others.
#[derive(Deserialize)]
struct Listed {
    keys: Vec<serde_json::Value>,
}

fn unknown() -> Error {
    Error::problem(Code::Unauthenticated, "the token's key is not known")
}

fn no_answer() -> Error {
    Error::problem(Code::Unavailable, "the identity provider does not answer").retry_after(5)
}

/// Whether so many seconds have gone since, or the clock has been set back.
fn is_past(since: Option<Instant>, now: Instant, seconds: i64) -> bool {
    since.is_none_or(|since| !(0..seconds).contains(&now.seconds_since(since)))
}

impl KeySet {
    pub(super) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), known: RwLock::default(), asking: tokio::sync::Mutex::default() }
    }

    /// The key that a token was signed with by what its header says. The provider is asked where the key is not known or
    /// has not been looked at for long; of many requests that need that, one asks.
    ///
    /// # Errors
    /// `unauthenticated` for a key that the provider does not list; `unavailable` when it has not told us any.
    pub(super) async fn key(
        &self,
        client: &reqwest::Client,
        (id, algorithm): (Option<&str>, Algorithm),
        now: Instant,
    ) -> Result<Key> {
        if let Some(found) = self.find(id, algorithm, now, FRESH_SECONDS) {
            return found;
        }
        let _one = match self.asking.try_lock() {
            Ok(guard) => guard,
            Err(_) => {
                // Somebody is asking: what is known is good enough meanwhile.
                if let Some(found) = self.find(id, algorithm, now, STALE_SECONDS) {
                    return found;
                }
                self.asking.lock().await
            }
        };
        if let Some(found) = self.find(id, algorithm, now, FRESH_SECONDS) {
            return found;
        }
        if self.may_ask(now) {
            self.ask(client, now).await;
        }
        if let Some(found) = self.find(id, algorithm, now, STALE_SECONDS) {
            return found;
        }
        Err(if self.is_known(now) { unknown() } else { no_answer() })
    }

    /// The key among those fetched within so many seconds; `None` when it is not among them.
    fn find(&self, id: Option<&str>, algorithm: Algorithm, now: Instant, seconds: i64) -> Option<Result<Key>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if is_past(known.fetched, now, seconds) {
            return None;
        }
        let named = || known.keys.iter().filter(|key| id.is_none() || key.id.as_deref() == id);
        let refused = || Error::problem(Code::Unauthenticated, "the token's algorithm is not that of its key");
        match named().find(|key| key.algorithm == algorithm) {
            Some(key) => Some(Ok(key.clone())),
            None => named().next().map(|_| Err(refused())),
        }
    }

    fn is_known(&self, now: Instant) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        !is_past(known.fetched, now, STALE_SECONDS)
    }

    fn may_ask(&self, now: Instant) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        is_past(known.asked, now, if known.fetched.is_some() { ASK_SECONDS } else { RETRY_SECONDS })
    }

    async fn ask(&self, client: &reqwest::Client, now: Instant) {
        // Noted before the answer is there: a provider that does not answer is not asked more often for that.
        self.known.write().unwrap_or_else(PoisonError::into_inner).asked = Some(now);
        match fetch(client, &self.url).await {
            Ok(keys) => {
                let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                (known.keys, known.fetched) = (keys, Some(now));
            }
            Err(error) => tracing::error!(%error, url = self.url, "the key set can not be fetched"),
        }
    }
}

async fn fetch(client: &reqwest::Client, url: &str) -> reqwest::Result<Vec<Key>> {
    let answer = client.get(url).timeout(PATIENCE).send().await?.error_for_status()?;
    let listed: Listed = answer.json().await?;
    Ok(listed.keys.into_iter().filter_map(|key| usable(&serde_json::from_value(key).ok()?)).collect())
}

/// A listed key that tokens may be signed with; secrets, keys for encryption and other algorithms are none.
fn usable(jwk: &Jwk) -> Option<Key> {
    if matches!(&jwk.common.public_key_use, Some(usage) if *usage != PublicKeyUse::Signature) {
        return None;
    }
    let of_kind = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return None,
    };
    let algorithm = match &jwk.common.key_algorithm {
        Some(named) => Algorithm::from_str(&named.to_string()).ok()?,
        None => of_kind,
    };
    let key = DecodingKey::from_jwk(jwk).ok()?;
    (ALLOWED.contains(&algorithm) && algorithm == of_kind).then(|| Key {
        id: jwk.common.key_id.clone(),
        algorithm,
        key,
    })
}
