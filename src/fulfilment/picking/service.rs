//! Commands on waves. Each locks the wave first, then the orders of its work in the order of their ids, the stock levels last.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::Datelike;
use chrono_tz::Tz;

// What is asked for as it stands in the tables.
pub(super) use super::store::page;
use super::{
    model::{Lying, Member, PickList, PickLot, Put, Shelves, Short, Wave, WaveCommand, WaveState, order_of, pick_list},
    store,
    taken::{self, TakenOf},
};
use crate::{
    catalog,
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{
        Command, Fresh, FulfilmentOrder, Pieces, crossdock, orders_by_ids,
        service::{self, Filter},
    },
    kernel::{
        Actor, Instant, Quantity,
        gs1::{self, Fields},
        ids::{EventId, FulfilmentOrderId, JobId, LocationId, OrderId, VariantId, WaveId},
    },
    orders::{self, OrderDocument},
    stock::{
        self, Bin, Entry, LevelKey, Locations, MovementKind,
        lots::{self, Lot},
    },
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
    shelves: Shelves,
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

/// A wave with its work as it stands now: a dozen statements at most. Work of channels that the actor does not see is left out.
fn whole(tx: &mut Tx, now: Instant, actor: &Actor, wave: Wave) -> Result<Whole> {
    let places: HashMap<FulfilmentOrderId, i64> = store::members(tx, wave.id)?.into_iter().collect();
    let ids: Vec<FulfilmentOrderId> = places.keys().copied().collect();
    let work = orders_by_ids(tx, &ids)?.into_iter().filter(|work| actor.sees_channel(work.channel_id));
    let member = |work: FulfilmentOrder| Some(Member { put: places.get(&work.id).copied()?, work });
    let mut members: Vec<Member> = work.filter_map(member).collect();
    members.sort_by_key(|member| member.put);
    let shorts = store::shorts(tx, wave.id)?;
    // What is not at this location any more was moved to another.
    let here: Vec<Member> =
        members.iter().filter(|member| member.work.location_id == wave.location_id).cloned().collect();
    let (mut list, mut shelves) = (PickList::default(), Shelves::default());
    if wave.state.is_open() {
        shelves = self::shelves(tx, now, wave.location_id, &here)?;
        list = pick_list(now, &here, &shorts, &shelves);
    }
    Ok(Whole { wave, list, members, shorts, shelves })
}

/// What a location has for the work of a wave.
fn shelves(tx: &mut Tx, now: Instant, location: LocationId, here: &[Member]) -> Result<Shelves> {
    let bins = bins(tx, location, here.iter().map(|member| &member.work))?;
    let standing = crossdock::standing_for(tx, here.iter().map(|member| &member.work))?;
    let variants: Vec<VariantId> = to_pick(here.iter().map(|member| &member.work));
    if variants.is_empty() {
        return Ok(Shelves { bins, standing, ..Shelves::default() });
    }
    let lacking = crossdock::lacking_of(tx, now, location, &variants)?;
    let keys: Vec<LevelKey> = variants.into_iter().map(|variant| (variant, location)).collect();
    let lots = lots::lying(tx, &keys)?;
    if lots.is_empty() {
        return Ok(Shelves { bins, lacking, standing, ..Shelves::default() });
    }
    let mut variants: Vec<VariantId> = lots.iter().map(|(lot, ..)| lot.variant_id).collect();
    variants.sort_unstable();
    variants.dedup();
    let keys: Vec<LevelKey> = variants.iter().map(|variant| (*variant, location)).collect();
    let levels = stock::levels_at(tx, &keys)?;
    let mut loose: HashMap<VariantId, i64> = levels.values().map(|level| (level.variant, level.on_hand)).collect();
    // What was taken of lots and has not left lies there by the books only.
    let taken = taken::here(tx, location, &variants)?;
    let lying = |(lot, _, pieces): (Lot, LocationId, i64)| {
        loose.entry(lot.variant_id).and_modify(|rest| *rest -= pieces);
        let gone = taken.get(&(lot.variant_id, lot.number.clone())).copied().unwrap_or_default().clamp(0, pieces);
        Lying { lot, free: pieces - gone, taken: gone }
    };
    let lots = lots.into_iter().map(lying).collect();
    let mut orders: Vec<OrderId> = here.iter().map(|member| member.work.order_id).collect();
    orders.sort_unstable();
    orders.dedup();
    let mut lives = orders::shelf_lives(tx, &orders)?;
    for Member { work, .. } in here {
        if let Some(days) = work.shelf_life_days {
            lives.entry(work.order_id).and_modify(|life| *life = days.max(*life)).or_insert(days);
        }
    }
    Ok(Shelves { bins, lacking, standing, lots, loose, lives })
}

/// The variants of which something is left to pick of work.
fn to_pick<'a>(work: impl Iterator<Item = &'a FulfilmentOrder>) -> Vec<VariantId> {
    let lines = work.flat_map(|one| &one.lines);
    let mut variants: Vec<VariantId> =
        lines.filter(|line| line.counts.left_for(Command::Pick) > 0).map(|line| line.variant_id).collect();
    variants.sort_unstable();
    variants.dedup();
    variants
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
    let some_left = |one: &FulfilmentOrder| one.counts().any(|counts| counts.left_for(Command::Pick) > 0);
    found.retain(|one| one.location_id == new.location && one.state.is_open() && some_left(one));
    // Where a line of it is held, people pick the others by themselves.
    let free = |one: &FulfilmentOrder| one.free_for(Command::Pick, now).is_ok() && one.order_holds.is_empty();
    found.retain(|one| actor.sees_channel(one.channel_id) && free(one));
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
    // Nobody is sent to an empty shelf: some of it has to be there, of lots that the order takes.
    let members: Vec<Member> = found.into_iter().zip(1..).map(|(work, put)| Member { put, work }).collect();
    let list = pick_list(now, &members, &[], &shelves(tx, now, new.location, &members)?);
    let there: HashSet<FulfilmentOrderId> =
        list.lines.iter().flat_map(|stop| stop.puts.iter().map(|put| put.fulfilment_order_id)).collect();
    Ok(members.into_iter().map(|member| member.work).filter(|work| there.contains(&work.id)).collect())
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
    /// A SKU, a GTIN, or an element string of GS1 with one.
    pub scanned: String,
    /// How many; all that are left when absent.
    pub pieces: Option<i64>,
    /// Of one fulfilment order only.
    pub of: Option<FulfilmentOrderId>,
}

