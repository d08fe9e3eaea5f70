//! Commands of the warehouse: open, pick, pack, ship, deliver. Each is a part of the caller's transaction, locks the
//! order first, so that everything on one order happens one after another, and moves the stock levels last.

use std::collections::{BTreeMap, HashMap};

// What is asked for as it stands in the tables.
pub(super) use super::store::{Filter, page, unaccepted};
use super::{
    crossdock, holds,
    ids::{Draw, Fresh},
    model::{
        Command, FulfilmentOrder, Pieces, Shipment, ShipmentCommand, ShipmentState, ShippedLine, Step, at_piece,
        sum_pieces,
    },
    money::{self, Settling},
    parcels::{self, LeftPackage, Package, manifests},
    picking, ready,
    shipped_lots::{self, ShippedLot},
    store,
    told::{parcel, pieces_of, progressed},
    tracking::{self, Mark, Tracking},
};
use crate::{
    catalog,
    db::Tx,
    error::{Code, Error, Result},
    events::{self, Payload},
    jobs,
    kernel::{
        Actor, Id, Instant,
        ids::{FulfilmentOrderId, LocationId, OrderId, PackageId, ShipmentId},
    },
    orders::{self, ExternalRef, LineMove, OrderDocument},
    stock::{
        self, Share, Sourcing,
        lots::{Keep, Packed},
    },
};

/// Until when goods have to keep that leave a fulfilment order's location at an instant. Of older ones their order says it.
pub(super) fn keep_of(order: &OrderDocument, fulfilment: &FulfilmentOrder, at: Instant) -> (LocationId, Instant) {
    let days = fulfilment.shelf_life_days.max(order.min_shelf_life_days).unwrap_or_default();
    (fulfilment.location_id, at.plus_seconds(86_400 * days))
}

/// The key of the delivery that one of an order's fulfilment orders is for, where it has several. One statement there, else none.
pub(super) fn delivery_key(tx: &mut Tx, order: &OrderDocument, id: FulfilmentOrderId) -> Result<Option<String>> {
    if order.deliveries.len() < 2 {
        return Ok(None);
    }
    Ok(store::get(tx, id)?.and_then(|one| one.delivery).map(|delivery| delivery.key))
}

/// Opens fulfilment orders, with why their locations ship what they do: two statements, however many, and one for what holds them.
///
/// # Errors
/// What the database says.
pub fn open(tx: &mut Tx, opened: &[FulfilmentOrder], sourcing: &[Sourcing]) -> Result<()> {
    if opened.is_empty() {
        return Ok(());
    }
    store::insert(tx, opened, sourcing)?;
    let held = opened.iter().flat_map(|one| one.holds.iter().map(move |hold| (one.id, hold)));
    // Nobody is told a hold's id, so a second run may give another.
    let held: Vec<_> = held.map(|(id, hold)| (Id::new(), id, hold)).collect();
    if held.is_empty() { Ok(()) } else { holds::store::insert(tx, &held) }
}

/// A fulfilment order that the actor may see.
///
/// # Errors
/// `not_found`.
pub fn get(tx: &mut Tx, actor: &Actor, id: FulfilmentOrderId) -> Result<FulfilmentOrder> {
    let found = store::get(tx, id)?;
    let seen = found.filter(|one| actor.sees_location(one.location_id) && actor.sees_channel(one.channel_id));
    seen.ok_or_else(|| Error::not_found("fulfilment order"))
}

/// An order's fulfilment orders and shipments, the oldest first: three statements.
///
/// # Errors
/// What the database says.
pub fn of_order(tx: &mut Tx, order: OrderId) -> Result<(Vec<FulfilmentOrder>, Vec<Shipment>)> {
    Ok((store::of_order(tx, order)?, store::shipments(tx, order)?))
}

/// The traces that led to an order's shares, one for each line of which there is something to tell.
///
/// # Errors
/// What the database says.
pub fn sourcing(tx: &mut Tx, order: OrderId) -> Result<Vec<Sourcing>> {
    store::sourcing(tx, order)
}

