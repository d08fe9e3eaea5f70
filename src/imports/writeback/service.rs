//! Booking what other systems report. Every report locks its order first: the same document sent twice at once is one.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    model::{self, DOCUMENTS, Document, Invoice, Reported, ReportedRef, ReportedShipments},
    packages, store,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    events::{self, EventSchema, Payload},
    fulfilment::{
        self, Cancellation, Fresh, FulfilmentOrder, NewShipment, Part, Pieces, Receipt, Shipment, ShipmentState,
        parcels::LeftPackage,
        returns::{self, NewReturn, NewReturnLine, Noted as NotedReturn, Origin, Return},
    },
    kernel::{
        Actor, Instant, Money,
        ids::{EventId, ExternalRefId, FulfilmentOrderId, LocationId, ReturnId, ShipmentId},
    },
    orders::{self, ExternalRef, OrderDocument, OrderLine},
    stock::Locations,
};

/// What became of a report.
#[derive(Debug, Clone)]
pub(super) enum Noted<T> {
    /// It was booked now.
    New(T),
    /// Its document had been booked before.
    Known(T),
}

/// Who reports, when, on which order; with ids made outside the transaction.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub actor: Actor,
    pub now: Instant,
    /// The order's id, number or a foreign reference.
    pub order: String,
    pub document: Document,
    pub ref_id: ExternalRefId,
    pub event: EventId,
    pub fresh: Fresh,
    /// What the document says that can not change when it comes again: the fields that are there, by their names.
    pub said: Map<String, Value>,
}

const SAID: &str = "said";

fn taken() -> Error {
    Error::problem(Code::Duplicate, "the document has been booked for another order").at("/document")
}

impl Report {
    /// Locks the order.
    fn order(&self, tx: &mut Tx) -> Result<OrderDocument> {
        let id = orders::resolve(tx, &self.actor, &self.order)?;
        orders::lock(tx, id)
    }

    /// What was kept when the document was booked. Asked under the order's lock.
    pub(super) fn known(&self, tx: &mut Tx, order: &OrderDocument, kind: &str) -> Result<Option<Value>> {
        match orders::known_ref(tx, &self.document.system, kind, &self.document.value)? {
            None => Ok(None),
            Some((owner, kept)) if owner == order.id => {
                self.agrees_with(&kept)?;
                Ok(Some(kept))
            }
            Some(_) => Err(taken()),
        }
    }

    /// A document that comes again may say less, never something else: that would be lost unseen.
    fn agrees_with(&self, kept: &Value) -> Result<()> {
        let other = self.said.iter().find(|(field, value)| {
            let before = kept.get(SAID).and_then(|said| said.get(field.as_str()));
            before.is_some_and(|before| before != *value)
        });
        let Some((field, _)) = other else { return Ok(()) };
        let detail = "the document was booked with another content: what corrects it is a document of its own";
        Err(Error::problem(Code::Duplicate, detail).at(format!("/{field}")))
    }

    /// Books the document: for one order only, whoever else has it in hand at this moment.
    pub(super) fn note(&self, tx: &mut Tx, order: &OrderDocument, kind: &str, mut kept: Value) -> Result<()> {
        if let Some(kept) = kept.as_object_mut().filter(|_| !self.said.is_empty()) {
            kept.insert(SAID.to_owned(), Value::Object(self.said.clone()));
        }
        match orders::add_ref(tx, self.now, self.ref_id, order.id, &self.document.as_ref(kind), kept)? {
            true => Ok(()),
            false => Err(taken()),
        }
    }

    /// Appends the one event of a report that changes nothing else about the order.
    fn announce(
        &self,
        tx: &mut Tx,
        order: &mut OrderDocument,
        (kind, at): (&'static str, Instant),
        data: Payload,
    ) -> Result<()> {
        orders::save(tx, self.now, order, &[], 1)?;
        let event = orders::event(order, (1, 1), self.event, kind, at, data);
        events::append(tx, &self.actor, self.now, vec![event])
    }
}

/// What `order.referenced.v1` says.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Referenced<'a> {
    #[serde(flatten)]
    reported: &'a ReportedRef,
    /// All that foreign systems call it.
    external_refs: &'a [ExternalRef],
}

const REFERENCED: &str = "order.referenced.v1";
const RECORDED: &str = "invoice.recorded.v1";

/// What the events of this part carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    vec![EventSchema::of::<Referenced<'_>>(REFERENCED), EventSchema::of::<Invoice>(RECORDED)]
}

