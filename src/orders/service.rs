//! Commands and queries on orders. Other slices change an order through [`lock`], moves on the document, and [`save`].

// What is asked for as it stands in the tables.
pub(super) use super::store::{count_of_customer, lookup, of_customer};
use std::collections::HashMap;

use super::{
    contact_store::{self, Contact},
    document::{ExternalRef, LineDetails, OrderDetails, OrderDocument, OrderLine, PlacedLine},
    holds,
    model::LineMove,
    store::{self, LineRow, OrderRow},
};
use crate::{
    carts::Delivery,
    customers::Address,
    db::{Bind, Doc, Json, Tx},
    error::{Code, Error, Result},
    events::{NewEvent, Payload},
    kernel::{
        Actor, Instant, Money, UnitPrice,
        ids::{CartId, ChannelId, CustomerId, EventId, ExternalRefId, OrderId},
        text,
    },
    payments::{self, PaymentView},
    pricing::contracts,
};

/// An order about to be placed.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// Its id.
    pub id: OrderId,
    /// Its number.
    pub number: String,
    /// Where it was sold.
    pub channel: ChannelId,
    /// Whether that is a test channel.
    pub test: bool,
    /// Whose it is.
    pub customer: Option<CustomerId>,
    /// The cart it was; a cart becomes one order at most.
    pub cart: Option<CartId>,
    /// Everything addressed and priced, the totals with their lines.
    pub details: OrderDetails,
    /// The lines.
    pub lines: Vec<PlacedLine>,
    /// The payments that promise the money.
    pub payments: Vec<PaymentView>,
    /// When it was ordered.
    pub placed_at: Instant,
    /// How many events the transaction appends to the order's stream.
    pub events: i64,
    /// What a foreign system calls it.
    pub reference: Option<(ExternalRefId, ExternalRef)>,
}

/// The kind of a reference that names the order itself.
pub const FOREIGN_ORDER: &str = "order";

/// Another order has the foreign name.
#[must_use]
pub fn known_already() -> Error {
    Error::problem(Code::Duplicate, "there is an order with this reference already").at("/reference")
}

/// An order about to be placed, as its rows will be and as the document that it will be then.
#[derive(Debug, Clone)]
pub struct Placing {
    row: OrderRow,
    doc: Json,
    lines: Vec<Vec<Bind>>,
    contacts: Vec<Contact>,
    reference: Option<(ExternalRefId, ExternalRef)>,
}

/// Prepares an order: nothing is read or written.
///
/// # Errors
/// A line without a price, which would be a defect.
pub fn prepare(now: Instant, new: NewOrder) -> Result<(Placing, OrderDocument)> {
    let NewOrder {
        id,
        number,
        channel,
        test,
        customer,
        cart,
        mut details,
        lines,
        payments,
        placed_at,
        events,
        reference,
    } = new;
    let priced = std::mem::take(&mut details.totals.lines);
    let mut with_amounts = Vec::with_capacity(lines.len());
    for line in lines {
        let totals = priced.iter().find(|totals| totals.line_no == line.line_no);
        let totals = totals.ok_or_else(|| Error::internal("a line without a price"))?;
        let amounts = [totals.unit_price.scaled(), totals.net.minor(), totals.tax.minor(), totals.gross.minor()];
        with_amounts.push((line, amounts));
    }
    let found_by = contact((0, shipping_address(&details.deliveries).or(details.billing_address.as_ref())));
    let contacts = contacts(&details.deliveries);
    let row = OrderRow {
        id,
        number,
        channel_id: channel,
        customer_id: customer,
        cart_id: cart,
        state: super::OrderState::Placed,
        payment_state: super::PaymentStatus::Pending,
        fulfilment_state: super::FulfilmentStatus::Unfulfilled,
        test,
        version: events,
        currency: details.totals.currency,
        total: details.totals.total.minor(),
        email_folded: details.email.as_deref().map(str::to_lowercase),
        name_folded: found_by.name,
        postcode_folded: found_by.postcode,
        phone_digits: found_by.phone,
        placed_at,
        recorded_at: now,
        updated_at: now,
        doc: Doc(details),
        holds: None,
        shipping_credited: 0,
        shipping_goodwill: 0,
    };
    let line_rows = with_amounts.iter().map(|(line, amounts)| line_row(id, line, amounts)).collect();
    let mut document = assemble(row.clone(), line_rows, payments, Vec::new());
    document.external_refs.extend(reference.iter().map(|(_, reference)| reference.clone()));
    document.settle();
    let (state, payment_state, fulfilment_state) = (document.state, document.payment_state, document.fulfilment_state);
    let (doc, lines) = (Json::of(&row.doc.0)?, store::line_binds(id, placed_at, &with_amounts)?);
    let row = OrderRow { state, payment_state, fulfilment_state, ..row };
    Ok((Placing { row, doc, lines, contacts, reference }, document))
}

