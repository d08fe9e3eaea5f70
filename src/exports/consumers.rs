//! What consumers do with what they were handed: acknowledge, set aside, release; and how they are looked at and moved.

use std::collections::HashMap;

use serde::Serialize;

use super::{
    model::{self, Consumer, Feed, ItemOutcome, ItemRef, ItemState, Owner},
    poll, store,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    events::{self, Behind, Event, Head, LogState, Stream},
    http::{credentials, paging},
    kernel::{
        Actor, Instant, Scope,
        ids::{ChannelId, ConsumerId, CredentialId, EventId, LocationId},
    },
};

/// Which consumer a command is about.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub actor: Actor,
    pub feed: Feed,
    pub name: String,
    pub now: Instant,
}

fn reads(consumer: &Consumer, feed: Feed) -> bool {
    consumer.binding.split(' ').next() == Some(feed.as_str())
}

fn missing() -> Error {
    Error::not_found("consumer of this feed").at("consumer")
}

impl Named {
    fn find(&self, tx: &mut Tx) -> Result<Consumer> {
        let found = store::find(tx, &model::principal(&self.actor), &self.name)?;
        found.filter(|consumer| reads(consumer, self.feed)).ok_or_else(missing)
    }

    fn lock(&self, tx: &mut Tx) -> Result<Consumer> {
        let found = store::lock(tx, self.now, &model::principal(&self.actor), &self.name)?;
        found.filter(|consumer| reads(consumer, self.feed)).ok_or_else(missing)
    }
}

/// What came of one item.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ItemResult {
    /// The item as it was named.
    pub item: ItemRef,
    /// Its position, where it is known.
    pub position: Option<i64>,
    /// What came of it.
    pub outcome: ItemOutcome,
}

/// What came of an acknowledgement.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Acknowledged {
    /// One for each item, in the order given.
    pub items: Vec<ItemResult>,
    /// Items of this lease that were taken back, since an earlier event of their stream was set aside: do not process
    /// them now, they are handed out again in order.
    pub taken_back: Vec<i64>,
}

/// Acknowledges items (`reason` absent) or sets them aside (`reason` given). Without `items`: all of the lease.
pub(super) fn acknowledge(
    tx: &mut Tx,
    named: &Named,
    lease: &str,
    items: Option<&[ItemRef]>,
    reason: Option<&str>,
) -> Result<Acknowledged> {
    let consumer = named.lock(tx)?;
    let items: Vec<ItemRef> = match items {
        Some(items) => items.to_vec(),
        None => store::leased(tx, consumer.id, lease)?.into_iter().map(ItemRef::Position).collect(),
    };
    if items.is_empty() {
        return Err(Error::problem(Code::LeaseLost, "nothing is out under this lease any more"));
    }
    let done = if reason.is_some() { ItemOutcome::Parked } else { ItemOutcome::Acked };
    let results = judge(tx, &consumer, lease, &items, done)?;
    let mut accepted: Vec<i64> =
        results.iter().filter(|result| result.outcome == done).filter_map(|result| result.position).collect();
    accepted.sort_unstable();
    accepted.dedup();
    let lost = results.iter().any(|result| result.outcome == ItemOutcome::LeaseLost);
    let useless = |result: &ItemResult| matches!(result.outcome, ItemOutcome::LeaseLost | ItemOutcome::AlreadyDone);
    if lost && results.iter().all(useless) {
        return Err(Error::problem(Code::LeaseLost, "these items have been handed to somebody else meanwhile"));
    }
    let taken_back = match reason {
        None => {
            store::delete_items(tx, consumer.id, &accepted)?;
            Vec::new()
        }
        Some(reason) => {
            store::park(tx, named.now, consumer.id, &accepted, reason)?;
            store::take_back(tx, named.now, consumer.id, lease)?
        }
    };
    Ok(Acknowledged { items: results, taken_back })
}

