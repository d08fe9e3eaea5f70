//! An event as the request that tells of it. Pure.

use standardwebhooks::Webhook;

use super::Secrets;
use crate::{
    error::{Error, Result},
    events::{self, Event},
    kernel::Instant,
};

/// What is posted, apart from the address.
#[derive(Debug)]
pub(super) struct Message {
    pub body: Vec<u8>,
    pub headers: Vec<(&'static str, String)>,
}

/// The body (a CloudEvent in its structured form) and the headers of Standard Webhooks.
pub(super) fn message(event: &Event, source: &str, secrets: &Secrets, now: Instant) -> Result<Message> {
    let body = serde_json::to_vec(&events::cloud_event(event, source))?;
    let (id, timestamp) = (event.id.to_string(), now.micros() / 1_000_000);
    let former = secrets.previous.iter().filter(|(_, until)| *until > now).map(|(secret, _)| secret);
    let signatures: Result<Vec<String>> = std::iter::once(&secrets.signing_secret)
        .chain(former)
        .map(|secret| Webhook::new(secret).and_then(|key| key.sign(&id, timestamp, &body)).map_err(Error::internal))
        .collect();
    let mut headers = vec![
        ("content-type", "application/cloudevents+json; charset=utf-8".to_owned()),
        ("webhook-id", id),
        ("webhook-timestamp", timestamp.to_string()),
        ("webhook-signature", signatures?.join(" ")),
    ];
    if let Some(value) = &secrets.authorization {
        headers.push(("authorization", value.clone()));
    }
    Ok(Message { body, headers })
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderName};
    use serde_json::json;

    use super::*;
    use crate::kernel::{Clock, Id};

    fn event(now: Instant) -> Event {
        Event {
            position: 7,
            id: Id::new(),
            stream: "order_1".into(),
            aggregate: "order".into(),
            aggregate_id: "order_1".into(),
            aggregate_version: 2,
            channel_id: None,
            kind: "order.placed.v1".into(),
            occurred_at: now,
            recorded_at: now,
            actor: "guest".into(),
            data: json!({"name": "Jörg"}),
        }
    }

    fn headers(message: &Message) -> HeaderMap {
        let pair = |(name, value): &(&'static str, String)| (HeaderName::from_static(name), value.parse().unwrap());
        message.headers.iter().map(pair).collect()
    }

    #[test]
    fn a_receiver_with_the_secret_verifies_it_and_the_former_secret_signs_along_for_a_day() {
        let now = Clock::system().now();
        let (new, old) = (super::super::fresh_secret(), super::super::fresh_secret());
        let mut secrets = Secrets { signing_secret: new.clone(), authorization: None, previous: None };
        let sent = message(&event(now), "https://shop.example", &secrets, now).unwrap();
        assert!(Webhook::new(&new).unwrap().verify(&sent.body, &headers(&sent)).is_ok());
        assert!(Webhook::new(&old).unwrap().verify(&sent.body, &headers(&sent)).is_err());
        secrets.previous = Some((old.clone(), now.plus_seconds(60)));
        let sent = message(&event(now), "https://shop.example", &secrets, now).unwrap();
        assert!(Webhook::new(&new).unwrap().verify(&sent.body, &headers(&sent)).is_ok());
        assert!(Webhook::new(&old).unwrap().verify(&sent.body, &headers(&sent)).is_ok());
        secrets.previous = Some((old.clone(), now));
        let sent = message(&event(now), "https://shop.example", &secrets, now).unwrap();
        assert!(Webhook::new(&old).unwrap().verify(&sent.body, &headers(&sent)).is_err());
    }
}
