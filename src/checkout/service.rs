//! The transactions of completing a cart.

use std::{net::IpAddr, sync::Arc};

use serde_json::json;

use super::{
    judging,
    look::{Ready, Seen},
    model::{CheckoutResult, CompleteRequest},
    paying,
    place::{self, Before, Draft, Prepared, StillToCome, Tickets},
};
use crate::{
    carts::{self, Cart, CartState, Context, LastDecline},
    db::Tx,
    error::{Code, Error, Result},
    http::{
        Reply,
        idempotency::{self, Begun, Kept, Key},
        seal::Secret,
    },
    jobs,
    kernel::{
        Actor, Instant, Money,
        ids::{CartId, IdempotencyKeyId, JobId, PaymentId, PromotionId},
    },
    orders::{self, OrderDocument, OrderLinks},
    payments::{self, Decline, Outcome, Payment, PaymentState, Provider},
    pricing::promotions,
    risk::RiskProfile,
    stock::{self, Share, sourcing::Sources},
    stored_value,
};

/// For so long a customer may take for what the provider asks of them.
const ACTION_SECONDS: i64 = 30 * 60;
/// So often the provider is asked meanwhile whether the customer has acted: its own word may be lost on the way.
pub(super) const ASK_EVERY_SECONDS: i64 = 60;
/// A shopper who completes the cart again has the provider asked, unless somebody has asked it so many seconds ago.
const ASKED_LATELY_SECONDS: i64 = 2;
/// The decline code of a payment whose customer did not act in time.
pub(super) const ACTION_TIMED_OUT: &str = "action_timed_out";
/// The job that gives up money that found no order.
pub(super) const GIVE_UP: &str = "checkout.give-up";

/// Everything that completing a cart needs from outside its transactions.
#[derive(Clone)]
pub(super) struct Checkout {
    pub actor: Actor,
    pub secret: Arc<Secret>,
    pub context: Context,
    /// For so long one process alone asks the provider.
    pub lease_seconds: i64,
    /// Ids and the number, made before the first transaction.
    pub tickets: Tickets,
    /// The version of the cart that the caller has seen.
    pub expected: Option<i64>,
    /// Whether the provider has been asked on behalf of this request what became of an attempt.
    pub asked: bool,
    /// Whether this request has waited for somebody else as long as it may.
    pub waited: bool,
    /// The rules of risk of the channel, where it has any.
    pub risk: Option<Arc<RiskProfile>>,
    /// The address of the shopper's connection.
    pub client: Option<IpAddr>,
    /// What the provider knows the card by.
    pub card: Option<String>,
}

impl Checkout {
    /// What links to the channel's orders are made with.
    pub(super) fn links(&self) -> OrderLinks {
        OrderLinks::of(&self.context.channel, &self.secret)
    }
}

/// The part that completes carts for those who pay by a link.
pub const PAYMENT_LINK: &str = "payment-link";

/// Where an answer's links lead: to the surface of whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surface {
    Store,
    Ops,
}

impl Surface {
    pub(super) fn of(actor: &Actor) -> Self {
        // Who pays by a link is a shopper, whoever opens the cart for them.
        if matches!(actor, Actor::Shopper(_) | Actor::System(PAYMENT_LINK)) { Self::Store } else { Self::Ops }
    }

    /// That of whoever began an attempt, and whose key waits for its answer.
    fn of_attempt(payment: &Payment) -> Self {
        let by = payment.details.checkout.get("actor").and_then(serde_json::Value::as_str).unwrap_or_default();
        if by.starts_with("staff:") || by.starts_with("client:") { Self::Ops } else { Self::Store }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Store => "/v1/store",
            Self::Ops => "/v1/ops",
        }
    }
}

/// What transaction A came to.
pub(super) enum Step {
    /// There is an answer.
    Answer(Box<Reply>),
    /// The provider has to be asked.
    Ask(Box<Asked>),
    /// The provider has to be asked what became of an attempt that somebody else had left.
    LookUp(Box<Payment>),
    /// Somebody else is asking the provider: come again.
    Busy,
    /// It is not let through.
    Refused,
    /// Whoever pays is to be made a customer first, or linked to one.
    Stranger,
}

/// An attempt to pay that has been written, with what placing will need.
pub(super) struct Asked {
    pub payment: Payment,
    pub prepared: Arc<Prepared>,
    /// What was reserved for it; empty where that was done before.
    pub shares: Vec<Share>,
}

