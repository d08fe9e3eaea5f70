//! What follows a request: attempts that were left are taken up, notifications are heeded, promises that found no order are
//! given up.

use futures::future::join_all;
use serde::Deserialize;

use super::{
    drive::checkout,
    model::CheckoutResult,
    requests::{self, Paying, RequestResult},
    service::{self, Checkout, Ending, GIVE_UP, Surface},
};
use crate::{
    carts,
    error::{Code, Error, Result},
    fulfilment,
    http::{
        Call, Reply, State,
        idempotency::{Fingerprint, Key},
    },
    jobs::{Job, Runner, Verdict},
    kernel::ids::{CartId, PaymentId, PaymentRequestId},
    payments::{
        self, Decline, NOTIFIED, Notification, Outcome, PATIENCE, Payment, Provider, ProviderError, Trouble, patiently,
    },
};

/// How many attempts are looked up at once: a provider that does not answer holds none of the others up.
const AT_ONCE: i64 = 16;
/// The decline code of an attempt that staff have given up.
const GIVEN_UP: &str = "given_up";

/// What became of an attempt.
#[derive(Debug)]
pub(super) enum Became {
    /// Of one to pay a cart.
    Cart(CheckoutResult),
    /// Of one to pay what was asked for after the order.
    Request(RequestResult),
}

/// Asks the provider what became of an attempt that this process has claimed, and settles it. When that can not be found
/// out or not be written, it is tried again later, each time after a longer pause, and shown to staff.
pub(super) async fn look_up(state: &State, payment: Payment) -> Result<Became> {
    let settled = match ask_again(state, &payment).await {
        Ok(outcome) => settle(state, payment.clone(), outcome).await,
        Err(error) => Err(error),
    };
    match settled {
        Err(error) if error.code() != Code::LeaseLost => put_off(state, payment, error.to_string()).await,
        settled => settled,
    }
}

/// What the provider says became of an attempt; or what we say, once it is being ended.
async fn ask_again(state: &State, payment: &Payment) -> Result<Outcome> {
    let provider = payments::providers(state).of(payment)?;
    if let Some(why) = &payment.ending {
        let decline = Decline { code: why.clone(), retryable: true };
        let Err(error) = end_at_provider(state, payment, decline.clone(), provider.as_ref()).await else {
            return Ok(Outcome::Declined(decline));
        };
        // What is over at the provider already needs no void.
        return match patiently(PATIENCE, provider.lookup(payment)).await {
            Ok(Outcome::Declined(theirs)) if theirs.code != payments::NOT_FOUND => Ok(Outcome::Declined(decline)),
            _ => Err(error),
        };
    }
    let outcome = patiently(PATIENCE, provider.lookup(payment)).await.map_err(Error::internal)?;
    match service::timed_out(payment, outcome, state.clock.now()) {
        Outcome::Unknown => Err(Error::internal("the provider does not know yet")),
        // The question may still be under way, the customer may still come back: it must not become a promise afterwards.
        Outcome::Declined(decline)
            if decline.code == payments::NOT_FOUND || decline.code == service::ACTION_TIMED_OUT =>
        {
            end_at_provider(state, payment, decline, provider.as_ref()).await
        }
        outcome => Ok(outcome),
    }
}

/// Ends an attempt as its provider is told. As long as that does not say yes, the attempt is open.
async fn end_at_provider(
    state: &State,
    payment: &Payment,
    decline: Decline,
    provider: &dyn Provider,
) -> Result<Outcome> {
    tell_end(state, payment, &decline.code, provider).await?.map_err(Error::internal)?;
    Ok(Outcome::Declined(decline))
}

/// Tells the provider that an attempt is over. This is noted before: a void that is under way can not be called back, so from
/// then on nothing else comes of the attempt, whoever takes it up and whatever the provider has promised meanwhile. Only
/// where the provider refuses, and its promise stands as it stood, the note is taken back.
async fn tell_end(
    state: &State,
    payment: &Payment,
    why: &str,
    provider: &dyn Provider,
) -> Result<Result<(), ProviderError>> {
    if payment.ending.is_none() {
        note_end(state, payment, Some(why.to_owned())).await?;
    }
    let told = void(payment, provider).await;
    if matches!(told, Err(ProviderError::Refused(_))) {
        note_end(state, payment, None).await?;
    }
    Ok(told)
}

