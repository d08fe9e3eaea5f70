//! Commands on waves. Each locks the wave first, then the orders of its work in the order of their ids, the stock levels last.

use std::collections::{BTreeMap, HashMap, HashSet};

// What is asked for as it stands in the tables.
pub(super) use super::store::page;
use super::{
    model::{Member, PickList, Put, Short, Wave, WaveCommand, WaveState, order_of, pick_list},
    store,
};
use crate::{
    catalog,
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{
        Command, Fresh, FulfilmentOrder, Pieces, orders_by_ids,
        service::{self, Filter},
    },
    kernel::{
        Actor, Instant, Quantity,
        ids::{EventId, FulfilmentOrderId, JobId, LocationId, OrderId, VariantId, WaveId},
    },
    orders::{self, OrderDocument},
    stock::{self, Bin, Entry, LevelKey, MovementKind},
};

/// How many fulfilment orders a wave has at most.
pub(super) const MOST: usize = 100;

/// A wave about to be made.
#[derive(Debug, Clone)]
pub(super) struct NewWave {
    pub id: WaveId,
    pub name: Option<String>,
    pub location: LocationId,
    pub zone: Option<String>,
    pub due_before: Option<Instant>,
    pub min_priority: Option<i64>,
    pub shipping_method: Option<String>,
    pub only: Option<Vec<FulfilmentOrderId>>,
    pub limit: usize,
}

/// A wave with all that belongs to it.
pub(super) struct Whole {
    pub wave: Wave,
    pub list: PickList,
    pub members: Vec<Member>,
    pub shorts: Vec<Short>,
}

/// A wave that the actor may see: who is limited to channels alone sees none, for it is of all of them.
///
/// # Errors
/// `not_found`.
pub(super) fn get(tx: &mut Tx, now: Instant, actor: &Actor, id: WaveId) -> Result<Whole> {
    let wave = store::get(tx, id)?.filter(|wave| actor.keeps_stock_at(wave.location_id));
    let wave = wave.ok_or_else(|| Error::not_found("wave"))?;
    whole(tx, now, actor, wave)
}

/// A wave with its work as it stands now: six statements. Work of channels that the actor does not see is left out.
fn whole(tx: &mut Tx, now: Instant, actor: &Actor, wave: Wave) -> Result<Whole> {
    let places: HashMap<FulfilmentOrderId, i64> = store::members(tx, wave.id)?.into_iter().collect();
    let ids: Vec<FulfilmentOrderId> = places.keys().copied().collect();
    let work = orders_by_ids(tx, &ids)?.into_iter().filter(|work| actor.sees_channel(work.channel_id));
    let member = |work: FulfilmentOrder| Some(Member { put: places.get(&work.id).copied()?, work });
    let mut members: Vec<Member> = work.filter_map(member).collect();
    members.sort_by_key(|member| member.put);
    let shorts = store::shorts(tx, wave.id)?;
    let bins = bins(tx, wave.location_id, members.iter().map(|member| &member.work))?;
    // What is not at this location any more was moved to another.
    let here: Vec<Member> =
        members.iter().filter(|member| member.work.location_id == wave.location_id).cloned().collect();
    let list = if wave.state.is_open() { pick_list(now, &here, &shorts, &bins) } else { PickList::default() };
    Ok(Whole { wave, list, members, shorts })
}

/// Where the goods of work lie at a location.
fn bins<'a>(
    tx: &mut Tx,
    location: LocationId,
    work: impl Iterator<Item = &'a FulfilmentOrder>,
) -> Result<HashMap<VariantId, Bin>> {
    let variants: HashSet<VariantId> = work.flat_map(|one| one.lines.iter().map(|line| line.variant_id)).collect();
    let keys: Vec<LevelKey> = variants.into_iter().map(|variant| (variant, location)).collect();
    Ok(stock::bins_of(tx, &keys)?.into_iter().map(|((variant, _), bin)| (variant, bin)).collect())
}

/// How many fulfilment orders are looked at at once, and how often, until a wave is full.
const LOOKED_AT: i64 = 200;
const LOOKS: usize = 20;

