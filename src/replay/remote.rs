//! Kontor's public API, as a machine client and a member of staff see it over HTTP.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// How often a request is sent before it is given up.
const TRIES: u32 = 8;
/// How many rows a page has.
const PAGE: usize = 200;

/// A running Kontor and the tokens to use.
#[derive(Debug, Clone)]
pub struct Remote {
    url: String,
    staff: String,
    client: String,
    http: reqwest::Client,
}

/// What makes a command one that may be sent again.
#[derive(Clone, Copy)]
enum Key<'k> {
    /// Nothing.
    None,
    /// An `Idempotency-Key`.
    Sent(&'k str),
    /// A name in its body, which Kontor gives away once.
    InBody,
}

/// An answer: status and document.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub body: Value,
    what: String,
}

impl Answer {
    /// The document, when the request was done.
    pub fn done(self) -> Result<Value> {
        match self.status {
            200..300 => Ok(self.body),
            status => Err(Error::internal(format!("{}: {status}: {}", self.what, self.body))),
        }
    }

    /// Whether it is a problem with this code.
    pub fn is(&self, code: &str) -> bool {
        self.status >= 400 && self.body.get("code").and_then(Value::as_str) == Some(code)
    }
}

impl Remote {
    /// The Kontor at an address, such as `http://127.0.0.1:8080`, with a staff token and a client token.
    ///
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(url: &str, staff: String, client: String) -> Result<Self> {
        // Somebody may have done so before, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder().no_gzip().redirect(reqwest::redirect::Policy::none());
        let http = http.timeout(Duration::from_secs(300)).build().map_err(Error::internal)?;
        Ok(Self { url: url.trim_end_matches('/').to_owned(), staff, client, http })
    }

    /// Sends a request, again when the server was not there, too busy, or still at the same command.
    async fn send(&self, method: Method, path: &str, key: Key<'_>, body: Option<(&str, String)>) -> Result<Answer> {
        let what = format!("{method} {path}");
        let mut tried = 0;
        loop {
            tried += 1;
            let token = if path.starts_with("/v1/integration") { &self.client } else { &self.staff };
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.url)).bearer_auth(token);
            if let Key::Sent(key) = key {
                request = request.header("Idempotency-Key", key);
            }
            if let Some((media, body)) = &body {
                request = request.header("Content-Type", *media).body(body.clone());
            }
            // A command without a key may have been done although no answer came.
            let repeatable = !matches!(key, Key::None) || method == Method::GET || method == Method::PUT;
            let failed = match request.send().await {
                Ok(response) => {
                    let status = response.status().as_u16();
                    let text = response.text().await.map_err(Error::internal)?;
                    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
                    let answer = Answer { status, body, what: what.clone() };
                    if !matches!(status, 429 | 502 | 503 | 504) && !answer.is("idempotency_in_progress") {
                        return Ok(answer);
                    }
                    format!("{status}: {}", answer.body)
                }
                Err(error) if repeatable => error.to_string(),
                Err(error) => return Err(Error::internal(format!("{what}: {error}"))),
            };
            if tried == TRIES {
                return Err(Error::internal(format!("{what}: {failed}")));
            }
            tokio::time::sleep(Duration::from_millis(100 << tried)).await;
        }
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, Key::None, None).await
    }

    /// A command. Its key is made of its name and its body, so that a changed mapping is another command.
    pub(super) async fn command(&self, path: &str, name: &str, body: &Value) -> Result<Answer> {
        let body = body.to_string();
        let mut hash = Sha256::new();
        for part in [path, name, &body] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let key: String = hash.finalize().iter().take(20).map(|byte| format!("{byte:02x}")).collect();
        self.send(Method::POST, path, Key::Sent(&format!("replay-{key}")), Some(("application/json", body))).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::POST, path, Key::None, Some(("application/json", body.to_string()))).await
    }

    /// A command that is booked once by what its body says, however often it is sent.
    pub(super) async fn booked(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::POST, path, Key::InBody, Some(("application/json", body.to_string()))).await
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::PUT, path, Key::None, Some(("application/json", body.to_string()))).await
    }

    /// Sends rows as NDJSON; one that is refused is an error.
    pub(super) async fn rows(&self, path: &str, rows: &[Value]) -> Result<()> {
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let answer = self.send(Method::POST, path, Key::None, Some(("application/x-ndjson", text))).await?.done()?;
        match answer.get("errors").and_then(Value::as_array) {
            Some(errors) if !errors.is_empty() => Err(Error::internal(format!("{path}: {answer}"))),
            _ => Ok(()),
        }
    }

    /// Everything that a list holds, page by page.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{joint}limit={PAGE}{cursor}")).await?.done()?;
            items.extend(page.get("items").and_then(Value::as_array).into_iter().flatten().cloned());
            match page.get("next_cursor").and_then(Value::as_str) {
                Some(next) => cursor = format!("&cursor={}", escaped(next)),
                None => return Ok(items),
            }
        }
    }

    /// Several documents, so many at once, in any order.
    pub(super) async fn each<T>(
        &self,
        paths: Vec<String>,
        parallel: usize,
        read: impl Fn(Value) -> Result<T>,
    ) -> Result<Vec<T>> {
        let documents = paths.into_iter().map(|path| async move { self.get(&path).await?.done() });
        let documents = stream::iter(documents).buffer_unordered(parallel.max(1));
        documents.and_then(|document| std::future::ready(read(document))).try_collect().await
    }
}

/// A text as a part of a path or a query.
pub(super) fn escaped(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A text in a document.
pub(super) fn text(value: &Value, pointer: &str) -> Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| Error::internal(format!("no {pointer} in {value}")))
}

/// A value in a document, read into a type.
pub(super) fn read<T: serde::de::DeserializeOwned>(value: &Value, pointer: &str) -> Result<T> {
    let found = value.pointer(pointer).cloned().unwrap_or_default();
    serde_json::from_value(found).map_err(|error| Error::internal(format!("{pointer} in {value}: {error}")))
}
