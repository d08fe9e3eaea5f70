//! Who is asking: publishable keys, cart tokens, JWTs (RFC 7519), API keys.
//!
//! | surface | credential |
//! |---|---|
//! | `/v1/store` | `Channel-Key`, and `Cart-Token` for a guest or a customer's JWT as `Authorization: Bearer` |
//! | `/v1/ops` | a staff JWT as `Authorization: Bearer` |
//! | `/v1/integration` | an API key or a client's JWT as `Authorization: Bearer` |

use std::{rc::Rc, str::FromStr, sync::Arc};

use actix_web::{
    HttpMessage, HttpRequest,
    http::{Method, header::AUTHORIZATION},
    web,
};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode, errors::ErrorKind,
};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::{
    credentials::Credentials,
    keys::KeySet,
    openapi::Surface,
    seal::{self, Secret},
    state::State,
};
use crate::{
    config,
    error::{Code, Error, Result},
    kernel::{
        Actor, Id, Instant, Scope,
        actor::{Identity, Principal, Shopper},
        ids::CartId,
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

/// The claims of a token. Those of an identity provider need `iss`, `sub`, `exp`, `aud` and `scope`; and `use`, where it
/// signs both customers' and staff's.
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
    /// Not to be taken before, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
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
    own: Vec<DecodingKey>,
    own_signing: EncodingKey,
    staff: Issuer,
    customer: Issuer,
}

/// An identity provider, or our own development tokens where there is none.
struct Issuer {
    name: String,
    keys: Option<Arc<KeySet>>,
}

/// How far another machine's clock may be ahead of ours.
const SKEW_SECONDS: i64 = 60;

fn wrong(text: &str) -> Error {
    Error::problem(Code::Unauthenticated, text.to_owned())
}

impl Verifier {
    pub(super) fn new(settings: &config::Auth, secret: &Secret) -> Self {
        let keys = |url: &str| (!url.is_empty()).then(|| Arc::new(KeySet::new(url)));
        let name = |name: &str| if name.is_empty() { OWN_ISSUER.to_owned() } else { name.to_owned() };
        let staff = Issuer { name: name(&settings.issuer), keys: keys(&settings.jwks_url) };
        let customer = Issuer {
            name: if settings.customer_issuer.is_empty() {
                staff.name.clone()
            } else {
                settings.customer_issuer.clone()
            },
            keys: keys(&settings.customer_jwks_url).or_else(|| staff.keys.clone()),
        };
        Self {
            audience: settings.audience.clone(),
            own: secret.keys("jwt").iter().map(|key| DecodingKey::from_secret(key)).collect(),
            own_signing: EncodingKey::from_secret(&secret.key("jwt")),
            staff,
            customer,
        }
    }

    /// Makes a development token (HS256).
    ///
    /// # Errors
    /// When an identity provider is configured: then tokens are its business.
    pub fn issue(&self, mut claims: Claims) -> Result<String> {
        let issuer = if claims.usage == Some(Audience::Customer) { &self.customer } else { &self.staff };
        if issuer.keys.is_some() {
            return Err(Error::internal("auth.jwks_url is set: get tokens from your identity provider"));
        }
        claims.iss.clone_from(&issuer.name);
        claims.aud = serde_json::Value::String(self.audience.clone());
        encode(&Header::new(Algorithm::HS256), &claims, &self.own_signing).map_err(Error::internal)
    }

    /// The claims of a token that is in order and meant for this surface.
    async fn verify(&self, client: &reqwest::Client, token: &str, usage: Audience, now: Instant) -> Result<Claims> {
        let issuer = if usage == Audience::Customer { &self.customer } else { &self.staff };
        let header = decode_header(token).map_err(|_| wrong("the token is no JWT"))?;
        if header.crit.is_some() {
            return Err(wrong("the token demands an extension that is not known here"));
        }
        let claims = match &issuer.keys {
            Some(keys) => {
                let key = keys.key(client, (header.kid.as_deref(), header.alg), now).await?;
                self.read(issuer, token, std::slice::from_ref(&key.key), key.algorithm)?
            }
            None => self.read(issuer, token, &self.own, Algorithm::HS256)?,
        };
        let seconds = now.micros() / 1_000_000;
        if claims.exp <= seconds {
            return Err(Error::problem(Code::TokenExpired, "the token has expired"));
        }
        if claims.nbf.is_some_and(|from| from > seconds.saturating_add(SKEW_SECONDS)) {
            return Err(wrong("the token is not valid yet"));
        }
        self.check_usage(claims.usage, usage)?;
        Ok(claims)
    }

    /// The claims of a token that one of these keys has signed for us.
    fn read(&self, issuer: &Issuer, token: &str, keys: &[DecodingKey], algorithm: Algorithm) -> Result<Claims> {
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[&self.audience]);
        validation.set_issuer(&[&issuer.name]);
        validation.set_required_spec_claims(&["exp", "sub", "aud", "iss"]);
        // The clock that decides about times is ours, so that tests can turn it.
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        for key in keys {
            match decode::<Claims>(token, key, &validation) {
                Ok(found) if found.claims.sub.is_empty() => return Err(wrong("the token names nobody")),
                Ok(found) => return Ok(found.claims),
                Err(error) => match error.kind() {
                    ErrorKind::InvalidSignature => {}
                    ErrorKind::InvalidAudience | ErrorKind::InvalidIssuer => {
                        return Err(wrong("the token is not meant for this server"));
                    }
                    _ => return Err(wrong("the token is not valid")),
                },
            }
        }
        Err(wrong("the token's signature is wrong"))
    }

    /// A token of one surface is refused on the others. Where one issuer signs customers' and staff's tokens, each has to
    /// say whose it is; else a customer's would pass for one of staff.
    fn check_usage(&self, said: Option<Audience>, usage: Audience) -> Result<()> {
        match said {
            Some(said) if said == usage => Ok(()),
            Some(_) => Err(wrong("the token is meant for another surface")),
            None if self.staff.name == self.customer.name => {
                Err(wrong("the token does not say whose it is: it needs the claim `use`"))
            }
            None => Ok(()),
        }
    }
}