/// An order made ready before its transaction, with the answer that tells of it.
pub(super) struct Drafted {
    draft: Draft,
    reply: Reply,
    kept: Kept,
}

impl Drafted {
    /// What a provider's promise will make of an attempt, as long as it gets the shares that were reserved for it.
    pub(super) fn new(checkout: &Checkout, asked: &Asked, told: (Option<&str>, Option<Instant>)) -> Result<Self> {
        let paid = promised(checkout, &asked.payment, told);
        let nothing = StillToCome::default();
        let draft = place::draft(checkout, Some(&paid), &asked.prepared, (asked.shares.clone(), &nothing))?;
        let result = CheckoutResult::Order { order: draft.order.clone() };
        let reply = reply(&checkout.links(), checkout.context.now, &result, Surface::of_attempt(&asked.payment))?;
        Ok(Self { draft, kept: Kept::of(&checkout.secret, &reply)?, reply })
    }

    /// The answer for a result, when it is the one that was made ready.
    pub(super) fn reply_for(&self, result: &CheckoutResult) -> Option<&Reply> {
        match result {
            CheckoutResult::Order { order } if Arc::ptr_eq(order, &self.draft.order) => Some(&self.reply),
            _ => None,
        }
    }
}

/// A payment as a provider's promise makes it.
fn promised(
    checkout: &Checkout,
    payment: &Payment,
    (provider_ref, expires_at): (Option<&str>, Option<Instant>),
) -> Payment {
    let mut paid = payment.clone();
    (paid.state, paid.order_id) = (PaymentState::Authorised, Some(checkout.tickets.order));
    (paid.provider_ref, paid.expires_at) = (provider_ref.map(str::to_owned), expires_at);
    paid
}

/// The answer for a result, with its status and headers. On the store surface an order is told as its shopper sees it, with
/// the link that opens it.
pub(super) fn reply(links: &OrderLinks, now: Instant, result: &CheckoutResult, surface: Surface) -> Result<Reply> {
    let path = surface.path();
    let accepted = |cart: &CartId| {
        Ok::<_, Error>(Reply::accepted(result)?.location(format!("{path}/carts/{cart}")).retry_after(2))
    };
    match result {
        CheckoutResult::Order { order } => {
            let created = match surface {
                Surface::Store => {
                    let shown = Arc::new(order.for_shopper(links, now));
                    Reply::created(&CheckoutResult::Order { order: shown })?.secret()
                }
                Surface::Ops => Reply::created(result)?,
            };
            Ok(created.version(order.version).location(format!("{path}/orders/{}", order.id)))
        }
        // What the provider's script needs is nobody else's business.
        CheckoutResult::ActionRequired { cart_id, .. } => Ok(accepted(cart_id)?.secret()),
        CheckoutResult::Pending { cart_id } => accepted(cart_id),
        CheckoutResult::PaymentFailed { .. } => Reply::ok(result),
    }
}

/// Transaction A, and B with it where the provider is immediate.
pub(super) fn begin(
    tx: &mut Tx,
    checkout: &Checkout,
    key: Option<&Key>,
    request: &CompleteRequest,
    provider: Option<&dyn Provider>,
    seen: &Seen,
) -> Result<Step> {
    if matches!(seen, Seen::Stranger) {
        return Ok(Step::Stranger);
    }
    if let Some(key) = key
        && let Begun::Replay(reply) = key.begin(tx, &checkout.secret)?
    {
        return Ok(Step::Answer(reply));
    }
    if let Seen::Ready(ready) = seen {
        if judging::refuses(ready) {
            return judging::note_refused(tx, checkout, key, ready).map(|()| Step::Refused);
        }
        return pay(tx, checkout, key, request, provider, ready);
    }
    let cart = carts::claim(tx, &checkout.actor, &checkout.secret, checkout.tickets.cart)?;
    match cart.state {
        CartState::Completed => {
            let order =
                orders::of_cart(tx, cart.id)?.ok_or_else(|| Error::internal("a completed cart without an order"))?;
            answer(tx, checkout, key.map(|key| key.id), &CheckoutResult::Order { order: Arc::new(order) })
        }
        CartState::Completing => join(tx, checkout, key, &cart),
        // Its payment has come to nothing meanwhile.
        _ => Err(Error::overtaken("the cart")),
    }
}

