//! Fetching: by cursor, and as a named consumer.

use std::collections::HashSet;
use std::time::Duration;

use super::{
    current,
    model::{self, Consumer, Due, Feed, FeedItem, FeedPage, Place, Plan, Triage, View},
    store,
};
use crate::{
    channels::Directory,
    db::{Db, Tx},
    error::{Code, Error, Result},
    events::{self, Event, Filter, LogState},
    http::{Call, Cursor, seal},
    kernel::{Actor, Id, Instant, Scope, ids::ConsumerId},
};

/// How many events of the log one look goes through.
const SCAN: i64 = 1000;

/// What a poll asks for.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub actor: Actor,
    pub feed: Feed,
    pub filter: Filter,
    pub view: View,
    pub limit: i64,
    pub binding: String,
}

impl Wish {
    /// A wish, with the channels that the caller may see and without test channels unless they ask for them.
    pub(super) async fn new(
        call: &Call,
        actor: &Actor,
        feed: Feed,
        types: Vec<String>,
        include_test: bool,
    ) -> Result<Self> {
        let binding = model::binding(feed, &types, include_test);
        let filter = filter(call, actor, types, include_test).await?;
        Ok(Self { actor: actor.clone(), feed, filter, view: View::AtEvent, limit: 100, binding })
    }
}

/// What of the types the caller may see, without what belongs to test channels unless they ask for it: what tells of
/// customers only with the scope that reads them.
pub(super) async fn filter(call: &Call, actor: &Actor, types: Vec<String>, include_test: bool) -> Result<Filter> {
    let left_out = match include_test {
        true => HashSet::new(),
        false => call.snapshot::<Directory>().await?.test_channels(),
    };
    let locations = actor.locations().map(<[_]>::to_vec);
    let without = if actor.holds(Scope::CustomersRead) { Vec::new() } else { Feed::Customers.prefixes().to_vec() };
    let channels = actor.channels().map(<[_]>::to_vec);
    Ok(Filter { types, without, channels, left_out, locations, not_by: None })
}

/// The events after a position that are wanted, and how far was looked.
fn look(tx: &mut Tx, filter: &Filter, after: i64) -> Result<(Vec<Event>, i64)> {
    let (mut found, seen) = events::read_after(tx, after, &filter.types, SCAN)?;
    found.retain(|event| filter.wants(event));
    Ok((found, seen))
}

/// Refuses a place that the log can not go on from.
pub(super) fn check(log: &LogState, feed: Feed, (epoch, position): &Place) -> Result<()> {
    let snapshot = format!("/v1/integration/snapshots/{feed}");
    if *epoch != log.epoch || *position > log.last {
        let detail = "the log has begun a new epoch since this cursor was given";
        return Err(Error::problem(Code::LogEpochChanged, detail).at("after").with("snapshot", snapshot));
    }
    if *position < log.dropped {
        let detail =
            format!("events up to position {} have been dropped; this cursor stands at {position}", log.dropped);
        return Err(Error::problem(Code::CursorExpired, detail).at("after").with("snapshot", snapshot));
    }
    Ok(())
}

/// Where a cursor's text stands: a cursor, `oldest` or `latest`.
pub(super) fn place(log: &LogState, feed: Feed, text: Option<&str>) -> Result<i64> {
    match text {
        None | Some("oldest") => Ok(log.dropped),
        Some("latest") => Ok(log.last),
        Some(text) => {
            let wrong = |error: Error| error.at("after");
            let Cursor(place) = Cursor::<Place>::decode(text).map_err(wrong)?;
            check(log, feed, &place)?;
            Ok(place.1)
        }
    }
}

