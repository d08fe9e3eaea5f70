//! A request as handlers see it: who asks, when, with which key; and the answer.

use std::{future::Future, pin::Pin};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse, Responder, body::BoxBody, dev::Payload, http::StatusCode,
};
use serde::Serialize;

use super::{
    auth::{self, Caller},
    idempotency::{Begun, Fingerprint, Kept, Key},
    paging::{Page, next_link},
    state::State,
    table,
};
use crate::{
    db::{Lane, Snapshot, Tx},
    error::{Code, Error, Result},
    kernel::{Actor, Instant, Scope, actor::Shopper},
};

/// A request: authenticated, with the time at which it came.
#[derive(Clone)]
pub struct Call {
    /// What the process shares.
    pub state: State,
    /// Who asks.
    pub actor: Actor,
    /// When.
    pub now: Instant,
    request: HttpRequest,
}

/// What a request is called; the server puts it into the request before it is routed.
#[derive(Debug, Clone)]
pub(super) struct RequestName(pub String);

impl FromRequest for Call {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let (state, Caller { actor, now }) = auth::caller(&request).await?;
            let key = request.headers().get("Idempotency-Key").and_then(|key| key.to_str().ok());
            // A longer one is refused where it is heeded.
            let actor = actor.with_request_key(key.filter(|key| key.len() <= 255));
            Ok(Self { state, actor, now, request })
        })
    }
}

impl Call {
    /// The actor, when they hold a scope.
    ///
    /// # Errors
    /// `scope_missing` otherwise.
    pub fn allow(&self, scope: Scope) -> Result<&Actor> {
        auth::require(&self.actor, scope).map(|()| &self.actor)
    }

    /// Who asks at a storefront: on the store surface there is nobody else.
    ///
    /// # Errors
    /// Elsewhere, which would be a defect.
    pub fn shopper(&self) -> Result<&Shopper> {
        match &self.actor {
            Actor::Shopper(shopper) => Ok(shopper),
            _ => Err(Error::internal("not a shopper")),
        }
    }

    /// The actor, when they hold a scope and are limited to no channels: for what all channels have in common.
    ///
    /// # Errors
    /// `scope_missing` otherwise.
    pub fn allow_everywhere(&self, scope: Scope) -> Result<&Actor> {
        let actor = self.allow(scope)?;
        if actor.channels().is_none() {
            return Ok(actor);
        }
        let detail = "this is for all channels, and the credential is limited to some";
        Err(Error::problem(Code::ScopeMissing, detail))
    }

    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// What the request is called in logs and in `X-Request-Id`.
    #[must_use]
    pub fn request_id(&self) -> Option<String> {
        self.request.extensions().get::<RequestName>().map(|name| name.0.clone())
    }

    /// The request itself, for what has no method here.
    #[must_use]
    pub const fn request(&self) -> &HttpRequest {
        &self.request
    }

    /// The version that `If-Match` names.
    ///
    /// # Errors
    /// When the header is there and is no entity tag of ours.
    pub fn if_match(&self) -> Result<Option<i64>> {
        let Some(tag) = self.header("If-Match") else { return Ok(None) };
        let version = tag.trim().trim_start_matches("W/").trim_matches('"');
        if version == "*" {
            return Ok(None);
        }
        let version = version.strip_prefix('v').and_then(|version| version.parse().ok());
        let wrong = || Error::problem(Code::InvalidHeader, "If-Match must be an ETag such as \"v3\"").at("If-Match");
        version.map(Some).ok_or_else(wrong)
    }

    /// The key that was sent with the request, if any.
    ///
    /// # Errors
    /// When it is empty, longer than 255 characters or not visible ASCII.
    pub fn idempotency_key(&self, fingerprint: &Fingerprint) -> Result<Option<Key>> {
        let Some(value) = self.request.headers().get("Idempotency-Key") else { return Ok(None) };
        let visible = |key: &&str| (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        let key = value.to_str().ok().filter(visible);
        let wrong = || Error::problem(Code::InvalidHeader, "Idempotency-Key must be 1 to 255 visible ASCII characters");
        let key = key.ok_or_else(|| wrong().at("Idempotency-Key"))?;
        // The whole path, not its pattern: the same key on another cart is another command.
        let route = format!("{} {}", self.request.method(), self.request.uri().path());
        Ok(Some(Key::new(&self.principal(), &route, key, fingerprint.clone(), self.now)))
    }

    /// Whose keys do not meet others'.
    fn principal(&self) -> String {
        match &self.actor {
            Actor::Shopper(shopper) => match &shopper.identity {
                Some(identity) => format!("{} {} {}", shopper.channel, identity.issuer, identity.subject),
                // Somebody without a cart yet is told apart by their address: two strangers who use the same key must
                // not get each other's new cart. Nor may they by sending the same made-up token.
                None => match auth::proven_cart(&self.state.secret, shopper, &self.request) {
                    Some(cart) => format!("{} {cart}", shopper.channel),
                    None => format!("{} from {}", shopper.channel, self.state.limits.address(&self.request)),
                },
            },
            actor => actor.label(),
        }
    }

    /// Reads, off the async threads, on one snapshot.
    ///
    /// # Errors
    /// What `work` says.
    pub async fn read<T: Send + 'static>(&self, work: impl FnOnce(&mut Tx) -> Result<T> + Send + 'static) -> Result<T> {
        self.state.db.read(work).await
    }

