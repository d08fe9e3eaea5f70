//! Registering products, and claims on their warranty. Each command locks the order first, as everything does that is done with it.

use serde::Serialize;

// What is asked for as it stands in the tables.
pub(super) use super::store::{Filter, get, of_order, page};
use super::{
    model::{CUSTOMER, MONTHS, Registration, SURELY_THERE, ends, months},
    store,
};
use crate::{
    catalog, channels,
    db::{Json, Tx},
    error::{Code, Error, Result},
    events::{self, EventSchema, Payload},
    fulfilment::{self, Shipment},
    kernel::{
        Actor, Instant,
        ids::{EventId, OrderId, RegistrationId, ReturnRequestId},
        text::squeeze,
    },
    orders::{self, OrderDocument},
    returns::{self, NewRequest, RequestOrigin, RequestState, ReturnReason, ReturnRequestDocument, ReturnWish},
};

/// Who does something, and when.
pub type By<'a> = (Instant, &'a Actor);

const REGISTERED: &str = "warranty.registered.v1";
const CLAIMED: &str = "warranty.claimed.v1";
pub(super) const CORRECTED: &str = "warranty.corrected.v1";
pub(super) const ENDED: &str = "warranty.ended.v1";
/// So many articles have the same serial number at most, as far as anybody looks.
const MOST: i64 = 20;

/// What the events of this room carry: the registration as it is then.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    [REGISTERED, CORRECTED, CLAIMED, ENDED].iter().map(|kind| EventSchema::of::<Registration>(kind)).collect()
}

/// What is personal in them: which of many of its kind it is, and what was written.
#[derive(Debug, Serialize)]
struct Words<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_reason: Option<&'a str>,
}

pub(super) fn unknown() -> Error {
    Error::not_found("registration")
}

/// Registers a piece of a line that has arrived.
///
/// # Errors
/// `not_found`, `line_unknown`; `state_conflict` where nothing of the line has left; `quantity_exceeded` where each of its pieces is registered;
/// `duplicate` for a serial number that is.
pub(super) fn register(
    tx: &mut Tx,
    by: By<'_>,
    (id, event): (RegistrationId, EventId),
    order: OrderId,
    (line_no, serial): (i32, Option<&str>),
) -> Result<Registration> {
    let mut order = orders::lock(tx, order)?;
    register_of(tx, by, (id, event), &mut order, (line_no, serial))
}

fn register_of(
    tx: &mut Tx,
    by: By<'_>,
    (id, event): (RegistrationId, EventId),
    order: &mut OrderDocument,
    (line_no, serial): (i32, Option<&str>),
) -> Result<Registration> {
    let line = order.line(line_no).map_err(|error| error.at("/line_no"))?.clone();
    // What has come back is nobody's any more.
    let pieces = line.quantities.shipped - line.quantities.returned;
    let shipments = fulfilment::shipments(tx, order.id)?;
    let arrived_at = arrived(&shipments, line_no, by.0)
        .filter(|_| line.quantities.shipped > 0)
        .ok_or_else(|| Error::conflict(format!("nothing of line {line_no} has left yet")).at("/line_no"))?;
    // Under the lock of the order: a UNIQUE holds that each has its own number.
    let known = of_order(tx, order.id)?;
    let of_line = || known.iter().filter(|one| one.line_no == line_no);
    let unit_no = of_line().map(|one| one.unit_no).max().unwrap_or_default() + 1;
    let live = of_line().filter(|one| one.ended_at.is_none()).count();
    if i64::try_from(live).map_err(Error::internal)? >= pieces {
        let detail = format!(
            "each of the {} pieces of line {line_no} that have left and not come back is registered",
            pieces.max(0)
        );
        return Err(Error::problem(Code::QuantityExceeded, detail).at("/line_no").with("left", 0));
    }
    let variant = catalog::by_ids(tx, &[line.variant_id])?.pop();
    let usual = returns::policy_of(tx, order.channel_id)?.policy.warranty_months;
    let months = months(variant.as_ref().and_then(|variant| variant.attributes.get(MONTHS)), usual);
    let settings = channels::settings(tx, order.channel_id)?.ok_or_else(|| Error::not_found("channel"))?;
    let new = Registration {
        id,
        order_id: order.id,
        order_number: order.number.clone(),
        channel_id: order.channel_id,
        line_no,
        unit_no,
        variant_id: line.variant_id,
        sku: line.sku.clone(),
        name: line.name.clone(),
        serial: serial.map(ToOwned::to_owned),
        arrived_at,
        months,
        ends_at: ends(arrived_at, months, settings.time_zone.0),
        request_id: None,
        by: if matches!(by.1, Actor::Shopper(_)) { CUSTOMER.to_owned() } else { by.1.label() },
        customer_id: order.customer_id,
        ended_at: None,
        end_reason: None,
        version: 1,
        registered_at: by.0,
        updated_at: by.0,
    };
    orders::save(tx, by.0, order, &[], 1)?;
    if !store::insert(tx, &new)? {
        return Err(registered_already(&new.sku));
    }
    tell(tx, by, event, (&*order, &new), REGISTERED)?;
    Ok(new)
}