/// Stores an answer under the request's key and gives it.
fn answer(tx: &mut Tx, checkout: &Checkout, key: Option<IdempotencyKeyId>, result: &CheckoutResult) -> Result<Step> {
    let reply = reply(&checkout.links(), checkout.context.now, result, Surface::of(&checkout.actor))?;
    if let Some(id) = key {
        idempotency::finish(tx, &checkout.secret, id, &reply)?;
    }
    Ok(Step::Answer(Box::new(reply)))
}

/// Somebody has begun to pay this cart: wait for them, show what the customer has to do, or take a left attempt over. An
/// attempt that waits for its customer, or for another try, is taken over at once: who asks wants to know now.
fn join(tx: &mut Tx, checkout: &Checkout, key: Option<&Key>, cart: &Cart) -> Result<Step> {
    let attempts = payments::of_cart(tx, cart.id)?;
    let now = checkout.context.now;
    let open = attempts.into_iter().find(|payment| payment.state.is_open() && payment.request().is_none());
    let Some(payment) = open else { return Ok(Step::Busy) };
    match found_open(&payment, now, (checkout.asked, checkout.waited)) {
        Found::Busy => return Ok(Step::Busy),
        Found::Acts(action) => {
            let result = CheckoutResult::ActionRequired { cart_id: cart.id, action };
            return answer(tx, checkout, key.map(|key| key.id), &result);
        }
        Found::Left => {}
    }
    if let Some(key) = key {
        // It is taken again with the answer: what is looked up ends under the key of whoever began it.
        idempotency::release(tx, key.id)?;
    }
    let claimed = payments::claim(tx, now, &payment.our_key, checkout.lease_seconds)?;
    Ok(claimed.map_or(Step::Busy, |payment| Step::LookUp(Box::new(payment))))
}

/// What whoever finds an attempt open does about it.
pub(super) enum Found {
    /// Somebody is asking the provider: wait for them.
    Busy,
    /// The customer has to do this.
    Acts(payments::Action),
    /// Nobody is at it: take it up.
    Left,
}

/// What is done about an open attempt by a request that may have asked the provider already, and waited as long as it may.
pub(super) fn found_open(payment: &Payment, now: Instant, (asked, waited): (bool, bool)) -> Found {
    let in_hand = payment.is_in_hand(now);
    if in_hand && !waited {
        return Found::Busy;
    }
    // Nobody is sent to pay for what is being ended.
    let action = payment.details.action.clone().filter(|_| payment.ending.is_none());
    if let (PaymentState::ActionRequired, Some(action)) = (payment.state, action) {
        let lately = payment.updated_at.plus_seconds(ASKED_LATELY_SECONDS) > now;
        return if in_hand || asked || lately { Found::Acts(action) } else { Found::Left };
    }
    if in_hand { Found::Busy } else { Found::Left }
}

/// Who is asked for what gift cards and store credit leave; nobody where they pay all of it.
fn asks<'p>(provider: Option<&'p dyn Provider>, ready: &Ready) -> Result<Option<(&'p dyn Provider, Money)>> {
    let parts = &ready.prepared.parts;
    let due = Money::from_minor(ready.total.minor() - paying::paid_by(parts), ready.total.currency());
    if due.minor() == 0 && !parts.is_empty() {
        return Ok(None);
    }
    let Some(provider) = provider else {
        let detail = format!("say how {due} are paid");
        return Err(Error::problem(Code::PaymentMissing, detail).at("/payment").with("due", json!(due)));
    };
    if ready.prepared.cart.details.awaits_return && payments::is_by_hand(provider.code()) {
        let detail = "goods that are sent in exchange are paid by a promise that somebody gives: choose another method";
        return Err(Error::problem(Code::PaymentMethodUnavailable, detail).at("/payment/method"));
    }
    match provider.refusal(due) {
        Some(reason) => Err(Error::problem(Code::PaymentMethodUnavailable, reason).at("/payment/method")),
        None => Ok(Some((provider, due))),
    }
}

