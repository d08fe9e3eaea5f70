//! Looking what a filter finds, starting the work, and doing it to one order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::{
    jobs::BULK,
    model::{Arguments, Bulk, BulkCommand, BulkItem, BulkPreview, BulkProgress, BulkState, ItemState, Kept},
    second, store,
};
use crate::{
    channels::Directory,
    countersign::{self, OnBehalf},
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{self, Cancellation, Command, Fresh, Replan},
    http::{
        parse_value,
        seal::{Secret, sha256_hex},
    },
    jobs::{self, NewJob},
    kernel::{
        Actor, Currency, Instant, Money,
        ids::{BulkJobId, ChannelId, CountersignRequestId, EventId, JobId, OrderId},
    },
    orders::{self, OrderQuery, OrderSummary},
    risk,
    stock::Locations,
};

/// The most orders that are worked on at once.
const MOST: i64 = 10_000;
/// For so many seconds what was looked at can be started.
const SECONDS: i64 = 600;
/// What tokens are made for.
const PURPOSE: &str = "bulk";

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub command: BulkCommand,
    pub filter: Map<String, Value>,
    pub arguments: Arguments,
}

impl Asked {
    /// What a token stands for: who may start what, on which orders.
    fn subject(&self, actor: &Actor, found: &Found, (expiry, look): (i64, &str)) -> Result<String> {
        let asked = serde_json::to_string(&json!([self.filter, self.arguments]))?;
        Ok(format!("{}\n{}\n{asked}\n{}\n{expiry}\n{look}", self.command, actor.label(), found.mark()))
    }
}

/// The orders that a filter finds.
struct Found {
    orders: Vec<OrderSummary>,
    totals: BTreeMap<Currency, i64>,
    /// What those of each channel cost.
    by_channel: BTreeMap<(ChannelId, Currency), i64>,
}

impl Found {
    /// The channels of the orders, each once.
    fn channels(&self) -> Vec<ChannelId> {
        let all: BTreeSet<ChannelId> = self.orders.iter().map(|one| one.channel_id).collect();
        all.into_iter().collect()
    }

    /// What they cost, by currency.
    fn money(&self) -> Vec<Money> {
        self.totals.iter().map(|(currency, sum)| Money::from_minor(*sum, *currency)).collect()
    }

    /// What changes when other orders are found, or others cost something else.
    fn mark(&self) -> String {
        let mut ids: Vec<String> = self.orders.iter().map(|one| one.id.hex()).collect();
        ids.sort_unstable();
        let totals: Vec<String> =
            self.totals.iter().map(|(currency, sum)| Money::from_minor(*sum, *currency).to_string()).collect();
        format!("{} {} {}", ids.len(), ids.concat(), totals.join(" "))
    }
}

fn find(tx: &mut Tx, actor: &Actor, asked: &Asked, directory: &Directory) -> Result<Found> {
    let query: OrderQuery =
        parse_value(&Value::Object(asked.filter.clone())).map_err(|error| within(error, "/filter"))?;
    let (from, to) = (("placed_from", query.placed_from), ("placed_to", query.placed_to));
    let span = directory.span(actor, query.channel_id, from, to)?;
    let orders = orders::found(tx, actor, (&query, span), MOST + 1)?;
    if i64::try_from(orders.len()).unwrap_or(i64::MAX) > MOST {
        let detail = format!("the filter finds more than {MOST} orders: narrow it");
        return Err(Error::invalid("/filter", detail));
    }
    let mut totals: BTreeMap<Currency, i64> = BTreeMap::new();
    let mut by_channel: BTreeMap<(ChannelId, Currency), i64> = BTreeMap::new();
    for one in &orders {
        let sum = totals.entry(one.total.currency()).or_default();
        *sum = sum.saturating_add(one.total.minor());
        let sum = by_channel.entry((one.channel_id, one.total.currency())).or_default();
        *sum = sum.saturating_add(one.total.minor());
    }
    Ok(Found { orders, totals, by_channel })
}

/// A refusal with where it points within what holds it.
fn within(error: Error, place: &str) -> Error {
    let own = match &error {
        Error::Problem(problem) => problem.pointer.clone().unwrap_or_default(),
        _ => String::new(),
    };
    error.at(format!("{place}{own}"))
}

/// That whoever asks may do it to all of it: their ceiling holds for the whole.
fn allowed(actor: &Actor, command: BulkCommand, found: &Found) -> Result<()> {
    if found.orders.is_empty() {
        return Err(Error::invalid("/filter", "the filter finds no order"));
    }
    if command != BulkCommand::Cancel {
        return Ok(());
    }
    let whole = found.totals.values().copied().fold(0, i64::saturating_add);
    fulfilment::within_ceiling(actor, whole).map_err(|error| error.at("/filter"))
}