/// Places an order: two statements, one more where it has several deliveries, and one for its foreign name.
///
/// # Errors
/// A UNIQUE violation when the cart has become an order already; `duplicate` when another order has the foreign name.
pub fn place(tx: &mut Tx, now: Instant, placing: &Placing) -> Result<()> {
    let Placing { row, doc, lines, contacts, reference } = placing;
    store::insert(tx, row, doc.clone())?;
    store::insert_lines(tx, lines.clone())?;
    contact_store::insert_contacts(tx, (row.id, row.placed_at), contacts)?;
    if let Some((name, reference)) = reference
        && !store::add_ref(tx, now, *name, row.id, reference, serde_json::Value::Null)?
    {
        return Err(known_already());
    }
    Ok(())
}

fn shipping_address(deliveries: &[Delivery]) -> Option<&Address> {
    // Where something is picked up says nothing of who has ordered it.
    let mut shipped = deliveries.iter().filter(|delivery| delivery.pickup.is_none());
    shipped.find_map(|delivery| delivery.address.as_ref())
}

/// By what an order is found beside its own row: the addresses of its further deliveries. What is picked up says nothing, and has its
/// place all the same.
pub(super) fn contacts(deliveries: &[Delivery]) -> Vec<Contact> {
    let shipped = |delivery: &&Delivery| delivery.pickup.is_none();
    let address = |delivery| Some(delivery).filter(shipped).and_then(|delivery: &Delivery| delivery.address.as_ref());
    (0..).zip(deliveries).skip(1).map(|(number, delivery)| contact((number, address(delivery)))).collect()
}

/// By what an address is found that something goes to, by the place of its delivery.
fn contact((delivery, address): (i64, Option<&Address>)) -> Contact {
    Contact {
        delivery,
        name: address.map(|address| text::fold(&address.name)).unwrap_or_default(),
        postcode: address.map(|address| text::squeeze(&address.postcode)),
        phone: address.and_then(|address| address.phone.as_deref()).map(text::phone_digits),
    }
}

fn line_row(order: OrderId, line: &PlacedLine, [unit_price, net, tax, gross]: &[i64; 4]) -> LineRow {
    LineRow {
        order_id: order,
        line_no: i64::from(line.line_no),
        variant_id: line.variant_id,
        sku: line.sku.clone(),
        quantity: line.quantity.get(),
        allocated: line.allocated,
        shipped: 0,
        delivered: 0,
        returned: 0,
        cancelled: 0,
        unit_price: *unit_price,
        net: *net,
        tax: *tax,
        gross: *gross,
        refunded: 0,
        doc: Doc(line.details.clone()),
        coming_back: 0,
        claimed: 0,
        goodwill: 0,
    }
}

fn assemble(row: OrderRow, lines: Vec<LineRow>, payments: Vec<PaymentView>, refs: Vec<ExternalRef>) -> OrderDocument {
    let Doc(details) = row.doc;
    let totals = details.totals;
    OrderDocument {
        id: row.id,
        number: row.number,
        channel_id: row.channel_id,
        customer_id: row.customer_id,
        cart_id: row.cart_id,
        state: row.state,
        payment_state: row.payment_state,
        fulfilment_state: row.fulfilment_state,
        test: row.test,
        version: row.version,
        currency: row.currency,
        placed_at: row.placed_at,
        recorded_at: row.recorded_at,
        email: details.email,
        locale: details.locale,
        device: details.device,
        source: details.source,
        billing_address: details.billing_address,
        vat_id: details.vat_id,
        deliveries: details.deliveries,
        min_shelf_life_days: details.min_shelf_life_days,
        lines: lines.into_iter().map(|line| order_line(line, row.currency)).collect(),
        bundles: details.bundles,
        shipping: totals.shipping,
        taxes: totals.taxes,
        tax_treatment: totals.tax_treatment,
        prices_include_tax: totals.prices_include_tax,
        subtotal: totals.subtotal,
        discount: totals.discount,
        net: totals.net,
        tax: totals.tax,
        total: totals.total,
        payment_method: details.payment_method,
        purchase_order: details.purchase_order,
        net_days: contracts::net_days(&details.contracts),
        contracts: details.contracts,
        invoicing: details.invoicing,
        payments,
        external_refs: refs,
        explanation: totals.explanation,
        promotions: totals.promotions,
        passed_over: totals.passed_over,
        rules_version: totals.rules_version,
        metadata: details.metadata,
        holds: row.holds.map(|Doc(holds)| holds).unwrap_or_default(),
        shipping_credited: Money::from_minor(row.shipping_credited, row.currency),
        shipping_goodwill: Money::from_minor(row.shipping_goodwill, row.currency),
        actions: Vec::new(),
        link: None,
    }
}