/// Claims a cart that is ready; places it at once where nobody outside is asked.
fn pay(
    tx: &mut Tx,
    checkout: &Checkout,
    key: Option<&Key>,
    request: &CompleteRequest,
    provider: Option<&dyn Provider>,
    ready: &Ready,
) -> Result<Step> {
    let context = &checkout.context;
    let asks = asks(provider, ready)?;
    let (prepared, adopted) = whose(tx, checkout, ready)?;
    let was_frozen = prepared.cart.state == CartState::Frozen;
    let payment = asks.map(|(provider, due)| paying::of_method(checkout, key, request, provider, due, &prepared));
    carts::begin_payment(tx, context, &prepared.cart, ready.changed || adopted)?;
    // Only now: somebody else may have completed this very cart meanwhile, and then the order is its own.
    if place::is_known(tx, &prepared.cart)? {
        return Err(orders::known_already());
    }
    judging::note(tx, checkout, ready)?;
    if let Some(payment) = &payment {
        payments::open(tx, context.now, payment)?;
    }
    let until = held_until(checkout);
    // Behind the payment and before promotions and stock, as everywhere.
    let held = stored_value::hold(tx, (context.now, &checkout.actor), prepared.cart.id, &prepared.parts, until);
    // Somebody else has spent it since it was looked at: it is looked at again.
    held.map_err(|error| match error.code() {
        Code::StoredValueShort => Error::overtaken("a gift card or store credit"),
        _ => error,
    })?;
    if was_frozen && !ready.kept {
        // What it held was of a price that has not been kept.
        promotions::release(tx, prepared.cart.id)?;
    }
    let opened = payment.map(|payment| paying::opened(&payment, context.now));
    let opened = match opened {
        Some(opened) if opened.state == PaymentState::Pending => opened,
        at_once => {
            let before = if ready.held { Before::Reserved } else { Before::Nothing };
            let order = place::place(tx, checkout, at_once.as_ref(), &prepared, before, None)?;
            let order = order.map_err(|_| Error::internal("a payment that asks nobody found no order"))?;
            return answer(tx, checkout, key.map(|key| key.id), &CheckoutResult::Order { order });
        }
    };
    let (cart, needs) = (prepared.cart.id, &prepared.needs);
    let sources = Sources::of(&context.locations, &prepared.facts);
    // What was promised is not priced anew.
    let short = |error| {
        let error = carts::by_line(&prepared.cart, error);
        if ready.kept { error } else { carts::without_gift(&prepared.cart, error) }
    };
    // Before stock, as everywhere; behind it comes only what is nobody else's.
    promotions::reserve(tx, context.now, cart, (&prepared.uses, ready.kept), until)?;
    let shares = if !was_frozen {
        stock::reserve_seen(tx, context.now, cart, needs, (sources, &ready.available), until).map_err(short)?
    } else if ready.held && stock::extend(tx, cart, until)? {
        // What it holds is kept where that was promised, else it is taken anew.
        Vec::new()
    } else {
        stock::reserve_again(tx, context.now, cart, needs, sources, until).map_err(short)?
    };
    Ok(Step::Ask(Box::new(Asked { payment: opened, prepared, shares })))
}

/// Until when is kept for a cart what it is to get: longer than the lease, so that a take-over finds it too.
fn held_until(checkout: &Checkout) -> Instant {
    let minutes = checkout.context.channel.settings.reservation_minutes;
    checkout.context.now.plus_seconds((60 * minutes).max(4 * checkout.lease_seconds))
}

/// What is to be placed, the customer's who has signed in to pay a guest's cart; and whether it has just become theirs.
fn whose(tx: &mut Tx, checkout: &Checkout, ready: &Ready) -> Result<(Arc<Prepared>, bool)> {
    let prepared = &ready.prepared;
    let signed_in = matches!(&checkout.actor, Actor::Shopper(shopper) if shopper.identity.is_some());
    if !signed_in || prepared.cart.customer.is_some() {
        return Ok((prepared.clone(), false));
    }
    // The cart before the customer, as every change of a cart locks them.
    carts::claim(tx, &checkout.actor, &checkout.secret, prepared.cart.id)?;
    let mut theirs = Prepared::clone(prepared);
    let adopted = carts::adopt(tx, checkout.context.now, &checkout.actor, checkout.tickets.customer, &mut theirs.cart)?;
    // They have become somebody else since the cart was priced, of a company perhaps: it is priced anew.
    if theirs.cart.customer != ready.customer {
        return Err(Error::overtaken("the cart"));
    }
    // They count for their account now.
    theirs.uses = carts::uses(&checkout.context, &theirs.cart);
    Ok((Arc::new(theirs), adopted))
}

