//! Opening claims, refunding them, sending goods again, refusing them. Each command locks the order first.

use std::collections::BTreeMap;

use serde::Serialize;

// What is asked for as it stands in the tables.
pub(super) use super::store::of_order;
use super::{
    model::{
        ClaimPart, ClaimedLine, ClaimedParcel, OrderClaimCommand, OrderClaimDocument, OrderClaimKind,
        OrderClaimResolution, OrderClaimState,
    },
    store,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    events::{self, EventSchema, Payload},
    fulfilment::{
        self, Fresh,
        claimed::{self, ClaimedPieces, Parcels},
        returns::{self, NewReturn, NewReturnLine, Noted, Origin, Settles},
    },
    kernel::{
        Actor, Waiting,
        ids::{EventId, OrderClaimId, OrderId, ReturnId, ShipmentId},
    },
    orders::{self, LineMove, OrderDocument},
    returns::service::By,
    stock::Locations,
};

const OPENED: &str = "claim.opened.v1";
const SETTLED: &str = "claim.settled.v1";
const SETTLED_PART: &str = "claim.partly_settled.v1";
const REJECTED: &str = "claim.rejected.v1";

/// What the events of claims carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    [OPENED, SETTLED, SETTLED_PART, REJECTED].iter().map(|kind| EventSchema::of::<OrderClaimDocument>(kind)).collect()
}

/// What is personal in them: what the customer has written, and what was written to them.
#[derive(Debug, Serialize)]
struct Words<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// By their places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<PartWords<'a>>,
}

#[derive(Debug, Serialize)]
struct PartWords<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// A claim about to be opened.
#[derive(Debug, Clone)]
pub(super) struct NewClaim {
    pub id: OrderClaimId,
    pub number: String,
    pub kind: OrderClaimKind,
    pub shipment: Option<ShipmentId>,
    pub lines: Vec<(i32, i64)>,
    pub comment: Option<String>,
    pub by_customer: bool,
}

/// Opens a claim: its pieces can neither be claimed again nor sent back until it is refused.
///
/// # Errors
/// `not_found`, `state_conflict`, `line_unknown`; `already_claimed` where they were claimed before and that was not refused;
/// `quantity_exceeded` where fewer have left and are not asked for.
pub(super) fn open(tx: &mut Tx, by: By<'_>, event: EventId, id: OrderId, new: &NewClaim) -> Result<OrderClaimDocument> {
    let mut order = orders::lock(tx, id)?;
    order.state.apply(orders::Command::Return)?;
    let parcels = parcels_of(tx, id, new.shipment)?;
    let mut wanted: BTreeMap<i32, (usize, i64)> = BTreeMap::new();
    for (place, (line_no, quantity)) in new.lines.iter().enumerate() {
        wanted.entry(*line_no).or_insert((place, 0)).1 += quantity;
    }
    for (line_no, (place, quantity)) in &wanted {
        check((&order, &parcels), *line_no, *quantity, new.shipment.is_some())
            .map_err(|(field, error)| error.at(format!("/lines/{place}/{field}")))?;
    }
    let pieces: BTreeMap<i32, i64> = wanted.iter().map(|(line_no, (_, quantity))| (*line_no, *quantity)).collect();
    let placed = parcels.place(&pieces, new.kind == OrderClaimKind::Lost);
    claimed::count(tx, &parcels, &placed)?;
    let line = |(line_no, quantity): (&i32, &i64)| {
        let own = placed.iter().filter(|one| one.line_no == *line_no);
        let parcel = |one: &ClaimedPieces| {
            let (shipment_id, quantity) = (one.shipment, one.quantity);
            ClaimedParcel { shipment_id, quantity, open: quantity }
        };
        let (sku, parcels) = (order.line(*line_no)?.sku.clone(), own.map(parcel).collect());
        Ok(ClaimedLine { line_no: *line_no, sku, quantity: *quantity, refunded: 0, reshipped: 0, refused: 0, parcels })
    };
    let lines: Vec<ClaimedLine> = pieces.iter().map(line).collect::<Result<_>>()?;
    let moves = moves(&lines.iter().map(|line| (line.line_no, line.quantity)).collect(), 1);
    let made = OrderClaimDocument {
        id: new.id,
        number: new.number.clone(),
        order_id: id,
        order_number: order.number.clone(),
        channel_id: order.channel_id,
        kind: new.kind,
        state: OrderClaimState::Open,
        state_since: by.0,
        shipment_id: new.shipment,
        lines,
        comment: new.comment.clone(),
        by_customer: new.by_customer,
        resolution: None,
        reason: None,
        return_id: None,
        amount: None,
        reshipped_by: Vec::new(),
        parts: Vec::new(),
        version: 1,
        opened_at: by.0,
        updated_at: by.0,
    };
    orders::save(tx, by.0, &mut order, &moves, 1)?;
    store::insert(tx, &made)?;
    tell(tx, by, event, (&order, &made), OPENED)?;
    Ok(made)
}

