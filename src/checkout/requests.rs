//! Paying what was asked for after the order, in the same steps as a cart is paid: an attempt is written under a key of ours, the provider is
//! asked outside any transaction, and its answer is written by whoever has the attempt then. What stops in between is picked up by the same
//! sweep and the same notifications; the end is always a promise that is the order's, or money given up and a request that can be paid again.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::{
    follow_up::{self, Became},
    model::PaymentChoice,
    paying,
    service::{self, ASK_EVERY_SECONDS, Ending, Found, PAYMENT_LINK},
};
use crate::{
    channels::Channel,
    credit::ON_ACCOUNT,
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{
        Fresh,
        requests::{self, Begun, Promised},
    },
    http::{
        Reply, State, answered_before,
        idempotency::{self, Begun as KeyBegun, Key},
        seal::Secret,
    },
    jobs,
    kernel::{
        Actor, Id, Instant, Money,
        ids::{CartId, EventId, JobId, PaymentId, PaymentRequestId},
    },
    orders::OrderDocument,
    payments::{
        self, Action, Decline, NewPayment, Outcome, PATIENCE, Payment, PaymentDetails, PaymentState, Provider,
        requests::{PaymentRequest, PaymentRequestState},
    },
    stored_value::{GIFT_CARD, STORE_CREDIT},
};

/// The decline code of a promise that came when so much was not owed any more.
const NOT_OWED: &str = "not_owed";

/// What became of an attempt to pay a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "result", rename_all = "snake_case")]
#[schema(as = PaymentRequestResult)]
pub enum RequestResult {
    /// The money is promised.
    Paid {
        /// How much.
        amount: Money,
    },
    /// The customer has to act first; pay again to see what came of it.
    ActionRequired {
        /// What they have to do.
        action: Action,
    },
    /// It came to nothing; the request can be paid again, unless so much is not owed any more.
    PaymentFailed {
        /// Why.
        decline: Decline,
    },
    /// The provider has not answered yet: ask again.
    Pending,
}

impl RequestResult {
    /// The answer.
    pub(super) fn reply(&self) -> Result<Reply> {
        match self {
            Self::Paid { .. } | Self::PaymentFailed { .. } => Reply::ok(self),
            // What the provider's script needs is nobody else's business.
            Self::ActionRequired { .. } => Ok(Reply::accepted(self)?.retry_after(2).secret()),
            Self::Pending => Ok(Reply::accepted(self)?.retry_after(2)),
        }
    }
}

/// What the transactions need from outside.
#[derive(Clone)]
pub(super) struct Paying {
    actor: Actor,
    secret: Arc<Secret>,
    now: Instant,
    /// For so long one process alone asks the provider.
    lease_seconds: i64,
    /// Of the event that an attempt is begun; what comes of it has others.
    event: EventId,
    fresh: Fresh,
    job: JobId,
    /// Whether the provider has been asked on behalf of this request, and whether it has waited for somebody else as long as it may.
    asked: bool,
    waited: bool,
}

impl Paying {
    pub(super) fn of(state: &State) -> Self {
        Self {
            actor: Actor::System(PAYMENT_LINK),
            secret: state.secret.clone(),
            now: state.clock.now(),
            lease_seconds: state.settings.checkout.lease_seconds,
            event: Id::new(),
            fresh: Fresh::new(),
            job: Id::new(),
            asked: false,
            waited: false,
        }
    }

    /// The same for staff who end an attempt.
    pub(super) fn by_staff(self, actor: Actor) -> Self {
        Self { actor, ..self }
    }

    fn by(&self) -> (Instant, &Actor) {
        (self.now, &self.actor)
    }
}

/// Whether a request can be paid by a method: one by which somebody promises money from outside.
pub(super) fn pays(method: &str) -> bool {
    !payments::is_by_hand(method) && ![GIFT_CARD, STORE_CREDIT, ON_ACCOUNT].contains(&method)
}

