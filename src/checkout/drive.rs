//! Driving a checkout through its transactions and the provider, within a request.

use std::{net::IpAddr, sync::Arc, time::Duration};

use super::{
    follow_up::{self, Became},
    judging,
    look::{self, Seen},
    model::{CheckoutResult, CompleteRequest},
    place::Tickets,
    service::{self, Asked, Checkout, Drafted, Step, Surface},
};
use crate::{
    carts::{self, Context},
    customers,
    db::Tx,
    error::{Code, Error, Result},
    http::{Call, Reply, State, answered_before, idempotency::Fingerprint, idempotency::Key},
    kernel::{
        Actor, Id,
        actor::Shopper,
        ids::{CartId, ChannelId},
    },
    orders::OrderLinks,
    payments::{self, Outcome, PATIENCE, Payment, PaymentState, Provider},
    risk::Profiles,
};

/// Completes a cart within a request.
pub(super) async fn complete(
    call: Call,
    cart: CartId,
    request: CompleteRequest,
    fingerprint: &Fingerprint,
) -> Result<Reply> {
    let (channel, key) = (channel_of(&call, cart).await?, call.idempotency_key(fingerprint)?);
    let checkout = checkout(&call.state, call.actor.clone(), channel, cart).await?;
    judging::check(&call.actor, &request)?;
    let client = client_of(&call);
    let checkout = Checkout { expected: call.if_match()?, client, ..checkout };
    run(&call.state, checkout, request, key).await
}

/// The address that a shopper's connection comes from, as the rules of risk are told it; nothing for staff and machine clients, who complete
/// carts for somebody else.
#[must_use]
pub fn client_of(call: &Call) -> Option<IpAddr> {
    match &call.actor {
        Actor::Shopper(_) => call.state.limits.client(call.request()),
        _ => None,
    }
}

/// Completes a cart for an actor who has been authenticated: the whole of it, without HTTP. `client` is the address of the shopper's
/// connection, where one asks.
///
/// # Errors
/// What stands in the way.
pub async fn complete_for(
    state: &State,
    (actor, client): (Actor, Option<IpAddr>),
    channel: ChannelId,
    cart: CartId,
    request: CompleteRequest,
    key: Option<Key>,
) -> Result<Reply> {
    judging::check(&actor, &request)?;
    let checkout = Checkout { client, ..checkout(state, actor, channel, cart).await? };
    run(state, checkout, request, key).await
}

async fn run(state: &State, mut checkout: Checkout, request: CompleteRequest, key: Option<Key>) -> Result<Reply> {
    let (cart, surface, links) = (checkout.tickets.cart, Surface::of(&checkout.actor), checkout.links());
    let provider = request.payment.as_ref().map(|chosen| provider_of(state, &checkout, &chosen.method)).transpose()?;
    let instrument = request.payment.as_ref().and_then(|chosen| chosen.instrument.as_deref());
    checkout.card = provider.as_ref().and_then(|provider| provider.card(instrument?));
    let request = Arc::new(request);
    let begun = std::time::Instant::now();
    loop {
        match begin(state, &checkout, key.as_ref(), &request, provider.as_ref()).await? {
            Step::Answer(reply) => return Ok(*reply),
            Step::Refused => return Err(judging::refused()),
            Step::Stranger => make_known(state, &checkout).await?,
            Step::Ask(asked) => return ask(state, checkout, *asked).await,
            Step::LookUp(payment) => {
                let customer_acts = payment.state == PaymentState::ActionRequired;
                checkout.asked = true;
                match follow_up::look_up(state, *payment).await {
                    Ok(Became::Cart(result @ CheckoutResult::Pending { .. })) if !customer_acts => {
                        return service::reply(&links, state.clock.now(), &result, surface);
                    }
                    // What has been settled, by us or by somebody faster, is seen in the next round; and what the customer
                    // still has to do, as far as anybody knows.
                    Ok(_) => {}
                    Err(error) if error.code() == Code::LeaseLost => {}
                    Err(error) => return Err(error),
                }
            }
            // Somebody else who is completing the same cart is waited for as long as their provider.
            Step::Busy if begun.elapsed() < PATIENCE => state.db.written(Duration::from_millis(50)).await,
            // What the customer has to do is known, whatever else is being found out.
            Step::Busy if !checkout.waited => checkout.waited = true,
            Step::Busy => {
                return service::reply(&links, state.clock.now(), &CheckoutResult::Pending { cart_id: cart }, surface);
            }
        }
        // Somebody else's lease may run out while this request waits for them.
        checkout.context.now = state.clock.now();
    }
}

