//! Driving a checkout through its transactions and the provider, in a request and in the sweep behind it.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;

use super::{
    model::{CheckoutResult, CompleteRequest},
    place::Tickets,
    service::{self, Asked, Checkout, GIVE_UP, Seen, Step},
};
use crate::{
    carts::{self, Context},
    channels::Directory,
    db::Tx,
    error::{Code, Error, Result},
    http::{Call, Reply, State, answered_before, idempotency::Fingerprint, idempotency::Key},
    jobs::{Job, Runner, Verdict},
    kernel::{
        Actor, Id,
        ids::{CartId, ChannelId, PaymentId},
    },
    payments::{self, Decline, NOTIFIED, Notification, Outcome, Payment, Provider},
    pricing::Rules,
    stock::Locations,
};

/// How long a customer's request waits for the provider, or for somebody else who is completing the same cart.
const PATIENCE: Duration = Duration::from_secs(10);

/// Completes a cart within a request.
pub(super) async fn complete(
    call: Call,
    cart: CartId,
    request: CompleteRequest,
    fingerprint: &Fingerprint,
) -> Result<Reply> {
    let (channel, key) = (channel_of(&call, cart).await?, call.idempotency_key(fingerprint)?);
    complete_for(&call.state, call.actor.clone(), channel, cart, request, key).await
}

/// Completes a cart for an actor who has been authenticated: the whole of it, without HTTP.
///
/// # Errors
/// What stands in the way.
pub async fn complete_for(
    state: &State,
    actor: Actor,
    channel: ChannelId,
    cart: CartId,
    request: CompleteRequest,
    key: Option<Key>,
) -> Result<Reply> {
    let mut checkout = checkout(state, actor, channel, cart).await?;
    let method = request.payment.method.to_string();
    if !checkout.context.channel.settings.payment_methods.iter().any(|known| **known == *method) {
        let detail = format!("this channel does not offer `{method}`");
        return Err(Error::problem(Code::PaymentMethodUnavailable, detail).at("/payment/method"));
    }
    let unknown =
        || Error::problem(Code::ProviderUnknown, format!("there is no provider `{method}`")).at("/payment/method");
    let provider = payments::providers(state).get(&method).ok_or_else(unknown)?;
    let request = Arc::new(request);
    let begun = std::time::Instant::now();
    loop {
        match begin(state, &checkout, key.as_ref(), &request, &provider).await? {
            Step::Answer(reply) => return Ok(*reply),
            Step::Ask(asked) => return ask(state, checkout, *asked, provider).await,
            Step::LookUp(payment) => {
                match look_up(state, *payment).await {
                    Ok(result @ CheckoutResult::Pending { .. }) => return service::reply(&result),
                    // What has been settled, by us or by somebody faster, is seen in the next round.
                    Ok(_) => {}
                    Err(error) if error.code() == Code::LeaseLost => {}
                    Err(error) => return Err(error),
                }
            }
            Step::Busy if begun.elapsed() < PATIENCE => state.db.written(Duration::from_millis(50)).await,
            Step::Busy => return service::reply(&CheckoutResult::Pending { cart_id: cart }),
        }
        // Somebody else's lease may run out while this request waits for them.
        checkout.context.now = state.clock.now();
    }
}

/// The channel of a request: the storefront's, or for staff the cart's.
async fn channel_of(call: &Call, cart: CartId) -> Result<ChannelId> {
    if let Actor::Shopper(shopper) = &call.actor {
        return Ok(shopper.channel);
    }
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    Ok(call.read(move |tx| carts::find(tx, &actor, &secret, cart)).await?.channel)
}

/// What the transactions need from outside.
async fn checkout(state: &State, actor: Actor, channel: ChannelId, cart: CartId) -> Result<Checkout> {
    let channel = state.db.snapshot::<Directory>().await?.get(channel)?.clone();
    let context = Context { channel, rules: state.db.snapshot::<Rules>().await?, now: state.clock.now() };
    Ok(Checkout {
        actor,
        secret: state.secret.clone(),
        context,
        locations: state.db.snapshot::<Locations>().await?,
        lease_seconds: state.settings.checkout.lease_seconds,
        tickets: Tickets::new(cart, state.db.next_number("orders").await?),
    })
}

/// Runs transaction A. What is only `Busy` is rolled back, so that the request's key is not taken while it waits.
async fn begin(
    state: &State,
    checkout: &Checkout,
    key: Option<&Key>,
    request: &Arc<CompleteRequest>,
    provider: &Arc<dyn Provider>,
) -> Result<Step> {
    let busy = || Error::problem(Code::IdempotencyInProgress, "the cart is being completed").retry_after(1);
    let (looking, asked) = (checkout.clone(), request.clone());
    let look = move |tx: &mut Tx| service::look(tx, &looking, &asked);
    let (checkout, taken, request, provider) = (checkout.clone(), key.cloned(), request.clone(), provider.clone());
    let begin = move |tx: &mut Tx, seen: &Seen| match service::begin(
        tx,
        &checkout,
        taken.as_ref(),
        &request,
        provider.as_ref(),
        seen,
    )? {
        Step::Busy => Err(busy()),
        step => Ok(step),
    };
    match state.db.read_then_write(look, begin).await {
        Err(error) if error.code() == Code::IdempotencyInProgress => Ok(Step::Busy),
        Err(error) => Ok(Step::Answer(Box::new(answered_before(state, key.cloned(), error).await?))),
        done => done,
    }
}