fn order_line(row: LineRow, currency: crate::kernel::Currency) -> OrderLine {
    let Doc(LineDetails {
        name,
        unit_code,
        requires_shipping,
        weight_grams,
        tax_class,
        tax_rate,
        per,
        subtotal,
        discount,
        explanation,
        bundle,
        metadata,
    }) = row.doc;
    let money = |minor: i64| Money::from_minor(minor, currency);
    OrderLine {
        line_no: i32::try_from(row.line_no).unwrap_or(i32::MAX),
        variant_id: row.variant_id,
        sku: row.sku,
        name,
        quantities: super::Quantities {
            quantity: row.quantity,
            allocated: row.allocated,
            shipped: row.shipped,
            delivered: row.delivered,
            returned: row.returned,
            cancelled: row.cancelled,
            coming_back: row.coming_back,
            claimed: row.claimed,
        },
        unit_code,
        requires_shipping,
        unit_price: UnitPrice::from_scaled(row.unit_price, currency),
        per,
        subtotal,
        discount,
        net: money(row.net),
        tax: money(row.tax),
        gross: money(row.gross),
        refunded: money(row.refunded),
        goodwill: money(row.goodwill),
        tax_rate,
        explanation,
        bundle,
        metadata,
        weight_grams,
        tax_class,
    }
}

/// An order, whole: four statements. `None` when there is none; whether the actor may see it, the caller asks.
///
/// # Errors
/// What the database says.
pub fn document(tx: &mut Tx, id: OrderId) -> Result<Option<OrderDocument>> {
    let Some(row) = store::row(tx, id)? else { return Ok(None) };
    let (lines, payments, refs) = (store::lines(tx, id)?, payments::of_order(tx, id)?, store::refs(tx, id)?);
    let mut document = assemble(row, lines, payments.iter().map(PaymentView::from).collect(), refs);
    document.settle();
    Ok(Some(document))
}

/// Several orders, in the order of their ids given: three statements.
pub(super) fn documents(tx: &mut Tx, ids: &[OrderId]) -> Result<Vec<OrderDocument>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let (rows, mut lines, mut paid) = (store::rows(tx, ids)?, store::lines_of(tx, ids)?, payments::of_orders(tx, ids)?);
    let mut documents: Vec<OrderDocument> = Vec::with_capacity(rows.len());
    for row in rows {
        let id = row.id;
        let own = lines.extract_if(.., |line| line.order_id == id).collect();
        let payments: Vec<_> = paid.extract_if(.., |payment| payment.order_id == Some(id)).collect();
        let mut document = assemble(row, own, payments.iter().map(PaymentView::from).collect(), Vec::new());
        document.settle();
        documents.push(document);
    }
    documents.sort_by_key(|document| ids.iter().position(|id| *id == document.id));
    Ok(documents)
}

/// The order to look at that an id, a number or a foreign reference names, as [`resolve`] does; but a number of ours is that
/// order's, whatever foreign systems call others: nobody can shut an order from those who look for it by its number.
///
/// # Errors
/// `not_found`; `reference_ambiguous` when it stands for several orders.
pub fn find(tx: &mut Tx, actor: &Actor, reference: &str) -> Result<OrderId> {
    match store::by_name(tx, actor, reference)? {
        Some((id, _)) => Ok(id),
        None => named(tx, actor, reference, None),
    }
}

/// The order to do something with that an id, a number or a foreign reference names, among those that the actor may see.
/// What a system calls an order goes before what one calls a document of it.
///
/// # Errors
/// `not_found`; `reference_ambiguous` when it stands for several orders.
pub fn resolve(tx: &mut Tx, actor: &Actor, reference: &str) -> Result<OrderId> {
    match store::by_name(tx, actor, reference)? {
        Some((id, _)) if reference.parse() == Ok(id) => Ok(id),
        own => named(tx, actor, reference, own),
    }
}