/// Pays a request.
pub(super) async fn pay(
    state: &State,
    channel: &Channel,
    (request, order): (&PaymentRequest, &OrderDocument),
    choice: &PaymentChoice,
    key: Option<Key>,
) -> Result<Reply> {
    let provider = provider_of(state, channel, request, &choice.method)?;
    let (mut paying, id, begun) = (Paying::of(state), PaymentId::new(), std::time::Instant::now());
    loop {
        let new = attempt(&paying, id, (request, order), choice, key.as_ref());
        match begin(state, &paying, key.as_ref(), request.id, &new).await? {
            Step::Answer(reply) => return Ok(*reply),
            Step::Ask => return ask(state, paying, paying_of(&new, state), provider.as_ref()).await,
            Step::LookUp(payment) => {
                let customer_acts = payment.state == PaymentState::ActionRequired;
                paying.asked = true;
                match follow_up::look_up(state, *payment).await {
                    Ok(Became::Request(RequestResult::Pending)) if !customer_acts => {
                        return RequestResult::Pending.reply();
                    }
                    // What has been settled, by us or by somebody faster, is seen in the next round.
                    Ok(_) => {}
                    Err(error) if error.code() == Code::LeaseLost => {}
                    Err(error) => return Err(error),
                }
            }
            Step::Busy if begun.elapsed() < PATIENCE => state.db.written(Duration::from_millis(50)).await,
            Step::Busy if !paying.waited => paying.waited = true,
            Step::Busy => return RequestResult::Pending.reply(),
        }
        paying.now = state.clock.now();
    }
}

fn paying_of(new: &NewPayment, state: &State) -> Payment {
    paying::opened(new, state.clock.now())
}

/// The provider of the method that was chosen.
fn provider_of(state: &State, channel: &Channel, request: &PaymentRequest, method: &str) -> Result<Arc<dyn Provider>> {
    let refused = |detail: String| Error::problem(Code::PaymentMethodUnavailable, detail).at("/payment/method");
    channel.offers_payment(method).map_err(|error| error.at("/payment/method"))?;
    if !pays(method) {
        return Err(refused(format!("`{method}` does not pay a link: choose one of its payment_methods")));
    }
    let unknown = || Error::problem(Code::ProviderUnknown, format!("there is no provider `{method}`"));
    let provider = payments::providers(state).get(method).ok_or_else(|| unknown().at("/payment/method"))?;
    match provider.refusal(request.amount) {
        Some(reason) => Err(refused(reason)),
        None => Ok(provider),
    }
}

/// The attempt about to be written.
fn attempt(
    paying: &Paying,
    id: PaymentId,
    (request, order): (&PaymentRequest, &OrderDocument),
    choice: &PaymentChoice,
    key: Option<&Key>,
) -> NewPayment {
    NewPayment {
        id,
        cart: order.cart_id.unwrap_or_else(|| CartId::from_bytes(*order.id.bytes())),
        order: None,
        provider: choice.method.to_string(),
        our_key: id.to_string(),
        amount: request.amount,
        state: PaymentState::Pending,
        provider_ref: None,
        lease_until: Some(paying.now.plus_seconds(paying.lease_seconds)),
        idempotency_id: key.map(|key| key.id),
        expires_at: None,
        due_at: None,
        details: PaymentDetails {
            instrument: choice.instrument.as_ref().map(ToString::to_string),
            return_url: choice.return_url.as_ref().map(ToString::to_string),
            checkout: Payment::memory_of(request),
            ..PaymentDetails::default()
        },
    }
}

/// What the first transaction came to.
enum Step {
    /// There is an answer.
    Answer(Box<Reply>),
    /// The provider has to be asked.
    Ask,
    /// The provider has to be asked what became of an attempt that somebody else had left.
    LookUp(Box<Payment>),
    /// Somebody else is asking the provider: come again.
    Busy,
}