/// Notes what a foreign system calls an order.
pub(super) fn external_ref(tx: &mut Tx, report: &Report, kind: &str) -> Result<Noted<ReportedRef>> {
    if DOCUMENTS.contains(&kind) {
        let detail = format!("`{kind}` is for documents: report it by its own route");
        return Err(Error::invalid("/kind", detail));
    }
    let mut order = report.order(tx)?;
    let external_ref = report.document.as_ref(kind);
    let reported =
        ReportedRef { order_id: order.id, order_number: order.number.clone(), external_ref: external_ref.clone() };
    if report.known(tx, &order, kind).map_err(|error| error.at("/value"))?.is_some() {
        return Ok(Noted::Known(reported));
    }
    report.note(tx, &order, kind, json!({})).map_err(|error| error.at("/value"))?;
    order.external_refs.push(external_ref);
    let data = Payload::of(&Referenced { reported: &reported, external_refs: &order.external_refs })?;
    report.announce(tx, &mut order, (REFERENCED, report.now), data)?;
    Ok(Noted::New(reported))
}

/// Records an invoice or credit note.
pub(super) fn invoice(tx: &mut Tx, report: &Report, new: &Invoice) -> Result<Noted<Invoice>> {
    let mut order = report.order(tx)?;
    if new.amount.currency() != order.currency {
        return Err(Error::invalid("/amount/currency", format!("the order is in {}", order.currency)));
    }
    let taken = || taken().at("/number");
    if let Some(known) = store::find(tx, &new.system, new.kind, &new.number)? {
        if known.order_id != order.id {
            return Err(taken());
        }
        if known.amount != new.amount {
            let detail = format!("this number has been recorded over {}", known.amount);
            return Err(Error::problem(Code::Duplicate, detail).at("/amount"));
        }
        return Ok(Noted::Known(known));
    }
    let made = Invoice { order_id: order.id, order_number: order.number.clone(), ..new.clone() };
    if !store::insert(tx, &made)? {
        return Err(taken());
    }
    // So that the order is found by the number of its invoice.
    let reference = report.document.as_ref(new.kind.as_str());
    orders::add_ref(tx, report.now, report.ref_id, order.id, &reference, json!({"invoice": made.id}))?;
    report.announce(tx, &mut order, (RECORDED, made.issued_at), Payload::of(&made)?)?;
    Ok(Noted::New(made))
}

/// A shipment that is reported.
#[derive(Debug, Clone)]
pub(super) struct ShipmentReport {
    pub lines: Option<Vec<Reported>>,
    pub location: Option<LocationId>,
    /// The key of the delivery that has left.
    pub delivery: Option<String>,
    pub parcel: NewShipment,
    pub delivered_at: Option<Instant>,
    /// The packages that have left.
    pub packages: Vec<packages::Parcel>,
    /// Ids for a shipment and its delivery per location.
    pub fresh: Vec<(Fresh, Fresh)>,
}

const SHIPMENT: &str = "shipment";

/// Books what has left, over as many fulfilment orders as it comes from; and, now or when the document comes again, that
/// it has arrived.
pub(super) fn shipment(tx: &mut Tx, report: &Report, new: &ShipmentReport) -> Result<Noted<ReportedShipments>> {
    let mut order = report.order(tx)?;
    let known = report.known(tx, &order, SHIPMENT)?;
    // Here, and not where it is booked: there the field has another name.
    order.check_time(new.delivered_at, "/delivered_at")?;
    let is_known = known.is_some();
    let shipments = match known {
        Some(kept) => {
            let ids: Vec<ShipmentId> = serde_json::from_value(kept.get("shipments").cloned().unwrap_or_default())?;
            arrived(tx, report, &order, &ids, new)?
        }
        None => ship(tx, report, &mut order, new)?,
    };
    let reported = ReportedShipments { order_id: order.id, order_number: order.number, shipments };
    Ok(if is_known { Noted::Known(reported) } else { Noted::New(reported) })
}

/// The shipments of a document that comes again, perhaps to tell that they have arrived.
fn arrived(
    tx: &mut Tx,
    report: &Report,
    order: &OrderDocument,
    ids: &[ShipmentId],
    new: &ShipmentReport,
) -> Result<Vec<Shipment>> {
    let mut shipments = fulfilment::shipments(tx, order.id)?;
    shipments.retain(|shipment| ids.contains(&shipment.id));
    if let Some(at) = new.delivered_at {
        for (shipment, (_, fresh)) in shipments.iter_mut().zip(&new.fresh) {
            if shipment.state == ShipmentState::Shipped {
                *shipment = fulfilment::deliver(tx, report.now, &report.actor, fresh, shipment.id, Some(at))?;
            }
        }
    }
    Ok(shipments)
}

