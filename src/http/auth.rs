//! Who is asking: publishable keys, cart tokens, JWTs (RFC 7519), API keys.
//!
//! | surface | credential |
//! |---|---|
//! | `/v1/store` | `Channel-Key`, and `Cart-Token` for a guest or a customer's JWT as `Authorization: Bearer` |
//! | `/v1/ops` | a staff JWT as `Authorization: Bearer` |
//! | `/v1/integration` | an API key or a client's JWT as `Authorization: Bearer` |

use std::{
    str::FromStr,
    sync::{PoisonError, RwLock},
    time::{Duration, Instant as Moment},
};

use actix_web::HttpRequest;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, JwkSet},
};
use serde::{Deserialize, Serialize};

use super::{credentials::Credentials, seal::Secret, state::State};
use crate::{
    config,
    error::{Code, Error, Result},
    kernel::{
        Actor, Id, Instant, Scope,
        actor::{Identity, Principal, Shopper},
    },
};

/// The issuer of the tokens that `kontor token` makes.
pub const OWN_ISSUER: &str = "kontor";

crate::words! {
    /// Whose token it is: a token of one surface is refused on the others.
    pub enum Audience {
        /// Operations staff.
        Staff = "staff",
        /// A machine client.
        Client = "client",
        /// A customer of the shop.
        Customer = "customer",
    }
}

/// The claims of a token. Those of an identity provider need `sub`, `exp`, `aud` and `scope`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// Issuer.
    #[serde(default)]
    pub iss: String,
    /// Subject.
    pub sub: String,
    /// Audience; checked against the settings.
    pub aud: serde_json::Value,
    /// Expiry, seconds since 1970.
    pub exp: i64,
    /// Whose token it is, where the issuer says so.
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Audience>,
    /// Scopes, separated by spaces (RFC 8693).
    #[serde(default)]
    pub scope: String,
    /// Channels it is limited to, as ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<Id<crate::kernel::ids::Channel>>>,
    /// Locations it is limited to, as ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locations: Option<Vec<Id<crate::kernel::ids::Location>>>,
    /// The most it may refund or cancel at once, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money_ceiling: Option<i64>,
    /// E-mail address (OpenID Connect).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the issuer has verified it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
}

/// Checks tokens.
pub struct Verifier {
    audience: String,
    own: DecodingKey,
    own_signing: EncodingKey,
    staff: Issuer,
    customer: Issuer,
}

/// An identity provider, or our own development tokens where there is none.
struct Issuer {
    jwks_url: String,
    issuer: String,
    keys: RwLock<Option<(Moment, JwkSet)>>,
}

const JWKS_FRESH: Duration = Duration::from_secs(300);

impl Verifier {
    pub(super) fn new(settings: &config::Auth, secret: &Secret) -> Result<Self> {
        let key = secret.key("jwt");
        let or = |first: &str, second: &str| if first.is_empty() { second.to_owned() } else { first.to_owned() };
        let issuer = |jwks_url: String, issuer: String| Issuer { jwks_url, issuer, keys: RwLock::new(None) };
        Ok(Self {
            audience: settings.audience.clone(),
            own: DecodingKey::from_secret(&key),
            own_signing: EncodingKey::from_secret(&key),
            staff: issuer(settings.jwks_url.clone(), settings.issuer.clone()),
            customer: issuer(
                or(&settings.customer_jwks_url, &settings.jwks_url),
                or(&settings.customer_issuer, &settings.issuer),
            ),
        })
    }

    /// Makes a development token (HS256).
    ///
    /// # Errors
    /// When an identity provider is configured: then tokens are its business.
    pub fn issue(&self, mut claims: Claims) -> Result<String> {
        let issuer = if claims.usage == Some(Audience::Customer) { &self.customer } else { &self.staff };
        if !issuer.jwks_url.is_empty() {
            return Err(Error::internal("auth.jwks_url is set: get tokens from your identity provider"));
        }
        claims.iss = if issuer.issuer.is_empty() { OWN_ISSUER.to_owned() } else { issuer.issuer.clone() };
        claims.aud = serde_json::Value::String(self.audience.clone());
        encode(&Header::new(Algorithm::HS256), &claims, &self.own_signing).map_err(Error::internal)
    }

    /// The claims of a token that is in order and meant for this surface.
    async fn verify(&self, client: &reqwest::Client, token: &str, usage: Audience, now: Instant) -> Result<Claims> {
        let wrong = |text: &str| Error::problem(Code::Unauthenticated, text.to_owned());
        let issuer = if usage == Audience::Customer { &self.customer } else { &self.staff };
        let header = decode_header(token).map_err(|_| wrong("the token is no JWT"))?;
        let (key, algorithm) = if issuer.jwks_url.is_empty() {
            (self.own.clone(), Algorithm::HS256)
        } else {
            issuer.key(client, header.kid.as_deref()).await?
        };
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[&self.audience]);
        validation.set_issuer(&[if issuer.issuer.is_empty() { OWN_ISSUER } else { &issuer.issuer }]);
        validation.set_required_spec_claims(&["exp", "sub", "aud", "iss"]);
        // The clock that decides about expiry is ours, so that tests can turn it.
        validation.validate_exp = false;
        validation.validate_nbf = true;
        let claims = decode::<Claims>(token, &key, &validation).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => wrong("the token's signature is wrong"),
            ErrorKind::InvalidAudience | ErrorKind::InvalidIssuer => wrong("the token is not meant for this server"),
            _ => wrong("the token is not valid"),
        })?;
        let claims = claims.claims;
        if claims.exp <= now.micros() / 1_000_000 {
            return Err(Error::problem(Code::TokenExpired, "the token has expired"));
        }
        if claims.usage.is_some_and(|found| found != usage) {
            return Err(wrong("the token is meant for another surface"));
        }
        Ok(claims)
    }
}

