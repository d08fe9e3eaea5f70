//! Asking for a second person, and deciding. The request's row lets one decision through.

use serde_json::{Value, json};

// What is asked for as it stands in the tables.
pub(super) use super::store::{Filter, page};
use super::{
    model::{Ceilinged, CountersignRequest, CountersignState, CountersignSubject, OnBehalf},
    store,
};
use crate::{
    channels::{self, ChannelSettings},
    db::Tx,
    error::{Code, Error, Result},
    events::{self, EventSchema, NewEvent, Payload},
    jobs::{self, NewJob},
    kernel::{
        Actor, Currency, Instant, Money,
        ids::{AmendmentId, ChannelId, CountersignRequestId, EventId, JobId, OrderId},
    },
};

/// For so many days somebody else can decide.
const DAYS: i64 = 7;
/// So many that wait are looked at of one order.
const MOST: i64 = 200;

/// Somebody else has to decide: whoever may wants to know.
const REQUESTED: &str = "countersign_request.created.v1";
/// Somebody has decided, or it was done, or could not be.
const UPDATED: &str = "countersign_request.updated.v1";

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    [REQUESTED, UPDATED].into_iter().map(EventSchema::of::<CountersignRequest>).collect()
}

/// Tells of a request, without what people have written.
fn tell(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    id: EventId,
    kind: &'static str,
    request: &CountersignRequest,
) -> Result<()> {
    let told = CountersignRequest { reason: None, note: None, ..request.clone() };
    // Of an order, beside everything that happens to it.
    let stream = request.subject.order_id.map_or_else(|| request.id.to_string(), |order| order.to_string());
    let event = NewEvent {
        id,
        stream,
        aggregate: "countersign_request",
        aggregate_id: request.id.to_string(),
        aggregate_version: request.version,
        channel: request.channel_id,
        kind,
        occurred_at: now,
        payload: Payload::of(&told)?,
        subject: None,
    };
    events::append(tx, actor, now, vec![event])
}

/// Whether an amount is above what one person decides in a channel. Kontor itself and shoppers are not asked: what they may is decided
/// elsewhere. One statement.
///
/// # Errors
/// What the database says.
pub fn above(tx: &mut Tx, actor: &Actor, kind: Ceilinged, channel: ChannelId, amount: Money) -> Result<bool> {
    if !matches!(actor, Actor::Staff(_) | Actor::Client(_)) || amount.minor() <= 0 {
        return Ok(false);
    }
    let own = ceiling(tx, kind, channel, amount.currency())?;
    Ok(own.is_some_and(|ceiling| amount.minor() > ceiling.minor()))
}

/// Above what one person does not decide alone in a channel; `None` where there is no such amount.
pub(super) fn ceiling(tx: &mut Tx, kind: Ceilinged, channel: ChannelId, currency: Currency) -> Result<Option<Money>> {
    let settings = channels::settings(tx, channel)?;
    Ok(settings.and_then(|settings| ceiling_in(&settings, kind, currency)))
}

/// The same by a channel's settings.
pub(super) fn ceiling_in(settings: &ChannelSettings, kind: Ceilinged, currency: Currency) -> Option<Money> {
    let all = settings.second_person.as_ref()?;
    let own = match kind {
        Ceilinged::Refund => &all.refund,
        Ceilinged::Override => &all.price_override,
        Ceilinged::Bulk => &all.bulk,
        Ceilinged::Cancel => &all.cancellation,
        Ceilinged::Return => &all.return_refund,
        Ceilinged::Overpayment => &all.overpayment,
        Ceilinged::Discount => &all.discount,
        Ceilinged::Quote => &all.quote,
        Ceilinged::StoredValue => &all.stored_value,
    };
    own.iter().find(|one| one.currency() == currency).copied()
}

/// A request about to be made.
#[derive(Debug, Clone)]
pub struct Asking {
    /// Its id, and that of the event of it.
    pub ids: (CountersignRequestId, EventId),
    /// What has to be approved.
    pub kind: Ceilinged,
    /// Where; `None` where it is about orders of several channels.
    pub channel: Option<ChannelId>,
    /// What it is about.
    pub subject: CountersignSubject,
    /// How much, by currency.
    pub amounts: Vec<Money>,
    /// Why.
    pub reason: Option<String>,
    /// Who else has had a hand in it.
    pub authors: Vec<String>,
    /// The job that does it, where that is not the one of its kind.
    pub job: Option<&'static str>,
    /// What is to be done, for the job that does it.
    pub what: Value,
}