/// What would be done to which orders: nothing is written.
///
/// # Errors
/// `invalid_value` for a filter that finds none or too many; `ceiling_exceeded`.
pub(super) fn preview(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    (asked, directory, secret): (&Asked, &Directory, &Secret),
    look: BulkJobId,
) -> Result<BulkPreview> {
    let found = find(tx, actor, asked, directory)?;
    allowed(actor, asked.command, &found)?;
    let expiry = now.micros() / 1_000_000 + SECONDS;
    // Each look has a token of its own: what was seen once is started once.
    let look = look.hex();
    let mac = secret.token(PURPOSE, &asked.subject(actor, &found, (expiry, &look))?);
    Ok(BulkPreview {
        command: asked.command,
        count: i64::try_from(found.orders.len()).unwrap_or(i64::MAX),
        totals: found.money(),
        numbers: found.orders.iter().take(20).map(|one| one.number.clone()).collect(),
        token: format!("{expiry}.{look}.{mac}"),
        expires_at: Instant::from_micros(expiry * 1_000_000),
    })
}

/// Starts it, on exactly the orders that were looked at. A token starts one: whoever sends it again gets what the first has started. Where
/// the orders cost more than one person cancels alone, a second one has to approve it before it begins.
///
/// # Errors
/// `token_expired`; `compare_failed` where the token is for something else, or the filter finds other orders by now; as [`preview`].
pub(super) fn start(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    (asked, directory, secret): (&Asked, &Directory, &Secret),
    ids: &Start,
    token: &str,
) -> Result<BulkProgress> {
    let hash = sha256_hex(token.as_bytes());
    if let Some(first) = started(tx, now, actor, asked, &hash)? {
        return Ok(first);
    }
    let found = find(tx, actor, asked, directory)?;
    allowed(actor, asked.command, &found)?;
    let other = || {
        let detail = "the token is for another command, filter or caller, or the filter finds other orders by now: preview it again";
        Error::problem(Code::CompareFailed, detail).at("/token")
    };
    let mut parts = token.splitn(3, '.');
    let (Some(expiry), Some(look), Some(mac)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(other());
    };
    let expiry: i64 = expiry.parse().map_err(|_| other())?;
    if !secret.is_token(PURPOSE, &asked.subject(actor, &found, (expiry, look))?, mac) {
        return Err(other());
    }
    if now.micros() / 1_000_000 > expiry {
        return Err(Error::problem(Code::CompareFailed, "what was looked at is too old: preview it again").at("/token"));
    }
    let by = OnBehalf::of(actor).ok_or_else(|| Error::internal("nobody works on many orders but staff and clients"))?;
    let request = second::needed(tx, actor, asked.command, &found.by_channel)?.then_some(ids.request.0);
    let one = Bulk {
        id: ids.id,
        command: asked.command,
        state: BulkState::Running,
        started_by: actor.label(),
        created_at: now,
        ended_at: None,
        kept: Kept { arguments: asked.arguments.clone(), by, channels: found.channels(), request },
        token_hash: Some(hash.clone()),
    };
    let versions = match request {
        Some(_) => orders::heads(tx, &found.orders.iter().map(|one| one.id).collect::<Vec<_>>())?,
        None => HashMap::new(),
    };
    let version = |one: &OrderSummary| versions.get(&one.id).map(|head| head.version);
    let orders: Vec<_> = found.orders.iter().map(|order| (order.id, order.number.clone(), version(order))).collect();
    if !store::insert(tx, &one, &orders)? {
        let first = started(tx, now, actor, asked, &hash)?;
        return first.ok_or_else(|| Error::conflict("the token has started something else"));
    }
    match request {
        Some(_) => second::ask(tx, (now, actor), ids.request, (&one, found.money()))?,
        None => begin(tx, now, (one.id, ids.job))?,
    }
    progress(tx, now, actor, ids.id)
}

/// Ids of what starting makes.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub id: BulkJobId,
    pub job: JobId,
    pub request: (CountersignRequestId, EventId),
}

impl Start {
    pub fn new() -> Self {
        Self { id: BulkJobId::new(), job: JobId::new(), request: (CountersignRequestId::new(), EventId::new()) }
    }
}

/// What a token has started already, for whoever has sent it with the same command.
fn started(tx: &mut Tx, now: Instant, actor: &Actor, asked: &Asked, hash: &str) -> Result<Option<BulkProgress>> {
    let Some(id) = store::started_by_token(tx, hash)? else { return Ok(None) };
    let one = visible(tx, actor, id)?;
    let same = (one.started_by == actor.label(), one.command, &one.kept.arguments);
    match same == (true, asked.command, &asked.arguments) {
        true => progress(tx, now, actor, id).map(Some),
        false => Ok(None),
    }
}

/// Has the orders taken one after another.
pub(super) fn begin(tx: &mut Tx, now: Instant, (id, job): (BulkJobId, JobId)) -> Result<()> {
    let job = NewJob { id: job, ..NewJob::now(BULK, now, json!({ "bulk": id })) };
    jobs::enqueue(tx, now, vec![job.in_order(format!("bulk:{id}"))])
}