fn named(tx: &mut Tx, actor: &Actor, reference: &str, own: Option<(OrderId, String)>) -> Result<OrderId> {
    let mut named = store::by_reference(tx, actor, &[(None, reference)])?;
    if let Some((id, number)) = own {
        // A number of ours that a system calls another order by stands for both.
        named.retain(|(.., is_order)| *is_order);
        named.insert(0, (id, number, true));
    }
    if named.is_empty() {
        // Both the system's name and the value may hold colons: every place where the one may end is looked at.
        let parts = reference.match_indices(':').filter_map(|(place, _)| {
            let (system, rest) = reference.split_at(place);
            Some((Some(system), rest.strip_prefix(':')?))
        });
        named = store::by_reference(tx, actor, &parts.collect::<Vec<_>>())?;
    }
    if named.iter().any(|(.., is_order)| *is_order) {
        named.retain(|(.., is_order)| *is_order);
    }
    named.sort_by(|one, other| one.1.cmp(&other.1));
    named.dedup_by_key(|(id, ..)| *id);
    match named.as_slice() {
        [] => Err(Error::not_found("order")),
        [(id, ..)] => Ok(*id),
        several => {
            let numbers: Vec<&str> = several.iter().map(|(_, number, _)| number.as_str()).collect();
            let detail = format!("`{reference}` stands for the orders {}", numbers.join(", "));
            let candidate = |(id, number, _): &store::Named| serde_json::json!({"id": id, "number": number});
            let candidates: Vec<_> = several.iter().map(candidate).collect();
            Err(Error::problem(Code::ReferenceAmbiguous, detail).with("candidates", candidates))
        }
    }
}

/// Locks an order until the transaction ends and reads it whole. Every command on a placed order begins so: what is
/// decided on the document then still holds when it is written.
///
/// # Errors
/// `not_found`.
pub fn lock(tx: &mut Tx, id: OrderId) -> Result<OrderDocument> {
    if !store::lock(tx, id)? {
        return Err(Error::not_found("order"));
    }
    document(tx, id)?.ok_or_else(|| Error::not_found("order"))
}

/// Makes moves on a locked order, on the document and on the rows, derives its states, and counts its version up by the
/// events that the transaction is about to append to its stream. Append them afterwards with [`event`].
///
/// # Errors
/// `line_unknown`, `quantity_exceeded`; `version_stale` never while the lock is held.
pub fn save(tx: &mut Tx, now: Instant, order: &mut OrderDocument, moves: &[LineMove], events: i64) -> Result<()> {
    order.apply(moves)?;
    let seen = order.version;
    order.version += events;
    order.settle();
    store::move_lines(tx, order.id, moves)?;
    if holds::drop_idle(order) {
        store::save_holds(tx, order.id, &order.holds)?;
    }
    if store::save_states(tx, now, order, seen)? {
        return Ok(());
    }
    Err(Error::problem(Code::VersionStale, "the order changed meanwhile"))
}

/// Notes that so much of a locked order's shipping is not owed any more, in minor units, of which so much had been given away before and
/// counts as that no more: together never more than it costs. Call it before [`save`].
///
/// # Errors
/// `refund_exceeded` when more of it would be taken back than is left.
pub fn credit_shipping(tx: &mut Tx, order: &mut OrderDocument, amount: i64, given_away: i64) -> Result<()> {
    count_shipping(tx, order, (amount, -given_away))
}

/// Notes that so much of what a locked order's shipping costs is given away: it stays sold. Call it before [`save`].
///
/// # Errors
/// `refund_exceeded` when more of it would be given back than is left.
pub fn give_shipping(tx: &mut Tx, order: &mut OrderDocument, amount: i64) -> Result<()> {
    count_shipping(tx, order, (0, amount))
}

fn count_shipping(tx: &mut Tx, order: &mut OrderDocument, (credited, given): (i64, i64)) -> Result<()> {
    let cost = order.shipping.as_ref().map_or(0, |shipping| shipping.gross.minor());
    if !store::credit_shipping(tx, order.id, (credited, given), cost)? {
        return Err(Error::problem(Code::RefundExceeded, "shipping has been given back already"));
    }
    let grown = |before: Money, by: i64| Money::from_minor(before.minor() + by, before.currency());
    order.shipping_credited = grown(order.shipping_credited, credited);
    order.shipping_goodwill = grown(order.shipping_goodwill, given);
    Ok(())
}