/// Until when somebody else can decide on what is asked for now.
#[must_use]
pub fn until(now: Instant) -> Instant {
    now.plus_seconds(86_400 * DAYS)
}

/// Asks for a second person. Nothing is done until they approve.
///
/// # Errors
/// An internal error for an actor that nobody has to approve.
pub fn ask(tx: &mut Tx, now: Instant, actor: &Actor, new: &Asking) -> Result<CountersignRequest> {
    let by = OnBehalf::of(actor).ok_or_else(|| Error::internal("only staff and clients ask for a second person"))?;
    let request = CountersignRequest {
        id: new.ids.0,
        kind: new.kind,
        state: CountersignState::Waiting,
        channel_id: new.channel,
        subject: new.subject.clone(),
        amounts: new.amounts.clone(),
        reason: new.reason.clone(),
        asked_by: actor.label(),
        decided_by: None,
        note: None,
        code: None,
        detail: None,
        authors: new.authors.clone(),
        expires_at: until(now),
        version: 1,
        created_at: now,
        updated_at: now,
        by,
        what: new.what.clone(),
        job: new.job.map(str::to_owned),
    };
    store::insert(tx, &request)?;
    tell(tx, (now, actor), new.ids.1, REQUESTED, &request)?;
    Ok(request)
}

/// A request of a channel that an actor sees; one about several channels is for those who see all, and for whoever has asked for it.
///
/// # Errors
/// `not_found`.
pub(super) fn visible(tx: &mut Tx, actor: &Actor, id: CountersignRequestId) -> Result<CountersignRequest> {
    let seen = |request: &CountersignRequest| match request.channel_id {
        Some(channel) => actor.sees_channel(channel),
        None => actor.channels().is_none() || actor.label() == request.asked_by,
    };
    store::read(tx, id)?.filter(seen).ok_or_else(|| Error::not_found("request for a second person"))
}

/// Where a request stands at a time.
///
/// # Errors
/// What the database says.
pub fn state_of(tx: &mut Tx, now: Instant, id: CountersignRequestId) -> Result<Option<CountersignState>> {
    Ok(store::read(tx, id)?.map(|request| request.at(now).state))
}

/// The requests of an order that somebody can decide on.
///
/// # Errors
/// What the database says.
pub fn waiting_of(tx: &mut Tx, now: Instant, order: OrderId) -> Result<Vec<CountersignRequest>> {
    let filter = Filter { state: Some(CountersignState::Waiting), order: Some(order), ..Filter::default() };
    store::page(tx, (now, &filter), None, MOST)
}

/// What is said about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Approve,
    Decline,
    Withdraw,
}

/// Decides. What is approved is done by a job, once.
///
/// # Errors
/// `not_found`; `countersign_not_yours` for one's own, for clients, and for another's where it is taken back; `scope_missing` and
/// `ceiling_exceeded` where whoever decides might not do it themselves; `state_conflict` when it was decided or its time is over.
pub(super) fn decide(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    (id, event, job): (CountersignRequestId, EventId, JobId),
    (said, note): (Said, Option<&str>),
) -> Result<CountersignRequest> {
    let seen = visible(tx, actor, id)?;
    entitled(actor, &seen, said)?;
    let state = match said {
        Said::Approve => CountersignState::Approved,
        Said::Decline => CountersignState::Declined,
        Said::Withdraw => CountersignState::Withdrawn,
    };
    let standing = seen.clone().at(now).state;
    // What nobody does any more is not kept.
    let what = if said == Said::Approve { seen.what.clone() } else { Value::Null };
    let note = note.map(str::to_owned);
    let decided = CountersignRequest { state, decided_by: Some(actor.label()), note, what, ..seen };
    let Some(request) = store::decide(tx, now, &decided)? else {
        let detail = match standing {
            CountersignState::Waiting => "somebody has decided meanwhile".to_owned(),
            state => format!("the request is {state}"),
        };
        return Err(Error::conflict(detail));
    };
    tell(tx, (now, actor), event, UPDATED, &request)?;
    if said == Said::Approve {
        let payload = json!({ "request": request.id });
        let job = NewJob { id: job, ..NewJob::now(request.done_by(), now, payload) };
        jobs::enqueue(tx, now, vec![job.in_order(request.id.to_string())])?;
    }
    Ok(request)
}

