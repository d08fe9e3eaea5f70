//! The talk with a far end over HTTP, as all adapters lead it: each request timed, hashed and kept as far as it is worth keeping,
//! each answer judged, and what a push comes to told in the end.

use std::time::Instant as Moment;

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;
use url::Url;

use super::{
    network,
    ports::{Ending, Link, Outcome, Target},
};
use crate::{
    error::{Code, Error},
    http::{Trace, seal},
    kernel::Instant,
};

/// The most of an answer that is read.
const LONGEST: usize = 8 * 1024 * 1024;
/// How much of an answer is kept.
const KEPT: usize = 4096;
/// For how many seconds all wait where a far end says that it is asked too much, and not for how long.
const PATIENCE: i64 = 10;

/// Why a push ends before it is through.
#[derive(Debug)]
pub struct Stop {
    /// How it ends.
    pub ending: Ending,
    /// What went wrong, in words an operator can act on.
    pub error: String,
}

impl Stop {
    /// It never will as it is.
    #[must_use]
    pub fn refused(error: impl Into<String>) -> Self {
        Self { ending: Ending::Refused, error: error.into() }
    }

    /// Another try makes sense.
    #[must_use]
    pub fn failed(error: impl Into<String>) -> Self {
        Self { ending: Ending::Failed { after_seconds: None, outage: false }, error: error.into() }
    }

    /// The far end is not to be had.
    #[must_use]
    pub fn outage(error: impl Into<String>) -> Self {
        Self { ending: Ending::Failed { after_seconds: None, outage: true }, error: error.into() }
    }
}

impl From<Error> for Stop {
    /// What our own data or the mapping lacks is to be mended; anything else may pass.
    fn from(error: Error) -> Self {
        match error.code() {
            Code::MappingFailed | Code::MappingInvalid | Code::SettingsInvalid | Code::AddressForbidden => {
                Self::refused(error.to_string())
            }
            _ => Self::failed(error.to_string()),
        }
    }
}

/// A request to a far end.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST`, `PATCH`, …
    pub method: reqwest::Method,
    /// Where to.
    pub url: Url,
    /// Its headers, those of the media types left out.
    pub headers: Vec<(&'static str, String)>,
    /// Its document.
    pub body: Option<Value>,
    /// Whether it may be kept and shown: not when it has secrets in it.
    pub secret: bool,
}

/// What a far end answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is something else: whoever answers so is not the system that was meant, or not well.
    pub fn json(&self) -> Result<Value, Stop> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Stop::outage(format!("its answer can not be read as JSON: {error}")))
    }

    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The talk of one push.
pub struct Wire<'a> {
    to: Target<'a>,
    begun: Moment,
    outcome: Outcome,
}

impl<'a> Wire<'a> {
    /// Begins a talk.
    #[must_use]
    pub fn new(to: Target<'a>) -> Self {
        Self { to, begun: Moment::now(), outcome: Outcome::ended(Ending::Delivered) }
    }

    /// Sends a request and reads the answer, whatever its status.
    ///
    /// # Errors
    /// When there is no answer, or one that asks for patience.
    pub async fn send(&mut self, request: &Request) -> Result<Answer, Stop> {
        let client = self.to.network.client(&request.url, self.to.allow_private)?;
        let mut builder = client.request(request.method.clone(), request.url.clone());
        builder = builder.header("traceparent", Trace::traceparent()).header("accept", "application/json");
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let text = request.body.as_ref().map(Value::to_string);
        self.outcome.sent_sha256 = text.as_ref().map(|text| seal::sha256_hex(text.as_bytes())).unwrap_or_default();
        let shown = text.as_deref().filter(|_| !request.secret).unwrap_or_default();
        self.outcome.sent = Some(format!("{} {}\n{shown}", request.method, request.url));
        if let Some(text) = text {
            builder = builder.header("content-type", "application/json").body(text);
        }
        (self.outcome.status, self.outcome.response) = (None, None);
        let response = builder.send().await.map_err(|error| Stop::outage(network::explain(&error)))?;
        let answer = self.read(response, request.secret).await?;
        self.is_patient(&answer)?;
        Ok(answer)
    }

    async fn read(&mut self, mut response: reqwest::Response, secret: bool) -> Result<Answer, Stop> {
        let (status, headers) = (response.status(), response.headers().clone());
        self.outcome.status = Some(i64::from(status.as_u16()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Stop::outage(network::explain(&error)))? {
            body.extend_from_slice(&chunk);
            if body.len() > LONGEST {
                return Err(Stop::outage("its answer is longer than 8 MiB"));
            }
        }
        let kept = body.get(..body.len().min(KEPT)).unwrap_or_default();
        // PostgreSQL keeps no NUL in texts.
        let text = String::from_utf8_lossy(kept).replace('\0', "\u{fffd}");
        self.outcome.response = Some(text).filter(|text| !text.is_empty() && !secret);
        Ok(Answer { status, headers, body })
    }

    /// Whether the far end does not ask for patience.
    fn is_patient(&self, answer: &Answer) -> Result<(), Stop> {
        let asked = answer.header("retry-after").and_then(|value| network::retry_after(value, self.to.now));
        match (answer.status.as_u16(), asked) {
            (429, asked) | (503, asked @ Some(_)) => {
                let after_seconds = asked.unwrap_or(PATIENCE).max(1);
                let error = format!("it answered {}: all wait for {after_seconds} s", answer.status);
                Err(Stop { ending: Ending::Throttled { after_seconds }, error })
            }
            _ => Ok(()),
        }
    }

    /// What the far end says over HTTP beside its own protocol: that it knows nobody of us, or is not well.
    ///
    /// # Errors
    /// Any status but those of success.
    pub fn succeeded(&self, answer: &Answer) -> Result<(), Stop> {
        let status = answer.status;
        match status.as_u16() {
            200..=299 => Ok(()),
            401 | 403 => Err(Stop::outage(format!("it answered {status}: check the secrets and what they permit"))),
            400 | 409 | 413 | 415 | 422 => {
                Err(Stop::refused(format!("it answered {status}: it does not take this as it is")))
            }
            404 | 405 | 410 => Err(Stop::outage(format!("it answered {status}: check the address in the settings"))),
            300..=399 => Err(Stop::outage(format!("it answered {status}: give the final address in the settings"))),
            _ => Err(Stop::outage(format!("it answered {status}"))),
        }
    }

    /// Notes what the far end calls something.
    pub fn link(&mut self, link: Link) {
        self.outcome.links.push(link);
    }

    /// The time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.to.now
    }

    /// What the push came to.
    #[must_use]
    pub fn ended(mut self, how: Result<(), Stop>) -> Outcome {
        if let Err(Stop { ending, error }) = how {
            (self.outcome.ending, self.outcome.error) = (ending, Some(error));
        }
        self.outcome.duration_ms = i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.outcome
    }
}