/// What has left of an order, the oldest first.
///
/// # Errors
/// What the database says.
pub fn shipments(tx: &mut Tx, order: OrderId) -> Result<Vec<Shipment>> {
    store::shipments(tx, order)
}

/// Locks the order of a fulfilment order that the actor may see, and reads both.
pub(super) fn start(tx: &mut Tx, actor: &Actor, id: FulfilmentOrderId) -> Result<(OrderDocument, FulfilmentOrder)> {
    let missing = || Error::not_found("fulfilment order");
    let owner = store::owner(tx, id)?;
    let seen = owner.filter(|(_, location, channel)| actor.sees_location(*location) && actor.sees_channel(*channel));
    let (order, _, _) = seen.ok_or_else(missing)?;
    let order = orders::lock(tx, order)?;
    // Read under the lock: what is decided on it stays true.
    let fulfilment = store::get(tx, id)?.ok_or_else(missing)?;
    Ok((order, fulfilment))
}

/// What a command moves on the lines of a fulfilment order; all that is left for it unless `pieces` say which.
pub(super) fn plan(
    fulfilment: &FulfilmentOrder,
    command: Command,
    pieces: Option<&[Pieces]>,
    now: Instant,
) -> Result<Vec<(i32, Step)>> {
    fulfilment.state.takes(command)?;
    let wanted: BTreeMap<i32, i64> = match pieces {
        Some(pieces) => sum_pieces(pieces)?,
        None => {
            let left = fulfilment.lines.iter().map(|line| (line.line_no, line.counts.left_for(command)));
            left.filter(|(_, left)| *left > 0).collect()
        }
    };
    fulfilment.free_for_lines(command, &wanted.keys().copied().collect::<Vec<_>>(), now)?;
    if wanted.is_empty() {
        return Err(Error::problem(Code::QuantityExceeded, format!("nothing is left to {command}")));
    }
    let step = |(line_no, quantity): (&i32, &i64)| {
        let line = fulfilment.lines.iter().find(|line| line.line_no == *line_no);
        let unknown = || Error::problem(Code::LineUnknown, format!("the fulfilment order has no line {line_no}"));
        let step = line.ok_or_else(unknown).and_then(|line| line.counts.step(command, *quantity));
        Ok((*line_no, step.map_err(|error| error.with("line_no", *line_no))?))
    };
    wanted.iter().map(step).collect::<Result<_>>().map_err(|error| at_piece(error, pieces))
}

/// Makes the steps on a fulfilment order and its rows.
pub(super) fn advance(
    tx: &mut Tx,
    now: Instant,
    fulfilment: &mut FulfilmentOrder,
    command: Command,
    steps: &[(i32, Step)],
) -> Result<()> {
    make_steps(fulfilment, steps);
    fulfilment.advance(fulfilment.state.apply(command, fulfilment.counts(), false)?, now);
    let moves: Vec<_> = steps.iter().map(|(line_no, step)| (fulfilment.id, *line_no, *step)).collect();
    store::move_lines(tx, &moves)?;
    save_states(tx, now, [&*fulfilment])
}

/// Makes steps on the document.
pub(super) fn make_steps(fulfilment: &mut FulfilmentOrder, steps: &[(i32, Step)]) {
    for (line_no, step) in steps {
        for line in fulfilment.lines.iter_mut().filter(|line| line.line_no == *line_no) {
            line.counts = line.counts.after(step);
        }
    }
}

/// Writes states; the versions have been counted up before.
pub(super) fn save_states<'a>(
    tx: &mut Tx,
    now: Instant,
    changed: impl IntoIterator<Item = &'a FulfilmentOrder>,
) -> Result<()> {
    match store::save_states(tx, now, changed)? {
        true => Ok(()),
        false => Err(Error::problem(Code::VersionStale, "the fulfilment order changed meanwhile")),
    }
}