/// Runs the first transaction. What is only `Busy` is rolled back, so that the request's key is not taken while it waits.
async fn begin(
    state: &State,
    paying: &Paying,
    key: Option<&Key>,
    request: PaymentRequestId,
    new: &NewPayment,
) -> Result<Step> {
    let busy = || Error::problem(Code::IdempotencyInProgress, "it is being paid").retry_after(1);
    let (paying, taken, new) = (paying.clone(), key.cloned(), new.clone());
    let written = state.db.write(move |tx| match begun(tx, &paying, taken.as_ref(), request, &new)? {
        Step::Busy => Err(busy()),
        step => Ok(step),
    });
    match written.await {
        Err(error) if error.code() == Code::IdempotencyInProgress => Ok(Step::Busy),
        Err(error) => Ok(Step::Answer(Box::new(answered_before(state, key.cloned(), error).await?))),
        done => done,
    }
}

fn begun(tx: &mut Tx, paying: &Paying, key: Option<&Key>, request: PaymentRequestId, new: &NewPayment) -> Result<Step> {
    if let Some(key) = key
        && let KeyBegun::Replay(reply) = key.begin(tx, &paying.secret)?
    {
        return Ok(Step::Answer(reply));
    }
    let answer = |tx: &mut Tx, result: RequestResult| {
        let reply = result.reply()?;
        if let Some(key) = key {
            key.finish(tx, &paying.secret, &reply)?;
        }
        Ok(Step::Answer(Box::new(reply)))
    };
    let payment = match requests::begin(tx, paying.by(), paying.event, request, new)? {
        Begun::Attempt => return Ok(Step::Ask),
        Begun::Paid(request) => return answer(tx, RequestResult::Paid { amount: request.amount }),
        Begun::UnderWay(payment) => payment,
    };
    match service::found_open(&payment, paying.now, (paying.asked, paying.waited)) {
        Found::Busy => Ok(Step::Busy),
        Found::Acts(action) => answer(tx, RequestResult::ActionRequired { action }),
        Found::Left => {
            if let Some(key) = key {
                // It is taken again with the answer: what is looked up ends under the key of whoever began it.
                idempotency::release(tx, key.id)?;
            }
            let claimed = payments::claim(tx, paying.now, &payment.our_key, paying.lease_seconds)?;
            Ok(claimed.map_or(Step::Busy, |payment| Step::LookUp(Box::new(payment))))
        }
    }
}

/// Asks the provider for the money and settles its answer.
async fn ask(state: &State, paying: Paying, payment: Payment, provider: &dyn Provider) -> Result<Reply> {
    let outcome = match payments::patiently(PATIENCE, provider.authorise(&payment)).await {
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::warn!(payment = %payment.id, %error, "the provider's answer is not known; the sweep will ask again");
            Outcome::Unknown
        }
    };
    let (seen, is_promised) = (payment.clone(), matches!(outcome, Outcome::Authorised { .. }));
    let paying = Paying { now: state.clock.now(), ..paying };
    match state.db.write(move |tx| settle(tx, &paying, &payment, &outcome)).await {
        Ok(result) => result.reply(),
        Err(error) if error.code() == Code::LeaseLost => overtaken(state, seen, is_promised).await,
        Err(error) => Err(error),
    }
}

/// The sweep, a notification or another request has taken the attempt over: waits for what they make of it.
async fn overtaken(state: &State, payment: Payment, is_promised: bool) -> Result<Reply> {
    let (id, begun) = (payment.id, std::time::Instant::now());
    while begun.elapsed() < PATIENCE {
        let now = state.db.read(move |tx| service::payment(tx, id)).await?;
        if now.order_id.is_some() {
            return RequestResult::Paid { amount: now.amount }.reply();
        }
        if let Some(action) = now.details.action.filter(|_| now.state == PaymentState::ActionRequired) {
            return RequestResult::ActionRequired { action }.reply();
        }
        if !now.state.is_open() {
            break;
        }
        state.db.written(Duration::from_millis(50)).await;
    }
    if is_promised {
        // They may have ended the attempt, not knowing of this promise.
        let (now, job) = (state.clock.now(), Id::new());
        state.db.write(move |tx| service::give_up_late(tx, now, job, &payment.our_key)).await?;
    }
    RequestResult::Pending.reply()
}

