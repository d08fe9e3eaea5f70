//! Opening claims, refunding them, sending goods again, refusing them. Each command locks the order first.

use std::collections::BTreeMap;

use serde::Serialize;

// What is asked for as it stands in the tables.
pub(super) use super::store::of_order;
use super::{
    model::{
        ClaimedLine, OrderClaimCommand, OrderClaimDocument, OrderClaimKind, OrderClaimResolution, OrderClaimState,
    },
    store,
};
use crate::{
    db::{Json, Tx},
    error::{Code, Error, Result},
    events::{self, EventSchema, Payload},
    fulfilment::{
        self, Fresh,
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
const REJECTED: &str = "claim.rejected.v1";

/// What the events of claims carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    [OPENED, SETTLED, REJECTED].iter().map(|kind| EventSchema::of::<OrderClaimDocument>(kind)).collect()
}

/// What is personal in them: what the customer has written.
#[derive(Debug, Serialize)]
struct Words<'a> {
    comment: &'a str,
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
/// `not_found`, `state_conflict`, `line_unknown`; `quantity_exceeded` where fewer have left and are not asked for.
pub(super) fn open(tx: &mut Tx, by: By<'_>, event: EventId, id: OrderId, new: &NewClaim) -> Result<OrderClaimDocument> {
    let mut order = orders::lock(tx, id)?;
    order.state.apply(orders::Command::Return)?;
    let parcel = new.shipment.map(|shipment| parcel(tx, id, shipment)).transpose()?;
    let mut wanted: BTreeMap<i32, (usize, i64)> = BTreeMap::new();
    for (place, (line_no, quantity)) in new.lines.iter().enumerate() {
        wanted.entry(*line_no).or_insert((place, 0)).1 += quantity;
    }
    let line = |(line_no, (place, quantity)): (&i32, &(usize, i64))| {
        let at = |field: &str| format!("/lines/{place}/{field}");
        let line = order.line(*line_no).map_err(|error| error.at(at("line_no")))?;
        let shipped = if line.requires_shipping { line.returnable() } else { 0 };
        let left =
            parcel.as_ref().map_or(shipped, |parcel| shipped.min(parcel.get(line_no).copied().unwrap_or_default()));
        if *quantity > left {
            let detail =
                format!("only {left} of line {line_no} have left, there, and are neither coming back nor claimed");
            let error = Error::problem(Code::QuantityExceeded, detail).at(at("quantity"));
            return Err(error.with("line_no", *line_no).with("left", left));
        }
        Ok(ClaimedLine { line_no: *line_no, sku: line.sku.clone(), quantity: *quantity })
    };
    let lines: Vec<ClaimedLine> = wanted.iter().map(line).collect::<Result<_>>()?;
    let moves = moves(&lines, 1);
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
        version: 1,
        opened_at: by.0,
        updated_at: by.0,
    };
    orders::save(tx, by.0, &mut order, &moves, 1)?;
    store::insert(tx, &made)?;
    tell(tx, by, event, (&order, &made), OPENED)?;
    Ok(made)
}

/// What is in a parcel of an order, by line.
fn parcel(tx: &mut Tx, order: OrderId, id: ShipmentId) -> Result<BTreeMap<i32, i64>> {
    let shipments = fulfilment::shipments(tx, order)?;
    let found = shipments.iter().find(|one| one.id == id && one.corrected_at.is_none());
    let found = found.ok_or_else(|| Error::not_found("shipment of the order").at("/shipment_id"))?;
    let mut pieces: BTreeMap<i32, i64> = BTreeMap::new();
    for line in &found.lines {
        *pieces.entry(line.line_no).or_default() += line.quantity;
    }
    Ok(pieces)
}

/// How a claim moves the order's lines: `sign` is 1 where its pieces are claimed, and -1 where they are not any more.
fn moves(lines: &[ClaimedLine], sign: i64) -> Vec<LineMove> {
    let step =
        |line: &ClaimedLine| LineMove { line_no: line.line_no, claimed: sign * line.quantity, ..LineMove::default() };
    lines.iter().map(step).collect()
}