/// The parcels in which what is claimed has left: all of the order, or the one that is named.
fn parcels_of(tx: &mut Tx, order: OrderId, named: Option<ShipmentId>) -> Result<Parcels> {
    let all = claimed::parcels(tx, order)?;
    let Some(id) = named else { return Ok(all) };
    all.only(id)
        .filter(|one| !one.are_gone())
        .ok_or_else(|| Error::not_found("shipment of the order").at("/shipment_id"))
}

/// Whether so many of a line can be claimed of these parcels, and else what is wrong with which field.
fn check(
    (order, parcels): (&OrderDocument, &Parcels),
    line_no: i32,
    quantity: i64,
    named: bool,
) -> std::result::Result<(), (&'static str, Error)> {
    let line = order.line(line_no).map_err(|error| ("line_no", error))?;
    let (shipped, left) = if line.requires_shipping { (line.quantities.shipped, line.returnable()) } else { (0, 0) };
    // What left in no parcel that is known is claimed too, unless a parcel is named.
    let unknown = if named { 0 } else { (shipped - parcels.had(line_no)).max(0) };
    let left = left.min(parcels.free(line_no).max(0) + unknown);
    if quantity <= left {
        return Ok(());
    }
    let (code, detail) = if parcels.taken(line_no) > 0 || line.quantities.claimed > 0 {
        (Code::AlreadyClaimed, format!("only {left} of line {line_no} were not claimed before, there, nor come back"))
    } else {
        let detail = format!("only {left} of line {line_no} have left, there, and are neither coming back nor claimed");
        (Code::QuantityExceeded, detail)
    };
    let error = Error::problem(code, detail).with("line_no", line_no).with("left", left);
    Err(("quantity", error))
}

/// How a claim moves the order's lines: `sign` is 1 where its pieces are claimed, and -1 where they are not any more.
fn moves(pieces: &BTreeMap<i32, i64>, sign: i64) -> Vec<LineMove> {
    let step = |(line_no, quantity): (&i32, &i64)| LineMove {
        line_no: *line_no,
        claimed: sign * quantity,
        ..LineMove::default()
    };
    pieces.iter().map(step).collect()
}

fn tell(
    tx: &mut Tx,
    (now, actor): By<'_>,
    event: EventId,
    (order, claim): (&OrderDocument, &OrderClaimDocument),
    kind: &'static str,
) -> Result<()> {
    let parts = claim.parts.iter().map(|part| PartWords { reason: part.reason.as_deref() }).collect();
    let words = Words { comment: claim.comment.as_deref(), reason: claim.reason.as_deref(), parts };
    let mut bare = OrderClaimDocument { comment: None, reason: None, ..claim.clone() };
    bare.parts.iter_mut().for_each(|part| part.reason = None);
    let payload = Payload::with_personal(&bare, &words)?;
    events::append(tx, actor, now, vec![orders::event(order, (1, 1), event, kind, now, payload)])
}

