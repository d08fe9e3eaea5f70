//! Commands on orders to suppliers.

use std::collections::HashMap;

use super::{
    forms::{NewPurchaseOrder, check_lines, check_quantity},
    model::{PurchaseCommand, PurchaseLine, PurchaseOrder, PurchaseState},
    purchase_store as store, told,
};
use crate::{
    catalog,
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    kernel::{
        Actor, Instant,
        ids::{EventId, PurchaseOrderId, VariantId},
    },
    stock::{
        self, Locations,
        outlook::{self, Expected},
    },
};

/// The variants of the SKUs of a document's lines, in order; one statement.
pub(super) fn variants<'a>(tx: &mut Tx, skus: impl Iterator<Item = &'a str>) -> Result<Vec<VariantId>> {
    let skus: Vec<String> = skus.map(str::to_owned).collect();
    let known: HashMap<String, VariantId> = catalog::stocked_ids_of(tx, &skus, |place| format!("/lines/{place}/sku"))?;
    let variant = |(place, sku): (usize, &String)| {
        let unknown = || {
            let error = Error::problem(Code::SkuUnknown, format!("there is no variant `{sku}`"));
            error.at(format!("/lines/{place}/sku"))
        };
        known.get(sku).copied().ok_or_else(unknown)
    };
    skus.iter().enumerate().map(variant).collect()
}

/// Lines are numbered from 1.
pub(super) fn line_no(place: usize) -> i32 {
    i32::try_from(place + 1).unwrap_or(i32::MAX)
}

