//! Kontor's public API, as a machine client and a member of staff see it over HTTP.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

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

/// An answer: status and document. Documents of orders are large, so they are read as far as somebody wants to know.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    text: String,
    what: String,
}

impl Answer {
    /// Nothing, when the request was done.
    pub fn succeeded(&self) -> Result<()> {
        match self.status {
            200..300 => Ok(()),
            status => Err(Error::internal(format!("{}: {status}: {}", self.what, self.text))),
        }
    }

    /// What `T` knows of the document, when the request was done.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        self.succeeded()?;
        let odd = |error| Error::internal(format!("{}: {error} in {}", self.what, self.text));
        serde_json::from_str(&self.text).map_err(odd)
    }

    /// The document, when the request was done.
    pub fn done(self) -> Result<Value> {
        self.read()
    }

    /// Whether it is a problem with this code.
    pub fn is(&self, code: &str) -> bool {
        /// What is read of a problem.
        #[derive(serde::Deserialize)]
        struct Problem {
            code: String,
        }
        self.status >= 400 && serde_json::from_str::<Problem>(&self.text).is_ok_and(|problem| problem.code == code)
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
    async fn send(&self, method: Method, path: &str, repeatable: bool, body: Option<(&str, String)>) -> Result<Answer> {
        let what = format!("{method} {path}");
        let mut tried = 0;
        loop {
            tried += 1;
            let token = if path.starts_with("/v1/integration") { &self.client } else { &self.staff };
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.url)).bearer_auth(token);
            if let Some((media, body)) = &body {
                request = request.header("Content-Type", *media).body(body.clone());
            }
            // A command may have been done although no answer came.
            let failed = match request.send().await {
                Ok(response) => {
                    let status = response.status().as_u16();
                    let text = response.text().await.map_err(Error::internal)?;
                    let answer = Answer { status, text, what: what.clone() };
                    if !matches!(status, 429 | 502 | 503 | 504) && !answer.is("idempotency_in_progress") {
                        return Ok(answer);
                    }
                    format!("{status}: {}", answer.text)
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
        self.send(Method::GET, path, true, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::POST, path, false, Some(("application/json", body.to_string()))).await
    }

    /// A command that may be sent again, for something in it happens once only: a foreign name is given away, a document is
    /// booked, a cart becomes an order. An `Idempotency-Key` would keep its answer beside it, which for thousands of orders
    /// is as much again as they are.
    pub(super) async fn again(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::POST, path, true, Some(("application/json", body.to_string()))).await
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::PUT, path, true, Some(("application/json", body.to_string()))).await
    }

    /// Sends rows as NDJSON; one that is refused is an error.
    pub(super) async fn rows(&self, path: &str, rows: &[Value]) -> Result<()> {
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let answer = self.send(Method::POST, path, true, Some(("application/x-ndjson", text))).await?.done()?;
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
    pub(super) async fn each<T: DeserializeOwned>(&self, paths: Vec<String>, parallel: usize) -> Result<Vec<T>> {
        let documents = paths.into_iter().map(|path| async move { self.get(&path).await?.read() });
        stream::iter(documents).buffer_unordered(parallel.max(1)).try_collect().await
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