/// What the provider's answer makes of an attempt.
pub(super) fn settle(tx: &mut Tx, paying: &Paying, payment: &Payment, outcome: &Outcome) -> Result<RequestResult> {
    let result = match outcome {
        Outcome::Unknown => return Ok(RequestResult::Pending),
        Outcome::Declined(decline) => return end(tx, paying, payment, Ending::Declined, decline),
        Outcome::Authorised { provider_ref, expires_at } => {
            let told = (provider_ref.as_deref(), *expires_at);
            match requests::promised(tx, paying.by(), &paying.fresh, payment, told)? {
                Promised::Late => return Err(service::late()),
                Promised::Paid(request) => RequestResult::Paid { amount: request.amount },
                Promised::NotOwed => {
                    jobs::enqueue(tx, paying.now, vec![service::give_up_job(paying.now, paying.job, payment.id)])?;
                    let decline = Decline { code: NOT_OWED.to_owned(), retryable: false };
                    RequestResult::PaymentFailed { decline }
                }
            }
        }
        Outcome::ActionRequired(action, reference) => {
            let again = paying.now.plus_seconds(ASK_EVERY_SECONDS);
            let (id, attempt) = (payment.id, payment.attempt);
            if !payments::action_required(tx, paying.now, id, attempt, action, reference.as_deref(), again)? {
                return Err(service::late());
            }
            RequestResult::ActionRequired { action: action.clone() }
        }
    };
    remember(tx, paying, payment, &result)?;
    Ok(result)
}

/// Ends an attempt that this process has claimed, for good: the request can be paid again.
pub(super) fn end(
    tx: &mut Tx,
    paying: &Paying,
    payment: &Payment,
    ending: Ending,
    decline: &Decline,
) -> Result<RequestResult> {
    requests::failed(tx, paying.by(), paying.fresh.first(), payment)?;
    let (now, id, attempt) = (paying.now, payment.id, payment.attempt);
    let ended = match ending {
        Ending::Declined => payments::declined(tx, now, id, attempt, decline)?,
        Ending::Failed | Ending::Unheard => payments::failed(tx, now, id, attempt, decline)?,
    };
    if !ended {
        return Err(service::late());
    }
    if ending == Ending::Unheard {
        jobs::enqueue(tx, now, vec![service::give_up_job(now, paying.job, id)])?;
    }
    let result = RequestResult::PaymentFailed { decline: decline.clone() };
    remember(tx, paying, payment, &result)?;
    Ok(result)
}

/// Stores the answer for whoever began an attempt.
fn remember(tx: &mut Tx, paying: &Paying, payment: &Payment, result: &RequestResult) -> Result<()> {
    let Some(key) = payment.idempotency_id else { return Ok(()) };
    idempotency::finish(tx, &paying.secret, key, &result.reply()?)
}

/// Takes the open attempt to pay a request from whoever holds it: what they find out comes too late.
pub(super) fn claim_attempt(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    id: PaymentRequestId,
    seconds: i64,
) -> Result<Payment> {
    let request = payments::requests::find(tx, id)?;
    if !actor.sees_channel(request.channel_id) {
        return Err(Error::not_found("payment request"));
    }
    let under_way = request.payment_id.filter(|_| request.state == PaymentRequestState::Paying);
    let claimed = match under_way {
        Some(payment) => {
            let our_key = service::payment(tx, payment)?.our_key;
            payments::claim(tx, now, &our_key, seconds)?
        }
        None => None,
    };
    claimed.ok_or_else(|| Error::conflict("no attempt to pay this request is open"))
}
