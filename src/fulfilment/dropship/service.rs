//! Commands of suppliers. Each locks the order first, as every command on its goods does.

use std::collections::HashMap;

use serde::Serialize;

use super::{
    model::{Answered, SupplierAnswer, SupplierCommand, SupplierInvoice, SupplierOrder, SupplierState},
    store,
};
use crate::{
    channels::Directory,
    db::{Json, Tx},
    error::{Code, Error, Result},
    events::EventSchema,
    fulfilment::{
        Command, Fresh, FulfilmentOrder, Shipment,
        ids::Draw,
        moves::{Replan, replan_locked},
        promises,
        service::{self, Filter, NewShipment, announce},
        told,
    },
    kernel::{
        Actor, Instant,
        ids::{FulfilmentOrderId, LocationId},
    },
    orders::{self, OrderDocument},
    stock::{LocationKind, Locations},
};

const ACKNOWLEDGED: &str = "supplier_order.acknowledged.v1";
const REFUSED: &str = "supplier_order.refused.v1";
const INVOICED: &str = "supplier_order.invoiced.v1";

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    [ACKNOWLEDGED, REFUSED, INVOICED].map(EventSchema::of::<Told<'_>>).to_vec()
}

/// What the events say: the whole order to the supplier, without whom it is for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Told<'a> {
    #[serde(flatten)]
    supplier_order: &'a SupplierOrder,
}

/// That nothing was said of fulfilment orders: what a supplier has said of one is not said of others.
///
/// # Errors
/// `state_conflict`.
pub(in crate::fulfilment) fn unanswered(tx: &mut Tx, ids: &[FulfilmentOrderId]) -> Result<()> {
    let said = store::answers(tx, ids)?;
    match said.values().all(|said| said.state == SupplierState::Pending) {
        true => Ok(()),
        false => Err(Error::conflict("the supplier has answered one of them: they stay apart").at("/with")),
    }
}

/// Those of fulfilment orders of which a supplier has said that they ship them: these stay there, whatever the books say of the supplier's
/// stock, until they refuse. One statement.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn acknowledged(tx: &mut Tx, ids: &[FulfilmentOrderId]) -> Result<Vec<FulfilmentOrderId>> {
    let said = store::answers(tx, ids)?.into_iter();
    Ok(said.filter(|(_, said)| said.state == SupplierState::Acknowledged).map(|(id, _)| id).collect())
}

fn missing() -> Error {
    Error::not_found("supplier order")
}

fn is_supplier(locations: &Locations, id: LocationId) -> bool {
    locations.get(id).is_ok_and(|location| location.site.kind == LocationKind::Supplier)
}

/// The suppliers that the actor may see.
pub(super) fn suppliers(actor: &Actor, locations: &Locations) -> Vec<LocationId> {
    let all = locations.iter().map(|location| location.id);
    all.filter(|id| is_supplier(locations, *id) && actor.sees_location(*id)).collect()
}

/// A page of orders to suppliers, those due first in front, without addresses: four statements.
///
/// # Errors
/// What the database says.
pub(super) fn page(
    tx: &mut Tx,
    filter: &Filter,
    after: Option<(Instant, FulfilmentOrderId)>,
    limit: i64,
) -> Result<Vec<SupplierOrder>> {
    let found = service::page(tx, filter, after, limit)?;
    with_answers(tx, found)
}

fn with_answers(tx: &mut Tx, found: Vec<FulfilmentOrder>) -> Result<Vec<SupplierOrder>> {
    let ids: Vec<FulfilmentOrderId> = found.iter().map(|one| one.id).collect();
    let mut answers = store::answers(tx, &ids)?;
    let mut invoices = store::invoices(tx, &ids)?;
    let whole = |fulfilment_order: FulfilmentOrder| {
        let said = answers.remove(&fulfilment_order.id).unwrap_or_default();
        let invoices = invoices.remove(&fulfilment_order.id).unwrap_or_default();
        document(fulfilment_order, said, invoices)
    };
    Ok(found.into_iter().map(whole).collect())
}

fn document(fulfilment_order: FulfilmentOrder, said: Answered, invoices: Vec<SupplierInvoice>) -> SupplierOrder {
    let Answered { state: supplier_state, answer, .. } = said;
    SupplierOrder { fulfilment_order, supplier_state, answer, invoices, shipping_method: None, ship_to: None }
}

/// An order to a supplier that the actor may see, with whom it is for.
///
/// # Errors
/// `not_found`, also for a fulfilment order of our own.
pub(super) fn get(tx: &mut Tx, actor: &Actor, locations: &Locations, id: FulfilmentOrderId) -> Result<SupplierOrder> {
    let found = service::get(tx, actor, id).map_err(|_| missing())?;
    if !is_supplier(locations, found.location_id) {
        return Err(missing());
    }
    let order = orders::document(tx, found.order_id)?.ok_or_else(missing)?;
    let mut found = with_answers(tx, vec![found])?.pop().ok_or_else(missing)?;
    let delivery = order.delivery(found.fulfilment_order.delivery_key()).cloned();
    (found.shipping_method, found.ship_to) = delivery.map(|one| (one.method, one.address)).unwrap_or_default();
    Ok(found)
}

/// An order that is locked, with what the supplier has to ship of it and has said of that.
struct Locked {
    order: OrderDocument,
    fulfilment: FulfilmentOrder,
    said: Answered,
    invoices: Vec<SupplierInvoice>,
}

impl Locked {
    fn document(&self) -> SupplierOrder {
        document(self.fulfilment.clone(), self.said.clone(), self.invoices.clone())
    }
}