fn tell(
    tx: &mut Tx,
    (now, actor): By<'_>,
    event: EventId,
    (order, claim): (&OrderDocument, &OrderClaimDocument),
    kind: &'static str,
) -> Result<()> {
    let personal = claim.comment.as_deref().map(|comment| Json::of(&Words { comment })).transpose()?;
    let bare = OrderClaimDocument { comment: None, ..claim.clone() };
    let payload = Payload { data: Json::of(&bare)?, personal };
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
    claim.advance(OrderClaimCommand::Reject, by.0)?;
    claim.reason = Some(reason.to_owned());
    let moves = moves(&claim.lines, -1);
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

/// Settles a claim, once: the pieces' share of what was paid goes back, or the parcel that is lost is sent again.
///
/// # Errors
/// `not_found`, `state_conflict`, `ceiling_exceeded`; `out_of_stock` and `location_inactive` where goods to be sent again are not to be had.
pub(super) fn settle(
    tx: &mut Tx,
    by: By<'_>,
    ids: &SettleIds,
    id: OrderClaimId,
    (resolution, reason, paid_out, locations): (OrderClaimResolution, Option<&str>, bool, &Locations),
) -> Result<OrderClaimDocument> {
    let (mut order, mut claim) = start(tx, by.1, id)?;
    claim.advance(OrderClaimCommand::Settle, by.0)?;
    (claim.resolution, claim.reason) = (Some(resolution), reason.map(ToOwned::to_owned));
    if resolution == OrderClaimResolution::Reship {
        return reship(tx, by, ids, (&mut order, claim), locations);
    }
    let line = |line: &ClaimedLine| NewReturnLine {
        line_no: Some(line.line_no),
        sku: None,
        quantity: line.quantity,
        unit_price: None,
        amount: None,
        deduct: 0,
    };
    let new = NewReturn {
        id: ids.return_id,
        number: ids.number.clone(),
        origin: Origin::Order(order.id),
        lines: claim.lines.iter().map(line).collect(),
        bundles: Vec::new(),
        // Nothing has come back.
        restock: false,
        location: None,
        refund: true,
        paid_out,
        reason: Some(reason.map_or_else(|| format!("claim {}: {}", claim.number, claim.kind), ToOwned::to_owned)),
        reference: None,
        occurred_at: None,
        give_to: None,
        settles: Some(Settles {
            request: None,
            claim: Some(id),
            kept: BTreeMap::new(),
            claimed: claim.pieces(),
            shipping: false,
        }),
    };
    let made = match returns::receive(tx, by.0, by.1, &ids.booking, locations, &new)? {
        Noted::New(made) | Noted::Known(made) => made,
    };
    (claim.return_id, claim.amount) = (Some(made.id), Some(made.amount));
    // It was saved with the return meanwhile, under the same lock.
    let mut order = orders::lock(tx, order.id)?;
    save(tx, by, ids.event, (&mut order, &claim), (&[], SETTLED))?;
    Ok(claim)
}

/// Sends a parcel again that is lost as a whole: what was claimed of it is not any more, and another fulfilment order ships it.
fn reship(
    tx: &mut Tx,
    by: By<'_>,
    ids: &SettleIds,
    (order, mut claim): (&mut OrderDocument, OrderClaimDocument),
    locations: &Locations,
) -> Result<OrderClaimDocument> {
    let whole = match claim.shipment_id.filter(|_| claim.kind == OrderClaimKind::Lost) {
        Some(shipment) => (parcel(tx, order.id, shipment)? == claim.pieces()).then_some(shipment),
        None => None,
    };
    let Some(shipment) = whole else {
        let detail = "only a parcel that is claimed as lost, with all that is in it, is sent again: refund this, and let it be ordered anew";
        return Err(Error::conflict(detail).at("/resolution"));
    };
    // What counts as not left can not be claimed.
    orders::save(tx, by.0, order, &moves(&claim.lines, -1), 0)?;
    let (opened, booking) = fulfilment::reship_lost(tx, by.0, by.1, &ids.booking, shipment, locations)?;
    claim.reshipped_by = opened;
    // It was saved with the parcel meanwhile, under the same lock.
    let mut order = orders::lock(tx, order.id)?;
    save(tx, by, ids.event, (&mut order, &claim), (&[], SETTLED))?;
    // The levels come last.
    booking.apply(tx, by.0)?;
    Ok(claim)
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

/// Takes what customers have written out of the claims of orders.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, orders: &[OrderId]) -> Result<()> {
    orders.iter().try_for_each(|order| store::erase(tx, *order))
}
