//! Where providers tell what became of a payment. They sign in by their signature alone.

use actix_web::{HttpRequest, post, web};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    provider::{Headers, Notification, providers},
    sandbox, taxes,
};
use crate::{
    error::{Error, Result},
    http::{Mount, Reply, State, small_body},
    jobs::{self, NewJob},
    kernel::{Instant, ids::JobId},
};

/// The kind of the job that a provider's notification becomes. Its payload is a [`Notification`].
pub const NOTIFIED: &str = "payment.notified";

/// The largest notification.
const BODY_LIMIT: usize = 64 << 10;

/// Where providers notify us.
pub const WEBHOOKS: &str = "/v1/webhooks/payments/{provider}";

/// Takes a provider's notification: verified, written down as a job, and answered at once.
#[post("/v1/webhooks/payments/{provider}")]
async fn notify(
    request: HttpRequest,
    provider: web::Path<String>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<Reply> {
    let code = provider.into_inner();
    let provider = providers(&state).get(&code).ok_or_else(|| Error::not_found("payment provider"))?;
    let body = small_body(&state, payload, BODY_LIMIT).await?;
    let Some(notification) = provider.verify_webhook(&headers(&request), &body)? else {
        return Reply::accepted(&json!({"status": "ignored"}));
    };
    let (now, job) = (state.clock.now(), job(state.clock.now(), &code, &notification)?);
    match state.db.write(move |tx| jobs::enqueue(tx, now, vec![job.clone()])).await {
        // The same message is waiting to be worked on already.
        Err(error) if error.is_unique_violation() => {}
        other => other?,
    }
    Reply::accepted(&json!({"status": "accepted"}))
}

fn headers(request: &HttpRequest) -> Headers {
    let text = |value: &actix_web::http::header::HeaderValue| value.to_str().ok().map(str::to_owned);
    request.headers().iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect()
}

/// The job's id follows from the message's, so that a message that comes twice waits once.
fn job(now: Instant, provider: &str, notification: &Notification) -> Result<NewJob> {
    let mut hash = Sha256::new();
    hash.update(provider);
    hash.update([0]);
    hash.update(&notification.id);
    let mut id = [0; 16];
    id.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    let job = NewJob::now(NOTIFIED, now, serde_json::to_value(notification)?);
    Ok(NewJob { id: JobId::from_bytes(id), ..job }.in_order(order_of(provider, notification)))
}

/// What the messages of one payment have in common, so that they are worked on one after another: our key of it, or what the provider
/// calls it. What names no payment is in order with nothing else: one message that fails must not hold up those of other payments.
fn order_of(provider: &str, notification: &Notification) -> String {
    let Notification { id, our_key, provider_ref, .. } = notification;
    match provider_ref {
        _ if !our_key.is_empty() => our_key.clone(),
        Some(name) if !name.is_empty() => format!("{provider}:{name}"),
        _ => format!("{provider}:{id}"),
    }
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    sandbox::api::ops(config);
    taxes::ops(config);
}

/// The routes that belong to no surface.
pub fn webhooks(config: &mut web::ServiceConfig) {
    config.service(notify);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::Outcome;

    #[test]
    fn messages_of_different_payments_wait_for_each_other_never() {
        let told = |id: &str, our_key: &str, name: Option<&str>| Notification {
            id: id.to_owned(),
            our_key: our_key.to_owned(),
            provider_ref: name.map(str::to_owned),
            outcome: Outcome::Unknown,
            dispute: None,
            refund_failed: None,
        };
        let order = |told: &Notification| order_of("stripe", told);
        assert_eq!(order(&told("evt_1", "key", Some("pi_1"))), "key");
        assert_eq!(order(&told("evt_1", "", Some("pi_1"))), order(&told("evt_2", "", Some("pi_1"))));
        assert_ne!(order(&told("evt_1", "", Some("pi_1"))), order(&told("evt_2", "", Some("pi_2"))));
        assert_ne!(order(&told("evt_1", "", None)), order(&told("evt_2", "", None)));
    }
}
