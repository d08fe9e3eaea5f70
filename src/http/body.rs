//! Bodies, parameters and path references, read strictly: what is not understood is refused with a pointer to it.

use std::{future::Future, pin::Pin, time::Duration};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header, web};
use serde::de::{DeserializeOwned, Deserializer};

use tokio::time::Instant;

use super::{State, auth::caller, idempotency::Fingerprint, seal, strict::Strict};
use crate::{
    error::{Code, Error, Result},
    kernel::text::leaves_the_line,
};

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
            as_it_is(&request)?;
            let bytes = collect(payload, state.settings.http.body_limit, Patience::whole(&state)).await?;
            let value = parse_json(&bytes)?;
            Ok(Self { value, fingerprint: Fingerprint::of(&bytes) })
        })
    }
}

/// No body: nothing at all, or an empty JSON object. What a command does not read is refused, not passed over.
pub struct NoBody;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl FromRequest for NoBody {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let (state, _) = caller(&request).await?;
            let bytes = collect(payload, state.settings.http.body_limit, Patience::whole(&state)).await?;
            if !bytes.trim_ascii().is_empty() {
                as_it_is(&request)?;
                parse_json::<Nothing>(&bytes)?;
            }
            Ok(Self)
        })
    }
}

/// Refuses a body that would have to be unpacked or be read in another character set than UTF-8.
fn as_it_is(request: &HttpRequest) -> Result<()> {
    let mut encodings = request.headers().get_all(header::CONTENT_ENCODING);
    if !encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let detail = "the body must come without a Content-Encoding";
        return Err(Error::problem(Code::ContentEncodingUnsupported, detail).at("Content-Encoding"));
    }
    let mime = request.mime_type().ok().flatten();
    let charset = mime.as_ref().and_then(|mime| mime.get_param("charset"));
    if charset.is_some_and(|charset| !charset.as_str().eq_ignore_ascii_case("utf-8")) {
        return Err(Error::problem(Code::MediaTypeUnsupported, "the body must be in UTF-8").at("Content-Type"));
    }
    Ok(())
}

/// For how long a body is waited for: less than for the whole request, so that whoever sends too slowly is told that it was
/// them, and not that there is too much to do here.
#[derive(Clone, Copy)]
enum Patience {
    /// All of it.
    Whole(Duration),
    /// Each next piece.
    Each(Duration),
}

impl Patience {
    fn of(state: &State) -> Duration {
        Duration::from_secs(state.settings.http.request_timeout_seconds) * 3 / 4
    }

    fn whole(state: &State) -> Self {
        Self::Whole(Self::of(state))
    }

    /// For large bodies, which may take their time as long as they come.
    fn each(state: &State) -> Self {
        Self::Each(Self::of(state))
    }
}

/// The bytes of a small body whose sender shows with them who they are.
///
/// # Errors
/// `body_too_large`, `body_malformed` when it breaks off, `request_timeout` when it comes too slowly.
pub async fn small_body(state: &State, payload: web::Payload, limit: usize) -> Result<Vec<u8>> {
    collect(payload.into_inner(), limit, Patience::whole(state)).await
}