    /// Reference data, from memory.
    ///
    /// # Errors
    /// What the database says while it is loaded.
    pub async fn snapshot<T: Snapshot>(&self) -> Result<std::sync::Arc<T>> {
        self.state.db.snapshot::<T>().await
    }

    /// Runs a command in one transaction, at most once per `Idempotency-Key`.
    ///
    /// # Errors
    /// What `work` says; nothing has changed then.
    pub async fn command(
        &self,
        fingerprint: &Fingerprint,
        work: impl Fn(&mut Tx) -> Result<Reply> + Send + 'static,
    ) -> Result<Reply> {
        self.command_in(Lane::Interactive, fingerprint, work).await
    }

    /// The same in a lane of choice.
    ///
    /// # Errors
    /// What `work` says; nothing has changed then.
    pub async fn command_in(
        &self,
        lane: Lane,
        fingerprint: &Fingerprint,
        work: impl Fn(&mut Tx) -> Result<Reply> + Send + 'static,
    ) -> Result<Reply> {
        run_command(&self.state, self.idempotency_key(fingerprint)?, lane, work).await
    }

    /// Runs a command that changes reference data, and makes this process see the change before it answers.
    ///
    /// # Errors
    /// What `work` says; nothing has changed then.
    pub async fn reference_command(
        &self,
        fingerprint: &Fingerprint,
        work: impl Fn(&mut Tx) -> Result<Reply> + Send + 'static,
    ) -> Result<Reply> {
        let reply = self.command(fingerprint, work).await?;
        // The change is saved whatever happens here; it is seen a moment later then.
        if let Err(error) = self.state.db.refresh_snapshots().await {
            tracing::warn!(%error, "reference data could not be looked at again");
        }
        Ok(reply)
    }
}

/// Runs a command in one transaction, at most once per key.
///
/// # Errors
/// What `work` says; nothing has changed then.
pub async fn run_command(
    state: &State,
    key: Option<Key>,
    lane: Lane,
    work: impl Fn(&mut Tx) -> Result<Reply> + Send + 'static,
) -> Result<Reply> {
    let secret = state.secret.clone();
    let ran = state.db.write_in(lane, move |tx| {
        let Some(key) = &key else { return work(tx) };
        if let Begun::Replay(reply) = key.begin(tx, &secret)? {
            return Ok(*reply);
        }
        let reply = work(tx)?;
        key.finish(tx, &secret, &reply)?;
        Ok(reply)
    });
    ran.await
}

/// The same for a command that reads before it writes ([`crate::db::Db::read_then_write`]). Reading drafts the answer too,
/// which is made ready to be kept beside other writes; writing gives another one where it has turned out otherwise.
///
/// The key is written once, last and with the answer: of two requests at once with one key both run, and the later one is
/// taken back. A key that has its answer already gets it, whatever the reading would say now.
///
/// # Errors
/// What `read` or `write` says; nothing has changed then.
pub async fn run_command_after<P: Send + 'static>(
    state: &State,
    key: Option<Key>,
    read: impl Fn(&mut Tx) -> Result<(P, Reply)> + Send + Sync + 'static,
    write: impl Fn(&mut Tx, &P) -> Result<Option<Reply>> + Send + Sync + 'static,
) -> Result<Reply> {
    let (secret, taken) = (state.secret.clone(), key.clone());
    let (sealing, keeps) = (secret.clone(), key.is_some());
    let draft = move |tx: &mut Tx| {
        let (seen, reply) = read(tx)?;
        let kept = if keeps { Some(Kept::of(&sealing, &reply)?) } else { None };
        Ok((seen, reply, kept))
    };
    let ran = state.db.read_then_write(draft, move |tx, (seen, drafted, kept)| {
        let otherwise = write(tx, seen)?;
        match (&taken, &otherwise, kept) {
            (Some(key), None, Some(kept)) => key.record(tx, kept)?,
            (Some(key), other, _) => key.record(tx, &Kept::of(&secret, other.as_ref().unwrap_or(drafted))?)?,
            (None, ..) => {}
        }
        Ok(otherwise.unwrap_or_else(|| drafted.clone()))
    });
    match ran.await {
        Err(error) => answered_before(state, key, error).await,
        done => done,
    }
}

/// The stored answer of a request that can not be run again, or else why it can not.
///
/// # Errors
/// The given error when there is no stored answer.
pub async fn answered_before(state: &State, key: Option<Key>, error: Error) -> Result<Reply> {
    let Some(key) = key else { return Err(error) };
    let secret = state.secret.clone();
    match state.db.read(move |tx| key.answered(tx, &secret)).await? {
        Some(reply) => Ok(reply),
        None => Err(error),
    }
}