/// Writes an order to a supplier: a draft.
///
/// # Errors
/// `not_found` for the location, `scope_missing`, `sku_unknown`, `invalid_value`; `duplicate` when the number is taken.
pub(super) fn create(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    locations: &Locations,
    id: PurchaseOrderId,
    new: &NewPurchaseOrder,
) -> Result<PurchaseOrder> {
    check_lines(new.lines.len())?;
    let location = stock::place(actor, locations, &new.location, "")?;
    let variants = variants(tx, new.lines.iter().map(|line| &*line.sku))?;
    let line = |(place, (line, variant_id)): (usize, (&super::forms::NewPurchaseLine, VariantId))| {
        check_quantity(line.quantity, place)?;
        Ok(PurchaseLine {
            line_no: line_no(place),
            variant_id,
            sku: line.sku.to_string(),
            ordered: line.quantity.get(),
            announced: 0,
            received: 0,
            expected_at: line.expected_at,
        })
    };
    let order = PurchaseOrder {
        id,
        number: new.number.to_string(),
        supplier: new.supplier.to_string(),
        location_id: location.id,
        state: PurchaseState::Draft,
        expected_at: new.expected_at,
        reason: None,
        lines: new.lines.iter().zip(variants).enumerate().map(line).collect::<Result<_>>()?,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let taken = || {
        let detail = format!("there is a purchase order `{}` already", order.number);
        Error::problem(Code::Duplicate, detail).at("/number")
    };
    on_duplicate(store::insert_purchase(tx, &order), taken)?;
    Ok(order)
}

/// A purchase order that the actor may see.
///
/// # Errors
/// `not_found`.
pub(super) fn find(tx: &mut Tx, actor: &Actor, id: PurchaseOrderId) -> Result<PurchaseOrder> {
    let found = store::purchase(tx, id)?.filter(|order| actor.sees_location(order.location_id));
    found.ok_or_else(|| Error::not_found("purchase order"))
}

/// The same, locked until the end of the transaction, for those who may change it.
pub(super) fn lock(tx: &mut Tx, actor: &Actor, id: PurchaseOrderId) -> Result<PurchaseOrder> {
    let seen = find(tx, actor, id)?;
    stock::keeps(actor, seen.location_id)?;
    store::lock_purchase(tx, id)?.ok_or_else(|| Error::not_found("purchase order"))
}

/// A page of the purchase orders that the actor may see, the newest first.
pub(super) fn page(
    tx: &mut Tx,
    actor: &Actor,
    state: Option<PurchaseState>,
    before: Option<PurchaseOrderId>,
    limit: i64,
) -> Result<Vec<PurchaseOrder>> {
    store::purchase_page(tx, (state, actor.locations()), before, limit)
}

/// Orders, closes or cancels.
///
/// # Errors
/// `not_found`, `scope_missing`, `state_conflict`.
pub(super) fn command(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    event: EventId,
    id: PurchaseOrderId,
    command: PurchaseCommand,
    reason: Option<&str>,
) -> Result<PurchaseOrder> {
    let mut order = lock(tx, actor, id)?;
    if command == PurchaseCommand::Cancel && order.lines.iter().any(|line| line.announced > line.received) {
        return Err(Error::conflict("a shipment of it is announced: cancel or close that first"));
    }
    order.state = order.state.apply(command, order.is_whole())?;
    order.reason = reason.map(str::to_owned).or(order.reason);
    let kind = match command {
        PurchaseCommand::Order => told::ORDERED,
        PurchaseCommand::Receive => told::PURCHASE_RECEIVED,
        PurchaseCommand::Close => told::PURCHASE_CLOSED,
        PurchaseCommand::Cancel => told::PURCHASE_CANCELLED,
        PurchaseCommand::Correct => told::PURCHASE_CORRECTED,
    };
    save(tx, (now, actor), (event, kind), &mut order)?;
    Ok(order)
}

fn save(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    event: (EventId, &'static str),
    order: &mut PurchaseOrder,
) -> Result<()> {
    (order.version, order.updated_at) = (order.version + 1, now);
    if !store::save_purchase(tx, order)? {
        return Err(Error::internal("a purchase order has changed while it was locked"));
    }
    foresee(tx, order)?;
    told::tell_purchase(tx, now, actor, event, order)
}

/// Counts what a shipment of the order announces, gives up (negative) or brings of its lines.
///
/// # Errors
/// What the database says.
pub(super) fn count(tx: &mut Tx, id: PurchaseOrderId, more: impl Iterator<Item = (i32, i64, i64)>) -> Result<()> {
    let mut sums: std::collections::BTreeMap<i32, (i64, i64)> = std::collections::BTreeMap::new();
    for (line, announced, received) in more {
        let sum = sums.entry(line).or_default();
        *sum = (sum.0 + announced, sum.1 + received);
    }
    let sums: Vec<(i32, i64, i64)> =
        sums.into_iter().map(|(line, (announced, received))| (line, announced, received)).collect();
    if sums.is_empty() {
        return Ok(());
    }
    // Two shipments of an order are announced one after the other.
    let missing = || Error::internal("a line of a purchase order has gone");
    store::lock_purchase(tx, id)?.ok_or_else(missing)?;
    if !store::count_purchase(tx, id, &sums)? {
        return Err(missing());
    }
    let order = store::purchase(tx, id)?.ok_or_else(missing)?;
    foresee(tx, &order)
}

/// Tells stock what is ordered and not announced yet, instead of what was said of it before. What is announced the shipments tell.
fn foresee(tx: &mut Tx, order: &PurchaseOrder) -> Result<()> {
    let open = matches!(order.state, PurchaseState::Ordered | PurchaseState::PartiallyReceived);
    let expected = order.lines.iter().filter(|_| open).map(|line| Expected {
        key: (line.variant_id, order.location_id),
        expected_at: outlook::day_or_late(line.expected_at.or(order.expected_at), order.created_at),
        quantity: line.ordered - line.announced,
    });
    outlook::expect(tx, order.updated_at, &order.id.to_string(), &expected.collect::<Vec<_>>())
}

/// Notes that goods of the order have come, by who receives them: whoever may, at the shipment's location.
pub(super) fn received(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    event: EventId,
    id: PurchaseOrderId,
    come: impl Iterator<Item = (i32, i64, i64)>,
) -> Result<()> {
    let missing = || Error::internal("a shipment of a purchase order that is not there");
    store::lock_purchase(tx, id)?.ok_or_else(missing)?;
    count(tx, id, come)?;
    let mut order = store::purchase(tx, id)?.ok_or_else(missing)?;
    // Goods that came are taken in whatever became of the order meanwhile.
    if order.state.takes(PurchaseCommand::Receive).is_err() {
        return Ok(());
    }
    order.state = order.state.apply(PurchaseCommand::Receive, order.is_whole())?;
    save(tx, (now, actor), (event, told::PURCHASE_RECEIVED), &mut order)
}

/// Notes that goods of the order have not come after all.
///
/// # Errors
/// What the database says.
pub(super) fn corrected(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    event: EventId,
    id: PurchaseOrderId,
    less: impl Iterator<Item = (i32, i64, i64)>,
) -> Result<()> {
    let missing = || Error::internal("a shipment of a purchase order that is not there");
    store::lock_purchase(tx, id)?.ok_or_else(missing)?;
    count(tx, id, less)?;
    let mut order = store::purchase(tx, id)?.ok_or_else(missing)?;
    // What has not come is taken back whatever became of the order meanwhile.
    if order.state.takes(PurchaseCommand::Correct).is_err() {
        return Ok(());
    }
    let any = order.lines.iter().any(|line| line.received > 0);
    order.state = order.state.corrected(order.is_whole(), any)?;
    save(tx, (now, actor), (event, told::PURCHASE_CORRECTED), &mut order)
}