pub(super) fn registered_already(sku: &str) -> Error {
    let detail = format!(
        "a {sku} with this serial number is registered already: end that registration first, where the thing is somebody else's now"
    );
    Error::problem(Code::Duplicate, detail).at("/serial")
}

/// When the first parcel with pieces of a line arrived; where nobody says so, it has by now, or a month after it left. `None` where nothing of it
/// has left.
fn arrived(shipments: &[Shipment], line_no: i32, now: Instant) -> Option<Instant> {
    let has = |one: &&Shipment| one.corrected_at.is_none() && one.lines.iter().any(|line| line.line_no == line_no);
    let at = |one: &Shipment| {
        let there = now.min(one.shipped_at.plus_seconds(SURELY_THERE));
        one.delivered_at.unwrap_or(there)
    };
    // The latest: nobody's warranty is shorter than that of the piece they hold.
    shipments.iter().filter(has).map(at).max()
}

pub(super) fn tell(
    tx: &mut Tx,
    (now, actor): By<'_>,
    event: EventId,
    (order, one): (&OrderDocument, &Registration),
    kind: &'static str,
) -> Result<()> {
    let words = Words { serial: one.serial.as_deref(), end_reason: one.end_reason.as_deref() };
    let said = words.serial.is_some() || words.end_reason.is_some();
    let personal = said.then(|| Json::of(&words)).transpose()?;
    let bare = Registration { serial: None, end_reason: None, ..one.clone() };
    let payload = Payload { data: Json::of(&bare)?, personal };
    events::append(tx, actor, now, vec![orders::event(order, (1, 1), event, kind, now, payload)])
}

/// What a claim on a warranty is about.
#[derive(Debug, Clone)]
pub(super) enum Of {
    /// A thing by what stands on it, and its article where several have that number.
    Serial(String, Option<String>),
    /// A registration.
    Registration(RegistrationId),
    /// A piece of an order's line, registered or not.
    Line(OrderId, i32),
}

/// A claim about to be made.
#[derive(Debug, Clone)]
pub(super) struct NewClaim {
    pub of: Of,
    pub wish: ReturnWish,
    pub comment: Option<String>,
    pub by_staff: bool,
}

/// The ids of what a claim makes.
#[derive(Debug, Clone)]
pub(super) struct ClaimIds {
    pub registration: RegistrationId,
    pub request: ReturnRequestId,
    pub number: String,
    pub events: [EventId; 2],
    pub of_request: Vec<EventId>,
}

/// The order that a claim is about, as far as it can be found, of those that open to the caller: others are not there, nor do they make a serial
/// number one of several.
///
/// # Errors
/// `not_found`; `invalid_value` where several articles have the serial number.
pub(super) fn order_of(
    tx: &mut Tx,
    of: &Of,
    opens: impl FnMut(&mut Tx, &Registration) -> Result<bool>,
) -> Result<OrderId> {
    Ok(match of {
        Of::Line(order, _) => *order,
        _ => named(tx, of, opens)?.ok_or_else(unknown)?.order_id,
    })
}

fn named(
    tx: &mut Tx,
    of: &Of,
    mut opens: impl FnMut(&mut Tx, &Registration) -> Result<bool>,
) -> Result<Option<Registration>> {
    match of {
        Of::Line(..) => Ok(None),
        Of::Registration(id) => get(tx, *id),
        Of::Serial(serial, sku) => {
            let mut found = Vec::new();
            for one in store::by_serial(tx, serial, MOST)? {
                if sku.as_ref().is_none_or(|sku| *sku == one.sku) && opens(tx, &one)? {
                    found.push(one);
                }
            }
            // What was somebody's once only says so where nobody has it now.
            if found.iter().any(|one| one.ended_at.is_none()) {
                found.retain(|one| one.ended_at.is_none());
            } else {
                found.truncate(1);
            }
            match found.len() {
                0 | 1 => Ok(found.pop()),
                _ => Err(Error::invalid("/sku", "several articles have this serial number: say which it is of")),
            }
        }
    }
}