/// Takes back what waits of an amendment that is not any more what was asked for: nobody can approve it.
///
/// # Errors
/// What the database says.
pub fn withdraw_of(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    event: EventId,
    (order, amendment, why): (OrderId, AmendmentId, &str),
) -> Result<()> {
    // There is one at most: who confirms again is told of the one that waits, and whatever changes the amendment comes by here.
    let mut waiting = waiting_of(tx, now, order)?.into_iter();
    let Some(seen) = waiting.find(|one| one.subject.amendment_id == Some(amendment)) else { return Ok(()) };
    let ended = CountersignRequest {
        state: CountersignState::Withdrawn,
        decided_by: Some(actor.label()),
        code: Some(Code::VersionStale.as_str().to_owned()),
        detail: Some(why.to_owned()),
        ..seen
    };
    // Whoever approves it at this moment is told by the job, which finds another version.
    match store::decide(tx, now, &ended)? {
        Some(ended) => tell(tx, (now, actor), event, UPDATED, &ended),
        None => Ok(()),
    }
}

/// Who may say what.
fn entitled(actor: &Actor, request: &CountersignRequest, said: Said) -> Result<()> {
    let label = actor.label();
    let own = label == request.asked_by;
    let involved = own || request.authors.contains(&label);
    let not_yours = |detail: &str| Err(Error::problem(Code::CountersignNotYours, detail));
    match said {
        Said::Withdraw if own => return Ok(()),
        Said::Withdraw => return not_yours("whoever has asked for it takes it back: decline it"),
        _ if involved => return not_yours("nobody decides on what they have asked for or written themselves"),
        _ => {}
    }
    if !matches!(actor, Actor::Staff(_)) {
        return not_yours("a person decides, and no API key");
    }
    let scope = request.kind.scope();
    if !actor.holds(scope) {
        let detail = format!("the scope {} is needed to decide this", scope.as_str());
        return Err(Error::problem(Code::ScopeMissing, detail));
    }
    match said == Said::Decline || actor.within_ceiling(request.whole()) {
        true => Ok(()),
        false => Err(Error::problem(Code::CeilingExceeded, "the amount is above what this credential may move")),
    }
}

/// A request that is to be done; `None` where it is not any more.
///
/// # Errors
/// What the database says.
pub(super) fn approved(tx: &mut Tx, id: CountersignRequestId) -> Result<Option<CountersignRequest>> {
    Ok(store::read(tx, id)?.filter(|request| request.state == CountersignState::Approved))
}

/// Writes what came of an approved request: it was done, or why not. False where somebody has.
///
/// # Errors
/// What the database says.
pub(super) fn end(
    tx: &mut Tx,
    now: Instant,
    (request, event): (&CountersignRequest, EventId),
    refused: Option<(&str, &str)>,
) -> Result<bool> {
    let state = if refused.is_some() { CountersignState::Refused } else { CountersignState::Done };
    let (code, detail) = (refused.map(|one| one.0.to_owned()), refused.map(|one| one.1.to_owned()));
    let ended = CountersignRequest { state, code, detail, what: Value::Null, ..request.clone() };
    let Some(ended) = store::end(tx, now, &ended)? else { return Ok(false) };
    tell(tx, (now, &Actor::System("countersign")), event, UPDATED, &ended)?;
    Ok(true)
}

/// Removes what staff have written in requests about orders. What is to be done stays, for a job that may read it.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, orders: &[OrderId]) -> Result<()> {
    for request in store::of_orders(tx, orders)? {
        let mut what = request.what.clone();
        for place in ["/refund/reason", "/reason", "/body/reason"] {
            if let Some(reason) = what.pointer_mut(place).filter(|reason| reason.is_string()) {
                *reason = json!("-");
            }
        }
        // What whoever pays was to read.
        if let Some(asked) = what.pointer_mut("/ask").and_then(|asked| asked.as_object_mut()) {
            asked.remove("message");
        }
        let bare = CountersignRequest { reason: None, note: None, what, ..request.clone() };
        if bare != request {
            store::forget(tx, &bare)?;
        }
    }
    Ok(())
}
