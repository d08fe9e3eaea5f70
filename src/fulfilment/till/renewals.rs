//! Promises that end while goods are still to leave: a new one is asked for before, and the old one is given up once there is that. Each is
//! done once, whoever dies in between: what is asked is written down before, and the provider is asked under the same key again.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::service::reread;
use crate::{
    db::{Lane, Tx},
    error::{Code, Error, Result},
    events::Payload,
    fulfilment::{
        Fresh,
        ids::Draw,
        money::{self, Settling},
        service::announce,
    },
    http::State,
    jobs::{self, Job, NewJob, Runner, Verdict},
    kernel::{
        Actor, Instant,
        ids::{EventId, JobId, OrderId, PaymentId},
    },
    orders::{
        self, OrderDocument, OrderState,
        holds::{NewOrderHold, OrderHoldKind},
    },
    payments::{
        self, NewPayment, OperationKind, Outcome, Payment, PaymentDetails, PaymentState, PaymentView, ProviderError,
        Providers,
        renewals::{self, Renewal, RenewalState},
    },
};

/// The kind of the job that asks for a new promise.
pub const RENEW: &str = "payment.renew";
/// So many are looked at in one turn; the next comes soon.
const MOST: i64 = 100;
/// How often somebody looks.
const EVERY_SECONDS: i64 = 30;

/// The type of the event that a promise was given anew.
pub(in crate::fulfilment) const RENEWED: &str = "payment.renewed.v1";
/// The type of the event that it was not.
pub(in crate::fulfilment) const REFUSED: &str = "payment.renewal_refused.v1";

/// What both say.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::fulfilment) struct RenewalTold<'a> {
    /// The order.
    order_id: OrderId,
    /// Its number.
    order_number: &'a str,
    /// The payment whose promise ends.
    replaces: PaymentId,
    /// The payment that has the new promise; where it was refused, the one whose promise ends.
    payment: PaymentView,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// What a job needs to know.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Task {
    payment: PaymentId,
    order: OrderId,
}

/// Registers what is done beside requests.
pub(in crate::fulfilment) fn register(state: &State, runner: &mut Runner) {
    let looking = state.clone();
    runner.every("payments.renew", EVERY_SECONDS, move |now| {
        let state = looking.clone();
        async move { look(&state, now).await }
    });
    let (asking, providers) = (state.clone(), payments::providers(state));
    runner.handle(RENEW, move |job| {
        let (state, providers) = (asking.clone(), providers.clone());
        async move { perform(&state, &providers, job).await }
    });
}

async fn look(state: &State, now: Instant) -> Result<()> {
    for (payment, order) in state.db.read(move |tx| renewals::due(tx, now, false, MOST)).await? {
        let (job, renewed) = (JobId::new(), PaymentId::new());
        let begun = state.db.write_in(Lane::Bulk, move |tx| begin(tx, now, (payment, order), renewed, job)).await;
        // One that fails keeps none of the others waiting; its next turn tries it again.
        if let Err(error) = begun {
            tracing::warn!(%payment, %error, "a promise that ends could not be asked for anew");
        }
    }
    Ok(())
}

/// Writes down that a promise is asked for anew, and the job that asks: where something of it is left, and something of the order still to
/// be paid by it.
fn begin(tx: &mut Tx, now: Instant, (id, order): (PaymentId, OrderId), renewed: PaymentId, job: JobId) -> Result<()> {
    let order = orders::lock(tx, order)?;
    let Some(payment) = payments::get(tx, id)? else { return Ok(()) };
    if payment.due_at.is_none_or(|at| at > now) || !renewals::look_next(tx, now, &payment, None, None)? {
        return Ok(());
    }
    let amount = payment.capturable();
    let owed = money::owed(tx, &order)? > outlasting(tx, now, &payment, order.id)?;
    if payment.expires_at.is_none() || amount.minor() == 0 || order.state == OrderState::Cancelled || !owed {
        return Ok(());
    }
    let known = renewals::of(tx, id)?.filter(|known| known.state == RenewalState::Refused);
    if known.is_some() {
        return hold_at_end(tx, now, (order.id, &payment), Fresh::of(job).first());
    }
    let new = Renewal { payment: id, renewed, order: order.id, state: RenewalState::Asked, amount, tries: 1 };
    if !renewals::ask(tx, now, &new)? {
        return Ok(());
    }
    let payload = json!({"payment": id, "order": order.id});
    // Not behind the order's own key: a provider that never answers this keeps no capture and no refund waiting.
    let job = NewJob { id: job, ..NewJob::now(RENEW, now, payload) }.in_order(format!("renew:{id}"));
    jobs::enqueue(tx, now, vec![job])
}

/// What providers have promised of an order that holds longer than a promise of it, in minor units: that is not asked for anew. Of two that end
/// at once one is.
fn outlasting(tx: &mut Tx, now: Instant, payment: &Payment, order: OrderId) -> Result<i64> {
    let outlasts = |other: &&Payment| {
        let later = |until| payment.expires_at.is_some_and(|own| (until, other.id) > (own, payment.id));
        let promises = other.id != payment.id && other.provider != payments::MANUAL && !other.has_expired(now);
        promises && other.expires_at.is_none_or(later)
    };
    let all = payments::of_order(tx, order)?;
    Ok(all.iter().filter(outlasts).map(|other| other.capturable().minor()).sum())
}