fn ship(tx: &mut Tx, report: &Report, order: &mut OrderDocument, new: &ShipmentReport) -> Result<Vec<Shipment>> {
    let (mut fulfilments, _) = fulfilment::of_order(tx, order.id)?;
    let boxed = packages::meant(order, &new.packages)?;
    let told = new.lines.clone().or_else(|| (!boxed.is_empty()).then(|| packages::contents(&new.packages)));
    let lines = told.as_ref().map(|lines| model::lines(order, lines, |line| line.quantities.open())).transpose()?;
    let from = model::LeftFrom { location: new.location, delivery: new.delivery.as_deref() };
    let parts = model::split(&fulfilments, &report.actor, from, lines.as_deref())
        .map_err(|error| model::at_reported(error, order, new.lines.as_deref().unwrap_or_default()))?;
    let mut boxed = boxes_of(&fulfilments, &parts, boxed)?;
    let mut leaving: HashMap<FulfilmentOrderId, Option<Vec<Pieces>>> = parts.into_iter().collect();
    if leaving.len() > new.fresh.len() {
        return Err(Error::internal("more parts of a shipment than ids for them"));
    }
    let ids: Vec<ShipmentId> = new.fresh.iter().take(leaving.len()).map(|(fresh, _)| fresh.first()).collect();
    // Before the goods move: the levels' rows are locked last.
    report.note(tx, order, SHIPMENT, json!({"shipments": ids}))?;
    let mut fresh = new.fresh.iter();
    let part = |fulfilment| -> Option<Part<'_>> {
        let fulfilment: &mut FulfilmentOrder = fulfilment;
        let pieces = leaving.remove(&fulfilment.id)?;
        let (fresh, arrival) = fresh.next()?;
        let left = boxed.remove(&fulfilment.id).unwrap_or_default();
        Some(Part { fulfilment, parcel: NewShipment { pieces, left, ..new.parcel.clone() }, fresh, arrival })
    };
    let parts = fulfilments.iter_mut().filter_map(part).collect();
    fulfilment::ship_parts(tx, report.now, &report.actor, order, parts, new.delivered_at)
}

/// The packages of each part of a shipment.
fn boxes_of(
    fulfilments: &[FulfilmentOrder],
    parts: &model::Parts,
    packages: Vec<LeftPackage>,
) -> Result<HashMap<FulfilmentOrderId, Vec<LeftPackage>>> {
    let of = parts.iter().filter_map(|(id, pieces)| {
        let work = fulfilments.iter().find(|one| one.id == *id)?;
        Some((work, pieces.as_deref()))
    });
    let known: Vec<Leaving<'_>> = of.collect();
    let boxes = packages::of_parts(packages, &known)?;
    Ok(known.iter().map(|(work, _)| work.id).zip(boxes).collect())
}

/// What of a fulfilment order leaves; all of it where no pieces are named.
type Leaving<'a> = (&'a FulfilmentOrder, Option<&'a [Pieces]>);

/// Books money that came in.
pub(super) fn payment(
    tx: &mut Tx,
    report: &Report,
    amount: Option<Money>,
    occurred_at: Option<Instant>,
) -> Result<Noted<OrderDocument>> {
    let order = report.order(tx)?;
    if report.known(tx, &order, "payment")?.is_some() {
        return Ok(Noted::Known(order));
    }
    report.note(tx, &order, "payment", json!({}))?;
    let reference = format!("{}:{}", report.document.system, report.document.value);
    let receipt = Receipt { amount, reference, occurred_at };
    let booked = fulfilment::record_payment_of(tx, report.now, &report.actor, &report.fresh, order, &receipt);
    booked.map(Noted::New).map_err(model::at_document)
}

/// Books what was cancelled.
pub(super) fn cancellation(
    tx: &mut Tx,
    report: &Report,
    lines: Option<&[Reported]>,
    what: &Cancellation,
) -> Result<Noted<OrderDocument>> {
    let order = report.order(tx)?;
    if report.known(tx, &order, "cancellation")?.is_some() {
        return Ok(Noted::Known(order));
    }
    report.note(tx, &order, "cancellation", json!({}))?;
    let meant = lines.map(|lines| model::lines(&order, lines, |line| line.quantities.open())).transpose()?;
    let pieces = meant.map(|meant| model::pieces(&meant)).transpose()?;
    let what = Cancellation { pieces, ..what.clone() };
    let booked = fulfilment::cancel(tx, report.now, &report.actor, &report.fresh, order.id, &what);
    booked.map(Noted::New).map_err(|error| model::at_reported(error, &order, lines.unwrap_or_default()))
}

