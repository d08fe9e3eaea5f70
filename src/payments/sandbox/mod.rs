//! The sandbox: a provider that does as the payment's instrument says, for trying things out and for tests.
//!
//! It stands for a system outside: it keeps its own memory through its own transactions, and tells what it knows through
//! signed notifications like any other provider. What it never heard of and is told to give up, it refuses afterwards.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    disputes::DisputeNotice,
    model::{Action, Decline, Operation, OperationKind, Outcome, Payment},
    provider::{Answer, Headers, NOT_FOUND, Notification, Provider, ProviderError},
};
use crate::{
    db::Db,
    error::{Code, Error, Result},
    http::{
        State,
        seal::{self, Secret},
    },
    jobs::{Job, NewJob, Runner, Verdict},
    kernel::{Clock, Instant, Money},
};

pub mod api;
mod store;

/// The code of the sandbox provider.
pub const SANDBOX: &str = "sandbox";

/// The job that delivers one of the sandbox's notifications.
const DELIVER: &str = "sandbox.webhook";

/// How far a notification's time may be from ours, so that an old one can not be sent again.
const TOLERANCE_SECONDS: i64 = 300;

crate::words! {
    /// Where a payment stands in the sandbox.
    pub enum SandboxState {
        /// The customer has to act.
        Pending = "pending",
        /// Promised.
        Authorised = "authorised",
        /// Refused.
        Declined = "declined",
        /// Given up.
        Voided = "voided",
    }
}

/// What the sandbox believes about a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SandboxPayment {
    /// Our key of the payment.
    pub our_key: String,
    /// Where it stands.
    pub state: SandboxState,
    /// How much was asked for.
    pub amount: Money,
    /// How much of it is promised and was not given up.
    pub authorised: Money,
    /// How much was taken.
    pub captured: Money,
    /// How much of the promise was given up.
    pub voided: Money,
    /// How much was given back.
    pub refunded: Money,
    /// Until when the promise holds, where it has an end: nothing is taken of it after that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
}

/// Whether a promise that ends is given anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anew {
    Always,
    /// At the second time that it is asked for.
    Later,
    Never,
}

/// What an instrument makes the sandbox do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    /// Approve without remembering.
    Approve,
    /// Approve and remember.
    Recorded,
    /// Say no; `true` when another try makes sense.
    Decline(bool),
    /// Send the customer away first.
    Redirect,
    /// Send the customer away first, and refuse to give anything up.
    Keep,
    /// Send the customer away first, and hear only after so many seconds that something is given up.
    SlowVoid(u64),
    /// Approve without remembering; capture at once, and say so only after so many seconds the first time.
    SlowCapture(u64),
    /// Approve, and answer after so many seconds.
    Late(u64),
    /// Hear of it only after so many seconds, then approve.
    Slow(u64),
    /// Never hear of it and never answer.
    Hang,
    /// Can not be reached, whatever it is asked.
    Unreachable,
    /// Approve for so many seconds, and give the promise anew after that, or not.
    Expires(i64, Anew),
    /// Approve, and tell it twice more.
    Twice,
    /// Approve, and break off.
    Break,
    /// No such instrument.
    Unknown,
}

impl Script {
    fn of(payment: &Payment) -> Self {
        // Behind a `#` stands the card.
        let instrument = payment.details.instrument.as_deref();
        match instrument.map(|text| text.split_once('#').map_or(text, |(script, _)| script)) {
            None | Some("approve") => Self::Approve,
            Some("approve_recorded") => Self::Recorded,
            Some("decline") => Self::Decline(true),
            Some("decline_final") => Self::Decline(false),
            Some("redirect") => Self::Redirect,
            Some("redirect_keep") => Self::Keep,
            Some("hang") => Self::Hang,
            Some("unreachable") => Self::Unreachable,
            Some("twice") => Self::Twice,
            Some("error") => Self::Break,
            Some(other) => {
                let seconds = |prefix| other.strip_prefix(prefix)?.parse().ok().filter(|seconds| *seconds <= 3600);
                let late = seconds("late:").map(Self::Late).or_else(|| seconds("slow:").map(Self::Slow));
                let slow = || seconds("redirect_slow_void:").map(Self::SlowVoid);
                let until = |prefix: &str, anew| {
                    let seconds =
                        other.strip_prefix(prefix)?.parse().ok().filter(|seconds| (1..=31_536_000).contains(seconds));
                    seconds.map(|seconds| Self::Expires(seconds, anew))
                };
                let ends = || {
                    let never = until("expires_once:", Anew::Never);
                    until("expires:", Anew::Always).or(never).or_else(|| until("expires_later:", Anew::Later))
                };
                late.or_else(ends)
                    .or_else(slow)
                    .or_else(|| seconds("slow_capture:").map(Self::SlowCapture))
                    .unwrap_or(Self::Unknown)
            }
        }
    }