/// Asks the provider for the money and settles its answer.
async fn ask(state: &State, checkout: Checkout, asked: Asked, provider: Arc<dyn Provider>) -> Result<Reply> {
    let answered = tokio::time::timeout(PATIENCE, provider.authorise(&asked.payment)).await;
    let outcome = match answered {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => {
            tracing::warn!(payment = %asked.payment.id, %error, "the provider's answer is not known; the sweep will ask again");
            Outcome::Unknown
        }
        Err(_) => Outcome::Unknown,
    };
    let (payment, promised) = (asked.payment.clone(), matches!(outcome, Outcome::Authorised { .. }));
    let asked = Arc::new(asked);
    let settled =
        state.db.write(move |tx| service::settle(tx, &checkout, &asked.payment, &outcome, Some(&asked.prepared)));
    match settled.await {
        Ok(result) => service::reply(&result),
        Err(error) if error.code() == Code::LeaseLost => overtaken(state, payment, promised).await,
        Err(error) => Err(error),
    }
}

/// The sweep, a notification or another request has taken the attempt over: waits for the order that they may make of it.
/// When they make none, whoever asks again learns what they made of it.
async fn overtaken(state: &State, payment: Payment, promised: bool) -> Result<Reply> {
    let (id, cart, begun) = (payment.id, payment.cart_id, std::time::Instant::now());
    while begun.elapsed() < PATIENCE {
        let (order, open) = state.db.read(move |tx| service::standing(tx, cart, id)).await?;
        if let Some(order) = order {
            return service::reply(&CheckoutResult::Order { order: Box::new(order) });
        }
        if !open {
            break;
        }
        state.db.written(Duration::from_millis(50)).await;
    }
    if promised {
        // They may have ended the attempt, not knowing of this promise.
        let (now, job) = (state.clock.now(), Id::new());
        state.db.write(move |tx| service::give_up_late(tx, now, job, &payment.our_key)).await?;
    }
    service::reply(&CheckoutResult::Pending { cart_id: cart })
}

/// Asks the provider what became of an attempt that this process has claimed, and settles it.
async fn look_up(state: &State, payment: Payment) -> Result<CheckoutResult> {
    let provider = payments::providers(state).of(&payment)?;
    let outcome = match tokio::time::timeout(PATIENCE, provider.lookup(&payment)).await {
        Ok(Ok(outcome)) => service::timed_out(&payment, outcome, state.clock.now()),
        Ok(Err(_)) | Err(_) => Outcome::Unknown,
    };
    let outcome = match outcome {
        Outcome::Declined(decline) => refuse(&payment, decline, provider.as_ref()).await,
        outcome => outcome,
    };
    settle(state, payment, outcome).await
}

/// An attempt that ends because the provider never heard of it, or because the customer was away for too long, must not
/// become a promise afterwards: the question may still be under way, the customer may still come back. So the provider is
/// told first. As long as it does not say yes, the attempt is open.
async fn refuse(payment: &Payment, decline: Decline, provider: &dyn Provider) -> Outcome {
    if decline.code != payments::NOT_FOUND && decline.code != service::ACTION_TIMED_OUT {
        return Outcome::Declined(decline);
    }
    let operation = payments::Operation::void_all(payment);
    match tokio::time::timeout(PATIENCE, provider.void(payment, &operation)).await {
        Ok(Ok(())) => Outcome::Declined(decline),
        Ok(Err(error)) => {
            tracing::warn!(payment = %payment.id, %error, "the provider could not be told that an attempt is over");
            Outcome::Unknown
        }
        Err(_) => Outcome::Unknown,
    }
}

/// Settles an attempt that this process has claimed, with an outcome at hand.
async fn settle(state: &State, payment: Payment, outcome: Outcome) -> Result<CheckoutResult> {
    let cart_id = payment.cart_id;
    let channel = state.db.read(move |tx| Ok(carts::load(tx, cart_id)?.channel)).await?;
    let checkout = checkout(state, service::sweeper(), channel, cart_id).await?;
    state.db.write(move |tx| service::settle(tx, &checkout, &payment, &outcome, None)).await
}

/// Takes up the attempts whose lease has run out: their process died, or the provider was slow.
async fn sweep(state: &State) -> Result<()> {
    let now = state.clock.now();
    // A look first, on a reader: there is seldom something to do.
    if !state.db.read(move |tx| payments::any_due(tx, now)).await? {
        return Ok(());
    }
    let lease_seconds = state.settings.checkout.lease_seconds;
    for payment in state.db.write(move |tx| payments::claim_due(tx, now, lease_seconds, 20)).await? {
        let id = payment.id;
        match look_up(state, payment).await {
            Ok(_) => {}
            Err(error) if error.code() == Code::LeaseLost => {}
            Err(error) => {
                tracing::warn!(payment = %id, %error, "an attempt to pay could not be settled; it is tried again")
            }
        }
    }
    Ok(())
}

/// A provider told what became of a payment.
async fn notified(state: State, job: Job) -> Result<Verdict> {
    let notification: Notification = serde_json::from_value(job.payload.clone())?;
    let now = state.clock.now();
    let (key, lease_seconds) = (notification.our_key.clone(), state.settings.checkout.lease_seconds);
    let claimed = state.db.write(move |tx| payments::claim(tx, now, &key, lease_seconds)).await?;
    match claimed {
        Some(payment) => {
            settle(&state, payment, notification.outcome).await?;
            Ok(Verdict::Done)
        }
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

/// What a `checkout.give-up` job knows.
#[derive(Deserialize)]
struct GiveUp {
    payment: PaymentId,
}

/// Gives promised money up that found no order.
async fn give_up(state: State, payment: Payment) -> Result<Verdict> {
    let provider = payments::providers(&state).of(&payment)?;
    let operation = payments::Operation::void_all(&payment);
    if let Err(error) = provider.void(&payment, &operation).await {
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