async fn note_end(state: &State, payment: &Payment, why: Option<String>) -> Result<()> {
    let (id, attempt, now) = (payment.id, payment.attempt, state.clock.now());
    match state.db.write(move |tx| payments::ending(tx, now, id, attempt, why.as_deref())).await? {
        true => Ok(()),
        false => Err(service::late()),
    }
}

async fn void(payment: &Payment, provider: &dyn Provider) -> Result<(), ProviderError> {
    let operation = payments::Operation::void_all(payment);
    patiently(PATIENCE, provider.void(payment, &operation)).await
}

/// What settling an attempt needs, when it is not the one who began it that settles it.
async fn checkout_of(state: &State, cart: CartId) -> Result<Checkout> {
    let channel = state.db.read(move |tx| Ok(carts::load(tx, cart)?.channel)).await?;
    checkout(state, service::sweeper(), channel, cart).await
}

/// Settles an attempt that this process has claimed, with an outcome at hand.
async fn settle(state: &State, payment: Payment, outcome: Outcome) -> Result<Became> {
    if payment.request().is_some() {
        let paying = Paying::of(state);
        let settled = state.db.write(move |tx| requests::settle(tx, &paying, &payment, &outcome));
        return settled.await.map(Became::Request);
    }
    let checkout = checkout_of(state, payment.cart_id).await?;
    let settled = state.db.write(move |tx| service::settle(tx, &checkout, &payment, &outcome, None, None));
    settled.await.map(Became::Cart)
}

/// Leaves an attempt for later.
async fn put_off(state: &State, payment: Payment, error: String) -> Result<Became> {
    tracing::warn!(payment = %payment.id, error, "an attempt to pay could not be settled; it is tried again");
    let (now, seconds) = (state.clock.now(), state.settings.checkout.lease_seconds);
    let trouble = Trouble::again(payment.details.trouble.as_ref(), now, error, seconds);
    let (id, attempt, cart_id) = (payment.id, payment.attempt, payment.cart_id);
    match state.db.write(move |tx| payments::put_off(tx, now, id, attempt, &trouble)).await? {
        true if payment.request().is_some() => Ok(Became::Request(RequestResult::Pending)),
        true => Ok(Became::Cart(CheckoutResult::Pending { cart_id })),
        false => Err(service::late()),
    }
}

/// Takes up the attempts whose lease has run out: their process died, the provider was slow, the customer is away.
async fn sweep(state: &State) -> Result<()> {
    let lease_seconds = state.settings.checkout.lease_seconds;
    loop {
        let now = state.clock.now();
        // A look first, on a reader: there is seldom something to do.
        if !state.db.read(move |tx| payments::any_due(tx, now)).await? {
            return Ok(());
        }
        let due = state.db.write(move |tx| payments::claim_due(tx, now, lease_seconds, AT_ONCE)).await?;
        // What another sweeper is taking at this moment is due, and left to it.
        let none = due.is_empty();
        join_all(due.into_iter().map(|payment| take_up(state, payment))).await;
        if none {
            return Ok(());
        }
    }
}

async fn take_up(state: &State, payment: Payment) {
    let id = payment.id;
    match look_up(state, payment).await {
        Ok(_) => {}
        Err(error) if error.code() == Code::LeaseLost => {}
        // Its lease runs out and it is taken again.
        Err(error) => tracing::warn!(payment = %id, %error, "an attempt to pay could not be put off"),
    }
}