/// An answer: a status, a JSON document, and what stands in its headers.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    body: Option<String>,
    version: Option<i64>,
    location: Option<String>,
    next: Option<String>,
    retry_after: Option<u32>,
    /// Of a table: the cursor to the next page and the count, which have no place in it.
    table: Option<(Option<String>, Option<i64>)>,
    secret: bool,
    replayed: bool,
}

impl Reply {
    fn with_status(status: u16, body: Option<String>) -> Self {
        let (version, location, next, retry_after, table) = (None, None, None, None, None);
        Self { status, body, version, location, next, retry_after, table, secret: false, replayed: false }
    }

    /// 200 with a document.
    ///
    /// # Errors
    /// When it can not be written as JSON, which would be a defect.
    pub fn ok(document: &impl Serialize) -> Result<Self> {
        Ok(Self::with_status(200, Some(serde_json::to_string(document)?)))
    }

    /// 201 with a document.
    ///
    /// # Errors
    /// When it can not be written as JSON, which would be a defect.
    pub fn created(document: &impl Serialize) -> Result<Self> {
        Ok(Self::with_status(201, Some(serde_json::to_string(document)?)))
    }

    /// 202 with a document: it goes on, and `location` tells where to look.
    ///
    /// # Errors
    /// When it can not be written as JSON, which would be a defect.
    pub fn accepted(document: &impl Serialize) -> Result<Self> {
        Ok(Self::with_status(202, Some(serde_json::to_string(document)?)))
    }

    /// 204.
    #[must_use]
    pub fn no_content() -> Self {
        Self::with_status(204, None)
    }

    /// A page of a list, with `Link: rel="next"`.
    ///
    /// # Errors
    /// When it can not be written as JSON, which would be a defect.
    pub fn page<T: Serialize>(call: &Call, page: &Page<T>) -> Result<Self> {
        let mut reply = Self::ok(page)?;
        reply.next = page.next_cursor.as_ref().map(|cursor| next_link(call.request.uri(), cursor));
        Ok(reply)
    }

    /// A page of a list as a table; where the next begins, and how many there are where that is asked for, stands in headers.
    ///
    /// # Errors
    /// When it can not be written, which would be a defect.
    pub(super) fn table<T: Serialize + utoipa::ToSchema>(call: &Call, page: &Page<T>) -> Result<Self> {
        let mut reply = Self::with_status(200, Some(table::write(&page.items, true)?));
        reply.next = page.next_cursor.as_ref().map(|cursor| next_link(call.request.uri(), cursor));
        reply.table = Some((page.next_cursor.clone(), page.count));
        Ok(reply)
    }

    /// The same with an `ETag` for this version.
    #[must_use]
    pub fn version(mut self, version: i64) -> Self {
        self.version = Some(version);
        self
    }

    /// The same with a `Location`.
    #[must_use]
    pub fn location(mut self, path: String) -> Self {
        self.location = Some(path);
        self
    }

    /// The same with a `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The same, holding a secret: it is kept sealed.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The document.
    #[must_use]
    pub fn body(&self) -> Option<&str> {
        self.body.as_deref()
    }

    pub(super) const fn is_secret(&self) -> bool {
        self.secret
    }

    /// What is kept under an `Idempotency-Key`: body and headers as one document.
    pub(super) fn to_store(&self) -> Option<String> {
        let headers = serde_json::json!([self.version, self.location]);
        Some(format!("{headers}\n{}", self.body.as_deref().unwrap_or_default()))
    }

    pub(super) fn stored(status: i64, stored: Option<String>) -> Result<Self> {
        let stored = stored.unwrap_or_default();
        let (headers, body) = stored.split_once('\n').unwrap_or(("[null,null]", ""));
        let (version, location): (Option<i64>, Option<String>) = serde_json::from_str(headers)?;
        let status = u16::try_from(status).map_err(Error::internal)?;
        let body = (!body.is_empty()).then(|| body.to_owned());
        Ok(Self { version, location, replayed: true, ..Self::with_status(status, body) })
    }
}

impl Responder for Reply {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::build(StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK));
        if let Some(version) = self.version {
            response.insert_header(("ETag", format!("\"v{version}\"")));
        }
        if let Some(location) = self.location {
            response.insert_header(("Location", location));
        }
        if let Some(next) = self.next {
            response.insert_header(("Link", next));
        }
        if let Some(seconds) = self.retry_after {
            response.insert_header(("Retry-After", seconds.to_string()));
        }
        if self.replayed {
            response.insert_header(("Idempotency-Replayed", "true"));
        }
        if let Some((cursor, count)) = &self.table {
            if let Some(cursor) = cursor {
                response.insert_header(("Next-Cursor", cursor.as_str()));
            }
            if let Some(count) = count {
                response.insert_header(("Count", count.to_string()));
            }
            response.content_type("text/csv; charset=utf-8; header=present");
            return response.body(self.body.unwrap_or_default());
        }
        match self.body {
            Some(body) => response.content_type("application/json").body(body),
            None => response.finish(),
        }
    }
}