/// How far it has come, for whoever may see the channels of all its orders.
///
/// # Errors
/// `not_found`.
pub(super) fn progress(tx: &mut Tx, now: Instant, actor: &Actor, id: BulkJobId) -> Result<BulkProgress> {
    let one = visible(tx, actor, id)?;
    let asked = match one.kept.request {
        Some(request) => countersign::state_of(tx, now, request)?,
        None => None,
    };
    let counts: BTreeMap<ItemState, i64> = store::counts(tx, id)?.into_iter().collect();
    let of = |state: ItemState| counts.get(&state).copied().unwrap_or_default();
    Ok(BulkProgress {
        id,
        command: one.command,
        state: asked.map_or(one.state, |request| one.state.asked(request)),
        countersign_request_id: one.kept.request,
        started_by: one.started_by,
        created_at: one.created_at,
        ended_at: one.ended_at,
        total: counts.values().sum(),
        waiting: of(ItemState::Waiting),
        done: of(ItemState::Done),
        refused: of(ItemState::Refused),
    })
}

/// Work that the actor may see.
pub(super) fn visible(tx: &mut Tx, actor: &Actor, id: BulkJobId) -> Result<Bulk> {
    let found = store::get(tx, id)?.filter(|one| one.kept.channels.iter().all(|channel| actor.sees_channel(*channel)));
    found.ok_or_else(|| Error::not_found("bulk job"))
}

/// What has become of each order.
///
/// # Errors
/// `not_found`.
pub(super) fn items(
    tx: &mut Tx,
    actor: &Actor,
    id: BulkJobId,
    after: Option<OrderId>,
    limit: i64,
) -> Result<Vec<BulkItem>> {
    visible(tx, actor, id)?;
    store::items(tx, id, after, limit)
}

/// Ids of what one order needs.
#[derive(Debug, Clone)]
pub(super) struct Ids {
    event: EventId,
    seed: JobId,
}

impl Ids {
    pub fn new() -> Self {
        Self { event: EventId::new(), seed: JobId::new() }
    }

    /// Those of one of the commands that it takes: the same whenever it runs again.
    fn fresh(&self, place: usize) -> Fresh {
        let mut bytes = *self.seed.bytes();
        let place = u32::try_from(place).unwrap_or(u32::MAX).to_le_bytes();
        bytes.iter_mut().rev().zip(place).for_each(|(to, from)| *to ^= from);
        Fresh::of(JobId::from_bytes(bytes))
    }
}

/// Does it to one order that waits, in the transaction that says so. False when somebody else has taken it.
///
/// # Errors
/// Why the order refuses.
pub(super) fn do_one(
    tx: &mut Tx,
    now: Instant,
    locations: &Locations,
    ids: &Ids,
    (bulk, order): (&Bulk, OrderId),
) -> Result<bool> {
    if !store::take(tx, (bulk.id, order), ItemState::Done, None)? {
        return Ok(false);
    }
    if bulk.kept.request.is_some() {
        // It was approved as it was then.
        let (version, seen) = (orders::lock(tx, order)?.version, store::version_of(tx, (bulk.id, order))?);
        if seen != Some(version) {
            return Err(Error::stale("order", version));
        }
    }
    let by = &bulk.kept.by;
    let actor = if bulk.kept.request.is_some() { by.countersigned() } else { by.actor() };
    let arguments = &bulk.kept.arguments;
    let reason = arguments.reason.clone().unwrap_or_else(|| "by the hundred".to_owned());
    match bulk.command {
        BulkCommand::Release => {
            orders::holds::release_goods(tx, now, &actor, ids.event, order, &reason)?;
            // As where one is released: whoever ends a hold for risk says that nothing was wrong.
            risk::judged_by_release(tx, (now, &actor), order)?;
        }
        BulkCommand::Cancel => {
            let what = Cancellation { reason, ..Cancellation::default() };
            fulfilment::cancel(tx, now, &actor, &ids.fresh(0), order, &what)?;
        }
        BulkCommand::Resource => resource(tx, now, (&actor, locations), ids, (order, &reason))?,
        BulkCommand::Tag => {
            orders::notes::tag(tx, now, &actor, (ids.event, order), (&arguments.add, &arguments.remove))?;
        }
        BulkCommand::Resend => {
            orders::notes::resend(tx, now, &actor, ids.event, order)?;
        }
    }
    Ok(true)
}

/// Plans anew what of an order nobody has picked.
fn resource(
    tx: &mut Tx,
    now: Instant,
    (actor, locations): (&Actor, &Locations),
    ids: &Ids,
    (order, reason): (OrderId, &str),
) -> Result<()> {
    orders::lock(tx, order)?;
    let (works, _) = fulfilment::of_order(tx, order)?;
    let open = works.iter().filter(|work| {
        work.state.is_open()
            && actor.sees_location(work.location_id)
            && work.counts().any(|one| one.left_for(Command::Move) > 0)
    });
    let open: Vec<_> = open.map(|work| work.id).collect();
    if open.is_empty() {
        return Err(Error::conflict("nothing of it is left that could be planned anew"));
    }
    for (place, id) in open.into_iter().enumerate() {
        let what = Replan { reason: Some(reason.to_owned()), ..Replan::default() };
        fulfilment::replan(tx, now, actor, &ids.fresh(place), id, (&what, locations))?;
    }
    Ok(())
}
