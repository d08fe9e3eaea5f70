//! Bodies, parameters and path references, read strictly: what is not understood is refused with a pointer to it.

use std::{future::Future, pin::Pin};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, web};
use serde::de::DeserializeOwned;

use super::{auth::caller, idempotency::Fingerprint, seal};
use crate::error::{Code, Error, Result};

/// A JSON body. Unknown fields are refused where `T` says `deny_unknown_fields`, which every request type does.
pub struct Body<T> {
    /// The document.
    pub value: T,
    /// What an `Idempotency-Key` is tied to.
    pub fingerprint: Fingerprint,
}

impl<T> std::ops::Deref for Body<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            // Nobody's body is read before it is known whose it is.
            let (state, _) = caller(&request).await?;
            let mime = request.mime_type().ok().flatten();
            if !mime.is_some_and(|mime| mime.subtype() == "json" || mime.suffix().is_some_and(|s| s == "json")) {
                return Err(Error::problem(Code::MediaTypeUnsupported, "the body must be application/json"));
            }
            let bytes = collect(payload, state.settings.http.body_limit).await?;
            let value = parse_json(&bytes)?;
            Ok(Self { value, fingerprint: Fingerprint::of(&bytes) })
        })
    }
}

async fn collect(mut payload: Payload, limit: usize) -> Result<Vec<u8>> {
    use futures::StreamExt;
    let mut bytes = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|error| Error::problem(Code::BodyMalformed, format!("the body broke off: {error}")))?;
        if bytes.len() + chunk.len() > limit {
            return Err(Error::problem(Code::BodyTooLarge, format!("the body is over {limit} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Reads a JSON document strictly; errors carry the JSON pointer of the field.
///
/// # Errors
/// A problem with `body_malformed`, `unknown_field`, `missing_field` or `invalid_value`.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    // PostgreSQL keeps no NUL in texts; no document of ours needs one.
    let escaped_nul = bytes.windows(6).any(|window| window == b"\\u0000");
    if escaped_nul {
        return Err(Error::problem(Code::InvalidValue, "the body holds a NUL character (\\u0000)"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| body_problem(&error))?;
    reader.end().map_err(|_| Error::problem(Code::BodyMalformed, "there is something after the JSON document"))?;
    Ok(value)
}

fn body_problem(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let inner = error.inner();
    if inner.is_syntax() || inner.is_eof() || inner.is_io() {
        return Error::problem(Code::BodyMalformed, inner.to_string());
    }
    let text = inner.to_string();
    // serde_json appends the place in the text, which the pointer tells better.
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let code = if text.starts_with("unknown field") {
        Code::UnknownField
    } else if text.starts_with("missing field") {
        Code::MissingField
    } else {
        Code::InvalidValue
    };
    let mut pointer = pointer(error.path());
    if code == Code::MissingField
        && let Some(field) = text.split('`').nth(1)
    {
        pointer.push('/');
        pointer.push_str(field);
    }
    Error::problem(code, text).at(pointer)
}

/// A serde path as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// A body of any type and up to 64 MiB: bulk imports.
pub struct RawBody {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The media type without parameters, such as `text/csv`.
    pub media_type: String,
    /// What an `Idempotency-Key` is tied to.
    pub fingerprint: Fingerprint,
}

const BULK_LIMIT: usize = 64 << 20;

impl FromRequest for RawBody {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            caller(&request).await?;
            let media_type = request.content_type().to_owned();
            let bytes = collect(payload, BULK_LIMIT).await?;
            Ok(Self { fingerprint: Fingerprint::of(&bytes), bytes, media_type })
        })
    }
}

/// Query parameters; unknown ones are refused where `T` says `deny_unknown_fields`.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Params<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            caller(&request).await?;
            let parsed = web::Query::<T>::from_query(request.query_string());
            let parsed = parsed.map(|query| Self(query.into_inner()));
            parsed.map_err(|error| Error::problem(Code::InvalidQuery, error.to_string()))
        })
    }
}

/// The last variable part of a path: an id or a reference, percent-decoded, at most 200 characters, no control characters.
pub struct RefPath<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for RefPath<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            caller(&request).await?;
            let sane = request.match_info().iter().all(|(_, value)| value.len() <= 200 && !value.contains("%00"));
            let parsed = web::Path::<T>::extract(&request);
            match parsed.into_inner().map(|path| Self(path.into_inner())) {
                Ok(path) if sane => Ok(path),
                _ => Err(Error::problem(Code::InvalidPath, "the path holds no valid id or reference")),
            }
        })
    }
}

impl Fingerprint {
    /// The fingerprint of a body's bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(seal::sha256_hex(bytes))
    }
}
