//! The request itself: sent, timed, judged.

use std::time::Instant as Moment;

use super::{Secrets, Settings, map};
use crate::{
    connectors::ports::{Delivery, Ending, Outcome},
    error::Result,
    http::{Trace, network, seal},
    kernel::{Instant, stored},
};

/// Posts one event.
pub(super) async fn push(delivery: Delivery<'_>) -> Outcome {
    let begun = Moment::now();
    let mut outcome = Outcome::ended(Ending::Failed { after_seconds: None, outage: false });
    match request(delivery, &mut outcome) {
        Err(error) => outcome.error = Some(error.to_string()),
        Ok(request) => match request.send().await {
            Err(error) => {
                outcome.ending = Ending::Failed { after_seconds: None, outage: true };
                outcome.error = Some(network::explain(&error));
            }
            Ok(response) => judge(&mut outcome, response, delivery.to.now).await,
        },
    }
    outcome.duration_ms = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
    outcome
}

fn request(delivery: Delivery<'_>, outcome: &mut Outcome) -> Result<reqwest::RequestBuilder> {
    let to = delivery.to;
    let settings: Settings = stored::from_value(to.settings)?;
    let secrets: Secrets = stored::from_value(to.secrets)?;
    let url = super::parse_url(&settings.url)?;
    let message = map::message(delivery.event, to.source, &secrets, to.now)?;
    outcome.sent_sha256 = seal::sha256_hex(&message.body);
    let client = to.network.client(&url, to.allow_private)?;
    let request = client.post(url).header("traceparent", Trace::traceparent()).body(message.body);
    Ok(message.headers.into_iter().fold(request, |request, (name, value)| request.header(name, value)))
}

async fn judge(outcome: &mut Outcome, mut response: reqwest::Response, now: Instant) {
    let status = response.status();
    let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let after_seconds = header.and_then(|value| network::retry_after(value, now));
    outcome.status = Some(i64::from(status.as_u16()));
    outcome.response = network::beginning(&mut response).await;
    outcome.ending = match status.as_u16() {
        200..=299 => Ending::Delivered,
        410 => Ending::Gone,
        // What it can not take as it is, it will not take the next time either.
        413 | 422 => Ending::Refused,
        status => Ending::Failed { after_seconds, outage: status >= 500 || matches!(status, 401 | 403 | 407 | 429) },
    };
    outcome.error = match status.as_u16() {
        200..=299 => None,
        410 => Some("the receiver answered 410 Gone: it wants no more events".into()),
        300..=399 => {
            Some(format!("the receiver answered {status}; redirects are not followed, give the final address"))
        }
        401 | 403 => Some(format!("the receiver answered {status}: check the secrets on both sides")),
        413 | 422 => Some(format!(
            "the receiver answered {status}: it does not take this event as it is; replay it once it does, or skip it"
        )),
        _ => Some(format!("the receiver answered {status}")),
    };
}