/// Who sent a request, and when it came.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub actor: Actor,
    pub now: Instant,
}

/// The scope that an operation needs, by its method and the pattern of its path; `None` where it says nothing of any. The
/// slices' handlers ask for it themselves: this is so that nobody who lacks it is told what else is wrong.
#[derive(Clone, Copy)]
pub struct Needs(pub fn(&str, &str) -> Option<Scope>);

fn refuse_without_scope(request: &HttpRequest, actor: &Actor) -> Result<()> {
    let (Actor::Staff(_) | Actor::Client(_)) = actor else { return Ok(()) };
    let Some(Needs(needs)) = request.app_data::<web::Data<Needs>>().map(|needs| ***needs) else { return Ok(()) };
    // What answers GET answers HEAD.
    let method = if request.method() == Method::HEAD { "GET" } else { request.method().as_str() };
    match request.match_pattern().and_then(|path| needs(method, &path)) {
        Some(scope) => require(actor, scope),
        None => Ok(()),
    }
}

/// That somebody holds a scope.
///
/// # Errors
/// `scope_missing` otherwise.
pub(super) fn require(actor: &Actor, scope: Scope) -> Result<()> {
    if actor.holds(scope) {
        return Ok(());
    }
    Err(Error::problem(Code::ScopeMissing, format!("this needs the scope `{scope}`")).with("scope", scope.as_str()))
}

/// Finds out who sent a request, once however many of its parts ask: nothing of it is read, and it counts against no
/// limit twice, before that is known.
pub(super) async fn caller(request: &HttpRequest) -> Result<(State, Caller)> {
    let state = request.app_data::<web::Data<State>>().ok_or_else(|| Error::internal("no state"))?;
    let state = state.get_ref().clone();
    let known = request.extensions().get::<Rc<OnceCell<Caller>>>().cloned();
    let cell = known.unwrap_or_else(|| {
        let cell: Rc<OnceCell<Caller>> = Rc::default();
        request.extensions_mut().insert(cell.clone());
        cell
    });
    let find = || async {
        let now = state.clock.now();
        let actor = authenticate(&state, request, now).await?;
        state.limits.check(&state.secret, &actor, request)?;
        refuse_without_scope(request, &actor)?;
        Ok::<_, Error>(Caller { actor, now })
    };
    let caller = cell.get_or_try_init(find).await?.clone();
    Ok((state, caller))
}

/// The guest's cart that a request is about, when its token is the right one.
pub(super) fn proven_cart(secret: &Secret, shopper: &Shopper, request: &HttpRequest) -> Option<CartId> {
    let token = shopper.cart_token.as_deref()?;
    let cart: CartId = request.match_info().get("id")?.parse().ok()?;
    secret.is_token(seal::CART, &cart.to_string(), token).then_some(cart)
}

async fn authenticate(state: &State, request: &HttpRequest, now: Instant) -> Result<Actor> {
    // By the route that was found, not by the path as it was written: that may be percent-encoded.
    let surface = request.match_pattern().and_then(|route| Surface::of(&route));
    let surface = surface.ok_or_else(|| Error::internal("a route of no surface"))?;
    let credentials = state.db.snapshot::<Credentials>().await?;
    let bearer = bearer(request)?;
    if surface == Surface::Store {
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
    if surface == Surface::Ops {
        let claims = state.verifier.verify(&state.client, token, Audience::Staff, now).await?;
        return Ok(Actor::Staff(principal(claims)));
    }
    if token.starts_with(super::credentials::API_KEY_PREFIX) {
        let unknown = || Error::problem(Code::Unauthenticated, "the API key is not valid");
        return Ok(Actor::Client(credentials.principal_of(token).ok_or_else(unknown)?));
    }
    let claims = state.verifier.verify(&state.client, token, Audience::Client, now).await?;
    Ok(Actor::Client(principal(claims)))
}

fn header<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

/// The token that was sent. Whoever sends another credential, or half of one, is not taken for somebody without.
fn bearer(request: &HttpRequest) -> Result<Option<&str>> {
    let Some(sent) = request.headers().get(AUTHORIZATION) else { return Ok(None) };
    let bearer = sent.to_str().ok().and_then(|sent| sent.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let token = bearer.filter(|token| !token.is_empty());
    token.map(Some).ok_or_else(|| wrong("send the token as Authorization: Bearer, or no Authorization at all"))
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
        countersigned: false,
        key: None,
    }
}