/// What became of the question.
#[derive(Debug, Clone)]
enum Answer {
    Promised(Option<String>, Option<Instant>),
    /// Not now: another time it may be.
    NotNow(String),
    Refused(String),
}

/// Asks the provider, outside any transaction.
async fn perform(state: &State, providers: &Providers, job: Job) -> Result<Verdict> {
    let task: Task = match serde_json::from_value(job.payload.clone()) {
        Ok(task) => task,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let found = state.db.read(move |tx| Ok(renewals::of(tx, task.payment)?.zip(payments::get(tx, task.payment)?)));
    let Some((renewal, payment)) = found.await? else {
        return Ok(Verdict::Dead { error: "there is no such question".to_owned() });
    };
    if renewal.state != RenewalState::Asked {
        return Ok(Verdict::Done);
    }
    let answer = ask(providers, &renewal.attempt(&payment), &payment).await?;
    let (fresh, now) = (Fresh::of(job.id), state.clock.now());
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        conclude(tx, now, &fresh, task, &answer)
    });
    written.await?;
    Ok(Verdict::Settled)
}

async fn ask(providers: &Providers, attempt: &Payment, payment: &Payment) -> Result<Answer> {
    let provider = providers.of(payment)?;
    let no_answer = |error: ProviderError| Error::internal(error);
    Ok(match payments::patiently(payments::PATIENCE, provider.renew(attempt, payment)).await {
        Ok(Outcome::Authorised { provider_ref, expires_at }) => Answer::Promised(provider_ref, expires_at),
        Ok(Outcome::Declined(decline)) if decline.retryable => Answer::NotNow(decline.code),
        Ok(Outcome::Declined(decline)) => Answer::Refused(decline.code),
        Ok(Outcome::ActionRequired(..)) => {
            // The customer is not there. What they might confirm later is given up before.
            let void = payments::Operation::void_all(attempt);
            match payments::patiently(payments::PATIENCE, provider.void(attempt, &void)).await {
                Ok(()) | Err(ProviderError::Refused(_)) => Answer::Refused("action_required".to_owned()),
                Err(error) => return Err(no_answer(error)),
            }
        }
        Ok(Outcome::Unknown) => return Err(Error::internal("the provider does not know yet")),
        Err(ProviderError::Refused(why)) => Answer::Refused(why),
        Err(error) => return Err(no_answer(error)),
    })
}

/// Writes the answer down: a payment of the new promise and the end of the old one; or, once that has ended, a hold of the order.
fn conclude(tx: &mut Tx, now: Instant, fresh: &Fresh, task: Task, answer: &Answer) -> Result<()> {
    let actor = Actor::System("payments");
    let mut order = orders::lock(tx, task.order)?;
    let gone = || Error::internal("a payment is gone that is asked for anew");
    let (payment, renewal) = (payments::get(tx, task.payment)?.ok_or_else(gone)?, renewals::of(tx, task.payment)?);
    let renewal = renewal.ok_or_else(gone)?;
    // What is refused for now is asked for again as long as the promise holds.
    let until = payment.expires_at.filter(|_| matches!(answer, Answer::NotNow(_)));
    let again = until.and_then(|until| renewals::again_at(now, until, renewal.tries));
    let (state, reason) = match answer {
        Answer::Promised(..) => (RenewalState::Renewed, None),
        Answer::NotNow(why) if again.is_some() => (RenewalState::Dropped, Some(why.as_str())),
        Answer::NotNow(why) | Answer::Refused(why) => (RenewalState::Refused, Some(why.as_str())),
    };
    if !renewals::ended(tx, now, task.payment, state, reason)? {
        return Ok(());
    }
    if let Some(then) = again {
        return renewals::look_then(tx, now, payment.id, then);
    }
    let mut draw = fresh.draw();
    match answer {
        Answer::Promised(reference, until) => {
            promised(tx, now, &actor, &mut order, &mut draw, (&payment, &renewal, reference.as_deref(), *until))
        }
        Answer::NotNow(why) | Answer::Refused(why) => refused(tx, now, &actor, &mut order, &mut draw, (&payment, why)),
    }
}