/// A page after a cursor.
pub(super) fn after(tx: &mut Tx, wish: &Wish, cursor: Option<&str>) -> Result<FeedPage> {
    let log = events::state(tx)?;
    let mut position = place(&log, wish.feed, cursor)?;
    let limit = usize::try_from(wish.limit).unwrap_or(1);
    let mut events: Vec<Event> = Vec::new();
    let mut has_more = false;
    // A narrow filter over a long log is looked through a few bites per request; the cursor carries on.
    for _ in 0..4 {
        let (found, seen) = look(tx, &wish.filter, position)?;
        let moved = seen > position;
        let room = limit - events.len();
        has_more = found.len() > room || seen < log.last;
        position = match found.get(room) {
            Some(_) => found.get(room.saturating_sub(1)).map_or(position, |last| last.position),
            None => seen,
        };
        events.extend(found.into_iter().take(room));
        if !moved || events.len() >= limit || !has_more {
            break;
        }
    }
    if wish.view == View::Current {
        current::lay_over(tx, &wish.actor, &mut events)?;
    }
    let items = events.into_iter().map(|event| FeedItem { event, attempt: None }).collect();
    let next_cursor = Some(Cursor((log.epoch, position)).encode()?);
    Ok(FeedPage { items, next_cursor, lease: None, lease_until: None, has_more })
}

/// Asks again until there is something or the time is up. Waits for this process's writes, and looks now and then for
/// those of others.
pub(super) async fn wait<F>(db: &Db, seconds: u64, ask: impl Fn() -> F) -> Result<FeedPage>
where
    F: Future<Output = Result<FeedPage>>,
{
    let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
    loop {
        let page = ask().await?;
        let left = end.saturating_duration_since(tokio::time::Instant::now());
        if !page.items.is_empty() || page.has_more || left.is_zero() {
            return Ok(page);
        }
        db.written(left.min(Duration::from_millis(500))).await;
        // Under load something is written all the time: look no more than twenty times a second.
        tokio::time::sleep(left.min(Duration::from_millis(50))).await;
    }
}

/// A consumer's poll.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub wish: Wish,
    pub name: String,
    /// Where it begins when it is new.
    pub start: Option<String>,
    pub lease_seconds: i64,
    /// How often an item is handed out before it is set aside.
    pub max_attempts: i64,
    pub now: Instant,
}

/// What a poll has found and wants to write.
struct Found {
    consumer: Consumer,
    due: Vec<Due>,
    /// Items that have been handed out as often as they may.
    poison: Vec<Due>,
    plan: Plan,
    events: Vec<Event>,
    has_more: bool,
}

/// How often a poll plans anew because somebody else was faster.
const ROUNDS: u32 = 40;

/// Hands out a batch under a lease. Planned on a reader, written on the version of the consumer it was planned for: of
/// several pollers at once one is first, the others plan anew.
pub(super) async fn lease(db: &Db, request: &Request) -> Result<FeedPage> {
    for round in 0..ROUNDS {
        let asked = request.clone();
        let Some(found) = db.read(move |tx| find(tx, &asked)).await? else {
            let (asked, id) = (request.clone(), Id::new());
            db.write(move |tx| create(tx, &asked, id)).await?;
            continue;
        };
        if let Some(page) = hand_out(db, request, found).await? {
            return Ok(page);
        }
        tokio::time::sleep(Duration::from_millis(u64::from(rand::random_range(1..=2 + round)))).await;
    }
    Err(Error::problem(Code::Overloaded, "too many poll this consumer at once").retry_after(1))
}

fn create(tx: &mut Tx, asked: &Request, id: ConsumerId) -> Result<()> {
    let log = events::state(tx)?;
    let position = place(&log, asked.wish.feed, asked.start.as_deref())?;
    let new = Consumer {
        id,
        name: asked.name.clone(),
        binding: asked.wish.binding.clone(),
        position,
        epoch: log.epoch,
        version: 1,
        created_at: asked.now,
        updated_at: asked.now,
    };
    store::insert(tx, &model::principal(&asked.wish.actor), &new)
}

