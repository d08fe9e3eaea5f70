//! The request itself: sent, timed, judged.

use std::{error::Error as _, time::Instant as Moment};

use super::{Secrets, Settings, map};
use crate::{
    connectors::ports::{Delivery, Ending, Outcome},
    error::Result,
    http::{Trace, seal},
    kernel::{Instant, stored},
};

/// How much of an answer is kept.
const KEPT: usize = 4096;

/// Posts one event.
pub(super) async fn push(delivery: Delivery<'_>) -> Outcome {
    let begun = Moment::now();
    let mut outcome = Outcome {
        ending: Ending::Failed { after_seconds: None },
        status: None,
        duration_ms: 0,
        sent_sha256: String::new(),
        response: None,
        error: None,
    };
    match request(delivery, &mut outcome.sent_sha256) {
        Err(error) => outcome.error = Some(error.to_string()),
        Ok(request) => match request.send().await {
            Err(error) => outcome.error = Some(explain(&error)),
            Ok(response) => judge(&mut outcome, response, delivery.now).await,
        },
    }
    outcome.duration_ms = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
    outcome
}

fn request(delivery: Delivery<'_>, sent_sha256: &mut String) -> Result<reqwest::RequestBuilder> {
    let settings: Settings = stored::from_value(delivery.settings)?;
    let secrets: Secrets = stored::from_value(delivery.secrets)?;
    let url = super::parse_url(&settings.url)?;
    let message = map::message(delivery.event, delivery.source, &secrets, delivery.now)?;
    *sent_sha256 = seal::sha256_hex(&message.body);
    let client = delivery.network.client(&url, delivery.allow_private)?;
    let request = client.post(url).header("traceparent", Trace::traceparent()).body(message.body);
    Ok(message.headers.into_iter().fold(request, |request, (name, value)| request.header(name, value)))
}

async fn judge(outcome: &mut Outcome, mut response: reqwest::Response, now: Instant) {
    let status = response.status();
    let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let after_seconds = header.and_then(|value| map::retry_after(value, now));
    outcome.status = Some(i64::from(status.as_u16()));
    outcome.response = beginning(&mut response).await;
    outcome.ending = match status.as_u16() {
        200..=299 => Ending::Delivered,
        410 => Ending::Gone,
        _ => Ending::Failed { after_seconds },
    };
    outcome.error = match status.as_u16() {
        200..=299 => None,
        410 => Some("the receiver answered 410 Gone: it wants no more events".into()),
        300..=399 => {
            Some(format!("the receiver answered {status}; redirects are not followed, give the final address"))
        }
        401 | 403 => Some(format!("the receiver answered {status}: check the secrets on both sides")),
        _ => Some(format!("the receiver answered {status}")),
    };
}

/// The first characters of an answer; an answer that breaks off keeps what has come.
async fn beginning(response: &mut reqwest::Response) -> Option<String> {
    let mut bytes = Vec::new();
    while bytes.len() < KEPT {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    bytes.truncate(KEPT);
    // PostgreSQL keeps no NUL in texts.
    let text = String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}");
    (!text.is_empty()).then_some(text)
}

/// A failure with all its causes, without the URL's query, which may hold secrets.
fn explain(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() {
        "the receiver did not answer in time"
    } else if error.is_connect() {
        "the receiver can not be reached"
    } else {
        "the connection broke off"
    };
    let mut text = kind.to_owned();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text.chars().take(500).collect()
}