/// The variant of a wave that was scanned, and what else its code says.
fn scanned(tx: &mut Tx, now: Instant, whole: &Whole, code: &str) -> Result<(VariantId, Fields)> {
    if let Some(line) = whole.list.lines.iter().find(|line| line.sku == code) {
        return Ok((line.variant_id, Fields::default()));
    }
    let fields = gs1::read(code, now.utc().year()).unwrap_or_default();
    let gtin = fields.gtin.as_deref().unwrap_or(code);
    let ids: Vec<VariantId> = whole.list.lines.iter().map(|line| line.variant_id).collect();
    // A GTIN-12 or -13 is a GTIN-14 with zeros in front.
    let bare = |gtin: &str| gtin.trim_start_matches('0').to_owned();
    let is_it = |variant: &catalog::Variant| variant.gtin.as_deref().is_some_and(|known| bare(known) == bare(gtin));
    let found = catalog::by_ids(tx, &ids)?.into_iter().find(is_it).map(|variant| variant.id);
    let missing = || Error::not_found("article left to pick in this wave").at("/scanned");
    Ok((found.ok_or_else(missing)?, fields))
}

/// The lot that was scanned, where it is a known one.
///
/// # Errors
/// `state_conflict` where its pieces may not be sold, or the article has kept as long as its code says.
fn scanned_lot(tx: &mut Tx, now: Instant, variant: VariantId, fields: &Fields, zone: Tz) -> Result<Option<Lot>> {
    let refused = |why: String| Error::conflict(format!("{why}: take another")).at("/scanned");
    if let Some(why) = crate::fulfilment::scanning::past(now, fields, zone) {
        return Err(refused(why));
    }
    let Some(number) = fields.lot.as_deref() else { return Ok(None) };
    let lot = lots::known(tx, &[(variant, number)].into())?.pop();
    match lot.as_ref().and_then(|lot| Some((lot.id, lot.refused(now, None)?))) {
        Some((id, why)) => Err(refused(why).with("lot_id", id.to_string())),
        None => Ok(lot),
    }
}