async fn collect(mut payload: Payload, limit: usize, patience: Patience) -> Result<Vec<u8>> {
    use futures::StreamExt;
    let (mut bytes, begun) = (Vec::new(), Instant::now());
    loop {
        let until = match patience {
            Patience::Whole(time) => begun + time,
            Patience::Each(time) => Instant::now() + time,
        };
        let chunk = tokio::time::timeout_at(until, payload.next()).await;
        let chunk =
            chunk.map_err(|_| Error::problem(Code::RequestTimeout, "the body came too slowly, or broke off"))?;
        let Some(chunk) = chunk else { return Ok(bytes) };
        let chunk =
            chunk.map_err(|error| Error::problem(Code::BodyMalformed, format!("the body broke off: {error}")))?;
        if bytes.len() + chunk.len() > limit {
            return Err(Error::problem(Code::BodyTooLarge, format!("the body is over {limit} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// Reads a JSON document strictly; errors carry the JSON pointer of the field.
///
/// # Errors
/// A problem with `body_malformed`, `unknown_field`, `missing_field` or `invalid_value`.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    if is_deeper_than(DEEPEST, bytes) {
        let detail = format!("the document is nested more than {DEEPEST} levels deep");
        return Err(Error::problem(Code::BodyMalformed, detail));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = read(&mut reader)?;
    reader.end().map_err(|_| Error::problem(Code::BodyMalformed, "there is something after the JSON document"))?;
    // What is passed over is not looked at.
    if holds_nul(bytes) {
        return Err(Error::problem(Code::InvalidValue, "the body holds a NUL character (\\u0000)"));
    }
    Ok(value)
}

/// Reads what is within a document as strictly as [`parse_json`] reads the whole.
///
/// # Errors
/// A problem with `unknown_field`, `missing_field` or `invalid_value`.
pub fn parse_value<T: DeserializeOwned>(value: &serde_json::Value) -> Result<T> {
    read(value)
}

fn read<'de, T: DeserializeOwned>(from: impl Deserializer<'de, Error = serde_json::Error>) -> Result<T> {
    serde_path_to_error::deserialize(Strict(from)).map_err(|error| body_problem(&error))
}

/// How many objects and lists a document may be within. What we keep of it is kept within others, by rows of a backup for one,
/// and 128 is as deep as it is read back.
const DEEPEST: usize = 64;

/// Whether a JSON document has more objects and lists within each other.
fn is_deeper_than(deepest: usize, json: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    json.iter().any(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > deepest
    })
}

/// Whether a JSON document holds a NUL character, which JSON writes as an escape only. PostgreSQL keeps none in texts, and no
/// document of ours needs one.
pub(super) fn holds_nul(json: &[u8]) -> bool {
    let mut escaped = false;
    json.iter().enumerate().any(|(place, byte)| {
        // Of several backslashes every second one stands for itself.
        escaped = *byte == b'\\' && !escaped;
        escaped && json.get(place..).is_some_and(|rest| rest.starts_with(b"\\u0000"))
    })
}

fn body_problem(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let inner = error.inner();
    if inner.is_syntax() || inner.is_eof() || inner.is_io() {
        return Error::problem(Code::BodyMalformed, inner.to_string());
    }
    let text = inner.to_string();
    // serde_json appends the place in the text, which the pointer tells better.
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let text = &without_widths(text);
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

/// What is expected in the words of JSON, which knows numbers and no widths of them.
fn without_widths(text: &str) -> String {
    const WIDTHS: [&str; 8] = ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"];
    match text.rsplit_once(", expected ") {
        Some((what, expected)) if WIDTHS.contains(&expected) => format!("{what}, expected a whole number in range"),
        _ => text.to_owned(),
    }
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
            let (state, _) = caller(&request).await?;
            as_it_is(&request)?;
            let media_type = request.content_type().to_owned();
            let bytes = collect(payload, BULK_LIMIT, Patience::each(&state)).await?;
            if bytes.contains(&0) {
                return Err(Error::problem(Code::BodyMalformed, "the body holds a NUL character"));
            }
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
            parse_query(request.query_string()).map(Self)
        })
    }
}

/// Reads a query; errors carry the parameter's name.
pub(super) fn parse_query<T: DeserializeOwned>(text: &str) -> Result<T> {
    if let Some((name, _)) = url::form_urlencoded::parse(text.as_bytes()).find(|(_, value)| value.contains('\0')) {
        return Err(Error::problem(Code::InvalidQuery, "a parameter holds a NUL character").at(name));
    }
    let parsed = web::Query::<T>::from_query(text).map_err(|error| {
        let detail = error.to_string();
        let detail = detail.strip_prefix("Query deserialize error: ").unwrap_or(&detail);
        let name = culprit::<T>(text, detail);
        let problem = Error::problem(Code::InvalidQuery, in_words(name.as_deref(), detail));
        match name {
            Some(name) => problem.at(name),
            None => problem,
        }
    });
    Ok(parsed?.into_inner())
}

/// What is wrong with a parameter in words of its own, where the standard library speaks of parsing.
fn in_words<'a>(name: Option<&str>, detail: &'a str) -> &'a str {
    match detail {
        "invalid digit found in string"
        | "cannot parse integer from empty string"
        | "number too large to fit in target type"
        | "number too small to fit in target type" => match name {
            Some("limit") => "expected 1 to 200",
            _ => "expected a whole number in range",
        },
        "provided string was not `true` or `false`" => "expected true or false",
        other => other,
    }
}