impl Issuer {
    /// The key that a token names, fetched again when it is not known.
    async fn key(&self, client: &reqwest::Client, kid: Option<&str>) -> Result<(DecodingKey, Algorithm)> {
        if let Some(found) = self.known(kid, JWKS_FRESH)? {
            return Ok(found);
        }
        let cannot = |error: reqwest::Error| {
            tracing::error!(%error, url = self.jwks_url, "the key set can not be fetched");
            Error::problem(Code::Unavailable, "the identity provider does not answer").retry_after(5)
        };
        let fetched: JwkSet = client
            .get(&self.jwks_url)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(cannot)?
            .json()
            .await
            .map_err(cannot)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some((Moment::now(), fetched));
        let unknown = || Error::problem(Code::Unauthenticated, "the token's key is not known");
        self.known(kid, JWKS_FRESH)?.ok_or_else(unknown)
    }

    fn known(&self, kid: Option<&str>, fresh: Duration) -> Result<Option<(DecodingKey, Algorithm)>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let Some((fetched, set)) = keys.as_ref().filter(|(fetched, _)| fetched.elapsed() < fresh) else {
            return Ok(None);
        };
        let key = match kid {
            Some(kid) => set.find(kid),
            None => set.keys.first(),
        };
        // An unknown key id is looked up again, though not more often than every ten seconds.
        let Some(key) = key else {
            let just_now = fetched.elapsed() < Duration::from_secs(10);
            let unknown = || Error::problem(Code::Unauthenticated, "the token's key is not known");
            return if just_now { Err(unknown()) } else { Ok(None) };
        };
        let algorithm = match (&key.common.key_algorithm, &key.algorithm) {
            (Some(named), _) => Algorithm::from_str(&named.to_string()).ok(),
            (None, AlgorithmParameters::RSA(_)) => Some(Algorithm::RS256),
            (None, AlgorithmParameters::EllipticCurve(_)) => Some(Algorithm::ES256),
            (None, AlgorithmParameters::OctetKeyPair(_)) => Some(Algorithm::EdDSA),
            _ => None,
        };
        let allowed = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
        let refused = || Error::problem(Code::Unauthenticated, "the token's algorithm is not allowed");
        let algorithm = algorithm.filter(|algorithm| allowed.contains(algorithm)).ok_or_else(refused)?;
        let key = DecodingKey::from_jwk(key).map_err(|_| refused())?;
        Ok(Some((key, algorithm)))
    }
}

/// Finds out who sent a request.
pub(super) async fn authenticate(state: &State, request: &HttpRequest, now: Instant) -> Result<Actor> {
    let path = request.path();
    let credentials = state.db.snapshot::<Credentials>().await?;
    let bearer = bearer(request);
    if path.starts_with("/v1/store") {
        let key = header(request, "Channel-Key");
        let missing = || Error::problem(Code::ChannelKeyInvalid, "send the channel's publishable key as Channel-Key");
        let channel = key.and_then(|key| credentials.channel_of(key)).ok_or_else(missing)?;
        let identity = match bearer {
            Some(token) => Some(identity(state.verifier.verify(&state.client, token, Audience::Customer, now).await?)),
            None => None,
        };
        let cart_token = header(request, "Cart-Token").map(str::to_owned);
        return Ok(Actor::Shopper(Shopper { channel, identity, cart_token }));
    }
    let missing = || Error::problem(Code::Unauthenticated, "send a token as Authorization: Bearer");
    let token = bearer.ok_or_else(missing)?;
    if path.starts_with("/v1/integration") {
        if token.starts_with(super::credentials::API_KEY_PREFIX) {
            let unknown = || Error::problem(Code::Unauthenticated, "the API key is not valid");
            return Ok(Actor::Client(credentials.principal_of(token).ok_or_else(unknown)?));
        }
        let claims = state.verifier.verify(&state.client, token, Audience::Client, now).await?;
        return Ok(Actor::Client(principal(claims)));
    }
    let claims = state.verifier.verify(&state.client, token, Audience::Staff, now).await?;
    Ok(Actor::Staff(principal(claims)))
}

fn header<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let (scheme, token) = header(request, "Authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn identity(claims: Claims) -> Identity {
    let verified_email = claims.email.filter(|_| claims.email_verified == Some(true));
    Identity { issuer: claims.iss, subject: claims.sub, verified_email }
}

fn principal(claims: Claims) -> Principal {
    Principal {
        subject: claims.sub,
        credential: None,
        // A scope that this version does not know gives nothing.
        scopes: claims.scope.split_whitespace().filter_map(|scope| Scope::from_str(scope).ok()).collect(),
        channels: claims.channels,
        locations: claims.locations,
        money_ceiling: claims.money_ceiling,
    }
}