/// A provider told what became of a payment.
async fn notified(state: State, job: Job) -> Result<Verdict> {
    let notification: Notification = serde_json::from_value(job.payload.clone())?;
    let now = state.clock.now();
    if let Some(notice) = notification.dispute.clone() {
        let fresh = fulfilment::Fresh::of(job.id);
        let heard = move |tx: &mut crate::db::Tx| match payments::key_of(tx, &notification)? {
            Some(key) => fulfilment::dispute_heard(tx, now, &fresh, &key, &notice),
            None => Ok(()),
        };
        state.db.write(heard).await?;
        return Ok(Verdict::Done);
    }
    if let Some(failed) = notification.refund_failed.clone() {
        let fresh = fulfilment::Fresh::of(job.id);
        let heard = move |tx: &mut crate::db::Tx| fulfilment::refund_failed(tx, now, &fresh, &failed);
        return match state.db.write(heard).await? {
            true => Ok(Verdict::Done),
            // The answer that it was taken on is not written yet.
            false => Ok(Verdict::Retry { error: "the refund is under way still".to_owned(), after_seconds: None }),
        };
    }
    let (key, lease_seconds) = (notification.our_key.clone(), state.settings.checkout.lease_seconds);
    let claimed = state.db.write(move |tx| payments::claim(tx, now, &key, lease_seconds)).await?;
    match claimed {
        // Whatever it promises for an attempt that is being ended: that is gone through with.
        Some(payment) if payment.ending.is_some() && !matches!(notification.outcome, Outcome::Declined(_)) => {
            look_up(&state, payment).await.map(|_| Verdict::Done)
        }
        // Something has happened to it that is better looked at.
        Some(payment) if notification.outcome == Outcome::Unknown || lacks_end(&state, &payment, &notification)? => {
            look_up(&state, payment).await.map(|_| Verdict::Done)
        }
        Some(payment) => settle(&state, payment, notification.outcome).await.map(|_| Verdict::Done),
        None => {
            let (key, authorised) = (notification.our_key, matches!(notification.outcome, Outcome::Authorised { .. }));
            // A promise for an attempt that we had ended: it is given up.
            let found = state
                .db
                .write(move |tx| if authorised { payments::late_promise(tx, now, &key) } else { Ok(None) })
                .await?;
            if let Some(payment) = found {
                return give_up(state, payment).await;
            }
            Ok(Verdict::Done)
        }
    }
}

/// Whether a promise is told without its end, which the provider tells whoever asks.
fn lacks_end(state: &State, payment: &Payment, told: &Notification) -> Result<bool> {
    let endless = matches!(told.outcome, Outcome::Authorised { expires_at: None, .. });
    Ok(endless && payments::providers(state).of(payment)?.looks_up_ends())
}

/// Whose attempt to pay is given up.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    /// A cart's.
    Cart(CartId),
    /// One for what was asked for after the order.
    Request(PaymentRequestId),
}

/// Ends the attempt to pay that staff see no end of. The provider is told first, so that it does not promise money
/// for what is open again.
pub(super) async fn give_up_attempt(call: Call, of: Of, force: bool, sent: &Fingerprint) -> Result<Reply> {
    let (state, key, now) = (call.state.clone(), call.idempotency_key(sent)?, call.now);
    let (actor, secret, looked) = (call.actor.clone(), state.secret.clone(), key.clone());
    let lease_seconds = state.settings.checkout.lease_seconds;
    let claim = move |tx: &mut crate::db::Tx| match looked.as_ref().map(|key| key.answered(tx, &secret)).transpose()? {
        Some(Some(reply)) => Ok(Err(reply)),
        _ => match of {
            Of::Cart(cart) => service::claim_attempt(tx, now, &actor, cart, lease_seconds).map(Ok),
            Of::Request(request) => requests::claim_attempt(tx, now, &actor, request, lease_seconds).map(Ok),
        },
    };
    let payment = match state.db.write(claim).await? {
        Ok(payment) => payment,
        Err(reply) => return Ok(reply),
    };
    let told = match payments::providers(&state).of(&payment) {
        Ok(provider) => tell_end(&state, &payment, GIVEN_UP, provider.as_ref()).await.map_err(settled_meanwhile)?,
        Err(error) => Err(ProviderError::NoAnswer(error.to_string())),
    };
    let ending = match told {
        Ok(()) => Ending::Declined,
        Err(ProviderError::Refused(_)) if force => Ending::Failed,
        Err(ProviderError::NoAnswer(_)) if force => Ending::Unheard,
        Err(error) => {
            put_off(&state, payment, error.to_string()).await.map_err(settled_meanwhile)?;
            let goes_on = match error {
                ProviderError::Refused(_) => "The attempt stands and may become an order yet",
                ProviderError::NoAnswer(_) => "It is told again until it answers, and no order comes of the attempt",
            };
            let detail = format!("{error}. {goes_on}; if it must end now, look into its records and send `force`");
            return Err(Error::conflict(detail));
        }
    };
    end_given_up(&call, of, payment, ending, key).await.map_err(settled_meanwhile)
}