/// Makes a customer of whoever has signed in for the first time, or links them to one, before anything is priced for them.
async fn make_known(state: &State, checkout: &Checkout) -> Result<()> {
    let Actor::Shopper(Shopper { identity: Some(identity), .. }) = &checkout.actor else { return Ok(()) };
    let (actor, identity, fresh) = (checkout.actor.clone(), identity.clone(), checkout.tickets.customer);
    let now = state.clock.now();
    state.db.write(move |tx| customers::find_or_link(tx, (now, &actor), fresh, &identity).map(|_| ())).await
}

/// The provider of the method that was chosen.
fn provider_of(state: &State, checkout: &Checkout, method: &str) -> Result<Arc<dyn Provider>> {
    checkout.context.channel.offers_payment(method).map_err(|error| error.at("/payment/method"))?;
    let unknown = || Error::problem(Code::ProviderUnknown, format!("there is no provider `{method}`"));
    payments::providers(state).get(method).ok_or_else(|| unknown().at("/payment/method"))
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
pub(super) async fn checkout(state: &State, actor: Actor, channel: ChannelId, cart: CartId) -> Result<Checkout> {
    let context = Context::of(state, channel, state.clock.now()).await?;
    let risk = state.db.snapshot::<Profiles>().await?.of(channel);
    Ok(Checkout {
        actor,
        secret: state.secret.clone(),
        context,
        lease_seconds: state.settings.checkout.lease_seconds,
        tickets: Tickets::new(cart, state.db.next_number("orders").await?),
        expected: None,
        asked: false,
        waited: false,
        risk,
        client: None,
        card: None,
    })
}

/// Runs transaction A. What is only `Busy` is rolled back, so that the request's key is not taken while it waits.
async fn begin(
    state: &State,
    checkout: &Checkout,
    key: Option<&Key>,
    request: &Arc<CompleteRequest>,
    provider: Option<&Arc<dyn Provider>>,
) -> Result<Step> {
    let busy = || Error::problem(Code::IdempotencyInProgress, "the cart is being completed").retry_after(1);
    let (looking, asked) = (checkout.clone(), request.clone());
    let look = move |tx: &mut Tx| look::look(tx, &looking, &asked);
    let (checkout, taken, request, provider) = (checkout.clone(), key.cloned(), request.clone(), provider.cloned());
    let begin = move |tx: &mut Tx, seen: &Seen| match service::begin(
        tx,
        &checkout,
        taken.as_ref(),
        &request,
        provider.as_deref(),
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
async fn ask(state: &State, checkout: Checkout, asked: Asked) -> Result<Reply> {
    let provider = payments::providers(state).of(&asked.payment)?;
    let outcome = match payments::patiently(PATIENCE, provider.authorise(&asked.payment)).await {
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::warn!(payment = %asked.payment.id, %error, "the provider's answer is not known; the sweep will ask again");
            Outcome::Unknown
        }
    };
    let (surface, links) = (Surface::of(&checkout.actor), checkout.links());
    let (payment, promised) = (asked.payment.clone(), matches!(outcome, Outcome::Authorised { .. }));
    // As much as can be is made ready here: the one writer of SQLite has but to write it.
    let drafted = match &outcome {
        Outcome::Authorised { provider_ref, expires_at } if !asked.shares.is_empty() => {
            Some(Arc::new(Drafted::new(&checkout, &asked, (provider_ref.as_deref(), *expires_at))?))
        }
        _ => None,
    };
    let ready = drafted.clone();
    let settled = state.db.write(move |tx| {
        service::settle(tx, &checkout, &asked.payment, &outcome, Some(&asked.prepared), ready.as_deref())
    });
    match settled.await {
        Ok(result) => match drafted.as_ref().and_then(|drafted| drafted.reply_for(&result)) {
            Some(reply) => Ok(reply.clone()),
            None => service::reply(&links, state.clock.now(), &result, surface),
        },
        Err(error) if error.code() == Code::LeaseLost => overtaken(state, payment, promised, (surface, &links)).await,
        Err(error) => Err(error),
    }
}

/// The sweep, a notification or another request has taken the attempt over: waits for the order that they may make of it.
/// When they make none, whoever asks again learns what they made of it.
async fn overtaken(
    state: &State,
    payment: Payment,
    promised: bool,
    (surface, links): (Surface, &OrderLinks),
) -> Result<Reply> {
    let (id, cart, begun) = (payment.id, payment.cart_id, std::time::Instant::now());
    while begun.elapsed() < PATIENCE {
        let (order, open) = state.db.read(move |tx| service::standing(tx, cart, id)).await?;
        if let Some(order) = order {
            return service::reply(
                links,
                state.clock.now(),
                &CheckoutResult::Order { order: Arc::new(order) },
                surface,
            );
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
    service::reply(links, state.clock.now(), &CheckoutResult::Pending { cart_id: cart }, surface)
}