/// Transaction B: what the provider's answer makes of an attempt. `prepared` is what transaction A found, read again when
/// somebody else takes over; `drafted` the order that was made ready of it meanwhile.
pub(super) fn settle(
    tx: &mut Tx,
    checkout: &Checkout,
    payment: &Payment,
    outcome: &Outcome,
    prepared: Option<&Prepared>,
    drafted: Option<&Drafted>,
) -> Result<CheckoutResult> {
    let now = checkout.context.now;
    let (id, attempt) = (payment.id, payment.attempt);
    let result = match outcome {
        Outcome::Unknown => return Ok(CheckoutResult::Pending { cart_id: payment.cart_id }),
        Outcome::Authorised { provider_ref, expires_at } => {
            let told = (provider_ref.as_deref(), *expires_at);
            if !payments::authorised(tx, now, id, attempt, told, checkout.tickets.order)? {
                return Err(late());
            }
            let paid = promised(checkout, payment, told);
            let read;
            let prepared = match prepared {
                Some(prepared) => prepared,
                None => {
                    read = prepare(tx, checkout, payment)?;
                    &read
                }
            };
            let draft = drafted.map(|drafted| &drafted.draft);
            match place::place(tx, checkout, Some(&paid), prepared, Before::Promised, draft)? {
                Ok(order) => CheckoutResult::Order { order },
                Err(why) => give_up(tx, checkout, payment, why)?,
            }
        }
        Outcome::ActionRequired(action, reference) => {
            let again = now.plus_seconds(ASK_EVERY_SECONDS);
            if !payments::action_required(tx, now, id, attempt, action, reference.as_deref(), again)? {
                return Err(late());
            }
            if payment.state == PaymentState::Pending {
                // Until the last time that the provider is asked, and a take-over of that.
                let until = payment.created_at.plus_seconds(ACTION_SECONDS + 2 * ASK_EVERY_SECONDS);
                stored_value::extend(tx, payment.cart_id, until.plus_seconds(checkout.lease_seconds))?;
                promotions::extend(tx, payment.cart_id, until.plus_seconds(checkout.lease_seconds))?;
                stock::extend(tx, payment.cart_id, until.plus_seconds(checkout.lease_seconds))?;
            }
            CheckoutResult::ActionRequired { cart_id: payment.cart_id, action: action.clone() }
        }
        Outcome::Declined(decline) => return end(tx, checkout, payment, Ending::Declined, decline),
    };
    match (payment.idempotency_id, drafted.filter(|drafted| drafted.reply_for(&result).is_some())) {
        (Some(key), Some(drafted)) => idempotency::keep(tx, key, &drafted.kept)?,
        _ => remember(tx, checkout, payment, &result)?,
    }
    Ok(result)
}

/// Stores the answer for whoever began an attempt.
fn remember(tx: &mut Tx, checkout: &Checkout, payment: &Payment, result: &CheckoutResult) -> Result<()> {
    let Some(key) = payment.idempotency_id else { return Ok(()) };
    let reply = reply(&checkout.links(), checkout.context.now, result, Surface::of_attempt(payment))?;
    idempotency::finish(tx, &checkout.secret, key, &reply)
}

/// An attempt is somebody else's by now.
pub(super) fn late() -> Error {
    Error::problem(Code::LeaseLost, "somebody else has settled this payment")
}

/// How an attempt ends that comes to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The provider knows that it is over.
    Declined,
    /// The provider does not give the promise up: somebody has to look.
    Failed,
    /// Nobody knows whether the provider has heard that it is over: it is told until it answers, and seen until then.
    Unheard,
}

/// Ends an attempt that this process has claimed, for good: the cart is its shopper's again.
pub(super) fn end(
    tx: &mut Tx,
    checkout: &Checkout,
    payment: &Payment,
    ending: Ending,
    decline: &Decline,
) -> Result<CheckoutResult> {
    let (now, id, attempt) = (checkout.context.now, payment.id, payment.attempt);
    let ended = match ending {
        Ending::Declined => payments::declined(tx, now, id, attempt, decline)?,
        Ending::Failed | Ending::Unheard => payments::failed(tx, now, id, attempt, decline)?,
    };
    if !ended {
        return Err(late());
    }
    if ending == Ending::Unheard {
        jobs::enqueue(tx, now, vec![give_up_job(now, checkout.tickets.job, id)])?;
    }
    let result = reopen(tx, checkout, payment, decline)?;
    remember(tx, checkout, payment, &result)?;
    Ok(result)
}

/// Takes the open attempt to pay a cart from whoever holds it: what they find out comes too late.
pub(super) fn claim_attempt(tx: &mut Tx, now: Instant, actor: &Actor, cart: CartId, seconds: i64) -> Result<Payment> {
    let found = carts::load(tx, cart)?;
    if !actor.sees_channel(found.channel) {
        return Err(Error::not_found("cart"));
    }
    let own = |payment: &Payment| payment.state.is_open() && payment.request().is_none();
    let open = payments::of_cart(tx, cart)?.into_iter().find(own);
    let claimed = match open {
        Some(payment) => payments::claim(tx, now, &payment.our_key, seconds)?,
        None => None,
    };
    claimed.ok_or_else(|| Error::conflict("no attempt to pay this cart is open"))
}