    /// The answer that needs no memory.
    fn fixed(self, payment: &Payment) -> Option<Outcome> {
        let no = |code: &str, retryable| Some(Outcome::Declined(Decline { code: code.to_owned(), retryable }));
        match self {
            Self::Approve | Self::SlowCapture(_) => {
                Some(Outcome::Authorised { provider_ref: Some(reference(&payment.our_key)), expires_at: None })
            }
            Self::Decline(true) => no("insufficient_funds", true),
            Self::Decline(false) => no("do_not_honour", false),
            Self::Unknown => no("instrument_unknown", true),
            _ => None,
        }
    }
}

/// What the sandbox calls a payment.
fn reference(our_key: &str) -> String {
    format!("sbx_{our_key}")
}

/// The provider.
pub(super) struct Sandbox {
    db: Db,
    clock: Clock,
    secret: Arc<Secret>,
    public_url: String,
}

impl Sandbox {
    pub(super) const fn new(db: Db, clock: Clock, secret: Arc<Secret>, public_url: String) -> Self {
        Self { db, clock, secret, public_url }
    }

    /// Remembers a payment, unless it is known. True when it was not; and what is remembered now.
    async fn remember(
        &self,
        payment: &Payment,
        state: SandboxState,
        notifications: usize,
    ) -> Result<(bool, SandboxPayment), ProviderError> {
        let (now, our_key, amount) = (self.clock.now(), payment.our_key.clone(), payment.amount);
        let until = match Script::of(payment) {
            Script::Expires(seconds, _) => Some(now.plus_seconds(seconds)),
            _ => None,
        };
        let jobs: Vec<NewJob> = (0..notifications).map(|_| notification_job(now, &our_key)).collect();
        let remembered = self.db.write(move |tx| {
            let fresh = store::insert(tx, now, &our_key, state, (amount, until))?;
            if fresh {
                crate::jobs::enqueue(tx, now, jobs.clone())?;
            }
            let known = store::get(tx, &our_key)?.ok_or_else(|| Error::internal("a payment that was just written"))?;
            Ok((fresh, known))
        });
        remembered.await.map_err(|error| no_answer(&error))
    }

    /// What a payment that is remembered looks like from outside.
    fn outcome(&self, known: &SandboxPayment) -> Outcome {
        outcome(known, &self.public_url)
    }