fn start(tx: &mut Tx, actor: &Actor, locations: &Locations, id: FulfilmentOrderId) -> Result<Locked> {
    let (order, fulfilment) = service::start(tx, actor, id).map_err(|_| missing())?;
    if !is_supplier(locations, fulfilment.location_id) {
        return Err(missing());
    }
    // Read under the order's lock: every answer is given under it.
    let said: HashMap<_, Answered> = store::answers(tx, &[id])?;
    let said = said.into_values().next().unwrap_or_default();
    let invoices = store::invoices(tx, &[id])?.into_values().next().unwrap_or_default();
    Ok(Locked { order, fulfilment, said, invoices })
}

/// Writes what was said and tells of it.
fn say(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    draw: &mut Draw<'_>,
    locked: &mut Locked,
    kind: &'static str,
) -> Result<SupplierOrder> {
    locked.said.version += 1;
    if !store::save(tx, now, locked.fulfilment.id, &locked.said)? {
        return Err(Error::problem(Code::VersionStale, "the supplier has said something else meanwhile"));
    }
    orders::save(tx, now, &mut locked.order, &[], 1)?;
    let said = locked.document();
    let happened = vec![(
        kind,
        told::payload(&said.fulfilment_order, |fulfilment_order| {
            let said = SupplierOrder { fulfilment_order: fulfilment_order.clone(), ..said.clone() };
            Json::of(&Told { supplier_order: &said })
        })?,
    )];
    announce(tx, (now, now), actor, &locked.order, draw, happened)?;
    Ok(said)
}

/// Notes that a supplier will ship, and by when. Said again, it moves the day; the same again changes nothing. Where that is later than it
/// was due, it is due then, and what the customer was promised is moved with it.
///
/// # Errors
/// `not_found`; `state_conflict` once it was refused, or nothing is left to ship.
pub(super) fn acknowledge(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    (locations, directory, id): (&Locations, &Directory, FulfilmentOrderId),
    answer: &SupplierAnswer,
) -> Result<SupplierOrder> {
    let mut locked = start(tx, actor, locations, id)?;
    let state = locked.said.state.apply(SupplierCommand::Acknowledge)?;
    if (state, answer) == (locked.said.state, &locked.said.answer) {
        return Ok(locked.document());
    }
    nothing_left(&locked.fulfilment)?;
    (locked.said.state, locked.said.answer) = (state, answer.clone());
    let mut draw = fresh.draw();
    if let Some(at) = answer.ships_at {
        let channel = directory.get(locked.order.channel_id)?;
        let both = (&mut locked.order, &mut locked.fulfilment);
        promises::supplier_ships_at(tx, now, &mut draw, both, (channel, locations, at))?;
    }
    say(tx, now, actor, &mut draw, &mut locked, ACKNOWLEDGED)
}

fn nothing_left(fulfilment: &FulfilmentOrder) -> Result<()> {
    match fulfilment.state.is_open() {
        true => Ok(()),
        false => Err(Error::conflict(format!("nothing is left to ship: the fulfilment order is {}", fulfilment.state))),
    }
}

/// Notes that a supplier will not ship what has not left, which is planned anew without them. What nobody else has stays with
/// them, held for `stock`.
///
/// # Errors
/// `not_found`; `state_conflict` once it was refused, or nothing is left to ship.
pub(super) fn refuse(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    (locations, id): (&Locations, FulfilmentOrderId),
    why: &str,
) -> Result<SupplierOrder> {
    let mut locked = start(tx, actor, locations, id)?;
    locked.said.state = locked.said.state.apply(SupplierCommand::Refuse)?;
    nothing_left(&locked.fulfilment)?;
    locked.said.answer.note = Some(why.to_owned());
    let mut draw = fresh.draw();
    say(tx, now, actor, &mut draw, &mut locked, REFUSED)?;
    let what = Replan { declined: true, reason: Some(why.to_owned()), ..Replan::default() };
    let both = (&mut locked.order, &mut locked.fulfilment);
    replan_locked(tx, now, (actor, Command::Move), &mut draw, both, (&what, locations))?;
    Ok(locked.document())
}

/// Notes what a supplier charges.
///
/// # Errors
/// `not_found`; `duplicate` when another invoice has the number.
pub(super) fn invoice(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    (locations, id): (&Locations, FulfilmentOrderId),
    invoice: &SupplierInvoice,
) -> Result<(SupplierOrder, bool)> {
    let mut locked = start(tx, actor, locations, id)?;
    if let Some(known) = locked.invoices.iter().find(|known| known.number == invoice.number) {
        if !known.says_the_same(invoice) {
            let detail = format!("there is an invoice {} of this order that says otherwise", invoice.number);
            return Err(Error::problem(Code::Duplicate, detail).at("/number"));
        }
        return Ok((locked.document(), false));
    }
    locked.said.state = locked.said.state.apply(SupplierCommand::Invoice)?;
    locked.invoices.push(invoice.clone());
    locked.invoices.sort_by(|one, other| one.number.cmp(&other.number));
    let said = say(tx, now, actor, &mut fresh.draw(), &mut locked, INVOICED)?;
    // After the row that it refers to.
    match store::insert_invoice(tx, id, invoice)? {
        true => Ok((said, true)),
        false => Err(Error::problem(Code::Duplicate, "the invoice was recorded meanwhile").at("/number")),
    }
}

/// Ships for a supplier, as [`service::ship`] does.
///
/// # Errors
/// As there; `not_found` for a fulfilment order of our own.
pub(super) fn ship(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    (locations, id): (&Locations, FulfilmentOrderId),
    new: &NewShipment,
) -> Result<Shipment> {
    let found = service::get(tx, actor, id).map_err(|_| missing())?;
    if !is_supplier(locations, found.location_id) {
        return Err(missing());
    }
    // What lies at a supplier is in no lot of ours.
    service::ship(tx, now, actor, fresh, id, &NewShipment { unasked: true, ..new.clone() })
}