/// Makes a claim on the warranty of a piece: a return request that is tied to it. One that nobody has registered is registered by it.
///
/// # Errors
/// `not_found`, `line_unknown`; `warranty_expired`, with its end; `state_conflict` where it is claimed already, was settled, or its
/// registration has ended; as [`returns::open`] and registering.
pub(super) fn claim(
    tx: &mut Tx,
    by: By<'_>,
    ids: &ClaimIds,
    order: OrderId,
    new: &NewClaim,
) -> Result<(Registration, ReturnRequestDocument)> {
    let mut order = orders::lock(tx, order)?;
    let mut one = match &new.of {
        Of::Line(_, line_no) => {
            let free = of_order(tx, order.id)?.into_iter();
            let free = free.filter(|one| one.line_no == *line_no && one.ended_at.is_none());
            let mut found = None;
            for one in free {
                if found.is_none() && is_free(tx, &one)? {
                    found = Some(one);
                }
            }
            match found {
                Some(found) => found,
                None => {
                    let [event, _] = ids.events;
                    register_of(tx, by, (ids.registration, event), &mut order, (*line_no, None))?
                }
            }
        }
        of => {
            let own = |_: &mut Tx, one: &Registration| Ok(one.order_id == order.id);
            named(tx, of, own)?.filter(|one| one.order_id == order.id).ok_or_else(unknown)?
        }
    };
    one.is_live()?;
    one.covers(by.0)?;
    if !is_free(tx, &one)? {
        return Err(Error::conflict("its warranty is claimed already: see the return request of the registration"));
    }
    let wanted = returns::Wanted { line_no: one.line_no, quantity: 1, reason: ReturnReason::Defective };
    let request = NewRequest {
        id: ids.request,
        number: ids.number.clone(),
        origin: RequestOrigin::Warranty,
        wish: new.wish,
        lines: vec![wanted],
        bundles: Vec::new(),
        bundles_because: ReturnReason::Defective,
        comment: new.comment.clone(),
        approved: new.by_staff.then(|| format!("warranty until {}", one.ends_at)),
        shipment: None,
        withdrawal: None,
        registration: Some(one.id),
    };
    let request = returns::open(tx, by, &ids.of_request, order.id, &request)?;
    if !store::claim(tx, by.0, &one, request.id)? {
        return Err(Error::overtaken("the registration"));
    }
    (one.request_id, one.version, one.updated_at) = (Some(request.id), one.version + 1, by.0);
    // It was saved with the request meanwhile, under the same lock.
    let mut order = orders::lock(tx, order.id)?;
    orders::save(tx, by.0, &mut order, &[], 1)?;
    let [_, event] = ids.events;
    tell(tx, by, event, (&order, &one), CLAIMED)?;
    Ok((one, request))
}

/// Whether nothing is under way of its warranty, and nothing has come of it: a claim that was rejected, taken back or is over makes room.
fn is_free(tx: &mut Tx, one: &Registration) -> Result<bool> {
    let Some(request) = one.request_id else { return Ok(true) };
    let known = returns::of_order(tx, one.order_id)?.into_iter().find(|known| known.id == request);
    let over = |state: RequestState| !state.is_open() && state != RequestState::Settled;
    Ok(known.is_none_or(|known| over(known.state)))
}

/// The registrations of orders behind one of them, in the order of their ids: for who gets everything that is kept of them.
///
/// # Errors
/// What the database says.
pub fn of_orders(
    tx: &mut Tx,
    orders: &[OrderId],
    after: Option<RegistrationId>,
    limit: i64,
) -> Result<Vec<Registration>> {
    store::of_orders(tx, orders, after, limit)
}

/// Up to so many registrations that somebody may mean with a serial number or an id, of those that the actor sees, the newest first.
///
/// # Errors
/// What the database says.
pub fn quoted(tx: &mut Tx, actor: &Actor, text: &str, limit: i64) -> Result<Vec<Registration>> {
    if squeeze(text).is_empty() {
        return Ok(Vec::new());
    }
    let filter = store::Filter { serial: Some(text.to_owned()), ..store::Filter::default() };
    let mut found = store::page(tx, actor, &filter, None, limit)?;
    if let Ok(id) = text.parse() {
        found.extend(store::get(tx, id)?.filter(|one| actor.sees_channel(one.channel_id)));
    }
    Ok(found)
}

/// Takes serial numbers out of the registrations of orders. What their events say of them is the caller's to erase.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, orders: &[OrderId]) -> Result<()> {
    if orders.is_empty() { Ok(()) } else { store::forget(tx, orders) }
}