/// What placing needs, read from the cart that was claimed.
fn prepare(tx: &mut Tx, checkout: &Checkout, payment: &Payment) -> Result<Prepared> {
    let cart = carts::load(tx, payment.cart_id)?;
    let priced = carts::known(tx, &cart)?;
    let (needs, mut uses) = (carts::needs(&cart, &priced.variants), carts::uses(&checkout.context, &cart));
    // What has been limited since is not counted: what is being paid keeps what it was promised.
    if let Some(reserved) = payment.details.checkout.get("promotions") {
        promotions::retain(&mut uses, &serde_json::from_value::<Vec<PromotionId>>(reserved.clone())?);
    }
    let facts = carts::facts(tx, &checkout.context, &cart, &priced)?;
    let (parts, risk) = (paying::parts_of(payment)?, paying::risk_of(payment)?);
    Ok(Prepared { needs, facts, uses, parts, risk, variants: priced.variants, cart })
}

/// The cart goes back to its shopper and the stock to everybody.
fn reopen(tx: &mut Tx, checkout: &Checkout, payment: &Payment, decline: &Decline) -> Result<CheckoutResult> {
    let (now, minutes) = (checkout.context.now, checkout.context.channel.settings.abandonment_minutes);
    let why = LastDecline { code: decline.code.clone(), retryable: decline.retryable, at: now };
    if carts::reopen(tx, now, payment.cart_id, minutes, why)? {
        stored_value::release(tx, (now, &checkout.actor), payment.cart_id)?;
        promotions::release(tx, payment.cart_id)?;
        stock::release(tx, now, payment.cart_id)?;
    }
    Ok(CheckoutResult::PaymentFailed { cart_id: payment.cart_id, decline: decline.clone() })
}

/// The money is promised and there is nothing to give for it: it is given up by a job, and seen in the work list
/// `paid_without_order` until that is done.
fn give_up(tx: &mut Tx, checkout: &Checkout, payment: &Payment, why: Code) -> Result<CheckoutResult> {
    let now = checkout.context.now;
    payments::orphaned(tx, now, payment.id)?;
    jobs::enqueue(tx, now, vec![give_up_job(now, checkout.tickets.job, payment.id)])?;
    reopen(tx, checkout, payment, &Decline { code: why.as_str().to_owned(), retryable: true })
}

/// The provider has promised money for an attempt that somebody else had ended meanwhile: it is given up too.
pub(super) fn give_up_late(tx: &mut Tx, now: Instant, job: JobId, our_key: &str) -> Result<()> {
    match payments::late_promise(tx, now, our_key)? {
        Some(payment) => jobs::enqueue(tx, now, vec![give_up_job(now, job, payment.id)]),
        None => Ok(()),
    }
}

pub(super) fn give_up_job(now: Instant, id: JobId, payment: PaymentId) -> jobs::NewJob {
    jobs::NewJob { id, ..jobs::NewJob::now(GIVE_UP, now, json!({"payment": payment})) }
}

/// The customer did not do what the provider asked for in time, or the provider never heard of the attempt.
pub(super) fn timed_out(payment: &Payment, outcome: Outcome, now: Instant) -> Outcome {
    let overdue =
        payment.state == PaymentState::ActionRequired && payment.created_at.plus_seconds(ACTION_SECONDS) <= now;
    match outcome {
        Outcome::ActionRequired(..) if overdue => {
            Outcome::Declined(Decline { code: ACTION_TIMED_OUT.to_owned(), retryable: true })
        }
        outcome => outcome,
    }
}

/// Whom the action was for, when the sweep goes on with it.
pub(super) fn sweeper() -> Actor {
    Actor::System("checkout")
}

/// The order of a cart, and whether an attempt to pay it is open still.
pub(super) fn standing(tx: &mut Tx, cart: CartId, attempt: PaymentId) -> Result<(Option<OrderDocument>, bool)> {
    let order = orders::of_cart(tx, cart)?;
    Ok((order, payment(tx, attempt)?.state == PaymentState::Pending))
}

/// A payment by its id.
pub(super) fn payment(tx: &mut Tx, id: PaymentId) -> Result<Payment> {
    payments::get(tx, id)?.ok_or_else(|| Error::not_found("payment"))
}