fn judge(
    tx: &mut Tx,
    consumer: &Consumer,
    lease: &str,
    items: &[ItemRef],
    done: ItemOutcome,
) -> Result<Vec<ItemResult>> {
    let by_id: Vec<EventId> =
        items.iter().filter_map(|item| if let ItemRef::Event(id) = item { Some(*id) } else { None }).collect();
    let by_id: HashMap<EventId, i64> = events::positions_of(tx, &by_id)?;
    let position = |item: &ItemRef| match item {
        ItemRef::Position(position) => Some(*position),
        ItemRef::Event(id) => by_id.get(id).copied(),
    };
    let positions: Vec<i64> = items.iter().filter_map(position).collect();
    let found = store::outstanding(tx, consumer.id, &positions)?;
    let result = |item: &ItemRef| {
        let position = position(item);
        let is_passed = position.is_some_and(|position| (1..=consumer.position).contains(&position));
        let outcome = model::judge(position.and_then(|position| found.get(&position)), is_passed, lease, done);
        ItemResult { item: *item, position, outcome }
    };
    Ok(items.iter().map(result).collect())
}

/// Releases an item that was set aside: it is handed out again, or skipped with a reason. What waited behind it follows.
pub(super) fn release(tx: &mut Tx, named: &Named, position: i64, reason: Option<&str>) -> Result<()> {
    let consumer = named.lock(tx)?;
    let to = if reason.is_some() { ItemState::Skipped } else { ItemState::Waiting };
    let reason = reason.map(|reason| format!("{reason} ({})", named.actor.label()));
    if store::release(tx, named.now, consumer.id, position, to, reason.as_deref())? {
        return Ok(());
    }
    match store::outstanding(tx, consumer.id, &[position])?.remove(&position) {
        Some(item) => Err(Error::conflict(format!("the item is {}", item.state))),
        None => Err(Error::not_found("item that was set aside")),
    }
}

/// An item that was set aside.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ParkedItem {
    /// The event's position.
    pub position: i64,
    /// Why it was set aside, or skipped.
    pub reason: Option<String>,
    /// How often it had been handed out.
    pub attempt: i64,
    /// Since when.
    pub at: Instant,
    /// How many events of its stream wait behind it so far.
    pub waiting_behind: i64,
    /// The event; absent when it has been dropped from the log.
    pub event: Option<Event>,
}

/// The items of a consumer that were set aside (or skipped), in order.
pub(super) fn parked(tx: &mut Tx, named: &Named, state: ItemState, after: i64, limit: i64) -> Result<Vec<ParkedItem>> {
    let consumer = named.find(tx)?;
    let items = store::set_aside(tx, consumer.id, state, after, limit)?;
    let positions: Vec<i64> = items.iter().map(|item| item.position).collect();
    let mut events: HashMap<i64, Event> =
        events::by_positions(tx, &positions)?.into_iter().map(|event| (event.position, event)).collect();
    let item = |item: store::SetAside| ParkedItem {
        position: item.position,
        reason: item.reason,
        attempt: item.attempt,
        at: item.at,
        waiting_behind: item.behind,
        event: events.remove(&item.position),
    };
    Ok(items.into_iter().map(item).collect())
}

/// How many items of a consumer are set aside, counted no further than a cap.
pub(super) fn count_parked(tx: &mut Tx, named: &Named, state: ItemState, cap: i64) -> Result<i64> {
    let consumer = named.find(tx)?;
    store::count_set_aside(tx, consumer.id, state, cap)
}

/// A named consumer of a feed.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ConsumerView {
    /// Its id.
    pub id: ConsumerId,
    /// Its name.
    pub name: String,
    /// What it reads: the feed, and what narrows or widens it.
    #[schema(example = "orders types=order.placed")]
    pub reads: String,
    /// Everything up to here has been handed out or waits among its items.
    pub position: i64,
    /// Positions of the log that it has not come to.
    pub behind: i64,
    /// Items in hand.
    pub leased: i64,
    /// Items that wait behind others or to be handed out again.
    pub waiting: i64,
    /// Items set aside.
    pub parked: i64,
    /// Items skipped so far.
    pub skipped: i64,
    /// Since when.
    pub created_at: Instant,
    /// The last poll that brought something, or the last acknowledgement.
    pub updated_at: Instant,
}