/// Looks at a consumer and plans what to hand out. `None`: there is no such consumer yet.
fn find(tx: &mut Tx, asked: &Request) -> Result<Option<Found>> {
    let wish = &asked.wish;
    let Some(consumer) = store::find(tx, &model::principal(&wish.actor), &asked.name)? else { return Ok(None) };
    if consumer.binding != wish.binding {
        let detail = format!("the consumer `{}` reads `{}`, not `{}`", consumer.name, consumer.binding, wish.binding);
        return Err(Error::conflict(format!("{detail}: use another name, or seek it")).at("consumer"));
    }
    let log = events::state(tx)?;
    check(&log, wish.feed, &(consumer.epoch.clone(), consumer.position))?;
    let limit = usize::try_from(wish.limit).unwrap_or(1);
    let due = store::due(tx, consumer.id, asked.now, wish.limit)?;
    let room = limit - due.len().min(limit);
    let Triage { handed: due, poison, held_back } = model::triage(due, asked.max_attempts);
    let plan = match room {
        0 => Plan { position: consumer.position, full: true, ..Plan::default() },
        _ if held_back => Plan { position: consumer.position, full: true, ..Plan::default() },
        room => {
            // Fewer are due than were asked for, so all of them are in this batch: only what is parked, or is about to
            // be, or in somebody's hands blocks a stream.
            let (found, seen) = look(tx, &wish.filter, consumer.position)?;
            let streams: HashSet<&str> = found.iter().map(|event| event.stream.as_str()).collect();
            let mut blocked = store::blocked(tx, consumer.id, asked.now, &streams)?;
            blocked.extend(poison.iter().map(|due| due.stream.clone()));
            model::plan(found, seen, &blocked, room)
        }
    };
    let positions: Vec<i64> = due.iter().map(|due| due.position).collect();
    let mut events = if due.is_empty() { Vec::new() } else { events::by_positions(tx, &positions)? };
    let there: HashSet<i64> = events.iter().map(|event| event.position).collect();
    if let Some(gone) = due.iter().find(|due| !there.contains(&due.position)) {
        // What was handed out and never acknowledged has been dropped: forgetting it would be losing it without a word.
        check(&log, wish.feed, &(consumer.epoch.clone(), gone.position - 1))?;
    }
    events.extend(plan.fresh.iter().filter(|fresh| fresh.handed).map(|fresh| fresh.event.clone()));
    if wish.view == View::Current {
        current::lay_over(tx, &wish.actor, &mut events)?;
    }
    let has_more = plan.full || plan.position < log.last || !poison.is_empty();
    Ok(Some(Found { consumer, due, poison, plan, events, has_more }))
}

/// Writes what was planned; `None` when something has happened to the consumer meanwhile.
async fn hand_out(db: &Db, request: &Request, found: Found) -> Result<Option<FeedPage>> {
    let Found { consumer, due, poison, plan, events, has_more } = found;
    let nothing = events.is_empty() && poison.is_empty() && plan.fresh.is_empty();
    let empty = FeedPage { items: Vec::new(), next_cursor: None, lease: None, lease_until: None, has_more };
    // An idle poll writes nothing; only a long way without anything wanted is worth remembering.
    if nothing && plan.position - consumer.position < SCAN / 2 {
        return Ok(Some(empty));
    }
    let lease = format!("lease_{}", seal::random_text(15));
    let (now, until) = (request.now, request.now.plus_seconds(request.lease_seconds));
    let again: Vec<i64> = due.iter().map(|due| due.position).collect();
    let poison: Vec<i64> = poison.iter().map(|due| due.position).collect();
    let reason = format!("handed out {} times and never acknowledged", request.max_attempts);
    let written = {
        let lease = lease.clone();
        db.write(move |tx| {
            if !store::advance(tx, now, &consumer, plan.position)? {
                return Ok(false);
            }
            let lease = store::Lease { id: &lease, until };
            store::set_poison_aside(tx, now, consumer.id, &poison, &reason)?;
            store::lease_again(tx, now, consumer.id, &lease, &again)?;
            store::insert_items(tx, now, consumer.id, &lease, &plan.fresh)?;
            Ok(true)
        })
    };
    if !written.await? {
        return Ok(None);
    }
    if events.is_empty() {
        return Ok(Some(empty));
    }
    let attempts: std::collections::HashMap<i64, i64> = due.iter().map(|due| (due.position, due.attempt + 1)).collect();
    let item = |event: Event| {
        let attempt = attempts.get(&event.position).copied().unwrap_or(1);
        FeedItem { event, attempt: Some(attempt) }
    };
    let items = events.into_iter().map(item).collect();
    Ok(Some(FeedPage { items, next_cursor: None, lease: Some(lease), lease_until: Some(until), has_more }))
}