    async fn authorise(&self, payment: &Payment) -> Result<Outcome, ProviderError> {
        let script = reached(payment)?;
        if let Some(fixed) = script.fixed(payment) {
            return Ok(fixed);
        }
        let (state, notifications) = match script {
            Script::Redirect | Script::Keep | Script::SlowVoid(_) => (SandboxState::Pending, 0),
            Script::Twice => (SandboxState::Authorised, 2),
            Script::Hang => std::future::pending().await,
            Script::Slow(seconds) => {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                (SandboxState::Authorised, 0)
            }
            _ => (SandboxState::Authorised, 0),
        };
        let (fresh, known) = self.remember(payment, state, notifications).await?;
        match script {
            Script::Late(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            Script::Break if fresh => return Err(ProviderError::NoAnswer("the connection broke off".to_owned())),
            _ => {}
        }
        Ok(self.outcome(&known))
    }

    async fn lookup(&self, payment: &Payment) -> Result<Outcome, ProviderError> {
        reached(payment)?;
        let our_key = payment.our_key.clone();
        let known = self.db.read(move |tx| store::get(tx, &our_key)).await.map_err(|error| no_answer(&error))?;
        let unheard = || Outcome::Declined(Decline { code: NOT_FOUND.to_owned(), retryable: true });
        Ok(match known {
            Some(known) => self.outcome(&known),
            None => Script::of(payment).fixed(payment).unwrap_or_else(unheard),
        })
    }

    async fn operate(&self, payment: &Payment, operation: &Operation) -> Result<(), ProviderError> {
        let (script, voids) = (reached(payment)?, operation.kind == OperationKind::Void);
        if script == Script::Keep && voids {
            return Err(ProviderError::Refused("the sandbox keeps this promise".to_owned()));
        }
        let captures = operation.kind == OperationKind::Capture;
        let (now, payment, operation) = (self.clock.now(), payment.clone(), operation.clone());
        // What was approved without memory is remembered from its first operation on.
        let approves = matches!(script, Script::Approve | Script::SlowCapture(_));
        if let (Script::SlowVoid(seconds), true) = (script, voids) {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        let done = self.db.write(move |tx| store::operate(tx, now, &payment, &operation, approves));
        let fresh = done.await.map_err(|error| match error.code() {
            Code::StateConflict => ProviderError::Refused(error.to_string()),
            _ => no_answer(&error),
        })?;
        if let (Script::SlowCapture(seconds), true) = (script, captures && fresh) {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        Ok(())
    }
}

/// The script of a payment, when the sandbox can be reached at all.
fn reached(payment: &Payment) -> Result<Script, ProviderError> {
    match Script::of(payment) {
        Script::Unreachable => Err(ProviderError::NoAnswer("the sandbox can not be reached".to_owned())),
        script => Ok(script),
    }
}

fn no_answer(error: &Error) -> ProviderError {
    ProviderError::NoAnswer(error.to_string())
}

fn outcome(known: &SandboxPayment, public_url: &str) -> Outcome {
    let reference = Some(reference(&known.our_key));
    let no = |code: &str| Outcome::Declined(Decline { code: code.to_owned(), retryable: true });
    match known.state {
        SandboxState::Pending => {
            let url = format!("{public_url}/v1/ops/sandbox/payments/{}", known.our_key);
            Outcome::ActionRequired(Action { r#type: "redirect".to_owned(), url, client_secret: None }, reference)
        }
        SandboxState::Authorised => Outcome::Authorised { provider_ref: reference, expires_at: known.expires_at },
        SandboxState::Declined => no("authentication_failed"),
        SandboxState::Voided => no("voided"),
    }
}

impl Provider for Sandbox {
    fn code(&self) -> &'static str {
        SANDBOX
    }

    fn card(&self, instrument: &str) -> Option<String> {
        instrument.split_once('#').map(|(_, card)| card.to_owned())
    }

    fn refusal(&self, amount: Money) -> Option<String> {
        (amount.minor() == 0).then(|| "there is nothing to pay: use `manual`".to_owned())
    }

    fn authorise<'a>(&'a self, payment: &'a Payment) -> Answer<'a, Outcome> {
        Box::pin(self.authorise(payment))
    }

    fn renew<'a>(&'a self, renewed: &'a Payment, _: &'a Payment) -> Answer<'a, Outcome> {
        let no = Decline { code: "expired_card".to_owned(), retryable: false };
        match Script::of(renewed) {
            Script::Expires(_, Anew::Never) => Box::pin(async { Ok(Outcome::Declined(no)) }),
            // Not at the first time it is asked.
            Script::Expires(_, Anew::Later) if renewed.attempt <= 1 => {
                let short = Decline { code: "insufficient_funds".to_owned(), retryable: true };
                Box::pin(async { Ok(Outcome::Declined(short)) })
            }
            _ => Box::pin(self.authorise(renewed)),
        }
    }

    fn capture<'a>(&'a self, payment: &'a Payment, operation: &'a Operation) -> Answer<'a, ()> {
        Box::pin(self.operate(payment, operation))
    }