/// The caller's consumers of a feed.
pub(super) fn list(tx: &mut Tx, named: &Named, limit: i64) -> Result<Vec<ConsumerView>> {
    let principal = model::principal(&named.actor);
    let (key, seen) = (|consumer: &Consumer| consumer.name.clone(), |consumer: &Consumer| reads(consumer, named.feed));
    let read = |tx: &mut Tx, after: Option<String>, limit| {
        store::list(tx, &principal, after.as_deref().unwrap_or_default(), limit)
    };
    let consumers = paging::fill(tx, limit, Some(named.name.clone()), key, seen, read)?;
    let (log, counts) = (events::state(tx)?, store::counts(tx, &consumers)?);
    Ok(consumers.into_iter().map(|consumer| view(consumer, &log, &counts)).collect())
}

fn view(consumer: Consumer, log: &LogState, counts: &HashMap<(ConsumerId, ItemState), i64>) -> ConsumerView {
    let count = |state| counts.get(&(consumer.id, state)).copied().unwrap_or_default();
    ConsumerView {
        id: consumer.id,
        position: consumer.position,
        behind: (log.last - consumer.position).max(0),
        leased: count(ItemState::Leased),
        waiting: count(ItemState::Waiting),
        parked: count(ItemState::Parked),
        skipped: count(ItemState::Skipped),
        reads: consumer.binding,
        name: consumer.name,
        created_at: consumer.created_at,
        updated_at: consumer.updated_at,
    }
}

/// How far each consumer is behind that reads the events of a stream.
///
/// # Errors
/// What the database says.
pub fn behind(tx: &mut Tx, stream: &Stream) -> Result<Vec<Behind>> {
    let log = events::state(tx)?;
    let mut readers = store::all(tx, MANY)?;
    readers.retain(|(principal, consumer)| {
        let reads = |head: &Head| model::holds(&consumer.binding, &head.kind, stream.test);
        let hears = model::is_shown(principal, stream.channel) && stream.heads.iter().any(reads);
        hears && consumer.epoch == log.epoch
    });
    let ids: Vec<ConsumerId> = readers.iter().map(|(_, consumer)| consumer.id).collect();
    let outstanding = store::outstanding_of(tx, &ids, &stream.name)?;
    let lag = |(_, consumer): (String, Consumer)| {
        let missing = |head: &Head| {
            let ahead = head.position > consumer.position && model::holds(&consumer.binding, &head.kind, stream.test);
            ahead || outstanding.contains(&(consumer.id, head.position))
        };
        stream.behind(consumer.name.clone(), missing)
    };
    Ok(readers.into_iter().map(lag).collect())
}

/// More consumers than a shop has.
const MANY: i64 = 500;

/// Sets a consumer to another place; what was out or set aside is forgotten.
///
/// It reads on what it has read, but for what is said of `types` and `include_test`.
pub(super) fn seek(
    tx: &mut Tx,
    named: &Named,
    to: &str,
    types: Option<Option<&str>>,
    include_test: Option<bool>,
) -> Result<ConsumerView> {
    let mut consumer = named.lock(tx)?;
    let binding = model::rebound(&consumer.binding, named.feed, types, include_test)?;
    let log = events::state(tx)?;
    let position = poll::place(&log, named.feed, Some(to)).map_err(|error| error.at("/to"))?;
    store::seek(tx, consumer.id, &binding, &log.epoch, position)?;
    (consumer.position, consumer.epoch, consumer.binding) = (position, log.epoch.clone(), binding);
    Ok(view(consumer, &log, &HashMap::new()))
}

/// Removes a consumer.
pub(super) fn delete(tx: &mut Tx, named: &Named) -> Result<()> {
    let consumer = named.lock(tx)?;
    store::delete(tx, consumer.id)
}

/// A named consumer of a feed, and whose it is.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct OwnedConsumer {
    /// It.
    #[serde(flatten)]
    pub consumer: ConsumerView,
    /// Whose it is: the id of an API key, or the subject of a token.
    #[schema(example = "key_01h455vb4pex5vsknk084sn02q")]
    pub client: String,
    /// What the API key is for.
    pub key_name: Option<String>,
    /// Since when the API key is not valid any more: nobody polls as this consumer until it is handed over.
    pub key_revoked_at: Option<Instant>,
    /// The channels that the client is limited to; `null` is all.
    #[schema(value_type = Option<Vec<String>>)]
    pub channels: Option<Vec<ChannelId>>,
    /// The locations that the client is limited to; `null` is all.
    #[schema(value_type = Option<Vec<String>>)]
    pub locations: Option<Vec<LocationId>>,
}