/// Picks pieces of a wave: for one fulfilment order, or for as many as they suffice for. Gives into which places they go. Where the code
/// names a lot, they are of it, and go to orders only for which it keeps long enough.
///
/// # Errors
/// `not_found`, `quantity_exceeded`; `state_conflict`, also for a lot that may not be sold; `stock_negative` where what lies there stands at
/// the dock for other orders.
pub(super) fn pick(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    (fresh, locations): (&[Fresh], &Locations),
    id: WaveId,
    taken: &Taken,
) -> Result<(Whole, Vec<Put>)> {
    let whole = start(tx, now, actor, id, WaveCommand::Pick)?;
    let (variant, fields) = scanned(tx, now, &whole, &taken.scanned)?;
    let zone = locations.get(whole.wave.location_id)?.time_zone.0;
    let lot = scanned_lot(tx, now, variant, &fields, zone)?;
    let pieces = taken.pieces.or(fields.count);
    let puts = match &lot {
        None => whole.list.stop(variant)?.share(pieces, taken.of, |_| true)?,
        Some(lot) => of_lot(now, &whole, (variant, lot), (pieces, taken.of))?,
    };
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
    let (mut picked, mut noted) = (Vec::with_capacity(by_work.len()), Vec::with_capacity(by_work.len()));
    let wave = whole.wave.id.to_string();
    for (((order, work), pieces), fresh) in by_work.iter().zip(fresh) {
        // What was picked or cancelled beside the wave since its list was read is not there any more.
        let part = service::pick_part(tx, now, actor, fresh, *work, pieces).map_err(|error| match error {
            Error::Problem(problem) if problem.code == Code::QuantityExceeded => {
                Error::overtaken("what is left to pick of the wave")
            }
            error => error,
        });
        let part = part?;
        noted.extend(order.iter().flat_map(|order| service::from_shelf(*order, &part, Some(&wave))));
        picked.extend(part);
    }
    // What the list says is taken of is taken of, unless the code names another lot.
    let of_lots = puts.iter().flat_map(|put| {
        put.lots.iter().map(|lot| TakenOf {
            work: put.fulfilment_order_id,
            line_no: put.line_no,
            variant,
            location: whole.wave.location_id,
            lot: lot.lot.clone(),
            pieces: lot.quantity,
        })
    });
    taken::note(tx, &of_lots.collect::<Vec<_>>())?;
    let ended = end(tx, now, actor, whole, WaveCommand::Pick)?;
    stock::note_picked(tx, now, actor, &noted)?;
    // Last, for it locks the levels.
    crossdock::leave_standing(tx, &picked, crossdock::Taking::Pick)?;
    Ok((ended, puts))
}

/// Into which places pieces of a lot go: those of orders for which it keeps long enough.
fn of_lot(
    now: Instant,
    whole: &Whole,
    (variant, lot): (VariantId, &Lot),
    (pieces, of): (Option<i64>, Option<FulfilmentOrderId>),
) -> Result<Vec<Put>> {
    let stop = whole.list.stop(variant)?;
    let keeps = |put: &Put| {
        let until = whole.shelves.keeps_until(now, order_of(&whole.members, put.fulfilment_order_id));
        lot.refused(now, Some(until)).is_none()
    };
    if !stop.puts.iter().any(|put| of.is_none_or(|of| of == put.fulfilment_order_id) && keeps(put)) {
        let detail = format!("lot `{}` does not keep as long as the orders ask for: take another", lot.number);
        return Err(Error::conflict(detail).at("/scanned").with("lot_id", lot.id.to_string()));
    }
    let mut puts = stop.share(pieces, of, keeps)?;
    for put in &mut puts {
        let (lot_id, number, expires_at) = (lot.id, lot.number.clone(), lot.expires_at);
        put.lots = vec![PickLot { lot_id, lot: number, expires_at, quantity: put.quantity }];
    }
    Ok(puts)
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
    let location = whole.wave.location_id;
    let (variant, _) = scanned(tx, now, &whole, &missing.what.scanned)?;
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
        super::jobs::plan_anew(tx, now, &fresh.jobs, (location, &missing.reason, missing.adjust), &puts)?;
    }
    let ended = end(tx, now, actor, whole, WaveCommand::Short)?;
    if missing.adjust && tracked {
        let pieces: i64 = puts.iter().map(|put| put.quantity).sum();
        let entry = Entry::goods((variant, location), MovementKind::Count, -pieces);
        let entry = Entry { reason: Some(missing.reason.clone()), ..entry };
        // What stands at the dock for others is known to be there.
        let gone = crossdock::Taken { work: None, line_no: None, key: (variant, location), pieces };
        crossdock::leave_standing(tx, &[gone], crossdock::Taking::Leave)?;
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