/// Appends events to an order's stream, all with one statement; the order has been saved for so many.
pub(super) fn announce(
    tx: &mut Tx,
    (now, occurred_at): (Instant, Instant),
    actor: &Actor,
    order: &OrderDocument,
    draw: &mut Draw<'_>,
    happened: Vec<(&'static str, Payload)>,
) -> Result<()> {
    let count = place(happened.len());
    let all = happened.into_iter().enumerate().map(|(at, (kind, payload))| {
        orders::event(order, (place(at + 1), count), draw.next(), kind, occurred_at, payload)
    });
    events::append(tx, actor, now, all.collect())
}

/// A count as the number it is kept as.
pub(super) fn place(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Picks pieces of a fulfilment order, or all that is left to pick.
///
/// # Errors
/// `not_found`, `state_conflict`, `line_unknown`, `quantity_exceeded`; `stock_negative` where what lies there stands at the dock for other
/// orders.
pub fn pick(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: FulfilmentOrderId,
    pieces: Option<&[Pieces]>,
) -> Result<FulfilmentOrder> {
    let (picked, taken) = prepare(tx, now, (actor, Command::Pick), fresh, id, pieces)?;
    stock::note_picked(tx, now, actor, &from_shelf(picked.order_id, &taken, None))?;
    // Last, for it locks the levels.
    crossdock::leave_standing(tx, &taken, crossdock::Taking::Pick)?;
    Ok(picked)
}

/// What is taken of levels for an order as it is noted in the ledger.
pub(super) fn from_shelf(order: OrderId, taken: &[crossdock::Taken], note: Option<&str>) -> Vec<stock::Picked> {
    let picked = taken.iter().filter_map(|one| {
        let note = note.map(str::to_owned);
        Some(stock::Picked { key: one.key, pieces: one.pieces, order, work: one.work?, note })
    });
    picked.collect()
}

/// The same as a part of something more: what it takes of levels the caller notes in the ledger and checks behind all else
/// ([`crossdock::leave_standing`]).
pub(super) fn pick_part(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: FulfilmentOrderId,
    pieces: &[Pieces],
) -> Result<Vec<crossdock::Taken>> {
    Ok(prepare(tx, now, (actor, Command::Pick), fresh, id, Some(pieces))?.1)
}

/// Packs pieces of a fulfilment order, or all that is left to pack; what was not picked is picked with it.
///
/// # Errors
/// As [`pick`].
pub fn pack(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: FulfilmentOrderId,
    pieces: Option<&[Pieces]>,
) -> Result<FulfilmentOrder> {
    let (packed, taken) = prepare(tx, now, (actor, Command::Pack), fresh, id, pieces)?;
    stock::note_picked(tx, now, actor, &from_shelf(packed.order_id, &taken, None))?;
    crossdock::leave_standing(tx, &taken, crossdock::Taking::Pick)?;
    Ok(packed)
}

/// Packs pieces that stand at the dock for a fulfilment order.
pub(super) fn pack_standing(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: FulfilmentOrderId,
    pieces: &[Pieces],
) -> Result<FulfilmentOrder> {
    prepare(tx, now, (actor, Command::Pack), fresh, id, Some(pieces)).map(|(packed, _)| packed)
}

fn prepare(
    tx: &mut Tx,
    now: Instant,
    (actor, command): (&Actor, Command),
    fresh: &Fresh,
    id: FulfilmentOrderId,
    pieces: Option<&[Pieces]>,
) -> Result<(FulfilmentOrder, Vec<crossdock::Taken>)> {
    let (mut order, mut fulfilment) = start(tx, actor, id)?;
    at_its_place(&order, &fulfilment)?;
    let steps = plan(&fulfilment, command, pieces, now)?;
    advance(tx, now, &mut fulfilment, command, &steps)?;
    let mut happened = progressed(&fulfilment, &steps)?;
    happened.extend(ready::follow(tx, now, &order, &mut fulfilment)?);
    orders::save(tx, now, &mut order, &[], place(happened.len()))?;
    announce(tx, (now, now), actor, &order, &mut fresh.draw(), happened)?;
    let taken = crossdock::taken(&fulfilment, &steps, |step| step.picked);
    Ok((fulfilment, taken))
}

/// That goods which are picked up are so where this fulfilment order is: between a redirect and its being planned anew they are not.
fn at_its_place(order: &OrderDocument, fulfilment: &FulfilmentOrder) -> Result<()> {
    let delivery = order.delivery(fulfilment.delivery_key());
    match delivery.and_then(|delivery| delivery.pickup.as_ref()) {
        Some(pickup) if pickup.location_id != fulfilment.location_id => {
            Err(Error::conflict("its goods are picked up elsewhere now: it is planned anew"))
        }
        _ => Ok(()),
    }
}

/// What leaves.
#[derive(Debug, Clone, Default)]
pub struct NewShipment {
    /// Who carries it.
    pub carrier: Option<String>,
    /// What the carrier calls it.
    pub tracking_number: Option<String>,
    /// Where its way can be followed; made from carrier and number where the carrier is a known one.
    pub tracking_url: Option<String>,
    /// What is in it; all that is left to ship when absent.
    pub pieces: Option<Vec<Pieces>>,
    /// Which packages leave, instead of pieces.
    pub packages: Option<Vec<PackageId>>,
    /// Of which lots pieces are: what is not said of any leaves as it should.
    pub lots: Vec<ShippedLot>,
    /// When it left, if that was not now.
    pub occurred_at: Option<Instant>,
    /// That nobody is asked for lots and serial numbers: another system says what has left, and it has.
    pub unasked: bool,
    /// Packages that have left elsewhere: they are noted with it.
    pub left: Vec<LeftPackage>,
}

/// Ships pieces of a fulfilment order, or all that is left; what was not picked and packed is so with it. The money of
/// what leaves is captured by a job.
///
/// # Errors
/// `not_found`, `state_conflict`, `line_unknown`, `quantity_exceeded`, `history_before_order`; `stock_negative` when less
/// lies at the location; `lot_required` and `serials_required` where goods are tracked and it is not told.
pub fn ship(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: FulfilmentOrderId,
    new: &NewShipment,
) -> Result<Shipment> {
    let (mut order, mut fulfilment) = start(tx, actor, id)?;
    let mut draw = fresh.draw();
    let (shipment, (levels, packed)) = dispatch(tx, now, actor, &mut draw, (&mut order, &mut fulfilment), new)?;
    let at = new.occurred_at.unwrap_or(now);
    let events = draw.many(levels.len());
    let keep = Keep::from([keep_of(&order, &fulfilment, at)]);
    crossdock::leave_standing(tx, &leaving(&fulfilment, &levels), crossdock::Taking::Leave)?;
    stock::ship(tx, now, actor, (&levels, &packed, &keep), &order.id.to_string(), at, &events)?;
    Ok(shipment)
}

/// A part of what leaves an order: from which of its fulfilment orders, with ids for its shipment and its arrival.
pub struct Part<'a> {
    /// The fulfilment order.
    pub fulfilment: &'a mut FulfilmentOrder,
    /// What leaves.
    pub parcel: NewShipment,
    /// Ids of the shipment and its events; the shipment's is the first.
    pub fresh: &'a Fresh,
    /// Ids of what happens when it arrives.
    pub arrival: &'a Fresh,
}

/// Ships parts of an order that is locked and was read under the lock, and notes that they have arrived where it is known:
/// for systems that know our orders and not our fulfilment orders, and report both at once.
///
/// # Errors
/// As [`ship`]; `history_before_order` for the arrival too.
pub fn ship_parts(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    order: &mut OrderDocument,
    parts: Vec<Part<'_>>,
    delivered_at: Option<Instant>,
) -> Result<Vec<Shipment>> {
    let (mut shipments, mut levels, mut events) = (Vec::with_capacity(parts.len()), Vec::new(), Vec::new());
    let (mut packed, mut keep, mut taken) = (Vec::new(), Keep::new(), Vec::new());
    order.check_time(delivered_at, "/delivered_at")?;
    let mut left_at = now;
    for Part { fulfilment, parcel, fresh, arrival } in parts {
        left_at = parcel.occurred_at.unwrap_or(now);
        let mut draw = fresh.draw();
        let (mut shipment, (shares, boxed)) = dispatch(tx, now, actor, &mut draw, (order, fulfilment), &parcel)?;
        events.extend(draw.many(shares.len()));
        taken.extend(leaving(fulfilment, &shares));
        if let Some(at) = delivered_at {
            let mut draw = arrival.draw();
            arrive(tx, (now, at), actor, &mut draw, (order, fulfilment), &mut shipment)?;
        }
        shipments.push(shipment);
        levels.extend(shares);
        packed.extend(boxed);
        // Of one location's the strictest counts: they leave it with one movement.
        let (place, until) = keep_of(order, fulfilment, left_at);
        let strictest = keep.entry(place).or_insert(until);
        *strictest = until.max(*strictest);
    }
    // Lots are locked before levels.
    let keys: Vec<stock::LevelKey> = taken.iter().map(|one| one.key).collect();
    stock::lots::reveal(tx, now, actor, (&packed, &keys), &order.id.to_string())?;
    crossdock::leave_standing(tx, &taken, crossdock::Taking::Leave)?;
    stock::ship(tx, now, actor, (&levels, &packed, &keep), &order.id.to_string(), left_at, &events)?;
    Ok(shipments)
}

/// What leaves a fulfilment order's location, as far as it is counted.
fn leaving(fulfilment: &FulfilmentOrder, shares: &[Share]) -> Vec<crossdock::Taken> {
    let tracked = shares.iter().filter(|share| share.tracked);
    let taken = tracked.map(|share| crossdock::Taken {
        work: Some(fulfilment.id),
        line_no: Some(share.line_no),
        key: (share.variant, share.location),
        pieces: share.quantity,
    });
    taken.collect()
}

/// The kind of references by which a parcel's order is found. They are ours: no foreign system gives any.
pub(super) const TRACKING: &str = "tracking";

/// Everything about a shipment but the stock levels, which the caller moves last. Gives the shares that left, and of which lots those
/// are that were packed.
fn dispatch(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    draw: &mut Draw<'_>,
    (order, fulfilment): (&mut OrderDocument, &mut FulfilmentOrder),
    new: &NewShipment,
) -> Result<(Shipment, (Vec<Share>, Vec<Packed>))> {
    order.state.apply(orders::Command::Ship)?;
    if !new.unasked {
        at_its_place(order, fulfilment)?;
    }
    order.check_time(new.occurred_at, "/occurred_at")?;
    let at = new.occurred_at.unwrap_or(now);
    let leaving = parcels::open_of(tx, fulfilment, new)?;
    let steps = plan(fulfilment, Command::Ship, leaving.pieces.as_deref(), now)?;
    let id = draw.next();
    // Before their pieces: what has left is in no package that waits.
    parcels::leave(tx, now, fulfilment, &leaving.packages, id)?;
    advance(tx, now, fulfilment, Command::Ship, &steps)?;
    // What is handed over is kept no longer.
    ready::follow(tx, now, order, fulfilment)?;
    let named = named(tx, new, &leaving.packages)?;
    let mut shipment = shipment(fulfilment, id, named.as_ref().unwrap_or(new), &steps, (now, at));
    let (elsewhere, left) = parcels::left(tx, now, (fulfilment, id), &new.left)?;
    shipment.packages = leaving.packages.iter().chain(&elsewhere).map(Into::into).collect();
    let tracked = match new.unasked {
        true => HashMap::new(),
        false => catalog::tracking_of(tx, fulfilment.lines.iter().map(|line| line.variant_id))?,
    };
    let boxed = leaving.packed(&tracked);
    let mut packed = [shipped_lots::said(fulfilment, &shipment, &new.lots)?, left, boxed].concat();
    let picked = picking::leave(tx, fulfilment, &shipment.lines, &packed)?;
    if !new.unasked {
        parcels::told((fulfilment, &shipment.lines), &tracked, (&leaving.packages, &new.lots, &picked))?;
    }
    store::insert_shipment(tx, &shipment)?;
    manifests::enlist(tx, now, &shipment)?;
    let mut happened = progressed(fulfilment, &steps)?;
    let moves: Result<Vec<LineMove>> = shipment.lines.iter().map(|line| shipped(order, line)).collect();
    orders::save(tx, now, order, &moves?, place(happened.len() + 1))?;
    if let Some(number) = &shipment.tracking_number {
        let (system, kind, value) = (shipment.id.to_string(), TRACKING.to_owned(), number.clone());
        let reference = ExternalRef { system, kind, value };
        orders::add_ref(tx, now, draw.next(), order.id, &reference, serde_json::json!({"shipment": shipment.id}))?;
    }
    happened.push(("shipment.shipped.v1", parcel(order, &shipment)?));
    money::settle(tx, (now, at), order, draw, &Settling::because("shipment"))?;
    announce(tx, (now, at), actor, order, draw, happened)?;
    orders::invoice_later(tx, now, order, draw.next())?;
    // What was reported before it had left can be booked now.
    jobs::hasten_keys(tx, now, &orders::after(order.id))?;
    let levels = shares(fulfilment, &shipment.lines);
    packed.extend(picked.into_iter().map(|(_, one)| one));
    Ok((shipment, (levels, packed)))
}

/// What leaves, with the carrier and the number of its packages' label where nobody has said another.
fn named(tx: &mut Tx, new: &NewShipment, packages: &[Package]) -> Result<Option<NewShipment>> {
    let ids: Vec<PackageId> = packages.iter().map(|package| package.id).collect();
    let label = super::carriers::named(tx, &ids)?;
    if new.carrier.is_some() || new.tracking_number.is_some() {
        return Ok(None);
    }
    Ok(label.map(|(carrier, tracking_number)| NewShipment { carrier: Some(carrier), tracking_number, ..new.clone() }))
}

/// How a shipped line moves the order's line.
fn shipped(order: &OrderDocument, line: &ShippedLine) -> Result<LineMove> {
    let allocated = order.line(line.line_no)?.quantities.allocated;
    let back = line.quantity.min(allocated);
    Ok(LineMove { line_no: line.line_no, shipped: line.quantity, allocated: -back, ..LineMove::default() })
}

fn shipment(
    fulfilment: &FulfilmentOrder,
    id: ShipmentId,
    new: &NewShipment,
    steps: &[(i32, Step)],
    (now, at): (Instant, Instant),
) -> Shipment {
    let known = || super::carriers::link(new.carrier.as_deref()?, new.tracking_number.as_deref()?);
    Shipment {
        id,
        fulfilment_order_id: fulfilment.id,
        order_id: fulfilment.order_id,
        location_id: fulfilment.location_id,
        carrier: new.carrier.clone(),
        tracking_number: new.tracking_number.clone(),
        tracking_url: new.tracking_url.clone().or_else(known),
        state: ShipmentState::Shipped,
        tracking: Tracking::Announced,
        lines: pieces_of(fulfilment, steps, |step| step.shipped),
        packages: Vec::new(),
        shipped_at: at,
        delivered_at: None,
        corrected_at: None,
        corrections: Vec::new(),
        scans: Vec::new(),
        recorded_at: now,
    }
}

/// Pieces of a fulfilment order as the shares of stock that they are.
pub(super) fn shares(fulfilment: &FulfilmentOrder, pieces: &[ShippedLine]) -> Vec<Share> {
    let share = |piece: &ShippedLine| {
        let line = fulfilment.lines.iter().find(|line| line.line_no == piece.line_no)?;
        let (line_no, variant, tracked) = (line.line_no, line.variant_id, line.tracked);
        let (location, quantity) = (fulfilment.location_id, piece.quantity);
        Some(Share { line_no, delivery: 0, variant, location, quantity, tracked })
    };
    pieces.iter().filter_map(share).collect()
}

/// Locks the order of a shipment that the actor may see, and reads both.
pub(super) fn start_shipment(tx: &mut Tx, actor: &Actor, id: ShipmentId) -> Result<(OrderDocument, Shipment)> {
    let missing = || Error::not_found("shipment");
    let found = store::shipment(tx, id)?.filter(|shipment| actor.sees_location(shipment.location_id));
    let order = orders::lock(tx, found.ok_or_else(missing)?.order_id)?;
    if !actor.sees_channel(order.channel_id) {
        return Err(missing());
    }
    let shipment = store::shipment(tx, id)?.ok_or_else(missing)?;
    Ok((order, shipment))
}

/// A shipment that the actor may see.
///
/// # Errors
/// `not_found`.
pub(super) fn shipment_of(tx: &mut Tx, actor: &Actor, id: ShipmentId) -> Result<Shipment> {
    let missing = || Error::not_found("shipment");
    let found = store::shipment(tx, id)?.filter(|shipment| actor.sees_location(shipment.location_id));
    let shipment = found.ok_or_else(missing)?;
    // Its fulfilment order knows the channel.
    get(tx, actor, shipment.fulfilment_order_id).map_err(|_| missing())?;
    Ok(shipment)
}

/// The fulfilment order of a shipment.
pub(super) fn of_shipment(tx: &mut Tx, shipment: &Shipment) -> Result<FulfilmentOrder> {
    let missing = || Error::internal("a shipment without its fulfilment order");
    store::get(tx, shipment.fulfilment_order_id)?.ok_or_else(missing)
}

/// Notes that a shipment has arrived.
///
/// # Errors
/// `not_found`; `state_conflict` when it has arrived before; `history_before_order`.
pub fn deliver(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: ShipmentId,
    occurred_at: Option<Instant>,
) -> Result<Shipment> {
    let (mut order, mut shipment) = start_shipment(tx, actor, id)?;
    order.check_time(occurred_at, "/occurred_at")?;
    let mut fulfilment = of_shipment(tx, &shipment)?;
    let at = occurred_at.unwrap_or(now);
    arrive(tx, (now, at), actor, &mut fresh.draw(), (&mut order, &mut fulfilment), &mut shipment)?;
    Ok(shipment)
}

/// Notes that a shipment of a locked order has arrived.
pub(super) fn arrive(
    tx: &mut Tx,
    (now, at): (Instant, Instant),
    actor: &Actor,
    draw: &mut Draw<'_>,
    (order, fulfilment): (&mut OrderDocument, &mut FulfilmentOrder),
    shipment: &mut Shipment,
) -> Result<()> {
    let at = at.max(shipment.shipped_at);
    let state = shipment.state.apply(ShipmentCommand::Deliver)?;
    // By whomever it is said, it is a mark like the carrier's own: nothing that is heard later overrules it.
    let (marks, _) = tracking::note(tx, shipment.id, Mark { at, what: Tracking::Delivered })?;
    tracking::follow(tx, now, order, shipment, tracking::whereabouts(&marks))?;
    if !store::deliver(tx, shipment.id, at)? {
        return Err(Error::internal("a shipment has changed while its order was locked"));
    }
    (shipment.state, shipment.tracking, shipment.delivered_at) = (state, Tracking::Delivered, Some(at));
    let arrived = all_arrived(&store::shipments(tx, order.id)?, fulfilment.id);
    fulfilment.advance(fulfilment.state.apply(Command::Deliver, fulfilment.counts(), arrived)?, now);
    save_states(tx, now, [&*fulfilment])?;
    let move_of =
        |line: &ShippedLine| LineMove { line_no: line.line_no, delivered: line.quantity, ..LineMove::default() };
    let moves: Vec<LineMove> = shipment.lines.iter().map(move_of).collect();
    orders::save(tx, now, order, &moves, 1)?;
    let happened = vec![("shipment.delivered.v1", parcel(order, shipment)?)];
    announce(tx, (now, at), actor, order, draw, happened)
}

/// Whether every shipment of a fulfilment order has arrived, but for those that have not left after all.
pub(super) fn all_arrived(shipments: &[Shipment], of: FulfilmentOrderId) -> bool {
    let mut own = shipments.iter().filter(|one| one.fulfilment_order_id == of && one.corrected_at.is_none());
    own.all(|one| one.state == ShipmentState::Delivered)
}