/// Writes that an attempt has ended which staff have given up.
async fn end_given_up(call: &Call, of: Of, payment: Payment, ending: Ending, key: Option<Key>) -> Result<Reply> {
    let (state, secret) = (&call.state, call.state.secret.clone());
    let decline = Decline { code: GIVEN_UP.to_owned(), retryable: true };
    let checkout = match of {
        Of::Cart(cart) => Some(Checkout { actor: call.actor.clone(), ..checkout_of(state, cart).await? }),
        Of::Request(_) => None,
    };
    let paying = Paying::of(state).by_staff(call.actor.clone());
    let ended = state.db.write(move |tx| {
        if let Some(key) = &key {
            key.begin(tx, &secret)?;
        }
        let reply = match &checkout {
            Some(checkout) => {
                let result = service::end(tx, checkout, &payment, ending, &decline)?;
                service::reply(&checkout.links(), checkout.context.now, &result, Surface::Ops)?
            }
            None => requests::end(tx, &paying, &payment, ending, &decline)?.reply()?,
        };
        if let Some(key) = &key {
            key.finish(tx, &secret, &reply)?;
        }
        Ok(reply)
    });
    ended.await
}

/// Who gives an attempt up is told that somebody else has settled it, and not of leases.
fn settled_meanwhile(error: Error) -> Error {
    match error.code() {
        Code::LeaseLost => {
            Error::conflict("somebody else has settled this payment meanwhile: read anew what it was for")
        }
        _ => error,
    }
}

/// What a `checkout.give-up` job knows.
#[derive(Deserialize)]
struct GiveUp {
    payment: PaymentId,
}

/// Gives money up that found no order, whether it is promised or nobody knows.
async fn give_up(state: State, payment: Payment) -> Result<Verdict> {
    let provider = payments::providers(&state).of(&payment)?;
    if let Err(error) = void(&payment, provider.as_ref()).await {
        return Ok(Verdict::Retry { error: error.to_string(), after_seconds: None });
    }
    let (id, now) = (payment.id, state.clock.now());
    state.db.write(move |tx| payments::given_up(tx, now, id)).await?;
    Ok(Verdict::Done)
}

/// Registers what goes on behind requests.
pub fn work(state: &State, runner: &mut Runner) {
    let sweeping = state.clone();
    runner.every("checkout.sweep", 2, move |_| {
        let state = sweeping.clone();
        async move { sweep(&state).await }
    });
    let notifying = state.clone();
    runner.handle(NOTIFIED, move |job| notified(notifying.clone(), job));
    let giving_up = state.clone();
    runner.handle(GIVE_UP, move |job| {
        let state = giving_up.clone();
        async move {
            let GiveUp { payment } = serde_json::from_value(job.payload.clone())?;
            let payment = state.db.read(move |tx| service::payment(tx, payment)).await?;
            give_up(state, payment).await
        }
    });
    let expiring = state.clone();
    runner.every("carts.expire", 60, move |now| {
        let state = expiring.clone();
        async move {
            while state.db.write_in(crate::db::Lane::Bulk, move |tx| carts::expire(tx, now, 100)).await? == 100 {}
            Ok(())
        }
    });
}