/// Makes a wave of what waits to be picked at a location and is in no other, due first.
///
/// # Errors
/// `state_conflict` when there is nothing that fits.
pub(super) fn create(tx: &mut Tx, now: Instant, actor: &Actor, new: &NewWave) -> Result<Whole> {
    let chosen = choose(tx, now, actor, new)?;
    let wave = Wave {
        id: new.id,
        location_id: new.location,
        name: new.name.clone(),
        zone: new.zone.clone(),
        state: WaveState::Open,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    store::insert(tx, &wave)?;
    let places: Vec<(FulfilmentOrderId, i64)> = chosen.into_iter().zip(1..).collect();
    // What another wave has taken meanwhile is its own; places need not be without gaps.
    if places.is_empty() || store::take(tx, wave.id, &places)?.is_empty() {
        return Err(Error::conflict("nothing that fits waits to be picked and is in no wave"));
    }
    whole(tx, now, actor, wave)
}

/// The fulfilment orders that a wave takes, due first.
fn choose(tx: &mut Tx, now: Instant, actor: &Actor, new: &NewWave) -> Result<Vec<FulfilmentOrderId>> {
    let filter = Filter {
        location: Some(new.location),
        overdue_at: new.due_before,
        min_priority: new.min_priority,
        channels: actor.channels().map(<[_]>::to_vec),
        ..Filter::default()
    };
    let (mut chosen, mut after) = (Vec::new(), None);
    for _ in 0..LOOKS {
        let found = match &new.only {
            Some(only) => orders_by_ids(tx, only)?,
            None => service::page(tx, &filter, after, LOOKED_AT)?,
        };
        let (count, last) = (found.len(), found.last().map(|one| (one.due_at, one.id)));
        let mut fitting = fitting(tx, now, actor, new, found)?;
        fitting.sort_by_key(|one| (one.due_at, one.id));
        chosen.extend(fitting.into_iter().map(|one| one.id));
        after = last;
        if chosen.len() >= new.limit || count < usize::try_from(LOOKED_AT).unwrap_or(usize::MAX) || new.only.is_some() {
            break;
        }
    }
    chosen.truncate(new.limit);
    Ok(chosen)
}

/// Those of which something is left to pick here, that are in no wave, and that fit what the wave is for.
fn fitting(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    new: &NewWave,
    mut found: Vec<FulfilmentOrder>,
) -> Result<Vec<FulfilmentOrder>> {
    let to_pick = |one: &FulfilmentOrder| one.counts().any(|counts| counts.left_for(Command::Pick) > 0);
    found.retain(|one| one.location_id == new.location && one.state.is_open() && to_pick(one));
    found.retain(|one| actor.sees_channel(one.channel_id) && one.free_for(Command::Pick, now).is_ok());
    let ids: Vec<FulfilmentOrderId> = found.iter().map(|one| one.id).collect();
    let held = store::held(tx, &ids)?;
    found.retain(|one| !held.contains(&one.id));
    if let Some(zone) = &new.zone {
        let bins = bins(tx, new.location, found.iter())?;
        found.retain(|one| {
            let left = one.lines.iter().filter(|line| line.counts.left_for(Command::Pick) > 0);
            left.into_iter().all(|line| bins.get(&line.variant_id).is_some_and(|bin| bin.zone == *zone))
        });
    }
    if let Some(method) = &new.shipping_method {
        let orders: Vec<OrderId> = found.iter().map(|one| one.order_id).collect();
        let orders: HashMap<OrderId, OrderDocument> =
            orders::by_ids(tx, &orders)?.into_iter().map(|order| (order.id, order)).collect();
        found.retain(|one| {
            let delivery = orders.get(&one.order_id).and_then(|order| order.delivery(one.delivery_key()));
            delivery.is_some_and(|delivery| delivery.method.as_deref() == Some(method))
        });
    }
    Ok(found)
}

/// Locks a wave that the actor may see and that takes a command, and reads its work.
fn start(tx: &mut Tx, now: Instant, actor: &Actor, id: WaveId, command: WaveCommand) -> Result<Whole> {
    let wave = store::lock(tx, id)?.filter(|wave| actor.keeps_stock_at(wave.location_id));
    let wave = wave.ok_or_else(|| Error::not_found("wave"))?;
    wave.state.apply(command, false)?;
    whole(tx, now, actor, wave)
}

/// Ends a command: the wave's state by what is left of it now.
fn end(tx: &mut Tx, now: Instant, actor: &Actor, whole: Whole, command: WaveCommand) -> Result<Whole> {
    let seen = whole.wave.state;
    let mut left = self::whole(tx, now, actor, whole.wave)?;
    // It is done when nothing is left for anybody, whatever this one sees.
    let empty = left.list.lines.is_empty()
        && (actor.channels().is_none()
            || self::whole(tx, now, &Actor::System("waves"), left.wave.clone())?.list.lines.is_empty());
    left.wave.state = seen.apply(command, empty)?;
    (left.wave.version, left.wave.updated_at) = (left.wave.version + 1, now);
    store::save(tx, &left.wave, seen, command)?;
    if !left.wave.state.is_open() {
        store::let_go(tx, left.wave.id)?;
        left.list = PickList::default();
    }
    Ok(left)
}

/// Which pieces of a wave.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    /// A SKU or GTIN.
    pub scanned: String,
    /// How many; all that are left when absent.
    pub pieces: Option<i64>,
    /// Of one fulfilment order only.
    pub of: Option<FulfilmentOrderId>,
}

/// The variant of a wave that was scanned.
fn scanned(tx: &mut Tx, whole: &Whole, code: &str) -> Result<VariantId> {
    if let Some(line) = whole.list.lines.iter().find(|line| line.sku == code) {
        return Ok(line.variant_id);
    }
    let ids: Vec<VariantId> = whole.list.lines.iter().map(|line| line.variant_id).collect();
    // A GTIN-12 or -13 is a GTIN-14 with zeros in front.
    let bare = |gtin: &str| gtin.trim_start_matches('0').to_owned();
    let is_it = |variant: &catalog::Variant| variant.gtin.as_deref().is_some_and(|gtin| bare(gtin) == bare(code));
    let found = catalog::by_ids(tx, &ids)?.into_iter().find(is_it).map(|variant| variant.id);
    found.ok_or_else(|| Error::not_found("article left to pick in this wave").at("/scanned"))
}