fn save(
    tx: &mut Tx,
    by: By<'_>,
    event: EventId,
    (order, claim): (&mut OrderDocument, &OrderClaimDocument),
    (moves, kind): (&[LineMove], &'static str),
) -> Result<()> {
    orders::save(tx, by.0, order, moves, 1)?;
    if !store::update(tx, claim)? {
        return Err(Error::overtaken("the claim"));
    }
    tell(tx, by, event, (order, claim), kind)
}

/// A claim that the actor may see.
///
/// # Errors
/// `not_found`.
pub(super) fn read(tx: &mut Tx, actor: &Actor, id: OrderClaimId) -> Result<OrderClaimDocument> {
    store::get(tx, id)?.filter(|one| actor.sees_channel(one.channel_id)).ok_or_else(|| Error::not_found("claim"))
}

fn start(tx: &mut Tx, actor: &Actor, id: OrderClaimId) -> Result<(OrderDocument, OrderClaimDocument)> {
    let known = read(tx, actor, id)?;
    let order = orders::lock(tx, known.order_id)?;
    // Read under the lock: what is decided on it stays true.
    Ok((order, read(tx, actor, id)?))
}

/// Refuses a claim: its pieces can be claimed, or sent back, again.
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn reject(
    tx: &mut Tx,
    by: By<'_>,
    event: EventId,
    id: OrderClaimId,
    reason: &str,
) -> Result<OrderClaimDocument> {
    let (mut order, mut claim) = start(tx, by.1, id)?;
    let pieces = claim.pieces();
    let moves = moves(&pieces, -1);
    claimed::release(tx, &claim.take(&pieces, None))?;
    claim.refuse(reason, by.0)?;
    save(tx, by, event, (&mut order, &claim), (&moves, REJECTED))?;
    Ok(claim)
}

/// The ids of what settling a claim makes.
#[derive(Debug, Clone)]
pub(super) struct SettleIds {
    pub return_id: ReturnId,
    pub number: String,
    pub booking: Fresh,
    pub event: EventId,
}

/// How pieces of a claim are settled.
#[derive(Debug, Clone)]
pub(super) struct Settling {
    pub resolution: OrderClaimResolution,
    /// Which pieces: line, quantity; all that are open when absent.
    pub lines: Option<Vec<(i32, i64)>>,
    pub reason: Option<String>,
    /// Whether it has been paid out already, where it goes back by hand.
    pub paid_out: bool,
}

/// Settles a claim, or pieces of it, each once: their share of what was paid goes back, or they are sent again.
///
/// # Errors
/// `not_found`, `state_conflict`, `line_unknown`, `ceiling_exceeded`; `quantity_exceeded` where fewer of a line are open; `out_of_stock` and
/// `location_inactive` where goods to be sent again are not to be had.
pub(super) fn settle(
    tx: &mut Tx,
    by: By<'_>,
    ids: &SettleIds,
    id: OrderClaimId,
    (how, locations): (&Settling, &Locations),
) -> Result<OrderClaimDocument> {
    let (mut order, mut claim) = start(tx, by.1, id)?;
    claim.state.apply(OrderClaimCommand::Settle)?;
    let pieces = wanted(&claim, how.lines.as_deref())?;
    let part = ClaimPart {
        resolution: how.resolution,
        pieces: pieces.clone(),
        return_id: None,
        amount: None,
        reshipped_by: Vec::new(),
        reason: how.reason.clone(),
        by: by.1.label(),
        at: by.0,
    };
    let of = match how.resolution {
        OrderClaimResolution::Refund => None,
        OrderClaimResolution::Reship => Some(parcel_of(tx, &claim, &pieces)?),
    };
    let taken = claim.take(&pieces, of);
    claimed::honour(tx, &taken)?;
    let (part, booking) = match how.resolution {
        OrderClaimResolution::Refund => (refund(tx, by, ids, (&claim, part), (how, locations))?, None),
        OrderClaimResolution::Reship => {
            let shipment = of.ok_or_else(|| Error::internal("goods are sent again of no parcel"))?;
            // What counts as not left can not be claimed.
            orders::save(tx, by.0, &mut order, &moves(&pieces, -1), 0)?;
            let what = (shipment, &pieces);
            let (reshipped_by, booking) = fulfilment::reship_pieces(tx, by.0, by.1, &ids.booking, what, locations)?;
            (ClaimPart { reshipped_by, ..part }, Some(booking))
        }
    };
    claim.decide(part)?;
    fulfilment::tracking::made_good(tx, by.0, claim.order_id, &taken)?;
    // It was saved with the return, or the parcel, meanwhile, under the same lock.
    let mut order = orders::lock(tx, order.id)?;
    let kind = if claim.state == OrderClaimState::Open { SETTLED_PART } else { SETTLED };
    save(tx, by, ids.event, (&mut order, &claim), (&[], kind))?;
    // The levels come last.
    booking.map_or(Ok(()), |booking| booking.apply(tx, by.0))?;
    Ok(claim)
}

/// Which pieces are meant: those that are named, or all that are open.
fn wanted(claim: &OrderClaimDocument, named: Option<&[(i32, i64)]>) -> Result<BTreeMap<i32, i64>> {
    let open = claim.pieces();
    let Some(named) = named else { return Ok(open) };
    let mut sums: BTreeMap<i32, i64> = BTreeMap::new();
    for (place, (line_no, quantity)) in named.iter().enumerate() {
        let pointer = |field: &str| format!("/lines/{place}/{field}");
        if claim.lines.iter().all(|line| line.line_no != *line_no) {
            let detail = format!("nothing of line {line_no} is claimed");
            return Err(Error::problem(Code::LineUnknown, detail).at(pointer("line_no")));
        }
        let sum = sums.entry(*line_no).or_default();
        *sum += quantity;
        let left = open.get(line_no).copied().unwrap_or_default();
        if *sum > left {
            let detail = format!("only {left} of line {line_no} are claimed and not decided on");
            let error = Error::problem(Code::QuantityExceeded, detail).at(pointer("quantity"));
            return Err(error.with("line_no", *line_no).with("left", left));
        }
    }
    Ok(sums)
}

/// Gives the share of pieces back: a return with which nothing has come back.
fn refund(
    tx: &mut Tx,
    by: By<'_>,
    ids: &SettleIds,
    (claim, part): (&OrderClaimDocument, ClaimPart),
    (how, locations): (&Settling, &Locations),
) -> Result<ClaimPart> {
    let line = |(line_no, quantity): (&i32, &i64)| NewReturnLine {
        line_no: Some(*line_no),
        sku: None,
        quantity: *quantity,
        unit_price: None,
        amount: None,
        deduct: 0,
    };
    let new = NewReturn {
        id: ids.return_id,
        number: ids.number.clone(),
        origin: Origin::Order(claim.order_id),
        lines: part.pieces.iter().map(line).collect(),
        bundles: Vec::new(),
        // Nothing has come back.
        restock: false,
        location: None,
        refund: true,
        paid_out: how.paid_out,
        reason: Some(how.reason.clone().unwrap_or_else(|| format!("claim {}: {}", claim.number, claim.kind))),
        reference: None,
        occurred_at: None,
        give_to: None,
        settles: Some(Settles {
            request: None,
            claim: Some(claim.id),
            kept: BTreeMap::new(),
            claimed: part.pieces.clone(),
            shipping: false,
        }),
    };
    let made = match returns::receive(tx, by.0, by.1, &ids.booking, locations, &new)? {
        Noted::New(made) | Noted::Known(made) => made,
    };
    Ok(ClaimPart { return_id: Some(made.id), amount: Some(made.amount), ..part })
}

/// The parcel that had the pieces: the one that is claimed of, or the last that has had them all.
fn parcel_of(tx: &mut Tx, claim: &OrderClaimDocument, pieces: &BTreeMap<i32, i64>) -> Result<ShipmentId> {
    if let Some(shipment) = claim.parcel_with(pieces).or(claim.shipment_id) {
        return Ok(shipment);
    }
    let several = || {
        Error::conflict("they came in several parcels: settle those of each parcel by themselves, with `lines`")
            .at("/lines")
    };
    if claim.parcels().next().is_some() {
        return Err(several());
    }
    // What was claimed before it was known in which parcel it left.
    let has_had = |one: &&fulfilment::Shipment| {
        pieces.iter().all(|(line_no, wanted)| {
            let own = one.lines.iter().filter(|line| line.line_no == *line_no);
            own.map(|line| line.quantity).sum::<i64>() >= *wanted
        })
    };
    let parcels = fulfilment::shipments(tx, claim.order_id)?;
    let found = parcels.iter().rev().filter(|one| one.corrected_at.is_none()).find(has_had);
    found.map(|one| one.id).ok_or_else(several)
}

/// The oldest open claims that the actor may see, as what waits for a person.
///
/// # Errors
/// What the database says.
pub fn waiting(tx: &mut Tx, actor: &Actor, limit: i64) -> Result<Vec<Waiting>> {
    let item = |claim: OrderClaimDocument| Waiting {
        id: claim.id.to_string(),
        since: claim.state_since,
        subject: format!("order {}: {} is claimed ({})", claim.order_number, claim.kind, claim.number),
        link: format!("/v1/ops/claims/{}", claim.id),
    };
    Ok(store::open(tx, actor, limit)?.into_iter().map(item).collect())
}

/// The claims of orders behind one of them, in the order of their ids, as shoppers see them: for who gets everything that is kept of them.
///
/// # Errors
/// What the database says.
pub fn of_orders(
    tx: &mut Tx,
    orders: &[OrderId],
    after: Option<OrderClaimId>,
    limit: i64,
) -> Result<Vec<OrderClaimDocument>> {
    Ok(store::of_orders(tx, orders, after, limit)?.iter().map(OrderClaimDocument::for_shopper).collect())
}

/// The claims that somebody may mean with a number or an id, of those that the actor sees.
///
/// # Errors
/// What the database says.
pub fn quoted(tx: &mut Tx, actor: &Actor, text: &str) -> Result<Vec<OrderClaimDocument>> {
    let mut found = store::numbered(tx, text)?;
    if let Ok(id) = text.parse() {
        found.extend(store::get(tx, id)?);
    }
    found.retain(|one| actor.sees_channel(one.channel_id));
    Ok(found)
}

/// Takes what customers have written out of the claims of orders, and what was written to them.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, orders: &[OrderId]) -> Result<()> {
    orders.iter().try_for_each(|order| store::erase(tx, *order))
}