fn promised(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    order: &mut OrderDocument,
    draw: &mut Draw<'_>,
    (old, renewal, reference, until): (&Payment, &Renewal, Option<&str>, Option<Instant>),
) -> Result<()> {
    let new = NewPayment {
        id: renewal.renewed,
        cart: old.cart_id,
        order: Some(order.id),
        provider: old.provider.clone(),
        our_key: renewal.renewed.to_string(),
        amount: renewal.amount,
        state: PaymentState::Authorised,
        provider_ref: reference.map(str::to_owned),
        lease_until: None,
        idempotency_id: None,
        details: PaymentDetails { instrument: old.details.instrument.clone(), ..PaymentDetails::default() },
        expires_at: until,
        due_at: until.map(|until| renewals::renew_at(now, until)),
    };
    // Somebody may have promised it by a link meanwhile: then neither is kept.
    let needless = money::owed(tx, order)? <= outlasting(tx, now, old, order.id)?;
    payments::open(tx, now, &new)?;
    let opened = payments::get(tx, new.id)?.ok_or_else(|| Error::internal("a payment that was opened is gone"))?;
    // The old promise after the new one: at no time is there none.
    let (left, fresh) = (old.capturable().minor(), opened.capturable().minor());
    let mut planned = vec![(old, OperationKind::Void, left), (&opened, OperationKind::Void, fresh)];
    planned.retain(|(of, _, amount)| *amount > 0 && (of.id == old.id || needless));
    money::begin(tx, (now, now), order, draw, &Settling::because("a new promise takes its place"), &planned)?;
    reread(tx, order)?;
    orders::save(tx, now, order, &[], 1)?;
    tell(tx, now, actor, order, draw, (RENEWED, renewal.payment, renewal.renewed, None))?;
    // What has waited for a promise that holds.
    money::settle(tx, (now, now), order, draw, &Settling::because("balance")).map(drop)
}

fn refused(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    order: &mut OrderDocument,
    draw: &mut Draw<'_>,
    (old, why): (&Payment, &str),
) -> Result<()> {
    orders::save(tx, now, order, &[], 1)?;
    tell(tx, now, actor, order, draw, (REFUSED, old.id, old.id, Some(why)))?;
    take_before_end(tx, now, actor, order, draw, old)?;
    hold_at_end(tx, now, (order.id, old), draw.next())
}

/// Takes what was kept from being taken until a return is settled, as long as the promise for it still holds: once that has ended nobody
/// pays for goods that have left. What comes back for them goes back the way it was paid.
fn take_before_end(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    order: &mut OrderDocument,
    draw: &mut Draw<'_>,
    old: &Payment,
) -> Result<()> {
    if old.has_expired(now) || order.free_for(orders::Command::Settle, &[], Some(now)).is_ok() {
        return Ok(());
    }
    let why = "its promise ends, and is not given anew";
    match orders::holds::release_exchange(tx, now, actor, draw.next(), order.id, why) {
        // Something else keeps it from being taken.
        Err(error) if error.code() == Code::StateConflict => return Ok(()),
        released => *order = released?,
    }
    money::settle_returns(tx, (now, now), order, draw, &Settling::because("its promise ends"))
}

/// Holds an order whose promise has ended and is not given anew. Until it ends it can be captured, so goods may leave: then it is
/// looked at when it does.
fn hold_at_end(tx: &mut Tx, now: Instant, (order, old): (OrderId, &Payment), event: EventId) -> Result<()> {
    if old.expires_at.is_some() && !old.has_expired(now) {
        return renewals::look_at_end(tx, now, old.id);
    }
    let order_now = orders::lock(tx, order)?;
    // It may be promised otherwise by now.
    if money::uncovered(tx, now, &order_now)? <= 0 {
        return Ok(());
    }
    let until = old.expires_at.map_or_else(String::new, |until| format!(" after {until}"));
    let hold = NewOrderHold {
        kind: OrderHoldKind::Payment,
        line_no: None,
        blocks: None,
        reason: format!("its payment is not promised{until}, and not given anew"),
        owner: Some(orders::holds::PROMISE.to_owned()),
        expires_at: None,
    };
    match orders::holds::hold(tx, now, &Actor::System("payments"), event, order, &hold) {
        // It is held for that already, or nothing is left to ship.
        Err(error) if error.code() == Code::StateConflict => Ok(()),
        held => held.map(drop),
    }
}

fn tell(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    order: &OrderDocument,
    draw: &mut Draw<'_>,
    (kind, replaces, shown, reason): (&'static str, PaymentId, PaymentId, Option<&str>),
) -> Result<()> {
    let view = order.payments.iter().find(|one| one.id == shown).cloned();
    let payment = view.ok_or_else(|| Error::internal("an order does not have its payment"))?;
    let data = RenewalTold { order_id: order.id, order_number: &order.number, replaces, payment, reason };
    announce(tx, (now, now), actor, order, draw, vec![(kind, Payload::of(&data)?)])
}

/// What giving up a dead job of this part means: nobody asks for the promise any more.
///
/// # Errors
/// What the database says.
pub fn discarded(tx: &mut Tx, now: Instant, actor: &Actor, job: &Job) -> Result<()> {
    let Ok(task) = serde_json::from_value::<Task>(job.payload.clone()) else { return Ok(()) };
    let mut order = orders::lock(tx, task.order)?;
    let why = format!("given up: {}", job.last_error.as_deref().unwrap_or("it was never answered"));
    let Some(payment) = payments::get(tx, task.payment)? else { return Ok(()) };
    if !renewals::ended(tx, now, task.payment, RenewalState::Refused, Some(&why))? {
        return Ok(());
    }
    refused(tx, now, actor, &mut order, &mut Fresh::of(job.id).draw(), (&payment, &why))
}