/// Picks pieces of a wave: for one fulfilment order, or for as many as they suffice for. Gives into which places they go.
///
/// # Errors
/// `not_found`, `state_conflict`, `quantity_exceeded`.
pub(super) fn pick(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &[Fresh],
    id: WaveId,
    taken: &Taken,
) -> Result<(Whole, Vec<Put>)> {
    let whole = start(tx, now, actor, id, WaveCommand::Pick)?;
    let variant = scanned(tx, &whole, &taken.scanned)?;
    let puts = whole.list.stop(variant)?.share(taken.pieces, taken.of)?;
    // Orders are locked in the order of their ids.
    let mut by_work: BTreeMap<(Option<OrderId>, FulfilmentOrderId), Vec<Pieces>> = BTreeMap::new();
    for put in &puts {
        let key = (order_of(&whole.members, put.fulfilment_order_id), put.fulfilment_order_id);
        let quantity = Quantity::try_from(put.quantity).map_err(Error::internal)?;
        by_work.entry(key).or_default().push(Pieces { line_no: put.line_no, quantity });
    }
    if by_work.len() > fresh.len() {
        return Err(Error::internal("a pick of more fulfilment orders than a wave has"));
    }
    for (((_, work), pieces), fresh) in by_work.iter().zip(fresh) {
        // What was picked or cancelled beside the wave since its list was read is not there any more.
        service::pick(tx, now, actor, fresh, *work, Some(pieces)).map_err(|error| match error {
            Error::Problem(problem) if problem.code == Code::QuantityExceeded => {
                Error::overtaken("what is left to pick of the wave")
            }
            error => error,
        })?;
    }
    Ok((end(tx, now, actor, whole, WaveCommand::Pick)?, puts))
}

/// Ids for what follows from pieces that were not found.
pub(super) struct Ids {
    pub events: [EventId; 1],
    pub jobs: Vec<JobId>,
}

/// Pieces of a wave that were not found.
#[derive(Debug, Clone)]
pub(super) struct Missing {
    pub what: Taken,
    pub reason: String,
    /// Whether the level is set down by them.
    pub adjust: bool,
    /// Whether they are planned anew.
    pub replan: bool,
}

/// Notes that pieces of a wave were not found: they are in its list no more. Where asked, jobs plan them anew, one for each fulfilment
/// order, and the level is set down by them.
///
/// # Errors
/// `not_found`, `state_conflict`, `quantity_exceeded`; `stock_negative` when not so many lie there by the books.
pub(super) fn short(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Ids,
    id: WaveId,
    missing: &Missing,
) -> Result<(Whole, Vec<Put>)> {
    let whole = start(tx, now, actor, id, WaveCommand::Short)?;
    let (location, variant) = (whole.wave.location_id, scanned(tx, &whole, &missing.what.scanned)?);
    if missing.adjust && !actor.keeps_stock_at(location) {
        let detail = "stock serves all channels, and the credential is limited to some: limit it to locations too";
        return Err(Error::problem(Code::ScopeMissing, detail).at("/adjust_level"));
    }
    let puts = whole.list.stop(variant)?.share_last(missing.what.pieces, missing.what.of)?;
    store::add_shorts(tx, now, id, &puts, &missing.reason)?;
    let tracked = whole
        .members
        .iter()
        .flat_map(|member| &member.work.lines)
        .any(|line| line.variant_id == variant && line.tracked);
    if missing.replan {
        super::jobs::plan_anew(tx, now, &fresh.jobs, (location, &missing.reason), &puts)?;
    }
    let ended = end(tx, now, actor, whole, WaveCommand::Short)?;
    if missing.adjust && tracked {
        let pieces: i64 = puts.iter().map(|put| put.quantity).sum();
        let entry = Entry::goods((variant, location), MovementKind::Count, -pieces);
        let entry = Entry { reason: Some(missing.reason.clone()), ..entry };
        stock::book(tx, now, actor, &[entry], (Some(&id.to_string()), now), &fresh.events)?;
    }
    Ok((ended, puts))
}

/// Ends a wave: what is left of it can go into others.
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn finish(tx: &mut Tx, now: Instant, actor: &Actor, id: WaveId) -> Result<Whole> {
    let whole = start(tx, now, actor, id, WaveCommand::Finish)?;
    end(tx, now, actor, whole, WaveCommand::Finish)
}

/// Gives a wave up of which nothing was picked.
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn cancel(tx: &mut Tx, now: Instant, actor: &Actor, id: WaveId) -> Result<Whole> {
    let whole = start(tx, now, actor, id, WaveCommand::Cancel)?;
    end(tx, now, actor, whole, WaveCommand::Cancel)
}