/// The parameter that an error is about: the one it names, or else the first that is refused on its own too.
fn culprit<T: DeserializeOwned>(text: &str, detail: &str) -> Option<String> {
    let names = |detail: &str| {
        let known = ["unknown field `", "missing field `", "duplicate field `"];
        let rest = known.iter().find_map(|start| detail.strip_prefix(start))?;
        rest.split('`').next().map(str::to_owned)
    };
    names(detail).or_else(|| {
        let refused = |pair: &&str| {
            let alone = web::Query::<T>::from_query(pair).err().map(|error| error.to_string());
            alone.is_some_and(|error| !error.contains("missing field"))
        };
        let pair = text.split('&').filter(|pair| !pair.is_empty()).find(refused)?;
        url::form_urlencoded::parse(pair.as_bytes()).next().map(|(name, _)| name.into_owned())
    })
}

/// The last variable part of a path: an id or a reference, percent-decoded, at most 200 characters, of one line.
pub struct RefPath<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for RefPath<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            caller(&request).await?;
            // The router has decoded them by now.
            let sane = |value: &str| value.len() <= 200 && !value.contains(leaves_the_line);
            let sane = request.match_info().iter().all(|(_, value)| sane(value));
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

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Query {
        limit: Option<u8>,
        #[allow(dead_code, reason = "only read from texts")]
        name: String,
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        let wrong = |text: &str| match parse_query::<Query>(text).unwrap_err() {
            Error::Problem(problem) => problem.pointer.unwrap_or_default(),
            error => panic!("{error}"),
        };
        assert_eq!(parse_query::<Query>("name=a&limit=3").unwrap().limit, Some(3));
        assert_eq!(wrong("name=a&limit=many"), "limit");
        assert_eq!(wrong("limit=300&name=a"), "limit");
        assert_eq!(wrong("name=a&size=3"), "size");
        assert_eq!(wrong("limit=3"), "name");
        assert_eq!(wrong("name=a&name=b"), "name");
        assert_eq!(wrong("limit=3&name=a%00b"), "name");
    }

    #[test]
    fn what_is_no_number_is_told_in_words() {
        #[derive(Debug, Deserialize)]
        #[allow(dead_code, reason = "only read from texts")]
        struct Numbers {
            limit: Option<i64>,
            wait: Option<u64>,
            all: Option<bool>,
        }
        let said = |text: &str| match parse_query::<Numbers>(text).unwrap_err() {
            Error::Problem(problem) => problem.detail,
            error => panic!("{error}"),
        };
        for wrong in ["limit=1e9", "limit=", "limit=99999999999999999999", "limit=-99999999999999999999"] {
            assert_eq!(said(wrong), "expected 1 to 200", "{wrong}");
        }
        assert_eq!(said("wait=soon"), "expected a whole number in range");
        assert_eq!(said("all=2"), "expected true or false");
    }

    #[test]
    fn numbers_are_spoken_of_as_in_json() {
        let said = |json: &str| match parse_json::<Vec<u8>>(json.as_bytes()).unwrap_err() {
            Error::Problem(problem) => format!("{} {}", problem.pointer.unwrap_or_default(), problem.detail),
            error => panic!("{error}"),
        };
        assert_eq!(said("[1, 1.5]"), "/1 invalid type: floating point `1.5`, expected a whole number in range");
        assert_eq!(said("[300]"), "/0 invalid value: integer `300`, expected a whole number in range");
        assert_eq!(said(r#"["1"]"#), "/0 invalid type: string \"1\", expected a whole number");
        assert_eq!(said("{}"), " invalid type: map, expected an array");
    }

    #[test]
    fn a_document_is_no_deeper_than_what_is_kept_of_it_may_be() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse_json::<serde_json::Value>(nested(DEEPEST).as_bytes()).is_ok());
        let deeper = parse_json::<serde_json::Value>(nested(DEEPEST + 1).as_bytes()).unwrap_err();
        assert_eq!(deeper.code(), Code::BodyMalformed);
        let side_by_side = format!("[{}]", vec![r#"{"[\"{{": "[[\\"}"#; 200].join(", "));
        assert!(parse_json::<serde_json::Value>(side_by_side.as_bytes()).is_ok());
    }

    #[test]
    fn a_nul_is_found_and_a_text_about_one_is_not() {
        assert!(holds_nul(br#"{"a": "x\u0000"}"#) && holds_nul(br#"["\\\u0000"]"#));
        assert!(!holds_nul(br#"["\\u0000", "\u0001", "\\\\u0000"]"#));
        assert!(parse_json::<String>(br#""\u0000""#).is_err());
        assert!(parse_json::<serde::de::IgnoredAny>(br#""\u0000""#).is_err());
        assert_eq!(parse_json::<String>(br#""\\u0000""#).unwrap(), "\\u0000");
    }
}