/// Writes what has become of a locked order's deliveries, such as by when they arrive now.
///
/// # Errors
/// What the database says.
pub fn save_deliveries(tx: &mut Tx, order: &OrderDocument) -> Result<()> {
    store::save_deliveries(tx, order.id, &order.deliveries)
}

/// Writes that one of a locked order's deliveries, by its place, goes elsewhere: it is found by where it goes now, and by that alone. Three
/// statements, and one for what is not the first of several.
///
/// # Errors
/// What the database says.
pub fn redirected(tx: &mut Tx, order: &OrderDocument, number: usize) -> Result<()> {
    save_deliveries(tx, order)?;
    let address = shipping_address(&order.deliveries).or(order.billing_address.as_ref());
    contact_store::save_contact(tx, order.id, &contact((0, address)))?;
    let further = contacts(&order.deliveries).into_iter().find(|one| usize::try_from(one.delivery) == Ok(number));
    match further {
        Some(contact) => contact_store::save_further_contact(tx, order.id, &contact),
        None => Ok(()),
    }
}

/// An event of an order's stream. `place` counts from 1 within the command, `of` is how many it has: with the order's
/// new version that gives each event a version of its own.
#[must_use]
pub fn event(
    order: &OrderDocument,
    (place, of): (i64, i64),
    id: EventId,
    kind: &'static str,
    occurred_at: Instant,
    payload: Payload,
) -> NewEvent {
    NewEvent {
        id,
        stream: order.id.to_string(),
        aggregate: "order",
        aggregate_id: order.id.to_string(),
        aggregate_version: order.version - of + place,
        channel: Some(order.channel_id),
        kind,
        occurred_at,
        payload,
        subject: order.customer_id,
    }
}

/// Notes what a foreign system calls the order or a document of it. False when that value is known already: whoever
/// asks again then finds what it stands for with [`known_ref`].
///
/// # Errors
/// What the database says.
pub fn add_ref(
    tx: &mut Tx,
    now: Instant,
    id: ExternalRefId,
    order: OrderId,
    reference: &ExternalRef,
    kept: serde_json::Value,
) -> Result<bool> {
    store::add_ref(tx, now, id, order, reference, kept)
}

/// Keeps something else beside a reference of an order, such as the document that was still to be booked when it came.
///
/// # Errors
/// What the database says.
pub fn keep_ref(tx: &mut Tx, order: OrderId, reference: &ExternalRef, kept: serde_json::Value) -> Result<bool> {
    store::keep_ref(tx, order, reference, kept)
}

/// Forgets a reference of an order that is `held` by something: its document was given up before it was booked. One that stands
/// for what was booked meanwhile stays.
///
/// # Errors
/// What the database says.
pub fn drop_held_ref(tx: &mut Tx, order: OrderId, reference: &ExternalRef, held: &str) -> Result<bool> {
    store::drop_held_ref(tx, order, reference, held)
}

/// What the ordering keys of jobs begin with that wait for something to happen to an order: whoever makes it happen
/// hastens them.
#[must_use]
pub fn after(order: OrderId) -> String {
    format!("after:{order}:")
}

/// What a foreign reference stands for: the order, and what was kept beside it.
///
/// # Errors
/// What the database says.
pub fn known_ref(tx: &mut Tx, system: &str, kind: &str, value: &str) -> Result<Option<(OrderId, serde_json::Value)>> {
    store::find_ref(tx, system, kind, value)
}

/// How many pieces of SKUs were ordered after an instant until another, that one included, and not cancelled since; what came back counts, what was
/// ordered in test channels, or in channels that the actor does not see, does not. A SKU of which none were is absent. One statement.
///
/// # Errors
/// What the database says.
pub fn sold(tx: &mut Tx, actor: &Actor, skus: &[String], span: (Instant, Instant)) -> Result<HashMap<String, i64>> {
    if skus.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(store::sold(tx, actor, skus, span)?.into_iter().collect())
}

/// The order that a cart became.
///
/// # Errors
/// What the database says.
pub fn of_cart(tx: &mut Tx, cart: CartId) -> Result<Option<OrderDocument>> {
    match store::by_cart(tx, cart)? {
        Some(id) => document(tx, id),
        None => Ok(None),
    }
}