    fn void<'a>(&'a self, payment: &'a Payment, operation: &'a Operation) -> Answer<'a, ()> {
        Box::pin(self.operate(payment, operation))
    }

    fn refund<'a>(&'a self, payment: &'a Payment, operation: &'a Operation) -> Answer<'a, ()> {
        Box::pin(self.operate(payment, operation))
    }

    fn lookup<'a>(&'a self, payment: &'a Payment) -> Answer<'a, Outcome> {
        Box::pin(self.lookup(payment))
    }

    fn verify_webhook(&self, headers: &Headers, body: &[u8]) -> Result<Option<Notification>> {
        let wrong = |detail: &str| Error::problem(Code::WebhookSignatureInvalid, detail.to_owned());
        let header = |name: &str| headers.get(name).ok_or_else(|| wrong(&format!("there is no {name}")));
        let (id, sent) = (header("webhook-id")?, header("webhook-timestamp")?);
        let seconds: i64 = sent.parse().map_err(|_| wrong("webhook-timestamp is no number of seconds"))?;
        let (_, token) =
            header("webhook-signature")?.split_once(',').ok_or_else(|| wrong("the signature has no version"))?;
        if !self.secret.is_token(PURPOSE, &signed_text(id, seconds, body), token) {
            return Err(wrong("the signature does not fit the body"));
        }
        if (self.clock.now().micros() / 1_000_000).abs_diff(seconds) > TOLERANCE_SECONDS.unsigned_abs() {
            return Err(wrong("the notification is too old or from the future"));
        }
        let notification: Notification = serde_json::from_slice(body)
            .map_err(|error| Error::problem(Code::BodyMalformed, format!("this is no notification: {error}")))?;
        Ok(Some(Notification { id: id.clone(), ..notification }))
    }
}

const PURPOSE: &str = "payments.sandbox.webhook";

fn signed_text(id: &str, seconds: i64, body: &[u8]) -> String {
    format!("{id}.{seconds}.{}", seal::sha256_hex(body))
}

/// The headers of a notification as the sandbox signs it: the names of Standard Webhooks.
#[must_use]
pub fn sign(secret: &Secret, id: &str, at: Instant, body: &[u8]) -> [(&'static str, String); 3] {
    let seconds = at.micros() / 1_000_000;
    let signature = format!("v1,{}", secret.token(PURPOSE, &signed_text(id, seconds, body)));
    [("webhook-id", id.to_owned()), ("webhook-timestamp", seconds.to_string()), ("webhook-signature", signature)]
}

fn notification_job(now: Instant, our_key: &str) -> NewJob {
    NewJob::now(DELIVER, now, json!({"our_key": our_key}))
}

/// The same that tells of a dispute.
fn dispute_job(now: Instant, our_key: &str, notice: &DisputeNotice) -> NewJob {
    NewJob::now(DELIVER, now, json!({"our_key": our_key, "dispute": notice}))
}

/// What the delivery of a notification knows.
#[derive(Deserialize)]
struct Delivery {
    our_key: String,
    #[serde(default)]
    dispute: Option<DisputeNotice>,
}

/// Tells our own endpoint what became of a payment.
async fn deliver(state: State, job: Job) -> Result<Verdict> {
    let Delivery { our_key, dispute } = serde_json::from_value(job.payload.clone())?;
    let known = state.db.read(move |tx| store::get(tx, &our_key)).await?;
    let Some(known) = known else { return Ok(Verdict::Done) };
    let base = state.public_url();
    // The same news has the same id, however often it is told.
    let id = match &dispute {
        None => format!("msg_{}_{}", known.our_key, known.state),
        Some(notice) => format!("msg_{}_{}_{}", known.our_key, notice.reference, notice.state),
    };
    let told = if dispute.is_some() { Outcome::Unknown } else { outcome(&known, &base) };
    let our_key = known.our_key.clone();
    let notification = Notification { id, our_key, provider_ref: None, outcome: told, dispute, refund_failed: None };
    let body = serde_json::to_vec(&notification)?;
    let mut request = state.client.post(format!("{base}/v1/webhooks/payments/{SANDBOX}"));
    for (name, value) in sign(&state.secret, &notification.id, state.clock.now(), &body) {
        request = request.header(name, value);
    }
    let request = request.header("traceparent", crate::http::Trace::traceparent());
    let sent = request.header("content-type", "application/json").body(body).send().await;
    Ok(match sent.and_then(reqwest::Response::error_for_status) {
        Ok(_) => Verdict::Done,
        Err(error) => Verdict::Retry { error: error.to_string(), after_seconds: None },
    })
}

/// Registers what the sandbox does behind requests.
pub fn work(state: &State, runner: &mut Runner) {
    let delivering = state.clone();
    runner.handle(DELIVER, move |job| deliver(delivering.clone(), job));
}