/// Consumers of all clients, of those that the actor may see, in the order of their ids.
pub(super) fn page(tx: &mut Tx, actor: &Actor, after: Option<ConsumerId>, limit: i64) -> Result<Vec<OwnedConsumer>> {
    let (key, seen) =
        (|(_, one): &store::Owned| one.id, |(whose, _): &store::Owned| Owner::of(whose).is_visible_to(actor));
    let found = paging::fill(tx, limit, after, key, seen, store::page)?;
    owned(tx, found)
}

fn owned(tx: &mut Tx, found: Vec<store::Owned>) -> Result<Vec<OwnedConsumer>> {
    let (owners, consumers): (Vec<Owner>, Vec<Consumer>) =
        found.into_iter().map(|(whose, consumer)| (Owner::of(&whose), consumer)).unzip();
    let keys: Vec<CredentialId> = owners.iter().filter_map(|owner| owner.client.parse().ok()).collect();
    let (log, counts, names) = (events::state(tx)?, store::counts(tx, &consumers)?, credentials::names(tx, &keys)?);
    let one = |(owner, consumer): (Owner, Consumer)| {
        let (key_name, key_revoked_at) =
            owner.client.parse().ok().and_then(|key: CredentialId| names.get(&key).cloned()).unzip();
        let Owner { client, channels, locations } = owner;
        let (consumer, key_revoked_at) = (view(consumer, &log, &counts), key_revoked_at.flatten());
        OwnedConsumer { consumer, client, key_name, key_revoked_at, channels, locations }
    };
    Ok(owners.into_iter().zip(consumers).map(one).collect())
}

/// A consumer that the actor may see, locked.
fn lock_any(tx: &mut Tx, actor: &Actor, now: Instant, id: ConsumerId) -> Result<store::Owned> {
    let found = store::lock_any(tx, now, id)?.filter(|(whose, _)| Owner::of(whose).is_visible_to(actor));
    found.ok_or_else(|| Error::not_found("consumer"))
}

/// Hands a consumer over to another API key: it goes on where it stood, with what it has out and has set aside.
pub(super) fn hand_over(
    tx: &mut Tx,
    actor: &Actor,
    now: Instant,
    id: ConsumerId,
    to: CredentialId,
) -> Result<OwnedConsumer> {
    let (whose, consumer) = lock_any(tx, actor, now, id)?;
    let heir = credentials::principal(tx, to)?.map(Actor::Client);
    let heir = heir.ok_or_else(|| Error::not_found("valid API key").at("/api_key"))?;
    let principal = model::principal(&heir);
    let new = Owner::of(&principal);
    if !new.is_visible_to(actor) {
        return Err(Error::not_found("valid API key").at("/api_key"));
    }
    let refuse = |detail: &str| Error::conflict(detail).at("/api_key");
    if !heir.holds(Scope::FeedsRead) {
        return Err(refuse("the key lacks the scope `feeds:read`: hand the consumer over to one that has it"));
    }
    if !Owner::of(&whose).sees_as(&new) {
        let detail = "the key is limited to other channels or locations than the client whose consumer it is: what one of \
                      them was not shown, the cursor would pass by. Make a key with the same limits";
        return Err(refuse(detail));
    }
    if !heir.holds(Scope::CustomersRead) && store::holds_customers(tx, id)? {
        let detail =
            "the consumer has events of customers out or set aside, and the key lacks the scope `customers:read`";
        return Err(refuse(detail));
    }
    let taken = || {
        let detail = format!("the key has a consumer named `{}` already: remove one of the two", consumer.name);
        Error::problem(Code::Duplicate, detail).at("/api_key")
    };
    on_duplicate(store::give(tx, id, &principal), taken)?;
    let mut handed = owned(tx, vec![(principal, consumer.clone())])?;
    handed.pop().ok_or_else(|| Error::internal("a consumer without a view"))
}

/// Removes a consumer, whoever's it is.
pub(super) fn delete_any(tx: &mut Tx, actor: &Actor, now: Instant, id: ConsumerId) -> Result<()> {
    let (_, consumer) = lock_any(tx, actor, now, id)?;
    store::delete(tx, consumer.id)
}