/// A return that is reported.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ReturnReport {
    pub id: ReturnId,
    pub number: String,
    pub lines: Vec<Reported>,
    /// Bundles that came back whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bundles: Vec<Pieces>,
    pub restock: bool,
    pub location: Option<LocationId>,
    pub refund: bool,
    pub paid_out: bool,
    pub reason: Option<String>,
    pub occurred_at: Option<Instant>,
}

/// What became of the report of a return.
pub(super) enum Back {
    /// It is booked.
    Booked(Box<Noted<Return>>),
    /// What came back has not been reported to have left yet: it is booked when it has. With what it is worth, in minor units.
    Early(Box<OrderDocument>, i64),
}

pub(super) const RETURN: &str = "return";

/// Books goods that came back. Returns know their documents themselves.
pub(super) fn goods_back(tx: &mut Tx, report: &Report, locations: &Locations, new: &ReturnReport) -> Result<Back> {
    let order = report.order(tx)?;
    // The lines of a document that is booked are only compared: they have come back, so there is no room for them.
    let booked = report.known(tx, &order, RETURN)?.is_some_and(|kept| kept.get(RETURN).is_some());
    // Before it may be held for long.
    order.check_time(new.occurred_at.filter(|_| !booked), "/occurred_at")?;
    let lines = if booked { Vec::new() } else { model::lines(&order, &new.lines, OrderLine::returnable)? };
    let whole = if booked { Vec::new() } else { of_bundles(&order, &new.bundles)? };
    if !model::fit(&order, &[lines.as_slice(), &whole].concat(), OrderLine::returnable)? {
        let later = [model::lines(&order, &new.lines, later_returnable)?, whole].concat();
        // What can never come back is refused by whoever books it.
        if model::fit(&order, &later, later_returnable)? {
            if new.restock && new.location.is_none() {
                let of_line: Vec<i32> = later.iter().map(|(line_no, _)| *line_no).collect();
                returns::may_restock(tx, &report.actor, order.id, &of_line)?;
            }
            let worth = model::worth(&order, &later)?;
            return Ok(Back::Early(Box::new(order), worth));
        }
    }
    let line = |line_no: Option<i32>, quantity: i64| NewReturnLine {
        line_no,
        sku: None,
        quantity,
        unit_price: None,
        amount: None,
        deduct: 0,
    };
    let asked = new.lines.iter().map(|asked| line(asked.line_no, asked.quantity));
    let meant = lines.iter().map(|(line_no, quantity)| line(Some(*line_no), *quantity));
    let reported = new.lines.as_slice();
    let new = NewReturn {
        give_to: None,
        id: new.id,
        number: new.number.clone(),
        origin: Origin::Order(order.id),
        lines: if booked { asked.collect() } else { meant.collect() },
        bundles: new.bundles.clone(),
        restock: new.restock,
        location: new.location,
        refund: new.refund,
        paid_out: new.paid_out,
        reason: new.reason.clone(),
        reference: Some((report.document.system.clone(), report.document.value.clone())),
        occurred_at: new.occurred_at,
        settles: None,
    };
    let received = returns::receive(tx, report.now, &report.actor, &report.fresh, locations, &new);
    let received = received.map_err(|error| model::at_document(model::at_reported(error, &order, reported)));
    let noted = match received? {
        NotedReturn::New(made) => Noted::New(made),
        NotedReturn::Known(known) => Noted::Known(known),
    };
    Ok(Back::Booked(Box::new(noted)))
}

/// The pieces of bundles that are named whole, of how many there may be room or not.
fn of_bundles(order: &OrderDocument, bundles: &[Pieces]) -> Result<Vec<(i32, i64)>> {
    let wanted = bundles.iter().map(|one| (one.line_no, one.quantity.get()));
    orders::whole_bundles((&order.bundles, &order.lines), wanted, |_| i64::MAX, |_| 0)
}

/// How many can come back once all that was not cancelled has left.
const fn later_returnable(line: &OrderLine) -> i64 {
    let quantities = &line.quantities;
    quantities.quantity - quantities.cancelled - quantities.returned - quantities.coming_back - quantities.claimed
}
